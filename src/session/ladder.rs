//! The ladder out: how a command that does not end is got out of, and how a child is ended; mildest first.
//!
//! What must stay true: there is one ladder, whoever put the child on it. A rung that is not safe for this child is
//! skipped, and said so; each rung has its time; after each it is said whether the loaded scene survived. No rung that
//! costs the child is tried unless whoever asked allowed it. Where the child must go, the last rung is SIGKILL.

use super::Actor;
use super::clocks::after;
use super::requests::{Reply, invalid, not_now};
use super::world::{Now, World};
use crate::dispatcher::{ChannelError, ToChild, qube};
use crate::model::proto::Response;
use crate::model::{
    ChildState, CommandId, EventKind, Exit, Hello, LadderView, Micros, Origin, Rung, RungOutcome, RungView, Scene,
    WaitFor,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// The rungs of a stop, and of an item that an operator kills: these want speed.
pub(super) const FAST: &[Rung] = &[Rung::Interrupt, Rung::Terminate, Rung::Kill];
/// The rungs that leave the child alive.
pub(super) const SPARING: &[Rung] = &[Rung::Interrupt, Rung::Async, Rung::Cancel];
/// The rungs that end the child.
const ENDING: &[Rung] = &[Rung::Terminate, Rung::Kill];

/// How long after a refusal the command's end is waited for, before a rung costs the child: that it has just ended is
/// the commonest reason to refuse.
const JUST_ENDED: Duration = Duration::from_secs(1);
/// How long the host's own cancel has at least. The host may end first what it is in: Cycles was seen to take 38 s for
/// a batch of samples.
const CANCEL_TIME: Duration = Duration::from_mins(1);
/// How often a process is killed before it counts as one that cannot be.
const KILLS: u8 = 3;

/// Where the child stands on the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// Nothing was tried yet.
    Bottom,
    /// It was asked to end, or closed the channel by itself.
    Leave,
    /// On this rung.
    On(Rung),
}

impl Stand {
    /// The hardest rung that is behind it.
    fn passed(self) -> Option<Rung> {
        match self {
            Self::Bottom => None,
            Self::Leave => Some(Rung::Cancel),
            Self::On(rung) => Some(rung),
        }
    }
}

/// What is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// This command; the child need not.
    Command(CommandId),
    /// The child.
    Child,
}

/// What follows the end of the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Then {
    /// What the job says of a child that was lost, unless the child was asked to end.
    #[default]
    AsJobSays,
    /// Another child.
    Another,
    /// The session's end.
    End,
}

/// The way from asking to forcing; each rung waits its time.
#[derive(Debug)]
pub(super) struct Ladder {
    stand: Stand,
    since: Now,
    until: Micros,
    /// Rungs that are still to be tried.
    left: BTreeSet<Rung>,
    goal: Goal,
    then: Then,
    reason: String,
    by: Option<Origin>,
    /// Whether the child has refused the rung that it is on.
    refused: bool,
    /// What was last said against a rung.
    objection: String,
    /// How often it was killed.
    kills: u8,
    /// Those who wait for a rung to be under way. Bounded by the calls that clients may have open.
    replies: Vec<Reply>,
}

impl Ladder {
    fn new(goal: Goal, reason: &str, now: Now) -> Self {
        Self {
            stand: Stand::Bottom,
            since: now,
            until: now.mono,
            left: BTreeSet::new(),
            goal,
            then: Then::AsJobSays,
            reason: reason.to_owned(),
            by: None,
            refused: false,
            objection: String::new(),
            kills: 0,
            replies: Vec::new(),
        }
    }

    /// What is waited for, since when and until when.
    pub(super) fn wait(&self) -> (WaitFor, Now, Micros) {
        let what = match self.stand {
            Stand::On(rung) => WaitFor::Rung(rung),
            Stand::Leave | Stand::Bottom => WaitFor::KillGrace,
        };
        (what, self.since, self.until)
    }

    /// What follows the child's end.
    pub(super) fn then(&self) -> Then {
        self.then
    }

    /// Who asked for it; `None` for the engine itself.
    pub(super) fn by(&self) -> Option<&Origin> {
        self.by.as_ref()
    }

    fn on(&self, rung: Rung, command: CommandId) -> bool {
        self.stand == Stand::On(rung) && self.goal == Goal::Command(command)
    }

    /// Whether it is on a rung that costs the child.
    pub(super) fn costs_the_child(&self) -> bool {
        matches!(self.stand, Stand::On(rung) if rung.costs_the_child())
    }

    fn answer(&mut self, answer: &super::Answer) {
        for reply in self.replies.drain(..) {
            // Whoever asked may have gone.
            let _ = reply.send(answer.clone());
        }
    }
}

impl<W: World> Actor<W> {
    // ---- what people ask ----------------------------------------------------------------------------------------

    /// An operator wants the running command ended, by these rungs. On the ladder already, it goes on to the first of
    /// them at once if that is harder than the present one.
    pub(super) fn interrupt(
        &mut self,
        by: Origin,
        command: Option<CommandId>,
        (from, to): (Rung, Rung),
        restart: bool,
        reply: Reply,
    ) {
        let refusal = match self.current {
            _ if from > to => Some(invalid(&format!("the rung {} comes after {}", from.word(), to.word()))),
            None => Some(not_now("no command is running")),
            Some(running) if command.is_some_and(|wanted| wanted != running.id) => Some(not_now(&format!(
                "command {} is not running; command {} is",
                command.unwrap_or_default(),
                running.id
            ))),
            Some(running) => {
                let reason = format!("{} asked to end command {}", by.user, running.id);
                let then = match (restart, to.costs_the_child()) {
                    (true, _) => Then::Another,
                    (false, true) => Then::End,
                    (false, false) => Then::AsJobSays,
                };
                let rungs: Vec<Rung> = Rung::ALL.into_iter().filter(|rung| (from..=to).contains(rung)).collect();
                let on_it = self.ladder.is_some();
                let ladder = self.ladder_to(Goal::Command(running.id), &reason);
                ladder.replies.push(reply);
                ladder.by = Some(by);
                ladder.left.extend(&rungs);
                if then != Then::AsJobSays && ladder.then != Then::Another {
                    ladder.then = then;
                }
                if !self.go_on(from, on_it) {
                    self.tell_where_it_stands();
                }
                return;
            }
        };
        if let Some(refusal) = refusal {
            // Whoever asked may have gone.
            let _ = reply.send(Err(refusal));
        }
    }

    /// Every rung, as it stands for this child.
    pub(super) fn rungs(&self) -> Vec<RungView> {
        Rung::ALL.into_iter().map(|rung| RungView { rung, skipped: self.why_skipped(rung) }).collect()
    }

    /// The ladder, while somebody is on it.
    pub(super) fn ladder_view(&self) -> Option<LadderView> {
        let ladder = self.ladder.as_ref()?;
        let Stand::On(rung) = ladder.stand else { return None };
        let wall = |mono: Micros| Micros(ladder.since.wall.0 + mono.since(ladder.since.mono).0);
        let to = ladder.left.last().copied().unwrap_or(rung);
        Some(LadderView { rung, to, since: ladder.since.wall, until: wall(ladder.until) })
    }

    // ---- what the engine wants ----------------------------------------------------------------------------------

    /// Has the running command ended by these rungs, and no others.
    pub(super) fn end_command(&mut self, reason: &str, rungs: &[Rung]) {
        let Some(running) = self.current else { return };
        self.want(Goal::Command(running.id), reason, rungs);
    }

    /// Has the child ended by signals.
    pub(super) fn end_child(&mut self, reason: &str, then: Then) {
        self.want(Goal::Child, reason, ENDING);
        self.then_do(then);
    }

    /// The child was asked to end, or closed the channel by itself: it has its time to do so, before it is made to.
    pub(super) fn expect_end(&mut self, reason: &str) {
        if !self.alive {
            return;
        }
        self.wake();
        let now = self.world.now();
        let until = after(now, self.limits().kill_grace);
        if let Some(Ladder { stand: Stand::On(rung), refused: false, .. }) = self.ladder
            && !rung.costs_the_child()
        {
            self.rung_ended(rung, RungOutcome::InVain, String::new());
        }
        let ladder = self.ladder_to(Goal::Child, reason);
        ladder.goal = Goal::Child;
        let passed = ladder.stand.passed();
        ladder.left = ENDING.iter().copied().filter(|rung| Some(*rung) > passed).collect();
        if ladder.costs_the_child() || ladder.stand == Stand::Leave {
            return;
        }
        (ladder.stand, ladder.since, ladder.until) = (Stand::Leave, now, until);
        ladder.refused = false;
    }

    /// What is to follow the end of a child that is on the ladder.
    pub(super) fn then_do(&mut self, then: Then) {
        if let Some(ladder) = &mut self.ladder {
            ladder.then = then;
        }
    }

    fn want(&mut self, goal: Goal, reason: &str, rungs: &[Rung]) {
        let Some(&first) = rungs.first() else { return };
        if !self.alive {
            return;
        }
        let on_it = self.ladder.is_some();
        let ladder = self.ladder_to(goal, reason);
        reason.clone_into(&mut ladder.reason);
        ladder.by = None;
        ladder.left = rungs.iter().copied().collect();
        if goal == Goal::Child {
            ladder.goal = goal;
        }
        self.go_on(first, on_it);
    }

    /// The ladder that the child is on, or a new one.
    fn ladder_to(&mut self, goal: Goal, reason: &str) -> &mut Ladder {
        let now = self.world.now();
        self.ladder.get_or_insert_with(|| Ladder::new(goal, reason, now))
    }

    // ---- climbing -----------------------------------------------------------------------------------------------

    /// Begins to climb, or goes on at once if the first rung that is wanted is harder than the present one; `false` when
    /// the present one has to pass first.
    fn go_on(&mut self, first: Rung, on_it: bool) -> bool {
        let Some(ladder) = &mut self.ladder else { return true };
        let passed = ladder.stand.passed();
        ladder.left.retain(|rung| Some(*rung) > passed);
        if on_it && Some(first) <= passed {
            return false;
        }
        if on_it {
            ladder.left.retain(|rung| *rung >= first);
            if let (Stand::On(rung), false) = (ladder.stand, ladder.refused) {
                self.rung_ended(rung, RungOutcome::InVain, String::new());
            }
        }
        self.climb();
        true
    }

    /// The rung that was asked for is behind already; what follows the present one may be more than before.
    fn tell_where_it_stands(&mut self) {
        let Some(ladder) = &mut self.ladder else { return };
        let on = ladder.stand.passed().map_or("the way out", Rung::word);
        let more =
            ladder.left.last().map_or_else(String::new, |to| format!("; if need be it goes on to {}", to.word()));
        ladder.answer(&Ok(Response::Done { said: format!("{on} is under way already{more}") }));
    }

    /// Tries the next rung that can be tried; without one the ladder ends here.
    fn climb(&mut self) {
        self.lives_without_channel();
        while let Some(rung) = self.ladder.as_mut().and_then(|ladder| ladder.left.pop_first()) {
            if let Some(reason) = self.why_skipped(rung) {
                self.rung_ended(rung, RungOutcome::Skipped, reason);
                continue;
            }
            match self.try_rung(rung) {
                Ok(()) => return,
                Err(reason) => self.rung_ended(rung, RungOutcome::Refused, reason),
            }
        }
        self.ladder_in_vain();
    }

    fn try_rung(&mut self, rung: Rung) -> Result<(), String> {
        self.wake();
        let since = self.world.now();
        let grace = self.limits().kill_grace;
        let until = after(since, if rung == Rung::Cancel { grace.max(CANCEL_TIME) } else { grace });
        let Some(ladder) = &mut self.ladder else { return Ok(()) };
        (ladder.stand, ladder.since, ladder.until) = (Stand::On(rung), since, until);
        ladder.refused = false;
        let (reason, by) = (ladder.reason.clone(), ladder.by.clone());
        match rung {
            Rung::Interrupt | Rung::Async | Rung::Cancel => {
                let Some(running) = self.current else { return Err("no command runs".into()) };
                if rung == Rung::Cancel {
                    self.cancelled = Some(format!("cancelled, because {reason}"));
                }
                self.tried.push(rung);
                self.fact(EventKind::InterruptRequested { id: running.id, by, rung });
                self.ask_to_end(running.id, rung)
            }
            Rung::Terminate => {
                self.fact(EventKind::ChildSignalled { signal: libc::SIGTERM, reason });
                self.tried.push(rung);
                self.world.signal(libc::SIGTERM)?;
                self.told_ladder("SIGTERM was sent to the child's processes");
                Ok(())
            }
            Rung::Kill => {
                self.tried.push(rung);
                self.kill(reason);
                self.told_ladder("the child and all of its processes are killed");
                Ok(())
            }
        }
    }

    fn ask_to_end(&mut self, command: CommandId, rung: Rung) -> Result<(), String> {
        let id = self.desk.ask_to_end(command, rung, self.world.now());
        let source = self.label.manners.cancel.as_deref().unwrap_or_default();
        let frame = match rung {
            Rung::Async => ToChild::Raise { id, command },
            Rung::Cancel => ToChild::Cancel { id, command, source },
            _ => ToChild::Interrupt { id, command },
        };
        let sent = self.world.send(&frame);
        sent.map_err(|error| {
            self.desk.forget(id);
            error.to_string()
        })
    }

    fn kill(&mut self, reason: String) {
        self.fact(EventKind::ChildSignalled { signal: libc::SIGKILL, reason });
        self.world.kill_everything();
        if let Some(ladder) = &mut self.ladder {
            ladder.kills += 1;
        }
    }

    /// The time of the present rung has passed.
    pub(super) fn rung_overdue(&mut self) {
        let grace = self.limits().kill_grace;
        let until = after(self.world.now(), grace);
        let Some(ladder) = &mut self.ladder else { return };
        match ladder.stand {
            Stand::On(Rung::Kill) if ladder.kills < KILLS => {
                ladder.until = until;
                let reason = ladder.reason.clone();
                self.kill(reason);
            }
            // A process in an uninterruptible wait cannot be killed; the session must not hang on it.
            Stand::On(Rung::Kill) => self.child_exited(Exit::Unknown),
            Stand::On(rung) => {
                let (refused, goal) = (ladder.refused, ladder.goal);
                let over = matches!(goal, Goal::Command(id) if !self.is_running(id));
                if over {
                    // SIGTERM ended the command, as a handler of the user's may have it, and not the child.
                    self.rung_ended(rung, RungOutcome::Worked, String::new());
                    return self.leave_ladder(&Ok(Response::Done { said: "the command has ended".into() }));
                }
                if let Goal::Command(command) = goal
                    && self.desk.awaits_answer(command, rung)
                {
                    self.rung_unanswered(command, rung);
                }
                if !refused {
                    self.rung_ended(rung, RungOutcome::InVain, String::new());
                }
                self.climb();
            }
            Stand::Leave | Stand::Bottom => self.climb(),
        }
    }

    /// What the child said to one of the first three rungs.
    pub(super) fn rung_answered(&mut self, command: CommandId, rung: Rung, ok: bool, reason: &str) {
        self.fact(EventKind::InterruptAnswered { id: command, ok, reason: reason.to_owned() });
        let now = self.world.now();
        let settled = after(now, JUST_ENDED.min(self.limits().kill_grace));
        let Some(ladder) = self.ladder.as_mut().filter(|ladder| ladder.on(rung, command)) else { return };
        if ok {
            return self.told_ladder(said(rung));
        }
        ladder.refused = true;
        ladder.until = settled;
        // A cancel that failed or hangs may have done its work all the same.
        if rung == Rung::Cancel && reason == had_ended(command) {
            self.cancelled = None;
        }
        self.rung_ended(rung, RungOutcome::Refused, reason.to_owned());
        let left = self.ladder.iter().flat_map(|ladder| &ladder.left).copied();
        let next = left.into_iter().find(|rung| self.why_skipped(*rung).is_none());
        if !next.is_some_and(Rung::costs_the_child) {
            self.climb();
        }
    }

    /// The child has not said anything to one of the first three rungs for long.
    pub(super) fn rung_unanswered(&mut self, command: CommandId, rung: Rung) {
        let Some(ladder) = self.ladder.as_mut().filter(|ladder| ladder.on(rung, command)) else { return };
        let said = "the child has not answered: something in it keeps Python from running";
        let answer = match ladder.left.first() {
            Some(next) => Ok(Response::Done { said: format!("{said}; {} is tried next", next.word()) }),
            None => Err(not_now(said)),
        };
        ladder.answer(&answer);
    }

    // ---- the ladder's end ---------------------------------------------------------------------------------------

    /// A command has ended: the rungs that were to end it did so.
    pub(super) fn ladder_saw_the_end_of(&mut self, command: CommandId) {
        let Some(ladder) = self.ladder.as_ref().filter(|ladder| ladder.goal == Goal::Command(command)) else { return };
        let Stand::On(rung) = ladder.stand else { return };
        // A child that got SIGTERM may yet end: nothing new is begun in it until its time is over.
        if rung.costs_the_child() {
            return;
        }
        if !ladder.refused {
            self.rung_ended(rung, RungOutcome::Worked, String::new());
        }
        self.leave_ladder(&Ok(Response::Done { said: format!("command {command} has ended") }));
    }

    /// The child is gone, and with it whoever was on the ladder: what is to be recorded of that, and what follows.
    pub(super) fn ladder_saw_the_exit(&mut self, exit: Exit) -> (Option<EventKind>, Option<Ladder>) {
        let Some(mut ladder) = self.ladder.take() else { return (None, None) };
        ladder.answer(&Ok(Response::Done { said: format!("the child has ended: {exit}") }));
        let id = match ladder.goal {
            Goal::Command(id) => Some(id),
            Goal::Child => self.current.map(|running| running.id),
        };
        let result = if exit == Exit::Unknown { RungOutcome::InVain } else { RungOutcome::Worked };
        let ended = match ladder.stand {
            Stand::On(rung) if !ladder.refused => {
                Some(EventKind::RungEnded { id, rung, result, scene: Scene::Lost, reason: String::new() })
            }
            _ => None,
        };
        (ended, Some(ladder))
    }

    fn ladder_in_vain(&mut self) {
        let Some(ladder) = &self.ladder else { return };
        let objection = match ladder.objection.as_str() {
            "" => "nothing harder was to be tried".to_owned(),
            objection => objection.to_owned(),
        };
        let under_way = ladder.stand != Stand::Bottom;
        if let Some(running) = self.current.filter(|_| under_way) {
            self.note(&format!("command {} still runs: {objection}", running.id));
        }
        self.leave_ladder(&Err(not_now(&objection)));
    }

    fn leave_ladder(&mut self, answer: &super::Answer) {
        if let Some(mut ladder) = self.ladder.take() {
            ladder.answer(answer);
        }
    }

    /// A rung is under way: whoever waits for that is told.
    fn told_ladder(&mut self, said: &str) {
        if let Some(ladder) = &mut self.ladder {
            ladder.answer(&Ok(Response::Done { said: said.to_owned() }));
        }
    }

    fn rung_ended(&mut self, rung: Rung, result: RungOutcome, reason: String) {
        let Some(ladder) = &mut self.ladder else { return };
        if !reason.is_empty() {
            ladder.objection.clone_from(&reason);
        }
        let id = match ladder.goal {
            Goal::Command(id) => Some(id),
            Goal::Child => self.current.map(|running| running.id),
        };
        let scene = if self.alive { Scene::Survived } else { Scene::Lost };
        self.fact(EventKind::RungEnded { id, rung, result, scene, reason });
    }

    /// Why a rung would be skipped for this child. SIGKILL needs no backend's consent: when all else was in vain,
    /// nothing but it is left.
    pub(super) fn why_skipped(&self, rung: Rung) -> Option<String> {
        if !self.alive {
            return Some("no child runs".into());
        }
        let knows = |feature: &str| self.hello().is_some_and(|hello| hello.features.iter().any(|has| has == feature));
        if !rung.costs_the_child() && knows(qube::FEATURE) {
            return Some(ChannelError::NotPossible.to_string());
        }
        if rung != Rung::Kill && !self.label.manners.rungs.contains(&rung) {
            return Some(format!("the backend {} does not call {} safe", self.job.backend, rung.word()));
        }
        if rung.costs_the_child() {
            return None;
        }
        let Some(hello) = self.hello() else { return Some("no child is connected".into()) };
        let can = |feature: &str| hello.features.iter().any(|has| has == feature);
        match rung {
            Rung::Interrupt if !hello.signals.contains_key("SIGINT") => {
                Some("this child has no handler for SIGINT: the signal could kill it".into())
            }
            Rung::Async if !can("raise") => Some("no exception can be raised in this child from outside".into()),
            Rung::Cancel if self.label.manners.cancel.is_none() => {
                Some(format!("the backend {} knows no way in which the host cancels", self.job.backend))
            }
            Rung::Cancel if !can("cancel") => Some("this child cannot run the host's cancel while it is busy".into()),
            _ => None,
        }
    }

    /// The first of these rungs that would be tried.
    pub(super) fn first_safe(&self, rungs: &[Rung]) -> Option<Rung> {
        rungs.iter().copied().find(|rung| self.why_skipped(*rung).is_none())
    }

    /// What the child said of itself, while it is connected.
    pub(super) fn hello(&self) -> Option<&Hello> {
        match &self.state.child {
            ChildState::Connected { hello, .. } => Some(hello),
            _ => None,
        }
    }
}

/// What the bootstrapper says when a command that is to be ended has just ended by itself.
fn had_ended(command: CommandId) -> String {
    format!("command {command} is not running")
}

/// What a rung that is under way does.
fn said(rung: Rung) -> &'static str {
    match rung {
        Rung::Interrupt => "the command is interrupted",
        Rung::Async => "an exception is raised in the command",
        Rung::Cancel => "the host cancels what it does",
        Rung::Terminate => "the child is terminated",
        Rung::Kill => "the child is killed",
    }
}
