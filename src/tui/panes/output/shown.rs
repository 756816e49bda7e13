//! Lines of output as they are drawn, made when they are looked at.

use crate::model::proto::{LineAnchor, OutputLine};
use crate::model::{Micros, Pattern, Stream};
use crate::tui::scroll::Lines;
use crate::tui::theme::Theme;
use crate::tui::{ansi, text, time};
use jiff::tz::TimeZone;
use ratatui::text::{Line, Span};
use std::ops::Range;

/// Lines of output that are styled when they are looked at.
pub(in crate::tui) struct Shown<'a> {
    /// As they came.
    pub(super) lines: &'a [OutputLine],
    /// How they look.
    pub(super) theme: Theme,
    /// For their time stamps.
    pub(super) zone: &'a TimeZone,
    /// Whether these are shown.
    pub(super) times: bool,
    /// Whether the stream is marked.
    pub(super) marked: bool,
    /// Whether it is told where lines were left out between those of a context.
    pub(super) ruled: bool,
    /// What is marked in the lines.
    pub(super) pattern: Option<&'a Pattern>,
    /// The line that a search or a jump has come to, or that a selection moves.
    pub(super) current: Option<LineAnchor>,
    /// Which lines are selected.
    pub(super) selected: Option<Range<usize>>,
}

impl Lines for Shown<'_> {
    fn count(&self) -> usize {
        self.lines.len()
    }

    fn margin(&self, at: usize) -> Line<'static> {
        let Some(line) = self.lines.get(at) else { return Line::default() };
        let mut margin = Line::default();
        if self.times {
            margin.push_span(Span::styled(self.stamp(line.wall), self.theme.dim()));
        }
        if self.marked {
            margin.push_span(match line.anchor.stream {
                Stream::Stdout => Span::raw(" "),
                Stream::Stderr => Span::styled("▎", self.theme.bad()),
            });
        }
        if self.marked || self.current.is_some() {
            let here = self.current == Some(line.anchor);
            margin.push_span(if here { Span::styled("›", self.theme.accent()) } else { Span::raw(" ") });
        }
        if self.is_selected(at) {
            margin.spans.iter_mut().for_each(|span| span.style = span.style.patch(self.theme.selected()));
        }
        margin
    }

    fn line(&self, at: usize) -> Line<'static> {
        let Some(line) = self.lines.get(at) else { return Line::default() };
        let theme = self.theme;
        let base = if line.context || line.lost { theme.dim() } else { theme.text() };
        let mark = if self.current == Some(line.anchor) { theme.current_match() } else { theme.matched() };
        let places = self.pattern.into_iter().flat_map(|pattern| pattern.places(line.text.as_bytes()));
        let mut styled = ansi::marked(&line.text, base, theme.colour, places, mark);
        if line.cut {
            let rest = line.length.saturating_sub(line.text.len() as u64);
            styled.push_span(Span::styled(format!(" … +{}", text::bytes(rest)), theme.dim()));
        } else if line.open {
            styled.push_span(Span::styled(" ⋯", theme.dim()));
        }
        if self.is_selected(at) {
            styled.spans.iter_mut().for_each(|span| span.style = span.style.patch(theme.selected()));
            styled.style = theme.selected();
        }
        styled
    }

    fn rule(&self, at: usize) -> Option<Span<'static>> {
        let gap = self.ruled && self.lines.get(at).is_some_and(|line| line.gap);
        gap.then(|| Span::styled("┄", self.theme.dim()))
    }
}

impl Shown<'_> {
    fn stamp(&self, wall: Micros) -> String {
        format!("{} ", time::clock_millis(wall, self.zone))
    }

    fn is_selected(&self, at: usize) -> bool {
        self.selected.as_ref().is_some_and(|selected| selected.contains(&at))
    }
}
