//! One interpreter of the loop: its session, while there is one, and what its start-ups came to.

use super::modules;
use super::outcome::Outcome;
use super::pythons::Python;
use super::session::{Answer, Asker, Session, Told};
use crate::backend::EXECUTABLE;
use crate::cli::exit::{Failure, NOT_STARTED};
use crate::model::Job;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// How long the child may take to say which modules it has.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a child is to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// In a new session.
    Anew,
    /// In the session that is there, in place of its child; if none is there, in a new one.
    Restart,
}

/// One interpreter.
pub(super) struct Lane {
    /// What it is called.
    pub(super) name: String,
    /// The interpreter, if not the job's own; else why there is none.
    executable: Option<Result<PathBuf, String>>,
    session: Option<Session>,
    /// Its session's name, for what is told when there is none any more.
    id: Option<String>,
    /// Whoever may ask the session, shared with who interrupts while it is busy.
    asker: Rc<RefCell<Option<Asker>>>,
    /// The user's modules in it.
    pub(super) modules: BTreeMap<String, PathBuf>,
    /// What the last start-up came to.
    pub(super) last: Option<Outcome>,
    /// And the one before.
    pub(super) before: Option<Outcome>,
}

impl Lane {
    /// Of the job's own interpreter.
    pub(super) fn plain() -> Self {
        Self::new(String::new(), None)
    }

    /// Of another one.
    pub(super) fn of(python: Python) -> Self {
        Self::new(python.name, Some(python.path))
    }

    fn new(name: String, executable: Option<Result<PathBuf, String>>) -> Self {
        Self {
            name,
            executable,
            session: None,
            id: None,
            asker: Rc::default(),
            modules: BTreeMap::new(),
            last: None,
            before: None,
        }
    }

    /// Starts a child, and follows its start-up to the end.
    pub(super) async fn begin(&mut self, begin: Begin, job: &Job, keep: bool, told: &dyn Told) {
        let outcome = self.try_begin(begin, job, keep, told).await.unwrap_or_else(|failure| {
            let code = if failure.code == crate::cli::exit::OK { NOT_STARTED } else { failure.code };
            Outcome::nothing(code, &failure.message)
        });
        if !outcome.is_ready() {
            // Nobody is there to be asked any more.
            self.end().await;
        }
        self.before = self.last.replace(outcome);
    }

    async fn try_begin(&mut self, begin: Begin, job: &Job, keep: bool, told: &dyn Told) -> Result<Outcome, Failure> {
        let restarted = match &mut self.session {
            Some(session) if begin == Begin::Restart => session.restart().await.is_ok(),
            _ => false,
        };
        if !restarted {
            self.end().await;
            let mut job = job.clone();
            match &self.executable {
                Some(Ok(path)) => {
                    let path = Value::from(path.to_string_lossy().into_owned());
                    job.backend_settings.insert(EXECUTABLE.to_owned(), path);
                }
                Some(Err(missing)) => return Err(Failure::new(NOT_STARTED, missing.clone())),
                None => {}
            }
            let session = Session::start(job, keep).await?;
            self.id = Some(session.id().to_owned());
            *self.asker.borrow_mut() = Some(session.asker());
            self.session = Some(session);
        }
        match &mut self.session {
            Some(session) => session.follow(told).await,
            None => Err(Failure::new(NOT_STARTED, "there is no session")),
        }
    }

    /// Whether there is a child that can be asked.
    pub(super) fn is_ready(&self) -> bool {
        self.session.is_some() && self.last.as_ref().is_some_and(Outcome::is_ready)
    }

    /// Whoever may ask, if there is a child.
    pub(super) fn asker(&self) -> Option<Asker> {
        self.asker.borrow().clone().filter(|_| self.is_ready())
    }

    /// The same for who does not wait for the start-up's end.
    pub(super) fn any_asker(&self) -> Rc<RefCell<Option<Asker>>> {
        Rc::clone(&self.asker)
    }

    /// The session's id, though it may be over.
    pub(super) fn session_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Runs a command.
    pub(super) async fn run(&self, source: &str) -> Option<Result<Answer, Failure>> {
        Some(self.asker()?.run(source.to_owned()).await)
    }

    /// Asks which modules of the user's there are.
    pub(super) async fn refresh(&mut self, roots: &[PathBuf]) -> Result<(), Failure> {
        let Some(asker) = self.asker() else { return Ok(()) };
        let loaded = tokio::time::timeout(PATIENCE, modules::loaded(&asker, roots)).await;
        self.modules =
            loaded.map_err(|_| Failure::new(NOT_STARTED, "the child did not say which modules it has"))??;
        Ok(())
    }

    /// Files of the user's that the last start-up's tracebacks name.
    pub(super) fn blamed(&self, roots: &[PathBuf]) -> Vec<PathBuf> {
        let faults = self.last.iter().flat_map(|outcome| &outcome.steps).filter_map(|step| step.fault.as_ref());
        let named = faults.flat_map(|fault| fault.text.lines()).filter_map(file_of_line).map(Path::new);
        let is_theirs = |path: &&Path| roots.iter().any(|root| path.starts_with(root));
        named.filter(is_theirs).map(Path::to_owned).collect()
    }

    /// Waits until the child is gone by itself, and says why; for ever, if there is none. Nothing is lost when it is
    /// dropped.
    pub(super) async fn gone(&mut self) -> String {
        match &mut self.session {
            Some(session) => session.over().await,
            None => std::future::pending().await,
        }
    }

    /// Ends the session, if there is one.
    pub(super) async fn end(&mut self) {
        *self.asker.borrow_mut() = None;
        if let Some(session) = self.session.take() {
            session.end().await;
        }
    }
}

/// The file in a line such as `File "x.py", line 3` of a traceback.
fn file_of_line(line: &str) -> Option<&str> {
    let (file, rest) = line.trim_start().strip_prefix("File \"")?.split_once('"')?;
    rest.starts_with(", line").then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracebacks_name_files() {
        assert_eq!(file_of_line("  File \"/a b/x.py\", line 3, in f"), Some("/a b/x.py"));
        assert_eq!(file_of_line("    File \"x"), None);
        assert_eq!(file_of_line("x = 'File \"x\", line 3'"), None);
    }
}
