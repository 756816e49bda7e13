//! Where the child's time goes, as a tree and as a flame graph.

use super::empty;
use crate::model::hot::Counts;
use crate::tui::model::Model;
use crate::tui::panes::hot::{Call, HotPane};
use crate::tui::{scroll, text};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

/// Cells of a call's bar.
const BAR: usize = 8;
/// The narrowest pane with bars and the call's own share.
const WIDE: u16 = 60;

/// Draws the pane.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect, focused: bool) {
    let pane = &model.hot;
    let said = model.no_child().map(str::to_owned).filter(|_| !pane.loaded).or_else(|| pane.refused.clone());
    if pane.all() == 0 {
        let said = said.unwrap_or_else(|| match (pane.loaded, pane.active) {
            (false, _) => "looking where the time goes …".into(),
            (true, true) if pane.tree.samples > 0 => "every thread waits; a counts that too".into(),
            (true, _) => {
                pane.tree.ended.as_deref().map_or("no samples so far".into(), |why| text::one_line(why).into())
            }
        });
        sentence(model, frame, area, &said);
        return;
    }
    if pane.flame {
        flame(model, frame, area);
    } else {
        tree(model, frame, area, focused);
    }
}

/// A sentence that may need several rows.
fn sentence(model: &Model, frame: &mut Frame<'_>, area: Rect, said: &str) {
    if text::width(said) <= usize::from(area.width) {
        return empty(model, frame, area, said);
    }
    let line = Line::styled(said.to_owned(), model.theme.dim());
    for (at, row) in (0u16..area.height).zip(scroll::wrap(&line, usize::from(area.width))) {
        frame.render_widget(row, Rect { y: area.y + at, height: 1, ..area });
    }
}

fn tree(model: &Model, frame: &mut Frame<'_>, area: Rect, focused: bool) {
    let pane = &model.hot;
    let rows = pane.rows();
    let (top, selected) = (pane.top_of(&rows, area.height), pane.selected_row(&rows));
    for (at, (place, call)) in (0u16..area.height).zip(rows.iter().enumerate().skip(top)) {
        let Some(call) = pane.call(*call) else { continue };
        let row = Rect { y: area.y + at, height: 1, ..area };
        let line = tree_row(model, call, place == selected, area.width);
        frame.render_widget(scroll::cut(&line, 0, usize::from(area.width)), row);
        if place == selected && focused {
            frame.buffer_mut().set_style(row, model.theme.selected());
        }
    }
}

fn tree_row(model: &Model, call: &Call, selected: bool, width: u16) -> Line<'static> {
    let (pane, theme) = (&model.hot, model.theme);
    let (total, own) = (pane.count(call.total), pane.count(call.own));
    let mut line = Line::from(if selected { "›" } else { " " });
    if width >= WIDE {
        line.push_span(Span::styled(percent(pane, total), theme.strong()));
        line.push_span(Span::raw(if own > 0 { percent(pane, own) } else { " ".repeat(6) }));
        line.push_span(Span::raw(" "));
        line.spans.extend(bar(model, call));
    } else {
        line.push_span(Span::styled(format!("{:>3.0}%", pane.share(total) * 100.0), theme.strong()));
    }
    let deepest = usize::from(width) / 3;
    let sign = match (call.children.is_empty(), pane.is_open(call)) {
        (true, _) => "  ",
        (false, true) => "▾ ",
        (false, false) => "▸ ",
    };
    line.push_span(Span::styled(format!(" {}{sign}", " ".repeat(call.depth.min(deepest))), theme.dim()));
    line.push_span(Span::styled(text::one_line(&call.function).into_owned(), kind(model, call)));
    line.push_span(Span::styled(place(call), theme.dim()));
    line.push_span(Span::styled(doing(call.own), theme.dim()));
    line
}

/// Where a call is, as people look for it.
fn place(call: &Call) -> String {
    if call.file.is_empty() {
        return String::new();
    }
    let name = call.file.rsplit('/').next().unwrap_or(&call.file);
    format!(" {}:{}", text::one_line(name), call.line)
}

/// What it mostly did where it was the innermost, if that was not Python.
fn doing(own: Counts) -> &'static str {
    match own.all() {
        0 => "",
        all if own.idle * 2 > all => " waits",
        all if own.native * 2 > all => " native",
        _ => "",
    }
}

fn kind(model: &Model, call: &Call) -> Style {
    let theme = model.theme;
    match call.total.all() {
        all if call.total.idle * 2 > all => theme.text(),
        _ if call.parent.is_none() => theme.text().patch(theme.strong()),
        all if call.total.native * 2 > all => theme.accent(),
        _ => theme.good(),
    }
}

fn percent(pane: &HotPane, count: u64) -> String {
    format!("{:>5.1}%", pane.share(count) * 100.0)
}

/// What ran is full, what waited is thin.
fn bar(model: &Model, call: &Call) -> Vec<Span<'static>> {
    let (pane, theme) = (&model.hot, model.theme);
    let cells = |count: u64| cells_of(pane.share(count), BAR);
    let all = cells(pane.count(call.total));
    let ran = cells(call.total.active()).min(all);
    vec![
        Span::styled("█".repeat(ran), kind(model, call)),
        Span::styled("░".repeat(all - ran), theme.dim()),
        Span::raw(" ".repeat(BAR - all)),
    ]
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a screen"
)]
fn cells_of(share: f64, cells: usize) -> usize {
    (share.clamp(0.0, 1.0) * cells as f64).round() as usize
}

/// A row for each depth, the callers above; the last row names the selected call.
fn flame(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let pane = &model.hot;
    let selected = pane.current();
    let chosen = selected.and_then(|at| pane.call(at));
    let roots = pane.flame_roots();
    let first = roots.first().and_then(|at| pane.call(*at)).map_or(0, |call| call.depth);
    let graph = Rect { height: area.height.saturating_sub(1), ..area };
    // The selected call is always in sight.
    let depth = chosen.map_or(0, |call| call.depth.saturating_sub(first));
    let hidden = (depth + 2).saturating_sub(usize::from(graph.height.max(1)));
    let total: u64 = roots.iter().filter_map(|at| pane.call(*at)).map(|call| pane.count(call.total)).sum();
    let mut open: Vec<(usize, Rect)> = beside(pane, &roots, total, graph);
    while let Some((at, place)) = open.pop() {
        let Some(call) = pane.call(at) else { continue };
        let row = call.depth.saturating_sub(first);
        if row >= hidden + usize::from(graph.height) {
            continue;
        }
        if let Some(row) = row.checked_sub(hidden) {
            let place = Rect { y: graph.y + text::cells(row), height: 1, ..place };
            block(model, frame, call, place, selected == Some(at));
        }
        open.extend(beside(pane, &call.children, pane.count(call.total), place));
    }
    if let Some(call) = chosen.filter(|_| area.height > 0) {
        let shares = format!(
            "{} total{} own{}",
            percent(pane, pane.count(call.total)).trim_start(),
            percent(pane, pane.count(call.own)),
            doing(call.own)
        );
        let name = format!(" {}{}  ", text::one_line(&call.function), place(call));
        let line = Line::from(vec![Span::styled(name, model.theme.strong()), Span::raw(shares)]);
        let row = Rect { y: area.bottom() - 1, height: 1, ..area };
        frame.render_widget(scroll::cut(&line, 0, usize::from(area.width)), row);
    }
}

/// Where calls stand beside each other, whose caller has this place; those too short for a cell are left out.
#[expect(clippy::cast_precision_loss, reason = "a share of a screen")]
fn beside(pane: &HotPane, calls: &[usize], total: u64, place: Rect) -> Vec<(usize, Rect)> {
    let edge = |before: u64| {
        let cells = cells_of(before as f64 / (total as f64).max(1.0), usize::from(place.width));
        place.x + text::cells(cells)
    };
    let mut before = 0;
    let mut places = Vec::new();
    for at in calls {
        let x = edge(before);
        before += pane.call(*at).map_or(0, |call| pane.count(call.total));
        let width = edge(before).saturating_sub(x);
        if width > 0 {
            places.push((*at, Rect { x, width, ..place }));
        }
    }
    places
}

fn block(model: &Model, frame: &mut Frame<'_>, call: &Call, place: Rect, selected: bool) {
    let name = if place.width > 2 { text::one_line(&call.function).into_owned() } else { String::new() };
    let said = text::left(&format!("▏{name}"), usize::from(place.width));
    let style = kind(model, call).add_modifier(Modifier::REVERSED);
    let style = if selected {
        model.theme.strong().add_modifier(Modifier::UNDERLINED)
    } else if call.total.idle * 2 > call.total.all() {
        style.add_modifier(Modifier::DIM)
    } else {
        style
    };
    frame.buffer_mut().set_string(place.x, place.y, said, style);
}

/// What stands in the pane's border: how it is sampled, and what is counted.
#[expect(clippy::cast_precision_loss, reason = "for a picture")]
pub(super) fn notes(model: &Model) -> (String, String) {
    let pane = &model.hot;
    if !pane.loaded {
        return (String::new(), String::new());
    }
    let tree = &pane.tree;
    let paused = 100.0 * tree.paused.0 as f64 / (tree.span.0 as f64).max(1.0);
    let above = format!("{:.0}/s · paused {paused:.1} %", tree.rate);
    let ended =
        tree.ended.as_deref().or(pane.refused.as_deref()).map(|why| text::fit(&text::one_line(why), 60).into_owned());
    let counted = format!(
        "{} · {}{}",
        text::plural(tree.samples, "sample"),
        if pane.merged { "threads merged" } else { "by thread" },
        if pane.active { " · without waits" } else { "" }
    );
    (above, ended.unwrap_or(counted))
}
