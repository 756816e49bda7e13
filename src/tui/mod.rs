//! The screen: a client like any other.
//!
//! ```text
//!  keys, mouse ─┐                       ┌→ view(&Model, frame) → terminal
//!  pulses ──────┼→ Msg → update(&mut Model, Msg) → effects ─→ ask the session → Msg::Answer
//!  answers ─────┘   (no I/O)                               └→ clipboard, file, history, suspend, leave
//! ```
//!
//! What must stay true: it depends on `model` and [`SessionView`] (and, to write commands down, on
//! `job::record`) only, folds nothing and holds no truth: pulses bring the
//! summary, and it asks for the windows that its visible panes show. Killing it changes nothing for the engine. What
//! others wrote is made safe before it becomes a cell (`text`, `ansi`). One table of actions makes dispatch, key bar,
//! help, palette and the README's key table. The terminal is given back exactly once, however it ends.

mod actions;
mod ansi;
mod clipboard;
mod driver;
mod hang_up;
mod history;
mod keymap;
mod layout;
mod model;
mod msg;
mod overlay;
mod panes;
mod save;
mod save_as;
mod scroll;
mod steering;
mod terminal;
#[cfg(test)]
mod tests;
mod text;
mod theme;
mod time;
mod update;
mod view;

pub use actions::key_table_markdown;
/// For the fuzzer.
#[doc(hidden)]
pub use ansi::styled;
pub use panes::log::WindowLog;
pub use terminal::check as check_terminal;

use crate::api::SessionView;
use driver::{Driver, Screen as _, Until};
use jiff::tz::TimeZone;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// With what a window's process ends when the terminal is gone and its loop is stuck in it. The same as after
/// [`Ended::TerminalLost`]: the session goes on, and nothing has failed.
const LOST_EXIT_CODE: i32 = 0;

/// How a window is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Whether it only looks. The engine is asked to refuse its writes too; this only keeps it from offering them.
    pub read_only: bool,
    /// Whether colours may be used; [`Options::default`] honours `NO_COLOR`.
    pub colour: bool,
    /// Where the prompt's history is kept; `None`: nowhere. [`Options::default`] takes the XDG state folder.
    pub history: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        use etcetera::BaseStrategy as _;
        let state = etcetera::base_strategy::choose_base_strategy().ok().and_then(|base| base.state_dir());
        Self {
            read_only: false,
            colour: std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()),
            history: state.map(|state| state.join("childminder").join("history")),
        }
    }
}

/// How a window was left, and the sentence for it. The session goes on, unless it was over before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By a key or a signal; the engine and the child go on.
    Detached,
    /// The terminal is gone; the engine and the child go on.
    TerminalLost,
    /// After the session had ended, with this exit code.
    SessionOver(i32),
    /// After the engine was gone without having ended the session; why, for people.
    EngineGone(String),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Detached => f.write_str("detached: the engine and the child go on"),
            Self::TerminalLost => f.write_str("the terminal is gone: the engine and the child go on"),
            Self::SessionOver(code) => write!(f, "the session is over, exit code {code}"),
            Self::EngineGone(reason) => f.write_str(reason),
        }
    }
}

/// Why no window could be opened.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// Input or output is not a terminal.
    #[error("a window needs a terminal on standard input and output")]
    NoTerminal,
    /// There is a terminal of which nothing is known, or that cannot place its cursor: `TERM` is `dumb`, empty or not set.
    #[error("a window needs a terminal that can place its cursor, and TERM says {said}")]
    DumbTerminal {
        /// What `TERM` says, in words.
        said: String,
    },
    /// The terminal did not do what was asked.
    #[error("the terminal cannot be set up: {0}")]
    Terminal(#[source] io::Error),
}

/// Opens a window on a session, and returns when it is left. Needs a tokio runtime with I/O and time.
///
/// Takes the terminal, the signals TERM, INT, QUIT, HUP and TSTP and the panic hook until then, and puts [`WindowLog`] in as
/// `tracing`'s subscriber if there is none yet. Once the terminal is gone it returns within a moment, or ends the process.
pub async fn run(view: Arc<dyn SessionView>, options: Options) -> Result<Ended, TuiError> {
    // Fails when there is a subscriber already, which then may have the layer in it.
    let _ = tracing_subscriber::registry().with(WindowLog).try_init();
    // Otherwise crossterm would, under NO_COLOR, write empty colour sequences that reset the attributes too.
    crossterm::style::force_color_output(true);
    let watch = hang_up::Watch::start().map_err(TuiError::Terminal)?;
    let mut signals = terminal::signals(watch.gone()).map_err(TuiError::Terminal)?;
    let _guard = terminal::Guard::enter()?;
    let screen = terminal::TerminalScreen::new()?;
    let size = screen.size().map_err(TuiError::Terminal)?;
    let theme = theme::Theme { colour: options.colour };
    let now = time::now();
    let mut model = model::Model::new(size, theme, TimeZone::system(), options.read_only, now);
    model.programs = clipboard::programs(|name| std::env::var_os(name));
    let mut input = crossterm::event::EventStream::new();
    let mut driver = Driver::new(model, screen, view, options.history, time::now);
    let ended = driver.run(&mut input, &mut signals, Until::Left).await?;
    Ok(ended.unwrap_or(Ended::Detached))
}
