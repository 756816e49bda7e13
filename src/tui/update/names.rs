//! The names in the child: asking for them, and what is typed over them.

use super::input;
use crate::model::proto::{Request, Response};
use crate::tui::keymap;
use crate::tui::layout::Pane;
use crate::tui::model::Model;
use crate::tui::msg::{Effect, Purpose};
use crate::tui::overlay::Overlay;
use crate::tui::panes::names::NamesPane;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Rows of a page.
const PAGE: isize = 10;

/// Opens the list.
pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    model.overlay = Some(Overlay::Names(Box::new(NamesPane::new())));
    vec![Effect::Ask(Purpose::Names, Request::Names)]
}

/// Takes the answer.
pub(super) fn answered(model: &mut Model, answer: Result<Response, String>) {
    let Some(Overlay::Names(pane)) = &mut model.overlay else { return };
    pane.take(match answer {
        Ok(Response::Names { names, more }) => Ok((names, more)),
        Ok(_) => Err("the engine's answer was not understood".to_owned()),
        Err(why) => Err(why),
    });
}

/// A key while the list is open.
pub(super) fn key(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let Some(Overlay::Names(pane)) = &mut model.overlay else { return Vec::new() };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Esc => model.overlay = None,
        KeyCode::Char('c') if control => model.overlay = None,
        KeyCode::Char('r') if control && !pane.asking => return ask_again(pane),
        KeyCode::F(5) if !pane.asking => return ask_again(pane),
        KeyCode::Up => pane.step(-1),
        KeyCode::Down => pane.step(1),
        KeyCode::PageUp => pane.step(-PAGE),
        KeyCode::PageDown => pane.step(PAGE),
        KeyCode::Home => pane.step(isize::MIN),
        KeyCode::End => pane.step(isize::MAX),
        KeyCode::Enter => return into_prompt(model),
        KeyCode::Backspace => {
            pane.filter.pop();
            pane.typed();
        }
        KeyCode::Char('u') if control => {
            pane.filter.clear();
            pane.typed();
        }
        KeyCode::Char(c) if keymap::writes_text(key.code, key.modifiers) => {
            input::type_text(&mut pane.filter, c.encode_utf8(&mut [0; 4]));
            pane.typed();
        }
        _ => {}
    }
    Vec::new()
}

fn ask_again(pane: &mut NamesPane) -> Vec<Effect> {
    pane.asking = true;
    vec![Effect::Ask(Purpose::Names, Request::Names)]
}

/// The selected name is typed into the prompt, where one may type.
fn into_prompt(model: &mut Model) -> Vec<Effect> {
    let Some(Overlay::Names(pane)) = &model.overlay else { return Vec::new() };
    let name = pane.shown().get(pane.selected()).map(|row| row.name.clone());
    model.overlay = None;
    match (name, model.only_looks()) {
        (Some(name), None) if model.prompt.checking.is_none() => {
            model.prompt.insert(&name);
            model.focus_on(Pane::Prompt);
        }
        (Some(_), Some(why)) => model.complain(why),
        _ => {}
    }
    Vec::new()
}
