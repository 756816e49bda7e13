//! The same child under our engine, and under the barest thing that stores what it prints.
//!
//! A child measures itself: it looks at the clock before its first and after its last write and says so in a file, so
//! that no start-up counts. All files are on the same disk, and gone before the next round, so that no side pays for
//! what the other left to be written back.

use childminder::api::socket::Places;
use childminder::api::{Bound, Server, Sources};
use childminder::model::proto::{Request, Response};
use childminder::model::{EventKind, Job, Origin, StopMode, Stream};
use childminder::session::engine::{Engine, Options};
use childminder::store::{Folder, JournalReader, SessionFile};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

/// What a child does: Python whose time is taken from `begin()` to `end()`.
pub(crate) struct Script<'s> {
    /// The lines.
    pub(crate) code: &'s str,
    /// Bytes that it prints.
    pub(crate) bytes: u64,
}

const HEAD: &str = r"
import os, sys, time
def begin():
    global begun
    begun = time.monotonic()
def end():
    took = time.monotonic() - begun
    with open(os.environ['TIME_FILE'], 'w') as file:
        file.write(repr(took))
";

/// A folder on the disk of the build, for one run.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

fn took(time: &Path) -> f64 {
    fs::read_to_string(time).expect("the child said its time").parse().expect("a number")
}

fn write_script(folder: &Path, script: &Script<'_>) -> PathBuf {
    let path = folder.join("script.py");
    fs::write(&path, format!("{HEAD}{}", script.code)).expect("written");
    path
}

/// A running engine on a folder of its own.
pub(crate) struct Session {
    pub(crate) engine: Engine,
    pub(crate) folder: Folder,
    pub(crate) socket: PathBuf,
    server: Server,
    pub(crate) data: tempfile::TempDir,
}

impl Session {
    /// A supervised interpreter, idle.
    pub(crate) fn start() -> Self {
        let data = scratch();
        let sessions = data.path().join("sessions");
        fs::create_dir(&sessions).expect("a folder");
        let time = data.path().join("time").display().to_string();
        let job = Job { hold: true, env: [("TIME_FILE".to_owned(), time)].into_iter().collect(), ..Job::default() };
        let folder = Folder::create(&sessions, &SessionFile::new(job, None)).expect("a session folder");
        let recipe = childminder::backend::find("python").unwrap_or_else(|error| panic!("{error}"));
        let options = Options {
            folder: folder.clone(),
            recipe: Arc::new(recipe),
            runtime: data.path().join("runtime"),
            minimum_free: 0,
            guardian: (PathBuf::from(env!("CARGO_BIN_EXE_childminder")), vec!["__guardian".into()]),
            linger: false,
        };
        let bound = Bound::new(Places::from_env(), folder.id()).expect("a socket");
        let socket = bound.path().to_owned();
        let engine = Engine::start(options).unwrap_or_else(|error| panic!("{error}"));
        let sources = Sources::of(&folder, Arc::new(engine.handle.job().clone())).expect("sources");
        let server = Server::start(engine.handle.clone(), sources, bound, None).expect("a server");
        let session = Self { engine, folder, socket, server, data };
        session.exec("None");
        session
    }

    fn ask(&self, request: Request) -> Response {
        let by = Origin { client: "bench".into(), ..Origin::default() };
        block_on(self.engine.handle.ask(by, request)).unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    fn exec(&self, source: &str) {
        let done = self.ask(Request::Exec { source: source.into(), wait: true });
        assert!(matches!(done, Response::Command(_)), "{done:?}");
    }

    /// Runs the script to its end; the child's own seconds.
    pub(crate) fn run(&self, script: &Script<'_>) -> f64 {
        let path = write_script(self.data.path(), script);
        self.exec(&format!("exec(compile(open({}).read(), 'script', 'exec'))", quoted(&path)));
        took(&self.data.path().join("time"))
    }

    /// Ends it, and looks whether all that was printed is there.
    pub(crate) fn stop(self, script: &Script<'_>) {
        self.ask(Request::Stop { mode: StopMode::Now });
        self.engine.wait();
        block_on(self.server.stop());
        let stored = self.folder.output(Stream::Stdout).metadata().expect("a log").len();
        assert_eq!(stored, script.bytes, "not all of the output was stored");
    }
}

/// The child's seconds under our engine, with nobody watching.
pub(crate) fn ours(script: &Script<'_>) -> f64 {
    let session = Session::start();
    let took = session.run(script);
    session.stop(script);
    took
}

/// The child's seconds where a shell runs it; `$PYTHON`, `$SCRIPT` and `$OUT` say what and where.
pub(crate) fn shell(script: &Script<'_>, line: &str) -> f64 {
    let folder = scratch();
    let (out, time) = (folder.path().join("out"), folder.path().join("time"));
    let done = Command::new("sh")
        .args(["-c", line])
        .env("PYTHON", interpreter())
        .env("SCRIPT", write_script(folder.path(), script))
        .env("OUT", &out)
        .env("TIME_FILE", &time)
        .env("TMUX_TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(File::create(folder.path().join("said")).expect("a file"))
        .status()
        .expect("a shell");
    assert!(done.success(), "{line}");
    took(&time)
}

/// The interpreter that our engine runs, without whatever launcher stands before it on this machine's PATH.
fn interpreter() -> &'static str {
    static FOUND: OnceLock<String> = OnceLock::new();
    FOUND.get_or_init(|| {
        let session = Session::start();
        let folder = session.folder.clone();
        let journal = JournalReader::open(&folder.journal()).expect("a journal");
        let argv = journal.iter_from(0).filter_map(Result::ok).find_map(|recorded| match &recorded.event.kind {
            EventKind::ChildStarting { argv, .. } => argv.first().cloned(),
            _ => None,
        });
        session.stop(&Script { code: "", bytes: 0 });
        argv.expect("a child was started")
    })
}

/// Whether a program is installed here.
pub(crate) fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// A path as Python has it.
fn quoted(path: &Path) -> String {
    serde_json::to_string(path.to_str().expect("UTF-8")).expect("a string")
}
