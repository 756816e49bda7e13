//! An item's commands are changed: asked for, edited, and given to the session.

use super::perform::not_now;
use crate::model::proto::{Request, Response};
use crate::tui::model::Model;
use crate::tui::msg::{Effect, Purpose};
use crate::tui::overlay::Overlay;
use crate::tui::panes::edit::{EditPane, Stage};
use crate::tui::text;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Opens the commands of an item.
pub(super) fn open(model: &mut Model, name: String) -> Vec<Effect> {
    model.overlay = Some(Overlay::Edit(Box::new(EditPane::new(name.clone()))));
    vec![Effect::Ask(Purpose::Edit(name.clone()), Request::Item { name })]
}

fn pane<'m>(model: &'m mut Model, name: &str) -> Option<&'m mut EditPane> {
    match &mut model.overlay {
        Some(Overlay::Edit(pane)) if pane.name == name => Some(pane),
        _ => None,
    }
}

/// Its commands came.
pub(super) fn loaded(model: &mut Model, name: &str, answer: Result<Response, String>) {
    let Some(pane) = pane(model, name) else { return };
    match answer {
        Ok(Response::Item(item)) => pane.load(&item.commands, item.view.edited),
        Ok(_) => {}
        Err(why) => {
            model.overlay = None;
            model.complain(why);
        }
    }
}

/// They are changed, or why not: then what was typed stays.
pub(super) fn saved(model: &mut Model, name: &str, answer: Result<Response, String>) {
    let pane = pane(model, name);
    match answer {
        Ok(answer) => {
            if pane.is_some() {
                model.overlay = None;
            }
            model.agenda.stir();
            match answer {
                Response::Done { said } if !said.is_empty() => model.say(said),
                _ => model.say("the item's commands are changed, for this session"),
            }
        }
        Err(why) => {
            if let Some(pane) = pane {
                pane.stage = Stage::Editing;
            }
            model.complain(why);
        }
    }
}

/// A key while they are edited.
pub(super) fn key(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let Some(Overlay::Edit(pane)) = &mut model.overlay else { return Vec::new() };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let before = pane.stage;
    if before == Stage::Leaving {
        pane.stage = Stage::Editing;
    }
    let asks = pane.is_changed() && before == Stage::Editing;
    match key.code {
        KeyCode::Char('c') if control && asks => ask_to_leave(model),
        KeyCode::Esc if asks => ask_to_leave(model),
        KeyCode::Char('c') if control => model.overlay = None,
        KeyCode::Esc => model.overlay = None,
        // What is on its way to the session is not changed any more.
        _ if before == Stage::Saving => {}
        KeyCode::Char('s') if control => return save(model),
        KeyCode::F(5) => return save(model),
        KeyCode::Char('r') if control => return reset(model),
        _ => {
            let Some(editor) = &mut pane.editor else { return Vec::new() };
            match key.code {
                KeyCode::Enter => crate::tui::panes::prompt::newline(editor),
                _ => {
                    editor.input(key);
                }
            }
        }
    }
    Vec::new()
}

fn ask_to_leave(model: &mut Model) {
    if let Some(Overlay::Edit(pane)) = &mut model.overlay {
        pane.stage = Stage::Leaving;
    }
    model.say("not saved: Esc again drops the changes, Ctrl-S saves them");
}

/// Pasted text is inserted.
pub(super) fn paste(model: &mut Model, pasted: &str) {
    let Some(Overlay::Edit(pane)) = &mut model.overlay else { return };
    if let Some(editor) = pane.editor.as_mut().filter(|_| pane.stage != Stage::Saving) {
        editor.insert_str(text::for_pasting(pasted));
    }
}

fn save(model: &mut Model) -> Vec<Effect> {
    let Some(Overlay::Edit(pane)) = &model.overlay else { return Vec::new() };
    if !pane.is_changed() {
        model.say("nothing was changed");
        return Vec::new();
    }
    let commands = pane.commands();
    if commands.is_empty() {
        model.complain("an item without commands does nothing; Ctrl-R brings the job's back");
        return Vec::new();
    }
    give(model, Some(commands))
}

fn reset(model: &mut Model) -> Vec<Effect> {
    let Some(Overlay::Edit(pane)) = &mut model.overlay else { return Vec::new() };
    if pane.edited {
        return give(model, None);
    }
    let name = pane.name.clone();
    vec![Effect::Ask(Purpose::Edit(name.clone()), Request::Item { name })]
}

fn give(model: &mut Model, commands: Option<Vec<String>>) -> Vec<Effect> {
    if let Some(why) = not_now(model) {
        model.complain(why);
        return Vec::new();
    }
    let Some(Overlay::Edit(pane)) = &mut model.overlay else { return Vec::new() };
    pane.stage = Stage::Saving;
    let name = pane.name.clone();
    vec![Effect::Ask(Purpose::Edited(name.clone()), Request::Edit { name, commands })]
}
