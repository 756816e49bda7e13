//! What is typed below the output: a search, a filter, a file's name.

use super::Before;
use super::seek::Way;

/// What a text is typed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tui) enum Aim {
    /// Searched for from here on, with every key.
    Search(Way),
    /// A filter, in force with every key.
    Filter,
    /// The name of a file that the selection, or all of the output, is written to.
    Save {
        /// Whether as the child wrote it; else as plain text.
        raw: bool,
    },
}

/// A row in which a text is typed.
#[derive(Debug, Clone)]
pub(in crate::tui) struct Entry {
    /// What for.
    pub(in crate::tui) aim: Aim,
    /// What was typed.
    pub(in crate::tui) text: String,
    /// What is wrong with it, made safe.
    pub(in crate::tui) wrong: Option<String>,
    /// What Esc gives back.
    pub(in crate::tui) before: Before,
}

impl Entry {
    /// What stands before the text.
    pub(in crate::tui) fn sign(&self) -> &'static str {
        match &self.aim {
            Aim::Search(way) if way.forward => "/",
            Aim::Search(_) => "\\",
            Aim::Filter => "&",
            Aim::Save { .. } => "save to ",
        }
    }

    /// What helps to type it; the longest first.
    pub(in crate::tui) fn hints(&self) -> &'static [&'static str] {
        match &self.aim {
            Aim::Search(_) => &["regex; a capital makes case matter", "regex"],
            Aim::Filter => &[
                "regex, !regex inverts · before it item:NAME since:10m context:2",
                "!inverts · item:NAME since:10m context:2",
                "!inverts item: since: context:",
            ],
            Aim::Save { raw: false } => &["plain text, no colours · Tab: raw bytes", "plain · Tab: raw"],
            Aim::Save { raw: true } => &["raw: the child's own bytes · Tab: plain text", "raw · Tab: plain"],
        }
    }
}
