//! The session's socket, over real sockets, with an actor that only keeps a journal.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

mod common;

use bytes::Bytes;
use childminder::api::{Client, Link, Live, SessionView, live::Target};
use childminder::model::proto::{
    Call, ClientHello, FRAME_LIMIT, List, OutputAt, OutputQuery, PAGE_LIMIT, RefusalKind, Request, Response,
    ServerFrame, ServerHello, VERSION, Window,
};
use childminder::model::{CommandId, Event, EventKind, Filter, ItemIndex, ItemStatus, Micros, ResultPackage, Seq};
use common::engine::{Engine, hello, retrying, within};
use futures_util::{SinkExt, StreamExt};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

fn note(number: u64) -> EventKind {
    EventKind::Note { text: number.to_string() }
}

/// A connection on which anything can be said.
async fn raw(engine: &Engine) -> Raw {
    let stream = UnixStream::connect(engine.socket()).await.expect("connected");
    Framed::new(stream, LengthDelimitedCodec::builder().max_frame_length(FRAME_LIMIT).new_codec())
}

type Raw = Framed<UnixStream, LengthDelimitedCodec>;

async fn say_text(frames: &mut Raw, text: &str) {
    SinkExt::<Bytes>::send(frames, Bytes::copy_from_slice(text.as_bytes())).await.expect("sent");
}

async fn say(frames: &mut Raw, value: &impl serde::Serialize) {
    say_text(frames, &serde_json::to_string(value).expect("json")).await;
}

async fn said(frames: &mut Raw) -> io::Result<ServerHello> {
    let frame = within(frames.next()).await.expect("an answer")?;
    Ok(serde_json::from_slice(&frame).expect("a hello"))
}

async fn ends(frames: &mut Raw) {
    while let Some(Ok(_)) = within(frames.next()).await {}
}

fn refused(answer: ServerHello) -> String {
    match answer {
        ServerHello::Refused { reason } => reason,
        ServerHello::Welcome { .. } => panic!("it was welcomed"),
    }
}

#[tokio::test]
async fn another_version_is_refused_with_a_sentence_that_names_both() {
    let engine = Engine::start();
    let mut frames = raw(&engine).await;
    say_text(&mut frames, r#"{"version":99,"another":"field"}"#).await;
    let reason = refused(said(&mut frames).await.expect("a hello"));
    assert!(reason.contains("99") && reason.contains(&VERSION.to_string()), "{reason}");
    ends(&mut frames).await;
}

#[tokio::test]
async fn what_is_no_hello_is_refused_and_the_session_unharmed() {
    let engine = Engine::start();
    for (what, bytes) in [
        ("another protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("an oversize frame", vec![0xff; 64]),
        ("garbage", [&8u32.to_be_bytes()[..], b"\x00\xff{[}]\x1b0"].concat()),
        ("json of another kind", [&2u32.to_be_bytes()[..], b"[]"].concat()),
    ] {
        let mut stream = UnixStream::connect(engine.socket()).await.expect("connected");
        tokio::io::AsyncWriteExt::write_all(&mut stream, &bytes).await.expect("written");
        let mut frames = Framed::new(stream, LengthDelimitedCodec::new());
        let reason = refused(said(&mut frames).await.expect(what));
        assert!(reason.contains("hello"), "{what}: {reason}");
        ends(&mut frames).await;
    }
    let client = engine.client().await;
    assert!(matches!(client.ask(Request::Summary).await, Ok(Response::Summary(_))));
}

#[tokio::test]
async fn an_oversize_or_broken_frame_ends_only_its_connection() {
    let engine = Engine::start();
    let bystander = engine.client().await;
    let mut frames = raw(&engine).await;
    say(&mut frames, &hello("raw")).await;
    assert!(matches!(said(&mut frames).await, Ok(ServerHello::Welcome { .. })));
    say_text(&mut frames, r#"{"id":"1","ask":"juggle"}"#).await;
    let answer = within(frames.next()).await.expect("an answer").expect("sound");
    let answer = String::from_utf8(answer.to_vec()).expect("text");
    assert!(answer.contains("juggle") && answer.contains("invalid"), "{answer}");
    let mut stream = frames.into_inner();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &u32::MAX.to_be_bytes()).await.expect("written");
    ends(&mut Framed::new(stream, LengthDelimitedCodec::new())).await;
    assert!(bystander.ask(Request::Summary).await.is_ok());
}

#[tokio::test]
async fn read_only_clients_and_watchers_are_refused_writes_by_the_engine() {
    let engine = Engine::start();
    let (reader, welcome) =
        Client::connect(&engine.socket(), &ClientHello { read_only: true, ..hello("tui") }).await.expect("connected");
    assert!(welcome.read_only);
    // A watcher is a reader whatever it says of itself.
    let (watcher, welcome) = Client::connect(&engine.watchers(), &hello("tui")).await.expect("connected");
    assert!(welcome.read_only);
    for client in [reader, watcher] {
        for request in
            [Request::Hold, Request::Exec { source: "1".into(), wait: false }, Request::Complete { text: "os.".into() }]
        {
            let refused = client.ask(request).await.expect_err("a write");
            assert_eq!(refused.refusal(), Some(RefusalKind::NotAllowed));
        }
        assert!(client.ask(Request::Summary).await.is_ok());
    }
    assert!(engine.state(|state| state.held.is_none()));
}

#[tokio::test]
async fn who_asked_is_in_the_event() {
    let engine = Engine::start();
    engine.client().await.ask(Request::Hold).await.expect("held");
    let by = engine.state(|state| state.held.clone()).expect("held").by.expect("by somebody");
    assert_eq!(by.uid, nix::unistd::geteuid().as_raw());
    assert_eq!((by.client.as_str(), by.host.as_str()), ("test", "here"));
    assert!(by.request.len() >= 16, "{}", by.request);
}

#[tokio::test]
async fn subscribing_amid_events_loses_and_doubles_none() {
    let engine = Engine::start();
    let writer = engine.clone();
    let writing = std::thread::spawn(move || (1..=3000).for_each(|number| writer.record(note(number))));
    let mut subscriptions = Vec::new();
    for round in 0..10u64 {
        let client = engine.client().await;
        // Half of them want everything from the beginning, read from the journal.
        let from = (round % 2 == 0).then_some(Seq(0));
        let (summary, frames) = client.subscribe(true, from).await.expect("subscribed");
        subscriptions.push((client, from.unwrap_or(summary.seq), frames));
    }
    writing.join().expect("written");
    for (_client, after, mut frames) in subscriptions {
        let mut next = after.next();
        while next <= Seq(3000) {
            match within(frames.recv()).await.expect("a frame") {
                ServerFrame::Events { events } => {
                    for event in events {
                        assert_eq!(event.seq, next);
                        next = next.next();
                    }
                }
                ServerFrame::Gap { from, to } => panic!("{from} to {to} were left out for one who reads"),
                ServerFrame::Pulse { .. } => {}
                ServerFrame::Answer { .. } => panic!("an answer to nothing"),
            }
        }
    }
}

#[tokio::test]
async fn one_that_does_not_read_is_told_of_a_gap_and_nobody_else_notices() {
    let engine = Engine::start();
    let mut stalled = raw(&engine).await;
    say(&mut stalled, &hello("stalled")).await;
    said(&mut stalled).await.expect("welcomed");
    let call = Call { id: "s".into(), request: Request::Subscribe { events: true, from: None } };
    say(&mut stalled, &call).await;
    let _snapshot = within(stalled.next()).await.expect("an answer").expect("sound");

    let reader = engine.client().await;
    let (_, mut frames) = reader.subscribe(true, None).await.expect("subscribed");
    let total = 20_000;
    let mut seen = 0;
    for number in 1..=total {
        engine.record(EventKind::Note { text: format!("{number:0>500}") });
        // As quick as the reader is, and no quicker: what it misses is then not its own fault.
        while number - seen > 500 {
            seen = last_seen(&mut frames, seen).await;
        }
    }
    while seen < total {
        seen = last_seen(&mut frames, seen).await;
    }

    let (mut next, mut left_out) = (1, 0);
    while next <= total {
        let frame = within(stalled.next()).await.expect("a frame").expect("sound");
        match serde_json::from_slice(&frame).expect("a frame") {
            ServerFrame::Events { events } => {
                assert_eq!(events[0].seq, Seq(next), "what is left out is said");
                next += events.len() as u64;
            }
            ServerFrame::Gap { from, to } => {
                assert_eq!(from, Seq(next));
                left_out += to.0 - from.0 + 1;
                next = to.0 + 1;
            }
            ServerFrame::Pulse { .. } | ServerFrame::Answer { .. } => {}
        }
    }
    assert!(left_out > 0, "20,000 events of 500 bytes do not fit into a socket");
}

async fn last_seen(frames: &mut tokio::sync::mpsc::Receiver<ServerFrame>, seen: u64) -> u64 {
    match within(frames.recv()).await.expect("a frame") {
        ServerFrame::Events { events } => events.last().map_or(seen, |last| last.seq.0),
        ServerFrame::Gap { from, to } => panic!("{from} to {to} were left out for one who reads"),
        ServerFrame::Pulse { .. } | ServerFrame::Answer { .. } => seen,
    }
}

#[tokio::test]
async fn pulses_come_at_most_thirty_times_a_second_and_the_last_one_is_the_newest() {
    let engine = Engine::start();
    let client = engine.client().await;
    let (_, mut frames) = client.subscribe(false, None).await.expect("subscribed");
    let began = tokio::time::Instant::now();
    let (mut pulses, mut newest) = (0u32, Seq(0));
    for number in 1..=300 {
        engine.record(note(number));
        tokio::task::yield_now().await;
        while let Ok(frame) = frames.try_recv() {
            if let ServerFrame::Pulse { summary } = frame {
                (pulses, newest) = (pulses + 1, summary.seq);
            }
        }
    }
    while newest < Seq(300) {
        if let ServerFrame::Pulse { summary } = within(frames.recv()).await.expect("a frame") {
            assert!(summary.seq >= newest);
            (pulses, newest) = (pulses + 1, summary.seq);
        }
    }
    let allowed = began.elapsed().as_millis() / 33 + 2;
    assert!(u128::from(pulses) <= allowed, "{pulses} pulses where {allowed} are allowed");
}

/// Counts this process's sockets, so it has to have the process to itself.
#[test]
fn rapid_coming_and_going_leaks_nothing() {
    let alone = ["--exact", "rapid_coming_and_going_alone", "--ignored", "--nocapture"];
    let test = std::process::Command::new(std::env::current_exe().expect("this test")).args(alone).output();
    let test = test.expect("it runs");
    let said = [test.stdout, test.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(test.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "run by rapid_coming_and_going_leaks_nothing"]
async fn rapid_coming_and_going_alone() {
    let engine = Engine::start();
    let stays = engine.client().await;
    engine.until(|engine| engine.clients() == 1).await;
    let before = open_files();
    for round in 0..500 {
        let client = engine.client().await;
        if round % 3 == 0 {
            client.subscribe(true, Some(Seq(0))).await.expect("subscribed");
        }
        drop(client);
    }
    engine.until(|engine| engine.clients() == 1).await;
    retrying("the connections are closed", || open_files() <= before + 2).await;
    assert!(stays.ask(Request::Summary).await.is_ok());
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("open files").filter_map(Result::ok).filter(is_socket).count()
}

fn is_socket(entry: &std::fs::DirEntry) -> bool {
    std::fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
}

#[tokio::test]
async fn the_sixty_fifth_client_is_refused_clearly_and_comes_in_when_one_leaves() {
    let engine = Engine::start();
    let mut clients = Vec::new();
    for _ in 0..64 {
        clients.push(engine.client().await);
    }
    let refused = Client::connect(&engine.socket(), &hello("test")).await.expect_err("too many").to_string();
    assert!(refused.contains("64 clients"), "{refused}");
    clients.pop();
    engine.until(|engine| engine.clients() == 63).await;
    let mut tries = 0;
    while Client::connect(&engine.socket(), &hello("test")).await.is_err() {
        tries += 1;
        assert!(tries < 1000, "there is room");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_retried_write_is_done_once() {
    let engine = Engine::start();
    let exec = Request::Exec { source: "6*7".into(), wait: false };
    let id = childminder::api::client::new_id().expect("an id");
    let first = engine.client().await.ask_as(id.clone(), exec.clone()).await.expect("queued");
    let again = engine.client().await.ask_as(id.clone(), exec).await.expect("queued");
    assert_eq!(first, again);
    assert_eq!(engine.state(|state| state.commands.len()), 1);
    let misused = engine.client().await.ask_as(id, Request::Hold).await.expect_err("another request");
    assert_eq!(misused.refusal(), Some(RefusalKind::Invalid));
}

#[tokio::test]
async fn a_command_that_waits_goes_on_when_its_client_has_gone() {
    let engine = Engine::start();
    let id = childminder::api::client::new_id().expect("an id");
    let exec = Request::Exec { source: "6*7".into(), wait: true };
    let client = engine.client().await;
    let asking = client.ask_as(id.clone(), exec.clone());
    let gave_up = tokio::time::timeout(Duration::from_millis(50), asking).await;
    assert!(gave_up.is_err(), "it waits for the command's end");
    drop(client);
    engine.until(|engine| engine.state(|state| state.commands.len() == 1)).await;
    let (again, finish) =
        tokio::join!(async { engine.client().await.ask_as(id, exec).await }, async { engine.finish(CommandId(1)) });
    let () = finish;
    assert!(matches!(again, Ok(Response::Command(_))), "{again:?}");
    assert_eq!(engine.state(|state| state.commands.len()), 1);
}

#[tokio::test]
async fn pages_hold_no_more_than_the_limit_and_rows_that_exist() {
    let engine = Engine::with_frames(5000);
    let client = engine.client().await;
    let window = Window { from: 4_000_000, limit: u32::MAX };
    let Ok(Response::Agenda(page)) = client.ask(Request::Agenda(window)).await else { panic!("no page") };
    assert_eq!((page.from, page.total, page.rows.len()), (3000, 5000, PAGE_LIMIT as usize));
    assert_eq!(page.rows[0].name, "3001");
    let query = OutputQuery {
        stream: None,
        at: OutputAt::End,
        before: u32::MAX,
        after: u32::MAX,
        command: None,
        filter: Filter::default(),
        raw: false,
    };
    let Ok(Response::Output(page)) = client.ask(Request::Output(Box::new(query))).await else { panic!("no page") };
    assert_eq!(page.lines.len(), PAGE_LIMIT as usize);
    let Ok(Response::Agenda(page)) = client.ask(Request::Agenda(Window { from: 10, limit: 1 })).await else {
        panic!("no page")
    };
    assert_eq!(page.rows[0].item, ItemIndex(10));
}

#[tokio::test]
async fn an_item_a_command_and_what_they_contain_are_found() {
    let engine = Engine::with_frames(30_000);
    let client = engine.client().await;
    let fail = |item, reason: &str| {
        engine.record(EventKind::ItemStarted { item, attempt: 1 });
        engine.record(EventKind::ItemEnded {
            item,
            status: ItemStatus::Failed,
            reason: Some(reason.into()),
            took: Micros(1),
            again: None,
            result: ResultPackage::default(),
        });
    };
    fail(ItemIndex(25_000), "no Camera in the scene");
    client.ask(Request::Exec { source: "import bpy".into(), wait: false }).await.expect("queued");
    client.ask(Request::Exec { source: "bpy.ops.render()".into(), wait: false }).await.expect("queued");

    let find = |list, text: &str, from, forward| Request::Find { list, text: text.into(), from, forward };
    let found = async |request| match client.ask(request).await {
        Ok(Response::Found { row }) => row,
        other => panic!("not an answer: {other:?}"),
    };
    assert_eq!(found(find(List::Agenda, "no camera", 0, true)).await, Some(25_000));
    assert_eq!(found(find(List::Agenda, "FAILED", 29_999, false)).await, Some(25_000));
    assert_eq!(found(find(List::Agenda, "no camera", 25_001, true)).await, None);
    assert_eq!(found(find(List::Commands, "BPY", 0, true)).await, Some(0));
    assert_eq!(found(find(List::Commands, "bpy", u32::MAX, false)).await, Some(1));
    assert_eq!(found(find(List::Exceptions, "x", 0, true)).await, None);

    let Ok(Response::Item(item)) = client.ask(Request::Item { name: "25001".into() }).await else { panic!("no item") };
    assert_eq!(item.reason.as_deref(), Some("no Camera in the scene"));
    assert_eq!(item.commands, ["render(25001)"]);
    let Ok(Response::Command(command)) = client.ask(Request::Command { id: CommandId(2) }).await else {
        panic!("no command")
    };
    assert_eq!((command.source.as_str(), command.outcome), ("bpy.ops.render()", None));
    let refused = client.ask(Request::Command { id: CommandId(3) }).await.expect_err("there are two");
    assert_eq!(refused.refusal(), Some(RefusalKind::NotFound));
}

/// Runs a program; whether it succeeded.
fn ran(program: &str, arguments: &[&str], path: &Path) -> bool {
    Command::new(program).args(arguments).arg(path).status().expect("it starts").success()
}

/// Where the engine answers, once it does so elsewhere than in the runtime directory.
async fn moved(engine: &Engine) -> PathBuf {
    let elsewhere = || engine.found().filter(|path| !path.starts_with(engine.runtime()));
    retrying("an engine that answers elsewhere", || elsewhere().is_some()).await;
    let path = elsewhere().expect("it answered");
    let mode = path.parent().expect("a folder").metadata().expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let client = within(Client::connect(&path, &hello("test"))).await.expect("connected").0;
    assert!(client.ask(Request::Summary).await.is_ok());
    path
}

#[tokio::test]
async fn a_socket_that_vanishes_is_made_again_out_of_a_log_outs_reach() {
    let engine = Engine::start();
    std::fs::remove_file(engine.socket()).expect("removed");
    let path = moved(&engine).await;
    assert!(!engine.socket().exists(), "what may be going away is left alone");
    let folder = path.parent().expect("a folder");
    assert!(ran("rm", &["-rf"], folder) && !folder.exists(), "whoever removes the folder can be done with it");
    assert_eq!(moved(&engine).await, path);
}

/// A file system in memory, taken away at the latest when the test ends.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).stderr(Stdio::null()).status();
    }
}

#[tokio::test]
async fn an_engine_is_reached_after_its_owner_logged_out() {
    let engine = Engine::start();
    let runtime = engine.runtime();
    engine.stop_server().await;
    // Else it would come to light again when the mount goes.
    std::fs::remove_dir(runtime.join("childminder")).expect("empty");
    let mounted = nix::unistd::geteuid().is_root() && ran("mount", &["-t", "tmpfs", "tmpfs"], &runtime);
    let _mounted = mounted.then(|| Mounted(runtime.clone()));
    engine.serve_again();
    assert_eq!(engine.found(), Some(engine.socket()));

    // As logind does: emptied, then taken away.
    assert!(ran("rm", &["-rf"], &runtime.join("childminder")));
    if mounted {
        assert!(ran("umount", &["-l"], &runtime));
    } else {
        println!("skipped, for want of root and of the right to mount: the unmounting of the runtime directory");
    }
    std::fs::remove_dir(&runtime).expect("nothing was made in it");
    moved(&engine).await;
}

#[tokio::test]
async fn a_live_view_connects_again_and_says_when_the_engine_is_gone() {
    let engine = Engine::start();
    let (path, alive) = (engine.socket(), engine.alive());
    let target = Target {
        paths: Box::new(move || vec![path.clone()]),
        alive: Box::new(alive),
        ended: Box::new(|| None),
        folder: None,
    };
    let live = Live::start(target, hello("tui")).expect("a thread");
    let mut link = live.pulses();
    within(link.wait_for(|link| matches!(link, Link::Live(_)))).await.expect("live");
    engine.restart_server().await;
    assert!(matches!(live.ask(Request::Hold).await, Ok(Response::Done { .. })), "asked again by itself");
    within(link.wait_for(|link| link.summary().is_some_and(|summary| summary.held.is_some()))).await.expect("held");
    engine.die().await;
    let over = within(link.wait_for(|link| matches!(link, Link::Over { .. }))).await.expect("over").clone();
    assert!(matches!(over, Link::Over { last: Some(_), .. }), "{over:?}");
    assert!(live.ask(Request::Summary).await.is_err());
}

#[tokio::test]
async fn clients_hear_of_the_end_before_the_engine_leaves() {
    let engine = Engine::start();
    let client = engine.client().await;
    let (_, mut frames) = client.subscribe(true, None).await.expect("subscribed");
    engine.record(EventKind::SessionEnded { code: 0, reason: "all items are complete".into() });
    engine.stop_server().await;
    let (mut told, mut ended) = (false, false);
    while let Some(frame) = within(frames.recv()).await {
        match frame {
            ServerFrame::Events { events } => {
                let end = |event: &Event| matches!(event.kind, EventKind::SessionEnded { .. });
                told |= events.iter().any(end);
            }
            ServerFrame::Pulse { summary } => ended |= summary.ended.is_some(),
            ServerFrame::Gap { .. } | ServerFrame::Answer { .. } => {}
        }
    }
    assert!(told && ended, "told: {told}, pulse: {ended}");
}
