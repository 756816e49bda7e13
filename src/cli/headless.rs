//! What `--headless` prints: the journal and the child's output, read from the session's files by a thread of its own.
//!
//! What must stay true: the engine knows nothing of the printer. An output that blocks, closes or hangs up stops only
//! the printing; when the session is over the printer gets a bounded time for what is left.

use super::exit::Failure;
use super::follow::Changes;
use super::lines;
use crate::model::proto::OutputLine;
use crate::model::{Event, EventKind, Job, Marks, Stream};
use crate::store::{Folder, JournalReader, OutputReader, StoreError, plain_safe};
use jiff::tz::TimeZone;
use std::fs::File;
use std::io::{self, BufWriter, Stdout, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::mpsc;
use std::time::Duration;

/// How long the printer may go on when the session is over.
const FAREWELL: Duration = Duration::from_secs(5);
/// How many bytes of the journal are copied at once.
const BLOCK: usize = 64 << 10;
/// Further than any stream comes.
const EVERYTHING: Marks = Marks { stdout: u64::MAX, stderr: u64::MAX };

/// A printer at work.
pub(super) struct Printer {
    /// Closing it tells the printer that the session is over.
    over: OwnedFd,
    done: mpsc::Receiver<()>,
}

impl Printer {
    /// Begins where the session's files end now.
    pub(super) fn start(folder: &Folder, json: bool) -> Result<Self, Failure> {
        let changes = Changes::of(folder.path())?;
        let (told, over) = nix::unistd::pipe().map_err(io::Error::from)?;
        let (done_tx, done) = mpsc::channel();
        let out = BufWriter::new(io::stdout());
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
        Ok(Self { over, done })
    }

    /// Lets it print what is left, for a bounded time.
    pub(super) fn finish(self) {
        drop(self.over);
        // Either way there is nothing more to do for it.
        let _ = self.done.recv_timeout(FAREWELL);
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
            match self {
                Self::Json(journal) => journal.copy()?,
                Self::Text(text) => text.print(over)?,
            }
            if over {
                return Ok(());
            }
            changes.wait(Some(told.as_fd()))?;
        }
    }
}

fn is_over(told: &OwnedFd) -> io::Result<bool> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    Ok(poll(&mut [PollFd::new(told.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO)? > 0)
}

/// The journal as it stands.
struct Journal {
    folder: Folder,
    file: Option<File>,
    at: u64,
    out: BufWriter<Stdout>,
}

impl Journal {
    /// Copies what is new, up to the last whole line.
    fn copy(&mut self) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => match File::open(self.folder.journal()) {
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
                self.out.write_all(&line[..=end])?;
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
    out: BufWriter<Stdout>,
}

impl Text {
    fn new(folder: &Folder, out: BufWriter<Stdout>) -> Result<Self, Failure> {
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
        })
    }

    fn print(&mut self, over: bool) -> io::Result<()> {
        while let Some(events) = self.next_events() {
            for event in events {
                match &event.kind {
                    EventKind::CommandSent { from: upto, .. } | EventKind::CommandEnded { to: upto, .. } => {
                        self.boundary = *upto;
                        self.print_output(*upto, false)?;
                    }
                    _ => {}
                }
                if let Some(line) = lines::line(&event, &self.job, &self.zone) {
                    writeln!(self.out, "{line}")?;
                }
            }
        }
        // The engine tells of a command's end when some of its last bytes may still be on their way to the log.
        self.print_output(self.boundary, false)?;
        self.print_output(EVERYTHING, over)?;
        self.out.flush()
    }

    /// Some of the events that were not printed; `None` when there are none.
    fn next_events(&mut self) -> Option<Vec<Event>> {
        const MOST: usize = 100;
        if self.journal.is_none() {
            // The engine may not have begun it yet.
            self.journal = JournalReader::open(&self.folder.journal()).ok();
        }
        let mut lines = self.journal.as_ref()?.iter_from(self.at);
        let events: Vec<Event> =
            lines.by_ref().take(MOST).filter_map(Result::ok).map(|recorded| (*recorded.event).clone()).collect();
        let end = lines.end();
        let moved = end != self.at;
        self.at = end;
        moved.then_some(events)
    }

    /// Prints what was not printed before `upto`. A line without an end is printed when it reaches that far, else it has
    /// to wait for its end, until the session is over.
    fn print_output(&mut self, upto: Marks, over: bool) -> io::Result<()> {
        let stored = self.output.lengths().map_err(io::Error::other)?;
        let is_new = |stream| of(&self.printed, stream) < of(&upto, stream).min(of(&stored, stream));
        if !is_new(Stream::Stdout) && !is_new(Stream::Stderr) {
            return Ok(());
        }
        let Self { output, printed, out, .. } = self;
        let from = *printed;
        output
            .between((from, upto), None, |line| {
                let stream = line.anchor.stream;
                let end = line.anchor.offset + line.length;
                if line.open && !over && end != of(&upto, stream) {
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
