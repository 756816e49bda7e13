//! A client's end of the session's socket.

use super::ApiError;
use super::frames::{self, FrameReader};
use crate::model::Seq;
use crate::model::proto::{
    Call, ClientHello, FRAME_LIMIT, Outcome, Request, Response, ServerFrame, ServerHello, Summary, VERSION,
};
use bytes::Bytes;
use futures_util::StreamExt;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// How long an engine may take to answer the hello.
const HELLO: Duration = Duration::from_secs(5);
/// How many frames of a subscription wait here; then nothing more is read, and the engine leaves out what is old.
const FRAMES: usize = 16;

/// A connection to an engine; clones share it, and it ends with the last of them.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

/// What the engine said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The engine's version.
    pub engine: String,
    /// The session's id.
    pub session: String,
    /// Whether writes will be refused.
    pub read_only: bool,
}

#[derive(Debug)]
struct Inner {
    calls: mpsc::Sender<Bytes>,
    waiting: Arc<Mutex<Waiting>>,
    tasks: [AbortHandle; 2],
}

/// Who waits for what. Bounded by what this program asks at once.
#[derive(Debug, Default)]
struct Waiting {
    answers: HashMap<String, oneshot::Sender<Outcome>>,
    frames: Option<mpsc::Sender<ServerFrame>>,
    /// Why nothing comes any more.
    lost: Option<String>,
}

/// An id for a call, unlike any other: random for this process, then counted.
pub fn new_id() -> Result<String, ApiError> {
    static PREFIX: Mutex<Option<u64>> = Mutex::new(None);
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let mut prefix = PREFIX.lock().unwrap_or_else(PoisonError::into_inner);
    let random = match *prefix {
        Some(random) => random,
        None => *prefix
            .insert(getrandom::u64().map_err(|error| lost(format!("the system gives no random numbers: {error}")))?),
    };
    Ok(format!("{random:016x}-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
}

impl Client {
    /// Connects and says hello. Needs a tokio runtime that goes on while the client is used.
    pub async fn connect(path: &Path, hello: &ClientHello) -> Result<(Self, Welcome), ApiError> {
        let refused = |source| ApiError::Connect { path: path.to_owned(), source: Arc::new(source) };
        let stream = UnixStream::connect(path).await.map_err(refused)?;
        let owner = stream.peer_cred().map_err(refused)?.uid();
        // What is sent to an engine is Python that it will run, or not: not for anybody else's eyes.
        if !hello.read_only && owner != 0 && owner != nix::unistd::geteuid().as_raw() {
            let reason = format!("it belongs to uid {owner}; sessions of others can only be watched, with --read-only");
            return Err(ApiError::TurnedAway { reason });
        }
        let (read, mut write) = stream.into_split();
        let mut frames = frames::reader(read, FRAME_LIMIT);
        let welcome = tokio::time::timeout(HELLO, greet(&mut frames, &mut write, hello))
            .await
            .unwrap_or_else(|_| Err(lost(format!("it did not answer the hello within {} s", HELLO.as_secs()))))?;
        Ok((Self::begin(frames, write), welcome))
    }

    fn begin(frames: FrameReader<OwnedReadHalf>, write: OwnedWriteHalf) -> Self {
        let (calls, outbox) = mpsc::channel(1);
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let reader = tokio::spawn(read_frames(frames, waiting.clone()));
        let writer = tokio::spawn(write_calls(write, outbox));
        let tasks = [reader.abort_handle(), writer.abort_handle()];
        Self { inner: Arc::new(Inner { calls, waiting, tasks }) }
    }

    /// Asks, and waits for the answer.
    pub async fn ask(&self, request: Request) -> Result<Response, ApiError> {
        self.ask_as(new_id()?, request).await
    }

    /// Asks with an id of the caller's: a write with an id that was used before is not done again.
    pub async fn ask_as(&self, id: String, request: Request) -> Result<Response, ApiError> {
        let frame = frames::encode(&Call { id: id.clone(), request })
            .map_err(|long| ApiError::TooLong { length: long.length, limit: FRAME_LIMIT })?;
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = self.inner.waiting();
            if let Some(reason) = &waiting.lost {
                return Err(lost(reason.clone()));
            }
            waiting.answers.insert(id.clone(), answer);
        }
        // Removes it again when the caller stops waiting.
        let _forget = Forget { inner: &self.inner, id };
        if self.inner.calls.send(frame).await.is_err() {
            return Err(self.inner.reason());
        }
        match answered.await {
            Ok(Outcome::Ok(response)) => Ok(*response),
            Ok(Outcome::Error(refusal)) => Err(refusal.into()),
            Err(_) => Err(self.inner.reason()),
        }
    }

    /// Subscribes: a snapshot, and everything after it. A later subscription takes an earlier one's place.
    ///
    /// Whoever subscribes must take the frames or drop the receiver: answers come through the same connection.
    pub async fn subscribe(
        &self,
        events: bool,
        from: Option<Seq>,
    ) -> Result<(Box<Summary>, mpsc::Receiver<ServerFrame>), ApiError> {
        let (sender, frames) = mpsc::channel(FRAMES);
        self.inner.waiting().frames = Some(sender);
        match self.ask(Request::Subscribe { events, from }).await? {
            Response::Summary(summary) => Ok((summary, frames)),
            _ => Err(lost("the engine answered something else than was asked")),
        }
    }

    /// Why the connection is gone; `None` while it is there.
    pub fn lost(&self) -> Option<String> {
        self.inner.waiting().lost.clone()
    }
}

impl Inner {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }

    fn reason(&self) -> ApiError {
        lost(self.waiting().lost.clone().unwrap_or_else(|| "the engine closed it".to_owned()))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

struct Forget<'a> {
    inner: &'a Inner,
    id: String,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.inner.waiting().answers.remove(&self.id);
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    // Each step leaves it sound.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lost(reason: impl Into<String>) -> ApiError {
    ApiError::Lost { reason: reason.into() }
}

async fn greet(
    frames: &mut FrameReader<OwnedReadHalf>,
    write: &mut OwnedWriteHalf,
    hello: &ClientHello,
) -> Result<Welcome, ApiError> {
    let frame = frames::encode(hello).map_err(|_| lost("the hello is too long"))?;
    // One that refuses may have closed its end already; what it said is read nevertheless.
    let sent = write.write_all(&frame).await;
    let answer = match frames.next().await {
        Some(Ok(frame)) => frames::decode(&frame).map_err(|error| lost(format!("it is no engine: {error}")))?,
        Some(Err(error)) => return Err(lost(format!("it is no engine: {error}"))),
        None => return Err(lost(sent.err().map_or_else(|| "it said nothing".to_owned(), |error| error.to_string()))),
    };
    match answer {
        ServerHello::Welcome { version: VERSION, engine, session, read_only } => {
            Ok(Welcome { engine, session, read_only })
        }
        ServerHello::Welcome { version, engine, .. } => Err(ApiError::Version { theirs: version, engine }),
        ServerHello::Refused { reason } => Err(ApiError::TurnedAway { reason }),
    }
}

async fn write_calls(mut write: OwnedWriteHalf, mut outbox: mpsc::Receiver<Bytes>) {
    while let Some(frame) = outbox.recv().await {
        if write.write_all(&frame).await.is_err() {
            // The reader learns why.
            return;
        }
    }
}

async fn read_frames(mut frames: FrameReader<OwnedReadHalf>, waiting: Arc<Mutex<Waiting>>) {
    let reason = loop {
        let frame: ServerFrame = match frames.next().await {
            None => break "the engine closed it".to_owned(),
            Some(Err(error)) => break error.to_string(),
            Some(Ok(frame)) => match frames::decode(&frame) {
                Ok(frame) => frame,
                Err(error) => break format!("the engine sent what is no frame of the protocol: {error}"),
            },
        };
        match frame {
            ServerFrame::Answer { id, outcome } => {
                let answer = lock(&waiting).answers.remove(&id);
                // Nobody there: the asker has stopped waiting.
                answer.map(|answer| answer.send(outcome));
            }
            frame => {
                let subscriber = lock(&waiting).frames.clone();
                if let Some(subscriber) = subscriber
                    && subscriber.send(frame).await.is_err()
                {
                    lock(&waiting).frames = None;
                }
            }
        }
    };
    let mut waiting = lock(&waiting);
    waiting.lost = Some(reason);
    waiting.answers.clear();
    waiting.frames = None;
}
