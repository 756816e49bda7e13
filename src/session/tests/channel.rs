//! The back channel's end, and those who are turned away from it.

use super::*;

/// What is told of a child that failed.
fn told(stage: &mut Stage) -> Vec<String> {
    let events = stage.actor.world().events.iter();
    let told = events.filter_map(|event| match &event.kind {
        EventKind::ChildFailed { reason } => Some(reason.clone()),
        _ => None,
    });
    told.collect()
}

fn item_reason(stage: &mut Stage) -> Option<String> {
    let events = stage.actor.world().events.iter().rev();
    let mut ended = events.filter_map(|event| match &event.kind {
        EventKind::ItemEnded { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    ended.next().flatten()
}

#[test]
fn a_channel_that_ends_with_the_child_leaves_the_exit_as_the_only_reason() {
    let mut stage = Stage::new(job(2));
    stage.connect();
    stage.finish_until("one 1");
    stage.actor.channel_ended(&ChannelError::Closed);
    let waits = stage.actor.summary().waits;
    assert!(waits.iter().any(|wait| wait.what == WaitFor::KillGrace && wait.until.is_some()), "{waits:?}");
    stage.actor.child_exited(Exit::Signal(SignalName(11)));
    assert_eq!(told(&mut stage), Vec::<String>::new());
    assert_eq!(item_reason(&mut stage).as_deref(), Some("the child ended: killed by SIGSEGV"));
    let events = &stage.actor.world().events;
    let lost = |event: &Arc<Event>| match &event.kind {
        EventKind::CommandEnded { outcome: CommandOutcome::Lost { reason }, .. } => Some(reason.clone()),
        _ => None,
    };
    assert_eq!(events.iter().find_map(lost).as_deref(), Some("the child ended: killed by SIGSEGV"));
    assert_eq!(stage.ended(), Some(70));
}

#[test]
fn a_child_that_closes_the_channel_and_lives_is_said_to_and_ended() {
    let mut stage = Stage::new(job(2));
    stage.connect();
    stage.finish_until("one 1");
    stage.actor.channel_ended(&ChannelError::Closed);
    stage.pass(9);
    assert_eq!(told(&mut stage), Vec::<String>::new());
    stage.pass(1);
    assert_eq!(told(&mut stage), ["the child closed the back channel, but lives"]);
    assert_eq!(stage.actor.world().signals, [libc::SIGTERM]);
    stage.actor.child_exited(Exit::Signal(SignalName(15)));
    assert_eq!(
        item_reason(&mut stage).as_deref(),
        Some("the child was lost: the child closed the back channel, but lives")
    );
    assert_eq!(stage.ended(), Some(70));
}

#[test]
fn an_executor_that_ends_because_it_has_no_channel_is_said_to() {
    let mut stage = Stage::new(job(2));
    stage.connect();
    stage.finish_until("one 1");
    stage.actor.channel_ended(&ChannelError::Closed);
    stage.exit(70);
    assert_eq!(told(&mut stage), ["the child closed the back channel, and ended without it: exit code 70"]);
    assert!(item_reason(&mut stage).is_some_and(|reason| reason.contains("closed the back channel")));
}

#[test]
fn a_channel_that_breaks_is_told_at_once() {
    let mut stage = Stage::new(job(2));
    stage.connect();
    stage.finish_until("one 1");
    stage.actor.channel_ended(&ChannelError::Malformed("no JSON".into()));
    assert_eq!(told(&mut stage), ["a malformed frame: no JSON"]);
}

#[test]
fn of_a_crowd_every_hundredth_is_recorded_and_stands_for_all() {
    let mut stage = Stage::new(job(1));
    for number in 1..=450 {
        stage.actor.peer_refused(RefusedPeer { address: number.to_string(), reason: "no".into() });
        let known = stage.actor.summary().refused;
        assert_eq!(known, number, "whoever looks knows of all");
    }
    let mut folded = State::default();
    for event in &stage.actor.world().events {
        folded.apply(event, event.seq.0 * 100);
    }
    assert_eq!(&folded, stage.actor.state());
    let refused = |event: &&Arc<Event>| matches!(event.kind, EventKind::PeerRefused { .. });
    assert_eq!((folded.refused, stage.actor.world().events.iter().filter(refused).count()), (400, 103));
}
