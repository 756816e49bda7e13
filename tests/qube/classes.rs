//! Classes of a studio's, on the real package.

use super::*;
use childminder::model::Stream;
use std::path::{Path, PathBuf};

/// A job of a class in `back_ends.py`, which this interpreter runs.
pub(crate) fn of_class(class: &str, python: &Path, rest: &str) -> Job {
    let backend = quoted(format!("{}:{class}", child_file("back_ends.py").display()));
    job(&format!("backend = {backend}\n{rest}\n[settings]\nback_end_python = {}\n", quoted(python)))
}

/// The oldest and the newest interpreter that may run a class: Python 2 is what many studios have.
pub(crate) fn interpreters() -> Vec<PathBuf> {
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
    assert_eq!(ended.code, 69, "{}", ended.tail());
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
