//! What is said over the back channel, in both directions. The bootstrapper speaks the same words in Python.
//!
//! Types that we do not know are skipped, so that a newer bootstrapper can say more; a known type with a wrong shape is
//! malformed and ends the channel.

use crate::model::diagnosis::ThreadStack;
use crate::model::proto::{Completeness, NameInfo};
use crate::model::{CommandId, Exception, Hello, Phase};
use serde::{Deserialize, Serialize};

/// The version of the wire that we speak.
pub const PROTOCOL: u32 = 1;

/// Settings that the child gets once it has proven itself; the backend decides them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// Seconds between heartbeats while a command runs.
    pub heartbeat: f64,
    /// The longest repr of a value, in characters.
    pub value_limit: usize,
    /// The longest exception, in bytes of JSON.
    pub exception_limit: usize,
    /// Whether prompt and command are printed to the child's stdout as well.
    pub echo: bool,
    /// How the host's main thread gets to run commands; `block` for one that has nothing else to do.
    pub pump: String,
}

impl Default for Welcome {
    fn default() -> Self {
        Self { heartbeat: 1.0, value_limit: 64 << 10, exception_limit: 1 << 20, echo: false, pump: "block".into() }
    }
}

/// From us to the child.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToChild<'a> {
    /// Our nonce, and our proof that we know the secret.
    Challenge {
        /// [`PROTOCOL`].
        protocol: u32,
        /// 32 random bytes in hex.
        nonce: &'a str,
        /// See [`super::proof`].
        proof: &'a str,
    },
    /// The child is believed.
    Welcome(&'a Welcome),
    /// Run this.
    Execute {
        /// Its number.
        id: CommandId,
        /// Python.
        source: &'a str,
        /// Why it is run.
        phase: Phase,
        /// The item's name.
        item: Option<&'a str>,
        /// Whether the value of the last expression is wanted.
        value: bool,
    },
    /// Interrupt this command, if it still runs.
    Interrupt {
        /// The question's number.
        id: u64,
        /// The command.
        command: CommandId,
    },
    /// Raise an asynchronous exception in this command, if it still runs.
    Raise {
        /// The question's number.
        id: u64,
        /// The command.
        command: CommandId,
    },
    /// Cancel this command, if it still runs, by the host's own way: Python that is run beside the main thread.
    Cancel {
        /// The question's number.
        id: u64,
        /// The command.
        command: CommandId,
        /// Python.
        source: &'a str,
    },
    /// Run this beside the main thread.
    Side {
        /// Its number.
        id: CommandId,
        /// Python.
        source: &'a str,
    },
    /// What does every thread do?
    Stacks {
        /// The question's number.
        id: u64,
        /// Whether the reprs of locals are wanted.
        locals: bool,
    },
    /// Which names are there?
    Names {
        /// The question's number.
        id: u64,
    },
    /// What could follow this text?
    Complete {
        /// The question's number.
        id: u64,
        /// The line up to the cursor.
        text: &'a str,
    },
    /// Can this be run as it stands?
    Check {
        /// The question's number.
        id: u64,
        /// The whole text.
        source: &'a str,
    },
    /// End.
    Shutdown {
        /// The exit code.
        code: i32,
    },
}

/// From the child to us.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromChild {
    /// The first word of a connection.
    Knock {
        /// The wire's version that it speaks.
        protocol: u32,
        /// 32 random bytes in hex.
        nonce: String,
    },
    /// Its proof that it knows the secret.
    Prove {
        /// See [`super::proof`].
        proof: String,
    },
    /// What it is.
    Hello(Box<Hello>),
    /// The main thread began a command.
    Started {
        /// Which.
        id: CommandId,
    },
    /// A command ended without an exception.
    Finished {
        /// Which.
        id: CommandId,
        /// The bounded repr of its last expression.
        #[serde(default)]
        value: Option<String>,
        /// The repr's whole length, when it was cut.
        #[serde(default)]
        cut: Option<u64>,
    },
    /// A command raised.
    Raised {
        /// Which.
        id: CommandId,
        /// What.
        exception: Box<Exception>,
        /// The code of a `SystemExit`.
        #[serde(default)]
        exit: Option<i64>,
    },
    /// A command still runs.
    Heartbeat {
        /// Which.
        id: CommandId,
    },
    /// User code told progress.
    Progress {
        /// 0 to 1, as user code says.
        fraction: f64,
    },
    /// User code told what it is doing.
    Status {
        /// What.
        text: String,
    },
    /// User code wrote a file.
    Output {
        /// Its path.
        path: String,
    },
    /// User code says that the item failed.
    Fail {
        /// Why.
        message: String,
    },
    /// Another thread raised.
    ThreadException {
        /// Its name.
        thread: String,
        /// What.
        exception: Box<Exception>,
    },
    /// To `Interrupt`, `Raise` and `Cancel`.
    InterruptResult {
        /// The question's number.
        id: u64,
        /// Whether the signal was raised.
        ok: bool,
        /// Why not.
        #[serde(default)]
        reason: String,
    },
    /// To `Complete`.
    Completions {
        /// The question's number.
        id: u64,
        /// Where in the text the matches begin, in characters.
        start: u32,
        /// Whole words.
        matches: Vec<String>,
    },
    /// To `Check`.
    Checked {
        /// The question's number.
        id: u64,
        /// Whether it can be run.
        state: Completeness,
        /// The syntax error.
        #[serde(default)]
        message: String,
    },
    /// The stacks of all threads.
    Stacks {
        /// The question's number.
        id: u64,
        /// One entry a thread.
        threads: Vec<ThreadStack>,
    },
    /// The names in the namespace.
    Names {
        /// The question's number.
        id: u64,
        /// Sorted.
        names: Vec<NameInfo>,
        /// How many more there are.
        #[serde(default)]
        more: u32,
    },
    /// Something that this version does not know.
    #[serde(other)]
    Unknown,
}
