//! What was recorded stays recorded: an engine killed with SIGKILL at any point leaves nobody behind, and its session is
//! gone on with; an item that was recorded complete is never run again.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/recording.rs"]
mod recording;
#[path = "common/session.rs"]
mod session;

use childminder::api::replay::Goal;
use childminder::child::marked;
use childminder::model::proto::{Request, Response};
use childminder::model::{
    CommandOutcome, CommandState, EventKind, ItemIndex, ItemStatus, Micros, UsageHistory, UsagePoint,
};
use childminder::store::{Folder, SessionFile, recover};
use recording::Viewer;
use session::{events, job, quoted, tail, until};
use std::collections::BTreeMap;
use std::io::Read;
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
        let mut engine = childminder(runtime);
        engine.arg("__engine").arg(folder.path()).env("CHILDMINDER_MINIMUM_FREE", "0");
        Self(engine.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("an engine"))
    }

    /// Waits until clients can come.
    fn must_get_ready(&mut self) {
        let mut word = String::new();
        self.0.stdout.take().expect("a pipe").read_to_string(&mut word).expect("text");
        assert_eq!(word, "ready\n");
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

fn childminder(runtime: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_childminder"));
    command.env("XDG_RUNTIME_DIR", runtime);
    command
}

fn has_begun(folder: &Folder, command: u64) -> bool {
    events(folder).iter().any(|event| matches!(event.kind, EventKind::CommandStarted { id } if id.0 == command))
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

#[test]
fn an_item_in_flight_without_a_further_try_fails_and_the_others_run() {
    let data = tempfile::tempdir().expect("a folder");
    let text = "[phases]\nsetup = ['import time']\n[agenda]\nitems = [{ name = 'long', commands = ['time.sleep(1000)', 'print(1)'] }, { name = 'short', commands = ['print(2)'] }]";
    let folder = Folder::create(data.path(), &SessionFile::new(job(text), None)).expect("a session folder");
    let engine = Engine::start(&folder, data.path());
    until("the long command", &folder, || has_begun(&folder, 2));
    engine.kill();
    let mut engine = Engine::start(&folder, data.path());
    until("the engine's end", &folder, || engine.has_ended());
    assert_eq!(engine.0.wait().expect("known").code(), Some(1), "{}", tail(&folder));
    let state = recover(&folder).expect("readable").state;
    let statuses: Vec<_> = state.items.iter().map(|row| row.status).collect();
    assert_eq!(statuses, [ItemStatus::Failed, ItemStatus::Complete]);
    let states: Vec<_> = state.commands.iter().map(|row| row.state).collect();
    let [finished, lost, skipped] = [CommandState::Finished, CommandState::Lost, CommandState::Skipped];
    assert_eq!(states, [finished, lost, skipped, finished, finished], "setup, the long item, setup, the short one");
}

#[test]
fn an_operators_command_is_lost_with_its_engine_and_never_sent_again() {
    let data = tempfile::tempdir().expect("a folder");
    let file = SessionFile::new(job("hold = true\n[agenda]"), None);
    let folder = Folder::create(data.path(), &file).expect("a session folder");
    let exec = |code: &str| {
        let mut exec = childminder(data.path());
        exec.args(["exec", code, "--session"]).arg(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        exec
    };
    let mut engine = Engine::start(&folder, data.path());
    engine.must_get_ready();
    let waits = exec("import time; time.sleep(1000)").spawn().expect("a client");
    until("the injected command", &folder, || has_begun(&folder, 1));
    let queued = exec("print('never')").spawn().expect("a client");
    until("one that waits", &folder, || recover(&folder).is_ok_and(|recovered| recovered.state.commands.len() == 2));
    engine.kill();
    for client in [waits, queued] {
        let told = client.wait_with_output().expect("an end");
        assert!(!told.status.success() && !told.stderr.is_empty(), "a client is told: {told:?}");
    }
    let mut engine = Engine::start(&folder, data.path());
    engine.must_get_ready();
    let answer = exec("6 * 7").output().expect("an answer");
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "42\n", "{}", String::from_utf8_lossy(&answer.stderr));
    assert!(childminder(data.path()).arg("stop").arg(folder.path()).output().expect("a client").status.success());
    until("the engine's end", &folder, || engine.has_ended());
    let state = recover(&folder).expect("readable").state;
    let states: Vec<_> = state.commands.iter().map(|row| row.state).collect();
    assert_eq!(states, [CommandState::Lost, CommandState::Lost, CommandState::Finished], "{}", tail(&folder));
    let sent = events(&folder).iter().filter(|event| matches!(event.kind, EventKind::CommandSent { .. })).count();
    assert_eq!(sent, 2, "the first and the last only");
}

/// Computes and writes for some seconds, as hosts do, then only waits.
const USES: &str = r#"
[parameters]
file = FILE
[phases]
setup = ["import os, time"]
[agenda]
items = [
    { name = "works", commands = ["""
end = time.time() + 2.5
with open({file}, 'wb') as file:
    while time.time() < end:
        _ = sum(range(100000)), file.write(b'x' * 65536), file.flush()
"""] },
    { name = "waits", commands = ["time.sleep(1000)"] },
]
"#;

/// The points as anybody can read them, without us; a torn one left out.
fn points(folder: &Folder) -> Vec<UsagePoint> {
    let text = std::fs::read_to_string(folder.usage()).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn usage(viewer: &Viewer) -> UsageHistory {
    match viewer.ask(Request::Usage { from: Micros(0), to: Micros(u64::MAX), most: 2000 }) {
        Ok(Response::Usage(history)) => history,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_child_used_is_recorded_once_a_second_while_a_command_runs_and_read_after_a_kill() {
    // A real disk: what is written to memory is not counted.
    let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let uses = USES.replace("FILE", &quoted(data.path().join("file")));
    let folder = Folder::create(data.path(), &SessionFile::new(job(&uses), None)).expect("a session folder");
    let engine = Engine::start(&folder, data.path());
    until("the item that waits", &folder, || has_begun(&folder, 3));
    let working = points(&folder).len();
    until("two more points", &folder, || points(&folder).len() >= working + 2);
    engine.kill();
    let points = points(&folder);
    // The first comes at once.
    let apart = points.windows(2).map(|pair| pair[1].wall.since(pair[0].wall).seconds()).skip(1);
    assert!(apart.clone().all(|seconds| (0.9..10.0).contains(&seconds)), "{points:?}");
    assert!(
        points.iter().all(|point| point.processes >= 1 && point.threads >= 1 && point.memory > 1 << 20),
        "{points:?}"
    );
    assert!(points.iter().any(|point| point.cpu > 10.0 && point.cpu < 400.0), "it computes: {points:?}");
    assert!(points.iter().any(|point| point.written > 65536.0), "it writes: {points:?}");
    let last = points.last().expect("points");
    assert!(last.cpu < 50.0 && last.written < 65536.0, "it waits: {points:?}");

    let viewer = Viewer::open(&folder);
    let history = usage(&viewer);
    assert_eq!(history.points, points, "a recording shows all of it, though the last event was earlier");
    let items: Vec<_> = history.items.iter().map(|(_, item)| item.0).collect();
    assert_eq!(items, [0, 1]);
    let then = points[1];
    let shown = viewer.go(Goal::Time(then.wall), |shown| shown.summary.now == then.wall);
    assert_eq!(shown.summary.usage, Some(then));
    let history = usage(&viewer);
    assert_eq!(history.points, points[..2], "and nothing of what came later");
    assert_eq!(history.items.len(), 1);
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
