//! What happens when a time-out passes: it is found out what the child is doing, that is saved, and then the policy is
//! carried out.
//!
//! What must stay true: the diagnosis delays a policy by seconds at most; an operator's command never costs the child;
//! what ended by itself while it was looked into is left alone.

use super::Actor;
use super::actor::Verdict;
use super::clocks::after;
use super::ladder::{SPARING, Then};
use super::requests::{Answer, disk_full, done, invalid};
use super::stopwatch::Stopwatch;
use super::world::{Now, World};
use crate::dispatcher::FromChild;
use crate::model::diagnosis::Trigger;
use crate::model::job::Timeouts;
use crate::model::{
    Change, ChildState, CommandId, EventKind, Generation, ItemIndex, Limit, LimitChange, Micros, Origin, Phase, Policy,
    Rung, SessionPhase, StopMode, WaitFor,
};
use std::time::Duration;

/// How long a policy waits for the diagnosis.
const DIAGNOSIS: Duration = Duration::from_secs(3);

/// A time-out that has passed, and about which nothing was done yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overdue {
    what: WaitFor,
    of: Of,
    pub(super) since: Now,
    /// When the policy is carried out at the latest.
    pub(super) until: Micros,
}

/// What has taken too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Command(CommandId),
    Item(ItemIndex, u32),
    Child(Generation),
}

impl<W: World> Actor<W> {
    /// The limits in force.
    pub(super) fn limits(&self) -> &Timeouts {
        self.state.timeouts.as_ref().unwrap_or(&self.job.timeouts)
    }

    // ---- changing them ------------------------------------------------------------------------------------------

    pub(super) fn set_timeouts(&mut self, by: Origin, changes: &[LimitChange]) -> Answer {
        self.refuse_if_over()?;
        let mut timeouts = self.limits().clone();
        for (place, change) in changes.iter().enumerate() {
            if changes[..place].iter().any(|other| other.limit == change.limit) {
                return Err(invalid(&format!("the time-out {} is changed twice", change.limit.word())));
            }
            change_one(&mut timeouts, *change).map_err(|why| invalid(&why))?;
        }
        if changes.is_empty() {
            return Err(invalid("no time-out to change was named"));
        }
        if !self.intend(vec![EventKind::TimeoutsChanged { timeouts, by: Some(by) }]) {
            return Err(disk_full());
        }
        for change in changes {
            self.arm_again(change.limit);
        }
        let words: Vec<&str> = changes.iter().map(|change| change.limit.word()).collect();
        done(&format!("changed for this session: {}", words.join(", ")))
    }

    /// A time-out that was told already is armed again, if its new end lies in the future.
    fn arm_again(&mut self, limit: Limit) {
        let now = self.world.now().mono;
        let ends = |since: Option<Now>, limit: Option<Duration>| {
            since.is_some_and(|since| limit.is_none_or(|limit| after(since, limit) > now))
        };
        let stands_or_ends = |watch: Option<Stopwatch>, limit: Option<Duration>| {
            let due = |watch: Stopwatch| limit.and_then(|limit| watch.due(limit));
            watch.is_some_and(|watch| due(watch).is_none_or(|due| due > now))
        };
        let limits = self.limits().clone();
        let clocks = &self.clocks;
        let (what, ahead) = match limit {
            Limit::Startup => (WaitFor::Startup, ends(clocks.launched, limits.startup)),
            Limit::Command => (WaitFor::Command, ends(clocks.sent, limits.command)),
            Limit::Item => (WaitFor::Item, stands_or_ends(clocks.item, limits.item)),
            Limit::Silence => (WaitFor::Silence, ends(self.silent_since(), limits.silence)),
            Limit::Teardown => (WaitFor::Teardown, stands_or_ends(clocks.teardown, limits.teardown)),
        };
        if !ahead {
            return;
        }
        self.overdue.retain(|overdue| overdue.what != what);
        match limit {
            Limit::Command => self.clocks.command_told = false,
            Limit::Item => self.clocks.item_told = false,
            Limit::Silence => self.clocks.silence_told = None,
            Limit::Startup | Limit::Teardown => {}
        }
    }

    /// Whether a word comes from the command that runs; others come from another thread, whatever happens.
    pub(super) fn is_sign_of_life(&self, frame: &FromChild) -> bool {
        match frame {
            FromChild::Started { id } | FromChild::Finished { id, .. } | FromChild::Raised { id, .. } => {
                !self.is_beside(*id)
            }
            FromChild::Heartbeat { .. }
            | FromChild::InterruptResult { .. }
            | FromChild::Completions { .. }
            | FromChild::Checked { .. }
            | FromChild::Stacks { .. }
            | FromChild::Names { .. } => false,
            _ => true,
        }
    }

    // ---- when one passes ----------------------------------------------------------------------------------------

    /// Whether this one has passed, and is being looked into.
    pub(super) fn is_overdue(&self, what: WaitFor) -> bool {
        self.overdue.iter().any(|overdue| overdue.what == what)
    }

    /// A time-out has passed: first it is found out why.
    pub(super) fn timed_out(&mut self, what: WaitFor) {
        if what == WaitFor::Startup && !self.alive {
            return self.startup_timed_out();
        }
        let Some(of) = self.what_takes_long(what) else { return };
        match what {
            WaitFor::Command => self.clocks.command_told = true,
            WaitFor::Item => self.clocks.item_told = true,
            WaitFor::Silence => self.clocks.silence_told = self.silent_since().map(|since| since.mono),
            _ => {}
        }
        let since = self.world.now();
        self.overdue.push(Overdue { what, of, since, until: after(since, DIAGNOSIS) });
        self.look_into(Trigger::TimedOut(what));
    }

    /// What a time-out is about, as long as there is something about which it is.
    fn what_takes_long(&self, what: WaitFor) -> Option<Of> {
        let connected = matches!(self.state.child, ChildState::Connected { .. });
        match what {
            WaitFor::Command | WaitFor::Silence => self.current.map(|running| Of::Command(running.id)),
            WaitFor::Item => self.state.running_item.as_ref().map(|running| Of::Item(running.item, running.attempt)),
            WaitFor::Startup => (self.alive && !connected).then_some(Of::Child(self.state.generation)),
            _ => self.alive.then_some(Of::Child(self.state.generation)),
        }
    }

    /// It is known what the child is doing, or there is no more time to find out: the policies are carried out.
    pub(super) fn carry_out_policies(&mut self) {
        for overdue in std::mem::take(&mut self.overdue) {
            let what = overdue.what;
            if self.state.phase == SessionPhase::Ended {
                return;
            }
            if self.what_takes_long(what) != Some(overdue.of) {
                let action = "nothing: it has ended meanwhile".into();
                self.fact(EventKind::TimedOut { what, action });
                continue;
            }
            match what {
                WaitFor::Startup => self.startup_timed_out(),
                WaitFor::Teardown => self.teardown_timed_out(),
                _ => self.work_timed_out(what),
            }
        }
    }

    fn startup_timed_out(&mut self) {
        self.clocks.launched = None;
        let limit = self.limits().startup.unwrap_or_default();
        let reason = format!("it did not say hello within {} s{}", limit.as_secs_f64(), self.world.last_words());
        if !self.alive {
            self.world.give_up_launch();
            return self.launch_failed(format!("{reason}: it has not even been spawned"));
        }
        self.fact(EventKind::TimedOut { what: WaitFor::Startup, action: "the child is terminated".into() });
        self.child_failed(reason.clone());
        self.verdict.get_or_insert(Verdict { code: 69, reason: format!("the child could not be started: {reason}") });
        self.asked = true;
        self.end_child("it never said hello", Then::AsJobSays);
    }

    fn teardown_timed_out(&mut self) {
        self.fact(EventKind::TimedOut { what: WaitFor::Teardown, action: "the child is terminated".into() });
        self.asked = true;
        self.end_child("teardown took too long", Then::AsJobSays);
    }

    fn work_timed_out(&mut self, what: WaitFor) {
        let limits = self.limits();
        let (word, limit, policy) = match what {
            WaitFor::Command => ("the command ran", limits.command, limits.policies.command),
            WaitFor::Item => ("the item ran", limits.item, limits.policies.item),
            _ => ("the child was silent", limits.silence, limits.policies.silence),
        };
        let reason = format!("{word} longer than {} s", limit.unwrap_or_default().as_secs_f64());
        let course = self.course(what, policy);
        let action = self.action(course, what);
        if course != Course::Nothing && self.item_fails(what, policy) {
            self.fault.get_or_insert(reason.clone());
            self.skip_planned("the item ran out of time");
        }
        self.fact(EventKind::TimedOut { what, action });
        match course {
            Course::Spare if self.current.is_none() => self.driver_overran(&reason),
            Course::Nothing | Course::Spare => {}
            Course::Climb(rungs) => {
                self.overran.get_or_insert_with(|| reason.clone());
                self.end_command(&reason, rungs);
            }
            Course::Restart => {
                self.fact(EventKind::RestartRequested { by: None });
                self.end_child(&reason, Then::Another);
            }
        }
    }

    /// What a policy comes down to for what runs now.
    fn course(&self, what: WaitFor, policy: Policy) -> Course {
        let items = self.running_belongs_to_item();
        let operators = self.current.is_some_and(|running| running.phase == Phase::Operator);
        let stopped = self.stopping() == Some(StopMode::Now);
        match policy {
            Policy::Warn => Course::Nothing,
            _ if self.current.is_none() || (what == WaitFor::Item && !items) => Course::Spare,
            // It must not cost the loaded scene.
            _ if operators && !stopped => Course::Climb(SPARING),
            Policy::Interrupt => Course::Climb(SPARING),
            Policy::Restart if items => Course::Restart,
            // Where no item fails by it, a restart is the job's to count: it could go on for ever.
            Policy::Fail | Policy::Restart => Course::Climb(&Rung::ALL),
        }
    }

    /// Whether the item fails by a time-out itself, and not by what that raises.
    fn item_fails(&self, what: WaitFor, policy: Policy) -> bool {
        if self.running_belongs_to_item() { policy != Policy::Interrupt } else { what == WaitFor::Item }
    }

    fn action(&self, course: Course, what: WaitFor) -> String {
        let action = match course {
            Course::Nothing => "nothing: its policy is to warn",
            Course::Spare if self.current.is_none() => "the item fails",
            Course::Spare => "the item fails; the operator's command goes on",
            Course::Restart => "the item fails; the child is ended, and another one started",
            Course::Climb(_) if self.ladder.is_some() => "the command is being ended already",
            Course::Climb(rungs) => match self.first_safe(rungs) {
                Some(Rung::Interrupt) => "the command is interrupted",
                Some(Rung::Async) => "an exception is raised in the command: it cannot be interrupted",
                Some(Rung::Cancel) => "the host is asked to cancel: the command cannot be interrupted",
                Some(Rung::Terminate) => "the child is terminated: it cannot be interrupted",
                Some(Rung::Kill) => "the child is killed: nothing milder is safe",
                None => "nothing: this child cannot be interrupted",
            },
        };
        tracing::info!(?what, action, "a time-out has passed");
        action.to_owned()
    }
}

/// What is done about a time-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// Nothing.
    Nothing,
    /// The item fails, and whatever runs is left alone.
    Spare,
    /// The running command is ended, by these rungs.
    Climb(&'static [Rung]),
    /// The child is ended, and another one started.
    Restart,
}

fn change_one(timeouts: &mut Timeouts, change: LimitChange) -> Result<(), String> {
    let word = change.limit.word();
    let (length, policy) = match change.limit {
        Limit::Startup => (&mut timeouts.startup, None),
        Limit::Command => (&mut timeouts.command, Some(&mut timeouts.policies.command)),
        Limit::Item => (&mut timeouts.item, Some(&mut timeouts.policies.item)),
        Limit::Silence => (&mut timeouts.silence, Some(&mut timeouts.policies.silence)),
        Limit::Teardown => (&mut timeouts.teardown, None),
    };
    match change.length {
        Change::Keep => {}
        Change::Never => *length = None,
        Change::To(Micros(0)) => {
            return Err(format!("the time-out {word} cannot be zero; take it away if there is to be none"));
        }
        Change::To(to) => *length = Some(to.duration()),
    }
    match (change.policy, policy) {
        (Some(wanted), Some(policy)) => *policy = wanted,
        (Some(_), None) => return Err(format!("the time-out {word} has no policy: the child is always ended")),
        (None, _) => {}
    }
    Ok(())
}
