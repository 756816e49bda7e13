//! An engine as its own process: how `run` starts one, and what that process does (`__engine`).
//!
//! It tells of its readiness on its standard output, which is a pipe to whoever started it: a line `ready`, or a line
//! with an exit code and what is wrong. Then it lets go of the pipe and belongs to nobody.

use super::exit::{Failure, LOST, OK};
use super::host::{self, Hosted};
use super::inherited;
use crate::store::Folder;
use nix::unistd::{dup2_stdout, setsid};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

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
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    // Fails for the leader of a process group, which nobody makes of us; then we share its fate.
    let _ = setsid();
    let started = Folder::open(&args.folder)
        .map_err(Failure::from)
        .and_then(|folder| Hosted::start(&folder, true, args.watchers));
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

/// Starts a session's engine as a process of its own, and waits until clients can come.
pub(super) fn start(folder: &Folder, watchers: Option<u32>) -> Result<(), Failure> {
    inherited::keep_to_ourselves();
    let log = host::engine_log(&folder.engine_log())?;
    let mut engine = Command::new("/proc/self/exe")
        .arg("__engine")
        .arg(folder.path())
        .args(watchers.map(|gid| format!("--watchers={gid}")))
        .stdin(Stdio::null())
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
        None if word.trim_end() == "ready" => Ok(()),
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
