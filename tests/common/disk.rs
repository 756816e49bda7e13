//! A disk that can be filled up.

use std::path::Path;
use std::process::Command;

/// A file system of its own of three mebibytes.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// None when we may not mount one, which is told.
    #[allow(clippy::print_stderr, reason = "what was not run is told")]
    pub(crate) fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs"]).arg(folder.path());
        if mount.output().is_ok_and(|done| done.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("NOT RUN: a full disk (no file system may be mounted here)");
        None
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what an engine still has open on it must not keep it in the way.
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

/// Takes all that is left of the disk.
pub(crate) fn fill(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).expect("a file");
    for size in [64 << 10, 4 << 10, 1] {
        while file.write_all(&vec![b'.'; size]).is_ok() {}
    }
}
