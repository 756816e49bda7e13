//! Where a session's socket is.
//!
//! In `$XDG_RUNTIME_DIR/childminder`, else in a folder of ours under the system's temporary directory. Whoever could
//! write into that folder could put a socket of their own there and get people's Python to run, so it must be a real
//! directory, ours, and closed to everybody else. The runtime directory ends with its user's last log-in: first it is
//! emptied, then unmounted, and what is made there in between nobody can reach. So a socket that vanished is made again
//! under the temporary directory, and clients look in all the places. A group's watchers have a folder of their own, which only the group
//! can enter. Paths of sockets end at 107 bytes; long ids are hashed.

use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The longest path that a socket can have, in bytes, without the NUL.
const LONGEST: usize = 107;
/// Our folder in the runtime directory.
const FOLDER: &str = "childminder";

/// Why there is no place for a socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody else's, or no directory.
    #[error("{} cannot hold the session's socket: {problem}; remove it or set XDG_RUNTIME_DIR", path.display())]
    Unsafe {
        /// What was found.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No path is short enough.
    #[error("{} is too long for a socket ({LONGEST} bytes at most); set XDG_RUNTIME_DIR to a shorter path", path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
    },
}

/// The places that this process considers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// `$XDG_RUNTIME_DIR`.
    pub runtime: Option<PathBuf>,
    /// The system's temporary directory.
    pub temporary: PathBuf,
    /// Whose the folder must be.
    pub uid: u32,
}

impl Places {
    /// As the environment says.
    pub fn from_env() -> Self {
        Self {
            runtime: std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()),
            temporary: std::env::temp_dir(),
            uid: nix::unistd::geteuid().as_raw(),
        }
    }

    /// The session's socket path, in a folder that was made and checked.
    pub fn prepare(&self, session: &str) -> Result<PathBuf, SocketError> {
        self.first_of(&self.folders(), session)
    }

    /// The path for a socket that vanished from where it was: the runtime directory, which may be going away, comes
    /// last, for when no other folder can be had.
    pub fn prepare_anew(&self, session: &str) -> Result<PathBuf, SocketError> {
        let mut folders = self.folders();
        folders.rotate_left(usize::from(self.runtime.is_some()));
        self.first_of(&folders, session)
    }

    /// Whether a path is in the runtime directory, which goes away when its user logs out.
    pub(super) fn is_in_runtime(&self, path: &Path) -> bool {
        self.runtime.as_ref().is_some_and(|runtime| path.starts_with(runtime.join(FOLDER)))
    }

    fn first_of(&self, folders: &[PathBuf], session: &str) -> Result<PathBuf, SocketError> {
        let mut last = None;
        for folder in folders {
            match self.claim(folder, None).and_then(|()| fitting(folder, session)) {
                Ok(path) => return Ok(path),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or(SocketError::TooLong { path: self.temporary.clone() }))
    }

    /// The path of the session's socket for a group of watchers, in a folder that was made and checked: under the
    /// temporary directory if everybody can get there, else under `/tmp`.
    pub fn prepare_for_group(&self, session: &str, gid: u32) -> Result<PathBuf, SocketError> {
        let is_open = |folder: &Path| folder.metadata().is_ok_and(|found| found.mode() & 0o001 != 0);
        let temporary = if self.temporary.ancestors().all(is_open) { &self.temporary } else { Path::new("/tmp") };
        let folder = temporary.join(format!("childminder-{}-{gid}", self.uid));
        self.claim(&folder, Some(gid))?;
        fitting(&folder, session)
    }

    /// Where a client looks for a session's socket, likeliest first: where the session says that it is, then wherever
    /// an engine of ours would have put it.
    pub fn candidates(&self, session: &str, recorded: Option<&Path>) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = recorded.map(Path::to_owned).into_iter().collect();
        for path in self.folders().iter().filter_map(|folder| fitting(folder, session).ok()) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
    }

    fn folders(&self) -> Vec<PathBuf> {
        let own = format!("childminder-{}", self.uid);
        let mut folders: Vec<PathBuf> = self.runtime.iter().map(|runtime| runtime.join(FOLDER)).collect();
        folders.push(self.temporary.join(&own));
        // A long TMPDIR must not keep a session from having a socket.
        folders.push(Path::new("/tmp").join(own));
        folders.dedup();
        folders
    }

    /// Makes and checks a folder of ours, which nobody else can enter but a group.
    fn claim(&self, folder: &Path, group: Option<u32>) -> Result<(), SocketError> {
        let io = |source| SocketError::Io { path: folder.to_owned(), source };
        match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io(error)),
        }
        let found = folder.symlink_metadata().map_err(io)?;
        let problem = if !found.is_dir() {
            "it is not a directory".to_owned()
        } else if found.uid() != self.uid {
            format!("it belongs to uid {}, not to {}", found.uid(), self.uid)
        } else {
            let mode = if group.is_some() { 0o750 } else { 0o700 };
            if group.is_some_and(|gid| gid != found.gid()) {
                std::os::unix::fs::chown(folder, None, group).map_err(io)?;
            }
            if found.mode() & 0o777 != mode {
                std::fs::set_permissions(folder, Permissions::from_mode(mode)).map_err(io)?;
            }
            return Ok(());
        };
        Err(SocketError::Unsafe { path: folder.to_owned(), problem })
    }
}

/// `ID.sock` in the folder, or a hash of the id where that is too long.
fn fitting(folder: &Path, session: &str) -> Result<PathBuf, SocketError> {
    let plain = folder.join(format!("{session}.sock"));
    if plain.as_os_str().as_bytes().len() <= LONGEST && !session.contains('/') {
        return Ok(plain);
    }
    let hash: String = Sha256::digest(session).iter().take(8).fold(String::new(), |hash, byte| {
        use std::fmt::Write;
        let mut hash = hash;
        // Writing to a string does not fail.
        let _ = write!(hash, "{byte:02x}");
        hash
    });
    let short = folder.join(format!("{hash}.sock"));
    if short.as_os_str().as_bytes().len() <= LONGEST { Ok(short) } else { Err(SocketError::TooLong { path: plain }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(runtime: Option<&Path>, temporary: &Path) -> Places {
        Places {
            runtime: runtime.map(Path::to_owned),
            temporary: temporary.to_owned(),
            uid: nix::unistd::geteuid().as_raw(),
        }
    }

    #[test]
    fn the_runtime_directory_comes_first_and_its_folder_is_closed() {
        let folder = tempfile::tempdir().expect("folder");
        let places = places(Some(folder.path()), Path::new("/tmp"));
        let path = places.prepare("20261123-205639-demo-3f2a").expect("a place");
        assert_eq!(path, folder.path().join("childminder/20261123-205639-demo-3f2a.sock"));
        let mode = path.parent().expect("a folder").metadata().expect("there").mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(places.candidates("20261123-205639-demo-3f2a", None)[0], path);
    }

    #[test]
    fn a_vanished_socket_goes_under_the_temporary_directory_or_else_back() {
        let (runtime, temporary) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
        let places = places(Some(runtime.path()), temporary.path());
        let path = places.prepare_anew("3f2a").expect("a place");
        assert_eq!(path, temporary.path().join(format!("childminder-{}/3f2a.sock", places.uid)));
        assert!(!places.is_in_runtime(&path) && !runtime.path().join("childminder").exists());
        assert!(places.candidates("3f2a", None).contains(&path), "clients look there");
        let mut folders = places.folders();
        folders.rotate_left(1);
        assert_eq!(folders.last(), Some(&runtime.path().join("childminder")), "the last resort");
    }

    #[test]
    fn a_symlink_or_a_file_in_its_place_is_not_taken() {
        let folder = tempfile::tempdir().expect("folder");
        let elsewhere = tempfile::tempdir().expect("elsewhere");
        let places = places(None, folder.path());
        let ours = folder.path().join(format!("childminder-{}", places.uid));
        std::os::unix::fs::symlink(elsewhere.path(), &ours).expect("symlink");
        let refused = places.claim(&ours, None).expect_err("a symlink").to_string();
        assert!(refused.contains("not a directory"), "{refused}");
        std::fs::remove_file(&ours).expect("removed");
        std::fs::write(&ours, "").expect("a file");
        assert!(matches!(places.claim(&ours, Some(7)), Err(SocketError::Unsafe { .. })));
    }

    #[test]
    fn somebody_elses_folder_is_not_taken_and_a_lax_one_is_closed() {
        let folder = tempfile::tempdir().expect("folder");
        let mut places = places(Some(folder.path()), folder.path());
        let ours = folder.path().join("childminder");
        std::fs::create_dir(&ours).expect("made");
        std::fs::set_permissions(&ours, Permissions::from_mode(0o777)).expect("opened");
        places.claim(&ours, None).expect("ours");
        assert_eq!(ours.metadata().expect("there").mode() & 0o777, 0o700);
        places.uid += 1;
        let refused = places.claim(&ours, None).expect_err("another's").to_string();
        assert!(refused.contains("belongs to uid"), "{refused}");
    }

    #[test]
    fn long_ids_and_long_folders_still_fit() {
        let folder = tempfile::tempdir().expect("folder");
        let id = "x".repeat(300);
        let path = fitting(folder.path(), &id).expect("hashed");
        assert!(path.as_os_str().len() <= LONGEST);
        assert_ne!(path, fitting(folder.path(), &"y".repeat(300)).expect("hashed"));
        let deep = folder.path().join("d".repeat(120));
        assert!(matches!(fitting(&deep, &id), Err(SocketError::TooLong { .. })));
    }
}
