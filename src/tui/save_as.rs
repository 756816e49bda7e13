//! A text that goes into a file whose name is typed: what it is, and the row in which the name stands.

use super::panes::record::Chosen;
use super::save::{self, Save, SaveError};
use super::text;
use crate::job::record::{self, RecordError, Target};
use jiff::tz::TimeZone;
use std::path::PathBuf;

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Saving {
    /// Where the child's time went, as flame graph tools read it.
    Stacks(String),
    /// Commands of the history.
    Commands(Chosen),
}

impl Saving {
    /// What stands before the file's name.
    pub(super) fn question(&self) -> String {
        match self {
            Self::Stacks(_) => " write folded stacks to: ".to_owned(),
            Self::Commands(chosen) => {
                let what = text::plural(chosen.count() as u64, "command");
                let kind = chosen.slot.map_or("Python file", |slot| slot.word());
                format!(" add {what} to (Tab: {kind}): ")
            }
        }
    }

    /// Writes it; the file's whole path.
    pub(super) async fn write(&self, path: String, replace: bool) -> Result<PathBuf, SaveError> {
        match self {
            Self::Stacks(text) => {
                let file = Save::default();
                let path = file.clone().create(path, replace).await?;
                file.append(text.clone().into_bytes()).await.map(|()| path)
            }
            Self::Commands(chosen) => {
                let chosen = chosen.clone();
                save::off_thread(move || add(&chosen, &path)).await
            }
        }
    }
}

/// Adds commands to a file that is replaced whole or not at all; its whole path.
fn add(chosen: &Chosen, typed: &str) -> Result<PathBuf, SaveError> {
    let failed = |error: RecordError| SaveError::Failed(error.to_string());
    let path = save::whole(typed)?;
    let is_python = path.extension().is_some_and(|extension| extension == "py");
    let refused = |why: &str| Err(SaveError::Failed(format!("{typed}: {why}")));
    let target = Target::read(&path).map_err(failed)?;
    let text = match chosen.slot {
        None if is_python => record::python(target.text(), &chosen.commands, &TimeZone::system()),
        None => return refused("it is no .py file; for a job file choose a phase with Tab"),
        Some(_) if is_python => return refused("a .py file has no phases; Tab chooses a Python file"),
        Some(_) if !target.exists() => return refused("there is no such job file; write one first"),
        Some(slot) => record::job(&path, target.text(), slot, &chosen.commands).map_err(failed)?,
    };
    target.replace(&text).map_err(failed)?;
    Ok(path)
}

/// The row in which the file's name is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SaveAs {
    /// What was typed.
    pub(super) text: String,
    /// What is written.
    pub(super) saving: Saving,
}
