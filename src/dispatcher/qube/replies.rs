//! Replies of Qube's executor: a connection each, on a port of 127.0.0.1, in which nothing says who it is.
//!
//! What must stay true: whoever connects can cost little: at most [`AT_ONCE`] at a time, [`PATIENCE`] and
//! [`LONGEST_TEXT`] each. A reply counts only while one is awaited; whoever comes otherwise is refused and recorded. That
//! it is the child's own is not decided here but by the file that the carrier has written before it.

use super::super::listener::{Refuser, accept};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How many replies may be on their way at a time.
const AT_ONCE: usize = 8;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest text of a failure, in bytes.
const LONGEST_TEXT: u64 = 1 << 20;

/// What the executor said of a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// It raised nothing.
    Success,
    /// A traceback, as an executor in Python 2 sends it.
    Failure(String),
}

/// Where replies come in.
pub(super) struct Replies {
    socket: TcpListener,
    refuser: Refuser,
    open: JoinSet<(SocketAddr, io::Result<Reply>)>,
}

impl Replies {
    /// A port chosen by the operating system.
    pub(super) async fn bind(refuser: Refuser) -> io::Result<(Self, u16)> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = socket.local_addr()?.port();
        Ok((Self { socket, refuser, open: JoinSet::new() }, port))
    }

    /// The next reply that is one. Can be dropped and called again.
    pub(super) async fn next(&mut self) -> (SocketAddr, Reply) {
        loop {
            tokio::select! {
                biased;
                Some(read) = self.open.join_next() => match read {
                    Ok((peer, Ok(reply))) => return (peer, reply),
                    Ok((peer, Err(error))) => self.refuse(peer, &format!("its reply is none: {error}")),
                    // Nobody cancels them, and they cannot panic.
                    Err(error) => tracing::error!(%error, "a reply was lost"),
                },
                (stream, peer) = accept(&self.socket), if self.open.len() < AT_ONCE => {
                    self.open.spawn(async move { (peer, read(stream).await) });
                }
            }
        }
    }

    /// Turns everybody away, until this is dropped.
    pub(super) async fn refuse_all(&mut self, why: &str) {
        loop {
            let (peer, _) = self.next().await;
            self.refuse(peer, why);
        }
    }

    /// Somebody is not believed.
    pub(super) fn refuse(&mut self, peer: SocketAddr, why: &str) {
        self.refuser.refuse(peer, why);
    }
}

async fn read(stream: TcpStream) -> io::Result<Reply> {
    let whole = tokio::time::timeout(PATIENCE, read_whole(stream)).await;
    whole.unwrap_or_else(|_| Err(io::Error::other(format!("it did not come within {} s", PATIENCE.as_secs()))))
}

async fn read_whole(mut stream: TcpStream) -> io::Result<Reply> {
    let length = stream.read_u32().await?;
    if length == 0 {
        return Ok(Reply::Success);
    }
    if u64::from(length) > LONGEST_TEXT {
        return Err(io::Error::other(format!("{length} characters are over the limit of {LONGEST_TEXT}")));
    }
    // The length is in characters, of which each may be several bytes: the end of the connection is the text's.
    let mut text = Vec::new();
    stream.take(LONGEST_TEXT * 4).read_to_end(&mut text).await?;
    Ok(Reply::Failure(String::from_utf8_lossy(&text).into_owned()))
}
