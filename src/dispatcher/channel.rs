//! One proven (or not yet proven) connection: frames in, frames out, on the actor's own thread.
//!
//! Reading and writing never wait for each other: a frame that the socket does not take at once stays in `outgoing`, and
//! [`Channel::next`] goes on writing it while it waits for the child's next word. `outgoing` is bounded because one
//! command is under way at a time, and questions are refused while more than a frame waits.

use super::frames::{FromChild, ToChild};
use super::incoming::Incoming;
use bytes::{Buf, BufMut, BytesMut};
use std::io;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// The longest frame that either end takes, in bytes.
pub const FRAME_LIMIT: usize = 16 << 20;
/// What a connection may say before it has proven itself, in bytes.
pub const UNPROVEN_LIMIT: usize = 4 << 10;
/// Capacity that an empty buffer may keep: a rare long frame must not cost memory for good.
pub(super) const KEPT: usize = 256 << 10;
/// Bytes of a frame's length.
pub(super) const HEADER: usize = 4;

/// Why a channel cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The other end closed it.
    #[error("the child closed the back channel")]
    Closed,
    /// The operating system says no.
    #[error("the back channel failed: {0}")]
    Io(#[from] io::Error),
    /// A frame that is longer than allowed.
    #[error("a frame of {length} bytes is over the limit of {limit}")]
    TooLong {
        /// Its length.
        length: usize,
        /// The limit in force.
        limit: usize,
    },
    /// A frame that is not what it says.
    #[error("a malformed frame: {0}")]
    Malformed(String),
    /// It is something that only our own executor can do.
    #[error("this is not possible with Qube's protocol")]
    NotPossible,
    /// The child does not read.
    #[error("the child does not read from the back channel")]
    NotReading,
}

/// A connection to the child.
#[derive(Debug)]
pub struct Channel {
    stream: TcpStream,
    incoming: Incoming,
    outgoing: BytesMut,
}

impl Channel {
    /// Takes over an accepted connection, of which nothing is believed yet.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, incoming: Incoming::default(), outgoing: BytesMut::new() })
    }

    /// Lifts the limit on frames: the other end has proven itself.
    pub fn believe(&mut self) {
        self.incoming.believe();
    }

    /// Queues a frame and writes what the socket takes at once.
    pub fn send(&mut self, frame: &ToChild<'_>) -> Result<(), ChannelError> {
        if self.outgoing.len() > FRAME_LIMIT {
            return Err(ChannelError::NotReading);
        }
        let start = self.outgoing.len();
        self.outgoing.put_u32(0);
        let written = serde_json::to_writer((&mut self.outgoing).writer(), frame);
        let length = self.outgoing.len() - start - HEADER;
        if let Err(error) = written {
            self.outgoing.truncate(start);
            return Err(ChannelError::Malformed(error.to_string()));
        }
        match u32::try_from(length) {
            Ok(prefix) if length <= FRAME_LIMIT => {
                self.outgoing[start..start + HEADER].copy_from_slice(&prefix.to_be_bytes());
            }
            _ => {
                self.outgoing.truncate(start);
                return Err(ChannelError::TooLong { length, limit: FRAME_LIMIT });
            }
        }
        self.flush()
    }

    /// The next frame. Can be dropped and called again without losing a byte.
    pub async fn next(&mut self) -> Result<FromChild, ChannelError> {
        loop {
            if let Some(frame) = self.incoming.parse()? {
                return Ok(frame);
            }
            let interest =
                if self.outgoing.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
            let ready = self.stream.ready(interest).await?;
            if ready.is_writable() {
                self.flush()?;
            }
            if ready.is_readable() && !self.fill()? {
                return Err(ChannelError::Closed);
            }
        }
    }

    /// The next frame that is already here, if there is one.
    pub fn try_next(&mut self) -> Result<Option<FromChild>, ChannelError> {
        if let Some(frame) = self.incoming.parse()? {
            return Ok(Some(frame));
        }
        if !self.fill()? {
            return Err(ChannelError::Closed);
        }
        self.incoming.parse()
    }

    /// Reads once; `false` at the end of the stream.
    fn fill(&mut self) -> Result<bool, ChannelError> {
        match self.stream.try_read_buf(self.incoming.room()) {
            Ok(0) => Ok(false),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn flush(&mut self) -> Result<(), ChannelError> {
        while !self.outgoing.is_empty() {
            match self.stream.try_write(&self.outgoing) {
                Ok(count) => self.outgoing.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // What the child said before it closed can still be read; reading will tell that it is gone.
                Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
                    self.outgoing.clear();
                }
                Err(error) => return Err(error.into()),
            }
        }
        if self.outgoing.capacity() > KEPT {
            self.outgoing = BytesMut::new();
        }
        Ok(())
    }
}
