//! The real terminal: taken on entry and given back exactly once, however the window ends.
//!
//! Whatever ends it (return, panic, a signal, suspension) goes through [`restore`], which does nothing the second time.
//! Nothing here goes through Rust's buffered standard output: a frame is one write to the terminal, wrapped in a
//! synchronized update, and a panic in the middle of one cannot dead-lock on a lock.

use super::TuiError;
use super::driver::{Screen, Signal};
use super::model::Model;
use super::view::view;
use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{QueueableCommand as _, cursor};
use futures_util::stream::{self, Stream, StreamExt as _};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Size;
use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::panic::PanicHookInfo;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// Whether the terminal is ours just now.
static TAKEN: AtomicBool = AtomicBool::new(false);

type Hook = dyn Fn(&PanicHookInfo<'_>) + Send + Sync;

/// Whether a window can be opened here: input and output are a terminal, and one that does more than a typewriter.
pub fn check() -> Result<(), TuiError> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(TuiError::NoTerminal);
    }
    match std::env::var_os("TERM").as_deref().map(OsStr::as_encoded_bytes) {
        None => Err(TuiError::DumbTerminal { said: "nothing".to_owned() }),
        Some(b"") => Err(TuiError::DumbTerminal { said: "nothing (it is empty)".to_owned() }),
        Some(b"dumb") => Err(TuiError::DumbTerminal { said: "“dumb”".to_owned() }),
        Some(_) => Ok(()),
    }
}

/// Gives the terminal back when dropped, and a panic hook that does so first.
pub(super) struct Guard {
    before: Arc<Hook>,
}

impl Guard {
    /// Takes the terminal.
    pub(super) fn enter() -> Result<Self, TuiError> {
        check()?;
        let before: Arc<Hook> = Arc::from(std::panic::take_hook());
        let (ours, next) = (std::thread::current().id(), before.clone());
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().id() == ours {
                restore();
                next(info);
            } else if TAKEN.load(Ordering::Acquire) {
                // Another thread's message would be written across the screen.
                tracing::error!("{info}");
            } else {
                next(info);
            }
        }));
        let guard = Self { before };
        take(true).map_err(TuiError::Terminal)?;
        Ok(guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
        if !std::thread::panicking() {
            let before = self.before.clone();
            std::panic::set_hook(Box::new(move |info| before(info)));
        }
    }
}

fn take(mouse: bool) -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::Release);
    let mut out = tty()?;
    let mut entry = Vec::new();
    entry.queue(EnterAlternateScreen)?.queue(EnableBracketedPaste)?.queue(cursor::Hide)?;
    if mouse {
        entry.queue(EnableMouseCapture)?;
    }
    out.write_all(&entry)
}

/// Gives the terminal back; once, and whatever of it fails.
pub(super) fn restore() {
    if !TAKEN.swap(false, Ordering::AcqRel) {
        return;
    }
    let mut exit = Vec::new();
    // Writing into memory cannot fail.
    let _ = exit.queue(EndSynchronizedUpdate);
    let _ = exit.queue(DisableMouseCapture);
    let _ = exit.queue(DisableBracketedPaste);
    let _ = exit.queue(cursor::Show);
    let _ = exit.queue(LeaveAlternateScreen);
    // The terminal may be gone; then there is nothing to give back.
    let _ = tty().and_then(|mut out| out.write_all(&exit));
    let _ = disable_raw_mode();
}

/// Standard output without Rust's buffer and lock.
fn tty() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

/// A frame while it is made.
#[derive(Clone, Default)]
struct Buffer(Rc<RefCell<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The real screen.
pub(super) struct TerminalScreen {
    terminal: Terminal<CrosstermBackend<Buffer>>,
    buffer: Buffer,
    out: File,
    mouse: bool,
}

impl TerminalScreen {
    /// On a terminal that is taken.
    pub(super) fn new() -> Result<Self, TuiError> {
        let buffer = Buffer::default();
        let terminal = Terminal::new(CrosstermBackend::new(buffer.clone())).map_err(TuiError::Terminal)?;
        Ok(Self { terminal, buffer, out: tty().map_err(TuiError::Terminal)?, mouse: true })
    }

    fn send(&mut self) -> io::Result<()> {
        let frame = std::mem::take(&mut *self.buffer.0.borrow_mut());
        if frame.is_empty() { Ok(()) } else { self.out.write_all(&frame) }
    }
}

impl Screen for TerminalScreen {
    fn size(&self) -> io::Result<Size> {
        self.terminal.size()
    }

    fn draw(&mut self, model: &Model) -> io::Result<()> {
        self.buffer.queue(BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| view(model, frame))?;
        self.buffer.queue(EndSynchronizedUpdate)?;
        self.send()
    }

    fn clear(&mut self) -> io::Result<()> {
        // `Terminal::clear` would ask the terminal where its cursor is, and wait for the answer.
        self.terminal = Terminal::new(CrosstermBackend::new(self.buffer.clone()))?;
        self.buffer.queue(Clear(ClearType::All))?;
        Ok(())
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        self.buffer.queue(CopyToClipboard::to_clipboard_from(text))?;
        self.send()
    }

    fn mouse(&mut self, ours: bool) -> io::Result<()> {
        self.mouse = ours;
        if ours {
            self.buffer.queue(EnableMouseCapture)?
        } else {
            self.buffer.queue(DisableMouseCapture)?
        };
        self.send()
    }

    fn suspend(&mut self) -> io::Result<()> {
        restore();
        // Only this thread is told, which stops the whole process before the call returns.
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP)?;
        take(self.mouse)
    }
}

/// The signals that concern a window, and the word that its terminal is gone.
pub(super) fn signals(gone: Arc<Notify>) -> io::Result<impl Stream<Item = Signal> + Unpin> {
    let one = |kind: SignalKind, told: Signal| -> io::Result<_> {
        let mut signal = signal(kind)?;
        Ok(stream::poll_fn(move |context| signal.poll_recv(context).map(|got| got.map(|()| told))).boxed())
    };
    Ok(stream::select_all([
        one(SignalKind::terminate(), Signal::End)?,
        one(SignalKind::interrupt(), Signal::End)?,
        one(SignalKind::quit(), Signal::End)?,
        one(SignalKind::hangup(), Signal::HungUp)?,
        one(SignalKind::from_raw(nix::libc::SIGTSTP), Signal::Stop)?,
        stream::once(async move {
            gone.notified().await;
            Signal::HungUp
        })
        .boxed(),
    ]))
}
