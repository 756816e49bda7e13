//! Windows of output: the lines around a place, of one stream or of both in the order of reading.
//!
//! What must stay true: a page costs what it shows, wherever it lies and however long the lines are; a line belongs to
//! the read of its first byte and is never glued to the other stream's; names and numbers of lines never shift; files
//! that grow meanwhile, are cut, or came without their indexes give pages all the same.

use super::error::{StoreError, failed};
use super::folder::Folder;
use super::index::{Records, part};
use super::lines::Counted;
use super::paging::{self, Direction, Paging, Views};
use super::places::Resolve;
use super::regular;
use super::search::{self, Asker};
use super::view::{View, read_full};
use crate::model::proto::{OutputAt, OutputLine, OutputPage, OutputQuery};
use crate::model::{Marks, Micros, SearchQuery, Searched, Stream, Wanted};
use std::fs::File;
use std::io;
use std::path::Path;

/// How far the streams had come at a wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// What had been read by then.
    pub marks: Marks,
    /// When the last of it was read; `None` when nothing was.
    pub last: Option<Micros>,
    /// When the next bytes were read; `None` when none were.
    pub next: Option<Micros>,
}

/// Reads a session's output, running or ended. Writes nothing, keeps no output in memory.
#[derive(Debug)]
pub struct OutputReader {
    folder: Folder,
    counted: [Counted; 2],
}

const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

/// The files as one page sees them.
struct Opened {
    logs: [Option<(File, u64)>; 2],
    records: Records,
    until: Option<Marks>,
}

impl OutputReader {
    /// For the session in this folder.
    pub fn open(folder: &Folder) -> Self {
        Self { folder: folder.clone(), counted: Default::default() }
    }

    /// The session's folder.
    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// How many bytes the logs have.
    pub fn lengths(&self) -> Result<Marks, StoreError> {
        let length = |stream| {
            let path = self.folder.output(stream);
            match path.metadata() {
                Ok(file) => Ok(if file.is_file() { file.len() } else { 0 }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
                Err(error) => Err(failed("read", &path)(error)),
            }
        };
        Ok(Marks { stdout: length(Stream::Stdout)?, stderr: length(Stream::Stderr)? })
    }

    /// How far the streams have come: what is in the logs, or known to be lost.
    pub fn reached(&self) -> Result<Marks, StoreError> {
        let Marks { stdout, stderr } = self.lengths()?;
        let Ok(index) = regular::open(&self.folder.output_index()) else { return Ok(Marks { stdout, stderr }) };
        let ends = Records::new(index, Marks::default).ends();
        Ok(Marks { stdout: stdout.max(ends.stdout), stderr: stderr.max(ends.stderr) })
    }

    /// What had been read at a wall time; `None` without an index, which alone tells of times.
    pub fn heard(&self, wall: Micros) -> Option<Heard> {
        let records = Records::new(regular::open(&self.folder.output_index()).ok()?, Marks::default);
        if !records.has_index() {
            return None;
        }
        let place = records.partition(|record| record.wall <= wall);
        let last = place.checked_sub(1).and_then(|last| records.get(last)).map(|last| last.wall);
        let next = records.get(place).map(|next| next.wall);
        Some(Heard { marks: records.starts(place), last: last.filter(|last| last.0 > 0), next })
    }

    /// Bytes of a log as they are, from this offset on; how many there were.
    pub fn read_at(&self, stream: Stream, offset: u64, bytes: &mut [u8]) -> Result<usize, StoreError> {
        let path = self.folder.output(stream);
        let log = regular::open(&path).map_err(failed("read", &path))?;
        Ok(read_full(&log, bytes, offset))
    }

    /// Counts the lines that no index tells of, so that all lines of later pages have their numbers. Reads the logs
    /// where they are not indexed: not for a thread that somebody waits for.
    pub fn count_lines(&self) -> Result<(), StoreError> {
        let opened = self.files(None)?;
        self.views(&opened).iter().flatten().for_each(View::count_all);
        Ok(())
    }

    /// The lines around a place. Fewer than asked for come when they are long; `at_start` and `at_end` say what is
    /// left. A command that was never sent and an item that was never begun have no lines.
    pub fn page(&self, query: &OutputQuery, resolve: &dyn Resolve) -> Result<OutputPage, StoreError> {
        self.page_for(&Asker::default(), query, resolve)
    }

    /// The same for somebody who asks again: with a pattern a page costs no more than a moment, and one that is `partial`
    /// gets further the next time.
    pub fn page_for(
        &self,
        asker: &Asker,
        query: &OutputQuery,
        resolve: &dyn Resolve,
    ) -> Result<OutputPage, StoreError> {
        let opened = self.files(resolve.until())?;
        let views = self.views(&opened);
        let Some(mut page) = Paging::new(&opened.records, &views, query, resolve) else {
            return Ok(OutputPage { lines: Vec::new(), at_start: true, at_end: true, partial: false });
        };
        if let Some(grep) = &query.filter.grep {
            return search::page(&page, query, asker, grep);
        }
        let (before, after) = query.most();
        let forward = page.take(after, Direction::Forward);
        let mut lines = page.take(before, Direction::Backward);
        lines.reverse();
        lines.extend(forward);
        Ok(OutputPage {
            lines,
            at_start: page.next(Direction::Backward).is_none(),
            at_end: page.next(Direction::Forward).is_none(),
            partial: false,
        })
    }

    /// Looks for the line that a query wants, which is one for a pattern, and counts the lines that match. What one
    /// answer costs is bounded; asked again it goes on. [`Wanted::Exception`](crate::model::Wanted) and the like are the
    /// state's to find, and nothing here.
    pub fn search(&self, asker: &Asker, query: &SearchQuery, resolve: &dyn Resolve) -> Result<Searched, StoreError> {
        let opened = self.files(resolve.until())?;
        let views = self.views(&opened);
        let page = Paging::new(&opened.records, &views, &query.lines(), resolve);
        match (page, &query.wanted) {
            (Some(page), Wanted::Match(grep)) => search::search(&page, query, asker, grep),
            _ => Ok(Searched { settled: true, complete: true, ..Searched::default() }),
        }
    }

    /// Where both streams stand at a place; `None`: there is no such place.
    pub fn marks(&self, at: OutputAt, resolve: &dyn Resolve) -> Result<Option<Marks>, StoreError> {
        let opened = self.files(resolve.until())?;
        Ok(paging::marks_at(&opened.records, &self.views(&opened), at, resolve))
    }

    /// How far every line is whole: up to the first, in the order of reading, whose newline has not come yet.
    pub fn whole_lines(&self) -> Result<Marks, StoreError> {
        let opened = self.files(None)?;
        let views = self.views(&opened);
        Ok(paging::whole_lines(&opened.records, &views))
    }

    /// Every line between two places, which may lie inside of lines, in the order of reading: the parts of the first and
    /// the last line that lie between them are given as lines, the last one as open if its end is not among
    /// them. The files are looked at as they are now.
    pub fn between<E: From<StoreError>>(
        &self,
        places: (Marks, Marks),
        stream: Option<Stream>,
        mut each: impl FnMut(OutputLine) -> Result<(), E>,
    ) -> Result<(), E> {
        let opened = self.files(None)?;
        let views = self.views(&opened);
        let mut lines = Paging::exactly(&opened.records, &views, stream, places);
        while let Some(line) = lines.take_one(Direction::Forward) {
            each(line)?;
        }
        Ok(())
    }

    /// The files as they are now; no longer than `until`.
    fn files(&self, until: Option<Marks>) -> Result<Opened, StoreError> {
        let path = self.folder.output_index();
        let logs = |stream| open_log(&self.folder.output(stream));
        let [out, err] = STREAMS.map(logs);
        let mut logs = [out?, err?];
        let mut lengths = || {
            for (log, stream) in logs.iter_mut().zip(STREAMS) {
                let Some((file, length)) = log else { continue };
                *length = file.metadata().map_or(0, |file| file.len());
                *length = until.map_or(*length, |until| part(until, stream).min(*length));
            }
            let [stdout, stderr] = [0, 1].map(|place: usize| logs[place].as_ref().map_or(0, |log| log.1));
            Marks { stdout, stderr }
        };
        let mut records = match regular::open(&path) {
            Ok(index) => Records::new(index, lengths),
            Err(_) => Records::none(lengths()),
        };
        if let Some(until) = until {
            records.cut(until);
        }
        Ok(Opened { logs, records, until })
    }

    fn views<'a>(&'a self, opened: &'a Opened) -> Views<'a> {
        [0, 1].map(|place: usize| {
            let stream = STREAMS[place];
            let (log, stored) = opened.logs[place].as_ref()?;
            let until = opened.until.map_or(u64::MAX, |until| part(until, stream));
            let index = (&*self.folder.line_index(stream), &self.counted[place]);
            Some(View::new(stream, (log, *stored), until, &opened.records, index))
        })
    }
}

/// The log, if it is there, with a length that is still to be asked for.
fn open_log(path: &Path) -> Result<Option<(File, u64)>, StoreError> {
    match regular::open(path) {
        Ok(file) => Ok(Some((file, 0))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}
