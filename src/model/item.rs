//! Agenda items: their statuses, what the fold keeps of each, and what one yields.

use super::rows::Row;
use super::state::ITEM_NOTES;
use super::{CommandId, Finding, Found, Micros, OutputFile, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An item's status, in Qube's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    /// To be done.
    #[default]
    Pending,
    /// Its commands are being run.
    Running,
    /// Done, and nothing said otherwise.
    Complete,
    /// A command raised, user code called `fail`, a required output is missing, or the child died.
    Failed,
    /// Kept from being run until somebody unblocks it.
    Blocked,
    /// Its source says that it cannot be run yet; it is asked again.
    Waiting,
    /// Failed, and will be tried again after the job's delay.
    Retrying,
    /// An operator ended it.
    Killed,
}

impl ItemStatus {
    /// Every status, in the order in which counts are shown, which is that of their declaration.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Running,
        Self::Complete,
        Self::Failed,
        Self::Blocked,
        Self::Waiting,
        Self::Retrying,
        Self::Killed,
    ];

    /// The word shown to people and used in `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::Killed => "killed",
        }
    }

    /// Whether the engine will not touch the item again unless somebody asks for it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Failed | Self::Killed)
    }
}

/// What the fold keeps of an item. Its name and commands are the job's; its result package is in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ItemRow {
    /// Where it stands.
    pub status: ItemStatus,
    /// How often it was begun.
    pub attempt: u32,
    /// What user code last said of its progress, 0 to 1.
    pub progress: Option<f32>,
    /// Wall time at which the last attempt began.
    pub started: Option<Micros>,
    /// How long the last ended attempt took, without the time held or paused.
    pub took: Micros,
    /// The first command of the last attempt.
    pub first_command: Option<CommandId>,
    /// Byte offset of the `item_ended` line in the journal; zero before that.
    pub ended_at: u64,
    /// Whether the last attempt's output had something in it that may be the cause of something.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warned: bool,
}

impl Row for ItemRow {
    type Words = [u64; 6];

    fn to_words(&self) -> [u64; 6] {
        let kind = self.status as u64
            | u64::from(self.progress.is_some()) << 8
            | u64::from(self.started.is_some()) << 9
            | u64::from(self.first_command.is_some()) << 10
            | u64::from(self.warned) << 11;
        [
            kind | u64::from(self.attempt) << 32,
            u64::from(self.progress.unwrap_or_default().to_bits()),
            self.started.unwrap_or_default().0,
            self.took.0,
            self.first_command.unwrap_or_default().0,
            self.ended_at,
        ]
    }

    fn from_words(&[kind, progress, started, took, first_command, ended_at]: &[u64; 6]) -> Option<Self> {
        Some(Self {
            status: *ItemStatus::ALL.get((kind & 0xff) as usize)?,
            attempt: u32::try_from(kind >> 32).ok()?,
            progress: (kind >> 8 & 1 == 1).then_some(f32::from_bits(u32::try_from(progress).ok()?)),
            started: (kind >> 9 & 1 == 1).then_some(Micros(started)),
            took: Micros(took),
            first_command: (kind >> 10 & 1 == 1).then_some(CommandId(first_command)),
            ended_at,
            warned: kind >> 11 & 1 == 1,
        })
    }
}

/// What an item yields.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResultPackage {
    /// Paths of files that it wrote, as user code or patterns told them, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output_paths: Vec<String>,
    /// Last progress told, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// What failed it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// Lines worth a look.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub highlights: Vec<String>,
    /// Named values: what patterns kept under their names, times in seconds, memory in bytes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, serde_json::Value>,
    /// Errors of every severity that patterns found, with their places in the output.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<Finding>,
    /// The files of `output_paths` as they were when the item was to be complete, if anybody had to look.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<OutputFile>,
}

/// Whatever is added: each list holds up to [`ITEM_NOTES`], no text twice, and a later value takes the place of an earlier
/// one.
impl ResultPackage {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what another one has, as a class reports it.
    pub fn merge(&mut self, other: &Self) {
        for (known, more) in [
            (&mut self.output_paths, &other.output_paths),
            (&mut self.errors, &other.errors),
            (&mut self.highlights, &other.highlights),
        ] {
            for text in more {
                add(known, text);
            }
        }
        self.progress = other.progress.or(self.progress);
        for (name, value) in &other.values {
            self.keep(name, value);
        }
    }

    /// Adds what a pattern found.
    pub fn take_in(&mut self, finding: &Finding) {
        let text = &finding.text;
        match &finding.what {
            Found::Progress { fraction } => self.progress = Some(*fraction),
            Found::Output => add(&mut self.output_paths, text),
            Found::Highlight => add(&mut self.highlights, text),
            Found::Value { value } => self.keep(&finding.pattern, value),
            Found::Error { severity } => {
                if *severity >= Severity::FailItem {
                    add(&mut self.errors, text);
                }
                if self.found.len() < ITEM_NOTES {
                    self.found.push(finding.clone());
                }
            }
        }
    }

    fn keep(&mut self, name: &str, value: &serde_json::Value) {
        if self.values.len() < ITEM_NOTES || self.values.contains_key(name) {
            self.values.insert(name.to_owned(), value.clone());
        }
    }

    /// Errors that stand nowhere else: neither among what was found in the output nor with a file.
    pub fn other_errors(&self) -> Vec<String> {
        let found = |error: &String| self.found.iter().any(|found| found.text == *error);
        let complaints: Vec<String> = self.files.iter().filter_map(OutputFile::complaint).collect();
        self.errors.iter().filter(|error| !found(error) && !complaints.contains(error)).cloned().collect()
    }

    /// The files were looked at: what is wrong with them fails the item.
    pub fn inspected(&mut self, files: &[OutputFile]) {
        for complaint in files.iter().filter_map(OutputFile::complaint) {
            add(&mut self.errors, &complaint);
        }
        self.files = files.to_vec();
    }
}

fn add(list: &mut Vec<String>, text: &str) {
    if list.len() < ITEM_NOTES && !list.iter().any(|known| known == text) {
        list.push(text.to_owned());
    }
}
