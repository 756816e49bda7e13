//! `restart`: another child in this one's place.

use super::exit::{Failure, OK};
use super::target;
use crate::model::proto::Request;

/// Start another child in this one's place: init and setup run again, and the agenda goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder restart shots
  childminder restart shots --now

What is loaded in the child is lost, and loaded again by init and setup. While a command runs it is refused, unless --now
is given; then the item whose command is lost has had its attempt.")]
pub(super) struct Args {
    /// Which session: an id, the beginning of one, a job's name, or a folder. Without: the only one that runs.
    session: Option<String>,
    /// Though a command runs.
    #[arg(long)]
    now: bool,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let request = Request::Restart { now: args.now };
    target::tell(args.session.as_deref(), "restart", request, "another child is started")?;
    Ok(OK)
}
