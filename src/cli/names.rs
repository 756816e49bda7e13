//! `names`: what is in the child's namespace.

use super::exit::{Failure, OK};
use super::out::{Cell, Out, Table};
use super::target;
use crate::model::proto::{NameInfo, Request, Response};
use crate::model::size::bytes;
use crate::store::Purpose;
use serde::Serialize;

/// List the names in the child's namespace, with types and sizes.
///
/// It works while the child is busy, and runs no code of the job's or the application's: nothing is printed, compared or
/// computed for it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder names
  childminder names shots --json | jq -r '.names[] | select(.size > 1000000) | .name'

Sizes are of the objects themselves, without what they refer to, and known for Python's own types and numpy's arrays.

With --json, one object: session, names (each with name, kind, and where they are known size, length, shape) and more (how
many were left out).")]
pub(super) struct Args {
    /// Which session: an id, the beginning of one, a job's name, or a folder. Without: the only one that runs.
    session: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Told<'a> {
    session: &'a str,
    names: &'a [NameInfo],
    more: u32,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let folder = target::folder(args.session.as_deref(), Purpose::Write)?;
    let answer = target::block_on(async {
        let client = target::connect(&folder, "names", false).await?;
        Ok(client.ask(Request::Names).await?)
    })?;
    let Response::Names { names, more } = answer else { return Err(target::odd()) };
    let mut out = Out::stdout();
    if args.json {
        out.json(&Told { session: folder.id(), names: &names, more })?;
    } else {
        show(&mut out, &names, more)?;
    }
    out.flush()?;
    Ok(OK)
}

/// Lists them, for people.
pub(super) fn show(out: &mut Out, names: &[NameInfo], more: u32) -> std::io::Result<()> {
    if names.is_empty() {
        return out.line("the namespace is empty");
    }
    let mut table = Table::new(&["NAME", "TYPE", ">SIZE", ">LENGTH"]);
    for name in names {
        table.row(row(name));
    }
    out.table(&mut table)?;
    if more > 0 {
        out.line(&format!("… and {more} more"))?;
    }
    Ok(())
}

fn row(name: &NameInfo) -> Vec<Cell> {
    // An array's shape says more than its length.
    let length = name.shape.clone().or_else(|| name.length.map(|length| length.to_string()));
    vec![
        Cell::from(&name.name),
        Cell::from(&name.kind),
        Cell::from(name.size.map(bytes).unwrap_or_default()),
        Cell::from(length.unwrap_or_default()),
    ]
}
