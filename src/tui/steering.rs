//! Steering as the window knows it: pulses tell what is, so what was before is remembered here; and the alerts that tell
//! of it.
//!
//! What must stay true: nothing here is needed to steer, a window that has just been opened can do all that others can.

use super::model::{Alert, Kind, Model};
use super::{text, time};
use crate::model::diagnosis::{Confidence, Trigger};
use crate::model::proto::Summary;
use crate::model::state::Hold;
use crate::model::{
    Breakpoint, ChildState, CommandId, DiagnosisHead, HoldReason, Micros, Phase, Rung, RungView, WaitFor,
};

/// Cells that a name or a pattern of somebody else's takes at most in a row of alerts.
const SHOWN: usize = 60;
/// How long a diagnosis is believed to tell what the child does now.
const FRESH: Micros = Micros(60_000_000);
/// Cells before an alert.
const LEAD: usize = 3;

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Steering {
    /// Rungs that this command did not end by while somebody was on the ladder.
    in_vain: Option<(CommandId, Vec<Rung>)>,
    /// Wall time of the last diagnosis, if a time-out made it and nobody has looked at it here.
    unread: Option<Micros>,
    /// Wall time at which a paused child was last seen to go on.
    continued: Option<Micros>,
}

impl Steering {
    /// A pulse came; what is to be said of it.
    pub(super) fn learn(&mut self, before: Option<&Summary>, now: &Summary) -> Option<String> {
        self.learn_diagnosis(before, now);
        if now.paused.is_none() && before.is_some_and(|before| before.paused.is_some()) {
            self.continued = Some(now.now);
        }
        let before = before.filter(|before| before.seq <= now.seq);
        self.learn_rungs(before, now);
        before.and_then(|before| became(before, now))
    }

    fn learn_rungs(&mut self, before: Option<&Summary>, now: &Summary) {
        let id = now.running.as_ref().map(|running| running.id);
        let same = before.and_then(|before| before.running.as_ref()).map(|running| running.id) == id;
        let (Some(id), Some(before), true) = (id, before, same) else {
            self.in_vain = None;
            return;
        };
        let rung = |summary: &Summary| summary.ladder.as_ref().map(|ladder| ladder.rung);
        let Some(left) = rung(before).filter(|left| Some(*left) != rung(now)) else { return };
        let (_, rungs) = self.in_vain.get_or_insert_with(|| (id, Vec::new()));
        if !rungs.contains(&left) {
            rungs.push(left);
        }
    }

    fn learn_diagnosis(&mut self, before: Option<&Summary>, now: &Summary) {
        let made = |summary: &Summary| summary.diagnosed.as_ref().map(|head| head.wall);
        if self.unread != made(now) {
            self.unread = None;
        }
        let Some(head) = &now.diagnosed else { return };
        let runs = now.running.as_ref().map(|running| running.id);
        let news = match before {
            Some(before) => made(before) != Some(head.wall),
            // What was found out before this window was opened, about something that still goes on.
            None => runs.is_some() && runs == head.command,
        };
        if news && matches!(head.trigger, Trigger::TimedOut(_)) {
            self.unread = Some(head.wall);
        }
    }

    /// The last diagnosis is looked at.
    pub(super) fn looked(&mut self) {
        self.unread = None;
    }

    /// Whether a time-out has passed, and nobody has looked here at what was found out then.
    pub(super) fn is_unread(&self) -> bool {
        self.unread.is_some()
    }

    /// Whether the running command did not end by this rung.
    pub(super) fn was_in_vain(&self, rung: Rung) -> bool {
        self.in_vain.as_ref().is_some_and(|(_, rungs)| rungs.contains(&rung))
    }
}

/// What became of the ladder that somebody was on.
fn became(before: &Summary, now: &Summary) -> Option<String> {
    // How the session ended is told by itself.
    before.ladder.as_ref().filter(|_| now.ladder.is_none() && now.ended.is_none())?;
    let id = before.running.as_ref()?.id;
    if now.running.as_ref().is_some_and(|running| running.id == id) {
        return Some(format!("command {id} still runs; I shows what else can be tried"));
    }
    let generation = |summary: &Summary| match summary.child {
        ChildState::Connected { generation, .. } => Some(generation),
        ChildState::None | ChildState::Starting { .. } | ChildState::Exited { .. } => None,
    };
    let same = generation(now).is_some() && generation(before) == generation(now);
    let scene = if same { "what is loaded stays" } else { "what was loaded is lost" };
    Some(format!("command {id} has ended: {scene}"))
}

/// Where the agenda stops by itself, for its border.
pub(super) fn stops(model: &Model) -> Vec<String> {
    let Some(summary) = &model.summary else { return Vec::new() };
    let many = summary.stops.breakpoints.len();
    let breakpoints = (many > 0).then(|| format!("● {many}"));
    breakpoints.into_iter().chain(summary.stops.on_failure.then(|| "holds on failure".into())).collect()
}

/// What a last diagnosis says of the command that still runs, in a word, as long as that may still be so.
pub(super) fn verdict(model: &Model, summary: &Summary) -> Option<String> {
    let running = summary.running.as_ref()?;
    let head = summary.diagnosed.as_ref().filter(|head| head.command == Some(running.id))?;
    if model.engine_now().since(head.wall) >= FRESH || model.steering.continued.is_some_and(|at| head.wall <= at) {
        return None;
    }
    let doubt = if head.confidence == Confidence::Sure { "" } else { "?" };
    Some(format!("{}{doubt}", text::one_line(&head.doing)))
}

/// What steering has to say, the most important first.
pub(super) fn alerts(model: &Model, summary: &Summary) -> Vec<Alert> {
    let mut alerts = Vec::new();
    if let Some(pause) = &summary.paused {
        let by = pause.by.as_ref().map_or_else(|| "somebody".into(), |by| text::one_line(&by.user));
        let since = time::clock(pause.since, &model.zone);
        let said = with_keys(model, format!("paused by {by} since {since}"), "Z continues");
        alerts.push(Alert { said, kind: Kind::Loud });
    }
    if let Some(said) = ladder(model, summary) {
        alerts.push(Alert { said: with_keys(model, said, "I shows the way out"), kind: Kind::Warn });
    }
    if let Some(head) = summary.diagnosed.as_ref().filter(|head| model.steering.unread == Some(head.wall)) {
        alerts.push(Alert { said: timed_out(model, head), kind: Kind::Warn });
    }
    if let Some(hold) = &summary.held {
        let said = if steps(summary, hold) {
            with_keys(model, "stepping: held again afterwards".into(), "space goes on")
        } else {
            held(model, hold)
        };
        alerts.push(Alert { said, kind: Kind::Warn });
    }
    alerts
}

fn timed_out(model: &Model, head: &DiagnosisHead) -> String {
    let what = match head.trigger {
        Trigger::TimedOut(WaitFor::Silence) => "silence time-out",
        Trigger::TimedOut(WaitFor::Command) => "command time-out",
        Trigger::TimedOut(WaitFor::Item) => "item time-out",
        Trigger::TimedOut(WaitFor::Startup) => "start-up time-out",
        Trigger::TimedOut(WaitFor::Teardown) => "teardown time-out",
        Trigger::TimedOut(_) | Trigger::Asked => "time-out",
    };
    // The key must not be what is cut.
    let room = usize::from(model.size.width).saturating_sub(what.len() + 21).max(SHOWN / 3);
    format!("{what}: {} · w shows why", text::fit(&text::one_line(&head.sentence), room))
}

/// The rung that is being waited for, and its clock.
pub(super) fn ladder(model: &Model, summary: &Summary) -> Option<String> {
    let ladder = summary.ladder.as_ref()?;
    let waited = text::elapsed(model.engine_now().since(ladder.since));
    let bound = text::elapsed(ladder.until.since(ladder.since));
    let skipped = |rung: Rung| summary.rungs.iter().any(|view| view.rung == rung && view.skipped.is_some());
    let next = Rung::ALL.into_iter().find(|rung| (ladder.rung < *rung && *rung <= ladder.to) && !skipped(*rung));
    let then = next.map_or("then nothing more", Rung::word);
    let then = if next.is_some() { format!("then {then}") } else { then.to_owned() };
    Some(format!("{}: {waited} of {bound}, {then}", ladder.rung.word()))
}

/// Whether what runs was let go on by a step: a hold that somebody asked for lets what runs already come to its end.
fn steps(summary: &Summary, hold: &Hold) -> bool {
    let Some(running) = summary.running.as_ref().filter(|running| running.phase == Phase::Item) else { return false };
    let begun =
        if hold.commands { Some(running.since) } else { summary.item.as_ref().and_then(|item| item.row.started) };
    hold.why != HoldReason::Asked || begun.is_some_and(|begun| begun > hold.since)
}

fn held(model: &Model, hold: &Hold) -> String {
    let (said, keys) = match &hold.why {
        HoldReason::Asked => {
            let by = hold.by.as_ref().map_or_else(|| "the job".into(), |by| text::one_line(&by.user));
            let since = time::clock(hold.since, &model.zone);
            if hold.commands {
                (format!("held before the next command by {by} since {since}"), ". steps, space goes on")
            } else {
                (format!("held by {by} since {since}"), "space releases")
            }
        }
        HoldReason::Failure(item) => {
            (format!("held: {} failed", model.item_name(*item)), "X tries it again, e edits it, space goes on")
        }
        HoldReason::Breakpoint(breakpoint) => (format!("held before {}", before(breakpoint)), ". steps, space goes on"),
        HoldReason::Stepped => ("held after a step".into(), ". steps, > ends the item, space goes on"),
    };
    with_keys(model, said, keys)
}

/// The keys only where they do something; where there is too little room, it is not they that are cut.
fn with_keys(model: &Model, said: String, keys: &str) -> String {
    if model.only_looks().is_some() {
        return said;
    }
    let room = usize::from(model.size.width).saturating_sub(LEAD + text::width(" · ") + text::width(keys));
    format!("{} · {keys}", text::fit(&said, room.max(SHOWN / 3)))
}

/// What a breakpoint stands before.
pub(super) fn before(breakpoint: &Breakpoint) -> String {
    match breakpoint {
        Breakpoint::Item(name) => format!("item {}", text::fit(&text::one_line(name), SHOWN)),
        Breakpoint::Command(pattern) => format!("a command with /{}/", text::fit(&text::one_line(pattern), SHOWN)),
    }
}

/// A breakpoint before whatever has this text's first line.
pub(super) fn breakpoint_before(head: &str) -> Breakpoint {
    Breakpoint::Command(regex::escape(head.lines().next().unwrap_or_default()))
}

// ---- the ladder -------------------------------------------------------------------------------------------------------

/// The rungs, mildest first; all of them where the engine does not tell.
pub(super) fn rungs(model: &Model) -> Vec<RungView> {
    let told = model.summary.as_ref().map(|summary| summary.rungs.clone()).unwrap_or_default();
    if told.is_empty() { Rung::ALL.map(|rung| RungView { rung, skipped: None }).to_vec() } else { told }
}

/// What a rung does, and what that costs.
pub(super) fn told(rung: Rung) -> (&'static str, &'static str) {
    let does = match rung {
        Rung::Interrupt => "KeyboardInterrupt in the main thread",
        Rung::Async => "asynchronous exception, hard to catch",
        Rung::Cancel => "the host's own way to cancel",
        Rung::Terminate => "SIGTERM to the process group",
        Rung::Kill => "SIGKILL to the group and what left it",
    };
    (does, if rung.costs_the_child() { "what is loaded is lost" } else { "what is loaded stays" })
}

/// The selected rung, in all words that there are.
pub(super) fn explained(view: &RungView) -> String {
    let (does, costs) = told(view.rung);
    match &view.skipped {
        Some(why) => format!("{}: skipped here, {}", view.rung.word(), text::one_line(why)),
        None => format!("{}: {does}; {costs}", view.rung.word()),
    }
}
