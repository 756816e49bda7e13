//! Files that this process was given beyond the three standard ones.
#![expect(unsafe_code, reason = "there is no safe call for it")]

/// Keeps them from the engine, which would hold them for as long as it lives: somebody may wait for their end.
pub(super) fn keep_to_ourselves() {
    // SAFETY: marks descriptors to be closed on exec; none is closed here, and no memory is touched.
    unsafe {
        // Fails on kernels before 5.11; then they are passed on.
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}
