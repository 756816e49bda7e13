//! Pages of a session's folder.

use super::pages::{Journalled, Pages, Sources, failed};
use crate::job::commands;
use crate::model::proto::{OutputAt, OutputPage, OutputQuery, Refusal, RefusalKind, TracePage};
use crate::model::{Event, Job, Marks, Micros, SearchQuery, Searched, Seq, UsagePoint};
use crate::store::{Asker, Folder, JournalReader, OutputReader, Places, StoreError, UsageReader, traces};
use std::sync::Arc;

/// A session's files.
pub struct Recorded {
    folder: Folder,
    journal: Arc<JournalReader>,
    output: OutputReader,
}

impl Recorded {
    /// Opens them. The journal must be there.
    pub fn open(folder: &Folder) -> Result<Self, StoreError> {
        Ok(Self::new(folder, Arc::new(JournalReader::open(&folder.journal())?)))
    }

    /// With a journal that is open already.
    pub fn new(folder: &Folder, journal: Arc<JournalReader>) -> Self {
        Self { folder: folder.clone(), journal, output: OutputReader::open(folder) }
    }
}

impl Sources {
    /// What a server reads of a session that runs: its folder, and the job that it was made from.
    pub fn of(folder: &Folder, job: Arc<Job>) -> Result<Self, StoreError> {
        Ok(Self::on(Recorded::open(folder)?, job))
    }

    /// The same, of a folder that is open already.
    pub fn on(recorded: Recorded, job: Arc<Job>) -> Self {
        Self {
            session: recorded.folder.id().to_owned(),
            pages: Arc::new(recorded),
            expand: Arc::new(move |item| commands::of_item(&job, item).map_err(|error| error.to_string())),
        }
    }
}

impl Pages for Recorded {
    fn event_at(&self, offset: u64) -> Result<Event, Refusal> {
        self.journal.at(offset).map_err(refusal)
    }

    fn events_after(&self, after: Seq, hint: Option<u64>, most: usize) -> Result<Journalled, Refusal> {
        let from = match hint {
            Some(from) => from,
            None => self.journal.after(after).map_err(refusal)?,
        };
        let mut lines = self.journal.iter_from(from);
        let mut events: Vec<Event> = Vec::new();
        for line in lines.by_ref() {
            // An unreadable line shows as a gap in the numbers.
            let Ok(recorded) = line else { continue };
            let last = events.last().map_or(after, |last| last.seq);
            if recorded.event.seq > last {
                events.push(Arc::unwrap_or_clone(recorded.event));
            }
            if events.len() >= most {
                break;
            }
        }
        Ok(Journalled { events, next: lines.end() })
    }

    fn output(&self, asker: &Asker, query: &OutputQuery, places: &Places) -> Result<OutputPage, Refusal> {
        self.output.page_for(asker, query, places).map_err(refusal)
    }

    fn search(&self, asker: &Asker, query: &SearchQuery, places: &Places) -> Result<Searched, Refusal> {
        self.output.search(asker, query, places).map_err(refusal)
    }

    fn marks(&self, at: OutputAt, places: &Places) -> Result<Option<Marks>, Refusal> {
        self.output.marks(at, places).map_err(refusal)
    }

    fn traces(&self, from: Option<u64>, limit: u32) -> Result<TracePage, Refusal> {
        traces::page(&self.folder.engine_log(), from, limit).map_err(refusal)
    }

    fn usage(&self, from: Micros, to: Micros, most: u32) -> Result<Vec<UsagePoint>, Refusal> {
        UsageReader::open(&self.folder).history(from, to, most).map_err(refusal)
    }

    fn info(&self) -> Result<serde_json::Value, Refusal> {
        let session = self.folder.read_session().map_err(refusal)?;
        let mut info = serde_json::to_value(session).map_err(|error| failed(error.to_string()))?;
        if let Some(info) = info.as_object_mut() {
            info.insert("folder".to_owned(), self.folder.path().to_string_lossy().into());
        }
        Ok(info)
    }
}

fn refusal(error: StoreError) -> Refusal {
    match error {
        StoreError::Pattern(bad) => Refusal { kind: RefusalKind::Invalid, message: bad.to_string() },
        error => failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventKind;
    use crate::store::{Journal, SessionFile};
    use proptest::prelude::*;

    fn session(lengths: &[usize]) -> (tempfile::TempDir, Recorded) {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::create(dir.path(), &SessionFile::new(Job::default(), None)).expect("a session");
        let mut journal = Journal::create(&folder.journal()).expect("a journal");
        for length in lengths {
            journal.append(&mut vec![EventKind::Note { text: "{\"seq\":1}".repeat(*length) }]).expect("journalled");
        }
        let recorded = Recorded::open(&folder).expect("opened");
        (dir, recorded)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6))]
        #[test]
        fn events_are_found_wherever_they_stand(
            lengths in proptest::collection::vec(prop_oneof![0usize..100, 5_000usize..30_000], 1..30),
            most in 1usize..10,
        ) {
            let (_dir, recorded) = session(&lengths);
            for after in 0..=lengths.len() as u64 {
                let found = recorded.events_after(Seq(after), None, most).expect("read");
                let wanted: Vec<u64> = (after + 1..=lengths.len() as u64).take(most).collect();
                let got: Vec<u64> = found.events.iter().map(|event| event.seq.0).collect();
                prop_assert_eq!(&got, &wanted);
                if let Some(last) = got.last() {
                    let more = recorded.events_after(Seq(*last), Some(found.next), 1).expect("read");
                    prop_assert_eq!(more.events.first().map(|event| event.seq.0), (*last < lengths.len() as u64).then_some(last + 1));
                }
            }
        }
    }
}
