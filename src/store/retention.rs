//! Which old sessions are removed: whole ones, oldest first, by age and by size.
//!
//! What must stay true: a session that runs, or that somebody touched within the last hour (one just made has no engine
//! yet), is never removed; nothing is removed that is not a session folder of ours, made on this host, and no symlink is
//! followed; a removal that was cut short leaves nothing that looks like a session, and is finished the next time.

use super::folder::Folder;
use super::session_file::{self, Head};
use crate::model::Micros;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What is being removed is called so first.
const DOOMED: &str = ".removing-";
/// Who may make a session, and has not yet started its engine, is done within this time.
const FRESH: Duration = Duration::from_hours(1);

/// What may be kept; `None` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a session is kept after the last change in its folder.
    pub age: Option<Duration>,
    /// How much room all sessions together may take on the disk, in bytes.
    pub size: Option<u64>,
}

/// What is to be done with what is over the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Remove it.
    Remove,
    /// Only tell of it, as if it had been removed; nothing is changed.
    Look,
}

/// A session that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Its id.
    pub id: String,
    /// The room that it took on the disk, in bytes.
    pub bytes: u64,
    /// How long ago its folder had changed.
    pub age: Duration,
    /// Whether it was too old; else it was the oldest when all together took too much room.
    pub too_old: bool,
}

struct Candidate {
    folder: Folder,
    bytes: u64,
    changed: SystemTime,
}

/// Removes what is over the limits from a folder of sessions, and tells of each as it is gone. What cannot be looked at
/// or removed stays.
pub fn sweep(dir: &Path, limits: Limits, doing: Doing, mut tell: impl FnMut(Result<Removed, (PathBuf, io::Error)>)) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let uid = nix::unistd::geteuid().as_raw();
    let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let now = SystemTime::now();
    let mut sessions = Vec::new();
    for entry in entries.flatten().filter(|entry| is_our_folder(entry, uid)) {
        if entry.file_name().as_encoded_bytes().starts_with(DOOMED.as_bytes()) {
            if doing == Doing::Remove {
                finish(&entry.path(), &mut tell);
            }
        } else if let Some(session) = look_at(&entry.path(), uid, &host) {
            sessions.push(session);
        }
    }
    sessions.sort_unstable_by_key(|session| session.changed);
    let mut left: u64 = sessions.iter().map(|session| session.bytes).sum();
    for session in sessions {
        let age = now.duration_since(session.changed).unwrap_or_default();
        let too_old = limits.age.is_some_and(|limit| age > limit);
        let too_much = limits.size.is_some_and(|limit| left > limit);
        if age < FRESH || !(too_old || too_much) {
            continue;
        }
        let gone = match doing {
            Doing::Remove => remove(&session.folder),
            Doing::Look => Ok(!session.folder.is_running()),
        };
        match gone {
            Ok(true) => {
                left = left.saturating_sub(session.bytes);
                tell(Ok(Removed { id: session.folder.id().to_owned(), bytes: session.bytes, age, too_old }));
            }
            // It runs.
            Ok(false) => {}
            Err(error) => tell(Err((session.folder.path().to_owned(), error))),
        }
    }
}

fn is_our_folder(entry: &DirEntry, uid: u32) -> bool {
    // Of a symlink this is the link's own.
    entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == uid)
}

/// A session that may be removed if it is over the limits.
fn look_at(path: &Path, uid: u32, host: &str) -> Option<Candidate> {
    let folder = Folder::open(path).ok()?;
    let session = folder.session_json().symlink_metadata().ok()?;
    let readable = session.is_file() && session.uid() == uid;
    // Home folders are shared between hosts, and not every such file system knows of another host's lock.
    let head: Head = session_file::read(&folder.session_json()).ok().filter(|_| readable)?;
    if head.host != host {
        return None;
    }
    let files: Vec<Metadata> = fs::read_dir(path).ok()?.flatten().filter_map(|file| file.metadata().ok()).collect();
    // Holes take no room.
    let bytes = files.iter().map(|file| file.blocks().saturating_mul(512)).sum();
    let made = SystemTime::UNIX_EPOCH + Duration::from_micros(Micros::min(head.created, Micros(i64::MAX as u64)).0);
    let changed = files.iter().filter_map(|file| file.modified().ok()).max().unwrap_or(made);
    Some(Candidate { folder, bytes, changed })
}

/// Whether it is gone; not, if it runs.
pub fn remove(folder: &Folder) -> io::Result<bool> {
    // Held until it is gone: who wants to go on with it meanwhile is refused.
    let Ok(_lock) = folder.lock() else { return Ok(false) };
    let doomed = folder.path().with_file_name(format!("{DOOMED}{}", folder.id()));
    match fs::rename(folder.path(), &doomed) {
        // Another sweep was quicker.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        renamed => renamed.and_then(|()| fs::remove_dir_all(&doomed)).map(|()| true),
    }
}

/// A removal that was cut short, or that another engine is at.
fn finish(path: &Path, tell: &mut impl FnMut(Result<Removed, (PathBuf, io::Error)>)) {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => tell(Err((path.to_owned(), error))),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Job, Stream};
    use crate::store::SessionFile;
    use std::fs::{File, FileTimes};

    const HOUR: u64 = 3600;

    /// A session whose last change was so many hours ago, with so many KiB of output.
    fn session(dir: &Path, name: &str, hours: u64, kib: usize) -> Folder {
        let job = Job { name: name.to_owned(), ..Job::default() };
        let folder = Folder::create(dir, &SessionFile::new(job, None)).expect("a session");
        fs::write(folder.output(Stream::Stdout), vec![b'x'; kib << 10]).expect("written");
        let then = SystemTime::now() - Duration::from_secs(hours * HOUR);
        for file in fs::read_dir(folder.path()).expect("files").flatten() {
            let file = File::options().write(true).open(file.path()).expect("opened");
            file.set_times(FileTimes::new().set_modified(then)).expect("set");
        }
        folder
    }

    fn swept(dir: &Path, age: Option<u64>, kib: Option<u64>) -> Vec<String> {
        let limits = Limits { age: age.map(|hours| Duration::from_secs(hours * HOUR)), size: kib.map(|kib| kib << 10) };
        let mut gone = [Vec::new(), Vec::new()];
        for (doing, gone) in [Doing::Look, Doing::Remove].into_iter().zip(&mut gone) {
            sweep(dir, limits, doing, |removed| gone.push(removed.expect("removed").id));
        }
        let [told, gone] = gone;
        assert_eq!(told, gone, "what is told beforehand is what goes");
        gone
    }

    #[test]
    fn old_ones_go_and_running_or_new_ones_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        let [old, older, young, running] =
            [("a", 30), ("b", 40), ("c", 5), ("d", 50)].map(|(name, hours)| session(dir.path(), name, hours, 1));
        let _lock = running.lock().expect("held");
        assert!(swept(dir.path(), None, None).is_empty(), "no limit");
        assert_eq!(swept(dir.path(), Some(24), None), [older.id(), old.id()]);
        assert!(!old.path().exists() && !older.path().exists());
        assert!(young.path().exists() && running.path().exists());
        let new = session(dir.path(), "e", 0, 1000);
        assert_eq!(swept(dir.path(), Some(0), Some(0)), [young.id()]);
        assert!(new.path().exists() && running.path().exists());
    }

    #[test]
    fn the_oldest_go_until_the_rest_is_small_enough() {
        let dir = tempfile::tempdir().expect("a folder");
        let [first, second, third] =
            [("a", 9), ("b", 8), ("c", 7)].map(|(name, hours)| session(dir.path(), name, hours, 100));
        assert!(swept(dir.path(), None, Some(1000)).is_empty());
        assert_eq!(swept(dir.path(), None, Some(250)), [first.id()]);
        assert_eq!(swept(dir.path(), None, Some(150)), [second.id()]);
        assert!(third.output(Stream::Stdout).exists());
    }

    #[test]
    fn what_is_no_session_of_ours_on_this_host_stays() {
        let (dir, elsewhere) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let linked = session(elsewhere.path(), "linked", 99, 1);
        std::os::unix::fs::symlink(linked.path(), dir.path().join("link")).expect("linked");
        let plain = dir.path().join("plain");
        fs::create_dir(&plain).expect("made");
        fs::write(plain.join("precious"), "x").expect("written");
        let other = session(dir.path(), "other", 99, 1);
        let of_another = SessionFile { host: "another".to_owned(), ..other.read_session().expect("read") };
        other.write_session(&of_another).expect("written");
        let pretended = session(dir.path(), "pretended", 99, 1);
        fs::remove_file(pretended.session_json()).expect("removed");
        std::os::unix::fs::symlink(linked.session_json(), pretended.session_json()).expect("linked");
        // What a session's folder links to is not the session's.
        let linking = session(dir.path(), "linking", 99, 1);
        std::os::unix::fs::symlink(&plain, linking.path().join("plain")).expect("linked");
        let then = SystemTime::now() - Duration::from_secs(99 * HOUR);
        for path in [other.session_json(), pretended.session_json()] {
            File::open(path).and_then(|file| file.set_times(FileTimes::new().set_modified(then))).expect("set");
        }
        let stays = swept(dir.path(), Some(0), None);
        assert!(stays.is_empty(), "the link in it is new: {stays:?}");
        fs::create_dir(dir.path().join(".removing-left")).expect("made");
        fs::rename(linking.path(), dir.path().join(".removing-linking")).expect("renamed");
        assert!(swept(dir.path(), Some(0), None).is_empty());
        let mut left: Vec<_> =
            fs::read_dir(dir.path()).expect("read").flatten().map(|entry| entry.file_name()).collect();
        left.sort();
        assert_eq!(left.len(), 4, "{left:?}");
        assert!(linked.output(Stream::Stdout).exists() && plain.join("precious").exists());
    }
}
