//! Slices by command are exact: whatever a command prints, by whatever way, lies between its marks and nowhere else.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/session.rs"]
mod session;

use childminder::model::proto::{OutputAt, OutputQuery};
use childminder::model::{CommandId, CommandState, Filter, Phase, State, Stream};
use childminder::store::{OutputReader, Places};
use session::{Session, child_file, job, quoted, slice};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const COMMANDS: u64 = 1000;

/// One printed word; see the child's file.
#[derive(Debug)]
struct Word<'b> {
    kind: &'b str,
    command: u64,
    number: u64,
    /// Where in the stream it begins.
    at: u64,
}

fn words(bytes: &[u8]) -> Vec<Word<'_>> {
    let text = std::str::from_utf8(bytes).expect("ASCII");
    let mut at = 0;
    let mut words = Vec::new();
    for piece in text.split_inclusive(';') {
        let begin = at + (piece.len() - piece.trim_start().len()) as u64;
        at += piece.len() as u64;
        let word = piece.trim();
        if word.is_empty() {
            continue;
        }
        let parsed = || {
            let digits = word.find(|character: char| character.is_ascii_digit())?;
            let (command, number) = word.get(digits..)?.strip_suffix(';')?.split_once(':')?;
            Some(Word {
                kind: &word[..digits],
                command: command.parse().ok()?,
                number: number.parse().ok()?,
                at: begin,
            })
        };
        words.push(parsed().unwrap_or_else(|| panic!("a torn word at {begin}: {word:?}")));
    }
    words
}

/// A slice's begin and end.
fn marks(state: &State, command: u64, stream: Stream) -> (u64, u64) {
    let row = state.command(childminder::model::CommandId(command)).expect("a command");
    match stream {
        Stream::Stdout => (row.from.stdout, row.to.stdout),
        Stream::Stderr => (row.from.stderr, row.to.stderr),
    }
}

/// Every word stands where its command's slice, or the room between two of them, is; nothing is missing or twice.
fn check(state: &State, stream: Stream, bytes: &[u8], totals: &BTreeMap<String, u64>) {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut own: BTreeMap<(u64, &str), u64> = BTreeMap::new();
    for word in words(bytes) {
        let (from, to) = marks(state, word.command, stream);
        let idle = word.kind.starts_with(char::is_uppercase);
        if idle {
            let next = marks(state, word.command + 1, stream).1;
            assert!(word.at >= from && word.at < next, "{word:?} is not between {from} and {next}");
        } else {
            assert!(word.at >= from && word.at < to, "{word:?} is not in its slice, {from} to {to}");
        }
        let counted = if word.kind.len() == 1 {
            own.entry((word.command, word.kind)).or_default()
        } else {
            seen.entry(word.kind.to_owned()).or_default()
        };
        *counted += 1;
        assert_eq!(word.number, *counted, "{word:?} came twice, or one before it did not come");
    }
    let of_stream = |kind: &String| kind.ends_with(if stream == Stream::Stdout { 'o' } else { 'e' });
    let expected: BTreeMap<String, u64> =
        totals.iter().filter(|(kind, _)| of_stream(kind)).map(|(kind, total)| (kind.clone(), *total)).collect();
    assert_eq!(seen, expected, "words of the other threads");
    assert_eq!(own, promised(state, stream), "words of the main thread");
}

/// What the child's `work` prints for each command.
fn promised(state: &State, stream: Stream) -> BTreeMap<(u64, &'static str), u64> {
    let commands = (1..).zip(state.commands.iter()).filter(|(_, row)| row.phase == Phase::Item);
    let each = commands.flat_map(|(command, _): (u64, _)| match stream {
        Stream::Stdout => vec![
            ((command, "m"), command % 5),
            ((command, "d"), if command % 100 == 0 { 3000 } else { command % 4 }),
            ((command, "c"), command % 2),
        ],
        Stream::Stderr => vec![((command, "m"), command % 3)],
    });
    each.filter(|(_, count)| *count > 0).collect()
}

fn check_tiles(state: &State, stream: Stream, length: u64) {
    let mut before = 0;
    for (id, row) in (1..).zip(state.commands.iter()) {
        assert_eq!(row.state, CommandState::Finished, "command {id}");
        let (from, to) = marks(state, id, stream);
        assert!(before <= from && from <= to, "command {id}: {from} to {to}, the one before ended at {before}");
        before = to;
    }
    assert!(before <= length);
}

#[test]
fn every_byte_is_in_the_slice_of_the_command_that_ran() {
    let folder = tempfile::tempdir().expect("a folder");
    let totals = folder.path().join("totals");
    let session = Session::start(job(&format!(
        r#"
        [parameters]
        script = {}
        totals = {}
        [phases]
        setup = ["exec(compile(open({{script}}).read(), {{script}}, 'exec')); totals = {{totals}}", "start()"]
        commands = ["work()", "work()"]
        teardown = ["finish()"]
        [agenda]
        frames = "1-{}"
        "#,
        quoted(child_file("prints_everywhere.py")),
        quoted(&totals),
        COMMANDS / 2
    )));
    let ended = session.wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let state = ended.state();
    assert_eq!(state.commands.iter().filter(|row| row.phase == Phase::Item).count() as u64, COMMANDS);
    let totals = std::fs::read_to_string(&totals).expect("the totals");
    let totals = totals.lines().filter_map(|line| line.strip_prefix("total ")?.split_once(' '));
    let totals: BTreeMap<String, u64> =
        totals.map(|(kind, total)| (kind.to_owned(), total.parse().expect("a number"))).collect();
    assert!(totals.len() == 8 && totals.values().all(|total| *total > 50), "the threads hardly ran: {totals:?}");
    for stream in [Stream::Stdout, Stream::Stderr] {
        let bytes = ended.output(stream);
        check(&state, stream, &bytes, &totals);
        check_tiles(&state, stream, bytes.len() as u64);
    }
    assert_eq!(state.lost_output, 0);
}

#[test]
fn what_no_newline_ends_is_in_its_slice_too() {
    let ended = Session::start(job(
        "[phases]\nsetup = ['import sys, os, ctypes; libc = ctypes.CDLL(None)']\ncommands = [\"print({frame}, end='')\", \"_ = libc.printf(b'c%d' % {frame})\", \"_ = sys.stderr.write('e')\", 'pass']\n[agenda]\nframes = '1-20'",
    ))
    .wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let state = ended.state();
    let (stdout, stderr) = (ended.output(Stream::Stdout), ended.output(Stream::Stderr));
    let items: Vec<_> = state.commands.iter().filter(|row| row.phase == Phase::Item).collect();
    for (frame, commands) in (1..).zip(items.chunks(4)) {
        let printed: Vec<(&[u8], &[u8])> = commands
            .iter()
            .map(|row| (slice(&stdout, row, Stream::Stdout), slice(&stderr, row, Stream::Stderr)))
            .collect();
        let (first, second) = (format!("{frame}"), format!("c{frame}"));
        let expected: [(&[u8], &[u8]); 4] =
            [(first.as_bytes(), b""), (second.as_bytes(), b""), (b"", b"e"), (b"", b"")];
        assert_eq!(printed, expected, "frame {frame}");
    }
}

// ---- whatever it is ---------------------------------------------------------------------------------------------------

/// Prints all kinds of things that are hard to keep, each on both streams, and says how many bytes and which those were.
const HARD: &str = r"
import hashlib, os, sys
sums = {1: hashlib.sha256(), 2: hashlib.sha256()}
def put(data):
    for stream in (1, 2):
        sums[stream].update(data)
        left = memoryview(data)
        while left:
            left = left[os.write(stream, left):]
def hard(long):
    put(b'a part')
    put(b' of a line\n')
    for percent in range(0, 101):
        put(b'\r%3d %%' % percent)
    put(b'\r\n\r\n\n\r')
    put(bytes(range(256)) * 16)
    put(b'\0' * 100000 + b'\n')
    put(b'\xff\xfe\xc3(\xed\xa0\x80\xf5' * 1000 + b'\n')
    put((b'\x1b[1;31m\x1b]52;c;\x1bP\x9b' * 6000)[:65536])
    block = bytes(33 + place % 90 for place in range(1 << 20))
    for _ in range(long >> 20):
        put(block)
    return [sums[stream].hexdigest() for stream in (1, 2)]
";

/// Runs it, and compares what was stored with what was printed, byte by byte and page by page.
fn is_captured_exactly(long: u64) {
    let session = Session::start(job("hold = true\n[agenda]"));
    session.until_agenda();
    session.exec(HARD);
    let printed = session.value(&format!("hard({long})"));
    let ended = session.stop();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let row = ended.state().command(CommandId(2)).expect("a command");
    assert_eq!(row.to.stdout - row.from.stdout, row.to.stderr - row.from.stderr);
    let sums = [Stream::Stdout, Stream::Stderr].map(|stream| {
        let mut sum = Sha256::new();
        let mut log = std::fs::File::open(ended.folder.output(stream)).expect("a log");
        std::io::copy(&mut log, &mut sum).expect("read");
        format!("'{:x}'", sum.finalize())
    });
    assert_eq!(printed, format!("[{}]", sums.join(", ")));

    let reader = OutputReader::open(&ended.folder);
    let marks = reader.lengths().expect("readable");
    assert!(marks.stdout > long && marks.stdout == row.to.stdout && marks.stderr == row.to.stderr);
    for stream in [Stream::Stdout, Stream::Stderr] {
        let (mut at, mut end, mut lines) = (OutputAt::Start, 0, 0);
        loop {
            let query = OutputQuery {
                stream: Some(stream),
                at,
                before: 0,
                after: 500,
                command: None,
                filter: Filter::default(),
                raw: false,
            };
            let page = reader.page(&query, &Places::default()).expect("a page");
            // A page begins with the line that was asked for.
            for line in page.lines.iter().skip(usize::from(lines > 0)) {
                assert_eq!(line.anchor.offset, end, "pages tile the output");
                assert!(line.text.len() < 100_000, "a page is bounded: {}", line.text.len());
                (end, lines, at) = (end + line.length, lines + 1, OutputAt::Line(line.anchor));
            }
            if page.at_end {
                break;
            }
        }
        assert!(end == marks.stdout && lines > 20, "{end} of {marks:?}, {lines} lines");
    }
}

#[test]
fn whatever_a_child_prints_is_captured_exactly() {
    is_captured_exactly(64 << 20);
}

#[test]
#[ignore = "takes four gigabytes of disk; the one above does the same with less"]
fn a_line_of_two_gigabytes_is_captured_exactly() {
    is_captured_exactly(2 << 30);
}
