//! What is looked for in the child's output, and when what was found is told.

use crate::model::{CommandId, Marks, Micros};
use crate::patterns::{Findings, Matcher, Set, Tap};
use crate::store::clock;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::Notify;

/// Between two takings of what was found, unless somebody waits for it.
const EVERY: Micros = Micros(100_000);

/// A matching that is waited for.
pub(super) type Settling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Looks for the job's and the recipe's patterns.
#[derive(Debug)]
pub(super) struct LookingFor {
    set: Arc<Set>,
    /// Told when something was found.
    pub(super) finding: Arc<Notify>,
    /// While a child's pipes are read, if there is anything to look for.
    matcher: Option<Matcher>,
    /// What the last one found when it ended.
    left: Vec<Findings>,
    due: Option<Micros>,
    taken: Micros,
}

impl LookingFor {
    pub(super) fn new(set: Set) -> Self {
        let (finding, left) = (Arc::default(), Vec::new());
        Self { set: Arc::new(set), finding, matcher: None, left, due: None, taken: Micros(0) }
    }

    /// A child's pipes will be read. Where nothing is looked for, nothing is copied and no thread is started.
    pub(super) fn begin(&mut self) -> io::Result<[Option<Tap>; 2]> {
        if self.set.is_empty() {
            return Ok([None, None]);
        }
        let (matcher, taps) = Matcher::start(Arc::clone(&self.set), Arc::clone(&self.finding))?;
        self.matcher = Some(matcher);
        Ok(taps.map(Some))
    }

    /// A command is about to be sent that the child repeats before it runs it.
    pub(super) fn expect_echo(&self, command: CommandId, text: impl FnOnce() -> Vec<u8>) {
        if let Some(matcher) = &self.matcher {
            matcher.expect_echo(command, text());
        }
    }

    /// Done when all is matched that was printed up to these places, which was handed over when `drained` is done; `None`
    /// where nothing is looked for.
    pub(super) fn settle(&self, upto: Marks, drained: impl Future<Output = ()> + Send + 'static) -> Option<Settling> {
        let matcher = self.matcher.as_ref()?;
        Some(Box::pin(matcher.settle(upto, drained)))
    }

    /// Something was found: it will be told, together with what follows within a moment.
    pub(super) fn came(&mut self) {
        self.due.get_or_insert(Micros(self.taken.0 + EVERY.0).max(clock::mono()));
    }

    /// When what was found is to be told.
    pub(super) fn due(&self) -> Option<Micros> {
        self.due
    }

    /// What was found, if it is time to tell it.
    pub(super) fn take_if_due(&mut self) -> Vec<Findings> {
        let due = self.due.is_some_and(|due| due <= clock::mono());
        if due || !self.left.is_empty() { self.take() } else { Vec::new() }
    }

    /// What was found.
    pub(super) fn take(&mut self) -> Vec<Findings> {
        self.due = None;
        self.taken = clock::mono();
        let mut found = std::mem::take(&mut self.left);
        found.extend(self.matcher.iter().flat_map(Matcher::take));
        found
    }

    /// Waits for the rest, once the pipes are not read any more. Nothing is lost if nobody waits to the end.
    pub(super) async fn over(&mut self) {
        if let Some(matcher) = &mut self.matcher {
            matcher.over().await;
        }
    }

    /// The child is gone.
    pub(super) fn end(&mut self) {
        self.left.extend(self.matcher.take().iter().flat_map(Matcher::take));
    }
}
