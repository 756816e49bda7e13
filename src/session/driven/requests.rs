//! What the driver asks for, one request at a time.

use super::super::Actor;
use super::super::actor::Verdict;
use super::super::sending::{fits, queued};
use super::super::stopwatch::Stopwatch;
use super::super::world::World;
use super::{Closing, Executing, Stand, fields};
use crate::backend::class::bridge::{Ask, ChildStart, Execute, Request};
use crate::backend::class::job::dictionary;
use crate::backend::class::{ChildLaunch, result_package};
use crate::model::state::ITEM_NOTES;
use crate::model::{BackEnd, ChildState, EventKind, ItemIndex, Phase, SessionPhase, StopMode};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// The longest hello, in bytes.
const HELLO: usize = 1 << 20;

impl<W: World> Actor<W> {
    /// Does what is asked, or puts it down to be answered later; `false` when it could not be journalled.
    pub(super) fn take_request(&mut self, request: &Request) -> bool {
        let id = request.id;
        let loaded = self.driver.as_ref().is_some_and(|driver| driver.stand == Stand::Loaded);
        match &request.ask {
            Ask::Hello(back_end) if !loaded => return self.driver_said_hello(id, back_end),
            Ask::Failed { error } => self.driver_has_failed(error),
            _ if !loaded => self.driver_broke_protocol("it asked for something before it had said hello"),
            Ask::Hello(_) => self.driver_broke_protocol("it said hello twice"),
            Ask::Open => self.driver_opens(id),
            Ask::Start(start) => self.driver_starts(id, start),
            Ask::Execute(execute) => return self.driver_executes(id, execute),
            Ask::Poll => {
                let exit = self.exit_for_driver();
                self.done(id, fields([("exit", exit)]));
            }
            Ask::Take => return self.driver_takes(id),
            Ask::Begin { work } => return self.driver_begins(id, work),
            Ask::Report { work, output_paths, reason } => {
                let mut result =
                    work.get("resultpackage").and_then(Value::as_object).map(result_package).unwrap_or_default();
                if let Some(paths) = output_paths {
                    result.output_paths =
                        paths.iter().take(ITEM_NOTES).map(|path| path.chars().take(4096).collect()).collect();
                }
                return self.driver_reports(id, work, result, reason.as_deref());
            }
            Ask::Job { status, reason } => {
                return self.driver_reports_job(id, status, reason.as_deref().unwrap_or_default());
            }
            Ask::Close { code } => self.driver_closes(id, *code),
            Ask::Unknown => {
                self.refuse(id, "the engine does not know this request: its back-end package is of another version");
            }
        }
        true
    }

    fn driver_said_hello(&mut self, id: u64, back_end: &BackEnd) -> bool {
        if serde_json::to_vec(back_end).is_ok_and(|text| text.len() > HELLO) {
            self.driver_broke_protocol("its hello is too long");
            return true;
        }
        if !self.intend(vec![EventKind::BackEndLoaded { back_end: Box::new(back_end.clone()) }]) {
            return false;
        }
        if let Some(driver) = &mut self.driver {
            driver.stand = Stand::Loaded;
        }
        let mut greeting = self.world.greeting();
        let job = dictionary(&self.job, self.job.qube.as_ref(), &self.state, &self.label.session);
        greeting.insert("job".into(), Value::Object(job));
        greeting.insert("session".into(), self.label.session.clone().into());
        let rules = self.job.path_map.rules().iter().map(|rule| json!([rule.from, rule.to]));
        greeting.insert("path_map".into(), rules.collect());
        self.done(id, greeting);
        true
    }

    fn driver_has_failed(&mut self, error: &str) {
        let error: String = error.chars().take(64 << 10).collect();
        self.note(&format!("the back end failed: {error}"));
        if let Some(driver) = &mut self.driver {
            let last = error.trim_end().lines().next_back().unwrap_or_default();
            driver.trouble = Some(last.to_owned());
        }
    }

    fn driver_reports_job(&mut self, id: u64, status: &str, reason: &str) -> bool {
        let cut = |text: &str| text.chars().take(1000).collect::<String>();
        if !self.intend(vec![EventKind::BackEndReported { status: cut(status), reason: cut(reason) }]) {
            return false;
        }
        if let Some(driver) = &mut self.driver {
            let why =
                if reason.is_empty() { "the back end reported the job as failed".to_owned() } else { cut(reason) };
            driver.job_failed = (status == "failed").then_some(why);
        }
        self.done(id, Map::new());
        true
    }

    // ---- the child ----------------------------------------------------------------------------------------------

    fn driver_opens(&mut self, id: u64) {
        let Some(driver) = &mut self.driver else { return };
        if driver.opened || driver.open.is_some() {
            return self.refuse(id, "the back channel is open already; a back end has one child");
        }
        driver.open = Some(id);
        self.world.open_channel();
    }

    /// The back channel is there, or cannot be.
    pub fn channel_opened(&mut self, opened: Result<(u16, PathBuf), String>) {
        let Some(driver) = &mut self.driver else { return };
        driver.opened = opened.is_ok();
        let Some(id) = driver.open.take() else { return };
        match opened {
            Ok((port, path)) => {
                let path = path.to_string_lossy().into_owned();
                self.done(id, fields([("port", port.into()), ("bootstrapper", path.into())]));
            }
            Err(reason) => self.refuse(id, &reason),
        }
        self.advance();
    }

    fn driver_starts(&mut self, id: u64, start: &ChildStart) {
        let stopping = self.stopping();
        let Some(driver) = &mut self.driver else { return };
        if !driver.opened {
            return self.refuse(id, "the back channel is not open; open it before the child is started");
        }
        if driver.started {
            return self.refuse(id, "a child was started already; a back end has one");
        }
        if stopping.is_some() {
            return self.refuse(id, "the session is to stop, and no child is started any more");
        }
        driver.started = true;
        driver.start = Some(id);
        let ChildStart { args, bootstrapper, merge_stderr } = start.clone();
        self.world.launch_driven(self.next_generation(), ChildLaunch { args, bootstrapper, merge_stderr });
    }

    /// The child is there, and init commands that the driver does not know of have ended.
    pub(super) fn start_is_over(&mut self) -> bool {
        let ChildState::Connected { pid, .. } = self.state.child else { return false };
        let waits = self.current.is_some_and(|running| running.phase == Phase::Init) || self.queue.has_planned();
        let Some(driver) = self.driver.as_mut().filter(|_| !waits) else { return false };
        let Some(id) = driver.start.take() else { return false };
        self.done(id, fields([("pid", pid.into())]));
        true
    }

    /// There is no child, or none that can be used.
    pub(in crate::session) fn start_failed(&mut self, reason: &str) {
        if let Some(id) = self.driver.as_mut().and_then(|driver| driver.start.take()) {
            self.verdict.get_or_insert_with(|| Verdict { code: 69, reason: reason.to_owned() });
            self.refuse(id, reason);
        }
    }

    fn driver_closes(&mut self, id: u64, code: i32) {
        if let Some(driver) = self.driver.as_mut().filter(|driver| driver.close.is_none()) {
            if self.alive {
                driver.close = Some(Closing { request: id, code });
                self.clocks.teardown.get_or_insert(Stopwatch::start(self.world.now()));
                self.forsake_item("the back end closed the child before it had reported the item");
                return;
            }
            let exit = self.exit_for_driver();
            return self.done(id, fields([("exit", exit)]));
        }
        self.refuse(id, "the child is being closed already");
    }

    // ---- commands -----------------------------------------------------------------------------------------------

    fn driver_executes(&mut self, id: u64, execute: &Execute) -> bool {
        if self.driver.as_ref().is_some_and(|driver| driver.execute.is_some()) {
            self.refuse(id, "commands are under way already; the child runs one list at a time");
            return true;
        }
        let item = match self.item_executed(execute) {
            Ok(item) => item,
            Err(why) => {
                self.refuse(id, &why);
                return true;
            }
        };
        let unfit = self.why_not_executed(execute);
        let commands = self.commands(execute.phase, item, execute.commands.clone());
        let ends = commands.first().zip(commands.last()).map(|(first, last)| (first.id, last.id));
        let (None, Some((first, last))) = (&unfit, ends) else {
            let (code, exit) = (i32::from(unfit.is_some()), self.exit_for_driver());
            let error = unfit.unwrap_or_default();
            self.done(id, fields([("code", code.into()), ("exit", exit), ("error", error.into()), ("ran", 0.into())]));
            return true;
        };
        let mut kinds: Vec<EventKind> = self.phase_entered(execute.phase).into_iter().collect();
        kinds.extend(commands.iter().map(|command| queued(command, None)));
        if !self.intend(kinds) {
            return false;
        }
        self.queue.extend(commands);
        if execute.phase == Phase::Teardown {
            self.clocks.teardown.get_or_insert(Stopwatch::start(self.world.now()));
        }
        if let Some(driver) = &mut self.driver {
            driver.execute = Some(Executing { request: id, first, last, error: String::new() });
        }
        true
    }

    /// The item that commands belong to, if it is one's; why they cannot be run at all.
    fn item_executed(&self, execute: &Execute) -> Result<Option<ItemIndex>, String> {
        match (execute.phase, &execute.item) {
            (Phase::Operator | Phase::Side, _) => {
                Err("only commands of init, setup, items and teardown are the back end's".into())
            }
            (Phase::Item, name) => {
                let name = name.as_deref().unwrap_or_default();
                if let Some(item) = self.running_item_named(name) {
                    return Ok(Some(item));
                }
                Err(format!("the item {name:?} is not running; take or begin it first"))
            }
            _ => Ok(None),
        }
    }

    /// Why commands are not even queued; `None` when they are.
    fn why_not_executed(&self, execute: &Execute) -> Option<String> {
        match &self.state.child {
            ChildState::Connected { .. } => {}
            ChildState::Exited { exit, .. } => return Some(format!("the child ended: {exit}")),
            ChildState::None | ChildState::Starting { .. } => return Some("no child is connected".into()),
        }
        if self.stopping() == Some(StopMode::Now) || self.asked {
            return Some("the child is being ended".into());
        }
        if execute.phase == Phase::Item
            && let Some(fault) = self.why_it_fails()
        {
            return Some(fault);
        }
        let gives_up = self.driver.as_ref().and_then(|driver| driver.gives_up.as_ref());
        if let Some(reason) = gives_up.filter(|_| execute.phase != Phase::Teardown) {
            return Some(reason.clone());
        }
        execute.commands.iter().find_map(|command| fits(command).err())
    }

    /// The phase that the session enters by commands of this one. It never goes back.
    pub(super) fn phase_entered(&self, phase: Phase) -> Option<EventKind> {
        let to = match (phase, self.state.phase) {
            (Phase::Setup, SessionPhase::Init) => SessionPhase::Setup,
            (Phase::Item, SessionPhase::Init | SessionPhase::Setup) => SessionPhase::Agenda,
            (Phase::Teardown, SessionPhase::Init | SessionPhase::Setup | SessionPhase::Agenda) => {
                SessionPhase::Teardown
            }
            _ => return None,
        };
        Some(EventKind::Phase { to })
    }
}
