//! Events as lines for people.

use crate::model::{
    Breakpoint, CommandOutcome, Event, EventKind, Exception, Finding, Found, HoldReason, ItemIndex, ItemStatus, Job,
    Micros, Origin, OutputFile, Phase, Rung, RungOutcome, Scene, SessionPhase, Severity, Step, StopMode, WaitFor,
};
use crate::store::plain_safe;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::borrow::Cow;

/// The most characters of a child's text in a line.
const MOST: usize = 300;

/// A line for an event (more for a child that failed), or nothing for what people need not read.
pub(super) fn line(event: &Event, job: &Job, zone: &TimeZone) -> Option<String> {
    Some(format!("{} {}", time(event.wall, zone), words(&event.kind, job)?))
}

/// `20:56:39.123`, as the clock on the wall says.
pub(super) fn time(wall: Micros, zone: &TimeZone) -> String {
    let stamp = i64::try_from(wall.0).ok().and_then(|wall| Timestamp::from_microsecond(wall).ok()).unwrap_or_default();
    stamp.to_zoned(zone.clone()).strftime("%H:%M:%S%.3f").to_string()
}

/// A text of anybody's: one line, safe, not too long.
fn safe(text: &str) -> String {
    let whole = plain_safe(text.lines().next().unwrap_or_default().as_bytes());
    let mut short: String = whole.chars().take(MOST).collect();
    if short.len() < whole.len() || text.lines().nth(1).is_some() {
        short.push_str(" …");
    }
    short
}

/// All of a text of several lines; those after the first are indented, so that none looks like a line of its own.
fn whole(text: &str) -> String {
    const LINES: usize = 100;
    text.lines().take(LINES).map(safe).collect::<Vec<_>>().join("\n    ")
}

fn words(kind: &EventKind, job: &Job) -> Option<String> {
    match kind {
        EventKind::EngineStarted { .. }
        | EventKind::Phase { .. }
        | EventKind::Held { .. }
        | EventKind::Released { .. }
        | EventKind::Stepped { .. }
        | EventKind::StopsChanged { .. }
        | EventKind::TimeoutsChanged { .. }
        | EventKind::StopRequested { .. }
        | EventKind::SessionEnded { .. }
        | EventKind::Note { .. } => session(kind, job),
        EventKind::ChildStarting { .. }
        | EventKind::ChildSpawned { .. }
        | EventKind::ChildCame { .. }
        | EventKind::ChildConnected { .. }
        | EventKind::ChildFailed { .. }
        | EventKind::ChildExited { .. }
        | EventKind::ChildSignalled { .. }
        | EventKind::ChildPaused { .. }
        | EventKind::ChildContinued { .. }
        | EventKind::RestartRequested { .. }
        | EventKind::BackEndStarting { .. }
        | EventKind::BackEndLoaded { .. }
        | EventKind::BackEndReported { .. }
        | EventKind::BackEndEnded { .. }
        | EventKind::Diagnosed { .. }
        | EventKind::PeerRefused { .. }
        | EventKind::TimedOut { .. }
        | EventKind::OutputLost { .. } => child(kind).or_else(|| back_end(kind)),
        EventKind::CommandQueued { .. }
        | EventKind::CommandSent { .. }
        | EventKind::CommandStarted { .. }
        | EventKind::CommandEnded { .. }
        | EventKind::InterruptRequested { .. }
        | EventKind::InterruptAnswered { .. }
        | EventKind::RungEnded { .. }
        | EventKind::ThreadException { .. } => command(kind),
        EventKind::ItemStarted { .. }
        | EventKind::ItemAdded { .. }
        | EventKind::ItemReported { .. }
        | EventKind::ItemProgress { .. }
        | EventKind::ItemSaid { .. }
        | EventKind::ItemOutput { .. }
        | EventKind::ItemFault { .. }
        | EventKind::Found { .. }
        | EventKind::OutputsInspected { .. }
        | EventKind::ItemEnded { .. }
        | EventKind::ItemEdited { .. }
        | EventKind::ItemChanged { .. } => item(kind, job),
    }
}

fn session(kind: &EventKind, job: &Job) -> Option<String> {
    Some(match kind {
        EventKind::EngineStarted { name, backend, items, held, resumed, .. } => {
            let again = if *resumed { "goes on" } else { "begins" };
            let held = if *held { ", held" } else { "" };
            format!("session {} {again}: backend {}, {items} items{held}", safe(name), safe(backend))
        }
        EventKind::Phase { to: SessionPhase::Starting | SessionPhase::Ended } => return None,
        EventKind::Phase { to } => {
            let word = match to {
                SessionPhase::Init => "init",
                SessionPhase::Setup => "setup",
                SessionPhase::Agenda => "agenda",
                SessionPhase::Teardown => "teardown",
                SessionPhase::Starting | SessionPhase::Ended => return None,
            };
            format!("phase {word}")
        }
        EventKind::Held { by, why, commands } => held(why, *commands, by.as_ref(), job),
        EventKind::Released { by } => format!("agenda released{}", whom(by.as_ref())),
        EventKind::Stepped { step: Step::Command, by, .. } => format!("one command is let go on{}", whom(by.as_ref())),
        EventKind::Stepped { step: Step::Item, by, .. } => format!("one item is let go on{}", whom(by.as_ref())),
        EventKind::StopsChanged { stops, by } => {
            let failure = if stops.on_failure { "held on failure" } else { "not held on failure" };
            format!("agenda {failure}, breakpoints: {}{}", stops.breakpoints.len(), whom(by.as_ref()))
        }
        EventKind::TimeoutsChanged { by, .. } => format!("time-outs changed{}", whom(by.as_ref())),
        EventKind::StopRequested { mode, by } => {
            let when = match mode {
                StopMode::AfterItem => "after the item that runs",
                StopMode::Now => "now",
            };
            format!("stop {when}{}", whom(by.as_ref()))
        }
        EventKind::SessionEnded { code, reason } => format!("session ended, exit code {code}: {}", safe(reason)),
        EventKind::Note { text } => format!("note: {}", whole(text)),
        _ => return None,
    })
}

fn child(kind: &EventKind) -> Option<String> {
    Some(match kind {
        EventKind::ChildStarting { generation, argv, .. } => {
            format!("child {generation} starts: {}", safe(&argv.join(" ")))
        }
        EventKind::ChildSpawned { pid, .. } => format!("child has pid {pid}"),
        EventKind::ChildConnected { hello } => {
            let application = [&hello.application.name, &hello.application.version].map(|text| safe(text)).join(" ");
            let python = safe(&format!("{} {}", hello.implementation, hello.python));
            format!("child says hello: {} ({python}, pid {})", application.trim(), hello.pid)
        }
        EventKind::ChildFailed { reason } => format!("child failed: {}", whole(reason)),
        EventKind::ChildExited { exit, asked, meaning } => {
            let meaning = if meaning.is_empty() { String::new() } else { format!(" ({})", safe(meaning)) };
            format!("child ended: {exit}{meaning}{}", if *asked { "" } else { ", and nobody had asked for it" })
        }
        EventKind::ChildSignalled { signal, reason } => {
            format!("{} sent to the child: {}", crate::model::SignalName(*signal), safe(reason))
        }
        EventKind::ChildPaused { by } => format!("child paused{}", whom(by.as_ref())),
        EventKind::ChildContinued { by } => format!("child goes on{}", whom(by.as_ref())),
        EventKind::RestartRequested { by } => format!("another child is wanted{}", whom(by.as_ref())),
        EventKind::Diagnosed { diagnosis, .. } => format!("why: {}", safe(&diagnosis.verdict.sentence)),
        EventKind::PeerRefused { peer, before } => {
            let refused = format!("stranger {} refused: {}", safe(&peer.address), safe(&peer.reason));
            if *before == 0 { refused } else { format!("{refused}, and {before} others before it") }
        }
        EventKind::TimedOut { what, action } => {
            format!("time-out ({}): {}", awaited(*what), safe(action))
        }
        EventKind::OutputLost { bytes, reason, .. } => format!("{bytes} bytes of output lost: {}", safe(reason)),
        _ => return None,
    })
}

fn back_end(kind: &EventKind) -> Option<String> {
    Some(match kind {
        EventKind::BackEndStarting { argv, .. } => format!("back end starts: {}", safe(&argv.join(" "))),
        EventKind::BackEndLoaded { back_end } => {
            let overrides: Vec<&str> = back_end.overrides.iter().map(|one| one.name.as_str()).collect();
            let (class, python) = (safe(&back_end.class), safe(&back_end.python));
            let own = if overrides.is_empty() { String::new() } else { format!(": {}", safe(&overrides.join(", "))) };
            format!("back end says hello: {class} (Python {python}, pid {}){own}", back_end.pid)
        }
        EventKind::BackEndReported { status, reason } if reason.is_empty() => format!("job {}", safe(status)),
        EventKind::BackEndReported { status, reason } => format!("job {}: {}", safe(status), safe(reason)),
        EventKind::BackEndEnded { exit } => format!("back end ended: {exit}"),
        _ => return None,
    })
}

/// What was waited for, as the journal calls it.
fn awaited(what: WaitFor) -> &'static str {
    match what {
        WaitFor::Startup => "startup",
        WaitFor::Command => "command",
        WaitFor::Item => "item",
        WaitFor::Silence => "silence",
        WaitFor::Teardown => "teardown",
        WaitFor::KillGrace => "kill_grace",
        WaitFor::Retry => "retry",
        WaitFor::AgendaSource => "agenda_source",
        WaitFor::Release => "release",
        WaitFor::Journal => "journal",
        WaitFor::Outputs => "outputs",
        WaitFor::Answer => "answer",
        WaitFor::Diagnosis => "diagnosis",
        WaitFor::Output => "output",
        WaitFor::Rung(rung) => rung.word(),
        WaitFor::BackEnd => "back_end",
    }
}

fn command(kind: &EventKind) -> Option<String> {
    Some(match kind {
        EventKind::CommandQueued { id, phase: Phase::Operator, source, by, .. } => {
            format!("command {id} injected{}: {}", whom(by.as_ref()), safe(source))
        }
        EventKind::CommandQueued { id, phase, source, .. } => {
            format!("command {id} ({}): {}", phase.word(), safe(source))
        }
        EventKind::CommandEnded { id, outcome, took, .. } => {
            let took = super::out::length(*took);
            match outcome {
                CommandOutcome::Finished { value: None, .. } => format!("command {id} finished in {took}"),
                CommandOutcome::Finished { value: Some(value), .. } => {
                    format!("command {id} finished in {took}: {}", safe(value))
                }
                CommandOutcome::Raised { exception, .. } => {
                    format!("command {id} raised after {took}: {}", raised(exception))
                }
                CommandOutcome::Lost { reason } => format!("command {id} lost: {}", safe(reason)),
                CommandOutcome::Skipped { reason } => format!("command {id} skipped: {}", safe(reason)),
            }
        }
        EventKind::InterruptRequested { id, by, rung } => {
            format!("{} of command {id}{}", rung.word(), whom(by.as_ref()))
        }
        EventKind::RungEnded { rung, result, scene, reason, .. } => rung_ended(*rung, *result, None, *scene, reason),
        EventKind::InterruptAnswered { id, ok: false, reason } => {
            format!("command {id} was not interrupted: {}", safe(reason))
        }
        EventKind::ThreadException { thread, exception } => {
            format!("exception in thread {}: {}", safe(thread), raised(exception))
        }
        _ => return None,
    })
}

fn item(kind: &EventKind, job: &Job) -> Option<String> {
    let name = |item: ItemIndex| safe(&job.agenda.name(item).map_or_else(|| item.to_string(), Cow::into_owned));
    Some(match kind {
        EventKind::ItemAdded { item, commands, .. } => {
            format!("item {} added, with {} commands", name(*item), commands.len())
        }
        EventKind::ItemStarted { item, attempt: 1 } => format!("item {} running", name(*item)),
        EventKind::ItemStarted { item, attempt } => format!("item {} running, attempt {attempt}", name(*item)),
        EventKind::ItemSaid { text, .. } => format!("status: {}", safe(text)),
        EventKind::ItemOutput { item, path } => format!("item {} wrote {}", name(*item), safe(path)),
        EventKind::Found { findings, left_out, .. } => found(findings, *left_out)?,
        EventKind::OutputsInspected { item, files } => {
            let wrong: Vec<String> = files.iter().filter_map(OutputFile::complaint).map(|told| safe(&told)).collect();
            // The first is told as the reason of the item's end.
            if wrong.len() < 2 {
                return None;
            }
            format!("item {}: {}", name(*item), wrong.join("; "))
        }
        EventKind::ItemFault { item, message } => format!("item {} fails: {}", name(*item), safe(message)),
        EventKind::ItemEnded { item, status, reason, took, .. } => {
            let took = super::out::length(*took);
            let reason = reason.as_ref().filter(|_| *status != ItemStatus::Complete);
            let reason = reason.map(|reason| format!(": {}", safe(reason))).unwrap_or_default();
            format!("item {} {} after {took}{reason}", name(*item), status.word())
        }
        EventKind::ItemEdited { item, commands: Some(commands), by } => {
            format!("item {} has commands of its own now: {}{}", name(*item), commands.len(), whom(by.as_ref()))
        }
        EventKind::ItemEdited { item, commands: None, by } => {
            format!("item {} has the job's commands again{}", name(*item), whom(by.as_ref()))
        }
        EventKind::ItemChanged { item, status, by } => {
            format!("item {} {}{}", name(*item), status.word(), whom(by.as_ref()))
        }
        _ => return None,
    })
}

fn held(why: &HoldReason, commands: bool, by: Option<&Origin>, job: &Job) -> String {
    let name = |item: ItemIndex| safe(&job.agenda.name(item).map_or_else(|| item.to_string(), Cow::into_owned));
    let why = match why {
        HoldReason::Asked if commands => " before the next command".to_owned(),
        HoldReason::Asked => String::new(),
        HoldReason::Failure(item) => format!(": item {} failed", name(*item)),
        HoldReason::Breakpoint(Breakpoint::Item(name)) => format!(" before item {}", safe(name)),
        HoldReason::Breakpoint(Breakpoint::Command(pattern)) => format!(" before a command with {}", safe(pattern)),
        HoldReason::Stepped => " after one step".to_owned(),
    };
    format!("agenda held{why}{}", whom(by))
}

/// What became of one way out of a command, and how long it took where that is known.
pub(super) fn rung_ended(rung: Rung, result: RungOutcome, took: Option<Micros>, scene: Scene, reason: &str) -> String {
    let result = match result {
        RungOutcome::Worked if rung.costs_the_child() => "has ended the child",
        RungOutcome::Worked => "has ended the command",
        RungOutcome::InVain => "was in vain",
        RungOutcome::Refused => "was refused",
        RungOutcome::Skipped => "is skipped",
    };
    let scene = match scene {
        Scene::Survived => "what is loaded is still there",
        Scene::Lost => "what was loaded is lost",
    };
    let took = took.map(|took| format!(" after {}", super::out::length(took))).unwrap_or_default();
    let reason = if reason.is_empty() { String::new() } else { format!(": {}", safe(reason)) };
    format!("{} {result}{took}{reason}; {scene}", rung.word())
}

fn raised(exception: &Exception) -> String {
    let place = exception.innermost().map(|frame| format!(" ({}:{})", frame.file, frame.line)).unwrap_or_default();
    safe(&(exception.headline(MOST) + &place))
}

fn whom(by: Option<&Origin>) -> String {
    by.map(|by| safe(&format!(" by {}@{} ({})", by.user, by.host, by.client))).unwrap_or_default()
}

/// What patterns found, without progress and values, of which there is too much to be told line by line.
fn found(findings: &[Finding], left_out: u64) -> Option<String> {
    let told = findings.iter().filter_map(|finding| {
        let what = match &finding.what {
            Found::Progress { .. } | Found::Value { .. } => return None,
            Found::Error { severity: Severity::Note } => "note",
            Found::Error { severity: Severity::Warn } => "warning",
            Found::Error { .. } => "error",
            Found::Highlight => "highlight",
            Found::Output => "output",
        };
        Some(format!("{what} ({}): {}", safe(&finding.pattern), safe(&finding.text)))
    });
    let mut told = told.collect::<Vec<_>>();
    if left_out > 0 {
        told.push(format!("and {left_out} more, which are not kept"));
    }
    (!told.is_empty()).then(|| told.join("\n    "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::job::Timeouts;
    use crate::model::{CommandId, Marks, Seq, Stops};

    fn said(kind: EventKind) -> Option<String> {
        let event = Event { seq: Seq(1), wall: Micros(1_000_000), mono: Micros(0), kind };
        line(&event, &Job::default(), &TimeZone::UTC)
    }

    #[test]
    fn a_line_is_one_line_and_safe_whatever_the_child_says() {
        let text = "one\x1b]52;c;eA==\x07\nitem 1 complete".to_owned();
        let line = said(EventKind::ItemSaid { item: None, text }).expect("a line");
        assert!(line.starts_with("00:00:01.000 status: one"), "{line}");
        assert!(!line.contains(['\n', '\x1b', '\x07']), "{line}");
    }

    #[test]
    fn what_people_need_not_read_is_left_out() {
        assert_eq!(said(EventKind::CommandStarted { id: CommandId(1) }), None);
        let ended = EventKind::CommandEnded {
            id: CommandId(3),
            outcome: CommandOutcome::Finished { value: Some("42".into()), cut: None },
            took: Micros(1500),
            to: Marks::default(),
        };
        assert_eq!(said(ended).as_deref(), Some("00:00:01.000 command 3 finished in 1ms: 42"));
    }

    #[test]
    fn files_are_told_of_where_the_items_end_does_not_tell_all() {
        let file = |path: &str, problem: Option<&str>| OutputFile {
            path: path.into(),
            problem: problem.map(str::to_owned),
            ..OutputFile::default()
        };
        let inspected = |files| said(EventKind::OutputsInspected { item: ItemIndex(2), files });
        assert_eq!(inspected(vec![file("a", None), file("b", Some("is not there"))]), None);
        let two = inspected(vec![file("a\n", Some("is empty")), file("b", Some("is not there"))]).expect("a line");
        assert!(two.ends_with("item 2: a …; b is not there") && !two.contains('\n'), "{two}");
    }

    fn whose() -> Origin {
        let (user, host, client) = ("ann".into(), "desk".into(), "tui".into());
        Origin { uid: 1000, user, host, client, request: String::new() }
    }

    /// What is said behind the time.
    fn words_of(kind: EventKind) -> String {
        let line = said(kind).expect("a line");
        line.strip_prefix("00:00:01.000 ").expect("a time").to_owned()
    }

    #[test]
    fn why_and_where_the_agenda_is_held_is_told() {
        let held = |why, commands, by| words_of(EventKind::Held { by, why, commands });
        assert_eq!(held(HoldReason::Asked, false, Some(whose())), "agenda held by ann@desk (tui)");
        assert_eq!(held(HoldReason::Asked, true, None), "agenda held before the next command");
        assert_eq!(held(HoldReason::Failure(ItemIndex(2)), false, None), "agenda held: item 2 failed");
        let at = HoldReason::Breakpoint(Breakpoint::Item("hero".into()));
        assert_eq!(held(at, false, None), "agenda held before item hero");
        let at = HoldReason::Breakpoint(Breakpoint::Command("render".into()));
        assert_eq!(held(at, true, None), "agenda held before a command with render");
        assert_eq!(held(HoldReason::Stepped, false, None), "agenda held after one step");
        let stepped = |step| words_of(EventKind::Stepped { step, item: None, by: Some(whose()) });
        assert_eq!(stepped(Step::Command), "one command is let go on by ann@desk (tui)");
        assert_eq!(stepped(Step::Item), "one item is let go on by ann@desk (tui)");
        let stops = Stops { on_failure: true, breakpoints: vec![Breakpoint::Item("hero".into())] };
        let stops = words_of(EventKind::StopsChanged { stops, by: None });
        assert_eq!(stops, "agenda held on failure, breakpoints: 1");
        let edited = |commands| words_of(EventKind::ItemEdited { item: ItemIndex(1), commands, by: None });
        assert_eq!(edited(Some(vec!["a".into()])), "item 1 has commands of its own now: 1");
        assert_eq!(edited(None), "item 1 has the job's commands again");
    }

    #[test]
    fn a_time_out_is_told_with_the_diagnosis_that_it_led_to() {
        let passed = |what| words_of(EventKind::TimedOut { what, action: "the item fails".into() });
        assert_eq!(passed(WaitFor::Silence), "time-out (silence): the item fails");
        assert_eq!(passed(WaitFor::Rung(Rung::Async)), "time-out (async): the item fails");
        let limits = words_of(EventKind::TimeoutsChanged { timeouts: Timeouts::default(), by: Some(whose()) });
        assert_eq!(limits, "time-outs changed by ann@desk (tui)");
        let json = r#"{"verdict": {"doing": "sleeping", "at": {"file": "a.py", "line": 3}, "confidence": "sure",
            "sentence": "It sleeps\u001b[2J at a.py:3."}, "trigger": {"timed_out": "silence"}, "stacks": {}, "processes": [],
            "memory": {}, "session": {}, "missing": [], "took": 1}"#;
        let diagnosis = Box::new(serde_json::from_str(json).expect("a diagnosis"));
        assert_eq!(words_of(EventKind::Diagnosed { diagnosis, by: None }), "why: It sleeps␛[2J at a.py:3.");
    }

    #[test]
    fn each_way_out_is_told_with_what_became_of_it() {
        let ended = |rung, result, scene, reason: &str| {
            words_of(EventKind::RungEnded { id: None, rung, result, scene, reason: reason.into() })
        };
        assert_eq!(
            ended(Rung::Cancel, RungOutcome::Skipped, Scene::Survived, "gdb has none"),
            "cancel is skipped: gdb has none; what is loaded is still there"
        );
        assert_eq!(
            ended(Rung::Kill, RungOutcome::Worked, Scene::Lost, ""),
            "kill has ended the child; what was loaded is lost"
        );
        let asked = EventKind::InterruptRequested { id: CommandId(3), by: None, rung: Rung::Async };
        assert_eq!(words_of(asked), "async of command 3");
        assert_eq!(words_of(EventKind::ChildPaused { by: Some(whose()) }), "child paused by ann@desk (tui)");
        assert_eq!(words_of(EventKind::ChildContinued { by: None }), "child goes on");
        assert_eq!(words_of(EventKind::RestartRequested { by: None }), "another child is wanted");
    }
}
