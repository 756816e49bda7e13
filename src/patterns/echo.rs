//! Commands that the executor repeats in stdout: what it writes then, and how those lines are left out.

use std::collections::VecDeque;

/// How many characters of a command are repeated.
const MOST: usize = 4096;

/// What an executor that echoes writes before it runs a command.
pub fn echo_of(prompt: &str, source: &str) -> Vec<u8> {
    let end = source.char_indices().nth(MOST).map_or(source.len(), |(end, _)| end);
    [prompt, source[..end].trim_end_matches('\n')].concat().into_bytes()
}

/// The lines of an echo that have not come yet. What another thread of the child prints in between is not one of them.
#[derive(Debug, Default)]
pub(super) struct Echo(VecDeque<Vec<u8>>);

impl Echo {
    /// All of its lines are to come.
    pub(super) fn of(text: &[u8]) -> Self {
        Self(super::set::lines(text).map(|line| text[line].to_vec()).collect())
    }

    /// Whether none is to come any more.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a line is the one that comes next.
    pub(super) fn is_next(&mut self, line: &[u8]) -> bool {
        self.0.pop_front_if(|next| next == line).is_some()
    }
}
