//! A job as it is run and stored: already read, checked and complete, so that a resumed session needs no file.

use super::{ItemIndex, ItemStatus, OutputChecks, OutputPattern, PathMap, Policies, Stops};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What to run. Made by the `job` room from a file or from flags, stored in `session.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Job {
    /// Shown to people.
    pub name: String,
    /// A recipe's name, or the path of one.
    pub backend: String,
    /// Values for the recipe's own keys (`executable` …), over the recipe's.
    pub backend_settings: BTreeMap<String, Value>,
    /// Values for `{key}` placeholders.
    pub parameters: BTreeMap<String, Value>,
    /// The child's working directory; the engine's if none.
    pub cwd: Option<PathBuf>,
    /// Environment given to the child, over everything else.
    pub env: BTreeMap<String, String>,
    /// Command templates by phase.
    pub phases: Phases,
    /// The work.
    pub agenda: Agenda,
    /// Bounds on every wait.
    pub timeouts: Timeouts,
    /// What happens when an item fails.
    pub retry: Retry,
    /// How often a dead child is started again before the session fails.
    pub restarts: u32,
    /// Whether an item without an output path fails.
    pub outputs_required: bool,
    /// How its output files are judged.
    pub outputs: OutputChecks,
    /// What is looked for in the output, over the recipe's.
    pub patterns: Vec<OutputPattern>,
    /// Names of the recipe's patterns that are not looked for.
    pub patterns_off: Vec<String>,
    /// Whether the agenda waits from the start and the engine stays when it is done.
    pub hold: bool,
    /// Where the agenda stops by itself.
    pub stops: Stops,
    /// Where the values of settings and parameters were given, by `settings.KEY` and `parameters.KEY`: a place in a file, or
    /// a flag. Those of the recipe are not in it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub origins: BTreeMap<String, String>,
    /// Whether the child's stderr goes into its stdout.
    pub stderr_to_stdout: bool,
    /// What paths of other machines are called here. The job's own are mapped already, but for those in commands.
    pub path_map: PathMap,
    /// The job as Qube has it, when it came from there: its commands are Python as they stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qube: Option<Value>,
    /// What was odd about it when it was read, and did not keep it from being run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Who decides what comes next, if not the job itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driven: Option<Driven>,
}

/// A class in a helper interpreter decides what comes next: Qube's way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Driven {
    /// Where the class stands; `None` for the stock one.
    pub file: Option<PathBuf>,
    /// Its name.
    pub class: String,
    /// Whether the work comes from a Qube supervisor, which also decides what is tried again.
    pub under_qube: bool,
}

impl Driven {
    /// `/path/file.py:Class`; empty for the stock class.
    pub fn text(&self) -> String {
        self.file.as_ref().map_or_else(String::new, |file| format!("{}:{}", file.display(), self.class))
    }
}

impl Default for Job {
    fn default() -> Self {
        Self {
            name: "unnamed".into(),
            backend: "python".into(),
            backend_settings: BTreeMap::new(),
            parameters: BTreeMap::new(),
            cwd: None,
            env: BTreeMap::new(),
            phases: Phases::default(),
            agenda: Agenda::default(),
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            restarts: 0,
            outputs_required: false,
            outputs: OutputChecks::default(),
            patterns: Vec::new(),
            patterns_off: Vec::new(),
            hold: false,
            stops: Stops::default(),
            origins: BTreeMap::new(),
            stderr_to_stdout: false,
            path_map: PathMap::default(),
            qube: None,
            warnings: Vec::new(),
            driven: None,
        }
    }
}

impl Job {
    /// What is looked for in the output: the recipe's patterns, those of the job in the places of those of the same name,
    /// and the job's others.
    pub fn patterns_over(&self, recipe: &[OutputPattern]) -> Vec<OutputPattern> {
        let own = |name: &str| self.patterns.iter().find(|pattern| pattern.name == name);
        let known = |name: &str| recipe.iter().any(|pattern| pattern.name == name);
        let theirs = recipe.iter().filter(|pattern| !self.patterns_off.contains(&pattern.name));
        let theirs = theirs.map(|pattern| own(&pattern.name).unwrap_or(pattern));
        theirs.chain(self.patterns.iter().filter(|pattern| !known(&pattern.name))).cloned().collect()
    }
}

/// Command templates: one string is one command.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Phases {
    /// After the child has connected and the backend's own init commands.
    pub init: Vec<String>,
    /// Loads what the items need. Run again after a restart, like `init`.
    pub setup: Vec<String>,
    /// Every item's commands, unless the item has its own.
    pub commands: Vec<String>,
    /// Before the child is asked to end; run after a failure too.
    pub teardown: Vec<String>,
}

/// The job's items. Frames stay ranges: a million of them cost no memory.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agenda {
    /// No work: a supervised interpreter to work in.
    #[default]
    Empty,
    /// Frames in the order given, each once, `chunk` to an item.
    Frames {
        /// Non-overlapping runs, in order.
        runs: Vec<FrameRun>,
        /// Frames an item, from 1. A chunk never spans two runs.
        chunk: u32,
    },
    /// Named items.
    Items(Vec<ItemSpec>),
}

/// Frames `first`, `first + step`, … up to `count` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameRun {
    /// The first frame.
    pub first: i64,
    /// How many frames, from 1.
    pub count: u32,
    /// From one to the next; never 0; negative runs backwards.
    pub step: i64,
}

/// One item as the job says it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ItemSpec {
    /// Unique in its job.
    pub name: String,
    /// Its own command templates, instead of the job's.
    pub commands: Option<Vec<String>>,
    /// Values for `{item.KEY}`.
    pub data: BTreeMap<String, Value>,
    /// The frames of a frames agenda: what `{frame}`, `{start}`, `{end}` and `{step}` stand for.
    pub frames: Option<FrameRun>,
    /// Where it stands from the beginning, if it is not to be run as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ItemStatus>,
}

impl Agenda {
    /// How many items there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Frames { runs, chunk } => runs.iter().map(|run| run.count.div_ceil(*chunk) as usize).sum(),
            Self::Items(items) => items.len(),
        }
    }

    /// Whether there is no work.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item at a place.
    pub fn item(&self, place: ItemIndex) -> Option<ItemSpec> {
        match self {
            Self::Empty => None,
            Self::Items(items) => items.get(place.as_usize()).cloned(),
            Self::Frames { runs, chunk } => {
                let mut left = place.0;
                for run in runs {
                    let items = run.count.div_ceil(*chunk);
                    if left < items {
                        return Some(ItemSpec::of_frames(run.part(left * chunk, *chunk)));
                    }
                    left -= items;
                }
                None
            }
        }
    }

    /// The name of the item at a place: far cheaper than all of the item.
    pub fn name(&self, place: ItemIndex) -> Option<Cow<'_, str>> {
        match self {
            Self::Items(items) => items.get(place.as_usize()).map(|item| Cow::Borrowed(item.name.as_str())),
            Self::Empty | Self::Frames { .. } => self.item(place).map(|item| Cow::Owned(item.name)),
        }
    }

    /// Adds a named item behind the others. An agenda of frames takes none.
    pub fn add(&mut self, item: ItemSpec) {
        match self {
            Self::Empty => *self = Self::Items(vec![item]),
            Self::Items(items) => items.push(item),
            Self::Frames { .. } => {}
        }
    }

    /// The place of the item with this name.
    pub fn find(&self, name: &str) -> Option<ItemIndex> {
        match self {
            Self::Empty => None,
            Self::Items(items) => items
                .iter()
                .position(|item| item.name == name)
                .and_then(|place| u32::try_from(place).ok())
                .map(ItemIndex),
            Self::Frames { runs, chunk } => {
                let place = Self::place_of(runs, *chunk, first_frame(name)?)?;
                (self.name(place)? == name).then_some(place)
            }
        }
    }

    /// The place of the item that begins with this frame: by reckoning, as there may be a million.
    fn place_of(runs: &[FrameRun], chunk: u32, frame: i64) -> Option<ItemIndex> {
        let mut before = 0;
        for run in runs {
            let from = i128::from(frame) - i128::from(run.first);
            let (nth, rest) = (from / i128::from(run.step), from % i128::from(run.step));
            if let Ok(nth) = u32::try_from(nth)
                && rest == 0
                && nth < run.count
            {
                return Some(ItemIndex(before + nth / chunk));
            }
            before += run.count.div_ceil(chunk);
        }
        None
    }
}

/// The number that a frames item's name begins with.
fn first_frame(name: &str) -> Option<i64> {
    let digits = name.strip_prefix('-').unwrap_or(name).bytes().take_while(u8::is_ascii_digit).count();
    name[..digits + usize::from(name.starts_with('-'))].parse().ok()
}

impl FrameRun {
    /// The last frame.
    pub fn last(&self) -> i64 {
        self.first + self.step * i64::from(self.count - 1)
    }

    fn part(&self, skip: u32, most: u32) -> Self {
        Self { first: self.first + self.step * i64::from(skip), count: most.min(self.count - skip), step: self.step }
    }
}

impl ItemSpec {
    /// The item that does these frames, named `12`, `1-10` or `1-10x2`.
    fn of_frames(run: FrameRun) -> Self {
        let name = match (run.count, run.step) {
            (1, _) => run.first.to_string(),
            (_, 1 | -1) => format!("{}-{}", run.first, run.last()),
            (_, step) => format!("{}-{}x{}", run.first, run.last(), step.abs()),
        };
        Self { name, frames: Some(run), ..Self::default() }
    }
}

/// Bounds on waits. `None` is no bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timeouts {
    /// From spawn to hello.
    pub startup: Option<Duration>,
    /// One command.
    pub command: Option<Duration>,
    /// One attempt at an item, without the time held or paused.
    pub item: Option<Duration>,
    /// No output and no word from the child while a command runs.
    pub silence: Option<Duration>,
    /// All of teardown, until the child has ended by itself.
    pub teardown: Option<Duration>,
    /// Between asking (SIGTERM) and forcing (SIGKILL).
    pub kill_grace: Duration,
    /// Until an agenda source that answered *waiting* is asked again (Qube's `QB_WAITING_TIMEOUT`).
    pub waiting: Duration,
    /// What is done when the first three of work pass.
    pub policies: Policies,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            startup: Some(Duration::from_mins(5)),
            command: None,
            item: None,
            silence: None,
            teardown: Some(Duration::from_mins(1)),
            kill_grace: Duration::from_secs(10),
            waiting: Duration::from_secs(5),
            policies: Policies::default(),
        }
    }
}

/// Tries of an item after its first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Retry {
    /// How many more.
    pub times: u32,
    /// Before each.
    pub delay: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Finds, PatternOrigin};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn items_of_frames_are_found_by_their_names(
            lengths in proptest::collection::vec((1u32..40, prop_oneof![1i64..5, -5i64..0]), 1..5), chunk in 1u32..7,
        ) {
            let mut runs = Vec::new();
            for (nth, (count, step)) in (-1i64..).zip(lengths) {
                // Far apart, so that none has another's frames.
                runs.push(FrameRun { first: 1000 * nth, count, step });
            }
            let agenda = Agenda::Frames { runs, chunk };
            for (place, _) in (0u32..).map(ItemIndex).zip(0..agenda.len()) {
                let name = agenda.name(place).expect("an item").into_owned();
                prop_assert_eq!(agenda.find(&name), Some(place), "{}", name);
                prop_assert_eq!(agenda.find(&format!("{name}x")), None);
            }
        }
    }

    #[test]
    fn a_jobs_patterns_take_the_place_of_the_recipes() {
        let pattern = |name: &str, origin| OutputPattern {
            name: name.into(),
            regexes: vec!["x".into()],
            finds: Finds::Highlight,
            stream: None,
            qube: false,
            origin,
        };
        let recipe = ["a", "b", "c"].map(|name| pattern(name, PatternOrigin::Backend));
        let patterns = ["d", "b"].map(|name| pattern(name, PatternOrigin::Job)).to_vec();
        let job = Job { patterns, patterns_off: vec!["c".into()], ..Job::default() };
        let merged = job.patterns_over(&recipe);
        let merged: Vec<_> = merged.iter().map(|pattern| (pattern.name.as_str(), pattern.origin)).collect();
        assert_eq!(merged, [("a", PatternOrigin::Backend), ("b", PatternOrigin::Job), ("d", PatternOrigin::Job)]);
        assert_eq!(Job::default().patterns_over(&recipe), recipe);
    }

    #[test]
    fn names_of_no_item_are_not_found() {
        let run = FrameRun { first: 1, count: 10, step: 2 };
        let agenda = Agenda::Frames { runs: vec![run], chunk: 1 };
        for name in ["", "-", "2", "21", "-1", "01", "1-3", "99999999999999999999", "é1"] {
            assert_eq!(agenda.find(name), None, "{name}");
        }
        assert_eq!(agenda.find("19"), Some(ItemIndex(9)));
    }
}
