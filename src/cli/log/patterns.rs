//! `log --patterns FILE --dry-run`: what patterns find in a recorded session, before they are trusted with a live one.

use super::super::exit::{FAILED, Failure, OK, USAGE};
use super::super::out::{Cell, Out, Table, Tone, complain};
use super::super::target;
use super::Args;
use crate::backend::Recipe;
use crate::job;
use crate::model::added::Added;
use crate::model::size;
use crate::model::{CommandId, EventKind, Finding, Finds, ItemIndex, Job, OutputPattern, Severity, State, Stream};
use crate::patterns::trial::{TriedItem, TriedPattern};
use crate::patterns::{self, Trial, trial::Tried};
use crate::store::{Folder, JournalReader, OutputReader};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Instant;

/// Bytes of a log that are read at once.
const BLOCK: usize = 256 << 10;
/// Rows that are shown to people; `--json` has all.
const ROWS: usize = 50;

/// Runs it; the exit code.
pub(super) fn run(args: &Args, file: &Path) -> Result<u8, Failure> {
    if !args.dry_run {
        let message = "--patterns only tries patterns, and needs --dry-run; to have them looked for while a session runs, \
                       write them into the job or the backend";
        return Err(Failure::new(USAGE, message));
    }
    let wanted = job::patterns::read_file(file).map_err(|errors| Failure::new(USAGE, errors.to_string()))?;
    let recording = target::recording(args.session.as_deref())?;
    recording.notes().iter().for_each(|note| complain(note.trim_end_matches('.')));
    let folder = recording.folder();
    let (session, state) = (folder.read_session()?, target::recovered(folder)?);
    let recipe = session.recipe_text.as_deref().and_then(|text| Recipe::parse("recipe", text).ok());
    let prompt = recipe.filter(|recipe| recipe.echo).map(|recipe| recipe.prompt);
    let began = Instant::now();
    let tried = tried(wanted, folder, &state, &session.job, prompt.as_deref())?;
    let seconds = began.elapsed().as_secs_f64();
    let names = (&session.job, &state.added);
    let mut out = Out::stdout();
    if args.json {
        out.json(&as_json(&tried, names, seconds))?;
    } else {
        show(&mut out, &tried, names, seconds)?;
    }
    out.flush()?;
    Ok(if tried.patterns.iter().any(|tried| tried.matches > 0) { OK } else { FAILED })
}

fn tried(
    wanted: Vec<OutputPattern>,
    folder: &Folder,
    state: &State,
    job: &Job,
    prompt: Option<&str>,
) -> Result<Tried, Failure> {
    let output = OutputReader::open(folder);
    let lengths = output.lengths()?;
    let mut trial = Trial::new(wanted, state, job).map_err(|message| Failure::new(USAGE, message))?;
    let mut block = vec![0; BLOCK];
    for (stream, length) in [(Stream::Stdout, lengths.stdout), (Stream::Stderr, lengths.stderr)] {
        for (part, command) in trial.parts(stream, length) {
            let echoes = prompt.zip(command).filter(|_| stream == Stream::Stdout);
            let echo =
                echoes.and_then(|(prompt, command)| Some(patterns::echo_of(prompt, &source(folder, state, command)?)));
            trial.begin(stream, command, echo.as_deref());
            let mut at = part.start;
            while at < part.end {
                let most = usize::try_from(part.end - at).map_or(BLOCK, |left| left.min(BLOCK));
                let read = output.read_at(stream, at, &mut block[..most])?;
                if read == 0 {
                    break;
                }
                trial.read(stream, at, &block[..read]);
                at += read as u64;
            }
        }
    }
    Ok(trial.finish())
}

/// A command's text, from the journal.
fn source(folder: &Folder, state: &State, command: CommandId) -> Option<String> {
    let event = JournalReader::open(&folder.journal()).ok()?.at(state.command(command)?.queued_at).ok()?;
    match event.kind {
        EventKind::CommandQueued { source, .. } => Some(source),
        _ => None,
    }
}

fn show(out: &mut Out, tried: &Tried, names: (&Job, &Added), seconds: f64) -> std::io::Result<()> {
    let mut table = Table::new(&["PATTERN", "FINDS", ">MATCHES", ">ITEMS", "FOR EXAMPLE"]);
    for (place, pattern) in tried.patterns.iter().enumerate() {
        let items = tried.items.values().filter(|item| item.matches.contains_key(&place)).count();
        let (tone, example) = match pattern.first.first() {
            Some(finding) => (Tone::Plain, finding.text.as_str()),
            None => (Tone::Quiet, ""),
        };
        table.row(vec![
            Cell::new(&pattern.pattern.name, tone),
            finds(pattern.pattern.finds),
            pattern.matches.to_string().into(),
            items.to_string().into(),
            Cell::new(example.chars().take(60).collect::<String>(), Tone::Quiet),
        ]);
    }
    out.table(&mut table)?;
    out.line("")?;
    let mut table = Table::new(&["ITEM", "FOUND"]);
    for (item, found) in tried.items.iter().take(ROWS) {
        let tone = if found.result.errors.is_empty() { Tone::Plain } else { Tone::Bad };
        table.row(vec![Cell::new(name(names, *item), tone), Cell::from(counts(tried, found))]);
    }
    if !tried.elsewhere.matches.is_empty() {
        table.row(vec![Cell::new("(none)", Tone::Quiet), Cell::from(counts(tried, &tried.elsewhere))]);
    }
    if !tried.items.is_empty() || !tried.elsewhere.matches.is_empty() {
        out.table(&mut table)?;
        if let Some(more) = tried.items.len().checked_sub(ROWS).filter(|more| *more > 0) {
            out.line(&format!("… and {more} more items; --json has all"))?;
        }
        out.line("")?;
    }
    let never = never(tried);
    if !never.is_empty() {
        out.line(&format!("never found: {}", never.join(", ")))?;
    }
    out.line(&format!("{} looked through in {seconds:.3} s", size::bytes(tried.bytes)))
}

fn never(tried: &Tried) -> Vec<&str> {
    tried.patterns.iter().filter(|tried| tried.matches == 0).map(|tried| tried.pattern.name.as_str()).collect()
}

fn name((job, added): (&Job, &Added), item: ItemIndex) -> String {
    added.name(job, item).map_or_else(|| item.0.to_string(), std::borrow::Cow::into_owned)
}

/// What a pattern finds, in the words of its table.
fn finds(finds: Finds) -> Cell {
    let Finds::Error { severity } = finds else { return Cell::new(finds.word(), Tone::Plain) };
    let tone = match severity {
        Severity::Note => Tone::Plain,
        Severity::Warn => Tone::Busy,
        Severity::FailItem | Severity::FailSession => Tone::Bad,
    };
    Cell::new(format!("{} ({})", finds.word(), severity.key()), tone)
}

fn counts(tried: &Tried, found: &TriedItem) -> String {
    let name = |place: &usize| tried.patterns.get(*place).map_or("", |tried| tried.pattern.name.as_str());
    found.matches.iter().map(|(place, count)| format!("{} {count}", name(place))).collect::<Vec<_>>().join(", ")
}

fn as_json(tried: &Tried, names: (&Job, &Added), seconds: f64) -> Value {
    let matches = |found: &TriedItem| -> Map<String, Value> {
        let named = |(place, count): (&usize, &u64)| {
            Some((tried.patterns.get(*place)?.pattern.name.clone(), Value::from(*count)))
        };
        found.matches.iter().filter_map(named).collect()
    };
    let of_pattern = |tried: &TriedPattern| {
        let first: Vec<&Finding> = tried.first.iter().collect();
        json!({ "pattern": tried.pattern, "matches": tried.matches, "first": first })
    };
    let of_item = |(item, found): (&ItemIndex, &TriedItem)| json!({ "item": item, "name": name(names, *item), "matches": matches(found), "result": found.result });
    json!({
        "patterns": tried.patterns.iter().map(of_pattern).collect::<Vec<_>>(),
        "items": tried.items.iter().map(of_item).collect::<Vec<_>>(),
        "elsewhere": matches(&tried.elsewhere),
        "never": never(tried),
        "bytes": tried.bytes,
        "seconds": seconds,
    })
}
