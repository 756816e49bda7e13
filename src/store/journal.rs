//! The journal's writing end.
//!
//! What must stay true: a batch of events is one `write(2)` and is there as a whole or not at all, so that the same
//! batch can be tried again when the disk has room; numbers have no gaps; nothing here waits for the disk to sync.
//! `fdatasync` happens on a thread of its own, which sleeps until it is asked.

use super::error::{StoreError, failed};
use super::{clock, regular};
use crate::model::{Event, EventKind, Micros, Seq};
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// The longest line of a journal, in bytes, its newline included.
pub const LINE_LIMIT: usize = 64 << 20;
/// How often the journal is synced at most.
pub const SYNC_INTERVAL: Micros = Micros(1_000_000);
/// A buffer that one huge command has grown beyond this many bytes is given back.
const BUFFER_KEPT: usize = 1 << 20;

/// An event and the byte of the journal at which its line begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Where its line begins.
    pub at: u64,
    /// The event.
    pub event: Arc<Event>,
}

/// The journal of a running session. Only the holder of the folder's lock may have one.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Where the next line begins.
    end: u64,
    last: Seq,
    buffer: Vec<u8>,
    /// Whether a write that failed may have left something behind `end`.
    ragged: bool,
    dirty: bool,
    synced: Micros,
    syncer: SyncSender<()>,
    sync_failed: Arc<Mutex<Option<io::Error>>>,
}

/// An event as it is written: [`Event`] with its kind borrowed, so that a batch that cannot be written is not lost.
#[derive(Serialize)]
struct Line<'a> {
    seq: Seq,
    wall: Micros,
    mono: Micros,
    #[serde(flatten)]
    kind: &'a EventKind,
}

impl Journal {
    /// A new session's journal; refuses one that is there already.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        Self::new(path, file.map_err(failed("create", path))?, 0, Seq(0))
    }

    /// Goes on with a journal after its last whole line, as recovery found it; what lies behind is cut off.
    pub fn continue_at(path: &Path, end: u64, last: Seq) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = regular::open_with(&mut options, path);
        let file = file.map_err(failed("open", path))?;
        let length = file.metadata().map_err(failed("read", path))?.len();
        if length < end {
            let why = format!("the journal ends at byte {length}, before the place to go on from");
            return Err(StoreError::Line { path: path.to_owned(), at: end, why });
        }
        file.set_len(end).map_err(failed("cut", path))?;
        Self::new(path, file, end, last)
    }

    fn new(path: &Path, file: File, end: u64, last: Seq) -> Result<Self, StoreError> {
        let sync_failed = Arc::default();
        // One request waits at most: whoever asks again before it is served is served by it.
        let (syncer, requests) = sync_channel(1);
        let (shared, failure) = (file.try_clone().map_err(failed("open", path))?, Arc::clone(&sync_failed));
        std::thread::Builder::new()
            .name("journal-sync".into())
            .spawn(move || sync_on_request(&shared, &requests, &failure))
            .map_err(failed("sync", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            end,
            last,
            buffer: Vec::new(),
            ragged: false,
            dirty: false,
            synced: Micros::default(),
            syncer,
            sync_failed,
        })
    }

    /// Numbers, stamps and writes these events. When it worked they are taken out of `kinds`; when it did not, they are
    /// all still there, nothing was recorded, and the same call may be tried again (except for
    /// [`TooLong`](StoreError::TooLong)).
    pub fn append(&mut self, kinds: &mut Vec<EventKind>) -> Result<Vec<Recorded>, StoreError> {
        if kinds.is_empty() {
            return Ok(Vec::new());
        }
        let (wall, mono) = (clock::wall(), clock::mono());
        let starts = self.write(kinds, wall, mono)?;
        let mut seq = self.last;
        let recorded = kinds
            .drain(..)
            .zip(starts)
            .map(|(kind, at)| {
                seq = seq.next();
                Recorded { at, event: Arc::new(Event { seq, wall, mono, kind }) }
            })
            .collect();
        self.last = seq;
        Ok(recorded)
    }

    /// Writes the lines and answers where each begins.
    fn write(&mut self, kinds: &[EventKind], wall: Micros, mono: Micros) -> Result<Vec<u64>, StoreError> {
        if self.ragged {
            self.file.set_len(self.end).map_err(failed("write", &self.path))?;
            self.ragged = false;
        }
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT);
        let mut starts = Vec::with_capacity(kinds.len());
        let mut seq = self.last;
        for kind in kinds {
            seq = seq.next();
            let begin = self.buffer.len();
            starts.push(self.end + begin as u64);
            serde_json::to_writer(&mut self.buffer, &Line { seq, wall, mono, kind })
                .map_err(|error| failed("write", &self.path)(error.into()))?;
            self.buffer.push(b'\n');
            let length = self.buffer.len() - begin;
            if length > LINE_LIMIT {
                return Err(StoreError::TooLong { length, limit: LINE_LIMIT });
            }
        }
        if let Err(error) = self.file.write_all_at(&self.buffer, self.end) {
            self.ragged = self.file.set_len(self.end).is_err();
            return Err(failed("write", &self.path)(error));
        }
        self.end += self.buffer.len() as u64;
        self.dirty = true;
        Ok(starts)
    }

    /// Byte offset after the last line.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The last event's number.
    pub fn last(&self) -> Seq {
        self.last
    }

    /// The monotonic time at which [`sync`](Self::sync) should be called; `None` when there is nothing to sync, so that
    /// an idle engine has no timer to set.
    pub fn sync_due(&self) -> Option<Micros> {
        self.dirty.then_some(Micros(self.synced.0.saturating_add(SYNC_INTERVAL.0)))
    }

    /// Has the disk made sure of what is written, on another thread; returns at once. For the end of an item, and when
    /// [`sync_due`](Self::sync_due) has come.
    pub fn sync(&mut self, now: Micros) {
        if self.dirty {
            // Full means that a request waits which has not been looked at: it covers this one.
            let _ = self.syncer.try_send(());
            self.dirty = false;
            self.synced = now;
        }
    }

    /// Waits until the disk has made sure of everything: for the end of a session.
    pub fn sync_and_wait(&mut self) -> Result<(), StoreError> {
        self.dirty = false;
        self.file.sync_data().map_err(failed("sync", &self.path))
    }

    /// What went wrong with syncing since the last time that this was asked.
    pub fn sync_error(&self) -> Option<StoreError> {
        let error = self.sync_failed.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(failed("sync", &self.path)(error))
    }
}

/// Ends when the journal is dropped.
fn sync_on_request(file: &File, requests: &Receiver<()>, failure: &Mutex<Option<io::Error>>) {
    while requests.recv().is_ok() {
        if let Err(error) = file.sync_data() {
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }
}
