//! What the system tells of the child and everything below it.
//!
//! What must stay true:
//! - The child is not disturbed: everything is read, nothing is stopped or asked for.
//! - The work is bounded, whatever the tree looks like: so many processes, so many threads of each, so many descriptors.
//! - A process may end between any two reads, and much may be forbidden: what cannot be read is left out.
//!
//! Rates need two looks. The first is cheap and may be taken long before the question.

mod files;
mod memory;
mod syscall;
mod target;

pub use memory::MemoryMark;
pub(super) use syscall::stack_pointer;

use crate::child::metrics;
use crate::child::proc::{self, Stat};
use crate::model::Micros;
use crate::model::diagnosis::{FdTarget, ProcessEvidence, Syscall, ThreadEvidence, Tracer};
use files::SMALL;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};
use syscall::{Call, Takes};
use target::Descriptors;

/// So many processes of a tree are looked at: the interpreter, the one that was started, and the busiest.
const PROCESSES_MAX: usize = 64;

/// So many threads of a process are told of: the main one and the busiest.
const THREADS_MAX: usize = 64;

/// So many threads of a process are looked at to find the busiest.
const THREADS_LOOKED_AT: usize = 2048;

/// A longer command line is cut.
const COMMAND_MAX: u64 = 4096;

/// So many descriptors of a set are looked at.
const SET_MAX: usize = 16;

/// A longer path is not believed.
const PATH_MAX: usize = 4096;

/// What had been used by a moment.
#[derive(Debug)]
pub struct Look {
    at: Instant,
    processes: HashMap<u32, Seen>,
}

#[derive(Debug)]
struct Seen {
    stat: Stat,
    read: u64,
    written: u64,
    threads: HashMap<u32, Task>,
}

/// A thread.
#[derive(Debug)]
struct Task {
    stat: Stat,
    times: Times,
}

/// How long a thread was on a CPU, and how long it wanted one and others had them, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    ran: u64,
    waited: u64,
}

impl Times {
    /// By the scheduler itself; by ticks where it does not tell.
    fn of(folder: &str, stat: &Stat) -> Self {
        let told = files::text(&format!("{folder}/schedstat"), SMALL);
        let told = told.and_then(|text| {
            let mut numbers = text.split_ascii_whitespace().map_while(|word| word.parse().ok());
            Some(Self { ran: numbers.next()?, waited: numbers.next()? })
        });
        told.unwrap_or_else(|| {
            let tick = Duration::from_secs(1).div_f64(proc::ticks_per_second());
            let nanoseconds = u64::try_from(tick.as_nanos()).unwrap_or(u64::MAX);
            Self { ran: stat.own_time.saturating_mul(nanoseconds), waited: 0 }
        })
    }
}

impl Look {
    /// At the tree below `root` and at the interpreter, wherever it is.
    pub fn now(root: u32, interpreter: Option<u32>) -> Self {
        let at = Instant::now();
        let roots: Vec<u32> = std::iter::once(root).chain(interpreter).collect();
        let mut stats: Vec<Stat> = metrics::tree(&roots).into_values().collect();
        stats.sort_by_key(|stat| {
            let pid = stat.id.pid;
            (Some(pid) != interpreter, pid != root, Reverse(stat.own_time), pid)
        });
        stats.truncate(PROCESSES_MAX);
        Self { at, processes: stats.into_iter().map(|stat| (stat.id.pid, Seen::now(stat))).collect() }
    }

    /// How long ago it was.
    pub(super) fn age(&self) -> Duration {
        self.at.elapsed()
    }
}

impl Seen {
    fn now(stat: Stat) -> Self {
        let pid = stat.id.pid;
        let io = files::text(&format!("/proc/{pid}/io"), SMALL).unwrap_or_default();
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let threads = tasks.take(THREADS_LOOKED_AT).filter_map(|task| {
            let tid: u32 = task.file_name().to_str()?.parse().ok()?;
            let folder = format!("/proc/{pid}/task/{tid}");
            let stat = Stat::parse(tid, &fs::read(format!("{folder}/stat")).ok()?)?;
            Some((tid, Task { stat, times: Times::of(&folder, &stat) }))
        });
        Self {
            stat,
            read: files::number(&io, "read_bytes").unwrap_or(0),
            written: files::number(&io, "write_bytes").unwrap_or(0),
            threads: threads.collect(),
        }
    }
}

/// The threads of a process that are on a CPU or want one, at this moment.
pub(super) fn running_threads(pid: u32) -> HashSet<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let running = tasks.take(THREADS_LOOKED_AT).filter_map(|task| {
        let tid: u32 = task.file_name().to_str()?.parse().ok()?;
        let stat = Stat::parse(tid, &fs::read(task.path().join("stat")).ok()?)?;
        (stat.state == b'R').then_some(tid)
    });
    running.collect()
}

/// How a process is called in texts: `name (pid)`.
pub(super) fn called(name: &str, pid: u32) -> String {
    format!("{name} ({pid})")
}

/// What the system tells now, with rates since the earlier look. The interpreter comes first; where none is known, the
/// process that was started does.
pub fn since(before: &Look, root: u32, interpreter: Option<u32>) -> Vec<ProcessEvidence> {
    let now = Look::now(root, interpreter);
    let first = interpreter.filter(|pid| now.processes.contains_key(pid)).unwrap_or(root);
    let names: HashMap<u32, String> =
        now.processes.keys().map(|pid| (*pid, name_of(&format!("/proc/{pid}/comm")))).collect();
    let descriptors = Descriptors::new(names.iter().map(|(pid, name)| (*pid, called(name, *pid))).collect());
    let rates = Rates { before, now: &now, ticks: proc::ticks_per_second() };
    let mut evidence: Vec<ProcessEvidence> =
        now.processes.values().map(|seen| process(seen, &names, &rates, &descriptors)).collect();
    for process in &mut evidence {
        process.interpreter = process.pid == first;
    }
    evidence.sort_by(|a, b| {
        let rank = |process: &ProcessEvidence| (!process.interpreter, process.pid != root);
        rank(a).cmp(&rank(b)).then(b.cpu.total_cmp(&a.cpu)).then(a.pid.cmp(&b.pid))
    });
    evidence
}

/// In percent of one core.
#[derive(Debug, Clone, Copy)]
struct Load {
    cpu: f64,
    wanted: f64,
}

struct Rates<'a> {
    before: &'a Look,
    now: &'a Look,
    ticks: f64,
}

impl Rates<'_> {
    #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact to the bit")]
    fn per_second(&self, before: u64, now: u64) -> f64 {
        let seconds = self.now.at.duration_since(self.before.at).as_secs_f64();
        if seconds > 0.0 { now.saturating_sub(before) as f64 / seconds } else { 0.0 }
    }

    /// The same process or thread at the earlier look; one that has begun since then has used nothing by then.
    fn earlier(&self, stat: &Stat) -> Option<&Seen> {
        self.before.processes.get(&stat.id.pid).filter(|seen| seen.stat.id == stat.id)
    }

    fn load(&self, before: Times, now: Times) -> Load {
        let percent = |before, now| self.per_second(before, now) / 1e7;
        let cpu = percent(before.ran, now.ran);
        Load { cpu, wanted: cpu + percent(before.waited, now.waited) }
    }

    fn cpu(&self, before: Option<&Stat>, now: &Stat) -> f64 {
        100.0 * self.per_second(before.map_or(0, |before| before.own_time), now.own_time) / self.ticks
    }
}

fn process(seen: &Seen, names: &HashMap<u32, String>, rates: &Rates<'_>, descriptors: &Descriptors) -> ProcessEvidence {
    let pid = seen.stat.id.pid;
    let earlier = rates.earlier(&seen.stat);
    let status = files::text(&format!("/proc/{pid}/status"), SMALL).unwrap_or_default();
    let tracer = files::number(&status, "TracerPid").and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
    // Counted over its whole life if it began after the earlier look.
    let rate = |now: u64, then: fn(&Seen) -> u64| rates.per_second(earlier.map_or(0, then), now);
    let mut threads: Vec<(Load, &Stat)> = seen
        .threads
        .values()
        .map(|task| {
            let before = earlier.and_then(|seen| seen.threads.get(&task.stat.id.pid));
            let before = before.filter(|before| before.stat.id == task.stat.id);
            (rates.load(before.map(|before| before.times).unwrap_or_default(), task.times), &task.stat)
        })
        .collect();
    threads.sort_by(|(a, first), (b, second)| {
        let main = |stat: &Stat| stat.id.pid != pid;
        main(first).cmp(&main(second)).then(b.wanted.total_cmp(&a.wanted)).then(first.id.pid.cmp(&second.id.pid))
    });
    threads.truncate(THREADS_MAX);
    ProcessEvidence {
        pid,
        parent: seen.stat.parent,
        name: names.get(&pid).cloned().unwrap_or_default(),
        command: command_line(pid),
        interpreter: false,
        state: letter(seen.stat.state),
        tracer: tracer.map(|pid| Tracer { pid, name: name_of(&format!("/proc/{pid}/comm")) }),
        cpu: rates.cpu(earlier.map(|seen| &seen.stat), &seen.stat),
        read: rate(seen.read, |seen| seen.read),
        written: rate(seen.written, |seen| seen.written),
        faults: rate(seen.stat.major_faults, |seen| seen.stat.major_faults),
        over: Micros::from(rates.now.at.duration_since(rates.before.at)),
        memory: seen.stat.resident.saturating_mul(proc::page_size()),
        swap: files::number(&status, "VmSwap").unwrap_or(0).saturating_mul(1024),
        threads: threads.into_iter().map(|(load, stat)| thread(pid, stat, load, names, descriptors)).collect(),
        thread_count: seen.stat.threads,
    }
}

fn thread(
    pid: u32,
    stat: &Stat,
    load: Load,
    names: &HashMap<u32, String>,
    descriptors: &Descriptors,
) -> ThreadEvidence {
    let tid = stat.id.pid;
    let task = format!("/proc/{pid}/task/{tid}");
    let channel = files::text(&format!("{task}/wchan"), SMALL).unwrap_or_default();
    let channel = if channel == "0" { String::new() } else { channel };
    let line = files::text(&format!("{task}/syscall"), SMALL).unwrap_or_default();
    let call = Call::parse(&line, &channel);
    ThreadEvidence {
        tid,
        name: name_of(&format!("{task}/comm")),
        state: letter(stat.state),
        wait_channel: channel,
        syscall: call.map(|call| system_call(pid, &call, names, descriptors)),
        cpu: load.cpu,
        wanted: load.wanted,
    }
}

fn system_call(pid: u32, call: &Call, names: &HashMap<u32, String>, descriptors: &Descriptors) -> Syscall {
    let name = call.shown();
    let of_set = |fds: Vec<u32>| {
        let targets = fds.into_iter().take(SET_MAX).filter_map(|fd| Some((fd, descriptors.target(pid, fd)?)));
        // The first of equals: a program lists what it cares for first.
        let best =
            targets.reduce(|best, next| if target::tells(&next.1) > target::tells(&best.1) { next } else { best });
        best.map_or((None, None), |(fd, target)| (Some(fd), Some(target)))
    };
    let waits_for = |child: Option<u32>| {
        let called = child.map(|child| called(names.get(&child).map_or("", String::as_str), child));
        (None, called.map(|name| FdTarget::Other { name }))
    };
    let (fd, target) = match call.takes {
        Takes::Fd => (call.fd(), call.fd().and_then(|fd| descriptors.target(pid, fd))),
        Takes::Poll => of_set(polled(pid, call)),
        Takes::Select => of_set(selected(pid, call)),
        Takes::Epoll => of_set(call.fd().map(|fd| registered(pid, fd)).unwrap_or_default()),
        Takes::Pid => waits_for(low_half(call.arguments[0]).filter(|pid| pid.cast_signed() > 0)),
        Takes::Id => waits_for(waited_id(pid, call)),
        Takes::Path => (None, path(pid, call.arguments[0]).map(|path| descriptors.named(pid, path))),
        Takes::PathAt => (None, path(pid, call.arguments[1]).map(|path| descriptors.named(pid, path))),
        Takes::Other => (None, None),
    };
    Syscall { name, fd, target }
}

/// The process that `waitid` waits for, if it is a certain one.
fn waited_id(pid: u32, call: &Call) -> Option<u32> {
    let [kind, id, ..] = call.arguments;
    match u32::try_from(kind).ok()? {
        libc::P_PID => low_half(id),
        libc::P_PIDFD => {
            let info = files::text(&format!("/proc/{pid}/fdinfo/{}", low_half(id)?), SMALL)?;
            u32::try_from(files::number(&info, "Pid")?).ok()
        }
        _ => None,
    }
}

/// An `int` in a register: the upper half may hold anything.
fn low_half(argument: u64) -> Option<u32> {
    u32::try_from(argument & u64::from(u32::MAX)).ok()
}

/// The descriptors of an array of `struct pollfd { int fd; short events; short revents; }`.
fn polled(pid: u32, call: &Call) -> Vec<u32> {
    let [array, count, ..] = call.arguments;
    let count = usize::try_from(count).unwrap_or(0).min(SET_MAX);
    let bytes = remembered(pid, array, count * 8).unwrap_or_default();
    let fd = |entry: &[u8]| i32::from_ne_bytes([entry[0], entry[1], entry[2], entry[3]]);
    bytes.chunks_exact(8).filter_map(|entry| u32::try_from(fd(entry)).ok()).collect()
}

/// The descriptors whose bits are set, in the order of the sets.
fn selected(pid: u32, call: &Call) -> Vec<u32> {
    let [count, sets @ ..] = call.arguments;
    let count = usize::try_from(count).unwrap_or(0).min(1024);
    let sets = sets.iter().take(3).filter(|set| **set != 0);
    let bits = sets.filter_map(|set| remembered(pid, *set, count.div_ceil(64) * 8)).flat_map(|bytes| {
        let set = move |fd: &usize| bytes.get(fd / 8).is_some_and(|byte| byte >> (fd % 8) & 1 == 1);
        (0..count).filter(set).collect::<Vec<usize>>()
    });
    bits.filter_map(|fd| u32::try_from(fd).ok()).collect()
}

/// The descriptors that an epoll stands for.
fn registered(pid: u32, fd: u32) -> Vec<u32> {
    let info = files::text(&format!("/proc/{pid}/fdinfo/{fd}"), SMALL).unwrap_or_default();
    let lines = info.lines().filter_map(|line| line.strip_prefix("tfd:"));
    lines.filter_map(|rest| rest.split_ascii_whitespace().next()?.parse().ok()).collect()
}

fn path(pid: u32, address: u64) -> Option<String> {
    // Not in one piece: the page behind a short path may not be there.
    let page = usize::try_from(proc::page_size()).ok()?;
    let until_page_ends = page - usize::try_from(address).ok()? % page;
    let bytes = remembered(pid, address, until_page_ends.min(PATH_MAX))?;
    let end = memchr::memchr(0, &bytes)?;
    Some(String::from_utf8_lossy(&bytes[..end]).into_owned()).filter(|path| !path.is_empty())
}

/// What stands in the memory of a process.
fn remembered(pid: u32, address: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    File::open(format!("/proc/{pid}/mem")).ok()?.read_exact_at(&mut bytes, address).ok()?;
    Some(bytes)
}

fn command_line(pid: u32) -> String {
    let text = files::text(&format!("/proc/{pid}/cmdline"), COMMAND_MAX).unwrap_or_default();
    text.trim_end_matches('\0').replace('\0', " ")
}

fn name_of(path: &str) -> String {
    files::text(path, SMALL).unwrap_or_default().trim_end_matches('\n').to_owned()
}

fn letter(state: u8) -> String {
    char::from(state).to_string()
}
