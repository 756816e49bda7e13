//! Stopping the child for a moment, so that its memory can be read while it stands still.
//!
//! What must stay true:
//! - Whoever was stopped by us goes on, whatever becomes of the reader: a thread of its own sends the SIGCONT, when told
//!   to or when the time is up, whichever comes first.
//! - Whoever was stopped by somebody else stays stopped, be it before or meanwhile.
//! - Only the process that is meant is signalled, never a later one with its pid.
//! - Nobody looks at states and CPU times while a stop of ours falsifies them: stops and looks take turns.

use crate::child::proc::{ProcessId, Stat};
use crate::child::sys;
use crate::model::Micros;
use nix::sys::signal::Signal;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long all threads may take to stop: each must come onto a CPU for it, which on a busy machine takes its time.
const STOP_TIME: Duration = Duration::from_millis(25);

/// How long the others stand when one waits in the kernel for a disk, which does not stop.
const STOP_TIME_D: Duration = Duration::from_millis(4);

/// Between two looks at whether they have.
const STOP_LOOK: Duration = Duration::from_micros(50);

/// Whose turn it is, and whether an operator has paused the child. One for a child; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Pauses(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    taken: Mutex<bool>,
    freed: Condvar,
    /// Held while a SIGCONT of ours is sent, so that an operator's pause comes either before or after it.
    by_operator: Mutex<bool>,
}

impl Pauses {
    /// To be told **before** an operator's SIGSTOP is sent to the child, and before his SIGCONT. While he has it paused,
    /// nobody here stops or continues the child. Does not wait for anybody.
    pub fn operator_paused(&self, paused: bool) {
        *lock(&self.0.by_operator) = paused;
    }

    fn is_paused_by_operator(&self) -> bool {
        *lock(&self.0.by_operator)
    }

    /// Waits for the turn to look or to stop; `None` when it does not come in time.
    pub(super) fn turn(&self, patience: Duration) -> Option<Turn> {
        let taken = lock(&self.0.taken);
        let waited = self.0.freed.wait_timeout_while(taken, patience, |taken| *taken);
        let (mut taken, late) = waited.unwrap_or_else(PoisonError::into_inner);
        if late.timed_out() && *taken {
            return None;
        }
        *taken = true;
        Some(Turn(self.clone()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept is one flag; a panic cannot leave half of it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to look, or to stop the child.
#[derive(Debug)]
pub(super) struct Turn(Pauses);

impl Drop for Turn {
    fn drop(&mut self) {
        *lock(&self.0.0.taken) = false;
        self.0.0.freed.notify_one();
    }
}

/// A process that we have stopped. Goes on when this is dropped, or when the time is up.
pub(super) struct Pause {
    /// When its first thread stood.
    begun: Option<Instant>,
    release: Option<SyncSender<()>>,
    continuer: Option<JoinHandle<Instant>>,
}

impl Pause {
    /// Stops a process for at most so long; the reason when it could not be stopped, or had been by somebody else.
    pub(super) fn begin(who: ProcessId, longest: Duration, turn: Turn) -> Result<Self, String> {
        let pidfd = sys::pidfd_open(who.pid).map_err(|e| format!("process {} is gone ({e})", who.pid))?;
        // Compared after the handle was opened: from here on it cannot be anybody else.
        let stat = Stat::read(who.pid).filter(|stat| stat.id == who);
        let stat = stat.ok_or_else(|| format!("process {} is gone", who.pid))?;
        if matches!(stat.state, b'T' | b't') || turn.0.is_paused_by_operator() {
            return Err("it is stopped already".into());
        }
        // The one that continues is there before anything is stopped.
        let (release, released) = sync_channel(1);
        let handle = pidfd.try_clone().map_err(|e| format!("out of file descriptors ({e})"))?;
        let continuer = std::thread::Builder::new()
            .name("childminder continue".into())
            .spawn(move || go_on(&handle, &released, longest, &turn))
            .map_err(|e| format!("no thread could be started ({e})"))?;
        let begun = Instant::now();
        let mut pause = Self { begun: None, release: Some(release), continuer: Some(continuer) };
        sys::pidfd_signal(pidfd.as_fd(), Signal::SIGSTOP).map_err(|e| format!("it may not be stopped ({e})"))?;
        loop {
            let threads = Threads::of(who.pid);
            if threads.stopped > 0 || threads.moving == 0 {
                pause.begun.get_or_insert_with(Instant::now);
            }
            if threads.moving == 0 {
                return Ok(pause);
            }
            let limit = if threads.in_kernel == threads.moving { STOP_TIME_D } else { STOP_TIME };
            if begun.elapsed() > limit {
                return Err(format!("a thread of it did not stop within {} ms", limit.as_millis()));
            }
            std::thread::sleep(STOP_LOOK);
        }
    }

    /// Lets it go on, and says how long it stood.
    pub(super) fn end(mut self) -> Micros {
        let ended = self.release().unwrap_or_else(Instant::now);
        self.begun.map(|begun| ended.duration_since(begun)).unwrap_or_default().into()
    }

    fn release(&mut self) -> Option<Instant> {
        drop(self.release.take());
        self.continuer.take()?.join().ok()
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.release();
    }
}

fn go_on(pidfd: &OwnedFd, released: &Receiver<()>, longest: Duration, turn: &Turn) -> Instant {
    // Nothing is ever sent: the other end is dropped, or the time passes.
    let _ = released.recv_timeout(longest);
    let by_operator = lock(&turn.0.0.by_operator);
    if !*by_operator {
        // It may have ended meanwhile.
        let _ = sys::pidfd_signal(pidfd.as_fd(), Signal::SIGCONT);
    }
    Instant::now()
}

/// How many threads of a process stand, move, and of those wait in the kernel.
#[derive(Debug, Default)]
struct Threads {
    stopped: usize,
    moving: usize,
    in_kernel: usize,
}

impl Threads {
    fn of(pid: u32) -> Self {
        let mut threads = Self::default();
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let stat = fs::read(task.path().join("stat")).ok().and_then(|line| Stat::parse(0, &line));
            match stat.map(|stat| stat.state) {
                // One that has ended meanwhile does not move either.
                None | Some(b'Z' | b'X') => {}
                Some(b'T' | b't') => threads.stopped += 1,
                Some(state) => {
                    threads.moving += 1;
                    threads.in_kernel += usize::from(state == b'D');
                }
            }
        }
        threads
    }
}
