//! Finding the executable of a recipe.
//!
//! A bare name is looked for on PATH, in a version manager's folders last: their shims are shell scripts that choose an
//! interpreter by the folder they are called from, which costs time and surprises. A path found is used as it is, never
//! resolved: an interpreter of a virtual environment knows where it is by the name it was called with.

use super::environment::{Environment, Folders, Role};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A candidate, and why it is not the one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// As the recipe or the setting says it.
    pub candidate: String,
    /// Where was looked, and what was wrong there.
    pub outcome: String,
}

impl fmt::Display for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.candidate.escape_debug(), self.outcome.escape_debug())
    }
}

/// The first candidate that is there and can be executed.
pub(super) fn find(candidates: &[String], engine: &Environment) -> Result<PathBuf, Vec<Looked>> {
    let mut looked = Vec::new();
    for candidate in candidates {
        let found = match with_variables(candidate, engine) {
            Err(outcome) => Err(outcome),
            Ok(path) if path.contains('/') => executable(Path::new(&path)).map(|()| path.into()),
            Ok(name) => on_path(&name, engine),
        };
        match found {
            Ok(path) => return Ok(path),
            Err(outcome) => looked.push(Looked { candidate: candidate.clone(), outcome }),
        }
    }
    Err(looked)
}

fn on_path(name: &str, engine: &Environment) -> Result<PathBuf, String> {
    let folders = Folders::of(engine).on_path;
    let (managers, others): (Vec<_>, Vec<_>) = folders.into_iter().partition(|folder| folder.role == Role::Manager);
    let mut places = Vec::new();
    for folder in others.iter().chain(&managers) {
        let path = folder.path.join(name);
        if executable(&path).is_ok() {
            return Ok(path);
        }
        places.push(folder.path.display().to_string());
    }
    Err(format!("not in any folder of PATH ({})", places.join(":")))
}

fn executable(path: &Path) -> Result<(), String> {
    match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err("no such file".into()),
        Err(error) => Err(error.to_string()),
        Ok(about) if about.is_dir() => Err("is a folder".into()),
        Ok(about) if about.permissions().mode() & 0o111 == 0 => Err("may not be executed".into()),
        Ok(_) => Ok(()),
    }
}

/// `~/x`, `$NAME/x` and `${NAME}/x` with the engine's environment.
fn with_variables(candidate: &str, engine: &Environment) -> Result<String, String> {
    let candidate = match candidate.strip_prefix("~/") {
        Some(rest) => format!("$HOME/{rest}"),
        None => candidate.to_owned(),
    };
    let Some(rest) = candidate.strip_prefix('$') else { return Ok(candidate) };
    let (name, rest) = match rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some(parts) => parts,
        None => rest.split_at(rest.find('/').unwrap_or(rest.len())),
    };
    match engine.get(OsStr::new(name)).and_then(|value| value.to_str()) {
        Some(value) => Ok(format!("{value}{rest}")),
        None => Err(format!("the variable {name} is not set")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use std::fs;

    #[test]
    fn plain_folders_come_before_shims_and_failures_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str, mode| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let shim = place("shims/python3", 0o755);
        let plain = place("bin/python3", 0o755);
        place("bin/locked", 0o644);
        let path = format!("{0}/shims:{0}/bin", folder.path().display());
        let engine = Environment::from([
            (OsString::from("PATH"), OsString::from(&path)),
            (OsString::from("HOME"), OsString::from(folder.path())),
        ]);
        let find = |names: &[&str]| find(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), &engine);
        assert_eq!(find(&["python3"]), Ok(plain.clone()));
        assert_eq!(find(&["nothing", "$HOME/bin/python3"]), Ok(plain.clone()));
        assert_eq!(find(&["~/shims/python3"]), Ok(shim.clone()));
        fs::remove_file(&plain).unwrap();
        assert_eq!(find(&["python3"]), Ok(shim));
        let looked = find(&["none", "/no/such", "$HOME/bin/locked", "$ABSENT/x"]).unwrap_err();
        let said: Vec<_> = looked.iter().map(ToString::to_string).collect();
        assert!(said[0].starts_with("none: not in any folder of PATH (") && said[0].contains("/bin:"), "{said:?}");
        assert_eq!(said[1], "/no/such: no such file");
        assert_eq!(said[2], "$HOME/bin/locked: may not be executed");
        assert_eq!(said[3], "$ABSENT/x: the variable ABSENT is not set");
    }
}
