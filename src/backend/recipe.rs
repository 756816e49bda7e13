//! A recipe: everything that is special about launching one application.
//!
//! ```toml
//! name = "blender"
//! description = "Blender without a window"
//! application = "blender"             # what the child is called; else the name
//! prompt = "bpy> "
//! executables = ["blender", "$HOME/blender/blender"]     # the first that is there; bare names on PATH
//! arguments = [
//!     "--background",
//!     { when = "factory_startup", arguments = ["--factory-startup"] },   # left out when unset or false
//!     "{extra_arguments}",            # a list is spliced in
//!     "--python", "{bootstrapper}", "--", "--port", "{port}",
//! ]
//! passing = "argv"                    # how port and secret reach the bootstrapper: argv, environment, file
//! protocol = "native"                 # or "qube": the arguments run Qube's own bootstrapper, unchanged
//! stdin = "null"                      # or "inherit"
//! echo = false                        # repeat commands in stdout too
//! pump = "block"                      # how commands get their turn in the host
//! rungs = ["interrupt", "async", "cancel", "terminate", "kill"]     # ways to end a command that are safe there
//! cancel = "import childminder; childminder.host_sigint()"          # the host's own, run beside the main thread
//! side_eval = false                   # whether Python may be run beside the main thread without a warning
//! init = ["import bpy", { when = "scene", command = "bpy.ops.wm.open_mainfile(filepath={scene})" }]
//!
//! [environment]
//! set = { KEY = "value" }             # {placeholders} as in arguments
//! unset = ["OTHER"]
//! keep = ["PYTHONPATH"]               # what would be taken out otherwise
//!
//! [parameters.scene]                  # a job may have more; these are known to the recipe
//! doc = "The file to open"
//! type = "string"                     # integer, number, boolean, list, any
//! required = false
//!
//! [settings.factory_startup]
//! doc = "Without the user's preferences"
//! default = true                      # says the type too
//! ```
//! With `passing = "argv"` the secret is in the environment and `{port}` in the arguments; with `environment` both are in
//! the environment; with `file` both are in a generated copy of the bootstrapper that only its owner can read and that
//! removes itself. With `protocol = "qube"` there is no secret: `{port}` is in the arguments, and the recipe names Qube's
//! bootstrapper itself. Only `terminate` and `kill` end a command then.

use crate::model::Rung;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// The setting that every recipe has: the executable to use instead of the recipe's.
pub const EXECUTABLE: &str = "executable";
/// Placeholders of arguments that the engine fills in.
pub const LAUNCH_KEYS: [&str; 2] = ["bootstrapper", "port"];

/// The launch of one application, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// What jobs call it.
    pub name: String,
    /// One sentence for people.
    pub description: String,
    /// What the child is called.
    pub application: String,
    /// What viewers draw before a command.
    pub prompt: String,
    /// Candidates, the first that is there wins.
    pub executables: Vec<String>,
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
    /// How commands get their turn in the host.
    pub pump: Pump,
    /// The ways to end a command that are safe in the host; [`Rung::Cancel`] only with a `cancel`.
    pub rungs: Vec<Rung>,
    /// The host's own way to cancel what it does: Python that is run beside the main thread.
    pub cancel: Option<String>,
    /// Whether Python may be run beside the main thread without the host's coming to harm.
    pub side_eval: bool,
    /// Python commands that come before the job's own.
    pub init: Vec<Init>,
    /// Changes to the child's environment.
    pub environment: Changes,
    /// Parameters of jobs that the recipe uses.
    pub parameters: BTreeMap<String, Declared>,
    /// Keys of its own.
    pub settings: BTreeMap<String, Declared>,
    /// The document that it was read from; enough to read it again with [`Recipe::parse`].
    pub text: String,
}

/// An argument, or a group that is left out when its key is unset or false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// The parameter or setting that decides.
    pub when: Option<String>,
    /// One or more.
    pub words: Vec<String>,
}

/// An init command, perhaps left out like an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Init {
    /// The parameter or setting that decides.
    pub when: Option<String>,
    /// A template, as in jobs.
    pub command: String,
}

/// Changes to the child's environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Variables and values with placeholders.
    pub set: BTreeMap<String, String>,
    /// Variables to take out.
    pub unset: Vec<String>,
    /// Variables to keep that would be taken out otherwise.
    pub keep: Vec<String>,
}

/// A parameter or setting as a recipe declares it.
#[derive(Debug, Clone, PartialEq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

/// How commands get their turn in the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pump {
    /// The bootstrapper never returns to the host: a loop that waits for commands.
    #[default]
    Block,
}

impl Pump {
    /// The word in recipes and in the welcome frame.
    pub fn word(self) -> &'static str {
        match self {
            Self::Block => "block",
        }
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
}
