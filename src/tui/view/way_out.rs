//! The ladder out: what each rung does and costs, and the clock of the one that is waited for.

use super::overlays::{centred, frame_of};
use crate::model::RungView;
use crate::tui::model::Model;
use crate::tui::{steering, text};
use ratatui::Frame;
use ratatui::layout::{Margin, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Wrap};

/// Cells of a row with all its words.
const WIDE: u16 = 84;
/// Cells of a rung's name.
const NAME: usize = 10;
/// Cells of what a rung costs.
const COSTS: usize = 22;
/// The fewest rows that leave some empty.
const AIRY: u16 = 14;

/// Draws it.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect, selected: usize) {
    let rungs = steering::rungs(model);
    let airy = area.height >= AIRY;
    let rows = text::cells(rungs.len()) + 5 + if airy { 2 } else { 0 };
    let area = centred(area, WIDE, rows);
    frame.render_widget(Clear, area);
    frame.render_widget(frame_of(model, &title(model)), area);
    let inner = area.inner(Margin::new(2, 1));
    let width = usize::from(inner.width);
    let mut lines = vec![head(model, width)];
    lines.extend(airy.then(Line::default));
    let first = lines.len();
    lines.extend(rungs.iter().enumerate().map(|(at, view)| rung(model, view, at, at == selected, width)));
    lines.extend(airy.then(Line::default));
    if let Some(view) = rungs.get(selected) {
        let told = Paragraph::new(steering::explained(view)).style(model.theme.accent()).wrap(Wrap { trim: true });
        let below = inner.height.saturating_sub(text::cells(lines.len())).min(2);
        frame.render_widget(told, Rect { y: inner.bottom() - below, height: below, ..inner });
    }
    for (at, line) in (0u16..inner.height).zip(lines) {
        let row = Rect { y: inner.y + at, height: 1, ..inner };
        frame.render_widget(line, row);
        if usize::from(at) == first + selected {
            frame.buffer_mut().set_style(row, model.theme.selected());
        }
    }
}

fn running(model: &Model) -> Option<&crate::model::proto::RunningView> {
    model.summary.as_ref().and_then(|summary| summary.running.as_ref())
}

fn title(model: &Model) -> String {
    running(model).map_or_else(|| "The way out".into(), |running| format!("The way out of command {}", running.id))
}

/// The clock of the rung that is waited for, else what runs and since when.
fn head(model: &Model, width: usize) -> Line<'static> {
    let theme = model.theme;
    if let Some(said) = model.summary.as_ref().and_then(|summary| steering::ladder(model, summary)) {
        return Line::styled(text::fit(&said, width).into_owned(), theme.warn());
    }
    let Some(running) = running(model) else { return Line::styled("no command runs", theme.dim()) };
    let since = text::elapsed(model.engine_now().since(running.since));
    let said = format!("It runs for {since}: {}", text::one_line(&running.head));
    Line::from(text::fit(&said, width).into_owned())
}

fn rung(model: &Model, view: &RungView, at: usize, selected: bool, width: usize) -> Line<'static> {
    let theme = model.theme;
    let ladder = model.summary.as_ref().and_then(|summary| summary.ladder.as_ref());
    let waited = ladder.filter(|ladder| ladder.rung == view.rung);
    let in_vain = model.steering.was_in_vain(view.rung);
    let (does, costs) = steering::told(view.rung);
    let (sign, style) = match (&view.skipped, waited, in_vain) {
        (Some(_), _, _) => ("↷", theme.dim()),
        (None, Some(_), _) => ("►", theme.busy()),
        (None, None, true) => ("✗", theme.warn()),
        (None, None, false) => (" ", theme.text()),
    };
    let became = match (waited, in_vain) {
        (Some(ladder), _) => {
            let since = text::elapsed(model.engine_now().since(ladder.since));
            Some(format!("{since} of {}", text::elapsed(ladder.until.since(ladder.since))))
        }
        (None, true) => Some("tried in vain".into()),
        (None, false) => None,
    };
    let mark = if selected { "›" } else { " " };
    let name = text::left(view.rung.word(), NAME);
    let room = width.saturating_sub(6 + NAME);
    let told = match (&view.skipped, became) {
        (Some(why), _) => text::fit(&format!("skipped: {}", text::one_line(why)), room).into_owned(),
        (None, became) if room < COSTS * 2 => {
            let short = if view.rung.costs_the_child() { "the scene is lost" } else { "the scene stays" };
            became.unwrap_or_else(|| short.into())
        }
        (None, became) => {
            let became = became.unwrap_or_else(|| costs.into());
            format!("{} {}", text::left(does, room - COSTS - 1), text::left(&became, COSTS))
        }
    };
    Line::from(vec![
        Span::raw(mark.to_owned()),
        Span::styled(format!("{} ", at + 1), theme.accent()),
        Span::styled(format!("{sign} {name} "), style),
        Span::styled(told, if view.skipped.is_some() { theme.dim() } else { theme.text() }),
    ])
}
