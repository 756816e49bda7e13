//! A place in lines of any length: (line, row in line), never a row counted from the top.
//!
//! What must stay true: only the lines that are walked over are parsed and measured, so that the cost is that of one
//! screen and a resize is instant.

use super::text;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;

/// Lines that are made when they are looked at.
pub(super) trait Lines {
    /// How many there are.
    fn count(&self) -> usize;
    /// One of them; an empty one past the end.
    fn line(&self, at: usize) -> Line<'static>;
    /// What stands before its first row, and stays when the line is scrolled sideways.
    fn margin(&self, _at: usize) -> Line<'static> {
        Line::default()
    }
    /// What stands in a row of its own above it, across all columns.
    fn rule(&self, _at: usize) -> Option<Span<'static>> {
        None
    }
}

impl Lines for [Line<'static>] {
    fn count(&self) -> usize {
        self.len()
    }

    fn line(&self, at: usize) -> Line<'static> {
        self.get(at).cloned().unwrap_or_default()
    }
}

/// The first row that is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub(super) struct Place {
    /// Which line.
    pub(super) line: usize,
    /// Which row of the wrapped line.
    pub(super) row: usize,
}

/// How lines are laid into a pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    /// Cells in a row.
    pub(super) width: usize,
    /// Rows.
    pub(super) height: usize,
    /// Whether long lines are wrapped; else they are cut.
    pub(super) wrap: bool,
    /// Whether they are wrapped between words: sentences are, what a program wrote is not.
    pub(super) words: bool,
    /// The first cell seen of lines that are not wrapped.
    pub(super) left: usize,
}

impl View {
    /// Rows that a line takes.
    pub(super) fn rows(self, lines: &(impl Lines + ?Sized), at: usize) -> usize {
        let rows = if self.wrap { self.wrapped(&lines.line(at), self.room(&lines.margin(at))).len() } else { 1 };
        rows + usize::from(lines.rule(at).is_some())
    }

    fn wrapped(self, line: &Line<'static>, room: usize) -> Vec<Line<'static>> {
        if self.words { wrap_words(line, room) } else { wrap(line, room) }
    }

    /// Cells that a margin leaves; one that leaves too little is not shown.
    fn room(self, margin: &Line<'_>) -> usize {
        if margin.width() * 2 > self.width { self.width } else { self.width - margin.width() }
    }

    /// The place `rows` further up, or the first.
    pub(super) fn up(self, lines: &(impl Lines + ?Sized), from: Place, rows: usize) -> Place {
        let (mut place, mut left) = (from, rows);
        while left > place.row {
            let Some(before) = place.line.checked_sub(1) else { return Place::default() };
            left -= place.row + 1;
            place = Place { line: before, row: self.rows(lines, before).saturating_sub(1) };
        }
        place.row -= left;
        place
    }

    /// The place `rows` further down, but none below the one from which the last row is just seen.
    pub(super) fn down(self, lines: &(impl Lines + ?Sized), from: Place, rows: usize) -> Place {
        let last = self.last(lines);
        let (mut place, mut left) = (from, rows);
        while left > 0 && place < last {
            let here = self.rows(lines, place.line).saturating_sub(place.row + 1);
            if left <= here {
                place.row += left;
                break;
            }
            left -= here + 1;
            place = Place { line: place.line + 1, row: 0 };
        }
        place.min(last)
    }

    /// The place from which the last row is just seen.
    pub(super) fn last(self, lines: &(impl Lines + ?Sized)) -> Place {
        let Some(line) = lines.count().checked_sub(1) else { return Place::default() };
        let row = self.rows(lines, line).saturating_sub(1);
        self.up(lines, Place { line, row }, self.height.saturating_sub(1))
    }

    /// The line that stands in a row of what is seen from here; the last one for a row below it.
    pub(super) fn line_at(self, lines: &(impl Lines + ?Sized), from: Place, row: usize) -> Option<usize> {
        let last = lines.count().checked_sub(1)?;
        let (mut line, mut left) = (from.line.min(last), row + from.row);
        while line < last {
            let rows = self.rows(lines, line);
            if left < rows {
                break;
            }
            left -= rows;
            line += 1;
        }
        Some(line)
    }

    /// The rows that are seen.
    pub(super) fn seen(self, lines: &(impl Lines + ?Sized), from: Place) -> Vec<Line<'static>> {
        let mut seen = Vec::with_capacity(self.height);
        let mut skip = from.row;
        for at in from.line..lines.count() {
            if seen.len() >= self.height {
                break;
            }
            let (margin, line) = (lines.margin(at), lines.line(at));
            let room = self.room(&margin);
            if let Some(rule) = lines.rule(at) {
                if skip == 0 {
                    seen.push(Line::from(Span::styled(rule.content.repeat(self.width), rule.style)));
                }
                skip = skip.saturating_sub(1);
            }
            let rows = if self.wrap { self.wrapped(&line, room) } else { vec![cut(&line, self.left, room)] };
            for (row, mut body) in rows.into_iter().enumerate().skip(skip) {
                if room < self.width {
                    let margin =
                        if row == 0 { margin.spans.clone() } else { vec![Span::raw(" ".repeat(margin.width()))] };
                    body.spans.splice(0..0, margin);
                }
                seen.push(body);
            }
            skip = 0;
        }
        seen.truncate(self.height);
        seen
    }
}

/// The line in rows of at most `width` cells; at least one row.
pub(super) fn wrap(line: &Line<'static>, width: usize) -> Vec<Line<'static>> {
    let width = width.max(1);
    if line.width() <= width {
        return vec![line.clone()];
    }
    let empty = Line { style: line.style, ..Line::default() };
    let mut rows = vec![empty.clone()];
    let mut used = 0;
    for span in &line.spans {
        let mut run = String::new();
        for grapheme in span.content.graphemes(true) {
            let cells = text::width(grapheme);
            if used + cells > width && used > 0 {
                push(&mut rows, &mut run, span);
                rows.push(empty.clone());
                used = 0;
            }
            used += cells;
            run.push_str(grapheme);
        }
        push(&mut rows, &mut run, span);
    }
    rows
}

/// The same, broken between words where a row has any.
fn wrap_words(line: &Line<'static>, width: usize) -> Vec<Line<'static>> {
    let width = width.max(1);
    if line.width() <= width {
        return vec![line.clone()];
    }
    let cells: Vec<(&str, &Span<'static>)> =
        line.spans.iter().flat_map(|span| span.content.graphemes(true).map(move |cell| (cell, span))).collect();
    let mut rows = Vec::new();
    let (mut from, mut at, mut used) = (0, 0, 0);
    while at < cells.len() {
        let wide = text::width(cells[at].0);
        if used + wide <= width || at == from {
            used += wide;
            at += 1;
            continue;
        }
        let word = cells[from..at].iter().position(|(cell, _)| *cell != " ").unwrap_or(0);
        let blank = cells[from..=at].iter().rposition(|(cell, _)| *cell == " ").filter(|blank| *blank > word);
        let end = blank.map_or(at, |blank| from + blank);
        rows.push(row(&cells[from..end], line.style));
        // The blank in whose place the row ends is not seen.
        from = end + usize::from(blank.is_some());
        (at, used) = (from, 0);
    }
    rows.push(row(&cells[from..], line.style));
    rows
}

fn row(cells: &[(&str, &Span<'static>)], style: ratatui::style::Style) -> Line<'static> {
    let mut row = Line { style, ..Line::default() };
    for run in cells.chunk_by(|one, other| std::ptr::eq(one.1, other.1)) {
        let text: String = run.iter().map(|(cell, _)| *cell).collect();
        row.spans.extend(run.first().map(|(_, span)| Span::styled(text, span.style)));
    }
    row
}

fn push(rows: &mut [Line<'static>], run: &mut String, span: &Span<'static>) {
    if let Some(row) = rows.last_mut().filter(|_| !run.is_empty()) {
        row.spans.push(Span::styled(std::mem::take(run), span.style));
    }
}

/// The part of the line from cell `left` on that fits into `width` cells; `…` says that more follows.
pub(super) fn cut(line: &Line<'static>, left: usize, width: usize) -> Line<'static> {
    let total = line.width();
    if left == 0 && total <= width {
        return line.clone();
    }
    let more = total > left + width;
    let right = if more { left + width.saturating_sub(1) } else { left + width };
    let mut column = 0;
    let mut part = Line { style: line.style, ..Line::default() };
    for span in &line.spans {
        let mut run = String::new();
        for grapheme in span.content.graphemes(true) {
            let start = column;
            column += text::width(grapheme);
            if start >= left && column <= right {
                run.push_str(grapheme);
            }
        }
        if !run.is_empty() {
            part.spans.push(Span::styled(run, span.style));
        }
    }
    if more && width > 0 {
        part.spans.push(Span::raw("…"));
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(texts: &[String]) -> Vec<Line<'static>> {
        texts.iter().map(|text| Line::from(text.clone())).collect()
    }

    fn plain(line: &Line<'_>) -> String {
        line.spans.iter().map(|span| span.content.as_ref()).collect()
    }

    #[test]
    fn cutting_says_that_more_follows() {
        let line = Line::from("hello world");
        assert_eq!(plain(&cut(&line, 0, 6)), "hello…");
        assert_eq!(plain(&cut(&line, 6, 6)), "world");
    }

    #[test]
    fn sentences_are_broken_between_words() {
        let rows =
            |text: &str, width| wrap_words(&Line::from(text.to_owned()), width).iter().map(plain).collect::<Vec<_>>();
        assert_eq!(rows("if it should have ended", 9), ["if it", "should", "have", "ended"]);
        assert_eq!(rows("a /very/long/path b", 6), ["a", "/very/", "long/p", "ath b"]);
        assert_eq!(rows("    indented", 8), ["    inde", "nted"]);
        assert_eq!(rows("ends here now", 9), ["ends here", "now"]);
    }

    proptest! {
        #[test]
        fn words_are_kept_whatever_the_width(text in "[a-z日 ]{0,80}", width in 2usize..20) {
            let rows = wrap_words(&Line::from(text.clone()), width);
            let solid = |text: &str| text.replace(' ', "");
            prop_assert_eq!(solid(&rows.iter().map(plain).collect::<String>()), solid(&text));
            prop_assert!(rows.iter().all(|row| row.width() <= width));
        }

        #[test]
        fn wrapping_loses_nothing(text in "\\PC{0,80}", width in 1usize..20) {
            let text = super::super::text::one_line(&text).into_owned();
            let rows = wrap(&Line::from(text.clone()), width);
            let together: String = rows.iter().map(plain).collect();
            prop_assert_eq!(together, text);
            // What is wider than a row has one to itself.
            prop_assert!(rows.iter().all(|row| row.width() <= width || plain(row).graphemes(true).count() == 1));
        }

        #[test]
        fn walking_up_and_down_meets_the_same_rows(
            texts in proptest::collection::vec("[a-z]{0,40}", 1..20), width in 1usize..15, height in 1usize..10, steps in 0usize..40,
        ) {
            let lines = lines(&texts);
            let view = View { width, height, wrap: true, words: false, left: 0 };
            let all: Vec<String> = lines.iter().flat_map(|line| wrap(line, width)).map(|row| plain(&row)).collect();
            let place = view.down(lines.as_slice(), Place::default(), steps);
            let first = steps.min(all.len().saturating_sub(height));
            let seen: Vec<String> = view.seen(lines.as_slice(), place).iter().map(plain).collect();
            prop_assert_eq!(&seen[..], &all[first..(first + height).min(all.len())]);
            prop_assert_eq!(view.up(lines.as_slice(), place, first), Place::default());
        }
    }
}
