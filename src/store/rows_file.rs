//! Rows of the fold in files that only grow: each record is a row's place and what it was at a checkpoint; read in
//! order, the last one of a place wins. So a checkpoint costs what changed, not what there is.
//!
//! What must stay true: a record has a fixed size and nothing in it is trusted; a checksum runs over all records, so
//! that a file which a dying machine left half written, or which belongs to another session, is not taken.

use crate::model::rows::Rows;
use crate::model::{
    CommandId, CommandRow, CommandState, Generation, ItemIndex, ItemRow, ItemStatus, Marks, Micros, Phase,
};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes read at once: a whole number of records of either kind.
const BLOCK: usize = 56 * 88 * 64;
/// The place beyond which no row is taken: nothing that a damaged record says may make us fill the memory.
const MOST_ROWS: u64 = 1 << 28;

/// Sees whether bytes have changed by accident. Says nothing about bytes that were changed on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Checksum(u64);

impl Checksum {
    /// Goes on with more bytes, whole words of 8 at a time; what is left over is taken as if zeros followed.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last) ^ rest.len() as u64);
        }
    }

    /// As a number.
    pub(super) fn value(self) -> u64 {
        self.0
    }

    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}

/// How far a file of rows is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Extent {
    /// Bytes.
    pub(super) length: u64,
    /// Over all of them.
    pub(super) checksum: Checksum,
    /// How many rows there are, those included that never changed and so have no record.
    pub(super) rows: u64,
}

/// A row that can be kept in such a file.
pub(super) trait Record: Copy {
    /// Bytes of a record; a whole number of words.
    const SIZE: usize;
    /// What a row is that has no record; `None` if each must have one.
    const UNCHANGED: Option<Self>;
    /// Adds the record of a row.
    fn put(&self, place: u64, to: &mut Vec<u8>);
    /// The place and the row of a record, if it makes sense.
    fn get(words: &[u64]) -> Option<(u64, Self)>;
}

fn put_words(words: &[u64], to: &mut Vec<u8>) {
    for word in words {
        to.extend_from_slice(&word.to_le_bytes());
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a word are taken apart")]
fn halves(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

fn joined(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// The place of a value in a list of all of them.
fn code<T: PartialEq>(all: &[T], value: &T) -> u32 {
    all.iter().position(|one| one == value).and_then(|place| u32::try_from(place).ok()).unwrap_or(u32::MAX)
}

const PHASES: [Phase; 5] = [Phase::Init, Phase::Setup, Phase::Item, Phase::Teardown, Phase::Operator];
const STATES: [CommandState; 7] = [
    CommandState::Queued,
    CommandState::Sent,
    CommandState::Started,
    CommandState::Finished,
    CommandState::Raised,
    CommandState::Lost,
    CommandState::Skipped,
];

impl Record for CommandRow {
    const SIZE: usize = 88;
    const UNCHANGED: Option<Self> = None;

    fn put(&self, place: u64, to: &mut Vec<u8>) {
        let kind = code(&PHASES, &self.phase) | code(&STATES, &self.state) << 8 | u32::from(self.item.is_some()) << 16;
        put_words(
            &[
                place,
                joined(kind, self.generation.0),
                u64::from(self.item.unwrap_or_default().0),
                self.queued.0,
                self.took.0,
                self.queued_at,
                self.ended_at,
                self.from.stdout,
                self.from.stderr,
                self.to.stdout,
                self.to.stderr,
            ],
            to,
        );
    }

    fn get(words: &[u64]) -> Option<(u64, Self)> {
        let &[place, kind, item, queued, took, queued_at, ended_at, from_out, from_err, to_out, to_err] = words else {
            return None;
        };
        let (kind, generation) = halves(kind);
        let item = ItemIndex(u32::try_from(item).ok()?);
        let row = Self {
            phase: *PHASES.get((kind & 0xff) as usize)?,
            state: *STATES.get((kind >> 8 & 0xff) as usize)?,
            generation: Generation(generation),
            item: (kind >> 16 & 1 == 1).then_some(item),
            queued: Micros(queued),
            took: Micros(took),
            queued_at,
            ended_at,
            from: Marks { stdout: from_out, stderr: from_err },
            to: Marks { stdout: to_out, stderr: to_err },
        };
        Some((place, row))
    }
}

impl Record for ItemRow {
    const SIZE: usize = 56;
    const UNCHANGED: Option<Self> = Some(Self {
        status: ItemStatus::Pending,
        attempt: 0,
        progress: None,
        started: None,
        took: Micros(0),
        first_command: None,
        ended_at: 0,
    });

    fn put(&self, place: u64, to: &mut Vec<u8>) {
        let kind = code(&ItemStatus::ALL, &self.status)
            | u32::from(self.progress.is_some()) << 8
            | u32::from(self.started.is_some()) << 9
            | u32::from(self.first_command.is_some()) << 10;
        put_words(
            &[
                place,
                joined(kind, self.attempt),
                u64::from(self.progress.unwrap_or_default().to_bits()),
                self.started.unwrap_or_default().0,
                self.took.0,
                self.first_command.unwrap_or_default().0,
                self.ended_at,
            ],
            to,
        );
    }

    fn get(words: &[u64]) -> Option<(u64, Self)> {
        let &[place, kind, progress, started, took, first_command, ended_at] = words else { return None };
        let (kind, attempt) = halves(kind);
        let row = Self {
            status: *ItemStatus::ALL.get((kind & 0xff) as usize)?,
            attempt,
            progress: (kind >> 8 & 1 == 1).then_some(f32::from_bits(u32::try_from(progress).ok()?)),
            started: (kind >> 9 & 1 == 1).then_some(Micros(started)),
            took: Micros(took),
            first_command: (kind >> 10 & 1 == 1).then_some(CommandId(first_command)),
            ended_at,
        };
        Some((place, row))
    }
}

/// Reads the rows back; the error says why they cannot be trusted.
pub(super) fn read<T: Record>(file: &File, extent: Extent) -> Result<Rows<T>, String> {
    if extent.rows > MOST_ROWS || !extent.length.is_multiple_of(T::SIZE as u64) {
        return Err("its sizes make no sense".into());
    }
    let mut rows = Rows::default();
    if let Some(unchanged) = T::UNCHANGED {
        (0..extent.rows).for_each(|_| rows.push(unchanged));
    }
    let mut checksum = Checksum::default();
    let mut block = vec![0; BLOCK / T::SIZE * T::SIZE];
    let mut at = 0;
    while at < extent.length {
        let size = usize::try_from(extent.length - at).map_or(block.len(), |left| left.min(block.len()));
        let block = &mut block[..size];
        file.read_exact_at(block, at)
            .map_err(|error: io::Error| format!("it is shorter than it should be ({error})"))?;
        checksum.add(block);
        for record in block.chunks_exact(T::SIZE) {
            put_back(record, extent.rows, &mut rows)?;
        }
        at += size as u64;
    }
    if checksum != extent.checksum {
        return Err("its checksum is wrong".into());
    }
    if rows.len() as u64 != extent.rows {
        return Err("rows are missing".into());
    }
    Ok(rows)
}

fn put_back<T: Record>(record: &[u8], most: u64, rows: &mut Rows<T>) -> Result<(), String> {
    let mut words = [0; 16];
    let (chunks, _) = record.as_chunks::<8>();
    for (word, bytes) in words.iter_mut().zip(chunks) {
        *word = u64::from_le_bytes(*bytes);
    }
    let (place, row) = T::get(&words[..chunks.len()]).ok_or("a row makes no sense")?;
    let index = usize::try_from(place).ok().filter(|_| place < most).ok_or("a row has no place")?;
    let known = rows.len();
    match rows.get_mut(index) {
        Some(old) => *old = row,
        None if index == known => rows.push(row),
        None => return Err("a row is missing".into()),
    }
    Ok(())
}
