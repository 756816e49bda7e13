//! Pages of output and of the engine's log.

use super::super::pages::{Pages, not_found};
use super::super::server::Shared;
use super::off_thread;
use crate::model::proto::{OutputAt, OutputPage, OutputQuery, PAGE_LIMIT, Refusal, Response};
use crate::model::{CommandId, CommandState, Marks, State};

/// About the most bytes of text that one page holds: its lines may be long.
const PAGE: usize = 4 << 20;
/// Where the slice of a command ends that has not ended.
const OPEN: Marks = Marks { stdout: u64::MAX, stderr: u64::MAX };

/// The slices of the commands that a query names.
type Known = Vec<(CommandId, (Marks, Marks))>;

pub(super) async fn page(shared: &Shared, mut query: OutputQuery) -> Result<Response, Refusal> {
    query.before = query.before.min(PAGE_LIMIT);
    query.after = query.after.min(PAGE_LIMIT - query.before);
    let (query, known) = shared.handle.look(move |inspect| resolve(inspect.state(), query)).await??;
    let pages = shared.sources.pages.clone();
    off_thread(move || read(&*pages, query, &known).map(Response::Output)).await
}

pub(super) async fn traces(shared: &Shared, from: Option<u64>, limit: u32) -> Result<Response, Refusal> {
    let pages = shared.sources.pages.clone();
    off_thread(move || pages.traces(from, limit.min(PAGE_LIMIT)).map(Response::Traces)).await
}

/// Turns an item into its first command, and finds the slices of the commands named.
fn resolve(state: &State, mut query: OutputQuery) -> Result<(OutputQuery, Known), Refusal> {
    if let OutputAt::Item(item) = query.at {
        let row = state.item(item).ok_or_else(|| not_found(format!("there is no item {item}")))?;
        let first = row.first_command.ok_or_else(|| not_found("the item has not run a command yet"))?;
        query.at = OutputAt::Command(first);
    }
    let mut known = Known::new();
    let at = match query.at {
        OutputAt::Command(id) => Some(id),
        _ => None,
    };
    for id in at.into_iter().chain(query.command) {
        known.push((id, slice(state, id)?));
    }
    Ok((query, known))
}

fn slice(state: &State, id: CommandId) -> Result<(Marks, Marks), Refusal> {
    let row = state.command(id).ok_or_else(|| not_found(format!("there is no command {id}")))?;
    match row.state {
        CommandState::Queued | CommandState::Skipped => {
            Err(not_found(format!("command {id} was not sent, so it has no output")))
        }
        CommandState::Sent | CommandState::Started => Ok((row.from, OPEN)),
        CommandState::Finished | CommandState::Raised | CommandState::Lost => Ok((row.from, row.to)),
    }
}

/// Reads fewer lines when they are long.
fn read(pages: &dyn Pages, mut query: OutputQuery, known: &Known) -> Result<OutputPage, Refusal> {
    let slices = |wanted: CommandId| known.iter().find(|(id, _)| *id == wanted).map(|(_, slice)| *slice);
    loop {
        let page = pages.output(&query, &slices)?;
        let size: usize =
            page.lines.iter().map(|line| line.text.len() + line.raw.as_ref().map_or(0, String::len)).sum();
        if size <= PAGE || query.before + query.after <= 1 {
            return Ok(page);
        }
        query.before /= 2;
        query.after /= 2;
        if query.before + query.after == 0 {
            query.after = 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::pages::{Journalled, Slices};
    use crate::model::proto::{LineAnchor, OutputLine, TracePage};
    use crate::model::{Event, Micros, Seq, Stream};

    /// Lines of a megabyte each.
    struct Long;

    impl Pages for Long {
        fn event_at(&self, _: u64) -> Result<Event, Refusal> {
            Err(not_found("none"))
        }
        fn events_after(&self, _: Seq, _: Option<u64>, _: usize) -> Result<Journalled, Refusal> {
            Ok(Journalled::default())
        }
        fn output(&self, query: &OutputQuery, _: Slices<'_>) -> Result<OutputPage, Refusal> {
            let line = |offset| OutputLine {
                anchor: LineAnchor { stream: Stream::Stdout, offset },
                number: None,
                wall: Micros(0),
                command: None,
                text: "x".repeat(1 << 20),
                raw: None,
                length: 1 << 20,
                cut: false,
                open: false,
            };
            let lines = (0..u64::from(query.before + query.after)).map(line).collect();
            Ok(OutputPage { lines, at_start: false, at_end: false })
        }
        fn traces(&self, _: Option<u64>, _: u32) -> Result<TracePage, Refusal> {
            Ok(TracePage::default())
        }
        fn info(&self) -> Result<serde_json::Value, Refusal> {
            Ok(serde_json::Value::Null)
        }
    }

    #[test]
    fn a_page_of_long_lines_is_shorter() {
        let query = OutputQuery { stream: None, at: OutputAt::End, before: 30, after: 0, command: None, raw: false };
        let page = read(&Long, query, &Known::new()).expect("a page");
        assert!((1..=4).contains(&page.lines.len()), "{} lines", page.lines.len());
    }
}
