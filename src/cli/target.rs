//! Which session is meant, and the way to its engine.

use super::exit::Failure;
use crate::api::socket::Places;
use crate::api::{Client, live::Target};
use crate::model::proto::{ClientHello, VERSION};
use crate::store::{Folder, Purpose, find, recover};
use std::path::PathBuf;

/// The session's folder, by name or by what is the case.
pub(super) fn folder(selector: Option<&str>, purpose: Purpose) -> Result<Folder, Failure> {
    Ok(find(selector, purpose)?)
}

/// What this program says of itself.
pub(super) fn hello(client: &str, read_only: bool) -> ClientHello {
    ClientHello { version: VERSION, client: client.to_owned(), host: whence(), read_only }
}

/// Where this is run from: the SSH client's address, else this host.
fn whence() -> String {
    let ssh = std::env::var("SSH_CONNECTION").ok().and_then(|ssh| Some(ssh.split_whitespace().next()?.to_owned()));
    ssh.or_else(|| nix::unistd::gethostname().ok().map(|name| name.to_string_lossy().into_owned())).unwrap_or_default()
}

/// The way to a session's engine.
pub(super) fn engine(folder: &Folder) -> Target {
    let (paths, alive, ended) = (folder.clone(), folder.clone(), folder.clone());
    Target {
        paths: Box::new(move || sockets(&paths)),
        alive: Box::new(move || alive.is_running()),
        ended: Box::new(move || recover(&ended).ok()?.state.ended),
    }
}

fn sockets(folder: &Folder) -> Vec<PathBuf> {
    let places = Places::from_env();
    let usual = places.candidates(folder.id(), None);
    if usual.iter().any(|path| path.exists()) {
        return usual;
    }
    // Only an engine that was started in another environment put it elsewhere; reading its file may take long.
    let recorded = folder.read_session().ok().and_then(|session| session.engine).map(|engine| engine.socket);
    places.candidates(folder.id(), recorded.as_deref())
}

/// A connection to a session's engine.
pub(super) async fn connect(folder: &Folder, client: &str, read_only: bool) -> Result<Client, Failure> {
    Ok(engine(folder).connect(&hello(client, read_only)).await?.0)
}

/// Runs a client's work to its end.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}
