//! What is known of the child process: how it was started, what it said of itself, how it ended.

use super::{Generation, Micros};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What the executor says of itself once the channel is proven.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// The interpreter's pid; not the spawned one when a launcher stands between.
    pub pid: u32,
    /// `sys.executable`; an embedding application may say anything here.
    pub executable: String,
    /// Python's version, `3.11.7`.
    pub python: String,
    /// `CPython`, `PyPy` …
    pub implementation: String,
    /// The application's name and version.
    pub application: Application,
    /// Signals for which the bootstrapper has set a handler, and what each does.
    pub signals: BTreeMap<String, String>,
    /// What else it can do.
    pub features: Vec<String>,
}

/// An application that embeds Python.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Application {
    /// As the backend calls it.
    pub name: String,
    /// As the application says.
    pub version: String,
}

/// A signal by its number, shown by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignalName(pub i32);

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            1 => "SIGHUP",
            2 => "SIGINT",
            3 => "SIGQUIT",
            4 => "SIGILL",
            6 => "SIGABRT",
            7 => "SIGBUS",
            8 => "SIGFPE",
            9 => "SIGKILL",
            10 => "SIGUSR1",
            11 => "SIGSEGV",
            12 => "SIGUSR2",
            13 => "SIGPIPE",
            14 => "SIGALRM",
            15 => "SIGTERM",
            number => return write!(f, "signal {number}"),
        };
        f.write_str(name)
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(SignalName),
    /// It is gone, and nobody could say how.
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "killed by {signal}"),
            Self::Unknown => f.write_str("gone"),
        }
    }
}

/// Where the child stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum ChildState {
    /// None was started yet.
    #[default]
    None,
    /// Spawned or about to be; has not proven itself and said hello.
    Starting {
        /// Which one.
        generation: Generation,
        /// The spawned process, once there is one.
        pid: Option<u32>,
        /// Wall time.
        since: Micros,
    },
    /// It said hello and takes commands.
    Connected {
        /// Which one.
        generation: Generation,
        /// The spawned process.
        pid: u32,
        /// What it said.
        hello: Box<Hello>,
        /// Wall time of its hello.
        since: Micros,
    },
    /// It is gone.
    Exited {
        /// Which one.
        generation: Generation,
        /// How.
        exit: Exit,
        /// Whether we had asked it to end.
        asked: bool,
        /// What the recipe says that this means; mostly nothing.
        #[serde(default)]
        meaning: String,
        /// Wall time.
        since: Micros,
    },
}

impl ChildState {
    /// The number of the last child started.
    pub fn generation(&self) -> Generation {
        match self {
            Self::None => Generation(0),
            Self::Starting { generation, .. }
            | Self::Connected { generation, .. }
            | Self::Exited { generation, .. } => *generation,
        }
    }
}
