//! Exit codes, and how every kind of trouble gets its own.

use crate::api::ApiError;
use crate::job::record::RecordError;
use crate::model::proto::RefusalKind;
use crate::store::StoreError;
use std::io;

/// All went well; detached.
pub(super) const OK: u8 = 0;
/// An item failed, or an injected command raised.
pub(super) const FAILED: u8 = 1;
/// The command line or the job file is wrong.
pub(super) const USAGE: u8 = 2;
/// There is no such session.
pub(super) const NO_SESSION: u8 = 3;
/// The engine refused.
pub(super) const REFUSED: u8 = 4;
/// The child could not be started.
pub(super) const NOT_STARTED: u8 = 69;
/// The child was lost, or the engine with it.
pub(super) const LOST: u8 = 70;
/// The client's own time-out; it stopped waiting, nothing else.
pub(super) const TIMED_OUT: u8 = 124;

/// Why a subcommand failed: what people are told, and what scripts are.
#[derive(Debug)]
pub(super) struct Failure {
    /// The exit code.
    pub(super) code: u8,
    /// What happened, to what, and what to do; empty for nothing to be said.
    pub(super) message: String,
}

impl Failure {
    /// With this code and these words.
    pub(super) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::Running { .. } => REFUSED,
            StoreError::TooLong { .. } => FAILED,
            StoreError::Exists { .. } | StoreError::Pattern(_) => USAGE,
            StoreError::Io { .. }
            | StoreError::NoSuchSession(_)
            | StoreError::Ambiguous { .. }
            | StoreError::NotASession { .. }
            | StoreError::NotAnArchive { .. }
            | StoreError::OtherFormat { .. }
            | StoreError::Line { .. } => NO_SESSION,
        };
        Self::new(code, error.to_string())
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let code = match &error {
            ApiError::Refused(refusal) if refusal.kind == RefusalKind::Invalid => USAGE,
            ApiError::Refused(_) | ApiError::TurnedAway { .. } | ApiError::Version { .. } => REFUSED,
            ApiError::Connect { .. } => NO_SESSION,
            ApiError::Lost { .. } | ApiError::Over { .. } => LOST,
            ApiError::TooLong { .. } => USAGE,
        };
        Self::new(code, error.to_string())
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        let code = match error {
            RecordError::Job(_) => USAGE,
            RecordError::Command { .. } | RecordError::File(_) => FAILED,
        };
        Self::new(code, error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            // Whoever read our output has had enough.
            return Self::new(OK, "");
        }
        Self::new(FAILED, error.to_string())
    }
}
