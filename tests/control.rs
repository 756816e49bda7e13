//! An operator steers a session on a real child: where the agenda stops, what is run of it, and a child that is paused.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/session.rs"]
mod session;

use childminder::model::proto::{ItemVerb, RefusalKind, Request};
use childminder::model::{
    Breakpoint, ChildState, CommandOutcome, EventKind, HoldReason, ItemIndex, ItemStatus, Job, Phase, Rung,
    SessionPhase, Step, StopMode, Stops, Stream,
};
use session::{Session, job, until};

/// Frame 2 fails for want of a name that setup has not made.
const JOB: &str = r#"
[phases]
setup = ["import os", "scene = {'loaded': os.getpid()}"]
commands = ["print('begin', {frame})", "{frame} != 2 or light", "print('end', {frame})"]
[agenda]
frames = "1-3"
"#;

fn stopping(on_failure: bool, breakpoints: Vec<Breakpoint>) -> Job {
    Job { stops: Stops { on_failure, breakpoints }, ..job(JOB) }
}

fn until_held(session: &Session, why: HoldReason) {
    session.until(&format!("held: {why:?}"), move |state| state.held.as_ref().is_some_and(|hold| hold.why == why));
}

fn status(session: &Session, item: u32) -> ItemStatus {
    session.look(move |state| state.item(ItemIndex(item)).expect("an item").status)
}

/// Takes one step, and waits for its end.
fn step(session: &Session, step: Step, item: Option<&str>) {
    let since = session.look(|state| state.seq);
    session.ask(Request::Step { step, item: item.map(Into::into) }).expect("stepped");
    session.until("the step's end", move |state| {
        let stepped = state.held.as_ref().is_some_and(|hold| hold.why == HoldReason::Stepped);
        state.seq > since && state.running.is_none() && stepped
    });
}

/// How many commands of a phase have ended.
fn ran(session: &Session, phase: Phase) -> usize {
    session.look(move |state| state.commands.iter().filter(|row| row.phase == phase && row.state.is_final()).count())
}

#[test]
fn a_failed_item_is_mended_and_tried_again_in_the_warm_application() {
    let session = Session::start(stopping(true, vec![]));
    until_held(&session, HoldReason::Failure(ItemIndex(1)));
    let pid = session.value("scene['loaded']");
    session.exec("light = 1");
    session.ask(Request::Items { verb: ItemVerb::Retry, names: vec!["2".into()] }).expect("to be tried again");
    session.ask(Request::Release).expect("released");
    let ended = session.wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    assert_eq!(ended.output(Stream::Stdout), b"begin 1\nend 1\nbegin 2\nbegin 2\nend 2\nbegin 3\nend 3\n");
    let connected = |kind: &EventKind| match kind {
        EventKind::ChildConnected { hello } => Some(hello.pid.to_string()),
        _ => None,
    };
    let children: Vec<String> = ended.events().iter().filter_map(|event| connected(&event.kind)).collect();
    assert_eq!(children, [pid]);
}

#[test]
fn edited_commands_are_run_as_they_stand_by_this_engine_and_the_next() {
    let session = Session::start(Job { hold: true, ..job(JOB) });
    session.until_agenda();
    let edit = |name: &str, text: &str| Request::Edit { name: name.into(), commands: Some(vec![text.into()]) };
    session.ask(edit("1", "print({'frame'})")).expect("edited");
    session.ask(edit("2", "print('mine')")).expect("edited");
    step(&session, Step::Item, None);
    assert_eq!(status(&session, 0), ItemStatus::Complete);
    session.ask(Request::Stop { mode: StopMode::Now }).expect("stopped");
    let ended = session.wait();
    let session = Session::resume(&ended);
    session.until_agenda();
    step(&session, Step::Item, None);
    let ended = session.stop();
    assert_eq!(ended.output(Stream::Stdout), b"{'frame'}\nmine\n", "{}", ended.tail());
}

#[test]
fn setup_and_an_item_are_stepped_through_command_by_command() {
    let session = Session::start(Job { hold: true, ..job(JOB) });
    session.ask(Request::Break).expect("held");
    session.until("a child", |state| matches!(state.child, ChildState::Connected { .. }));
    while session.look(|state| state.phase) != SessionPhase::Setup {
        step(&session, Step::Command, None);
    }
    assert_eq!(ran(&session, Phase::Setup), 0);
    step(&session, Step::Command, None);
    assert_eq!(ran(&session, Phase::Setup), 1);
    step(&session, Step::Command, None);
    step(&session, Step::Command, Some("3"));
    assert_eq!((ran(&session, Phase::Item), status(&session, 2)), (1, ItemStatus::Running));
    assert_eq!(session.value("sorted(scene)"), "['loaded']", "an operator's command is not held");
    step(&session, Step::Item, None);
    assert_eq!((status(&session, 0), status(&session, 2)), (ItemStatus::Pending, ItemStatus::Complete));
    let ended = session.stop();
    assert_eq!(ended.output(Stream::Stdout), b"begin 3\nend 3\n", "{}", ended.tail());
}

#[test]
fn breakpoints_stop_before_their_item_and_command() {
    let command = Breakpoint::Command("^print.'end', 1".into());
    let item = Breakpoint::Item("3".into());
    let session = Session::start(stopping(false, vec![item.clone(), command.clone()]));
    until_held(&session, HoldReason::Breakpoint(command));
    assert_eq!(session.value("light = 1; len(scene)"), "1");
    session.ask(Request::Release).expect("released");
    until_held(&session, HoldReason::Breakpoint(item));
    assert_eq!((status(&session, 1), status(&session, 2)), (ItemStatus::Complete, ItemStatus::Pending));
    let wrong = Stops { on_failure: false, breakpoints: vec![Breakpoint::Command("(".into())] };
    let refused = session.ask(Request::SetStops { stops: wrong }).expect_err("refused");
    assert_eq!(refused.kind, RefusalKind::Invalid);
    session.ask(Request::SetStops { stops: Stops::default() }).expect("set");
    session.ask(Request::Release).expect("released");
    let ended = session.wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    assert_eq!(ended.output(Stream::Stdout), b"begin 1\nend 1\nbegin 2\nend 2\nbegin 3\nend 3\n");
}

/// A child with a helper in a session of its own; it counts as long as it may.
const FAMILY: &str = r#"
hold = true
[phases]
setup = [
    "import subprocess, threading, time, os",
    "helper = subprocess.Popen(['sleep', '600'], start_new_session=True)",
    "go = threading.Event()",
    "count = 0",
]
commands = ["while not go.wait(0.001): count += 1"]
[agenda]
frames = "1"
"#;

fn busy() -> (Session, Vec<u32>) {
    let session = Session::start(job(FAMILY));
    session.until_agenda();
    let pids = session.value("[os.getpid(), helper.pid]");
    let pids = pids.trim_matches(['[', ']']).split(", ").map(|pid| pid.parse().expect("a pid")).collect();
    session.ask(Request::Release).expect("released");
    session.until("a busy child", |state| state.running.is_some_and(|running| running.started));
    (session, pids)
}

/// Whether a process is stopped by a signal.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    stat.rsplit(')').next().expect("a state").trim_start().starts_with('T')
}

#[test]
fn a_paused_child_stands_still_with_all_its_family_and_goes_on() {
    let (session, pids) = busy();
    session.ask(Request::Pause).expect("paused");
    until("all stopped", session.folder(), || pids.iter().all(|pid| is_stopped(*pid)));
    assert!(session.look(|state| state.paused.is_some()));
    session.ask(Request::Exec { source: "print('after', go.is_set())".into(), wait: false }).expect("queued");
    assert_eq!(session.ask(Request::Names).expect_err("refused").kind, RefusalKind::NotNow);
    assert_eq!(session.look(|state| state.queued.len()), 1, "nothing is sent");
    session.ask(Request::Continue).expect("continued");
    until("none stopped", session.folder(), || pids.iter().all(|pid| !is_stopped(*pid)));
    session
        .ask(Request::Interrupt { command: None, from: Rung::Interrupt, to: Rung::Interrupt, restart: false })
        .expect("interrupted");
    session.until("the queued command's end", |state| state.queued.is_empty() && state.running.is_none());
    let ended = session.stop();
    assert_eq!(ended.output(Stream::Stdout), b"after False\n", "{}", ended.tail());
    ended.assert_nobody_left();
}

#[test]
fn a_paused_child_is_stopped_like_any_other() {
    let (session, pids) = busy();
    session.ask(Request::Pause).expect("paused");
    until("all stopped", session.folder(), || pids.iter().all(|pid| is_stopped(*pid)));
    session.ask(Request::Stop { mode: StopMode::Now }).expect("stopped");
    let ended = session.wait();
    assert_eq!(ended.code, 130, "{}", ended.tail());
    let interrupted = |kind: &EventKind| match kind {
        EventKind::CommandEnded { outcome: CommandOutcome::Raised { exception, .. }, .. } => {
            exception.kind == "KeyboardInterrupt"
        }
        _ => false,
    };
    assert!(ended.events().iter().any(|event| interrupted(&event.kind)), "it was asked first\n{}", ended.tail());
    let signalled = |kind: &EventKind| matches!(kind, EventKind::ChildSignalled { .. });
    assert!(!ended.events().iter().any(|event| signalled(&event.kind)), "{}", ended.tail());
    ended.assert_nobody_left();
}
