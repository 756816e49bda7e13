//! A window whose terminal is gone ends, whatever its loop does.
//!
//! crossterm reads a terminal until there is nothing left to read, and at one that is gone there is always something: its
//! end. It does that inside of a poll of its stream, so the loop of the window, which has one thread, may never come to
//! see a signal again, at a whole core. Hence a thread of its own waits for the terminal's end and for SIGHUP, tells the
//! loop, and where that does not leave within a moment, ends the process. Nothing is lost by it: a window owns nothing.
//! While the terminal is there it sleeps: what is typed does not wake it.
#![expect(unsafe_code, reason = "tokio asks for a promise when it is given a file descriptor")]

use super::{LOST_EXIT_CODE, terminal};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

/// How long the loop has to leave by itself, and then how long what can be given back of the terminal may take.
const MOMENT: Duration = Duration::from_secs(1);

/// The thread, which ends when this is dropped.
pub(super) struct Watch {
    gone: Arc<Notify>,
    left: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch the terminal on standard input, from which keys are read.
    pub(super) fn start() -> io::Result<Self> {
        let tty = io::stdin().as_fd().try_clone_to_owned()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let gone = Arc::new(Notify::new());
        let (left, leaves) = oneshot::channel();
        let tell = Arc::clone(&gone);
        let thread = std::thread::Builder::new().name("hang-up".into()).spawn(move || {
            if let Err(error) = runtime.block_on(watch(tty, &tell, leaves)) {
                tracing::warn!(%error, "nobody watches whether the terminal is still there");
            }
        })?;
        Ok(Self { gone, left: Some(left), thread: Some(thread) })
    }

    /// Told once when the terminal is gone.
    pub(super) fn gone(&self) -> Arc<Notify> {
        Arc::clone(&self.gone)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.left = None;
        // It ends at once, unless it has begun to end the process.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn watch(tty: OwnedFd, gone: &Notify, mut left: oneshot::Receiver<()>) -> io::Result<()> {
    let mut hung_up = signal(SignalKind::hangup())?;
    // A hang-up is always told; of what else is asked for, a terminal has nothing to tell.
    // SAFETY: an `OwnedFd` is open, and the same descriptor, for as long as it lives; it lives in the `AsyncFd`, which
    // nobody takes it out of.
    let tty = unsafe { AsyncFd::register_with_interest(tty, Interest::PRIORITY) }?;
    tokio::select! {
        _ = &mut left => return Ok(()),
        _ = hung_up.recv() => {}
        ready = tty.ready(Interest::PRIORITY) => drop(ready?),
    }
    gone.notify_one();
    if timeout(MOMENT, left).await.is_err() {
        end();
    }
    Ok(())
}

/// Ends the process while its loop is stuck.
fn end() -> ! {
    let (done, restored) = mpsc::channel();
    // After SIGHUP alone the terminal may still be there; one that takes nothing just now must not keep the process.
    let restoring = std::thread::Builder::new().spawn(move || {
        terminal::restore();
        // Whoever waited has had enough.
        let _ = done.send(());
    });
    if restoring.is_ok() {
        let _ = restored.recv_timeout(MOMENT);
    }
    std::process::exit(LOST_EXIT_CODE)
}
