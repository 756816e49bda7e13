//! The items of a driven session: taken from the agenda, or brought by the driver from its supervisor, and reported.

use super::super::Actor;
use super::super::world::World;
use super::{Reported, Said, Wants, fields};
use crate::backend::class::job::{Given, work};
use crate::backend::class::named;
use crate::model::{ChildState, EventKind, ItemIndex, ItemStatus, OutputFile, Phase, ResultPackage, SessionPhase};
use serde_json::{Map, Value};

/// The longest name of an item, in characters.
const NAME: usize = 200;
/// Why work is not begun.
const NOT_BEGUN: &str =
    "the work is not begun: no child is there, an operator has kept it back, or the session is to end";
/// What is wrong with an item that was never reported.
const OTHER_WORK: &str = "the back end asked for other work before it had reported the item";

impl<W: World> Actor<W> {
    /// Whether a supervisor gives the work, and decides what is tried again.
    pub(in crate::session) fn is_supervised(&self) -> bool {
        self.job.driven.as_ref().is_some_and(|driven| driven.under_qube)
    }

    // ---- taken and begun ----------------------------------------------------------------------------------------

    /// The next item of the session's own agenda.
    pub(super) fn driver_takes(&mut self, id: u64) -> bool {
        if self.is_supervised() {
            self.refuse(id, "the work is the supervisor's to give: ask for it there, and have it begun here");
            return true;
        }
        self.driver_wants(Wants { request: id, item: None })
    }

    /// An item that the supervisor gave.
    pub(super) fn driver_begins(&mut self, id: u64, given: &Map<String, Value>) -> bool {
        let Some(name) = named(given, "name").filter(|name| !name.is_empty() && name.chars().count() <= NAME) else {
            self.refuse(id, &format!("work needs a name of at most {NAME} characters"));
            return true;
        };
        if self.begins_nothing() {
            // What is done stays done, whoever wants it again too late.
            self.refuse(id, NOT_BEGUN);
            return true;
        }
        self.forsake_item(OTHER_WORK);
        let Some(item) = self.item_of_work(&name, given) else { return false };
        let status = self.state.item(item).map(|row| row.status).unwrap_or_default();
        // The supervisor wants it again.
        if !matches!(status, ItemStatus::Pending | ItemStatus::Waiting)
            && !self.intend(vec![EventKind::ItemChanged { item, status: ItemStatus::Pending, by: None }])
        {
            return false;
        }
        self.driver_wants(Wants { request: id, item: Some(item) })
    }

    /// The item of this name, added if the agenda does not have it; `None` when that could not be journalled.
    fn item_of_work(&mut self, name: &str, given: &Map<String, Value>) -> Option<ItemIndex> {
        if let Some(item) = self.state.added.find(&self.job, name) {
            return Some(item);
        }
        let commands = given.get("package").and_then(|package| package.get("commands")).and_then(Value::as_array);
        let commands = commands.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let item = ItemIndex(u32::try_from(self.state.items.len()).ok()?);
        self.intend(vec![EventKind::ItemAdded { item, name: name.to_owned(), commands }]).then_some(item)
    }

    fn driver_wants(&mut self, wants: Wants) -> bool {
        if self.driver.as_ref().is_some_and(|driver| driver.wants.is_some()) {
            self.refuse(wants.request, "work was asked for already");
            return true;
        }
        self.forsake_item(OTHER_WORK);
        if matches!(self.state.child, ChildState::Connected { .. })
            && let Some(entered) = self.phase_entered(Phase::Item)
            && !self.intend(vec![entered])
        {
            return false;
        }
        if let Some(item) = wants.item {
            self.run_next(item);
        }
        self.clocks.source = None;
        if let Some(driver) = &mut self.driver {
            driver.wants = Some(wants);
        }
        true
    }

    /// Nothing is begun any more: the driver, which waits for work, is told so.
    pub(super) fn wants_nothing_more(&mut self) -> bool {
        let wanted = self.driver.as_ref().and_then(|driver| driver.wants.as_ref()?.item);
        // An operator may have blocked or ended it while it waited for its turn.
        let taken = wanted
            .and_then(|item| self.state.item(item))
            .is_some_and(|row| !matches!(row.status, ItemStatus::Pending | ItemStatus::Waiting));
        (taken || self.begins_nothing()) && self.give_no_work("pending")
    }

    /// Whether no item can be begun any more, or none yet.
    fn begins_nothing(&self) -> bool {
        let gone = !matches!(self.state.child, ChildState::Connected { .. }) || self.asked;
        let gives_up = self.driver.as_ref().is_some_and(|driver| driver.gives_up.is_some());
        gone || gives_up || self.state.phase == SessionPhase::Teardown || self.stopping().is_some()
    }

    /// The agenda has nothing left; `true`, since something was done.
    pub(in crate::session) fn agenda_is_done(&mut self) -> bool {
        self.give_no_work("complete")
    }

    fn give_no_work(&mut self, status: &str) -> bool {
        let Some(wants) = self.driver.as_mut().and_then(|driver| driver.wants.take()) else { return false };
        if wants.item.is_some() {
            self.refuse(wants.request, NOT_BEGUN);
            return true;
        }
        let none = [("name", "".into()), ("status", status.into()), ("package", Value::Object(Map::new()))];
        self.done(wants.request, fields([("work", Value::Object(fields(none)))]));
        true
    }

    /// The item has begun: its driver gets it, with its commands.
    pub(in crate::session) fn hand_out(&mut self, item: ItemIndex, commands: Vec<String>) {
        let Some(driver) = &mut self.driver else { return };
        (driver.raised, driver.said_failed) = (None, None);
        let Some(wants) = driver.wants.take() else { return };
        let answer = match (wants.item, self.state.item_spec(&self.job, item)) {
            (None, Some(spec)) => {
                let attempt = self.state.item(item).map_or(1, |row| row.attempt);
                let given = Given { commands, status: ItemStatus::Running, attempt };
                fields([("work", Value::Object(work(&self.job, self.job.qube.as_ref(), item, &spec, &given)))])
            }
            _ => Map::new(),
        };
        self.done(wants.request, answer);
    }

    // ---- reported -----------------------------------------------------------------------------------------------

    pub(super) fn driver_reports(
        &mut self,
        id: u64,
        given: &Map<String, Value>,
        result: ResultPackage,
        reason: Option<&str>,
    ) -> bool {
        let (name, status) = (named(given, "name").unwrap_or_default(), named(given, "status").unwrap_or_default());
        let Some(item) = self.running_item_named(&name) else {
            return self.driver_reports_other(id, &name, &status, given);
        };
        let verdict = match status.as_str() {
            "running" => None,
            "complete" => Some(Said::Complete),
            "failed" => Some(Said::Failed),
            "pending" | "blocked" | "waiting" => Some(Said::GivenBack),
            other => {
                self.refuse(id, &format!("{other:?} is no status that an item can be reported with"));
                return true;
            }
        };
        if !result.is_empty() && !self.intend(vec![EventKind::ItemReported { item, result }]) {
            return false;
        }
        if let (Some(Said::Failed), Some(reason), Some(driver)) = (verdict, reason, &mut self.driver) {
            // The class has judged what its commands raised, too.
            driver.raised = Some(reason.chars().take(4096).collect());
        }
        match (verdict, &mut self.driver) {
            (Some(verdict), Some(driver)) if driver.report.is_none() => {
                driver.report = Some(Reported { request: id, verdict });
            }
            _ => self.done(id, Map::new()),
        }
        true
    }

    /// The running item, if that is its name.
    pub(super) fn running_item_named(&self, name: &str) -> Option<ItemIndex> {
        let item = self.state.running_item.as_ref()?.item;
        (self.state.added.name(&self.job, item)? == name).then_some(item)
    }

    /// Work that was never begun here: a check before it may have failed it.
    fn driver_reports_other(&mut self, id: u64, name: &str, status: &str, given: &Map<String, Value>) -> bool {
        let status = match status {
            "failed" => ItemStatus::Failed,
            "complete" => ItemStatus::Complete,
            _ => {
                self.refuse(id, &format!("the item {name:?} is not running"));
                return true;
            }
        };
        if name.is_empty() || name.chars().count() > NAME || !self.is_supervised() {
            self.refuse(id, &format!("the item {name:?} is not running"));
            return true;
        }
        let Some(item) = self.item_of_work(name, given) else { return false };
        if !self.intend(vec![EventKind::ItemChanged { item, status, by: None }]) {
            return false;
        }
        self.done(id, fields([("status", status.word().into())]));
        true
    }

    /// The item that was reported ends, once all that it printed was matched and somebody has looked for its files if that
    /// is wanted.
    pub(super) fn reported_item_ends(&mut self) -> bool {
        let reported = self.driver.as_ref().is_some_and(|driver| driver.report.is_some());
        let looks = self.inspects_outputs() && !self.killed;
        if !reported || looks || self.matching.is_some() {
            return false;
        }
        let Some(item) = self.state.running_item.as_ref().map(|running| running.item) else { return false };
        let said = self.driver.as_ref().and_then(|driver| driver.report.as_ref()).map(|report| report.verdict);
        if said == Some(Said::Complete) && self.must_inspect_outputs() {
            self.inspect_outputs();
            return false;
        }
        self.finish_item(item);
        let Some(report) = self.driver.as_mut().and_then(|driver| driver.report.take()) else { return false };
        let status = self.state.item(item).map(|row| row.status).unwrap_or_default();
        self.done(report.request, fields([("status", status.word().into())]));
        true
    }

    /// Why the running item has failed, if it has, beyond what the engine knows; and whether it is to be given back.
    pub(in crate::session) fn reported_fault(&mut self, result: &ResultPackage) -> (Option<String>, bool) {
        let Some(driver) = &mut self.driver else { return (result.errors.first().cloned(), false) };
        let (raised, said) = (driver.raised.take(), driver.said_failed.take());
        // What is wrong with its files nobody but the engine has seen.
        let seen = || result.files.iter().find_map(OutputFile::complaint);
        match driver.report.as_ref().map(|report| report.verdict) {
            Some(Said::GivenBack) => (None, true),
            // What a class says of its item counts, whatever its commands raised. What user code said does too, and what
            // patterns and checks of the job's and the recipe's have found.
            Some(Said::Complete) => (said.or_else(|| self.condemned.take()).or_else(seen), false),
            Some(Said::Failed) => {
                let reason = raised.or(said).or_else(|| result.errors.first().cloned());
                (Some(reason.unwrap_or_else(|| "the back end reported it as failed".into())), false)
            }
            None => (raised.or(said).or_else(|| result.errors.first().cloned()), false),
        }
    }

    /// The driver has gone on without a word about its item.
    pub(super) fn forsake_item(&mut self, why: &str) {
        if let Some(item) = self.state.running_item.as_ref().map(|running| running.item) {
            self.fault.get_or_insert_with(|| why.to_owned());
            self.finish_item(item);
            if let Some(report) = self.driver.as_mut().and_then(|driver| driver.report.take()) {
                self.refuse(report.request, why);
            }
        }
    }
}
