//! The ways out of a command that does not end, and what can be seen of it meanwhile: on real children.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/hosts.rs"]
mod hosts;
#[path = "common/session.rs"]
mod session;

use childminder::model::diagnosis::{Diagnosis, StackSource, Trigger};
use childminder::model::proto::{CommandDetail, Request, Response};
use childminder::model::{
    Change, CommandOutcome, EventKind, Generation, ItemIndex, ItemStatus, Limit, LimitChange, Micros, Phase, Policy,
    Rung, RungOutcome, Scene, Stream, WaitFor,
};
use session::{Ended, Session, block_on, child_file, job, quoted, tail, until};
use std::os::unix::fs::PermissionsExt;

/// Two items: the first one's command is the one given, the second's ends by itself.
fn two_items(top: &str, command: &str) -> String {
    format!(
        "{top}\n[timeouts]\nkill_grace = '500ms'\n[phases]\nsetup = ['''\nimport os, threading, time\nstop = threading.Event()\n\
         def swallow():\n    while True:\n        try:\n            time.sleep(60)\n        except KeyboardInterrupt:\n            print('not me')\n''']\n\
         [agenda]\nitems = [{{ name = 'stuck', commands = ['''{command}'''] }}, {{ name = 'next', commands = ['print(os.getpid())'] }}]"
    )
}

const HELD: &str = "hold = true\n[agenda]\n[phases]\nsetup = ['import os, time; loaded = os.getpid()']";

/// The command that is stuck.
const STUCK: u64 = 2;

fn climb(from: Rung, to: Rung, restart: bool) -> Request {
    Request::Interrupt { command: None, from, to, restart }
}

/// What became of each rung.
fn rungs(ended: &Ended) -> Vec<(Rung, RungOutcome, Scene)> {
    let events = ended.events().into_iter();
    let rungs = events.filter_map(|event| match event.kind {
        EventKind::RungEnded { rung, result, scene, .. } => Some((rung, result, scene)),
        _ => None,
    });
    rungs.collect()
}

fn reason(ended: &Ended, wanted: u32) -> String {
    let reason = ended.events().into_iter().find_map(|event| match event.kind {
        EventKind::ItemEnded { item: ItemIndex(item), reason, .. } if item == wanted => reason,
        _ => None,
    });
    reason.unwrap_or_else(|| panic!("item {wanted} has no reason\n{}", ended.tail()))
}

fn statuses(ended: &Ended) -> Vec<ItemStatus> {
    ended.state().items.iter().map(|row| row.status).collect()
}

fn diagnosis(session: &Session) -> Diagnosis {
    match session.ask(Request::Why) {
        Ok(Response::Diagnosis(diagnosis)) => *diagnosis,
        other => panic!("{other:?}\n{}", tail(session.folder())),
    }
}

fn side(session: &Session, source: &str) -> CommandDetail {
    match session.ask(Request::Side { source: source.into(), confirmed: false }) {
        Ok(Response::Command(detail)) => *detail,
        other => panic!("{other:?}\n{}", tail(session.folder())),
    }
}

/// Begins a command and does not wait for its end.
fn begin(session: &Session, source: &str) -> u64 {
    let begun = session.ask(Request::Exec { source: source.into(), wait: false });
    let Ok(Response::Queued { id }) = begun else { panic!("{begun:?}") };
    session.until_started(id.0);
    id.0
}

// ---- the ladder -------------------------------------------------------------------------------------------------------

#[test]
fn what_swallows_the_interrupt_is_ended_by_the_next_rung_and_the_scene_survives() {
    let session = Session::start(job(&two_items("", "swallow()")));
    session.until_started(STUCK);
    let said = session.ask(climb(Rung::Interrupt, Rung::Async, false)).expect("under way");
    assert!(matches!(said, Response::Done { said } if said.contains("interrupted")));
    let ended = session.wait();
    assert_eq!(ended.code, 1, "{}", ended.tail());
    let expected =
        [(Rung::Interrupt, RungOutcome::InVain, Scene::Survived), (Rung::Async, RungOutcome::Worked, Scene::Survived)];
    assert_eq!(rungs(&ended), expected, "{}", ended.tail());
    assert_eq!(statuses(&ended), [ItemStatus::Failed, ItemStatus::Complete]);
    assert!(reason(&ended, 0).contains("Cancelled"), "{}", reason(&ended, 0));
    assert_eq!(ended.slice(STUCK, Stream::Stdout), b"not me\n");
    assert_eq!(ended.state().generation, Generation(1));
}

#[test]
fn a_host_that_cancels_and_returns_as_if_all_were_well_fails_the_item() {
    let folder = tempfile::tempdir().expect("a folder");
    let recipe = folder.path().join("cancels.toml");
    let text = "name = 'cancels'\nexecutables = ['python3']\narguments = ['{bootstrapper}', '--port', '{port}']\nrungs = ['cancel', 'kill']\ncancel = 'stop.set()'";
    std::fs::write(&recipe, text).expect("written");
    let session = Session::start(job(&two_items(&format!("backend = {}", quoted(&recipe)), "stop.wait()")));
    session.until_started(STUCK);
    session.ask(climb(Rung::Interrupt, Rung::Kill, false)).expect("under way");
    let ended = session.wait();
    assert_eq!(ended.code, 1, "{}", ended.tail());
    let expected = [
        (Rung::Interrupt, RungOutcome::Skipped, Scene::Survived),
        (Rung::Async, RungOutcome::Skipped, Scene::Survived),
        (Rung::Cancel, RungOutcome::Worked, Scene::Survived),
    ];
    assert_eq!(rungs(&ended), expected, "{}", ended.tail());
    assert!(matches!(ended.outcome(STUCK), CommandOutcome::Finished { .. }));
    assert_eq!(statuses(&ended), [ItemStatus::Failed, ItemStatus::Complete]);
    assert!(reason(&ended, 0).starts_with("cancelled, because tester asked"), "{}", reason(&ended, 0));
}

#[test]
fn a_render_of_blender_is_cancelled_and_its_scene_survives() {
    if hosts::on_path("blender").is_none() {
        return hosts::not_run("blender");
    }
    let out = tempfile::tempdir().expect("a folder");
    let session = Session::start(job(&format!(
        "backend = 'blender'\n[timeouts]\nkill_grace = '40s'\n[parameters]\nout = {}\nscript = {}\n[phases]\n\
         setup = [\"exec(compile(open({{script}}).read(), {{script}}, 'exec'))\", \"prepare(320, 180, 100000)\", \"bpy.context.scene['loaded'] = 1\"]\n\
         [agenda]\nitems = [{{ name = 'stuck', commands = ['render(1, {{out}})'] }}, {{ name = 'next', commands = ['assert bpy.context.scene[\"loaded\"]'] }}]",
        quoted(out.path()),
        quoted(child_file("render.py")),
    )));
    until("a picture that is being made", session.folder(), || {
        let said = std::fs::read(session.folder().output(Stream::Stdout)).unwrap_or_default();
        String::from_utf8_lossy(&said).contains("Sample ")
    });
    session.ask(climb(Rung::Cancel, Rung::Kill, true)).expect("under way");
    let ended = session.wait();
    assert_eq!(ended.code, 1, "{}", ended.tail());
    assert_eq!(rungs(&ended), [(Rung::Cancel, RungOutcome::Worked, Scene::Survived)], "{}", ended.tail());
    assert!(reason(&ended, 0).starts_with("cancelled, because"), "{}", reason(&ended, 0));
    assert_eq!(statuses(&ended), [ItemStatus::Failed, ItemStatus::Complete]);
    assert_eq!(ended.state().generation, Generation(1));
    ended.assert_nobody_left();
}

#[test]
fn a_killed_child_is_replaced_and_the_agenda_goes_on() {
    let session = Session::start(job(&two_items("", "swallow()")));
    session.until_started(STUCK);
    session.ask(climb(Rung::Kill, Rung::Kill, true)).expect("under way");
    let ended = session.wait();
    assert_eq!(ended.code, 1, "{}", ended.tail());
    assert_eq!(rungs(&ended), [(Rung::Kill, RungOutcome::Worked, Scene::Lost)]);
    assert_eq!(statuses(&ended), [ItemStatus::Failed, ItemStatus::Complete]);
    assert!(reason(&ended, 0).contains("tester had it ended"), "{}", reason(&ended, 0));
    assert_eq!(ended.child_failed(), [""; 0]);
    assert_eq!(ended.state().generation, Generation(2));
    let twice = |wanted| {
        let ends = ended.events().into_iter();
        ends.filter(|event| matches!(event.kind, EventKind::ItemEnded { item: ItemIndex(item), .. } if item == wanted))
            .count()
    };
    assert_eq!((twice(0), twice(1)), (1, 1));
    ended.assert_nobody_left();
}

#[test]
fn a_killed_child_that_is_not_to_be_replaced_ends_the_session() {
    let session = Session::start(job(&two_items("restarts = 3", "swallow()")));
    session.until_started(STUCK);
    session.ask(climb(Rung::Terminate, Rung::Kill, false)).expect("under way");
    let ended = session.wait();
    assert_eq!(ended.code, 70, "{}", ended.tail());
    assert_eq!(statuses(&ended), [ItemStatus::Failed, ItemStatus::Pending]);
    ended.assert_nobody_left();
}

#[test]
fn what_holds_python_s_lock_answers_nobody_and_is_terminated() {
    let session = Session::start(job(&two_items("", "sum(range(10**13))")));
    session.until_started(STUCK);
    let said = session.ask(climb(Rung::Interrupt, Rung::Kill, true)).expect("under way");
    assert!(matches!(said, Response::Done { said } if said.contains("has not answered")));
    let ended = session.wait();
    assert_eq!(ended.code, 1, "{}", ended.tail());
    let expected = [
        (Rung::Interrupt, RungOutcome::InVain, Scene::Survived),
        (Rung::Async, RungOutcome::InVain, Scene::Survived),
        (Rung::Cancel, RungOutcome::Skipped, Scene::Survived),
        (Rung::Terminate, RungOutcome::Worked, Scene::Lost),
    ];
    assert_eq!(rungs(&ended), expected, "{}", ended.tail());
    assert_eq!(statuses(&ended), [ItemStatus::Failed, ItemStatus::Complete]);
    ended.assert_nobody_left();
}

#[test]
fn a_child_is_restarted_by_hand() {
    let session = Session::start(job(HELD));
    session.until_agenda();
    let first = session.value("loaded");
    session.exec("mine = 1");
    session.ask(Request::Restart { now: false }).expect("taken");
    session.until("another child", |state| state.generation == Generation(2));
    session.until_agenda();
    assert_ne!(session.value("loaded"), first, "setup ran again");
    assert_eq!(session.value("'mine' in globals()"), "False");
    begin(&session, "time.sleep(1000)");
    session.ask(Request::Restart { now: false }).expect_err("it is busy");
    session.ask(Request::Restart { now: true }).expect("taken");
    session.until("a third child", |state| state.generation == Generation(3));
    session.until_agenda();
    let ended = session.stop();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    ended.assert_nobody_left();
}

// ---- time-outs --------------------------------------------------------------------------------------------------------

#[test]
fn a_time_out_is_looked_into_first_and_its_policy_comes_after() {
    let mut job = job(&two_items("", "time.sleep(1000)"));
    job.timeouts.command = Some(std::time::Duration::from_millis(500));
    job.timeouts.policies.command = Policy::Restart;
    let ended = Session::start(job).wait();
    assert_eq!(ended.code, 1, "{}", ended.tail());
    assert_eq!(statuses(&ended), [ItemStatus::Failed, ItemStatus::Complete]);
    let story: Vec<&str> = ended
        .events()
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Diagnosed { diagnosis, by: None } => {
                assert_eq!(diagnosis.trigger, Trigger::TimedOut(WaitFor::Command));
                assert_eq!(diagnosis.session.item_name, "stuck");
                Some("diagnosed")
            }
            EventKind::TimedOut { what: WaitFor::Command, .. } => Some("timed out"),
            EventKind::RestartRequested { by: None } => Some("restart"),
            EventKind::ChildSignalled { .. } => Some("signal"),
            EventKind::ChildStarting { .. } => Some("started"),
            _ => None,
        })
        .collect();
    assert_eq!(story, ["started", "diagnosed", "timed out", "restart", "signal", "started"], "{}", ended.tail());
}

#[test]
fn a_time_out_that_is_set_while_a_command_runs_is_in_force() {
    let session = Session::start(job(HELD));
    session.until_agenda();
    let id = begin(&session, "time.sleep(1000)");
    let change =
        LimitChange { limit: Limit::Command, length: Change::To(Micros(1000)), policy: Some(Policy::Interrupt) };
    session.ask(Request::SetTimeouts { changes: vec![change] }).expect("changed");
    session.until("the end of the command", |state| state.running.is_none());
    assert_eq!(session.value("os.getpid() == loaded"), "True");
    let ended = session.stop();
    assert!(matches!(ended.outcome(id), CommandOutcome::Raised { .. }), "{}", ended.tail());
}

#[test]
fn silence_is_looked_into_also_when_the_child_cannot_answer() {
    let mut job = job(&two_items("", "sum(range(10**13))"));
    job.timeouts.silence = Some(std::time::Duration::from_secs(1));
    let ended = Session::start(job).wait();
    assert_eq!(ended.code, 70, "{}", ended.tail());
    let diagnoses: Vec<Diagnosis> = ended
        .events()
        .into_iter()
        .filter_map(
            |event| if let EventKind::Diagnosed { diagnosis, .. } = event.kind { Some(*diagnosis) } else { None },
        )
        .collect();
    let [diagnosis] = diagnoses.as_slice() else { panic!("{diagnoses:?}\n{}", ended.tail()) };
    assert_eq!(diagnosis.trigger, Trigger::TimedOut(WaitFor::Silence));
    let inside = diagnosis.stacks.tries.iter().find(|tried| tried.source == StackSource::Inside);
    assert!(inside.is_some_and(|tried| !tried.failed.is_empty()), "{:?}", diagnosis.stacks.tries);
    assert!(diagnosis.processes.iter().any(|process| process.interpreter), "{diagnosis:?}");
    assert!(reason(&ended, 0).starts_with("the child was silent longer than 1 s"), "{}", reason(&ended, 0));
}

// ---- looking in -------------------------------------------------------------------------------------------------------

#[test]
fn who_asks_why_is_told_and_it_is_saved() {
    let session = Session::start(job(HELD));
    session.until_agenda();
    let id = begin(&session, "def wait():\n    secret = 42\n    time.sleep(1000)\nwait()");
    let why = diagnosis(&session);
    assert_eq!(why.session.command.map(|command| command.0), Some(id));
    let main = why.stacks.threads.first().unwrap_or_else(|| panic!("no stacks: {why:?}"));
    let innermost = main.frames.last().expect("a frame");
    assert_eq!((innermost.function.as_str(), innermost.source.as_str()), ("wait", "time.sleep(1000)"));
    assert_eq!(why.verdict.doing.word(), "sleeping", "{:?}", why.verdict);
    let heads = session.look(|state| state.diagnoses.clone());
    assert_eq!(heads.iter().map(|head| &head.sentence).collect::<Vec<_>>(), [&why.verdict.sentence]);
    session.ask(climb(Rung::Interrupt, Rung::Interrupt, false)).expect("under way");
    session.until("the end of the command", |state| state.running.is_none());
    assert_eq!(diagnosis(&session).verdict.doing.word(), "idle");
    assert_eq!(session.stop().code, 0);
}

#[test]
fn where_time_goes_is_sampled_while_somebody_looks() {
    let session = Session::start(job(HELD));
    session.until_agenda();
    begin(&session, "def spin():\n    while True: pass\nspin()");
    until("samples of the loop", session.folder(), || match session.ask(Request::Hot { reset: false }) {
        Ok(Response::Hot(tree)) => tree.nodes.iter().any(|node| node.function == "spin"),
        other => panic!("{other:?}"),
    });
    session.ask(climb(Rung::Interrupt, Rung::Interrupt, false)).expect("under way");
    session.until("the end of the command", |state| state.running.is_none());
    assert_eq!(session.stop().code, 0);
}

#[test]
fn python_runs_beside_a_busy_main_thread() {
    let session = Session::start(job(HELD));
    session.until_agenda();
    let id = begin(
        &session,
        "print('before', flush=True)\nready = False\nwhile not ready: time.sleep(0.001)\nprint('after')",
    );
    let detail = side(&session, "6 * 7");
    assert_eq!(detail.outcome, Some(CommandOutcome::Finished { value: Some("42".into()), cut: None }));
    assert_eq!(detail.view.row.phase, Phase::Side);
    let raised = side(&session, "1 / 0");
    assert!(matches!(raised.outcome, Some(CommandOutcome::Raised { .. })), "{raised:?}");
    assert_eq!(session.look(|state| state.running.map(|running| running.id.0)), Some(id));
    side(&session, "globals().update(ready=True)");
    session.until("the end of the command", |state| state.running.is_none());
    let ended = session.stop();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    assert_eq!(ended.slice(id, Stream::Stdout), b"before\nafter\n");
}

#[test]
fn what_runs_beside_is_lost_with_the_child() {
    let session = Session::start(job(HELD));
    session.until_agenda();
    let handle = session.handle().clone();
    let waiting = std::thread::spawn(move || {
        let request = Request::Side { source: "time.sleep(1000)".into(), confirmed: false };
        block_on(handle.ask(childminder::model::Origin::default(), request))
    });
    session.until("it to begin", |state| state.commands.iter().next_back().is_some_and(|row| row.phase == Phase::Side));
    session.exec("os._exit(3)");
    let answer = waiting.join().expect("a thread");
    let Ok(Response::Command(detail)) = answer else { panic!("{answer:?}") };
    assert!(matches!(detail.outcome, Some(CommandOutcome::Lost { .. })), "{detail:?}");
    assert_eq!(session.wait().code, 70);
}

#[test]
fn the_file_for_stacks_is_private_and_goes_with_the_session() {
    let session = Session::start(job(HELD));
    session.until_agenda();
    let path = session.data().join("runtime/stacks");
    let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(session.hello().signals.contains_key("SIGUSR1"), "{:?}", session.hello());
    let ended = session.stop();
    until("the file to be gone", &ended.folder, || !path.exists());
}
