//! One client: hello, calls in, answers and subscription out. All of it is one task, so that a client's end is the end
//! of everything that was done for it, except for writes, which go on.

use super::answers;
use super::asking::Asking;
use super::frames::{self, FrameReader};
use super::pages::failed;
use super::server::{Shared, stopped};
use super::subscription::{Follow, Subscription};
use crate::model::Origin;
use crate::model::proto::{
    Call, ClientHello, FRAME_LIMIT, Outcome, Refusal, RefusalKind, Request, Response, ServerFrame, ServerHello, VERSION,
};
use crate::session::Message;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Semaphore, mpsc, watch};

/// How many calls of one client may be under way; then nothing more is read from it.
const CALLS: usize = 16;
/// How many answers of one client may be held at once: a page has some megabytes.
const ANSWERS: usize = 2;
/// How long a client may take for its hello.
const HELLO: Duration = Duration::from_secs(5);
/// The longest hello, and the longest call of one that may only read, in bytes.
const SMALL: usize = 64 << 10;
/// The longest id of a call, in bytes.
const LONGEST_ID: usize = 128;
/// The most characters that are kept of what a client says of itself.
const NAME: usize = 100;

/// By which socket a client came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// The session's own.
    Owner,
    /// The group's, which is only for reading.
    Watchers,
}

/// Who a client is.
#[derive(Debug, Clone)]
struct Peer {
    origin: Origin,
    read_only: bool,
}

/// What a client's calls share.
struct Client {
    shared: Arc<Shared>,
    peer: Peer,
    out: mpsc::Sender<Bytes>,
    answers: Semaphore,
    asking: Asking,
}

/// Serves one connection to its end.
pub(super) async fn run(stream: UnixStream, door: Door, shared: Arc<Shared>) {
    let uid = stream.peer_cred().map(|peer| peer.uid());
    let (read, mut write) = stream.into_split();
    let mut frames = frames::reader(read, SMALL);
    let welcomed = match uid {
        Ok(uid) => welcome(&mut frames, uid, door, &shared).await,
        Err(error) => Err(format!("who you are cannot be told: {error}")),
    };
    let (hello, peer) = match welcomed {
        Ok(peer) => {
            let hello = ServerHello::Welcome {
                version: VERSION,
                engine: env!("CARGO_PKG_VERSION").to_owned(),
                session: shared.session.sources.session.clone(),
                read_only: peer.read_only,
            };
            (hello, Some(peer))
        }
        Err(reason) => {
            tracing::warn!("a client was refused: {reason}");
            (ServerHello::Refused { reason }, None)
        }
    };
    let Ok(frame) = frames::encode(&hello) else { return };
    // One that does not take its hello is gone, or must not hold a place.
    let told = tokio::time::timeout(HELLO, write.write_all(&frame)).await;
    let (Ok(Ok(())), Some(peer)) = (told, peer) else { return };
    if !peer.read_only {
        frames.decoder_mut().set_max_frame_length(FRAME_LIMIT);
    }
    shared.session.handle.send(Message::Clients(1)).await;
    talk(frames, write, shared.clone(), peer).await;
    shared.session.handle.send(Message::Clients(-1)).await;
}

async fn welcome(
    frames: &mut FrameReader<OwnedReadHalf>,
    uid: u32,
    door: Door,
    shared: &Shared,
) -> Result<Peer, String> {
    if door == Door::Owner && uid != shared.uid && uid != 0 {
        return Err(format!("the session belongs to uid {}, and you are uid {uid}", shared.uid));
    }
    let frame = match tokio::time::timeout(HELLO, frames.next()).await {
        Ok(Some(Ok(frame))) => frame,
        Ok(Some(Err(error))) => return Err(format!("this is no hello of childminder's protocol: {error}")),
        Ok(None) => return Err("the connection ended before a hello".to_owned()),
        Err(_) => return Err(format!("no hello came within {} s", HELLO.as_secs())),
    };
    let said: serde_json::Value =
        frames::decode(&frame).map_err(|error| format!("this is no hello of childminder's protocol: {error}"))?;
    // The version first: another one's hello may have other fields.
    match said.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => {
            return Err(format!(
                "you speak version {version} of the protocol and this engine ({}) version {VERSION}",
                env!("CARGO_PKG_VERSION")
            ));
        }
        None => return Err("the hello names no version".to_owned()),
    }
    let hello: ClientHello = serde_json::from_value(said).map_err(|error| format!("the hello is wrong: {error}"))?;
    let origin = Origin {
        uid,
        user: user(uid).await,
        host: name(&hello.host),
        client: name(&hello.client),
        request: String::new(),
    };
    Ok(Peer { origin, read_only: hello.read_only || door == Door::Watchers })
}

/// The uid's name. Asking for it may go over the network, so not on this thread.
async fn user(uid: u32) -> String {
    let found = tokio::task::spawn_blocking(move || nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid))).await;
    match found {
        Ok(Ok(Some(user))) => user.name,
        _ => uid.to_string(),
    }
}

/// What a client says of itself: short, and without what could drive a terminal.
fn name(said: &str) -> String {
    said.chars().filter(|character| !character.is_control()).take(NAME).collect()
}

async fn talk(frames: FrameReader<OwnedReadHalf>, write: OwnedWriteHalf, shared: Arc<Shared>, peer: Peer) {
    let (out, outbox) = mpsc::channel(1);
    let mut stop = shared.stop.clone();
    let client = Arc::new(Client { shared, peer, out, answers: Semaphore::new(ANSWERS), asking: Asking::default() });
    let writing = write_frames(write, outbox);
    tokio::pin!(writing);
    tokio::select! {
        end = read_calls(frames, client, &mut stop) => if end == End::LastWords {
            // Nobody puts anything in any more, so this ends with the last frame.
            writing.await;
        },
        () = &mut writing => {}
    }
}

/// Why nothing more is read from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It has gone, or broke the protocol.
    Gone,
    /// The session is over, and the last words are with the writer.
    LastWords,
}

/// Ends when the client cannot be written to, or everything was written.
async fn write_frames(mut write: OwnedWriteHalf, mut outbox: mpsc::Receiver<Bytes>) {
    while let Some(frame) = outbox.recv().await {
        if write.write_all(&frame).await.is_err() {
            return;
        }
    }
}

async fn read_calls(
    mut frames: FrameReader<OwnedReadHalf>,
    client: Arc<Client>,
    stop: &mut watch::Receiver<bool>,
) -> End {
    let mut calls = FuturesUnordered::new();
    let mut subscription: Option<BoxFuture<'static, ()>> = None;
    let mut stopping = false;
    loop {
        tokio::select! {
            () = stopped(stop), if !stopping => stopping = true,
            frame = frames.next(), if !stopping && calls.len() < CALLS => match frame {
                Some(Ok(frame)) => match read_call(&frame) {
                    Ok(call) => calls.push(answer_call(client.clone(), call)),
                    Err(error) => {
                        tracing::warn!("a client sent what is no call: {error}");
                        return End::Gone;
                    }
                },
                Some(Err(error)) => {
                    tracing::warn!("a client sent what is no frame: {error}");
                    return End::Gone;
                }
                None => return End::Gone,
            },
            Some(begun) = calls.next(), if !calls.is_empty() => if let Some(begun) = begun {
                subscription = Some(Box::pin(begun.run(client.out.clone(), client.shared.stop.clone())));
            },
            () = subscribed(subscription.as_mut()) => subscription = None,
        }
        if stopping && calls.is_empty() && subscription.is_none() {
            return End::LastWords;
        }
    }
}

async fn subscribed(subscription: Option<&mut BoxFuture<'static, ()>>) {
    match subscription {
        Some(subscription) => subscription.await,
        None => std::future::pending().await,
    }
}

/// Does one call; gives a subscription when it began one.
async fn answer_call(client: Arc<Client>, call: Result<Call, Refused>) -> Option<Subscription> {
    let Call { id, request } = match call {
        Ok(call) => call,
        Err((id, refusal)) => {
            client.answer(&id, Err(refusal)).await;
            return None;
        }
    };
    if client.peer.read_only && steers(&request) {
        let message = "this window is for reading only".to_owned();
        client.answer(&id, Err(Refusal { kind: RefusalKind::NotAllowed, message })).await;
        return None;
    }
    if let Request::Subscribe { events, from } = request {
        return subscribe(&client, &id, events, from).await;
    }
    if request.writes() {
        client.write(id, request).await;
    } else {
        client.read(id, request).await;
    }
    None
}

/// Whether a request changes something or makes the child do something.
fn steers(request: &Request) -> bool {
    request.writes() || request.asks_the_child()
}

/// The id of a call that is not done, and why.
type Refused = (String, Refusal);

/// A call, or one to be refused; an error when there is nobody to answer to.
fn read_call(frame: &[u8]) -> io::Result<Result<Call, Refused>> {
    let refuse = |id: &str, message| Ok(Err((name(id), Refusal { kind: RefusalKind::Invalid, message })));
    let error = match frames::decode::<Call>(frame) {
        Ok(call) if call.id.len() <= LONGEST_ID => return Ok(Ok(call)),
        Ok(Call { id, .. }) => {
            return refuse(&id, format!("a call's id has at most {LONGEST_ID} bytes; this one has {}", id.len()));
        }
        Err(error) => error,
    };
    let said: serde_json::Value = frames::decode(frame)?;
    let text = |key: &str| said.get(key).and_then(serde_json::Value::as_str);
    match (text("id"), text("ask")) {
        (None, _) => Err(error),
        (Some(id), Some(ask)) => refuse(id, format!("the request `{}` is not known or not sound: {error}", name(ask))),
        (Some(id), None) => refuse(id, format!("this is no request: {error}")),
    }
}

async fn subscribe(client: &Client, id: &str, events: bool, from: Option<crate::model::Seq>) -> Option<Subscription> {
    let handle = client.shared.session.handle.clone();
    // Watched from before the look, so that no change after it goes unseen.
    let changes = handle.feed().watch();
    let snapshot = handle.look(|inspect| (inspect.summary(), inspect.state().seq)).await;
    let (answer, begun) = match snapshot {
        Ok((summary, seq)) => {
            let pages = client.shared.session.sources.pages.clone();
            let events = events.then(|| Follow::new(seq, from));
            (Ok(Response::Summary(Box::new(summary))), Some(Subscription { handle, pages, changes, seq, events }))
        }
        Err(refusal) => (Err(refusal), None),
    };
    client.answer(id, answer).await;
    begun
}

impl Client {
    async fn write(&self, id: String, request: Request) {
        let by = Origin { request: id.clone(), ..self.peer.origin.clone() };
        let uid = by.uid;
        let work = || {
            let (handle, id, request) = (self.shared.session.handle.clone(), id.clone(), request.clone());
            async move { answer_frame(&id, handle.ask(by, request).await) }
        };
        match self.shared.once.answer(uid, &id, &request, work).await {
            Ok(frame) => self.send(frame).await,
            Err(refusal) => self.answer(&id, Err(refusal)).await,
        }
    }

    async fn read(&self, id: String, request: Request) {
        if request.asks_the_child() {
            let by = Origin { request: id.clone(), ..self.peer.origin.clone() };
            let answer = self.shared.session.handle.ask(by, request).await;
            return self.answer(&id, answer).await;
        }
        // Before anything is waited for: what this one ends must not be in its way.
        let asked = self.asking.begin(&request);
        // Held until the answer is with the writer: a client that does not read gets no more pages. What a search
        // finds is small, and a search that waits for other clients' must not hold up pages.
        let _place = match request {
            Request::Search(_) => None,
            _ => self.answers.acquire().await.ok(),
        };
        let answer = answers::answer(&self.shared.session, request, &asked.0).await;
        self.answer(&id, answer).await;
    }

    async fn answer(&self, id: &str, answer: Result<Response, Refusal>) {
        self.send(answer_frame(id, answer)).await;
    }

    async fn send(&self, frame: Bytes) {
        // A client that has gone does not miss it.
        let _ = self.out.send(frame).await;
    }
}

fn answer_frame(id: &str, answer: Result<Response, Refusal>) -> Bytes {
    let frame = |outcome| frames::encode(&ServerFrame::Answer { id: id.to_owned(), outcome });
    let outcome = match answer {
        Ok(response) => Outcome::Ok(Box::new(response)),
        Err(refusal) => Outcome::Error(refusal),
    };
    frame(outcome)
        .or_else(|long| {
            let message =
                format!("the answer has {} bytes, more than fit into a frame; ask for fewer rows", long.length);
            frame(Outcome::Error(failed(message)))
        })
        // Ids are short, so a refusal always fits.
        .unwrap_or_default()
}
