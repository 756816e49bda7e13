//! `agenda`: the list of items, and verbs on it.

mod edit;
mod show;
mod stops;

use super::exit::{Failure, OK, USAGE};
use super::out::{Cell, Out, Table, Tone, length};
use super::target::{self, Way};
use crate::model::proto::{ItemVerb, ItemView, PAGE_LIMIT, Request, Response, Window};
use crate::model::{ItemIndex, ItemStatus, Step};
use crate::store::{Folder, Purpose, clock};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Show a session's agenda, or do something to it.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "childminder agenda [SESSION] [--json]\n       \
                      childminder agenda [SESSION] show ITEM [--json]\n       \
                      childminder agenda [SESSION] hold|release|break\n       \
                      childminder agenda [SESSION] step [ITEM] | step --command\n       \
                      childminder agenda [SESSION] retry|block|unblock|kill|complete ITEM...\n       \
                      childminder agenda [SESSION] edit ITEM [--commands FILE | --reset]\n       \
                      childminder agenda [SESSION] stops [--json]\n       \
                      childminder agenda [SESSION] breakpoint add|remove ITEM|/PATTERN/... | clear\n       \
                      childminder agenda [SESSION] hold-on-failure on|off",
    after_help = "Verbs:
  show      all of an item: its outputs, what was found in its output, values, its commands and their times
  hold      let no further item begin; operator commands still run
  break     the same, and within an item: before the job's next command
  release   let the agenda go on
  step      while it is held, run one item, the next or the named one; with --command only the next command
  retry     put items back to pending, with their attempts counted anew
  block     keep items from being run
  unblock   let blocked items be run
  kill      end items; one that runs is interrupted
  complete  mark items complete though they did not run
  edit      change an item's commands, for this session only: in $VISUAL or $EDITOR, or from a file

Where the agenda stops by itself, for this session only:
  stops             list it
  breakpoint        before an item, or before each command in which a regex matches
  hold-on-failure   when an item has failed, with the child as it is then

Examples:
  childminder agenda
  childminder agenda shots retry 12 13
  childminder agenda hold
  childminder agenda show 12
  childminder agenda show 12 --json | jq -r '.result.files[] | select(.problem) | .path'
  childminder agenda breakpoint add 12 '/render/'
  childminder agenda edit 12 --commands fixed.py
  childminder agenda --json | jq -r '.items[] | select(.status == \"failed\") | .name'

With --json, one object: session, held, counts (items by status) and items, each with item (its place), name, status,
attempt, progress, started (microseconds since 1970), took (microseconds), first_command, again, and warned if its output
warned of something. Of stops: session, on_failure, breakpoints (each with item or command). Of show: session, all that
stands for an item in the list, reason, result, measures, commands (each with source, and ran: id, state, took) and data.
The result has output_paths, files (each with path, bytes, written, format, dimensions and problem, as far as they are
known), progress, errors, found (each with pattern, stream, at: the line's first byte, text, severity), highlights and
values; measures says which values are of time (seconds) or memory (bytes)."
)]
pub(super) struct Args {
    /// A session (an id, the beginning of one, a job's name, or a folder), a verb, and items by name. Without a
    /// session: the only one that runs, else, to look at it, the newest.
    #[arg(value_name = "SESSION|VERB|ITEM")]
    words: Vec<String>,
    /// The session, when its name could be taken for a verb.
    #[arg(short, long)]
    session: Option<String>,
    /// Somebody else's session, by its socket for watchers.
    #[arg(long, value_name = "PATH", conflicts_with = "session")]
    socket: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    how: How,
}

/// What only some verbs take.
#[derive(Debug, Clone, Default, clap::Args)]
struct How {
    /// With step: only the next command of the job.
    #[arg(long)]
    command: bool,
    /// With edit: a file with the commands, a line of `# ---` between two; - reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["reset", "command"])]
    commands: Option<PathBuf>,
    /// With edit: the job's commands again.
    #[arg(long, conflicts_with = "command")]
    reset: bool,
}

/// What is wanted of the agenda.
#[derive(Debug, PartialEq)]
enum Wanted {
    List,
    Stops,
    Show(String),
    Do(Request),
    Change(stops::Change),
    Edit(String, edit::From),
}

/// What stands before the items.
struct Head {
    session: String,
    held: bool,
    counts: BTreeMap<ItemStatus, u32>,
}

/// Runs it; the exit code.
pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let way = args.socket.map(Way::Socket);
    let (session, wanted) = match &way {
        // There is no session to be named before the verb.
        Some(way) => understand(Some(way.words()), args.words, args.how)?,
        None => understand(args.session, args.words, args.how)?,
    };
    let way = |purpose| match way {
        Some(way) => Ok::<_, Failure>(way),
        None => Ok(Way::Session(target::folder(session.as_deref(), purpose)?)),
    };
    let mut out = Out::stdout();
    match wanted {
        Wanted::Show(name) => show::show(&mut out, way(Purpose::Read)?, name, args.json)?,
        Wanted::Stops => stops::show(&mut out, &way(Purpose::Read)?, args.json)?,
        Wanted::List => {
            let listing = Listing::new(&mut out, args.json);
            match way(Purpose::Read)? {
                Way::Session(folder) if !folder.is_running() => recorded(&folder, listing)?,
                way => target::block_on(ask(&way, listing))?,
            }
        }
        wanted => {
            let way = way(Purpose::Write)?;
            match target::block_on(act(&way, wanted))? {
                Response::Done { said } if args.json => out.json(&serde_json::json!({ "done": said }))?,
                Response::Done { said } if !said.is_empty() => out.line(&said)?,
                _ => {}
            }
        }
    }
    out.flush()?;
    Ok(OK)
}

/// Does what changes something; what the engine says.
async fn act(way: &Way, wanted: Wanted) -> Result<Response, Failure> {
    let client = way.connect("agenda", false).await?.0;
    match wanted {
        Wanted::Do(request) => Ok(client.ask(request).await?),
        Wanted::Change(change) => stops::change(&client, change).await,
        Wanted::Edit(name, from) => {
            let answer = edit::edit(&client, name, from).await?;
            Ok(answer.unwrap_or_else(|| Response::Done { said: "nothing was changed".to_owned() }))
        }
        Wanted::List | Wanted::Stops | Wanted::Show(_) => Ok(Response::Done { said: String::new() }),
    }
}

/// Sorts the words: a session may stand before the verb.
fn understand(session: Option<String>, words: Vec<String>, how: How) -> Result<(Option<String>, Wanted), Failure> {
    let mut words = words.into_iter().peekable();
    let session = match words.peek() {
        Some(word) if session.is_none() && verb(word).is_none() => words.next(),
        _ => session,
    };
    let word = words.next();
    let names: Vec<String> = words.collect();
    let usage = |message: String| Failure::new(USAGE, message);
    let verb = match &word {
        None => None,
        Some(word) => match verb(word) {
            Some(verb) => Some(verb),
            None => return Err(usage(format!("{word} is no verb; see childminder agenda --help"))),
        },
    };
    let word = word.unwrap_or_default();
    if how.command && verb != Some(Verb::Step) {
        return Err(usage("--command is for step".to_owned()));
    }
    if (how.commands.is_some() || how.reset) && verb != Some(Verb::Edit) {
        return Err(usage("--commands and --reset are for edit".to_owned()));
    }
    let wanted = match (verb, names.as_slice()) {
        (None, _) => Wanted::List,
        (Some(Verb::Stops), []) => Wanted::Stops,
        (Some(Verb::Whole(request)), []) => Wanted::Do(request),
        (Some(Verb::Stops | Verb::Whole(_)), _) => {
            return Err(usage(format!("{word} is for the whole agenda and takes no items; block keeps items back")));
        }
        (Some(Verb::Items(_) | Verb::Edit | Verb::Show), []) => {
            return Err(usage(format!("{word} what? Name an item")));
        }
        (Some(Verb::Items(verb)), _) => Wanted::Do(Request::Items { verb, names }),
        (Some(Verb::Step), []) => Wanted::Do(Request::Step { step: how.step(), item: None }),
        (Some(Verb::Step), [_]) if how.command => {
            return Err(usage("a command's step takes no item: it is the next command".to_owned()));
        }
        (Some(Verb::Step), [name]) => Wanted::Do(Request::Step { step: Step::Item, item: Some(name.clone()) }),
        (Some(Verb::Edit), [name]) => Wanted::Edit(name.clone(), how.from()),
        (Some(Verb::Show), [name]) => Wanted::Show(name.clone()),
        (Some(Verb::Step | Verb::Edit | Verb::Show), _) => return Err(usage(format!("{word} takes one item"))),
        (Some(Verb::Breakpoint), words) => Wanted::Change(stops::Change::of_breakpoints(words)?),
        (Some(Verb::OnFailure), words) => Wanted::Change(stops::Change::of_failure(words)?),
    };
    Ok((session, wanted))
}

impl How {
    fn step(&self) -> Step {
        if self.command { Step::Command } else { Step::Item }
    }

    fn from(self) -> edit::From {
        match self.commands {
            _ if self.reset => edit::From::Job,
            None => edit::From::Editor,
            Some(path) if path.as_os_str() == "-" => edit::From::Stdin,
            Some(path) => edit::From::File(path),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Verb {
    Whole(Request),
    Items(ItemVerb),
    Step,
    Edit,
    Show,
    Stops,
    Breakpoint,
    OnFailure,
}

fn verb(word: &str) -> Option<Verb> {
    Some(match word {
        "hold" => Verb::Whole(Request::Hold),
        "break" => Verb::Whole(Request::Break),
        "release" => Verb::Whole(Request::Release),
        "step" => Verb::Step,
        "retry" => Verb::Items(ItemVerb::Retry),
        "block" => Verb::Items(ItemVerb::Block),
        "unblock" => Verb::Items(ItemVerb::Unblock),
        "kill" => Verb::Items(ItemVerb::Kill),
        "complete" => Verb::Items(ItemVerb::Complete),
        "edit" => Verb::Edit,
        "show" => Verb::Show,
        "stops" => Verb::Stops,
        "breakpoint" => Verb::Breakpoint,
        "hold-on-failure" => Verb::OnFailure,
        _ => return None,
    })
}

async fn ask(way: &Way, mut listing: Listing<'_>) -> Result<(), Failure> {
    let (client, welcome) = way.connect("agenda", true).await?;
    let Response::Summary(summary) = client.ask(Request::Summary).await? else { return Err(target::odd()) };
    let head = Head { session: welcome.session, held: summary.held.is_some(), counts: summary.counts };
    listing.begin(&head)?;
    let mut known = 0;
    loop {
        let answer = client.ask(Request::Agenda(Window { from: known, limit: PAGE_LIMIT })).await?;
        let Response::Agenda(page) = answer else { return Err(target::odd()) };
        // A window past the end is moved back: those rows are here already.
        let new = page.rows.get(known.saturating_sub(page.from) as usize..).unwrap_or_default();
        listing.items(new)?;
        known += u32::try_from(new.len()).unwrap_or(u32::MAX);
        if known >= page.total || new.is_empty() {
            return listing.end(&head);
        }
    }
}

/// The list of a session that has no engine: from its folder.
fn recorded(folder: &Folder, mut listing: Listing<'_>) -> Result<(), Failure> {
    let job = folder.read_session()?.job;
    let state = target::recovered(folder)?;
    let head = Head { session: folder.id().to_owned(), held: state.held.is_some(), counts: state.counts.clone() };
    listing.begin(&head)?;
    let mut items = (0u32..).map(ItemIndex).zip(state.items.iter()).map(|(item, row)| {
        let name = state.added.name(&job, item).map_or_else(|| item.to_string(), Cow::into_owned);
        ItemView { item, name, row, again: state.retry_at.get(&item).copied(), edited: state.edits.contains_key(&item) }
    });
    loop {
        let page: Vec<ItemView> = items.by_ref().take(PAGE_LIMIT as usize).collect();
        if page.is_empty() {
            return listing.end(&head);
        }
        listing.items(&page)?;
    }
}

/// The list on its way out, page by page: a million items take no more room than some.
struct Listing<'a> {
    out: &'a mut Out,
    /// `None` for JSON.
    table: Option<Table>,
    any: bool,
}

impl<'a> Listing<'a> {
    fn new(out: &'a mut Out, json: bool) -> Self {
        let table = (!json).then(|| Table::new(&["ITEM", "STATUS", ">TRY", ">DONE", ">TIME"]));
        Self { out, table, any: false }
    }

    /// JSON begins with the head, whose object is left open for the items.
    fn begin(&mut self, head: &Head) -> Result<(), Failure> {
        if self.table.is_none() {
            let Head { session, held, counts } = head;
            self.out.raw(b"{\"session\":")?;
            self.out.json_part(session)?;
            self.out.raw(b",\"held\":")?;
            self.out.json_part(held)?;
            self.out.raw(b",\"counts\":")?;
            self.out.json_part(counts)?;
            self.out.raw(b",\"items\":[")?;
        }
        Ok(())
    }

    fn items(&mut self, views: &[ItemView]) -> Result<(), Failure> {
        for view in views {
            if let Some(table) = &mut self.table {
                table.row(row(view));
            } else {
                self.out.raw(if self.any { b"," } else { b"" })?;
                self.out.json_part(view)?;
            }
            self.any = true;
        }
        match &mut self.table {
            Some(table) if self.any => Ok(self.out.table(table)?),
            _ => Ok(()),
        }
    }

    fn end(self, head: &Head) -> Result<(), Failure> {
        match self.table {
            None => self.out.raw(b"]}\n")?,
            Some(_) if !self.any => self.out.line("the agenda is empty")?,
            Some(_) if head.held => {
                self.out.line("the agenda is held; `childminder agenda release` lets it go on")?;
            }
            Some(_) => {}
        }
        Ok(())
    }
}

fn row(view: &ItemView) -> Vec<Cell> {
    let running = view.row.status == ItemStatus::Running;
    let took = match view.row.started {
        Some(started) if running => length(clock::wall().since(started)),
        Some(_) if view.row.took.0 > 0 => length(view.row.took),
        _ => String::new(),
    };
    vec![
        Cell::from(&view.name),
        Cell::new(view.row.status.word(), tone(view.row.status)),
        Cell::from(if view.row.attempt == 0 { String::new() } else { view.row.attempt.to_string() }),
        Cell::from(view.row.progress.map(|done| format!("{:.0}%", done * 100.0)).unwrap_or_default()),
        Cell::from(took),
    ]
}

fn tone(status: ItemStatus) -> Tone {
    match status {
        ItemStatus::Complete => Tone::Good,
        ItemStatus::Failed | ItemStatus::Killed => Tone::Bad,
        ItemStatus::Running | ItemStatus::Retrying | ItemStatus::Waiting => Tone::Busy,
        ItemStatus::Pending | ItemStatus::Blocked => Tone::Quiet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<(Option<String>, Wanted), u8> {
        with(text, How::default())
    }

    fn with(text: &str, how: How) -> Result<(Option<String>, Wanted), u8> {
        understand(None, text.split_whitespace().map(str::to_owned).collect(), how).map_err(|failure| failure.code)
    }

    #[test]
    fn a_session_may_stand_before_the_verb() {
        let retry = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            Wanted::Do(Request::Items { verb: ItemVerb::Retry, names })
        };
        assert_eq!(words(""), Ok((None, Wanted::List)));
        assert_eq!(words("shots"), Ok((Some("shots".into()), Wanted::List)));
        assert_eq!(words("hold"), Ok((None, Wanted::Do(Request::Hold))));
        assert_eq!(words("shots retry 1 2"), Ok((Some("shots".into()), retry(&["1", "2"]))));
        assert_eq!(words("retry hold"), Ok((None, retry(&["hold"]))));
        for wrong in [
            "retry",
            "hold 1",
            "break 1",
            "shots juggle",
            "shots retry",
            "stops 1",
            "edit",
            "edit 1 2",
            "show",
            "show 1 2",
            "step 1 2",
        ] {
            assert_eq!(words(wrong), Err(USAGE), "{wrong}");
        }
        let named =
            understand(Some("hold".into()), vec!["hold".into()], How::default()).map_err(|failure| failure.code);
        assert_eq!(named, Ok((Some("hold".into()), Wanted::Do(Request::Hold))));
    }

    #[test]
    fn steps_edits_and_stops_are_told_apart() {
        let step = |step, item: Option<&str>| Wanted::Do(Request::Step { step, item: item.map(str::to_owned) });
        let only = How { command: true, ..How::default() };
        assert_eq!(words("step"), Ok((None, step(Step::Item, None))));
        assert_eq!(words("shots step 12"), Ok((Some("shots".into()), step(Step::Item, Some("12")))));
        assert_eq!(with("step", only.clone()), Ok((None, step(Step::Command, None))));
        let from = |file: &str| How { commands: Some(file.into()), ..How::default() };
        let edit = |from| Wanted::Edit("12".into(), from);
        assert_eq!(words("edit 12"), Ok((None, edit(edit::From::Editor))));
        assert_eq!(with("edit 12", from("-")), Ok((None, edit(edit::From::Stdin))));
        assert_eq!(with("edit 12", from("a.py")), Ok((None, edit(edit::From::File("a.py".into())))));
        let reset = How { reset: true, ..How::default() };
        assert_eq!(with("edit 12", reset.clone()), Ok((None, edit(edit::From::Job))));
        assert_eq!(words("stops"), Ok((None, Wanted::Stops)));
        assert_eq!(words("shots show 12"), Ok((Some("shots".into()), Wanted::Show("12".into()))));
        let off = Wanted::Change(stops::Change::OnFailure(false));
        assert_eq!(words("shots hold-on-failure off"), Ok((Some("shots".into()), off)));
        assert_eq!(words("breakpoint clear"), Ok((None, Wanted::Change(stops::Change::Clear))));
        for (text, how) in [("step 1", only.clone()), ("hold", only), ("retry 1", reset), ("", from("a.py"))] {
            assert_eq!(with(text, how), Err(USAGE), "{text}");
        }
    }
}
