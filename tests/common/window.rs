//! A window of the program on a real terminal, driven by keys and looked at through an emulator.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_mins(1);
const SIZE: PtySize = PtySize { rows: 40, cols: 130, pixel_width: 0, pixel_height: 0 };

/// A running command and the terminal it is on.
pub(crate) struct Window {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    written: Arc<Mutex<Vec<u8>>>,
    _terminal: Box<dyn MasterPty + Send>,
}

impl Window {
    /// Runs a line of shell on a terminal of 130 by 40.
    pub(crate) fn open(line: &str, folder: &Path, environment: &[(&str, String)]) -> Self {
        let terminal = native_pty_system().openpty(SIZE).expect("a terminal");
        let mut command = CommandBuilder::new("sh");
        command.args(["-c", line]);
        command.cwd(folder);
        command.env("TERM", "xterm-256color");
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = terminal.slave.spawn_command(command).expect("it starts");
        let keys = terminal.master.take_writer().expect("a keyboard");
        let [rows, columns] = [SIZE.rows, SIZE.cols].map(|size| NonZero::new(size).expect("a size"));
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let (shows, keeps) = (Arc::clone(&screen), Arc::clone(&written));
        let mut output = terminal.master.try_clone_reader().expect("a screen");
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                shows.lock().expect("sound").process(&bytes[..read]);
                keeps.lock().expect("sound").extend_from_slice(&bytes[..read]);
            }
        });
        Self { child, keys, screen, written, _terminal: terminal.master }
    }

    /// Presses a key by its name, or types a text.
    pub(crate) fn press(&mut self, key: &str) {
        let bytes = match key {
            "Enter" => "\r",
            // As newer terminals send it: a bare escape and the key after it would be read as Alt and that key.
            "Esc" => "\x1b[27u",
            "Space" => " ",
            text => text,
        };
        self.keys.write_all(bytes.as_bytes()).and_then(|()| self.keys.flush()).expect("typed");
    }

    /// Waits until a text stands on the screen.
    pub(crate) fn until_shown(&self, text: &str) {
        let began = Instant::now();
        while !self.shows().contains(text) {
            assert!(began.elapsed() < PATIENCE, "{text:?} was not shown:\n{}", self.shows());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it shows.
    pub(crate) fn shows(&self) -> String {
        self.screen.lock().expect("sound").screen().contents()
    }

    /// Whether the terminal is as it was before: its screen, its cursor, and what it says of keys and the mouse.
    pub(crate) fn is_given_back(&self) -> bool {
        let screen = self.screen.lock().expect("sound");
        let screen = screen.screen();
        let mouse = screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None;
        !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste() && !mouse
    }

    /// All bytes that the terminal was sent so far.
    pub(crate) fn written(&self) -> Vec<u8> {
        self.written.lock().expect("sound").clone()
    }

    /// What runs on it.
    pub(crate) fn pid(&self) -> i32 {
        self.child.process_id().and_then(|pid| i32::try_from(pid).ok()).expect("a process")
    }

    /// Sends a signal to what runs on it.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("sent");
    }

    /// Waits for the end of the command; its exit code.
    pub(crate) fn ended(&mut self) -> u32 {
        let mut status: Option<ExitStatus> = None;
        until("the window is left", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        status.expect("it ended").exit_code()
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // A failed test must not leave a window behind, least of all a stopped one.
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Waits, but not for ever.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "not so: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
