//! A process that we started: told apart by pid and start time, its end awaited and its pid kept from being used again.

use super::own::{self, Role};
use super::proc::{ProcessId, Stat};
use super::sys;
use crate::model::Exit;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};
use tokio::io::unix::AsyncFd;

/// The leader of a session and process group of its own, reaped on drop if it has ended by then.
///
/// Until then its pid, and so its group's, is nobody else's: that is what makes signalling the group safe.
#[derive(Debug)]
pub(super) struct Leader {
    id: ProcessId,
    pidfd: OwnedFd,
}

impl Leader {
    /// Starts it; the command must have been isolated.
    pub(super) fn spawn(command: &mut Command, role: Role) -> io::Result<(Self, Child)> {
        let mut child = own::spawn(command, role)?;
        let pid = child.id();
        match Self::of(pid) {
            Ok(leader) => Ok((leader, child)),
            Err(error) => {
                // Without a handle it can be neither awaited nor ended later, so it must not live.
                own::release(pid, || {
                    if child.kill().is_ok() {
                        let _ = child.wait();
                    }
                });
                Err(error)
            }
        }
    }

    fn of(pid: u32) -> io::Result<Self> {
        let pidfd = sys::pidfd_open(pid)?;
        let stat = Stat::read(pid).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat cannot be read")))?;
        Ok(Self { id: stat.id, pidfd })
    }

    pub(super) fn id(&self) -> ProcessId {
        self.id
    }

    pub(super) fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    pub(super) fn signal_group(&self, signal: Signal) -> io::Result<()> {
        killpg(Pid::from_raw(self.id.pid.cast_signed()), signal)?;
        Ok(())
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        own::release(self.id.pid, || {
            // One that still runs will be reaped like an adopted one.
            let _ = sys::reap(self.pidfd.as_fd());
        });
    }
}

/// The child. Drop it only when its tree has been dealt with: it keeps the pid from being used again.
pub struct Process {
    leader: Leader,
    end: AsyncFd<OwnedFd>,
}

impl Process {
    /// Must be called within a runtime that does I/O. Fails when there is no file descriptor left.
    pub(super) fn new(leader: Leader) -> Result<Self, (Leader, io::Error)> {
        let watch = || sys::await_end(leader.pidfd.try_clone()?);
        match watch() {
            Ok(end) => Ok(Self { leader, end }),
            Err(error) => Err((leader, error)),
        }
    }

    /// The spawned process's number; its session's and group's too.
    pub fn pid(&self) -> u32 {
        self.leader.id.pid
    }

    /// When it began, in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub fn start_time(&self) -> u64 {
        self.leader.id.start_time
    }

    /// Both of these.
    pub fn id(&self) -> ProcessId {
        self.leader.id
    }

    /// Waits for the process to end, and says how, as told by the process itself and not by its pipes. May be called
    /// again, and given up at any time. The process stays a zombie until this value is dropped.
    pub async fn exited(&self) -> Exit {
        loop {
            match self.end() {
                Ok(Some(exit)) => return exit,
                Ok(None) => {}
                Err(_) => return Exit::Unknown,
            }
            let Ok(mut ready) = self.end.readable().await else { return Exit::Unknown };
            if matches!(self.end(), Ok(None)) {
                ready.clear_ready();
            }
        }
    }

    fn end(&self) -> io::Result<Option<Exit>> {
        sys::peek_exit(self.leader.pidfd.as_fd())
    }

    /// Signals this process alone. `ESRCH` when it has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        sys::pidfd_signal(self.leader.pidfd.as_fd(), signal)
    }

    /// Signals every process of its group.
    pub fn signal_group(&self, signal: Signal) -> io::Result<()> {
        self.leader.signal_group(signal)
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("id", &self.leader.id).finish_non_exhaustive()
    }
}
