//! The program as a user with no sessions yet runs it.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A user with no sessions yet.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self(tempfile::tempdir().expect("a folder"));
        std::fs::create_dir(home.0.path().join("run")).expect("a folder");
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_childminder"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        command.envs(self.environment()).env_remove("SSH_CONNECTION");
        command
    }

    /// Where the program finds everything.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let place = |name: &str| self.path().join(name).display().to_string();
        vec![
            ("CHILDMINDER_DATA_DIR", place("data")),
            ("XDG_RUNTIME_DIR", place("run")),
            ("XDG_CACHE_HOME", place("cache")),
            ("XDG_CONFIG_HOME", place("config")),
            ("XDG_STATE_HOME", place("state")),
            ("TMPDIR", place("")),
            // The disk of a test machine may be nearly full.
            ("CHILDMINDER_MINIMUM_FREE", "0".to_owned()),
        ]
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("it runs")
    }

    /// What it prints when it goes well.
    pub(crate) fn says(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.says(args)).expect("JSON")
    }

    /// A session that is held, in the foreground of a process of its own.
    pub(crate) fn held(&self, args: &[&str]) -> Headless {
        let all = [&["run", "--headless", "--hold", "--backend", "python"], args].concat();
        let headless = Headless::start(&mut self.command(&all));
        headless.until("phase agenda");
        headless
    }

    pub(crate) fn folder(&self) -> PathBuf {
        let sessions = self.path().join("data").join("sessions");
        let mut folders = std::fs::read_dir(sessions).expect("sessions");
        folders.next().expect("a session").expect("a folder").path()
    }
}

/// How long a session of a test may take.
const PATIENCE: Duration = Duration::from_mins(3);

/// Ended, at the latest, when its test is over.
pub(crate) struct Headless {
    child: Child,
    lines: std::cell::RefCell<BufReader<ChildStdout>>,
    /// Closed before the child is waited for: nobody kills what may have its pid later.
    watched: Option<mpsc::Sender<()>>,
}

impl Headless {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = std::cell::RefCell::new(BufReader::new(child.stdout.take().expect("a pipe")));
        let (watched, over) = mpsc::channel();
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        std::thread::spawn(move || {
            if over.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                // Whoever reads its lines sees them end.
                let _ = kill(pid, Signal::SIGKILL);
            }
        });
        Self { child, lines, watched: Some(watched) }
    }

    /// Reads up to a line that contains this.
    pub(crate) fn until(&self, wanted: &str) -> Vec<String> {
        let mut seen = Vec::new();
        for line in self.lines.borrow_mut().by_ref().lines() {
            seen.push(line.expect("text"));
            if seen.last().is_some_and(|line| line.contains(wanted)) {
                return seen;
            }
        }
        panic!("it ended without {wanted:?}: {seen:#?}");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")), signal).expect("sent");
    }

    pub(crate) fn code(mut self) -> Option<i32> {
        let mut rest = String::new();
        self.lines.borrow_mut().read_to_string(&mut rest).expect("text");
        self.watched = None;
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Headless {
    fn drop(&mut self) {
        self.watched = None;
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was printed, whatever it is.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
