//! Tells when something is removed from a folder, by inotify.
#![expect(unsafe_code, reason = "tokio asks for a promise when it is given a file descriptor")]

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a folder for removals; its own included.
pub(super) fn watch(folder: &Path) -> nix::Result<OwnedFd> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let what = AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR;
    inotify.add_watch(folder, what)?;
    Ok(inotify.into())
}

/// A watch on the runtime.
pub(super) struct Vanishing(AsyncFd<OwnedFd>);

impl Vanishing {
    /// Must be called on the runtime.
    pub(super) fn new(watch: OwnedFd) -> io::Result<Self> {
        // SAFETY: an `OwnedFd` is open, and the same descriptor, for as long as it lives; it lives in the `AsyncFd`,
        // which gives it to nobody.
        let registered = unsafe { AsyncFd::register_with_interest(watch, Interest::READABLE) };
        Ok(Self(registered.map_err(|error| error.into_parts().1)?))
    }

    /// Waits until something was removed. May be cancelled at any time.
    pub(super) async fn stirred(&self) -> io::Result<()> {
        let mut ready = self.0.readable().await?;
        // What was removed does not matter: the caller looks.
        let mut buffer = [0; 4096];
        let _ = ready.try_io(|events| Ok(nix::unistd::read(events.get_ref(), &mut buffer)?));
        Ok(())
    }
}
