//! What people ask of the session: the verbs, and questions that only the child can answer.

use super::Actor;
use super::clocks::ANSWER;
use super::ladder::{FAST, Then};
use super::queue::{OPERATORS, Waiting};
use super::sending::{fits, queued};
use super::summary::head;
use super::world::{Now, World};
use crate::dispatcher::ToChild;
use crate::model::diagnosis::ThreadStack;
use crate::model::proto::{
    CommandDetail, CommandView, Completeness, ItemVerb, NameInfo, Refusal, RefusalKind, Request, Response,
};
use crate::model::{
    ChildState, CommandId, CommandOutcome, EventKind, ItemIndex, ItemStatus, Micros, Origin, Phase, Rung, SessionPhase,
    StopMode,
};
use std::collections::{BTreeMap, HashMap, VecDeque};
use tokio::sync::oneshot;

/// An answer to a request.
pub type Answer = Result<Response, Refusal>;

/// How many questions to the child may be open.
const QUESTIONS: usize = 64;
/// How many rungs of the ladder are remembered that the child has not answered in time.
const LATE: usize = 8;
/// Why a question is not taken.
const BUSY: &str = "too many questions to the child are open already";
/// How much of a command's text an answer carries.
const SOURCE_SHOWN: usize = 1 << 20;

pub(super) type Reply = oneshot::Sender<Answer>;

/// Who waits for what. That a retried request is not done twice is the server's care.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Those who wait for a command's end. Bounded by the operators' queue and the calls a client may have open.
    execs: HashMap<CommandId, Reply>,
    /// Texts of the injected commands that somebody waits for.
    sources: HashMap<CommandId, (String, Origin)>,
    questions: BTreeMap<u64, (Now, Question)>,
    /// Rungs that were not answered in time, oldest first: nobody waits any more, but one that takes effect late is told.
    late: VecDeque<(u64, CommandId, Rung)>,
    last_question: u64,
}

#[derive(Debug)]
enum Question {
    /// One of the first three rungs of the ladder; who waits for it is known there.
    Rung {
        command: CommandId,
        rung: Rung,
    },
    Child(Reply),
    /// For a diagnosis, which does without when this is dropped.
    Stacks(oneshot::Sender<Vec<ThreadStack>>),
}

impl Question {
    fn refuse(self, why: &str) {
        if let Self::Child(reply) = self {
            // Whoever asked may have gone.
            let _ = reply.send(Err(not_now(why)));
        }
    }
}

impl Desk {
    /// Takes a client's question down.
    fn ask(&mut self, reply: Reply, now: Now) -> Result<u64, Question> {
        if self.questions.len() >= QUESTIONS {
            return Err(Question::Child(reply));
        }
        Ok(self.note(Question::Child(reply), now))
    }

    /// The ladder's question always finds a place: each of its rungs asks once.
    pub(super) fn ask_to_end(&mut self, command: CommandId, rung: Rung, now: Now) -> u64 {
        self.note(Question::Rung { command, rung }, now)
    }

    /// So does a diagnosis': one is under way at a time.
    pub(super) fn ask_for_stacks(&mut self, told: oneshot::Sender<Vec<ThreadStack>>, now: Now) -> u64 {
        self.note(Question::Stacks(told), now)
    }

    fn note(&mut self, question: Question, now: Now) -> u64 {
        self.last_question += 1;
        self.questions.insert(self.last_question, (now, question));
        self.last_question
    }

    /// It could not be asked.
    pub(super) fn forget(&mut self, id: u64) {
        self.questions.remove(&id);
    }

    /// Somebody waits for the end of a command.
    pub(super) fn expect(&mut self, id: CommandId, source: String, by: Origin, reply: Reply) {
        self.sources.insert(id, (source, by));
        self.execs.insert(id, reply);
    }

    /// When the question was asked that has waited longest.
    pub(super) fn oldest_question(&self) -> Option<Now> {
        self.questions.values().next().map(|(asked, _)| *asked)
    }

    fn answer(&mut self, id: u64, answer: Response) {
        if let Some((_, Question::Child(reply))) = self.questions.remove(&id) {
            // Whoever asked may have gone.
            let _ = reply.send(Ok(answer));
        }
    }

    pub(super) fn completions(&mut self, id: u64, start: u32, matches: Vec<String>) {
        self.answer(id, Response::Completions { start, matches });
    }

    pub(super) fn checked(&mut self, id: u64, state: Completeness, message: String) {
        self.answer(id, Response::Checked { state, message });
    }

    pub(super) fn names(&mut self, id: u64, names: Vec<NameInfo>, more: u32) {
        self.answer(id, Response::Names { names, more });
    }

    pub(super) fn stacks(&mut self, id: u64, threads: Vec<ThreadStack>) {
        if let Some((_, Question::Stacks(told))) = self.questions.remove(&id) {
            // The diagnosis may have been told without.
            let _ = told.send(threads);
        }
    }

    /// Whether the child has not yet answered this rung.
    pub(super) fn awaits_answer(&self, wanted: CommandId, on: Rung) -> bool {
        let asked = |question: &Question| matches!(question, Question::Rung { command, rung } if (*command, *rung) == (wanted, on));
        self.questions.values().any(|(_, question)| asked(question))
    }

    /// A rung that was not answered in time.
    fn is_late(&mut self, id: u64, command: CommandId, rung: Rung) {
        if self.late.len() == LATE {
            self.late.pop_front();
        }
        self.late.push_back((id, command, rung));
    }

    /// The rung that an answer is about, in time or late.
    fn rung_of(&mut self, id: u64) -> Option<(CommandId, Rung)> {
        if let Some((_, question)) = self.questions.remove(&id) {
            let Question::Rung { command, rung } = question else { return None };
            return Some((command, rung));
        }
        let place = self.late.iter().position(|(late, ..)| *late == id)?;
        self.late.remove(place).map(|(_, command, rung)| (command, rung))
    }

    /// The child is gone: nobody will answer.
    pub(super) fn forget_questions(&mut self) {
        self.late.clear();
        for (_, (_, question)) in std::mem::take(&mut self.questions) {
            question.refuse("the child ended before it answered");
        }
    }
}

impl<W: World> Actor<W> {
    /// Takes a request that writes, or that only the child can answer.
    pub fn asked(&mut self, by: Origin, request: Request, reply: oneshot::Sender<Answer>) {
        let answer = match request {
            Request::Exec { source, wait } => return self.exec(&by, source, wait, reply),
            Request::Side { source, confirmed } => return self.side(by, source, confirmed, reply),
            Request::Why => return self.why(by, reply),
            Request::Interrupt { command, from, to, restart } => {
                self.interrupt(by, command, (from, to), restart, reply);
                return self.advance();
            }
            Request::Complete { text } => return self.question(|id| ToChild::Complete { id, text: &text }, reply),
            Request::Check { source } => return self.question(|id| ToChild::Check { id, source: &source }, reply),
            Request::Names => return self.question(|id| ToChild::Names { id }, reply),
            Request::Hot { reset } => self.hot(reset),
            Request::Restart { now } => self.restart(by, now),
            Request::SetTimeouts { changes } => self.set_timeouts(by, &changes),
            Request::Hold => self.hold(by),
            Request::Break => self.break_in(by),
            Request::Release => self.release(by),
            Request::Step { step, item } => self.step_on(by, step, item.as_deref()),
            Request::SetStops { stops } => self.set_stops(by, stops),
            Request::Edit { name, commands } => self.edit(by, &name, commands),
            Request::Pause => self.pause(by),
            Request::Continue => self.let_go_on(by),
            Request::Items { verb, names } => self.items(&by, verb, &names),
            Request::Stop { mode } => self.stop(by, mode),
            _ => Err(Refusal {
                kind: RefusalKind::Invalid,
                message: "this request is not the session's to answer".into(),
            }),
        };
        // Whoever asked may have gone.
        let _ = reply.send(answer);
        self.advance();
    }

    /// A signal came to the engine: the first SIGINT stops after the item, everything else at once.
    pub fn signalled(&mut self, signal: i32) {
        let gentle = signal == libc::SIGINT && self.signal.is_none();
        self.signal = Some(signal);
        let mode = if gentle { StopMode::AfterItem } else { StopMode::Now };
        self.request_stop(mode, None);
        self.advance();
    }

    // ---- commands -----------------------------------------------------------------------------------------------

    fn exec(&mut self, by: &Origin, source: String, wait: bool, reply: Reply) {
        match self.inject(by, source) {
            Ok(id) if wait => {
                self.desk.execs.insert(id, reply);
            }
            Ok(id) => {
                let _ = reply.send(Ok(Response::Queued { id }));
            }
            Err(refusal) => {
                let _ = reply.send(Err(refusal));
            }
        }
        self.advance();
    }

    fn inject(&mut self, by: &Origin, source: String) -> Result<CommandId, Refusal> {
        if self.ladder.as_ref().is_some_and(|ladder| self.asked && ladder.then() == Then::Another) {
            return Err(not_now("another child is being started; inject it when that is there"));
        }
        if self.state.phase == SessionPhase::Ended || self.asked || self.verdict.is_some() {
            return Err(not_now("the session is ending; nothing can be injected any more"));
        }
        if !self.queue.has_room() {
            return Err(not_now(&format!("{OPERATORS} injected commands are waiting already")));
        }
        fits(&source).map_err(|why| invalid(&why))?;
        let id = self.state.next_command();
        let command = Waiting { id, phase: Phase::Operator, item: None, source, value: true };
        if !self.intend(vec![queued(&command, Some(by.clone()))]) {
            return Err(disk_full());
        }
        self.desk.sources.insert(id, (command.source.clone(), by.clone()));
        self.queue.push(command);
        Ok(id)
    }

    /// A command's fate is known: those who waited for it are told.
    pub(super) fn answer_exec(&mut self, id: CommandId, outcome: &CommandOutcome) {
        let source = self.desk.sources.remove(&id);
        let Some(reply) = self.desk.execs.remove(&id) else { return };
        let (Some((source, by)), Some(row)) = (source, self.state.command(id)) else { return };
        let cut = source.len() > SOURCE_SHOWN;
        let shown = if cut { source.chars().take(SOURCE_SHOWN / 4).collect() } else { source };
        let view = CommandView { id, row, item_name: None, head: head(&shown), by: Some(by) };
        let detail = CommandDetail { view, source: shown, cut, outcome: Some(outcome.clone()) };
        let _ = reply.send(Ok(Response::Command(Box::new(detail))));
    }

    pub(super) fn interrupt_answered(&mut self, id: u64, ok: bool, reason: &str) {
        let Some((command, rung)) = self.desk.rung_of(id) else { return };
        self.rung_answered(command, rung, ok, reason);
    }

    fn question<'a>(&mut self, frame: impl FnOnce(u64) -> ToChild<'a>, reply: Reply) {
        if !matches!(self.state.child, ChildState::Connected { .. }) {
            let _ = reply.send(Err(not_now("no child is connected")));
            return;
        }
        if self.is_paused() {
            let _ = reply.send(Err(not_now("the child is paused and answers nothing; let it go on first")));
            return;
        }
        let now = self.world.now();
        let id = match self.desk.ask(reply, now) {
            Ok(id) => id,
            Err(question) => return question.refuse(BUSY),
        };
        if let Err(error) = self.world.send(&frame(id))
            && let Some((_, question)) = self.desk.questions.remove(&id)
        {
            question.refuse(&error.to_string());
        }
    }

    /// The child has not answered in time.
    pub(super) fn questions_overdue(&mut self, now: Now) {
        while let Some(oldest) = self.desk.questions.first_entry() {
            if now.mono.since(oldest.get().0.mono) < Micros::from(ANSWER) {
                return;
            }
            let id = *oldest.key();
            match oldest.remove().1 {
                Question::Rung { command, rung } => {
                    self.desk.is_late(id, command, rung);
                    self.rung_unanswered(command, rung);
                }
                question => question.refuse("the child has not answered: something in it keeps Python from running"),
            }
        }
    }

    // ---- the agenda ---------------------------------------------------------------------------------------------

    fn items(&mut self, by: &Origin, verb: ItemVerb, names: &[String]) -> Answer {
        self.refuse_if_over()?;
        if matches!(verb, ItemVerb::Retry | ItemVerb::Unblock) {
            self.refuse_if_supervised()?;
            self.refuse_if_torn_down()?;
        }
        let mut items = Vec::with_capacity(names.len());
        for name in names {
            items.push((self.item_named(name)?, name));
        }
        let (mut changes, mut running, mut refused) = (Vec::new(), None, Vec::new());
        for (item, name) in items {
            let status = self.state.item(item).map(|row| row.status).unwrap_or_default();
            match change(verb, status) {
                Change::To(status) => changes.push(EventKind::ItemChanged { item, status, by: Some(by.clone()) }),
                Change::EndRunning => running = Some(item),
                Change::Refused(why) => refused.push(format!("{name} {why}")),
            }
        }
        let done_so_far = changes.len() + usize::from(running.is_some());
        if !changes.is_empty() && !self.intend(changes) {
            return Err(disk_full());
        }
        if let Some(item) = running {
            self.kill_running_item(item);
        }
        self.clocks.source = None;
        match (refused.is_empty(), done_so_far) {
            (true, 1) => done(&format!("{} {}", names.join(" "), outcome(verb))),
            (true, count) => done(&format!("{count} items {}", outcome(verb))),
            (false, 0) => Err(not_now(&refused.join("; "))),
            (false, count) => Err(not_now(&format!("done to {count} of {}, but {}", names.len(), refused.join("; ")))),
        }
    }

    /// An item that is made pending now would not be run.
    pub(super) fn refuse_if_torn_down(&self) -> Result<(), Refusal> {
        match self.state.phase {
            SessionPhase::Teardown => Err(not_now("the session is being torn down, and no item is run any more")),
            _ => Ok(()),
        }
    }

    /// What is tried again under a supervisor is the supervisor's to say.
    fn refuse_if_supervised(&self) -> Result<(), Refusal> {
        if self.is_supervised() {
            return Err(not_now("the supervisor hands out this job's work: retry or unblock the work in Qube instead"));
        }
        Ok(())
    }

    pub(super) fn item_named(&self, name: &str) -> Result<ItemIndex, Refusal> {
        self.state
            .added
            .find(&self.job, name)
            .ok_or_else(|| Refusal { kind: RefusalKind::NotFound, message: format!("the agenda has no item {name:?}") })
    }

    fn kill_running_item(&mut self, item: ItemIndex) {
        if self.state.running_item.as_ref().is_none_or(|running| running.item != item) {
            return;
        }
        self.killed = true;
        self.fault.get_or_insert_with(|| "killed by an operator".to_owned());
        self.skip_planned("the item was killed");
        if self.running_belongs_to_item() {
            self.end_command("an operator killed the item", FAST);
        }
    }

    // ---- stopping -----------------------------------------------------------------------------------------------

    fn stop(&mut self, by: Origin, mode: StopMode) -> Answer {
        if self.state.phase == SessionPhase::Ended {
            return done("the session is over already");
        }
        self.request_stop(mode, Some(by));
        done(match mode {
            StopMode::AfterItem => "the session ends after the running item",
            StopMode::Now => "the session is being ended now",
        })
    }

    fn request_stop(&mut self, mode: StopMode, by: Option<Origin>) {
        if self.stopping() >= Some(mode) || self.state.phase == SessionPhase::Ended {
            return;
        }
        self.stop = Some(mode);
        self.fact(EventKind::StopRequested { mode, by });
        if mode != StopMode::Now {
            return;
        }
        self.skip_all("the session is stopped");
        if self.state.running_item.is_some() {
            self.fault.get_or_insert_with(|| "the session was stopped".to_owned());
        }
        if self.current.is_some() {
            self.end_command("asked to stop now", FAST);
        } else if self.alive {
            self.leave("asked to stop now");
        }
    }

    pub(super) fn refuse_if_over(&self) -> Result<(), Refusal> {
        match self.state.phase {
            SessionPhase::Ended => Err(not_now("the session is over")),
            _ => Ok(()),
        }
    }
}

/// What a verb has done, said after the items' names.
fn outcome(verb: ItemVerb) -> &'static str {
    match verb {
        ItemVerb::Retry => "will be tried again",
        ItemVerb::Block => "blocked",
        ItemVerb::Unblock => "unblocked",
        ItemVerb::Kill => "killed",
        ItemVerb::Complete => "marked complete",
    }
}

pub(super) enum Change {
    To(ItemStatus),
    EndRunning,
    Refused(&'static str),
}

/// What a verb makes of an item of this status.
pub(super) fn change(verb: ItemVerb, status: ItemStatus) -> Change {
    use ItemStatus::{Blocked, Complete, Failed, Killed, Pending, Retrying, Running, Waiting};
    match (verb, status) {
        (ItemVerb::Kill, Running) => Change::EndRunning,
        (_, Running) => Change::Refused("is running; kill it first"),
        (ItemVerb::Retry, Complete | Failed | Killed | Retrying) | (ItemVerb::Unblock, Blocked) => Change::To(Pending),
        (ItemVerb::Retry, Blocked) => Change::Refused("is blocked; unblock it instead"),
        (ItemVerb::Retry, Pending | Waiting) => Change::Refused("has not been run yet"),
        (ItemVerb::Block, Pending | Waiting | Retrying) => Change::To(Blocked),
        (ItemVerb::Block, Blocked) => Change::Refused("is blocked already"),
        (ItemVerb::Block, Complete | Failed | Killed) => Change::Refused("has ended; there is nothing to block"),
        (ItemVerb::Unblock, _) => Change::Refused("is not blocked"),
        (ItemVerb::Kill, Pending | Waiting | Retrying | Blocked) => Change::To(Killed),
        (ItemVerb::Kill, Complete | Failed | Killed) => Change::Refused("has ended already"),
        (ItemVerb::Complete, Complete) => Change::Refused("is complete already"),
        (ItemVerb::Complete, _) => Change::To(Complete),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every verb gives an answer, which may be a refusal")]
pub(super) fn done(said: &str) -> Answer {
    Ok(Response::Done { said: said.to_owned() })
}

pub(super) fn disk_full() -> Refusal {
    let message = "nothing can be changed while the journal cannot be written: the disk is full or failing".into();
    Refusal { kind: RefusalKind::Failed, message }
}

pub(super) fn not_now(message: &str) -> Refusal {
    Refusal { kind: RefusalKind::NotNow, message: message.to_owned() }
}

pub(super) fn invalid(message: &str) -> Refusal {
    Refusal { kind: RefusalKind::Invalid, message: message.to_owned() }
}
