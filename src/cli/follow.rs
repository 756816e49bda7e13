//! Waiting for a session's folder to change, by inotify: whoever follows a session needs no engine for it, and the
//! engine does not know.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

/// A watch on a folder.
pub(super) struct Changes {
    inotify: Inotify,
}

impl Changes {
    /// Changes from now on.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        // Closing counts too: an engine that dies closes its lock.
        let what = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_DELETE_SELF;
        inotify.add_watch(folder, what)?;
        Ok(Self { inotify })
    }

    /// Waits for one, or until there is something to read at `or`, or it is closed at its other end, or for so long.
    pub(super) fn wait(&self, or: BorrowedFd<'_>, what: PollFlags, most: Option<Duration>) -> io::Result<()> {
        let mut files = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN), PollFd::new(or, what)];
        let most = most.map_or(PollTimeout::NONE, |most| PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX));
        match poll(&mut files, most) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        // What changed does not matter: the caller looks at everything.
        while self.inotify.read_events().is_ok_and(|events| !events.is_empty()) {}
        Ok(())
    }
}
