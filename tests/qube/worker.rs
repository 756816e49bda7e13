//! The work of a supervisor, and `qube-worker`.

use super::*;
use childminder::model::proto::Request;
use childminder::model::{ItemIndex, Stream};
use session::PATIENCE;
use std::io::BufRead;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;
use supervised::Place;

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
fn work_that_is_begun_again_before_it_was_reported_has_failed_once() {
    let ended = Supervised::of(supervised("Careless")).wait();
    assert_eq!((ended.code, statuses(&ended)), (0, vec![ItemStatus::Complete]), "{}", ended.tail());
    assert_eq!(ended.state().item(ItemIndex(0)).expect("an item").attempt, 2);
    let ends = ended.events().into_iter().filter_map(|event| match event.kind {
        EventKind::ItemEnded { status, .. } => Some(status),
        _ => None,
    });
    assert_eq!(ends.collect::<Vec<_>>(), [ItemStatus::Failed, ItemStatus::Complete]);
    for line in ["nameless: work needs a name", "late: the work is not begun: no child is there"] {
        assert_said(&ended, line);
    }
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
