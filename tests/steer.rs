//! Steering a session from a shell: why it is stuck, ways out, pauses, time-outs, steps, edits, and what of it is written
//! down.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/home.rs"]
mod home;

use childminder::model::diagnosis::{Confidence, MemoryEvidence, SessionEvidence, Stacks, Trigger};
use childminder::model::{Diagnosis, Doing, EventKind, Job, Micros, Verdict, WaitFor};
use childminder::store::{Folder, Journal, SessionFile};
use home::{Headless, Home, text};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Both of what was printed.
fn said(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

/// A command that runs until its session has a file of this name, and says when it has begun.
fn waits_for(file: &str) -> String {
    format!("import os, time\nprint('begun', flush=True)\nwhile not os.path.exists('{file}'): time.sleep(0.02)")
}

/// A session whose only item runs until there is a file `go`.
fn busy(home: &Home) -> Headless {
    let args = ["run", "--headless", "--hold", "--backend", "python", "--frames", "1", "--command", &waits_for("go")];
    let session = Headless::start(&mut home.command(&args));
    session.until("phase agenda");
    home.says(&["agenda", "release"]);
    session.until("out| begun");
    session
}

fn with_stdin(home: &Home, args: &[&str], input: &str) -> Output {
    let mut command = home.command(args);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    child.wait_with_output().expect("it ends")
}

// ---- why ----------------------------------------------------------------------------------------------------------------

fn diagnosis(sentence: &str) -> Diagnosis {
    Diagnosis {
        verdict: Verdict {
            doing: Doing::Idle,
            confidence: Confidence::Likely,
            sentence: sentence.into(),
            advice: "Wait.".into(),
        },
        trigger: Trigger::TimedOut(WaitFor::Silence),
        stacks: Stacks::default(),
        processes: Vec::new(),
        memory: MemoryEvidence::default(),
        session: SessionEvidence { head: "render()\x1b[2J".into(), ..SessionEvidence::default() },
        missing: vec!["The right to trace it.".into()],
        took: Micros(42_000),
    }
}

/// A session of which nothing is there but that somebody asked why, twice.
fn asked(home: &Home) -> PathBuf {
    let sessions = home.path().join("data").join("sessions");
    std::fs::create_dir_all(&sessions).expect("a folder");
    let folder = Folder::create(&sessions, &SessionFile::new(Job::default(), None)).expect("a session");
    let mut journal = Journal::create(&folder.journal()).expect("a journal");
    for sentence in ["It slept.", "It does\x1b]0;x\x07 nothing."] {
        let event = EventKind::Diagnosed { diagnosis: Box::new(diagnosis(sentence)), by: None };
        journal.append(&mut vec![event]).expect("journalled");
    }
    folder.path().to_owned()
}

#[test]
fn what_was_found_out_is_read_again_though_nobody_runs() {
    let home = Home::new();
    let folder = asked(&home);
    let last = home.says(&["why", "--last"]);
    assert_eq!(last.lines().next(), Some("It does␛]0;x␇ nothing."), "{last}");
    assert!(last.contains("likely") && last.contains("Wait.") && last.contains("The right to trace it."), "{last}");
    assert!(!last.contains(['\x1b', '\x07']), "{last:?}");
    let told = home.json(&["why", "--last", "--json", "--no-locals"]);
    assert_eq!(told["session"].as_str(), folder.file_name().and_then(|name| name.to_str()));
    assert_eq!(told["diagnosis"]["verdict"]["doing"], "idle");
    let all = home.says(&["why", "--all"]);
    assert!(all.contains("It slept.") && all.lines().count() == 3, "{all}");
    let all = home.json(&["why", "--all", "--json"]);
    assert_eq!((&all[0]["sentence"], &all[1]["doing"]), (&"It slept.".into(), &"idle".into()));
    // A packed session, too; and one in which nobody has asked.
    let id = folder.file_name().expect("a name").to_str().expect("UTF-8");
    home.says(&["export", id, "packed.tar.zst"]);
    assert!(home.says(&["why", "packed.tar.zst", "--last"]).contains(" nothing."));
    home.says(&["run", "--headless", "--backend", "python", "--frames", "1", "--command", "1"]);
    let none = home.run(&["why", "python", "--last"]);
    assert_eq!(none.status.code(), Some(1), "{}", said(&none));
    assert_eq!(home.json(&["why", "python", "--all", "--json"]), Value::Array(Vec::new()));
    // The newest, of which nobody is left to be asked; and one whose engine left no end.
    let over = home.says(&["why"]);
    assert!(over.starts_with("The child is gone: exit code 0, as it was asked to, "), "{over}");
    let over = home.json(&["why", "--json"]);
    assert_eq!((&over["ended"]["code"], &over["exited"]["exit"]["code"]), (&0.into(), &0.into()), "{over}");
    assert!(over["last"].is_null(), "{over}");
    let over = home.says(&["why", id]);
    assert!(over.contains("What was found out last: It does␛]0;x␇ nothing.") && over.contains("--last"), "{over}");
}

#[test]
fn a_busy_child_is_asked_why_and_for_its_names() {
    let home = Home::new();
    let session = busy(&home);
    let why = home.says(&["why"]);
    let lines: Vec<&str> = why.lines().collect();
    assert!(lines[0].contains("leeping at <command 1>:3"), "{why}");
    assert!(lines.contains(&"python") && lines.contains(&"system") && lines.contains(&"session"), "{why}");
    assert!(why.contains("time.sleep(0.02)"), "source lines are shown: {why}");
    assert!(why.contains("\n  command 1 ") && why.contains(": import os, time"), "{why}");
    let told = home.json(&["why", "--json"]);
    assert_eq!(told["diagnosis"]["session"]["item_name"], "1");
    assert_eq!(home.json(&["why", "--all", "--json"]).as_array().map(Vec::len), Some(2));
    assert_eq!(home.says(&["why", "--last"]).lines().next(), told["diagnosis"]["verdict"]["sentence"].as_str());
    session.until("why: ");

    let names = home.json(&["names", "--json"]);
    let named = |name: &str| names["names"].as_array().and_then(|all| all.iter().find(|one| one["name"] == name));
    assert_eq!(named("time").map(|time| &time["kind"]), Some(&"module".into()), "{names}");
    let table = home.says(&["names"]);
    assert!(table.starts_with("NAME") && table.contains("module"), "{table}");
    std::fs::write(home.path().join("go"), "").expect("written");
    home.says(&["stop"]);
    session.until("session ended");
}

#[test]
fn python_runs_beside_a_busy_main_thread() {
    let home = Home::new();
    let session = busy(&home);
    assert_eq!(home.says(&["exec", "--side", "6*7"]), "42\n");
    let raised = home.run(&["exec", "--side", "--yes", "1/0"]);
    assert_eq!(raised.status.code(), Some(1), "{}", said(&raised));
    assert!(text(&raised.stderr).contains("ZeroDivisionError"), "{}", said(&raised));
    home.says(&["exec", "--side", "open('go', 'w').close()"]);
    session.until("item 1 complete");
    home.says(&["stop"]);
    session.until("session ended");
}

// ---- ways out -----------------------------------------------------------------------------------------------------------

#[test]
fn a_command_is_interrupted_and_what_is_loaded_stays() {
    let home = Home::new();
    let session = busy(&home);
    let done = home.run(&["interrupt"]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let told = text(&done.stdout);
    assert!(told.contains("interrupt has ended the command after ") && told.contains("still there"), "{told}");
    session.until("item 1 failed");
    let nothing = home.run(&["interrupt"]);
    assert_eq!(nothing.status.code(), Some(4), "nothing runs: {}", said(&nothing));
    home.says(&["stop"]);
    session.until("session ended");
}

#[test]
fn what_ended_the_child_is_said_though_the_engine_ends_with_it() {
    let home = Home::new();
    let session = busy(&home);
    let done = home.run(&["interrupt", "--from", "kill", "--to", "kill", "--no-restart"]);
    assert_eq!(done.status.code(), Some(70), "{}", said(&done));
    let last = text(&done.stdout).lines().last().unwrap_or_default().to_owned();
    assert!(
        last.starts_with("kill has ended the child") && last.ends_with("what was loaded is lost"),
        "{}",
        said(&done)
    );
    session.until("session ended");
    until("the engine is gone", || home.says(&["why"]).starts_with("The child is gone: killed by SIGKILL"));
}

#[test]
fn a_command_that_no_interrupt_ends_costs_the_child_only_when_that_is_allowed() {
    let home = Home::new();
    let job = r#"
        hold = true
        [timeouts]
        kill_grace = "300ms"
        [phases]
        setup = ["loaded = 1"]
        commands = ["""
import time
print('begun', flush=True)
while {frame} == 1:
    try:
        while True:
            try:
                time.sleep(0.02)
            except BaseException:
                pass
    except BaseException:
        pass
"""]
        [agenda]
        frames = "1-2"
    "#;
    std::fs::write(home.path().join("job.toml"), job).expect("written");
    let session = Headless::start(&mut home.command(&["run", "--headless", "job.toml"]));
    session.until("phase agenda");
    home.says(&["agenda", "release"]);
    session.until("out| begun");
    let vain = home.run(&["interrupt"]);
    assert_eq!(vain.status.code(), Some(1), "{}", said(&vain));
    assert!(text(&vain.stdout).contains("interrupt was in vain"), "{}", said(&vain));
    let other = home.run(&["interrupt", "--command", "1"]);
    assert_eq!(other.status.code(), Some(4), "command 1 is setup's: {}", said(&other));
    let done = home.run(&["interrupt", "--from", "async", "--to", "kill"]);
    assert_eq!(done.status.code(), Some(70), "{}", said(&done));
    assert!(text(&done.stdout).contains("what was loaded is lost"), "{}", said(&done));
    session.until("item 2 complete");
    assert_eq!(home.says(&["exec", "loaded"]), "1\n", "setup was run again");
    home.says(&["stop"]);
    session.until("session ended");
}

#[test]
fn a_child_is_paused_goes_on_and_is_replaced() {
    let home = Home::new();
    let session = home.held(&[]);
    let pid = || home.says(&["exec", "import os; os.getpid()"]).trim().to_owned();
    let (before, state) = (pid(), |pid: &str| {
        let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
        stat.rsplit(") ").next().and_then(|rest| rest.chars().next())
    });
    home.says(&["pause"]);
    session.until("child paused");
    assert_eq!(state(&before), Some('T'));
    home.says(&["continue"]);
    session.until("child goes on");
    until("it goes on", || state(&before) != Some('T'));
    home.says(&["exec", "loaded = 1"]);
    home.says(&["restart"]);
    session.until("child 2 starts");
    session.until("child says hello");
    until("another child answers", || home.run(&["exec", "1"]).status.success());
    assert_ne!(pid(), before);
    assert_eq!(home.run(&["exec", "loaded"]).status.code(), Some(1), "nothing is loaded in it");
    home.says(&["stop"]);
    session.until("session ended");
}

// ---- time-outs and stops ------------------------------------------------------------------------------------------------

#[test]
fn time_outs_are_shown_and_changed() {
    let home = Home::new();
    std::fs::write(home.path().join("job.toml"), "hold = true\n[on_timeout]\nitem = \"restart\"\n").expect("written");
    let session = Headless::start(&mut home.command(&["run", "--headless", "job.toml"]));
    session.until("phase agenda");
    let table = home.says(&["timeout"]);
    let row =
        |name: &str| table.lines().find(|line| line.starts_with(name)).map(|line| line.split_whitespace().collect());
    assert_eq!(row("startup"), Some(vec!["startup", "5m", "00s"]), "{table}");
    assert_eq!(row("item"), Some(vec!["item", "none", "restart"]), "{table}");
    home.says(&["timeout", "silence=10m:warn", "command=1.5", "startup=none"]);
    let told = home.json(&["timeout", "--json"]);
    assert_eq!(told["timeouts"]["silence"], serde_json::json!({ "seconds": 600.0, "policy": "warn" }));
    assert_eq!(told["timeouts"]["command"], serde_json::json!({ "seconds": 1.5, "policy": "fail" }));
    assert_eq!(told["timeouts"]["startup"], serde_json::json!({ "seconds": null }));
    home.says(&["stop"]);
    session.until("session ended");
    assert_eq!(session.code(), Some(0));
    assert_eq!(home.json(&["timeout", "--json"]), told, "an ended session tells what was in force");
    let over = home.run(&["timeout", "silence=1"]);
    assert_eq!(over.status.code(), Some(3), "{}", said(&over));
}

#[test]
fn a_time_out_says_why_before_it_acts() {
    let home = Home::new();
    let job = format!(
        "[timeouts]\nitem = \"500ms\"\n[on_timeout]\nitem = \"warn\"\n[phases]\ncommands = ['''\n{}\n''']\n[agenda]\nframes = 1\n",
        waits_for("go")
    );
    std::fs::write(home.path().join("job.toml"), job).expect("written");
    let session = Headless::start(&mut home.command(&["run", "--headless", "job.toml"]));
    let seen = session.until("time-out (item)");
    assert!(seen.iter().any(|line| line.contains(" why: ")), "{seen:#?}");
    std::fs::write(home.path().join("go"), "").expect("written");
    session.until("item 1 complete");
    assert_eq!(session.code(), Some(0));
    assert_eq!(home.json(&["why", "--last", "--json"])["diagnosis"]["trigger"]["timed_out"], "item");
}

#[test]
fn a_failed_item_is_edited_and_tried_again_in_the_warm_child() {
    let home = Home::new();
    let args = ["--hold-on-failure", "--frames", "1-2", "--setup", "loaded = 1", "--command", "loaded / ({frame} - 1)"];
    let session = home.held(&args);
    assert!(home.says(&["agenda", "stops"]).starts_with("held when an item has failed\nno breakpoints"));
    home.says(&["agenda", "release"]);
    session.until("agenda held: item 1 failed");
    let edited =
        with_stdin(&home, &["agenda", "edit", "1", "--commands", "-"], "x = loaded\n# ---\nprint('mended', x)\n");
    assert!(edited.status.success(), "{}", said(&edited));
    session.until("item 1 has commands of its own now: 2");
    home.says(&["agenda", "step", "1"]);
    session.until("out| mended 1");
    session.until("agenda held after one step");
    // In an editor that is a command line, and gets what is there.
    let editor = r#"sed -i -e "s/mended/edited/""#;
    let mut edit = home.command(&["agenda", "edit", "1"]);
    let edited = edit.env("VISUAL", editor).output().expect("it runs");
    assert!(edited.status.success(), "{}", said(&edited));
    let same = home.command(&["agenda", "edit", "1"]).env("VISUAL", "true").output().expect("it runs");
    assert!(same.status.success() && said(&same).contains("nothing was changed"), "{}", said(&same));
    let broken = home.command(&["agenda", "edit", "1"]).env("VISUAL", "false").output().expect("it runs");
    assert_eq!(broken.status.code(), Some(1), "{}", said(&broken));
    home.says(&["agenda", "step", "1"]);
    session.until("out| edited 1");
    home.says(&["agenda", "edit", "1", "--reset"]);
    home.says(&["agenda", "hold-on-failure", "off"]);
    assert!(home.says(&["agenda", "stops"]).starts_with("not held"));
    home.says(&["stop"]);
    session.until("session ended");
}

#[test]
fn the_agenda_stops_at_breakpoints_and_goes_on_step_by_step() {
    let home = Home::new();
    let args = ["--break", "2", "--frames", "1-3", "--command", "a = {frame}", "--command", "render = a"];
    let session = home.held(&args);
    home.says(&["agenda", "breakpoint", "add", "/render/", "2"]);
    let told = home.json(&["agenda", "stops", "--json"]);
    assert_eq!(told["breakpoints"], serde_json::json!([{ "item": "2" }, { "command": "render" }]));
    home.says(&["agenda", "release"]);
    session.until("agenda held before a command with render");
    home.says(&["agenda", "step", "--command"]);
    session.until("item 1 complete");
    home.says(&["agenda", "breakpoint", "remove", "/render/"]);
    home.says(&["agenda", "release"]);
    session.until("agenda held before item 2");
    home.says(&["agenda", "step"]);
    session.until("item 2 complete");
    home.says(&["agenda", "breakpoint", "clear"]);
    let unknown = home.run(&["agenda", "breakpoint", "remove", "2"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", said(&unknown));
    home.says(&["stop"]);
    session.until("session ended");
}

#[test]
fn breakpoints_of_the_command_line_are_checked_before_anything_is_started() {
    let home = Home::new();
    let run = ["run", "--headless", "--backend", "python", "--frames", "1-3", "--command", "1", "--break"];
    for (wrong, why) in [("4", "there is no item \"4\""), ("/(/", "unclosed group"), ("", "an item's name")] {
        let output = home.run(&[&run[..], &[wrong]].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(said(&output).contains(why), "{}", said(&output));
    }
    assert_eq!(home.json(&["ls", "--json"]), Value::Array(Vec::new()));
}

#[test]
fn wrong_words_are_told_of_with_the_right_ones() {
    let home = Home::new();
    let cases: [(&[&str], i32, &str); 10] = [
        (&["interrupt", "--to", "shout"], 2, "interrupt, async, cancel, terminate, kill"),
        (&["interrupt", "--from", "kill", "--to", "async"], 2, "harder than"),
        (&["interrupt"], 3, "session"),
        (&["why"], 3, "session"),
        (&["timeout", "silense=1"], 2, "startup, command, item, silence, teardown"),
        (&["exec", "--yes", "1"], 2, "--side"),
        (&["agenda", "step", "--command", "12"], 2, "no item"),
        (&["agenda", "hold", "--reset"], 2, "edit"),
        (&["agenda", "hold-on-failure", "perhaps"], 2, "on or off"),
        (&["record", "--commands", "0", "--to", "x.py"], 2, "from 1"),
    ];
    for (args, code, why) in cases {
        let output = home.run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(why), "{args:?}: {}", said(&output));
    }
}

// ---- recording ----------------------------------------------------------------------------------------------------------

#[test]
fn what_was_tried_is_written_down_and_runs_again() {
    let home = Home::new();
    let session = home.held(&["--frames", "1", "--command", "print(texture['{}'.format('width')])"]);
    home.says(&["exec", "texture = {'name': '{name}'}"]);
    home.says(&["exec", "texture['width'] = 64\nif texture:\n    print('{frame}', texture)"]);
    home.run(&["exec", "1/0"]);
    home.says(&["stop"]);
    session.until("session ended");
    assert_eq!(home.says(&["record", "--commands", "1-2", "--to", "fix.py"]), "2 commands added to fix.py\n");
    let python = std::fs::read_to_string(home.path().join("fix.py")).expect("written");
    assert!(python.starts_with("# command 1, 2") && python.contains("\ntexture = {'name': '{name}'}\n"), "{python}");

    let job = "# mine\nname = \"again\"\n[agenda]\nframes = 1\n[phases]\ncommands = ['print(texture)']   # shows it\n";
    std::fs::write(home.path().join("again.toml"), job).expect("written");
    let args = ["record", "--commands", "2,1", "--phase", "setup", "--to", "again.toml"];
    let dry = home.says(&[&args[..], &["--dry-run"]].concat());
    assert!(dry.contains("# mine") && dry.contains("texture['width'] = 64"), "{dry}");
    assert_eq!(std::fs::read_to_string(home.path().join("again.toml")).expect("there"), job, "nothing was written");
    home.says(&["record", "--commands", "1-2", "--phase", "setup", "--to", "again.toml"]);
    let written = std::fs::read_to_string(home.path().join("again.toml")).expect("there");
    assert!(written.starts_with(job), "{written}");
    let ran = home.says(&["run", "--headless", "again.toml"]);
    assert!(ran.contains("out| {frame} {'name': '{name}', 'width': 64}"), "{ran}");
    assert!(ran.contains("item 1 complete"), "{ran}");

    let first = home.json(&["ls", "--json"])[1]["id"].as_str().expect("an id").to_owned();
    let failed = home.run(&["record", &first, "--commands", "3", "--to", "fix.py"]);
    assert!(failed.status.success() && text(&failed.stderr).contains("command 3 is raised"), "{}", said(&failed));
    std::os::unix::fs::symlink("fix.py", home.path().join("link.py")).expect("linked");
    for (args, code, why) in [
        (&["--commands", "99", "--to", "fix.py"][..], 2, "no command 99"),
        (&["--commands", "1", "--to", "link.py"], 1, "link"),
        (&["--commands", "1", "--to", "again.toml"], 2, "--phase"),
        (&["--commands", "1", "--phase", "init", "--to", "fix.py"], 2, "job file"),
        (&["--commands", "1", "--phase", "init", "--to", "none.toml"], 2, "no job file"),
    ] {
        let output = home.run(&[&["record", first.as_str()], args].concat());
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(why), "{args:?}: {}", said(&output));
    }
}

const RESULTS: &str = r#"
name = "results"
hold = true
[outputs]
min_size = 10
image = true
[phases]
setup = ["import childminder, os, time"]
[[agenda.items]]
name = "one"
data = { size = 3 }
commands = [
    "open('a.png', 'w').write('no picture'); childminder.output('a.png')\nchildminder.progress(0.5)\nprint('begun', flush=True)",
    "while not os.path.exists('go'): time.sleep(0.02)",
]
"#;

#[test]
fn all_of_an_item_is_shown_while_it_runs_and_when_all_is_over() {
    let home = Home::new();
    std::fs::write(home.path().join("results.toml"), RESULTS).expect("written");
    let session = Headless::start(&mut home.command(&["run", "--headless", "results.toml"]));
    session.until("phase agenda");
    let show = || home.json(&["agenda", "show", "one", "--json"]);
    let before = show();
    assert_eq!((&before["status"], &before["commands"][0]["ran"]), (&"pending".into(), &Value::Null));
    home.says(&["agenda", "release"]);
    session.until("out| begun");
    let second = |item: &Value| item["commands"][1]["ran"]["state"].clone();
    until("the second command runs", || second(&show()) == "started");
    let running = show();
    assert_eq!(running["result"]["output_paths"][0], "a.png");
    assert_eq!((&running["result"]["progress"], &running["reason"]), (&0.5.into(), &Value::Null));
    assert_eq!(running["result"]["files"], Value::Array(Vec::new()), "nobody has looked");
    let text = home.says(&["agenda", "show", "one"]);
    assert!(text.starts_with("one running, 50% done\n") && text.contains("\noutputs\n  a.png\n"), "{text}");
    std::fs::write(home.path().join("go"), "").expect("written");
    session.until("item one failed");
    assert_eq!(home.run(&["stop", "--wait"]).status.code(), Some(1));
    // The engine is gone: this is what its files tell.
    let over = show();
    let keys =
        ["attempt", "item", "name", "session", "status", "took", "reason", "result", "measures", "commands", "data"];
    for key in keys {
        assert!(over.get(key).is_some(), "{key}: {over}");
    }
    for key in ["output_paths", "files", "progress", "errors", "found", "highlights", "values"] {
        assert!(over["result"].get(key).is_some(), "{key}: {over}");
    }
    let file = &over["result"]["files"][0];
    assert_eq!((&file["path"], &file["bytes"]), (&"a.png".into(), &10.into()));
    assert!(file["problem"].as_str().is_some_and(|problem| problem.starts_with("is no image")), "{file}");
    assert_eq!(second(&over), "finished");
    let text = home.says(&["agenda", "show", "one"]);
    for line in ["because a.png is no image: ", "outputs\n  ✗ a.png  10 B\n    is no image: ", "data\n  size = 3\n"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.starts_with("one failed after ") && !text.contains("errors"), "told once: {text}");
    assert_eq!(home.run(&["agenda", "show", "two"]).status.code(), Some(4));
}
