//! Job dictionaries of Qube's, run as they are and by a class; and who judges their output.

use super::classes::{interpreters, of_class};
use super::*;
use childminder::job::{Overrides, read_with};
use childminder::model::{Found, PathRule, Stream};
use serde_json::{Value, json};
use std::path::Path;

/// A dictionary, read with this backend instead of its own.
fn of_qube(job: &Value, backend: Option<&str>, sets: &[(&str, &str)]) -> Job {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shot.json");
    std::fs::write(&path, job.to_string()).expect("written");
    let overrides = Overrides {
        sets: sets.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        backend: backend.map(str::to_owned),
        maps: vec![PathRule::new("Z:\\show", "/mnt/show").expect("sound")],
        no_map: false,
    };
    read_with(&path, &overrides).unwrap_or_else(|errors| panic!("{errors}"))
}

fn by_class(class: &str, python: &Path, job: &Value) -> Job {
    let backend = format!("{}:{class}", child_file("back_ends.py").display());
    let python = python.display().to_string();
    of_qube(job, Some(&backend), &[("back_end_python", &python), ("recipe", "python")])
}

fn item(name: &str, commands: &[&str]) -> Value {
    json!({ "name": name, "status": "pending", "package": { "commands": commands } })
}

fn dictionary(patterns: &Value, agenda: &[Value]) -> Value {
    let mut package = json!({ "own": 7, "jobSetupCmds": ["print(ready)"], "jobTeardownCmds": "print('torn down')" });
    let package_of = package.as_object_mut().expect("an object");
    package_of.extend(patterns.as_object().cloned().unwrap_or_default());
    json!({ "id": 4711, "name": "shot", "prototype": "pyMaya", "package": package, "agenda": agenda })
}

#[test]
fn a_dictionary_of_qubes_is_run_by_a_class_as_it_stands() {
    let commands =
        ["print('{braces} QB_CONVERT_PATH(z:/Show/a.ma)')", "print('Saved: /out/a,b.png'); print('Fault 3')"];
    let patterns = json!({
        "regex_outputPaths": "Saved: (.*png)", "regex_highlights": "Fault \\d", "regex_look": "(?<=Fault )(\\d)",
    });
    for python in interpreters() {
        let ended = Supervised::of(by_class("Says", &python, &dictionary(&patterns, &[item("1", &commands)]))).wait();
        assert_eq!((ended.code, statuses(&ended)), (0, vec![ItemStatus::Complete]), "{}", ended.tail());
        let printed = String::from_utf8(ended.output(Stream::Stdout)).expect("text");
        let major = ended.state().back_end.expect("a back end").python.remove(0);
        let wanted = format!("set up by {major}\n{{braces}} /mnt/show/a.ma\nSaved: /out/a,b.png\nFault 3\ntorn down\n");
        assert_eq!(printed, wanted);
        for line in ["été", "job 4711 package 7", "paths [['Z:\\\\show', '/mnt/show']]"] {
            assert_said(&ended, line);
        }
        let result = &results(&ended)[0];
        assert_eq!(result.output_paths, ["/out/a,b.png"], "{}", ended.tail());
        assert_eq!(result.highlights.len(), 1, "{:?}", result.highlights);
        assert_eq!(result.values.get("look").map(Value::to_string).as_deref(), Some("[\"3\"]"), "{:?}", result.values);
        let found = ended.events().into_iter().filter(|event| matches!(event.kind, EventKind::Found { .. })).count();
        assert_eq!(found, 0, "the class has parsed it: nobody does so a second time");
    }
}

#[test]
fn what_a_class_makes_of_the_output_of_a_job_of_qubes_is_the_truth() {
    let patterns = json!({ "regex_errors": "Fault", "validate_fileMinSize": 10, "regex_outputPaths": "Saved: (.*)" });
    let job = dictionary(&patterns, &[item("1", &["print('Fault')"])]);
    let python = Path::new("/usr/bin/python3");
    let lenient = Supervised::of(by_class("Lenient", python, &job)).wait();
    assert_eq!((lenient.code, statuses(&lenient)), (0, vec![ItemStatus::Complete]), "{}", lenient.tail());
    let strict = Supervised::of(by_class("Shell", python, &job)).wait();
    assert_eq!((strict.code, statuses(&strict)), (1, vec![ItemStatus::Failed]), "{}", strict.tail());
    let job = dictionary(&patterns, &[item("1", &["print('Saved: /no/such/file')"])]);
    let small = Supervised::of(by_class("Shell", python, &job)).wait();
    assert_eq!(statuses(&small), [ItemStatus::Failed], "{}", small.tail());
    let reason = small.item_reason();
    assert!(reason.contains("an output file is not as it should be: /no/such/file"), "{reason}");
}

#[test]
fn the_recipe_beside_a_class_is_that_of_the_jobs_own_type_unless_somebody_says_another() {
    let backend = format!("{}:Shell", child_file("back_ends.py").display());
    let recipe = |job: &Value, sets: &[(&str, &str)]| {
        let job = of_qube(job, Some(&backend), sets);
        assert_eq!((job.backend.as_str(), job.driven.as_ref().expect("driven").class.as_str()), (&*backend, "Shell"));
        childminder::backend::of_job(&job).expect("a recipe").name
    };
    let maya = dictionary(&Value::Null, &[item("1", &["1"])]);
    assert_eq!(recipe(&maya, &[]), "mayapy");
    assert_eq!(recipe(&maya, &[("recipe", "blender")]), "blender");
    for unknown in ["studioThing", "cmdline"] {
        let mut job = maya.clone();
        job["prototype"] = unknown.into();
        assert_eq!(recipe(&job, &[]), "class", "{unknown}");
        job["kind"] = "nuke".into();
        assert_eq!(recipe(&job, &[]), "nuke", "{unknown}");
    }
    let mut alone = maya;
    alone["agenda"] = json!([{ "name": "x", "package": { "what": "the class knows" } }]);
    assert!(of_qube(&alone, Some(&backend), &[]).warnings.is_empty());
}

#[test]
fn frames_that_the_output_names_are_progress_of_an_item_of_frames() {
    let commands = ["for frame in (1, 2, 3): print('Frame:%d' % frame)"];
    let patterns = json!({
        "range": "1-4", "regex_progress": "Frame:(\\d+)", "logParser": { "className": "CmdRangeChunkLogParser" },
    });
    let mut job = dictionary(&patterns, &[item("1-4", &commands)]);
    job["package"]["jobSetupCmds"] = json!([]);
    let ended = Supervised::of(of_qube(&job, Some("python"), &[])).wait();
    assert_eq!((ended.code, statuses(&ended)), (0, vec![ItemStatus::Complete]), "{}", ended.tail());
    assert_eq!(results(&ended)[0].progress, Some(0.75), "a frame counts as done when it is named\n{}", ended.tail());
    let told = ended.events().into_iter().any(|event| match event.kind {
        EventKind::Found { findings, .. } => {
            findings.iter().any(|one| matches!(one.what, Found::Progress { fraction } if fraction > 0.7))
        }
        _ => false,
    });
    assert!(told, "{}", ended.tail());
}

// ---- patterns and checks of a job of our own --------------------------------------------------------------------------

#[test]
fn patterns_and_checks_of_the_job_fail_what_a_class_calls_complete() {
    let rest = "[patterns.dark]\nregex = 'black (frame)'\nfinds = 'error'\nseverity = 'fail_item'\n\
                [patterns.saved]\nregex = 'Saved: (.*)'\nfinds = 'output'\n[outputs]\nexist = true\n\
                [phases]\nsetup = ['print(ready)']\n\
                commands = [\"print({'1': 'black frame', '2': 'Saved: /no/such.png', '3': 'well'}[str({frame})])\"]\n\
                [agenda]\nframes = '1-3'\n";
    let ended = Supervised::of(of_class("Shell", Path::new("/usr/bin/python3"), rest)).wait();
    let wanted = [ItemStatus::Failed, ItemStatus::Failed, ItemStatus::Complete];
    assert_eq!((ended.code, statuses(&ended).as_slice()), (1, wanted.as_slice()), "{}", ended.tail());
    let reasons = ended.events().into_iter().filter_map(|event| match event.kind {
        EventKind::ItemEnded { reason, .. } => reason,
        _ => None,
    });
    let reasons: Vec<String> = reasons.collect();
    assert_eq!((reasons[0].as_str(), reasons[1].as_str()), ("frame", "/no/such.png is not there"), "{reasons:?}");
}

#[test]
fn output_that_fails_the_session_has_a_class_stop_and_tear_down() {
    let rest = "[patterns.licence]\nregex = 'no (licence)'\nfinds = 'error'\nseverity = 'fail_session'\n\
                [phases]\ncommands = [\"print('no licence') if {frame} == 2 else None\"]\nteardown = ['print(4)']\n\
                [agenda]\nframes = '1-4'\n";
    let ended = Supervised::of(of_class("Shell", Path::new("/usr/bin/python3"), rest)).wait();
    assert_eq!((ended.code, reason(&ended).as_str()), (1, "the output says (licence): licence"), "{}", ended.tail());
    let wanted = [ItemStatus::Complete, ItemStatus::Failed, ItemStatus::Pending, ItemStatus::Pending];
    assert_eq!(statuses(&ended), wanted, "{}", ended.tail());
    assert!(ended.output(Stream::Stdout).ends_with(b"4\n"), "{}", ended.tail());
    assert_said(&ended, "the session has failed: the output says (licence): licence");
    let reported = ended
        .events()
        .into_iter()
        .any(|event| matches!(event.kind, EventKind::BackEndReported { status, .. } if status == "failed"));
    assert!(reported, "{}", ended.tail());
}
