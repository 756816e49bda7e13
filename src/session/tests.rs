//! The actor against an outside that is scripted, with a clock that only the test moves.

mod channel;
mod driven;
mod finding;
mod ladder;
mod looking_in;
mod outputs;
mod restart;
mod retries;
mod side;
mod timeouts;

use super::*;
use crate::agenda::StoredAgenda;
use crate::backend::class::bridge::Word;
use crate::dispatcher::{ChannelError, FromChild, ToChild};
use crate::model::job::{Agenda, FrameRun, Phases, Retry, Timeouts};
use crate::model::proto::{ItemVerb, RefusalKind, Request, Response};
use crate::model::*;
use crate::store::Recorded;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

mod control;
mod pausing;
mod sequences;

#[derive(Default)]
struct Script {
    now: Now,
    events: Vec<Arc<Event>>,
    seq: u64,
    disk_full: bool,
    sent: Vec<serde_json::Value>,
    launched: Vec<Generation>,
    signals: Vec<i32>,
    killed: u32,
    inspections: Vec<Inspection>,
    /// Whether there are patterns, and up to where their matches were asked for.
    looks_for_something: bool,
    settling: Vec<Marks>,
    inquiries: Vec<Inquiry>,
    job: Arc<Job>,
    /// What the driver was told.
    told: Vec<Word>,
    /// Whether the child's processes are stopped.
    stopped: bool,
    last_output: Option<Now>,
}

impl World for Script {
    fn now(&self) -> Now {
        self.now
    }
    fn journal(&mut self, kinds: &mut Vec<EventKind>) -> Result<Vec<Recorded>, String> {
        if self.disk_full {
            return Err("no space left on device".into());
        }
        let event = |(kind, seq): (EventKind, u64)| {
            Arc::new(Event { seq: Seq(seq), wall: self.now.wall, mono: self.now.mono, kind })
        };
        let events: Vec<_> = kinds.drain(..).zip(self.seq + 1..).map(event).collect();
        self.seq += events.len() as u64;
        self.events.extend(events.iter().cloned());
        Ok(events.into_iter().map(|event| Recorded { at: event.seq.0 * 100, event }).collect())
    }
    fn publish(&mut self, _: &Recorded, _: &State) {}
    fn commands(&self, phase: Phase, item: Option<&ItemSpec>) -> Result<Vec<String>, String> {
        Ok(match (phase, item) {
            (Phase::Setup, _) => self.job.phases.setup.clone(),
            (Phase::Teardown, _) => self.job.phases.teardown.clone(),
            (_, Some(item)) => self.job.phases.commands.iter().map(|text| format!("{text} {}", item.name)).collect(),
            _ => Vec::new(),
        })
    }
    fn launch(&mut self, generation: Generation) {
        self.launched.push(generation);
    }
    fn launch_driver(&mut self) {}
    fn open_channel(&mut self) {}
    fn launch_driven(&mut self, _: Generation, _: crate::backend::class::ChildLaunch) {}
    fn greeting(&self) -> serde_json::Map<String, serde_json::Value> {
        serde_json::Map::default()
    }
    fn tell_driver(&mut self, word: Word) {
        self.told.push(word);
    }
    fn tell_driver_after(&mut self, _: Marks, word: Word) {
        self.told.push(word);
    }
    fn kill_driver(&mut self) {}
    fn give_up_launch(&mut self) {}
    fn inspect_outputs(&mut self, inspection: Inspection) {
        self.inspections.push(inspection);
    }
    fn settle(&mut self, upto: Marks) -> bool {
        self.settling.extend(self.looks_for_something.then_some(upto));
        self.looks_for_something
    }
    fn send(&mut self, frame: &ToChild<'_>) -> Result<(), ChannelError> {
        self.sent.push(serde_json::to_value(frame).unwrap());
        Ok(())
    }
    fn hang_up(&mut self) {}
    fn boundary(&mut self, _: Option<CommandId>) -> Marks {
        Marks::default()
    }
    fn signal(&mut self, signal: i32) -> Result<(), String> {
        self.signals.push(signal);
        Ok(())
    }
    fn kill_everything(&mut self) {
        self.killed += 1;
    }
    fn last_words(&self) -> String {
        String::new()
    }
    fn telemetry(&self) -> Telemetry {
        Telemetry { last_output: self.last_output, ..Telemetry::default() }
    }
    fn pause(&mut self, stop: bool) -> Result<(), String> {
        self.stopped = stop;
        Ok(())
    }
    fn diagnose(&mut self, inquiry: Inquiry) {
        self.inquiries.push(inquiry);
    }
    fn hot(&mut self, _: u32, _: bool) -> Result<HotTree, String> {
        Ok(HotTree::default())
    }
}

fn job(items: u32) -> Job {
    Job {
        name: "test".into(),
        phases: Phases {
            init: vec![],
            setup: vec!["load".into()],
            commands: vec!["one".into(), "two".into()],
            teardown: vec!["close".into()],
        },
        agenda: match items {
            0 => Agenda::Empty,
            count => Agenda::Frames { runs: vec![FrameRun { first: 1, count, step: 1 }], chunk: 1 },
        },
        ..Job::default()
    }
}

struct Stage {
    actor: Actor<Script>,
    /// Whether what the child does is not found out until the test says so.
    puzzled: bool,
}

impl Stage {
    fn new(job: Job) -> Self {
        Self::on(job, State::default())
    }

    fn on(job: Job, state: State) -> Self {
        let job = Arc::new(job);
        let seq = state.seq.0;
        let start = Now { wall: Micros(1_000_000_000), mono: Micros(5_000_000) };
        let world = Script { job: Arc::clone(&job), seq, now: start, ..Script::default() };
        let mut actor = Actor::new(world, job, Box::<StoredAgenda>::default(), state, Label::default());
        actor.begin(1);
        Self { actor, puzzled: false }
    }

    /// Starts the child that the actor wants, up to its hello.
    fn connect(&mut self) {
        self.connect_as(&[]);
    }

    /// The same, with a child that can do more than be interrupted.
    fn connect_as(&mut self, features: &[&str]) {
        assert!(self.actor.child_starting(vec!["python3".into()], "/".into(), vec!["init".into()]));
        self.actor.child_spawned(100, 1);
        let signals = [("SIGINT".into(), "interrupt".into())].into();
        let features = features.iter().map(ToString::to_string).collect();
        self.actor.child_connected(Box::new(Hello { pid: 100, signals, features, ..Hello::default() }));
    }

    /// The last frame that the child was sent.
    fn last_sent(&mut self) -> serde_json::Value {
        self.actor.world().sent.last().cloned().unwrap_or_default()
    }

    fn pass(&mut self, seconds: u64) {
        let now = &mut self.actor.world().now;
        now.wall.0 += seconds * 1_000_000;
        now.mono.0 += seconds * 1_000_000;
        self.actor.tick();
        if !self.puzzled {
            self.find_out();
        }
    }

    /// Answers whatever wants to know what the child is doing.
    fn find_out(&mut self) {
        for inquiry in std::mem::take(&mut self.actor.world().inquiries) {
            self.actor.diagnosed(looking_in::found_out(inquiry));
        }
    }

    /// The text of the command that runs.
    fn running(&self) -> Option<String> {
        self.actor.state().running.map(|_| self.actor.running_source.clone())
    }

    fn finish(&mut self) {
        let id = self.actor.state().running.expect("a command runs").id;
        self.actor.heard(FromChild::Started { id });
        self.actor.heard(FromChild::Finished { id, value: None, cut: None });
    }

    fn raise(&mut self) {
        let id = self.actor.state().running.expect("a command runs").id;
        let exception = Exception { kind: "ValueError".into(), message: "no".into(), ..Exception::default() };
        self.actor.heard(FromChild::Raised { id, exception: Box::new(exception), exit: None });
    }

    fn finish_until(&mut self, text: &str) {
        while self.running().as_deref() != Some(text) {
            self.finish();
        }
    }

    fn ask(&mut self, request: Request) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        self.actor.asked(Origin { user: "op".into(), ..Origin::default() }, request, reply);
        answer
    }

    fn status(&self, item: u32) -> ItemStatus {
        self.actor.state().item(ItemIndex(item)).unwrap().status
    }

    fn exit(&mut self, code: i32) {
        self.actor.child_exited(Exit::Code(code));
    }

    fn ended(&self) -> Option<i32> {
        self.actor.state().ended.as_ref().map(|ended| ended.code)
    }
}

#[test]
fn a_job_runs_through_its_phases_and_ends_with_zero() {
    let mut stage = Stage::new(job(2));
    assert_eq!(stage.actor.world().launched, [Generation(1)]);
    stage.connect();
    let mut seen = Vec::new();
    while let Some(text) = stage.running() {
        seen.push(text);
        stage.finish();
    }
    assert_eq!(seen, ["init", "load", "one 1", "two 1", "one 2", "two 2", "close"]);
    assert_eq!(stage.actor.world().sent.last().unwrap()["type"], "shutdown");
    stage.exit(0);
    assert_eq!(stage.ended(), Some(0));
    assert!(stage.actor.is_over());
}

#[test]
fn a_failed_item_skips_its_rest_and_does_not_stop_the_agenda() {
    let mut stage = Stage::new(job(2));
    stage.connect();
    stage.finish_until("one 1");
    stage.raise();
    assert_eq!(stage.status(0), ItemStatus::Failed);
    assert_eq!(stage.running().as_deref(), Some("one 2"));
    assert_eq!(stage.actor.state().command(CommandId(4)).unwrap().state, CommandState::Skipped);
    stage.finish_until("close");
    stage.finish();
    stage.exit(0);
    assert_eq!(stage.ended(), Some(1));
}

#[test]
fn a_failed_item_is_tried_again_after_its_delay_as_often_as_the_job_says() {
    let retry = Retry { times: 1, delay: Duration::from_secs(7) };
    let mut stage = Stage::new(Job { retry, ..job(1) });
    stage.connect();
    stage.finish_until("one 1");
    stage.raise();
    assert_eq!(stage.status(0), ItemStatus::Retrying);
    stage.pass(6);
    assert_eq!(stage.running(), None);
    stage.pass(1);
    assert_eq!(stage.running().as_deref(), Some("one 1"));
    stage.raise();
    assert_eq!(stage.status(0), ItemStatus::Failed);
    assert_eq!(stage.actor.state().item(ItemIndex(0)).unwrap().attempt, 2);
}

#[test]
fn on_a_full_disk_nothing_is_promised_but_a_stop_is_done() {
    let mut stage = Stage::new(job(2));
    stage.connect();
    stage.finish_until("one 1");
    stage.actor.world().disk_full = true;
    let mut held = stage.ask(Request::Hold);
    assert_eq!(held.try_recv().unwrap().unwrap_err().kind, RefusalKind::Failed);
    stage.ask(Request::Stop { mode: StopMode::Now });
    assert_eq!(stage.actor.world().sent.last().unwrap()["type"], "interrupt");
    stage.raise();
    assert_eq!(stage.actor.world().sent.last().unwrap()["type"], "shutdown");
    stage.exit(0);
    assert!(!stage.actor.is_over());
    stage.pass(31);
    stage.pass(1);
    assert!(stage.actor.is_over(), "nobody waits for a disk for ever");
}

#[test]
fn an_exit_is_not_forgotten_while_the_journal_cannot_be_written() {
    let mut stage = Stage::new(Job { restarts: 0, ..job(1) });
    stage.connect();
    stage.finish_until("two 1");
    stage.actor.world().disk_full = true;
    stage.finish();
    stage.exit(3);
    stage.actor.world().disk_full = false;
    stage.pass(1);
    assert_eq!(stage.ended(), Some(70));
    let ends = stage
        .actor
        .world()
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::CommandEnded { id: CommandId(4), .. }));
    assert_eq!(ends.count(), 1, "a command ends once");
}

#[test]
fn a_question_that_the_child_cannot_answer_is_refused_in_time() {
    let mut stage = Stage::new(job(1));
    stage.connect();
    let mut answer = stage.ask(Request::Check { source: "1".into() });
    stage.pass(9);
    assert!(answer.try_recv().is_err());
    stage.pass(1);
    assert_eq!(answer.try_recv().unwrap().unwrap_err().kind, RefusalKind::NotNow);
}

#[test]
fn a_hold_outlives_its_engine() {
    let mut stage = Stage::new(job(1));
    stage.connect();
    stage.ask(Request::Hold);
    let state = stage.actor.state().clone();
    let stage = Stage::on(job(1), state);
    assert_eq!(
        stage.actor.state().held.as_ref().and_then(|hold| hold.by.as_ref()).map(|by| by.user.as_str()),
        Some("op")
    );
}

#[test]
fn a_failed_setup_is_torn_down_and_ends_with_one() {
    let mut stage = Stage::new(job(2));
    stage.connect();
    stage.finish_until("load");
    stage.raise();
    assert_eq!(stage.running().as_deref(), Some("close"));
    stage.finish();
    stage.exit(0);
    assert_eq!(stage.ended(), Some(1));
    assert_eq!(stage.status(0), ItemStatus::Pending);
}

#[test]
fn a_failed_init_ends_with_sixty_nine() {
    let mut stage = Stage::new(job(1));
    stage.connect();
    stage.raise();
    stage.finish_until("close");
    stage.finish();
    stage.exit(0);
    assert_eq!(stage.ended(), Some(69));
}

#[test]
fn any_exit_nobody_asked_for_is_a_failure_also_with_code_zero() {
    let mut stage = Stage::new(job(3));
    stage.connect();
    stage.finish_until("two 1");
    stage.exit(0);
    assert_eq!(stage.status(0), ItemStatus::Failed);
    assert_eq!(stage.status(1), ItemStatus::Pending, "no work is begun for a dead child");
    assert_eq!(stage.actor.state().command(CommandId(4)).unwrap().state, CommandState::Lost);
    assert_eq!(stage.ended(), Some(70));
}

#[test]
fn a_job_that_allows_restarts_goes_on_with_a_new_child() {
    let mut stage = Stage::new(Job { restarts: 1, ..job(2) });
    stage.connect();
    stage.finish_until("one 1");
    stage.exit(0);
    assert_eq!(stage.actor.world().launched, [Generation(1), Generation(2)]);
    stage.connect();
    assert_eq!(stage.running().as_deref(), Some("init"));
    stage.finish_until("one 2");
    stage.exit(0);
    assert_eq!(stage.ended(), Some(70), "only one restart was allowed");
}

#[test]
fn a_child_that_never_says_hello_is_ended_in_steps() {
    let timeouts = Timeouts { startup: Some(Duration::from_secs(20)), ..Timeouts::default() };
    let mut stage = Stage::new(Job { timeouts, ..job(1) });
    assert!(stage.actor.child_starting(vec![], "/".into(), vec![]));
    stage.actor.child_spawned(100, 1);
    stage.pass(20);
    assert_eq!(stage.actor.world().signals, [libc::SIGTERM]);
    stage.pass(10);
    assert_eq!(stage.actor.world().killed, 1);
    stage.actor.child_exited(Exit::Signal(SignalName(9)));
    assert_eq!(stage.ended(), Some(69));
}

#[test]
fn an_operator_s_command_runs_next_and_a_hold_does_not_hold_it() {
    let mut stage = Stage::new(job(1));
    stage.connect();
    stage.finish_until("one 1");
    let mut answer = stage.ask(Request::Exec { source: "6*7".into(), wait: true });
    stage.finish();
    assert_eq!(stage.running().as_deref(), Some("6*7"));
    let id = stage.actor.state().running.unwrap().id;
    stage.actor.heard(FromChild::Finished { id, value: Some("42".into()), cut: None });
    let Ok(Ok(Response::Command(detail))) = answer.try_recv() else { panic!("no answer") };
    assert_eq!(detail.outcome, Some(CommandOutcome::Finished { value: Some("42".into()), cut: None }));
    assert_eq!(stage.running().as_deref(), Some("two 1"));
    stage.ask(Request::Hold);
    stage.ask(Request::Exec { source: "held()".into(), wait: false });
    stage.finish();
    assert_eq!(stage.running().as_deref(), Some("held()"));
}

#[test]
fn an_operator_s_exception_fails_nothing() {
    let mut stage = Stage::new(job(1));
    stage.connect();
    stage.finish_until("one 1");
    stage.ask(Request::Exec { source: "1/0".into(), wait: false });
    stage.finish();
    stage.raise();
    stage.finish_until("close");
    assert_eq!(stage.status(0), ItemStatus::Complete);
}

#[test]
fn a_held_agenda_waits_and_goes_on_when_released() {
    let mut stage = Stage::new(Job { hold: true, ..job(1) });
    stage.connect();
    stage.finish();
    stage.finish();
    assert_eq!(stage.running(), None);
    assert!(stage.actor.summary().waits.iter().any(|wait| wait.what == WaitFor::Release));
    stage.ask(Request::Release);
    assert_eq!(stage.running().as_deref(), Some("one 1"));
    stage.finish();
    stage.finish();
    assert_eq!(stage.running(), None, "a session that was started on hold stays until it is stopped");
    stage.ask(Request::Stop { mode: StopMode::AfterItem });
    stage.finish();
    stage.exit(0);
    assert_eq!(stage.ended(), Some(0));
}

#[test]
fn stopping_after_the_item_tears_down_and_stopping_now_gives_the_item_back() {
    let mut stage = Stage::new(job(2));
    stage.connect();
    stage.finish_until("one 1");
    stage.ask(Request::Stop { mode: StopMode::AfterItem });
    stage.finish();
    assert_eq!(stage.running().as_deref(), Some("two 1"));
    stage.finish();
    assert_eq!(stage.running().as_deref(), Some("close"));
    stage.finish();
    stage.exit(0);
    assert_eq!(stage.ended(), Some(130));

    let mut stage = Stage::new(job(2));
    stage.connect();
    stage.finish_until("one 1");
    stage.ask(Request::Stop { mode: StopMode::Now });
    assert_eq!(stage.actor.world().sent.last().unwrap()["type"], "interrupt");
    stage.raise();
    assert_eq!(stage.actor.world().sent.last().unwrap()["type"], "shutdown");
    stage.exit(0);
    assert_eq!(stage.status(0), ItemStatus::Pending);
    assert_eq!(stage.ended(), Some(130));
}

#[test]
fn the_second_sigint_and_sigterm_stop_at_once() {
    let mut stage = Stage::new(job(2));
    stage.connect();
    stage.actor.signalled(libc::SIGINT);
    assert_eq!(stage.actor.state().stop, Some(StopMode::AfterItem));
    stage.actor.signalled(libc::SIGTERM);
    assert_eq!(stage.actor.state().stop, Some(StopMode::Now));
    stage.raise();
    stage.exit(0);
    assert_eq!(stage.ended(), Some(143));
}

#[test]
fn an_operator_kills_blocks_and_retries_items() {
    let mut stage = Stage::new(job(3));
    stage.connect();
    stage.finish_until("one 1");
    stage.ask(Request::Items { verb: ItemVerb::Block, names: vec!["2".into()] });
    stage.ask(Request::Items { verb: ItemVerb::Kill, names: vec!["1".into()] });
    stage.raise();
    assert_eq!((stage.status(0), stage.status(1)), (ItemStatus::Killed, ItemStatus::Blocked));
    assert_eq!(stage.running().as_deref(), Some("one 3"));
    stage.ask(Request::Items { verb: ItemVerb::Retry, names: vec!["1".into()] });
    assert_eq!(stage.status(0), ItemStatus::Pending);
    let mut wrong = stage.ask(Request::Items { verb: ItemVerb::Block, names: vec!["nine".into()] });
    assert_eq!(wrong.try_recv().unwrap().unwrap_err().kind, RefusalKind::NotFound);
}

#[test]
fn while_the_journal_cannot_be_written_nothing_new_is_begun_and_nothing_is_forgotten() {
    let mut stage = Stage::new(job(2));
    stage.connect();
    stage.finish_until("two 1");
    stage.actor.world().disk_full = true;
    let sent = stage.actor.world().sent.len();
    stage.finish();
    assert_eq!(stage.actor.world().sent.len(), sent, "no new item is taken");
    assert!(stage.actor.summary().waits.iter().any(|wait| wait.what == WaitFor::Journal));
    stage.pass(1);
    stage.actor.world().disk_full = false;
    stage.pass(1);
    assert_eq!(stage.status(0), ItemStatus::Complete);
    assert_eq!(stage.running().as_deref(), Some("one 2"));
}

#[test]
fn a_child_that_speaks_of_a_command_that_does_not_run_is_ended() {
    let mut stage = Stage::new(job(2));
    stage.connect();
    stage.finish_until("one 1");
    stage.actor.heard(FromChild::Finished { id: CommandId(99), value: None, cut: None });
    assert_ne!(stage.running().as_deref(), Some("two 1"));
    stage.pass(10);
    assert_eq!(stage.actor.world().signals, [libc::SIGTERM]);
    stage.actor.child_exited(Exit::Signal(SignalName(15)));
    assert_eq!(stage.status(0), ItemStatus::Failed);
    assert_eq!(stage.ended(), Some(70));
}

#[test]
fn a_resumed_session_settles_what_was_open_and_runs_the_rest() {
    let mut stage = Stage::new(Job { retry: Retry { times: 1, ..Retry::default() }, ..job(2) });
    stage.connect();
    stage.finish_until("two 1");
    stage.ask(Request::Exec { source: "mine".into(), wait: false });
    let state = stage.actor.state().clone();
    let resumed = Job { retry: Retry { times: 1, ..Retry::default() }, ..job(2) };
    let mut stage = Stage::on(resumed, state);
    let command = |stage: &Stage, id| stage.actor.state().command(CommandId(id)).unwrap().state;
    assert_eq!(command(&stage, 4), CommandState::Lost);
    assert_eq!(command(&stage, 5), CommandState::Lost, "an operator's command is never sent again");
    assert_eq!(stage.status(0), ItemStatus::Pending);
    assert_eq!(stage.actor.world().launched, [Generation(2)]);
    stage.connect();
    stage.finish_until("one 1");
    assert_eq!(stage.actor.state().item(ItemIndex(0)).unwrap().attempt, 2);
}

#[test]
fn any_split_of_the_events_folds_to_the_same_state() {
    let mut stage = Stage::new(Job { restarts: 2, ..job(5) });
    stage.connect();
    stage.finish_until("one 2");
    stage.raise();
    stage.exit(3);
    stage.connect();
    stage.finish_until("close");
    let events = stage.actor.world().events.clone();
    for split in 0..events.len() {
        let mut state = State::default();
        let (before, after) = events.split_at(split);
        for event in before {
            state.apply(event, event.seq.0 * 100);
        }
        let json = serde_json::to_string(&state).unwrap();
        let mut state: State = serde_json::from_str(&json).unwrap();
        for event in after {
            state.apply(event, event.seq.0 * 100);
        }
        assert_eq!(&state, stage.actor.state(), "split at {split}");
    }
}
