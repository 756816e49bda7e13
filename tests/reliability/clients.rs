//! Clients that are killed, hang up or come and go, and a way to the engine that is taken away.

use super::idle;
use crate::disk::{SmallDisk, fill};
use crate::session::{PATIENCE, job, until};
use crate::supervised::{Place, Supervised};
use crate::window::Window;
use childminder::api::ApiError;
use childminder::model::proto::{Request, Response};
use childminder::model::{CommandOutcome, EventKind, Seq};
use nix::sys::signal::Signal;
use portable_pty::{CommandBuilder, ExitStatus, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

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

/// Has the program run without being told of a hang-up by signal: a blocked one stays so for who is executed.
const DEAF: &str = "import os, signal, sys\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})\nos.execv(sys.argv[1], sys.argv[1:])";

/// Opens a window on a terminal, closes that when something is shown there, and waits for the window's end; how it ended.
fn close_terminal(engine: &Supervised, deaf: bool) -> ExitStatus {
    let size = PtySize { rows: 40, cols: 130, pixel_width: 0, pixel_height: 0 };
    let terminal = native_pty_system().openpty(size).expect("a terminal");
    let mut line = if deaf { vec!["python3", "-c", DEAF] } else { Vec::new() };
    line.extend([env!("CARGO_BIN_EXE_childminder"), "attach", engine.folder().id()]);
    let mut command = CommandBuilder::new(line[0]);
    command.args(&line[1..]);
    command.env("TERM", "xterm-256color");
    for (name, value) in engine.place().environment() {
        command.env(name, value);
    }
    let mut window = terminal.slave.spawn_command(command).expect("a window");
    let mut screen = terminal.master.try_clone_reader().expect("a screen");
    let (tells, told) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut seen, mut bytes) = (Vec::new(), [0; 4096]);
        while !seen.windows(6).any(|word| word == b"Output") {
            match screen.read(&mut bytes) {
                Ok(read @ 1..) => seen.extend_from_slice(&bytes[..read]),
                _ => return,
            }
        }
        drop(screen);
        let _ = tells.send(());
    });
    let shown = told.recv_timeout(PATIENCE);
    drop(terminal);
    let mut status = None;
    let begun = Instant::now();
    while shown.is_ok() && status.is_none() && begun.elapsed() < PATIENCE {
        status = window.try_wait().expect("a child");
        std::thread::sleep(Duration::from_millis(5));
    }
    status.unwrap_or_else(|| {
        let _ = window.kill();
        let _ = window.wait();
        panic!("{}", if shown.is_ok() { "it lives without a terminal" } else { "nothing was shown" })
    })
}

#[test]
fn a_window_whose_terminal_is_closed_ends_and_takes_nothing_with_it() {
    let engine = idle("");
    let before = engine.holdings();
    for round in 0..20 {
        let deaf = round % 2 == 0;
        let status = close_terminal(&engine, deaf);
        assert!(status.success(), "round {round}: {status:?}");
        engine.must_hold(&before, "a closed terminal");
    }
    assert_eq!(engine.stop().code, 0);
}

#[test]
fn who_watches_over_the_terminal_sleeps_while_there_is_one() {
    let engine = idle("");
    let mut window = attach(&engine);
    let wakes = |window: &Window| {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", window.pid())).expect("threads").flatten();
        let mut watch = tasks.filter_map(|task| {
            let status = std::fs::read_to_string(task.path().join("status")).ok()?;
            status.starts_with("Name:\thang-up\n").then_some(status)
        });
        let status = watch.next().expect("a watch");
        let count = status.lines().filter_map(|line| line.split_once("ctxt_switches:")?.1.trim().parse::<u64>().ok());
        count.sum::<u64>()
    };
    let before = wakes(&window);
    for number in 0..20 {
        window.press("i");
        window.press(&format!("typed{number}"));
        window.until_shown(&format!("typed{number}"));
        window.press("Esc");
    }
    assert_eq!(wakes(&window), before, "what is typed is none of its business");
    window.signal(Signal::SIGTERM);
    window.ended();
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

#[test]
fn strangers_at_the_back_channel_are_turned_away_and_forgotten() {
    let engine = idle("");
    let before = engine.holdings();
    let argv = engine.events().into_iter().find_map(|event| match event.kind {
        EventKind::ChildStarting { argv, .. } => Some(argv),
        _ => None,
    });
    let port: u16 = argv.and_then(|argv| argv.last()?.parse().ok()).expect("a port");
    for round in 0..100 {
        let mut stranger = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a listener");
        if round % 2 == 0 {
            // It may be thrown out before it has said that.
            let _ = stranger.write_all(b"\0\0\0\x02{}");
        }
        let mut heard = Vec::new();
        // One that had said something is cut off, any other one is told that it is over.
        let _ = stranger.read_to_end(&mut heard);
        assert_eq!(heard, b"", "a stranger was told something");
    }
    engine.until("that they are recorded", |state| state.refused > 0);
    engine.must_hold(&before, "a hundred strangers");
    assert_eq!(engine.stop().code, 0);
}

/// Fills the disk while the child prints: what is not kept is told, and work waits until there is room.
#[test]
fn an_engine_on_a_full_disk_keeps_its_child_and_works_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let home = tempfile::tempdir_in(disk.path()).expect("a folder");
    let mut engine = Place::of(home, job("hold = true\n[agenda]")).start();
    engine.must_get_ready();
    engine.until_agenda();
    engine.exec("import os; print('something')");
    let before = engine.holdings();
    let ballast = disk.path().join("ballast");
    fill(&ballast);
    let refused = engine.ask(Request::Exec { source: "#".repeat(100_000), wait: false });
    assert!(matches!(refused, Err(ApiError::Refused(_))), "{refused:?}");
    assert!(matches!(engine.ask(Request::Summary), Ok(Response::Summary(_))));
    std::fs::remove_file(&ballast).expect("freed");
    until("an engine that takes work again", engine.folder(), || {
        engine.ask(Request::Exec { source: "1".into(), wait: true }).is_ok()
    });
    engine.must_hold(&before, "a full disk");
    let ended = engine.stop();
    assert_eq!((ended.code, ended.state().generation.0), (0, 1), "{}", ended.tail());
}
