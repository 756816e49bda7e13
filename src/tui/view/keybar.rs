//! The bottom row: a notice until the next key, else what the keys do here.

use crate::tui::actions::{Context, Info, TABLE};
use crate::tui::keymap;
use crate::tui::layout::Layout;
use crate::tui::model::Model;
use crate::tui::overlay::Overlay;
use crate::tui::update::{contexts, enabled};
use crate::tui::{scroll, text};
use ratatui::Frame;
use ratatui::text::{Line, Span};

/// Draws it.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, layout: &Layout) {
    let width = usize::from(layout.keybar.width);
    let line = match (&model.notice, &model.overlay) {
        (Some(notice), _) => {
            let style = if notice.bad { model.theme.bad() } else { model.theme.text() };
            Line::styled(format!(" {}", text::fit(&notice.said, width.saturating_sub(1))), style)
        }
        (None, Some(Overlay::Menu(_))) => {
            hints(model, &[("type", "filter"), ("↑↓", "select"), ("Enter", "do it"), ("Esc", "close")])
        }
        (None, Some(Overlay::Dialog(_))) => hints(model, &[("←→", "select"), ("Enter", "choose"), ("Esc", "cancel")]),
        (None, Some(Overlay::Search { .. })) => hints(model, &[("Enter", "find"), ("Esc", "cancel")]),
        _ => keys(model),
    };
    frame.render_widget(scroll::cut(&line, 0, width), layout.keybar);
}

fn hints(model: &Model, hints: &[(&str, &str)]) -> Line<'static> {
    let mut line = Line::default();
    for (key, label) in hints {
        line.push_span(Span::styled(format!(" {key}"), model.theme.accent()));
        line.push_span(Span::raw(format!(" {label} ")));
    }
    line
}

fn keys(model: &Model) -> Line<'static> {
    let contexts = contexts(model);
    let mut line = Line::default();
    for info in TABLE.iter().filter(|info| !info.bar.is_empty()) {
        let Some(key) = key(info, &contexts) else { continue };
        let label = if info.bar == "hold" && model.summary.as_ref().is_some_and(|summary| summary.held.is_some()) {
            "release"
        } else {
            info.bar
        };
        let dim = enabled(model, info.action).is_err();
        let (first, second) =
            if dim { (model.theme.dim(), model.theme.dim()) } else { (model.theme.accent(), model.theme.text()) };
        line.push_span(Span::styled(format!(" {}", keymap::shown(key)), first));
        line.push_span(Span::styled(format!(" {label} "), second));
    }
    line
}

/// The first of its keys that works here.
fn key(info: &Info, contexts: &[Context]) -> Option<&'static str> {
    info.keys.iter().copied().find(|key| {
        keymap::parse(key).is_some_and(|(code, modifiers)| {
            let pressed = crossterm::event::KeyEvent::new(code, modifiers);
            keymap::lookup(contexts, pressed) == Some(info.action)
        })
    })
}
