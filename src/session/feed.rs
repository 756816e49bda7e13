//! The last events, for those who follow them live.
//!
//! The actor puts events in and never waits: a ring of fixed size forgets the oldest. Followers pull with a cursor of
//! their own and learn of what they missed; a follower that does not pull costs nothing.

use crate::model::{CommandOutcome, Event, EventKind, Seq};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How many events the ring holds at most.
pub const CAPACITY: usize = 4096;
/// How many bytes of text its events hold together at most, but for the last one alone.
pub const BYTES: usize = 8 << 20;

/// The ring; clones share it.
#[derive(Debug, Clone)]
pub struct Feed {
    ring: Arc<Mutex<Ring>>,
    /// Counts changes of any kind: events, output, heartbeats, samples. The value itself means nothing.
    stirred: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
}

impl Ring {
    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.events.pop_front() {
            self.bytes -= weight(&oldest.kind);
        }
    }
}

/// About how many bytes of text an event holds; most hold next to none.
fn weight(kind: &EventKind) -> usize {
    match kind {
        EventKind::CommandQueued { source, .. } => source.len(),
        EventKind::CommandEnded { outcome: CommandOutcome::Finished { value, .. }, .. } => {
            value.as_ref().map_or(0, String::len)
        }
        // Frames with their locals are about as long as the text, and the message stands in both.
        EventKind::CommandEnded { outcome: CommandOutcome::Raised { exception, .. }, .. }
        | EventKind::ThreadException { exception, .. } => 3 * exception.text.len(),
        // Many small parts, each with more around it than in it; one comes seldom.
        EventKind::Diagnosed { diagnosis, .. } => serde_json::to_vec(diagnosis).map_or(0, |json| 3 * json.len()),
        EventKind::ItemEdited { commands, .. } => commands.iter().flatten().map(String::len).sum(),
        EventKind::StopsChanged { stops, .. } => {
            stops.breakpoints.iter().map(|breakpoint| breakpoint.text().len()).sum()
        }
        _ => 0,
    }
}

/// A follower's place in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedCursor {
    /// The next event that the follower has not seen.
    pub next: Seq,
}

/// What a follower gets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// Events that are gone from the ring: first and last.
    pub missed: Option<(Seq, Seq)>,
    /// What comes after them, in order.
    pub events: Vec<Arc<Event>>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { ring: Arc::default(), stirred: watch::Sender::new(0) }
    }
}

impl Feed {
    /// Puts an event in; forgets the oldest when the ring is full.
    pub fn push(&self, event: Arc<Event>) {
        let mut ring = self.lock();
        ring.bytes += weight(&event.kind);
        ring.events.push_back(event);
        while ring.events.len() > CAPACITY || (ring.bytes > BYTES && ring.events.len() > 1) {
            ring.forget_oldest();
        }
    }

    /// Wakes the followers; without any it costs nothing.
    pub fn stir(&self) {
        self.stirred.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Something to wait on: it changes whenever anything did.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.stirred.subscribe()
    }

    /// How many watch.
    pub fn watchers(&self) -> usize {
        self.stirred.receiver_count()
    }

    /// At most `most` events from the cursor on; moves the cursor past them.
    pub fn pull(&self, cursor: &mut FeedCursor, most: usize) -> Batch {
        let ring = self.lock();
        let Some(oldest) = ring.events.front().map(|event| event.seq) else { return Batch::default() };
        let mut batch = Batch::default();
        if cursor.next < oldest {
            batch.missed = Some((cursor.next, Seq(oldest.0 - 1)));
            cursor.next = oldest;
        }
        let skip = usize::try_from(cursor.next.0 - oldest.0).unwrap_or(usize::MAX);
        batch.events = ring.events.iter().skip(skip).take(most).cloned().collect();
        if let Some(last) = batch.events.last() {
            cursor.next = last.seq.next();
        }
        batch
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        // A poisoned ring still holds whole events: each is pushed in one step.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
