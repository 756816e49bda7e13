//! Qube's lenient values: numbers in strings, strings that count as true, empty ones that say nothing.

use crate::job::file;
use crate::job::source::quoted;
use crate::job::tree::{Node, Tree, Walk};
use std::collections::BTreeMap;
use std::time::Duration;

/// The numbers of statuses.
const STATUSES: [(i64, &str); 13] = [
    (16, "complete"),
    (32, "failed"),
    (48, "killed"),
    (261, "dying"),
    (262, "exiting"),
    (265, "registering"),
    (272, "blocked"),
    (288, "waiting"),
    (304, "suspended"),
    (320, "pending"),
    (323, "waiting"),
    (325, "badlogin"),
    (336, "running"),
];

/// Whether a value says nothing.
pub(super) fn is_empty(node: &Node) -> bool {
    match &node.tree {
        Tree::Null => true,
        Tree::Text(text) => text.trim().is_empty(),
        Tree::List(nodes) => nodes.is_empty(),
        Tree::Table(entries) => entries.is_empty(),
        Tree::Bool(_) | Tree::Integer(_) | Tree::Float(_) => false,
    }
}

/// Whether a value says nothing, or no more than "none" and "no".
pub(super) fn is_off(node: &Node) -> bool {
    is_empty(node) || matches!(node.tree, Tree::Bool(false) | Tree::Integer(-1 | 0))
}

/// A string that begins with an f is false, one that is no number is true, and "no" and "off" are no numbers.
pub(super) fn is_true(node: &Node) -> bool {
    match &node.tree {
        Tree::Null => false,
        Tree::Bool(value) => *value,
        Tree::Integer(value) => *value != 0,
        Tree::Float(value) => *value != 0.0,
        Tree::Text(text) => {
            let text = text.trim();
            !text.is_empty() && !text.starts_with(['f', 'F']) && text.parse::<i64>() != Ok(0)
        }
        Tree::List(nodes) => !nodes.is_empty(),
        Tree::Table(entries) => !entries.is_empty(),
    }
}

/// A number, or a string that is one.
pub(super) fn number(node: &Node, walk: &mut Walk<'_>) -> Option<f64> {
    let read = match &node.tree {
        #[expect(clippy::cast_precision_loss, reason = "no count, size or time here is beyond 2^53")]
        Tree::Integer(value) => Some(*value as f64),
        Tree::Float(value) => Some(*value),
        Tree::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    let read = read.filter(|value: &f64| value.is_finite());
    if read.is_none() && !is_empty(node) {
        walk.add(node.at, format!("expected a number, found {}", quoted(&shown(node))));
    }
    read
}

/// How often; none for less than once.
pub(super) fn count(node: &Node, walk: &mut Walk<'_>) -> Option<u32> {
    let value = number(node, walk)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between one and a million")]
    (value >= 1.0).then(|| value.min(1_000_000.0) as u32)
}

/// So many bytes; none for less than one.
pub(super) fn bytes(node: &Node, walk: &mut Walk<'_>) -> Option<u64> {
    let value = number(node, walk)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float that is too large becomes the most"
    )]
    (value >= 1.0).then_some(value as u64)
}

/// A length of time; none for zero and less, which is how Qube says "no limit".
pub(super) fn seconds(node: &Node, walk: &mut Walk<'_>) -> Option<Duration> {
    let value = number(node, walk)?;
    if value <= 0.0 {
        return None;
    }
    crate::job::duration::of_seconds(value).map_err(|why| walk.add(node.at, why)).ok()
}

/// A string, or a number that is written as one.
pub(super) fn text(node: &Node, walk: &mut Walk<'_>) -> Option<String> {
    match &node.tree {
        Tree::Integer(_) | Tree::Float(_) => Some(shown(node)),
        _ => node.text(walk).map(str::to_owned),
    }
}

/// A list of strings, or one string.
pub(super) fn texts(node: &Node, walk: &mut Walk<'_>) -> Vec<String> {
    match &node.tree {
        Tree::Null => Vec::new(),
        Tree::Text(text) if text.trim().is_empty() => Vec::new(),
        Tree::Text(text) => vec![text.clone()],
        _ => node.texts(walk).into_iter().map(|(_, text)| text.to_owned()).collect(),
    }
}

/// Variables, whose values may be numbers.
pub(super) fn environment(node: &Node, walk: &mut Walk<'_>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    if is_empty(node) {
        return env;
    }
    for entry in node.table(walk) {
        file::variable(entry.at, &entry.key, walk);
        if let Some(text) = text(&entry.value, walk) {
            file::variable_value(entry.value.at, &text, walk);
            env.insert(entry.key.clone(), text);
        }
    }
    env
}

/// A status by its word, whichever way it is written.
pub(super) fn status(node: &Node) -> Option<&'static str> {
    let by_number = |number: i64| STATUSES.iter().find(|(code, _)| *code == number).map(|(_, word)| *word);
    match &node.tree {
        Tree::Null => Some("pending"),
        Tree::Integer(number) => by_number(*number),
        Tree::Text(text) => {
            let text = text.trim().to_lowercase();
            let words = STATUSES.iter().map(|(_, word)| *word).chain(["unknown", "pending"]);
            let number = text.parse().ok().and_then(by_number);
            number.or_else(|| words.into_iter().find(|word| *word == text)).or(text.is_empty().then_some("pending"))
        }
        _ => None,
    }
}

/// A value as it may be shown.
pub(super) fn shown(node: &Node) -> String {
    match &node.tree {
        Tree::Text(text) => text.clone(),
        Tree::Integer(value) => value.to_string(),
        Tree::Float(value) => value.to_string(),
        Tree::Bool(value) => value.to_string(),
        _ => node.kind().to_owned(),
    }
}
