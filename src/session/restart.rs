//! Another child in this one's place: init and setup run again, and the agenda goes on.

use super::Actor;
use super::ladder::Then;
use super::requests::{Answer, disk_full, done, not_now};
use super::world::World;
use crate::dispatcher::ToChild;
use crate::model::{EventKind, Origin, SessionPhase};

impl<W: World> Actor<W> {
    /// Ends the child and starts another one. What is held stays held.
    pub(super) fn restart(&mut self, by: Origin, now: bool) -> Answer {
        self.refuse_if_over()?;
        if self.is_supervised() {
            return Err(not_now("the supervisor starts this job's instances: retry the instance in Qube instead"));
        }
        let again = self.ladder.as_ref().is_some_and(|ladder| ladder.then() == Then::Another);
        if again || !self.alive {
            return done("another child is being started already");
        }
        if self.asked
            || self.stopping().is_some()
            || self.verdict.is_some()
            || self.state.phase == SessionPhase::Teardown
        {
            return Err(not_now("the session is ending; start the job anew, or resume it, when it has"));
        }
        if let Some(running) = self.current.filter(|_| !now) {
            return Err(not_now(&format!(
                "command {} is running, and a restart would end it; ask for it now",
                running.id
            )));
        }
        let item = self.state.running_item.as_ref().and_then(|running| self.state.added.name(&self.job, running.item));
        if let Some(name) = item.filter(|_| !now) {
            return Err(not_now(&format!("item {name} is under way, and would fail by a restart; ask for it now")));
        }
        let reason = format!("{} restarted the child", by.user);
        if !self.intend(vec![EventKind::RestartRequested { by: Some(by) }]) {
            return Err(disk_full());
        }
        self.skip_planned("the child is restarted");
        if self.state.running_item.is_some() {
            self.fault.get_or_insert_with(|| reason.clone());
        }
        let idle = self.current.is_none() && self.hello().is_some();
        if idle && self.world.send(&ToChild::Shutdown { code: 0 }).is_ok() {
            self.asked = true;
            self.expect_end(&reason);
            self.then_do(Then::Another);
        } else {
            self.end_child(&reason, Then::Another);
        }
        done("the child is ended, and another one started")
    }
}
