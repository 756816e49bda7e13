//! What a match means: numbers, lengths of time, amounts of memory, and how far an item is.

use crate::model::job::FrameRun;
use crate::model::output_pattern::FOUND_TEXT;
use crate::model::{Finding, Finds, Found, OutputPattern, ProgressReads, Severity, Stream};
use serde_json::Value;

/// A match, as far as the line alone tells what it means.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The pattern's place in its list.
    pub pattern: usize,
    /// In which stream.
    pub stream: Stream,
    /// Where the line begins, in bytes.
    pub at: u64,
    /// What was captured.
    pub text: String,
    /// What it means.
    pub reading: Reading,
    /// The frame that was being worked on, for a fraction, if lines up to this one of the same command told.
    pub frame: Option<i64>,
}

/// What a match means.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// Something went wrong.
    Error(Severity),
    /// A line worth a look.
    Highlight,
    /// The path of a file.
    Output,
    /// A value, seconds, or bytes.
    Value(Value),
    /// How far, 0 to 1: the item, or the frame that is being worked on.
    Fraction(f64),
    /// The frame that is being worked on.
    Frame(i64),
}

/// Reads what a pattern captured; `None` for what is not what it should be, which counts as no match.
pub(super) fn read(finds: Finds, captured: &[&[u8]]) -> Option<(String, Reading)> {
    let text = text_of(captured.first()?);
    if text.is_empty() {
        return None;
    }
    let reading = match finds {
        Finds::Error { severity } => Reading::Error(severity),
        Finds::Highlight => Reading::Highlight,
        Finds::Output => Reading::Output,
        Finds::Progress { reads } => progress(reads, &text, captured)?,
        Finds::Value => Reading::Value(value(&text)),
        Finds::Time => Reading::Value(Value::from(seconds(&text)?)),
        Finds::Memory => Reading::Value(Value::from(bytes(&text)?)),
    };
    Some((text, reading))
}

/// Valid text, cut where it is too long to be kept.
fn text_of(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(FOUND_TEXT)]).trim().to_owned();
    // A byte that is no text becomes a longer character.
    text.truncate(text.floor_char_boundary(FOUND_TEXT));
    text
}

fn progress(reads: ProgressReads, text: &str, captured: &[&[u8]]) -> Option<Reading> {
    let fraction = match reads {
        ProgressReads::Fraction => number(text)?,
        ProgressReads::Percent => number(text.trim_end_matches('%').trim_end())? / 100.0,
        ProgressReads::KOfN => {
            let of = number(text_of(captured.get(1)?).as_str())?;
            if of <= 0.0 {
                return None;
            }
            number(text)? / of
        }
        ProgressReads::Frame => return text.parse().ok().map(Reading::Frame),
    };
    // "-0" is a number, too.
    (fraction >= 0.0).then(|| Reading::Fraction(fraction.abs().min(1.0)))
}

fn number(text: &str) -> Option<f64> {
    // "inf" and "nan" are numbers to Rust.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    text.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

fn value(text: &str) -> Value {
    let whole = text.parse::<i64>().ok().map(Value::from);
    whole.or_else(|| number(text).map(Value::from)).unwrap_or_else(|| Value::from(text))
}

/// `12.5`, `12.5s`, `01:02.5`, `1:00:02`.
fn seconds(text: &str) -> Option<f64> {
    let text = text.strip_suffix('s').map_or(text, str::trim_end);
    let parts: Vec<f64> =
        text.split(':').map(|part| number(part).filter(|part| *part >= 0.0)).collect::<Option<_>>()?;
    (parts.len() <= 3).then(|| parts.iter().fold(0.0, |sum, part| sum * 60.0 + part))
}

/// `4096`, `11.10M`, `1.5 GiB`, `300 kB`; a unit is 1024 of the one below it, as renderers count.
fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|character: char| character.is_ascii_alphabetic()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = unit.to_ascii_lowercase();
    let unit = unit.strip_suffix("bytes").or_else(|| unit.strip_suffix("ib")).or_else(|| unit.strip_suffix('b'));
    let unit = unit.map_or_else(|| text[end..].to_ascii_lowercase(), str::to_owned);
    let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == unit)?;
    let amount = number(digits.trim())? * 1024f64.powi(i32::try_from(power).ok()?);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "just compared")]
    (0.0..1e18).contains(&amount).then(|| amount.round() as u64)
}

/// How far an item is: what a frame's number and a fraction say together.
///
/// A frame that is named is the one being worked on, so those of the item before it are done; a fraction is of that
/// frame, if the item has several and one was named. In Qube a frame counts as done as soon as it is named.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    frames: Option<FrameRun>,
    /// How many frames come before the one that is being worked on.
    before: Option<u32>,
}

impl Progress {
    /// Of an item with these frames.
    pub fn of(frames: Option<FrameRun>) -> Self {
        Self { frames, before: None }
    }

    /// What a hit means in the item; `None` for a frame that is none of its.
    pub fn finding(&mut self, hit: Hit, pattern: &OutputPattern) -> Option<Finding> {
        let what = match hit.reading {
            Reading::Error(severity) => Found::Error { severity },
            Reading::Highlight => Found::Highlight,
            Reading::Output => Found::Output,
            Reading::Value(value) => Found::Value { value },
            Reading::Fraction(fraction) => {
                if let Some(before) = hit.frame.and_then(|frame| self.place_of(frame)) {
                    self.before = Some(before);
                }
                Found::Progress { fraction: self.within(fraction) }
            }
            Reading::Frame(frame) => Found::Progress { fraction: self.frame(frame, pattern.qube)? },
        };
        Some(Finding { pattern: pattern.name.clone(), stream: hit.stream, at: hit.at, text: hit.text, what })
    }

    fn within(&self, fraction: f64) -> f64 {
        match (self.frames, self.before) {
            (Some(frames), Some(before)) => (f64::from(before) + fraction) / f64::from(frames.count),
            _ => fraction,
        }
    }

    /// A frame that was named before is no news: what was said of it since would be forgotten.
    fn frame(&mut self, frame: i64, done: bool) -> Option<f64> {
        let before = self.place_of(frame)?;
        if !done && self.before.replace(before) == Some(before) {
            return None;
        }
        Some(f64::from(before + u32::from(done)) / f64::from(self.frames?.count))
    }

    /// How many of the item's frames come before this one.
    fn place_of(&self, frame: i64) -> Option<u32> {
        let frames = self.frames?;
        let from = frame.checked_sub(frames.first)?;
        let before = u32::try_from(from.checked_div(frames.step)?).ok().filter(|before| *before < frames.count);
        before.filter(|_| from.checked_rem(frames.step) == Some(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PatternOrigin;

    fn reading(finds: Finds, captured: &[&str]) -> Option<Reading> {
        let captured: Vec<&[u8]> = captured.iter().map(|text| text.as_bytes()).collect();
        read(finds, &captured).map(|(_, reading)| reading)
    }

    #[test]
    fn times_and_memory_are_numbers() {
        let time = |text| reading(Finds::Time, &[text]);
        assert_eq!(time("00:01.02"), Some(Reading::Value(1.02.into())));
        assert_eq!(time("1:02:03"), Some(Reading::Value(3723.0.into())));
        assert_eq!(time("12.5 s"), Some(Reading::Value(12.5.into())));
        for wrong in ["", "soon", "1:2:3:4", "-1", "1:-1", "inf", "nan", ":"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
        let memory = |text| reading(Finds::Memory, &[text]);
        assert_eq!(memory("9.5M"), Some(Reading::Value(9_961_472.into())));
        assert_eq!(memory("1.5 GiB"), Some(Reading::Value(1_610_612_736.into())));
        assert_eq!(memory("300 kB"), Some(Reading::Value(307_200.into())));
        assert_eq!(memory("4096"), Some(Reading::Value(4096.into())));
        assert_eq!(memory("12 bytes"), Some(Reading::Value(12.into())));
        for wrong in ["", "M", "-1M", "1 parsec", "1e300", "1eM"] {
            assert_eq!(memory(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn progress_is_a_fraction_or_a_frame() {
        let told = |reads, captured: &[&str]| reading(Finds::Progress { reads }, captured);
        assert_eq!(told(ProgressReads::Fraction, &["0.25"]), Some(Reading::Fraction(0.25)));
        assert_eq!(told(ProgressReads::Percent, &[" 42 %"]), Some(Reading::Fraction(0.42)));
        assert_eq!(told(ProgressReads::KOfN, &["8", "32"]), Some(Reading::Fraction(0.25)));
        assert_eq!(told(ProgressReads::KOfN, &["33", "32"]), Some(Reading::Fraction(1.0)));
        assert_eq!(told(ProgressReads::Frame, &["-0012"]), Some(Reading::Frame(-12)));
        let Some(Reading::Fraction(nothing)) = told(ProgressReads::Fraction, &["-0"]) else { panic!("a fraction") };
        assert!(nothing.is_sign_positive(), "{nothing}");
        assert_eq!(told(ProgressReads::KOfN, &["1", "0"]), None);
        assert_eq!(told(ProgressReads::KOfN, &["1"]), None);
        assert_eq!(told(ProgressReads::Fraction, &["-0.5"]), None);
        assert_eq!(told(ProgressReads::Percent, &["nan"]), None);
        assert_eq!(told(ProgressReads::Frame, &["1.5"]), None);
    }

    #[test]
    fn values_are_numbers_if_they_can_be() {
        assert_eq!(reading(Finds::Value, &["12"]), Some(Reading::Value(12.into())));
        assert_eq!(reading(Finds::Value, &["1.5"]), Some(Reading::Value(1.5.into())));
        assert_eq!(reading(Finds::Value, &["nan"]), Some(Reading::Value("nan".into())));
        assert_eq!(reading(Finds::Value, &["a b"]), Some(Reading::Value("a b".into())));
    }

    #[test]
    fn a_captured_text_is_bounded_and_text() {
        let long = [vec![0xff; 3 * FOUND_TEXT]].concat();
        let (text, _) = read(Finds::Highlight, &[&long]).expect("something");
        assert!(text.len() <= FOUND_TEXT && text.starts_with('\u{fffd}'), "{}", text.len());
    }

    #[test]
    fn frames_and_fractions_are_told_within_the_items_frames() {
        let pattern = |qube| OutputPattern {
            name: "p".into(),
            regexes: Vec::new(),
            finds: Finds::Highlight,
            stream: None,
            qube,
            origin: PatternOrigin::Job,
        };
        let hit = |reading| Hit { pattern: 0, stream: Stream::Stdout, at: 0, text: "x".into(), reading, frame: None };
        let told = |progress: &mut Progress, reading, qube| match progress.finding(hit(reading), &pattern(qube)) {
            Some(Finding { what: Found::Progress { fraction }, .. }) => Some(fraction),
            _ => None,
        };
        let mut progress = Progress::of(Some(FrameRun { first: 10, count: 4, step: -2 }));
        assert_eq!(told(&mut progress, Reading::Fraction(0.5), false), Some(0.5));
        assert_eq!(told(&mut progress, Reading::Frame(10), false), Some(0.0));
        assert_eq!(told(&mut progress, Reading::Fraction(0.5), false), Some(0.125));
        assert_eq!(told(&mut progress, Reading::Frame(4), false), Some(0.75));
        assert_eq!(told(&mut progress, Reading::Fraction(1.0), false), Some(1.0));
        assert_eq!(told(&mut progress, Reading::Frame(4), false), None, "it was named before");
        assert_eq!(told(&mut progress, Reading::Frame(8), true), Some(0.5));
        let of_frame = Hit { frame: Some(8), ..hit(Reading::Fraction(0.5)) };
        let Some(Finding { what, .. }) = progress.finding(of_frame, &pattern(false)) else { panic!("nothing") };
        assert_eq!(what, Found::Progress { fraction: 0.375 });
        for other in [9, 2, 12, i64::MIN, i64::MAX] {
            assert_eq!(told(&mut progress, Reading::Frame(other), false), None, "{other}");
        }
        assert_eq!(told(&mut Progress::of(None), Reading::Frame(1), false), None);
    }
}
