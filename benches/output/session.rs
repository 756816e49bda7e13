//! An engine in a process of its own, gone on with on the big folder, and what the system says of processes.

use super::folder::Made;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// The program, with its data in this folder.
pub(crate) fn program(data: &OsStr) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_childminder"));
    command.env("CHILDMINDER_DATA_DIR", data);
    command
}

/// A session whose engine was started again.
pub(crate) struct Running {
    engine: Child,
    data: PathBuf,
    id: String,
    /// From the start of the engine until clients could come.
    pub(crate) opened: Duration,
}

impl Running {
    /// Starts the engine as the window of `run --resume` does.
    pub(crate) fn resume(made: &Made) -> Self {
        let begun = Instant::now();
        let mut engine = program(made.data.as_os_str())
            .arg("__engine")
            .arg(made.folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut word = String::new();
        let told = engine.stdout.take().expect("piped");
        BufReader::new(told).read_line(&mut word).expect("read");
        assert_eq!(word.trim_end(), "ready");
        Self { engine, data: made.data.clone(), id: made.folder.id().to_owned(), opened: begun.elapsed() }
    }

    /// The engine's pid.
    pub(crate) fn pid(&self) -> u32 {
        self.engine.id()
    }

    /// Starts `childminder ARGS` on this session's data.
    pub(crate) fn cli(&self, args: &[&str]) -> Child {
        let mut command = program(self.data.as_os_str());
        command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started")
    }

    /// Stops the session.
    pub(crate) fn stop(mut self) {
        self.cli(&["stop", &self.id, "--now"]).wait().expect("ended");
        self.engine.wait().expect("ended");
    }
}

/// What the system says of a process's memory, in kB: `VmRSS`, `VmHWM` …
pub(crate) fn memory(pid: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':')).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Waits, but not for ever.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not so: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
