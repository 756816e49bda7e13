//! The agenda that stands in the job itself: pending items, in order.

use super::{AgendaSource, Work};
use crate::model::{ItemIndex, ItemStatus, State};

/// Hands out the job's own items, first come first served.
#[derive(Debug, Default)]
pub struct StoredAgenda {
    /// No item before this one is pending: a million items are not looked through again for each.
    first: u32,
}

impl AgendaSource for StoredAgenda {
    fn request_work(&mut self, state: &State) -> Work {
        let total = u32::try_from(state.items.len()).unwrap_or(u32::MAX);
        let mut rows = state.items.reader();
        let pending = |place: &u32| rows.get(*place as usize).is_some_and(|row| row.status == ItemStatus::Pending);
        if let Some(place) = (self.first..total).find(pending) {
            self.first = place;
            return Work::Item(ItemIndex(place));
        }
        self.first = total;
        // A retrying item comes back by itself; a blocked one only when somebody unblocks it, so it does not keep the
        // session open.
        if state.count(ItemStatus::Retrying) > 0 { Work::Waiting(None) } else { Work::Exhausted }
    }

    fn report_work(&mut self, item: ItemIndex, status: ItemStatus) {
        if status == ItemStatus::Pending {
            self.first = self.first.min(item.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ItemRow;

    fn state(statuses: &[ItemStatus]) -> State {
        let mut state = State::default();
        for status in statuses {
            state.items.push(ItemRow { status: *status, ..ItemRow::default() });
            *state.counts.entry(*status).or_default() += 1;
        }
        state
    }

    #[test]
    fn pending_items_come_in_order_and_a_retried_one_comes_again() {
        use ItemStatus::{Blocked, Complete, Pending, Retrying};
        let mut agenda = StoredAgenda::default();
        assert_eq!(agenda.request_work(&state(&[Complete, Pending, Pending])), Work::Item(ItemIndex(1)));
        assert_eq!(agenda.request_work(&state(&[Complete, Complete, Retrying])), Work::Waiting(None));
        assert_eq!(agenda.request_work(&state(&[Complete, Complete, Blocked])), Work::Exhausted);
        agenda.report_work(ItemIndex(0), Pending);
        assert_eq!(agenda.request_work(&state(&[Pending, Complete, Blocked])), Work::Item(ItemIndex(0)));
    }
}
