//! `log`: the recorded output, from the session's files; no engine is asked.

mod patterns;
mod print;
mod since;

use super::exit::{FAILED, Failure, OK, USAGE};
use super::out::complain;
use super::target;
use crate::model::proto::{OutputAt, OutputQuery};
use crate::model::search::CONTEXT_LIMIT;
use crate::model::{Case, CommandId, Filter, Grep, Marks, Micros, State, Stream};
use crate::store::{Folder, OutputReader, Resolve, Slice};
use print::Printer;
use std::path::PathBuf;

/// Print the recorded output of a session, running or ended.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  childminder log
  childminder log shots --item 12
  childminder log --stream stderr --follow
  childminder log --grep 'error|warning' --context 2 --since 10m
  childminder log shots --stream stdout --raw > stdout.log
  childminder log shots --patterns my_renderer.toml --dry-run

Both streams come in the order in which they were read. Lines are made safe for a terminal; --raw prints the child's
bytes as they are. With --grep the exit code is 0 if a line was printed because of it, 1 if none was, and 2 if the
pattern is wrong. Patterns are those of Rust's regex crate; colours are not part of what they match.

With --patterns FILE --dry-run nothing is printed of the output: the [patterns.NAME] tables of the file (a recipe and a job
will do) are tried on it, as they would be while a session runs, and it is told what they find, by pattern and by item. The
exit code is 0 if anything was found, 1 if nothing was, and 2 if a pattern is wrong.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Args {
    /// Which session: an id, the beginning of one, a job's name, a folder, or a file that `export` made. Without: the
    /// only one that runs, else the newest.
    #[arg(value_name = "SESSION|FOLDER|FILE")]
    session: Option<String>,
    /// Only this stream.
    #[arg(long, value_enum)]
    stream: Option<Which>,
    /// Only what the commands of this item's last attempt printed.
    #[arg(long, value_name = "ITEM")]
    item: Option<String>,
    /// Only what this command printed.
    #[arg(long, value_name = "NUMBER", conflicts_with = "item")]
    command: Option<u64>,
    /// Only lines in which this regular expression matches.
    #[arg(long, value_name = "PATTERN")]
    grep: Option<String>,
    /// Only lines in which it does not match.
    #[arg(long, requires = "grep")]
    invert: bool,
    /// Whether letters in other case match; smart: they do, unless the pattern has a capital letter.
    #[arg(long, value_enum, value_name = "CASE", requires = "grep", default_value = "smart")]
    case: Letters,
    /// So many lines before and after each match, too; groups of lines are separated by --.
    #[arg(long, value_name = "LINES", requires = "grep", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(..=i64::from(CONTEXT_LIMIT)))]
    context: u32,
    /// Only lines read since then: 10m or 2h (ago), 14:05 (today), or 2026-11-23T14:05:09Z.
    #[arg(long, value_name = "TIME", value_parser = since::parse)]
    since: Option<Micros>,
    /// Only the last so many of them.
    #[arg(short = 'n', long, value_name = "LINES")]
    lines: Option<u64>,
    /// Go on while the session runs.
    #[arg(short, long)]
    follow: bool,
    /// Bytes as they are, control characters and all.
    #[arg(long)]
    raw: bool,
    /// Try the patterns of this file on the output; needs --dry-run.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["stream", "item", "command", "grep", "since", "lines", "follow", "raw"])]
    patterns: Option<PathBuf>,
    /// With --patterns: tell what they would have found. Nothing is changed.
    #[arg(long, requires = "patterns")]
    dry_run: bool,
    /// With --patterns: one JSON object.
    #[arg(long, requires = "patterns")]
    json: bool,
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

/// How letters are compared, by its name.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Letters {
    Smart,
    Sensitive,
    Insensitive,
}

impl From<Letters> for Case {
    fn from(letters: Letters) -> Self {
        match letters {
            Letters::Smart => Self::Smart,
            Letters::Sensitive => Self::Sensitive,
            Letters::Insensitive => Self::Insensitive,
        }
    }
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    if let Some(file) = &args.patterns {
        return patterns::run(args, file);
    }
    let recording = target::recording(args.session.as_deref())?;
    let folder = recording.folder().clone();
    let output = OutputReader::open(&folder);
    for missing in recording.notes().iter().chain(&output.missing(Marks::default(), folder.is_running())) {
        complain(missing.trim_end_matches('.'));
    }
    let query = query(args, &folder)?;
    let slices = slices(args, &folder, &query)?;
    let mut printer = Printer::new(folder, output, query, args.raw);
    match slices {
        Some(slices) if args.is_whole() => printer.slices(slices)?,
        _ => {
            if let Some(lines) = args.lines {
                printer.last(lines)?;
            }
            if args.follow { printer.follow()? } else { printer.rest()? }
        }
    }
    printer.finish()?;
    Ok(if args.grep.is_none() || printer.has_matched() { OK } else { FAILED })
}

impl Args {
    /// Whether nothing but a stream is chosen of what the commands printed: then it is given to the byte.
    fn is_whole(&self) -> bool {
        self.grep.is_none() && self.since.is_none() && self.lines.is_none() && !self.follow
    }
}

/// Which lines are wanted.
fn query(args: &Args, folder: &Folder) -> Result<OutputQuery, Failure> {
    let item = args.item.as_deref().map(|name| {
        let job = folder.read_session()?.job;
        let added = || target::recovered(folder).map(|state| state.added.find(&job, name));
        let item = job.agenda.find(name).map_or_else(added, |item| Ok(Some(item)))?;
        item.ok_or_else(|| Failure::new(USAGE, format!("there is no item {name} in {}", folder.id())))
    });
    let grep = args.grep.clone().map(|pattern| Grep { pattern, case: args.case.into(), invert: args.invert });
    Ok(OutputQuery {
        stream: args.stream.map(Stream::from),
        at: OutputAt::Start,
        before: 0,
        after: 0,
        command: args.command.map(CommandId),
        filter: Filter { item: item.transpose()?, since: args.since, grep, context: args.context },
        raw: false,
    })
}

/// Where the output of the item or of the command lies, if one is named; one that has none is told of, unless it is
/// waited for.
fn slices(args: &Args, folder: &Folder, query: &OutputQuery) -> Result<Option<Vec<Slice>>, Failure> {
    if query.filter.item.is_none() && query.command.is_none() {
        return Ok(None);
    }
    let state = target::recovered(folder)?;
    let found = match (query.filter.item, query.command) {
        (Some(item), _) => state.item_slices(item),
        (None, Some(command)) => command_slice(&state, command, folder)?.into_iter().collect(),
        (None, None) => Vec::new(),
    };
    if found.is_empty() && !args.follow {
        let what = match (&args.item, args.command) {
            (Some(name), _) => format!("item {name} has not run a command yet"),
            (None, command) => format!("command {} was not sent", command.unwrap_or_default()),
        };
        return Err(Failure::new(USAGE, format!("{what}, so it has no output")));
    }
    Ok(Some(found))
}

fn command_slice(state: &State, command: CommandId, folder: &Folder) -> Result<Option<Slice>, Failure> {
    if state.command(command).is_none() {
        return Err(Failure::new(USAGE, format!("there is no command {command} in {}", folder.id())));
    }
    Ok(state.slice(command))
}
