//! A driver that dies, lies, hangs or talks too much.

use super::*;
use childminder::model::{Exit, SignalName};

/// The session fails by its driver, and says why; nobody is left.
#[track_caller]
fn fails(way: &str, rest: &str, code: i32, why: &str) -> Ended {
    let ended = ended(way, rest);
    assert_eq!(ended.code, code, "{}", ended.tail());
    assert!(reason(&ended).contains(why), "{}\n{}", reason(&ended), ended.tail());
    nobody_of_the_back_end_lives(&ended);
    ended
}

#[test]
fn a_driver_that_is_killed_fails_the_session_and_ends_the_child() {
    let slow = PHASES.replace("print('begin', {frame})", "import time; time.sleep(1000)");
    let ended = fails("Killed", &slow, 70, "the back end was lost: killed by SIGKILL");
    assert_eq!(statuses(&ended)[0], ItemStatus::Failed);
    let exited = ended.events().into_iter().find_map(|event| match event.kind {
        EventKind::ChildExited { exit, .. } => Some(exit),
        _ => None,
    });
    assert_eq!(exited, Some(Exit::Signal(SignalName(15))), "{}", ended.tail());
}

#[test]
fn a_driver_that_breaks_the_protocol_is_ended_with_words() {
    let ended = fails("Garbage", PHASES, 70, "the back end sent a line that is no request");
    assert!(reason(&ended).contains("nonsense") && !reason(&ended).contains('\u{1b}'), "{}", reason(&ended));
    fails("Endless", PHASES, 70, "the back end sent a line of more than 16 MiB");
    fails("HangsUp", "[timeouts]\nkill_grace = '300ms'\n", 70, "closed the bridge, but did not end");
}

#[test]
fn a_driver_that_ends_before_its_class_is_there_could_not_be_started() {
    fails("Quitter", PHASES, 69, "ended before its class was imported");
    let ended = fails("Broken", PHASES, 69, "ImportError: no module named studio");
    assert!(ended.state().back_end.is_none());
    fails("Mute", "[timeouts]\nstartup = '300ms'\n", 69, "did not import its class in time");
}

#[test]
fn a_driver_that_does_nothing_about_its_item_runs_out_of_the_items_time() {
    let rest = format!("[timeouts]\nitem = '300ms'\n{PHASES}");
    let ended = fails("Idle", &rest, 70, "the item ran longer than 0.3 s, while the back end did nothing about it");
    assert_eq!(statuses(&ended)[0], ItemStatus::Failed);
}

#[test]
fn a_driver_that_does_not_end_is_waited_for_as_long_as_teardown_may_take() {
    let rest = format!("[timeouts]\nteardown = '300ms'\n{PHASES}");
    let ended = fails("Lingers", &rest, 70, "the back end did not end in time");
    assert_eq!(statuses(&ended), [ItemStatus::Complete; 3]);
}

#[test]
fn what_a_driver_has_started_is_ended_with_it() {
    let ended = fails("Family", PHASES, 0, "all 3 items complete");
    assert_said(&ended, "helper ");
}

#[test]
fn what_a_driver_prints_is_kept_within_bounds_and_made_safe() {
    let ended = fails("Loud", "", 0, "");
    let said = said(&ended.events());
    assert_eq!(said[0], "line 0", "{}", ended.tail());
    assert!(said.iter().any(|line| line.starts_with("(… ") || line == "line 19999"), "{}", said.len());
    assert!(said.iter().any(|line| line == "no colours␇"), "{:?}", said.last());
    assert!(said.iter().any(|line| line.starts_with("yyy") && line.len() == 4096), "{}", said.len());
    let bytes: usize = said.iter().map(String::len).sum();
    assert!(bytes < 1 << 20, "{bytes}");
}
