//! Requests, answers and pulses: what travels over the session's Unix socket.
//!
//! A frame is a `u32` big-endian byte length and one JSON object. The client says [`ClientHello`] and gets a
//! [`ServerHello`]; after that it sends [`Call`]s, in any number at once, and gets [`ServerFrame`]s. Answers carry their
//! call's id and may come out of order. Unknown fields are skipped, unknown requests are refused by name.

use super::about::About;
use super::job::Timeouts;
use super::state::{Ended, ExceptionGroup, Hold};
use super::usage::{UsageHistory, UsagePoint};
use super::{
    ChildState, CommandId, CommandOutcome, CommandRow, CommandState, Diagnosis, DiagnosisHead, Event, Exception,
    Filter, HotTree, ItemIndex, ItemRow, ItemStatus, LadderView, LimitChange, Measure, Micros, Origin, Pause, Phase,
    ResultPackage, Rung, RungView, SearchQuery, Searched, Seq, SessionPhase, Step, StopMode, Stops, Stream, Wait,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of this protocol. Another major version is refused with a sentence that names both.
pub const VERSION: u32 = 1;
/// The longest frame that either end takes, in bytes.
pub const FRAME_LIMIT: usize = 16 << 20;
/// The most rows or lines that one page holds, whatever was asked for.
pub const PAGE_LIMIT: u32 = 2000;

/// The first frame of a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientHello {
    /// [`VERSION`].
    pub version: u32,
    /// Which program: `tui`, `exec` …; recorded with what it asks for.
    pub client: String,
    /// Where it is run from, as it says.
    pub host: String,
    /// Whether it wants to be kept from writing.
    pub read_only: bool,
}

/// The server's answer to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "hello", rename_all = "snake_case")]
pub enum ServerHello {
    /// Go on.
    Welcome {
        /// [`VERSION`].
        version: u32,
        /// The engine's version.
        engine: String,
        /// The session's id.
        session: String,
        /// Whether writes will be refused.
        read_only: bool,
    },
    /// The connection ends here.
    Refused {
        /// Why, for people.
        reason: String,
    },
}

/// A request with its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Made by the client. A write's has 16 to 128 bytes and is unlike any other of this user's (so make it random): a
    /// write with an id seen before is not done again, the first one's answer is given. For others it is enough that
    /// it is unique among the calls of the connection.
    pub id: String,
    /// What is wanted.
    #[serde(flatten)]
    pub request: Request,
}

/// What a server sends after its hello.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The answer to a call.
    Answer {
        /// The call's id.
        id: String,
        /// The answer.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// The session as it is now; at most 30 a second, none while nothing changes.
    Pulse {
        /// The summary.
        summary: Box<Summary>,
    },
    /// Events, in order, without gaps since the last frame of this kind.
    Events {
        /// One or more.
        events: Vec<Event>,
    },
    /// The client did not read fast enough: these events were left out, and can be read from the journal.
    Gap {
        /// The first one left out.
        from: Seq,
        /// The last one left out.
        to: Seq,
    },
}

/// Whether a call went well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did.
    Ok(Box<Response>),
    /// It did not.
    Error(Refusal),
}

/// Why a call was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Which kind.
    pub kind: RefusalKind,
    /// What happened, to what, what to do.
    pub message: String,
}

/// Kinds of refusals; they decide a client's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// This client may not.
    NotAllowed,
    /// There is no such item, command or group.
    NotFound,
    /// It makes no sense now: the session is over, the child is not there.
    NotNow,
    /// The request itself is wrong.
    Invalid,
    /// The engine could not: a file cannot be read.
    Failed,
}

/// Verbs on items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemVerb {
    /// Back to pending, with its attempts counted anew.
    Retry,
    /// Keep it from being run.
    Block,
    /// Let a blocked one be run.
    Unblock,
    /// End it: a running one is interrupted.
    Kill,
    /// Mark it complete though it did not run.
    Complete,
}

/// What a client may ask. The requests from `Exec` on write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    /// A snapshot, and from it on pulses, and events too if wanted: one atomic step.
    Subscribe {
        /// Whether every event is wanted, beside pulses.
        events: bool,
        /// Only with `events`: those after this one first, read from the journal. `None`: only new ones.
        from: Option<Seq>,
    },
    /// The session as it is now.
    Summary,
    /// A window of the agenda.
    Agenda(Window),
    /// One item, by name.
    Item {
        /// Its name.
        name: String,
    },
    /// A window of the commands, oldest first.
    Commands(Window),
    /// All of one command.
    Command {
        /// Which; `command` on the wire, where `id` is the call's.
        #[serde(rename = "command")]
        id: CommandId,
    },
    /// A window of the groups of exceptions, in the order of their first appearance.
    Exceptions(Window),
    /// The last exception of a group.
    Exception {
        /// The group's place.
        place: u32,
    },
    /// The next row of a list that contains a text, ignoring case.
    Find {
        /// In which list.
        list: List,
        /// What.
        text: String,
        /// From which row on, itself included.
        from: u32,
        /// Towards higher rows.
        forward: bool,
    },
    /// Lines of output. One page with a pattern at a time on a connection: a new one ends the one before, which is then
    /// answered as it is, `partial`.
    Output(Box<OutputQuery>),
    /// A line of output that matches. One at a time on a connection: a new one ends the one before.
    Search(Box<SearchQuery>),
    /// Lines of `engine.log`.
    Traces {
        /// Byte offset of the first line; `None`: the last `limit` lines.
        from: Option<u64>,
        /// The most lines.
        limit: u32,
    },
    /// Completions of a piece of Python, by the child.
    Complete {
        /// The line up to the cursor.
        text: String,
    },
    /// Whether a piece of Python is complete, by the child.
    Check {
        /// The whole text.
        source: String,
    },
    /// The job, the recipe and the versions behind the session, as JSON.
    Info,
    /// What runs the session, and where each part of it came from.
    About,
    /// A window of the diagnoses that were made, oldest first.
    Diagnoses(Window),
    /// All of one diagnosis.
    Diagnosis {
        /// Its place.
        place: u32,
    },
    /// What the process tree used over a time.
    Usage {
        /// From this wall time on.
        from: Micros,
        /// Up to this one.
        to: Micros,
        /// The most points; of more than that each stands for a stretch of time.
        most: u32,
    },
    /// The names in the child's namespace, by the child; works while it is busy and runs no code of the user's.
    Names,

    /// Inject a command; it runs next.
    Exec {
        /// Python.
        source: String,
        /// Whether to answer when it has ended; else when it is queued.
        wait: bool,
    },
    /// Run a piece of Python beside the main thread, busy or not, and answer when it has ended.
    Side {
        /// Python.
        source: String,
        /// Whether somebody has been told that this may crash the host. Needed unless the backend says that it is safe.
        confirmed: bool,
    },
    /// Find out what the child is doing, and save that.
    Why,
    /// Where the child's time goes: begins to sample it, if nobody does, and goes on for some seconds.
    Hot {
        /// Whether what was sampled before is forgotten.
        reset: bool,
    },
    /// End the running command, by one rung of the ladder out after another until it has ended.
    Interrupt {
        /// Only if it is this one.
        command: Option<CommandId>,
        /// The first rung to try; those that are not safe here are skipped.
        #[serde(default)]
        from: Rung,
        /// The last rung to try.
        #[serde(default)]
        to: Rung,
        /// Whether another child is started when this one is lost by it; else that ends the session.
        #[serde(default)]
        restart: bool,
    },
    /// Another child in this one's place: init and setup run again, and the agenda goes on.
    Restart {
        /// Whether a command that runs is no reason to refuse.
        now: bool,
    },
    /// Stop the child's processes where they are, and every clock with them.
    Pause,
    /// Let them go on.
    Continue,
    /// Change time-outs, for this session only.
    SetTimeouts {
        /// Each limit once.
        changes: Vec<LimitChange>,
    },
    /// Change where the agenda stops by itself, for this session only.
    SetStops {
        /// All of it, as it is from now on.
        stops: Stops,
    },
    /// Make the agenda wait.
    Hold,
    /// Make it wait before the job's next command, even within an item.
    Break,
    /// While it waits, let one step go on.
    Step {
        /// How far.
        step: Step,
        /// Which item, if not the next in order; it is put back to pending first if it has ended.
        #[serde(default)]
        item: Option<String>,
    },
    /// Change an item's commands, for this session only.
    Edit {
        /// Its name.
        name: String,
        /// Python, sent as it stands; `None`: the job's again.
        commands: Option<Vec<String>>,
    },
    /// Let it go on.
    Release,
    /// Do something to items.
    Items {
        /// What.
        verb: ItemVerb,
        /// Their names.
        names: Vec<String>,
    },
    /// End the session.
    Stop {
        /// How.
        mode: StopMode,
    },
}

impl Request {
    /// Whether it is answered from what is recorded: it neither changes anything, nor needs the child or an engine.
    pub fn only_reads(&self) -> bool {
        !self.writes() && !self.asks_the_child() && !matches!(self, Self::Subscribe { .. })
    }

    /// Whether only the child of now can answer it, though nothing is changed.
    pub fn asks_the_child(&self) -> bool {
        matches!(self, Self::Complete { .. } | Self::Check { .. } | Self::Names | Self::Hot { .. })
    }

    /// Whether it changes anything, if only the journal.
    pub fn writes(&self) -> bool {
        matches!(
            self,
            Self::Exec { .. }
                | Self::Side { .. }
                | Self::Why
                | Self::Interrupt { .. }
                | Self::Restart { .. }
                | Self::Pause
                | Self::Continue
                | Self::SetTimeouts { .. }
                | Self::SetStops { .. }
                | Self::Hold
                | Self::Break
                | Self::Step { .. }
                | Self::Edit { .. }
                | Self::Release
                | Self::Items { .. }
                | Self::Stop { .. }
        )
    }
}

/// Lists that can be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// Items, by name, status and reason.
    Agenda,
    /// Commands, by text.
    Commands,
    /// Groups of exceptions, by type, message and place.
    Exceptions,
}

/// Which rows of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Window {
    /// The first row, from 0; a window past the end is moved back to hold the last rows.
    pub from: u32,
    /// How many, at most [`PAGE_LIMIT`].
    pub limit: u32,
}

/// Which lines of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputQuery {
    /// One stream, or both in reading order when `None`.
    pub stream: Option<Stream>,
    /// Around what.
    pub at: OutputAt,
    /// How many lines before it; with those from it on at most [`PAGE_LIMIT`], see [`OutputQuery::most`].
    pub before: u32,
    /// How many lines from it on.
    pub after: u32,
    /// Only lines that begin in this command's slice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandId>,
    /// Only lines that pass.
    #[serde(default, skip_serializing_if = "Filter::is_empty")]
    pub filter: Filter,
    /// Whether bytes are wanted as they are (base64 in `raw`) instead of made safe in `text`.
    #[serde(default)]
    pub raw: bool,
}

impl OutputQuery {
    /// How many lines a page may have before its place and from it on: what was asked for, or what fits in
    /// [`PAGE_LIMIT`], of which half is kept for each.
    pub fn most(&self) -> (u32, u32) {
        let after = self.after.min(PAGE_LIMIT - self.before.min(PAGE_LIMIT / 2));
        (self.before.min(PAGE_LIMIT - after), after)
    }
}

/// A place in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputAt {
    /// Its beginning (the command's, if one is named).
    Start,
    /// Its end as of now.
    End,
    /// The line that this anchor names.
    Line(LineAnchor),
    /// The first line of an item's last attempt.
    Item(ItemIndex),
    /// The first line of a command's slice.
    Command(CommandId),
    /// The first line read at or after this wall time.
    Time(Micros),
}

/// A line's name for good: its stream and the offset of its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LineAnchor {
    /// Which stream.
    pub stream: Stream,
    /// Byte offset in its log.
    pub offset: u64,
}

/// A window of output.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OutputPage {
    /// In order.
    pub lines: Vec<OutputLine>,
    /// Whether nothing lies before the first.
    pub at_start: bool,
    /// Whether nothing lies after the last, as of now.
    pub at_end: bool,
    /// Whether a filter left so much out that the page was given before it was full: asked again it goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

/// One line of output, or the part of it that fits.
#[expect(clippy::struct_excessive_bools, reason = "each tells of something else, and most are not on the wire")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputLine {
    /// Its name.
    pub anchor: LineAnchor,
    /// Its number in its stream, from 1, where it is known cheaply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Wall time at which its first byte was read.
    pub wall: Micros,
    /// The command that ran then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandId>,
    /// Made safe: UTF-8, SGR sequences kept, every other control shown; without the newline.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The bytes in base64, if they were asked for, with the newline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// The whole line's length in bytes.
    pub length: u64,
    /// Whether `text` or `raw` holds less than the line.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Whether its bytes were not kept: `text` says so, and `raw` is empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
    /// Whether its newline has not come yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
    /// Whether it is there only because a line near it matches.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub context: bool,
    /// Whether a filter left lines out between it and the one before it in the page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
}

/// What a call gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Response {
    /// Done; what was done, for people, when there is something to say.
    Done {
        /// A sentence, or nothing.
        said: String,
    },
    /// To `Subscribe` and `Summary`.
    Summary(Box<Summary>),
    /// To `Agenda`.
    Agenda(Page<ItemView>),
    /// To `Item`.
    Item(Box<ItemDetail>),
    /// To `Commands`.
    Commands(Page<CommandView>),
    /// To `Command`, to `Exec` that waited, and to `Side`.
    Command(Box<CommandDetail>),
    /// To `Exec` that did not wait.
    Queued {
        /// The command's number.
        id: CommandId,
    },
    /// To `Exceptions`.
    Exceptions(Page<ExceptionGroup>),
    /// To `Exception`.
    Exception {
        /// Its group.
        group: ExceptionGroup,
        /// The last one.
        exception: Box<Exception>,
    },
    /// To `Find`.
    Found {
        /// The row; `None`: no row contains it.
        row: Option<u32>,
    },
    /// To `Output`.
    Output(OutputPage),
    /// To `Search`.
    Searched(Searched),
    /// To `Traces`.
    Traces(TracePage),
    /// To `Complete`.
    Completions {
        /// Where in the text the matches begin, in characters.
        start: u32,
        /// Whole words.
        matches: Vec<String>,
    },
    /// To `Check`.
    Checked {
        /// Whether it can be run as it stands.
        state: Completeness,
        /// The syntax error, when invalid.
        message: String,
    },
    /// To `Info`.
    Info {
        /// A JSON object.
        info: serde_json::Value,
    },
    /// To `About`.
    About(Box<About>),
    /// To `Why` and `Diagnosis`.
    Diagnosis(Box<Diagnosis>),
    /// To `Diagnoses`.
    Diagnoses(Page<DiagnosisHead>),
    /// To `Usage`.
    Usage(UsageHistory),
    /// To `Hot`: what was sampled until now.
    Hot(Box<HotTree>),
    /// To `Names`.
    Names {
        /// Sorted.
        names: Vec<NameInfo>,
        /// How many more there are.
        more: u32,
    },
}

/// Whether a piece of Python can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// It can.
    Complete,
    /// More must follow.
    Incomplete,
    /// It cannot, whatever follows.
    Invalid,
}

/// One name of the commands' namespace; what can be told of it without running code of the user's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NameInfo {
    /// The name.
    pub name: String,
    /// Its value's type, with the module for one that is neither built in nor of the namespace.
    pub kind: String,
    /// What it takes in memory, in bytes, without what it refers to; an array's elements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Its `len`, of a built-in container or text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// An array's shape, as Python shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<String>,
    /// Whether it is a module.
    pub module: bool,
}

/// Rows of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The place of the first row.
    pub from: u32,
    /// How many rows the whole list has.
    pub total: u32,
    /// In order.
    pub rows: Vec<T>,
}

/// A row of the agenda.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemView {
    /// Its place.
    pub item: ItemIndex,
    /// Its name.
    pub name: String,
    /// What the fold knows.
    #[serde(flatten)]
    pub row: ItemRow,
    /// Wall time of its next try, when it is retrying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Micros>,
    /// Whether an operator changed its commands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edited: bool,
}

/// All of an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemDetail {
    /// Its row.
    pub view: ItemView,
    /// Why it is not complete, when its last attempt ended otherwise.
    pub reason: Option<String>,
    /// What it has yielded.
    pub result: ResultPackage,
    /// Its commands, expanded, or as an operator changed them.
    pub commands: Vec<String>,
    /// Its data.
    pub data: BTreeMap<String, serde_json::Value>,
    /// The commands of its last attempt, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ran: Vec<RanCommand>,
    /// What the values of the result count, where they count something.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measures: BTreeMap<String, Measure>,
}

/// How far a command of an item has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RanCommand {
    /// Its number.
    pub id: CommandId,
    /// How far.
    pub state: CommandState,
    /// From sent to its end; zero before that.
    pub took: Micros,
}

/// A row of the commands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandView {
    /// Its number.
    pub id: CommandId,
    /// What the fold knows.
    #[serde(flatten)]
    pub row: CommandRow,
    /// Its item's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_name: Option<String>,
    /// The first 200 characters of its text.
    pub head: String,
    /// Who injected it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Origin>,
}

/// All of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandDetail {
    /// Its row.
    pub view: CommandView,
    /// Its text, up to 1 MiB.
    pub source: String,
    /// Whether the text was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Its fate, once known.
    pub outcome: Option<CommandOutcome>,
}

/// Lines of the engine's log.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TracePage {
    /// Made safe, one line each, as the file has them.
    pub lines: Vec<String>,
    /// Byte offset after the last.
    pub next: u64,
}

/// The session at one glance: all that a header shows, and enough to know which windows to ask for again.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// The last event folded.
    pub seq: Seq,
    /// The engine's wall clock, as of this summary.
    pub now: Micros,
    /// The session's id.
    pub session: String,
    /// The job's name.
    pub name: String,
    /// The job's backend.
    pub backend: String,
    /// What the prompt shows before a command (`mayaPy> `).
    pub prompt: String,
    /// The engine's pid.
    pub engine: u32,
    /// Where the session stands.
    pub phase: SessionPhase,
    /// Since when.
    pub phase_since: Micros,
    /// Whether the agenda is held.
    pub held: Option<Hold>,
    /// Whether it was asked to stop.
    pub stop: Option<StopMode>,
    /// How it ended.
    pub ended: Option<Ended>,
    /// The child.
    pub child: ChildState,
    /// The command that runs.
    pub running: Option<RunningView>,
    /// Commands that wait.
    pub queued: u32,
    /// The item that runs.
    pub item: Option<ItemView>,
    /// The last words of user code.
    pub said: String,
    /// Items by status.
    pub counts: BTreeMap<ItemStatus, u32>,
    /// How long what is left should take, when it can be guessed.
    pub to_go: Option<Micros>,
    /// The median length of the completed items.
    pub typical: Option<Micros>,
    /// What the engine waits for.
    pub waits: Vec<Wait>,
    /// Wall time of the last output byte.
    pub last_output: Option<Micros>,
    /// Wall time of the last heartbeat or other word from the child.
    pub last_word: Option<Micros>,
    /// Bytes of each stream.
    pub output: super::Marks,
    /// Bytes that could not be kept.
    pub lost_output: u64,
    /// Why output is not being kept just now.
    pub not_keeping: Option<String>,
    /// How many commands there are.
    pub commands: u32,
    /// How many groups of exceptions there are.
    pub exceptions: u32,
    /// How often something was raised.
    pub raised: u64,
    /// Refused connections.
    pub refused: u64,
    /// What the process tree uses; sampled once a second while somebody watches or a command runs.
    pub usage: Option<UsagePoint>,
    /// Whether an operator has stopped the child's processes.
    pub paused: Option<Pause>,
    /// The ladder out, while somebody is on it.
    pub ladder: Option<LadderView>,
    /// Its rungs, as they stand for this child.
    pub rungs: Vec<RungView>,
    /// Whether the backend says that Python may be run beside the main thread.
    pub side_eval: bool,
    /// The time-outs in force.
    pub timeouts: Timeouts,
    /// Where the agenda stops by itself.
    pub stops: Stops,
    /// How many diagnoses were made, at most [`super::state::DIAGNOSES`].
    pub diagnoses: u32,
    /// The last one.
    pub diagnosed: Option<DiagnosisHead>,
    /// How many clients are connected.
    pub clients: u32,
}

/// The running command, for the header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningView {
    /// Which.
    pub id: CommandId,
    /// Why it is run.
    pub phase: Phase,
    /// Sent or started.
    pub state: CommandState,
    /// Wall time of its being sent.
    pub since: Micros,
    /// The first 200 characters of its text.
    pub head: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_has_a_field_that_a_call_has() {
        let requests = [
            Request::Command { id: CommandId(2) },
            Request::Item { name: "1".into() },
            Request::Subscribe { events: true, from: Some(Seq(3)) },
            Request::Exec { source: "1".into(), wait: true },
            Request::Interrupt { command: Some(CommandId(1)), from: Rung::Interrupt, to: Rung::Kill, restart: true },
            Request::Side { source: "1".into(), confirmed: true },
            Request::Diagnosis { place: 1 },
            Request::Step { step: Step::Item, item: Some("1".into()) },
            Request::Edit { name: "1".into(), commands: None },
            Request::Items { verb: ItemVerb::Retry, names: vec!["1".into()] },
            Request::Stop { mode: StopMode::Now },
            Request::Find { list: List::Agenda, text: "a".into(), from: 0, forward: true },
            Request::Traces { from: None, limit: 1 },
            Request::Agenda(Window { from: 1, limit: 2 }),
        ];
        for request in requests {
            let call = Call { id: "id".into(), request };
            let text = serde_json::to_string(&call).expect("json");
            assert_eq!(serde_json::from_str::<Call>(&text).expect(&text), call);
        }
    }
}
