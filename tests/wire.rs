//! Qube's jobs and Qube's wire, through the real engine: an executor with the original's defects, in every Python that is
//! found.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

// Not together with `tests/qube`: an engine within this process takes for its own what the engines of those leave behind.
#[path = "common/hosts.rs"]
mod hosts;
#[path = "common/session.rs"]
mod session;

use childminder::job::{Overrides, read_with};
use childminder::model::proto::{ItemVerb, Request};
use childminder::model::{
    CommandOutcome, CommandState, EventKind, Exception, ItemIndex, ItemStatus, Job, Rung, RungOutcome, StopMode, Stream,
};
use hosts::{Python, pythons};
use session::{Session, child_file, quoted};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const RECIPE: &str = r#"
name = "qube"
application = "maya"
protocol = "qube"
prompt = "mayaPy> "
executables = ["python3"]
arguments = ["-u", BOOTSTRAPPER, "--port", "{port}", "--kind", "maya"]
"#;

/// A job on an executor like Qube's, in this Python. The folder holds its recipe.
fn over_qube(folder: &Path, python: &Path, text: &str) -> Job {
    let recipe = folder.join("qube.toml");
    let filled = RECIPE.replace("BOOTSTRAPPER", &quoted(child_file("qube_executor.py")));
    std::fs::write(&recipe, filled).expect("written");
    let head = format!("backend = {}\n", quoted(&recipe));
    let job = session::job(&format!("{head}{text}"));
    let executable = serde_json::Value::from(python.to_str().expect("UTF-8"));
    Job { backend_settings: [("executable".to_owned(), executable)].into(), ..job }
}

fn each(test: impl Fn(&Python, &Path)) {
    let found: Vec<Python> = pythons();
    assert!(!found.is_empty(), "no Python");
    for python in &found {
        let folder = tempfile::tempdir().expect("a folder");
        test(python, folder.path());
    }
}

fn raised(outcome: CommandOutcome) -> (Exception, Option<i64>) {
    match outcome {
        CommandOutcome::Raised { exception, exit } => (*exception, exit),
        other => panic!("{other:?}"),
    }
}

/// A command of exactly so many characters that prints its length in a word.
fn of_length(length: usize) -> String {
    let head = format!("print('{length} long') #");
    format!("{head}{}", "x".repeat(length.saturating_sub(head.len())))
}

/// What the executor repeats of a command that fits one frame.
fn echo(id: u64, source: &str) -> String {
    let literal = source.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n");
    format!("mayaPy> _childminder.run({id},'{literal}')\n")
}

#[test]
fn commands_of_every_length_arrive_whole_and_their_output_is_their_own() {
    let lengths = [40, 100, 126, 127, 200, 252, 253, 300, 1000, 5000];
    each(|python, folder| {
        let mut text = "[phases]\ncommands = [\n".to_owned();
        for length in lengths {
            let _ = writeln!(text, "{},", quoted(of_length(length)));
        }
        text.push_str("]\n[agenda]\nframes = '1'\n");
        let ended = Session::start(over_qube(folder, &python.path, &text)).wait();
        assert_eq!(ended.code, 0, "{}\n{}", python.name(), ended.tail());
        for (id, length) in (1..).zip(lengths) {
            let outcome = ended.outcome(id);
            assert_eq!(outcome, CommandOutcome::Finished { value: None, cut: None }, "{}", python.name());
            let slice = String::from_utf8(ended.slice(id, Stream::Stdout)).expect("UTF-8");
            let printed = format!("{length} long\n");
            if length <= 200 {
                assert_eq!(slice, echo(id, &of_length(length)) + &printed, "{}", python.name());
            } else {
                // The echoes of the pieces come first.
                let lines: Vec<&str> = slice.lines().collect();
                let (last, echoes) = lines.split_last().expect("lines");
                assert!(slice.ends_with(&printed) && *last == printed.trim_end(), "{}: {slice}", python.name());
                assert!(echoes.iter().all(|line| line.starts_with("mayaPy> _childminder.")), "{slice}");
            }
        }
    });
}

#[test]
fn text_that_is_not_ascii_and_many_lines_and_nuls_survive() {
    each(|python, folder| {
        let commands = [
            "x = u'd\u{e9}j\u{e0} \u{1f600}'\nassert x == b'd\\xc3\\xa9j\\xc3\\xa0 \\xf0\\x9f\\x98\\x80'.decode('utf-8'), repr(x)",
            "if x:\n\tprint('it\\'s \\\\ fine')\n",
            "def f(n):\n    return n\nprint(f(len('a\u{e9}')))",
            "y = {'a': [1]}; print(y)",
        ];
        let list: Vec<String> = commands.iter().map(quoted).collect();
        let text = format!("[phases]\ncommands = [{}]\n[agenda]\nframes = '1'\n", list.join(", "));
        let ended = Session::start(over_qube(folder, &python.path, &text)).wait();
        assert_eq!(ended.code, 0, "{}\n{}", python.name(), ended.tail());
        let slice = |id| String::from_utf8_lossy(&ended.slice(id, Stream::Stdout)).into_owned();
        assert!(slice(2).ends_with("it's \\ fine\n"), "{}", slice(2));
        assert!(slice(4).ends_with("{'a': [1]}\n"), "{}", slice(4));
        let length = if python.version.0 == 2 { "3\n" } else { "2\n" };
        assert!(slice(3).ends_with(length), "{}", slice(3));
    });
}

#[test]
fn an_exception_costs_its_item_and_not_the_child() {
    each(|python, folder| {
        let text = "hold = true\n[phases]\nsetup = ['import os; first = os.getpid()']\n";
        let session = Session::start(over_qube(folder, &python.path, text));
        session.until_agenda();
        let hello = session.hello();
        assert_eq!(hello.python.split('.').next(), Some(python.version.0.to_string().as_str()));
        assert_eq!((hello.application.name.as_str(), hello.features.as_slice()), ("maya", &["qube".to_owned()][..]));
        let (exception, exit) = raised(session.exec("def f(x):\n    return 1 / x\nf(0)"));
        assert_eq!((exception.kind.as_str(), exit), ("ZeroDivisionError", None));
        let innermost = exception.innermost().expect("a frame");
        assert_eq!((innermost.function.as_str(), innermost.line, innermost.source.as_str()), ("f", 2, "return 1 / x"));
        assert!(
            exception.text.starts_with("Traceback (most recent call last):\n")
                && !exception.text.contains("<childminder>")
        );
        let (exception, _) = raised(session.exec("raise ValueError(u'd\u{e9}j\u{e0}')"));
        assert_eq!(exception.message, "d\u{e9}j\u{e0}");
        let (exception, _) = raised(session.exec("x = ("));
        assert_eq!(exception.kind, "SyntaxError");
        let (exception, exit) = raised(session.exec("import sys; sys.exit(3)"));
        assert_eq!((exception.kind.as_str(), exit), ("SystemExit", Some(3)));
        let (exception, _) = raised(session.exec("raise KeyboardInterrupt"));
        assert_eq!(exception.kind, "KeyboardInterrupt");
        let (exception, _) = raised(session.exec("print('a\u{0}b')\u{0}"));
        assert!(["TypeError", "ValueError", "SyntaxError"].contains(&exception.kind.as_str()), "{exception:?}");
        // Nothing of that has cost the child, nor what was loaded in it.
        let same = session.exec("assert first == os.getpid()");
        assert_eq!(same, CommandOutcome::Finished { value: None, cut: None });
        // Globals and locals are two, as the original has them: a function does not see what was imported.
        let (exception, _) = raised(session.exec("def g():\n    return os\ng()"));
        assert_eq!(exception.kind, "NameError");
        assert_eq!(session.stop().code, 0);
    });
}

#[test]
fn what_the_wire_cannot_do_is_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let python = pythons().pop().expect("a Python");
    let session = Session::start(over_qube(folder.path(), &python.path, "hold = true"));
    session.until_agenda();
    for request in [Request::Names, Request::Complete { text: "o".into() }] {
        let refusal = session.ask(request).expect_err("not possible");
        assert!(refusal.message.contains("not possible with Qube's protocol"), "{}", refusal.message);
    }
    session.ask(Request::Exec { source: "import time; time.sleep(600)".into(), wait: false }).expect("sent");
    session.until_started(1);
    let gentle = Request::Interrupt { command: None, from: Rung::Interrupt, to: Rung::Cancel, restart: false };
    let beside = Request::Side { source: "1".into(), confirmed: true };
    for request in [gentle, beside] {
        let refusal = session.ask(request).expect_err("not possible");
        assert!(refusal.message.contains("not possible with Qube's protocol"), "{}", refusal.message);
    }
    session.ask(Request::Stop { mode: StopMode::Now }).expect("stopped");
    let ended = session.wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    assert!(matches!(ended.outcome(1), CommandOutcome::Lost { .. }));
    ended.assert_nobody_left();
}

#[test]
fn a_killed_child_and_one_that_leaves_are_seen_at_once() {
    each(|python, folder| {
        for (command, how) in [
            ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
            ("import os; os._exit(0)", "exit code 0"),
        ] {
            let text = format!("[phases]\ncommands = [{}, 'never()']\n[agenda]\nframes = '1-2'\n", quoted(command));
            let ended = Session::start(over_qube(folder, &python.path, &text)).wait();
            assert_eq!(ended.code, 70, "{}\n{}", python.name(), ended.tail());
            let state = ended.state();
            assert_eq!(state.item(ItemIndex(0)).map(|row| row.status), Some(ItemStatus::Failed));
            assert_eq!(state.item(ItemIndex(1)).map(|row| row.status), Some(ItemStatus::Pending));
            assert!(ended.item_reason().contains(how), "{}", ended.item_reason());
            let states: Vec<_> = state.commands.iter().map(|row| row.state).collect();
            assert_eq!(states, [CommandState::Lost, CommandState::Skipped]);
        }
    });
}

#[test]
fn a_command_that_was_done_before_the_child_went_stays_done() {
    each(|python, folder| {
        // The executor goes when it wants the next command: its reply was its last word.
        let source = "import os, sys\nclass End(object):\n    def read(self, _): os._exit(5)\nsys.stdin = End()\n";
        let text = format!("[phases]\ncommands = [{}]\n[agenda]\nframes = '1'\n", quoted(source));
        let ended = Session::start(over_qube(folder, &python.path, &text)).wait();
        let finished = CommandOutcome::Finished { value: None, cut: None };
        assert_eq!(ended.outcome(1), finished, "{}\n{}", python.name(), ended.tail());
        assert_eq!(ended.state().item(ItemIndex(0)).map(|row| row.status), Some(ItemStatus::Complete));
    });
}

#[test]
fn a_command_that_hangs_is_ended_with_the_child_when_its_time_is_over() {
    let folder = tempfile::tempdir().expect("a folder");
    for python in [pythons().first(), pythons().last()].into_iter().flatten() {
        let text = "restarts = 1\n[timeouts]\ncommand = '500ms'\nkill_grace = '2s'\n[phases]\n\
             commands = ['import time', 'if {frame} == 1: time.sleep(600)', 'print({frame})']\n[agenda]\nframes = '1-2'\n";
        let ended = Session::start(over_qube(folder.path(), &python.path, text)).wait();
        assert_eq!(ended.code, 1, "{}", ended.tail());
        let state = ended.state();
        assert_eq!(state.item(ItemIndex(0)).map(|row| row.status), Some(ItemStatus::Failed), "{}", ended.tail());
        assert_eq!(state.item(ItemIndex(1)).map(|row| row.status), Some(ItemStatus::Complete), "{}", ended.tail());
        let worked = ended.events().into_iter().any(|event| {
            matches!(event.kind, EventKind::RungEnded { rung: Rung::Terminate, result: RungOutcome::Worked, .. })
        });
        assert!(worked, "{}", ended.tail());
    }
}

/// The port that the child was told.
fn port(session: &Session) -> u16 {
    let argv = session.events().into_iter().find_map(|event| match event.kind {
        EventKind::ChildStarting { argv, .. } => Some(argv),
        _ => None,
    });
    let argv = argv.expect("arguments");
    let place = argv.iter().position(|word| word == "--port").expect("a port");
    argv[place + 1].parse().expect("a number")
}

/// Says something on the port, and waits until it was taken.
fn say(port: u16, bytes: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
    stream.write_all(bytes).expect("said");
    stream.shutdown(std::net::Shutdown::Write).expect("said");
    // The other end closes without a word.
    let _ = stream.read(&mut [0]);
}

#[test]
fn nobody_else_can_reply_for_the_child() {
    let folder = tempfile::tempdir().expect("a folder");
    let python = pythons().pop().expect("a Python");
    let session = Session::start(over_qube(folder.path(), &python.path, "hold = true"));
    session.until_agenda();
    let port = port(&session);
    say(port, &[0, 0, 0, 0]);
    let gate = folder.path().join("gate");
    let source = format!("import os, time\nwhile not os.path.exists({}): time.sleep(0.01)", quoted(&gate));
    session.ask(Request::Exec { source, wait: false }).expect("sent");
    session.until_started(1);
    say(port, &[0, 0, 0, 0]);
    say(port, b"\0\0\0\x05wrong");
    say(port, b"\0\0");
    say(port, &[0xff; 8]);
    // A reply that never ends takes a place, and nothing else.
    let _idle = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    session.until("five refusals", |state| state.refused >= 5);
    assert!(session.look(|state| state.running.is_some_and(|running| running.id.0 == 1)));
    std::fs::write(&gate, "").expect("opened");
    let after = session.exec("done = 1");
    assert_eq!(after, CommandOutcome::Finished { value: None, cut: None });
    let ended = session.stop();
    assert_eq!(ended.outcome(1), CommandOutcome::Finished { value: None, cut: None });
    let reasons: Vec<String> = ended
        .events()
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::PeerRefused { peer, .. } => Some(peer.reason),
            _ => None,
        })
        .collect();
    for wanted in
        ["no command was under way", "said that all went well, but", "that the command failed, but", "over the limit"]
    {
        assert!(reasons.iter().any(|reason| reason.contains(wanted)), "{wanted}: {reasons:?}");
    }
}

#[test]
fn a_bootstrapper_that_speaks_something_else_fails_the_start_with_its_last_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let python = pythons().pop().expect("a Python");
    let mut job = over_qube(folder.path(), &python.path, "[phases]\ncommands = ['x']\n[agenda]\nframes = '1'\n");
    let recipe = std::fs::read_to_string(&job.backend).expect("a recipe");
    let other =
        recipe.replace(&quoted(child_file("qube_executor.py")), "\"-c\", \"import sys; sys.exit('no Qube here')\"");
    std::fs::write(&job.backend, other).expect("written");
    job.name = "other".into();
    let ended = Session::start(job).wait();
    assert_eq!(ended.code, 69, "{}", ended.tail());
    assert!(ended.child_failed().concat().contains("no Qube here"), "{:?}", ended.child_failed());
}

#[test]
fn a_job_of_qubes_runs_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("job.json");
    let agenda = serde_json::json!([
        { "name": "1", "status": "complete", "package": { "commands": ["never()"] } },
        { "name": "2", "package": { "commands": ["print({'id': os.environ['QBJOBID'], 'a': a})", "print('QB_CONVERT_PATH(/old/x y)')"] } },
        { "name": "3", "package": { "commands": ["print('QB_CONVERT_PATH(/old')", "never()"] } },
        { "name": "4", "status": "blocked", "package": { "commands": ["print(4)"] } },
    ]);
    let package = serde_json::json!({ "jobSetupCmds": ["a = 1"], "jobTeardownCmds": ["print('bye')"], "what": 1, "pyExecutable": "" });
    let document =
        serde_json::json!({ "name": "shot", "id": 7, "prototype": "python", "package": package, "agenda": agenda });
    std::fs::write(&path, document.to_string()).expect("written");
    let maps = vec![childminder::model::PathRule::new("/old", "/new one").expect("sound")];
    let job = read_with(&path, &Overrides { maps, ..Overrides::default() }).unwrap_or_else(|errors| panic!("{errors}"));
    let ended = Session::start(job).wait();
    assert_eq!(ended.code, 1, "{}", ended.tail());
    let output = String::from_utf8_lossy(&ended.output(Stream::Stdout)).into_owned();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines, ["{'id': '7', 'a': 1}", "/new one/x y", "bye"]);
    let state = ended.state();
    let statuses: Vec<_> = state.items.iter().map(|row| row.status).collect();
    assert_eq!(statuses, [ItemStatus::Complete, ItemStatus::Complete, ItemStatus::Failed, ItemStatus::Blocked]);
    assert!(ended.item_reason().contains("no closing parenthesis"), "{}", ended.item_reason());
    let noted = ended.events().into_iter().any(
        |event| matches!(event.kind, EventKind::Note { text } if text.contains("unknown key \"what\" in the package")),
    );
    assert!(noted, "{}", ended.tail());
    // What was complete in Qube is not run again by a session that goes on either.
    let again = Session::resume(&ended);
    again.ask(Request::Items { verb: ItemVerb::Unblock, names: vec!["4".into()] }).expect("unblocked");
    let ended = again.wait();
    assert!(String::from_utf8_lossy(&ended.output(Stream::Stdout)).contains("bye\n4\n"), "{}", ended.tail());
}

#[test]
fn nobody_else_can_fail_a_command_while_its_pieces_are_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let python = pythons().pop().expect("a Python");
    let session = Session::start(over_qube(folder.path(), &python.path, "hold = true"));
    session.until_agenda();
    let port = port(&session);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in (0..20_000).take_while(|_| !over.load(Ordering::Relaxed)) {
                say(port, b"\0\0\0\x05wrong");
            }
        });
        let after = session.exec(&format!("x = '{}'", "y".repeat(200_000)));
        over.store(true, Ordering::Relaxed);
        assert_eq!(after, CommandOutcome::Finished { value: None, cut: None });
    });
    assert_eq!(session.exec("assert x == 'y' * 200000"), CommandOutcome::Finished { value: None, cut: None });
    session.until("refusals", |state| state.refused > 0);
    session.stop();
}
