//! The window on a real terminal: this test binary runs itself inside a pseudo terminal.

use super::fake::Fake;
use crate::api::{ApiError, Link, SessionView};
use crate::model::proto::{Request, Response};
use crate::tui::{Options, run};
use futures_util::future::BoxFuture;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(30);
/// Told by the window's process, to tell what it does.
const PANICS: &str = "CHILDMINDER_TEST_PANICS";
const IDLE: &str = "CHILDMINDER_TEST_IDLE";

/// Not a test: opens a window on the fake session. `cargo test --lib tui::tests::real::show -- --ignored --nocapture`
#[test]
#[ignore = "needs a terminal"]
fn show() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = Options { history: None, ..Options::default() };
    let fake = Fake::new();
    if std::env::var_os(IDLE).is_some() {
        fake.change(|summary| {
            summary.running = None;
            summary.item = None;
        });
    }
    let panics = std::env::var_os(PANICS).is_some();
    let view: Arc<dyn SessionView> = if panics { Arc::new(Panics(fake)) } else { Arc::new(fake) };
    let ended = runtime.block_on(run(view, options));
    println!("ended: {ended:?}");
}

/// Panics in the window's own thread once it is asked to hold the agenda.
struct Panics(Fake);

impl SessionView for Panics {
    fn ask(&self, request: Request) -> BoxFuture<'static, Result<Response, ApiError>> {
        assert!(request != Request::Hold, "on purpose");
        self.0.ask(request)
    }

    fn pulses(&self) -> watch::Receiver<Link> {
        self.0.pulses()
    }
}

struct Terminal {
    /// All bytes that came, and the screen they make.
    seen: Arc<(Mutex<Seen>, Condvar)>,
    input: Box<dyn Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    master: Box<dyn portable_pty::MasterPty + Send>,
}

struct Seen {
    screen: vt100::Parser,
    bytes: Vec<u8>,
    over: bool,
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap_or(NonZeroU16::MIN)
}

impl Terminal {
    fn open(environment: &[(&str, &str)]) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        command.args(["tui::tests::real::show", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env("TERM", "xterm-256color");
        command.env_remove("NO_COLOR");
        command.env("RUST_BACKTRACE", "0");
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let seen = Arc::new((
            Mutex::new(Seen { screen: vt100::Parser::new(cells(24), cells(80), 0), bytes: Vec::new(), over: false }),
            Condvar::new(),
        ));
        let (mut reader, filled) = (pair.master.try_clone_reader().unwrap(), seen.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let mut seen = filled.0.lock().unwrap();
                seen.screen.process(&buffer[..count]);
                seen.bytes.extend_from_slice(&buffer[..count]);
                filled.1.notify_all();
            }
            filled.0.lock().unwrap().over = true;
            filled.1.notify_all();
        });
        Self { seen, input: pair.master.take_writer().unwrap(), child, master: pair.master }
    }

    #[track_caller]
    fn wait(&self, what: &str, found: impl Fn(&Seen) -> bool) {
        let until = Instant::now() + PATIENCE;
        let mut seen = self.seen.0.lock().unwrap();
        while !found(&seen) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}; the screen:\n{}", seen.screen.screen().contents());
            seen = self.seen.1.wait_timeout(seen, left).unwrap().0;
        }
    }

    #[track_caller]
    fn sees(&self, text: &str) {
        self.wait(text, |seen| seen.screen.screen().contents().contains(text));
    }

    fn types(&mut self, keys: &str) {
        self.input.write_all(keys.as_bytes()).unwrap();
    }

    fn resize(&self, cols: u16, rows: u16) {
        self.seen.0.lock().unwrap().screen.screen_mut().set_size(cells(rows), cells(cols));
        self.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.process_id().unwrap()).unwrap())
    }

    /// Waits for the process's end and looks whether the terminal is as it was.
    #[track_caller]
    fn is_given_back(&mut self) {
        self.wait("the end", |seen| seen.over);
        self.child.wait().unwrap();
        let seen = self.seen.0.lock().unwrap();
        let screen = seen.screen.screen();
        assert!(!screen.alternate_screen(), "still on the alternate screen");
        assert!(!screen.hide_cursor(), "the cursor is still hidden");
        assert!(!screen.bracketed_paste(), "pastes are still bracketed");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        let left = b"\x1b[?1049l";
        let times = seen.bytes.windows(left.len()).filter(|window| window == left).count();
        assert_eq!(times, 1, "the alternate screen is left exactly once");
    }

    fn is_cooked(&self) -> bool {
        let flags = self.master.get_termios().map(|termios| format!("{:?}", termios.local_flags)).unwrap_or_default();
        flags.contains("ICANON") && flags.contains("ECHO")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A failed test must not leave a window behind, least of all a stopped one.
        if let Ok(None) = self.child.try_wait() {
            let _ = kill(self.pid(), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

#[test]
fn detaching_gives_the_terminal_back() {
    let mut terminal = Terminal::open(&[]);
    terminal.sees("frame 0013");
    assert!(!terminal.is_cooked());
    terminal.types("i6*7\r");
    terminal.sees("= 42");
    // Shift-Tab leaves the prompt.
    terminal.types("\x1b[Zd");
    terminal.sees("ended: Ok(Detached)");
    assert!(terminal.is_cooked());
    terminal.is_given_back();
}

#[test]
fn keys_wake_a_window_in_which_nothing_ticks() {
    let mut terminal = Terminal::open(&[(IDLE, "1")]);
    terminal.sees("● idle");
    for _ in 0..3 {
        terminal.types("?");
        terminal.sees("Help: all keys");
        terminal.types("\x1b");
        terminal.wait("the panes", |seen| !seen.screen.screen().contents().contains("Help: all keys"));
    }
    terminal.types("d");
    terminal.sees("ended: Ok(Detached)");
}

#[test]
fn signals_give_the_terminal_back() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
        let mut terminal = Terminal::open(&[]);
        terminal.sees("frame 0013");
        kill(terminal.pid(), signal).unwrap();
        terminal.is_given_back();
    }
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_read() {
    let mut terminal = Terminal::open(&[(PANICS, "1")]);
    terminal.sees("frame 0013");
    terminal.types(" ");
    terminal.sees("on purpose");
    terminal.is_given_back();
}

#[test]
fn suspending_gives_the_terminal_back_until_it_goes_on() {
    let mut terminal = Terminal::open(&[]);
    terminal.sees("frame 0013");
    terminal.types("\x1a");
    terminal.wait("the shell's screen", |seen| !seen.screen.screen().alternate_screen());
    stopped(terminal.pid());
    kill(terminal.pid(), Signal::SIGCONT).unwrap();
    terminal.sees("frame 0013");
    kill(terminal.pid(), Signal::SIGTSTP).unwrap();
    stopped(terminal.pid());
    kill(terminal.pid(), Signal::SIGCONT).unwrap();
    terminal.sees("frame 0013");
    terminal.types("d");
    terminal.sees("ended: Ok(Detached)");
}

fn stopped(pid: Pid) {
    let until = Instant::now() + PATIENCE;
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        if stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T')) {
            return;
        }
        assert!(Instant::now() < until, "it never stopped: {stat}");
        std::thread::yield_now();
    }
}

#[test]
fn sizes_change_while_it_runs() {
    let mut terminal = Terminal::open(&[]);
    terminal.sees("frame 0013");
    terminal.resize(19, 4);
    terminal.sees("too small: 19×4");
    terminal.resize(0, 0);
    terminal.resize(80, 24);
    terminal.sees("frame 0013");
    terminal.types("i");
    terminal.sees("Enter run");
    for (cols, rows) in [(10, 2), (40, 10), (200, 60), (1, 1), (80, 24)] {
        terminal.resize(cols, rows);
    }
    terminal.sees("Enter run");
    terminal.types("\x1b[Z");
    terminal.types("d");
    terminal.sees("ended: Ok(Detached)");
    terminal.is_given_back();
}

#[test]
fn without_colour_the_selection_is_seen_and_no_colour_is_sent() {
    let mut terminal = Terminal::open(&[("NO_COLOR", "1")]);
    terminal.sees("›► frame 0013");
    terminal.wait("the selection", |seen| {
        let screen = seen.screen.screen();
        let row = (0..24).find(|row| screen.contents_between(*row, 0, *row, 79).contains("›► frame 0013"));
        row.and_then(|row| screen.cell(row, 5)).is_some_and(vt100::Cell::inverse)
    });
    let seen = terminal.seen.0.lock().unwrap();
    let screen = seen.screen.screen();
    for row in 0..24 {
        for col in 0..80 {
            let cell = screen.cell(row, col).unwrap();
            assert_eq!((cell.fgcolor(), cell.bgcolor()), (vt100::Color::Default, vt100::Color::Default));
        }
    }
    drop(seen);
    terminal.types("d");
    terminal.sees("ended: Ok(Detached)");
}

#[test]
fn without_a_terminal_nothing_is_opened() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["tui::tests::real::show", "--exact", "--ignored", "--nocapture"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("ended: Err(NoTerminal)"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
}

#[test]
fn on_a_terminal_of_which_nothing_is_known_nothing_is_opened() {
    for (term, said) in [("dumb", "DumbTerminal { said: \"“dumb”\" }"), ("", "DumbTerminal { said: \"nothing")] {
        let terminal = Terminal::open(&[("TERM", term)]);
        terminal.wait("the end", |seen| seen.over);
        let seen = terminal.seen.0.lock().unwrap();
        let bytes = String::from_utf8_lossy(&seen.bytes);
        assert!(bytes.contains(&format!("ended: Err({said}")), "{bytes}");
        assert!(!bytes.contains('\u{1b}'), "{bytes}");
    }
}
