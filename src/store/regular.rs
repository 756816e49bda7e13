//! Opens the files of a session's folder.
//!
//! What must stay true: whatever stands under a file's name, opening it does not wait, and only a regular file (it may
//! be behind a link) is opened. A FIFO would be waited for without an end, a device may never run dry.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// To be read.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path)
}

/// The same, but not through a link.
pub(super) fn open_unlinked(path: &Path) -> io::Result<File> {
    checked(OpenOptions::new().read(true), libc::O_NOFOLLOW, path)
}

/// In the way that these options say; custom flags among them are lost.
pub fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    checked(options, 0, path)
}

fn checked(options: &mut OpenOptions, flags: i32, path: &Path) -> io::Result<File> {
    let no_file = || io::Error::other("it is not a file");
    let file =
        options.custom_flags(flags | libc::O_NONBLOCK).open(path).map_err(|error| match error.raw_os_error() {
            // A socket, or a FIFO that nobody reads.
            Some(libc::ENXIO) => no_file(),
            _ => error,
        })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(no_file()) }
}
