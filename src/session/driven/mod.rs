//! A driven session: a back-end class in a helper interpreter decides what comes next, and the engine does and records it.
//!
//! What must stay true: the driver only asks. Holds, breakpoints, operators' commands, time-outs and the ladder are as in
//! every other session, and what the driver waits for just takes longer; a request is answered exactly once, also when the
//! child dies; a child that is gone is never spoken to again, whatever the driver thinks; the session does not end before
//! its driver, and a driver that hangs is not waited for for ever.

mod end;
mod requests;
mod work;

use super::Actor;
use super::actor::Verdict;
use super::ladder::Then;
use super::world::{Now, World};
use crate::backend::class::bridge::{Request, Word};
use crate::model::{
    ChildState, CommandId, CommandOutcome, CommandRow, CommandState, Exit, ItemIndex, Marks, Phase, StopMode,
};
use serde_json::{Map, Value};
use std::collections::VecDeque;

/// How many requests are taken from the driver before those ahead of them were looked at.
const INBOX: usize = 16;

/// What is known of the driver beside the fold.
#[derive(Debug, Default)]
pub(super) struct Driver {
    stand: Stand,
    /// Requests that were not looked at yet; bounded by [`INBOX`] and what one read brings.
    inbox: VecDeque<Request>,
    /// The request for a port.
    open: Option<u64>,
    /// Whether there is a port.
    opened: bool,
    /// The request for a child, until that is there and its own init commands have ended.
    start: Option<u64>,
    /// Whether a child was asked for: there is one a driver.
    started: bool,
    execute: Option<Executing>,
    wants: Option<Wants>,
    report: Option<Reported>,
    close: Option<Closing>,
    /// When it was last answered.
    since: Now,
    /// Since when nothing but its own end is awaited.
    ending: Option<Now>,
    /// How its child has ended, and what is to follow once the driver has, too.
    after: Option<(Exit, Then)>,
    /// What it last said of the job as a whole, if that has failed.
    job_failed: Option<String>,
    /// What went wrong in it, by its own account.
    trouble: Option<String>,
    /// How the last command of the running item failed. What that means is the driver's to say.
    raised: Option<String>,
    /// User code said that the item has failed.
    said_failed: Option<String>,
    /// The stop that it was told of, and whether it was told why.
    told: Option<(StopMode, bool)>,
    /// Why the session fails, whatever the driver does.
    gives_up: Option<String>,
    /// Whether it closed the bridge.
    hung_up: bool,
    kills: u8,
}

/// Where the driver stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stand {
    /// None was started.
    #[default]
    None,
    /// It is on its way since then.
    Starting(Now),
    /// Its class is imported.
    Loaded,
    /// It is gone.
    Ended,
}

/// Commands that the driver waits for.
#[derive(Debug)]
struct Executing {
    request: u64,
    first: CommandId,
    last: CommandId,
    /// What the first that failed raised.
    error: String,
}

/// Work that the driver waits for.
#[derive(Debug)]
struct Wants {
    request: u64,
    /// The item that is to be begun; `None`: whatever comes next.
    item: Option<ItemIndex>,
}

/// An item that the driver says has ended.
#[derive(Debug)]
struct Reported {
    request: u64,
    verdict: Said,
}

/// How it has, by the driver's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Complete,
    Failed,
    /// To be done another time.
    GivenBack,
}

/// The child is to end.
#[derive(Debug)]
struct Closing {
    request: u64,
    code: i32,
}

impl Driver {
    fn lives(&self) -> bool {
        matches!(self.stand, Stand::Starting(_) | Stand::Loaded)
    }

    /// Whether nothing keeps it waiting but itself.
    fn has_its_turn(&self) -> bool {
        self.inbox.is_empty()
            && self.open.is_none()
            && self.start.is_none()
            && self.execute.is_none()
            && self.wants.is_none()
            && self.report.is_none()
            && self.close.is_none()
    }
}

impl<W: World> Actor<W> {
    /// Whether a driver decides what comes next.
    pub(super) fn is_driven(&self) -> bool {
        self.driver.is_some()
    }

    /// Whether there is room for another request of the driver's.
    pub fn hears_driver(&self) -> bool {
        self.driver.as_ref().is_some_and(|driver| driver.inbox.len() < INBOX)
    }

    /// Takes a request of the driver's.
    pub fn driver_asked(&mut self, request: Request) {
        if let Some(driver) = self.driver.as_mut().filter(|driver| driver.lives()) {
            driver.inbox.push_back(request);
            self.advance();
        }
    }

    /// Answers what can be answered, and looks at the next request; `false` when there is nothing to do but wait.
    pub(super) fn serve_driver(&mut self) -> bool {
        self.tell_driver_of_stop();
        if self.execute_is_over() || self.start_is_over() || self.wants_nothing_more() || self.reported_item_ends() {
            return true;
        }
        let Some(request) = self.driver.as_mut().and_then(|driver| driver.inbox.pop_front()) else { return false };
        if !self.take_request(&request)
            && let Some(driver) = &mut self.driver
        {
            // It could not be journalled; what was asked is not forgotten by that.
            driver.inbox.push_front(request);
            return false;
        }
        true
    }

    /// What is next for an idle child; `false` when it is the driver's turn.
    pub(super) fn driven_step(&mut self) -> bool {
        if self.state.running_item.is_none() && self.fails_by_output() {
            return true;
        }
        let Some(driver) = &self.driver else { return false };
        if let Some(closing) = &driver.close {
            let code = closing.code;
            self.leave_with("the back end closes it", code);
            return false;
        }
        driver.wants.is_some() && self.state.running_item.is_none() && self.next_item()
    }

    // ---- answers ------------------------------------------------------------------------------------------------

    fn done(&mut self, request: u64, fields: Map<String, Value>) {
        self.answer_driver(Word::Done(request, fields));
    }

    fn refuse(&mut self, request: u64, why: &str) {
        self.answer_driver(Word::Refused(request, why.to_owned()));
    }

    fn answer_driver(&mut self, word: Word) {
        let now = self.world.now();
        if let Some(driver) = &mut self.driver {
            driver.since = now;
        }
        self.world.tell_driver(word);
    }

    fn tell_driver_of_stop(&mut self) {
        let (stopping, now) = (self.stopping(), self.world.now());
        let idle = !self.alive && self.clocks.launched.is_none();
        let Some(driver) = self.driver.as_mut().filter(|driver| driver.lives()) else { return };
        if idle && stopping == Some(StopMode::Now) {
            driver.ending.get_or_insert(now);
        }
        let fails = driver.gives_up.is_some();
        let mode = stopping.or(fails.then_some(StopMode::AfterItem));
        if let Some(mode) = mode.filter(|mode| driver.stand == Stand::Loaded && driver.told < Some((*mode, fails))) {
            driver.told = Some((mode, fails));
            self.world.tell_driver(Word::Stop(mode, driver.gives_up.clone()));
        }
    }

    /// The session has failed. What is left to do, such as the teardown, is the driver's to ask for.
    pub(super) fn driver_must_give_up(&mut self, code: i32, reason: String) {
        if let Some(driver) = &mut self.driver {
            driver.gives_up.get_or_insert_with(|| reason.clone());
        }
        self.verdict.get_or_insert(Verdict { code, reason });
    }

    /// The child's exit as Python's `subprocess` has it; null while it lives.
    fn exit_for_driver(&self) -> Value {
        match self.state.child {
            ChildState::Exited { exit, .. } => Value::from(returncode(exit)),
            _ => Value::Null,
        }
    }

    // ---- what runs ----------------------------------------------------------------------------------------------

    /// A command has ended; `failed` says how, if it did not as it should.
    pub(super) fn driver_saw_the_end_of(&mut self, id: CommandId, outcome: &CommandOutcome, failed: Option<&str>) {
        let execute = self.driver.as_mut().and_then(|driver| driver.execute.as_mut());
        let Some(execute) = execute.filter(|execute| (execute.first..=execute.last).contains(&id)) else { return };
        if execute.error.is_empty()
            && let Some(failed) = failed
        {
            execute.error = match outcome {
                CommandOutcome::Raised { exception, .. } if !exception.text.is_empty() => exception.text.clone(),
                _ => failed.to_owned(),
            };
        }
    }

    /// A command of a phase failed. Only the driver knows what that means, but for commands that it does not know of.
    pub(super) fn driven_command_failed(&mut self, phase: Phase, reason: &str) {
        match phase {
            Phase::Item => {
                if let Some(driver) = &mut self.driver {
                    driver.raised = Some(reason.to_owned());
                }
            }
            Phase::Init => self.start_failed(&format!("an init command failed: {reason}")),
            _ => {}
        }
    }

    /// Why the running item or the session fails, as far as the engine knows.
    fn why_it_fails(&self) -> Option<String> {
        self.fault.clone().or_else(|| self.condemned.clone()).or_else(|| self.doomed.clone())
    }

    /// User code said that the running item has failed.
    pub(super) fn driver_overheard_failure(&mut self, message: &str) {
        if let Some(driver) = &mut self.driver {
            driver.said_failed.get_or_insert_with(|| message.to_owned());
        }
    }

    /// Answers the driver when all of its commands have ended, or the child has.
    fn execute_is_over(&mut self) -> bool {
        let Some(execute) = self.driver.as_ref().and_then(|driver| driver.execute.as_ref()) else { return false };
        let is_final = |id| self.state.command(id).is_none_or(|row| row.state.is_final());
        if !is_final(execute.last)
            || self.current.is_some_and(|running| (execute.first..=execute.last).contains(&running.id))
        {
            return false;
        }
        let commands = (execute.first.0..=execute.last.0).filter_map(|id| self.state.command(CommandId(id)));
        let rows: Vec<CommandRow> = commands.collect();
        let count = |wanted: CommandState| rows.iter().filter(|row| row.state == wanted).count();
        let (ran, well) = (rows.len() - count(CommandState::Skipped), count(CommandState::Finished) == rows.len());
        let output = rows.iter().fold(Marks::default(), |far, row| Marks {
            stdout: far.stdout.max(row.to.stdout),
            stderr: far.stderr.max(row.to.stderr),
        });
        let (request, mut error) = (execute.request, execute.error.clone());
        let exit = self.exit_for_driver();
        if error.is_empty() {
            error = match self.state.child {
                ChildState::Exited { exit, .. } => format!("the child ended: {exit}"),
                _ if well => String::new(),
                _ => self.why_it_fails().unwrap_or_else(|| "its commands were not run to their end".to_owned()),
            };
        }
        // A command that ended well in a child that is gone since is no success, whatever the exit code.
        let code = i32::from(!well || !error.is_empty());
        if let Some(driver) = &mut self.driver {
            driver.execute = None;
        }
        let answer = fields([("code", code.into()), ("exit", exit), ("error", error.into()), ("ran", ran.into())]);
        let now = self.world.now();
        if let Some(driver) = &mut self.driver {
            driver.since = now;
        }
        self.world.tell_driver_after(output, Word::Done(request, answer));
        true
    }
}

/// How a process has ended, as Python's `subprocess` has it.
fn returncode(exit: Exit) -> i32 {
    match exit {
        Exit::Code(code) => code,
        Exit::Signal(signal) => -signal.0,
        Exit::Unknown => -1,
    }
}

fn fields<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
