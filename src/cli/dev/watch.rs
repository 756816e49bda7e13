//! Waiting for files to be saved.
//!
//! What must stay true: the folders are watched, not the files, since most editors write a new file and rename it; what
//! the system tells only says when to look, and what counts is the content, so a file that is saved as it was does
//! nothing, nor does one that is just not there. Where the system does not tell (file systems of other machines, too many
//! watches), it is looked once a second.

use super::awaited::Awaited;
use super::settle::Settle;
use crate::cli::exit::Failure;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::statfs::{FsType, statfs};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep, sleep_until};

/// How often it is looked where nobody tells.
const POLL: Duration = Duration::from_secs(1);
/// The most files.
const FILES: usize = 1000;
/// The most bytes of a file that are compared.
const BYTES: u64 = 16 << 20;

/// File systems whose changes on other machines are not told here; of 9p, CIFS and SMB 2 nix has no names.
const REMOTE: [FsType; 8] = [
    nix::sys::statfs::NFS_SUPER_MAGIC,
    nix::sys::statfs::SMB_SUPER_MAGIC,
    nix::sys::statfs::AFS_SUPER_MAGIC,
    nix::sys::statfs::CODA_SUPER_MAGIC,
    nix::sys::statfs::FUSE_SUPER_MAGIC,
    FsType(0x0102_1997),
    FsType(0xff53_4d42),
    FsType(0xfe53_4d42),
];

/// Which files are watched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Watched {
    /// These.
    pub(super) files: BTreeSet<PathBuf>,
    /// Every Python file in these folders, without their subfolders.
    pub(super) folders: BTreeSet<PathBuf>,
}

/// A watch.
pub(super) struct Watch {
    inotify: Inotify,
    /// The same, to be awaited.
    told: Awaited,
    wanted: Watched,
    /// What each file had in it when it was looked at last; `None`: it was not there.
    seen: BTreeMap<PathBuf, Option<u64>>,
    watches: BTreeMap<PathBuf, WatchDescriptor>,
    settle: Settle,
    polls: bool,
}

impl Watch {
    /// Of nothing so far. Needs a runtime.
    pub(super) fn new() -> Result<Self, Failure> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map_err(io::Error::from)?;
        Ok(Self {
            told: Awaited::new(inotify.as_fd().try_clone_to_owned()?)?,
            inotify,
            wanted: Watched::default(),
            seen: BTreeMap::new(),
            watches: BTreeMap::new(),
            settle: Settle::default(),
            polls: false,
        })
    }

    /// Watches these from now on. What is watched already keeps what is known of it, and what is new here has changed if
    /// it has since then, so that nothing is missed.
    pub(super) fn set(&mut self, wanted: Watched, since: SystemTime) {
        self.wanted = wanted;
        let files = self.files();
        self.seen.retain(|path, _| files.contains(path));
        for path in files {
            if !self.seen.contains_key(&path) {
                let changed = changed_since(&path, since);
                if changed {
                    self.settle.changed(Instant::now());
                }
                self.seen.insert(path.clone(), print_of(&path).filter(|_| !changed));
            }
        }
        self.arm();
    }

    /// The files that are watched.
    pub(super) fn files_seen(&self) -> impl Iterator<Item = &Path> {
        self.seen.keys().map(PathBuf::as_path)
    }

    /// Waits until files have been saved with another content, and says which. Nothing is lost when it is dropped.
    pub(super) async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            let due = self.settle.due();
            let settled = sleep_until(due.unwrap_or_else(Instant::now));
            tokio::select! {
                () = self.told.readable(|| drain(&self.inotify)) => self.settle.changed(Instant::now()),
                () = settled, if due.is_some() => {
                    self.settle.looked();
                    let changed = self.look();
                    if !changed.is_empty() {
                        return changed;
                    }
                }
                () = sleep(POLL), if self.polls && due.is_none() => {
                    let changed = self.look();
                    if !changed.is_empty() {
                        return changed;
                    }
                }
            }
        }
    }

    /// The files that are not what they were.
    fn look(&mut self) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for path in self.files() {
            let Some(now) = print_of(&path) else { continue };
            if self.seen.insert(path.clone(), Some(now)).flatten() != Some(now) {
                changed.push(path);
            }
        }
        // A folder that was made anew is another one.
        self.arm();
        changed
    }

    fn files(&self) -> BTreeSet<PathBuf> {
        let is_python = |path: &PathBuf| path.extension().is_some_and(|end| end == "py");
        let listed = self.wanted.folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten().flatten();
        let listed = listed.map(|entry| entry.path()).filter(is_python);
        self.wanted.files.iter().cloned().chain(listed).take(FILES).collect()
    }

    fn arm(&mut self) {
        let folders = self.folders();
        let inotify = &self.inotify;
        self.watches.retain(|folder, watch| {
            let wanted = folders.contains(folder);
            if !wanted {
                // Of a folder that is gone the system has removed it already.
                let _ = inotify.rm_watch(*watch);
            }
            wanted
        });
        let what = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CREATE;
        self.polls = false;
        for folder in folders {
            self.polls |= statfs(&folder).is_ok_and(|about| REMOTE.contains(&about.filesystem_type()));
            match inotify.add_watch(&folder, what | AddWatchFlags::IN_ONLYDIR) {
                Ok(watch) => drop(self.watches.insert(folder, watch)),
                Err(_) => self.polls = true,
            }
        }
    }

    /// The folders in which something happens when one of the files changes.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let mut folders = self.wanted.folders.clone();
        for file in &self.wanted.files {
            folders.extend(file.parent().map(Path::to_owned));
            // A link's file lies elsewhere.
            let real = file.canonicalize().ok();
            folders.extend(real.and_then(|real| real.parent().map(Path::to_owned)));
        }
        folders
    }
}

/// What has happened does not matter: all files are looked at.
fn drain(inotify: &Inotify) {
    while inotify.read_events().is_ok_and(|events| !events.is_empty()) {}
}

/// Whether a file was put there, or written to, since then.
fn changed_since(path: &Path, since: SystemTime) -> bool {
    let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Of a file that was renamed only this time changes.
    path.metadata().is_ok_and(|about| {
        let seconds = u64::try_from(about.ctime()).unwrap_or_default();
        Duration::new(seconds, u32::try_from(about.ctime_nsec()).unwrap_or_default()) > since
    })
}

/// Something that is the same for the same content; `None` for what is no file just now.
fn print_of(path: &Path) -> Option<u64> {
    // Opening what is no file, such as a FIFO, could wait for ever.
    let file: File = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
    let mut bytes = Vec::new();
    let about = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    file.take(BYTES).read_to_end(&mut bytes).ok()?;
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(about.len());
    hasher.write(&bytes);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(20);
    const NEVER: Duration = Duration::from_millis(500);

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
    }

    #[test]
    fn a_burst_is_told_once_and_a_file_that_stays_as_it_was_is_not() {
        run(async {
            let folder = tempfile::tempdir().expect("a folder");
            let [a, b] = ["a.py", "b.py"].map(|name| folder.path().join(name));
            fs::write(&a, "1").expect("written");
            fs::write(&b, "1").expect("written");
            let mut watch = Watch::new().expect("a watch");
            watch.set(Watched { files: [a.clone(), b.clone()].into(), folders: BTreeSet::new() }, SystemTime::now());
            assert_eq!(watch.files_seen().count(), 2);
            // The clock that files get their times from lags a little.
            assert!(timeout(NEVER, watch.changed()).await.is_err(), "nothing was saved");
            // As an editor does it: beside it, and then renamed.
            let beside = folder.path().join(".a.swp");
            for text in ["2", "3"] {
                fs::write(&beside, text).expect("written");
                fs::rename(&beside, &a).expect("renamed");
            }
            fs::write(&b, "2").expect("written");
            assert_eq!(timeout(SOON, watch.changed()).await, Ok(vec![a.clone(), b.clone()]));
            fs::write(&a, "3").expect("written");
            fs::remove_file(&b).expect("removed");
            assert!(timeout(NEVER, watch.changed()).await.is_err(), "nothing is another than before");
            fs::write(&b, "3").expect("written");
            assert_eq!(timeout(SOON, watch.changed()).await, Ok(vec![b]));
        });
    }

    #[test]
    fn what_was_saved_before_it_was_watched_is_told_if_nobody_can_have_seen_it() {
        run(async {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("a.py");
            let mut watch = Watch::new().expect("a watch");
            let wanted = Watched { files: [file.clone()].into(), folders: BTreeSet::new() };
            let since = SystemTime::now() - Duration::from_secs(1);
            fs::write(&file, "1").expect("written");
            watch.set(wanted.clone(), since);
            assert_eq!(timeout(SOON, watch.changed()).await, Ok(vec![file]));
            watch.set(wanted, since);
            assert!(timeout(NEVER, watch.changed()).await.is_err(), "it was told");
        });
    }

    #[test]
    fn where_nobody_tells_of_changes_it_is_looked() {
        run(async {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("later").join("a.py");
            let mut watch = Watch::new().expect("a watch");
            watch.set(Watched { files: [file.clone()].into(), folders: BTreeSet::new() }, SystemTime::now());
            assert!(watch.polls, "there is nothing to be watched");
            fs::create_dir(folder.path().join("later")).expect("made");
            fs::write(&file, "1").expect("written");
            assert_eq!(timeout(SOON, watch.changed()).await, Ok(vec![file]));
            assert!(!watch.polls, "now there is");
        });
    }

    #[test]
    fn a_folder_that_is_made_anew_and_a_file_that_is_new_in_it_are_seen() {
        run(async {
            let folder = tempfile::tempdir().expect("a folder");
            let inner = folder.path().join("inner");
            fs::create_dir(&inner).expect("made");
            let mut watch = Watch::new().expect("a watch");
            watch.set(
                Watched { files: BTreeSet::new(), folders: [folder.path().to_owned(), inner.clone()].into() },
                SystemTime::now(),
            );
            fs::remove_dir(&inner).expect("removed");
            fs::create_dir(&inner).expect("made");
            fs::write(folder.path().join("outer.py"), "1").expect("written");
            fs::write(folder.path().join("outer.txt"), "1").expect("written");
            assert_eq!(timeout(SOON, watch.changed()).await, Ok(vec![folder.path().join("outer.py")]));
            fs::write(inner.join("new.py"), "1").expect("written");
            assert_eq!(timeout(SOON, watch.changed()).await, Ok(vec![inner.join("new.py")]));
        });
    }
}
