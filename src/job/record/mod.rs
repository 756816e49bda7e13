//! Recording: chosen commands of a history, written into a Python file or into a phase of a job file.
//!
//! What must stay true: what is written runs as what was recorded, to the byte; this is proven before anything is
//! written, by reading the new text as a job is read and expanding it as a session does. Comments, order and layout of the
//! file stay; a file is replaced whole or not at all, and never through a link.

mod file;
mod json;
mod toml;

pub use file::Target;

use super::source::Format;
use super::{JobErrors, Overrides, commands, template};
use crate::model::job::{Agenda, FrameRun, ItemSpec, Job, Phases};
use crate::model::{CommandId, ItemIndex, Micros};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::path::Path;

/// A command of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its number there.
    pub id: CommandId,
    /// Wall time of its being queued.
    pub at: Micros,
    /// Python.
    pub source: String,
}

/// A list of commands in a job file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// `phases.init`.
    Init,
    /// `phases.setup`.
    Setup,
    /// `phases.commands`.
    Commands,
    /// `phases.teardown`.
    Teardown,
}

impl Slot {
    /// Every list, in the order of job files.
    pub const ALL: [Self; 4] = [Self::Init, Self::Setup, Self::Commands, Self::Teardown];

    /// The key in job files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Setup => "setup",
            Self::Commands => "commands",
            Self::Teardown => "teardown",
        }
    }

    fn of(self, phases: &Phases) -> &[String] {
        match self {
            Self::Init => &phases.init,
            Self::Setup => &phases.setup,
            Self::Commands => &phases.commands,
            Self::Teardown => &phases.teardown,
        }
    }

    fn of_mut(self, phases: &mut Phases) -> &mut Vec<String> {
        match self {
            Self::Init => &mut phases.init,
            Self::Setup => &mut phases.setup,
            Self::Commands => &mut phases.commands,
            Self::Teardown => &mut phases.teardown,
        }
    }
}

/// Why commands cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The job file is wrong as it stands.
    #[error("the job file cannot be added to before it is mended:\n{0}")]
    Job(JobErrors),
    /// A command cannot stand there and run as what it was.
    #[error("command {id} would not run from there as it did: {why}")]
    Command {
        /// Which.
        id: CommandId,
        /// Why.
        why: String,
    },
    /// The file cannot be read or replaced, or not in this way.
    #[error("{0}")]
    File(String),
}

/// The text of a Python file with the commands at its end, each under a comment that says which it was.
pub fn python(before: &str, commands: &[Command], zone: &TimeZone) -> String {
    let mut text = before.to_owned();
    for Command { id, at, source } in commands {
        if !text.is_empty() {
            text.push_str(if text.ends_with('\n') { "\n" } else { "\n\n" });
        }
        text.extend([format!("# command {id}, {}", time(*at, zone)).as_str(), "\n", source, "\n"]);
    }
    text
}

/// The text of a job file with the commands at the end of one of its lists. `path` is where the file is, or will be.
pub fn job(path: &Path, before: &str, slot: Slot, new: &[Command]) -> Result<String, RecordError> {
    // The braces of what is added depend on the keys that the job knows, and a job may lack nothing but commands.
    let nothing = vec!["pass".to_owned(); new.len()];
    let old = read(path, &add(path, before, slot, &nothing)?)?;
    if old.qube.is_some() {
        let why = "a job of Qube's cannot be added to: record into a Python file, or into a job file of childminder's";
        return Err(RecordError::File(why.to_owned()));
    }
    let known = Known::of(&old, slot);
    let templates: Vec<String> = new.iter().map(|command| known.escape(&command.source)).collect();
    let text = add(path, before, slot, &templates)?;
    prove(&read(path, &text)?, old, slot, new, templates)?;
    Ok(text)
}

fn add(path: &Path, text: &str, slot: Slot, templates: &[String]) -> Result<String, RecordError> {
    match super::format_of(path, text) {
        Format::Toml => toml::add(text, slot, templates),
        Format::Json => json::add(path, text, slot, templates),
    }
}

fn read(path: &Path, text: &str) -> Result<Job, RecordError> {
    super::read_text(path, text, &Overrides::default()).map_err(RecordError::Job)
}

/// The keys that are placeholders in a list of commands.
struct Known {
    parameters: BTreeSet<String>,
    /// The items whose commands they are, one for each set of keys; none outside of the agenda.
    items: Vec<ItemSpec>,
}

impl Known {
    fn of(job: &Job, slot: Slot) -> Self {
        let mut parameters: BTreeSet<String> = job.parameters.keys().cloned().collect();
        if let Ok(recipe) = crate::backend::of_job(job) {
            parameters.extend(recipe.parameters.into_keys());
        }
        Self { parameters, items: if slot == Slot::Commands { items(&job.agenda) } else { Vec::new() } }
    }

    fn knows(&self, key: &str) -> bool {
        let of_item = |item: &ItemSpec| {
            let data = key.strip_prefix("item.").is_some_and(|key| item.data.contains_key(key));
            data || key == "name" || (item.frames.is_some() && template::ITEM_KEYS.contains(&key))
        };
        self.parameters.contains(key) || self.items.iter().any(of_item)
    }

    /// The template that makes this text: the braces of what would be a placeholder are doubled.
    fn escape(&self, source: &str) -> String {
        let mut text = String::with_capacity(source.len());
        let mut rest = source;
        while let Some(open) = rest.find('{') {
            text.push_str(&rest[..open]);
            rest = &rest[open + 1..];
            match template::key_at(rest).filter(|key| self.knows(key)) {
                Some(key) => {
                    text.extend(["{{", key, "}}"]);
                    rest = &rest[key.len() + 1..];
                }
                None => text.push('{'),
            }
        }
        text.push_str(rest);
        text
    }
}

/// An item for each set of keys that the job's commands are expanded with.
fn items(agenda: &Agenda) -> Vec<ItemSpec> {
    match agenda {
        // Nothing runs them as it is; frames bring all keys that an item can.
        Agenda::Empty => {
            vec![ItemSpec { frames: Some(FrameRun { first: 1, count: 1, step: 1 }), ..ItemSpec::default() }]
        }
        Agenda::Frames { .. } => agenda.item(ItemIndex(0)).into_iter().collect(),
        Agenda::Items(items) => {
            let mut seen = BTreeSet::new();
            let of_job = items.iter().filter(|item| item.commands.is_none());
            of_job.filter(|item| seen.insert(item.data.keys().collect::<Vec<_>>())).cloned().collect()
        }
    }
}

/// That nothing of the job has changed but the list, and that what was added to it expands to what was recorded.
fn prove(job: &Job, mut old: Job, slot: Slot, new: &[Command], templates: Vec<String>) -> Result<(), RecordError> {
    let list = slot.of_mut(&mut old.phases);
    list.truncate(list.len().saturating_sub(new.len()));
    list.extend(templates);
    if *job != old {
        let why = "the file would say something else beside them; add them by hand".to_owned();
        return Err(RecordError::File(why));
    }
    let items = items(&job.agenda);
    let contexts = if slot == Slot::Commands { items.iter().map(Some).collect() } else { vec![None] };
    for item in contexts {
        let list = slot.of(&job.phases);
        let added = &list[list.len() - new.len()..];
        for (command, template) in new.iter().zip(added) {
            let failed = |why| RecordError::Command { id: command.id, why };
            let expanded = commands::expand_one(job, item, template).map_err(|error| failed(error.to_string()))?;
            if expanded != command.source {
                let why = "its braces hold a key that has a value for some items only, or none; write it in by hand";
                return Err(failed(why.to_owned()));
            }
        }
    }
    Ok(())
}

fn time(wall: Micros, zone: &TimeZone) -> String {
    let stamp = i64::try_from(wall.0).ok().and_then(|wall| Timestamp::from_microsecond(wall).ok()).unwrap_or_default();
    stamp.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests;
