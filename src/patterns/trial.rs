//! Patterns tried on a recorded session: the same matching, fed from the files.

use super::gather::Findings;
use super::matching::Matching;
use super::reading::Progress;
use super::set::Set;
use crate::model::{
    CommandId, CommandState, Finding, ItemIndex, Job, Marks, OutputPattern, Phase, ResultPackage, State, Stream,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// How many findings of each pattern are shown.
const SHOWN: usize = 3;

/// What patterns find in a session's output.
pub struct Trial<'a> {
    state: &'a State,
    job: &'a Job,
    matching: Matching,
    tried: Tried,
    progress: BTreeMap<ItemIndex, Progress>,
}

/// What they found.
#[derive(Debug, Default)]
pub struct Tried {
    /// By pattern, in the order of the patterns.
    pub patterns: Vec<TriedPattern>,
    /// By item: what its last attempt printed.
    pub items: BTreeMap<ItemIndex, TriedItem>,
    /// What was found elsewhere: before and between items, in what an operator ran, in attempts before the last.
    pub elsewhere: TriedItem,
    /// Bytes that were looked through.
    pub bytes: u64,
}

/// What one pattern found.
#[derive(Debug)]
pub struct TriedPattern {
    /// The pattern.
    pub pattern: OutputPattern,
    /// How many matches.
    pub matches: u64,
    /// The first of them, as far as each counts by itself.
    pub first: Vec<Finding>,
}

/// What was found of one item.
#[derive(Debug, Default)]
pub struct TriedItem {
    /// How many matches each pattern had, by its place.
    pub matches: BTreeMap<usize, u64>,
    /// What the item's result would have had.
    pub result: ResultPackage,
}

impl<'a> Trial<'a> {
    /// Of these patterns, on what this session printed.
    pub fn new(patterns: Vec<OutputPattern>, state: &'a State, job: &'a Job) -> Result<Self, String> {
        let tried = patterns.iter().cloned();
        let tried = tried.map(|pattern| TriedPattern { pattern, matches: 0, first: Vec::new() }).collect();
        let tried = Tried { patterns: tried, ..Tried::default() };
        let matching = Matching::counting(Arc::new(Set::new(patterns)?));
        Ok(Self { state, job, matching, tried, progress: BTreeMap::new() })
    }

    /// The parts of a stream of this length, in order, and whose they are. What a command printed beside the main thread
    /// is in the slice of the one that ran.
    pub fn parts(&self, stream: Stream, length: u64) -> Vec<(Range<u64>, Option<CommandId>)> {
        let mark = |marks: Marks| if stream == Stream::Stdout { marks.stdout } else { marks.stderr }.min(length);
        let (mut parts, mut at) = (Vec::new(), 0);
        for (id, row) in
            (1..).map(CommandId).zip(self.state.commands.iter()).filter(|(_, row)| row.phase != Phase::Side)
        {
            let to = match row.state {
                CommandState::Queued | CommandState::Skipped => continue,
                CommandState::Sent | CommandState::Started => length,
                CommandState::Finished | CommandState::Raised | CommandState::Lost => mark(row.to),
            };
            let from = mark(row.from).max(at);
            if to > from {
                parts.extend((from > at).then_some((at..from, None)));
                parts.push((from..to, Some(id)));
                at = to;
            }
        }
        parts.extend((length > at).then_some((at..length, None)));
        parts
    }

    /// The bytes of a part come now, with what is repeated of the command before them.
    pub fn begin(&mut self, stream: Stream, command: Option<CommandId>, echo: Option<&[u8]>) {
        self.matching.begin(stream, command, echo);
        self.take_in();
    }

    /// Bytes of a part, which stand there in the stream.
    pub fn read(&mut self, stream: Stream, at: u64, bytes: &[u8]) {
        self.tried.bytes += bytes.len() as u64;
        self.matching.read(stream, at, bytes);
        self.take_in();
    }

    /// Both streams are over.
    pub fn finish(mut self) -> Tried {
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.matching.end(stream);
        }
        self.take_in();
        self.tried
    }

    fn take_in(&mut self) {
        for findings in self.matching.take() {
            self.take_in_one(findings);
        }
    }

    fn take_in_one(&mut self, findings: Findings) {
        let item = findings.command.and_then(|command| self.item_of(command));
        let frames = |item: ItemIndex| self.job.agenda.item(item).and_then(|spec| spec.frames);
        let (into, mut nobodys) = match item {
            Some(item) => (self.tried.items.entry(item).or_default(), Progress::default()),
            None => (&mut self.tried.elsewhere, Progress::default()),
        };
        let progress = match item {
            Some(item) => self.progress.entry(item).or_insert_with(|| Progress::of(frames(item))),
            None => &mut nobodys,
        };
        for (place, count) in findings.counts {
            *into.matches.entry(place).or_default() += count;
            if let Some(tried) = self.tried.patterns.get_mut(place) {
                tried.matches += count;
            }
        }
        for hit in findings.hits {
            let Some(tried) = self.tried.patterns.get_mut(hit.pattern) else { continue };
            let Some(finding) = progress.finding(hit, &tried.pattern) else { continue };
            into.result.take_in(&finding);
            if tried.first.len() < SHOWN {
                tried.first.push(finding);
            }
        }
    }

    fn item_of(&self, command: CommandId) -> Option<ItemIndex> {
        let item = self.state.command(command)?.item?;
        let first = self.state.item(item)?.first_command?;
        (first <= command).then_some(item)
    }
}
