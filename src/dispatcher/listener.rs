//! The listening end: lets in the one child that proves the secret, refuses and reports everybody else.
//!
//! Strangers can cost little: at most [`UNPROVEN`] at a time, 4 KiB and [`PATIENCE`] each. After the proof the listener
//! only refuses and records.

use super::channel::{Channel, ChannelError};
use super::frames::{FromChild, PROTOCOL, ToChild, Welcome};
use super::proof::{self, Nonces, Prover, Secret};
use crate::model::{Hello, RefusedPeer};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

/// How many connections may try to prove themselves at a time.
pub const UNPROVEN: usize = 8;
/// How long each may take.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How many refusals may wait to be recorded; further ones are counted in the next one's reason.
const REFUSALS: usize = 32;

/// The child, believed.
#[derive(Debug)]
pub struct Arrival {
    /// The connection.
    pub channel: Channel,
    /// What it said of itself.
    pub hello: Box<Hello>,
}

/// Those who were turned away, as it happens.
pub type Refusals = mpsc::Receiver<RefusedPeer>;

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
    pub async fn bind(secret: Secret, welcome: Welcome) -> io::Result<(Self, oneshot::Receiver<Arrival>, Refusals)> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = socket.local_addr()?.port();
        let (arrived, arrival) = oneshot::channel();
        let (refused, refusals) = mpsc::channel(REFUSALS);
        let gate = Gate { secret: Arc::new(secret), welcome: Arc::new(welcome), refused, unsaid: 0 };
        let task = tokio::spawn(gate.keep(socket, arrived));
        Ok((Self { port, task }, arrival, refusals))
    }

    /// The port to hand to the child.
    pub fn port(&self) -> u16 {
        self.port
    }
}

struct Gate {
    secret: Arc<Secret>,
    welcome: Arc<Welcome>,
    refused: mpsc::Sender<RefusedPeer>,
    /// Refusals that nobody took in time.
    unsaid: u64,
}

impl Gate {
    async fn keep(mut self, socket: TcpListener, arrived: oneshot::Sender<Arrival>) {
        let places = Arc::new(Semaphore::new(UNPROVEN));
        let mut trials = JoinSet::new();
        let mut arrived = Some(arrived);
        loop {
            tokio::select! {
                accepted = socket.accept() => match accepted {
                    Ok((_, peer)) if arrived.is_none() => self.refuse(peer, "a child is already connected"),
                    Ok((stream, peer)) => match Arc::clone(&places).try_acquire_owned() {
                        Ok(place) => {
                            let (secret, welcome) = (Arc::clone(&self.secret), Arc::clone(&self.welcome));
                            trials.spawn(async move {
                                let outcome = tokio::time::timeout(PATIENCE, try_out(stream, &secret, &welcome)).await;
                                drop(place);
                                (peer, outcome.unwrap_or_else(|_| Err(Untrusted::Slow)))
                            });
                        }
                        Err(_) => self.refuse(peer, "too many connections at a time"),
                    },
                    // Out of file descriptors, most likely: the pause keeps a full table from becoming a busy loop.
                    Err(error) => {
                        tracing::warn!(%error, "the back channel cannot accept");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                },
                Some(ended) = trials.join_next() => match ended {
                    Ok((_, Ok(arrival))) if arrived.is_some() => {
                        if let Some(arrived) = arrived.take() {
                            let _ = arrived.send(arrival);
                        }
                        trials.abort_all();
                    }
                    Ok((peer, Ok(_))) => self.refuse(peer, "a child is already connected"),
                    Ok((peer, Err(why))) => self.refuse(peer, &why.to_string()),
                    Err(_) => {}
                },
            }
        }
    }

    fn refuse(&mut self, peer: SocketAddr, why: &str) {
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
}

async fn try_out(stream: TcpStream, secret: &Secret, welcome: &Welcome) -> Result<Arrival, Untrusted> {
    let mut channel = Channel::new(stream).map_err(ChannelError::from)?;
    let FromChild::Knock { protocol, nonce: theirs } = channel.next().await? else { return Err(Untrusted::OutOfTurn) };
    if protocol != PROTOCOL {
        return Err(Untrusted::Version(protocol));
    }
    let ours = proof::nonce()?;
    let nonces = Nonces { child: &theirs, engine: &ours };
    let proof = secret.proof(Prover::Engine, nonces);
    channel.send(&ToChild::Challenge { protocol: PROTOCOL, nonce: &ours, proof: &proof })?;
    let FromChild::Prove { proof } = channel.next().await? else { return Err(Untrusted::OutOfTurn) };
    if !secret.verify(Prover::Child, nonces, &proof) {
        return Err(Untrusted::Wrong);
    }
    channel.believe();
    channel.send(&ToChild::Welcome(welcome))?;
    let FromChild::Hello(hello) = channel.next().await? else { return Err(Untrusted::OutOfTurn) };
    Ok(Arrival { channel, hello })
}
