//! What the child's process tree uses: one point a second while a command runs or somebody watches.

use super::{ItemIndex, Micros};
use serde::{Deserialize, Serialize};

/// What the tree used over one stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UsagePoint {
    /// Wall time of the stretch's end.
    pub wall: Micros,
    /// CPU in percent of one core.
    pub cpu: f64,
    /// Resident memory in bytes; what processes share is counted for each.
    pub memory: u64,
    /// Bytes read from storage a second.
    pub read: f64,
    /// Bytes written to storage a second.
    pub written: f64,
    /// Processes.
    pub processes: u32,
    /// Threads.
    pub threads: u32,
}

/// A history of it, with what ran meanwhile.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct UsageHistory {
    /// In order. Where a stretch is longer than a second: the means of rates, the most of memory and counts.
    pub points: Vec<UsagePoint>,
    /// Items that were begun in that time, with the wall times of their beginnings; of very many some are left out.
    pub items: Vec<(Micros, ItemIndex)>,
}
