//! Search: the first match and the count of all in 1 GiB of output, against `rg --count` with one thread.

use super::table::{median, row};
use childminder::model::proto::OutputAt;
use childminder::model::{Case, Filter, Grep, Job, Marks, Micros, SearchQuery, Searched, Stream, Wanted};
use childminder::store::{Asker, Folder, Output, OutputReader, Places, SessionFile};
use std::fmt::Write;
use std::process::Command;
use std::time::Instant;

/// Bytes of output.
const SIZE: u64 = 1 << 30;
/// Rounds of ours and of the other, taking turns.
const ROUNDS: usize = 7;
/// What is looked for, and whether letters in other case match.
const PATTERNS: [(&str, &str, bool); 3] = [
    ("a rare literal", "CUDA error: out of memory", false),
    ("a word in any case", "warning", true),
    ("a regex", r"(error|cannot|failed).*(texture|[0-9]+ bytes)", false),
];

pub(crate) fn measure() {
    for coloured in [false, true] {
        let room = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let folder = Folder::create(room.path(), &SessionFile::new(Job::default(), None)).expect("a session");
        fill(&folder, coloured);
        for (what, pattern, insensitive) in PATTERNS {
            let colours = if coloured { ", 20 % of lines coloured" } else { "" };
            measure_one(&folder, &format!("search of 1 GiB: {what}{colours}"), pattern, insensitive);
        }
    }
}

fn measure_one(folder: &Folder, what: &str, pattern: &str, insensitive: bool) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut found = 0;
    for round in 0..=ROUNDS {
        let (searched, seconds) = timed(|| search(folder, pattern, insensitive));
        let (counted, other) = timed(|| ripgrep(folder, pattern, insensitive));
        // The first one brings the file into the page cache.
        if round > 0 {
            ours.push(seconds);
            theirs.extend(counted.map(|_| other));
        }
        found = searched.count;
    }
    let ours = median(ours);
    let speed = |seconds: f64| format!("{:.0} ms, {:.1} GB/s", seconds * 1e3, SIZE as f64 / seconds / 1e9);
    let (against, ratio) = if theirs.is_empty() {
        ("ripgrep is not installed".to_owned(), "–".to_owned())
    } else {
        let theirs = median(theirs);
        (format!("rg -j1 --count: {}", speed(theirs)), format!("{:.2}", theirs / ours))
    };
    row(&format!("{what} ({found} lines)"), &speed(ours), &against, &ratio, "≥ 0.7");
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let began = Instant::now();
    (work(), began.elapsed().as_secs_f64())
}

/// Asks until all is counted, as a window does.
fn search(folder: &Folder, pattern: &str, insensitive: bool) -> Searched {
    let case = if insensitive { Case::Insensitive } else { Case::Sensitive };
    let query = SearchQuery {
        stream: None,
        filter: Filter::default(),
        wanted: Wanted::Match(Grep { pattern: pattern.into(), case, invert: false }),
        from: OutputAt::Start,
        forward: true,
    };
    let (reader, asker) = (OutputReader::open(folder), Asker::default());
    loop {
        let searched = reader.search(&asker, &query, &Places::default()).expect("searched");
        if searched.settled && searched.complete {
            return searched;
        }
    }
}

fn ripgrep(folder: &Folder, pattern: &str, insensitive: bool) -> Option<u64> {
    let mut command = Command::new("rg");
    command.args(["--no-config", "--threads", "1", "--count"]).args(insensitive.then_some("-i"));
    let output = command.args(["-e", pattern]).arg(folder.output(Stream::Stdout)).output().ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

/// What a renderer prints: progress, now and then a warning, rarely trouble.
fn fill(folder: &Folder, coloured: bool) {
    let mut output = Output::open(folder, Marks::default(), 0).expect("output");
    let (mut at, mut line) = (0, 0u64);
    let mut block = String::new();
    while at < SIZE {
        block.clear();
        while block.len() < 1 << 20 {
            line += 1;
            let (on, off) = if coloured && line.is_multiple_of(5) { ("\x1b[32m", "\x1b[0m") } else { ("", "") };
            let (frame, sample, memory) = (line / 4096, line % 4096, 1000 + line * 7919 % 3000);
            let written = match line {
                line if line % 3_000_001 == 0 => writeln!(block, "{on}CUDA error{off}: out of memory in cuMemAlloc"),
                line if line % 2003 == 0 => writeln!(block, "{on}Warning{off}: image texture {line}.exr is not found"),
                line if line % 9001 == 0 => writeln!(block, "{on}failed{off} to read {memory} bytes of a texture"),
                _ => writeln!(
                    block,
                    "{on}Fra:{frame}{off} Mem:{memory}.42M (Peak 4123.01M) | Time:00:12.{} | Remaining:01:03.88 | \
                     Mem:{memory}M | Scene, ViewLayer | Sample {sample}/4096",
                    line % 100
                ),
            };
            written.expect("to memory");
        }
        output.stdout.append(at, block.as_bytes(), None, Micros(at), Micros(at));
        at += block.len() as u64;
    }
}
