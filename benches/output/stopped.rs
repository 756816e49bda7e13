//! A child that writes as fast as it can while those who watch have stopped looking.

use crate::flood;
use crate::side::{self, Script};
use crate::table::{median, row};
use childminder::model::proto::{Call, ClientHello, Request, VERSION};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use serde::Serialize;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// Bytes of one run.
const BYTES: u64 = 2 << 30;
/// Rounds of each side.
const ROUNDS: usize = 7;

/// Measures and prints it.
pub(crate) fn measure() {
    let code = flood::code(BYTES);
    let script = Script { code: &code, bytes: BYTES };
    let (mut nobody, mut window, mut client) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        nobody.push(side::ours(&script));
        window.push(beside_a_stopped_window(&script));
        client.push(beside_a_silent_client(&script));
    }
    let (nobody, window, client) = (median(nobody), median(window), median(client));
    for (who, took) in [("a window that is stopped (SIGSTOP)", window), ("a client that does not read", client)] {
        row(
            &format!("a child that writes {} GiB beside {who}", BYTES >> 30),
            &format!("{took:.2} s"),
            &format!("nobody watching {nobody:.2} s"),
            &format!("{:.2} ×", took / nobody),
            "1 ×",
        );
    }
}

fn beside_a_stopped_window(script: &Script<'_>) -> f64 {
    let session = side::start();
    let size = PtySize { rows: 50, cols: 160, pixel_width: 0, pixel_height: 0 };
    let terminal = native_pty_system().openpty(size).expect("a terminal");
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_childminder"));
    command.args(["attach", session.folder.id()]);
    command.env("CHILDMINDER_DATA_DIR", session.data.path());
    command.env("TERM", "xterm-256color");
    let mut window = terminal.slave.spawn_command(command).expect("it starts");
    let mut screen = terminal.master.try_clone_reader().expect("a screen");
    // Until it is drawn, so that it has asked for what it shows.
    let (mut seen, mut bytes) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&seen).contains("Output") {
        let read = screen.read(&mut bytes).expect("a screen");
        seen.extend_from_slice(&bytes[..read]);
    }
    let pid = Pid::from_raw(i32::try_from(window.process_id().expect("a process")).expect("a pid"));
    kill(pid, Signal::SIGSTOP).expect("stopped");
    let took = side::run(&session, script);
    kill(pid, Signal::SIGKILL).expect("killed");
    window.wait().expect("it ended");
    side::stop(session, script);
    took
}

fn beside_a_silent_client(script: &Script<'_>) -> f64 {
    let session = side::start();
    let mut silent = UnixStream::connect(&session.socket).expect("connected");
    say(&mut silent, &ClientHello { version: VERSION, client: "bench".into(), host: String::new(), read_only: true });
    say(&mut silent, &Call { id: "s".into(), request: Request::Subscribe { events: true, from: None } });
    let took = side::run(&session, script);
    drop(silent);
    side::stop(session, script);
    took
}

fn say(to: &mut UnixStream, value: &impl Serialize) {
    let text = serde_json::to_vec(value).expect("JSON");
    let length = u32::try_from(text.len()).expect("short").to_be_bytes();
    to.write_all(&[&length[..], &text].concat()).expect("taken");
}
