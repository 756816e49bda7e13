//! Bytes in, findings out.

use super::echo::Echo;
use super::escapes;
use super::gather::{Findings, Gatherings, most};
use super::lines::Lines;
use super::reading::{self, Hit, Reading};
use super::set::{Candidates, Compiled, Set, lines};
use crate::model::sgr::{ESC, Plain};
use crate::model::{CommandId, Finds, Marks, ProgressReads, Stream};
use regex_automata::Input;
use regex_automata::util::captures::Captures;
use std::ops::Range;
use std::sync::Arc;

/// Matches both streams of a child.
#[derive(Debug)]
pub struct Matching {
    set: Arc<Set>,
    streams: [Side; 2],
    tools: Tools,
    /// How many matches of each pattern were kept of the commands whose output may still come.
    kept: Vec<(Option<CommandId>, Vec<usize>)>,
    found: Gatherings,
    /// Whether every match is counted, also those that nobody need look at.
    counts: bool,
}

/// One stream.
#[derive(Debug, Default)]
struct Side {
    lines: Lines,
    /// Whose output comes.
    command: Option<CommandId>,
    echo: Echo,
    /// The frame that it named last.
    frame: Option<i64>,
}

/// What is used again for each block.
#[derive(Debug)]
struct Tools {
    plain: Plain,
    candidates: Candidates,
    captures: Vec<Captures>,
}

fn side(stream: Stream) -> usize {
    usize::from(stream == Stream::Stderr)
}

impl Matching {
    /// For these patterns.
    pub fn new(set: Arc<Set>) -> Self {
        let captures = set.compiled().iter().map(|compiled| compiled.regex.create_captures()).collect();
        let tools = Tools { plain: Plain::default(), candidates: Candidates::default(), captures };
        Self { set, streams: Default::default(), tools, kept: Vec::new(), found: Gatherings::default(), counts: false }
    }

    /// The same, and every match is counted; it takes longer.
    #[must_use]
    pub fn counting(self) -> Self {
        Self { counts: true, ..self }
    }

    /// Of a stream's bytes, those that come now are of this command; with what it may repeat of it before that.
    pub fn begin(&mut self, stream: Stream, command: Option<CommandId>, echo: Option<&[u8]>) {
        self.end(stream);
        let changed = &mut self.streams[side(stream)];
        changed.command = command;
        changed.echo = echo.map(Echo::of).unwrap_or_default();
        changed.frame = None;
        let of = self.streams.each_ref().map(|side| side.command);
        self.kept.retain(|(command, _)| of.contains(command));
    }

    /// Bytes of a stream, from this place on.
    pub fn read(&mut self, stream: Stream, at: u64, bytes: &[u8]) {
        let mut lines = std::mem::take(&mut self.streams[side(stream)].lines);
        lines.add(at, bytes, |at, block| self.block(stream, at, block));
        self.streams[side(stream)].lines = lines;
    }

    /// The line that has begun will have no end.
    pub fn end(&mut self, stream: Stream) {
        let mut lines = std::mem::take(&mut self.streams[side(stream)].lines);
        lines.end(|at, block| self.block(stream, at, block));
        self.streams[side(stream)].lines = lines;
    }

    /// Lines that began before these places will have no end.
    pub fn end_before(&mut self, marks: Marks) {
        for (stream, mark) in [(Stream::Stdout, marks.stdout), (Stream::Stderr, marks.stderr)] {
            if self.streams[side(stream)].lines.open_at().is_some_and(|at| at < mark) {
                self.end(stream);
            }
        }
    }

    /// What was found since this was asked the last time.
    pub fn take(&mut self) -> Vec<Findings> {
        self.found.take()
    }

    pub(super) fn take_gathered(&mut self) -> Gatherings {
        std::mem::take(&mut self.found)
    }

    /// A block of whole lines; those of an echo are left out.
    fn block(&mut self, stream: Stream, at: u64, block: &[u8]) {
        let mut from = 0;
        if !self.streams[side(stream)].echo.is_over() {
            for line in lines(block) {
                if self.streams[side(stream)].echo.is_next(&block[line.clone()]) {
                    self.sift(stream, at + from as u64, &block[from..line.start]);
                    from = line.end;
                }
            }
        }
        self.sift(stream, at + from as u64, &block[from..]);
    }

    fn sift(&mut self, stream: Stream, at: u64, block: &[u8]) {
        if block.is_empty() {
            return;
        }
        let Tools { plain, candidates, captures } = &mut self.tools;
        let escaped = memchr::memchr(ESC, block).is_some();
        let text = if escaped {
            plain.fill_by(block, escapes::length);
            plain.bytes.as_slice()
        } else {
            block
        };
        let stood = |line: &Range<usize>| at + if escaped { plain.line(line.clone()).start } else { line.start } as u64;
        self.set.sift(stream, text, candidates);
        let command = self.streams[side(stream)].command;
        // Patterns are looked for in an order of their own.
        candidates.every.sort_unstable_by_key(|(line, pattern)| (line.start, *pattern));
        for (line, place) in &candidates.every {
            let Some(compiled) = self.set.compiled().get(*place) else { continue };
            let kept = kept(&mut self.kept, command, self.set.len());
            each_match(compiled, &mut captures[*place], &text[line.clone()], |text, reading| {
                if self.counts {
                    self.found.count(command, *place);
                }
                if kept[*place] < most(compiled.pattern.finds) {
                    kept[*place] += 1;
                    let at = stood(line);
                    self.found.every(command, Hit { pattern: *place, stream, at, text, reading, frame: None });
                } else {
                    self.found.left_out(command);
                }
            });
        }
        for (place, compiled) in self.set.compiled().iter().enumerate() {
            let mut seen = false;
            for line in candidates.last[place].iter().rev() {
                let mut last = None;
                each_match(compiled, &mut captures[place], &text[line.clone()], |text, reading| {
                    last = Some(Hit { pattern: place, stream, at: stood(line), text, reading, frame: None });
                });
                let Some(mut hit) = last else { continue };
                if matches!(hit.reading, Reading::Fraction(_)) {
                    let told = frame_told(&self.set, candidates, captures, text, line.start);
                    hit.frame = told.or(self.streams[side(stream)].frame);
                }
                if self.counts {
                    self.found.count(command, place);
                }
                if !std::mem::replace(&mut seen, true) {
                    self.found.last(command, hit);
                }
                if !self.counts {
                    break;
                }
            }
        }
        let told = frame_told(&self.set, candidates, captures, text, text.len());
        self.streams[side(stream)].frame = told.or(self.streams[side(stream)].frame);
    }
}

/// The frame that lines of a block named last, up to the one that begins here.
fn frame_told(set: &Set, candidates: &Candidates, captures: &mut [Captures], text: &[u8], upto: usize) -> Option<i64> {
    let names_frames = |compiled: &Compiled| {
        compiled.pattern.finds == Finds::Progress { reads: ProgressReads::Frame } && !compiled.pattern.qube
    };
    let naming = set.compiled().iter().enumerate().filter(|(_, compiled)| names_frames(compiled));
    let told = naming.filter_map(|(place, compiled)| {
        candidates.last[place].iter().rev().filter(|line| line.start <= upto).find_map(|line| {
            let mut frame = None;
            each_match(compiled, &mut captures[place], &text[line.clone()], |_, reading| {
                frame = if let Reading::Frame(named) = reading { Some(named) } else { None };
            });
            frame.map(|frame| (line.start, frame))
        })
    });
    told.max_by_key(|(start, _)| *start).map(|(_, frame)| frame)
}

fn kept(all: &mut Vec<(Option<CommandId>, Vec<usize>)>, command: Option<CommandId>, patterns: usize) -> &mut [usize] {
    let place = all.iter().position(|(known, _)| *known == command).unwrap_or_else(|| {
        all.push((command, vec![0; patterns]));
        all.len() - 1
    });
    &mut all[place].1
}

/// Gives what a line says to a pattern: once, or of one of Qube's as often as it captures something.
fn each_match(compiled: &Compiled, captures: &mut Captures, line: &[u8], mut each: impl FnMut(String, Reading)) {
    let finds = compiled.pattern.finds;
    let mut from = 0;
    while from <= line.len() {
        compiled.regex.search_captures(&Input::new(line).range(from..), captures);
        let Some(found) = captures.get_match() else { return };
        let groups = captures.iter().skip(1).flatten().map(|group| &line[group.range()]);
        if compiled.pattern.qube {
            let captured: Vec<&[u8]> = groups.filter(|group| !group.is_empty()).collect();
            for_qube(finds, &captured, &mut each);
            from = if found.is_empty() { found.end() + 1 } else { found.end() };
            continue;
        }
        let mut captured: Vec<&[u8]> = groups.collect();
        if captured.is_empty() {
            let whole_line = matches!(finds, Finds::Error { .. } | Finds::Highlight);
            captured.push(if whole_line { line } else { &line[found.range()] });
        }
        if let Some((text, reading)) = reading::read(finds, &captured) {
            each(text, reading);
        }
        return;
    }
}

fn for_qube(finds: Finds, captured: &[&[u8]], each: &mut impl FnMut(String, Reading)) {
    let together = matches!(finds, Finds::Progress { .. });
    let count = if together { captured.len().min(1) } else { captured.len() };
    for place in 0..count {
        if let Some((text, reading)) = reading::read(finds, &captured[place..]) {
            each(text, reading);
        }
    }
}
