//! A session's folder: where its files are, who holds it.
//!
//! What must stay true: one engine at a time, by an `flock` that the kernel takes back when the engine dies; asking
//! whether one holds it writes nothing; names of sessions are safe in any path and on any command line.

use super::error::{StoreError, failed};
use super::regular;
use super::session_file::{self, SessionFile};
use crate::model::Stream;
use etcetera::BaseStrategy;
use jiff::Timestamp;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Names the folder of all data, instead of `childminder` in the XDG data home.
pub const DATA_DIR_VARIABLE: &str = "CHILDMINDER_DATA_DIR";
/// The most characters of a job's name that go into an id.
const NAME_LENGTH: usize = 40;

/// Where sessions are kept, made if it was not there: `sessions` in `$CHILDMINDER_DATA_DIR`, else in `childminder` in
/// the XDG data home.
pub fn sessions_dir() -> Result<PathBuf, StoreError> {
    let dir = sessions_path()?;
    DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed("create", &dir))?;
    Ok(dir)
}

/// The same place, whether it is there or not.
pub(super) fn sessions_path() -> Result<PathBuf, StoreError> {
    let data = match std::env::var_os(DATA_DIR_VARIABLE).filter(|value| !value.is_empty()) {
        Some(dir) => std::path::absolute(&dir).map_err(failed("find", Path::new(&dir)))?,
        None => etcetera::choose_base_strategy()
            .map_err(|error| {
                StoreError::NoSuchSession(format!(
                    "there is no home folder to keep sessions in ({error}); set {DATA_DIR_VARIABLE}"
                ))
            })?
            .data_dir()
            .join("childminder"),
    };
    Ok(data.join("sessions"))
}

/// A new session's id, `20261123-205639-demo-3f2a`: UTC, so that ids sort by age; then the job's name, in characters
/// that are safe everywhere; then something random.
pub fn new_id(name: &str) -> String {
    let time = Timestamp::now().strftime("%Y%m%d-%H%M%S");
    let safe = |character: char| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' };
    let words = name.chars().map(safe).collect::<String>();
    let mut short = String::new();
    for word in words.split('-').filter(|word| !word.is_empty()) {
        if short.len() + word.len() >= NAME_LENGTH {
            if short.is_empty() {
                short.extend(word.chars().take(NAME_LENGTH).chain(['-']));
            }
            break;
        }
        short.push_str(word);
        short.push('-');
    }
    format!("{time}-{short}{:04x}", random())
}

fn random() -> u16 {
    let mut bytes = [0; 2];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u16::from_ne_bytes(bytes),
        // A folder that exists is never taken over, so a poor number costs a refusal at worst.
        Err(_) => u16::try_from(Timestamp::now().as_nanosecond().rem_euclid(0x1_0000)).unwrap_or_default(),
    }
}

/// One session's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
    id: String,
}

/// An engine's hold on a folder, until it is dropped or the engine dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Folder {
    /// Makes the folder, named by the session's id, in this directory, and writes its `session.json`.
    pub fn create(dir: &Path, session: &SessionFile) -> Result<Self, StoreError> {
        let path = dir.join(&session.id);
        DirBuilder::new().mode(0o700).create(&path).map_err(failed("create", &path))?;
        let folder = Self { path, id: session.id.clone() };
        folder.write_session(session)?;
        Ok(folder)
    }

    /// The folder at this absolute path, whatever it holds so far.
    pub(super) fn at(path: PathBuf) -> Self {
        Self { id: path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path }
    }

    /// The folder at this path, which must hold a `session.json` (looked at only when it is read).
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let path = std::path::absolute(path).map_err(failed("open", path))?;
        let folder = Self::at(path);
        match folder.session_json().metadata() {
            Ok(file) if file.is_file() => Ok(folder),
            Ok(_) => Err(folder.broken("its session.json is not a file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(folder.broken("it has no session.json")),
            Err(error) => Err(failed("open", &folder.path)(error)),
        }
    }

    fn broken(&self, why: &str) -> StoreError {
        StoreError::NotASession { path: self.path.clone(), why: why.into() }
    }

    /// Takes hold of the folder, for as long as the answer lives.
    pub fn lock(&self) -> Result<Lock, StoreError> {
        // Somebody who asks `is_running` holds a shared lock for some microseconds; an engine holds its own for good.
        const TRIES: u32 = 10;
        const BETWEEN: Duration = Duration::from_millis(5);
        let path = self.lock_file();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = regular::open_with(&mut options, &path).map_err(failed("lock", &path))?;
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN),
                Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
            }
        }
        Err(StoreError::Running { id: self.id.clone(), path: self.path.clone() })
    }

    /// Whether an engine holds the folder. Writes nothing; a folder whose lock cannot be looked at is not held.
    pub fn is_running(&self) -> bool {
        regular::open(&self.lock_file())
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// The session's id: the folder's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder itself, an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The session's `session.json`.
    pub fn read_session(&self) -> Result<SessionFile, StoreError> {
        session_file::read(&self.session_json())
    }

    /// Replaces `session.json`. Only for whoever holds the lock, or has just made the folder.
    pub fn write_session(&self, session: &SessionFile) -> Result<(), StoreError> {
        let path = self.session_json();
        let mut text = serde_json::to_vec_pretty(session).map_err(|error| failed("write", &path)(error.into()))?;
        text.push(b'\n');
        session_file::replace(&path, &text)
    }

    /// What the session is.
    pub fn session_json(&self) -> PathBuf {
        self.path.join("session.json")
    }

    /// The journal: one event a line.
    pub fn journal(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// The child's bytes of one stream, exactly.
    pub fn output(&self, stream: Stream) -> PathBuf {
        self.path.join(match stream {
            Stream::Stdout => "stdout.log",
            Stream::Stderr => "stderr.log",
        })
    }

    /// The engine's own traces.
    pub fn engine_log(&self) -> PathBuf {
        self.path.join("engine.log")
    }

    /// What the child's process tree used: one point a line.
    pub fn usage(&self) -> PathBuf {
        self.path.join("usage.jsonl")
    }

    /// Which bytes of output were read when, and for which command.
    pub fn output_index(&self) -> PathBuf {
        self.path.join("output.idx")
    }

    /// How many lines each 64 KiB of a stream's log end.
    pub fn line_index(&self, stream: Stream) -> PathBuf {
        self.path.join(match stream {
            Stream::Stdout => "stdout.lines.idx",
            Stream::Stderr => "stderr.lines.idx",
        })
    }

    /// The last checkpoint of the state, without its rows.
    pub(super) fn state_checkpoint(&self) -> PathBuf {
        self.path.join("state.ckpt")
    }

    /// Changed rows of the agenda, up to the last checkpoint.
    pub(super) fn item_rows(&self) -> PathBuf {
        self.path.join("items.ckpt")
    }

    /// Changed rows of the commands, up to the last checkpoint.
    pub(super) fn command_rows(&self) -> PathBuf {
        self.path.join("commands.ckpt")
    }

    fn lock_file(&self) -> PathBuf {
        self.path.join("lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_safe_and_sort_by_age() {
        let id = new_id("../Shot 010; rm -rf ~/ \u{202e}\n");
        let (time, rest) = id.split_at(16);
        assert!(time.ends_with('-') && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'), "{id}");
        assert!(rest.starts_with("shot-010-rm-rf-"), "{id}");
        assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'), "{id}");
        assert!(new_id(&"x".repeat(4000)).len() < 80);
        assert!(new_id("").len() >= 20);
    }
}
