//! From "a child is wanted" to "it runs": secret, port, bootstrapper, arguments, spawn, capture.

use super::super::actor::Actor;
use super::outside::Outside;
use crate::backend::{ChildArgs, DispatcherSettings, PythonChildBackEnd, StdinMode};
use crate::child::{MARKER, SpawnError, SpawnSpec, Spawned};
use crate::dispatcher::{Listener, Secret, Welcome};
use crate::model::Generation;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Tells the bootstrapper where stacks are to be written when it gets SIGUSR1.
const STACK_FILE: &str = "CHILDMINDER_STACK_FILE";

/// Launches a child; what goes wrong is told to the actor.
pub(super) async fn launch(actor: &mut Actor<Outside>, generation: Generation) {
    let prepared = prepare(actor.world()).await;
    start(actor, generation, prepared, false);
}

/// Has it spawned.
pub(super) fn start(
    actor: &mut Actor<Outside>,
    generation: Generation,
    prepared: Result<(ChildArgs, Vec<String>), String>,
    merge_stderr: bool,
) {
    let (args, init) = match prepared {
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
    let spec = SpawnSpec { merge_stderr, ..spec(args, actor.world()) };
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
    let (port, secret, _) = open(world).await?;
    world.back_end(&secret).get_subprocess_args(port).map_err(|error| error.to_string())
}

/// The back channel, and the file that runs in the child: the port, the secret in hex, and where the file is.
pub(super) async fn open(world: &mut Outside) -> Result<(u16, String, PathBuf), String> {
    let secret = Secret::new().map_err(|error| format!("no random numbers for the session's secret: {error}"))?;
    let hex = secret.to_hex();
    let back_end = world.back_end(&hex);
    let DispatcherSettings { heartbeat, echo, pump, .. } = back_end.init_py_cmd_dispatcher();
    let welcome =
        Welcome { heartbeat: heartbeat.as_secs_f64(), echo, pump: pump.word().to_owned(), ..Welcome::default() };
    let (listener, arrival, refusals) =
        Listener::bind(secret, welcome).await.map_err(|error| format!("no port for the back channel: {error}"))?;
    let port = listener.port();
    world.listener = Some(listener);
    world.arrival = Some(arrival);
    world.refusals = Some(refusals);
    let path = back_end.generate_child_bootstrapper(port).map_err(|error| error.to_string())?;
    empty_stack_file(&world.stack_file()).map_err(|error| format!("no file for the child's stacks: {error}"))?;
    Ok((port, hex, path))
}

fn spec(args: ChildArgs, world: &Outside) -> SpawnSpec {
    let mut env = args.env;
    env.push((MARKER.into(), world.marker().into()));
    env.push((STACK_FILE.into(), world.stack_file().into()));
    let inherit_stdin = matches!(args.stdin, StdinMode::Inherit);
    SpawnSpec {
        program: args.program,
        args: args.args,
        env,
        cwd: args.cwd,
        inherit_stdin,
        merge_stderr: false,
        helper: None,
    }
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
    captured.map_err(|error| format!("the child's output cannot be read: {error}")).map(|()| (pid, start_time))
}
