//! The sparse line index of one stream: how many newlines the log has up to the end of each 64 KiB block. It gives lines
//! their numbers and jumps over the inside of a line that has no end.
//!
//! What must stay true: it is made from the log alone, so whatever is missing, short or wrong in it is counted again;
//! readers count in memory, and only so much at a time as costs milliseconds.

use super::error::{StoreError, failed};
use super::regular;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Bytes of output for one entry.
pub(super) const BLOCK: u64 = BLOCK_SIZE as u64;
/// The same, as the length of a buffer.
pub(super) const BLOCK_SIZE: usize = 64 << 10;
/// The first bytes of the file; the last of them is the version.
const MAGIC: &[u8; 16] = b"childminder li\0\x01";
/// Bytes of an entry.
const SIZE: usize = 8;
/// Entries that wait to be written together.
const TOGETHER: usize = 16;
/// Bytes of entries that may wait for a disk that takes none: enough for 64 GiB of output, kept or lost. After more the
/// index ends there, and is counted again when the session is resumed.
const PENDING: usize = 8 << 20;
/// Blocks that a reader counts in one go where the index says nothing: 32 MiB.
const COUNTED_AT_ONCE: u64 = 512;

fn count(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// Newlines in these bytes of a log; what cannot be read, or lies behind its end, has none.
fn count_in(log: &File, from: u64, to: u64, buffer: &mut Vec<u8>) -> u64 {
    let mut at = from;
    let mut lines = 0;
    buffer.resize(BLOCK_SIZE, 0);
    while at < to {
        let most = usize::try_from(to - at).map_or(buffer.len(), |left| left.min(buffer.len()));
        match log.read_at(&mut buffer[..most], at) {
            Ok(0) => break,
            Ok(got) => {
                lines += count(&buffer[..got]);
                at += got as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    lines
}

/// An index file, as far as it can be believed.
#[derive(Debug)]
struct Entries {
    file: File,
    count: u64,
}

impl Entries {
    /// Looks at its header, its length and its last entry, for a log of this length.
    fn check(file: File, log: &File, length: u64) -> Option<Self> {
        let mut magic = [0; MAGIC.len()];
        file.read_exact_at(&mut magic, 0).ok().filter(|()| &magic == MAGIC)?;
        let bytes = file.metadata().ok()?.len();
        let count = ((bytes - MAGIC.len() as u64) / SIZE as u64).min(length / BLOCK);
        let entries = Self { file, count };
        if let Some(last) = count.checked_sub(1) {
            let counted = count_in(log, last * BLOCK, count * BLOCK, &mut Vec::new());
            let said = entries.before(count)?.checked_sub(entries.before(last)?)?;
            if said != counted {
                return None;
            }
        }
        Some(entries)
    }

    /// Newlines before this block.
    fn before(&self, block: u64) -> Option<u64> {
        let Some(entry) = block.checked_sub(1).filter(|entry| *entry < self.count) else {
            return (block == 0).then_some(0);
        };
        let mut bytes = [0; SIZE];
        self.file.read_exact_at(&mut bytes, MAGIC.len() as u64 + entry * SIZE as u64).ok()?;
        decode(entry, u64::from_le_bytes(bytes))
    }
}

/// Whether an index file tells so much of a log of this length that what it does not tell of is counted in one go: of a
/// session that was running when it was copied, it is always a little behind.
pub(super) fn is_enough(path: &Path, log: &File, length: u64) -> bool {
    let whole = length / BLOCK;
    let entries = || Entries::check(regular::open(path).ok()?, log, length);
    whole == 0 || entries().is_some_and(|entries| whole - entries.count <= COUNTED_AT_ONCE)
}

/// An entry carries 16 bits that prove it: a wrong one would glue lines together.
fn encode(entry: u64, lines: u64) -> u64 {
    let lines = lines & ((1 << 48) - 1);
    let mixed = (lines ^ entry.rotate_left(40) ^ 0x6c69).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    lines | mixed >> 48 << 48
}

fn decode(entry: u64, word: u64) -> Option<u64> {
    let lines = word & ((1 << 48) - 1);
    (encode(entry, lines) == word).then_some(lines)
}

/// The writing end: counts as bytes come.
#[derive(Debug)]
pub(super) struct LineIndexWriter {
    file: File,
    /// How far it has counted.
    position: u64,
    newlines: u64,
    written: u64,
    pending: Vec<u8>,
    /// Whether an entry is missing, so that none may follow.
    ended: bool,
}

impl LineIndexWriter {
    /// Goes on where the log ends; counts what the index does not say.
    pub(super) fn open(path: &Path, log: &File, length: u64) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = regular::open_with(&mut options, path);
        let file = file.map_err(failed("open", path))?;
        let known = Entries::check(file.try_clone().map_err(failed("open", path))?, log, length);
        let written = known.as_ref().map_or(0, |known| known.count);
        let newlines = known.and_then(|known| known.before(written)).unwrap_or(0);
        file.set_len(MAGIC.len() as u64 + written * SIZE as u64).map_err(failed("cut", path))?;
        file.write_all_at(MAGIC, 0).map_err(failed("write", path))?;
        let mut writer = Self { file, position: written * BLOCK, newlines, written, pending: Vec::new(), ended: false };
        let mut buffer = Vec::new();
        while writer.position < length {
            let to = (writer.position / BLOCK + 1).saturating_mul(BLOCK).min(length);
            writer.newlines += count_in(log, writer.position, to, &mut buffer);
            writer.moved_to(to);
        }
        Ok(writer)
    }

    /// Counts bytes that were kept.
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(BLOCK - self.position % BLOCK).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.newlines += count(now);
            self.moved_to(self.position + now.len() as u64);
            bytes = later;
        }
    }

    /// Passes over bytes that were lost.
    pub(super) fn skip(&mut self, length: u64) {
        let end = self.position.saturating_add(length);
        while self.position < end {
            if self.ended {
                self.position = end;
                return;
            }
            self.moved_to((self.position / BLOCK + 1).saturating_mul(BLOCK).min(end));
        }
    }

    fn moved_to(&mut self, position: u64) {
        self.position = position;
        self.ended |= self.pending.len() >= PENDING;
        if position.is_multiple_of(BLOCK) && !self.ended {
            self.pending.extend_from_slice(&encode(position / BLOCK - 1, self.newlines).to_le_bytes());
            if self.pending.len().is_multiple_of(TOGETHER * SIZE) {
                self.flush();
            }
        }
    }

    /// Writes what waits; a disk that takes nothing is tried again later.
    pub(super) fn flush(&mut self) {
        if self.file.write_all_at(&self.pending, MAGIC.len() as u64 + self.written * SIZE as u64).is_ok() {
            self.written += (self.pending.len() / SIZE) as u64;
            self.pending.clear();
        }
    }
}

impl Drop for LineIndexWriter {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Counted by a reader, behind the end of what the file says.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// Newlines before the first block, and up to the end of each.
    lines: Mutex<(u64, Vec<u64>)>,
}

/// The reading end, for one page.
#[derive(Debug)]
pub(super) struct LineCounts<'a> {
    entries: Option<Entries>,
    log: &'a File,
    length: u64,
    counted: &'a Counted,
}

impl<'a> LineCounts<'a> {
    /// What is known of a log of this length.
    pub(super) fn new(path: &Path, log: &'a File, length: u64, counted: &'a Counted) -> Self {
        let entries = regular::open(path).ok().and_then(|file| Entries::check(file, log, length));
        Self { entries, log, length, counted }
    }

    /// How many blocks the file tells of.
    fn told(&self) -> u64 {
        self.entries.as_ref().map_or(0, |entries| entries.count)
    }

    /// Newlines before this block, if that is known or soon counted.
    pub(super) fn before(&self, block: u64) -> Option<u64> {
        if block <= self.told() {
            return self.entries.as_ref().map_or((block == 0).then_some(0), |entries| entries.before(block));
        }
        self.count_up_to(block, COUNTED_AT_ONCE)
    }

    /// Counts on in memory. What was counted stays true as the log grows: whole blocks never change.
    fn count_up_to(&self, block: u64, most: u64) -> Option<u64> {
        if block > self.length / BLOCK {
            return None;
        }
        let mut counted = self.counted.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, lines) = &mut *counted;
        let told = self.told();
        if *first + (lines.len() as u64) < told || *first > told {
            let before = self.entries.as_ref().map_or(Some(0), |entries| entries.before(told))?;
            (*first, *lines) = (told, vec![before]);
        }
        let known = *first + (lines.len() as u64).saturating_sub(1);
        if block.saturating_sub(known) <= most {
            let mut buffer = Vec::new();
            let mut sum = lines.last().copied().unwrap_or(0);
            for next in known..block {
                sum += count_in(self.log, next * BLOCK, (next + 1) * BLOCK, &mut buffer);
                if lines.is_empty() {
                    lines.push(0);
                }
                lines.push(sum);
            }
        }
        lines.get(usize::try_from(block.checked_sub(*first)?).ok()?).copied()
    }

    /// Counts the whole log, so that all lines have numbers: for a folder that came without its index.
    pub(super) fn count_all(&self) {
        let whole = self.length / BLOCK;
        let mut block = self.told();
        while block < whole {
            block = (block + COUNTED_AT_ONCE).min(whole);
            if self.before(block).is_none() {
                return;
            }
        }
    }

    /// The first block from this one on that has a newline, as far as the file tells; else the first that it does not
    /// tell of.
    pub(super) fn next_with_newline(&self, block: u64) -> u64 {
        let Some(entries) = self.entries.as_ref().filter(|entries| block < entries.count) else { return block };
        let Some(before) = entries.before(block) else { return block };
        let (mut low, mut high) = (block, entries.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if entries.before(middle + 1).is_some_and(|lines| lines <= before) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The last block up to this one that has a newline, or that the file does not tell of; `None` if none has.
    pub(super) fn last_with_newline(&self, block: u64) -> Option<u64> {
        let Some(entries) = self.entries.as_ref().filter(|entries| block < entries.count) else { return Some(block) };
        let Some(upto) = entries.before(block + 1) else { return Some(block) };
        if upto == 0 {
            return None;
        }
        let (mut low, mut high) = (0, block);
        while low < high {
            let middle = low + (high - low) / 2;
            if entries.before(middle + 1).is_some_and(|lines| lines >= upto) { high = middle } else { low = middle + 1 }
        }
        Some(low)
    }
}
