//! What is different between two start-ups, and which of several are alike.
//!
//! What must stay true: pure, and bounded: lines of output are compared in a table of at most [`LINES`] by [`LINES`].
//! What differs from run to run by itself (pids, the executable's temporary arguments, small changes of a length of time)
//! is no difference.

use super::outcome::{End, Fate, Kind, Outcome, Step};
use crate::cli::out::{Tone, length};
use crate::model::Micros;

/// The most lines of a step's output that are compared.
pub(super) const LINES: usize = 200;
/// The most lines of a difference in output that are told.
const TOLD: usize = 40;
/// How many lines that are the same stand around a difference.
const AROUND: usize = 1;
/// A length of time has moved if it is more than twice the other, and by more than this.
const MOVED: Micros = Micros(50_000);
/// The most characters of a source in a line.
const HEAD: usize = 60;

/// A line about a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Whether it is for better or worse.
    pub(super) tone: Tone,
    /// As anybody said it; not made safe yet.
    pub(super) text: String,
}

impl Change {
    fn new(tone: Tone, text: String) -> Self {
        Self { tone, text }
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    /// An earlier run and this one.
    Runs,
    /// Two interpreters: their versions and lengths of time differ by nature.
    Interpreters,
}

impl Between {
    /// Where something is so that is not so in the other.
    fn here(self) -> &'static str {
        match self {
            Self::Runs => "now",
            Self::Interpreters => "here",
        }
    }

    /// Before what the other has.
    fn there(self) -> &'static str {
        match self {
            Self::Runs => "it was",
            Self::Interpreters => "there it is",
        }
    }
}

/// What is different in `now`; nothing when nothing is.
pub(super) fn difference(before: &Outcome, now: &Outcome, between: Between) -> Vec<Change> {
    let mut changes = Vec::new();
    let same_step = |a: &Step, b: &Step| key(a) == key(b);
    let pairs = matched(&before.steps, &now.steps, same_step);
    let (mut old, mut new) = (0, 0);
    for (matched_old, matched_new) in pairs.into_iter().chain([(before.steps.len(), now.steps.len())]) {
        let olds = before.steps.get(old..matched_old).unwrap_or_default();
        let news = now.steps.get(new..matched_new).unwrap_or_default();
        // Of a start-up that has failed it goes without saying that it did not come to the rest.
        if now.is_ready() {
            changes.extend(olds.iter().map(|step| Change::new(Tone::Plain, format!("- {}", title(step)))));
        }
        for step in news {
            let tone = if step.fate == Fate::Failed { Tone::Bad } else { Tone::Plain };
            changes.push(Change::new(tone, format!("+ {}: {}", title(step), told(step))));
        }
        if let (Some(a), Some(b)) = (before.steps.get(matched_old), now.steps.get(matched_new)) {
            compare(a, b, between, &mut changes);
        }
        (old, new) = (matched_old + 1, matched_new + 1);
    }
    let here = between.here();
    match (&before.end, &now.end) {
        (End::Over { .. }, End::Ready) => changes.push(Change::new(Tone::Good, format!("~ the child is ready {here}"))),
        // What has failed was told of before.
        (End::Ready, End::Over { reason, .. }) if now.steps.iter().all(|step| step.fate != Fate::Failed) => {
            let reason = reason.lines().next().unwrap_or_default();
            changes.push(Change::new(Tone::Bad, format!("~ there is no child {here}: {reason}")));
        }
        _ => {}
    }
    changes
}

/// What a step is: of commands the source, which may stand elsewhere than before.
fn key(step: &Step) -> (Kind, &str) {
    (step.kind, if step.kind.is_command() { &step.text } else { "" })
}

/// A step's name, with the beginning of its source.
pub(super) fn title(step: &Step) -> String {
    if step.kind.is_command() { format!("{} `{}`", step.name(), head(&step.text)) } else { step.name() }
}

/// The beginning of a source, on one line.
pub(super) fn head(source: &str) -> String {
    let mut lines = source.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default().trim_end();
    let short: String = first.chars().take(HEAD).collect();
    // A comment is a title.
    let is_all = lines.next().is_none() || first.starts_with('#');
    if short.len() < first.len() || !is_all { format!("{short} …") } else { short }
}

fn told(step: &Step) -> String {
    match &step.fault {
        Some(fault) => fault.headline.clone(),
        None => step.fate.word().to_owned(),
    }
}

fn compare(before: &Step, now: &Step, between: Between, changes: &mut Vec<Change>) {
    let (name, here, there) = (title(now), between.here(), between.there());
    let gone = before.fault.as_ref().map(|fault| format!("; {there}: {}", fault.headline)).unwrap_or_default();
    match (before.fate, now.fate) {
        (old, Fate::Ok) if old != Fate::Ok => {
            changes.push(Change::new(Tone::Good, format!("~ {name} passes {here}{gone}")));
        }
        (old, Fate::Failed) if old != Fate::Failed => {
            changes.push(Change::new(Tone::Bad, format!("~ {name} fails {here}: {}", told(now))));
        }
        (old, Fate::NotRun) if old != Fate::NotRun => {
            changes.push(Change::new(Tone::Bad, format!("~ {name} is not run {here}")));
        }
        (Fate::Failed, Fate::Failed) if told(before) != told(now) => {
            changes.push(Change::new(Tone::Bad, format!("~ {name} fails otherwise {here}: {}{gone}", told(now))));
        }
        _ => {}
    }
    if between == Between::Runs {
        if now.kind == Kind::Connected && before.text != now.text && !now.text.is_empty() {
            changes.push(Change::new(Tone::Plain, format!("~ {name}: {}; {there} {}", now.text, before.text)));
        }
        if let (Some(was), Some(is)) = (before.took, now.took)
            && has_moved(was, is)
        {
            let tone = if is > was { Tone::Busy } else { Tone::Good };
            changes.push(Change::new(tone, format!("~ {name} took {}; {there} {}", length(is), length(was))));
        }
    }
    let lines = unified(&before.output, &now.output);
    if !lines.is_empty() {
        changes.push(Change::new(Tone::Plain, format!("~ {name} prints otherwise {here}:")));
        changes.extend(lines);
    }
}

fn has_moved(was: Micros, is: Micros) -> bool {
    let (short, long) = (was.min(is), was.max(is));
    long.0 > short.0.saturating_mul(2) && long.since(short) > MOVED
}

/// Two texts as a small unified difference; nothing when they are the same.
pub(super) fn unified(before: &[String], now: &[String]) -> Vec<Change> {
    if before == now {
        return Vec::new();
    }
    let tail = |lines: &[String]| lines[lines.len().saturating_sub(LINES)..].to_vec();
    let (before, now) = (tail(before), tail(now));
    let rows = rows(&before, &now);
    let near = |place: usize| {
        let (from, to) = (place.saturating_sub(AROUND), (place + AROUND).min(rows.len() - 1));
        rows[from..=to].iter().any(|(mark, _)| *mark != ' ')
    };
    let mut told = Vec::new();
    let mut left_out = false;
    for (place, (mark, line)) in rows.iter().enumerate() {
        if !near(place) {
            left_out = true;
            continue;
        }
        if told.len() >= TOLD {
            told.push(Change::new(Tone::Quiet, "    … and more".to_owned()));
            break;
        }
        if std::mem::take(&mut left_out) {
            told.push(Change::new(Tone::Quiet, "    …".to_owned()));
        }
        let tone = match mark {
            '+' => Tone::Good,
            '-' => Tone::Bad,
            _ => Tone::Quiet,
        };
        told.push(Change::new(tone, format!("    {mark}{line}")));
    }
    told
}

/// Every line of both, with a mark: of the first, of the second, of both.
fn rows<'l>(before: &'l [String], now: &'l [String]) -> Vec<(char, &'l str)> {
    let mut rows = Vec::new();
    let (mut old, mut new) = (0, 0);
    for (a, b) in matched(before, now, |a, b| a == b).into_iter().chain([(before.len(), now.len())]) {
        rows.extend(before[old..a].iter().map(|line| ('-', line.as_str())));
        rows.extend(now[new..b].iter().map(|line| ('+', line.as_str())));
        rows.extend(before.get(a).map(|line| (' ', line.as_str())));
        (old, new) = (a + 1, b + 1);
    }
    rows
}

/// The places of a longest common subsequence. What is too long for a table is matched in order from its beginning.
fn matched<T>(a: &[T], b: &[T], same: impl Fn(&T, &T) -> bool) -> Vec<(usize, usize)> {
    let start = a.iter().zip(b).take_while(|(a, b)| same(a, b)).count();
    let (rest_a, rest_b) = (&a[start..], &b[start..]);
    let mut pairs: Vec<_> = (0..start).map(|place| (place, place)).collect();
    if rest_a.len() > LINES || rest_b.len() > LINES {
        return pairs;
    }
    let width = rest_b.len() + 1;
    let mut longest = vec![0_u32; (rest_a.len() + 1) * width];
    for i in (0..rest_a.len()).rev() {
        for j in (0..rest_b.len()).rev() {
            longest[i * width + j] = if same(&rest_a[i], &rest_b[j]) {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < rest_a.len() && j < rest_b.len() {
        if same(&rest_a[i], &rest_b[j]) {
            pairs.push((start + i, start + j));
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// Those that are alike, in the order of their first.
pub(super) fn groups<T>(all: &[T], alike: impl Fn(&T, &T) -> bool) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (place, one) in all.iter().enumerate() {
        let found = groups.iter_mut().find(|group| group.first().is_some_and(|first| alike(&all[*first], one)));
        match found {
            Some(group) => group.push(place),
            None => groups.push(vec![place]),
        }
    }
    groups
}

/// Every step that any of them has, in an order that is each one's own.
pub(super) fn all_steps<'o>(outcomes: &[&'o Outcome]) -> Vec<&'o Step> {
    let mut all: Vec<&Step> = Vec::new();
    for outcome in outcomes {
        let mut place = 0;
        for step in &outcome.steps {
            let known = all.iter().position(|known| is_same(known, step));
            if known.is_none() {
                all.insert(place, step);
            }
            place = known.unwrap_or(place) + 1;
        }
    }
    all
}

/// Whether it is the same step of two start-ups.
pub(super) fn is_same(a: &Step, b: &Step) -> bool {
    key(a) == key(b) && a.number == b.number
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Fault;
    use super::*;

    fn step(text: &str, fate: Fate, took: u64) -> Step {
        let headline = "ValueError: bad".to_owned();
        let fault = (fate == Fate::Failed).then(|| Fault { text: headline.clone(), headline });
        let (kind, number, output) = (Kind::Init, 1, Vec::new());
        Step { kind, number, text: text.into(), fate, took: Some(Micros(took)), fault, output, more: false }
    }

    fn outcome(steps: Vec<Step>) -> Outcome {
        Outcome { steps, notes: Vec::new(), end: End::Ready }
    }

    fn texts(changes: Vec<Change>) -> Vec<String> {
        changes.into_iter().map(|change| change.text).collect()
    }

    fn lines(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn steps_that_pass_and_fail_now_are_told() {
        let before = outcome(vec![step("a", Fate::Ok, 1), step("b", Fate::Failed, 1), step("gone", Fate::Ok, 1)]);
        let now = outcome(vec![step("new", Fate::Ok, 1), step("a", Fate::Failed, 1), step("b", Fate::Ok, 1)]);
        let told = texts(difference(&before, &now, Between::Runs));
        let expected = [
            "+ init 1 `new`: ok",
            "~ init 1 `a` fails now: ValueError: bad",
            "~ init 1 `b` passes now; it was: ValueError: bad",
            "- init 1 `gone`",
        ];
        assert_eq!(told, expected);
        assert_eq!(difference(&now, &now.clone(), Between::Runs), []);
    }

    #[test]
    fn only_lengths_of_time_that_have_moved_are_told() {
        let took = |took| outcome(vec![step("a", Fate::Ok, took)]);
        let told = |was, is, between| difference(&took(was), &took(is), between).len();
        assert_eq!(told(100_000, 199_000, Between::Runs), 0);
        assert_eq!(told(100_000, 201_000, Between::Runs), 1);
        assert_eq!(told(900_000, 100_000, Between::Runs), 1);
        assert_eq!(told(1_000, 40_000, Between::Runs), 0, "too little to be felt");
        assert_eq!(told(100_000, 900_000, Between::Interpreters), 0);
    }

    #[test]
    fn output_is_compared_line_by_line() {
        let told = texts(unified(&lines("a b c d e f"), &lines("a b x d e f g")));
        assert_eq!(told, ["    …", "     b", "    -c", "    +x", "     d", "    …", "     f", "    +g"]);
        assert_eq!(unified(&lines("a"), &lines("a")), []);
        assert_eq!(texts(unified(&[], &lines("a"))), ["    +a"]);
    }

    #[test]
    fn a_difference_is_bounded() {
        let many = |from: usize| (from..from + 5000).map(|line| line.to_string()).collect::<Vec<_>>();
        assert_eq!(unified(&many(0), &many(10_000)).len(), TOLD + 1);
        let far: Vec<_> = (0..1000).map(|n| step(&format!("{n}"), Fate::Ok, 1)).collect();
        let reversed = far.iter().rev().cloned().collect();
        assert_eq!(difference(&outcome(far), &outcome(reversed), Between::Interpreters).len(), 2000);
    }

    #[test]
    fn those_that_are_alike_stand_together() {
        assert_eq!(groups(&["x", "y", "x", "z", "y"], |a, b| a == b), [vec![0, 2], vec![1, 4], vec![3]]);
    }

    #[test]
    fn the_steps_of_several_are_put_in_one_order() {
        let (a, b) = (step("a", Fate::Ok, 1), step("b", Fate::Ok, 1));
        let (one, two) = (outcome(vec![a.clone(), b.clone()]), outcome(vec![a.clone(), step("c", Fate::Ok, 1), b]));
        let all: Vec<_> = all_steps(&[&one, &two]).into_iter().map(|step| step.text.as_str()).collect();
        assert_eq!(all, ["a", "c", "b"]);
    }
}
