//! What is sought in the output, and which of its lines are wanted: the questions, without the answers' machinery.

use super::proto::{LineAnchor, OutputAt, OutputQuery};
use super::{ItemIndex, Micros, Stream};
use serde::{Deserialize, Serialize};

/// The most context lines on each side of a match.
pub const CONTEXT_LIMIT: u32 = 100;

/// Which lines of output are wanted. The one that asks nothing lets every line through.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Only what the commands of this item's last attempt printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemIndex>,
    /// Only lines read at or after this wall time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Micros>,
    /// Only lines in which this matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grep: Option<Grep>,
    /// Lines of context before and after each match, at most [`CONTEXT_LIMIT`].
    pub context: u32,
}

impl Filter {
    /// Whether it lets every line through.
    pub fn is_empty(&self) -> bool {
        self.item.is_none() && self.since.is_none() && self.grep.is_none()
    }
}

/// A regular expression to match lines with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grep {
    /// In the syntax of the `regex` crate: no look-around, no back-references, so that it runs in linear time.
    pub pattern: String,
    /// Whether letters in other case match.
    #[serde(default)]
    pub case: Case,
    /// Whether the lines are wanted in which it does not match.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub invert: bool,
}

/// Whether letters in other case match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Case {
    /// They do, unless the pattern has a capital letter.
    #[default]
    Smart,
    /// They do not.
    Sensitive,
    /// They do.
    Insensitive,
}

/// A search among the lines of the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchQuery {
    /// In one stream, or in both in reading order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
    /// Among these lines only.
    #[serde(default, skip_serializing_if = "Filter::is_empty")]
    pub filter: Filter,
    /// For what.
    pub wanted: Wanted,
    /// From where: a line that is named is itself not found.
    pub from: OutputAt,
    /// Towards later lines.
    pub forward: bool,
}

impl SearchQuery {
    /// The lines among which it looks, from its place.
    pub fn lines(&self) -> OutputQuery {
        OutputQuery {
            stream: self.stream,
            at: self.from,
            before: 0,
            after: 0,
            command: None,
            filter: self.filter.clone(),
            raw: false,
        }
    }
}

/// What a search looks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// A line that matches.
    Match(Grep),
    /// The first line of a command that raised, or, when it printed nothing, the line where it stood.
    Exception,
    /// The first line of another item's attempt.
    Item,
}

/// How far a search has come. One answer looks at no more than a bounded part of the output; the same question asked
/// again goes on where the last one stopped, until it is `settled` and `complete`. A new search, or the asker's going
/// away, ends the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Searched {
    /// The nearest line found.
    pub line: Option<LineAnchor>,
    /// Whether `line` is the answer: nearer ones were all looked at. Settled without a line means that there is none.
    pub settled: bool,
    /// How many lines match, as far as they were counted; 0 for what is not a [`Wanted::Match`].
    pub count: u64,
    /// The place of `line` among the matches, from 1, once all before it are counted.
    pub position: Option<u64>,
    /// Whether `count` is of the whole output as of now.
    pub complete: bool,
}
