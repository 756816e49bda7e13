//! A session's folder: plain files that a person can read without us.
//!
//! ```text
//! session.json                     what the session is
//! events.jsonl                     the journal: one event a line; the state is their fold
//! stdout.log stderr.log            the child's bytes, exactly; what could not be kept is a hole
//! usage.jsonl                      what the child's process tree used: one point a line
//! engine.log                       the engine's own traces
//! *.idx *.ckpt                     made for speed; rebuilt from the files above when missing, short or wrong
//! lock                             held by the engine while it lives
//! ```
//!
//! What must stay true: what was recorded stays recorded; readers never write and work on a folder that they cannot
//! write to; memory is bounded whatever the files hold; nothing in the files is trusted, and what is damaged is told
//! in a sentence while the rest stays readable; capturing output never stops for a disk that is full or broken.

pub mod checkpoint;
pub mod clock;
pub mod error;
pub mod find;
pub mod folder;
mod index;
pub mod journal;
pub mod journal_reader;
mod lines;
mod missing;
pub mod output;
pub mod pack;
pub mod pages;
mod paging;
pub mod places;
pub mod recovery;
pub mod regular;
pub mod retention;
mod rows_file;
pub mod safe;
mod scope;
pub mod search;
pub mod session_file;
pub mod traces;
pub mod unpack;
pub mod usage;
mod view;

#[cfg(test)]
mod history_tests;
#[cfg(test)]
mod pack_tests;
#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod search_tests;

pub use checkpoint::Checkpointer;
pub use error::StoreError;
pub use find::{Listed, Purpose, find, list};
pub use folder::{Folder, Lock, new_id, sessions_dir};
pub use journal::{Journal, Recorded};
pub use journal_reader::JournalReader;
pub use output::{Loss, Losses, Output, OutputWriter};
pub use pack::{Packed, pack};
pub use pages::{Heard, OutputReader};
pub use places::{Places, Resolve, Slice};
pub use recovery::{Base, BaseFile, Recovered, base_before, recover};
pub use retention::{Doing, Limits, Removed, remove, sweep};
pub use safe::{escape_json, is_hostile, make_safe, plain_safe};
pub use search::{Asker, Memory, Wish};
pub use session_file::{ChildFile, EngineFile, SessionFile};
pub use unpack::{Unpacked, cache_dir};
pub use usage::{UsageReader, UsageWriter};
