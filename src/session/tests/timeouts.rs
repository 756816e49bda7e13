//! What time-outs lead to, and how they are changed while a session runs.

use super::*;
use crate::model::diagnosis::Trigger;

fn limited(policy: Policy) -> Job {
    let policies = Policies { command: policy, item: policy, silence: policy };
    Job { timeouts: Timeouts { command: Some(Duration::from_mins(1)), policies, ..Timeouts::default() }, ..job(2) }
}

fn stage(job: Job) -> Stage {
    let mut stage = Stage::new(job);
    stage.connect_as(&["raise", "stacks"]);
    stage.finish_until("one 1");
    stage
}

/// The events of time-outs and diagnoses, by what was done.
fn told(stage: &mut Stage) -> Vec<String> {
    let events = stage.actor.world().events.iter();
    let told = events.filter_map(|event| match &event.kind {
        EventKind::TimedOut { what, action } => Some(format!("{what:?}: {action}")),
        EventKind::Diagnosed { diagnosis, .. } => Some(format!("{:?}", diagnosis.trigger)),
        _ => None,
    });
    told.collect()
}

fn set(limit: Limit, length: Change, policy: Option<Policy>) -> Request {
    Request::SetTimeouts { changes: vec![LimitChange { limit, length, policy }] }
}

#[test]
fn it_is_found_out_why_before_anything_is_done() {
    let mut stage = stage(limited(Policy::Fail));
    stage.puzzled = true;
    stage.pass(60);
    assert_eq!(stage.last_sent()["type"], "stacks");
    assert!(stage.actor.summary().waits.iter().any(|wait| wait.what == WaitFor::Diagnosis));
    stage.find_out();
    assert_eq!(stage.last_sent()["type"], "interrupt");
    let expected = ["TimedOut(Command)", "Command: the command is interrupted"];
    assert_eq!(told(&mut stage), expected);
}

#[test]
fn an_answer_that_does_not_come_delays_nothing_for_long() {
    let mut stage = stage(limited(Policy::Fail));
    stage.puzzled = true;
    stage.pass(60);
    stage.pass(2);
    assert_eq!(stage.last_sent()["type"], "stacks");
    stage.pass(1);
    assert_eq!(stage.last_sent()["type"], "interrupt");
    stage.find_out();
    let expected = ["Command: the command is interrupted", "TimedOut(Command)"];
    assert_eq!(told(&mut stage), expected, "it is saved all the same");
}

#[test]
fn what_ends_while_it_is_looked_into_is_left_alone() {
    let mut stage = stage(limited(Policy::Fail));
    stage.puzzled = true;
    stage.pass(60);
    stage.finish();
    stage.find_out();
    assert_eq!(told(&mut stage)[1], "Command: nothing: it has ended meanwhile");
    stage.finish();
    assert_eq!(stage.status(0), ItemStatus::Complete);
}

#[test]
fn to_warn_is_to_do_nothing_and_once() {
    let mut stage = stage(limited(Policy::Warn));
    for _ in 0..10 {
        stage.pass(60);
    }
    assert_eq!(told(&mut stage).len(), 2);
    assert_eq!(stage.last_sent()["type"], "stacks");
    stage.finish();
    stage.finish();
    assert_eq!(stage.status(0), ItemStatus::Complete);
}

#[test]
fn silence_is_told_again_after_a_sign_of_life() {
    let policies = Policies { silence: Policy::Warn, ..Policies::default() };
    let timeouts = Timeouts { silence: Some(Duration::from_secs(10)), policies, ..Timeouts::default() };
    let mut stage = stage(Job { timeouts, ..job(1) });
    stage.pass(10);
    stage.pass(10);
    assert_eq!(told(&mut stage).len(), 2);
    stage.actor.heard(FromChild::Heartbeat { id: CommandId(3) });
    stage.pass(10);
    assert_eq!(told(&mut stage).len(), 2, "a heartbeat is none");
    stage.actor.heard(FromChild::Status { text: "still there".into() });
    stage.pass(10);
    assert_eq!(told(&mut stage).len(), 4);
}

#[test]
fn to_interrupt_never_costs_the_child_and_the_item_fails_by_what_is_raised() {
    let mut stage = stage(limited(Policy::Interrupt));
    stage.pass(60);
    stage.pass(10);
    assert_eq!(stage.last_sent()["type"], "raise");
    stage.pass(100);
    assert_eq!(stage.actor.world().signals, [0; 0]);
    stage.finish();
    assert_eq!(stage.running().as_deref(), Some("two 1"), "nothing was raised");
    stage.pass(60);
    stage.raise();
    assert_eq!(stage.status(0), ItemStatus::Failed);
    let reason = stage.actor.world().events.iter().find_map(|event| match &event.kind {
        EventKind::ItemEnded { reason, .. } => reason.clone(),
        _ => None,
    });
    let reason = reason.expect("a reason");
    assert!(reason.starts_with("the command ran longer than 60 s (") && reason.ends_with(')'), "{reason}");
}

#[test]
fn to_fail_is_to_climb_every_rung() {
    let mut stage = stage(limited(Policy::Fail));
    stage.actor.label.manners.cancel = Some("stop()".into());
    stage.pass(60);
    stage.pass(10);
    assert_eq!(stage.last_sent()["type"], "raise");
    stage.pass(10);
    assert_eq!(stage.actor.world().signals, [libc::SIGTERM], "this child cannot run a cancel");
    stage.pass(10);
    stage.actor.child_exited(Exit::Signal(SignalName(9)));
    assert_eq!((stage.status(0), stage.ended()), (ItemStatus::Failed, Some(70)));
}

#[test]
fn to_restart_fails_the_item_and_goes_on_with_another_child() {
    let mut stage = stage(limited(Policy::Restart));
    stage.pass(60);
    assert_eq!(stage.actor.world().signals, [libc::SIGTERM]);
    stage.actor.child_exited(Exit::Signal(SignalName(15)));
    assert_eq!(stage.status(0), ItemStatus::Failed);
    stage.connect();
    stage.finish_until("one 2");
    let mut slow_setup = Stage::new(limited(Policy::Restart));
    slow_setup.connect();
    slow_setup.finish();
    slow_setup.pass(60);
    slow_setup.pass(10);
    slow_setup.actor.child_exited(Exit::Signal(SignalName(15)));
    assert_eq!(slow_setup.ended(), Some(70), "a setup that is too slow is not tried for ever");
}

#[test]
fn a_changed_limit_is_in_force_at_once_and_arms_what_was_told() {
    let mut stage = stage(limited(Policy::Warn));
    stage.pass(60);
    assert_eq!(told(&mut stage).len(), 2);
    let changed = stage.ask(set(Limit::Command, Change::To(Micros(100_000_000)), Some(Policy::Fail)));
    changed.blocking_recv().expect("an answer").expect("changed");
    assert_eq!(stage.actor.summary().timeouts.command, Some(Duration::from_secs(100)));
    stage.pass(39);
    assert_eq!(told(&mut stage).len(), 2);
    stage.pass(1);
    assert_eq!(stage.last_sent()["type"], "interrupt");
    stage.raise();
    stage.ask(set(Limit::Command, Change::Never, None));
    stage.pass(1000);
    assert_eq!(stage.running().as_deref(), Some("one 2"));
    let resumed = Stage::on(job(2), stage.actor.state().clone());
    assert_eq!(resumed.actor.limits().command, None, "it outlives its engine");
}

#[test]
fn more_time_given_while_it_is_looked_into_is_more_time() {
    let mut stage = stage(limited(Policy::Fail));
    stage.puzzled = true;
    stage.pass(60);
    stage.ask(set(Limit::Command, Change::To(Micros(200_000_000)), None));
    stage.find_out();
    assert_eq!(told(&mut stage), ["TimedOut(Command)"]);
    assert_eq!(stage.last_sent()["type"], "stacks");
}

#[test]
fn a_limit_that_makes_no_sense_is_refused() {
    let mut stage = stage(job(1));
    let twice = LimitChange { limit: Limit::Item, length: Change::Never, policy: None };
    for request in [
        set(Limit::Item, Change::To(Micros(0)), None),
        set(Limit::Startup, Change::Keep, Some(Policy::Warn)),
        set(Limit::Teardown, Change::Keep, Some(Policy::Warn)),
        Request::SetTimeouts { changes: vec![twice, twice] },
        Request::SetTimeouts { changes: vec![] },
    ] {
        let refused = stage.ask(request).try_recv().expect("an answer").expect_err("refused");
        assert_eq!(refused.kind, RefusalKind::Invalid);
    }
    assert_eq!(stage.actor.state().timeouts, None);
}

#[test]
fn startup_and_teardown_are_looked_into_as_well() {
    let timeouts = Timeouts { startup: Some(Duration::from_secs(20)), ..Timeouts::default() };
    let mut stage = Stage::new(Job { timeouts, ..job(1) });
    assert!(stage.actor.child_starting(vec![], "/".into(), vec![]));
    stage.actor.child_spawned(100, 1);
    stage.puzzled = true;
    stage.pass(20);
    assert_eq!(stage.actor.world().inquiries[0].trigger, Trigger::TimedOut(WaitFor::Startup));
    assert_eq!(stage.actor.world().signals, [0; 0]);
    stage.find_out();
    assert_eq!(stage.actor.world().signals, [libc::SIGTERM]);

    let mut stage = self::stage(job(1));
    stage.finish_until("close");
    stage.pass(60);
    assert_eq!(told(&mut stage), ["TimedOut(Teardown)", "Teardown: the child is terminated"]);
    assert_eq!(stage.actor.world().signals, [libc::SIGTERM]);
}

#[test]
fn an_item_out_of_time_spares_the_operators_command() {
    let timeouts = Timeouts { item: Some(Duration::from_secs(30)), ..Timeouts::default() };
    let mut stage = Stage::new(Job { timeouts, ..job(2) });
    stage.connect();
    stage.finish_until("one 1");
    stage.ask(Request::Exec { source: "mine".into(), wait: false });
    stage.finish();
    let sent = stage.actor.world().sent.len();
    stage.pass(30);
    assert_eq!(stage.actor.world().sent.len(), sent, "it is not interrupted");
    stage.finish();
    assert_eq!(stage.status(0), ItemStatus::Failed);
    assert_eq!(stage.running().as_deref(), Some("one 2"), "the item's other commands are not run");
}

#[test]
fn an_operators_command_out_of_time_does_not_cost_the_child() {
    let timeouts = Timeouts { command: Some(Duration::from_secs(5)), ..Timeouts::default() };
    let mut stage = Stage::new(Job { timeouts, hold: true, ..job(0) });
    stage.connect();
    stage.finish();
    stage.finish();
    stage.ask(Request::Exec { source: "mine".into(), wait: false });
    stage.pass(5);
    assert_eq!(stage.actor.world().sent.last().unwrap()["type"], "interrupt");
    stage.pass(60);
    assert_eq!(stage.actor.world().signals, [0; 0]);
}

#[test]
fn a_command_over_its_time_is_interrupted_then_the_child_is_terminated_then_killed() {
    let timeouts = Timeouts { command: Some(Duration::from_mins(1)), ..Timeouts::default() };
    let mut stage = Stage::new(Job { timeouts, ..job(2) });
    stage.connect();
    stage.finish_until("one 1");
    stage.pass(60);
    assert_eq!(stage.actor.world().sent.last().unwrap()["type"], "interrupt");
    stage.pass(10);
    assert_eq!(stage.actor.world().signals, [libc::SIGTERM]);
    stage.pass(10);
    assert_eq!(stage.actor.world().killed, 1);
    stage.actor.child_exited(Exit::Signal(SignalName(9)));
    assert_eq!(stage.status(0), ItemStatus::Failed);
    assert_eq!(stage.ended(), Some(70));
}

#[test]
fn an_interrupt_that_works_keeps_the_child() {
    let timeouts = Timeouts { command: Some(Duration::from_mins(1)), ..Timeouts::default() };
    let mut stage = Stage::new(Job { timeouts, ..job(2) });
    stage.connect();
    stage.finish_until("one 1");
    stage.pass(60);
    stage.raise();
    assert_eq!(stage.status(0), ItemStatus::Failed);
    assert_eq!(stage.running().as_deref(), Some("one 2"));
    stage.pass(30);
    assert_eq!(stage.actor.world().signals, [0; 0]);
}
