//! The child process: spawn, guardian, output, exit, process tree, metrics.
//!
//! What must stay true:
//! - The process tells its end itself (a pidfd); a closed pipe says nothing, since a grandchild may hold it for hours.
//! - A pid is used only while it cannot have become somebody else's: the leader is reaped when its [`Process`] is
//!   dropped and not before, and all others are signalled through a pidfd opened before their start time was compared.
//! - Nobody here waits for "any child": what is adopted is reaped one pid at a time, so that no exit code of somebody
//!   else's child is ever swallowed.
//! - Nothing of ours leaks into the child: no file descriptor, no signal disposition, no controlling terminal.
//! - Output is drained whatever happens, and no lock is held while its bytes are handed on.
//!
//! Linux only, 5.11 or newer (`pidfd_open`, `waitid(P_PIDFD)`, `CLOSE_RANGE_CLOEXEC`).

pub mod capture;
pub mod guardian;
pub mod metrics;
mod own;
pub mod proc;
pub mod process;
pub mod spawn;
pub(crate) mod sys;
pub mod tree;

pub use capture::{Capture, Chunk};
pub use guardian::{Guardian, guardian_main};
pub use metrics::Sampler;
pub use proc::ProcessId;
pub use process::Process;
pub use spawn::{SpawnError, SpawnSpec, Spawned, Spawner, Stdin};
pub use tree::{
    become_subreaper, continue_everything, kill_everything, marked, reap_adopted, relative, signal_below,
    stop_everything,
};

/// The environment variable by which every process of a session is known. Its value is no secret.
pub const MARKER: &str = "CHILDMINDER_SESSION";

/// The environment variable by which they are told from those of the session's next engine. No secret either.
pub const ENGINE: &str = "CHILDMINDER_ENGINE";
