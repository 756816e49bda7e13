//! One stream's log as lines, for one page.
//!
//! What must stay true: memory is one block whatever the lines' lengths; a stretch that was lost is a line of its own,
//! so that nobody takes a hole for what the child said; the log is looked at as it was when the page was begun.

use super::index::{Records, part};
use super::lines::{BLOCK, BLOCK_SIZE, Counted, LineCounts};
use crate::model::Stream;
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// One stream.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) stream: Stream,
    log: &'a File,
    /// How far the stream came: the log's end, or the end of what was lost behind it.
    pub(super) length: u64,
    stored: u64,
    any_lost: bool,
    records: &'a Records,
    lines: LineCounts<'a>,
    block: RefCell<(u64, Vec<u8>)>,
}

impl<'a> View<'a> {
    /// A stream whose log has `stored` bytes, and of which nothing is looked at from `until` on.
    pub(super) fn new(
        stream: Stream,
        (log, stored): (&'a File, u64),
        until: u64,
        records: &'a Records,
        (line_index, counted): (&Path, &'a Counted),
    ) -> Self {
        let length = part(records.ends(), stream).max(stored).min(until);
        Self {
            stream,
            log,
            length,
            stored,
            any_lost: length > stored || records.any_lost(),
            records,
            lines: LineCounts::new(line_index, log, stored, counted),
            block: RefCell::new((u64::MAX, Vec::new())),
        }
    }

    /// Counts all lines, so that those after this have numbers.
    pub(super) fn count_all(&self) {
        self.lines.count_all();
    }

    /// Reads bytes; fewer than asked for only at the end, or where the file gives none.
    pub(super) fn read(&self, from: u64, most: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.read_into(from..from.saturating_add(most), &mut bytes);
        bytes
    }

    /// Reads bytes into a buffer, and leaves nothing else in it; fewer than asked for as above.
    pub(super) fn read_into(&self, range: Range<u64>, buffer: &mut Vec<u8>) {
        let most = usize::try_from(range.end.min(self.stored).saturating_sub(range.start)).unwrap_or_default();
        buffer.resize(most, 0);
        let got = read_full(self.log, buffer, range.start);
        buffer.truncate(got);
    }

    /// The log as the file system knows it: device and inode.
    pub(super) fn identity(&self) -> (u64, u64) {
        self.log.metadata().map_or((0, 0), |file| (file.dev(), file.ino()))
    }

    /// Looks at the bytes of a block from `from` on (within it) up to `to`.
    fn look<T>(&self, number: u64, from: u64, to: u64, look: impl FnOnce(&[u8]) -> T) -> T {
        let mut block = self.block.borrow_mut();
        if block.0 != number {
            block.1.resize(BLOCK_SIZE, 0);
            let most = BLOCK.min(self.stored.saturating_sub(number * BLOCK));
            let most = usize::try_from(most).unwrap_or_default();
            let got = read_full(self.log, &mut block.1[..most], number * BLOCK);
            block.1.truncate(got);
            block.0 = number;
        }
        let begin = usize::try_from(from - number * BLOCK).unwrap_or(usize::MAX).min(block.1.len());
        let end = usize::try_from(to - number * BLOCK).unwrap_or(usize::MAX).min(block.1.len());
        look(&block.1[begin..end.max(begin)])
    }

    /// The first newline from here on.
    fn newline_from(&self, from: u64, to: u64) -> Option<u64> {
        let mut number = from / BLOCK;
        while number * BLOCK < to {
            let begin = from.max(number * BLOCK);
            if let Some(place) = self.look(number, begin, to, |bytes| memchr::memchr(b'\n', bytes)) {
                return Some(begin + place as u64);
            }
            number = self.lines.next_with_newline(number + 1);
        }
        None
    }

    /// The last newline before here.
    fn newline_before(&self, to: u64) -> Option<u64> {
        let mut number = to.checked_sub(1)? / BLOCK;
        loop {
            let begin = number * BLOCK;
            if let Some(place) = self.look(number, begin, to, |bytes| memchr::memrchr(b'\n', bytes)) {
                return Some(begin + place as u64);
            }
            number = self.lines.last_with_newline(number.checked_sub(1)?)?;
        }
    }

    /// The first lost stretch that lies, in part at least, in these bytes.
    pub(super) fn lost_in(&self, from: u64, to: u64) -> Option<(u64, u64)> {
        if !self.any_lost || from >= to {
            return None;
        }
        let behind_log = (self.length > self.stored && to > self.stored).then_some((self.stored, self.length));
        match (self.records.lost_in(self.stream, from, to), behind_log) {
            (Some(lost), Some(behind)) if lost.1 >= behind.0 => Some((lost.0.min(behind.0), lost.1.max(behind.1))),
            (Some(lost), _) => Some(lost),
            (None, behind) => behind,
        }
    }

    /// The lost stretch that this byte belongs to.
    pub(super) fn lost_at(&self, offset: u64) -> Option<(u64, u64)> {
        self.lost_in(offset, offset + 1).filter(|lost| lost.0 <= offset)
    }

    /// Where the line begins that this byte, before the stream's end, belongs to.
    pub(super) fn start_of(&self, offset: u64) -> u64 {
        if let Some((start, _)) = self.lost_at(offset) {
            return start;
        }
        let mut start = self.newline_before(offset).map_or(0, |newline| newline + 1);
        while let Some((_, end)) = self.lost_in(start, offset) {
            start = end;
        }
        start
    }

    /// The offset after the line that begins here, newline included.
    pub(super) fn end_of(&self, start: u64) -> u64 {
        if let Some((_, end)) = self.lost_at(start) {
            return end;
        }
        let limit = self.lost_in(start, self.length).map_or(self.length, |lost| lost.0);
        self.newline_from(start, limit).map_or(limit, |newline| newline + 1)
    }

    /// The first line that begins here or later; the stream's end if none does.
    pub(super) fn first_from(&self, offset: u64) -> u64 {
        if offset >= self.length {
            return self.length;
        }
        let start = self.start_of(offset);
        if start == offset { offset } else { self.end_of(start) }
    }

    /// Newlines before this byte, where that is known cheaply.
    pub(super) fn newlines_before(&self, offset: u64) -> Option<u64> {
        let number = offset.min(self.stored) / BLOCK;
        let here = self.look(number, number * BLOCK, offset.max(number * BLOCK), |bytes| {
            memchr::memchr_iter(b'\n', bytes).count()
        });
        Some(self.lines.before(number)? + here as u64)
    }

    /// Whether the byte before this one is a newline.
    pub(super) fn ends_line(&self, end: u64) -> bool {
        let Some(last) = end.checked_sub(1) else { return false };
        self.look(last / BLOCK, last, end, |bytes| bytes == b"\n")
    }
}

/// As many bytes as the file gives; an error is taken for its end, so that the rest of the page can be shown.
pub(super) fn read_full(file: &File, bytes: &mut [u8], from: u64) -> usize {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], from + done as u64) {
            Ok(0) => break,
            Ok(got) => done += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    done
}
