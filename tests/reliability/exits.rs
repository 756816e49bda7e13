//! Children that die, in a command and while there is nothing to do. The engine starts another one, and holds no more
//! than before.

use super::{Fifo, PHASES, children, idle};
use crate::session::{aftermath, job, quoted};
use crate::supervised::Supervised;
use childminder::model::{CommandOutcome, EventKind, Exit, SignalName};
use std::path::{Path, PathBuf};

const ENDS: [(&str, Exit); 7] = [
    ("faults.leave(0)", Exit::Code(0)),
    ("faults.leave(3)", Exit::Code(3)),
    ("os._exit(0)", Exit::Code(0)),
    ("os._exit(7)", Exit::Code(7)),
    ("faults.segfault()", Exit::Signal(SignalName(11))),
    ("faults.die()", Exit::Signal(SignalName(9))),
    ("faults.die(6)", Exit::Signal(SignalName(6))),
];

#[test]
fn a_child_that_ends_in_a_command_loses_that_command_and_no_more() {
    let engine = idle("");
    let before = engine.holdings();
    for (generation, (command, exit)) in (2..).zip(ENDS) {
        assert_eq!(engine.exec(command), lost(exit), "{command}");
        must_have_ended(&engine, generation, exit);
        engine.must_hold(&before, command);
    }
    assert_eq!(engine.stop().code, 0);
}

#[test]
fn a_child_that_ends_while_idle_is_noticed_and_costs_no_command() {
    let engine = idle("");
    let before = engine.holdings();
    for (generation, (command, exit)) in (2..).zip(ENDS) {
        let told = Fifo::new(&engine);
        assert_eq!(engine.exec(&format!("faults.later({}, lambda: {command})", told.path())), finished());
        told.tell();
        must_have_ended(&engine, generation, exit);
        engine.must_hold(&before, command);
    }
    let lost = |kind: &EventKind| matches!(kind, EventKind::CommandEnded { outcome: CommandOutcome::Lost { .. }, .. });
    let ended = engine.stop();
    assert_eq!(ended.code, 0);
    assert_eq!(ended.events().iter().filter(|event| lost(&event.kind)).count(), 0, "{}", ended.tail());
}

#[test]
fn an_item_whose_child_died_says_how_and_nothing_else_is_told_of_it() {
    let ends = [
        ("faults.segfault()", "killed by SIGSEGV"),
        ("os._exit(3)", "exit code 3"),
        ("faults.die()", "killed by SIGKILL"),
    ];
    for (end, how) in ends {
        let text = format!("{PHASES}{}commands = ['{end}']\n[agenda]\nframes = '1'", children());
        let ended = Supervised::of(job(&text)).wait();
        assert_eq!(ended.code, 70, "{}", ended.tail());
        assert_eq!(ended.item_reason(), format!("the child ended: {how}"));
        assert_eq!(ended.child_failed(), Vec::<String>::new());
    }
}

#[test]
fn who_a_dead_child_leaves_behind_ends_with_it() {
    let engine = idle("");
    let before = engine.holdings();
    for (generation, end) in [(2, "os._exit(3)"), (3, "faults.die()")] {
        let family = engine.value("faults.leave_family()");
        let family: Vec<&str> = family.trim_matches('\'').split(' ').collect();
        assert!(family.len() == 4 && family.iter().all(|pid| sleeps(pid)), "{family:?}");
        engine.exec(end);
        engine.until_generation(generation);
        assert!(!family.iter().any(|pid| sleeps(pid)), "{family:?}, some of whom live\n{}", engine.tail());
        assert_eq!(aftermath::living(engine.folder().id()).len(), 1, "the next child alone");
        engine.must_hold(&before, end);
    }
    assert_eq!(engine.stop().code, 0);
}

fn sleeps(pid: &str) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == b"sleep\x00600\x00")
}

#[test]
fn a_limit_on_memory_raises_and_the_child_lives() {
    let engine = idle("");
    let before = engine.holdings();
    // The limit is lifted before anybody looks at the exception, or stays with not a byte left.
    for eats in ["faults.eat_within(64 << 20)", "faults.eat_up(64 << 20)"] {
        let CommandOutcome::Raised { exception, exit: None } = engine.exec(eats) else {
            panic!("{eats} did not raise\n{}", engine.tail());
        };
        assert_eq!(exception.kind, "MemoryError", "{eats}");
        engine.must_hold(&before, eats);
    }
    assert_eq!(engine.state().generation.0, 1, "it is the same child");
    assert_eq!(engine.stop().code, 0);
}

#[test]
#[allow(clippy::print_stderr, reason = "what was not run is told")]
fn a_child_that_the_kernel_kills_for_its_memory_is_told_of() {
    let group = match Cgroup::limited(96 << 20) {
        Ok(group) => group,
        Err(why) => return eprintln!("NOT RUN: out of memory in a cgroup ({why})"),
    };
    let engine = idle("");
    let before = engine.holdings();
    let killed = Exit::Signal(SignalName(9));
    engine.exec(&format!("faults.enter({})", quoted(group.procs())));
    assert_eq!(engine.exec("faults.eat()"), lost(killed));
    must_have_ended(&engine, 2, killed);
    engine.must_hold(&before, "out of memory in a command");
    engine.exec(&format!("faults.enter({})", quoted(group.procs())));
    let told = Fifo::new(&engine);
    assert_eq!(engine.exec(&format!("faults.later({}, faults.eat)", told.path())), finished());
    told.tell();
    must_have_ended(&engine, 3, killed);
    engine.must_hold(&before, "out of memory while idle");
    assert_eq!(group.kills(), 2, "it was the kernel who killed them");
    assert_eq!(engine.stop().code, 0);
}

/// A control group of memory, for the children to go into.
struct Cgroup {
    folder: PathBuf,
    events: &'static str,
}

impl Cgroup {
    fn limited(bytes: u64) -> Result<Self, String> {
        let name = format!("childminder-test-{}", std::process::id());
        let second = Path::new("/sys/fs/cgroup/cgroup.controllers");
        let (root, files, events) = if second.exists() {
            ("/sys/fs/cgroup", ["memory.max", "memory.swap.max"], "memory.events")
        } else {
            ("/sys/fs/cgroup/memory", ["memory.limit_in_bytes", "memory.swappiness"], "memory.oom_control")
        };
        let folder = Path::new(root).join(name);
        std::fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let group = Self { folder, events };
        let set = |file: &str, value: u64| std::fs::write(group.folder.join(file), value.to_string());
        set(files[0], bytes).map_err(|error| format!("{}: {error}", files[0]))?;
        // Where there is no swap there is nothing to forbid.
        let _ = set(files[1], 0);
        Ok(group)
    }

    fn procs(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// How many the kernel has killed in it.
    fn kills(&self) -> u64 {
        let events = std::fs::read_to_string(self.folder.join(self.events)).expect("events");
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill ")).expect("a count");
        kills.trim().parse().expect("a number")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.folder);
    }
}

fn finished() -> CommandOutcome {
    CommandOutcome::Finished { value: None, cut: None }
}

fn lost(exit: Exit) -> CommandOutcome {
    CommandOutcome::Lost { reason: format!("the child ended: {exit}") }
}

/// The last child ended like this, and nobody had asked it to; the next one is ready.
#[track_caller]
fn must_have_ended(engine: &Supervised, next: u32, exit: Exit) {
    engine.until_generation(next);
    let mut ends = engine.events().into_iter().filter_map(|event| match event.kind {
        EventKind::ChildExited { exit, asked, .. } => Some((exit, asked)),
        _ => None,
    });
    assert_eq!(ends.next_back(), Some((exit, false)), "{}", engine.tail());
}
