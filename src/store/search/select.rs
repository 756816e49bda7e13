//! The lines that a filtered page shows: those that match, and those around them.

use super::scan::Sieve;
use super::walk::Matches;
use super::work::Tired;
use crate::model::Marks;
use crate::model::proto::OutputLine;
use crate::model::search::CONTEXT_LIMIT;
use crate::store::paging::{Direction, END, Paging, Place};

/// A line that is shown.
pub(super) struct Shown {
    pub(super) line: OutputLine,
    /// Whether lines were left out on the way to it.
    pub(super) jumped: bool,
}

/// A walk over them.
pub(super) struct Selection<'a> {
    direction: Direction,
    lines: Paging<'a>,
    matches: Matches<'a>,
    context: u32,
    /// How many more lines are shown because a match was passed.
    left: u32,
    /// The match that is shown next, once the walk has come near to it.
    near: Option<Place>,
    jumped: bool,
}

impl<'a> Selection<'a> {
    /// From where `lines` begins.
    pub(super) fn new(lines: &Paging<'a>, sieves: &'a [Sieve<'a>], direction: Direction, context: u32) -> Self {
        let limit = match direction {
            Direction::Forward => END,
            Direction::Backward => Marks::default(),
        };
        let context = context.min(CONTEXT_LIMIT);
        Self {
            direction,
            matches: Matches::new(sieves, lines.records, direction, (lines.from, limit)),
            left: passed_before(lines, sieves, direction, context).unwrap_or(0),
            lines: lines.clone(),
            context,
            near: None,
            jumped: false,
        }
    }

    /// The next line.
    pub(super) fn take_one(&mut self) -> Result<Option<Shown>, Tired> {
        let Some(next) = self.lines.next(self.direction) else { return Ok(None) };
        let wanted = self.matches.peek()?;
        if wanted == Some(next) {
            return Ok(self.take_match(next));
        }
        if self.left > 0 {
            self.left -= 1;
            return Ok(self.take_context());
        }
        let Some(wanted) = wanted else { return Ok(None) };
        if self.near != Some(wanted) {
            self.approach(next, wanted);
            if self.lines.next(self.direction) == Some(wanted) {
                return Ok(self.take_match(wanted));
            }
        }
        Ok(self.take_context())
    }

    /// Whether there is another one.
    pub(super) fn has_more(&mut self) -> Result<bool, Tired> {
        Ok(self.lines.next(self.direction).is_some() && (self.left > 0 || self.matches.peek()?.is_some()))
    }

    fn take_match(&mut self, place: Place) -> Option<Shown> {
        self.matches.pass(place);
        self.left = self.context;
        self.take_line()
    }

    fn take_context(&mut self) -> Option<Shown> {
        let mut shown = self.take_line()?;
        shown.line.context = true;
        Some(shown)
    }

    fn take_line(&mut self) -> Option<Shown> {
        let line = self.lines.take_one(self.direction)?;
        Some(Shown { line, jumped: std::mem::take(&mut self.jumped) })
    }

    /// Leaves out the lines that are too far from a match, from `next` on.
    fn approach(&mut self, next: Place, wanted: Place) {
        self.near = Some(wanted);
        let mut first = wanted;
        if self.context > 0 {
            let mut back = self.lines.clone();
            back.seek(self.lines.marks_before(wanted, self.direction));
            for _ in 0..self.context {
                match back.skip(self.direction.back()) {
                    Some(place) if self.direction.passes(&next, &place) => first = place,
                    // All lines up to the match are near to it.
                    _ => return,
                }
            }
        }
        self.jumped = true;
        self.lines.seek(self.lines.marks_before(first, self.direction));
    }
}

/// How many lines are shown at the walk's beginning because a match lies just behind it.
fn passed_before(lines: &Paging, sieves: &[Sieve], direction: Direction, context: u32) -> Result<u32, Tired> {
    let mut back = lines.clone();
    let passed: Vec<Place> = (0..context).map_while(|_| back.skip(direction.back())).collect();
    let Some(last) = passed.last() else { return Ok(0) };
    let limit = lines.marks_before(*last, direction);
    let mut matches = Matches::new(sieves, lines.records, direction.back(), (lines.from, limit));
    let Some(matched) = matches.peek()? else { return Ok(0) };
    let between = passed.iter().position(|place| *place == matched);
    Ok(between.map_or(0, |between| context - u32::try_from(between).unwrap_or(context)))
}
