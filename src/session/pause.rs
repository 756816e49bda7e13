//! An operator stops the child's processes where they are, and every clock with them.
//!
//! What must stay true: what is to end the child lets it go on first, since a stopped process handles no SIGTERM and
//! reads no channel; the waits of the ladder that ends it never stand.

use super::Actor;
use super::requests::{Answer, disk_full, done, not_now};
use super::world::{Now, World};
use crate::model::proto::{Refusal, RefusalKind};
use crate::model::{EventKind, Micros, Origin};

impl<W: World> Actor<W> {
    /// Whether the child's processes are stopped. It counts before its end is journalled.
    pub(super) fn is_paused(&self) -> bool {
        self.clocks.paused.is_some()
    }

    pub(super) fn pause(&mut self, by: Origin) -> Answer {
        self.refuse_if_over()?;
        if self.is_paused() {
            return done("the child is paused already");
        }
        if !self.alive {
            return Err(not_now("there is no child to be paused"));
        }
        if self.asked || self.ladder.is_some() {
            return Err(not_now("the child is being ended; it cannot be paused"));
        }
        if !self.intend(vec![EventKind::ChildPaused { by: Some(by) }]) {
            return Err(disk_full());
        }
        self.clocks.paused = Some(self.world.now());
        if let Err(error) = self.world.pause(true) {
            self.wake();
            return Err(failed(format!("the child could not be paused and goes on: {error}")));
        }
        done("the child is paused, and every clock of the session with it")
    }

    /// Lets the child go on.
    pub(super) fn let_go_on(&mut self, by: Origin) -> Answer {
        self.refuse_if_over()?;
        if !self.is_paused() {
            return done("the child was not paused");
        }
        if !self.intend(vec![EventKind::ChildContinued { by: Some(by) }]) {
            return Err(disk_full());
        }
        self.clocks_go_on();
        match self.world.pause(false) {
            Ok(()) => done("the child goes on"),
            Err(error) => Err(failed(format!("the child could not be told to go on: {error}"))),
        }
    }

    /// Lets a paused child go on, because it is to end.
    pub(super) fn wake(&mut self) {
        if !self.is_paused() {
            return;
        }
        self.fact(EventKind::ChildContinued { by: None });
        self.clocks_go_on();
        if let Err(error) = self.world.pause(false) {
            tracing::warn!(%error, "the child could not be told to go on");
        }
    }

    /// The child is not paused any more, or is gone: its clocks go on where they stood.
    pub(super) fn clocks_go_on(&mut self) {
        let silent = self.silent_since();
        let Some(paused) = self.clocks.paused.take() else { return };
        let now = self.world.now().mono;
        // As long ago as it was when the pause began.
        let later = |point: Now| Now { mono: Micros(now.0.saturating_sub(paused.mono.since(point.mono).0)), ..point };
        self.clocks.launched = self.clocks.launched.map(later);
        self.clocks.sent = self.clocks.sent.map(later);
        self.clocks.sign = silent.map(later);
        if silent.is_some_and(|silent| self.clocks.silence_told == Some(silent.mono)) {
            self.clocks.silence_told = self.clocks.sign.map(|sign| sign.mono);
        }
        self.set_clocks();
    }
}

fn failed(message: String) -> Refusal {
    Refusal { kind: RefusalKind::Failed, message }
}
