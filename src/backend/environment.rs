//! The child's environment: the engine's own, without what would mislead another interpreter.
//!
//! An activated virtual environment or a version manager is meant for the shell it was activated in. In an application
//! with a Python of its own it changes where the standard library is looked for (Debian's Blender takes it from pyenv's
//! folder when that is first on PATH). An interpreter that itself lives in such a place needs none of these variables.

use super::recipe::Changes;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

/// Environment variables by name.
pub type Environment = BTreeMap<OsString, OsString>;

/// Taken out by name.
const REMOVED: [&str; 10] = [
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONEXECUTABLE",
    "PYTHONPLATLIBDIR",
    // The child would wait for a person after its last word.
    "PYTHONINSPECT",
    "PYTHONBREAKPOINT",
    "VIRTUAL_ENV",
    "VIRTUAL_ENV_PROMPT",
    "__PYVENV_LAUNCHER__",
];

/// Taken out by how the name begins. Our own would tell a child of another session's secret or marker.
const REMOVED_FAMILIES: [&str; 6] = ["PYENV_", "CONDA_", "ASDF_", "MISE_", "__MISE_", "CHILDMINDER_"];

/// Variables that say where a version manager lives.
const MANAGERS: [&str; 5] = ["PYENV_ROOT", "ASDF_DIR", "ASDF_DATA_DIR", "MISE_DATA_DIR", "RYE_HOME"];
/// Folders in which version managers live when no variable says so.
const MANAGER_FOLDERS: [&str; 5] = [".pyenv", ".asdf", ".rye", "mise", "shims"];
/// Variables that say where the activated environment is.
const ACTIVATED: [&str; 2] = ["VIRTUAL_ENV", "CONDA_PREFIX"];

/// The environment before a backend and a job say what they want.
pub fn clean(engine: &Environment, changes: &Changes) -> Environment {
    let kept = |name: &OsStr| changes.keep.iter().any(|keep| name == keep.as_str());
    let unset = |name: &OsStr| changes.unset.iter().any(|unset| name == unset.as_str());
    let mut env: Environment = engine
        .iter()
        .filter(|(name, _)| !unset(name) && (kept(name) || !misleads(name)))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !kept(OsStr::new("PATH"))
        && let Some(path) = env.get_mut(OsStr::new("PATH"))
    {
        let folders = Folders::of(engine);
        let left = folders.on_path.iter().filter(|folder| folder.role == Role::Plain).map(|folder| &folder.path);
        // Cannot fail: the folders were parts of such a list.
        *path = std::env::join_paths(left).unwrap_or_default();
    }
    env.insert("PYTHONUNBUFFERED".into(), "1".into());
    env.insert("PYTHONIOENCODING".into(), "utf-8:backslashreplace".into());
    env
}

fn misleads(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    REMOVED.iter().any(|removed| name == removed.as_bytes())
        || REMOVED_FAMILIES.iter().any(|family| name.starts_with(family.as_bytes()))
}

/// What a folder on PATH is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Anything else.
    Plain,
    /// The `bin` of an activated virtual or conda environment.
    Activated,
    /// A version manager's.
    Manager,
}

/// A folder on PATH.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) role: Role,
}

/// The folders on the engine's PATH.
#[derive(Debug)]
pub(super) struct Folders {
    /// In the order of PATH.
    pub(super) on_path: Vec<Folder>,
}

impl Folders {
    pub(super) fn of(engine: &Environment) -> Self {
        let path = engine.get(OsStr::new("PATH")).map_or(OsStr::new(""), OsString::as_os_str);
        let roots = |names: &[&str]| -> Vec<PathBuf> {
            let roots = names.iter().filter_map(|name| engine.get(OsStr::new(name)));
            roots.filter(|root| !root.is_empty()).map(PathBuf::from).collect()
        };
        let (managers, activated) = (roots(&MANAGERS), roots(&ACTIVATED));
        let role = |path: &Path| {
            let named = |part: Component<'_>| MANAGER_FOLDERS.iter().any(|name| part.as_os_str() == *name);
            if managers.iter().any(|root| path.starts_with(root)) || path.components().any(named) {
                Role::Manager
            } else if activated.iter().any(|root| path.starts_with(root)) {
                Role::Activated
            } else {
                Role::Plain
            }
        };
        let folders = std::env::split_paths(path).filter(|path| path.is_absolute());
        Self { on_path: folders.map(|path| Folder { role: role(&path), path }).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
    }

    #[test]
    fn what_misleads_is_taken_out() {
        let engine = env(&[
            ("HOME", "/h"),
            ("PYTHONHOME", "/p"),
            ("PYTHONPATH", "/p"),
            ("PYENV_ROOT", "/h/py"),
            ("VIRTUAL_ENV", "/v"),
            ("CONDA_PREFIX", "/c"),
            ("CHILDMINDER_SECRET", "00"),
            ("GONE", "1"),
            ("PATH", "/h/py/shims:/v/bin:/usr/bin:relative:/c/bin:/h/.asdf/shims:/h/.local/share/mise/shims:/bin"),
        ]);
        let changes = Changes { keep: vec!["PYTHONPATH".into()], unset: vec!["GONE".into()], ..Changes::default() };
        let expected = env(&[
            ("HOME", "/h"),
            ("PATH", "/usr/bin:/bin"),
            ("PYTHONIOENCODING", "utf-8:backslashreplace"),
            ("PYTHONPATH", "/p"),
            ("PYTHONUNBUFFERED", "1"),
        ]);
        assert_eq!(clean(&engine, &changes), expected);
    }
}
