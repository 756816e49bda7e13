//! The loop on a screen in memory.

use super::fake::{self, Fake};
use crate::model::Micros;
use crate::tui::Ended;
use crate::tui::driver::{Driver, Screen, Signal, Until};
use crate::tui::keymap;
use crate::tui::model::Model;
use crate::tui::theme::Theme;
use crate::tui::view::view;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use futures_util::stream::{self, StreamExt as _};
use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Size;
use ratatui::style::{Color, Modifier};
use std::cell::Cell;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Memory {
    pub(super) terminal: Terminal<TestBackend>,
    pub(super) copied: Vec<String>,
    pub(super) mouse: bool,
    pub(super) suspended: usize,
}

impl Screen for Memory {
    fn size(&self) -> io::Result<Size> {
        Ok(self.terminal.size().unwrap())
    }

    fn draw(&mut self, model: &Model) -> io::Result<()> {
        self.terminal.draw(|frame| view(model, frame)).unwrap();
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        self.copied.push(text.into());
        Ok(())
    }

    fn mouse(&mut self, ours: bool) -> io::Result<()> {
        self.mouse = ours;
        Ok(())
    }

    fn suspend(&mut self) -> io::Result<()> {
        self.suspended += 1;
        Ok(())
    }
}

pub(super) struct Window {
    pub(super) driver: Driver<Memory>,
    pub(super) session: Arc<Fake>,
    runtime: tokio::runtime::Runtime,
}

thread_local! {
    /// How much later it is than when the window was opened.
    static LATER: Cell<Micros> = const { Cell::new(Micros(0)) };
}

fn clock() -> Micros {
    Micros(fake::at(63.0).0 + LATER.get().0)
}

impl Window {
    pub(super) fn open(width: u16, height: u16) -> Self {
        Self::with(width, height, true, false)
    }

    pub(super) fn with(width: u16, height: u16, colour: bool, read_only: bool) -> Self {
        LATER.set(Micros(0));
        let session = Arc::new(Fake::new());
        let terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let screen = Memory { terminal, copied: Vec::new(), mouse: true, suspended: 0 };
        let model = Model::new(Size { width, height }, Theme { colour }, TimeZone::UTC, read_only, clock());
        let driver = Driver::new(model, screen, session.clone(), None, clock);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut window = Self { driver, session, runtime };
        assert_eq!(window.settle(Vec::new()), None);
        window
    }

    /// Feeds events and waits until nothing goes on.
    pub(super) fn settle(&mut self, events: Vec<Event>) -> Option<Ended> {
        let mut input = stream::iter(events.into_iter().map(Ok)).chain(stream::pending()).boxed_local();
        let mut signals = stream::pending::<Signal>();
        let driver = &mut self.driver;
        self.runtime.block_on(async {
            let idle = driver.run(&mut input, &mut signals, Until::Idle);
            tokio::time::timeout(Duration::from_secs(20), idle).await.expect("the window never got idle").unwrap()
        })
    }

    /// Keys by name, separated by spaces, each until idle.
    pub(super) fn keys(&mut self, keys: &str) -> Option<Ended> {
        keys.split(' ').find_map(|key| self.settle(vec![event(key)]))
    }

    /// The next thing happens so much later.
    pub(super) fn later(seconds: u64) {
        LATER.set(Micros(LATER.get().0 + seconds * 1_000_000));
    }

    /// Types a text.
    pub(super) fn types(&mut self, text: &str) -> Option<Ended> {
        let key = |c| match c {
            '\n' => KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE),
            c => KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE),
        };
        self.settle(text.chars().map(|c| Event::Key(key(c))).collect())
    }

    pub(super) fn resize(&mut self, width: u16, height: u16) {
        self.driver.screen.terminal.backend_mut().resize(width, height);
        self.settle(vec![Event::Resize(width, height)]);
    }

    /// The screen's text.
    pub(super) fn text(&self) -> String {
        let buffer = self.driver.screen.terminal.backend().buffer();
        rows(buffer).join("\n")
    }

    /// The screen's text, and where which style is.
    pub(super) fn picture(&self) -> String {
        let buffer = self.driver.screen.terminal.backend().buffer();
        let mut picture = rows(buffer).join("\n");
        picture.push_str("\n---- styles\n");
        for y in 0..buffer.area.height {
            let runs = runs(buffer, y);
            if !runs.is_empty() {
                let _ = writeln!(picture, "{y:>2}: {runs}");
            }
        }
        picture
    }

    #[track_caller]
    pub(super) fn sees(&self, text: &str) {
        assert!(self.text().contains(text), "“{text}” is not seen:\n{}", self.text());
    }

    #[track_caller]
    pub(super) fn misses(&self, text: &str) {
        assert!(!self.text().contains(text), "“{text}” is seen:\n{}", self.text());
    }
}

fn event(key: &str) -> Event {
    let (code, modifiers) = keymap::parse(key).unwrap_or_else(|| panic!("{key} is not a key"));
    Event::Key(KeyEvent::new(code, modifiers))
}

fn rows(buffer: &Buffer) -> Vec<String> {
    let row = |y| {
        let mut row = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            row.push_str(symbol);
            x += u16::try_from(unicode_width::UnicodeWidthStr::width(symbol).max(1)).unwrap();
        }
        row.trim_end().to_owned()
    };
    (0..buffer.area.height).map(row).collect()
}

fn runs(buffer: &Buffer, y: u16) -> String {
    let mut runs = String::new();
    let mut x = 0;
    while x < buffer.area.width {
        let style = name(buffer, x, y);
        let from = x;
        while x < buffer.area.width && name(buffer, x, y) == style {
            x += 1;
        }
        if !style.is_empty() {
            let _ = write!(runs, "{from}-{} {style}, ", x - 1);
        }
    }
    runs.trim_end_matches(", ").to_owned()
}

fn name(buffer: &Buffer, x: u16, y: u16) -> String {
    let cell = &buffer[(x, y)];
    let mut name = String::new();
    if cell.fg != Color::Reset {
        let _ = write!(name, "{}", cell.fg.to_string().to_lowercase());
    }
    if cell.bg != Color::Reset {
        let _ = write!(name, " on {}", cell.bg.to_string().to_lowercase());
    }
    for (modifier, word) in
        [(Modifier::BOLD, "bold"), (Modifier::DIM, "dim"), (Modifier::REVERSED, "rev"), (Modifier::UNDERLINED, "under")]
    {
        if cell.modifier.contains(modifier) {
            let _ = write!(name, "+{word}");
        }
    }
    name
}
