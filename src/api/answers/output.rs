//! Pages of output and of the engine's log.

use super::super::pages::not_found;
use super::{Session, off_thread, sought};
use crate::model::State;
use crate::model::proto::{OutputAt, OutputPage, OutputQuery, PAGE_LIMIT, Refusal, Response};
use crate::session::Inspect;
use crate::store::{Asker, Places, Resolve};

pub(super) async fn page(session: &Session, query: OutputQuery, asker: &Asker) -> Result<Response, Refusal> {
    lines(session, query, asker).await.map(Response::Output)
}

/// The lines that a query wants.
pub(super) async fn lines(session: &Session, mut query: OutputQuery, asker: &Asker) -> Result<OutputPage, Refusal> {
    (query.before, query.after) = query.most();
    let places = look_up(session, &query).await?;
    let (pages, asker) = (session.sources.pages.clone(), asker.clone());
    let filtered = query.filter.grep.is_some();
    let work = move || pages.output(&asker, &query, &places);
    if filtered { sought(session, work).await } else { off_thread(work).await }
}

/// What the state has to say about a query; refused when it names what has no output.
pub(super) async fn look_up(session: &Session, query: &OutputQuery) -> Result<Places, Refusal> {
    let query = query.clone();
    let look = move |inspect: &dyn Inspect| places(inspect.state(), &query).map(|places| places.upto(inspect.until()));
    session.handle.look(look).await?
}

pub(super) async fn traces(session: &Session, from: Option<u64>, limit: u32) -> Result<Response, Refusal> {
    let pages = session.sources.pages.clone();
    off_thread(move || pages.traces(from, limit.min(PAGE_LIMIT)).map(Response::Traces)).await
}

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
    if let Some(item) = query.filter.item.filter(|item| state.item(*item).is_none()) {
        return Err(not_found(format!("there is no item at place {item}")));
    }
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
