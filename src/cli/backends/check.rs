//! Whether a backend works: its file is read, a child is started, a command is run, and each step is told as it happens.
//!
//! The session is a real one in a temporary folder, so that what works here works in a job. Its steps are read from its
//! journal; that the application has opened its script, of which the engine knows nothing, is seen by inotify.

use super::super::exit::{Failure, NOT_STARTED, OK, USAGE};
use super::super::host::{self, Hosted, Stay};
use super::super::out::{Out, Tone};
use super::steps::Steps;
use crate::backend::{self, Recipe};
use crate::store::Folder;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

/// The command that a backend must be able to run.
const FIRST: &str = "first = 'the first command'";

/// Read a recipe and tell all that is wrong with it; then start the application and run a command, step by step.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A backend by its name, or the path of a recipe.
    backend: String,
    /// A setting or parameter of the backend; may be given many times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = crate::cli::pair)]
    set: Vec<(String, String)>,
    /// How long the application may take to start, and each command of its recipe.
    #[arg(long, value_name = "LENGTH", default_value = "60s", value_parser = crate::cli::duration)]
    timeout: Duration,
    /// Only read the file; nothing is started.
    #[arg(long)]
    no_start: bool,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let recipe = backend::find(&args.backend).map_err(|error| Failure::new(USAGE, error.to_string()))?;
    say_of_the_file(&recipe)?;
    if args.no_start {
        return Ok(OK);
    }
    if let Some(why) = recipe.not_launchable() {
        return Err(Failure::new(NOT_STARTED, why));
    }
    let mut job = super::job(&args.backend, &args.set, &[FIRST])?;
    job.timeouts.startup = Some(args.timeout);
    job.timeouts.command = Some(args.timeout);
    let place = Place::new()?;
    let folder = host::create_in(&place.0, job)?;
    start(&folder, &recipe)
}

fn say_of_the_file(recipe: &Recipe) -> Result<(), Failure> {
    let mut out = Out::stdout();
    let file = recipe.file.as_ref().map_or_else(|| "built in".to_owned(), |file| file.display().to_string());
    out.line(&format!("backend {} ({file}): nothing is wrong with what it says", recipe.name))?;
    if let Some(why) = &recipe.not_run {
        out.toned_line(&format!("never run by who wrote it: {why}"), Tone::Busy)?;
    }
    Ok(out.flush()?)
}

/// Starts a session, and tells its steps; the exit code.
fn start(folder: &Folder, recipe: &Recipe) -> Result<u8, Failure> {
    // Made before the engine makes it, so that nothing that happens in it is missed.
    let launch = host::launch_folder(folder)?;
    DirBuilder::new().recursive(true).mode(0o700).create(&launch)?;
    let steps = Steps::follow(folder, &launch, recipe)?;
    let code = Hosted::start(folder, Stay::No, None).and_then(Hosted::wait);
    let told = steps.finish();
    let code = code?;
    let mut out = Out::stdout();
    match (code, told) {
        (OK, _) => out.toned_line(&format!("the backend {} works", recipe.name), Tone::Good)?,
        (_, Some(advice)) => out.toned_line(&advice, Tone::Bad)?,
        (_, None) => out.toned_line(&format!("the backend {} does not work", recipe.name), Tone::Bad)?,
    }
    out.flush()?;
    Ok(code)
}

/// A folder for one session, which goes with this.
struct Place(PathBuf);

impl Place {
    fn new() -> Result<Self, Failure> {
        let random = getrandom::u32().map_err(|error| Failure::new(NOT_STARTED, error.to_string()))?;
        let path = std::env::temp_dir().join(format!("childminder-check-{random:08x}"));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            super::super::out::complain(&format!("{} could not be removed: {error}", self.0.display()));
        }
    }
}
