//! What was recorded stays recorded: an engine killed with SIGKILL at any point leaves nobody behind, and its session is
//! gone on with; an item that was recorded complete is never run again.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/session.rs"]
mod session;

use childminder::child::marked;
use childminder::model::{CommandOutcome, EventKind, ItemIndex, ItemStatus};
use childminder::store::{Folder, SessionFile, recover};
use session::{events, job, quoted, tail, until};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const ITEMS: u32 = 30;
/// After how many more events the engine is killed, one time after the other: before the child is there, while it
/// starts, in setup, in items and between them.
const KILLS: [usize; 9] = [1, 2, 4, 8, 13, 22, 35, 48, 60];

/// Every command leaves a trace of its own outside of the session's folder; a helper is hard to find again.
const JOB: &str = r#"
[parameters]
trace = TRACE
[retry]
times = 100
[phases]
setup = [
    "import os, subprocess, time",
    "trace = os.open({trace}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)",
    "helper = subprocess.Popen(['sleep', '1000'], start_new_session=True)",
]
commands = [
    "_ = os.write(trace, b'begin %d\\n' % {frame})",
    "time.sleep(0.005); print('frame', {frame})",
    "_ = os.write(trace, b'end %d\\n' % {frame})",
]
[agenda]
frames = "0-29"
"#;

/// The engine as its own process, as `run` starts it.
struct Engine(Child);

impl Engine {
    fn start(folder: &Folder, runtime: &Path) -> Self {
        let mut engine = Command::new(env!("CARGO_BIN_EXE_childminder"));
        engine.arg("__engine").arg(folder.path()).env("XDG_RUNTIME_DIR", runtime).env("CHILDMINDER_MINIMUM_FREE", "0");
        Self(engine.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("an engine"))
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("known").is_some()
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("reaped");
    }
}

#[test]
fn an_engine_killed_at_any_point_is_gone_on_with_and_repeats_nothing_that_was_recorded() {
    let data = tempfile::tempdir().expect("a folder");
    let trace = data.path().join("trace");
    let file = SessionFile::new(job(&JOB.replace("TRACE", &quoted(&trace))), None);
    let folder = Folder::create(data.path(), &file).expect("a session folder");
    for kill in KILLS {
        let wanted = events(&folder).len() + kill;
        let mut engine = Engine::start(&folder, data.path());
        until(&format!("{wanted} events"), &folder, || engine.has_ended() || events(&folder).len() >= wanted);
        assert!(!engine.has_ended(), "it ended before it could be killed\n{}", tail(&folder));
        engine.kill();
        until("the end of all that the engine started", &folder, || marked(folder.id()).is_empty());
        assert!(!folder.is_running());
    }
    let interrupted = recover(&folder).expect("readable").state;
    assert!(interrupted.count(ItemStatus::Complete) > 0, "killed too early to show anything\n{}", tail(&folder));
    assert!(interrupted.count(ItemStatus::Complete) < ITEMS, "killed too late to show anything");

    let mut engine = Engine::start(&folder, data.path());
    until("the last engine's end", &folder, || engine.has_ended());
    assert_eq!(engine.0.wait().expect("known").code(), Some(0), "{}", tail(&folder));
    assert_eq!(marked(folder.id()), []);
    let state = recover(&folder).expect("readable").state;
    assert_eq!(state.count(ItemStatus::Complete), ITEMS);
    check_journal(&folder);
    check_trace(&folder, &std::fs::read_to_string(&trace).expect("a trace"));
}

/// Each item is recorded complete once, and nothing of it comes after.
fn check_journal(folder: &Folder) {
    let mut complete: BTreeMap<ItemIndex, u32> = BTreeMap::new();
    let mut engines = 0;
    for event in events(folder) {
        match event.kind {
            EventKind::EngineStarted { resumed, .. } => {
                assert_eq!(resumed, engines > 0);
                engines += 1;
            }
            EventKind::ItemStarted { item, .. } | EventKind::CommandQueued { item: Some(item), .. } => {
                assert!(!complete.contains_key(&item), "item {item} is taken up again after it was complete");
            }
            EventKind::ItemEnded { item, status: ItemStatus::Complete, .. } => *complete.entry(item).or_default() += 1,
            EventKind::ItemEnded { item, status, .. } => {
                assert_eq!(status, ItemStatus::Pending, "item {item} in flight is given back");
            }
            EventKind::CommandEnded { outcome: CommandOutcome::Raised { exception, .. }, id, .. } => {
                panic!("command {id}: {}", exception.text);
            }
            _ => {}
        }
    }
    assert_eq!(engines, KILLS.len() + 1);
    assert!(complete.len() == ITEMS as usize && complete.values().all(|times| *times == 1), "{complete:?}");
}

/// What ran, as the commands themselves told it: every item, to its end, and no more often than it was begun.
fn check_trace(folder: &Folder, trace: &str) {
    let times = |word: &str, frame: u32| trace.lines().filter(|line| *line == format!("{word} {frame}")).count();
    let mut begun: BTreeMap<u32, usize> = BTreeMap::new();
    for event in events(folder) {
        if let EventKind::ItemStarted { item, .. } = event.kind {
            *begun.entry(item.0).or_default() += 1;
        }
    }
    for frame in 0..ITEMS {
        let (begins, ends) = (times("begin", frame), times("end", frame));
        assert!(ends >= 1 && begins >= ends && begins <= begun[&frame], "frame {frame}: {begins} begins, {ends} ends");
    }
}
