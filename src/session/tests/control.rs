//! Hold on failure, break, step, breakpoints and edits.

use super::*;

impl Stage {
    /// A stage whose child has run setup; the first item's first command runs.
    pub(super) fn at_work(job: Job) -> Self {
        let mut stage = Self::new(job);
        stage.connect();
        stage.finish_until("one 1");
        stage
    }

    /// Asks for what must be done, and gives what was said.
    pub(super) fn does(&mut self, request: Request) -> String {
        let asked = format!("{request:?}");
        match self.ask(request).try_recv() {
            Ok(Ok(Response::Done { said })) => said,
            other => panic!("{asked:.500}: {other:?}"),
        }
    }

    /// Asks for what must be refused, and gives why.
    pub(super) fn refuses(&mut self, request: Request, kind: RefusalKind) -> String {
        let asked = format!("{request:?}");
        match self.ask(request).try_recv() {
            Ok(Err(refusal)) if refusal.kind == kind => refusal.message,
            other => panic!("{asked:.500}: {other:?}"),
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        self.does(Request::Step { step, item: None });
    }

    pub(super) fn step_to(&mut self, step: Step, name: &str) {
        self.does(Request::Step { step, item: Some(name.into()) });
    }

    fn retry(&mut self, name: &str) {
        self.does(Request::Items { verb: ItemVerb::Retry, names: vec![name.into()] });
    }

    fn break_at(&mut self, breakpoint: Breakpoint) {
        self.does(Request::SetStops { stops: Stops { on_failure: false, breakpoints: vec![breakpoint] } });
    }

    /// Why the agenda is held, and whether commands are.
    fn held(&self) -> Option<(HoldReason, bool)> {
        self.actor.state().held.as_ref().map(|hold| (hold.why.clone(), hold.commands))
    }

    fn awaits(&self, what: WaitFor) -> bool {
        self.actor.summary().waits.iter().any(|wait| wait.what == what)
    }

    /// The texts that were sent, in order.
    pub(super) fn sent(&mut self) -> Vec<String> {
        let sent = self.actor.world().sent.iter();
        sent.filter_map(|frame| frame["source"].as_str().map(str::to_owned)).collect()
    }

    fn finish_all(&mut self) {
        while self.running().is_some() {
            self.finish();
        }
    }
}

fn stopping_on_failure(items: u32) -> Job {
    Job { stops: Stops { on_failure: true, ..Stops::default() }, ..job(items) }
}

fn command(text: &str) -> Breakpoint {
    Breakpoint::Command(text.into())
}

fn item(name: &str) -> Breakpoint {
    Breakpoint::Item(name.into())
}

fn edit(name: &str, commands: &[&str]) -> Request {
    let commands = commands.iter().map(|&command| command.into()).collect();
    Request::Edit { name: name.into(), commands: Some(commands) }
}

#[test]
fn a_failure_holds_the_agenda_in_the_same_write_and_a_retry_runs_in_place() {
    let mut stage = Stage::at_work(stopping_on_failure(2));
    stage.raise();
    assert_eq!(stage.status(0), ItemStatus::Failed);
    assert_eq!(stage.held(), Some((HoldReason::Failure(ItemIndex(0)), false)));
    assert_eq!(stage.running(), None);
    assert!(stage.awaits(WaitFor::Release));
    let events = stage.actor.world().events.clone();
    let end = events.iter().position(|event| matches!(event.kind, EventKind::ItemEnded { .. })).unwrap();
    assert!(matches!(events[end + 1].kind, EventKind::Held { .. }), "{:?}", events[end + 1]);
    stage.retry("1");
    stage.does(Request::Release);
    assert_eq!(stage.running().as_deref(), Some("one 1"));
    stage.finish_until("one 2");
    assert_eq!(stage.status(0), ItemStatus::Complete);
}

#[test]
fn a_failure_of_the_last_item_holds_too_and_a_release_tears_down() {
    let mut stage = Stage::at_work(stopping_on_failure(1));
    stage.raise();
    assert_eq!(stage.running(), None, "the child stays warm");
    stage.retry("1");
    stage.step(Step::Item);
    stage.finish();
    stage.raise();
    assert_eq!(stage.held(), Some((HoldReason::Failure(ItemIndex(0)), false)), "a failed step says so");
    assert!(stage.refuses(Request::Step { step: Step::Item, item: None }, RefusalKind::NotNow).contains("no item"));
    stage.does(Request::Release);
    assert_eq!(stage.running().as_deref(), Some("close"));
}

#[test]
fn only_a_failure_for_good_holds() {
    let mut stage = Stage::at_work(Job { retry: Retry { times: 1, ..Retry::default() }, ..stopping_on_failure(3) });
    stage.raise();
    assert_eq!(stage.held(), None, "it will be tried again");
    stage.does(Request::Items { verb: ItemVerb::Kill, names: vec!["2".into()] });
    stage.raise();
    assert_eq!((stage.status(1), stage.held()), (ItemStatus::Killed, None), "an operator killed it");
    stage.does(Request::Stop { mode: StopMode::AfterItem });
    stage.raise();
    assert_eq!(stage.held(), None, "a session that is to end is not held");
}

#[test]
fn an_operator_says_for_this_session_whether_a_failure_holds() {
    let mut stage = Stage::at_work(stopping_on_failure(2));
    stage.does(Request::SetStops { stops: Stops::default() });
    assert!(!stage.actor.summary().stops.on_failure);
    stage.raise();
    assert_eq!(stage.running().as_deref(), Some("one 2"));
}

#[test]
fn an_item_that_a_dead_engine_cost_its_last_try_holds() {
    let mut stage = Stage::at_work(stopping_on_failure(2));
    let state = stage.actor.state().clone();
    stage = Stage::on(stopping_on_failure(2), state);
    assert_eq!(stage.held(), Some((HoldReason::Failure(ItemIndex(0)), false)));
}

#[test]
fn a_break_holds_within_an_item_and_stops_its_clock_but_no_operator() {
    let timeouts = Timeouts { item: Some(Duration::from_secs(30)), ..Timeouts::default() };
    let mut stage = Stage::at_work(Job { timeouts, ..job(2) });
    stage.pass(5);
    stage.does(Request::Break);
    stage.finish();
    assert_eq!((stage.running(), stage.status(0)), (None, ItemStatus::Running));
    assert!(stage.awaits(WaitFor::Release));
    stage.ask(Request::Exec { source: "look()".into(), wait: false });
    assert_eq!(stage.running().as_deref(), Some("look()"));
    stage.finish();
    stage.pass(100);
    assert_eq!(stage.running(), None);
    stage.does(Request::Release);
    assert_eq!(stage.running().as_deref(), Some("two 1"));
    stage.pass(7);
    stage.finish();
    let took = stage.actor.state().item(ItemIndex(0)).unwrap().took;
    assert_eq!((stage.status(0), took), (ItemStatus::Complete, Micros(12_000_000)));
}

#[test]
fn a_plain_hold_becomes_a_break_and_lets_the_running_item_finish_until_then() {
    let mut stage = Stage::at_work(job(2));
    stage.does(Request::Hold);
    stage.finish();
    assert_eq!(stage.running().as_deref(), Some("two 1"));
    stage.does(Request::Break);
    assert_eq!(stage.held(), Some((HoldReason::Asked, true)));
    assert!(stage.does(Request::Break).contains("already"));
    stage.finish();
    assert_eq!(stage.status(0), ItemStatus::Complete, "nothing is left that could wait");
    assert_eq!(stage.running(), None);
}

#[test]
fn steps_of_one_command_lead_through_every_phase() {
    let mut stage = Stage::new(job(2));
    let held = stage.refuses(Request::Step { step: Step::Command, item: None }, RefusalKind::NotNow);
    assert!(held.contains("hold it"), "{held}");
    stage.does(Request::Break);
    stage.connect();
    assert_eq!(stage.running(), None, "init waits too");
    for text in ["init", "load", "one 1", "two 1", "one 2"] {
        stage.step(Step::Command);
        assert_eq!(stage.running().as_deref(), Some(text));
        stage.refuses(Request::Step { step: Step::Command, item: None }, RefusalKind::NotNow);
        stage.finish();
        assert_eq!(stage.running(), None);
        assert_eq!(stage.held(), Some((HoldReason::Stepped, true)));
    }
    assert_eq!((stage.status(0), stage.status(1)), (ItemStatus::Complete, ItemStatus::Running));
    stage.does(Request::Release);
    stage.finish_all();
    assert_eq!(stage.sent(), ["init", "load", "one 1", "two 1", "one 2", "two 2", "close"]);
}

#[test]
fn a_step_of_one_item_is_its_rest_or_all_of_the_next() {
    let mut stage = Stage::at_work(job(3));
    stage.does(Request::Break);
    stage.finish();
    stage.step(Step::Item);
    assert_eq!(stage.running().as_deref(), Some("two 1"));
    stage.finish();
    assert_eq!(stage.held(), Some((HoldReason::Stepped, false)));
    assert_eq!(stage.running(), None);
    stage.step(Step::Item);
    stage.finish();
    assert_eq!(stage.running().as_deref(), Some("two 2"));
    stage.raise();
    assert_eq!((stage.status(1), stage.running()), (ItemStatus::Failed, None));
    assert_eq!(stage.held(), Some((HoldReason::Stepped, false)));
}

#[test]
fn a_step_may_name_its_item_which_is_put_back_if_it_has_ended() {
    let mut stage = Stage::at_work(job(4));
    stage.does(Request::Hold);
    let other = stage.refuses(Request::Step { step: Step::Item, item: Some("3".into()) }, RefusalKind::NotNow);
    assert!(other.contains("item 1 is not over"), "{other}");
    stage.finish();
    stage.finish();
    stage.step_to(Step::Item, "3");
    assert_eq!(stage.running().as_deref(), Some("one 3"));
    stage.finish();
    stage.finish();
    stage.step_to(Step::Command, "1");
    assert_eq!(stage.running().as_deref(), Some("one 1"), "it was complete");
    stage.finish();
    stage.does(Request::Items { verb: ItemVerb::Block, names: vec!["4".into()] });
    stage.refuses(Request::Step { step: Step::Item, item: Some("4".into()) }, RefusalKind::NotNow);
    stage.refuses(Request::Step { step: Step::Item, item: Some("nine".into()) }, RefusalKind::NotFound);
    stage.does(Request::Release);
    stage.finish_all();
    let sent = stage.sent();
    let ones: Vec<&str> = sent.iter().filter_map(|text| text.strip_prefix("one ")).collect();
    assert_eq!(ones, ["1", "3", "1", "2"], "and no item twice in one go");
}

#[test]
fn a_step_is_journalled_before_it_is_acted_on() {
    let mut stage = Stage::at_work(job(2));
    stage.does(Request::Break);
    stage.finish();
    stage.actor.world().disk_full = true;
    stage.refuses(Request::Step { step: Step::Command, item: None }, RefusalKind::Failed);
    assert_eq!(stage.running(), None);
    stage.actor.world().disk_full = false;
    stage.pass(1);
    stage.step(Step::Command);
    let kinds: Vec<_> = stage.actor.world().events.iter().rev().take(2).map(|event| event.kind.clone()).collect();
    assert!(matches!(kinds[..], [EventKind::CommandSent { .. }, EventKind::Stepped { .. }]), "{kinds:?}");
}

#[test]
fn a_step_that_waits_is_ended_by_a_hold_and_a_stop_wins_over_all() {
    let retry = Retry { times: 1, delay: Duration::from_mins(5) };
    let mut stage = Stage::at_work(Job { retry, ..job(1) });
    stage.does(Request::Hold);
    stage.raise();
    stage.step(Step::Item);
    assert!(stage.awaits(WaitFor::Retry));
    stage.does(Request::Hold);
    assert!(!stage.awaits(WaitFor::Retry));
    stage.step(Step::Command);
    stage.pass(300);
    assert_eq!(stage.running().as_deref(), Some("one 1"));
    stage.does(Request::Stop { mode: StopMode::AfterItem });
    stage.finish();
    assert_eq!(stage.running().as_deref(), Some("two 1"), "the item is gone on with to its end");
    stage.refuses(Request::Break, RefusalKind::NotNow);
    stage.finish_until("close");
}

#[test]
fn a_failed_setup_waits_for_the_operator_who_steps() {
    let timeouts = Timeouts { teardown: Some(Duration::from_secs(10)), ..Timeouts::default() };
    let mut stage = Stage::new(Job { timeouts, ..job(1) });
    stage.does(Request::Break);
    stage.connect();
    stage.step(Step::Command);
    stage.finish();
    stage.step(Step::Command);
    stage.raise();
    assert_eq!((stage.actor.state().phase, stage.running()), (SessionPhase::Teardown, None));
    stage.pass(60);
    assert_eq!(stage.actor.world().signals, [0; 0], "its clock stands");
    stage.does(Request::Release);
    assert_eq!(stage.running().as_deref(), Some("close"));
    stage.pass(10);
    assert_eq!(stage.actor.world().signals, [libc::SIGTERM]);
}

#[test]
fn a_breakpoint_on_a_command_stops_once_an_attempt() {
    let mut stage = Stage::at_work(Job { retry: Retry { times: 1, ..Retry::default() }, ..job(1) });
    stage.break_at(command("^two 1$"));
    stage.finish();
    assert_eq!(stage.running(), None);
    assert_eq!(stage.held(), Some((HoldReason::Breakpoint(command("^two 1$")), true)));
    stage.ask(Request::Exec { source: "two 1".into(), wait: false });
    assert_eq!(stage.running().as_deref(), Some("two 1"), "an operator's command stops nowhere");
    stage.finish();
    stage.does(Request::Release);
    assert_eq!(stage.running().as_deref(), Some("two 1"));
    stage.raise();
    stage.pass(0);
    assert_eq!(stage.running().as_deref(), Some("one 1"), "the next try");
    stage.finish();
    assert_eq!(stage.running(), None, "it stops there again");
    stage.step(Step::Command);
    assert_eq!(stage.running().as_deref(), Some("two 1"));
}

#[test]
fn where_a_step_has_come_to_no_breakpoint_stops_once_more() {
    let mut stage = Stage::at_work(job(1));
    stage.break_at(command("two"));
    stage.does(Request::Break);
    stage.finish();
    assert_eq!(stage.held(), Some((HoldReason::Asked, true)));
    stage.does(Request::Release);
    assert_eq!(stage.running().as_deref(), Some("two 1"));
}

#[test]
fn a_breakpoint_stops_a_step_over_an_item() {
    let mut stage = Stage::at_work(job(2));
    stage.break_at(command("two"));
    stage.does(Request::Hold);
    stage.finish();
    assert_eq!(stage.held(), Some((HoldReason::Breakpoint(command("two")), true)), "a plain hold lets commands run");
    stage.step(Step::Item);
    stage.finish();
    stage.step(Step::Item);
    stage.finish();
    assert_eq!(stage.held(), Some((HoldReason::Breakpoint(command("two")), true)));
}

#[test]
fn a_breakpoint_on_an_item_stops_before_each_of_its_attempts() {
    let mut stage = Stage::at_work(job(3));
    stage.break_at(item("2"));
    stage.finish();
    stage.finish();
    assert_eq!(stage.held(), Some((HoldReason::Breakpoint(item("2")), false)));
    assert_eq!((stage.running(), stage.status(1)), (None, ItemStatus::Pending));
    stage.does(Request::Release);
    assert_eq!(stage.running().as_deref(), Some("one 2"));
    stage.raise();
    stage.retry("2");
    stage.finish();
    stage.finish();
    assert_eq!(stage.held(), Some((HoldReason::Breakpoint(item("2")), false)));
    stage.step(Step::Item);
    assert_eq!(stage.running().as_deref(), Some("one 2"));
}

#[test]
fn an_item_at_whose_breakpoint_an_engine_died_is_passed_by_a_release() {
    let mut stage = Stage::at_work(job(2));
    stage.break_at(item("2"));
    stage.finish();
    stage.finish();
    let state = stage.actor.state().clone();
    let mut stage = Stage::on(job(2), state);
    stage.connect();
    stage.finish_all();
    assert_eq!(stage.held(), Some((HoldReason::Breakpoint(item("2")), false)));
    stage.does(Request::Release);
    assert_eq!(stage.running().as_deref(), Some("one 2"));
}

#[test]
fn an_item_that_was_blocked_at_its_breakpoint_is_not_run() {
    let mut stage = Stage::at_work(job(3));
    stage.break_at(item("2"));
    stage.finish();
    stage.finish();
    stage.does(Request::Items { verb: ItemVerb::Block, names: vec!["2".into()] });
    stage.does(Request::Release);
    assert_eq!(stage.running().as_deref(), Some("one 3"));
}

#[test]
fn breakpoints_that_cannot_be_used_are_refused_with_their_place_or_told() {
    let mut stage = Stage::at_work(job(1));
    let mut refused = |breakpoints: Vec<Breakpoint>| {
        let stops = Stops { on_failure: true, breakpoints };
        stage.refuses(Request::SetStops { stops }, RefusalKind::Invalid)
    };
    assert_eq!(
        refused(vec![item("1"), command("a(")]),
        "breakpoint /a(/: unclosed group, at character 2 of the pattern"
    );
    assert_eq!(refused(vec![item("nine")]), "breakpoint \"nine\": the agenda has no such item");
    assert!(refused(vec![item("1"); 101]).contains("100"));
    assert_eq!(stage.actor.state().stops, None);
    let stops = Stops { on_failure: false, breakpoints: vec![command("("), command("two")] };
    let mut stage = Stage::at_work(Job { stops, ..job(1) });
    let note = |event: &Arc<Event>| matches!(&event.kind, EventKind::Note { text } if text.contains("breakpoint /(/"));
    assert!(stage.actor.world().events.iter().any(note));
    stage.finish();
    assert_eq!(stage.running(), None, "the others are kept");
}

#[test]
fn edited_commands_run_from_the_next_attempt_on_and_outlive_the_engine() {
    let mut stage = Stage::at_work(job(3));
    assert!(stage.does(edit("1", &["{x}"])).contains("next attempt"));
    stage.does(edit("2", &["a {frame}", "b"]));
    stage.finish();
    assert_eq!(stage.running().as_deref(), Some("two 1"), "the attempt that runs is not changed");
    stage.finish();
    assert_eq!(stage.running().as_deref(), Some("a {frame}"), "sent as it stands");
    let state = stage.actor.state().clone();
    let mut stage = Stage::on(Job { retry: Retry { times: 1, ..Retry::default() }, ..job(3) }, state);
    stage.connect();
    stage.finish_until("a {frame}");
    stage.does(Request::Edit { name: "2".into(), commands: None });
    stage.retry("1");
    stage.finish_all();
    assert_eq!(stage.sent(), ["init", "load", "a {frame}", "b", "{x}", "one 3", "two 3", "close"]);
}

#[test]
fn edits_are_bounded() {
    let mut stage = Stage::at_work(job(3));
    let long = "x".repeat(3 << 20);
    let texts: Vec<&str> = vec!["pass"; 1001];
    assert!(stage.refuses(edit("1", &texts), RefusalKind::Invalid).contains("1000"));
    stage.refuses(edit("nine", &[]), RefusalKind::NotFound);
    let control = "\u{1}".repeat(3 << 20);
    let why = stage.refuses(edit("1", &["pass", &control]), RefusalKind::Invalid);
    assert!(why.starts_with("command 2: "), "{why}");
    stage.does(edit("1", &[&long]));
    stage.does(edit("1", &[&long]));
    assert!(stage.refuses(edit("2", &[&long]), RefusalKind::Invalid).contains("4 MiB"));
    stage.does(Request::Edit { name: "1".into(), commands: None });
    assert!(stage.does(Request::Edit { name: "1".into(), commands: None }).contains("has the job's commands"));
    stage.does(edit("2", &[&long]));
}
