//! `attach`: a window on a session.

use super::exit::{Failure, NO_SESSION};
use super::target::{self, Way};
use crate::api::SessionView;
use crate::store::Purpose;
use std::path::PathBuf;
use std::sync::Arc;

/// Open another window on a session. Leaving it changes nothing for the session.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder attach
  childminder attach shots --read-only
  childminder attach --socket /tmp/childminder-1000-200/20261123-205639-shots-3f2a.sock

A session of somebody else can be watched by the members of the group that `run --watchers GROUP` named: it says which
socket is theirs.")]
pub(super) struct Args {
    /// Which session: an id, the beginning of one, a job's name, or a folder. Without: the only one that runs.
    session: Option<String>,
    /// Only look; the engine refuses whatever would change something.
    #[arg(long)]
    read_only: bool,
    /// Watch somebody else's session, by its socket for watchers.
    #[arg(long, value_name = "PATH", conflicts_with = "session")]
    socket: Option<PathBuf>,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    const ELSEWHERE: &str = "attach to it where there is one";
    if let Some(path) = &args.socket {
        need_terminal(ELSEWHERE)?;
        return window(&Way::Socket(std::path::absolute(path)?), true);
    }
    // A window needs an engine to look at, whatever it may do there.
    let folder = target::folder(args.session.as_deref(), Purpose::Write)?;
    if !folder.is_running() {
        let message = format!("{id} has ended; `childminder replay {id}` shows it", id = folder.id());
        return Err(Failure::new(NO_SESSION, message));
    }
    need_terminal(&format!("{ELSEWHERE}, or follow it with `childminder log --follow`"))?;
    window(&Way::Session(folder), args.read_only)
}

/// Refuses where there is no terminal, before anything is started.
pub(super) fn need_terminal(instead: &str) -> Result<(), Failure> {
    #[cfg(feature = "tui")]
    let missing = match crate::tui::check_terminal() {
        Ok(()) => return Ok(()),
        Err(missing) => missing.to_string(),
    };
    #[cfg(not(feature = "tui"))]
    let missing = "this childminder was built without the screen";
    Err(Failure::new(super::exit::USAGE, format!("{missing}; {instead}")))
}

/// Opens the window; the exit code when it is left.
#[cfg(feature = "tui")]
pub(super) fn window(way: &Way, read_only: bool) -> Result<u8, Failure> {
    use super::exit::{LOST, OK};
    use crate::api::Live;
    use crate::tui::Ended;
    let ended = show(Live::start(way.target(), target::hello("tui", read_only))?, read_only)?;
    let mut out = super::out::Out::stdout();
    let code = match (ended, way) {
        (Ended::Detached, _) => {
            out.line(&format!("the session goes on; `childminder attach {}` comes back to it", way.words()))?;
            OK
        }
        (Ended::TerminalLost, _) => OK,
        (Ended::SessionOver(code), _) => {
            if let Way::Session(folder) = way {
                out.line(&format!("{id} is over; `childminder replay {id}` shows it", id = folder.id()))?;
            }
            u8::try_from(code).unwrap_or(LOST)
        }
        (Ended::EngineGone(reason), Way::Session(folder)) => {
            let id = folder.id();
            let again = format!(
                "`childminder run --resume {id}` goes on with the rest, `childminder replay {id}` shows what was done"
            );
            return Err(Failure::new(LOST, format!("{reason}; {again}")));
        }
        (Ended::EngineGone(reason), Way::Socket(_)) => return Err(Failure::new(LOST, reason)),
    };
    out.flush()?;
    Ok(code)
}

/// Shows a session until the window is left; how it was.
#[cfg(feature = "tui")]
pub(super) fn show(session: Arc<dyn SessionView>, read_only: bool) -> Result<crate::tui::Ended, Failure> {
    use super::exit::{LOST, USAGE};
    use crate::tui::{self, Options, TuiError};
    let options = Options { read_only, ..Options::default() };
    target::block_on(async {
        tui::run(session, options).await.map_err(|error| match error {
            TuiError::NoTerminal | TuiError::DumbTerminal { .. } => Failure::new(USAGE, error.to_string()),
            TuiError::Terminal(_) => Failure::new(LOST, error.to_string()),
        })
    })
}

/// There is no screen in this build, so there is nothing to show it on.
#[cfg(not(feature = "tui"))]
pub(super) fn show(_: Arc<dyn SessionView>, _: bool) -> Result<(), Failure> {
    need_terminal("build it with the feature `tui`")
}

/// There is no screen in this build, so there is no window to open.
#[cfg(not(feature = "tui"))]
pub(super) fn window(_: &Way, _: bool) -> Result<u8, Failure> {
    need_terminal("build it with the feature `tui`").map(|()| super::exit::OK)
}
