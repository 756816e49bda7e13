//! What the process tree used: the last minute, from the pulses; and a plot over the session, which is asked for.
//!
//! What must stay true: both are bounded whatever the session's length; while it is seen it asks once a second at most,
//! and more seldom where a second does not show; what is out of sight asks for nothing.

use super::fetch::Fetch;
use crate::model::proto::Request;
use crate::model::{ItemIndex, Micros, UsageHistory, UsagePoint};
use std::collections::{BTreeMap, VecDeque};

/// Points of the last minute.
const RECENT: usize = 60;
/// The time that they stand for.
const MINUTE: Micros = Micros(60_000_000);
/// Names that are remembered.
const NAMES: usize = 64;
/// Between two questions, at least and at most.
const EVERY: (u64, u64) = (1_000_000, 30_000_000);
/// A point tells of so much time around it, where points are a second apart.
const REACH: u64 = 2_500_000;

/// How much time the plot shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Span {
    /// The last five minutes.
    Minutes,
    /// The last hour.
    Hour,
    /// All of the session.
    All,
}

impl Span {
    /// Its length; all has none.
    fn length(self) -> Option<Micros> {
        match self {
            Self::Minutes => Some(Micros(300_000_000)),
            Self::Hour => Some(Micros(3_600_000_000)),
            Self::All => None,
        }
    }

    /// What it is called.
    pub(in crate::tui) fn word(self) -> &'static str {
        match self {
            Self::Minutes => "last 5 min",
            Self::Hour => "last hour",
            Self::All => "all of it",
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) struct Question {
    span: Span,
    columns: u16,
}

/// The pane.
#[derive(Debug)]
pub(in crate::tui) struct UsagePane {
    recent: VecDeque<UsagePoint>,
    /// Whether what was before the first pulse was asked for.
    filled: bool,
    /// What is shown.
    pub(in crate::tui) history: UsageHistory,
    /// The time that it is of.
    pub(in crate::tui) range: (Micros, Micros),
    /// How much of the time is wanted.
    pub(in crate::tui) span: Span,
    /// The time whose values are told, if not the last.
    pub(in crate::tui) cursor: Option<Micros>,
    names: BTreeMap<ItemIndex, String>,
    naming: Option<ItemIndex>,
    fetch: Fetch<Question>,
    shown: Option<Question>,
    /// Of the last question: when it was asked, and up to when.
    asked: Option<(Micros, Micros)>,
}

impl Default for UsagePane {
    fn default() -> Self {
        Self {
            recent: VecDeque::new(),
            filled: false,
            history: UsageHistory::default(),
            range: (Micros(0), Micros(0)),
            span: Span::Minutes,
            cursor: None,
            names: BTreeMap::new(),
            naming: None,
            fetch: Fetch::default(),
            shown: None,
            asked: None,
        }
    }
}

impl UsagePane {
    /// A pulse told this.
    pub(in crate::tui) fn heard(&mut self, point: Option<UsagePoint>) {
        let Some(point) = point else { return };
        match self.recent.back() {
            Some(last) if last.wall == point.wall => return,
            // A recording went back.
            Some(last) if last.wall > point.wall => self.recent.clear(),
            _ => {}
        }
        self.recent.push_back(point);
        self.forget_old();
        self.fetch.stir();
    }

    /// The engine may know more.
    pub(in crate::tui) fn stir(&mut self) {
        self.fetch.stir();
    }

    fn forget_old(&mut self) {
        let last = self.recent.back().map_or(Micros(0), |last| last.wall);
        while self.recent.len() > RECENT || self.recent.front().is_some_and(|first| last.since(first.wall) > MINUTE) {
            self.recent.pop_front();
        }
    }

    /// The question for the minute before the window was opened; once.
    pub(in crate::tui) fn wanted_recent(&mut self) -> Option<Request> {
        let first = self.recent.front().filter(|_| !self.filled)?.wall;
        self.filled = true;
        let from = Micros(first.0.saturating_sub(MINUTE.0));
        Some(Request::Usage { from, to: Micros(first.0.saturating_sub(1)), most: 60 })
    }

    /// Its answer.
    pub(in crate::tui) fn take_recent(&mut self, points: &[UsagePoint]) {
        let first = self.recent.front().map_or(Micros(0), |first| first.wall);
        for point in points.iter().rev().filter(|point| point.wall < first).take(RECENT) {
            self.recent.push_front(*point);
        }
        self.forget_old();
    }

    /// The last minute as bars of eight heights, the newest at the right: in each cell the most of its time. `floor` is
    /// the least that a full bar stands for.
    pub(in crate::tui) fn spark(&self, cells: usize, floor: f64, of: impl Fn(&UsagePoint) -> f64) -> String {
        const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let Some(last) = self.recent.back() else { return String::new() };
        let each = MINUTE.0 / cells.max(1) as u64;
        let mut most = vec![None; cells];
        for point in &self.recent {
            let back = usize::try_from(last.wall.since(point.wall).0 / each).unwrap_or(usize::MAX);
            if let Some(cell) = cells.checked_sub(back.saturating_add(1)).and_then(|at| most.get_mut(at)) {
                *cell = Some(cell.unwrap_or(0.0_f64).max(of(point)));
            }
        }
        let top = most.iter().flatten().copied().fold(floor, f64::max);
        let bar = |value: &Option<f64>| match value {
            // Something is seen of whatever was sampled.
            Some(value) => BARS[1 + eighths(value / top)],
            None => ' ',
        };
        most.iter().map(bar).collect()
    }

    /// What to ask for, while so many columns of it are seen. `then` is the time at the engine; in a `hurry` nothing more
    /// will come that could bring the next question.
    pub(in crate::tui) fn wanted(
        &mut self,
        columns: u16,
        now: Micros,
        then: Micros,
        hurry: bool,
    ) -> Option<(Question, Request)> {
        let question = Question { span: self.span, columns };
        if columns == 0 || self.fetch.is_asking() || !self.fetch.is_news(&question) {
            return None;
        }
        let stretch = self.range.1.since(self.range.0).0 / (2 * u64::from(columns));
        let every = Micros((stretch / 2).clamp(EVERY.0, EVERY.1));
        let early = self.asked.is_some_and(|(asked, _)| now >= asked && now.since(asked) < every);
        if early && !hurry && self.shown == Some(question) {
            return None;
        }
        self.asked = Some((now, then));
        let from = self.span.length().map_or(Micros(0), |length| Micros(then.0.saturating_sub(length.0)));
        let question = self.fetch.ask(question);
        Some((question, Request::Usage { from, to: Micros(u64::MAX), most: 2 * u32::from(columns) }))
    }

    /// The answer came; none when it went wrong.
    pub(in crate::tui) fn take(&mut self, question: Question, history: Option<UsageHistory>) {
        if !self.fetch.answered(&question, history.is_some()) {
            return;
        }
        self.shown = Some(question);
        let Some(mut history) = history else { return };
        // Nothing is drawn that goes back in time.
        history.points.retain(|point| point.wall > Micros(0));
        history.points.sort_by_key(|point| point.wall);
        let first = history.points.first().map_or(Micros(0), |point| point.wall);
        let last = history.points.last().map_or(Micros(0), |point| point.wall);
        let to = self.asked.map_or(last, |(_, then)| then).max(last);
        let from = question.span.length().map_or(first, |length| Micros(to.0.saturating_sub(length.0)));
        self.range = (from, to);
        self.history = history;
        self.cursor = self.cursor.map(|cursor| cursor.clamp(from, to));
    }

    /// Whether an answer has come.
    pub(in crate::tui) fn is_loaded(&self) -> bool {
        self.fetch.is_loaded()
    }

    /// Shows more of the time, or less.
    pub(in crate::tui) fn zoom(&mut self, more: bool) {
        self.span = match (self.span, more) {
            (Span::Minutes, true) | (Span::All, false) => Span::Hour,
            (Span::Hour | Span::All, true) => Span::All,
            (Span::Hour | Span::Minutes, false) => Span::Minutes,
        };
    }

    /// The cursor goes one column on, or back.
    pub(in crate::tui) fn step(&mut self, columns: u16, on: bool) {
        let (from, to) = self.range;
        let column = (to.since(from).0 / u64::from(columns.max(1))).max(1);
        let at = self.cursor.unwrap_or(to).0;
        let at = Micros(if on { at.saturating_add(column) } else { at.saturating_sub(column) });
        // Past the end it is the last again, whatever that will be.
        self.cursor = (at < to).then(|| at.max(from));
    }

    /// The point that tells of the cursor's time; the last one without a cursor.
    pub(in crate::tui) fn at_cursor(&self) -> Option<&UsagePoint> {
        let Some(cursor) = self.cursor else { return self.history.points.last() };
        let stretch =
            self.range.1.since(self.range.0).0 / self.shown.map_or(1, |shown| u64::from(shown.columns).max(1));
        let away = |point: &&UsagePoint| point.wall.0.abs_diff(cursor.0);
        self.history.points.iter().min_by_key(away).filter(|point| away(point) <= stretch.max(REACH))
    }

    /// The last item that was begun before the cursor's time.
    pub(in crate::tui) fn item_at_cursor(&self) -> Option<ItemIndex> {
        let at = self.cursor.unwrap_or(self.range.1);
        self.history.items.iter().rev().find(|(wall, _)| *wall <= at).map(|(_, item)| *item)
    }

    /// An item's name, as far as it is known.
    pub(in crate::tui) fn name(&self, item: ItemIndex) -> Option<&str> {
        self.names.get(&item).map(String::as_str)
    }

    /// The item whose name is to be asked for: the one at the cursor. One at a time.
    pub(in crate::tui) fn wanted_name(&mut self) -> Option<ItemIndex> {
        let item = self.item_at_cursor().filter(|item| !self.names.contains_key(item))?;
        if self.naming.is_some() {
            return None;
        }
        self.naming = Some(item);
        Some(item)
    }

    /// An item's name; none when it could not be found out.
    pub(in crate::tui) fn call(&mut self, item: ItemIndex, name: Option<String>) {
        self.naming = None;
        if self.names.len() >= NAMES {
            self.names.clear();
        }
        self.names.insert(item, name.unwrap_or_default());
    }

    /// The most time between two points that are joined: more of it, and nothing was sampled in between.
    pub(in crate::tui) fn joined(&self) -> Micros {
        let stretch =
            self.range.1.since(self.range.0).0 / self.shown.map_or(1, |shown| u64::from(shown.columns).max(1));
        Micros((2 * stretch).max(REACH))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
fn eighths(share: f64) -> usize {
    (share.clamp(0.0, 1.0) * 7.0).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(second: u64, cpu: f64) -> UsagePoint {
        UsagePoint { wall: Micros(second * 1_000_000), cpu, ..UsagePoint::default() }
    }

    #[test]
    fn the_last_minute_is_kept_and_drawn_with_its_newest_at_the_right() {
        let mut pane = UsagePane::default();
        assert_eq!(pane.spark(4, 100.0, |point| point.cpu), "");
        (1000..1100).for_each(|second| pane.heard(Some(point(second, if second < 1090 { 0.0 } else { 100.0 }))));
        assert_eq!(pane.recent.len(), RECENT);
        assert_eq!(pane.spark(6, 100.0, |point| point.cpu), "▁▁▁▁▁█");
        pane.heard(Some(point(5, 200.0)));
        assert_eq!(pane.spark(4, 100.0, |point| point.cpu), "   █", "a recording that went back begins anew");
        pane.take_recent(&[point(3, 0.0), point(4, 50.0), point(9, 0.0)]);
        assert_eq!(pane.recent.iter().map(|point| point.wall.0 / 1_000_000).collect::<Vec<_>>(), [3, 4, 5]);
    }

    #[test]
    fn it_asks_once_a_second_while_it_is_seen_and_at_once_when_more_is_wanted() {
        let mut pane = UsagePane::default();
        let at = |tenths: u64| Micros(10_000_000_000 + tenths * 100_000);
        assert!(pane.wanted(0, at(0), at(0), false).is_none(), "out of sight");
        let (question, request) = pane.wanted(40, at(0), at(0), false).expect("the first");
        assert_eq!(request, Request::Usage { from: Micros(9_700_000_000), to: Micros(u64::MAX), most: 80 });
        pane.stir();
        assert!(pane.wanted(40, at(20), at(20), false).is_none(), "one at a time");
        pane.take(question, Some(UsageHistory { points: vec![point(9_999, 1.0)], items: Vec::new() }));
        assert_eq!(pane.range, (Micros(9_700_000_000), at(0)));
        pane.stir();
        assert!(pane.wanted(40, at(5), at(5), false).is_none(), "not within a second");
        assert!(pane.wanted(40, at(5), at(5), true).is_some(), "unless nothing more comes");
        pane.take(question, None);
        assert!(pane.wanted(40, at(6), at(6), true).is_none(), "nothing is new");
        pane.zoom(true);
        assert!(pane.wanted(40, at(6), at(6), false).is_some(), "another time is wanted");
    }

    #[test]
    fn the_cursor_walks_and_ends_at_the_newest() {
        let mut pane = UsagePane::default();
        let (question, _) = pane.wanted(10, Micros(0), Micros(400_000_000), false).expect("a question");
        let points = vec![point(390, 1.0), point(399, 2.0)];
        let items = vec![(Micros(380_000_000), ItemIndex(3)), (Micros(395_000_000), ItemIndex(4))];
        pane.take(question, Some(UsageHistory { points, items }));
        assert_eq!(pane.at_cursor().map(|point| point.cpu), Some(2.0));
        assert_eq!(pane.wanted_name(), Some(ItemIndex(4)));
        assert_eq!(pane.wanted_name(), None, "one at a time");
        pane.call(ItemIndex(4), Some("four".into()));
        assert_eq!(pane.wanted_name(), None, "it is known");
        assert_eq!(pane.name(ItemIndex(4)), Some("four"));
        pane.step(100, false);
        pane.step(100, false);
        assert_eq!((pane.cursor, pane.item_at_cursor()), (Some(Micros(394_000_000)), Some(ItemIndex(3))));
        (0..200).for_each(|_| pane.step(100, false));
        assert_eq!((pane.cursor, pane.at_cursor()), (Some(Micros(100_000_000)), None));
        (0..200).for_each(|_| pane.step(100, true));
        assert_eq!(pane.cursor, None);
    }
}
