//! What reaches the operator's terminal of all that a child can say: text and colours, and no other sequence.
//!
//! A child says everything that a terminal might obey, on both streams and in values, exceptions and words. What the
//! program then writes to a real terminal, or into a pipe, is parsed as a terminal would.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/home.rs"]
mod home;
#[path = "common/window.rs"]
mod window;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use home::{Headless, Home};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use vte::{Params, Parser, Perform};
use window::Window;

/// What a sequence of the child's is known by, where it has a number.
const MARK: u16 = 7331;
/// Sets the private modes that the window uses, and takes them back.
const MODES: [u16; 9] = [25, 1000, 1002, 1003, 1006, 1015, 1049, 2004, 2026];

/// Who wrote the bytes, which says what may be in them.
#[derive(Clone, Copy, PartialEq)]
enum From {
    /// Our window.
    Window,
    /// A command whose standard output is a terminal.
    Terminal,
    /// A command whose standard output is a pipe or a file.
    Pipe,
}

/// A terminal that takes offence.
struct Strict {
    from: From,
    offences: BTreeSet<String>,
    /// Characters printed.
    printed: usize,
}

impl Strict {
    /// All that a terminal would not only show.
    fn reads(from: From, bytes: &[u8]) -> Self {
        let mut strict = Self { from, offences: BTreeSet::new(), printed: 0 };
        Parser::new().advance(&mut strict, bytes);
        // A terminal that is not in UTF-8 mode obeys these single bytes, and other parsers than this one do even then.
        let text = String::from_utf8_lossy(bytes);
        if let Err(error) = str::from_utf8(bytes) {
            strict.offend(format!("bytes that are not UTF-8: {error}"));
        }
        text.chars().filter(|c| is_hidden(*c)).for_each(|c| strict.offend(format!("U+{:04X}", u32::from(c))));
        strict
    }

    fn offend(&mut self, what: String) {
        self.offences.insert(what);
    }

    #[track_caller]
    fn must_be_harmless(&self, what: &str) {
        assert!(self.offences.is_empty(), "{what}: {:#?}", self.offences.iter().take(40).collect::<Vec<_>>());
        assert!(self.printed > 100, "{what}: next to nothing was printed");
    }
}

/// What may not come through as a character: C1, and what is not seen or turns the direction of text, but for the two
/// joiners that scripts and emoji are spelt with.
fn is_hidden(c: char) -> bool {
    matches!(u32::from(c), 0x7f..=0x9f | 0xad | 0x61c | 0x180e | 0x200b | 0x200e | 0x200f | 0x2028..=0x202e)
        || matches!(u32::from(c), 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0x1bca0..=0x1bca3)
        || matches!(u32::from(c), 0x1d173..=0x1d17a | 0xe0000..=0xe007f)
}

impl Perform for Strict {
    fn print(&mut self, _: char) {
        self.printed += 1;
    }

    fn execute(&mut self, byte: u8) {
        match (self.from, byte) {
            (_, b'\n') | (From::Terminal | From::Pipe, b'\t') | (From::Terminal | From::Window, b'\r') => {}
            _ => self.offend(format!("control {byte:02x}")),
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        let numbers: Vec<u16> = params.iter().flatten().copied().collect();
        let known = match (self.from, intermediates, action) {
            (From::Window, b"", 'm' | 'H' | 'J') | (From::Terminal, b"", 'm') => true,
            (From::Window, b"?", 'h' | 'l') => numbers.iter().all(|mode| MODES.contains(mode)),
            _ => false,
        };
        // The colours of a child's line come through; its row has a number, so the mark cannot be that.
        if !known || ignore || (numbers.contains(&MARK) && action != 'm') {
            self.offend(format!("CSI {} {numbers:?} {action}", String::from_utf8_lossy(intermediates)));
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _: bool, byte: u8) {
        self.offend(format!("ESC {}{}", String::from_utf8_lossy(intermediates), char::from(byte)));
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
        self.offend(format!("OSC {}", String::from_utf8_lossy(params.first().unwrap_or(&&b""[..]))));
    }

    fn hook(&mut self, _: &Params, _: &[u8], _: bool, action: char) {
        self.offend(format!("DCS {action}"));
    }
}

/// The folder of the children, as Python has it.
fn children() -> String {
    serde_json::to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/children")).expect("a string")
}

/// What turns text around and what is not seen, in names.
const TURNED: &str = "\u{202e}\u{2066}\u{200b}\u{feff}";

/// A session whose child has said all of it, and waits to be asked for more.
fn session(home: &Home) -> Headless {
    let children = children();
    let job = format!(
        "name = 'hostile {TURNED}'\nbackend = 'python'\n[phases]\ninit = ['import sys; sys.dont_write_bytecode = True; \
         sys.path.insert(0, {children}); import drives_the_terminal as hostile']\n\
         [[agenda.items]]\nname = 'prints'\ncommands = ['hostile.prints()']\n\
         [[agenda.items]]\nname = 'tells {TURNED}'\ncommands = ['hostile.tells()', 'hostile.Value()']\n\
         [[agenda.items]]\nname = 'raises'\ncommands = ['hostile.raises()']\n\
         [[agenda.items]]\nname = 'waits'\ncommands = ['import time', 'time.sleep(1000)']\n"
    );
    std::fs::write(home.path().join("job.toml"), job).expect("written");
    Headless::start(&mut home.command(&["run", "--headless", "job.toml"]))
}

fn environment(home: &Home) -> Vec<(&'static str, String)> {
    [home.environment(), vec![("NO_COLOR", String::new())]].concat()
}

/// A command line of ours on a terminal; its bytes when it has ended.
fn on_a_terminal(home: &Home, arguments: &str) -> Vec<u8> {
    let line = format!("{} {arguments}; echo over and done", env!("CARGO_BIN_EXE_childminder"));
    let mut window = Window::open(&line, home.path(), &environment(home));
    window.until_shown("over and done");
    window.ended();
    window.written()
}

#[test]
fn commands_print_nothing_of_a_childs_that_acts() {
    let home = Home::new();
    let session = session(&home);
    let printed = session.until("item waits running").join("\n");
    let printed = printed.as_bytes();
    Strict::reads(From::Pipe, printed).must_be_harmless("run --headless");

    for arguments in ["log", "log --stream stderr", "log --item prints", "ls", "ls --json", "agenda", "agenda --json"] {
        let words: Vec<&str> = arguments.split(' ').collect();
        let output = home.run(&words);
        Strict::reads(From::Pipe, &output.stdout).must_be_harmless(arguments);
        Strict::reads(From::Terminal, &on_a_terminal(&home, arguments)).must_be_harmless(arguments);
    }
    drop(session);
    Strict::reads(From::Terminal, &on_a_terminal(&home, "log --follow")).must_be_harmless("log --follow");

    // Whoever sends a folder gives it its name.
    let named = home.path().join("\x1b]0;7331\x07\u{9b}7331m\u{202e}");
    std::fs::rename(home.folder(), &named).expect("renamed");
    let said = home.run(&["export", named.to_str().expect("UTF-8"), "\x1b]0;7331\x07.tar.zst"]);
    assert!(said.status.success(), "{said:?}");
    let said = Strict::reads(From::Pipe, &said.stdout);
    assert_eq!(said.offences, BTreeSet::new());
}

#[test]
fn answers_and_the_journal_hold_nothing_that_acts() {
    let home = Home::new();
    let init = format!("import sys; sys.dont_write_bytecode = True; sys.path.insert(0, {})", children());
    let json = ["run", "--headless", "--json", "--hold", "--backend", "python", "--init", &init];
    let session = Headless::start(&mut home.command(&json));
    session.until("\"to\":\"agenda\"");
    home.says(&["exec", "import drives_the_terminal as hostile"]);
    for (code, what) in [("hostile.Value()", "a value"), ("hostile.raises()", "an exception")] {
        let said = home.run(&["exec", code]);
        Strict::reads(From::Pipe, &[said.stdout, said.stderr].concat()).must_be_harmless(what);
        let said = home.run(&["exec", "--json", code]);
        Strict::reads(From::Pipe, &said.stdout).must_be_harmless(what);
        let known: serde_json::Value = serde_json::from_slice(&said.stdout).expect("JSON");
        assert!(known.to_string().contains('\u{9b}'), "the same value is said, in other words");
        for arguments in [format!("exec '{code}'"), format!("exec --json '{code}'")] {
            Strict::reads(From::Terminal, &on_a_terminal(&home, &arguments)).must_be_harmless(&arguments);
        }
    }
    home.says(&["stop"]);
    let journal = session.until("session_ended").join("\n");
    Strict::reads(From::Pipe, journal.as_bytes()).must_be_harmless("run --headless --json");
    assert!(journal.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}

/// The child's numbered rows on a screen, from its top to its bottom.
fn rows(screen: &str) -> Vec<u32> {
    screen.match_indices("row0").filter_map(|(at, _)| screen.get(at + 3..at + 7)?.parse().ok()).collect()
}

/// Scrolls from the first row to the last, a page at a time; every row has been on the screen then.
fn show_every_row(window: &mut Window) {
    window.press("g");
    window.until_shown("row0001");
    let (mut seen, mut bottom, mut pressed) = (BTreeSet::new(), None, Instant::now());
    window::until("the last row is shown", || {
        let screen = window.shows();
        let shown = rows(&screen);
        seen.extend(&shown);
        // A key that comes before the next page does goes no further than the page that is there. The one that is
        // pressed then goes a row on: should the screen only be late, both together leave out none.
        if shown.last().copied() != bottom {
            (bottom, pressed) = (shown.last().copied(), Instant::now());
            window.press("\x1b[6~");
        } else if pressed.elapsed() > Duration::from_secs(3) {
            pressed = Instant::now();
            window.press("j");
        }
        screen.contains("is the last")
    });
    let last = seen.last().copied().unwrap_or_default();
    assert!(last > 400, "{last} rows");
    let unseen: Vec<u32> = (1..=last).filter(|row| !seen.contains(row)).collect();
    assert!(unseen.is_empty(), "never on the screen: {unseen:?}");
}

#[test]
fn the_window_shows_all_of_it_and_sends_nothing_else() {
    let home = Home::new();
    let session = session(&home);
    session.until("item waits running");
    let line = format!("{} attach", env!("CARGO_BIN_EXE_childminder"));
    let mut window = Window::open(&line, home.path(), &environment(&home));
    window.until_shown("running");
    // Both streams, one after the other, from the first row to the last, a page at a time.
    window.press("3");
    window.press("z");
    for stream in ["stdout · line", "stderr · line"] {
        window.press("s");
        window.until_shown(stream);
        show_every_row(&mut window);
    }
    window.press("z");
    // What it said of itself, and what it raised: each list, and all of its rows.
    for (pane, rows) in [("1", 4), ("2", 6), ("4", 1), ("5", 1)] {
        window.press(pane);
        window.press("g");
        for _ in 0..rows {
            if pane != "5" {
                window.press("Enter");
                window.until_shown("Esc");
                for _ in 0..10 {
                    window.press("\x1b[6~");
                }
                window.press("Esc");
            }
            window.press("j");
        }
    }
    window.press("d");
    window.until_shown("the session goes on");
    window.ended();
    let seen = Strict::reads(From::Window, &window.written());
    seen.must_be_harmless("the window");
    drop(session);
}

/// The texts that a terminal is asked to put into its clipboard.
#[derive(Default)]
struct Clipboard(Vec<String>);

impl Perform for Clipboard {
    fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
        if let [b"52", b"c", copied] = params {
            let copied = BASE64_STANDARD.decode(copied).expect("base64");
            self.0.push(String::from_utf8(copied).expect("UTF-8"));
        }
    }
}

#[test]
fn what_was_searched_filtered_and_copied_comes_to_the_clipboard_harmless() {
    let home = Home::new();
    let session = session(&home);
    session.until("item waits running");
    let line = format!("{} attach", env!("CARGO_BIN_EXE_childminder"));
    let over_ssh = ("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22".to_owned());
    let mut window = Window::open(&line, home.path(), &[environment(&home), vec![over_ssh]].concat());
    window.until_shown("running");
    for key in ["3", "z", "s"] {
        window.press(key);
    }
    window.until_shown("stdout · line");
    // With every key: what is typed is found before it is kept.
    window.press("/is the last");
    window.until_shown(" 1/1 ");
    window.press("Enter");
    window.until_shown("/is the last 1/1");
    window.press("&row00[0-4]\\d");
    window.until_shown("row0049");
    assert!(!window.shows().contains("is the last"), "{}", window.shows());
    window.press("Enter");
    // What the title says of both ends tells when the way to the first line is over.
    window.press("G");
    window.until_shown("following");
    window.press("g");
    window.until_shown("frozen");
    window.until_shown("row0001");
    window.until_shown("& row00[0-4]\\d");
    window.press("v");
    window.until_shown("1 line selected");
    window.press("G");
    window::until("the last one is selected, too", || !window.shows().contains("1 line selected"));
    window.until_shown("selected");
    window.press("y");
    window.until_shown("49 lines copied by OSC 52");
    window.press("d");
    window.ended();
    let mut clipboard = Clipboard::default();
    Parser::new().advance(&mut clipboard, &window.written());
    let [copied] = &clipboard.0[..] else { panic!("not copied once: {:?}", clipboard.0) };
    assert_eq!(rows(copied), (1..=49).collect::<Vec<u32>>());
    let acts = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || is_hidden(c);
    assert_eq!(copied.chars().find(|c| acts(*c)), None, "{copied:?}");
    drop(session);
}
