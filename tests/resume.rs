//! What was recorded stays recorded: an engine killed with SIGKILL at any point leaves nobody behind, and its session is
//! gone on with; an item that was recorded complete is never run again.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/recording.rs"]
mod recording;
#[path = "common/session.rs"]
mod session;
#[path = "common/supervised.rs"]
mod supervised;

use childminder::api::replay::Goal;
use childminder::model::proto::{Request, Response};
use childminder::model::{
    CommandOutcome, CommandState, EventKind, ItemIndex, ItemRow, ItemStatus, Micros, State, Stream, UsageHistory,
    UsagePoint,
};
use childminder::store::{Folder, recover};
use recording::Viewer;
use session::{Ended, aftermath, events, job, quoted, tail, until};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use supervised::{Place, Supervised};

const ITEMS: u32 = 100;
/// How often the engine of one such job is killed, and of how many of them.
const KILLS: u32 = 50;
const JOBS: u64 = 4;
/// About how many bytes of the journal tell of a start up to the agenda, and of an item.
const START: u64 = 4000;
const ITEM: u64 = 1900;

/// Every command leaves a trace of its own outside of the session's folder; a helper is hard to find again.
const JOB: &str = r#"
[parameters]
trace = TRACE
[retry]
times = 1000
[phases]
setup = [
    "import os, subprocess, time",
    "trace = os.open({trace}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)",
    "helper = subprocess.Popen(['sleep', '1000'], start_new_session=True)",
]
commands = [
    "_ = os.write(trace, b'begin %d\\n' % {frame})",
    "time.sleep(0.002); print('frame', {frame})",
    "_ = os.write(trace, b'end %d\\n' % {frame})",
]
[agenda]
frames = "0-99"
"#;

fn has_begun(folder: &Folder, command: u64) -> bool {
    events(folder).iter().any(|event| matches!(event.kind, EventKind::CommandStarted { id } if id.0 == command))
}

#[test]
fn an_engine_killed_at_two_hundred_points_is_gone_on_with_and_repeats_nothing_that_was_recorded() {
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (1..=JOBS).map(|seed| scope.spawn(move || killed_again_and_again(seed))).collect();
        let ends: Vec<_> = jobs.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        assert!(ends.iter().all(Result::is_ok), "see above");
    });
}

fn killed_again_and_again(seed: u64) {
    let traces = tempfile::tempdir().expect("a folder");
    let trace = traces.path().join("trace");
    let place = Place::new(job(&JOB.replace("TRACE", &quoted(&trace))));
    let mut random = Random(seed);
    let mut history = History::new(trace.clone());
    for kill in 0..KILLS {
        let left = u64::from(ITEMS) - history.complete.len() as u64;
        let most = START + left * ITEM / u64::from(KILLS - kill + 1);
        let engine = place.start();
        until_grown(place.folder(), random.below(most), engine, kill);
        until("the end of all that the engine started", place.folder(), || {
            aftermath::living(place.folder().id()).is_empty()
        });
        // A child that was just being forked has a copy of the lock until it sees that its engine is gone.
        until("a folder that is let go of", place.folder(), || !place.folder().is_running());
        history.goes_on(place.folder());
    }
    let interrupted = history.complete.len();
    assert!(interrupted > 20, "killed too early to show much: {interrupted} items\n{}", tail(place.folder()));
    assert!(interrupted < ITEMS as usize, "killed too late");

    let ended = place.start().wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    history.goes_on(place.folder());
    assert_eq!(history.complete.len(), ITEMS as usize);
    check_journal(&ended);
    check_trace(&ended, &std::fs::read_to_string(&trace).expect("a trace"));
    check_output(&ended);
}

/// Kills the engine as soon as its journal has grown by so many bytes.
fn until_grown(folder: &Folder, bytes: u64, mut engine: Supervised, kill: u32) {
    let length = || folder.journal().metadata().map_or(0, |file| file.len());
    let (wanted, begun) = (length() + bytes, Instant::now());
    // Looked at as often as can be, since that is as near to the point as the kill comes.
    while length() < wanted {
        assert!(begun.elapsed() < session::PATIENCE, "kill {kill}: no {wanted} bytes\n{}", engine.tail());
        assert!(!engine.has_ended(), "kill {kill}: it ended before it could be killed\n{}", engine.tail());
        std::thread::sleep(Duration::from_micros(50));
    }
    engine.kill();
}

/// The same numbers in every run (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % limit
    }
}

/// What was recorded as complete up to a kill, and what the commands had told by then.
struct History {
    complete: BTreeMap<u32, ItemRow>,
    trace: PathBuf,
    told: usize,
}

impl History {
    fn new(trace: PathBuf) -> Self {
        Self { complete: BTreeMap::new(), trace, told: 0 }
    }

    /// What was complete is so still, just as it was, and none of it has run since.
    fn goes_on(&mut self, folder: &Folder) {
        let state = recover(folder).expect("readable").state;
        let complete = complete(&state);
        for (item, row) in &self.complete {
            assert_eq!(complete.get(item), Some(row), "item {item} was complete\n{}", tail(folder));
        }
        let told = std::fs::read_to_string(&self.trace).unwrap_or_default();
        for line in told[self.told..].lines() {
            let frame = line.rsplit(' ').next().and_then(|frame| frame.parse().ok()).expect("a frame");
            assert!(!self.complete.contains_key(&frame), "{line}: it was recorded complete\n{}", tail(folder));
        }
        self.told = told.len();
        self.complete = complete;
    }
}

fn complete(state: &State) -> BTreeMap<u32, ItemRow> {
    (0..).zip(state.items.iter()).filter(|(_, row)| row.status == ItemStatus::Complete).collect()
}

#[test]
fn an_item_in_flight_without_a_further_try_fails_and_the_others_run() {
    let text = "[phases]\nsetup = ['import time']\n[agenda]\nitems = [{ name = 'long', commands = ['time.sleep(1000)', 'print(1)'] }, { name = 'short', commands = ['print(2)'] }]";
    let place = Place::new(job(text));
    let engine = place.start();
    until("the long command", place.folder(), || has_begun(place.folder(), 2));
    engine.kill();
    let ended = place.start().wait();
    assert_eq!(ended.code, 1, "{}", ended.tail());
    let state = ended.state();
    let statuses: Vec<_> = state.items.iter().map(|row| row.status).collect();
    assert_eq!(statuses, [ItemStatus::Failed, ItemStatus::Complete]);
    let states: Vec<_> = state.commands.iter().map(|row| row.state).collect();
    let [finished, lost, skipped] = [CommandState::Finished, CommandState::Lost, CommandState::Skipped];
    assert_eq!(states, [finished, lost, skipped, finished, finished], "setup, the long item, setup, the short one");
}

#[test]
fn an_operators_command_is_lost_with_its_engine_and_never_sent_again() {
    let place = Place::new(job("hold = true\n[agenda]"));
    let folder = place.folder();
    let exec = |code: &str| {
        let mut exec = place.command(&["exec", code, "--session"]);
        exec.arg(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        exec
    };
    let mut engine = place.start();
    engine.must_get_ready();
    let waits = exec("import time; time.sleep(1000)").spawn().expect("a client");
    until("the injected command", folder, || has_begun(folder, 1));
    let queued = exec("print('never')").spawn().expect("a client");
    until("one that waits", folder, || recover(folder).is_ok_and(|recovered| recovered.state.commands.len() == 2));
    engine.kill();
    for client in [waits, queued] {
        let told = client.wait_with_output().expect("an end");
        assert!(!told.status.success() && !told.stderr.is_empty(), "a client is told: {told:?}");
    }
    let mut engine = place.start();
    engine.must_get_ready();
    let answer = exec("6 * 7").output().expect("an answer");
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "42\n", "{}", String::from_utf8_lossy(&answer.stderr));
    assert!(place.command(&["stop"]).arg(folder.path()).output().expect("a client").status.success());
    let ended = engine.wait();
    let states: Vec<_> = ended.state().commands.iter().map(|row| row.state).collect();
    assert_eq!(states, [CommandState::Lost, CommandState::Lost, CommandState::Finished], "{}", ended.tail());
    let sent = ended.events().iter().filter(|event| matches!(event.kind, EventKind::CommandSent { .. })).count();
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
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let uses = USES.replace("FILE", &quoted(home.path().join("file")));
    let place = Place::of(home, job(&uses));
    let (engine, folder) = (place.start(), place.folder());
    until("the item that waits", folder, || has_begun(folder, 3));
    let working = points(folder).len();
    until("two more points", folder, || points(folder).len() >= working + 2);
    engine.kill();
    let points = points(folder);
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

    let viewer = Viewer::open(folder);
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
fn check_journal(ended: &Ended) {
    let mut complete: BTreeMap<ItemIndex, u32> = BTreeMap::new();
    let mut engines = 0;
    for event in ended.events() {
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
    // One that was killed before its first word was recorded is not in it.
    assert!((KILLS / 2..=KILLS + 1).contains(&engines), "{engines} engines");
    assert!(complete.len() == ITEMS as usize && complete.values().all(|times| *times == 1), "{complete:?}");
}

/// What ran, as the commands themselves told it: every item, to its end, and no more often than it was begun.
fn check_trace(ended: &Ended, trace: &str) {
    let times = |word: &str, frame: u32| trace.lines().filter(|line| *line == format!("{word} {frame}")).count();
    let mut begun: BTreeMap<u32, usize> = BTreeMap::new();
    for event in ended.events() {
        if let EventKind::ItemStarted { item, .. } = event.kind {
            *begun.entry(item.0).or_default() += 1;
        }
    }
    for frame in 0..ITEMS {
        let (begins, ends) = (times("begin", frame), times("end", frame));
        assert!(ends >= 1 && begins >= ends && begins <= begun[&frame], "frame {frame}: {begins} begins, {ends} ends");
    }
}

/// What a slice holds is its own command's, as far as the engine that read it lived to write it.
fn check_output(ended: &Ended) {
    let (state, output) = (ended.state(), ended.output(Stream::Stdout));
    for row in state.commands.iter().filter(|row| row.state == CommandState::Finished) {
        let frame = row.item.map(|item| item.0).unwrap_or_default();
        let (printed, slice) = (format!("frame {frame}\n"), session::slice(&output, &row, Stream::Stdout));
        assert!(slice.is_empty() || slice.len() == printed.len(), "{slice:?} is not {printed:?}");
        let own = |(byte, printed): (&u8, u8)| *byte == printed || *byte == 0;
        assert!(slice.iter().zip(printed.bytes()).all(own), "{slice:?} is not {printed:?}");
    }
}
