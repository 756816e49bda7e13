//! The agenda: windows of items, and all of one.

use super::super::pages::{failed, not_found};
use super::{Session, off_thread, place, rows};
use crate::model::proto::{ItemDetail, ItemView, Page, RanCommand, Refusal, Response, Window};
use crate::model::{CommandId, EventKind, ItemIndex, ItemRow, Micros, OutputPattern, Phase, ResultPackage, State};

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
    let commands = spec.commands.as_ref().map_or_else(|| session.handle.job().phases.commands.len(), Vec::len);
    let (row, again, running, (edited, ran, measures)) = session
        .handle
        .look(move |inspect| {
            let state = inspect.state();
            let (_, row, again, _) = copy(state, item)?;
            let running = state.running_item.as_ref().filter(|running| running.item == item);
            let edited = state.edits.get(&item).cloned();
            let ran = ran(state, item, commands.max(edited.as_ref().map_or(0, Vec::len)));
            let measure = |found: &OutputPattern| Some((found.name.clone(), found.finds.measure()?));
            let measures = inspect.patterns().iter().filter_map(measure).collect();
            Some((row, again, running.map(|running| running.result.clone()), (edited, ran, measures)))
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
        Ok(Response::Item(Box::new(ItemDetail { view, reason, result, commands, data: spec.data, ran, measures })))
    })
    .await
}

/// The commands of an item's last attempt: they were queued together, as many as its text has.
fn ran(state: &State, item: ItemIndex, most: usize) -> Vec<RanCommand> {
    let Some(first) = state.item(item).and_then(|row| row.first_command) else { return Vec::new() };
    let rows = (first.0..).map(CommandId).zip(state.commands_from(first)).take(most);
    let own = rows.take_while(|(_, row)| row.phase == Phase::Item && row.item == Some(item));
    own.map(|(id, row)| RanCommand { id, state: row.state, took: row.took }).collect()
}

fn copy(state: &State, item: ItemIndex) -> Option<(ItemIndex, ItemRow, Option<Micros>, bool)> {
    Some((item, state.item(item)?, state.retry_at.get(&item).copied(), state.edits.contains_key(&item)))
}
