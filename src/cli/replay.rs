//! `replay`: a window on what was recorded.

use super::attach::{need_terminal, show};
use super::exit::{Failure, OK, USAGE};
use super::target::{self, Recording};
use crate::api::Replay;
use crate::api::SessionView as _;
use crate::api::replay::{Goal, Steer, When};
use jiff::tz::TimeZone;

/// Look at a recorded session as it was at any time.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder replay
  childminder replay shots --at frame_09
  childminder replay /backup/20261123-205639-shots-3f2a --at 14:05:09
  childminder replay shots.tar.zst

The window opens at the end, or where --at says, paused: Space plays, , and . step by event, { and } go by item, ( and )
by exception, @ goes to a time. Nothing is written into the folder. A session that runs is shown up to now; `attach`
follows it. A file that `export` made is unpacked into the cache folder for as long as the window is open.")]
pub(super) struct Args {
    /// Which session: an id, the beginning of one, a job's name, a folder, or a file that `export` made. Without: the
    /// only one that runs, else the newest.
    #[arg(value_name = "SESSION|FOLDER|FILE")]
    session: Option<String>,
    /// Where to begin: a time (14:05:09), a part (50%), an event (#1234), start, end, or an item's name.
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    at: Option<String>,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    // Before a file is unpacked, which may take long.
    need_terminal("`childminder log` prints what was recorded")?;
    let replay = match target::recording(args.session.as_deref())? {
        Recording::Folder(folder) => Replay::open(&folder)?,
        Recording::Packed(unpacked) => Replay::open_packed(unpacked)?,
    };
    if let Some(at) = &args.at {
        replay.steer(Steer::To(goal(&replay, at)?));
    }
    show(replay, true)?;
    Ok(OK)
}

fn goal(replay: &Replay, text: &str) -> Result<Goal, Failure> {
    let extent = replay.extent();
    let wrong = |why| Failure::new(USAGE, why);
    match When::parse(text, &extent, extent.last, &TimeZone::system()).map_err(wrong)? {
        When::Goal(goal) => Ok(goal),
        When::Item(name) => {
            let item = replay.item(&name);
            let none = || Failure::new(USAGE, format!("{name:?} is neither a time nor an item of this session"));
            Ok(Goal::Item(item.ok_or_else(none)?))
        }
    }
}
