//! A walk over lines of output from a place, forwards and backwards, in the order of reading.

use super::index::{Records, part, part_mut};
use super::places::Resolve;
use super::safe;
use super::scope::Scope;
use super::view::View;
use crate::model::proto::{LineAnchor, OutputAt, OutputLine, OutputQuery};
use crate::model::{Marks, Micros, Stream};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::ops::Range;
use std::rc::Rc;

/// Bytes of a line that are made into text.
const TEXT_LIMIT: u64 = 8 << 10;
/// Bytes of a line that are given raw.
const RAW_LIMIT: u64 = 256 << 10;
/// Bytes of text in one page, for each direction: with all escapes of JSON it stays far below a frame's limit.
pub(super) const PAGE_BYTES: usize = 2 << 20;

/// Both streams' logs, those that are there.
pub(super) type Views<'a> = [Option<View<'a>>; 2];

/// Which way a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Backward,
}

impl Direction {
    /// The other one.
    pub(super) fn back(self) -> Self {
        match self {
            Self::Forward => Self::Backward,
            Self::Backward => Self::Forward,
        }
    }

    /// Whether the first of two places comes before the second in a walk this way.
    pub(super) fn passes<T: Ord>(self, one: &T, other: &T) -> bool {
        match self {
            Self::Forward => one < other,
            Self::Backward => one > other,
        }
    }
}

/// A line's place in the order of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The place of the record of its first byte.
    pub(super) record: u64,
    /// Where it begins in its stream.
    pub(super) start: u64,
    /// The place of its stream's side.
    pub(super) side: usize,
}

/// One stream's part of a walk.
#[derive(Debug, Clone)]
pub(super) struct Side<'a> {
    pub(super) view: &'a View<'a>,
    /// Where lines begin.
    pub(super) scope: Rc<Scope>,
    /// Where lines are cut off.
    end: u64,
    /// Where the next line forwards begins, and where the next one backwards ends, if those are wanted.
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

impl Cursor {
    fn new(view: &View, at: u64) -> Self {
        Self { at, newlines: view.newlines_before(at), next: Next::NotLookedFor }
    }
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

/// A line that was passed.
#[derive(Debug, Clone, Copy)]
struct Passed {
    record: u64,
    start: u64,
    end: u64,
    /// Newlines before it.
    newlines: Option<u64>,
    closed: bool,
    lost: bool,
}

/// A walk.
#[derive(Debug, Clone)]
pub(super) struct Paging<'a> {
    pub(super) records: &'a Records,
    pub(super) sides: Vec<Side<'a>>,
    /// Where it began.
    pub(super) from: Marks,
    raw: bool,
}

impl<'a> Paging<'a> {
    /// From the query's place, among the lines that it wants but for its pattern; `None`: there can be no lines.
    pub(super) fn new(
        records: &'a Records,
        views: &'a Views<'a>,
        query: &OutputQuery,
        resolve: &dyn Resolve,
    ) -> Option<Self> {
        let marks = marks_at(records, views, query.at, resolve)?;
        let command = match query.command {
            Some(command) => Some(vec![resolve.slice(command)?]),
            None => None,
        };
        let item = query.filter.item.map(|item| resolve.item_slices(item));
        let since = query.filter.since.map_or_else(Marks::default, |since| marks_since(records, since));
        let side = |view: &'a View<'a>| {
            let mut scope = Scope::of(Some(part(since, view.stream)..view.length));
            for slices in command.iter().chain(&item) {
                let bounds = |slice: &super::Slice| {
                    part(slice.from, view.stream)..slice.to.map_or(u64::MAX, |to| part(to, view.stream))
                };
                scope = scope.and(&Scope::of(slices.iter().map(bounds)));
            }
            Side::new(view, scope, u64::MAX, view.first_from(part(marks, view.stream)))
        };
        let wanted = |view: &&View| query.stream.is_none_or(|stream| stream == view.stream);
        let sides = views.iter().flatten().filter(wanted).map(side).collect();
        Some(Self { records, sides, from: marks, raw: query.raw })
    }

    /// From one byte to another, wherever in a line they are.
    pub(super) fn exactly(
        records: &'a Records,
        views: &'a Views<'a>,
        stream: Option<Stream>,
        (from, to): (Marks, Marks),
    ) -> Self {
        let wanted = |view: &&View| stream.is_none_or(|stream| stream == view.stream);
        let side = |view: &'a View<'a>| {
            let high = part(to, view.stream).min(view.length);
            let low = part(from, view.stream).min(high);
            Side::new(view, Scope::of(Some(low..high)), high, low)
        };
        Self { records, sides: views.iter().flatten().filter(wanted).map(side).collect(), from, raw: false }
    }

    /// Goes on from another place.
    pub(super) fn seek(&mut self, marks: Marks) {
        self.from = marks;
        for side in &mut self.sides {
            side.seek(side.view.first_from(part(marks, side.view.stream)));
        }
    }

    /// Where both streams stand at a line: before it in a walk this way.
    pub(super) fn marks_before(&self, place: Place, direction: Direction) -> Marks {
        let view = self.sides[place.side].view;
        let mut marks = self.records.starts(place.record);
        *part_mut(&mut marks, view.stream) = match direction {
            Direction::Forward => place.start,
            Direction::Backward => view.end_of(place.start),
        };
        marks
    }

    /// The line that comes next.
    pub(super) fn next(&mut self, direction: Direction) -> Option<Place> {
        let records = self.records;
        let next = self.sides.iter_mut().enumerate().filter_map(|(place, side)| {
            let (record, start) = side.next(direction, records)?;
            Some(Place { record, start, side: place })
        });
        match direction {
            Direction::Forward => next.min(),
            Direction::Backward => next.max(),
        }
    }

    /// Passes over the next line.
    pub(super) fn skip(&mut self, direction: Direction) -> Option<Place> {
        let place = self.next(direction)?;
        self.sides[place.side].pass(direction, self.records)?;
        Some(place)
    }

    /// The next line.
    pub(super) fn take_one(&mut self, direction: Direction) -> Option<OutputLine> {
        let place = self.next(direction)?;
        let side = &mut self.sides[place.side];
        let passed = side.pass(direction, self.records)?;
        Some(side.line(passed, self.records, self.raw))
    }

    /// Lines, nearest first.
    pub(super) fn take(&mut self, most: u32, direction: Direction) -> Vec<OutputLine> {
        let mut lines = Vec::new();
        let mut bytes = 0;
        while lines.len() < most as usize && bytes < PAGE_BYTES {
            let Some(line) = self.take_one(direction) else { break };
            bytes += weight(&line);
            lines.push(line);
        }
        lines
    }
}

/// Bytes of text that a line brings into a page.
pub(super) fn weight(line: &OutputLine) -> usize {
    line.text.len() + line.raw.as_ref().map_or(0, String::len)
}

/// Where both streams stand at a place; `None`: there is no such place.
pub(super) fn marks_at(records: &Records, views: &Views, at: OutputAt, resolve: &dyn Resolve) -> Option<Marks> {
    let place = |command| resolve.slice(command).map(|slice| slice.from);
    Some(match at {
        OutputAt::Start => Marks::default(),
        OutputAt::End => END,
        OutputAt::Line(anchor) => beside(records, views, anchor),
        OutputAt::Item(item) => place(resolve.first_command(item)?)?,
        OutputAt::Command(command) => place(command)?,
        OutputAt::Time(wall) => marks_since(records, wall),
    })
}

/// Where both streams stood when nothing that was read at or after a wall time had come.
fn marks_since(records: &Records, wall: Micros) -> Marks {
    records.starts(records.partition(|record| record.wall < wall))
}

/// How far every line is whole: up to the first whose newline has not come.
pub(super) fn whole_lines(records: &Records, views: &Views) -> Marks {
    let mut whole = END;
    for view in views.iter().flatten() {
        let Some(last) = view.length.checked_sub(1) else { continue };
        if view.ends_line(view.length) || view.lost_at(last).is_some() {
            continue;
        }
        let open = beside(records, views, LineAnchor { stream: view.stream, offset: last });
        whole = Marks { stdout: whole.stdout.min(open.stdout), stderr: whole.stderr.min(open.stderr) };
    }
    whole
}

/// Behind everything.
pub(super) const END: Marks = Marks { stdout: u64::MAX, stderr: u64::MAX };

/// Where both streams stand at a line: it, and what was read of the other stream before it.
fn beside(records: &Records, views: &Views, anchor: LineAnchor) -> Marks {
    let view = views.iter().flatten().find(|view| view.stream == anchor.stream);
    let start = match view {
        Some(view) if anchor.offset < view.length => view.start_of(anchor.offset),
        _ => return END,
    };
    let mut marks = records.starts(records.find(anchor.stream, start, 0));
    *part_mut(&mut marks, anchor.stream) = start;
    marks
}

impl<'a> Side<'a> {
    fn new(view: &'a View<'a>, scope: Scope, end: u64, at: u64) -> Self {
        let cursor = Cursor::new(view, at);
        Self { view, scope: Rc::new(scope), end, forward: cursor, backward: cursor, near: 0 }
    }

    fn seek(&mut self, at: u64) {
        let cursor = Cursor::new(self.view, at);
        (self.forward, self.backward) = (cursor, cursor);
    }

    fn next(&mut self, direction: Direction, records: &Records) -> Option<(u64, u64)> {
        let cursor = if direction == Direction::Forward { self.forward } else { self.backward };
        match cursor.next {
            Next::Line { record, start } => return Some((record, start)),
            Next::None => return None,
            Next::NotLookedFor => {}
        }
        let start = match direction {
            Direction::Forward => self.start_from(cursor.at),
            Direction::Backward => self.start_before(cursor.at),
        };
        let next = start.map(|start| (records.find(self.view.stream, start, self.near), start));
        self.near = next.map_or(self.near, |(place, _)| place);
        self.cursor(direction).next = next.map_or(Next::None, |(record, start)| Next::Line { record, start });
        next
    }

    /// The first wanted line's start, from this one's on.
    fn start_from(&self, mut start: u64) -> Option<u64> {
        loop {
            let Range { start: low, .. } = self.scope.from(start)?;
            if low <= start {
                return Some(start);
            }
            start = self.view.first_from(low);
        }
    }

    /// The last wanted line's start before this place.
    fn start_before(&self, mut place: u64) -> Option<u64> {
        loop {
            let Range { start: low, end: high } = self.scope.before(place)?;
            let start = self.view.start_of(place.min(high) - 1);
            if start >= low {
                return Some(start);
            }
            place = low;
        }
    }

    fn cursor(&mut self, direction: Direction) -> &mut Cursor {
        match direction {
            Direction::Forward => &mut self.forward,
            Direction::Backward => &mut self.backward,
        }
    }

    fn pass(&mut self, direction: Direction, records: &Records) -> Option<Passed> {
        let (record, start) = self.next(direction, records)?;
        let end = self.view.end_of(start).min(self.end);
        let lost = self.view.lost_at(start).is_some();
        let closed = !lost && self.view.ends_line(end);
        let more = u64::from(closed);
        let newlines = match direction {
            Direction::Forward if start == self.forward.at => self.forward.newlines,
            Direction::Backward if end == self.backward.at => {
                self.backward.newlines.map(|lines| lines.saturating_sub(more))
            }
            Direction::Forward | Direction::Backward => self.view.newlines_before(start),
        };
        *self.cursor(direction) = match direction {
            Direction::Forward => {
                Cursor { at: end, newlines: newlines.map(|lines| lines + more), next: Next::NotLookedFor }
            }
            Direction::Backward => Cursor { at: start, newlines, next: Next::NotLookedFor },
        };
        Some(Passed { record, start, end, newlines, closed, lost })
    }

    fn line(&self, passed: Passed, records: &Records, raw: bool) -> OutputLine {
        let Passed { record, start, end, newlines, closed, lost } = passed;
        let read = records.get(record);
        let mut line = OutputLine {
            anchor: LineAnchor { stream: self.view.stream, offset: start },
            number: newlines.filter(|_| !lost).map(|lines| lines + 1),
            wall: read.map_or(Micros(0), |read| read.wall),
            command: read.and_then(|read| read.command),
            text: String::new(),
            raw: None,
            length: end - start,
            cut: false,
            lost,
            open: !closed && !lost && end == self.view.length.min(self.end),
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
        line
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
