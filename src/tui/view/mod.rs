//! How the model looks. Nothing here changes it, asks for anything or knows a clock.

mod edit;
mod header;
mod hot;
mod keybar;
mod lists;
mod names;
mod output;
mod overlays;
mod plot;
mod prompt;
mod time_line;
mod timeouts;
mod usage;
mod way_out;

pub(super) use time_line::time_bar;
pub(super) use usage::columns as plot_columns;

use super::layout::{Class, Layout, Pane, Slot};
use super::model::Model;
use super::overlay::Overlay;
use super::panes::log::Formatter;
use super::{steering, text};
use ratatui::Frame;
use ratatui::layout::{Alignment, Margin, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph};

/// Draws the window.
pub(super) fn view(model: &Model, frame: &mut Frame<'_>) {
    // The terminal may have been resized since the model heard of its size.
    let area = frame.area();
    let layout = model.layout();
    if layout.class == Class::TooSmall || area.width < model.size.width || area.height < model.size.height {
        too_small(model, frame, area);
        return;
    }
    header::draw(model, frame, &layout);
    for slot in &layout.slots {
        draw_slot(model, frame, slot);
    }
    time_line::draw(model, frame, layout.time_line);
    keybar::draw(model, frame, &layout);
    if let Some(overlay) = &model.overlay {
        overlays::draw(model, frame, &layout, overlay);
    }
}

/// The room of the details, in columns and rows.
pub(super) fn detail_room(model: &Model) -> (u16, u16) {
    let inner = detail_area(&model.layout()).inner(Margin::new(2, 1));
    (inner.width, inner.height)
}

fn detail_area(layout: &Layout) -> Rect {
    let body = layout.slots.iter().map(|slot| slot.area).reduce(Rect::union).unwrap_or_default();
    match layout.class {
        Class::Wide => body.inner(Margin::new(body.width / 16, 1)),
        _ => body,
    }
}

fn too_small(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let said = format!("too small: {}×{}", area.width, area.height);
    let state = model.summary.as_ref().map(|_| header::state(model)).unwrap_or_default();
    let lines = vec![Line::styled(said, model.theme.warn()), state, Line::from("d detaches")];
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_slot(model: &Model, frame: &mut Frame<'_>, slot: &Slot) {
    let focused = model.focus() == slot.shown && !matches!(model.overlay, Some(Overlay::Detail(_)));
    let theme = model.theme;
    let inner = slot.inner();
    // What is in it first: its border tells what is out of sight.
    match slot.shown {
        Pane::Agenda => lists::agenda(model, frame, inner, focused),
        Pane::Commands => lists::commands(model, frame, inner, focused),
        Pane::Exceptions => lists::exceptions(model, frame, inner, focused),
        Pane::Output => output::draw(model, frame, inner),
        Pane::Log => log(model, frame, inner),
        Pane::Prompt => prompt::draw(model, frame, inner, focused),
        Pane::Hot => hot::draw(model, frame, inner, focused),
        Pane::Usage => usage::draw(model, frame, inner),
    }
    let mut block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(border(model, slot.shown, focused))
        .title_top(tabs(model, slot, focused));
    let (above, below) = notes(model, slot.shown, inner);
    if !above.is_empty() {
        block = block.title_top(Line::styled(format!(" {above} "), theme.dim()).alignment(Alignment::Right));
    }
    if !below.is_empty() {
        block = block.title_bottom(Line::styled(format!(" {below} "), theme.dim()).alignment(Alignment::Right));
    }
    frame.render_widget(block, slot.area);
}

fn border(model: &Model, pane: Pane, focused: bool) -> Style {
    match (pane, focused) {
        (Pane::Prompt, true) => model.theme.inject(),
        (_, true) => model.theme.accent(),
        (_, false) => model.theme.border(),
    }
}

fn tabs(model: &Model, slot: &Slot, focused: bool) -> Line<'static> {
    let theme = model.theme;
    if slot.shown == Pane::Prompt {
        return prompt::title(model, focused);
    }
    let mut line = Line::default();
    for (at, tab) in slot.tabs.iter().enumerate() {
        if at > 0 {
            line.push_span(Span::styled("│", theme.border()));
        }
        let raised = *tab == Pane::Exceptions && model.summary.as_ref().is_some_and(|summary| summary.exceptions > 0);
        let base = if raised { theme.bad() } else { theme.text() };
        let style = match (*tab == slot.shown, focused) {
            (true, true) => theme.accent().add_modifier(Modifier::BOLD | Modifier::REVERSED),
            // The border under it is dim.
            (true, false) => base.add_modifier(Modifier::BOLD).remove_modifier(Modifier::DIM),
            (false, _) => base.patch(theme.dim()),
        };
        line.push_span(Span::styled(format!(" {} ", tab.title()), style));
    }
    line
}

/// What stands at the right end of a pane's border, above and below.
fn notes(model: &Model, pane: Pane, inner: Rect) -> (String, String) {
    let following = |follow: bool| if follow { "following" } else { "" };
    match pane {
        Pane::Agenda => {
            let mut below = steering::stops(model);
            below.extend(model.agenda.follow.then(|| "following".into()));
            (model.agenda.position(), below.join(" · "))
        }
        Pane::Commands => (model.commands.position(), following(model.commands.follow).into()),
        Pane::Exceptions => {
            let raised = model.summary.as_ref().map_or(0, |summary| summary.raised);
            let times = if raised > 0 { format!("raised {raised}×") } else { String::new() };
            (model.exceptions.position(), times)
        }
        Pane::Output => output::notes(model, inner),
        Pane::Log => ("engine and window".into(), String::new()),
        Pane::Prompt => (String::new(), prompt::note(model, inner)),
        Pane::Hot => hot::notes(model),
        Pane::Usage => usage::notes(model),
    }
}

fn log(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let widget =
        tui_logger::TuiLoggerWidget::default().formatter(Box::new(Formatter(model.theme))).state(&model.log.state);
    frame.render_widget(widget, area);
}

/// One dim sentence in the middle of an empty pane.
fn empty(model: &Model, frame: &mut Frame<'_>, area: Rect, said: &str) {
    let row = Rect { y: area.y + area.height.saturating_sub(1) / 2, height: area.height.min(1), ..area };
    let said = text::fit(said, usize::from(area.width)).into_owned();
    frame.render_widget(Paragraph::new(said).style(model.theme.dim()).alignment(Alignment::Center), row);
}
