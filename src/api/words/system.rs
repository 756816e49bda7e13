//! Processes, as the system tells of them, in words.

use super::safe;
use crate::model::diagnosis::{FdTarget, MemoryEvidence, ProcessEvidence, Syscall, ThreadEvidence, Tracer};
use crate::model::size::bytes;
use std::collections::HashSet;

/// The most processes that are shown.
const PROCESSES: usize = 40;
/// The most threads that are shown of a process beside its main one.
const THREADS: usize = 6;
/// How deep processes are indented.
const DEPTH: usize = 8;

/// The tree, each process below its parent, then the memory.
pub(super) fn lines(processes: &[ProcessEvidence], memory: &MemoryEvidence) -> Vec<String> {
    let mut lines = Vec::new();
    for (process, depth) in tree(&processes[..processes.len().min(PROCESSES)]) {
        let indent = "  ".repeat(depth.min(DEPTH));
        lines.extend(of_process(process).into_iter().map(|line| format!("{indent}{line}")));
    }
    if processes.len() > PROCESSES {
        let more = processes.len() - PROCESSES;
        lines.push(format!("… and {more} more processes"));
    }
    lines.extend(of_memory(memory));
    lines
}

/// Each process once, children after their parents, whatever the parents are said to be.
fn tree(processes: &[ProcessEvidence]) -> Vec<(&ProcessEvidence, usize)> {
    let pids: HashSet<u32> = processes.iter().map(|process| process.pid).collect();
    let mut placed = Vec::new();
    let mut seen = HashSet::new();
    let roots = processes.iter().filter(|process| !pids.contains(&process.parent));
    // Processes that are each other's parents have no root: they come after the others.
    for root in roots.chain(processes) {
        let mut open = vec![(root, 0)];
        while let Some((process, depth)) = open.pop() {
            if !seen.insert(process.pid) {
                continue;
            }
            placed.push((process, depth));
            let children = processes.iter().rev().filter(|child| child.parent == process.pid);
            open.extend(children.map(|child| (child, depth + 1)));
        }
    }
    placed
}

fn of_process(process: &ProcessEvidence) -> Vec<String> {
    let mut lines = vec![head(process)];
    if !process.command.is_empty() && process.command != process.name {
        lines.push(format!("  {}", safe(&process.command)));
    }
    let mut threads = process.threads.iter();
    lines.extend(threads.next().and_then(|main| Some(format!("  {}", waits(main)?))));
    // A pool of sleeping threads says nothing.
    let telling = |thread: &&ThreadEvidence| thread.cpu >= 1.0 || !matches!(thread.state.as_str(), "S" | "I");
    for thread in threads.filter(telling).take(THREADS) {
        let waits = waits(thread).map(|waits| format!(", {waits}")).unwrap_or_default();
        let (tid, name) = (thread.tid, safe(&thread.name));
        lines.push(format!("  thread {tid} {name}: {}, {:.0} % CPU{waits}", state(&thread.state), thread.cpu));
    }
    lines
}

fn head(process: &ProcessEvidence) -> String {
    let interpreter = if process.interpreter { " (runs the commands)" } else { "" };
    let traced = |tracer: &Tracer| format!("traced by {} ({})", safe(&tracer.name), tracer.pid);
    let some = |is_so: bool, text: &dyn Fn() -> String| is_so.then(text);
    let parts = [
        Some(state(&process.state)),
        process.tracer.as_ref().map(traced),
        Some(format!("{:.0} % CPU", process.cpu)),
        Some(bytes(process.memory)),
        some(process.swap > 0, &|| format!("{} swapped out", bytes(process.swap))),
        some(process.read >= 1.0, &|| format!("{}/s read", bytes(whole(process.read)))),
        some(process.written >= 1.0, &|| format!("{}/s written", bytes(whole(process.written)))),
        some(process.faults >= 1.0, &|| format!("{:.0} page faults/s wait for a disk", process.faults)),
        some(process.thread_count > 1, &|| format!("{} threads", process.thread_count)),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{} {}{interpreter}: {}", process.pid, safe(&process.name), parts.join(", "))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is not below zero")]
fn whole(rate: f64) -> u64 {
    rate as u64
}

/// The kernel's letter in words.
fn state(letter: &str) -> String {
    let word = match letter {
        "R" => "running",
        "S" => "sleeping",
        "D" => "waiting in the kernel",
        "T" => "stopped",
        "t" => "stopped by a debugger",
        "Z" => "ended, its parent does not know yet",
        "I" => "idle",
        "X" | "x" => "gone",
        "" => "state unknown",
        other => return safe(other),
    };
    word.to_owned()
}

/// What a thread waits in; `None` when it does not, or the kernel does not tell.
fn waits(thread: &ThreadEvidence) -> Option<String> {
    let channel = (!thread.wait_channel.is_empty()).then(|| format!("waits at {}", safe(&thread.wait_channel)));
    match (thread.syscall.as_ref().map(syscall), channel) {
        (Some(call), Some(channel)) => Some(format!("{call}, {channel}")),
        (call, channel) => call.or(channel),
    }
}

fn syscall(call: &Syscall) -> String {
    let of = match (&call.fd, &call.target) {
        (Some(fd), Some(target)) => format!(" of fd {fd}, {}", self::target(target)),
        (Some(fd), None) => format!(" of fd {fd}"),
        (None, Some(target)) => format!(" of {}", self::target(target)),
        (None, None) => String::new(),
    };
    format!("in the system call {}{of}", safe(&call.name))
}

fn target(target: &FdTarget) -> String {
    match target {
        FdTarget::File { path, remote: false } => format!("the file {}", safe(path)),
        FdTarget::File { path, remote: true } => format!("{} on a file server", safe(path)),
        FdTarget::Pipe { other: None } => "a pipe".to_owned(),
        FdTarget::Pipe { other: Some(other) } => format!("a pipe to {}", safe(other)),
        FdTarget::Socket { protocol, local, peer, state } => {
            let peer = if peer.is_empty() { String::new() } else { format!(" to {}", safe(peer)) };
            let state = if state.is_empty() { String::new() } else { format!(", {}", safe(state)) };
            format!("a {} socket from {}{peer}{state}", safe(protocol), safe(local))
        }
        FdTarget::UnixSocket { path } if path.is_empty() => "a socket on this machine".to_owned(),
        FdTarget::UnixSocket { path } => format!("the socket {}", safe(path)),
        FdTarget::Terminal { path } => format!("the terminal {}", safe(path)),
        FdTarget::Other { name } => safe(name),
    }
}

fn of_memory(memory: &MemoryEvidence) -> Option<String> {
    let mut parts = Vec::new();
    if memory.total > 0 {
        parts.push(format!("{} of {} can be had", bytes(memory.available), bytes(memory.total)));
    }
    match (memory.used, memory.limit) {
        (Some(used), Some(limit)) => parts.push(format!("the control group uses {} of {}", bytes(used), bytes(limit))),
        (None, Some(limit)) => parts.push(format!("the control group may use {}", bytes(limit))),
        (_, None) => {}
    }
    if memory.killed_since_start > 0 {
        parts.push(format!("killed for want of it since the child's start: {}", memory.killed_since_start));
    }
    if let Some(pressure) = memory.pressure.filter(|pressure| *pressure >= 0.1) {
        parts.push(format!("everything waited for it {pressure:.1} % of the last ten seconds"));
    }
    (!parts.is_empty()).then(|| format!("memory: {}", parts.join("; ")))
}
