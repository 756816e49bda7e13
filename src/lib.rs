//! childminder runs a Python interpreter inside an application as a child process, feeds it an agenda of work one Python
//! command at a time, and lets people watch, steer and diagnose it from a terminal.
//!
//! ```text
//!  job file ─→ agenda source ─→ session: the one actor that changes state
//!                                 ├ dispatcher  commands ⇄ PyCmdExecutor in the child
//!                                 ├ child       spawn · output · exit · process tree
//!                                 ├ patterns    what the output says: progress, results, errors
//!                                 ├ diagnose    stacks · evidence · verdict
//!                                 ├ store       journal · output · index
//!                                 └ api         requests ↓  events and pages ↑  (Unix socket) ⇄ clients: tui, cli
//! ```
//!
//! The rules that the rooms keep: the engine never waits for a client and is whole without one; state changes only in
//! `session`, every change is an [event](model::Event), and [`model::State`] is the fold of the events; clients hold no
//! truth and ask for windows; whatever the child says is data.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "childminder supervises processes with Linux's own means (pidfd, prctl, /proc); other systems are not supported yet"
);

pub mod agenda;
pub mod api;
pub mod backend;
pub mod child;
pub mod cli;
pub mod diagnose;
pub mod dispatcher;
pub mod job;
pub mod model;
pub mod patterns;
pub mod session;
pub mod store;
#[cfg(feature = "tui")]
pub mod tui;
