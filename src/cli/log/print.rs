//! Printing lines of output, page by page.

use super::super::exit::Failure;
use super::super::follow::Changes;
use super::super::out::Out;
use crate::model::Marks;
use crate::model::proto::{OutputAt, OutputLine, OutputPage, OutputQuery, PAGE_LIMIT};
use crate::store::{Asker, Folder, OutputReader, Places, Slice, recover};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes of a log that are copied at once.
const BLOCK: usize = 64 << 10;

/// Prints a session's output.
pub(super) struct Printer {
    folder: Folder,
    output: OutputReader,
    /// What pages are remembered by, so that a log that grows is not looked through again and again.
    asker: Asker,
    /// Which lines; where it begins is where they begin.
    query: OutputQuery,
    raw: bool,
    out: Out,
    /// The last line that was passed.
    last: Option<OutputLine>,
    printed: bool,
    matched: bool,
}

impl Printer {
    pub(super) fn new(folder: Folder, output: OutputReader, query: OutputQuery, raw: bool) -> Self {
        let out = Out::stdout();
        let asker = Asker::default();
        Self { folder, output, asker, query, raw, out, last: None, printed: false, matched: false }
    }

    /// Whether a line was printed that is not there because of another one.
    pub(super) fn has_matched(&self) -> bool {
        self.matched
    }

    /// Writes what is left.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    /// Prints what lies in these slices, to the byte.
    pub(super) fn slices(&mut self, slices: Vec<Slice>) -> Result<(), Failure> {
        let (reader, stream) = (OutputReader::open(&self.folder), self.query.stream);
        for Slice { from, to } in slices {
            let to = to.unwrap_or(Marks { stdout: u64::MAX, stderr: u64::MAX });
            reader.between((from, to), stream, |line| self.line(&line))?;
        }
        Ok(())
    }

    /// Begins with the last so many lines.
    pub(super) fn last(&mut self, lines: u64) -> Result<(), Failure> {
        let places = self.places(None)?;
        let (mut at, mut left) = (OutputAt::End, lines.max(1));
        while left > 0 {
            let most = u32::try_from(left).unwrap_or(PAGE_LIMIT).min(PAGE_LIMIT);
            let page = self.page(at, (most, 0), &places)?;
            left -= (page.lines.len() as u64).min(left);
            let over = page.at_start || (page.lines.is_empty() && !page.partial);
            if let Some(first) = page.lines.into_iter().next() {
                at = OutputAt::Line(first.anchor);
                self.last = Some(first).filter(|_| lines == 0);
            }
            if over {
                break;
            }
        }
        if let OutputAt::Line(_) = at {
            self.query.at = at;
        }
        Ok(())
    }

    /// Prints all that there is.
    pub(super) fn rest(&mut self) -> Result<(), Failure> {
        let places = self.places(None)?;
        self.print(&places)
    }

    /// Prints what there is and what comes, to the session's end.
    pub(super) fn follow(&mut self) -> Result<(), Failure> {
        // Watched first, so that nothing can change unseen.
        let changes = Changes::of(self.folder.path())?;
        loop {
            let running = self.folder.is_running();
            // A line without an end is printed only when there will be none.
            let until = if running { Some(self.output.whole_lines()?) } else { None };
            let places = self.places(until)?;
            self.print(&places)?;
            self.out.flush()?;
            if !running {
                return Ok(());
            }
            // Of a pipe whose reader has gone this tells at once, however quiet the session is.
            let stdout = io::stdout();
            changes.wait(stdout.as_fd(), PollFlags::empty(), None)?;
            if is_closed(stdout.as_fd())? {
                return Ok(());
            }
        }
    }

    /// What the state has to say about the query, as of now.
    fn places(&self, until: Option<Marks>) -> Result<Places, Failure> {
        let places = if self.query.filter.item.is_some() || self.query.command.is_some() {
            Places::of(&recover(&self.folder)?.state, &self.query)
        } else {
            Places::default()
        };
        Ok(places.upto(until))
    }

    fn page(&self, at: OutputAt, (before, after): (u32, u32), places: &Places) -> Result<OutputPage, Failure> {
        let query = OutputQuery { at, before, after, ..self.query.clone() };
        Ok(self.output.page_for(&self.asker, &query, places)?)
    }

    /// Prints what comes after the last line, to the end as it is now.
    fn print(&mut self, places: &Places) -> Result<(), Failure> {
        loop {
            let known = self.last.as_ref().map(|last| last.anchor);
            let page = self.page(known.map_or(self.query.at, OutputAt::Line), (0, PAGE_LIMIT), places)?;
            let mut more = page.partial;
            for line in page.lines.into_iter().filter(|line| Some(line.anchor) != known) {
                if line.gap && self.query.filter.context > 0 && self.printed {
                    self.out.line("--")?;
                }
                self.line(&line)?;
                self.matched |= !line.context;
                self.last = Some(line);
                (self.printed, more) = (true, true);
            }
            if page.at_end || !more {
                return Ok(());
            }
        }
    }

    fn line(&mut self, line: &OutputLine) -> Result<(), Failure> {
        if self.raw {
            return self.bytes(line);
        }
        self.safe_line(line).map_err(Failure::from)
    }

    fn bytes(&mut self, line: &OutputLine) -> Result<(), Failure> {
        // What was lost is a hole, which reads as zeros that the child never wrote.
        if line.lost {
            return Ok(());
        }
        let (mut at, end) = (line.anchor.offset, line.anchor.offset + line.length);
        let mut block = vec![0; usize::try_from(line.length).unwrap_or(BLOCK).min(BLOCK)];
        while at < end {
            let most = usize::try_from(end - at).map_or(block.len(), |left| left.min(block.len()));
            let read = self.output.read_at(line.anchor.stream, at, &mut block[..most])?;
            if read == 0 {
                break;
            }
            self.out.raw(&block[..read])?;
            at += read as u64;
        }
        Ok(())
    }

    fn safe_line(&mut self, line: &OutputLine) -> io::Result<()> {
        if line.cut {
            let more = format!("{} … ({} bytes; --raw has them all)", line.text, line.length);
            return self.out.childs_line(more.as_bytes());
        }
        self.out.childs_line(line.text.as_bytes())
    }
}

fn is_closed(output: BorrowedFd<'_>) -> io::Result<bool> {
    let mut files = [PollFd::new(output, PollFlags::empty())];
    poll(&mut files, PollTimeout::ZERO).map_err(io::Error::from)?;
    Ok(files[0].revents().is_some_and(|happened| happened.intersects(PollFlags::POLLERR | PollFlags::POLLHUP)))
}
