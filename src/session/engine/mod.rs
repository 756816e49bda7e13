//! The engine: the actor on a thread of its own, with a real child, a real folder and real clocks.
//!
//! What must stay true: the thread's only waits are the ones of its loop (a word from the child, its exit, a request, a
//! deadline); with nothing to do it sleeps until one of them comes. It needs no client: what serves clients runs on
//! other threads and reaches it through the [`Handle`].

mod driving;
mod last_words;
mod launch;
mod looking_for;
mod looking_in;
mod outputs;
mod outside;

use super::actor::{Actor, Label, Manners};
use super::feed::Feed;
use super::handle::{Handle, Message};
use crate::agenda::StoredAgenda;
use crate::backend::Recipe;
use crate::child::{self, SpawnError, Spawned};
use crate::dispatcher::{Arrival, ChannelError, FromChild};
use crate::model::{Diagnosis, Exit, Generation, Job, Micros, OutputFile, RefusedPeer, StartStep, State};
use crate::store::{self, Folder, Journal, StoreError};
pub use last_words::of as last_words;

use launch::Prepared;
use outside::Outside;
use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;

/// How many words of the child are taken at most before the loop looks at everything else again.
const WORDS_A_TURN: usize = 64;

/// How long an ended session stays to be looked at, at most.
const LINGER: Duration = Duration::from_hours(1);

/// What an engine needs.
pub struct Options {
    /// The session's folder, with its `session.json`.
    pub folder: Folder,
    /// The backend's recipe.
    pub recipe: Arc<Recipe>,
    /// A private folder for what the child is started with: 0700, made if it is not there, removed at the end.
    pub runtime: PathBuf,
    /// Output is not kept while less than this many bytes of the disk are free.
    pub minimum_free: u64,
    /// How the guardian is started: a program, and arguments to which the session's id is added.
    pub guardian: (PathBuf, Vec<String>),
    /// Whether an ended session stays to be looked at until the last client has gone.
    pub linger: bool,
    /// Whether whoever started it counts as a client too, until a [`Message::Clients`] says that they have gone.
    pub bound: bool,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system refused something.
    #[error("the engine cannot start: {0}")]
    Io(#[from] io::Error),
    /// The record of what was done is gone.
    #[error(
        "the journal of session {id} is gone, so nobody knows what of its work was done; look at its output with \
         `childminder log {id}`, and start the job anew"
    )]
    NoJournal {
        /// The session.
        id: String,
    },
    /// Nothing is left to do.
    #[error("session {id} has ended ({reason}) and no item is left to run; start the job anew instead")]
    Over {
        /// The session.
        id: String,
        /// How it ended.
        reason: String,
    },
}

/// A running engine.
pub struct Engine {
    /// The way to it.
    pub handle: Handle,
    thread: JoinHandle<i32>,
}

impl Engine {
    /// Starts the engine on a thread of its own. A folder with a journal is gone on with.
    pub fn start(options: Options) -> Result<Self, EngineError> {
        let lock = options.folder.lock()?;
        let session = options.folder.read_session()?;
        let job = Arc::new(session.job);
        let fresh = !options.folder.journal().exists();
        let recovered = store::recover(&options.folder)?;
        for note in recovered.notes.iter().filter(|_| !fresh) {
            tracing::warn!("{note}");
        }
        if session.engine.is_some() && recovered.state.seq.0 == 0 {
            return Err(EngineError::NoJournal { id: options.folder.id().to_owned() });
        }
        refuse_if_over(options.folder.id(), &recovered.state, &job)?;
        let journal = Journal::continue_at(&options.folder.journal(), recovered.end, recovered.last)?;
        let checkpointer = recovered.checkpointer(&options.folder)?;
        let (linger, bound) = (options.linger, options.bound);
        let feed = Feed::default();
        let (handle, inbox) = Handle::new(Arc::clone(&job), feed.clone());
        let label = label(&options, &job);
        let thread = std::thread::Builder::new().name("engine".into()).spawn(move || {
            let _lock = lock;
            let runtime = match tokio::runtime::Builder::new_current_thread()
                // A thread that has looked for a file is not to wake up later only to end.
                .thread_keep_alive(Duration::from_millis(100))
                .enable_io()
                .enable_time()
                .build()
            {
                Ok(runtime) => runtime,
                Err(error) => {
                    tracing::error!(%error, "the engine has no runtime");
                    return 69;
                }
            };
            let code = runtime.block_on(async move {
                match Outside::new(options, Arc::clone(&job), journal, checkpointer, recovered.state.reached, feed) {
                    Ok(mut outside) => {
                        outside.clients_changed(bound.into());
                        let source = Box::<StoredAgenda>::default();
                        let actor = Actor::new(outside, job, source, recovered.state, label);
                        Box::pin(run(actor, inbox, linger)).await
                    }
                    Err(error) => {
                        tracing::error!(%error, "the engine cannot start");
                        69
                    }
                }
            });
            // What still waits for a file server that does not answer is not waited for: nobody needs it any more.
            runtime.shutdown_background();
            code
        })?;
        Ok(Self { handle, thread })
    }

    /// Waits until the session is over, and gives its exit code.
    pub fn wait(self) -> i32 {
        drop(self.handle);
        self.thread.join().unwrap_or(70)
    }
}

fn label(options: &Options, job: &Job) -> Label {
    let recipe = &options.recipe;
    let manners = Manners {
        rungs: recipe.rungs.clone(),
        cancel: recipe.cancel.clone(),
        side_eval: recipe.side_eval,
        exit_codes: recipe.exit_codes.clone(),
    };
    let patterns = job.patterns_over(&recipe.patterns);
    Label { session: options.folder.id().to_owned(), prompt: recipe.prompt.clone(), manners, patterns }
}

/// A session that has ended is gone on with only if items are left.
fn refuse_if_over(id: &str, state: &State, job: &Job) -> Result<(), EngineError> {
    let Some(ended) = &state.ended else { return Ok(()) };
    let open = state.items.iter().any(|row| !row.status.is_final());
    if open || job.agenda.is_empty() {
        return Ok(());
    }
    Err(EngineError::Over { id: id.to_owned(), reason: ended.reason.clone() })
}

/// What woke the loop.
enum Input {
    Word(Result<FromChild, ChannelError>),
    Prepared(Generation, Result<Prepared, String>),
    Spawned(Result<Spawned, SpawnError>),
    Inspected(Vec<OutputFile>),
    Settled,
    Finding,
    Diagnosed(Box<Diagnosis>),
    Exited(Exit),
    Came(StartStep),
    Arrived(Arrival),
    Refused(RefusedPeer),
    Message(Message),
    Due,
    Sample,
    Driver(driving::FromDriver),
    Stored,
    Losing,
    Orphaned,
    Unguarded,
}

async fn run(mut actor: Actor<Outside>, mut inbox: mpsc::Receiver<Message>, linger: bool) -> i32 {
    actor.begin(std::process::id());
    while !actor.is_over() {
        if let Some(generation) = actor.world().take_launch() {
            launch::launch(actor.world(), generation);
        }
        if let Some(wanted) = actor.world().driving.take() {
            driving::carry_out(&mut actor, wanted).await;
            continue;
        }
        actor.world().turn_ended();
        let (deadline, heard) = (actor.next_deadline(), actor.hears_driver());
        match next_input(actor.world(), &mut inbox, deadline, heard).await {
            Input::Word(word) => words(&mut actor, word),
            Input::Prepared(generation, prepared) => launch::prepared(&mut actor, generation, prepared),
            Input::Spawned(spawned) => launch::spawned(&mut actor, spawned),
            Input::Inspected(files) => actor.outputs_inspected(files),
            Input::Settled => {
                tell_findings(&mut actor);
                actor.settled();
            }
            Input::Finding => actor.world().looking_for.came(),
            Input::Diagnosed(diagnosis) => actor.diagnosed(diagnosis),
            Input::Exited(exit) => exited(&mut actor, exit).await,
            Input::Came(step) => actor.child_came(step),
            Input::Arrived(arrival) => {
                actor.world().channel = Some(arrival.channel);
                actor.world().look_for_interpreter(arrival.hello.pid);
                actor.child_connected(arrival.hello);
            }
            Input::Refused(peer) => actor.peer_refused(peer),
            Input::Message(message) => message_came(&mut actor, message),
            Input::Driver(word) => driving::came(&mut actor, word).await,
            Input::Stored => actor.world().say_late(),
            Input::Due => due(&mut actor),
            Input::Sample => actor.world().sample(),
            Input::Losing => actor.world().loss_came(),
            Input::Orphaned => child::reap_adopted(),
            Input::Unguarded => match actor.world().guard_again() {
                Ok(()) => actor.note("the guardian had ended; another one was started"),
                Err(error) => actor.note(&format!(
                    "there is no guardian any more, a killed engine would leave its child behind: {error}"
                )),
            },
        }
        tell_losses(&mut actor);
        let found = actor.world().looking_for.take_if_due();
        actor.found(found);
    }
    finish(actor, inbox, linger).await
}

/// Waits for whatever comes first. Losing the race costs nothing: every branch can be dropped and awaited again.
async fn next_input(
    world: &mut Outside,
    inbox: &mut mpsc::Receiver<Message>,
    deadline: Option<Micros>,
    heard: bool,
) -> Input {
    let due = [deadline, world.sync_due(), world.loss_due(), world.looking_for.due()]
        .into_iter()
        .flatten()
        .min()
        .map(|at| world.until(at));
    let sample = world.sample_due().map(|at| world.until(at));
    // A child may be quicker than whoever tells that it was spawned; it is taken in that order all the same.
    let told_of = world.spawning.is_none();
    tokio::select! {
        biased;
        word = async { match &mut world.channel { Some(channel) => channel.next().await, None => pending().await } } => {
            Input::Word(word)
        }
        exit = async { match &world.process { Some(process) => process.exited().await, None => pending().await } } => {
            Input::Exited(exit)
        }
        (generation, prepared) = async { match &mut world.preparing { Some(preparing) => preparing.await, None => pending().await } } => {
            world.preparing = None;
            Input::Prepared(generation, prepared)
        }
        spawned = async { match &mut world.spawning { Some(spawning) => spawning.await, None => pending().await } } => {
            world.spawning = None;
            Input::Spawned(spawned)
        }
        files = async { match &mut world.looking { Some(looking) => looking.await, None => pending().await } } => {
            world.looking = None;
            Input::Inspected(files)
        }
        () = async { match &mut world.settling { Some(settling) => settling.await, None => pending().await } } => {
            world.settling = None;
            Input::Settled
        }
        diagnosis = async { match &mut world.diagnosing { Some(diagnosing) => diagnosing.await, None => pending().await } } => {
            world.diagnosing = None;
            Input::Diagnosed(Box::new(diagnosis))
        }
        Some(step) = async { match &mut world.steps { Some(steps) => steps.recv().await, None => pending().await } }, if told_of => {
            Input::Came(step)
        }
        Some(arrival) = async { match &mut world.arrival { Some(arrival) => arrival.await.ok(), None => pending().await } }, if told_of => {
            world.arrival = None;
            Input::Arrived(arrival)
        }
        Some(peer) = async { match &mut world.refusals { Some(refusals) => refusals.recv().await, None => pending().await } } => {
            Input::Refused(peer)
        }
        Some(message) = inbox.recv() => Input::Message(message),
        () = async { match &world.late { Some(late) => late.stored(world.captures.as_ref()).await, None => pending().await } } => {
            Input::Stored
        }
        word = world.driving.next(heard) => Input::Driver(word),
        () = sleep(due) => Input::Due,
        () = sleep(sample) => Input::Sample,
        () = world.losing.notified() => Input::Losing,
        () = world.looking_for.finding.notified() => Input::Finding,
        Some(()) = world.orphans.recv() => Input::Orphaned,
        () = async { match &mut world.unguarded { Some(end) => end.await, None => pending().await } } => {
            world.unguarded = None;
            Input::Unguarded
        }
    }
}

async fn sleep(length: Option<Duration>) {
    match length {
        Some(length) => tokio::time::sleep(length).await,
        None => pending().await,
    }
}

/// Output that could not be kept is journalled as one event a stream and second at most.
fn tell_losses(actor: &mut Actor<Outside>) {
    for (stream, loss) in actor.world().take_losses() {
        actor.output_lost(stream, loss.bytes, loss.reason);
    }
}

/// What patterns have found so far.
fn tell_findings(actor: &mut Actor<Outside>) {
    let found = actor.world().looking_for.take();
    actor.found(found);
}

fn due(actor: &mut Actor<Outside>) {
    actor.world().sync_if_due();
    actor.tick();
}

/// Takes a word of the child, and those that came with it.
fn words(actor: &mut Actor<Outside>, first: Result<FromChild, ChannelError>) {
    let mut next = first.map(Some);
    for turn in 1..=WORDS_A_TURN {
        match next {
            Ok(Some(word)) => actor.heard(word),
            Ok(None) => return,
            Err(error) => return actor.channel_ended(&error),
        }
        // A word may have been the last straw: then the channel is gone.
        next = match &mut actor.world().channel {
            Some(channel) if turn < WORDS_A_TURN => channel.try_next(),
            _ => return,
        };
    }
}

/// The process is gone; what it said before it went is still in the socket.
async fn exited(actor: &mut Actor<Outside>, exit: Exit) {
    while let Some(channel) = &mut actor.world().channel {
        match channel.last_word().await {
            Some(word) => actor.heard(word),
            None => break,
        }
    }
    actor.world().drain().await;
    tell_findings(actor);
    actor.child_exited(exit);
    actor.world().child_gone().await;
}

fn message_came(actor: &mut Actor<Outside>, message: Message) {
    match message {
        Message::Ask { by, request, answer } => actor.asked(by, request, answer),
        Message::Look(look) => look(actor),
        Message::Clients(change) => actor.world().clients_changed(change),
        Message::Signal(signal) => actor.signalled(signal),
    }
}

/// The session is over: everything is written out, and whoever is looking may go on looking for a while.
async fn finish(mut actor: Actor<Outside>, mut inbox: mpsc::Receiver<Message>, linger: bool) -> i32 {
    actor.close().await;
    actor.world().turn_ended();
    let code = actor.exit_code().unwrap_or(70);
    let looked_at = async {
        while actor.world().clients() > 0 {
            let Some(message) = inbox.recv().await else { return };
            message_came(&mut actor, message);
            actor.world().turn_ended();
        }
    };
    if linger && tokio::time::timeout(LINGER, looked_at).await.is_err() {
        tracing::info!("the session is over and was looked at long enough");
    }
    code
}

impl Actor<Outside> {
    async fn close(&mut self) {
        self.world.child_gone().await;
        self.world.close(&self.state);
    }
}
