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
    #![proptest_config(ProptestConfig::with_cases(8))]

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

fn seek(pattern: &str, from: OutputAt, forward: bool) -> SearchQuery {
    SearchQuery { stream: None, filter: Filter::default(), wanted: Wanted::Match(grep(pattern, false)), from, forward }
}

#[test]
fn a_search_that_is_not_wanted_any_more_ends_and_one_that_is_asked_again_goes_on() {
    let (_dir, reader) = stdout(&b"nothing of interest\n".repeat(200_000));
    let asker = Asker::default();
    asker.wish.end();
    let query = seek("needle", OutputAt::Start, true);
    assert_eq!(reader.search(&asker, &query, &NoCommands).unwrap(), Searched::default());
    let filtered = OutputQuery { filter: filter(grep("needle", false)), ..self::query(None, OutputAt::End, 10, 10) };
    let page = reader.page_for(&asker, &filtered, &NoCommands).unwrap();
    assert_eq!((page.lines.len(), page.partial, page.at_start, page.at_end), (0, true, false, true));
    let asker = Asker { memory: asker.memory, ..Asker::default() };
    let searched = reader.search(&asker, &query, &NoCommands).unwrap();
    assert_eq!(searched, Searched { settled: true, complete: true, ..Searched::default() });
    // What is known needs no looking, so that it is answered though nothing may be looked at.
    asker.wish.end();
    assert_eq!(reader.search(&asker, &query, &NoCommands).unwrap(), searched);
}

#[test]
fn more_than_one_answer_may_look_at_is_searched_in_steps() {
    let text = [b"needle\n".to_vec(), b"nothing of interest\n".repeat(600_000), b"needle\nneedle".to_vec()].concat();
    let size = text.len() as u64;
    let (_dir, reader) = stdout(&text);
    let asker = Asker::default();
    let query = seek("needle", OutputAt::Line(LineAnchor { stream: Stream::Stdout, offset: 0 }), true);
    let first = reader.search(&asker, &query, &NoCommands).unwrap();
    assert!(!first.complete && first.count == 1, "{first:?}");
    let found = search(&reader, &asker, &query);
    let line = Some(LineAnchor { stream: Stream::Stdout, offset: size - 13 });
    assert_eq!(found, Searched { line, settled: true, count: 3, position: Some(2), complete: true });
    let tail = OutputQuery { filter: filter(grep("needle", false)), ..self::query(None, OutputAt::End, 3, 0) };
    let page = page(&reader, &asker, &tail, &NoCommands);
    let offsets: Vec<u64> = page.lines.iter().map(|line| line.anchor.offset).collect();
    assert_eq!((offsets, page.at_start), (vec![0, size - 13, size - 6], true));
}

#[test]
fn a_line_that_costs_a_whole_answer_is_passed_both_ways() {
    let tiles = b"tile 01 of 99\n".repeat(60_000);
    let long = [b"x".repeat(5 << 20), b"end\n".to_vec()].concat();
    let other = [&long, &tiles, &long, &long, &b"last\n".to_vec()].map(Vec::as_slice).concat();
    let text = [&b"first\n".to_vec(), &tiles, &long, &tiles, &tiles, &long, &tiles].map(Vec::as_slice).concat();
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    let read = |stream, bytes| Read { stream, bytes, command: None, pause: 0, lost: false };
    write_reads(&folder, &[read(Stream::Stdout, text), read(Stream::Stderr, other)]);
    let reader = OutputReader::open(&folder);
    for grep in [grep("^first|end$|^last", false), grep("^tile", true)] {
        let wanted = OutputQuery { filter: filter(grep.clone()), ..query(None, OutputAt::Start, 0, 0) };
        let lines = walk(&reader, &wanted, 1, true);
        assert_eq!(lines.len(), 7);
        assert_eq!(lines.iter().map(|line| line.anchor).collect::<Vec<_>>(), {
            walk(&reader, &wanted, 1, false).iter().map(|line| line.anchor).collect::<Vec<_>>()
        });
        // Both ways at once, from a line that costs as much.
        let at = OutputAt::Line(lines[2].anchor);
        let both = page(&reader, &Asker::default(), &OutputQuery { at, before: 9, after: 9, ..wanted }, &NoCommands);
        assert_eq!(both.lines.len(), 7);
        let forward = SearchQuery { wanted: Wanted::Match(grep), ..seek("", OutputAt::Start, true) };
        let backward = SearchQuery { from: OutputAt::End, forward: false, ..forward.clone() };
        let (found, count) = steps(&reader, &forward, 9);
        assert_eq!((found.iter().map(|(_, position)| *position).collect::<Vec<_>>(), count), ((1..=7).collect(), 7));
        let (mut back, _) = steps(&reader, &backward, 9);
        back.reverse();
        assert_eq!(back, found);
    }
}

#[test]
fn counts_and_pages_keep_up_with_output_that_grows() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    let mut output = Output::open(&folder, Marks::default(), 0).unwrap();
    let reader = OutputReader::open(&folder);
    let asker = Asker::default();
    let (mut at, mut text) = (0, Vec::new());
    for round in 0..40u64 {
        // Lines are cut anywhere, and pass over the borders of chunks.
        let mut bytes = format!("line {round}\nhit").repeat(7000).into_bytes();
        bytes.truncate(bytes.len() - usize::try_from(round % 9).unwrap());
        output.stdout.append(at, &bytes, None, Micros(round), Micros(round));
        at += bytes.len() as u64;
        text.extend(bytes);
        let pattern = Pattern::new(&grep("hitline|t$", false)).unwrap();
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let wanted = lines.iter().filter(|line| pattern.wants(line)).count() as u64;
        let found = search(&reader, &asker, &seek("hitline|t$", OutputAt::End, false));
        assert_eq!((found.count, found.position), (wanted, Some(wanted)), "in round {round}");
        let tail = OutputQuery { filter: filter(grep("hitline|t$", false)), ..query(None, OutputAt::End, 3, 0) };
        let last = page(&reader, &asker, &tail, &NoCommands).lines.pop().unwrap();
        assert_eq!(Some(last.anchor), found.line);
    }
}

#[test]
fn what_was_lost_matches_nothing_and_parts_lines() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    let mut output = Output::open(&folder, Marks::default(), 0).unwrap();
    output.stdout.append(0, b"hit 1\nhit", None, Micros(1), Micros(1));
    output.stdout.append(3 << 40, b"2\nhit 3\n", None, Micros(2), Micros(2));
    drop(output);
    let reader = OutputReader::open(&folder);
    let offsets = |grep: Grep| {
        let query = OutputQuery { filter: filter(grep), ..query(None, OutputAt::Start, 0, 9) };
        let lines = page(&reader, &Asker::default(), &query, &NoCommands).lines;
        lines.iter().map(|line| line.anchor.offset).collect::<Vec<_>>()
    };
    assert_eq!(offsets(grep("hit", false)), [0, 6, (3 << 40) + 2]);
    assert_eq!(offsets(grep("^2|hit$", false)), [6, 3 << 40]);
    assert_eq!(offsets(grep("\\x00", false)), [0; 0]);
    assert_eq!(offsets(grep("hit", true)), [9, 3 << 40]);
    let searched = search(&reader, &Asker::default(), &seek("hit", OutputAt::End, false));
    assert_eq!((searched.count, searched.position), (3, Some(3)));
}

#[test]
fn colours_are_not_matched_and_lines_are_found_whole() {
    let (_dir, reader) = stdout(b"\x1b[31mERR\x1b[0mOR\x1b[K one\nplain\n\x1b[1mERROR\x1b[m\n");
    let query = OutputQuery { filter: filter(grep("^ERROR", false)), ..query(None, OutputAt::Start, 0, 9) };
    let page = page(&reader, &Asker::default(), &query, &NoCommands);
    assert_eq!(page.lines.iter().map(|line| line.number.unwrap()).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(page.lines[1].text, "\x1b[1mERROR\x1b[m");
    assert!(page.lines[1].gap && !page.lines[0].gap);
}

#[test]
fn nothing_after_an_earlier_time_is_shown_matched_or_counted() {
    let (_dir, reader) = stdout(b"hit 1\nhit 2\nhit 3\n");
    let then = Places::default().upto(Some(Marks { stdout: 9, stderr: 0 }));
    let all = reader.page(&query(None, OutputAt::End, 9, 9), &then).unwrap();
    assert_eq!(
        all.lines.iter().map(|line| (line.text.as_str(), line.open)).collect::<Vec<_>>(),
        [("hit 1", false), ("hit", true)]
    );
    let asker = Asker::default();
    let searched = |places: &Places| reader.search(&asker, &seek("hit [0-9]", OutputAt::End, false), places).unwrap();
    assert_eq!((searched(&then).count, searched(&Places::default()).count, searched(&then).count), (1, 3, 1));
}

struct Item(Vec<Slice>);

impl Resolve for Item {
    fn slice(&self, _: CommandId) -> Option<Slice> {
        None
    }
    fn first_command(&self, _: ItemIndex) -> Option<CommandId> {
        None
    }
    fn item_slices(&self, _: ItemIndex) -> Vec<Slice> {
        self.0.clone()
    }
}

#[test]
fn an_items_lines_are_those_that_begin_in_its_slices() {
    let (_dir, reader) = stdout(b"0 hit\n1 hit\n2 hit\n3 hit\n4 hit\n");
    let slice = |from, to| Slice { from: Marks { stdout: from, stderr: 0 }, to: Some(Marks { stdout: to, stderr: 0 }) };
    let item = Item(vec![slice(3, 12), slice(24, 30)]);
    let filter = Filter { item: Some(ItemIndex(0)), ..Filter::default() };
    let numbers = |filter: Filter, at, before, after| {
        let query = OutputQuery { filter, ..query(None, at, before, after) };
        let page = page(&reader, &Asker::default(), &query, &item);
        let numbers: Vec<u64> = page.lines.iter().map(|line| line.number.unwrap()).collect();
        (numbers, page.at_start, page.at_end)
    };
    assert_eq!(numbers(filter.clone(), OutputAt::Start, 0, 9), (vec![2, 5], true, true));
    assert_eq!(numbers(filter.clone(), OutputAt::End, 1, 0), (vec![5], false, true));
    let both = Filter { grep: Some(grep("[2-5] hit", false)), context: 1, ..filter.clone() };
    assert_eq!(numbers(both.clone(), OutputAt::End, 9, 0), (vec![2, 5], true, true));
    let asker = Asker::default();
    let query = SearchQuery { filter, ..seek("hit", OutputAt::End, false) };
    let found = reader.search(&asker, &query, &item).unwrap();
    assert_eq!((found.line.map(|line| line.offset), found.count, found.position), (Some(24), 2, Some(2)));
    // The item runs on: its lines are others than those that were counted.
    let more = Item(vec![slice(3, 12), slice(12, 30)]);
    assert_eq!(reader.search(&asker, &query, &more).unwrap().count, 4);
}
