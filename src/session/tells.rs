//! What user code tells of its item: progress, words, files, failures.
//!
//! What must stay true: a child that tells without end fills neither the journal nor memory, and its last word is never
//! left out.

use super::Actor;
use super::world::{Now, World};
use crate::model::{EventKind, ItemIndex, Micros};
use std::time::Duration;

/// Progress and status of user code are journalled no more often than this.
const TELL_EVERY: Duration = Duration::from_millis(100);

impl<W: World> Actor<W> {
    pub(super) fn told_progress(&mut self, fraction: f64, now: Now) {
        let Some(item) = self.current_item() else { return };
        if fraction.is_finite() {
            self.tell(EventKind::ItemProgress { item, fraction: fraction.clamp(0.0, 1.0) }, now);
        }
    }

    pub(super) fn told_output(&mut self, path: String) {
        let Some(running) = self.state.running_item.as_ref() else { return };
        let known = &running.result.output_paths;
        if known.len() < crate::model::state::ITEM_NOTES && !known.contains(&path) {
            let item = running.item;
            self.fact(EventKind::ItemOutput { item, path: cut(path) });
        }
    }

    pub(super) fn told_failure(&mut self, message: String) {
        let Some(running) = self.state.running_item.as_ref() else { return };
        if running.result.errors.len() < crate::model::state::ITEM_NOTES {
            let item = running.item;
            self.driver_overheard_failure(&message);
            self.fact(EventKind::ItemFault { item, message: cut(message) });
        }
    }

    /// Journals a word of user code, unless the last one was just now; then it waits for the next or the command's end.
    pub(super) fn tell(&mut self, kind: EventKind, now: Now) {
        let same = std::mem::discriminant(&kind);
        self.untold.retain(|untold| std::mem::discriminant(untold) != same);
        self.untold.push(kind);
        let recent = self.clocks.told.is_some_and(|told| now.mono.since(told) < Micros::from(TELL_EVERY));
        if !recent {
            self.clocks.told = Some(now.mono);
            self.flush_untold();
        }
    }

    pub(super) fn flush_untold(&mut self) {
        let untold = std::mem::take(&mut self.untold);
        self.record(untold);
    }

    fn current_item(&self) -> Option<ItemIndex> {
        self.state.running_item.as_ref().map(|item| item.item)
    }
}

/// A word of user code, cut to what the child itself would send.
pub(super) fn cut(text: String) -> String {
    const LIMIT: usize = 4096;
    if text.len() <= LIMIT { text } else { text.chars().take(LIMIT / 4).collect() }
}
