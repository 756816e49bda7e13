//! Children that do not go on, and what gets them going again or ends them.

use super::{Fifo, PHASES, children, idle};
use crate::session::{self, child_file, job, quoted};
use crate::supervised::Supervised;
use childminder::api::ApiError;
use childminder::model::proto::{Request, Response};
use childminder::model::{CommandOutcome, CommandState, EventKind, ItemIndex, ItemStatus, Rung, SessionPhase, WaitFor};

/// Interrupts what runs.
fn interrupt(engine: &Supervised) {
    let asked =
        engine.ask(Request::Interrupt { command: None, from: Rung::Interrupt, to: Rung::Interrupt, restart: false });
    assert!(asked.is_ok(), "{asked:?}");
}

/// Asks what it does until that is one of these: it may not be there yet when its command has begun.
#[track_caller]
fn must_be(engine: &Supervised, words: &[&str], what: &str) {
    let until = std::time::Instant::now() + session::PATIENCE;
    loop {
        let asked = engine.ask(Request::Why);
        let Ok(Response::Diagnosis(diagnosis)) = asked else { panic!("{what}: {asked:?}") };
        if words.contains(&diagnosis.verdict.doing.word()) {
            return;
        }
        assert!(std::time::Instant::now() < until, "{what}: {:?}\n{}", diagnosis.verdict, engine.tail());
    }
}

/// Waits for the end of the command that was begun last; how it ended.
fn end(engine: &Supervised) -> CommandOutcome {
    engine.until("the end of the command", |state| state.running.is_none());
    let mut ends = engine.events().into_iter().filter_map(|event| match event.kind {
        EventKind::CommandEnded { outcome, .. } => Some(outcome),
        _ => None,
    });
    ends.next_back().expect("an end")
}

#[track_caller]
fn must_be_interrupted(engine: &Supervised) {
    match end(engine) {
        CommandOutcome::Raised { exception, .. } if exception.kind == "KeyboardInterrupt" => {}
        other => panic!("{other:?}\n{}", engine.tail()),
    }
}

#[test]
fn what_python_waits_in_is_interrupted_and_the_child_lives() {
    let engine = idle("");
    let before = engine.holdings();
    for (command, doing) in [
        ("stuck.sleeps()", "sleeping"),
        ("stuck.loops()", "looping"),
        ("stuck.deadlock()", "deadlock"),
        ("stuck.waits_for_a_deadlock()", "deadlock"),
        ("stuck.waits_for_a_lock()", "lock"),
        ("stuck.waits_for_the_network()", "network"),
        ("stuck.waits_for_a_child()", "subprocess"),
        ("stuck.reads_stdin()", "input"),
        ("stuck.reads_a_pipe()", "input"),
    ] {
        engine.begin(command);
        must_be(&engine, &[doing], command);
        interrupt(&engine);
        must_be_interrupted(&engine);
        engine.must_hold(&before, command);
    }
    assert_eq!(engine.state().generation.0, 1, "the loaded scene is still there");
    assert_eq!(engine.stop().code, 0);
}

#[test]
fn a_child_that_holds_the_gil_keeps_nobody_but_itself_waiting() {
    let engine = idle("");
    let before = engine.holdings();
    let told = Fifo::new(&engine);
    engine.begin(&format!("stuck.holds_the_gil_until_told({}); stuck.sleeps()", told.path()));
    // Given up after ten seconds, in which the child has not said a word.
    let asked =
        engine.ask(Request::Interrupt { command: None, from: Rung::Interrupt, to: Rung::Interrupt, restart: false });
    // It waits for a pipe and holds the GIL; the one that the system shows and the other are both true.
    must_be(&engine, &["computing", "input"], "the GIL held in a read of a pipe");
    let Err(ApiError::Refused(refusal)) = asked else { panic!("{asked:?}") };
    assert!(refusal.message.contains("keeps Python from running"), "{refusal:?}");
    let asked = engine.ask(Request::Summary);
    let Ok(Response::Summary(summary)) = asked else { panic!("{asked:?}") };
    assert!(summary.running.is_some(), "{summary:?}");
    let answered = |kind: &EventKind| matches!(kind, EventKind::InterruptAnswered { .. });
    assert!(!engine.events().iter().any(|event| answered(&event.kind)), "{}", engine.tail());
    told.tell();
    // It is done as soon as it can be.
    must_be_interrupted(&engine);
    // And that it was done is recorded, though nobody waited for it any more.
    let answered = |kind: &EventKind| matches!(kind, EventKind::InterruptAnswered { ok: true, .. });
    assert_eq!(engine.events().iter().filter(|event| answered(&event.kind)).count(), 1, "{}", engine.tail());
    engine.must_hold(&before, "the GIL held");
    assert_eq!(engine.state().generation.0, 1, "it is the same child");
    assert_eq!(engine.stop().code, 0);
}

/// What no interrupt ends, each in an item of a session whose commands have a second and whose child is started again.
const STUBBORN: [&str; 5] = [
    "stuck.swallows_interrupts(BaseException)",
    "stuck.ignores_sigterm(BaseException)",
    "stuck.holds_the_gil()",
    "stuck.computes_with_the_gil()",
    "stuck.stops_itself()",
];

#[test]
fn what_no_interrupt_ends_costs_its_item_and_its_child_and_the_agenda_goes_on() {
    let items: Vec<String> =
        STUBBORN.iter().map(|command| format!("{{ name = '{command}', commands = ['{command}'] }}")).collect();
    let engine = Supervised::of(job(&format!(
        "hold = true\nrestarts = 1000\n[timeouts]\ncommand = '1s'\nkill_grace = '300ms'\n\
         [agenda]\nitems = [{}, {{ name = 'last', commands = ['print(1)'] }}]\n{PHASES}{}",
        items.join(", "),
        children()
    )));
    engine.until_agenda();
    let before = engine.holdings();
    engine.ask(Request::Release).expect("released");
    engine.until("the last item", |state| {
        state.count(ItemStatus::Complete) + state.count(ItemStatus::Failed) == 6 && state.running_item.is_none()
    });
    engine.until_generation(6);
    engine.must_hold(&before, "stubborn commands");
    let state = engine.state();
    for (place, command) in (0..).zip(STUBBORN) {
        assert_eq!(state.item(ItemIndex(place)).map(|row| row.status), Some(ItemStatus::Failed), "{command}");
    }
    assert_eq!(state.count(ItemStatus::Complete), 1);
    let reasons = engine.events().into_iter().filter_map(|event| match event.kind {
        EventKind::ItemEnded { reason, .. } => reason,
        _ => None,
    });
    assert_eq!(reasons.collect::<Vec<_>>(), ["the command ran longer than 1 s"; 5], "{}", engine.tail());
    assert_eq!(engine.stop().code, 1);
}

#[test]
fn what_no_interrupt_ends_is_known_for_what_it_does() {
    for (command, doing) in [
        ("stuck.swallows_interrupts(BaseException)", "sleeping"),
        ("stuck.holds_the_gil()", "computing"),
        ("stuck.computes_with_the_gil()", "computing"),
        ("stuck.stops_itself()", "stopped"),
    ] {
        let engine = idle("[timeouts]\nkill_grace = '300ms'");
        engine.begin(command);
        must_be(&engine, &[doing], command);
        let asked = engine.ask(Request::Interrupt { command: None, from: Rung::Kill, to: Rung::Kill, restart: true });
        assert!(asked.is_ok(), "{asked:?}");
        engine.until_generation(2);
        assert_eq!(engine.stop().code, 0, "{command}");
    }
}

#[test]
fn silence_is_noticed_though_the_heart_beats() {
    let engine = idle("[timeouts]\nsilence = '1s'");
    let before = engine.holdings();
    engine.begin("stuck.sleeps()");
    must_be_interrupted(&engine);
    let silent = |kind: &EventKind| matches!(kind, EventKind::TimedOut { what: WaitFor::Silence, .. });
    assert_eq!(engine.events().iter().filter(|event| silent(&event.kind)).count(), 1, "{}", engine.tail());
    engine.must_hold(&before, "silence");
    assert_eq!(engine.state().generation.0, 1, "it is the same child");
    assert_eq!(engine.stop().code, 0);
}

#[test]
fn a_child_that_said_hello_and_then_nothing_is_ended_and_replaced() {
    for lie in ["says nothing more", "falls silent"] {
        let engine = Supervised::of(job(&format!(
            "restarts = 1\n[timeouts]\nsilence = '1s'\nkill_grace = '300ms'\n[settings]\nextra_arguments = [{}]\n\
             [env]\nLIE = '{lie}'\n[phases]\ncommands = ['1']\n[agenda]\nframes = '1-2'",
            quoted(child_file("lies.py"))
        )));
        let ended = engine.wait();
        assert_eq!(ended.code, 70, "{lie}\n{}", ended.tail());
        let state = ended.state();
        assert_eq!(state.generation.0, 2, "{lie}");
        assert_eq!(state.count(ItemStatus::Failed), 2, "{lie}\n{}", ended.tail());
        let lost = state.commands.iter().filter(|row| row.state == CommandState::Lost).count();
        assert_eq!(lost, 2, "{lie}\n{}", ended.tail());
        assert_eq!(ended.item_reason(), "the child was silent longer than 1 s");
        assert_eq!(state.phase, SessionPhase::Ended);
    }
}
