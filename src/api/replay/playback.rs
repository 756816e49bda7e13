//! What a window shows of a recording's time, and how it moves through it.

use crate::model::proto::Summary;
use crate::model::{ItemIndex, ItemRow, Micros, Seq, State};
use std::sync::Arc;

/// Into how many parts marks divide the time line.
pub const MARKS: usize = 512;

/// A recording as of the time that is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Playback {
    /// The session then; `now` is that time and `seq` the last event before it.
    pub summary: Summary,
    /// From the first event to the last.
    pub extent: Extent,
    /// Whether time goes on by itself.
    pub playing: bool,
    /// How fast it does.
    pub speed: Speed,
    /// Whether time in which nothing happened is shortened while playing.
    pub shortens: bool,
    /// What is to be said of the last move, for people.
    pub said: Option<String>,
    /// How far the way to another time has come, in percent.
    pub seeking: Option<u8>,
    /// What lies where.
    pub marks: Arc<Marks>,
    /// What is missing of the recording, one sentence each.
    pub notes: Arc<[String]>,
}

/// The time that was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// Wall time of the first event.
    pub first: Micros,
    /// Wall time of the last event.
    pub last: Micros,
    /// Number of the last event.
    pub seq: Seq,
}

impl Extent {
    /// How long it is.
    pub fn length(&self) -> Micros {
        self.last.since(self.first)
    }

    /// The wall time after so many thousandths of it.
    pub fn after(&self, thousandths: u64) -> Micros {
        let part = u128::from(self.length().0) * u128::from(thousandths.min(1000)) / 1000;
        Micros(self.first.0 + u64::try_from(part).unwrap_or(u64::MAX))
    }

    /// In which of `parts` equal parts a wall time lies.
    pub fn part(&self, wall: Micros, parts: usize) -> usize {
        let length = u128::from(self.length().0.max(1));
        let part = u128::from(wall.since(self.first).0) * parts as u128 / length;
        usize::try_from(part).unwrap_or(usize::MAX).min(parts.saturating_sub(1))
    }
}

/// Something that a part of the time line has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Mark {
    /// Nothing.
    #[default]
    None,
    /// An item was begun there.
    Item,
    /// Something was raised there.
    Exception,
}

/// What lies where on the time line, as the end of the recording tells: the last attempts of items, the first and the last
/// exception of each group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks([Mark; MARKS]);

impl Default for Marks {
    fn default() -> Self {
        Self([Mark::None; MARKS])
    }
}

impl Marks {
    pub(super) fn of(state: &State, extent: &Extent) -> Self {
        let mut marks = Self::default();
        let mut add = |wall, mark: Mark| {
            let part = &mut marks.0[extent.part(wall, MARKS)];
            *part = mark.max(*part);
        };
        state.items.iter().filter_map(|row: ItemRow| row.started).for_each(|wall| add(wall, Mark::Item));
        state.exceptions.iter().flat_map(|group| [group.first, group.last]).for_each(|wall| add(wall, Mark::Exception));
        marks
    }

    /// The most important mark in one of `parts` equal parts.
    pub fn within(&self, part: usize, parts: usize) -> Mark {
        let parts = parts.max(1);
        let from = (part * MARKS / parts).min(MARKS - 1);
        let to = ((part + 1) * MARKS / parts).clamp(from + 1, MARKS);
        self.0[from..to].iter().copied().max().unwrap_or_default()
    }

    /// Puts a mark at a thousandth of the time line.
    #[cfg(test)]
    pub(crate) fn put(&mut self, thousandths: usize, mark: Mark) {
        self.0[(thousandths * MARKS / 1000).min(MARKS - 1)] = mark;
    }
}

/// How fast a recording is played: a place in the list of speeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed(usize);

/// In quarters of the real speed.
const SPEEDS: [u32; 12] = [1, 2, 4, 8, 20, 40, 120, 240, 480, 1200, 2400, 4000];

impl Default for Speed {
    fn default() -> Self {
        Self(2)
    }
}

impl Speed {
    #[must_use]
    pub(super) fn faster(self, steps: i32) -> Self {
        let last = i32::try_from(SPEEDS.len() - 1).unwrap_or(i32::MAX);
        let to = i32::try_from(self.0).unwrap_or(last).saturating_add(steps).clamp(0, last);
        Self(usize::try_from(to).unwrap_or_default())
    }

    /// How much recorded time passes in this time.
    pub(super) fn of(self, real: Micros) -> Micros {
        Micros(real.0.saturating_mul(u64::from(SPEEDS[self.0])) / 4)
    }
}

impl std::fmt::Display for Speed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match SPEEDS[self.0] {
            1 => f.write_str("¼×"),
            2 => f.write_str("½×"),
            quarters => write!(f, "{}×", quarters / 4),
        }
    }
}

/// A way to move through a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steer {
    /// Play, or pause.
    Toggle,
    /// One speed up (or down).
    Faster(bool),
    /// Shorten time in which nothing happens, or do not.
    Shorten,
    /// One event on (or back).
    Step(bool),
    /// To another place.
    To(Goal),
}

/// A place in a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// After the first event.
    Start,
    /// After the last event.
    End,
    /// After this event.
    Event(Seq),
    /// A wall time.
    Time(Micros),
    /// The beginning of this item's last attempt before now, or else of its first one.
    Item(ItemIndex),
    /// The next (or the last) beginning of any item.
    AnyItem(bool),
    /// The next (or the last) exception.
    Exception(bool),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn speeds_end_somewhere() {
        assert_eq!(Speed::default().to_string(), "1×");
        assert_eq!(Speed::default().faster(-100).to_string(), "¼×");
        assert_eq!(Speed::default().faster(100).to_string(), "1000×");
        assert_eq!(Speed::default().faster(100).of(Micros(33_000)), Micros(33_000_000));
    }

    proptest! {
        #[test]
        fn every_time_lies_in_a_part(first in 0u64..1 << 60, length in 0u64..1 << 60, at: u64, parts in 1usize..600) {
            let extent = Extent { first: Micros(first), last: Micros(first + length), seq: Seq(1) };
            prop_assert!(extent.part(Micros(at), parts) < parts);
            prop_assert_eq!(extent.after(0), extent.first);
            prop_assert_eq!(extent.after(1000), extent.last);
            let mut marks = Marks::default();
            marks.put(500, Mark::Exception);
            let seen = (0..parts).filter(|part| marks.within(*part, parts) == Mark::Exception).count();
            prop_assert!(seen >= 1);
        }
    }
}
