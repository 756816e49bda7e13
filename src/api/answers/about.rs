//! What runs the session.

use super::super::about::{Facts, about};
use super::super::pages::failed;
use super::{Session, off_thread};
use crate::model::proto::{Refusal, Response};
use crate::store::SessionFile;
use std::path::PathBuf;

pub(super) async fn answer(session: &Session) -> Result<Response, Refusal> {
    let facts = session.handle.look(|inspect| Facts::of(inspect.state())).await?;
    let pages = session.sources.pages.clone();
    off_thread(move || {
        let info = pages.info()?;
        let folder = info.get("folder").and_then(|folder| folder.as_str()).map(PathBuf::from);
        let file: SessionFile = serde_json::from_value(info).map_err(|error| failed(error.to_string()))?;
        let launch = facts.launched_at.map(|at| pages.event_at(at)).transpose()?;
        Ok(Response::About(Box::new(about(file, folder.as_deref(), facts, launch))))
    })
    .await
}
