//! Which children are ours to wait for.
//!
//! What must stay true: a child that we forked is listed from before anybody can look until it is reaped, so that whoever
//! reaps adopted orphans can tell them from it. While a fork is under way nobody can tell, and then nothing is reaped.

use std::collections::BTreeMap;
use std::io;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a process of ours is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Child,
    /// An interpreter that decides what the child does, and is not of its family.
    Helper,
    Guardian,
}

struct Own {
    pids: BTreeMap<u32, Role>,
    forking: usize,
}

static OWN: Mutex<Own> = Mutex::new(Own { pids: BTreeMap::new(), forking: 0 });

fn lock() -> MutexGuard<'static, Own> {
    // Every change is one step; a panic cannot leave a half one.
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Spawns, and lists the process. The lock is not held meanwhile: an exec may hang on a dead file server.
pub(super) fn spawn(command: &mut Command, role: Role) -> io::Result<Child> {
    lock().forking += 1;
    let spawned = command.spawn();
    let mut own = lock();
    own.forking -= 1;
    if let Ok(child) = &spawned {
        own.pids.insert(child.id(), role);
    }
    spawned
}

/// Reaps by the given means and takes the process off the list in one step: once reaped, its pid may be given to
/// the next one of ours.
pub(super) fn release(pid: u32, reap: impl FnOnce()) {
    let mut own = lock();
    reap();
    own.pids.remove(&pid);
}

/// All of ours; `None` while that cannot be said.
pub(super) fn known() -> Option<BTreeMap<u32, Role>> {
    let own = lock();
    (own.forking == 0).then(|| own.pids.clone())
}
