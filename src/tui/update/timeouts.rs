//! The time-outs: what is typed over them is applied all at once.

use super::input::{forget_word, type_text};
use super::perform::not_now;
use crate::model::Limit;
use crate::model::job::Timeouts;
use crate::model::proto::{Request, Response};
use crate::tui::keymap;
use crate::tui::model::Model;
use crate::tui::msg::{Effect, Purpose};
use crate::tui::overlay::Overlay;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Opens them.
pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    model.overlay = Some(Overlay::Timeouts(Box::default()));
    Vec::new()
}

fn in_force(model: &Model) -> Timeouts {
    model.summary.as_ref().map(|summary| summary.timeouts.clone()).unwrap_or_default()
}

/// A key while they are open.
pub(super) fn key(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let (now, deaf) = (in_force(model), not_now(model));
    let Some(Overlay::Timeouts(form)) = &mut model.overlay else { return Vec::new() };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let last = Limit::ALL.len() - 1;
    match key.code {
        KeyCode::Esc if form.is_changed() => form.forget(),
        KeyCode::Esc => model.overlay = None,
        KeyCode::Char('c') if control => model.overlay = None,
        KeyCode::Up => form.selected = form.selected.checked_sub(1).unwrap_or(last),
        KeyCode::Down => form.selected = if form.selected >= last { 0 } else { form.selected + 1 },
        KeyCode::Enter if !form.is_changed() => model.overlay = None,
        KeyCode::Tab | KeyCode::Backspace | KeyCode::Enter | KeyCode::Char(_) if deaf.is_some() => {
            model.complain(deaf.unwrap_or_default());
        }
        KeyCode::Enter => return apply(model),
        KeyCode::Tab => cycle(model, &now),
        KeyCode::Backspace => {
            form.text(&now, false).pop();
        }
        KeyCode::Char('u') if control => form.text(&now, true).clear(),
        KeyCode::Char('w') if control => forget_word(form.text(&now, false)),
        KeyCode::Char(c) if keymap::writes_text(key.code, key.modifiers) => {
            type_text(form.text(&now, true), c.encode_utf8(&mut [0; 4]));
        }
        _ => {}
    }
    Vec::new()
}

fn cycle(model: &mut Model, now: &Timeouts) {
    let Some(Overlay::Timeouts(form)) = &mut model.overlay else { return };
    if form.cycle(now).is_none() {
        model.say("what start-up and teardown lead to cannot be chosen");
    }
}

/// Pasted text is typed.
pub(super) fn paste(model: &mut Model, pasted: &str) {
    let now = in_force(model);
    if let Some(why) = not_now(model) {
        return model.complain(why);
    }
    if let Some(Overlay::Timeouts(form)) = &mut model.overlay {
        type_text(form.text(&now, true), pasted);
    }
}

fn apply(model: &mut Model) -> Vec<Effect> {
    let Some(Overlay::Timeouts(form)) = &mut model.overlay else { return Vec::new() };
    match form.changes() {
        Ok(changes) => return vec![Effect::Ask(Purpose::Timeouts, Request::SetTimeouts { changes })],
        Err((row, why)) => {
            form.selected = row;
            form.wrong = Some((row, why));
        }
    }
    Vec::new()
}

/// They are changed, or why not: then what was typed stays.
pub(super) fn answered(model: &mut Model, answer: Result<Response, String>) {
    match answer {
        Ok(answer) => {
            if let Some(Overlay::Timeouts(form)) = &mut model.overlay {
                form.forget();
            }
            match answer {
                Response::Done { said } if !said.is_empty() => model.say(said),
                _ => model.say("the time-outs are changed, for this session"),
            }
        }
        Err(why) => model.complain(why),
    }
}
