//! Which sessions there are, and which one a person means.
//!
//! What must stay true: looking changes nothing, works on folders that cannot be written, and one bad folder never
//! hides the others.

use super::error::StoreError;
use super::folder::{Folder, sessions_path};
use super::session_file::{self, Head};
use super::{checkpoint, error, recovery};
use crate::model::state::Ended;
use crate::model::{ItemStatus, Micros, SessionPhase};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How much of an id is its time: `20261123-205639`.
const ID_SECOND: usize = 15;

/// What a session is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To change it: it has to be running to make sense.
    Write,
    /// To look at it: an ended one will do.
    Read,
}

/// One session in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its job's name.
    pub name: String,
    /// Its job's backend.
    pub backend: String,
    /// The host that it was made on.
    pub host: String,
    /// Wall time of its making.
    pub created: Micros,
    /// Whether an engine holds it.
    pub running: bool,
    /// Where it stood, as far as its journal says.
    pub phase: SessionPhase,
    /// How it ended; `None` for one that runs, or whose engine died.
    pub ended: Option<Ended>,
    /// Its items by status.
    pub counts: BTreeMap<ItemStatus, u32>,
    /// Its folder.
    pub folder: PathBuf,
    /// Why it cannot be listed in full; the fields that could not be read are then empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damaged: Option<String>,
}

/// All sessions, newest first.
pub fn list() -> Result<Vec<Listed>, StoreError> {
    Ok(list_in(&sessions_path()?))
}

/// All sessions in this directory, newest first. A directory that is not there has none.
pub fn list_in(dir: &Path) -> Vec<Listed> {
    folders(dir).iter().map(listed).collect()
}

/// The session that is meant: by id, beginning of an id, job name (the newest; to write, the newest that runs) or path;
/// by nothing, the only one that runs, else, to read, the newest.
pub fn find(selector: Option<&str>, purpose: Purpose) -> Result<Folder, StoreError> {
    find_in(&sessions_path()?, selector, purpose)
}

/// The same among the sessions of this directory.
pub fn find_in(dir: &Path, selector: Option<&str>, purpose: Purpose) -> Result<Folder, StoreError> {
    let all = folders(dir);
    match selector {
        None => unnamed(all, purpose),
        Some(selector) => named(&all, selector, purpose),
    }
}

fn unnamed(all: Vec<Folder>, purpose: Purpose) -> Result<Folder, StoreError> {
    let running = all.iter().filter(|folder| folder.is_running()).cloned().collect::<Vec<_>>();
    match (<[Folder; 1]>::try_from(running), purpose) {
        (Ok([only]), _) => Ok(only),
        (Err(_), Purpose::Read) => all.into_iter().next().ok_or_else(|| {
            StoreError::NoSuchSession(
                "there are no sessions yet; `childminder demo` or `childminder run` make one".into(),
            )
        }),
        (Err(none), Purpose::Write) if none.is_empty() => {
            Err(StoreError::NoSuchSession("no session is running; `childminder ls` lists those that ended".into()))
        }
        (Err(several), Purpose::Write) => {
            Err(StoreError::Ambiguous { wanted: "no session was named".into(), candidates: ids(&several) })
        }
    }
}

fn named(all: &[Folder], selector: &str, purpose: Purpose) -> Result<Folder, StoreError> {
    if let Some(exact) = all.iter().find(|folder| folder.id() == selector) {
        return Ok(exact.clone());
    }
    let begins = |folder: &&Folder| !selector.is_empty() && folder.id().starts_with(selector);
    let prefixed = all.iter().filter(begins).cloned().collect::<Vec<_>>();
    if let [only] = prefixed.as_slice() {
        return Ok(only.clone());
    }
    let of_that_name = |folder: &&Folder| head(folder).is_ok_and(|head| head.job.name == selector);
    let mut same_name = all.iter().filter(of_that_name);
    let newest = match purpose {
        Purpose::Read => same_name.next(),
        Purpose::Write => {
            let candidates = same_name.collect::<Vec<_>>();
            candidates.iter().find(|folder| folder.is_running()).or(candidates.first()).copied()
        }
    };
    if let Some(newest) = newest {
        return Ok(newest.clone());
    }
    if prefixed.len() > 1 {
        return Err(StoreError::Ambiguous {
            wanted: format!("{selector:?} begins more than one id"),
            candidates: ids(&prefixed),
        });
    }
    if !selector.is_empty() && Path::new(selector).is_dir() {
        return Folder::open(Path::new(selector));
    }
    let known =
        if all.is_empty() { "there are none".into() } else { format!("there are {}", error::listed(&ids(all))) };
    Err(StoreError::NoSuchSession(format!(
        "no session has the id, the beginning of an id, the job name or the path {selector:?}; {known}"
    )))
}

fn ids(folders: &[Folder]) -> Vec<String> {
    folders.iter().map(|folder| folder.id().to_owned()).collect()
}

/// Newest first: by the second that their ids say, and within that by when the folders were made.
fn folders(dir: &Path) -> Vec<Folder> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    // What is being removed has such a name.
    let hidden = |entry: &std::fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".");
    let shown = entries.flatten().filter(|entry| !hidden(entry));
    let mut found = shown.filter_map(|entry| Folder::open(&entry.path()).ok()).collect::<Vec<_>>();
    found.sort_by_cached_key(|folder| {
        let second = folder.id().get(..ID_SECOND).unwrap_or(folder.id()).to_owned();
        let made = folder.path().metadata().and_then(|folder| folder.created()).ok();
        std::cmp::Reverse((second, made, folder.id().to_owned()))
    });
    found
}

fn head(folder: &Folder) -> Result<Head, StoreError> {
    session_file::read(&folder.session_json())
}

fn listed(folder: &Folder) -> Listed {
    let mut row = Listed {
        id: folder.id().to_owned(),
        name: String::new(),
        backend: String::new(),
        host: String::new(),
        created: Micros::default(),
        running: folder.is_running(),
        phase: SessionPhase::default(),
        ended: None,
        counts: BTreeMap::new(),
        folder: folder.path().to_owned(),
        damaged: None,
    };
    match head(folder) {
        Ok(head) => {
            row.created = head.created;
            row.host = head.host;
            row.name = head.job.name;
            row.backend = head.job.backend;
        }
        Err(error) => row.damaged = Some(error.to_string()),
    }
    // A session that came to its end has a checkpoint of it, and then neither its rows nor its journal are read.
    let state = match checkpoint::read_end(folder) {
        Some(state) => Ok(state),
        None => recovery::recover(folder).map(|recovered| recovered.state),
    };
    match state {
        Ok(state) => {
            row.phase = state.phase;
            row.ended = state.ended;
            row.counts = state.counts;
        }
        Err(error) => row.damaged = row.damaged.or(Some(error.to_string())),
    }
    row
}
