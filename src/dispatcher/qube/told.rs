//! The private files in which the carrier says what became of a command: what makes a reply believed.

use crate::model::child::Application;
use crate::model::{CommandId, Exception, Hello};
use serde::Deserialize;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The longest file, in bytes.
const MOST: u64 = 8 << 20;
const STEM: &str = "qube-";

/// What the carrier says.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    id: CommandId,
    #[serde(default)]
    pub(super) raised: Option<Box<Exception>>,
    #[serde(default)]
    pub(super) exit: Option<i64>,
    #[serde(default)]
    pid: u32,
    #[serde(default)]
    executable: String,
    #[serde(default)]
    python: String,
    #[serde(default)]
    implementation: String,
}

impl Told {
    /// What it says of the child. The wire knows no signal and no question: whatever needs one cannot be done.
    pub(super) fn into_hello(self, application: String) -> Hello {
        Hello {
            pid: self.pid,
            executable: self.executable,
            python: self.python,
            implementation: self.implementation,
            application: Application { name: application, version: String::new() },
            features: vec![super::FEATURE.to_owned()],
            ..Hello::default()
        }
    }
}

/// What was said of a command, if anything was; it is said once.
pub(super) async fn take(folder: &Path, id: CommandId) -> io::Result<Option<Told>> {
    let path = folder.join(format!("{STEM}{id}.json"));
    // The folder is on a disk: nobody but this waits for it.
    let read = tokio::task::spawn_blocking(move || read(&path, id)).await;
    read.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn read(path: &PathBuf, id: CommandId) -> io::Result<Option<Told>> {
    // What stands there may be anything that the child has made: opening it must not wait.
    let mut options = OpenOptions::new();
    let file = match options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("what it says of a command is in no file"));
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes)?;
    std::fs::remove_file(path)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::other(format!("what it says of a command is longer than {MOST} bytes")));
    }
    let told: Told = serde_json::from_slice(&bytes)?;
    if told.id == id { Ok(Some(told)) } else { Err(io::Error::other("it speaks of another command")) }
}

/// Forgets what an earlier child said.
pub(super) fn forget(folder: &Path) -> io::Result<()> {
    for file in folder.read_dir()?.flatten() {
        if file.file_name().to_string_lossy().starts_with(STEM) {
            std::fs::remove_file(file.path())?;
        }
    }
    Ok(())
}
