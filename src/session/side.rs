//! Python beside the main thread, while that is busy or not.
//!
//! What must stay true: it never waits in the queue and is never the command that runs: no clock is kept for it, and the
//! running command's slice of the output is not cut by it.

use super::Actor;
use super::queue::Waiting;
use super::requests::{Reply, disk_full, invalid, not_now};
use super::sending::{fits, queued};
use super::world::{Now, World};
use crate::dispatcher::{ChannelError, ToChild, qube};
use crate::model::proto::{Refusal, RefusalKind};
use crate::model::{CommandId, CommandOutcome, EventKind, Marks, Micros, Origin, Phase};

/// How many may be under way at once; the child itself takes no more.
const AT_ONCE: usize = 4;

/// A command that runs beside the main thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beside {
    id: CommandId,
    sent: Now,
    /// Where the streams were known to be: its slice is empty, and lies there.
    at: Marks,
}

impl Beside {
    fn ended(&self, outcome: CommandOutcome, now: Now) -> EventKind {
        EventKind::CommandEnded { id: self.id, outcome, took: now.mono.since(self.sent.mono), to: self.at }
    }
}

impl<W: World> Actor<W> {
    /// Runs it at once; the answer comes at its end.
    pub(super) fn side(&mut self, by: Origin, source: String, confirmed: bool, reply: Reply) {
        if let Err(refusal) = self.refuse_side(&source, confirmed) {
            // Whoever asked may have gone.
            let _ = reply.send(Err(refusal));
            return;
        }
        let id = self.state.next_command();
        let at = self.state.reached;
        let command = Waiting { id, phase: Phase::Side, item: None, source, value: true };
        if !self.intend(vec![queued(&command, Some(by.clone())), EventKind::CommandSent { id, from: at }]) {
            let _ = reply.send(Err(disk_full()));
            return;
        }
        self.beside.push(Beside { id, sent: self.world.now(), at });
        let sent = self.world.send(&ToChild::Side { id, source: &command.source });
        self.desk.expect(id, command.source, by, reply);
        if let Err(error) = sent {
            self.side_ended(id, CommandOutcome::Skipped { reason: error.to_string() });
        }
    }

    fn refuse_side(&self, source: &str, confirmed: bool) -> Result<(), Refusal> {
        self.refuse_if_over()?;
        let Some(hello) = self.hello() else { return Err(not_now("no child is connected")) };
        if hello.features.iter().any(|has| has == qube::FEATURE) {
            return Err(not_now(&ChannelError::NotPossible.to_string()));
        }
        if !hello.features.iter().any(|has| has == "side") {
            return Err(not_now("this child cannot run anything beside its main thread"));
        }
        if !self.label.manners.side_eval && !confirmed {
            let message = format!(
                "the backend {} does not say that Python may be run beside the main thread, so this may crash the host; \
                 confirm it (--yes) to run it all the same",
                self.job.backend
            );
            return Err(Refusal { kind: RefusalKind::NotAllowed, message });
        }
        if self.beside.len() >= AT_ONCE {
            return Err(not_now(&format!("{AT_ONCE} commands run beside the main thread already")));
        }
        fits(source).map_err(|why| invalid(&why))
    }

    pub(super) fn is_beside(&self, id: CommandId) -> bool {
        self.beside.iter().any(|beside| beside.id == id)
    }

    pub(super) fn side_ended(&mut self, id: CommandId, outcome: CommandOutcome) {
        let Some(place) = self.beside.iter().position(|beside| beside.id == id) else { return };
        let ended = self.beside.remove(place).ended(outcome, self.world.now());
        self.fact(ended);
    }

    /// The child is gone, and what ran beside its main thread with it.
    pub(super) fn lose_side(&mut self, reason: &str) -> Vec<EventKind> {
        let now = self.world.now();
        let lost = |beside: Beside| beside.ended(CommandOutcome::Lost { reason: reason.to_owned() }, now);
        self.beside.drain(..).map(lost).collect()
    }

    /// What ran beside the main thread of a child whose engine has died.
    pub(super) fn lost_beside(&self, reason: &str) -> Vec<EventKind> {
        let rows = self.state.commands.iter().rev().zip((1..=self.state.commands.len() as u64).rev());
        let of_this_child = rows.take_while(|(row, _)| row.generation == self.state.generation);
        let open = of_this_child.filter(|(row, _)| row.phase == Phase::Side && !row.state.is_final());
        open.map(|(row, number)| EventKind::CommandEnded {
            id: CommandId(number),
            outcome: CommandOutcome::Lost { reason: reason.to_owned() },
            took: Micros(0),
            to: row.from,
        })
        .collect()
    }
}
