//! Lines that are selected: from one anchor to another, so that neither new output nor scrolling changes them.

use crate::model::Micros;
use crate::model::proto::{LineAnchor, OutputLine};
use std::ops::Range;

/// A line and when it was read, which orders lines of different streams that are not in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) struct Mark {
    /// The line.
    pub(in crate::tui) anchor: LineAnchor,
    wall: Micros,
}

impl Mark {
    fn is_before(self, other: Self) -> bool {
        if self.anchor.stream == other.anchor.stream {
            self.anchor.offset < other.anchor.offset
        } else {
            self.wall < other.wall
        }
    }
}

impl From<&OutputLine> for Mark {
    fn from(line: &OutputLine) -> Self {
        Self { anchor: line.anchor, wall: line.wall }
    }
}

/// From the line where it was begun to the one where it is now, whichever is the earlier; both are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) struct Selection {
    begun: Mark,
    cursor: Mark,
}

impl Selection {
    /// One line.
    pub(in crate::tui) fn at(line: Mark) -> Self {
        Self { begun: line, cursor: line }
    }

    /// To another line.
    pub(in crate::tui) fn extend(&mut self, to: Mark) {
        self.cursor = to;
    }

    /// The line that moves.
    pub(in crate::tui) fn cursor(&self) -> LineAnchor {
        self.cursor.anchor
    }

    /// The first line and the last.
    pub(in crate::tui) fn ends(&self, lines: &[OutputLine]) -> (Mark, Mark) {
        let place = |mark: Mark| lines.iter().position(|line| line.anchor == mark.anchor);
        let swapped = match (place(self.begun), place(self.cursor)) {
            (Some(begun), Some(cursor)) => cursor < begun,
            _ => self.cursor.is_before(self.begun),
        };
        if swapped { (self.cursor, self.begun) } else { (self.begun, self.cursor) }
    }

    /// How many lines are in it, if both ends are among these.
    pub(in crate::tui) fn count(&self, lines: &[OutputLine]) -> Option<usize> {
        let place = |anchor: LineAnchor| lines.iter().position(|line| line.anchor == anchor);
        let (begun, cursor) = (place(self.begun.anchor)?, place(self.cursor.anchor)?);
        Some(begun.abs_diff(cursor) + 1)
    }

    /// Which of these lines, a part of the output in its order, are in it.
    pub(in crate::tui) fn among(&self, lines: &[OutputLine]) -> Range<usize> {
        let (first, last) = self.ends(lines);
        let place = |mark: Mark| lines.iter().position(|line| line.anchor == mark.anchor);
        let above = |mark: Mark| lines.first().is_some_and(|line| mark.is_before(line.into()));
        let start = place(first).unwrap_or(if above(first) { 0 } else { lines.len() });
        let end = place(last).map_or(if above(last) { 0 } else { lines.len() }, |place| place + 1);
        start..end.max(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Stream;
    use proptest::prelude::*;

    fn lines() -> Vec<OutputLine> {
        let line = |place: u64| OutputLine {
            anchor: LineAnchor {
                stream: if place % 3 == 1 { Stream::Stderr } else { Stream::Stdout },
                offset: place * 10,
            },
            number: None,
            wall: Micros(place * 1000),
            command: None,
            text: String::new(),
            raw: None,
            length: 10,
            cut: false,
            lost: false,
            open: false,
            context: false,
            gap: false,
        };
        (0..60).map(line).collect()
    }

    proptest! {
        #[test]
        fn the_window_does_not_matter(begun in 0usize..60, cursor in 0usize..60, from in 0usize..60, length in 0usize..30) {
            let lines = lines();
            let mut selection = Selection::at((&lines[begun]).into());
            selection.extend((&lines[cursor]).into());
            let window = &lines[from..(from + length).min(60)];
            let selected: Vec<usize> = selection.among(window).map(|place| from + place).collect();
            let wanted = begun.min(cursor)..=begun.max(cursor);
            let expected: Vec<usize> = (from..from + window.len()).filter(|place| wanted.contains(place)).collect();
            prop_assert_eq!(selected, expected);
        }
    }
}
