//! The player: it owns the state as of the time that is looked at, answers looks at it, and moves it.
//!
//! What must stay true: every look sees one time, also while another is being sought: then it waits; whatever is asked
//! meanwhile is answered in bounded time, and the newest place asked for is the one that is gone to; nothing wakes up
//! while the recording is paused.

use super::playback::{Extent, Goal, Marks, Playback, Speed};
use super::reel::{Part, Reel, Sought};
use super::wishes::Wishes;
use crate::api::Link;
use crate::api::vanishing::Vanishing;
use crate::model::proto::{Refusal, RefusalKind, Summary};
use crate::model::{CommandId, EventKind, Job, Micros, OutputPattern, State, UsagePoint};
use crate::session::{Inspect, Label, Message, summary_of};
use crate::store::{Folder, Heard, OutputReader, UsageReader};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// Between two frames of what is played, and two words of how far a search has come: 30 a second.
const FRAME: Duration = Duration::from_millis(33);
/// Lines of the journal that are folded, or looked at, before anything else gets its turn.
const SLICE: usize = 1000;
/// Time without anything that is shortened, and what is left of it, as somebody who watches counts.
const IDLE: (Micros, Micros) = (Micros(2_000_000), Micros(500_000));
/// Events that are looked at for what a later one says of the output.
const AHEAD: usize = 256;

/// What the player needs.
pub(super) struct Recording {
    pub(super) folder: Folder,
    pub(super) reel: Reel,
    pub(super) job: Arc<Job>,
    pub(super) label: Label,
    pub(super) output: OutputReader,
    pub(super) usage: UsageReader,
    pub(super) extent: Extent,
    pub(super) marks: Arc<Marks>,
    pub(super) notes: Vec<String>,
    /// How far the output had come when the recording was opened.
    pub(super) whole: crate::model::Marks,
}

/// On the way to another time.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Folding up to an offset; what the clock shows then, if it is not the last event's time.
    Fold { to: u64, from: u64, clock: Option<Micros> },
    /// Looking for the next event of a kind.
    Next { sought: Sought, at: u64, from: u64 },
    /// Looking for the last event of a kind.
    Last { sought: Sought, before: u64, from: u64 },
}

/// What is known beside the fold of the time that is looked at.
#[derive(Debug, Default)]
struct Then {
    /// How far the output had come.
    output: crate::model::Marks,
    last_output: Option<Micros>,
    /// What the process tree used.
    usage: Option<UsagePoint>,
    /// When something happens next: an event, or output.
    next: Option<Micros>,
    /// What the next event that tells says of the output before it, and after which event it is the next.
    ahead: Option<(u64, Option<crate::model::Marks>)>,
    /// The running command's text.
    source: Option<(CommandId, String)>,
}

/// The player.
pub(super) struct Player {
    recording: Recording,
    link: watch::Sender<Link>,
    wishes: Arc<Wishes>,
    clock: Micros,
    playing: bool,
    speed: Speed,
    shortens: bool,
    said: Option<String>,
    way: Option<Way>,
    /// Events to go on, or back, once the way is done.
    steps: i64,
    then: Then,
    summary: Summary,
    told: Option<Instant>,
}

impl Inspect for Player {
    fn state(&self) -> &State {
        self.recording.reel.state()
    }

    fn patterns(&self) -> &[OutputPattern] {
        &self.recording.label.patterns
    }

    fn summary(&self) -> Summary {
        let Recording { job, label, .. } = &self.recording;
        let source = self.then.source.as_ref().map_or("", |(_, source)| source);
        Summary {
            output: self.then.output,
            last_output: self.then.last_output,
            usage: self.then.usage,
            // Heartbeats are not recorded, so it cannot be said that there were none.
            last_word: Some(self.clock),
            ..summary_of(self.state(), job, label, self.clock, source)
        }
    }

    fn until(&self) -> Option<crate::model::Marks> {
        Some(self.then.output)
    }
}

impl Player {
    /// At the end of a recording, paused.
    pub(super) fn new(recording: Recording, link: watch::Sender<Link>, wishes: Arc<Wishes>) -> Self {
        let mut player = Self {
            clock: recording.extent.last,
            recording,
            link,
            wishes,
            playing: false,
            speed: Speed::default(),
            shortens: true,
            said: None,
            way: None,
            steps: 0,
            then: Then::default(),
            summary: Summary::default(),
            told: None,
        };
        player.settle();
        player
    }

    /// Runs until nobody can ask any more.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Message>, vanishing: Option<Vanishing>) {
        let mut frame = Instant::now();
        loop {
            if let Some(way) = self.way {
                if self.wishes.has_place() {
                    self.obey();
                } else {
                    self.go_on(way);
                }
                // Answers are on their way on this thread too.
                tokio::task::yield_now().await;
                frame = Instant::now();
                continue;
            }
            tokio::select! {
                biased;
                () = self.wishes.stirred() => {
                    frame = if self.playing { frame } else { Instant::now() };
                    self.obey();
                }
                message = inbox.recv() => match message {
                    Some(message) => self.answer(message),
                    None => return,
                },
                () = stirred(vanishing.as_ref()) => self.look_for_folder(),
                () = sleep_until(frame + FRAME), if self.playing => {
                    let now = Instant::now();
                    self.advance(now.duration_since(frame).into());
                    frame = now;
                }
            }
        }
    }

    fn answer(&self, message: Message) {
        match message {
            Message::Look(look) => look(self),
            // The asker may have gone.
            Message::Ask { answer, .. } => drop(answer.send(Err(refusal()))),
            Message::Clients(_) | Message::Signal(_) => {}
        }
    }

    fn look_for_folder(&mut self) {
        const GONE: &str = "has been removed while it is shown: what was not read before cannot be shown";
        let folder = &self.recording.folder;
        let gone = !folder.journal().exists() && !self.recording.notes.iter().any(|note| note.ends_with(GONE));
        if gone {
            self.recording.notes.insert(0, format!("{} {GONE}", folder.path().display()));
            self.publish();
        }
    }

    /// Does what was wished for.
    fn obey(&mut self) {
        let wished = self.wishes.take();
        self.said = None;
        self.speed = self.speed.faster(wished.faster);
        self.shortens ^= wished.shorten;
        let at_end = self.is_at_end();
        self.playing ^= wished.toggle;
        self.steps = if wished.goal.is_some() { wished.steps } else { self.steps.saturating_add(wished.steps) };
        self.playing &= wished.steps == 0;
        if let Some(goal) = wished.goal {
            self.way = self.way_to(goal);
        } else if wished.toggle && self.playing && at_end {
            self.way = self.way_to(Goal::Start);
        }
        self.arrive();
    }

    fn is_at_end(&self) -> bool {
        self.recording.reel.is_at_end() && self.clock >= self.recording.extent.last
    }

    fn way_to(&mut self, goal: Goal) -> Option<Way> {
        let Recording { reel, extent, .. } = &self.recording;
        let (at, line) = (reel.at(), reel.line());
        let started = |item| reel.state().item(item).and_then(|row| row.started);
        let (to, clock) = match goal {
            Goal::Start => (Ok(reel.start()), None),
            Goal::End => (Ok(reel.end()), Some(extent.last)),
            Goal::Event(seq) => (reel.journal().after(seq), None),
            Goal::Time(wall) => {
                let wall = wall.clamp(extent.first, extent.last);
                (reel.journal().after_time(wall), Some(wall))
            }
            Goal::Item(item) => match started(item) {
                Some(wall) => (reel.journal().after_time(wall), None),
                None => return Some(Way::Next { sought: Sought::Item(item), at, from: at }),
            },
            Goal::AnyItem(true) => return Some(Way::Next { sought: Sought::AnyItem, at, from: at }),
            Goal::AnyItem(false) => return Some(Way::Last { sought: Sought::AnyItem, before: line, from: line }),
            Goal::Exception(true) => return Some(Way::Next { sought: Sought::Exception, at, from: at }),
            Goal::Exception(false) => return Some(Way::Last { sought: Sought::Exception, before: line, from: line }),
        };
        match to {
            Ok(to) => Some(self.fold_to(to.max(self.recording.reel.start()), clock)),
            Err(error) => {
                self.said = Some(error.to_string());
                None
            }
        }
    }

    fn fold_to(&mut self, to: u64, clock: Option<Micros>) -> Way {
        self.recording.reel.prepare(to);
        Way::Fold { to, from: self.recording.reel.at(), clock }
    }

    /// A slice of the way.
    fn go_on(&mut self, way: Way) {
        let reel = &mut self.recording.reel;
        let (sought, part) = match way {
            Way::Fold { to, clock, .. } => {
                if reel.fold(to, SLICE) {
                    self.way = None;
                    self.clock = clock.unwrap_or_default().max(self.state().wall);
                }
                self.arrive();
                return;
            }
            Way::Next { sought, at, .. } => (sought, reel.next(sought, at, SLICE)),
            Way::Last { sought, before, .. } => (sought, reel.last(sought, before)),
        };
        self.way = match (part, way) {
            (Part::Found(to), _) => Some(self.fold_to(to, None)),
            (Part::From(at), Way::Next { sought, from, .. }) => Some(Way::Next { sought, at, from }),
            (Part::From(before), Way::Last { sought, from, .. }) => Some(Way::Last { sought, before, from }),
            (Part::From(_) | Part::None, _) => {
                let when = if matches!(way, Way::Next { .. }) { "later" } else { "earlier" };
                self.said = Some(match sought {
                    Sought::AnyItem => format!("no item is begun {when}"),
                    Sought::Item(_) => "this item was never begun".to_owned(),
                    Sought::Exception => format!("nothing is raised {when}"),
                });
                None
            }
        };
        self.arrive();
    }

    /// Goes on with what is still to be done; tells when nothing is left, or how far it is.
    fn arrive(&mut self) {
        if self.way.is_none() && self.steps != 0 {
            let steps = std::mem::take(&mut self.steps);
            match self.recording.reel.after_steps(steps) {
                Ok(to) => self.way = Some(self.fold_to(to, None)),
                Err(error) => self.said = Some(error.to_string()),
            }
        }
        if self.way.is_none() {
            self.settle();
        } else if self.told.is_none_or(|told| told.elapsed() >= FRAME) {
            self.publish();
        }
    }

    /// Time goes on by itself.
    fn advance(&mut self, real: Micros) {
        let before = (self.state().seq, self.then.output);
        self.clock = Micros(self.clock.0.saturating_add(self.speed.of(real).0)).min(self.recording.extent.last);
        let idle = self.then.next.map(|next| next.since(self.clock));
        let left_out = idle.filter(|idle| self.shortens && *idle > self.speed.of(IDLE.0));
        if let Some(idle) = left_out {
            let left_out = idle.since(self.speed.of(IDLE.1));
            self.clock = Micros(self.clock.0 + left_out.0);
            self.said = Some(format!("{} s without anything left out", left_out.0 / 1_000_000));
        }
        let clock = self.clock;
        if !self.recording.reel.fold_while(SLICE, |recorded| recorded.event.wall <= clock) {
            // More happened than can be shown at this speed.
            self.clock = self.state().wall.min(clock);
        }
        self.playing = !self.is_at_end();
        self.settle();
        if left_out.is_none() && before != (self.state().seq, self.then.output) && self.said.take().is_some() {
            self.publish();
        }
    }

    /// Learns what is beside the fold, and tells.
    fn settle(&mut self) {
        let Recording { reel, output, extent, whole, .. } = &self.recording;
        let next_event = reel.events(reel.at()).next().map(|recorded| recorded.event.wall);
        if self.is_at_end() {
            let last_output = output.heard(extent.last).and_then(|heard| heard.last);
            self.then = Then { output: *whole, last_output, ..std::mem::take(&mut self.then) };
            self.then.next = None;
        } else {
            let heard = output.heard(self.clock);
            let marks = self.reached(heard.as_ref());
            let next_output = heard.and_then(|heard| heard.next);
            self.then.output = marks;
            self.then.last_output = heard.and_then(|heard| heard.last);
            self.then.next = [next_event, next_output].into_iter().flatten().min();
        }
        self.then.usage = self.recording.usage.at(self.clock);
        self.read_source();
        self.summary = self.summary();
        self.publish();
    }

    /// How far the output had come: what the clock says, but neither less than the events before it tell nor more than the
    /// events after it do.
    fn reached(&mut self, heard: Option<&Heard>) -> crate::model::Marks {
        let at = self.recording.reel.at();
        if self.then.ahead.is_none_or(|(known, _)| known != at) {
            self.then.ahead = Some((at, self.look_ahead()));
        }
        let least = self.state().reached;
        let most = self.then.ahead.and_then(|(_, ahead)| ahead).unwrap_or(self.recording.whole);
        let marks = heard.map_or(least, |heard| heard.marks);
        crate::model::Marks {
            stdout: marks.stdout.min(most.stdout).max(least.stdout),
            stderr: marks.stderr.min(most.stderr).max(least.stderr),
        }
    }

    fn look_ahead(&self) -> Option<crate::model::Marks> {
        let reel = &self.recording.reel;
        reel.events(reel.at()).take(AHEAD).find_map(|recorded| match recorded.event.kind {
            EventKind::CommandSent { from, .. } => Some(from),
            // One that was never sent says nothing.
            EventKind::CommandEnded { id, to, .. } if reel.state().running.is_some_and(|now| now.id == id) => Some(to),
            _ => None,
        })
    }

    fn read_source(&mut self) {
        let reel = &self.recording.reel;
        let Some(running) = reel.state().running.map(|running| running.id) else {
            self.then.source = None;
            return;
        };
        if self.then.source.as_ref().is_some_and(|(known, _)| *known == running) {
            return;
        }
        let queued = reel.state().command(running).and_then(|row| reel.journal().at(row.queued_at).ok());
        let source = match queued.map(|event| event.kind) {
            Some(EventKind::CommandQueued { source, .. }) => source,
            _ => String::new(),
        };
        self.then.source = Some((running, source));
    }

    fn publish(&mut self) {
        self.told = Some(Instant::now());
        let seeking = self.way.map(|way| percent(way, &self.recording.reel));
        self.link.send_replace(Link::Recorded(Box::new(Playback {
            summary: self.summary.clone(),
            extent: self.recording.extent,
            playing: self.playing,
            speed: self.speed,
            shortens: self.shortens,
            said: self.said.clone(),
            seeking,
            marks: Arc::clone(&self.recording.marks),
            notes: self.recording.notes.clone().into(),
        })));
    }
}

fn percent(way: Way, reel: &Reel) -> u8 {
    let (done, all) = match way {
        Way::Fold { to, from, .. } => (reel.at().saturating_sub(from), to.saturating_sub(from)),
        Way::Next { at, from, .. } => (at.saturating_sub(from), reel.end().saturating_sub(from)),
        Way::Last { before, from, .. } => (from.saturating_sub(before), from),
    };
    u8::try_from(u128::from(done) * 100 / u128::from(all.max(1))).unwrap_or(100).min(99)
}

/// Why nothing can be done to a recording.
pub(super) fn refusal() -> Refusal {
    Refusal {
        kind: RefusalKind::NotAllowed,
        message: "this is a recording: it can be looked at, and nothing can be changed in it".to_owned(),
    }
}

async fn stirred(vanishing: Option<&Vanishing>) {
    // A watch that fails tells nothing any more.
    let told = match vanishing {
        Some(vanishing) => vanishing.stirred().await.is_ok(),
        None => false,
    };
    if !told {
        std::future::pending::<()>().await;
    }
}
