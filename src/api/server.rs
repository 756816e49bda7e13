//! The server: a thread of its own, so that clients can never delay the engine's actor.

use super::answers::Session;
use super::connection::{self, Door};
use super::listener::{Bound, Listener, Watchers, WatchersListener};
use super::once::Once;
use super::pages::Sources;
use crate::model::proto::ServerHello;
use crate::session::Handle;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// How many clients there may be at once.
pub const CLIENTS: usize = 64;
/// How many of them may be watchers, so that these cannot keep the owner out.
pub const WATCHERS: usize = CLIENTS / 2;
/// How many threads read files at once; they are made when needed and end when idle.
const READERS: usize = 64;
/// How long clients have, once the session is over, to take the last words.
const LINGER: Duration = Duration::from_secs(1);

/// What every connection shares.
pub(super) struct Shared {
    /// The session.
    pub(super) session: Session,
    /// The writes seen.
    pub(super) once: Once,
    /// Becomes true when the session is over.
    pub(super) stop: watch::Receiver<bool>,
    /// Whose session it is.
    pub(super) uid: u32,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    stop: watch::Sender<bool>,
    done: oneshot::Receiver<()>,
}

impl Server {
    /// Starts the thread `api` on a bound socket, and on a second one for watchers if there is one.
    pub fn start(handle: Handle, sources: Sources, bound: Bound, watchers: Option<Watchers>) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let (done_tx, done) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(READERS)
            .thread_name("api-read")
            .build()?;
        std::thread::Builder::new().name("api".into()).spawn(move || {
            if let Err(error) = runtime.block_on(serve(handle, sources, bound, watchers, stopped)) {
                tracing::error!("the session cannot be reached by clients: {error}");
            }
            // A read that hangs on a dead disk must not keep the engine from ending.
            runtime.shutdown_background();
            // Nobody waits for it when the engine ends without a farewell.
            let _ = done_tx.send(());
        })?;
        Ok(Self { stop, done })
    }

    /// Gives the clients the last words, for a bounded time, and ends. The actor must answer looks meanwhile.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // An error means that the thread has ended already.
        let _ = tokio::time::timeout(LINGER * 2, self.done).await;
    }
}

/// Serves until `stop` becomes true, and then for a moment more, so that clients hear of the end.
pub async fn serve(
    handle: Handle,
    sources: Sources,
    bound: Bound,
    watchers: Option<Watchers>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut owners = Listener::new(bound)?;
    let mut watchers = watchers.map(WatchersListener::new).transpose()?;
    let uid = nix::unistd::geteuid().as_raw();
    let shared =
        Arc::new(Shared { session: Session::new(handle, sources), once: Once::default(), stop: stop.clone(), uid });
    let mut clients: JoinSet<Door> = JoinSet::new();
    let mut watching = Watching::default();
    loop {
        let (stream, door) = tokio::select! {
            () = stopped(&mut stop) => break,
            stream = owners.accept() => (stream, Door::Owner),
            stream = next_watcher(watchers.as_mut()) => (stream, Door::Watchers),
            Some(ended) = clients.join_next() => {
                watching.left(ended);
                continue;
            }
        };
        if clients.len() >= CLIENTS {
            turn_away(&stream, CLIENTS);
        } else if door == Door::Watchers && !watching.comes() {
            turn_away(&stream, WATCHERS);
        } else {
            let shared = shared.clone();
            clients.spawn(async move {
                connection::run(stream, door, shared).await;
                door
            });
        }
    }
    drop((owners, watchers));
    // Those that do not take the last words by then are cut off.
    let _ = tokio::time::timeout(LINGER, async { while clients.join_next().await.is_some() {} }).await;
    Ok(())
}

/// Waits until the session is over; an engine that has gone without a word counts too.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn next_watcher(watchers: Option<&mut WatchersListener>) -> UnixStream {
    match watchers {
        Some(watchers) => watchers.accept().await,
        None => std::future::pending().await,
    }
}

/// How many watchers are connected.
#[derive(Default)]
struct Watching(usize);

impl Watching {
    /// Whether there is room for one more, who then comes.
    fn comes(&mut self) -> bool {
        let room = self.0 < WATCHERS;
        self.0 += usize::from(room);
        room
    }

    fn left(&mut self, ended: Result<Door, tokio::task::JoinError>) {
        match ended {
            Ok(Door::Watchers) => self.0 = self.0.saturating_sub(1),
            Ok(Door::Owner) => {}
            Err(error) => tracing::error!("a client's connection ended by a fault of ours: {error}"),
        }
    }
}

fn turn_away(stream: &UnixStream, most: usize) {
    tracing::warn!("a client was refused: {most} are connected");
    let reason = format!("{most} clients are connected already; close one of them");
    if let Ok(frame) = super::frames::encode(&ServerHello::Refused { reason }) {
        // A new socket has room for so little; if not, the client sees the end of the connection.
        let _ = stream.try_write(&frame);
    }
}
