//! The real outside: the journal on disk, the child's channel, process and pipes, the clocks.

use super::super::feed::Feed;
use super::super::world::{Inquiry, Inspection, Now, Telemetry, World};
use super::Options;
use super::driving::{Driving, Late, Wanted};
use super::launch::Prepared;
use super::looking_for::{LookingFor, Settling};
use super::looking_in::{self, Interpreter};
use super::outputs::Inspector;
use crate::backend::class::ChildLaunch;
use crate::backend::class::bridge::Word;
use crate::backend::{Protocol, PythonChildBackEnd, Recipe, RecipeBackEnd};
use crate::child::{
    self, Capture, Guardian, Process, ProcessId, Sampler, SpawnError, SpawnSpec, Spawned, Spawner, capture,
};
use crate::diagnose::{Diagnoser, HotSampler, MemoryMark};
use crate::dispatcher::{Arrival, Awaited, BackChannel, ChannelError, Listener, Refusals, Steps, ToChild, qube};
use crate::model::{
    CommandId, Diagnosis, EventKind, Generation, HotTree, ItemSpec, Job, Marks, Micros, OutputFile, Phase, State,
    Stream, UsagePoint,
};
use crate::patterns::{Set, Tap, echo_of};
use crate::store::{Checkpointer, Folder, Journal, Loss, Losses, Output, OutputWriter, Recorded, UsageWriter, clock};
use serde_json::{Map, Value, json};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, oneshot};

/// Between two samples of the process tree's usage, while a command runs or somebody is watching.
const SAMPLE_EVERY: Micros = Micros(1_000_000);
/// Between two events that tell of lost output.
const LOSSES_EVERY: Micros = Micros(1_000_000);
/// How long the end of a session waits for the last output to reach its file.
const DRAIN: Duration = Duration::from_secs(10);

/// How long the end of a child waits for its last output to reach its file, before anybody looks there; and the end of a
/// session for the last of the usage.
pub(super) const MOMENT: Duration = Duration::from_secs(1);

/// What a child needs, on its way.
pub(super) type Preparing = Pin<Box<dyn Future<Output = (Generation, Result<Prepared, String>)> + Send>>;
/// A spawn on its way.
pub(super) type Spawning = Pin<Box<dyn Future<Output = Result<Spawned, SpawnError>> + Send>>;
/// A look at an item's files on its way.
pub(super) type Looking = Pin<Box<dyn Future<Output = Vec<OutputFile>> + Send>>;
/// A diagnosis on its way.
pub(super) type Diagnosing = Pin<Box<dyn Future<Output = Diagnosis> + Send>>;

/// When output last came; written by the reading threads.
#[derive(Debug, Default)]
struct LastOutput {
    wall: AtomicU64,
    mono: AtomicU64,
}

/// The two pipes while they are read.
pub(super) struct Captures {
    pub(super) stdout: Capture,
    pub(super) stderr: Capture,
}

/// Where the child comes in. Dropping it closes it.
pub(super) enum Door {
    /// On our own wire.
    Native {
        /// Kept, never looked at.
        _listener: Listener,
    },
    /// On Qube's wire, before there is a child.
    Port(Box<qube::Port>),
    /// On Qube's wire, with a child.
    Talk {
        /// Kept, never looked at.
        _talk: qube::Talk,
    },
}

/// What the actor works on.
pub(super) struct Outside {
    pub(super) spawner: Arc<Spawner>,
    /// What is being made ready for a child.
    pub(super) preparing: Option<Preparing>,
    /// The spawn that is under way.
    pub(super) spawning: Option<Spawning>,
    /// The look at an item's files that is under way.
    pub(super) looking: Option<Looking>,
    inspector: Inspector,
    /// The matching that is waited for.
    pub(super) settling: Option<Settling>,
    /// The diagnosis that is under way.
    pub(super) diagnosing: Option<Diagnosing>,
    diagnoser: Diagnoser,
    /// Taken when this child was started.
    memory: MemoryMark,
    /// Which of this child's processes runs the commands.
    interpreter: Interpreter,
    /// Samples where the time of this process goes, while somebody looks.
    hot: Option<(ProcessId, HotSampler)>,
    guardian: Guardian,
    /// Done when the guardian has ended, which it never should before us.
    pub(super) unguarded: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    pub(super) guardian_command: (PathBuf, Vec<String>),
    pub(super) process: Option<Process>,
    pub(super) channel: Option<BackChannel>,
    pub(super) door: Option<Door>,
    pub(super) arrival: Option<oneshot::Receiver<Arrival>>,
    pub(super) refusals: Option<Refusals>,
    pub(super) steps: Option<Steps>,
    /// SIGCHLD: somebody ended, perhaps an orphan whom we adopted and must reap.
    pub(super) orphans: Signal,
    /// Who decides what comes next, in a session that has one.
    pub(super) driving: Driving,
    /// Told when output cannot be kept.
    pub(super) losing: Arc<Notify>,
    /// Looks for patterns in the output.
    pub(super) looking_for: LookingFor,
    pub(super) job: Arc<Job>,
    recipe: Arc<Recipe>,
    pub(super) runtime: PathBuf,
    minimum_free: u64,
    /// The phases' commands; each child gets one of its own, with its own secret.
    script: RecipeBackEnd,
    pub(super) folder: Folder,
    journal: Journal,
    /// Until the session's end.
    checkpointer: Option<Checkpointer>,
    feed: Feed,
    wanted: Option<Generation>,
    pub(super) captures: Option<Captures>,
    /// What the driver is told once the output is in its files.
    pub(super) late: Option<Late>,
    /// Where the streams stand while nobody reads them.
    marks: Marks,
    /// Where the streams stood when this child was spawned.
    born: Marks,
    last_output: Arc<LastOutput>,
    losses: Losses,
    loss_due: Option<Micros>,
    sampler: Sampler,
    sampled: Micros,
    usage: Option<UsagePoint>,
    /// Keeps the samples, until the session's end; `None` too when that is not possible.
    usages: Option<UsageWriter>,
    /// Whether a command is with the child, and its output is collected for it.
    runs: bool,
    clients: u32,
    /// Whether followers have something new to look at.
    stirred: bool,
}

impl Outside {
    /// Must be called within the engine's runtime.
    pub(super) fn new(
        options: Options,
        job: Arc<Job>,
        journal: Journal,
        checkpointer: Checkpointer,
        reached: Marks,
        feed: Feed,
    ) -> io::Result<Self> {
        child::become_subreaper()?;
        let guardian = start_guardian(&options.guardian, options.folder.id())?;
        let length = |stream| std::fs::metadata(options.folder.output(stream)).map_or(0, |file| file.len());
        // A killed engine may have counted bytes that it never wrote: what comes next must not take their place.
        let marks = Marks {
            stdout: length(Stream::Stdout).max(reached.stdout),
            stderr: length(Stream::Stderr).max(reached.stderr),
        };
        let usages = UsageWriter::start(&options.folder, options.minimum_free)
            .inspect_err(|error| tracing::warn!(%error, "what the child uses is not recorded"));
        let recipe = options.recipe;
        let set = Set::new(job.patterns_over(&recipe.patterns)).map_err(io::Error::other)?;
        let script = RecipeBackEnd::new(Arc::clone(&job), Arc::clone(&recipe), options.runtime.clone(), "");
        Ok(Self {
            spawner: Arc::new(Spawner::start()?),
            preparing: None,
            spawning: None,
            looking: None,
            inspector: Inspector::default(),
            settling: None,
            diagnosing: None,
            diagnoser: Diagnoser::default(),
            memory: MemoryMark::default(),
            interpreter: Interpreter::default(),
            hot: None,
            unguarded: Some(Box::pin(guardian.ended()?)),
            guardian,
            guardian_command: options.guardian,
            process: None,
            channel: None,
            door: None,
            arrival: None,
            refusals: None,
            steps: None,
            orphans: signal(SignalKind::child())?,
            driving: Driving::default(),
            losing: Arc::default(),
            looking_for: LookingFor::new(set),
            job,
            recipe,
            runtime: options.runtime,
            minimum_free: options.minimum_free,
            script,
            checkpointer: Some(checkpointer),
            folder: options.folder,
            journal,
            feed,
            wanted: None,
            captures: None,
            late: None,
            marks,
            born: marks,
            last_output: Arc::default(),
            losses: Losses::default(),
            loss_due: None,
            sampler: Sampler::new(),
            sampled: Micros(0),
            usage: None,
            usages: usages.ok(),
            runs: false,
            clients: 0,
            stirred: false,
        })
    }

    /// Awaits a child there.
    pub(super) fn listen(&mut self, door: Door, awaited: Option<Awaited>) {
        self.door = Some(door);
        let Some(Awaited { arrival, refusals, steps }) = awaited else { return };
        self.arrival = Some(arrival);
        self.refusals = Some(refusals);
        self.steps = Some(steps);
    }

    /// Begins to spawn; the loop takes delivery.
    pub(super) fn spawn(&mut self, spec: SpawnSpec) {
        let spawner = Arc::clone(&self.spawner);
        self.spawning = Some(Box::pin(async move { spawner.spawn(spec).await }));
    }

    /// Has the guardian end this process's tree, should the engine die.
    pub(super) fn guard(&mut self, pid: u32, start_time: u64) {
        if let Err(error) = self.guardian.watch(pid, start_time) {
            tracing::warn!(%error, "the guardian is gone; another one will be started");
        }
    }

    /// The guardian has ended: starts another one.
    pub(super) fn guard_again(&mut self) -> io::Result<()> {
        self.guardian = start_guardian(&self.guardian_command, self.folder.id())?;
        self.unguarded = Some(Box::pin(self.guardian.ended()?));
        match &self.process {
            Some(process) => self.guardian.watch(process.pid(), process.start_time()),
            None => Ok(()),
        }
    }

    /// Begins to talk on Qube's wire to a child behind this pipe.
    pub(super) fn talk(&mut self, stdin: OwnedFd) -> io::Result<()> {
        let Some(Door::Port(port)) = self.door.take() else {
            return Err(io::Error::other("there is no port for the replies"));
        };
        let (folder, application) = (self.runtime.clone(), self.recipe.application.clone());
        let file = self.script.bootstrapper();
        let (talk, arrival, refusals) = port.talk(stdin, qube::Carrier { folder, file, application })?;
        self.door = Some(Door::Talk { _talk: talk });
        self.arrival = Some(arrival);
        self.refusals = Some(refusals);
        Ok(())
    }

    /// Whether the child's stderr goes into its stdout.
    pub(super) fn merges_stderr(&self) -> bool {
        self.job.stderr_to_stdout
    }

    /// What is spoken with the child.
    pub(super) fn protocol(&self) -> Protocol {
        self.recipe.protocol
    }

    /// The session's id, by which its processes are known.
    pub(super) fn marker(&self) -> &str {
        self.folder.id()
    }

    /// The child that is wanted, if one is.
    pub(super) fn take_launch(&mut self) -> Option<Generation> {
        self.wanted.take()
    }

    // ---- the child's output -------------------------------------------------------------------------------------

    /// Begins to read a child's pipes.
    pub(super) fn capture(&mut self, stdout: OwnedFd, stderr: OwnedFd) -> io::Result<()> {
        let output = Output::open(&self.folder, self.marks, self.minimum_free)
            .map_err(|error| io::Error::other(error.to_string()))?;
        self.born = self.marks;
        self.losses = output.losses.clone();
        let [out, err] = self.looking_for.begin()?;
        let stdout = self.read(Stream::Stdout, stdout, output.stdout, out)?;
        let stderr = self.read(Stream::Stderr, stderr, output.stderr, err)?;
        self.captures = Some(Captures { stdout, stderr });
        Ok(())
    }

    fn read(
        &self,
        stream: Stream,
        pipe: OwnedFd,
        mut writer: OutputWriter,
        mut tap: Option<Tap>,
    ) -> io::Result<Capture> {
        let last = Arc::clone(&self.last_output);
        let (feed, losses, losing) = (self.feed.clone(), self.losses.clone(), Arc::clone(&self.losing));
        capture::start(stream, pipe, writer.position(), move |chunk| {
            writer.append(chunk.offset, chunk.bytes, chunk.command, chunk.wall, chunk.mono);
            last.wall.store(chunk.wall.0, Ordering::Relaxed);
            last.mono.store(chunk.mono.0, Ordering::Relaxed);
            if feed.watchers() > 0 {
                feed.stir();
            }
            if losses.not_keeping().is_some() {
                losing.notify_one();
            }
            if let Some(tap) = &mut tap {
                tap.give(chunk);
            }
        })
    }

    /// Output cannot be kept: it will be told, together with what follows within a second.
    pub(super) fn loss_came(&mut self) {
        self.loss_due.get_or_insert(Micros(clock::mono().0 + LOSSES_EVERY.0));
    }

    /// When losses are to be told.
    pub(super) fn loss_due(&self) -> Option<Micros> {
        self.loss_due
    }

    /// What was lost, if it is time to tell it or there is nobody left to lose more.
    pub(super) fn take_losses(&mut self) -> Vec<(Stream, Loss)> {
        let due = self.loss_due.is_some_and(|due| due <= clock::mono());
        if !due && self.captures.is_some() {
            return Vec::new();
        }
        self.loss_due = None;
        let streams = [Stream::Stdout, Stream::Stderr];
        streams.into_iter().filter_map(|stream| Some((stream, self.losses.take(stream)?))).collect()
    }

    /// What starts a child of this secret.
    pub(super) fn back_end(&self, secret: &str) -> RecipeBackEnd {
        RecipeBackEnd::new(Arc::clone(&self.job), Arc::clone(&self.recipe), self.runtime.clone(), secret)
    }

    /// Waits a moment for what was read so far to reach its files, and to be matched.
    pub(super) async fn drain(&mut self) {
        let Some(captures) = &self.captures else { return };
        let upto = captures.position();
        let matched = self.looking_for.settle(upto, captures.drained(upto));
        let drained = async {
            match matched {
                Some(matched) => matched.await,
                None => captures.drained(upto).await,
            }
        };
        if tokio::time::timeout(MOMENT, drained).await.is_err() {
            tracing::warn!(
                "the disk is slow: the child's last output has not reached its files yet, or was not matched"
            );
        }
    }

    /// The child is gone and its tree was ended: reads what is left in the pipes, and stops.
    pub(super) async fn child_gone(&mut self) {
        self.process = None;
        self.diagnoser.pauses().operator_paused(false);
        self.usage = None;
        self.guardian.unwatch();
        if let Some(captures) = self.captures.take() {
            self.marks = captures.position();
            captures.stdout.stop();
            captures.stderr.stop();
            self.settling = None;
            let ended = async {
                captures.stdout.ended().await;
                captures.stderr.ended().await;
                self.looking_for.over().await;
            };
            if tokio::time::timeout(DRAIN, ended).await.is_err() {
                tracing::error!(
                    "the child's last output was not stored, or not looked through by the patterns, within {} s",
                    DRAIN.as_secs()
                );
            }
            self.looking_for.end();
        }
    }

    /// What was made ready for a child that did not come to be.
    pub(super) fn forget_child(&mut self) {
        self.hang_up();
        self.preparing = None;
        self.spawning = None;
        self.process = None;
    }

    /// Where this child's stacks are written when it is signalled to.
    pub(super) fn stack_file(&self) -> PathBuf {
        self.runtime.join("stacks")
    }

    /// Another child runs: remembers how much memory trouble there was before it, and nothing else of the last one.
    pub(super) fn look_at_another(&mut self, pid: u32) {
        self.memory = MemoryMark::of(pid);
        self.interpreter = Interpreter::default();
        self.hot = None;
    }

    /// The child said hello under this number; if it is not the one that was spawned, sees which process that is.
    pub(super) fn look_for_interpreter(&self, pid: u32) {
        let Some(spawned) = self.process.as_ref().map(Process::id).filter(|spawned| spawned.pid != pid) else { return };
        let (known, marker) = (Arc::clone(&self.interpreter), self.folder.id().to_owned());
        tokio::task::spawn_blocking(move || looking_in::find(pid, spawned, &known, &marker));
    }

    // ---- clocks -------------------------------------------------------------------------------------------------

    /// How long it is until a moment.
    #[expect(clippy::unused_self, reason = "the clocks are the outside's, whoever keeps them")]
    pub(super) fn until(&self, at: Micros) -> Duration {
        at.since(clock::mono()).duration()
    }

    /// When the journal is to be synced.
    pub(super) fn sync_due(&self) -> Option<Micros> {
        self.journal.sync_due()
    }

    /// Has the journal synced, if it is time.
    pub(super) fn sync_if_due(&mut self) {
        let now = clock::mono();
        if self.journal.sync_due().is_some_and(|due| due <= now) {
            self.journal.sync(now);
        }
        if let Some(error) = self.journal.sync_error() {
            tracing::error!(%error, "the journal may not survive a power failure");
        }
    }

    /// When the tree's usage is to be sampled: only while a command runs or somebody watches.
    pub(super) fn sample_due(&self) -> Option<Micros> {
        let wanted = self.runs || self.clients > 0;
        (wanted && self.process.is_some()).then_some(Micros(self.sampled.0 + SAMPLE_EVERY.0))
    }

    /// Samples the tree's usage.
    pub(super) fn sample(&mut self) {
        self.sampled = clock::mono();
        let interpreter = self.interpreter.get().map(|process| process.pid);
        let sampled = self.process.as_ref().and_then(|process| {
            let roots: Vec<u32> = std::iter::once(process.pid()).chain(interpreter).collect();
            self.sampler.sample(&roots)
        });
        self.usage = sampled.map(|point| UsagePoint { wall: clock::wall(), ..point });
        if let (Some(usages), Some(point)) = (&mut self.usages, self.usage) {
            usages.keep(point);
        }
        self.stirred = true;
    }

    /// A client came or went.
    pub(super) fn clients_changed(&mut self, change: i32) {
        self.clients = self.clients.saturating_add_signed(change);
        self.stirred = true;
    }

    /// How many clients are connected.
    pub(super) fn clients(&self) -> u32 {
        self.clients
    }

    /// The loop has done what there was to do: followers may look.
    pub(super) fn turn_ended(&mut self) {
        if std::mem::take(&mut self.stirred) {
            self.feed.stir();
        }
    }

    /// Writes everything out.
    pub(super) fn close(&mut self, state: &State) {
        if let Some(usages) = self.usages.take() {
            usages.finish(MOMENT);
        }
        if let Some(checkpointer) = self.checkpointer.take() {
            checkpointer.finish(state, self.journal.end());
        }
        if let Err(error) = self.journal.sync_and_wait() {
            tracing::error!(%error, "the journal could not be synced");
        }
        if let Err(error) = std::fs::remove_dir_all(&self.runtime)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, folder = %self.runtime.display(), "the runtime folder could not be removed");
        }
    }
}

pub(super) fn start_guardian((program, args): &(PathBuf, Vec<String>), marker: &str) -> io::Result<Guardian> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Guardian::start(program, &args, marker)
}

impl Captures {
    /// Waits until every byte before these places was given to its sink.
    fn drained(&self, upto: Marks) -> impl Future<Output = ()> + Send + use<> {
        let (stdout, stderr) = (self.stdout.drained(upto.stdout), self.stderr.drained(upto.stderr));
        async move {
            stdout.await;
            stderr.await;
        }
    }

    fn position(&self) -> Marks {
        Marks { stdout: self.stdout.boundary(None), stderr: self.stderr.boundary(None) }
    }
}

impl World for Outside {
    fn now(&self) -> Now {
        Now { wall: clock::wall(), mono: clock::mono() }
    }

    fn journal(&mut self, kinds: &mut Vec<EventKind>) -> Result<Vec<Recorded>, String> {
        self.journal.append(kinds).map_err(|error| error.to_string())
    }

    fn publish(&mut self, recorded: &Recorded, state: &State) {
        if matches!(recorded.event.kind, EventKind::ItemEnded { .. }) {
            self.journal.sync(clock::mono());
        }
        if let Some(checkpointer) = &mut self.checkpointer {
            checkpointer.note(recorded);
            if checkpointer.due() {
                checkpointer.write(state, self.journal.end());
            }
        }
        self.feed.push(Arc::clone(&recorded.event));
        self.stirred = true;
    }

    fn commands(&self, phase: Phase, item: Option<&ItemSpec>) -> Result<Vec<String>, String> {
        let commands = match (phase, item) {
            (Phase::Setup, _) => self.script.job_setup(),
            (Phase::Teardown, _) => self.script.job_teardown(),
            (Phase::Item, Some(item)) => self.script.execute_work(item),
            _ => Ok(Vec::new()),
        };
        commands.map_err(|error| error.to_string())
    }

    fn launch(&mut self, generation: Generation) {
        self.wanted = Some(generation);
    }

    fn launch_driver(&mut self) {
        self.driving.want(Wanted::Driver);
    }

    fn open_channel(&mut self) {
        self.driving.want(Wanted::Channel);
    }

    fn launch_driven(&mut self, generation: Generation, launch: ChildLaunch) {
        self.driving.want(Wanted::Child(generation, Box::new(launch)));
    }

    fn greeting(&self) -> Map<String, Value> {
        let log = |stream| Value::from(self.folder.output(stream).to_string_lossy().into_owned());
        let logs = json!({ "stdout": log(Stream::Stdout), "stderr": log(Stream::Stderr) });
        [("logs".to_owned(), logs)].into_iter().collect()
    }

    fn tell_driver(&mut self, word: Word) {
        self.driving.say(word);
    }

    fn tell_driver_after(&mut self, output: Marks, word: Word) {
        self.late = Some(Late::new(output, word));
    }

    fn kill_driver(&mut self) {
        self.driving.kill(self.folder.id());
    }

    fn give_up_launch(&mut self) {
        self.forget_child();
    }

    fn inspect_outputs(&mut self, inspection: Inspection) {
        let cwd = self.job.cwd.clone().unwrap_or_default();
        self.looking = Some(Box::pin(self.inspector.inspect(inspection, cwd)));
    }

    fn settle(&mut self, upto: Marks) -> bool {
        let captures = self.captures.as_ref();
        self.settling = captures.and_then(|captures| self.looking_for.settle(upto, captures.drained(upto)));
        self.settling.is_some()
    }

    fn send(&mut self, frame: &ToChild<'_>) -> Result<(), ChannelError> {
        if let (ToChild::Execute { id, source, .. }, true) = (frame, self.recipe.echo) {
            self.looking_for.expect_echo(*id, || echo_of(&self.recipe.prompt, source));
        }
        self.channel.as_mut().ok_or(ChannelError::Closed)?.send(frame)
    }

    fn hang_up(&mut self) {
        self.channel = None;
        self.door = None;
        self.arrival = None;
        self.refusals = None;
        self.steps = None;
    }

    fn boundary(&mut self, next: Option<CommandId>) -> Marks {
        self.runs = next.is_some();
        match &self.captures {
            Some(captures) => Marks { stdout: captures.stdout.boundary(next), stderr: captures.stderr.boundary(next) },
            None => self.marks,
        }
    }

    fn signal(&mut self, signal: i32) -> Result<(), String> {
        let Some(process) = &self.process else { return Err("there is no child".into()) };
        let signal = nix::sys::signal::Signal::try_from(signal).map_err(|error| error.to_string())?;
        // A launcher's end would be taken for the child's, and the application killed before it has heeded the signal.
        let signalled = match self.interpreter.get() {
            Some(interpreter) => child::signal_below(*interpreter, signal),
            None => process.signal_group(signal),
        };
        signalled.map_err(|error| error.to_string())
    }

    fn kill_everything(&mut self) {
        let Some(process) = &self.process else { return };
        for left in child::kill_everything(process, self.folder.id()) {
            tracing::warn!(pid = left.pid, "a process of the session could not be ended");
        }
    }

    fn last_words(&self) -> String {
        super::last_words::of(&self.folder, self.born)
    }

    fn telemetry(&self) -> Telemetry {
        let mono = Micros(self.last_output.mono.load(Ordering::Relaxed));
        let wall = Micros(self.last_output.wall.load(Ordering::Relaxed));
        Telemetry {
            output: self.captures.as_ref().map_or(self.marks, |captures| Marks {
                stdout: captures.stdout.read(),
                stderr: captures.stderr.read(),
            }),
            last_output: (mono.0 > 0).then_some(Now { wall, mono }),
            not_keeping: self.losses.not_keeping(),
            usage: self.usage,
            clients: self.clients,
        }
    }

    fn diagnose(&mut self, inquiry: Inquiry) {
        let process = self.process.as_ref().map(Process::id);
        let (memory, stack_file) = (self.memory.clone(), self.stack_file());
        let known = Arc::clone(&self.interpreter);
        let asked = looking_in::question(inquiry, process, known, (memory, stack_file), self.folder.id());
        let diagnoser = self.diagnoser.clone();
        self.diagnosing = Some(Box::pin(async move { diagnoser.diagnose(asked.await).await }));
    }

    fn pause(&mut self, stop: bool) -> Result<(), String> {
        let Some(process) = &self.process else { return Err("there is no child".into()) };
        let set = if stop { child::stop_everything } else { child::continue_everything };
        // Before it is done, so that a look at the child never lets go on what an operator has stopped.
        self.diagnoser.pauses().operator_paused(stop);
        set(process, self.folder.id()).map_err(|error| error.to_string())
    }

    fn hot(&mut self, pid: u32, reset: bool) -> Result<HotTree, String> {
        let process = self.process.as_ref().map(Process::id).ok_or("no child runs")?;
        let target = if pid == process.pid { Some(process) } else { self.interpreter.get().copied() };
        let Some(target) = target else {
            self.look_for_interpreter(pid);
            return Err("it is not known yet which process runs the commands; ask again".into());
        };
        let sampler = match self.hot.take() {
            Some((sampled, sampler)) if sampled == target && (sampler.is_running() || !reset) => sampler,
            _ => HotSampler::start(target, self.diagnoser.pauses()),
        };
        if reset {
            sampler.reset();
        }
        let tree = sampler.snapshot();
        // Why one has ended is told once; whoever asks again gets another.
        if tree.ended.is_none() {
            self.hot = Some((target, sampler));
        }
        Ok(tree)
    }
}
