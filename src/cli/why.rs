//! `why`: what the child is doing, in one sentence, and the evidence for it.

use super::exit::{FAILED, Failure, LOST, OK};
use super::out::{Cell, Out, Table, Tone, complain, length};
use super::target::{self, Recording};
use crate::api::words::{self, Part};
use crate::model::proto::{Request, Response};
use crate::model::state::Ended;
use crate::model::{ChildState, Diagnosis, DiagnosisHead, EventKind, Exit, Micros, State};
use crate::store::{Folder, JournalReader, Purpose, StoreError, clock, find};
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
child; they work for sessions that have ended, and for files that `export` made. Of a session that is over it is said how it
and its child ended, and what was found out last.

With --json, one object: session, and diagnosis as it stands in the journal: verdict (doing, confidence, sentence, advice),
trigger, stacks, processes, memory, session, missing, took. With --all --json an array of objects: wall (microseconds since
1970), doing, confidence, sentence, trigger, command. Of a session that is over one object: session, exited (exit, asked,
since), ended (code, reason, at) and last, as of --all; each is null if there is none.

Exit codes: 0 a diagnosis was made or printed, or the session is over, 1 none was made so far, 3 no such session, 4 refused, 70 the engine was
lost.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Args {
    /// Which session: an id, the beginning of one, a job's name, or a folder. Without: the only one that runs, else the
    /// newest.
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
        ask(&mut out, args)?;
    }
    out.flush()?;
    Ok(OK)
}

/// Asks the engine; where nobody can be asked any more, the record.
fn ask(out: &mut Out, args: &Args) -> Result<(), Failure> {
    let recording = match find(args.session.as_deref(), Purpose::Write) {
        Ok(folder) => Recording::Folder(folder),
        Err(error @ StoreError::Ambiguous { .. }) => return Err(error.into()),
        Err(_) => target::recording(args.session.as_deref())?,
    };
    let folder = recording.folder();
    if !folder.is_running() {
        return over(out, folder.id(), &target::recovered(folder)?, args.json);
    }
    let answer = target::block_on(async {
        let client = target::connect(folder, "why", false).await?;
        Ok(client.ask(Request::Why).await?)
    });
    match answer {
        Ok(Response::Diagnosis(diagnosis)) => show(out, folder.id(), *diagnosis, args),
        Ok(_) => Err(target::odd()),
        // It may just have ended.
        Err(failure) => match target::recovered(folder) {
            Ok(state) if state.ended.is_some() || !folder.is_running() => over(out, folder.id(), &state, args.json),
            _ => Err(failure),
        },
    }
}

// ---- when all is over -------------------------------------------------------------------------------------------------

#[derive(Serialize)]
struct Over<'a> {
    session: &'a str,
    exited: Option<Exited>,
    ended: Option<&'a Ended>,
    last: Option<&'a DiagnosisHead>,
}

#[derive(Serialize)]
struct Exited {
    exit: Exit,
    asked: bool,
    since: Micros,
}

/// What the record says of a session whose child cannot be asked any more.
fn over(out: &mut Out, session: &str, state: &State, json: bool) -> Result<(), Failure> {
    if json {
        let exited = match state.child {
            ChildState::Exited { exit, asked, since, .. } => Some(Exited { exit, asked, since }),
            _ => None,
        };
        let (ended, last) = (state.ended.as_ref(), state.diagnoses.last());
        return Ok(out.json(&Over { session, exited, ended, last })?);
    }
    over_lines(session, state, clock::wall(), &TimeZone::system()).iter().try_for_each(|line| out.line(line))?;
    Ok(())
}

fn over_lines(session: &str, state: &State, now: Micros, zone: &TimeZone) -> Vec<String> {
    let ago = |at: Micros| format!("{} ago", length(now.since(at)));
    let child = match &state.child {
        ChildState::None => "No child was started; there is nobody to be asked.".to_owned(),
        ChildState::Starting { .. } | ChildState::Connected { .. } => {
            "The engine is gone, and nobody wrote down how the child ended; nothing can be asked any more.".to_owned()
        }
        ChildState::Exited { exit: Exit::Unknown, since, .. } => {
            format!("The child is gone since {}, nobody could say how; nothing can be asked any more.", ago(*since))
        }
        ChildState::Exited { exit, since, asked, meaning, .. } => {
            let asked = if *asked { ", as it was asked to" } else { "" };
            let meaning = if meaning.is_empty() { String::new() } else { format!(" ({meaning})") };
            format!("The child is gone: {exit}{meaning}{asked}, {}; nothing can be asked any more.", ago(*since))
        }
    };
    let end = match &state.ended {
        Some(ended) => format!("The session ended {}, exit code {}: {}", ago(ended.at), ended.code, ended.reason),
        None => format!("The session was not ended: its engine is gone, and wrote its last event {}.", ago(state.wall)),
    };
    let mut lines = vec![child, end];
    match state.diagnoses.last() {
        Some(last) => {
            lines.push(format!("What was found out last: {} ({})", last.sentence, words::clock(last.wall, zone)));
            lines.push(format!("`childminder why {session} --last` shows all of it."));
        }
        None => lines.push("Nobody had asked why before.".to_owned()),
    }
    lines
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
    Ok(sections(out, &diagnosis)?)
}

/// All of a diagnosis, for people.
pub(super) fn sections(out: &mut Out, diagnosis: &Diagnosis) -> std::io::Result<()> {
    for section in words::diagnosis(diagnosis, clock::wall(), &TimeZone::system()) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::diagnosis::{Confidence, Trigger};
    use crate::model::{Generation, SignalName};

    const NOW: Micros = Micros(100_000_000);

    fn lines(state: &State) -> Vec<String> {
        over_lines("it", state, NOW, &TimeZone::UTC)
    }

    #[test]
    fn how_all_ended_is_told_with_what_was_found_out_last() {
        let (exit, since) = (Exit::Signal(SignalName(11)), Micros(88_000_000));
        let child = ChildState::Exited { generation: Generation(1), exit, asked: false, meaning: String::new(), since };
        let ended = Some(Ended { code: 70, reason: "the child was lost".into(), at: Micros(89_000_000) });
        let head = DiagnosisHead {
            wall: Micros(60_000_000),
            doing: "sleeping".into(),
            confidence: Confidence::Sure,
            sentence: "It slept.".into(),
            trigger: Trigger::Asked,
            command: None,
            at: 0,
        };
        let state = State { child, ended, diagnoses: vec![head], ..State::default() };
        let told = lines(&state);
        assert_eq!(told[0], "The child is gone: killed by SIGSEGV, 12.0s ago; nothing can be asked any more.");
        assert_eq!(told[1], "The session ended 11.0s ago, exit code 70: the child was lost");
        assert!(
            told[2].starts_with("What was found out last: It slept. (") && told[2].contains("00:01:00"),
            "{told:?}"
        );
        assert_eq!(told[3], "`childminder why it --last` shows all of it.");
    }

    #[test]
    fn an_engine_that_left_no_end_is_said_to_be_gone() {
        let child = ChildState::Starting { generation: Generation(1), pid: None, since: Micros(1) };
        let told = lines(&State { child, wall: Micros(98_000_000), ..State::default() });
        assert!(told[0].starts_with("The engine is gone"), "{told:?}");
        assert!(told[1].ends_with("wrote its last event 2.0s ago."), "{told:?}");
        assert_eq!(told[2], "Nobody had asked why before.");
    }
}
