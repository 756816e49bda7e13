//! Clients that are killed, hang up or come and go, and a way to the engine that is taken away.

use super::idle;
use crate::session::{child_file, until};
use crate::supervised::Supervised;
use crate::window::Window;
use childminder::model::proto::Request;
use childminder::model::{CommandOutcome, Seq};
use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

fn attach(engine: &Supervised) -> Window {
    let line = format!("exec {} attach {}", env!("CARGO_BIN_EXE_childminder"), engine.folder().id());
    let window = Window::open(&line, &engine.place().home().join("work"), &engine.place().environment());
    window.until_shown("Output");
    window
}

#[test]
fn a_window_that_is_killed_takes_nothing_with_it() {
    let engine = idle("");
    let before = engine.holdings();
    for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        let mut window = attach(&engine);
        assert!(!window.is_given_back(), "it has taken nothing");
        window.signal(signal);
        window.ended();
        // Whom SIGKILL ends can clear nothing up.
        if signal != Signal::SIGKILL {
            until("a terminal that is as it was", engine.folder(), || window.is_given_back());
        }
        engine.must_hold(&before, signal.as_str());
    }
    assert_eq!(engine.stop().code, 0);
}

#[test]
fn a_window_whose_terminal_is_closed_ends_and_takes_nothing_with_it() {
    let engine = idle("");
    let before = engine.holdings();
    let mut terminal = Command::new("python3");
    terminal.arg(child_file("terminal.py")).arg(env!("CARGO_BIN_EXE_childminder")).args(["attach", engine.folder().id()]);
    terminal.envs(engine.place().environment()).env("TERM", "xterm-256color").stdin(Stdio::null());
    let mut terminal = terminal.stdout(Stdio::piped()).spawn().expect("a terminal");
    let mut screen = BufReader::new(terminal.stdout.take().expect("a pipe"));
    let mut window = String::new();
    screen.read_line(&mut window).expect("its pid");
    let (mut seen, mut bytes) = (Vec::new(), [0; 4096]);
    while !seen.windows(6).any(|window| window == b"Output") {
        let read = screen.read(&mut bytes).expect("a screen");
        assert!(read > 0, "the terminal ended: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&bytes[..read]);
    }
    terminal.kill().expect("killed");
    terminal.wait().expect("reaped");
    let line = Path::new("/proc").join(window.trim()).join("cmdline");
    until("the window's end", engine.folder(), || !std::fs::read(&line).is_ok_and(|line| !line.is_empty()));
    engine.must_hold(&before, "a closed terminal");
    assert_eq!(engine.stop().code, 0);
}

#[test]
fn five_hundred_who_come_and_go_leave_nothing_in_the_engine() {
    let engine = idle("");
    let before = engine.holdings();
    engine.begin("import childminder\nwhile not os.path.exists('enough'):\n    childminder.status(str(time.time())); print('x' * 100)");
    crate::session::block_on(async {
        for round in 0..500 {
            let client = engine.client().await.expect("connected");
            match round % 5 {
                0 => drop(client.subscribe(true, Some(Seq(0))).await.expect("subscribed")),
                1 => drop(client.subscribe(false, None).await.expect("subscribed")),
                2 => drop(client.ask(Request::Summary).await.expect("answered")),
                // Gone before the answer comes.
                3 => drop(tokio::time::timeout(std::time::Duration::ZERO, client.ask(Request::Info)).await),
                _ => {}
            }
        }
    });
    std::fs::write(engine.place().home().join("work/enough"), "").expect("written");
    engine.until("the end of the command", |state| state.running.is_none());
    engine.must_hold(&before, "five hundred clients");
    let ended = engine.stop();
    assert_eq!((ended.code, ended.state().generation.0), (0, 1), "{}", ended.tail());
}

#[test]
fn a_socket_whose_folder_is_removed_is_found_elsewhere_and_the_next_child_starts() {
    let engine = idle("");
    let before = engine.holdings();
    let home = engine.place().home().to_owned();
    for (generation, folder) in [(2, "run/childminder"), (3, "tmp"), (4, "run")] {
        let folder = home.join(folder);
        std::fs::remove_dir_all(&folder).expect("removed");
        if folder.parent() == Some(&home) {
            std::fs::create_dir(&folder).expect("made");
        }
        let socket = || engine.sockets().into_iter().find(|path| std::os::unix::net::UnixStream::connect(path).is_ok());
        until("an engine that answers", engine.folder(), || socket().is_some());
        assert_eq!(engine.value("6 * 7"), "42");
        assert!(matches!(engine.exec("os._exit(3)"), CommandOutcome::Lost { .. }));
        engine.until_generation(generation);
        engine.must_hold(&before, &format!("{} was removed", folder.display()));
    }
    assert_eq!(engine.stop().code, 0);
}
