//! What a paused child stops, and what lets it go on.

use super::*;

fn paused(mut stage: Stage) -> Stage {
    stage.does(Request::Pause);
    assert!(stage.actor.world().stopped);
    assert!(stage.actor.summary().paused.is_some());
    stage
}

#[test]
fn every_clock_of_the_child_stands_while_it_is_paused_and_goes_on_where_it_stood() {
    let second = |seconds| Some(Duration::from_secs(seconds));
    let all = Timeouts { command: second(30), item: second(40), silence: second(20), ..Timeouts::default() };
    for (timeouts, left) in [
        (Timeouts { command: None, item: None, ..all.clone() }, 10),
        (Timeouts { silence: None, item: None, ..all.clone() }, 20),
        (Timeouts { silence: None, command: None, ..all }, 30),
    ] {
        let mut stage = Stage::at_work(Job { timeouts, ..job(2) });
        let sent = stage.actor.world().sent.len();
        stage.pass(10);
        stage = paused(stage);
        stage.pass(1000);
        assert!(stage.actor.next_deadline().is_none(), "nothing is waited for with an end");
        stage.does(Request::Continue);
        assert!(!stage.actor.world().stopped);
        stage.pass(left - 1);
        assert_eq!(stage.actor.world().sent.len(), sent);
        stage.pass(1);
        assert_eq!(stage.actor.world().sent.last().unwrap()["type"], "interrupt");
    }
}

#[test]
fn output_read_before_a_pause_counts_as_that_long_ago_after_it() {
    let timeouts = Timeouts { silence: Some(Duration::from_secs(20)), ..Timeouts::default() };
    let mut stage = Stage::at_work(Job { timeouts, ..job(1) });
    stage.pass(15);
    let now = stage.actor.world().now;
    stage.actor.world().last_output = Some(now);
    stage.pass(15);
    stage = paused(stage);
    stage.pass(100);
    stage.does(Request::Continue);
    stage.pass(4);
    assert_eq!(stage.actor.clocks.silence_told, None);
    stage.pass(1);
    assert!(stage.actor.clocks.silence_told.is_some());
}

#[test]
fn the_time_paused_is_in_no_length_of_command_or_item_whether_or_not_it_was_held_too() {
    let mut stage = Stage::at_work(job(1));
    stage.pass(2);
    stage.does(Request::Break);
    stage.pass(3);
    stage = paused(stage);
    stage.pass(5);
    stage.does(Request::Release);
    stage.pass(7);
    stage.does(Request::Continue);
    stage.pass(11);
    stage.finish();
    stage.finish();
    let took = stage.actor.state().command(CommandId(3)).unwrap().took;
    assert_eq!(took, Micros(16_000_000), "2 before, 3 held, 11 after");
    assert_eq!(stage.actor.state().item(ItemIndex(0)).unwrap().took, Micros(13_000_000));
}

#[test]
fn startup_and_teardown_stand_too() {
    let timeouts = Timeouts {
        startup: Some(Duration::from_secs(20)),
        teardown: Some(Duration::from_secs(20)),
        ..Timeouts::default()
    };
    let mut stage = Stage::new(Job { timeouts: timeouts.clone(), ..job(1) });
    assert!(stage.actor.child_starting(vec![], "/".into(), vec![]));
    assert!(stage.refuses(Request::Pause, RefusalKind::NotNow).contains("no child"));
    stage.actor.child_spawned(100, 1);
    stage = paused(stage);
    stage.pass(100);
    stage.does(Request::Continue);
    stage.pass(19);
    assert_eq!(stage.actor.world().signals, [0; 0]);
    stage.pass(1);
    assert_eq!(stage.actor.world().signals, [libc::SIGTERM]);

    let mut stage = Stage::at_work(Job { timeouts, ..job(1) });
    stage.finish_until("close");
    stage = paused(stage);
    stage.pass(100);
    stage.does(Request::Continue);
    stage.pass(19);
    assert_eq!(stage.actor.world().signals, [0; 0]);
    stage.pass(1);
    assert_eq!(stage.actor.world().signals, [libc::SIGTERM]);
}

#[test]
fn nothing_is_sent_to_a_paused_child_and_what_it_had_said_counts() {
    let mut stage = paused(Stage::at_work(job(1)));
    stage.ask(Request::Exec { source: "mine".into(), wait: false });
    assert!(stage.refuses(Request::Names, RefusalKind::NotNow).contains("paused"));
    stage.finish();
    assert_eq!(stage.running(), None);
    stage.does(Request::Continue);
    assert_eq!(stage.running().as_deref(), Some("mine"));
    stage.finish();
    assert_eq!(stage.running().as_deref(), Some("two 1"));
}

#[test]
fn whatever_is_to_end_the_child_lets_it_go_on_first() {
    let ends: [fn(&mut Stage); 4] = [
        |stage| drop(stage.ask(Request::Stop { mode: StopMode::Now })),
        |stage| drop(stage.ask(Request::Items { verb: ItemVerb::Kill, names: vec!["1".into()] })),
        |stage| stage.actor.signalled(libc::SIGTERM),
        |stage| stage.actor.channel_broken("gone"),
    ];
    for end in ends {
        let mut stage = paused(Stage::at_work(job(1)));
        end(&mut stage);
        assert!(!stage.actor.world().stopped);
        assert!(stage.actor.state().paused.is_none());
        let continued = |event: &&Arc<Event>| matches!(event.kind, EventKind::ChildContinued { by: None });
        assert_eq!(stage.actor.world().events.iter().filter(continued).count(), 1);
        stage.refuses(Request::Pause, RefusalKind::NotNow);
        stage.pass(10);
        assert_eq!(stage.actor.world().signals, [libc::SIGTERM], "the ladder's own waits go on");
    }
}

#[test]
fn a_new_child_is_not_paused() {
    let mut stage = paused(Stage::at_work(Job { restarts: 1, ..job(2) }));
    stage.pass(50);
    stage.exit(1);
    assert_eq!(stage.actor.state().item(ItemIndex(0)).unwrap().took, Micros(0));
    stage.connect();
    assert!(stage.actor.summary().paused.is_none());
    assert_eq!(stage.running().as_deref(), Some("init"));

    let stage = paused(Stage::at_work(job(2)));
    let mut stage = Stage::on(job(2), stage.actor.state().clone());
    stage.connect();
    assert!(stage.actor.summary().paused.is_none());
    assert_eq!(stage.running().as_deref(), Some("init"));
}

#[test]
fn pausing_is_journalled_first_and_asked_for_twice_done_once() {
    let mut stage = Stage::at_work(job(1));
    stage.actor.world().disk_full = true;
    stage.refuses(Request::Pause, RefusalKind::Failed);
    assert!(!stage.actor.world().stopped);
    stage.actor.world().disk_full = false;
    stage.pass(1);
    stage = paused(stage);
    assert!(stage.does(Request::Pause).contains("already"));
    stage.does(Request::Continue);
    assert!(stage.does(Request::Continue).contains("not paused"));
}
