//! A recorded session as a window sees it: a folder, looked at as of one time, which can be moved.
//!
//! ```text
//!  windows ─ ask ──→ the same answers as a live session's server gives ──→ looks ─┐
//!          └ steer → wishes: the newest place, steps that add up ────────────→ player: state as of a line of the journal
//!          ←─────────── the summary then, where on the time line, what is missing ─┘
//! ```
//!
//! What must stay true: nothing is written and no lock is taken, so that a session that runs, or is somebody else's, can
//! be replayed too (up to where it was when it was opened); no window waits for a search; whatever the folder holds, as
//! much of it is shown as is sound, and what is missing is said.

mod playback;
mod player;
mod reel;
mod when;
mod wishes;

pub use playback::{Extent, Goal, MARKS, Mark, Marks, Playback, Speed, Steer};
pub use when::When;

use super::answers::{Session, answer};
use super::asking::Asking;
use super::live::AbortOnDrop;
use super::recorded::Recorded;
use super::vanishing::{self, Vanishing};
use super::{ApiError, Link, SessionView, Sources};
use crate::backend;
use crate::model::proto::{Request, Response};
use crate::model::{ItemIndex, Job, Micros, Seq};
use crate::session::{Feed, Handle, Label};
use crate::store::{
    Folder, JournalReader, OutputReader, Recovered, SessionFile, StoreError, Unpacked, UsageReader, clock, recover,
};
use futures_util::future::BoxFuture;
use player::{Player, Recording, refusal};
use reel::Reel;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use wishes::Wishes;

/// A recording. It is played on a thread of its own, so that it may be used from any runtime or none.
pub struct Replay {
    link: watch::Receiver<Link>,
    session: Arc<Session>,
    wishes: Arc<Wishes>,
    asking: Asking,
    extent: Extent,
    notes: Vec<String>,
    runtime: tokio::runtime::Handle,
    /// Dropped with this: the thread ends.
    _stop: oneshot::Sender<()>,
    /// The folder's keeper, where it is there for this only.
    _unpacked: Option<Unpacked>,
}

impl Replay {
    /// Opens the session in this folder, at its end.
    pub fn open(folder: &Folder) -> Result<Arc<Self>, StoreError> {
        Self::start(Sound::of(folder)?, folder, None)
    }

    /// Opens a packed session, and keeps its files for as long as it is open.
    pub fn open_packed(unpacked: Unpacked) -> Result<Arc<Self>, StoreError> {
        let folder = unpacked.folder().clone();
        let mut sound = Sound::of(&folder)?;
        sound.notes.splice(0..0, unpacked.notes().iter().cloned());
        Self::start(sound, &folder, Some(unpacked))
    }

    fn start(sound: Sound, folder: &Folder, unpacked: Option<Unpacked>) -> Result<Arc<Self>, StoreError> {
        let Sound { job, label, recovered, journal, notes } = sound;
        let pages = Recorded::new(folder, Arc::clone(&journal));
        let reel = Reel::new(folder, journal, recovered.into());
        let output = OutputReader::open(folder);
        let whole = output.reached()?;
        let usage = UsageReader::open(folder);
        let extent = extent(&reel, &output, &usage);
        let marks = Arc::new(Marks::of(reel.state(), &extent));
        let (handle, inbox) = Handle::new(Arc::clone(&job), Feed::default());
        let session = Session::new(handle, Sources::on(pages, Arc::clone(&job)));
        let recording = {
            let (folder, notes) = (folder.clone(), notes.clone());
            Recording { folder, reel, job, label, output, usage, extent, marks, notes, whole }
        };
        let wishes = Arc::new(Wishes::default());
        let (link_tx, link) = watch::channel(Link::Connecting { since: Micros::default() });
        let player = Player::new(recording, link_tx, Arc::clone(&wishes));
        let failed = |source| StoreError::Io { what: "replay", path: folder.path().to_owned(), source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        // Where it cannot be watched, its loss shows in what cannot be read.
        let watched = vanishing::watch(folder.path()).ok();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("replay".into())
            .spawn(move || {
                runtime.block_on(async {
                    let vanishing = watched.and_then(|watched| Vanishing::new(watched).ok());
                    tokio::select! {
                        () = player.run(inbox, vanishing) => {}
                        // Only dropped, never sent.
                        _ = stopped => {}
                    }
                });
                // A read that hangs on a dead disk must not keep the window from being left.
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        Ok(Arc::new(Self {
            link,
            session: Arc::new(session),
            wishes,
            asking: Asking::default(),
            extent,
            notes,
            runtime: handle,
            _stop: stop,
            _unpacked: unpacked,
        }))
    }

    /// What is missing, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The time that was recorded.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// The item of this name.
    pub fn item(&self, name: &str) -> Option<ItemIndex> {
        self.session.handle.job().agenda.find(name)
    }
}

impl SessionView for Replay {
    fn ask(&self, request: Request) -> BoxFuture<'static, Result<Response, ApiError>> {
        if !request.only_reads() {
            return Box::pin(std::future::ready(Err(ApiError::Refused(refusal()))));
        }
        let session = Arc::clone(&self.session);
        let asked = self.asking.begin(&request);
        let answering = self.runtime.spawn(async move { answer(&session, request, &asked.0).await });
        let abort = AbortOnDrop(answering.abort_handle());
        Box::pin(async move {
            let _abort = abort;
            match answering.await {
                Ok(answer) => answer.map_err(ApiError::Refused),
                Err(_) => Err(ApiError::Lost { reason: "this window is closing".to_owned() }),
            }
        })
    }

    fn pulses(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    fn steer(&self, steer: Steer) {
        self.wishes.add(steer);
    }
}

/// As much of a folder as is sound.
struct Sound {
    job: Arc<Job>,
    label: Label,
    recovered: Recovered,
    /// The journal, or an empty one.
    journal: Arc<JournalReader>,
    notes: Vec<String>,
}

impl Sound {
    /// An error means that nothing in it can be understood.
    fn of(folder: &Folder) -> Result<Self, StoreError> {
        let (recovered, file) = (recover(folder), folder.read_session());
        let path = folder.journal();
        let mut notes = Vec::new();
        let (recovered, journal) = match recovered {
            Ok(recovered) if path.exists() => (recovered, JournalReader::open(&path)?),
            Ok(recovered) => (recovered, JournalReader::empty(&path)?),
            Err(why) if file.is_err() => return Err(why),
            Err(why) => {
                let why = format!("{why}: nothing is known of what happened.");
                (Recovered::nothing(why), JournalReader::empty(&path)?)
            }
        };
        let (job, label) = match file {
            Ok(file) => {
                let label = label(&file, folder.id());
                (file.job, label)
            }
            Err(why) if recovered.state.seq.0 == 0 => return Err(why),
            Err(why) => {
                notes.push(format!("{why}; the job, and the names of its items, are not known."));
                (Job::default(), Label { session: folder.id().to_owned(), ..Label::default() })
            }
        };
        let running = folder.is_running();
        notes.extend(recovered.notes.iter().cloned());
        notes.extend(OutputReader::open(folder).missing(recovered.state.reached, running));
        let id = folder.id();
        if running {
            notes
                .push(format!("The session is running: this is how far it was; `childminder attach {id}` follows it."));
        } else if recovered.state.seq.0 == 0 && recovered.notes.is_empty() {
            notes.push("The journal (events.jsonl) is empty: nothing is known of what happened.".to_owned());
        } else if recovered.state.seq.0 > 0 && recovered.state.ended.is_none() {
            notes.push("The session has no end: its engine died, or this is a copy made while it ran.".to_owned());
        }
        Ok(Self { job: Arc::new(job), label, recovered, journal: Arc::new(journal), notes })
    }
}

/// What the session's recipe says for people; one that cannot be read says nothing.
fn label(file: &SessionFile, session: &str) -> Label {
    let recipe = match &file.recipe_text {
        Some(text) => backend::kept(text, file.recipe_file.clone()).ok(),
        None => backend::of_job(&file.job).ok(),
    };
    let (prompt, patterns) = recipe.map(|recipe| (recipe.prompt, recipe.patterns)).unwrap_or_default();
    let patterns = file.job.patterns_over(&patterns);
    Label { session: session.to_owned(), prompt, patterns, ..Label::default() }
}

/// The time that was recorded: what a dead engine's child printed last, and what it was seen to use, may have come after
/// the last event.
fn extent(reel: &Reel, output: &OutputReader, usage: &UsageReader) -> Extent {
    let state = reel.state();
    let heard = output.heard(Micros(u64::MAX)).and_then(|heard| heard.last).unwrap_or_default();
    let used = usage.last().filter(|last| state.ended.is_none() && *last <= clock::wall()).unwrap_or_default();
    let first = reel.events(0).next().map_or(state.wall, |recorded| recorded.event.wall);
    Extent { first, last: state.wall.max(heard).max(used).max(first), seq: Seq(state.seq.0) }
}
