//! `export`: a session as one file.

use super::exit::{FAILED, Failure, OK};
use super::out::Out;
use super::target;
use crate::model::size::bytes;
use crate::store::{Purpose, StoreError, pack};
use std::path::PathBuf;

/// Pack a session, running or ended, into one compressed file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder export shots shots.tar.zst
  tar --zstd -tf shots.tar.zst

The file is a tar archive in zstd that holds the session's folder: `childminder replay` opens it on another machine, and
so does tar. A running session is packed as it is now. All that the folder holds is in it: the job with its environment,
every command, the output, and the local variables of exceptions. Give it to whom you would give those.")]
pub(super) struct Args {
    /// Which session: an id, the beginning of one, a job's name, or a folder.
    #[arg(value_name = "SESSION|FOLDER")]
    session: String,
    /// The file to write.
    file: PathBuf,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let folder = target::folder(Some(&args.session), Purpose::Read)?;
    let packed = pack(&folder, &args.file, args.force).map_err(|error| match error {
        StoreError::Io { .. } => Failure::new(FAILED, error.to_string()),
        other => Failure::from(other),
    })?;
    let mut out = Out::stdout();
    let (from, to) = (bytes(packed.from), bytes(packed.to));
    out.line(&format!("{}: {from} in {to}, {}", folder.id(), args.file.display()))?;
    out.flush()?;
    Ok(OK)
}
