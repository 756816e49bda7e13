//! Whoever talks to the back channel and should not, and a child that lies on it: refused or ended, recorded, survived.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/session.rs"]
mod session;

use childminder::model::{
    ChildState, CommandId, CommandOutcome, CommandState, EventKind, ItemIndex, ItemStatus, Job, RefusedPeer, Stream,
};
use session::{Ended, Session, child_file, job, quoted};
use std::collections::{HashSet, VecDeque};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A job whose child is this file of ours, which is given what the interpreter would be: the bootstrapper, the port.
fn job_with(script: &str, env: &str, rest: &str) -> Job {
    let script = quoted(child_file(script));
    job(&format!(
        "{rest}\n[settings]\nextra_arguments = [{script}]\n[env]\n{env}\n[phases]\ncommands = ['print({{frame}})']\n[agenda]\nframes = '1-2'"
    ))
}

// ---- strangers --------------------------------------------------------------------------------------------------------

/// A job whose child waits, before it is an interpreter, until the gate is dropped.
fn gated(rest: &str) -> (Session, TcpListener) {
    let gate = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = gate.local_addr().expect("an address").port();
    (Session::start(job_with("waits_at_gate.py", &format!("GATE = '{port}'"), rest)), gate)
}

/// The port of the back channel, as everybody on this machine can see it.
fn port(session: &Session) -> u16 {
    session.until("a child", |state| matches!(state.child, ChildState::Starting { pid: Some(_), .. }));
    let argv = session.events().into_iter().find_map(|event| match event.kind {
        EventKind::ChildStarting { argv, .. } => Some(argv),
        _ => None,
    });
    let argv = argv.expect("a start");
    let place = argv.iter().position(|word| word == "--port").expect("a port");
    argv[place + 1].parse().expect("a number")
}

struct Stranger(TcpStream);

impl Stranger {
    fn at(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a listener");
        stream.set_read_timeout(Some(session::PATIENCE)).expect("set");
        Self(stream)
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.write_all(bytes).expect("taken");
        self
    }

    fn says(self, message: &str) -> Self {
        let length = u32::try_from(message.len()).expect("short").to_be_bytes();
        self.bytes(&[&length, message.as_bytes()].concat())
    }

    fn hears(&mut self) -> String {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).expect("a frame");
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut frame).expect("a frame");
        String::from_utf8(frame).expect("JSON")
    }

    fn address(&self) -> String {
        self.0.local_addr().expect("an address").to_string()
    }

    /// Waits until it is thrown out.
    fn must_be_thrown_out(mut self) {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(rest, b"", "a stranger was told something"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
        }
    }
}

fn refused(ended: &Ended) -> Vec<RefusedPeer> {
    let events = ended.events().into_iter();
    events
        .filter_map(|event| if let EventKind::PeerRefused { peer, .. } = event.kind { Some(peer) } else { None })
        .collect()
}

const KNOCK: &str = r#"{"type":"knock","protocol":1,"nonce":"00"}"#;

#[test]
fn strangers_before_the_proof_are_refused_and_recorded() {
    let (session, gate) = gated("");
    let port = port(&session);
    Stranger::at(port).bytes(b"GET / HTTP/1.1\r\n\r\n").must_be_thrown_out();
    Stranger::at(port).bytes(&[0, 0, 0x10, 1]).must_be_thrown_out();
    Stranger::at(port).says("{]").must_be_thrown_out();
    Stranger::at(port).says(r#"{"type":"prove","proof":"00"}"#).must_be_thrown_out();
    Stranger::at(port).says(r#"{"type":"knock","protocol":99,"nonce":"00"}"#).must_be_thrown_out();
    Stranger::at(port).says(r#"{"type":"anything else"}"#).must_be_thrown_out();
    for proof in ["00", "", &"ab".repeat(32), "\u{e9}"] {
        let mut stranger = Stranger::at(port).says(KNOCK);
        let challenge: serde_json::Value = serde_json::from_str(&stranger.hears()).expect("JSON");
        // What we prove to it is not good for its own proof.
        let proof = if proof.is_empty() { challenge["proof"].as_str().expect("a proof") } else { proof };
        stranger.says(&format!(r#"{{"type":"prove","proof":"{proof}"}}"#)).must_be_thrown_out();
    }
    drop(Stranger::at(port));
    session.until("eleven refusals", |state| state.refused >= 11);
    drop(gate);
    let ended = session.wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let reasons: Vec<String> = refused(&ended).into_iter().map(|peer| peer.reason).collect();
    assert_eq!(count(&reasons, "over the limit of 4096"), 2, "{reasons:?}");
    assert_eq!(count(&reasons, "malformed frame"), 1, "{reasons:?}");
    assert_eq!(count(&reasons, "out of turn"), 2, "{reasons:?}");
    assert_eq!(count(&reasons, "speaks version 99"), 1, "{reasons:?}");
    assert_eq!(count(&reasons, "did not prove the session's secret"), 4, "{reasons:?}");
    assert_eq!(count(&reasons, "closed the back channel"), 1, "{reasons:?}");
    assert!(refused(&ended).iter().all(|peer| peer.address.starts_with("127.0.0.1:")));
}

/// How often this was the reason of a refusal.
fn count(reasons: &[String], part: &str) -> usize {
    reasons.iter().filter(|reason| reason.contains(part)).count()
}

#[test]
fn twenty_at_once_and_slow_ones_cost_eight_places_for_five_seconds() {
    let (session, gate) = gated("");
    let port = port(&session);
    let slow: Vec<Stranger> = (0..20).map(|_| Stranger::at(port).bytes(&[0, 0])).collect();
    session.until("twelve who lost their places", |state| state.refused >= 12);
    slow.into_iter().for_each(Stranger::must_be_thrown_out);
    session.until("the slow ones' refusals", |state| state.refused >= 20);
    drop(gate);
    let ended = session.wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let reasons: Vec<String> = refused(&ended).into_iter().map(|peer| peer.reason).collect();
    assert_eq!(count(&reasons, "too many connections at a time"), 12, "{reasons:?}");
    assert_eq!(count(&reasons, "did not prove itself within 5 s"), 8, "{reasons:?}");
}

#[test]
fn strangers_who_sit_idle_do_not_keep_the_child_out_and_are_each_refused() {
    for number in [8, 20] {
        let (session, gate) = gated("hold = true");
        let port = port(&session);
        let idle: Vec<Stranger> = (0..number).map(|_| Stranger::at(port)).collect();
        let addresses: HashSet<String> = idle.iter().map(Stranger::address).collect();
        drop(gate);
        session.until_agenda();
        session.until("all refused", move |state| state.refused >= number);
        idle.into_iter().for_each(Stranger::must_be_thrown_out);
        assert_eq!(session.value("6 * 7"), "42");
        let ended = session.stop();
        let told = refused(&ended);
        assert_eq!(told.iter().map(|peer| peer.address.clone()).collect::<HashSet<_>>(), addresses);
        let reasons: Vec<String> = told.into_iter().map(|peer| peer.reason).collect();
        // The child needs one place; who still has one when it proves itself loses it for that.
        let most = usize::try_from(number).expect("small") - 7;
        assert_eq!(count(&reasons, "too many connections at a time"), most, "{reasons:?}");
        assert_eq!(count(&reasons, "a child is already connected"), 7, "{reasons:?}");
    }
}

#[test]
fn strangers_who_keep_coming_do_not_keep_the_child_out() {
    let (session, gate) = gated("hold = true");
    let port = port(&session);
    let over = Arc::new(AtomicBool::new(false));
    let crowd: Vec<_> = (0..2)
        .map(|_| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                // Each of them keeps thirty connections open, and opens the next as soon as it is thrown out of one.
                let mut idle = VecDeque::new();
                while !over.load(Ordering::Relaxed) {
                    idle.push_back(Stranger::at(port));
                    if idle.len() > 30 {
                        idle.pop_front().into_iter().for_each(Stranger::must_be_thrown_out);
                    }
                }
            })
        })
        .collect();
    session.until("a crowd", |state| state.refused >= 20);
    drop(gate);
    session.until_agenda();
    over.store(true, Ordering::Relaxed);
    assert_eq!(session.value("6 * 7"), "42");
    for stranger in crowd {
        stranger.join().expect("strangers who were all thrown out");
    }
    session.stop().assert_nobody_left();
}

#[test]
fn after_the_proof_everybody_is_refused() {
    let (session, gate) = gated("hold = true");
    let port = port(&session);
    drop(gate);
    session.until_agenda();
    for _ in 0..3 {
        Stranger::at(port).must_be_thrown_out();
    }
    session.until("three refusals", |state| state.refused >= 3);
    assert_eq!(session.value("6 * 7"), "42");
    let ended = session.stop();
    assert!(refused(&ended).iter().all(|peer| peer.reason == "a child is already connected"), "{:?}", refused(&ended));
    ended.assert_nobody_left();
}

// ---- a child that lies ------------------------------------------------------------------------------------------------

fn lie(how: &str) -> Ended {
    let rest = "[timeouts]\nkill_grace = '300ms'\nstartup = '3s'";
    Session::start(job_with("lies.py", &format!("LIE = '{how}'"), rest)).wait()
}

#[test]
fn a_lie_on_the_channel_ends_it_and_the_child_and_the_item() {
    for (how, reason) in [
        ("malformed", "malformed frame"),
        ("not text", "malformed frame"),
        ("deep", "malformed frame"),
        ("deep in the unknown", "recursion limit"),
        ("deep causes", "recursion limit"),
        ("shape", "malformed frame"),
        ("oversize", "a frame of 4294967295 bytes is over the limit of 16777216"),
        ("another command", "it spoke of command 999, which does not run"),
        ("hello again", "it introduced itself again"),
        ("closes", "the child closed the back channel"),
        ("is deaf", "the child closed the back channel"),
    ] {
        let ended = lie(how);
        assert_eq!(ended.code, 70, "{how}\n{}", ended.tail());
        let told = ended.child_failed();
        assert!(told.len() == 1 && told[0].contains(reason), "{how}: {told:?}");
        assert!(ended.item_reason().contains(reason), "{how}: {}", ended.item_reason());
        let state = ended.state();
        assert_eq!(state.command(CommandId(1)).map(|row| row.state), Some(CommandState::Lost), "{how}");
        assert_eq!(state.item(ItemIndex(0)).map(|row| row.status), Some(ItemStatus::Failed), "{how}");
        assert_eq!(state.item(ItemIndex(1)).map(|row| row.status), Some(ItemStatus::Pending), "{how}");
        ended.assert_nobody_left();
    }
}

#[test]
fn an_heir_that_holds_pipes_and_channel_does_not_hide_the_end() {
    let ended = lie("ends with an heir");
    assert_eq!(ended.code, 70, "{}", ended.tail());
    let CommandOutcome::Lost { reason } = ended.outcome(1) else { panic!("{:?}", ended.outcome(1)) };
    assert_eq!(reason, "the child ended: exit code 3");
    ended.assert_nobody_left();
}

#[test]
fn a_child_that_never_says_hello_is_given_up_with_its_last_words() {
    for how in ["mute", "no hello"] {
        let ended = lie(how);
        assert_eq!(ended.code, 69, "{how}\n{}", ended.tail());
        let told = ended.child_failed().join("\n");
        assert!(told.contains("did not say hello within 3 s") && told.contains("the liar is here"), "{how}: {told}");
        assert_eq!(ended.state().count(ItemStatus::Pending), 2);
        ended.assert_nobody_left();
    }
}

#[test]
fn a_child_that_tells_without_end_does_not_fill_the_journal() {
    let ended = lie("tells without end");
    assert_eq!(ended.code, 1, "{}", ended.tail());
    let state = ended.state();
    assert_eq!(state.item(ItemIndex(0)).map(|row| row.status), Some(ItemStatus::Failed), "it said fail");
    assert_eq!(state.item(ItemIndex(1)).map(|row| row.status), Some(ItemStatus::Complete));
    let events = ended.events().len();
    assert!(events < 5000, "{events} events for what 20,000 rounds told");
}

// ---- the secret -------------------------------------------------------------------------------------------------------

fn variable(pid: u32, name: &str) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("readable");
    let begin = format!("{name}=");
    let found = environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(begin.as_bytes()))?;
    Some(String::from_utf8_lossy(found).into_owned())
}

fn pid(session: &Session) -> u32 {
    session.look(|state| match &state.child {
        ChildState::Starting { pid: Some(pid), .. } | ChildState::Connected { pid, .. } => *pid,
        other => panic!("{other:?}"),
    })
}

/// Every file below a folder that contains a text.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(files_with(&entry, text));
        } else if entry.is_file() {
            let bytes = std::fs::read(&entry).expect("readable");
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(entry.display().to_string());
            }
        }
    }
    found
}

/// Nowhere that user code, other people or a file could tell it.
fn assert_hidden(session: &Session, secret: &str) {
    assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()), "no secret: {secret:?}");
    let argv = std::fs::read(format!("/proc/{}/cmdline", pid(session))).expect("readable");
    assert!(!String::from_utf8_lossy(&argv).contains(secret), "on the command line");
    let seen = session.value("import os, sys\n[sorted(os.environ), list(os.environ.values()), sys.argv]");
    assert!(!seen.contains(secret), "in os.environ or sys.argv");
    assert!(!seen.contains("CHILDMINDER_SECRET") && !seen.contains("CHILDMINDER_PORT"), "{seen}");
    assert!(seen.contains("CHILDMINDER_SESSION"), "{seen}");
    let inherited = session.value("import subprocess\nsubprocess.check_output(['env']).decode()");
    assert!(!inherited.contains(secret), "in a grandchild's environment");
    assert_eq!(files_with(session.data(), secret), Vec::<String>::new());
}

#[test]
fn the_secret_in_the_environment_is_gone_before_user_code_runs() {
    let (session, gate) = gated("hold = true");
    drop(gate);
    session.until_agenda();
    let secret = variable(pid(&session), "CHILDMINDER_SECRET").expect("what the child was started with");
    assert_hidden(&session, &secret);
    let ended = session.stop();
    assert!(!String::from_utf8_lossy(&ended.output(Stream::Stdout)).contains(&secret));
}

#[test]
fn the_secret_in_a_generated_file_is_private_and_gone_before_user_code_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let recipe = folder.path().join("baked.toml");
    let script = quoted(child_file("waits_at_gate.py"));
    let text = format!(
        "name = 'baked'\nexecutables = ['python3']\narguments = [{script}, '{{bootstrapper}}']\npassing = 'file'"
    );
    std::fs::write(&recipe, text).expect("written");
    let gate = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = gate.local_addr().expect("an address").port();
    let session =
        Session::start(job(&format!("hold = true\nbackend = {}\n[env]\nGATE = '{port}'\n[agenda]", quoted(&recipe))));
    session.until("a child", |state| matches!(state.child, ChildState::Starting { pid: Some(_), .. }));
    let file = session.data().join("runtime/child_bootstrapper.py");
    assert_eq!(file.metadata().expect("a file").permissions().mode() & 0o777, 0o600);
    assert_eq!(
        file.parent().and_then(|folder| folder.metadata().ok()).expect("a folder").permissions().mode() & 0o777,
        0o700
    );
    let text = std::fs::read_to_string(&file).expect("readable");
    let secret = text.split_once("'secret': '").and_then(|(_, rest)| rest.get(..64)).expect("a secret").to_owned();
    assert_eq!(variable(pid(&session), "CHILDMINDER_SECRET"), None);
    drop(gate);
    session.until_agenda();
    assert!(!file.exists(), "the generated file is still there");
    assert_hidden(&session, &secret);
    assert_eq!(session.stop().code, 0);
}
