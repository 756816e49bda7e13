//! A diagnosis in words: what people read of it, on every screen and in every pipe.
//!
//! What must stay true: each line is one line, and safe, whatever the child or a process of its called itself; it is data
//! for whoever shows it, with no colour and no width in it. Lines that belong to the one before are indented.

mod about;
mod python;
mod system;

pub use about::about;

use crate::model::diagnosis::{Confidence, SessionEvidence, Trigger};
use crate::model::size::length;
use crate::model::{Diagnosis, Micros, WaitFor};
use crate::store::plain_safe;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The most characters of one text of the child's.
const MOST: usize = 400;

/// A part of a diagnosis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The sentence first, then how far to believe it, and what can be done.
    Verdict,
    /// The Python stacks.
    Python,
    /// The system's view of the processes.
    System,
    /// What the session itself knows.
    Session,
    /// What could not be found out.
    Missing,
}

impl Part {
    /// What stands over it; nothing does over the verdict.
    pub fn title(self) -> &'static str {
        match self {
            Self::Verdict => "",
            Self::Python => "python",
            Self::System => "system",
            Self::Session => "session",
            Self::Missing => "missing",
        }
    }
}

/// Lines of one part; never none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Which.
    pub part: Part,
    /// In order; safe, and without newlines.
    pub lines: Vec<String>,
}

/// All of a diagnosis, part by part; a part of which nothing is known is left out. `now` is what "ago" counts from, as of
/// the clock that made the diagnosis.
pub fn diagnosis(diagnosis: &Diagnosis, now: Micros, zone: &TimeZone) -> Vec<Section> {
    let sections = [
        Section { part: Part::Verdict, lines: verdict(diagnosis) },
        Section { part: Part::Python, lines: python::lines(&diagnosis.stacks) },
        Section { part: Part::System, lines: system::lines(&diagnosis.processes, &diagnosis.memory) },
        Section { part: Part::Session, lines: session(diagnosis, now, zone) },
        Section { part: Part::Missing, lines: diagnosis.missing.iter().map(|text| safe(text)).collect() },
    ];
    sections.into_iter().filter(|section| !section.lines.is_empty()).collect()
}

/// How far a verdict can be believed, and why.
pub fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Guess => "a guess: something is missing, or the evidence does not agree",
        Confidence::Likely => "likely: one piece of evidence says so, and none says otherwise",
        Confidence::Sure => "sure: Python and the system say the same",
    }
}

/// Why a diagnosis was made.
pub fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Asked => "asked for",
        Trigger::TimedOut(WaitFor::Startup) => "made when the start-up time-out passed",
        Trigger::TimedOut(WaitFor::Command) => "made when the command time-out passed",
        Trigger::TimedOut(WaitFor::Item) => "made when the item time-out passed",
        Trigger::TimedOut(WaitFor::Silence) => "made when the silence time-out passed",
        Trigger::TimedOut(WaitFor::Teardown) => "made when the teardown time-out passed",
        Trigger::TimedOut(_) => "made when a time-out passed",
    }
}

/// Hours, minutes and seconds of a wall time.
pub fn clock(wall: Micros, zone: &TimeZone) -> String {
    let stamp = i64::try_from(wall.0).ok().and_then(|wall| Timestamp::from_microsecond(wall).ok()).unwrap_or_default();
    stamp.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}

fn verdict(diagnosis: &Diagnosis) -> Vec<String> {
    let verdict = &diagnosis.verdict;
    let mut lines = vec![safe(&verdict.sentence), confidence(verdict.confidence).to_owned()];
    lines.extend(verdict.advice.lines().map(safe));
    lines
}

fn session(diagnosis: &Diagnosis, now: Micros, zone: &TimeZone) -> Vec<String> {
    let told = &diagnosis.session;
    let at = told.at;
    let mut lines = vec![format!(
        "{} at {}, {} ago; that took {}",
        trigger(diagnosis.trigger),
        clock(at, zone),
        length(now.since(at)),
        length(diagnosis.took)
    )];
    // All that follows is as of the question: a saved diagnosis says what was so then.
    let since = |since: Option<Micros>| {
        since.map(|since| format!(" since {}, for {}", clock(since, zone), length(at.since(since)))).unwrap_or_default()
    };
    match told.command {
        None => lines.push("no command runs".to_owned()),
        Some(id) => {
            let sent = if told.started { "" } else { " (sent, and not begun)" };
            lines.push(format!("command {id}{sent}{}: {}", since(told.command_since), safe(&told.head)));
        }
    }
    if told.item.is_some() || !told.item_name.is_empty() {
        let typical = told.typical.map(|typical| format!("; such items take {}", length(typical))).unwrap_or_default();
        lines.push(format!("item {}{}{typical}", safe(&told.item_name), since(told.item_since)));
    }
    lines.push(heard(told, zone));
    if !told.tried.is_empty() {
        let tried: Vec<&str> = told.tried.iter().map(|rung| rung.word()).collect();
        lines.push(format!("tried on this command: {}", tried.join(", ")));
    }
    if told.paused {
        lines.push("an operator has paused the child".to_owned());
    }
    lines
}

fn heard(told: &SessionEvidence, zone: &TimeZone) -> String {
    let of = |what: &str, last: Option<Micros>| match last {
        Some(last) => format!("last {what} at {}, {} before", clock(last, zone), length(told.at.since(last))),
        None => format!("no {what} so far"),
    };
    format!("{}; {}", of("output", told.last_output), of("word", told.last_word))
}

/// A text of anybody's on one line: safe, and not too long.
fn safe(text: &str) -> String {
    let mut lines = text.lines();
    let whole = plain_safe(lines.next().unwrap_or_default().as_bytes());
    let mut short: String = whole.chars().take(MOST).collect();
    if short.len() < whole.len() || lines.next().is_some() {
        short.push_str(" …");
    }
    short
}

/// `1 thread`, `7 threads`.
fn count(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

#[cfg(test)]
mod tests;
