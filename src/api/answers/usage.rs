//! What the process tree used over a time, and which items were begun then.

use super::{Session, find::SLICE, off_thread};
use crate::model::proto::{Refusal, Response};
use crate::model::{CommandRow, ItemIndex, Micros, Phase, State, UsageHistory};
use std::ops::Range;

/// The most beginnings of items in one answer.
const ITEMS: usize = 500;

pub(super) async fn history(session: &Session, from: Micros, to: Micros, most: u32) -> Result<Response, Refusal> {
    let (to, items) = session
        .handle
        .look(move |inspect| {
            // Of a recording, nothing after the time that is looked at.
            let to = to.min(inspect.summary().now);
            (to, begun(inspect.state(), from, to))
        })
        .await?;
    let pages = session.sources.pages.clone();
    off_thread(move || Ok(Response::Usage(UsageHistory { points: pages.usage(from, to, most)?, items }))).await
}

/// The beginnings of items from this wall time on, up to that one. An item's commands are queued when it begins, and the
/// commands stand in the order of time: those of that time are found by halving. Items without commands take no time.
fn begun(state: &State, from: Micros, to: Micros) -> Vec<(Micros, ItemIndex)> {
    let mut rows = state.commands.reader();
    let mut first = |after: &dyn Fn(Micros) -> bool| {
        let (mut low, mut high) = (0, state.commands.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let is_after = rows.get(middle).is_some_and(|row| after(row.queued));
            (low, high) = if is_after { (low, middle) } else { (middle + 1, high) };
        }
        low
    };
    let range = first(&|queued| queued >= from)..first(&|queued| queued > to);
    let mut items: Vec<(Micros, ItemIndex)> = Vec::new();
    for place in looked_at(range) {
        let Some(begun) = rows.get(place).as_ref().and_then(beginning) else { continue };
        if items.last() != Some(&begun) {
            items.push(begun);
        }
    }
    thinned(items)
}

/// All places, or of very many some that are evenly spread: a look at the state has to be short.
fn looked_at(range: Range<usize>) -> impl Iterator<Item = usize> {
    let step = if range.len() > SLICE { range.len().div_ceil(ITEMS) } else { 1 };
    range.step_by(step)
}

fn beginning(row: &CommandRow) -> Option<(Micros, ItemIndex)> {
    row.item.filter(|_| row.phase == Phase::Item).map(|item| (row.queued, item))
}

fn thinned(items: Vec<(Micros, ItemIndex)>) -> Vec<(Micros, ItemIndex)> {
    let step = items.len().div_ceil(ITEMS).max(1);
    items.into_iter().step_by(step).collect()
}
