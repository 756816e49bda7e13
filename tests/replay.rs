//! A recording shows what was so then: at any event, from whichever side it is come to, answers are those of the fold of
//! the journal up to there, and no byte of output is from later.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/home.rs"]
mod home;
#[path = "common/recording.rs"]
mod recording;
#[path = "common/session.rs"]
mod session;
#[path = "common/window.rs"]
mod window;

use childminder::api::replay::{Goal, Playback, Steer};
use childminder::api::{Link, Replay};
use childminder::model::proto::{ItemVerb, OutputAt, OutputQuery, RefusalKind, Request, Response, Summary};
use childminder::model::{CommandOutcome, EventKind, Filter, ItemIndex, Marks, Micros, Seq, State, Stream};
use childminder::session::{Label, summary_of};
use childminder::store::find::list_in;
use childminder::store::{
    Folder, Journal, JournalReader, Output, OutputReader, Places, StoreError, Unpacked, UsageReader, UsageWriter, pack,
    recover,
};
use home::{Home, text};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use recording::{Viewer, copy, long_session};
use session::{Ended, PATIENCE, Session, job};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, mpsc};
use window::Window;

const JOB: &str = r#"
[phases]
init = ["import sys, time, childminder"]
setup = ["print('setup')"]
commands = [
    "for part in range(5): print('part', part, end='\\r'); childminder.progress(part / 5); time.sleep(0.002)",
    "print('item', {frame}); print('warned', file=sys.stderr)",
    "1 / ({frame} % 3)",
    "print('not reached by every item')",
]
teardown = ["print('bye')"]
[agenda]
frames = "0-11"
"#;

/// A session that a real child made.
fn recorded() -> &'static Ended {
    static RECORDED: OnceLock<Ended> = OnceLock::new();
    RECORDED.get_or_init(|| Session::start(job(JOB)).wait())
}

/// The fold of all events up to one.
fn fold(folder: &Folder, upto: Seq) -> State {
    let mut state = State::default();
    let journal = JournalReader::open(&folder.journal()).expect("a journal");
    for recorded in journal.iter_from(0).flatten().take_while(|recorded| recorded.event.seq <= upto) {
        state.apply(&recorded.event, recorded.at);
    }
    state
}

/// The text of a command, from the event that queued it.
fn source(folder: &Folder, state: &State) -> String {
    let Some(row) = state.running.and_then(|running| state.command(running.id)) else { return String::new() };
    let journal = JournalReader::open(&folder.journal()).expect("a journal");
    match journal.at(row.queued_at).expect("an event").kind {
        EventKind::CommandQueued { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

/// Everything that is shown of one time, against the fold.
fn check(viewer: &Viewer, folder: &Folder, shown: &Playback) {
    let state = fold(folder, shown.summary.seq);
    let job = folder.read_session().expect("a session").job;
    let label = Label { session: folder.id().into(), prompt: shown.summary.prompt.clone(), ..Label::default() };
    let source = source(folder, &state);
    let told = shown.summary.clone();
    let told = Summary { output: Marks::default(), last_output: None, last_word: None, usage: None, ..told };
    assert_eq!(told, summary_of(&state, &job, &label, shown.summary.now, &source));
    let items = viewer.agenda();
    assert!(items.iter().map(|item| item.row).eq(state.items.iter()));
    assert!(items.iter().all(|item| item.again == state.retry_at.get(&item.item).copied()));
    assert!(viewer.commands().iter().map(|command| command.row).eq(state.commands.iter()));
    assert_eq!(viewer.exceptions(), state.exceptions);
    for (stream, until) in
        [(Stream::Stdout, shown.summary.output.stdout), (Stream::Stderr, shown.summary.output.stderr)]
    {
        let log = std::fs::read(folder.output(stream)).expect("a log");
        assert_eq!(viewer.bytes(stream), log[..usize::try_from(until).expect("a length")], "{stream:?} until {until}");
    }
    assert!(shown.summary.output.stdout >= state.reached.stdout && shown.summary.output.stderr >= state.reached.stderr);
}

/// Numbers that look random and are the same every time.
fn scattered(count: u64, below: u64) -> impl Iterator<Item = u64> {
    (1..=count).map(move |number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) % below + 1)
}

#[test]
fn at_any_event_it_is_as_the_journal_says() {
    let ended = recorded();
    let viewer = Viewer::open(&ended.folder);
    let all = viewer.shown();
    assert_eq!((all.summary.seq, all.summary.ended.is_some()), (all.extent.seq, true));
    check(&viewer, &ended.folder, &all);
    for seq in scattered(40, all.extent.seq.0) {
        check(&viewer, &ended.folder, &viewer.go(Goal::Event(Seq(seq)), |shown| shown.summary.seq == Seq(seq)));
    }
}

#[test]
fn a_slice_of_output_ends_where_later_events_say() {
    let folder = &recorded().folder;
    let viewer = Viewer::open(folder);
    for event in recorded().events() {
        let EventKind::CommandSent { from, .. } = event.kind else { continue };
        // As of the event before it, nothing that the command printed is there.
        let before = Seq(event.seq.0 - 1);
        let shown = viewer.go(Goal::Event(before), |shown| shown.summary.seq == before);
        let Marks { stdout, stderr } = shown.summary.output;
        assert!(stdout <= from.stdout && stderr <= from.stderr, "{:?} is beyond {from:?}", shown.summary.output);
    }
}

#[test]
fn between_two_events_output_comes_as_it_was_read() {
    let folder = &recorded().folder;
    let viewer = Viewer::open(folder);
    let (mut last, mut seen) = (Marks::default(), std::collections::BTreeSet::new());
    let extent = viewer.shown().extent;
    for thousandth in 0..=1000 {
        let wall = extent.after(thousandth);
        let shown = viewer.go(Goal::Time(wall), |shown| shown.summary.now == wall);
        assert!(shown.summary.output.stdout >= last.stdout && shown.summary.output.stderr >= last.stderr);
        last = shown.summary.output;
        seen.insert((shown.summary.seq, last.stdout));
    }
    let seqs: std::collections::BTreeSet<_> = seen.iter().map(|(seq, _)| seq).collect();
    assert!(seen.len() > seqs.len(), "no output came but with an event");
    assert_eq!(last.stdout, std::fs::metadata(folder.output(Stream::Stdout)).expect("a log").len());
}

#[test]
fn steps_and_jumps_stop_at_what_they_look_for() {
    let ended = recorded();
    let viewer = Viewer::open(&ended.folder);
    let events = ended.events();
    let seqs = |wanted: fn(&EventKind) -> bool| -> Vec<Seq> {
        events.iter().filter(|event| wanted(&event.kind)).map(|event| event.seq).collect()
    };
    let items = seqs(|kind| matches!(kind, EventKind::ItemStarted { .. }));
    let raised = seqs(|kind| matches!(kind, EventKind::CommandEnded { outcome: CommandOutcome::Raised { .. }, .. }));
    assert_eq!((items.len(), raised.len()), (12, 4));
    for (places, forward, back) in
        [(&items, Goal::AnyItem(true), Goal::AnyItem(false)), (&raised, Goal::Exception(true), Goal::Exception(false))]
    {
        viewer.go(Goal::Start, |shown| shown.summary.seq == Seq(1));
        for place in places {
            viewer.go(forward, |shown| shown.summary.seq == *place);
        }
        let none = viewer.go(forward, |shown| shown.said.is_some());
        assert_eq!(Some(none.summary.seq), places.last().copied());
        viewer.go(Goal::End, |shown| shown.summary.seq == shown.extent.seq);
        for place in places.iter().rev() {
            viewer.go(back, |shown| shown.summary.seq == *place);
        }
        viewer.go(back, |shown| shown.said.is_some());
    }
    viewer.go(Goal::Item(ItemIndex(7)), |shown| shown.summary.seq == items[7]);
    let here = items[7].0;
    for (steps, to) in [(-1, here - 1), (-5, here - 6), (3, here - 3), (-100_000, 1), (1, 2)] {
        for _ in 0..i32::abs(steps).min(200) {
            viewer.steer(Steer::Step(steps > 0));
        }
        viewer.wait(|shown| shown.summary.seq == Seq(to));
    }
}

#[test]
fn the_last_place_asked_for_is_the_one_that_is_gone_to() {
    let (_dir, folder) = long_session(30_000);
    let viewer = Viewer::open(&folder);
    for seq in scattered(200, 30_000) {
        viewer.steer(Steer::To(Goal::Event(Seq(seq))));
    }
    let shown = viewer.go(Goal::Event(Seq(12_345)), |shown| shown.summary.seq == Seq(12_345));
    check(&viewer, &folder, &shown);
    for seq in scattered(12, 30_000) {
        check(&viewer, &folder, &viewer.go(Goal::Event(Seq(seq)), |shown| shown.summary.seq == Seq(seq)));
    }
}

#[test]
fn played_it_comes_to_its_end_and_leaves_out_what_is_empty() {
    let folder = &recorded().folder;
    let viewer = Viewer::open(folder);
    viewer.go(Goal::Start, |shown| shown.summary.seq == Seq(1));
    for _ in 0..20 {
        viewer.steer(Steer::Faster(true));
    }
    viewer.steer(Steer::Toggle);
    let shown = viewer.wait(|shown| !shown.playing && shown.summary.seq == shown.extent.seq);
    check(&viewer, folder, &shown);
    // Played again it begins anew; a step stops it.
    for _ in 0..20 {
        viewer.steer(Steer::Faster(false));
    }
    viewer.steer(Steer::Toggle);
    viewer.wait(|shown| shown.playing && shown.summary.seq < shown.extent.seq);
    viewer.steer(Steer::Step(true));
    viewer.wait(|shown| !shown.playing);

    // An hour in which nothing happened.
    let (_dir, folder) = long_session(100);
    let viewer = Viewer::open(&folder);
    viewer.go(Goal::Event(Seq(50)), |shown| shown.summary.seq == Seq(50));
    viewer.steer(Steer::Toggle);
    let shown = viewer.wait(|shown| shown.summary.seq > Seq(50));
    assert!(shown.summary.now >= Micros(shown.extent.first.0 + 3_600_000_000), "{:?}", shown.summary.now);
}

#[test]
fn nothing_can_be_changed_in_it_and_nothing_is_written() {
    let dir = copy(&recorded().folder);
    let folder = dir.folder();
    let before = recording::everything(&folder);
    let viewer = Viewer::open(&folder);
    for request in [
        Request::Hold,
        Request::Exec { source: "1".into(), wait: true },
        Request::Items { verb: ItemVerb::Retry, names: vec!["0".into()] },
        Request::Complete { text: "a".into() },
        Request::Check { source: "a".into() },
        Request::Subscribe { events: true, from: None },
    ] {
        let refused = viewer.ask(request.clone()).expect_err("it is refused");
        assert_eq!(refused.refusal(), Some(RefusalKind::NotAllowed), "{request:?}: {refused}");
        assert!(refused.to_string().contains("recording"), "{refused}");
    }
    viewer.go(Goal::Start, |shown| shown.summary.seq == Seq(1));
    viewer.bytes(Stream::Stdout);
    assert!(matches!(viewer.ask(Request::Info), Ok(Response::Info { .. })));
    drop(viewer);
    assert_eq!(recording::everything(&folder), before);
}

#[test]
fn a_session_that_runs_is_shown_up_to_now() {
    let running = Session::start(job("hold = true"));
    running.until_agenda();
    running.exec("print('before')");
    let viewer = Viewer::open(running.folder());
    let now = viewer.shown();
    assert!(now.summary.ended.is_none());
    assert!(now.notes.iter().any(|note| note.contains("is running")), "{:?}", now.notes);
    let before = viewer.bytes(Stream::Stdout);
    running.exec("print('after')");
    viewer.go(Goal::Start, |shown| shown.summary.seq == Seq(1));
    let end = viewer.go(Goal::End, |shown| shown.summary.seq == shown.extent.seq);
    assert_eq!((end.summary.seq, viewer.bytes(Stream::Stdout)), (now.summary.seq, before));
    running.stop();
}

#[test]
fn a_folder_that_goes_away_is_said_to_be_gone() {
    let dir = copy(&recorded().folder);
    let viewer = Viewer::open(&dir.folder());
    assert!(viewer.shown().notes.is_empty(), "{:?}", viewer.shown().notes);
    drop(dir);
    let shown = viewer.wait(|shown| !shown.notes.is_empty());
    assert!(shown.notes[0].contains("has been removed"), "{:?}", shown.notes);
    // What is open can still be looked at, and nothing panics for the rest.
    viewer.go(Goal::Start, |shown| shown.summary.seq == Seq(1));
    assert_eq!(viewer.agenda().len(), 12);
    assert!(matches!(viewer.link(), Link::Recorded(_)));
}

/// A change for the worse, and what is said of it.
type Damage = (&'static str, fn(&Path), &'static str);

fn cut(path: PathBuf, keep: impl Fn(u64) -> u64) {
    let file = fs::OpenOptions::new().write(true).open(path).expect("a file");
    file.set_len(keep(file.metadata().expect("its length").len())).expect("cut");
}

const DAMAGES: &[Damage] = &[
    ("a torn journal line", |path| cut(path.join("events.jsonl"), |length| length - 5), "ends in the middle"),
    ("no journal", |path| fs::remove_file(path.join("events.jsonl")).expect("removed"), "events.jsonl) is missing"),
    (
        "a journal that is a folder",
        |path| {
            fs::remove_file(path.join("events.jsonl")).expect("removed");
            fs::create_dir(path.join("events.jsonl")).expect("made");
        },
        "events.jsonl: it is not a file",
    ),
    ("no output index", |path| fs::remove_file(path.join("output.idx")).expect("removed"), "output.idx) is missing"),
    (
        "another version's output index",
        |path| fs::write(path.join("output.idx"), b"childminder oi\0\x02 and more").expect("written"),
        "another version wrote it",
    ),
    ("a short output index", |path| cut(path.join("output.idx"), |length| length / 2), "output.idx) is short"),
    ("a short log", |path| cut(path.join("stdout.log"), |length| length / 2), "stdout.log is shorter than it was"),
    ("no log", |path| fs::remove_file(path.join("stderr.log")).expect("removed"), "stderr.log is missing"),
    (
        "another version's session",
        |path| {
            let text = fs::read_to_string(path.join("session.json")).expect("text");
            fs::write(path.join("session.json"), text.replacen("\"format\": 1", "\"format\": 9", 1)).expect("written");
        },
        "format 9",
    ),
    ("half a session.json", |path| cut(path.join("session.json"), |length| length / 2), "session.json is damaged"),
    (
        "another version's checkpoint",
        |path| fs::write(path.join("state.ckpt"), "childminder checkpoint 99 9.9 0\n{}").expect("written"),
        "another version wrote it",
    ),
];

#[test]
fn a_damaged_folder_is_shown_as_far_as_it_is_sound_and_says_what_is_missing() {
    let folder = &recorded().folder;
    assert_eq!(Viewer::open(folder).shown().notes.len(), 0);
    for (what, damage, said) in DAMAGES {
        let copied = copy(folder);
        damage(copied.path());
        let copied = copied.folder();
        let before = recording::everything(&copied);
        let viewer = Viewer::open(&copied);
        let shown = viewer.shown();
        assert!(shown.notes.iter().any(|note| note.contains(said)), "{what}: {:?}", shown.notes);
        look_everywhere(&viewer);
        drop(viewer);
        assert_eq!(recording::everything(&copied), before, "{what}");
    }
}

/// Everything that a window asks for, at both ends; whatever is answered, it is answered.
fn look_everywhere(viewer: &Viewer) {
    for goal in [Goal::Start, Goal::AnyItem(true), Goal::Exception(false), Goal::Time(Micros(u64::MAX)), Goal::End] {
        viewer.steer(Steer::To(goal));
        viewer.wait(|_| true);
        for item in viewer.agenda() {
            let _ = viewer.ask(Request::Item { name: item.name });
        }
        for command in viewer.commands() {
            let _ = viewer.ask(Request::Command { id: command.id });
        }
        for place in 0..viewer.exceptions().len() {
            let _ = viewer.ask(Request::Exception { place: u32::try_from(place).expect("a place") });
        }
        for stream in [None, Some(Stream::Stdout), Some(Stream::Stderr)] {
            viewer.output(OutputAt::Start, false, stream);
        }
        let _ = viewer.ask(Request::Traces { from: None, limit: 10 });
        let _ = viewer.ask(Request::Info);
    }
}

#[test]
fn a_file_cut_anywhere_is_no_reason_to_fail() {
    let folder = &recorded().folder;
    for name in
        ["events.jsonl", "session.json", "output.idx", "state.ckpt", "items.ckpt", "commands.ckpt", "stdout.log"]
    {
        let length = fs::metadata(folder.path().join(name)).expect(name).len();
        // Every length where it is short, and in steps that meet all places in a line where it is long.
        for keep in (0..length).step_by(usize::try_from(length / 40).expect("a step").max(1) | 1) {
            let copied = copy(folder);
            cut(copied.path().join(name), |_| keep);
            match Replay::open(&copied.folder()) {
                Ok(_) => {
                    let viewer = Viewer::open(&copied.folder());
                    let shown = viewer.shown();
                    viewer.agenda();
                    viewer.bytes(Stream::Stdout);
                    viewer.go(Goal::Start, |shown| shown.summary.seq <= Seq(1));
                    // Its newline is all that it lacks.
                    let sound = name == "session.json" && keep == length - 1;
                    assert_ne!(sound, !shown.notes.is_empty(), "{name} cut to {keep} bytes: {:?}", shown.notes);
                }
                Err(error) => panic!("{name} cut to {keep} bytes: {error}"),
            }
        }
    }
}

/// All that is read of a folder, and opened to go on with it; the sentences about what is wrong with it.
fn read_and_taken_up(folder: &Folder) -> Vec<String> {
    let mut said: Vec<String> =
        list_in(folder.path().parent().expect("a folder")).into_iter().filter_map(|row| row.damaged).collect();
    let mut tell = |error: Option<StoreError>| said.extend(error.map(|error| error.to_string()));
    let output = OutputReader::open(folder);
    for stream in [Stream::Stdout, Stream::Stderr] {
        let all = OutputQuery {
            stream: Some(stream),
            at: OutputAt::Start,
            before: 0,
            after: 9,
            command: None,
            filter: Filter::default(),
            raw: false,
        };
        tell(output.page(&all, &Places::default()).err());
    }
    tell(output.count_lines().err());
    tell(pack(folder, &folder.path().with_extension("packed"), true).err());
    tell(folder.read_session().and_then(|session| folder.write_session(&session)).err());
    tell(folder.lock().err());
    tell(recover(folder).and_then(|recovered| recovered.checkpointer(folder)).err());
    tell(Journal::continue_at(&folder.journal(), 0, Seq(0)).err());
    tell(Output::open(folder, Marks::default(), 0).err());
    tell(UsageReader::open(folder).history(Micros(0), Micros(1), 1).err());
    tell(UsageWriter::start(folder, 0).err());
    said
}

#[test]
fn nobody_waits_for_a_pipe_in_a_files_place() {
    let names = fs::read_dir(recorded().folder.path()).expect("a folder").map(|file| file.expect("a file").file_name());
    for name in names.chain(["session.json.tmp".into()]) {
        let copied = copy(&recorded().folder);
        let folder = copied.folder();
        let (name, pipe) = (name.to_str().expect("a name"), copied.path().join(&name));
        if pipe.exists() {
            fs::remove_file(&pipe).expect("removed");
        }
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("made");
        let (done, come_back) = mpsc::channel();
        std::thread::spawn(move || {
            let notes = Replay::open(&folder).map(|replay| replay.notes().to_vec());
            let shown = notes.unwrap_or_else(|error| vec![error.to_string()]);
            done.send((shown, read_and_taken_up(&folder)))
        });
        let (shown, said) = come_back.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{name} is waited for"));
        let is_named = |said: &String| said.contains(name) && said.contains("it is not a file");
        assert!(said.iter().any(is_named), "{name}: {said:?}");
        let unread =
            ["lock", "engine.log", "usage.jsonl", "session.json.tmp"].contains(&name) || name.ends_with(".lines.idx");
        assert_eq!(shown.is_empty(), unread, "{name}: {shown:?}");
    }
}

#[test]
fn what_is_no_session_is_refused_in_a_sentence() {
    let dir = tempfile::tempdir().expect("a folder");
    let said = Folder::open(dir.path()).expect_err("no session").to_string();
    assert!(said.contains("no session.json"), "{said}");
    fs::write(dir.path().join("session.json"), "what?").expect("written");
    let said = Replay::open(&Folder::open(dir.path()).expect("a file is there"));
    let said = said.err().expect("neither a session nor a journal").to_string();
    assert!(said.contains("session.json is damaged"), "{said}");
}

#[test]
fn an_archive_that_was_cut_off_is_shown_as_far_as_it_goes() {
    let copied = copy(&recorded().folder);
    // Nothing that is shorter when it is packed.
    let noise: Vec<u8> = scattered(200_000, u64::MAX).flat_map(u64::to_le_bytes).collect();
    fs::write(copied.path().join("stdout.log"), noise).expect("written");
    let dir = tempfile::tempdir().expect("a folder");
    let archive = dir.path().join("shots.tar.zst");
    pack(&copied.folder(), &archive, false).expect("packed");
    cut(archive.clone(), |length| length / 2);
    let unpacked = Unpacked::open(&archive, dir.path(), 0).unwrap_or_else(|error| panic!("{error}"));
    let files = unpacked.path().to_owned();
    let viewer = Viewer::of(Replay::open_packed(unpacked).unwrap_or_else(|error| panic!("{error}")));
    let shown = viewer.shown();
    assert!(shown.notes[0].contains("cut off"), "{:?}", shown.notes);
    assert_eq!(viewer.agenda().len(), 12);
    viewer.go(Goal::Start, |shown| shown.summary.seq == Seq(1));
    assert!(files.exists());
    drop(viewer);
    assert!(!files.exists(), "its files are still there");
}

/// A home with one session, in which item 2 has failed.
fn shots() -> Home {
    let home = Home::new();
    let job = ["run", "--headless", "--backend", "python", "--frames", "1-3"];
    let commands = ["--command", "print('frame', {frame})", "--command", "1 / ({frame} - 2)"];
    let run = home.run(&[&job[..], &commands].concat());
    assert_eq!(run.status.code(), Some(1), "{}", text(&run.stderr));
    home
}

fn window(home: &Home, args: &str) -> Window {
    let line = format!("exec {} {args}", env!("CARGO_BIN_EXE_childminder"));
    Window::open(&line, home.path(), &home.environment())
}

#[test]
fn a_window_goes_through_time() {
    let home = shots();
    let mut window = window(&home, "replay");
    for shown in ["◼ REPLAY", "3/3  ✓2 ✗1", "the session is over", "frame 3"] {
        window.until_shown(shown);
    }
    for (key, then) in [
        ("^", &["0/3  ·3", "the child has printed nothing so far"][..]),
        ("}", &["0/3  ·2 ►1"]),
        ("}", &["1/3  ·1 ►1 ✓1", "frame 1"]),
        (")", &["1/3  ·1 ►1 ✓1", "frame 2", "1× ZeroDivisionError"]),
        ("}", &["2/3  ►1 ✓1 ✗1"]),
        ("{", &["1/3  ·1 ►1 ✓1"]),
        ("$", &["3/3  ✓2 ✗1", "frame 3"]),
        ("@1\r", &["0/3  ·2 ►1"]),
        ("@100%\r", &["3/3  ✓2 ✗1", "frame 3"]),
    ] {
        window.press(key);
        for then in then {
            window.until_shown(then);
        }
    }
    window.press("d");
    assert_eq!(window.ended(), 0);
}

#[test]
fn what_was_exported_is_opened_where_the_session_is_not() {
    let home = shots();
    home.says(&["export", "python", "shots.tar.zst"]);
    fs::remove_dir_all(home.folder()).expect("removed");
    let mut window = window(&home, "replay shots.tar.zst --at 3");
    for shown in ["◼ REPLAY", "2/3  ►1 ✓1 ✗1", "frame 2"] {
        window.until_shown(shown);
    }
    window.press("$");
    window.until_shown("frame 3");
    let unpacked = || fs::read_dir(home.path().join("cache/childminder")).expect("a folder").count();
    assert_eq!(unpacked(), 1);
    window.press("d");
    assert_eq!((window.ended(), unpacked()), (0, 0));
    assert_eq!(home.says(&["log", "shots.tar.zst", "--stream", "stdout"]), "frame 1\nframe 2\nframe 3\n");
    assert_eq!(unpacked(), 0);
    let said = home.run(&["log", "absent.tar.zst"]);
    assert_eq!(said.status.code(), Some(3), "{}", text(&said.stderr));
}

#[test]
fn a_window_whose_engine_is_gone_still_shows_what_was_recorded() {
    type End = fn(&Home);
    let stop: End = |home| drop(home.says(&["stop"]));
    let murder: End = |home| {
        let session = Folder::open(&home.folder()).expect("a session").read_session().expect("a file");
        let pid = i32::try_from(session.engine.expect("an engine").pid).expect("a pid");
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("killed");
    };
    for (end, said) in [(stop, "the session is over"), (murder, "the engine is gone")] {
        let home = Home::new();
        let session = home.held(&["--frames", "1-3", "--command", "print({frame})"]);
        home.says(&["exec", "for line in range(5000): print('line', line, 'of many')"]);
        let mut window = window(&home, "attach");
        window.until_shown("line 4999 of many");
        end(&home);
        window.until_shown(said);
        window.press("3g");
        window.until_shown("line 0 of many");
        window.press("G");
        window.until_shown("line 4999 of many");
        // Nobody is there to do anything.
        window.press("1r");
        window.until_shown(if said.contains("over") { "the session is over" } else { "the engine died" });
        window.press("q");
        window.ended();
        session.code();
    }
}
