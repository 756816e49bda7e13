//! Tells in `session.json` of the child: its pid and start time, Python and application, as soon as they are known.
//!
//! What must stay true: the actor does nothing for it, since the events are pulled from the feed; it is woken only when
//! something happens, and then seldom.

use crate::model::{EventKind, Generation, Hello, Seq};
use crate::session::{Feed, FeedCursor, feed};
use crate::store::{ChildFile, Folder, StoreError};
use std::time::Duration;

/// The least time between two looks while a child is being started: shorter than the ring takes to be overrun.
const STARTING: Duration = Duration::from_millis(20);
/// The same later on, when only another child can bring something new.
const LATER: Duration = Duration::from_secs(1);
/// The most characters that are kept of what the child says of itself.
const MOST: usize = 200;

/// Follows a session's children.
pub(super) struct Recorder {
    folder: Folder,
    feed: Feed,
    cursor: FeedCursor,
    generation: Generation,
    spawned: Option<(u32, u64)>,
    recorded: Option<ChildFile>,
}

impl Recorder {
    /// For an engine in this process, which holds the folder.
    pub(super) fn new(folder: &Folder, feed: &Feed) -> Self {
        Self {
            folder: folder.clone(),
            feed: feed.clone(),
            cursor: FeedCursor { next: Seq(0) },
            generation: Generation::default(),
            spawned: None,
            recorded: None,
        }
    }

    /// Follows for good.
    pub(super) async fn follow(&mut self) {
        let mut changes = self.feed.watch();
        loop {
            self.look();
            tokio::time::sleep(if self.recorded.is_some() { LATER } else { STARTING }).await;
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Looks at what happened since the last look.
    pub(super) fn look(&mut self) {
        let events = self.feed.pull(&mut self.cursor, feed::CAPACITY).events;
        let mut child = None;
        for event in events {
            match &event.kind {
                EventKind::ChildStarting { generation, .. } => self.generation = *generation,
                EventKind::ChildSpawned { pid, start_time } => self.spawned = Some((*pid, *start_time)),
                EventKind::ChildConnected { hello } => child = self.child(hello),
                _ => {}
            }
        }
        if child.is_none() || child == self.recorded {
            return;
        }
        self.recorded = child;
        if let Err(error) = self.write() {
            tracing::warn!("session.json does not tell of the child: {error}");
        }
    }

    fn child(&self, hello: &Hello) -> Option<ChildFile> {
        let (pid, start_time) = self.spawned?;
        let short = |text: &str| text.chars().take(MOST).collect::<String>();
        Some(ChildFile {
            generation: self.generation,
            pid,
            start_time,
            interpreter_pid: hello.pid,
            python: short(format!("{} {}", hello.implementation, hello.python).trim()),
            application: short(format!("{} {}", hello.application.name, hello.application.version).trim()),
        })
    }

    fn write(&self) -> Result<(), StoreError> {
        let mut session = self.folder.read_session()?;
        session.child.clone_from(&self.recorded);
        self.folder.write_session(&session)
    }
}
