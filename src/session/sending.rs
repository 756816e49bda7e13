//! Commands on their way: numbered, queued, sent, or skipped.

use super::Actor;
use super::actor::Current;
use super::queue::Waiting;
use super::world::World;
use crate::dispatcher::ToChild;
use crate::dispatcher::channel::FRAME_LIMIT;
use crate::model::{CommandId, CommandOutcome, EventKind, ItemIndex, Marks, Micros, Phase};

impl<W: World> Actor<W> {
    /// The commands of a phase, numbered.
    pub(super) fn commands(&self, phase: Phase, item: Option<ItemIndex>, sources: Vec<String>) -> Vec<Waiting> {
        let first = self.state.next_command().0;
        let numbered = sources.into_iter().zip(first..);
        numbered.map(|(source, id)| Waiting { id: CommandId(id), phase, item, source, value: false }).collect()
    }

    /// Enters a phase or begins an item, and queues its commands: all of it in one write, or nothing. `false` when that
    /// could not be journalled; the caller has made sure that each command [fits](fits) a frame.
    pub(super) fn begin_phase(
        &mut self,
        lead: EventKind,
        phase: Phase,
        item: Option<ItemIndex>,
        sources: Vec<String>,
    ) -> bool {
        let commands = self.commands(phase, item, sources);
        let mut kinds = vec![lead];
        kinds.extend(commands.iter().map(|command| queued(command, None)));
        let begun = self.intend(kinds);
        if begun {
            self.queue.extend(commands);
        }
        begun
    }

    /// Sends the command whose turn it is. Recorded first; when that fails it stays in its queue.
    pub(super) fn send_next(&mut self) {
        let Some(next) = self.queue.front() else { return };
        let id = next.id;
        let from = self.world.boundary(Some(id));
        if !self.intend(vec![EventKind::CommandSent { id, from }]) {
            self.world.boundary(None);
            return;
        }
        let Some(command) = self.queue.pop() else { return };
        self.has_sent(command.phase);
        let now = self.world.now();
        self.clocks.sent = Some(now);
        self.current = Some(Current { id, phase: command.phase });
        self.clocks.sign = None;
        let item = command.item.and_then(|item| self.state.added.name(&self.job, item));
        let item = item.map(std::borrow::Cow::into_owned);
        let frame = ToChild::Execute {
            id,
            source: &command.source,
            phase: command.phase,
            item: item.as_deref(),
            value: command.value,
        };
        let sent = self.world.send(&frame);
        self.running_source = command.source;
        if let Err(error) = sent {
            self.command_ended(id, CommandOutcome::Skipped { reason: error.to_string() });
        }
    }

    pub(super) fn skip_planned(&mut self, reason: &str) {
        let ids = self.queue.take_planned();
        self.skip(ids, reason);
    }

    pub(super) fn skip_all(&mut self, reason: &str) {
        let ids = self.queue.take_all();
        self.skip(ids, reason);
    }

    pub(super) fn skip(&mut self, ids: Vec<CommandId>, reason: &str) {
        let facts = ids.into_iter().map(|id| EventKind::CommandEnded {
            id,
            outcome: CommandOutcome::Skipped { reason: reason.to_owned() },
            took: Micros(0),
            to: Marks::default(),
        });
        self.record(facts.collect());
    }
}

/// The event of a command's being queued.
pub(super) fn queued(command: &Waiting, by: Option<crate::model::Origin>) -> EventKind {
    EventKind::CommandQueued {
        id: command.id,
        phase: command.phase,
        item: command.item,
        source: command.source.clone(),
        value: command.value,
        by,
    }
}

/// Whether a command can be sent in one frame, once it is JSON, in which a byte may become six.
pub(super) fn fits(source: &str) -> Result<(), String> {
    let limit = FRAME_LIMIT - 4096;
    if source.len() <= limit / 6 || serde_json::to_string(source).is_ok_and(|text| text.len() <= limit) {
        return Ok(());
    }
    Err(format!("a command of {} bytes is too long to be sent; write it to a file and run that", source.len()))
}
