//! One held session of the loop: its engine, which does not outlive it, and what is asked of it.
//!
//! What must stay true: events come through a connection of their own, so that one who does not read them for a while
//! keeps no answer waiting; every wait for the engine is bounded, or is for the user's own commands, which Ctrl-C ends.

use super::difference::LINES;
use super::outcome::{News, Outcome, Run};
use crate::api::Client;
use crate::cli::exit::{Failure, LOST};
use crate::cli::{engine, host, target};
use crate::model::proto::{OutputAt, OutputQuery, Request, Response, ServerFrame};
use crate::model::{
    CommandId, CommandOutcome, Event, EventKind, Filter, Job, Marks, Micros, Rung, Seq, SessionPhase, StopMode, Stream,
};
use crate::store::{self, Folder, plain_safe};
use std::process::Child;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long a session may take to stop by itself before its engine is told to be quick.
const STOPPING: Duration = Duration::from_secs(70);
/// How long the engine's process may take to end when nothing is left to be done.
const LEAVING: Duration = Duration::from_secs(20);
/// How long the last bytes of a command may be on their way to the session's files.
const ON_THEIR_WAY: Duration = Duration::from_secs(2);
/// A command that takes longer than this is told of before it has ended.
const LONG: Duration = Duration::from_secs(1);
/// Between two looks whether they have come.
const LOOK: Duration = Duration::from_millis(10);

/// A session.
pub(super) struct Session {
    folder: Folder,
    /// Its standard input is what the engine is bound to. `None` while it is being ended.
    engine: Option<Child>,
    keep: bool,
    client: Client,
    /// Another connection, for events.
    events: Client,
    frames: mpsc::Receiver<ServerFrame>,
    seen: Seq,
    /// Whether it was seen to be over.
    ended: bool,
    /// What had been printed when the run began.
    printed: Marks,
}

/// Whoever asks one: all that is needed while it is busy.
#[derive(Clone)]
pub(super) struct Asker {
    client: Client,
}

/// What a command at the prompt came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// How it ended.
    pub(super) outcome: CommandOutcome,
    /// How long it took.
    pub(super) took: Micros,
    /// The last lines that it printed; safe.
    pub(super) output: Vec<String>,
    /// Whether there were more.
    pub(super) more: bool,
}

/// Told of what happens while a child is being started.
pub(super) trait Told {
    /// A command, with its source, is not done at once.
    fn goes_on(&self, source: &str);
    /// A step has ended.
    fn step(&self, step: &super::outcome::Step);
    /// Something worth to be known.
    fn note(&self, note: &str);
}

impl Session {
    /// Makes and starts one. It is removed when it ends, unless it is to be kept.
    pub(super) async fn start(job: Job, keep: bool) -> Result<Self, Failure> {
        // What is awaited is a process, at whose start nothing else waits.
        let started = tokio::task::spawn_blocking(move || {
            let folder = host::create(job)?;
            let engine = engine::start_bound(&folder, !keep)?;
            Ok::<_, Failure>((folder, engine))
        });
        let (folder, engine) = started.await.map_err(|error| Failure::new(LOST, error.to_string()))??;
        let client = target::connect(&folder, "dev", false).await?;
        let events = target::connect(&folder, "dev", false).await?;
        let (_, frames) = events.subscribe(true, Some(Seq(0))).await?;
        let (engine, seen, ended, printed) = (Some(engine), Seq(0), false, Marks::default());
        Ok(Self { folder, engine, keep, client, events, frames, seen, ended, printed })
    }

    /// The session's id.
    pub(super) fn id(&self) -> &str {
        self.folder.id()
    }

    /// Whoever may ask beside what is under way.
    pub(super) fn asker(&self) -> Asker {
        Asker { client: self.client.clone() }
    }

    /// Puts another child in this one's place.
    pub(super) async fn restart(&mut self) -> Result<(), Failure> {
        if let Response::Summary(now) = self.client.ask(Request::Summary).await? {
            self.printed = now.output;
        }
        self.client.ask(Request::Restart { now: true }).await?;
        Ok(())
    }

    /// Follows a start-up to its end.
    pub(super) async fn follow(&mut self, told: &dyn Told) -> Result<Outcome, Failure> {
        let mut run = Run::default();
        // A command of which nobody was told yet that it goes on.
        let mut begun: Option<(CommandId, Instant)> = None;
        loop {
            let long = begun.map_or_else(Instant::now, |(_, since)| since + LONG);
            let events = tokio::select! {
                events = self.next_events() => events?,
                () = sleep_until(long), if begun.is_some() => {
                    let source = begun.take().and_then(|(id, _)| run.source(id));
                    told.goes_on(source.unwrap_or_default());
                    continue;
                }
            };
            for event in events {
                let Some(news) = run.take(&event) else { continue };
                begun = None;
                match news {
                    News::Begun(id) => begun = Some((id, Instant::now())),
                    News::Noted => told.note(run.last_note()),
                    News::Ended(command) => {
                        let (output, more) = match command {
                            Some((id, from, to)) => self.printed_by(id, from, to).await,
                            None => self.printed_by_nobody().await,
                        };
                        if let Some(step) = run.last() {
                            (step.output, step.more) = (output, more);
                            told.step(step);
                        }
                    }
                    News::Over => {
                        return run.outcome().ok_or_else(|| Failure::new(LOST, "the start-up has no end"));
                    }
                }
            }
        }
    }

    /// Waits until the session is over; its reason. Nothing is lost when it is dropped.
    pub(super) async fn over(&mut self) -> String {
        loop {
            match self.next_events().await {
                Err(failure) => return failure.message,
                Ok(events) => {
                    for event in events {
                        if let EventKind::SessionEnded { reason, .. } = event.kind {
                            return reason;
                        }
                    }
                }
            }
        }
    }

    async fn next_events(&mut self) -> Result<Vec<Event>, Failure> {
        loop {
            match self.frames.recv().await {
                None => {
                    let reason = self.events.lost().unwrap_or_default();
                    return Err(Failure::new(LOST, format!("the engine of {} is gone: {reason}", self.id())));
                }
                Some(ServerFrame::Events { mut events }) => {
                    events.retain(|event| event.seq > self.seen);
                    if let Some(last) = events.last() {
                        self.seen = last.seq;
                        self.ended |= events.iter().any(|event| matches!(event.kind, EventKind::SessionEnded { .. }));
                        return Ok(events);
                    }
                }
                // Nobody read for a while; the journal has it.
                Some(ServerFrame::Gap { from, .. }) if from > self.seen => {
                    self.frames = self.events.subscribe(true, Some(self.seen)).await?.1;
                }
                Some(_) => {}
            }
        }
    }

    /// What a command has printed: the last lines of its slice, once they are all in the session's files.
    async fn printed_by(&self, id: CommandId, from: Marks, to: Marks) -> (Vec<String>, bool) {
        if from == to {
            return (Vec::new(), false);
        }
        self.asker().printed(Some(id), from, to).await
    }

    /// What was printed in this run outside of any command.
    async fn printed_by_nobody(&mut self) -> (Vec<String>, bool) {
        let from = self.printed;
        let Ok(Response::Summary(now)) = self.client.ask(Request::Summary).await else { return (Vec::new(), false) };
        self.printed = now.output;
        if from == now.output {
            return (Vec::new(), false);
        }
        self.asker().printed(None, from, now.output).await
    }

    /// Ends it, and waits for that. Teardown runs, unless a command does just now: nobody waits for that one any more.
    pub(super) async fn end(mut self) {
        let Some(mut engine) = self.engine.take() else { return };
        let stopped = async {
            if self.ended {
                return None;
            }
            let Response::Summary(now) = self.client.ask(Request::Summary).await.ok()? else { return None };
            let idle = now.phase == SessionPhase::Agenda && now.running.is_none();
            let mode = if idle { StopMode::AfterItem } else { StopMode::Now };
            self.client.ask(Request::Stop { mode }).await.ok()?;
            Some(self.over().await)
        };
        // One that cannot be asked is told by its standard input.
        let _ = timeout(STOPPING, stopped).await;
        // It stays until the last client has gone.
        let (folder, keep) = (self.folder.clone(), self.keep);
        drop(self);
        drop(engine.stdin.take());
        let gone = tokio::task::spawn_blocking(move || {
            let _ = engine.wait();
            if !keep {
                // It has done so itself, unless it was killed.
                let _ = store::remove(&folder);
            }
        });
        let _ = timeout(LEAVING, gone).await;
    }
}

impl Asker {
    /// Asks.
    pub(super) async fn ask(&self, request: Request) -> Result<Response, Failure> {
        Ok(self.client.ask(request).await?)
    }

    /// Runs a command, and waits for its end.
    pub(super) async fn run(&self, source: String) -> Result<Answer, Failure> {
        let Response::Command(detail) = self.ask(Request::Exec { source, wait: true }).await? else {
            return Err(target::odd());
        };
        let Some(outcome) = detail.outcome else {
            return Err(Failure::new(LOST, "the engine did not say how the command ended"));
        };
        let row = detail.view.row;
        let (output, more) = if row.from == row.to {
            (Vec::new(), false)
        } else {
            self.printed(Some(detail.view.id), row.from, row.to).await
        };
        Ok(Answer { outcome, took: row.took, output, more })
    }

    /// Interrupts the command that runs.
    pub(super) async fn interrupt(&self) -> Result<String, Failure> {
        let (from, to) = (Rung::Interrupt, Rung::Interrupt);
        match self.ask(Request::Interrupt { command: None, from, to, restart: false }).await? {
            Response::Done { said } => Ok(said),
            _ => Err(target::odd()),
        }
    }

    async fn printed(&self, command: Option<CommandId>, from: Marks, to: Marks) -> (Vec<String>, bool) {
        let most = u32::try_from(LINES).unwrap_or(u32::MAX);
        let query = OutputQuery {
            stream: None,
            at: OutputAt::End,
            before: most,
            after: 0,
            command,
            filter: Filter::default(),
            raw: false,
        };
        let begun = Instant::now();
        loop {
            let Ok(Response::Output(page)) = self.ask(Request::Output(Box::new(query.clone()))).await else {
                return (Vec::new(), false);
            };
            let reached = |stream, from: u64, to: u64| {
                let of_stream = page.lines.iter().filter(|line| line.anchor.stream == stream);
                from == to || of_stream.map(|line| line.anchor.offset + line.length).max().is_some_and(|end| end >= to)
            };
            let all =
                reached(Stream::Stdout, from.stdout, to.stdout) && reached(Stream::Stderr, from.stderr, to.stderr);
            // Of very much output one stream may not be among the last lines; then its end is not waited for.
            if all || page.lines.len() >= LINES || begun.elapsed() > ON_THEIR_WAY {
                let first = |stream| if stream == Stream::Stdout { from.stdout } else { from.stderr };
                let new = |line: &&crate::model::proto::OutputLine| {
                    line.anchor.offset >= first(line.anchor.stream) && (command.is_some() || line.command.is_none())
                };
                let lines: Vec<_> =
                    page.lines.iter().filter(new).map(|line| plain_safe(line.text.as_bytes())).collect();
                return (lines, !page.at_start && page.lines.len() >= LINES);
            }
            sleep(LOOK).await;
        }
    }
}
