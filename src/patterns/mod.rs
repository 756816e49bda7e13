//! Patterns: what is looked for in the child's output, and what was found.
//!
//! ```text
//! regex     regexes of patterns: read, checked, bounded
//! literals  what a line must contain for a regex to match in it
//! set       many patterns, compiled
//! sieve     which lines each of them may match in
//! escapes   escape sequences, which come between nobody's letters
//! lines     whole lines out of reads
//! echo      repeated commands, which are not looked at
//! reading   what a match means
//! gather    what was found, by command: the first of each, the last of each, and how many more
//! matching  all of it: bytes in, findings out; the same for a live child and for a recording
//! matcher   a thread that matches while the child runs
//! trial     patterns tried on a recorded session
//! ```
//!
//! What must stay true: a pattern sees one whole line of one stream, without its escape sequences, and nothing else; what
//! is found does not depend on how the bytes were read; a line belongs to the command that ran when it was printed, and
//! ends where its output ends; every regex is matched in linear time; memory is bounded whatever the child prints.

mod echo;
mod escapes;
mod gather;
mod lines;
mod literals;
pub mod matcher;
pub mod matching;
pub mod reading;
pub mod regex;
mod set;
mod sieve;
#[cfg(test)]
mod tests;
pub mod trial;

pub use echo::echo_of;
pub use gather::Findings;
pub use matcher::{Matcher, Tap};
pub use matching::Matching;
pub use reading::{Hit, Progress, Reading};
pub use regex::{Wrong, check};
pub use set::Set;
pub use trial::Trial;
