//! What runs a session: the backend, the executable, the child and the values it was started with, and where each came
//! from. Qube's `printClassInfo`, as data.

use super::job::Timeouts;
use super::{BackEnd, Generation, Hello};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The session's id.
    pub session: String,
    /// Its folder; none where the files are not read by the one who tells.
    pub folder: Option<String>,
    /// The host on which it runs.
    pub host: String,
    /// Whose it is.
    pub user: String,
    /// The childminder that made it.
    pub version: String,
    /// The job's name.
    pub job: String,
    /// The backend.
    pub backend: BackendAbout,
    /// The class that decides what comes next, if one does.
    pub class: Option<Box<BackEnd>>,
    /// The child that was started last.
    pub launch: Option<LaunchAbout>,
    /// What it said of itself, while it is there.
    pub hello: Option<Box<Hello>>,
    /// The backend's own keys, with the values that count.
    pub settings: Vec<ValueAbout>,
    /// The job's parameters.
    pub parameters: Vec<ValueAbout>,
    /// What is looked for in the output.
    pub patterns: Vec<PatternAbout>,
    /// The time-outs in force.
    pub timeouts: Timeouts,
    /// Whether an operator has changed them.
    pub timeouts_changed: bool,
}

/// A backend, as the session has it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BackendAbout {
    /// What the job calls it: a name or a path.
    pub asked_for: String,
    /// What it calls itself.
    pub name: String,
    /// One sentence for people.
    pub description: String,
    /// What the child is called.
    pub application: String,
    /// The file that it was read from; none if it is built in.
    pub file: Option<String>,
    /// Why it was never run by who wrote it, if it was not.
    pub not_run: Option<String>,
    /// A bootstrapper of its own; none: childminder's.
    pub bootstrapper: Option<String>,
    /// How port and secret reach it.
    pub passing: String,
    /// How commands get their turn.
    pub pump: String,
    /// What viewers draw before a command.
    pub prompt: String,
    /// The ways to end a command that are safe.
    pub rungs: Vec<String>,
    /// The application's own.
    pub cancel: Option<String>,
}

/// How a child was started.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LaunchAbout {
    /// Which one.
    pub generation: Generation,
    /// The executable and its arguments.
    pub argv: Vec<String>,
    /// Its working folder.
    pub cwd: String,
}

/// A pattern, and where it came from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PatternAbout {
    /// Its name.
    pub name: String,
    /// What a match means, as in a recipe: `error`, `progress` ….
    pub finds: String,
    /// Any of these matches.
    pub regexes: Vec<String>,
    /// The recipe, or the job.
    pub from: String,
}

/// A value, and where it came from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ValueAbout {
    /// Its key.
    pub key: String,
    /// The value.
    pub value: Value,
    /// `shots.toml:12`, `--set scene`, or the recipe.
    pub from: String,
}
