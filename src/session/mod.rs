//! The session: the one actor that changes state.
//!
//! What must stay true: every change is journalled before it is acted on or told to anybody; no client can delay the
//! actor (they ask through a bounded queue and only they wait when it is full); no item is begun while the child is not
//! there; every wait has an end and is listed in the summary.

pub mod feed;
pub mod handle;

pub use feed::{Feed, FeedCursor};
pub use handle::{Handle, Inspect, Message};
