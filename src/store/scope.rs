//! Where the lines of one stream must begin to be wanted.

use std::ops::Range;

/// Ranges of a stream's bytes, in order, none empty, with something between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope(Vec<Range<u64>>);

impl Scope {
    /// These ranges, in any order.
    pub(super) fn of(ranges: impl IntoIterator<Item = Range<u64>>) -> Self {
        let mut ranges: Vec<Range<u64>> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        ranges.dedup_by(|next, range| {
            let meet = next.start <= range.end;
            if meet {
                range.end = range.end.max(next.end);
            }
            meet
        });
        Self(ranges)
    }

    /// What lies in this range too.
    pub(super) fn within(&self, bounds: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let first = self.0.partition_point(|range| range.end <= bounds.start);
        let clip = move |range: &Range<u64>| range.start.max(bounds.start)..range.end.min(bounds.end);
        self.0[first..].iter().map(clip).take_while(|range| !range.is_empty())
    }

    /// What lies in the other one too.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self::of(self.0.iter().flat_map(|range| other.within(range.clone())))
    }

    /// The range that holds this place, or the first one after it.
    pub(super) fn from(&self, place: u64) -> Option<Range<u64>> {
        self.0.get(self.0.partition_point(|range| range.end <= place)).cloned()
    }

    /// The last range that begins before this place.
    pub(super) fn before(&self, place: u64) -> Option<Range<u64>> {
        self.0.get(self.0.partition_point(|range| range.start < place).checked_sub(1)?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(scope: &Scope, place: u64) -> bool {
        scope.from(place).is_some_and(|range| range.contains(&place))
    }

    proptest! {
        #[test]
        fn a_scope_holds_what_its_ranges_hold(
            one in proptest::collection::vec((0u64..30, 0u64..9), 0..6),
            two in proptest::collection::vec((0u64..30, 0u64..9), 0..6),
        ) {
            let ranges = |pairs: &[(u64, u64)]| pairs.iter().map(|pair| pair.0..pair.0 + pair.1).collect::<Vec<_>>();
            let (one, two) = (ranges(&one), ranges(&two));
            let scopes = [Scope::of(one.clone()), Scope::of(two.clone())];
            let both = scopes[0].and(&scopes[1]);
            for place in 0..45 {
                let within = |ranges: &[Range<u64>]| ranges.iter().any(|range| range.contains(&place));
                prop_assert_eq!(holds(&scopes[0], place), within(&one));
                prop_assert_eq!(holds(&both, place), within(&one) && within(&two));
                let before = (0..place).any(|earlier| holds(&scopes[0], earlier));
                prop_assert_eq!(scopes[0].before(place).is_some(), before);
            }
        }
    }
}
