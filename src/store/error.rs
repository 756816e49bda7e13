//! What can go wrong with a session's folder, in sentences for people.

use crate::model::BadPattern;
use std::io;
use std::path::{Path, PathBuf};

/// Something about a session's files.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// The verb: `read`, `write`, `create` …
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An engine holds the folder.
    #[error("session {id} is running: its engine holds {path}; attach to it, or stop it first")]
    Running {
        /// The session.
        id: String,
        /// Its folder.
        path: PathBuf,
    },
    /// Nothing fits what was asked for. Exit code 3.
    #[error("{0}")]
    NoSuchSession(String),
    /// More than one fits.
    #[error("{wanted}: {} sessions fit; name one of them: {}", .candidates.len(), listed(.candidates))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// The ids that fit, newest first.
        candidates: Vec<String>,
    },
    /// The folder is no session, or its `session.json` cannot be understood.
    #[error("{path} is not a readable session: {why}")]
    NotASession {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Something of that name is there, and was not to be replaced.
    #[error("{path} is there already: name another file, or replace it with --force")]
    Exists {
        /// What was to be written.
        path: PathBuf,
    },
    /// The file is no packed session, or cannot be unpacked here.
    #[error("{path} cannot be opened as a packed session: {why}")]
    NotAnArchive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another version of childminder made it.
    #[error(
        "{path} was written in session format {found}; this childminder ({version}) reads format {ours}: use the version that made it",
        version = env!("CARGO_PKG_VERSION")
    )]
    OtherFormat {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// Ours.
        ours: u32,
    },
    /// A line of the journal cannot be used.
    #[error("byte {at} of {path}: {why}")]
    Line {
        /// The journal.
        path: PathBuf,
        /// Where the line begins.
        at: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The output cannot be filtered or searched with this.
    #[error("this is no pattern: {0}")]
    Pattern(#[from] BadPattern),
    /// An event is too long to be journalled; trying again will not help.
    #[error("an event of {length} bytes is over the journal's limit of {limit} bytes a line and was not recorded")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

/// The first few candidates, for a sentence.
pub(super) fn listed(candidates: &[String]) -> String {
    const SHOWN: usize = 3;
    let text = candidates.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match candidates.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text} and {more} more (`childminder ls`)"),
    }
}

/// Makes the closure that turns an `io::Error` about this file into a sentence.
pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}
