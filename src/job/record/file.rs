//! A file that is read, and then replaced whole or not at all.

use super::RecordError;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The largest file that is added to, in bytes.
const MOST: u64 = 64 << 20;

/// A file as it was when it was read.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    text: String,
    /// `None`: there was none.
    was: Option<Metadata>,
}

impl Target {
    /// Reads it; one that is not there is empty. What is no regular file, or a link, is refused.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        let failed = |why: &dyn std::fmt::Display| RecordError::File(format!("{}: {why}", path.display()));
        let options = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = match OpenOptions::new().read(true).custom_flags(options).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path: path.to_owned(), text: String::new(), was: None });
            }
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
                return Err(failed(&"is a link, which is not written through; name the file itself"));
            }
            Err(error) => return Err(failed(&error)),
        };
        let was = file.metadata().map_err(|error| failed(&error))?;
        if !was.is_file() {
            return Err(failed(&"is not a regular file"));
        }
        let mut bytes = Vec::new();
        file.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
        if bytes.len() as u64 > MOST {
            return Err(failed(&format!("is larger than {} MiB", MOST >> 20)));
        }
        let text = String::from_utf8(bytes).map_err(|_| failed(&"is not UTF-8"))?;
        Ok(Self { path: path.to_owned(), text, was: Some(was) })
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is there.
    pub fn exists(&self) -> bool {
        self.was.is_some()
    }

    /// Puts a new text in its place, with the old one's mode; refused when somebody else has changed it meanwhile.
    pub fn replace(self, text: &str) -> Result<(), RecordError> {
        let failed = |error: io::Error| RecordError::File(format!("cannot write {}: {error}", self.path.display()));
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let random = getrandom::u64().map_err(|error| failed(io::Error::other(error)))?;
        let draft = Draft(folder.join(format!(".childminder-{random:016x}")));
        let mut file = OpenOptions::new().write(true).create_new(true).open(&draft.0).map_err(failed)?;
        self.fill(&mut file, text).map_err(failed)?;
        if !self.is_as_it_was() {
            let why = format!("{} was changed meanwhile; nothing was written", self.path.display());
            return Err(RecordError::File(why));
        }
        fs::rename(&draft.0, &self.path).map_err(failed)?;
        // So that the new name outlives a power cut; it is there already either way.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    fn fill(&self, file: &mut File, text: &str) -> io::Result<()> {
        if let Some(was) = &self.was {
            file.set_permissions(Permissions::from_mode(was.mode() & 0o7777))?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    fn is_as_it_was(&self) -> bool {
        let name = |of: &Metadata| (of.dev(), of.ino(), of.len(), of.mtime(), of.mtime_nsec());
        let is = fs::symlink_metadata(&self.path).ok();
        is.as_ref().map(name) == self.was.as_ref().map(name)
    }
}

/// Removed again, unless it was renamed.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // After the rename nothing has this name.
        let _ = fs::remove_file(&self.0);
    }
}
