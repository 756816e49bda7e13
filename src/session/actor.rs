//! The actor itself: what it knows, how it records, and what it makes of every word from the child.

use super::clocks::Clocks;
use super::control::Control;
use super::diagnosis::Asking;
use super::driven::Driver;
use super::ladder::{Ladder, Then};
use super::queue::CommandQueue;
use super::requests::Desk;
use super::retries::Retries;
use super::sending::queued;
use super::side::Beside;
use super::tells::cut;
use super::timeouts::Overdue;
use super::world::{Now, World};
use crate::agenda::AgendaSource;
use crate::dispatcher::FromChild;
use crate::model::job::Agenda;
use crate::model::{
    ChildState, CommandId, CommandOutcome, EventKind, Exit, Hello, ItemIndex, ItemStatus, Job, Marks, Micros,
    OutputPattern, Phase, Rung, SessionPhase, StartStep, State, StopMode, Stream,
};
use crate::patterns::Progress;
use crate::store::Recorded;
use std::sync::Arc;
use std::time::Duration;

/// How long the end of a session is tried to be journalled on a disk that takes nothing.
const LAST_WORD: Duration = Duration::from_secs(30);
/// How deep an exception's causes may be nested: a journal line nested much deeper could not be read again.
const EXCEPTION_DEPTH: usize = 40;

/// How a session will end, once that is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) code: i32,
    pub(super) reason: String,
}

/// The look at the files that an item told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Outputs {
    /// Nobody has looked.
    #[default]
    Unseen,
    /// The outside is looking.
    Looking {
        /// Since when.
        since: Now,
    },
    /// The outside has looked.
    Seen,
}

/// A command while it runs, whatever of it is journalled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Current {
    pub(super) id: CommandId,
    pub(super) phase: Phase,
}

/// The one place where a session's state changes.
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own, and no two exclude each other")]
pub struct Actor<W: World> {
    pub(super) world: W,
    pub(super) job: Arc<Job>,
    pub(super) source: Box<dyn AgendaSource>,
    pub(super) state: State,
    pub(super) queue: CommandQueue,
    pub(super) clocks: Clocks,
    pub(super) desk: Desk,
    pub(super) control: Control,
    pub(super) ladder: Option<Ladder>,
    /// Rungs of it that were tried on the running command.
    pub(super) tried: Vec<Rung>,
    /// Why the host was asked to cancel what it does, if it was: then the running command may end as if all were well.
    pub(super) cancelled: Option<String>,
    /// The time-out because of which the running command was to end, if there was one: what it raises then says nothing of it.
    pub(super) overran: Option<String>,
    /// Time-outs that have passed, while it is found out why. At most one of each kind.
    pub(super) overdue: Vec<Overdue>,
    /// The diagnosis that is being made.
    pub(super) asking: Option<Asking>,
    /// The driver, in a session that has one.
    pub(super) driver: Option<Box<Driver>>,
    /// What runs beside the main thread.
    pub(super) beside: Vec<Beside>,
    /// Events that happened but could not be journalled yet; while there are any, nothing new is begun.
    pub(super) facts: Vec<EventKind>,
    /// Whether the child closed the back channel, of which nothing was told yet: it may just be ending.
    pub(super) hung_up: bool,
    /// How many were turned away from the back channel since that was last recorded.
    pub(super) untold_refusals: u64,
    /// Why the running item will fail.
    pub(super) fault: Option<String>,
    /// Whether an operator ended the running item.
    pub(super) killed: bool,
    pub(super) verdict: Option<Verdict>,
    /// The exit code, once the session has ended.
    pub(super) code: Option<i32>,
    /// Whether the end could not be journalled for so long that nobody waits for it any more.
    pub(super) given_up: bool,
    /// The command that was sent and has not ended.
    pub(super) current: Option<Current>,
    /// Whether a spawned process has not been seen to end.
    pub(super) alive: bool,
    /// How often this engine has started a child again.
    pub(super) restarts: u32,
    /// How somebody asked to stop, journalled or not.
    pub(super) stop: Option<StopMode>,
    /// Whether somebody has looked at the files that the running item told of.
    pub(super) outputs: Outputs,
    /// Since when what the last command printed is being matched; nothing is made of its end before that is done.
    pub(super) matching: Option<Now>,
    /// How far the running item is, as far as its output tells.
    pub(super) progress: Progress,
    /// Why the running item fails, if its output says so.
    pub(super) condemned: Option<String>,
    /// Why the output says that the session fails.
    pub(super) doomed: Option<String>,
    /// Whether the child was asked to end.
    pub(super) asked: bool,
    /// Whether a child is wanted: none is there, and one has not been launched.
    pub(super) launch_wanted: bool,
    /// The recipe's and the job's init commands of this generation.
    pub(super) init: Vec<String>,
    /// Progress and status that were not journalled yet.
    pub(super) untold: Vec<EventKind>,
    /// The running command's text.
    pub(super) running_source: String,
    /// The signal that asked the engine to stop.
    pub(super) signal: Option<i32>,
    /// Known of the session beside its job: its id, and what viewers draw before a command.
    pub(super) label: Label,
}

/// What the summary shows of a session that is in no event.
#[derive(Debug, Clone, Default)]
pub struct Label {
    /// The session's id.
    pub session: String,
    /// The recipe's prompt.
    pub prompt: String,
    /// How the recipe says that its application is to be treated.
    pub manners: Manners,
    /// What is looked for in the output.
    pub patterns: Vec<OutputPattern>,
}

/// What a recipe says of getting out of a command, and of looking in beside one.
#[derive(Debug, Clone)]
pub struct Manners {
    /// The rungs of the ladder out that are safe.
    pub rungs: Vec<Rung>,
    /// The host's own way to cancel what it does: Python.
    pub cancel: Option<String>,
    /// Whether Python may be run beside the main thread without a warning.
    pub side_eval: bool,
    /// What the ways in which the application ends mean.
    pub exit_codes: Vec<(Exit, String)>,
}

impl Default for Manners {
    /// Those of a plain interpreter that nobody knows anything about.
    fn default() -> Self {
        Self { rungs: Rung::ALL.to_vec(), cancel: None, side_eval: false, exit_codes: Vec::new() }
    }
}

impl<W: World> Actor<W> {
    /// An actor on a state that was folded from the journal, or on an empty one.
    pub fn new(world: W, job: Arc<Job>, source: Box<dyn AgendaSource>, state: State, label: Label) -> Self {
        let driver = job.driven.as_ref().map(|_| Box::default());
        Self {
            world,
            job,
            source,
            state,
            queue: CommandQueue::default(),
            clocks: Clocks::default(),
            desk: Desk::default(),
            control: Control::default(),
            ladder: None,
            tried: Vec::new(),
            cancelled: None,
            overran: None,
            overdue: Vec::new(),
            asking: None,
            driver,
            beside: Vec::new(),
            facts: Vec::new(),
            hung_up: false,
            untold_refusals: 0,
            fault: None,
            killed: false,
            verdict: None,
            code: None,
            given_up: false,
            current: None,
            alive: false,
            restarts: 0,
            stop: None,
            outputs: Outputs::default(),
            matching: None,
            progress: Progress::default(),
            condemned: None,
            doomed: None,
            asked: false,
            launch_wanted: true,
            init: Vec::new(),
            untold: Vec::new(),
            running_source: String::new(),
            signal: None,
            label,
        }
    }

    /// The outside.
    pub fn world(&mut self) -> &mut W {
        &mut self.world
    }

    /// The engine's exit code, once the session has ended.
    pub fn exit_code(&self) -> Option<i32> {
        self.code
    }

    /// The fold.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes the session up: says so in the journal, and settles what a dead engine left open.
    pub fn begin(&mut self, pid: u32) {
        let resumed = self.state.seq.0 > 0;
        self.fact(EventKind::EngineStarted {
            pid,
            version: env!("CARGO_PKG_VERSION").into(),
            name: self.job.name.clone(),
            backend: self.job.backend.clone(),
            items: u32::try_from(self.job.agenda.len()).unwrap_or(u32::MAX),
            // What an operator held or released stays so.
            held: if resumed { self.state.held.is_some() } else { self.job.hold },
            resumed,
        });
        if resumed {
            self.clocks.retries = Retries::left_over(&self.state, self.job.retry.delay, self.world.now());
            self.settle();
        } else {
            self.begin_as_the_job_says();
        }
        self.take_up_stops();
        self.advance();
    }

    /// What was odd about the job when it was read, and the items that are not to be run as they are.
    fn begin_as_the_job_says(&mut self) {
        let job = Arc::clone(&self.job);
        let mut facts: Vec<EventKind> =
            job.warnings.iter().map(|text| EventKind::Note { text: text.clone() }).collect();
        if let Agenda::Items(items) = &job.agenda {
            let said = (0..).map(ItemIndex).zip(items).filter_map(|(item, spec)| Some((item, spec.status?)));
            facts.extend(said.map(|(item, status)| EventKind::ItemChanged { item, status, by: None }));
        }
        self.record(facts);
    }

    /// What a dead engine left open: commands that ran or were an operator's are lost, the item in flight is given back
    /// or fails, and the old child is gone.
    fn settle(&mut self) {
        let mut facts = Vec::new();
        let reason = "the engine died".to_owned();
        let running = self.state.running;
        let ended = self.world.boundary(None);
        let ran = running.map_or(Micros(0), |running| self.state.wall.since(running.since));
        let running = running.map(|running| running.id);
        for id in running.into_iter().chain(self.state.queued.iter().copied()) {
            let row = self.state.command(id);
            let operators = row.is_some_and(|row| row.phase == Phase::Operator);
            let outcome = if Some(id) == running || operators {
                CommandOutcome::Lost { reason: reason.clone() }
            } else {
                CommandOutcome::Skipped { reason: reason.clone() }
            };
            // What it printed before the engine died is its own, as far as it was read.
            let (took, to) = if Some(id) == running { (ran, ended) } else { (Micros(0), Marks::default()) };
            facts.push(EventKind::CommandEnded { id, outcome, took, to });
        }
        if matches!(self.state.child, ChildState::Starting { .. } | ChildState::Connected { .. }) {
            facts.push(EventKind::ChildExited { exit: Exit::Unknown, asked: false, meaning: String::new() });
        }
        facts.extend(self.lost_beside(&reason));
        self.record(facts);
        if let Some(item) = self.state.running_item.clone() {
            self.end_item_as_lost(item.item, item.attempt, &reason);
        }
    }

    // ---- recording ----------------------------------------------------------------------------------------------

    /// Records something that happened, whatever the disk says: what cannot be written waits, and is tried again.
    pub(super) fn fact(&mut self, kind: EventKind) {
        self.record(vec![kind]);
    }

    /// Records things that happened, in one write.
    pub(super) fn record(&mut self, mut kinds: Vec<EventKind>) {
        if kinds.is_empty() {
            return;
        }
        if !self.facts.is_empty() || !self.write(&mut kinds) {
            self.facts.append(&mut kinds);
        }
    }

    /// Records what is about to be done; `false` when it must not be done, since it could not be recorded.
    pub(super) fn intend(&mut self, mut kinds: Vec<EventKind>) -> bool {
        self.facts.is_empty() && self.write(&mut kinds)
    }

    fn write(&mut self, kinds: &mut Vec<EventKind>) -> bool {
        match self.world.journal(kinds) {
            Ok(recorded) => {
                self.clocks.journal = None;
                for recorded in &recorded {
                    self.fold(recorded);
                }
                true
            }
            Err(error) => {
                if self.clocks.journal.is_none() {
                    tracing::error!(%error, "the journal cannot be written; no new work is begun until it can");
                }
                self.clocks.journal = Some(self.world.now());
                false
            }
        }
    }

    pub(super) fn retry_journal(&mut self) {
        let mut facts = std::mem::take(&mut self.facts);
        facts.push(EventKind::Note { text: "the journal can be written again".into() });
        if self.write(&mut facts) {
            tracing::info!("the journal can be written again");
        } else {
            facts.pop();
            // What was recorded meanwhile came later.
            facts.append(&mut self.facts);
            self.facts = facts;
            let now = self.world.now().mono;
            self.given_up = self.clocks.ended.is_some_and(|ended| now.since(ended.mono) > Micros::from(LAST_WORD));
        }
    }

    /// Something that people should know.
    pub fn note(&mut self, text: &str) {
        self.fact(EventKind::Note { text: text.to_owned() });
    }

    /// Output could not be kept.
    pub fn output_lost(&mut self, stream: Stream, bytes: u64, reason: String) {
        self.fact(EventKind::OutputLost { stream, bytes, reason });
    }

    fn fold(&mut self, recorded: &Recorded) {
        let event = &recorded.event;
        self.state.apply(event, recorded.at);
        self.world.publish(recorded, &self.state);
        match &event.kind {
            EventKind::ItemEnded { item, status, .. } | EventKind::ItemChanged { item, status, .. } => {
                if *status != ItemStatus::Retrying {
                    self.clocks.retries.remove(*item);
                }
                self.source.report_work(*item, *status);
            }
            EventKind::ItemStarted { item, .. } => self.source.report_work(*item, ItemStatus::Running),
            EventKind::CommandEnded { id, outcome, .. } => self.answer_exec(*id, outcome),
            _ => {}
        }
    }

    // ---- the child ----------------------------------------------------------------------------------------------

    /// A child is about to be spawned; `false` when it must not be, since that could not be recorded.
    pub fn child_starting(&mut self, argv: Vec<String>, cwd: String, init: Vec<String>) -> bool {
        let generation = self.next_generation();
        let mut kinds = vec![EventKind::ChildStarting { generation, argv, cwd }];
        if self.state.phase != SessionPhase::Starting {
            kinds.push(EventKind::Phase { to: SessionPhase::Starting });
        }
        let recorded = self.intend(kinds);
        if recorded {
            self.clocks.launched = Some(self.world.now());
            self.init = init;
            self.asked = false;
            self.hung_up = false;
            self.ladder = None;
        } else if self.is_driven() {
            self.start_failed("the journal cannot be written: the disk is full or failing");
        } else {
            self.launch_wanted = true;
        }
        recorded
    }

    /// A child that is being started has come this far.
    pub fn child_came(&mut self, step: StartStep) {
        if matches!(self.state.child, ChildState::Starting { .. }) {
            self.fact(EventKind::ChildCame { step });
        }
    }

    /// The child runs.
    pub fn child_spawned(&mut self, pid: u32, start_time: u64) {
        self.alive = true;
        self.fact(EventKind::ChildSpawned { pid, start_time });
        if self.stopping() == Some(StopMode::Now) {
            self.leave("asked to stop");
        }
    }

    /// No child could be made: the executable is missing, or the system refused.
    pub fn launch_failed(&mut self, reason: String) {
        self.clocks.launched = None;
        self.child_failed(reason.clone());
        self.start_failed(&reason);
        self.verdict.get_or_insert(Verdict { code: 69, reason });
        self.end();
    }

    /// The child has proven itself and said hello.
    pub fn child_connected(&mut self, hello: Box<Hello>) {
        self.clocks.launched = None;
        self.clocks.word = Some(self.world.now());
        self.record(vec![EventKind::ChildConnected { hello }, EventKind::Phase { to: SessionPhase::Init }]);
        let init = std::mem::take(&mut self.init);
        if self.stopping() == Some(StopMode::Now) {
            self.leave("asked to stop");
        } else {
            let commands = self.commands(Phase::Init, None, init);
            self.record(commands.iter().map(|command| queued(command, None)).collect());
            self.queue.extend(commands);
        }
        self.advance();
    }

    pub(super) fn child_failed(&mut self, reason: String) {
        tracing::error!(%reason, "the child failed");
        self.fact(EventKind::ChildFailed { reason });
    }

    /// The process is gone. What it had said before was already handed in.
    pub fn child_exited(&mut self, exit: Exit) {
        if !std::mem::take(&mut self.alive) {
            return;
        }
        self.clocks_go_on();
        self.ended_without_channel(exit);
        let connected = matches!(self.state.child, ChildState::Connected { .. });
        let to = self.world.boundary(None);
        self.world.hang_up();
        self.world.kill_everything();
        let (meaning, told) = (self.meaning_of(exit), self.told(exit));
        let mut facts = self.lose_side(&format!("the child ended: {told}"));
        if let Some(running) = self.current {
            let outcome = CommandOutcome::Lost { reason: format!("the child ended: {told}") };
            facts.push(EventKind::CommandEnded { id: running.id, outcome, took: self.ran_for(), to });
        }
        let ended_by_us = self.ladder.as_ref().is_some_and(Ladder::costs_the_child);
        facts.push(EventKind::ChildExited { exit, asked: self.asked || ended_by_us, meaning });
        let (rung_ended, ladder) = self.ladder_saw_the_exit(exit);
        facts.extend(rung_ended);
        self.record(facts);
        self.desk.forget_questions();
        self.command_is_over();
        self.matching = None;
        self.clocks.launched = None;
        self.skip_all("the child ended");
        let then = match ladder.as_ref().map_or(Then::AsJobSays, Ladder::then) {
            // It went by itself while it was asked for less.
            Then::End if !ended_by_us => Then::AsJobSays,
            then => then,
        };
        if !connected && !self.asked && self.verdict.is_none() && then != Then::Another {
            let reason = format!("it ended before it said hello: {told}{}", self.world.last_words());
            self.child_failed(reason.clone());
            let reason = format!("the child could not be started: {reason}");
            self.start_failed(&reason);
            self.verdict = Some(Verdict { code: 69, reason });
        }
        self.start_failed("the child has ended");
        if let Some(item) = self.state.running_item.as_ref().map(|item| item.item) {
            let by = ladder.as_ref().filter(|_| ended_by_us).and_then(Ladder::by);
            let by = by.map_or_else(String::new, |by| format!("{} had it ended, and ", by.user));
            self.fault.get_or_insert_with(|| format!("{by}the child ended: {told}"));
            // A driver may have something to add.
            if !self.driver_lives() {
                self.finish_item(item);
            }
        }
        if !self.await_driver(exit, then) {
            self.after_exit(exit, then);
        }
    }

    /// An end, with what the recipe says of it.
    fn told(&self, exit: Exit) -> String {
        match self.meaning_of(exit) {
            meaning if meaning.is_empty() => exit.to_string(),
            meaning => format!("{exit} ({meaning})"),
        }
    }

    /// What the recipe says of an end; nothing of one that was asked for.
    fn meaning_of(&self, exit: Exit) -> String {
        let mut known = self.label.manners.exit_codes.iter().filter(|_| !self.asked);
        known.find(|(known, _)| *known == exit).map_or_else(String::new, |(_, meaning)| meaning.clone())
    }

    /// Whether another child takes the place of one that has ended.
    pub(super) fn starts_again(&self, then: Then) -> bool {
        // An instance of a supervisor's is the supervisor's to start again.
        let over = self.verdict.is_some()
            || self.stopping().is_some()
            || (self.asked && then != Then::Another)
            || self.is_supervised();
        !over && (then == Then::Another || (then == Then::AsJobSays && self.restarts < self.job.restarts))
    }

    pub(super) fn after_exit(&mut self, exit: Exit, then: Then) {
        let told = self.told(exit);
        let over = self.verdict.is_some() || self.stopping().is_some() || (self.asked && then != Then::Another);
        if over {
            self.end();
        } else if self.starts_again(then) {
            if then == Then::AsJobSays {
                self.restarts += 1;
            }
            self.fact(EventKind::Note { text: format!("the child is started again ({told})") });
            self.launch_wanted = true;
            self.advance();
        } else {
            self.verdict = Some(Verdict { code: 70, reason: format!("the child was lost: {told}") });
            self.end();
        }
    }

    // ---- what the child says ------------------------------------------------------------------------------------

    /// Takes a word from the proven child.
    pub fn heard(&mut self, frame: FromChild) {
        let now = self.world.now();
        self.clocks.word = Some(now);
        if self.is_sign_of_life(&frame) {
            self.clocks.sign = Some(now);
        }
        match frame {
            FromChild::Started { id } if self.is_running(id) => self.fact(EventKind::CommandStarted { id }),
            FromChild::Finished { id, value, cut } if self.is_running(id) => {
                self.command_ended(id, CommandOutcome::Finished { value, cut });
            }
            FromChild::Raised { id, mut exception, exit } if self.is_running(id) => {
                exception.limit_depth(EXCEPTION_DEPTH);
                self.command_ended(id, CommandOutcome::Raised { exception, exit });
            }
            FromChild::Started { id } if self.is_beside(id) => self.fact(EventKind::CommandStarted { id }),
            FromChild::Finished { id, value, cut } if self.is_beside(id) => {
                self.side_ended(id, CommandOutcome::Finished { value, cut });
            }
            FromChild::Raised { id, mut exception, exit } if self.is_beside(id) => {
                exception.limit_depth(EXCEPTION_DEPTH);
                self.side_ended(id, CommandOutcome::Raised { exception, exit });
            }
            FromChild::Started { id } | FromChild::Finished { id, .. } | FromChild::Raised { id, .. } => {
                self.channel_broken(&format!("it spoke of command {id}, which does not run"));
            }
            FromChild::Progress { fraction } => self.told_progress(fraction, now),
            FromChild::Status { text } => {
                let item = self.state.running_item.as_ref().map(|item| item.item);
                self.tell(EventKind::ItemSaid { item, text: cut(text) }, now);
            }
            FromChild::Output { path } => self.told_output(path),
            FromChild::Fail { message } => self.told_failure(message),
            FromChild::ThreadException { thread, mut exception } => {
                exception.limit_depth(EXCEPTION_DEPTH);
                self.fact(EventKind::ThreadException { thread: cut(thread), exception });
            }
            FromChild::InterruptResult { id, ok, reason } => self.interrupt_answered(id, ok, &reason),
            FromChild::Completions { id, start, matches } => self.desk.completions(id, start, matches),
            FromChild::Checked { id, state, message } => self.desk.checked(id, state, message),
            FromChild::Names { id, names, more } => self.desk.names(id, names, more),
            FromChild::Stacks { id, threads } => self.desk.stacks(id, threads),
            FromChild::Heartbeat { .. } | FromChild::Unknown => {}
            FromChild::Knock { .. } | FromChild::Prove { .. } | FromChild::Hello(_) => {
                self.channel_broken("it introduced itself again");
            }
        }
    }

    pub(super) fn is_running(&self, id: CommandId) -> bool {
        self.current.is_some_and(|running| running.id == id)
    }

    pub(super) fn command_ended(&mut self, id: CommandId, outcome: CommandOutcome) {
        let to = self.world.boundary(None);
        let took = self.ran_for();
        let failed = match &outcome {
            // A host that cancels may return as if it had done its work.
            CommandOutcome::Finished { .. } => self.cancelled.take(),
            CommandOutcome::Raised { exception, .. } => {
                let raised = exception.headline(300);
                Some(self.overran.take().map_or_else(|| raised.clone(), |overran| format!("{overran} ({raised})")))
            }
            CommandOutcome::Lost { reason } | CommandOutcome::Skipped { reason } => Some(reason.clone()),
        };
        let phase = self.state.command(id).map(|row| row.phase);
        self.flush_untold();
        self.driver_saw_the_end_of(id, &outcome, failed.as_deref());
        self.fact(EventKind::CommandEnded { id, outcome, took, to });
        self.command_is_over();
        self.ladder_saw_the_end_of(id);
        if let (Some(reason), Some(phase)) = (failed, phase) {
            self.command_failed(phase, reason);
        }
        self.match_output_of(phase, to);
        self.advance();
    }

    /// A command of a phase failed: the rest of the phase is not run, and what that means depends on the phase.
    fn command_failed(&mut self, phase: Phase, reason: String) {
        if phase == Phase::Operator {
            return;
        }
        self.skip_planned("a command before it failed");
        if self.is_driven() {
            return self.driven_command_failed(phase, &reason);
        }
        // A stop interrupts whatever runs; that says nothing about the child or the job.
        let stopped = self.stopping() == Some(StopMode::Now);
        match phase {
            Phase::Init | Phase::Setup | Phase::Teardown if stopped => {}
            Phase::Init => self.give_up(69, format!("an init command failed: {reason}")),
            Phase::Setup => self.give_up(1, format!("a setup command failed: {reason}")),
            Phase::Teardown => {
                self.verdict.get_or_insert(Verdict { code: 1, reason: format!("a teardown command failed: {reason}") });
            }
            Phase::Item | Phase::Operator | Phase::Side => {
                self.fault.get_or_insert(reason);
            }
        }
    }

    pub(super) fn command_is_over(&mut self) {
        self.current = None;
        self.clocks.command_told = false;
        self.clocks.sent = None;
        self.clocks.silence_told = None;
        self.tried.clear();
        self.cancelled = None;
        self.overran = None;
        self.running_source.clear();
    }

    pub(super) fn ran_for(&self) -> Micros {
        self.clocks.sent.map_or(Micros(0), |sent| self.world.now().mono.since(sent.mono))
    }

    pub(super) fn running_belongs_to_item(&self) -> bool {
        self.current.is_some_and(|running| running.phase == Phase::Item)
    }

    /// How the session is asked to stop. It counts before it is journalled: a full disk must not keep a session alive.
    pub(super) fn stopping(&self) -> Option<StopMode> {
        self.state.stop.max(self.stop)
    }
}
