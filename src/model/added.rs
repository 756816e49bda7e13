//! Items that the agenda did not have when the session began: found by place and by name like all others.

use super::job::{ItemSpec, Job};
use super::{ItemIndex, ItemRow, ItemStatus, State};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// The added items, in order. A copy for somebody else costs nothing as long as none is added.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Added(Arc<Items>);

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Items {
    /// The place of the first one.
    first: u32,
    items: Vec<ItemSpec>,
}

impl Added {
    /// The item at a place, if it was added.
    pub fn item(&self, item: ItemIndex) -> Option<&ItemSpec> {
        self.0.items.get(item.0.checked_sub(self.0.first)? as usize)
    }

    /// The name of the item at a place, of the job's agenda or added to it.
    pub fn name<'a>(&'a self, job: &'a Job, item: ItemIndex) -> Option<Cow<'a, str>> {
        let added = self.item(item).map(|item| Cow::Borrowed(item.name.as_str()));
        added.or_else(|| job.agenda.name(item))
    }

    /// The place of the item with this name.
    pub fn find(&self, job: &Job, name: &str) -> Option<ItemIndex> {
        let added = || (0..).zip(&self.0.items).find(|(_, item)| item.name == name);
        job.agenda.find(name).or_else(|| added().map(|(place, _): (u32, _)| ItemIndex(self.0.first + place)))
    }

    fn push(&mut self, place: u32, item: ItemSpec) {
        let all = Arc::make_mut(&mut self.0);
        if all.items.is_empty() {
            all.first = place;
        }
        all.items.push(item);
    }
}

impl State {
    /// The item at a place, of the job's agenda or added to it.
    pub fn item_spec(&self, job: &Job, item: ItemIndex) -> Option<ItemSpec> {
        self.added.item(item).cloned().or_else(|| job.agenda.item(item))
    }

    pub(super) fn item_added(&mut self, item: ItemIndex, name: &str, commands: &[String]) {
        if item.as_usize() != self.items.len() {
            return;
        }
        let commands = Some(commands.to_vec());
        self.added.push(item.0, ItemSpec { name: name.to_owned(), commands, ..ItemSpec::default() });
        self.items.push(ItemRow::default());
        *self.counts.entry(ItemStatus::Pending).or_default() += 1;
    }
}
