//! A recording as a window sees it, and folders to record into.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use base64::Engine as _;
use childminder::api::replay::{Goal, Playback, Replay, Steer};
use childminder::api::{ApiError, Link, SessionView};
use childminder::model::proto::{CommandView, ItemView, OutputAt, OutputPage, OutputQuery, Request, Response, Window};
use childminder::model::state::ExceptionGroup;
use childminder::model::{
    CommandId, CommandOutcome, Event, EventKind, Filter, ItemIndex, ItemStatus, Job, Marks, Micros, Phase,
    ResultPackage, Seq, Stream,
};
use childminder::store::{Folder, SessionFile, recover};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const PATIENCE: Duration = Duration::from_mins(1);

/// A window on a recording, without a screen.
pub(crate) struct Viewer {
    replay: Arc<Replay>,
    runtime: tokio::runtime::Runtime,
}

impl Viewer {
    pub(crate) fn open(folder: &Folder) -> Self {
        Self::of(Replay::open(folder).unwrap_or_else(|error| panic!("{error}")))
    }

    pub(crate) fn of(replay: Arc<Replay>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { replay, runtime }
    }

    pub(crate) fn link(&self) -> Link {
        self.replay.pulses().borrow().clone()
    }

    pub(crate) fn shown(&self) -> Playback {
        self.wait(|_| true)
    }

    pub(crate) fn steer(&self, steer: Steer) {
        self.replay.steer(steer);
    }

    /// Goes somewhere, and waits until it is there.
    pub(crate) fn go(&self, goal: Goal, there: impl Fn(&Playback) -> bool) -> Playback {
        self.steer(Steer::To(goal));
        self.wait(there)
    }

    /// Waits until what is shown is as wanted, and nothing more is on its way.
    pub(crate) fn wait(&self, wanted: impl Fn(&Playback) -> bool) -> Playback {
        let mut pulses = self.replay.pulses();
        let is_so = |link: &Link| matches!(link, Link::Recorded(shown) if shown.seeking.is_none() && wanted(shown));
        let found = self.runtime.block_on(async {
            let waited = tokio::time::timeout(PATIENCE, pulses.wait_for(is_so)).await;
            waited.map(|link| link.expect("a recording").clone())
        });
        match found {
            Ok(Link::Recorded(shown)) => *shown,
            _ => panic!("not seen; it shows {:?}", self.link()),
        }
    }

    pub(crate) fn ask(&self, request: Request) -> Result<Response, ApiError> {
        let answer = self.replay.ask(request);
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, answer).await.expect("an answer") })
    }

    pub(crate) fn agenda(&self) -> Vec<ItemView> {
        match self.ask(Request::Agenda(Window { from: 0, limit: 2000 })) {
            Ok(Response::Agenda(page)) => page.rows,
            other => panic!("{other:?}"),
        }
    }

    /// All commands, whose rows may be many pages.
    pub(crate) fn commands(&self) -> Vec<CommandView> {
        let mut rows = Vec::new();
        loop {
            let from = u32::try_from(rows.len()).expect("a row");
            match self.ask(Request::Commands(Window { from, limit: 2000 })) {
                Ok(Response::Commands(page)) => {
                    rows.extend(page.rows.into_iter().skip((from - page.from) as usize));
                    if rows.len() >= page.total as usize {
                        return rows;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) fn exceptions(&self) -> Vec<ExceptionGroup> {
        match self.ask(Request::Exceptions(Window { from: 0, limit: 2000 })) {
            Ok(Response::Exceptions(page)) => page.rows,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn output(&self, at: OutputAt, raw: bool, stream: Option<Stream>) -> OutputPage {
        let query = OutputQuery { stream, at, before: 0, after: 2000, command: None, filter: Filter::default(), raw };
        match self.ask(Request::Output(Box::new(query))) {
            Ok(Response::Output(page)) => page,
            other => panic!("{other:?}"),
        }
    }

    /// The bytes of a stream; the tests' streams fit into one page.
    pub(crate) fn bytes(&self, stream: Stream) -> Vec<u8> {
        let page = self.output(OutputAt::Start, true, Some(stream));
        assert!(page.at_start && page.at_end);
        let raw = page.lines.into_iter().map(|line| line.raw.expect("bytes"));
        raw.flat_map(|raw| base64::prelude::BASE64_STANDARD.decode(raw).expect("base64")).collect()
    }
}

/// A copy of a session's folder.
pub(crate) struct Copied(tempfile::TempDir, PathBuf);

impl Copied {
    pub(crate) fn folder(&self) -> Folder {
        Folder::open(&self.1).expect("a session")
    }

    pub(crate) fn path(&self) -> &Path {
        &self.1
    }
}

pub(crate) fn copy(folder: &Folder) -> Copied {
    let dir = tempfile::tempdir().expect("a folder");
    let to = dir.path().join(folder.id());
    std::fs::create_dir(&to).expect("made");
    for entry in std::fs::read_dir(folder.path()).expect("a folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
    Copied(dir, to)
}

/// Names, lengths and times of change of all that is in a folder.
pub(crate) fn everything(folder: &Folder) -> Vec<(PathBuf, u64, SystemTime)> {
    let entries = std::fs::read_dir(folder.path()).expect("a folder").map(|entry| {
        let entry = entry.expect("an entry");
        let data = entry.metadata().expect("its data");
        (entry.path(), data.len(), data.modified().expect("a time"))
    });
    let mut all: Vec<_> = entries.collect();
    all.sort();
    all
}

/// A session of so many events that no child made, with its checkpoints. Its clock stands still for an hour after event 50.
pub(crate) fn long_session(events: u64) -> (tempfile::TempDir, Folder) {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = Folder::create(dir.path(), &SessionFile::new(Job::default(), None)).expect("a session");
    std::fs::write(folder.journal(), "").expect("a journal");
    let mut state = recover(&folder).expect("nothing").state;
    let mut checkpointer = recover(&folder).expect("nothing").checkpointer(&folder).expect("files");
    let mut text = Vec::new();
    for seq in 1..=events {
        let wall = Micros(1_795_467_600_000_000 + seq * 1000 + if seq > 50 { 3_600_000_000 } else { 0 });
        let event = Event { seq: Seq(seq), wall, mono: wall, kind: kind(seq) };
        let at = text.len() as u64;
        serde_json::to_writer(&mut text, &event).expect("json");
        text.push(b'\n');
        state.apply(&event, at);
        checkpointer.note(&childminder::store::Recorded { at, event: Arc::new(event) });
        if checkpointer.due() || seq == events {
            // A checkpoint is one of a journal that is there.
            std::fs::write(folder.journal(), &text).expect("written");
            checkpointer.finish(&state, text.len() as u64);
            checkpointer = recover(&folder).expect("a session").checkpointer(&folder).expect("files");
        }
    }
    for stream in [Stream::Stdout, Stream::Stderr] {
        std::fs::write(folder.output(stream), "").expect("a log");
    }
    (dir, folder)
}

/// An item of 20 commands, again and again.
fn kind(seq: u64) -> EventKind {
    const ITEMS: u32 = 500;
    let (round, step) = ((seq - 1) / 43, (seq - 1) % 43);
    let item = ItemIndex(u32::try_from(round % u64::from(ITEMS)).expect("an item"));
    let id = CommandId(round * 20 + step / 2);
    match (seq, step) {
        (1, _) => EventKind::EngineStarted {
            pid: 1,
            version: "0".into(),
            name: "long".into(),
            backend: "python".into(),
            items: ITEMS,
            held: false,
            resumed: false,
        },
        (_, 0) => EventKind::Note { text: "again".into() },
        (_, 1) => EventKind::ItemStarted { item, attempt: 1 },
        (_, 42) => EventKind::ItemEnded {
            item,
            status: if round % 7 == 0 { ItemStatus::Failed } else { ItemStatus::Complete },
            reason: None,
            took: Micros(41_000),
            again: None,
            result: ResultPackage::default(),
        },
        (_, step) if step % 2 == 0 => EventKind::CommandQueued {
            id,
            phase: Phase::Item,
            item: Some(item),
            source: format!("work({round}, {step})"),
            value: false,
            by: None,
        },
        _ => EventKind::CommandEnded {
            id,
            outcome: CommandOutcome::Skipped { reason: "on purpose".into() },
            took: Micros(1),
            to: Marks::default(),
        },
    }
}
