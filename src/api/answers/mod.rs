//! Answers to requests that only read.
//!
//! Each has two halves: a look at the state, on the actor's thread, that copies no more than the window's rows; then
//! the texts, from the files, off the server's thread. A slow disk delays only whoever asked for it.

mod about;
mod agenda;
mod commands;
mod diagnoses;
mod exceptions;
mod find;
mod output;
mod search;
mod usage;

use super::pages::{Sources, failed};
use crate::model::proto::{PAGE_LIMIT, Refusal, RefusalKind, Request, Response, VERSION, Window};
use crate::session::Handle;
use crate::store::Asker;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What answers are made from, be the session live or a recording.
pub(super) struct Session {
    /// The way to whoever holds the state.
    pub(super) handle: Handle,
    /// The session's files.
    pub(super) sources: Sources,
    /// Room for what looks at much of the output, over all clients.
    searches: Arc<Semaphore>,
}

impl Session {
    /// With these.
    pub(super) fn new(handle: Handle, sources: Sources) -> Self {
        Self { handle, sources, searches: Arc::new(Semaphore::new(searches())) }
    }
}

/// How many searches run at once: a processor is left for everything else, if there are two.
fn searches() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).clamp(1, 4))
}

/// The answer to a request that only reads. Requests that go to the actor are refused here.
pub(super) async fn answer(session: &Session, request: Request, asker: &Asker) -> Result<Response, Refusal> {
    match request {
        Request::Summary => Ok(Response::Summary(Box::new(session.handle.look(|inspect| inspect.summary()).await?))),
        Request::Agenda(window) => agenda::page(session, window).await,
        Request::Item { name } => agenda::item(session, name).await,
        Request::Commands(window) => commands::page(session, window).await,
        Request::Command { id } => commands::command(session, id).await,
        Request::Exceptions(window) => exceptions::page(session, window).await,
        Request::Exception { place } => exceptions::exception(session, place).await,
        Request::Find { list, text, from, forward } => find::find(session, list, &text, from, forward).await,
        Request::Output(query) => output::page(session, *query, asker).await,
        Request::Search(query) => search::search(session, *query, asker).await,
        Request::Traces { from, limit } => output::traces(session, from, limit).await,
        Request::Info => info(session).await,
        Request::About => about::answer(session).await,
        Request::Diagnoses(window) => diagnoses::page(session, window).await,
        Request::Diagnosis { place } => diagnoses::diagnosis(session, place).await,
        Request::Usage { from, to, most } => usage::history(session, from, to, most).await,
        Request::Subscribe { .. }
        | Request::Complete { .. }
        | Request::Check { .. }
        | Request::Names
        | Request::Exec { .. }
        | Request::Side { .. }
        | Request::Why
        | Request::Hot { .. }
        | Request::Interrupt { .. }
        | Request::Restart { .. }
        | Request::Pause
        | Request::Continue
        | Request::SetTimeouts { .. }
        | Request::SetStops { .. }
        | Request::Hold
        | Request::Break
        | Request::Step { .. }
        | Request::Edit { .. }
        | Request::Release
        | Request::Items { .. }
        | Request::Stop { .. } => {
            Err(Refusal { kind: RefusalKind::Invalid, message: "this request does not only read".to_owned() })
        }
    }
}

async fn info(session: &Session) -> Result<Response, Refusal> {
    let pages = session.sources.pages.clone();
    let mut info = off_thread(move || pages.info()).await?;
    if let Some(info) = info.as_object_mut() {
        info.insert("protocol".to_owned(), VERSION.into());
    }
    Ok(Response::Info { info })
}

/// Runs what blocks on a thread of its own.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(failed(format!("the answer could not be made: {error}"))))
}

/// The same for what may look at much of the output: only so many of these run at once, whoever asks.
async fn sought<T: Send + 'static>(
    session: &Session,
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let place = session.searches.clone().acquire_owned().await.map_err(|error| failed(error.to_string()))?;
    off_thread(move || {
        // Held to the work's end, though whoever asked for it may have gone.
        let _place = place;
        work()
    })
    .await
}

/// The rows of a window that exist: a window past the end is moved back to hold the last rows.
fn rows(window: Window, total: usize) -> std::ops::Range<usize> {
    let limit = window.limit.min(PAGE_LIMIT) as usize;
    let from = (window.from as usize).min(total.saturating_sub(limit));
    from..(from + limit).min(total)
}

/// A place or a number of rows, as the protocol has it.
fn place(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_hold_rows_that_exist() {
        let window = |from, limit| Window { from, limit };
        assert_eq!(rows(window(0, 10), 3), 0..3);
        assert_eq!(rows(window(50, 10), 30), 20..30);
        assert_eq!(rows(window(u32::MAX, u32::MAX), 5000), 3000..5000);
        assert_eq!(rows(window(0, 0), 30), 0..0);
        assert_eq!(rows(window(7, 10), 0), 0..0);
    }
}
