//! A window of a list that lives in the engine: what is seen, and a screen before and after it.

use super::fetch::Fetch;
use crate::model::proto::{PAGE_LIMIT, Page, Window};

/// A list's window, its selection and whether that follows.
#[derive(Debug, Clone)]
pub(in crate::tui) struct ListPane<T> {
    rows: Vec<T>,
    from: u32,
    /// How many rows the whole list has.
    pub(in crate::tui) total: u32,
    /// The first row seen.
    pub(in crate::tui) top: u32,
    /// The selected row.
    pub(in crate::tui) selected: u32,
    /// Whether the selection goes along with what is new.
    pub(in crate::tui) follow: bool,
    fetch: Fetch<Window>,
}

impl<T> ListPane<T> {
    /// An empty one.
    pub(in crate::tui) fn new(follow: bool) -> Self {
        Self { rows: Vec::new(), from: 0, total: 0, top: 0, selected: 0, follow, fetch: Fetch::default() }
    }

    /// The row at a place, if it is in the window.
    pub(in crate::tui) fn row(&self, at: u32) -> Option<&T> {
        self.rows.get(usize::try_from(at.checked_sub(self.from)?).ok()?)
    }

    /// The selected row, if it is in the window.
    pub(in crate::tui) fn selected_row(&self) -> Option<&T> {
        self.row(self.selected)
    }

    /// The engine's list may have changed.
    pub(in crate::tui) fn stir(&mut self) {
        self.fetch.stir();
    }

    /// The window to ask for, if one is needed; one question at a time.
    pub(in crate::tui) fn wanted(&mut self, height: u16) -> Option<Window> {
        if self.fetch.is_asking() || height == 0 {
            return None;
        }
        // The pane may have become lower since the row was selected.
        self.select(self.selected, height);
        let height = u32::from(height);
        let window = Window { from: self.top.saturating_sub(height), limit: (height * 3).min(PAGE_LIMIT) };
        let end = self.from + u32::try_from(self.rows.len()).unwrap_or(0);
        let covered = self.from <= self.top && end >= self.total.min(self.top + height);
        let wanted = if self.is_loaded() && covered { self.fetch.is_stale() } else { self.fetch.is_news(&window) };
        wanted.then(|| self.fetch.ask(window))
    }

    /// Whether an answer has come yet.
    pub(in crate::tui) fn is_loaded(&self) -> bool {
        self.fetch.is_loaded()
    }

    /// The answer came; none when it went wrong.
    pub(in crate::tui) fn take(&mut self, window: Window, page: Option<Page<T>>) {
        self.fetch.answered(&window, page.is_some());
        let Some(page) = page else { return };
        self.from = page.from;
        self.rows = page.rows;
        self.total = page.total;
        self.selected = self.selected.min(self.total.saturating_sub(1));
        self.top = self.top.min(self.total.saturating_sub(1));
    }

    /// The selection moves by so many rows; it does not follow any more.
    pub(in crate::tui) fn step(&mut self, by: i64, height: u16) {
        let last = i64::from(self.total.saturating_sub(1));
        let to = (i64::from(self.selected) + by).clamp(0, last);
        self.follow = false;
        self.select(u32::try_from(to).unwrap_or(0), height);
    }

    /// Selects a row and brings it into sight.
    pub(in crate::tui) fn select(&mut self, row: u32, height: u16) {
        self.selected = row;
        let height = u32::from(height.max(1));
        if self.selected < self.top {
            self.top = self.selected;
        } else if self.selected >= self.top + height {
            self.top = self.selected + 1 - height;
        }
        // The pane may have become higher, or was not shown before: no empty rows while there are others to show.
        self.top = self.top.min(self.total.max(self.selected + 1).saturating_sub(height));
    }

    /// Where it stands: `12/240`, or nothing for an empty list.
    pub(in crate::tui) fn position(&self) -> String {
        if self.total == 0 { String::new() } else { format!("{}/{}", self.selected + 1, self.total) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(window: Window, total: u32) -> Page<u32> {
        let from = window.from.min(total.saturating_sub(window.limit));
        Page { from, total, rows: (from..total.min(from + window.limit)).collect() }
    }

    proptest! {
        #[test]
        fn what_is_seen_gets_loaded_and_nothing_is_asked_twice(
            total in 0u32..500, height in 1u16..40, steps in proptest::collection::vec(-300i64..300, 0..20),
        ) {
            let mut list = ListPane::new(false);
            for step in std::iter::once(0).chain(steps) {
                list.step(step, height);
                let mut asked = 0;
                while let Some(window) = list.wanted(height) {
                    list.take(window, Some(page(window, total)));
                    asked += 1;
                    prop_assert!(asked <= 2);
                }
                prop_assert!(list.selected < total.max(1));
                prop_assert!(list.top == 0 || list.top + u32::from(height) <= total.max(list.selected + 1));
                let end = total.min(list.top + u32::from(height));
                for row in list.top..end {
                    prop_assert_eq!(list.row(row), Some(&row));
                }
            }
        }
    }
}
