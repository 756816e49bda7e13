//! From "a child is wanted" to "it runs": secret, port, bootstrapper, arguments, spawn, capture.

use super::super::actor::Actor;
use super::outside::{Door, Outside};
use crate::backend::{ChildArgs, DispatcherSettings, Protocol, PythonChildBackEnd, RecipeBackEnd, StdinMode};
use crate::child::{MARKER, SpawnError, SpawnSpec, Spawned, Stdin};
use crate::dispatcher::{Awaited, Listener, Secret, Welcome, qube};
use crate::model::Generation;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

/// How long the files that a child needs may take to be found and written.
const PREPARATION: Duration = Duration::from_mins(1);
/// Tells the bootstrapper where stacks are to be written when it gets SIGUSR1.
const STACK_FILE: &str = "CHILDMINDER_STACK_FILE";

/// What was made ready for a child.
pub(super) struct Prepared {
    args: ChildArgs,
    init: Vec<String>,
    door: Door,
    awaited: Option<Awaited>,
}

/// A back channel for a child.
pub(super) struct Bound {
    pub(super) port: u16,
    pub(super) door: Door,
    /// Of a child on our own wire.
    pub(super) awaited: Option<Awaited>,
}

/// Begins to make everything ready for a child; the loop takes delivery.
pub(super) fn launch(world: &mut Outside, generation: Generation) {
    let secret = Secret::new().map_err(|error| format!("no random numbers for the session's secret: {error}"));
    let made = secret.map(|secret| (world.back_end(&secret.to_hex()), secret));
    let (stack_file, protocol) = (world.stack_file(), world.protocol());
    world.preparing = Some(Box::pin(async move {
        let prepared = match made {
            Ok((back_end, secret)) => prepare(back_end, protocol, secret, stack_file).await,
            Err(reason) => Err(reason),
        };
        (generation, prepared)
    }));
}

/// All is ready, or something went wrong, which is told to the actor.
pub(super) fn prepared(actor: &mut Actor<Outside>, generation: Generation, prepared: Result<Prepared, String>) {
    let ready = prepared.map(|Prepared { args, init, door, awaited }| {
        actor.world().listen(door, awaited);
        (args, init)
    });
    start(actor, generation, ready, false);
}

/// Has it spawned.
pub(super) fn start(
    actor: &mut Actor<Outside>,
    generation: Generation,
    ready: Result<(ChildArgs, Vec<String>), String>,
    merge_stderr: bool,
) {
    let (args, init) = match ready {
        Ok(ready) => ready,
        Err(reason) => {
            actor.world().forget_child();
            return actor.launch_failed(reason);
        }
    };
    let argv = std::iter::once(args.program.as_os_str()).chain(args.args.iter().map(AsRef::as_ref));
    let argv = argv.map(|word| word.to_string_lossy().into_owned()).collect();
    if !actor.child_starting(argv, args.cwd.display().to_string(), init) {
        return actor.world().forget_child();
    }
    tracing::info!(%generation, program = %args.program.display(), "starting the child");
    let spec = spec(args, merge_stderr, actor.world());
    actor.world().spawn(spec);
}

/// The child runs, or could not be spawned.
pub(super) fn spawned(actor: &mut Actor<Outside>, spawned: Result<Spawned, SpawnError>) {
    let world = actor.world();
    match spawned.map_err(|error| error.to_string()).and_then(|spawned| take(world, spawned)) {
        Ok((pid, start_time)) => actor.child_spawned(pid, start_time),
        Err(reason) => {
            world.forget_child();
            actor.launch_failed(reason);
        }
    }
}

/// Everything that the child needs before it runs. The file systems on which its executable is looked for may be slow, and
/// it may have to be asked for its version.
async fn prepare(
    back_end: RecipeBackEnd,
    protocol: Protocol,
    secret: Secret,
    stack_file: PathBuf,
) -> Result<Prepared, String> {
    let Bound { port, door, awaited } = bind(&back_end, protocol, secret).await?;
    let made = elsewhere(move || {
        write(&back_end, port, &stack_file)?;
        back_end.get_subprocess_args(port).map_err(|error| error.to_string())
    });
    let (args, init) = made.await?;
    Ok(Prepared { args, init, door, awaited })
}

/// A back channel for this generation, and where the file is that runs in the child.
pub(super) async fn open(
    back_end: RecipeBackEnd,
    protocol: Protocol,
    secret: Secret,
    stack_file: PathBuf,
) -> Result<(Bound, PathBuf), String> {
    let bound = bind(&back_end, protocol, secret).await?;
    let port = bound.port;
    Ok((bound, elsewhere(move || write(&back_end, port, &stack_file)).await?))
}

async fn bind(back_end: &RecipeBackEnd, protocol: Protocol, secret: Secret) -> Result<Bound, String> {
    let bound = match protocol {
        Protocol::Native => listen(back_end, secret).await,
        Protocol::Qube => qube::Port::bind().await.map(|port| Bound {
            port: port.number(),
            door: Door::Port(Box::new(port)),
            awaited: None,
        }),
    };
    bound.map_err(|error| format!("no port for the back channel: {error}"))
}

/// Writes the files that the child needs; where the one is that runs in it.
fn write(back_end: &RecipeBackEnd, port: u16, stack_file: &Path) -> Result<PathBuf, String> {
    // It makes their folder, too.
    let written = back_end.generate_child_bootstrapper(port).map_err(|error| error.to_string())?;
    empty_stack_file(stack_file).map_err(|error| format!("no file for the child's stacks: {error}"))?;
    Ok(written)
}

/// On a thread where it may wait for a disk, for a while.
async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    let Ok(done) = tokio::time::timeout(PREPARATION, tokio::task::spawn_blocking(work)).await else {
        let wait = PREPARATION.as_secs();
        return Err(format!("the files that it needs were not found within {wait} s: a file server may not answer"));
    };
    done.map_err(|error| format!("the child could not be prepared: {error}"))?
}

/// Waits for a child on our own wire.
async fn listen(back_end: &RecipeBackEnd, secret: Secret) -> io::Result<Bound> {
    let DispatcherSettings { heartbeat, echo, pump, .. } = back_end.init_py_cmd_dispatcher();
    let welcome =
        Welcome { heartbeat: heartbeat.as_secs_f64(), echo, pump: pump.word().to_owned(), ..Welcome::default() };
    let (listener, awaited) = Listener::bind(secret, welcome).await?;
    Ok(Bound { port: listener.port(), door: Door::Native { _listener: listener }, awaited: Some(awaited) })
}

fn spec(args: ChildArgs, merge_stderr: bool, world: &Outside) -> SpawnSpec {
    let mut env = args.env;
    env.push((MARKER.into(), world.marker().into()));
    env.push((STACK_FILE.into(), world.stack_file().into()));
    let stdin = match args.stdin {
        StdinMode::Null => Stdin::Null,
        StdinMode::Inherit => Stdin::Inherit,
        StdinMode::Commands => Stdin::Pipe,
    };
    let merge_stderr = merge_stderr || world.merges_stderr();
    SpawnSpec { program: args.program, args: args.args, env, cwd: args.cwd, stdin, merge_stderr, helper: None }
}

/// A new file for each child: what another one wrote is not its own. Its folder is private, and goes with the session.
fn empty_stack_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop)
}

/// Begins to read its output, and has it guarded.
fn take(world: &mut Outside, spawned: Spawned) -> Result<(u32, u64), String> {
    let (pid, start_time) = (spawned.process.pid(), spawned.process.start_time());
    world.guard(pid, start_time);
    world.look_at_another(pid);
    let captured = world.capture(spawned.stdout, spawned.stderr);
    world.process = Some(spawned.process);
    captured.map_err(|error| format!("the child's output cannot be read: {error}"))?;
    if let Some(stdin) = spawned.stdin {
        world.talk(stdin).map_err(|error| format!("the child cannot be talked to: {error}"))?;
    }
    Ok((pid, start_time))
}
