//! Filtered pages and searches: they find what `grep` finds, each line in its place, in bounded steps.

use super::history_tests::new_folder;
use super::page_tests::{NoCommands, Read, query, read, reader_bytes, write_reads};
use super::*;
use crate::model::proto::{LineAnchor, OutputAt, OutputLine, OutputPage, OutputQuery};
use crate::model::*;
use proptest::prelude::*;
use std::fs;
use std::process::Command;

fn grep(pattern: &str, invert: bool) -> Grep {
    Grep { pattern: pattern.into(), case: Case::Sensitive, invert }
}

fn filter(grep: Grep) -> Filter {
    Filter { grep: Some(grep), ..Filter::default() }
}

/// Asks until the page is not partial; every time it must get further.
fn page(reader: &OutputReader, asker: &Asker, query: &OutputQuery, resolve: &dyn Resolve) -> OutputPage {
    for _ in 0..100 {
        let page = reader.page_for(asker, query, resolve).unwrap();
        if !page.partial {
            return page;
        }
    }
    panic!("it gets no further");
}

/// All lines that pass, by pages of `size`.
fn walk(reader: &OutputReader, query: &OutputQuery, size: u32, forward: bool) -> Vec<OutputLine> {
    let asker = Asker::default();
    let mut all: Vec<OutputLine> = Vec::new();
    loop {
        let known = u32::from(forward && !all.is_empty());
        let end = if forward { OutputAt::Start } else { OutputAt::End };
        let at = all.last().map_or(end, |line| OutputAt::Line(line.anchor));
        let (before, after) = if forward { (0, size + known) } else { (size, 0) };
        let query = OutputQuery { at, before, after, ..query.clone() };
        let page = page(reader, &asker, &query, &NoCommands);
        if known > 0 {
            assert_eq!(page.lines.first().map(|line| line.anchor), all.last().map(|line| line.anchor));
        }
        let mut lines: Vec<OutputLine> = page.lines.into_iter().skip(known as usize).collect();
        if !forward {
            lines.reverse();
        }
        let done = if forward { page.at_end } else { page.at_start };
        assert!(done || !lines.is_empty());
        all.extend(lines);
        if done {
            if !forward {
                all.reverse();
            }
            return all;
        }
    }
}

/// Asks until it is settled and complete.
fn search(reader: &OutputReader, asker: &Asker, query: &SearchQuery) -> Searched {
    for _ in 0..100 {
        let searched = reader.search(asker, query, &NoCommands).unwrap();
        if searched.settled && searched.complete {
            return searched;
        }
    }
    panic!("it gets no further");
}

/// The lines that a search steps over, each with its position.
fn steps(reader: &OutputReader, query: &SearchQuery, most: usize) -> (Vec<(LineAnchor, u64)>, u64) {
    let asker = Asker::default();
    let mut found = Vec::new();
    let mut query = query.clone();
    loop {
        let searched = search(reader, &asker, &query);
        let Some(line) = searched.line.filter(|_| found.len() < most) else { return (found, searched.count) };
        found.push((line, searched.position.unwrap()));
        query.from = OutputAt::Line(line);
    }
}

/// The numbers of the lines that the real one finds.
fn real_grep(path: &std::path::Path, pattern: &str, invert: bool) -> Vec<u64> {
    let mut command = Command::new("grep");
    command.env("LC_ALL", "C").args(["-anE", "-e", pattern]).args(invert.then_some("-v")).arg(path);
    let output = command.output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| String::from_utf8_lossy(line).split(':').next().unwrap().parse().unwrap()).collect()
}

fn log() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[abc01 \r\n\0]{0,20}".prop_map(String::into_bytes),
        2 => proptest::collection::vec(any::<u8>(), 0..30),
        1 => (1usize..700_000, "[ab]{0,3}\n?").prop_map(|(length, end)| [vec![b'x'; length], end.into_bytes()].concat()),
        1 => (1usize..40_000).prop_map(|lines| b"0123456\r\n".repeat(lines)),
        1 => (1usize..200_000).prop_map(|lines| b"ab\n".repeat(lines)),
    ];
    proptest::collection::vec(piece, 0..10).prop_map(|pieces| {
        // Colours are not matched by us, and are by the other.
        pieces.concat().into_iter().filter(|byte| *byte != 0x1b).collect()
    })
}

const PATTERNS: [&str; 10] = ["ab", "a|0c", "^a", "b$", "^$", "[0-9]{3}", "x{3}a", "(a|b)+c", "[^x]x", "1\r$"];

fn stdout(bytes: &[u8]) -> (tempfile::TempDir, OutputReader) {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    let read = Read { stream: Stream::Stdout, bytes: bytes.to_vec(), command: None, pause: 0, lost: false };
    write_reads(&folder, &[read]);
    let reader = OutputReader::open(&folder);
    (dir, reader)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_filter_and_a_search_find_what_grep_finds(bytes in log(), place in 0usize..10, invert: bool) {
        let (dir, reader) = stdout(&bytes);
        let path = dir.path().join("stdout");
        fs::write(&path, &bytes).unwrap();
        let expected = real_grep(&path, PATTERNS[place], invert);
        // Bytes, as the other one matches them.
        let grep = grep(&format!("(?-u){}", PATTERNS[place]), invert);
        let wanted = OutputQuery { filter: filter(grep.clone()), ..query(Some(Stream::Stdout), OutputAt::Start, 0, 0) };
        let size = 700.max(u32::try_from(expected.len() / 8).unwrap()).min(1999);
        for forward in [true, false] {
            if expected.len() > 60_000 {
                break;
            }
            let lines = walk(&reader, &wanted, size, forward);
            let numbers: Vec<u64> = lines.iter().map(|line| line.number.unwrap()).collect();
            prop_assert_eq!(&numbers, &expected);
        }
        let query = SearchQuery {
            stream: None,
            filter: Filter::default(),
            wanted: Wanted::Match(grep),
            from: OutputAt::Start,
            forward: true,
        };
        let (found, count) = steps(&reader, &query, 30);
        prop_assert_eq!(count, expected.len() as u64);
        let positions = |found: &[(LineAnchor, u64)]| found.iter().map(|(_, position)| *position).collect::<Vec<_>>();
        prop_assert_eq!(positions(&found), (1..=count.min(30)).collect::<Vec<_>>());
        for ((line, _), number) in found.iter().zip(&expected) {
            let newlines = memchr::memchr_iter(b'\n', &bytes[..usize::try_from(line.offset).unwrap()]).count();
            prop_assert_eq!(newlines as u64 + 1, *number);
        }
        let back = SearchQuery { from: OutputAt::End, forward: false, ..query };
        let (found, _) = steps(&reader, &back, 30);
        prop_assert_eq!(positions(&found), (1..=count).rev().take(30).collect::<Vec<_>>());
    }

    #[test]
    fn pages_tile_what_passes_with_what_stands_around_it(
        reads in proptest::collection::vec(read(), 0..8),
        size in 1u32..50,
        context in 0u32..4,
        place in 0usize..6,
        invert: bool,
    ) {
        let reads: Vec<Read> = reads.into_iter().map(|read| Read { lost: false, ..read }).collect();
        let dir = tempfile::tempdir().unwrap();
        let folder = new_folder(dir.path());
        write_reads(&folder, &reads);
        let reader = OutputReader::open(&folder);
        let grep = grep(["ab", "^a", "x", "b$", "q", "456$"][place], invert);
        let pattern = Pattern::new(&grep).unwrap();
        let all = walk(&reader, &query(None, OutputAt::Start, 0, 0), 1900, true);
        let matches: Vec<bool> = all
            .iter()
            .map(|line| {
                let bytes = reader_bytes(&reader, line);
                pattern.wants(bytes.strip_suffix(b"\n").unwrap_or(&bytes))
            })
            .collect();
        let mut expected: Vec<OutputLine> = Vec::new();
        let mut last = None;
        for (number, line) in all.iter().enumerate() {
            let near = number.saturating_sub(context as usize)..(number + context as usize + 1).min(all.len());
            if matches[near].contains(&true) {
                expected.push(OutputLine { context: !matches[number], gap: last.is_some_and(|last| last + 1 < number), ..line.clone() });
                last = Some(number);
            }
        }
        let filter = Filter { context, ..filter(grep) };
        let wanted = OutputQuery { filter, ..query(None, OutputAt::Start, 0, 0) };
        let size = size.max(u32::try_from(expected.len() / 15).unwrap()).min(1999);
        prop_assert_eq!(&walk(&reader, &wanted, size, true), &expected);
        let backwards = walk(&reader, &wanted, size, false);
        let ungapped = |lines: &[OutputLine]| {
            lines.iter().map(|line| OutputLine { gap: false, ..line.clone() }).collect::<Vec<_>>()
        };
        prop_assert_eq!(ungapped(&backwards), ungapped(&expected));
        // From any line, both ways at once.
        if let Some(middle) = all.get(all.len() / 2) {
            let at = OutputAt::Line(middle.anchor);
            let both = page(&reader, &Asker::default(), &OutputQuery { at, before: 9, after: 9, ..wanted }, &NoCommands);
            let split = expected.iter().position(|line| {
                all.iter().position(|other| other.anchor == line.anchor) >= Some(all.len() / 2)
            }).unwrap_or(expected.len());
            let mut there = expected[split.saturating_sub(9)..(split + 9).min(expected.len())].to_vec();
            if let Some(first) = there.first_mut() {
                first.gap = false;
            }
            prop_assert_eq!(both.lines, there);
        }
    }
}
