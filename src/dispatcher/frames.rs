//! What is said over the back channel, in both directions. The bootstrapper speaks the same words in Python.
//!
//! Types that we do not know are skipped, so that a newer bootstrapper can say more; a known type with a wrong shape is
//! malformed and ends the channel. Lists that are longer than anybody looks at are cut while they are read: a child with
//! ten thousand threads is in trouble enough.

use super::incoming::{named, threads};
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
    /// Raise an exception in this command, if it still runs, that code which catches `KeyboardInterrupt` does not catch.
    Raise {
        /// The question's number.
        id: u64,
        /// The command.
        command: CommandId,
    },
    /// Cancel this command, if it still runs, the way the host itself would.
    Cancel {
        /// The question's number.
        id: u64,
        /// The command.
        command: CommandId,
        /// Python that does it, run beside the main thread.
        source: &'a str,
    },
    /// Run this beside the main thread, whatever that does.
    Side {
        /// Its number, which is no other command's.
        id: CommandId,
        /// Python; the value of its last expression is wanted.
        source: &'a str,
    },
    /// Where is every thread?
    Stacks {
        /// The question's number.
        id: u64,
        /// Whether locals are wanted: that runs their `__repr__`.
        locals: bool,
    },
    /// What is there in the commands' namespace? Runs no code of the user's.
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
    /// A command, or what was run beside it, ended without an exception.
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
    /// A command, or what was run beside it, raised.
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
        /// Whether it was done; not whether it helped.
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
    /// To `Stacks`.
    Stacks {
        /// The question's number.
        id: u64,
        /// One entry a thread, the main thread first.
        #[serde(deserialize_with = "threads")]
        threads: Vec<ThreadStack>,
    },
    /// To `Names`.
    Names {
        /// The question's number.
        id: u64,
        /// Sorted.
        #[serde(deserialize_with = "named")]
        names: Vec<NameInfo>,
        /// How many more there are.
        #[serde(default)]
        more: u32,
    },
    /// Something that this version does not know.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Frame;
    use crate::model::diagnosis::{LockHeld, LockWait, Place};
    use serde_json::json;

    fn said(frame: &ToChild<'_>) -> serde_json::Value {
        serde_json::to_value(frame).unwrap()
    }

    #[test]
    fn questions_about_a_busy_child_are_said_as_the_bootstrapper_hears_them() {
        let command = CommandId(7);
        assert_eq!(said(&ToChild::Raise { id: 1, command }), json!({"type": "raise", "id": 1, "command": 7}));
        assert_eq!(
            said(&ToChild::Cancel { id: 2, command, source: "stop()" }),
            json!({"type": "cancel", "id": 2, "command": 7, "source": "stop()"})
        );
        assert_eq!(
            said(&ToChild::Side { id: CommandId(8), source: "1 + 1" }),
            json!({"type": "side", "id": 8, "source": "1 + 1"})
        );
        assert_eq!(said(&ToChild::Stacks { id: 3, locals: true }), json!({"type": "stacks", "id": 3, "locals": true}));
        assert_eq!(said(&ToChild::Names { id: 4 }), json!({"type": "names", "id": 4}));
    }

    #[test]
    fn stacks_and_names_are_understood_as_the_bootstrapper_says_them() {
        let frame = json!({"file": "<command 1>", "line": 3, "function": "f", "source": "with b:", "locals": null});
        let said = json!({"type": "stacks", "id": 5, "threads": [{
            "ident": 140_000_000_000_u64, "tid": 77, "name": "MainThread", "main": true, "daemon": false, "ours": false,
            "waits": {"lock": 2, "kind": "Lock", "name": "b", "owner": 9},
            "holds": [{"lock": 1, "name": "a", "at": {"file": "<command 1>", "line": 2, "function": "f"}}],
            "frames": [frame],
        }]});
        let thread = ThreadStack {
            name: "MainThread".into(),
            main: true,
            ident: Some(140_000_000_000),
            tid: Some(77),
            waits: Some(LockWait { lock: 2, kind: "Lock".into(), name: "b".into(), owner: Some(9) }),
            holds: vec![LockHeld {
                lock: 1,
                name: "a".into(),
                at: Place { file: "<command 1>".into(), line: 2, function: "f".into() },
            }],
            frames: vec![Frame {
                file: "<command 1>".into(),
                line: 3,
                function: "f".into(),
                source: "with b:".into(),
                locals: None,
            }],
            ..ThreadStack::default()
        };
        let heard: FromChild = serde_json::from_value(said).unwrap();
        assert_eq!(heard, FromChild::Stacks { id: 5, threads: vec![thread] });
        let said = json!({"type": "names", "id": 6, "more": 2, "names": [
            {"name": "image", "kind": "numpy.ndarray", "size": 48, "length": null, "shape": "(2, 3)", "module": false},
            {"name": "os", "kind": "module", "size": null, "length": null, "shape": null, "module": true},
        ]});
        let image = NameInfo {
            name: "image".into(),
            kind: "numpy.ndarray".into(),
            size: Some(48),
            shape: Some("(2, 3)".into()),
            ..NameInfo::default()
        };
        let os = NameInfo { name: "os".into(), kind: "module".into(), module: true, ..NameInfo::default() };
        assert_eq!(
            serde_json::from_value::<FromChild>(said).unwrap(),
            FromChild::Names { id: 6, names: vec![image, os], more: 2 }
        );
    }
}
