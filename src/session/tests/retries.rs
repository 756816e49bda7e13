//! The delay before a failed item's next try, under a wall clock that somebody sets.

use super::*;

const DAY: u64 = 24 * 3600 * 1_000_000;

fn retrying() -> Job {
    Job { retry: Retry { times: 1, delay: Duration::from_secs(7) }, ..job(1) }
}

/// A session whose item has just failed.
fn failed(at: impl FnOnce(&mut Now)) -> Stage {
    let mut stage = Stage::new(retrying());
    stage.connect();
    stage.finish_until("one 1");
    at(&mut stage.actor.world().now);
    stage.raise();
    assert_eq!(stage.status(0), ItemStatus::Retrying);
    stage
}

#[test]
fn a_retry_comes_in_time_whatever_becomes_of_the_wall_clock() {
    for jump in [-1, 1] {
        let mut stage = failed(|now| now.wall.0 += DAY);
        let wall = &mut stage.actor.world().now.wall;
        *wall = Micros(wall.0.saturating_add_signed(jump * i64::try_from(DAY).unwrap()));
        stage.pass(6);
        assert_eq!(stage.running(), None);
        let waits = stage.actor.summary().waits;
        let retry = waits.iter().find(|wait| wait.what == WaitFor::Retry).expect("listed");
        assert_eq!(retry.until.map(|until| until.since(stage.actor.world().now.wall)), Some(Micros(1_000_000)));
        stage.pass(1);
        assert_eq!(stage.running().as_deref(), Some("one 1"), "{jump}");
    }
}

#[test]
fn a_resumed_session_waits_for_what_is_left_of_the_delay_and_never_longer() {
    // An engine that starts at the same wall time as the first one did.
    for (failed_at, left) in [(-5_i64, 2_u64), (-3600, 0), (0, 7), (3600, 7)] {
        let stage = failed(|now| now.wall.0 = now.wall.0.saturating_add_signed(failed_at * 1_000_000));
        let mut stage = Stage::on(retrying(), stage.actor.state().clone());
        stage.connect();
        stage.finish();
        stage.finish();
        if let Some(before) = left.checked_sub(1) {
            stage.pass(before);
            assert_eq!(stage.running(), None, "{failed_at}");
            stage.pass(1);
        } else {
            stage.pass(0);
        }
        assert_eq!(stage.running().as_deref(), Some("one 1"), "{failed_at}");
    }
}

#[test]
fn a_retry_that_comes_while_the_journal_cannot_be_written_comes_once() {
    let mut stage = failed(|_| ());
    stage.actor.world().disk_full = true;
    stage.pass(7);
    stage.pass(1);
    stage.actor.world().disk_full = false;
    stage.pass(1);
    assert_eq!(stage.running().as_deref(), Some("one 1"));
    let events = &stage.actor.world().events;
    let pending =
        |event: &&Arc<Event>| matches!(event.kind, EventKind::ItemChanged { status: ItemStatus::Pending, .. });
    assert_eq!(events.iter().filter(pending).count(), 1);
}
