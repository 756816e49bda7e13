//! A recipe: everything that is special about launching one application.
//!
//! What a recipe may say, key by key, is the table in [`schema`](super::schema); `childminder backends schema` prints it.
//!
//! ```toml
//! name = "blender"
//! description = "Blender without a window"
//! executables = ["blender", "/opt/blender*/blender"]     # names on PATH, places with patterns
//! arguments = [
//!     { unless = "window", arguments = ["--background"] },     # left out when the key is set
//!     { when = "factory_startup", arguments = ["--factory-startup"] },     # left out when it is unset or false
//!     "{extra_arguments}",            # a list is spliced in
//!     "--python", "{bootstrapper}", "--", "--port", "{port}",
//! ]
//! pump = [{ when = "window", pump = "blender" }, "block"]     # the first that applies
//! init = ["import bpy", { when = "scene", command = "bpy.ops.wm.open_mainfile(filepath={scene})" }]
//!
//! [settings.window]
//! doc = "Show Blender's window"
//! default = false                     # says the type too
//! ```
//! With `passing = "argv"` the secret is in the environment and `{port}` in the arguments; with `environment` both are in
//! the environment; with `file` both are in a generated copy of the bootstrapper that only its owner can read and that
//! removes itself. With a `bootstrapper` of the recipe's own, `{bootstrapper}` is that file, and the environment variable
//! `CHILDMINDER_BOOTSTRAPPER` says where ours is. With `protocol = "qube"` there is no secret: `{port}` is in the arguments,
//! and the recipe names Qube's bootstrapper itself. Only `terminate` and `kill` end a command then.

use crate::model::{Exit, OutputPattern, Rung};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The setting that every recipe has: the executable to use instead of the recipe's.
pub const EXECUTABLE: &str = "executable";
/// The setting that every recipe has: which version of the application is wanted.
pub const VERSION: &str = "version";
/// Placeholders of arguments that the engine fills in.
pub const LAUNCH_KEYS: [&str; 2] = ["bootstrapper", "port"];

/// The launch of one application, read and checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recipe {
    /// What jobs call it.
    pub name: String,
    /// One sentence for people.
    pub description: String,
    /// What the child is called.
    pub application: String,
    /// What viewers draw before a command.
    pub prompt: String,
    /// The systems on which the application can be launched; none: all.
    pub platforms: Vec<Platform>,
    /// Why the recipe was never run by those who wrote it, if it was not.
    pub not_run: Option<String>,
    /// Candidates, the first that is there wins.
    pub executables: Vec<String>,
    /// Arguments with which the executable says its version and ends; none when there are no such.
    pub version_arguments: Vec<String>,
    /// A file that runs in the application instead of our bootstrapper, and has that run.
    pub bootstrapper: Option<String>,
    /// The arguments, with placeholders.
    pub arguments: Vec<Argument>,
    /// What is spoken with the child.
    pub protocol: Protocol,
    /// How port and secret reach the bootstrapper.
    pub passing: Passing,
    /// What the child's stdin is.
    pub stdin: StdinMode,
    /// Whether the executor repeats commands in stdout.
    pub echo: bool,
    /// How commands get their turn in the host: the first that applies; [`Pump::Block`] when none does.
    pub pumps: Vec<PumpChoice>,
    /// The ways to end a command that are safe in the host; [`Rung::Cancel`] only with a `cancel`.
    pub rungs: Vec<Rung>,
    /// The host's own way to cancel what it does: Python that is run beside the main thread.
    pub cancel: Option<String>,
    /// Whether Python may be run beside the main thread without the host's coming to harm.
    pub side_eval: bool,
    /// Python commands that come before the job's own.
    pub init: Vec<Init>,
    /// What the ways in which the application ends mean.
    pub exit_codes: Vec<(Exit, String)>,
    /// Changes to the child's environment.
    pub environment: Changes,
    /// Parameters of jobs that the recipe uses.
    pub parameters: BTreeMap<String, Declared>,
    /// Keys of its own.
    pub settings: BTreeMap<String, Declared>,
    /// What is looked for in the child's output.
    pub patterns: Vec<OutputPattern>,
    /// The document that it was read from; enough to read it again with [`Recipe::parse`].
    pub text: String,
    /// The file that the document is; `None` for one in this binary.
    pub file: Option<PathBuf>,
}

/// When something applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// When this parameter or setting is set, and not false or empty.
    When(String),
    /// When it is not.
    Unless(String),
}

impl Guard {
    /// The parameter or setting that decides.
    pub fn key(&self) -> &str {
        match self {
            Self::When(key) | Self::Unless(key) => key,
        }
    }

    /// Whether it applies, the key having this value.
    pub fn holds(&self, value: Option<&Value>) -> bool {
        let set = match value {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(values)) => !values.is_empty(),
            Some(_) => true,
        };
        set == matches!(self, Self::When(_))
    }
}

/// A pump, perhaps only for some settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PumpChoice {
    /// When.
    pub guard: Option<Guard>,
    /// Which.
    pub pump: Pump,
}

/// An argument, or a group that applies only for some settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Argument {
    /// When.
    pub guard: Option<Guard>,
    /// One or more.
    pub words: Vec<String>,
}

/// An init command, perhaps left out like an argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Init {
    /// When.
    pub guard: Option<Guard>,
    /// A template, as in jobs.
    pub command: String,
}

/// Changes to the child's environment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Changes {
    /// Variables and values with placeholders.
    pub set: BTreeMap<String, String>,
    /// Variables to take out.
    pub unset: Vec<String>,
    /// Variables to keep that would be taken out otherwise.
    pub keep: Vec<String>,
}

/// A parameter or setting as a recipe declares it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Declared {
    /// What it is for.
    pub doc: String,
    /// What it must be.
    pub kind: ValueKind,
    /// What it is when nobody says.
    pub default: Option<Value>,
    /// Whether somebody must say.
    pub required: bool,
}

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    /// A string.
    Text,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// A list of strings.
    List,
    /// Anything.
    #[default]
    Any,
}

/// What is spoken with the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Our own, with our bootstrapper.
    #[default]
    Native,
    /// Qube's, with Qube's bootstrapper: commands in stdin, a connection for each reply, and no way to interrupt.
    Qube,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Native, Self::Qube];

    /// The word in recipes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Qube => "qube",
        }
    }
}

/// How port and secret reach the bootstrapper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Passing {
    /// The port as an argument, the secret in the environment.
    #[default]
    Argv,
    /// Both in the environment.
    Environment,
    /// Both in a generated file.
    File,
}

impl Passing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Argv, Self::Environment, Self::File];

    /// The word in recipes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Argv => "argv",
            Self::Environment => "environment",
            Self::File => "file",
        }
    }
}

/// What the child's stdin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StdinMode {
    /// `/dev/null`.
    #[default]
    Null,
    /// The engine's own.
    Inherit,
    /// A pipe on which commands come: with [`Protocol::Qube`], whatever the recipe says.
    #[serde(skip)]
    Commands,
}

impl StdinMode {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Null, Self::Inherit];

    /// The word in recipes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Inherit => "inherit",
            Self::Commands => "commands",
        }
    }
}

/// How commands get their turn in the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pump {
    /// The bootstrapper never returns to the host: a loop that waits for commands.
    #[default]
    Block,
    /// A timer in Blender's own loop.
    Blender,
    /// What Maya defers until it is idle.
    Maya,
    /// A callback of Houdini's event loop.
    Houdini,
    /// What Nuke runs in its main thread.
    Nuke,
    /// A notifier in the loop of a `QApplication`.
    Qt,
    /// A file handler in the loop of a tkinter root window.
    Tkinter,
}

impl Pump {
    /// Every one, in the order in which people are told of them.
    pub const ALL: [Self; 7] =
        [Self::Block, Self::Blender, Self::Maya, Self::Houdini, Self::Nuke, Self::Qt, Self::Tkinter];

    /// The word in recipes and in the welcome frame.
    pub fn word(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Blender => "blender",
            Self::Maya => "maya",
            Self::Houdini => "houdini",
            Self::Nuke => "nuke",
            Self::Qt => "qt",
            Self::Tkinter => "tkinter",
        }
    }
}

/// A system on which an application runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Linux.
    Linux,
    /// Windows.
    Windows,
    /// macOS.
    Macos,
}

impl Platform {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Linux, Self::Windows, Self::Macos];

    /// The word in recipes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Windows => "windows",
            Self::Macos => "macos",
        }
    }

    /// Whether it is the one on which this runs.
    pub fn is_here(self) -> bool {
        self.word() == std::env::consts::OS
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linux => "Linux",
            Self::Windows => "Windows",
            Self::Macos => "macOS",
        })
    }
}

impl ValueKind {
    /// Whether a value is of this kind.
    pub fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::List => value.as_array().is_some_and(|values| values.iter().all(Value::is_string)),
            Self::Any => true,
        }
    }

    /// What a value is.
    pub fn of(value: &Value) -> Self {
        let kinds = [Self::Text, Self::Integer, Self::Number, Self::Boolean, Self::List];
        kinds.into_iter().find(|kind| kind.fits(value)).unwrap_or_default()
    }
}

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "a string",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::List => "a list of strings",
            Self::Any => "a value",
        })
    }
}

impl Recipe {
    /// Whether a parameter or setting of this name is declared.
    pub fn declares(&self, key: &str) -> bool {
        self.parameters.contains_key(key) || self.settings.contains_key(key)
    }

    /// Why the application cannot be launched on this system, if that is so.
    pub fn not_launchable(&self) -> Option<String> {
        if self.platforms.is_empty() || self.platforms.iter().any(|platform| platform.is_here()) {
            return None;
        }
        let there = self.platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        Some(format!("not launchable on this system: {} runs on {there}", self.application))
    }

    /// What its own bootstrapper's path is: relative ones start at the recipe's folder.
    pub fn own_bootstrapper(&self) -> Option<PathBuf> {
        let folder = self.file.as_deref().and_then(std::path::Path::parent);
        self.bootstrapper.as_ref().map(|path| folder.map_or_else(|| path.into(), |folder| folder.join(path)))
    }
}
