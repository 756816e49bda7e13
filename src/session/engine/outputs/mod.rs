//! The look at the files that an item told of.
//!
//! What must stay true: a file server that does not answer keeps threads of this, and nobody else: neither the engine nor
//! its end, which would wait for threads of a runtime. So the threads are its own, no more than [`STUCK`] of them are left
//! behind, and what is known after [`LOOK`] is all that anybody waits for.

mod image;
mod judge;

use crate::model::OutputFile;
use crate::session::world::Inspection;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long the look at an item's files may take.
const LOOK: Duration = Duration::from_secs(30);
/// How many looks may hang before no other is begun.
const STUCK: usize = 8;

/// Looks at files.
#[derive(Debug, Default)]
pub(super) struct Inspector {
    /// One more for each look that has not come back.
    looks: Arc<()>,
}

/// A look and what it has found so far.
struct Look {
    paths: Vec<String>,
    found: Mutex<Vec<OutputFile>>,
    /// See [`Inspector`].
    _counted: Arc<()>,
}

impl Inspector {
    /// Looks at all of them; what could not be looked at in time has that as its problem.
    pub(super) fn inspect(
        &self,
        inspection: Inspection,
        cwd: PathBuf,
    ) -> impl Future<Output = Vec<OutputFile>> + use<> {
        let stuck = Arc::strong_count(&self.looks) - 1;
        let counted = Arc::clone(&self.looks);
        async move {
            if stuck >= STUCK {
                let why = format!("was not looked at: {stuck} looks at files before it have not come back so far");
                return inspection.paths.iter().map(|path| unseen(path, &why)).collect();
            }
            let look = Look { paths: inspection.paths.clone(), found: Mutex::default(), _counted: counted };
            look.within(LOOK, move |path| judge::judge(path, &cwd, &inspection)).await
        }
    }
}

impl Look {
    /// All that is known of the files after this time at most.
    async fn within(self, limit: Duration, judge: impl Fn(&str) -> OutputFile + Send + 'static) -> Vec<OutputFile> {
        let look = Arc::new(self);
        let (done, wait) = oneshot::channel::<()>();
        let worker = Arc::clone(&look);
        let thread = std::thread::Builder::new().name("outputs".into()).spawn(move || {
            for path in &worker.paths {
                let file = judge(path);
                worker.found.lock().unwrap_or_else(PoisonError::into_inner).push(file);
            }
            // Nobody may be waiting any more.
            let _ = done.send(());
        });
        let why = match thread {
            Ok(_) => {
                let _ = tokio::time::timeout(limit, wait).await;
                format!("could not be looked at within {} s", limit.as_secs())
            }
            Err(error) => format!("could not be looked at: {error}"),
        };
        let mut found = look.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let rest = look.paths.iter().skip(found.len());
        found.extend(rest.map(|path| unseen(path, &why)));
        found
    }
}

fn unseen(path: &str, why: &str) -> OutputFile {
    OutputFile { path: path.into(), problem: Some(why.to_owned()), ..OutputFile::default() }
}

#[cfg(test)]
mod tests;
