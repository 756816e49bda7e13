//! The way through a job, with a child that dies and operators that steer.

use super::*;
use childminder::model::proto::{ItemVerb, Request, Response};
use childminder::model::{Breakpoint, Exit, ItemIndex, Phase, SessionPhase, Step, StopMode, Stops, Stream, WaitFor};
use session::PATIENCE;
use std::time::Instant;
use supervised::Place;

#[test]
fn the_driver_goes_through_the_job_and_the_engine_does_and_records_it() {
    let ended = ended("Plain", PHASES);
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let printed = String::from_utf8(ended.output(Stream::Stdout)).expect("text");
    assert_eq!(printed, "set up\nbegin 1\nend 1 1\nbegin 2\nend 2 1\nbegin 3\nend 3 1\ntorn down\n");
    assert_eq!(statuses(&ended), [ItemStatus::Complete; 3]);
    let state = ended.state();
    let phases: Vec<Phase> = state.commands.iter().map(|row| row.phase).collect();
    let expected = [vec![Phase::Init; 2], vec![Phase::Setup; 3], vec![Phase::Item; 6], vec![Phase::Teardown]].concat();
    assert_eq!(phases, expected);
    let kinds: Vec<EventKind> = ended.events().into_iter().map(|event| event.kind).collect();
    let entered: Vec<SessionPhase> = kinds.iter().filter_map(entered).collect();
    let expected = [SessionPhase::Init, SessionPhase::Setup, SessionPhase::Agenda, SessionPhase::Teardown];
    assert_eq!(entered, expected);
    let place = |wanted: &dyn Fn(&EventKind) -> bool| kinds.iter().position(wanted).expect("an event");
    let order = [
        place(
            &|kind| matches!(kind, EventKind::BackEndStarting { argv, class } if argv.len() == 3 && class.ends_with(":Plain")),
        ),
        place(
            &|kind| matches!(kind, EventKind::BackEndLoaded { back_end } if back_end.overrides[0].name == "executeWork"),
        ),
        place(&|kind| matches!(kind, EventKind::ChildStarting { argv, .. } if argv[0] == "/bin/sh")),
        place(&|kind| matches!(kind, EventKind::ChildExited { exit: Exit::Code(0), asked: true, .. })),
        place(&|kind| matches!(kind, EventKind::BackEndReported { status, .. } if status == "complete")),
        place(&|kind| matches!(kind, EventKind::BackEndEnded { exit: Exit::Code(0) })),
        place(&|kind| matches!(kind, EventKind::SessionEnded { code: 0, .. })),
    ];
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(state.back_end.expect("a back end").class, "Plain");
    assert_eq!(results(&ended)[1].output_paths, ["/out/2.png"]);
    assert_eq!(results(&ended)[1].values["seen"], 0);
    assert_said(&ended, "closed with 0");
}

fn entered(kind: &EventKind) -> Option<SessionPhase> {
    match kind {
        EventKind::Phase { to } if !matches!(to, SessionPhase::Starting | SessionPhase::Ended) => Some(*to),
        _ => None,
    }
}

#[test]
fn a_class_that_says_nothing_of_it_has_its_child_started_as_the_recipe_says() {
    let ended = ended("Stock", PHASES);
    assert_said(&ended, "started True");
    assert_said(&ended, "item 1 code 1");
    assert_eq!(statuses(&ended), [ItemStatus::Failed; 3], "nobody has set it up\n{}", ended.tail());
    assert_eq!(ended.code, 1);
}

#[test]
fn what_a_command_raises_is_the_drivers_to_judge() {
    let raises = PHASES.replace("print('begin', {frame})", "print('begin', {frame}); {frame} != 2 or dark");
    let plain = ended("Plain", &raises);
    assert_said(&plain, "item 2 code 1 exit None ran 1");
    assert_eq!(statuses(&plain), [ItemStatus::Complete, ItemStatus::Failed, ItemStatus::Complete], "{}", plain.tail());
    let failed = plain.events().into_iter().find_map(|event| match event.kind {
        EventKind::ItemEnded { reason: Some(reason), .. } => Some(reason),
        _ => None,
    });
    assert_eq!((plain.code, failed.as_deref()), (1, Some("NameError: name 'dark' is not defined")));
    let optimist = ended("Optimist", &raises);
    assert_eq!((optimist.code, statuses(&optimist)), (0, vec![ItemStatus::Complete; 3]), "{}", optimist.tail());
}

#[test]
fn a_failed_setup_is_the_sessions_end() {
    let ended = ended("Plain", "[phases]\nsetup = ['1 / 0']\nteardown = ['print(2)']\n");
    assert_eq!(
        (ended.code, reason(&ended)),
        (1, "setup failed (the back end ended with exit code 4)".to_owned()),
        "{}",
        ended.tail()
    );
    assert_said(&ended, "setup failed: ZeroDivisionError");
}

#[test]
fn failed_items_are_tried_again_as_the_job_says() {
    let once = PHASES.replace(
        "print('begin', {frame})",
        "tries = scene.setdefault({frame}, []); tries.append(1); {frame} != 2 or tries[1]",
    );
    let ended = ended("Plain", &format!("[retry]\ntimes = 1\n{once}"));
    assert_eq!((ended.code, statuses(&ended)), (0, vec![ItemStatus::Complete; 3]), "{}", ended.tail());
    assert_eq!(ended.state().item(ItemIndex(1)).expect("an item").attempt, 2);
    assert_said(&ended, "item 2 is retrying");
}

#[test]
fn reports_in_the_middle_are_merged_while_a_command_runs() {
    let go = tempfile::tempdir().expect("a folder");
    let path = go.path().join("go");
    let rest = format!(
        "[parameters]\ngo = {}\n[phases]\ncommands = ['import os, time', 'while not os.path.exists({{go}}): time.sleep(0.01)']\n\
         [agenda]\nframes = '7'\n",
        quoted(&path)
    );
    let ended = ended("Talker", &rest);
    assert_eq!((ended.code, statuses(&ended)), (0, vec![ItemStatus::Complete]), "{}", ended.tail());
    for line in ["twice: commands are under way already", "alive: None", "unknown: False", "code 0"] {
        assert_said(&ended, line);
    }
    let result = &results(&ended)[0];
    assert_eq!(result.output_paths, ["/out/a.png", "/out/b.png"]);
    assert_eq!((result.progress, result.highlights.len(), &result.values["fps"]), (Some(0.5), 1, &24.into()));
}

#[test]
fn standard_error_is_merged_where_the_class_wants_it() {
    let ended =
        ended("Merged", "[phases]\nsetup = ['import sys; _ = sys.stderr.write(\"to one\\n\"); print(\"place\")']\n");
    assert_eq!(ended.output(Stream::Stdout), b"to one\nplace\n", "{}", ended.tail());
    assert_eq!(ended.output(Stream::Stderr), b"");
    assert_eq!(ended.code, 0);
}

#[test]
fn items_that_nobody_reports_fail() {
    let ended = ended("Forgetful", PHASES);
    assert_eq!((ended.code, statuses(&ended)), (1, vec![ItemStatus::Failed; 3]), "{}", ended.tail());
    assert!(ended.item_reason().contains("before it had reported the item"), "{}", ended.item_reason());
}

// ---- a dead child --------------------------------------------------------------------------------------------------

fn dies(how: &str) -> Ended {
    let rest = PHASES.replace("print('begin', {frame})", &format!("import os; {{frame}} != 2 or {how}"));
    let ended = ended("Plain", &rest);
    let expected = [ItemStatus::Complete, ItemStatus::Failed, ItemStatus::Pending];
    assert_eq!(statuses(&ended), expected, "{}", ended.tail());
    assert_eq!(ended.code, 70, "{}", ended.tail());
    ended
}

#[test]
fn a_child_that_dies_answers_the_driver_whatever_its_exit_code() {
    let ended = dies("os._exit(0)");
    assert_said(&ended, "item 2 code 1 exit 0 ran 1");
    assert_said(&ended, "item 2 is failed");
    assert_eq!(reason(&ended), "the child was lost: exit code 0");
    let ended = dies("os._exit(3)");
    assert_said(&ended, "item 2 code 1 exit 3 ran 1");
    let ended = dies("os.kill(os.getpid(), 9)");
    assert_said(&ended, "item 2 code 1 exit -9 ran 1");
    assert_eq!(ended.item_reason(), "the child ended: killed by SIGKILL");
}

#[test]
fn a_child_that_cannot_be_started_is_told_to_the_driver() {
    let ended = ended("NoChild", PHASES);
    assert_said(&ended, "no child: cannot start /no/such/shell: there is no such program");
    assert_eq!(ended.code, 69, "{}", ended.tail());
}

#[test]
fn a_dead_child_is_started_again_with_a_new_driver_if_the_job_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("mark");
    let once = format!(
        "[parameters]\nmark = {}\n{}",
        quoted(&mark),
        PHASES.replace(
            "print('begin', {frame})",
            "import os; os.path.exists({mark}) or [open({mark}, 'w').close(), os._exit(1)]"
        )
    );
    let job = Job { restarts: 1, ..driven("Plain", &format!("[retry]\ntimes = 1\n{once}")) };
    let ended = Supervised::of(job).wait();
    assert_eq!((ended.code, statuses(&ended)), (0, vec![ItemStatus::Complete; 3]), "{}", ended.tail());
    let begun = ended.events().iter().filter(|event| matches!(event.kind, EventKind::BackEndStarting { .. })).count();
    assert_eq!((begun, ended.state().generation.0), (2, 2));
}

// ---- operators -----------------------------------------------------------------------------------------------------

#[test]
fn a_held_agenda_keeps_the_driver_waiting_and_operators_work_meanwhile() {
    let session = Supervised::of(driven("Plain", &format!("# held\n{PHASES}")));
    session.until_agenda();
    assert_eq!(session.value("scene['loaded']"), "1");
    session.ask(Request::Break).expect("held");
    session.ask(Request::Release).expect("released");
    until_said(&session, "item 3 is complete");
    assert_eq!(session.value("early + 1"), "2", "the engine stays until it is stopped");
    let ended = session.stop();
    assert_said(&ended, "told to stop after_item");
    assert_said(&ended, "no work: pending");
    assert_eq!((ended.code, statuses(&ended)), (0, vec![ItemStatus::Complete; 3]), "{}", ended.tail());
    assert!(ended.output(Stream::Stdout).ends_with(b"torn down\n"));
}

#[test]
fn an_execute_that_is_held_before_a_command_takes_longer_and_nothing_else() {
    let command = Breakpoint::Command("^print.'end', 2".into());
    let stops = Stops { on_failure: false, breakpoints: vec![command] };
    let session = Supervised::of(Job { stops, ..driven("Plain", PHASES) });
    session.until("held", |state| state.held.is_some());
    assert_eq!(session.value("1 + 1"), "2");
    assert_eq!(session.state().item(ItemIndex(1)).expect("an item").status, ItemStatus::Running);
    session.ask(Request::Release).expect("released");
    let ended = session.wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
}

#[test]
fn an_item_that_an_operator_kills_is_killed_and_the_driver_goes_on() {
    let slow = PHASES.replace("print('begin', {frame})", "import time; {frame} != 2 or time.sleep(1000)");
    let session = Supervised::of(driven("Plain", &slow));
    session.until("item 2", |state| state.running.is_some_and(|running| running.id.0 == 8 && running.started));
    session.ask(Request::Items { verb: ItemVerb::Kill, names: vec!["2".into()] }).expect("killed");
    let ended = session.wait();
    assert_eq!(statuses(&ended), [ItemStatus::Complete, ItemStatus::Killed, ItemStatus::Complete], "{}", ended.tail());
    assert_said(&ended, "item 2 is killed");
}

#[test]
fn a_stop_now_ends_the_command_the_child_and_a_driver_that_hears_nothing() {
    let slow = PHASES.replace("print('begin', {frame})", "import time; time.sleep(1000)");
    let session = Supervised::of(driven("Plain", &slow));
    session.until("a slow command", |state| {
        state.commands.len() == 7 && state.running.is_some_and(|running| running.started)
    });
    session.ask(Request::Stop { mode: StopMode::Now }).expect("stopped");
    let ended = session.wait();
    assert_eq!((ended.code, statuses(&ended)[0]), (130, ItemStatus::Pending), "{}", ended.tail());
    assert_said(&ended, "told to stop now");

    let session = Supervised::of(driven("Mute", "[timeouts]\nkill_grace = '300ms'\n"));
    session.until("a back end", |state| state.seq.0 >= 2);
    let Ok(Response::Summary(summary)) = session.ask(Request::Summary) else { panic!("no summary") };
    let waits = summary.waits;
    assert!(waits.iter().any(|wait| wait.what == WaitFor::BackEnd && wait.until.is_some()), "{waits:?}");
    let begun = Instant::now();
    session.ask(Request::Stop { mode: StopMode::Now }).expect("stopped");
    let ended = session.wait();
    assert!(begun.elapsed() < PATIENCE / 4, "{:?}", begun.elapsed());
    nobody_of_the_back_end_lives(&ended);
}

#[test]
fn a_restart_has_a_new_driver_begin_again_and_done_items_stay_done() {
    let session = Supervised::of(driven("Plain", &format!("# held\n{PHASES}")));
    session.until_agenda();
    session.ask(Request::Step { step: Step::Item, item: None }).expect("a step");
    until_said(&session, "item 1 is complete");
    let first = session.value("os.getpid()");
    session.ask(Request::Restart { now: false }).expect("restarted");
    session.until("the next child", |state| state.generation.0 == 2 && state.phase == SessionPhase::Agenda);
    assert_ne!(session.value("os.getpid()"), first);
    session.ask(Request::Release).expect("released");
    until_said(&session, "item 3 is complete");
    let ended = session.stop();
    assert_eq!((ended.code, statuses(&ended)), (0, vec![ItemStatus::Complete; 3]), "{}", ended.tail());
    let printed = String::from_utf8(ended.output(Stream::Stdout)).expect("text");
    assert_eq!((printed.matches("begin 1\n").count(), printed.matches("set up\n").count()), (1, 2));
}

#[test]
fn a_killed_engines_session_is_gone_on_with_by_a_new_driver() {
    let engine = Supervised::of(driven("Plain", &format!("# held\n{PHASES}")));
    engine.until_agenda();
    engine.ask(Request::Step { step: Step::Item, item: None }).expect("a step");
    engine.until("one item", |state| state.count(ItemStatus::Complete) == 1 && state.held.is_some());
    let place: Place = engine.kill();
    let marker = format!("{}.back_end", place.folder().id());
    session::until("the end of all that it started", place.folder(), || {
        aftermath::living(&marker).is_empty() && aftermath::living(place.folder().id()).is_empty()
    });
    session::until("a folder that is let go of", place.folder(), || !place.folder().is_running());
    let mut engine = place.start();
    engine.must_get_ready();
    engine.until_generation(2);
    engine.ask(Request::Release).expect("released");
    engine.until("all items", |state| state.count(ItemStatus::Complete) == 3);
    let ended = engine.stop();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let printed = String::from_utf8(ended.output(Stream::Stdout)).expect("text");
    assert_eq!(printed.matches("begin 1\n").count(), 1);
}
