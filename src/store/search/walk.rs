//! A walk over the wanted lines of one stream or both, in the order of reading.

use super::scan::{CHUNK, Sieve};
use super::work::Tired;
use crate::model::Marks;
use crate::store::index::{Records, part};
use crate::store::paging::{Direction, Place};

/// The walk.
pub(super) struct Matches<'a> {
    direction: Direction,
    records: &'a Records,
    sides: Vec<Side<'a>>,
}

struct Side<'a> {
    sieve: &'a Sieve<'a>,
    /// Nothing is wanted between the walk's beginning and here, but for what was given.
    at: u64,
    /// The walk ends here.
    limit: u64,
    near: u64,
}

impl<'a> Matches<'a> {
    /// From these marks up to those.
    pub(super) fn new(
        sieves: &'a [Sieve<'a>],
        records: &'a Records,
        direction: Direction,
        (from, to): (Marks, Marks),
    ) -> Self {
        let side = |sieve: &'a Sieve<'a>| {
            let place = |marks| part(marks, sieve.view.stream).min(sieve.view.length);
            Side { sieve, at: place(from), limit: place(to), near: 0 }
        };
        Self { direction, records, sides: sieves.iter().map(side).collect() }
    }

    /// The next one.
    pub(super) fn peek(&mut self) -> Result<Option<Place>, Tired> {
        let mut nearest: Option<Place> = None;
        for (number, side) in self.sides.iter_mut().enumerate() {
            // Of this stream only what was read on the way to the nearest one so far.
            let limit = nearest.map(|nearest| part(self.records.starts(nearest.record), side.sieve.view.stream));
            let limit = match self.direction {
                Direction::Forward => limit.map_or(side.limit, |limit| limit.min(side.limit)),
                Direction::Backward => limit.map_or(side.limit, |limit| limit.max(side.limit)),
            };
            let Some(start) = side.next(self.direction, limit)? else { continue };
            let record = self.records.find(side.sieve.view.stream, start, side.near);
            side.near = record;
            let place = Place { record, start, side: number };
            if nearest.is_none_or(|nearest| self.direction.passes(&place, &nearest)) {
                nearest = Some(place);
            }
        }
        Ok(nearest)
    }

    /// Passes over this one.
    pub(super) fn pass(&mut self, place: Place) {
        self.sides[place.side].at = match self.direction {
            Direction::Forward => place.start + 1,
            Direction::Backward => place.start,
        };
    }
}

impl Side<'_> {
    fn next(&mut self, direction: Direction, limit: u64) -> Result<Option<u64>, Tired> {
        match direction {
            Direction::Forward => self.next_forward(limit),
            Direction::Backward => self.next_backward(limit),
        }
    }

    fn next_forward(&mut self, limit: u64) -> Result<Option<u64>, Tired> {
        while let Some(from) = self.sieve.from(self.at).filter(|from| *from < limit) {
            let number = from / CHUNK;
            let lines = self.sieve.lines(number)?;
            if let Some(start) = lines.get(lines.partition_point(|start| *start < from)).copied() {
                self.at = start;
                return Ok(Some(start).filter(|start| *start < limit));
            }
            self.at = (number + 1) * CHUNK;
        }
        Ok(None)
    }

    fn next_backward(&mut self, limit: u64) -> Result<Option<u64>, Tired> {
        while let Some(last) = self.sieve.before(self.at).filter(|last| *last >= limit) {
            let number = last / CHUNK;
            let lines = self.sieve.lines(number)?;
            if let Some(start) = lines[..lines.partition_point(|start| *start <= last)].last().copied() {
                self.at = start + 1;
                return Ok(Some(start).filter(|start| *start >= limit));
            }
            self.at = number * CHUNK;
        }
        Ok(None)
    }
}
