//! `prune`: old sessions are removed.

use super::exit::{FAILED, Failure, OK};
use super::out::{Cell, Out, Table, Tone, complain, length};
use crate::model::Micros;
use crate::model::size::bytes;
use crate::store::{Doing, Limits, Removed, sessions_dir, sweep};
use serde::Serialize;
use std::time::Duration;

/// Remove old sessions: whole ones, oldest first, never one that runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder prune --dry-run
  childminder prune --older-than 14d
  childminder prune --keep-size 5G --dry-run

Without a limit, what an engine goes by when it starts: CHILDMINDER_KEEP_DAYS (30) and CHILDMINDER_KEEP_SIZE (20G). Only
sessions of yours that were made on this host and have not changed within the last hour are removed.

With --json, an array of objects: id, bytes (on the disk), age (microseconds since the last change), too_old (else it went
for its size), removed (false with --dry-run).")]
pub(super) struct Args {
    /// Remove those that have not changed for this long (36h, 30d).
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<Duration>,
    /// Remove the oldest, until all together take no more than this (500M, 20G).
    #[arg(long, value_name = "SIZE", value_parser = size)]
    keep_size: Option<u64>,
    /// Only list what would go.
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A length of time that must have a unit: a bare 30 that was meant to be days would be seconds.
fn age(text: &str) -> Result<Duration, String> {
    if text.ends_with(|c: char| c.is_ascii_alphabetic()) {
        super::duration(text)
    } else {
        Err("an age is a number with a unit, as 36h or 30d".to_owned())
    }
}

fn size(text: &str) -> Result<u64, String> {
    crate::model::size::parse(text)
        .ok_or_else(|| "a size is a whole number, with or without K, M or G, as 20G".to_owned())
}

#[derive(Serialize)]
struct Told<'a> {
    id: &'a str,
    bytes: u64,
    age: Micros,
    too_old: bool,
    removed: bool,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let limits = match (args.older_than, args.keep_size) {
        (None, None) => super::host::limits()?,
        (age, size) => Limits { age, size },
    };
    let doing = if args.dry_run { Doing::Look } else { Doing::Remove };
    let (mut gone, mut failed) = (Vec::new(), 0);
    sweep(&sessions_dir()?, limits, doing, |removed| match removed {
        Ok(removed) => gone.push(removed),
        Err((path, error)) => {
            failed += 1;
            complain(&format!("cannot remove {}: {error}", path.display()));
        }
    });
    let mut out = Out::stdout();
    if args.json {
        out.json(&gone.iter().map(|gone| told(gone, doing)).collect::<Vec<_>>())?;
    } else {
        show(&mut out, &gone, doing)?;
    }
    out.flush()?;
    Ok(if failed == 0 { OK } else { FAILED })
}

fn told(gone: &Removed, doing: Doing) -> Told<'_> {
    let age = Micros::from(gone.age);
    Told { id: &gone.id, bytes: gone.bytes, age, too_old: gone.too_old, removed: doing == Doing::Remove }
}

fn show(out: &mut Out, gone: &[Removed], doing: Doing) -> std::io::Result<()> {
    if gone.is_empty() {
        return out.line("no session is over the limits; nothing was removed");
    }
    let mut table = Table::new(&["SESSION", ">SIZE", ">AGE", "WHY"]);
    for session in gone {
        let why = if session.too_old { "too old" } else { "all together take too much room" };
        let age = length(Micros::from(session.age));
        table.row(vec![
            Cell::from(&session.id),
            Cell::from(bytes(session.bytes)),
            Cell::from(age),
            Cell::new(why, Tone::Quiet),
        ]);
    }
    out.table(&mut table)?;
    let sessions = if gone.len() == 1 { "1 session".to_owned() } else { format!("{} sessions", gone.len()) };
    let size = bytes(gone.iter().map(|session| session.bytes).sum());
    match doing {
        Doing::Remove => out.line(&format!("{sessions} removed, {size}")),
        Doing::Look => out.line(&format!("{sessions}, {size}, would be removed; nothing was removed")),
    }
}
