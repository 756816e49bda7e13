//! The journal's reading end: one event at a known place, or all of them in order.
//!
//! What must stay true: nothing is written; memory is bounded by the longest line that is taken; a line that cannot be
//! read is told with its place and does not hide those after it.

use super::error::{StoreError, failed};
use super::journal::{LINE_LIMIT, Recorded};
use super::regular;
use crate::model::{Event, Micros, Seq};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes read at once: most events fit into the first such piece.
const PIECE: usize = 4096;
/// Bytes read at once when all events are read.
const BLOCK: usize = 64 << 10;

/// A journal opened for reading; the engine may be writing to it.
#[derive(Debug)]
pub struct JournalReader {
    path: PathBuf,
    file: File,
}

/// Why a line of the journal gave no event.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// Its newline is not there: the engine died while writing it, or is writing it now. Nothing follows.
    #[error("the last line, at byte {at}, was not finished")]
    Torn {
        /// Where it begins.
        at: u64,
    },
    /// It is no event that this version knows. Lines after it can be read.
    #[error("the line at byte {at} cannot be read: {why}")]
    Unreadable {
        /// Where it begins.
        at: u64,
        /// What is wrong.
        why: String,
    },
    /// The file cannot be read. Nothing follows.
    #[error("cannot read at byte {at}: {source}")]
    Io {
        /// Where.
        at: u64,
        /// What the system said.
        source: io::Error,
    },
}

impl JournalReader {
    /// Opens it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = regular::open(path).map_err(failed("read", path))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// One in which nothing stands, for a folder whose journal is gone.
    pub fn empty(path: &Path) -> Result<Self, StoreError> {
        let nothing = Path::new("/dev/null");
        Ok(Self { path: path.to_owned(), file: File::open(nothing).map_err(failed("read", nothing))? })
    }

    /// The event whose line begins at this byte.
    pub fn at(&self, offset: u64) -> Result<Event, StoreError> {
        let mut line = Vec::new();
        let mut piece = PIECE;
        loop {
            let read = line.len();
            line.resize(read + piece, 0);
            let got = read_some_at(&self.file, &mut line[read..], offset + read as u64)
                .map_err(failed("read", &self.path))?;
            line.truncate(read + got);
            if let Some(end) = memchr::memchr(b'\n', &line[read..]) {
                line.truncate(read + end);
                break;
            }
            if got == 0 {
                return Err(self.bad(offset, "no whole line begins here"));
            }
            if line.len() > LINE_LIMIT {
                return Err(self.bad(offset, "the line is too long"));
            }
            piece = line.len().max(PIECE);
        }
        serde_json::from_slice(&line).map_err(|error| self.bad(offset, &error.to_string()))
    }

    fn bad(&self, at: u64, why: &str) -> StoreError {
        StoreError::Line { path: self.path.clone(), at, why: why.into() }
    }

    /// How long the journal is now, in bytes.
    pub fn length(&self) -> Result<u64, StoreError> {
        Ok(self.file.metadata().map_err(failed("read", &self.path))?.len())
    }

    /// The events from the line that begins at this byte on, to the end as it is when it is reached.
    pub fn iter_from(&self, offset: u64) -> Events<'_> {
        let source = Tail { file: &self.file, at: offset };
        Events { reader: BufReader::with_capacity(BLOCK, source), at: offset, line: Vec::new(), over: false }
    }

    /// Where the first event after this one begins: found by bisection, for somebody who comes late to a long journal.
    /// The journal's end if there is none yet.
    pub fn after(&self, seq: Seq) -> Result<u64, StoreError> {
        self.partition(|event| event.seq <= seq)
    }

    /// Where the first event after this wall time begins. Where the clock was set back, one of the places that fit.
    pub fn after_time(&self, wall: Micros) -> Result<u64, StoreError> {
        self.partition(|event| event.wall <= wall)
    }

    /// Where the first event that is not `before` begins, if events are ordered by that.
    fn partition(&self, before: impl Fn(&Event) -> bool) -> Result<u64, StoreError> {
        let (mut low, mut high) = (0, self.length()?);
        while high - low > BLOCK as u64 {
            let middle = low + (high - low) / 2;
            // What cannot be read is passed over, so that one bad line does not lead the search astray.
            let mut lines = self.iter_from(self.line_after(middle, high)?);
            let found = lines.find_map(Result::ok).filter(|found| found.at < high);
            match found {
                Some(found) if before(&found.event) => low = found.at,
                _ => high = middle,
            }
        }
        let mut events = self.iter_from(low);
        let found = events.find_map(|line| line.ok().filter(|found| !before(&found.event)));
        Ok(found.map_or(events.end(), |found| found.at))
    }

    /// Where a line begins some bytes before the line that begins here: about `size` before it where lines are short. The
    /// journal's beginning is before every line, and before itself.
    pub fn back_from(&self, offset: u64, mut size: u64) -> Result<u64, StoreError> {
        loop {
            let Some(from) = offset.checked_sub(size).filter(|from| *from > 0) else { return Ok(0) };
            let line = self.line_after(from, offset)?;
            if line < offset {
                return Ok(line);
            }
            size *= 2;
        }
    }

    /// The beginning of the first line after this byte; `end` if there is none before it.
    fn line_after(&self, offset: u64, end: u64) -> Result<u64, StoreError> {
        let mut reader = BufReader::with_capacity(PIECE, Tail { file: &self.file, at: offset });
        let skipped = skip_line(&mut reader, &mut Vec::new()).map_err(failed("read", &self.path))?;
        Ok((offset + skipped as u64).min(end))
    }

    /// The byte before this one, if there is one.
    pub(super) fn byte_before(&self, offset: u64) -> Option<u8> {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, offset.checked_sub(1)?).ok()?;
        Some(byte[0])
    }
}

fn read_some_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Reads a file from a place on without moving its cursor, which all readers of one descriptor share.
struct Tail<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Tail<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = read_some_at(self.file, buffer, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

/// Events in order. After an unreadable line it goes on with the next one.
pub struct Events<'a> {
    reader: BufReader<Tail<'a>>,
    at: u64,
    line: Vec<u8>,
    over: bool,
}

impl Events<'_> {
    /// Byte offset after the last whole line that was looked at: where to go on later.
    pub fn end(&self) -> u64 {
        self.at
    }

    /// The next line without its newline is put into `self.line`; its whole length is answered, 0 at the end.
    fn read_line(&mut self) -> io::Result<usize> {
        self.line.clear();
        self.line.shrink_to(BLOCK);
        let length = self.reader.by_ref().take(LINE_LIMIT as u64 + 1).read_until(b'\n', &mut self.line)?;
        if length <= LINE_LIMIT || self.line.last() == Some(&b'\n') {
            return Ok(length);
        }
        Ok(length + skip_line(&mut self.reader, &mut self.line)?)
    }
}

/// Skips what is left of a line that is too long to be kept; leaves its newline in `line`, if there is one.
fn skip_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    let mut skipped = 0;
    loop {
        let block = reader.fill_buf()?;
        let end = memchr::memchr(b'\n', block);
        let used = end.map_or(block.len(), |end| end + 1);
        let empty = block.is_empty();
        reader.consume(used);
        skipped += used;
        if end.is_some() {
            line.push(b'\n');
        }
        if end.is_some() || empty {
            return Ok(skipped);
        }
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Recorded, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let at = self.at;
        let length = match self.read_line() {
            Ok(0) => {
                self.over = true;
                return None;
            }
            Ok(length) => length,
            Err(source) => {
                self.over = true;
                return Some(Err(LineError::Io { at, source }));
            }
        };
        if self.line.pop() != Some(b'\n') {
            self.over = true;
            return Some(Err(LineError::Torn { at }));
        }
        self.at += length as u64;
        if length > LINE_LIMIT {
            return Some(Err(LineError::Unreadable { at, why: format!("it has {length} bytes") }));
        }
        Some(match serde_json::from_slice::<Event>(&self.line) {
            Ok(event) => Ok(Recorded { at, event: Arc::new(event) }),
            Err(error) => Err(LineError::Unreadable { at, why: error.to_string() }),
        })
    }
}
