//! Regexes of patterns: read with the place of what is wrong in them, and bounded in what they may cost.

use crate::model::{Finds, OutputPattern, ProgressReads};
use regex_automata::meta::{Config, Regex};
use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{self, Span};
use regex_syntax::hir::translate::TranslatorBuilder;
use regex_syntax::hir::{Hir, HirKind};
use std::fmt::Display;

/// The longest regex, in bytes.
pub const REGEX_LIMIT: usize = 4 << 10;
/// The most memory that a compiled regex may take, in bytes. It bounds what a byte of output can cost, too.
const SIZE_LIMIT: usize = 512 << 10;
/// The most memory that a regex may take for what it keeps while matching, in bytes.
const CACHE_LIMIT: usize = 1 << 20;
/// How deep groups and classes may be nested.
const NEST_LIMIT: u32 = 100;

/// What is wrong with a regex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Where, in bytes from the regex's beginning.
    pub offset: usize,
    /// For people.
    pub message: String,
}

impl Wrong {
    fn whole(message: impl Into<String>) -> Self {
        Self { offset: 0, message: message.into() }
    }
}

/// Whether a pattern can be matched as it is; the error says in which of its regexes.
pub fn check(pattern: &OutputPattern) -> Result<(), (usize, Wrong)> {
    for (place, text) in pattern.regexes.iter().enumerate() {
        checked(text, pattern).map_err(|wrong| (place, wrong))?;
    }
    compile(pattern).map(drop).map_err(|message| (0, Wrong::whole(message)))
}

fn checked(text: &str, pattern: &OutputPattern) -> Result<(), Wrong> {
    let hir = parse(text, pattern.qube)?;
    // Of Qube's patterns a match without a capture counts for nothing.
    if !pattern.qube && hir.properties().minimum_len().is_none_or(|length| length == 0) {
        let why = match hir.properties().minimum_len() {
            Some(_) => "it matches where nothing is, and so in every line",
            None => "it can match nothing at all",
        };
        return Err(Wrong::whole(why));
    }
    if matches!(pattern.finds, Finds::Progress { reads: ProgressReads::KOfN }) {
        for groups in groups_of_branches(&hir) {
            if groups != 2 {
                return Err(Wrong::whole(format!(
                    "k_of_n takes two groups, how many of how many, in each alternative; here {} {groups}: mark \
                     those that are not meant with (?:…)",
                    if groups == 1 { "is" } else { "are" }
                )));
            }
        }
    }
    Ok(())
}

/// How many groups each of the alternatives has.
fn groups_of_branches(hir: &Hir) -> Vec<usize> {
    match hir.kind() {
        HirKind::Alternation(parts) => parts.iter().map(|part| part.properties().explicit_captures_len()).collect(),
        _ => vec![hir.properties().explicit_captures_len()],
    }
}

/// A regex as it is meant in one line.
pub(super) fn parse(text: &str, qube: bool) -> Result<Hir, Wrong> {
    if text.len() > REGEX_LIMIT {
        return Err(Wrong::whole(format!("the regex has more than {REGEX_LIMIT} bytes")));
    }
    let parsed = ParserBuilder::new().nest_limit(NEST_LIMIT).build().parse(text);
    let parsed = parsed.map_err(|error| {
        let why = match error.kind() {
            ast::ErrorKind::UnsupportedLookAround | ast::ErrorKind::UnsupportedBackreference => {
                ": they can take time without bound, and output is matched as fast as it comes"
            }
            _ => "",
        };
        located(format!("{}{why}", error.kind()), error.span())
    })?;
    let mut translator = TranslatorBuilder::new().utf8(false).case_insensitive(qube).multi_line(qube).build();
    translator.translate(text, &parsed).map_err(|error| located(error.kind(), error.span()))
}

fn located(what: impl Display, place: &Span) -> Wrong {
    let message = what.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    Wrong { offset: place.start.offset, message }
}

/// Compiles a pattern; what its alternatives say, and all of them as one.
pub(super) fn compile(pattern: &OutputPattern) -> Result<(Vec<Hir>, Regex), String> {
    let hirs = pattern.regexes.iter().map(|text| parse(text, pattern.qube)).collect::<Result<Vec<_>, _>>();
    let hirs = hirs.map_err(|wrong| wrong.message)?;
    let regex = Regex::builder().configure(config()).build_many_from_hir(&hirs);
    let regex = regex.map_err(|error| match error.size_limit() {
        Some(_) => format!("it takes more than {} KiB when compiled; repeat less in it", SIZE_LIMIT >> 10),
        None => error.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
    })?;
    Ok((hirs, regex))
}

/// How regexes are compiled.
pub(super) fn config() -> Config {
    Config::new()
        .utf8_empty(false)
        .nfa_size_limit(Some(SIZE_LIMIT))
        .onepass_size_limit(Some(SIZE_LIMIT))
        .hybrid_cache_capacity(CACHE_LIMIT)
}
