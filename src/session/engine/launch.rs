//! From "a child is wanted" to "it runs": secret, port, bootstrapper, arguments, spawn, capture.

use super::super::actor::Actor;
use super::outside::{Door, Outside};
use crate::backend::{ChildArgs, DispatcherSettings, Protocol, PythonChildBackEnd, RecipeBackEnd, StdinMode};
use crate::child::{MARKER, SpawnError, SpawnSpec, Spawned, Stdin};
use crate::dispatcher::{Listener, Secret, Welcome, qube};
use crate::model::Generation;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::{fs, io};

/// Tells the bootstrapper where stacks are to be written when it gets SIGUSR1.
const STACK_FILE: &str = "CHILDMINDER_STACK_FILE";

/// Launches a child; what goes wrong is told to the actor.
pub(super) async fn launch(actor: &mut Actor<Outside>, generation: Generation) {
    let (args, init) = match prepare(actor.world()).await {
        Ok(prepared) => prepared,
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
    let spec = spec(args, actor.world());
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

/// Everything that the child needs before it runs.
async fn prepare(world: &mut Outside) -> Result<(ChildArgs, Vec<String>), String> {
    let secret = Secret::new().map_err(|error| format!("no random numbers for the session's secret: {error}"))?;
    let back_end = world.back_end(&secret.to_hex());
    let port = match world.protocol() {
        Protocol::Native => listen(world, &back_end, secret).await,
        Protocol::Qube => qube::Port::bind().await.map(|port| {
            let number = port.number();
            world.door = Some(Door::Port(Box::new(port)));
            number
        }),
    };
    let port = port.map_err(|error| format!("no port for the back channel: {error}"))?;
    back_end.generate_child_bootstrapper(port).map_err(|error| error.to_string())?;
    empty_stack_file(&world.stack_file()).map_err(|error| format!("no file for the child's stacks: {error}"))?;
    back_end.get_subprocess_args(port).map_err(|error| error.to_string())
}

/// Waits for a child on our own wire; the port.
async fn listen(world: &mut Outside, back_end: &RecipeBackEnd, secret: Secret) -> io::Result<u16> {
    let DispatcherSettings { heartbeat, echo, pump, .. } = back_end.init_py_cmd_dispatcher();
    let welcome =
        Welcome { heartbeat: heartbeat.as_secs_f64(), echo, pump: pump.word().to_owned(), ..Welcome::default() };
    let (listener, arrival, refusals) = Listener::bind(secret, welcome).await?;
    let port = listener.port();
    world.door = Some(Door::Native { _listener: listener });
    world.arrival = Some(arrival);
    world.refusals = Some(refusals);
    Ok(port)
}

fn spec(args: ChildArgs, world: &Outside) -> SpawnSpec {
    let mut env = args.env;
    env.push((MARKER.into(), world.marker().into()));
    env.push((STACK_FILE.into(), world.stack_file().into()));
    let stdin = match args.stdin {
        StdinMode::Null => Stdin::Null,
        StdinMode::Inherit => Stdin::Inherit,
        StdinMode::Commands => Stdin::Pipe,
    };
    let merge_stderr = world.merges_stderr();
    SpawnSpec { program: args.program, args: args.args, env, cwd: args.cwd, stdin, merge_stderr }
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
