//! Placeholders of arguments and environment variables. Unlike in commands a value goes in as plain text: no shell and
//! no Python reads it, an argument stays one argument whatever is in it.

use super::recipe::Argument;
use serde_json::Value;
use std::ffi::{OsStr, OsString};

/// What placeholders stand for.
pub(super) trait Lookup {
    /// A parameter's or setting's value.
    fn value(&self, key: &str) -> Option<Value>;
    /// The bootstrapper's path or the port.
    fn launch(&self, key: &str) -> Option<OsString>;
}

/// The placeholders of a text with their offsets; `{{` and `}}` are braces.
pub(super) fn placeholders(text: &str) -> impl Iterator<Item = (usize, &str)> {
    pieces(text).filter_map(|piece| match piece {
        Piece::Key(offset, key) => Some((offset, key)),
        Piece::Plain(_) => None,
    })
}

/// The arguments for these values.
pub(super) fn expand(arguments: &[Argument], lookup: &dyn Lookup) -> Vec<OsString> {
    let mut words = Vec::new();
    for argument in arguments {
        let left_out = argument.guard.as_ref().is_some_and(|guard| !guard.holds(lookup.value(guard.key()).as_ref()));
        for word in argument.words.iter().filter(|_| !left_out) {
            match whole(word).and_then(|key| lookup.value(key)) {
                Some(Value::Array(values)) => words.extend(values.iter().map(text_of)),
                _ => words.push(fill(word, lookup)),
            }
        }
    }
    words
}

/// A text with its values.
pub(super) fn fill(text: &str, lookup: &dyn Lookup) -> OsString {
    let mut filled = OsString::new();
    for piece in pieces(text) {
        match piece {
            Piece::Plain(text) => filled.push(OsStr::new(text)),
            Piece::Key(_, key) => match (lookup.launch(key), lookup.value(key)) {
                (Some(text), _) => filled.push(text),
                (None, Some(value)) => filled.push(text_of(&value)),
                (None, None) => {}
            },
        }
    }
    filled
}

fn text_of(value: &Value) -> OsString {
    match value.as_str() {
        Some(text) => text.into(),
        None => value.to_string().into(),
    }
}

/// The key, if a text is nothing but one placeholder.
fn whole(text: &str) -> Option<&str> {
    let mut pieces = pieces(text);
    match (pieces.next(), pieces.next()) {
        (Some(Piece::Key(_, key)), None) => Some(key),
        _ => None,
    }
}

enum Piece<'t> {
    Plain(&'t str),
    Key(usize, &'t str),
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let (piece, length) = if rest.starts_with("{{") || rest.starts_with("}}") {
            (Piece::Plain(&rest[..1]), 2)
        } else if let Some(key) = key_at(rest) {
            (Piece::Key(at, key), key.len() + 2)
        } else {
            let length = rest[1..].find(['{', '}']).map_or(rest.len(), |next| next + 1);
            (Piece::Plain(&rest[..length]), length)
        };
        at += length;
        Some(piece)
    })
}

fn key_at(text: &str) -> Option<&str> {
    let key = text.strip_prefix('{')?;
    let key = &key[..key.find('}')?];
    (!key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::super::recipe::Guard;
    use super::*;
    use serde_json::json;

    struct Some5;

    impl Lookup for Some5 {
        fn value(&self, key: &str) -> Option<Value> {
            match key {
                "n" => Some(json!(5)),
                "text" => Some(json!("{n} $(x)")),
                "list" => Some(json!(["a b", "c"])),
                "off" => Some(json!(false)),
                _ => None,
            }
        }

        fn launch(&self, key: &str) -> Option<OsString> {
            (key == "port").then(|| "99".into())
        }
    }

    fn argument(when: Option<&str>, words: &[&str]) -> Argument {
        let guard = when.map(|key| match key.strip_prefix('!') {
            Some(key) => Guard::Unless(key.into()),
            None => Guard::When(key.into()),
        });
        Argument { guard, words: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    #[test]
    fn values_stay_one_argument_and_lists_are_spliced() {
        let arguments = [
            argument(None, &["--x={n}", "{text}", "{list}", "{{n}} }} é{"]),
            argument(Some("off"), &["--off"]),
            argument(Some("absent"), &["--absent", "{absent}"]),
            argument(Some("n"), &["--on", "{port}"]),
            argument(Some("!n"), &["--not-on"]),
            argument(Some("!off"), &["--not-off"]),
        ];
        let words = expand(&arguments, &Some5);
        assert_eq!(words, ["--x=5", "{n} $(x)", "a b", "c", "{n} } é{", "--on", "99", "--not-off"]);
    }
}
