//! What the actor does to the outside, as a trait: the engine is the real one, tests bring one with a clock of their own.

use crate::backend::class::ChildLaunch;
use crate::backend::class::bridge::Word;
use crate::dispatcher::{ChannelError, ToChild};
use crate::model::diagnosis::{SessionEvidence, ThreadStack, Trigger};
use crate::model::{
    CommandId, EventKind, Exit, Generation, Hello, HotTree, ItemSpec, Marks, Micros, OutputChecks, Phase, UsagePoint,
};
use crate::store::Recorded;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Since the Unix epoch.
    pub wall: Micros,
    /// Since boot.
    pub mono: Micros,
}

/// What is known beside the events: sampled, not journalled.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Telemetry {
    /// How far the streams have come.
    pub output: Marks,
    /// When the last output byte was read.
    pub last_output: Option<Now>,
    /// Why output is not being kept just now.
    pub not_keeping: Option<String>,
    /// The process tree's usage.
    pub usage: Option<UsagePoint>,
    /// How many clients are connected.
    pub clients: u32,
}

/// What the actor knows when it wants to know what the child is doing.
#[derive(Debug)]
pub struct Inquiry {
    /// Who wants to know.
    pub trigger: Trigger,
    /// What the session itself knows.
    pub session: SessionEvidence,
    /// What the child said of itself, while it is connected.
    pub hello: Option<Box<Hello>>,
    /// How the last child ended, if none lives.
    pub exit: Exit,
    /// Where the child's own answer will come from, if it was asked.
    pub inside: Option<oneshot::Receiver<Vec<ThreadStack>>>,
    /// The running command's text: its lines are in no file.
    pub source: String,
}

/// Files that an item told of, and how they are judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// As the child told of them; relative ones from the folder in which it was started.
    pub paths: Vec<String>,
    /// What is checked beside their being there.
    pub checks: OutputChecks,
    /// When the item's attempt began, wall time.
    pub began: Micros,
}

/// The outside. Nothing here waits.
pub trait World {
    /// The clocks.
    fn now(&self) -> Now;

    /// Writes events to the journal and takes them out of `kinds`, or does neither; the error says what is wrong with
    /// the disk.
    fn journal(&mut self, kinds: &mut Vec<EventKind>) -> Result<Vec<Recorded>, String>;

    /// An event was journalled and folded; tells the followers.
    fn publish(&mut self, recorded: &Recorded, state: &crate::model::State);

    /// The commands of a phase, expanded: `item` is given for [`Phase::Item`] only. Init commands come with the launch.
    fn commands(&self, phase: Phase, item: Option<&ItemSpec>) -> Result<Vec<String>, String>;

    /// A child is wanted. The outside calls [`super::Actor::child_starting`] and what follows it when it happens.
    fn launch(&mut self, generation: Generation);

    /// A driver is wanted. The outside calls [`super::Actor::driver_starting`] and what follows it when it happens.
    fn launch_driver(&mut self);

    /// A back channel is wanted for the driver's child. The outside calls [`super::Actor::channel_opened`].
    fn open_channel(&mut self);

    /// A child is wanted as the driver's class says. It goes on as after [`World::launch`].
    fn launch_driven(&mut self, generation: Generation, launch: ChildLaunch);

    /// What the driver is told of the session when it says hello.
    fn greeting(&self) -> Map<String, Value>;

    /// Says something to the driver.
    fn tell_driver(&mut self, word: Word);

    /// The same, once all output up to there can be read from its files: the driver looks for words in it. In bounded time,
    /// and one word after the other.
    fn tell_driver_after(&mut self, output: Marks, word: Word);

    /// Kills the driver and all that it has started.
    fn kill_driver(&mut self);

    /// The launch has taken too long; nothing of it is wanted any more.
    fn give_up_launch(&mut self);

    /// Looks, without keeping anybody waiting, at the files that an item told of. The outside calls
    /// [`super::Actor::outputs_inspected`] when it has, in bounded time and with every file in order; a new inspection
    /// takes the place of one before.
    fn inspect_outputs(&mut self, inspection: Inspection);

    /// Has everything matched that was printed up to these places, without keeping anybody waiting; `false` when nothing is
    /// looked for. The outside calls [`super::Actor::found`] with what it found, and then [`super::Actor::settled`].
    fn settle(&mut self, upto: Marks) -> bool;

    /// Writes a frame to the child.
    fn send(&mut self, frame: &ToChild<'_>) -> Result<(), ChannelError>;

    /// Drops the channel and stops listening for one.
    fn hang_up(&mut self);

    /// Ends the slice of output that was being collected, and begins the next one's.
    fn boundary(&mut self, next: Option<CommandId>) -> Marks;

    /// Sends a signal to the child's process group.
    fn signal(&mut self, signal: i32) -> Result<(), String>;

    /// Kills the child's group and everything that carries the session's marker.
    fn kill_everything(&mut self);

    /// The end of what the child printed, made safe, a few lines at most.
    fn last_words(&self) -> String;

    /// What is known beside the events.
    fn telemetry(&self) -> Telemetry;

    /// Finds out, without keeping anybody waiting, what the child is doing. The outside calls
    /// [`super::Actor::diagnosed`] when it has, in bounded time; a new inquiry takes the place of one before.
    fn diagnose(&mut self, inquiry: Inquiry);

    /// Stops every process of the child's tree where it is, or lets all of them go on.
    fn pause(&mut self, stop: bool) -> Result<(), String>;

    /// What was sampled of the child until now, whose interpreter says that this is its pid; begins to sample if nobody
    /// does, and ends by itself when nobody asks any more.
    fn hot(&mut self, pid: u32, reset: bool) -> Result<HotTree, String>;
}
