//! Points in time as people write them.

use crate::job::duration;
use crate::model::Micros;
use jiff::civil::Time;
use jiff::{Timestamp, Zoned};

/// Reads `10m` (ago), `14:05` or `14:05:09` (today), or `2026-11-23T14:05:09Z`.
pub(super) fn parse(text: &str) -> Result<Micros, String> {
    at(text, &Zoned::now())
}

fn at(text: &str, now: &Zoned) -> Result<Micros, String> {
    let wrong = || format!("{text} is no time: write it like 10m or 2h (ago), 14:05 (today) or 2026-11-23T14:05:09Z");
    let point = if let Ok(point) = text.parse::<Timestamp>() {
        point
    } else if text.contains(':') {
        let time: Time = text.parse().map_err(|_| wrong())?;
        now.with().time(time).build().map_err(|_| wrong())?.timestamp()
    } else {
        let ago = duration::parse(text).map_err(|_| wrong())?;
        now.timestamp().checked_sub(ago).map_err(|_| wrong())?
    };
    // Before 1970 nothing was recorded.
    Ok(Micros(u64::try_from(point.as_microsecond()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_all_ways_people_write_them() {
        let now: Zoned = "2026-11-24T10:00:00+01:00[Europe/Paris]".parse().expect("a time");
        let at =
            |text| at(text, &now).map(|point| Timestamp::from_microsecond(point.0.cast_signed()).expect("in range"));
        let time = |text: &str| Ok(text.parse::<Timestamp>().expect("a time"));
        assert_eq!(at("10m"), time("2026-11-24T08:50:00Z"));
        assert_eq!(at("1h 30m"), time("2026-11-24T07:30:00Z"));
        assert_eq!(at("90"), time("2026-11-24T08:58:30Z"));
        assert_eq!(at("09:05"), time("2026-11-24T08:05:00Z"));
        assert_eq!(at("09:05:07"), time("2026-11-24T08:05:07Z"));
        assert_eq!(at("2026-11-23T14:05:09+02:00"), time("2026-11-23T12:05:09Z"));
        assert_eq!(at("1960-01-01T00:00:00Z"), time("1970-01-01T00:00:00Z"));
        for wrong in ["", "now", "25:00", "14:05:61", "-1h", "2026-11-23", "yesterday"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }
}
