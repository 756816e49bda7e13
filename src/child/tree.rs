//! The child's process tree: who belongs to it, how it is ended, and how adopted orphans are reaped.
//!
//! What must stay true: only those are signalled that belong to the session: they carry its marker in the environment
//! they were started with, or are in the child's session, or descend from such a process, or were orphaned and adopted by
//! us while there was one child only. Never us, never the guardian, never a helper of ours (those stay in our session);
//! and for an engine that died, nobody whom the session's next engine has started meanwhile.

use super::own::{self, Role};
use super::process::Process;
use super::{ENGINE, MARKER, proc, sys};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use proc::{ProcessId, Stat};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long [`kill_everything`] tries, at most. SIGKILL takes microseconds, save on a process that hangs in the kernel.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How long one round waits for those it killed before it looks again.
const ROUND: Duration = Duration::from_millis(100);

/// Between two looks around while nobody is found.
const PAUSE: Duration = Duration::from_millis(20);

/// How many are killed in one round: each needs a file descriptor meanwhile.
const AT_ONCE: usize = 64;

/// How often [`stop_everything`] looks for processes that were begun while others were being stopped.
const STOP_ROUNDS: usize = 20;

/// Has orphaned descendants come to us, not to init. They must then be [reaped](reap_adopted).
pub fn become_subreaper() -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?;
    Ok(())
}

/// Every living process of the session: those that carry `CHILDMINDER_SESSION=<marker>`, their descendants, and orphans
/// whom we adopted. A process that ends meanwhile may still be listed.
pub fn marked(marker: &str) -> Vec<ProcessId> {
    members(&Family { marker, engine: None, child: None })
}

/// The process of this number, if it belongs to the session of which `child` was spawned: a launcher may have taken it
/// out of the child's group and session, and out of its environment. May block, as any look at a process that hangs in
/// the kernel.
pub fn relative(pid: u32, child: ProcessId, marker: &str) -> Option<ProcessId> {
    let found = ProcessId::now(pid)?;
    let family = Family { marker, engine: None, child: Some(child) };
    (family.carries(pid) || members(&family).contains(&found)).then_some(found)
}

/// Signals a process whom a launcher has started, and its descendants, wherever they are: not the launcher, which is to
/// end after it. Fails when it is gone.
pub fn signal_below(root: ProcessId, with: Signal) -> io::Result<()> {
    // The root last: its end may have others end or move.
    let below = super::metrics::tree(&[root.pid]).into_values().map(|stat| stat.id).filter(|id| *id != root);
    for member in below {
        let _ = signal(member, with);
    }
    signal(root, with).map(drop).ok_or_else(|| nix::errno::Errno::ESRCH.into())
}

/// Kills the child, its group, and then everything that belongs to the session until nothing is left. Returns what
/// could not be ended: processes that hang in the kernel, or that run as somebody else.
///
/// Blocks: a few milliseconds as a rule, at most about [`PATIENCE`].
pub fn kill_everything(process: &Process, marker: &str) -> Vec<ProcessId> {
    let family = Family { marker, engine: None, child: Some(process.id()) };
    // Looked for first: one that left the group and its environment is known only by who started it, while that lives.
    let known = members(&family);
    // That the group has nobody left to signal is no failure.
    let _ = process.signal_group(Signal::SIGKILL);
    for member in known {
        let _ = signal(member, Signal::SIGKILL);
    }
    let left = end_members(&family, PATIENCE, Duration::ZERO);
    reap_adopted();
    left
}

/// Stops the child and everything that belongs to the session where it is. Fails when it begins processes faster than
/// they are found, or the child is gone; some are stopped then.
///
/// Blocks for a few milliseconds.
pub fn stop_everything(process: &Process, marker: &str) -> io::Result<()> {
    process.signal_group(Signal::SIGSTOP)?;
    let family = Family { marker, engine: None, child: Some(process.id()) };
    let mut stopped = HashSet::new();
    for _ in 0..STOP_ROUNDS {
        // One that was not stopped yet when it was looked for may have begun others.
        let others: Vec<ProcessId> = members(&family);
        let new: Vec<ProcessId> = others.into_iter().filter(|member| stopped.insert(*member)).collect();
        if new.is_empty() {
            return Ok(());
        }
        for member in new {
            let _ = signal(member, Signal::SIGSTOP);
        }
    }
    Err(io::Error::other("it begins processes faster than they can be stopped"))
}

/// Lets the child and everything that belongs to the session go on.
///
/// Blocks for a few milliseconds.
pub fn continue_everything(process: &Process, marker: &str) -> io::Result<()> {
    let family = Family { marker, engine: None, child: Some(process.id()) };
    for member in members(&family) {
        let _ = signal(member, Signal::SIGCONT);
    }
    process.signal_group(Signal::SIGCONT)
}

/// Who belongs together.
#[derive(Debug)]
pub(super) struct Family<'a> {
    /// Of this session.
    pub(super) marker: &'a str,
    /// Of this engine alone, when it is given.
    pub(super) engine: Option<ProcessId>,
    /// The child, when it is known.
    pub(super) child: Option<ProcessId>,
}

impl Family<'_> {
    /// Whether the process was started with the session's marker, by the engine that is meant.
    fn carries(&self, pid: u32) -> bool {
        let ours = proc::variable(pid, MARKER).is_some_and(|value| value == self.marker.as_bytes());
        let engine = self.engine.filter(|_| ours).map(ProcessId::text);
        ours && engine.is_none_or(|engine| proc::variable(pid, ENGINE).is_none_or(|value| value == engine.as_bytes()))
    }
}

/// Kills until nobody was found for so long, or time is up; returns who is left.
pub(super) fn end_members(family: &Family<'_>, patience: Duration, calm: Duration) -> Vec<ProcessId> {
    let begun = Instant::now();
    let mut calm_since = begun;
    loop {
        let left = members(family);
        if begun.elapsed() >= patience || (left.is_empty() && calm_since.elapsed() >= calm) {
            return left;
        }
        if left.is_empty() {
            std::thread::sleep(PAUSE);
            continue;
        }
        for some in left.chunks(AT_ONCE) {
            kill_some(some, patience.saturating_sub(begun.elapsed()).min(ROUND));
        }
        calm_since = Instant::now();
    }
}

fn kill_some(victims: &[ProcessId], patience: Duration) {
    let held: Vec<OwnedFd> = victims.iter().filter_map(|victim| signal(*victim, Signal::SIGKILL)).collect();
    let until = Instant::now() + patience;
    for pidfd in &held {
        let time = until.saturating_duration_since(Instant::now());
        let mut ended = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        // Whether it ended or the time did, the next look around tells.
        let _ = poll(&mut ended, PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO));
    }
    if held.is_empty() {
        // Out of descriptors, or all gone: do not look around again at full speed.
        std::thread::sleep(patience.min(Duration::from_millis(5)));
    }
}

/// Signals exactly this process, if it still lives.
fn signal(member: ProcessId, signal: Signal) -> Option<OwnedFd> {
    let pidfd = sys::pidfd_open(member.pid).ok()?;
    // Compared after the handle was opened: from here on it cannot be anybody else.
    if Stat::read(member.pid)?.id != member {
        return None;
    }
    // One that may not be killed is awaited all the same, and told as left over.
    let _ = sys::pidfd_signal(pidfd.as_fd(), signal);
    Some(pidfd)
}

/// Who belongs to it and lives; of the child's own session too, when the child is given.
fn members(family: &Family<'_>) -> Vec<ProcessId> {
    let child = family.child;
    let all = proc::all();
    let me = std::process::id();
    let own = own::known();
    let guardians: HashSet<u32> =
        own.iter().flatten().filter(|(_, role)| **role == Role::Guardian).map(pid_of).collect();
    let adopted = Adopted::find(&all, me, own.as_ref(), child);
    let mut by_parent: HashMap<u32, Vec<&Stat>> = HashMap::new();
    for stat in &all {
        by_parent.entry(stat.parent).or_default().push(stat);
    }
    let in_session =
        |stat: &Stat| child.is_some_and(|child| stat.session == child.pid && stat.id.start_time >= child.start_time);
    let belongs = |stat: &&Stat| in_session(stat) || adopted.has(stat) || family.carries(stat.id.pid);
    let spared = |pid: u32| pid == me || guardians.contains(&pid);
    let mut found: HashMap<u32, &Stat> = HashMap::new();
    let mut open: Vec<&Stat> = all.iter().filter(|stat| !spared(stat.id.pid)).filter(belongs).collect();
    while let Some(stat) = open.pop() {
        if spared(stat.id.pid) || found.insert(stat.id.pid, stat).is_some() {
            continue;
        }
        open.extend(by_parent.get(&stat.id.pid).into_iter().flatten());
    }
    found.into_values().filter(|stat| !stat.is_dead()).map(|stat| stat.id).collect()
}

fn pid_of((pid, _): (&u32, &Role)) -> u32 {
    *pid
}

/// Orphans of the child's tree that came to us.
///
/// A child that we forked stands on our list, and a helper that somebody else in the engine forked is in our session;
/// whoever else has us for a parent was adopted.
pub(super) struct Adopted {
    me: u32,
    my_session: u32,
    /// `None` when it cannot be said whose the adopted ones are.
    own: Option<BTreeMap<u32, Role>>,
}

impl Adopted {
    fn find(all: &[Stat], me: u32, own: Option<&BTreeMap<u32, Role>>, child: Option<ProcessId>) -> Self {
        let my_session = all.iter().find(|stat| stat.id.pid == me).map(|stat| stat.session);
        Self::told_by(me, my_session, own.cloned(), child.map(|child| child.pid))
    }

    /// As seen by this process now.
    pub(super) fn now(child: u32) -> Self {
        let me = std::process::id();
        Self::told_by(me, Stat::read(me).map(|stat| stat.session), own::known(), Some(child))
    }

    fn told_by(me: u32, my_session: Option<u32>, own: Option<BTreeMap<u32, Role>>, child: Option<u32>) -> Self {
        let sole = |own: &BTreeMap<u32, Role>| {
            let children = own.iter().filter(|(_, role)| **role == Role::Child).map(pid_of);
            children.filter(|pid| Some(*pid) != child).count() <= usize::from(child.is_none())
        };
        let own = own.filter(|own| my_session.is_some() && sole(own));
        Self { me, my_session: my_session.unwrap_or_default(), own }
    }

    /// Whether this is one.
    pub(super) fn has(&self, stat: &Stat) -> bool {
        let Some(own) = &self.own else { return false };
        stat.parent == self.me && stat.session != self.my_session && !own.contains_key(&stat.id.pid)
    }
}

/// Reaps every adopted orphan that has ended, one pid at a time, and never a child that somebody here forked. To be
/// called when SIGCHLD came, and costs little. While a child is being forked it does nothing; the next call will.
pub fn reap_adopted() {
    let me = std::process::id();
    let Some(my_session) = Stat::read(me).map(|stat| stat.session) else { return };
    for pid in proc::children(me) {
        let Some(stat) = Stat::read(pid) else { continue };
        if !stat.is_zombie() || stat.session == my_session {
            continue;
        }
        // Asked for each anew: one that has just been forked and has ended must be on the list that is looked at.
        if own::known().is_some_and(|own| !own.contains_key(&pid)) {
            let _ = waitpid(Pid::from_raw(pid.cast_signed()), Some(WaitPidFlag::WNOHANG));
        }
    }
}
