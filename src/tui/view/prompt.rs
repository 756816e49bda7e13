//! The prompt: what came back, matches, and the editor. Its border says whom it injects into.

use crate::model::ChildState;
use crate::tui::model::Model;
use crate::tui::panes::prompt::{Fate, Injected};
use crate::tui::{scroll, text};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

/// The prompt's own sign when the backend has none.
const SIGN: &str = ">>> ";

/// The border's title.
pub(super) fn title(model: &Model, focused: bool) -> Line<'static> {
    let theme = model.theme;
    let whom = match model.summary.as_ref().map(|summary| (summary, &summary.child)) {
        Some((summary, ChildState::Connected { hello, .. })) => {
            let name = if hello.application.name.is_empty() { &summary.backend } else { &hello.application.name };
            format!("inject → {} (pid {})", text::fit(&text::one_line(name), 24), hello.pid)
        }
        Some(_) => "inject → no child".into(),
        None => "inject".into(),
    };
    let whom = match model.only_looks() {
        Some(_) if model.read_only => "read-only: nothing can be injected".into(),
        Some(why) => format!("inject → nobody ({why})"),
        None => whom,
    };
    let style = if focused {
        theme.inject().add_modifier(Modifier::REVERSED)
    } else {
        theme.strong().remove_modifier(Modifier::DIM)
    };
    Line::from(vec![Span::styled(format!(" 6 {whom} "), style)])
}

/// What stands at the bottom of its border: of many lines, how many are out of sight. The editor knows that once it is
/// drawn.
pub(super) fn note(model: &Model, area: Rect) -> String {
    if model.prompt.checking.is_some() {
        return "asking the child whether it is complete …".into();
    }
    let lines = model.prompt.editor.lines().len();
    if lines < 2 {
        return String::new();
    }
    let above = usize::from(model.prompt.editor.scroll_offset().0).min(lines);
    let below = (lines - above).saturating_sub(usize::from(editor_rows(model, area)));
    let mut note = format!("{lines} lines");
    if above > 0 {
        note = format!("{note} · ↑ {above} above");
    }
    if below > 0 {
        note = format!("{note} · ↓ {below} below");
    }
    note
}

fn editor_rows(model: &Model, area: Rect) -> u16 {
    let extra = u16::from(model.prompt.completion.is_some());
    text::cells(model.prompt.editor_rows()).min(area.height.saturating_sub(extra).max(1))
}

/// Draws it.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect, focused: bool) {
    let width = usize::from(area.width);
    let completion = completion_row(model, width);
    let extra = u16::from(completion.is_some());
    let editor_rows = editor_rows(model, area);
    let room = area.height.saturating_sub(editor_rows + extra);
    let transcript = transcript(model, width, usize::from(room));
    // In a zoomed prompt the editor follows what came back, as in a shell.
    let used = text::cells(transcript.len());
    for (at, line) in (0u16..).zip(transcript) {
        frame.render_widget(line, Rect { y: area.y + at, height: 1, ..area });
    }
    if let Some(row) = completion {
        frame.render_widget(row, Rect { y: area.y + used, height: 1, ..area });
    }
    let editor = Rect { y: area.y + used + extra, height: editor_rows, ..area };
    draw_editor(model, frame, editor, focused);
}

fn sign(model: &Model) -> String {
    let sign = model.summary.as_ref().map(|summary| text::one_line(&summary.prompt).into_owned()).unwrap_or_default();
    if sign.trim().is_empty() { SIGN.into() } else { text::fit(&sign, 20).into_owned() }
}

fn draw_editor(model: &Model, frame: &mut Frame<'_>, area: Rect, focused: bool) {
    let theme = model.theme;
    let sign = sign(model);
    let indent = text::cells(text::width(&sign)).min(area.width / 2);
    let sign_style = if focused { theme.inject() } else { theme.dim() };
    frame.render_widget(Span::styled(sign, sign_style), Rect { width: indent, height: area.height.min(1), ..area });
    let area = Rect { x: area.x + indent, width: area.width - indent, ..area };
    let deaf = model.only_looks();
    if model.prompt.is_blank() && (!focused || deaf.is_some()) {
        let hint = deaf.unwrap_or("press i to type a command");
        frame.render_widget(Span::styled(text::fit(hint, usize::from(area.width)).into_owned(), theme.dim()), area);
        return;
    }
    frame.render_widget(&model.prompt.editor, area);
    if focused && model.overlay.is_none() && deaf.is_none() {
        let cursor = model.prompt.editor.screen_cursor();
        let (top, left) = model.prompt.editor.scroll_offset();
        let x = area.x.saturating_add(text::cells(cursor.col).saturating_sub(left));
        let y = area.y.saturating_add(text::cells(cursor.row).saturating_sub(top));
        if area.contains(Position { x, y }) {
            frame.set_cursor_position(Position { x, y });
        }
    }
}

fn completion_row(model: &Model, width: usize) -> Option<Line<'static>> {
    let completion = model.prompt.completion.as_ref()?;
    let mut line = Line::default();
    let first = completion.at.unwrap_or(0).saturating_sub(2);
    for (at, word) in completion.matches.iter().enumerate().skip(first).take(40) {
        let style = if completion.at == Some(at) { model.theme.selected() } else { model.theme.accent() };
        line.push_span(Span::styled(word.clone(), style));
        line.push_span(Span::raw("  "));
    }
    Some(scroll::cut(&line, 0, width))
}

/// The last rows of what was injected and what came back.
fn transcript(model: &Model, width: usize, room: usize) -> Vec<Line<'static>> {
    let mut rows: Vec<Line<'static>> = Vec::new();
    let entries = if model.zoom { model.prompt.transcript.len() } else { 1 };
    for entry in model.prompt.transcript.iter().rev().take(entries) {
        if rows.len() >= room {
            break;
        }
        let mut told = told(model, entry, width);
        if told.len() > room.saturating_sub(rows.len()) && !model.zoom && room > 1 {
            told.truncate(room - 1);
            told.push(Line::styled("… 2 Enter shows all of it", model.theme.dim()));
        }
        rows.splice(0..0, told);
    }
    let surplus = rows.len().saturating_sub(room);
    rows.drain(..surplus);
    rows
}

fn told(model: &Model, entry: &Injected, width: usize) -> Vec<Line<'static>> {
    let theme = model.theme;
    let source = text::one_line(entry.source.trim_end()).into_owned();
    let echo = |room: usize| Span::styled(format!("{}{}", sign(model), text::fit(&source, room)), theme.dim());
    let taken = text::width(&sign(model));
    let beside = |said: Span<'static>| {
        let room = width.saturating_sub(taken + said.width() + 3).max(8);
        vec![scroll::cut(&Line::from(vec![echo(room), Span::raw("  "), said]), 0, width)]
    };
    match &entry.fate {
        Fate::Waiting if entry.beside => beside(Span::styled("► running beside the main thread", theme.busy())),
        Fate::Waiting => beside(Span::styled("► running", theme.busy())),
        Fate::Value(None) => beside(Span::styled("✓ done", theme.good())),
        Fate::Value(Some(value)) if !value.contains('\n') && text::width(value) + taken + 12 <= width => {
            let said = Span::styled(format!("= {}", text::one_line(value)), theme.good().patch(theme.strong()));
            beside(said)
        }
        Fate::Value(Some(value)) => {
            let mut rows = vec![Line::from(echo(width.saturating_sub(taken)))];
            let lines = text::many_lines(value).into_iter().take(500);
            rows.extend(lines.map(|line| scroll::cut(&Line::styled(line, theme.good()), 0, width)));
            rows
        }
        Fate::Raised(said) => beside_or_below(model, entry, &format!("✗ {said}"), width, theme.bad()),
        Fate::Not(said) => beside_or_below(model, entry, &format!("? {said}"), width, theme.warn()),
    }
}

fn beside_or_below(
    model: &Model,
    entry: &Injected,
    said: &str,
    width: usize,
    style: ratatui::style::Style,
) -> Vec<Line<'static>> {
    let said = text::one_line(said).into_owned();
    let source = text::one_line(entry.source.trim_end()).into_owned();
    let echo = text::fit(&source, (width / 3).max(8)).into_owned();
    let line = Line::from(vec![
        Span::styled(format!("{}{echo}", sign(model)), model.theme.dim()),
        Span::raw("  "),
        Span::styled(said, style),
    ]);
    vec![scroll::cut(&line, 0, width)]
}
