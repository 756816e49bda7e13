//! The session: the one actor that changes state.
//!
//! What must stay true: every change is journalled before it is acted on or told to anybody; no client can delay the
//! actor (they ask through a bounded queue and only they wait when it is full); no item is begun while the child is not
//! there; every wait has an end and is listed in the summary.
//!
//! [`Actor`] decides and records and does nothing else: whatever touches the outside goes through [`World`], so that the
//! same actor runs in the engine and, with a clock of its own, in tests.

mod actor;
mod advance;
mod breakpoints;
mod channel;
mod clocks;
mod control;
mod diagnosis;
mod driven;
mod edit;
pub mod engine;
pub mod feed;
mod finding;
pub mod handle;
mod ladder;
mod pause;
mod queue;
mod requests;
mod restart;
mod retries;
mod sending;
mod side;
mod stopwatch;
mod summary;
mod tells;
#[cfg(test)]
mod tests;
mod timeouts;
mod world;

pub use actor::{Actor, Label, Manners};
pub use feed::{Feed, FeedCursor};
pub use handle::{Handle, Inspect, Message};
pub use requests::Answer;
pub use summary::{head, summary_of};
pub use world::{Inquiry, Inspection, Now, Telemetry, World};
