//! What became of one start-up, as steps: a fold of the session's events.
//!
//! What must stay true: pure; what an earlier child of the same session did never counts as this run's; every text of
//! the child's is bounded here, and made safe where it is shown.

use crate::model::{CommandId, CommandOutcome, Event, EventKind, Exit, Marks, Micros, Phase, SessionPhase};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// The most steps that are kept; a job with more init commands than this is no job for a loop.
const STEPS: usize = 2000;
/// The most characters of a text of the child's.
const TEXT: usize = 64 << 10;
/// The most notes.
const NOTES: usize = 20;

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// The executable is found.
    Executable,
    /// The process is there.
    Spawned,
    /// The executor in it has said hello, and proved itself.
    Connected,
    /// A command of the backend's or the job's.
    Init,
    /// A command of the job's.
    Setup,
    /// A command of the job's, when the session has failed.
    Teardown,
}

impl Kind {
    fn of(phase: Phase) -> Option<Self> {
        match phase {
            Phase::Init => Some(Self::Init),
            Phase::Setup => Some(Self::Setup),
            Phase::Teardown => Some(Self::Teardown),
            Phase::Item | Phase::Operator | Phase::Side => None,
        }
    }

    /// The word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Executable => "executable",
            Self::Spawned => "spawned",
            Self::Connected => "connected",
            Self::Init => "init",
            Self::Setup => "setup",
            Self::Teardown => "teardown",
        }
    }

    /// Whether it is one of Python's commands.
    pub(super) fn is_command(self) -> bool {
        matches!(self, Self::Init | Self::Setup | Self::Teardown)
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    /// Well.
    Ok,
    /// Not well.
    Failed,
    /// It was not come to.
    NotRun,
}

impl Fate {
    /// The word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::NotRun => "not run",
        }
    }
}

/// What went wrong in a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Fault {
    /// On one line.
    pub(super) headline: String,
    /// All of it: a traceback, or a sentence.
    pub(super) text: String,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Step {
    /// What it does.
    pub(super) kind: Kind,
    /// Its number among those of its kind, from 1.
    pub(super) number: usize,
    /// The command's source; the executable's path; what is connected.
    pub(super) text: String,
    /// How it ended.
    pub(super) fate: Fate,
    /// How long it took.
    #[serde(rename = "seconds", serialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub(super) took: Option<Micros>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fault: Option<Fault>,
    /// The last lines that were printed meanwhile; safe.
    pub(super) output: Vec<String>,
    /// Whether there were more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) more: bool,
}

#[expect(clippy::ref_option, reason = "it is what serde gives")]
fn seconds<S: Serializer>(took: &Option<Micros>, to: S) -> Result<S::Ok, S::Error> {
    took.map(Micros::seconds).serialize(to)
}

impl Step {
    fn new(kind: Kind, text: &str, fate: Fate, took: Option<Micros>) -> Self {
        let (fault, output) = (None, Vec::new());
        Self { kind, number: 1, text: cut(text), fate, took, fault, output, more: false }
    }

    fn failed(kind: Kind, text: &str, why: &str) -> Self {
        let headline = why.lines().next().unwrap_or_default().to_owned();
        let fault = Some(Fault { headline, text: cut(why) });
        Self { fault, ..Self::new(kind, text, Fate::Failed, None) }
    }

    /// `connected`, `init 2`.
    pub(super) fn name(&self) -> String {
        if self.kind.is_command() {
            format!("{} {}", self.kind.word(), self.number)
        } else {
            self.kind.word().to_owned()
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT).collect()
}

/// How a start-up ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub(super) enum End {
    /// The child waits for commands.
    Ready,
    /// There is no child any more.
    Over {
        /// The session's exit code.
        code: i32,
        /// Why.
        reason: String,
    },
}

/// A start-up that has ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Outcome {
    /// In order.
    pub(super) steps: Vec<Step>,
    /// What else is worth to be known.
    pub(super) notes: Vec<String>,
    /// How it ended.
    #[serde(flatten)]
    pub(super) end: End,
}

impl Outcome {
    /// One that did not get to anything.
    pub(super) fn nothing(code: u8, why: &str) -> Self {
        let end = End::Over { code: code.into(), reason: why.to_owned() };
        Self { steps: vec![Step::failed(Kind::Executable, "", why)], notes: Vec::new(), end }
    }

    /// Whether the child is there and all steps went well.
    pub(super) fn is_ready(&self) -> bool {
        self.end == End::Ready
    }

    /// The exit code for it.
    pub(super) fn code(&self) -> u8 {
        match &self.end {
            End::Ready => super::super::exit::OK,
            End::Over { code, .. } => u8::try_from(*code).unwrap_or(super::super::exit::LOST),
        }
    }

    /// How long all steps took.
    pub(super) fn took(&self) -> Micros {
        Micros(self.steps.iter().filter_map(|step| step.took).map(|took| took.0).sum())
    }
}

/// A command that has not ended.
#[derive(Debug)]
struct Open {
    kind: Kind,
    source: String,
    from: Marks,
}

/// What an event has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// A command was begun.
    Begun(CommandId),
    /// The last step has ended; if it is a command, this one, whose slice of the output is this.
    Ended(Option<(CommandId, Marks, Marks)>),
    /// There is another note.
    Noted,
    /// The start-up is over.
    Over,
}

/// A start-up under way.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Whether this run's child is being started: what comes before is an earlier one's.
    begun: bool,
    steps: Vec<Step>,
    notes: Vec<String>,
    /// The job's init or setup commands, at most [`STEPS`].
    open: BTreeMap<CommandId, Open>,
    /// When the stage before began.
    since: Micros,
    end: Option<End>,
}

impl Run {
    /// Takes the next event.
    pub(super) fn take(&mut self, event: &Event) -> Option<News> {
        match &event.kind {
            EventKind::ChildStarting { argv, .. } => {
                *self = Self { begun: true, since: event.mono, ..Self::default() };
                let executable = argv.first().map(String::as_str).unwrap_or_default();
                self.add(Step::new(Kind::Executable, executable, Fate::Ok, None));
                Some(News::Ended(None))
            }
            EventKind::ChildFailed { reason } => {
                self.stumble(reason);
                Some(News::Ended(None))
            }
            EventKind::SessionEnded { code, reason } => {
                self.end = Some(End::Over { code: *code, reason: cut(reason) });
                Some(News::Over)
            }
            _ if !self.begun => None,
            EventKind::ChildSpawned { pid, .. } => {
                self.stage(Kind::Spawned, &format!("pid {pid}"), event.mono);
                Some(News::Ended(None))
            }
            EventKind::ChildConnected { hello } => {
                let application = match hello.application.version.as_str() {
                    "" => String::new(),
                    version if version == hello.python => String::new(),
                    version => format!(", {} {version}", hello.application.name),
                };
                let text = format!("{} {}{application}", hello.implementation, hello.python);
                self.stage(Kind::Connected, &text, event.mono);
                Some(News::Ended(None))
            }
            EventKind::ChildExited { exit, asked, .. } => self.exited(*exit, *asked),
            EventKind::Phase { to: SessionPhase::Agenda } => {
                self.end = Some(End::Ready);
                Some(News::Over)
            }
            _ => self.command(&event.kind).or_else(|| self.note(&event.kind)),
        }
    }

    fn command(&mut self, kind: &EventKind) -> Option<News> {
        match kind {
            EventKind::CommandQueued { id, phase, source, .. } if self.open.len() < STEPS => {
                let kind = Kind::of(*phase)?;
                self.open.insert(*id, Open { kind, source: cut(source), from: Marks::default() });
                None
            }
            EventKind::CommandSent { id, from } => {
                self.open.get_mut(id)?.from = *from;
                Some(News::Begun(*id))
            }
            EventKind::CommandEnded { id, outcome, took, to } => {
                let open = self.open.remove(id)?;
                self.add(ended(&open, outcome, *took));
                Some(News::Ended(Some((*id, open.from, *to))))
            }
            _ => None,
        }
    }

    fn note(&mut self, kind: &EventKind) -> Option<News> {
        let note = match kind {
            EventKind::Note { text } => text.clone(),
            EventKind::TimedOut { action, .. } => format!("a time-out has passed: {action}"),
            EventKind::PeerRefused { peer, .. } => {
                format!("a connection from {} was refused: {}", peer.address, peer.reason)
            }
            EventKind::ThreadException { thread, exception } => {
                format!("in thread {thread}: {}", exception.headline(300))
            }
            EventKind::OutputLost { bytes, reason, .. } => format!("{bytes} bytes of output were not kept: {reason}"),
            _ => return None,
        };
        if self.notes.len() >= NOTES {
            return None;
        }
        self.notes.push(cut(&note));
        Some(News::Noted)
    }

    fn exited(&mut self, exit: Exit, asked: bool) -> Option<News> {
        if asked {
            return None;
        }
        let connected = self.steps.iter().any(|step| step.kind == Kind::Connected);
        if connected {
            self.notes.push(format!("the child has ended: {exit}"));
            return Some(News::Noted);
        }
        self.stumble(&format!("the child has ended before it said hello: {exit}"));
        Some(News::Ended(None))
    }

    /// The stage that comes next has failed.
    fn stumble(&mut self, why: &str) {
        if self.steps.last().is_some_and(|step| step.fate == Fate::Failed) {
            self.notes.push(cut(why));
            return;
        }
        let next = match self.steps.last().map(|step| step.kind) {
            None => Kind::Executable,
            Some(Kind::Executable) => Kind::Spawned,
            Some(_) => Kind::Connected,
        };
        self.add(Step::failed(next, "", why));
    }

    fn stage(&mut self, kind: Kind, text: &str, now: Micros) {
        let took = now.since(self.since);
        self.since = now;
        self.add(Step::new(kind, text, Fate::Ok, Some(took)));
    }

    fn add(&mut self, mut step: Step) {
        step.number = 1 + self.steps.iter().filter(|other| other.kind == step.kind).count();
        if self.steps.len() < STEPS {
            self.steps.push(step);
        }
    }

    /// The source of a command that has not ended.
    pub(super) fn source(&self, id: CommandId) -> Option<&str> {
        self.open.get(&id).map(|open| open.source.as_str())
    }

    /// The step that has ended last.
    pub(super) fn last(&mut self) -> Option<&mut Step> {
        self.steps.last_mut()
    }

    /// The last note.
    pub(super) fn last_note(&self) -> &str {
        self.notes.last().map(String::as_str).unwrap_or_default()
    }

    /// The outcome, once it is over.
    pub(super) fn outcome(self) -> Option<Outcome> {
        let Self { steps, notes, end, .. } = self;
        Some(Outcome { steps, notes, end: end? })
    }
}

fn ended(open: &Open, outcome: &CommandOutcome, took: Micros) -> Step {
    let step = |fate, took| Step::new(open.kind, &open.source, fate, took);
    match outcome {
        CommandOutcome::Finished { .. } => step(Fate::Ok, Some(took)),
        CommandOutcome::Raised { exception, .. } => {
            let text = if exception.text.is_empty() { exception.headline(TEXT) } else { exception.text.clone() };
            let fault = Fault { headline: exception.headline(300), text: cut(&text) };
            Step { fault: Some(fault), ..step(Fate::Failed, Some(took)) }
        }
        CommandOutcome::Lost { reason } => {
            let fault = Fault { headline: cut(reason), text: cut(reason) };
            Step { fault: Some(fault), ..step(Fate::Failed, Some(took)) }
        }
        CommandOutcome::Skipped { .. } => step(Fate::NotRun, None),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{Exception, Hello, Seq};

    /// Runs events through a fold, one a millisecond.
    pub(in super::super) fn run(kinds: Vec<EventKind>) -> Run {
        let mut run = Run::default();
        for (nth, kind) in (1..).zip(kinds) {
            let at = Micros(nth * 1000);
            run.take(&Event { seq: Seq(nth), wall: at, mono: at, kind });
        }
        run
    }

    fn starting() -> EventKind {
        let generation = crate::model::Generation(1);
        EventKind::ChildStarting { generation, argv: vec!["/usr/bin/python3".into(), "x".into()], cwd: "/".into() }
    }

    fn spawned() -> EventKind {
        EventKind::ChildSpawned { pid: 7, start_time: 1 }
    }

    fn connected() -> EventKind {
        let hello = Hello { python: "3.11.2".into(), implementation: "CPython".into(), ..Hello::default() };
        EventKind::ChildConnected { hello: Box::new(hello) }
    }

    fn queued(id: u64, phase: Phase, source: &str) -> EventKind {
        EventKind::CommandQueued { id: CommandId(id), phase, item: None, source: source.into(), value: false, by: None }
    }

    fn command_ended(id: u64, outcome: CommandOutcome) -> EventKind {
        EventKind::CommandEnded { id: CommandId(id), outcome, took: Micros(5), to: Marks::default() }
    }

    fn raised(message: &str) -> CommandOutcome {
        let exception = Exception { kind: "ValueError".into(), message: message.into(), ..Exception::default() };
        CommandOutcome::Raised { exception: Box::new(exception), exit: None }
    }

    const FINE: CommandOutcome = CommandOutcome::Finished { value: None, cut: None };

    #[test]
    fn a_start_up_is_told_as_steps() {
        let ready = EventKind::Phase { to: SessionPhase::Agenda };
        let init = queued(1, Phase::Init, "import x");
        let run = run(vec![starting(), spawned(), connected(), init, command_ended(1, FINE), ready]);
        let outcome = run.outcome().expect("over");
        let told: Vec<_> = outcome.steps.iter().map(|step| (step.name(), step.text.as_str(), step.took)).collect();
        let expected = [
            ("executable".to_owned(), "/usr/bin/python3", None),
            ("spawned".to_owned(), "pid 7", Some(Micros(1000))),
            ("connected".to_owned(), "CPython 3.11.2", Some(Micros(1000))),
            ("init 1".to_owned(), "import x", Some(Micros(5))),
        ];
        assert_eq!(told, expected);
        assert!(outcome.is_ready());
    }

    #[test]
    fn what_the_child_before_did_is_not_this_ones() {
        let old = [queued(1, Phase::Init, "old"), EventKind::Phase { to: SessionPhase::Agenda }];
        let mut all = old.to_vec();
        all.extend([starting(), spawned(), command_ended(1, raised("old"))]);
        let run = run(all);
        assert_eq!(run.steps.iter().map(|step| step.kind).collect::<Vec<_>>(), [Kind::Executable, Kind::Spawned]);
        assert_eq!(run.outcome(), None);
    }

    #[test]
    fn the_first_step_that_fails_is_named() {
        let failed = |kinds| run(kinds).steps.last().map(|step| (step.kind, step.fate));
        let reason = EventKind::ChildFailed { reason: "no".into() };
        assert_eq!(failed(vec![reason.clone()]), Some((Kind::Executable, Fate::Failed)));
        assert_eq!(failed(vec![starting(), reason.clone()]), Some((Kind::Spawned, Fate::Failed)));
        assert_eq!(failed(vec![starting(), spawned(), reason]), Some((Kind::Connected, Fate::Failed)));
        let exited = EventKind::ChildExited { exit: Exit::Code(3), asked: false, meaning: String::new() };
        assert_eq!(failed(vec![starting(), spawned(), exited]), Some((Kind::Connected, Fate::Failed)));
        let setup = queued(1, Phase::Setup, "load()");
        let raised = command_ended(1, raised("bad\nmore"));
        let run = run(vec![starting(), spawned(), connected(), setup, raised]);
        let fault = run.steps.last().and_then(|step| step.fault.clone()).expect("a fault");
        assert_eq!(fault.headline, "ValueError: bad");
    }
}
