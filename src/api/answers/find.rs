//! The next row that contains a text. Rows are copied in slices, so that a long list keeps the actor only for moments;
//! names and texts are compared off its thread.

use super::{Session, commands, off_thread, place};
use crate::model::proto::{List, Refusal, Response};
use crate::model::{CommandId, CommandRow, EventKind, ItemIndex, ItemRow, ItemStatus, State};
use crate::session::Inspect;
use std::ops::Range;
use std::sync::Arc;

/// How many rows one look copies.
pub(super) const SLICE: usize = 20_000;

/// What a row contains the text, ignoring case.
#[derive(Debug)]
struct Needle(String);

impl Needle {
    fn is_in(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.0)
    }
}

pub(super) async fn find(
    session: &Session,
    list: List,
    text: &str,
    from: u32,
    forward: bool,
) -> Result<Response, Refusal> {
    let needle = Arc::new(Needle(text.to_lowercase()));
    let total = session.handle.look(move |inspect| length(inspect.state(), list)).await?;
    let mut at = from as usize;
    while let Some(slice) = slice(at, total, forward) {
        let found = match list {
            List::Agenda => in_agenda(session, slice.clone(), forward, needle.clone()).await?,
            List::Commands => in_commands(session, slice.clone(), forward, needle.clone()).await?,
            List::Exceptions => in_exceptions(session, slice.clone(), forward, needle.clone()).await?,
        };
        if let Some(row) = found {
            return Ok(Response::Found { row: Some(place(row)) });
        }
        if !forward && slice.start == 0 {
            break;
        }
        at = if forward { slice.end } else { slice.start - 1 };
    }
    Ok(Response::Found { row: None })
}

fn length(state: &State, list: List) -> usize {
    match list {
        List::Agenda => state.items.len(),
        List::Commands => state.commands.len(),
        List::Exceptions => state.exceptions.len(),
    }
}

/// The rows to look at next, from `at` on in either direction, itself included; `None` past the end.
fn slice(at: usize, total: usize, forward: bool) -> Option<Range<usize>> {
    if total == 0 || (forward && at >= total) {
        return None;
    }
    if forward {
        return Some(at..(at + SLICE).min(total));
    }
    let end = at.min(total - 1) + 1;
    Some(end.saturating_sub(SLICE)..end)
}

/// The first row of a slice, seen from where the search comes, for which `matches` says so.
fn first<T>(
    start: usize,
    rows: Vec<T>,
    forward: bool,
    mut matches: impl FnMut(usize, T) -> Result<bool, Refusal>,
) -> Result<Option<usize>, Refusal> {
    let mut places: Vec<(usize, T)> = (start..).zip(rows).collect();
    if !forward {
        places.reverse();
    }
    for (at, row) in places {
        if matches(at, row)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

async fn in_agenda(
    session: &Session,
    slice: Range<usize>,
    forward: bool,
    needle: Arc<Needle>,
) -> Result<Option<usize>, Refusal> {
    let start = slice.start;
    let look = move |inspect: &dyn Inspect| {
        let state = inspect.state();
        (state.items.range(slice).collect(), state.added.clone())
    };
    let (rows, added): (Vec<ItemRow>, _) = session.handle.look(look).await?;
    let (pages, handle) = (session.sources.pages.clone(), session.handle.clone());
    off_thread(move || {
        first(start, rows, forward, |at, row| {
            let name = added.name(handle.job(), ItemIndex(place(at))).map(std::borrow::Cow::into_owned);
            if needle.is_in(row.status.word()) || name.is_some_and(|name| needle.is_in(&name)) {
                return Ok(true);
            }
            if row.ended_at == 0 || row.status == ItemStatus::Complete {
                return Ok(false);
            }
            let EventKind::ItemEnded { reason, .. } = pages.event_at(row.ended_at)?.kind else { return Ok(false) };
            Ok(reason.is_some_and(|reason| needle.is_in(&reason)))
        })
    })
    .await
}

async fn in_commands(
    session: &Session,
    slice: Range<usize>,
    forward: bool,
    needle: Arc<Needle>,
) -> Result<Option<usize>, Refusal> {
    let start = slice.start;
    let rows: Vec<CommandRow> =
        session.handle.look(move |inspect| inspect.state().commands.range(slice).collect()).await?;
    let pages = session.sources.pages.clone();
    off_thread(move || {
        first(start, rows, forward, |at, row| {
            let (source, _) = commands::source(&*pages, CommandId(at as u64 + 1), &row)?;
            Ok(needle.is_in(&source))
        })
    })
    .await
}

async fn in_exceptions(
    session: &Session,
    slice: Range<usize>,
    forward: bool,
    needle: Arc<Needle>,
) -> Result<Option<usize>, Refusal> {
    let start = slice.start;
    let groups = session.handle.look(move |inspect| inspect.state().exceptions.get(slice).map(<[_]>::to_vec)).await?;
    first(start, groups.unwrap_or_default(), forward, |_, group| {
        Ok([&group.kind, &group.message, &group.file, &group.function].into_iter().any(|text| needle.is_in(text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slices_cover_every_row_once(total in 0usize..100_000, from in 0usize..120_000, forward: bool) {
            let (mut at, mut seen) = (from, 0);
            while let Some(slice) = slice(at, total, forward) {
                prop_assert!(!slice.is_empty() && slice.len() <= SLICE && slice.end <= total);
                seen += slice.len();
                if !forward && slice.start == 0 {
                    break;
                }
                at = if forward { slice.end } else { slice.start - 1 };
            }
            let wanted = if forward { total.saturating_sub(from) } else { (from + 1).min(total) };
            prop_assert_eq!(seen, wanted);
        }
    }

    #[test]
    fn the_nearest_row_is_found_first() {
        let rows = || vec!["a", "b", "a"];
        let is_a = |_, row| Ok(row == "a");
        assert_eq!(first(10, rows(), true, is_a), Ok(Some(10)));
        assert_eq!(first(10, rows(), false, is_a), Ok(Some(12)));
    }
}
