//! Where the server reads what it does not hold in memory: the session's folder.

use crate::model::proto::{OutputAt, OutputPage, OutputQuery, Refusal, RefusalKind, TracePage};
use crate::model::{Event, ItemSpec, Marks, Micros, SearchQuery, Searched, Seq, UsagePoint};
use crate::store::{Asker, Places};
use std::sync::Arc;

/// Reads of a session's files. They block, so the server calls them off its thread.
pub trait Pages: Send + Sync + 'static {
    /// The event whose line stands at this byte of the journal.
    fn event_at(&self, offset: u64) -> Result<Event, Refusal>;

    /// Events after `after`, in order and without gaps, at most `most` of them; `hint` is what the call before gave.
    fn events_after(&self, after: Seq, hint: Option<u64>, most: usize) -> Result<Journalled, Refusal>;

    /// A page of output that fits into a frame; `places` are what the state has to say about the query. With a pattern
    /// its cost is bounded, and asking again goes on.
    fn output(&self, asker: &Asker, query: &OutputQuery, places: &Places) -> Result<OutputPage, Refusal>;

    /// The nearest line that matches, and how many do; its cost is bounded, and asking again goes on.
    fn search(&self, asker: &Asker, query: &SearchQuery, places: &Places) -> Result<Searched, Refusal>;

    /// Where both streams stand at a place of the output; `None`: there is no such place.
    fn marks(&self, at: OutputAt, places: &Places) -> Result<Option<Marks>, Refusal>;

    /// Lines of the engine's log, made safe.
    fn traces(&self, from: Option<u64>, limit: u32) -> Result<TracePage, Refusal>;

    /// What the process tree used from one wall time up to another; of more points than `most` each stands for a stretch.
    fn usage(&self, from: Micros, to: Micros, most: u32) -> Result<Vec<UsagePoint>, Refusal>;

    /// What `session.json` holds, as far as clients may know it.
    fn info(&self) -> Result<serde_json::Value, Refusal>;
}

/// Events read from the journal.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Journalled {
    /// In order; none when the journal has no more.
    pub events: Vec<Event>,
    /// Byte offset after the last one read, to go on from.
    pub next: u64,
}

/// Gives an item's commands with its values filled in, or says why it cannot.
pub type Expand = dyn Fn(&ItemSpec) -> Result<Vec<String>, String> + Send + Sync;

/// What the server reads from.
#[derive(Clone)]
pub struct Sources {
    /// The session's id.
    pub session: String,
    /// Its files.
    pub pages: Arc<dyn Pages>,
    /// An item's commands with its values filled in.
    pub expand: Arc<Expand>,
}

/// A refusal that names a file's trouble.
pub(super) fn failed(message: impl Into<String>) -> Refusal {
    Refusal { kind: RefusalKind::Failed, message: message.into() }
}

/// A refusal because there is no such thing.
pub(super) fn not_found(message: impl Into<String>) -> Refusal {
    Refusal { kind: RefusalKind::NotFound, message: message.into() }
}
