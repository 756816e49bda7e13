//! `pause` and `continue`: stop the child's processes where they are, and let them go on.

use super::exit::{Failure, OK};
use super::target;
use crate::model::proto::Request;

/// Stop the child's processes where they are, and every clock of the session with them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder pause shots
  childminder continue shots

A paused child uses no CPU and keeps its memory. No time-out passes for it. What it has open stays open: servers may hang
up on it.")]
pub(super) struct Pause {
    /// Which session: an id, the beginning of one, a job's name, or a folder. Without: the only one that runs.
    session: Option<String>,
}

/// Let a paused child go on.
#[derive(Debug, clap::Args)]
pub(super) struct Continue {
    /// Which session: an id, the beginning of one, a job's name, or a folder. Without: the only one that runs.
    session: Option<String>,
}

/// Runs `pause`; the exit code.
pub(super) fn pause(args: &Pause) -> Result<u8, Failure> {
    target::tell(args.session.as_deref(), "pause", Request::Pause, "the child is paused")?;
    Ok(OK)
}

/// Runs `continue`; the exit code.
pub(super) fn go_on(args: &Continue) -> Result<u8, Failure> {
    target::tell(args.session.as_deref(), "continue", Request::Continue, "the child goes on")?;
    Ok(OK)
}
