//! Keys, pastes and the mouse.

use super::perform::{self, perform};
use super::{answers, edit, ladder, names, output, save_as, side, timeouts, travel, update};
use crate::tui::actions::{Action, Context};
use crate::tui::keymap;
use crate::tui::layout::{Class, Pane};
use crate::tui::model::Model;
use crate::tui::msg::{Effect, Msg, Search};
use crate::tui::overlay::Overlay;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Size};

/// Rows that one notch of the wheel scrolls.
const WHEEL: i64 = 3;
/// The longest text of a filter, a search or a file's name, in characters.
const TYPED: usize = 200;

/// Takes an event of the terminal.
pub(super) fn input(model: &mut Model, event: Event) -> Vec<Effect> {
    match event {
        Event::Resize(width, height) => {
            model.size = Size { width, height };
            // In a storm of sizes the last may be the first again, while the terminal has lost what it showed.
            vec![Effect::Redraw]
        }
        Event::Key(key) if key.kind != KeyEventKind::Release => pressed(model, key),
        Event::Paste(pasted) => paste(model, &pasted),
        Event::Mouse(mouse) => clicked(model, mouse),
        _ => Vec::new(),
    }
}

/// Handles what was typed while the child was asked, up to the next question.
pub(super) fn replay(model: &mut Model) -> Vec<Effect> {
    let mut effects = Vec::new();
    while model.prompt.checking.is_none() {
        let Some(event) = model.prompt.deferred.pop_front() else { break };
        effects.extend(update(model, Msg::Input(event)));
    }
    effects
}

/// Where a key is pressed now, the most special place first.
pub(in crate::tui) fn contexts(model: &Model) -> Vec<Context> {
    let mut contexts = match (&model.overlay, model.focus()) {
        (Some(Overlay::Detail(detail)), _) if detail.what.is_why() => vec![Context::Why, Context::Detail],
        (Some(Overlay::Detail(_)), _) => vec![Context::Detail],
        (_, Pane::Agenda) => vec![Context::Agenda, Context::List],
        (_, Pane::Commands) => vec![Context::Commands, Context::List],
        (_, Pane::Exceptions) => vec![Context::Exceptions, Context::List],
        (_, Pane::Output) if model.output.selection.is_some() => vec![Context::Selection, Context::Output],
        (_, Pane::Output) => vec![Context::Output],
        (_, Pane::Log) => vec![Context::Log],
        (_, Pane::Prompt) => vec![Context::Prompt],
        (_, Pane::Hot) => vec![Context::Hot],
        (_, Pane::Usage) => vec![Context::Usage],
    };
    contexts.extend(model.playback().map(|_| Context::Replay));
    contexts.push(Context::Anywhere);
    contexts
}

fn pressed(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    model.notice = None;
    let global = keymap::lookup(&[Context::Anywhere], key);
    if let Some(action @ (Action::Suspend | Action::Redraw)) = global {
        return perform(model, action);
    }
    match &model.overlay {
        Some(Overlay::Menu(_)) => return menu_key(model, key),
        Some(Overlay::Dialog(_)) => return dialog_key(model, key),
        Some(Overlay::Search { .. }) => return search_key(model, key),
        Some(Overlay::Entry(_)) => return output::entry_key(model, key),
        Some(Overlay::Names(_)) => return names::key(model, key),
        Some(Overlay::SaveAs(_)) => return save_as::key(model, key),
        Some(Overlay::GoTo { .. }) => return travel::go_to_key(model, key),
        Some(Overlay::WayOut { .. }) => return ladder::key(model, key),
        Some(Overlay::Timeouts(_)) => return timeouts::key(model, key),
        Some(Overlay::Edit(_)) => return edit::key(model, key),
        Some(Overlay::Detail(_)) | None => {}
    }
    let typing = model.focus() == Pane::Prompt && model.overlay.is_none();
    let action = keymap::lookup(&contexts(model), key);
    if typing && model.prompt.checking.is_some() {
        return while_checking(model, key, action);
    }
    match action {
        Some(action) if model.overlay.is_some() && perform::moves_focus(action) => Vec::new(),
        Some(action) => perform(model, action),
        None if typing => {
            let deaf = model.only_looks().filter(|_| keymap::writes_text(key.code, key.modifiers));
            if let Some(why) = deaf {
                model.complain(format!("{why}; Esc leaves the prompt"));
            } else {
                model.prompt.completion = None;
                model.prompt.editor.input(key);
            }
            Vec::new()
        }
        None => Vec::new(),
    }
}

fn while_checking(model: &mut Model, key: KeyEvent, action: Option<Action>) -> Vec<Effect> {
    if let Some(Action::LeavePrompt | Action::InterruptOrClear) = action {
        model.prompt.checking = None;
        model.prompt.deferred.clear();
        model.say("not asked any more; nothing was run");
    } else {
        model.prompt.defer(Event::Key(key));
    }
    Vec::new()
}

fn paste(model: &mut Model, pasted: &str) -> Vec<Effect> {
    let typing = model.focus() == Pane::Prompt;
    match &mut model.overlay {
        Some(Overlay::Menu(menu)) => type_text(&mut menu.filter, pasted),
        Some(Overlay::SaveAs(save)) => type_text(&mut save.text, pasted),
        Some(Overlay::Names(pane)) => {
            type_text(&mut pane.filter, pasted);
            pane.typed();
        }
        Some(Overlay::Search { text, .. } | Overlay::GoTo { text }) => type_text(text, pasted),
        Some(Overlay::Entry(_)) => return output::entry_paste(model, pasted),
        Some(Overlay::Timeouts(_)) => timeouts::paste(model, pasted),
        Some(Overlay::Edit(_)) => edit::paste(model, pasted),
        Some(_) => {}
        None if typing && model.prompt.checking.is_some() => {
            model.prompt.defer(Event::Paste(pasted.into()));
        }
        None if typing => match model.only_looks() {
            Some(why) => model.complain(format!("{why}; Esc leaves the prompt")),
            None => model.prompt.insert(pasted),
        },
        // A paste elsewhere would be taken for keys; it goes nowhere instead.
        None => model.say("pasted text is taken in the prompt only (i)"),
    }
    Vec::new()
}

/// Takes away the last word.
pub(super) fn forget_word(text: &mut String) {
    let kept = text.trim_end().rfind(' ').map_or(0, |blank| blank + 1);
    text.truncate(kept);
}

/// Adds what was typed, as far as there is room for it.
pub(super) fn type_text(text: &mut String, typed: &str) {
    let room = TYPED.saturating_sub(text.chars().count());
    text.extend(typed.chars().filter(|c| !crate::tui::text::is_hostile(*c)).take(room));
}

fn menu_key(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let Some(Overlay::Menu(menu)) = &mut model.overlay else { return Vec::new() };
    let last = menu.rows().len().saturating_sub(1);
    match key.code {
        KeyCode::Esc => model.overlay = None,
        KeyCode::Up => menu.selected = menu.selected.saturating_sub(1),
        KeyCode::Down => menu.selected = (menu.selected + 1).min(last),
        KeyCode::PageUp => menu.selected = menu.selected.saturating_sub(10),
        KeyCode::PageDown => menu.selected = (menu.selected + 10).min(last),
        KeyCode::Backspace => {
            menu.filter.pop();
            menu.selected = 0;
        }
        KeyCode::Enter => {
            let chosen = menu.chosen();
            let back = contexts(model);
            model.overlay = None;
            if let Some(action) = chosen {
                return perform(model, action);
            }
            let here = back.first().map_or("here", |context| context.title());
            model.say(format!("that cannot be done from {here}"));
        }
        KeyCode::Char(c) if keymap::writes_text(key.code, key.modifiers) => {
            type_text(&mut menu.filter, c.encode_utf8(&mut [0; 4]));
            menu.selected = 0;
        }
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => model.overlay = None,
        _ => {}
    }
    Vec::new()
}

fn dialog_key(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let Some(Overlay::Dialog(dialog)) = &mut model.overlay else { return Vec::new() };
    let last = dialog.choices.len().saturating_sub(1);
    let chosen = match key.code {
        KeyCode::Esc => last,
        KeyCode::Left | KeyCode::Up | KeyCode::BackTab => {
            dialog.selected = dialog.selected.checked_sub(1).unwrap_or(last);
            return Vec::new();
        }
        KeyCode::Right | KeyCode::Down | KeyCode::Tab => {
            dialog.selected = if dialog.selected >= last { 0 } else { dialog.selected + 1 };
            return Vec::new();
        }
        KeyCode::Enter => dialog.selected,
        KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::CONTROL) && c == 'c' => last,
        KeyCode::Char(c) => match dialog.choices.iter().position(|choice| choice.key == c) {
            Some(at) => at,
            None => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let effect = dialog.choices.get(chosen).and_then(|choice| choice.effect.clone());
    model.overlay = None;
    effect.map_or_else(Vec::new, |effect| side::chosen(model, effect))
}

fn search_key(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let Some(Overlay::Search { list, text }) = &mut model.overlay else { return Vec::new() };
    match key.code {
        KeyCode::Esc => model.overlay = None,
        KeyCode::Enter => {
            let search = Search { list: *list, text: text.clone(), forward: true, wrapped: false };
            model.overlay = None;
            if search.text.is_empty() {
                return Vec::new();
            }
            let from = perform::selected(model, search.list).saturating_add(1);
            model.search = Some(search.clone());
            return vec![answers::find(model, search, from)];
        }
        KeyCode::Backspace => {
            text.pop();
        }
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => model.overlay = None,
        KeyCode::Char(c) if keymap::writes_text(key.code, key.modifiers) => type_text(text, c.encode_utf8(&mut [0; 4])),
        _ => {}
    }
    Vec::new()
}

fn clicked(model: &mut Model, mouse: MouseEvent) -> Vec<Effect> {
    let by = match mouse.kind {
        MouseEventKind::ScrollUp => -WHEEL,
        MouseEventKind::ScrollDown => WHEEL,
        MouseEventKind::Down(MouseButton::Left) => 0,
        MouseEventKind::Drag(MouseButton::Left) => {
            dragged(model, mouse.row);
            return Vec::new();
        }
        MouseEventKind::Up(MouseButton::Left) => {
            model.output.pressed = None;
            return Vec::new();
        }
        _ => return Vec::new(),
    };
    match &mut model.overlay {
        Some(Overlay::Detail(_)) => perform::scroll_detail(model, by),
        Some(_) => {}
        None => {
            let at = Position { x: mouse.column, y: mouse.row };
            if let Some(effects) = Some(at).filter(|_| by == 0).and_then(|at| travel::clicked(model, at)) {
                return effects;
            }
            clicked_pane(model, mouse, by);
        }
    }
    Vec::new()
}

fn clicked_pane(model: &mut Model, mouse: MouseEvent, by: i64) {
    let layout = model.layout();
    if layout.class == Class::TooSmall {
        return;
    }
    let at = Position { x: mouse.column, y: mouse.row };
    let Some(slot) = layout.slots.iter().find(|slot| slot.area.contains(at)) else { return };
    if by != 0 {
        perform::scroll(model, slot.shown, by);
        return;
    }
    let on_title = mouse.row == slot.area.y;
    let pane = if on_title { slot.tab_at(mouse.column).unwrap_or(slot.shown) } else { slot.shown };
    model.focus_on(pane);
    if !on_title && slot.inner().contains(at) {
        perform::select_row(model, pane, u32::from(mouse.row - slot.inner().y));
    }
}

/// Lines of the output are selected from where the button went down to here; above and below the pane, it scrolls.
fn dragged(model: &mut Model, row: u16) {
    let Some(inner) = model.layout().inner(Pane::Output).filter(|_| model.overlay.is_none()) else { return };
    let Some((output, look)) = model.output_in_sight() else { return };
    let by = match row {
        row if row < inner.y => -1,
        row if row >= inner.bottom() => 1,
        _ => 0,
    };
    output.drag(usize::from(row.saturating_sub(inner.y)), by, look);
}
