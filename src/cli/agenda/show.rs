//! All of one item: how it stands and what it has yielded so far.

use super::super::exit::Failure;
use super::super::out::{Cell, Out, Table, Tone, length};
use super::super::target::{self, Way};
use super::tone;
use crate::api::{Replay, SessionView as _};
use crate::model::proto::{ItemDetail, ItemView, RanCommand, Request, Response};
use crate::model::{Found, Measure, OutputFile, Severity};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How many characters of a command are shown.
const HEAD: usize = 60;

#[derive(Serialize)]
struct Told<'a> {
    session: &'a str,
    #[serde(flatten)]
    view: &'a ItemView,
    reason: Option<&'a str>,
    result: Map<String, Value>,
    measures: &'a BTreeMap<String, Measure>,
    commands: Vec<Command<'a>>,
    data: &'a BTreeMap<String, Value>,
}

#[derive(Serialize)]
struct Command<'a> {
    source: &'a str,
    /// `null` where it was not queued.
    ran: Option<&'a RanCommand>,
}

/// Asks for an item, and tells it.
pub(super) fn show(out: &mut Out, way: Way, name: String, json: bool) -> Result<(), Failure> {
    let request = Request::Item { name };
    let (session, answer) = target::block_on(async {
        match way {
            // It is over: its files tell.
            Way::Session(folder) if !folder.is_running() => {
                let replay = Replay::open(&folder)?;
                Ok((folder.id().to_owned(), replay.ask(request).await?))
            }
            way => {
                let (client, welcome) = way.connect("agenda", true).await?;
                Ok((welcome.session, client.ask(request).await?))
            }
        }
    })?;
    let Response::Item(item) = answer else { return Err(target::odd()) };
    if json { as_json(out, &session, &item) } else { as_text(out, &item) }
}

fn as_json(out: &mut Out, session: &str, item: &ItemDetail) -> Result<(), Failure> {
    let commands = item.commands.iter().enumerate();
    Ok(out.json(&Told {
        session,
        view: &item.view,
        reason: item.reason.as_deref(),
        result: result(item)?,
        measures: &item.measures,
        commands: commands.map(|(at, source)| Command { source, ran: item.ran.get(at) }).collect(),
        data: &item.data,
    })?)
}

/// The result with every key, so that a script needs not ask which there are.
fn result(item: &ItemDetail) -> Result<Map<String, Value>, Failure> {
    let empty = json!({
        "output_paths": [], "files": [], "progress": null, "errors": [], "found": [], "highlights": [], "values": {},
    });
    let known = serde_json::to_value(&item.result).map_err(std::io::Error::from)?;
    let maps =
        [empty, known].into_iter().filter_map(|value| if let Value::Object(map) = value { Some(map) } else { None });
    Ok(maps.flatten().collect())
}

fn as_text(out: &mut Out, item: &ItemDetail) -> Result<(), Failure> {
    let (row, result) = (&item.view.row, &item.result);
    let attempt = if row.attempt > 1 { format!(", attempt {}", row.attempt) } else { String::new() };
    let took = if row.took.0 > 0 { format!(" after {}", length(row.took)) } else { String::new() };
    let done = row.progress.map(|done| format!(", {:.0}% done", done * 100.0)).unwrap_or_default();
    out.toned_line(&format!("{} {}{took}{attempt}{done}", item.view.name, row.status.word()), tone(row.status))?;
    if let Some(reason) = &item.reason {
        out.line(&format!("because {reason}"))?;
    }
    found(out, item)?;
    if result.files.is_empty() {
        list(out, "outputs", &result.output_paths)?;
    } else {
        files(out, &result.files)?;
    }
    list(out, "errors", &result.other_errors())?;
    list(out, "highlights", &result.highlights)?;
    let values = result.values.iter();
    let values = values.map(|(name, value)| (name.clone(), Measure::told(item.measures.get(name).copied(), value)));
    pairs(out, "values", values)?;
    pairs(out, "data", item.data.iter().map(|(name, value)| (name.clone(), value.to_string())))?;
    commands(out, item)
}

fn heading(out: &mut Out, name: &str) -> Result<(), Failure> {
    out.line("")?;
    Ok(out.toned_line(name, Tone::Busy)?)
}

fn list(out: &mut Out, name: &str, entries: &[String]) -> Result<(), Failure> {
    if entries.is_empty() {
        return Ok(());
    }
    heading(out, name)?;
    entries.iter().try_for_each(|entry| out.line(&format!("  {}", one_line(entry))))?;
    Ok(())
}

fn pairs(out: &mut Out, name: &str, pairs: impl Iterator<Item = (String, String)>) -> Result<(), Failure> {
    list(out, name, &pairs.map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>())
}

fn found(out: &mut Out, item: &ItemDetail) -> Result<(), Failure> {
    let mut table = Table::new(&["", "PATTERN", "STREAM", ">BYTE", "TEXT"]);
    for found in &item.result.found {
        let Found::Error { severity } = found.what else { continue };
        let tone = match severity {
            Severity::Note => Tone::Plain,
            Severity::Warn => Tone::Busy,
            Severity::FailItem | Severity::FailSession => Tone::Bad,
        };
        table.row(vec![
            Cell::new(severity.word(), tone),
            Cell::from(&found.pattern),
            Cell::from(found.stream.word()),
            Cell::from(found.at.to_string()),
            Cell::from(one_line(&found.text)),
        ]);
    }
    if item.result.found.is_empty() {
        return Ok(());
    }
    heading(out, "found in the output")?;
    Ok(out.table(&mut table)?)
}

fn files(out: &mut Out, files: &[OutputFile]) -> Result<(), Failure> {
    heading(out, "outputs")?;
    for file in files {
        let known = file.known().join("  ");
        let path = one_line(&file.path.to_string_lossy());
        let (sign, tone) = if file.problem.is_some() { ("✗", Tone::Bad) } else { ("✓", Tone::Plain) };
        out.toned_line(format!("  {sign} {path}  {known}").trim_end(), tone)?;
        if let Some(problem) = &file.problem {
            out.toned_line(&format!("    {}", one_line(problem)), tone)?;
        }
    }
    Ok(())
}

fn commands(out: &mut Out, item: &ItemDetail) -> Result<(), Failure> {
    if item.commands.is_empty() {
        return Ok(());
    }
    heading(out, "commands")?;
    let mut table = Table::new(&[">NUMBER", "STATE", ">TIME", "COMMAND"]);
    for (at, source) in item.commands.iter().enumerate() {
        let ran = item.ran.get(at);
        let took = ran.filter(|ran| ran.took.0 > 0).map(|ran| length(ran.took)).unwrap_or_default();
        let head: String = one_line(source).chars().take(HEAD).collect();
        table.row(vec![
            Cell::from(ran.map(|ran| ran.id.to_string()).unwrap_or_default()),
            Cell::from(ran.map_or("", |ran| ran.state.word())),
            Cell::from(took),
            Cell::from(head),
        ]);
    }
    Ok(out.table(&mut table)?)
}

/// What a line is made of must not begin another.
fn one_line(text: &str) -> String {
    text.replace('\n', "⏎")
}
