//! Lengths of time as people write them: `"1h 2m"`, `"90s"`, `"500ms"`, or a number of seconds.

use std::time::Duration;

/// Nothing in a job waits longer: ten years. It keeps sums of times far from overflow.
const MOST: Duration = Duration::from_hours(24 * 3653);

/// Reads `1d 2h 3m 4.5s 6ms`, with or without blanks; a bare number is seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("{} is no duration: write it like \"1h 2m\", \"90s\" or \"500ms\"", super::source::quoted(text));
    let mut rest = text.trim();
    if let Ok(seconds) = rest.parse::<f64>() {
        return of_seconds(seconds);
    }
    let mut total = 0.0;
    let mut parts = 0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?);
        let after = after.trim_start();
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len()));
        let seconds = match unit {
            "ms" => 0.001,
            "s" | "sec" | "second" | "seconds" => 1.0,
            "m" | "min" | "minute" | "minutes" => 60.0,
            "h" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86400.0,
            _ => return Err(wrong()),
        };
        total += number.parse::<f64>().map_err(|_| wrong())? * seconds;
        parts += 1;
        rest = after.trim_start();
    }
    if parts == 0 { Err(wrong()) } else { of_seconds(total) }
}

/// A number of seconds, if it is one that can be waited.
pub(crate) fn of_seconds(seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|length| *length <= MOST)
        .ok_or_else(|| format!("{seconds} seconds is no duration between 0 and ten years"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        let seconds = |text| parse(text).map(|length| length.as_secs_f64());
        assert_eq!(seconds("1h 2m"), Ok(3720.0));
        assert_eq!(seconds("1m30s"), Ok(90.0));
        assert_eq!(seconds(" 1.5 "), Ok(1.5));
        assert_eq!(seconds("2 days"), Ok(172_800.0));
        assert_eq!(seconds("500ms"), Ok(0.5));
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "x", "1", "-1s", "1x", "m", "1.2.3s", "nan", "inf", "-5", "1e300", "99999999d", "1h2"] {
            assert_eq!(parse(text).is_err(), text != "1", "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(text in ".*") {
            let _ = parse(&text);
        }
    }
}
