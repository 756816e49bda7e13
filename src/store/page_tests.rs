//! Pages of output: the same whatever the reads were, in order, whole, and bounded.

use super::history_tests::new_folder;
use super::*;
use crate::model::proto::{LineAnchor, OutputAt, OutputLine, OutputPage, OutputQuery};
use crate::model::*;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

/// One read of the child's output; `lost` ones never reach the store.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) stream: Stream,
    pub(super) bytes: Vec<u8>,
    pub(super) command: Option<CommandId>,
    pub(super) pause: u64,
    pub(super) lost: bool,
}

pub(super) fn read() -> impl Strategy<Value = Read> {
    let bytes = prop_oneof![
        "[ab\n]{0,12}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..9),
        (1usize..200_000).prop_map(|length| vec![b'x'; length]),
        (1usize..9_000).prop_map(|lines| b"0123456\n".repeat(lines)),
    ];
    let stream = proptest::sample::select([Stream::Stdout, Stream::Stderr].as_slice());
    (stream, bytes, proptest::option::of(1u64..4), 0u64..20_000, 0u8..10).prop_map(
        |(stream, bytes, command, pause, lost)| Read {
            stream,
            bytes,
            command: command.map(CommandId),
            pause,
            lost: lost == 0,
        },
    )
}

pub(super) fn write_reads(folder: &Folder, reads: &[Read]) {
    let mut output = Output::open(folder, Marks::default(), 0).unwrap();
    let mut now = Micros(1_000_000);
    let mut at = [0u64; 2];
    for read in reads {
        now = Micros(now.0 + read.pause);
        let (writer, at) = match read.stream {
            Stream::Stdout => (&mut output.stdout, &mut at[0]),
            Stream::Stderr => (&mut output.stderr, &mut at[1]),
        };
        if !read.lost {
            writer.append(*at, &read.bytes, read.command, now, now);
        }
        *at += read.bytes.len() as u64;
    }
    for (writer, at) in [(&mut output.stdout, at[0]), (&mut output.stderr, at[1])] {
        writer.append(at, &[], None, now, now);
    }
}

pub(super) struct NoCommands;

impl Resolve for NoCommands {
    fn slice(&self, _: CommandId) -> Option<Slice> {
        None
    }
    fn first_command(&self, _: ItemIndex) -> Option<CommandId> {
        None
    }
    fn item_slices(&self, _: ItemIndex) -> Vec<Slice> {
        Vec::new()
    }
}

pub(super) fn query(stream: Option<Stream>, at: OutputAt, before: u32, after: u32) -> OutputQuery {
    OutputQuery { stream, at, before, after, command: None, filter: Filter::default(), raw: false }
}

fn page(reader: &OutputReader, query: &OutputQuery) -> OutputPage {
    reader.page(query, &NoCommands).unwrap()
}

/// All lines, by pages of `size` forwards.
fn forwards(reader: &OutputReader, stream: Option<Stream>, size: u32, raw: bool) -> Vec<OutputLine> {
    let mut all: Vec<OutputLine> = Vec::new();
    loop {
        let at = all.last().map_or(OutputAt::Start, |line| OutputAt::Line(line.anchor));
        let skip = usize::from(!all.is_empty());
        let page = page(reader, &OutputQuery { raw, ..query(stream, at, 0, size + 1) });
        assert!(
            page.at_start == (page.lines.first().map(|line| line.anchor) == all.first().map(|line| line.anchor))
                || skip == 0
        );
        all.extend(page.lines.into_iter().skip(skip));
        if page.at_end {
            return all;
        }
    }
}

/// All lines, by pages of `size` backwards.
fn backwards(reader: &OutputReader, stream: Option<Stream>, size: u32) -> Vec<OutputLine> {
    let mut all: Vec<OutputLine> = Vec::new();
    loop {
        let at = all.last().map_or(OutputAt::End, |line| OutputAt::Line(line.anchor));
        let page = page(reader, &query(stream, at, size, 0));
        all.extend(page.lines.into_iter().rev());
        if page.at_start {
            all.reverse();
            return all;
        }
    }
}

/// What the lines of one stream should be, from the bytes alone: offset, length, whether lost.
fn expected(reads: &[Read], stream: Stream) -> Vec<(u64, u64, bool)> {
    let mut lines: Vec<(u64, u64, bool)> = Vec::new();
    let (mut at, mut closed) = (0, true);
    for read in reads.iter().filter(|read| read.stream == stream) {
        for byte in &read.bytes {
            match lines.last_mut() {
                Some(line) if !closed && line.2 == read.lost => line.1 += 1,
                _ => lines.push((at, 1, read.lost)),
            }
            closed = !read.lost && *byte == b'\n';
            at += 1;
        }
    }
    lines
}

fn shape(lines: &[OutputLine]) -> Vec<(u64, u64, bool)> {
    lines.iter().map(|line| (line.anchor.offset, line.length, line.text.starts_with('⟨'))).collect()
}

/// The lines of both streams in the order in which their first bytes were read.
fn merged(reads: &[Read]) -> Vec<LineAnchor> {
    let mut anchors = Vec::new();
    let mut at = [0u64; 2];
    for read in reads {
        let place = usize::from(read.stream == Stream::Stderr);
        let end = at[place] + read.bytes.len() as u64;
        let lines = expected(reads, read.stream);
        let here = lines.iter().filter(|line| (at[place]..end).contains(&line.0));
        anchors.extend(here.map(|line| LineAnchor { stream: read.stream, offset: line.0 }));
        at[place] = end;
    }
    anchors
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn pages_tile_the_output(reads in proptest::collection::vec(read(), 0..12), size in 1u32..900) {
        let dir = tempfile::tempdir().unwrap();
        let folder = new_folder(dir.path());
        write_reads(&folder, &reads);
        let reader = OutputReader::open(&folder);
        for stream in [Stream::Stdout, Stream::Stderr] {
            let expected = expected(&reads, stream);
            let lines = forwards(&reader, Some(stream), 2000, false);
            prop_assert_eq!(&shape(&lines), &expected);
            let size = size.max(u32::try_from(expected.len() / 20).unwrap());
            prop_assert_eq!(&backwards(&reader, Some(stream), size), &lines);
            let numbers = lines.iter().filter(|line| !line.text.starts_with('⟨'));
            let mut newlines = 0;
            for line in numbers {
                prop_assert_eq!(line.number, Some(newlines + 1));
                let bytes = reader_bytes(&reader, line);
                newlines += u64::from(bytes.last() == Some(&b'\n'));
            }
        }
    }

    #[test]
    fn merged_lines_come_in_the_order_of_reading(reads in proptest::collection::vec(read(), 0..10), size in 1u32..900) {
        // What was lost is known only when something was read after it: then it is in its place in its own stream.
        let reads = reads.into_iter().map(|read| Read { lost: false, ..read }).collect::<Vec<_>>();
        let dir = tempfile::tempdir().unwrap();
        let folder = new_folder(dir.path());
        write_reads(&folder, &reads);
        let reader = OutputReader::open(&folder);
        let expected = merged(&reads);
        let size = size.max(u32::try_from(expected.len() / 20).unwrap());
        let anchors = |lines: Vec<OutputLine>| lines.iter().map(|line| line.anchor).collect::<Vec<_>>();
        prop_assert_eq!(&anchors(forwards(&reader, None, size, false)), &expected);
        prop_assert_eq!(&anchors(backwards(&reader, None, size)), &expected);
    }

    #[test]
    fn any_reads_of_the_same_bytes_give_the_same_pages(
        pieces in proptest::collection::vec(read().prop_map(|read| read.bytes), 0..8),
        ends in proptest::collection::vec(proptest::sample::select(b"\n\r\x1b\0\xff".as_slice()), 0..200),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..40),
    ) {
        let bytes = [pieces.concat(), ends].concat();
        let cuts = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect::<Vec<_>>();
        let pages = [Vec::new(), cuts].map(|mut cuts| {
            let dir = tempfile::tempdir().unwrap();
            let folder = new_folder(dir.path());
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let reads = cuts.windows(2).map(|cut| Read {
                stream: Stream::Stdout,
                bytes: bytes[cut[0]..cut[1]].to_vec(),
                command: None,
                pause: 0,
                lost: false,
            });
            write_reads(&folder, &reads.collect::<Vec<_>>());
            let reader = OutputReader::open(&folder);
            // All of a line's bytes, however long it is: a page holds only the beginning of a long one.
            let whole = forwards(&reader, None, 900, true).iter().flat_map(|line| {
                let raw = BASE64_STANDARD.decode(line.raw.as_ref().unwrap()).unwrap();
                let bytes = reader_bytes(&reader, line);
                assert!(bytes.starts_with(&raw) && (line.cut || raw == bytes));
                bytes
            }).collect::<Vec<u8>>();
            assert!(whole == bytes, "what is paged is not what was printed");
            forwards(&reader, None, 900, false)
        });
        prop_assert_eq!(&pages[0], &pages[1]);
    }

    #[test]
    fn without_or_with_broken_indexes_the_lines_are_the_same(
        reads in proptest::collection::vec(read(), 0..6),
        damage in proptest::collection::vec((0usize..400, any::<u8>()), 0..4),
        cut in 0usize..400,
    ) {
        let reads = reads.into_iter().map(|read| Read { lost: false, ..read }).collect::<Vec<_>>();
        let dir = tempfile::tempdir().unwrap();
        let folder = new_folder(dir.path());
        write_reads(&folder, &reads);
        let lines = |folder: &Folder| [Stream::Stdout, Stream::Stderr].map(|stream| {
            let reader = OutputReader::open(folder);
            reader.count_lines().unwrap();
            let lines = forwards(&reader, Some(stream), 2000, false);
            lines.into_iter().map(|line| (line.anchor, line.length, line.number, line.text)).collect::<Vec<_>>()
        });
        let sound = lines(&folder);
        for path in [folder.output_index(), folder.line_index(Stream::Stdout), folder.line_index(Stream::Stderr)] {
            let mut bytes = fs::read(&path).unwrap();
            for (place, value) in &damage {
                if let Some(byte) = bytes.get_mut(*place) {
                    *byte = *value;
                }
            }
            bytes.truncate(cut);
            fs::write(&path, bytes).unwrap();
        }
        // Nothing that damage says may be taken for lost output unless a whole sound record says so.
        prop_assert_eq!(&lines(&folder), &sound);
        for path in [folder.output_index(), folder.line_index(Stream::Stdout), folder.line_index(Stream::Stderr)] {
            fs::remove_file(path).unwrap();
        }
        prop_assert_eq!(&lines(&folder), &sound);
        drop(Output::open(&folder, Marks::default(), 0).unwrap());
        prop_assert_eq!(&lines(&folder), &sound);
    }
}

pub(super) fn reader_bytes(reader: &OutputReader, line: &OutputLine) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(line.length).unwrap()];
    let got = reader.read_at(line.anchor.stream, line.anchor.offset, &mut bytes).unwrap();
    bytes.truncate(got);
    bytes
}

fn out(text: &str, command: u64, pause: u64) -> Read {
    Read { stream: Stream::Stdout, bytes: text.into(), command: Some(CommandId(command)), pause, lost: false }
}

fn err(text: &str, command: u64, pause: u64) -> Read {
    Read { stream: Stream::Stderr, ..out(text, command, pause) }
}

fn texts(page: &OutputPage) -> Vec<&str> {
    page.lines.iter().map(|line| line.text.as_str()).collect()
}

#[test]
fn a_partial_line_is_not_glued_to_the_other_streams() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    write_reads(&folder, &[out("half", 1, 0), err("warning\n", 1, 1), out(" done\nnext", 2, 50_000)]);
    let reader = OutputReader::open(&folder);
    let all = page(&reader, &query(None, OutputAt::Start, 0, 10));
    assert_eq!(texts(&all), ["half done", "warning", "next"]);
    assert_eq!((all.at_start, all.at_end), (true, true));
    assert_eq!(all.lines.iter().map(|line| line.open).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(all.lines[0].command, Some(CommandId(1)));
    assert_eq!((all.lines[2].command, all.lines[2].wall), (Some(CommandId(2)), Micros(1_050_001)));
    let last = page(&reader, &query(None, OutputAt::Time(Micros(1_040_000)), 1, 1));
    assert_eq!(texts(&last), ["warning", "next"]);
    let anchor = OutputAt::Line(LineAnchor { stream: Stream::Stdout, offset: 6 });
    assert_eq!(texts(&page(&reader, &query(Some(Stream::Stderr), anchor, 1, 1))), ["warning"]);
    assert_eq!(texts(&page(&reader, &query(None, anchor, 0, 1))), ["half done"]);
}

struct OneCommand(Slice);

impl Resolve for OneCommand {
    fn slice(&self, command: CommandId) -> Option<Slice> {
        (command == CommandId(2)).then_some(self.0)
    }
    fn first_command(&self, item: ItemIndex) -> Option<CommandId> {
        (item == ItemIndex(7)).then_some(CommandId(2))
    }
    fn item_slices(&self, item: ItemIndex) -> Vec<Slice> {
        self.first_command(item).map(|_| self.0).into_iter().collect()
    }
}

#[test]
fn slices_of_commands_hold_the_lines_that_begin_in_them() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    write_reads(&folder, &[out("a\nb", 1, 0), out("b\nc\nd", 2, 0), err("e\n", 2, 0), out("d\nf\n", 3, 0)]);
    let reader = OutputReader::open(&folder);
    let ended = OneCommand(Slice { from: Marks { stdout: 3, stderr: 0 }, to: Some(Marks { stdout: 8, stderr: 2 }) });
    let of = |at, before, after| OutputQuery { command: Some(CommandId(2)), ..query(None, at, before, after) };
    for page in [of(OutputAt::Start, 9, 9), of(OutputAt::End, 9, 9), of(OutputAt::Item(ItemIndex(7)), 9, 9)] {
        let page = reader.page(&page, &ended).unwrap();
        assert_eq!((texts(&page), page.at_start, page.at_end), (vec!["c", "dd", "e"], true, true));
    }
    let end = reader.page(&of(OutputAt::End, 1, 0), &ended).unwrap();
    assert_eq!((texts(&end), end.at_start, end.at_end), (vec!["e"], false, true));
    let running = OneCommand(Slice { from: Marks { stdout: 3, stderr: 0 }, to: None });
    assert_eq!(texts(&reader.page(&of(OutputAt::Start, 0, 9), &running).unwrap()), ["c", "dd", "e", "f"]);
    let at = query(None, OutputAt::Command(CommandId(2)), 1, 1);
    assert_eq!(texts(&reader.page(&at, &running).unwrap()), ["bb", "c"]);
    let unknown = reader.page(&query(None, OutputAt::Command(CommandId(9)), 1, 1), &running).unwrap();
    assert_eq!(unknown, OutputPage { lines: vec![], at_start: true, at_end: true, partial: false });
}

#[test]
fn long_lines_are_cut_and_progress_bars_show_their_last_word() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    let bar = (0..50_000).flat_map(|step| [step.to_string(), " of 50000\r".into()]).collect::<String>();
    let long = "é".repeat(1 << 20);
    write_reads(&folder, &[out(&format!("{long}\n"), 1, 0), out(&bar, 1, 0)]);
    let reader = OutputReader::open(&folder);
    let page = page(&reader, &query(None, OutputAt::End, 9, 0));
    assert_eq!(page.lines[0].text, "é".repeat(4096));
    assert_eq!(page.lines[1].text, "␍49999 of 50000");
    assert!(page.lines[0].cut && page.lines[1].cut && page.lines[1].open);
    assert_eq!(page.lines[0].length, (2 << 20) + 1);
}

#[test]
fn a_page_of_long_lines_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    write_reads(&folder, &[out(&format!("{}\n", "\x01".repeat(9000)).repeat(1000), 1, 0)]);
    let reader = OutputReader::open(&folder);
    let middle = OutputAt::Line(LineAnchor { stream: Stream::Stdout, offset: 9001 * 500 });
    let page = page(&reader, &query(None, middle, 500, 500));
    let length = serde_json::to_vec(&page).unwrap().len();
    assert!(length < proto::FRAME_LIMIT / 2, "{length}");
    assert!(!page.at_start && !page.at_end);
    assert!(
        page.lines.iter().any(|line| line.number == Some(500))
            && page.lines.iter().any(|line| line.number == Some(501))
    );
}

#[test]
fn what_a_crash_left_unsaid_is_made_up_for() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    write_reads(&folder, &[out("one\n", 1, 0), err("two\n", 1, 0)]);
    fs::write(folder.output(Stream::Stdout), "one\nthree\n").unwrap();
    let reached = Marks { stdout: 110, stderr: 4 };
    let mut output = Output::open(&folder, reached, 0).unwrap();
    assert_eq!((output.stdout.position(), output.stderr.position()), (110, 4));
    assert_eq!(output.losses.take(Stream::Stdout).unwrap().bytes, 100);
    assert_eq!(output.losses.take(Stream::Stdout), None);
    output.stdout.append(110, b"four\n", Some(CommandId(2)), Micros(9), Micros(9));
    assert_eq!(output.losses.not_keeping(), None);
    drop(output);
    let all = page(&OutputReader::open(&folder), &query(None, OutputAt::Start, 0, 9));
    assert_eq!(texts(&all), ["one", "two", "three", "⟨100 bytes were lost here⟩", "four"]);
    assert_eq!(
        all.lines.iter().map(|line| line.number).collect::<Vec<_>>(),
        [Some(1), Some(1), Some(2), None, Some(3)]
    );
    assert_eq!(
        all.lines.iter().map(|line| (line.lost, line.cut)).collect::<Vec<_>>(),
        [(false, false), (false, false), (false, false), (true, false), (false, false)]
    );
}

#[test]
fn a_page_that_is_asked_for_too_much_has_room_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    write_reads(&folder, &[out(&"line\n".repeat(5000), 1, 0)]);
    let reader = OutputReader::open(&folder);
    let middle = OutputAt::Line(LineAnchor { stream: Stream::Stdout, offset: 2500 * 5 });
    let grep = Some(Grep { pattern: "line".into(), case: Case::Sensitive, invert: false });
    for filter in [Filter::default(), Filter { grep, ..Filter::default() }] {
        let numbers = |at, before, after| {
            let lines = page(&reader, &OutputQuery { filter: filter.clone(), ..query(None, at, before, after) }).lines;
            (lines[0].number.unwrap(), lines[lines.len() - 1].number.unwrap())
        };
        assert_eq!(numbers(OutputAt::Start, u32::MAX, u32::MAX), (1, 1000));
        assert_eq!(numbers(OutputAt::End, u32::MAX, u32::MAX), (4001, 5000));
        assert_eq!(numbers(middle, u32::MAX, u32::MAX), (1501, 3500));
        assert_eq!(numbers(middle, u32::MAX, 500), (1001, 3000));
        assert_eq!(numbers(middle, 500, u32::MAX), (2001, 4000));
    }
}

#[test]
fn a_log_that_was_cut_shows_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    write_reads(&folder, &[out(&"0123456\n".repeat(20_000), 1, 0), err("e\n", 1, 0)]);
    fs::File::options().write(true).open(folder.output(Stream::Stdout)).unwrap().set_len(12).unwrap();
    let all = page(&OutputReader::open(&folder), &query(None, OutputAt::Start, 0, 9));
    assert_eq!(texts(&all), ["0123456", "0123", "⟨159988 bytes were lost here⟩", "e"]);
    fs::remove_file(folder.output(Stream::Stdout)).unwrap();
    assert_eq!(texts(&page(&OutputReader::open(&folder), &query(None, OutputAt::Start, 0, 9))), ["e"]);
}

#[test]
fn pages_are_right_while_both_streams_grow() {
    const LINES: u64 = 4000;
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    let Output { stdout, stderr, .. } = Output::open(&folder, Marks::default(), 0).unwrap();
    let reader = OutputReader::open(&folder);
    let write = |mut writer: OutputWriter| {
        let text = (1..=LINES).flat_map(|line| [line.to_string(), "\n".into()]).collect::<String>();
        let mut at = 0;
        for (turn, bytes) in text.as_bytes().chunks(7).enumerate() {
            let now = Micros(turn as u64 * 3000);
            writer.append(at, bytes, Some(CommandId(turn as u64 / 50)), now, now);
            at += bytes.len() as u64;
        }
    };
    std::thread::scope(|threads| {
        let writers = [stdout, stderr].map(|writer| threads.spawn(move || write(writer)));
        while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            let page = page(&reader, &query(None, OutputAt::End, 60, 0));
            for line in page.lines.iter().filter(|line| !line.open) {
                assert_eq!(line.number.map(|number| number.to_string()), Some(line.text.clone()));
            }
            for stream in [Stream::Stdout, Stream::Stderr] {
                let numbers =
                    page.lines.iter().filter(|line| line.anchor.stream == stream).map(|line| line.number.unwrap());
                let numbers = numbers.collect::<Vec<_>>();
                assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
            }
        }
    });
    let all = forwards(&reader, None, 1500, false);
    assert_eq!(all.len() as u64, 2 * LINES);
    assert!(all.iter().all(|line| line.number.map(|number| number.to_string()).as_ref() == Some(&line.text)));
}

#[test]
fn after_the_clock_was_set_back_lines_are_found_by_time_in_the_order_of_reading() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    let mut output = Output::open(&folder, Marks::default(), 0).unwrap();
    // Half a minute apart by the clock that only goes on.
    let reads = [(100, b"one\n"), (200, b"two\n"), (50, b"set\n"), (60, b"bac\n"), (300, b"six\n")];
    for (turn, (wall, bytes)) in (0u64..).zip(reads) {
        let (wall, mono) = (Micros(wall * 1_000_000), Micros((turn + 1) * 30_000_000));
        output.stdout.append(turn * 4, bytes, None, wall, mono);
    }
    drop(output);
    let reader = OutputReader::open(&folder);
    let first_since = |seconds: u64| {
        let page = page(&reader, &query(None, OutputAt::Time(Micros(seconds * 1_000_000)), 0, 1));
        page.lines.first().map(|line| line.text.clone())
    };
    let found: Vec<_> = [0, 100, 150, 200, 250, 300, 301].map(first_since).into_iter().collect();
    let wanted = ["one", "one", "two", "two", "six", "six"].map(|text| Some(text.to_owned()));
    assert_eq!(found, [&wanted[..], &[None]].concat());
}

#[test]
fn an_index_of_lines_that_is_a_little_behind_is_no_loss() {
    let dir = tempfile::tempdir().unwrap();
    let folder = new_folder(dir.path());
    let bytes = b"0123456\n".repeat(1 << 17);
    write_reads(&folder, &[Read { stream: Stream::Stdout, bytes, command: None, pause: 0, lost: false }]);
    let told = || OutputReader::open(&folder).missing(Marks::default(), false).join(" ").contains("index of lines");
    let open = |path: &Path| fs::File::options().write(true).open(path).unwrap();
    assert!(!told());
    let index = folder.line_index(Stream::Stdout);
    open(&index).set_len(index.metadata().unwrap().len() / 2).unwrap();
    assert!(!told());
    open(&folder.output(Stream::Stdout)).set_len(64 << 20).unwrap();
    assert!(told(), "so much is not counted while somebody waits");
    open(&folder.output(Stream::Stdout)).set_len(1 << 20).unwrap();
    fs::write(&index, "nonsense").unwrap();
    assert!(told());
    fs::remove_file(&index).unwrap();
    assert!(told());
}
