//! The output index: which bytes of which stream were read when, while which command ran, in the order of reading.
//!
//! A header, then records of 48 bytes that only grow in number; the last one may be rewritten as its read goes on. Each
//! says how far *both* streams had come after it, so that a byte of either is found by bisection.
//!
//! What must stay true: every record is checked by itself, a file that is torn is used up to its last sound record;
//! what the logs hold beyond the index is output all the same, of unknown time.

use super::error::{StoreError, failed};
use super::folder::Folder;
use super::regular;
use crate::model::{CommandId, Marks, Micros, Stream};
use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

/// The first bytes of the file; the last of them is the version.
const MAGIC: &[u8; 16] = b"childminder oi\0\x01";
/// Bytes of a record.
const SIZE: usize = 48;
/// Records read at once.
const BLOCK: u64 = 128;
/// Reads of one stream and command within this time share a record.
const TOGETHER: Micros = Micros(10_000);
/// The longest record, in bytes of output: its length has 40 bits.
const LONGEST: u64 = (1 << 40) - 1;
/// Bytes of records that wait for a disk that takes none; what comes after is found by recovery's rule only.
const PENDING: usize = 64 << 10;

const IS_STDERR: u64 = 1;
const IS_LOST: u64 = 2;

/// One read, or several that came close together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) stream: Stream,
    /// How far both streams had come after it.
    pub(super) ends: Marks,
    /// Bytes.
    pub(super) length: u64,
    /// Wall time of the first read, and never before the record before: what was read when is found by bisection, also
    /// after the clock was set back.
    pub(super) wall: Micros,
    pub(super) command: Option<CommandId>,
    /// Whether these bytes could not be kept.
    pub(super) lost: bool,
    /// Bytes of both streams that were lost up to here, these included.
    pub(super) lost_so_far: u64,
}

/// A stream's part of marks.
pub(super) fn part(marks: Marks, stream: Stream) -> u64 {
    match stream {
        Stream::Stdout => marks.stdout,
        Stream::Stderr => marks.stderr,
    }
}

/// A stream's part of marks, to be changed.
pub(super) fn part_mut(marks: &mut Marks, stream: Stream) -> &mut u64 {
    match stream {
        Stream::Stdout => &mut marks.stdout,
        Stream::Stderr => &mut marks.stderr,
    }
}

impl Record {
    /// Offset after its last byte in its stream.
    pub(super) fn end(&self) -> u64 {
        part(self.ends, self.stream)
    }

    /// Offset of its first byte in its stream.
    pub(super) fn start(&self) -> u64 {
        self.end().saturating_sub(self.length)
    }

    fn encode(&self) -> [u8; SIZE] {
        let flags = if self.stream == Stream::Stderr { IS_STDERR } else { 0 } | if self.lost { IS_LOST } else { 0 };
        let mut words = [
            self.ends.stdout,
            self.ends.stderr,
            self.wall.0,
            self.command.map_or(0, |command| command.0),
            self.lost_so_far,
            self.length.min(LONGEST) | flags << 40,
        ];
        words[5] |= check(&words) << 48;
        let mut bytes = [0; SIZE];
        for (place, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    /// `None` for bytes that no encoding made.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut words = [0; 6];
        let (chunks, []) = bytes.as_chunks::<8>() else { return None };
        for (word, bytes) in words.iter_mut().zip(chunks) {
            *word = u64::from_le_bytes(*bytes);
        }
        let checked = words[5] >> 48;
        words[5] &= (1 << 48) - 1;
        let [stdout, stderr, wall, command, lost_so_far, last] = words;
        let flags = last >> 40;
        let record = Self {
            stream: if flags & IS_STDERR == 0 { Stream::Stdout } else { Stream::Stderr },
            ends: Marks { stdout, stderr },
            length: last & LONGEST,
            wall: Micros(wall),
            command: (command > 0).then_some(CommandId(command)),
            lost: flags & IS_LOST != 0,
            lost_so_far,
        };
        (check(&words) == checked && record.length <= record.end()).then_some(record)
    }
}

/// 16 bits over a record's words, never those of a record of zeros.
fn check(words: &[u64; 6]) -> u64 {
    let mixed = words
        .iter()
        .fold(0x51_7c_c1_b7, |sum: u64, word| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29));
    mixed >> 48
}

/// Lost bytes that no record tells of yet.
#[derive(Debug, Clone, Copy)]
struct Losing {
    length: u64,
    command: Option<CommandId>,
    wall: Micros,
}

/// The writing end, shared by both streams' writers behind a lock.
#[derive(Debug)]
pub(super) struct IndexWriter {
    file: File,
    /// Where the open record stands, or the next one will.
    slot: u64,
    open: Option<(Record, Micros)>,
    /// How far both streams have come, as far as records say.
    ends: Marks,
    lost: u64,
    /// What each stream is losing: one record when it ends, however the reads of both streams took turns meanwhile.
    losing: [Option<Losing>; 2],
    /// The last record's time.
    wall: Micros,
    /// Closed records that the disk did not take yet.
    pending: Vec<u8>,
}

impl IndexWriter {
    /// Goes on with a session's index; brings it up to what the logs hold (`lengths`), which a crash may have left
    /// unsaid. An index that is no good is begun anew.
    pub(super) fn open(folder: &Folder, lengths: Marks) -> Result<Self, StoreError> {
        let path = folder.output_index();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = regular::open_with(&mut options, &path);
        let file = file.map_err(failed("open", &path))?;
        let found = Records::new(file.try_clone().map_err(failed("open", &path))?, Marks::default);
        let last = found.count().checked_sub(1).and_then(|last| found.get(last));
        let mut writer = Self {
            file,
            slot: MAGIC.len() as u64 + found.count() * SIZE as u64,
            open: None,
            ends: last.map(|last| last.ends).unwrap_or_default(),
            lost: last.map_or(0, |last| last.lost_so_far),
            losing: [None; 2],
            wall: last.map(|last| last.wall).unwrap_or_default(),
            pending: Vec::new(),
        };
        writer
            .file
            .set_len(writer.slot.min(writer.file.metadata().map_or(0, |file| file.len())))
            .map_err(failed("cut", &path))?;
        writer.file.write_all_at(MAGIC, 0).map_err(failed("write", &path))?;
        let order = if last.is_some_and(|last| last.stream == Stream::Stderr) {
            [Stream::Stderr, Stream::Stdout]
        } else {
            [Stream::Stdout, Stream::Stderr]
        };
        for stream in order {
            let command = last.filter(|last| last.stream == stream && !last.lost).and_then(|last| last.command);
            while part(writer.ends, stream) < part(lengths, stream) {
                let length = (part(lengths, stream) - part(writer.ends, stream)).min(LONGEST);
                writer.add(stream, length, command, (writer.wall, Micros::default()));
            }
        }
        Ok(writer)
    }

    /// How far both streams have come.
    pub(super) fn ends(&self) -> Marks {
        self.ends
    }

    /// Takes note of bytes that were kept, right after those of this stream noted before. A failing disk is no error
    /// here: the records wait, and the logs tell of their bytes without them.
    pub(super) fn add(&mut self, stream: Stream, length: u64, command: Option<CommandId>, times: (Micros, Micros)) {
        self.settle(stream);
        self.push(stream, length, command, false, times);
    }

    /// Takes note of bytes that were not kept.
    pub(super) fn lose(&mut self, stream: Stream, length: u64, command: Option<CommandId>, wall: Micros) {
        let losing = &mut self.losing[usize::from(stream == Stream::Stderr)];
        let losing = losing.get_or_insert(Losing { length: 0, command, wall });
        losing.length = losing.length.saturating_add(length);
    }

    /// Writes all that is known of this stream.
    pub(super) fn finish(&mut self, stream: Stream) {
        self.settle(stream);
        self.put();
    }

    /// Writes what this stream lost, if it did.
    pub(super) fn settle(&mut self, stream: Stream) {
        if let Some(Losing { mut length, command, wall }) = self.losing[usize::from(stream == Stream::Stderr)].take() {
            while length > 0 {
                let part = length.min(LONGEST);
                self.push(stream, part, command, true, (wall, Micros::default()));
                length -= part;
            }
            self.put();
        }
    }

    fn push(
        &mut self,
        stream: Stream,
        length: u64,
        command: Option<CommandId>,
        lost: bool,
        (wall, mono): (Micros, Micros),
    ) {
        if lost {
            self.lost = self.lost.saturating_add(length);
        }
        let end = part_mut(&mut self.ends, stream);
        *end = end.saturating_add(length);
        if let Some((record, since)) = &mut self.open
            && record.stream == stream
            && record.lost == lost
            && record.command == command
            && mono.since(*since) <= TOGETHER
            && record.length.saturating_add(length) <= LONGEST
        {
            record.length += length;
            record.ends = self.ends;
            record.lost_so_far = self.lost;
            return;
        }
        self.wall = self.wall.max(wall);
        let record = Record { stream, ends: self.ends, length, wall: self.wall, command, lost, lost_so_far: self.lost };
        self.close();
        self.open = Some((record, mono));
        self.put();
    }

    /// The open record will not change any more.
    fn close(&mut self) {
        if let Some((record, _)) = self.open.take()
            && self.pending.len() < PENDING
        {
            self.pending.extend_from_slice(&record.encode());
        }
    }

    /// One write for the closed records and the open one.
    fn put(&mut self) {
        let closed = self.pending.len();
        if let Some((record, _)) = &self.open {
            self.pending.extend_from_slice(&record.encode());
        }
        let written = self.file.write_all_at(&self.pending, self.slot);
        self.pending.truncate(closed);
        if written.is_ok() {
            self.slot += closed as u64;
            self.pending.clear();
        }
    }
}

impl Drop for IndexWriter {
    fn drop(&mut self) {
        self.finish(Stream::Stdout);
        self.finish(Stream::Stderr);
    }
}

/// The reading end: the records as they were when it was made, and one more for what the logs hold beyond them.
#[derive(Debug)]
pub(super) struct Records {
    file: Option<File>,
    count: u64,
    tail: Vec<Record>,
    block: RefCell<(u64, Vec<Record>)>,
}

impl Records {
    /// What an index file says of logs that are this long. A file that is no index says nothing.
    ///
    /// The lengths are asked for after the index: what it says to be kept is then in the logs.
    pub(super) fn new(file: File, lengths: impl FnOnce() -> Marks) -> Self {
        let mut magic = [0; MAGIC.len()];
        if file.read_exact_at(&mut magic, 0).is_err() || &magic != MAGIC {
            return Self::none(lengths());
        }
        let bytes = file.metadata().map_or(0, |file| file.len());
        let whole = bytes.saturating_sub(MAGIC.len() as u64) / SIZE as u64;
        let mut records = Self { file: Some(file), count: whole, tail: Vec::new(), block: RefCell::default() };
        records.drop_unsound_end();
        records.add_tail(lengths());
        records
    }

    /// As they were when the streams had come this far. The read that was going on then is cut.
    pub(super) fn cut(&mut self, until: Marks) {
        let all = self.ends();
        let within = |record: &Record| record.ends.stdout <= until.stdout && record.ends.stderr <= until.stderr;
        let kept = self.partition(within);
        let Some(next) = self.get(kept) else { return };
        self.tail.truncate(usize::try_from(kept.saturating_sub(self.count)).unwrap_or_default());
        self.count = self.count.min(kept);
        let mut ends = self.ends();
        let mut lost_so_far = self.starts_lost(kept);
        let mut streams = [Stream::Stdout, Stream::Stderr];
        if next.stream == Stream::Stderr {
            streams.reverse();
        }
        for stream in streams {
            let length = part(until, stream).min(part(all, stream)).saturating_sub(part(ends, stream));
            if length > 0 {
                let own = stream == next.stream;
                let lost = own && next.lost;
                *part_mut(&mut ends, stream) += length;
                lost_so_far += if lost { length } else { 0 };
                let command = next.command.filter(|_| own);
                self.tail.push(Record { stream, ends, length, wall: next.wall, command, lost, lost_so_far });
            }
        }
    }

    /// Bytes of both streams that were lost before this record.
    fn starts_lost(&self, place: u64) -> u64 {
        place.checked_sub(1).and_then(|before| self.get(before)).map_or(0, |before| before.lost_so_far)
    }

    /// Whether there is an index: without one nobody knows when what was read.
    pub(super) fn has_index(&self) -> bool {
        self.file.is_some()
    }

    /// Without an index: stdout, then stderr.
    pub(super) fn none(lengths: Marks) -> Self {
        let mut records = Self { file: None, count: 0, tail: Vec::new(), block: RefCell::default() };
        records.add_tail(lengths);
        records
    }

    /// A machine that lost its power may leave blocks of anything at the end. Where the records become sound is found
    /// by steps that double, so that a file full of nonsense is not read whole.
    fn drop_unsound_end(&mut self) {
        let mut step = 1;
        while self.count > 0 && self.get(self.count - 1).is_none() {
            self.count = self.count.saturating_sub(step);
            step *= 2;
            *self.block.borrow_mut() = (0, Vec::new());
        }
    }

    fn add_tail(&mut self, lengths: Marks) {
        let last = self.count.checked_sub(1).and_then(|last| self.get(last));
        let mut ends = last.map(|last| last.ends).unwrap_or_default();
        let lost_so_far = last.map_or(0, |last| last.lost_so_far);
        let mut streams = [Stream::Stdout, Stream::Stderr];
        // What goes on with the last read comes first.
        if last.is_some_and(|last| last.stream == Stream::Stderr) {
            streams.reverse();
        }
        for stream in streams {
            let length = part(lengths, stream).saturating_sub(part(ends, stream));
            if length > 0 {
                *part_mut(&mut ends, stream) += length;
                let known = last.filter(|last| last.stream == stream && !last.lost);
                self.tail.push(Record {
                    stream,
                    ends,
                    length,
                    wall: last.map(|last| last.wall).unwrap_or_default(),
                    command: known.and_then(|last| last.command),
                    lost: false,
                    lost_so_far,
                });
            }
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.count + self.tail.len() as u64
    }

    /// The record at a place; `None` past the end, and for one that is damaged.
    pub(super) fn get(&self, place: u64) -> Option<Record> {
        if let Some(beyond) = place.checked_sub(self.count) {
            return self.tail.get(usize::try_from(beyond).ok()?).copied();
        }
        let first = place / BLOCK * BLOCK;
        let within = usize::try_from(place - first).ok()?;
        let mut block = self.block.borrow_mut();
        if block.0 != first || block.1.len() <= within {
            *block = (first, self.read_block(first).unwrap_or_default());
        }
        block.1.get(within).copied()
    }

    /// The sound records of a block, up to the first that is not.
    fn read_block(&self, first: u64) -> io::Result<Vec<Record>> {
        let Some(file) = &self.file else { return Ok(Vec::new()) };
        let records = BLOCK.min(self.count - first);
        let mut bytes = vec![0; usize::try_from(records * SIZE as u64).unwrap_or_default()];
        file.read_exact_at(&mut bytes, MAGIC.len() as u64 + first * SIZE as u64)?;
        Ok(bytes.chunks_exact(SIZE).map_while(Record::decode).collect())
    }

    /// The place of the first record that is not `before`, if records are ordered by that.
    pub(super) fn partition(&self, before: impl Fn(&Record) -> bool) -> u64 {
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = low + (high - low) / 2;
            // A damaged one is taken for a late one: what lies before it is still found.
            if self.get(middle).is_some_and(|record| before(&record)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The place of the record that holds this byte of this stream, looked for near `hint` first.
    pub(super) fn find(&self, stream: Stream, offset: u64, hint: u64) -> u64 {
        const NEAR: u64 = 4;
        let behind = |place: u64| self.get(place).is_some_and(|record| part(record.ends, stream) <= offset);
        for place in hint.saturating_sub(NEAR)..hint.saturating_add(NEAR).min(self.count()) {
            if !behind(place) && (place == 0 || behind(place - 1)) {
                return place;
            }
        }
        self.partition(|record| part(record.ends, stream) <= offset)
    }

    /// How far both streams had come before this record.
    pub(super) fn starts(&self, place: u64) -> Marks {
        place.checked_sub(1).and_then(|before| self.get(before)).map(|before| before.ends).unwrap_or_default()
    }

    /// How far both streams have come in all.
    pub(super) fn ends(&self) -> Marks {
        self.starts(self.count())
    }

    /// Whether anything was lost at all.
    pub(super) fn any_lost(&self) -> bool {
        self.count().checked_sub(1).and_then(|last| self.get(last)).is_some_and(|last| last.lost_so_far > 0)
    }

    /// The first stretch of this stream that was lost and lies, in part at least, in these bytes.
    pub(super) fn lost_in(&self, stream: Stream, from: u64, to: u64) -> Option<(u64, u64)> {
        let mut place = self.find(stream, from, 0);
        loop {
            let before =
                place.checked_sub(1).and_then(|before| self.get(before)).map_or(0, |record| record.lost_so_far);
            // Records of what was kept leave the sum as it is: they are jumped over.
            place = place.max(self.partition(|record| record.lost_so_far <= before));
            let record = self.get(place)?;
            if let Some((mut start, mut end)) = self.lost_by(stream, place, &record) {
                while let Some(more) = self.lost_after(stream, end, place) {
                    end = more;
                }
                while let Some(more) = self.lost_before(stream, start, place) {
                    start = more;
                }
                if end > from {
                    return (start < to).then_some((start, end));
                }
            }
            if part(record.ends, stream) >= to {
                return None;
            }
            place += 1;
        }
    }

    /// The end of the lost bytes that follow right after others.
    fn lost_after(&self, stream: Stream, end: u64, near: u64) -> Option<u64> {
        let place = self.find(stream, end, near);
        let next = self.lost_by(stream, place, &self.get(place)?)?;
        (next.0 == end).then_some(next.1)
    }

    /// The beginning of the lost bytes that come right before others.
    fn lost_before(&self, stream: Stream, start: u64, near: u64) -> Option<u64> {
        let place = self.find(stream, start.checked_sub(1)?, near);
        let last = self.lost_by(stream, place, &self.get(place)?)?;
        (last.1 == start).then_some(last.0)
    }

    /// The bytes of this stream that this record says are lost: its own, or those for which there was no room to make
    /// records.
    fn lost_by(&self, stream: Stream, place: u64, record: &Record) -> Option<(u64, u64)> {
        let before = place.checked_sub(1).and_then(|before| self.get(before));
        let unsaid = before.map_or(0, |before| part(before.ends, stream));
        let end = part(record.ends, stream);
        let own = if record.stream == stream { record.start() } else { end };
        let lost = record.lost_so_far.saturating_sub(before.map_or(0, |before| before.lost_so_far));
        let unsaid_lost = lost > if record.lost { record.length } else { 0 };
        let own_lost = record.stream == stream && record.lost;
        let start = if unsaid_lost { unsaid } else { own };
        let end = if own_lost { end } else { own };
        (start < end).then_some((start, end))
    }
}
