//! Exceptions by type and place, and the last one of each group.

use super::super::pages::{failed, not_found};
use super::{Session, off_thread, place, rows};
use crate::model::proto::{Page, Refusal, Response, Window};
use crate::model::{CommandOutcome, EventKind};

pub(super) async fn page(session: &Session, window: Window) -> Result<Response, Refusal> {
    let page = session
        .handle
        .look(move |inspect| {
            let groups = &inspect.state().exceptions;
            let range = rows(window, groups.len());
            Page { from: place(range.start), total: place(groups.len()), rows: groups[range].to_vec() }
        })
        .await?;
    Ok(Response::Exceptions(page))
}

pub(super) async fn exception(session: &Session, place: u32) -> Result<Response, Refusal> {
    let group = session
        .handle
        .look(move |inspect| inspect.state().exceptions.get(place as usize).cloned())
        .await?
        .ok_or_else(|| not_found(format!("there is no group {place} of exceptions")))?;
    let pages = session.sources.pages.clone();
    off_thread(move || match pages.event_at(group.at)?.kind {
        EventKind::CommandEnded { outcome: CommandOutcome::Raised { exception, .. }, .. }
        | EventKind::ThreadException { exception, .. } => Ok(Response::Exception { group, exception }),
        _ => Err(failed("the journal has something else where the exception should be")),
    })
    .await
}
