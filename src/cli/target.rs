//! Which session is meant, and the way to its engine.

use super::exit::{Failure, LOST};
use super::host::minimum_free;
use super::out::{Out, complain};
use crate::api::socket::Places;
use crate::api::{Client, Welcome, live::Target};
use crate::model::proto::{ClientHello, Request, Response, Summary, VERSION};
use crate::model::{State, WaitFor};
use crate::store::{Folder, Purpose, Unpacked, cache_dir, find, recover};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The session's folder, by name or by what is the case.
pub(super) fn folder(selector: Option<&str>, purpose: Purpose) -> Result<Folder, Failure> {
    Ok(find(selector, purpose)?)
}

/// A session to look at.
pub(super) enum Recording {
    /// By its folder.
    Folder(Folder),
    /// By a file that `export` made; its files are removed when this is dropped.
    Packed(Unpacked),
}

impl Recording {
    /// The session's files.
    pub(super) fn folder(&self) -> &Folder {
        match self {
            Self::Folder(folder) => folder,
            Self::Packed(unpacked) => unpacked.folder(),
        }
    }

    /// What is missing of it before anything is read, a sentence each.
    pub(super) fn notes(&self) -> &[String] {
        match self {
            Self::Folder(_) => &[],
            Self::Packed(unpacked) => unpacked.notes(),
        }
    }
}

/// The session that is meant, or what the file of this name holds.
pub(super) fn recording(selector: Option<&str>) -> Result<Recording, Failure> {
    let found = folder(selector, Purpose::Read).map(Recording::Folder);
    match selector.map(Path::new).filter(|path| path.is_file()) {
        Some(file) if found.is_err() => Ok(Recording::Packed(Unpacked::open(file, &cache_dir()?, minimum_free()?)?)),
        _ => found,
    }
}

/// What this program says of itself.
pub(super) fn hello(client: &str, read_only: bool) -> ClientHello {
    ClientHello { version: VERSION, client: client.to_owned(), host: whence(), read_only }
}

/// Where this is run from: the SSH client's address, else this host.
fn whence() -> String {
    let ssh = std::env::var("SSH_CONNECTION").ok().and_then(|ssh| Some(ssh.split_whitespace().next()?.to_owned()));
    ssh.or_else(|| nix::unistd::gethostname().ok().map(|name| name.to_string_lossy().into_owned())).unwrap_or_default()
}

/// A session as its files tell it; what they lack is told on standard error. Of one that runs nothing is: its last line may
/// just be being written.
pub(super) fn recovered(folder: &Folder) -> Result<State, Failure> {
    let recovered = recover(folder)?;
    if !folder.is_running() {
        recovered.notes.iter().for_each(|note| complain(note.trim_end_matches('.')));
    }
    Ok(recovered.state)
}

/// A way to an engine.
#[derive(Debug)]
pub(super) enum Way {
    /// By the session's folder.
    Session(Folder),
    /// By a socket for watchers, whose session's folder we cannot read.
    Socket(PathBuf),
}

impl Way {
    /// What stands after `childminder attach` to get there again.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Session(folder) => folder.id().to_owned(),
            Self::Socket(path) => format!("--socket {}", path.display()),
        }
    }

    /// How an engine is reached and known to be alive.
    pub(super) fn target(&self) -> Target {
        let path = match self {
            Self::Session(folder) => return engine(folder),
            Self::Socket(path) => path.clone(),
        };
        let (paths, alive) = (path.clone(), path);
        Target {
            paths: Box::new(move || vec![paths.clone()]),
            alive: Box::new(move || listens(&alive)),
            // What its last pulse said is all that a watcher gets to know.
            ended: Box::new(|| None),
            folder: None,
        }
    }

    /// A connection, and what the engine says of itself.
    pub(super) async fn connect(&self, client: &str, read_only: bool) -> Result<(Client, Welcome), Failure> {
        Ok(self.target().connect(&hello(client, read_only)).await?)
    }
}

/// Whether somebody listens there. Does not wait: one who has no time just now listens nevertheless.
fn listens(path: &Path) -> bool {
    use nix::errno::Errno;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let tried = UnixAddr::new(path).and_then(|address| {
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        connect(socket.as_raw_fd(), &address)
    });
    matches!(tried, Ok(()) | Err(Errno::EAGAIN | Errno::EMFILE | Errno::ENFILE))
}

/// The way to a session's engine.
fn engine(folder: &Folder) -> Target {
    let (paths, alive, ended) = (folder.clone(), folder.clone(), folder.clone());
    Target {
        paths: Box::new(move || sockets(&paths)),
        alive: Box::new(move || alive.is_running()),
        ended: Box::new(move || recover(&ended).ok()?.state.ended),
        folder: Some(folder.clone()),
    }
}

fn sockets(folder: &Folder) -> Vec<PathBuf> {
    let places = Places::from_env();
    let usual = places.candidates(folder.id(), None);
    if usual.iter().any(|path| path.exists()) {
        return usual;
    }
    // Only an engine that was started in another environment put it elsewhere; reading its file may take long.
    let recorded = folder.read_session().ok().and_then(|session| session.engine).map(|engine| engine.socket);
    places.candidates(folder.id(), recorded.as_deref())
}

/// A connection to a session's engine.
pub(super) async fn connect(folder: &Folder, client: &str, read_only: bool) -> Result<Client, Failure> {
    Ok(Way::Session(folder.clone()).connect(client, read_only).await?.0)
}

/// Asks a session's engine to do something, and prints what was done.
pub(super) fn tell(selector: Option<&str>, client: &str, request: Request, done: &str) -> Result<(), Failure> {
    let folder = folder(selector, Purpose::Write)?;
    let answer = block_on(async { Ok(connect(&folder, client, false).await?.ask(request).await?) })?;
    let Response::Done { said } = answer else { return Err(odd()) };
    let mut out = Out::stdout();
    out.line(if said.is_empty() { done } else { &said })?;
    Ok(out.flush()?)
}

/// An answer of another kind than was asked for.
pub(super) fn odd() -> Failure {
    Failure::new(LOST, "the engine answered something else than was asked")
}

/// What is to be said when the engine cannot write its journal.
pub(super) fn journal_trouble(now: &Summary) -> Option<&'static str> {
    let waits = now.waits.iter().any(|wait| wait.what == WaitFor::Journal);
    waits.then_some("the journal cannot be written")
}

/// The same of a session's engine, if it says so at once.
pub(super) fn ask_journal_trouble(folder: &Folder) -> Option<&'static str> {
    const MOST: Duration = Duration::from_millis(300);
    let ask = async {
        match connect(folder, "ls", true).await?.ask(Request::Summary).await? {
            Response::Summary(now) => Ok(journal_trouble(&now)),
            _ => Ok(None),
        }
    };
    // One that does not answer is not said to be in trouble: it may only be busy.
    block_on(async { tokio::time::timeout(MOST, ask).await.unwrap_or(Ok(None)) }).ok().flatten()
}

/// Runs a client's work to its end.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}
