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
use std::collections::{HashMap, HashSet};
use std::fmt;
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
    /// Numbers of threads by their identifiers, where Python does not know them.
    numbers: HashMap<u64, u32>,
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
        Ok(Self { spy, who, numbers: HashMap::new() })
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
        let refused = match self.look_still(pauses) {
            Ok((threads, paused)) => return Ok(Seen { threads, paused, doubt: String::new() }),
            Err(refused) => refused,
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
    pub(in crate::diagnose) fn look_still(&mut self, pauses: &Pauses) -> Result<(Vec<ThreadStack>, Micros), String> {
        if self.spy.version.major < 3 {
            return Err("Python 2.7 is not stopped for it".into());
        }
        let turn = pauses.turn(PATIENCE).ok_or("somebody else has stopped it for too long")?;
        let pause = Pause::begin(self.who, PAUSE_MAX, turn)?;
        self.spy.config.blocking = LockingStrategy::AlreadyLocked;
        let seen = self.spy.get_stack_traces();
        self.spy.config.blocking = LockingStrategy::NonBlocking;
        let paused = pause.end().ok_or("reading took too long")?;
        let mut threads = self.threads(seen.map_err(|e| format!("{e:#}"))?);
        for thread in &mut threads {
            // Who was on a CPU could not be seen: they were all stopped.
            thread.active = None;
        }
        Ok((threads, paused))
    }

    /// Whether it reads this process.
    pub(in crate::diagnose) fn reads(&self, who: ProcessId) -> bool {
        self.who == who
    }

    /// Once, as it runs: may be torn.
    pub(in crate::diagnose) fn look(&mut self) -> Result<Vec<ThreadStack>, String> {
        let traces = self.spy.get_stack_traces().map_err(|e| format!("{e:#}"))?;
        Ok(self.threads(traces))
    }

    fn threads(&mut self, traces: Vec<StackTrace>) -> Vec<ThreadStack> {
        let gil_is_known = self.spy.addresses.threadstate_address != 0;
        let mut threads: Vec<ThreadStack> = traces.into_iter().map(|trace| thread(trace, gil_is_known)).collect();
        mark_main(&mut threads, self.who.pid);
        self.number(&mut threads);
        threads
    }

    /// Before 3.11 Python does not know its threads' numbers. The C library keeps a thread's identifier at the upper end of
    /// its stack, so a stack pointer belongs to the nearest identifier above it. That of a thread that runs cannot be
    /// seen, so what was found once is kept.
    fn number(&mut self, threads: &mut [ThreadStack]) {
        let pid = self.who.pid;
        if let Some(main) = threads.first_mut().filter(|thread| thread.main && thread.tid.is_none()) {
            main.tid = Some(pid);
        }
        let idents: HashSet<u64> = threads.iter().filter_map(|thread| thread.ident).collect();
        self.numbers.retain(|ident, _| idents.contains(ident));
        let unknown = |thread: &ThreadStack, numbers: &HashMap<u64, u32>| {
            thread.tid.is_none() && thread.ident.is_some_and(|ident| !numbers.contains_key(&ident))
        };
        if threads.iter().any(|thread| unknown(thread, &self.numbers)) {
            let main = threads.iter().find(|thread| thread.main).and_then(|main| main.ident);
            let found = stack_pointers(pid).into_iter().filter_map(|(tid, pointer)| {
                let above = idents.iter().filter(|ident| **ident > pointer && Some(**ident) != main);
                let nearest = above.min()?;
                (nearest - pointer < STACK_MAX).then_some((*nearest, tid))
            });
            self.numbers.extend(found);
        }
        for thread in threads.iter_mut().filter(|thread| thread.tid.is_none()) {
            thread.tid = thread.ident.and_then(|ident| self.numbers.get(&ident).copied());
        }
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
        frames: super::of_command(frames.collect()),
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

/// Of all threads but the first that do not run at this moment.
fn stack_pointers(pid: u32) -> Vec<(u32, u64)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let pointer = |task: fs::DirEntry| {
        let tid: u32 = task.file_name().to_str()?.parse().ok().filter(|tid| *tid != pid)?;
        Some((tid, stack_pointer(&fs::read_to_string(task.path().join("syscall")).ok()?)?))
    };
    tasks.filter_map(pointer).collect()
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("who", &self.who).finish_non_exhaustive()
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
    let tree = crate::child::metrics::tree(&[root.pid]);
    let mut found: Vec<&Stat> = tree.values().filter(|stat| !stat.is_dead()).collect();
    found.sort_by_key(|stat| (stat.id != root, stat.id.start_time, stat.id.pid));
    found.into_iter().take(16).map(|stat| stat.id).collect()
}
