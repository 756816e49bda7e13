//! What stands over the panes.

use super::detail_area;
use crate::model::proto::List;
use crate::tui::actions::{Context, Info};
use crate::tui::layout::{Layout, Pane};
use crate::tui::model::Model;
use crate::tui::overlay::{Dialog, Menu, Overlay};
use crate::tui::panes::detail::Detail;
use crate::tui::save_as::SaveAs;
use crate::tui::{keymap, scroll, text};
use ratatui::Frame;
use ratatui::layout::{Alignment, Margin, Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph, Wrap};

/// Draws one.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, layout: &Layout, overlay: &Overlay) {
    match overlay {
        Overlay::Detail(shown) => detail(model, frame, detail_area(layout), shown),
        Overlay::Menu(shown) => menu(model, frame, frame.area(), shown),
        Overlay::Dialog(shown) => dialog(model, frame, frame.area(), shown),
        Overlay::Search { list, text } => search(model, frame, layout, *list, text),
        Overlay::Entry(entry) => {
            if let Some(slot) = layout.slot_of(Pane::Output) {
                super::output::entry(model, frame, slot, entry);
            }
        }
        Overlay::WayOut { selected } => super::way_out::draw(model, frame, frame.area(), *selected),
        Overlay::Timeouts(form) => super::timeouts::draw(model, frame, frame.area(), form),
        Overlay::Edit(shown) => super::edit::draw(model, frame, detail_area(layout), shown),
        Overlay::SaveAs(save) => save_as(model, frame, layout, save),
        Overlay::Names(pane) => super::names::draw(model, frame, layout, pane),
        Overlay::GoTo { text } => go_to(model, frame, layout, text),
    }
}

/// The border of what stands over the panes.
pub(super) fn frame_of(model: &Model, title: &str) -> Block<'static> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(model.theme.accent())
        .title_top(Line::styled(format!(" {title} "), model.theme.accent().patch(model.theme.strong())))
}

fn detail(model: &Model, frame: &mut Frame<'_>, area: Rect, shown: &Detail) {
    frame.render_widget(Clear, area);
    let inner = area.inner(Margin::new(2, 1));
    let mut block = frame_of(model, &text::fit(&shown.title, usize::from(area.width).saturating_sub(6)));
    if shown.live {
        block = block.title_bottom(Line::styled(" not ended yet ", model.theme.dim()).alignment(Alignment::Right));
    } else if !shown.lines.is_empty() {
        let all = model.summary.as_ref().map_or(0, |summary| summary.diagnoses);
        let saved =
            shown.saved.map_or_else(String::new, |at| format!("diagnosis {} of {} · ", at + 1, all.max(at + 1)));
        let position = format!(" {saved}line {} of {} ", shown.place.line + 1, shown.lines.len());
        block = block.title_bottom(Line::styled(position, model.theme.dim()).alignment(Alignment::Right));
    }
    frame.render_widget(block, area);
    if shown.lines.is_empty() {
        let looking = |since| format!("looking … {}", text::length(model.clock.since(since)));
        super::empty(model, frame, inner, &shown.looking.map_or_else(|| "…".into(), looking));
        return;
    }
    let rows = shown.view((inner.width, inner.height)).seen(shown.lines.as_slice(), shown.place);
    for (at, row) in (0u16..inner.height).zip(rows) {
        frame.render_widget(row, Rect { y: inner.y + at, height: 1, ..inner });
    }
}

/// So much of an area, in its middle.
pub(super) fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

fn menu(model: &Model, frame: &mut Frame<'_>, area: Rect, menu: &Menu) {
    let theme = model.theme;
    let rows = menu.rows();
    let wanted = if menu.palette { 16 } else { area.height.saturating_sub(4) };
    let area = centred(area, 92, wanted.max(6));
    frame.render_widget(Clear, area);
    let title = if menu.palette { "What can be done here" } else { "Help: all keys" };
    let position = format!(" {}/{} ", (menu.selected + 1).min(rows.len()), rows.len());
    let block = frame_of(model, title).title_bottom(Line::styled(position, theme.dim()).alignment(Alignment::Right));
    frame.render_widget(block, area);
    let inner = area.inner(Margin::new(1, 1));
    if inner.height == 0 {
        return;
    }
    let typed = Rect { height: 1, ..inner };
    let filter = text::fit_end(&menu.filter, usize::from(inner.width).saturating_sub(4));
    frame.render_widget(Line::from(vec![Span::styled(" / ", theme.accent()), Span::raw(filter.clone())]), typed);
    frame.set_cursor_position(Position { x: typed.x + 3 + text::cells(text::width(&filter)), y: typed.y });
    let told = inner.height.saturating_sub(1).min(2);
    let body = Rect { y: inner.y + 1, height: inner.height - 1 - told, ..inner };
    if rows.is_empty() {
        super::empty(model, frame, body, "nothing matches");
        return;
    }
    let top = (menu.selected + 1).saturating_sub(usize::from(body.height));
    for (at, (place, info)) in (0u16..body.height).zip(rows.iter().enumerate().skip(top)) {
        let row = Rect { y: body.y + at, height: 1, ..body };
        let selected = place == menu.selected;
        frame.render_widget(menu_row(model, menu, info, selected, usize::from(body.width)), row);
        if selected {
            frame.buffer_mut().set_style(row, theme.selected());
        }
    }
    if let Some(info) = rows.get(menu.selected) {
        // All of what a narrow row had to cut.
        let doc = Line::styled(format!("  {}", info.doc), theme.accent());
        let rows = scroll::wrap(&doc, usize::from(inner.width));
        for (at, row) in (0u16..told).zip(rows) {
            frame.render_widget(row, Rect { y: body.bottom() + at, height: 1, ..inner });
        }
    }
}

fn menu_row(model: &Model, menu: &Menu, info: &Info, selected: bool, width: usize) -> Line<'static> {
    let theme = model.theme;
    let keys = info.keys.iter().map(|key| keymap::shown(key)).collect::<Vec<_>>().join(" ");
    let here = info.contexts.iter().any(|context| menu.contexts.contains(context));
    let place = info.contexts.first().copied().unwrap_or(Context::Anywhere);
    let place = if menu.palette || width < 60 { String::new() } else { text::left(place.title(), 11) };
    let style = if here { theme.text() } else { theme.dim() };
    let room = width.saturating_sub(2 + 16 + text::width(&place) + 19);
    Line::from(vec![
        Span::raw(if selected { "› " } else { "  " }),
        Span::styled(text::left(&keys, 16), theme.accent()),
        Span::styled(place, theme.dim()),
        Span::styled(text::left(info.name, 19), style.patch(theme.strong())),
        Span::styled(text::left(info.doc, room), style),
    ])
}

fn dialog(model: &Model, frame: &mut Frame<'_>, area: Rect, dialog: &Dialog) {
    let theme = model.theme;
    let widest =
        dialog.lines.iter().map(|line| text::width(line)).max().unwrap_or(0).max(text::width(&dialog.title) + 2);
    let width = text::cells(widest + 6).clamp(44, area.width.max(44)).min(area.width);
    let choices = choices(model, dialog, usize::from(width.saturating_sub(4)));
    let inner = usize::from(width.saturating_sub(4)).max(1);
    let rows = |line: &String| match text::width(line) {
        cells if cells <= inner => 1,
        // Words that do not fit leave room behind them.
        cells => cells.div_ceil(inner) + 1,
    };
    let told = dialog.lines.iter().map(rows).sum::<usize>();
    let area = centred(area, width, text::cells(told + choices.len() + 3));
    frame.render_widget(Clear, area);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.warn())
        .title_top(Line::styled(format!(" {} ", dialog.title), theme.warn().patch(theme.strong())));
    frame.render_widget(block, area);
    // The choices must be seen even where the explanation has no room.
    let inner = area.inner(Margin::new(2, 1));
    let rows = text::cells(choices.len()).min(inner.height);
    let above = Rect { height: inner.height - rows, ..inner };
    let lines: Vec<Line<'static>> = dialog.lines.iter().cloned().map(Line::from).collect();
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), above);
    frame.render_widget(Paragraph::new(choices), Rect { y: above.bottom(), height: rows, ..inner });
}

/// The choices in one row, or one a row where that is too narrow.
fn choices(model: &Model, dialog: &Dialog, width: usize) -> Vec<Line<'static>> {
    let theme = model.theme;
    let spans: Vec<Span<'static>> = (0..)
        .zip(&dialog.choices)
        .map(|(at, choice)| {
            let (mark, style) = if at == dialog.selected {
                ("›", theme.selected().patch(theme.strong()))
            } else {
                (" ", theme.text())
            };
            Span::styled(format!("{mark}[{}] {} ", choice.key, choice.label), style)
        })
        .collect();
    let together: usize = spans.iter().map(|span| span.width() + 1).sum();
    if together <= width {
        let gap = || Span::raw(" ");
        return vec![Line::from(spans.into_iter().flat_map(|span| [span, gap()]).collect::<Vec<_>>())];
    }
    spans.into_iter().map(Line::from).collect()
}

fn search(model: &Model, frame: &mut Frame<'_>, layout: &Layout, list: List, typed: &str) {
    let pane = match list {
        List::Agenda => Pane::Agenda,
        List::Commands => Pane::Commands,
        List::Exceptions => Pane::Exceptions,
    };
    let Some(slot) = layout.slot_of(pane) else { return };
    let row = Rect {
        x: slot.area.x + 1,
        y: slot.area.bottom().saturating_sub(1),
        width: slot.area.width.saturating_sub(2),
        height: 1,
    };
    asked(model, frame, row, (" find: ", " find: "), typed);
}

/// Over the last row of the focused pane.
fn save_as(model: &Model, frame: &mut Frame<'_>, layout: &Layout, save: &SaveAs) {
    let Some(slot) = layout.slot_of(model.focus()) else { return };
    let width = slot.area.width.saturating_sub(2);
    let row = Rect { x: slot.area.x + 1, y: slot.area.bottom().saturating_sub(1), width, height: 1 };
    asked(model, frame, row, (&save.saving.question(), " to: "), &save.text);
}

/// Over the time line, or the last row where it has none.
fn go_to(model: &Model, frame: &mut Frame<'_>, layout: &Layout, typed: &str) {
    let row = if layout.time_line.height > 0 { layout.time_line } else { layout.header };
    let questions = (" go to (14:05:09 +10m 50% #1234 item): ", " go to: ");
    asked(model, frame, Rect { height: 1, ..row }, questions, typed);
}

/// A row in which a text is typed; the question is short where the other one would leave no room.
fn asked(model: &Model, frame: &mut Frame<'_>, row: Rect, (question, short): (&str, &str), typed: &str) {
    frame.render_widget(Clear, row);
    let width = usize::from(row.width);
    let question = if text::width(question) + 8 > width { short } else { question };
    let typed = text::fit_end(typed, width.saturating_sub(text::width(question) + 1));
    let line = Line::from(vec![Span::styled(question.to_owned(), model.theme.accent()), Span::raw(typed.clone())]);
    frame.render_widget(line, row);
    let end = text::cells(text::width(question) + text::width(&typed));
    let x = (row.x + end).min(row.right().saturating_sub(1));
    frame.set_cursor_position(Position { x, y: row.y });
}
