//! The time line of a recording: where in it the window looks, and what lies where.

use crate::api::replay::{Mark, Playback};
use crate::tui::model::Model;
use crate::tui::{text, time};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// The fewest cells of a bar.
const NARROW: usize = 10;

/// Draws it.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let Some(playback) = model.playback().filter(|_| area.height > 0) else { return };
    let theme = model.theme;
    let (before, after) = words(model, playback, usize::from(area.width));
    let bar = time_bar(model, area);
    let style = if playback.playing { theme.good() } else { theme.warn() };
    frame.render_widget(Line::styled(before, style.patch(theme.strong())), area);
    frame.render_widget(line(model, playback, usize::from(bar.width)), bar);
    frame.render_widget(
        Line::styled(after, theme.text()),
        Rect { x: bar.right(), width: area.right() - bar.right(), ..area },
    );
}

/// Where its bar is: a click there goes to that time.
pub(in crate::tui) fn time_bar(model: &Model, area: Rect) -> Rect {
    let Some(playback) = model.playback() else { return Rect { width: 0, ..area } };
    let (before, after) = words(model, playback, usize::from(area.width));
    let before = text::cells(text::width(&before)).min(area.width);
    let width = area.width.saturating_sub(before).saturating_sub(text::cells(text::width(&after)));
    Rect { x: area.x + before, width, ..area }
}

/// What stands before the bar and after it; the least important is left out where there is no room.
fn words(model: &Model, playback: &Playback, width: usize) -> (String, String) {
    let now = playback.summary.now;
    let sign = if playback.playing { "▶" } else { "⏸" };
    let before = format!(" {sign} {} ", time::clock(now, &model.zone));
    let since = text::elapsed(now.since(playback.extent.first));
    let all = text::elapsed(playback.extent.length());
    let last = playback.extent.seq.to_string();
    let mut parts = vec![format!("{}", playback.speed)];
    match (playback.seeking, &playback.said) {
        (Some(percent), _) => parts.push(format!("seeking… {percent}%")),
        (None, Some(said)) => parts.push(text::one_line(said).into_owned()),
        (None, None) => {}
    }
    // As wide as they get, so that the bar stays where it is while they grow.
    let (all_cells, last_cells) = (text::width(&all), text::width(&last));
    let spare = [
        format!("{since:>all_cells$} of {all}"),
        format!("event {:>last_cells$}/{last}", playback.summary.seq.to_string()),
    ];
    let room = width.saturating_sub(text::width(&before) + NARROW);
    for part in spare {
        let cells = parts.iter().chain([&part]).map(|part| text::width(part) + 2).sum::<usize>();
        if cells <= room && width >= 60 {
            parts.push(part);
        }
    }
    let after = format!(" {} ", parts.join("  "));
    (before, text::fit(&after, room.max(1)).into_owned())
}

fn line(model: &Model, playback: &Playback, width: usize) -> Line<'static> {
    let theme = model.theme;
    let at = playback.extent.part(playback.summary.now, width.max(1));
    let mut line = Line::default();
    for cell in 0..width {
        let mark = playback.marks.within(cell, width);
        let span = match (cell == at, mark) {
            (true, _) => Span::styled("┃", theme.accent().patch(theme.strong())),
            (false, Mark::Exception) => Span::styled("✗", theme.bad()),
            (false, Mark::Item) if cell < at => Span::styled("┷", theme.good()),
            (false, Mark::Item) => Span::styled("┴", theme.dim()),
            (false, Mark::None) if cell < at => Span::styled("━", theme.good()),
            (false, Mark::None) => Span::styled("─", theme.dim()),
        };
        line.push_span(span);
    }
    line
}
