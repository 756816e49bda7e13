//! What was found out about the child, in a list and one by one.

use super::super::pages::{failed, not_found};
use super::{Session, off_thread, place, rows};
use crate::model::EventKind;
use crate::model::proto::{Page, Refusal, Response, Window};

pub(super) async fn page(session: &Session, window: Window) -> Result<Response, Refusal> {
    let page = session
        .handle
        .look(move |inspect| {
            let heads = &inspect.state().diagnoses;
            let range = rows(window, heads.len());
            Page { from: place(range.start), total: place(heads.len()), rows: heads[range].to_vec() }
        })
        .await?;
    Ok(Response::Diagnoses(page))
}

pub(super) async fn diagnosis(session: &Session, place: u32) -> Result<Response, Refusal> {
    let offset = session
        .handle
        .look(move |inspect| inspect.state().diagnoses.get(place as usize).map(|head| head.at))
        .await?
        .ok_or_else(|| not_found(format!("there is no diagnosis {place}")))?;
    let pages = session.sources.pages.clone();
    off_thread(move || match pages.event_at(offset)?.kind {
        EventKind::Diagnosed { diagnosis, .. } => Ok(Response::Diagnosis(diagnosis)),
        _ => Err(failed("the journal has something else where the diagnosis should be")),
    })
    .await
}
