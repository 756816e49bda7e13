//! One burst of changes is one change: editors write a file in several steps, and save several files at once.

use std::time::Duration;
use tokio::time::Instant;

/// So long nothing may change before a burst is over.
const QUIET: Duration = Duration::from_millis(120);
/// A burst that does not end is looked at after so long nevertheless.
const MOST: Duration = Duration::from_secs(1);

/// A burst of changes. It has no clock of its own: whoever uses it says when.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Settle {
    burst: Option<(Instant, Instant)>,
}

impl Settle {
    /// Something has changed.
    pub(super) fn changed(&mut self, now: Instant) {
        let first = self.burst.map_or(now, |(first, _)| first);
        self.burst = Some((first, now));
    }

    /// When to look at what has changed; `None` while nothing has.
    pub(super) fn due(&self) -> Option<Instant> {
        self.burst.map(|(first, last)| (last + QUIET).min(first + MOST))
    }

    /// It was looked at.
    pub(super) fn looked(&mut self) {
        self.burst = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_over_when_nothing_has_changed_for_a_while() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut settle = Settle::default();
        assert_eq!(settle.due(), None);
        settle.changed(at(0));
        settle.changed(at(100));
        assert_eq!(settle.due(), Some(at(220)));
        settle.changed(at(200));
        assert_eq!(settle.due(), Some(at(320)));
        settle.looked();
        assert_eq!(settle.due(), None);
    }

    #[test]
    fn a_burst_without_an_end_is_looked_at_all_the_same() {
        let start = Instant::now();
        let mut settle = Settle::default();
        for nth in 0..50 {
            settle.changed(start + Duration::from_millis(nth * 50));
        }
        assert_eq!(settle.due(), Some(start + MOST));
    }
}
