//! Frame ranges: `1-100x2,200,300--10x-10`.
//!
//! A part is `n`, `a-b` or `a-bxS`; numbers may be negative; a range that goes down may say so with a negative step or
//! leave the sign out. Every frame is there once, at its first mention. What comes out stays ranges: a million frames
//! cost no memory unless parts overlap in a way that no range can say.

use crate::model::job::FrameRun;
use std::collections::HashMap;

/// The most frames that one text may list, repetitions included.
pub const MOST_FRAMES: u64 = 10_000_000;
/// The highest frame number, and without its sign the lowest. Sums of such numbers cannot overflow.
pub const HIGHEST_FRAME: i64 = 2_147_483_647;

/// What is wrong with a text of frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RangeError {
    /// Byte offset in the text.
    pub offset: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// The runs of frames that a text lists, in its order; or everything that is wrong with it.
pub fn parse(text: &str) -> Result<Vec<FrameRun>, Vec<RangeError>> {
    let (mut parts, mut errors, mut offset, mut total) = (Vec::new(), Vec::new(), 0, 0);
    for word in text.split(',') {
        let start = offset + word.len() - word.trim_start().len();
        offset += word.len() + 1;
        match part(word.trim()) {
            Ok(run) => {
                total += u64::from(run.count);
                parts.push(run);
            }
            Err(message) => errors.push(RangeError { offset: start.min(text.len()), message }),
        }
        if total > MOST_FRAMES {
            let message = format!("these are more than {MOST_FRAMES} frames");
            errors.push(RangeError { offset: start, message });
            break;
        }
    }
    if errors.is_empty() { Ok(joined(without_repetitions(&parts))) } else { Err(errors) }
}

/// `n`, `a-b` or `a-bxS`.
fn part(word: &str) -> Result<FrameRun, String> {
    if word.is_empty() {
        return Err("expected a frame or a range, like 7, 1-100 or 1-100x2".into());
    }
    let (first, rest) = number(word)?;
    let Some(rest) = rest.strip_prefix('-') else { return single(first, rest, word) };
    let (last, rest) = number(rest)?;
    let descends = last < first;
    let step = match rest.strip_prefix(['x', 'X']) {
        None if rest.is_empty() => 1,
        None => return Err(no_range(word)),
        Some(rest) => match number(rest)? {
            (0, _) => return Err("a step of 0 never arrives".into()),
            (step, "") if step < 0 && !descends => {
                return Err(format!("the step {step} leads away from {last}: leave out its sign"));
            }
            (step, "") => step.abs(),
            _ => return Err(no_range(word)),
        },
    };
    // Both fit: the numbers are bounded by HIGHEST_FRAME.
    let count = u32::try_from((last - first).abs() / step + 1).unwrap_or(u32::MAX);
    Ok(FrameRun {
        first,
        count,
        step: if count == 1 {
            1
        } else if descends {
            -step
        } else {
            step
        },
    })
}

fn single(first: i64, rest: &str, word: &str) -> Result<FrameRun, String> {
    if rest.is_empty() { Ok(FrameRun { first, count: 1, step: 1 }) } else { Err(no_range(word)) }
}

fn no_range(word: &str) -> String {
    format!("{} is no frame and no range, like 7, 1-100 or 1-100x2", super::source::quoted(word))
}

/// The number at the start of a text, and what follows it.
fn number(text: &str) -> Result<(i64, &str), String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let length = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (number, rest) = text.split_at(text.len() - digits.len() + length);
    if length == 0 {
        return Err(format!("expected a number before {}", super::source::quoted(rest)));
    }
    match number.parse::<i64>() {
        Ok(value) if value.abs() <= HIGHEST_FRAME => Ok((value, rest)),
        _ => Err(format!("{} is beyond the highest frame number, {HIGHEST_FRAME}", super::source::quoted(number))),
    }
}

/// The same frames, each at its first place only.
fn without_repetitions(parts: &[FrameRun]) -> Vec<FrameRun> {
    let mut seen = Seen::default();
    let mut runs = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        // Parts that lie apart, the usual thing, need no look at each frame.
        if !parts.iter().take(SMALL).enumerate().any(|(other, run)| other != place && overlap(part, run))
            && parts.len() <= SMALL
        {
            runs.push(*part);
            continue;
        }
        let mut left = Grouping::new(part.step);
        for frame in frames(part) {
            if seen.insert(frame) {
                left.push(frame, &mut runs);
            }
        }
        left.finish(&mut runs);
    }
    runs
}

/// Up to this many parts are compared with each other; more are looked at frame by frame.
const SMALL: usize = 256;

fn overlap(one: &FrameRun, other: &FrameRun) -> bool {
    let span = |run: &FrameRun| (run.first.min(run.last()), run.first.max(run.last()));
    let ((low, high), (other_low, other_high)) = (span(one), span(other));
    low <= other_high && other_low <= high
}

fn frames(run: &FrameRun) -> impl Iterator<Item = i64> {
    let run = *run;
    (0..i64::from(run.count)).map(move |place| run.first + run.step * place)
}

/// A set of frames, 64 to an entry.
#[derive(Default)]
struct Seen(HashMap<i64, u64>);

impl Seen {
    /// Whether it was not in the set before.
    fn insert(&mut self, frame: i64) -> bool {
        let word = self.0.entry(frame.div_euclid(64)).or_default();
        let bit = 1 << frame.rem_euclid(64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

/// Makes runs of the frames that are left of one part.
struct Grouping {
    step: i64,
    run: Option<FrameRun>,
}

impl Grouping {
    fn new(step: i64) -> Self {
        Self { step, run: None }
    }

    fn push(&mut self, frame: i64, runs: &mut Vec<FrameRun>) {
        let single = |first| FrameRun { first, count: 1, step: 1 };
        let Some(run) = &mut self.run else {
            self.run = Some(single(frame));
            return;
        };
        let distance = frame - run.last();
        if run.count == 1 || distance == run.step {
            run.step = distance;
            run.count += 1;
        } else if run.count == 2 && distance == self.step {
            // The pair was a guess, and the part's own step is the better one.
            let last = run.last();
            runs.push(single(run.first));
            *run = FrameRun { first: last, count: 2, step: distance };
        } else {
            runs.push(*run);
            *run = single(frame);
        }
    }

    fn finish(self, runs: &mut Vec<FrameRun>) {
        runs.extend(self.run);
    }
}

/// Neighbours that go on without a gap, `1,2,3` or `1-5,6-9`, become one run, so that chunks fill up.
fn joined(runs: Vec<FrameRun>) -> Vec<FrameRun> {
    let mut whole: Vec<FrameRun> = Vec::with_capacity(runs.len());
    for run in runs {
        match whole.last_mut() {
            Some(last) if goes_on(last, &run) => {
                last.step = run.first - last.last();
                last.count += run.count;
            }
            _ => whole.push(run),
        }
    }
    whole
}

fn goes_on(last: &FrameRun, next: &FrameRun) -> bool {
    let step = next.first - last.last();
    step.abs() == 1 && [last, next].iter().all(|run| run.count == 1 || run.step == step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn all(text: &str) -> Vec<i64> {
        parse(text).unwrap().iter().flat_map(frames).collect()
    }

    #[test]
    fn reads_the_documented_example() {
        let runs = parse("1-100x2,200,300--10x-10").unwrap();
        // 200 is there already, so the last part is in two.
        let ends: Vec<_> = runs.iter().map(|run| (run.first, run.last(), run.step)).collect();
        assert_eq!(ends, [(1, 99, 2), (200, 200, 1), (300, 210, -10), (190, -10, -10)]);
        assert_eq!(all("300--10x-10").len(), 32);
    }

    #[test]
    fn descending_negative_and_repeated() {
        assert_eq!(all("3-1"), [3, 2, 1]);
        assert_eq!(all("5-1x2"), [5, 3, 1]);
        assert_eq!(all("-3--1"), [-3, -2, -1]);
        assert_eq!(all(" 1-3 , 2-5 "), [1, 2, 3, 4, 5]);
        assert_eq!(all("7-7x5,7"), [7]);
        assert_eq!(parse("1,2,3,5-6,7").unwrap().len(), 2);
    }

    #[test]
    fn a_text_of_wrong_parts_tells_of_each() {
        let errors = parse("1-,x,5-1x0, 1-5x-1,9999999999,1-2-3,").unwrap_err();
        assert_eq!(errors.iter().map(|error| error.offset).collect::<Vec<_>>(), [0, 3, 5, 12, 19, 30, 36]);
        assert!(errors[3].message.contains("leads away"), "{}", errors[3]);
    }

    #[test]
    fn the_bound_holds() {
        assert_eq!(parse("1-10000000").unwrap().len(), 1);
        assert!(parse("1-10000001").unwrap_err()[0].message.contains("more than"));
        assert!(parse(&"0-9999999,".repeat(3)).is_err());
    }

    fn parts() -> impl Strategy<Value = Vec<(i64, i64, i64)>> {
        prop::collection::vec((-60i64..60, -60i64..60, 1i64..7), 1..9)
    }

    proptest! {
        #[test]
        fn expands_like_a_set_that_keeps_order(parts in parts()) {
            let text: Vec<String> = parts.iter().map(|(a, b, step)| format!("{a}-{b}x{step}")).collect();
            let mut seen = HashSet::new();
            let mut expected = Vec::new();
            for (a, b, step) in parts {
                let mut frame = a;
                while (a <= b && frame <= b) || (a > b && frame >= b) {
                    if seen.insert(frame) {
                        expected.push(frame);
                    }
                    frame += if a <= b { step } else { -step };
                }
            }
            prop_assert_eq!(all(&text.join(",")), expected);
        }

        #[test]
        fn no_text_breaks_it(text in "[-0-9x, ]{0,30}|.*") {
            if let Ok(runs) = parse(&text) {
                prop_assert!(runs.iter().all(|run| run.count > 0 && run.step != 0));
            }
        }
    }
}
