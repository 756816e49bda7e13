//! Searching the output: which lines match, where the next one is, and pages of those that do.
//!
//! ```text
//! scan     the wanted lines of one stream's chunk
//! memory   what is known of chunks looked at before
//! work     what one answer may cost
//! walk     wanted lines of both streams, in the order of reading
//! select   the lines that a filtered page shows: those, and what stands around them
//! ```
//!
//! What must stay true: one answer looks at a bounded part of the output and is given up as soon as nobody waits for it;
//! asked again it goes on; what was looked at once is not looked at again as the output grows; the lines found are those
//! that `grep` would find, each in its place.

mod memory;
mod scan;
mod select;
mod walk;
mod work;

pub use memory::Memory;
pub use work::Wish;

use super::error::StoreError;
use super::paging::{Direction, END, PAGE_BYTES, Paging, Place, weight};
use crate::model::proto::{LineAnchor, OutputAt, OutputLine, OutputPage, OutputQuery};
use crate::model::{Grep, Marks, SearchQuery, Searched};
use crate::store::index::{part, part_mut};
use memory::Question;
use scan::{CHUNK, Sieve};
use select::{Selection, Shown};
use walk::Matches;
use work::{Tired, Work};

/// Somebody who asks about the output.
#[derive(Debug, Clone, Default)]
pub struct Asker {
    /// What was found out for them before.
    pub memory: Memory,
    /// Whether they still wait for the answer.
    pub wish: Wish,
}

fn sieves<'a>(lines: &'a Paging<'a>, question: &'a Question, work: &'a Work<'a>) -> Vec<Sieve<'a>> {
    lines.sides.iter().map(|side| Sieve::new(side.view, &side.scope, question, work)).collect()
}

/// A page of the lines that match, and those around them, from where `lines` begins.
pub(super) fn page(lines: &Paging, query: &OutputQuery, asker: &Asker, grep: &Grep) -> Result<OutputPage, StoreError> {
    let question = asker.memory.of(vec![grep.clone()])?;
    let work = Work::new(&asker.wish);
    let sieves = sieves(lines, &question, &work);
    let select = |direction| Selection::new(lines, &sieves, direction, query.filter.context);
    let (before, after) = query.most();
    let (mut forward, mut backward) = (select(Direction::Forward), select(Direction::Backward));
    let (behind, behind_end) = take(&mut forward, after, &work);
    let (ahead, ahead_end) = take(&mut backward, before, &work);
    work.nearly_done();
    // Whether there is more is told only where it is cheap: else there may be.
    let is_over = |selection: &mut Selection| selection.has_more() == Ok(false);
    Ok(OutputPage {
        partial: behind_end.is_err() || ahead_end.is_err(),
        at_start: ahead_end.is_ok() && is_over(&mut backward),
        at_end: behind_end.is_ok() && is_over(&mut forward),
        lines: joined(ahead, behind),
    })
}

/// As many lines as are wanted or fit; an error if it is not known yet which come next.
fn take(selection: &mut Selection, most: u32, work: &Work) -> (Vec<Shown>, Result<(), Tired>) {
    work.begin();
    let mut lines: Vec<Shown> = Vec::new();
    let mut bytes = 0;
    while lines.len() < most as usize && bytes < PAGE_BYTES {
        match selection.take_one() {
            Ok(Some(shown)) => {
                bytes += weight(&shown.line);
                lines.push(shown);
                // The next page begins at the last line: only with a second one that is not where this one began.
                if lines.len() > 1 {
                    work.got_further();
                }
            }
            Ok(None) => break,
            Err(tired) => return (lines, Err(tired)),
        }
    }
    (lines, Ok(()))
}

/// Both parts in order: the one ahead came nearest first. A gap is told of by the line after it.
fn joined(ahead: Vec<Shown>, behind: Vec<Shown>) -> Vec<OutputLine> {
    let mut lines: Vec<OutputLine> = Vec::with_capacity(ahead.len() + behind.len());
    let mut gap_after: Vec<bool> = ahead.iter().map(|shown| shown.jumped).collect();
    gap_after.reverse();
    let mut gap = false;
    for (shown, jumped) in ahead.into_iter().rev().zip(gap_after) {
        lines.push(OutputLine { gap, ..shown.line });
        gap = jumped;
    }
    for shown in behind {
        gap |= shown.jumped;
        lines.push(OutputLine { gap: gap && !lines.is_empty(), ..shown.line });
        gap = false;
    }
    lines
}

/// The nearest line that matches, and how many there are, from where `lines` begins.
pub(super) fn search(lines: &Paging, query: &SearchQuery, asker: &Asker, grep: &Grep) -> Result<Searched, StoreError> {
    let question = asker.memory.of(query.filter.grep.iter().chain([grep]).cloned().collect())?;
    let work = Work::new(&asker.wish);
    let sieves = sieves(lines, &question, &work);
    let (direction, limit) =
        if query.forward { (Direction::Forward, END) } else { (Direction::Backward, Marks::default()) };
    let from = if query.forward { after_named(lines, query.from) } else { lines.from };
    let nearest = Matches::new(&sieves, lines.records, direction, (from, limit)).peek();
    let settled = nearest.is_ok();
    let nearest = nearest.ok().flatten();
    let position = nearest.and_then(|place| position(lines, &sieves, place).ok());
    let (count, counted) = count(&sieves);
    Ok(Searched {
        line: nearest.map(|place| LineAnchor { stream: sieves[place.side].view.stream, offset: place.start }),
        settled,
        count,
        position,
        complete: counted && position.is_some() == nearest.is_some(),
    })
}

/// Where the walk begins, without the line that was named.
fn after_named(lines: &Paging, from: OutputAt) -> Marks {
    let mut marks = lines.from;
    let OutputAt::Line(anchor) = from else { return marks };
    for side in lines.sides.iter().filter(|side| side.view.stream == anchor.stream) {
        let start = part_mut(&mut marks, anchor.stream);
        if *start < side.view.length {
            *start = side.view.end_of(*start);
        }
    }
    marks
}

/// The place of a wanted line among all of them, from 1.
fn position(lines: &Paging, sieves: &[Sieve], place: Place) -> Result<u64, Tired> {
    let starts = lines.records.starts(place.record);
    let mut before = 1;
    for (side, sieve) in sieves.iter().enumerate() {
        let until = if side == place.side { place.start } else { part(starts, sieve.view.stream) };
        let mut at = 0;
        while let Some(from) = sieve.from(at).filter(|from| *from < until) {
            let chunk = from / CHUNK;
            at = (chunk + 1) * CHUNK;
            before += if at <= until {
                sieve.count(chunk)?
            } else {
                sieve.lines(chunk)?.partition_point(|start| *start < until) as u64
            };
        }
    }
    Ok(before)
}

/// How many lines are wanted, as far as that is known or soon counted, and whether these are all.
fn count(sieves: &[Sieve]) -> (u64, bool) {
    let (mut count, mut complete) = (0, true);
    for sieve in sieves {
        let mut at = 0;
        while let Some(from) = sieve.from(at) {
            let chunk = from / CHUNK;
            at = (chunk + 1) * CHUNK;
            match sieve.count(chunk) {
                Ok(lines) => count += lines,
                // Those behind it may be known.
                Err(Tired) => complete = false,
            }
        }
    }
    (count, complete)
}
