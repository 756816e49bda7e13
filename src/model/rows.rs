//! An append-only table of small rows that is kept packed: a million of them cost some ten bytes each.
//!
//! Rows stand in blocks. One block, the one that was changed last, is open and holds its rows as they are; the others
//! hold what sets each row apart from the one before it. Sessions change rows where they work, so that a block is
//! packed once and seldom opened again.
//!
//! What must stay true: whatever is put in comes out again, all values of all words included; adding, changing and
//! looking at a row cost no more than one block, however many there are.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::Range;

/// Rows of a block: to open one takes microseconds.
const BLOCK: usize = 128;

/// A row that can be taken apart into words: rows that come one after the other should differ little in each of them.
pub trait Row: Copy {
    /// The words, an array; at most 16 of them.
    type Words: AsRef<[u64]> + AsMut<[u64]> + Default;

    /// Takes it apart.
    fn to_words(&self) -> Self::Words;

    /// Puts it together again; `None` for words that no row is taken apart into.
    fn from_words(words: &Self::Words) -> Option<Self>;
}

/// Rows addressed by their place.
#[derive(Debug, Clone)]
pub struct Rows<T> {
    /// One for each block; the open block's is empty.
    packed: Vec<Box<[u8]>>,
    /// Which block is open.
    open: usize,
    /// What the open block holds.
    unpacked: Vec<T>,
    length: usize,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { packed: Vec::new(), open: 0, unpacked: Vec::new(), length: 0 }
    }
}

impl<T> Rows<T> {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl<T: Row> Rows<T> {
    /// Adds a row at the end.
    pub fn push(&mut self, row: T) {
        self.open(self.length / BLOCK);
        self.unpacked.push(row);
        self.length += 1;
    }

    /// The row at a place.
    pub fn get(&self, place: usize) -> Option<T> {
        let (block, within) = (place / BLOCK, place % BLOCK);
        if block == self.open {
            return self.unpacked.get(within).copied();
        }
        Unpack::of(self.packed.get(block)?).nth(within)
    }

    /// The row at a place, to be changed.
    pub fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        if place >= self.length {
            return None;
        }
        self.open(place / BLOCK);
        self.unpacked.get_mut(place % BLOCK)
    }

    /// All rows, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = T> {
        self.range(0..self.length)
    }

    /// The rows at these places, as far as there are any, in order.
    pub fn range(&self, places: Range<usize>) -> impl DoubleEndedIterator<Item = T> {
        let mut reader = self.reader();
        places.filter_map(move |place| reader.get(place))
    }

    /// For many looks at neighbouring places: a block is unpacked once for all of them.
    pub fn reader(&self) -> Reader<'_, T> {
        Reader { table: self, block: None, rows: Vec::new() }
    }

    /// Makes this the open block; it may be one after the last.
    fn open(&mut self, block: usize) {
        if block >= self.packed.len() {
            self.packed.resize_with(block + 1, Box::default);
        }
        if block != self.open {
            self.packed[self.open] = pack(&self.unpacked);
            self.unpacked.clear();
            self.unpacked.extend(Unpack::<T>::of(&std::mem::take(&mut self.packed[block])));
            self.open = block;
        }
    }
}

/// Looks at rows, most of them near each other.
#[derive(Debug)]
pub struct Reader<'a, T> {
    table: &'a Rows<T>,
    /// The block whose rows are at hand.
    block: Option<usize>,
    rows: Vec<T>,
}

impl<T: Row> Reader<'_, T> {
    /// The row at a place.
    pub fn get(&mut self, place: usize) -> Option<T> {
        let (block, within) = (place / BLOCK, place % BLOCK);
        if block == self.table.open {
            return self.table.unpacked.get(within).copied();
        }
        if self.block != Some(block) {
            self.rows.clear();
            self.rows.extend(Unpack::<T>::of(self.table.packed.get(block)?));
            self.block = Some(block);
        }
        self.rows.get(within).copied()
    }
}

/// For each row: a bit for each word that differs from the row's before it, then by how much, as [`put_number`] does.
fn pack<T: Row>(rows: &[T]) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(rows.len() * 24);
    let mut last = T::Words::default();
    for row in rows {
        let words = row.to_words();
        let pairs = || words.as_ref().iter().zip(last.as_ref());
        let differing = pairs().enumerate().map(|(at, (word, last))| u64::from(word != last) << at);
        put_number(differing.sum(), &mut bytes);
        for (word, last) in pairs().filter(|(word, last)| word != last) {
            put_number(zigzag(word.wrapping_sub(*last)), &mut bytes);
        }
        last = words;
    }
    bytes.as_slice().into()
}

/// The rows of a packed block, one after the other.
struct Unpack<'a, T: Row> {
    bytes: &'a [u8],
    words: T::Words,
}

impl<'a, T: Row> Unpack<'a, T> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, words: T::Words::default() }
    }
}

impl<T: Row> Iterator for Unpack<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let mut differing = take_number(&mut self.bytes)?;
        let words = self.words.as_mut();
        while let Some(word) = words.get_mut(differing.trailing_zeros() as usize) {
            *word = word.wrapping_add(unzigzag(take_number(&mut self.bytes)?));
            differing &= differing - 1;
        }
        T::from_words(&self.words)
    }
}

/// Small differences in either direction become small numbers.
fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ 0u64.wrapping_sub(difference >> 63)
}

fn unzigzag(number: u64) -> u64 {
    (number >> 1) ^ 0u64.wrapping_sub(number & 1)
}

/// Seven bits a byte, the lowest first; all but the last byte have their highest bit set.
#[expect(clippy::cast_possible_truncation, reason = "seven bits are taken at a time")]
fn put_number(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for (place, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            *bytes = &bytes[place + 1..];
            return Some(number);
        }
    }
    None
}

impl<T: Row + PartialEq> PartialEq for Rows<T> {
    fn eq(&self, other: &Self) -> bool {
        self.length == other.length && self.iter().eq(other.iter())
    }
}

impl<T: Row> FromIterator<T> for Rows<T> {
    fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> Self {
        let mut table = Self::default();
        rows.into_iter().for_each(|row| table.push(row));
        table
    }
}

impl<T: Row + Serialize> Serialize for Rows<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de, T: Row + Deserialize<'de>> Deserialize<'de> for Rows<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<T>::deserialize(deserializer).map(Self::from_iter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CommandRow, CommandState, Generation, ItemIndex, ItemRow, ItemStatus, Marks, Micros, Phase};
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0u64..300, any::<u64>(), Just(u64::MAX), Just(1 << 63)]
    }

    prop_compose! {
        fn item_row()(
            status in proptest::sample::select(ItemStatus::ALL.as_slice()),
            attempt in any::<u32>(),
            progress in proptest::option::of(0f32..=1.0),
            started in proptest::option::of(number()),
            (took, ended_at, warned) in (number(), number(), any::<bool>()),
            first_command in proptest::option::of(number()),
        ) -> ItemRow {
            let (started, first_command) = (started.map(Micros), first_command.map(crate::model::CommandId));
            ItemRow { status, attempt, progress, started, took: Micros(took), first_command, ended_at, warned }
        }
    }

    prop_compose! {
        fn command_row()(
            phase in proptest::sample::select(Phase::ALL.as_slice()),
            state in proptest::sample::select(CommandState::ALL.as_slice()),
            generation in any::<u32>(),
            item in proptest::option::of(any::<u32>()),
            [queued, took, queued_at, ended_at] in [number(), number(), number(), number()],
            [from_out, from_err, to_out, to_err] in [number(), number(), number(), number()],
        ) -> CommandRow {
            CommandRow {
                phase,
                state,
                generation: Generation(generation),
                item: item.map(ItemIndex),
                queued: Micros(queued),
                took: Micros(took),
                queued_at,
                ended_at,
                from: Marks { stdout: from_out, stderr: from_err },
                to: Marks { stdout: to_out, stderr: to_err },
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Step<T> {
        Push(usize, T),
        Change(usize, T),
        Look(usize),
    }

    fn steps<T: Clone + std::fmt::Debug>(
        row: impl Strategy<Value = T> + 'static,
    ) -> impl Strategy<Value = Vec<Step<T>>> {
        let row = row.boxed();
        let place = 0..BLOCK * 4;
        let step = prop_oneof![
            (1..BLOCK * 3 / 2, row.clone()).prop_map(|(times, row)| Step::Push(times, row)),
            (place.clone(), row).prop_map(|(place, row)| Step::Change(place, row)),
            place.prop_map(Step::Look),
        ];
        proptest::collection::vec(step, 0..40)
    }

    /// Does the same with a table and with a plain list.
    fn same<T: Row + PartialEq + std::fmt::Debug>(steps: Vec<Step<T>>) -> Result<(), TestCaseError> {
        let (mut table, mut list) = (Rows::default(), Vec::new());
        for step in steps {
            match step {
                Step::Push(times, row) => (0..times).for_each(|_| {
                    table.push(row);
                    list.push(row);
                }),
                Step::Change(place, row) => {
                    prop_assert_eq!(
                        table.get_mut(place).map(|old| std::mem::replace(old, row)),
                        list.get(place).copied()
                    );
                    if let Some(old) = list.get_mut(place) {
                        *old = row;
                    }
                }
                Step::Look(place) => prop_assert_eq!(table.get(place), list.get(place).copied()),
            }
            prop_assert_eq!(table.len(), list.len());
        }
        prop_assert!(table.iter().eq(list.iter().copied()));
        prop_assert!(table.iter().rev().eq(list.iter().rev().copied()));
        let middle = list.len() / 3..list.len() / 2;
        prop_assert!(table.range(middle.clone()).eq(list[middle].iter().copied()));
        prop_assert_eq!(&list.iter().copied().collect::<Rows<T>>(), &table);
        if let Some(row) = list.first() {
            table.push(*row);
            prop_assert_ne!(list.into_iter().collect::<Rows<T>>(), table);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn a_table_of_items_is_a_list(steps in steps(item_row())) {
            same(steps)?;
        }

        #[test]
        fn a_table_of_commands_is_a_list(steps in steps(command_row())) {
            same(steps)?;
        }

        #[test]
        fn numbers_come_back(number in number()) {
            let mut bytes = Vec::new();
            put_number(number, &mut bytes);
            prop_assert_eq!(take_number(&mut bytes.as_slice()), Some(number));
            prop_assert_eq!(take_number(&mut &bytes[..bytes.len() - 1]), None);
            prop_assert_eq!(unzigzag(zigzag(number)), number);
        }
    }

    #[test]
    fn a_finished_command_and_its_item_take_few_bytes() {
        const MANY: usize = 10_000;
        let mut commands = Rows::default();
        let mut items = Rows::default();
        for place in 0..MANY as u64 {
            let wall = Micros(1_795_478_400_000_000 + place * 40_321);
            let from = Marks { stdout: place * 9_731, stderr: place * 411 };
            commands.push(CommandRow {
                phase: Phase::Item,
                state: CommandState::Finished,
                generation: Generation(1),
                item: u32::try_from(place).ok().map(ItemIndex),
                queued: wall,
                took: Micros(39_000 + place * 7919 % 1000),
                queued_at: place * 1_117,
                ended_at: place * 1_117 + 600,
                from,
                to: Marks { stdout: from.stdout + 9_731, stderr: from.stderr + 411 },
            });
            items.push(ItemRow {
                status: ItemStatus::Complete,
                attempt: 1,
                started: Some(wall),
                took: Micros(39_500 + place * 7919 % 1000),
                first_command: Some(crate::model::CommandId(place + 1)),
                ended_at: place * 1_117 + 800,
                ..ItemRow::default()
            });
        }
        let size = |packed: &[Box<[u8]>]| packed.iter().map(|block| block.len()).sum::<usize>();
        assert!(size(&commands.packed) < 24 * MANY, "{}", size(&commands.packed) / MANY);
        assert!(size(&items.packed) < 16 * MANY, "{}", size(&items.packed) / MANY);
    }
}
