//! Qube's way: a back-end class decides what comes next, under a worker or not, also for jobs of Qube's.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "../common/hosts.rs"]
mod hosts;
#[path = "../common/session.rs"]
mod session;
#[path = "../common/supervised.rs"]
mod supervised;

mod bad;
mod classes;
mod jobs;
mod ways;
mod worker;

use childminder::model::{Event, EventKind, ItemStatus, Job, ResultPackage};
use session::{Ended, aftermath, child_file, job, quoted};
use supervised::Supervised;

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

#[track_caller]
fn nobody_of_the_back_end_lives(ended: &Ended) {
    assert_eq!(aftermath::living(&format!("{}.back_end", ended.folder.id())), Vec::<String>::new(), "{}", ended.tail());
}
