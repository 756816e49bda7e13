//! The output pane: only the rows that are seen are parsed, wrapped and styled.

use super::empty;
use crate::tui::layout::Pane;
use crate::tui::model::Model;
use crate::tui::panes::output::At;
use ratatui::Frame;
use ratatui::layout::Rect;

/// Draws it.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let pane = &model.output;
    if pane.page.lines.is_empty() {
        let said = if pane.fetch.is_loaded() { "the child has printed nothing so far" } else { "…" };
        empty(model, frame, area, said);
        return;
    }
    let view = pane.view(area.width, area.height);
    let lines = pane.lines(model.theme, &model.zone);
    let rows = view.seen(&lines, pane.place(view, &lines));
    for (at, row) in (0u16..area.height).zip(rows) {
        frame.render_widget(row, Rect { y: area.y + at, height: 1, ..area });
    }
}

/// What stands at the right end of its border, above and below.
pub(super) fn notes(model: &Model) -> (String, String) {
    let pane = &model.output;
    let mut above = pane.stream_name().to_owned();
    if let Some(room) = model.room(Pane::Output) {
        let view = pane.view(room.0, room.1);
        let lines = pane.lines(model.theme, &model.zone);
        let number = pane.page.lines.get(pane.place(view, &lines).line).and_then(|line| line.number);
        if let Some(number) = number.filter(|_| pane.stream.is_some()) {
            above = format!("{above} · line {number}");
        }
    }
    let mut below = Vec::new();
    below.push(match pane.at {
        At::Follow => "following",
        At::Anchored { .. } => "not following · f follows",
        At::Going(_) => "going there …",
    });
    if !pane.wrap {
        below.push("cut");
    }
    (above, below.join(" · "))
}
