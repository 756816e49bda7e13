//! Where work comes from, and where it is reported to.
//!
//! What must stay true: a source is asked for work only while a living child is idle, the agenda is not held and nobody
//! asked to stop; it is told of every status that an item gets. A source does no waiting of its own: it says
//! [`Work::Waiting`] and is asked again after the job's `waiting` time (Qube's `QB_WAITING_TIMEOUT`).

mod stored;

pub use stored::StoredAgenda;

use crate::model::{ItemIndex, ItemStatus, State};

/// What a source answers when it is asked for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Run this item.
    Item(ItemIndex),
    /// Something will come, but not now. The item that it waits for is shown as *waiting*, if it is known.
    Waiting(Option<ItemIndex>),
    /// Nothing is left, and nothing will come.
    Exhausted,
}

/// A source of agenda items.
pub trait AgendaSource: Send {
    /// The next item to run. Asked at most once between two items, and not at all before one that an operator wants next.
    fn request_work(&mut self, state: &State) -> Work;

    /// An item has got a status: it was begun, in or out of its order, or has ended, or an operator gave it one.
    fn report_work(&mut self, item: ItemIndex, status: ItemStatus);
}
