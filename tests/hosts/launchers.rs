//! Applications that a launcher starts: the process that says hello is not the one that was spawned.

use super::hosts;
use super::session::{Session, block_on, child_file, job, quoted, until};
use childminder::model::proto::{Request, Response};
use childminder::model::{ChildState, Diagnosis, Rung, Stream};
use std::path::Path;

/// More than anything else of a small Python.
const MEMORY: u64 = 150 << 20;

fn launched(way: &str, code: &Path) -> Session {
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes/launcher.toml");
    let script = quoted(child_file("launcher.sh"));
    Session::start(job(&format!(
        "backend = {}\nhold = true\n[settings]\nscript = {script}\nway = {way:?}\ncode = {}\n[agenda]\nitems = []",
        quoted(recipe),
        quoted(code)
    )))
}

fn spawned(session: &Session) -> u32 {
    session.look(|state| if let ChildState::Connected { pid, .. } = state.child { pid } else { 0 })
}

fn begin(session: &Session, source: &str) {
    session.ask(Request::Exec { source: source.into(), wait: false }).expect("queued");
    session.until("a busy child", |state| state.running.is_some_and(|running| running.started));
}

fn end(session: &Session, rung: Rung) {
    session.ask(Request::Interrupt { command: None, from: rung, to: rung, restart: false }).expect("taken");
}

fn why(session: &Session) -> Box<Diagnosis> {
    match session.ask(Request::Why) {
        Ok(Response::Diagnosis(diagnosis)) => diagnosis,
        other => panic!("{other:?}"),
    }
}

fn state_of(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next()).expect("a state")
}

fn memory(session: &Session) -> u64 {
    let summary = block_on(session.handle().look(|inspect| inspect.summary())).expect("a running session");
    summary.usage.map_or(0, |usage| usage.memory)
}

/// Measured, diagnosed, paused, interrupted and ended is the application, wherever the launcher has put it.
#[test]
fn behind_every_launcher_the_application_itself_is_found() {
    let _alone = super::alone();
    if hosts::on_path("setsid").is_none() {
        return hosts::not_run("setsid");
    }
    let folder = tempfile::tempdir().expect("a folder");
    for way in ["child", "background", "session", "bare", "orphan"] {
        let session = launched(way, &folder.path().join(way));
        session.until_agenda();
        let pid = session.hello().pid;
        assert_ne!(pid, spawned(&session), "{way}");
        session.value(&format!("import os, signal, time; kept = b'x' * {MEMORY}; len(kept)"));
        begin(&session, "time.sleep(1000)");
        until("its memory to be counted", session.folder(), || memory(&session) > MEMORY);
        let processes = why(&session).processes;
        let interpreter = processes.iter().find(|process| process.interpreter).expect("an interpreter");
        assert_eq!((interpreter.pid, interpreter.memory > MEMORY), (pid, true), "{way}: {processes:?}");
        session.ask(Request::Pause).expect("paused");
        until("it to be stopped", session.folder(), || state_of(pid) == 'T');
        session.ask(Request::Continue).expect("continued");
        until("it to go on", session.folder(), || state_of(pid) != 'T');
        end(&session, Rung::Interrupt);
        session.until("the command's end", |state| state.running.is_none());
        if way == "bare" || way == "orphan" {
            begin(&session, "time.sleep(1000)");
            end(&session, Rung::Kill);
            session.wait().assert_nobody_left();
            assert!(!Path::new(&format!("/proc/{pid}")).exists() || state_of(pid) == 'Z', "{way}");
            continue;
        }
        session.exec("def heed(*_):\n    print('heeded', flush=True)\n    time.sleep(0.3)\n    print('done', flush=True)\n    os._exit(0)");
        session.exec("signal.signal(signal.SIGTERM, heed)");
        begin(&session, "while True: time.sleep(0.01)");
        end(&session, Rung::Terminate);
        let ended = session.wait();
        assert_eq!(ended.output(Stream::Stdout), b"heeded\ndone\n", "{way}: {}", ended.tail());
        ended.assert_nobody_left();
    }
}
