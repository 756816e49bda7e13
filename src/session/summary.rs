//! The session at one glance, made from the fold and from what is known beside the events.

use super::handle::Inspect;
use super::world::World;
use super::{Actor, Label};
use crate::model::proto::{ItemView, RunningView, Summary};
use crate::model::{CommandState, ItemStatus, Job, Micros, OutputPattern, Phase, State};

/// How many characters of a command a row shows.
const HEAD: usize = 200;

/// The beginning of a command's text, for a row.
pub fn head(source: &str) -> String {
    source.chars().take(HEAD).collect()
}

/// What the fold alone says, at a wall time; `running` is the running command's text. What is known beside the events is
/// empty.
pub fn summary_of(state: &State, job: &Job, label: &Label, now: Micros, running: &str) -> Summary {
    Summary {
        seq: state.seq,
        now,
        session: label.session.clone(),
        name: state.name.clone(),
        backend: state.backend.clone(),
        prompt: label.prompt.clone(),
        engine: state.engine,
        phase: state.phase,
        phase_since: state.phase_since,
        held: state.held.clone(),
        stop: state.stop,
        ended: state.ended.clone(),
        child: state.child.clone(),
        running: running_view(state, running),
        queued: u32::try_from(state.queued.len()).unwrap_or(u32::MAX),
        item: item_view(state, job),
        said: state.said.clone(),
        counts: state.counts.clone(),
        to_go: to_go(state, now),
        typical: state.lengths.median(),
        lost_output: state.lost_output,
        commands: u32::try_from(state.commands.len()).unwrap_or(u32::MAX),
        exceptions: u32::try_from(state.exceptions.len()).unwrap_or(u32::MAX),
        raised: state.exceptions.iter().map(|group| group.count).sum::<u64>() + state.exceptions_uncounted,
        refused: state.refused,
        paused: state.paused.clone(),
        timeouts: state.timeouts.clone().unwrap_or_else(|| job.timeouts.clone()),
        stops: state.stops.clone().unwrap_or_else(|| job.stops.clone()),
        diagnoses: u32::try_from(state.diagnoses.len()).unwrap_or(u32::MAX),
        diagnosed: state.diagnoses.last().cloned(),
        ..Summary::default()
    }
}

impl<W: World> Inspect for Actor<W> {
    fn state(&self) -> &State {
        &self.state
    }

    fn patterns(&self) -> &[OutputPattern] {
        &self.label.patterns
    }

    fn summary(&self) -> Summary {
        let telemetry = self.world.telemetry();
        Summary {
            refused: self.state.refused + self.untold_refusals,
            waits: self.waits(),
            last_output: telemetry.last_output.map(|at| at.wall),
            last_word: self.clocks.word.map(|at| at.wall),
            output: telemetry.output,
            not_keeping: telemetry.not_keeping,
            usage: telemetry.usage,
            clients: telemetry.clients,
            ladder: self.ladder_view(),
            rungs: self.rungs(),
            side_eval: self.label.manners.side_eval,
            ..summary_of(&self.state, &self.job, &self.label, self.world.now().wall, &self.running_source)
        }
    }
}

fn running_view(state: &State, source: &str) -> Option<RunningView> {
    let running = state.running?;
    let phase = state.command(running.id).map_or(Phase::Operator, |row| row.phase);
    let command = if running.started { CommandState::Started } else { CommandState::Sent };
    Some(RunningView { id: running.id, phase, state: command, since: running.since, head: head(source) })
}

fn item_view(state: &State, job: &Job) -> Option<ItemView> {
    let item = state.running_item.as_ref()?.item;
    let name = state.added.name(job, item)?.into_owned();
    Some(ItemView { item, name, row: state.item(item)?, again: None, edited: state.edits.contains_key(&item) })
}

/// The items left times their mean length, less what the running one has used of it.
fn to_go(state: &State, wall: Micros) -> Option<Micros> {
    let mean = state.lengths.mean()?;
    let left = [ItemStatus::Pending, ItemStatus::Running, ItemStatus::Retrying, ItemStatus::Waiting]
        .into_iter()
        .map(|status| u64::from(state.count(status)))
        .sum::<u64>();
    let used = state.running_item.as_ref().map_or(0, |item| wall.since(item.since).0.min(mean.0));
    (left > 0).then(|| Micros((left * mean.0).saturating_sub(used)))
}
