//! The loop: what happened goes into the model, what the model asks for is done, and the screen is drawn.
//!
//! Drawn at once after input, else at most thirty times a second, and not at all while nothing changed. Generic over the
//! screen and the stream of input, so that tests drive it without a terminal: keys in, until idle, look.

use super::clipboard;
use super::history;
use super::model::Model;
use super::msg::{Effect, Msg};
use super::save::Save;
use super::update::update;
use super::{Ended, TuiError};
use crate::api::{Link, SessionView};
use crate::model::Micros;
use crossterm::event::Event;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, Stream, StreamExt as _};
use ratatui::layout::Size;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Between two frames that nobody's key asked for.
const FRAME: Duration = Duration::from_millis(33);
/// Between two frames after input.
const PROMPT_FRAME: Duration = Duration::from_millis(8);
/// Events of the terminal that are taken before a frame.
const BATCH: usize = 256;

/// What is drawn upon.
pub(super) trait Screen {
    /// Its size.
    fn size(&self) -> io::Result<Size>;
    /// Draws the model.
    fn draw(&mut self, model: &Model) -> io::Result<()>;
    /// Forgets what it has drawn.
    fn clear(&mut self) -> io::Result<()>;
    /// Puts a text into the terminal's clipboard.
    fn copy(&mut self, text: &str) -> io::Result<()>;
    /// Takes the mouse, or gives it back.
    fn mouse(&mut self, ours: bool) -> io::Result<()>;
    /// Gives the terminal back, stops, and takes it again once told to go on.
    fn suspend(&mut self) -> io::Result<()>;
}

/// What the system tells the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// To end: SIGTERM, SIGINT or SIGQUIT.
    End,
    /// That the terminal is gone: SIGHUP, or its end was seen.
    HungUp,
    /// To stop: SIGTSTP.
    Stop,
}

/// How urgent a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Dirty {
    No,
    Later,
    Now,
}

/// When the loop returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// The window is left.
    Left,
    /// That, or nothing is going on: no input, no answer awaited, nothing to draw.
    #[cfg(test)]
    Idle,
}

/// The loop's state.
pub(super) struct Driver<S> {
    /// The window.
    pub(super) model: Model,
    /// What it is drawn upon.
    pub(super) screen: S,
    view: Arc<dyn SessionView>,
    pulses: watch::Receiver<Link>,
    /// Whether anybody is left who could send a pulse.
    pulsing: bool,
    /// Questions whose answers are awaited: bounded by one for each pane, and one for each key that asks.
    flight: FuturesUnordered<BoxFuture<'static, Msg>>,
    history: Option<PathBuf>,
    save: Save,
    clock: fn() -> Micros,
    dirty: Dirty,
    drawn: Instant,
    ticked: Instant,
    ended: Option<Ended>,
}

impl<S: Screen> Driver<S> {
    /// A loop that has not begun.
    pub(super) fn new(
        model: Model,
        screen: S,
        view: Arc<dyn SessionView>,
        history: Option<PathBuf>,
        clock: fn() -> Micros,
    ) -> Self {
        let mut pulses = view.pulses();
        pulses.mark_changed();
        let past = Instant::now().checked_sub(FRAME).unwrap_or_else(Instant::now);
        Self {
            model,
            screen,
            view,
            pulses,
            pulsing: true,
            flight: FuturesUnordered::new(),
            history,
            save: Save::default(),
            clock,
            dirty: Dirty::Now,
            drawn: past,
            ticked: past,
            ended: None,
        }
    }

    /// Runs; how the window was left.
    pub(super) async fn run<I, G>(
        &mut self,
        input: &mut I,
        signals: &mut G,
        until: Until,
    ) -> Result<Option<Ended>, TuiError>
    where
        I: Stream<Item = io::Result<Event>> + Unpin,
        G: Stream<Item = Signal> + Unpin,
    {
        let mut input = input.ready_chunks(BATCH);
        loop {
            if let Some(ended) = self.ended.take() {
                return Ok(Some(ended));
            }
            if self.dirty > Dirty::No && Instant::now() >= self.due() {
                self.draw();
                continue;
            }
            let due = self.due();
            let tick = self.model.tick().map(|every| self.ticked + every);
            let resting = until != Until::Left && self.flight.is_empty() && self.dirty == Dirty::No;
            tokio::select! {
                biased;
                Some(signal) = signals.next() => self.signalled(signal),
                events = input.next() => self.typed(events),
                changed = self.pulses.changed(), if self.pulsing => self.pulsed(changed.is_ok()),
                Some(msg) = self.flight.next(), if !self.flight.is_empty() => {
                    self.apply(msg);
                    self.dirty = self.dirty.max(Dirty::Later);
                }
                () = sleep_until(due), if self.dirty > Dirty::No => {}
                () = sleep_until(tick.unwrap_or(due)), if tick.is_some() && self.dirty == Dirty::No && !resting => {
                    self.ticked = Instant::now();
                    self.apply(Msg::Tick((self.clock)()));
                    self.dirty = Dirty::Later;
                }
                () = std::future::ready(()), if resting => return Ok(None),
            }
        }
    }

    fn due(&self) -> Instant {
        self.drawn + if self.dirty == Dirty::Now { PROMPT_FRAME } else { FRAME }
    }

    fn draw(&mut self) {
        tui_logger::move_events();
        self.dirty = Dirty::No;
        self.drawn = Instant::now();
        // A resize that came while nobody looked (suspended, or before the first frame).
        if let Ok(size) = self.screen.size()
            && size != self.model.size
        {
            self.apply(Msg::Input(Event::Resize(size.width, size.height)));
        }
        if self.screen.draw(&self.model).is_err() {
            self.ended = Some(Ended::TerminalLost);
        }
    }

    fn apply(&mut self, msg: Msg) {
        self.model.clock = (self.clock)();
        for effect in update(&mut self.model, msg) {
            self.perform(effect);
        }
    }

    fn pulsed(&mut self, alive: bool) {
        self.pulsing = alive;
        let link = self.pulses.borrow_and_update().clone();
        tell(&self.model.link, &link);
        self.apply(Msg::Link(Box::new(link)));
        self.dirty = self.dirty.max(Dirty::Later);
    }

    fn signalled(&mut self, signal: Signal) {
        match signal {
            Signal::End => self.ended = Some(Ended::Detached),
            Signal::HungUp => self.ended = Some(Ended::TerminalLost),
            Signal::Stop => self.perform(Effect::Suspend),
        }
    }

    /// All that has been typed by now, so that a storm of events is one frame.
    fn typed(&mut self, events: Option<Vec<io::Result<Event>>>) {
        let Some(events) = events else {
            self.ended = Some(Ended::TerminalLost);
            return;
        };
        for event in events {
            match event {
                Ok(event) => self.apply(Msg::Input(event)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.ended = Some(Ended::TerminalLost),
            }
            if self.ended.is_some() {
                break;
            }
        }
        self.dirty = Dirty::Now;
    }

    fn perform(&mut self, effect: Effect) {
        let done = match effect {
            Effect::Ask(purpose, request) => {
                let answer = self.view.ask(request);
                let answer =
                    answer.map(|answer| Msg::Answer(purpose, Box::new(answer.map_err(|error| error.to_string()))));
                self.flight.push(answer.boxed());
                Ok(())
            }
            Effect::LoadHistory(application) => {
                if let Some(folder) = self.history.clone() {
                    self.flight.push(history::load(folder, application).map(Msg::History).boxed());
                }
                Ok(())
            }
            Effect::Remember { application, source } => {
                if let Some(folder) = self.history.clone() {
                    let remembered = history::remember(folder, application, source);
                    self.flight.push(remembered.map(|()| Msg::History(Vec::new())).boxed());
                }
                Ok(())
            }
            Effect::Osc52(text) => self.screen.copy(&text),
            Effect::Give(programs, clip) => {
                self.flight.push(async move { Msg::Given(clipboard::give(programs, &clip.text).await, clip) }.boxed());
                Ok(())
            }
            Effect::Create { .. } | Effect::Append(_) | Effect::Close => {
                self.write(effect);
                Ok(())
            }
            Effect::Write { saving, path, replace } => {
                let written = async move {
                    let written = saving.write(path.clone(), replace).await;
                    Msg::Saved(saving, path, written)
                };
                self.flight.push(written.boxed());
                Ok(())
            }
            Effect::Steer(steer) => {
                self.view.steer(steer);
                Ok(())
            }
            Effect::Mouse(ours) => self.screen.mouse(ours),
            Effect::Redraw => self.redraw(),
            Effect::Suspend => self.screen.suspend().and_then(|()| self.redraw()),
            Effect::Leave(ended) => {
                self.ended = Some(ended);
                Ok(())
            }
        };
        if done.is_err() {
            self.ended = Some(Ended::TerminalLost);
        }
    }

    /// What goes into a file: a slow disk is waited for elsewhere.
    fn write(&mut self, effect: Effect) {
        match effect {
            Effect::Create { transfer, path, replace } => {
                self.save = Save::default();
                let made = self.save.clone().create(path, replace);
                self.flight.push(made.map(|made| Msg::Created(transfer, made)).boxed());
            }
            Effect::Append(bytes) => self.flight.push(self.save.clone().append(bytes).map(Msg::Written).boxed()),
            _ => {
                let done = std::mem::take(&mut self.save);
                tokio::task::spawn_blocking(move || drop(done));
            }
        }
    }

    fn redraw(&mut self) -> io::Result<()> {
        self.dirty = Dirty::Now;
        self.screen.clear()
    }
}

/// Into the log: what became of the link.
fn tell(before: &Link, now: &Link) {
    match (before, now) {
        (Link::Live(_), Link::Live(_)) | (Link::Lost { .. }, Link::Lost { .. }) | (_, Link::Connecting { .. }) => {}
        (Link::Recorded(before), Link::Recorded(now)) => {
            now.notes.iter().filter(|note| !before.notes.contains(note)).for_each(|note| tracing::warn!("{note}"));
        }
        (_, Link::Recorded(playback)) => playback.notes.iter().for_each(|note| tracing::warn!("{note}")),
        (_, Link::Live(summary)) => tracing::info!(session = %summary.session, "connected"),
        (_, Link::Lost { reason, .. }) => tracing::warn!(%reason, "the connection is lost"),
        (_, Link::Over { reason, .. }) => tracing::info!(%reason, "nothing more will come"),
    }
}
