//! What a session's files say about it: the newest sound checkpoint, and the fold of what was journalled after it.
//!
//! What must stay true: nothing is written; whatever the files hold, as much of the session is given as they soundly
//! tell, with a sentence for each thing that is missing; no event is folded twice.

use super::checkpoint::{self, Changed, Checkpointer, Position};
use super::error::StoreError;
use super::folder::Folder;
use super::journal::Recorded;
use super::journal_reader::{JournalReader, LineError};
use crate::model::{Seq, State};

/// How many sentences are kept; what comes after is only counted.
const NOTES: usize = 20;
/// No session comes near this number; a damaged line that claims it must not leave none for the next event.
const LAST: Seq = Seq(1 << 62);

/// A session as its files tell it.
#[derive(Debug)]
pub struct Recovered {
    /// The fold.
    pub state: State,
    /// Byte offset in the journal after its last whole line.
    pub end: u64,
    /// The last event's number.
    pub last: Seq,
    /// What is missing or was not used, one sentence each; empty for a session in order.
    pub notes: Vec<String>,
    position: Position,
    changed: Changed,
}

impl Recovered {
    /// What a journal tells that cannot be opened; `why` is a sentence.
    pub fn nothing(why: String) -> Self {
        Self {
            state: State::default(),
            end: 0,
            last: Seq(0),
            notes: vec![why],
            position: Position::default(),
            changed: Changed::default(),
        }
    }

    /// The checkpoints of the session from here on. Only for the holder of the folder's lock.
    pub fn checkpointer(&self, folder: &Folder) -> Result<Checkpointer, StoreError> {
        Checkpointer::new(folder, self.position, self.changed.clone())
    }
}

/// A fold to go on from.
#[derive(Debug, Default)]
pub struct Base {
    /// The fold.
    pub state: State,
    /// Byte offset in the journal after its last event.
    pub end: u64,
    /// Byte offset of that event's line.
    pub line: u64,
}

/// A fold on file whose rows are not read yet.
#[derive(Debug)]
pub struct BaseFile(checkpoint::Content<State>);

/// The newest fold on file of events that end at or before this byte of the journal.
pub fn base_before(folder: &Folder, journal: &JournalReader, to: u64) -> Option<BaseFile> {
    checkpoint::head_before(folder, journal, to).map(BaseFile)
}

impl BaseFile {
    /// Byte offset in the journal after its last event.
    pub fn end(&self) -> u64 {
        self.0.position.end
    }

    /// Reads its rows; `None` when they are not sound.
    pub fn read(self, folder: &Folder) -> Option<Base> {
        let (state, position) = checkpoint::with_rows(folder, self.0).ok()?;
        Some(Base { state, end: position.end, line: position.line })
    }
}

impl Base {
    /// Folds what soundly follows, as long as it is `wanted`, at most `most` lines of it; whether nothing of it is left.
    pub fn fold(&mut self, journal: &JournalReader, most: usize, wanted: impl Fn(&Recorded) -> bool) -> bool {
        let mut events = journal.iter_from(self.end);
        for _ in 0..most {
            match events.next() {
                Some(Ok(recorded)) if !wanted(&recorded) => return true,
                Some(Ok(recorded)) if follows(self.state.seq, recorded.event.seq) => {
                    self.state.apply(&recorded.event, recorded.at);
                    self.line = recorded.at;
                }
                Some(Ok(_) | Err(LineError::Unreadable { .. })) => {}
                Some(Err(LineError::Torn { .. } | LineError::Io { .. })) | None => return true,
            }
            self.end = events.end();
        }
        false
    }
}

/// Whether an event can be what happened after another.
fn follows(last: Seq, next: Seq) -> bool {
    next > last && next <= LAST
}

impl From<Recovered> for Base {
    fn from(recovered: Recovered) -> Self {
        Self { state: recovered.state, end: recovered.end, line: recovered.position.line }
    }
}

/// Reads a session back. An error means that the journal is there and cannot be opened.
pub fn recover(folder: &Folder) -> Result<Recovered, StoreError> {
    let journal = match JournalReader::open(&folder.journal()) {
        Ok(journal) => journal,
        Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            let why = "The journal (events.jsonl) is missing: nothing is known of what happened.";
            return Ok(Recovered::nothing(why.into()));
        }
        Err(error) => return Err(error),
    };
    let mut recovered = Recovered { notes: Vec::new(), ..Recovered::nothing(String::new()) };
    match checkpoint::read(folder, &journal) {
        Ok(Some((state, position))) => {
            recovered.last = state.seq;
            recovered.end = position.end;
            recovered.state = state;
            recovered.position = position;
        }
        Ok(None) => {}
        Err(why) => {
            recovered.notes.push(format!("The checkpoint was not used ({why}); everything was read from the journal."));
        }
    }
    fold_rest(&journal, &mut recovered);
    Ok(recovered)
}

fn fold_rest(journal: &JournalReader, recovered: &mut Recovered) {
    let mut unsaid = 0u64;
    let mut note = |notes: &mut Vec<String>, text: String| {
        if notes.len() < NOTES { notes.push(text) } else { unsaid += 1 }
    };
    let mut events = journal.iter_from(recovered.end);
    for line in &mut events {
        match line {
            Ok(recorded) if !follows(recovered.last, recorded.event.seq) => {
                let text = format!(
                    "Event {} at byte {} of the journal cannot follow event {} and was left out.",
                    recorded.event.seq, recorded.at, recovered.last
                );
                note(&mut recovered.notes, text);
            }
            Ok(recorded) => {
                let seq = recorded.event.seq;
                if Some(seq.0) != recovered.last.0.checked_add(1) {
                    let text = format!("The journal has no events between {} and {seq}.", recovered.last);
                    note(&mut recovered.notes, text);
                }
                recovered.state.apply(&recorded.event, recorded.at);
                recovered.changed.note(&recorded.event);
                recovered.position.line = recorded.at;
                recovered.last = seq;
            }
            Err(error @ LineError::Torn { .. }) => {
                note(
                    &mut recovered.notes,
                    format!("The journal ends in the middle of an event, which was dropped: {error}."),
                );
            }
            Err(error) => note(&mut recovered.notes, format!("An event of the journal was left out: {error}.")),
        }
    }
    recovered.end = events.end();
    if unsaid > 0 {
        recovered.notes.push(format!("{unsaid} more lines of the journal were left out."));
    }
}
