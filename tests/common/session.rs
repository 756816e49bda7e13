//! A session on a real child, in this process: for tests of the engine without a command line.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use childminder::model::proto::{Refusal, Request, Response};
use childminder::model::{
    ChildState, CommandId, CommandOutcome, CommandRow, Event, EventKind, Hello, Job, Origin, SessionPhase, State,
    Stream,
};
use childminder::session::Handle;
use childminder::session::engine::{Engine, Options};
use childminder::store::{self, Folder, SessionFile};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[path = "aftermath.rs"]
pub(crate) mod aftermath;

/// How long anything may take here.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Reads a job from TOML.
pub(crate) fn job(text: &str) -> Job {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("job.toml");
    std::fs::write(&path, text).expect("written");
    let mut job = childminder::job::read(&path, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    job.cwd = None;
    job
}

/// A running session and its folder.
pub(crate) struct Session {
    engine: Engine,
    data: Arc<tempfile::TempDir>,
    folder: Folder,
}

impl Session {
    /// Starts one in a folder of its own.
    pub(crate) fn start(job: Job) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), job)
    }

    /// Starts one in this folder.
    pub(crate) fn start_in(data: tempfile::TempDir, job: Job) -> Self {
        let file = SessionFile::new(job, None);
        let folder = Folder::create(data.path(), &file).expect("a session folder");
        Self::on(Arc::new(data), folder)
    }

    /// Goes on with one that has ended or died.
    pub(crate) fn resume(ended: &Ended) -> Self {
        Self::on(Arc::clone(&ended.data), ended.folder.clone())
    }

    fn on(data: Arc<tempfile::TempDir>, folder: Folder) -> Self {
        let engine = Engine::start(options(data.path(), &folder)).unwrap_or_else(|error| panic!("{error}"));
        Self { engine, data, folder }
    }

    /// The way to the engine.
    pub(crate) fn handle(&self) -> &Handle {
        &self.engine.handle
    }

    /// The session's folder.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask(&self, request: Request) -> Result<Response, Refusal> {
        let by = Origin { user: "tester".into(), client: "test".into(), ..Origin::default() };
        block_on(self.handle().ask(by, request))
    }

    /// The folder that holds the session's.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Runs a command and gives its outcome.
    pub(crate) fn exec(&self, source: &str) -> CommandOutcome {
        outcome(self.ask(Request::Exec { source: source.into(), wait: true }), &self.folder)
    }

    /// Runs a command and gives its value.
    pub(crate) fn value(&self, source: &str) -> String {
        value(source, self.exec(source))
    }

    /// Looks at the fold.
    pub(crate) fn look<T: Send + 'static>(&self, look: impl FnOnce(&State) -> T + Send + 'static) -> T {
        block_on(self.handle().look(move |inspect| look(inspect.state()))).expect("a running session")
    }

    /// What the connected child said of itself.
    pub(crate) fn hello(&self) -> Hello {
        self.look(|state| match &state.child {
            ChildState::Connected { hello, .. } => Some((**hello).clone()),
            _ => None,
        })
        .unwrap_or_else(|| panic!("no child is connected\n{}", tail(&self.folder)))
    }

    /// Waits until items may run.
    pub(crate) fn until_agenda(&self) {
        self.until("the agenda", |state| state.phase == SessionPhase::Agenda);
    }

    /// Waits until a command of this number has begun.
    pub(crate) fn until_started(&self, id: u64) {
        self.until(&format!("the beginning of command {id}"), move |state| {
            state.running.is_some_and(|running| running.id.0 == id && running.started)
        });
    }

    /// Stops it after the running item, and waits for its end.
    pub(crate) fn stop(self) -> Ended {
        self.ask(Request::Stop { mode: childminder::model::StopMode::AfterItem }).expect("stopped");
        self.wait()
    }

    /// The events so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        events(&self.folder)
    }

    /// Waits until the fold is as wanted; shows the journal's tail when that does not come.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&State) -> bool + Send + Sync + 'static) {
        let wanted = Arc::new(wanted);
        let seen = async {
            let mut stirred = self.handle().feed().watch();
            loop {
                let wanted = Arc::clone(&wanted);
                let look = self.handle().look(move |inspect| wanted(inspect.state())).await;
                if look.unwrap_or(false) {
                    return true;
                }
                if stirred.changed().await.is_err() {
                    return false;
                }
            }
        };
        let seen = block_on(async { tokio::time::timeout(PATIENCE, seen).await });
        assert_eq!(seen, Ok(true), "not seen: {what}\n{}", tail(&self.folder));
    }

    /// Waits for the end.
    pub(crate) fn wait(self) -> Ended {
        let Self { engine, data, folder } = self;
        let (told, tells) = std::sync::mpsc::channel();
        std::thread::spawn(move || told.send(engine.wait()));
        let code = tells.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no end\n{}", tail(&folder)));
        let runtime = data.path().join("runtime");
        Ended::new(code, data, folder, &[runtime])
    }
}

/// A session that is over.
pub(crate) struct Ended {
    pub(crate) code: i32,
    data: Arc<tempfile::TempDir>,
    pub(crate) folder: Folder,
}

impl Ended {
    /// One that leaves nothing behind, in these folders neither.
    #[track_caller]
    pub(crate) fn new(code: i32, data: Arc<tempfile::TempDir>, folder: Folder, transient: &[PathBuf]) -> Self {
        aftermath::check(&folder, transient);
        Self { code, data, folder }
    }

    /// The fold of its journal.
    pub(crate) fn state(&self) -> State {
        store::recover(&self.folder).expect("readable").state
    }

    /// All of one stream.
    pub(crate) fn output(&self, stream: Stream) -> Vec<u8> {
        std::fs::read(self.folder.output(stream)).unwrap_or_default()
    }

    /// The events, in order.
    pub(crate) fn events(&self) -> Vec<Event> {
        events(&self.folder)
    }

    /// How each command ended, by its number.
    pub(crate) fn outcome(&self, wanted: u64) -> CommandOutcome {
        let ended = self.events().into_iter().find_map(|event| match event.kind {
            EventKind::CommandEnded { id, outcome, .. } if id.0 == wanted => Some(outcome),
            _ => None,
        });
        ended.unwrap_or_else(|| panic!("command {wanted} has no end\n{}", self.tail()))
    }

    /// Why the child failed, as told.
    pub(crate) fn child_failed(&self) -> Vec<String> {
        let told = self.events().into_iter().filter_map(|event| match event.kind {
            EventKind::ChildFailed { reason } => Some(reason),
            _ => None,
        });
        told.collect()
    }

    /// Why the last item that ended did not complete.
    pub(crate) fn item_reason(&self) -> String {
        let ended = self.events().into_iter().rev().find_map(|event| match event.kind {
            EventKind::ItemEnded { reason, .. } => Some(reason.unwrap_or_default()),
            _ => None,
        });
        ended.unwrap_or_else(|| panic!("no item ended\n{}", self.tail()))
    }

    /// What a command printed.
    pub(crate) fn slice(&self, id: u64, stream: Stream) -> Vec<u8> {
        let row = self.state().command(CommandId(id)).expect("a command");
        slice(&self.output(stream), &row, stream).to_vec()
    }

    /// Nobody of the session lives.
    pub(crate) fn assert_nobody_left(&self) {
        assert_eq!(childminder::child::marked(self.folder.id()), [], "{}", self.tail());
    }

    /// The last events, for a failure's message.
    pub(crate) fn tail(&self) -> String {
        tail(&self.folder)
    }
}

/// The outcome of a command that was waited for.
#[track_caller]
pub(crate) fn outcome(answer: Result<Response, impl std::fmt::Debug>, folder: &Folder) -> CommandOutcome {
    match answer {
        Ok(Response::Command(detail)) => detail.outcome.expect("an end"),
        other => panic!("{other:?}\n{}", tail(folder)),
    }
}

/// The value that a command finished with.
#[track_caller]
pub(crate) fn value(source: &str, outcome: CommandOutcome) -> String {
    match outcome {
        CommandOutcome::Finished { value: Some(value), cut: None } => value,
        other => panic!("{source}: {other:?}"),
    }
}

/// What an engine on this folder is started with.
pub(crate) fn options(data: &Path, folder: &Folder) -> Options {
    let job = folder.read_session().expect("a session file").job;
    let recipe = childminder::backend::of_job(&job).unwrap_or_else(|error| panic!("{error}"));
    Options {
        folder: folder.clone(),
        recipe: Arc::new(recipe),
        runtime: data.join("runtime"),
        minimum_free: 0,
        guardian: (PathBuf::from(env!("CARGO_BIN_EXE_childminder")), vec!["__guardian".into()]),
        linger: false,
        bound: false,
    }
}

/// Waits until something outside of the engine is so; says what the journal said last when that does not come.
pub(crate) fn until(what: &str, folder: &Folder, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not seen: {what}\n{}", tail(folder));
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The bytes of a whole stream that belong to a command.
pub(crate) fn slice<'b>(bytes: &'b [u8], row: &CommandRow, stream: Stream) -> &'b [u8] {
    let (from, to) = match stream {
        Stream::Stdout => (row.from.stdout, row.to.stdout),
        Stream::Stderr => (row.from.stderr, row.to.stderr),
    };
    let place = |offset: u64| usize::try_from(offset).expect("a place in memory");
    &bytes[place(from)..place(to)]
}

/// The events of a journal; a line that is still being written is left out.
pub(crate) fn events(folder: &Folder) -> Vec<Event> {
    let text = std::fs::read(folder.journal()).unwrap_or_default();
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let lines = text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("an event")).collect()
}

/// A file for children of tests.
pub(crate) fn child_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/children").join(name)
}

/// A string as TOML and Python both read it.
pub(crate) fn quoted(text: impl AsRef<Path>) -> String {
    serde_json::to_string(text.as_ref().to_str().expect("UTF-8")).expect("a string")
}

/// The last events and lines of stderr, for a failure's message.
pub(crate) fn tail(folder: &Folder) -> String {
    let lines = |path: &Path| {
        let text = std::fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<String> = text.lines().map(|line| line.chars().take(600).collect()).collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    };
    format!("--- journal\n{}\n--- stderr\n{}", lines(&folder.journal()), lines(&folder.output(Stream::Stderr)))
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}
