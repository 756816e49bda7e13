//! Patterns: 1 GiB of what Blender prints, read as it comes through a pipe and matched against 40 patterns on one core,
//! beside counting its lines, and beside a `RegexSet` of the same patterns that looks at each line by itself.
//!
//! Machines are noisy, so nothing here is a time limit: each figure is printed beside its target, and rounds of ours and
//! of the others take turns, and time is the core's own: what other programs take of it does not count. Run with `cargo bench --bench patterns`.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench prints, and stops when it cannot measure"
)]

#[path = "common/table.rs"]
mod table;

use childminder::model::{CommandId, Finds, OutputPattern, PatternOrigin, ProgressReads, Severity, Stream};
use childminder::patterns::{Matching, Set};
use nix::time::{ClockId, clock_gettime};
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use table::{median, row};

/// Bytes of output that are matched.
const SIZE: usize = 1 << 30;
/// Bytes of it that are different from each other: it does not stay in the processor's caches, and memory is not filled
/// with it.
const DIFFERENT: usize = 64 << 20;
/// How much a read gives.
const READ: usize = 64 << 10;
/// Rounds of ours and of the others, taking turns.
const ROUNDS: usize = 5;

/// What is looked for in a renderer's output: progress, results, and trouble that hardly ever comes.
const PATTERNS: [(&str, Finds); 40] = [
    (r"^Fra:(-?\d+) ", Finds::Progress { reads: ProgressReads::Frame }),
    (r"Sample (\d+)/(\d+)$|Rendering (\d+) / (\d+) samples$", Finds::Progress { reads: ProgressReads::KOfN }),
    (r"\(Peak ([\d.]+M)\)", Finds::Memory),
    (r"\| Remaining:((?:\d+:)?\d+:\d+\.\d+)", Finds::Time),
    (r"^\s?Time: ((?:\d+:)?\d+:\d+\.\d+)", Finds::Time),
    (r"\(Saving: ((?:\d+:)?\d+:\d+\.\d+)\)", Finds::Time),
    (r"(?:^|\| )Saved: '(.*)'$", Finds::Output),
    (r"^Append frame (\d+)", Finds::Value),
    (r"^Blender (\d+\.\d+\.\d+)", Finds::Value),
    (r"^Read blend: (.*)$", Finds::Highlight),
    (r"^Error: (.*)", ERROR),
    (r"^Warning: (.*)", WARNING),
    (r"^ERROR ?(?:\(.*\))?: (.*)", ERROR),
    (r"CUDA error: (.*)", ERROR),
    (r"(?i)out of (?:gpu )?memory", ERROR),
    (r"^OptiX error .*", ERROR),
    (r"^HIP error.*", ERROR),
    (r"Failed to create (?:CUDA|OptiX|HIP) context", ERROR),
    (r"^Writing: .*\.crash\.txt", ERROR),
    (r"EXCEPTION_ACCESS_VIOLATION", ERROR),
    (r"Segmentation fault", ERROR),
    (r"std::bad_alloc", ERROR),
    (r"^Traceback \(most recent call last\):", WARNING),
    (r"^(\w+Error): (.*)", ERROR),
    (r"No space left on device", ERROR),
    (r"Permission denied", ERROR),
    (r"Input/output error", ERROR),
    (r"Stale file handle", ERROR),
    (r"(?i)licen[cs]e .*(?:expired|denied|lost)", ERROR),
    (r"Cannot open '(.*)'", WARNING),
    (r"(?i)cannot find (?:lib|file|image) .*", WARNING),
    (r"(?i)missing (?:texture|cache|library).*", WARNING),
    (r"Dependency cycle detected", WARNING),
    (r"Circular reference in texture stack", WARNING),
    (r"Not freed memory blocks: (\d+)", NOTE),
    (r"Image with different dimensions: (.*)", WARNING),
    (r"Object (\w+) has no (?:material|UV map)", NOTE),
    (r"NaN (?:in|at) (.*)", WARNING),
    (r"fluid: (\d+) cells", Finds::Value),
    (r"^Info: (.*)", NOTE),
];
const ERROR: Finds = Finds::Error { severity: Severity::FailItem };
const WARNING: Finds = Finds::Error { severity: Severity::Warn };
const NOTE: Finds = Finds::Error { severity: Severity::Note };

fn main() {
    // Given by `cargo test --benches`, which only wants to know that it runs.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    table::measure(&[("blender", blender), ("coloured", coloured), ("errors", errors)]);
}

fn blender() {
    measure("what Blender prints", &output(false, 2003));
}

fn coloured() {
    measure("the same, 20 % of lines coloured", &output(true, 2003));
}

fn errors() {
    measure("the same, every tenth line an error", &output(false, 10));
}

fn measure(what: &str, text: &[u8]) {
    let set = Arc::new(Set::new(patterns()).expect("sound patterns"));
    let each = regex::bytes::RegexSet::new(PATTERNS.map(|(regex, _)| regex)).expect("sound patterns");
    let (mut ours, mut lines, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let mut found = 0;
    for _ in 0..ROUNDS {
        ours.push(timed(|| found = matched(&set, text)));
        lines.push(timed(|| {
            for _ in 0..SIZE / DIFFERENT {
                black_box(memchr::memchr_iter(b'\n', text).count());
            }
        }));
        // A quarter is enough to know its speed.
        theirs.push(
            4.0 * timed(|| {
                for _ in 0..SIZE / DIFFERENT / 4 {
                    black_box(line_by_line(&each, text));
                }
            }),
        );
    }
    let (ours, lines, theirs) = (median(ours), median(lines), median(theirs));
    let speed = |seconds: f64| format!("{:.0} MB/s", SIZE as f64 / seconds / 1e6);
    let what = format!("40 patterns, 1 GiB: {what} ({found} findings kept)");
    row(
        &what,
        &speed(ours),
        &format!("counting lines: {}", speed(lines)),
        &format!("{:.2}", lines / ours),
        "≥ 300 MB/s",
    );
    row(
        &what,
        &speed(ours),
        &format!("RegexSet on each line: {}", speed(theirs)),
        &format!("{:.1}", theirs / ours),
        "–",
    );
}

/// How long work keeps a core busy, in seconds; others who want it do not count.
fn timed(work: impl FnOnce()) -> f64 {
    let busy = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).expect("a clock");
    let began = busy();
    work();
    busy().saturating_sub(began).as_secs_f64()
}

fn patterns() -> Vec<OutputPattern> {
    let pattern = |(place, (regex, finds)): (usize, (&str, Finds))| OutputPattern {
        name: format!("p{place}"),
        regexes: vec![regex.to_owned()],
        finds,
        stream: None,
        qube: false,
        origin: PatternOrigin::Backend,
    };
    PATTERNS.into_iter().enumerate().map(pattern).collect()
}

/// Reads all of it, a command each 64 MiB; how much was found.
fn matched(set: &Arc<Set>, text: &[u8]) -> usize {
    let mut matching = Matching::new(Arc::clone(set));
    let (mut at, mut found) = (0, 0);
    for command in 1..=SIZE / DIFFERENT {
        matching.begin(Stream::Stdout, Some(CommandId(command as u64)), None);
        for read in text.chunks(READ) {
            matching.read(Stream::Stdout, at, read);
            at += read.len() as u64;
        }
        found += matching.take().iter().map(|findings| findings.hits.len()).sum::<usize>();
    }
    found
}

fn line_by_line(set: &regex::bytes::RegexSet, text: &[u8]) -> usize {
    text.split(|byte| *byte == b'\n').filter(|line| set.is_match(line) && set.matches(line).iter().count() > 0).count()
}

/// What a renderer prints, with trouble in every so many lines.
fn output(coloured: bool, trouble: u64) -> Vec<u8> {
    let mut text = String::with_capacity(DIFFERENT + 256);
    let mut line = 0u64;
    while text.len() < DIFFERENT {
        line += 1;
        let (on, off) = if coloured && line.is_multiple_of(5) { ("\x1b[32m", "\x1b[0m") } else { ("", "") };
        let (frame, sample, memory) = (line / 4096, line % 4096, 1000 + line * 7919 % 3000);
        let written = match line {
            line if line % trouble == 0 => writeln!(text, "{on}Error{off}: image texture {line}.exr is not found"),
            line if line % 4096 == 0 => {
                writeln!(text, "{on}Saved{off}: '/shots/frame_{frame:04}.png'\n Time: 00:01.02 (Saving: 00:00.21)\n")
            }
            _ => writeln!(
                text,
                "{on}Fra:{frame}{off} Mem:{memory}.42M (Peak 4123.01M) | Time:00:12.{:02} | Remaining:01:03.88 | \
                 Mem:{memory}.00M, Peak:{memory}.64M | Scene, ViewLayer | Sample {sample}/4096",
                line % 100
            ),
        };
        written.expect("to memory");
    }
    text.truncate(DIFFERENT);
    text.into_bytes()
}
