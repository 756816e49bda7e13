//! The driver of a session on the outside: the helper interpreter, its end of the bridge, and what it prints.
//!
//! What must stay true: its pipes are read whatever happens, in its own time and never in the actor's; what it prints is
//! made safe, cut and told a few times a second at most.

use super::super::actor::Actor;
use super::launch;
use super::outside::{Captures, MOMENT, Outside, Spawning, start_guardian};
use crate::backend::ChildArgs;
use crate::backend::class::bridge::{Bridge, BridgeError, Request, Word};
use crate::backend::class::{self, ChildLaunch};
use crate::child::{self, ENGINE, Guardian, MARKER, Process, SpawnError, SpawnSpec, Spawned, Stdin};
use crate::dispatcher::Secret;
use crate::model::{Exit, Generation, Marks};
use crate::store::plain_safe;
use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long lines are gathered before they are told together.
const GATHER: Duration = Duration::from_millis(200);
/// The most bytes of the first lines that are told at once, and of the last; those between are counted.
const TOLD: usize = 8 << 10;
/// What stands before each line.
const MARK: &str = "back end| ";
/// The longest line that is told whole, in bytes.
const LINE: usize = 4096;
/// How long what a dead helper has printed is waited for: a process of its own may hold the pipes.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the actor wants of its driver's, and that takes a moment.
pub(super) enum Wanted {
    /// A driver.
    Driver,
    /// A back channel for its child.
    Channel,
    /// The child.
    Child(Generation, Box<ChildLaunch>),
}

/// The driver.
#[derive(Default)]
pub(super) struct Driving {
    wanted: Option<Wanted>,
    spawning: Option<Spawning>,
    process: Option<Process>,
    bridge: Option<Bridge>,
    said: Option<mpsc::Receiver<String>>,
    reader: Option<JoinHandle<()>>,
    /// Ends what the helper has started, should the engine die.
    guardian: Option<Guardian>,
    /// The back channel that is open for its child, and that channel's secret.
    channel: Option<(u16, String)>,
}

/// What comes of the driver.
pub(super) enum FromDriver {
    Spawned(Result<Spawned, SpawnError>),
    Asked(Request),
    Broken(BridgeError),
    Said(String),
    Exited(Exit),
}

impl Driving {
    pub(super) fn want(&mut self, wanted: Wanted) {
        self.wanted = Some(wanted);
    }

    /// What is wanted, if anything is.
    pub(super) fn take(&mut self) -> Option<Wanted> {
        self.wanted.take()
    }

    pub(super) fn say(&mut self, word: Word) {
        if let Some(bridge) = &mut self.bridge {
            bridge.say(word);
        }
    }

    /// Waits for whatever comes first; requests only while they are `heard`. Can be dropped and called again.
    pub(super) async fn next(&mut self, heard: bool) -> FromDriver {
        tokio::select! {
            biased;
            spawned = async { match &mut self.spawning { Some(spawning) => spawning.await, None => pending().await } } => {
                self.spawning = None;
                FromDriver::Spawned(spawned)
            }
            request = async { match &mut self.bridge { Some(bridge) => bridge.next().await, None => pending().await } }, if heard => {
                match request {
                    Ok(request) => FromDriver::Asked(request),
                    Err(error) => {
                        self.bridge = None;
                        FromDriver::Broken(error)
                    }
                }
            }
            Some(said) = async { match &mut self.said { Some(said) => said.recv().await, None => pending().await } } => {
                FromDriver::Said(said)
            }
            exit = async { match &self.process { Some(process) => process.exited().await, None => pending().await } } => {
                FromDriver::Exited(exit)
            }
        }
    }

    /// Kills the helper and everything that it has started.
    pub(super) fn kill(&mut self, session: &str) {
        self.spawning = None;
        let Some(process) = &self.process else { return };
        for left in child::kill_everything(process, &class::marker(session)) {
            tracing::warn!(pid = left.pid, "a process of the back end could not be ended");
        }
    }
}

/// A word for the driver that waits for output to be stored.
pub(super) struct Late {
    output: Marks,
    until: tokio::time::Instant,
    word: Word,
}

impl Late {
    pub(super) fn new(output: Marks, word: Word) -> Self {
        Self { output, until: tokio::time::Instant::now() + MOMENT, word }
    }

    /// Waits until it is, or for a moment.
    pub(super) async fn stored(&self, captures: Option<&Captures>) {
        let Some(captures) = captures else { return };
        let stored = async {
            captures.stdout.drained(self.output.stdout).await;
            captures.stderr.drained(self.output.stderr).await;
        };
        if tokio::time::timeout_at(self.until, stored).await.is_err() {
            tracing::warn!("the disk is slow: the back end is answered before the output has reached its files");
        }
    }
}

impl Outside {
    /// A guardian of the helper's own, whose processes are not the child's.
    pub(super) fn guard_helper(&mut self, helper: &Process) -> Option<Guardian> {
        let guardian = start_guardian(&self.guardian_command, &class::marker(self.folder.id()));
        let watched = guardian.and_then(|mut guardian| {
            guardian.watch(helper.pid(), helper.start_time())?;
            Ok(guardian)
        });
        watched.inspect_err(|error| tracing::warn!(%error, "the back end is without a guardian")).ok()
    }

    /// How the helper is started.
    pub(super) fn helper(&self, bridge: i32) -> Result<ChildArgs, String> {
        let driven = self.job.driven.clone().unwrap_or_default();
        class::helper(&self.job, &driven, &self.runtime, bridge).map_err(|error| error.to_string())
    }

    /// Says what has waited for output.
    pub(super) fn say_late(&mut self) {
        if let Some(late) = self.late.take() {
            self.driving.say(late.word);
        }
    }
}

/// Does what the actor wants.
pub(super) async fn carry_out(actor: &mut Actor<Outside>, wanted: Wanted) {
    match wanted {
        Wanted::Driver => {
            if let Err(reason) = start(actor) {
                actor.driver_launch_failed(reason);
            }
        }
        Wanted::Channel => {
            let opened = open(actor.world()).await;
            actor.channel_opened(opened);
        }
        Wanted::Child(generation, launch) => {
            let Some((port, secret)) = actor.world().driving.channel.clone() else {
                return actor.launch_failed("the back channel is not open".to_owned());
            };
            let merge_stderr = launch.merge_stderr;
            let prepared = actor.world().back_end(&secret).driven(*launch, port).map_err(|error| error.to_string());
            launch::start(actor, generation, prepared, merge_stderr);
        }
    }
}

/// Opens the back channel; its port, and where the file is that runs in the child.
async fn open(world: &mut Outside) -> Result<(u16, PathBuf), String> {
    let secret = Secret::new().map_err(|error| format!("no random numbers for the session's secret: {error}"))?;
    let hex = secret.to_hex();
    let back_end = world.back_end(&hex);
    let (bound, bootstrapper) = launch::open(back_end, world.protocol(), secret, world.stack_file()).await?;
    world.listen(bound.door, bound.awaited);
    world.driving.channel = Some((bound.port, hex));
    Ok((bound.port, bootstrapper))
}

/// Spawns the helper; the loop takes delivery.
fn start(actor: &mut Actor<Outside>) -> Result<(), String> {
    let world = actor.world();
    let said = |error: io::Error| format!("no way to talk to the back end: {error}");
    let (bridge, theirs) = Bridge::new().map_err(said)?;
    let args = world.helper(theirs.as_raw_fd())?;
    let argv = std::iter::once(args.program.as_os_str()).chain(args.args.iter().map(AsRef::as_ref));
    let argv = argv.map(|word| word.to_string_lossy().into_owned()).collect();
    if !actor.driver_starting(argv) {
        return Ok(());
    }
    let world = actor.world();
    let mut env = args.env;
    env.push((MARKER.into(), class::marker(world.marker()).into()));
    env.retain(|(name, _)| name != ENGINE);
    let spec = SpawnSpec {
        program: args.program,
        args: args.args,
        env,
        cwd: args.cwd,
        stdin: Stdin::Null,
        merge_stderr: false,
        helper: Some(Arc::new(theirs)),
    };
    let spawner = Arc::clone(&world.spawner);
    world.driving.bridge = Some(bridge);
    world.driving.spawning = Some(Box::pin(async move { spawner.spawn(spec).await }));
    Ok(())
}

/// Something came of the driver.
pub(super) async fn came(actor: &mut Actor<Outside>, word: FromDriver) {
    match word {
        FromDriver::Spawned(spawned) => {
            if let Err(reason) =
                spawned.map_err(|error| error.to_string()).and_then(|spawned| take(actor.world(), spawned))
            {
                actor.world().driving = Driving::default();
                actor.driver_launch_failed(reason);
            }
        }
        FromDriver::Asked(request) => actor.driver_asked(request),
        FromDriver::Broken(error) => actor.bridge_ended(&error),
        FromDriver::Said(said) => tell(actor, &said),
        FromDriver::Exited(exit) => exited(actor, exit).await,
    }
}

fn take(world: &mut Outside, spawned: Spawned) -> Result<(), String> {
    let failed = |error: io::Error| format!("what the back end prints cannot be read: {error}");
    let (stdout, stderr) = (receiver(spawned.stdout).map_err(failed)?, receiver(spawned.stderr).map_err(failed)?);
    world.driving.guardian = world.guard_helper(&spawned.process);
    let (tell, said) = mpsc::channel(1);
    world.driving.said = Some(said);
    world.driving.reader = Some(tokio::spawn(read(stdout, stderr, tell)));
    world.driving.process = Some(spawned.process);
    Ok(())
}

fn receiver(pipe: OwnedFd) -> io::Result<Receiver> {
    Receiver::from_owned_fd(pipe)
}

/// The helper is gone; what it asked and printed before it went is still in the socket and the pipes.
async fn exited(actor: &mut Actor<Outside>, exit: Exit) {
    while let Some(bridge) = &mut actor.world().driving.bridge {
        match bridge.try_next() {
            Ok(Some(request)) => actor.driver_asked(request),
            _ => break,
        }
    }
    let session = actor.world().marker().to_owned();
    actor.world().driving.kill(&session);
    let mut driving = std::mem::take(&mut actor.world().driving);
    if let Some(said) = &mut driving.said {
        let all = async {
            while let Some(said) = said.recv().await {
                tell(actor, &said);
            }
        };
        // Somebody else who holds its pipes is not waited for.
        let _ = tokio::time::timeout(LAST_WORDS, all).await;
    }
    if let Some(reader) = &driving.reader {
        reader.abort();
    }
    drop(driving);
    actor.driver_ended(exit);
}

fn tell(actor: &mut Actor<Outside>, said: &str) {
    for line in said.lines() {
        tracing::info!("{line}");
    }
    actor.note(said);
}

/// Reads both pipes to their ends, and tells what came, gathered.
async fn read(mut stdout: Receiver, mut stderr: Receiver, tell: mpsc::Sender<String>) {
    let (mut out, mut err) = (Lines::default(), Lines::default());
    let mut open = [true, true];
    let mut gathered = Gathered::default();
    loop {
        let due = gathered.due;
        tokio::select! {
            read = out.read(&mut stdout), if open[0] => open[0] = read,
            read = err.read(&mut stderr), if open[1] => open[1] = read,
            () = async { match due { Some(due) => tokio::time::sleep_until(due).await, None => pending().await } } => {
                if tell.send(gathered.take()).await.is_err() {
                    return;
                }
            }
            else => {}
        }
        for (pipe, lines) in [&mut out, &mut err].into_iter().enumerate() {
            lines.hand_over(!open[pipe], |line| gathered.add(pipe, line));
        }
        if open == [false, false] {
            break;
        }
    }
    if gathered.due.is_some() {
        // Whoever listened may have gone.
        let _ = tell.send(gathered.take()).await;
    }
}

/// Bytes of one pipe, up to the end of a line.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    /// Whether the beginning of this line was told already, since it is too long.
    cut: bool,
}

impl Lines {
    /// Reads once; `false` at the end.
    async fn read(&mut self, pipe: &mut Receiver) -> bool {
        self.bytes.reserve(LINE);
        matches!(pipe.read_buf(&mut self.bytes).await, Ok(read) if read > 0)
    }

    /// Hands over whole lines, and the beginning of one that is too long.
    fn hand_over(&mut self, ended: bool, mut add: impl FnMut(&str)) {
        let mut from = 0;
        while let Some(end) = memchr::memchr(b'\n', &self.bytes[from..]) {
            self.line(from..from + end, &mut add);
            self.cut = false;
            from += end + 1;
        }
        self.bytes.drain(..from);
        if self.bytes.len() > LINE || (ended && !self.bytes.is_empty()) {
            self.line(0..self.bytes.len(), &mut add);
            self.cut = true;
            self.bytes.clear();
        }
    }

    fn line(&self, range: Range<usize>, add: &mut impl FnMut(&str)) {
        if !self.cut {
            let line = &self.bytes[range];
            add(&plain_safe(&line[..line.len().min(LINE)]));
        }
    }
}

/// Lines that are to be told together: the first and the last of them, if they are many.
#[derive(Default)]
struct Gathered {
    first: String,
    last: VecDeque<(usize, String)>,
    /// How many bytes of each pipe `last` has: one must not push out what the other says.
    bytes: [usize; 2],
    left_out: usize,
    due: Option<tokio::time::Instant>,
}

impl Gathered {
    fn add(&mut self, pipe: usize, line: &str) {
        self.due.get_or_insert_with(|| tokio::time::Instant::now() + GATHER);
        if self.last.is_empty() && self.first.len() + line.len() <= TOLD {
            for piece in [MARK, line, "\n"] {
                self.first.push_str(piece);
            }
            return;
        }
        self.bytes[pipe] += line.len();
        self.last.push_back((pipe, line.to_owned()));
        while self.bytes[pipe] > TOLD {
            let oldest = self.last.iter().position(|(of, _)| *of == pipe).and_then(|place| self.last.remove(place));
            let Some((_, oldest)) = oldest else { return };
            self.bytes[pipe] -= oldest.len();
            self.left_out += 1;
        }
    }

    fn take(&mut self) -> String {
        let all = std::mem::take(self);
        let left_out = (all.left_out > 0).then(|| format!("(… {} more lines)", all.left_out));
        let last = left_out.into_iter().chain(all.last.into_iter().map(|(_, line)| line));
        let mut text = last.fold(all.first, |text, line| text + MARK + &line + "\n");
        text.truncate(text.trim_end_matches('\n').len());
        text
    }
}
