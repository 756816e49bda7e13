//! What each pane remembers. A pane holds a window of the session's data and never more.

pub(super) mod detail;
pub(super) mod edit;
pub(super) mod fetch;
pub(super) mod hot;
pub(super) mod list;
pub(super) mod log;
pub(super) mod names;
pub(super) mod output;
pub(super) mod prompt;
pub(super) mod record;
pub(super) mod timeouts;
pub(super) mod usage;
mod why;
