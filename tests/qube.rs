//! A back-end class decides what comes next: what the engine does for a driver, and about one that dies, lies or hangs.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/hosts.rs"]
mod hosts;
#[path = "common/session.rs"]
mod session;
#[path = "common/supervised.rs"]
mod supervised;

use childminder::model::proto::{ItemVerb, Request, Response};
use childminder::model::{
    Event, EventKind, Exit, ItemIndex, ItemStatus, Job, Phase, ResultPackage, SessionPhase, SignalName, StopMode,
    Stream, WaitFor,
};
use session::{Ended, PATIENCE, aftermath, child_file, job, quoted};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use supervised::{Place, Supervised};

const PHASES: &str = r#"
[phases]
init = ["early = 1"]
setup = ["scene = {'loaded': early}", "print('set up')"]
commands = ["print('begin', {frame})", "print('end', {frame}, scene['loaded'])"]
teardown = ["print('torn down')"]
[agenda]
frames = "1-3"
"#;

/// A job whose driver goes this way.
fn driven(way: &str, rest: &str) -> Job {
    let bridge = child_file("bridge.py");
    let backend = quoted(format!("{}:{way}", bridge.display()));
    let python = quoted(&bridge);
    job(&format!("backend = {backend}\n{}\n[settings]\nback_end_python = {python}\n{rest}", head(rest)))
}

/// Keys of the job itself, which stand before all tables.
fn head(rest: &str) -> &str {
    if rest.contains("# held") { "hold = true" } else { "" }
}

fn ended(way: &str, rest: &str) -> Ended {
    Supervised::of(driven(way, rest)).wait()
}

/// What the driver has printed.
fn said(events: &[Event]) -> Vec<String> {
    let notes = events.iter().filter_map(|event| match &event.kind {
        EventKind::Note { text } => Some(text.clone()),
        _ => None,
    });
    let lines = notes.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter_map(|line| line.strip_prefix("back end| ").map(str::to_owned)).collect()
}

fn reason(ended: &Ended) -> String {
    ended.state().ended.expect("an end").reason
}

#[track_caller]
fn assert_said(ended: &Ended, line: &str) {
    let said = said(&ended.events());
    assert!(said.iter().any(|said| said.contains(line)), "not said: {line}\n{said:#?}\n{}", ended.tail());
}

fn statuses(ended: &Ended) -> Vec<ItemStatus> {
    ended.state().items.iter().map(|row| row.status).collect()
}

fn results(ended: &Ended) -> Vec<ResultPackage> {
    let events = ended.events().into_iter();
    let results = events.filter_map(|event| match event.kind {
        EventKind::ItemEnded { result, .. } => Some(result),
        _ => None,
    });
    results.collect()
}

fn until_said(session: &Supervised, line: &str) {
    session::until(line, session.folder(), || said(&session.events()).iter().any(|said| said.contains(line)));
}

// ---- the way through a job -----------------------------------------------------------------------------------------

#[test]
fn the_driver_goes_through_the_job_and_the_engine_does_and_records_it() {
    let ended = ended("Plain", PHASES);
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let printed = String::from_utf8(ended.output(Stream::Stdout)).expect("text");
    let items: String = (1..=3).map(|frame| format!("begin {frame}\nend {frame} 1\n")).collect();
    assert_eq!(printed, format!("set up\n{items}torn down\n"));
    assert_eq!(statuses(&ended), [ItemStatus::Complete; 3]);
    let state = ended.state();
    let phases: Vec<Phase> = state.commands.iter().map(|row| row.phase).collect();
    let expected = [vec![Phase::Init; 2], vec![Phase::Setup; 3], vec![Phase::Item; 6], vec![Phase::Teardown]].concat();
    assert_eq!(phases, expected);
    let kinds: Vec<EventKind> = ended.events().into_iter().map(|event| event.kind).collect();
    let entered: Vec<SessionPhase> = kinds.iter().filter_map(entered).collect();
    use SessionPhase::{Agenda, Init, Setup, Teardown};
    assert_eq!(entered, [Init, Setup, Agenda, Teardown]);
    let place = |wanted: &dyn Fn(&EventKind) -> bool| kinds.iter().position(wanted).expect("an event");
    let order = [
        place(
            &|kind| matches!(kind, EventKind::BackEndStarting { argv, class } if argv.len() == 3 && class.ends_with(":Plain")),
        ),
        place(
            &|kind| matches!(kind, EventKind::BackEndLoaded { back_end } if back_end.overrides[0].name == "executeWork"),
        ),
        place(&|kind| matches!(kind, EventKind::ChildStarting { argv, .. } if argv[0] == "/bin/sh")),
        place(&|kind| matches!(kind, EventKind::ChildExited { exit: Exit::Code(0), asked: true })),
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
fn a_failed_setup_is_the_sessions_end_with_the_drivers_code() {
    let ended = ended("Plain", "[phases]\nsetup = ['1 / 0']\nteardown = ['print(2)']\n");
    assert_eq!((ended.code, reason(&ended)), (4, "setup failed".to_owned()), "{}", ended.tail());
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

// ---- a bad driver --------------------------------------------------------------------------------------------------

#[track_caller]
fn nobody_of_the_back_end_lives(ended: &Ended) {
    assert_eq!(aftermath::living(&format!("{}.back_end", ended.folder.id())), Vec::<String>::new(), "{}", ended.tail());
}

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
    let ended = fails("Broken", PHASES, 3, "ImportError: no module named studio");
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
    let command = childminder::model::Breakpoint::Command("^print.'end', 2".into());
    let stops = childminder::model::Stops { on_failure: false, breakpoints: vec![command] };
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
    session.ask(Request::Step { step: childminder::model::Step::Item, item: None }).expect("a step");
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
    engine.ask(Request::Step { step: childminder::model::Step::Item, item: None }).expect("a step");
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

// ---- under a supervisor --------------------------------------------------------------------------------------------

fn supervised(way: &str) -> Job {
    let mut job = driven(way, "");
    job.driven.as_mut().expect("driven").under_qube = true;
    job
}

#[test]
fn work_of_a_supervisor_is_added_begun_again_and_judged_by_it() {
    let session = Supervised::of(supervised("Supervised"));
    let refused = session.ask(Request::Restart { now: true }).expect_err("refused");
    assert!(refused.to_string().contains("in Qube instead"), "{refused}");
    let ended = session.wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    assert_said(&ended, "take: False");
    let state = ended.state();
    let names: Vec<_> = (0..3).map(|place| state.added.item(ItemIndex(place)).expect("added").name.clone()).collect();
    assert_eq!(names, ["a", "b", "never"]);
    assert_eq!(statuses(&ended), [ItemStatus::Complete, ItemStatus::Complete, ItemStatus::Failed]);
    assert_eq!(state.item(ItemIndex(1)).expect("an item").attempt, 2);
    assert_eq!(ended.output(Stream::Stdout), b"A\nB\n");
}

#[test]
fn clients_see_added_items_by_their_names() {
    let engine = Supervised::of(supervised("Supervised"));
    engine.until("its work", |state| state.count(ItemStatus::Complete) == 2);
    let place = engine.place().clone();
    let ended = engine.wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let listed = place.command(&["agenda", place.folder().id()]).output().expect("a list");
    let listed = String::from_utf8(listed.stdout).expect("text");
    assert!(listed.contains("never") && listed.contains('b'), "{listed}");
    let log = place.command(&["log", place.folder().id(), "--item", "a"]).output().expect("a log");
    assert!(String::from_utf8_lossy(&log.stdout).contains('A'), "{log:?}");
}

// ---- classes on the real package -----------------------------------------------------------------------------------

/// A job of a class in `back_ends.py`, which this interpreter runs.
fn of_class(class: &str, python: &Path, rest: &str) -> Job {
    let backend = quoted(format!("{}:{class}", child_file("back_ends.py").display()));
    job(&format!("backend = {backend}\n{rest}\n[settings]\nback_end_python = {}\n", quoted(python)))
}

/// The oldest and the newest interpreter that may run a class: Python 2 is what many studios have.
fn interpreters() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        hosts::pythons().into_iter().filter(|python| python.family == "python").map(|python| python.path).collect();
    assert!(!found.is_empty(), "there is no python3");
    found.drain(1..found.len().max(2) - 1);
    found
}

const RENDER: &str = r#"
[parameters]
regex_outputPaths = "Saved: (.*)"
regex_highlights = "took long"
[phases]
setup = ["print(ready)"]
commands = ["print('Saved: /out/%d.png' % {frame})", "print('took long') if {frame} == 2 else None"]
teardown = ["print('torn down')"]
[agenda]
frames = "1-3"
"#;

#[test]
fn a_studios_class_runs_its_job_in_either_python() {
    for python in interpreters() {
        let ended = Supervised::of(of_class("Shell", &python, RENDER)).wait();
        assert_eq!((ended.code, statuses(&ended)), (0, vec![ItemStatus::Complete; 3]), "{}", ended.tail());
        let printed = String::from_utf8(ended.output(Stream::Stdout)).expect("text");
        let major = ended.state().back_end.expect("a back end").python.remove(0);
        assert!(printed.starts_with(&format!("set up by {major}\n")) && printed.ends_with("torn down\n"), "{printed}");
        let results = results(&ended);
        assert_eq!(results[1].output_paths, ["/out/2.png"], "{}", ended.tail());
        assert_eq!(results[1].highlights, ["took long"]);
    }
}

#[test]
fn what_a_class_overrides_has_its_effect() {
    let job = of_class("Own", Path::new("/usr/bin/python3"), &RENDER.replace("print(ready)", "print('ready')"));
    let ended = Supervised::of(job).wait();
    assert_eq!((ended.code, statuses(&ended)), (0, vec![ItemStatus::Complete; 3]), "{}", ended.tail());
    let printed = String::from_utf8(ended.output(Stream::Stdout)).expect("text");
    assert!(printed.starts_with("ready\nbefore all\nSaved: /out/1.png\n"), "{printed}");
    assert_said(&ended, "teardown of my own");
    let overrides: Vec<String> =
        ended.state().back_end.expect("a back end").overrides.into_iter().map(|one| one.name).collect();
    for name in ["executeWork", "generateChildBootstrapper", "getSubprocessArgs", "jobTeardown"] {
        assert!(overrides.iter().any(|one| one == name), "{overrides:?}");
    }
}

#[test]
fn a_class_whose_child_dies_fails_its_instance() {
    let dies = RENDER.replace("print('took long') if {frame} == 2 else None", "import os; {frame} != 2 or os._exit(0)");
    let ended = Supervised::of(of_class("Shell", Path::new("/usr/bin/python3"), &dies)).wait();
    let expected = [ItemStatus::Complete, ItemStatus::Failed, ItemStatus::Pending];
    assert_eq!((ended.code, statuses(&ended).as_slice()), (70, expected.as_slice()), "{}", ended.tail());
    assert_eq!(results(&ended)[1].output_paths, ["/out/2.png"], "what it had said before it died\n{}", ended.tail());
}

#[test]
fn a_class_that_raises_or_is_not_there_fails_with_words() {
    let python = Path::new("/usr/bin/python3");
    let ended = Supervised::of(of_class("Raises", python, RENDER)).wait();
    assert_eq!(ended.code, 1, "{}", ended.tail());
    assert!(reason(&ended).contains("no licence today"), "{}", reason(&ended));
    let ended = Supervised::of(of_class("Missing", python, RENDER)).wait();
    assert_eq!(ended.code, 2, "{}", ended.tail());
    assert!(reason(&ended).contains("Missing"), "{}", reason(&ended));
}

#[test]
fn a_class_that_is_stopped_gives_its_instance_back() {
    let engine = Supervised::of(of_class("Shell", Path::new("/usr/bin/python3"), &format!("hold = true\n{RENDER}")));
    engine.until_agenda();
    let ended = engine.stop();
    assert_eq!((ended.code, statuses(&ended)), (130, vec![ItemStatus::Pending; 3]), "{}", ended.tail());
    assert!(ended.output(Stream::Stdout).ends_with(b"torn down\n"), "{}", ended.tail());
}

// ---- qube-worker ---------------------------------------------------------------------------------------------------

/// A worker's environment, with a `qb` of ours that stands in for the installed one.
struct Worker {
    place: Place,
}

impl Worker {
    fn new(script: &serde_json::Value) -> Self {
        let worker = Self { place: Place::new(Job::default()) };
        std::fs::write(worker.file("script"), script.to_string()).expect("written");
        worker
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.home().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(&[&["qube-worker"], arguments].concat());
        command.env("QBJOBID", "4711").env("QBSUBID", "3").env("QBDIR", child_file("qb_standin"));
        command.env("QB_STANDIN_SCRIPT", self.file("script")).env("QB_STANDIN_REPORTS", self.file("reports"));
        command
    }

    /// What the supervisor heard: the call, and a status.
    fn reports(&self) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(self.file("reports")).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        let told = lines.filter(|line| line["call"] != "requestwork").map(|line| {
            let told = &line["told"];
            let status = told.get("status").unwrap_or(told).as_str().unwrap_or_default();
            let name = told.get("name").and_then(|name| name.as_str()).unwrap_or_default();
            let call = line["call"].as_str().unwrap_or_default();
            (format!("{call} {name}").trim_end().to_owned(), status.to_owned())
        });
        told.collect()
    }
}

fn script(commands: &[&str]) -> serde_json::Value {
    let work: Vec<_> = commands
        .iter()
        .enumerate()
        .map(|(place, command)| {
            serde_json::json!({ "name": format!("f{place}"), "status": "running", "package": { "commands": [command] } })
        })
        .collect();
    let package =
        serde_json::json!({ "jobSetupCmds": ["scene = 'loaded'"], "jobTeardownCmds": ["print('torn down')"] });
    serde_json::json!({ "job": { "id": 4711, "name": "a farm's job", "status": "running", "package": package }, "work": work })
}

fn told(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(call, status)| ((*call).to_owned(), (*status).to_owned())).collect()
}

#[test]
fn a_worker_runs_the_supervisors_work_and_reports_it_there() {
    let worker = Worker::new(&script(&["print(scene)", "1 / 0", "print('on')"]));
    let output = worker.command(&["--backend", "python"]).output().expect("ran");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let expected = [
        ("reportwork f0", "complete"),
        ("reportwork f1", "failed"),
        ("reportwork f2", "complete"),
        ("reportjob", "complete"),
    ];
    assert_eq!(worker.reports(), told(&expected), "{said}");
    for line in
        ["out| loaded", "item f1 failed", "item f2 complete", "out| torn down", "2 of 3 items complete, 1 failed"]
    {
        assert!(said.contains(line), "{line}\n{said}");
    }
}

#[test]
fn a_worker_whose_child_dies_has_its_instance_fail() {
    let worker = Worker::new(&script(&["import os; os._exit(0)", "print('never')"]));
    let backend = format!("{}:Shell", child_file("back_ends.py").display());
    let output = worker.command(&["--backend", &backend]).output().expect("ran");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(70), "{said}");
    assert_eq!(worker.reports(), told(&[("reportwork f0", "failed"), ("reportjob", "failed")]), "{said}");
    assert!(!said.contains("out| never"), "{said}");
}

#[test]
fn a_worker_that_is_killed_gives_its_work_back_and_leaves_nobody() {
    let worker = Worker::new(&script(&["print('here'); import time; time.sleep(1000)"]));
    let mut run = worker.command(&[]).stdout(Stdio::piped()).spawn().expect("started");
    let mut lines = std::io::BufReader::new(run.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("out| here")), "the work did not begin");
    let begun = Instant::now();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(run.id().cast_signed()), nix::sys::signal::Signal::SIGTERM)
        .expect("sent");
    let rest: Vec<String> = lines.collect();
    let status = run.wait().expect("an end");
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    assert_eq!(status.code(), Some(143), "{rest:#?}");
    assert_eq!(worker.reports()[0], ("reportwork f0".to_owned(), "pending".to_owned()), "{rest:#?}");
}

#[test]
fn outside_of_a_worker_there_is_nothing_to_run() {
    let worker = Worker::new(&script(&[]));
    let output = worker.command(&[]).env_remove("QBJOBID").output().expect("ran");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("QBJOBID is not set"), "{output:?}");
}
