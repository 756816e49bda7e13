//! The time-outs: how long, what then, and how much is left.

use super::overlays::{centred, frame_of};
use crate::model::Limit;
use crate::model::job::Timeouts;
use crate::tui::model::Model;
use crate::tui::panes::timeouts::{self, TimeoutsForm};
use crate::tui::{scroll, text};
use ratatui::Frame;
use ratatui::layout::{Margin, Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Wrap};

/// Cells of all columns.
const WIDE: u16 = 76;
/// Cells of a limit's name, its length and what it leads to.
const COLUMNS: [usize; 3] = [10, 12, 12];
/// The same where there is little room.
const NARROW: [usize; 3] = [9, 9, 10];
/// The fewest rows that leave some empty.
const AIRY: u16 = 14;

/// Draws them.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect, form: &TimeoutsForm) {
    let theme = model.theme;
    let airy = area.height >= AIRY;
    let area = centred(area, WIDE, 9 + u16::from(airy));
    frame.render_widget(Clear, area);
    frame.render_widget(frame_of(model, "Time-outs, for this session"), area);
    let inner = area.inner(Margin::new(2, 1));
    let width = usize::from(inner.width);
    let now = model.summary.as_ref().map(|summary| summary.timeouts.clone()).unwrap_or_default();
    let mut lines: Vec<Line<'static>> =
        Limit::ALL.into_iter().enumerate().map(|(at, limit)| row(model, form, &now, at, limit, width)).collect();
    lines.extend(airy.then(Line::default));
    let told = match &form.wrong {
        Some((at, why)) if *at == form.selected => Line::styled(text::one_line(why).into_owned(), theme.bad()),
        _ if form.is_changed() => Line::styled("not applied yet: Enter applies, Esc drops it", theme.warn()),
        _ => Line::styled(bounds(form.limit()), theme.accent()),
    };
    let below = inner.height.saturating_sub(text::cells(lines.len())).min(2);
    let told = Paragraph::new(told).wrap(Wrap { trim: true });
    frame.render_widget(told, Rect { y: inner.bottom() - below, height: below, ..inner });
    for (at, line) in (0u16..inner.height).zip(lines) {
        frame.render_widget(line, Rect { y: inner.y + at, height: 1, ..inner });
    }
    cursor(frame, inner, form);
}

fn columns(width: usize) -> [usize; 3] {
    if width < usize::from(WIDE) / 2 + 8 { NARROW } else { COLUMNS }
}

/// Where one types.
fn cursor(frame: &mut Frame<'_>, inner: Rect, form: &TimeoutsForm) {
    let Some(typed) = form.typed(form.selected) else { return };
    let columns = columns(usize::from(inner.width));
    let typed = text::fit_end(typed, columns[1] - 2);
    let at = Position {
        x: inner.x + text::cells(1 + columns[0] + text::width(&typed)),
        y: inner.y + text::cells(form.selected),
    };
    if inner.contains(at) {
        frame.set_cursor_position(at);
    }
}

fn row(model: &Model, form: &TimeoutsForm, now: &Timeouts, at: usize, limit: Limit, width: usize) -> Line<'static> {
    let theme = model.theme;
    let selected = at == form.selected;
    let columns = columns(width);
    let length = if let Some(typed) = form.typed(at) {
        Span::styled(text::left(&text::fit_end(typed, columns[1] - 2), columns[1]), theme.inject())
    } else {
        let length = timeouts::length(now, limit);
        let style = if length.is_none() { theme.dim() } else { theme.text() };
        Span::styled(text::left(&timeouts::shown(length), columns[1]), style)
    };
    let (policy, style) = match (form.drafted(at), timeouts::policy(now.policies, limit)) {
        (Some(drafted), _) => (format!("→ {}", drafted.word()), theme.inject()),
        (None, Some(policy)) => (format!("→ {}", policy.word()), theme.text()),
        (None, None) => (String::new(), theme.dim()),
    };
    let name_style = if selected { theme.accent().patch(theme.strong()) } else { theme.text() };
    let line = Line::from(vec![
        Span::styled(if selected { "›" } else { " " }, theme.accent()),
        Span::styled(text::left(limit.word(), columns[0]), name_style),
        length,
        Span::styled(text::left(&policy, columns[2]), style),
        Span::styled(left(model, limit), theme.warn()),
    ]);
    scroll::cut(&line, 0, width)
}

/// How much is left of the wait that it bounds.
fn left(model: &Model, limit: Limit) -> String {
    let Some(summary) = model.summary.as_ref().filter(|_| !model.is_over()) else { return String::new() };
    let what = timeouts::wait(limit);
    let Some(wait) = summary.waits.iter().find(|wait| wait.what == what) else { return String::new() };
    let now = model.engine_now();
    match wait.until {
        Some(until) => format!("{} left", text::elapsed(until.since(now))),
        None => format!("for {}", text::elapsed(now.since(wait.since))),
    }
}

/// What a limit bounds.
fn bounds(limit: Limit) -> &'static str {
    match limit {
        Limit::Startup => "from the child's start to its hello",
        Limit::Command => "one command, from its sending to its end",
        Limit::Item => "one attempt at an item, without the time held",
        Limit::Silence => "no output and no word from the child while a command runs",
        Limit::Teardown => "all of teardown, until the child has ended by itself",
    }
}
