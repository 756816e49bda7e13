//! The bottom row: a notice until the next key, else what the keys do here.

use crate::tui::actions::{Action, Context, Info, TABLE};
use crate::tui::keymap;
use crate::tui::layout::Layout;
use crate::tui::model::Model;
use crate::tui::overlay::Overlay;
use crate::tui::panes::output::entry::Aim;
use crate::tui::save_as::Saving;
use crate::tui::update::{contexts, enabled, moves_focus, offered};
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
        (None, Some(Overlay::SaveAs(save))) if matches!(save.saving, Saving::Commands(_)) => {
            hints(model, &[("Enter", "write"), ("Tab", "Python file or a job's phase"), ("Esc", "cancel")])
        }
        (None, Some(Overlay::SaveAs(_))) => hints(model, &[("Enter", "write"), ("Esc", "cancel")]),
        (None, Some(Overlay::Names(_))) => hints(
            model,
            &[("type", "filter"), ("↑↓", "select"), ("Enter", "into the prompt"), ("F5", "again"), ("Esc", "close")],
        ),
        (None, Some(Overlay::Entry(entry))) => entry_hints(model, &entry.aim),
        (None, Some(Overlay::WayOut { .. })) => hints(
            model,
            &[("Enter", "try it"), ("a", "all the way"), ("r", "restart the child"), ("w", "why"), ("Esc", "close")],
        ),
        (None, Some(Overlay::Timeouts(_))) => hints(
            model,
            &[("type", "10m, none"), ("Tab", "what it leads to"), ("Enter", "apply"), ("Esc", "drop, close")],
        ),
        (None, Some(Overlay::Edit(_))) => {
            hints(model, &[("Ctrl-S", "save"), ("Ctrl-R", "the job's own"), ("Esc", "close")])
        }
        (None, Some(Overlay::GoTo { .. })) => hints(model, &[("Enter", "go"), ("Esc", "cancel")]),
        _ => keys(model, width),
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

fn entry_hints(model: &Model, aim: &Aim) -> Line<'static> {
    match aim {
        Aim::Search(_) => hints(model, &[("type", "search"), ("Enter", "keep it, then n and N"), ("Esc", "back")]),
        Aim::Filter => hints(model, &[("type", "filter"), ("Enter", "keep it"), ("Ctrl-U", "clear"), ("Esc", "back")]),
        Aim::Save { .. } => hints(model, &[("Enter", "write"), ("Tab", "plain or raw"), ("Esc", "cancel")]),
    }
}

/// The keys of this place at the left, as many as fit; those that must always be found at the right.
fn keys(model: &Model, width: usize) -> Line<'static> {
    let contexts = contexts(model);
    let here = |action| action == Action::Why && contexts.contains(&Context::Why);
    let covered = |action| model.overlay.is_some() && (moves_focus(action) || here(action));
    let shown = |right: bool, room: usize| {
        let mut line = Line::default();
        let listed = |info: &&Info| {
            !info.bar.is_empty() && always(info.action) == right && !covered(info.action) && offered(model, info)
        };
        for info in TABLE.iter().filter(listed) {
            if let Some(key) = key(info, &contexts) {
                let mut longer = line.clone();
                entry(model, info, key, &mut longer);
                if longer.width() <= room {
                    line = longer;
                }
            }
        }
        line
    };
    let right = shown(true, width);
    let room = width.saturating_sub(right.width());
    let mut line = shown(false, room);
    line.push_span(Span::raw(" ".repeat(room.saturating_sub(line.width()))));
    line.spans.extend(right.spans);
    line
}

/// Whether a key must be found in every pane, however little room there is.
fn always(action: Action) -> bool {
    matches!(action, Action::Prompt | Action::LeavePrompt | Action::Help | Action::Detach | Action::Stop)
}

fn entry(model: &Model, info: &Info, key: &str, line: &mut Line<'static>) {
    let held = model.summary.as_ref().is_some_and(|summary| summary.held.is_some());
    let label = match info.action {
        Action::Hold if held => "release",
        Action::Detach if model.is_over() || model.playback().is_some() => "leave",
        Action::Play if model.playback().is_some_and(|playback| playback.playing) => "pause",
        _ => info.bar,
    };
    let (theme, able) = (model.theme, enabled(model, info.action).is_ok());
    let (first, second) = if able { (theme.accent(), theme.text()) } else { (theme.dim(), theme.dim()) };
    line.push_span(Span::styled(format!(" {}", keymap::shown(key)), first));
    line.push_span(Span::styled(format!(" {label} "), second));
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
