//! The window on a pseudo terminal, as whole frames: what stands between two frames is never looked at.

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

const SIZE: PtySize = PtySize { rows: 50, cols: 160, pixel_width: 0, pixel_height: 0 };
/// What ends a synchronized update, and with it a frame.
const FRAME_END: &[u8] = b"\x1b[?2026l";

/// A running `childminder` and the terminal it is on.
pub(crate) struct Window {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    _terminal: Box<dyn MasterPty + Send>,
    /// When it was started.
    pub(crate) begun: Instant,
}

/// What was shown.
pub(crate) struct Seen {
    screen: vt100::Parser,
    /// What came of the next frame.
    part: Vec<u8>,
    /// When each frame was whole.
    pub(crate) frames: Vec<Instant>,
}

impl Seen {
    fn take(&mut self, bytes: &[u8]) {
        self.part.extend_from_slice(bytes);
        while let Some(end) = memchr::memmem::find(&self.part, FRAME_END) {
            let frame = self.part.drain(..end + FRAME_END.len());
            self.screen.process(frame.as_slice());
            drop(frame);
            self.frames.push(Instant::now());
        }
    }

    /// The lines of the screen.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.screen.screen().rows(0, SIZE.cols).collect()
    }
}

impl Window {
    /// Starts `childminder ARGS` with its data in this folder, on a terminal of 160 by 50.
    pub(crate) fn open(data: &Path, args: &[&str]) -> Self {
        let terminal = native_pty_system().openpty(SIZE).expect("a terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_childminder"));
        command.args(args);
        command.env("TERM", "xterm-256color");
        command.env("CHILDMINDER_DATA_DIR", data);
        let [rows, columns] = [SIZE.rows, SIZE.cols].map(|size| NonZero::new(size).expect("a size"));
        let screen = vt100::Parser::new(rows, columns, 0);
        let seen = Arc::new((Mutex::new(Seen { screen, part: Vec::new(), frames: Vec::new() }), Condvar::new()));
        let (mut output, shows) = (terminal.master.try_clone_reader().expect("a screen"), Arc::clone(&seen));
        let keys = terminal.master.take_writer().expect("a keyboard");
        let begun = Instant::now();
        let child = terminal.slave.spawn_command(command).expect("it starts");
        std::thread::spawn(move || {
            let mut bytes = vec![0; 64 << 10];
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                shows.0.lock().expect("sound").take(&bytes[..read]);
                shows.1.notify_all();
            }
        });
        Self { child, keys, seen, _terminal: terminal.master, begun }
    }

    /// The program's pid.
    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().expect("it runs")
    }

    /// What is shown now.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.0.lock().expect("sound")
    }

    /// Types.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("typed");
    }

    /// Waits for a frame of which this is so; when it was whole. `None` if none comes in that time.
    pub(crate) fn frame(&self, most: Duration, is_so: impl Fn(&Seen) -> bool) -> Option<Instant> {
        let begun = Instant::now();
        let mut seen = self.seen();
        loop {
            if let Some(whole) = seen.frames.last().filter(|_| is_so(&seen)) {
                return Some(*whole);
            }
            let left = most.checked_sub(begun.elapsed())?;
            seen = self.seen.1.wait_timeout(seen, left).expect("sound").0;
        }
    }

    /// Leaves it.
    pub(crate) fn close(mut self) {
        self.press("d");
        self.child.wait().expect("it ended");
    }
}
