//! How the helper interpreter is started.

use super::super::child_back_end::{BackendError, ChildArgs};
use super::super::environment::{self, Environment};
use super::super::executable::{self, Wish};
use super::super::recipe::{Changes, StdinMode};
use super::package;
use crate::model::job::{Driven, Job};
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Interpreters that are looked for when the job names none.
const PYTHON: [&str; 2] = ["python3", "python"];

/// How a class wants its child to be started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChildLaunch {
    /// The program and its arguments; `None`: the recipe's.
    pub args: Option<Vec<String>>,
    /// The bootstrapper, if it is another than ours.
    pub bootstrapper: Option<PathBuf>,
    /// Whether standard error goes where standard output goes.
    pub merge_stderr: bool,
}

/// The marker of the helper's processes: the session's own would have them killed with the child.
pub fn marker(session: &str) -> String {
    format!("{session}.back_end")
}

/// Writes the package, finds the interpreter, and says how it is started; `bridge` is the number of its end.
pub fn helper(job: &Job, driven: &Driven, runtime: &Path, bridge: i32) -> Result<ChildArgs, BackendError> {
    let driver =
        package::write(runtime).map_err(|error| BackendError::Bootstrapper { folder: runtime.to_owned(), error })?;
    let engine: Environment = std::env::vars_os().collect();
    let chosen = job.backend_settings.get("back_end_python").and_then(Value::as_str);
    let candidates = chosen.map_or_else(|| PYTHON.map(str::to_owned).to_vec(), |path| vec![path.to_owned()]);
    let wish = Wish { candidates: &candidates, version: None, version_arguments: &[] };
    let found = executable::find(&wish, &engine).map_err(|looked| BackendError::NoBackEndPython { looked })?;
    let folder = job.cwd.clone().unwrap_or_else(|| ".".into());
    let cwd = std::path::absolute(&folder).map_err(|error| BackendError::WorkingDirectory { folder, error })?;
    // The worker's own module may be found by it.
    let keep = if driven.under_qube { vec!["PYTHONPATH".to_owned()] } else { Vec::new() };
    let mut env = environment::clean(&engine, &Changes { keep, ..Changes::default() });
    let mut own = |name: &str, value: OsString| env.insert(name.into(), value);
    own("CHILDMINDER_BRIDGE", bridge.to_string().into());
    own("CHILDMINDER_BACK_END", driven.text().into());
    own("CHILDMINDER_QB", if driven.under_qube { "installed" } else { "local" }.into());
    // Python 2 cannot be told later: else it dies of the first letter that is not ASCII.
    own("PYTHONIOENCODING", "utf-8".into());
    // A class that is looked at leaves nothing beside its file.
    own("PYTHONDONTWRITEBYTECODE", "1".into());
    let args = vec!["-u".into(), driver.into()];
    Ok(ChildArgs { program: found.path, args, env: env.into_iter().collect(), cwd, stdin: StdinMode::Null })
}
