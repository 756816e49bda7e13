//! An engine without a child: a journal in memory, the fold of it, and the real server on a real socket.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use childminder::api::pages::Journalled;
use childminder::api::recorded::Recorded;
use childminder::api::socket;
use childminder::api::{Bound, Client, Pages, Server, Sources, Watchers};
use childminder::model::job::{Agenda, FrameRun};
use childminder::model::proto::LineAnchor;
use childminder::model::proto::{
    ClientHello, CommandDetail, CommandView, OutputAt, OutputLine, OutputPage, OutputQuery, Refusal, RefusalKind,
    Request, Response, Summary, TracePage, VERSION,
};
use childminder::model::{
    CommandId, CommandOutcome, Event, EventKind, HoldReason, Job, Marks, Micros, Origin, OutputPattern, Phase,
    SearchQuery, Searched, Seq, State, Stream, UsagePoint, Wanted,
};
use childminder::session::{Feed, Handle, Inspect, Message};
use childminder::store::{Asker, Folder, Journal, Places, SessionFile};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

type Answer = oneshot::Sender<Result<Response, Refusal>>;

const SESSION: &str = "20261123-205639-test-3f2a";

/// Waits, but not for ever.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it took longer than 30 s")
}

/// Waits until something outside of any runtime is so.
pub(crate) async fn retrying(what: &str, mut is_so: impl FnMut() -> bool) {
    let so = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), so).await.is_ok(), "not within 30 s: {what}");
}

pub(crate) fn hello(client: &str) -> ClientHello {
    ClientHello { version: VERSION, client: client.into(), host: "here".into(), read_only: false }
}

#[derive(Clone)]
pub(crate) struct Engine {
    core: Arc<Mutex<Core>>,
    handle: Handle,
    feed: Feed,
    folder: Arc<tempfile::TempDir>,
    socket: PathBuf,
    alive: Arc<AtomicBool>,
    clients: Arc<AtomicI32>,
    recorded: Folder,
    /// Searches for [`UNENDING`]: how many were begun, and given up.
    unending: Arc<[AtomicI32; 2]>,
    server: Arc<Mutex<Option<Server>>>,
}

#[derive(Default)]
struct Core {
    state: State,
    journal: Vec<Event>,
    waiting: Vec<(CommandId, Answer)>,
}

impl Engine {
    pub(crate) fn start() -> Self {
        Self::with_agenda(Agenda::Empty)
    }

    pub(crate) fn with_frames(count: u32) -> Self {
        Self::with_agenda(Agenda::Frames { runs: vec![FrameRun { first: 1, count, step: 1 }], chunk: 1 })
    }

    fn with_agenda(agenda: Agenda) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("run")).expect("a folder");
        let items = u32::try_from(agenda.len()).expect("few");
        let job = Arc::new(Job { agenda, ..Job::default() });
        let recorded = Folder::create(folder.path(), &SessionFile::new(Job::default(), None)).expect("a session");
        Journal::create(&recorded.journal()).expect("a journal");
        let feed = Feed::default();
        let (handle, inbox) = Handle::new(job, feed.clone());
        let mut engine = Self {
            core: Arc::default(),
            handle,
            feed,
            folder: Arc::new(folder),
            socket: PathBuf::new(),
            alive: Arc::new(AtomicBool::new(true)),
            clients: Arc::default(),
            recorded,
            unending: Arc::default(),
            server: Arc::default(),
        };
        if items > 0 {
            let began = EventKind::EngineStarted {
                pid: 1,
                version: "0".into(),
                name: "test".into(),
                backend: "none".into(),
                items,
                held: false,
                resumed: false,
            };
            engine.record(began);
        }
        let actor = engine.clone();
        std::thread::spawn(move || actor.act(inbox));
        engine.socket = engine.serve();
        engine
    }

    fn serve(&self) -> PathBuf {
        let bound = Bound::new(self.places(), SESSION).expect("bound");
        let socket = bound.path().to_owned();
        let watchers = Watchers::new(&self.watchers(), nix::unistd::getegid().as_raw()).expect("bound");
        let sources = Sources {
            session: SESSION.into(),
            pages: Arc::new(Memory {
                core: self.core.clone(),
                log: self.recorded.output(Stream::Stdout),
                recorded: Recorded::open(&self.recorded).expect("a session"),
                unending: self.unending.clone(),
            }),
            expand: Arc::new(|item| Ok(vec![format!("render({})", item.name)])),
        };
        let server = Server::start(self.handle.clone(), sources, bound, Some(watchers)).expect("a thread");
        *self.server.lock().expect("sound") = Some(server);
        socket
    }

    fn places(&self) -> socket::Places {
        socket::Places {
            runtime: Some(self.runtime()),
            temporary: self.folder.path().to_owned(),
            uid: nix::unistd::geteuid().as_raw(),
        }
    }

    /// What stands for `$XDG_RUNTIME_DIR`.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// Where a client finds the socket, if it does: at the first place that takes a connection.
    pub(crate) fn found(&self) -> Option<PathBuf> {
        let places = self.places().candidates(SESSION, Some(&self.socket));
        places.into_iter().find(|path| std::os::unix::net::UnixStream::connect(path).is_ok())
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    pub(crate) fn watchers(&self) -> PathBuf {
        self.folder.path().join("watchers.sock")
    }

    pub(crate) async fn client(&self) -> Client {
        within(Client::connect(&self.socket, &hello("test"))).await.expect("connected").0
    }

    pub(crate) fn clients(&self) -> i32 {
        self.clients.load(Ordering::SeqCst)
    }

    /// How many searches for [`UNENDING`] were begun, and how many of them given up.
    pub(crate) fn unending(&self) -> [i32; 2] {
        [0, 1].map(|place: usize| self.unending[place].load(Ordering::SeqCst))
    }

    /// The folder in which there may be output.
    pub(crate) fn recorded(&self) -> &Folder {
        &self.recorded
    }

    pub(crate) fn alive(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let alive = self.alive.clone();
        move || alive.load(Ordering::SeqCst)
    }

    pub(crate) async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        retrying("the engine's state", || is_so(self)).await;
    }

    /// Journals, folds and tells, as an actor does.
    pub(crate) fn record(&self, kind: EventKind) {
        record(&mut self.core(), &self.feed, kind);
    }

    pub(crate) fn state<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.core().state)
    }

    pub(crate) fn finish(&self, id: CommandId) {
        let outcome = CommandOutcome::Finished { value: Some("42".into()), cut: None };
        self.record(EventKind::CommandEnded { id, outcome, took: Micros(1), to: Marks::default() });
        let waiting = std::mem::take(&mut self.core().waiting);
        for (id, answer) in waiting {
            let row = self.core().state.command(id).expect("a row");
            let view = CommandView { id, row, item_name: None, head: String::new(), by: None };
            let detail = CommandDetail { view, source: String::new(), cut: false, outcome: None };
            let _ = answer.send(Ok(Response::Command(Box::new(detail))));
        }
    }

    pub(crate) async fn stop_server(&self) {
        let server = self.server.lock().expect("sound").take().expect("a server");
        server.stop().await;
    }

    pub(crate) async fn restart_server(&self) {
        self.stop_server().await;
        self.serve_again();
    }

    pub(crate) fn serve_again(&self) {
        assert_eq!(self.serve(), self.socket);
    }

    pub(crate) async fn die(&self) {
        self.alive.store(false, Ordering::SeqCst);
        self.stop_server().await;
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().expect("sound")
    }

    fn act(self, mut inbox: mpsc::Receiver<Message>) {
        while let Some(message) = inbox.blocking_recv() {
            match message {
                Message::Look(look) => look(&*self.core()),
                Message::Ask { by, request, answer } => self.answer(by, request, answer),
                Message::Clients(change) => {
                    self.clients.fetch_add(change, Ordering::SeqCst);
                }
                Message::Signal(_) => {}
            }
        }
    }

    fn answer(&self, by: Origin, request: Request, answer: Answer) {
        let mut core = self.core();
        let reply = match request {
            Request::Hold => {
                record(
                    &mut core,
                    &self.feed,
                    EventKind::Held { by: Some(by), why: HoldReason::Asked, commands: false },
                );
                Ok(Response::Done { said: String::new() })
            }
            Request::Exec { source, wait } => {
                let id = core.state.next_command();
                let phase = Phase::Operator;
                let queued = EventKind::CommandQueued { id, phase, item: None, source, value: true, by: Some(by) };
                record(&mut core, &self.feed, queued);
                if wait {
                    core.waiting.push((id, answer));
                    return;
                }
                Ok(Response::Queued { id })
            }
            _ => Err(Refusal { kind: RefusalKind::NotNow, message: "not here".into() }),
        };
        let _ = answer.send(reply);
    }
}

fn record(core: &mut Core, feed: &Feed, kind: EventKind) {
    let seq = core.state.seq.next();
    let event = Event { seq, wall: Micros(seq.0), mono: Micros(seq.0), kind };
    core.journal.push(event.clone());
    core.state.apply(&event, seq.0);
    feed.push(Arc::new(event));
    feed.stir();
}

impl Inspect for Core {
    fn patterns(&self) -> &[OutputPattern] {
        &[]
    }

    fn state(&self) -> &State {
        &self.state
    }

    fn summary(&self) -> Summary {
        Summary {
            seq: self.state.seq,
            held: self.state.held.clone(),
            ended: self.state.ended.clone(),
            ..Summary::default()
        }
    }
}

/// A journal in memory: an event's offset is its number. Output is that of the folder, or made up when there is none.
struct Memory {
    core: Arc<Mutex<Core>>,
    log: PathBuf,
    recorded: Recorded,
    unending: Arc<[AtomicI32; 2]>,
}

/// A pattern that is searched for until nobody wants it any more.
pub(crate) const UNENDING: &str = "until nobody wants it";

impl Pages for Memory {
    fn event_at(&self, offset: u64) -> Result<Event, Refusal> {
        let core = self.core.lock().expect("sound");
        let place = usize::try_from(offset).ok().and_then(|offset| offset.checked_sub(1));
        let event = place.and_then(|place| core.journal.get(place).cloned());
        event.ok_or_else(|| Refusal { kind: RefusalKind::Failed, message: "no such event".into() })
    }

    fn events_after(&self, after: Seq, hint: Option<u64>, most: usize) -> Result<Journalled, Refusal> {
        assert!(hint.is_none_or(|hint| hint == after.0), "read on from where it ended");
        let core = self.core.lock().expect("sound");
        let skip = usize::try_from(after.0).expect("few");
        let events: Vec<Event> = core.journal.iter().skip(skip).take(most).cloned().collect();
        Ok(Journalled { next: after.0 + events.len() as u64, events })
    }

    fn output(&self, asker: &Asker, query: &OutputQuery, places: &Places) -> Result<OutputPage, Refusal> {
        if self.log.exists() {
            return self.recorded.output(asker, query, places);
        }
        let line = |offset| OutputLine {
            anchor: LineAnchor { stream: Stream::Stdout, offset },
            number: None,
            wall: Micros(0),
            command: None,
            text: "line".into(),
            raw: None,
            length: 5,
            cut: false,
            lost: false,
            open: false,
            context: false,
            gap: false,
        };
        let lines = (0..u64::from(query.before) + u64::from(query.after)).map(line).collect();
        Ok(OutputPage { lines, at_start: false, at_end: false, partial: false })
    }

    fn search(&self, asker: &Asker, query: &SearchQuery, places: &Places) -> Result<Searched, Refusal> {
        if matches!(&query.wanted, Wanted::Match(grep) if grep.pattern == UNENDING) {
            self.unending[0].fetch_add(1, Ordering::SeqCst);
            while !asker.wish.has_ended() {
                std::thread::sleep(Duration::from_millis(1));
            }
            self.unending[1].fetch_add(1, Ordering::SeqCst);
            return Ok(Searched::default());
        }
        self.recorded.search(asker, query, places)
    }

    fn marks(&self, at: OutputAt, places: &Places) -> Result<Option<Marks>, Refusal> {
        self.recorded.marks(at, places)
    }

    fn traces(&self, _: Option<u64>, _: u32) -> Result<TracePage, Refusal> {
        Ok(TracePage::default())
    }

    fn usage(&self, from: Micros, to: Micros, most: u32) -> Result<Vec<UsagePoint>, Refusal> {
        self.recorded.usage(from, to, most)
    }

    fn info(&self) -> Result<serde_json::Value, Refusal> {
        Ok(serde_json::json!({}))
    }
}
