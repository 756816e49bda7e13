//! Searching the output: the search that `n` and `N` repeat, and jumps to errors, exceptions and items.
//!
//! What must stay true: one question is on its way at a time, since a newer one ends the one before at the session; an
//! answer that nobody awaits any more is dropped. A question is asked again until its answer is settled and complete,
//! and then when the output has grown, a few times a second at most.

use crate::model::proto::{LineAnchor, OutputAt};
use crate::model::{Case, Filter, Grep, Micros, Pattern, SearchQuery, Searched, Stream, Wanted};
use crate::tui::panes::fetch::Fetch;

/// What an error looks like in a line of output.
const ERRORS: &str = r"(?-u)(?:error|exception)\b|\b(?:traceback|fatal|critical|segmentation fault)\b";
/// Between two questions that are asked only because the output has grown.
const AGAIN: Micros = Micros(300_000);

/// Among which lines is searched.
#[derive(Debug, Clone)]
pub(in crate::tui) struct Among {
    /// Of one stream, or both.
    pub(in crate::tui) stream: Option<Stream>,
    /// Those that pass.
    pub(in crate::tui) filter: Filter,
}

/// From where, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) struct Way {
    /// A line that is named is itself not found.
    pub(in crate::tui) from: OutputAt,
    /// Towards later lines.
    pub(in crate::tui) forward: bool,
}

/// Where a key jumps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Landmark {
    /// A line that looks like an error.
    Error,
    /// Where something was raised.
    Exception,
    /// Where an item begins.
    Item,
}

impl Landmark {
    fn wanted(self) -> Wanted {
        match self {
            Self::Error => Wanted::Match(Grep { pattern: ERRORS.into(), case: Case::Insensitive, invert: false }),
            Self::Exception => Wanted::Exception,
            Self::Item => Wanted::Item,
        }
    }

    /// For people.
    pub(in crate::tui) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Exception => "exception",
            Self::Item => "item",
        }
    }
}

/// What an answer comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tui) enum Found {
    /// Nothing to be done.
    Nothing,
    /// A line to go to, and whether the search began again at the other end.
    Line(LineAnchor, bool),
    /// No line matches.
    NoMatch,
    /// There is no further one that way.
    NoLandmark(Landmark, bool),
    /// It could not be searched, and why.
    Failed(String),
}

/// How far one has come to the line that a search goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leg {
    /// On the way from where it began.
    Going,
    /// On the way from the other end.
    Again,
    /// There, or there is none; after that it is only counted.
    Arrived,
}

/// A search that `n` and `N` repeat.
#[derive(Debug, Clone)]
pub(in crate::tui) struct Sought {
    grep: Grep,
    /// Where `n` goes; `N` goes the other way, and that changes nothing.
    forward: bool,
    pattern: Pattern,
    query: SearchQuery,
    leg: Leg,
    searched: Option<Searched>,
    failed: bool,
}

impl Sought {
    /// What is searched for.
    pub(in crate::tui) fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// As it was typed, after the key that began it.
    pub(in crate::tui) fn shown(&self) -> String {
        format!("{}{}", if self.forward { '/' } else { '\\' }, self.grep.pattern)
    }

    /// `3/120`; `…` for what is still being counted.
    pub(in crate::tui) fn tally(&self, current: Option<LineAnchor>) -> String {
        let Some(searched) = &self.searched else { return "…".into() };
        let more = if searched.complete { "" } else { "…" };
        if searched.count == 0 {
            return if searched.complete { "no match".into() } else { more.into() };
        }
        let position = searched.position.filter(|_| current.is_some() && searched.line == current);
        match position {
            Some(position) => format!("{position}/{}{more}", searched.count),
            None if current.is_some() => format!("…/{}{more}", searched.count),
            None => format!("{}{more}", searched.count),
        }
    }

    fn is_finished(&self) -> bool {
        self.failed || self.searched.is_some_and(|searched| searched.settled && searched.complete)
    }

    fn begin(&mut self, way: Way) {
        (self.query.from, self.query.forward) = (way.from, way.forward);
        self.leg = Leg::Going;
        self.failed = false;
        // Its count still holds, its line does not.
        self.searched =
            self.searched.map(|searched| Searched { settled: false, line: None, position: None, ..searched });
    }
}

/// What is being searched for.
#[derive(Debug, Clone, Default)]
pub(in crate::tui) struct Seek {
    sought: Option<Sought>,
    jump: Option<(Landmark, SearchQuery)>,
    /// The line that was come to last.
    current: Option<LineAnchor>,
    fetch: Fetch<SearchQuery>,
    asked: Micros,
}

impl Seek {
    /// The search that can be repeated.
    pub(in crate::tui) fn sought(&self) -> Option<&Sought> {
        self.sought.as_ref()
    }

    /// The line that was come to last.
    pub(in crate::tui) fn current(&self) -> Option<LineAnchor> {
        self.current
    }

    /// Whether a jump is on its way.
    pub(in crate::tui) fn jumping(&self) -> Option<Landmark> {
        self.jump.as_ref().map(|(to, _)| *to)
    }

    /// There may be more output.
    pub(in crate::tui) fn stir(&mut self) {
        self.fetch.stir();
    }

    /// Whether it will have to be asked again though nothing else happens.
    pub(in crate::tui) fn is_owed(&self) -> bool {
        self.sought.is_some() && self.fetch.is_stale() && !self.fetch.is_asking()
    }

    /// Searches for something new.
    pub(in crate::tui) fn search(&mut self, grep: Grep, pattern: Pattern, way: Way, among: Among) {
        let query = SearchQuery {
            stream: among.stream,
            filter: among.filter,
            wanted: Wanted::Match(grep.clone()),
            from: way.from,
            forward: way.forward,
        };
        let forward = way.forward;
        self.sought = Some(Sought { grep, forward, pattern, query, leg: Leg::Going, searched: None, failed: false });
        self.current = None;
        self.jump = None;
        self.fetch.drop_question();
    }

    /// Goes on to another match.
    pub(in crate::tui) fn again(&mut self, way: Way) {
        if let Some(sought) = &mut self.sought {
            sought.begin(way);
            self.jump = None;
            self.fetch.drop_question();
        }
    }

    /// Whether the search that can be repeated goes towards later lines.
    pub(in crate::tui) fn is_forward(&self) -> bool {
        self.sought.as_ref().is_none_or(|sought| sought.forward)
    }

    /// Jumps.
    pub(in crate::tui) fn jump(&mut self, to: Landmark, way: Way, among: Among) {
        let query = SearchQuery {
            stream: among.stream,
            filter: among.filter,
            wanted: to.wanted(),
            from: way.from,
            forward: way.forward,
        };
        self.jump = Some((to, query));
        self.fetch.drop_question();
    }

    /// Other lines are shown now: what was counted does not hold any more.
    pub(in crate::tui) fn among(&mut self, among: Among) {
        self.jump = None;
        self.fetch.drop_question();
        if let Some(sought) = &mut self.sought {
            (sought.query.stream, sought.query.filter) = (among.stream, among.filter);
            sought.searched = None;
            sought.leg = Leg::Arrived;
            sought.failed = false;
        }
    }

    /// Searches for nothing.
    pub(in crate::tui) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The question to ask, if there is one. `now` is the wall time here.
    pub(in crate::tui) fn wanted(&mut self, now: Micros) -> Option<SearchQuery> {
        if self.fetch.is_asking() {
            return None;
        }
        let query = match (&self.jump, &self.sought) {
            (Some((_, query)), _) => query,
            (None, Some(sought)) => {
                let grown = self.fetch.is_stale() && now.since(self.asked) >= AGAIN;
                if sought.is_finished() && !grown {
                    return None;
                }
                &sought.query
            }
            (None, None) => return None,
        };
        self.asked = now;
        Some(self.fetch.ask(query.clone()))
    }

    /// The answer came, or why there is none.
    pub(in crate::tui) fn take(&mut self, query: &SearchQuery, answer: Result<Searched, String>) -> Found {
        if !self.fetch.answered(query, answer.is_ok()) {
            return Found::Nothing;
        }
        match (&self.jump, &mut self.sought) {
            (Some((to, asked)), _) if asked == query => {
                let to = *to;
                self.landed(to, query.forward, answer)
            }
            (_, Some(sought)) if sought.query == *query => {
                let found = counted(sought, answer);
                if let Found::Line(line, _) = found {
                    self.current = Some(line);
                }
                found
            }
            _ => Found::Nothing,
        }
    }

    fn landed(&mut self, to: Landmark, forward: bool, answer: Result<Searched, String>) -> Found {
        let found = match answer {
            Ok(Searched { settled: false, .. }) => return Found::Nothing,
            Ok(Searched { line: Some(line), .. }) => {
                self.current = Some(line);
                Found::Line(line, false)
            }
            Ok(Searched { line: None, .. }) => Found::NoLandmark(to, forward),
            Err(why) => Found::Failed(why),
        };
        self.jump = None;
        found
    }
}

fn counted(sought: &mut Sought, answer: Result<Searched, String>) -> Found {
    let searched = match answer {
        Ok(searched) => searched,
        Err(why) => {
            // Told once: it is tried again whenever the output grows.
            return if std::mem::replace(&mut sought.failed, true) { Found::Nothing } else { Found::Failed(why) };
        }
    };
    sought.failed = false;
    sought.searched = Some(searched);
    if sought.leg == Leg::Arrived || !searched.settled {
        return Found::Nothing;
    }
    match searched.line {
        Some(line) => {
            let again = std::mem::replace(&mut sought.leg, Leg::Arrived) == Leg::Again;
            Found::Line(line, again)
        }
        None if sought.leg == Leg::Again => {
            sought.leg = Leg::Arrived;
            Found::NoMatch
        }
        None => {
            let from = if sought.query.forward { OutputAt::Start } else { OutputAt::End };
            sought.begin(Way { from, forward: sought.query.forward });
            sought.leg = Leg::Again;
            Found::Nothing
        }
    }
}
