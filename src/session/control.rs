//! Where the agenda waits and how it is let go on: hold, break, step, breakpoints, hold on failure.
//!
//! What must stay true: operators' commands run whatever is held; a hold is journalled before anything waits for it, one
//! that an item's end brings in the same write as that end; a stop request opens every gate, since a session that is to
//! end must not wait for somebody to release it.

use super::Actor;
use super::breakpoints::Breakpoints;
use super::requests::{Answer, Change, change, disk_full, done, invalid, not_now};
use super::world::World;
use crate::model::proto::{ItemVerb, Refusal};
use crate::model::{
    Breakpoint, CommandId, EventKind, HoldReason, ItemIndex, ItemStatus, Origin, Phase, SessionPhase, Step, Stops,
};

/// How far a held agenda was let go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stride {
    /// By one of the job's commands.
    Command {
        /// Whether it was sent.
        sent: bool,
    },
    /// To the end of an item.
    Item,
}

/// What is known of steps and breakpoints beside the fold.
#[derive(Debug, Default)]
pub(super) struct Control {
    breakpoints: Breakpoints,
    stride: Option<Stride>,
    /// The item that is run next: an operator wants it, or its source has handed it out and it was stopped before.
    next: Option<ItemIndex>,
    /// The item whose breakpoint has stopped the agenda; it does not do so again before it has run.
    passed_item: Option<ItemIndex>,
    /// The same of a command.
    passed_command: Option<CommandId>,
}

impl<W: World> Actor<W> {
    /// Takes the journal's or the job's stops up; what cannot be used of them is told.
    pub(super) fn take_up_stops(&mut self) {
        let (breakpoints, wrong) = Breakpoints::of(self.stops(), &self.job.agenda);
        self.control.breakpoints = breakpoints;
        for wrong in wrong {
            self.note(&format!("{wrong}; it is left out"));
        }
        if let Some(HoldReason::Breakpoint(Breakpoint::Item(name))) = self.state.held.as_ref().map(|hold| &hold.why) {
            self.control.passed_item = self.job.agenda.find(name);
        }
    }

    fn stops(&self) -> &Stops {
        self.state.stops.as_ref().unwrap_or(&self.job.stops)
    }

    // ---- the gates ----------------------------------------------------------------------------------------------

    /// Whether the command whose turn it is may be sent. Holds the agenda at a breakpoint and after a step.
    pub(super) fn may_send(&mut self) -> bool {
        let Some(next) = self.queue.front() else { return false };
        if next.phase == Phase::Operator || self.stopping().is_some() {
            return true;
        }
        let id = next.id;
        match self.control.stride {
            Some(Stride::Command { sent: false }) => return true,
            Some(Stride::Command { sent: true }) => {
                self.step_is_done();
                return false;
            }
            None if self.held_at_commands() => return false,
            Some(Stride::Item) | None => {}
        }
        if self.control.passed_command == Some(id) {
            return true;
        }
        let Some(breakpoint) = self.control.breakpoints.of_command(&next.source) else { return true };
        if self.hold_for(HoldReason::Breakpoint(breakpoint), true) {
            self.control.passed_command = Some(id);
        }
        false
    }

    /// A command was sent.
    pub(super) fn has_sent(&mut self, phase: Phase) {
        if phase != Phase::Operator
            && let Some(Stride::Command { sent }) = &mut self.control.stride
        {
            *sent = true;
        }
    }

    /// Whether an item may be begun. Holds the agenda after a step.
    pub(super) fn may_begin_item(&mut self) -> bool {
        if self.control.stride == Some(Stride::Command { sent: true }) {
            self.step_is_done();
            return false;
        }
        self.lets_items_begin()
    }

    /// Whether no hold keeps items from being begun.
    pub(super) fn lets_items_begin(&self) -> bool {
        match self.control.stride {
            Some(stride) => stride != Stride::Command { sent: true },
            None => self.state.held.is_none(),
        }
    }

    /// The item that comes before all that the source has.
    pub(super) fn next_wanted(&mut self) -> Option<ItemIndex> {
        let state = &self.state;
        let open = |item: &ItemIndex| {
            let status = state.item(*item).map(|row| row.status);
            matches!(status, Some(ItemStatus::Pending | ItemStatus::Waiting))
        };
        self.control.next = self.control.next.filter(open);
        self.control.next
    }

    /// Whether the agenda stops before this item, which comes next.
    pub(super) fn stops_before(&mut self, item: ItemIndex) -> bool {
        self.control.next = Some(item);
        let passes = self.control.stride.is_some() || self.control.passed_item == Some(item);
        if passes || !self.control.breakpoints.has_item(item) {
            return false;
        }
        let name = self.state.added.name(&self.job, item).unwrap_or_default().into_owned();
        if self.hold_for(HoldReason::Breakpoint(Breakpoint::Item(name)), false) {
            self.control.passed_item = Some(item);
        }
        true
    }

    /// This item comes before all others.
    pub(super) fn run_next(&mut self, item: ItemIndex) {
        self.control.next = Some(item);
    }

    /// An item was begun.
    pub(super) fn has_begun_item(&mut self) {
        self.control.next = None;
        self.control.passed_item = None;
    }

    /// The hold that the end of an item's attempt brings with it. A step is over by it.
    pub(super) fn hold_after(&mut self, item: ItemIndex, status: ItemStatus) -> Option<EventKind> {
        if self.stopping().is_some() {
            return None;
        }
        let stride = self.control.stride.take();
        let why = match stride {
            _ if status == ItemStatus::Failed && self.stops().on_failure => HoldReason::Failure(item),
            Some(_) => HoldReason::Stepped,
            None => return None,
        };
        let commands = match stride {
            Some(stride) => stride != Stride::Item,
            None => self.held_at_commands(),
        };
        Some(EventKind::Held { by: None, why, commands })
    }

    /// A step that found nothing to do, or has done its part.
    pub(super) fn step_is_done(&mut self) {
        let commands = self.control.stride != Some(Stride::Item);
        if self.hold_for(HoldReason::Stepped, commands) {
            self.control.stride = None;
        }
    }

    /// Whether a step is under way.
    pub(super) fn is_stepping(&self) -> bool {
        self.control.stride.is_some()
    }

    /// The engine's own hold. A step is over by it.
    fn hold_for(&mut self, why: HoldReason, commands: bool) -> bool {
        let held = self.intend(vec![EventKind::Held { by: None, why, commands }]);
        if held {
            self.control.stride = None;
        }
        held
    }

    fn held_at_commands(&self) -> bool {
        self.state.held.as_ref().is_some_and(|hold| hold.commands)
    }

    /// Whether one of the job's commands comes next, after all of operators.
    fn planned_is_next(&self) -> bool {
        self.queue.front().is_some_and(|next| next.phase != Phase::Operator)
    }

    /// Whether nothing goes on before somebody lets it.
    pub(super) fn awaits_release(&self) -> bool {
        let at_command = self.held_at_commands() && self.current.is_none() && self.planned_is_next();
        self.state.held.is_some() && !self.is_stepping() && (self.idle_at_agenda() || at_command)
    }

    /// Makes the clocks stand that a hold or a pause stops, and the others go on.
    pub(super) fn set_clocks(&mut self) {
        let now = self.world.now().mono;
        let paused = self.is_paused();
        let held = self.state.held.is_some() && !self.is_stepping() && self.stopping().is_none();
        let at_commands = held && self.held_at_commands();
        if let Some(item) = &mut self.clocks.item {
            item.set(paused || held, now);
        }
        if let Some(teardown) = &mut self.clocks.teardown {
            teardown.set(paused || at_commands, now);
        }
    }

    // ---- verbs --------------------------------------------------------------------------------------------------

    pub(super) fn hold(&mut self, by: Origin) -> Answer {
        self.refuse_if_over()?;
        if self.state.held.is_some() && !self.is_stepping() {
            return done("the agenda is held already");
        }
        self.hold_by(by, false)?;
        done(match self.state.running_item {
            Some(_) => "the agenda is held; the running item goes on to its end",
            None => "the agenda is held",
        })
    }

    /// Holds it even within an item.
    pub(super) fn break_in(&mut self, by: Origin) -> Answer {
        self.refuse_if_ending()?;
        if self.held_at_commands() && !self.is_stepping() {
            return done("the agenda is held before its next command already");
        }
        self.hold_by(by, true)?;
        done(match self.current {
            Some(_) => "the agenda is held before its next command; the running one goes on to its end",
            None => "the agenda is held before its next command",
        })
    }

    /// A step that is under way is over by it.
    fn hold_by(&mut self, by: Origin, commands: bool) -> Result<(), Refusal> {
        if !self.intend(vec![EventKind::Held { by: Some(by), why: HoldReason::Asked, commands }]) {
            return Err(disk_full());
        }
        self.control.stride = None;
        Ok(())
    }

    pub(super) fn release(&mut self, by: Origin) -> Answer {
        self.refuse_if_over()?;
        if self.state.held.is_none() {
            return done("the agenda was not held");
        }
        let stood_before = self.stood_before();
        if !self.intend(vec![EventKind::Released { by: Some(by) }]) {
            return Err(disk_full());
        }
        self.control.stride = None;
        self.control.passed_command = stood_before;
        done("the agenda goes on")
    }

    /// The command at which the agenda is held, or was by a breakpoint: it was seen, and does not stop it once more.
    fn stood_before(&self) -> Option<CommandId> {
        let stands = self.held_at_commands() && self.current.is_none() && self.planned_is_next();
        let next = self.queue.front().filter(|_| stands);
        next.map(|next| next.id).or(self.control.passed_command)
    }

    pub(super) fn step_on(&mut self, by: Origin, step: Step, name: Option<&str>) -> Answer {
        self.refuse_if_ending()?;
        if self.state.held.is_none() {
            return Err(not_now("only a held agenda is stepped; hold it, or break before its next command, first"));
        }
        if self.is_stepping() {
            return Err(not_now("the last step is still under way; wait for its end, or hold the agenda to end it"));
        }
        let mut kinds = Vec::new();
        let item = match name {
            Some(name) => Some(self.wanted_item(name, &by, &mut kinds)?),
            None if self.has_nothing_left() => {
                return Err(not_now("no item is left to run; retry one, or release the agenda to end the session"));
            }
            None => None,
        };
        let stood_before = self.stood_before();
        kinds.push(EventKind::Stepped { step, item, by: Some(by) });
        if !self.intend(kinds) {
            return Err(disk_full());
        }
        self.control.passed_command = stood_before;
        self.control.next = item.or(self.control.next);
        self.clocks.source = None;
        self.control.stride = Some(match step {
            Step::Command => Stride::Command { sent: false },
            Step::Item => Stride::Item,
        });
        done(match (step, &self.state.running_item) {
            (Step::Command, _) => "one command of the job is run",
            (Step::Item, Some(_)) => "the item goes on to its end",
            (Step::Item, None) => "one item is run",
        })
    }

    /// The item that an operator wants next, and what must be journalled for it to be one that can be.
    fn wanted_item(&self, name: &str, by: &Origin, kinds: &mut Vec<EventKind>) -> Result<ItemIndex, Refusal> {
        self.refuse_if_torn_down()?;
        let item = self.item_named(name)?;
        if let Some(running) = self.state.running_item.as_ref().filter(|running| running.item != item) {
            let running = self.state.added.name(&self.job, running.item).unwrap_or_default();
            return Err(not_now(&format!(
                "item {running} is not over; step to its end, or kill it, before {name} runs"
            )));
        }
        match self.state.item(item).map(|row| row.status).unwrap_or_default() {
            ItemStatus::Pending => {}
            ItemStatus::Waiting => return Err(not_now(&format!("{name} cannot be run yet: its source says so"))),
            status => match change(ItemVerb::Retry, status) {
                Change::To(status) => kinds.push(EventKind::ItemChanged { item, status, by: Some(by.clone()) }),
                Change::EndRunning => return Err(not_now(&format!("{name} is running"))),
                Change::Refused(why) => return Err(not_now(&format!("{name} {why}"))),
            },
        }
        Ok(item)
    }

    /// Whether a step would find nothing to do.
    fn has_nothing_left(&self) -> bool {
        let open = [ItemStatus::Pending, ItemStatus::Waiting, ItemStatus::Retrying];
        self.idle_at_agenda() && open.into_iter().all(|status| self.state.count(status) == 0)
    }

    pub(super) fn set_stops(&mut self, by: Origin, stops: Stops) -> Answer {
        self.refuse_if_over()?;
        let (breakpoints, wrong) = Breakpoints::of(&stops, &self.job.agenda);
        if !wrong.is_empty() {
            return Err(invalid(&wrong.join("; ")));
        }
        let failure = if stops.on_failure { "stops" } else { "does not stop" };
        let many = match stops.breakpoints.len() {
            1 => "1 breakpoint".to_owned(),
            many => format!("{many} breakpoints"),
        };
        let said = format!("the agenda {failure} at a failed item, and at {many}");
        if !self.intend(vec![EventKind::StopsChanged { stops, by: Some(by) }]) {
            return Err(disk_full());
        }
        self.control.breakpoints = breakpoints;
        done(&said)
    }

    pub(super) fn refuse_if_ending(&self) -> Result<(), Refusal> {
        self.refuse_if_over()?;
        if self.stopping().is_some() || self.asked || self.state.phase == SessionPhase::Ended {
            return Err(not_now("the session is being ended, and nothing holds it up any more"));
        }
        Ok(())
    }
}
