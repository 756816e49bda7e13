//! The same child under our engine, and under the barest thing that stores what it prints.
//!
//! A child measures itself: it looks at the clock before its first and after its last write and says so in a file, so
//! that no start-up counts. All files are on the same disk, and gone before the next round, so that no side pays for
//! what the other left to be written back.

use crate::supervised::{Session, interpreter, interpreter_only};
use childminder::model::{Job, StopMode, Stream};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a child does: Python whose time is taken from `begin()` to `end()`.
pub(crate) struct Script<'s> {
    /// The lines.
    pub(crate) code: &'s str,
    /// Bytes that it prints.
    pub(crate) bytes: u64,
}

const HEAD: &str = r"
import os, sys, time
def begin():
    global begun
    begun = time.monotonic()
def end():
    took = time.monotonic() - begun
    with open(os.environ['TIME_FILE'], 'w') as file:
        file.write(repr(took))
";

/// A folder on the disk of the build, for one run.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

fn took(time: &Path) -> f64 {
    fs::read_to_string(time).expect("the child said its time").parse().expect("a number")
}

fn write_script(folder: &Path, script: &Script<'_>) -> PathBuf {
    let path = folder.join("script.py");
    fs::write(&path, format!("{HEAD}{}", script.code)).expect("written");
    path
}

/// A supervised interpreter, idle.
pub(crate) fn start() -> Session {
    let data = scratch();
    let time = data.path().join("time").display().to_string();
    let env = [("TIME_FILE".to_owned(), time)].into_iter().collect();
    let session = Session::start(data, Job { env, ..interpreter_only() });
    session.until_idle();
    session
}

/// Runs the script to its end; the child's own seconds.
pub(crate) fn run(session: &Session, script: &Script<'_>) -> f64 {
    let path = write_script(session.data.path(), script);
    session.exec(&format!("exec(compile(open({}).read(), 'script', 'exec'))", quoted(&path)));
    took(&session.data.path().join("time"))
}

/// Ends it, and looks whether all that was printed is there.
pub(crate) fn stop(session: Session, script: &Script<'_>) {
    let (folder, _data) = session.stop(StopMode::Now);
    let stored = folder.output(Stream::Stdout).metadata().expect("a log").len();
    assert_eq!(stored, script.bytes, "not all of the output was stored");
}

/// The child's seconds under our engine, with nobody watching.
pub(crate) fn ours(script: &Script<'_>) -> f64 {
    let session = start();
    let took = run(&session, script);
    stop(session, script);
    took
}

/// The child's seconds where a shell runs it; `$PYTHON`, `$SCRIPT` and `$OUT` say what and where.
pub(crate) fn shell(script: &Script<'_>, line: &str) -> f64 {
    let folder = scratch();
    let (out, time) = (folder.path().join("out"), folder.path().join("time"));
    let done = Command::new("sh")
        .args(["-c", line])
        .env("PYTHON", interpreter())
        .env("SCRIPT", write_script(folder.path(), script))
        .env("OUT", &out)
        .env("TIME_FILE", &time)
        .env("TMUX_TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(File::create(folder.path().join("said")).expect("a file"))
        .status()
        .expect("a shell");
    assert!(done.success(), "{line}");
    took(&time)
}

/// Whether a program is installed here.
pub(crate) fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A path as Python has it.
fn quoted(path: &Path) -> String {
    serde_json::to_string(path.to_str().expect("UTF-8")).expect("a string")
}
