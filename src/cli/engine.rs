//! An engine as its own process: how `run` starts one, and what that process does (`__engine`).
//!
//! It tells of its readiness on its standard output, which is a pipe to whoever started it: a line `ready`, or a line
//! with an exit code and what is wrong. Then it lets go of the pipe and belongs to nobody; unless it is bound: then its
//! standard input is a pipe from whoever started it, and when that is closed (by whatever death of theirs) the session is
//! stopped.

use super::exit::{Failure, LOST, OK};
use super::host::{self, Hosted, Stay};
use super::inherited;
use crate::store::{self, Folder};
use nix::unistd::{dup2_stdin, dup2_stdout, setsid};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tokio::sync::oneshot;

/// The longest word that is read from a starting engine, in bytes.
const WORD: u64 = 64 << 10;

/// The engine of a session, in this process.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The session's folder.
    folder: PathBuf,
    /// The group that may watch.
    #[arg(long, value_name = "GID")]
    watchers: Option<u32>,
    /// Stop when standard input ends.
    #[arg(long)]
    bound: bool,
    /// Remove the session's folder at the end.
    #[arg(long)]
    remove: bool,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    // Fails for the leader of a process group, which nobody makes of us; then we share its fate.
    let _ = setsid();
    let code = serve(args);
    if args.remove {
        // What cannot be removed now is old some day.
        let _ = Folder::open(&args.folder).map(|folder| store::remove(&folder));
    }
    code
}

fn serve(args: &Args) -> Result<u8, Failure> {
    let stay = if args.bound { Stay::Bound(end_of_stdin()?) } else { Stay::ForClients };
    let started = Folder::open(&args.folder)
        .map_err(Failure::from)
        .and_then(|folder| Hosted::start(&folder, stay, args.watchers));
    let word = match &started {
        Ok(_) => "ready".to_owned(),
        Err(failure) => format!("{} {}", failure.code, failure.message),
    };
    // Whoever started us may have gone; the session goes on.
    let _ = writeln!(io::stdout(), "{word}").and_then(|()| io::stdout().flush());
    dup2_stdout(File::open("/dev/null")?).map_err(io::Error::from)?;
    match started {
        Ok(hosted) => hosted.wait(),
        // It was told where somebody reads it.
        Err(failure) => Ok(failure.code),
    }
}

/// Closed once nobody can write to standard input any more.
fn end_of_stdin() -> io::Result<oneshot::Receiver<()>> {
    let (there, gone) = oneshot::channel();
    let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    // A child that inherits it has nothing to wait for there.
    dup2_stdin(File::open("/dev/null")?).map_err(io::Error::from)?;
    std::thread::Builder::new().name("bound".into()).spawn(move || {
        // An error is an end, too.
        let _ = io::copy(&mut stdin, &mut io::sink());
        drop(there);
    })?;
    Ok(gone)
}

/// Starts a session's engine as a process of its own, and waits until clients can come.
pub(super) fn start(folder: &Folder, watchers: Option<u32>) -> Result<(), Failure> {
    let watchers = watchers.map(|gid| format!("--watchers={gid}"));
    spawn(folder, watchers.as_slice(), Stdio::null()).map(drop)
}

/// The same for an engine that does not outlive whoever started it, however that ends: its end of the child's standard
/// input must be kept. With `remove`, the session's folder goes with it.
pub(super) fn start_bound(folder: &Folder, remove: bool) -> Result<Child, Failure> {
    let mut args = vec!["--bound".to_owned()];
    args.extend(remove.then(|| "--remove".to_owned()));
    spawn(folder, &args, Stdio::piped())
}

fn spawn(folder: &Folder, args: &[String], stdin: Stdio) -> Result<Child, Failure> {
    inherited::keep_to_ourselves();
    let log = host::engine_log(&folder.engine_log())?;
    let mut engine = Command::new("/proc/self/exe")
        .arg("__engine")
        .arg(folder.path())
        .args(args)
        .stdin(stdin)
        .stdout(Stdio::piped())
        // What a panic says belongs to the engine's traces.
        .stderr(log)
        .spawn()?;
    let mut word = Vec::new();
    if let Some(told) = engine.stdout.take() {
        // Ends with the line or with the process, and start-up does not wait for the child.
        told.take(WORD).read_to_end(&mut word)?;
    }
    let word = String::from_utf8_lossy(&word);
    match word.trim_end().split_once(' ') {
        None if word.trim_end() == "ready" => Ok(engine),
        Some((code, message)) => match code.parse() {
            Ok(OK) | Err(_) => Err(Failure::new(LOST, format!("the engine said: {}", word.trim_end()))),
            Ok(code) => Err(Failure::new(code, message)),
        },
        None => {
            let log = folder.engine_log();
            Err(Failure::new(LOST, format!("the engine ended before it was ready; see {}", log.display())))
        }
    }
}
