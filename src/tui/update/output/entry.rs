//! What is typed below the output: it has its effect with every key, and Esc takes it back.

use super::super::input::{forget_word, type_text};
use super::{take, wish};
use crate::model::{Case, Grep};
use crate::tui::keymap;
use crate::tui::model::Model;
use crate::tui::msg::Effect;
use crate::tui::overlay::Overlay;
use crate::tui::panes::output::entry::{Aim, Entry};
use crate::tui::panes::output::filter::{self, Wish};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Takes a key.
pub(in crate::tui::update) fn key(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let Some(Overlay::Entry(entry)) = &mut model.overlay else { return Vec::new() };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Esc => return give_up(model),
        KeyCode::Char('c') if control => return give_up(model),
        KeyCode::Enter => return enter(model),
        KeyCode::Tab => {
            if let Aim::Save { raw } = &mut entry.aim {
                *raw = !*raw;
            }
            return Vec::new();
        }
        KeyCode::Backspace if entry.text.pop().is_none() => return give_up(model),
        KeyCode::Backspace => {}
        KeyCode::Char('u') if control => entry.text.clear(),
        KeyCode::Char('w') if control => forget_word(&mut entry.text),
        KeyCode::Char(c) if keymap::writes_text(key.code, key.modifiers) => {
            type_text(&mut entry.text, c.encode_utf8(&mut [0; 4]));
        }
        _ => return Vec::new(),
    }
    typed(model)
}

/// Takes pasted text.
pub(in crate::tui::update) fn paste(model: &mut Model, pasted: &str) -> Vec<Effect> {
    let Some(Overlay::Entry(entry)) = &mut model.overlay else { return Vec::new() };
    type_text(&mut entry.text, pasted);
    typed(model)
}

fn give_up(model: &mut Model) -> Vec<Effect> {
    if let Some(Overlay::Entry(entry)) = model.overlay.take()
        && !matches!(entry.aim, Aim::Save { .. })
    {
        model.output.restore(entry.before);
    }
    Vec::new()
}

/// What was typed has its effect; what is wrong leaves the former one in force.
fn typed(model: &mut Model) -> Vec<Effect> {
    let now = model.engine_now();
    let Some(Overlay::Entry(entry)) = &mut model.overlay else { return Vec::new() };
    entry.wrong = None;
    match &entry.aim {
        Aim::Search(_) if entry.text.is_empty() => model.output.seek.forget(),
        Aim::Search(way) => {
            let grep = Grep { pattern: entry.text.clone(), case: Case::Smart, invert: false };
            match filter::compile(&grep) {
                Ok(pattern) => {
                    let among = model.output.among();
                    model.output.seek.search(grep, pattern, *way, among);
                }
                Err(why) => entry.wrong = Some(why),
            }
        }
        Aim::Filter => match Wish::read(&entry.text, now) {
            Ok(wished) => return wish(model, wished),
            Err(why) => entry.wrong = Some(why),
        },
        Aim::Save { .. } => {}
    }
    Vec::new()
}

fn enter(model: &mut Model) -> Vec<Effect> {
    // What is wrong is still to be seen, and to be mended.
    let Some(Overlay::Entry(entry)) = model.overlay.take_if(is_good) else { return Vec::new() };
    let Entry { aim, text, before, .. } = *entry;
    match aim {
        Aim::Search(way) if text.is_empty() => {
            model.output.restore(before);
            model.output.seek.again(way);
        }
        Aim::Save { raw } if !text.trim().is_empty() => return take::save(model, text.trim(), raw),
        Aim::Search(_) | Aim::Filter | Aim::Save { .. } => {}
    }
    Vec::new()
}

fn is_good(overlay: &mut Overlay) -> bool {
    matches!(overlay, Overlay::Entry(entry) if entry.wrong.is_none())
}
