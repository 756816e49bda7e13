//! `qube-worker`: a job of Qube's, where a Qube worker starts it.

use super::exit::{Failure, USAGE};
use super::host;
use super::run::{Shown, show};
use crate::job::{self, Flags};
use crate::model::Job;
use crate::model::job::Driven;
use std::time::Duration;

/// Between asking and forcing: a worker that kills a job waits 30 s by itself, in which a command, the child and the class
/// each have this long.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// Run a Qube job's instance: to be started by a Qube worker, in whose environment it is.
///
/// The work comes from the supervisor through the worker's own `qb` module, and is reported there; childminder runs the
/// child, records everything and prints what happens, which Qube logs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder qube-worker --backend /studio/qube/my_backend.py:MyBackEnd
  childminder qube-worker --backend blender
  childminder qube-worker --backend my_backend.py:MyBackEnd --set recipe=maya --python python2.7

The exit code is 0 when the instance went well, whatever became of its items. The first SIGINT stops after the item that
runs; the second, or SIGTERM, stops now, within 30 s.")]
pub(super) struct Args {
    /// A back-end class, FILE.py:CLASS, or a recipe whose application the usual class runs. Without: plain python.
    #[arg(long)]
    backend: Option<String>,
    /// The interpreter that runs the class. Without: python3 on PATH.
    #[arg(long, value_name = "PATH")]
    python: Option<String>,
    /// A backend's key or a parameter of the job; may be given many times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::pair)]
    set: Vec<(String, String)>,
    /// Print the journal, one JSON event a line.
    #[arg(long)]
    json: bool,
}

/// Runs it; the exit code.
pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let json = args.json;
    let job = job(args)?;
    show(&host::create(job)?, Shown::Lines { json }, None)
}

fn job(args: Args) -> Result<Job, Failure> {
    let number =
        |name: &str| std::env::var(name).ok().filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(id) = number("QBJOBID").filter(|id| !id.is_empty()) else {
        let message =
            "QBJOBID is not set: a Qube worker sets it where it starts this; `childminder run` runs jobs elsewhere";
        return Err(Failure::new(USAGE, message));
    };
    let instance = number("QBSUBID").filter(|id| !id.is_empty()).unwrap_or_else(|| "0".to_owned());
    let flags =
        Flags { name: Some(format!("qube-{id}.{instance}")), backend: args.backend, set: args.set, ..Flags::default() };
    let job = job::from_flags(&flags).map_err(|errors| Failure::new(USAGE, errors.to_string()))?;
    Ok(under_qube(job, args.python))
}

/// The job, with the supervisor to give it work.
fn under_qube(mut job: Job, python: Option<String>) -> Job {
    let driven = job.driven.take().unwrap_or_else(|| {
        // The usual class starts whatever the recipe says.
        job.backend_settings.insert("recipe".to_owned(), job.backend.clone().into());
        Driven::default()
    });
    job.driven = Some(Driven { under_qube: true, ..driven });
    if let Some(python) = python {
        job.backend_settings.insert("back_end_python".to_owned(), python.into());
    }
    job.timeouts.kill_grace = KILL_GRACE;
    job
}
