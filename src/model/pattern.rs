//! A compiled [`Grep`]: matched in linear time, bounded in size, so that no pattern of a client can hold up the engine.
//!
//! What must stay true: a match never leaves its line, whatever the pattern says, so that a block of many lines can be
//! searched at once and gives what each line by itself would give; colours are not part of what is matched.

use super::search::{Case, Grep};
use super::sgr::{ESC, Plain};
use regex_automata::Input;
use regex_automata::meta::{BuildError, Config, Regex};
use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{self, Ast, ClassSetItem, Span};
use regex_syntax::hir::translate::TranslatorBuilder;
use regex_syntax::hir::{
    Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look, Repetition,
};
use std::convert::Infallible;
use std::fmt::Display;
use std::ops::Range;

/// The longest pattern, in bytes.
pub const PATTERN_LIMIT: usize = 4 << 10;
/// The most memory that a compiled pattern may take, in bytes. It bounds what a byte of output can cost, too.
const SIZE_LIMIT: usize = 2 << 20;
/// The most memory that a pattern may take, in each direction, for what it keeps while matching, in bytes.
const CACHE_LIMIT: usize = 2 << 20;
/// How deep groups and classes may be nested.
const NEST_LIMIT: u32 = 100;

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
        let text = &grep.pattern;
        if text.len() > PATTERN_LIMIT {
            return Err(BadPattern(format!("the pattern has more than {PATTERN_LIMIT} bytes")));
        }
        let parsed = ParserBuilder::new().nest_limit(NEST_LIMIT).build().parse(text);
        let parsed = parsed.map_err(|error| bad(text, error.kind(), error.span()))?;
        let insensitive = match grep.case {
            Case::Smart => !has_capital(&parsed),
            Case::Sensitive => false,
            Case::Insensitive => true,
        };
        let hir = TranslatorBuilder::new().utf8(false).case_insensitive(insensitive).build().translate(text, &parsed);
        let hir = hir.map_err(|error| bad(text, error.kind(), error.span()))?;
        let config = Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(SIZE_LIMIT))
            .onepass_size_limit(Some(SIZE_LIMIT))
            .hybrid_cache_capacity(CACHE_LIMIT);
        let regex = Regex::builder().configure(config).build_from_hir(&within_line(hir)).map_err(too_large)?;
        Ok(Self { regex, invert: grep.invert })
    }

    /// Whether a line, without its newline, is wanted.
    pub fn wants(&self, line: &[u8]) -> bool {
        let matches = match memchr::memchr(ESC, line) {
            Some(_) => self.regex.is_match(&Plain::of(line).bytes),
            None => self.regex.is_match(line),
        };
        matches != self.invert
    }

    /// Where the pattern matches in a line, whether or not such lines are wanted; matches of nothing are left out.
    pub fn places(&self, line: &[u8]) -> Vec<Range<usize>> {
        let find = |line: &[u8], stood: &dyn Fn(Range<usize>) -> Range<usize>| {
            let found = self.regex.find_iter(line).map(|found| found.range());
            found.filter(|range| !range.is_empty()).map(stood).collect()
        };
        if memchr::memchr(ESC, line).is_none() {
            return find(line, &|range| range);
        }
        let plain = Plain::of(line);
        find(&plain.bytes, &|range| plain.range(range))
    }

    /// Whether the lines are wanted in which it does not match.
    pub(crate) fn is_inverted(&self) -> bool {
        self.invert
    }

    /// Whether it matches in a part of a line that is too long to be looked at whole. The bytes around the part say that
    /// the line goes on there.
    pub(crate) fn matches_in(&self, bytes: &[u8], part: Range<usize>) -> bool {
        self.regex.is_match(Input::new(bytes).range(part))
    }

    /// Gives the lines that are wanted of a block of whole lines without colours, in order, each without its newline.
    pub(crate) fn lines(&self, block: &[u8], mut each: impl FnMut(Range<usize>)) {
        if !self.invert {
            return self.matching(block, each);
        }
        let mut at = 0;
        self.matching(block, |line| {
            all_lines(block, at..line.start, &mut each);
            at = line.end + 1;
        });
        all_lines(block, at..block.len(), each);
    }

    fn matching(&self, block: &[u8], mut each: impl FnMut(Range<usize>)) {
        let mut at = 0;
        while at < block.len() {
            let input = Input::new(block).range(at..).earliest(true);
            let Some(end) = self.regex.search_half(&input).map(|found| found.offset()) else { return };
            // Behind the last newline there is no line, though a pattern may match there.
            if end == block.len() && block.ends_with(b"\n") {
                return;
            }
            let start = memchr::memrchr(b'\n', &block[at..end]).map_or(at, |newline| at + newline + 1);
            let end = memchr::memchr(b'\n', &block[end..]).map_or(block.len(), |newline| end + newline);
            each(start..end);
            at = end + 1;
        }
    }
}

/// Gives the lines of a part of a block, each without its newline.
pub(crate) fn all_lines(block: &[u8], part: Range<usize>, mut each: impl FnMut(Range<usize>)) {
    let mut at = part.start;
    while at < part.end {
        let end = memchr::memchr(b'\n', &block[at..part.end]).map_or(part.end, |newline| at + newline);
        each(at..end);
        at = end + 1;
    }
}

fn bad(pattern: &str, what: impl Display, place: &Span) -> BadPattern {
    let before = pattern.get(..place.start.offset).unwrap_or(pattern);
    let what = what.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    BadPattern(format!("{what}, at character {} of the pattern", before.chars().count() + 1))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn too_large(error: BuildError) -> BadPattern {
    if error.size_limit().is_some() {
        let limit = SIZE_LIMIT >> 20;
        return BadPattern(format!("the pattern takes more than {limit} MiB when compiled; repeat less in it"));
    }
    BadPattern(error.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Whether a letter that is meant as itself is a capital: `\W` has none.
fn has_capital(pattern: &Ast) -> bool {
    struct Capitals(bool);

    impl ast::Visitor for Capitals {
        type Output = bool;
        type Err = Infallible;

        fn finish(self) -> Result<bool, Infallible> {
            Ok(self.0)
        }

        fn visit_pre(&mut self, ast: &Ast) -> Result<(), Infallible> {
            if let Ast::Literal(literal) = ast {
                self.0 |= literal.c.is_uppercase();
            }
            Ok(())
        }

        fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Infallible> {
            self.0 |= match item {
                ClassSetItem::Literal(literal) => literal.c.is_uppercase(),
                ClassSetItem::Range(range) => range.start.c.is_uppercase() || range.end.c.is_uppercase(),
                _ => false,
            };
            Ok(())
        }
    }

    ast::visit(pattern, Capitals(false)).unwrap_or_else(|never| match never {})
}

/// The pattern as it matches each line by itself: nothing in it is a newline, and the text's beginning and end are the
/// line's.
fn within_line(hir: Hir) -> Hir {
    match hir.into_kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) if literal.0.contains(&b'\n') => Hir::fail(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(Class::Unicode(mut class)) => {
            class.difference(&ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')]));
            Hir::class(Class::Unicode(class))
        }
        HirKind::Class(Class::Bytes(mut class)) => {
            class.difference(&ClassBytes::new([ClassBytesRange::new(b'\n', b'\n')]));
            Hir::class(Class::Bytes(class))
        }
        HirKind::Look(Look::Start) => Hir::look(Look::StartLF),
        HirKind::Look(Look::End) => Hir::look(Look::EndLF),
        HirKind::Look(look) => Hir::look(look),
        HirKind::Repetition(repetition) => {
            let sub = Box::new(within_line(*repetition.sub));
            Hir::repetition(Repetition { sub, ..repetition })
        }
        // Nobody asks what a group matched.
        HirKind::Capture(group) => within_line(*group.sub),
        HirKind::Concat(parts) => Hir::concat(parts.into_iter().map(within_line).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.into_iter().map(within_line).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grep(pattern: &str) -> Grep {
        Grep { pattern: pattern.to_owned(), case: Case::Smart, invert: false }
    }

    fn pattern(text: &str) -> Pattern {
        Pattern::new(&grep(text)).unwrap_or_else(|bad| panic!("{text}: {bad}"))
    }

    #[test]
    fn capitals_make_a_pattern_strict_only_where_they_are_meant() {
        assert!(pattern("error").wants(b"ERROR"));
        assert!(!pattern("Error").wants(b"error"));
        assert!(pattern(r"\Werror\S").wants(b" ERRORs"));
        assert!(!pattern("[A-Z]rror").wants(b"error"));
        let strict = Grep { case: Case::Sensitive, ..grep("error") };
        assert!(!Pattern::new(&strict).expect("sound").wants(b"ERROR"));
        let loose = Grep { case: Case::Insensitive, ..grep("ERROR") };
        assert!(Pattern::new(&loose).expect("sound").wants(b"error"));
    }

    #[test]
    fn colours_do_not_come_between_letters() {
        assert!(pattern("^ERROR$").wants(b"\x1b[31mERR\x1b[0mOR\x1b[m"));
        assert!(!pattern("31m").wants(b"\x1b[31mERR"));
    }

    #[test]
    fn a_bad_pattern_is_told_of_on_one_line_with_its_place() {
        let said = |text: &str| Pattern::new(&grep(text)).expect_err(text).0;
        assert_eq!(said("é(a"), "unclosed group, at character 2 of the pattern");
        assert!(said("(?=a)").contains("look-around"), "{}", said("(?=a)"));
        assert!(said(r"(a)\1").contains("backreferences"), "{}", said(r"(a)\1"));
        assert!(said("(a{1000}){1000}").contains("2 MiB"), "{}", said("(a{1000}){1000}"));
        assert!(said(&"a".repeat(1 << 20)).contains("4096 bytes"));
        let deep = ["(".repeat(2000), ")".repeat(2000)].concat();
        assert!(said(&deep).contains("nest"), "{}", said(&deep));
        for text in ["é(a", "(?=a)", "(?x)\n[a\n", "*", "a{2,1}", r"\p{Nothing}", "((a{1000}){1000}){1000}"] {
            assert!(!said(text).contains('\n'), "{}", said(text));
        }
    }

    #[test]
    fn places_lie_apart_though_colours_stand_between() {
        let line = b"\x1b[31ma\x1b[0ma b\x1b[1ma";
        let places = pattern("a").places(line);
        assert_eq!(places, [5..6, 10..11, 17..18]);
        assert_eq!(pattern("aa b").places(line).first(), Some(&(5..13)));
        assert!(pattern("x*").places(line).is_empty());
    }

    proptest! {
        #[test]
        fn a_block_gives_what_each_of_its_lines_would_give(
            text in "[abA \u{e9}\n\r\0]{0,60}",
            place in 0usize..21,
            invert: bool,
        ) {
            let patterns = [
                "a", "b+", "^a", "a$", "^$", "", r"\s", r"\S+\s+\S", "[^a]", "(?s).", "(?s)a.*b", r"\Aa", r"a\z", r"\ba\b",
                r"\B", "a\nb", "a\n?b", "(?m)^b|a$", "(?-m)^a", r"(?R)a$", "(?-u)[^b]a",
            ];
            let grep = Grep { invert, ..grep(patterns[place]) };
            let ours = Pattern::new(&grep).expect("sound");
            let mut got = Vec::new();
            ours.lines(text.as_bytes(), |line| got.push(text[line].to_owned()));
            let lines = text.strip_suffix('\n').map_or(text.as_str(), |text| text).split('\n');
            let lines = lines.filter(|_| !text.is_empty());
            let wanted: Vec<String> = lines.filter(|line| ours.wants(line.as_bytes())).map(str::to_owned).collect();
            prop_assert_eq!(got, wanted, "{}", patterns[place]);
        }

        #[test]
        fn no_pattern_breaks_it(text in ".{0,40}", line in ".{0,40}") {
            if let Ok(pattern) = Pattern::new(&grep(&text)) {
                pattern.wants(line.as_bytes());
                let _ = pattern.places(line.as_bytes());
            }
        }
    }
}
