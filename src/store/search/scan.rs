//! The wanted lines of one stream, chunk by chunk: read in blocks, matched over the block and not line by line.
//!
//! What must stay true: a line belongs to the chunk in which it begins, so that chunks can be looked at in any order and
//! none is counted twice; memory is some blocks whatever the lines' lengths; what was lost matches nothing.

use super::memory::{Log, Question, identity};
use super::work::{Tired, Work};
use crate::model::Pattern;
use crate::model::pattern::all_lines;
use crate::model::sgr::{ESC, Plain};
use crate::store::scope::Scope;
use crate::store::view::View;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// Bytes of a stream that are looked at together.
pub(super) const CHUNK: u64 = 512 << 10;
/// Bytes that are read behind them for the end of the last line.
const SLACK: u64 = 4 << 10;
/// Bytes of a chunk that are matched at once: they stay in the processor's nearest cache from one look at them to the
/// next, and what nobody waits for any more is given up between them.
const PIECE: usize = 16 << 10;
/// The longest line that is matched whole, in bytes, and the windows in which longer ones are.
const WINDOW: u64 = 1 << 20;
/// By how much windows overlap: a match that is longer may be missed.
const OVERLAP: u64 = 64 << 10;
/// What lies farther in a line than this is not looked at: there are lines without an end.
const LONGEST: u64 = 64 << 20;

/// The wanted lines of a stream.
pub(super) struct Sieve<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) scope: &'a Scope,
    question: &'a Question,
    log: Log,
    work: &'a Work<'a>,
    buffers: RefCell<Buffers>,
    /// The chunk looked at last, and its wanted lines: an answer comes to it several times, and a long line makes it dear.
    last: RefCell<Option<(u64, Rc<[u64]>)>>,
}

#[derive(Default)]
struct Buffers {
    block: Vec<u8>,
    plain: Plain,
}

impl<'a> Sieve<'a> {
    /// Of a stream's lines in this scope.
    pub(super) fn new(view: &'a View<'a>, scope: &'a Scope, question: &'a Question, work: &'a Work<'a>) -> Self {
        let log = view.identity();
        Self { view, scope, question, log, work, buffers: RefCell::default(), last: RefCell::default() }
    }

    /// The first place from this one on where a wanted line may begin.
    pub(super) fn from(&self, mut place: u64) -> Option<u64> {
        loop {
            place = self.scope.from(place)?.start.max(place);
            match self.view.lost_at(place) {
                Some((start, end)) if start < place => place = end,
                _ => return Some(place),
            }
        }
    }

    /// The last place before this one where a wanted line may begin.
    pub(super) fn before(&self, mut place: u64) -> Option<u64> {
        loop {
            let part = self.scope.before(place)?;
            let last = place.min(part.end) - 1;
            match self.view.lost_at(last) {
                Some((start, _)) if start < last => place = start + 1,
                _ => return Some(last),
            }
        }
    }

    /// How many lines of a chunk are wanted, if that is known.
    pub(super) fn known(&self, chunk: u64) -> Option<u64> {
        let identities = [None, Some(self.view.length)].map(|open_at| identity(self.scope, chunk, open_at));
        self.question.tally(self.view.stream).get(self.log, chunk, identities).map(u64::from)
    }

    /// How many lines of a chunk are wanted.
    pub(super) fn count(&self, chunk: u64) -> Result<u64, Tired> {
        match self.known(chunk) {
            Some(count) => Ok(count),
            None => Ok(self.lines(chunk)?.len() as u64),
        }
    }

    /// Where the wanted lines of a chunk begin, in order.
    pub(super) fn lines(&self, chunk: u64) -> Result<Rc<[u64]>, Tired> {
        if let Some((_, lines)) = self.last.borrow().as_ref().filter(|(last, _)| *last == chunk) {
            return Ok(lines.clone());
        }
        let known = self.known(chunk);
        if known == Some(0) {
            return Ok(Rc::default());
        }
        self.work.go_on()?;
        let mut starts = Vec::new();
        let mut open = false;
        for part in self.scope.within(chunk * CHUNK..(chunk + 1) * CHUNK) {
            open |= self.sift(part, &mut starts)?;
        }
        let identity = identity(self.scope, chunk, open.then_some(self.view.length));
        self.question.tally(self.view.stream).set(self.log, chunk, identity, starts.len());
        // What is known of a line without an end holds only until it grows.
        if known.is_none() && !open {
            self.work.got_further();
        }
        let lines: Rc<[u64]> = starts.into();
        *self.last.borrow_mut() = Some((chunk, lines.clone()));
        Ok(lines)
    }

    /// Finds the wanted lines that begin in this part of a chunk; whether the last one has no end yet.
    fn sift(&self, part: Range<u64>, starts: &mut Vec<u64>) -> Result<bool, Tired> {
        let mut buffers = self.buffers.borrow_mut();
        let Buffers { block, plain } = &mut *buffers;
        // The byte before tells whether a line begins here.
        let first = part.start.saturating_sub(1);
        self.view.read_into(first..part.end + SLACK, block);
        self.work.spend(block.len() as u64);
        let end = first + block.len() as u64;
        if self.view.lost_in(first, end.max(part.end)).is_some() {
            return self.sift_slowly(part, starts);
        }
        let at = |place: u64| usize::try_from(place - first).unwrap_or(usize::MAX).min(block.len());
        let begin = match part.start {
            0 => 0,
            _ => memchr::memchr(b'\n', block).map_or(block.len(), |newline| newline + 1),
        };
        if begin >= at(part.end) {
            return Ok(false);
        }
        // From the last byte on at which a line may begin: its newline may be that byte.
        let last = at(part.end - 1);
        let (whole, longer) = match memchr::memchr(b'\n', &block[last..]) {
            Some(newline) => (last + newline + 1, None),
            None if end == self.view.length => (block.len(), None),
            None => {
                let start = memchr::memrchr(b'\n', &block[begin..last]).map_or(begin, |newline| begin + newline + 1);
                (start, Some(first + start as u64))
            }
        };
        self.sift_block(&block[begin..whole], first + begin as u64, plain, starts)?;
        let mut open = !block[..whole].ends_with(b"\n") && longer.is_none();
        if let Some(start) = longer {
            let end = self.view.end_of(start);
            open = !self.view.ends_line(end);
            if self.wants_line(start..end)? {
                starts.push(start);
            }
        }
        Ok(open)
    }

    /// The wanted lines of a block of whole lines that begins at `base`.
    fn sift_block(&self, block: &[u8], base: u64, plain: &mut Plain, starts: &mut Vec<u64>) -> Result<(), Tired> {
        let mut begin = 0;
        while begin < block.len() {
            self.work.is_wanted()?;
            let least = (begin + PIECE).min(block.len());
            let end = memchr::memchr(b'\n', &block[least..]).map_or(block.len(), |newline| least + newline + 1);
            let piece = &block[begin..end];
            let Some((first, others)) = self.question.patterns.split_first() else {
                all_lines(piece, 0..piece.len(), |line| starts.push(base + (begin + line.start) as u64));
                begin = end;
                continue;
            };
            let mut found = |line: Range<usize>| {
                if others.iter().all(|pattern| pattern.wants(&piece[line.clone()])) {
                    starts.push(base + (begin + line.start) as u64);
                }
            };
            if memchr::memchr(ESC, piece).is_some() {
                plain.fill(piece);
                first.lines(&plain.bytes, |line| found(plain.line(line)));
            } else {
                first.lines(piece, found);
            }
            begin = end;
        }
        Ok(())
    }

    /// The same as `sift`, line by line: where something was lost.
    fn sift_slowly(&self, part: Range<u64>, starts: &mut Vec<u64>) -> Result<bool, Tired> {
        let mut start = self.view.first_from(part.start);
        let mut open = false;
        while start < part.end {
            self.work.is_wanted()?;
            let end = self.view.end_of(start);
            let lost = self.view.lost_at(start).is_some();
            // What was lost may go on, too.
            open = end == self.view.length && (lost || !self.view.ends_line(end));
            let wanted = if lost {
                self.question.patterns.iter().all(Pattern::is_inverted)
            } else {
                self.wants_line(start..end)?
            };
            if wanted {
                starts.push(start);
            }
            start = end;
        }
        Ok(open)
    }

    /// Whether one line is wanted.
    fn wants_line(&self, line: Range<u64>) -> Result<bool, Tired> {
        let end = line.end - u64::from(self.view.ends_line(line.end));
        if end - line.start <= WINDOW {
            let text = self.view.read(line.start, end - line.start);
            self.work.spend(text.len() as u64);
            return Ok(self.question.patterns.iter().all(|pattern| pattern.wants(&text)));
        }
        let tally = self.question.tally(self.view.stream);
        if let Some(wanted) = tally.wants_long(self.log, &line) {
            return Ok(wanted);
        }
        let mut wanted = true;
        for pattern in &self.question.patterns {
            wanted = wanted && self.matches_long(pattern, line.start..end)? != pattern.is_inverted();
        }
        tally.set_long(self.log, line, wanted);
        Ok(wanted)
    }

    fn matches_long(&self, pattern: &Pattern, line: Range<u64>) -> Result<bool, Tired> {
        let mut from = line.start;
        loop {
            self.work.is_wanted()?;
            let to = (from + WINDOW).min(line.end);
            // A byte of context on each side where the line goes on, so that its parts have no beginnings and ends.
            let before = u64::from(from > line.start);
            let after = usize::from(to < line.end);
            let bytes = self.view.read(from - before, to - from + before + after as u64);
            self.work.spend(bytes.len() as u64);
            let plain = Plain::of(&bytes).bytes;
            let before = usize::from(before > 0).min(plain.len());
            if pattern.matches_in(&plain, before..plain.len().saturating_sub(after).max(before)) {
                return Ok(true);
            }
            if to == line.end || to - line.start >= LONGEST {
                return Ok(false);
            }
            from = to - OVERLAP;
        }
    }
}
