//! `backends`: the recipes there are, what is in one, whether one works, and a new one to begin from.

mod check;
mod list;
mod new;
mod show;
mod steps;

use super::exit::{Failure, OK, USAGE};
use super::out::Out;
use crate::backend::{Found, Looked, Recipe, RecipeBackEnd, schema};
use crate::job::{self, Flags};
use crate::model::Job;
use clap::Subcommand;
use std::path::PathBuf;
use std::sync::Arc;

/// List the backends there are, look at one, check one, or begin a new one.
#[derive(Debug, clap::Args)]
#[command(after_help = "`check` takes --set KEY=VALUE, --timeout LENGTH and --no-start, `show` takes --json.

Examples:
  childminder backends
  childminder backends --json | jq -r '.[] | select(.executable) | .name'
  childminder backends show blender
  childminder backends check ./mine.toml
  childminder backends new mine
  childminder backends schema

With --json, an array of objects: name, description, application, file (null if built in), executable, version, looked (each
with candidate and outcome, when there is no executable), not_launchable and not_run (why), wrong (what is wrong with the
file); all of these null where there is nothing to say.

`check` exits with 0 when the backend works, 2 when its file is wrong, 69 when the child could not be started, 1 when a
command of its failed, 70 when the child was lost.")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Show(show::Args),
    Check(check::Args),
    New(new::Args),
    /// Print every key that a recipe may have, as a table in Markdown.
    Schema,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    match &args.verb {
        None => list::run(args.json),
        Some(Verb::Show(args)) => show::run(args),
        Some(Verb::Check(args)) => check::run(args),
        Some(Verb::New(args)) => new::run(args),
        Some(Verb::Schema) => {
            let mut out = Out::stdout();
            out.line(schema::markdown().trim_end())?;
            out.flush()?;
            Ok(OK)
        }
    }
}

/// What is to be run with a backend of this name or path.
fn job(backend: &str, set: &[(String, String)], setup: &[&str]) -> Result<Job, Failure> {
    let setup = setup.iter().map(|command| (*command).to_owned()).collect();
    let flags = Flags { backend: Some(backend.to_owned()), set: set.to_vec(), setup, ..Flags::default() };
    job::from_flags(&flags).map_err(|errors| Failure::new(USAGE, errors.to_string()))
}

/// The executable that a recipe is launched with, and its version as far as it tells that.
fn executable(recipe: &Recipe, job: Job) -> Result<Found, Vec<Looked>> {
    // Nothing is written into that folder: it only has a name.
    let back_end = RecipeBackEnd::new(Arc::new(job), Arc::new(recipe.clone()), PathBuf::new(), "");
    let found = back_end.look_for_executable()?;
    let version = found.version.or_else(|| back_end.ask_version(&found.path));
    Ok(Found { version, ..found })
}
