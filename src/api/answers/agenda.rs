//! The agenda: windows of items, and all of one.

use super::super::pages::{failed, not_found};
use super::{Session, off_thread, place, rows};
use crate::model::proto::{ItemDetail, ItemView, Page, Refusal, Response, Window};
use crate::model::{EventKind, ItemIndex, ItemRow, Micros, ResultPackage, State};

pub(super) async fn page(session: &Session, window: Window) -> Result<Response, Refusal> {
    let (from, total, (copied, added)) = session
        .handle
        .look(move |inspect| {
            let state = inspect.state();
            let range = rows(window, state.items.len());
            let copied: Vec<_> = range.clone().filter_map(|at| copy(state, ItemIndex(place(at)))).collect();
            (place(range.start), place(state.items.len()), (copied, state.added.clone()))
        })
        .await?;
    let handle = session.handle.clone();
    off_thread(move || {
        let rows = copied
            .into_iter()
            .map(|(item, row, again, edited)| {
                let name = added.name(handle.job(), item);
                let name = name.map_or_else(|| item.to_string(), std::borrow::Cow::into_owned);
                ItemView { item, name, row, again, edited }
            })
            .collect();
        Ok(Response::Agenda(Page { from, total, rows }))
    })
    .await
}

pub(super) async fn item(session: &Session, name: String) -> Result<Response, Refusal> {
    let handle = session.handle.clone();
    let added = session.handle.look(|inspect| inspect.state().added.clone()).await?;
    let known = added.clone();
    let (item, spec) = off_thread(move || {
        let job = handle.job();
        let spec = |item| known.item(item).cloned().or_else(|| job.agenda.item(item));
        let found = known.find(job, &name).and_then(|item| Some((item, spec(item)?)));
        found.ok_or_else(|| not_found(format!("there is no item {name} in the agenda")))
    })
    .await?;
    let (row, again, running, edited) = session
        .handle
        .look(move |inspect| {
            let state = inspect.state();
            let (_, row, again, _) = copy(state, item)?;
            let running = state.running_item.as_ref().filter(|running| running.item == item);
            Some((row, again, running.map(|running| running.result.clone()), state.edits.get(&item).cloned()))
        })
        .await?
        .ok_or_else(|| not_found(format!("the session does not know item {} yet", spec.name)))?;
    let (pages, expand) = (session.sources.pages.clone(), session.sources.expand.clone());
    off_thread(move || {
        let (reason, result) = match running {
            Some(result) => (None, result),
            None if row.ended_at == 0 => (None, ResultPackage::default()),
            None => match pages.event_at(row.ended_at)?.kind {
                EventKind::ItemEnded { reason, result, .. } => (reason, result),
                _ => return Err(failed("the journal has something else where the item's end should be")),
            },
        };
        let changed = edited.is_some();
        // What was added is Python as it stands.
        let literal = edited.or_else(|| added.item(item).and_then(|added| added.commands.clone()));
        let commands = literal.map_or_else(|| expand(&spec).map_err(failed), Ok)?;
        let view = ItemView { item, name: spec.name, row, again, edited: changed };
        Ok(Response::Item(Box::new(ItemDetail { view, reason, result, commands, data: spec.data })))
    })
    .await
}

fn copy(state: &State, item: ItemIndex) -> Option<(ItemIndex, ItemRow, Option<Micros>, bool)> {
    Some((item, state.item(item)?, state.retry_at.get(&item).copied(), state.edits.contains_key(&item)))
}
