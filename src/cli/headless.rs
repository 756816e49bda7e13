//! What `--headless` prints: the journal and the child's output, read from the session's files by a thread of its own.
//!
//! What must stay true: the engine knows nothing of the printer. An output that blocks, closes or hangs up stops only
//! the printing; when the session is over the printer goes on for what is left while somebody reads it, and what was not
//! printed is said.

use super::exit::Failure;
use super::follow::Changes;
use super::lines;
use super::out::complain;
use crate::model::proto::OutputLine;
use crate::model::{EventKind, ItemSpec, Job, Marks, Stream};
use crate::store::{
    Folder, JournalReader, OutputReader, Recorded, StoreError, escape_json, plain_safe, recover, regular,
};
use jiff::tz::TimeZone;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, BufWriter, Stdout, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// How long nothing may be taken of what is printed, once the session is over, before the rest is left out.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long the last bytes of a command may be on their way to the log when its end is in the journal.
const ON_THEIR_WAY: Duration = Duration::from_secs(5);
/// How many bytes of the journal are copied at once.
const BLOCK: usize = 64 << 10;

/// A printer at work.
pub(super) struct Printer {
    /// Closing it tells the printer that the session is over.
    over: OwnedFd,
    done: mpsc::Receiver<()>,
    folder: Folder,
    progress: Arc<Progress>,
}

/// How far the printer has come.
#[derive(Default)]
struct Progress {
    /// Writes that the output took.
    writes: AtomicU64,
    /// The last event printed; zero where events are not counted.
    seq: AtomicU64,
}

/// Standard output, with its progress counted.
struct Counted {
    to: Stdout,
    progress: Arc<Progress>,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.progress.writes.fetch_add(1, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Printer {
    /// Begins where the session's files end now.
    pub(super) fn start(folder: &Folder, json: bool) -> Result<Self, Failure> {
        let changes = Changes::of(folder.path())?;
        let (told, over) = nix::unistd::pipe().map_err(io::Error::from)?;
        let (done_tx, done) = mpsc::channel();
        let progress = Arc::<Progress>::default();
        let out = BufWriter::new(Counted { to: io::stdout(), progress: Arc::clone(&progress) });
        let mut follower = if json {
            Follower::Json(Journal { folder: folder.clone(), file: None, at: length(folder), out })
        } else {
            Follower::Text(Box::new(Text::new(folder, out)?))
        };
        std::thread::Builder::new().name("printer".into()).spawn(move || {
            // An output that is gone is nobody's trouble but its reader's.
            let _ = follower.follow(&changes, &told);
            // Nobody waits for it when the time for it is over.
            let _ = done_tx.send(());
        })?;
        Ok(Self { over, done, folder: folder.clone(), progress })
    }

    /// Lets it print what is left, as long as somebody reads it; says so if nobody does.
    pub(super) fn finish(self) {
        drop(self.over);
        loop {
            let before = self.progress.writes.load(Ordering::Relaxed);
            match self.done.recv_timeout(FAREWELL) {
                Err(mpsc::RecvTimeoutError::Timeout) if self.progress.writes.load(Ordering::Relaxed) != before => {}
                Err(mpsc::RecvTimeoutError::Timeout) => return Self::cut_short(&self.folder, &self.progress),
                // All is printed, or nobody can read it any more.
                Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn cut_short(folder: &Folder, progress: &Progress) {
        let id = folder.id();
        let state = recover(folder).map(|recovered| recovered.state).unwrap_or_default();
        let missing = match progress.seq.load(Ordering::Relaxed) {
            0 => "the rest was".to_owned(),
            seq => format!("about {} events were", state.seq.0.saturating_sub(seq)),
        };
        let wait = FAREWELL.as_secs();
        complain(&format!(
            "nobody read standard output for {wait} s: {missing} not printed; `childminder log {id}` has the output"
        ));
        if let Some(ended) = state.ended {
            complain(&format!("session ended, exit code {}: {}", ended.code, ended.reason));
        }
    }
}

fn length(folder: &Folder) -> u64 {
    folder.journal().metadata().map_or(0, |journal| journal.len())
}

/// Follows the files.
enum Follower {
    Json(Journal),
    Text(Box<Text>),
}

impl Follower {
    fn follow(&mut self, changes: &Changes, told: &OwnedFd) -> io::Result<()> {
        loop {
            // Looked at first: what was written before the end is printed after it was seen.
            let over = is_over(told)?;
            let soon = match self {
                Self::Json(journal) => {
                    journal.copy()?;
                    None
                }
                Self::Text(text) => text.print(over)?,
            };
            if over {
                return Ok(());
            }
            changes.wait(told.as_fd(), PollFlags::POLLIN, soon)?;
        }
    }
}

fn is_over(told: &OwnedFd) -> io::Result<bool> {
    Ok(poll(&mut [PollFd::new(told.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO)? > 0)
}

/// The journal as it stands.
struct Journal {
    folder: Folder,
    file: Option<File>,
    at: u64,
    out: BufWriter<Counted>,
}

impl Journal {
    /// Copies what is new, up to the last whole line.
    fn copy(&mut self) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => match regular::open(&self.folder.journal()) {
                Ok(file) => self.file.insert(file),
                // The engine has not begun it yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            },
        };
        let mut line = Vec::new();
        let mut block = vec![0; BLOCK];
        loop {
            let read = file.read_at(&mut block, self.at + line.len() as u64)?;
            if read == 0 {
                return self.out.flush();
            }
            line.extend_from_slice(&block[..read]);
            if let Some(end) = memchr::memrchr(b'\n', &line) {
                self.out.write_all(&escape_json(&line[..=end]))?;
                self.at += end as u64 + 1;
                line.clear();
            }
        }
    }
}

/// Lines for people: events, and the child's output with a prefix, so that no line of the child's can look like ours.
struct Text {
    folder: Folder,
    job: Job,
    zone: TimeZone,
    journal: Option<JournalReader>,
    at: u64,
    output: OutputReader,
    /// The first byte of each stream that was not printed.
    printed: Marks,
    /// Where the last command began or ended: a line ends there, whatever comes after it.
    boundary: Marks,
    out: BufWriter<Counted>,
    waiting: Waiting,
}

/// Whether bytes of a command that has ended are waited for.
#[derive(Debug, Clone, Copy)]
enum Waiting {
    No,
    Since(Instant),
    /// They did not come: a disk that is full takes none. Not waited for again until some do.
    InVain,
}

impl Text {
    fn new(folder: &Folder, out: BufWriter<Counted>) -> Result<Self, Failure> {
        let output = OutputReader::open(folder);
        Ok(Self {
            folder: folder.clone(),
            job: folder.read_session()?.job,
            zone: TimeZone::system(),
            journal: None,
            at: length(folder),
            printed: output.lengths()?,
            boundary: Marks::default(),
            output,
            out,
            waiting: Waiting::No,
        })
    }

    /// Prints what there is; how long to wait at most before the next look.
    fn print(&mut self, over: bool) -> io::Result<Option<Duration>> {
        // Looked at before the events: what is printed after them must not be of a command that began meanwhile.
        let stored = self.output.reached().map_err(io::Error::other)?;
        while let Some((events, end)) = self.next_events() {
            for Recorded { at, event } in events {
                if let EventKind::CommandEnded { to, .. } = &event.kind
                    && let Some(wait) = self.on_their_way(*to, over)?
                {
                    self.at = at;
                    self.out.flush()?;
                    return Ok(Some(wait));
                }
                if let EventKind::CommandSent { from: upto, .. } | EventKind::CommandEnded { to: upto, .. } =
                    &event.kind
                {
                    self.boundary = *upto;
                    self.print_output(*upto, false)?;
                }
                if let EventKind::ItemAdded { name, .. } = &event.kind {
                    self.job.agenda.add(ItemSpec { name: name.clone(), ..ItemSpec::default() });
                }
                if let Some(line) = lines::line(&event, &self.job, &self.zone) {
                    writeln!(self.out, "{line}")?;
                }
                self.out.get_ref().progress.seq.store(event.seq.0, Ordering::Relaxed);
            }
            self.at = end;
        }
        // What did not come in time is still that command's.
        self.print_output(self.boundary, false)?;
        self.print_output(stored, over)?;
        self.out.flush()?;
        Ok(None)
    }

    /// How long to wait at most for the last bytes of a command that has ended, so that they stand before its end.
    fn on_their_way(&mut self, to: Marks, over: bool) -> io::Result<Option<Duration>> {
        let stored = self.output.reached().map_err(io::Error::other)?;
        if over || (stored.stdout >= to.stdout && stored.stderr >= to.stderr) {
            self.waiting = Waiting::No;
            return Ok(None);
        }
        let waited = match self.waiting {
            Waiting::InVain => return Ok(None),
            Waiting::Since(since) => since.elapsed(),
            Waiting::No => {
                self.waiting = Waiting::Since(Instant::now());
                Duration::ZERO
            }
        };
        let left = ON_THEIR_WAY.checked_sub(waited).filter(|left| !left.is_zero());
        if left.is_none() {
            self.waiting = Waiting::InVain;
        }
        Ok(left)
    }

    /// Some of the events that were not printed, and where they end; `None` when there are none.
    fn next_events(&mut self) -> Option<(Vec<Recorded>, u64)> {
        const MOST: usize = 100;
        if self.journal.is_none() {
            // The engine may not have begun it yet.
            self.journal = JournalReader::open(&self.folder.journal()).ok();
        }
        let mut lines = self.journal.as_ref()?.iter_from(self.at);
        let events = lines.by_ref().take(MOST).filter_map(Result::ok).collect();
        let end = lines.end();
        (end != self.at).then_some((events, end))
    }

    /// Prints what was not printed before `upto`. A line without an end is printed when a command began or ended there,
    /// else it has to wait for its end, until the session is over.
    fn print_output(&mut self, upto: Marks, over: bool) -> io::Result<()> {
        let stored = self.output.reached().map_err(io::Error::other)?;
        let is_new = |stream| of(&self.printed, stream) < of(&upto, stream).min(of(&stored, stream));
        if !is_new(Stream::Stdout) && !is_new(Stream::Stderr) {
            return Ok(());
        }
        let Self { output, printed, boundary, out, .. } = self;
        let from = *printed;
        output
            .between((from, upto), None, |line| {
                let stream = line.anchor.stream;
                let end = line.anchor.offset + line.length;
                if line.open && !over && end != of(boundary, stream) {
                    return Ok(());
                }
                *of_mut(printed, stream) = end;
                print_line(out, &line).map_err(Trouble::Print)
            })
            .or_else(|trouble| match trouble {
                Trouble::Print(error) => Err(error),
                // What cannot be read now may be there at the next look.
                Trouble::Read => Ok(()),
            })
    }
}

/// Why some output was not printed.
enum Trouble {
    Read,
    Print(io::Error),
}

impl From<StoreError> for Trouble {
    fn from(_: StoreError) -> Self {
        Self::Read
    }
}

fn print_line(out: &mut impl Write, line: &OutputLine) -> io::Result<()> {
    let prefix = match line.anchor.stream {
        Stream::Stdout => "out| ",
        Stream::Stderr => "err| ",
    };
    let rest = if line.cut { format!(" … ({} bytes)", line.length) } else { String::new() };
    writeln!(out, "{prefix}{}{rest}", plain_safe(line.text.as_bytes()))
}

fn of(marks: &Marks, stream: Stream) -> u64 {
    match stream {
        Stream::Stdout => marks.stdout,
        Stream::Stderr => marks.stderr,
    }
}

fn of_mut(marks: &mut Marks, stream: Stream) -> &mut u64 {
    match stream {
        Stream::Stdout => &mut marks.stdout,
        Stream::Stderr => &mut marks.stderr,
    }
}
