//! The names in the child's namespace: one row each.

use super::{detail_area, empty, overlays};
use crate::model::proto::NameInfo;
use crate::tui::layout::Layout;
use crate::tui::model::Model;
use crate::tui::panes::names::{NamesPane, extent};
use crate::tui::text;
use ratatui::Frame;
use ratatui::layout::{Alignment, Margin, Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

/// Cells of a size.
const SIZE: usize = 11;

/// Draws the list.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, layout: &Layout, pane: &NamesPane) {
    let (area, theme) = (detail_area(layout), model.theme);
    frame.render_widget(Clear, area);
    let doing = if pane.asking { " asking … ".to_owned() } else { format!(" {} ", pane.position()) };
    let block = overlays::frame_of(model, "Names in the child")
        .title_bottom(Line::styled(doing, theme.dim()).alignment(Alignment::Right));
    frame.render_widget(block, area);
    let inner = area.inner(Margin::new(1, 1));
    if inner.height == 0 {
        return;
    }
    let typed = Rect { height: 1, ..inner };
    let filter = text::fit_end(&pane.filter, usize::from(inner.width).saturating_sub(4));
    frame.render_widget(Line::from(vec![Span::styled(" / ", theme.accent()), Span::raw(filter.clone())]), typed);
    frame.set_cursor_position(Position { x: typed.x + 3 + text::cells(text::width(&filter)), y: typed.y });
    let told = u16::from(pane.refused.is_some()).min(inner.height - 1);
    if let Some(why) = pane.refused.as_ref().filter(|_| told > 0) {
        let said = text::fit(why, usize::from(inner.width)).into_owned();
        frame.render_widget(Line::styled(said, theme.bad()), Rect { y: inner.bottom() - 1, height: 1, ..inner });
    }
    let body = Rect { y: inner.y + 1, height: inner.height - 1 - told, ..inner };
    let rows = pane.shown();
    if rows.is_empty() {
        let said = match (pane.asking, &pane.refused, pane.filter.is_empty()) {
            (true, _, true) => "…",
            (false, Some(_), true) => "",
            (_, _, true) => "no names so far",
            (_, _, false) => "nothing matches",
        };
        empty(model, frame, body, said);
        return;
    }
    let top = (pane.selected() + 1).saturating_sub(usize::from(body.height));
    for (at, (place, name)) in (0u16..body.height).zip(rows.iter().enumerate().skip(top)) {
        let row = Rect { y: body.y + at, height: 1, ..body };
        let selected = place == pane.selected();
        frame.render_widget(name_row(model, name, selected, usize::from(body.width)), row);
        if selected {
            frame.buffer_mut().set_style(row, theme.selected());
        }
    }
}

fn name_row(model: &Model, info: &NameInfo, selected: bool, width: usize) -> Line<'static> {
    let theme = model.theme;
    // A narrow list tells the name and the type; the sizes come with the room for them.
    let size = if width >= 60 { SIZE } else { 0 };
    let length = if width >= 60 { 18 } else { 0 };
    let room = width.saturating_sub(3 + size + length);
    let name = room / 2;
    let bytes = info.size.map(text::bytes).unwrap_or_default();
    Line::from(vec![
        Span::raw(if selected { "›" } else { " " }),
        Span::styled(text::left(&text::one_line(&info.name), name), theme.strong()),
        Span::raw(" "),
        Span::styled(text::left(&text::one_line(&info.kind), room - name), theme.accent()),
        Span::raw(" "),
        Span::raw(text::right(&extent(info), length)),
        Span::styled(text::right(&bytes, size), theme.dim()),
    ])
}
