//! From a key to an action, by where it is pressed.
//!
//! The special place is asked before the general one (`Agenda`, `List`, `Anywhere`). In a place where text is typed, keys
//! that write a character are never taken by a general one.

use super::actions::{Action, Context, TABLE};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::HashMap;
use std::sync::OnceLock;

type Map = HashMap<(Context, KeyCode, KeyModifiers), Action>;

/// The action of a key pressed where these contexts hold, the most special first.
pub(super) fn lookup(contexts: &[Context], key: KeyEvent) -> Option<Action> {
    static MAP: OnceLock<Map> = OnceLock::new();
    let map = MAP.get_or_init(build);
    let (code, modifiers) = normal(key.code, key.modifiers);
    let types = contexts.contains(&Context::Prompt) && writes_text(code, modifiers);
    contexts
        .iter()
        .filter(|context| !(types && matches!(context, Context::Anywhere | Context::Replay)))
        .find_map(|context| map.get(&(*context, code, modifiers)).copied())
}

/// Whether the key types a character.
pub(super) fn writes_text(code: KeyCode, modifiers: KeyModifiers) -> bool {
    matches!(code, KeyCode::Char(_)) && !modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
}

/// A key of the table as people read it: `ctrl-p` → `Ctrl-P`, `pgup` → `PgUp`.
pub(super) fn shown(key: &str) -> String {
    if let Some(rest) = key.strip_prefix("ctrl-") {
        return format!("Ctrl-{}", shown_upper(rest));
    }
    if let Some(rest) = key.strip_prefix("alt-") {
        return format!("Alt-{}", shown_upper(rest));
    }
    if let Some(rest) = key.strip_prefix("shift-") {
        return format!("Shift-{}", shown_upper(rest));
    }
    match key {
        "backtab" => "Shift-Tab".into(),
        "pgup" => "PgUp".into(),
        "pgdn" => "PgDn".into(),
        "up" => "↑".into(),
        "down" => "↓".into(),
        "left" => "←".into(),
        "right" => "→".into(),
        "space" | "enter" | "tab" | "esc" | "home" | "end" | "f1" | "f2" | "f5" | "f6" => shown_upper(key),
        other => other.into(),
    }
}

fn shown_upper(key: &str) -> String {
    match key {
        "up" | "down" => shown(key),
        _ => key.chars().enumerate().map(|(at, c)| if at == 0 { c.to_ascii_uppercase() } else { c }).collect(),
    }
}

/// A key of the table as the terminal tells it.
pub(super) fn parse(key: &str) -> Option<(KeyCode, KeyModifiers)> {
    let (modifiers, name) = if let Some(name) = key.strip_prefix("ctrl-") {
        (KeyModifiers::CONTROL, name)
    } else if let Some(name) = key.strip_prefix("alt-") {
        (KeyModifiers::ALT, name)
    } else if let Some(name) = key.strip_prefix("shift-") {
        (KeyModifiers::SHIFT, name)
    } else {
        (KeyModifiers::NONE, key)
    };
    let code = match name {
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "tab" => KeyCode::Tab,
        "backtab" => KeyCode::BackTab,
        "space" => KeyCode::Char(' '),
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "pgup" => KeyCode::PageUp,
        "pgdn" => KeyCode::PageDown,
        "home" => KeyCode::Home,
        "end" => KeyCode::End,
        "f1" => KeyCode::F(1),
        "f2" => KeyCode::F(2),
        "f5" => KeyCode::F(5),
        "f6" => KeyCode::F(6),
        "backspace" => KeyCode::Backspace,
        other => {
            let mut chars = other.chars();
            let only = chars.next().filter(|_| chars.next().is_none())?;
            KeyCode::Char(only)
        }
    };
    Some((code, modifiers))
}

/// Terminals differ in whether they tell shift beside a character that it has already changed; only beside the keys that
/// the table has with it, it makes them others.
fn normal(code: KeyCode, modifiers: KeyModifiers) -> (KeyCode, KeyModifiers) {
    let known = KeyModifiers::CONTROL | KeyModifiers::ALT;
    match code {
        KeyCode::Char(c) if modifiers.contains(KeyModifiers::CONTROL) => {
            (KeyCode::Char(c.to_ascii_lowercase()), modifiers & known)
        }
        KeyCode::Up | KeyCode::Down => (code, modifiers & (known | KeyModifiers::SHIFT)),
        _ => (code, modifiers & known),
    }
}

fn build() -> Map {
    let mut map = Map::new();
    for info in TABLE {
        for context in info.contexts {
            for key in info.keys {
                if let Some((code, modifiers)) = parse(key) {
                    map.insert((*context, code, modifiers), info.action);
                }
            }
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::actions::Info;

    #[test]
    fn every_key_of_the_table_is_read_and_free() {
        let mut taken = HashMap::new();
        for info in TABLE {
            for context in info.contexts {
                for key in info.keys {
                    let parsed = parse(key).unwrap_or_else(|| panic!("{key} is not a key"));
                    let before = taken.insert((*context, parsed), info.action);
                    assert_eq!(before, None, "{key} is taken twice in {context:?}");
                }
            }
        }
    }

    #[test]
    fn a_key_of_a_replay_means_nothing_else_in_any_pane() {
        let keys = |wanted: fn(&Context) -> bool| -> HashMap<_, _> {
            let of = |info: &'static Info| info.keys.iter().map(|key| (parse(key), info.name));
            TABLE.iter().filter(|info| info.contexts.iter().any(wanted)).flat_map(of).collect()
        };
        let panes = keys(|context| !matches!(context, Context::Replay | Context::Anywhere));
        for (key, name) in keys(|context| *context == Context::Replay) {
            assert_eq!(panes.get(&key), None, "{key:?} is {name}");
        }
    }

    #[test]
    fn a_typed_character_stays_text_in_the_prompt() {
        let contexts = [Context::Prompt, Context::Anywhere];
        let key = |c, modifiers| KeyEvent::new(KeyCode::Char(c), modifiers);
        assert_eq!(lookup(&contexts, key('q', KeyModifiers::NONE)), None);
        assert_eq!(lookup(&contexts, key('p', KeyModifiers::CONTROL)), Some(Action::Palette));
        assert_eq!(
            lookup(&[Context::Agenda, Context::List, Context::Anywhere], key('S', KeyModifiers::SHIFT)),
            Some(Action::Stop)
        );
    }
}
