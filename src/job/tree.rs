//! The one shape in which documents are walked, whatever they were written in: values with the places they came from.
//!
//! The walk asks a table for its keys one by one ([`Fields`]); what was not asked for is an error with a suggestion. So
//! the list of known keys is the code that reads them.

use super::duration;
use super::source::{At, Sink, Source, quoted};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) tree: Tree,
}

/// What TOML and JSON have in common.
#[derive(Debug, Clone)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key and its value. Keys are unique in their table: the readers see to it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) at: At,
    pub(crate) key: String,
    pub(crate) value: Node,
}

/// How long something may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeLimit {
    None,
    Of(Duration),
}

/// A document that is being walked, and what is wrong with it.
pub(crate) struct Walk<'s> {
    pub(crate) source: &'s Source<'s>,
    pub(crate) sink: Sink,
}

impl Walk<'_> {
    pub(crate) fn add(&mut self, at: At, message: impl Into<String>) {
        self.sink.add(self.source, at, message);
    }

    pub(crate) fn warn(&mut self, at: At, message: impl Into<String>) {
        self.sink.warn(self.source, at, message);
    }

    fn expected(&mut self, node: &Node, what: &str) {
        self.add(node.at, format!("expected {what}, found {}", node.kind()));
    }
}

impl Node {
    /// What it is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self.tree {
            Tree::Null => "null",
            Tree::Bool(_) => "a boolean",
            Tree::Integer(_) => "an integer",
            Tree::Float(_) => "a float",
            Tree::Text(_) => "a string",
            Tree::List(_) => "a list",
            Tree::Table(_) => "a table",
        }
    }

    pub(crate) fn text<'n>(&'n self, walk: &mut Walk<'_>) -> Option<&'n str> {
        if let Tree::Text(text) = &self.tree {
            return Some(text);
        }
        walk.expected(self, "a string");
        None
    }

    pub(crate) fn boolean(&self, walk: &mut Walk<'_>) -> Option<bool> {
        if let Tree::Bool(value) = self.tree {
            return Some(value);
        }
        walk.expected(self, "true or false");
        None
    }

    /// A whole number of at least `least` and at most `most`.
    pub(crate) fn number(&self, walk: &mut Walk<'_>, least: u32, most: u32) -> Option<u32> {
        match self.tree {
            Tree::Integer(value) => match u32::try_from(value) {
                Ok(value) if (least..=most).contains(&value) => return Some(value),
                _ => walk.add(self.at, format!("expected {least} to {most}, found {value}")),
            },
            _ => walk.expected(self, "an integer"),
        }
        None
    }

    pub(crate) fn list<'n>(&'n self, walk: &mut Walk<'_>, of: &str) -> &'n [Node] {
        if let Tree::List(nodes) = &self.tree {
            return nodes;
        }
        walk.expected(self, &format!("a list of {of}"));
        &[]
    }

    pub(crate) fn table<'n>(&'n self, walk: &mut Walk<'_>) -> &'n [Entry] {
        if let Tree::Table(entries) = &self.tree {
            return entries;
        }
        walk.expected(self, "a table");
        &[]
    }

    /// A list of strings, with their places.
    pub(crate) fn texts<'n>(&'n self, walk: &mut Walk<'_>) -> Vec<(At, &'n str)> {
        self.list(walk, "strings").iter().filter_map(|node| Some((node.at, node.text(walk)?))).collect()
    }

    /// A length of time, or the word "none".
    pub(crate) fn time_limit(&self, walk: &mut Walk<'_>) -> Option<TimeLimit> {
        let read = match &self.tree {
            #[expect(clippy::cast_precision_loss, reason = "whole seconds beyond 2^53 are refused just after")]
            Tree::Integer(seconds) => duration::of_seconds(*seconds as f64),
            Tree::Float(seconds) => duration::of_seconds(*seconds),
            Tree::Text(text) if text == "none" => return Some(TimeLimit::None),
            Tree::Text(text) => duration::parse(text),
            _ => {
                walk.expected(self, "a duration (\"1h 2m\", seconds, or \"none\")");
                return None;
            }
        };
        read.map(TimeLimit::Of).map_err(|message| walk.add(self.at, message)).ok()
    }

    /// A length of time that there must be.
    pub(crate) fn duration(&self, walk: &mut Walk<'_>) -> Option<Duration> {
        match self.time_limit(walk)? {
            TimeLimit::Of(length) => Some(length),
            TimeLimit::None => {
                walk.add(self.at, "\"none\" is not possible here: give a duration");
                None
            }
        }
    }

    /// The value as plain JSON. Infinity and NaN have no place there.
    pub(crate) fn value(&self, walk: &mut Walk<'_>) -> Value {
        match &self.tree {
            Tree::Null => Value::Null,
            Tree::Bool(value) => Value::from(*value),
            Tree::Integer(value) => Value::from(*value),
            Tree::Float(value) => {
                if !value.is_finite() {
                    walk.add(self.at, format!("{value} cannot be a value: write float('{value}') in the command"));
                }
                Value::from(*value)
            }
            Tree::Text(text) => Value::from(text.as_str()),
            Tree::List(nodes) => nodes.iter().map(|node| node.value(walk)).collect(),
            Tree::Table(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.value.value(walk))).collect(),
        }
    }
}

/// A table that is being read key by key.
pub(crate) struct Fields<'n> {
    entries: BTreeMap<&'n str, &'n Entry>,
    known: Vec<&'static str>,
    /// What the table is called in messages.
    what: String,
}

impl<'n> Fields<'n> {
    /// The node's keys; none, and an error, if it is no table.
    pub(crate) fn of(node: &'n Node, what: impl Into<String>, walk: &mut Walk<'_>) -> Self {
        let entries = node.table(walk).iter().map(|entry| (entry.key.as_str(), entry)).collect();
        Self { entries, known: Vec::new(), what: what.into() }
    }

    /// A key's value, if it is there. From now on the key is a known one.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        self.entries.remove(key).map(|entry| &entry.value)
    }

    /// The string under a key.
    pub(crate) fn text(&mut self, key: &'static str, walk: &mut Walk<'_>) -> Option<(At, &'n str)> {
        let node = self.get(key)?;
        Some((node.at, node.text(walk)?))
    }

    /// A key was read by somebody else.
    pub(crate) fn took(&mut self, key: &str) {
        self.entries.remove(key);
    }

    /// What was not asked for yet.
    pub(crate) fn rest(&mut self) -> impl Iterator<Item = &'n Entry> + use<'n> {
        std::mem::take(&mut self.entries).into_values()
    }

    /// The keys that were asked for.
    pub(crate) fn known(&self) -> &[&'static str] {
        &self.known
    }

    /// Whatever was not asked for is unknown.
    pub(crate) fn finish(self, walk: &mut Walk<'_>) {
        for entry in self.entries.values() {
            let hint = suggestion(&entry.key, self.known.iter().copied()).unwrap_or_else(|| {
                let mut known = self.known.clone();
                known.sort_unstable();
                format!("known are {}", known.join(", "))
            });
            walk.add(entry.at, format!("unknown key {} in {}: {hint}", quoted(&entry.key), self.what));
        }
    }
}

/// The known word that was probably meant.
pub(crate) fn suggestion<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    // The distance costs time in the product of the lengths; nobody mistypes a key into something this long.
    if word.len() > 64 {
        return None;
    }
    let near = |candidate: &&str| {
        let distance = strsim::damerau_levenshtein(&word.to_lowercase(), candidate);
        (distance <= (candidate.len() / 3).max(1)).then_some(distance)
    };
    known
        .filter_map(|candidate| Some((near(&candidate)?, candidate)))
        .min()
        .map(|(_, candidate)| format!("did you mean {candidate:?}?"))
}
