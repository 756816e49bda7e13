//! `session.json`: what a session is, apart from what happened to it. Written when a session is made, when an engine
//! takes it up and when its child says hello; replaced as a whole, so that a reader never sees half of one.

use super::error::{StoreError, failed};
use super::{clock, folder, regular};
use crate::model::{Generation, Job, Micros};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The format of session folders that this version writes and reads.
pub const FORMAT: u32 = 1;
/// The longest `session.json` that is read, in bytes: a job of a million named items fits.
const LIMIT: u64 = 1 << 30;

/// What a session is. Unknown fields are skipped when read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionFile {
    /// [`FORMAT`].
    pub format: u32,
    /// The folder's name.
    pub id: String,
    /// Wall time of its making.
    pub created: Micros,
    /// The host that it was made on, and runs on.
    pub host: String,
    /// The owner's name.
    pub user: String,
    /// The owner.
    pub uid: u32,
    /// What made it.
    pub versions: Versions,
    /// The engine that took it up last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineFile>,
    /// The last child that said hello to that engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<ChildFile>,
    /// The backend's recipe as it was when the session was made, so that a resumed session needs no other file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe_text: Option<String>,
    /// The file that it was read from; `None` for one in the binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe_file: Option<PathBuf>,
    /// The whole job, checked and complete.
    pub job: Job,
}

/// Which versions had to do with a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Versions {
    /// The childminder that made it.
    pub childminder: String,
}

/// An engine and where it can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineFile {
    /// Its pid.
    pub pid: u32,
    /// Its start time in clock ticks since boot, which with pid and boot names it for good.
    pub start_time: u64,
    /// The socket that it listens on.
    pub socket: PathBuf,
    /// The socket for a group of watchers, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchers: Option<PathBuf>,
    /// `/proc/sys/kernel/random/boot_id` when it started.
    pub boot_id: String,
}

/// A child, and what runs in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildFile {
    /// The how-many-eth child of the session.
    pub generation: Generation,
    /// The spawned process.
    pub pid: u32,
    /// Its start time in clock ticks since boot.
    pub start_time: u64,
    /// The interpreter's process: another one where a launcher stands between.
    pub interpreter_pid: u32,
    /// Python's implementation and version.
    pub python: String,
    /// The application's name and version.
    pub application: String,
}

impl SessionFile {
    /// A new session's, made now, here, by us; no engine yet.
    pub fn new(job: Job, recipe_text: Option<String>) -> Self {
        let uid = nix::unistd::getuid();
        let user = nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
        Self {
            format: FORMAT,
            id: folder::new_id(&job.name),
            created: clock::wall(),
            host: nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            user,
            uid: uid.as_raw(),
            versions: Versions { childminder: env!("CARGO_PKG_VERSION").into() },
            engine: None,
            child: None,
            recipe_text,
            recipe_file: None,
            job,
        }
    }
}

/// The little of `session.json` that a listing shows; a big agenda is skipped without being kept.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub(super) created: Micros,
    #[serde(default)]
    pub(super) host: String,
    pub(super) job: JobHead,
}

/// The little of a job that a listing shows.
#[derive(Debug, Deserialize)]
pub(super) struct JobHead {
    pub(super) name: String,
    pub(super) backend: String,
}

#[derive(Deserialize)]
struct Format {
    format: u64,
}

/// Reads a `session.json`, or a part of it.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let folder = path.parent().unwrap_or(path);
    let broken = |why: String| StoreError::NotASession { path: folder.to_owned(), why };
    let mut text = Vec::new();
    let file = regular::open(path).map_err(failed("read", path))?;
    file.take(LIMIT + 1).read_to_end(&mut text).map_err(failed("read", path))?;
    if text.len() as u64 > LIMIT {
        return Err(broken(format!("its session.json is over {LIMIT} bytes")));
    }
    let wrong = |error: serde_json::Error| broken(format!("its session.json is damaged: {error}"));
    let Format { format } = serde_json::from_slice(&text).map_err(wrong)?;
    if format != u64::from(FORMAT) {
        return Err(StoreError::OtherFormat { path: folder.to_owned(), found: format, ours: FORMAT });
    }
    serde_json::from_slice(&text).map_err(wrong)
}

/// Replaces a file by this content: readers see the old one or the new one, also after a crash.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let draft = path.with_file_name(name);
    let written = write_new(&draft, content).and_then(|()| fs::rename(&draft, path).map_err(failed("write", path)));
    if written.is_err() {
        // What is left of the draft helps nobody; that it cannot be removed changes nothing.
        let _ = fs::remove_file(&draft);
    }
    written
}

fn write_new(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = regular::open_with(&mut options, path).map_err(failed("create", path))?;
    file.write_all(content).map_err(failed("write", path))?;
    file.sync_data().map_err(failed("write", path))
}
