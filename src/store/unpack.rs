//! A packed session, opened: its files in a private folder of their own, for as long as they are looked at.
//!
//! What must stay true: an archive is somebody's say-so. Only plain files with a session folder's names come out of it,
//! each once and under the name that we give it; links, devices, paths and anything else are left out and told; what it
//! claims to hold has to fit on the disk beside the minimum that is left free; memory, and the time that goes into what is left out, are
//! bounded whatever it says. One
//! that was cut off is opened as far as it goes.

use super::error::{StoreError, failed};
use super::folder::{self, Folder};
use super::{pack, regular};
use etcetera::BaseStrategy;
use nix::sys::statvfs::statvfs;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// The most memory that the archive may make its reader take, as a power of two: 32 MiB.
const WINDOW: u32 = 25;
/// Bytes taken at once; so many zeros in a row are left a hole.
const BLOCK: usize = 64 << 10;
/// How the folders begin that archives are unpacked into.
const PREFIX: &str = "unpacked-";
/// Locked for as long as the folder is in use.
const HELD: &str = "held";
/// Entries of an archive that are looked at; a session has thirteen.
pub(super) const ENTRIES: usize = 1000;
/// Bytes of entries left out that are passed over, a multiple of 1 MiB: they cost time, however small the archive is.
pub(super) const PASSED_OVER: u64 = 64 << 20;

/// A packed session that is open. Its files are removed when this is dropped.
#[derive(Debug)]
pub struct Unpacked {
    folder: Folder,
    notes: Vec<String>,
    scratch: Scratch,
}

/// A private folder, removed when it is dropped.
#[derive(Debug)]
struct Scratch {
    path: PathBuf,
    _held: File,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is removed when the next archive is opened.
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Unpacked {
    /// Opens an archive. Its files go into a folder in `cache` (see [`cache_dir`]), whose disk is left `minimum_free`
    /// bytes.
    pub fn open(archive: &Path, cache: &Path, minimum_free: u64) -> Result<Self, StoreError> {
        let file = regular::open(archive).map_err(failed("read", archive))?;
        let scratch = Scratch::new(cache)?;
        let disk = statvfs(&scratch.path).map_err(|errno| failed("look at", &scratch.path)(errno.into()))?;
        let free = disk.blocks_available().saturating_mul(disk.fragment_size());
        let mut unpacking = Unpacking {
            archive,
            into: scratch.path.clone(),
            folder: None,
            names: Vec::new(),
            room: free.saturating_sub(minimum_free),
            left_out: 0,
            passed_over: 0,
        };
        let cut_off = unpacking.all(file)?;
        let Unpacking { folder, left_out, .. } = unpacking;
        let folder = folder.ok_or_else(|| {
            const NOTHING: &str = "it holds no session: `childminder export` makes a file that does";
            let why = cut_off.as_ref().map_or(NOTHING.to_owned(), |cut_off| format!("{NOTHING}. {cut_off}"));
            broken(archive, why.trim_end_matches('.'))
        })?;
        let folder = Folder::open(folder.path()).map_err(|_| broken(archive, "it holds no session.json"))?;
        let mut notes: Vec<String> = cut_off.into_iter().collect();
        if left_out > 0 {
            notes.push(format!("{left_out} entries of the archive are no files of a session and were left out."));
        }
        Ok(Self { folder, notes, scratch })
    }

    /// The session's folder, to be read as any other.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// What is missing or was left out, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Where the files are: a folder that nobody else looks into.
    pub fn path(&self) -> &Path {
        &self.scratch.path
    }
}

/// Where packed sessions are opened: `childminder` in the XDG cache home.
pub fn cache_dir() -> Result<PathBuf, StoreError> {
    let strategy = etcetera::choose_base_strategy().map_err(|error| {
        StoreError::NoSuchSession(format!("there is no home folder to open a packed session in ({error}); set HOME"))
    })?;
    Ok(strategy.cache_dir().join("childminder"))
}

impl Scratch {
    fn new(cache: &Path) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(cache).map_err(failed("create", cache))?;
        remove_abandoned(cache);
        let path = cache.join(format!("{PREFIX}{}", folder::new_id("")));
        DirBuilder::new().mode(0o700).create(&path).map_err(failed("create", &path))?;
        let held = path.join(HELD);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&held);
        let file = file.and_then(|file| file.lock().map(|()| file)).map_err(failed("create", &held))?;
        Ok(Self { path, _held: file })
    }
}

/// What was left by a process that was killed.
fn remove_abandoned(cache: &Path) {
    let Ok(entries) = fs::read_dir(cache) else { return };
    let uid = nix::unistd::geteuid().as_raw();
    for entry in entries.flatten() {
        let ours = entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == uid);
        let abandoned = || regular::open(&entry.path().join(HELD)).is_ok_and(|held| held.try_lock().is_ok());
        if ours && entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) && abandoned() {
            // Another process may be at it too.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn broken(archive: &Path, why: &str) -> StoreError {
    StoreError::NotAnArchive { path: archive.to_owned(), why: why.to_owned() }
}

struct Unpacking<'a> {
    archive: &'a Path,
    into: PathBuf,
    /// Once the first file has told its name.
    folder: Option<Folder>,
    /// What a session's files are called.
    names: Vec<PathBuf>,
    /// Bytes that may still come.
    room: u64,
    left_out: usize,
    /// Bytes of what was left out.
    passed_over: u64,
}

impl Unpacking<'_> {
    /// Unpacks what is sound; a sentence where the archive ends too early or is not looked at any further.
    fn all(&mut self, file: File) -> Result<Option<String>, StoreError> {
        let mut plain = zstd::Decoder::new(file).map_err(failed("read", self.archive))?;
        plain.window_log_max(WINDOW).map_err(failed("read", self.archive))?;
        let mut archive = tar::Archive::new(BufReader::with_capacity(BLOCK, plain));
        // Raw: the extensions that hold long names and what not are entries like others then, none of which is read.
        let entries = archive.entries().map_err(failed("read", self.archive))?.raw(true);
        for (place, entry) in entries.enumerate() {
            if place == ENTRIES {
                return Ok(Some(format!("What comes after {ENTRIES} entries of the archive was not looked at.")));
            }
            let mut entry = match entry {
                Ok(entry) => entry,
                Err(error) => return Ok(Some(format!("The archive is damaged or was cut off ({error})."))),
            };
            let Some(path) = self.wanted(&entry) else {
                self.left_out += 1;
                self.passed_over = self.passed_over.saturating_add(entry.size());
                if self.passed_over > PASSED_OVER {
                    let most = PASSED_OVER >> 20;
                    return Ok(Some(format!(
                        "The archive holds over {most} MiB that are no session's: what comes after them was not looked at."
                    )));
                }
                continue;
            };
            let size = entry.size();
            self.room = self.room.checked_sub(size).ok_or_else(|| {
                broken(self.archive, &format!("the {size} bytes of its {} do not fit on the disk", name(&path)))
            })?;
            let target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let target = target.map_err(failed("write", &path))?;
            match copy(&mut entry, &target, size) {
                Ok(copied) if copied == size => {}
                Ok(copied) => {
                    let name = name(&path);
                    return Ok(Some(format!(
                        "The archive is damaged or was cut off: of {name} it has the first {copied} of {size} bytes."
                    )));
                }
                Err(error) => return Err(failed("write", &path)(error)),
            }
        }
        Ok(None)
    }

    /// Where an entry goes; nowhere, unless it is a file of the session's that did not come before.
    fn wanted(&mut self, entry: &tar::Entry<'_, impl Read>) -> Option<PathBuf> {
        if entry.header().entry_type() != tar::EntryType::Regular {
            return None;
        }
        let path = entry.path().ok()?;
        let mut parts = path.components().filter(|part| *part != Component::CurDir);
        let (Some(Component::Normal(id)), Some(Component::Normal(file)), None) =
            (parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        if self.folder.is_none() {
            let path = self.into.join(safe_id(id)?);
            DirBuilder::new().mode(0o700).create(&path).ok()?;
            let folder = Folder::at(path);
            self.names = pack::files(&folder);
            self.folder = Some(folder);
        }
        let path = self.folder.as_ref()?.path().with_file_name(id).join(file);
        (self.names.contains(&path) && path.symlink_metadata().is_err()).then_some(path)
    }
}

/// A session's id as we make them; nothing else is a folder's name here.
fn safe_id(id: &OsStr) -> Option<&str> {
    let id = id.to_str()?;
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (id.len() < 128 && id.bytes().all(safe) && id != HELD).then_some(id)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Copies as much as comes, and leaves holes where there are only zeros; how much came.
fn copy(from: &mut impl Read, to: &File, size: u64) -> io::Result<u64> {
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    loop {
        let (filled, ended) = fill(from, &mut block);
        let bytes = &block[..filled];
        if bytes.iter().any(|byte| *byte != 0) {
            to.write_all_at(bytes, at)?;
        }
        at += filled as u64;
        if ended || at >= size {
            to.set_len(at)?;
            return Ok(at);
        }
    }
}

/// Fills the block as far as bytes come; whether there will be no more.
fn fill(from: &mut impl Read, block: &mut [u8]) -> (usize, bool) {
    let mut filled = 0;
    while filled < block.len() {
        match from.read(&mut block[filled..]) {
            Ok(read @ 1..) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // An archive that was cut off says so by an error: what came before it is good.
            Ok(_) | Err(_) => return (filled, true),
        }
    }
    (filled, false)
}
