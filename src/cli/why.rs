//! `why`: what the child is doing, in one sentence, and the evidence for it.

use super::exit::{FAILED, Failure, LOST, OK};
use super::out::{Cell, Out, Table, Tone, complain};
use super::target;
use crate::api::words::{self, Part};
use crate::model::proto::{Request, Response};
use crate::model::{Diagnosis, DiagnosisHead, EventKind};
use crate::store::{Folder, JournalReader, Purpose, clock};
use jiff::tz::TimeZone;
use serde::Serialize;

/// Find out what a session's child is doing, and why: one sentence, then the evidence.
///
/// It works while the child is busy, and changes nothing in it. What was found out is saved in the session.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder why
  childminder why shots --json | jq -r .diagnosis.verdict.sentence
  childminder why shots --last       the last one that was made, by whomever
  childminder why shots --all        all that were made

The first line is the sentence, the second says how far to believe it. --last and --all ask neither the engine nor the
child; they work for sessions that have ended, and for files that `export` made.

With --json, one object: session, and diagnosis as it stands in the journal: verdict (doing, confidence, sentence, advice),
trigger, stacks, processes, memory, session, missing, took. With --all --json an array of objects: wall (microseconds since
1970), doing, confidence, sentence, trigger, command.

Exit codes: 0 a diagnosis was made or printed, 1 none was made so far, 3 no such session, 4 refused, 70 the engine was
lost.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Args {
    /// Which session: an id, the beginning of one, a job's name, or a folder. Without: the only one that runs.
    session: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Leave out the values of local variables.
    #[arg(long, conflicts_with = "all")]
    no_locals: bool,
    /// Print the last one that was made; the child is not asked.
    #[arg(long)]
    last: bool,
    /// List all that were made; the child is not asked.
    #[arg(long, conflicts_with = "last")]
    all: bool,
}

#[derive(Serialize)]
struct Told<'a> {
    session: &'a str,
    diagnosis: &'a Diagnosis,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let mut out = Out::stdout();
    if args.all || args.last {
        let recording = target::recording(args.session.as_deref())?;
        recording.notes().iter().for_each(|note| complain(note.trim_end_matches('.')));
        let folder = recording.folder();
        let heads = target::recovered(folder)?.diagnoses;
        if args.all {
            list(&mut out, &heads, args.json)?;
        } else {
            let Some(last) = heads.last() else {
                let id = folder.id();
                return Err(Failure::new(
                    FAILED,
                    format!("nobody has asked {id} why so far; `childminder why {id}` does"),
                ));
            };
            show(&mut out, folder.id(), saved(folder, last)?, args)?;
        }
    } else {
        let folder = target::folder(args.session.as_deref(), Purpose::Write)?;
        let answer = target::block_on(async {
            let client = target::connect(&folder, "why", false).await?;
            Ok(client.ask(Request::Why).await?)
        })?;
        let Response::Diagnosis(diagnosis) = answer else { return Err(target::odd()) };
        show(&mut out, folder.id(), *diagnosis, args)?;
    }
    out.flush()?;
    Ok(OK)
}

/// A diagnosis as it stands in the journal.
fn saved(folder: &Folder, head: &DiagnosisHead) -> Result<Diagnosis, Failure> {
    match JournalReader::open(&folder.journal())?.at(head.at)?.kind {
        EventKind::Diagnosed { diagnosis, .. } => Ok(*diagnosis),
        _ => Err(Failure::new(LOST, "the journal has something else where the diagnosis should be")),
    }
}

fn list(out: &mut Out, heads: &[DiagnosisHead], json: bool) -> Result<(), Failure> {
    if json {
        return Ok(out.json(&heads)?);
    }
    if heads.is_empty() {
        return Ok(out.line("nobody has asked why so far")?);
    }
    let zone = TimeZone::system();
    let mut table = Table::new(&["TIME", "DOING", "WHY"]);
    for head in heads {
        table.row(vec![
            Cell::from(words::clock(head.wall, &zone)),
            Cell::new(&head.doing, Tone::Busy),
            Cell::from(&head.sentence),
        ]);
    }
    Ok(out.table(&mut table)?)
}

fn show(out: &mut Out, session: &str, mut diagnosis: Diagnosis, args: &Args) -> Result<(), Failure> {
    if args.no_locals {
        let frames = diagnosis.stacks.threads.iter_mut().flat_map(|thread| &mut thread.frames);
        frames.for_each(|frame| frame.locals = None);
    }
    if args.json {
        return Ok(out.json(&Told { session, diagnosis: &diagnosis })?);
    }
    for section in words::diagnosis(&diagnosis, clock::wall(), &TimeZone::system()) {
        if section.part == Part::Verdict {
            section.lines.iter().try_for_each(|line| out.line(line))?;
            continue;
        }
        out.line("")?;
        out.toned_line(section.part.title(), Tone::Busy)?;
        section.lines.iter().try_for_each(|line| out.line(&format!("  {line}")))?;
    }
    Ok(())
}
