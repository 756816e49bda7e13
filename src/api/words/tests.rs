use super::*;
use crate::model::diagnosis::{
    Doing, FdTarget, LockHeld, LockWait, MemoryEvidence, Place, ProcessEvidence, StackSource, StackTry, Stacks,
    Syscall, ThreadEvidence, ThreadStack, Tracer, Verdict,
};
use crate::model::{CommandId, Frame, ItemIndex, Rung};
use crate::store::is_hostile;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn frame(file: &str, line: u32, function: &str, source: &str) -> Frame {
    Frame { file: file.into(), line, function: function.into(), source: source.into(), locals: None }
}

fn stacks(word: &str) -> Stacks {
    let mut inner = frame("/job/scene.py", 12, "merge", "with textures:");
    inner.locals = Some(BTreeMap::from([("count".to_owned(), "3".to_owned()), (word.to_owned(), word.to_owned())]));
    let main = ThreadStack {
        name: "MainThread".into(),
        main: true,
        ident: Some(1),
        tid: Some(4711),
        gil: Some(false),
        active: Some(false),
        waits: Some(LockWait { lock: 7, kind: "Lock".into(), name: "textures".into(), owner: Some(2) }),
        holds: vec![LockHeld {
            lock: 8,
            name: "meshes".into(),
            at: Place { file: "/job/scene.py".into(), line: 11, function: String::new() },
        }],
        frames: vec![frame("<command 3>", 1, "<module>", "scene.merge()"), inner],
        ..ThreadStack::default()
    };
    let loader = ThreadStack {
        name: word.into(),
        ident: Some(2),
        daemon: true,
        waits: Some(LockWait { lock: 8, kind: "Lock".into(), name: "meshes".into(), owner: Some(1) }),
        frames: vec![frame("/job/scene.py", 30, "load", "with meshes:")],
        ..ThreadStack::default()
    };
    let failed = StackTry { source: StackSource::Outside, failed: word.into(), took: Micros(2000), paused: Micros(0) };
    let had = StackTry { source: StackSource::Inside, failed: String::new(), took: Micros(3000), paused: Micros(0) };
    Stacks {
        source: Some(StackSource::Inside),
        threads: vec![main, loader],
        moving: Some(false),
        paused: Micros(1234),
        tries: vec![failed, had],
    }
}

fn processes(word: &str) -> Vec<ProcessEvidence> {
    let syscall = Syscall {
        name: "read".into(),
        fd: Some(5),
        target: Some(FdTarget::Socket {
            protocol: "tcp".into(),
            local: "10.0.0.1:99".into(),
            peer: word.into(),
            state: "ESTABLISHED".into(),
        }),
    };
    let thread = ThreadEvidence {
        tid: 4711,
        state: "S".into(),
        wait_channel: "futex_wait".into(),
        syscall: Some(syscall),
        ..ThreadEvidence::default()
    };
    let interpreter = ProcessEvidence {
        pid: 4711,
        parent: 4000,
        name: "python3".into(),
        command: format!("python3 {word}"),
        interpreter: true,
        state: "S".into(),
        memory: 210 << 20,
        thread_count: 2,
        threads: vec![thread],
        ..ProcessEvidence::default()
    };
    let launcher = ProcessEvidence {
        pid: 4000,
        parent: 1,
        name: word.into(),
        state: "t".into(),
        tracer: Some(Tracer { pid: 9, name: word.into() }),
        ..ProcessEvidence::default()
    };
    vec![interpreter, launcher]
}

fn deadlock(word: &str) -> Diagnosis {
    Diagnosis {
        verdict: Verdict {
            doing: Doing::Deadlock { threads: vec!["MainThread".into(), word.into()] },
            confidence: Confidence::Sure,
            sentence: format!("Two threads wait for each other: MainThread and {word}."),
            advice: word.into(),
        },
        trigger: Trigger::TimedOut(WaitFor::Silence),
        stacks: stacks(word),
        processes: processes(word),
        memory: MemoryEvidence { total: 8 << 30, available: 3 << 30, ..MemoryEvidence::default() },
        session: SessionEvidence {
            at: Micros(3_600_000_000),
            command: Some(CommandId(3)),
            head: "scene.merge()".into(),
            command_since: Some(Micros(3_540_000_000)),
            started: true,
            item: Some(ItemIndex(0)),
            item_name: word.into(),
            item_since: Some(Micros(3_540_000_000)),
            typical: Some(Micros(2_500_000)),
            last_output: None,
            last_word: Some(Micros(3_599_500_000)),
            paused: false,
            cancel: false,
            barred: vec![],
            tried: vec![Rung::Interrupt],
        },
        missing: vec![word.into()],
        took: Micros(42_000),
    }
}

fn lines(of: &Diagnosis) -> Vec<String> {
    diagnosis(of, Micros(3_720_000_000), &TimeZone::UTC).into_iter().flat_map(|section| section.lines).collect()
}

#[test]
fn a_person_reads_what_was_found_out() {
    let sections = diagnosis(&deadlock("loader"), Micros(3_720_000_000), &TimeZone::UTC);
    let text: Vec<String> = sections
        .iter()
        .flat_map(|section| {
            let title = section.part.title();
            section
                .lines
                .iter()
                .map(move |line| if title.is_empty() { line.clone() } else { format!("{title}: {line}") })
        })
        .collect();
    let expected = "\
Two threads wait for each other: MainThread and loader.
sure: Python and the system say the same
loader
python: told by the child's own second thread in 3ms; the child was stopped for 1.2ms of it
python: main thread 4711, not on a CPU, waits for Lock textures, which thread loader has, has lock meshes (taken at /job/scene.py:11), the same at two looks
python:   <command 3>:1 in <module>
python:     scene.merge()
python:   /job/scene.py:12 in merge
python:     with textures:
python:   local variables of merge
python:     count = 3
python:     loader = loader
python: thread loader (daemon), waits for Lock meshes, which the main thread has
python:   /job/scene.py:30 in load: with meshes:
python: not had from outside after 2ms: loader
system: 4000 loader: stopped by a debugger, traced by loader (9), 0 % CPU, 0 B
system:   4711 python3 (runs the commands): sleeping, 0 % CPU, 210.0 MiB, 2 threads
system:     python3 loader
system:     in the system call read of fd 5, a tcp socket from 10.0.0.1:99 to loader, ESTABLISHED, waits at futex_wait
system: memory: 3.0 GiB of 8.0 GiB can be had
session: made when the silence time-out passed at 01:00:00, 2m 00s ago; that took 42ms
session: command 3 since 00:59:00, for 1m 00s: scene.merge()
session: item loader since 00:59:00, for 1m 00s; such items take 2.5s
session: no output so far; last word at 00:59:59, 500ms before
session: tried on this command: interrupt
missing: loader";
    assert_eq!(text.join("\n"), expected);
}

#[test]
fn what_is_not_known_has_no_section() {
    let nothing = Diagnosis {
        stacks: Stacks::default(),
        processes: Vec::new(),
        memory: MemoryEvidence::default(),
        session: SessionEvidence::default(),
        missing: Vec::new(),
        ..deadlock("x")
    };
    let parts: Vec<Part> = diagnosis(&nothing, Micros(0), &TimeZone::UTC).iter().map(|section| section.part).collect();
    assert_eq!(parts, [Part::Verdict, Part::Session]);
}

#[test]
fn processes_that_are_each_others_parents_are_all_shown_once() {
    let process = |pid, parent| ProcessEvidence { pid, parent, ..ProcessEvidence::default() };
    let told = system::lines(&[process(1, 2), process(2, 1), process(3, 3), process(4, 9)], &MemoryEvidence::default());
    let pids: Vec<&str> = told.iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(pids, ["4", "1", "2", "3"], "{told:#?}");
}

#[test]
fn however_much_there_is_the_lines_are_bounded() {
    let mut much = deadlock("x");
    much.stacks.threads = vec![much.stacks.threads[1].clone(); 5000];
    much.stacks.threads[0].main = true;
    much.stacks.threads[0].frames = vec![frame("a", 1, "b", "c"); 5000];
    much.processes = vec![much.processes[0].clone(); 5000];
    much.verdict.sentence = "x".repeat(1 << 20);
    let told = lines(&much);
    assert!(told.len() < 500, "{}", told.len());
    assert!(told.iter().all(|line| line.chars().count() < 4 * MOST), "{:?}", told.iter().map(String::len).max());
}

proptest! {
    #[test]
    fn whatever_the_child_says_each_line_is_one_and_safe(word in "[\\PC\u{0}-\u{9f}\u{2028}-\u{202e}]{0,30}") {
        for line in lines(&deadlock(&word)) {
            prop_assert!(!line.contains(|c| c != '\t' && is_hostile(c)), "{:?}", line);
        }
    }
}
