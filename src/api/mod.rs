//! How the engine and its clients talk: the socket's server, and the client. What travels is
//! [`model::proto`](crate::model::proto).
//!
//! What must stay true: a client can neither delay the engine nor make it hold memory; writes are refused here for
//! read-only clients, not by the client's good manners; answers are windows of data, never rendered cells.

pub mod about;
mod answers;
mod asking;
pub mod client;
mod connection;
pub mod error;
mod frames;
pub mod listener;
pub mod live;
mod once;
pub mod pages;
pub mod recorded;
pub mod replay;
pub mod server;
pub mod socket;
mod subscription;
mod vanishing;
pub mod view;
pub mod words;

pub use client::{Client, Welcome};
pub use error::ApiError;
pub use listener::{Bound, Watchers};
pub use live::Live;
pub use pages::{Pages, Sources};
pub use replay::Replay;
pub use server::Server;
pub use view::{Link, SessionView};
