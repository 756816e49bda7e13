//! `PyCmdDispatcher`: our end of the back channel to the `PyCmdExecutor` in the child.
//!
//! What must stay true: only whom we started may talk back, so each end proves the session's secret before anything else
//! is said; nothing that comes over the wire can make us hold more than [`channel::FRAME_LIMIT`] bytes; we always read,
//! also while a long command is still being written. The order of commands is not decided here but in `session`.

pub mod channel;
pub mod frames;
mod incoming;
pub mod listener;
pub mod proof;
pub mod qube;

pub use channel::{Channel, ChannelError};
pub use frames::{FromChild, ToChild, Welcome};
pub use listener::{Arrival, Awaited, BackChannel, Listener, Refusals, Steps};
pub use proof::Secret;
