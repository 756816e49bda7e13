//! The ladder out: which rungs are tried, when, and what becomes of the child.

use super::*;

const ALL: &[&str] = &["raise", "cancel"];

/// A session in the first command of its first item, with a child and a backend that know every rung.
fn stage(job: Job) -> Stage {
    let mut stage = Stage::new(job);
    stage.actor.label.manners.cancel = Some("stop()".into());
    stage.connect_as(ALL);
    stage.finish_until("one 1");
    stage
}

fn interrupt(from: Rung, to: Rung, restart: bool) -> Request {
    Request::Interrupt { command: None, from, to, restart }
}

/// What became of each rung so far.
fn ended(stage: &mut Stage) -> Vec<(Rung, RungOutcome, Scene)> {
    let events = stage.actor.world().events.iter();
    let ended = events.filter_map(|event| match event.kind {
        EventKind::RungEnded { rung, result, scene, .. } => Some((rung, result, scene)),
        _ => None,
    });
    ended.collect()
}

/// The child's answer to the last question it was asked.
fn answer(stage: &mut Stage, ok: bool, reason: &str) {
    let id = stage.last_sent()["id"].as_u64().expect("a question");
    stage.actor.heard(FromChild::InterruptResult { id, ok, reason: reason.into() });
}

fn said(answer: &mut oneshot::Receiver<Answer>) -> String {
    match answer.try_recv() {
        Ok(Ok(Response::Done { said })) => said,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_rung_has_its_time_and_the_last_one_ends_the_ladder() {
    let mut stage = stage(job(2));
    let mut asked = stage.ask(interrupt(Rung::Interrupt, Rung::Cancel, false));
    assert_eq!(stage.last_sent()["type"], "interrupt");
    assert!(asked.try_recv().is_err(), "nothing is under way until the child has said so");
    answer(&mut stage, true, "");
    assert_eq!(said(&mut asked), "the command is interrupted");
    let view = stage.actor.summary().ladder.expect("a ladder");
    assert_eq!((view.rung, view.to, view.until.since(view.since)), (Rung::Interrupt, Rung::Cancel, Micros(10_000_000)));
    assert!(stage.actor.summary().waits.iter().any(|wait| wait.what == WaitFor::Rung(Rung::Interrupt)));
    stage.pass(10);
    assert_eq!(stage.last_sent()["type"], "raise");
    stage.pass(10);
    assert_eq!((&stage.last_sent()["type"], &stage.last_sent()["source"]), (&"cancel".into(), &"stop()".into()));
    // A host may end first what it is in.
    stage.pass(59);
    assert!(stage.actor.summary().ladder.is_some());
    stage.pass(1);
    assert_eq!(stage.actor.summary().ladder, None);
    let in_vain = |rung| (rung, RungOutcome::InVain, Scene::Survived);
    assert_eq!(ended(&mut stage), [Rung::Interrupt, Rung::Async, Rung::Cancel].map(in_vain));
    stage.pass(100);
    assert_eq!(stage.actor.world().signals, [0; 0]);
    assert_eq!(stage.running().as_deref(), Some("one 1"));
}

#[test]
fn a_rung_that_works_leaves_the_scene_and_the_agenda_goes_on() {
    let mut stage = stage(job(2));
    stage.ask(interrupt(Rung::Interrupt, Rung::Kill, true));
    stage.pass(10);
    answer(&mut stage, true, "");
    stage.raise();
    let expected =
        [(Rung::Interrupt, RungOutcome::InVain, Scene::Survived), (Rung::Async, RungOutcome::Worked, Scene::Survived)];
    assert_eq!(ended(&mut stage), expected);
    assert_eq!(stage.running().as_deref(), Some("one 2"));
    assert_eq!(stage.actor.state().generation, Generation(1));
}

#[test]
fn what_is_not_safe_is_skipped_and_said_so() {
    let mut stage = Stage::new(job(1));
    stage.actor.label.manners.rungs = vec![Rung::Async, Rung::Cancel];
    stage.connect_as(&["cancel"]);
    stage.finish_until("one 1");
    let mut asked = stage.ask(interrupt(Rung::Interrupt, Rung::Terminate, false));
    let refusal = asked.try_recv().expect("an answer").expect_err("nothing can be tried");
    assert!(refusal.message.contains("terminate"), "{refusal:?}");
    let skipped = |rung| (rung, RungOutcome::Skipped, Scene::Survived);
    assert_eq!(ended(&mut stage), [Rung::Interrupt, Rung::Async, Rung::Cancel, Rung::Terminate].map(skipped));
    assert!(stage.actor.world().sent.iter().all(|frame| frame["type"] == "execute"));
    let safe = stage.actor.summary().rungs.into_iter().filter(|view| view.skipped.is_none()).map(|view| view.rung);
    assert_eq!(safe.collect::<Vec<_>>(), [Rung::Kill]);
}

#[test]
fn a_refusal_leads_on_at_once_but_gives_an_ended_command_a_moment_before_it_costs_the_child() {
    let mut stage = stage(job(2));
    let mut asked = stage.ask(interrupt(Rung::Interrupt, Rung::Async, false));
    answer(&mut stage, false, "not now");
    assert_eq!(stage.last_sent()["type"], "raise");
    answer(&mut stage, false, "not that either");
    assert_eq!(asked.try_recv().expect("an answer").expect_err("refused").message, "not that either");
    let refused = |rung| (rung, RungOutcome::Refused, Scene::Survived);
    assert_eq!(ended(&mut stage), [Rung::Interrupt, Rung::Async].map(refused));

    stage.ask(Request::Items { verb: ItemVerb::Kill, names: vec!["1".into()] });
    answer(&mut stage, false, "command 3 is not running");
    stage.finish();
    stage.pass(20);
    assert_eq!(stage.actor.world().signals, [0; 0], "it had just ended");
    assert_eq!(stage.status(0), ItemStatus::Killed);

    stage.ask(Request::Items { verb: ItemVerb::Kill, names: vec!["2".into()] });
    answer(&mut stage, false, "no");
    assert_eq!(stage.actor.world().signals, [0; 0]);
    stage.pass(1);
    assert_eq!(stage.actor.world().signals, [libc::SIGTERM]);
}

#[test]
fn asked_for_more_it_goes_on_at_once_and_asked_for_the_same_it_only_goes_further() {
    let mut stage = stage(job(2));
    stage.ask(interrupt(Rung::Interrupt, Rung::Interrupt, false));
    let mut again = stage.ask(interrupt(Rung::Interrupt, Rung::Async, false));
    assert!(said(&mut again).contains("goes on to async"));
    assert_eq!(stage.last_sent()["type"], "interrupt");
    let mut harder = stage.ask(interrupt(Rung::Terminate, Rung::Terminate, false));
    assert!(said(&mut harder).contains("SIGTERM"));
    assert_eq!(stage.actor.world().signals, [libc::SIGTERM]);
    assert_eq!(ended(&mut stage), [(Rung::Interrupt, RungOutcome::InVain, Scene::Survived)]);
    stage.ask(interrupt(Rung::Kill, Rung::Kill, false));
    assert_eq!(stage.actor.world().killed, 1);
}

#[test]
fn a_stop_takes_the_short_way_also_from_where_an_operator_stood() {
    let mut stage = stage(job(2));
    stage.ask(interrupt(Rung::Interrupt, Rung::Cancel, false));
    stage.ask(Request::Stop { mode: StopMode::Now });
    stage.pass(10);
    assert_eq!(stage.actor.world().signals, [libc::SIGTERM]);
    stage.pass(10);
    stage.actor.child_exited(Exit::Signal(SignalName(9)));
    assert_eq!(stage.ended(), Some(130));
}

#[test]
fn a_cancelled_command_fails_its_item_even_if_it_ends_well_and_an_operators_does_not() {
    let mut stage = stage(job(2));
    stage.ask(interrupt(Rung::Cancel, Rung::Cancel, false));
    answer(&mut stage, true, "");
    stage.pass(11);
    stage.finish();
    assert_eq!(stage.status(0), ItemStatus::Failed);
    let events = stage.actor.world().events.clone();
    let reason = events.iter().rev().find_map(|event| match &event.kind {
        EventKind::ItemEnded { reason, .. } => reason.clone(),
        _ => None,
    });
    assert!(reason.is_some_and(|reason| reason.contains("cancelled") && reason.contains("op")));

    stage.ask(Request::Exec { source: "mine".into(), wait: false });
    stage.finish();
    stage.ask(interrupt(Rung::Cancel, Rung::Cancel, false));
    stage.finish();
    assert_eq!(stage.running().as_deref(), Some("two 2"), "the item goes on");
    stage.finish();
    assert_eq!(stage.status(1), ItemStatus::Complete);
}

#[test]
fn a_cancel_that_came_too_late_fails_nothing_and_one_that_hangs_does() {
    for (reason, status) in [
        ("command 3 is not running", ItemStatus::Complete),
        ("the host's cancel has not returned after 5 s", ItemStatus::Failed),
    ] {
        let mut stage = stage(job(1));
        stage.ask(interrupt(Rung::Cancel, Rung::Cancel, false));
        answer(&mut stage, false, reason);
        stage.finish_until("close");
        assert_eq!(stage.status(0), status, "{reason}");
    }
}

#[test]
fn a_killed_child_is_started_again_if_that_was_asked_for_and_nothing_is_told_twice() {
    let mut stage = stage(Job { retry: Retry { times: 1, ..Retry::default() }, ..job(2) });
    stage.ask(interrupt(Rung::Kill, Rung::Kill, true));
    assert_eq!(stage.actor.world().killed, 1);
    stage.actor.child_exited(Exit::Signal(SignalName(9)));
    assert_eq!(ended(&mut stage), [(Rung::Kill, RungOutcome::Worked, Scene::Lost)]);
    assert_eq!(stage.status(0), ItemStatus::Retrying);
    assert_eq!(stage.actor.world().launched, [Generation(1), Generation(2)]);
    stage.connect_as(ALL);
    stage.finish_until("two 2");
    stage.finish();
    stage.pass(0);
    stage.finish_until("close");
    stage.finish();
    stage.exit(0);
    assert_eq!(stage.ended(), Some(0));
    let events = stage.actor.world().events.clone();
    let ends = events.iter().filter(|event| matches!(event.kind, EventKind::ItemEnded { item: ItemIndex(0), .. }));
    assert_eq!(ends.count(), 2, "one for each attempt");
    let told = |event: &&Arc<Event>| matches!(event.kind, EventKind::ChildFailed { .. });
    assert_eq!(events.iter().find(told), None);
}

#[test]
fn a_killed_child_ends_the_session_if_nobody_wanted_another() {
    let mut stage = stage(Job { restarts: 3, ..job(2) });
    stage.ask(interrupt(Rung::Terminate, Rung::Kill, false));
    stage.actor.channel_broken("it closed the channel");
    stage.actor.child_exited(Exit::Signal(SignalName(15)));
    assert_eq!(stage.status(0), ItemStatus::Failed);
    assert_eq!(stage.ended(), Some(70));
}

#[test]
fn a_child_that_lives_through_sigterm_is_worked_with_again_when_the_command_ended() {
    let mut stage = stage(job(2));
    stage.ask(interrupt(Rung::Terminate, Rung::Kill, true));
    stage.raise();
    assert_eq!(stage.running(), None, "nothing is begun in a child that may be ending");
    stage.pass(10);
    assert_eq!(ended(&mut stage), [(Rung::Terminate, RungOutcome::Worked, Scene::Survived)]);
    assert_eq!(stage.actor.world().killed, 0);
    assert_eq!(stage.running().as_deref(), Some("one 2"));
}

#[test]
fn a_process_that_cannot_be_killed_does_not_hold_the_session() {
    let mut stage = stage(job(1));
    stage.ask(interrupt(Rung::Kill, Rung::Kill, false));
    for _ in 0..3 {
        assert_eq!(stage.ended(), None);
        stage.pass(10);
    }
    assert_eq!(stage.ended(), Some(70));
    assert_eq!(ended(&mut stage), [(Rung::Kill, RungOutcome::InVain, Scene::Lost)]);
}

#[test]
fn a_child_that_does_not_answer_is_said_not_to() {
    let mut stage = stage(job(1));
    let mut last = stage.ask(interrupt(Rung::Interrupt, Rung::Interrupt, false));
    stage.pass(10);
    assert!(last.try_recv().expect("an answer").is_err());
    let wrong = stage.ask(interrupt(Rung::Kill, Rung::Interrupt, false)).try_recv().expect("an answer");
    assert_eq!(wrong.expect_err("upside down").kind, RefusalKind::Invalid);
}

/// Asks for an interrupt; the number of the question.
fn unanswered(stage: &mut Stage) -> u64 {
    let mut answer = stage.ask(interrupt(Rung::Interrupt, Rung::Interrupt, false));
    let id = stage.last_sent()["id"].as_u64().expect("a question");
    stage.pass(10);
    let Ok(Err(refusal)) = answer.try_recv() else { panic!("it was not given up") };
    assert!(refusal.message.contains("keeps Python from running"), "{refusal:?}");
    id
}

#[test]
fn a_late_answer_to_an_interrupt_is_recorded_once() {
    let mut stage = stage(job(1));
    let asked: Vec<u64> = (0..10).map(|_| unanswered(&mut stage)).collect();
    for id in asked.iter().chain(&asked) {
        stage.actor.heard(FromChild::InterruptResult { id: *id, ok: true, reason: String::new() });
    }
    let events = &stage.actor.world().events;
    let answered = |event: &&Arc<Event>| matches!(event.kind, EventKind::InterruptAnswered { ok: true, .. });
    assert_eq!(events.iter().filter(answered).count(), 8, "the last eight are remembered");
}
