//! A file that output is written to, piece by piece, off the window's thread.
//!
//! What is there is never written over unless that was asked for and answered.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Why nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SaveError {
    /// There is such a file.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// Another reason, for people.
    #[error("{0}")]
    Failed(String),
}

/// The file that is being written, if one is.
#[derive(Debug, Clone, Default)]
pub(super) struct Save(Arc<Mutex<Option<(PathBuf, File)>>>);

impl Save {
    /// Makes the file, or empties the one that is there; its whole path.
    pub(super) async fn create(self, typed: String, replace: bool) -> Result<PathBuf, SaveError> {
        off_thread(move || {
            let path = whole(&typed)?;
            let file = open(&path, replace)?;
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((path.clone(), file));
            Ok(path)
        })
        .await
    }

    /// Writes on.
    pub(super) async fn append(self, bytes: Vec<u8>) -> Result<(), SaveError> {
        off_thread(move || {
            let mut saved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((path, file)) = &mut *saved else { return Err(SaveError::Failed("no file is open".into())) };
            file.write_all(&bytes).map_err(|error| failed(path, &error))
        })
        .await
    }
}

/// Does what a slow disk may keep waiting, on a thread of its own.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SaveError> + Send + 'static,
) -> Result<T, SaveError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(SaveError::Failed(format!("it was not written: {error}"))))
}

/// The whole path of what was typed.
pub(super) fn whole(typed: &str) -> Result<PathBuf, SaveError> {
    std::path::absolute(of_home(typed)).map_err(|error| failed(Path::new(typed), &error))
}

fn of_home(typed: &str) -> PathBuf {
    match (typed.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => typed.into(),
    }
}

fn open(path: &Path, replace: bool) -> Result<File, SaveError> {
    let mut options = OpenOptions::new();
    options.write(true);
    if replace {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    // A pipe that nobody reads would be waited for without an end.
    let file = options.custom_flags(nix::libc::O_NONBLOCK).open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => SaveError::Exists(path.into()),
        _ => failed(path, &error),
    })?;
    if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        Ok(file)
    } else {
        Err(SaveError::Failed(format!("{} is not a file that can be written to", path.display())))
    }
}

fn failed(path: &Path, error: &io::Error) -> SaveError {
    SaveError::Failed(format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_there_is_written_over_only_when_asked_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.txt");
        let typed = path.to_str().unwrap().to_owned();
        let save = Save::default();
        assert_eq!(save.clone().create(typed.clone(), false).await, Ok(path.clone()));
        save.clone().append(b"one\n".to_vec()).await.unwrap();
        save.clone().append(b"two\n".to_vec()).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
        assert_eq!(save.clone().create(typed.clone(), false).await, Err(SaveError::Exists(path.clone())));
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
        save.clone().create(typed, true).await.unwrap();
        save.append(b"3".to_vec()).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"3");
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_told_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no/such/folder").to_str().unwrap().to_owned();
        let told = Save::default().create(missing.clone(), false).await.unwrap_err().to_string();
        assert!(told.contains(&missing) && told.contains("No such file"), "{told}");
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(Save::default().create(pipe.to_str().unwrap().to_owned(), true).await.is_err());
    }
}
