//! The own tests of what is written in Python, which play the engine's end of the wire in every interpreter: of the
//! bootstrapper, and of the base classes for Qube's back ends.

#![allow(clippy::expect_used, reason = "a helper that cannot do its part fails the test")]
#![allow(clippy::print_stderr, reason = "which interpreters ran is told to whoever reads the test's output")]

#[path = "common/hosts.rs"]
mod hosts;

use hosts::Python;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::mpsc;
use std::time::Duration;

/// How long one interpreter's tests may take; they need a minute or two, most of it waiting.
const PATIENCE: Duration = Duration::from_mins(9);
/// How many interpreters are tried at a time.
const AT_ONCE: usize = 3;

/// All interpreters where they have to be there; else the oldest and newest of each family, which differ most.
fn interpreters() -> Vec<String> {
    let found = hosts::pythons();
    let newest = |major| found.iter().rfind(|python| python.family == "python" && python.version.0 == major);
    let chosen: Vec<&Python> = if hosts::all_wanted() {
        found.iter().collect()
    } else {
        let pypy = found.iter().rfind(|python| python.family == "pypy");
        [newest(2), newest(3), pypy].into_iter().flatten().collect()
    };
    chosen.into_iter().map(Python::name).collect()
}

/// Applications that are hosts of the bootstrapper, where all have to be there.
fn applications() -> Vec<String> {
    let found = ["blender", "gdb"].into_iter().filter(|name| hosts::all_wanted() && hosts::on_path(name).is_some());
    found.map(Into::into).collect()
}

/// Runs tests in one interpreter. The arguments are Python's.
fn run(name: &str, arguments: &[&str]) -> Output {
    let mut tests = Command::new("timeout");
    // There a bare version is one interpreter, and a word is all whose names begin like it.
    let only = name.strip_prefix("python").unwrap_or(name);
    tests.arg(PATIENCE.as_secs().to_string()).arg("python3").args(arguments).env("CHILDMINDER_TEST_PYTHONS", only);
    tests.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).output().expect("python3")
}

fn pass(names: &[String], arguments: &'static [&'static str]) {
    assert!(!names.is_empty(), "no interpreter was found");
    eprintln!("RUN: {}", names.join(", "));
    for group in names.chunks(AT_ONCE) {
        let (told, tells) = mpsc::channel();
        for name in group.iter().cloned() {
            let told = told.clone();
            std::thread::spawn(move || told.send((run(&name, arguments), name)));
        }
        for _ in group {
            let (output, name) = tells.recv_timeout(PATIENCE * 2).expect("an end");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}:\n{said}");
            assert!(!said.contains("Ran 0 tests"), "{name} was not found there:\n{said}");
        }
    }
}

#[test]
fn the_bootstrappers_own_tests_pass() {
    let names = [interpreters(), applications()].concat();
    pass(&names, &["tests/bootstrap/test_child_bootstrapper.py"]);
}

#[test]
fn the_own_tests_of_qubes_base_classes_pass() {
    pass(&interpreters(), &["-B", "-m", "unittest", "discover", "-s", "tests/qube_classes"]);
}
