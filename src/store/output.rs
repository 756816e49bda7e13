//! Keeping the child's output: its bytes at their places in the logs, and what the indexes say of them.
//!
//! What must stay true: a byte's offset in the log is its position in the stream, whatever was lost before it; nothing
//! here waits for anything but the writes themselves; a disk that is full, failing or nearly full makes bytes *lost*:
//! counted, a hole in the log, marked in the index; and when it takes bytes again, they are kept again.

use super::error::{StoreError, failed};
use super::folder::Folder;
use super::index::{IndexWriter, part};
use super::lines::LineIndexWriter;
use super::regular;
use crate::model::{CommandId, Marks, Micros, Stream};
use nix::sys::statvfs::fstatvfs;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Free space below which output is no longer kept, in bytes, unless set otherwise.
pub const MINIMUM_FREE: u64 = 2 << 30;
/// The disk is looked at again after so many bytes …
const LOOK_BYTES: u64 = 16 << 20;
/// … or after this time, when bytes arrive.
const LOOK_TIME: Micros = Micros(1_000_000);
/// How far a journal's marks may lie beyond what the files tell: nobody loses more between two engines.
const GAP_LIMIT: u64 = 1 << 40;

/// Both streams' writers, and what they could not keep.
#[derive(Debug)]
pub struct Output {
    /// For the thread that reads the child's standard output.
    pub stdout: OutputWriter,
    /// For the thread that reads the child's standard error.
    pub stderr: OutputWriter,
    /// For the engine.
    pub losses: Losses,
}

/// Bytes that could not be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// How many.
    pub bytes: u64,
    /// Why the last of them.
    pub reason: String,
}

/// What was lost since somebody asked; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Losses(Arc<Mutex<[StreamLoss; 2]>>);

#[derive(Debug, Default)]
struct StreamLoss {
    bytes: u64,
    reason: String,
    now: bool,
}

fn place(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

impl Losses {
    /// What this stream lost since this was asked the last time.
    pub fn take(&self, stream: Stream) -> Option<Loss> {
        let loss = &mut self.lock()[place(stream)];
        let bytes = std::mem::take(&mut loss.bytes);
        (bytes > 0).then(|| Loss { bytes, reason: loss.reason.clone() })
    }

    /// Why output is not being kept just now, as far as the last bytes told.
    pub fn not_keeping(&self) -> Option<String> {
        self.lock().iter().find(|loss| loss.now).map(|loss| loss.reason.clone())
    }

    fn lost(&self, stream: Stream, bytes: u64, reason: &str) {
        let loss = &mut self.lock()[place(stream)];
        loss.bytes = loss.bytes.saturating_add(bytes);
        loss.now = true;
        if loss.reason != reason {
            reason.clone_into(&mut loss.reason);
        }
    }

    fn kept(&self, stream: Stream) {
        self.lock()[place(stream)].now = false;
    }

    fn lock(&self) -> MutexGuard<'_, [StreamLoss; 2]> {
        // Its numbers are whole after every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps one stream. Belongs to the thread that reads the pipe.
#[derive(Debug)]
pub struct OutputWriter {
    stream: Stream,
    log: File,
    position: u64,
    index: Arc<Mutex<IndexWriter>>,
    lines: LineIndexWriter,
    losses: Losses,
    minimum_free: u64,
    /// Bytes that arrived since the disk was looked at, and when that was.
    since_look: u64,
    looked: Option<Micros>,
    /// Why nothing is kept until the disk is looked at again.
    refused: Option<String>,
    /// Whether the last bytes were lost.
    losing: bool,
}

impl Output {
    /// Goes on with a session's output. `reached` is how far the journal says that the streams had come: what a crashed
    /// engine lost is made up for by a hole, so that the marks in the journal stay right. Output is not kept while less
    /// than `minimum_free` bytes of the disk are free.
    pub fn open(folder: &Folder, reached: Marks, minimum_free: u64) -> Result<Self, StoreError> {
        let open = |stream| {
            let path = folder.output(stream);
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let log = regular::open_with(&mut options, &path);
            let log = log.map_err(failed("open", &path))?;
            let length = log.metadata().map_err(failed("read", &path))?.len();
            Ok::<_, StoreError>((log, length))
        };
        let ((out, stdout), (err, stderr)) = (open(Stream::Stdout)?, open(Stream::Stderr)?);
        let losses = Losses::default();
        let index = Arc::new(Mutex::new(IndexWriter::open(folder, Marks { stdout, stderr })?));
        let writer = |stream, log: File, length| {
            let ends = lock(&index).ends();
            let lines = LineIndexWriter::open(&folder.line_index(stream), &log, length)?;
            let mut writer = OutputWriter {
                stream,
                log,
                position: length,
                index: Arc::clone(&index),
                lines,
                losses: losses.clone(),
                minimum_free,
                since_look: 0,
                looked: None,
                refused: None,
                losing: false,
            };
            writer.lines.skip(part(ends, stream).saturating_sub(length));
            writer.position = part(ends, stream).max(length);
            let reached = part(reached, stream);
            if reached.saturating_sub(writer.position) <= GAP_LIMIT {
                writer.gap_up_to(reached, Micros::default());
            }
            Ok::<_, StoreError>(writer)
        };
        Ok(Self { stdout: writer(Stream::Stdout, out, stdout)?, stderr: writer(Stream::Stderr, err, stderr)?, losses })
    }
}

fn lock(index: &Mutex<IndexWriter>) -> MutexGuard<'_, IndexWriter> {
    // A record is added in one step.
    index.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OutputWriter {
    /// The position in the stream of the next byte: where capture has to begin to count.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Keeps bytes read at this position of the stream while this command ran. Positions only grow: what was given
    /// before is not kept again, what was left out is a hole.
    pub fn append(&mut self, offset: u64, bytes: &[u8], command: Option<CommandId>, wall: Micros, mono: Micros) {
        self.gap_up_to(offset, wall);
        // Not negative: a gap was just closed.
        let known = usize::try_from(self.position - offset).unwrap_or(usize::MAX);
        let Some(bytes) = bytes.get(known..).filter(|bytes| !bytes.is_empty()) else { return };
        let kept = match self.room(bytes.len() as u64, mono) {
            Ok(()) => self.write(bytes),
            Err(()) => 0,
        };
        let (stored, lost) = bytes.split_at(kept);
        self.lines.add(stored);
        if !stored.is_empty() {
            lock(&self.index).add(self.stream, stored.len() as u64, command, (wall, mono));
        }
        self.position += stored.len() as u64;
        if lost.is_empty() {
            if std::mem::take(&mut self.losing) {
                self.losses.kept(self.stream);
            }
            return;
        }
        let reason = self.refused.clone().unwrap_or_default();
        self.lose(lost.len() as u64, command, wall, &reason);
    }

    fn gap_up_to(&mut self, offset: u64, wall: Micros) {
        if let Some(missing) = offset.checked_sub(self.position).filter(|missing| *missing > 0) {
            self.lose(missing, None, wall, "an engine died before it was written");
        }
    }

    fn lose(&mut self, bytes: u64, command: Option<CommandId>, wall: Micros, reason: &str) {
        self.losing = true;
        self.losses.lost(self.stream, bytes, reason);
        self.lines.skip(bytes);
        lock(&self.index).lose(self.stream, bytes, command, wall);
        self.position = self.position.saturating_add(bytes);
    }

    /// Whether bytes are to be kept; looks at the disk when it is time to.
    fn room(&mut self, bytes: u64, mono: Micros) -> Result<(), ()> {
        self.since_look = self.since_look.saturating_add(bytes);
        let due = self.looked.is_none_or(|looked| mono.since(looked) >= LOOK_TIME) || self.since_look >= LOOK_BYTES;
        if due {
            self.looked = Some(mono);
            self.since_look = 0;
            self.refused = None;
            if let Ok(disk) = fstatvfs(&self.log) {
                let free = disk.blocks_available().saturating_mul(disk.fragment_size());
                if free < self.minimum_free {
                    self.refused = Some(format!(
                        "the disk has {} free, less than the {} that are to be left",
                        mebibytes(free),
                        mebibytes(self.minimum_free)
                    ));
                }
            }
        }
        if self.refused.is_none() { Ok(()) } else { Err(()) }
    }

    /// Writes as much as the disk takes; answers how much that was.
    fn write(&mut self, bytes: &[u8]) -> usize {
        if self.losing {
            // The log jumps over the hole now: the index must have said so before, or a crash makes zeros of it.
            lock(&self.index).settle(self.stream);
        }
        let mut done = 0;
        while done < bytes.len() {
            match self.log.write_at(&bytes[done..], self.position + done as u64) {
                Ok(0) => {
                    self.refused = Some("the disk takes no more bytes".into());
                    break;
                }
                Ok(written) => done += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.refused = Some(format!("the disk does not take it ({error})"));
                    break;
                }
            }
        }
        done
    }
}

impl Drop for OutputWriter {
    fn drop(&mut self) {
        lock(&self.index).finish(self.stream);
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
