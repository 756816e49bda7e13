//! Who waits for which lock, and whether the threads wait for each other.
//!
//! What must stay true: where the child told owners, a dead-lock is a cycle of them and nothing else. Where it did not, one
//! is only likely: at least two threads at lines that take a plain lock, and nobody left who could release it.

use super::view::{self, View, place, user_frame};
use super::{Finding, words};
use crate::model::Frame;
use crate::model::diagnosis::{Confidence, Doing, ThreadStack};

/// What waits in the library's files, by the function's own name.
const LIBRARY: [(&str, &str, Kind); 10] = [
    ("threading.py", "join", Kind::Thread),
    ("threading.py", "_wait_for_tstate_lock", Kind::Thread),
    ("threading.py", "wait", Kind::Event),
    ("threading.py", "wait_for", Kind::Event),
    ("threading.py", "acquire", Kind::Semaphore),
    ("queue.py", "get", Kind::Queue),
    ("queue.py", "put", Kind::Queue),
    ("queue.py", "join", Kind::Queue),
    ("thread.py", "_worker", Kind::Queue),
    ("_base.py", "result", Kind::Future),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lock,
    Thread,
    Event,
    Semaphore,
    Queue,
    Future,
}

impl Kind {
    fn said(self) -> &'static str {
        match self {
            Self::Lock => "a lock",
            Self::Thread => "a thread to end",
            Self::Event => "an event that another thread should tell of",
            Self::Semaphore => "a semaphore",
            Self::Queue => "a queue that another thread should fill or empty",
            Self::Future => "another thread's result",
        }
    }
}

/// What the main thread, asleep in a `futex`, waits for.
pub(super) fn waiting(view: &View<'_>) -> Option<Finding> {
    let main = view.main?;
    if let Some(found) = cycle(view, main) {
        return Some(found);
    }
    if let Some(wait) = &main.waits {
        let holder = wait.owner.and_then(|owner| by_ident(view, owner)).or_else(|| holder_of(view, wait.lock));
        return Some(known_lock(view, main, holder));
    }
    let Some(kind) = kind(main) else { return Some(in_native_code(view, main)) };
    if let Some(found) = standstill(view) {
        return Some(found);
    }
    let at = place(main);
    let says = format!("Waiting{} for {}", words::after("at", &at), kind.said());
    let helpers = view.threads().filter(|thread| !thread.main).count();
    let says = match helpers {
        0 => format!("{says}, and no other Python thread is there"),
        _ => says,
    };
    Some(Finding::new(Doing::Lock { holder: None, at }, Confidence::Likely, says, view.interrupted(ADVICE)))
}

const ADVICE: &str = "An interrupt ends the wait in Python 3 and keeps what is loaded; Python 2 does not hear it.";

fn known_lock(view: &View<'_>, main: &ThreadStack, holder: Option<&ThreadStack>) -> Finding {
    let at = place(main);
    let wait = main.waits.clone().unwrap_or_default();
    let kind = if wait.kind.is_empty() { "Lock" } else { &wait.kind };
    let what = if wait.name.is_empty() { words::one(kind) } else { format!("the {kind} {}", wait.name) };
    let has = |thread: &ThreadStack| {
        format!(", which thread {} has; that one is at {}", view::name(thread), words::at(&place(thread)))
    };
    let says = format!("Waiting at {} for {what}{}", words::at(&at), holder.map(has).unwrap_or_default());
    let sure = if holder.is_some() { Confidence::Sure } else { Confidence::Likely };
    Finding::new(Doing::Lock { holder: holder.map(view::name), at }, sure, says, view.interrupted(ADVICE))
}

fn by_ident<'a>(view: &View<'a>, ident: u64) -> Option<&'a ThreadStack> {
    view.facts.stacks.threads.iter().find(|thread| thread.ident == Some(ident))
}

fn holder_of<'a>(view: &View<'a>, lock: u64) -> Option<&'a ThreadStack> {
    view.facts.stacks.threads.iter().find(|thread| thread.holds.iter().any(|held| held.lock == lock && lock != 0))
}

/// The thread for which this one waits.
fn next<'a>(view: &View<'a>, thread: &ThreadStack) -> Option<&'a ThreadStack> {
    let wait = thread.waits.as_ref()?;
    wait.owner.and_then(|owner| by_ident(view, owner)).or_else(|| holder_of(view, wait.lock))
}

/// Threads that wait for each other, by what the child told, if the main thread is one of them or waits for one.
fn cycle(view: &View<'_>, main: &ThreadStack) -> Option<Finding> {
    let mut path: Vec<&ThreadStack> = vec![main];
    let closed = loop {
        let next = next(view, path.last()?)?;
        if let Some(begins) = path.iter().position(|known| std::ptr::eq(*known, next)) {
            break begins;
        }
        path.push(next);
    };
    let within = &path[closed..];
    let threads: Vec<String> = within.iter().map(|thread| view::name(thread)).collect();
    let says = match within {
        [own] => format!(
            "Dead-locked: thread {} waits at {} for a lock that it has itself",
            view::name(own),
            words::at(&place(own))
        ),
        _ => format!("Dead-locked: {}", each_waits(within)),
    };
    Some(Finding::new(Doing::Deadlock { threads }, Confidence::Sure, says, view.interrupted(DEADLOCK_ADVICE)))
}

const DEADLOCK_ADVICE: &str =
    "It will not end by itself. An interrupt of the main thread may break it, if that is one of them.";

fn each_waits(threads: &[&ThreadStack]) -> String {
    let one = |thread: &&ThreadStack| format!("{} at {}", view::name(thread), words::at(&place(thread)));
    format!("{} wait for each other", threads.iter().map(one).collect::<Vec<String>>().join(" and "))
}

/// All Python threads sleep for locks, and none is left who could release one.
fn standstill(view: &View<'_>) -> Option<Finding> {
    let asleep = |thread: &ThreadStack| {
        let system = view.system(thread);
        system.is_none_or(|system| system.syscall.as_ref().is_some_and(|call| call.name.starts_with("futex")))
            && thread.gil != Some(true)
    };
    let threads: Vec<&ThreadStack> = view.threads().filter(|thread| !thread.frames.is_empty()).collect();
    if !threads.iter().all(|thread| asleep(thread) && kind(thread).is_some()) {
        return None;
    }
    let on_locks: Vec<&ThreadStack> = threads.into_iter().filter(|thread| kind(thread) == Some(Kind::Lock)).collect();
    if on_locks.len() < 2 {
        return None;
    }
    let says = format!(
        "Probably dead-locked: {}, and no other thread is left who could release a lock",
        each_waits(&on_locks)
    );
    let threads = on_locks.iter().map(|thread| view::name(thread)).collect();
    Some(Finding::new(Doing::Deadlock { threads }, Confidence::Likely, says, view.interrupted(DEADLOCK_ADVICE)))
}

/// It sleeps in a `futex` at a line that takes no lock of Python's.
fn in_native_code(view: &View<'_>, main: &ThreadStack) -> Finding {
    let at = place(main);
    let said = words::after("at", &at);
    // Waiting for the GIL looks like this too.
    if let Some(holder) = view.threads().find(|thread| thread.gil == Some(true) && !thread.main) {
        let (holder, there) = (view::name(holder), words::at(&place(holder)));
        let says = format!("Waiting{said} for the GIL, which thread {holder} has at {there}");
        return Finding::new(Doing::Lock { holder: Some(holder), at }, Confidence::Likely, says, "");
    }
    // Our own thread has the GIL only to answer or to tell that it lives, and whoever uses the CPU does not only wait:
    // a Python thread that hands the GIL over now and then.
    let gives_way = view.facts.stacks.threads.iter().any(|thread| thread.ours && thread.gil == Some(true));
    let works = view.system(main).is_some_and(|system| system.cpu.max(system.wanted) >= view::NOTHING);
    if gives_way || works {
        let advice = "Ask again, and compare the stacks.";
        return Finding::new(Doing::Looping { at }, Confidence::Guess, format!("Running Python{said}"), advice);
    }
    let called = words::after("called at", &at);
    let says = format!("Waiting in native code{called} for another thread, and none of them uses the CPU");
    let interrupt = view.interrupted("An interrupt is heard only when its code returns.");
    let advice = format!("If it stays so, the application itself hangs. {interrupt}");
    Finding::new(Doing::Lock { holder: None, at }, Confidence::Guess, says, advice)
}

/// What a thread waits for, by its innermost frames.
fn kind(thread: &ThreadStack) -> Option<Kind> {
    if let Some(wait) = &thread.waits {
        return Some(match wait.kind.as_str() {
            "Thread" => Kind::Thread,
            "Event" | "Condition" | "Barrier" => Kind::Event,
            "Queue" => Kind::Queue,
            "Semaphore" => Kind::Semaphore,
            _ => Kind::Lock,
        });
    }
    let innermost = thread.frames.last()?;
    // The outermost of the library's frames says what the program asked for: a queue waits by a condition.
    let library = thread.frames.iter().rev().take_while(|frame| view::is_library(&frame.file));
    let by_library = library.filter_map(|frame| {
        let function = frame.function.rsplit('.').next().unwrap_or_default();
        // Python 2 writes `Queue.py`.
        let file = frame.file.rsplit('/').next().unwrap_or_default().to_lowercase();
        let known = LIBRARY.iter().find(|(known, name, _)| *known == file && *name == function);
        known.map(|(_, _, kind)| *kind)
    });
    by_library.last().or_else(|| is_lock_line(user_frame(thread).unwrap_or(innermost)).then_some(Kind::Lock))
}

/// Whether a source line takes a lock.
pub(super) fn is_lock_line(frame: &Frame) -> bool {
    let source = frame.source.as_str();
    source.contains(".acquire(") || source.starts_with("with ") || source.contains(".__enter__(")
}
