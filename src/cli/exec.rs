//! `exec`: inject one command.

use super::exit::{FAILED, Failure, LOST, OK, REFUSED, TIMED_OUT, USAGE};
use super::out::{Out, complain};
use super::target;
use crate::api::client::new_id;
use crate::model::proto::{CommandDetail, FRAME_LIMIT, PAGE_LIMIT, Request, Response, Window};
use crate::model::{CommandOutcome, CommandState, Micros};
use crate::store::{Folder, Purpose, plain_safe};
use serde::Serialize;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::time::Duration;

/// How long the engine is asked, after a time-out, what became of the command.
const FATE: Duration = Duration::from_secs(1);

/// The longest answer to a question, in bytes.
const MOST_SAID: u64 = 100;

/// Inject one Python command into a session's child, and wait for its end.
///
/// It runs next, after the command that runs now. What its last expression is worth is printed as its repr; if it
/// raises, the traceback goes to standard error and the exit code is 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder exec '6*7'
  childminder exec --session shots 'import bpy; bpy.data.filepath'
  childminder exec --timeout 5s - < probe.py
  childminder exec --side 'len(scene.objects)'   while the main thread is busy

With --json, one object: session, command (its number), outcome (finished, raised, lost, skipped), seconds, and
depending on the outcome value, cut, exception, exit or reason.

Exit codes: 0 finished, 1 raised, 3 no such session, 4 refused, 70 the child was lost, 124 not within --timeout.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Args {
    /// Python; - reads it from standard input.
    code: String,
    /// Into which session: an id, the beginning of one, a job's name, or a folder. Without: the only one that runs.
    #[arg(short, long)]
    session: Option<String>,
    /// Run it beside the main thread, at once, though that is busy. May crash an application that is not made for it.
    #[arg(long)]
    side: bool,
    /// With --side: do not ask, though the backend does not say that it is safe.
    #[arg(long, requires = "side")]
    yes: bool,
    /// Stop waiting after this long (5, 5s, 2m); the command goes on.
    #[arg(long, value_parser = super::duration)]
    timeout: Option<Duration>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Print the value's bytes as they are, control characters and all.
    #[arg(long)]
    raw: bool,
}

#[derive(Serialize)]
struct Told<'a> {
    session: &'a str,
    command: u64,
    seconds: f64,
    #[serde(flatten)]
    outcome: &'a CommandOutcome,
}

/// Runs it; the exit code.
pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let source = if args.code == "-" { read_stdin()? } else { args.code };
    let folder = target::folder(args.session.as_deref(), Purpose::Write)?;
    let request = if args.side {
        Request::Side { source, confirmed: args.yes || confirmed(&folder)? }
    } else {
        Request::Exec { source, wait: true }
    };
    let detail = target::block_on(async {
        let id = new_id()?;
        let ask = async {
            let client = target::connect(&folder, "exec", false).await?;
            Ok::<_, Failure>(client.ask_as(id.clone(), request).await?)
        };
        let answer = match args.timeout {
            None => ask.await?,
            Some(limit) => match tokio::time::timeout(limit, ask).await {
                Ok(answer) => answer?,
                Err(_) => return Err(timed_out(limit, &fate(&folder, &id).await)),
            },
        };
        match answer {
            Response::Command(detail) => Ok(detail),
            _ => Err(target::odd()),
        }
    })?;
    let Some(outcome) = &detail.outcome else {
        return Err(Failure::new(LOST, "the engine did not say how the command ended"));
    };
    let mut out = Out::stdout();
    if args.json {
        let seconds = detail.view.row.took.seconds();
        out.json(&Told { session: folder.id(), command: detail.view.id.0, seconds, outcome })?;
    } else {
        tell(&mut out, &detail, outcome, args.raw)?;
    }
    out.flush()?;
    Ok(code(outcome))
}

/// Whether somebody was told what Python beside the main thread may do, and wants it nevertheless. Where the backend says
/// that it is safe, nobody is asked.
fn confirmed(folder: &Folder) -> Result<bool, Failure> {
    const WARNING: &str = "Python beside the main thread may crash the application, and what is loaded would be lost";
    let answer =
        target::block_on(async { Ok(target::connect(folder, "exec", true).await?.ask(Request::Summary).await?) })?;
    let Response::Summary(now) = answer else { return Err(target::odd()) };
    if now.side_eval {
        return Ok(false);
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::new(REFUSED, format!("{WARNING}; with --yes it is done nevertheless")));
    }
    complain(WARNING);
    let mut to = std::io::stderr().lock();
    write!(to, "Do it? [y/N] ")?;
    to.flush()?;
    let mut said = String::new();
    std::io::stdin().lock().take(MOST_SAID).read_line(&mut said)?;
    if said.trim().eq_ignore_ascii_case("y") {
        return Ok(true);
    }
    Err(Failure::new(REFUSED, "not done"))
}

fn timed_out(limit: Duration, fate: &str) -> Failure {
    let limit = super::out::length(Micros::from(limit));
    Failure::new(TIMED_OUT, format!("the command did not end within {limit}: {fate}"))
}

/// What became of the command that this call asked for, as far as the engine tells at once.
async fn fate(folder: &Folder, call: &str) -> String {
    let last = async {
        let client = target::connect(folder, "exec", true).await.ok()?;
        // A window past the end is moved back.
        match client.ask(Request::Commands(Window { from: u32::MAX, limit: PAGE_LIMIT })).await {
            Ok(Response::Commands(page)) => Some(page.rows),
            _ => None,
        }
    };
    let Ok(Some(rows)) = tokio::time::timeout(FATE, last).await else {
        return "the engine does not answer, so the command was perhaps not handed over; if the engine goes on, it may \
                still run"
            .to_owned();
    };
    let ours = rows.iter().rev().find(|row| row.by.as_ref().is_some_and(|by| by.request == call));
    match ours.map(|row| (row.id, row.row.state)) {
        None => "the engine has not taken it".to_owned(),
        Some((id, CommandState::Queued)) => format!("command {id} waits for its turn; only the waiting here has ended"),
        Some((id, state)) if state.is_final() => format!("command {id} has {} just now", state.word()),
        Some((id, _)) => format!("command {id} goes on; only the waiting has ended"),
    }
}

fn read_stdin() -> Result<String, Failure> {
    let mut source = Vec::new();
    std::io::stdin().lock().take(FRAME_LIMIT as u64 + 1).read_to_end(&mut source)?;
    String::from_utf8(source)
        .map_err(|error| Failure::new(USAGE, format!("what came on standard input is not UTF-8: {error}")))
}

fn code(outcome: &CommandOutcome) -> u8 {
    match outcome {
        CommandOutcome::Finished { .. } => OK,
        CommandOutcome::Raised { .. } => FAILED,
        CommandOutcome::Lost { .. } => LOST,
        CommandOutcome::Skipped { .. } => REFUSED,
    }
}

fn tell(out: &mut Out, detail: &CommandDetail, outcome: &CommandOutcome, raw: bool) -> Result<(), Failure> {
    let id = detail.view.id;
    match outcome {
        CommandOutcome::Finished { value, cut } => {
            let value = value.as_deref().unwrap_or_default();
            if raw && !value.is_empty() {
                out.raw(value.as_bytes())?;
                out.raw(b"\n")?;
            } else {
                value.lines().try_for_each(|line| out.childs_line(line.as_bytes()))?;
            }
            if let Some(whole) = cut {
                complain(&format!("the value was cut; the whole of it has {whole} characters"));
            }
        }
        CommandOutcome::Raised { exception, .. } => {
            let text = if exception.text.is_empty() { exception.headline(1000) } else { exception.text.clone() };
            let mut to = std::io::stderr().lock();
            for line in text.lines() {
                writeln!(to, "{}", if raw { line.to_owned() } else { plain_safe(line.as_bytes()) })?;
            }
        }
        CommandOutcome::Lost { reason } => complain(&format!("command {id} was lost: {reason}")),
        CommandOutcome::Skipped { reason } => complain(&format!("command {id} was not sent: {reason}")),
    }
    Ok(())
}
