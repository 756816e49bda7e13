//! Checkpoints: the state as of one event, so that opening a session folds the last few thousand events only.
//!
//! A checkpoint is `state.ckpt` (everything but the rows, replaced as a whole) and the two files of rows up to the
//! lengths that it names. What must stay true: what is taken back is exactly the fold of the journal up to a line
//! that is still in the journal, or else nothing is taken back; the actor only copies what changed and never waits for
//! a file: a thread writes, and while it is busy checkpoints are skipped.

use super::error::{StoreError, failed};
use super::folder::Folder;
use super::journal::Recorded;
use super::journal_reader::JournalReader;
use super::regular;
use super::rows_file::{self, Checksum, Extent, Record};
use super::session_file;
use crate::model::rows::{Row, Rows};
use crate::model::{CommandId, CommandRow, Event, EventKind, ItemIndex, ItemRow, State};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// After so many events the state is check-pointed.
pub const INTERVAL: u64 = 10_000;
/// The longest `state.ckpt` that is read, in bytes.
const LIMIT: u64 = 256 << 20;
/// A changed format, or a fold that does something else with the same events, is another version: rebuilt, not read.
const FORMAT: &str = concat!("childminder checkpoint 1 ", env!("CARGO_PKG_VERSION"));

/// Where a checkpoint stands in the journal and in the files of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Position {
    /// Byte offset after the last event that is in it.
    pub(super) end: u64,
    /// Byte offset of that event's line.
    pub(super) line: u64,
    items: Extent,
    commands: Extent,
}

/// A checkpoint without its rows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Content<S> {
    pub(super) position: Position,
    state: S,
}

/// Rows that changed since a checkpoint, each named at least once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Changed {
    items: Vec<u64>,
    commands: Vec<u64>,
    events: u64,
}

impl Changed {
    /// Takes note of the rows that folding this event changes.
    pub(super) fn note(&mut self, event: &Event) {
        self.events += 1;
        match &event.kind {
            EventKind::CommandQueued { id, item, .. } => {
                self.command(*id);
                if let Some(item) = item {
                    self.item(*item);
                }
            }
            EventKind::CommandSent { id, .. }
            | EventKind::CommandStarted { id }
            | EventKind::CommandEnded { id, .. } => self.command(*id),
            EventKind::ItemStarted { item, .. }
            | EventKind::ItemProgress { item, .. }
            | EventKind::ItemAdded { item, .. }
            | EventKind::ItemReported { item, .. }
            | EventKind::Found { item: Some(item), .. }
            | EventKind::ItemEnded { item, .. }
            | EventKind::ItemChanged { item, .. } => self.item(*item),
            _ => {}
        }
    }

    fn command(&mut self, id: CommandId) {
        // The fold gives command 1 row 0, and takes no notice of a command 0.
        if let Some(row) = id.0.checked_sub(1) {
            remember(&mut self.commands, row);
        }
    }

    fn item(&mut self, item: ItemIndex) {
        remember(&mut self.items, u64::from(item.0));
    }
}

/// Repetitions are thrown out whenever the list has doubled, so that it is bounded by twice the number of rows.
fn remember(rows: &mut Vec<u64>, row: u64) {
    if rows.last() == Some(&row) {
        return;
    }
    if rows.len() == rows.capacity() {
        rows.sort_unstable();
        rows.dedup();
    }
    rows.push(row);
}

/// Takes checkpoints of a running session's state.
#[derive(Debug)]
pub struct Checkpointer {
    changed: Changed,
    position: Position,
    /// `None` only while the last checkpoint is being finished.
    writer: Option<Writer>,
}

#[derive(Debug)]
struct Writer {
    jobs: SyncSender<Box<Job>>,
    results: Receiver<Result<Position, Box<Changed>>>,
    thread: JoinHandle<()>,
    busy: bool,
}

struct Job {
    state: State,
    end: u64,
    line: u64,
    items: Vec<(u64, ItemRow)>,
    commands: Vec<(u64, CommandRow)>,
    /// How many rows each table has.
    totals: (u64, u64),
    /// The rows to be written again if this fails.
    changed: Changed,
}

impl Checkpointer {
    /// For a session as recovery left it (a new one is one without events).
    pub(super) fn new(folder: &Folder, position: Position, changed: Changed) -> Result<Self, StoreError> {
        let files = Files::open(folder, position)?;
        // One job at a time, one answer a job.
        let (jobs, inbox) = sync_channel(1);
        let (outbox, results) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || write_jobs(files, &inbox, &outbox))
            .map_err(failed("write", &folder.state_checkpoint()))?;
        Ok(Self { changed, position, writer: Some(Writer { jobs, results, thread, busy: false }) })
    }

    /// Takes note of an event that was journalled and folded.
    pub fn note(&mut self, recorded: &Recorded) {
        self.changed.note(&recorded.event);
        self.position.line = recorded.at;
    }

    /// Whether it is time for a checkpoint.
    pub fn due(&self) -> bool {
        self.changed.events >= INTERVAL
    }

    /// Gives the state, as of the last event noted, whose line ends at byte `end` of the journal, to the writing thread.
    /// Costs what changed since the last time; does nothing while the thread is busy, and is then still due.
    pub fn write(&mut self, state: &State, end: u64) {
        self.collect(false);
        let Some(writer) = self.writer.as_mut().filter(|writer| !writer.busy) else { return };
        let mut changed = std::mem::take(&mut self.changed);
        let items = gather(&mut changed.items, &state.items);
        let commands = gather(&mut changed.commands, &state.commands);
        let totals = (state.items.len() as u64, state.commands.len() as u64);
        let line = self.position.line;
        let job = Box::new(Job { state: without_rows(state), end, line, items, commands, totals, changed });
        match writer.jobs.try_send(job) {
            Ok(()) => writer.busy = true,
            Err(error) => {
                let (std::sync::mpsc::TrySendError::Full(job) | std::sync::mpsc::TrySendError::Disconnected(job)) =
                    error;
                self.changed = job.changed;
            }
        }
    }

    /// The last checkpoint of a session: waits until it is written.
    pub fn finish(mut self, state: &State, end: u64) {
        self.collect(true);
        self.write(state, end);
        if let Some(Writer { jobs, thread, .. }) = self.writer.take() {
            drop(jobs);
            // A writer that panicked has left the checkpoint before this one.
            let _ = thread.join();
        }
    }

    /// Waits until the writing thread has nothing to do.
    #[cfg(test)]
    pub(super) fn wait(&mut self) {
        self.collect(true);
    }

    /// Learns how the last job went.
    fn collect(&mut self, wait: bool) {
        let Some(writer) = self.writer.as_mut().filter(|writer| writer.busy) else { return };
        let result = if wait { writer.results.recv().ok() } else { writer.results.try_recv().ok() };
        if let Some(result) = result {
            writer.busy = false;
            if let Err(again) = result {
                again.items.iter().for_each(|row| remember(&mut self.changed.items, *row));
                again.commands.iter().for_each(|row| remember(&mut self.changed.commands, *row));
            }
        }
    }
}

fn gather<T: Row>(places: &mut Vec<u64>, rows: &Rows<T>) -> Vec<(u64, T)> {
    places.sort_unstable();
    places.dedup();
    let mut reader = rows.reader();
    let row = |place: &u64| Some((*place, reader.get(usize::try_from(*place).ok()?)?));
    places.iter().filter_map(row).collect()
}

/// A copy of everything that is small. Field by field, so that a new field cannot be forgotten.
fn without_rows(state: &State) -> State {
    State {
        seq: state.seq,
        wall: state.wall,
        name: state.name.clone(),
        backend: state.backend.clone(),
        engine: state.engine,
        phase: state.phase,
        phase_since: state.phase_since,
        held: state.held.clone(),
        stop: state.stop,
        ended: state.ended.clone(),
        child: state.child.clone(),
        generation: state.generation,
        items: Rows::default(),
        counts: state.counts.clone(),
        running_item: state.running_item.clone(),
        retry_at: state.retry_at.clone(),
        lengths: state.lengths.clone(),
        commands: Rows::default(),
        running: state.running,
        queued: state.queued.clone(),
        exceptions: state.exceptions.clone(),
        exceptions_uncounted: state.exceptions_uncounted,
        refused: state.refused,
        lost_output: state.lost_output,
        reached: state.reached,
        said: state.said.clone(),
        paused: state.paused.clone(),
        timeouts: state.timeouts.clone(),
        stops: state.stops.clone(),
        edits: state.edits.clone(),
        diagnoses: state.diagnoses.clone(),
        launched_at: state.launched_at,
        added: state.added.clone(),
        back_end: state.back_end.clone(),
    }
}

/// The three files, as the writing thread has them.
struct Files {
    folder: Folder,
    items: File,
    commands: File,
    position: Position,
}

impl Files {
    fn open(folder: &Folder, position: Position) -> Result<Self, StoreError> {
        let open = |path: &Path, length: u64| {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false).mode(0o600);
            let file = regular::open_with(&mut options, path);
            let file = file.map_err(failed("open", path))?;
            file.set_len(length).map_err(failed("cut", path))?;
            Ok::<_, StoreError>(file)
        };
        Ok(Self {
            items: open(&folder.item_rows(), position.items.length)?,
            commands: open(&folder.command_rows(), position.commands.length)?,
            folder: folder.clone(),
            position,
        })
    }

    /// Rows first, then the small file that makes them count. A failure leaves the checkpoint before this one good.
    fn write(&mut self, job: &Job) -> Result<Position, StoreError> {
        let mut next = Position { end: job.end, line: job.line, ..self.position };
        append(&self.items, &mut next.items, &job.items).map_err(failed("write", &self.folder.item_rows()))?;
        append(&self.commands, &mut next.commands, &job.commands)
            .map_err(failed("write", &self.folder.command_rows()))?;
        (next.items.rows, next.commands.rows) = job.totals;
        let path = self.folder.state_checkpoint();
        let content = Content { position: next, state: &job.state };
        let body = serde_json::to_vec(&content).map_err(|error| failed("write", &path)(error.into()))?;
        let mut checksum = Checksum::default();
        checksum.add(&body);
        let mut text = format!("{FORMAT} {:016x}\n", checksum.value()).into_bytes();
        text.extend_from_slice(&body);
        session_file::replace(&path, &text)?;
        self.position = next;
        Ok(next)
    }
}

fn append<T: Record>(file: &File, extent: &mut Extent, rows: &[(u64, T)]) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(rows.len() * T::SIZE);
    for (place, row) in rows {
        row.put(*place, &mut bytes);
    }
    file.write_all_at(&bytes, extent.length)?;
    extent.length += bytes.len() as u64;
    extent.checksum.add(&bytes);
    Ok(())
}

fn write_jobs(mut files: Files, inbox: &Receiver<Box<Job>>, outbox: &SyncSender<Result<Position, Box<Changed>>>) {
    while let Ok(job) = inbox.recv() {
        let result = files.write(&job).map_err(|error| {
            tracing::warn!(%error, "no checkpoint; the next one will hold what this one should");
            Box::new(job.changed)
        });
        if outbox.send(result).is_err() {
            return;
        }
    }
}

/// The state of a sound checkpoint that stands at the very end of the journal, without its rows.
pub(super) fn read_end(folder: &Folder) -> Option<State> {
    let journal = JournalReader::open(&folder.journal()).ok()?;
    let Content { position, state } = read_small(folder).ok()??;
    (journal.length().ok()? == position.end && fits(&journal, &position, &state)).then_some(state)
}

/// The last checkpoint with its rows. `Ok(None)`: there is none. An error says why the one there cannot be used.
pub(super) fn read(folder: &Folder, journal: &JournalReader) -> Result<Option<(State, Position)>, String> {
    let Some(head) = read_small(folder)? else { return Ok(None) };
    if !fits(journal, &head.position, &head.state) {
        return Err("it does not fit the journal".into());
    }
    with_rows(folder, head).map(Some)
}

/// A checkpoint with its rows. An error says why they cannot be used.
pub(super) fn with_rows(folder: &Folder, head: Content<State>) -> Result<(State, Position), String> {
    let Content { position, mut state } = head;
    let open = |path: &Path| regular::open(path).map_err(|error| format!("{}: {error}", path.display()));
    let named = |name: &str| {
        let name = name.to_owned();
        move |why: String| format!("{name}: {why}")
    };
    state.items = rows_file::read(&open(&folder.item_rows())?, position.items).map_err(named("items.ckpt"))?;
    state.commands =
        rows_file::read(&open(&folder.command_rows())?, position.commands).map_err(named("commands.ckpt"))?;
    Ok((state, position))
}

/// The newest checkpoint that ends at or before this byte of the journal, without its rows.
pub(super) fn head_before(folder: &Folder, journal: &JournalReader, to: u64) -> Option<Content<State>> {
    let head = read_small(folder).ok()??;
    (head.position.end <= to && fits(journal, &head.position, &head.state)).then_some(head)
}

fn read_small(folder: &Folder) -> Result<Option<Content<State>>, String> {
    let file = match regular::open(&folder.state_checkpoint()) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut text = Vec::new();
    file.take(LIMIT).read_to_end(&mut text).map_err(|error| error.to_string())?;
    let end = memchr::memchr(b'\n', &text).ok_or("it is not whole")?;
    let (head, body) = (&text[..end], &text[end + 1..]);
    let mut checksum = Checksum::default();
    checksum.add(body);
    if head != format!("{FORMAT} {:016x}", checksum.value()).as_bytes() {
        let other = !head.starts_with(FORMAT.as_bytes());
        return Err(if other { "another version wrote it" } else { "its checksum is wrong" }.into());
    }
    serde_json::from_slice(body).map(Some).map_err(|error| error.to_string())
}

/// Whether the journal still has, at the place that the checkpoint names, the event that the checkpoint ends with.
fn fits(journal: &JournalReader, position: &Position, state: &State) -> bool {
    journal.byte_before(position.end) == Some(b'\n')
        && journal.at(position.line).is_ok_and(|event| event.seq == state.seq && event.wall == state.wall)
}
