//! From what the actor wants to know to the question that the `diagnose` room answers: which process is looked at.
//!
//! What must stay true: the child says its pid itself and may lie; nobody but a process of this session is looked into or
//! signalled.

use super::super::world::Inquiry;
use crate::child::{self, ProcessId};
use crate::diagnose::{ChildNow, MemoryMark, Question, Sources};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long it may take to see whether a process is the session's.
const PATIENCE: Duration = Duration::from_millis(200);

/// Who runs the commands, once that is known of a child that was started by a launcher.
pub(super) type Interpreter = Arc<OnceLock<ProcessId>>;

/// Puts the question together. `process` is the one that was spawned.
pub(super) fn question(
    inquiry: Inquiry,
    process: Option<ProcessId>,
    known: Interpreter,
    (memory, stack_file): (MemoryMark, PathBuf),
    marker: &str,
) -> impl Future<Output = Question> + Send + use<> {
    let marker = marker.to_owned();
    async move {
        let said = inquiry.hello.as_ref().map(|hello| hello.pid);
        let child = match (process, said) {
            (None, _) => ChildNow::Exited { exit: inquiry.exit },
            (Some(process), None) => ChildNow::Starting { process },
            (Some(process), Some(pid)) => {
                ChildNow::Running { process, interpreter: interpreter(process, pid, known, marker).await }
            }
        };
        let command = inquiry.session.command.map(|id| format!("<command {id}>"));
        let source = inquiry.source;
        let line = move |file: &str, line: u32| {
            let of_command = command.as_deref() == Some(file);
            let place = usize::try_from(line).ok()?.checked_sub(1)?;
            of_command.then(|| source.lines().nth(place))?.map(str::to_owned)
        };
        let hello = inquiry.hello;
        let signalled = hello.as_ref().is_some_and(|hello| hello.signals.contains_key("SIGUSR1"));
        Question {
            trigger: inquiry.trigger,
            session: inquiry.session,
            implementation: hello.map(|hello| hello.implementation),
            inside: inquiry.inside,
            stack_file: signalled.then_some(stack_file),
            sources: Sources::new(line),
            ..Question::new(child, memory)
        }
    }
}

/// The process whose Python runs the commands: the spawned one, or another of the session's that a launcher started.
async fn interpreter(process: ProcessId, pid: u32, known: Interpreter, marker: String) -> ProcessId {
    if pid == process.pid {
        return process;
    }
    let look = tokio::task::spawn_blocking({
        let known = Arc::clone(&known);
        move || find(pid, process, &known, &marker)
    });
    // Without an answer in time the launcher is looked at: that is better than nobody.
    let _ = tokio::time::timeout(PATIENCE, look).await;
    known.get().copied().unwrap_or(process)
}

/// Sees whether the process that said hello is the session's, of which another was spawned. May block.
pub(super) fn find(pid: u32, spawned: ProcessId, known: &OnceLock<ProcessId>, marker: &str) {
    if known.get().is_none()
        && let Some(found) = child::relative(pid, spawned, marker)
    {
        // Somebody else may have found it meanwhile, and it is the same one.
        let _ = known.set(found);
    }
}
