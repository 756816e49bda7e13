//! CPU, memory and storage over the session: as many plots as there is room for, above one axis of time, with a mark where
//! each item was begun.

use super::empty;
use super::plot::Plot;
use crate::model::{Micros, UsagePoint};
use crate::tui::model::Model;
use crate::tui::{text, time};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// What is plotted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Figure {
    Cpu,
    Memory,
    Read,
    Written,
}

/// The fewest rows of a plot, its title among them.
const LEAST: u16 = 3;
/// Cells of the numbers beside a plot, where there is room for them.
const GUTTER: u16 = 12;

impl Figure {
    const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::Read, Self::Written];

    fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Read => "read",
            Self::Written => "written",
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "for a picture")]
    fn of(self, point: &UsagePoint) -> f64 {
        match self {
            Self::Cpu => point.cpu,
            Self::Memory => point.memory as f64,
            Self::Read => point.read,
            Self::Written => point.written,
        }
    }

    fn value(self, value: f64) -> String {
        match self {
            Self::Cpu => format!("{value:.0} %"),
            Self::Memory => text::bytes(whole(value)),
            Self::Read | Self::Written => format!("{}/s", text::bytes(whole(value))),
        }
    }

    /// The least that the plot's height stands for.
    fn floor(self) -> f64 {
        match self {
            Self::Cpu => 100.0,
            Self::Memory => 1_048_576.0,
            Self::Read | Self::Written => 1024.0,
        }
    }

    fn style(self, model: &Model) -> Style {
        match self {
            Self::Cpu => model.theme.good(),
            Self::Memory => model.theme.accent(),
            Self::Read => model.theme.busy(),
            Self::Written => model.theme.warn(),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count, too large ones become the largest"
)]
fn whole(value: f64) -> u64 {
    value.max(0.0) as u64
}

/// Draws the pane.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let pane = &model.plot;
    if pane.history.points.is_empty() {
        let said = if pane.is_loaded() { "nothing was sampled then: no command ran" } else { "…" };
        empty(model, frame, area, said);
        return;
    }
    let rows = area.height.saturating_sub(1);
    let side_by_side = area.width >= 72 && rows < 4 * (LEAST + 1);
    let columns = if side_by_side { 2 } else { 1 };
    let most = usize::from((rows / LEAST).max(1) * columns);
    let figures = &Figure::ALL[..most.min(Figure::ALL.len())];
    let lines = text::cells(figures.len()).div_ceil(columns);
    for (at, figure) in (0u16..).zip(figures) {
        let (column, line) = (at % columns, at / columns);
        let (width, height) = (area.width / columns, rows / lines);
        // What cannot be divided goes to the last.
        let last = line + 1 == lines;
        let height = if last { rows - height * (lines - 1) } else { height };
        let y = area.y + line * (rows / lines);
        let gap = u16::from(column + 1 < columns);
        let part = Rect { x: area.x + column * width, y, width: width - gap, height };
        plot(model, frame, part, *figure);
        if last {
            axis(model, frame, Rect { y: area.bottom().saturating_sub(1), height: 1, ..part });
        }
    }
}

/// How many columns a plot has, in a pane so wide: the server is asked for two points in each.
pub(in crate::tui) fn columns(width: u16) -> u16 {
    let gutter = if width >= 40 + GUTTER { GUTTER } else { 0 };
    width.saturating_sub(gutter)
}

/// Without the numbers beside it.
fn inside(area: Rect) -> Rect {
    let width = columns(area.width);
    Rect { x: area.right() - width, width, ..area }
}

fn plot(model: &Model, frame: &mut Frame<'_>, area: Rect, figure: Figure) {
    let (pane, theme, style) = (&model.plot, model.theme, figure.style(model));
    let most = pane.history.points.iter().map(|point| figure.of(point)).fold(0.0, f64::max);
    let top = ceiling(most.max(figure.floor()), figure.floor());
    let inner = inside(Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area });
    let told = pane.at_cursor().map_or_else(|| "–".into(), |point| figure.value(figure.of(point)));
    let mut title = Line::from(vec![
        Span::styled(format!("{} ", figure.word()), style.patch(theme.strong())),
        Span::styled(told, theme.strong()),
    ]);
    let scale = figure.value(top);
    if inner.width < area.width {
        title.push_span(Span::styled(format!("  most {}", figure.value(most)), theme.dim()));
        let beside = Rect { width: area.width - inner.width, height: 1, ..area };
        let number = |said: &str| Line::styled(text::right(said, usize::from(GUTTER) - 1), theme.dim());
        frame.render_widget(number(&scale), Rect { y: inner.y, ..beside });
        if inner.height > 1 {
            frame.render_widget(number("0"), Rect { y: inner.bottom() - 1, ..beside });
        }
    } else {
        let said = format!("to {scale}");
        let x = area.right().saturating_sub(text::cells(text::width(&said)));
        frame.render_widget(Line::styled(said, theme.dim()), Rect { x, width: area.right() - x, height: 1, ..area });
    }
    frame.render_widget(title, Rect { height: 1, ..area });
    let mut line = Plot::new(inner.width, inner.height);
    let mut before = None;
    line.trace(pane.history.points.iter().map(|point| {
        let joined = before.is_some_and(|before| point.wall.since(before) <= pane.joined());
        before = Some(point.wall);
        (share(pane.range, point.wall), figure.of(point) / top, joined)
    }));
    let marks: Vec<u16> = pane.history.items.iter().filter_map(|(wall, _)| column(pane.range, *wall, inner)).collect();
    let cursor = pane.cursor.and_then(|cursor| column(pane.range, cursor, inner));
    let buffer = frame.buffer_mut();
    for (row, y) in (0u16..).zip(inner.y..inner.bottom()) {
        for (at, x) in (0u16..).zip(inner.x..inner.right()) {
            let (symbol, style) = match line.symbol(at, row) {
                Some(symbol) => (symbol, style),
                None if cursor == Some(x) => ('│', theme.accent()),
                None if marks.contains(&x) => ('┊', theme.dim()),
                None => continue,
            };
            if let Some(cell) = buffer.cell_mut((x, y)) {
                cell.set_char(symbol).set_style(style);
            }
        }
    }
}

/// The times at both ends, and between them the names of items, as many as there is room for.
fn axis(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let (pane, inner) = (&model.plot, inside(area));
    let (from, to) = pane.range;
    let label = |wall| time::clock(wall, &model.zone);
    let width = 8;
    let buffer = frame.buffer_mut();
    buffer.set_stringn(inner.x, inner.y, label(from), usize::from(inner.width), model.theme.dim());
    let end = inner.right().saturating_sub(width);
    if inner.width < 2 * width + 1 {
        return;
    }
    buffer.set_stringn(end, inner.y, label(to), usize::from(width), model.theme.dim());
    let mut free = inner.x + width + 1;
    for (wall, item) in &pane.history.items {
        let known = pane.name(*item).or_else(|| model.agenda.row(item.0).map(|row| row.name.as_str()));
        let name = known.map(|name| text::fit(&text::one_line(name), 16).into_owned()).filter(|name| !name.is_empty());
        let (Some(x), Some(name)) = (column(pane.range, *wall, inner), name) else { continue };
        let cells = text::cells(text::width(&name)) + 1;
        if x < free || x + cells >= end {
            continue;
        }
        buffer.set_string(x, inner.y, format!("┊{name}"), model.theme.text());
        free = x + cells + 1;
    }
}

/// What stands in the pane's border: how much of the time it shows, and the time and the item that is told of.
pub(super) fn notes(model: &Model) -> (String, String) {
    let pane = &model.plot;
    let item = pane.item_at_cursor().and_then(|item| pane.name(item)).filter(|name| !name.is_empty());
    let item = item.map(|name| format!("item {}", text::fit(&text::one_line(name), 20)));
    let at = pane.cursor.map(|cursor| time::clock(cursor, &model.zone));
    let tree = pane
        .at_cursor()
        .map(|point| format!("{} proc, {}", point.processes, text::plural(u64::from(point.threads), "thread")));
    let below: Vec<String> = [at, item, tree].into_iter().flatten().collect();
    (pane.span.word().into(), below.join(" · "))
}

/// A round number that is not less.
fn ceiling(value: f64, unit: f64) -> f64 {
    let mut top = unit;
    while top < value {
        top *= 2.0;
    }
    top
}

#[expect(clippy::cast_precision_loss, reason = "for a picture")]
fn share((from, to): (Micros, Micros), wall: Micros) -> f64 {
    wall.since(from).0 as f64 / (to.since(from).0 as f64).max(1.0)
}

/// The column of a time that is shown.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a screen")]
fn column(range: (Micros, Micros), wall: Micros, area: Rect) -> Option<u16> {
    let shown = area.width > 0 && (range.0..=range.1).contains(&wall);
    shown.then(|| area.x + (share(range, wall) * f64::from(area.width - 1)).round() as u16)
}
