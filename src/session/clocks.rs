//! Every wait of the session: what is awaited, since when, and until when at most.

use super::Actor;
use super::actor::Outputs;
use super::finding::MATCHED;
use super::retries::Retries;
use super::stopwatch::Stopwatch;
use super::world::{Now, World};
use crate::model::{Generation, Micros, SessionPhase, Wait, WaitFor};
use std::time::Duration;

/// Between two tries to write the journal.
const JOURNAL_RETRY: Duration = Duration::from_secs(1);

/// How long the child may take to answer a question: its other thread does, unless something holds the GIL.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// Points in time that waits are counted from.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// The child was launched.
    pub(super) launched: Option<Now>,
    /// The running command was sent.
    pub(super) sent: Option<Now>,
    /// The running item was begun.
    pub(super) item: Option<Stopwatch>,
    /// The last word of the child other than a heartbeat, which its other thread sends whatever happens.
    pub(super) sign: Option<Now>,
    /// The last word of any kind.
    pub(super) word: Option<Now>,
    /// Since when it was silent when that time-out was told; any sign of life since arms it again.
    pub(super) silence_told: Option<Micros>,
    /// The command's time-out has passed.
    pub(super) command_told: bool,
    /// The item's time-out has passed.
    pub(super) item_told: bool,
    /// The session ended.
    pub(super) ended: Option<Now>,
    /// Teardown began.
    pub(super) teardown: Option<Stopwatch>,
    /// The agenda source said *waiting*.
    pub(super) source: Option<Now>,
    /// Failed items wait for their next try.
    pub(super) retries: Retries,
    /// The journal could not be written.
    pub(super) journal: Option<Now>,
    /// The last progress that was journalled.
    pub(super) told: Option<Micros>,
    /// An operator has stopped the child's processes; the clocks of what the child does stand since then.
    pub(super) paused: Option<Now>,
}

/// A wait with its end on the monotonic clock.
struct Deadline {
    what: WaitFor,
    since: Now,
    until: Option<Micros>,
}

impl<W: World> Actor<W> {
    /// The next moment (monotonic) at which [`Actor::tick`] must be called.
    pub fn next_deadline(&self) -> Option<Micros> {
        self.deadlines().iter().filter_map(|deadline| deadline.until).min()
    }

    /// All that is awaited, for people.
    pub(super) fn waits(&self) -> Vec<Wait> {
        let now = self.world.now();
        let wall = |mono: Micros| Micros((now.wall.0 + mono.0).saturating_sub(now.mono.0));
        self.deadlines()
            .into_iter()
            .map(|deadline| Wait { what: deadline.what, since: deadline.since.wall, until: deadline.until.map(wall) })
            .collect()
    }

    fn deadlines(&self) -> Vec<Deadline> {
        let clocks = &self.clocks;
        let limits = self.limits();
        let mut all = Vec::new();
        let mut add = |what, since: Option<Now>, limit: Option<Duration>| {
            if let Some(since) = since {
                all.push(Deadline { what, since, until: limit.map(|limit| after(since, limit)) });
            }
        };
        let running = |limit: Option<Duration>| limit.filter(|_| clocks.paused.is_none());
        let starting = clocks.launched.filter(|_| !self.is_overdue(WaitFor::Startup));
        add(WaitFor::Startup, starting, running(limits.startup));
        add(WaitFor::AgendaSource, clocks.source.filter(|_| self.wants_work()), Some(limits.waiting));
        add(WaitFor::Journal, clocks.journal, Some(JOURNAL_RETRY));
        if self.ladder.is_none() {
            add(WaitFor::Command, clocks.sent.filter(|_| !clocks.command_told), running(limits.command));
            let silent = self.silent_since().filter(|since| clocks.silence_told != Some(since.mono));
            add(WaitFor::Silence, silent, running(limits.silence));
            let item = clocks.item.filter(|_| !clocks.item_told).map(|item| watched(WaitFor::Item, item, limits.item));
            all.extend(item.filter(|item| item.until.is_some()));
            let teardown = clocks.teardown.filter(|_| self.alive && !self.is_overdue(WaitFor::Teardown));
            all.extend(teardown.map(|teardown| watched(WaitFor::Teardown, teardown, limits.teardown)));
        }
        if let Some(ladder) = &self.ladder {
            let (what, since, until) = ladder.wait();
            all.push(Deadline { what, since, until: Some(until) });
        }
        let looked_into = self.overdue.first().map(|overdue| (overdue.since, overdue.until));
        let asked = self.asking.as_ref().map(|asking| (asking.since, asking.until));
        if let Some((since, until)) = looked_into.into_iter().chain(asked).min_by_key(|(_, until)| *until) {
            all.push(Deadline { what: WaitFor::Diagnosis, since, until: Some(until) });
        }
        let driver = self.driver_wait();
        all.extend(driver.map(|(since, until)| Deadline { what: WaitFor::BackEnd, since, until }));
        if let Some(hold) = self.state.held.as_ref().filter(|_| self.awaits_release()) {
            all.push(Deadline {
                what: WaitFor::Release,
                since: Now { wall: hold.since, mono: Micros(0) },
                until: None,
            });
        }
        if let Outputs::Looking { since } = self.outputs {
            // Whoever looks keeps the bound.
            all.push(Deadline { what: WaitFor::Outputs, since, until: None });
        }
        if let Some(asked) = self.desk.oldest_question() {
            all.push(Deadline { what: WaitFor::Answer, since: asked, until: Some(after(asked, ANSWER)) });
        }
        if let Some(since) = self.matching {
            all.push(Deadline { what: WaitFor::Output, since, until: Some(after(since, MATCHED)) });
        }
        let retry = self.clocks.retries.next().filter(|_| self.wants_work());
        all.extend(retry.map(|retry| Deadline { what: WaitFor::Retry, since: retry.since, until: Some(retry.until) }));
        all
    }

    /// Since when nothing came from the running command: no output, no word but heartbeats.
    pub(super) fn silent_since(&self) -> Option<Now> {
        let sent = self.clocks.sent?;
        let output = self.world.telemetry().last_output;
        [Some(sent), self.clocks.sign, output].into_iter().flatten().max_by_key(|sign| sign.mono)
    }

    /// Acts on every wait whose time is over.
    pub fn tick(&mut self) {
        let now = self.world.now();
        let due: Vec<WaitFor> = self
            .deadlines()
            .iter()
            .filter(|deadline| deadline.until.is_some_and(|until| until <= now.mono))
            .map(|deadline| deadline.what)
            .collect();
        for what in due {
            self.expire(what, now);
        }
        self.advance();
    }

    fn expire(&mut self, what: WaitFor, now: Now) {
        match what {
            WaitFor::Journal => self.retry_journal(),
            WaitFor::Startup | WaitFor::Command | WaitFor::Item | WaitFor::Silence | WaitFor::Teardown => {
                self.timed_out(what);
            }
            WaitFor::KillGrace | WaitFor::Rung(_) => self.rung_overdue(),
            WaitFor::Diagnosis => self.diagnosis_overdue(now),
            WaitFor::Output => self.matching_overdue(),
            WaitFor::Retry => self.retries_due(now),
            WaitFor::AgendaSource => self.clocks.source = None,
            WaitFor::Answer => self.questions_overdue(now),
            WaitFor::BackEnd => self.driver_overdue(),
            WaitFor::Release | WaitFor::Outputs => {}
        }
    }

    pub(super) fn idle_at_agenda(&self) -> bool {
        self.state.phase == SessionPhase::Agenda && self.state.running_item.is_none()
    }

    pub(super) fn wants_work(&self) -> bool {
        self.idle_at_agenda() && self.lets_items_begin() && self.stopping().is_none()
    }

    /// The generation that the next child gets.
    pub(super) fn next_generation(&self) -> Generation {
        Generation(self.state.generation.0 + 1)
    }
}

fn watched(what: WaitFor, watch: Stopwatch, limit: Option<Duration>) -> Deadline {
    Deadline { what, since: watch.began(), until: limit.and_then(|limit| watch.due(limit)) }
}

/// So long after a moment.
pub(super) fn after(since: Now, limit: Duration) -> Micros {
    Micros(since.mono.0.saturating_add(Micros::from(limit).0))
}
