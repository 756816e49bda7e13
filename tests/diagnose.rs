//! Real children that are stuck in every way, and what is said of them.
#![allow(clippy::panic, clippy::print_stderr, clippy::unwrap_used, reason = "this file is a test, its helpers too")]

#[path = "common/hosts.rs"]
mod hosts;

use childminder::child::ProcessId;
use childminder::diagnose::{ChildNow, Diagnoser, MemoryMark, Question};
use childminder::model::diagnosis::{Confidence, Gil, Place, StackSource, StoppedBy};
use childminder::model::{CommandId, Diagnosis, Doing};
use hosts::Python;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
const BOUND: Duration = Duration::from_mins(1);

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/children/hangs.py")
}

/// A child that is about to be stuck; ended with the test.
struct Stuck {
    child: Child,
    diagnoser: Diagnoser,
    /// The function of the script.
    way: String,
}

impl Drop for Stuck {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stuck {
    fn start(python: &Path, way: &str, argument: &str) -> Self {
        Self::start_with(python, way, argument, Stdio::null())
    }

    fn start_with(python: &Path, way: &str, argument: &str, stdin: Stdio) -> Self {
        let mut command = Command::new(python);
        command.arg("-u").arg(script()).args([way, argument]).stdin(stdin).stdout(Stdio::piped());
        command.env_remove("PYTHONHOME").env_remove("PYTHONPATH");
        Self::ready(command, way)
    }

    /// Waits until it says that it is.
    fn ready(mut command: Command, way: &str) -> Self {
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let stuck = Self { child, diagnoser: Diagnoser::default(), way: way.to_owned() };
        let mut line = String::new();
        while !line.ends_with("ready\n") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "{way}: the child ended");
        }
        // What it says later must not block it.
        std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
        stuck
    }

    fn id(&self) -> ProcessId {
        ProcessId::now(self.child.id()).unwrap()
    }

    fn question(&self) -> Question {
        let process = self.id();
        let mut question =
            Question::new(ChildNow::Running { process, interpreter: process }, MemoryMark::of(process.pid));
        question.session.command = Some(CommandId(1));
        question
    }

    /// Asks until it is doing what it should: it may not be there yet.
    async fn until(&self, wanted: impl Fn(&Doing) -> bool) -> Diagnosis {
        let begun = Instant::now();
        loop {
            let diagnosis = self.diagnoser.diagnose(self.question()).await;
            if wanted(&diagnosis.verdict.doing) {
                eprintln!("{}: {} [{:?}]", self.way, diagnosis.verdict.sentence, diagnosis.verdict.confidence);
                return diagnosis;
            }
            assert!(begun.elapsed() < BOUND / 4, "{}: {diagnosis:#?}", self.way);
        }
    }

    /// The place of the script's line that ends with this comment, within the function of the same name.
    fn place(&self, comment: &str) -> (String, u32) {
        place(&self.way, comment)
    }
}

fn place(function: &str, comment: &str) -> (String, u32) {
    let text = std::fs::read_to_string(script()).unwrap();
    let inside = text.lines().enumerate().skip_while(|(_, line)| !line.starts_with(&format!("def {function}(")));
    let (number, _) = inside.skip(1).find(|(_, line)| line.ends_with(&format!("# {comment}"))).unwrap();
    (script().to_str().unwrap().to_owned(), u32::try_from(number).unwrap() + 1)
}

fn of(place: &Place) -> (String, u32) {
    (place.file.clone(), place.line)
}

fn newest() -> Python {
    hosts::pythons().into_iter().rfind(|python| python.family == "python").unwrap()
}

fn cpythons() -> Vec<Python> {
    hosts::pythons().into_iter().filter(|python| python.family == "python").collect()
}

#[tokio::test]
async fn a_loop_is_found_in_every_python() {
    for python in cpythons() {
        let stuck = Stuck::start(&python.path, "loops", "");
        let diagnosis = stuck.until(|doing| matches!(doing, Doing::Looping { .. })).await;
        let Doing::Looping { at } = &diagnosis.verdict.doing else { unreachable!() };
        let (file, line) = stuck.place("loops");
        assert_eq!(at.file, file, "{}", python.name());
        assert!((line - 2..=line + 1).contains(&at.line), "{}: {at}", python.name());
        assert_eq!(diagnosis.stacks.source, Some(StackSource::Outside));
        assert_eq!(diagnosis.stacks.moving, Some(true));
        // Python 2.7 is never stopped; others are, unless the machine is too busy, which is said.
        let doubted = diagnosis.missing.iter().any(|missing| missing.contains("may not be of one moment"));
        assert_ne!(diagnosis.stacks.paused.0 > 0, doubted, "{}", python.name());
        assert!(doubted || python.version >= (3, 0), "{}", python.name());
        assert!(diagnosis.processes[0].threads[0].wanted > 50.0);
        let source = &diagnosis.stacks.threads[0].frames.last().unwrap().source;
        assert!(source.contains("number") || source == "while True:", "{source}");
        assert_eq!(diagnosis.processes[0].state.as_str(), "R", "{}", python.name());
    }
}

#[tokio::test]
async fn a_sleep_is_found_in_every_python() {
    for python in cpythons() {
        let stuck = Stuck::start(&python.path, "sleeps", "");
        let diagnosis = stuck.until(|doing| matches!(doing, Doing::Sleeping { .. })).await;
        let Doing::Sleeping { at } = &diagnosis.verdict.doing else { unreachable!() };
        assert_eq!(of(at), stuck.place("sleeps"), "{}", python.name());
        assert_eq!(diagnosis.verdict.confidence, Confidence::Sure, "{}", python.name());
        // It stood still, so it was not stopped.
        assert_eq!(diagnosis.stacks.paused.0, 0);
    }
}

#[tokio::test]
async fn native_code_with_the_gil_is_told_from_a_sleep_and_from_a_loop() {
    for python in cpythons() {
        for way in ["sleeps_with_gil", "computes_with_gil"] {
            let stuck = Stuck::start(&python.path, way, "");
            let held = |doing: &Doing| matches!(doing, Doing::Computing { gil: Gil::Held });
            let diagnosis = stuck.until(held).await;
            let innermost = diagnosis.stacks.threads[0].frames.last().unwrap();
            assert_eq!((innermost.file.clone(), innermost.line), stuck.place("holds"), "{}", python.name());
        }
    }
}

#[tokio::test]
async fn native_code_without_the_gil_is_seen_by_its_cpu() {
    for python in cpythons() {
        let stuck = Stuck::start(&python.path, "computes_without_gil", "");
        let diagnosis = stuck.until(|doing| matches!(doing, Doing::Computing { gil: Gil::Released })).await;
        let innermost = diagnosis.stacks.threads[0].frames.last().unwrap();
        assert_eq!((innermost.file.clone(), innermost.line), stuck.place("releases"), "{}", python.name());
    }
}

#[tokio::test]
async fn a_worker_that_loops_is_named() {
    let stuck = Stuck::start(&newest().path, "loops_in_worker", "");
    let diagnosis = stuck.until(|doing| matches!(doing, Doing::Looping { .. })).await;
    let sentence = &diagnosis.verdict.sentence;
    assert!(sentence.contains("in thread worker") && sentence.contains("the main thread is at hangs.py"), "{sentence}");
}

#[tokio::test]
async fn locks_and_queues_are_found_from_outside() {
    for python in cpythons() {
        for way in ["waits_for_lock", "waits_for_queue"] {
            let stuck = Stuck::start(&python.path, way, "");
            let diagnosis = stuck.until(|doing| matches!(doing, Doing::Lock { .. })).await;
            let Doing::Lock { at, .. } = &diagnosis.verdict.doing else { unreachable!() };
            assert_eq!(of(at), stuck.place("waits"), "{}", python.name());
        }
    }
}

#[tokio::test]
async fn a_dead_lock_is_likely_from_outside() {
    for python in cpythons() {
        let stuck = Stuck::start(&python.path, "deadlocks", "");
        let diagnosis = stuck.until(|doing| matches!(doing, Doing::Deadlock { .. })).await;
        let Doing::Deadlock { threads } = &diagnosis.verdict.doing else { unreachable!() };
        assert_eq!(threads.len(), 2, "{}", python.name());
        assert_eq!(diagnosis.verdict.confidence, Confidence::Likely);
        if python.version >= (3, 0) {
            assert_eq!(threads, &["MainThread", "other"], "{}", python.name());
        }
    }
}

#[tokio::test]
async fn a_silent_peer_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for python in cpythons() {
        for way in ["reads_socket", "reads_socket_with_timeout"] {
            let stuck = Stuck::start(&python.path, way, &address.port().to_string());
            let _peer = listener.accept().unwrap();
            let diagnosis = stuck.until(|doing| matches!(doing, Doing::Network { .. })).await;
            assert_eq!(diagnosis.verdict.doing, Doing::Network { peer: address.to_string() }, "{}", python.name());
            assert_eq!(diagnosis.verdict.confidence, Confidence::Sure);
        }
    }
    let stuck = Stuck::start(&newest().path, "accepts", "");
    let diagnosis = stuck.until(|doing| matches!(doing, Doing::Network { .. })).await;
    assert!(diagnosis.verdict.sentence.contains("for somebody to connect to 127.0.0.1:"), "{:?}", diagnosis.verdict);
}

#[tokio::test]
async fn input_that_nobody_gives_is_told() {
    let python = newest().path;
    let from = |doing: &Doing| matches!(doing, Doing::Input { .. });
    let (theirs, ours) = nix::unistd::pipe().unwrap();
    let piped = Stuck::start_with(&python, "reads_stdin", "", Stdio::from(theirs));
    assert_eq!(piped.until(from).await.verdict.doing, Doing::Input { from: "stdin".into() });
    drop(ours);

    let system = portable_pty::native_pty_system();
    let pair = system.openpty(portable_pty::PtySize::default()).unwrap();
    let terminal = std::fs::File::open(pair.master.tty_name().unwrap()).unwrap();
    let typed = Stuck::start_with(&python, "reads_stdin", "", Stdio::from(terminal));
    let diagnosis = typed.until(from).await;
    assert_eq!(diagnosis.verdict.doing, Doing::Input { from: "stdin".into() });
    assert!(diagnosis.verdict.sentence.contains("for somebody to type into /dev/pts/"), "{:?}", diagnosis.verdict);

    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let waits = Stuck::start(&python, "reads_fifo", fifo.to_str().unwrap());
    let fifo = fifo.to_str().unwrap().to_owned();
    assert_eq!(waits.until(from).await.verdict.doing, Doing::Input { from: fifo });
}

#[tokio::test]
async fn the_process_that_is_waited_for_is_named() {
    for python in cpythons() {
        for way in ["calls", "communicates"] {
            let stuck = Stuck::start(&python.path, way, "");
            let named = |doing: &Doing| matches!(doing, Doing::Subprocess { name, .. } if name == "sleep");
            let diagnosis = stuck.until(named).await;
            let Doing::Subprocess { pid, .. } = diagnosis.verdict.doing else { unreachable!() };
            let child = diagnosis.processes.iter().find(|process| process.pid == pid).unwrap();
            assert_eq!(child.parent, stuck.child.id());
            assert_eq!(child.command, "sleep 1000");
            kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).unwrap();
        }
    }
}

#[tokio::test]
async fn a_locked_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("locked");
    let file = std::fs::File::create(&path).unwrap();
    file.lock().unwrap();
    let stuck = Stuck::start(&newest().path, "locks_file", path.to_str().unwrap());
    let diagnosis = stuck.until(|doing| matches!(doing, Doing::Lock { .. })).await;
    assert!(diagnosis.verdict.sentence.contains(path.to_str().unwrap()), "{:?}", diagnosis.verdict);
}

#[tokio::test]
async fn who_was_stopped_by_somebody_stays_stopped() {
    for way in ["loops", "sleeps"] {
        let stuck = Stuck::start(&newest().path, way, "");
        kill(Pid::from_raw(stuck.child.id().cast_signed()), Signal::SIGSTOP).unwrap();
        let diagnosis = stuck.until(|doing| matches!(doing, Doing::Stopped { .. })).await;
        assert_eq!(diagnosis.verdict.doing, Doing::Stopped { by: StoppedBy::Signal });
        // It could be read all the same.
        assert_eq!(diagnosis.stacks.source, Some(StackSource::Outside));
        assert_eq!(diagnosis.stacks.paused.0, 0);
        let again = stuck.diagnoser.diagnose(stuck.question()).await;
        assert_eq!(again.processes[0].state, "T");
    }
}

#[tokio::test]
async fn a_debugger_is_named() {
    let Some(gdb) = hosts::on_path("gdb") else { return hosts::not_run("gdb") };
    let stuck = Stuck::start(&newest().path, "sleeps", "");
    let mut command = Command::new(gdb);
    command.args(["-nx", "-q", "-p", &stuck.child.id().to_string()]).stdin(Stdio::piped());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut debugger = command.spawn().unwrap();
    let diagnosis = stuck.until(|doing| matches!(doing, Doing::Stopped { by: StoppedBy::Debugger { .. } })).await;
    let by = StoppedBy::Debugger { pid: debugger.id(), name: "gdb".into() };
    assert_eq!(diagnosis.verdict.doing, Doing::Stopped { by });
    debugger.kill().unwrap();
    debugger.wait().unwrap();
}

#[tokio::test]
async fn one_that_ended_is_told() {
    let mut stuck = Stuck::start(&newest().path, "sleeps", "");
    let question = stuck.question();
    stuck.child.kill().unwrap();
    let diagnosis = stuck.until(|doing| matches!(doing, Doing::Exited { .. })).await;
    assert_eq!(diagnosis.processes[0].state, "Z");
    stuck.child.wait().unwrap();
    // Not even a zombie is left, and nobody else is mistaken for it.
    let diagnosis = stuck.diagnoser.diagnose(question).await;
    assert_eq!(diagnosis.processes, []);
    assert_eq!(diagnosis.verdict.doing, Doing::Unresponsive);
}
