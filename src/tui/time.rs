//! Wall times as people read them.

use crate::model::Micros;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Hours, minutes and seconds.
pub(super) fn clock(wall: Micros, zone: &TimeZone) -> String {
    format(wall, zone, "%H:%M:%S")
}

/// Hours, minutes, seconds and milliseconds.
pub(super) fn clock_millis(wall: Micros, zone: &TimeZone) -> String {
    format(wall, zone, "%H:%M:%S%.3f")
}

/// The day, too.
pub(super) fn day_and_clock(wall: Micros, zone: &TimeZone) -> String {
    format(wall, zone, "%Y-%m-%d %H:%M:%S")
}

/// The machine's own clock.
pub(super) fn now() -> Micros {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map(Micros::from).unwrap_or_default()
}

fn format(wall: Micros, zone: &TimeZone, how: &str) -> String {
    let micros = i64::try_from(wall.0).unwrap_or(i64::MAX);
    match Timestamp::from_microsecond(micros) {
        Ok(at) => at.to_zoned(zone.clone()).strftime(how).to_string(),
        Err(_) => "??:??:??".into(),
    }
}
