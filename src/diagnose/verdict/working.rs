//! Who computes, and whether it is Python or native code.
//!
//! What must stay true: CPU time decides. A renderer's main thread sleeps in a `futex` while native threads of its own
//! compute; that is no lock.

use super::view::{self, View, place};
use super::{Finding, words};
use crate::model::diagnosis::{Confidence, Doing, Gil, Place, ThreadEvidence, ThreadStack};

pub(super) const NATIVE_ADVICE: &str = "An interrupt is heard only when the native code returns.";

/// The host hears its own cancel while its native code runs, if Python can run meanwhile.
const CANCEL_ADVICE: &str =
    "The host can cancel it itself, and keeps what is loaded: `childminder interrupt --from cancel --to cancel`.";

/// What can be done about native code.
fn native_advice(view: &View<'_>, gil: Gil) -> &'static str {
    if gil == Gil::Released && view.facts.session.cancel { CANCEL_ADVICE } else { view.interrupted(NATIVE_ADVICE) }
}

pub(super) fn working(view: &View<'_>) -> Option<Finding> {
    if let Some(main) = view.main
        && view.is_busy(main)
        && !view.rests(main)
    {
        return Some(thread_works(view, main));
    }
    if view.main.is_none() && view.main_system().is_some_and(|main| view::busy(main) || main.state == "R") {
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
    let moving = thread.moving.or(view.facts.stacks.moving.filter(|_| thread.main));
    let looping = |confidence| {
        let advice = view.interrupted("An interrupt raises KeyboardInterrupt at this line, and keeps what is loaded.");
        Finding::new(
            Doing::Looping { at: at.clone() },
            confidence,
            format!("Running Python{}", words::after("at", &at)),
            advice,
        )
    };
    let native = |gil, confidence| {
        Finding::new(Doing::Computing { gil }, confidence, native(gil, &at), native_advice(view, gil))
    };
    // Silence and equal looks are no proof, so nothing is said that would keep anybody from trying an interrupt.
    let perhaps = |gil| {
        let mut found = native(gil, Confidence::Guess);
        if found.advice == NATIVE_ADVICE {
            found.advice.clear();
        }
        found
    };
    let in_user_code = thread.frames.last().is_some_and(|frame| !view::is_library(&frame.file));
    match (moving, thread.gil) {
        (Some(true), Some(true)) => looping(Confidence::Sure),
        (Some(true), _) => looping(if view.answered() { Confidence::Sure } else { Confidence::Likely }),
        // A thread of the child could answer, so whoever has the GIL gives it away now and then: only Python does.
        (_, Some(true)) if view.answered() => looping(Confidence::Likely),
        (_, Some(true)) if view.is_starved(thread) && in_user_code => looping(Confidence::Guess),
        (_, Some(true)) if view.is_starved(thread) => perhaps(Gil::Held),
        (_, gil) if view.is_starved(thread) => perhaps(if gil == Some(false) { Gil::Released } else { Gil::Unknown }),
        (_, Some(true)) if view.was_silent() => native(Gil::Held, Confidence::Sure),
        (_, Some(true)) => native(Gil::Held, Confidence::Likely),
        (_, Some(false)) if view.answered() || moving == Some(false) => native(Gil::Released, Confidence::Sure),
        (_, Some(false)) => native(Gil::Released, Confidence::Likely),
        (_, None) if view.was_silent() => native(Gil::Held, Confidence::Likely),
        (_, None) if view.answered() => looping(Confidence::Guess),
        (_, None) => native(Gil::Unknown, Confidence::Guess),
    }
}

fn native(gil: Gil, at: &Place) -> String {
    let gil = match gil {
        Gil::Held => ", which holds the GIL: no other Python thread can run",
        Gil::Released => ", with the GIL released",
        Gil::Unknown => "",
    };
    format!("Computing in native code{}{gil}", words::after("called at", at))
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
    let main = view.main_place().map_or_else(String::new, |at| words::after("the main thread is at", &at));
    let main = if main.is_empty() { main } else { format!(";{main}") };
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
    let called = view.main_place().map_or_else(String::new, |at| words::after("called at", &at));
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
    Some(Finding::new(Doing::Computing { gil }, sure, says, native_advice(view, gil)))
}
