//! What one client's searches have found out: how many lines of each chunk are wanted.
//!
//! What must stay true: it is bounded whatever is asked; what it says of a chunk holds as long as the chunk's lines are
//! the same, however the rest of the log grows.

use super::scan::CHUNK;
use crate::model::{BadPattern, Grep, Pattern, Stream};
use crate::store::scope::Scope;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Questions that are remembered: a filter, a search in it, and those before them.
const QUESTIONS: usize = 4;
/// Chunks of which counts are remembered: 128 GiB of a stream, at 16 bytes a chunk.
const CHUNKS: usize = 1 << 18;
const _: () = assert!(size_of::<Option<Count>>() == 16);
/// Long lines of a stream of which it is remembered whether they are wanted.
const LONG: usize = 256;

/// What one client has asked last. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<VecDeque<Known>>>);

/// Patterns that lines are asked to match all of, and what is known of such lines.
type Known = (Vec<Grep>, Arc<Question>);

/// What is known of one question.
#[derive(Debug)]
pub(super) struct Question {
    /// All of them must want a line.
    pub(super) patterns: Vec<Pattern>,
    tallies: [Tally; 2],
}

impl Memory {
    /// What is known of the lines that all of these want.
    pub(super) fn of(&self, greps: Vec<Grep>) -> Result<Arc<Question>, BadPattern> {
        let mut known = lock(&self.0);
        let place = known.iter().position(|(asked, _)| *asked == greps);
        if let Some(question) = place.and_then(|place| known.remove(place)) {
            let found = question.1.clone();
            known.push_front(question);
            return Ok(found);
        }
        let patterns = greps.iter().map(Pattern::new).collect::<Result<Vec<_>, _>>()?;
        let question = Arc::new(Question { patterns, tallies: Default::default() });
        known.push_front((greps, question.clone()));
        known.truncate(QUESTIONS);
        Ok(question)
    }
}

impl Question {
    /// What is known of a stream.
    pub(super) fn tally(&self, stream: Stream) -> &Tally {
        &self.tallies[usize::from(stream == Stream::Stderr)]
    }
}

/// Counts of one stream's chunks.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Which file this is of.
    log: Option<Log>,
    chunks: Vec<Option<Count>>,
    /// The ones met last, and whether they are wanted: a chunk that is looked at again for its lines costs no more than
    /// its own bytes.
    long: VecDeque<(Range<u64>, bool)>,
}

/// A log as the file system knows it: device and inode.
pub(super) type Log = (u64, u64);

#[derive(Debug, Clone, Copy)]
struct Count {
    /// Of the lines that begin in these parts of the chunk, and nowhere else.
    of: u64,
    /// And one more, so that there is room for telling that nothing is known.
    lines: NonZeroU32,
}

/// Which lines a count is of: the parts of the chunk in which they begin, and, when the last one has no end yet, where
/// the stream ended.
pub(super) fn identity(scope: &Scope, chunk: u64, open_at: Option<u64>) -> u64 {
    let mut hasher = DefaultHasher::new();
    open_at.hash(&mut hasher);
    scope.within(chunk * CHUNK..(chunk + 1) * CHUNK).for_each(|part| part.hash(&mut hasher));
    hasher.finish()
}

impl Tally {
    /// How many lines of a chunk are wanted, if it was counted with one of these identities.
    pub(super) fn get(&self, log: Log, chunk: u64, identities: [u64; 2]) -> Option<u32> {
        let counts = lock(&self.0);
        let count = (*counts.chunks.get(usize::try_from(chunk).ok()?)?)?;
        (counts.log == Some(log) && identities.contains(&count.of)).then_some(count.lines.get() - 1)
    }

    /// Remembers it.
    pub(super) fn set(&self, log: Log, chunk: u64, identity: u64, lines: usize) {
        let Ok(chunk) = usize::try_from(chunk) else { return };
        let Some(lines) = u32::try_from(lines + 1).ok().and_then(NonZeroU32::new) else { return };
        let mut counts = self.counts_of(log);
        if chunk < CHUNKS {
            let length = counts.chunks.len().max(chunk + 1);
            counts.chunks.resize(length, None);
            counts.chunks[chunk] = Some(Count { of: identity, lines });
        }
    }

    /// Whether a long line is wanted, if it was looked at. Its bytes stay the same as long as it ends where it did.
    pub(super) fn wants_long(&self, log: Log, line: &Range<u64>) -> Option<bool> {
        let counts = self.counts_of(log);
        counts.long.iter().find(|(known, _)| known == line).map(|(_, wanted)| *wanted)
    }

    /// Remembers it.
    pub(super) fn set_long(&self, log: Log, line: Range<u64>, wanted: bool) {
        let mut counts = self.counts_of(log);
        counts.long.push_front((line, wanted));
        counts.long.truncate(LONG);
    }

    /// What is known of a log; nothing of another one.
    fn counts_of(&self, log: Log) -> MutexGuard<'_, Counts> {
        let mut counts = lock(&self.0);
        if counts.log != Some(log) {
            *counts = Counts { log: Some(log), ..Counts::default() };
        }
        counts
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
