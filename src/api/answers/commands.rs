//! Commands: windows of them, and all of one. Their texts and fates are in the journal.

use super::super::pages::{Pages, failed, not_found};
use super::{Session, off_thread, place, rows};
use crate::model::added::Added;
use crate::model::proto::{CommandDetail, CommandView, Page, Refusal, Response, Window};
use crate::model::{CommandId, CommandOutcome, CommandRow, EventKind, Job, Origin};
use crate::session::head;

/// The most bytes of a command's text.
const SOURCE: usize = 1 << 20;

pub(super) async fn page(session: &Session, window: Window) -> Result<Response, Refusal> {
    let (from, total, copied, added) = session
        .handle
        .look(move |inspect| {
            let commands = &inspect.state().commands;
            let range = rows(window, commands.len());
            let copied: Vec<CommandRow> = commands.range(range.clone()).collect();
            (range.start, commands.len(), copied, inspect.state().added.clone())
        })
        .await?;
    let (pages, handle) = (session.sources.pages.clone(), session.handle.clone());
    off_thread(move || {
        let names = (handle.job(), &added);
        let rows = (from..).zip(copied).map(|(at, row)| view(&*pages, names, CommandId(at as u64 + 1), row).0);
        let rows = rows.collect();
        Ok(Response::Commands(Page { from: place(from), total: place(total), rows }))
    })
    .await
}

pub(super) async fn command(session: &Session, id: CommandId) -> Result<Response, Refusal> {
    let (row, added) = session
        .handle
        .look(move |inspect| Some((inspect.state().command(id)?, inspect.state().added.clone())))
        .await?
        .ok_or_else(|| not_found(format!("there is no command {id}")))?;
    let (pages, handle) = (session.sources.pages.clone(), session.handle.clone());
    off_thread(move || {
        let (view, source) = view(&*pages, (handle.job(), &added), id, row);
        let mut source = source?;
        let cut = source.len() > SOURCE;
        if cut {
            source.truncate(source.floor_char_boundary(SOURCE));
        }
        let outcome = if row.ended_at == 0 { None } else { Some(outcome(&*pages, id, row.ended_at)?) };
        Ok(Response::Command(Box::new(CommandDetail { view, source, cut, outcome })))
    })
    .await
}

/// The text and the origin of a command, from the event that queued it.
pub(super) fn source(pages: &dyn Pages, id: CommandId, row: &CommandRow) -> Result<(String, Option<Origin>), Refusal> {
    match pages.event_at(row.queued_at)?.kind {
        EventKind::CommandQueued { id: found, source, by, .. } if found == id => Ok((source, by)),
        _ => Err(failed(format!("the journal has something else where command {id} should be"))),
    }
}

fn outcome(pages: &dyn Pages, id: CommandId, at: u64) -> Result<CommandOutcome, Refusal> {
    match pages.event_at(at)?.kind {
        EventKind::CommandEnded { id: found, outcome, .. } if found == id => Ok(outcome),
        _ => Err(failed(format!("the journal has something else where command {id}'s end should be"))),
    }
}

/// A row, and the whole text; a row whose text cannot be read is still a row, and says so.
fn view(
    pages: &dyn Pages,
    (job, added): (&Job, &Added),
    id: CommandId,
    row: CommandRow,
) -> (CommandView, Result<String, Refusal>) {
    let item_name = row.item.and_then(|item| added.name(job, item)).map(std::borrow::Cow::into_owned);
    let (head, by, source) = match source(pages, id, &row) {
        Ok((source, by)) => (head(&source), by, Ok(source)),
        Err(refusal) => (format!("(not to be read: {refusal})"), None, Err(refusal)),
    };
    (CommandView { id, row, item_name, head, by }, source)
}
