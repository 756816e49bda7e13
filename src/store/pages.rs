//! Windows of output: the lines around a place, of one stream or of both in the order of reading.
//!
//! What must stay true: a page costs what it shows, wherever it lies and however long the lines are; a line belongs to
//! the read of its first byte and is never glued to the other stream's; names and numbers of lines never shift; files
//! that grow meanwhile, are cut, or came without their indexes give pages all the same.

use super::error::{StoreError, failed};
use super::folder::Folder;
use super::index::{Records, part};
use super::lines::Counted;
use super::safe;
use super::view::{View, read_full};
use crate::model::proto::{LineAnchor, OutputAt, OutputLine, OutputPage, OutputQuery, PAGE_LIMIT};
use crate::model::state::State;
use crate::model::{CommandId, CommandState, ItemIndex, Marks, Micros, Stream};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fs::File;
use std::io;
use std::path::Path;

/// Bytes of a line that are made into text.
pub const TEXT_LIMIT: u64 = 8 << 10;
/// Bytes of a line that are given raw.
pub const RAW_LIMIT: u64 = 256 << 10;
/// Bytes of text in one page, for each direction: with all escapes of JSON it stays far below a frame's limit.
const PAGE_BYTES: usize = 2 << 20;

/// Where a command's output lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Where it begins.
    pub from: Marks,
    /// Where it ends; `None` while the command runs.
    pub to: Option<Marks>,
}

/// What pages need to know of the session's state. A page never asks for anything but what its query names, so
/// [`Places`] can be made where the state is, and the page where the files are.
pub trait Resolve {
    /// A command's slice; `None` for one that was never sent.
    fn slice(&self, command: CommandId) -> Option<Slice>;
    /// The first command of an item's last attempt.
    fn first_command(&self, item: ItemIndex) -> Option<CommandId>;
    /// Where the streams are to end, when it is an earlier time that is looked at: no byte after it is shown.
    fn until(&self) -> Option<Marks> {
        None
    }
}

impl Resolve for State {
    fn slice(&self, command: CommandId) -> Option<Slice> {
        let row = self.command(command)?;
        match row.state {
            CommandState::Queued | CommandState::Skipped => None,
            CommandState::Sent | CommandState::Started => Some(Slice { from: row.from, to: None }),
            CommandState::Finished | CommandState::Raised | CommandState::Lost => {
                Some(Slice { from: row.from, to: Some(row.to) })
            }
        }
    }

    fn first_command(&self, item: ItemIndex) -> Option<CommandId> {
        self.item(item)?.first_command
    }
}

/// The answers to all that one query asks of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Places {
    commands: [Option<(CommandId, Slice)>; 2],
    item: Option<(ItemIndex, CommandId)>,
    until: Option<Marks>,
}

impl Places {
    /// Looks them up.
    pub fn of(state: &impl Resolve, query: &OutputQuery) -> Self {
        let item = match query.at {
            OutputAt::Item(item) => state.first_command(item).map(|command| (item, command)),
            _ => None,
        };
        let at = match query.at {
            OutputAt::Command(command) => Some(command),
            _ => item.map(|(_, command)| command),
        };
        let slice = |command: CommandId| state.slice(command).map(|slice| (command, slice));
        Self { commands: [query.command.and_then(slice), at.and_then(slice)], item, until: state.until() }
    }
}

impl Places {
    /// The same, for the output as it was when the streams had come this far.
    #[must_use]
    pub fn upto(self, until: Option<Marks>) -> Self {
        Self { until, ..self }
    }
}

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

impl Resolve for Places {
    fn slice(&self, command: CommandId) -> Option<Slice> {
        self.commands.iter().flatten().find(|(id, _)| *id == command).map(|(_, slice)| *slice)
    }

    fn first_command(&self, item: ItemIndex) -> Option<CommandId> {
        self.item.filter(|(known, _)| *known == item).map(|(_, command)| command)
    }

    fn until(&self) -> Option<Marks> {
        self.until
    }
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
                Ok(file) => Ok(file.len()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
                Err(error) => Err(failed("read", &path)(error)),
            }
        };
        Ok(Marks { stdout: length(Stream::Stdout)?, stderr: length(Stream::Stderr)? })
    }

    /// How far the streams have come: what is in the logs, or known to be lost.
    pub fn reached(&self) -> Result<Marks, StoreError> {
        let Marks { stdout, stderr } = self.lengths()?;
        let Ok(index) = File::open(self.folder.output_index()) else { return Ok(Marks { stdout, stderr }) };
        let ends = Records::new(index, Marks::default).ends();
        Ok(Marks { stdout: stdout.max(ends.stdout), stderr: stderr.max(ends.stderr) })
    }

    /// What had been read at a wall time; `None` without an index, which alone tells of times.
    pub fn heard(&self, wall: Micros) -> Option<Heard> {
        let records = Records::new(File::open(self.folder.output_index()).ok()?, Marks::default);
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
        let log = File::open(&path).map_err(failed("read", &path))?;
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
        let opened = self.files(resolve.until())?;
        let Some(mut page) = Paging::new(&opened.records, self.views(&opened), query, resolve) else {
            return Ok(OutputPage { lines: Vec::new(), at_start: true, at_end: true, partial: false });
        };
        let after = query.after.min(PAGE_LIMIT);
        let forward = page.take(after, Direction::Forward);
        let mut lines = page.take(query.before.min(PAGE_LIMIT - after), Direction::Backward);
        lines.reverse();
        lines.extend(forward);
        Ok(OutputPage {
            lines,
            at_start: page.next(Direction::Backward).is_none(),
            at_end: page.next(Direction::Forward).is_none(),
            partial: false,
        })
    }

    /// Every line between two places, which may lie inside of lines, in the order of reading: the parts of the first and
    /// the last line that lie between them are given as lines. The files are looked at as they are now.
    pub fn between<E: From<StoreError>>(
        &self,
        (from, to): (Marks, Marks),
        stream: Option<Stream>,
        mut each: impl FnMut(OutputLine) -> Result<(), E>,
    ) -> Result<(), E> {
        let opened = self.files(None)?;
        let wanted = |view: &View| stream.is_none_or(|stream| stream == view.stream);
        let views = self.views(&opened).into_iter().flatten().filter(wanted);
        let sides = views.map(|view| Side::exactly(view, from, to)).collect();
        let mut lines = Paging { records: &opened.records, sides, raw: false };
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
        let mut records = match File::open(path) {
            Ok(index) => Records::new(index, lengths),
            Err(_) => Records::none(lengths()),
        };
        if let Some(until) = until {
            records.cut(until);
        }
        Ok(Opened { logs, records })
    }

    fn views<'a>(&'a self, opened: &'a Opened) -> [Option<View<'a>>; 2] {
        [0, 1].map(|place: usize| {
            let (log, length) = opened.logs[place].as_ref()?;
            let index = self.folder.line_index(STREAMS[place]);
            Some(View::new(STREAMS[place], (log, *length), &opened.records, &index, &self.counted[place]))
        })
    }
}

/// The log, if it is there, with a length that is still to be asked for.
fn open_log(path: &Path) -> Result<Option<(File, u64)>, StoreError> {
    match File::open(path) {
        Ok(file) => Ok(Some((file, 0))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

/// One stream's part of a page.
struct Side<'a> {
    view: View<'a>,
    /// Lines begin at or after `low` and before `high`.
    low: u64,
    high: u64,
    /// Where lines are cut off.
    end: u64,
    /// Where the next line forwards begins, and where the next one backwards ends.
    forward: Cursor,
    backward: Cursor,
    /// The record that was found last: the next one is near.
    near: u64,
}

#[derive(Debug, Clone, Copy)]
struct Cursor {
    at: u64,
    /// Newlines before it.
    newlines: Option<u64>,
    next: Next,
}

/// What is known of the next line.
#[derive(Debug, Clone, Copy)]
enum Next {
    NotLookedFor,
    None,
    Line {
        /// The place of the record of its first byte.
        record: u64,
        start: u64,
    },
}

/// A page being made.
struct Paging<'a> {
    records: &'a Records,
    sides: Vec<Side<'a>>,
    raw: bool,
}

impl<'a> Paging<'a> {
    /// `None`: there can be no lines.
    fn new(
        records: &'a Records,
        views: [Option<View<'a>>; 2],
        query: &OutputQuery,
        resolve: &dyn Resolve,
    ) -> Option<Self> {
        let slice = match query.command {
            Some(command) => Some(resolve.slice(command)?),
            None => None,
        };
        let place = |command| resolve.slice(command).map(|slice| slice.from);
        let marks = match query.at {
            OutputAt::Start => Marks::default(),
            OutputAt::End => Marks { stdout: u64::MAX, stderr: u64::MAX },
            OutputAt::Line(anchor) => beside(records, &views, anchor),
            OutputAt::Item(item) => place(resolve.first_command(item)?)?,
            OutputAt::Command(command) => place(command)?,
            OutputAt::Time(wall) => records.starts(records.partition(|record| record.wall < wall)),
        };
        let wanted = |view: &View| query.stream.is_none_or(|stream| stream == view.stream);
        let sides = views.into_iter().flatten().filter(wanted).map(|view| Side::new(view, slice, marks)).collect();
        Some(Self { records, sides, raw: query.raw })
    }

    /// The side whose line comes next.
    fn next(&mut self, direction: Direction) -> Option<usize> {
        let records = self.records;
        let next =
            self.sides.iter_mut().enumerate().filter_map(|(place, side)| Some((side.next(direction, records)?, place)));
        let nearest = match direction {
            Direction::Forward => next.min(),
            Direction::Backward => next.max(),
        };
        nearest.map(|(_, place)| place)
    }

    fn take_one(&mut self, direction: Direction) -> Option<OutputLine> {
        let place = self.next(direction)?;
        self.sides[place].take(direction, self.records, self.raw)
    }

    /// Lines, nearest first.
    fn take(&mut self, most: u32, direction: Direction) -> Vec<OutputLine> {
        let mut lines = Vec::new();
        let mut bytes = 0;
        while lines.len() < most as usize && bytes < PAGE_BYTES {
            let Some(line) = self.take_one(direction) else { break };
            bytes += line.text.len() + line.raw.as_ref().map_or(0, String::len);
            lines.push(line);
        }
        lines
    }
}

/// Where both streams stand at a line: it, and what was read of the other stream before it.
fn beside(records: &Records, views: &[Option<View>; 2], anchor: LineAnchor) -> Marks {
    let view = views.iter().flatten().find(|view| view.stream == anchor.stream);
    let start = match view {
        Some(view) if anchor.offset < view.length => view.start_of(anchor.offset),
        _ => return Marks { stdout: u64::MAX, stderr: u64::MAX },
    };
    let mut marks = records.starts(records.find(anchor.stream, start, 0));
    *super::index::part_mut(&mut marks, anchor.stream) = start;
    marks
}

impl<'a> Side<'a> {
    fn new(view: View<'a>, slice: Option<Slice>, marks: Marks) -> Self {
        let bound = |marks: Marks| part(marks, view.stream).min(view.length);
        let low = slice.map_or(0, |slice| bound(slice.from));
        let high = slice.and_then(|slice| slice.to).map_or(view.length, bound).max(low);
        let at = view.first_from(part(marks, view.stream).clamp(low, high));
        Self::at(view, at, (low, high, u64::MAX))
    }

    /// From one byte to another, wherever in a line they are.
    fn exactly(view: View<'a>, from: Marks, to: Marks) -> Self {
        let high = part(to, view.stream).min(view.length);
        let low = part(from, view.stream).min(high);
        Self::at(view, low, (low, high, high))
    }

    fn at(view: View<'a>, at: u64, (low, high, end): (u64, u64, u64)) -> Self {
        let cursor = Cursor { at, newlines: view.newlines_before(at), next: Next::NotLookedFor };
        Self { view, low, high, end, forward: cursor, backward: cursor, near: 0 }
    }

    fn next(&mut self, direction: Direction, records: &Records) -> Option<(u64, u64)> {
        let cursor = if direction == Direction::Forward { self.forward } else { self.backward };
        match cursor.next {
            Next::Line { record, start } => return Some((record, start)),
            Next::None => return None,
            Next::NotLookedFor => {}
        }
        let start = match direction {
            Direction::Forward => Some(cursor.at).filter(|start| *start < self.high),
            Direction::Backward if cursor.at <= self.low => None,
            Direction::Backward => Some(self.view.start_of(cursor.at - 1)).filter(|start| *start >= self.low),
        };
        let next = start.map(|start| (records.find(self.view.stream, start, self.near), start));
        self.near = next.map_or(self.near, |(place, _)| place);
        self.cursor(direction).next = next.map_or(Next::None, |(record, start)| Next::Line { record, start });
        next
    }

    fn cursor(&mut self, direction: Direction) -> &mut Cursor {
        match direction {
            Direction::Forward => &mut self.forward,
            Direction::Backward => &mut self.backward,
        }
    }

    fn take(&mut self, direction: Direction, records: &Records, raw: bool) -> Option<OutputLine> {
        let (record, start) = self.next(direction, records)?;
        let end = match direction {
            Direction::Forward => self.view.end_of(start).min(self.end),
            Direction::Backward => self.backward.at,
        };
        let lost = self.view.lost_at(start).is_some();
        let closed = !lost && self.view.ends_line(end);
        let before = match direction {
            Direction::Forward => {
                let before = self.forward.newlines;
                self.forward = Cursor {
                    at: end,
                    newlines: before.map(|lines| lines + u64::from(closed)),
                    next: Next::NotLookedFor,
                };
                before
            }
            Direction::Backward => {
                let before = self.backward.newlines.map(|lines| lines.saturating_sub(u64::from(closed)));
                self.backward = Cursor { at: start, newlines: before, next: Next::NotLookedFor };
                before
            }
        };
        let read = records.get(record);
        let mut line = OutputLine {
            anchor: LineAnchor { stream: self.view.stream, offset: start },
            number: before.filter(|_| !lost).map(|lines| lines + 1),
            wall: read.map_or(Micros(0), |read| read.wall),
            command: read.and_then(|read| read.command),
            text: String::new(),
            raw: None,
            length: end - start,
            cut: lost,
            open: !closed && !lost && end == self.view.length,
            context: false,
            gap: false,
        };
        match (lost, raw) {
            (true, true) => line.raw = Some(String::new()),
            (true, false) => line.text = format!("⟨{} bytes were lost here⟩", line.length),
            (false, true) => {
                line.raw = Some(BASE64_STANDARD.encode(self.view.read(start, line.length.min(RAW_LIMIT))));
                line.cut = line.length > RAW_LIMIT;
            }
            (false, false) => self.fill_text(&mut line, closed),
        }
        Some(line)
    }

    fn fill_text(&self, line: &mut OutputLine, closed: bool) {
        let (start, content) = (line.anchor.offset, line.length - u64::from(closed));
        let head = self.view.read(start, content.min(TEXT_LIMIT));
        if content <= TEXT_LIMIT {
            line.text = safe::make_safe(&head);
            return;
        }
        line.cut = true;
        // A progress bar grows for hours at the end of one line; what it says now is there.
        let tail = self.view.read(start + content - TEXT_LIMIT, TEXT_LIMIT);
        let overwritten = safe::last_overwrite(&tail).1;
        line.text = safe::make_safe(if overwritten { &tail } else { safe::without_cut_character(&head) });
    }
}
