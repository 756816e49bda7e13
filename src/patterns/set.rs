//! Many patterns at once: which lines of a block each of them may match in.
//!
//! One pass over a block looks for the texts that the patterns' matches must contain, with vector instructions; a regex
//! is tried only where such a text of its stands. Patterns without one are tried on each line, all of them at once.

use super::literals;
use super::regex::{compile, config};
use crate::model::{Finds, OutputPattern, Stream};
use regex_automata::meta::Regex;
use regex_automata::util::prefilter::Prefilter;
use regex_automata::{Input, MatchKind, PatternSet, Span};
use regex_syntax::hir::Hir;
use std::ops::Range;

/// The most patterns that are looked for together.
const PATTERNS: usize = 500;
/// Texts shorter than this are looked for apart from the others, whose search they would slow down.
const SHORT: usize = 3;

/// Patterns, ready to be matched.
#[derive(Debug)]
pub struct Set {
    patterns: Vec<Compiled>,
    /// What is looked for in stdout and in stderr.
    sides: [Side; 2],
}

/// A pattern and its regex.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) pattern: OutputPattern,
    pub(super) regex: Regex,
    /// Whether only the last match counts, so that the others need not be looked at.
    pub(super) last_counts: bool,
}

/// What is looked for in one stream.
#[derive(Debug)]
struct Side {
    needles: Vec<Needles>,
    anywhere: Option<Anywhere>,
}

/// Texts that are looked for together.
#[derive(Debug)]
struct Needles {
    search: Prefilter,
    /// Each text, and the patterns that need it, by its first byte.
    by_first: Vec<Vec<(Vec<u8>, Vec<usize>)>>,
}

/// Patterns that are tried on each line.
#[derive(Debug)]
struct Anywhere {
    regex: Regex,
    /// Whose each of its regexes is.
    patterns: Vec<usize>,
}

/// Lines of a block in which patterns may match.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// Of patterns of which every match counts: the line and the pattern, in no order.
    pub(super) every: Vec<(Range<usize>, usize)>,
    /// Of patterns of which the last match counts: each one's lines, in order.
    pub(super) last: Vec<Vec<Range<usize>>>,
    /// Where the line begins that each pattern was noted for last, and one more.
    noted: Vec<usize>,
    hits: Option<PatternSet>,
}

impl Set {
    /// Compiles them; the error says which one is no good.
    pub fn new(patterns: Vec<OutputPattern>) -> Result<Self, String> {
        if patterns.len() > PATTERNS {
            return Err(format!(
                "there are {} patterns, and {PATTERNS} are the most that can be looked for",
                patterns.len()
            ));
        }
        let mut compiled = Vec::new();
        let mut hirs = Vec::new();
        for pattern in patterns {
            let (alternatives, regex) = compile(&pattern)
                .map_err(|message| format!("the pattern {:?} cannot be used: {message}", pattern.name))?;
            let last_counts = match pattern.finds {
                Finds::Error { .. } | Finds::Highlight | Finds::Output => false,
                Finds::Progress { .. } | Finds::Value | Finds::Time | Finds::Memory => true,
            };
            hirs.push(alternatives);
            compiled.push(Compiled { pattern, regex, last_counts });
        }
        let side = |stream| Side::new(&compiled, &hirs, stream);
        let sides = [side(Stream::Stdout)?, side(Stream::Stderr)?];
        Ok(Self { patterns: compiled, sides })
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    /// A pattern by its place.
    pub fn pattern(&self, place: usize) -> Option<&OutputPattern> {
        self.patterns.get(place).map(|compiled| &compiled.pattern)
    }

    pub(super) fn compiled(&self) -> &[Compiled] {
        &self.patterns
    }

    /// Finds, in a block of whole lines without escape sequences, the lines in which each pattern may match.
    pub(super) fn sift(&self, stream: Stream, block: &[u8], found: &mut Candidates) {
        found.every.clear();
        found.last.resize_with(self.patterns.len(), Vec::new);
        found.last.iter_mut().for_each(Vec::clear);
        found.noted.clear();
        found.noted.resize(self.patterns.len(), 0);
        let side = &self.sides[usize::from(stream == Stream::Stderr)];
        for needles in &side.needles {
            needles.sift(block, |line, pattern| found.note(&self.patterns, line, pattern));
        }
        if let Some(anywhere) = &side.anywhere {
            let hits = found.hits.take().filter(|hits| hits.capacity() == anywhere.patterns.len());
            let mut hits = hits.unwrap_or_else(|| PatternSet::new(anywhere.patterns.len()));
            for line in lines(block) {
                hits.clear();
                anywhere.regex.which_overlapping_matches(&Input::new(&block[line.clone()]), &mut hits);
                for hit in hits.iter() {
                    found.note(&self.patterns, line.clone(), anywhere.patterns[hit.as_usize()]);
                }
            }
            found.hits = Some(hits);
        }
    }
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
}

impl Side {
    fn new(compiled: &[Compiled], hirs: &[Vec<Hir>], stream: Stream) -> Result<Self, String> {
        let mut texts: [Vec<(Vec<u8>, usize)>; 2] = Default::default();
        let mut anywhere = (Vec::new(), Vec::new());
        for (place, compiled) in compiled.iter().enumerate() {
            if compiled.pattern.stream.is_some_and(|only| only != stream) {
                continue;
            }
            match literals::required(&hirs[place]) {
                Some(required) => {
                    let short = required.iter().any(|text| text.len() < SHORT);
                    texts[usize::from(short)].extend(required.into_iter().map(|text| (text, place)));
                }
                None => {
                    anywhere.0.extend(hirs[place].iter().cloned());
                    anywhere.1.extend(hirs[place].iter().map(|_| place));
                }
            }
        }
        let mut side = Self { needles: Vec::new(), anywhere: None };
        for texts in texts {
            match Needles::new(&texts) {
                Some(needles) => side.needles.push(needles),
                // Texts that nothing can look for at once.
                None => {
                    let mut places: Vec<usize> = texts.into_iter().map(|(_, place)| place).collect();
                    places.dedup();
                    for place in places {
                        anywhere.0.extend(hirs[place].iter().cloned());
                        anywhere.1.extend(hirs[place].iter().map(|_| place));
                    }
                }
            }
        }
        if !anywhere.0.is_empty() {
            // All of them together may take what each of them may.
            let config = config().match_kind(MatchKind::All).nfa_size_limit(None).onepass(false);
            let regex = Regex::builder().configure(config).build_many_from_hir(&anywhere.0);
            let regex = regex.map_err(|error| format!("the patterns cannot be looked for together: {error}"))?;
            side.anywhere = Some(Anywhere { regex, patterns: anywhere.1 });
        }
        Ok(side)
    }
}

impl Needles {
    fn new(texts: &[(Vec<u8>, usize)]) -> Option<Self> {
        let mut by_first: Vec<Vec<(Vec<u8>, Vec<usize>)>> = vec![Vec::new(); 256];
        for (text, place) in texts {
            let same_first = &mut by_first[usize::from(*text.first()?)];
            match same_first.iter_mut().find(|(known, _)| known == text) {
                Some((_, places)) => places.push(*place),
                None => same_first.push((text.clone(), vec![*place])),
            }
        }
        let all: Vec<&[u8]> = by_first.iter().flatten().map(|(text, _)| text.as_slice()).collect();
        Some(Self { search: Prefilter::new(MatchKind::LeftmostFirst, &all)?, by_first })
    }

    fn sift(&self, block: &[u8], mut note: impl FnMut(Range<usize>, usize)) {
        let (mut at, mut line) = (0, 0..0);
        while let Some(found) = self.search.find(block, Span { start: at, end: block.len() }) {
            if found.start >= line.end {
                line = line_around(block, line.end, found.start);
            }
            let rest = &block[found.start..line.end];
            // Others may begin at the same place.
            for (text, patterns) in &self.by_first[usize::from(block[found.start])] {
                if rest.starts_with(text) {
                    patterns.iter().for_each(|pattern| note(line.clone(), *pattern));
                }
            }
            at = found.start + 1;
        }
    }
}

/// The line that holds a place; none begins before `after`.
fn line_around(block: &[u8], after: usize, place: usize) -> Range<usize> {
    let start = memchr::memrchr2(b'\n', b'\r', &block[after..place]).map_or(after, |end| after + end + 1);
    let end = memchr::memchr2(b'\n', b'\r', &block[place..]).map_or(block.len(), |end| place + end);
    start..end
}

/// The lines of a block: what lies between line ends, without those that are empty.
pub(super) fn lines(block: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    let ends = memchr::memchr2_iter(b'\n', b'\r', block).chain(std::iter::once(block.len()));
    ends.map(move |end| std::mem::replace(&mut at, end + 1)..end).filter(|line| !line.is_empty())
}
