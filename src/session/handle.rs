//! How the rest of the engine reaches the actor: a bounded queue in, answers out, and a ring of events to follow.

use super::feed::Feed;
use crate::model::proto::{Refusal, RefusalKind, Request, Response, Summary};
use crate::model::{Job, Marks, Origin, OutputPattern, State};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// How many messages may wait for the actor. When it is full the asking client waits, nobody else.
pub const QUEUE: usize = 64;

/// What the actor lets others look at, on its own thread and between two steps.
pub trait Inspect {
    /// The fold.
    fn state(&self) -> &State;
    /// The session at one glance.
    fn summary(&self) -> Summary;
    /// What is looked for in the output: the recipe's and the job's.
    fn patterns(&self) -> &[OutputPattern];
    /// Where the streams ended, when it is an earlier time that is looked at.
    fn until(&self) -> Option<Marks> {
        None
    }
}

type Look = Box<dyn FnOnce(&dyn Inspect) + Send>;

/// A message to the actor.
pub enum Message {
    /// A request that writes, or that only the child can answer (`Complete`, `Check`).
    Ask {
        /// Who asks; `request` is the call's id.
        by: Origin,
        /// What.
        request: Request,
        /// Where the answer goes. Dropped when the session ends first.
        answer: oneshot::Sender<Result<Response, Refusal>>,
    },
    /// A look at the state. Must be short: the actor does nothing else meanwhile.
    Look(Look),
    /// A client came (`1`) or went (`-1`); usage is sampled only while somebody is there.
    Clients(i32),
    /// SIGINT, SIGTERM or SIGHUP came to the engine.
    Signal(i32),
}

/// A way to the actor; clones share it.
#[derive(Clone)]
pub struct Handle {
    messages: mpsc::Sender<Message>,
    feed: Feed,
    job: Arc<Job>,
}

impl Handle {
    /// A handle, and the end at which the actor receives.
    pub fn new(job: Arc<Job>, feed: Feed) -> (Self, mpsc::Receiver<Message>) {
        let (messages, inbox) = mpsc::channel(QUEUE);
        (Self { messages, feed, job }, inbox)
    }

    /// The job that is run.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// The events as they come.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Sends a message; whether the actor is still there to get it.
    pub async fn send(&self, message: Message) -> bool {
        self.messages.send(message).await.is_ok()
    }

    /// Asks the actor and waits for its answer, which for an `Exec` that waits is the command's end.
    pub async fn ask(&self, by: Origin, request: Request) -> Result<Response, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Ask { by, request, answer }).await;
        answered.await.unwrap_or_else(|_| Err(over()))
    }

    /// Looks at the state, between two of the actor's steps.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&dyn Inspect) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        let look: Look = Box::new(move |inspect| {
            // The asker may have gone; then nobody wants to know.
            let _ = answer.send(look(inspect));
        });
        self.send(Message::Look(look)).await;
        answered.await.map_err(|_| over())
    }
}

fn over() -> Refusal {
    Refusal { kind: RefusalKind::NotNow, message: "the session is over".into() }
}
