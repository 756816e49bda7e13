use crate::job::{Overrides, read_with};
use crate::model::job::{Agenda, FrameRun};
use crate::model::{Finds, ItemStatus, Job, PathRule, Policy, ProgressReads, Severity};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;

fn read_over(document: &str, overrides: &Overrides) -> Result<Job, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.json");
    std::fs::write(&path, document).unwrap();
    let shown = format!("{}/", folder.path().display());
    let cut = |text: &str| text.replace(&shown, "");
    match read_with(&path, overrides) {
        Ok(job) => Ok(Job { warnings: job.warnings.iter().map(|text| cut(text)).collect(), ..job }),
        Err(errors) => Err(errors.to_string().lines().map(cut).collect()),
    }
}

fn read(document: &Value) -> Job {
    read_over(&document.to_string(), &Overrides::default()).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// A small job with these keys over it.
fn with(job: Value, package: Value) -> Value {
    let mut whole = json!({
        "name": "shot", "prototype": "python", "package": {},
        "agenda": [{ "name": "1", "package": { "commands": ["print({'a': 1})"] } }],
    });
    let put = |into: &mut Value, from: Value| {
        let into = into.as_object_mut().unwrap();
        into.extend(from.as_object().unwrap().clone());
    };
    put(&mut whole["package"], package);
    put(&mut whole, job);
    whole
}

fn warned(job: Value, package: Value) -> String {
    read(&with(job, package)).warnings.join("\n")
}

#[test]
fn a_job_dictionary_becomes_a_job() {
    let job = read(&with(
        json!({
            "id": 4711, "cwd": "/", "env": { "SHOW": "x", "N": 3 }, "retrywork": 2, "retrywork_delay": "5",
            "retrysubjob": 1, "agenda_timelimit": 90, "status": "pending",
        }),
        json!({
            "dev": "False", "redirectStderrToStdout": "1", "outputPaths_required": "1", "validate_fileMinSize": "1024", "pyExecutable": "",
            "jobSetupCmds": ["a = 1", "b = {a: 2}"], "jobTeardownCmds": "bye()", "regex_errors": "Error:\n\n  (warn)ing ",
            "regex_highlights": "note", "regex_outputPaths": "wrote (\\S+)", "regex_progress": "(\\d+)%",
            "regex_memory": "Mem:(\\d+)", "logParser": { "className": "ProgressPercentageLogParser", "modulePath": "qb.backend.logParser" },
            "env_runTimeOS": { "Linux": { "SHOW": "y" }, "Darwin": { "N": "4" } },
        }),
    ));
    assert_eq!(job.warnings, Vec::<String>::new());
    assert_eq!((job.name.as_str(), job.backend.as_str()), ("shot", "python"));
    assert_eq!(job.cwd.as_deref(), Some(std::path::Path::new("/")));
    let env: Vec<_> = job.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["N=3", "QBJOBID=4711", "QBSUBID=0", "SHOW=y"]);
    assert_eq!((job.retry.times, job.retry.delay, job.restarts), (2, Duration::from_secs(5), 1));
    assert_eq!((job.timeouts.item, job.timeouts.policies.item), (Some(Duration::from_secs(90)), Policy::Fail));
    assert!(job.outputs_required && job.stderr_to_stdout);
    assert_eq!(job.outputs.min_size, Some(1024));
    assert!(job.backend_settings.is_empty());
    assert_eq!(job.phases.init, ["import sys", "import os", "import time"]);
    assert_eq!(job.phases.setup, ["a = 1", "b = {a: 2}"]);
    assert_eq!(job.phases.teardown, ["bye()"]);
    let patterns: Vec<_> = job.patterns.iter().map(|one| (one.name.as_str(), one.regexes.clone(), one.finds)).collect();
    let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        patterns,
        [
            ("errors", list(&["(Error:)", "((warn)ing)"]), Finds::Error { severity: Severity::FailItem }),
            ("highlights", list(&["(note)"]), Finds::Highlight),
            ("memory", list(&["Mem:(\\d+)"]), Finds::Value),
            ("outputPaths", list(&["wrote (\\S+)"]), Finds::Output),
            ("progress", list(&["(\\d+)%"]), Finds::Progress { reads: ProgressReads::Percent }),
        ]
    );
    assert!(job.patterns.iter().all(|pattern| pattern.qube));
    assert_eq!(job.qube.as_ref().and_then(|raw| raw["id"].as_i64()), Some(4711));
    let item = job.agenda.item(crate::model::ItemIndex(0)).unwrap();
    assert_eq!(crate::job::commands::of_item(&job, &item).unwrap(), ["print({'a': 1})"]);
    // It can be stored and run from there.
    let stored: Job = serde_json::from_str(&serde_json::to_string(&job).unwrap()).unwrap();
    assert_eq!(stored, job);
}

#[test]
fn qubes_rule_of_what_is_true_holds() {
    let required = |value: Value| read(&with(json!({}), json!({ "outputPaths_required": value }))).outputs_required;
    for value in [json!(true), json!(1), json!("1"), json!("no"), json!("off"), json!("True"), json!("-1")] {
        assert!(required(value.clone()), "{value}");
    }
    for value in [json!(false), json!(0), json!("0"), json!(""), json!(null), json!("False"), json!("f")] {
        assert!(!required(value.clone()), "{value}");
    }
}

#[test]
fn what_has_no_meaning_is_told_with_the_reason_and_what_nobody_knows_by_its_name() {
    let job = json!({
        "priority": 9999, "cpus": 1, "callbacks": [{}], "hosts": "", "timesubmit": 1_700_000_000, "prioritty": 1,
        "flags": "convert_path,what", "timelimit": 60, "timeout": -1,
    });
    let package = json!({
        "shell": "/bin/tcsh", "smartAgenda": false, "appVersion": [2024, 1], "padding": 4,
        "jobSetupCmd": ["x"], "simpleCmdType": "maya",
    });
    let said = warned(job, package);
    for wanted in [
        "\"cpus\", \"priority\" of the job without effect: which hosts",
        "\"callbacks\" of the job",
        "\"timesubmit\" of the job",
        "unknown key \"prioritty\" in the job, without effect: did you mean \"priority\"?",
        "the flag convert_path has no effect",
        "the flag \"what\" is not known",
        "\"timelimit\" bounds a whole instance",
        "\"shell\" of the package",
        "no application that has a version, such as \"2024.1\"",
        "\"padding\" of the package",
        "\"simpleCmdType\" of the package",
        "unknown key \"jobSetupCmd\" in the package, without effect: did you mean \"jobSetupCmds\"?",
    ] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    assert!(!said.contains("hosts\"") && !said.contains("smartAgenda") && !said.contains("\"timeout\""), "{said}");
    assert!(said.lines().all(|line| line.starts_with("job.json:1:")), "{said}");
}

#[test]
fn a_pattern_that_cannot_be_used_is_told_with_its_alternative_and_place() {
    let huge = with(json!({}), json!({ "regex_errors": "fine\n(a{999}){999}" }));
    let huge = read_over(&huge.to_string(), &Overrides::default());
    assert!(huge.unwrap_err()[0].contains("KiB when compiled"), "what is only seen when it is compiled");
    let document =
        "{\"package\": {\n\"regex_errors\": \"fine\\n(?!x)y\\n(a)\\\\1\"},\n\"prototype\": \"python\", \"agenda\": []}";
    let errors = read_over(document, &Overrides::default()).unwrap_err();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("job.json:2:24: alternative 2 of \"regex_errors\""), "{errors:?}");
    assert!(errors[0].contains("look-around") && errors[1].contains("alternative 3"), "{errors:?}");
    let said = warned(json!({}), json!({ "regex_outputPaths": "wrote", "regex_errors": ["x"] }));
    assert!(said.contains("alternative 1 of \"regex_outputPaths\" has no group"), "{said}");
    assert!(said.contains("\"regex_errors\" is no string"), "{said}");
}

#[test]
fn parsers_decide_what_progress_is() {
    let progress = |parser: Value| {
        let job = read(&with(json!({}), json!({ "regex_progress": "frame (\\d+)", "logParser": parser })));
        (job.patterns.first().map(|pattern| pattern.finds), job.warnings.join("\n"))
    };
    let frames = progress(json!({ "className": "CmdRangeChunkLogParser" }));
    assert_eq!(frames, (Some(Finds::Progress { reads: ProgressReads::Frame }), String::new()));
    let (none, said) =
        progress(json!({ "className": "LogParser", "modulePath": "qb.backend.logParser", "libPath": "" }));
    assert!(none.is_none() && said.contains("makes no progress"), "{said}");
    let (none, said) = progress(json!({ "className": "Mine", "modulePath": "mine" }));
    assert!(none.is_none() && said.contains("\"Mine\" is a class of Python's"), "{said}");
    let dev = read(&with(json!({}), json!({ "dev": 1, "regex_errors": "x" })));
    assert!(dev.patterns.is_empty() && dev.warnings[0].contains("\"dev\""), "{:?}", dev.warnings);
}

#[test]
fn items_that_are_complete_stay_so_and_others_are_run() {
    let item = |name: &str, status: Value| json!({ "name": name, "status": status, "id": 3, "package": { "commands": ["x"], "frame": 7 } });
    let agenda = json!([
        item("1", json!("complete")),
        item("2-4", json!(272)),
        item("5", json!("failed")),
        item("6", json!("running")),
        { "name": 7, "status": "complete", "resultpackage": { "outputPaths": "/a" } },
    ]);
    let job = read(&with(json!({ "agenda": agenda, "status": "blocked" }), json!({ "range": "1-6" })));
    assert!(job.hold);
    let Agenda::Items(items) = &job.agenda else { panic!("{:?}", job.agenda) };
    let statuses: Vec<_> = items.iter().map(|item| item.status).collect();
    assert_eq!(
        statuses,
        [Some(ItemStatus::Complete), Some(ItemStatus::Blocked), None, None, Some(ItemStatus::Complete)]
    );
    assert_eq!(items[1].frames, Some(FrameRun { first: 2, count: 3, step: 1 }));
    assert_eq!((items[4].name.as_str(), &items[0].data["frame"]), ("7", &json!(7)));
    let said = job.warnings.join("\n");
    assert!(said.contains("failed or were killed in Qube are run again: 1"), "{said}");
    assert!(said.contains("\"id\" of an item of the agenda without effect"), "{said}");
}

#[test]
fn what_is_wrong_with_items_is_an_error() {
    let agenda =
        json!([{ "package": { "commands": ["x"] } }, { "name": "a" }, { "name": "a", "package": { "commands": [] } }]);
    let errors =
        read_over(&with(json!({ "agenda": agenda }), json!({})).to_string(), &Overrides::default()).unwrap_err();
    let said = errors.join("\n");
    for wanted in ["needs a \"name\"", "\"a\" has nothing to run", "\"a\" is there twice"] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    let agenda = json!([{ "name": "a", "package": { "commands": ["f('QB_CONVERT_PATH(')"] } }]);
    let said = warned(json!({ "agenda": agenda }), json!({}));
    assert!(said.contains("the item \"a\" will fail: QB_CONVERT_PATH( has no closing"), "{said}");
}

#[test]
fn the_job_type_leads_to_a_backend_unless_another_is_asked_for() {
    let job = |job: Value, backend: Option<&str>| {
        let overrides = Overrides { backend: backend.map(Into::into), ..Overrides::default() };
        read_over(&with(job, json!({})).to_string(), &overrides)
    };
    let backend = |found: Result<Job, Vec<String>>| found.map(|job| job.backend);
    assert_eq!(backend(job(json!({ "prototype": "pyBlender" }), None)), Ok("blender".into()));
    assert_eq!(backend(job(json!({ "prototype": "", "kind": "blender" }), None)), Ok("blender".into()));
    assert_eq!(backend(job(json!({ "prototype": "cmdline" }), Some("python"))), Ok("python".into()));
    let errors = job(json!({ "prototype": "cmdline" }), None).unwrap_err();
    assert!(errors[0].contains("runs programs, not Python"), "{errors:?}");
    let errors = job(json!({ "prototype": "pyFusion" }), None).unwrap_err();
    assert!(errors[0].contains("no backend is known for the job type \"pyFusion\""), "{errors:?}");
    let plain = job(json!({ "prototype": null }), None).unwrap();
    assert!(plain.backend == "python" && plain.warnings[0].contains("no \"prototype\""), "{:?}", plain.warnings);
}

#[test]
fn paths_are_mapped_in_commands_as_they_are_sent_and_in_values_when_read() {
    let overrides =
        Overrides { maps: vec![PathRule::new("Z:\\show", "/mnt/my show").unwrap()], ..Overrides::default() };
    let agenda = json!([{ "name": "a", "package": { "commands": ["open('QB_CONVERT_PATH(Z:\\\\show\\\\a.ma)')"] } }]);
    let document = with(json!({ "agenda": agenda, "env": { "A": "Z:/show/x", "B": "x:Z:/show" } }), json!({}));
    let job = read_over(&document.to_string(), &overrides).unwrap();
    assert_eq!((job.env["A"].as_str(), job.env["B"].as_str()), ("/mnt/my show/x", "x:Z:/show"));
    let item = job.agenda.item(crate::model::ItemIndex(0)).unwrap();
    assert_eq!(crate::job::commands::of_item(&job, &item).unwrap(), ["open('/mnt/my show/a.ma')"]);
    let unmapped = read_over(&document.to_string(), &Overrides { no_map: true, ..overrides }).unwrap();
    assert_eq!(unmapped.env["A"], "Z:/show/x");
}

/// Values of every kind, as wrong as they can be.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(QB_CONVERT_PATH\\(|[a-z0-9.()\\\\\n-]){0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        let keys = "(commands|name|status|package|className|Linux|x)";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_value_breaks_the_reader(
        key in "(name|id|cwd|env|status|flags|retrywork|retrywork_delay|agenda_timelimit|timeout|kind|prototype|x)",
        of_package in "(dev|kind|range|pyExecutable|appVersion|logParser|regex_errors|regex_progress|jobSetupCmds|env_runTimeOS|validate_fileMinSize|x)",
        one in any_value(), other in any_value(), items in prop::collection::vec(any_value(), 0..3),
    ) {
        let agenda: Vec<Value> = items.iter().map(|item| json!({ "name": item, "package": { "commands": item } })).collect();
        let document = with(json!({ key: one, "agenda": agenda }), json!({ of_package: other }));
        let _ = read_over(&document.to_string(), &Overrides::default());
        let whole = with(json!({ "agenda": items }), json!({}));
        let _ = read_over(&whole.to_string(), &Overrides::default());
    }
}
