//! Python stacks in words.

use super::{count, safe};
use crate::model::Frame;
use crate::model::diagnosis::{LockWait, StackSource, StackTry, Stacks, ThreadStack};
use crate::model::size::length;

/// The most frames that are shown of a stack: the innermost ones.
const FRAMES: usize = 60;
/// The most local variables that are shown.
const LOCALS: usize = 40;
/// The most threads that are shown beside the main one.
const THREADS: usize = 40;

/// How the stacks were had, the main thread's with source lines and the innermost locals, then the others' shortened.
pub(super) fn lines(stacks: &Stacks) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(source) = stacks.source {
        lines.push(told_by(source, stacks));
    }
    let (main, others): (Vec<&ThreadStack>, Vec<_>) = stacks.threads.iter().partition(|thread| thread.main);
    for thread in main {
        main_thread(thread, stacks, &mut lines);
    }
    for thread in others.iter().take(THREADS) {
        other_thread(thread, stacks, &mut lines);
    }
    if others.len() > THREADS {
        lines.push(format!("… and {}", count(others.len() - THREADS, "more thread")));
    }
    let failed = stacks.tries.iter().filter(|tried| !tried.failed.is_empty());
    lines.extend(failed.map(failure));
    lines
}

fn told_by(source: StackSource, stacks: &Stacks) -> String {
    let how = match source {
        StackSource::Inside => "told by the child's own second thread",
        StackSource::Outside => "read from the child's memory, without its help",
        StackSource::Signal => "written by Python's faulthandler on a signal",
    };
    let tried = stacks.tries.iter().rfind(|tried| tried.source == source && tried.failed.is_empty());
    let took = tried.map(|tried| format!(" in {}", length(tried.took))).unwrap_or_default();
    let paused = match stacks.paused.0 {
        0 => "the child was not stopped for it".to_owned(),
        _ => format!("the child was stopped for {} of it", fine(stacks.paused)),
    };
    format!("{how}{took}; {paused}")
}

/// Pauses are shorter than what other lengths are told in.
fn fine(of: crate::model::Micros) -> String {
    if of.0 < 10_000 { format!("{}.{}ms", of.0 / 1000, of.0 % 1000 / 100) } else { length(of) }
}

fn failure(tried: &StackTry) -> String {
    let how = match tried.source {
        StackSource::Inside => "the child's own second thread",
        StackSource::Outside => "from outside",
        StackSource::Signal => "by a signal",
    };
    format!("not had {how} after {}: {}", length(tried.took), safe(&tried.failed))
}

fn main_thread(thread: &ThreadStack, stacks: &Stacks, lines: &mut Vec<String>) {
    let moving = match stacks.moving {
        Some(true) => ", moving between two looks",
        Some(false) => ", the same at two looks",
        None => "",
    };
    lines.push(format!("main thread{}{moving}", doing(thread, stacks)));
    if thread.frames.is_empty() {
        lines.push("  no Python on it".to_owned());
    }
    let hidden = thread.frames.len().saturating_sub(FRAMES);
    if hidden > 0 {
        lines.push(format!("  … {} further out", count(hidden, "frame")));
    }
    for frame in &thread.frames[hidden..] {
        lines.push(format!("  {}", place(frame)));
        if !frame.source.is_empty() {
            lines.push(format!("    {}", safe(&frame.source)));
        }
    }
    if let Some((frame, locals)) = thread.frames.iter().rev().find_map(|frame| Some((frame, frame.locals.as_ref()?))) {
        if !locals.is_empty() {
            lines.push(format!("  local variables of {}", safe(&frame.function)));
        }
        lines.extend(locals.iter().take(LOCALS).map(|(name, value)| format!("    {} = {}", safe(name), safe(value))));
        if locals.len() > LOCALS {
            lines.push(format!("    … and {} more", locals.len() - LOCALS));
        }
    }
}

fn other_thread(thread: &ThreadStack, stacks: &Stacks, lines: &mut Vec<String>) {
    let ours = if thread.ours { " (childminder's own)" } else { "" };
    let daemon = if thread.daemon && !thread.ours { " (daemon)" } else { "" };
    lines.push(format!("thread {}{ours}{daemon}{}", name(thread), doing(thread, stacks)));
    if let Some(frame) = thread.frames.last().filter(|_| !thread.ours) {
        let source = if frame.source.is_empty() { String::new() } else { format!(": {}", safe(&frame.source)) };
        lines.push(format!("  {}{source}", place(frame)));
    }
}

/// What is known of a thread beside its frames.
fn doing(thread: &ThreadStack, stacks: &Stacks) -> String {
    let tid = thread.tid.map(|tid| format!(" {tid}"));
    let gil = (thread.gil == Some(true)).then(|| ", has the GIL".to_owned());
    let active = thread.active.map(|active| if active { ", on a CPU" } else { ", not on a CPU" }.to_owned());
    let waits = thread.waits.as_ref().map(|wait| waits(wait, stacks));
    let holds = thread.holds.iter().map(|held| {
        let taken = safe(&held.at.to_string());
        format!(", has {} (taken at {taken})", lock("lock", &held.name))
    });
    tid.into_iter().chain(gil).chain(active).chain(waits).chain(holds).collect()
}

fn waits(wait: &LockWait, stacks: &Stacks) -> String {
    let kind = if wait.kind.is_empty() { "lock".to_owned() } else { safe(&wait.kind) };
    let has = |ident: u64| stacks.threads.iter().find(|thread| thread.ident == Some(ident));
    let owner = match wait.owner {
        None => String::new(),
        Some(owner) => match has(owner) {
            Some(thread) if thread.main => ", which the main thread has".to_owned(),
            Some(thread) => format!(", which thread {} has", name(thread)),
            None => format!(", which thread {owner} has"),
        },
    };
    format!(", waits for {}{owner}", lock(&kind, &wait.name))
}

fn lock(kind: &str, name: &str) -> String {
    if name.is_empty() { format!("a {kind}") } else { format!("{kind} {}", safe(name)) }
}

fn name(thread: &ThreadStack) -> String {
    match (thread.name.is_empty(), thread.ident) {
        (false, _) => safe(&thread.name),
        (true, Some(ident)) => ident.to_string(),
        (true, None) => "without a name".to_owned(),
    }
}

fn place(frame: &Frame) -> String {
    let function = if frame.function.is_empty() { String::new() } else { format!(" in {}", safe(&frame.function)) };
    format!("{}:{}{function}", safe(&frame.file), frame.line)
}
