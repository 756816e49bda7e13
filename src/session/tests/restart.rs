//! Another child in this one's place.

use super::*;

#[test]
fn an_idle_child_is_asked_to_end_and_another_one_started() {
    let mut stage = Stage::new(Job { hold: true, ..job(1) });
    stage.connect();
    stage.finish();
    stage.finish();
    stage.ask(Request::Restart { now: false }).try_recv().expect("an answer").expect("taken");
    assert_eq!(stage.last_sent()["type"], "shutdown");
    let refused = stage.ask(Request::Exec { source: "1".into(), wait: false }).try_recv().expect("an answer");
    assert_eq!(refused.expect_err("nobody is there").kind, RefusalKind::NotNow);
    stage.actor.channel_broken("it closed the channel");
    stage.exit(0);
    assert_eq!(stage.actor.world().launched, [Generation(1), Generation(2)]);
    stage.connect();
    stage.finish();
    stage.finish();
    assert_eq!(stage.running(), None);
    assert!(stage.actor.state().held.is_some(), "what was held stays held");
    stage.ask(Request::Release);
    assert_eq!(stage.running().as_deref(), Some("one 1"));
    let events = stage.actor.world().events.clone();
    assert!(!events.iter().any(|event| matches!(event.kind, EventKind::ChildFailed { .. })));
}

#[test]
fn a_busy_child_is_restarted_only_if_that_is_meant() {
    let mut stage = Stage::new(job(2));
    stage.connect();
    stage.finish_until("one 1");
    let refused = stage.ask(Request::Restart { now: false }).try_recv().expect("an answer");
    assert_eq!(refused.expect_err("it is busy").kind, RefusalKind::NotNow);
    stage.ask(Request::Restart { now: true });
    assert_eq!(stage.actor.world().signals, [libc::SIGTERM]);
    stage.pass(10);
    assert_eq!(stage.actor.world().killed, 1);
    stage.actor.child_exited(Exit::Signal(SignalName(9)));
    assert_eq!(stage.status(0), ItemStatus::Failed);
    stage.connect();
    stage.finish_until("one 2");
    assert_eq!(stage.actor.state().generation, Generation(2));
    assert_eq!(stage.actor.restarts, 0, "it does not count against the job's");
}

#[test]
fn a_child_that_has_not_said_hello_can_be_restarted_and_an_ending_session_has_none() {
    let mut stage = Stage::new(job(1));
    assert!(stage.actor.child_starting(vec![], "/".into(), vec![]));
    stage.actor.child_spawned(100, 1);
    stage.ask(Request::Restart { now: false });
    stage.actor.child_exited(Exit::Signal(SignalName(15)));
    assert_eq!(stage.ended(), None);
    stage.connect();
    stage.ask(Request::Stop { mode: StopMode::AfterItem });
    let refused = stage.ask(Request::Restart { now: true }).try_recv().expect("an answer");
    assert_eq!(refused.expect_err("it is ending").kind, RefusalKind::NotNow);
}
