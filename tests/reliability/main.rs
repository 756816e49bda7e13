//! What a child, a user or a machine can do to a session: one row a fault, one test a row, each with a real engine and
//! a real child.
//!
//! [`TABLE`] names each fault and the tests that show what comes of it, wherever they stand. After each of them the same
//! is looked at (`common/aftermath.rs`; `Session::wait` and `Supervised::wait` see to it): nobody of the session lives,
//! no child is a zombie, no temporary file is left, every line of the journal is an event without a gap between them,
//! and what is read back is the fold of them. Where the engine outlives the fault, it also has no more descriptors open
//! than before, has no zombie for a child, and runs the next command (`Supervised::must_hold`).

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

mod clients;
mod clock;
#[path = "../common/disk.rs"]
mod disk;
mod exits;
mod misbehaves;
#[path = "../common/session.rs"]
mod session;
mod stuck;
#[path = "../common/supervised.rs"]
mod supervised;
#[path = "../common/window.rs"]
mod window;

use session::{child_file, job, quoted};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use supervised::Supervised;

/// A session with nothing to do, whose child can import what `tests/children` has to misbehave with, and is started
/// again whenever it dies.
fn idle(rest: &str) -> Supervised {
    let engine = Supervised::of(job(&format!("hold = true\nrestarts = 1000\n[agenda]\n{rest}\n{PHASES}{}", children())));
    engine.until_agenda();
    engine
}

const PHASES: &str = "[env]\nPYTHONDONTWRITEBYTECODE = '1'\n[phases]\n";

/// The init commands with which a child finds `faults` and `stuck`.
fn children() -> String {
    let folder = quoted(child_file(""));
    format!("init = ['import sys; sys.path.insert(0, {folder}); import faults, os, stuck, time']\n")
}

/// Something that a child waits for and that the test tells it.
struct Fifo(PathBuf);

impl Fifo {
    fn new(engine: &Supervised) -> Self {
        let path = engine.place().home().join("work/told");
        let _ = std::fs::remove_file(&path);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("made");
        Self(path)
    }

    /// As Python writes it.
    fn path(&self) -> String {
        quoted(&self.0)
    }

    /// Waits for the child, and tells it.
    fn tell(&self) {
        let mut opened = std::fs::File::options();
        // Fails as long as nobody reads there.
        let opened = opened.write(true).custom_flags(libc::O_NONBLOCK);
        window::until("a child that waits to be told", || opened.open(&self.0).is_ok());
    }
}
