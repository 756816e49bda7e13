//! Bytes in, findings out.

use super::echo::Echo;
use super::escapes;
use super::gather::{Findings, Gatherings, most};
use super::lines::Lines;
use super::reading::{self, Hit, Reading};
use super::set::{Compiled, Set, lines};
use super::sieve::Sieve;
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
    /// Used again for each block.
    plain: Plain,
    /// Of each pattern, used again for each line.
    captures: Vec<Captures>,
    /// How many matches of each pattern were kept of the commands whose output may still come.
    kept: Vec<(Option<CommandId>, Vec<usize>)>,
    found: Gatherings,
    /// Whether every match is counted, also those that nobody need look at.
    counts: bool,
}

/// One stream.
#[derive(Debug)]
struct Side {
    sieve: Sieve,
    lines: Lines,
    /// Whose output comes.
    command: Option<CommandId>,
    echo: Echo,
    /// The frame that it named last.
    frame: Option<i64>,
}

fn side(stream: Stream) -> usize {
    usize::from(stream == Stream::Stderr)
}

impl Matching {
    /// For these patterns.
    pub fn new(set: Arc<Set>) -> Self {
        Self::with(set, false)
    }

    /// The same, and every match is counted; it takes longer.
    pub fn counting(set: Arc<Set>) -> Self {
        Self::with(set, true)
    }

    fn with(set: Arc<Set>, counts: bool) -> Self {
        let captures = set.compiled().iter().map(|compiled| compiled.regex.create_captures()).collect();
        let side = |stream| Side {
            sieve: Sieve::new(&set, stream, !counts),
            lines: Lines::default(),
            command: None,
            echo: Echo::default(),
            frame: None,
        };
        let streams = [side(Stream::Stdout), side(Stream::Stderr)];
        Self { set, streams, plain: Plain::default(), captures, kept: Vec::new(), found: Gatherings::default(), counts }
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
        let escaped = memchr::memchr(ESC, block).is_some();
        if escaped {
            self.plain.fill_by(block, escapes::length);
        }
        let plain = std::mem::take(&mut self.plain);
        let text = if escaped { plain.bytes.as_slice() } else { block };
        let stood = |line: &Range<usize>| at + if escaped { plain.line(line.clone()).start } else { line.start } as u64;
        self.streams[side(stream)].sieve.sift(&self.set, text);
        self.take_every(stream, text, stood);
        self.take_last(stream, text, stood);
        self.plain = plain;
    }

    /// Takes the matches of patterns of which each one counts.
    fn take_every(&mut self, stream: Stream, text: &[u8], stood: impl Fn(&Range<usize>) -> u64) {
        let Side { sieve, command, .. } = &self.streams[side(stream)];
        for (line, place) in sieve.every() {
            let compiled = &self.set.compiled()[*place];
            let kept = kept(&mut self.kept, *command, self.set.len());
            each_match(compiled, &mut self.captures[*place], &text[line.clone()], |text, reading| {
                if self.counts {
                    self.found.count(*command, *place);
                }
                if kept[*place] < most(compiled.pattern.finds) {
                    kept[*place] += 1;
                    let at = stood(line);
                    self.found.every(*command, Hit { pattern: *place, stream, at, text, reading, frame: None });
                } else {
                    self.found.left_out(*command);
                }
            });
        }
    }

    /// Takes the last match of each of the other patterns.
    fn take_last(&mut self, stream: Stream, text: &[u8], stood: impl Fn(&Range<usize>) -> u64) {
        let Side { sieve, command, frame, .. } = &mut self.streams[side(stream)];
        let set = &self.set;
        for (place, compiled) in set.compiled().iter().enumerate().filter(|(_, compiled)| compiled.last_counts) {
            let (mut end, mut seen, mut looked) = (text.len(), false, false);
            while let Some(line) = sieve.last(place, text, end) {
                end = line.start;
                looked = true;
                let Some((text_of_hit, reading)) = last_match(compiled, &mut self.captures[place], &text[line.clone()])
                else {
                    continue;
                };
                if self.counts {
                    self.found.count(*command, place);
                }
                if !std::mem::replace(&mut seen, true) {
                    let told = matches!(reading, Reading::Fraction(_))
                        .then(|| frame_told(set, sieve, &mut self.captures, text, line.end).or(*frame));
                    let (text, at, frame) = (text_of_hit, stood(&line), told.flatten());
                    self.found.last(*command, Hit { pattern: place, stream, at, text, reading, frame });
                }
                if !self.counts {
                    break;
                }
            }
            if !looked {
                sieve.was_not_found(set, place, text.len());
            }
        }
        *frame = frame_told(set, sieve, &mut self.captures, text, text.len()).or(*frame);
    }
}

/// The frame that lines of a block named last, up to this place.
fn frame_told(set: &Set, sieve: &Sieve, captures: &mut [Captures], text: &[u8], upto: usize) -> Option<i64> {
    let names_frames = |compiled: &Compiled| {
        compiled.pattern.finds == Finds::Progress { reads: ProgressReads::Frame } && !compiled.pattern.qube
    };
    let naming = set.compiled().iter().enumerate().filter(|(_, compiled)| names_frames(compiled));
    let told = naming.filter_map(|(place, compiled)| {
        let mut end = upto;
        loop {
            let line = sieve.last(place, text, end)?;
            end = line.start;
            let told = last_match(compiled, &mut captures[place], &text[line]);
            if let Some((_, Reading::Frame(frame))) = told {
                return Some((end, frame));
            }
        }
    });
    told.max_by_key(|(start, _)| *start).map(|(_, frame)| frame)
}

fn last_match(compiled: &Compiled, captures: &mut Captures, line: &[u8]) -> Option<(String, Reading)> {
    let mut last = None;
    each_match(compiled, captures, line, |text, reading| last = Some((text, reading)));
    last
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
