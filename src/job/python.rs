//! Just enough of Python's tokens to tell code from string literals and comments, in every version from 2.7 to 3.14.
//!
//! The versions disagree about f-strings: up to 3.11 one is a string that ends at its first matching quote; from 3.12 on
//! its replacement fields hold code with strings of their own. [`Readings`] keeps both answers, and something counts as
//! code only where both say so. What is wrong in doubt is then refused, never run.

use std::ops::Range;

/// Deeper f-strings are refused by Python too (its limit is 150 levels); the rest counts as string.
const DEPTH: usize = 150;

/// What is not code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string literal, prefix and quotes included; replacement fields of f-strings too.
    Text {
        /// Whether it is an f-string or a t-string.
        formatted: bool,
    },
    /// From `#` to the end of the line.
    Comment,
}

/// A stretch of source that is not code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) range: Range<usize>,
    pub(crate) kind: Kind,
}

/// A source as every Python reads it.
#[derive(Debug)]
pub(crate) struct Readings([Vec<Region>; 2]);

impl Readings {
    pub(crate) fn of(source: &str) -> Self {
        Self([regions(source, false), regions(source, true)])
    }

    /// What the byte at this offset belongs to, if it is not code for all of them.
    pub(crate) fn at(&self, offset: usize) -> Option<Kind> {
        self.0.iter().find_map(|regions| {
            let place = regions.partition_point(|region| region.range.end <= offset);
            regions.get(place).filter(|region| region.range.contains(&offset)).map(|region| region.kind)
        })
    }
}

/// Strings and comments, in order. With `fields`, f-strings as from Python 3.12 on.
pub(crate) fn regions(source: &str, fields: bool) -> Vec<Region> {
    let mut scanner = Scanner { bytes: source.as_bytes(), at: 0, fields };
    let mut regions = Vec::new();
    while let Some(byte) = scanner.peek(0) {
        let start = scanner.at;
        let kind = match byte {
            b'#' => {
                scanner.comment();
                Some(Kind::Comment)
            }
            _ => scanner.string(0).map(|formatted| Kind::Text { formatted }),
        };
        if let Some(kind) = kind {
            regions.push(Region { range: start..scanner.at, kind });
        }
    }
    regions
}

struct Scanner<'s> {
    bytes: &'s [u8],
    at: usize,
    fields: bool,
}

#[derive(Clone, Copy)]
struct Quote {
    byte: u8,
    triple: bool,
    formatted: bool,
    raw: bool,
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn comment(&mut self) {
        while !matches!(self.peek(0), None | Some(b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Passes over a string literal and says whether it is formatted; or over one word or byte that is none.
    fn string(&mut self, depth: usize) -> Option<bool> {
        let start = self.at;
        while self.peek(0).is_some_and(is_word) {
            self.at += 1;
        }
        let quote = self.peek(0).filter(|byte| matches!(byte, b'\'' | b'"'));
        let Some(byte) = quote else {
            // A word has ended before something that the caller wants to see; anything else is one byte.
            if self.at == start {
                self.at += 1;
            }
            return None;
        };
        let prefix = self.bytes[start..self.at].to_ascii_lowercase();
        let known = matches!(
            &prefix[..],
            b"r" | b"u" | b"b" | b"f" | b"t" | b"br" | b"rb" | b"ur" | b"fr" | b"rf" | b"tr" | b"rt"
        );
        if !prefix.is_empty() && !known {
            // A name right before a string, as in `print"x"`: the string begins at its quote.
            return None;
        }
        let formatted = known && prefix.iter().any(|letter| matches!(letter, b'f' | b't'));
        let triple = self.peek(1) == Some(byte) && self.peek(2) == Some(byte);
        self.at += if triple { 3 } else { 1 };
        self.body(Quote { byte, triple, formatted, raw: prefix.contains(&b'r') }, depth);
        Some(formatted)
    }

    /// The rest of a string, after its opening quote.
    fn body(&mut self, quote: Quote, depth: usize) {
        while let Some(byte) = self.peek(0) {
            if self.closes(quote) {
                self.at += if quote.triple { 3 } else { 1 };
                return;
            }
            match byte {
                b'\\' => self.escape(quote),
                b'\n' | b'\r' if !quote.triple => return,
                b'{' if quote.formatted && self.fields => {
                    if self.peek(1) == Some(b'{') {
                        self.at += 2;
                    } else {
                        self.at += 1;
                        self.field(quote, depth + 1);
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    fn closes(&self, quote: Quote) -> bool {
        let length = if quote.triple { 3 } else { 1 };
        (0..length).all(|ahead| self.peek(ahead) == Some(quote.byte))
    }

    fn escape(&mut self, quote: Quote) {
        let formatted = quote.formatted && self.fields;
        self.at += match (self.peek(1), self.peek(2)) {
            (Some(b'\r'), Some(b'\n')) => 3,
            // A brace after a backslash still opens a field, except for the one of \N{NAME}.
            (Some(b'{' | b'}'), _) if formatted => 1,
            (Some(b'N'), Some(b'{')) if formatted && !quote.raw => 3,
            _ => 2,
        };
        self.at = self.at.min(self.bytes.len());
    }

    /// A replacement field, after its `{`.
    fn field(&mut self, quote: Quote, depth: usize) {
        if depth > DEPTH {
            self.at = self.bytes.len();
            return;
        }
        let mut open = 0_usize;
        while let Some(byte) = self.peek(0) {
            match byte {
                b'#' => self.comment(),
                b'}' if open == 0 => {
                    self.at += 1;
                    return;
                }
                b':' if open == 0 => {
                    self.at += 1;
                    return self.format_spec(quote, depth);
                }
                b'(' | b'[' | b'{' => {
                    open += 1;
                    self.at += 1;
                }
                b')' | b']' | b'}' => {
                    open = open.saturating_sub(1);
                    self.at += 1;
                }
                _ => {
                    self.string(depth);
                }
            }
        }
    }

    /// What follows a field's `:`, up to its `}`, or to the end of a string that forgot it.
    fn format_spec(&mut self, quote: Quote, depth: usize) {
        while let Some(byte) = self.peek(0) {
            if self.closes(quote) || (!quote.triple && matches!(byte, b'\n' | b'\r')) {
                return;
            }
            match byte {
                b'}' => {
                    self.at += 1;
                    return;
                }
                b'{' => {
                    self.at += 1;
                    self.field(quote, depth + 1);
                }
                b'\\' => self.escape(quote),
                _ => self.at += 1,
            }
        }
    }
}

/// Whether a byte can be part of a name or a number.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn not_code(source: &str, fields: bool) -> Vec<&str> {
        regions(source, fields).into_iter().map(|region| &source[region.range]).collect()
    }

    #[test]
    fn strings_and_comments_are_found() {
        assert_eq!(not_code("a = 'b\\'c' # d 'e\nf", false), ["'b\\'c'", "# d 'e"]);
        assert_eq!(not_code("x = r'\\\\' + Rb\"\"\"a\"\nb\"\"\"+1", false), ["r'\\\\'", "Rb\"\"\"a\"\nb\"\"\""]);
        assert_eq!(not_code("x = rb'''a'\\'''b'''+c", false), ["rb'''a'\\'''b'''"]);
        assert_eq!(not_code("print'x';buf\"y\"", false), ["'x'", "\"y\""]);
        assert_eq!(not_code("x = '' + \"\"+''''''", false), ["''", "\"\"", "''''''"]);
        assert_eq!(not_code("x = 'open\ny = 1 # c\r z = 'a\\\r\nb'", false), ["'open", "# c", "'a\\\r\nb'"]);
        assert_eq!(not_code("é'x'", false), ["'x'"]);
    }

    #[test]
    fn nested_f_strings_are_read_both_ways() {
        let source = r#"a = f"{d["k"]} {x:>{w}}" + b"#;
        assert_eq!(not_code(source, true), [r#"f"{d["k"]} {x:>{w}}""#]);
        assert_eq!(not_code(source, false), [r#"f"{d[""#, r#""]} {x:>{w}}""#]);
        assert_eq!(not_code(r#"f"{{x["} + 'a'"#, true), [r#"f"{{x[""#, "'a'"]);
        assert_eq!(not_code("f'\\N{DIGIT ONE}' 'b'", true), ["f'\\N{DIGIT ONE}'", "'b'"]);
        assert_eq!(not_code("f'''{\n1 # '''\n}''' + 'b'", true), ["f'''{\n1 # '''\n}'''", "'b'"]);
        let readings = Readings::of(source);
        assert_eq!(readings.at(source.find('k').unwrap()), Some(Kind::Text { formatted: true }));
        assert_eq!(readings.at(source.len() - 1), None);
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let source = "f'{".repeat(200_000);
        assert_eq!(not_code(&source, true).len(), 1);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(source in r#"[fr'"{}#:\\\nNa\[\] é]{0,40}"#) {
            for fields in [false, true] {
                let regions = regions(&source, fields);
                prop_assert!(regions.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
                prop_assert!(regions.iter().all(|region| source.get(region.range.clone()).is_some()));
            }
        }
    }
}
