//! `attach`: a window on a session.

use super::exit::{Failure, NO_SESSION};
use super::target;
use crate::store::{Folder, Purpose};

/// Open another window on a session. Leaving it changes nothing for the session.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder attach
  childminder attach shots --read-only")]
pub(super) struct Args {
    /// Which session: an id, the beginning of one, a job's name, or a folder. Without: the only one that runs.
    session: Option<String>,
    /// Only look; the engine refuses whatever would change something.
    #[arg(long)]
    read_only: bool,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    // A window needs an engine to look at, whatever it may do there.
    let folder = target::folder(args.session.as_deref(), Purpose::Write)?;
    if !folder.is_running() {
        let message = format!("{id} has ended; `childminder log {id}` has its output", id = folder.id());
        return Err(Failure::new(NO_SESSION, message));
    }
    need_terminal("attach to it where there is one, or follow it with `childminder log --follow`")?;
    window(&folder, args.read_only)
}

/// Refuses where there is no terminal, before anything is started.
pub(super) fn need_terminal(instead: &str) -> Result<(), Failure> {
    use std::io::IsTerminal;
    if cfg!(feature = "tui") && std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return Ok(());
    }
    let missing = if cfg!(feature = "tui") {
        "a window needs a terminal on standard input and output"
    } else {
        "this childminder was built without the screen"
    };
    Err(Failure::new(super::exit::USAGE, format!("{missing}; {instead}")))
}

/// Opens the window; the exit code when it is left.
#[cfg(feature = "tui")]
pub(super) fn window(folder: &Folder, read_only: bool) -> Result<u8, Failure> {
    use super::exit::{LOST, OK, USAGE};
    use crate::api::Live;
    use crate::tui::{self, Ended, Options, TuiError};
    let live = Live::start(target::engine(folder), target::hello("tui", read_only))?;
    let options = Options { read_only, ..Options::default() };
    let ended = target::block_on(async {
        tui::run(live, options).await.map_err(|error| match error {
            TuiError::NoTerminal => Failure::new(USAGE, error.to_string()),
            TuiError::Terminal(_) => Failure::new(LOST, error.to_string()),
        })
    })?;
    let mut out = super::out::Out::stdout();
    let id = folder.id();
    let code = match ended {
        Ended::Detached => {
            out.line(&format!("{id} goes on; `childminder attach {id}` comes back to it"))?;
            OK
        }
        Ended::TerminalLost => OK,
        Ended::SessionOver(code) => {
            out.line(&format!("{id} is over; `childminder log {id}` has its output"))?;
            u8::try_from(code).unwrap_or(LOST)
        }
        Ended::EngineGone(reason) => {
            let again = format!("`childminder run --resume {id}` goes on with the rest");
            return Err(Failure::new(LOST, format!("{reason}; {again}")));
        }
    };
    out.flush()?;
    Ok(code)
}

/// There is no screen in this build, so there is no window to open.
#[cfg(not(feature = "tui"))]
pub(super) fn window(_: &Folder, _: bool) -> Result<u8, Failure> {
    need_terminal("build it with the feature `tui`").map(|()| super::exit::OK)
}
