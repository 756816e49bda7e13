//! `QB_CONVERT_PATH(path)` in a command: the path as it is called here.
//!
//! The token is text in Python, mostly inside of a string literal. What it becomes is written so that the literal stays
//! one: quotes and backslashes are escaped as that literal has them, and no quotes are added for blanks. Where a token
//! stands in code it becomes a literal of its own. What was put in is not looked at again, so that there is no circle.

use crate::job::literal;
use crate::job::python::{Kind, Region, regions};
use crate::job::template::TemplateError;
use crate::model::PathMap;
use serde_json::Value;

const TOKEN: &str = "QB_CONVERT_PATH";

/// The command with the paths of this machine.
pub(in crate::job) fn convert(command: &str, map: &PathMap) -> Result<String, TemplateError> {
    if !command.contains(TOKEN) {
        return Ok(command.to_owned());
    }
    let regions = regions(command, false);
    let mut text = String::with_capacity(command.len());
    let mut done = 0;
    while let Some(at) = command[done..].find(TOKEN).map(|found| done + found) {
        let region = regions.iter().find(|region| region.range.contains(&at));
        let place = region.map_or(Place::Code, |region| Place::of(region, command));
        let limit = region.map_or(command.len(), |region| region.range.end);
        let failed = |message: String| TemplateError { offset: at, message };
        let (path, end) = argument(command, at + TOKEN.len(), limit).map_err(|why| failed(why.to_owned()))?;
        text.push_str(&command[done..at]);
        place.write(path, map, &mut text).map_err(failed)?;
        done = end;
    }
    text.push_str(&command[done..]);
    Ok(text)
}

/// What stands in the parentheses, and where they end. They may be nested: a path may have some.
fn argument(command: &str, open: usize, limit: usize) -> Result<(&str, usize), &'static str> {
    let rest = &command[open..limit.max(open)];
    if !rest.starts_with('(') {
        return Err("QB_CONVERT_PATH needs a path in parentheses right after it");
    }
    let mut depth = 0_usize;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 1 => {
                let path = rest[1..at].trim();
                return if path.is_empty() {
                    Err("QB_CONVERT_PATH() has no path in it")
                } else {
                    Ok((path, open + at + 1))
                };
            }
            b')' => depth -= 1,
            b'\n' | b'\r' => break,
            _ => {}
        }
    }
    Err("QB_CONVERT_PATH( has no closing parenthesis on its line, or in its string")
}

/// Where a token stands.
#[derive(Clone, Copy)]
enum Place {
    Code,
    Comment,
    Literal { quote: char, raw: bool, formatted: bool },
}

impl Place {
    fn of(region: &Region, command: &str) -> Self {
        let Kind::Text { formatted } = region.kind else { return Self::Comment };
        let literal = &command[region.range.clone()];
        let (prefix, quote) = match literal.find(['\'', '"']) {
            Some(at) => (&literal[..at], if literal[at..].starts_with('"') { '"' } else { '\'' }),
            None => ("", '\''),
        };
        Self::Literal { quote, raw: prefix.contains(['r', 'R']), formatted }
    }

    fn write(self, path: &str, map: &PathMap, into: &mut String) -> Result<(), String> {
        match self {
            Self::Comment => into.push_str(map.map(path).as_deref().unwrap_or(path)),
            Self::Code => {
                let bare = unquoted(path);
                match map.map(bare) {
                    None if bare.len() < path.len() => into.push_str(&with_whole_escapes(path)),
                    mapped => into.push_str(&literal::of(&Value::from(mapped.as_deref().unwrap_or(bare)))),
                }
            }
            Self::Literal { quote, raw: true, formatted } => {
                let path = map.map(path).unwrap_or_else(|| path.to_owned());
                if path.contains(quote) || path.ends_with('\\') {
                    return Err(format!("the path {path:?} cannot stand in a raw string: leave the r out"));
                }
                push(&path, None, formatted, into);
            }
            Self::Literal { quote, raw: false, formatted } => match map.map(path) {
                Some(path) => push(&path, Some(quote), formatted, into),
                None => into.push_str(&with_whole_escapes(path)),
            },
        }
        Ok(())
    }
}

fn push(path: &str, quote: Option<char>, formatted: bool, into: &mut String) {
    for c in path.chars() {
        if quote.is_some_and(|quote| c == quote || c == '\\') {
            into.push('\\');
        }
        if formatted && matches!(c, '{' | '}') {
            into.push(c);
        }
        into.push(c);
    }
}

fn unquoted(path: &str) -> &str {
    let inner = |quote: char| path.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(path)
}

/// Text of a literal in which each single backslash means itself, though nobody has escaped it.
fn with_whole_escapes(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let run = rest[at..].len() - rest[at..].trim_start_matches('\\').len();
        whole.push_str(&rest[..at + run]);
        // A path that ends in one would take the literal's quote with it.
        if run % 2 == 1 {
            whole.push('\\');
        }
        rest = &rest[at + run..];
    }
    whole.push_str(rest);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PathRule;
    use proptest::prelude::*;

    fn converted(command: &str) -> String {
        let mut map = PathMap::default();
        for (from, to) in [("/show", "/mnt/my show"), (r"Z:\show", "/mnt/it's"), ("/loop", "/QB_CONVERT_PATH(/loop)")] {
            map.add(PathRule::new(from, to).expect("sound"));
        }
        convert(command, &map).unwrap_or_else(|error| format!("{}: {}", error.offset, error.message))
    }

    #[test]
    fn a_token_in_a_string_stays_in_its_string() {
        for (command, wanted) in [
            ("open('QB_CONVERT_PATH(/show/a.ma)')", "open('/mnt/my show/a.ma')"),
            ("open('QB_CONVERT_PATH( /show/a (1).ma )', 1)", "open('/mnt/my show/a (1).ma', 1)"),
            (r"open('QB_CONVERT_PATH(Z:\show\new.ma)')", r"open('/mnt/it\'s/new.ma')"),
            (r#"open("QB_CONVERT_PATH(Z:\\show\\new.ma)")"#, r#"open("/mnt/it's/new.ma")"#),
            (r"open(r'QB_CONVERT_PATH(/show/a)')", r"open(r'/mnt/my show/a')"),
            (r"open('QB_CONVERT_PATH(Y:\temp\\)')", r"open('Y:\\temp\\')"),
            ("open('QB_CONVERT_PATH(/else/where)')", "open('/else/where')"),
            ("open(QB_CONVERT_PATH(/show/a))", "open('/mnt/my show/a')"),
            ("open(QB_CONVERT_PATH(\"/show/a b\"))", "open('/mnt/my show/a b')"),
            ("f('QB_CONVERT_PATH(/show)', 'QB_CONVERT_PATH(/show/b)')", "f('/mnt/my show', '/mnt/my show/b')"),
            ("x = 1 # QB_CONVERT_PATH(/show/a)\n", "x = 1 # /mnt/my show/a\n"),
            ("f('QB_CONVERT_PATH(/loop/a)')", "f('/QB_CONVERT_PATH(/loop)/a')"),
            ("print('{x}')", "print('{x}')"),
        ] {
            assert_eq!(converted(command), wanted, "{command}");
        }
    }

    #[test]
    fn what_is_malformed_is_told_with_its_place() {
        assert!(converted("f('QB_CONVERT_PATH')").starts_with("3: QB_CONVERT_PATH needs a path"));
        assert!(converted("f('QB_CONVERT_PATH(/show')").contains("no closing parenthesis"));
        assert!(converted("f('''QB_CONVERT_PATH(/show\n)''')").contains("no closing parenthesis"));
        assert!(converted("f('QB_CONVERT_PATH( )')").contains("has no path"));
        assert!(converted(r"f(r'QB_CONVERT_PATH(Z:\show)')").contains("raw string"));
    }

    proptest! {
        #[test]
        fn no_text_breaks_it_and_none_goes_in_circles(text in "(QB_CONVERT_PATH|[()'\"\\\\r/ \nab#]|/show|é){0,20}") {
            let _ = converted(&text);
        }

        #[test]
        fn a_mapped_path_means_itself_in_its_literal(to in "/[a-c'\"\\\\ {}é]{0,12}", quote in "['\"]") {
            let mut map = PathMap::default();
            map.add(PathRule::new("/show", &to).expect("sound"));
            let command = format!("f({quote}QB_CONVERT_PATH(/show){quote})");
            let got = convert(&command, &map).expect("sound");
            // Nothing but the one literal is in the call.
            let regions = regions(&got, false);
            prop_assert_eq!(regions.len(), 1, "{}", got);
            prop_assert_eq!(regions[0].range.clone(), 2..got.len() - 1, "{}", got);
        }
    }
}
