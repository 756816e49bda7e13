//! Real children that are stuck in every way, and what is said of them.
#![allow(clippy::panic, clippy::print_stderr, clippy::unwrap_used, reason = "this file is a test, its helpers too")]

#[path = "common/hosts.rs"]
mod hosts;

use childminder::child::ProcessId;
use childminder::diagnose::{ChildNow, Diagnoser, HotSampler, MemoryMark, Question, Sources};
use childminder::model::diagnosis::{Confidence, Gil, Place, StackSource, StoppedBy, ThreadStack};
use childminder::model::{CommandId, Diagnosis, Doing, Frame, HotTree};
use hosts::Python;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

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
        // On a machine with much else to do, reading from outside may not be done in time.
        let gone = |diagnosis: &Diagnosis| matches!(diagnosis.verdict.doing, Doing::Exited { .. });
        let seen = |diagnosis: &Diagnosis| gone(diagnosis) || diagnosis.stacks.source.is_some();
        self.until_asked(|| self.question(), |diagnosis| wanted(&diagnosis.verdict.doing) && seen(diagnosis)).await
    }

    /// Asks these questions until the answer is as it should be.
    async fn until_asked(&self, ask: impl Fn() -> Question, wanted: impl Fn(&Diagnosis) -> bool) -> Diagnosis {
        let begun = Instant::now();
        loop {
            let diagnosis = self.diagnoser.diagnose(ask()).await;
            if wanted(&diagnosis) {
                eprintln!("{}: {} [{:?}]", self.way, diagnosis.verdict.sentence, diagnosis.verdict.confidence);
                return diagnosis;
            }
            assert!(begun.elapsed() < BOUND, "{}: {diagnosis:#?}", self.way);
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
        // One that gets no processor is guessed to loop, and is not seen to move.
        let loops = |diagnosis: &Diagnosis| {
            matches!(diagnosis.verdict.doing, Doing::Looping { .. }) && diagnosis.verdict.confidence > Confidence::Guess
        };
        let diagnosis = stuck.until_asked(|| stuck.question(), loops).await;
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

/// What the child's second thread would tell of the main one.
fn told(place: (String, u32)) -> Vec<ThreadStack> {
    let frame = Frame { file: place.0, line: place.1, ..Frame::default() };
    vec![ThreadStack { name: "MainThread".into(), main: true, frames: vec![frame], ..ThreadStack::default() }]
}

#[tokio::test]
async fn whether_the_child_answers_tells_python_from_native_code() {
    let loops = Stuck::start(&newest().path, "loops_on_one_line", "");
    let ask = || {
        let (tell, inside) = oneshot::channel();
        tell.send(told(loops.place("one line"))).unwrap();
        Question { inside: Some(inside), ..loops.question() }
    };
    // One that gets no processor may be guessed to compute.
    let found = |diagnosis: &Diagnosis| matches!(diagnosis.verdict.doing, Doing::Looping { .. });
    let diagnosis = loops.until_asked(ask, found).await;
    let Doing::Looping { at } = &diagnosis.verdict.doing else { panic!("{diagnosis:#?}") };
    assert_eq!(of(at), loops.place("one line"));
    assert_eq!(diagnosis.stacks.source, Some(StackSource::Inside));
    let tries: Vec<StackSource> = diagnosis.stacks.tries.iter().map(|attempt| attempt.source).collect();
    assert_eq!(tries, [StackSource::Inside, StackSource::Outside]);

    let native = Stuck::start(&newest().path, "computes_with_gil", "");
    // Nobody answers: the sender lives, and says nothing.
    let silent = std::cell::RefCell::new(Vec::new());
    let ask = || {
        let (tell, inside) = oneshot::channel();
        silent.borrow_mut().push(tell);
        Question { inside: Some(inside), ..native.question() }
    };
    let diagnosis = native.until_asked(ask, |diagnosis| diagnosis.verdict.confidence == Confidence::Sure).await;
    assert_eq!(diagnosis.verdict.doing, Doing::Computing { gil: Gil::Held }, "{diagnosis:#?}");
    assert!(diagnosis.stacks.tries[0].failed.contains("did not answer"));
}

#[tokio::test]
async fn what_cannot_be_read_writes_its_stacks_when_it_catches_the_signal() {
    let Some(pypy) = hosts::pythons().into_iter().find(|python| python.family == "pypy") else {
        return hosts::not_run("pypy3");
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stacks");
    let mut command = Command::new(&pypy.path);
    command.arg("-u").arg(script()).arg("sleeps").stdout(Stdio::piped()).env("STACKS", &file);
    let stuck = Stuck::ready(command, "sleeps");
    let asked = |file: Option<PathBuf>| Question {
        implementation: Some("PyPy".into()),
        stack_file: file,
        sources: Sources::new(|file, _| file.ends_with("hangs.py").then(|| "as told".into())),
        ..stuck.question()
    };
    let diagnosis = stuck.diagnoser.diagnose(asked(Some(file))).await;
    assert_eq!(diagnosis.stacks.source, Some(StackSource::Signal), "{diagnosis:#?}");
    let frame = diagnosis.stacks.threads[0].frames.iter().find(|frame| frame.function == "sleeps").unwrap();
    // PyPy's own lines are approximate.
    assert!(frame.source == "as told" && frame.line.abs_diff(stuck.place("sleeps").1) <= 2, "{frame:?}");
    // Nobody promised that it catches the signal: it is not sent, and said what is missing.
    let diagnosis = stuck.diagnoser.diagnose(asked(None)).await;
    assert_eq!(diagnosis.stacks.source, None);
    assert!(diagnosis.missing.iter().any(|missing| missing.contains("PyPy cannot be read")), "{:?}", diagnosis.missing);
}

#[tokio::test]
async fn one_that_does_not_catch_the_signal_is_not_sent_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stacks");
    std::fs::write(&file, "").unwrap();
    let mut stuck = Stuck::start(&newest().path, "sleeps", "");
    // As if it could not be read from outside.
    let question = Question { implementation: Some("Other".into()), stack_file: Some(file), ..stuck.question() };
    let diagnosis = stuck.diagnoser.diagnose(question).await;
    let attempt = diagnosis.stacks.tries.iter().find(|attempt| attempt.source == StackSource::Signal).unwrap();
    assert!(attempt.failed.contains("does not catch SIGUSR1"), "{attempt:?}");
    assert_eq!(stuck.child.try_wait().unwrap(), None);
}

#[tokio::test]
async fn a_render_computes_though_its_main_thread_sleeps() {
    let Some(blender) = hosts::on_path("blender") else { return hosts::not_run("blender") };
    let code = "import bpy, os\nscene = bpy.context.scene\nscene.render.engine = 'CYCLES'\ncycles = scene.cycles\n\
                cycles.use_denoising = cycles.use_adaptive_sampling = False\ncycles.samples = 100000\n\
                os.write(1, b'ready\\n')\nbpy.ops.render.render()";
    let mut command = Command::new(blender);
    command.args(["--background", "--factory-startup", "--python-expr", code]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let stuck = Stuck::ready(command, "renders");
    let released = |doing: &Doing| matches!(doing, Doing::Computing { gil: Gil::Released });
    let diagnosis = stuck.until(released).await;
    assert!(diagnosis.verdict.sentence.contains("called at"), "{:?}", diagnosis.verdict);
    assert!(diagnosis.processes[0].thread_count > 2);
}

/// Asks until there is enough of it.
fn hot(sampler: &HotSampler, enough: impl Fn(&HotTree) -> bool) -> HotTree {
    let begun = Instant::now();
    loop {
        let tree = sampler.snapshot();
        if enough(&tree) {
            return tree;
        }
        assert!(begun.elapsed() < BOUND, "{tree:#?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn where_time_goes_is_sampled_and_the_child_hardly_stopped() {
    let mut stuck = Stuck::start(&newest().path, "loops_in_worker", "");
    let sampler = HotSampler::start(stuck.id(), stuck.diagnoser.pauses());
    let tree = hot(&sampler, |tree| tree.samples >= 40 && tree.paused.0 * 100 < tree.span.0);
    let (_, waits) = stuck.place("waits");
    let node = |function: &str| tree.nodes.iter().find(|node| node.function == function).unwrap();
    assert!(node("loops").total.gil > node("loops").total.idle, "{}", tree.folded());
    let main = node("loops_in_worker");
    assert_eq!(main.line, waits);
    assert!(main.total.idle * 2 > main.total.all(), "{}", tree.folded());
    assert!(tree.folded().contains("worker;"), "{}", tree.folded());
    sampler.reset();
    assert!(sampler.snapshot().samples < tree.samples);
    stuck.child.kill().unwrap();
    stuck.child.wait().unwrap();
    let ended = hot(&sampler, |tree| tree.ended.is_some());
    assert!(ended.ended.unwrap().contains("ended") && !sampler.is_running());
}

#[test]
fn nobody_asks_and_sampling_ends() {
    let stuck = Stuck::start(&newest().path, "sleeps", "");
    let sampler = HotSampler::start(stuck.id(), stuck.diagnoser.pauses());
    hot(&sampler, |tree| tree.samples > 0);
    let begun = Instant::now();
    while sampler.is_running() {
        assert!(begun.elapsed() < BOUND, "it goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(begun.elapsed() > Duration::from_secs(2));
}

#[test]
fn an_operators_pause_holds_while_stacks_are_sampled() {
    let stuck = Stuck::start(&newest().path, "loops", "");
    let pid = Pid::from_raw(stuck.child.id().cast_signed());
    let pauses = stuck.diagnoser.pauses();
    let sampler = HotSampler::start(stuck.id(), pauses.clone());
    let state =
        || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().split(") ").nth(1).unwrap()[..1].to_owned();
    hot(&sampler, |tree| tree.samples > 5);
    for _ in 0..5 {
        pauses.operator_paused(true);
        kill(pid, Signal::SIGSTOP).unwrap();
        let seen = sampler.snapshot().samples;
        hot(&sampler, |tree| tree.samples > seen + 3);
        assert_eq!(state(), "T");
        pauses.operator_paused(false);
        kill(pid, Signal::SIGCONT).unwrap();
        let (seen, paused) = (sampler.snapshot().samples, sampler.snapshot().paused);
        hot(&sampler, |tree| tree.samples > seen + 3 && tree.paused > paused);
    }
}
