//! Every wait of the session: what is awaited, since when, and until when at most.

use super::Actor;
use super::actor::Verdict;
use super::stopwatch::Stopwatch;
use super::world::{Now, World};
use crate::model::{ChildState, EventKind, Generation, Micros, Phase, SessionPhase, StopMode, Wait, WaitFor};
use std::time::Duration;

/// Between two tries to write the journal.
const JOURNAL_RETRY: Duration = Duration::from_secs(1);

/// How long the child may take to answer a question: its other thread does, unless something holds the GIL.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// How hard the child was last asked to stop what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rung {
    /// The running command was interrupted.
    Interrupt,
    /// The child was asked to end, or closed the channel by itself.
    Leave,
    /// SIGTERM to the group.
    Terminate,
    /// SIGKILL to the group and everything that carries the marker; how often.
    Kill(u8),
}

/// The way from asking to forcing; each rung waits its time.
#[derive(Debug, Clone)]
pub(super) struct Ladder {
    pub(super) rung: Rung,
    pub(super) since: Now,
    pub(super) until: Micros,
    pub(super) reason: String,
}

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
    /// The silence time-out has passed and was told.
    pub(super) silence_told: bool,
    /// The command's time-out has passed, and it was interrupted.
    pub(super) command_told: bool,
    /// The item's time-out has passed.
    pub(super) item_told: bool,
    /// The session ended.
    pub(super) ended: Option<Now>,
    /// Teardown began.
    pub(super) teardown: Option<Stopwatch>,
    /// The agenda source said *waiting*.
    pub(super) source: Option<Now>,
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
        let limits = &self.job.timeouts;
        let mut all = Vec::new();
        let mut add = |what, since: Option<Now>, limit: Option<Duration>| {
            if let Some(since) = since {
                all.push(Deadline { what, since, until: limit.map(|limit| after(since, limit)) });
            }
        };
        let running = |limit: Option<Duration>| limit.filter(|_| clocks.paused.is_none());
        add(WaitFor::Startup, clocks.launched, running(limits.startup));
        add(WaitFor::AgendaSource, clocks.source.filter(|_| self.wants_work()), Some(limits.waiting));
        add(WaitFor::Journal, clocks.journal, Some(JOURNAL_RETRY));
        if self.ladder.is_none() {
            add(WaitFor::Command, clocks.sent.filter(|_| !clocks.command_told), running(limits.command));
            add(WaitFor::Silence, self.silent_since().filter(|_| !clocks.silence_told), running(limits.silence));
            let item = clocks.item.filter(|_| !clocks.item_told).map(|item| watched(WaitFor::Item, item, limits.item));
            all.extend(item.filter(|item| item.until.is_some()));
            all.extend(clocks.teardown.map(|teardown| watched(WaitFor::Teardown, teardown, limits.teardown)));
        }
        if let Some(ladder) = &self.ladder {
            all.push(Deadline { what: WaitFor::KillGrace, since: ladder.since, until: Some(ladder.until) });
        }
        if let Some(hold) = self.state.held.as_ref().filter(|_| self.awaits_release()) {
            all.push(Deadline {
                what: WaitFor::Release,
                since: Now { wall: hold.since, mono: Micros(0) },
                until: None,
            });
        }
        if let Some(asked) = self.desk.oldest_question() {
            all.push(Deadline { what: WaitFor::Answer, since: asked, until: Some(after(asked, ANSWER)) });
        }
        all.extend(self.next_retry());
        all
    }

    fn next_retry(&self) -> Option<Deadline> {
        if !self.wants_work() {
            return None;
        }
        let due = self.state.retry_at.values().min()?;
        let now = self.world.now();
        let until = Micros(now.mono.0 + due.since(now.wall).0);
        let mut rows = self.state.items.reader();
        let waiting = self.state.retry_at.keys().filter_map(|item| rows.get(item.as_usize()));
        let since = waiting.filter_map(|row| Some(Micros(row.started?.0 + row.took.0))).min().unwrap_or(now.wall);
        let since = Now { wall: since, mono: now.mono };
        Some(Deadline { what: WaitFor::Retry, since, until: Some(until) })
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
            WaitFor::Startup => self.startup_timed_out(),
            WaitFor::Command | WaitFor::Item | WaitFor::Silence => self.work_timed_out(what),
            WaitFor::Teardown => {
                self.fact(EventKind::TimedOut { what, action: "the child is terminated".into() });
                self.asked = true;
                self.climb("teardown took too long", Rung::Terminate);
            }
            WaitFor::KillGrace => self.climb_on(),
            WaitFor::Retry => self.retries_due(now),
            WaitFor::AgendaSource => self.clocks.source = None,
            WaitFor::Answer => self.questions_overdue(now),
            WaitFor::Release | WaitFor::Diagnosis | WaitFor::Rung(_) => {}
        }
    }

    fn startup_timed_out(&mut self) {
        self.clocks.launched = None;
        let limit = self.job.timeouts.startup.unwrap_or_default();
        let reason = format!("it did not say hello within {} s{}", limit.as_secs_f64(), self.world.last_words());
        if !self.alive {
            self.world.give_up_launch();
            return self.launch_failed(format!("{reason}: it has not even been spawned"));
        }
        self.fact(EventKind::TimedOut { what: WaitFor::Startup, action: "the child is terminated".into() });
        self.child_failed(reason.clone());
        self.verdict.get_or_insert(Verdict { code: 69, reason: format!("the child could not be started: {reason}") });
        self.asked = true;
        self.climb("it never said hello", Rung::Terminate);
    }

    fn work_timed_out(&mut self, what: WaitFor) {
        let (word, limit) = match what {
            WaitFor::Command => ("the command ran", self.job.timeouts.command),
            WaitFor::Item => ("the item ran", self.job.timeouts.item),
            _ => ("the child was silent", self.job.timeouts.silence),
        };
        let reason = format!("{word} longer than {} s", limit.unwrap_or_default().as_secs_f64());
        match what {
            WaitFor::Command => self.clocks.command_told = true,
            WaitFor::Item => self.clocks.item_told = true,
            _ => self.clocks.silence_told = true,
        }
        let items = self.running_belongs_to_item();
        if items || what == WaitFor::Item {
            self.fault.get_or_insert(reason.clone());
            self.skip_planned("the item ran out of time");
        }
        let spared = what == WaitFor::Item && !items;
        let action = match self.current {
            None => "the item fails",
            Some(_) if spared => "the item fails; the operator's command goes on",
            Some(_) if self.can_interrupt() => "the command is interrupted",
            Some(running) if running.phase == Phase::Operator => "nothing: this child cannot be interrupted",
            Some(_) => "the child is terminated: it cannot be interrupted",
        };
        self.fact(EventKind::TimedOut { what, action: action.into() });
        if !spared {
            self.interrupt_running(&reason);
        }
    }

    /// Interrupts the running command; when that does not end it in time, the child is terminated, then killed. For an
    /// operator's command nothing but the interrupt is tried: it must not cost the loaded scene.
    pub(super) fn interrupt_running(&mut self, reason: &str) {
        let Some(running) = self.current else { return };
        let stopped = self.stopping() == Some(StopMode::Now);
        let mild = running.phase == Phase::Operator && !stopped;
        if self.can_interrupt() {
            self.fact(EventKind::InterruptRequested { id: running.id, by: None, rung: crate::model::Rung::Interrupt });
            self.ask_interrupt(running.id, None);
            if !mild {
                self.climb(reason, Rung::Interrupt);
            }
        } else if !mild {
            self.climb(reason, Rung::Terminate);
        }
    }

    /// Puts the child on a rung, unless it is on a harder one already.
    pub(super) fn climb(&mut self, reason: &str, rung: Rung) {
        if self.ladder.as_ref().is_some_and(|ladder| ladder.rung >= rung) || !self.alive {
            return;
        }
        self.wake();
        let signal = match rung {
            Rung::Interrupt | Rung::Leave => None,
            Rung::Terminate => Some(libc::SIGTERM),
            Rung::Kill(_) => Some(libc::SIGKILL),
        };
        if let Some(signal) = signal {
            self.fact(EventKind::ChildSignalled { signal, reason: reason.to_owned() });
        }
        match rung {
            Rung::Interrupt | Rung::Leave => {}
            Rung::Terminate => {
                if let Err(error) = self.world.signal(libc::SIGTERM) {
                    tracing::warn!(%error, "SIGTERM could not be sent");
                }
            }
            Rung::Kill(_) => self.world.kill_everything(),
        }
        let since = self.world.now();
        let until = after(since, self.job.timeouts.kill_grace);
        self.ladder = Some(Ladder { rung, since, until, reason: reason.to_owned() });
    }

    fn climb_on(&mut self) {
        let Some(ladder) = self.ladder.clone() else { return };
        match ladder.rung {
            Rung::Interrupt | Rung::Leave => self.climb(&ladder.reason, Rung::Terminate),
            Rung::Terminate => self.climb(&ladder.reason, Rung::Kill(1)),
            Rung::Kill(times) if times < 3 => self.climb(&ladder.reason, Rung::Kill(times + 1)),
            // A process in an uninterruptible wait cannot be killed; the session must not hang on it.
            Rung::Kill(_) => self.child_exited(crate::model::Exit::Unknown),
        }
    }

    /// Whether hello said that SIGINT raises in the main thread.
    pub(super) fn can_interrupt(&self) -> bool {
        matches!(&self.state.child, ChildState::Connected { hello, .. } if hello.signals.contains_key("SIGINT"))
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

fn after(since: Now, limit: Duration) -> Micros {
    Micros(since.mono.0.saturating_add(Micros::from(limit).0))
}
