//! What a back-end class says of itself, once the helper interpreter has imported it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A class that decides what comes next in its session.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BackEnd {
    /// The helper interpreter's version.
    pub python: String,
    /// Its executable.
    pub executable: String,
    /// Its pid.
    pub pid: u32,
    /// The class's name.
    pub class: String,
    /// The file that it stands in.
    pub file: String,
    /// Methods that are not the base class's own.
    pub overrides: Vec<Override>,
    /// The class's constants, such as `DEFAULT_PYTHON`.
    pub constants: BTreeMap<String, serde_json::Value>,
    /// The supervisor's job, if the work is its to give.
    pub job: Option<FarmJob>,
}

/// A job as its supervisor calls it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FarmJob {
    /// Its number.
    pub id: serde_json::Value,
    /// Its name.
    pub name: serde_json::Value,
}

/// A method that a class has put in the place of the base class's.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Override {
    /// The method.
    pub name: String,
    /// The class that has it.
    pub class: String,
    /// Where it stands.
    pub file: String,
    /// In which line.
    pub line: u32,
}

impl BackEnd {
    /// The supervisor's name for its job.
    pub fn job_name(&self) -> Option<&str> {
        self.job.as_ref()?.name.as_str().filter(|name| !name.is_empty())
    }
}
