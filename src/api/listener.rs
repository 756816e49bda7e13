//! The listening socket, which stays reachable: when its file or folder vanishes (a cleaner of temporary files, a
//! log-out) it is made again, where a log-out reaches nothing. Inotify tells of that, so nothing polls.

use super::socket::{Places, SocketError};
use super::vanishing::{Vanishing, watch};
use nix::errno::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;

/// How long to wait before trying again what the system refused just now, and before a socket is made again in the
/// folder it vanished from: whoever removes that folder shall be done with it first.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest such wait; it doubles with every failure, so that a log does not fill.
const AGAIN_AT_MOST: Duration = Duration::from_mins(1);

/// A bound socket that no runtime knows yet, so that the engine can say that it listens before its server runs.
#[derive(Debug)]
pub struct Bound {
    places: Places,
    session: String,
    path: PathBuf,
    /// Device and inode of the file; `None` once it is known to be gone.
    file: Option<(u64, u64)>,
    socket: StdListener,
    /// `None` when the system has no inotify to give; then a vanished socket stays so.
    vanishing: Option<OwnedFd>,
    /// How long to wait, once it has vanished, before it is made again.
    pause: Duration,
}

impl Bound {
    /// Binds the session's socket; only its owner can reach it.
    ///
    /// A file that stands in its place is from a dead engine: a live one holds the lock of the session's folder.
    pub fn new(places: Places, session: &str) -> Result<Self, SocketError> {
        let path = places.prepare(session)?;
        // There a log-out removes it, and it will be made again elsewhere.
        let pause = if places.is_in_runtime(&path) { Duration::ZERO } else { AGAIN };
        Self::at(path, places, session, pause)
    }

    /// Binds it again after it vanished.
    fn anew(places: Places, session: &str) -> Result<Self, SocketError> {
        let path = places.prepare_anew(session)?;
        Self::at(path, places, session, AGAIN)
    }

    fn at(path: PathBuf, places: Places, session: &str, pause: Duration) -> Result<Self, SocketError> {
        // Watched before it is bound, so that nothing can go unseen.
        let vanishing = path.parent().and_then(|folder| watch(folder).map_err(unwatched).ok());
        let (socket, file) = bind(&path, 0o600).map_err(|source| SocketError::Io { path: path.clone(), source })?;
        Ok(Self { places, session: session.to_owned(), path, file: Some(file), socket, vanishing, pause })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn is_there(&self) -> bool {
        self.path.symlink_metadata().is_ok_and(|found| Some((found.dev(), found.ino())) == self.file)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if self.is_there() {
            // Nothing is lost when it stays: clients are told that nobody listens.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A second socket for a group of watchers: whoever comes through it can only read.
#[derive(Debug)]
pub struct Watchers {
    path: PathBuf,
    socket: StdListener,
}

impl Watchers {
    /// Binds it where the members of a group find it.
    pub fn of_session(places: &Places, session: &str, gid: u32) -> Result<Self, SocketError> {
        Self::new(&places.prepare_for_group(session, gid)?, gid)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Binds it, for the members of a group.
    pub fn new(path: &Path, gid: u32) -> Result<Self, SocketError> {
        let io = |source| SocketError::Io { path: path.to_owned(), source };
        let (socket, _) = bind(path, 0o600).map_err(io)?;
        std::os::unix::fs::chown(path, None, Some(gid)).map_err(io)?;
        // Only now: before, the group was not the right one.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(io)?;
        Ok(Self { path: path.to_owned(), socket })
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        // Nothing is lost when it stays: clients are told that nobody listens.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn bind(path: &Path, mode: u32) -> io::Result<(StdListener, (u64, u64))> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = StdListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    socket.set_nonblocking(true)?;
    let found = path.symlink_metadata()?;
    Ok((socket, (found.dev(), found.ino())))
}

fn unwatched(error: Errno) {
    tracing::warn!("the socket's folder cannot be watched ({error}): if the socket is removed, it is not made again");
}

/// The socket on the server's runtime.
pub(super) struct Listener {
    bound: Bound,
    socket: UnixListener,
    vanishing: Option<Vanishing>,
    missing: Option<Missing>,
}

/// A socket that has vanished.
struct Missing {
    /// When it is made again.
    due: Instant,
    /// How long to wait after the next failure.
    pause: Duration,
}

impl Listener {
    /// Must be called on the runtime.
    pub(super) fn new(mut bound: Bound) -> io::Result<Self> {
        let socket = UnixListener::from_std(bound.socket.try_clone()?)?;
        let vanishing = bound.vanishing.take().map(Vanishing::new).transpose()?;
        Ok(Self { bound, socket, vanishing, missing: None })
    }

    /// The next connection. May be cancelled at any time: that the socket is missing is kept, not known from an event
    /// that comes once.
    pub(super) async fn accept(&mut self) -> UnixStream {
        loop {
            self.look();
            tokio::select! {
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, _)) => return stream,
                    Err(error) => {
                        tracing::warn!("a client could not be accepted: {error}");
                        tokio::time::sleep(AGAIN).await;
                    }
                },
                () = stirred(self.vanishing.as_ref()) => {}
                () = due(self.missing.as_ref()) => {}
            }
        }
    }

    /// Sees whether the socket is missing, and makes it again when that is due.
    fn look(&mut self) {
        if self.bound.is_there() {
            return;
        }
        // The new file may get the old one's inode; dropping the old one must not remove it.
        self.bound.file = None;
        let now = Instant::now();
        let missing = self.missing.get_or_insert(Missing { due: now + self.bound.pause, pause: AGAIN });
        if missing.due > now {
            return;
        }
        let again = Bound::anew(self.bound.places.clone(), &self.bound.session)
            .map_err(|error| error.to_string())
            .and_then(|bound| Self::new(bound).map_err(|error| error.to_string()));
        match again {
            Ok(listener) => {
                *self = listener;
                tracing::warn!("the session's socket had vanished; it is at {} now", self.bound.path.display());
            }
            Err(error) => {
                tracing::error!("the session's socket has vanished and cannot be made again: {error}");
                *missing = Missing { due: now + missing.pause, pause: (missing.pause * 2).min(AGAIN_AT_MOST) };
            }
        }
    }
}

/// The watchers' socket on the server's runtime.
pub(super) struct WatchersListener {
    socket: UnixListener,
    _bound: Watchers,
}

impl WatchersListener {
    /// Must be called on the runtime.
    pub(super) fn new(bound: Watchers) -> io::Result<Self> {
        Ok(Self { socket: UnixListener::from_std(bound.socket.try_clone()?)?, _bound: bound })
    }

    /// The next connection. May be cancelled at any time.
    pub(super) async fn accept(&mut self) -> UnixStream {
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => return stream,
                Err(error) => {
                    tracing::warn!("a watcher could not be accepted: {error}");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

async fn stirred(vanishing: Option<&Vanishing>) {
    let stirred = match vanishing {
        Some(vanishing) => vanishing.stirred().await,
        None => std::future::pending().await,
    };
    if let Err(error) = stirred {
        tracing::warn!("the socket's folder is watched no more: {error}");
        std::future::pending::<()>().await;
    }
}

async fn due(missing: Option<&Missing>) {
    match missing {
        Some(missing) => tokio::time::sleep_until(missing.due).await,
        None => std::future::pending().await,
    }
}
