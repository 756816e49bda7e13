//! The numbers by which things are named in events, pages and on the wire.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A command's number: counts from 1 over the whole session, never reused, over restarts of the child too.
    CommandId(u64)
);
number!(
    /// An item's place in the agenda, from 0. People see the item's name instead.
    ItemIndex(u32)
);
number!(
    /// An event's number in the journal: from 1, without gaps.
    Seq(u64)
);
number!(
    /// Which child of the session this is: 1 for the first, one more for each start after it.
    Generation(u32)
);
number!(
    /// A point in time or a length of time, in microseconds. Wall times count from the Unix epoch, monotonic ones from
    /// the boot of the machine.
    Micros(u64)
);

impl ItemIndex {
    /// The place as an index into a slice.
    pub fn as_usize(self) -> usize {
        self.0 as usize
    }
}

impl Seq {
    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Micros {
    /// The time between an earlier point and this one; zero when the clock went backwards.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// As a standard duration.
    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0)
    }

    /// In seconds, for people and averages.
    #[expect(clippy::cast_precision_loss, reason = "microseconds of 285 years fit into f64 exactly")]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl From<std::time::Duration> for Micros {
    fn from(length: std::time::Duration) -> Self {
        Self(u64::try_from(length.as_micros()).unwrap_or(u64::MAX))
    }
}
