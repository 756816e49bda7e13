//! A session's folder as one compressed file: a tar archive in zstd, so that `tar --zstd -xf` opens it without us.
//!
//! zstd, since it packs a log of ten gigabytes at the speed of a disk, where gzip takes minutes. The folder's files come
//! in the order in which they are needed, the logs last: what is left of an archive that was cut off is worth most then.
//!
//! What must stay true: a running session is packed as of one moment (nothing that a file tells of another file is
//! missing there); memory is the same for any size; no file of that name is overwritten unless that was asked for, and
//! nothing but a file ever; whoever looks sees all of the archive or none.

use super::error::{StoreError, failed};
use super::folder::Folder;
use super::regular;
use crate::model::Stream;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// zstd's fastest but for the negative ones: half of what the slow ones win, at ten times their speed.
const LEVEL: i32 = 1;
/// The longest name of the folder in an archive, in bytes: longer paths would need extensions of the format.
const NAME: usize = 64;
/// Bytes read at once when the end of the last line is looked for.
const BLOCK: u64 = 64 << 10;

/// What was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// Bytes of the session's files.
    pub from: u64,
    /// Bytes of the archive.
    pub to: u64,
}

/// A file of the folder, as long as it was at the moment that counts.
struct Part {
    path: PathBuf,
    file: File,
    length: u64,
}

/// Packs the folder as it is now into a new file.
pub fn pack(folder: &Folder, archive: &Path, replace: bool) -> Result<Packed, StoreError> {
    let archive = std::path::absolute(archive).map_err(failed("write", archive))?;
    may_be_made(&archive, replace)?;
    let parts = parts(folder)?;
    let draft = draft_of(&archive);
    let packed = write(folder.id(), &parts, &draft).and_then(|packed| {
        publish(&draft, &archive, replace)?;
        Ok(packed)
    });
    if packed.is_err() {
        // What is left of the draft helps nobody; that it cannot be removed changes nothing.
        let _ = fs::remove_file(&draft);
    }
    packed
}

/// Whether something may be put under this name: where something is, only if it is to be replaced, and never a device, a
/// FIFO or a link.
fn may_be_made(archive: &Path, replace: bool) -> Result<(), StoreError> {
    match archive.symlink_metadata() {
        Ok(_) if !replace => Err(StoreError::Exists { path: archive.to_owned() }),
        Ok(found) if !found.is_file() => {
            Err(failed("replace", archive)(io::Error::other("it is not a file; name another one")))
        }
        _ => Ok(()),
    }
}

/// The names of a folder's files, in the order of an archive.
pub(super) fn files(folder: &Folder) -> Vec<PathBuf> {
    let mut files = vec![folder.session_json()];
    files.extend(derived(folder));
    files.extend([
        folder.journal(),
        folder.usage(),
        folder.engine_log(),
        folder.output(Stream::Stderr),
        folder.output(Stream::Stdout),
    ]);
    files
}

/// What is made from the others, each before what it tells of: opened, and measured, in this order, none of them tells
/// of more than what comes after it holds.
fn derived(folder: &Folder) -> [PathBuf; 6] {
    [
        folder.state_checkpoint(),
        folder.item_rows(),
        folder.command_rows(),
        folder.line_index(Stream::Stdout),
        folder.line_index(Stream::Stderr),
        folder.output_index(),
    ]
}

fn parts(folder: &Folder) -> Result<Vec<Part>, StoreError> {
    let mut parts = Vec::new();
    for path in files(folder) {
        let file = match regular::open_unlinked(&path) {
            Ok(file) => file,
            // A session that has not printed has no log yet; one without its session.json is none.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path != folder.session_json() => continue,
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let found = file.metadata().map_err(failed("read", &path))?;
        let in_lines = path == folder.journal() || path == folder.usage();
        let length = if in_lines { whole_lines(&file, found.len()) } else { Ok(found.len()) };
        let length = length.map_err(failed("read", &path))?;
        parts.push(Part { path, file, length });
    }
    Ok(parts)
}

/// How many bytes there are up to the last end of a line.
fn whole_lines(file: &File, length: u64) -> io::Result<u64> {
    let mut block = vec![0; usize::try_from(BLOCK).unwrap_or_default()];
    let mut end = length;
    while end > 0 {
        let from = end.saturating_sub(BLOCK);
        let part = block.get_mut(..usize::try_from(end - from).unwrap_or_default()).unwrap_or_default();
        file.read_exact_at(part, from)?;
        if let Some(last) = memchr::memrchr(b'\n', part) {
            return Ok(from + last as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

/// Beside the archive, so that it can be renamed to it.
fn draft_of(archive: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(archive.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    archive.with_file_name(name)
}

fn write(id: &str, parts: &[Part], draft: &Path) -> Result<Packed, StoreError> {
    let failing = || failed("write", draft);
    // A draft of that name is of a process that is gone.
    let _ = fs::remove_file(draft);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft).map_err(failing())?;
    let mut packed = zstd::Encoder::new(BufWriter::with_capacity(1 << 20, file), LEVEL).map_err(failing())?;
    packed.include_checksum(true).map_err(failing())?;
    let mut tar = tar::Builder::new(packed);
    let name = name_for(id);
    for part in parts {
        append(&mut tar, &name, part)?;
    }
    let packed = tar.into_inner().map_err(failing())?.finish().map_err(failing())?;
    let mut file = packed.into_inner().map_err(|error| failing()(error.into_error()))?;
    file.sync_all().map_err(failing())?;
    let to = file.stream_position().map_err(failing())?;
    Ok(Packed { from: parts.iter().map(|part| part.length).sum(), to })
}

/// The session's id, as far as it is safe and short for any archive: somebody may have renamed the folder.
fn name_for(id: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    id.chars().map(safe).take(NAME).collect()
}

fn append(tar: &mut tar::Builder<impl Write>, folder: &str, part: &Part) -> Result<(), StoreError> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o600);
    header.set_size(part.length);
    let changed = part.file.metadata().map_or(0, |file| file.mtime());
    header.set_mtime(u64::try_from(changed).unwrap_or_default());
    let name = Path::new(folder).join(part.path.file_name().unwrap_or_default());
    let bytes = Exactly { file: &part.file, at: 0, end: part.length };
    tar.append_data(&mut header, name, bytes).map_err(failed("pack", &part.path))
}

/// So many bytes of a file, or an error: an archive says beforehand how many there are.
struct Exactly<'f> {
    file: &'f File,
    at: u64,
    end: u64,
}

impl Read for Exactly<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end - self.at).map_or(bytes.len(), |left| left.min(bytes.len()));
        if most == 0 {
            return Ok(0);
        }
        let read = self.file.read_at(&mut bytes[..most], self.at)?;
        if read == 0 {
            return Err(io::Error::other("it was cut while it was read; try again"));
        }
        self.at += read as u64;
        Ok(read)
    }
}

/// Gives the draft its name.
fn publish(draft: &Path, archive: &Path, replace: bool) -> Result<(), StoreError> {
    if replace {
        may_be_made(archive, replace)?;
        return fs::rename(draft, archive).map_err(failed("write", archive));
    }
    let taken = || StoreError::Exists { path: archive.to_owned() };
    match renameat2(AT_FDCWD, draft, AT_FDCWD, archive, RenameFlags::RENAME_NOREPLACE) {
        Ok(()) => Ok(()),
        // Not every file system knows of that; then a look just before is the best there is.
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) if archive.symlink_metadata().is_err() => {
            fs::rename(draft, archive).map_err(failed("write", archive))
        }
        Err(Errno::EEXIST | Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => Err(taken()),
        Err(errno) => Err(failed("write", archive)(errno.into())),
    }
}
