//! What happens when: start-ups, saved files, what is typed, and the end.

use super::Args;
use super::lane::{Begin, Lane};
use super::outside::{Came, Outside};
use super::prompt::Prompt;
use super::pythons::Places;
use super::session::Asker;
use super::show::{Show, Silent};
use super::subject::{Asked, Subject};
use super::watch::Watched;
use crate::cli::exit::{Failure, OK};
use crate::cli::out::Tone;
use futures_util::future::join_all;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Two Ctrl-C within this time are meant to end it.
const TWICE: Duration = Duration::from_secs(3);
/// Of an interrupt, and of a signal to end.
pub(super) const INTERRUPTED: u8 = 130;
pub(super) const TERMINATED: u8 = 143;

/// The loop.
pub(super) struct Dev {
    pub(super) asked: Asked,
    pub(super) args: Args,
    pub(super) lanes: Vec<Lane>,
    /// Whether what is typed is seen where it is typed.
    pub(super) echoes: bool,
    pub(super) show: Show,
    pub(super) outside: Outside,
    pub(super) prompt: Prompt,
    /// What is run, once it could be read.
    pub(super) subject: Option<Subject>,
    /// Modules that were saved and are not in the child yet.
    pub(super) stale: BTreeSet<PathBuf>,
    /// When the last start-up began.
    pub(super) begun: SystemTime,
    /// The last Ctrl-C.
    pub(super) interrupted: Option<Instant>,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// A start-up.
    Begin(Begin),
    /// The modules that were saved are loaded anew.
    Reload,
    /// What is typed.
    Prompt,
    /// Nothing more.
    Quit(u8),
}

impl Dev {
    /// Nothing is started yet. Needs a runtime.
    pub(super) fn new(args: Args) -> Result<Self, Failure> {
        let lanes = match args.python.as_slice() {
            [] => vec![Lane::plain()],
            names => Places::from_env().find(names).into_iter().map(Lane::of).collect(),
        };
        Ok(Self {
            asked: Asked {
                what: args.what.clone(),
                backend: args.backend.clone(),
                set: args.set.clone(),
                folders: args.watch.clone(),
            },
            lanes,
            echoes: io::stdin().is_terminal(),
            show: Show::new(),
            outside: Outside::new(!args.once)?,
            prompt: Prompt::default(),
            subject: None,
            stale: BTreeSet::new(),
            begun: SystemTime::now(),
            interrupted: None,
            args,
        })
    }

    /// Runs it to its end; the exit code.
    pub(super) async fn run(&mut self) -> Result<u8, Failure> {
        let mut next = match self.read() {
            Ok(subject) => self.take(subject),
            Err(failure) if self.args.once => return Err(failure),
            Err(failure) => {
                self.show.toned(&failure.message, Tone::Bad)?;
                self.show.line("waiting for it to be right")?;
                let files = self.asked.own_files();
                self.outside.watch.set(Watched { files, ..Watched::default() }, self.begun);
                Next::Prompt
            }
        };
        loop {
            next = match next {
                Next::Begin(begin) => self.begin(begin).await?,
                Next::Reload => self.load_anew().await?,
                Next::Prompt if self.args.once => return self.once(),
                Next::Prompt => self.wait().await?,
                Next::Quit(code) => return Ok(code),
            };
        }
    }

    /// Ends all sessions.
    pub(super) async fn end(&mut self) {
        let Self { lanes, outside, .. } = self;
        let ends = join_all(lanes.iter_mut().map(Lane::end));
        tokio::pin!(ends);
        loop {
            tokio::select! {
                _ = &mut ends => return,
                // Who does not wait for it leaves it to the engines, which do it on their own and quickly.
                came = outside.next_but_lines() => match came {
                    Came::Interrupt | Came::Terminate => return,
                    Came::Saved(_) | Came::Line(_) | Came::End => {}
                },
            }
        }
    }

    fn once(&self) -> Result<u8, Failure> {
        let outcomes = self.lanes.iter().filter_map(|lane| lane.last.as_ref());
        let code = outcomes.map(super::outcome::Outcome::code).max().unwrap_or(OK);
        if self.args.json {
            self.show.json(&self.asked.what, &self.lanes, code)?;
        }
        Ok(code)
    }

    pub(super) fn is_one(&self) -> bool {
        self.lanes.len() == 1
    }

    pub(super) fn read(&self) -> Result<Subject, Failure> {
        self.asked.read()
    }

    pub(super) fn take(&mut self, subject: Subject) -> Next {
        self.subject = Some(subject);
        Next::Begin(Begin::Anew)
    }

    // ---- start-ups ----------------------------------------------------------------------------------------------

    /// A start-up in every interpreter.
    async fn begin(&mut self, begin: Begin) -> Result<Next, Failure> {
        let Some(subject) = self.subject.clone() else { return Ok(Next::Prompt) };
        self.begun = SystemTime::now();
        // From here on: what is saved while it is under way is another change.
        self.watch(&subject);
        self.stale.clear();
        self.prompt.drop_pending();
        if !self.args.json {
            self.announce(&subject, begin)?;
        }
        if let Some(next) = self.follow(&subject, begin).await? {
            return Ok(next);
        }
        self.tell_outcomes()?;
        for lane in &mut self.lanes {
            if let Err(failure) = lane.refresh(&subject.roots).await {
                self.show.toned(&failure.message, Tone::Busy)?;
            }
        }
        self.watch(&subject);
        if !self.args.once {
            let files: Vec<_> = self.outside.watch.files_seen().collect();
            self.show.watched(&files)?;
        }
        if !self.stale.is_empty() && self.lanes.iter().any(Lane::is_ready) {
            return Ok(Next::Reload);
        }
        if self.args.replay_prompt && !self.args.once && begin_again(&self.lanes) {
            return self.again().await;
        }
        Ok(Next::Prompt)
    }

    fn announce(&self, subject: &Subject, begin: Begin) -> io::Result<()> {
        let job = &subject.job;
        let what = match begin {
            Begin::Anew => "starts",
            Begin::Restart => "starts again",
        };
        let (init, setup) = (job.phases.init.len(), job.phases.setup.len());
        let backend = &job.backend;
        self.show.toned(
            &format!("{} {what}: backend {backend}, {init} init and {setup} setup commands", job.name),
            Tone::Quiet,
        )
    }

    /// Follows all start-ups to their ends; what is to be done instead, if something has come between.
    async fn follow(&mut self, subject: &Subject, begin: Begin) -> Result<Option<Next>, Failure> {
        let (is_one, keep, json) = (self.is_one(), self.args.keep, self.args.json);
        let askers: Vec<_> = self.lanes.iter().map(Lane::any_asker).collect();
        let Self { args, lanes, show, outside, asked, stale, interrupted, .. } = self;
        let show = &*show;
        let starts = join_all(lanes.iter_mut().map(|lane| async move {
            if is_one && !json {
                lane.begin(begin, &subject.job, keep, show).await;
            } else {
                lane.begin(begin, &subject.job, keep, &Silent).await;
            }
        }));
        tokio::pin!(starts);
        loop {
            let came = tokio::select! {
                _ = &mut starts => return Ok(None),
                came = outside.next_but_lines() => came,
            };
            match came {
                Came::Interrupt if twice(interrupted) => return Ok(Some(Next::Quit(INTERRUPTED))),
                Came::Interrupt => interrupt(&askers, show).await?,
                Came::Terminate => return Ok(Some(Next::Quit(TERMINATED))),
                Came::Saved(files) => {
                    tell_saved(show, &files, "")?;
                    if files.iter().any(|file| subject.own.contains(file)) {
                        match asked.read() {
                            Ok(subject) => {
                                self.subject = Some(subject);
                                return Ok(Some(Next::Begin(Begin::Anew)));
                            }
                            Err(failure) => show.toned(&failure.message, Tone::Bad)?,
                        }
                    } else if args.reload {
                        // There is nothing to load it into before the start-up is over.
                        stale.extend(files);
                    } else {
                        return Ok(Some(Next::Begin(Begin::Restart)));
                    }
                }
                Came::Line(_) | Came::End => {}
            }
        }
    }

    fn tell_outcomes(&self) -> io::Result<()> {
        if self.args.json {
            return Ok(());
        }
        if !self.is_one() {
            self.show.several(&self.lanes)?;
        }
        for lane in &self.lanes {
            let Some(now) = &lane.last else { continue };
            if self.is_one() {
                self.show.verdict(now)?;
            }
            if let Some(before) = &lane.before {
                let whose = if self.is_one() { String::new() } else { format!("{}: ", lane.name) };
                self.show.changes(before, now, &whose)?;
            }
        }
        Ok(())
    }

    /// Watches what the last start-ups have come from.
    pub(super) fn watch(&mut self, subject: &Subject) {
        let mut files: BTreeSet<PathBuf> = self.lanes.iter().flat_map(|lane| lane.modules.values().cloned()).collect();
        files.extend(self.lanes.iter().flat_map(|lane| lane.blamed(&subject.roots)));
        // A module that was not found cannot be asked for, so all that could be it are watched.
        let failed = self.lanes.iter().any(|lane| lane.last.as_ref().is_some_and(|last| !last.is_ready()));
        self.outside.watch.set(subject.watched(&files, failed), self.begun);
    }
}

/// Whether there was a start-up before: only then there is something to be run again.
fn begin_again(lanes: &[Lane]) -> bool {
    lanes.iter().any(|lane| lane.is_ready() && lane.before.is_some())
}

/// Whether this is the second Ctrl-C within a short time.
pub(super) fn twice(last: &mut Option<Instant>) -> bool {
    let now = Instant::now();
    last.replace(now).is_some_and(|last| now.duration_since(last) < TWICE)
}

pub(super) fn tell_saved(show: &Show, files: &[PathBuf], then: &str) -> io::Result<()> {
    let names: Vec<_> = files.iter().filter_map(|file| file.file_name()).map(|name| name.to_string_lossy()).collect();
    show.toned(&format!("saved: {}{then}", names.join(", ")), Tone::Busy)
}

/// Interrupts what runs, wherever something does.
async fn interrupt(askers: &[Rc<RefCell<Option<Asker>>>], show: &Show) -> Result<(), Failure> {
    let askers: Vec<Asker> = askers.iter().filter_map(|asker| asker.borrow().clone()).collect();
    let said = join_all(askers.iter().map(Asker::interrupt)).await;
    show.toned("Ctrl-C: the command is interrupted; once more ends all", Tone::Busy)?;
    for failure in said.into_iter().filter_map(Result::err) {
        show.toned(&failure.message, Tone::Quiet)?;
    }
    Ok(())
}

/// Does something to its end; or the exit code, if this is to end first. What is saved meanwhile has to wait.
pub(super) async fn busy<T>(
    work: impl Future<Output = T>,
    outside: &mut Outside,
    interrupted: &mut Option<Instant>,
    show: &Show,
    lanes: &[Lane],
    saved: &mut Vec<PathBuf>,
) -> Result<Result<T, u8>, Failure> {
    let askers: Vec<_> = lanes.iter().map(Lane::any_asker).collect();
    tokio::pin!(work);
    loop {
        let came = tokio::select! {
            done = &mut work => return Ok(Ok(done)),
            came = outside.next_but_lines() => came,
        };
        match came {
            Came::Interrupt if twice(interrupted) => return Ok(Err(INTERRUPTED)),
            Came::Interrupt => interrupt(&askers, show).await?,
            Came::Terminate => return Ok(Err(TERMINATED)),
            Came::Saved(files) => {
                tell_saved(show, &files, "; heeded when the command has ended, which Ctrl-C makes it")?;
                saved.extend(files);
            }
            Came::Line(_) | Came::End => {}
        }
    }
}
