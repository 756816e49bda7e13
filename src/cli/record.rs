//! `record`: commands of a session's history, written into a Python file or a job file.

use super::exit::{FAILED, Failure, OK, USAGE};
use super::out::{Out, complain};
use super::target;
use crate::job::{ranges, record};
use crate::model::{CommandId, CommandState, EventKind, State};
use crate::store::{Folder, JournalReader};
use jiff::tz::TimeZone;
use record::{Command, Slot, Target};
use std::path::{Path, PathBuf};

/// The most commands that are recorded at once.
const MOST: usize = 10_000;

/// Write commands that were run into a Python file, or into a phase of a job file.
///
/// A Python file is made if it is not there; each command is added to it under a comment with its number and its time. Of
/// a job file the comments and the layout are kept. It is proven before anything is written that what is written runs as
/// what was recorded.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder record --commands 3,5-7 --to fix.py
  childminder record shots --commands 12 --phase setup --to shots.toml
  childminder record shots --commands 12 --phase setup --to shots.toml --dry-run

`childminder log --command NUMBER` shows what a command printed; the numbers are in the window and in the journal. Sessions
that have ended, and files that `export` made, will do. A link is not written through, and a file is replaced whole or not
at all. Exit codes: 0 written, 1 not written, 2 no such command or file to write to, 3 no such session.")]
pub(super) struct Args {
    /// Which session: an id, the beginning of one, a job's name, a folder, or a file that `export` made. Without: the
    /// only one that runs, else the newest.
    #[arg(value_name = "SESSION|FOLDER|FILE")]
    session: Option<String>,
    /// Which commands, by their numbers, in this order: 3,5-7.
    #[arg(long, value_name = "NUMBERS", value_parser = numbers)]
    commands: Numbers,
    /// Into which list of the job file; without, --to is a Python file.
    #[arg(long, value_parser = slot, value_name = "init|setup|commands|teardown")]
    phase: Option<Slot>,
    /// The file.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Print what the file would say, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Numbers of commands, in the order in which they were asked for.
#[derive(Debug, Clone)]
struct Numbers(Vec<CommandId>);

fn numbers(text: &str) -> Result<Numbers, String> {
    let runs = ranges::parse(text).map_err(|errors| {
        errors.first().map_or_else(String::new, |error| error.message.replace("frames", "commands"))
    })?;
    if runs.iter().map(|run| run.count as usize).sum::<usize>() > MOST {
        return Err(format!("more than {MOST} commands are not recorded at once"));
    }
    let all = runs.iter().flat_map(|run| (0..i64::from(run.count)).map(|nth| run.first + run.step * nth));
    let all: Option<Vec<_>> =
        all.map(|number| u64::try_from(number).ok().filter(|number| *number > 0).map(CommandId)).collect();
    all.map(Numbers).ok_or_else(|| "commands are numbered from 1".to_owned())
}

fn slot(text: &str) -> Result<Slot, String> {
    let known = || format!("there are {}", Slot::ALL.map(Slot::word).join(", "));
    Slot::ALL.into_iter().find(|slot| slot.word() == text).ok_or_else(known)
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let recording = target::recording(args.session.as_deref())?;
    recording.notes().iter().for_each(|note| complain(note.trim_end_matches('.')));
    let folder = recording.folder();
    let state = target::recovered(folder)?;
    let commands = chosen(folder, &state, &args.commands.0)?;
    let target = Target::read(&args.to)?;
    let text = written(&target, &args.to, args.phase, &commands)?;
    let mut out = Out::stdout();
    if args.dry_run {
        text.lines().try_for_each(|line| out.line(line))?;
    } else {
        target.replace(&text)?;
        let what = if commands.len() == 1 { "1 command".to_owned() } else { format!("{} commands", commands.len()) };
        let place = args.phase.map(|slot| format!("phases.{} of ", slot.word())).unwrap_or_default();
        out.line(&format!("{what} added to {place}{}", args.to.display()))?;
    }
    out.flush()?;
    Ok(OK)
}

fn written(target: &Target, to: &Path, phase: Option<Slot>, commands: &[Command]) -> Result<String, Failure> {
    let is_python = to.extension().is_some_and(|extension| extension == "py");
    match phase {
        Some(_) if is_python => Err(Failure::new(USAGE, "--phase is for a job file, and a .py is none")),
        Some(_) if !target.exists() => {
            Err(Failure::new(USAGE, format!("there is no job file {}; write one first", to.display())))
        }
        Some(slot) => Ok(record::job(to, target.text(), slot, commands)?),
        None if is_python => Ok(record::python(target.text(), commands, &TimeZone::system())),
        None => Err(Failure::new(USAGE, format!("{} is no .py: for a job file say which --phase", to.display()))),
    }
}

/// The commands of these numbers; of one that did not end well it is said that it did not.
fn chosen(folder: &Folder, state: &State, numbers: &[CommandId]) -> Result<Vec<Command>, Failure> {
    let journal = JournalReader::open(&folder.journal())?;
    let mut commands = Vec::with_capacity(numbers.len());
    for id in numbers.iter().copied() {
        let none = || Failure::new(USAGE, format!("there is no command {id} in {}", folder.id()));
        let row = state.command(id).ok_or_else(none)?;
        if row.state != CommandState::Finished {
            complain(&format!("command {id} is {}; it is recorded all the same", row.state.word()));
        }
        match journal.at(row.queued_at)?.kind {
            EventKind::CommandQueued { id: found, source, .. } if found == id => {
                commands.push(Command { id, at: row.queued, source });
            }
            _ => {
                let message = format!("the journal has something else where command {id} should be");
                return Err(Failure::new(FAILED, message));
            }
        }
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_named_by_their_numbers() {
        let listed = |text| numbers(text).map(|numbers| numbers.0.iter().map(|id| id.0).collect::<Vec<_>>());
        assert_eq!(listed("3,5-7"), Ok(vec![3, 5, 6, 7]));
        assert_eq!(listed("9,2-1"), Ok(vec![9, 2, 1]));
        for wrong in ["", "0", "-1", "x", "1-", "1-20000"] {
            assert!(listed(wrong).is_err(), "{wrong}");
        }
    }
}
