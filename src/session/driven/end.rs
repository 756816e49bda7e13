//! How a driver begins and ends, and how long it is waited for.

use super::super::Actor;
use super::super::actor::Verdict;
use super::super::clocks::after;
use super::super::ladder::Then;
use super::super::world::{Now, World};
use super::{Driver, Stand, fields};
use crate::backend::class::bridge::BridgeError;
use crate::model::{EventKind, Exit, Micros, StopMode, WaitFor};
use std::time::Duration;

/// How often a driver is killed before it counts as one that cannot be.
const KILLS: u8 = 3;

impl<W: World> Actor<W> {
    /// Whether a driver is there whose end must come before the session's.
    pub(in crate::session) fn driver_lives(&self) -> bool {
        self.driver.as_deref().is_some_and(Driver::lives)
    }

    // ---- the beginning ------------------------------------------------------------------------------------------

    /// A driver is wanted, which will ask for a child when it likes.
    pub(in crate::session) fn launch_driver(&mut self) {
        let now = self.world.now();
        self.driver = Some(Box::new(Driver { stand: Stand::Starting(now), since: now, ..Driver::default() }));
        self.world.launch_driver();
    }

    /// The driver is about to be spawned; `false` when it must not be, since that could not be recorded.
    pub fn driver_starting(&mut self, argv: Vec<String>) -> bool {
        let class = self.job.driven.as_ref().map(crate::model::Driven::text).unwrap_or_default();
        let recorded = self.intend(vec![EventKind::BackEndStarting { argv, class }]);
        if !recorded {
            if let Some(driver) = &mut self.driver {
                driver.stand = Stand::None;
            }
            self.launch_wanted = true;
        }
        recorded
    }

    /// No driver could be made.
    pub fn driver_launch_failed(&mut self, reason: String) {
        if let Some(driver) = &mut self.driver {
            driver.stand = Stand::Ended;
        }
        tracing::error!(%reason, "the back end could not be started");
        self.note(&format!("the back end could not be started: {reason}"));
        self.verdict.get_or_insert(Verdict { code: 69, reason });
        self.end();
    }

    // ---- what it is waited for ----------------------------------------------------------------------------------

    /// What is awaited of the driver, since when and until when.
    pub(in crate::session) fn driver_wait(&self) -> Option<(Now, Option<Micros>)> {
        let driver = self.driver.as_ref()?;
        let limits = self.limits();
        let bounded = |since: Now, limit: Option<Duration>| Some((since, limit.map(|limit| after(since, limit))));
        match (driver.stand, driver.ending) {
            (Stand::None | Stand::Ended, _) => None,
            (_, Some(ending)) => {
                let grace = driver.hung_up || driver.kills > 0 || self.stopping() == Some(StopMode::Now);
                bounded(ending, if grace { Some(limits.kill_grace) } else { limits.teardown })
            }
            (Stand::Starting(since), None) => bounded(since, limits.startup),
            (Stand::Loaded, None) if !driver.has_its_turn() => None,
            (Stand::Loaded, None) => bounded(driver.since, limits.startup.filter(|_| !driver.started)),
        }
    }

    /// It has taken too long.
    pub(in crate::session) fn driver_overdue(&mut self) {
        let Some(driver) = &mut self.driver else { return };
        if driver.kills >= KILLS {
            // Nobody can end it; the session must not hang on it.
            return self.driver_ended(Exit::Unknown);
        }
        let reason = match (driver.stand, driver.ending) {
            (_, Some(_)) if driver.hung_up => "the back end closed the bridge, but did not end",
            (_, Some(_)) => "the back end did not end in time",
            (Stand::Starting(_), None) => "the back end did not import its class in time",
            (_, None) => "the back end did not ask for a child in time",
        };
        let code = if driver.ending.is_some() { 70 } else { 69 };
        self.fact(EventKind::TimedOut { what: WaitFor::BackEnd, action: format!("{reason}: it is killed") });
        if self.stopping() != Some(StopMode::Now) {
            self.verdict.get_or_insert_with(|| Verdict { code, reason: reason.to_owned() });
        }
        self.kill_driver();
    }

    /// Neither what the driver says nor its silence is of use any more.
    fn kill_driver(&mut self) {
        let now = self.world.now();
        if let Some(driver) = &mut self.driver {
            driver.kills += 1;
            driver.ending = Some(now);
            driver.inbox.clear();
        }
        self.world.kill_driver();
    }

    /// An item's time is over, and nothing is under way in it but the driver's own thoughts.
    pub(in crate::session) fn driver_overran(&mut self, reason: &str) {
        if self.driver.as_ref().is_some_and(|driver| driver.lives() && driver.has_its_turn()) {
            let reason = format!("{reason}, while the back end did nothing about it");
            self.verdict.get_or_insert(Verdict { code: 70, reason });
            self.kill_driver();
        }
    }

    /// The bridge has ended: because the driver closed it, or because nothing sensible comes from it.
    pub fn bridge_ended(&mut self, why: &BridgeError) {
        if !self.driver_lives() {
            return;
        }
        if !matches!(why, BridgeError::Closed) {
            return self.driver_broke_protocol(&why.to_string());
        }
        // Mostly it is just ending; how it does is what people are told.
        let now = self.world.now();
        if let Some(driver) = &mut self.driver {
            driver.hung_up = true;
            driver.ending.get_or_insert(now);
        }
        self.advance();
    }

    pub(super) fn driver_broke_protocol(&mut self, why: &str) {
        let reason = format!("the back end broke the protocol: {why}");
        self.note(&reason);
        self.verdict.get_or_insert(Verdict { code: 70, reason });
        self.kill_driver();
    }

    // ---- the end ------------------------------------------------------------------------------------------------

    /// The child is gone: what the driver waits for is over, and the session goes on when it has ended too. `false` when
    /// nobody need wait.
    pub(in crate::session) fn await_driver(&mut self, exit: Exit, then: Then) -> bool {
        let now = self.world.now();
        let Some(driver) = self.driver.as_mut().filter(|driver| driver.lives()) else { return false };
        driver.after = Some((exit, then));
        driver.ending.get_or_insert(now);
        if let Some(closing) = driver.close.take() {
            let exit = self.exit_for_driver();
            self.done(closing.request, fields([("exit", exit)]));
        }
        self.advance();
        true
    }

    /// The session is to end, but its driver has not yet; `false` when nobody need wait.
    pub(in crate::session) fn end_waits_for_driver(&mut self) -> bool {
        let now = self.world.now();
        let Some(driver) = self.driver.as_mut().filter(|driver| driver.lives()) else { return false };
        driver.ending.get_or_insert(now);
        true
    }

    /// The driver is gone. What it had asked before was already handed in.
    pub fn driver_ended(&mut self, exit: Exit) {
        let Some(driver) = self.driver.as_mut().filter(|driver| driver.lives()) else { return };
        let hello = driver.stand == Stand::Loaded;
        driver.stand = Stand::Ended;
        driver.inbox.clear();
        let after = driver.after.take();
        self.fact(EventKind::BackEndEnded { exit });
        self.skip_planned("the back end ended");
        let again = after.is_some_and(|(_, then)| self.starts_again(then));
        if !again {
            self.judge_driver(exit, hello, after.map(|(exit, _)| exit));
        }
        if self.current.is_none() || after.is_some() {
            self.forsake_item(&format!("the back end ended before it had reported the item: {exit}"));
        } else {
            self.fault.get_or_insert_with(|| format!("the back end ended: {exit}"));
        }
        match after {
            Some((exit, then)) => self.after_exit(exit, then),
            None if self.alive && self.current.is_some() => {
                self.asked = true;
                self.end_child("the back end ended", Then::AsJobSays);
            }
            None if self.alive => self.leave("the back end ended"),
            None => self.end(),
        }
        self.advance();
    }

    /// What its end says of the session.
    fn judge_driver(&mut self, exit: Exit, hello: bool, child: Option<Exit>) {
        let unbegun = self.driver.as_ref().is_none_or(|driver| !driver.started);
        if self.stopping().is_some_and(|mode| mode == StopMode::Now || unbegun) || self.verdict.is_some() {
            return;
        }
        if let Some(child) = child.filter(|_| !self.asked) {
            self.verdict = Some(Verdict { code: 70, reason: format!("the child was lost: {child}") });
            return;
        }
        let Some(driver) = &self.driver else { return };
        let said = driver.trouble.clone().or_else(|| driver.job_failed.clone());
        let verdict = match exit {
            Exit::Code(0) if !hello => (69, "the back end ended before its class was imported".to_owned()),
            Exit::Code(0) => match &driver.job_failed {
                Some(reason) => (1, reason.clone()),
                None => return,
            },
            Exit::Code(code) => {
                let told = said.unwrap_or_else(|| "the back end failed".to_owned());
                (promised(code, hello), format!("{told} (the back end ended with {exit})"))
            }
            Exit::Signal(_) | Exit::Unknown => (70, format!("the back end was lost: {exit}")),
        };
        self.verdict = Some(Verdict { code: verdict.0, reason: verdict.1 });
    }
}

/// What the engine's own exit codes promise, whatever a class ends with: 70 for what was lost, 69 for what could not begin,
/// else 1.
fn promised(code: i32, hello: bool) -> i32 {
    match code {
        69 | 70 => code,
        _ if hello => 1,
        _ => 69,
    }
}
