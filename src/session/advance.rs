//! What comes next: the session's way through its phases, and the ends of items and of the session itself.

use super::Actor;
use super::actor::{Outputs, Verdict};
use super::ladder::Then;
use super::sending::fits;
use super::stopwatch::Stopwatch;
use super::world::{Inspection, World};
use crate::agenda::Work;
use crate::dispatcher::ToChild;
use crate::model::{
    ChildState, EventKind, ItemIndex, ItemSpec, ItemStatus, Micros, OutputFile, Phase, ResultPackage, SessionPhase,
    StopMode,
};
use crate::patterns::Progress;

impl<W: World> Actor<W> {
    /// Whether the session is over.
    pub fn is_over(&self) -> bool {
        self.given_up || (self.state.phase == SessionPhase::Ended && self.facts.is_empty())
    }

    /// Does whatever can be done now: at most one command is under way at a time, and nothing is begun while the journal
    /// cannot be written.
    pub fn advance(&mut self) {
        while self.facts.is_empty() && self.step() {}
        if self.stopping() == Some(StopMode::Now) && self.alive && self.current.is_none() {
            self.leave("asked to stop");
        }
        self.set_clocks();
    }

    /// One step; `false` when there is nothing to do but wait.
    fn step(&mut self) -> bool {
        if self.launch_wanted {
            return self.launch();
        }
        if self.is_driven() && self.serve_driver() {
            return true;
        }
        let connected = matches!(self.state.child, ChildState::Connected { .. });
        if !connected || self.asked || self.current.is_some() || self.state.phase == SessionPhase::Ended {
            return false;
        }
        if self.ladder.is_some() || self.is_paused() || self.matching.is_some() {
            return false;
        }
        if self.stopping() == Some(StopMode::Now) {
            return false;
        }
        if self.queue.front().is_some() {
            if !self.may_send() {
                return false;
            }
            self.send_next();
            return self.current.is_none() && self.clocks.journal.is_none();
        }
        if self.is_driven() { self.driven_step() } else { self.next_phase() }
    }

    /// The commands of a phase; refused when one of them could not be sent.
    fn phase_commands(&self, phase: Phase, item: Option<&ItemSpec>) -> Result<Vec<String>, String> {
        let commands = self.world.commands(phase, item)?;
        commands.iter().try_for_each(|command| fits(command))?;
        Ok(commands)
    }

    fn launch(&mut self) -> bool {
        self.launch_wanted = false;
        if self.stopping().is_some() {
            self.end();
            return false;
        }
        if self.is_driven() {
            self.launch_driver();
        } else {
            self.world.launch(self.next_generation());
        }
        false
    }

    /// The phase's commands have all ended.
    fn next_phase(&mut self) -> bool {
        if self.state.running_item.is_none() && self.fails_by_output() {
            return true;
        }
        match self.state.phase {
            SessionPhase::Init => {
                let setup = match self.phase_commands(Phase::Setup, None) {
                    Ok(setup) => setup,
                    Err(reason) => {
                        self.give_up(1, reason);
                        return true;
                    }
                };
                self.begin_phase(EventKind::Phase { to: SessionPhase::Setup }, Phase::Setup, None, setup)
            }
            SessionPhase::Setup => self.intend(vec![EventKind::Phase { to: SessionPhase::Agenda }]),
            SessionPhase::Agenda => match self.state.running_item.as_ref().map(|item| item.item) {
                Some(_) if self.inspects_outputs() && !self.killed => false,
                Some(_) if self.must_inspect_outputs() => {
                    self.inspect_outputs();
                    false
                }
                Some(item) => {
                    self.finish_item(item);
                    true
                }
                None => self.next_item(),
            },
            SessionPhase::Teardown => {
                self.leave("the work is done");
                false
            }
            SessionPhase::Starting | SessionPhase::Ended => false,
        }
    }

    // ---- items --------------------------------------------------------------------------------------------------

    pub(super) fn next_item(&mut self) -> bool {
        if self.stopping().is_some() {
            return self.no_more_work();
        }
        if self.clocks.source.is_some() || !self.may_begin_item() {
            return false;
        }
        let work = self.next_wanted().map_or_else(|| self.source.request_work(&self.state), Work::Item);
        match work {
            Work::Item(item) if self.stops_before(item) => false,
            Work::Item(item) => self.start_item(item),
            Work::Waiting(item) => {
                let waits =
                    item.filter(|item| self.state.item(*item).is_some_and(|row| row.status != ItemStatus::Waiting));
                if let Some(item) = waits {
                    self.fact(EventKind::ItemChanged { item, status: ItemStatus::Waiting, by: None });
                }
                self.clocks.source = Some(self.world.now());
                false
            }
            Work::Exhausted if self.is_stepping() => {
                self.step_is_done();
                false
            }
            Work::Exhausted if self.job.hold => false,
            Work::Exhausted => self.no_more_work(),
        }
    }

    fn no_more_work(&mut self) -> bool {
        if self.is_driven() { self.agenda_is_done() } else { self.begin_teardown() }
    }

    fn start_item(&mut self, item: ItemIndex) -> bool {
        let Some(spec) = self.state.item_spec(&self.job, item) else {
            self.fact(EventKind::ItemChanged { item, status: ItemStatus::Failed, by: None });
            return true;
        };
        let attempt = self.state.item(item).map_or(0, |row| row.attempt) + 1;
        let edited = self.state.edits.get(&item).cloned();
        let (commands, fault) = match edited.map_or_else(|| self.phase_commands(Phase::Item, Some(&spec)), Ok) {
            Ok(commands) => (commands, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        // A driver sends them itself, or others.
        let (handed_out, commands) = if self.is_driven() { (commands, Vec::new()) } else { (Vec::new(), commands) };
        if !self.begin_phase(EventKind::ItemStarted { item, attempt }, Phase::Item, Some(item), commands) {
            return false;
        }
        self.fault = fault;
        self.killed = false;
        self.has_begun_item();
        self.clocks.item = Some(Stopwatch::start(self.world.now()));
        self.clocks.item_told = false;
        self.outputs = Outputs::Unseen;
        self.progress = Progress::of(spec.frames);
        self.condemned = None;
        self.clocks.told = None;
        self.hand_out(item, handed_out);
        true
    }

    /// Whether somebody is looking at the files of the running item.
    pub(super) fn inspects_outputs(&self) -> bool {
        matches!(self.outputs, Outputs::Looking { .. })
    }

    /// Whether the item could be complete but for files that it told of and that nobody has looked at. One that has failed
    /// is not kept waiting for a file server.
    pub(super) fn must_inspect_outputs(&self) -> bool {
        let Some(running) = &self.state.running_item else { return false };
        // What a class finds in the output is its own to judge.
        let blameless = self.is_driven() || running.result.errors.is_empty();
        let faultless = self.fault.is_none() && self.condemned.is_none() && !self.killed && blameless;
        (self.job.outputs_required || self.job.outputs.any())
            && self.outputs == Outputs::Unseen
            && faultless
            && !running.result.output_paths.is_empty()
    }

    pub(super) fn inspect_outputs(&mut self) {
        let Some(running) = self.state.running_item.as_ref() else { return };
        self.outputs = Outputs::Looking { since: self.world.now() };
        let (paths, began) = (running.result.output_paths.clone(), running.since);
        self.world.inspect_outputs(Inspection { paths, checks: self.job.outputs, began });
    }

    /// The outside has looked at the files that the item told of. What is wrong with them is among its errors then.
    pub fn outputs_inspected(&mut self, files: Vec<OutputFile>) {
        if !self.inspects_outputs() {
            return;
        }
        self.outputs = Outputs::Seen;
        if let Some(item) = self.state.running_item.as_ref().map(|running| running.item) {
            self.fact(EventKind::OutputsInspected { item, files });
        }
        self.advance();
    }

    /// The attempt is over: its verdict, in Qube's order.
    pub(super) fn finish_item(&mut self, item: ItemIndex) {
        self.flush_untold();
        let Some(running) = self.state.running_item.clone() else { return };
        let took = self.item_ran_for();
        let mut result = running.result;
        let (reported, given_back) = self.reported_fault(&result);
        let fault = self.fault.take().or(reported);
        let no_output = self.job.outputs_required && result.output_paths.is_empty();
        self.outputs = Outputs::Seen;
        let stopped = self.stopping() == Some(StopMode::Now);
        let (status, reason) = match fault {
            _ if self.killed => (ItemStatus::Killed, Some("killed by an operator".to_owned())),
            Some(_) if stopped => (ItemStatus::Pending, Some("the session was stopped".to_owned())),
            Some(fault) => {
                if !result.errors.contains(&fault) {
                    result.errors.push(fault.clone());
                }
                (ItemStatus::Failed, Some(fault))
            }
            None if given_back => (ItemStatus::Pending, Some("the back end gave it back".to_owned())),
            None if no_output => {
                (ItemStatus::Failed, Some("it told of no output path, and the job requires one".to_owned()))
            }
            None => (ItemStatus::Complete, None),
        };
        self.killed = false;
        self.end_item(item, running.attempt, status, reason, took, result);
    }

    /// The item that was in flight when an engine died: pending again, or failed when it has no attempt left.
    pub(super) fn end_item_as_lost(&mut self, item: ItemIndex, attempt: u32, why: &str) {
        let left = attempt <= self.job.retry.times;
        let status = if left { ItemStatus::Pending } else { ItemStatus::Failed };
        let result = self.state.running_item.as_ref().map(|running| running.result.clone()).unwrap_or_default();
        self.clocks.item = None;
        let reason = Some(why.to_owned());
        let hold = self.hold_after(item, status);
        let end = EventKind::ItemEnded { item, status, reason, took: Micros(0), again: None, result };
        self.record(std::iter::once(end).chain(hold).collect());
    }

    fn end_item(
        &mut self,
        item: ItemIndex,
        attempt: u32,
        status: ItemStatus,
        reason: Option<String>,
        took: Micros,
        result: ResultPackage,
    ) {
        self.clocks.item = None;
        let again = (status == ItemStatus::Failed && attempt <= self.job.retry.times).then(|| {
            let (now, delay) = (self.world.now(), self.job.retry.delay);
            self.clocks.retries.add(item, delay, now);
            Micros(now.wall.0.saturating_add(Micros::from(delay).0))
        });
        let status = if again.is_some() { ItemStatus::Retrying } else { status };
        let hold = self.hold_after(item, status);
        let end = EventKind::ItemEnded { item, status, reason, took, again, result };
        self.record(std::iter::once(end).chain(hold).collect());
    }

    fn item_ran_for(&self) -> Micros {
        self.clocks.item.map_or(Micros(0), |item| item.ran(self.world.now().mono))
    }

    // ---- the end ------------------------------------------------------------------------------------------------

    /// The session has failed; teardown runs all the same.
    pub(super) fn give_up(&mut self, code: i32, reason: String) {
        self.verdict.get_or_insert(Verdict { code, reason });
        if matches!(self.state.phase, SessionPhase::Init | SessionPhase::Setup | SessionPhase::Agenda) {
            self.begin_teardown();
        }
    }

    fn begin_teardown(&mut self) -> bool {
        let commands = self.phase_commands(Phase::Teardown, None).unwrap_or_else(|reason| {
            self.verdict.get_or_insert(Verdict { code: 1, reason });
            Vec::new()
        });
        self.clocks.teardown = Some(Stopwatch::start(self.world.now()));
        self.begin_phase(EventKind::Phase { to: SessionPhase::Teardown }, Phase::Teardown, None, commands)
    }

    /// Asks the child to end.
    pub(super) fn leave(&mut self, reason: &str) {
        self.leave_with(reason, 0);
    }

    /// The same, with this exit code.
    pub(super) fn leave_with(&mut self, reason: &str, code: i32) {
        if self.asked {
            return;
        }
        self.asked = true;
        if self.state.phase != SessionPhase::Teardown {
            self.fact(EventKind::Phase { to: SessionPhase::Teardown });
        }
        let connected = matches!(self.state.child, ChildState::Connected { .. });
        if connected && self.world.send(&ToChild::Shutdown { code }).is_ok() {
            self.expect_end(reason);
        } else {
            self.end_child(reason, Then::AsJobSays);
        }
    }

    /// No child is left, and none will come.
    pub(super) fn end(&mut self) {
        if self.clocks.ended.is_some() || self.end_waits_for_driver() {
            return;
        }
        self.skip_all("the session ended");
        let Verdict { code, reason } = self.verdict.clone().unwrap_or_else(|| self.tally());
        self.code = Some(code);
        self.clocks.ended = Some(self.world.now());
        self.fact(EventKind::SessionEnded { code, reason });
    }

    /// The verdict over a session in which nothing but items could fail.
    fn tally(&self) -> Verdict {
        let count = |status| self.state.count(status);
        let failed = count(ItemStatus::Failed) + count(ItemStatus::Killed);
        let complete = count(ItemStatus::Complete);
        let total = u32::try_from(self.state.items.len()).unwrap_or(u32::MAX);
        let open = total - failed - complete;
        if self.stopping().is_some() && open > 0 {
            let code = if self.signal == Some(libc::SIGTERM) { 143 } else { 130 };
            return Verdict { code, reason: format!("stopped with {open} of {total} items open") };
        }
        if self.is_supervised() {
            // What becomes of its items is the supervisor's to judge.
            return Verdict { code: 0, reason: format!("{complete} of {total} items complete, {failed} failed") };
        }
        match failed {
            0 if total == 0 && self.stopping().is_some() => Verdict { code: 0, reason: "stopped".into() },
            0 if open > 0 => {
                Verdict { code: 1, reason: format!("{complete} of {total} items complete, {open} blocked") }
            }
            0 => Verdict { code: 0, reason: format!("all {total} items complete") },
            _ => Verdict { code: 1, reason: format!("{failed} of {total} items failed") },
        }
    }
}
