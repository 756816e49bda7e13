//! `stop`: end a session.

use super::exit::{Failure, LOST, OK, TIMED_OUT};
use super::out::{Out, complain};
use super::target;
use crate::api::Client;
use crate::model::proto::{Request, Response, ServerFrame};
use crate::model::{Micros, StopMode};
use crate::store::{Folder, Purpose, recover};
use std::time::Duration;

/// End a session: the item that runs is finished, then the job's teardown runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder stop
  childminder stop shots --now
  childminder stop shots --wait --timeout 10m

With --wait the exit code is the session's own, as `run --headless` gives it.")]
pub(super) struct Args {
    /// Which session: an id, the beginning of one, a job's name, or a folder. Without: the only one that runs.
    session: Option<String>,
    /// Do not wait for the item: interrupt, then terminate, then kill.
    #[arg(long)]
    now: bool,
    /// Wait for the session's end, and exit with its exit code.
    #[arg(long)]
    wait: bool,
    /// With --wait: stop waiting after this long (5, 5s, 2m), with exit code 124.
    #[arg(long, requires = "wait", value_parser = super::duration)]
    timeout: Option<Duration>,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let folder = target::folder(args.session.as_deref(), Purpose::Write)?;
    let mode = if args.now { StopMode::Now } else { StopMode::AfterItem };
    target::block_on(async {
        let client = target::connect(&folder, "stop", false).await?;
        let answer = client.ask(Request::Stop { mode }).await?;
        let mut out = Out::stdout();
        match answer {
            Response::Done { said } if !said.is_empty() => out.line(&said)?,
            _ => out.line(&format!("{} is stopping", folder.id()))?,
        }
        out.flush()?;
        if let Ok(Response::Summary(now)) = client.ask(Request::Summary).await
            && let Some(trouble) = target::journal_trouble(&now)
        {
            complain(&format!("{trouble}; the session ends when that is mended"));
        }
        match args.timeout {
            _ if !args.wait => Ok(OK),
            None => end(&folder, client).await,
            Some(limit) => tokio::time::timeout(limit, end(&folder, client)).await.map_err(|_| timed_out(limit))?,
        }
    })
}

/// Waits for the session's end; its exit code.
async fn end(folder: &Folder, client: Client) -> Result<u8, Failure> {
    let code = |code: i32| u8::try_from(code).unwrap_or(LOST);
    // An engine that has nobody to wait for may be gone before it can be asked; its journal says the rest.
    if let Ok((now, mut frames)) = client.subscribe(false, None).await {
        if let Some(ended) = now.ended {
            return Ok(code(ended.code));
        }
        while let Some(frame) = frames.recv().await {
            if let ServerFrame::Pulse { summary } = frame
                && let Some(ended) = summary.ended
            {
                return Ok(code(ended.code));
            }
        }
    }
    match recover(folder)?.state.ended {
        Some(ended) => Ok(code(ended.code)),
        None => Err(Failure::new(LOST, format!("the engine of {} is gone without having ended it", folder.id()))),
    }
}

fn timed_out(limit: Duration) -> Failure {
    let limit = super::out::length(Micros::from(limit));
    Failure::new(TIMED_OUT, format!("the session did not end within {limit}; it is still stopping"))
}
