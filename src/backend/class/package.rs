//! The Python package that the helper runs: written from this binary into the session's private folder.

use super::super::bootstrapper::private;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Its files, below `bootstrap/qube/`.
const FILES: [(&str, &str); 16] = [
    ("childminder_qube/__init__.py", include_str!("../../../bootstrap/qube/childminder_qube/__init__.py")),
    ("childminder_qube/bridge.py", include_str!("../../../bootstrap/qube/childminder_qube/bridge.py")),
    ("childminder_qube/farm.py", include_str!("../../../bootstrap/qube/childminder_qube/farm.py")),
    ("childminder_qube/loading.py", include_str!("../../../bootstrap/qube/childminder_qube/loading.py")),
    ("childminder_qube/objects.py", include_str!("../../../bootstrap/qube/childminder_qube/objects.py")),
    ("childminder_qube/paths.py", include_str!("../../../bootstrap/qube/childminder_qube/paths.py")),
    ("childminder_qube/session.py", include_str!("../../../bootstrap/qube/childminder_qube/session.py")),
    ("childminder_qube/stock.py", include_str!("../../../bootstrap/qube/childminder_qube/stock.py")),
    ("driver.py", include_str!("../../../bootstrap/qube/driver.py")),
    ("qb/__init__.py", include_str!("../../../bootstrap/qube/qb/__init__.py")),
    ("qb/backend/__init__.py", include_str!("../../../bootstrap/qube/qb/backend/__init__.py")),
    ("qb/backend/logParser.py", include_str!("../../../bootstrap/qube/qb/backend/logParser.py")),
    ("qb/backend/pythonBackEnd.py", include_str!("../../../bootstrap/qube/qb/backend/pythonBackEnd.py")),
    ("qb/backend/pythonChildBackEnd.py", include_str!("../../../bootstrap/qube/qb/backend/pythonChildBackEnd.py")),
    ("qb/backend/pythonChildHandler.py", include_str!("../../../bootstrap/qube/qb/backend/pythonChildHandler.py")),
    ("qb/backend/utils.py", include_str!("../../../bootstrap/qube/qb/backend/utils.py")),
];

/// The file that the helper is started with.
const DRIVER: &str = "driver.py";

/// Writes the package below the session's runtime folder, readable by its owner only, and says what is to be run.
pub(super) fn write(runtime: &Path) -> io::Result<PathBuf> {
    private(runtime)?;
    let folder = runtime.join("qube");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    for (name, text) in FILES {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::DirBuilder::new().mode(0o700).recursive(true).create(parent)?;
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())?;
    }
    Ok(folder.join(DRIVER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::os::unix::fs::MetadataExt;

    fn below(folder: &Path, within: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                below(&path, within, found);
            } else if path.extension().is_some_and(|extension| extension == "py") {
                found.insert(path.strip_prefix(within).unwrap().to_string_lossy().into_owned());
            }
        }
    }

    #[test]
    fn all_of_the_package_is_in_this_binary_and_written_for_its_owner_only() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("bootstrap/qube");
        let (mut there, mut written) = (BTreeSet::new(), BTreeSet::new());
        below(&source, &source, &mut there);
        let runtime = tempfile::tempdir().unwrap();
        let runtime = runtime.path().join("private");
        // A second driver of the session finds the first one's files.
        write(&runtime).unwrap();
        let driver = write(&runtime).unwrap();
        below(driver.parent().unwrap(), driver.parent().unwrap(), &mut written);
        assert_eq!(written, there);
        assert_eq!((driver.metadata().unwrap().mode() & 0o777, driver.is_file()), (0o600, true));
    }
}
