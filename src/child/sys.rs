//! The few calls to the kernel for which there is no safe wrapper.
//!
//! What must stay true: nothing outside of this file is `unsafe`, and what runs between fork and exec calls only what
//! is async-signal-safe and allocates nothing.
#![allow(unsafe_code)]

use crate::model::{Exit, SignalName};
use nix::sys::signal::{SigHandler, Signal};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The first file descriptor that is not a standard stream.
const FIRST_OTHER_FD: libc::c_uint = 3;

/// A handle on a process that stays its own when the pid is used again. Closed on exec.
pub(crate) fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::c_long::from(pid), 0) };
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Signals exactly the process that the handle stands for.
pub(crate) fn pidfd_signal(pidfd: BorrowedFd<'_>, signal: Signal) -> io::Result<()> {
    // SAFETY: integers, and a null pointer which the call allows (it then makes the siginfo itself).
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal as libc::c_int,
            ptr::null_mut::<libc::siginfo_t>(),
            0,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// How the process ended, if it has; leaves it to be reaped, so that its pid stays taken.
pub(super) fn peek_exit(pidfd: BorrowedFd<'_>) -> io::Result<Option<Exit>> {
    wait_pidfd(pidfd, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)
}

/// Like [`peek_exit`], but frees the pid.
pub(super) fn reap(pidfd: BorrowedFd<'_>) -> io::Result<Option<Exit>> {
    wait_pidfd(pidfd, libc::WEXITED | libc::WNOHANG)
}

/// The same handle in a form that can be awaited: it is readable once the process has ended. Needs a runtime with I/O.
pub(super) fn await_end(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd gives the same open descriptor each time it is asked, until it is dropped by the AsyncFd.
    Ok(unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }?)
}

fn wait_pidfd(pidfd: BorrowedFd<'_>, flags: libc::c_int) -> io::Result<Option<Exit>> {
    let fd = libc::id_t::try_from(pidfd.as_raw_fd()).map_err(io::Error::other)?;
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` is valid for writes of a siginfo_t for the whole call.
    if unsafe { libc::waitid(libc::P_PIDFD, fd, info.as_mut_ptr(), flags) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a zeroed siginfo_t is a valid one, and the kernel has written nothing else into it.
    let info = unsafe { info.assume_init() };
    // SAFETY: waitid fills the fields of SIGCHLD, or leaves all at zero when there is nothing to tell.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok(match info.si_code {
        _ if pid == 0 => None,
        libc::CLD_EXITED => Some(Exit::Code(status)),
        libc::CLD_KILLED | libc::CLD_DUMPED => Some(Exit::Signal(SignalName(status))),
        _ => Some(Exit::Unknown),
    })
}

/// How many bytes the pipe holds.
pub(super) fn held_by_pipe(pipe: BorrowedFd<'_>) -> io::Result<u64> {
    let mut held: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, to the address of one that lives throughout the call.
    if unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, ptr::addr_of_mut!(held)) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::try_from(held).unwrap_or(0))
}

/// Sees to it that ended children wait for us: a launcher that ignores SIGCHLD hands that down over exec, and the
/// kernel would then throw their exit codes away.
pub(super) fn keep_exit_codes() -> io::Result<()> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null pointer asks only; `action` is valid for writes of a sigaction.
    if unsafe { libc::sigaction(libc::SIGCHLD, ptr::null(), action.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed, which is valid, and then filled by the call.
    if unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN {
        // SAFETY: the default action runs no code of ours.
        unsafe { nix::sys::signal::signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    }
    Ok(())
}

/// What becomes of the process when the thread that spawned it ends.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    /// The kernel kills it.
    DiesWithUs,
    /// It lives on, and is deaf to what ends a terminal's or a service's processes.
    OutlivesUs,
}

/// What such a process ignores; inherited over exec, so that it is never without.
const DEAF_TO: [libc::c_int; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Has the command begin in a session of its own, with none of our files but what it is given, no signal blocked, and
/// all of them at their defaults (save for what one that outlives us ignores). The file `keep` stays open, under its number.
pub(super) fn isolate(command: &mut Command, fate: Fate, keep: Option<RawFd>) {
    let parent = std::process::id();
    // SAFETY: the closure allocates nothing, takes no lock and calls only what is async-signal-safe.
    unsafe { command.pre_exec(move || prepare(parent, fate, keep)) };
}

/// Runs in the forked child, before exec.
fn prepare(parent: u32, fate: Fate, keep: Option<RawFd>) -> io::Result<()> {
    nix::unistd::setsid()?;
    default_signals()?;
    match fate {
        Fate::DiesWithUs => {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            // Whoever started us may have died before the kernel was told what to do then.
            if nix::unistd::getppid().as_raw().cast_unsigned() != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        Fate::OutlivesUs => {
            for signal in DEAF_TO {
                // SAFETY: SIG_IGN is always valid, and runs no code of ours.
                unsafe { libc::signal(signal, libc::SIG_IGN) };
            }
        }
    }
    // Marked, not closed: the pipe by which a failed exec is told to the parent is among them.
    // SAFETY: takes three integers; the descriptors stay open until exec, so nobody's is closed under him.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, FIRST_OTHER_FD, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    if let Some(file) = keep {
        // SAFETY: takes three integers; whoever spawns holds the file open meanwhile.
        check(unsafe { libc::fcntl(file, libc::F_SETFD, 0) })?;
    }
    Ok(())
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Of the kernel's own `struct sigaction`, all zero: the default, no flags, nothing masked. No architecture's is longer.
const DEFAULT_ACTION: [u64; 8] = [0; 8];

/// The kernel's signal sets have a bit for each of 64 signals.
const SIGNAL_SET_BYTES: usize = 8;

fn default_signals() -> io::Result<()> {
    for signal in 1..=libc::SIGRTMAX() {
        // Not by libc, which keeps two signals to itself: those can be inherited as ignored too.
        // SAFETY: the action outlives the call and is at least as long as the kernel reads; the old one is not wanted.
        // KILL and STOP refuse, which is as well.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                DEFAULT_ACTION.as_ptr(),
                ptr::null_mut::<libc::c_void>(),
                SIGNAL_SET_BYTES,
            )
        };
    }
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `none` is valid for writes, and filled before it is read.
    let result = unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
