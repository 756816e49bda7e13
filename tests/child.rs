//! The child process as it is: real interpreters are started, read, counted and ended.
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "this file is a test, its helpers too")]

use childminder::child::{
    Capture, ENGINE, Guardian, MARKER, ProcessId, Sampler, SpawnSpec, Spawned, Spawner, Stdin, become_subreaper,
    capture, continue_everything, guardian_main, kill_everything, marked, reap_adopted, stop_everything,
};
use childminder::model::{CommandId, Exit, SignalName, Stream};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::Poll;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
const BOUND: Duration = Duration::from_mins(1);

/// By this word among its arguments the test binary, run again, knows that it is to be a guardian.
const BE_GUARDIAN: &str = "__guardian";

/// By this variable it knows which part of a helper it is to play.
const PART: &str = "CHILD_TEST_PART";

/// The interpreter itself: a version manager's shim would start others first, and add to the environment.
fn interpreter() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    let ask = || Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    FOUND.get_or_init(|| String::from_utf8(ask().stdout).unwrap().trim().into()).clone()
}

fn python(script: &str, args: &[&str], marker: &str) -> SpawnSpec {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/children").join(script);
    SpawnSpec {
        program: interpreter(),
        args: std::iter::once(script.into_os_string()).chain(args.iter().map(OsString::from)).collect(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into()), (MARKER.into(), marker.into())],
        cwd: "/".into(),
        stdin: Stdin::Null,
        merge_stderr: false,
        helper: None,
    }
}

fn marker(test: &str) -> String {
    format!("test-{}-{test}", std::process::id())
}

async fn bounded<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, wait).await.unwrap_or_else(|_| panic!("{what}: not within {BOUND:?}"))
}

fn until(what: &str, reached: impl Fn() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < BOUND, "{what}: not within {BOUND:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The state that `/proc/PID/stat` tells.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// Whether no such process runs; one that only waits to be reaped does not.
fn is_gone(pid: u32) -> bool {
    matches!(state(pid), None | Some('Z' | 'X'))
}

fn first_line(pipe: impl Into<File>) -> String {
    let mut line = String::new();
    BufReader::new(pipe.into()).read_line(&mut line).unwrap();
    line
}

/// Those whom `leaves_family.py` started. However a test ends, they end with it.
struct Family(Vec<u32>);

impl Family {
    fn told_by(line: &str) -> Self {
        let pids = line.strip_prefix("family ").unwrap_or_else(|| panic!("no family in {line:?}"));
        Self(pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect())
    }

    /// All but the one with neither marker nor parent, whom only a subreaper finds.
    fn findable(&self) -> impl Iterator<Item = u32> {
        self.0.iter().enumerate().filter(|(at, _)| *at != 3).map(|(_, pid)| *pid)
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        for pid in &self.0 {
            // The number may be somebody else's by now.
            if std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == b"sleep\x00600\x00") {
                let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
            }
        }
    }
}

#[tokio::test]
async fn every_way_to_end_is_told_apart() {
    let spawner = Spawner::start().unwrap();
    for (how, exit) in [
        ("0", Exit::Code(0)),
        ("3", Exit::Code(3)),
        ("SIGTERM", Exit::Signal(SignalName(15))),
        ("SIGSEGV", Exit::Signal(SignalName(11))),
        ("SIGRTMIN", Exit::Signal(SignalName(34))),
    ] {
        let Spawned { process, .. } = spawner.spawn(python("ends.py", &[how], &marker("ends"))).await.unwrap();
        assert_eq!(bounded(how, process.exited()).await, exit, "{how}");
        assert_eq!(bounded(how, process.exited()).await, exit, "asked again, {how}");
        let pid = process.pid();
        drop(process);
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{how}: not reaped");
    }
}

#[tokio::test]
async fn waiting_for_the_end_can_be_given_up() {
    let spawner = Spawner::start().unwrap();
    let spec = SpawnSpec { program: "sleep".into(), args: vec!["600".into()], ..python("", &[], &marker("given-up")) };
    let Spawned { process, .. } = spawner.spawn(spec).await.unwrap();
    let wait = tokio::time::timeout(Duration::from_millis(10), process.exited());
    assert!(wait.await.is_err());
    process.signal(Signal::SIGINT).unwrap();
    assert_eq!(bounded("the end", process.exited()).await, Exit::Signal(SignalName(2)));
}

#[tokio::test]
async fn a_spawn_given_up_leaves_nobody() {
    let marker = marker("nobody");
    let spawner = Spawner::start().unwrap();
    for _ in 0..5 {
        let mut order = Box::pin(spawner.spawn(python("leaves_family.py", &[], &marker)));
        // Asked once, and dropped: the order is out, the child on its way.
        let asked = std::future::poll_fn(|context| Poll::Ready(order.as_mut().poll(context).is_ready())).await;
        assert!(!asked, "it came at once");
    }
    let spec = python("ends.py", &["0"], "");
    // Orders are taken in turn, so that all the others have been dealt with now.
    bounded("the end", spawner.spawn(spec).await.unwrap().process.exited()).await;
    until("the children's end", || marked(&marker).is_empty());
}

#[tokio::test]
async fn the_process_tells_its_end_while_a_grandchild_holds_the_pipe() {
    let marker = marker("holds");
    let spawner = Spawner::start().unwrap();
    let Spawned { process, stdout, .. } = spawner.spawn(python("leaves_family.py", &["3"], &marker)).await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = seen.clone();
    let capture =
        capture::start(Stream::Stdout, stdout, 0, move |chunk| sink.lock().unwrap().extend_from_slice(chunk.bytes))
            .unwrap();
    assert_eq!(bounded("the end", process.exited()).await, Exit::Code(3));
    assert!(tokio::time::timeout(Duration::from_millis(50), capture.ended()).await.is_err(), "nobody holds the pipe");
    capture.stop();
    bounded("the end of reading", capture.ended()).await;
    let family = Family::told_by(&String::from_utf8(seen.lock().unwrap().clone()).unwrap());
    assert!(family.0.iter().all(|pid| !is_gone(*pid)));
    assert_eq!(kill_everything(&process, &marker), []);
    assert!(family.findable().all(is_gone), "{:?}", family.0);
}

#[tokio::test]
async fn nothing_of_ours_leaks_into_the_child() {
    // As careless as can be: inheritable, and a signal blocked that the child must get.
    let leak = File::open("/dev/zero").unwrap();
    nix::fcntl::fcntl(&leak, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let spawner = Spawner::start().unwrap();
    let spec = python("looks_at_itself.py", &[], "a marker");
    let Spawned { process, stdout, .. } = spawner.spawn(spec).await.unwrap();
    let report: serde_json::Value = serde_json::from_str(&first_line(stdout)).unwrap();
    assert_eq!(bounded("the end", process.exited()).await, Exit::Code(0));
    drop(leak);
    let fds = report["fds"].as_object().unwrap();
    assert_eq!(fds["0"], "/dev/null");
    assert!(fds["1"].as_str().unwrap().starts_with("pipe:") && fds["2"].as_str().unwrap().starts_with("pipe:"));
    let others: Vec<_> = fds.iter().filter(|(fd, _)| !["0", "1", "2"].contains(&fd.as_str())).collect();
    assert!(others.iter().all(|(_, file)| file.as_str().unwrap().ends_with("/fd")), "leaked: {others:?}");
    assert_eq!(report["pid"], process.pid());
    assert_eq!((&report["sid"], &report["pgid"]), (&report["pid"], &report["pid"]));
    assert_eq!(report["blocked"], "0000000000000000");
    // Python itself ignores SIGPIPE and SIGXFSZ.
    assert_eq!(report["ignored"], "0000000001001000");
    assert_eq!(report["cwd"], "/");
    let env = report["env"].as_object().unwrap();
    assert!(env.keys().all(|name| ["PATH", MARKER, ENGINE, "LC_CTYPE"].contains(&name.as_str())), "{env:?}");
}

#[tokio::test]
async fn boundaries_are_exact_under_a_flood() {
    const COMMANDS: u64 = 10_000;
    const RECORD: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lockstep");
    let listener = UnixListener::bind(&path).unwrap();
    let spawner = Spawner::start().unwrap();
    let args = [path.to_str().unwrap(), &COMMANDS.to_string()];
    let spec = python("floods_in_lockstep.py", &args, &marker("flood"));
    let Spawned { process, stdout, .. } = spawner.spawn(spec).await.unwrap();
    // Where each command's bytes begin and end, as they came, and how many are not its own.
    let slices = Arc::new(Mutex::new(vec![(0, 0); 1 + usize::try_from(COMMANDS).unwrap()]));
    let strangers = Arc::new(Mutex::new(Vec::new()));
    let (seen, odd) = (slices.clone(), strangers.clone());
    let capture: Capture = capture::start(Stream::Stdout, stdout, 0, move |chunk| {
        let command = chunk.command.map_or(0, |id| id.0);
        let slice = &mut seen.lock().unwrap()[usize::try_from(command).unwrap()];
        if slice.1 == 0 {
            slice.0 = chunk.offset;
        }
        // Records are longer than a read may be, so each byte is compared by its place.
        let expected = format!("{command:07}\n");
        let phase = usize::try_from(chunk.offset).unwrap() % RECORD;
        let fits = chunk.bytes.iter().zip(expected.bytes().cycle().skip(phase)).all(|(byte, own)| *byte == own);
        let joins = slice.1 == 0 || slice.1 == chunk.offset;
        if !fits || !joins {
            odd.lock().unwrap().push((command, chunk.offset));
        }
        slice.1 = chunk.offset + chunk.bytes.len() as u64;
    })
    .unwrap();
    capture.boundary(Some(CommandId(1)));
    let talk = tokio::task::spawn_blocking(move || {
        let (mut channel, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(channel.try_clone().unwrap()).lines();
        let mut ends = Vec::new();
        for id in 1..=COMMANDS {
            let written: u64 = lines.next().unwrap().unwrap().parse().unwrap();
            let at = capture.boundary(Some(CommandId(id + 1)).filter(|next| next.0 <= COMMANDS));
            assert_eq!(at, written, "command {id}");
            ends.push(at);
            channel.write_all(b"\n").unwrap();
        }
        (capture, ends)
    });
    let (capture, ends) = bounded("the commands", talk).await.unwrap();
    assert_eq!(bounded("the end", process.exited()).await, Exit::Code(0));
    bounded("the end of reading", capture.ended()).await;
    assert_eq!(*strangers.lock().unwrap(), []);
    let slices = slices.lock().unwrap();
    let mut from = 0;
    for (slice, end) in slices[1..].iter().zip(&ends) {
        assert_eq!(*slice, if from == *end { (0, 0) } else { (from, *end) });
        from = *end;
    }
    assert_eq!(capture.read(), from);
}

#[tokio::test]
async fn the_whole_tree_is_stopped_and_goes_on_and_a_stopped_one_is_ended() {
    let marker = marker("stopped");
    let spawner = Spawner::start().unwrap();
    let Spawned { process, stdout, .. } = spawner.spawn(python("leaves_family.py", &[], &marker)).await.unwrap();
    let family = Family::told_by(&first_line(stdout));
    let all = || family.findable().chain([process.pid()]);
    stop_everything(&process, &marker).unwrap();
    until("all stopped", || all().all(|pid| state(pid) == Some('T')));
    continue_everything(&process, &marker).unwrap();
    until("all going on", || all().all(|pid| state(pid) == Some('S')));
    stop_everything(&process, &marker).unwrap();
    assert_eq!(kill_everything(&process, &marker), []);
    assert!(all().all(is_gone), "{:?}", family.0);
}

#[tokio::test]
async fn the_whole_tree_is_counted() {
    let marker = marker("counted");
    let spawner = Spawner::start().unwrap();
    let Spawned { process, stdout, .. } = spawner.spawn(python("leaves_family.py", &[], &marker)).await.unwrap();
    let _family = Family::told_by(&first_line(stdout));
    let mut sampler = Sampler::new();
    let usage = sampler.sample(&[process.pid()]).unwrap();
    // The two orphans went to init, not to us: nobody here is a subreaper.
    assert_eq!((usage.processes, usage.threads), (3, 3));
    assert!(usage.memory > 1 << 20 && usage.cpu == 0.0, "{usage:?}");
    let orphan = marked(&marker).into_iter().filter(|id| id.pid != process.pid()).count();
    assert_eq!(orphan, 3);
    kill_everything(&process, &marker);
    assert_eq!(sampler.sample(&[process.pid()]), None);
    assert_eq!(marked(&marker), []);
}

/// This test binary, run again to play a part in a process of its own; ended with the test.
struct Helper {
    process: Child,
    said: mpsc::Receiver<String>,
}

impl Helper {
    fn start(part: &str, marker: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["play", "--exact", "--nocapture", marker])
            .env(PART, part)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (say, said) = mpsc::channel();
        // To the end, whether somebody listens or not: the harness cannot do without its output.
        std::thread::spawn(move || lines.for_each(|line| drop(say.send(line))));
        Self { process, said }
    }

    /// What it says from this word on, which the harness may have put its own before.
    fn said(&self, word: &str) -> String {
        let begun = Instant::now();
        loop {
            let line = self.said.recv_timeout(BOUND.saturating_sub(begun.elapsed()));
            let line = line.unwrap_or_else(|error| panic!("the helper said no {word:?}: {error}"));
            if let Some(at) = line.find(word) {
                return line[at..].to_owned();
            }
        }
    }

    /// `kill -9`.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn succeeds(&mut self) {
        until("the helper's end", || is_gone(self.process.id()));
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Not a test: does nothing unless the test binary was run again to play one of the parts.
#[test]
fn play() {
    let args: Vec<String> = std::env::args().collect();
    let marker = args.last().cloned().unwrap_or_default();
    if args.iter().any(|arg| arg == BE_GUARDIAN) {
        std::process::exit(guardian_main(&marker));
    }
    let Ok(part) = std::env::var(PART) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match part.as_str() {
            "engine with a guardian" => engine(&marker, true).await,
            "engine alone" => engine(&marker, false).await,
            "engine that ends" => drop(start_guardian(&marker)),
            "subreaper" => subreaper(&marker).await,
            other => panic!("no part {other:?}"),
        }
    });
}

fn start_guardian(marker: &str) -> Guardian {
    let args = ["play", "--exact", "--nocapture", BE_GUARDIAN];
    Guardian::start(Path::new("/proc/self/exe"), &args, marker).unwrap()
}

async fn engine(marker: &str, guarded: bool) {
    let spawner = Spawner::start().unwrap();
    let mut guardian = guarded.then(|| start_guardian(marker));
    let Spawned { process, stdout, .. } = spawner.spawn(python("leaves_family.py", &[], marker)).await.unwrap();
    if let Some(guardian) = &mut guardian {
        guardian.watch(process.pid(), process.start_time()).unwrap();
    }
    let line = first_line(stdout);
    if let Some(guardian) = &guardian {
        println!("guardian {}", guardian.pid());
    }
    println!("{} {}", line.trim(), process.pid());
    // Until killed; the test that started it has a bound.
    let _ = std::io::stdin().read(&mut [0]);
    process.exited().await;
}

async fn subreaper(marker: &str) {
    become_subreaper().unwrap();
    let spawner = Spawner::start().unwrap();
    let _guardian = start_guardian(marker);
    let mut ours = Command::new("sleep").arg("600").spawn().unwrap();
    let Spawned { process, stdout, .. } = spawner.spawn(python("leaves_family.py", &[], marker)).await.unwrap();
    let family = Family::told_by(&first_line(stdout));
    let pids = &family.0;
    assert_eq!(Sampler::new().sample(&[process.pid()]).unwrap().processes, 5);
    let known: Vec<u32> = marked(marker).iter().map(|id: &ProcessId| id.pid).collect();
    assert!(pids.iter().all(|pid| known.contains(pid)), "{pids:?} not all in {known:?}");
    assert_eq!(known.len(), 5, "{known:?}");
    assert_eq!(kill_everything(&process, marker), []);
    assert!(pids.iter().all(|pid| is_gone(*pid)));
    until("reaping", || {
        reap_adopted();
        pids.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists())
    });
    assert_eq!(bounded("the end", process.exited()).await, Exit::Signal(SignalName(9)), "somebody reaped the child");
    assert!(ours.try_wait().unwrap().is_none(), "a process that is not the child's was ended");
    ours.kill().unwrap();
    until("the helper's end", || is_gone(ours.id()));
    reap_adopted();
    assert!(!ours.wait().unwrap().success(), "somebody reaped a process of another room");
    println!("subreaper done");
}

#[test]
fn a_subreaper_finds_those_who_dropped_everything() {
    let mut helper = Helper::start("subreaper", &marker("subreaper"));
    assert_eq!(helper.said("subreaper done"), "subreaper done");
    helper.succeeds();
}

#[test]
fn a_killed_engine_leaves_nothing_behind() {
    let mut helper = Helper::start("engine with a guardian", &marker("killed"));
    let guardian: u32 = helper.said("guardian ").split_whitespace().nth(1).unwrap().parse().unwrap();
    let family = Family::told_by(&helper.said("family "));
    assert!(family.0.iter().all(|pid| !is_gone(*pid)));
    let seen = |file: &str| std::fs::read_to_string(format!("/proc/{guardian}/{file}")).unwrap();
    assert_eq!(seen("environ"), "", "a marked guardian would end itself");
    assert!(seen("stat").rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap() == guardian.to_string());
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        kill(Pid::from_raw(guardian.cast_signed()), signal).unwrap();
    }
    helper.kill();
    until("the guardian's end", || is_gone(guardian));
    for pid in family.findable() {
        until("the end of all that the engine started", || is_gone(pid));
    }
}

#[tokio::test]
async fn a_guardian_spares_whom_the_sessions_next_engine_started() {
    let marker = marker("next");
    let mut helper = Helper::start("engine with a guardian", &marker);
    let guardian: u32 = helper.said("guardian ").split_whitespace().nth(1).unwrap().parse().unwrap();
    let family = Family::told_by(&helper.said("family "));
    let tell = |signal| kill(Pid::from_raw(guardian.cast_signed()), signal).unwrap();
    tell(Signal::SIGSTOP);
    helper.kill();
    let spawner = Spawner::start().unwrap();
    let spec = SpawnSpec { program: "sleep".into(), args: vec!["600".into()], ..python("", &[], &marker) };
    let Spawned { process, .. } = spawner.spawn(spec).await.unwrap();
    tell(Signal::SIGCONT);
    until("the guardian's end", || is_gone(guardian));
    assert!(family.findable().all(is_gone), "{:?}", family.0);
    assert!(!is_gone(process.pid()), "the next engine's child was killed");
    assert_eq!(kill_everything(&process, &marker), []);
    assert_eq!(bounded("the end", process.exited()).await, Exit::Signal(SignalName(9)));
}

#[test]
fn the_kernel_ends_the_child_of_a_killed_engine() {
    let marker = marker("pdeathsig");
    let mut helper = Helper::start("engine alone", &marker);
    let family = Family::told_by(&helper.said("family "));
    let (child, others) = family.0.split_last().unwrap();
    helper.kill();
    until("the child's end", || is_gone(*child));
    // No guardian was there: the others live, which shows that it is the guardian who ends them elsewhere.
    assert!(others.iter().all(|pid| !is_gone(*pid)));
}

#[tokio::test]
async fn an_orderly_end_kills_nobody() {
    let marker = marker("orderly");
    let spawner = Spawner::start().unwrap();
    let Spawned { process, stdout, .. } = spawner.spawn(python("leaves_family.py", &[], &marker)).await.unwrap();
    let family = Family::told_by(&first_line(stdout));
    Helper::start("engine that ends", &marker).succeeds();
    assert!(!is_gone(process.pid()) && family.0.iter().all(|pid| !is_gone(*pid)));
    kill_everything(&process, &marker);
}
