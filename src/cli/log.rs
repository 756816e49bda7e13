//! `log`: the recorded output, from the session's files; no engine is asked.

use super::exit::{Failure, OK, USAGE};
use super::follow::Changes;
use super::out::{Out, complain};
use super::target;
use crate::model::proto::{OutputAt, OutputLine, OutputQuery, PAGE_LIMIT};
use crate::model::{CommandId, Filter, ItemIndex, Marks, State, Stream};
use crate::store::{Folder, OutputReader, Places, Purpose, Resolve, Slice, recover};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes of a log that are copied at once.
const BLOCK: usize = 64 << 10;

/// Print the recorded output of a session, running or ended.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder log
  childminder log shots --item 12
  childminder log --stream stderr --follow
  childminder log shots --stream stdout --raw > stdout.log

Both streams come in the order in which they were read. Lines are made safe for a terminal; --raw prints the child's
bytes as they are.")]
pub(super) struct Args {
    /// Which session: an id, the beginning of one, a job's name, or a folder. Without: the only one that runs, else the
    /// newest.
    #[arg(value_name = "SESSION|FOLDER")]
    session: Option<String>,
    /// Only this stream.
    #[arg(long, value_enum)]
    stream: Option<Which>,
    /// Only what the commands of this item's last attempt printed.
    #[arg(long, value_name = "ITEM")]
    item: Option<String>,
    /// Go on while the session runs.
    #[arg(short, long, conflicts_with = "item")]
    follow: bool,
    /// Bytes as they are, control characters and all.
    #[arg(long)]
    raw: bool,
}

/// A stream by its name.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Which {
    Stdout,
    Stderr,
}

impl From<Which> for Stream {
    fn from(which: Which) -> Self {
        match which {
            Which::Stdout => Self::Stdout,
            Which::Stderr => Self::Stderr,
        }
    }
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let folder = target::folder(args.session.as_deref(), Purpose::Read)?;
    let output = OutputReader::open(&folder);
    for missing in output.missing(Marks::default(), folder.is_running()) {
        complain(missing.trim_end_matches('.'));
    }
    let mut log = Log { output, stream: args.stream.map(Stream::from), raw: args.raw, out: Out::stdout(), last: None };
    match &args.item {
        Some(name) => log.item(&folder, name)?,
        None if args.follow => log.follow(&folder)?,
        None => {
            log.print_rest(true)?;
        }
    }
    log.out.flush()?;
    Ok(OK)
}

fn is_closed(output: BorrowedFd<'_>) -> io::Result<bool> {
    let mut files = [PollFd::new(output, PollFlags::empty())];
    poll(&mut files, PollTimeout::ZERO).map_err(io::Error::from)?;
    Ok(files[0].revents().is_some_and(|happened| happened.intersects(PollFlags::POLLERR | PollFlags::POLLHUP)))
}

struct Log {
    output: OutputReader,
    stream: Option<Stream>,
    raw: bool,
    out: Out,
    /// The last line printed.
    last: Option<OutputLine>,
}

impl Log {
    fn follow(&mut self, folder: &Folder) -> Result<(), Failure> {
        // Watched first, so that nothing can change unseen.
        let changes = Changes::of(folder.path())?;
        loop {
            let running = folder.is_running();
            self.print_rest(!running)?;
            self.out.flush()?;
            if !running {
                return Ok(());
            }
            // Of a pipe whose reader has gone this tells at once, however quiet the session is.
            let stdout = io::stdout();
            changes.wait(stdout.as_fd(), PollFlags::empty(), None)?;
            if is_closed(stdout.as_fd())? {
                return Ok(());
            }
        }
    }

    /// Prints what comes after the last line, to the end as it is now. A line without an end is printed only when there
    /// will be none.
    fn print_rest(&mut self, whole: bool) -> Result<(), Failure> {
        loop {
            let at = self.last.as_ref().map_or(OutputAt::Start, |last| OutputAt::Line(last.anchor));
            let query = OutputQuery {
                stream: self.stream,
                at,
                before: 0,
                after: PAGE_LIMIT,
                command: None,
                filter: Filter::default(),
                raw: false,
            };
            let page = self.output.page(&query, &Places::default())?;
            let known = self.last.as_ref().map(|last| last.anchor);
            let mut printed = false;
            for line in page.lines.into_iter().filter(|line| Some(line.anchor) != known) {
                if line.open && !whole {
                    return Ok(());
                }
                self.line(&line)?;
                self.last = Some(line);
                printed = true;
            }
            if page.at_end || !printed {
                return Ok(());
            }
        }
    }

    /// Prints the slices of an item's last attempt's commands.
    fn item(&mut self, folder: &Folder, name: &str) -> Result<(), Failure> {
        let job = folder.read_session()?.job;
        let item = job.agenda.find(name);
        let item = item.ok_or_else(|| Failure::new(USAGE, format!("there is no item {name} in {}", folder.id())))?;
        let slices = slices_of(&recover(folder)?.state, item);
        if slices.is_empty() {
            return Err(Failure::new(USAGE, format!("item {name} has not run a command yet, so it has no output")));
        }
        let (reader, stream) = (OutputReader::open(folder), self.stream);
        for slice in slices {
            reader.between(slice, stream, |line| self.line(&line))?;
        }
        Ok(())
    }

    fn bytes(&mut self, line: &OutputLine) -> Result<(), Failure> {
        let (mut at, end) = (line.anchor.offset, line.anchor.offset + line.length);
        let mut block = vec![0; usize::try_from(line.length).unwrap_or(BLOCK).min(BLOCK)];
        while at < end {
            let most = usize::try_from(end - at).map_or(block.len(), |left| left.min(block.len()));
            let read = self.output.read_at(line.anchor.stream, at, &mut block[..most])?;
            if read == 0 {
                break;
            }
            self.out.raw(&block[..read])?;
            at += read as u64;
        }
        Ok(())
    }

    fn line(&mut self, line: &OutputLine) -> Result<(), Failure> {
        if self.raw {
            return self.bytes(line);
        }
        self.safe_line(line).map_err(Failure::from)
    }

    fn safe_line(&mut self, line: &OutputLine) -> io::Result<()> {
        if line.cut {
            let more = format!("{} … ({} bytes; --raw has them all)", line.text, line.length);
            return self.out.childs_line(more.as_bytes());
        }
        self.out.childs_line(line.text.as_bytes())
    }
}

/// Where the output of an item's last attempt lies: its own commands' slices, and not what an operator ran in between.
/// Slices without a gap between them are one, so that a line that two commands wrote stays one.
fn slices_of(state: &State, item: ItemIndex) -> Vec<(Marks, Marks)> {
    let Some(first) = state.item(item).and_then(|row| row.first_command) else { return Vec::new() };
    let mut slices: Vec<(Marks, Marks)> = Vec::new();
    for id in (first.0..=state.commands.len() as u64).map(CommandId) {
        match state.command(id).map(|row| row.item) {
            Some(Some(whose)) if whose == item => {}
            // An operator's.
            Some(None) => continue,
            Some(Some(_)) | None => break,
        }
        let Some(Slice { from, to }) = state.slice(id) else { continue };
        let to = to.unwrap_or(Marks { stdout: u64::MAX, stderr: u64::MAX });
        match slices.last_mut() {
            Some(last) if last.1 == from => last.1 = to,
            _ => slices.push((from, to)),
        }
    }
    slices
}
