//! Many patterns, read and compiled, and which lines each of them has to look at.

use super::literals;
use super::regex::{compile, config};
use crate::model::{Finds, OutputPattern, Stream};
use regex_automata::MatchKind;
use regex_automata::meta::Regex;
use regex_syntax::hir::Hir;
use std::ops::Range;

/// The most patterns that are looked for together.
const PATTERNS: usize = 500;

/// Patterns, ready to be matched.
#[derive(Debug)]
pub struct Set {
    patterns: Vec<Compiled>,
    /// Those of stdout and of stderr that have to look at each line.
    anywhere: [Option<Anywhere>; 2],
}

/// A pattern and its regex.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) pattern: OutputPattern,
    pub(super) regex: Regex,
    /// Texts of which one is in every match, if there are such texts.
    pub(super) texts: Option<Vec<Vec<u8>>>,
    /// Whether only the last match counts, so that the others need not be looked at.
    pub(super) last_counts: bool,
}

/// Patterns that are tried on each line, all of them at once.
#[derive(Debug)]
pub(super) struct Anywhere {
    pub(super) regex: Regex,
    /// Whose each of its regexes is.
    pub(super) patterns: Vec<usize>,
}

impl Set {
    /// Compiles them; the error says which one is no good.
    pub fn new(patterns: Vec<OutputPattern>) -> Result<Self, String> {
        if patterns.len() > PATTERNS {
            let count = patterns.len();
            return Err(format!("there are {count} patterns, and {PATTERNS} are the most that can be looked for"));
        }
        let (mut compiled, mut hirs) = (Vec::new(), Vec::new());
        for pattern in patterns {
            let name = &pattern.name;
            let (alternatives, regex) =
                compile(&pattern).map_err(|message| format!("the pattern {name:?} cannot be used: {message}"))?;
            let last_counts = match pattern.finds {
                Finds::Error { .. } | Finds::Highlight | Finds::Output => false,
                Finds::Progress { .. } | Finds::Value | Finds::Time | Finds::Memory => true,
            };
            let texts = literals::required(&alternatives);
            compiled.push(Compiled { pattern, regex, texts, last_counts });
            hirs.push(alternatives);
        }
        let anywhere = |stream| Anywhere::new(&compiled, &hirs, stream);
        let anywhere = [anywhere(Stream::Stdout)?, anywhere(Stream::Stderr)?];
        Ok(Self { patterns: compiled, anywhere })
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    pub(super) fn compiled(&self) -> &[Compiled] {
        &self.patterns
    }

    pub(super) fn anywhere(&self, stream: Stream) -> Option<&Anywhere> {
        self.anywhere[usize::from(stream == Stream::Stderr)].as_ref()
    }
}

impl Compiled {
    /// Whether a stream is looked at.
    pub(super) fn looks_at(&self, stream: Stream) -> bool {
        self.pattern.stream.is_none_or(|only| only == stream)
    }
}

impl Anywhere {
    fn new(compiled: &[Compiled], hirs: &[Vec<Hir>], stream: Stream) -> Result<Option<Self>, String> {
        let without = compiled.iter().zip(hirs).enumerate();
        let without = without.filter(|(_, (compiled, _))| compiled.texts.is_none() && compiled.looks_at(stream));
        let (patterns, hirs): (Vec<_>, Vec<_>) =
            without.flat_map(|(place, (_, hirs))| hirs.iter().map(move |hir| (place, hir.clone()))).unzip();
        if patterns.is_empty() {
            return Ok(None);
        }
        // All of them together may take what each of them may.
        let config = config().match_kind(MatchKind::All).nfa_size_limit(None).onepass(false);
        let regex = Regex::builder().configure(config).build_many_from_hir(&hirs);
        let regex = regex.map_err(|error| format!("the patterns cannot be looked for together: {error}"))?;
        Ok(Some(Self { regex, patterns }))
    }
}

/// The line that holds a place; none begins before `after`.
pub(super) fn line_around(block: &[u8], after: usize, place: usize) -> Range<usize> {
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
