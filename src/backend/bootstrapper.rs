//! The file that runs in the child, written from this binary into the session's private folder.

use crate::job::template::{self, Values};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The bootstrapper as it is in this binary.
pub(super) const TEXT: &str = include_str!("../../bootstrap/child_bootstrapper.py");
/// What Qube's executor is made to run first, as it is in this binary.
const CARRIER: &str = include_str!("../../bootstrap/qube_carrier.py");
/// The line that a generated copy has filled in.
const BLANK: &str = "\nGENERATED = None\n";
/// How every file of ours in the folder begins. A host may import it, so it is a module's name.
const STEM: &str = "child_bootstrapper";

/// Writes the bootstrapper, readable by its owner only; with `baked`, a copy that knows port and secret and removes
/// itself. Files of earlier generations are removed.
pub(super) fn write(folder: &Path, baked: Option<(u16, &str)>) -> io::Result<PathBuf> {
    private(folder)?;
    remove_old(folder)?;
    let path = path(folder);
    let text = match baked {
        None => TEXT.to_owned(),
        Some((port, secret)) => filled_in(&path, port, secret)?,
    };
    put(&path, &text)?;
    Ok(path)
}

/// Writes the carrier of commands to a child that runs Qube's bootstrapper, in the same way.
pub(super) fn write_carrier(folder: &Path) -> io::Result<PathBuf> {
    private(folder)?;
    remove_old(folder)?;
    let path = carrier_path(folder);
    put(&path, CARRIER)?;
    Ok(path)
}

/// Where the carrier is written.
pub(super) fn carrier_path(folder: &Path) -> PathBuf {
    folder.join(format!("{STEM}_carrier.py"))
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Where it is written.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(format!("{STEM}.py"))
}

fn filled_in(path: &Path, port: u16, secret: &str) -> io::Result<String> {
    let wrong = |message: &str| io::Error::new(io::ErrorKind::InvalidInput, message);
    let remove = path.to_str().ok_or_else(|| wrong("the folder's path is not UTF-8"))?;
    let value = json!({ "port": port, "secret": secret, "remove": remove });
    let values = BTreeMap::from([("generated".to_owned(), value)]);
    let line = template::expand("\nGENERATED = {generated}\n", &Values::of([&values]));
    let line = line.map_err(|error| wrong(&error.message))?;
    if TEXT.contains(BLANK) { Ok(TEXT.replacen(BLANK, &line, 1)) } else { Err(wrong("the bootstrapper has no blank")) }
}

/// Makes the folder if it is missing, and refuses one that others could look into.
pub(super) fn private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let about = folder.metadata()?;
    if about.uid() != nix::unistd::geteuid().as_raw() || about.mode() & 0o077 != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the folder is open to others: it must be 0700"));
    }
    Ok(())
}

fn remove_old(folder: &Path) -> io::Result<()> {
    // What a host has compiled is as secret as what it was compiled from.
    for folder in [folder.to_owned(), folder.join("__pycache__")] {
        let Ok(files) = folder.read_dir() else { continue };
        for file in files.flatten().filter(|file| file.file_name().to_string_lossy().starts_with(STEM)) {
            match fs::remove_file(file.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn each_generation_replaces_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("it's ours");
        let path = write(&folder, Some((4711, "aa00"))).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
        let text = fs::read_to_string(&path).unwrap();
        let line = text.lines().find(|line| line.starts_with("GENERATED = {")).unwrap();
        assert!(line.contains("'port': 4711, 'remove': '") && line.contains("it\\'s ours"), "{line}");
        assert!(line.contains("'secret': 'aa00'"), "{line}");
        assert_eq!(text.lines().count(), TEXT.lines().count());
        fs::create_dir(folder.join("__pycache__")).unwrap();
        let compiled = folder.join("__pycache__/child_bootstrapper.cpython-311.pyc");
        fs::write(&compiled, "").unwrap();
        assert_eq!(fs::read_to_string(write(&folder, None).unwrap()).unwrap(), TEXT);
        assert!(!compiled.exists());
    }

    #[test]
    fn a_folder_open_to_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(write(folder.path(), None).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
