//! The engine as its own process, as `run` starts it, with a real child: what it holds can be looked at from outside, and
//! it can be killed.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use crate::session::{self, Ended, aftermath};
use childminder::api::{ApiError, Client};
use childminder::model::proto::{ClientHello, Request, Response, VERSION};
use childminder::model::{ChildState, CommandOutcome, Event, Generation, Job, SessionPhase, State, StopMode};
use childminder::store::{Folder, SessionFile, recover};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// A user with one session, and all of their folders.
#[derive(Clone)]
pub(crate) struct Place {
    home: Arc<tempfile::TempDir>,
    folder: Folder,
}

impl Place {
    /// Makes the folders and stores the job.
    pub(crate) fn new(job: Job) -> Self {
        Self::of(tempfile::tempdir().expect("a folder"), job)
    }

    /// The same, in this folder.
    pub(crate) fn of(home: tempfile::TempDir, job: Job) -> Self {
        for name in ["run", "tmp", "work", "data", "data/sessions"] {
            std::fs::create_dir(home.path().join(name)).expect("a folder");
        }
        let file = SessionFile::new(job, None);
        let folder = Folder::create(&home.path().join("data/sessions"), &file).expect("a session folder");
        Self { home: Arc::new(home), folder }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Where the program finds everything.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let place = |name: &str| self.home().join(name).display().to_string();
        vec![
            ("CHILDMINDER_DATA_DIR", place("data")),
            ("XDG_RUNTIME_DIR", place("run")),
            ("XDG_CACHE_HOME", place("cache")),
            ("XDG_CONFIG_HOME", place("config")),
            ("XDG_STATE_HOME", place("state")),
            ("TMPDIR", place("tmp")),
            // The disk of a test machine may be nearly full.
            ("CHILDMINDER_MINIMUM_FREE", "0".to_owned()),
        ]
    }

    /// The program, with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_childminder"));
        command.args(arguments).current_dir(self.home().join("work")).stdin(Stdio::null());
        command.envs(self.environment()).env_remove("SSH_CONNECTION");
        command
    }

    /// Starts an engine; does not wait until it is ready.
    pub(crate) fn start(&self) -> Supervised {
        self.start_with(|_| ())
    }

    /// The same, with something else about how it is started.
    pub(crate) fn start_with(&self, change: impl FnOnce(&mut Command)) -> Supervised {
        let mut engine = self.command(&["__engine"]);
        engine.arg(self.folder.path()).stdout(Stdio::piped());
        change(&mut engine);
        Supervised { engine: engine.spawn().expect("an engine"), place: self.clone() }
    }

    /// What is empty again when an engine has ended.
    fn transient(&self) -> [PathBuf; 2] {
        ["run", "tmp"].map(|name| self.home().join(name))
    }
}

/// A running engine; killed, at the latest, when its test is over.
pub(crate) struct Supervised {
    engine: Child,
    place: Place,
}

/// What an engine has open, by what it is, and who its children are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Holdings {
    files: BTreeMap<String, usize>,
    zombies: Vec<u32>,
}

impl Supervised {
    /// Starts one, and waits until clients can come.
    pub(crate) fn of(job: Job) -> Self {
        let mut engine = Place::new(job).start();
        engine.must_get_ready();
        engine
    }

    /// Waits until clients can come.
    pub(crate) fn must_get_ready(&mut self) {
        let mut word = String::new();
        self.engine.stdout.take().expect("a pipe").read_to_string(&mut word).expect("text");
        assert_eq!(word, "ready\n");
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.place.folder
    }

    pub(crate) fn pid(&self) -> u32 {
        self.engine.id()
    }

    // ---- asking ---------------------------------------------------------------------------------------------------

    /// Where clients look for its socket.
    pub(crate) fn sockets(&self) -> Vec<PathBuf> {
        let places = childminder::api::socket::Places {
            runtime: Some(self.place.home().join("run")),
            temporary: self.place.home().join("tmp"),
            uid: nix::unistd::geteuid().as_raw(),
        };
        places.candidates(self.folder().id(), None)
    }

    /// Connects where it listens, on the runtime that this is awaited on.
    pub(crate) async fn client(&self) -> Result<Client, ApiError> {
        let hello = ClientHello { version: VERSION, client: "test".into(), host: "here".into(), read_only: false };
        let mut failed = None;
        for path in self.sockets() {
            match Client::connect(&path, &hello).await {
                Ok((client, _)) => return Ok(client),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.expect("a place to look at"))
    }

    /// Asks on a connection of its own, and waits for the answer.
    pub(crate) fn ask(&self, request: Request) -> Result<Response, ApiError> {
        let asked = async { self.client().await?.ask(request).await };
        session::block_on(async { tokio::time::timeout(session::PATIENCE, asked).await })
            .unwrap_or_else(|_| panic!("no answer\n{}", self.tail()))
    }

    /// Runs a command and gives its outcome.
    #[track_caller]
    pub(crate) fn exec(&self, source: &str) -> CommandOutcome {
        session::outcome(self.ask(Request::Exec { source: source.into(), wait: true }), self.folder())
    }

    /// Runs a command and gives its value.
    #[track_caller]
    pub(crate) fn value(&self, source: &str) -> String {
        session::value(source, self.exec(source))
    }

    /// Has a command run, and waits until it has begun.
    pub(crate) fn begin(&self, source: &str) {
        let queued = self.ask(Request::Exec { source: source.into(), wait: false });
        let Ok(Response::Queued { id }) = queued else { panic!("{queued:?}") };
        self.until("its beginning", |state| state.running.is_some_and(|running| running.id == id && running.started));
    }

    // ---- looking --------------------------------------------------------------------------------------------------

    /// The fold of what it has recorded so far.
    pub(crate) fn state(&self) -> State {
        recover(self.folder()).expect("readable").state
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        session::events(self.folder())
    }

    pub(crate) fn tail(&self) -> String {
        let log = std::fs::read_to_string(self.folder().engine_log()).unwrap_or_default();
        format!("{}\n--- engine.log\n{log}", session::tail(self.folder()))
    }

    /// Waits until its state is as wanted.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&State) -> bool) {
        session::until(what, self.folder(), || wanted(&self.state()));
    }

    /// Waits until items may run.
    pub(crate) fn until_agenda(&self) {
        self.until("the agenda", |state| state.phase == SessionPhase::Agenda);
    }

    /// Waits until the child of this number is ready for work.
    pub(crate) fn until_generation(&self, generation: u32) {
        self.until("the next child", |state| {
            let connected = matches!(state.child, ChildState::Connected { .. });
            connected && state.generation == Generation(generation) && state.phase == SessionPhase::Agenda
        });
    }

    /// What it holds once it has nothing to do and nobody asks: to be compared with what it holds later.
    pub(crate) fn holdings(&self) -> Holdings {
        // What is opened at the first command and kept is no leak.
        assert_eq!(self.value("1 + 1"), "2");
        let (mut holds, mut seen) = (self.holds(), 0);
        session::until("an engine at rest", self.folder(), || {
            let again = self.holds();
            // Our own connection may just be ending.
            seen = if again == holds && again.zombies.is_empty() { seen + 1 } else { 0 };
            holds = again;
            seen == 20
        });
        holds
    }

    /// Waits until it holds what it held before, neither more nor less, and no child of its is a zombie; and it works.
    #[track_caller]
    pub(crate) fn must_hold(&self, before: &Holdings, what: &str) {
        assert_eq!(self.value("1 + 1"), "2", "{what}");
        let begun = std::time::Instant::now();
        while self.holds() != *before {
            assert!(begun.elapsed() < session::PATIENCE, "{what}: {:#?} are not {before:#?}", self.holds());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn holds(&self) -> Holdings {
        let mut files = BTreeMap::new();
        for file in std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("open files").flatten() {
            let Ok(target) = file.path().read_link() else { continue };
            let name = target.display().to_string();
            // A socket or a pipe has a number of its own.
            let kind =
                name.split_once(":[").filter(|(kind, _)| !kind.starts_with("anon")).map_or(&*name, |(kind, _)| kind);
            *files.entry(kind.to_owned()).or_default() += 1;
        }
        Holdings { files, zombies: aftermath::zombies(self.pid()) }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.engine.try_wait().expect("known").is_some()
    }

    // ---- the end --------------------------------------------------------------------------------------------------

    /// Stops it after the running item, and waits for its end.
    pub(crate) fn stop(self) -> Ended {
        self.ask(Request::Stop { mode: StopMode::AfterItem }).expect("stopped");
        self.wait()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        let folder = self.folder().clone();
        session::until("the engine's end", &folder, || self.has_ended());
        let code = self.engine.wait().expect("known").code();
        let code = code.unwrap_or_else(|| panic!("the engine was killed\n{}", self.tail()));
        Ended::new(code, Arc::clone(&self.place.home), folder, &self.place.transient())
    }

    /// `kill -9`. Gives the place, where another one can go on.
    pub(crate) fn kill(mut self) -> Place {
        self.engine.kill().expect("killed");
        self.engine.wait().expect("reaped");
        self.place.clone()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.engine.kill();
        let _ = self.engine.wait();
    }
}
