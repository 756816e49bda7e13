//! The log: the engine's traces and this window's own, in tui-logger's widget, each marked whose it is.
//!
//! tui-logger is a global ring of bounded depth. Its own mover thread (a hundred wake-ups a second) is not started: the
//! loop moves events before it draws. Whatever goes in is one line and made safe here.

use crate::model::proto::Request;
use crate::tui::theme::Theme;
use crate::tui::{text, time};
use log::{Level, LevelFilter, Record};
use ratatui::text::{Line, Span};
use std::fmt::Write as _;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tui_logger::{ExtLogRecord, LogFormatter, TuiWidgetEvent, TuiWidgetState};

const ENGINE: &str = "engine";
const WINDOW: &str = "window";
/// Lines of the engine's log asked for at once.
const LINES: u32 = 500;

/// The pane.
pub(in crate::tui) struct LogPane {
    /// tui-logger's place in its ring.
    pub(in crate::tui) state: TuiWidgetState,
    next: Option<u64>,
    asked: bool,
    stale: bool,
}

impl Default for LogPane {
    fn default() -> Self {
        tui_logger::set_default_level(LevelFilter::Trace);
        let state = TuiWidgetState::new().set_default_display_level(LevelFilter::Trace);
        Self { state, next: None, asked: false, stale: true }
    }
}

impl LogPane {
    /// There may be more.
    pub(in crate::tui) fn stir(&mut self) {
        self.stale = true;
    }

    /// What to ask for, if there may be more; to be called while the pane is seen.
    pub(in crate::tui) fn wanted(&mut self) -> Option<Request> {
        if self.asked || !std::mem::take(&mut self.stale) {
            return None;
        }
        self.asked = true;
        Some(Request::Traces { from: self.next, limit: LINES })
    }

    /// The answer came; none when it went wrong.
    pub(in crate::tui) fn take(&mut self, page: Option<&crate::model::proto::TracePage>) {
        self.asked = false;
        let Some(page) = page else { return };
        self.next = Some(page.next);
        self.stale |= page.lines.len() >= LINES as usize;
        for line in &page.lines {
            let (level, said) = read_trace(line);
            put(level, ENGINE, &said);
        }
    }

    /// Scrolls by pages.
    pub(in crate::tui) fn page(&self, up: bool) {
        self.state.transition(if up { TuiWidgetEvent::PrevPageKey } else { TuiWidgetEvent::NextPageKey });
    }

    /// Follows again.
    pub(in crate::tui) fn follow(&self) {
        self.state.transition(TuiWidgetEvent::EscapeKey);
    }
}

fn put(level: Level, whose: &str, said: &str) {
    let said = text::one_line(said);
    tui_logger::Drain::new().log(&Record::builder().args(format_args!("{said}")).level(level).target(whose).build());
}

/// `2026-11-23T21:00:00.123Z  INFO childminder::x: said` as its level and `21:00:00 x: said`. A line of another form is
/// shown as it is.
fn read_trace(line: &str) -> (Level, String) {
    let mut words = line.trim_start().splitn(2, char::is_whitespace);
    let (first, rest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().trim_start());
    let mut words = rest.splitn(2, char::is_whitespace);
    let level = words.next().and_then(|word| word.parse::<Level>().ok());
    let (Some(level), Some(clock)) = (level, first.split('T').nth(1)) else { return (Level::Info, line.into()) };
    let clock = clock.split('.').next().unwrap_or(clock).trim_end_matches('Z');
    (level, format!("{clock} {}", words.next().unwrap_or_default().trim_start().replace("childminder::", "")))
}

/// A layer for `tracing` that puts this process's events into the log pane.
#[derive(Debug, Clone, Copy, Default)]
pub struct WindowLog;

impl<S: Subscriber> Layer<S> for WindowLog {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if !is_ours(event.metadata()) {
            return;
        }
        let mut said = Said(time::clock(time::now(), &jiff::tz::TimeZone::system()));
        event.record(&mut said);
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        };
        put(level, WINDOW, &said.0);
    }
}

/// Ours, but not every step; of the libraries beneath only what went wrong.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    let most = if metadata.target().starts_with("childminder") { tracing::Level::DEBUG } else { tracing::Level::WARN };
    *metadata.level() <= most
}

struct Said(String);

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value}"),
            name => write!(self.0, " {name}={value}"),
        };
    }
}

/// How a line of the log looks.
pub(in crate::tui) struct Formatter(pub(in crate::tui) Theme);

impl LogFormatter for Formatter {
    fn min_width(&self) -> u16 {
        8
    }

    fn format(&self, width: usize, record: &ExtLogRecord) -> Vec<Line<'_>> {
        let theme = self.0;
        let (sign, style) = match record.level {
            Level::Error => ("E", theme.bad()),
            Level::Warn => ("W", theme.warn()),
            Level::Info => ("I", theme.good()),
            Level::Debug | Level::Trace => ("D", theme.dim()),
        };
        let line = Line::from(vec![
            Span::styled(format!("{sign} "), style),
            Span::styled(text::left(record.target(), 7), theme.dim()),
            Span::raw(record.msg().to_owned()),
        ]);
        crate::tui::scroll::wrap(&line, width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_events_are_put_in_made_safe_and_those_of_libraries_are_not() {
        use ratatui::widgets::Widget as _;
        use tracing_subscriber::layer::SubscriberExt as _;
        let pane = LogPane::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(WindowLog), || {
            tracing::warn!(target: "childminder::tui", path = "a\u{1b}[2Jb", "cannot\nread");
            tracing::info!(target: "mio::poll", "registering");
        });
        tui_logger::move_events();
        let area = ratatui::layout::Rect::new(0, 0, 100, 5);
        let mut buffer = ratatui::buffer::Buffer::empty(area);
        let widget = tui_logger::TuiLoggerWidget::default().formatter(Box::new(Formatter(Theme { colour: true })));
        widget.state(&pane.state).render(area, &mut buffer);
        let seen: String = buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        assert!(seen.contains("W window"), "{seen}");
        assert!(
            seen.contains("cannot⏎read path=\"a\\u{1b}[2Jb\"") || seen.contains("cannot⏎read path=a␛[2Jb"),
            "{seen}"
        );
        assert!(!seen.contains("registering"), "{seen}");
    }

    #[test]
    fn a_trace_is_read_and_another_line_is_kept() {
        let (level, said) = read_trace("2026-11-23T21:00:00.123456Z  WARN childminder::child: slow start pid=3");
        assert_eq!((level, said.as_str()), (Level::Warn, "21:00:00 child: slow start pid=3"));
        assert_eq!(read_trace("thread 'x' panicked").1, "thread 'x' panicked");
    }
}
