//! Searches of the output: for what matches, which the files tell, and for what the state knows of.

use super::find::SLICE;
use super::{Session, output, sought};
use crate::model::proto::{OutputAt, OutputLine, OutputPage, OutputQuery, Refusal, Response};
use crate::model::{CommandId, CommandState, Filter, ItemIndex, Marks, SearchQuery, Searched, State, Wanted};
use crate::session::Inspect;
use crate::store::{Asker, Slice};

pub(super) async fn search(session: &Session, query: SearchQuery, asker: &Asker) -> Result<Response, Refusal> {
    let searched = match query.wanted {
        Wanted::Match(_) => matching(session, query, asker).await?,
        Wanted::Exception | Wanted::Item => beginning(session, &query, asker).await?,
    };
    Ok(Response::Searched(searched))
}

async fn matching(session: &Session, query: SearchQuery, asker: &Asker) -> Result<Searched, Refusal> {
    let places = output::look_up(session, &query.lines()).await?;
    let (pages, asker) = (session.sources.pages.clone(), asker.clone());
    sought(session, move || pages.search(&asker, &query, &places)).await
}

/// Finds where a command's output begins, of those that are wanted.
async fn beginning(session: &Session, query: &SearchQuery, asker: &Asker) -> Result<Searched, Refusal> {
    let Some(from) = stand(session, query, asker).await? else { return Ok(Searched::default()) };
    let none = Searched { settled: true, complete: true, ..Searched::default() };
    let Stand::At(from) = from else { return Ok(none) };
    let Some(command) = nearest(session, query, from).await? else { return Ok(none) };
    let mut page = lines(session, query, OutputAt::Command(command), (0, 1), asker).await?;
    if page.lines.is_empty() && !page.partial {
        page = lines(session, query, OutputAt::Command(command), (1, 0), asker).await?;
    }
    let line = page.lines.first().map(|line| line.anchor).filter(|line| query.from != OutputAt::Line(*line));
    Ok(Searched { line, settled: line.is_some() || !page.partial, ..none })
}

/// Where a search begins.
enum Stand {
    /// Nothing lies before it.
    Nowhere,
    At(Edge),
}

#[derive(Clone, Copy)]
struct Edge {
    /// Bytes of both streams that were read up to here: it orders all beginnings.
    read: u64,
    /// Whose output it is, if that is not to be found.
    item: Option<ItemIndex>,
}

/// Where the search begins; backwards this is the nearest wanted line, so that what is found begins at it or before.
/// `None`: it is not known yet.
async fn stand(session: &Session, query: &SearchQuery, asker: &Asker) -> Result<Option<Stand>, Refusal> {
    let mut at = query.from;
    if !query.forward {
        let page = lines(session, query, at, (1, 0), asker).await?;
        match page.lines.first() {
            Some(line) => at = OutputAt::Line(line.anchor),
            None if page.partial => return Ok(None),
            None => return Ok(Some(Stand::Nowhere)),
        }
    }
    let asked = OutputQuery { at, ..query.lines() };
    let places = output::look_up(session, &asked).await?;
    let pages = session.sources.pages.clone();
    let marks = super::off_thread(move || pages.marks(at, &places)).await?;
    let Some(Marks { stdout, stderr }) = marks else { return Ok(Some(Stand::Nowhere)) };
    // A line that is named is itself not found.
    let named = query.forward && matches!(at, OutputAt::Line(_));
    let read = stdout.saturating_add(stderr).saturating_add(u64::from(named));
    Ok(Some(Stand::At(Edge { read, item: item_at(session, query.from, asker).await? })))
}

/// Whose output the named line is.
async fn item_at(session: &Session, at: OutputAt, asker: &Asker) -> Result<Option<ItemIndex>, Refusal> {
    let OutputAt::Line(anchor) = at else { return Ok(None) };
    let query = OutputQuery {
        stream: Some(anchor.stream),
        at,
        before: 0,
        after: 1,
        command: None,
        filter: Filter::default(),
        raw: false,
    };
    let page = output::lines(session, query, asker).await?;
    let Some(OutputLine { command: Some(command), .. }) = page.lines.first() else { return Ok(None) };
    let command = *command;
    session.handle.look(move |inspect| inspect.state().command(command).and_then(|row| row.item)).await
}

async fn lines(
    session: &Session,
    query: &SearchQuery,
    at: OutputAt,
    (before, after): (u32, u32),
    asker: &Asker,
) -> Result<OutputPage, Refusal> {
    output::lines(session, OutputQuery { at, before, after, ..query.lines() }, asker).await
}

/// The command whose output begins nearest. All rows are looked at, in slices: commands are sent in another order than
/// they are queued in.
async fn nearest(session: &Session, query: &SearchQuery, from: Edge) -> Result<Option<CommandId>, Refusal> {
    let (items, forward) = (query.wanted == Wanted::Item, query.forward);
    let total = session.handle.look(|inspect| inspect.state().commands.len()).await?;
    let mut nearest = Nearest { items, forward, from, found: None, item: None };
    for first in (0..total).step_by(SLICE) {
        let rows = first..(first + SLICE).min(total);
        let look = move |inspect: &dyn Inspect| {
            nearest.look(inspect.state(), rows);
            nearest
        };
        nearest = session.handle.look(look).await?;
    }
    Ok(nearest.found.map(|(_, command)| command))
}

#[derive(Clone, Copy)]
struct Nearest {
    /// Whether beginnings of items are wanted, or those of commands that raised.
    items: bool,
    forward: bool,
    from: Edge,
    /// The nearest, and what was read before it.
    found: Option<(u64, CommandId)>,
    /// The item of the last row that had one.
    item: Option<ItemIndex>,
}

impl Nearest {
    fn look(&mut self, state: &State, rows: std::ops::Range<usize>) {
        for (place, row) in rows.clone().zip(state.commands.range(rows)) {
            let Some(slice) = Slice::of(&row) else { continue };
            let wanted = if self.items {
                row.item.is_some() && row.item != self.item && row.item != self.from.item
            } else {
                row.state == CommandState::Raised
            };
            self.item = row.item.or(self.item);
            let read = slice.from.stdout.saturating_add(slice.from.stderr);
            let ahead = if self.forward { read >= self.from.read } else { read <= self.from.read };
            let nearer = self.found.is_none_or(|(best, _)| if self.forward { read < best } else { read > best });
            if wanted && ahead && nearer {
                self.found = Some((read, CommandId(place as u64 + 1)));
            }
        }
    }
}
