//! The child's output: a window of lines around the place that is looked at.
//!
//! The place is the end (follow) or a line's anchor and a row in it, so that neither new output nor a new width moves
//! what is read. A full screen of an anchored place asks for nothing, however much comes.

use super::fetch::Fetch;
use crate::model::proto::{LineAnchor, OutputAt, OutputLine, OutputPage, OutputQuery};
use crate::model::{Filter, Micros, Stream};
use crate::tui::scroll::{Lines, Place, View};
use crate::tui::theme::Theme;
use crate::tui::{ansi, text, time};
use jiff::tz::TimeZone;
use ratatui::text::{Line, Span};

/// Where the pane looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum At {
    /// At what is newest.
    Follow,
    /// At this row of this line, at the top of the pane.
    Anchored {
        /// The line.
        anchor: LineAnchor,
        /// The row of the wrapped line.
        row: usize,
    },
    /// On its way to a place whose lines are not known yet.
    Going(OutputAt),
}

/// The pane.
#[derive(Debug, Clone)]
pub(in crate::tui) struct OutputPane {
    /// One stream, or both.
    pub(in crate::tui) stream: Option<Stream>,
    /// Where it looks.
    pub(in crate::tui) at: At,
    /// Whether long lines are wrapped.
    pub(in crate::tui) wrap: bool,
    /// Whether time stamps are shown.
    pub(in crate::tui) times: bool,
    /// First cell of lines that are not wrapped.
    pub(in crate::tui) left: usize,
    /// The lines known.
    pub(in crate::tui) page: OutputPage,
    /// What is asked for.
    pub(in crate::tui) fetch: Fetch<OutputQuery>,
}

impl Default for OutputPane {
    fn default() -> Self {
        Self {
            stream: None,
            at: At::Follow,
            wrap: true,
            times: false,
            left: 0,
            page: OutputPage::default(),
            fetch: Fetch::default(),
        }
    }
}

impl OutputPane {
    /// There may be more output.
    pub(in crate::tui) fn stir(&mut self) {
        self.fetch.stir();
    }

    /// How the lines are laid into a room of this size.
    pub(in crate::tui) fn view(&self, width: u16, height: u16) -> View {
        View { width: usize::from(width), height: usize::from(height), wrap: self.wrap, left: self.left }
    }

    /// The lines as they are drawn.
    pub(in crate::tui) fn lines<'a>(&'a self, theme: Theme, zone: &'a TimeZone) -> Shown<'a> {
        Shown { lines: &self.page.lines, theme, zone, times: self.times, marked: self.stream.is_none() }
    }

    /// The first row seen.
    pub(in crate::tui) fn place(&self, view: View, lines: &Shown<'_>) -> Place {
        match self.at {
            At::Follow => view.last(lines),
            At::Anchored { anchor, row } => {
                let line = self.page.lines.iter().position(|line| line.anchor == anchor);
                line.map_or_else(|| view.last(lines), |line| Place { line, row })
            }
            At::Going(_) => Place::default(),
        }
    }

    /// The window to ask for, if one is needed; one question at a time.
    pub(in crate::tui) fn wanted(&mut self, height: u16) -> Option<OutputQuery> {
        if self.fetch.is_asking() || height == 0 {
            return None;
        }
        let height = u32::from(height);
        let (at, before, after) = match self.at {
            At::Follow => (OutputAt::End, height * 2, 0),
            At::Anchored { anchor, .. } => (OutputAt::Line(anchor), height, height * 2),
            At::Going(to) => (to, 0, height * 2),
        };
        let query = OutputQuery {
            stream: self.stream,
            at,
            before,
            after,
            command: None,
            filter: Filter::default(),
            raw: false,
        };
        let needed = match self.at {
            At::Going(_) => true,
            At::Follow => self.fetch.is_news(&query),
            At::Anchored { anchor, .. } => !self.covers(anchor, height as usize) && self.fetch.is_news(&query),
        };
        needed.then(|| self.fetch.ask(query))
    }

    fn covers(&self, anchor: LineAnchor, height: usize) -> bool {
        let Some(place) = self.page.lines.iter().position(|line| line.anchor == anchor) else { return false };
        // One line more than is seen, or scrolling on would stop at the end of the page.
        (self.page.at_start || place >= height) && self.page.lines.len() - place > height
    }

    /// The answer came; none when it went wrong. Whether it says that there is nothing where one wanted to go.
    pub(in crate::tui) fn take(&mut self, query: &OutputQuery, page: Option<OutputPage>) -> bool {
        if !self.fetch.answered(query, page.is_some()) {
            return false;
        }
        let going = matches!(self.at, At::Going(to) if to == query.at);
        let Some(page) = page.filter(|_| query.stream == self.stream) else {
            self.let_go(going);
            return going;
        };
        let first = page.lines.first().map(|line| line.anchor);
        if !going {
            // The answer to an old question (a place left meanwhile) would throw away what is seen.
            let still = match (self.at, query.at) {
                (At::Follow, OutputAt::End) => true,
                (At::Anchored { anchor, .. }, _) => page.lines.iter().any(|line| line.anchor == anchor),
                _ => false,
            };
            if still {
                self.page = page;
            }
            return false;
        }
        match first {
            Some(anchor) => {
                self.at = At::Anchored { anchor, row: 0 };
                self.page = page;
            }
            None => self.let_go(true),
        }
        first.is_none()
    }

    fn let_go(&mut self, going: bool) {
        if going {
            self.follow();
        }
    }

    /// Goes to a place.
    pub(in crate::tui) fn go(&mut self, to: OutputAt) {
        self.at = At::Going(to);
        self.fetch.drop_question();
    }

    /// Follows again.
    pub(in crate::tui) fn follow(&mut self) {
        self.at = At::Follow;
        self.fetch.drop_question();
    }

    /// Scrolls by rows: negative is up.
    pub(in crate::tui) fn scroll(&mut self, by: i64, room: (u16, u16), theme: Theme, zone: &TimeZone) {
        let view = self.view(room.0, room.1);
        let lines = self.lines(theme, zone);
        let from = self.place(view, &lines);
        let rows = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
        let to = if by < 0 { view.up(&lines, from, rows) } else { view.down(&lines, from, rows) };
        let at_end = by > 0 && self.page.at_end && to == view.last(&lines);
        let anchor = self.page.lines.get(to.line).map(|line| line.anchor);
        if at_end {
            self.follow();
        } else if let Some(anchor) = anchor.filter(|_| to != from || !matches!(self.at, At::Follow)) {
            self.at = At::Anchored { anchor, row: to.row };
        }
    }

    /// Holds on to what is seen now.
    pub(in crate::tui) fn anchor(&mut self, room: (u16, u16), theme: Theme, zone: &TimeZone) {
        let place = self.place(self.view(room.0, room.1), &self.lines(theme, zone));
        if let Some(line) = self.page.lines.get(place.line) {
            self.at = At::Anchored { anchor: line.anchor, row: place.row };
        }
    }

    /// The next choice of streams, at the same time of the output.
    pub(in crate::tui) fn next_stream(&mut self) {
        self.stream = match self.stream {
            None => Some(Stream::Stdout),
            Some(Stream::Stdout) => Some(Stream::Stderr),
            Some(Stream::Stderr) => None,
        };
        let anchored = match self.at {
            At::Anchored { anchor, .. } => self.page.lines.iter().find(|line| line.anchor == anchor),
            _ => None,
        };
        match anchored.map(|line| (line.anchor, line.wall)) {
            Some((anchor, _)) if self.stream.is_none_or(|stream| stream == anchor.stream) => {}
            Some((_, wall)) => self.go(OutputAt::Time(wall)),
            None => {}
        }
        self.page = OutputPage::default();
        self.fetch = Fetch::default();
    }

    /// The choice of streams, for the title.
    pub(in crate::tui) fn stream_name(&self) -> &'static str {
        match self.stream {
            None => "stdout+stderr",
            Some(Stream::Stdout) => "stdout",
            Some(Stream::Stderr) => "stderr",
        }
    }
}

/// Lines of output that are styled when they are looked at.
pub(in crate::tui) struct Shown<'a> {
    /// As they came.
    pub(in crate::tui) lines: &'a [OutputLine],
    /// How they look.
    pub(in crate::tui) theme: Theme,
    /// For their time stamps.
    pub(in crate::tui) zone: &'a TimeZone,
    /// Whether these are shown.
    pub(in crate::tui) times: bool,
    /// Whether the stream is marked.
    pub(in crate::tui) marked: bool,
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
                Stream::Stdout => Span::raw("  "),
                Stream::Stderr => Span::styled("▎ ", self.theme.bad()),
            });
        }
        margin
    }

    fn line(&self, at: usize) -> Line<'static> {
        let Some(line) = self.lines.get(at) else { return Line::default() };
        let mut styled = ansi::styled(&line.text, self.theme.text(), self.theme.colour);
        if line.cut {
            let rest = line.length.saturating_sub(line.text.len() as u64);
            styled.push_span(Span::styled(format!(" … +{}", text::bytes(rest)), self.theme.dim()));
        } else if line.open {
            styled.push_span(Span::styled(" ⋯", self.theme.dim()));
        }
        styled
    }
}

impl Shown<'_> {
    fn stamp(&self, wall: Micros) -> String {
        format!("{} ", time::clock_millis(wall, self.zone))
    }
}
