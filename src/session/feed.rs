//! The last events, for those who follow them live.
//!
//! The actor puts events in and never waits: a ring of fixed size forgets the oldest. Followers pull with a cursor of
//! their own and learn of what they missed; a follower that does not pull costs nothing.

use crate::model::{Event, Seq};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How many events the ring holds.
pub const CAPACITY: usize = 4096;

/// The ring; clones share it.
#[derive(Debug, Clone)]
pub struct Feed {
    ring: Arc<Mutex<VecDeque<Arc<Event>>>>,
    /// Counts changes of any kind: events, output, heartbeats, samples. The value itself means nothing.
    stirred: watch::Sender<u64>,
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
        if ring.len() == CAPACITY {
            ring.pop_front();
        }
        ring.push_back(event);
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
        let Some(oldest) = ring.front().map(|event| event.seq) else { return Batch::default() };
        let mut batch = Batch::default();
        if cursor.next < oldest {
            batch.missed = Some((cursor.next, Seq(oldest.0 - 1)));
            cursor.next = oldest;
        }
        let skip = usize::try_from(cursor.next.0 - oldest.0).unwrap_or(usize::MAX);
        batch.events = ring.iter().skip(skip).take(most).cloned().collect();
        if let Some(last) = batch.events.last() {
            cursor.next = last.seq.next();
        }
        batch
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Event>>> {
        // A poisoned ring still holds whole events: each is pushed in one step.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
