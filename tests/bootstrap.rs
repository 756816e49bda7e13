//! The bootstrapper's own tests, which play the engine's end of the wire in every interpreter.

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

/// All of them where they have to be there; else the oldest and newest of each family, which differ most.
fn chosen() -> Vec<String> {
    let found = hosts::pythons();
    let newest = |major| found.iter().rfind(|python| python.family == "python" && python.version.0 == major);
    let chosen: Vec<&Python> = if hosts::all_wanted() {
        found.iter().collect()
    } else {
        let pypy = found.iter().rfind(|python| python.family == "pypy");
        [newest(2), newest(3), pypy].into_iter().flatten().collect()
    };
    let mut names: Vec<String> = chosen.into_iter().map(Python::name).collect();
    if hosts::all_wanted() {
        names.extend(["blender", "gdb"].into_iter().filter(|name| hosts::on_path(name).is_some()).map(Into::into));
    }
    names
}

fn run(name: &str) -> Output {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bootstrap/test_child_bootstrapper.py");
    let mut tests = Command::new("timeout");
    // There a bare version is one interpreter, and a word is all whose names begin like it.
    let only = name.strip_prefix("python").unwrap_or(name);
    tests.arg(PATIENCE.as_secs().to_string()).arg("python3").arg(file).env("CHILDMINDER_TEST_PYTHONS", only);
    tests.output().expect("python3")
}

#[test]
fn the_bootstrappers_own_tests_pass() {
    let names = chosen();
    assert!(!names.is_empty(), "no interpreter was found");
    eprintln!("RUN: {}", names.join(", "));
    for group in names.chunks(AT_ONCE) {
        let (told, tells) = mpsc::channel();
        for name in group.iter().cloned() {
            let told = told.clone();
            std::thread::spawn(move || told.send((run(&name), name)));
        }
        for _ in group {
            let (output, name) = tells.recv_timeout(PATIENCE * 2).expect("an end");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}:\n{said}");
            assert!(!said.contains("Ran 0 tests"), "{name} was not found there:\n{said}");
        }
    }
}
