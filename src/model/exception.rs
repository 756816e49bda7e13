//! A Python exception as the child told it: structured, bounded by the child, and never trusted to be printable.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One exception with its stack, causes and members.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Exception {
    /// The class's name, without its module.
    #[serde(rename = "type")]
    pub kind: String,
    /// The class's module; `builtins` (or `exceptions` in Python 2) for the language's own.
    #[serde(default)]
    pub module: String,
    /// `str()` of the exception.
    #[serde(default)]
    pub message: String,
    /// Outermost first, without the bootstrapper's own frames.
    #[serde(default)]
    pub frames: Vec<Frame>,
    /// What it was raised `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Box<Exception>>,
    /// What was being handled when it was raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Box<Exception>>,
    /// The members of an exception group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<Exception>,
    /// Notes added with `add_note`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The traceback as Python formats it.
    #[serde(default)]
    pub text: String,
    /// Whether the child had to leave something out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// One frame of a Python stack.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Frame {
    /// File name as Python knows it; `<command N>` for a dispatched command.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Function, or `<module>`.
    #[serde(default)]
    pub function: String,
    /// The source line, stripped; empty when it is not to be had.
    #[serde(default)]
    pub source: String,
    /// Bounded reprs of the locals, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locals: Option<BTreeMap<String, String>>,
}

impl Exception {
    /// The frame in which it was raised.
    pub fn innermost(&self) -> Option<&Frame> {
        self.frames.last()
    }

    /// Leaves out what lies deeper than so many causes, contexts and groups, and says so.
    pub fn limit_depth(&mut self, depth: usize) {
        if depth == 0 {
            self.cut |= self.cause.is_some() || self.context.is_some() || !self.group.is_empty();
            self.cause = None;
            self.context = None;
            self.group.clear();
            return;
        }
        for inner in self.cause.iter_mut().chain(&mut self.context) {
            inner.limit_depth(depth - 1);
        }
        for member in &mut self.group {
            member.limit_depth(depth - 1);
        }
    }

    /// `TypeError: message`, on one line, cut to `limit` characters.
    pub fn headline(&self, limit: usize) -> String {
        let first = self.message.lines().next().unwrap_or_default();
        let whole = if first.is_empty() { self.kind.clone() } else { format!("{}: {first}", self.kind) };
        whole.chars().take(limit).collect()
    }
}
