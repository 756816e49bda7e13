//! The same work on every interpreter and application that this machine has.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]
#![allow(clippy::print_stderr, reason = "which hosts ran is told to whoever reads the test's output")]

#[path = "common/hosts.rs"]
mod hosts;
#[path = "hosts/launchers.rs"]
mod launchers;
#[path = "common/session.rs"]
mod session;
#[path = "hosts/windows.rs"]
mod windows;

use childminder::model::proto::Request;
use childminder::model::{
    CommandOutcome, CommandState, EventKind, Exception, Hello, ItemIndex, ItemStatus, Phase, Rung, StopMode, Stream,
};
use session::{Ended, Session, child_file, job, quoted};
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// This process adopts what a launcher leaves behind for a moment, and no session here could tell whose that is.
static ORPHANS: RwLock<()> = RwLock::new(());

/// For a test whose children leave nobody.
fn among_others() -> RwLockReadGuard<'static, ()> {
    ORPHANS.read().unwrap_or_else(PoisonError::into_inner)
}

/// For a test with a launcher.
fn alone() -> RwLockWriteGuard<'static, ()> {
    ORPHANS.write().unwrap_or_else(PoisonError::into_inner)
}

/// One item that prints, one that raises, one that is interrupted, one after that.
const JOB: &str = r#"
hold = true

[phases]
setup = [
    "import sys, time, childminder",
    "def boom(a):\n    b = a * 2\n    raise ValueError(u'f\\xfcnf %d' % b)",
    "print('set up')",
]
teardown = ["print('torn down')"]

[agenda]
items = [
    { name = "speaks", commands = [
        "print(u'gr\u00fc\u00dfe \u6f22\u5b57 \\U0001F600')",
        "_ = sys.stderr.write('careful\\n')",
        "childminder.progress(0.5); childminder.output('/out/1.png')",
    ] },
    { name = "raises", commands = ["boom(21)", "print('never')"] },
    { name = "sleeps", commands = ["time.sleep(30)"] },
    { name = "goes on", commands = ["print('alive')"] },
]
"#;
/// The number of the command that sleeps: three of setup, three of the first item, two of the second, one injected.
const SLEEP: u64 = 10;

/// Runs it with more lines before the job's tables, and after them.
fn run(top: &str, tables: &str) -> (Hello, Ended) {
    let session = Session::start(job(&format!("{top}\n{JOB}\n{tables}")));
    session.until_agenda();
    let hello = session.hello();
    let version = session.value("'%d.%d' % sys.version_info[:2]");
    assert!(hello.python.starts_with(version.trim_matches('\'')), "{version} {hello:?}");
    session.ask(Request::Release).expect("released");
    session.until_started(SLEEP);
    session
        .ask(Request::Interrupt { command: None, from: Rung::Interrupt, to: Rung::Interrupt, restart: false })
        .expect("interrupted");
    session.until("the last item", |state| state.count(ItemStatus::Complete) == 2);
    (hello, session.stop())
}

fn check(ended: &Ended) {
    check_saying(ended, "");
}

/// With what the application says at its end.
fn check_saying(ended: &Ended, last_words: &str) {
    assert_eq!(ended.code, 1, "{}", ended.tail());
    let state = ended.state();
    let statuses: Vec<_> = state.items.iter().map(|row| row.status).collect();
    let [complete, failed] = [ItemStatus::Complete, ItemStatus::Failed];
    assert_eq!(statuses, [complete, failed, failed, complete], "{}", ended.tail());
    let stdout = String::from_utf8(ended.output(Stream::Stdout)).expect("UTF-8");
    assert_eq!(stdout, format!("set up\ngrüße 漢字 😀\nalive\ntorn down\n{last_words}"));
    assert_eq!(ended.output(Stream::Stderr), b"careful\n");
    assert_eq!(ended.slice(5, Stream::Stdout), "grüße 漢字 \u{1F600}\n".as_bytes());
    assert_eq!(ended.slice(6, Stream::Stderr), b"careful\n");
    check_exceptions(ended);
    let first = ended.events().into_iter().find_map(|event| match event.kind {
        EventKind::ItemEnded { item: ItemIndex(0), result, .. } => Some(result),
        _ => None,
    });
    let first = first.expect("a result");
    assert_eq!((first.progress, first.output_paths), (Some(0.5), vec!["/out/1.png".to_owned()]));
    ended.assert_nobody_left();
}

fn check_exceptions(ended: &Ended) {
    let raised = exception(ended, 8);
    assert_eq!((raised.kind.as_str(), raised.message.as_str()), ("ValueError", "fünf 42"));
    let innermost = raised.innermost().expect("a frame");
    assert_eq!((innermost.function.as_str(), innermost.line), ("boom", 3));
    assert_eq!(innermost.source, r"raise ValueError(u'f\xfcnf %d' % b)");
    let locals = innermost.locals.as_ref().expect("locals");
    let locals: Vec<_> = locals.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(locals, [("a", "21"), ("b", "42")]);
    assert_eq!(exception(ended, SLEEP).kind, "KeyboardInterrupt");
    let state = ended.state();
    let slept = state.command(childminder::model::CommandId(SLEEP)).expect("a command");
    assert!(slept.took.seconds() < 25.0, "it slept to its end: {slept:?}");
    let skipped: Vec<_> = state.commands.iter().filter(|row| row.state == CommandState::Skipped).collect();
    assert_eq!(skipped.len(), 1, "what follows a raise in its item is not run");
}

fn exception(ended: &Ended, command: u64) -> Exception {
    match ended.outcome(command) {
        CommandOutcome::Raised { exception, .. } => *exception,
        other => panic!("command {command}: {other:?}"),
    }
}

#[test]
fn every_python_does_the_same() {
    let _others = among_others();
    let found = hosts::pythons();
    let missing = |family, major| !found.iter().any(|python| python.family == family && python.version.0 == major);
    if missing("python", 3) {
        hosts::not_run("python3");
    }
    if missing("pypy", 3) {
        hosts::not_run("pypy3");
    }
    for python in &found {
        let (hello, ended) = run("", &format!("[settings]\nexecutable = {}", quoted(&python.path)));
        check(&ended);
        let implementation = if python.family == "pypy" { "PyPy" } else { "CPython" };
        assert_eq!(hello.implementation, implementation);
        assert!(hello.python.starts_with(&format!("{}.{}.", python.version.0, python.version.1)), "{hello:?}");
    }
    let ran: Vec<String> =
        found.iter().map(|python| format!("{} ({})", python.name(), python.path.display())).collect();
    eprintln!("RUN: {}", ran.join(", "));
}

#[test]
fn gdb_does_the_same_though_it_can_be_given_no_arguments() {
    let _others = among_others();
    if hosts::on_path("gdb").is_none() {
        return hosts::not_run("gdb");
    }
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes/gdb.toml");
    let (hello, ended) = run(&format!("backend = {}", quoted(recipe)), "");
    check(&ended);
    assert_eq!(hello.application.name, "gdb");
    assert_ne!(hello.application.version, "");
}

#[test]
fn blender_renders_frames_that_are_whole_pictures() {
    let _others = among_others();
    if hosts::on_path("blender").is_none() {
        return hosts::not_run("blender");
    }
    let out = tempfile::tempdir().expect("a folder");
    let text = format!(
        "backend = 'blender'\n[parameters]\nout = {}\nscript = {}\n{BLENDER}",
        quoted(out.path()),
        quoted(child_file("render.py"))
    );
    let ended = Session::start(job(&text)).wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let state = ended.state();
    assert_eq!(state.count(ItemStatus::Complete), 3);
    assert_eq!(state.generation.0, 1, "all frames in one Blender");
    for (item, row) in (0..).map(ItemIndex).zip(state.items.iter()) {
        let frame = item.0 + 1;
        let picture = out.path().join(format!("{frame:04}.png"));
        let bytes = std::fs::read(&picture).expect("a picture");
        assert_eq!(size_of_png(&bytes), Ok((320, 180)), "frame {frame}");
        let command = row.first_command.expect("a command");
        let said = String::from_utf8_lossy(&ended.slice(command.0, Stream::Stdout)).into_owned();
        assert!(said.contains(&format!("Fra:{frame} Mem:")) && said.contains("Sample "), "{said}");
        assert!(said.contains(&format!("Saved: '{}'", picture.display())), "{said}");
        assert!(!said.contains(&format!("Fra:{} ", frame + 1)), "another frame's output: {said}");
        let result = ended.events().into_iter().find_map(|event| match event.kind {
            EventKind::ItemEnded { item: ended, result, .. } if ended == item => Some(result),
            _ => None,
        });
        let result = result.expect("a result");
        assert_eq!(result.output_paths, [picture.display().to_string()]);
        assert_eq!(result.progress, Some(1.0));
    }
    ended.assert_nobody_left();
}

const BLENDER: &str = r#"
outputs_required = true
[phases]
setup = ["exec(compile(open({script}).read(), {script}, 'exec'))", "prepare(320, 180, 4)"]
commands = ["render({frame}, {out})"]
[agenda]
frames = "1-3"
"#;

#[test]
fn a_cycles_render_that_is_stopped_now_ends_within_its_grace() {
    let _others = among_others();
    if hosts::on_path("blender").is_none() {
        return hosts::not_run("blender");
    }
    let out = tempfile::tempdir().expect("a folder");
    let text = format!(
        "backend = 'blender'\n[timeouts]\nkill_grace = '500ms'\n[parameters]\nout = {}\nscript = {}\n{}",
        quoted(out.path()),
        quoted(child_file("render.py")),
        BLENDER.replace("320, 180, 4", "1920, 1080, 100000")
    );
    let session = Session::start(job(&text));
    session.until("a frame that renders", |state| {
        let running = state.running.filter(|running| running.started).and_then(|running| state.command(running.id));
        running.is_some_and(|row| row.phase == Phase::Item)
    });
    session.ask(Request::Stop { mode: StopMode::Now }).expect("stopped");
    let ended = session.wait();
    assert_eq!(ended.code, 130, "{}", ended.tail());
    assert_eq!(ended.state().count(ItemStatus::Pending), 3, "{}", ended.tail());
    ended.assert_nobody_left();
}

/// Width and height of a PNG that is whole: the signature, every chunk to the end of the file, the last of them `IEND`.
fn size_of_png(bytes: &[u8]) -> Result<(u32, u32), String> {
    let number = |at: usize| {
        let bytes: [u8; 4] = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).ok_or("it ends early")?;
        Ok::<u32, String>(u32::from_be_bytes(bytes))
    };
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") || bytes.get(12..16) != Some(b"IHDR") {
        return Err("it does not begin like a PNG".into());
    }
    let mut at = 8;
    loop {
        let length = number(at)?;
        let last = bytes.get(at + 4..at + 8) == Some(b"IEND");
        at += 12 + usize::try_from(length).map_err(|error| error.to_string())?;
        if last && at == bytes.len() {
            return Ok((number(16)?, number(20)?));
        }
        if last || at > bytes.len() {
            return Err(format!("its chunks end at {at}, the file at {}", bytes.len()));
        }
    }
}
