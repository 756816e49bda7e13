//! A row for every verdict, and for what has been taken for another one.

use super::*;
use crate::child::ProcessId;
use crate::model::diagnosis::{
    FdTarget, Gil, LockHeld, LockWait, StackSource, StackTry, Syscall, ThreadEvidence, ThreadStack, Tracer,
};
use crate::model::{CommandId, Frame, Micros, Rung};

const PID: u32 = 100;

/// Name, descriptor and what that is.
type InCall = Option<(&'static str, Option<u32>, Option<FdTarget>)>;

/// A running child whose main thread has one user frame, and everything that a row changes of it.
struct Case {
    child: ChildNow,
    stacks: Stacks,
    processes: Vec<ProcessEvidence>,
    memory: MemoryEvidence,
    session: SessionEvidence,
}

fn frame(file: &str, line: u32, function: &str, source: &str) -> Frame {
    Frame { file: file.into(), line, function: function.into(), source: source.into(), locals: None }
}

fn python(name: &str, tid: u32, frames: Vec<Frame>) -> ThreadStack {
    let (main, ident) = (tid == PID, Some(u64::from(tid)));
    ThreadStack { name: name.into(), main, tid: Some(tid), ident, gil: Some(false), frames, ..ThreadStack::default() }
}

fn native(tid: u32, wanted: f64, syscall: InCall) -> ThreadEvidence {
    let syscall = syscall.map(|(name, fd, target)| Syscall { name: name.into(), fd, target });
    let state = if wanted > 0.0 { "R" } else { "S" }.to_owned();
    ThreadEvidence { tid, state, syscall, cpu: wanted, wanted, ..ThreadEvidence::default() }
}

impl Case {
    /// Whose main thread uses so much CPU and is in this call.
    fn new(cpu: f64, syscall: InCall) -> Self {
        let process = ProcessId { pid: PID, start_time: 1 };
        let main = python("MainThread", PID, vec![frame("/shows/render.py", 88, "advance", "step()")]);
        let interpreter = ProcessEvidence {
            pid: PID,
            parent: 1,
            name: "python".into(),
            interpreter: true,
            state: "S".into(),
            cpu,
            threads: vec![native(PID, cpu, syscall)],
            ..ProcessEvidence::default()
        };
        let session = SessionEvidence {
            at: Micros(2_400_000_000),
            command: Some(CommandId(7)),
            command_since: Some(Micros(120_000_000)),
            ..SessionEvidence::default()
        };
        Self {
            child: ChildNow::Running { process, interpreter: process },
            stacks: Stacks { threads: vec![main], moving: Some(false), ..Stacks::default() },
            processes: vec![interpreter],
            memory: MemoryEvidence::default(),
            session,
        }
    }

    fn main(mut self, change: impl FnOnce(&mut ThreadStack)) -> Self {
        change(&mut self.stacks.threads[0]);
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The child was asked for its stacks, and answered or did not.
    fn inside(mut self, answered: bool) -> Self {
        let failed = if answered { String::new() } else { "no answer".into() };
        let attempt =
            StackTry { source: StackSource::Inside, failed, took: Micros::default(), paused: Micros::default() };
        self.stacks.tries.push(attempt);
        self
    }

    fn thread(mut self, stack: ThreadStack, system: ThreadEvidence) -> Self {
        self.stacks.threads.push(stack);
        self.processes[0].threads.push(system);
        self
    }

    fn child(mut self, pid: u32, name: &str) -> Self {
        let child = ProcessEvidence { pid, parent: PID, name: name.into(), state: "S".into(), ..Default::default() };
        self.processes.push(child);
        self
    }

    fn judge(&self) -> Verdict {
        judge(&Facts {
            child: self.child,
            stacks: &self.stacks,
            processes: &self.processes,
            memory: &self.memory,
            session: &self.session,
        })
    }

    /// What it does, how sure that is, and what the sentence says among other things.
    #[track_caller]
    fn is(&self, word: &str, confidence: Confidence, says: &str) -> Verdict {
        let verdict = self.judge();
        assert_eq!((verdict.doing.word(), verdict.confidence), (word, confidence), "{verdict:?}");
        assert!(verdict.sentence.contains(says), "{verdict:?}");
        assert!(verdict.sentence.ends_with('.') && !verdict.sentence.contains(".."), "{verdict:?}");
        verdict
    }
}

const FUTEX: InCall = Some(("futex", None, None));

fn file(path: &str, remote: bool) -> FdTarget {
    FdTarget::File { path: path.into(), remote }
}

#[test]
fn python_that_moves_loops() {
    let case = Case::new(99.0, None).main(|main| main.gil = Some(true)).with(|case| case.stacks.moving = Some(true));
    case.is("looping", Confidence::Sure, "Running Python at render.py:88 in advance, for 38 min");
}

#[test]
fn one_line_that_answers_loops_and_one_that_does_not_is_native() {
    let still = || Case::new(99.0, None).main(|main| main.gil = Some(true));
    still().inside(true).is("looping", Confidence::Likely, "render.py:88");
    let held = still().inside(false).is("computing", Confidence::Sure, "holds the GIL");
    assert_eq!(held.doing, Doing::Computing { gil: Gil::Held });
    still().is("computing", Confidence::Likely, "holds the GIL");
    let released = Case::new(99.0, None).is("computing", Confidence::Sure, "with the GIL released");
    assert_eq!(released.doing, Doing::Computing { gil: Gil::Released });
    // By signal alone nobody says who has the GIL, but that nothing answered does.
    Case::new(99.0, None).main(|main| main.gil = None).with(|case| case.stacks.moving = None).inside(false).is(
        "computing",
        Confidence::Likely,
        "holds the GIL",
    );
}

#[test]
fn a_busy_machine_hides_no_loop() {
    let mut case =
        Case::new(99.0, None).main(|main| main.gil = Some(true)).with(|case| case.stacks.moving = Some(true));
    case.processes[0].threads[0].cpu = 4.0;
    case.is("looping", Confidence::Sure, "");
}

#[test]
fn a_render_is_no_lock() {
    let case = Case::new(0.0, FUTEX).with(|case| {
        case.processes[0].threads.extend([native(201, 98.0, None), native(202, 97.0, None)]);
    });
    let verdict = case.is("computing", Confidence::Sure, "2 threads use 195 % of a core, with the GIL released");
    assert_eq!(verdict.doing, Doing::Computing { gil: Gil::Released });
    // Not even where the line looks like one.
    case.main(|main| main.frames[0].source = "lock.acquire()".into()).is("computing", Confidence::Sure, "");
}

#[test]
fn a_worker_that_loops_is_named_and_ours_are_not_looked_at() {
    let worker = ThreadStack {
        moving: Some(true),
        gil: Some(true),
        ..python("worker", 101, vec![frame("/x/w.py", 3, "f", "")])
    };
    let case = Case::new(0.0, FUTEX).thread(worker, native(101, 99.0, None));
    case.is("looping", Confidence::Sure, "w.py:3 in f in thread worker; the main thread is at render.py:88");
    let ours =
        ThreadStack { ours: true, gil: Some(true), ..python("childminder", 101, vec![frame("/x/b.py", 3, "f", "")]) };
    Case::new(0.0, Some(("clock_nanosleep", None, None))).thread(ours, native(101, 99.0, None)).is(
        "sleeping",
        Confidence::Sure,
        "",
    );
}

#[test]
fn a_native_call_that_sleeps_with_the_gil_is_no_sleep() {
    let case = || Case::new(0.0, Some(("clock_nanosleep", None, None))).main(|main| main.gil = Some(true));
    case().is("computing", Confidence::Likely, "waits and holds the GIL");
    case().inside(false).is("computing", Confidence::Sure, "no other Python thread can run");
    // Whoever answered had the GIL, so nobody keeps it.
    case().inside(true).is("sleeping", Confidence::Sure, "");
}

#[test]
fn sleeps_of_all_pythons_are_sleeps() {
    for call in ["clock_nanosleep", "nanosleep", "select", "pselect6"] {
        Case::new(0.0, Some((call, None, None))).is("sleeping", Confidence::Sure, "Sleeping at render.py:88");
    }
    let events = FdTarget::Other { name: "anon_inode:[eventfd]".into() };
    Case::new(0.0, Some(("epoll_wait", Some(5), Some(events)))).is("sleeping", Confidence::Likely, "event loop");
}

#[test]
fn the_network_is_known_by_its_peer() {
    let socket = |peer: &str, state: &str| FdTarget::Socket {
        protocol: "tcp".into(),
        local: "10.0.0.5:40000".into(),
        peer: peer.into(),
        state: state.into(),
    };
    for (call, state, says) in [
        ("recvfrom", "ESTABLISHED", "to answer"),
        ("poll", "ESTABLISHED", "to answer"),
        ("connect", "SYN_SENT", "to accept"),
    ] {
        let case = Case::new(0.0, Some((call, Some(4), Some(socket("10.0.0.9:5053", state)))));
        let verdict = case.is("network", Confidence::Sure, says);
        assert_eq!(verdict.doing, Doing::Network { peer: "10.0.0.9:5053".into() });
    }
    Case::new(0.0, Some(("accept4", Some(4), Some(socket("", "LISTEN"))))).is(
        "network",
        Confidence::Sure,
        "connect to 10.0.0.5:40000",
    );
    let license = FdTarget::UnixSocket { path: "/run/license.sock".into() };
    Case::new(0.0, Some(("recvmsg", Some(4), Some(license)))).is("network", Confidence::Sure, "/run/license.sock");
}

#[test]
fn a_disk_is_known_by_its_file() {
    let verdict = Case::new(0.0, Some(("read", Some(4), Some(file("/mnt/tex.exr", true))))).is(
        "disk",
        Confidence::Sure,
        "a file server in read for /mnt/tex.exr",
    );
    assert_eq!(verdict.doing, Doing::Disk { file: Some("/mnt/tex.exr".into()) });
    Case::new(0.0, Some(("fsync", Some(4), Some(file("/x", false))))).is("disk", Confidence::Sure, "a disk in fsync");
    // In the kernel's own wait, whatever the call is.
    let hung = Case::new(0.0, Some(("newfstatat", None, Some(file("/mnt/a", true)))))
        .with(|case| case.processes[0].threads[0].state = "D".into());
    assert!(hung.is("disk", Confidence::Sure, "/mnt/a").advice.contains("SIGKILL"));
    let faults = Case::new(0.0, None).with(|case| case.processes[0].threads[0].state = "D".into());
    faults.is("disk", Confidence::Likely, "");
}

#[test]
fn input_and_output_that_nobody_gives_or_takes() {
    let pipe = || Some(FdTarget::Pipe { other: None });
    assert_eq!(
        Case::new(0.0, Some(("read", Some(0), pipe()))).is("input", Confidence::Sure, "stdin").doing,
        Doing::Input { from: "stdin".into() }
    );
    let terminal = FdTarget::Terminal { path: "/dev/pts/3".into() };
    Case::new(0.0, Some(("read", Some(0), Some(terminal)))).is(
        "input",
        Confidence::Sure,
        "somebody to type into /dev/pts/3",
    );
    Case::new(0.0, Some(("write", Some(1), pipe()))).is(
        "input",
        Confidence::Sure,
        "its stdout to be read, which is full",
    );
}

#[test]
fn a_subprocess_is_known_by_the_call_or_by_the_pipe() {
    let named = FdTarget::Other { name: "oiiotool (150)".into() };
    let case = || Case::new(0.0, Some(("wait4", None, Some(named.clone())))).child(150, "oiiotool").child(151, "other");
    assert_eq!(case().judge().doing, Doing::Subprocess { pid: 150, name: "oiiotool".into() });
    let anybody = Case::new(0.0, Some(("waitid", None, None))).child(150, "oiiotool");
    anybody.is("subprocess", Confidence::Sure, "process 150 (oiiotool), which uses no CPU");
    let pipe = FdTarget::Pipe { other: Some("oiiotool (150)".into()) };
    let piped = || Case::new(0.0, Some(("poll", Some(5), Some(pipe.clone())))).child(150, "oiiotool");
    piped().is("subprocess", Confidence::Likely, "process 150");
    let library = frame("/usr/lib/python3.11/subprocess.py", 1000, "communicate", "");
    piped().main(|main| main.frames.push(library)).is("subprocess", Confidence::Sure, "at render.py:88 in advance");
    // A pipe to somebody who is no child of its own is input.
    Case::new(0.0, Some(("read", Some(5), Some(pipe)))).is("input", Confidence::Sure, "oiiotool (150)");
}

fn waits(lock: u64, owner: Option<u64>) -> LockWait {
    LockWait { lock, kind: "Lock".into(), name: "self.lock".into(), owner }
}

#[test]
fn a_cycle_of_owners_is_a_dead_lock() {
    let other = ThreadStack {
        waits: Some(waits(2, Some(u64::from(PID)))),
        ..python("other", 101, vec![frame("/x/o.py", 5, "g", "")])
    };
    let case = Case::new(0.0, FUTEX).main(|main| main.waits = Some(waits(1, None)));
    let by_holds = ThreadStack { holds: vec![LockHeld { lock: 1, ..LockHeld::default() }], ..other.clone() };
    let verdict = case.thread(by_holds, native(101, 0.0, FUTEX)).is(
        "deadlock",
        Confidence::Sure,
        "MainThread at render.py:88 in advance and other at o.py:5 in g",
    );
    assert_eq!(verdict.doing, Doing::Deadlock { threads: vec!["MainThread".into(), "other".into()] });
    let own = Case::new(0.0, FUTEX).main(|main| main.waits = Some(waits(1, Some(u64::from(PID)))));
    own.is("deadlock", Confidence::Sure, "a lock that it has itself");
    // The main thread waits for two others who wait for each other.
    let joins = Case::new(0.0, FUTEX)
        .main(|main| main.waits = Some(waits(9, Some(101))))
        .thread(ThreadStack { waits: Some(waits(2, Some(102))), ..other.clone() }, native(101, 0.0, FUTEX))
        .thread(
            ThreadStack { waits: Some(waits(3, Some(101))), ..python("third", 102, Vec::new()) },
            native(102, 0.0, FUTEX),
        );
    assert_eq!(joins.judge().doing, Doing::Deadlock { threads: vec!["other".into(), "third".into()] });
}

#[test]
fn a_lock_with_a_holder_names_it() {
    let holder = python("loader", 101, vec![frame("/x/l.py", 7, "load", "")]);
    let case = Case::new(0.0, FUTEX)
        .main(|main| main.waits = Some(waits(1, Some(101))))
        .thread(holder, native(101, 0.0, Some(("read", None, None))));
    let verdict = case.is(
        "lock",
        Confidence::Sure,
        "for the Lock self.lock, which thread loader has; that one is at l.py:7 in load",
    );
    assert!(matches!(verdict.doing, Doing::Lock { holder: Some(name), .. } if name == "loader"));
}

#[test]
fn from_outside_a_dead_lock_takes_two_plain_locks_and_nobody_else() {
    let at_lock = |main: &mut ThreadStack| main.frames[0].source = "with lock:".into();
    let locked = || python("other", 101, vec![frame("/x/o.py", 5, "g", "b.acquire()")]);
    let case = || Case::new(0.0, FUTEX).main(at_lock).thread(locked(), native(101, 0.0, FUTEX));
    case().is("deadlock", Confidence::Likely, "Probably dead-locked");
    // A third one sleeps and may release a lock later.
    let sleeper = python("sleeper", 102, vec![frame("/x/s.py", 5, "h", "time.sleep(9)")]);
    case().thread(sleeper, native(102, 0.0, Some(("clock_nanosleep", None, None)))).is(
        "lock",
        Confidence::Likely,
        "for a lock",
    );
    // An idle pool does not matter.
    let idle = python("pool", 102, vec![frame("/usr/lib/python3.11/concurrent/futures/thread.py", 81, "_worker", "")]);
    case().thread(idle, native(102, 0.0, FUTEX)).is("deadlock", Confidence::Likely, "");
    // Waiting for a queue is none.
    let queue = [
        frame("/usr/lib/python3.11/queue.py", 171, "get", ""),
        frame("/usr/lib/python3.11/threading.py", 320, "wait", ""),
    ];
    Case::new(0.0, FUTEX).main(|main| main.frames.extend(queue)).is(
        "lock",
        Confidence::Likely,
        "a queue that another thread should fill",
    );
}

#[test]
fn who_has_the_gil_and_sleeps_keeps_all_waiting() {
    let holder = ThreadStack { gil: Some(true), ..python("loader", 101, vec![frame("/x/l.py", 7, "load", "")]) };
    let case =
        Case::new(0.0, FUTEX).thread(holder, native(101, 0.0, Some(("clock_nanosleep", None, None)))).inside(false);
    let verdict = case.is("computing", Confidence::Sure, "by thread loader at l.py:7");
    assert_eq!(verdict.doing, Doing::Computing { gil: Gil::Held });
}

#[test]
fn stopped_by_whom() {
    let state = |state: &'static str| Case::new(0.0, None).with(move |case| case.processes[0].state = state.into());
    assert_eq!(state("T").is("stopped", Confidence::Sure, "signal").doing, Doing::Stopped { by: StoppedBy::Signal });
    let paused = state("T").with(|case| case.session.paused = true);
    assert_eq!(paused.judge().doing, Doing::Stopped { by: StoppedBy::Operator });
    let traced = state("t").with(|case| case.processes[0].tracer = Some(Tracer { pid: 9, name: "gdb".into() }));
    assert!(traced.is("stopped", Confidence::Sure, "gdb (9)").advice.contains("debugger"));
    // One that is traced and runs is not stopped.
    let strace = Case::new(0.0, Some(("nanosleep", None, None)))
        .with(|case| case.processes[0].tracer = Some(Tracer { pid: 9, name: "strace".into() }));
    strace.is("sleeping", Confidence::Sure, "");
}

#[test]
fn memory_that_ran_out_or_is_about_to() {
    let killed = |count| {
        Case::new(0.0, None).with(|case| {
            case.child = ChildNow::Exited { exit: Exit::Signal(SignalName(9)) };
            case.processes.clear();
            case.memory =
                MemoryEvidence { killed_since_start: count, limit: Some(8 << 30), ..MemoryEvidence::default() };
        })
    };
    killed(1).is("memory", Confidence::Likely, "its control group may use 8.0 GiB");
    killed(0).is("exited", Confidence::Sure, "killed by SIGKILL");
    let faulting = || Case::new(5.0, None).with(|case| case.processes[0].faults = 2000.0);
    faulting().is("memory", Confidence::Likely, "2000 pages a second");
    faulting().with(|case| case.memory.pressure = Some(80.0)).is("memory", Confidence::Sure, "");
    // Reading a scene for the first time faults too, and gets on.
    Case::new(90.0, None).with(|case| case.processes[0].faults = 2000.0).is("computing", Confidence::Sure, "");
}

#[test]
fn gone_starting_idle_and_unknown() {
    let ended = Case::new(0.0, None).with(|case| case.processes[0].state = "Z".into());
    ended.is("exited", Confidence::Sure, "has ended");
    let none = Case::new(0.0, None).with(|case| case.child = ChildNow::Exited { exit: Exit::Unknown });
    none.is("exited", Confidence::Sure, "There is no child");
    let starting = |call: &'static str| {
        Case::new(0.0, Some((call, Some(3), Some(file("/mnt/scene.blend", true))))).with(|case| {
            case.child = ChildNow::Starting { process: ProcessId { pid: PID, start_time: 1 } };
            case.session.command = None;
        })
    };
    starting("read").is(
        "starting",
        Confidence::Likely,
        "Meanwhile: Waiting at render.py:88 in advance for a file server",
    );
    let idle = || Case::new(0.0, Some(("epoll_wait", Some(3), None))).with(|case| case.session.command = None);
    idle().is("idle", Confidence::Likely, "Idle");
    idle().inside(true).is("idle", Confidence::Sure, "Idle");
    let busy = Case::new(99.0, None).with(|case| case.session.command = None);
    busy.is("computing", Confidence::Sure, "No command runs, but: Computing");
    let blind = Case::new(0.0, None).with(|case| case.stacks.threads.clear());
    blind.is("unresponsive", Confidence::Guess, "could not be read");
    let gone = Case::new(0.0, None).with(|case| case.processes.clear());
    gone.is("unresponsive", Confidence::Guess, "The system tells nothing");
}

#[test]
fn how_long_such_items_take_is_said_when_it_matters() {
    let case = |since| {
        Case::new(99.0, None).with(move |case| {
            case.session.typical = Some(Micros(40_000_000));
            case.session.item_since = Some(Micros(case.session.at.0 - since));
        })
    };
    case(2_280_000_000).is("computing", Confidence::Sure, ", for 38 min. Such items take about 40 s.");
    assert!(!case(1_000_000).judge().sentence.contains("Such items"));
}

#[test]
fn the_innermost_line_of_the_user_is_shown_not_the_librarys() {
    let inner = [
        frame("/usr/lib/python3.11/site-packages/studio/io.py", 12, "load", ""),
        frame("/opt/python/lib/python3.11/json/decoder.py", 340, "decode", ""),
        frame("<frozen importlib._bootstrap>", 1, "x", ""),
    ];
    let case = Case::new(99.0, None).main(|main| {
        main.frames.extend(inner);
        main.gil = Some(true);
        main.moving = Some(true);
    });
    case.is("looping", Confidence::Sure, "io.py:12 in load");
}

#[test]
fn whoever_only_answers_us_is_idle() {
    let resting = || {
        let answering = frame("/x/child_bootstrapper.py", 884, "threads_now", "");
        Case::new(7.0, None).inside(true).with(|case| case.session.command = None).main(|main| {
            main.frames = vec![frame("/x/host.py", 1, "startup", ""), answering];
            main.gil = Some(true);
        })
    };
    let idle = resting().is("idle", Confidence::Sure, "Idle: no command runs");
    assert!(!idle.sentence.contains("CPU"), "{idle:?}");
    let worker =
        ThreadStack { moving: Some(true), gil: Some(true), ..python("W", 101, vec![frame("/x/w.py", 3, "f", "")]) };
    let works = resting().thread(worker, native(101, 99.0, None)).is("looping", Confidence::Sure, "in f in thread W");
    assert!(!works.sentence.contains("bootstrapper"), "{works:?}");
    let natives = resting().with(|case| case.processes[0].threads.push(native(201, 98.0, None)));
    let natives = natives.is("computing", Confidence::Sure, "No command runs, but");
    assert!(!natives.sentence.contains("bootstrapper"), "{natives:?}");
    // The same lines under a command are the command's.
    let runs = resting().with(|case| case.session.command = Some(CommandId(7)));
    runs.is("looping", Confidence::Likely, "Running Python");
}

#[test]
fn whoever_gets_no_cpu_is_neither_in_native_code_nor_waiting() {
    let starved = |cpu, wanted, call| {
        Case::new(cpu, call).inside(false).main(|main| main.gil = Some(true)).with(move |case| {
            let main = &mut case.processes[0].threads[0];
            (main.state, main.wanted) = ("R".into(), wanted);
        })
    };
    // One that stands in line all the time has not even wanted anything yet.
    for (cpu, wanted) in [(12.0, 98.0), (0.0, 0.0)] {
        for call in [None, FUTEX] {
            let loops = starved(cpu, wanted, call).is("looping", Confidence::Guess, "Running Python at render.py:88");
            assert!(!loops.advice.contains("only when"), "{loops:?}");
        }
    }
    let library = frame("/usr/lib/python3.11/re/__init__.py", 166, "match", "");
    let in_library = starved(12.0, 98.0, None).main(|main| main.frames.push(library));
    assert_eq!(in_library.is("computing", Confidence::Guess, "holds the GIL").advice, "");
    // It has handed the GIL to our own thread, which has not got a CPU either.
    let ours = ThreadStack { ours: true, gil: Some(true), ..python("childminder", 101, Vec::new()) };
    Case::new(0.0, FUTEX).thread(ours, native(101, 0.0, None)).is("looping", Confidence::Guess, "Running Python");
    let between = starved(20.0, 20.0, FUTEX).with(|case| case.processes[0].threads[0].state = "S".into());
    between.is("looping", Confidence::Guess, "Running Python");
}

#[test]
fn a_host_that_can_cancel_is_told_to() {
    let cancels = |case: Case| case.with(|case| case.session.cancel = true).judge().advice;
    assert!(cancels(Case::new(99.0, None)).contains("--from cancel --to cancel"));
    let render = Case::new(0.0, FUTEX).with(|case| case.processes[0].threads.push(native(201, 98.0, None)));
    assert!(cancels(render).contains("--from cancel --to cancel"));
    // Its cancel is Python, which the GIL keeps from running.
    let held = Case::new(99.0, None).main(|main| main.gil = Some(true)).inside(false);
    assert!(cancels(held).contains("only when the native code returns"));
}

#[test]
fn an_event_loop_that_has_nothing_to_do_waits_for_nobody_else() {
    let socket = FdTarget::UnixSocket { path: String::new() };
    let case = |file: &str| {
        let library = frame(file, 468, "select", "");
        Case::new(0.0, Some(("epoll_wait", Some(5), Some(socket.clone())))).main(|main| main.frames.push(library))
    };
    for file in ["/usr/lib/python3.11/selectors.py", "/usr/lib/python3.11/asyncio/base_events.py"] {
        case(file).is("sleeping", Confidence::Likely, "Waiting at render.py:88 in advance in its event loop");
    }
    case("/usr/lib/python3.11/multiprocessing/connection.py").is("network", Confidence::Sure, "an unnamed socket");
}

#[test]
fn before_the_hello_nothing_is_advised_that_needs_it() {
    let starting = Case::new(99.0, None).main(|main| main.frames.clear()).with(|case| {
        case.child = ChildNow::Starting { process: ProcessId { pid: PID, start_time: 1 } };
        case.session.command = None;
    });
    let verdict = starting.is("starting", Confidence::Likely, "Meanwhile: Computing in native code");
    assert!(verdict.advice.is_empty() && !verdict.sentence.contains("unknown line"), "{verdict:?}");
}

#[test]
fn locks_have_their_articles_and_fifos_their_names() {
    let event = LockWait { lock: 1, kind: "Event".into(), ..LockWait::default() };
    Case::new(0.0, FUTEX).main(|main| main.waits = Some(event)).is("lock", Confidence::Likely, "for an Event");
    for target in [file("/shows/told", false), FdTarget::Other { name: "told".into() }] {
        let case = Case::new(0.0, Some(("openat", None, Some(target))));
        let case = case.with(|case| case.processes[0].threads[0].wait_channel = "wait_for_partner".into());
        case.is("input", Confidence::Sure, "told");
    }
}

#[test]
fn nobody_is_advised_to_interrupt_a_child_that_hears_no_interrupt() {
    let sleeps = || Case::new(0.0, Some(("clock_nanosleep", None, None)));
    let advice = |case: Case| case.judge().advice;
    assert_eq!(advice(sleeps()), "An interrupt ends the sleep and keeps what is loaded.");
    let deaf = |case: Case| advice(case.with(|case| case.session.barred = vec![Rung::Interrupt]));
    let loops =
        || Case::new(99.0, None).main(|main| main.gil = Some(true)).with(|case| case.stacks.moving = Some(true));
    let native = || Case::new(99.0, None);
    for case in [sleeps(), loops(), native()] {
        let advice = deaf(case);
        assert!(advice.contains("No interrupt is possible") && advice.contains("terminate"), "{advice}");
    }
    let cancels = native().with(|case| case.session.cancel = true);
    assert!(deaf(cancels).contains("--from cancel"), "the host's own way is another matter");
}
