//! Taking lines out of the window, into the clipboard or a file: page by page, one question at a time, so that it costs
//! one page of memory (or the clipboard's limit) however long the output is.

use super::selection::Mark;
use crate::model::proto::{LineAnchor, OutputAt, OutputLine, OutputPage, OutputQuery, PAGE_LIMIT};
use crate::model::{Filter, Marks, Stream};
use crate::tui::ansi;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Bytes that are gathered for a clipboard.
const CLIPBOARD: usize = 8 << 20;

/// Which lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Extent {
    /// From one to another.
    Lines(Mark, Mark),
    /// All there were when the streams had come this far.
    All(Marks),
}

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tui) enum Target {
    /// The clipboard; what was gathered so far.
    Clipboard(String),
    /// A file, as it is called in messages.
    File {
        /// Its path, for messages.
        path: String,
        /// Whether bytes are written as the child wrote them; else plain text.
        raw: bool,
    },
}

/// What is to be done with a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tui) enum Step {
    /// Ask on.
    Ask,
    /// Write this, and ask on when it is written.
    Write(Vec<u8>),
    /// All is gathered: put this into the clipboard, and say whether it had to be cut.
    Copy(String, bool),
    /// All is written.
    Done,
}

/// Lines on their way.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Transfer {
    extent: Extent,
    target: Target,
    query: OutputQuery,
    /// The last line that was taken.
    last: Option<LineAnchor>,
    complete: bool,
    /// Lines taken.
    pub(in crate::tui) lines: u64,
    /// Bytes taken.
    pub(in crate::tui) bytes: u64,
    /// Lines that were longer than a page has them.
    pub(in crate::tui) cut: u64,
    /// Bytes between them that the session has lost.
    pub(in crate::tui) lost: u64,
}

impl Transfer {
    /// Nothing is taken yet.
    pub(in crate::tui) fn new(extent: Extent, target: Target, stream: Option<Stream>, filter: Filter) -> Self {
        let at = match extent {
            Extent::Lines(from, _) => OutputAt::Line(from.anchor),
            Extent::All(_) => OutputAt::Start,
        };
        let raw = matches!(target, Target::File { raw: true, .. });
        let query = OutputQuery { stream, at, before: 0, after: PAGE_LIMIT, command: None, filter, raw };
        Self { extent, target, query, last: None, complete: false, lines: 0, bytes: 0, cut: 0, lost: 0 }
    }

    /// The page to ask for.
    pub(in crate::tui) fn query(&self) -> &OutputQuery {
        &self.query
    }

    /// Where to.
    pub(in crate::tui) fn target(&self) -> &Target {
        &self.target
    }

    /// The file's whole path is known.
    pub(in crate::tui) fn call(&mut self, name: String) {
        if let Target::File { path, .. } = &mut self.target {
            *path = name;
        }
    }

    /// After what was written: whether there is more to ask for.
    pub(in crate::tui) fn written(&self) -> Step {
        if self.complete { Step::Done } else { Step::Ask }
    }

    /// Takes the lines of the page that was asked for.
    pub(in crate::tui) fn take(&mut self, page: &OutputPage) -> Step {
        let known = self.last.and_then(|last| page.lines.iter().position(|line| line.anchor == last));
        let mut bytes = Vec::new();
        let mut past = 0;
        let new = &page.lines[known.map_or(0, |place| place + 1)..];
        for line in new {
            if self.is_past(line) {
                past += 1;
                continue;
            }
            self.take_line(line, &mut bytes);
            self.complete = matches!(self.extent, Extent::Lines(_, last) if last.anchor == line.anchor);
            if self.complete {
                break;
            }
        }
        // With a filter, and no more lines so far, the same question goes on.
        let ended = page.at_end || (new.is_empty() && !page.partial) || (past > 0 && past == new.len());
        self.complete |= ended;
        if let Some(last) = new.last() {
            self.last = Some(last.anchor);
            self.query.at = OutputAt::Line(last.anchor);
        }
        self.step(bytes)
    }

    /// A line that came after what was wanted, of its stream: there is none of it behind that line.
    fn is_past(&self, line: &OutputLine) -> bool {
        match self.extent {
            Extent::Lines(_, last) => {
                line.anchor.stream == last.anchor.stream && line.anchor.offset > last.anchor.offset
            }
            Extent::All(marks) => {
                let end = match line.anchor.stream {
                    Stream::Stdout => marks.stdout,
                    Stream::Stderr => marks.stderr,
                };
                line.anchor.offset >= end
            }
        }
    }

    fn take_line(&mut self, line: &OutputLine, bytes: &mut Vec<u8>) {
        let before = bytes.len();
        if let Some(raw) = &line.raw {
            // Bytes that are no base64 are not the session's; an empty line says more than none.
            bytes.extend(BASE64_STANDARD.decode(raw).unwrap_or_default());
        } else {
            bytes.extend(ansi::plain(&line.text).bytes());
            bytes.push(b'\n');
        }
        if line.lost {
            self.lost += line.length;
        } else {
            self.lines += 1;
        }
        self.cut += u64::from(line.cut);
        self.bytes += (bytes.len() - before) as u64;
    }

    fn step(&mut self, bytes: Vec<u8>) -> Step {
        match &mut self.target {
            Target::File { .. } if bytes.is_empty() => self.written(),
            Target::File { .. } => Step::Write(bytes),
            Target::Clipboard(text) => {
                text.push_str(&String::from_utf8_lossy(&bytes));
                let cut = text.len() > CLIPBOARD;
                if !(cut || self.complete) {
                    return Step::Ask;
                }
                text.truncate(text.floor_char_boundary(CLIPBOARD));
                Step::Copy(std::mem::take(text), cut)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Micros;

    #[test]
    fn what_was_lost_is_no_line_and_is_told_of() {
        let line = |offset, raw: &str, lost| OutputLine {
            anchor: LineAnchor { stream: Stream::Stdout, offset },
            number: None,
            wall: Micros(0),
            command: None,
            text: String::new(),
            raw: Some(BASE64_STANDARD.encode(raw)),
            length: 5,
            cut: false,
            lost,
            open: false,
            context: false,
            gap: false,
        };
        let lines = vec![line(0, "kept\n", false), line(5, "", true), line(10, "more\n", false)];
        let page = OutputPage { lines, at_start: true, at_end: true, partial: false };
        let target = Target::File { path: "out".into(), raw: true };
        let all = Extent::All(Marks { stdout: 15, stderr: 0 });
        let mut transfer = Transfer::new(all, target, None, Filter::default());
        assert_eq!(transfer.take(&page), Step::Write(b"kept\nmore\n".to_vec()));
        assert_eq!((transfer.lines, transfer.bytes, transfer.cut, transfer.lost), (2, 10, 0, 5));
        assert_eq!(transfer.written(), Step::Done);
    }
}
