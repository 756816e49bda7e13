//! Applications with their windows open, on a virtual display: commands have their turn in the application's own loop.

use super::hosts::{self, Python};
use super::session::{Ended, Session, child_file, job, quoted};
use super::{check_saying, run};
use childminder::model::proto::Request;
use childminder::model::{Hello, Rung};
use std::path::{Path, PathBuf};
use std::process::Command;

fn recipe(name: &str) -> String {
    format!("{}/tests/recipes/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A Python that can import this, if there is a display for it; tells what is not there.
fn python_with(module: &str) -> Option<PathBuf> {
    if hosts::on_path("xvfb-run").is_none() {
        hosts::not_run("xvfb-run");
        return None;
    }
    let system = PathBuf::from("/usr/bin/python3");
    let found = hosts::pythons().into_iter().rev().map(|Python { path, .. }| path);
    let imports = |python: &PathBuf| {
        let asked = Command::new(python).args(["-c", &format!("import {module}")]).output();
        asked.is_ok_and(|asked| asked.status.success())
    };
    let python = std::iter::once(system).chain(found).find(imports);
    if python.is_none() {
        hosts::not_run(module);
    }
    python
}

fn has(hello: &Hello, feature: &str) -> bool {
    hello.features.iter().any(|has| has == feature)
}

/// An application of ours: the same as every other host does, and its loop turned meanwhile.
fn same_in(window: &str, script: &str, python: &Path) -> (Hello, Ended) {
    let settings = format!("[settings]\npython = {}\nscript = {}", quoted(python), quoted(child_file(script)));
    let (hello, ended) = run(&recipe(window), 0, &settings);
    check_saying(&ended, 0, "the application ended by itself\n");
    (hello, ended)
}

#[test]
fn a_qt_application_does_the_same() {
    let _alone = super::alone();
    let Some(python) = python_with("PySide2.QtWidgets") else { return };
    let (hello, _) = same_in("qt.toml", "qt_app.py", &python);
    assert!(has(&hello, "pump:qt"), "{hello:?}");
}

#[test]
fn a_tkinter_program_does_the_same() {
    let _alone = super::alone();
    let Some(python) = python_with("tkinter") else { return };
    let (hello, _) = same_in("tkinter.toml", "tk_app.py", &python);
    assert!(has(&hello, "pump:tkinter"), "{hello:?}");
}

#[test]
fn blender_runs_commands_while_its_window_is_open() {
    let _alone = super::alone();
    if hosts::on_path("blender").is_none() || hosts::on_path("xvfb-run").is_none() {
        return hosts::not_run("blender under xvfb-run");
    }
    let session = Session::start(job(&format!(
        "backend = '{}'\nhold = true\n[agenda]\nitems = []",
        recipe("blender-window.toml")
    )));
    session.until_agenda();
    assert!(has(&session.hello(), "pump:blender"), "{:?}", session.hello());
    assert_eq!(session.value("bpy.app.background, bpy.context.window is not None"), "(False, True)");
    session.exec("ticks = []\ndef tick():\n    ticks.append(1)\n    return 0.01\nbpy.app.timers.register(tick)");
    super::session::until("Blender's loop to turn", session.folder(), || session.value("len(ticks) > 3") == "True");
    session.ask(Request::Exec { source: "while True: pass".into(), wait: false }).expect("queued");
    session.until("a busy Blender", |state| state.running.is_some_and(|running| running.started));
    let rung = Rung::Interrupt;
    session.ask(Request::Interrupt { command: None, from: rung, to: rung, restart: false }).expect("interrupted");
    session.until("the command's end", |state| state.running.is_none());
    assert_eq!(session.value("bpy.ops.mesh.primitive_cube_add(); len(bpy.data.objects)"), "4");
    let ended = session.stop();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    ended.assert_nobody_left();
}

#[test]
fn an_application_without_such_a_loop_is_a_clear_failure() {
    let _alone = super::alone();
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = folder.path().join("wrong.toml");
    let text =
        "name = 'wrong'\nexecutables = ['python3']\narguments = ['{bootstrapper}', '--port', '{port}']\npump = 'maya'";
    std::fs::write(&wrong, text).expect("written");
    let session = Session::start(job(&format!("backend = {}\n[agenda]\nitems = []", quoted(&wrong))));
    let ended = session.wait();
    assert_eq!(ended.code, 69, "{}", ended.tail());
    assert!(ended.tail().contains("the recipe's pump is"), "{}", ended.tail());
    assert!(ended.tail().contains("the module maya.cmds is not loaded"), "{}", ended.tail());
    ended.assert_nobody_left();
}
