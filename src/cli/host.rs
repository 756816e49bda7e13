//! An engine in this process: its socket, its signals, its log, and how it tells that it is ready.

use super::child_file::Recorder;
use super::exit::{Failure, LOST, NOT_STARTED};
use crate::api::socket::Places;
use crate::api::{Bound, Server, Sources, Watchers};
use crate::backend::{self, Recipe};
use crate::child::ProcessId;
use crate::model::Job;
use crate::session::engine::{Engine, Options};
use crate::session::{Handle, Message};
use crate::store::{Doing, EngineFile, Folder, Limits, SessionFile, regular};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

/// Less free space than this, and output is not kept; in bytes.
const MINIMUM_FREE: u64 = 2 << 30;

/// How many days a session is kept after its last change, unless set otherwise.
const KEEP_DAYS: u32 = 30;
/// How much room all sessions together may take, in bytes, unless set otherwise.
const KEEP_SIZE: u64 = 20 << 30;

/// A session's engine, here.
pub(super) struct Hosted {
    engine: Engine,
    server: Server,
    runtime: tokio::runtime::Runtime,
    signals: Signals,
    recorder: Recorder,
    stay: Stay,
}

/// How long an ended session stays to be looked at.
pub(super) enum Stay {
    /// Not at all.
    No,
    /// Until the last client has gone.
    ForClients,
    /// Until whoever started it has gone, too. When they go, the session is stopped.
    Bound(oneshot::Receiver<()>),
}

/// What comes from outside. Taken before anything is started, so that none ends this process in between.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Swallowed: losing a terminal changes nothing for a session.
    hangup: Signal,
    /// Swallowed: a file that may not grow is a full disk, no reason to die.
    _file_size: Signal,
}

impl Hosted {
    /// Starts it. When this returns, clients can come.
    ///
    /// With `watchers`, the members of that group may watch.
    pub(super) fn start(folder: &Folder, stay: Stay, watchers: Option<u32>) -> Result<Self, Failure> {
        log_to(&folder.engine_log())?;
        let session = folder.read_session()?;
        let recipe = recipe(&session)?;
        let job = Arc::new(session.job.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _on = runtime.enter();
            Signals::take()?
        };
        let started = |error: &dyn std::error::Error| Failure::new(NOT_STARTED, error.to_string());
        let options = Options {
            folder: folder.clone(),
            recipe: Arc::new(recipe),
            runtime: launch_folder(folder)?,
            minimum_free: minimum_free()?,
            guardian: (PathBuf::from("/proc/self/exe"), vec!["__guardian".to_owned()]),
            linger: !matches!(stay, Stay::No),
            bound: matches!(stay, Stay::Bound(_)),
        };
        let limits = limits()?;
        let engine = Engine::start(options).map_err(engine_failure)?;
        remove_old(folder, limits)?;
        // Only the holder of the folder's lock may take the socket's place, and that is us from here on.
        let serve = || {
            let places = Places::from_env();
            let bound = Bound::new(places.clone(), folder.id()).map_err(|error| started(&error))?;
            let watchers = watchers.map(|gid| Watchers::of_session(&places, folder.id(), gid)).transpose();
            let watchers = watchers.map_err(|error| started(&error))?;
            record_engine(folder, session, &bound, watchers.as_ref())?;
            let sources = Sources::of(folder, job)?;
            Server::start(engine.handle.clone(), sources, bound, watchers).map_err(|error| started(&error))
        };
        let served = serve();
        match served {
            Ok(server) => {
                let recorder = Recorder::new(folder, engine.handle.feed());
                Ok(Self { engine, server, runtime, signals, recorder, stay })
            }
            Err(failure) => {
                // Nobody could reach it; the child is ended in the proper way.
                runtime.block_on(engine.handle.send(Message::Signal(libc::SIGTERM)));
                engine.wait();
                Err(failure)
            }
        }
    }

    /// Waits until the session is over, passing on the signals that come; its exit code.
    pub(super) fn wait(self) -> Result<u8, Failure> {
        let Self { engine, server, runtime, signals, mut recorder, stay } = self;
        let handle = engine.handle.clone();
        let (over, ended) = oneshot::channel();
        std::thread::Builder::new().name("wait".into()).spawn(move || {
            // Nobody waits for it only if this process is going down already.
            let _ = over.send(engine.wait());
        })?;
        let code = runtime.block_on(async {
            let code = tokio::select! {
                code = ended => code.unwrap_or(i32::from(LOST)),
                () = signals.pass_on(&handle) => i32::from(LOST),
                () = recorder.follow() => i32::from(LOST),
                () = stay.stop(&handle) => i32::from(LOST),
            };
            // A short session's child may not have been looked at yet.
            recorder.look();
            server.stop().await;
            code
        });
        Ok(u8::try_from(code).unwrap_or(LOST))
    }
}

impl Stay {
    /// Stops the session when whoever started it has gone. Does not end.
    async fn stop(self, handle: &Handle) {
        if let Self::Bound(gone) = self {
            // Nothing is ever sent.
            let _ = gone.await;
            handle.send(Message::Signal(libc::SIGTERM)).await;
            handle.send(Message::Clients(-1)).await;
        }
        std::future::pending::<()>().await;
    }
}

impl Signals {
    /// Must be called on the runtime.
    fn take() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(libc::SIGXFSZ))?,
        })
    }

    async fn pass_on(mut self, handle: &Handle) {
        loop {
            let number = tokio::select! {
                Some(()) = self.interrupt.recv() => libc::SIGINT,
                Some(()) = self.terminate.recv() => libc::SIGTERM,
                Some(()) = self.hangup.recv() => continue,
                else => return std::future::pending().await,
            };
            handle.send(Message::Signal(number)).await;
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn engine_failure(error: crate::session::engine::EngineError) -> Failure {
    use crate::session::engine::EngineError;
    let code = match error {
        EngineError::Store(_) | EngineError::Over { .. } | EngineError::NoJournal { .. } => super::exit::REFUSED,
        EngineError::Io(_) => NOT_STARTED,
    };
    Failure::new(code, error.to_string())
}

/// The recipe as it was when the session was made.
fn recipe(session: &SessionFile) -> Result<Recipe, Failure> {
    let wrong = |error: String| Failure::new(super::exit::USAGE, error);
    match &session.recipe_text {
        Some(text) => backend::kept(text, session.recipe_file.clone()).map_err(|error| wrong(error.to_string())),
        None => backend::of_job(&session.job).map_err(|error| wrong(error.to_string())),
    }
}

/// A private folder for what the child is started with. Not in the runtime directory, which goes away when its user logs
/// out: a child that is started again after that needs it too.
pub(super) fn launch_folder(folder: &Folder) -> Result<PathBuf, Failure> {
    let socket = Places::from_env().prepare_anew(folder.id());
    let socket = socket.map_err(|error| Failure::new(NOT_STARTED, error.to_string()))?;
    Ok(socket.with_extension("d"))
}

fn record_engine(
    folder: &Folder,
    session: SessionFile,
    bound: &Bound,
    watchers: Option<&Watchers>,
) -> Result<(), Failure> {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
    let engine = ProcessId::own().map(|own| EngineFile {
        pid: own.pid,
        start_time: own.start_time,
        socket: bound.path().to_owned(),
        watchers: watchers.map(|watchers| watchers.path().to_owned()),
        boot_id,
    });
    Ok(folder.write_session(&SessionFile { engine, child: None, ..session })?)
}

/// What a variable of the environment says; `None` when it says nothing.
fn setting<T>(name: &str, read: impl Fn(&str) -> Option<T>, such_as: &str) -> Result<Option<T>, Failure> {
    let Some(said) = std::env::var_os(name).filter(|said| !said.is_empty()) else { return Ok(None) };
    let value = said.to_str().and_then(read);
    let wrong = || Failure::new(super::exit::USAGE, format!("{name} is {}, not {such_as}", said.display()));
    value.map(Some).ok_or_else(wrong)
}

pub(super) fn minimum_free() -> Result<u64, Failure> {
    let said = setting("CHILDMINDER_MINIMUM_FREE", crate::model::size::parse, "a size such as 500M or 2G")?;
    Ok(said.unwrap_or(MINIMUM_FREE))
}

/// How long, and how much, is kept.
pub(super) fn limits() -> Result<Limits, Failure> {
    let whole = |text: &str| text.parse::<u32>().ok();
    let days = limit("CHILDMINDER_KEEP_DAYS", KEEP_DAYS, whole, "a whole number of days, or none")?;
    let size =
        limit("CHILDMINDER_KEEP_SIZE", KEEP_SIZE, crate::model::size::parse, "a size such as 500M or 20G, or none")?;
    Ok(Limits { age: days.map(|days| Duration::from_hours(24) * days), size })
}

/// A limit that `none` turns off.
fn limit<T>(name: &str, usual: T, read: impl Fn(&str) -> Option<T>, such_as: &str) -> Result<Option<T>, Failure> {
    if std::env::var_os(name).is_some_and(|said| said == "none") {
        return Ok(None);
    }
    Ok(Some(setting(name, read, such_as)?.unwrap_or(usual)))
}

/// Removes old sessions beside this one, on a thread of its own: nobody waits for it, and what it does not come to do
/// before this process ends is done by the next engine.
fn remove_old(folder: &Folder, limits: Limits) -> Result<(), Failure> {
    let Some(dir) = folder.path().parent().map(Path::to_owned) else { return Ok(()) };
    // A session that was put elsewhere has strangers beside it.
    if crate::store::sessions_dir().ok().as_ref() != Some(&dir) {
        return Ok(());
    }
    std::thread::Builder::new().name("retention".into()).spawn(move || {
        crate::store::sweep(&dir, limits, Doing::Remove, |removed| match removed {
            Ok(removed) => {
                let days = removed.age.as_secs() / (24 * 3600);
                let why = if removed.too_old { "it was too old" } else { "all together took too much room" };
                let bytes = removed.bytes;
                tracing::info!("session {} was removed ({bytes} bytes, changed {days} days ago): {why}", removed.id);
            }
            Err((path, error)) => tracing::warn!("{} is to be removed but cannot be: {error}", path.display()),
        });
    })?;
    Ok(())
}

/// Opens the session's `engine.log` to be added to.
pub(super) fn engine_log(path: &Path) -> Result<File, Failure> {
    let file = regular::open_with(OpenOptions::new().append(true).create(true).mode(0o600), path);
    file.map_err(|error| Failure::new(NOT_STARTED, format!("cannot open {}: {error}", path.display())))
}

/// Sends this process's traces to the session's `engine.log`.
fn log_to(path: &Path) -> Result<(), Failure> {
    let file = engine_log(path)?;
    let filter = EnvFilter::try_from_env("CHILDMINDER_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // Fails when this process has a log already, which then stays.
    let _ = tracing_subscriber::fmt().with_ansi(false).with_env_filter(filter).with_writer(Mutex::new(file)).try_init();
    Ok(())
}

/// A new session's folder for a job, where sessions are kept.
pub(super) fn create(job: Job) -> Result<Folder, Failure> {
    let dir = crate::store::sessions_dir().map_err(no_place)?;
    create_in(&dir, job)
}

/// A new session's folder for a job, in a folder.
pub(super) fn create_in(dir: &Path, job: Job) -> Result<Folder, Failure> {
    let recipe = backend::of_job(&job).map_err(|error| Failure::new(super::exit::USAGE, error.to_string()))?;
    let session = SessionFile { recipe_file: recipe.file, ..SessionFile::new(job, Some(recipe.text)) };
    Folder::create(dir, &session).map_err(no_place)
}

/// Nothing is wrong with what was asked for; there is no place to do it.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn no_place(error: crate::store::StoreError) -> Failure {
    Failure::new(NOT_STARTED, error.to_string())
}
