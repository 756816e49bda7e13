//! What is fed with bytes from outside: one function for each way in.
//!
//! `cargo fuzz` runs them for as long as one likes; `tests/fuzz.rs` runs the same functions for some seconds in every run
//! of the tests. None may panic, take memory or time without bound, or write to a session that it only reads.

use childminder::dispatcher::FromChild;
use childminder::model::proto::{Call, ClientHello, LineAnchor, OutputAt, OutputQuery, ServerFrame, ServerHello};
use childminder::model::{Filter, Marks, Micros, Seq, Stream};
use childminder::store::{
    Folder, JournalReader, Output, OutputReader, Places, Unpacked, escape_json, is_hostile, make_safe, plain_safe,
    recover, traces,
};
use std::path::Path;

/// A way in: its name, the session's files that it is fed with (all bytes go into one place where there are none), and
/// what is done.
pub type Target = (&'static str, &'static [&'static str], fn(&[u8]));

/// All of them.
pub const ALL: &[Target] = &[
    ("sanitiser", &[], sanitiser),
    ("wire", &[], wire),
    ("archive", &[], archive),
    ("session_file", &["session.json"], session_file),
    ("journal", &["events.jsonl"], journal),
    ("checkpoint", CHECKPOINT, checkpoint),
    ("indexes", INDEXES, indexes),
];

const CHECKPOINT: &[&str] = &["state.ckpt", "items.ckpt", "commands.ckpt", "events.jsonl"];
const INDEXES: &[&str] = &["output.idx", "stdout.lines.idx", "stderr.lines.idx", "stderr.log", "stdout.log"];

/// A session that is one, until a file of it is replaced.
const SESSION: &str = r#"{"format":1,"id":"a","created":0,"host":"h","user":"u","uid":0,"versions":{},"job":{}}"#;

/// Several files as one input: their lengths, then they.
pub fn join(files: &[Vec<u8>]) -> Vec<u8> {
    let lengths = files.iter().flat_map(|file| (file.len() as u32).to_le_bytes());
    lengths.chain(files.iter().flatten().copied()).collect()
}

/// The same files again; from any bytes some.
fn split<'d>(data: &'d [u8], names: &[&'static str]) -> Vec<(&'static str, &'d [u8])> {
    let (lengths, mut rest) = data.split_at(data.len().min(names.len() * 4));
    let mut lengths = lengths.as_chunks::<4>().0.iter().map(|length| u32::from_le_bytes(*length) as usize);
    let mut files = Vec::new();
    for name in names {
        let (file, after) = rest.split_at(lengths.next().unwrap_or(0).min(rest.len()));
        files.push((*name, file));
        rest = after;
    }
    files
}

/// A folder in memory, where there is such a place.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::tempdir_in(place).expect("a folder")
}

fn folder(dir: &Path, files: &[(&str, &[u8])]) -> Folder {
    let path = dir.join("session");
    std::fs::create_dir(&path).expect("a folder");
    std::fs::write(path.join("session.json"), SESSION).expect("written");
    for (name, bytes) in files {
        std::fs::write(path.join(name), bytes).expect("written");
    }
    Folder::open(&path).expect("a folder with a session.json")
}

/// The child's bytes on their way to a terminal.
pub fn sanitiser(data: &[u8]) {
    let (safe, plain) = (make_safe(data), plain_safe(data));
    let shown = |c: char| c != '\t' && is_hostile(c);
    assert!(!plain.contains(shown), "{plain:?}");
    assert!(!safe.contains(|c: char| c != '\x1b' && shown(c)), "{safe:?}");
    assert_eq!(make_safe(safe.as_bytes()), safe);
    let line = childminder::tui::styled(&String::from_utf8_lossy(data), Default::default(), true);
    assert!(!line.spans.iter().any(|span| span.content.contains(is_hostile)), "{line:?}");
    let json = serde_json::to_vec(&safe).expect("JSON");
    let escaped: String = serde_json::from_slice(&escape_json(&json)).expect("the same JSON");
    assert_eq!(escaped, safe);
}

/// Frames of children, clients and engines.
pub fn wire(data: &[u8]) {
    let _ = serde_json::from_slice::<FromChild>(data);
    let _ = serde_json::from_slice::<ClientHello>(data);
    let _ = serde_json::from_slice::<ServerHello>(data);
    let _ = serde_json::from_slice::<ServerFrame>(data);
    if let Ok(call) = serde_json::from_slice::<Call>(data) {
        let again = serde_json::to_vec(&call).expect("JSON");
        assert_eq!(serde_json::from_slice::<Call>(&again).expect("what we wrote"), call);
    }
}

/// Somebody's packed session.
pub fn archive(data: &[u8]) {
    let dir = scratch();
    let path = dir.path().join("archive");
    std::fs::write(&path, data).expect("written");
    if let Ok(opened) = Unpacked::open(&path, &dir.path().join("cache"), 0) {
        let _ = recover(opened.folder());
    }
    assert_eq!(std::fs::read_dir(dir.path().join("cache")).map_or(0, Iterator::count), 0, "files were left");
}

/// A `session.json`.
pub fn session_file(data: &[u8]) {
    let dir = scratch();
    let _ = folder(dir.path(), &split(data, &["session.json"])).read_session();
}

/// A journal.
pub fn journal(data: &[u8]) {
    let dir = scratch();
    let folder = folder(dir.path(), &split(data, &["events.jsonl"]));
    let recovered = recover(&folder).expect("a journal that is there can be read");
    let journal = JournalReader::open(&folder.journal()).expect("a journal");
    let length = journal.length().expect("a length");
    assert!(recovered.end <= length);
    for recorded in journal.iter_from(0).take(1000).flatten() {
        assert_eq!(journal.at(recorded.at).expect("the same event"), *recorded.event);
    }
    let _ = journal.after(Seq(length / 2));
    let _ = journal.at(length / 2);
    let _ = traces::page(&folder.journal(), None, 100);
}

/// Checkpoints of a state and its rows, and the journal that they are of.
pub fn checkpoint(data: &[u8]) {
    let dir = scratch();
    let folder = folder(dir.path(), &split(data, CHECKPOINT));
    let recovered = recover(&folder).expect("a journal that is there can be read");
    assert!(recovered.notes.len() < 100);
    if let Ok(checkpointer) = recovered.checkpointer(&folder) {
        checkpointer.finish(&recovered.state, recovered.end);
        let again = recover(&folder).expect("what we wrote");
        assert_eq!(again.last, recovered.last);
    }
}

/// The indexes of the output, and the logs that they are of.
pub fn indexes(data: &[u8]) {
    let dir = scratch();
    let files = split(data, INDEXES);
    let folder = folder(dir.path(), &files);
    read_all(&folder);
    if let Ok(mut output) = Output::open(&folder, Marks::default(), 0) {
        let at = output.stdout.position();
        output.stdout.append(at, b"one more\n", None, Micros(1), Micros(1));
    }
    read_all(&folder);
    for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".log")) {
        let stored = std::fs::read(folder.path().join(name)).expect("a log");
        assert!(stored.starts_with(bytes), "{name} was changed");
    }
}

fn read_all(folder: &Folder) {
    let reader = OutputReader::open(folder);
    let length = reader.lengths().map_or(0, |lengths| lengths.stdout);
    let places = [
        OutputAt::Start,
        OutputAt::End,
        OutputAt::Time(Micros(1_000_000)),
        OutputAt::Line(LineAnchor { stream: Stream::Stdout, offset: length / 2 }),
        OutputAt::Line(LineAnchor { stream: Stream::Stderr, offset: u64::MAX }),
    ];
    let _ = reader.count_lines();
    for at in places {
        for stream in [None, Some(Stream::Stdout), Some(Stream::Stderr)] {
            let filter = Filter::default();
            let query = OutputQuery { stream, at, before: 20, after: 20, command: None, filter, raw: true };
            if let Ok(page) = reader.page(&query, &Places::default()) {
                assert!(page.lines.len() <= 41);
                assert!(
                    page.lines.iter().all(|line| !line.text.contains(|c| c != '\x1b' && c != '\t' && is_hostile(c)))
                );
            }
        }
    }
}
