//! The steps of a child's start, as they happen, each with its time since the engine was told to start it.

use super::super::exit::Failure;
use super::super::out::{Out, Tone, length};
use crate::backend::{Passing, Recipe};
use crate::model::{CommandId, CommandOutcome, Event, EventKind, Marks, Micros, Phase, StartStep};
use crate::session::engine::last_words;
use crate::store::{Folder, JournalReader, Recorded, clock};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// A thread that tells the steps.
pub(super) struct Steps {
    /// Closing it tells the thread that the session is over.
    over: OwnedFd,
    thread: JoinHandle<io::Result<Option<String>>>,
}

impl Steps {
    /// Follows a session that is about to be started. `launch` is its private folder.
    pub(super) fn follow(folder: &Folder, launch: &Path, recipe: &Recipe) -> Result<Self, Failure> {
        let script = recipe.own_bootstrapper().unwrap_or_else(|| launch.join("child_bootstrapper.py"));
        // One of its own is there already, ours is written in time. That there is none is told by the launch.
        let watched = script.parent().filter(|parent| parent.is_dir()).unwrap_or(launch);
        let inotify = watch(folder.path(), watched).map_err(io::Error::from)?;
        let (told, over) = nix::unistd::pipe().map_err(io::Error::from)?;
        let follower = Follower {
            inotify,
            folder: folder.clone(),
            script,
            passing: recipe.passing,
            journal: None,
            at: 0,
            began: None,
            reached: Reached::default(),
            opened: 0,
            failed: false,
            stopped: false,
            sources: BTreeMap::new(),
        };
        let thread = std::thread::Builder::new().name("steps".into()).spawn(move || follower.run(&told))?;
        Ok(Self { over, thread })
    }

    /// Tells what is left to be told; what to do, if it did not work.
    pub(super) fn finish(self) -> Option<String> {
        drop(self.over);
        self.thread.join().ok().and_then(Result::ok).flatten()
    }
}

/// A watch on a session's files, and on whoever opens one of a folder.
fn watch(session: &Path, scripts: &Path) -> nix::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    inotify.add_watch(session, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE)?;
    // Two of the same in a row are made one by the kernel: an end between them keeps them apart.
    inotify.add_watch(scripts, AddWatchFlags::IN_OPEN | AddWatchFlags::IN_CLOSE)?;
    Ok(inotify)
}

/// How often the engine opens the script before the child does: to write it, or to see that it is there.
const OURS: u32 = 1;

/// How far a child has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Reached {
    #[default]
    Nothing,
    Spawned,
    Read,
    Connected,
    Knocked,
    Proven,
    Hello,
}

struct Follower {
    inotify: Inotify,
    folder: Folder,
    script: PathBuf,
    passing: Passing,
    journal: Option<JournalReader>,
    at: u64,
    /// When the engine was begun, by the monotonic clock.
    began: Option<Micros>,
    reached: Reached,
    /// How often somebody has opened the script.
    opened: u32,
    /// Whether it was told why the child failed.
    failed: bool,
    /// Whether the session has ended otherwise than well.
    stopped: bool,
    /// What commands are, by their numbers, until they have ended.
    sources: BTreeMap<CommandId, (Phase, String)>,
}

impl Follower {
    fn run(mut self, told: &OwnedFd) -> io::Result<Option<String>> {
        loop {
            // Looked at first: what was written before the end is told after it was seen.
            let over = poll(&mut [PollFd::new(told.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO)? > 0;
            // What is told in between is looked for again, since the news of it may have been taken with those of the script.
            while self.tell_events()? {}
            if over {
                return Ok(self.advice());
            }
            let mut files =
                [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN), PollFd::new(told.as_fd(), PollFlags::POLLIN)];
            match poll(&mut files, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Tells that the script was opened by somebody else than us, if that is new.
    fn tell_read(&mut self) -> io::Result<()> {
        self.opened += self.newly_opened()?;
        if self.opened > OURS && self.reached == Reached::Spawned {
            self.come(Reached::Read);
            self.tell(clock::mono(), "script read", &self.script.display().to_string(), Tone::Plain)?;
        }
        Ok(())
    }

    /// How often the script was opened since the last look.
    fn newly_opened(&self) -> io::Result<u32> {
        let mut opened = 0;
        loop {
            match self.inotify.read_events() {
                Ok(events) if events.is_empty() => return Ok(opened),
                Ok(events) => {
                    let name = self.script.file_name();
                    let is_one = |event: &&InotifyEvent| {
                        event.mask.contains(AddWatchFlags::IN_OPEN) && event.name.as_deref() == name
                    };
                    opened += u32::try_from(events.iter().filter(is_one).count()).unwrap_or(u32::MAX);
                }
                Err(Errno::EAGAIN) => return Ok(opened),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Tells what is new; whether there was anything.
    fn tell_events(&mut self) -> io::Result<bool> {
        self.tell_read()?;
        if self.journal.is_none() {
            // The engine may not have begun it yet.
            self.journal = JournalReader::open(&self.folder.journal()).ok();
        }
        let Some(journal) = &self.journal else { return Ok(false) };
        let mut lines = journal.iter_from(self.at);
        let events: Vec<Recorded> = lines.by_ref().filter_map(Result::ok).collect();
        self.at = lines.end();
        events.iter().try_for_each(|recorded| self.tell_event(&recorded.event))?;
        Ok(!events.is_empty())
    }

    fn tell_event(&mut self, event: &Event) -> io::Result<()> {
        let at = event.mono;
        self.began.get_or_insert(at);
        // Whatever it is, the script was read before.
        self.tell_read()?;
        match &event.kind {
            EventKind::ChildStarting { argv, .. } => {
                let program = argv.first().map(String::as_str).unwrap_or_default();
                self.tell(at, "executable", program, Tone::Plain)
            }
            EventKind::ChildSpawned { pid, .. } => {
                self.come(Reached::Spawned);
                self.tell(at, "spawned", &format!("pid {pid}"), Tone::Plain)
            }
            EventKind::ChildCame { step } => {
                let (reached, name, what) = match step {
                    StartStep::Connected => (Reached::Connected, "connected", "somebody came to the port"),
                    StartStep::Knocked => (Reached::Knocked, "script run", "it speaks as the bootstrapper does"),
                    StartStep::Proven => (Reached::Proven, "secret proven", "it is the child"),
                };
                self.come(reached);
                self.tell(at, name, what, Tone::Plain)
            }
            EventKind::ChildConnected { hello } => {
                self.come(Reached::Hello);
                let application = format!("{} {}", hello.application.name, hello.application.version);
                let python = format!("{} {}", hello.implementation, hello.python);
                self.tell(at, "hello", &format!("{} ({python}, pid {})", application.trim(), hello.pid), Tone::Plain)
            }
            EventKind::PeerRefused { peer, .. } => self.tell(at, "refused", &peer.reason, Tone::Busy),
            EventKind::ChildFailed { reason } => {
                self.failed = true;
                self.tell(at, "failed", reason, Tone::Bad)
            }
            EventKind::CommandQueued { id, phase, source, .. } => {
                self.sources.insert(*id, (*phase, source.clone()));
                Ok(())
            }
            EventKind::CommandEnded { id, outcome, .. } => self.tell_command(at, *id, outcome),
            EventKind::ChildExited { exit, meaning, .. } => {
                let meaning = if meaning.is_empty() { String::new() } else { format!(" ({meaning})") };
                self.tell(at, "ended", &format!("{exit}{meaning}"), Tone::Plain)
            }
            EventKind::SessionEnded { code, reason } if *code != 0 => {
                self.stopped = true;
                if self.failed {
                    return Ok(());
                }
                let words = last_words(&self.folder, Marks::default());
                self.tell(at, "stopped", &format!("{reason}{words}"), Tone::Bad)
            }
            _ => Ok(()),
        }
    }

    fn tell_command(&mut self, at: Micros, id: CommandId, outcome: &CommandOutcome) -> io::Result<()> {
        let Some((phase, source)) = self.sources.remove(&id) else { return Ok(()) };
        let name = if phase == Phase::Init { "init command" } else { "command" };
        let first = source.lines().next().unwrap_or_default();
        match outcome {
            CommandOutcome::Finished { .. } => self.tell(at, name, first, Tone::Plain),
            CommandOutcome::Raised { exception, .. } => {
                self.tell(at, name, first, Tone::Plain)?;
                let place =
                    exception.innermost().map_or_else(String::new, |frame| format!(" ({}:{})", frame.file, frame.line));
                self.tell(at, "raised", &format!("{}: {}{place}", exception.kind, exception.message), Tone::Bad)
            }
            CommandOutcome::Lost { reason } | CommandOutcome::Skipped { reason } => {
                self.tell(at, name, &format!("{first}: {reason}"), Tone::Bad)
            }
        }
    }

    fn come(&mut self, reached: Reached) {
        self.reached = self.reached.max(reached);
    }

    /// One step, at once: whoever watches sees it happen.
    fn tell(&self, at: Micros, name: &str, what: &str, tone: Tone) -> io::Result<()> {
        let since = self.began.map_or(Micros(0), |began| at.since(began));
        let mut out = Out::stdout();
        let mut lines = what.lines();
        let first = lines.next().unwrap_or_default();
        out.toned_line(&format!("{:>8}  {name:<13}  {first}", length(since)), tone)?;
        lines.try_for_each(|line| out.toned_line(&format!("{:>8}  {:<13}  {line}", "", ""), tone))?;
        out.flush()
    }

    /// What to look at when it has come no further.
    fn advice(&self) -> Option<String> {
        let passing = self.passing;
        let advice = match self.reached {
            Reached::Nothing => {
                "It was not even spawned. Put the application's place into `executables`, or give --set executable=PATH."
            }
            Reached::Spawned => {
                "The application runs, but nobody has opened the script: look at `arguments`, and at what it printed. \
                 Perhaps it waits for a licence, or for a person."
            }
            Reached::Read => match passing {
                Passing::Argv => {
                    "The script was read, but nobody has come to the port. If it does not run to its end, the output says \
                     why; if it is not given `--port`, try passing = \"environment\" or \"file\"."
                }
                Passing::Environment => {
                    "The script was read, but nobody has come to the port. If it does not run to its end, the output says \
                     why; if its environment is not passed on, try passing = \"file\"."
                }
                Passing::File => {
                    "The script was read, but nobody has come to the port: it does not run to its end, and the output says \
                     why."
                }
            },
            Reached::Connected => "Somebody has come to the port, but does not speak as the bootstrapper does.",
            Reached::Knocked => {
                "The script runs, but does not know the secret: the application drops its environment. Try passing = \"file\"."
            }
            Reached::Proven => "The child came, but did not say hello.",
            Reached::Hello if self.stopped => "The application was reached: what failed is the command before that.",
            Reached::Hello => return None,
        };
        Some(advice.to_owned())
    }
}
