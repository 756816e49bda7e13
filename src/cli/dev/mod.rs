//! `dev`: change, save, see, again, for whoever writes a backend, a bootstrapper, init commands or modules.
//!
//! A client like any other. It starts held sessions, one an interpreter, follows their start-ups through the API, and
//! begins again when one of the files is saved that they came from.
//!
//! ```text
//!  subject   the job that is meant, and its files          watch   their content     settle   one burst, one change
//!  lane      one interpreter: its session, its outcomes    session its engine        outcome  a fold of its events
//!  modules   what the child is asked, and reloading        difference  of outcomes   show     lines
//!  rounds    what happens when: start-ups here, what is typed and saved in files of their own
//! ```
//!
//! What must stay true: no session outlives the loop, however that ends; a file that cannot be read changes nothing for
//! what runs; what is typed or saved while something is under way is heeded after it, or visibly at once.

mod awaited;
mod difference;
mod lane;
mod modules;
mod outcome;
mod outside;
mod prompt;
mod pythons;
mod rounds;
mod saved;
mod session;
mod settle;
mod show;
mod subject;
mod typed;
mod watch;

use super::exit::Failure;
use super::target;
use rounds::Dev;
use std::path::PathBuf;

/// Try a job, a backend or Python at once, and again whenever one of its files is saved.
///
/// The start-up is shown as steps, with what is different from the last time; then there is a prompt in the child. The
/// agenda is not run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder dev shots.toml                      a job: its init and setup commands
  childminder dev ./mine.toml                     a backend of your own, by its file or its name
  childminder dev rig.py --backend blender        a Python file, run in an application
  childminder dev my_backend.py:MyBackEnd         a back-end class of Qube's way
  childminder dev rig.py --python 2.7,3.9,3.13    in several interpreters, side by side
  childminder dev rig.py --reload                 modules are loaded anew in the child that runs
  childminder dev rig.py --once --json | jq .code

Watched are the file, the backend's file and bootstrapper, and the modules that the child has loaded from the file's
folder, the working folder and each --watch folder; after a start-up that failed, every Python file in these folders. A
file that is saved as it was does nothing; one that is wrong is told of, and what runs goes on.

At the prompt :help tells what can be done. Ctrl-C interrupts the command that runs, twice it ends the loop, as Ctrl-D does.

With --once --json, one object: what, code, runs (name, session, code, steps, notes, end) and groups (names of runs with
the same outcome). A step has kind, number, text, fate (ok, failed, not_run), seconds, fault (headline, text) and output.

Exit codes: with --once as the start-up ended: 0 ready, 1 a setup command failed, 2 the file is wrong, 69 the child could not
be started or an init command failed, 70 the child was lost; else 0, 130 by Ctrl-C, 143 by SIGTERM.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Args {
    /// A job file, a backend's file, a Python file, a back-end class (`FILE.py:CLASS`), or a backend's name.
    #[arg(value_name = "FILE|BACKEND")]
    what: String,
    /// For a Python file: the backend to run it on.
    #[arg(long)]
    backend: Option<String>,
    /// A backend's key or a job's parameter; may be given many times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::pair)]
    set: Vec<(String, String)>,
    /// Interpreters to run it in, side by side: versions, programs or paths.
    #[arg(long, value_name = "VERSIONS", value_delimiter = ',')]
    python: Vec<String>,
    /// A folder more in which modules are watched; may be given many times.
    #[arg(long, value_name = "FOLDER")]
    watch: Vec<PathBuf>,
    /// Load changed modules anew in the child that runs, instead of starting another one.
    #[arg(long)]
    reload: bool,
    /// After a restart, run again what was typed at the prompt.
    #[arg(long)]
    replay_prompt: bool,
    /// Keep the sessions' folders, instead of removing them at the end.
    #[arg(long)]
    keep: bool,
    /// One start-up, and no prompt.
    #[arg(long)]
    once: bool,
    /// With --once: print one JSON object.
    #[arg(long, requires = "once")]
    json: bool,
}

/// Runs it; the exit code.
pub(super) fn run(args: Args) -> Result<u8, Failure> {
    target::block_on(async {
        let mut dev = Dev::new(args)?;
        let code = dev.run().await;
        // Whatever happened: nobody is left.
        dev.end().await;
        code
    })
}
