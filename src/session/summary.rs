//! The session at one glance, made from the fold and from what is known beside the events.

use super::Actor;
use super::handle::Inspect;
use super::world::World;
use crate::model::proto::{ItemView, RunningView, Summary};
use crate::model::{CommandState, ItemStatus, Micros, Phase, State};

/// How many characters of a command a row shows.
const HEAD: usize = 200;

/// The beginning of a command's text, for a row.
pub fn head(source: &str) -> String {
    source.chars().take(HEAD).collect()
}

impl<W: World> Inspect for Actor<W> {
    fn state(&self) -> &State {
        &self.state
    }

    fn summary(&self) -> Summary {
        let state = &self.state;
        let telemetry = self.world.telemetry();
        let now = self.world.now();
        Summary {
            seq: state.seq,
            now: now.wall,
            session: self.label.session.clone(),
            name: state.name.clone(),
            backend: state.backend.clone(),
            prompt: self.label.prompt.clone(),
            engine: state.engine,
            phase: state.phase,
            phase_since: state.phase_since,
            held: state.held.clone(),
            stop: state.stop,
            ended: state.ended.clone(),
            child: state.child.clone(),
            running: self.running_view(),
            queued: u32::try_from(state.queued.len()).unwrap_or(u32::MAX),
            item: self.item_view(),
            said: state.said.clone(),
            counts: state.counts.clone(),
            to_go: self.to_go(now.wall),
            typical: state.lengths.median(),
            waits: self.waits(),
            last_output: telemetry.last_output.map(|at| at.wall),
            last_word: self.clocks.word.map(|at| at.wall),
            output: telemetry.output,
            lost_output: state.lost_output,
            not_keeping: telemetry.not_keeping,
            commands: u32::try_from(state.commands.len()).unwrap_or(u32::MAX),
            exceptions: u32::try_from(state.exceptions.len()).unwrap_or(u32::MAX),
            raised: state.exceptions.iter().map(|group| group.count).sum::<u64>() + state.exceptions_uncounted,
            refused: state.refused,
            usage: telemetry.usage,
            clients: telemetry.clients,
        }
    }
}

impl<W: World> Actor<W> {
    fn running_view(&self) -> Option<RunningView> {
        let running = self.state.running?;
        let phase = self.state.command(running.id).map_or(Phase::Operator, |row| row.phase);
        let state = if running.started { CommandState::Started } else { CommandState::Sent };
        Some(RunningView { id: running.id, phase, state, since: running.since, head: head(&self.running_source) })
    }

    fn item_view(&self) -> Option<ItemView> {
        let item = self.state.running_item.as_ref()?.item;
        let name = self.job.agenda.name(item)?.into_owned();
        Some(ItemView { item, name, row: self.state.item(item)?, again: None })
    }

    /// The items left times their mean length, less what the running one has used of it.
    fn to_go(&self, wall: Micros) -> Option<Micros> {
        let mean = self.state.lengths.mean()?;
        let left = [ItemStatus::Pending, ItemStatus::Running, ItemStatus::Retrying, ItemStatus::Waiting]
            .into_iter()
            .map(|status| u64::from(self.state.count(status)))
            .sum::<u64>();
        let used = self.state.running_item.as_ref().map_or(0, |item| wall.since(item.since).0.min(mean.0));
        (left > 0).then(|| Micros((left * mean.0).saturating_sub(used)))
    }
}
