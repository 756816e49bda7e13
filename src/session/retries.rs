//! When failed items are tried again, on the clock that nobody sets.
//!
//! What is recorded is a wall time, for people and for the next engine. The running one counts on the monotonic clock: a
//! wall clock that is set back, or forward, changes no delay.

use super::Actor;
use super::world::{Now, World};
use crate::model::{EventKind, ItemIndex, ItemStatus, Micros, State};
use std::collections::BTreeMap;
use std::time::Duration;

/// A failed item's next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retry {
    /// When the wait began.
    pub(super) since: Now,
    /// When it is over.
    pub(super) until: Micros,
}

/// The items that wait for their next try. Bounded by the agenda.
#[derive(Debug, Default)]
pub(super) struct Retries(BTreeMap<ItemIndex, Retry>);

impl Retries {
    /// What a dead engine left waiting: for as long as its wall times say, and no longer than the delay.
    pub(super) fn left_over(state: &State, delay: Duration, now: Now) -> Self {
        let delay = Micros::from(delay);
        let retry = |at: Micros| {
            let left = at.since(now.wall).min(delay);
            let waited = delay.since(left);
            let before = |clock: Micros| clock.since(waited);
            let since = Now { wall: before(now.wall), mono: before(now.mono) };
            Retry { since, until: Micros(now.mono.0.saturating_add(left.0)) }
        };
        Self(state.retry_at.iter().map(|(item, at)| (*item, retry(*at))).collect())
    }

    /// An item has failed, and is tried again after this delay.
    pub(super) fn add(&mut self, item: ItemIndex, delay: Duration, now: Now) {
        self.0.insert(item, Retry { since: now, until: super::clocks::after(now, delay) });
    }

    /// The item does not wait any more.
    pub(super) fn remove(&mut self, item: ItemIndex) {
        self.0.remove(&item);
    }

    /// The one that is over first.
    pub(super) fn next(&self) -> Option<Retry> {
        self.0.values().copied().min_by_key(|retry| retry.until)
    }

    /// Takes out those whose time has come.
    fn take_due(&mut self, now: Micros) -> Vec<ItemIndex> {
        self.0.extract_if(.., |_, retry| retry.until <= now).map(|(item, _)| item).collect()
    }
}

impl<W: World> Actor<W> {
    /// Retrying items whose time has come are pending again.
    pub(super) fn retries_due(&mut self, now: Now) {
        let due = self.clocks.retries.take_due(now.mono);
        let pending = |item| EventKind::ItemChanged { item, status: ItemStatus::Pending, by: None };
        self.record(due.into_iter().map(pending).collect());
        self.clocks.source = None;
    }
}
