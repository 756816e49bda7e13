//! `stop`: end a session.

use super::exit::{Failure, OK};
use super::out::Out;
use super::target;
use crate::model::StopMode;
use crate::model::proto::{Request, Response};
use crate::store::{Purpose, plain_safe};

/// End a session: the item that runs is finished, then the job's teardown runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder stop
  childminder stop shots --now")]
pub(super) struct Args {
    /// Which session: an id, the beginning of one, a job's name, or a folder. Without: the only one that runs.
    session: Option<String>,
    /// Do not wait for the item: interrupt, then terminate, then kill.
    #[arg(long)]
    now: bool,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let folder = target::folder(args.session.as_deref(), Purpose::Write)?;
    let mode = if args.now { StopMode::Now } else { StopMode::AfterItem };
    let answer = target::block_on(async {
        Ok(target::connect(&folder, "stop", false).await?.ask(Request::Stop { mode }).await?)
    })?;
    let mut out = Out::stdout();
    match answer {
        Response::Done { said } if !said.is_empty() => out.line(&plain_safe(said.as_bytes()))?,
        _ => out.line(&format!("{} is stopping", folder.id()))?,
    }
    out.flush()?;
    Ok(OK)
}
