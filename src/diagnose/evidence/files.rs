//! Bounded reads of what the kernel tells in files.
//!
//! What must stay true: a process may end between any two reads, so everything here is optional; and nothing is read
//! without a bound, since the other side decides how long it is.

use std::fs::File;
use std::io::Read;

/// Longer than any file of one process's own facts.
pub(super) const SMALL: u64 = 16 << 10;

/// The beginning of a file, as text.
pub(super) fn text(path: &str, most: u64) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The number behind a name at the beginning of a line, as in `VmSwap:  12 kB` or `oom_kill 3`.
pub(super) fn number(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.trim_start_matches(':').split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_its_name() {
        let text = "oom 7\noom_kill 3\nVmSwap:\t  12 kB\n";
        assert_eq!(number(text, "oom_kill"), Some(3));
        assert_eq!(number(text, "VmSwap"), Some(12));
        assert_eq!(number(text, "VmRSS"), None);
    }
}
