//! A diagnosis: what the child was doing at one moment, why that is believed, and what was looked at.
//!
//! What must stay true: it is data, made by the `diagnose` room and saved in the journal as it was told, so that a
//! replay shows the evidence that the operator saw. Texts come from the child or from processes it started; they are
//! bounded where they are collected and made safe where they are shown.

use super::{CommandId, Exit, Frame, ItemIndex, Micros, Rung, WaitFor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Everything that was found out at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// What it comes down to.
    pub verdict: Verdict,
    /// Who wanted to know.
    pub trigger: Trigger,
    /// The Python stacks.
    pub stacks: Stacks,
    /// The child and its tree, the interpreter first.
    pub processes: Vec<ProcessEvidence>,
    /// The memory that they may use.
    pub memory: MemoryEvidence,
    /// What the session itself knows.
    pub session: SessionEvidence,
    /// What could not be found out, and what it would take; one sentence each.
    pub missing: Vec<String>,
    /// From the question to the verdict.
    pub took: Micros,
}

/// Why a diagnosis was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Somebody asked.
    Asked,
    /// A time-out passed; nothing was done about it before.
    TimedOut(WaitFor),
}

/// What it comes down to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What the child is doing.
    #[serde(flatten)]
    pub doing: Doing,
    /// How far to believe it.
    pub confidence: Confidence,
    /// One sentence that a person can act on.
    pub sentence: String,
    /// What can be done about it, if there is more to say than the sentence does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

/// How far a verdict can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Something is missing, or two pieces of evidence do not agree.
    Guess,
    /// One piece of evidence says so, and none says otherwise.
    Likely,
    /// Python and the system say the same.
    Sure,
}

/// What a child can be doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "doing", rename_all = "snake_case")]
pub enum Doing {
    /// Computing in native code that Python called.
    Computing {
        /// Whether other Python threads can run meanwhile.
        gil: Gil,
    },
    /// Running Python.
    Looping {
        /// The innermost line of user code.
        at: Place,
    },
    /// Waiting for a lock.
    Lock {
        /// The thread that has it, where that is known.
        holder: Option<String>,
        /// The line that waits.
        at: Place,
    },
    /// Threads that wait for each other.
    Deadlock {
        /// Their names, in the order in which each waits for the next.
        threads: Vec<String>,
    },
    /// Waiting for somebody on the network, or for another process on this machine by a socket.
    Network {
        /// The other end's address.
        peer: String,
    },
    /// Waiting for a disk or a file server.
    Disk {
        /// The file, where it is known.
        file: Option<String>,
    },
    /// Waiting for somebody to type, or for another process to write into a pipe.
    Input {
        /// What is read: `stdin`, a terminal, a pipe.
        from: String,
    },
    /// Waiting for a process that it started.
    Subprocess {
        /// Its pid.
        pid: u32,
        /// Its name.
        name: String,
    },
    /// Stopped by a signal, a debugger or an operator: no time passes for it.
    Stopped {
        /// By whom.
        by: StoppedBy,
    },
    /// Short of memory: killed for it, or doing nothing but fetching pages.
    Memory {
        /// Whether it was killed for it.
        killed: bool,
    },
    /// Sleeping because its code says so.
    Sleeping {
        /// The line that sleeps.
        at: Place,
    },
    /// Nothing is to be done, and it does nothing.
    Idle,
    /// It runs but has not said hello.
    Starting,
    /// It is gone.
    Exited {
        /// How it ended; unknown when there never was one.
        exit: Exit,
    },
    /// It does not answer, and the evidence does not say why.
    Unresponsive,
}

impl Doing {
    /// The word shown to people and used in `--json`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Computing { .. } => "computing",
            Self::Looping { .. } => "looping",
            Self::Lock { .. } => "lock",
            Self::Deadlock { .. } => "deadlock",
            Self::Network { .. } => "network",
            Self::Disk { .. } => "disk",
            Self::Input { .. } => "input",
            Self::Subprocess { .. } => "subprocess",
            Self::Stopped { .. } => "stopped",
            Self::Memory { .. } => "memory",
            Self::Sleeping { .. } => "sleeping",
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Exited { .. } => "exited",
            Self::Unresponsive => "unresponsive",
        }
    }
}

/// Who has Python's interpreter lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gil {
    /// The thread that computes: nothing else in Python can run, heartbeats included.
    Held,
    /// Not the thread that computes.
    Released,
    /// Nobody could tell.
    Unknown,
}

/// Who has stopped a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoppedBy {
    /// An operator, through us.
    Operator,
    /// A signal of somebody else's.
    Signal,
    /// A debugger.
    Debugger {
        /// Its pid.
        pid: u32,
        /// Its name.
        name: String,
    },
}

/// A line of Python.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// File name as Python knows it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Function, or `<module>`.
    #[serde(default)]
    pub function: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

// ---- stacks -----------------------------------------------------------------------------------------------------------

/// How Python stacks can be had, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StackSource {
    /// The child's own second thread told them. Needs the GIL for a moment.
    Inside,
    /// Read from the child's memory, with no help of its own. Needs the right to.
    Outside,
    /// Python's `faulthandler` wrote them to a file when it got a signal.
    Signal,
}

impl StackSource {
    /// Every source, mildest first.
    pub const ALL: [Self; 3] = [Self::Inside, Self::Outside, Self::Signal];
}

/// All threads' Python stacks, and how they were had.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stacks {
    /// Whose answer `threads` is; `None` when nobody answered.
    pub source: Option<StackSource>,
    /// The main thread first.
    pub threads: Vec<ThreadStack>,
    /// Whether the main thread's stack changed between two looks at it; `None` when it was looked at once.
    pub moving: Option<bool>,
    /// How long the child was stopped for it.
    pub paused: Micros,
    /// What was tried, in order.
    pub tries: Vec<StackTry>,
}

/// One try to get stacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackTry {
    /// How.
    pub source: StackSource,
    /// Why it gave none; empty when it did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failed: String,
    /// How long it took.
    pub took: Micros,
    /// How long the child was stopped for it.
    #[serde(default)]
    pub paused: Micros,
}

/// One thread's stack.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ThreadStack {
    /// Its name in Python; empty when it has none or nobody could tell.
    pub name: String,
    /// Whether it is the main thread.
    pub main: bool,
    /// Its identifier in Python.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ident: Option<u64>,
    /// Its number in the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tid: Option<u32>,
    /// Whether Python ends without waiting for it.
    pub daemon: bool,
    /// Whether it is one of childminder's own.
    pub ours: bool,
    /// Whether it had the GIL; `None` when nobody could tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gil: Option<bool>,
    /// Whether it was on a CPU or wanted one; `None` when nobody could tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// Whether its stack changed between two looks; `None` when it was looked at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moving: Option<bool>,
    /// The lock that it waits for, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<LockWait>,
    /// The locks that it has, as far as that is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<LockHeld>,
    /// Outermost first.
    pub frames: Vec<Frame>,
}

/// A lock that a thread waits for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LockWait {
    /// Names it within one answer.
    pub lock: u64,
    /// What it is: `Lock`, `RLock`, `Condition`, `Event`, `Queue`, `Thread` …
    pub kind: String,
    /// What the source calls it; empty when that is not known.
    pub name: String,
    /// [`ThreadStack::ident`] of the thread that has it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<u64>,
}

/// A lock that a thread has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LockHeld {
    /// Names it within one answer.
    pub lock: u64,
    /// What the source calls it.
    pub name: String,
    /// Where it was taken.
    pub at: Place,
}

// ---- the system's view ------------------------------------------------------------------------------------------------

/// What the system tells of one process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessEvidence {
    /// Its pid.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// Its name.
    pub name: String,
    /// Its arguments, cut.
    pub command: String,
    /// Whether it is the one whose Python runs the commands.
    pub interpreter: bool,
    /// The kernel's letter: `R` running, `S` sleeping, `D` in the kernel's own wait, `T` stopped, `t` traced, `Z` ended.
    pub state: String,
    /// Who traces it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracer: Option<Tracer>,
    /// CPU in percent of one core, over `over`.
    pub cpu: f64,
    /// Bytes read from storage a second.
    pub read: f64,
    /// Bytes written to storage a second.
    pub written: f64,
    /// Page faults a second that had to wait for a disk.
    pub faults: f64,
    /// The time over which the four above were counted.
    pub over: Micros,
    /// Resident memory in bytes.
    pub memory: u64,
    /// Memory of it that is swapped out, in bytes.
    pub swap: u64,
    /// Its threads, the main one first; of very many the busiest.
    pub threads: Vec<ThreadEvidence>,
    /// How many threads it has.
    pub thread_count: u32,
}

/// Who traces a process.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tracer {
    /// Its pid.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

/// What the system tells of one thread.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ThreadEvidence {
    /// Its number.
    pub tid: u32,
    /// Its name.
    pub name: String,
    /// As [`ProcessEvidence::state`].
    pub state: String,
    /// Where in the kernel it waits; empty when it does not, or the kernel does not tell.
    pub wait_channel: String,
    /// The system call that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syscall: Option<Syscall>,
    /// CPU in percent of one core.
    pub cpu: f64,
    /// What it would have used had no other thread of the machine wanted the same: `cpu` and the time it stood in line.
    pub wanted: f64,
}

/// A system call that a thread is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syscall {
    /// `read`, `futex` …, or its number where the name is not known.
    pub name: String,
    /// The descriptor that it works on, if its first argument is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fd: Option<u32>,
    /// What that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<FdTarget>,
}

/// What a file descriptor is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum FdTarget {
    /// A file or a folder.
    File {
        /// Its path.
        path: String,
        /// Whether it lies on a file server.
        remote: bool,
    },
    /// A pipe.
    Pipe {
        /// Pid and name of a process that has its other end, if one of the tree has.
        other: Option<String>,
    },
    /// A network socket.
    Socket {
        /// `tcp`, `udp` …
        protocol: String,
        /// This end.
        local: String,
        /// The other end; empty while there is none.
        peer: String,
        /// TCP's own word: `ESTABLISHED`, `SYN_SENT` …; empty for others.
        state: String,
    },
    /// A socket on this machine.
    UnixSocket {
        /// Its path; empty for an unnamed one.
        path: String,
    },
    /// A terminal.
    Terminal {
        /// Its path.
        path: String,
    },
    /// Something else, as the kernel names it.
    Other {
        /// `anon_inode:[eventpoll]`, `/dev/null` …
        name: String,
    },
}

/// The memory that the child may use, and what became of it. Zero stands for what is not known.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryEvidence {
    /// The machine's, in bytes.
    pub total: u64,
    /// What of it could still be had.
    pub available: u64,
    /// The control group's limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// What the control group uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// How many processes of the control group were killed for want of memory, since it was made.
    pub killed: u64,
    /// How many of them since this child was started.
    pub killed_since_start: u64,
    /// In percent of the last ten seconds: how long everything waited for memory (the kernel's `full` pressure).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pressure: Option<f64>,
}

// ---- our own view -----------------------------------------------------------------------------------------------------

/// What the session itself knows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionEvidence {
    /// Wall time of the question.
    pub at: Micros,
    /// The running command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandId>,
    /// The beginning of its text.
    pub head: String,
    /// Wall time of its being sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_since: Option<Micros>,
    /// Whether the child said that it began.
    pub started: bool,
    /// The running item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemIndex>,
    /// Its name.
    pub item_name: String,
    /// Wall time of its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_since: Option<Micros>,
    /// How long such items took: the median of the finished ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typical: Option<Micros>,
    /// Wall time of the last output byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_output: Option<Micros>,
    /// Wall time of the last heartbeat or other word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_word: Option<Micros>,
    /// Whether an operator has paused the child.
    pub paused: bool,
    /// Whether the host's own cancel is known and the child can run it.
    pub cancel: bool,
    /// Rungs that cannot be tried on this child: its recipe calls them unsafe, or there is no way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub barred: Vec<Rung>,
    /// Rungs of the ladder out that were tried on this command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Rung>,
}

/// What the fold keeps of a diagnosis; all of it is in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiagnosisHead {
    /// Wall time.
    pub wall: Micros,
    /// [`Doing::word`].
    pub doing: String,
    /// How far to believe it.
    pub confidence: Confidence,
    /// The sentence.
    pub sentence: String,
    /// Who wanted to know.
    pub trigger: Trigger,
    /// The command that ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandId>,
    /// Byte offset of its event in the journal.
    pub at: u64,
}
