//! Finding the executable of a recipe.
//!
//! A bare name is looked for on PATH, in a version manager's folders last: their shims are shell scripts that choose an
//! interpreter by the folder they are called from, which costs time and surprises. In a name or a path `*` stands for
//! anything and `{version}` for a version; of what matches one candidate the newest version comes first. A path found is
//! used as it is, never resolved: an interpreter of a virtual environment knows where it is by the name it was called
//! with.

use super::environment::{Environment, Folders, Role};
use super::places::{self, Place};
use super::version;
use serde::Serialize;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How many places of one candidate are told of when none of them is the one.
const TOLD: usize = 5;

/// A candidate, and why it is not the one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

/// What is looked for.
#[derive(Debug)]
pub(super) struct Wish<'w> {
    /// Names, paths and patterns, the best first.
    pub(super) candidates: &'w [String],
    /// The version wanted, or the beginning of it.
    pub(super) version: Option<&'w str>,
    /// With what an executable is asked for its version, should its path not tell it; none: it is not asked.
    pub(super) version_arguments: &'w [String],
}

/// An executable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Which version it is, as far as its path tells or it was asked.
    pub version: Option<String>,
}

/// The first candidate that is there, can be executed and is of the version wanted. Reads folders, and may run what it
/// finds to learn its version; both take a bounded time, but time.
pub(super) fn find(wish: &Wish<'_>, engine: &Environment) -> Result<Found, Vec<Looked>> {
    let mut looked = Vec::new();
    for candidate in wish.candidates {
        match find_one(candidate, wish, engine) {
            Ok(found) => return Ok(found),
            Err(outcome) => looked.push(Looked { candidate: candidate.clone(), outcome }),
        }
    }
    Err(looked)
}

fn find_one(candidate: &str, wish: &Wish<'_>, engine: &Environment) -> Result<Found, String> {
    let path = with_variables(candidate, engine)?;
    let (found, nowhere) = if path.contains('/') {
        (places::of(Path::new(""), &path), "nothing matches".to_owned())
    } else {
        on_path(&path, engine)
    };
    let mut wrong = Vec::new();
    for place in found {
        let checked = executable(&place.path).and_then(|()| of_version(&place, wish, engine));
        match checked {
            Ok(version) => return Ok(Found { path: place.path, version }),
            Err(why) => wrong.push((place.path, why)),
        }
    }
    Err(match wrong.as_slice() {
        [] => nowhere,
        [(one, why)] if one.as_os_str() == path.as_str() => why.clone(),
        many => {
            let told = many.iter().take(TOLD).map(|(path, why)| format!("{} {why}", path.display()));
            let more = if many.len() > TOLD { format!(", and {} more", many.len() - TOLD) } else { String::new() };
            told.collect::<Vec<_>>().join(", ") + &more
        }
    })
}

/// Where a bare name is, and what to say if that is nowhere.
fn on_path(name: &str, engine: &Environment) -> (Vec<Place>, String) {
    let folders = Folders::of(engine).on_path;
    let (managers, others): (Vec<_>, Vec<_>) = folders.into_iter().partition(|folder| folder.role == Role::Manager);
    let folders = others.iter().chain(&managers);
    let mut found = Vec::new();
    for folder in folders.clone() {
        let runs = |place: &Place| executable(&place.path).is_ok();
        found.extend(places::of(&folder.path, name).into_iter().filter(runs));
    }
    if places::is_pattern(name) {
        places::newest_first(&mut found);
    }
    let folders: Vec<_> = folders.map(|folder| folder.path.display().to_string()).collect();
    (found, format!("not in any folder of PATH ({})", folders.join(":")))
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

/// The version of what is there; why not, if it is another one than is wanted.
fn of_version(place: &Place, wish: &Wish<'_>, engine: &Environment) -> Result<Option<String>, String> {
    let Some(wanted) = wish.version else { return Ok(place.version.clone()) };
    let known = place.version.clone().or_else(|| version::ask(&place.path, wish.version_arguments, engine));
    match known {
        Some(version) if version::begins_with(&version, wanted) => Ok(Some(version)),
        Some(version) => Err(format!("is version {version}, and {wanted} is wanted")),
        None => Err(format!("does not tell its version, and {wanted} is wanted")),
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

    /// A folder with executables in it, and an environment whose PATH has its `shims` and its `bin`.
    struct Machine(tempfile::TempDir, Environment);

    impl Machine {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = format!("{0}/shims:{0}/bin", folder.path().display());
            let engine = Environment::from([
                (OsString::from("PATH"), OsString::from(&path)),
                (OsString::from("HOME"), OsString::from(folder.path())),
            ]);
            Self(folder, engine)
        }

        fn place(&self, name: &str, mode: u32, text: &str) -> PathBuf {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        }

        fn find(&self, names: &[&str], version: Option<&str>) -> Result<Found, Vec<Looked>> {
            let candidates: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let version_arguments = ["--version".to_owned()];
            find(&Wish { candidates: &candidates, version, version_arguments: &version_arguments }, &self.1)
        }

        fn path(&self, names: &[&str]) -> Option<PathBuf> {
            self.find(names, None).ok().map(|found| found.path)
        }
    }

    #[test]
    fn plain_folders_come_before_shims_and_failures_are_listed() {
        let machine = Machine::new();
        let shim = machine.place("shims/python3", 0o755, "");
        let plain = machine.place("bin/python3", 0o755, "");
        machine.place("bin/locked", 0o644, "");
        assert_eq!(machine.path(&["python3"]), Some(plain.clone()));
        assert_eq!(machine.path(&["nothing", "$HOME/bin/python3"]), Some(plain.clone()));
        assert_eq!(machine.path(&["~/shims/python3"]), Some(shim.clone()));
        fs::remove_file(&plain).unwrap();
        assert_eq!(machine.path(&["python3"]), Some(shim));
        let looked =
            machine.find(&["none", "/no/such", "$HOME/bin/locked", "$ABSENT/x", "~/app*/x"], None).unwrap_err();
        let said: Vec<_> = looked.iter().map(ToString::to_string).collect();
        assert!(said[0].starts_with("none: not in any folder of PATH (") && said[0].contains("/bin:"), "{said:?}");
        assert_eq!(said[1], "/no/such: no such file");
        assert_eq!(said[2], "$HOME/bin/locked: may not be executed");
        assert_eq!(said[3], "$ABSENT/x: the variable ABSENT is not set");
        assert_eq!(said[4], "~/app*/x: nothing matches");
    }

    #[test]
    fn the_newest_version_comes_first_and_the_one_wanted_is_taken() {
        let machine = Machine::new();
        for version in ["4.2.1-linux", "4.10.0-linux", "3.6.9-linux"] {
            machine.place(&format!("opt/app-{version}/app"), 0o755, "");
        }
        machine.place("opt/app-9.0/app", 0o644, "");
        let found = |version: Option<&str>| {
            let found = machine.find(&["$HOME/opt/app*/app"], version)?;
            Ok::<_, Vec<Looked>>(found.version)
        };
        assert_eq!(found(None), Ok(Some("4.10.0".into())));
        assert_eq!(found(Some("4.2")), Ok(Some("4.2.1".into())));
        assert_eq!(found(Some("3")), Ok(Some("3.6.9".into())));
        let said = found(Some("4.1")).unwrap_err()[0].to_string();
        assert!(said.contains("app-4.10.0-linux/app is version 4.10.0, and 4.1 is wanted"), "{said}");
        assert!(said.contains("app-9.0/app may not be executed"), "{said}");
    }

    #[test]
    fn what_its_path_does_not_tell_an_executable_is_asked_for() {
        let machine = Machine::new();
        let asked = machine.place("bin/app", 0o755, "#!/bin/sh\necho 'App (Vendor 1) 13.1.2'\n");
        machine.place("bin/app3.9", 0o755, "");
        let find = |version| machine.find(&["app", "app{version}"], Some(version)).map(|found| found.path);
        assert_eq!(find("13.1"), Ok(asked));
        assert_eq!(find("3.9"), Ok(machine.0.path().join("bin/app3.9")));
        let said = find("2").unwrap_err();
        assert!(said[0].to_string().ends_with("bin/app is version 13.1.2, and 2 is wanted"), "{said:?}");
    }
}
