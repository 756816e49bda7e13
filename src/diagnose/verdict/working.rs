//! Who computes, and whether it is Python or native code.
//!
//! What must stay true: CPU time decides. A renderer's main thread sleeps in a `futex` while native threads of its own
//! compute; that is no lock.

use super::view::{self, View, place};
use super::{Finding, words};
use crate::model::diagnosis::{Confidence, Doing, Gil, ThreadEvidence, ThreadStack};

/// Waiting is better than anything that can be done: said of native code, which hears no interrupt.
const NATIVE_ADVICE: &str = "An interrupt is heard only when the native code returns.";

pub(super) fn working(view: &View<'_>) -> Option<Finding> {
    if let Some(main) = view.main
        && view.is_busy(main)
    {
        return Some(thread_works(view, main));
    }
    if view.main.is_none() && view.main_system().is_some_and(view::busy) {
        return Some(unseen(view));
    }
    let others = || view.threads().filter(|thread| !thread.main);
    // Of several that compute, the one that keeps the others from running.
    let busy = others().filter(|thread| view.is_busy(thread)).max_by_key(|thread| thread.gil == Some(true));
    if let Some(thread) = busy {
        return Some(other_works(view, thread));
    }
    natives_work(view)
}

/// A Python thread that is on a CPU.
fn thread_works(view: &View<'_>, thread: &ThreadStack) -> Finding {
    let at = place(thread);
    let said = words::at(&at);
    let moving = thread.moving.or(view.facts.stacks.moving.filter(|_| thread.main));
    let looping = |confidence| {
        let advice = "An interrupt raises KeyboardInterrupt at this line, and keeps what is loaded.";
        Finding::new(Doing::Looping { at: at.clone() }, confidence, format!("Running Python at {said}"), advice)
    };
    let native =
        |gil, confidence| Finding::new(Doing::Computing { gil }, confidence, native(gil, &said), NATIVE_ADVICE);
    match (moving, thread.gil) {
        (Some(true), Some(true)) => looping(Confidence::Sure),
        (Some(true), _) => looping(if view.answered() { Confidence::Sure } else { Confidence::Likely }),
        // A thread of the child could answer, so whoever has the GIL gives it away now and then: only Python does.
        (_, Some(true)) if view.answered() => looping(Confidence::Likely),
        (_, Some(true)) if view.was_silent() => native(Gil::Held, Confidence::Sure),
        (_, Some(true)) => native(Gil::Held, Confidence::Likely),
        (_, Some(false)) if view.answered() || moving == Some(false) => native(Gil::Released, Confidence::Sure),
        (_, Some(false)) => native(Gil::Released, Confidence::Likely),
        (_, None) if view.was_silent() => native(Gil::Held, Confidence::Likely),
        (_, None) if view.answered() => looping(Confidence::Guess),
        (_, None) => native(Gil::Unknown, Confidence::Guess),
    }
}

fn native(gil: Gil, said: &str) -> String {
    let gil = match gil {
        Gil::Held => ", which holds the GIL: no other Python thread can run",
        Gil::Released => ", with the GIL released",
        Gil::Unknown => "",
    };
    format!("Computing in native code called at {said}{gil}")
}

/// The main thread is on a CPU, and its stack is not known.
fn unseen(view: &View<'_>) -> Finding {
    let (gil, says) = if view.was_silent() {
        (Gil::Unknown, "Computing: its main thread uses the CPU and does not let Python answer")
    } else {
        (Gil::Unknown, "Computing: its main thread uses the CPU; its Python stack could not be read")
    };
    Finding::new(Doing::Computing { gil }, Confidence::Guess, says, "")
}

/// The main thread waits while another Python thread works.
fn other_works(view: &View<'_>, thread: &ThreadStack) -> Finding {
    let mut found = thread_works(view, thread);
    let main = view.main.map(|main| words::at(&place(main)));
    let main = main.map(|at| format!("; the main thread is at {at}")).unwrap_or_default();
    found.says = format!("{} in thread {}{main}", found.says, view::name(thread));
    found.advice.clear();
    found
}

/// Native threads work while no Python thread does.
fn natives_work(view: &View<'_>) -> Option<Finding> {
    let busy = view.busy_natives();
    let first = busy.first()?;
    let total = |of: fn(&ThreadEvidence) -> f64| busy.iter().copied().map(of).sum::<f64>();
    let (used, wanted) = (total(|thread| thread.cpu), total(|thread| thread.wanted));
    let gil = match view.main.and_then(|main| main.gil) {
        Some(true) => Gil::Held,
        Some(false) => Gil::Released,
        None if view.answered() => Gil::Released,
        None => Gil::Unknown,
    };
    let called = view.main.map_or_else(String::new, |main| format!(" called at {}", words::at(&place(main))));
    let held = match gil {
        Gil::Held => ", and the GIL is held meanwhile",
        Gil::Released => ", with the GIL released",
        Gil::Unknown => "",
    };
    let threads = match busy.len() {
        1 => format!("thread {} uses", first.name),
        count => format!("{count} threads use"),
    };
    let crowded = if used * 2.0 < wanted {
        format!(" and could use {} if the machine were not busy with other things", words::percent(wanted))
    } else {
        String::new()
    };
    let says = format!("Computing in native code{called}: {threads} {} of a core{crowded}{held}", words::percent(used));
    let sure = if gil == Gil::Unknown { Confidence::Likely } else { Confidence::Sure };
    Some(Finding::new(Doing::Computing { gil }, sure, says, NATIVE_ADVICE))
}
