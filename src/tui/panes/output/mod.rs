//! The child's output: a window of lines around the place that is looked at.
//!
//! The place is the end (follow) or a line's anchor and a row in it, so that neither new output nor a new width moves
//! what is read. A full screen of an anchored place asks for nothing, however much comes. Searches, filters and
//! selections name lines by their anchors too, and the session answers for the lines that are not here.

pub(in crate::tui) mod entry;
pub(in crate::tui) mod filter;
pub(in crate::tui) mod seek;
pub(in crate::tui) mod selection;
mod shown;
pub(in crate::tui) mod transfer;

use super::fetch::Fetch;
use crate::model::proto::{LineAnchor, OutputAt, OutputPage, OutputQuery};
use crate::model::{ItemIndex, Marks, Stream};
use crate::tui::scroll::{Lines as _, Place, View, wrap};
use crate::tui::theme::Theme;
use filter::{Sieve, Wish};
use jiff::tz::TimeZone;
use ratatui::text::Line;
use seek::{Among, Seek, Way};
use selection::{Mark, Selection};
use shown::Shown;
use transfer::Transfer;

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

/// The room of the pane and how things look in it.
#[derive(Debug, Clone, Copy)]
pub(in crate::tui) struct Look<'a> {
    /// Columns and rows.
    pub(in crate::tui) room: (u16, u16),
    /// Styles.
    pub(in crate::tui) theme: Theme,
    /// For time stamps.
    pub(in crate::tui) zone: &'a TimeZone,
}

/// How the pane was before something was typed that changes it at once.
#[derive(Debug, Clone)]
pub(in crate::tui) struct Before {
    at: At,
    left_at: Marks,
    seek: Seek,
    sieve: Sieve,
}

/// The pane.
#[derive(Debug, Clone)]
pub(in crate::tui) struct OutputPane {
    /// One stream, or both.
    pub(in crate::tui) stream: Option<Stream>,
    /// Which lines of it.
    pub(in crate::tui) sieve: Sieve,
    /// A filter that waits to know its item.
    wish: Option<Wish>,
    /// What is searched for.
    pub(in crate::tui) seek: Seek,
    /// What is selected.
    pub(in crate::tui) selection: Option<Selection>,
    /// The line on which a mouse button went down.
    pub(in crate::tui) pressed: Option<Mark>,
    /// Lines on their way into the clipboard or a file.
    pub(in crate::tui) transfer: Option<Transfer>,
    /// How far the streams have come.
    reached: Marks,
    /// How far they had come when the pane stopped following.
    left_at: Marks,
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
            sieve: Sieve::default(),
            wish: None,
            seek: Seek::default(),
            selection: None,
            pressed: None,
            transfer: None,
            reached: Marks::default(),
            left_at: Marks::default(),
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
    /// There may be more output: the streams have come so far.
    pub(in crate::tui) fn stir(&mut self, reached: Marks) {
        self.reached = reached;
        self.fetch.stir();
        self.seek.stir();
    }

    /// How far the streams have come.
    pub(in crate::tui) fn reached(&self) -> Marks {
        self.reached
    }

    /// Bytes that came since the pane stopped following, of the streams that it shows.
    pub(in crate::tui) fn unseen(&self) -> u64 {
        let Self { reached, left_at, .. } = self;
        let stdout = reached.stdout.saturating_sub(left_at.stdout);
        let stderr = reached.stderr.saturating_sub(left_at.stderr);
        match (self.at, self.stream) {
            (At::Follow, _) => 0,
            (_, None) => stdout + stderr,
            (_, Some(Stream::Stdout)) => stdout,
            (_, Some(Stream::Stderr)) => stderr,
        }
    }

    /// How the lines are laid into a room of this size.
    pub(in crate::tui) fn view(&self, width: u16, height: u16) -> View {
        View { width: usize::from(width), height: usize::from(height), wrap: self.wrap, words: false, left: self.left }
    }

    /// The lines as they are drawn.
    pub(in crate::tui) fn lines<'a>(&'a self, theme: Theme, zone: &'a TimeZone) -> Shown<'a> {
        let sought = self.seek.sought().map(seek::Sought::pattern);
        Shown {
            lines: &self.page.lines,
            theme,
            zone,
            times: self.times,
            marked: self.stream.is_none(),
            ruled: self.sieve.filter().context > 0,
            pattern: sought.or(self.sieve.pattern()),
            current: self.selection.map(|selection| selection.cursor()).or(self.seek.current()),
            selected: self.selection.map(|selection| selection.among(&self.page.lines)),
        }
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
            At::Follow | At::Going(OutputAt::End) => (OutputAt::End, height * 2, 0),
            At::Anchored { anchor, .. } => (OutputAt::Line(anchor), height, height * 2),
            // A line that was searched for is seen among those around it.
            At::Going(to @ OutputAt::Line(_)) => (to, height * 2, height * 2),
            At::Going(to) => (to, 0, height * 2),
        };
        let query = OutputQuery {
            stream: self.stream,
            at,
            before,
            after,
            command: None,
            filter: self.sieve.filter().clone(),
            raw: false,
        };
        let needed = match self.at {
            At::Going(_) => true,
            At::Follow => self.fetch.is_news(&query),
            At::Anchored { anchor, .. } => !self.covers(anchor, height as usize) && self.fetch.is_news(&query),
        };
        needed.then(|| self.fetch.ask(query))
    }

    /// Whether a screen can be scrolled in either direction without more lines.
    fn covers(&self, anchor: LineAnchor, height: usize) -> bool {
        let Some(place) = self.page.lines.iter().position(|line| line.anchor == anchor) else { return false };
        let below = self.page.lines.len() - place;
        (self.page.at_start || place >= height) && (self.page.at_end && below >= height || below >= height * 2)
    }

    /// The answer came; none when it went wrong. Whether it says that there is nothing where one wanted to go.
    pub(in crate::tui) fn take(&mut self, query: &OutputQuery, page: Option<OutputPage>, look: Look<'_>) -> bool {
        if !self.fetch.answered(query, page.is_some()) {
            return false;
        }
        let going = matches!(self.at, At::Going(to) if to == query.at);
        let Some(page) = page.filter(|_| query.stream == self.stream && self.sieve.is_of(query)) else {
            self.let_go(going);
            return going;
        };
        if page.partial {
            // The session goes on with it where it stopped.
            self.fetch.stir();
        }
        if going {
            return self.arrive(query.at, page, look);
        }
        // The answer to an old question (a place left meanwhile) would throw away what is seen.
        let still = match (self.at, query.at) {
            (At::Follow, OutputAt::End) => true,
            (At::Anchored { anchor, .. }, _) => page.lines.iter().any(|line| line.anchor == anchor),
            _ => false,
        };
        if still {
            self.page = page;
        }
        false
    }

    /// The lines of the place that one goes to have come. Whether there is nothing.
    fn arrive(&mut self, to: OutputAt, page: OutputPage, look: Look<'_>) -> bool {
        if page.lines.is_empty() && page.partial {
            return false;
        }
        self.page = page;
        if self.selection.is_some() && matches!(to, OutputAt::Start | OutputAt::End) {
            self.extend_to_edge(to == OutputAt::End, look);
            return false;
        }
        let named = match to {
            OutputAt::Line(anchor) => self.page.lines.iter().any(|line| line.anchor == anchor).then_some(anchor),
            _ => None,
        };
        match (named, self.page.lines.first().map(|line| line.anchor), to) {
            (Some(anchor), _, _) => self.show_among(anchor, look),
            // A filter leaves it out: what is nearest is seen.
            (None, Some(_), OutputAt::Line(gone)) => self.show_nearest(gone, look),
            (None, Some(anchor), _) => self.at = At::Anchored { anchor, row: 0 },
            (None, None, _) => self.let_go(true),
        }
        self.page.lines.is_empty()
    }

    /// The selection reaches the first or the last line, which is in the window now.
    fn extend_to_edge(&mut self, end: bool, look: Look<'_>) {
        let place = if end { self.page.lines.len().saturating_sub(1) } else { 0 };
        if let (Some(selection), Some(line)) = (&mut self.selection, self.page.lines.get(place)) {
            selection.extend(line.into());
            self.keep_seen(place, look);
        } else {
            self.follow();
        }
    }

    /// Puts a line that is in the window a third down the pane, or its first match if it is longer than that.
    fn show_among(&mut self, anchor: LineAnchor, look: Look<'_>) {
        let view = self.view(look.room.0, look.room.1);
        let lines = self.lines(look.theme, look.zone);
        let Some(line) = self.page.lines.iter().position(|line| line.anchor == anchor) else { return };
        let place = Place { line, row: self.row_of_match(line, view, &lines) };
        let to = view.up(&lines, place, view.height / 3).min(view.last(&lines));
        if let Some(line) = self.page.lines.get(to.line) {
            let anchor = line.anchor;
            self.let_go_of_end();
            self.at = At::Anchored { anchor, row: to.row };
        }
    }

    /// The row of a wrapped line in which what is searched for first stands.
    fn row_of_match(&self, line: usize, view: View, lines: &Shown<'_>) -> usize {
        let Some(sought) = self.seek.sought().filter(|_| view.wrap) else { return 0 };
        let text = &self.page.lines[line].text;
        let Some(place) = sought.pattern().places(text.as_bytes()).into_iter().next() else { return 0 };
        let before = crate::tui::ansi::plain(&text[..text.floor_char_boundary(place.start)]);
        let room = view.width.saturating_sub(lines.margin(line).width());
        wrap(&Line::from(before), room).len() - 1
    }

    /// Shows the first line of the window that comes after one that is not in it.
    fn show_nearest(&mut self, gone: LineAnchor, look: Look<'_>) {
        let after = |line: &&crate::model::proto::OutputLine| {
            line.anchor.stream == gone.stream && line.anchor.offset >= gone.offset
        };
        match self.page.lines.iter().find(after).map(|line| line.anchor) {
            Some(anchor) => self.show_among(anchor, look),
            None if self.page.at_end => self.follow(),
            None => {
                if let Some(last) = self.page.lines.last().map(|line| line.anchor) {
                    self.show_among(last, look);
                }
            }
        }
    }

    fn let_go(&mut self, going: bool) {
        if going {
            self.follow();
        }
    }

    /// From now on what is new is counted instead of shown.
    fn let_go_of_end(&mut self) {
        if self.at == At::Follow {
            self.left_at = self.reached;
        }
    }

    /// Goes to a place.
    pub(in crate::tui) fn go(&mut self, to: OutputAt) {
        self.let_go_of_end();
        self.at = At::Going(to);
        self.fetch.drop_question();
    }

    /// Goes to a line, unless it is seen already; holds on to what is seen.
    pub(in crate::tui) fn go_to_line(&mut self, anchor: LineAnchor, look: Look<'_>) {
        match self.page.lines.iter().position(|line| line.anchor == anchor) {
            Some(line) if self.seen(look).is_some_and(|(first, last)| (first..=last).contains(&line)) => {
                self.anchor(look);
            }
            _ => self.go(OutputAt::Line(anchor)),
        }
    }

    /// Follows again.
    pub(in crate::tui) fn follow(&mut self) {
        self.at = At::Follow;
        self.fetch.drop_question();
    }

    /// Scrolls by rows: negative is up.
    pub(in crate::tui) fn scroll(&mut self, by: i64, look: Look<'_>) {
        let view = self.view(look.room.0, look.room.1);
        let lines = self.lines(look.theme, look.zone);
        let from = self.place(view, &lines);
        let rows = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
        let to = if by < 0 { view.up(&lines, from, rows) } else { view.down(&lines, from, rows) };
        let at_end = by > 0 && self.page.at_end && to == view.last(&lines);
        let anchor = self.page.lines.get(to.line).map(|line| line.anchor);
        if at_end && self.selection.is_none() {
            self.follow();
        } else if let Some(anchor) = anchor.filter(|_| to != from || self.at != At::Follow) {
            self.let_go_of_end();
            self.at = At::Anchored { anchor, row: to.row };
        }
    }

    /// Holds on to what is seen now.
    pub(in crate::tui) fn anchor(&mut self, look: Look<'_>) {
        let place = self.place(self.view(look.room.0, look.room.1), &self.lines(look.theme, look.zone));
        if let Some(line) = self.page.lines.get(place.line) {
            let anchor = line.anchor;
            self.let_go_of_end();
            self.at = At::Anchored { anchor, row: place.row };
        }
    }

    /// The first and the last line that are seen, by their places in the window.
    pub(in crate::tui) fn seen(&self, look: Look<'_>) -> Option<(usize, usize)> {
        let view = self.view(look.room.0, look.room.1);
        let lines = self.lines(look.theme, look.zone);
        let place = self.place(view, &lines);
        let last = view.line_at(&lines, place, view.height.saturating_sub(1))?;
        Some((place.line.min(last), last))
    }

    /// The line in a row of the pane.
    pub(in crate::tui) fn line_in_row(&self, row: usize, look: Look<'_>) -> Option<usize> {
        let view = self.view(look.room.0, look.room.1);
        let lines = self.lines(look.theme, look.zone);
        view.line_at(&lines, self.place(view, &lines), row)
    }

    /// From where a search goes: from the line it has come to while that is seen, else so that what is seen is found.
    pub(in crate::tui) fn way(&self, forward: bool, look: Look<'_>) -> Way {
        let anchor = |place: usize| self.page.lines.get(place).map(|line| OutputAt::Line(line.anchor));
        let seen = self.seen(look);
        let current = self.seek.current().filter(|current| {
            let place = self.page.lines.iter().position(|line| line.anchor == *current);
            place.zip(seen).is_some_and(|(place, (first, last))| (first..=last).contains(&place))
        });
        let from = match (current, seen, forward) {
            (Some(current), _, _) => Some(OutputAt::Line(current)),
            (None, Some((first, _)), true) => match first.checked_sub(1) {
                Some(before) => anchor(before),
                None if self.page.at_start => None,
                None => anchor(first),
            },
            (None, Some((_, last)), false) => anchor(last + 1),
            (None, None, _) => None,
        };
        Way { from: from.unwrap_or(if forward { OutputAt::Start } else { OutputAt::End }), forward }
    }

    /// Among which lines it is searched.
    pub(in crate::tui) fn among(&self) -> Among {
        Among { stream: self.stream, filter: self.sieve.filter().clone() }
    }

    /// Puts a filter in force, once its item is known; the item's name, if that has to be asked for.
    pub(in crate::tui) fn wish(&mut self, wish: Wish) -> Option<String> {
        if let Some(name) = wish.item() {
            let name = name.to_owned();
            self.wish = Some(wish);
            return Some(name);
        }
        self.sift(wish.sieve(None));
        None
    }

    /// The item of a filter that waited for it is known. Whether it still waited.
    pub(in crate::tui) fn learn_item(&mut self, name: &str, item: Option<ItemIndex>) -> bool {
        let Some(wish) = self.wish.take_if(|wish| wish.item() == Some(name)) else { return false };
        if let Some(item) = item {
            self.sift(wish.sieve(Some(item)));
        }
        true
    }

    /// Puts a filter in force; the place stays as near as it can.
    pub(in crate::tui) fn sift(&mut self, sieve: Sieve) {
        self.wish = None;
        if sieve.filter() == self.sieve.filter() {
            self.sieve = sieve;
            return;
        }
        self.sieve = sieve;
        match self.at {
            At::Anchored { anchor, .. } => self.at = At::Going(OutputAt::Line(anchor)),
            At::Follow | At::Going(_) => {}
        }
        self.other_lines();
    }

    /// What was known and chosen among other lines does not hold any more.
    fn other_lines(&mut self) {
        self.selection = None;
        self.pressed = None;
        self.page = OutputPage::default();
        self.fetch = Fetch::default();
        self.seek.among(self.among());
    }

    /// Selects from the line that a search has come to, or the one nearest to what is new.
    pub(in crate::tui) fn select(&mut self, look: Look<'_>) {
        let Some((first, last)) = self.seen(look) else { return };
        let current = self.seek.current();
        let found = (first..=last).find(|place| self.page.lines.get(*place).map(|line| line.anchor) == current);
        let begin = found.unwrap_or(if self.at == At::Follow { last } else { first });
        self.anchor(look);
        self.selection = self.page.lines.get(begin).map(|line| Selection::at(line.into()));
    }

    /// Moves the selection's end by lines, and the window with it.
    pub(in crate::tui) fn extend(&mut self, by: i64, look: Look<'_>) {
        let Some(selection) = &mut self.selection else { return };
        let cursor = selection.cursor();
        let Some(here) = self.page.lines.iter().position(|line| line.anchor == cursor) else {
            // Scrolled away from: back to it first.
            return self.go(OutputAt::Line(cursor));
        };
        let last = self.page.lines.len().saturating_sub(1);
        let steps = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
        let to = if by < 0 { here.saturating_sub(steps) } else { here.saturating_add(steps).min(last) };
        selection.extend((&self.page.lines[to]).into());
        self.keep_seen(to, look);
    }

    /// A mouse button went down in a row of the pane.
    pub(in crate::tui) fn press(&mut self, row: usize, look: Look<'_>) {
        self.selection = None;
        self.pressed = self.line_in_row(row, look).and_then(|line| self.page.lines.get(line)).map(Into::into);
    }

    /// The mouse is in a row of the pane while its button is down; `by` rows are scrolled first.
    pub(in crate::tui) fn drag(&mut self, row: usize, by: i64, look: Look<'_>) {
        let Some(pressed) = self.pressed else { return };
        self.anchor(look);
        if by != 0 {
            self.scroll(by, look);
        }
        let row = row.min(usize::from(look.room.1.saturating_sub(1)));
        if let Some(line) = self.line_in_row(row, look).and_then(|line| self.page.lines.get(line)) {
            self.selection.get_or_insert(Selection::at(pressed)).extend(line.into());
        }
    }

    /// Scrolls no more than it takes to see a line of the window: all of it, or its beginning.
    fn keep_seen(&mut self, line: usize, look: Look<'_>) {
        let view = self.view(look.room.0, look.room.1);
        let lines = self.lines(look.theme, look.zone);
        let from = self.place(view, &lines);
        let top = Place { line, row: 0 };
        let end = Place { line, row: view.rows(&lines, line).saturating_sub(1) };
        let bottom = view.up(&lines, end, view.height.saturating_sub(1)).min(top);
        let to = from.clamp(bottom, top);
        if let Some(anchor) = self.page.lines.get(to.line).map(|line| line.anchor) {
            self.at = At::Anchored { anchor, row: to.row };
        }
    }

    /// What is to be found again when what is typed is given up.
    pub(in crate::tui) fn before(&self) -> Before {
        Before { at: self.at, left_at: self.left_at, seek: self.seek.clone(), sieve: self.sieve.clone() }
    }

    /// Back to how it was.
    pub(in crate::tui) fn restore(&mut self, before: Before) {
        self.sift(before.sieve);
        self.seek = before.seek;
        self.seek.among(self.among());
        (self.at, self.left_at) = (before.at, before.left_at);
        self.fetch.drop_question();
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
        self.other_lines();
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
