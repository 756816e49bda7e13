//! The fuzz targets, for some seconds: real inputs, changed at random in every way that disks and liars know.
//!
//! A fuzzer that looks at coverage finds more (`fuzz/Cargo.toml` says how it is run), but needs a compiler of its own and
//! builds everything anew, which takes longer than all the tests. This needs neither, and is the same in every run;
//! `CHILDMINDER_FUZZ_CASES` makes it longer, `CHILDMINDER_FUZZ_SEED` other.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]
#![cfg(feature = "tui")]

#[path = "../fuzz/targets.rs"]
#[allow(
    clippy::pedantic,
    clippy::expect_used,
    unreachable_pub,
    reason = "it is a part of the package for fuzzing, which has other habits"
)]
mod targets;

use childminder::model::proto::{Call, Request};
use childminder::model::{CommandId, EventKind, Job, Marks, Micros, Stream};
use childminder::store::{Folder, Journal, Output, SessionFile, pack, recover};
use std::panic::catch_unwind;
use std::path::Path;

/// Small and quick, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).expect("small")
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.next().to_le_bytes()[3]).collect()
    }

    /// One change of those that find things.
    fn change(&mut self, data: &mut Vec<u8>, words: &[&[u8]]) {
        const NUMBERS: [u64; 7] = [0, 1, 0x7f, 0x8000, 0xffff_ffff, 1 << 40, u64::MAX];
        let at = self.below(data.len() + 1);
        let end = at + self.below((data.len() - at).min(64) + 1);
        match self.below(8) {
            0 if at < data.len() => data[at] ^= 1 << self.below(8),
            1 => data.truncate(at),
            2 => drop(data.drain(at..end)),
            3 => drop(data.splice(at..end, self.bytes(32))),
            4 => drop(data.splice(at..at, words[self.below(words.len())].iter().copied())),
            5 => {
                let copy = data[at..end].to_vec();
                let to = self.below(data.len() + 1);
                drop(data.splice(to..to, copy));
            }
            6 => data[at..end].fill(0),
            _ => {
                let number = NUMBERS[self.below(NUMBERS.len())].to_le_bytes();
                data.iter_mut().skip(at).zip(number).for_each(|(byte, new)| *byte = new);
            }
        }
    }
}

/// A small session with all its files.
fn session(dir: &Path) -> Folder {
    let folder = Folder::create(dir, &SessionFile::new(Job::default(), None)).expect("a folder");
    let mut journal = Journal::create(&folder.journal()).expect("a journal");
    let recovered = recover(&folder).expect("a new session");
    let mut checkpointer = recovered.checkpointer(&folder).expect("checkpoints");
    let mut state = recovered.state;
    let mut events = vec![EventKind::EngineStarted {
        name: "a".into(),
        backend: "python".into(),
        version: "1".into(),
        pid: 1,
        items: 4,
        held: false,
        resumed: false,
    }];
    events.extend((1..6).map(|id| EventKind::CommandStarted { id: CommandId(id) }));
    events.extend((0..20).map(|number| EventKind::Note { text: format!("note \u{9b}{number}") }));
    for recorded in journal.append(&mut events).expect("recorded") {
        state.apply(&recorded.event, recorded.at);
        checkpointer.note(&recorded);
    }
    checkpointer.finish(&state, journal.end());
    let mut output = Output::open(&folder, Marks::default(), 0).expect("logs");
    for number in 0..60_u64 {
        let line = format!("line {number} \x1b[1m{}\r{}\n", "x".repeat(50), "y".repeat(3000));
        let command = (number % 3 > 0).then_some(CommandId(number / 10));
        let now = Micros(number * 50_000);
        let at = output.stdout.position();
        output.stdout.append(at + 7 * (number % 2), line.as_bytes(), command, now, now);
        let at = output.stderr.position();
        output.stderr.append(at, b"a part ", command, now, now);
    }
    drop(output);
    folder
}

/// A real input for a target.
fn real(name: &str, files: &[&str], folder: &Folder) -> Vec<u8> {
    let read = |name: &&str| std::fs::read(folder.path().join(name)).unwrap_or_default();
    match name {
        "sanitiser" => std::fs::read(folder.output(Stream::Stdout)).expect("a log").into_iter().take(400).collect(),
        "wire" => {
            serde_json::to_vec(&Call { id: "a".into(), request: Request::Exec { source: "1".into(), wait: true } })
                .expect("JSON")
        }
        "archive" => {
            let archive = folder.path().with_file_name("archive");
            pack(folder, &archive, true).expect("packed");
            std::fs::read(archive).expect("an archive")
        }
        _ => targets::join(&files.iter().map(read).collect::<Vec<_>>()),
    }
}

#[test]
fn nothing_that_comes_from_outside_brings_it_down() {
    const WORDS: &[&[u8]] = &[
        b"\x1b[",
        b"\x1b]52;c;",
        b"\x1bP",
        b"\x9b31m",
        b"\xc2\x9b",
        b"\r",
        b"\n",
        b"\0",
        b"\xff\xfe",
        b"m",
        b";:",
        "\u{202e}\u{200b}\u{e0041}".as_bytes(),
        b"{",
        b"}",
        b"[[[[",
        b"\"seq\":18446744073709551615",
        b"null",
        b"-1",
        b"1e999",
        b"\"\\ud800\"",
        b",",
        b"\"event\":\"note\"",
        b"{\"type\":\"hello\"",
    ];
    let number = |name, usual: u64| std::env::var(name).ok().and_then(|said| said.parse().ok()).unwrap_or(usual);
    let (cases, seed) = (number("CHILDMINDER_FUZZ_CASES", 300), number("CHILDMINDER_FUZZ_SEED", 1));
    let dir = tempfile::tempdir().expect("a folder");
    let folder = session(dir.path());
    for (name, files, target) in targets::ALL {
        let sound = real(name, files, &folder);
        target(&sound);
        for case in 0..cases {
            let mut dice = Dice((seed << 32 | case).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            let mut data = if dice.below(20) == 0 { dice.bytes(3000) } else { sound.clone() };
            for _ in 0..=dice.below(6) {
                dice.change(&mut data, WORDS);
            }
            let survived = catch_unwind(|| target(&data));
            assert!(survived.is_ok(), "target {name}, seed {seed}, case {case}: {} bytes", data.len());
        }
    }
}
