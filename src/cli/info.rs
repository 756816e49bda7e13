//! `info`: what runs a session, and where each part of it came from.

use super::exit::{Failure, OK};
use super::out::{Out, Tone, complain};
use super::target;
use crate::api::{about, words};

/// Show what runs a session: backend, recipe, executable, versions, settings, and where each came from.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder info
  childminder info shots --json | jq -r '.launch.argv[0]'

It reads the session's files, and works for sessions that have ended and for files that `export` made, too.

With --json, one object: session, folder, host, user, version (of childminder), job, backend (asked_for, name, description,
application, file, not_run, bootstrapper, passing, pump, prompt, rungs, cancel), launch (generation, argv, cwd), hello (what
the child said of itself, while it is there), settings and parameters (each with key, value and from), timeouts,
timeouts_changed.")]
pub(super) struct Args {
    /// Which session: an id, the beginning of one, a job's name, or a folder. Without: the only one that runs, else the
    /// newest.
    session: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let recording = target::recording(args.session.as_deref())?;
    recording.notes().iter().for_each(|note| complain(note.trim_end_matches('.')));
    let folder = recording.folder();
    let about = about::of_folder(folder, &target::recovered(folder)?)?;
    let mut out = Out::stdout();
    if args.json {
        out.json(&about)?;
    } else {
        for (title, facts) in words::about(&about) {
            out.toned_line(title, Tone::Busy)?;
            let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
            facts.iter().try_for_each(|(name, value)| out.line(&format!("  {name:width$}  {value}")))?;
        }
    }
    out.flush()?;
    Ok(OK)
}
