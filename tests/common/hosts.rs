//! Which interpreters and applications this machine has.

#![allow(dead_code, reason = "every test binary uses its own part of this")]
#![allow(clippy::print_stderr, reason = "what was run and what was not is told to whoever reads the test's output")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set where every host that can be installed from packages must be there.
const ALL_HOSTS: &str = "CHILDMINDER_ALL_HOSTS";

/// Whether a missing host is a failure.
pub(crate) fn all_wanted() -> bool {
    std::env::var_os(ALL_HOSTS).is_some_and(|value| !value.is_empty())
}

/// An interpreter.
#[derive(Debug, Clone)]
pub(crate) struct Python {
    /// `python` or `pypy`.
    pub(crate) family: &'static str,
    /// As `sys.version_info` begins.
    pub(crate) version: (u32, u32),
    /// Where it is.
    pub(crate) path: PathBuf,
}

impl Python {
    /// `python3.11`, `pypy3.9`.
    pub(crate) fn name(&self) -> String {
        format!("{}{}.{}", self.family, self.version.0, self.version.1)
    }
}

/// One interpreter of each kind and version from 2.7 on, oldest first: of PATH, else of pyenv.
pub(crate) fn pythons() -> Vec<Python> {
    let versions = ["2.7".to_owned()].into_iter().chain((6..=14).map(|minor| format!("3.{minor}")));
    let names = versions.map(|version| format!("python{version}")).chain(["python3".into(), "pypy3".into()]);
    let mut candidates: Vec<PathBuf> = names.filter_map(|name| on_path(&name)).collect();
    let pyenv = std::env::home_dir().map(|home| home.join(".pyenv/versions"));
    let installed = pyenv.and_then(|folder| folder.read_dir().ok()).into_iter().flatten().flatten();
    let mut installed: Vec<PathBuf> = installed.map(|entry| entry.path().join("bin/python")).collect();
    installed.sort();
    candidates.extend(installed);
    let mut found = BTreeMap::new();
    for path in candidates {
        if let Some(python) = probe(&path) {
            found.entry((python.family, python.version)).or_insert(python);
        }
    }
    let mut found: Vec<Python> = found.into_values().collect();
    found.sort_by_key(|python| (python.family == "pypy", python.version));
    found
}

fn probe(path: &Path) -> Option<Python> {
    let code = "import sys; print('%s %d %d' % ('PyPy' in sys.version, sys.version_info[0], sys.version_info[1]))";
    let asked = Command::new(path).args(["-c", code]).env_remove("PYTHONHOME").env_remove("PYTHONPATH").output();
    let said = String::from_utf8(asked.ok().filter(|asked| asked.status.success())?.stdout).ok()?;
    let words: Vec<&str> = said.split_whitespace().collect();
    let &[pypy, major, minor] = words.as_slice() else { return None };
    let family = if pypy == "True" { "pypy" } else { "python" };
    let version = (major.parse().ok()?, minor.parse().ok()?);
    (version >= (3, 6) || version == (2, 7)).then(|| Python { family, version, path: path.to_owned() })
}

/// Where a program is; a version manager's shims are no place, they only lead to one.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).filter(|folder| !folder.ends_with("shims"));
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Tells that a host is not there; fails where it has to be.
pub(crate) fn not_run(host: &str) {
    eprintln!("NOT RUN: {host} is not installed");
    assert!(!all_wanted(), "{host} is not installed, and {ALL_HOSTS} is set");
}
