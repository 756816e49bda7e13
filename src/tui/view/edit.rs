//! An item's commands while they are edited.

use super::overlays::frame_of;
use crate::tui::model::Model;
use crate::tui::panes::edit::{BETWEEN, EditPane, Stage};
use crate::tui::text;
use ratatui::Frame;
use ratatui::layout::{Alignment, Margin, Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::Clear;

/// The fewest columns that have room for a key, too.
const KEYS: u16 = 60;

/// Draws it.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect, shown: &EditPane) {
    let theme = model.theme;
    frame.render_widget(Clear, area);
    let inner = area.inner(Margin::new(2, 1));
    let many = text::plural(shown.commands().len() as u64, "command");
    let title = format!("edit {}: {many}", text::one_line(&shown.name));
    let mut block = frame_of(model, &text::fit(&title, usize::from(area.width).saturating_sub(6)));
    let state = match (shown.stage == Stage::Saving, shown.is_changed(), shown.edited) {
        (true, _, _) => "saving …",
        (false, true, _) => "not saved",
        (false, false, true) => "edited before",
        (false, false, false) => "the job's own",
    };
    block = block.title_bottom(Line::styled(format!(" {state} "), theme.dim()).alignment(Alignment::Right));
    let hint = if shown.lossy {
        Line::styled(" characters that no terminal is shown were left out ", theme.bad())
    } else {
        let keys = if area.width < KEYS { String::new() } else { " · Ctrl-S saves".into() };
        Line::styled(format!(" {BETWEEN} between commands{keys} "), theme.dim())
    };
    frame.render_widget(block.title_bottom(hint), area);
    let Some(editor) = &shown.editor else {
        super::empty(model, frame, inner, "…");
        return;
    };
    frame.render_widget(editor, inner);
    let (cursor, (top, left)) = (editor.screen_cursor(), editor.scroll_offset());
    let x = inner.x.saturating_add(text::cells(cursor.col).saturating_sub(left));
    let y = inner.y.saturating_add(text::cells(cursor.row).saturating_sub(top));
    if inner.contains(Position { x, y }) {
        frame.set_cursor_position(Position { x, y });
    }
}
