//! Rows of the fold in files that only grow: each record is a row's place and what it was at a checkpoint; read in
//! order, the last one of a place wins. So a checkpoint costs what changed, not what there is.
//!
//! What must stay true: a record has a fixed size and nothing in it is trusted; a checksum runs over all records, so
//! that a file which a dying machine left half written, or which belongs to another session, is not taken.

use crate::model::rows::{Row, Rows};
use crate::model::{CommandRow, ItemRow, ItemStatus, Micros};
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

/// A row that can be kept in such a file: its place, then its words.
pub(super) trait Record: Row {
    /// Words of a row.
    const WORDS: usize;
    /// Bytes of a record.
    const SIZE: usize = size_of::<u64>() * (1 + Self::WORDS);
    /// What a row is that has no record; `None` if each must have one.
    const UNCHANGED: Option<Self>;

    /// Adds the record of a row.
    fn put(&self, place: u64, to: &mut Vec<u8>) {
        to.extend_from_slice(&place.to_le_bytes());
        for word in self.to_words().as_ref() {
            to.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// The place and the row of a record, if it makes sense.
    fn get(record: &[u8]) -> Option<(u64, Self)> {
        let (place, rest) = record.split_first_chunk()?;
        let mut words = Self::Words::default();
        for (word, bytes) in words.as_mut().iter_mut().zip(rest.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Some((u64::from_le_bytes(*place), Self::from_words(&words)?))
    }
}

impl Record for CommandRow {
    const WORDS: usize = 10;
    const UNCHANGED: Option<Self> = None;
}

impl Record for ItemRow {
    const WORDS: usize = 6;
    const UNCHANGED: Option<Self> = Some(Self {
        status: ItemStatus::Pending,
        attempt: 0,
        progress: None,
        started: None,
        took: Micros(0),
        first_command: None,
        ended_at: 0,
        warned: false,
    });
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
    let (place, row) = T::get(record).ok_or("a row makes no sense")?;
    let index = usize::try_from(place).ok().filter(|_| place < most).ok_or("a row has no place")?;
    let known = rows.len();
    match rows.get_mut(index) {
        Some(old) => *old = row,
        None if index == known => rows.push(row),
        None => return Err("a row is missing".into()),
    }
    Ok(())
}
