//! Why is it stuck? Python stacks, the system's view and what the session knows, put together into one sentence.
//!
//! ```text
//!  Question ─→ Diagnoser ─┬─ stacks    inside (told by the child) · outside (read from its memory) · by signal
//!                         ├─ evidence  /proc: states, system calls and their descriptors, CPU, memory
//!                         └─ verdict   a pure function of all that ─→ Diagnosis
//! ```
//!
//! What must stay true:
//! - The child is helped or left alone, never harmed: no `ptrace`, no signal that would kill it, and stopped only for
//!   milliseconds, by somebody who is sure to continue it (see [`Pauses`]).
//! - Nobody waits for long: what may hang runs on a thread of its own, of which there is at most one of each kind; a
//!   diagnosis without an answer is still one, and says what is missing.
//! - The verdict is made of the evidence that is saved with it and of nothing else.
//!
//! How to ask:
//!
//! ```no_run
//! # use childminder::diagnose::{ChildNow, Diagnoser, MemoryMark, Question};
//! # use childminder::child::ProcessId;
//! # async fn ask(process: ProcessId) {
//! let diagnoser = Diagnoser::default(); // one for the engine
//! let memory = MemoryMark::of(process.pid); // taken when the child is started
//! let question = Question::new(ChildNow::Running { process, interpreter: process }, memory);
//! let diagnosis = diagnoser.diagnose(question).await;
//! # }
//! ```

mod diagnoser;
pub mod evidence;
mod hot;
mod pause;
mod stacks;
mod verdict;

pub use diagnoser::Diagnoser;
pub use evidence::{Look, MemoryMark};
pub use hot::HotSampler;
pub use pause::Pauses;
pub use stacks::Sources;
pub use verdict::{Facts, judge};

use crate::child::ProcessId;
use crate::model::Exit;
use crate::model::diagnosis::{SessionEvidence, ThreadStack, Trigger};
use std::path::PathBuf;
use tokio::sync::oneshot;

/// What is to be found out, and what the asker knows.
#[derive(Debug)]
pub struct Question {
    /// Who wants to know.
    pub trigger: Trigger,
    /// What the session knows.
    pub session: SessionEvidence,
    /// Where the child stands.
    pub child: ChildNow,
    /// Taken when the child was started.
    pub memory: MemoryMark,
    /// An older look at the same child, if there is one: rates are then counted since it, and nobody has to wait.
    pub earlier: Option<Look>,
    /// `Hello::implementation`, if it said hello.
    pub implementation: Option<String>,
    /// Where the child's own threads' answer will come from, if it was asked; dropped when it cannot answer.
    pub inside: Option<oneshot::Receiver<Vec<ThreadStack>>>,
    /// The file to which `faulthandler` writes; only if hello said that SIGUSR1 is registered.
    pub stack_file: Option<PathBuf>,
    /// The sources of what is no file: `<command N>`.
    pub sources: Sources,
}

impl Question {
    /// Somebody asks, and nothing else is known.
    pub fn new(child: ChildNow, memory: MemoryMark) -> Self {
        Self {
            trigger: Trigger::Asked,
            session: SessionEvidence::default(),
            child,
            memory,
            earlier: None,
            implementation: None,
            inside: None,
            stack_file: None,
            sources: Sources::default(),
        }
    }
}

/// Where the child stands, as its supervisor knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildNow {
    /// It was started and has not said hello.
    Starting {
        /// The one that was spawned.
        process: ProcessId,
    },
    /// It said hello.
    Running {
        /// The one that was spawned.
        process: ProcessId,
        /// The one that said hello ([`ProcessId::now`] of its pid); the same if no launcher stands between.
        interpreter: ProcessId,
    },
    /// It is gone, or there never was one.
    Exited {
        /// How it ended.
        exit: Exit,
    },
}

impl ChildNow {
    /// The one that was spawned.
    fn process(self) -> Option<ProcessId> {
        match self {
            Self::Starting { process } | Self::Running { process, .. } => Some(process),
            Self::Exited { .. } => None,
        }
    }

    /// The one whose Python runs the commands.
    fn interpreter(self) -> Option<ProcessId> {
        match self {
            Self::Running { interpreter, .. } => Some(interpreter),
            Self::Starting { .. } | Self::Exited { .. } => None,
        }
    }
}
