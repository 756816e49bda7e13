//! Why a client did not get its answer.

use crate::model::proto::{Refusal, RefusalKind, VERSION};
use std::path::PathBuf;
use std::sync::Arc;

/// What can go wrong between a client and an engine.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// The engine said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody listens at the socket.
    #[error("no engine answers at {}: {source}; `childminder ls` shows which sessions run", path.display())]
    Connect {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// The engine turned the connection away.
    #[error("the engine refused the connection: {reason}")]
    TurnedAway {
        /// What it said.
        reason: String,
    },
    /// The other end speaks another version of the protocol.
    #[error(
        "the engine ({engine}) speaks version {theirs} of the protocol and this program version {VERSION}; \
         use the childminder that started the session"
    )]
    Version {
        /// The version of its protocol.
        theirs: u32,
        /// The engine's own version.
        engine: String,
    },
    /// The connection ended, or something came that is no frame of the protocol.
    #[error("the connection to the engine was lost: {reason}")]
    Lost {
        /// Why.
        reason: String,
    },
    /// The session is over; nobody is there to answer.
    #[error("the session is over: {reason}")]
    Over {
        /// Why.
        reason: String,
    },
    /// The request is longer than a frame may be.
    #[error("the request has {length} bytes, more than the {limit} that a frame may have")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The longest allowed.
        limit: usize,
    },
}

impl ApiError {
    /// The kind of refusal, when it is one.
    pub fn refusal(&self) -> Option<RefusalKind> {
        match self {
            Self::Refused(refusal) => Some(refusal.kind),
            _ => None,
        }
    }
}
