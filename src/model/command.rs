//! Commands: one Python string each, from the moment it is queued to the moment its fate is known.

use super::rows::Row;
use super::{Generation, ItemIndex, Micros};
use serde::{Deserialize, Serialize};

/// Why a command is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The backend's and the job's commands right after the child has connected.
    Init,
    /// The job's commands that load the scene.
    Setup,
    /// One item's commands.
    Item,
    /// The job's commands before the child is asked to end.
    Teardown,
    /// A command that somebody injected by hand.
    Operator,
    /// One that somebody ran beside the main thread, while that was busy or not.
    Side,
}

impl Phase {
    /// Every phase, in the order of their declaration.
    pub const ALL: [Self; 6] = [Self::Init, Self::Setup, Self::Item, Self::Teardown, Self::Operator, Self::Side];

    /// The word shown to people and used in `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Setup => "setup",
            Self::Item => "item",
            Self::Teardown => "teardown",
            Self::Operator => "operator",
            Self::Side => "side",
        }
    }
}

/// How far a command has come. `Queued`, `Sent` and `Started` are on the way; the others are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandState {
    /// Waits for its turn; has not left the engine.
    Queued,
    /// Written to the channel; the child has not said that it began.
    Sent,
    /// The child's main thread runs it.
    Started,
    /// Ended without an exception.
    Finished,
    /// Ended with an exception, `SystemExit` and `KeyboardInterrupt` included.
    Raised,
    /// The child or the channel went away while it was sent or started; whether it had an effect is not known.
    Lost,
    /// Never sent.
    Skipped,
}

impl CommandState {
    /// Every state, in the order of their declaration.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Sent, Self::Started, Self::Finished, Self::Raised, Self::Lost, Self::Skipped];

    /// Whether nothing more can happen to the command.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Raised | Self::Lost | Self::Skipped)
    }

    /// The word shown to people and used in `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Started => "started",
            Self::Finished => "finished",
            Self::Raised => "raised",
            Self::Lost => "lost",
            Self::Skipped => "skipped",
        }
    }
}

/// Who asked for something: recorded with every request that changes anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    /// As the kernel told it of the connection's other end.
    pub uid: u32,
    /// The uid's name on this host.
    pub user: String,
    /// Where the client says it is run from (the host, or the SSH client's address).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Which program: `tui`, `exec`, `agenda` …
    pub client: String,
    /// The id that the client made for the request; the same id is the same request.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request: String,
}

/// How far each stream had come at one moment, in bytes read from the child's pipes and stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Marks {
    /// Offset in `stdout.log`.
    pub stdout: u64,
    /// Offset in `stderr.log`.
    pub stderr: u64,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CommandOutcome {
    /// Ran to its end; the repr of its last expression, if one was asked for and there was one.
    Finished {
        /// The bounded repr.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
        /// The repr's whole length in characters, when it was cut.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cut: Option<u64>,
    },
    /// Raised; `exit` is set for a `SystemExit`.
    Raised {
        /// What was raised.
        exception: Box<super::Exception>,
        /// The code of a `SystemExit`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<i64>,
    },
    /// The child or the channel went away.
    Lost {
        /// Why.
        reason: String,
    },
    /// Never sent.
    Skipped {
        /// Why.
        reason: String,
    },
}

impl CommandOutcome {
    /// The state that this outcome puts the command in.
    pub fn state(&self) -> CommandState {
        match self {
            Self::Finished { .. } => CommandState::Finished,
            Self::Raised { .. } => CommandState::Raised,
            Self::Lost { .. } => CommandState::Lost,
            Self::Skipped { .. } => CommandState::Skipped,
        }
    }
}

/// What the fold keeps of a command. Its text, value and exception stay in the journal, at the offsets given here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CommandRow {
    /// Why it is run.
    pub phase: Phase,
    /// How far it has come.
    pub state: CommandState,
    /// The child it was sent to.
    pub generation: Generation,
    /// The item it belongs to.
    pub item: Option<ItemIndex>,
    /// Wall time of its being queued.
    pub queued: Micros,
    /// From sent to its end (monotonic); zero before that.
    pub took: Micros,
    /// Byte offset of its `command_queued` line in the journal: the text and the origin are there.
    pub queued_at: u64,
    /// Byte offset of its final event's line; zero before that.
    pub ended_at: u64,
    /// Where its slice of the output begins.
    pub from: Marks,
    /// Where its slice ends; equal to `from` before it has ended.
    pub to: Marks,
}

impl Row for CommandRow {
    type Words = [u64; 10];

    fn to_words(&self) -> [u64; 10] {
        let kind = self.phase as u64 | (self.state as u64) << 8 | u64::from(self.item.is_some()) << 16;
        [
            kind | u64::from(self.generation.0) << 32,
            u64::from(self.item.unwrap_or_default().0),
            self.queued.0,
            self.took.0,
            self.queued_at,
            self.ended_at,
            self.from.stdout,
            self.from.stderr,
            self.to.stdout,
            self.to.stderr,
        ]
    }

    fn from_words(words: &[u64; 10]) -> Option<Self> {
        let &[kind, item, queued, took, queued_at, ended_at, from_out, from_err, to_out, to_err] = words;
        let item = ItemIndex(u32::try_from(item).ok()?);
        Some(Self {
            phase: *Phase::ALL.get((kind & 0xff) as usize)?,
            state: *CommandState::ALL.get((kind >> 8 & 0xff) as usize)?,
            generation: Generation(u32::try_from(kind >> 32).ok()?),
            item: (kind >> 16 & 1 == 1).then_some(item),
            queued: Micros(queued),
            took: Micros(took),
            queued_at,
            ended_at,
            from: Marks { stdout: from_out, stderr: from_err },
            to: Marks { stdout: to_out, stderr: to_err },
        })
    }
}
