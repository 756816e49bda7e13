//! Python beside the main thread.

use super::*;

fn side(source: &str, confirmed: bool) -> Request {
    Request::Side { source: source.into(), confirmed }
}

fn stage() -> Stage {
    let mut stage = Stage::new(job(1));
    stage.actor.label.manners.side_eval = true;
    stage.connect_as(&["side"]);
    stage.finish_until("one 1");
    stage
}

#[test]
fn it_is_sent_at_once_and_is_never_what_runs() {
    let mut stage = stage();
    let main = stage.actor.state().running;
    let mut asked = stage.ask(side("6*7", false));
    assert_eq!((&stage.last_sent()["type"], &stage.last_sent()["source"]), (&"side".into(), &"6*7".into()));
    assert_eq!(stage.actor.state().running, main);
    let id = CommandId(stage.last_sent()["id"].as_u64().expect("a number"));
    stage.actor.heard(FromChild::Started { id });
    stage.pass(3);
    stage.actor.heard(FromChild::Finished { id, value: Some("42".into()), cut: None });
    let Ok(Ok(Response::Command(detail))) = asked.try_recv() else { panic!("no answer") };
    assert_eq!(detail.outcome, Some(CommandOutcome::Finished { value: Some("42".into()), cut: None }));
    assert_eq!((detail.view.row.phase, detail.view.row.took), (Phase::Side, Micros(3_000_000)));
    assert_eq!(stage.running().as_deref(), Some("one 1"));
    stage.finish_until("close");
    assert_eq!(stage.status(0), ItemStatus::Complete);
}

#[test]
fn what_it_raises_fails_nothing_and_it_is_no_sign_of_life() {
    let timeouts = Timeouts { silence: Some(Duration::from_secs(10)), ..Timeouts::default() };
    let mut stage = Stage::new(Job { timeouts, ..job(1) });
    stage.actor.label.manners.side_eval = true;
    stage.connect_as(&["side"]);
    stage.finish_until("one 1");
    stage.pass(9);
    stage.ask(side("1/0", false));
    let id = CommandId(stage.last_sent()["id"].as_u64().expect("a number"));
    stage.actor.heard(FromChild::Raised { id, exception: Box::default(), exit: None });
    assert_eq!(stage.actor.state().command(id).expect("a row").state, CommandState::Raised);
    assert_eq!(stage.running().as_deref(), Some("one 1"));
    stage.pass(1);
    assert_eq!(stage.last_sent()["type"], "interrupt", "the main thread was silent all the same");
}

#[test]
fn it_is_refused_where_it_may_do_harm_or_cannot_be_done() {
    let mut stage = stage();
    stage.actor.label.manners.side_eval = false;
    let refused = stage.ask(side("1", false)).try_recv().expect("an answer").expect_err("not confirmed");
    assert!(refused.message.contains("--yes"), "{refused:?}");
    for _ in 0..4 {
        assert!(stage.ask(side("1", true)).try_recv().is_err(), "taken");
    }
    let fifth = stage.ask(side("1", true)).try_recv().expect("an answer").expect_err("one too many");
    assert_eq!(fifth.kind, RefusalKind::NotNow);

    let mut stage = Stage::new(job(1));
    stage.connect();
    let refused = stage.ask(side("1", true)).try_recv().expect("an answer").expect_err("it cannot");
    assert!(refused.message.contains("beside its main thread"), "{refused:?}");
}

#[test]
fn it_goes_with_the_child_and_with_the_engine() {
    let mut stage = stage();
    let mut asked = stage.ask(side("forever()", false));
    let id = CommandId(stage.last_sent()["id"].as_u64().expect("a number"));
    let died = Stage::on(job(1), stage.actor.state().clone());
    assert_eq!(died.actor.state().command(id).expect("a row").state, CommandState::Lost);
    stage.exit(1);
    let Ok(Ok(Response::Command(detail))) = asked.try_recv() else { panic!("no answer") };
    assert!(matches!(detail.outcome, Some(CommandOutcome::Lost { .. })), "{detail:?}");
}

#[test]
fn a_number_that_is_neither_running_nor_beside_breaks_the_channel() {
    let mut stage = stage();
    stage.ask(side("1", false));
    let id = CommandId(stage.last_sent()["id"].as_u64().expect("a number"));
    stage.actor.heard(FromChild::Finished { id, value: None, cut: None });
    stage.actor.heard(FromChild::Finished { id, value: None, cut: None });
    let events = stage.actor.world().events.clone();
    assert!(events.iter().any(|event| matches!(event.kind, EventKind::ChildFailed { .. })));
}
