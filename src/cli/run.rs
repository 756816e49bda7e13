//! `run`: a job from a file, from flags, or what is left of one.

use super::exit::{Failure, REFUSED, USAGE};
use super::host::{self, Hosted, Stay};
use super::target::Way;
use super::{attach, engine, headless, out};
use crate::job::{self, Flags, Overrides};
use crate::model::job::Phases;
use crate::model::{Breakpoint, Job, PathRule};
use crate::store::{Folder, Purpose, find};
use std::path::PathBuf;

/// Run a job, and open a window on it.
///
/// The engine is a process of its own: it goes on when the window is left. With --headless there is no window and the
/// engine runs here, in the foreground.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder run shots.toml
  childminder run shots.toml --headless --json > events.jsonl
  childminder run --backend blender --set scene=/shots/a.blend --frames 1-100x2 \\
      --command 'import bpy; bpy.context.scene.frame_set({frame})' \\
      --command 'bpy.ops.render.render(write_still=True)'
  childminder run --backend python --hold        an interpreter to work in
  childminder run shots.toml --hold-on-failure --break 12 --break '/render/'
  childminder run shots.toml --watchers artists  the group artists may watch
  childminder run --resume shots                 the rest of a session whose engine died

With --headless, the first SIGINT stops after the item that runs; the second, or SIGTERM, stops now.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Args {
    /// A job file, TOML or JSON; or a job of Qube's as JSON.
    #[arg(conflicts_with_all = ["resume", "frames", "chunk", "init", "setup", "commands", "teardown", "name", "cwd"])]
    job: Option<PathBuf>,
    /// Go on with a session whose engine died: its stored job, its finished items stay finished.
    #[arg(long, value_name = "SESSION", conflicts_with_all = ["backend", "frames", "chunk", "init", "setup", "commands", "teardown", "name", "cwd", "set", "hold", "hold_on_failure", "breakpoints", "maps", "no_map"])]
    resume: Option<String>,
    /// No window: print what happens, and exit with the session's exit code.
    #[arg(long)]
    headless: bool,
    /// With --headless: print the journal, one JSON event a line.
    #[arg(long, requires = "headless")]
    json: bool,
    /// Let the members of this group watch; they can change nothing. Says how they get to it.
    #[arg(long, value_name = "GROUP", value_parser = group)]
    watchers: Option<u32>,
    /// Let the agenda wait until it is released, and stay when it is done.
    #[arg(long)]
    hold: bool,
    /// Hold the agenda when an item has failed, with the child as it is then.
    #[arg(long)]
    hold_on_failure: bool,
    /// Hold the agenda before this item, or before each command of the job in which a regex matches: /PATTERN/; may be
    /// given many times.
    #[arg(long = "break", value_name = "ITEM|/PATTERN/", value_parser = job::control::breakpoint)]
    breakpoints: Vec<Breakpoint>,
    /// A backend's key or a job's parameter; may be given many times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::pair)]
    set: Vec<(String, String)>,
    /// What paths of other machines are called here: FROM is a prefix; may be given many times.
    #[arg(long = "map", value_name = "FROM=TO", value_parser = rule)]
    maps: Vec<PathRule>,
    /// Map no paths, whatever the job and your own `path_map.toml` say.
    #[arg(long)]
    no_map: bool,
    /// Which backend: python, blender, one of your own, or a path to a recipe; instead of the job file's, if there is one.
    #[arg(long)]
    backend: Option<String>,
    /// Frames to run, an item each: 1-100x2,200.
    #[arg(long, allow_hyphen_values = true)]
    frames: Option<String>,
    /// Frames an item.
    #[arg(long)]
    chunk: Option<u32>,
    /// A command to run once the child is there; may be given many times, as all that follow.
    #[arg(long, value_name = "CODE", allow_hyphen_values = true)]
    init: Vec<String>,
    /// A command that loads what the items need.
    #[arg(long, value_name = "CODE", allow_hyphen_values = true)]
    setup: Vec<String>,
    /// A command of every item; {frame}, {start}, {end} and {name} stand for the item's.
    #[arg(long = "command", value_name = "CODE", allow_hyphen_values = true)]
    commands: Vec<String>,
    /// A command to run at the end.
    #[arg(long, value_name = "CODE", allow_hyphen_values = true)]
    teardown: Vec<String>,
    /// The job's name.
    #[arg(long)]
    name: Option<String>,
    /// The child's working folder.
    #[arg(long)]
    cwd: Option<PathBuf>,
}

/// How a session is shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    /// In a window; the engine is a process of its own.
    Window,
    /// As lines; the engine is this process.
    Lines {
        /// As they stand in the journal.
        json: bool,
    },
}

impl Shown {
    /// Refuses what cannot be done, before anything is started.
    pub(super) fn check(self) -> Result<(), Failure> {
        match self {
            Self::Window => attach::need_terminal("use --headless without one"),
            Self::Lines { .. } => Ok(()),
        }
    }
}

/// What is to be run.
enum What {
    New(Box<Job>),
    Rest(Folder),
}

/// Runs it; the exit code.
pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let shown = if args.headless { Shown::Lines { json: args.json } } else { Shown::Window };
    let watchers = args.watchers;
    let what = match &args.resume {
        Some(session) => What::Rest(left_over(session)?),
        None => What::New(Box::new(job(args)?)),
    };
    shown.check()?;
    let folder = match what {
        What::Rest(folder) => folder,
        What::New(job) => host::create(*job)?,
    };
    show(&folder, shown, watchers)
}

/// Runs the session and shows it; the exit code.
pub(super) fn show(folder: &Folder, shown: Shown, watchers: Option<u32>) -> Result<u8, Failure> {
    match shown {
        Shown::Window => {
            engine::start(folder, watchers)?;
            tell_watchers(folder);
            attach::window(&Way::Session(folder.clone()), false)
        }
        Shown::Lines { json } => {
            let printer = headless::Printer::start(folder, json)?;
            let hosted = Hosted::start(folder, Stay::No, watchers);
            if hosted.is_ok() {
                tell_watchers(folder);
            }
            let code = hosted.and_then(Hosted::wait);
            printer.finish();
            code
        }
    }
}

/// Says where watchers find the session: they can neither list it nor read its folder.
fn tell_watchers(folder: &Folder) {
    let engine = folder.read_session().ok().and_then(|session| session.engine);
    if let Some(path) = engine.and_then(|engine| engine.watchers) {
        out::complain(&format!("watchers: childminder attach --socket {}", path.display()));
    }
}

/// The job that is meant, and where it is to stop by itself.
fn job(mut args: Args) -> Result<Job, Failure> {
    let (on_failure, breakpoints) = (args.hold_on_failure, std::mem::take(&mut args.breakpoints));
    let mut job = described(args)?;
    job.warnings.iter().for_each(|warning| out::complain(&format!("warning: {warning}")));
    job.stops.on_failure |= on_failure;
    job::control::add(&mut job, &breakpoints).map_err(|why| Failure::new(USAGE, format!("--break: {why}")))?;
    Ok(job)
}

fn described(args: Args) -> Result<Job, Failure> {
    let wrong = |errors: job::JobErrors| Failure::new(USAGE, errors.to_string());
    if let Some(path) = &args.job {
        let Args { set: sets, backend, maps, no_map, .. } = args;
        let mut job = job::read_with(path, &Overrides { sets, backend, maps, no_map }).map_err(wrong)?;
        job.hold |= args.hold;
        let has_nothing = job.agenda.is_empty() && job.phases == Phases::default() && job.driven.is_none();
        if has_nothing && !job.hold {
            let nothing = "nothing is to be done: give an [agenda], commands under [phases], or hold = true";
            return Err(Failure::new(USAGE, format!("{}:1:1: {nothing}", path.display())));
        }
        return Ok(job);
    }
    let nothing = args.backend.is_none() && args.commands.is_empty() && args.frames.is_none() && !args.hold;
    if nothing {
        return Err(Failure::new(
            USAGE,
            "run what? Name a job file, or describe a job by flags; see childminder run --help",
        ));
    }
    let flags = Flags {
        name: args.name,
        backend: args.backend,
        frames: args.frames,
        chunk: args.chunk,
        init: args.init,
        setup: args.setup,
        commands: args.commands,
        teardown: args.teardown,
        set: args.set,
        maps: args.maps,
        no_map: args.no_map,
        cwd: args.cwd,
        hold: args.hold,
    };
    job::from_flags(&flags).map_err(wrong)
}

/// A session whose engine is gone.
fn left_over(session: &str) -> Result<Folder, Failure> {
    let folder = find(Some(session), Purpose::Read)?;
    if folder.is_running() {
        let message = format!("{id} is running; `childminder attach {id}` opens a window on it", id = folder.id());
        return Err(Failure::new(REFUSED, message));
    }
    if folder.read_session()?.job.driven.is_some_and(|driven| driven.under_qube) {
        let message = format!("the work of {} is a Qube supervisor's to give: retry the instance in Qube", folder.id());
        return Err(Failure::new(REFUSED, message));
    }
    Ok(folder)
}

/// A group's number, by name or number.
fn group(text: &str) -> Result<u32, String> {
    use nix::unistd::{Gid, Group};
    let found = match text.parse() {
        Ok(number) => Group::from_gid(Gid::from_raw(number)),
        Err(_) => Group::from_name(text),
    };
    match found {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err("there is no such group".to_owned()),
        Err(error) => Err(format!("the groups cannot be looked up: {error}")),
    }
}

/// `FROM=TO`.
fn rule(text: &str) -> Result<PathRule, String> {
    let (from, to) = super::pair(text).map_err(|_| "it must be FROM=TO".to_owned())?;
    PathRule::new(&from, &to)
}
