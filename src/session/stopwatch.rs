//! A clock that can be made to stand.

use super::world::Now;
use crate::model::Micros;
use std::time::Duration;

/// Time since a moment, without the stretches in which it stood.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopwatch {
    began: Now,
    stood: Micros,
    stands: Option<Micros>,
}

impl Stopwatch {
    /// One that runs from now on.
    pub(super) fn start(now: Now) -> Self {
        Self { began: now, stood: Micros(0), stands: None }
    }

    /// When it was started.
    pub(super) fn began(&self) -> Now {
        self.began
    }

    /// Makes it stand or go on.
    pub(super) fn set(&mut self, stands: bool, now: Micros) {
        match self.stands {
            None if stands => self.stands = Some(now),
            Some(since) if !stands => {
                self.stood = Micros(self.stood.0 + now.since(since).0);
                self.stands = None;
            }
            _ => {}
        }
    }

    /// How long it has run.
    pub(super) fn ran(&self, now: Micros) -> Micros {
        self.stands.unwrap_or(now).since(self.began.mono).since(self.stood)
    }

    /// When it will have run so long; `None` while it stands.
    pub(super) fn due(&self, limit: Duration) -> Option<Micros> {
        let from = self.began.mono.0.saturating_add(self.stood.0);
        self.stands.is_none().then(|| Micros(from.saturating_add(Micros::from(limit).0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_only_while_it_runs() {
        let at = |seconds: u64| Micros(seconds * 1_000_000);
        let mut watch = Stopwatch::start(Now { wall: Micros(0), mono: at(10) });
        watch.set(true, at(12));
        watch.set(true, at(13));
        assert_eq!((watch.ran(at(20)), watch.due(Duration::from_secs(5))), (at(2), None));
        watch.set(false, at(20));
        watch.set(false, at(21));
        assert_eq!((watch.ran(at(22)), watch.due(Duration::from_secs(5))), (at(4), Some(at(23))));
    }
}
