//! Places, times and amounts as the sentences say them.

use crate::model::Micros;
use crate::model::diagnosis::{Place, SessionEvidence};

/// `render.py:88 in advance`: the file's name alone, since a sentence is read at a glance; the evidence has it all.
pub(super) fn at(place: &Place) -> String {
    let file = place.file.rsplit('/').next().unwrap_or_default();
    match place.function.as_str() {
        _ if file.is_empty() => "an unknown line".to_owned(),
        "" | "<module>" => format!("{file}:{}", place.line),
        function => format!("{file}:{} in {function}", place.line),
    }
}

/// ` called at render.py:88 in advance`, or nothing where the line is not known.
pub(super) fn after(word: &str, place: &Place) -> String {
    if place.file.is_empty() { String::new() } else { format!(" {word} {}", at(place)) }
}

/// `a Lock`, `an Event`.
pub(super) fn one(what: &str) -> String {
    let vowel = what.starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O']) || what.starts_with("RL");
    format!("{} {what}", if vowel { "an" } else { "a" })
}

/// `38 min`, `40 s`, `250 ms`.
pub(super) fn length(length: Micros) -> String {
    let milliseconds = length.0 / 1000;
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// `, for 38 min` of a running command.
pub(super) fn so_long(session: &SessionEvidence) -> String {
    session.command_since.map_or_else(String::new, |since| format!(", for {}", length(session.at.since(since))))
}

/// ` Such items take about 40 s.`, when this one has taken clearly longer, or it is good to know that it has not.
pub(super) fn compared(session: &SessionEvidence) -> String {
    let (Some(typical), Some(since)) = (session.typical, session.item_since) else { return String::new() };
    let so_far = session.at.since(since);
    if so_far.0 > typical.0 / 2 { format!(" Such items take about {}.", length(typical)) } else { String::new() }
}

/// `612 %`.
pub(super) fn percent(value: f64) -> String {
    format!("{value:.0} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_people_say_them() {
        for (seconds, said) in
            [(0.25, "250 ms"), (40.0, "40 s"), (119.0, "119 s"), (2280.0, "38 min"), (9000.0, "2 h 30 min")]
        {
            assert_eq!(length(std::time::Duration::from_secs_f64(seconds).into()), said);
        }
    }

    #[test]
    fn kinds_have_their_articles() {
        for (what, said) in [("Lock", "a Lock"), ("Event", "an Event"), ("RLock", "an RLock"), ("Queue", "a Queue")] {
            assert_eq!(one(what), said);
        }
    }

    #[test]
    fn a_place_is_short() {
        let place = Place { file: "/shows/a/render.py".into(), line: 88, function: "advance".into() };
        assert_eq!(at(&place), "render.py:88 in advance");
        assert_eq!(at(&Place { file: "<command 3>".into(), line: 2, function: "<module>".into() }), "<command 3>:2");
        assert_eq!(at(&Place::default()), "an unknown line");
    }
}
