//! The header: the session, its child, the agenda and what must not be missed. What does not fit is left out, the least
//! important first.

use crate::api::Link;
use crate::model::proto::Summary;
use crate::model::{ChildState, CommandState, ItemStatus, Micros, Phase, UsagePoint};
use crate::tui::layout::{Class, Layout};
use crate::tui::model::{Alert, Kind, Model};
use crate::tui::{steering, text};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Silence that is worth a word, in microseconds.
const SILENT: u64 = 10_000_000;
/// Cells of a minute's bars.
const SPARK: usize = 12;
/// Cells of the agenda's bar.
const BAR: usize = 12;

/// One part of a row, and how much it matters.
struct Part {
    weight: u8,
    spans: Vec<Span<'static>>,
}

fn part(weight: u8, said: impl Into<String>, style: Style) -> Part {
    Part { weight, spans: vec![Span::styled(said.into(), style)] }
}

/// Draws it.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, layout: &Layout) {
    if layout.class == Class::Compact {
        frame.render_widget(status_row(model, layout.header.width), layout.header);
        return;
    }
    let width = usize::from(layout.header.width);
    let rows = [row(first(model), second_end(model), width), row(second(model), Vec::new(), width)];
    for (at, line) in (0u16..).zip(rows) {
        if at < layout.header.height {
            frame.render_widget(line, Rect { y: layout.header.y + at, height: 1, ..layout.header });
        }
    }
    if layout.alert.height > 0 {
        frame.render_widget(alerts(model, width), layout.alert);
    }
    if layout.alert.height > 1
        && let Some(next) = model.next_steps(width.saturating_sub(1))
    {
        let row = Rect { y: layout.alert.y + 1, height: 1, ..layout.alert };
        let said = format!(" {}", text::fit(&next, width.saturating_sub(1)));
        frame.render_widget(Line::styled(said, model.theme.strong()), row);
    }
}

/// Parts at the left, parts at the right, without those that do not fit.
fn row(mut left: Vec<Part>, mut right: Vec<Part>, width: usize) -> Line<'static> {
    let cells = |parts: &[Part]| -> usize {
        parts.iter().map(|part| part.spans.iter().map(Span::width).sum::<usize>() + 2).sum()
    };
    while cells(&left) + cells(&right) > width && left.len() + right.len() > 1 {
        let lightest = |parts: &[Part]| {
            parts.iter().enumerate().min_by_key(|(_, part)| part.weight).map(|(at, part)| (part.weight, at))
        };
        match (lightest(&left), lightest(&right)) {
            (Some((weight, at)), other) if other.is_none_or(|(other, _)| weight <= other) => {
                left.remove(at);
            }
            (_, Some((_, at))) => {
                right.remove(at);
            }
            _ => break,
        }
    }
    let gap = width.saturating_sub(cells(&left) + cells(&right));
    let mut line = Line::default();
    for part in left {
        line.push_span(Span::raw(" "));
        line.spans.extend(part.spans);
        line.push_span(Span::raw(" "));
    }
    line.push_span(Span::raw(" ".repeat(gap)));
    for part in right {
        line.push_span(Span::raw(" "));
        line.spans.extend(part.spans);
        line.push_span(Span::raw(" "));
    }
    line
}

fn first(model: &Model) -> Vec<Part> {
    let theme = model.theme;
    let Some(summary) = &model.summary else {
        return vec![part(9, "◆ childminder", theme.accent()), Part { weight: 8, spans: state(model).spans }];
    };
    let name = text::one_line(&summary.name).into_owned();
    let name = text::fit(if name.is_empty() { "unnamed" } else { &name }, 24).into_owned();
    let backend = text::fit(&text::one_line(&summary.backend), 16).into_owned();
    let mut parts = vec![
        part(9, format!("◆ {name}"), theme.accent().patch(theme.strong())),
        part(4, backend, theme.dim()),
        part(2, text::fit(&text::one_line(&summary.session), 40).into_owned(), theme.dim()),
        Part { weight: 8, spans: state(model).spans },
    ];
    parts.extend(running(model));
    parts
}

fn second_end(model: &Model) -> Vec<Part> {
    let theme = model.theme;
    let mut parts = Vec::new();
    if let Some(summary) = model.summary.as_ref().filter(|summary| summary.clients > 1) {
        parts.push(part(3, format!("{} windows", summary.clients), theme.dim()));
    }
    if model.read_only {
        parts.push(part(7, "read-only", theme.warn()));
    }
    parts.push(match &model.link {
        Link::Connecting { .. } => part(6, "◌ connecting", theme.warn()),
        Link::Recorded(_) => part(8, "◼ REPLAY", theme.warn().patch(theme.strong())),
        Link::Live(_) => part(1, "● live", theme.good()),
        Link::Lost { .. } => part(6, "○ reconnecting", theme.bad()),
        Link::Over { .. } if model.is_deserted() => part(6, "■ no engine", theme.bad()),
        Link::Over { .. } => part(6, "■ over", theme.dim()),
    });
    parts
}

/// What the child does.
pub(super) fn state(model: &Model) -> Line<'static> {
    let theme = model.theme;
    let Some(summary) = &model.summary else {
        let since = match &model.link {
            Link::Over { .. } => return Line::styled("not connected", theme.bad()),
            Link::Connecting { since } | Link::Lost { since, .. } => *since,
            Link::Live(_) | Link::Recorded(_) => model.clock,
        };
        let waited = text::elapsed(model.clock.since(since));
        return Line::styled(format!("connecting to the engine {waited}"), theme.warn());
    };
    let now = model.engine_now();
    if model.is_deserted() && !matches!(summary.child, ChildState::None | ChildState::Exited { .. }) {
        return Line::styled("? child unknown: the engine died", theme.bad());
    }
    match &summary.child {
        ChildState::None => Line::styled("no child yet", theme.dim()),
        ChildState::Starting { since, .. } => {
            Line::styled(format!("◌ starting {}", text::elapsed(now.since(*since))), theme.warn())
        }
        ChildState::Exited { exit, asked, meaning, .. } => {
            let style = if *asked { theme.dim() } else { theme.bad() };
            let meaning = if meaning.is_empty() { String::new() } else { format!(" ({})", text::one_line(meaning)) };
            Line::styled(format!("■ child ended: {exit}{meaning}"), style)
        }
        ChildState::Connected { .. } => match &summary.running {
            None if summary.queued > 0 => Line::styled(format!("● idle, {} queued", summary.queued), theme.good()),
            None => Line::styled("● idle", theme.good()),
            Some(running) => {
                let what = match &summary.item {
                    Some(item) if running.phase == Phase::Item => {
                        format!("item {}", text::fit(&text::one_line(&item.name), 20))
                    }
                    _ => running.phase.word().to_owned(),
                };
                let verb = if running.state == CommandState::Sent { "→ sent" } else { "►" };
                Line::from(vec![
                    Span::styled(format!("{verb} {what}"), theme.busy()),
                    Span::styled(format!(" {}", text::elapsed(now.since(running.since))), theme.strong()),
                ])
            }
        },
    }
}

/// How long nothing was heard of the running command, and its text.
fn running(model: &Model) -> Vec<Part> {
    let theme = model.theme;
    let Some(summary) = &model.summary else { return Vec::new() };
    let Some(running) = summary.running.as_ref().filter(|_| !model.is_over()) else { return Vec::new() };
    let now = model.engine_now();
    let mut parts = Vec::new();
    if let Some(verdict) = steering::verdict(model, summary) {
        parts.push(part(6, verdict, theme.warn()));
    }
    let mut quiet = |weight, what: &str, last: Option<Micros>| {
        let since = now.since(last.unwrap_or_default().max(running.since));
        if since.0 >= SILENT {
            parts.push(part(weight, format!("{what} {}", text::elapsed(since)), theme.warn()));
        }
    };
    quiet(7, "silent", summary.last_output);
    quiet(6, "no heartbeat", summary.last_word);
    let head = text::one_line(&running.head).into_owned();
    parts.push(part(3, text::fit(&head, 48).into_owned(), theme.dim()));
    parts
}

fn second(model: &Model) -> Vec<Part> {
    let theme = model.theme;
    let Some(summary) = &model.summary else { return Vec::new() };
    let mut parts = vec![Part { weight: 9, spans: counts(model, summary) }];
    if let Some(left) = summary.to_go.filter(|_| !model.is_over()) {
        parts.push(part(7, format!("~{} to go", text::elapsed(left)), theme.text()));
    }
    if let ChildState::Connected { pid, hello, .. } = &summary.child
        && !model.is_deserted()
    {
        let pid = if hello.pid == *pid { format!("pid {pid}") } else { format!("pid {} (by {pid})", hello.pid) };
        parts.push(part(5, pid, theme.dim()));
        let python = text::one_line(&format!("{} {}", hello.implementation, hello.python)).into_owned();
        parts.push(part(4, text::fit(&python, 24).into_owned(), theme.dim()));
        let version = &hello.application.version;
        let told = hello.application.name == summary.backend && (version.is_empty() || *version == hello.python);
        if !told && !hello.application.name.is_empty() {
            let application = format!("{} {}", hello.application.name, hello.application.version);
            let application = text::one_line(application.trim_end()).into_owned();
            parts.push(part(3, text::fit(&application, 24).into_owned(), theme.dim()));
        }
    }
    if let Some(usage) = model.usage() {
        parts.push(part(6, format!("cpu {:>3.0}%", usage.cpu.clamp(0.0, 99_999.0)), theme.text()));
        parts.extend(spark(model, model.plot.spark(SPARK, 100.0, |point| point.cpu), theme.good()));
        parts.push(part(6, format!("mem {}", text::bytes(usage.memory)), theme.text()));
        parts.extend(spark(model, model.plot.spark(SPARK, 1.0, mebibytes), theme.accent()));
    }
    if !summary.said.is_empty() {
        let said = text::one_line(&summary.said).into_owned();
        parts.push(part(2, format!("“{}”", text::fit(&said, 40)), theme.text()));
    }
    parts
}

fn mebibytes(point: &UsagePoint) -> f64 {
    f64::from(u32::try_from(point.memory >> 20).unwrap_or(u32::MAX))
}

/// The last minute, where the window is wide enough.
fn spark(model: &Model, bars: String, style: Style) -> Option<Part> {
    (model.size.width >= 100 && !bars.is_empty()).then(|| part(5, bars, style))
}

fn counts(model: &Model, summary: &Summary) -> Vec<Span<'static>> {
    let theme = model.theme;
    let count = |status| summary.counts.get(&status).copied().unwrap_or(0);
    let (done, total) = done(summary);
    if total == 0 {
        return vec![Span::styled("no agenda", theme.dim())];
    }
    let filled = usize::try_from(done * BAR as u64 / total).unwrap_or(BAR);
    let mut spans = vec![
        Span::styled("━".repeat(filled), theme.good()),
        Span::styled("─".repeat(BAR - filled), theme.dim()),
        Span::raw(format!(" {done}/{total} ")),
    ];
    for status in ItemStatus::ALL {
        let of = count(status);
        if of > 0 {
            let (sign, style) = theme.item(status);
            spans.push(Span::styled(format!(" {sign}{of}"), style));
        }
    }
    spans
}

fn short_counts(model: &Model, summary: &Summary) -> Vec<Span<'static>> {
    let (done, total) = done(summary);
    let mut spans = vec![Span::raw(if total == 0 { String::new() } else { format!("{done}/{total}") })];
    let failed = summary.counts.get(&ItemStatus::Failed).copied().unwrap_or(0);
    if failed > 0 {
        let (sign, style) = model.theme.item(ItemStatus::Failed);
        spans.push(Span::styled(format!(" {sign}{failed}"), style));
    }
    spans
}

/// Items that have ended, and all of them.
fn done(summary: &Summary) -> (u64, u64) {
    summary.counts.iter().fold((0, 0), |(done, total), (status, count)| {
        let count = u64::from(*count);
        (if status.is_final() { done + count } else { done }, total + count)
    })
}

fn alerts(model: &Model, width: usize) -> Line<'static> {
    let alerts = model.alerts();
    let style = |alert: &Alert| match alert.kind {
        Kind::Good => model.theme.good(),
        Kind::Plain => model.theme.text(),
        Kind::Warn => model.theme.warn(),
        Kind::Loud => model.theme.loud(),
        Kind::Bad => model.theme.bad(),
    };
    if let [only] = alerts.as_slice()
        && matches!(only.kind, Kind::Good | Kind::Loud | Kind::Bad)
    {
        let said = text::left(&format!(" {}", only.said), width);
        let style = if only.kind == Kind::Loud { style(only) } else { model.theme.banner(only.kind == Kind::Good) };
        return Line::styled(said, style);
    }
    let mut line = Line::default();
    for (at, alert) in alerts.iter().enumerate() {
        line.push_span(Span::styled(if at == 0 { " ▲ " } else { "  ·  " }, model.theme.dim()));
        line.push_span(Span::styled(alert.said.clone(), style(alert)));
    }
    crate::tui::scroll::cut(&line, 0, width)
}

/// All in one row, for small terminals.
fn status_row(model: &Model, width: u16) -> Paragraph<'static> {
    let width = usize::from(width);
    if let Some(notice) = &model.notice {
        let style = if notice.bad { model.theme.bad() } else { model.theme.text() };
        return Paragraph::new(Line::styled(text::left(&notice.said, width), style));
    }
    if let Some(alert) = model.alerts().into_iter().find(|alert| matches!(alert.kind, Kind::Good | Kind::Bad)) {
        // There is no row for what else can be done.
        let leaves = if model.is_over() { " · q" } else { "" };
        let said = text::fit(&alert.said, width.saturating_sub(text::width(leaves)));
        let said = text::left(&format!("{said}{leaves}"), width);
        return Paragraph::new(Line::styled(said, model.theme.banner(alert.kind == Kind::Good)));
    }
    let mut left = vec![Part { weight: 9, spans: state(model).spans }];
    if let Some(summary) = &model.summary {
        if model.playback().is_some() {
            left.insert(0, part(8, "REPLAY", model.theme.warn().patch(model.theme.strong())));
        }
        left.push(Part { weight: 6, spans: short_counts(model, summary) });
        if summary.held.is_some() {
            left.push(part(7, "held", model.theme.warn()));
        }
        if summary.paused.is_some() {
            left.insert(0, part(8, "paused", model.theme.loud()));
        }
        if model.steering.is_unread() {
            left.insert(0, part(8, "timed out", model.theme.warn().patch(model.theme.strong())));
        }
        if let Some(ladder) = &summary.ladder {
            left.push(part(8, ladder.rung.word(), model.theme.warn()));
        }
        if let Some(verdict) = steering::verdict(model, summary) {
            left.push(part(5, verdict, model.theme.warn()));
        }
    }
    Paragraph::new(row(left, vec![part(5, "? help", model.theme.dim())], width))
}
