//! `log`: the recorded output, from the session's files; no engine is asked.

use super::exit::{Failure, OK, USAGE};
use super::follow::Changes;
use super::out::Out;
use super::target;
use crate::model::proto::{OutputAt, OutputLine, OutputQuery, PAGE_LIMIT};
use crate::model::{CommandId, ItemIndex, Marks, State, Stream};
use crate::store::{Folder, OutputReader, Places, Purpose, Resolve, Slice, recover};
use std::io;

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
    /// Only what this item's last attempt printed.
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
    let mut log = Log {
        output: OutputReader::open(&folder),
        stream: args.stream.map(Stream::from),
        raw: args.raw,
        out: Out::stdout(),
        last: None,
    };
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
            changes.wait(None)?;
        }
    }

    /// Prints what comes after the last line, to the end as it is now. A line without an end is printed only when there
    /// will be none.
    fn print_rest(&mut self, whole: bool) -> Result<(), Failure> {
        loop {
            let at = self.last.as_ref().map_or(OutputAt::Start, |last| OutputAt::Line(last.anchor));
            let query =
                OutputQuery { stream: self.stream, at, before: 0, after: PAGE_LIMIT, command: None, raw: false };
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
        let state = recover(folder)?.state;
        let Some(slice) = slice_of(&state, item) else {
            return Err(Failure::new(USAGE, format!("item {name} has not run a command yet, so it has no output")));
        };
        for stream in [Stream::Stdout, Stream::Stderr] {
            if self.stream.is_none_or(|only| only == stream) {
                self.bytes(stream, slice)?;
            }
        }
        Ok(())
    }

    fn bytes(&mut self, stream: Stream, slice: (Marks, Marks)) -> Result<(), Failure> {
        let of = |marks: Marks| match stream {
            Stream::Stdout => marks.stdout,
            Stream::Stderr => marks.stderr,
        };
        let (mut at, end) = (of(slice.0), of(slice.1));
        let mut line = Vec::new();
        let mut block = vec![0; 64 << 10];
        while at < end {
            let most = usize::try_from(end - at).map_or(block.len(), |left| left.min(block.len()));
            let read = self.output.read_at(stream, at, &mut block[..most])?;
            if read == 0 {
                break;
            }
            at += read as u64;
            if self.raw {
                self.out.raw(&block[..read])?;
                continue;
            }
            for piece in block[..read].split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(piece);
                // A line with no end is printed in pieces.
                if line.last() == Some(&b'\n') || line.len() >= block.len() {
                    self.out.childs_line(line.strip_suffix(b"\n").unwrap_or(&line))?;
                    line.clear();
                }
            }
        }
        if !line.is_empty() {
            self.out.childs_line(&line)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &OutputLine) -> Result<(), Failure> {
        if self.raw {
            let end = line.anchor.offset + line.length;
            let at = |offset| match line.anchor.stream {
                Stream::Stdout => Marks { stdout: offset, stderr: 0 },
                Stream::Stderr => Marks { stdout: 0, stderr: offset },
            };
            return self.bytes(line.anchor.stream, (at(line.anchor.offset), at(end)));
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

/// Where the output of an item's last attempt lies: from its first command to the last one that is its own.
fn slice_of(state: &State, item: ItemIndex) -> Option<(Marks, Marks)> {
    let first = state.item(item)?.first_command?;
    let from = state.slice(first)?.from;
    let last = (first.0..=state.commands.len() as u64)
        .map(CommandId)
        .take_while(|id| state.command(*id).is_some_and(|row| row.item == Some(item) || row.item.is_none()))
        .filter(|id| state.command(*id).is_some_and(|row| row.item == Some(item)))
        .filter_map(|id| state.slice(id))
        .last();
    let open = Marks { stdout: u64::MAX, stderr: u64::MAX };
    Some((from, last.and_then(|Slice { to, .. }| to).unwrap_or(open)))
}
