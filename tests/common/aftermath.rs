//! What has to be so when a session is over, whatever happened in it: nobody lives on, nothing lies about, and the
//! journal tells all of it.
//!
//! Looked at from outside: the processes by what `/proc` says of their environments, not by what the engine knows.

use childminder::child::MARKER;
use childminder::model::{Event, EventKind, State};
use childminder::store::{Folder, recover};
use std::path::{Path, PathBuf};

/// Checks a session that has ended. These folders were given to it for what it needs while it runs.
#[track_caller]
pub(crate) fn check(folder: &Folder, transient: &[PathBuf]) {
    let tail = || super::tail(folder);
    assert_eq!(living(folder.id()), Vec::<String>::new(), "somebody lives on\n{}", tail());
    let unreaped: Vec<Spawned> = check_journal(folder).into_iter().filter(is_there).collect();
    assert!(unreaped.is_empty(), "not reaped: {unreaped:?}\n{}", tail());
    let left: Vec<PathBuf> = transient.iter().flat_map(|folder| files(folder)).collect();
    assert!(left.is_empty(), "left behind: {left:?}\n{}", tail());
    // Whoever is just being forked for another test has a copy of the lock, until it becomes something else.
    super::until("a folder that is let go of", folder, || !folder.is_running());
}

/// Every line is an event, no number is missing, and the state that is read back is the fold of all of them. Gives the
/// children that the last engine spawned.
#[track_caller]
fn check_journal(folder: &Folder) -> Vec<Spawned> {
    let bytes = std::fs::read(folder.journal()).expect("a journal");
    let (mut state, mut at, mut last) = (State::default(), 0, None::<Event>);
    let mut spawned = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let event: Event = serde_json::from_slice(line).unwrap_or_else(|error| panic!("{error} at byte {at}"));
        let before = last.map_or((0, 0), |last| (last.seq.0, last.mono.0));
        assert_eq!(event.seq.0, before.0 + 1, "a gap\n{}", super::tail(folder));
        assert!(event.mono.0 >= before.1, "event {} is before the one before it", event.seq);
        match event.kind {
            EventKind::ChildSpawned { pid, start_time } => spawned.push(Spawned { pid, start_time }),
            // The child of an engine that was killed is init's to reap.
            EventKind::EngineStarted { .. } => spawned.clear(),
            _ => {}
        }
        state.apply(&event, at);
        at += line.len() as u64;
        last = Some(event);
    }
    let recovered = recover(folder).expect("readable");
    assert_eq!(recovered.notes, Vec::<String>::new());
    assert!(recovered.state == state, "what is read back is not what was recorded\n{}", super::tail(folder));
    spawned
}

/// A child as the journal names it.
#[derive(Debug)]
struct Spawned {
    pid: u32,
    start_time: u64,
}

/// Whether it is, as a zombie too.
fn is_there(child: &Spawned) -> bool {
    stat(child.pid).is_some_and(|fields| fields[19] == child.start_time.to_string())
}

/// The processes that were started with a session's marker and live, with what they are.
pub(crate) fn living(marker: &str) -> Vec<String> {
    let wanted = format!("{MARKER}={marker}");
    let is_marked = |pid: u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
    };
    let what = |pid: u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        format!("{pid} {}", String::from_utf8_lossy(&line).replace('\0', " "))
    };
    pids().filter(|pid| is_marked(*pid)).map(what).collect()
}

/// The zombies among a process's children.
pub(crate) fn zombies(parent: u32) -> Vec<u32> {
    let is_one = |fields: &[String]| fields[1] == parent.to_string() && fields[0] == "Z";
    pids().filter(|pid| stat(*pid).is_some_and(|fields| is_one(&fields))).collect()
}

fn pids() -> impl Iterator<Item = u32> {
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    processes.filter_map(|process| process.file_name().to_str()?.parse().ok())
}

/// What `/proc/PID/stat` says from the state on, which is the third field by the manual's count.
fn stat(pid: u32) -> Option<Vec<String>> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = line.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// Everything below a folder that is no folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            _ => found.push(entry.path()),
        }
    }
    found
}
