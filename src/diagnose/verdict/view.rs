//! The evidence as the rules look at it.
//!
//! What must stay true: childminder's own threads are not Python threads of interest, and a thread is judged by what the
//! system says of it where Python's view and the system's can be put together.

use super::super::evidence::called;
use super::super::stacks::is_bootstrapper;
use super::{ChildNow, Facts};
use crate::model::diagnosis::{Place, ProcessEvidence, StackSource, ThreadEvidence, ThreadStack};
use crate::model::{Frame, Rung};

/// A thread that used so much of a core, or would have on a machine of its own, computes.
const BUSY: f64 = 50.0;

/// Whoever really waits uses less of a core than this.
pub(super) const NOTHING: f64 = 1.0;

/// What can be done where an interrupt cannot.
const NO_INTERRUPT: &str = "No interrupt is possible in this child: if it does not end by itself, all that helps is to \
                            terminate it, and what is loaded is lost.";

pub(super) struct View<'a> {
    pub(super) facts: &'a Facts<'a>,
    pub(super) interpreter: Option<&'a ProcessEvidence>,
    pub(super) main: Option<&'a ThreadStack>,
}

impl<'a> View<'a> {
    pub(super) fn new(facts: &'a Facts<'a>) -> Self {
        let threads = &facts.stacks.threads;
        Self {
            facts,
            interpreter: facts.processes.iter().find(|process| process.interpreter),
            main: threads.iter().find(|thread| thread.main).or_else(|| threads.iter().find(|thread| !thread.ours)),
        }
    }

    /// The Python threads that the program itself made, the main one first.
    pub(super) fn threads(&self) -> impl Iterator<Item = &'a ThreadStack> {
        self.facts.stacks.threads.iter().filter(|thread| !thread.ours)
    }

    /// What the system says of a Python thread.
    pub(super) fn system(&self, thread: &ThreadStack) -> Option<&'a ThreadEvidence> {
        let process = self.interpreter?;
        let tid = thread.tid.or_else(|| thread.main.then_some(process.pid))?;
        process.threads.iter().find(|known| known.tid == tid)
    }

    /// What the system says of the main thread, whether or not its stack is known.
    pub(super) fn main_system(&self) -> Option<&'a ThreadEvidence> {
        let process = self.interpreter?;
        let tid = self.main.and_then(|main| main.tid).unwrap_or(process.pid);
        process.threads.iter().find(|thread| thread.tid == tid)
    }

    /// Whether it computes or would like to. How long a thread stood in line is counted when it is let in: one that
    /// stands there all the time has used nothing and wanted nothing, and only its state tells.
    pub(super) fn is_busy(&self, thread: &ThreadStack) -> bool {
        self.system(thread).is_some_and(|system| busy(system) || system.state == "R")
    }

    /// Whether it works and got little of a CPU: its silence and its equal looks say nothing then.
    pub(super) fn is_starved(&self, thread: &ThreadStack) -> bool {
        self.system(thread).is_some_and(|system| system.cpu < BUSY || system.cpu * 2.0 < system.wanted)
    }

    /// Whether no command runs and this thread only waits for the next one, or answers our own question.
    pub(super) fn rests(&self, thread: &ThreadStack) -> bool {
        let ours = thread.frames.iter().position(|frame| is_bootstrapper(&frame.file));
        self.facts.session.command.is_none()
            && ours.is_some_and(|first| thread.frames[first..].iter().all(|frame| is_library(&frame.file)))
    }

    /// Where the main thread is, unless that says nothing.
    pub(super) fn main_place(&self) -> Option<Place> {
        self.main.filter(|main| !self.rests(main)).map(place)
    }

    /// Threads that compute and run no Python, the busiest first.
    pub(super) fn busy_natives(&self) -> Vec<&'a ThreadEvidence> {
        let Some(process) = self.interpreter else { return Vec::new() };
        let main = self.main_system().map(|thread| thread.tid);
        let python = |tid| self.facts.stacks.threads.iter().any(|thread| thread.tid == Some(tid));
        let natives = process.threads.iter().filter(|thread| Some(thread.tid) != main && !python(thread.tid));
        let mut natives: Vec<&ThreadEvidence> = natives.filter(|thread| busy(thread)).collect();
        natives.sort_by(|a, b| b.cpu.total_cmp(&a.cpu));
        natives
    }

    /// Whether the child answered by itself, which it can only while Python runs.
    pub(super) fn answered(&self) -> bool {
        self.attempt(StackSource::Inside).is_some_and(str::is_empty)
    }

    /// Whether it was asked and did not answer.
    pub(super) fn was_silent(&self) -> bool {
        self.attempt(StackSource::Inside).is_some_and(|failed| !failed.is_empty())
    }

    fn attempt(&self, source: StackSource) -> Option<&'a str> {
        let tries = &self.facts.stacks.tries;
        tries.iter().find(|attempt| attempt.source == source).map(|attempt| attempt.failed.as_str())
    }

    /// What an interrupt would do, where one is possible at all.
    pub(super) fn interrupted(&self, does: &'static str) -> &'static str {
        if self.facts.session.barred.contains(&Rung::Interrupt) { NO_INTERRUPT } else { does }
    }

    /// Whether the child is no further than its start.
    pub(super) fn is_starting(&self) -> bool {
        matches!(self.facts.child, ChildNow::Starting { .. })
    }

    pub(super) fn process(&self, pid: u32) -> Option<&'a ProcessEvidence> {
        self.facts.processes.iter().find(|process| process.pid == pid)
    }

    /// The process that is called so in a descriptor's description.
    pub(super) fn process_called(&self, name: &str) -> Option<&'a ProcessEvidence> {
        self.facts.processes.iter().find(|process| called(&process.name, process.pid) == name)
    }

    /// Whether the interpreter started it, or one of those did whom it started.
    pub(super) fn is_below_interpreter(&self, process: &ProcessEvidence) -> bool {
        let Some(interpreter) = self.interpreter else { return false };
        let mut parents = std::iter::successors(Some(process), |process| self.process(process.parent));
        process.pid != interpreter.pid
            && parents.by_ref().take(self.facts.processes.len()).any(|process| process.parent == interpreter.pid)
    }

    /// The child process that the interpreter most probably waits for: the busiest living one, else the youngest.
    pub(super) fn likely_child(&self) -> Option<&'a ProcessEvidence> {
        let interpreter = self.interpreter?;
        let children = self.facts.processes.iter().filter(|process| process.parent == interpreter.pid);
        children.filter(|process| process.state != "Z").max_by(|a, b| a.cpu.total_cmp(&b.cpu).then(a.pid.cmp(&b.pid)))
    }
}

pub(in crate::diagnose) fn busy(thread: &ThreadEvidence) -> bool {
    thread.cpu.max(thread.wanted) >= BUSY
}

/// The innermost frame that is neither Python's own library nor the bootstrapper; else the innermost one.
pub(super) fn user_frame(thread: &ThreadStack) -> Option<&Frame> {
    let of_user = thread.frames.iter().rev().find(|frame| !is_library(&frame.file));
    of_user.or_else(|| thread.frames.last())
}

pub(super) fn place(thread: &ThreadStack) -> Place {
    user_frame(thread).map_or_else(Place::default, |frame| Place {
        file: frame.file.clone(),
        line: frame.line,
        function: frame.function.clone(),
    })
}

/// Whether a file is of Python's own library, or ours.
pub(super) fn is_library(file: &str) -> bool {
    let python = |file: &str| ["/python2.", "/python3", "/pypy", "/lib-python/"].iter().any(|part| file.contains(part));
    let installed = file.contains("/site-packages/") || file.contains("/dist-packages/");
    is_bootstrapper(file) || file.starts_with("<frozen ") || (python(file) && file.contains("/lib") && !installed)
}

/// A Python thread's name, or what stands for it.
pub(super) fn name(thread: &ThreadStack) -> String {
    match (&thread.name, thread.main, thread.tid.map(u64::from).or(thread.ident)) {
        (name, ..) if !name.is_empty() => name.clone(),
        (_, true, _) => "the main thread".to_owned(),
        (_, _, Some(number)) => format!("thread {number}"),
        _ => "a thread".to_owned(),
    }
}
