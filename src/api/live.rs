//! A running session as a window sees it: a connection that is made again by itself, and once the engine is gone for good,
//! what it recorded.

use super::client::{Client, new_id};
use super::view::{Link, SessionView};
use super::{ApiError, Replay, Welcome};
use crate::model::Micros;
use crate::model::proto::{ClientHello, Request, Response, ServerFrame, Summary};
use crate::model::state::Ended;
use crate::store::Folder;
use futures_util::future::BoxFuture;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::runtime::{self, Handle};
use tokio::sync::watch::error::RecvError;
use tokio::sync::{OnceCell, oneshot, watch};

/// The pause before the first try to connect again, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How long a request waits for a connection.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a request is sent before it is given up.
const TRIES: usize = 5;

/// What to connect to.
pub struct Target {
    /// Where the socket may be, likeliest first; asked again before each try.
    pub paths: Box<dyn Fn() -> Vec<PathBuf> + Send + Sync>,
    /// Whether the engine is alive: it holds its folder's lock.
    pub alive: Box<dyn Fn() -> bool + Send + Sync>,
    /// How the session ended, as recorded: an engine may be gone before it could tell. Reads files.
    pub ended: Box<dyn Fn() -> Option<Ended> + Send + Sync>,
    /// Where the session is recorded, if that is known here: what is left to look at once the engine is gone.
    pub folder: Option<Folder>,
}

impl Target {
    /// Connects to the first path that answers.
    pub async fn connect(&self, hello: &ClientHello) -> Result<(Client, Welcome), ApiError> {
        let mut refusal = None;
        for path in (self.paths)() {
            match Client::connect(&path, hello).await {
                Ok(connected) => return Ok(connected),
                // The first path is the likeliest, so what happened there says most, unless somebody did answer.
                Err(error @ ApiError::Connect { .. }) => refusal = refusal.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(refusal.unwrap_or_else(|| ApiError::Lost { reason: "the session says of no socket".to_owned() }))
    }
}

/// A live session. Works on a thread of its own, so that it may be used from any runtime or none.
pub struct Live {
    link: watch::Receiver<Link>,
    wire: watch::Receiver<Wire>,
    runtime: Handle,
    /// Dropped with this: the thread ends.
    _stop: oneshot::Sender<()>,
}

#[derive(Clone)]
enum Wire {
    Down,
    Up(Client),
    /// For good.
    Over(Arc<Over>),
}

/// What is left of a session whose engine will not answer any more.
struct Over {
    reason: String,
    /// Where it is recorded, if it may be read.
    folder: Option<Folder>,
    /// That, opened by the first who asks; `None` if it cannot be.
    replay: OnceCell<Option<Arc<Replay>>>,
}

impl Over {
    /// Answers what the files can answer.
    async fn ask(&self, request: Request) -> Result<Response, ApiError> {
        let folder = self.folder.as_ref().filter(|_| request.only_reads());
        let replay = match folder {
            Some(folder) => self.replay.get_or_init(|| open(folder.clone())).await.as_ref(),
            None => None,
        };
        match replay {
            Some(replay) => replay.ask(request).await,
            None => Err(ApiError::Over { reason: self.reason.clone() }),
        }
    }
}

/// Opens a recording at its end, off the runtime's thread: its files may be many, or on a slow disk.
async fn open(folder: Folder) -> Option<Arc<Replay>> {
    let opened = tokio::task::spawn_blocking(move || Replay::open(&folder)).await.ok()?;
    opened.inspect_err(|error| tracing::warn!(%error, "what was recorded cannot be looked at")).ok()
}

impl Live {
    /// Begins to connect.
    pub fn start(target: Target, hello: ClientHello) -> io::Result<Arc<Self>> {
        let (stop, stopped) = oneshot::channel::<()>();
        let (link_tx, link) = watch::channel(Link::Connecting { since: now() });
        let (wire_tx, wire) = watch::channel(Wire::Down);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let keeper = Keeper { target, hello, link: link_tx, wire: wire_tx, last: None };
        std::thread::Builder::new().name("link".into()).spawn(move || {
            runtime.block_on(async {
                let keep = tokio::spawn(keeper.run());
                // Only dropped, never sent. Requests go on being refused until then.
                let _ = stopped.await;
                keep.abort();
            });
            // A read that hangs on a dead disk must not keep the window from being left.
            runtime.shutdown_background();
        })?;
        Ok(Arc::new(Self { link, wire, runtime: handle, _stop: stop }))
    }
}

impl SessionView for Live {
    fn ask(&self, request: Request) -> BoxFuture<'static, Result<Response, ApiError>> {
        let asking = self.runtime.spawn(ask(self.wire.clone(), request));
        let abort = AbortOnDrop(asking.abort_handle());
        Box::pin(async move {
            let _abort = abort;
            asking.await.unwrap_or_else(|_| Err(ApiError::Lost { reason: "this window is closing".to_owned() }))
        })
    }

    fn pulses(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }
}

/// A task that ends when nobody waits for it any more.
pub(super) struct AbortOnDrop(pub(super) tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn ask(mut wire: watch::Receiver<Wire>, request: Request) -> Result<Response, ApiError> {
    let id = new_id()?;
    let mut last = ApiError::Lost { reason: "it is not there yet".to_owned() };
    for _ in 0..TRIES {
        let client = match tokio::time::timeout(PATIENCE, settled(&mut wire)).await {
            Ok(Ok(Wire::Up(client))) => client,
            Ok(Ok(Wire::Over(over))) => return over.ask(request).await,
            Ok(Ok(Wire::Down) | Err(_)) => return Err(ApiError::Lost { reason: "this window is closing".to_owned() }),
            Err(_) => return Err(last),
        };
        match client.ask_as(id.clone(), request.clone()).await {
            Err(error @ ApiError::Lost { .. }) => last = error,
            answer => return answer,
        }
    }
    Err(last)
}

/// The wire once its connection is there, as far as is known, or never will be.
async fn settled(wire: &mut watch::Receiver<Wire>) -> Result<Wire, RecvError> {
    // The keeper sees a loss a moment later than the client does.
    let settled = |wire: &Wire| match wire {
        Wire::Down => false,
        Wire::Up(client) => client.lost().is_none(),
        Wire::Over(_) => true,
    };
    wire.wait_for(settled).await.map(|wire| wire.clone())
}

/// Keeps the connection.
struct Keeper {
    target: Target,
    hello: ClientHello,
    link: watch::Sender<Link>,
    wire: watch::Sender<Wire>,
    last: Option<Box<Summary>>,
}

impl Keeper {
    async fn run(mut self) {
        let (mut pause, mut since) = (BACKOFF.0, None);
        loop {
            let error = match self.target.connect(&self.hello).await {
                Ok((client, _)) => {
                    let error = self.follow(client).await;
                    self.wire.send_replace(Wire::Down);
                    (pause, since) = (BACKOFF.0, None);
                    error
                }
                Err(error) => error,
            };
            let since = *since.get_or_insert_with(now);
            let refused = matches!(error, ApiError::TurnedAway { .. } | ApiError::Version { .. });
            let over = match self.ended() {
                Some(ended) => Some(ended.reason),
                None if refused => Some(error.to_string()),
                None if !(self.target.alive)() => Some("the engine is gone".to_owned()),
                None => None,
            };
            if let Some(reason) = over {
                // Whom a living engine has turned away does not get to know by another way.
                let folder = self.target.folder.take().filter(|_| !refused);
                let over = Over { reason: reason.clone(), folder, replay: OnceCell::new() };
                self.wire.send_replace(Wire::Over(Arc::new(over)));
                self.link.send_replace(Link::Over { last: self.last.take(), reason, since });
                return;
            }
            self.link.send_replace(Link::Lost { reason: error.to_string(), since });
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    /// How the session ended; what the engine could not tell any more is in its files.
    fn ended(&mut self) -> Option<Ended> {
        let last = self.last.as_mut()?;
        if last.ended.is_none() && !(self.target.alive)() {
            last.ended = (self.target.ended)();
        }
        last.ended.clone()
    }

    /// Shows pulses until the connection is gone, and says why it is.
    async fn follow(&mut self, client: Client) -> ApiError {
        let (summary, mut frames) = match client.subscribe(false, None).await {
            Ok(subscribed) => subscribed,
            Err(error) => return error,
        };
        self.show(summary);
        self.wire.send_replace(Wire::Up(client.clone()));
        while let Some(frame) = frames.recv().await {
            if let ServerFrame::Pulse { summary } = frame {
                self.show(summary);
            }
        }
        ApiError::Lost { reason: client.lost().unwrap_or_else(|| "the engine closed it".to_owned()) }
    }

    fn show(&mut self, summary: Box<Summary>) {
        self.last = Some(summary.clone());
        self.link.send_replace(Link::Live(summary));
    }
}

fn now() -> Micros {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().into()
}
