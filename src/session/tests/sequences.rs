//! Any sequence of an operator's verbs and of what the child does keeps what an agenda promises.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const ITEMS: u32 = 3;

/// Something that happens to a session.
#[derive(Debug, Clone)]
enum Move {
    Ask(Request),
    /// The running command ends, if one runs.
    Finish,
    Raise,
    /// The child ends by itself; another one is started.
    Exit,
    Pass(u64),
    /// The disk takes nothing while this is asked.
    FullDisk(Request),
    /// The engine dies, and another one goes on.
    Die,
}

fn name() -> impl Strategy<Value = String> {
    (1..=ITEMS).prop_map(|number| number.to_string())
}

fn stops() -> impl Strategy<Value = Stops> {
    let command = prop_oneof![Just("two"), Just("^one 2$"), Just("load"), Just("edited")];
    let breakpoint =
        prop_oneof![name().prop_map(Breakpoint::Item), command.prop_map(|text| Breakpoint::Command(text.to_owned())),];
    (any::<bool>(), proptest::collection::vec(breakpoint, 0..3))
        .prop_map(|(on_failure, breakpoints)| Stops { on_failure, breakpoints })
}

fn request() -> impl Strategy<Value = Request> {
    let step = prop_oneof![Just(Step::Command), Just(Step::Item)];
    let verb = prop_oneof![
        Just(ItemVerb::Retry),
        Just(ItemVerb::Block),
        Just(ItemVerb::Unblock),
        Just(ItemVerb::Kill),
        Just(ItemVerb::Complete)
    ];
    let edited = prop_oneof![Just(None), Just(Some(vec![])), Just(Some(vec!["edited".to_owned(), "more".to_owned()]))];
    prop_oneof![
        1 => Just(Request::Hold),
        1 => Just(Request::Break),
        2 => Just(Request::Release),
        4 => (step, proptest::option::weighted(0.3, name())).prop_map(|(step, item)| Request::Step { step, item }),
        2 => stops().prop_map(|stops| Request::SetStops { stops }),
        3 => (verb, name()).prop_map(|(verb, name)| Request::Items { verb, names: vec![name] }),
        1 => (name(), edited).prop_map(|(name, commands)| Request::Edit { name, commands }),
        1 => Just(Request::Pause),
        2 => Just(Request::Continue),
        1 => Just(Request::Exec { source: "mine".into(), wait: false }),
    ]
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let some = prop_oneof![
        8 => request().prop_map(Move::Ask),
        8 => Just(Move::Finish),
        2 => Just(Move::Raise),
        1 => Just(Move::Exit),
        1 => (0u64..3).prop_map(Move::Pass),
        1 => request().prop_map(Move::FullDisk),
        1 => Just(Move::Die),
    ];
    proptest::collection::vec(some, 0..60)
}

fn a_job(tries: u32) -> Job {
    Job { restarts: 1000, retry: Retry { times: tries, delay: Duration::from_secs(1) }, ..job(ITEMS) }
}

impl Stage {
    fn make(mut self, one: Move, seen: &mut Vec<Arc<Event>>) -> Self {
        match one {
            Move::Ask(request) => drop(self.ask(request)),
            Move::Finish if self.running().is_some() => self.finish(),
            // A setup that failed would end the session, which is not what is looked at.
            Move::Raise if self.running().is_some() && self.actor.state().phase == SessionPhase::Agenda => self.raise(),
            Move::Exit => {
                self.exit(1);
                if self.ended().is_none() {
                    self.connect();
                }
            }
            Move::Pass(seconds) => self.pass(seconds),
            Move::FullDisk(request) => {
                self.actor.world().disk_full = true;
                self.ask(request);
                self.actor.world().disk_full = false;
                self.pass(1);
            }
            Move::Die => {
                seen.append(&mut self.actor.world().events);
                let (job, now) = (Job::clone(&self.actor.job), self.actor.world().now);
                self = Self::on(job, self.actor.state().clone());
                self.actor.world().now = now;
                self.connect();
            }
            _ => {}
        }
        self
    }

    /// Everything is let go on, to the session's end.
    fn run_out(&mut self) {
        let blocked = (1..=ITEMS).map(|number| number.to_string()).collect();
        drop(self.ask(Request::SetStops { stops: Stops::default() }));
        drop(self.ask(Request::Items { verb: ItemVerb::Unblock, names: blocked }));
        drop(self.ask(Request::Continue));
        drop(self.ask(Request::Release));
        for _ in 0..1000 {
            if self.running().is_some() {
                self.finish();
            } else if self.actor.world().sent.last().is_some_and(|frame| frame["type"] == "shutdown") {
                return self.exit(0);
            } else {
                self.pass(1);
            }
        }
    }
}

/// What an agenda promises, as the journal tells it.
#[derive(Default)]
struct Promises {
    state: State,
    texts: BTreeMap<CommandId, (Phase, String)>,
    sent: BTreeSet<CommandId>,
    /// What the running attempt has sent.
    attempt: BTreeSet<String>,
    /// How many of the job's commands may still be sent; `None` is any number.
    may_send: Option<u32>,
    /// Whether an item may be begun.
    held: bool,
}

impl Promises {
    fn check(&mut self, event: &Event) {
        match &event.kind {
            EventKind::CommandQueued { id, phase, source, .. } => {
                self.texts.insert(*id, (*phase, source.clone()));
            }
            EventKind::CommandSent { id, .. } => self.sent(*id),
            EventKind::Held { commands, .. } => (self.may_send, self.held) = (commands.then_some(0), true),
            EventKind::Released { .. } => (self.may_send, self.held) = (None, false),
            EventKind::Stepped { step, .. } => {
                (self.may_send, self.held) = ((*step == Step::Command).then_some(1), false);
            }
            EventKind::EngineStarted { held, .. } => {
                let commands = self.state.held.as_ref().is_some_and(|hold| hold.commands);
                (self.may_send, self.held) = (commands.then_some(0), *held);
            }
            EventKind::ItemStarted { item, .. } => {
                assert_eq!(self.state.running_item, None, "one item at a time");
                assert_eq!(self.state.item(*item).unwrap().status, ItemStatus::Pending, "{event:?}");
                assert!(!self.held, "begun while held: {event:?}");
                self.attempt.clear();
            }
            _ => {}
        }
        self.state.apply(event, event.seq.0 * 100);
        let total: u32 = self.state.counts.values().sum();
        assert!(total == ITEMS || total == 0, "none is lost: {:?}", self.state.counts);
    }

    fn sent(&mut self, id: CommandId) {
        let (phase, text) = &self.texts[&id];
        assert!(self.sent.insert(id), "sent twice: {id} {text}");
        assert_eq!(self.state.running, None, "one command at a time");
        assert!(self.state.paused.is_none(), "sent to a paused child: {text}");
        if *phase == Phase::Item {
            assert!(self.attempt.insert(text.clone()), "twice in one attempt: {text}");
        }
        if *phase != Phase::Operator
            && let Some(left) = &mut self.may_send
        {
            assert!(*left > 0, "sent while held: {text}");
            *left -= 1;
        }
    }
}

proptest! {
    #[test]
    fn any_sequence_of_verbs_keeps_what_the_agenda_promises(tries in 0u32..2, moves in moves()) {
        let mut stage = Stage::new(a_job(tries));
        stage.connect();
        let mut seen = Vec::new();
        for one in moves {
            if stage.ended().is_none() {
                stage = stage.make(one, &mut seen);
            }
        }
        let closing = matches!(stage.actor.state().phase, SessionPhase::Teardown | SessionPhase::Ended);
        if stage.ended().is_none() {
            stage.run_out();
        }
        seen.append(&mut stage.actor.world().events);
        let mut promises = Promises::default();
        for event in &seen {
            promises.check(event);
        }
        prop_assert_eq!(&promises.state, stage.actor.state());
        prop_assert!(stage.ended().is_some(), "no end: {:?}", seen.last());
        // One that was blocked when no item could be begun any more stays so.
        let blocked = if closing { stage.actor.state().count(ItemStatus::Blocked) as usize } else { 0 };
        let open = stage.actor.state().items.iter().filter(|row| !row.status.is_final()).count();
        prop_assert_eq!(open, blocked, "{:?}", stage.actor.state().counts);
    }
}
