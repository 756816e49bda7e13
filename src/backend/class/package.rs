//! The Python package that the helper runs: written from this binary into the session's private folder.

use super::super::bootstrapper::private;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Its files, below `bootstrap/qube/`.
const FILES: [(&str, &str); 0] = [];

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
