//! The command line with real engines and a real `python3`: exit codes, what is printed, and what survives what.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/home.rs"]
mod home;
#[path = "common/window.rs"]
mod window;

use childminder::model::Micros;
use childminder::model::proto::{Call, ClientHello, Request, VERSION};
use childminder::store::{Folder, Output, OutputReader, Unpacked};
use home::{Headless, Home, text};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use window::Window;

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_job_from_flags_runs_and_its_trouble_is_its_exit_code() {
    let home = Home::new();
    let run =
        |command| home.run(&["run", "--headless", "--backend", "python", "--frames", "1-3", "--command", command]);
    let good = run("print('frame', {frame})");
    let said = text(&good.stdout);
    assert_eq!(good.status.code(), Some(0), "{said}{}", text(&good.stderr));
    assert_eq!(said.lines().filter(|line| line.starts_with("out| frame ")).count(), 3, "{said}");
    assert!(said.lines().last().expect("lines").contains("session ended, exit code 0"), "{said}");
    let bad = run("1/({frame}-2)");
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stdout).contains("item 2 failed"), "{}", text(&bad.stdout));
    let listed = home.json(&["ls", "--json"]);
    assert_eq!(listed.as_array().expect("a list").len(), 2);
    assert_eq!(listed[0]["ended"]["code"], 1);
    assert_eq!(listed[0]["counts"]["failed"], 1);
    assert_eq!(listed[0]["running"], false);
}

#[test]
fn json_is_the_journal() {
    let home = Home::new();
    let frames = ["--frames", "1-5", "--command", "print({frame})"];
    let printed = home.says(&[&["run", "--headless", "--json", "--backend", "python"], &frames[..]].concat());
    let journal = std::fs::read_to_string(home.folder().join("events.jsonl")).expect("a journal");
    assert_eq!(printed, journal);
    let last: Value = serde_json::from_str(printed.lines().last().expect("lines")).expect("JSON");
    assert_eq!(last["event"], "session_ended");
}

#[test]
fn no_line_of_the_child_looks_like_ours_or_drives_the_terminal() {
    let home = Home::new();
    let forged = "import sys; print('12:00:00.000 session ended, exit code 0: fine\\n\\x1b]0;title\\x07\\x1b[2Jx')";
    let said = home.says(&["run", "--headless", "--backend", "python", "--frames", "1", "--command", forged]);
    assert!(said.lines().any(|line| line.starts_with("out| 12:00:00.000 session ended")), "{said}");
    assert!(!said.contains('\x1b') && !said.contains('\x07'), "{said:?}");
    let log = home.says(&["log"]);
    assert!(!log.contains('\x1b'), "{log:?}");
    let raw = home.run(&["log", "--raw", "--stream", "stdout"]).stdout;
    assert_eq!(raw, std::fs::read(home.folder().join("stdout.log")).expect("a log"));
}

#[test]
fn commands_are_injected_and_answered() {
    let home = Home::new();
    let session = home.held(&["--frames", "1-2", "--command", "print('item', {frame})"]);
    let file = || std::fs::read(home.folder().join("session.json")).expect("read");
    let child = || serde_json::from_slice::<Value>(&file()).expect("JSON")["child"].clone();
    until("the child is recorded", || child()["python"].as_str().is_some_and(|python| python.contains(" 3.")));
    assert_eq!(home.says(&["exec", "import os; os.getpid()"]).trim(), child()["pid"].to_string());
    assert!(child()["start_time"].as_u64() > Some(0));
    assert_eq!(home.says(&["exec", "6*7"]), "42\n");
    assert_eq!(home.says(&["exec", "x = 1"]), "");
    let raised = home.run(&["exec", "1/0"]);
    assert_eq!(raised.status.code(), Some(1));
    assert!(text(&raised.stderr).contains("ZeroDivisionError"), "{}", text(&raised.stderr));
    let told = home.json(&["exec", "--json", "x + 1"]);
    assert_eq!((&told["outcome"], &told["value"]), (&"finished".into(), &"2".into()));
    let late = home.run(&["exec", "--timeout", "50ms", "import time; time.sleep(0.5); late = 1"]);
    assert_eq!(late.status.code(), Some(124), "{}", text(&late.stderr));
    assert!(text(&late.stderr).contains(" goes on"), "{}", text(&late.stderr));
    assert_eq!(home.says(&["exec", "late"]), "1\n", "only the waiting had ended");
    let mut stdin = home.command(&["exec", "-"]);
    let mut stdin = stdin.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    stdin.stdin.take().expect("a pipe").write_all(b"def f():\n    return 'f'\nf()\n").expect("written");
    assert_eq!(text(&stdin.wait_with_output().expect("it ends").stdout), "'f'\n");
    let unsafe_value = "class C:\n    def __repr__(self): return '\\x1b[2J'\nC()";
    assert!(!home.says(&["exec", unsafe_value]).contains('\x1b'));

    let agenda = home.json(&["agenda", "--json"]);
    assert_eq!((&agenda["held"], &agenda["items"][0]["status"]), (&true.into(), &"pending".into()));
    home.says(&["agenda", "block", "2"]);
    home.says(&["agenda", "release"]);
    session.until("item 1 complete");
    assert_eq!(home.run(&["agenda", "retry", "nonsense"]).status.code(), Some(4));
    assert_eq!(home.says(&["log", "--item", "1"]), "item 1\n");
    home.says(&["stop"]);
    assert_eq!(session.code(), Some(130));
    assert_eq!(home.run(&["exec", "1"]).status.code(), Some(3), "nothing runs any more");
    let table = home.says(&["agenda"]);
    assert!(table.lines().any(|line| line.starts_with('2') && line.contains("blocked")), "{table}");
}

#[test]
fn the_first_interrupt_waits_for_the_item_and_the_second_does_not() {
    let home = Home::new();
    let slow = ["run", "--headless", "--backend", "python", "--frames", "1-9", "--command"];
    let item = "import time, os\nwhile not os.path.exists('go'): time.sleep(0.01)";
    let session = Headless::start(&mut home.command(&[&slow[..], &[item]].concat()));
    session.until("command 1 (item)");
    session.signal(Signal::SIGINT);
    session.until("stop after the item");
    std::fs::write(home.path().join("go"), "").expect("written");
    let seen = session.until("session ended");
    assert!(seen.iter().any(|line| line.contains("item 1 complete")), "{seen:#?}");
    assert_eq!(session.code(), Some(130));

    let session = Headless::start(&mut home.command(&[&slow[..], &["import time; time.sleep(600)"]].concat()));
    session.until("command 1 (item)");
    session.signal(Signal::SIGINT);
    session.until("stop after the item");
    session.signal(Signal::SIGINT);
    session.until("stop now");
    session.until("session ended");
    assert_eq!(session.code(), Some(130));
}

#[test]
fn an_output_that_nobody_reads_or_that_closes_holds_up_nothing() {
    let home = Home::new();
    let flood = "import sys\nfor n in range(20000): print('x' * 100)\nopen('done', 'w').close()";
    let args = ["run", "--headless", "--backend", "python", "--frames", "1", "--command", flood];
    // Read up to the start, then never again.
    let mut unread = home.command(&args);
    let session = Headless::start(unread.stderr(std::fs::File::create(home.path().join("said")).expect("a file")));
    session.until("command 1 (item)");
    until("the item is done", || home.path().join("done").exists());
    until("the session is recorded as ended", || home.json(&["ls", "--json"])[0]["ended"]["code"] == 0);
    let said = || std::fs::read_to_string(home.path().join("said")).expect("text");
    until("it is said that something is missing", || said().contains("not printed"));
    assert!(said().contains("session ended, exit code 0"), "{}", said());
    assert_eq!(session.code(), Some(0));
    // Closed at once.
    let mut closed = home.command(&args).stdout(Stdio::piped()).spawn().expect("it starts");
    drop(closed.stdout.take());
    assert_eq!(closed.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_killed_engines_session_is_gone_on_with() {
    let home = Home::new();
    let job = r#"
        retry = { times = 1 }
        agenda = { frames = "1-3" }
        [phases]
        commands = ["""
import os, time
print('run', {frame})
if {frame} == 2 and not os.path.exists('again'): time.sleep(600)
"""]
    "#;
    std::fs::write(home.path().join("job.toml"), job).expect("written");
    let session = Headless::start(&mut home.command(&["run", "--headless", "job.toml"]));
    session.until("out| run 2");
    session.signal(Signal::SIGKILL);
    session.code();
    let id = home.folder().file_name().expect("a name").to_string_lossy().into_owned();
    until("its lock is free", || home.json(&["ls", "--json"])[0]["running"] == false);
    assert_eq!(home.json(&["ls", "--json"])[0]["ended"], Value::Null);
    std::fs::write(home.path().join("again"), "").expect("written");
    let resumed = home.says(&["run", "--headless", "--resume", &id]);
    assert!(!resumed.contains("out| run 1"), "what is finished stays finished: {resumed}");
    assert!(resumed.contains("out| run 2") && resumed.contains("out| run 3"), "{resumed}");
    assert_eq!(home.json(&["agenda", "--json"])["counts"]["complete"], 3);
    let over = home.run(&["run", "--headless", "--resume", &id]);
    assert_eq!(over.status.code(), Some(4), "{}", text(&over.stderr));
}

#[test]
fn wrong_usage_is_told_before_anything_is_started() {
    let home = Home::new();
    let cases: [(&[&str], i32, &str); 10] = [
        (&[], 2, "Usage"),
        (&["juggle"], 2, "juggle"),
        (&["run"], 2, "job file"),
        (&["run", "--headless"], 2, "job file"),
        (&["run", "--headless", "missing.toml"], 2, "missing.toml"),
        (&["run", "--headless", "--backend", "python", "--frames", "1-x", "--command", "1"], 2, "--frames"),
        (&["run", "--backend", "python", "--hold"], 2, "--headless"),
        (&["attach", "nothing"], 3, "nothing"),
        (&["exec", "1"], 3, "session"),
        (&["agenda", "hold", "1"], 2, "takes no items"),
    ];
    for (args, code, said) in cases {
        let output = home.run(args);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
        assert!(told.contains(said), "{args:?}: {told}");
    }
    assert_eq!(home.json(&["ls", "--json"]), Value::Array(Vec::new()));
    std::fs::write(home.path().join("job.toml"), "backend = \"python\"\nfoo = 1\n[agenda]\nframes = \"1-\"\n")
        .expect("written");
    let output = home.run(&["run", "--headless", "job.toml"]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("job.toml:2:1") && told.contains("job.toml:4:"), "all at once, located: {told}");
}

#[test]
fn a_child_that_cannot_be_started_is_told_of() {
    let home = Home::new();
    let set = "executable=/nonexistent/python";
    let output = home.run(&["run", "--headless", "--backend", "python", "--set", set, "--hold"]);
    assert_eq!(output.status.code(), Some(69), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("/nonexistent/python"), "{}", text(&output.stdout));
}

#[test]
fn help_and_versions_go_to_standard_output() {
    let home = Home::new();
    assert!(home.says(&["--version"]).starts_with("childminder "));
    for command in ["demo", "run", "attach", "ls", "exec", "agenda", "log", "stop"] {
        let help = home.says(&[command, "--help"]);
        assert!(help.contains("Usage: childminder"), "{help}");
    }
    assert!(!home.says(&["--help"]).contains("__engine"));
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let home = Home::new();
    home.says(&["run", "--headless", "--backend", "python", "--frames", "1-2000", "--command", "print('x' * 200)"]);
    let mut log = home.command(&["log"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(log.stdout.take());
    let output = log.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

#[test]
fn a_log_is_followed_to_the_sessions_end() {
    let home = Home::new();
    let session = home.held(&["--frames", "1", "--command", "print('from the item')"]);
    let mut follow = home.command(&["log", "--follow"]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(follow.stdout.take().expect("a pipe")).lines();
    home.says(&["exec", "print('injected')"]);
    assert_eq!(lines.next().expect("a line").expect("text"), "injected");
    home.says(&["agenda", "release"]);
    assert_eq!(lines.next().expect("a line").expect("text"), "from the item");
    session.until("item 1 complete");
    home.says(&["stop"]);
    assert!(lines.next().is_none(), "nothing more was printed");
    assert_eq!(follow.wait().expect("it ends").code(), Some(0));
    session.code();
}

#[test]
#[cfg(feature = "tui")]
fn a_session_goes_on_when_its_window_is_killed_and_its_terminal_is_gone() {
    use portable_pty::{CommandBuilder, PtySize, native_pty_system};
    let home = Home::new();
    let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
    let terminal = native_pty_system().openpty(size).expect("a terminal");
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_childminder"));
    command.args(["run", "--backend", "python", "--hold"]);
    for (name, value) in home.command(&[]).get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.env("TERM", "xterm-256color");
    command.cwd(home.path());
    let mut window = terminal.slave.spawn_command(command).expect("it starts");
    until("the engine takes commands", || {
        let listed = home.json(&["ls", "--json"]);
        listed[0]["running"] == true && listed[0]["phase"] == "agenda"
    });
    window.kill().expect("killed");
    window.wait().expect("it ends");
    drop(terminal);
    assert_eq!(home.says(&["exec", "6*7"]), "42\n");
    home.says(&["stop"]);
    until("the engine has gone", || home.json(&["ls", "--json"])[0]["running"] == false);
    assert_eq!(home.json(&["ls", "--json"])[0]["ended"]["code"], 0);
}

#[test]
fn an_items_log_is_what_its_own_commands_printed_in_the_order_of_reading() {
    let home = Home::new();
    let job = r#"
        hold = true
        agenda = { frames = "1-2" }
        [phases]
        commands = ["""
import os, sys, time
print('first of', {frame}); print('wrong', file=sys.stderr); print('tail', end='')
while not os.path.exists('go'): time.sleep(0.01)
""", "print('last of', {frame})"]
    "#;
    std::fs::write(home.path().join("job.toml"), job).expect("written");
    let session = Headless::start(&mut home.command(&["run", "--headless", "job.toml"]));
    session.until("phase agenda");
    home.says(&["agenda", "release"]);
    session.until("out| first of 1");
    let exec = home.command(&["exec", "print('an operator\\u0027s')"]).spawn().expect("it starts");
    session.until("injected");
    std::fs::write(home.path().join("go"), "").expect("written");
    assert!(exec.wait_with_output().expect("it ends").status.success());
    session.until("item 2 complete");
    let mut lines: Vec<String> = home.says(&["log", "--item", "1"]).lines().map(str::to_owned).collect();
    assert_eq!(lines.iter().position(|line| line == "wrong").map(|place| lines.remove(place)), Some("wrong".into()));
    assert_eq!(lines, ["first of 1", "tail", "last of 1"]);
    assert_eq!(home.says(&["log", "--item", "1", "--stream", "stderr"]), "wrong\n");
    let raw = home.run(&["log", "--item", "1", "--stream", "stdout", "--raw"]).stdout;
    assert_eq!(text(&raw), "first of 1\ntaillast of 1\n");
    assert_eq!(home.says(&["log", "--item", "2", "--stream", "stdout"]), "first of 2\ntaillast of 2\n");
    home.says(&["stop"]);
    session.code();
}

#[test]
fn a_torn_journal_is_told_of_by_all_who_read_it() {
    let home = Home::new();
    home.says(&PRINT);
    let journal = home.folder().join("events.jsonl");
    let whole = std::fs::read(&journal).expect("a journal");
    std::fs::write(&journal, &whole[..whole.len() - 5]).expect("written");
    for args in [&["agenda"][..], &["agenda", "--json"], &["log", "--item", "1"]] {
        let output = home.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        let said = text(&output.stderr);
        assert!(said.contains("The journal ends in the middle of an event"), "{args:?}: {said}");
    }
}

#[test]
fn what_a_log_has_lost_is_told_once_and_is_no_bytes_of_the_child() {
    let home = Home::new();
    home.says(&["run", "--headless", "--backend", "python", "--frames", "1", "--command", "print('kept')"]);
    let folder = Folder::open(&home.folder()).expect("a session");
    let kept = OutputReader::open(&folder).lengths().expect("logs");
    let mut output = Output::open(&folder, kept, 0).expect("it opens");
    output.stdout.append(kept.stdout + 8, b"later\n", None, Micros(1), Micros(1));
    drop(output);
    let log = home.says(&["log", "--stream", "stdout"]);
    assert!(log.ends_with("kept\n⟨8 bytes were lost here⟩\nlater\n"), "{log:?}");
    let raw = home.says(&["log", "--stream", "stdout", "--raw"]);
    assert!(raw.ends_with("kept\nlater\n"), "{raw:?}");
}

#[test]
fn a_log_is_filtered_like_with_grep() {
    let home = Home::new();
    let job = r#"
        agenda = { frames = "1-3" }
        [phases]
        commands = ["""
import sys
print('begin', {frame})
for line in range(4): print('line', line)
sys.stdout.flush()
print('\\x1b[31mERR\\x1b[0mOR in', {frame}, file=sys.stderr)
""", "print('end')"]
    "#;
    std::fs::write(home.path().join("job.toml"), job).expect("written");
    home.says(&["run", "--headless", "job.toml"]);
    assert_eq!(home.says(&["log", "--grep", "error"]), "ERROR in 1\nERROR in 2\nERROR in 3\n");
    assert_eq!(home.says(&["log", "--grep", "error", "--item", "2"]), "ERROR in 2\n");
    assert_eq!(home.says(&["log", "--grep", "line 2", "--context", "1", "-n", "3"]), "line 1\nline 2\nline 3\n");
    let groups = home.says(&["log", "--stream", "stdout", "--grep", "begin", "--context", "1"]);
    assert_eq!(groups, "begin 1\nline 0\n--\nend\nbegin 2\nline 0\n--\nend\nbegin 3\nline 0\n");
    let rest = home.says(&["log", "--stream", "stdout", "--grep", "^(begin|line)", "--invert"]);
    assert_eq!(rest, "end\nend\nend\n");
    assert_eq!(
        home.says(&["log", "--grep", "ERROR", "--case", "sensitive", "--since", "1h", "--follow", "-n", "1"]),
        "ERROR in 3\n"
    );
    assert_eq!(home.says(&["log", "--since", "1h", "--item", "1", "--stream", "stderr"]), "ERROR in 1\n");
    assert_eq!(home.says(&["log", "--since", "2999-01-01T00:00:00Z"]), "");
    // Of one stream: which of the two is read first is not certain.
    let command = home.says(&["log", "--command", "3", "--stream", "stdout"]);
    assert_eq!(command, "begin 2\nline 0\nline 1\nline 2\nline 3\n");
    assert_eq!(home.says(&["log", "--command", "3", "--stream", "stderr"]), "ERROR in 2\n");
    let raw = home.run(&["log", "--raw", "--grep", "error in 1"]).stdout;
    assert_eq!(text(&raw), "\x1b[31mERR\x1b[0mOR in 1\n");
    let code = |args: &[&str]| {
        let output = home.run(args);
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    assert_eq!(code(&["log", "--grep", "ERROR", "--stream", "stdout"]), (Some(1), String::new(), String::new()));
    let (bad, printed, said) = code(&["log", "--grep", "(ERROR"]);
    assert_eq!((bad, printed.as_str()), (Some(2), ""));
    assert_eq!(said, "childminder: this is no pattern: unclosed group, at character 1 of the pattern\n");
    for wrong in [
        &["log", "--invert"][..],
        &["log", "--since", "soon"],
        &["log", "--grep", "a", "--context", "101"],
        &["log", "--command", "99"],
    ] {
        assert_eq!(code(wrong).0, Some(2), "{wrong:?}");
    }
}

#[test]
fn a_filter_follows_a_log() {
    let home = Home::new();
    let session = home.held(&[]);
    let args = ["log", "--follow", "--grep", "wanted", "-n", "0"];
    home.says(&["exec", "print('wanted before')"]);
    let mut follow = home.command(&args).stdout(Stdio::piped()).spawn().expect("it starts");
    home.says(&["exec", "print('other')"]);
    home.says(&["exec", "print('wan', end='')"]);
    home.says(&["exec", "print('ted after')"]);
    let mut lines = BufReader::new(follow.stdout.take().expect("a pipe")).lines();
    let first = lines.next().expect("a line").expect("text");
    // It may have begun to look before or after the first line came.
    let first = if first == "wanted before" { lines.next().expect("a line").expect("text") } else { first };
    assert_eq!(first, "wanted after");
    home.says(&["stop"]);
    assert!(lines.next().is_none(), "nothing more was printed");
    assert_eq!(follow.wait().expect("it ends").code(), Some(0));
    session.code();
}

#[test]
fn a_line_without_an_end_is_shown_at_the_end_of_its_command() {
    let home = Home::new();
    let session = home.held(&["--frames", "1", "--command", "print(2 * 'no end ', end='')"]);
    home.says(&["exec", "print('10%\\r20%', end='')"]);
    session.until("out| ␍20%");
    home.says(&["exec", "print(' done')"]);
    // What was printed already is not printed again.
    session.until("out|  done");
    home.says(&["agenda", "release"]);
    session.until("out| no end no end ");
    home.says(&["stop"]);
    session.code();
}

/// Makes a session look as if nothing had happened in it for so many days.
fn grow_old(folder: &Path, days: u32) {
    let then = std::time::SystemTime::now() - days * Duration::from_hours(24);
    for file in std::fs::read_dir(folder).expect("files").flatten() {
        // A running session's drafts come and go.
        let Ok(file) = std::fs::File::options().write(true).open(file.path()) else { continue };
        file.set_times(std::fs::FileTimes::new().set_modified(then)).expect("set");
    }
}

const PRINT: [&str; 8] = ["run", "--headless", "--backend", "python", "--frames", "1", "--command", "print(1)"];

#[test]
fn pruning_is_told_beforehand_and_removes_what_was_told() {
    let home = Home::new();
    home.says(&PRINT);
    let old = home.folder();
    let session = home.held(&["--name", "zz-running"]);
    let folder = |listed: &Value| listed["folder"].as_str().expect("a folder").to_owned();
    home.json(&["ls", "--json"]).as_array().expect("a list").iter().for_each(|one| {
        grow_old(Path::new(&folder(one)), 40);
    });
    let told = home.says(&["prune", "--dry-run"]);
    assert!(told.contains(old.file_name().and_then(|id| id.to_str()).expect("an id")), "{told}");
    assert!(told.contains("1 session, ") && told.ends_with("would be removed; nothing was removed\n"), "{told}");
    assert!(old.exists());
    assert!(home.says(&["prune", "--older-than", "50d"]).contains("nothing was removed"));
    let told = home.json(&["prune", "--keep-size", "0", "--json"]);
    assert_eq!((told.as_array().map(Vec::len), &told[0]["removed"]), (Some(1), &Value::Bool(true)));
    assert!(!old.exists());
    for wrong in [&["prune", "--older-than", "30"], &["prune", "--keep-size", "5 apples"]] {
        assert_eq!(home.run(wrong).status.code(), Some(2));
    }
    assert_eq!(home.json(&["ls", "--json"]).as_array().map(Vec::len), Some(1), "the running one stays");
    home.says(&["stop"]);
    session.code();
}

/// A figure from a process's status, in KiB.
fn memory(pid: u64, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("a figure");
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn watchers_who_do_not_look_cost_the_child_nothing_and_the_engine_little() {
    const FLOOD: &str = "import os, childminder
block = b'x' * 127 + b'\\n'
for part in range(64):
    left = memoryview(block * 8192)
    while left: left = left[os.write(1, left):]
    for step in range(20): childminder.status('%d.%d ' % (part, step) + 'y' * 900)
'all of it'";
    let home = Home::new();
    let session = home.held(&[]);
    let told: Value =
        serde_json::from_slice(&std::fs::read(home.folder().join("session.json")).expect("read")).expect("JSON");
    let pid = told["engine"]["pid"].as_u64().expect("a pid");
    let line = format!("exec {} attach", env!("CARGO_BIN_EXE_childminder"));
    let window = Window::open(&line, home.path(), &home.environment());
    window.until_shown("Output");
    window.signal(Signal::SIGSTOP);
    // Others who have asked for everything and never read a byte of it.
    let silent: Vec<UnixStream> = (0..8)
        .map(|_| {
            let mut silent = UnixStream::connect(told["engine"]["socket"].as_str().expect("a path")).expect("taken");
            let hello = ClientHello { version: VERSION, client: "silent".into(), host: String::new(), read_only: true };
            let call = Call { id: "s".into(), request: Request::Subscribe { events: true, from: None } };
            for text in [serde_json::to_vec(&hello), serde_json::to_vec(&call)].map(|text| text.expect("JSON")) {
                let length = u32::try_from(text.len()).expect("short").to_be_bytes();
                silent.write_all(&[&length[..], &text].concat()).expect("taken");
            }
            silent
        })
        .collect();
    let before = memory(pid, "VmRSS");
    assert_eq!(home.says(&["exec", FLOOD]), "'all of it'\n");
    let grown = memory(pid, "VmHWM").saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB more for 64 MiB of output and what was told of it, which nobody read");
    // What was still in the pipe when the command ended is on its way.
    let log = home.folder().join("stdout.log");
    window::until("all of it is kept", || log.metadata().expect("a log").len() == 64 << 20);
    window.signal(Signal::SIGCONT);
    window.until_shown("✓ operator");
    drop((silent, window));
    home.says(&["stop"]);
    session.code();
}

#[test]
fn a_running_session_is_exported_as_it_is_now() {
    let home = Home::new();
    let session = home.held(&[]);
    home.says(&["exec", "print('before the export')"]);
    let said = home.says(&["export", "python", "shot.tar.zst"]);
    assert!(said.contains(" in ") && said.trim_end().ends_with("shot.tar.zst"), "{said}");
    let again = home.run(&["export", "python", "shot.tar.zst"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("--force"), "{}", text(&again.stderr));
    home.says(&["export", "python", "shot.tar.zst", "--force"]);
    assert_eq!(home.run(&["export", "nobody", "x"]).status.code(), Some(3));
    assert_eq!(home.run(&["export", "python", "absent/x"]).status.code(), Some(1));
    let opened = Unpacked::open(&home.path().join("shot.tar.zst"), &home.path().join("cache"), 0).expect("sound");
    let log = home.says(&["log", opened.folder().path().to_str().expect("UTF-8")]);
    assert!(log.contains("before the export"), "{log}");
    home.says(&["stop"]);
    session.code();
}

#[test]
fn old_sessions_are_removed_when_one_is_made() {
    let home = Home::new();
    home.says(&PRINT);
    let old = home.folder();
    grow_old(&old, 2);
    let wrong = home.command(&PRINT).env("CHILDMINDER_KEEP_DAYS", "ever").output().expect("it runs");
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
    assert!(text(&wrong.stderr).contains("CHILDMINDER_KEEP_DAYS"), "{}", text(&wrong.stderr));
    assert!(old.exists());
    let hold = ["run", "--headless", "--hold", "--backend", "python", "--name", "zz-next"];
    let session = Headless::start(home.command(&hold).env("CHILDMINDER_KEEP_DAYS", "1"));
    session.until("phase agenda");
    until("the old session is gone", || !old.exists());
    let running = home.json(&["ls", "--json"])[0]["folder"].as_str().expect("a folder").to_owned();
    let log = || std::fs::read_to_string(Path::new(&running).join("engine.log")).expect("a log");
    until("its removal is recorded", || log().contains("it was too old"));
    home.says(&["stop"]);
    session.code();
}

#[test]
fn a_group_of_watchers_looks_and_changes_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    // Everybody may come as far as the folder that only the group can enter.
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o711)).expect("opened");
    let root = nix::unistd::geteuid().is_root();
    // Debian's group games, of which nobody else is a member.
    let gid = if root { 60 } else { nix::unistd::getegid().as_raw() };
    let unknown = home.run(&["run", "--headless", "--hold", "--backend", "python", "--watchers", "no-such-group"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown.stderr));
    let session = home.held(&["--frames", "1", "--command", "1", "--watchers", &gid.to_string()]);
    let recorded = std::fs::read(home.folder().join("session.json")).expect("read");
    let recorded: Value = serde_json::from_slice(&recorded).expect("JSON");
    let socket = recorded["engine"]["watchers"].as_str().expect("a socket").to_owned();
    assert_eq!(home.json(&["agenda", "--json", "--socket", &socket])["items"][0]["status"], "pending");
    let verb = home.run(&["agenda", "release", "--socket", &socket]);
    assert_eq!(verb.status.code(), Some(4), "{}", text(&verb.stderr));
    assert_eq!(home.json(&["agenda", "--json"])["held"], true);
    if root {
        let program = home.path().join("childminder");
        std::fs::copy(env!("CARGO_BIN_EXE_childminder"), &program).expect("copied");
        let by = |gid: &str, args: &[&str]| {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid", gid, "--clear-groups"]).arg(&program).args(args);
            command.args(["--socket", &socket]).current_dir("/").stdin(Stdio::null());
            command.output().expect("setpriv runs")
        };
        let member = by("60", &["agenda", "--json"]);
        assert_eq!(member.status.code(), Some(0), "{}", text(&member.stderr));
        assert!(text(&member.stdout).contains("pending"), "{}", text(&member.stdout));
        assert_eq!(by("60", &["agenda", "release"]).status.code(), Some(4));
        assert_eq!(by("65534", &["agenda", "--json"]).status.code(), Some(3), "no member");
    } else {
        println!("skipped, for want of root: watching as another user");
    }
    home.says(&["stop"]);
    session.code();
    assert!(!Path::new(&socket).exists(), "it goes with the session");
}

#[test]
fn stop_can_wait_for_the_sessions_end_and_gives_its_code() {
    let home = Home::new();
    let command = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)";
    let args = ["run", "--headless", "--backend", "python", "--frames", "1", "--command", command];
    let session = Headless::start(&mut home.command(&args));
    session.until("command 1 (item)");
    let late = home.run(&["stop", "--wait", "--timeout", "50ms"]);
    assert_eq!(late.status.code(), Some(124), "{}", text(&late.stderr));
    let waiting = Headless::start(&mut home.command(&["stop", "--wait"]));
    waiting.until("ends after the running item");
    std::fs::write(home.path().join("go"), "").expect("written");
    let (waited, code) = (waiting.code(), session.code());
    assert_eq!(waited, code);
    let listed = home.json(&["ls", "--json"]);
    assert_eq!(listed[0]["ended"]["code"].as_i64(), code.map(i64::from));
    assert_eq!(listed[0]["counts"]["complete"], 1);
}

#[test]
fn a_commands_output_stands_before_its_end_and_none_of_it_is_missing() {
    let home = Home::new();
    let print =
        ["run", "--headless", "--backend", "python", "--frames", "1-500", "--command", "print('frame', {frame})"];
    let said = home.says(&print);
    let mut last = None;
    for line in said.lines() {
        if let Some(frame) = line.strip_prefix("out| frame ") {
            last = Some(frame.to_owned());
        } else if let Some((_, item)) = line.split_once(" item ").filter(|_| line.contains(" complete after ")) {
            assert_eq!(item.split_whitespace().next(), last.as_deref(), "{said}");
        }
    }
    assert_eq!(last.as_deref(), Some("500"));
}

#[test]
fn following_ends_when_its_reader_has_had_enough() {
    let home = Home::new();
    let session = home.held(&["--frames", "1", "--command", "1"]);
    let mut follow = home.command(&["log", "--follow"]).stdout(Stdio::piped()).spawn().expect("it starts");
    home.says(&["exec", "print('one line')"]);
    let mut lines = BufReader::new(follow.stdout.take().expect("a pipe")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "one line");
    drop(lines);
    until("it ends though the session is quiet", || follow.try_wait().expect("asked").is_some());
    home.says(&["stop"]);
    session.code();
}

#[test]
fn what_an_engine_that_stands_still_was_not_given_is_not_said_to_go_on() {
    let home = Home::new();
    let session = home.held(&[]);
    session.signal(Signal::SIGSTOP);
    let late = home.run(&["exec", "--timeout", "50ms", "1"]);
    session.signal(Signal::SIGCONT);
    assert_eq!(late.status.code(), Some(124));
    assert!(text(&late.stderr).contains("perhaps not handed over"), "{}", text(&late.stderr));
    home.says(&["stop"]);
    session.code();
}

#[test]
fn what_is_no_job_and_where_no_session_can_be_kept_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    nix::unistd::mkfifo(&home.path().join("fifo.toml"), nix::sys::stat::Mode::S_IRWXU).expect("made");
    std::fs::write(home.path().join("empty.toml"), "").expect("written");
    for (file, said) in [("fifo.toml", "regular file"), ("empty.toml", "empty.toml:1:1: nothing is to be done")] {
        let output = home.run(&["run", "--headless", file]);
        assert_eq!(output.status.code(), Some(2), "{file}");
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
    let run = ["run", "--headless", "--backend", "python", "--frames", "1", "--command", "print(1)"];
    let nowhere = home.command(&run).env("CHILDMINDER_DATA_DIR", home.path().join("empty.toml")).output();
    assert_eq!(nowhere.expect("it runs").status.code(), Some(69));
    home.says(&run);
    let log = home.folder().join("engine.log");
    assert_eq!(log.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    std::fs::remove_file(home.folder().join("stdout.log")).expect("removed");
    let output = home.run(&["log"]);
    assert!(text(&output.stderr).contains("stdout.log is missing"), "{}", text(&output.stderr));
    std::fs::write(home.folder().join("session.json"), "{").expect("written");
    let table = home.says(&["ls"]);
    let row = table.lines().nth(1).expect("a row");
    assert!(row.ends_with("–") && row.contains(" damaged "), "{table}");
}

#[test]
fn the_command_line_counts_more_than_the_job_and_the_job_more_than_ones_own_path_map() {
    let home = Home::new();
    let config = home.path().join("config");
    std::fs::create_dir_all(config.join("childminder")).expect("a folder");
    let own = "[path_map]\n'/a' = '/own'\n'/b' = '/own'\n'/c' = '/own'\n'/a/deeper' = '/own/deep'\n";
    std::fs::write(config.join("childminder/path_map.toml"), own).expect("written");
    let job = "backend = 'blender'\n[parameters]\npaths = ['/a', '/b', '/c', '/a/deeper/x']\n[phases]\n\
         commands = ['print({paths})']\n[agenda]\nframes = '1'\n[path_map]\n'/a' = '/job'\n'/b' = '/job'\n";
    std::fs::write(home.path().join("job.toml"), job).expect("written");
    let run = |more: &[&str]| {
        let mut command = home.command(&[&["run", "job.toml", "--headless", "--backend", "python"], more].concat());
        command.env("XDG_CONFIG_HOME", &config);
        let output = command.output().expect("it runs");
        text(&output.stdout) + &text(&output.stderr)
    };
    let said = run(&["--map", "/a=/line"]);
    assert!(said.contains("out| ['/line', '/job', '/own', '/own/deep/x']"), "{said}");
    let said = run(&["--map", "/a=/line", "--no-map"]);
    assert!(said.contains("out| ['/a', '/b', '/c', '/a/deeper/x']"), "{said}");
    std::fs::write(config.join("childminder/path_map.toml"), "[path_map]\nx = 1\n").expect("written");
    let said = run(&[]);
    assert!(said.contains("path_map.toml:2:5: expected a string"), "{said}");
}
