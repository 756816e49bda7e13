//! What one client asks of the output: one search and one filtered page at a time, and what is remembered of them.

use crate::model::proto::Request;
use crate::store::{Asker, Memory, Wish};
use std::sync::{Mutex, PoisonError};

/// A client's questions.
#[derive(Debug, Default)]
pub(super) struct Asking {
    memory: Memory,
    /// The last search and the last filtered page: a newer one ends the one before.
    last: [Mutex<Option<Wish>>; 2],
}

/// A question under way: once this is gone, nobody waits for its answer.
#[derive(Debug)]
pub(super) struct Asked(pub(super) Asker);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.wish.end();
    }
}

impl Asking {
    /// Begins to answer.
    pub(super) fn begin(&self, request: &Request) -> Asked {
        let asker = Asker { memory: self.memory.clone(), wish: Wish::default() };
        let last = match request {
            Request::Search(_) => Some(&self.last[0]),
            Request::Output(query) if query.filter.grep.is_some() => Some(&self.last[1]),
            _ => None,
        };
        if let Some(last) = last {
            let before = last.lock().unwrap_or_else(PoisonError::into_inner).replace(asker.wish.clone());
            if let Some(before) = before {
                before.end();
            }
        }
        Asked(asker)
    }
}
