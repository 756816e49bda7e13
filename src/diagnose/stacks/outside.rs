//! Python stacks read from the child's memory, with no help of its own.
//!
//! What must stay true:
//! - Never `ptrace`: its events and those that wait for the child take each other's, and an exit status gets lost.
//! - A child that stands still is not stopped. One that moves is, for a moment, since what is read of it otherwise is
//!   torn now and then with no sign of it. Python 2.7 is never stopped: it would raise EINTR from `epoll.poll`.
//! - Nothing is looked up by the paths that the child names: one on a dead file server would hang us.

use super::super::evidence::stack_pointer;
use super::super::pause::{Pause, Pauses};
use crate::child::proc::{ProcessId, Stat};
use crate::model::diagnosis::ThreadStack;
use crate::model::{Frame, Micros};
use py_spy::config::LockingStrategy;
use py_spy::{Config, Pid, PythonSpy, StackTrace};
use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

/// So many looks must agree before a child is taken to stand still.
const LOOKS: usize = 4;

/// Fewer are taken of a child with so many threads that a look takes long.
const LOOKS_TIME: Duration = Duration::from_millis(25);

/// Between two of them: a loop does a lot meanwhile.
const BETWEEN: Duration = Duration::from_millis(3);

/// Nobody is stopped for longer, however long the reading takes.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// How long one waits for the turn to stop the child.
const PATIENCE: Duration = Duration::from_millis(200);

/// A stack further from its thread's identifier is not the thread's own.
const STACK_MAX: u64 = 1 << 30;

/// So many tries to read a child that moves and may not be stopped.
const TORN_TRIES: usize = 5;

/// What was seen.
#[derive(Debug, Default)]
pub(in crate::diagnose) struct Seen {
    pub(in crate::diagnose) threads: Vec<ThreadStack>,
    pub(in crate::diagnose) paused: Micros,
    /// What the reader should know of how far to believe it.
    pub(in crate::diagnose) doubt: String,
}

/// A process whose Python can be read.
pub(in crate::diagnose) struct Reader {
    spy: PythonSpy,
    who: ProcessId,
}

impl Reader {
    /// Finds the interpreter in a process.
    pub(in crate::diagnose) fn attach(who: ProcessId) -> Result<Self, String> {
        let pid = Pid::try_from(who.pid).map_err(|e| e.to_string())?;
        let config = Config { blocking: LockingStrategy::NonBlocking, full_filenames: true, ..Config::default() };
        let spy = PythonSpy::new(pid, &config).map_err(|e| format!("{e:#}"))?;
        if ProcessId::now(who.pid) != Some(who) {
            return Err(format!("process {} is gone", who.pid));
        }
        Ok(Self { spy, who })
    }

    /// Whether it may be stopped for being read.
    fn may_stop(&self) -> bool {
        self.spy.version.major >= 3
    }

    /// All stacks; the child is stopped for it only if it moves.
    pub(in crate::diagnose) fn see(&mut self, pauses: &Pauses) -> Result<Seen, String> {
        let begun = Instant::now();
        let mut tally = Tally::default();
        let mut last = self.look();
        tally.add(last.as_deref());
        while tally.looks < LOOKS && begun.elapsed() < LOOKS_TIME {
            std::thread::sleep(BETWEEN);
            last = self.look();
            tally.add(last.as_deref());
        }
        let mut seen = match last {
            Ok(threads) if !tally.moved() => Seen { threads, ..Seen::default() },
            _ => self.see_moving(pauses)?,
        };
        tally.apply(&mut seen.threads);
        Ok(seen)
    }

    fn see_moving(&mut self, pauses: &Pauses) -> Result<Seen, String> {
        let refused = if self.may_stop() {
            match self.look_stopped(pauses) {
                Ok((threads, paused)) => return Ok(Seen { threads, paused, doubt: String::new() }),
                Err(refused) => refused,
            }
        } else {
            "Python 2.7 is not stopped for it".to_owned()
        };
        let doubt = format!("The stacks from outside may not be of one moment: {refused}.");
        let mut failed = refused;
        for _ in 0..TORN_TRIES {
            match self.look() {
                Ok(threads) => return Ok(Seen { threads, paused: Micros::default(), doubt }),
                Err(e) => failed = e,
            }
        }
        Err(failed)
    }

    /// Once, stopped meanwhile, and for how long.
    pub(in crate::diagnose) fn look_stopped(&mut self, pauses: &Pauses) -> Result<(Vec<ThreadStack>, Micros), String> {
        let turn = pauses.turn(PATIENCE).ok_or("somebody else has stopped it for too long")?;
        let pause = Pause::begin(self.who, PAUSE_MAX, turn)?;
        self.spy.config.blocking = LockingStrategy::AlreadyLocked;
        let seen = self.look();
        self.spy.config.blocking = LockingStrategy::NonBlocking;
        let paused = pause.end();
        if paused.duration() >= PAUSE_MAX {
            return Err("reading took too long".into());
        }
        // Who was on a CPU could not be seen: they were all stopped.
        seen.map(|threads| (threads.into_iter().map(|thread| ThreadStack { active: None, ..thread }).collect(), paused))
    }

    /// Once, as it runs: may be torn.
    pub(in crate::diagnose) fn look(&mut self) -> Result<Vec<ThreadStack>, String> {
        let gil_is_known = self.spy.addresses.threadstate_address != 0;
        let traces = self.spy.get_stack_traces().map_err(|e| format!("{e:#}"))?;
        let mut threads: Vec<ThreadStack> = traces.into_iter().map(|trace| thread(trace, gil_is_known)).collect();
        mark_main(&mut threads, self.who.pid);
        number_threads(&mut threads, self.who.pid);
        Ok(threads)
    }
}

fn thread(trace: StackTrace, gil_is_known: bool) -> ThreadStack {
    let frames = trace.frames.into_iter().rev().map(|frame| Frame {
        file: frame.filename,
        line: u32::try_from(frame.line).unwrap_or(0),
        function: frame.name,
        ..Frame::default()
    });
    let name = trace.thread_name.unwrap_or_default();
    ThreadStack {
        ours: is_ours(&name),
        name,
        ident: Some(trace.thread_id),
        tid: trace.os_thread_id.and_then(|tid| u32::try_from(tid).ok()),
        gil: gil_is_known.then_some(trace.owns_gil),
        // Without a number of the system's it is no more than a guess.
        active: trace.os_thread_id.is_some().then_some(trace.active),
        frames: frames.collect(),
        ..ThreadStack::default()
    }
}

/// The bootstrapper names its threads so.
pub(in crate::diagnose) fn is_ours(name: &str) -> bool {
    name == "childminder" || name.starts_with("childminder ")
}

/// The main thread comes first. Python says which it is by its name, the system by its number; Python 2.7 says
/// nothing, but lists the first thread last.
fn mark_main(threads: &mut [ThreadStack], pid: u32) {
    let by_name = threads.iter().position(|thread| thread.name == "MainThread");
    let by_tid = || threads.iter().position(|thread| thread.tid == Some(pid));
    let main = by_name.or_else(by_tid).or_else(|| threads.len().checked_sub(1));
    if let Some(main) = main {
        threads[main].main = true;
        threads[..=main].rotate_right(1);
    }
}

/// Before 3.11 Python does not know its threads' numbers. The C library keeps a thread's identifier at the upper end of
/// its stack, so a stack pointer belongs to the nearest identifier above it.
fn number_threads(threads: &mut [ThreadStack], pid: u32) {
    if threads.iter().all(|thread| thread.tid.is_some()) {
        return;
    }
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    for tid in tasks.filter_map(|task| task.file_name().to_str()?.parse::<u32>().ok()) {
        if tid == pid {
            if let Some(main) = threads.first_mut().filter(|thread| thread.main && thread.tid.is_none()) {
                main.tid = Some(pid);
            }
            continue;
        }
        let line = fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).unwrap_or_default();
        let Some(pointer) = stack_pointer(&line) else { continue };
        let above =
            threads.iter_mut().filter(|thread| !thread.main && thread.ident.is_some_and(|ident| ident > pointer));
        let nearest = above.min_by_key(|thread| thread.ident);
        if let Some(thread) = nearest.filter(|thread| thread.ident.is_some_and(|ident| ident - pointer < STACK_MAX)) {
            thread.tid = Some(tid);
        }
    }
}

/// What several looks say together.
#[derive(Debug, Default)]
struct Tally {
    looks: usize,
    failed: bool,
    threads: HashMap<u64, Tallied>,
}

#[derive(Debug)]
struct Tallied {
    frames: Vec<Frame>,
    seen: usize,
    moved: bool,
    had_gil: usize,
    ours: bool,
}

impl Tally {
    fn add(&mut self, look: Result<&[ThreadStack], &String>) {
        self.looks += 1;
        // It changed while it was read.
        let Ok(threads) = look else {
            self.failed = true;
            return;
        };
        for thread in threads {
            let Some(ident) = thread.ident else { continue };
            let first =
                || Tallied { frames: thread.frames.clone(), seen: 0, moved: false, had_gil: 0, ours: thread.ours };
            let known = self.threads.entry(ident).or_insert_with(first);
            known.seen += 1;
            known.moved |= known.frames != thread.frames;
            known.had_gil += usize::from(thread.gil == Some(true));
        }
    }

    fn moved(&self) -> bool {
        // Our own threads tick, and nobody wants their stacks.
        self.failed || self.threads.values().any(|thread| thread.moved && !thread.ours)
    }

    /// Who moved, and who had the GIL most of the time: at one moment it may be with anybody.
    fn apply(&self, threads: &mut [ThreadStack]) {
        for thread in threads {
            let Some(known) = thread.ident.and_then(|ident| self.threads.get(&ident)) else { continue };
            thread.moving = (known.seen > 1).then_some(known.moved);
            if thread.gil.is_some() && known.seen > 1 {
                thread.gil = Some(known.had_gil * 2 >= known.seen);
            }
        }
    }
}

/// The process whose Python is to be read: the one that said hello, else the first of the tree that has one.
pub(in crate::diagnose) fn find(interpreter: Option<ProcessId>, tree: &[ProcessId]) -> Result<Reader, String> {
    if let Some(interpreter) = interpreter {
        return Reader::attach(interpreter);
    }
    let mut failed = "there is no process".to_owned();
    let begun = Instant::now();
    for process in tree {
        match Reader::attach(*process) {
            Ok(reader) => return Ok(reader),
            Err(e) => failed = e,
        }
        if begun.elapsed() > PATIENCE {
            break;
        }
    }
    Err(failed)
}

/// The processes of a tree that may hold Python, the root first.
pub(in crate::diagnose) fn candidates(root: ProcessId) -> Vec<ProcessId> {
    let tree = crate::child::metrics::tree(root.pid);
    let mut found: Vec<&Stat> = tree.values().filter(|stat| !stat.is_dead()).collect();
    found.sort_by_key(|stat| (stat.id != root, stat.id.start_time, stat.id.pid));
    found.into_iter().take(16).map(|stat| stat.id).collect()
}
