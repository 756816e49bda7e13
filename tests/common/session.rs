//! A session on a real child, in this process: for tests of the engine without a command line.

use childminder::model::proto::{Refusal, Request, Response};
use childminder::model::{Job, Origin, State, Stream};
use childminder::session::Handle;
use childminder::session::engine::{Engine, Options};
use childminder::store::{self, Folder, SessionFile};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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
        let data = Arc::new(tempfile::tempdir().expect("a folder"));
        let file = SessionFile::new(job, None);
        let folder = Folder::create(data.path(), &file).expect("a session folder");
        Self::on(data, folder)
    }

    /// Goes on with one that has ended or died.
    pub(crate) fn resume(ended: &Ended) -> Self {
        Self::on(Arc::clone(&ended.data), ended.folder.clone())
    }

    fn on(data: Arc<tempfile::TempDir>, folder: Folder) -> Self {
        let job = folder.read_session().expect("a session file").job;
        let recipe = childminder::backend::find(&job.backend).unwrap_or_else(|error| panic!("{error}"));
        let options = Options {
            folder: folder.clone(),
            recipe: Arc::new(recipe),
            runtime: data.path().join("runtime"),
            minimum_free: 0,
            guardian: (PathBuf::from(env!("CARGO_BIN_EXE_childminder")), vec!["__guardian".into()]),
            linger: false,
        };
        let engine = Engine::start(options).unwrap_or_else(|error| panic!("{error}"));
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
        Ended { code, data, folder }
    }
}

/// A session that is over.
pub(crate) struct Ended {
    pub(crate) code: i32,
    data: Arc<tempfile::TempDir>,
    pub(crate) folder: Folder,
}

impl Ended {
    /// The fold of its journal.
    pub(crate) fn state(&self) -> State {
        store::recover(&self.folder).expect("readable").state
    }

    /// All of one stream.
    pub(crate) fn output(&self, stream: Stream) -> Vec<u8> {
        std::fs::read(self.folder.output(stream)).unwrap_or_default()
    }

    /// The last events, for a failure's message.
    pub(crate) fn tail(&self) -> String {
        tail(&self.folder)
    }
}

fn tail(folder: &Folder) -> String {
    let lines = |path: &Path| {
        let text = std::fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    };
    format!("--- journal\n{}\n--- stderr\n{}", lines(&folder.journal()), lines(&folder.output(Stream::Stderr)))
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}
