//! What the evidence comes down to.
//!
//! What must stay true: a pure function, so that a recorded diagnosis can be judged again; CPU time counts more than what
//! a stack looks like; and nothing is called sure that only one piece of evidence says.
//!
//! The rules are asked in this order, and the first that knows an answer gives it: gone, stopped, out of memory, hanging
//! in the kernel, computing, waiting. That nothing runs or that it only starts is said with what was found then.

mod locks;
mod view;
mod waits;
mod words;
mod working;

#[cfg(test)]
mod tests;

use super::ChildNow;
use crate::model::diagnosis::{
    Confidence, Doing, MemoryEvidence, ProcessEvidence, SessionEvidence, Stacks, StoppedBy, Verdict,
};
use crate::model::{Exit, SignalName, size};
use view::View;
pub(super) use view::busy;

/// What a verdict is made of.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Where the child stands.
    pub child: ChildNow,
    /// The Python stacks.
    pub stacks: &'a Stacks,
    /// The system's view; the interpreter is marked.
    pub processes: &'a [ProcessEvidence],
    /// The memory it may use.
    pub memory: &'a MemoryEvidence,
    /// What the session knows.
    pub session: &'a SessionEvidence,
}

/// What a rule found.
struct Finding {
    doing: Doing,
    confidence: Confidence,
    /// What it does, as a sentence without its end: how long, and how long such items take, are added.
    says: String,
    advice: String,
}

impl Finding {
    fn new(doing: Doing, confidence: Confidence, says: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { doing, confidence, says: says.into(), advice: advice.into() }
    }
}

/// When everything waits for memory so much of the time, it is the reason why nothing else gets on.
const PRESSURE: f64 = 40.0;

/// So many page faults a second that wait for a disk leave no time for anything else.
const FAULTS: f64 = 300.0;

/// Below so much of a core a process that faults gets nothing done.
const STARVED: f64 = 50.0;

/// What the child is doing.
pub fn judge(facts: &Facts<'_>) -> Verdict {
    let view = View::new(facts);
    let halted = gone(&view).or_else(|| stopped(&view)).or_else(|| thrashing(&view));
    let found = halted.unwrap_or_else(|| {
        let doing = waits::in_kernel(&view).or_else(|| working::working(&view)).or_else(|| waits::waiting(&view));
        in_its_phase(&view, doing)
    });
    let so_long = match found.doing {
        Doing::Exited { .. } | Doing::Memory { killed: true } | Doing::Idle | Doing::Starting => String::new(),
        _ => words::so_long(facts.session),
    };
    let compared =
        if matches!(found.doing, Doing::Exited { .. }) { String::new() } else { words::compared(facts.session) };
    Verdict {
        sentence: format!("{}{so_long}.{compared}", found.says),
        doing: found.doing,
        confidence: found.confidence,
        advice: found.advice,
    }
}

/// What was found, in the light of what the child is supposed to do now.
fn in_its_phase(view: &View<'_>, found: Option<Finding>) -> Finding {
    if view.is_starting() {
        let while_starting = found.as_ref().map(|found| format!(". Meanwhile: {}", found.says)).unwrap_or_default();
        return Finding::new(
            Doing::Starting,
            if found.is_some() { Confidence::Likely } else { Confidence::Guess },
            format!("Starting: it has not said hello yet{while_starting}"),
            found.filter(is_elsewhere).map(|found| found.advice).unwrap_or_default(),
        );
    }
    let works =
        |found: &Finding| matches!(found.doing, Doing::Computing { .. } | Doing::Looping { .. } | Doing::Disk { .. });
    match found {
        Some(found) if view.facts.session.command.is_some() => found,
        Some(found) if works(&found) => Finding { says: format!("No command runs, but: {}", found.says), ..found },
        _ if view.facts.session.command.is_none() && view.interpreter.is_some() => {
            let sure = if view.answered() { Confidence::Sure } else { Confidence::Likely };
            let quiet = view.interpreter.is_some_and(|process| process.cpu < view::NOTHING);
            let says = if quiet { "Idle: no command runs, and it uses no CPU" } else { "Idle: no command runs" };
            Finding::new(Doing::Idle, sure, says, "")
        }
        _ => unresponsive(view),
    }
}

/// Whether the way out is with somebody else. Before its hello there is nothing in the child to interrupt or to keep.
fn is_elsewhere(found: &Finding) -> bool {
    matches!(found.doing, Doing::Disk { .. } | Doing::Input { .. } | Doing::Subprocess { .. })
}

fn unresponsive(view: &View<'_>) -> Finding {
    let (says, advice) = match (view.interpreter, view.main) {
        (None, _) => (
            "The system tells nothing of the child",
            "It may have ended just now, or hang so that even the system cannot look at it; ask again.",
        ),
        (Some(_), None) => (
            "It does not answer, and its Python stacks could not be read",
            "What it would take to read them is said under what is missing.",
        ),
        (Some(process), Some(_)) if process.cpu >= view::NOTHING => {
            ("What it does could not be seen", "Ask again, and compare the stacks.")
        }
        (Some(_), Some(_)) => {
            ("It uses no CPU, and what it waits for could not be seen", "Ask again, and compare the stacks.")
        }
    };
    Finding::new(Doing::Unresponsive, Confidence::Guess, says, advice)
}

fn gone(view: &View<'_>) -> Option<Finding> {
    let exit = match view.facts.child {
        ChildNow::Exited { exit } => exit,
        _ if view.interpreter?.state == "Z" => {
            let says = "The interpreter has ended, and whoever started it has not asked how";
            return Some(Finding::new(Doing::Exited { exit: Exit::Unknown }, Confidence::Sure, says, ""));
        }
        _ => return None,
    };
    if view.facts.memory.killed_since_start > 0 && exit == Exit::Signal(SignalName(9)) {
        let says = format!("It was killed because its memory ran out{}", of_limit(view.facts.memory));
        let advice = "Give it more memory, or less to hold: smaller textures, fewer threads, one item at a time.";
        return Some(Finding::new(Doing::Memory { killed: true }, Confidence::Likely, says, advice));
    }
    let says = match exit {
        Exit::Unknown => "There is no child".to_owned(),
        exit => format!("The child has ended: {exit}"),
    };
    Some(Finding::new(Doing::Exited { exit }, Confidence::Sure, says, ""))
}

fn of_limit(memory: &MemoryEvidence) -> String {
    match (memory.limit, memory.total) {
        (Some(limit), _) => format!(": its control group may use {}", size::bytes(limit)),
        (None, 0) => String::new(),
        (None, total) => format!(": the machine has {}", size::bytes(total)),
    }
}

fn stopped(view: &View<'_>) -> Option<Finding> {
    let process = view.interpreter?;
    let pid = process.pid;
    let stopped =
        |by, says: String, advice: String| Some(Finding::new(Doing::Stopped { by }, Confidence::Sure, says, advice));
    match (process.state.as_str(), &process.tracer) {
        ("t", Some(tracer)) => stopped(
            StoppedBy::Debugger { pid: tracer.pid, name: tracer.name.clone() },
            format!("Stopped by a debugger, {} ({})", tracer.name, tracer.pid),
            "It goes on when the debugger continues it or lets go of it.".into(),
        ),
        ("T" | "t", _) if view.facts.session.paused => {
            stopped(StoppedBy::Operator, "Paused by an operator".into(), "It goes on when it is resumed.".into())
        }
        ("T" | "t", _) => stopped(
            StoppedBy::Signal,
            format!("Stopped by a signal that somebody else sent to process {pid}"),
            format!("`kill -CONT {pid}` has it go on."),
        ),
        _ => None,
    }
}

fn thrashing(view: &View<'_>) -> Option<Finding> {
    let process = view.interpreter?;
    let memory = view.facts.memory;
    let pressed = memory.pressure.is_some_and(|full| full >= PRESSURE);
    let faulting = process.faults >= FAULTS && process.cpu < STARVED;
    if !pressed && !faulting {
        return None;
    }
    let sure = if pressed && faulting { Confidence::Sure } else { Confidence::Likely };
    let says = format!(
        "Short of memory: it fetches {:.0} pages a second from disk and gets {} of a core; it holds {}, {} more are swapped out{}",
        process.faults,
        words::percent(process.cpu),
        size::bytes(process.memory),
        size::bytes(process.swap),
        of_limit(memory),
    );
    let advice = "Waiting may take for ever: free memory on this machine, or run it where there is more.";
    Some(Finding::new(Doing::Memory { killed: false }, sure, says, advice))
}
