//! A session's folder as other processes and other people meet it: held, found, killed, full, read-only.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy sees only test functions as tests, not their helpers"
)]

use childminder::model::proto::{OutputAt, OutputQuery};
use childminder::model::{EventKind, Filter, ItemStatus, Job, Marks, Micros, Seq, Stream};
use childminder::store::find::{find_in, list_in};
use childminder::store::{
    Folder, Journal, JournalReader, Output, OutputReader, Places, Purpose, SessionFile, StoreError, make_safe, recover,
    traces,
};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn session(id: &str, name: &str) -> SessionFile {
    SessionFile { id: id.into(), ..SessionFile::new(Job { name: name.into(), ..Job::default() }, None) }
}

fn started(items: u32) -> EventKind {
    EventKind::EngineStarted {
        pid: 1,
        version: "0".into(),
        name: "demo".into(),
        backend: "python".into(),
        items,
        held: false,
        resumed: false,
    }
}

fn note(text: impl Into<String>) -> EventKind {
    EventKind::Note { text: text.into() }
}

fn whole_output(folder: &Folder) -> Vec<String> {
    let query = OutputQuery {
        stream: None,
        at: OutputAt::Start,
        before: 0,
        after: 2000,
        command: None,
        filter: Filter::default(),
        raw: false,
    };
    let page = OutputReader::open(folder).page(&query, &Places::default()).unwrap();
    assert!(page.at_start && page.at_end);
    page.lines.into_iter().map(|line| line.text).collect()
}

/// Whether the folder is let go of. Another test that is starting a process just now may hold a copy of the lock until
/// that process has begun its own program.
fn is_let_go(folder: &Folder) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while folder.is_running() {
        if Instant::now() > until {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// This test program again, as another process that plays one part.
fn again(part: &str, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    // What is ignored stays ignored: a write beyond the limit then fails instead of killing.
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", part, "--nocapture"]).env("CHILDMINDER_TEST_FOLDER", folder);
    command
}

/// The folder to play the part in, if this is that other process.
fn part() -> Option<Folder> {
    Some(Folder::open(Path::new(&std::env::var_os("CHILDMINDER_TEST_FOLDER")?)).unwrap())
}

#[test]
fn a_session_file_comes_back_and_tells_what_is_wrong_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = session("20260101-000000-a-0001", "a");
    let folder = Folder::create(dir.path(), &file).unwrap();
    assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(folder.session_json()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(Folder::create(dir.path(), &file), Err(StoreError::Io { .. })));
    file.recipe_text = Some("name = 'x'".into());
    folder.write_session(&file).unwrap();
    assert_eq!(folder.read_session().unwrap(), file);
    let text = fs::read_to_string(folder.session_json()).unwrap();
    fs::write(folder.session_json(), text.replacen('{', "{\"from_the_future\": [1],", 1)).unwrap();
    assert_eq!(folder.read_session().unwrap(), file);
    fs::write(folder.session_json(), text.replacen("\"format\": 1", "\"format\": 2", 1)).unwrap();
    let said = folder.read_session().unwrap_err().to_string();
    assert!(said.contains("format 2") && said.contains("format 1") && said.contains("use the version"), "{said}");
    fs::write(folder.session_json(), &text[..text.len() / 2]).unwrap();
    assert!(matches!(folder.read_session(), Err(StoreError::NotASession { .. })));
    fs::remove_file(folder.session_json()).unwrap();
    assert!(Folder::open(folder.path()).unwrap_err().to_string().contains("no session.json"));
}

#[test]
fn one_engine_holds_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::create(dir.path(), &session("20260101-000000-a-0001", "a")).unwrap();
    assert!(is_let_go(&folder));
    let lock = folder.lock().unwrap();
    assert!(folder.is_running());
    assert!(matches!(folder.lock(), Err(StoreError::Running { .. })));
    drop(lock);
    assert!(is_let_go(&folder));
    drop(folder.lock().unwrap());
}

#[test]
fn sessions_are_found_the_way_people_name_them() {
    let dir = tempfile::tempdir().unwrap();
    let of = |selector, purpose| find_in(dir.path(), selector, purpose).map(|folder| folder.id().to_owned());
    assert!(matches!(of(None, Purpose::Read), Err(StoreError::NoSuchSession(_))));
    let ids = ["20260101-000000-shot-0001", "20260102-000000-shot-0002", "20260103-000000-other-0003"];
    let make = |id: &str, name| Folder::create(dir.path(), &session(id, name)).unwrap();
    let folders = [make(ids[0], "shot"), make(ids[1], "shot"), make(ids[2], "other job")];
    fs::create_dir(dir.path().join("20260104-000000-no-session")).unwrap();

    assert_eq!(of(None, Purpose::Read).unwrap(), ids[2]);
    assert!(matches!(of(None, Purpose::Write), Err(StoreError::NoSuchSession(_))));
    assert_eq!(of(Some(ids[0]), Purpose::Write).unwrap(), ids[0]);
    assert_eq!(of(Some("20260102"), Purpose::Read).unwrap(), ids[1]);
    assert_eq!(of(Some("shot"), Purpose::Read).unwrap(), ids[1]);
    assert_eq!(of(Some("other job"), Purpose::Read).unwrap(), ids[2]);
    assert_eq!(of(folders[0].path().to_str(), Purpose::Read).unwrap(), ids[0]);
    let Err(StoreError::Ambiguous { candidates, .. }) = of(Some("2026010"), Purpose::Read) else { panic!() };
    assert_eq!(candidates, [ids[2], ids[1], ids[0]]);
    let said = of(Some("nothing"), Purpose::Read).unwrap_err().to_string();
    assert!(said.contains("\"nothing\"") && said.contains(ids[1]), "{said}");

    let lock = folders[0].lock().unwrap();
    assert_eq!(of(None, Purpose::Write).unwrap(), ids[0]);
    assert_eq!(of(None, Purpose::Read).unwrap(), ids[0]);
    assert_eq!(of(Some("shot"), Purpose::Write).unwrap(), ids[0]);
    assert_eq!(of(Some("shot"), Purpose::Read).unwrap(), ids[1]);
    let both = (lock, folders[1].lock().unwrap());
    assert!(matches!(of(None, Purpose::Write), Err(StoreError::Ambiguous { .. })));
    assert_eq!(of(None, Purpose::Read).unwrap(), ids[2]);
    drop(both);
}

#[test]
fn a_list_tells_how_sessions_stand_and_hides_none() {
    let dir = tempfile::tempdir().unwrap();
    let ended = Folder::create(dir.path(), &session("20260101-000000-ended-0001", "ended")).unwrap();
    let mut journal = Journal::create(&ended.journal()).unwrap();
    let recovered = recover(&ended).unwrap();
    let (mut state, mut checkpointer) = (recovered.state.clone(), recovered.checkpointer(&ended).unwrap());
    let mut events = vec![started(3), EventKind::SessionEnded { code: 1, reason: "an item failed".into() }];
    for recorded in journal.append(&mut events).unwrap() {
        state.apply(&recorded.event, recorded.at);
        checkpointer.note(&recorded);
    }
    checkpointer.finish(&state, journal.end());
    let died = Folder::create(dir.path(), &session("20260102-000000-died-0002", "died")).unwrap();
    let mut events = vec![started(2)];
    Journal::create(&died.journal()).unwrap().append(&mut events).unwrap();
    let broken = Folder::create(dir.path(), &session("20260103-000000-broken-0003", "broken")).unwrap();
    fs::write(broken.session_json(), "{").unwrap();

    let [first, second, third] = <[_; 3]>::try_from(list_in(dir.path())).unwrap();
    assert!(first.id.contains("broken") && first.damaged.is_some());
    assert_eq!((second.name.as_str(), &second.ended, second.running), ("died", &None, false));
    assert_eq!(second.counts.get(&ItemStatus::Pending), Some(&2));
    assert_eq!(third.ended.map(|ended| ended.code), Some(1));
    assert_eq!(third.counts.get(&ItemStatus::Pending), Some(&3));
    assert!(list_in(&dir.path().join("absent")).is_empty());
}

/// Ends the process whatever becomes of the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_killed_engine_leaves_all_that_it_recorded() {
    if let Some(folder) = part() {
        return be_an_engine(&folder);
    }
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::create(dir.path(), &session("20260101-000000-a-0001", "a")).unwrap();
    let mut engine = again("a_killed_engine_leaves_all_that_it_recorded", folder.path());
    let mut engine = Killed(engine.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let said = BufReader::new(engine.0.stdout.take().unwrap());
    assert!(said.lines().map_while(Result::ok).any(|line| line.contains("recorded")), "the engine did not start");
    assert!(folder.is_running());
    assert!(matches!(folder.lock(), Err(StoreError::Running { .. })));
    assert_eq!(whole_output(&folder), ["line 1", "line 2", "a part"]);
    engine.0.kill().unwrap();
    engine.0.wait().unwrap();
    assert!(is_let_go(&folder));
    let _lock = folder.lock().unwrap();
    let recovered = recover(&folder).unwrap();
    assert_eq!((recovered.last, recovered.notes.len()), (Seq(101), 0));
    assert_eq!(recovered.state.count(ItemStatus::Pending), 3);
    assert_eq!(whole_output(&folder), ["line 1", "line 2", "a part"]);
    let mut output = Output::open(&folder, Marks { stdout: 20, stderr: 0 }, 0).unwrap();
    output.stdout.append(20, b" more\n", None, Micros(1), Micros(1));
    assert_eq!(whole_output(&folder), ["line 1", "line 2", "a part more"]);
}

fn be_an_engine(folder: &Folder) {
    let _lock = folder.lock().unwrap();
    let mut journal = Journal::create(&folder.journal()).unwrap();
    journal.append(&mut vec![started(3)]).unwrap();
    for number in 0..100 {
        journal.append(&mut vec![note(number.to_string())]).unwrap();
    }
    let mut output = Output::open(folder, Marks::default(), 0).unwrap();
    for (at, bytes) in [(0, "line 1\n"), (7, "line"), (11, " 2\na part")] {
        output.stdout.append(at, bytes.as_bytes(), None, Micros(1), Micros(1));
    }
    println!("recorded");
    // Until it is killed, or the test has gone.
    std::io::stdin().lines().for_each(drop);
}

fn everything(path: &Path) -> Vec<(PathBuf, u64, i64, i64)> {
    let mut all = fs::read_dir(path)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let data = entry.metadata().unwrap();
            (entry.path(), data.len(), data.mtime(), data.mtime_nsec())
        })
        .collect::<Vec<_>>();
    all.sort();
    all
}

#[test]
fn reading_writes_nothing_and_needs_no_right_to() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::create(dir.path(), &session("20260101-000000-a-0001", "a")).unwrap();
    Journal::create(&folder.journal()).unwrap().append(&mut vec![started(3), note("x")]).unwrap();
    let mut output = Output::open(&folder, Marks::default(), 0).unwrap();
    output.stderr.append(0, b"one\ntwo\n", None, Micros(1), Micros(1));
    drop(output);
    // A torn end, and indexes that a copy left behind.
    fs::OpenOptions::new().append(true).open(folder.journal()).unwrap().write_all(b"{\"seq\":3").unwrap();
    fs::remove_file(folder.output_index()).unwrap();
    fs::remove_file(folder.line_index(Stream::Stderr)).unwrap();
    let before = everything(folder.path());
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    assert_eq!(recover(&folder).unwrap().notes.len(), 1);
    assert_eq!(whole_output(&folder), ["one", "two"]);
    OutputReader::open(&folder).count_lines().unwrap();
    assert_eq!(traces::page(&folder.engine_log(), None, 10).unwrap().lines, Vec::<String>::new());
    assert!(is_let_go(&folder));
    assert_eq!(list_in(dir.path()).len(), 1);
    assert_eq!(JournalReader::open(&folder.journal()).unwrap().iter_from(0).flatten().count(), 2);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(everything(folder.path()), before);
}

/// A disk that fills up while a session records, and has room again later.
fn fill_and_free(folder: &Folder, fill: impl FnOnce(), free: impl FnOnce()) {
    let long = "y".repeat(100_000);
    let mut journal = Journal::create(&folder.journal()).unwrap();
    journal.append(&mut vec![started(1), note(&long)]).unwrap();
    let mut output = Output::open(folder, Marks::default(), 0).unwrap();
    let line = format!("{}\n", "x".repeat(99));
    let block = line.repeat(1000);
    let mut at = 0;
    let mut second = 1;
    let mut print = |output: &mut Output, second: u64| {
        let now = Micros(second * 1_000_000);
        output.stdout.append(at, block.as_bytes(), None, now, now);
        at += block.len() as u64;
        at
    };
    let kept = print(&mut output, second);
    assert_eq!(output.losses.not_keeping(), None);

    fill();
    let length = fs::metadata(folder.journal()).unwrap().len();
    let mut events = vec![note("before"), note(&long), note("after")];
    assert!(matches!(journal.append(&mut events), Err(StoreError::Io { .. })));
    assert_eq!((events.len(), journal.last()), (3, Seq(2)));
    assert_eq!(fs::metadata(folder.journal()).unwrap().len(), length);
    for _ in 0..5 {
        second += 2;
        print(&mut output, second);
    }
    let lost = output.losses.take(Stream::Stdout).unwrap();
    assert!(lost.bytes > 0 && !lost.reason.is_empty());
    assert_eq!(output.losses.not_keeping(), Some(lost.reason));

    free();
    second += 2;
    let end = print(&mut output, second);
    assert_eq!((output.losses.take(Stream::Stdout), output.losses.not_keeping()), (None, None));
    let recorded = journal.append(&mut events).unwrap();
    assert_eq!(recorded.iter().map(|recorded| recorded.event.seq).collect::<Vec<_>>(), [Seq(3), Seq(4), Seq(5)]);
    drop(output);

    let recovered = recover(folder).unwrap();
    assert_eq!((recovered.last, recovered.notes), (Seq(5), vec![]));
    let reader = OutputReader::open(folder);
    let query = OutputQuery {
        stream: None,
        at: OutputAt::End,
        before: 1010,
        after: 0,
        command: None,
        filter: Filter::default(),
        raw: false,
    };
    let page = reader.page(&query, &Places::default()).unwrap();
    let hole = page.lines.iter().find(|line| line.text.contains("bytes were lost here")).unwrap();
    assert_eq!(hole.length, lost.bytes);
    assert_eq!(hole.anchor.offset + hole.length, end - block.len() as u64);
    assert!(hole.anchor.offset >= kept);
    assert_eq!(page.lines.iter().rev().take(1000).filter(|other| other.text == line.trim_end()).count(), 1000);
}

#[test]
fn a_full_disk_loses_output_visibly_and_keeps_the_journal_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(dir.path()).output();
    if !mount.is_ok_and(|mount| mount.status.success()) {
        println!(
            "skipped: a small file system cannot be mounted here; the test with a limit on file sizes stands for it"
        );
        return;
    }
    let full = std::panic::catch_unwind(|| {
        let folder = Folder::create(dir.path(), &session("20260101-000000-a-0001", "a")).unwrap();
        let filler = dir.path().join("filler");
        let fill = || {
            let mut file = fs::File::create(&filler).unwrap();
            while file.write_all(&[0; 4096]).is_ok() {}
        };
        fill_and_free(&folder, fill, || fs::remove_file(&filler).unwrap());
    });
    // The thread that syncs the journal holds the file until it has seen that the journal is gone.
    let unmounted = || Command::new("umount").arg(dir.path()).status().unwrap().success();
    let began = std::time::Instant::now();
    while !unmounted() {
        assert!(began.elapsed() < Duration::from_secs(30), "the file system is busy");
    }
    full.unwrap_or_else(|failure| std::panic::resume_unwind(failure));
}

#[test]
fn a_limit_on_file_sizes_is_a_full_disk() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Some(folder) = part() {
        let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        let fill = || setrlimit(Resource::RLIMIT_FSIZE, 150_000, hard).unwrap();
        return fill_and_free(&folder, fill, || setrlimit(Resource::RLIMIT_FSIZE, soft, hard).unwrap());
    }
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::create(dir.path(), &session("20260101-000000-a-0001", "a")).unwrap();
    let done = again("a_limit_on_file_sizes_is_a_full_disk", folder.path()).output().unwrap();
    let said = make_safe(&[done.stdout, done.stderr].concat());
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn below_the_minimum_of_free_space_output_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::create(dir.path(), &session("20260101-000000-a-0001", "a")).unwrap();
    let mut output = Output::open(&folder, Marks::default(), u64::MAX).unwrap();
    output.stderr.append(0, b"gone\n", None, Micros(1), Micros(1));
    let reason = output.losses.not_keeping().unwrap();
    assert!(reason.contains("free"), "{reason}");
    assert_eq!(output.losses.take(Stream::Stderr).unwrap().bytes, 5);
    drop(output);
    assert_eq!(fs::metadata(folder.output(Stream::Stderr)).unwrap().len(), 0);
    assert_eq!(whole_output(&folder), ["⟨5 bytes were lost here⟩"]);
}
