//! A session that is not there: plausible data, a fixed clock, and what was asked of it.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the numbers are small and made here"
)]

mod results;
mod steer;

use super::used;
use crate::api::{ApiError, Link, SessionView};
use crate::model::child::Application;
use crate::model::proto::{
    CommandDetail, CommandView, Completeness, ItemDetail, ItemVerb, ItemView, LineAnchor, OutputAt, OutputLine,
    OutputPage, OutputQuery, Page, RanCommand, Refusal, RefusalKind, Request, Response, RunningView, Summary,
    TracePage, Window,
};
use crate::model::state::{Ended, ExceptionGroup, Hold};
use crate::model::*;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// 2026-11-23 21:00:00 UTC.
pub(super) const NOON: Micros = Micros(1_795_467_600_000_000);

pub(super) fn at(seconds: f64) -> Micros {
    Micros(NOON.0.saturating_add_signed((seconds * 1e6) as i64))
}

pub(super) struct Fake {
    link: watch::Sender<Link>,
    searching: Searching,
    asked: Mutex<Vec<Request>>,
    world: Mutex<World>,
}

struct World {
    items: Vec<ItemView>,
    commands: Vec<CommandDetail>,
    groups: Vec<(ExceptionGroup, Exception)>,
    lines: Vec<OutputLine>,
    diagnoses: Vec<(DiagnosisHead, Diagnosis)>,
    edits: BTreeMap<String, Vec<String>>,
    summary: Summary,
    /// Why the child does not answer, if it does not.
    refusing: String,
}

impl Fake {
    pub(super) fn new() -> Self {
        let mut world = World {
            items: (0..40).map(item).collect(),
            commands: (1..=14).map(command).collect(),
            groups: vec![group(0), group(1)],
            lines: (0..200).map(line).collect(),
            diagnoses: Vec::new(),
            edits: BTreeMap::new(),
            summary: Summary::default(),
            refusing: String::new(),
        };
        world.summary = summary(&world);
        Self {
            link: watch::Sender::new(Link::Live(Box::new(world.summary.clone()))),
            searching: Searching::default(),
            asked: Mutex::default(),
            world: Mutex::new(world),
        }
    }

    /// From now on the child does not answer, and why; nothing: it does.
    pub(super) fn refuse(&self, why: &str) {
        self.world.lock().unwrap_or_else(PoisonError::into_inner).refusing = why.into();
    }

    /// From now on a search looks at so many more lines with each answer.
    pub(super) fn search_slowly(&self, lines: usize) {
        *self.searching.step.lock().unwrap_or_else(PoisonError::into_inner) = Some(lines);
    }

    /// An item's output warned of something.
    pub(super) fn warn_in(&self, place: usize) {
        let mut world = self.world();
        world.items[place].row.warned = true;
        self.publish(&mut world);
    }

    /// How often it was searched.
    pub(super) fn searches(&self) -> usize {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|request| matches!(request, Request::Search(_))).count()
    }

    /// What was asked, without the windows.
    pub(super) fn verbs(&self) -> Vec<Request> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|request| request.writes()).cloned().collect()
    }

    /// All that was asked.
    pub(super) fn all(&self) -> Vec<Request> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Summary)) {
        let mut world = self.world();
        change(&mut world.summary);
        self.publish(&mut world);
    }

    /// The newest pulse.
    pub(super) fn summary(&self) -> Box<Summary> {
        let world = self.world();
        Box::new(world.summary.clone())
    }

    pub(super) fn print(&self, text: &str) {
        let mut world = self.world();
        let mut next = line(world.lines.len() as u64);
        next.text = text.into();
        world.lines.push(next);
        self.publish(&mut world);
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, world: &mut World) {
        world.summary.seq = world.summary.seq.next();
        world.summary.output.stdout = end(&world.lines);
        self.link.send_replace(Link::Live(Box::new(world.summary.clone())));
    }

    /// A pulse that says that nothing but the time has changed.
    pub(super) fn beat(&self) {
        self.link.send_modify(|link| {
            if let Link::Live(summary) = link {
                summary.now = Micros(summary.now.0 + 1_000_000);
            }
        });
    }

    pub(super) fn lose(&self, link: Link) {
        self.link.send_replace(link);
    }

    pub(super) fn end(&self, code: i32, reason: &str) {
        self.change(|summary| {
            summary.ended = Some(Ended { code, reason: reason.into(), at: at(90.0) });
            summary.phase = SessionPhase::Ended;
            summary.running = None;
            summary.item = None;
            summary.child = ChildState::Exited {
                generation: Generation(1),
                exit: Exit::Code(0),
                asked: true,
                meaning: String::new(),
                since: at(89.0),
            };
        });
    }

    fn answer(&self, request: Request) -> Result<Response, ApiError> {
        let mut world = self.world();
        if let Some(answer) = self.steer(&mut world, &request) {
            return answer;
        }
        Ok(match request {
            Request::Agenda(window) => Response::Agenda(page(&world.items, window)),
            Request::Commands(window) => {
                let views: Vec<CommandView> = world.commands.iter().map(|detail| detail.view.clone()).collect();
                Response::Commands(page(&views, window))
            }
            Request::Exceptions(window) => {
                let groups: Vec<ExceptionGroup> = world.groups.iter().map(|(group, _)| group.clone()).collect();
                Response::Exceptions(page(&groups, window))
            }
            Request::Item { name } => item_detail(&world, &name),
            Request::Command { id } => match world.commands.get(id.0 as usize - 1) {
                Some(detail) => Response::Command(Box::new(detail.clone())),
                None => return Err(refused("no such command")),
            },
            Request::Exception { place } => match world.groups.get(place as usize) {
                Some((group, exception)) => {
                    Response::Exception { group: group.clone(), exception: Box::new(exception.clone()) }
                }
                None => return Err(refused("no such exception")),
            },
            Request::Output(query) => Response::Output(output(&world.lines, &query)),
            Request::Search(query) => {
                let looked_at = self.searching.advance(&query, world.lines.len());
                Response::Searched(search(&world.lines, &query, looked_at))
            }
            Request::Find { text, from, forward, .. } => Response::Found { row: find(&world, &text, from, forward) },
            Request::Traces { .. } => Response::Traces(TracePage {
                lines: vec!["2026-11-23T20:59:58.000000Z  INFO childminder::child: spawned pid=4242".into()],
                next: 80,
            }),
            Request::Names | Request::Hot { .. } if !world.refusing.is_empty() => return Err(refused(&world.refusing)),
            Request::Names => used::names(),
            Request::About => used::about(),
            Request::Hot { .. } => Response::Hot(Box::new(used::hot())),
            Request::Usage { from, to, most } => Response::Usage(used::history(from, to.min(world.summary.now), most)),
            Request::Complete { .. } => {
                Response::Completions { start: 4, matches: vec!["data".into(), "data_add".into()] }
            }
            Request::Check { source } => check(&source),
            Request::Exec { source, .. } => exec(&mut world, source, Phase::Operator),
            Request::Side { source, .. } => exec(&mut world, source, Phase::Side),
            Request::Hold => {
                world.summary.held = Some(Hold {
                    by: Some(Origin { user: "ann".into(), ..Origin::default() }),
                    since: at(60.0),
                    ..Hold::default()
                });
                self.publish(&mut world);
                Response::Done { said: String::new() }
            }
            Request::Release => {
                world.summary.held = None;
                self.publish(&mut world);
                Response::Done { said: String::new() }
            }
            Request::Items { verb: ItemVerb::Retry, names } => {
                Response::Done { said: format!("{} will be run again", names.join(" ")) }
            }
            _ => Response::Done { said: String::new() },
        })
    }
}

impl SessionView for Fake {
    fn ask(&self, request: Request) -> BoxFuture<'static, Result<Response, ApiError>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let answer = self.answer(request);
        Box::pin(std::future::ready(answer))
    }

    fn pulses(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }
}

fn refused(message: &str) -> ApiError {
    ApiError::Refused(Refusal { kind: RefusalKind::NotFound, message: message.into() })
}

fn page<T: Clone>(all: &[T], window: Window) -> Page<T> {
    let total = all.len() as u32;
    let from = window.from.min(total.saturating_sub(window.limit));
    let rows = all[from as usize..total.min(from + window.limit) as usize].to_vec();
    Page { from, total, rows }
}

fn item(place: u32) -> ItemView {
    let (status, attempt, progress, took) = match place {
        0..=10 => (ItemStatus::Complete, 1, Some(1.0), 4_200_000 + u64::from(place) * 310_000),
        11 => (ItemStatus::Failed, 2, Some(0.3), 2_900_000),
        12 => (ItemStatus::Running, 1, Some(0.4), 0),
        17 => (ItemStatus::Blocked, 0, None, 0),
        _ => (ItemStatus::Pending, 0, None, 0),
    };
    let started = (attempt > 0).then(|| if place == 12 { at(2.0) } else { at(-60.0 + f64::from(place) * 5.0) });
    let row = ItemRow { status, attempt, progress, started, took: Micros(took), ..ItemRow::default() };
    ItemView { item: ItemIndex(place), name: format!("frame {:04}", place + 1), row, again: None, edited: false }
}

fn item_detail(world: &World, name: &str) -> Response {
    let view = world.items.iter().find(|item| item.name == name).cloned().unwrap_or_else(|| item(0));
    let commands = world.edits.get(name).cloned();
    let (ran, measures) = results::rest_of(&view);
    Response::Item(Box::new(ItemDetail {
        reason: (view.row.status == ItemStatus::Failed).then(|| "ValueError: the sun is below the horizon".into()),
        result: results::result_of(&view),
        view,
        commands: commands.unwrap_or_else(|| vec!["scene.frame = 12".into(), "render(scene)".into()]),
        data: BTreeMap::new(),
        ran,
        measures,
    }))
}

fn command(id: u64) -> CommandDetail {
    let (phase, state, source, item_name) = match id {
        1 => (Phase::Init, CommandState::Finished, "import tracer".to_owned(), None),
        2 => (Phase::Setup, CommandState::Finished, "scene = tracer.load('demo')".to_owned(), None),
        13 => (Phase::Item, CommandState::Raised, "render(scene, 12)".to_owned(), Some("frame 0012".to_owned())),
        14 => (Phase::Item, CommandState::Started, "render(scene, 13)".to_owned(), Some("frame 0013".to_owned())),
        _ => (
            Phase::Item,
            CommandState::Finished,
            format!("render(scene, {})", id - 1),
            Some(format!("frame {:04}", id - 1)),
        ),
    };
    let row = CommandRow {
        phase,
        state,
        generation: Generation(1),
        item: item_name.as_ref().map(|_| ItemIndex(0)),
        queued: at(-60.0 + id as f64),
        took: Micros(if state.is_final() { 41_000 * id } else { 0 }),
        queued_at: 0,
        ended_at: 0,
        from: Marks::default(),
        to: Marks::default(),
    };
    let outcome = match state {
        CommandState::Raised => Some(CommandOutcome::Raised { exception: Box::new(exception()), exit: None }),
        CommandState::Finished => Some(CommandOutcome::Finished { value: None, cut: None }),
        _ => None,
    };
    CommandDetail {
        view: CommandView { id: CommandId(id), row, item_name, head: source.clone(), by: None },
        source,
        cut: false,
        outcome,
    }
}

fn exception() -> Exception {
    let frame = |file: &str, line, function: &str, source: &str| Frame {
        file: file.into(),
        line,
        function: function.into(),
        source: source.into(),
        locals: Some(BTreeMap::from([("height".into(), "-3.5".into()), ("scene".into(), "<Scene demo>".into())])),
    };
    Exception {
        kind: "ValueError".into(),
        module: "builtins".into(),
        message: "the sun is below the horizon".into(),
        frames: vec![
            frame("<command 13>", 1, "<module>", "render(scene, 12)"),
            frame("/opt/demo/tracer.py", 214, "render", "light = sun(scene.sun)"),
        ],
        cause: Some(Box::new(Exception {
            kind: "KeyError".into(),
            message: "'sun'".into(),
            frames: vec![frame("/opt/demo/tracer.py", 98, "sun", "return self.lights[name]")],
            ..Exception::default()
        })),
        ..Exception::default()
    }
}

fn group(place: u32) -> (ExceptionGroup, Exception) {
    let exception = if place == 0 {
        exception()
    } else {
        Exception { kind: "OSError".into(), message: "disk \u{1b}[31mfull\u{202e}".into(), ..exception() }
    };
    let group = ExceptionGroup {
        kind: exception.kind.clone(),
        file: "/opt/demo/tracer.py".into(),
        line: 214 + place,
        function: "render".into(),
        message: exception.message.clone(),
        count: 1 + u64::from(place) * 11,
        first: at(-30.0),
        last: at(-1.0),
        command: Some(CommandId(13)),
        at: 0,
    };
    (group, exception)
}

fn line(place: u64) -> OutputLine {
    let stream = if place % 9 == 7 { Stream::Stderr } else { Stream::Stdout };
    let text = match place % 9 {
        0 => format!("\x1b[1;36mframe {:04}\x1b[0m  \x1b[32mloading\x1b[0m /opt/demo/scene/meadow.json", place / 9 + 1),
        7 => "\x1b[33mwarning\x1b[0m: texture grass.png is 8193 px wide, which is more than the 8192 px that this renderer takes; it is scaled".into(),
        8 => format!("saved /tmp/demo/frame.{:04}.png  \u{1b}]52;c;aGFja2Vk\u{7}4.31s", place / 9 + 1),
        step => format!("  tile {step:>2}/6  rays {:>9}  {:>3}%", 1_482_240 * step, step * 100 / 6),
    };
    let length = text.len() as u64 + 1;
    OutputLine {
        anchor: LineAnchor { stream, offset: place * 200 },
        number: Some(place + 1),
        wall: at(-60.0 + place as f64 * 0.3),
        command: Some(CommandId(place / 18 + 3)),
        text,
        raw: None,
        length,
        cut: false,
        lost: false,
        open: place == 199,
        context: false,
        gap: false,
    }
}

/// How far the search of now has come: each time it is asked again it looks at more lines.
#[derive(Default)]
struct Searching {
    step: Mutex<Option<usize>>,
    now: Mutex<Option<(SearchQuery, usize)>>,
}

impl Searching {
    fn advance(&self, query: &SearchQuery, all: usize) -> usize {
        let Some(step) = *self.step.lock().unwrap_or_else(PoisonError::into_inner) else { return all };
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let looked_at = match &*now {
            Some((same, looked_at)) if same == query => looked_at + step,
            _ => step,
        };
        *now = Some((query.clone(), looked_at));
        looked_at.min(all)
    }
}

/// A search that has looked at the first lines only, from the beginning on.
fn search(all: &[OutputLine], query: &SearchQuery, looked_at: usize) -> Searched {
    let pattern = match &query.wanted {
        Wanted::Match(grep) => Some(Pattern::new(grep).unwrap()),
        Wanted::Exception | Wanted::Item => None,
    };
    let complete = looked_at == all.len();
    let lines = sifted(&all[..looked_at], query.stream, &query.filter);
    let begins = |at: usize, every: u64| {
        let command = |line: &OutputLine| line.command.map(|id| id.0 / every);
        at == 0 || command(lines[at]) != command(lines[at - 1])
    };
    let hit = |at: &usize| match (&pattern, &query.wanted) {
        (Some(pattern), _) => pattern.wants(lines[*at].text.as_bytes()),
        (None, Wanted::Exception) => lines[*at].command == Some(CommandId(13)) && begins(*at, 1),
        (None, _) => begins(*at, 2),
    };
    let hits: Vec<usize> = (0..lines.len()).filter(hit).collect();
    let place = |anchor| lines.iter().position(|line| line.anchor == anchor);
    let (after, before) = match query.from {
        OutputAt::Start => (0, 0),
        OutputAt::Line(anchor) => match place(anchor) {
            Some(place) => (place + 1, place),
            None => (lines.len(), lines.len()),
        },
        _ => (lines.len(), lines.len()),
    };
    let found = if query.forward {
        hits.iter().position(|hit| *hit >= after)
    } else {
        hits.iter().rposition(|hit| *hit < before)
    };
    let known = complete || (query.forward && found.is_some());
    Searched {
        line: found.map(|found| lines[hits[found]].anchor),
        settled: known,
        count: if pattern.is_some() { hits.len() as u64 } else { 0 },
        position: found.filter(|_| known && pattern.is_some()).map(|found| found as u64 + 1),
        complete,
    }
}

fn sifted<'a>(all: &'a [OutputLine], stream: Option<Stream>, filter: &Filter) -> Vec<&'a OutputLine> {
    let pattern = filter.grep.as_ref().map(|grep| Pattern::new(grep).unwrap());
    all.iter()
        .filter(|line| stream.is_none_or(|stream| stream == line.anchor.stream))
        .filter(|line| filter.since.is_none_or(|since| line.wall >= since))
        .filter(|line| filter.item.is_none_or(|item| line.command == Some(CommandId(u64::from(item.0) + 3))))
        .filter(|line| pattern.as_ref().is_none_or(|pattern| pattern.wants(line.text.as_bytes())))
        .collect()
}

/// The lines that pass, and those around them.
fn with_context(all: &[OutputLine], query: &OutputQuery) -> Vec<OutputLine> {
    let matching = sifted(all, query.stream, &query.filter);
    let context = if query.filter.grep.is_some() { query.filter.context as usize } else { 0 };
    let around = Filter { grep: None, ..query.filter.clone() };
    let lines = sifted(all, query.stream, &around);
    let hit = |line: &OutputLine| matching.iter().any(|matching| matching.anchor == line.anchor);
    let hits: Vec<usize> = (0..lines.len()).filter(|at| hit(lines[*at])).collect();
    let mut kept: Vec<OutputLine> = Vec::new();
    let mut last = None;
    for (at, line) in lines.iter().enumerate() {
        if hits.iter().any(|hit| hit.abs_diff(at) <= context) {
            let gap = last.map_or(at > 0, |last| last + 1 < at);
            kept.push(OutputLine { context: !hits.contains(&at), gap, ..(*line).clone() });
            last = Some(at);
        }
    }
    kept
}

fn output(all: &[OutputLine], query: &OutputQuery) -> OutputPage {
    let lines: Vec<OutputLine> = with_context(all, query)
        .into_iter()
        .filter(|line| query.command.is_none_or(|command| line.command == Some(command)))
        .collect();
    // Offsets grow in the order of reading here, so that a line that does not pass has its place too.
    let first = |from: &dyn Fn(&OutputLine) -> bool| lines.iter().position(from).unwrap_or(lines.len());
    let place = match query.at {
        OutputAt::Start => 0,
        OutputAt::End => lines.len(),
        OutputAt::Line(anchor) => first(&|line| line.anchor.offset >= anchor.offset),
        OutputAt::Time(wall) => first(&|line| line.wall >= wall),
        OutputAt::Item(item) => first(&|line| line.command == Some(CommandId(u64::from(item.0) + 3))),
        OutputAt::Command(id) => first(&|line| line.command == Some(id)),
    };
    let from = place.saturating_sub(query.before as usize);
    let to = lines.len().min(place + query.after as usize);
    let bytes = |line: &OutputLine| BASE64_STANDARD.encode(format!("{}\n", line.text));
    let line = |line: &OutputLine| {
        if query.raw {
            OutputLine { raw: Some(bytes(line)), text: String::new(), ..line.clone() }
        } else {
            line.clone()
        }
    };
    OutputPage {
        lines: lines[from..to].iter().map(line).collect(),
        at_start: from == 0,
        at_end: to == lines.len(),
        partial: false,
    }
}

fn find(world: &World, text: &str, from: u32, forward: bool) -> Option<u32> {
    let from = (from as usize).min(world.items.len().saturating_sub(1));
    let hit = |place: &usize| world.items[*place].name.contains(text);
    let row = if forward { (from..world.items.len()).find(hit) } else { (0..=from).rev().find(hit) };
    row.map(|row| row as u32)
}

fn check(source: &str) -> Response {
    let state = match source {
        source if source.contains("!!") => Completeness::Invalid,
        source
            if source.ends_with(':') || (source.contains(':') && !source.ends_with('\n') && source.contains('\n')) =>
        {
            if source.lines().last().is_some_and(|line| line.trim().is_empty()) {
                Completeness::Complete
            } else {
                Completeness::Incomplete
            }
        }
        _ => Completeness::Complete,
    };
    let message = if state == Completeness::Invalid { "invalid syntax (line 1)".into() } else { String::new() };
    Response::Checked { state, message }
}

fn exec(world: &mut World, source: String, phase: Phase) -> Response {
    let id = world.commands.len() as u64 + 1;
    let mut detail = command(id);
    detail.view.row.phase = phase;
    detail.view.row.state = CommandState::Finished;
    detail.view.item_name = None;
    detail.view.by = Some(Origin { user: "ann".into(), host: "box".into(), client: "tui".into(), ..Origin::default() });
    detail.view.head = source.clone();
    detail.outcome = Some(match source.as_str() {
        "6*7" => CommandOutcome::Finished { value: Some("42".into()), cut: None },
        "1/0" => CommandOutcome::Raised { exception: Box::new(exception()), exit: None },
        _ => CommandOutcome::Finished { value: None, cut: None },
    });
    detail.source = source;
    world.commands.push(detail.clone());
    Response::Command(Box::new(detail))
}

fn rungs() -> Vec<RungView> {
    let skipped = |rung| (rung == Rung::Cancel).then(|| "the backend knows no way of the host's own".to_owned());
    Rung::ALL.map(|rung| RungView { rung, skipped: skipped(rung) }).to_vec()
}

fn end(lines: &[OutputLine]) -> u64 {
    lines.len() as u64 * 200
}

fn summary(world: &World) -> Summary {
    let mut counts = BTreeMap::new();
    for item in &world.items {
        *counts.entry(item.row.status).or_default() += 1;
    }
    let hello = Hello {
        pid: 4242,
        executable: "/usr/bin/python3".into(),
        python: "3.11.7".into(),
        implementation: "CPython".into(),
        application: Application { name: "python".into(), version: String::new() },
        ..Hello::default()
    };
    Summary {
        seq: Seq(100),
        now: at(63.0),
        session: "20261123-210000-demo-3f2a".into(),
        name: "demo".into(),
        backend: "python".into(),
        prompt: "py> ".into(),
        engine: 4200,
        phase: SessionPhase::Agenda,
        phase_since: at(-58.0),
        child: ChildState::Connected { generation: Generation(1), pid: 4242, hello: Box::new(hello), since: at(-59.0) },
        running: Some(RunningView {
            id: CommandId(14),
            phase: Phase::Item,
            state: CommandState::Started,
            since: at(2.0),
            head: "render(scene, 13)".into(),
        }),
        item: Some(world.items[12].clone()),
        said: "tracing tile 3 of 6".into(),
        counts,
        to_go: Some(Micros(141_000_000)),
        typical: Some(Micros(5_000_000)),
        last_output: Some(at(60.0)),
        last_word: Some(at(62.5)),
        commands: world.commands.len() as u32,
        exceptions: 2,
        raised: 13,
        usage: Some(used::newest()),
        rungs: rungs(),
        clients: 1,
        output: Marks { stdout: end(&world.lines), stderr: end(&world.lines) },
        ..Summary::default()
    }
}
