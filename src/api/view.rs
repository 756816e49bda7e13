//! What a window needs of a session, live or replayed: answers to requests, the newest pulse, and the way through time
//! where there is one.
//!
//! Windows depend on this trait only, so that whatever implements it (a live engine behind a socket, a recorded
//! session) is shown by the same code.

use super::ApiError;
use super::replay::{Playback, Steer};
use crate::model::Micros;
use crate::model::proto::{Request, Response, Summary};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

/// A session as a window sees it.
pub trait SessionView: Send + Sync {
    /// Asks; the future may be awaited on any runtime, and dropping it only stops the waiting.
    ///
    /// While the connection is being made again the request waits for it, for a bounded time. A write that is sent
    /// again carries the id of its first try, so that it is done once.
    fn ask(&self, request: Request) -> BoxFuture<'static, Result<Response, ApiError>>;

    /// The link and with it the newest pulse; older ones are forgotten, so a slow window costs nothing.
    fn pulses(&self) -> watch::Receiver<Link>;

    /// Moves through time. Returns at once: what becomes of it is told by [`SessionView::pulses`]. A live session knows
    /// no time but now.
    fn steer(&self, _steer: Steer) {}
}

/// How a window stands to its session.
#[derive(Debug, Clone, PartialEq)]
pub enum Link {
    /// For the first time.
    Connecting {
        /// Wall time since when it is tried.
        since: Micros,
    },
    /// Connected; the newest pulse.
    Live(Box<Summary>),
    /// No engine: a recording, as of the time that is looked at.
    Recorded(Box<Playback>),
    /// The connection is gone though the engine is alive; it is being made again.
    Lost {
        /// Why, for people.
        reason: String,
        /// Wall time since when.
        since: Micros,
    },
    /// The engine is gone and nothing will come any more.
    Over {
        /// The last pulse; its `ended` says how the session ended, or is `None` when the engine died.
        last: Option<Box<Summary>>,
        /// Why nothing more comes, for people.
        reason: String,
        /// Wall time since when.
        since: Micros,
    },
}

impl Link {
    /// The newest pulse, where there is one.
    pub fn summary(&self) -> Option<&Summary> {
        match self {
            Self::Live(summary) => Some(summary),
            Self::Recorded(playback) => Some(&playback.summary),
            Self::Over { last, .. } => last.as_deref(),
            Self::Connecting { .. } | Self::Lost { .. } => None,
        }
    }
}
