//! The fold: what is true after a number of events. Folding an event never fails and never panics, whatever the event
//! says: a journal may come from another version or have been written by a dying machine.

use super::added::Added;
use super::job::Timeouts;
use super::rows::Rows;
use super::{
    BackEnd, ChildState, CommandId, CommandRow, CommandState, DiagnosisHead, Event, EventKind, Exception, Finding,
    Found, Generation, HoldReason, ItemIndex, ItemRow, ItemStatus, Micros, Origin, Pause, Phase, ResultPackage, Seq,
    SessionPhase, Severity, StopMode, Stops,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many groups of exceptions are kept apart; what comes after is only counted.
pub const EXCEPTION_GROUPS: usize = 1000;
/// How many paths, faults or texts of a running item are kept.
pub const ITEM_NOTES: usize = 1000;
/// How many diagnoses are listed: the last ones. The journal has all.
pub const DIAGNOSES: usize = 1000;

/// A session, as of one event.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// The last event folded.
    pub seq: Seq,
    /// Its wall time.
    pub wall: Micros,
    /// The job's name.
    pub name: String,
    /// The job's backend.
    pub backend: String,
    /// The engine's pid.
    pub engine: u32,
    /// Where the session stands.
    pub phase: SessionPhase,
    /// Since when (wall).
    pub phase_since: Micros,
    /// Whether the agenda is held, and by whom.
    pub held: Option<Hold>,
    /// Whether it was asked to stop.
    pub stop: Option<StopMode>,
    /// How it ended.
    pub ended: Option<Ended>,
    /// The child.
    pub child: ChildState,
    /// How often a child was started.
    pub generation: Generation,
    /// One row an item.
    pub items: Rows<ItemRow>,
    /// How many items have each status.
    pub counts: BTreeMap<ItemStatus, u32>,
    /// The item whose commands run.
    pub running_item: Option<RunningItem>,
    /// When each retrying item is due (wall).
    pub retry_at: BTreeMap<ItemIndex, Micros>,
    /// Lengths of completed items.
    pub lengths: Lengths,
    /// One row a command; command 1 is row 0.
    pub commands: Rows<CommandRow>,
    /// The command that is sent or started.
    pub running: Option<RunningCommand>,
    /// Commands that wait, in the order in which they were queued.
    pub queued: Vec<CommandId>,
    /// What was raised, by what and where.
    pub exceptions: Vec<ExceptionGroup>,
    /// Exceptions that came after the groups were full.
    pub exceptions_uncounted: u64,
    /// How many connections to the back channel were refused, up to the last refusal that is recorded.
    pub refused: u64,
    /// Bytes of output that could not be kept.
    pub lost_output: u64,
    /// How far the streams had come at the last command's beginning or end, as far as the events tell.
    pub reached: super::Marks,
    /// The last words of user code.
    pub said: String,
    /// Whether an operator has stopped the child's processes.
    #[serde(default)]
    pub paused: Option<Pause>,
    /// Time-outs as an operator changed them; `None`: the job's.
    #[serde(default)]
    pub timeouts: Option<Timeouts>,
    /// Where the agenda stops by itself, as an operator changed it; `None`: the job's.
    #[serde(default)]
    pub stops: Option<Stops>,
    /// Commands of items as an operator changed them.
    #[serde(default)]
    pub edits: BTreeMap<ItemIndex, Vec<String>>,
    /// What was found out, oldest first.
    #[serde(default)]
    pub diagnoses: Vec<DiagnosisHead>,
    /// Where in the journal the start of the last child is told.
    #[serde(default)]
    pub launched_at: Option<u64>,
    /// Items that the agenda did not have, behind those that it has.
    #[serde(default)]
    pub added: Added,
    /// The class that decides what comes next, as it was last imported.
    #[serde(default)]
    pub back_end: Option<Box<BackEnd>>,
}

/// The agenda waits.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Hold {
    /// For whom; `None` for the job itself.
    pub by: Option<Origin>,
    /// Since when (wall).
    pub since: Micros,
    /// Why.
    #[serde(default)]
    pub why: HoldReason,
    /// Whether the running item's next command waits too.
    #[serde(default)]
    pub commands: bool,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// The engine's exit code.
    pub code: i32,
    /// Why.
    pub reason: String,
    /// When (wall).
    pub at: Micros,
}

/// An item while its commands run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunningItem {
    /// Which.
    pub item: ItemIndex,
    /// For the how-many-eth time.
    pub attempt: u32,
    /// Wall time of its start.
    pub since: Micros,
    /// What it has yielded so far.
    pub result: ResultPackage,
}

/// The command that was sent and has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RunningCommand {
    /// Which.
    pub id: CommandId,
    /// Wall time of its being sent.
    pub since: Micros,
    /// Whether the child said that it began.
    pub started: bool,
}

/// Exceptions of one type raised at one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExceptionGroup {
    /// The class's name.
    pub kind: String,
    /// File of the innermost frame.
    pub file: String,
    /// Line of the innermost frame.
    pub line: u32,
    /// Function of the innermost frame.
    pub function: String,
    /// The last one's message, cut to 500 characters.
    pub message: String,
    /// How often.
    pub count: u64,
    /// Wall time of the first.
    pub first: Micros,
    /// Wall time of the last.
    pub last: Micros,
    /// The last one's command; `None` for one from another thread.
    pub command: Option<CommandId>,
    /// Byte offset in the journal of the last one's event.
    pub at: u64,
}

/// Lengths of completed items in powers of √2 seconds: enough for a median to tell whether one is late.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Lengths {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum: Micros,
    buckets: BTreeMap<i16, u64>,
}

impl Lengths {
    #[expect(clippy::cast_possible_truncation, reason = "the logarithm of 64 bits is below 130")]
    fn add(&mut self, length: Micros) {
        self.count += 1;
        self.sum = Micros(self.sum.0.saturating_add(length.0));
        let bucket = (length.seconds().max(1e-6).log2() * 2.0).round() as i16;
        *self.buckets.entry(bucket).or_default() += 1;
    }

    /// The mean; `None` before the first.
    pub fn mean(&self) -> Option<Micros> {
        (self.count > 0).then(|| Micros(self.sum.0 / self.count))
    }

    /// The median to within a fifth of itself; `None` before the first.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a bucket's length is positive and small"
    )]
    pub fn median(&self) -> Option<Micros> {
        let mut before = 0;
        self.buckets.iter().find_map(|(bucket, count)| {
            before += count;
            (before * 2 >= self.count).then(|| Micros((2f64.powf(f64::from(*bucket) / 2.0) * 1e6) as u64))
        })
    }
}

impl State {
    /// Folds one event, whose line stands at byte `at` of the journal.
    pub fn apply(&mut self, event: &Event, at: u64) {
        self.seq = event.seq;
        self.wall = event.wall;
        let wall = event.wall;
        match &event.kind {
            EventKind::EngineStarted { .. } => self.engine_started(&event.kind, wall),
            EventKind::Phase { to } => self.enter(*to, wall),
            EventKind::Held { .. }
            | EventKind::Released { .. }
            | EventKind::ChildPaused { .. }
            | EventKind::ChildContinued { .. }
            | EventKind::StopsChanged { .. }
            | EventKind::TimeoutsChanged { .. }
            | EventKind::ItemEdited { .. } => self.steered(&event.kind, wall),
            EventKind::Diagnosed { diagnosis, .. } => self.diagnosed(diagnosis, wall, at),
            EventKind::StopRequested { mode, .. } => self.stop = self.stop.max(Some(*mode)),
            EventKind::ChildStarting { .. }
            | EventKind::ChildSpawned { .. }
            | EventKind::ChildConnected { .. }
            | EventKind::ChildExited { .. } => self.child_changed(&event.kind, wall, at),
            EventKind::PeerRefused { before, .. } => {
                self.refused = self.refused.saturating_add(before.saturating_add(1));
            }
            EventKind::CommandQueued { .. }
            | EventKind::CommandSent { .. }
            | EventKind::CommandStarted { .. }
            | EventKind::CommandEnded { .. } => self.command_changed(&event.kind, wall, at),
            EventKind::ThreadException { exception, .. } => self.count_exception(exception, None, wall, at),
            EventKind::BackEndLoaded { back_end } => {
                self.name = back_end.job_name().unwrap_or(&self.name).to_owned();
                self.back_end = Some(back_end.clone());
            }
            EventKind::ItemAdded { item, name, commands } => self.item_added(*item, name, commands),
            EventKind::ItemStarted { .. }
            | EventKind::ItemReported { .. }
            | EventKind::ItemProgress { .. }
            | EventKind::ItemSaid { .. }
            | EventKind::ItemOutput { .. }
            | EventKind::ItemFault { .. }
            | EventKind::Found { .. }
            | EventKind::OutputsInspected { .. }
            | EventKind::ItemEnded { .. }
            | EventKind::ItemChanged { .. } => self.item_changed(&event.kind, wall, at),
            EventKind::OutputLost { bytes, .. } => self.lost_output = self.lost_output.saturating_add(*bytes),
            EventKind::SessionEnded { code, reason } => {
                self.enter(SessionPhase::Ended, wall);
                self.ended = Some(Ended { code: *code, reason: reason.clone(), at: wall });
            }
            EventKind::ChildFailed { .. }
            | EventKind::ChildCame { .. }
            | EventKind::ChildSignalled { .. }
            | EventKind::InterruptRequested { .. }
            | EventKind::InterruptAnswered { .. }
            | EventKind::RungEnded { .. }
            | EventKind::RestartRequested { .. }
            | EventKind::Stepped { .. }
            | EventKind::TimedOut { .. }
            | EventKind::BackEndStarting { .. }
            | EventKind::BackEndReported { .. }
            | EventKind::BackEndEnded { .. }
            | EventKind::Note { .. } => {}
        }
    }

    /// The row of a command.
    pub fn command(&self, id: CommandId) -> Option<CommandRow> {
        self.commands.get(row_of(id)?)
    }

    /// The rows of the commands from this one on, in order.
    pub fn commands_from(&self, id: CommandId) -> impl Iterator<Item = CommandRow> {
        self.commands.range(row_of(id).unwrap_or_default()..self.commands.len())
    }

    /// The row of an item.
    pub fn item(&self, item: ItemIndex) -> Option<ItemRow> {
        self.items.get(item.as_usize())
    }

    /// The number that the next command gets.
    pub fn next_command(&self) -> CommandId {
        CommandId(self.commands.len() as u64 + 1)
    }

    /// How many items have this status.
    pub fn count(&self, status: ItemStatus) -> u32 {
        self.counts.get(&status).copied().unwrap_or(0)
    }

    fn enter(&mut self, phase: SessionPhase, wall: Micros) {
        self.phase = phase;
        self.phase_since = wall;
    }

    fn engine_started(&mut self, kind: &EventKind, wall: Micros) {
        let EventKind::EngineStarted { pid, name, backend, items, held, .. } = kind else { return };
        self.engine = *pid;
        self.name.clone_from(name);
        self.backend.clone_from(backend);
        self.enter(SessionPhase::Starting, wall);
        self.ended = None;
        self.stop = None;
        self.held = if *held { self.held.take().or(Some(Hold { since: wall, ..Hold::default() })) } else { None };
        while self.items.len() < *items as usize {
            self.items.push(ItemRow::default());
            *self.counts.entry(ItemStatus::Pending).or_default() += 1;
        }
    }

    fn steered(&mut self, kind: &EventKind, wall: Micros) {
        match kind {
            EventKind::Held { by, why, commands } => {
                self.held = Some(Hold { by: by.clone(), since: wall, why: why.clone(), commands: *commands });
            }
            EventKind::Released { .. } => self.held = None,
            EventKind::ChildPaused { by } => self.paused = Some(Pause { by: by.clone(), since: wall }),
            EventKind::ChildContinued { .. } => self.paused = None,
            EventKind::StopsChanged { stops, .. } => self.stops = Some(stops.clone()),
            EventKind::TimeoutsChanged { timeouts, .. } => self.timeouts = Some(timeouts.clone()),
            EventKind::ItemEdited { item, commands, .. } => match commands {
                Some(commands) => drop(self.edits.insert(*item, commands.clone())),
                None => drop(self.edits.remove(item)),
            },
            _ => {}
        }
    }

    fn diagnosed(&mut self, diagnosis: &super::Diagnosis, wall: Micros, at: u64) {
        if self.diagnoses.len() >= DIAGNOSES {
            self.diagnoses.remove(0);
        }
        let verdict = &diagnosis.verdict;
        self.diagnoses.push(DiagnosisHead {
            wall,
            doing: verdict.doing.word().to_owned(),
            confidence: verdict.confidence,
            sentence: verdict.sentence.clone(),
            trigger: diagnosis.trigger,
            command: diagnosis.session.command,
            at,
        });
    }

    fn child_changed(&mut self, kind: &EventKind, wall: Micros, at: u64) {
        let generation = self.generation;
        match kind {
            EventKind::ChildStarting { generation, .. } => {
                self.generation = *generation;
                self.launched_at = Some(at);
                self.paused = None;
                self.child = ChildState::Starting { generation: *generation, pid: None, since: wall };
            }
            EventKind::ChildSpawned { pid, .. } if matches!(self.child, ChildState::Starting { .. }) => {
                self.child = ChildState::Starting { generation, pid: Some(*pid), since: wall };
            }
            EventKind::ChildConnected { hello } => {
                let pid = match self.child {
                    ChildState::Starting { pid: Some(pid), .. } => pid,
                    _ => hello.pid,
                };
                self.child = ChildState::Connected { generation, pid, hello: hello.clone(), since: wall };
            }
            EventKind::ChildExited { exit, asked, meaning } => {
                let (exit, asked, meaning) = (*exit, *asked, meaning.clone());
                self.paused = None;
                self.child = ChildState::Exited { generation, exit, asked, meaning, since: wall };
            }
            _ => {}
        }
    }

    fn command_changed(&mut self, kind: &EventKind, wall: Micros, at: u64) {
        match kind {
            EventKind::CommandQueued { id, phase, item, .. } => self.command_queued(*id, *phase, *item, wall, at),
            EventKind::CommandSent { id, from } => {
                self.queued.retain(|waiting| waiting != id);
                // One beside the main thread is not what the child is busy with.
                if self.command(*id).is_none_or(|row| row.phase != Phase::Side) {
                    self.running = Some(RunningCommand { id: *id, since: wall, started: false });
                }
                self.reach(*from);
                if let Some(row) = self.command_mut(*id) {
                    row.state = CommandState::Sent;
                    row.from = *from;
                    row.to = *from;
                }
                let generation = self.generation;
                if let Some(row) = self.command_mut(*id) {
                    row.generation = generation;
                }
            }
            EventKind::CommandStarted { id } => {
                if let Some(running) = self.running.as_mut().filter(|running| running.id == *id) {
                    running.started = true;
                }
                if let Some(row) = self.command_mut(*id) {
                    row.state = CommandState::Started;
                }
            }
            EventKind::CommandEnded { id, outcome, took, to } => {
                self.reach(*to);
                self.queued.retain(|waiting| waiting != id);
                if self.running.is_some_and(|running| running.id == *id) {
                    self.running = None;
                }
                if let Some(row) = self.command_mut(*id) {
                    row.state = outcome.state();
                    row.took = *took;
                    row.ended_at = at;
                    row.to = *to;
                }
                if let super::CommandOutcome::Raised { exception, .. } = outcome {
                    self.count_exception(exception, Some(*id), wall, at);
                }
            }
            _ => {}
        }
    }

    fn reach(&mut self, marks: super::Marks) {
        self.reached.stdout = self.reached.stdout.max(marks.stdout);
        self.reached.stderr = self.reached.stderr.max(marks.stderr);
    }

    fn command_queued(&mut self, id: CommandId, phase: super::Phase, item: Option<ItemIndex>, wall: Micros, at: u64) {
        if id != self.next_command() {
            return;
        }
        self.commands.push(CommandRow {
            phase,
            state: CommandState::Queued,
            generation: self.generation,
            item,
            queued: wall,
            took: Micros::default(),
            queued_at: at,
            ended_at: 0,
            from: super::Marks::default(),
            to: super::Marks::default(),
        });
        self.queued.push(id);
        let Some(item) = item else { return };
        if self.running_item.as_ref().is_some_and(|running| running.item == item)
            && let Some(row) = self.items.get_mut(item.as_usize())
        {
            row.first_command.get_or_insert(id);
        }
    }

    fn item_changed(&mut self, kind: &EventKind, wall: Micros, at: u64) {
        match kind {
            EventKind::ItemStarted { item, attempt } => {
                self.set_status(*item, ItemStatus::Running);
                self.running_item =
                    Some(RunningItem { item: *item, attempt: *attempt, since: wall, ..RunningItem::default() });
                self.said.clear();
                if let Some(row) = self.items.get_mut(item.as_usize()) {
                    *row = ItemRow { status: row.status, attempt: *attempt, started: Some(wall), ..ItemRow::default() };
                }
            }
            EventKind::ItemProgress { item, fraction } => {
                #[expect(clippy::cast_possible_truncation, reason = "a bar needs no more than 24 bits")]
                if let Some(row) = self.items.get_mut(item.as_usize()) {
                    row.progress = Some(*fraction as f32);
                }
                if let Some(result) = self.result_of(*item) {
                    result.progress = Some(*fraction);
                }
            }
            EventKind::ItemSaid { text, .. } => self.said.clone_from(text),
            EventKind::ItemOutput { item, path } => {
                if let Some(result) = self.result_of(*item)
                    && result.output_paths.len() < ITEM_NOTES
                    && !result.output_paths.contains(path)
                {
                    result.output_paths.push(path.clone());
                }
            }
            EventKind::ItemReported { item, result } => {
                if let (Some(progress), Some(row)) = (result.progress, self.items.get_mut(item.as_usize())) {
                    #[expect(clippy::cast_possible_truncation, reason = "a bar needs no more than 24 bits")]
                    let progress = progress as f32;
                    row.progress = Some(progress);
                }
                if let Some(known) = self.result_of(*item) {
                    known.merge(result);
                }
            }
            EventKind::ItemFault { item, message } => {
                if let Some(result) = self.result_of(*item)
                    && result.errors.len() < ITEM_NOTES
                {
                    result.errors.push(message.clone());
                }
            }
            EventKind::Found { item: Some(item), findings, .. } => self.found(*item, findings),
            EventKind::OutputsInspected { item, files } => {
                if let Some(result) = self.result_of(*item) {
                    result.inspected(files);
                }
            }
            EventKind::ItemEnded { item, status, took, again, .. } => {
                self.item_ended(*item, *status, *took, *again, at);
            }
            EventKind::ItemChanged { item, status, by } => {
                self.set_status(*item, *status);
                // Somebody wants it tried anew: the attempts before do not count any more.
                if by.is_some()
                    && *status == ItemStatus::Pending
                    && let Some(row) = self.items.get_mut(item.as_usize())
                {
                    row.attempt = 0;
                }
            }
            _ => {}
        }
    }

    fn found(&mut self, item: ItemIndex, findings: &[Finding]) {
        let told = findings.iter().rev().find_map(|finding| match finding.what {
            Found::Progress { fraction } => Some(fraction),
            _ => None,
        });
        #[expect(clippy::cast_possible_truncation, reason = "a bar needs no more than 24 bits")]
        if let (Some(fraction), Some(row)) = (told, self.items.get_mut(item.as_usize())) {
            row.progress = Some(fraction as f32);
        }
        let warns = |finding: &Finding| matches!(finding.what, Found::Error { severity } if severity >= Severity::Warn);
        if let Some(row) = self.items.get_mut(item.as_usize()).filter(|_| findings.iter().any(warns)) {
            row.warned = true;
        }
        if let Some(result) = self.result_of(item) {
            for finding in findings {
                result.take_in(finding);
            }
        }
    }

    fn item_ended(&mut self, item: ItemIndex, status: ItemStatus, took: Micros, again: Option<Micros>, at: u64) {
        self.set_status(item, status);
        if self.running_item.as_ref().is_some_and(|running| running.item == item) {
            self.running_item = None;
            self.said.clear();
        }
        if let Some(row) = self.items.get_mut(item.as_usize()) {
            row.took = took;
            row.ended_at = at;
        }
        if let Some(again) = again {
            self.retry_at.insert(item, again);
        }
        if status == ItemStatus::Complete {
            self.lengths.add(took);
        }
    }

    fn set_status(&mut self, item: ItemIndex, status: ItemStatus) {
        let Some(row) = self.items.get_mut(item.as_usize()) else { return };
        if let Some(count) = self.counts.get_mut(&row.status) {
            *count = count.saturating_sub(1);
        }
        row.status = status;
        *self.counts.entry(status).or_default() += 1;
        if status != ItemStatus::Retrying {
            self.retry_at.remove(&item);
        }
    }

    fn result_of(&mut self, item: ItemIndex) -> Option<&mut ResultPackage> {
        self.running_item.as_mut().filter(|running| running.item == item).map(|running| &mut running.result)
    }

    fn command_mut(&mut self, id: CommandId) -> Option<&mut CommandRow> {
        self.commands.get_mut(row_of(id)?)
    }

    fn count_exception(&mut self, exception: &Exception, command: Option<CommandId>, wall: Micros, at: u64) {
        let place = exception.innermost().cloned().unwrap_or_default();
        let message = exception.message.chars().take(500).collect::<String>();
        let known = self.exceptions.iter_mut().find(|group| {
            group.kind == exception.kind
                && group.line == place.line
                && group.function == place.function
                && same_file(&group.file, &place.file)
        });
        if let Some(group) = known {
            group.count += 1;
            group.last = wall;
            group.message = message;
            group.command = command;
            group.at = at;
            return;
        }
        if self.exceptions.len() >= EXCEPTION_GROUPS {
            self.exceptions_uncounted += 1;
            return;
        }
        self.exceptions.push(ExceptionGroup {
            kind: exception.kind.clone(),
            file: place.file,
            line: place.line,
            function: place.function,
            message,
            count: 1,
            first: wall,
            last: wall,
            command,
            at,
        });
    }
}

/// Every command has a file name of its own (`<command 12>`), which must not keep equal exceptions apart.
fn same_file(one: &str, other: &str) -> bool {
    one == other || (one.starts_with("<command ") && other.starts_with("<command "))
}

fn row_of(id: CommandId) -> Option<usize> {
    usize::try_from(id.0).ok()?.checked_sub(1)
}
