//! How a session is steered: the ladder out of a stuck command, what a time-out leads to, and where the agenda stops.

use super::{ItemIndex, Micros, Origin};
use serde::{Deserialize, Serialize};

/// A way to end a command that does not end by itself; mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// `KeyboardInterrupt` in the main thread.
    #[default]
    Interrupt,
    /// An asynchronous exception that code which catches `KeyboardInterrupt` does not catch.
    Async,
    /// The host's own way to cancel, where its backend knows one.
    Cancel,
    /// SIGTERM to the process group.
    Terminate,
    /// SIGKILL to the process group and whatever left it.
    Kill,
}

impl Rung {
    /// Every rung, mildest first.
    pub const ALL: [Self; 5] = [Self::Interrupt, Self::Async, Self::Cancel, Self::Terminate, Self::Kill];

    /// The word in recipes, on the command line and in `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupt",
            Self::Async => "async",
            Self::Cancel => "cancel",
            Self::Terminate => "terminate",
            Self::Kill => "kill",
        }
    }

    /// Whether it ends the process, and with it the loaded scene.
    pub fn costs_the_child(self) -> bool {
        matches!(self, Self::Terminate | Self::Kill)
    }

    /// The next harder one.
    pub fn next(self) -> Option<Self> {
        Self::ALL.into_iter().find(|rung| *rung > self)
    }
}

/// What became of a rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RungOutcome {
    /// The command ended.
    Worked,
    /// Its time passed, and the command still ran.
    InVain,
    /// The child refused, or it could not be asked.
    Refused,
    /// It was not tried: the backend, the child or the system says that it is not safe here.
    Skipped,
}

/// What became of what was loaded in the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scene {
    /// The process is the same as before, and so is what is loaded in it.
    Survived,
    /// The process is gone.
    Lost,
}

/// One rung as it stands for the child of now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungView {
    /// Which.
    pub rung: Rung,
    /// Why it would be skipped; `None` when it can be tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

/// The ladder while somebody is on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LadderView {
    /// The rung that is being waited for.
    pub rung: Rung,
    /// The hardest one that may be tried.
    pub to: Rung,
    /// Wall time since when.
    pub since: Micros,
    /// Wall time at which the next one is tried.
    pub until: Micros,
}

/// What is done when a time-out passes, after the diagnosis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Nothing: the diagnosis is there to be read.
    Warn,
    /// The command is asked to end, by the rungs that leave the child alive.
    Interrupt,
    /// The item fails: the command is ended, and the child with it if it must be.
    #[default]
    Fail,
    /// The child is ended and another one started; the item fails.
    Restart,
}

impl Policy {
    /// Every policy, mildest first.
    pub const ALL: [Self; 4] = [Self::Warn, Self::Interrupt, Self::Fail, Self::Restart];

    /// The word in job files and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Interrupt => "interrupt",
            Self::Fail => "fail",
            Self::Restart => "restart",
        }
    }
}

/// What is done when each of the time-outs of work passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Policies {
    /// Of a command.
    pub command: Policy,
    /// Of an item.
    pub item: Policy,
    /// Of silence.
    pub silence: Policy,
}

/// A time-out that can be changed while a session runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// From spawn to hello.
    Startup,
    /// One command.
    Command,
    /// One attempt at an item.
    Item,
    /// No sign of life while a command runs.
    Silence,
    /// All of teardown.
    Teardown,
}

impl Limit {
    /// Every limit, in the order of job files.
    pub const ALL: [Self; 5] = [Self::Startup, Self::Command, Self::Item, Self::Silence, Self::Teardown];

    /// The word in job files and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Command => "command",
            Self::Item => "item",
            Self::Silence => "silence",
            Self::Teardown => "teardown",
        }
    }
}

/// A change of one time-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitChange {
    /// Which.
    pub limit: Limit,
    /// How long from now on.
    #[serde(default)]
    pub length: Change,
    /// What it leads to; as before when `None`. Start-up and teardown have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// A new length of a time-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// As before.
    #[default]
    Keep,
    /// No limit.
    Never,
    /// This long.
    To(Micros),
}

/// Where the agenda stops by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stops {
    /// Whether it is held when an item has failed.
    pub on_failure: bool,
    /// Where it is held before something is begun.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub breakpoints: Vec<Breakpoint>,
}

/// How many breakpoints there may be.
pub const BREAKPOINTS: usize = 100;

/// Something before which the agenda is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breakpoint {
    /// The item of this name.
    Item(String),
    /// A job's command in whose text, of which the first 64 KiB are looked at, this regex matches a line.
    Command(String),
}

impl Breakpoint {
    /// The name or the regex.
    pub fn text(&self) -> &str {
        let (Self::Item(text) | Self::Command(text)) = self;
        text
    }
}

/// How far one step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The next command of the job.
    Command,
    /// The rest of the running item, or all of the next.
    Item,
}

/// Why the agenda waits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// Somebody asked, or the job says so.
    #[default]
    Asked,
    /// This item failed.
    Failure(ItemIndex),
    /// This breakpoint was met.
    Breakpoint(Breakpoint),
    /// A step is done.
    Stepped,
}

/// An operator has stopped the child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who.
    pub by: Option<Origin>,
    /// Since when (wall).
    pub since: Micros,
}
