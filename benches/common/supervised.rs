//! An engine in this process, with its server, and a supervised interpreter under it.

#![allow(dead_code, reason = "every bench uses its own part of this")]

use childminder::api::socket::Places;
use childminder::api::{Bound, Server, Sources};
use childminder::model::proto::{Request, Response};
use childminder::model::{CommandOutcome, EventKind, Job, Origin, StopMode};
use childminder::session::engine::{Engine, Options};
use childminder::store::{Folder, JournalReader, SessionFile};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// A running engine on a folder of its own.
pub(crate) struct Session {
    pub(crate) engine: Engine,
    pub(crate) socket: PathBuf,
    pub(crate) folder: Folder,
    pub(crate) data: tempfile::TempDir,
    server: Server,
}

impl Session {
    /// Starts it in `data`, which is removed with it.
    pub(crate) fn start(data: tempfile::TempDir, job: Job) -> Self {
        let sessions = data.path().join("sessions");
        std::fs::create_dir(&sessions).expect("a folder");
        let folder = Folder::create(&sessions, &SessionFile::new(job, None)).expect("a session folder");
        let recipe = childminder::backend::find("python").unwrap_or_else(|error| panic!("{error}"));
        let options = Options {
            folder: folder.clone(),
            recipe: Arc::new(recipe),
            runtime: data.path().join("runtime"),
            minimum_free: 0,
            guardian: (PathBuf::from(env!("CARGO_BIN_EXE_childminder")), vec!["__guardian".into()]),
            linger: false,
            bound: false,
        };
        let bound = Bound::new(Places::from_env(), folder.id()).expect("a socket");
        let socket = bound.path().to_owned();
        let engine = Engine::start(options).unwrap_or_else(|error| panic!("{error}"));
        let sources = Sources::of(&folder, Arc::new(engine.handle.job().clone())).expect("sources");
        let server = Server::start(engine.handle.clone(), sources, bound, None).expect("a server");
        Self { engine, socket, folder, data, server }
    }

    /// Asks the actor itself.
    pub(crate) fn ask(&self, request: Request) -> Response {
        let by = Origin { client: "bench".into(), ..Origin::default() };
        block_on(self.engine.handle.ask(by, request)).unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    /// Runs a command to its end; its value.
    pub(crate) fn exec(&self, source: &str) -> String {
        match self.ask(Request::Exec { source: source.into(), wait: true }) {
            Response::Command(detail) => match detail.outcome {
                Some(CommandOutcome::Finished { value, .. }) => value.unwrap_or_default(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    /// Waits until it has nothing to do but its agenda: injected commands run after all that comes before that.
    pub(crate) fn until_idle(&self) {
        self.exec("None");
    }

    /// Ends it; its folder is there as long as what holds it.
    pub(crate) fn stop(self, mode: StopMode) -> (Folder, tempfile::TempDir) {
        self.ask(Request::Stop { mode });
        self.engine.wait();
        block_on(self.server.stop());
        (self.folder, self.data)
    }
}

/// A supervised interpreter without work.
pub(crate) fn interpreter_only() -> Job {
    Job { hold: true, ..Job::default() }
}

/// The interpreter that our engine runs, without whatever launcher stands before it on this machine's PATH.
pub(crate) fn interpreter() -> &'static str {
    static FOUND: OnceLock<String> = OnceLock::new();
    FOUND.get_or_init(|| {
        let session = Session::start(tempfile::tempdir().expect("a folder"), interpreter_only());
        session.until_idle();
        let (folder, _data) = session.stop(StopMode::AfterItem);
        let journal = JournalReader::open(&folder.journal()).expect("a journal");
        let argv = journal.iter_from(0).filter_map(Result::ok).find_map(|recorded| match &recorded.event.kind {
            EventKind::ChildStarting { argv, .. } => argv.first().cloned(),
            _ => None,
        });
        argv.expect("a child was started")
    })
}

/// Waits for a future.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}
