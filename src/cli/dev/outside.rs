//! What comes from outside the sessions: lines, signals, files that were saved.

use super::watch::Watch;
use crate::cli::exit::Failure;
use std::future::pending;
use std::io::{self, BufRead, Read};
use std::path::PathBuf;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// The longest line that is taken, in bytes.
const LINE: u64 = 1 << 20;

/// What has come.
#[derive(Debug)]
pub(super) enum Came {
    /// A line was typed.
    Line(String),
    /// Nobody will type any more.
    End,
    /// Ctrl-C.
    Interrupt,
    /// This program is to end.
    Terminate,
    /// Files were saved with another content.
    Saved(Vec<PathBuf>),
}

/// All of it.
pub(super) struct Outside {
    /// `None`: nobody is read.
    lines: Option<mpsc::Receiver<String>>,
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// Which files.
    pub(super) watch: Watch,
}

impl Outside {
    /// Begins to listen; lines are only read if somebody is to type. Needs a runtime.
    pub(super) fn new(typed: bool) -> Result<Self, Failure> {
        let lines = if typed { Some(read_lines()?) } else { None };
        Ok(Self {
            lines,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            watch: Watch::new()?,
        })
    }

    /// The next of anything. Nothing is lost when it is dropped.
    pub(super) async fn next(&mut self) -> Came {
        self.come(true).await
    }

    /// The next but a line.
    pub(super) async fn next_but_lines(&mut self) -> Came {
        self.come(false).await
    }

    async fn come(&mut self, typed: bool) -> Came {
        let Self { lines, interrupt, terminate, hangup, watch } = self;
        tokio::select! {
            // What was done to end it comes first; what was saved before what is typed about it.
            biased;
            _ = interrupt.recv() => Came::Interrupt,
            _ = terminate.recv() => Came::Terminate,
            _ = hangup.recv() => Came::Terminate,
            saved = watch.changed() => Came::Saved(saved),
            line = async { match lines { Some(lines) => lines.recv().await, None => pending().await } }, if typed => {
                line.map_or(Came::End, Came::Line)
            }
        }
    }
}

/// Reads standard input on a thread of its own: a read from a terminal cannot be awaited otherwise. One line waits.
fn read_lines() -> Result<mpsc::Receiver<String>, Failure> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::Builder::new().name("typed".into()).spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match input.by_ref().take(LINE).read_until(b'\n', &mut line) {
                Ok(1..) => {
                    let line = String::from_utf8_lossy(&line);
                    if sender.blocking_send(line.trim_end_matches(['\n', '\r']).to_owned()).is_err() {
                        return;
                    }
                }
                // Nobody types any more.
                Ok(0) | Err(_) => return,
            }
        }
    })?;
    Ok(lines)
}
