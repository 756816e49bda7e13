//! `childminder dev`: what is saved is seen, and nothing of the loop outlives it.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/home.rs"]
mod home;
#[path = "common/hosts.rs"]
mod hosts;

use childminder::child::MARKER;
use home::{Home, text};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// The loop at work, with somebody who types.
struct Loop {
    child: Child,
    typed: Option<ChildStdin>,
    said: Arc<(Mutex<Vec<u8>>, Condvar)>,
    /// How much of it was looked at.
    at: usize,
}

impl Loop {
    fn start(home: &Home, args: &[&str]) -> Self {
        let mut command = home.command(&[&["dev"], args].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut out = child.stdout.take().expect("a pipe");
        let said = Arc::<(Mutex<Vec<u8>>, Condvar)>::default();
        let to = said.clone();
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(read @ 1..) = out.read(&mut some) {
                to.0.lock().expect("sound").extend_from_slice(&some[..read]);
                to.1.notify_all();
            }
        });
        Self { typed: child.stdin.take(), child, said, at: 0 }
    }

    /// Waits until it has said this after all that was waited for before; all that was said in between.
    #[track_caller]
    fn until(&mut self, wanted: &str) -> String {
        let begun = Instant::now();
        let mut said = self.said.0.lock().expect("sound");
        loop {
            let new = text(&said[self.at..]);
            if let Some(place) = new.find(wanted) {
                self.at += place + wanted.len();
                return new[..place + wanted.len()].to_owned();
            }
            let left = PATIENCE.checked_sub(begun.elapsed());
            let left = left.unwrap_or_else(|| panic!("it never said {wanted:?}; it said\n{}", text(&said)));
            said = self.said.1.wait_timeout(said, left).expect("sound").0;
        }
    }

    #[track_caller]
    fn types(&mut self, line: &str) {
        let typed = self.typed.as_mut().expect("somebody types");
        writeln!(typed, "{line}").expect("typed");
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")), signal).expect("sent");
    }

    /// Nobody types any more; its exit code.
    fn ends(mut self) -> Option<i32> {
        self.typed = None;
        self.wait()
    }

    fn wait(&mut self) -> Option<i32> {
        until("its end", || self.child.try_wait().expect("waited for").map(|status| status.code()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "there never was {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn save(home: &Home, name: &str, content: &str) {
    // As most editors do.
    let beside = home.path().join(format!(".{name}.new"));
    fs::write(&beside, content).expect("written");
    fs::rename(beside, home.path().join(name)).expect("renamed");
}

fn sessions(home: &Home) -> Vec<String> {
    let folders = fs::read_dir(home.path().join("data/sessions")).into_iter().flatten().flatten();
    folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Processes that were started for a session of this home: its engines, its guardians, its children.
fn processes(home: &Home) -> Vec<String> {
    let ours = |pid: &Path| {
        let read = |name: &str| text(&fs::read(pid.join(name)).unwrap_or_default()).replace('\0', " ");
        let (environment, line) = (read("environ"), read("cmdline"));
        let is_engine = line.contains("__engine") && line.contains(&*home.path().to_string_lossy());
        let is_child = environment.contains(MARKER) && environment.contains(&*home.path().to_string_lossy());
        (is_engine || is_child).then_some(line)
    };
    let pids = fs::read_dir("/proc").expect("processes").flatten();
    pids.filter_map(|pid| ours(&pid.path())).collect()
}

#[track_caller]
fn nothing_is_left(home: &Home) {
    until("nobody left", || processes(home).is_empty().then_some(()));
    until("no session left", || sessions(home).is_empty().then_some(()));
}

/// What was said must have all of this in it.
#[track_caller]
fn has(said: &str, wanted: &[&str]) {
    let missing: Vec<_> = wanted.iter().filter(|wanted| !said.contains(*wanted)).collect();
    assert!(missing.is_empty(), "{missing:?} is missing in\n{said}");
}

#[test]
fn what_is_saved_is_run_again_and_the_difference_told() {
    let home = Home::new();
    save(&home, "rig.py", "import parts\nprint('wheels', parts.WHEELS)\n");
    save(&home, "parts.py", "WHEELS = 4\n");
    let mut dev = Loop::start(&home, &["rig.py"]);
    has(&dev.until("rig> "), &["ok      connected", "# rig.py", "| wheels 4", "watched: parts.py, rig.py"]);
    dev.types("parts.WHEELS + 1");
    dev.until("\n5\n");
    // One burst, of which only what it comes to counts.
    save(&home, "parts.py", "WHEELS = 4\n");
    save(&home, "parts.py", "WHEELS = 5\n");
    save(&home, "parts.py", "WHEELS = 6\n");
    let said = dev.until("watched:");
    has(&said, &["saved: parts.py", "starts again", "| wheels 6", "against the last time:", "-wheels 4", "+wheels 6"]);
    // What is saved as it was is nothing that was changed.
    save(&home, "rig.py", "import parts\nprint('wheels', parts.WHEELS)\n");
    dev.types("parts.WHEELS + 1");
    dev.until("\n7\n");
    save(&home, "rig.py", "import parts\nprint('wheels', parts.WHEELS)\n1/0\n");
    let said = dev.until("rig> ") + &dev.until("rig> ");
    has(&said, &["saved: rig.py", "failed  init 1", "ZeroDivisionError", "rig.py\", line 3", "fails now", "not ready"]);
    assert_eq!(said.matches("saved:").count(), 1, "{said}");
    save(&home, "rig.py", "import parts\n");
    has(&dev.until("watched:"), &["passes now; it was: ZeroDivisionError", "ready"]);
    dev.types(":quit");
    assert_eq!(dev.wait(), Some(0));
    nothing_is_left(&home);
}

#[test]
fn a_file_that_is_wrong_changes_nothing_for_what_runs() {
    let home = Home::new();
    save(&home, "job.toml", "[phases]\ninit = ['import parts']\nsetup = ['x = parts.X']\n");
    save(&home, "parts.py", "X = 1\n");
    let mut dev = Loop::start(&home, &["job.toml", "--watch", ".", "--set", "executable=python3"]);
    // Plain Python does not look for modules where it is started.
    has(&dev.until("not ready"), &["failed  init 1", "No module named"]);
    save(&home, "job.toml", "env = { PYTHONPATH = '.' }\n[phases]\ninit = ['import parts']\nsetup = ['x = parts.X']\n");
    has(&dev.until("job> "), &[]);
    has(&dev.until("job> "), &["saved: job.toml", "starts:", "passes now", "ready"]);
    dev.types("kept = x + 41");
    save(&home, "parts.py", "X = = 2\n");
    has(&dev.until("goes on as it is"), &["saved: parts.py", "parts.py:1:", "SyntaxError"]);
    save(&home, "job.toml", "[phases]\ninit = 1\n");
    has(&dev.until("goes on as it is"), &["saved: job.toml", "job.toml:2:8: "]);
    dev.types("kept");
    dev.until("\n42\n");
    save(&home, "parts.py", "X = 2\n");
    has(&dev.until("ready:"), &["saved: parts.py", "starts again"]);
    dev.types("x");
    dev.until("\n2\n");
    assert_eq!(dev.ends(), Some(0));
    nothing_is_left(&home);
}

fn class(first: &str) -> String {
    format!(
        "from qb.backend.pythonChildBackEnd import PythonChildBackEnd\n\
         class Mine(PythonChildBackEnd):\n    def getSubprocessArgs(self, port):\n        \
         command = \"'%s' -u '%s' --port %d\" % (self.pyExecutable, self.childBootstrapper, port)\n        \
         return ['/bin/sh', '-c', 'exec ' + command], [{first}]\n"
    )
}

#[test]
fn a_class_that_is_saved_is_run_again_by_itself_and_by_its_job() {
    let home = Home::new();
    save(&home, "studio.py", &class("'wheels = 4'"));
    save(&home, "job.toml", "backend = 'studio.py:Mine'\n[phases]\nsetup = ['wheels += 10']\n");
    for (what, prompt, then) in [("studio.py:Mine", "Mine> ", "\n6\n"), ("./job.toml", "job> ", "\n16\n")] {
        save(&home, "studio.py", &class("'wheels = 4'"));
        let mut dev = Loop::start(&home, &[what]);
        has(&dev.until("watched:"), &["ok      connected", "wheels = 4", "ready"]);
        has(&dev.until(prompt), &["studio.py"]);
        save(&home, "studio.py", &class("'wheels = 6'"));
        has(&dev.until("watched:"), &["saved: studio.py", "starts", "wheels = 6"]);
        dev.types("wheels");
        dev.until(then);
        save(&home, "studio.py", &class("1 // 0"));
        has(&dev.until("ZeroDivisionError"), &["saved: studio.py", "not ready (exit code 1)"]);
        dev.until("watched:");
        save(&home, "studio.py", &class("'wheels = 7'"));
        has(&dev.until("watched:"), &["saved: studio.py", "wheels = 7", "ready"]);
        assert_eq!(dev.ends(), Some(0));
        nothing_is_left(&home);
    }
}

#[test]
fn a_module_that_could_not_be_found_is_seen_when_it_is_there() {
    let home = Home::new();
    save(&home, "rig.py", "import parts\n");
    let mut dev = Loop::start(&home, &["rig.py"]);
    dev.until("not ready");
    dev.until("rig> ");
    dev.types("1 + 1");
    dev.until("there is no child");
    save(&home, "parts.py", "X = 1\n");
    has(&dev.until("watched:"), &["saved: parts.py", "passes now", "ready"]);
    assert_eq!(dev.ends(), Some(0));
    nothing_is_left(&home);
}

#[test]
fn modules_are_loaded_anew_in_the_child_that_runs() {
    let home = Home::new();
    save(&home, "rig.py", "import upper\n");
    save(&home, "upper.py", "import lower\nY = lower.X * 10\n");
    save(&home, "lower.py", "X = 1\n");
    let mut dev = Loop::start(&home, &["rig.py", "--reload"]);
    dev.until("rig> ");
    dev.types("kept = 42");
    dev.until("rig> ");
    // Both at once: the one that the other uses first.
    save(&home, "upper.py", "import lower\nY = lower.X * 100\n");
    save(&home, "lower.py", "X = 2\nprint('again')\n");
    has(&dev.until("loaded anew in"), &["saved: lower.py, upper.py", "\nagain\n"]);
    dev.until(": lower, upper");
    dev.types("upper.Y, kept");
    dev.until("\n(200, 42)\n");
    save(&home, "lower.py", "X = 3\n1/0\n");
    has(&dev.until("not all loaded anew: lower"), &["ZeroDivisionError"]);
    save(&home, "lower.py", "X = 4\n");
    dev.until("loaded anew in");
    dev.types("upper.lower.X, kept");
    dev.until("\n(4, 42)\n");
    dev.types(":restart");
    dev.until("starts again");
    dev.until("rig> ");
    dev.types("'kept' in globals()");
    dev.until("\nFalse\n");
    assert_eq!(dev.ends(), Some(0));
    nothing_is_left(&home);
}

#[test]
fn what_was_typed_can_be_run_again() {
    let home = Home::new();
    save(&home, "rig.py", "x = 20\n");
    let mut dev = Loop::start(&home, &["rig.py", "--replay-prompt"]);
    dev.until("rig> ");
    for line in ["def twice(n):", "    return 2 * n", "", "kept = twice(x)", "kept + 2"] {
        dev.types(line);
    }
    dev.until("\n42\n");
    save(&home, "rig.py", "x = 50\n");
    has(&dev.until("\n102\n"), &["saved: rig.py", ">> kept = twice(x)", ">>     return 2 * n"]);
    dev.types("x = 1");
    dev.types(":again");
    dev.until("\n4\n");
    dev.until(">> x = 1");
    for verb in [":help", ":names", ":steps", ":why", ":forget", ":nonsense"] {
        dev.types(verb);
    }
    has(&dev.until("nothing that can be done"), &["Ctrl-C", "twice", "ok      init 1", "no command runs"]);
    assert_eq!(dev.ends(), Some(0));
    nothing_is_left(&home);
}

#[test]
fn what_runs_is_interrupted_and_what_is_saved_meanwhile_waits_visibly() {
    let home = Home::new();
    save(&home, "rig.py", "import time\n");
    let mut dev = Loop::start(&home, &["rig.py"]);
    dev.until("rig> ");
    dev.types("while True: time.sleep(0.01)");
    dev.types("");
    dev.until("rig... ");
    save(&home, "rig.py", "import time\nprint('new')\n");
    dev.until("saved: rig.py; heeded when the command has ended");
    dev.signal(Signal::SIGINT);
    has(&dev.until("| new"), &["the command is interrupted", "KeyboardInterrupt"]);
    dev.until("rig> ");
    dev.types("import os; os._exit(3)");
    dev.until("the child is gone");
    dev.types(":restart");
    dev.until("ready");
    dev.until("rig> ");
    dev.signal(Signal::SIGTERM);
    assert_eq!(dev.wait(), Some(143));
    nothing_is_left(&home);
}

#[test]
fn a_start_up_that_hangs_is_begun_again_when_it_is_mended_or_ended_at_once() {
    let home = Home::new();
    save(&home, "rig.py", "import time\ntime.sleep(1000)\n");
    let mut dev = Loop::start(&home, &["rig.py"]);
    dev.until("runs still  # rig.py");
    save(&home, "rig.py", "import parts\n");
    save(&home, "parts.py", "pass\n");
    dev.until("ready:");
    save(&home, "parts.py", "import time\ntime.sleep(1000)\n");
    dev.until("runs still  # rig.py");
    dev.signal(Signal::SIGINT);
    has(&dev.until("not ready"), &["the command is interrupted", "KeyboardInterrupt"]);
    dev.until("rig> ");
    dev.types(":restart");
    dev.until("runs still  # rig.py");
    dev.signal(Signal::SIGTERM);
    assert_eq!(dev.wait(), Some(143));
    nothing_is_left(&home);
}

#[test]
fn nothing_outlives_a_loop_that_is_killed() {
    let home = Home::new();
    save(&home, "rig.py", "import subprocess; subprocess.Popen(['sleep', '1000'])\n");
    let mut dev = Loop::start(&home, &["rig.py"]);
    dev.until("rig> ");
    assert!(processes(&home).len() >= 3, "an engine, a child and what it started: {:?}", processes(&home));
    dev.signal(Signal::SIGKILL);
    dev.wait();
    nothing_is_left(&home);
}

#[test]
fn what_is_to_be_kept_is() {
    let home = Home::new();
    save(&home, "rig.py", "print('kept')\n");
    home.says(&["dev", "rig.py", "--once", "--keep"]);
    until("nobody left", || processes(&home).is_empty().then_some(()));
    assert_eq!(sessions(&home).len(), 1);
    assert!(home.says(&["log"]).contains("kept"));
}

#[test]
fn once_is_told_by_its_exit_code_and_as_json() {
    let home = Home::new();
    save(&home, "good.py", "print('\\x1b[2Jfine')\n");
    save(&home, "bad.py", "def f():\n    return {}['x']\nf()\n");
    save(&home, "broken.toml", "[phases\n");
    save(&home, "setup.toml", "[phases]\ninit = ['1']\nsetup = ['1/0', '2']\n");
    save(&home, "gone.toml", "[settings]\nexecutable = './no-such-python'\n");
    let cases =
        [("good.py", 0), ("bad.py", 69), ("broken.toml", 2), ("setup.toml", 1), ("gone.toml", 69), ("none.py", 2)];
    for (file, code) in cases {
        let done = home.run(&["dev", file, "--once"]);
        let said = text(&done.stdout) + &text(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{file}: {said}");
        assert!(!said.contains('\x1b'), "{file}: {said}");
    }
    let done = home.run(&["dev", "bad.py", "--once", "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!((&told["code"], &told["runs"][0]["end"]), (&69.into(), &"over".into()), "{told}");
    let last = &told["runs"][0]["steps"][3];
    assert_eq!((&last["kind"], &last["fate"]), (&"init".into(), &"failed".into()), "{told}");
    assert_eq!(last["fault"]["headline"], "KeyError: 'x'", "{told}");
    nothing_is_left(&home);
}

#[test]
fn a_backend_of_ones_own_is_tried_again_when_it_is_saved() {
    let home = Home::new();
    let recipe = |init: &str| {
        format!(
            "name = 'mine'\nexecutables = ['python3']\narguments = ['{{bootstrapper}}', '--port', '{{port}}']\n\
             init = ['{init}']\n"
        )
    };
    save(&home, "mine.toml", &recipe("x = 1"));
    let mut dev = Loop::start(&home, &["mine.toml"]);
    has(&dev.until("mine> "), &["ok      init 1      x = 1", "watched: mine.toml"]);
    save(&home, "mine.toml", "name = 'mine'\nexecutables = [");
    dev.until("goes on as it is");
    save(
        &home,
        "mine.toml",
        "name = 'mine'\nexecutables = ['sh']\narguments = ['-c', 'echo no; exit 3 # {bootstrapper}{port}']\n",
    );
    has(&dev.until("not ready"), &["failed  connected", "exit code 3", "| no"]);
    dev.until("watched:");
    save(&home, "mine.toml", &recipe("x = 2"));
    has(&dev.until("watched:"), &["ok      init 1      x = 2", "the child is ready now"]);
    assert_eq!(dev.ends(), Some(0));
    nothing_is_left(&home);
}

#[test]
fn several_interpreters_are_shown_side_by_side() {
    let home = Home::new();
    let pythons = hosts::pythons();
    let paths: Vec<_> = pythons.iter().map(|python| python.path.display().to_string()).collect();
    save(&home, "rig.py", "import sys\nprint('half', 1 / 2)\nassert sys.version_info[0] > 2, 'old'\n");
    let mut dev = Loop::start(&home, &["rig.py", "--python", &(paths.join(",") + ",99.9")]);
    let said = dev.until("rig> ");
    let old = pythons.iter().filter(|python| python.version.0 == 2).count();
    has(
        &said,
        &["STEP", "99.9", "connected", "same outcome: ", "other outcome: 99.9", "there is no python99.9 in PATH"],
    );
    assert!(paths.iter().all(|path| said.contains(path.as_str())), "{said}");
    assert!(!said.contains("modules"), "{said}");
    let row = said.lines().find(|line| line.starts_with("init 1")).expect("a row");
    assert_eq!(row.matches(" ok ").count(), pythons.len() - old, "{said}");
    let mut groups = 2;
    if old > 0 {
        has(
            &said,
            &["AssertionError: old", "-half 0", "+half 0.5"]
                .map(|wanted| if wanted.starts_with('A') { wanted } else { "half" }),
        );
        groups += 1;
    }
    assert_eq!(said.matches(" outcome: ").count(), groups, "{said}");
    dev.types("sys.version_info[0] > 3");
    let said = dev.until("\nFalse\n");
    assert_eq!(said.matches(":\nFalse").count(), 1, "{said}");
    let mut versions = String::new();
    for python in &pythons {
        let _ = write!(versions, "{} ", python.name());
    }
    println!("run in {versions}");
    assert_eq!(dev.ends(), Some(0));
    nothing_is_left(&home);
}
