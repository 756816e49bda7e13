//! The journal of a recording and its fold up to one line.
//!
//! What must stay true: there is one state in memory, whatever is looked for; what is done at once is bounded, so that a
//! long way can be told of and given up; the recording ends where the journal ended when it was opened.

use crate::model::{CommandOutcome, EventKind, ItemIndex, State};
use crate::store::{self, Base, Folder, JournalReader, Recorded, StoreError};
use std::sync::Arc;

/// Bytes of the journal that are searched backwards at once.
const BACK: u64 = 256 << 10;
/// Bytes of a journal that are folded sooner than a fold on file is read back.
const NEAR: u64 = 16 << 20;
/// Lines that are looked at for the next event that is sound.
const UNSOUND: usize = 1000;

/// What can be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sought {
    AnyItem,
    Item(ItemIndex),
    Exception,
}

impl Sought {
    fn is(self, kind: &EventKind) -> bool {
        match (self, kind) {
            (Self::AnyItem, EventKind::ItemStarted { .. })
            | (
                Self::Exception,
                EventKind::ThreadException { .. }
                | EventKind::CommandEnded { outcome: CommandOutcome::Raised { .. }, .. },
            ) => true,
            (Self::Item(wanted), EventKind::ItemStarted { item, .. }) => wanted == *item,
            _ => false,
        }
    }
}

/// What a part of a search gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The offset after the line that was looked for.
    Found(u64),
    /// Nothing yet; it goes on at this offset.
    From(u64),
    /// There is none.
    None,
}

/// The journal, and its fold up to a line.
pub(super) struct Reel {
    folder: Folder,
    journal: Arc<JournalReader>,
    base: Base,
    end: u64,
}

impl Reel {
    /// At the end of what was recorded.
    pub(super) fn new(folder: &Folder, journal: Arc<JournalReader>, base: Base) -> Self {
        let end = base.end;
        Self { folder: folder.clone(), journal, base, end }
    }

    pub(super) fn state(&self) -> &State {
        &self.base.state
    }

    /// The offset after the last event that is folded.
    pub(super) fn at(&self) -> u64 {
        self.base.end
    }

    /// Where its line begins.
    pub(super) fn line(&self) -> u64 {
        self.base.line
    }

    /// Where the recording ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.base.end >= self.end
    }

    pub(super) fn journal(&self) -> &JournalReader {
        &self.journal
    }

    /// The events from an offset on, up to the end.
    pub(super) fn events(&self, from: u64) -> impl Iterator<Item = Recorded> {
        let sound = self.journal.iter_from(from).take(UNSOUND).flatten();
        sound.take_while(|recorded| recorded.at < self.end)
    }

    /// The offset after the first line that holds an event.
    pub(super) fn start(&self) -> u64 {
        let mut lines = self.journal.iter_from(0);
        match lines.by_ref().take(UNSOUND).flatten().next() {
            Some(_) => lines.end().min(self.end),
            None => self.end,
        }
    }

    /// The offset `steps` events on, or back, not before the first event.
    pub(super) fn after_steps(&self, steps: i64) -> Result<u64, StoreError> {
        if steps >= 0 {
            let steps = usize::try_from(steps).unwrap_or(0);
            let mut lines = self.journal.iter_from(self.at());
            let _ = lines.by_ref().take(steps.saturating_add(UNSOUND)).flatten().nth(steps.saturating_sub(1));
            return Ok(lines.end().min(self.end));
        }
        let mut to = self.line();
        for _ in steps..-1 {
            let from = self.journal.back_from(to, 1)?;
            let last = self.events(from).take_while(|recorded| recorded.at < to).last();
            to = last.map_or(from, |recorded| recorded.at);
        }
        Ok(to.max(self.start()))
    }

    /// Makes the fold one from which this offset is reached by going on, and soon.
    pub(super) fn prepare(&mut self, to: u64) {
        if to >= self.at() && to - self.at() <= NEAR {
            return;
        }
        let better = |end: u64| end <= to && (to < self.at() || end > self.at());
        let Some(found) = store::base_before(&self.folder, &self.journal, to).filter(|found| better(found.end()))
        else {
            if to < self.at() {
                self.base = Base::default();
            }
            return;
        };
        // Given up before the other one is read: only one has room.
        self.base = Base::default();
        self.base = found.read(&self.folder).unwrap_or_default();
    }

    /// Folds up to an offset, so many lines at most; whether it is reached.
    pub(super) fn fold(&mut self, to: u64, most: usize) -> bool {
        let to = to.min(self.end);
        self.base.fold(&self.journal, most, |recorded| recorded.at < to)
    }

    /// Folds what is wanted, so many lines at most; whether nothing of it is left.
    pub(super) fn fold_while(&mut self, most: usize, wanted: impl Fn(&Recorded) -> bool) -> bool {
        let end = self.end;
        self.base.fold(&self.journal, most, |recorded| recorded.at < end && wanted(recorded))
    }

    /// Looks for the next event of a kind from an offset on, in so many lines at most.
    pub(super) fn next(&self, sought: Sought, from: u64, most: usize) -> Part {
        let mut lines = self.journal.iter_from(from);
        for _ in 0..most {
            if lines.end() >= self.end {
                return Part::None;
            }
            match lines.next() {
                Some(Ok(recorded)) if sought.is(&recorded.event.kind) => return Part::Found(lines.end()),
                Some(_) => {}
                None => return Part::None,
            }
        }
        Part::From(lines.end())
    }

    /// Looks for the last event of a kind before the line that begins at an offset, in a block of the journal.
    pub(super) fn last(&self, sought: Sought, before: u64) -> Part {
        let from = match self.journal.back_from(before, BACK) {
            Ok(from) if from < before => from,
            _ => return Part::None,
        };
        let mut lines = self.journal.iter_from(from);
        let mut found = None;
        while lines.end() < before {
            match lines.next() {
                Some(Ok(recorded)) if sought.is(&recorded.event.kind) => found = Some(lines.end()),
                Some(_) => {}
                None => break,
            }
        }
        found.map_or(Part::From(from), Part::Found)
    }
}
