//! Pages of output and of the engine's log.

use super::super::pages::not_found;
use super::{Session, off_thread};
use crate::model::State;
use crate::model::proto::{OutputAt, OutputQuery, PAGE_LIMIT, Refusal, Response};
use crate::store::{Places, Resolve};

pub(super) async fn page(session: &Session, mut query: OutputQuery) -> Result<Response, Refusal> {
    query.before = query.before.min(PAGE_LIMIT);
    query.after = query.after.min(PAGE_LIMIT - query.before);
    let places = {
        let query = query.clone();
        session
            .handle
            .look(move |inspect| places(inspect.state(), &query).map(|places| places.upto(inspect.until())))
            .await??
    };
    let pages = session.sources.pages.clone();
    off_thread(move || pages.output(&query, &places).map(Response::Output)).await
}

pub(super) async fn traces(session: &Session, from: Option<u64>, limit: u32) -> Result<Response, Refusal> {
    let pages = session.sources.pages.clone();
    off_thread(move || pages.traces(from, limit.min(PAGE_LIMIT)).map(Response::Traces)).await
}

/// What the state has to say about the query; refused when it names what has no output.
fn places(state: &State, query: &OutputQuery) -> Result<Places, Refusal> {
    let at = match query.at {
        OutputAt::Command(id) => Some(id),
        OutputAt::Item(item) if state.item(item).is_none() => {
            return Err(not_found(format!("there is no item at place {item}")));
        }
        OutputAt::Item(item) if state.first_command(item).is_none() => {
            return Err(not_found("the item has not run a command yet, so it has no output"));
        }
        OutputAt::Item(_) | OutputAt::Start | OutputAt::End | OutputAt::Line(_) | OutputAt::Time(_) => None,
    };
    for id in at.into_iter().chain(query.command) {
        if state.command(id).is_none() {
            return Err(not_found(format!("there is no command {id}")));
        }
        if state.slice(id).is_none() {
            return Err(not_found(format!("command {id} was not sent, so it has no output")));
        }
    }
    Ok(Places::of(state, query))
}
