//! What the engine costs: dispatch, launch, idle, heartbeats and the plot of a long session, each against the barest thing
//! that does the same.
//!
//! Machines are noisy, so nothing here is a time limit: rounds of ours and of the other are interleaved, and the medians'
//! ratio is printed beside DESIGN's target. Run with `cargo bench --bench engine`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench prints, and stops when it cannot measure"
)]

#[path = "common/supervised.rs"]
mod supervised;
#[path = "common/table.rs"]
mod table;

use childminder::api::Client;
use childminder::model::proto::{ClientHello, Request, VERSION};
use childminder::model::{CommandId, EventKind, Job, Micros, StopMode, UsagePoint};
use childminder::store::{Folder, JournalReader, SessionFile, UsageReader};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use supervised::{Session, block_on, interpreter, interpreter_only};
use table::{median, row};

/// Commands in one round.
const COMMANDS: usize = 2000;
/// Rounds of each side.
const ROUNDS: usize = 5;

fn main() {
    // Given by `cargo test --benches`, which only wants to know that it runs.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    // `cargo bench --bench engine -- dispatch` measures that row alone.
    table::measure(&[
        ("dispatch", dispatch),
        ("launch", launch),
        ("idle", idle),
        ("heartbeats", heartbeats),
        ("usage", usage),
    ]);
}

fn supervised_interpreter() -> Session {
    Session::start(tempfile::tempdir().expect("a folder"), interpreter_only())
}

/// A client in a process's own thread that takes all that a window would.
fn subscribe(socket: PathBuf) {
    std::thread::spawn(move || {
        block_on(async {
            let hello = ClientHello { version: VERSION, client: "bench".into(), host: String::new(), read_only: true };
            let (client, _) = Client::connect(&socket, &hello).await.expect("connected");
            let (_, mut frames) = client.subscribe(false, None).await.expect("subscribed");
            while frames.recv().await.is_some() {}
        });
    });
}

// ---- dispatch ---------------------------------------------------------------------------------------------------------

/// One `recv`, one `exec`, one `send` in Python: nothing can be less.
const BARE: &str = r"
import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
names = {}
while True:
    got = s.recv(65536)
    if not got: break
    exec(got.decode('utf-8'), names)
    s.sendall(b'ok')
";

fn dispatch() {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(bare_round_trip());
        ours.push(our_round_trip());
    }
    let (ours, bare) = (median(ours), median(bare));
    row(
        "dispatch, queued → finish journalled, one client subscribed",
        &format!("{ours:.1} µs"),
        &format!("bare socket + exec loop {bare:.1} µs"),
        &format!("{:.2} ×", ours / bare),
        "≤ 1.3 ×",
    );
    exec_round_trip();
}

fn bare_round_trip() -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let mut child = python(&["-c", BARE, &port.to_string()]);
    let (mut stream, _) = listener.accept().expect("connected");
    stream.set_nodelay(true).expect("no delay");
    let mut answer = [0; 2];
    let mut times = Vec::with_capacity(COMMANDS);
    for _ in 0..COMMANDS {
        let begun = Instant::now();
        stream.write_all(b"pass").expect("sent");
        stream.read_exact(&mut answer).expect("answered");
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    drop(stream);
    child.wait().expect("ended");
    median(times)
}

/// From the end of one command to the end of the next: queued, sent, started, finished, each journalled.
fn our_round_trip() -> f64 {
    let job = Job {
        agenda: childminder::model::job::Agenda::Items(vec![childminder::model::ItemSpec {
            name: "all".into(),
            commands: Some(vec!["pass".into(); COMMANDS]),
            ..Default::default()
        }]),
        hold: true,
        ..Job::default()
    };
    let session = Session::start(tempfile::tempdir().expect("a folder"), job);
    subscribe(session.socket.clone());
    session.until_idle();
    session.ask(Request::Release);
    let mut last = 0;
    while last < COMMANDS {
        last = block_on(
            session
                .engine
                .handle
                .look(|inspect| inspect.state().commands.iter().filter(|row| row.state.is_final()).count()),
        )
        .expect("alive");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (folder, _data) = session.stop(StopMode::AfterItem);
    let journal = JournalReader::open(&folder.journal()).expect("a journal");
    let ends: Vec<u64> = journal
        .iter_from(0)
        .filter_map(Result::ok)
        .filter(|recorded| matches!(recorded.event.kind, EventKind::CommandEnded { id, .. } if id > CommandId(1)))
        .map(|recorded| recorded.event.mono.0)
        .collect();
    median(ends.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect())
}

fn exec_round_trip() {
    let session = supervised_interpreter();
    session.until_idle();
    let socket = session.socket.clone();
    let times = block_on(async {
        let hello = ClientHello { version: VERSION, client: "bench".into(), host: String::new(), read_only: false };
        let (client, _) = Client::connect(&socket, &hello).await.expect("connected");
        let mut times = Vec::new();
        for _ in 0..500 {
            let begun = Instant::now();
            client.ask(Request::Exec { source: "6*7".into(), wait: true }).await.expect("done");
            times.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        times
    });
    session.stop(StopMode::AfterItem);
    row("`exec` through the API, request → answer", &format!("{:.1} µs", median(times)), "–", "–", "reported apart");
}

fn python(args: &[&str]) -> Child {
    Command::new(interpreter()).args(args).stdout(Stdio::null()).spawn().expect("the interpreter is there")
}

// ---- launch -----------------------------------------------------------------------------------------------------------

/// The bootstrapper's imports and a connection: what no launch can do without.
const IMPORTS: &str = r"
import ast, atexit, binascii, codeop, collections, ctypes, errno, fcntl, hashlib, hmac, io, json, linecache, platform
import re, select, signal, socket, struct, threading, time, traceback, types, warnings, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.recv(1)
";

fn launch() {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS * 2 {
        bare.push(bare_launch());
        ours.push(our_launch());
    }
    let (ours, bare) = (median(ours), median(bare));
    row(
        "launch → first command done",
        &format!("{ours:.1} ms"),
        &format!("same interpreter, imports and connect {bare:.1} ms"),
        &format!("{:.2} ×", ours / bare),
        "≤ 1.3 ×",
    );
}

fn bare_launch() -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let program = interpreter();
    let begun = Instant::now();
    let mut child = Command::new(program).args(["-u", "-c", IMPORTS, &port.to_string()]).spawn().expect("started");
    let (mut stream, _) = listener.accept().expect("connected");
    let took = begun.elapsed().as_secs_f64() * 1e3;
    stream.write_all(b"x").expect("sent");
    child.wait().expect("ended");
    took
}

fn our_launch() -> f64 {
    let session = supervised_interpreter();
    session.until_idle();
    let (folder, _data) = session.stop(StopMode::AfterItem);
    let journal = JournalReader::open(&folder.journal()).expect("a journal");
    let (mut starting, mut done) = (0, 0);
    for recorded in journal.iter_from(0).filter_map(Result::ok) {
        match recorded.event.kind {
            EventKind::ChildStarting { .. } => starting = recorded.event.mono.0,
            EventKind::CommandEnded { .. } if done == 0 => done = recorded.event.mono.0,
            _ => {}
        }
    }
    (done - starting) as f64 / 1e3
}

// ---- idle and heartbeats ----------------------------------------------------------------------------------------------

/// Context switches of each thread of a process so far.
fn switches(pid: u32) -> BTreeMap<OsString, u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a process").flatten();
    let counted = tasks.filter_map(|task| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
        let counts = counts.filter_map(|line| line.rsplit('\t').next()?.trim().parse::<u64>().ok());
        Some((task.file_name(), counts.sum()))
    });
    counted.collect()
}

/// CPU time of a process so far, in seconds.
fn cpu(pid: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    let nanoseconds = tasks.filter_map(|task| {
        let stat = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    nanoseconds.sum::<u64>() as f64 / 1e9
}

/// An engine in a process of its own, so that this bench's threads are not counted.
fn engine_process() -> (Child, tempfile::TempDir, String) {
    let data = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_childminder"))
        .args(["run", "--backend", "python", "--hold", "--headless", "--json"])
        .env("CHILDMINDER_DATA_DIR", data.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut output = std::io::BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("\"to\":\"agenda\"") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut output, &mut line).expect("read") > 0, "the engine ended");
    }
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    let session = fs::read_dir(data.path().join("sessions")).expect("sessions").next().expect("one").expect("readable");
    let id = session.file_name().to_string_lossy().into_owned();
    (child, data, id)
}

fn cli(data: &tempfile::TempDir, args: &[&str]) {
    let done = Command::new(env!("CARGO_BIN_EXE_childminder"))
        .args(args)
        .env("CHILDMINDER_DATA_DIR", data.path())
        .stdout(Stdio::null())
        .status()
        .expect("started");
    assert!(done.success(), "{args:?}");
}

fn idle() {
    let (mut child, data, _) = engine_process();
    // The journal's last sync is due a second after the last event.
    std::thread::sleep(Duration::from_secs(3));
    let before = switches(child.id());
    std::thread::sleep(Duration::from_secs(30));
    let after = switches(child.id());
    // One that has ended was woken for that.
    let ended = before.keys().filter(|thread| !after.contains_key(*thread)).count() as u64;
    let woken = ended + after.iter().map(|(thread, count)| count - before.get(thread).unwrap_or(&0)).sum::<u64>();
    cli(&data, &["stop"]);
    child.wait().expect("ended");
    row("idle: context switches of all engine threads in 30 s", &woken.to_string(), "–", "–", "0");
}

fn heartbeats() {
    let (mut child, data, _) = engine_process();
    let asker = Command::new(env!("CARGO_BIN_EXE_childminder"))
        .args(["exec", "import time; time.sleep(22)"])
        .env("CHILDMINDER_DATA_DIR", data.path())
        .stdout(Stdio::null())
        .spawn();
    std::thread::sleep(Duration::from_secs(1));
    let before = cpu(child.id());
    std::thread::sleep(Duration::from_secs(20));
    let used = cpu(child.id()) - before;
    asker.expect("started").wait().expect("ended");
    cli(&data, &["stop"]);
    child.wait().expect("ended");
    row(
        "heartbeats at 1 Hz while a command runs, engine's CPU",
        &format!("{:.3} % of a core", used / 20.0 * 100.0),
        "–",
        "–",
        "≤ 0.5 %",
    );
}

// ---- usage ------------------------------------------------------------------------------------------------------------

/// Points of a week, one a second.
const WEEK: u64 = 7 * 24 * 3600;

/// The plot of all of a session that ran for a week, in a wide window.
fn usage() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = Folder::create(data.path(), &SessionFile::new(Job::default(), None)).expect("a session");
    let mut text = Vec::new();
    for second in 1..=WEEK {
        let point = UsagePoint {
            wall: Micros(1_792_000_000_000_000 + second * 1_000_041),
            cpu: (second % 4000) as f64 / 10.0,
            memory: 1_288_490_188 + second * 1000,
            written: (second % 7) as f64 * 1e6,
            processes: 3,
            threads: 12,
            ..UsagePoint::default()
        };
        serde_json::to_writer(&mut text, &point).expect("json");
        text.push(b'\n');
    }
    fs::write(folder.usage(), &text).expect("written");
    let ask = |from: Micros| {
        let times = (0..ROUNDS).map(|_| {
            let begun = Instant::now();
            let points = UsageReader::open(&folder).history(from, Micros(u64::MAX), 320).expect("read");
            assert!(points.len() > 100, "{} points", points.len());
            begun.elapsed().as_secs_f64() * 1e3
        });
        median(times.collect())
    };
    let hour = ask(Micros(1_792_000_000_000_000 + (WEEK - 3600) * 1_000_041));
    let all = ask(Micros(0));
    row("usage of the last hour of a week", &format!("{hour:.2} ms"), "–", "–", "–");
    let size = format!("{} points, {} MiB", WEEK, text.len() >> 20);
    row("usage of all of a week", &format!("{all:.1} ms"), &size, "–", "≤ 100 ms");
}
