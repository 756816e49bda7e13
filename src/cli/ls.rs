//! `ls`: the sessions of this host's user.

use super::exit::{Failure, OK};
use super::out::{Cell, Out, Table, Tone, length};
use super::target;
use crate::model::{ItemStatus, Micros, SessionPhase};
use crate::store::{Folder, Listed, clock, list};

/// List sessions, running and ended, newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder ls
  childminder ls --json | jq -r '.[] | select(.running) | .id'

With --json, an array of objects: id, name, backend, host, created (microseconds since 1970), running, phase, ended
(code, reason, at), counts (items by status), folder, and damaged where a session cannot be read in full.")]
pub(super) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let sessions = list()?;
    let mut out = Out::stdout();
    if args.json {
        out.json(&sessions)?;
    } else if sessions.is_empty() {
        out.line("no sessions yet; `childminder demo` starts one")?;
    } else {
        let mut table = Table::new(&["SESSION", "BACKEND", "STATE", ">ITEMS", "TROUBLE", ">AGE"]);
        for session in &sessions {
            table.row(row(session));
        }
        out.table(&mut table)?;
    }
    out.flush()?;
    Ok(OK)
}

fn row(session: &Listed) -> Vec<Cell> {
    let count = |status| session.counts.get(&status).copied().unwrap_or(0);
    let total: u32 = session.counts.values().sum();
    let items = format!("{}/{total}", count(ItemStatus::Complete));
    let trouble = [ItemStatus::Failed, ItemStatus::Killed, ItemStatus::Blocked]
        .into_iter()
        .filter(|status| count(*status) > 0)
        .map(|status| format!("{} {}", count(status), status.word()))
        .collect::<Vec<_>>()
        .join(", ");
    // The whole of it is in --json; a row stays short.
    let trouble = if session.damaged.is_some() { "damaged".to_owned() } else { trouble };
    let journal = if session.running { Folder::open(&session.folder).ok() } else { None };
    let trouble = journal.and_then(|folder| target::ask_journal_trouble(&folder)).map_or(trouble, str::to_owned);
    let age = match session.created {
        Micros(0) => "–".to_owned(),
        created => length(clock::wall().since(created)),
    };
    vec![
        Cell::from(&session.id),
        Cell::from(&session.backend),
        state(session),
        Cell::from(items),
        Cell::new(trouble, Tone::Bad),
        Cell::from(age),
    ]
}

fn state(session: &Listed) -> Cell {
    if session.running {
        let word = match session.phase {
            SessionPhase::Starting => "starting",
            SessionPhase::Init => "init",
            SessionPhase::Setup => "setup",
            SessionPhase::Agenda => "running",
            SessionPhase::Teardown => "teardown",
            // Its engine stays while somebody looks at it.
            SessionPhase::Ended => "over",
        };
        return Cell::new(word, Tone::Busy);
    }
    match &session.ended {
        Some(ended) if ended.code == 0 => Cell::new("done", Tone::Good),
        Some(ended) => Cell::new(format!("ended {}", ended.code), Tone::Bad),
        None => Cell::new("engine died", Tone::Bad),
    }
}
