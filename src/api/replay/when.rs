//! Places in a recording as people write them.

use super::playback::{Extent, Goal};
use crate::model::{Micros, Seq};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// What a text means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// A place.
    Goal(Goal),
    /// The beginning of the item of this name.
    Item(String),
}

impl When {
    /// Reads `start`, `end`, `14:05:09`, `+10m`, `-5s`, `50%`, `#1234` (an event's number), or an item's name, with or
    /// without `item ` before it. A time of day is the first such time in the recording; `now` is what + and - count from.
    pub fn parse(text: &str, extent: &Extent, now: Micros, zone: &TimeZone) -> Result<Self, String> {
        let text = text.trim();
        let goal = match text {
            "" => return Err("say where: 14:05:09, +10m, 50%, #1234, start, end or an item's name".to_owned()),
            "start" => Goal::Start,
            "end" => Goal::End,
            _ => {
                if let Some(name) = text.strip_prefix("item ") {
                    return Ok(Self::Item(name.trim().to_owned()));
                }
                match place(text, extent, now, zone)? {
                    Some(goal) => goal,
                    None => return Ok(Self::Item(text.to_owned())),
                }
            }
        };
        Ok(Self::Goal(goal))
    }
}

/// `None` for what is no place in time.
fn place(text: &str, extent: &Extent, now: Micros, zone: &TimeZone) -> Result<Option<Goal>, String> {
    if let Some(number) = text.strip_prefix('#') {
        let number = number.parse().map_err(|_| format!("{text} is no event's number, as #1234 is"))?;
        return Ok(Some(Goal::Event(Seq(number))));
    }
    if let Some(part) = text.strip_suffix('%').and_then(|part| part.trim().parse::<f64>().ok()) {
        if !(0.0..=100.0).contains(&part) {
            return Err(format!("{text} is not between 0% and 100%"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was just looked at")]
        return Ok(Some(Goal::Time(extent.after((part * 10.0).round() as u64))));
    }
    if let Some((sign, length)) = text.split_at_checked(1).filter(|(sign, _)| matches!(*sign, "+" | "-")) {
        let length: SignedDuration =
            length.parse().map_err(|_| format!("{text} is no length of time, as +10m and -1h30m are"))?;
        let length = u64::try_from(length.as_micros()).map_err(|_| format!("{text} is too long"))?;
        let to = if sign == "+" { now.0.saturating_add(length) } else { now.0.saturating_sub(length) };
        return Ok(Some(Goal::Time(Micros(to))));
    }
    let Ok(time) = text.parse::<Time>() else { return Ok(None) };
    Ok(Some(Goal::Time(first_at(time, extent, zone).ok_or_else(|| format!("the recording has no {text}"))?)))
}

/// The first moment of the recording at which clocks showed this time.
fn first_at(time: Time, extent: &Extent, zone: &TimeZone) -> Option<Micros> {
    let first = Timestamp::from_microsecond(i64::try_from(extent.first.0).ok()?).ok()?.to_zoned(zone.clone());
    // Typed to the second, it means all of that second.
    [first.date(), first.date().tomorrow().ok()?].into_iter().find_map(|date| {
        let moment = date.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp().as_microsecond();
        let moment = Micros(u64::try_from(moment).ok()?);
        (moment.0.saturating_add(999_999) >= extent.first.0 && moment <= extent.last)
            .then_some(moment.max(extent.first))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-23 21:00:00 UTC, and four hours on.
    const EXTENT: Extent =
        Extent { first: Micros(1_795_467_600_000_000), last: Micros(1_795_482_000_000_000), seq: Seq(9) };

    fn parse(text: &str) -> Result<When, String> {
        When::parse(text, &EXTENT, Micros(EXTENT.first.0 + 60_000_000), &TimeZone::UTC)
    }

    fn after(seconds: u64) -> When {
        When::Goal(Goal::Time(Micros(EXTENT.first.0 + seconds * 1_000_000)))
    }

    #[test]
    fn places_are_read_as_people_write_them() {
        assert_eq!(parse("21:05:09").as_ref(), Ok(&after(309)));
        assert_eq!(parse("21:05").as_ref(), Ok(&after(300)));
        // The day after.
        assert_eq!(parse("00:30:00").as_ref(), Ok(&after(12_600)));
        assert_eq!(parse("+10m").as_ref(), Ok(&after(660)));
        assert_eq!(parse("-5s").as_ref(), Ok(&after(55)));
        assert_eq!(parse("50%").as_ref(), Ok(&after(7200)));
        assert_eq!(parse("#12"), Ok(When::Goal(Goal::Event(Seq(12)))));
        assert_eq!(parse(" end "), Ok(When::Goal(Goal::End)));
        assert_eq!(parse("frame_09"), Ok(When::Item("frame_09".into())));
        assert_eq!(parse("item end"), Ok(When::Item("end".into())));
        for wrong in ["", "12:00:00", "101%", "#x", "+x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_means_something_or_is_refused(text in "\\PC{0,12}", first: u64, last: u64, now: u64) {
            let extent = Extent { first: Micros(first), last: Micros(last), seq: Seq(1) };
            let _ = When::parse(&text, &extent, Micros(now), &TimeZone::UTC);
        }
    }
}
