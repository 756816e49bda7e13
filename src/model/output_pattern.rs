//! What is looked for in the child's output, what was found there, and how an item's files are judged.
//!
//! What must stay true: a pattern is matched against one whole line of one stream, without its escape sequences; what it
//! finds is data of the child's, bounded where it is found. Regexes are text here: whoever matches compiles them.

use super::{Micros, Stream, size};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// How many bytes of a line or a capture are kept of what was found.
pub const FOUND_TEXT: usize = 4096;

/// A pattern by its name, from a backend or a job. One of a job takes the place of the backend's of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputPattern {
    /// What results, lists and `--json` call it.
    pub name: String,
    /// Regexes, of which any may match; more than one only where a Qube job gives alternatives.
    pub regexes: Vec<String>,
    /// What a match means.
    #[serde(flatten)]
    pub finds: Finds,
    /// Where to look; both streams if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
    /// Qube's rule: letters of either case match, every capture of every match that is not empty counts, and a match
    /// without one counts for nothing. Otherwise a line is matched once, and the first capture that took part counts; if
    /// there is none, all of the match does, or all of the line for an error or a highlight.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub qube: bool,
    /// Where it came from.
    pub origin: PatternOrigin,
}

impl OutputPattern {
    /// A pattern as a Qube job gives it: one alternative a line. What an alternative of errors or of highlights matches is
    /// captured, whatever groups it has. Whoever compiles them tells whether its regexes are any good here.
    pub fn of_qube(name: &str, text: &str, finds: Finds) -> Self {
        let all_of_it = matches!(finds, Finds::Error { .. } | Finds::Highlight);
        let alternatives = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let regexes = alternatives.map(|line| if all_of_it { format!("({line})") } else { line.to_owned() }).collect();
        Self { name: name.to_owned(), regexes, finds, stream: None, qube: true, origin: PatternOrigin::Job }
    }
}

/// Where a pattern came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatternOrigin {
    /// The backend's recipe.
    Backend,
    /// The job.
    Job,
    /// A file that was given to try patterns on a stored session.
    File,
}

/// What a match means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "finds", rename_all = "snake_case")]
pub enum Finds {
    /// Something went wrong.
    Error {
        /// How much.
        severity: Severity,
    },
    /// A line worth a look.
    Highlight,
    /// How far the item is.
    Progress {
        /// What the capture is.
        reads: ProgressReads,
    },
    /// The path of a file that was written.
    Output,
    /// Something to keep under the pattern's name, a number if it is one.
    Value,
    /// A length of time: seconds, or `[[H:]M:]S`.
    Time,
    /// An amount of memory: bytes, or a number with a unit.
    Memory,
}

impl Finds {
    /// The word in files, and for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error { .. } => "error",
            Self::Highlight => "highlight",
            Self::Progress { .. } => "progress",
            Self::Output => "output",
            Self::Value => "value",
            Self::Time => "time",
            Self::Memory => "memory",
        }
    }

    /// What the numbers under the pattern's name count.
    pub fn measure(self) -> Option<Measure> {
        match self {
            Self::Time => Some(Measure::Time),
            Self::Memory => Some(Measure::Memory),
            Self::Error { .. } | Self::Highlight | Self::Progress { .. } | Self::Output | Self::Value => None,
        }
    }
}

/// What the numbers under a pattern's name count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Seconds.
    Time,
    /// Bytes.
    Memory,
}

impl Measure {
    /// A value for people: a length of time, an amount of memory, else as it is.
    pub fn told(measure: Option<Self>, value: &serde_json::Value) -> String {
        let seconds = value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut at what memory there can be")]
        let bytes = value.as_f64().filter(|bytes| *bytes >= 0.0).map(|bytes| bytes as u64);
        match (measure, seconds, bytes, value.as_str()) {
            (Some(Self::Time), Some(seconds), _, _) => size::length(seconds.into()),
            (Some(Self::Memory), _, Some(bytes), _) => size::bytes(bytes),
            (_, _, _, Some(text)) => text.to_owned(),
            _ => value.to_string(),
        }
    }
}

/// How much went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// May be the cause of something.
    Warn,
    /// The item fails, once its command has ended.
    FailItem,
    /// No item can be done any more: the session fails.
    FailSession,
}

impl Severity {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Note, Self::Warn, Self::FailItem, Self::FailSession];

    /// The word in files.
    pub fn key(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warn => "warn",
            Self::FailItem => "fail_item",
            Self::FailSession => "fail_session",
        }
    }

    /// The word shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warn => "warning",
            Self::FailItem => "error",
            Self::FailSession => "fatal",
        }
    }
}

/// What a progress pattern captures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgressReads {
    /// 0 to 1.
    Fraction,
    /// 0 to 100.
    Percent,
    /// Two captures: how many of how many.
    KOfN,
    /// A frame's number, within the frames of the item.
    Frame,
}

/// Something that a pattern found in a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The pattern's name.
    pub pattern: String,
    /// In which stream.
    pub stream: Stream,
    /// Where the line begins in the stream, in bytes.
    pub at: u64,
    /// What was captured, made valid text, at most [`FOUND_TEXT`] bytes.
    pub text: String,
    /// What it means.
    #[serde(flatten)]
    pub what: Found,
}

/// What a finding means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum Found {
    /// Something went wrong.
    Error {
        /// How much.
        severity: Severity,
    },
    /// A line worth a look.
    Highlight,
    /// 0 to 1.
    Progress {
        /// How far.
        fraction: f64,
    },
    /// A file was written: the text is its path.
    Output,
    /// A value, a time in seconds, or memory in bytes.
    Value {
        /// Which.
        value: serde_json::Value,
    },
}

/// How an item's output files are judged before it is complete. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OutputChecks {
    /// Each must be a file that is there.
    pub exist: bool,
    /// Each is at least this large.
    pub min_size: Option<u64>,
    /// Each is at most this large.
    pub max_size: Option<u64>,
    /// Each is an image whose header can be read.
    pub image: bool,
    /// Each is an image of this width and height, in pixels.
    pub dimensions: Option<(u32, u32)>,
    /// Each was written after the item began.
    pub newer: bool,
}

impl OutputChecks {
    /// Whether anybody has to look at the files.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

impl OutputFile {
    /// What is known of it beside its path: its size, its dimensions, its format.
    pub fn known(&self) -> Vec<String> {
        let dimensions = self.dimensions.map(|(width, height)| format!("{width}×{height}"));
        [self.bytes.map(size::bytes), dimensions, self.format.clone()].into_iter().flatten().collect()
    }

    /// What is wrong with it, as a sentence.
    pub fn complaint(&self) -> Option<String> {
        const SHOWN: usize = 300;
        let (path, problem) = (self.path.to_string_lossy(), self.problem.as_ref()?);
        let start = path.ceil_char_boundary(path.len().saturating_sub(SHOWN));
        Some(format!("{}{} {problem}", if start > 0 { "…" } else { "" }, &path[start..]))
    }
}

/// An output file as it was found when its item was to be complete.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OutputFile {
    /// As the child told it.
    pub path: PathBuf,
    /// Its size; `None` when it is not there or could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When it was last written, wall time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<Micros>,
    /// What its header says that it is: `png`, `exr` ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Width and height in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<(u32, u32)>,
    /// Which checks it failed, in words that go on after its path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_told_by_what_they_count() {
        let cases = [
            (Some(Measure::Time), json!(182.4), "3m 02s"),
            (Some(Measure::Time), json!(-1), "-1"),
            (Some(Measure::Memory), json!(1_468_006), "1.3 MiB"),
            (Some(Measure::Memory), json!("much"), "much"),
            (None, json!(64), "64"),
            (None, json!("fine"), "fine"),
        ];
        for (measure, value, told) in cases {
            assert_eq!(Measure::told(measure, &value), told);
        }
    }

    #[test]
    fn a_complaint_names_the_file_by_its_end_where_its_path_is_long() {
        let file = |path: String| OutputFile {
            path: path.into(),
            problem: Some("is not there".into()),
            ..OutputFile::default()
        };
        assert_eq!(file("/a/b.png".into()).complaint().as_deref(), Some("/a/b.png is not there"));
        let long = file(format!("/{}/b.png", "ü".repeat(500))).complaint().expect("a complaint");
        assert!(long.starts_with("…ü") && long.ends_with("ü/b.png is not there") && long.len() < 330, "{long}");
        assert_eq!(OutputFile::default().complaint(), None);
    }
}
