//! What was found, by command: the first matches of each pattern, or its last one, and how many more there were.

use super::reading::{Hit, Reading};
use crate::model::state::ITEM_NOTES;
use crate::model::{CommandId, Finds, Stream};
use std::collections::BTreeMap;

/// How many matches of one pattern are kept of a command.
const FIRST: usize = 50;

/// How many matches of a pattern are kept of a command; all the paths that an item's result has room for.
pub(super) fn most(finds: Finds) -> usize {
    if finds == Finds::Output { ITEM_NOTES } else { FIRST }
}

/// What was found in a command's output since somebody asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    /// The command that ran; `None` when none did.
    pub command: Option<CommandId>,
    /// What was found, in its order; of patterns of which the last match counts, that one, at the end.
    pub hits: Vec<Hit>,
    /// How many more matches there were of patterns of which every one counts.
    pub left_out: u64,
    /// How many matches each pattern had, by its place, if somebody counts.
    pub counts: BTreeMap<usize, u64>,
}

/// The same while it is gathered.
#[derive(Debug, Default)]
struct Gathered {
    command: Option<CommandId>,
    every: Vec<Hit>,
    last: BTreeMap<(usize, bool), Hit>,
    left_out: u64,
    counts: BTreeMap<usize, u64>,
}

/// What was found in the output of several commands. There are few: the engine sends none while it does not take this.
#[derive(Debug, Default)]
pub(super) struct Gatherings(Vec<Gathered>);

impl Gatherings {
    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every match of its pattern counts.
    pub(super) fn every(&mut self, command: Option<CommandId>, hit: Hit) {
        self.of(command).every.push(hit);
    }

    /// One more, which is not kept.
    pub(super) fn left_out(&mut self, command: Option<CommandId>) {
        self.of(command).left_out += 1;
    }

    /// A match, kept or not, is counted.
    pub(super) fn count(&mut self, command: Option<CommandId>, pattern: usize) {
        *self.of(command).counts.entry(pattern).or_default() += 1;
    }

    /// The last match of its pattern counts.
    pub(super) fn last(&mut self, command: Option<CommandId>, hit: Hit) {
        let key = (hit.pattern, hit.stream == Stream::Stderr);
        self.of(command).last.insert(key, hit);
    }

    /// Takes in what was found later.
    pub(super) fn merge(&mut self, later: Self) {
        for later in later.0 {
            let known = self.of(later.command);
            known.every.extend(later.every);
            known.last.extend(later.last);
            known.left_out += later.left_out;
            for (pattern, count) in later.counts {
                *known.counts.entry(pattern).or_default() += count;
            }
        }
    }

    /// Gives all of it.
    pub(super) fn take(&mut self) -> Vec<Findings> {
        std::mem::take(&mut self.0).into_iter().map(Gathered::finish).collect()
    }

    fn of(&mut self, command: Option<CommandId>) -> &mut Gathered {
        let place = self.0.iter().rposition(|known| known.command == command).unwrap_or_else(|| {
            self.0.push(Gathered { command, ..Gathered::default() });
            self.0.len() - 1
        });
        &mut self.0[place]
    }
}

impl Gathered {
    fn finish(self) -> Findings {
        let mut last: Vec<Hit> = self.last.into_values().collect();
        // A frame says where the fraction of the same line belongs.
        last.sort_by_key(|hit| (hit.stream, hit.at, !matches!(hit.reading, Reading::Frame(_)), hit.pattern));
        let mut hits = self.every;
        hits.extend(last);
        Findings { command: self.command, hits, left_out: self.left_out, counts: self.counts }
    }
}
