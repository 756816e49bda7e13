//! A text that goes into a file: its name being typed, and what becomes of it.

use super::{input, record};
use crate::tui::keymap;
use crate::tui::model::Model;
use crate::tui::msg::Effect;
use crate::tui::overlay::{Choice, Dialog, Overlay};
use crate::tui::save::SaveError;
use crate::tui::save_as::Saving;
use crate::tui::text;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::path::{Path, PathBuf};

/// A key while the name is typed.
pub(super) fn key(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let Some(Overlay::SaveAs(save)) = &mut model.overlay else { return Vec::new() };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Esc => model.overlay = None,
        KeyCode::Char('c') if control => model.overlay = None,
        KeyCode::Enter if !save.text.trim().is_empty() => {
            let (saving, path) = (save.saving.clone(), save.text.trim().to_owned());
            model.overlay = None;
            return match saving {
                Saving::Commands(chosen) => record::gather(model, chosen, path),
                Saving::Stacks(_) => vec![Effect::Write { saving, path, replace: false }],
            };
        }
        KeyCode::Tab => {
            if let Saving::Commands(chosen) = &mut save.saving {
                chosen.turn();
            }
        }
        KeyCode::Backspace => {
            save.text.pop();
        }
        KeyCode::Char('u') if control => save.text.clear(),
        KeyCode::Char(c) if keymap::writes_text(key.code, key.modifiers) => {
            input::type_text(&mut save.text, c.encode_utf8(&mut [0; 4]));
        }
        _ => {}
    }
    Vec::new()
}

/// Asks before a file is lost.
pub(super) fn ask_to_overwrite(model: &mut Model, whole: &Path, effect: Effect) {
    let shown = text::one_line(&whole.to_string_lossy()).into_owned();
    let lines = vec![shown, "What it holds now would be lost.".into()];
    let choices = vec![Choice { key: 'o', label: "overwrite", effect: Some(effect) }];
    model.overlay = Some(Overlay::Dialog(Dialog::new("Overwrite the file?", lines, choices)));
}

/// It is written, or could not be.
pub(super) fn saved(model: &mut Model, saving: Saving, path: String, saved: Result<PathBuf, SaveError>) {
    match saved {
        Ok(whole) => {
            if matches!(saving, Saving::Commands(_)) {
                model.recording.forget();
            }
            model.say(format!("written to {}", whole.display()));
        }
        Err(SaveError::Exists(whole)) if model.overlay.is_none() => {
            ask_to_overwrite(model, &whole, Effect::Write { saving, path, replace: true });
        }
        Err(why) => model.complain(why.to_string()),
    }
}
