//! Which lines of a block each pattern may match in.
//!
//! One pass over a block looks for the texts that matches must contain, with vector instructions; a regex is tried only
//! where such a text of its stands. A pattern whose texts stand in many lines, and of which only the last match counts, is
//! left out of that pass: it is looked for from the block's end, where it is found at once. Patterns without a text are
//! tried on each line, all of them together.

use super::set::{Compiled, Set, line_around, lines};
use crate::model::Stream;
use memchr::memmem::FinderRev;
use regex_automata::util::prefilter::Prefilter;
use regex_automata::{Input, MatchKind, PatternSet, Span};
use std::ops::Range;

/// Texts shorter than this are looked for apart from the others, whose search they would slow down.
const SHORT: usize = 3;
/// How many texts are looked for at once: as many as vector instructions take.
const TOGETHER: usize = 56;
/// A pattern is frequent when a block has a line for it every so many bytes, and more than a few …
const FREQUENT: usize = 2 << 10;
const FEW: usize = if cfg!(test) { 1 } else { 4 };
/// … and is not any more when none of so many has.
const RARE: usize = if cfg!(test) { 20 } else { 32 << 10 };
/// How often that may change: a child's output can turn one way and the other without end.
const CHANGES: u32 = 100;
/// How far back a frequent pattern's texts are looked for first, and by how much farther each time, in bytes.
const BACK: usize = if cfg!(test) { 2 } else { 512 };

/// Sifts the blocks of one stream.
#[derive(Debug)]
pub(super) struct Sieve {
    stream: Stream,
    needles: Vec<Needles>,
    /// For each pattern that is looked for from the end: its texts.
    frequent: Vec<Option<Vec<FinderRev<'static>>>>,
    /// Whether patterns may become frequent.
    adapts: bool,
    changes: u32,
    found: Candidates,
}

/// Lines of a block in which patterns may match.
#[derive(Debug, Default)]
struct Candidates {
    /// Of patterns of which every match counts: the line and the pattern.
    every: Vec<(Range<usize>, usize)>,
    /// Of patterns of which the last match counts and that are not frequent: each one's lines, in order.
    last: Vec<Vec<Range<usize>>>,
    /// Where the line begins that each pattern was noted for last, and one more.
    noted: Vec<usize>,
    hits: Option<PatternSet>,
}

/// Texts that are looked for together.
#[derive(Debug)]
struct Needles {
    search: Option<Prefilter>,
    /// Each text, and the patterns that need it, by its first byte.
    by_first: Vec<Vec<(Vec<u8>, Vec<usize>)>>,
}

impl Sieve {
    pub(super) fn new(set: &Set, stream: Stream, adapts: bool) -> Self {
        let frequent = set.compiled().iter().map(|_| None).collect();
        let mut sieve =
            Self { stream, needles: Vec::new(), frequent, adapts, changes: 0, found: Candidates::default() };
        sieve.rebuild(set);
        sieve
    }

    /// Looks through a block of whole lines without escape sequences.
    pub(super) fn sift(&mut self, set: &Set, block: &[u8]) {
        let found = &mut self.found;
        found.every.clear();
        found.last.resize_with(set.len(), Vec::new);
        found.last.iter_mut().for_each(Vec::clear);
        found.noted.clear();
        found.noted.resize(set.len(), 0);
        for needles in &self.needles {
            needles.sift(block, |line, pattern| found.note(set.compiled(), line, pattern));
        }
        found.try_anywhere(set, self.stream, block);
        // Each pass has an order of its own.
        found.every.sort_unstable_by_key(|(line, pattern)| (line.start, *pattern));
        self.adapt(set, block.len());
    }

    /// Lines in which a pattern may match of which every match counts, in order.
    pub(super) fn every(&self) -> &[(Range<usize>, usize)] {
        &self.found.every
    }

    /// The last line of the sifted block in which a pattern may match of which the last match counts, if it ends by `end`.
    pub(super) fn last(&self, pattern: usize, block: &[u8], end: usize) -> Option<Range<usize>> {
        if let Some(texts) = &self.frequent[pattern] {
            return last_with(texts, &block[..end]).map(|place| line_around(block, 0, place));
        }
        let lines = &self.found.last[pattern];
        lines[..lines.partition_point(|line| line.end <= end)].last().cloned()
    }

    /// A frequent pattern was not found in a block of this length.
    pub(super) fn was_not_found(&mut self, set: &Set, pattern: usize, length: usize) {
        if length >= RARE && self.frequent[pattern].take().is_some() {
            self.rebuild(set);
        }
    }

    fn adapt(&mut self, set: &Set, length: usize) {
        if !self.adapts || self.changes >= CHANGES {
            return;
        }
        let often = (length / FREQUENT).max(FEW);
        let mut changed = false;
        for (place, compiled) in set.compiled().iter().enumerate() {
            if let Some(texts) = compiled.texts.as_ref().filter(|_| self.found.last[place].len() > often) {
                self.frequent[place] = Some(texts.iter().map(|text| FinderRev::new(text).into_owned()).collect());
                changed = true;
            }
        }
        if changed {
            self.rebuild(set);
        }
    }

    fn rebuild(&mut self, set: &Set) {
        self.changes += 1;
        let (mut short, mut long) = (vec![Vec::new()], vec![Vec::new()]);
        for (place, compiled) in set.compiled().iter().enumerate() {
            let texts = compiled.texts.iter().flatten().map(|text| (text.as_slice(), place)).collect::<Vec<_>>();
            if self.frequent[place].is_some() || !compiled.looks_at(self.stream) || texts.is_empty() {
                continue;
            }
            let groups = if texts.iter().any(|(text, _)| text.len() < SHORT) { &mut short } else { &mut long };
            // All texts of a pattern in one pass, or a line would be noted for it twice.
            match groups.last_mut() {
                Some(group) if group.len() + texts.len() <= TOGETHER => group.extend(texts),
                _ => groups.push(texts),
            }
        }
        let groups = short.iter().chain(&long).filter(|group| !group.is_empty());
        self.needles = groups.map(|group| Needles::new(group)).collect();
    }
}

/// Where the last of these texts stands.
fn last_with(texts: &[FinderRev<'static>], block: &[u8]) -> Option<usize> {
    let longest = texts.iter().map(|text| text.needle().len()).max()?;
    let (mut length, mut end) = (BACK, block.len());
    while end > 0 {
        let start = end.saturating_sub(length);
        // A text may lie across the border of what was looked at before.
        let window = &block[start..(end + longest - 1).min(block.len())];
        if let Some(place) = texts.iter().filter_map(|text| text.rfind(window)).max() {
            return Some(start + place);
        }
        end = start;
        length *= 8;
    }
    None
}

impl Candidates {
    fn note(&mut self, patterns: &[Compiled], line: Range<usize>, pattern: usize) {
        if std::mem::replace(&mut self.noted[pattern], line.start + 1) == line.start + 1 {
            return;
        }
        if patterns[pattern].last_counts {
            self.last[pattern].push(line);
        } else {
            self.every.push((line, pattern));
        }
    }

    fn try_anywhere(&mut self, set: &Set, stream: Stream, block: &[u8]) {
        let Some(anywhere) = set.anywhere(stream) else { return };
        let hits = self.hits.take();
        let mut hits = hits.unwrap_or_else(|| PatternSet::new(anywhere.patterns.len()));
        for line in lines(block) {
            hits.clear();
            anywhere.regex.which_overlapping_matches(&Input::new(&block[line.clone()]), &mut hits);
            for hit in hits.iter() {
                self.note(set.compiled(), line.clone(), anywhere.patterns[hit.as_usize()]);
            }
        }
        self.hits = Some(hits);
    }
}

impl Needles {
    fn new(texts: &[(&[u8], usize)]) -> Self {
        let mut by_first: Vec<Vec<(Vec<u8>, Vec<usize>)>> = vec![Vec::new(); 256];
        for (text, place) in texts {
            let same_first = &mut by_first[usize::from(text[0])];
            match same_first.iter_mut().find(|(known, _)| known == text) {
                Some((_, places)) => places.push(*place),
                None => same_first.push((text.to_vec(), vec![*place])),
            }
        }
        let all: Vec<&[u8]> = by_first.iter().flatten().map(|(text, _)| text.as_slice()).collect();
        Self { search: Prefilter::new(MatchKind::LeftmostFirst, &all), by_first }
    }

    fn next(&self, block: &[u8], at: usize) -> Option<usize> {
        match &self.search {
            Some(search) => search.find(block, Span { start: at, end: block.len() }).map(|found| found.start),
            // No means of looking for these at once: each byte that may begin one.
            None => {
                block[at..].iter().position(|byte| !self.by_first[usize::from(*byte)].is_empty()).map(|next| at + next)
            }
        }
    }

    fn sift(&self, block: &[u8], mut note: impl FnMut(Range<usize>, usize)) {
        let (mut at, mut line) = (0, 0..0);
        while let Some(found) = self.next(block, at) {
            if found >= line.end {
                line = line_around(block, line.end, found);
            }
            let rest = &block[found..line.end];
            // Others may begin at the same place.
            for (text, patterns) in &self.by_first[usize::from(block[found])] {
                if rest.starts_with(text) {
                    for pattern in patterns {
                        note(line.clone(), *pattern);
                    }
                }
            }
            at = found + 1;
        }
    }
}
