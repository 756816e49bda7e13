//! The output pane: only the rows that are seen are parsed, wrapped and styled.

use super::empty;
use crate::tui::layout::{Pane, Slot};
use crate::tui::model::Model;
use crate::tui::panes::output::entry::Entry;
use crate::tui::panes::output::transfer::Target;
use crate::tui::panes::output::{At, OutputPane};
use crate::tui::text;
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

/// Draws it.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let pane = &model.output;
    let height = model.room(Pane::Output).map_or(0, |room| room.1);
    let area = Rect { height: height.min(area.height), ..area };
    if pane.page.lines.is_empty() {
        empty(model, frame, area, nothing(pane));
        return;
    }
    let view = pane.view(area.width, area.height);
    let lines = pane.lines(model.theme, &model.zone);
    let rows = view.seen(&lines, pane.place(view, &lines));
    for (at, row) in (0u16..area.height).zip(rows) {
        frame.render_widget(row, Rect { y: area.y + at, height: 1, ..area });
    }
}

fn nothing(pane: &OutputPane) -> &'static str {
    match (pane.fetch.is_loaded(), pane.sieve.is_on()) {
        (true, true) if pane.page.partial => "looking …",
        (true, true) => "no line passes the filter",
        (true, false) => "the child has printed nothing so far",
        (false, _) => "…",
    }
}

/// What stands at the right end of its border, above and below, as much as fits.
pub(super) fn notes(model: &Model, inner: Rect) -> (String, String) {
    let pane = &model.output;
    let tabs = model
        .layout()
        .slot_of(Pane::Output)
        .map_or(0, |slot| slot.tabs.iter().map(|tab| tab.title().len() + 3).sum::<usize>());
    // A blank on each side, and one more cell to the tabs.
    let width = usize::from(inner.width);
    let above = fitting(above(model), width.saturating_sub(tabs + 2));
    (above, fitting(below(pane), width.saturating_sub(2)))
}

/// The notes joined: the last are left out, and then the first is cut.
fn fitting(mut notes: Vec<String>, width: usize) -> String {
    while notes.len() > 1 && text::width(&notes.join(" · ")) > width {
        notes.pop();
    }
    text::fit(&notes.join(" · "), width).into_owned()
}

fn above(model: &Model) -> Vec<String> {
    let pane = &model.output;
    let mut notes = Vec::new();
    if pane.sieve.is_on() {
        let looking = if pane.page.partial { " …" } else { "" };
        notes.push(format!("& {}{looking}", text::one_line(pane.sieve.text())));
    }
    notes.push(pane.stream_name().to_owned());
    if let Some(room) = model.room(Pane::Output).filter(|_| pane.stream.is_some()) {
        let view = pane.view(room.0, room.1);
        let lines = pane.lines(model.theme, &model.zone);
        let number = pane.page.lines.get(pane.place(view, &lines).line).and_then(|line| line.number);
        notes.extend(number.map(|number| format!("line {number}")));
    }
    notes
}

fn below(pane: &OutputPane) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(transfer) = &pane.transfer {
        let (lines, bytes) = (text::plural(transfer.lines, "line"), text::bytes(transfer.bytes));
        let doing = if matches!(transfer.target(), Target::File { .. }) { "writing" } else { "copying" };
        notes.push(format!("{doing} {lines}, {bytes} · Esc stops it"));
    }
    if let Some(selection) = &pane.selection {
        notes.push(match selection.count(&pane.page.lines) {
            Some(lines) => format!("{} selected", text::plural(lines as u64, "line")),
            None => "lines selected".into(),
        });
    }
    if let Some(to) = pane.seek.jumping() {
        notes.push(format!("looking for an {} …", to.name()));
    } else if let Some(sought) = pane.seek.sought() {
        let shown = text::one_line(&sought.shown()).into_owned();
        notes.push(format!("{} {}", text::fit(&shown, 24), sought.tally(pane.seek.current())));
    }
    notes.push(match (pane.at, pane.unseen()) {
        (At::Follow, _) => "following".into(),
        (At::Anchored { .. }, 0) => "frozen · f follows".into(),
        (At::Anchored { .. }, new) => format!("↓ {} new · f follows", text::bytes(new)),
        (At::Going(_), _) => "going there …".into(),
    });
    if !pane.wrap {
        notes.push("cut".into());
    }
    notes
}

/// Draws what is typed over the pane's last row, and what is wrong with it, or how it is typed, below.
pub(super) fn entry(model: &Model, frame: &mut Frame<'_>, slot: &Slot, entry: &Entry) {
    let inner = slot.inner();
    let theme = model.theme;
    let row = Rect { y: inner.bottom().saturating_sub(1), height: inner.height.min(1), ..inner };
    frame.render_widget(Clear, row);
    let sign = format!(" {}", entry.sign());
    let tally = match model.output.seek.sought() {
        Some(sought) if !entry.text.is_empty() => format!(" {} ", sought.tally(model.output.seek.current())),
        _ => String::new(),
    };
    let room = usize::from(row.width).saturating_sub(text::width(&sign) + text::width(&tally) + 1);
    let typed = text::fit_end(&entry.text, room);
    let before = text::cells(text::width(&sign) + text::width(&typed));
    let line = Line::from(vec![
        Span::styled(sign, theme.accent()),
        Span::raw(typed.clone()),
        Span::raw(" ".repeat((room + 1).saturating_sub(text::width(&typed)))),
        Span::styled(tally, theme.dim()),
    ]);
    frame.render_widget(line, row);
    frame.set_cursor_position(Position { x: (row.x + before).min(row.right().saturating_sub(1)), y: row.y });
    let below = Rect { y: slot.area.bottom().saturating_sub(1), height: 1, ..inner };
    let width = usize::from(below.width).saturating_sub(2);
    let hints = entry.hints();
    let hint = hints.iter().find(|hint| text::width(hint) <= width).or(hints.last()).copied().unwrap_or("");
    let (told, style) = entry.wrong.as_deref().map_or((hint, theme.dim()), |wrong| (wrong, theme.bad()));
    let told = Span::styled(format!(" {} ", text::fit(told, width)), style);
    frame.render_widget(Clear, below);
    frame.render_widget(Line::from(told), below);
}
