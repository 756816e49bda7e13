//! Everything the window remembers. Changed by [`update`](super::update) only, and only looked at by [`view`](super::view).

use super::clipboard::Program;
use super::layout::{Layout, PANES, Pane, Shape};
use super::msg::Search;
use super::overlay::Overlay;
use super::panes::hot::{self, HotPane};
use super::panes::list::ListPane;
use super::panes::log::LogPane;
use super::panes::output::{Look, OutputPane};
use super::panes::prompt::PromptPane;
use super::panes::record::Recording;
use super::panes::usage::UsagePane;
use super::steering::{self, Steering};
use super::text;
use super::theme::Theme;
use crate::api::Link;
use crate::api::replay::Playback;
use crate::model::proto::{CommandView, ItemView, Summary};
use crate::model::state::ExceptionGroup;
use crate::model::{ChildState, ItemIndex, Micros, Rung, UsagePoint, Wait, WaitFor};
use jiff::tz::TimeZone;
use ratatui::layout::{Rect, Size};
use std::time::Duration;

/// A sentence on the bottom row, until the next key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Notice {
    /// What, made safe.
    pub(super) said: String,
    /// Whether something went wrong.
    pub(super) bad: bool,
}

/// The window.
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own, and no two exclude each other")]
pub(super) struct Model {
    /// Of the terminal.
    pub(super) size: Size,
    /// Wall time here.
    pub(super) clock: Micros,
    /// For wall times.
    pub(super) zone: TimeZone,
    /// How things look.
    pub(super) theme: Theme,
    /// Whether this window may not write.
    pub(super) read_only: bool,
    /// Whether the mouse is ours.
    pub(super) mouse: bool,
    /// What is tried for the clipboard before OSC 52.
    pub(super) programs: Vec<Program>,
    /// How the session is reached.
    pub(super) link: Link,
    /// The newest pulse; stays when the link is lost.
    pub(super) summary: Option<Box<Summary>>,
    /// Wall time here at which it came.
    pub(super) summary_at: Micros,
    /// The panes, the focused one first, then as they were left.
    pub(super) recent: [Pane; PANES],
    /// Whether the focused pane has all the room.
    pub(super) zoom: bool,
    /// What is over the panes.
    pub(super) overlay: Option<Overlay>,
    /// The last search.
    pub(super) search: Option<Search>,
    /// What is said at the bottom.
    pub(super) notice: Option<Notice>,
    /// Whether a list is being searched: what is selected then is not what the operator means.
    pub(super) finding: bool,
    /// The items.
    pub(super) agenda: ListPane<ItemView>,
    /// The commands.
    pub(super) commands: ListPane<CommandView>,
    /// The exceptions.
    pub(super) exceptions: ListPane<ExceptionGroup>,
    /// The output.
    pub(super) output: OutputPane,
    /// The log.
    pub(super) log: LogPane,
    /// The prompt.
    pub(super) prompt: PromptPane,
    /// What was heard of steering.
    pub(super) steering: Steering,
    /// What the process tree used.
    pub(super) plot: UsagePane,
    /// Where the child's time goes.
    pub(super) hot: HotPane,
    /// The commands that are to be written into a file.
    pub(super) recording: Recording,
}

impl Model {
    /// A window that knows nothing yet.
    pub(super) fn new(size: Size, theme: Theme, zone: TimeZone, read_only: bool, clock: Micros) -> Self {
        use Pane::{Agenda, Commands, Exceptions, Hot, Log, Output, Prompt, Usage};
        Self {
            size,
            clock,
            zone,
            theme,
            read_only,
            mouse: true,
            programs: Vec::new(),
            link: Link::Connecting { since: clock },
            summary: None,
            summary_at: clock,
            recent: [Agenda, Output, Commands, Prompt, Exceptions, Log, Usage, Hot],
            zoom: false,
            overlay: None,
            search: None,
            notice: None,
            finding: false,
            agenda: ListPane::new(true),
            commands: ListPane::new(true),
            exceptions: ListPane::new(false),
            output: OutputPane::default(),
            log: LogPane::default(),
            prompt: PromptPane::default(),
            steering: Steering::default(),
            plot: UsagePane::default(),
            hot: HotPane::default(),
            recording: Recording::default(),
        }
    }

    /// The focused pane.
    pub(super) fn focus(&self) -> Pane {
        self.recent[0]
    }

    /// Focuses a pane.
    pub(super) fn focus_on(&mut self, pane: Pane) {
        if let Some(at) = self.recent.iter().position(|recent| *recent == pane) {
            self.recent[..=at].rotate_right(1);
        }
    }

    /// The recording that is looked at, if it is one.
    pub(super) fn playback(&self) -> Option<&Playback> {
        if let Link::Recorded(playback) = &self.link { Some(playback) } else { None }
    }

    /// Where everything stands.
    pub(super) fn layout(&self) -> Layout {
        let shape = Shape {
            recent: self.recent,
            zoom: self.zoom,
            alert_rows: u16::from(!self.alerts().is_empty()) + u16::from(self.next_steps(usize::MAX).is_some()),
            time_line: self.playback().is_some(),
            prompt_rows: text::cells(self.prompt.wanted_rows()),
        };
        Layout::new(Rect::new(0, 0, self.size.width, self.size.height), shape)
    }

    /// The room inside a pane, in columns and rows; none when it is not seen.
    pub(super) fn room(&self, pane: Pane) -> Option<(u16, u16)> {
        // What is typed for the output takes its last row.
        let typed = u16::from(pane == Pane::Output && matches!(self.overlay, Some(Overlay::Entry(_))));
        self.layout().inner(pane).map(|inner| (inner.width, inner.height.saturating_sub(typed)))
    }

    /// The output and the room it has; none when it is not seen.
    pub(super) fn output_in_sight(&mut self) -> Option<(&mut OutputPane, Look<'_>)> {
        let room = self.room(Pane::Output)?;
        let look = Look { room, theme: self.theme, zone: &self.zone };
        Some((&mut self.output, look))
    }

    /// Wall time at the engine, as well as it is known here.
    pub(super) fn engine_now(&self) -> Micros {
        match (&self.summary, &self.link) {
            (Some(summary), Link::Live(_)) => Micros(summary.now.0 + self.clock.since(self.summary_at).0),
            (Some(summary), _) => summary.now,
            (None, _) => self.clock,
        }
    }

    /// An item's name, made safe; its number where the row is not known here.
    pub(super) fn item_name(&self, item: ItemIndex) -> String {
        let known = self.agenda.row(item.0).map(|row| row.name.as_str());
        known.map_or_else(|| format!("item #{}", item.0 + 1), |name| text::one_line(name).into_owned())
    }

    /// Whether there is a child, whatever it does.
    pub(super) fn has_child(&self) -> bool {
        let child = self.summary.as_ref().map(|summary| &summary.child);
        matches!(child, Some(ChildState::Starting { .. } | ChildState::Connected { .. }))
    }

    /// Whether the session has ended.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.link, Link::Over { .. }) || self.summary.as_ref().is_some_and(|summary| summary.ended.is_some())
    }

    /// Whether the engine is gone without having ended the session: what is shown is what was last heard.
    pub(super) fn is_deserted(&self) -> bool {
        matches!(self.link, Link::Over { .. }) && self.summary.as_ref().is_none_or(|summary| summary.ended.is_none())
    }

    /// Why this window will never change anything, now or later; a lost link may come back.
    pub(super) fn only_looks(&self) -> Option<&'static str> {
        if self.playback().is_some() {
            Some("this is a recording: nothing can be changed in it")
        } else if self.read_only {
            Some("read-only: this window only looks")
        } else if self.is_deserted() {
            Some("the engine died")
        } else if self.is_over() {
            Some("the session is over")
        } else {
            None
        }
    }

    /// What the process tree uses, while there is one that is known to be there.
    pub(super) fn usage(&self) -> Option<&UsagePoint> {
        let summary = self.summary.as_ref().filter(|_| !self.is_over())?;
        summary.usage.as_ref().filter(|_| self.has_child())
    }

    /// Whether a length of time is seen that grows.
    pub(super) fn is_ticking(&self) -> bool {
        if self.is_over() || self.playback().is_some() {
            return false;
        }
        let Some(summary) = self.summary.as_ref().filter(|_| matches!(self.link, Link::Live(_))) else { return true };
        summary.running.is_some()
            || summary.item.is_some()
            || summary.waits.iter().any(|wait| wait.until.is_some())
            || summary.ladder.is_some()
            || matches!(summary.child, ChildState::Starting { .. })
            || matches!(&self.overlay, Some(Overlay::Detail(detail)) if detail.what.is_why())
            || self.prompt.is_waiting()
            || (self.output.seek.is_owed() && self.room(Pane::Output).is_some())
    }

    /// Why there is no child to ask.
    pub(super) fn no_child(&self) -> Option<&'static str> {
        let connected = |summary: &Summary| matches!(summary.child, ChildState::Connected { .. });
        if self.playback().is_some() {
            Some("this is a recording: there is no child to ask")
        } else if self.is_over() {
            Some("the session is over: there is no child to ask")
        } else if !matches!(self.link, Link::Live(_)) {
            Some("not connected to the engine")
        } else if !self.summary.as_deref().is_some_and(connected) {
            Some("there is no child to ask")
        } else {
            None
        }
    }

    /// Whether it is watched where the child's time goes.
    pub(super) fn samples(&self) -> bool {
        self.no_child().is_none() && self.room(Pane::Hot).is_some()
    }

    /// How often the clock is to move by itself, if at all.
    pub(super) fn tick(&self) -> Option<Duration> {
        if self.samples() {
            return Some(hot::EVERY.duration());
        }
        self.is_ticking().then_some(Duration::from_secs(1))
    }

    /// Says something at the bottom.
    pub(super) fn say(&mut self, said: impl AsRef<str>) {
        self.notice = Some(Notice { said: text::one_line(said.as_ref()).into_owned(), bad: false });
    }

    /// Says what went wrong.
    pub(super) fn complain(&mut self, said: impl AsRef<str>) {
        self.notice = Some(Notice { said: text::one_line(said.as_ref()).into_owned(), bad: true });
    }

    /// What must not be missed: how it ended, what is waited for, what is lost. The most important first.
    pub(super) fn alerts(&self) -> Vec<Alert> {
        let mut alerts = Vec::new();
        self.link_alert(&mut alerts);
        // What was going on when the engine died is not what is going on.
        let Some(summary) = self.summary.as_ref().filter(|_| !self.is_deserted()) else { return alerts };
        let now = self.engine_now();
        if let Some(ended) = &summary.ended {
            let reason = text::one_line(&ended.reason);
            let said = format!("the session is over (exit code {}): {reason}", ended.code);
            alerts.push(Alert { said, kind: if ended.code == 0 { Kind::Good } else { Kind::Bad } });
            return alerts;
        }
        if let Some(mode) = summary.stop {
            let how = match mode {
                crate::model::StopMode::AfterItem => "stopping after this item",
                crate::model::StopMode::Now => "stopping now",
            };
            alerts.push(Alert::warn(how));
        }
        alerts.extend(steering::alerts(self, summary));
        if let Some(reason) = &summary.not_keeping {
            alerts.push(Alert { said: format!("output is not kept: {}", text::one_line(reason)), kind: Kind::Bad });
        }
        if summary.lost_output > 0 {
            alerts
                .push(Alert { said: format!("{} of output lost", text::bytes(summary.lost_output)), kind: Kind::Bad });
        }
        if summary.refused > 0 {
            alerts.push(Alert::warn(format!("{} refused", text::plural(summary.refused, "stranger"))));
        }
        for wait in &summary.waits {
            let waited = now.since(wait.since);
            // The ladder has a row of its own.
            let told = summary.ladder.is_some() && matches!(wait.what, WaitFor::Rung(_));
            if told || !is_worth_a_word(wait, waited) {
                continue;
            }
            let since = text::elapsed(waited);
            let until = wait.until.map(|until| format!(" of {}", text::elapsed(until.since(wait.since))));
            alerts.push(Alert {
                said: format!("{} {since}{}", waiting_for(wait.what), until.unwrap_or_default()),
                kind: Kind::Plain,
            });
        }
        // What is lost must not be pushed out of the row by what is only going on.
        alerts.sort_by_key(|alert| match alert.kind {
            Kind::Bad => 0,
            Kind::Loud => 1,
            Kind::Good | Kind::Plain | Kind::Warn => 2,
        });
        alerts
    }

    /// What can be done once nothing more will come: the longest way to say it that fits.
    pub(super) fn next_steps(&self, width: usize) -> Option<String> {
        if !self.is_over() {
            return None;
        }
        if self.playback().is_some() {
            return None;
        }
        let Some(summary) = &self.summary else { return Some("q leaves".into()) };
        let id = text::one_line(&summary.session);
        let ways = if self.is_deserted() || is_unfinished(summary) {
            vec![
                format!(
                    "next: `childminder run --resume {id}` goes on with the rest, `childminder replay {id}` shows it · \
                     q leaves"
                ),
                format!("next: childminder run --resume {id}, or replay · q leaves"),
                "run --resume, or replay · q leaves".into(),
            ]
        } else {
            vec![
                format!("next: `childminder replay {id}` shows it again · q leaves"),
                "childminder replay · q leaves".into(),
            ]
        };
        let fits = ways.iter().find(|way| text::width(way) <= width).or(ways.last()).cloned();
        Some(fits.unwrap_or_default())
    }

    fn link_alert(&self, alerts: &mut Vec<Alert>) {
        match &self.link {
            Link::Lost { reason, since } => {
                let ago = text::elapsed(self.clock.since(*since));
                let reason = text::one_line(reason);
                alerts.push(Alert {
                    said: format!("connection lost {ago} ago, reconnecting: {reason}"),
                    kind: Kind::Bad,
                });
            }
            Link::Recorded(playback) => {
                let Some((first, rest)) = playback.notes.split_first() else { return };
                let more = if rest.is_empty() { String::new() } else { format!(" (and {} more: 5 Log)", rest.len()) };
                alerts.push(Alert::warn(format!("{}{more}", text::one_line(first))));
            }
            Link::Over { reason, .. } if self.is_deserted() => {
                let reason = text::one_line(reason);
                let seen = "; the session has not ended, what is shown was last heard";
                let said = format!("{reason}{}", if self.summary.is_some() { seen } else { "" });
                alerts.push(Alert { said, kind: Kind::Bad });
            }
            _ => {}
        }
    }
}

/// Whether the engine would take the session up again: there are items left to run, or it never had any.
fn is_unfinished(summary: &Summary) -> bool {
    let mut items = summary.counts.iter().filter(|(_, count)| **count > 0).peekable();
    items.peek().is_none() || items.any(|(status, _)| !status.is_final())
}

/// One of the warnings.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alert {
    /// What, made safe.
    pub(super) said: String,
    /// How bad it is.
    pub(super) kind: Kind,
}

impl Alert {
    fn warn(said: impl Into<String>) -> Self {
        Self { said: said.into(), kind: Kind::Warn }
    }
}

/// How bad a warning is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not at all: something ended well.
    Good,
    /// Something that is going on.
    Plain,
    /// Somebody asked for it, or should look.
    Warn,
    /// Nothing goes on, because somebody wants it so.
    Loud,
    /// Something is lost.
    Bad,
}

/// The bounds of what runs as it should are seen once a tenth of them has passed; else a row would come and go with every
/// command. That an agenda is held, and silence without a bound, are told elsewhere.
fn is_worth_a_word(wait: &Wait, waited: Micros) -> bool {
    match (wait.what, wait.until) {
        (WaitFor::Release, _) | (WaitFor::Command | WaitFor::Item | WaitFor::Silence, None) => false,
        (WaitFor::Answer | WaitFor::Outputs, _) => waited.0 >= 2_000_000,
        (WaitFor::Command | WaitFor::Item | WaitFor::Silence, Some(until)) => {
            waited.0 >= until.since(wait.since).0 / 10 && waited.0 >= 5_000_000
        }
        _ => true,
    }
}

fn waiting_for(what: WaitFor) -> &'static str {
    match what {
        WaitFor::Startup => "waiting for the child's hello",
        WaitFor::Command => "command time-out",
        WaitFor::Item => "item time-out",
        WaitFor::Silence => "silence time-out",
        WaitFor::Teardown => "tearing down",
        WaitFor::Retry => "waiting to retry",
        WaitFor::AgendaSource => "the agenda has nothing yet, asking again",
        WaitFor::Release => "held",
        WaitFor::Journal => "the journal cannot be written",
        WaitFor::Outputs => "looking at the item's output files",
        WaitFor::Answer => "waiting for the child to answer",
        WaitFor::BackEnd => "waiting for the back-end class",
        WaitFor::Diagnosis => "finding out what the child does",
        WaitFor::Output => "looking through the output",
        WaitFor::Rung(Rung::Interrupt) => "interrupted, waiting for the command to end",
        WaitFor::Rung(Rung::Async) => "asynchronous exception, waiting for the command to end",
        WaitFor::Rung(Rung::Cancel) => "cancelled by the host's own way, waiting for the command to end",
        WaitFor::KillGrace | WaitFor::Rung(Rung::Terminate | Rung::Kill) => "waiting for the child to end",
    }
}
