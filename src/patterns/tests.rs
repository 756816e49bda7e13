//! What is found does not depend on how the bytes come, and is what a look at each line by itself finds.

use super::gather::most;
use super::lines::LINE;
use super::*;
use crate::model::sgr::Plain;
use crate::model::{CommandId, Finds, Marks, OutputPattern, PatternOrigin, ProgressReads, Severity, Stream};
use ::regex::bytes::{Regex, RegexBuilder};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

const FAIL: Finds = Finds::Error { severity: Severity::FailItem };
const PERCENT: Finds = Finds::Progress { reads: ProgressReads::Percent };
const FRAME: Finds = Finds::Progress { reads: ProgressReads::Frame };
const K_OF_N: Finds = Finds::Progress { reads: ProgressReads::KOfN };

fn pattern(name: &str, regex: &str, finds: Finds) -> OutputPattern {
    OutputPattern {
        name: name.into(),
        regexes: vec![regex.into()],
        finds,
        stream: None,
        qube: false,
        origin: PatternOrigin::Job,
    }
}

fn set(patterns: Vec<OutputPattern>) -> Arc<Set> {
    for pattern in &patterns {
        assert_eq!(check(pattern), Ok(()), "{pattern:?}");
    }
    Arc::new(Set::new(patterns).expect("sound patterns"))
}

/// Patterns of all kinds: with long texts and short ones, with none, with texts that overlap, of one stream.
fn many() -> Vec<OutputPattern> {
    let mut all = vec![
        pattern("long", "Error: (.*)", FAIL),
        pattern("overlaps", "rror: a", Finds::Highlight),
        pattern("within", "Err", Finds::Highlight),
        pattern("short", "([0-9]+)%", PERCENT),
        pattern("anchored", "^b+$", Finds::Highlight),
        pattern("nothing", "^[0-9]+$", Finds::Value),
        pattern("words", r"\b(a\w*)\b", Finds::Output),
        pattern("of", "([0-9])/([0-9])$|([0-9])b([0-9])", K_OF_N),
        pattern("time", "^t?([0-9:]+)$", Finds::Time),
        pattern("frame", "^b([0-9]+)", FRAME),
        pattern("other frame", "a([0-9])$", FRAME),
        OutputPattern { stream: Some(Stream::Stderr), ..pattern("stderr", "Err|a", Finds::Highlight) },
        OutputPattern::of_qube("qube", "error\n  (a)|(b)1  \n\n[0-9]:", FAIL),
        OutputPattern::of_qube("qube percent", "([0-9]+)%\n%(1?)", PERCENT),
    ];
    all.push(OutputPattern { qube: true, ..pattern("qube output", "a(b*)(1*)", Finds::Output) });
    all
}

static SET: LazyLock<Arc<Set>> = LazyLock::new(|| set(many()));
static REGEXES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let joined =
        |pattern: &OutputPattern| pattern.regexes.iter().map(|regex| format!("(?:{regex})")).collect::<Vec<_>>();
    let all = many().into_iter().map(|pattern| (joined(&pattern).join("|"), pattern.qube));
    all.map(|(regex, qube)| RegexBuilder::new(&regex).case_insensitive(qube).build().expect("sound")).collect()
});

/// Part of a stream, and the command that printed it.
type Slice = (Option<u64>, Vec<u8>);

/// Each line by itself, each pattern by itself.
fn naively(patterns: &[OutputPattern], stream: Stream, slices: &[Slice]) -> Vec<Findings> {
    let (mut at, mut all) = (0, Vec::<Findings>::new());
    for (command, bytes) in slices {
        let mut findings = Findings { command: command.map(CommandId), ..Findings::default() };
        let mut kept = vec![0; patterns.len()];
        let mut last = BTreeMap::new();
        let mut frame = None;
        for (start, line) in naive_lines(bytes) {
            let mut plain = Plain::default();
            plain.fill_by(line, escapes::length);
            for (place, pattern) in patterns.iter().enumerate().filter(|(_, pattern)| pattern.finds == FRAME) {
                for (_, reading) in naive_matches(pattern, &REGEXES[place], stream, &plain.bytes) {
                    frame = if let Reading::Frame(named) = reading { Some(named) } else { None };
                }
            }
            for (place, pattern) in patterns.iter().enumerate() {
                for (text, reading) in naive_matches(pattern, &REGEXES[place], stream, &plain.bytes) {
                    let frame = frame.filter(|_| matches!(reading, Reading::Fraction(_)));
                    let hit = Hit { pattern: place, stream, at: at + start as u64, text, reading, frame };
                    if !matches!(pattern.finds, Finds::Error { .. } | Finds::Highlight | Finds::Output) {
                        last.insert(place, hit);
                    } else if kept[place] < most(pattern.finds) {
                        kept[place] += 1;
                        findings.hits.push(hit);
                    } else {
                        findings.left_out += 1;
                    }
                }
            }
        }
        let mut last: Vec<Hit> = last.into_values().collect();
        last.sort_by_key(|hit| (hit.at, !matches!(hit.reading, Reading::Frame(_)), hit.pattern));
        findings.hits.extend(last);
        at += bytes.len() as u64;
        if findings != (Findings { command: findings.command, ..Findings::default() }) {
            all.push(findings);
        }
    }
    all
}

fn naive_lines(bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let (mut start, mut lines) = (0, Vec::new());
    for line in bytes.split(|byte| matches!(byte, b'\n' | b'\r')) {
        lines.extend(line.chunks(LINE).enumerate().map(|(nth, part)| (start + nth * LINE, part)));
        start += line.len() + 1;
    }
    lines
}

fn naive_matches(pattern: &OutputPattern, regex: &Regex, stream: Stream, line: &[u8]) -> Vec<(String, Reading)> {
    if pattern.stream.is_some_and(|only| only != stream) || line.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for captures in regex.captures_iter(line) {
        let groups: Vec<&[u8]> = captures.iter().skip(1).flatten().map(|group| group.as_bytes()).collect();
        let of_line = matches!(pattern.finds, Finds::Error { .. } | Finds::Highlight);
        if pattern.qube {
            let groups: Vec<_> = groups.into_iter().filter(|group| !group.is_empty()).collect();
            found.extend(groups.iter().filter_map(|group| reading::read(pattern.finds, &[group])));
            continue;
        }
        let all = if of_line { line } else { &captures[0] };
        let groups = if groups.is_empty() { vec![all] } else { groups };
        return reading::read(pattern.finds, &groups).into_iter().collect();
    }
    found
}

/// The bytes of these slices, cut at these places of the whole stream.
fn matched(set: &Arc<Set>, stream: Stream, slices: &[Slice], cuts: &[usize]) -> Vec<Findings> {
    let mut matching = Matching::new(Arc::clone(set));
    let mut at = 0;
    for (command, bytes) in slices {
        matching.begin(stream, command.map(CommandId), None);
        let mut from = 0;
        let ends = cuts.iter().filter_map(|cut| cut.checked_sub(at)).filter(|cut| *cut < bytes.len());
        for end in ends.chain([bytes.len()]) {
            if end > from {
                matching.read(stream, (at + from) as u64, &bytes[from..end]);
                from = end;
            }
        }
        at += bytes.len();
    }
    matching.end(stream);
    matching.take()
}

/// A part of a line that few others fit beside.
const LONG: &str =
    "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 012345";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_found_does_not_depend_on_the_reads(
        texts in proptest::collection::vec(
            proptest::collection::vec(
                prop_oneof![
                    4 => Just("Error: a"), 2 => Just("Err"), 2 => Just("error"), 4 => Just("a"), 3 => Just("b"),
                    2 => Just("12"), 2 => Just("1"), 2 => Just("%"), 2 => Just("/"), 1 => Just(":"), 1 => Just(" "),
                    6 => Just("\n"), 2 => Just("\r"), 1 => Just("\r\n"), 1 => Just("é"), 1 => Just(LONG),
                    2 => Just("\x1b[31m"), 1 => Just("\x1b]0;a\x07"), 1 => Just("\x1b"), 1 => Just("\x1b]0;"),
                    2 => Just("1%\n2%\n3%\n1b2\nb7\n3b4\n"),
                ],
                0..60,
            ),
            1..5,
        ),
        mut cuts in proptest::collection::vec(0usize..1500, 0..40),
        stderr: bool,
    ) {
        let stream = if stderr { Stream::Stderr } else { Stream::Stdout };
        let slices: Vec<Slice> = (1..).zip(texts).map(|(id, text)| (Some(id), text.concat().into_bytes())).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let wanted = naively(&many(), stream, &slices);
        prop_assert_eq!(&matched(&SET, stream, &slices, &cuts), &wanted);
        prop_assert_eq!(&matched(&SET, stream, &slices, &[]), &wanted);
        let each: Vec<usize> = (0..5000).collect();
        prop_assert_eq!(&matched(&SET, stream, &slices, &each), &wanted);
    }

    #[test]
    fn no_regex_and_no_line_breaks_it(regex in ".{0,30}", line in proptest::collection::vec(any::<u8>(), 0..200), qube: bool) {
        let pattern = OutputPattern { qube, ..pattern("any", &regex, Finds::Output) };
        if check(&pattern).is_ok() {
            let set = Arc::new(Set::new(vec![pattern]).expect("checked"));
            matched(&set, Stream::Stdout, &[(None, line)], &[17]);
        }
    }
}

fn texts(found: &[Findings]) -> Vec<(Option<u64>, u64, &str)> {
    let hits = found.iter().flat_map(|findings| findings.hits.iter().map(|hit| (findings.command, hit)));
    hits.map(|(command, hit)| (command.map(|command| command.0), hit.at, hit.text.as_str())).collect()
}

#[test]
fn a_line_ends_where_the_output_of_its_command_ends() {
    let set = set(vec![pattern("error", "Error: .*", FAIL)]);
    let slices =
        [(Some(1), b"Error: one".to_vec()), (Some(2), b"Error: two\nErr".to_vec()), (None, b"or: x\n".to_vec())];
    assert_eq!(
        texts(&matched(&set, Stream::Stdout, &slices, &[])),
        [(Some(1), 0, "Error: one"), (Some(2), 10, "Error: two")]
    );
}

#[test]
fn a_line_without_an_end_is_seen_when_somebody_waits_for_it() {
    let mut matching = Matching::new(set(vec![pattern("error", "Error", FAIL)]));
    matching.begin(Stream::Stdout, Some(CommandId(1)), None);
    matching.read(Stream::Stdout, 0, b"x\nError");
    assert!(matching.take().is_empty());
    matching.end_before(Marks { stdout: 2, stderr: 9 });
    assert!(matching.take().is_empty(), "it began where nobody waits for");
    matching.end_before(Marks { stdout: 7, stderr: 0 });
    assert_eq!(texts(&matching.take()), [(Some(1), 2, "Error")]);
}

#[test]
fn of_a_flood_the_first_are_kept_and_the_others_counted() {
    let set = set(vec![pattern("error", "Error", FAIL), pattern("percent", "([0-9]+)%", PERCENT)]);
    let text = (0..1000).map(|nth| format!("Error {}%\n", nth % 100)).collect::<Vec<_>>().concat();
    let found = matched(&set, Stream::Stdout, &[(Some(1), text.into_bytes())], &[]);
    assert_eq!((found.len(), found[0].hits.len(), found[0].left_out), (1, 51, 950));
    assert_eq!(found[0].hits[50].reading, Reading::Fraction(0.99));
}

#[test]
fn repeated_commands_are_not_looked_at() {
    let source = "print('Error: no')\n\nif 1:\n    print('Error: yes')\n";
    let echo = echo_of(">>> ", source);
    assert_eq!(echo, b">>> print('Error: no')\n\nif 1:\n    print('Error: yes')");
    let mut matching = Matching::new(set(vec![pattern("error", "Error: .*", FAIL)]));
    matching.begin(Stream::Stdout, Some(CommandId(1)), Some(&echo));
    let printed = [&echo, b"\nError: no\nError: yes\n".as_slice(), b"    print('Error: yes')\n"].concat();
    // Another thread's line comes in between.
    let at = echo.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
    matching.read(Stream::Stdout, 0, &printed[..at]);
    matching.read(Stream::Stdout, at as u64, b"Error: other\n");
    matching.read(Stream::Stdout, at as u64 + 13, &printed[at..]);
    let found = matching.take();
    let told: Vec<_> = texts(&found).into_iter().map(|(_, _, text)| text).collect();
    // What is printed once more is not an echo.
    assert_eq!(told, ["Error: other", "Error: no", "Error: yes", "print('Error: yes')"]);
}

/// What Blender 3.4 and later ones print, to the letter.
const BLENDER: &str = "\
Blender 3.4.1
Fra:1 Mem:9.35M (Peak 9.42M) | Time:00:00.00 | Mem:0.00M, Peak:0.00M | Scene, ViewLayer | Synchronizing object | Cube
Fra:1 Mem:10.21M (Peak 10.47M) | Time:00:00.08 | Mem:0.76M, Peak:0.76M | Scene, ViewLayer | Sample 0/32
Fra:1 Mem:11.10M (Peak 11.10M) | Time:00:00.11 | Remaining:00:00.72 | Mem:1.64M, Peak:1.64M | Scene, ViewLayer | Sample 1/32
Fra:1 Mem:11.98M (Peak 13.74M) | Time:00:00.80 | Mem:1.64M, Peak:1.64M | Scene, ViewLayer | Finished
Saved: '/shots/frame_0001.png'
 Time: 00:01.02 (Saving: 00:00.21)

Fra:3 Mem:12.20M (Peak 13.33M) | Time:00:00.93 | Syncing Cube
Fra:3 Mem:12.21M (Peak 13.33M) | Time:00:05.36 | Rendering 26 / 64 samples
Time: 01:00:05.40
00:01.082  render           | Saved: '/path.png'
Error: Cannot read file '/nope.blend': No such file or directory
Warning: File written by newer Blender binary
Error: System is out of GPU memory
Writing: /tmp/blender.crash.txt
Fra:1 Mem:11.98M (Peak 13.74M) | Time:00:00.80 | Mem:1.64M, Peak:1.64M | Scene, ViewLayer | Cancelled
Blender quit
";

#[test]
fn the_recipe_for_blender_knows_what_blender_prints() {
    let recipe = include_str!("../../assets/backends/blender.toml");
    let recipe = crate::backend::Recipe::parse("blender", recipe).unwrap_or_else(|errors| panic!("{errors}"));
    let patterns = recipe.patterns;
    let set = set(patterns.clone());
    // A line at a time, so that each match is seen.
    let mut matching = Matching::new(set);
    let mut told: Vec<(String, String)> = Vec::new();
    for line in BLENDER.split_inclusive('\n') {
        matching.read(Stream::Stdout, 0, line.as_bytes());
        let hits = matching.take().into_iter().flat_map(|findings| findings.hits);
        told.extend(hits.map(|hit| (patterns[hit.pattern].name.clone(), hit.text)));
    }
    let of =
        |name: &str| told.iter().filter(|(known, _)| known == name).map(|(_, text)| text.as_str()).collect::<Vec<_>>();
    assert_eq!(of("samples"), ["0", "1", "26"]);
    assert_eq!(of("frame"), ["1", "1", "1", "1", "3", "3", "1"]);
    assert_eq!(of("saved"), ["/shots/frame_0001.png", "/path.png"]);
    assert_eq!(of("render_time"), ["00:01.02", "01:00:05.40"]);
    assert_eq!(of("peak_memory"), ["9.42M", "10.47M", "11.10M", "13.74M", "13.33M", "13.33M", "13.74M"]);
    assert_eq!(of("cancelled").len(), 1);
    assert_eq!(of("out_of_memory"), ["Error: System is out of GPU memory"]);
    assert_eq!(
        of("error"),
        ["Cannot read file '/nope.blend': No such file or directory", "System is out of GPU memory"]
    );
    assert_eq!(of("warning"), ["File written by newer Blender binary"]);
    assert_eq!(of("crashed"), ["Writing: /tmp/blender.crash.txt"]);
}
