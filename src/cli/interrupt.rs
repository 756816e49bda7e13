//! `interrupt`: out of a running command, mildest way first.

use super::exit::{FAILED, Failure, LOST, OK, TIMED_OUT, USAGE};
use super::out::{Out, complain, length};
use super::{lines, target};
use crate::api::{ApiError, Client};
use crate::model::proto::{Request, Response, ServerFrame, Summary};
use crate::model::{CommandId, Event, EventKind, Micros, Rung, RungOutcome, Scene, Seq};
use crate::store::{Folder, JournalReader, Purpose};
use std::sync::Arc;
use std::time::Duration;

/// End the command that runs: by an interrupt, or by one way after another until it has ended.
///
/// Each way has its time; then it is said whether it has helped, and whether what is loaded in the child is still there.
/// Ways that are not safe in the application are skipped.
#[derive(Debug, clap::Args)]
#[command(after_help = "Ways, mildest first:
  interrupt  KeyboardInterrupt in the main thread
  async      an exception that code which catches KeyboardInterrupt does not catch
  cancel     the application's own way, where the backend knows one
  terminate  SIGTERM to the child's process group: what is loaded is lost
  kill       SIGKILL to the group and to whatever has left it

Examples:
  childminder interrupt
  childminder interrupt shots --to cancel        all that leaves the child alive
  childminder interrupt shots --to kill          whatever it takes; another child is started

Exit codes: 0 the command has ended and what is loaded is still there, 1 all was in vain, 3 no such session, 4 refused,
70 the child was lost by it, 124 not within --timeout.")]
pub(super) struct Args {
    /// Which session: an id, the beginning of one, a job's name, or a folder. Without: the only one that runs.
    session: Option<String>,
    /// The last way to try.
    #[arg(long, value_name = "WAY", value_parser = rung, default_value = "interrupt")]
    to: Rung,
    /// The first way to try.
    #[arg(long, value_name = "WAY", value_parser = rung, default_value = "interrupt")]
    from: Rung,
    /// When the child is lost by it, end the session instead of starting another one.
    #[arg(long)]
    no_restart: bool,
    /// Only if this command runs.
    #[arg(long, value_name = "NUMBER")]
    command: Option<u64>,
    /// Do not wait for what becomes of it.
    #[arg(long)]
    no_wait: bool,
    /// Stop waiting after this long (5, 5s, 2m); what was begun goes on.
    #[arg(long, value_parser = super::duration, conflicts_with = "no_wait")]
    timeout: Option<Duration>,
}

fn rung(text: &str) -> Result<Rung, String> {
    let known = || format!("there are {}", Rung::ALL.map(Rung::word).join(", "));
    Rung::ALL.into_iter().find(|rung| rung.word() == text).ok_or_else(known)
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    if args.from > args.to {
        let message = format!("--from {} is harder than --to {}", args.from.word(), args.to.word());
        return Err(Failure::new(USAGE, message));
    }
    let folder = target::folder(args.session.as_deref(), Purpose::Write)?;
    let request = Request::Interrupt {
        command: args.command.map(CommandId),
        from: args.from,
        to: args.to,
        restart: !args.no_restart,
    };
    target::block_on(async {
        let client = target::connect(&folder, "interrupt", false).await?;
        if args.no_wait {
            return ask(&client, request).await.map(|()| OK);
        }
        let followed = follow(&client, request, args.to, &folder);
        match args.timeout {
            None => followed.await,
            Some(limit) => tokio::time::timeout(limit, followed).await.map_err(|_| timed_out(limit))?,
        }
    })
}

async fn ask(client: &Client, request: Request) -> Result<(), Failure> {
    let Response::Done { said } = client.ask(request).await? else { return Err(target::odd()) };
    print(&[asked_for(&said)])
}

/// What the engine says of a way that it has begun. Whether it helps is not known yet.
fn asked_for(said: &str) -> String {
    if said.is_empty() { "asked: the command is to end".to_owned() } else { format!("asked: {said}") }
}

fn print(lines: &[String]) -> Result<(), Failure> {
    let mut out = Out::stdout();
    lines.iter().try_for_each(|line| out.line(line))?;
    Ok(out.flush()?)
}

fn timed_out(limit: Duration) -> Failure {
    let limit = length(Micros::from(limit));
    Failure::new(TIMED_OUT, format!("the command did not end within {limit}; what was begun goes on"))
}

fn engine_is_gone() -> Failure {
    Failure::new(LOST, "the engine is gone; `childminder ls` shows what became of the session")
}

/// Asks, and prints what becomes of each way until the last has been tried; the exit code.
async fn follow(client: &Client, request: Request, to: Rung, folder: &Folder) -> Result<u8, Failure> {
    // Where the record goes on with what happens from here on.
    let from = folder.journal().metadata().map_or(0, |journal| journal.len());
    // Subscribed to before anything happens, so that nothing is missed.
    let (before, mut frames) = client.subscribe(true, None).await?;
    let mut ladder = Ladder::new(&before, to);
    // Answers come through the same connection as what happens meanwhile, so both are taken at once.
    let asked = async {
        let answer = client.ask(request).await;
        match client.ask(Request::Summary).await? {
            Response::Summary(now) => Ok::<_, Failure>((answer, now)),
            _ => Err(target::odd()),
        }
    };
    tokio::pin!(asked);
    let (mut is_asked, mut refusal) = (false, None);
    loop {
        if let Some(code) = ladder.code().filter(|_| is_asked) {
            // What was refused before anything was tried is no way that was in vain.
            return refusal.filter(|_| !ladder.tried).map_or(Ok(code), Err);
        }
        tokio::select! {
            asked = &mut asked, if !is_asked => {
                is_asked = true;
                let (answer, now) = match asked {
                    Ok(asked) => asked,
                    // The engine may end with the child.
                    Err(failure) => return ladder.cut_short(folder, from, failure),
                };
                ladder.begun(&now);
                match answer {
                    // What has become of it already says more.
                    Ok(Response::Done { said }) if !ladder.told => print(&[asked_for(&said)])?,
                    Ok(Response::Done { .. }) => {}
                    Ok(_) => return Err(target::odd()),
                    // It goes on, though there is nothing good to be told of it yet.
                    Err(error @ ApiError::Refused(_)) if now.ladder.is_some() => complain(&error.to_string()),
                    Err(error @ ApiError::Refused(_)) => refusal = Some(Failure::from(error)),
                    Err(error) => return Err(error.into()),
                }
            }
            frame = frames.recv() => {
                let Some(frame) = frame else { return ladder.cut_short(folder, from, engine_is_gone()) };
                print(&ladder.take(&frame))?;
            }
        }
    }
}

/// What is known of a ladder while it is being climbed.
#[expect(clippy::struct_excessive_bools, reason = "each becomes true by itself, in any order")]
struct Ladder {
    /// The command that is to end.
    command: Option<CommandId>,
    to: Rung,
    /// The first event after which the engine may be believed that nobody is on the ladder.
    floor: Option<Seq>,
    /// The event with which it was over.
    over: Option<Seq>,
    /// The last event that was seen.
    seen: Seq,
    /// When the way that is being tried was begun.
    since: Option<Micros>,
    /// Whether any way was tried.
    tried: bool,
    /// Whether it was said of any what became of it.
    told: bool,
    /// Whether the command has ended.
    ended: bool,
    /// Whether the child has.
    lost: bool,
    /// Whether a way has worked, or none is left.
    done: bool,
}

impl Ladder {
    /// As the session was before it was asked for.
    fn new(before: &Summary, to: Rung) -> Self {
        let command = before.running.as_ref().map(|running| running.id);
        let (tried, told, ended, lost, done) = (false, false, false, false, false);
        Self { command, to, floor: None, over: None, seen: before.seq, since: None, tried, told, ended, lost, done }
    }

    /// The engine has answered.
    fn begun(&mut self, now: &Summary) {
        self.floor = Some(now.seq);
        self.pulse(now);
    }

    fn take(&mut self, frame: &ServerFrame) -> Vec<String> {
        match frame {
            ServerFrame::Events { events } => events.iter().filter_map(|event| self.event(event)).collect(),
            ServerFrame::Pulse { summary } => {
                self.pulse(summary);
                Vec::new()
            }
            ServerFrame::Gap { to, .. } => {
                self.seen = self.seen.max(*to);
                Vec::new()
            }
            ServerFrame::Answer { .. } => Vec::new(),
        }
    }

    /// The lines for those of these events that were not seen yet.
    fn catch_up(&mut self, written: impl Iterator<Item = Arc<Event>>) -> Vec<String> {
        written.filter_map(|event| if event.seq > self.seen { self.event(&event) } else { None }).collect()
    }

    fn pulse(&mut self, now: &Summary) {
        if self.over.is_none() && now.ladder.is_none() && self.floor.is_some_and(|floor| now.seq >= floor) {
            self.over = Some(now.seq);
        }
    }

    /// The line for an event, if it has one here.
    fn event(&mut self, event: &Event) -> Option<String> {
        self.seen = event.seq;
        match &event.kind {
            EventKind::InterruptRequested { .. } | EventKind::ChildSignalled { .. } => {
                self.since = Some(event.wall);
                self.tried = true;
            }
            EventKind::CommandEnded { id, .. } => self.ended |= Some(*id) == self.command,
            EventKind::ChildExited { .. } => self.lost = true,
            EventKind::RungEnded { id, rung, result, scene, reason } => {
                self.command = self.command.or(*id);
                self.ended |= *result == RungOutcome::Worked;
                self.lost |= *scene == Scene::Lost;
                // One that was refused may have come too late: then the command ends by itself.
                self.done |= self.ended || (*rung >= self.to && *result != RungOutcome::Refused);
                self.told = true;
                // One that was not tried took no time.
                let took = self.since.take().filter(|_| *result != RungOutcome::Skipped);
                let took = took.map(|since| event.wall.since(since));
                return Some(lines::rung_ended(*rung, *result, took, *scene, reason));
            }
            EventKind::SessionEnded { .. } => self.done = true,
            _ => {}
        }
        None
    }

    /// The exit code, once the ladder is over.
    fn code(&self) -> Option<u8> {
        let over = self.done || self.over.is_some_and(|over| self.seen >= over);
        over.then(|| self.verdict())
    }

    fn verdict(&self) -> u8 {
        match (self.lost, self.ended) {
            (true, _) => LOST,
            (false, true) => OK,
            (false, false) => FAILED,
        }
    }

    /// Nothing more will be heard; what has happened since stands in the record, from this byte of the journal on.
    fn cut_short(mut self, folder: &Folder, from: u64, otherwise: Failure) -> Result<u8, Failure> {
        let journal = JournalReader::open(&folder.journal())?;
        let written = journal.iter_from(from).filter_map(Result::ok).map(|recorded| recorded.event);
        print(&self.catch_up(written))?;
        if self.lost || self.ended {
            return Ok(self.verdict());
        }
        Err(otherwise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::proto::RunningView;
    use crate::model::{CommandOutcome, CommandState, LadderView, Marks, Phase};

    fn event(seq: u64, seconds: u64, kind: EventKind) -> Event {
        let wall = Micros(seconds * 1_000_000);
        Event { seq: Seq(seq), wall, mono: wall, kind }
    }

    fn rung_ended(rung: Rung, result: RungOutcome, scene: Scene) -> EventKind {
        EventKind::RungEnded { id: Some(CommandId(3)), rung, result, scene, reason: String::new() }
    }

    fn asked(rung: Rung) -> EventKind {
        EventKind::InterruptRequested { id: CommandId(3), by: None, rung }
    }

    fn ended(id: u64) -> EventKind {
        let outcome = CommandOutcome::Lost { reason: "gone".into() };
        EventKind::CommandEnded { id: CommandId(id), outcome, took: Micros(1), to: Marks::default() }
    }

    fn climbing(to: Rung) -> Ladder {
        let (phase, state, head) = (Phase::Item, CommandState::Started, String::new());
        let running = RunningView { id: CommandId(3), phase, state, since: Micros(0), head };
        Ladder::new(&Summary { seq: Seq(1), running: Some(running), ..Summary::default() }, to)
    }

    fn climb(ladder: &mut Ladder, kinds: Vec<(u64, EventKind)>) -> Vec<String> {
        let events = (ladder.seen.0 + 1..).zip(kinds).map(|(seq, (at, kind))| event(seq, at, kind)).collect();
        ladder.take(&ServerFrame::Events { events })
    }

    #[test]
    fn each_way_is_told_of_with_the_time_it_took() {
        let mut ladder = climbing(Rung::Async);
        let said = climb(
            &mut ladder,
            vec![
                (0, asked(Rung::Interrupt)),
                (10, rung_ended(Rung::Interrupt, RungOutcome::InVain, Scene::Survived)),
                (10, asked(Rung::Async)),
            ],
        );
        assert_eq!(said, ["interrupt was in vain after 10.0s; what is loaded is still there"]);
        assert_eq!(ladder.code(), None);
        let said = climb(
            &mut ladder,
            vec![(12, ended(3)), (12, rung_ended(Rung::Async, RungOutcome::Worked, Scene::Survived))],
        );
        assert_eq!(said, ["async has ended the command after 2.0s; what is loaded is still there"]);
        assert_eq!(ladder.code(), Some(OK));
    }

    #[test]
    fn a_child_that_is_lost_and_a_command_that_goes_on_are_told_apart() {
        let mut ladder = climbing(Rung::Kill);
        climb(&mut ladder, vec![(1, rung_ended(Rung::Kill, RungOutcome::Worked, Scene::Lost))]);
        assert_eq!(ladder.code(), Some(LOST));
        let mut ladder = climbing(Rung::Interrupt);
        let refused = rung_ended(Rung::Interrupt, RungOutcome::Refused, Scene::Survived);
        climb(&mut ladder, vec![(1, refused)]);
        assert_eq!(ladder.code(), None, "it may just be ending by itself");
        ladder.begun(&Summary { seq: Seq(2), ..Summary::default() });
        assert_eq!(ladder.code(), Some(FAILED));
    }

    #[test]
    fn what_the_engine_could_not_say_any_more_is_read_from_the_record() {
        let mut ladder = climbing(Rung::Kill);
        climb(&mut ladder, vec![(1, asked(Rung::Kill))]);
        let kill = rung_ended(Rung::Kill, RungOutcome::Worked, Scene::Lost);
        let written = [event(1, 0, ended(2)), event(2, 1, asked(Rung::Kill)), event(3, 3, kill)];
        let said = ladder.catch_up(written.into_iter().map(Arc::new));
        assert_eq!(said, ["kill has ended the child after 2.0s; what was loaded is lost"]);
        assert_eq!(ladder.verdict(), LOST);
    }

    #[test]
    fn what_is_refused_at_once_is_over_though_nothing_happens() {
        let mut ladder = climbing(Rung::Kill);
        assert_eq!(ladder.code(), None);
        ladder.begun(&Summary { seq: Seq(1), ..Summary::default() });
        assert_eq!((ladder.code(), ladder.tried), (Some(FAILED), false));
    }

    #[test]
    fn a_ladder_that_nobody_is_on_any_more_is_over_when_all_of_it_was_seen() {
        let mut ladder = climbing(Rung::Kill);
        let now = |seq, busy: bool| {
            let (since, until) = (Micros(0), Micros(1));
            let ladder = busy.then_some(LadderView { rung: Rung::Interrupt, to: Rung::Kill, since, until });
            Summary { seq: Seq(seq), ladder, ..Summary::default() }
        };
        // What was so before it was asked for says nothing.
        ladder.take(&ServerFrame::Pulse { summary: Box::new(now(1, false)) });
        ladder.begun(&now(2, true));
        climb(&mut ladder, vec![(0, asked(Rung::Interrupt)), (0, ended(2))]);
        assert_eq!(ladder.code(), None, "another command's end");
        ladder.take(&ServerFrame::Pulse { summary: Box::new(now(5, false)) });
        assert_eq!(ladder.code(), None, "events are still on their way");
        climb(&mut ladder, vec![(1, rung_ended(Rung::Interrupt, RungOutcome::InVain, Scene::Survived))]);
        climb(&mut ladder, vec![(1, EventKind::Note { text: "given up".into() })]);
        assert_eq!(ladder.code(), Some(FAILED));
    }
}
