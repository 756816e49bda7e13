//! What patterns find in the output: recorded as it comes, and what follows from it once the command has ended.
//!
//! What must stay true: nothing is made of a command's end before all that it printed was matched, which is bounded and
//! visible like every wait; a match is its command's, and with that its item's, and no other's. A running command is never
//! ended by a match: it may be saving, and time-outs bound it.
//!
//! An error that fails the item fails the session where there is no item to fail, in init, setup and teardown. What an
//! operator's command prints is recorded and fails nothing.

use super::Actor;
use super::actor::Verdict;
use super::world::World;
use crate::model::{CommandId, EventKind, Finding, Found, ItemIndex, Marks, Phase, SessionPhase, Severity};
use crate::patterns::{Findings, Progress};
use std::time::Duration;

/// How long what a command printed may take to be matched, once it has ended.
pub(super) const MATCHED: Duration = Duration::from_mins(1);
/// Findings of one event: each may have a long text.
const TOGETHER: usize = 64;

impl<W: World> Actor<W> {
    /// Patterns found something, or several things.
    pub fn found(&mut self, found: Vec<Findings>) {
        // What a grandchild prints after the end is in the output, and nobody's.
        if found.is_empty() || self.state.phase == SessionPhase::Ended {
            return;
        }
        for findings in found {
            self.take_in(findings);
        }
        self.advance();
    }

    /// All that the last command printed was matched, and what was found has been told.
    pub fn settled(&mut self) {
        if self.matching.take().is_none() {
            return;
        }
        if self.doomed.is_some() || self.condemned.is_some() || self.fault.is_some() {
            self.skip_planned("the output says that it failed");
        }
        self.advance();
    }

    /// A command has ended: has what it printed matched before anything else happens.
    pub(super) fn match_output_of(&mut self, phase: Option<Phase>, upto: Marks) {
        let judged = !matches!(phase, Some(Phase::Operator | Phase::Side));
        if judged && self.world.settle(upto) {
            self.matching = Some(self.world.now());
        }
    }

    pub(super) fn matching_overdue(&mut self) {
        self.matching = None;
        let what = format!("what it printed could not be looked through within {} s", MATCHED.as_secs());
        if self.state.running_item.is_some() {
            self.fault.get_or_insert(what);
        } else {
            self.doomed.get_or_insert(what);
        }
    }

    /// Gives the session up if the output says so; the running item, if there is one, has ended.
    pub(super) fn fails_by_output(&mut self) -> bool {
        let Some(reason) = self.doomed.take() else { return false };
        let code = if self.state.phase == SessionPhase::Init { 69 } else { 1 };
        match self.state.phase {
            _ if self.is_driven() => self.driver_must_give_up(code, reason),
            SessionPhase::Teardown => drop(self.verdict.get_or_insert(Verdict { code, reason })),
            _ => self.give_up(code, reason),
        }
        true
    }

    fn take_in(&mut self, findings: Findings) {
        let row = findings.command.and_then(|id| self.state.command(id));
        let item = findings.command.zip(row.and_then(|row| row.item)).and_then(|(id, item)| self.runs_for(id, item));
        let mut nobodys = Progress::default();
        let progress = if item.is_some() { &mut self.progress } else { &mut nobodys };
        let patterns = &self.label.patterns;
        let found = findings.hits.into_iter().filter_map(|hit| {
            let pattern = patterns.get(hit.pattern)?;
            progress.finding(hit, pattern)
        });
        // How far nothing is, is nothing to know.
        let found = found.filter(|finding| item.is_some() || !matches!(finding.what, Found::Progress { .. }));
        let mut found: Vec<Finding> = found.collect();
        self.judge(row.map(|row| row.phase), item, &found);
        let mut events = Vec::new();
        let mut left_out = findings.left_out;
        while !found.is_empty() {
            let rest = found.split_off(found.len().min(TOGETHER));
            let left_out = if rest.is_empty() { std::mem::take(&mut left_out) } else { 0 };
            events.push(EventKind::Found { item, findings: std::mem::replace(&mut found, rest), left_out });
        }
        if left_out > 0 {
            events.push(EventKind::Found { item, findings: Vec::new(), left_out });
        }
        self.record(events);
    }

    /// The item of a command, while it is this attempt at it that runs.
    fn runs_for(&self, command: CommandId, item: ItemIndex) -> Option<ItemIndex> {
        let running = self.state.running_item.as_ref().is_some_and(|running| running.item == item);
        let first = self.state.item(item).and_then(|row| row.first_command);
        (running && first.is_some_and(|first| first <= command)).then_some(item)
    }

    fn judge(&mut self, phase: Option<Phase>, item: Option<ItemIndex>, found: &[Finding]) {
        let fails = found.iter().find(|finding| severity(finding) >= Some(Severity::FailItem));
        if let (Some(_), Some(finding)) = (item, fails) {
            // What its command raised goes before that.
            self.condemned.get_or_insert_with(|| finding.text.clone());
        }
        let least = match phase {
            Some(Phase::Operator | Phase::Side) => return,
            Some(Phase::Init | Phase::Setup | Phase::Teardown) => Severity::FailItem,
            Some(Phase::Item) | None => Severity::FailSession,
        };
        if let Some(finding) = found.iter().find(|finding| severity(finding) >= Some(least)) {
            let reason = || format!("the output says ({}): {}", finding.pattern, finding.text);
            self.doomed.get_or_insert_with(reason);
        }
    }
}

fn severity(finding: &Finding) -> Option<Severity> {
    match finding.what {
        Found::Error { severity } => Some(severity),
        _ => None,
    }
}
