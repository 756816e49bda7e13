//! Which interpreters `--python 2.7,3.9` means.

use std::path::{Path, PathBuf};

/// Folders of interpreters under the home folder: for version managers a folder a version, and in it `bin`.
const MANAGED: [(&str, &str); 4] = [
    (".pyenv/versions", ""),
    (".asdf/installs/python", ""),
    (".local/share/uv/python", "cpython-"),
    (".local/share/mise/installs/python", ""),
];
/// Where they are besides.
const FOLDERS: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/opt/python/bin"];

/// One that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Python {
    /// As it was asked for.
    pub(super) name: String,
    /// Where it is; else where was looked.
    pub(super) path: Result<PathBuf, String>,
}

/// Where interpreters are looked for.
pub(super) struct Places {
    on_path: Vec<PathBuf>,
    home: Option<PathBuf>,
    pyenv: Option<PathBuf>,
}

impl Places {
    /// As the environment says.
    pub(super) fn from_env() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Shims only lead to one, and by the folder that they are called in.
        let on_path = std::env::split_paths(&path).filter(|folder| !folder.ends_with("shims")).collect();
        let pyenv = std::env::var_os("PYENV_ROOT").filter(|root| !root.is_empty()).map(PathBuf::from);
        Self { on_path, home: std::env::home_dir(), pyenv }
    }

    /// Each that a list names: by a version, by a program's name, or by a path.
    pub(super) fn find(&self, names: &[String]) -> Vec<Python> {
        let find = |name: &String| Python { name: name.clone(), path: self.one(name) };
        names.iter().map(find).collect()
    }

    fn one(&self, name: &str) -> Result<PathBuf, String> {
        if name.contains('/') {
            let path = std::path::absolute(name).map_err(|error| error.to_string())?;
            return if is_program(&path) { Ok(path) } else { Err(format!("{name} cannot be executed")) };
        }
        let is_version = name.starts_with(|first: char| first.is_ascii_digit());
        let program = if is_version { format!("python{name}") } else { name.to_owned() };
        let folders = self.on_path.iter().cloned().chain(FOLDERS.map(PathBuf::from));
        let plain = folders.map(|folder| folder.join(&program)).find(|path| is_program(path));
        let found = plain.or_else(|| is_version.then(|| self.managed(name)).flatten());
        found.ok_or_else(|| {
            let homes = MANAGED.map(|(folder, _)| format!("~/{folder}")).join(", ");
            format!("there is no {program} in PATH, {} or {homes}; name it by its path", FOLDERS.join(", "))
        })
    }

    /// The newest one of a version that a version manager has.
    fn managed(&self, version: &str) -> Option<PathBuf> {
        let pyenv = self.pyenv.iter().map(|root| (root.join("versions"), ""));
        let home = self.home.iter().flat_map(|home| MANAGED.map(|(folder, prefix)| (home.join(folder), prefix)));
        let mut found: Vec<(Vec<u32>, PathBuf)> = Vec::new();
        for (folder, prefix) in pyenv.chain(home) {
            for entry in folder.read_dir().into_iter().flatten().flatten() {
                let name = entry.file_name();
                let Some(numbers) = name.to_str().and_then(|name| name.strip_prefix(prefix)).and_then(numbers) else {
                    continue;
                };
                let bin = entry.path().join("bin");
                let path = ["python", "python3", "python2"]
                    .map(|name| bin.join(name))
                    .into_iter()
                    .find(|path| is_program(path));
                if let Some(path) =
                    path.filter(|_| self::numbers(version).is_some_and(|wanted| numbers.starts_with(&wanted)))
                {
                    found.push((numbers, path));
                }
            }
        }
        found.into_iter().max().map(|(_, path)| path)
    }
}

/// `3.9.18` and what may follow after that.
fn numbers(version: &str) -> Option<Vec<u32>> {
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    let numbers = version[..end].split('.').map(|number| number.parse().ok());
    numbers.collect::<Option<Vec<u32>>>().filter(|numbers| !numbers.is_empty())
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn versions_are_found_and_a_missing_one_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(&path, "").expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
            path
        };
        let plain = place("bin/python93.9");
        let newest = place(".pyenv/versions/93.10.12/bin/python");
        place(".pyenv/versions/93.10.9/bin/python");
        place(".pyenv/versions/93.100.0/bin/python");
        let uv = place(".local/share/uv/python/cpython-93.11.4-linux-x86_64/bin/python3");
        let places =
            Places { on_path: vec![folder.path().join("bin")], home: Some(folder.path().to_owned()), pyenv: None };
        let names = ["93.9", "93.10", "93.11", "93.1", "python93.9"].map(str::to_owned);
        let mut found: Vec<_> = places.find(&names).into_iter().map(|python| python.path).collect();
        let missing = found.remove(3).expect_err("there is none");
        assert!(missing.starts_with("there is no python93.1 in PATH, "), "{missing}");
        assert_eq!(found, [Ok(plain.clone()), Ok(newest), Ok(uv), Ok(plain)]);
    }
}
