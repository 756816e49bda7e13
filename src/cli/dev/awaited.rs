//! A descriptor that is awaited until there is something to read.
#![expect(unsafe_code, reason = "tokio takes the promise that the descriptor stays what it is")]

use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// One of these.
pub(super) struct Awaited(AsyncFd<OwnedFd>);

impl Awaited {
    /// Must be called on a runtime.
    pub(super) fn new(file: OwnedFd) -> io::Result<Self> {
        // SAFETY: an `OwnedFd` is open, and the same descriptor, for as long as it lives; it lives in the `AsyncFd`,
        // which gives nobody anything but a reference to it.
        let registered = unsafe { AsyncFd::register_with_interest(file, Interest::READABLE) };
        Ok(Self(registered.map_err(io::Error::from)?))
    }

    /// Waits until there is something; `drain` must take all of it.
    pub(super) async fn readable(&self, drain: impl FnOnce()) {
        match self.0.readable().await {
            Ok(mut ready) => {
                drain();
                ready.clear_ready();
            }
            // The runtime is going down, and whoever waits with it.
            Err(_) => std::future::pending().await,
        }
    }
}
