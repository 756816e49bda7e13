//! A compiled [`Grep`]: matched in linear time, bounded in size, so that no pattern of a client can hold up the engine.

use super::search::{Case, Grep};
use regex::bytes::{Regex, RegexBuilder};
use std::ops::Range;

/// The longest pattern, in bytes.
pub const PATTERN_LIMIT: usize = 4 << 10;
/// The most memory that a compiled pattern, or what it keeps while matching, may take, in bytes.
const SIZE_LIMIT: usize = 8 << 20;

/// Why a pattern cannot be used, for people: what is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadPattern(pub String);

/// A pattern that can be matched.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    invert: bool,
}

impl Pattern {
    /// Compiles it.
    pub fn new(grep: &Grep) -> Result<Self, BadPattern> {
        if grep.pattern.len() > PATTERN_LIMIT {
            return Err(BadPattern(format!("the pattern has more than {PATTERN_LIMIT} bytes")));
        }
        let insensitive = match grep.case {
            Case::Smart => !grep.pattern.chars().any(char::is_uppercase),
            Case::Sensitive => false,
            Case::Insensitive => true,
        };
        let regex = RegexBuilder::new(&grep.pattern)
            .case_insensitive(insensitive)
            .size_limit(SIZE_LIMIT)
            .dfa_size_limit(SIZE_LIMIT)
            .build()
            .map_err(|error| BadPattern(error.to_string()))?;
        Ok(Self { regex, invert: grep.invert })
    }

    /// Whether a line, without its newline, is wanted.
    pub fn wants(&self, line: &[u8]) -> bool {
        self.regex.is_match(line) != self.invert
    }

    /// Where the pattern matches in a line, whether or not such lines are wanted; matches of nothing are left out.
    pub fn places<'a>(&'a self, line: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
        self.regex.find_iter(line).map(|found| found.range()).filter(|range| !range.is_empty())
    }
}
