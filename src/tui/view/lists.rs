//! The lists: one row a thing, columns aligned, numbers at the right.

use super::empty;
use crate::model::proto::{CommandView, ItemView};
use crate::model::state::ExceptionGroup;
use crate::model::{Breakpoint, Micros, Phase};
use crate::tui::model::Model;
use crate::tui::panes::list::ListPane;
use crate::tui::steering::breakpoint_before;
use crate::tui::{text, time};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Cells of a progress bar.
const BAR: u8 = 10;
/// Cells of a length of time.
const LENGTH: usize = 7;

/// Draws the agenda.
pub(super) fn agenda(model: &Model, frame: &mut Frame<'_>, area: Rect, focused: bool) {
    let said = "the agenda is empty: an interpreter to work in";
    list(model, frame, area, focused, &model.agenda, said, |item, width| item_row(model, item, width));
}

/// Draws the commands.
pub(super) fn commands(model: &Model, frame: &mut Frame<'_>, area: Rect, focused: bool) {
    let digits = model.commands.total.to_string().len().max(2);
    list(model, frame, area, focused, &model.commands, "no commands so far", |command, width| {
        command_row(model, command, digits, width)
    });
}

/// Draws the exceptions.
pub(super) fn exceptions(model: &Model, frame: &mut Frame<'_>, area: Rect, focused: bool) {
    list(model, frame, area, focused, &model.exceptions, "no exceptions so far", |group, width| {
        exception_row(model, group, width)
    });
}

fn list<T>(
    model: &Model,
    frame: &mut Frame<'_>,
    area: Rect,
    focused: bool,
    list: &ListPane<T>,
    said: &str,
    row: impl Fn(&T, usize) -> Line<'static>,
) {
    if list.total == 0 {
        empty(model, frame, area, if list.is_loaded() { said } else { "…" });
        return;
    }
    let width = usize::from(area.width);
    for at in 0..area.height {
        let place = list.top + u32::from(at);
        if place >= list.total {
            break;
        }
        let selected = place == list.selected;
        let mut line = Line::from(if selected { "›" } else { " " });
        match list.row(place) {
            Some(thing) => line.spans.extend(row(thing, width.saturating_sub(1)).spans),
            None => line.push_span(Span::styled("…", model.theme.dim())),
        }
        let area = Rect { y: area.y + at, height: 1, ..area };
        frame.render_widget(line, area);
        if selected && focused {
            frame.buffer_mut().set_style(area, model.theme.selected());
        }
    }
}

fn item_row(model: &Model, item: &ItemView, width: usize) -> Line<'static> {
    let theme = model.theme;
    let (sign, style) = theme.item(item.row.status);
    let took = item_took(model, item);
    let attempt = if item.row.attempt > 1 { format!("#{}", item.row.attempt) } else { String::new() };
    let word = if width >= 40 { text::left(item.row.status.word(), 9) } else { String::new() };
    let bar = width >= 30;
    let fixed = 2 + text::width(&word) + if bar { usize::from(BAR) + 1 } else { 0 } + 4 + LENGTH + 1;
    let stops = breaks(model, |breakpoint| matches!(breakpoint, Breakpoint::Item(name) if *name == item.name));
    let edited = if item.edited { " ✎" } else { "" };
    let name = format!("{stops}{}{edited}", text::one_line(&item.name));
    // Before the name, where its end cannot cut it off.
    let warned = if item.row.warned { "! " } else { "" };
    let name = text::left(&name, width.saturating_sub(fixed + text::width(warned)));
    let mut line = Line::from(vec![Span::styled(format!("{sign} "), style), Span::styled(warned, theme.warn())]);
    line.spans.extend([Span::raw(name), Span::styled(word, style)]);
    if bar {
        line.push_span(Span::raw(" "));
        line.spans.extend(progress(model, item));
    }
    line.push_span(Span::styled(text::right(&attempt, 4), theme.warn()));
    line.push_span(Span::raw(text::right(&took, LENGTH + 1)));
    line
}

/// The mark of a row at which the agenda stops.
fn breaks(model: &Model, here: impl Fn(&Breakpoint) -> bool) -> &'static str {
    let stops = model.summary.as_ref().map_or(&[][..], |summary| &summary.stops.breakpoints);
    if stops.iter().any(here) { "● " } else { "" }
}

fn item_took(model: &Model, item: &ItemView) -> String {
    match (item.row.status, item.row.started, item.again) {
        (crate::model::ItemStatus::Running, Some(started), _) => text::elapsed(model.engine_now().since(started)),
        (_, _, Some(again)) => format!("in {}", text::elapsed(again.since(model.engine_now()))),
        (_, Some(_), None) if item.row.took.0 > 0 => text::length(item.row.took),
        _ => String::new(),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of ten, kept between")]
fn progress(model: &Model, item: &ItemView) -> [Span<'static>; 2] {
    let theme = model.theme;
    let (_, style) = theme.item(item.row.status);
    match item.row.progress {
        Some(fraction) if fraction.is_finite() => {
            let filled = usize::from(((fraction.clamp(0.0, 1.0) * f32::from(BAR)).round() as u8).min(BAR));
            let left = usize::from(BAR) - filled;
            [Span::styled("━".repeat(filled), style), Span::styled("─".repeat(left), theme.dim())]
        }
        _ => [Span::raw(" ".repeat(usize::from(BAR))), Span::raw("")],
    }
}

fn command_row(model: &Model, command: &CommandView, digits: usize, width: usize) -> Line<'static> {
    let theme = model.theme;
    let (sign, style) = theme.command(command.row.state);
    let who = match (&command.by, &command.item_name) {
        (Some(by), _) => by.user.clone(),
        (None, Some(item)) => item.clone(),
        (None, None) => String::new(),
    };
    let who = if width >= 50 { text::left(&text::one_line(&who), 10) + " " } else { String::new() };
    let phase = text::left(command.row.phase.word(), 8);
    let took = command_took(model, command);
    let fixed = digits + 1 + 2 + 9 + text::width(&who) + LENGTH + 1;
    let stops = breaks(model, |breakpoint| *breakpoint == breakpoint_before(&command.head));
    let head = text::left(&format!("{stops}{}", text::one_line(&command.head)), width.saturating_sub(fixed));
    let injected = matches!(command.row.phase, Phase::Operator | Phase::Side);
    let phase_style = if injected { theme.inject() } else { theme.dim() };
    Line::from(vec![
        Span::styled(text::right(&command.id.to_string(), digits), theme.dim()),
        if model.recording.is_marked(command.id) { Span::styled("*", theme.warn()) } else { Span::raw(" ") },
        Span::styled(format!("{sign} "), style),
        Span::styled(format!("{phase} "), phase_style),
        Span::styled(who, theme.dim()),
        Span::raw(head),
        Span::raw(text::right(&took, LENGTH + 1)),
    ])
}

fn command_took(model: &Model, command: &CommandView) -> String {
    let running = model.summary.as_ref().and_then(|summary| summary.running.as_ref());
    match running.filter(|running| running.id == command.id) {
        Some(running) => text::elapsed(model.engine_now().since(running.since)),
        None if command.row.took > Micros(0) => text::took(command.row.took),
        None => String::new(),
    }
}

fn exception_row(model: &Model, group: &ExceptionGroup, width: usize) -> Line<'static> {
    let theme = model.theme;
    let last = if width >= 60 { time::clock(group.last, &model.zone) } else { String::new() };
    let place_room = (width / 3).min(40);
    let place = text::fit_end(&format!("{}:{}", text::one_line(&group.file), group.line), place_room);
    let count = format!("{}×", group.count);
    let kind = text::fit(&text::one_line(&group.kind), 28).into_owned();
    let fixed = 6 + text::width(&kind) + 2 + place_room + 1 + if last.is_empty() { 0 } else { 9 };
    let message = text::left(&text::one_line(&group.message), width.saturating_sub(fixed));
    let mut line = Line::from(vec![
        Span::styled(text::right(&count, 5), theme.strong()),
        Span::raw(" "),
        Span::styled(kind, theme.bad()),
        Span::styled(": ", Style::new()),
        Span::raw(message),
        Span::styled(format!(" {}", text::right(&place, place_room)), theme.dim()),
    ]);
    if !last.is_empty() {
        line.push_span(Span::styled(format!(" {last}"), theme.dim()));
    }
    line
}
