//! What was typed into the prompt, kept per application: one JSON string a line, newest last, readable by its owner only.
//!
//! A history that cannot be read or written costs the history and nothing else.

use super::panes::prompt::HISTORY;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The longest entry that is kept, in bytes.
const ENTRY: usize = 64 << 10;
/// The longest file that is read, in bytes.
const FILE: u64 = 32 << 20;

/// Entries of an application, oldest first.
pub(super) async fn load(folder: PathBuf, application: String) -> Vec<String> {
    let read = tokio::task::spawn_blocking(move || read(&file(&folder, &application)));
    match read.await {
        Ok(Ok(entries)) => entries,
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the prompt's history cannot be read");
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}

/// Adds an entry.
pub(super) async fn remember(folder: PathBuf, application: String, source: String) {
    let written = tokio::task::spawn_blocking(move || append(&folder, &file(&folder, &application), &source));
    if let Ok(Err(error)) = written.await {
        tracing::warn!(%error, "the prompt's history cannot be written");
    }
}

/// The application's name comes from a recipe and must not choose another folder.
fn file(folder: &Path, application: &str) -> PathBuf {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = application.chars().take(64).map(safe).collect();
    folder.join(format!("{name}.jsonl"))
}

fn read(file: &Path) -> io::Result<Vec<String>> {
    let opened = File::open(file)?;
    if opened.metadata()?.len() > FILE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than 32 MiB; remove it to begin anew"));
    }
    let mut entries = Vec::new();
    for line in BufReader::new(opened).lines() {
        // A torn last line, or one that somebody else wrote, is left out.
        if let Ok(entry) = serde_json::from_str::<String>(&line?) {
            entries.push(entry);
        }
    }
    let surplus = entries.len().saturating_sub(HISTORY);
    if surplus > HISTORY {
        rewrite(file, &entries[surplus..])?;
    }
    entries.drain(..surplus);
    Ok(entries)
}

fn append(folder: &Path, file: &Path, source: &str) -> io::Result<()> {
    if source.len() > ENTRY {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut line = serde_json::to_string(source)?;
    line.push('\n');
    OpenOptions::new().append(true).create(true).mode(0o600).open(file)?.write_all(line.as_bytes())
}

fn rewrite(file: &Path, entries: &[String]) -> io::Result<()> {
    let fresh = file.with_extension(format!("{}.new", std::process::id()));
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    for entry in entries {
        writeln!(out, "{}", serde_json::to_string(entry)?)?;
    }
    fs::rename(fresh, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_and_strange_names_stay_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "../../etc/passwd");
        assert_eq!(path.parent(), Some(folder.path()));
        append(folder.path(), &path, "a = 1").unwrap();
        append(folder.path(), &path, "for x in y:\n    pass").unwrap();
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\"torn").unwrap();
        assert_eq!(read(&path).unwrap(), ["a = 1", "for x in y:\n    pass"]);
    }

    #[test]
    fn a_long_history_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "python");
        let lines: String = (0..=HISTORY * 2).map(|at| format!("\"x = {at}\"\n")).collect::<Vec<_>>().concat();
        fs::write(&path, lines).unwrap();
        assert_eq!(read(&path).unwrap().len(), HISTORY);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), HISTORY);
    }
}
