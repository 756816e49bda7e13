//! A document and the places in it: what makes every error of a job or recipe point at a line and a column.
//!
//! Values carry an [`At`], eight bytes that name where they came from: an offset in the file, or a flag of the command
//! line. Line and column are worked out only when there is something to say about them.

use std::fmt;

/// The most errors that are told of one document; the rest is counted.
const TOLD: usize = 100;
/// The longest quotation from a document in a message, in characters.
const QUOTED: usize = 80;

/// A place for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

/// One thing that is wrong with a job or a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobError {
    /// The file, or the flag (`--frames`).
    pub file: String,
    /// Where in it; none when it is about the whole.
    pub at: Option<Position>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.escape_debug();
        match self.at {
            Some(Position { line, column }) => write!(f, "{file}:{line}:{column}: {}", self.message),
            None => write!(f, "{file}: {}", self.message),
        }
    }
}

/// Everything that is wrong with a job or a recipe, in the order of the document; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobErrors {
    errors: Vec<JobError>,
    untold: usize,
}

impl JobErrors {
    /// A single error about a whole file or flag.
    pub fn whole(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self { errors: vec![JobError { file: file.into(), at: None, message: message.into() }], untold: 0 }
    }

    /// The errors; at most 100 are kept of one document.
    pub fn iter(&self) -> impl Iterator<Item = &JobError> {
        self.errors.iter()
    }
}

impl std::error::Error for JobErrors {}

impl fmt::Display for JobErrors {
    /// One error a line, `file:line:column: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.errors.iter().enumerate() {
            if place > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        if self.untold > 0 {
            write!(f, "\n… and {} more", self.untold)?;
        }
        Ok(())
    }
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct At {
    /// 0: the file; otherwise the flag of this number.
    origin: u32,
    /// Byte offset in the file.
    offset: u32,
}

impl At {
    /// A place in the file. Documents are far smaller than 4 GiB.
    pub(crate) fn byte(offset: usize) -> Self {
        Self { origin: 0, offset: u32::try_from(offset).unwrap_or(u32::MAX) }
    }

    /// The byte offset of a place in the file.
    pub(crate) fn offset(self) -> usize {
        self.offset as usize
    }
}

/// How strings are written in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Toml,
    Json,
}

/// A document, or a command line, that is being read.
#[derive(Debug)]
pub(crate) struct Source<'t> {
    file: String,
    text: &'t str,
    format: Format,
    /// Names of flags; an [`At`] of origin n means the n-th, from 1.
    flags: Vec<String>,
}

impl<'t> Source<'t> {
    /// A file's text.
    pub(crate) fn file(file: impl Into<String>, text: &'t str, format: Format) -> Self {
        Self { file: file.into(), text, format, flags: Vec::new() }
    }

    /// A command line without a file.
    pub(crate) fn flags_alone() -> Self {
        Self::file("command line", "", Format::Toml)
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// The file's text.
    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    /// A place for what a flag said.
    pub(crate) fn flag(&mut self, name: impl Into<String>) -> At {
        self.flags.push(name.into());
        At { origin: u32::try_from(self.flags.len()).unwrap_or(u32::MAX), offset: 0 }
    }

    /// What people call a place: `shots.toml:12`, or the flag.
    pub(crate) fn place(&self, at: At) -> String {
        let JobError { file, at, .. } = self.error(at, None, String::new());
        at.map_or_else(|| file.clone(), |at| format!("{file}:{}", at.line))
    }

    fn error(&self, at: At, within: Option<(&str, usize)>, message: String) -> JobError {
        if at.origin > 0 {
            let file = self.flags.get(at.origin as usize - 1).cloned().unwrap_or_default();
            return JobError { file, at: within.map(|(text, inner)| position(text, inner)), message };
        }
        if self.text.is_empty() {
            return JobError { file: self.file.clone(), at: None, message };
        }
        let start = (at.offset as usize).min(self.text.len());
        let offset =
            within.map_or(start, |(text, inner)| start + raw_offset(&self.text[start..], text, inner, self.format));
        JobError { file: self.file.clone(), at: Some(position(self.text, offset)), message }
    }
}

/// Where errors are gathered while a document is walked.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    errors: Vec<(At, usize, JobError)>,
    untold: usize,
    warnings: Vec<(At, JobError)>,
    unwarned: usize,
}

impl Sink {
    /// Something is wrong with the value at a place.
    pub(crate) fn add(&mut self, source: &Source<'_>, at: At, message: impl Into<String>) {
        self.push(at, 0, || source.error(at, None, message.into()));
    }

    /// Something is wrong inside of the string at a place: `inner` is a byte offset in its value.
    pub(crate) fn add_inside(
        &mut self,
        source: &Source<'_>,
        at: At,
        text: &str,
        inner: usize,
        message: impl Into<String>,
    ) {
        self.push(at, inner, || source.error(at, Some((text, inner)), message.into()));
    }

    /// Something about the value at a place is worth knowing, and keeps nothing from being run.
    pub(crate) fn warn(&mut self, source: &Source<'_>, at: At, message: impl Into<String>) {
        if self.warnings.len() < TOLD {
            self.warnings.push((at, source.error(at, None, message.into())));
        } else {
            self.unwarned += 1;
        }
    }

    /// What was worth knowing, in the order of the document.
    pub(crate) fn take_warnings(&mut self) -> Vec<String> {
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.sort_by_key(|(at, _)| *at);
        let mut told: Vec<String> = warnings.into_iter().map(|(_, warning)| warning.to_string()).collect();
        match std::mem::take(&mut self.unwarned) {
            0 => {}
            more => told.push(format!("… and {more} more warnings")),
        }
        told
    }

    /// Takes in what another document said.
    pub(crate) fn take_in(&mut self, at: At, errors: JobErrors) {
        self.untold += errors.untold;
        for (place, error) in errors.errors.into_iter().enumerate() {
            self.push(at, place, || error);
        }
    }

    /// Whether nothing is wrong so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// The value, if nothing was wrong.
    pub(crate) fn finish<T>(mut self, value: impl FnOnce() -> Option<T>) -> Result<T, JobErrors> {
        if self.errors.is_empty() {
            return value().ok_or_else(|| JobErrors::whole("job", "could not be made, and nothing said why"));
        }
        self.errors.sort_by_key(|(at, inner, _)| (*at, *inner));
        Err(JobErrors { errors: self.errors.into_iter().map(|(_, _, error)| error).collect(), untold: self.untold })
    }

    fn push(&mut self, at: At, inner: usize, error: impl FnOnce() -> JobError) {
        if self.errors.len() < TOLD {
            self.errors.push((at, inner, error()));
        } else {
            self.untold += 1;
        }
    }
}

/// A piece of a document as it may be shown: quoted, cut, without control characters.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Line and column of a byte offset.
fn position(text: &str, offset: usize) -> Position {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Position { line: number(before.matches('\n').count() + 1), column: number(before[start..].chars().count() + 1) }
}

/// How far into a string literal, as it is written, the byte `inner` of its value is.
fn raw_offset(raw: &str, value: &str, inner: usize, format: Format) -> usize {
    let multiline = format == Format::Toml && (raw.starts_with("\"\"\"") || raw.starts_with("'''"));
    let escapes = raw.starts_with('"');
    let mut at = if multiline { 3 } else { 1 };
    if multiline {
        at += ["\r\n", "\n"].iter().find(|end| raw[at..].starts_with(**end)).map_or(0, |end| end.len());
    }
    let mut value = value[..inner.min(value.len())].chars().peekable();
    while let (Some(wanted), Some(found)) = (value.peek().copied(), raw.get(at..).and_then(|rest| rest.chars().next()))
    {
        if escapes && found == '\\' {
            let rest = &raw[at + 1..];
            let kind = rest.chars().next().unwrap_or('\\');
            if kind.is_whitespace() {
                at += 1 + rest.len() - rest.trim_start().len();
                continue;
            }
            at += match kind {
                'u' if wanted > '\u{ffff}' => 12,
                'u' => 6,
                'U' => 10,
                'x' => 4,
                _ => 1 + kind.len_utf8(),
            };
            value.next();
        } else {
            at += found.len_utf8();
            // A newline may be written as two characters and be one in the value.
            if found == wanted {
                value.next();
            }
        }
    }
    at.min(raw.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn where_is(raw: &str, value: &str, needle: &str, format: Format) -> &'static str {
        let inner = value.find(needle).unwrap();
        let at = raw_offset(raw, value, inner, format);
        if raw[at..].starts_with(needle) { "found" } else { "missed" }
    }

    #[test]
    fn places_inside_of_strings_are_found_in_the_file() {
        let toml = Format::Toml;
        assert_eq!(where_is("\"a\\n\\u00e9\\\"{x}\"", "a\né\"{x}", "{x}", toml), "found");
        assert_eq!(where_is("\"\"\"\nfoo \\\n   bar {x}\"\"\"", "foo bar {x}", "{x}", toml), "found");
        assert_eq!(where_is("'''\r\nC:\\new\r\n{x}'''", "C:\\new\n{x}", "{x}", toml), "found");
        assert_eq!(where_is("\"\\ud83d\\ude00\\/{x}\"", "😀/{x}", "{x}", Format::Json), "found");
    }

    #[test]
    fn positions_count_characters() {
        assert_eq!(position("aé\nöx", "aé\nö".len()), Position { line: 2, column: 2 });
    }

    #[test]
    fn hostile_names_cannot_drive_a_terminal() {
        let error = JobErrors::whole("a\u{1b}[2Jb.toml", quoted("\u{1b}]0;x\u{7}"));
        assert!(!error.to_string().contains(['\u{1b}', '\u{7}']), "{error}");
    }
}
