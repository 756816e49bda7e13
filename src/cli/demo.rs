//! `demo`: the built-in job.

use super::exit::{FAILED, Failure, USAGE};
use super::host;
use super::run::{Shown, show};
use crate::job;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// Run the built-in job: a small ray tracer in plain Python draws real PNG frames; one item raises, one dawdles.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the job and its pictures are put; made if it is not there. Without: a new folder for temporary files.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// No window: print what happens, and exit with the session's exit code.
    #[arg(long)]
    headless: bool,
    /// With --headless: print the journal, one JSON event a line.
    #[arg(long, requires = "headless")]
    json: bool,
}

/// Runs it; the exit code.
pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let shown = if args.headless { Shown::Lines { json: args.json } } else { Shown::Window };
    shown.check()?;
    let folder = args.folder.map_or_else(new_folder, Ok)?;
    let unpacked = job::demo::unpack(&folder);
    let file = unpacked
        .map_err(|error| Failure::new(FAILED, format!("the demo cannot be put into {}: {error}", folder.display())))?;
    let job = job::read(&file, &[]).map_err(|errors| Failure::new(USAGE, errors.to_string()))?;
    show(&host::create(job)?, shown, None)
}

/// A folder that nobody else could have made.
fn new_folder() -> Result<PathBuf, Failure> {
    let random = getrandom::u32().map_err(|error| Failure::new(FAILED, error.to_string()))?;
    let folder = std::env::temp_dir().join(format!("childminder-demo-{random:08x}"));
    DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .map_err(|error| Failure::new(FAILED, format!("{} cannot be made: {error}", folder.display())))?;
    Ok(folder)
}
