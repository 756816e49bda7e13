//! The two clocks of an event.

use crate::model::Micros;
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Wall time, microseconds since the Unix epoch.
pub fn wall() -> Micros {
    read(ClockId::CLOCK_REALTIME)
}

/// Microseconds since the machine's boot, time asleep included.
pub fn mono() -> Micros {
    read(ClockId::CLOCK_BOOTTIME)
}

/// Zero if the kernel knows no such clock, or says a time before its beginning.
fn read(clock: ClockId) -> Micros {
    clock_gettime(clock).map(|time| Micros::from(Duration::from(time))).unwrap_or_default()
}
