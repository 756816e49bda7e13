//! The listening end: lets in the one child that proves the secret, refuses and reports everybody else.
//!
//! Strangers can cost little: at most [`UNPROVEN`] at a time, 4 KiB and [`PATIENCE`] each. Nor can they keep the child
//! out by sitting idle: when all places are taken, the next to come gets the place of the one that has had its own the
//! longest. The child needs milliseconds, [`TENURE`] is everybody's, those who come meanwhile wait in the kernel's
//! backlog, and a child that lost its place all the same knocks again. After the proof the listener only refuses and
//! records.

use super::channel::{Channel, ChannelError};
use super::frames::{FromChild, PROTOCOL, ToChild, Welcome};
use super::proof::{self, Nonces, Prover, Secret};
use super::qube;
use crate::model::{Hello, RefusedPeer, StartStep};
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// How many connections may try to prove themselves at a time.
pub const UNPROVEN: usize = 8;
/// How long each may take at most.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long a place is safe from those who want one.
const TENURE: Duration = Duration::from_millis(50);
/// Why others are refused once there is a child.
const TAKEN: &str = "a child is already connected";
/// How many refusals may wait to be recorded; further ones are counted in the next one's reason.
pub(super) const REFUSALS: usize = 32;

/// The way to a child, on either wire.
#[derive(Debug)]
pub enum BackChannel {
    /// Ours.
    Native(Channel),
    /// Qube's.
    Qube(qube::Channel),
}

impl BackChannel {
    /// Queues a frame, or refuses what this wire cannot do.
    pub fn send(&mut self, frame: &ToChild<'_>) -> Result<(), ChannelError> {
        match self {
            Self::Native(channel) => channel.send(frame),
            Self::Qube(channel) => channel.send(frame),
        }
    }

    /// The next word of the child. Can be dropped and called again.
    pub async fn next(&mut self) -> Result<FromChild, ChannelError> {
        match self {
            Self::Native(channel) => channel.next().await,
            Self::Qube(channel) => channel.next().await,
        }
    }

    /// The next word that is already here, if there is one.
    pub fn try_next(&mut self) -> Result<Option<FromChild>, ChannelError> {
        match self {
            Self::Native(channel) => channel.try_next(),
            Self::Qube(channel) => channel.try_next(),
        }
    }

    /// The next word of a child that has ended, if it said one.
    pub async fn last_word(&mut self) -> Option<FromChild> {
        match self {
            Self::Native(channel) => channel.try_next().ok().flatten(),
            Self::Qube(channel) => channel.last_word().await,
        }
    }
}

/// The child, believed.
#[derive(Debug)]
pub struct Arrival {
    /// The connection.
    pub channel: BackChannel,
    /// What it said of itself.
    pub hello: Box<Hello>,
}

/// Those who were turned away, as it happens.
pub type Refusals = mpsc::Receiver<RefusedPeer>;
/// How far whoever came first has come, as it happens: each step once.
pub type Steps = mpsc::Receiver<StartStep>;

/// What a listener has to tell.
#[derive(Debug)]
pub struct Awaited {
    /// The child, once it is believed and has said hello.
    pub arrival: oneshot::Receiver<Arrival>,
    /// Those who were turned away.
    pub refusals: Refusals,
    /// How far it has come.
    pub steps: Steps,
}

/// A port of 127.0.0.1 on which one child is awaited. Dropping it closes the port.
#[derive(Debug)]
pub struct Listener {
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    /// Binds a port chosen by the operating system and begins to listen. Must be called within a runtime.
    pub async fn bind(secret: Secret, welcome: Welcome) -> io::Result<(Self, Awaited)> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = socket.local_addr()?.port();
        let (arrived, arrival) = oneshot::channel();
        let (refused, refusals) = mpsc::channel(REFUSALS);
        let (came, steps) = mpsc::channel(STEPS.len());
        let proof = Arc::new(Proof { secret, path: Progress { came, furthest: AtomicU8::new(0) } });
        let gate = Gate { proof, welcome: Arc::new(welcome), refuser: Refuser::new(refused) };
        let task = tokio::spawn(gate.keep(socket, arrived));
        Ok((Self { port, task }, Awaited { arrival, refusals, steps }))
    }

    /// The port to hand to the child.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// The steps that are told, in order.
const STEPS: [StartStep; 3] = [StartStep::Connected, StartStep::Knocked, StartStep::Proven];

/// What everybody has to prove, and how far the first has come.
struct Proof {
    secret: Secret,
    path: Progress,
}

/// Tells each step once, whoever takes it.
struct Progress {
    /// Has room for all of [`STEPS`].
    came: mpsc::Sender<StartStep>,
    /// How many of them were told.
    furthest: AtomicU8,
}

impl Progress {
    fn reached(&self, step: StartStep) {
        let number = (step as u8) + 1;
        if self.furthest.fetch_max(number, Ordering::Relaxed) < number {
            // Whoever does not listen any more does not need to know.
            let _ = self.came.try_send(step);
        }
    }
}

struct Gate {
    proof: Arc<Proof>,
    welcome: Arc<Welcome>,
    refuser: Refuser,
}

/// Tells who was turned away.
pub(super) struct Refuser {
    refused: mpsc::Sender<RefusedPeer>,
    /// Refusals that nobody took in time.
    unsaid: u64,
}

impl Refuser {
    pub(super) fn new(refused: mpsc::Sender<RefusedPeer>) -> Self {
        Self { refused, unsaid: 0 }
    }

    pub(super) fn refuse(&mut self, peer: SocketAddr, why: &str) {
        let reason = match self.unsaid {
            0 => why.to_owned(),
            unsaid => format!("{why} ({unsaid} more were refused before)"),
        };
        match self.refused.try_send(RefusedPeer { address: peer.to_string(), reason }) {
            Ok(()) => self.unsaid = 0,
            Err(_) => self.unsaid += 1,
        }
    }
}

impl Gate {
    async fn keep(mut self, socket: TcpListener, arrived: oneshot::Sender<Arrival>) {
        let arrival = loop {
            let (channel, peer) = self.find(&socket).await;
            match self.turning_away(&socket, greet(channel, Arc::clone(&self.welcome))).await {
                Ok(arrival) => break arrival,
                Err(why) => self.refuse(peer, &why.to_string()),
            }
        };
        let _ = arrived.send(arrival);
        let () = self.turning_away(&socket, std::future::pending()).await;
    }

    /// Tries everybody until one has proven the secret; the others are then refused.
    async fn find(&mut self, socket: &TcpListener) -> (Channel, SocketAddr) {
        let mut trials = Trials::default();
        loop {
            let place_at = trials.place_at();
            tokio::select! {
                biased;
                Some((peer, outcome)) = trials.next() => match outcome {
                    Ok(channel) => {
                        trials.open.drain(..).for_each(|trial| self.refuse(trial.peer, TAKEN));
                        return (channel, peer);
                    }
                    Err(why) => self.refuse(peer, &why.to_string()),
                },
                (stream, peer) = async { sleep_until(place_at).await; accept(socket).await } => {
                    if let Some(evicted) = trials.evict() {
                        self.refuse(evicted, "too many connections at a time");
                    }
                    self.proof.path.reached(StartStep::Connected);
                    trials.begin(stream, peer, Arc::clone(&self.proof));
                }
            }
        }
    }

    /// Waits for something else, and refuses all who come meanwhile.
    async fn turning_away<T>(&mut self, socket: &TcpListener, until: impl Future<Output = T>) -> T {
        tokio::pin!(until);
        loop {
            tokio::select! {
                biased;
                done = &mut until => return done,
                (_, peer) = accept(socket) => self.refuse(peer, TAKEN),
            }
        }
    }

    fn refuse(&mut self, peer: SocketAddr, why: &str) {
        self.refuser.refuse(peer, why);
    }
}

/// The next connection, however long the system refuses to give one.
pub(super) async fn accept(socket: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match socket.accept().await {
            Ok(accepted) => return accepted,
            // Out of file descriptors, most likely: the pause keeps a full table from becoming a busy loop.
            Err(error) => {
                tracing::warn!(%error, "the back channel cannot accept");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// A connection that is trying to prove itself.
struct Trial {
    peer: SocketAddr,
    since: Instant,
    task: AbortHandle,
}

/// All of them: [`UNPROVEN`] at most. Dropping this closes them.
#[derive(Default)]
struct Trials {
    /// The oldest first.
    open: VecDeque<Trial>,
    tasks: JoinSet<Result<Channel, Untrusted>>,
}

impl Trials {
    fn begin(&mut self, stream: TcpStream, peer: SocketAddr, proof: Arc<Proof>) {
        let task = self.tasks.spawn(async move {
            let outcome = tokio::time::timeout(PATIENCE, prove(stream, &proof)).await;
            outcome.unwrap_or(Err(Untrusted::Slow))
        });
        self.open.push_back(Trial { peer, since: Instant::now(), task });
    }

    /// How the next one ends; `None` when none is open.
    async fn next(&mut self) -> Option<(SocketAddr, Result<Channel, Untrusted>)> {
        loop {
            let (id, outcome) = match self.tasks.join_next_with_id().await? {
                Ok((id, outcome)) => (id, outcome),
                Err(error) => (error.id(), Err(Untrusted::Broken)),
            };
            // One that is not found was evicted, and has been refused already.
            if let Some(place) = self.open.iter().position(|trial| trial.task.id() == id)
                && let Some(trial) = self.open.remove(place)
            {
                return Some((trial.peer, outcome));
            }
        }
    }

    /// When there is a place, or one that may be taken from somebody.
    fn place_at(&self) -> Instant {
        match self.open.front() {
            Some(oldest) if self.open.len() >= UNPROVEN => oldest.since + TENURE,
            _ => Instant::now(),
        }
    }

    /// Makes a place when there is none; who lost it.
    fn evict(&mut self) -> Option<SocketAddr> {
        if self.open.len() < UNPROVEN {
            return None;
        }
        let oldest = self.open.pop_front()?;
        oldest.task.abort();
        Some(oldest.peer)
    }
}

#[derive(Debug, thiserror::Error)]
enum Untrusted {
    #[error("it did not prove itself within {} s", PATIENCE.as_secs())]
    Slow,
    #[error("it did not prove the session's secret")]
    Wrong,
    #[error("it speaks version {0} of the wire, we speak {PROTOCOL}")]
    Version(u32),
    #[error("it said something out of turn")]
    OutOfTurn,
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    #[error("its trial failed in the engine")]
    Broken,
}

async fn prove(stream: TcpStream, proof: &Proof) -> Result<Channel, Untrusted> {
    let Proof { secret, path } = proof;
    let mut channel = Channel::new(stream).map_err(ChannelError::from)?;
    let FromChild::Knock { protocol, nonce: theirs } = channel.next().await? else { return Err(Untrusted::OutOfTurn) };
    if protocol != PROTOCOL {
        return Err(Untrusted::Version(protocol));
    }
    path.reached(StartStep::Knocked);
    let ours = proof::nonce()?;
    let nonces = Nonces { child: &theirs, engine: &ours };
    let proof = secret.proof(Prover::Engine, nonces);
    channel.send(&ToChild::Challenge { protocol: PROTOCOL, nonce: &ours, proof: &proof })?;
    let FromChild::Prove { proof } = channel.next().await? else { return Err(Untrusted::OutOfTurn) };
    if !secret.verify(Prover::Child, nonces, &proof) {
        return Err(Untrusted::Wrong);
    }
    path.reached(StartStep::Proven);
    channel.believe();
    Ok(channel)
}

/// Has the child say what it is. Bounded by the session's start-up time-out, at which the listener is dropped.
async fn greet(mut channel: Channel, welcome: Arc<Welcome>) -> Result<Arrival, Untrusted> {
    channel.send(&ToChild::Welcome(&welcome))?;
    let FromChild::Hello(hello) = channel.next().await? else { return Err(Untrusted::OutOfTurn) };
    Ok(Arrival { channel: BackChannel::Native(channel), hello })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_told_once_and_none_after_a_later_one() {
        let (came, mut steps) = mpsc::channel(STEPS.len());
        let progress = Progress { came, furthest: AtomicU8::new(0) };
        for step in
            [StartStep::Connected, StartStep::Connected, StartStep::Proven, StartStep::Knocked, StartStep::Proven]
        {
            progress.reached(step);
        }
        assert_eq!(steps.try_recv(), Ok(StartStep::Connected));
        assert_eq!(steps.try_recv(), Ok(StartStep::Proven));
        assert!(steps.try_recv().is_err());
    }
}
