//! Events: everything that ever changes a session, one line of the journal each.

use super::job::Timeouts;
use super::{
    BackEnd, CommandId, CommandOutcome, Diagnosis, Exception, Exit, Finding, Generation, Hello, HoldReason, ItemIndex,
    ItemStatus, Marks, Micros, Origin, OutputFile, Phase, ResultPackage, Rung, RungOutcome, Scene, Seq, Step, Stops,
};
use serde::{Deserialize, Serialize};

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub seq: Seq,
    /// Wall time, microseconds since the Unix epoch.
    pub wall: Micros,
    /// Monotonic time, microseconds since the machine's boot.
    pub mono: Micros,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Which of the child's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The word shown to people and used in `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionPhase {
    /// A child is being started.
    #[default]
    Starting,
    /// The init commands run.
    Init,
    /// The setup commands run.
    Setup,
    /// Items are taken from the agenda (or wait, when held).
    Agenda,
    /// The teardown commands run, or the child is being ended.
    Teardown,
    /// Over; nothing more will happen.
    Ended,
}

/// How somebody asked a session to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopMode {
    /// After the item that runs; teardown runs.
    AfterItem,
    /// At once: interrupt, then terminate, then kill.
    Now,
}

/// Something the engine waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// For what.
    pub what: WaitFor,
    /// Wall time since when.
    pub since: Micros,
    /// Wall time at which the engine stops waiting; `None` when nothing bounds it.
    pub until: Option<Micros>,
}

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    /// The child's hello.
    Startup,
    /// The end of the command that runs.
    Command,
    /// The end of the item that runs.
    Item,
    /// Any sign of life while a command runs.
    Silence,
    /// The end of teardown.
    Teardown,
    /// The process's end after it was asked, or closed the back channel.
    KillGrace,
    /// A failed item's next try.
    Retry,
    /// The agenda source, which said *waiting*.
    AgendaSource,
    /// Somebody to release the agenda.
    Release,
    /// The disk, to take the journal again.
    Journal,
    /// The file system, to tell of the item's output files.
    Outputs,
    /// The child, to answer a question of an operator.
    Answer,
    /// The evidence for a diagnosis.
    Diagnosis,
    /// All that a command printed to be matched against the patterns, before anything is made of its end.
    Output,
    /// The running command's end, by this rung of the ladder out.
    Rung(Rung),
    /// The back-end class, whose turn it is.
    BackEnd,
}

/// How far a child that is being started has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartStep {
    /// Somebody connected to the back channel.
    Connected,
    /// It speaks as the bootstrapper does: the script runs.
    Knocked,
    /// It proved the secret: it is the child.
    Proven,
}

/// Who was turned away from the back channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefusedPeer {
    /// Its address.
    pub address: String,
    /// Why.
    pub reason: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// An engine took the session up: for the first time, or again after one died.
    EngineStarted {
        /// The engine's pid.
        pid: u32,
        /// The engine's version.
        version: String,
        /// The job's name.
        name: String,
        /// The job's backend.
        backend: String,
        /// How many items the agenda has.
        items: u32,
        /// Whether the agenda is held from the start.
        held: bool,
        /// Whether this goes on with a session whose engine died.
        resumed: bool,
    },
    /// The session's phase changed.
    Phase {
        /// To what.
        to: SessionPhase,
    },
    /// The agenda was held.
    Held {
        /// By whom; `None` by the job or the engine itself.
        by: Option<Origin>,
        /// Why.
        #[serde(default, skip_serializing_if = "is_default")]
        why: HoldReason,
        /// Whether the running item's next command waits too.
        #[serde(default, skip_serializing_if = "is_default")]
        commands: bool,
    },
    /// The agenda was released.
    Released {
        /// By whom.
        by: Option<Origin>,
    },
    /// While held, one step was let go on.
    Stepped {
        /// How far.
        step: Step,
        /// The item that is to be run, if not the next in order.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<ItemIndex>,
        /// By whom.
        by: Option<Origin>,
    },
    /// Where the agenda stops by itself was changed.
    StopsChanged {
        /// All of it, as it is from now on.
        stops: Stops,
        /// By whom.
        by: Option<Origin>,
    },
    /// Time-outs were changed, for this session only.
    TimeoutsChanged {
        /// All of them, as they are from now on.
        timeouts: Timeouts,
        /// By whom.
        by: Option<Origin>,
    },
    /// The session was asked to stop.
    StopRequested {
        /// How.
        mode: StopMode,
        /// By whom; `None` by a signal to the engine.
        by: Option<Origin>,
    },
    /// A child is about to be spawned.
    ChildStarting {
        /// Which one.
        generation: Generation,
        /// Its whole argument vector; no secret stands in it.
        argv: Vec<String>,
        /// The working directory.
        cwd: String,
    },
    /// The child runs.
    ChildSpawned {
        /// The spawned process.
        pid: u32,
        /// Its start time in clock ticks since boot, which with the pid names it for good.
        start_time: u64,
    },
    /// On its way to a hello somebody came this far: each step is told once a child, of whoever came first.
    ChildCame {
        /// How far.
        step: StartStep,
    },
    /// The child proved itself and said hello.
    ChildConnected {
        /// What it said.
        hello: Box<Hello>,
    },
    /// The child could not be spawned, or never said hello, or broke the protocol. Its exit, if it ran, follows.
    ChildFailed {
        /// What, to what, and what to do.
        reason: String,
    },
    /// The child process ended.
    ChildExited {
        /// How.
        exit: Exit,
        /// Whether we had asked it to end.
        asked: bool,
        /// What the recipe says that this means; mostly nothing.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        meaning: String,
    },
    /// A signal was sent to the child's process group.
    ChildSignalled {
        /// Its number.
        signal: i32,
        /// Why.
        reason: String,
    },
    /// An operator stopped the child's processes; no clock of the session runs meanwhile.
    ChildPaused {
        /// Who.
        by: Option<Origin>,
    },
    /// They go on.
    ChildContinued {
        /// By whom; `None` because they are to end.
        by: Option<Origin>,
    },
    /// Another child is wanted in this one's place.
    RestartRequested {
        /// By whom; `None` by a time-out's policy.
        by: Option<Origin>,
    },
    /// The helper interpreter is about to be started, with the back-end class that decides what comes next.
    BackEndStarting {
        /// Its whole argument vector.
        argv: Vec<String>,
        /// The class, as the job names it; empty for the stock one.
        class: String,
    },
    /// The class was imported.
    BackEndLoaded {
        /// What it says of itself.
        back_end: Box<BackEnd>,
    },
    /// What the class says of its job as a whole: Qube's `reportjob`.
    BackEndReported {
        /// The status.
        status: String,
        /// Why.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// The helper interpreter ended.
    BackEndEnded {
        /// How.
        exit: Exit,
    },
    /// It was found out what the child is doing.
    Diagnosed {
        /// What, and by what evidence.
        diagnosis: Box<Diagnosis>,
        /// Who asked; `None` for a time-out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Origin>,
    },
    /// A connection to the back channel was refused.
    PeerRefused {
        /// Whose.
        #[serde(flatten)]
        peer: RefusedPeer,
        /// How many others were refused before it that have no event of their own: of a crowd only every hundredth has.
        #[serde(default, skip_serializing_if = "is_default")]
        before: u64,
    },
    /// A command waits for its turn.
    CommandQueued {
        /// Its number.
        id: CommandId,
        /// Why it is run.
        phase: Phase,
        /// The item it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<ItemIndex>,
        /// The whole text.
        source: String,
        /// Whether the value of its last expression is wanted.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        value: bool,
        /// Who injected it; `None` for the job's and the backend's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Origin>,
    },
    /// A command is about to be written to the channel.
    CommandSent {
        /// Its number.
        id: CommandId,
        /// Where its slice of the output begins.
        from: Marks,
    },
    /// The child's main thread began it.
    CommandStarted {
        /// Its number.
        id: CommandId,
    },
    /// The command's fate is known.
    CommandEnded {
        /// Its number.
        id: CommandId,
        /// Which fate.
        #[serde(flatten)]
        outcome: CommandOutcome,
        /// From sent to now, without the time paused.
        took: Micros,
        /// Where its slice of the output ends.
        to: Marks,
    },
    /// The child is asked to end the running command: the first three rungs of the ladder out. The others are told by
    /// `child_signalled`.
    InterruptRequested {
        /// Which.
        id: CommandId,
        /// By whom; `None` by a time-out or a stop.
        by: Option<Origin>,
        /// How.
        #[serde(default, skip_serializing_if = "is_default")]
        rung: Rung,
    },
    /// What became of a rung of the ladder out, and of the loaded scene.
    RungEnded {
        /// The command that was to end, if one ran.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<CommandId>,
        /// Which.
        rung: Rung,
        /// What.
        result: RungOutcome,
        /// Whether what was loaded is still there.
        scene: Scene,
        /// Why it was skipped or refused; else empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// What the child said to an interrupt.
    InterruptAnswered {
        /// Which command.
        id: CommandId,
        /// Whether the signal was raised.
        ok: bool,
        /// Why not.
        reason: String,
    },
    /// An exception outside of any command: in another thread.
    ThreadException {
        /// The thread's name.
        thread: String,
        /// What was raised.
        exception: Box<Exception>,
    },
    /// The back-end class brought an item that the agenda did not have.
    ItemAdded {
        /// Its place.
        item: ItemIndex,
        /// Its name.
        name: String,
        /// Python, as it stands.
        commands: Vec<String>,
    },
    /// The back-end class told what an item has yielded; it is added to what is known.
    ItemReported {
        /// Which.
        item: ItemIndex,
        /// What.
        result: ResultPackage,
    },
    /// An item was taken up.
    ItemStarted {
        /// Which.
        item: ItemIndex,
        /// For the how-many-eth time, from 1.
        attempt: u32,
    },
    /// User code told progress.
    ItemProgress {
        /// Which item.
        item: ItemIndex,
        /// 0 to 1.
        fraction: f64,
    },
    /// User code told what it is doing.
    ItemSaid {
        /// Which item; `None` outside of any.
        item: Option<ItemIndex>,
        /// What.
        text: String,
    },
    /// User code told of a file that it wrote.
    ItemOutput {
        /// Which item.
        item: ItemIndex,
        /// The path.
        path: String,
    },
    /// User code said that the item failed; its commands go on.
    ItemFault {
        /// Which item.
        item: ItemIndex,
        /// Why.
        message: String,
    },
    /// Patterns found something in the output.
    Found {
        /// The item that ran; `None` outside of any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<ItemIndex>,
        /// What. Of a flood the first findings of each pattern, which may be none any more, and a count: see `left_out`.
        findings: Vec<Finding>,
        /// How many more were found that are not kept.
        #[serde(default, skip_serializing_if = "is_default")]
        left_out: u64,
    },
    /// The item's output files were looked at, since it could be complete otherwise. What is wrong with them fails it.
    OutputsInspected {
        /// Which item.
        item: ItemIndex,
        /// All that were looked at.
        files: Vec<OutputFile>,
    },
    /// An item's attempt ended.
    ItemEnded {
        /// Which.
        item: ItemIndex,
        /// Complete, failed, retrying, killed, or pending (the attempt was given back).
        status: ItemStatus,
        /// Why, when it is not complete.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// How long the attempt took, without the time held or paused.
        took: Micros,
        /// For `retrying`: wall time of the next try.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again: Option<Micros>,
        /// What it yielded.
        result: ResultPackage,
    },
    /// An item's commands were changed, for this session only.
    ItemEdited {
        /// Which.
        item: ItemIndex,
        /// Python, sent as it stands; `None`: the job's again.
        commands: Option<Vec<String>>,
        /// By whom.
        by: Option<Origin>,
    },
    /// An item that did not run changed its status: by an operator, or because its time came.
    ItemChanged {
        /// Which.
        item: ItemIndex,
        /// To what.
        status: ItemStatus,
        /// By whom.
        by: Option<Origin>,
    },
    /// A time-out passed.
    TimedOut {
        /// Which.
        what: WaitFor,
        /// What was done about it.
        action: String,
    },
    /// Output could not be kept any more; it is drained and counted.
    OutputLost {
        /// Which stream.
        stream: Stream,
        /// How many bytes since the last such event.
        bytes: u64,
        /// Why.
        reason: String,
    },
    /// Something that people should know and that changes nothing.
    Note {
        /// What.
        text: String,
    },
    /// The session is over.
    SessionEnded {
        /// The engine's exit code.
        code: i32,
        /// Why.
        reason: String,
    },
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
