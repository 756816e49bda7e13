//! A thread that matches what a child prints while it runs.
//!
//! What must stay true: whoever reads the child's pipes hands bytes over and goes on; only when as much waits as may
//! wait does it wait, too. That is right: the alternative is to lose matches, or memory; the thread waits for nobody in
//! its turn (what it found lies ready for the engine, and is bounded by what the engine sent), so that the wait is over
//! as soon as it has matched some. The child then waits for its pipe, as it would for a slow disk; nobody else does. With
//! nothing to match the thread sleeps.

use super::gather::{Findings, Gatherings};
use super::matching::Matching;
use super::set::Set;
use crate::child::capture::Chunk;
use crate::model::{CommandId, Marks, Stream};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use tokio::sync::{Notify, oneshot};

/// How many bytes may wait to be matched.
const WAITING: usize = 8 << 20;
/// What each piece of work counts beside its bytes: reads may be of one byte.
const ENTRY: usize = 128;
/// Reads are put together up to this size, in bytes.
const TOGETHER: usize = 64 << 10;
/// How much of echoes is kept for commands whose output has not been read yet, in bytes. A child that does echo has them
/// in its pipe, which holds no more.
const ECHOES: usize = 2 << 20;

/// The thread, and what it found. Dropping it and its taps ends it.
#[derive(Debug)]
pub struct Matcher {
    shared: Arc<Shared>,
    /// Done when the last tap is gone and all was matched.
    over: Option<oneshot::Receiver<()>>,
}

/// Where one stream's bytes are handed over. Dropping it says that no more will come.
#[derive(Debug)]
pub struct Tap {
    stream: Stream,
    command: Option<CommandId>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    /// Told when there is something to match.
    filled: Condvar,
    /// Told when there is room again.
    emptied: Condvar,
    found: Mutex<Gatherings>,
    /// Told when something was found and nothing lay ready before.
    finding: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Queue {
    work: VecDeque<Work>,
    /// What is in it and in the hands of the thread, in bytes.
    weight: usize,
    /// What children repeat of the commands whose output has not been read yet.
    echoes: VecDeque<(CommandId, Vec<u8>)>,
    taps: u32,
    /// The thread has ended; nothing is handed over any more.
    dead: bool,
}

#[derive(Debug)]
enum Work {
    Begin(Stream, Option<CommandId>, Option<Vec<u8>>),
    Bytes(Stream, u64, Vec<u8>),
    End(Stream),
    /// Lines that began before these places have no end; then tell.
    Settle(Marks, oneshot::Sender<()>),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing that holds it can panic half way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn found(&self) -> MutexGuard<'_, Gatherings> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, work: Work) {
        let mut queue = self.lock();
        if !queue.dead {
            queue.add(work);
            self.filled.notify_one();
        }
    }
}

impl Matcher {
    /// Starts the thread; the taps are those of stdout and stderr. `finding` is told when there is something to take.
    pub fn start(set: Arc<Set>, finding: Arc<Notify>) -> io::Result<(Self, [Tap; 2])> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue { taps: 2, ..Queue::default() }),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            found: Mutex::default(),
            finding,
        });
        let (done, over) = oneshot::channel();
        let worker = Worker { shared: Arc::clone(&shared), _done: done };
        thread::Builder::new().name("patterns".into()).spawn(move || worker.run(Matching::new(set)))?;
        let tap = |stream| Tap { stream, command: None, shared: Arc::clone(&shared) };
        let taps = [tap(Stream::Stdout), tap(Stream::Stderr)];
        Ok((Self { shared, over: Some(over) }, taps))
    }

    /// A command is about to be sent, of which the child writes this to its stdout before it runs it.
    pub fn expect_echo(&self, command: CommandId, text: Vec<u8>) {
        let mut queue = self.shared.lock();
        queue.echoes.push_back((command, text));
        while queue.echoes.iter().map(|(_, text)| text.len()).sum::<usize>() > ECHOES {
            queue.echoes.pop_front();
        }
    }

    /// What was found since this was asked the last time.
    pub fn take(&self) -> Vec<Findings> {
        self.shared.found().take()
    }

    /// Waits until all that was handed over before `handed_over` was done is matched, and lines that began before these
    /// places with it.
    pub fn settle<F>(&self, upto: Marks, handed_over: F) -> impl Future<Output = ()> + Send + use<F>
    where
        F: Future<Output = ()> + Send,
    {
        let shared = Arc::clone(&self.shared);
        async move {
            handed_over.await;
            let (done, settled) = oneshot::channel();
            shared.push(Work::Settle(upto, done));
            // The only failure is that the thread is gone, and then all that can happen has happened.
            let _ = settled.await;
        }
    }

    /// Waits until both taps are gone and all that they gave was matched.
    pub async fn over(&mut self) {
        if let Some(over) = &mut self.over {
            let _ = over.await;
            self.over = None;
        }
    }
}

impl Tap {
    /// Hands bytes over.
    pub fn give(&mut self, chunk: Chunk<'_>) {
        let mut queue = self.shared.lock();
        while queue.weight >= WAITING && !queue.dead {
            queue = self.shared.emptied.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if queue.dead {
            return;
        }
        if chunk.command != self.command {
            self.command = chunk.command;
            let echo = queue.echo_of(self.stream, chunk.command);
            queue.add(Work::Begin(self.stream, chunk.command, echo));
        }
        match queue.work.back_mut() {
            Some(Work::Bytes(stream, _, bytes))
                if *stream == self.stream && bytes.len() + chunk.bytes.len() <= TOGETHER =>
            {
                bytes.extend_from_slice(chunk.bytes);
                queue.weight += chunk.bytes.len();
            }
            _ => {
                queue.add(Work::Bytes(self.stream, chunk.offset, chunk.bytes.to_vec()));
                self.shared.filled.notify_one();
            }
        }
    }
}

impl Work {
    fn weight(&self) -> usize {
        ENTRY
            + match self {
                Self::Begin(_, _, echo) => echo.as_ref().map_or(0, Vec::len),
                Self::Bytes(_, _, bytes) => bytes.len(),
                Self::End(_) | Self::Settle(..) => 0,
            }
    }
}

impl Queue {
    fn add(&mut self, work: Work) {
        self.weight += work.weight();
        self.work.push_back(work);
    }

    /// The echo that a command's output begins with; those of commands before it did not come.
    fn echo_of(&mut self, stream: Stream, command: Option<CommandId>) -> Option<Vec<u8>> {
        let command = command.filter(|_| stream == Stream::Stdout)?;
        while let Some((first, text)) = self.echoes.pop_front_if(|(first, _)| *first <= command) {
            if first == command {
                return Some(text);
            }
        }
        None
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.taps -= 1;
        queue.add(Work::End(self.stream));
        self.shared.filled.notify_one();
    }
}

struct Worker {
    shared: Arc<Shared>,
    /// Dropped when the thread ends, however it does.
    _done: oneshot::Sender<()>,
}

impl Worker {
    fn run(self, mut matching: Matching) {
        loop {
            let mut queue = self.shared.lock();
            while queue.work.is_empty() {
                if queue.taps == 0 {
                    return;
                }
                queue = self.shared.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            let work = std::mem::take(&mut queue.work);
            drop(queue);
            for work in work {
                self.perform(work, &mut matching);
            }
        }
    }

    fn perform(&self, work: Work, matching: &mut Matching) {
        let weight = work.weight();
        let mut settled = None;
        match work {
            Work::Begin(stream, command, echo) => matching.begin(stream, command, echo.as_deref()),
            Work::Bytes(stream, at, bytes) => matching.read(stream, at, &bytes),
            Work::End(stream) => matching.end(stream),
            Work::Settle(upto, done) => {
                matching.end_before(upto);
                settled = Some(done);
            }
        }
        self.tell(matching);
        // Whoever hears of it finds everything ready.
        if let Some(settled) = settled {
            let _ = settled.send(());
        }
        self.shared.lock().weight -= weight;
        self.shared.emptied.notify_all();
    }

    fn tell(&self, matching: &mut Matching) {
        let new = matching.take_gathered();
        if new.is_empty() {
            return;
        }
        let mut found = self.shared.found();
        let first = found.is_empty();
        found.merge(new);
        if first {
            self.shared.finding.notify_one();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!(
                "the thread that looks for patterns has failed; nothing is found in this child's output any more"
            );
        }
        let mut queue = self.shared.lock();
        queue.dead = true;
        // Whoever waits for something in it need not wait any more.
        queue.work.clear();
        self.shared.emptied.notify_all();
    }
}
