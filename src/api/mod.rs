//! How the engine and its clients talk: the socket's server, and the client. What travels is
//! [`model::proto`](crate::model::proto).
//!
//! What must stay true: a client can neither delay the engine nor make it hold memory; writes are refused here for
//! read-only clients, not by the client's good manners; answers are windows of data, never rendered cells.

pub mod error;
pub mod view;

pub use error::ApiError;
pub use view::{Link, SessionView};
