//! Qube's own wire, to a child that runs Qube's bootstrapper unchanged.
//!
//! Commands go into the child's stdin, one at a time; each is answered by a connection of its own. There is no hello, no
//! number, no cancel and no question. What that lacks is made up for by a small file of ours, the carrier, that the
//! executor is made to run first: it takes long commands in pieces, keeps an exception from ending the child, and writes
//! down in the session's private folder what became of each command.
//!
//! What must stay true: one command is under way at a time; a reply counts only when the private file says the same, so
//! that nobody else on the machine can forge one; whatever the wire cannot do is refused in words, not swallowed. When a
//! command begins to run cannot be told: it counts as started when the last of its frames has been written.

mod frames;
mod replies;
mod told;

use super::channel::ChannelError;
use super::frames::{FromChild, ToChild};
use super::listener::{Arrival, BackChannel, REFUSALS, Refusals, Refuser};
use crate::model::proto::Completeness;
use crate::model::{CommandId, Hello};
use replies::{Replies, Reply};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use told::Told;

/// Orders that may wait: a command, and the end.
const ORDERS: usize = 2;
/// Words that may wait until the actor takes them.
const WORDS: usize = 8;
/// How long the last reply of a child that has ended may take to be read.
const LAST_WORD: Duration = Duration::from_millis(200);
/// The first thing that is run: harmless, and what Qube's back ends begin with.
const FIRST: &str = "import sys, os, time";
/// The number of the carrier's hello among its files.
const HELLO: CommandId = CommandId(0);

/// What the hello of a child on this wire has among its features, and nothing else.
pub const FEATURE: &str = "qube";

/// Where the carrier is, and what the child is called.
#[derive(Debug)]
pub struct Carrier {
    /// The session's private folder.
    pub folder: PathBuf,
    /// The carrier's file in it.
    pub file: PathBuf,
    /// The application, as the recipe calls it.
    pub application: String,
}

/// A port on which replies will come, before there is a child.
pub struct Port {
    number: u16,
    replies: Replies,
    refusals: Refusals,
}

/// The talk with a child. Dropping it ends the talk, and with it the child's stdin.
#[derive(Debug)]
pub struct Talk(JoinHandle<()>);

impl Drop for Talk {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Port {
    /// Binds one. Must be called within a runtime.
    pub async fn bind() -> io::Result<Self> {
        let (refused, refusals) = mpsc::channel(REFUSALS);
        let (replies, number) = Replies::bind(Refuser::new(refused)).await?;
        Ok(Self { number, replies, refusals })
    }

    /// The port to hand to the child.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Begins to talk to the child behind this pipe.
    pub fn talk(self, stdin: OwnedFd, carrier: Carrier) -> io::Result<(Talk, oneshot::Receiver<Arrival>, Refusals)> {
        told::forget(&carrier.folder)?;
        let stdin = pipe::Sender::from_owned_fd(stdin)?;
        let (orders, inbox) = mpsc::channel(ORDERS);
        let (words, heard) = mpsc::channel(WORDS);
        let (arrived, arrival) = oneshot::channel();
        let channel = Channel { orders, heard, answers: VecDeque::new(), under_way: false };
        let talker = Talker { stdin, replies: self.replies, carrier };
        let task = tokio::spawn(talker.keep(channel, arrived, inbox, words));
        Ok((Talk(task), arrival, self.refusals))
    }
}

/// What is to be done next.
#[derive(Debug)]
enum Order {
    Run { id: CommandId, source: String },
    Exit { code: i32 },
}

/// The actor's end of the talk.
#[derive(Debug)]
pub struct Channel {
    orders: mpsc::Sender<Order>,
    heard: mpsc::Receiver<Result<FromChild, ChannelError>>,
    /// What can be answered without the child. At most as many as there are questions, which the desk bounds.
    answers: VecDeque<FromChild>,
    /// Whether the end of a command is still to be heard of.
    under_way: bool,
}

impl Channel {
    /// Has a frame's meaning done, if the wire can do it.
    pub fn send(&mut self, frame: &ToChild<'_>) -> Result<(), ChannelError> {
        let order = match frame {
            ToChild::Execute { id, source, .. } => {
                self.under_way = true;
                Order::Run { id: *id, source: (*source).to_owned() }
            }
            ToChild::Shutdown { code } => Order::Exit { code: *code },
            // Nobody can say whether it is whole: it is run as it was typed.
            ToChild::Check { id, .. } => {
                let message = String::new();
                self.answers.push_back(FromChild::Checked { id: *id, state: Completeness::Complete, message });
                return Ok(());
            }
            _ => return Err(ChannelError::NotPossible),
        };
        self.orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ChannelError::NotReading,
            mpsc::error::TrySendError::Closed(_) => ChannelError::Closed,
        })
    }

    /// The next word. Can be dropped and called again.
    pub async fn next(&mut self) -> Result<FromChild, ChannelError> {
        if let Some(answer) = self.answers.pop_front() {
            return Ok(answer);
        }
        let word = self.heard.recv().await.unwrap_or(Err(ChannelError::Closed));
        self.under_way &= !ends_a_command(&word);
        word
    }

    /// The next word of a child that has ended, if it said one: its last reply may be in the kernel still.
    pub async fn last_word(&mut self) -> Option<FromChild> {
        if !self.under_way {
            return self.try_next().ok().flatten();
        }
        tokio::time::timeout(LAST_WORD, self.next()).await.ok()?.ok()
    }

    /// The next word that is already here, if there is one.
    pub fn try_next(&mut self) -> Result<Option<FromChild>, ChannelError> {
        if let Some(answer) = self.answers.pop_front() {
            return Ok(Some(answer));
        }
        match self.heard.try_recv() {
            Ok(word) => {
                self.under_way &= !ends_a_command(&word);
                word.map(Some)
            }
            Err(mpsc::error::TryRecvError::Empty) => Ok(None),
            Err(mpsc::error::TryRecvError::Disconnected) => Err(ChannelError::Closed),
        }
    }
}

fn ends_a_command(word: &Result<FromChild, ChannelError>) -> bool {
    matches!(word, Ok(FromChild::Finished { .. } | FromChild::Raised { .. }))
}

type Words = mpsc::Sender<Result<FromChild, ChannelError>>;

/// The other end: writes frames, and takes replies.
struct Talker {
    stdin: pipe::Sender,
    replies: Replies,
    carrier: Carrier,
}

impl Talker {
    async fn keep(
        mut self,
        channel: Channel,
        arrived: oneshot::Sender<Arrival>,
        mut orders: mpsc::Receiver<Order>,
        words: Words,
    ) {
        match self.begin().await {
            Ok(hello) => {
                let channel = BackChannel::Qube(channel);
                // Who waited for it may have given up; then this is dropped soon.
                let _ = arrived.send(Arrival { channel, hello: Box::new(hello) });
                if let Err(error) = self.serve(&mut orders, &words).await {
                    // The actor may be gone.
                    let _ = words.send(Err(error)).await;
                }
                self.replies.refuse_all("nothing is awaited from the child any more").await;
            }
            Err(error) => {
                tracing::error!(%error, "the child does not understand Qube's wire");
                let Self { stdin, mut replies, .. } = self;
                // At the end of its stdin an executor ends, and the actor tells what it said last.
                drop(stdin);
                replies.refuse_all("the child does not understand Qube's wire").await;
                drop(arrived);
            }
        }
    }

    /// From nothing to hello. Bounded by the session's start-up time-out, at which this is dropped.
    async fn begin(&mut self) -> Result<Hello, ChannelError> {
        self.have_taken(FIRST).await?;
        for frame in frames::carrier(&self.carrier.file) {
            self.have_taken(&frame).await?;
        }
        let told = self.have_run(HELLO, &frames::hello(&self.carrier.folder), || ()).await?;
        Ok(told.into_hello(self.carrier.application.clone()))
    }

    async fn serve(&mut self, orders: &mut mpsc::Receiver<Order>, words: &Words) -> Result<(), ChannelError> {
        loop {
            let order = tokio::select! {
                biased;
                order = orders.recv() => order,
                (peer, _) = self.replies.next() => {
                    self.replies.refuse(peer, "no command was under way");
                    continue;
                }
            };
            match order {
                None => return Ok(()),
                Some(Order::Exit { code }) => return self.write(&frames::exit(code)).await,
                Some(Order::Run { id, source }) => {
                    // There is room: one command is under way, and its words are two.
                    let started = || drop(words.try_send(Ok(FromChild::Started { id })));
                    let told = self.have_run(id, &frames::carried(id, &source), started).await?;
                    let word = match told.raised {
                        Some(exception) => FromChild::Raised { id, exception, exit: told.exit },
                        None => FromChild::Finished { id, value: None, cut: None },
                    };
                    let _ = words.send(Ok(word)).await;
                }
            }
        }
    }

    /// Has the carrier run a command, and gives what it says of it. `started` is called when all of it was written.
    async fn have_run(
        &mut self,
        id: CommandId,
        frames: &[String],
        started: impl FnOnce(),
    ) -> Result<Told, ChannelError> {
        let Some((last, pieces)) = frames.split_last() else {
            return Err(ChannelError::Malformed("there is nothing to run".into()));
        };
        for piece in pieces {
            self.write(piece).await?;
            // The carrier takes whatever it is given: who says that it failed is somebody else. If nobody is, the carrier is
            // gone, and what is said of the command itself will tell.
            if let (peer, failure @ Reply::Failure(_)) = self.replies.next().await {
                self.doubt(peer, &failure);
            }
        }
        self.write(last).await?;
        started();
        loop {
            let (peer, reply) = self.replies.next().await;
            if let Some(told) = told::take(&self.carrier.folder, id).await? {
                return Ok(told);
            }
            self.doubt(peer, &reply);
        }
    }

    /// Has the executor run something that is over at once, and cannot fail.
    async fn have_taken(&mut self, command: &str) -> Result<(), ChannelError> {
        self.write(command).await?;
        match self.replies.next().await {
            (_, Reply::Success) => Ok(()),
            (_, Reply::Failure(text)) => {
                let last = text.lines().rev().find(|line| !line.trim_matches('-').trim().is_empty());
                let last: String = last.unwrap_or_default().chars().take(300).collect();
                Err(ChannelError::Malformed(format!("it could not take a command: {last}")))
            }
        }
    }

    /// A reply that the private file does not confirm.
    fn doubt(&mut self, peer: SocketAddr, reply: &Reply) {
        let what = match reply {
            Reply::Success => "that all went well",
            Reply::Failure(_) => "that the command failed",
        };
        self.replies.refuse(peer, &format!("it said {what}, but the child has not written that into its private file"));
    }

    async fn write(&mut self, command: &str) -> Result<(), ChannelError> {
        let written = self.stdin.write_all(&frames::frame(command)).await;
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => ChannelError::Closed,
            _ => ChannelError::Io(error),
        })
    }
}
