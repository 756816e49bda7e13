//! All of an item: how it stands, what it has made, what its output had in it, and its commands.

use super::{Detail, NO_MARK, Told};
use crate::model::proto::{ItemDetail, LineAnchor};
use crate::model::{Finding, Found, Measure, OutputFile, Severity};
use crate::tui::theme::Theme;
use crate::tui::{text, time};
use jiff::tz::TimeZone;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Cells of the bar that shows how far it is.
const BAR: usize = 20;
/// The most cells that a column of names takes.
const NAMES: usize = 24;

impl Detail {
    /// An item's answer came.
    pub(in crate::tui) fn take_item(&mut self, item: &ItemDetail, theme: Theme, zone: &TimeZone) {
        let mut told = Told::new(theme);
        told.standing(item, zone);
        self.places = told.findings(&item.result.found);
        told.outputs(item);
        told.list("errors", &item.result.other_errors(), theme.bad());
        told.list("highlights", &item.result.highlights, theme.warn());
        told.values(item);
        let data: Vec<String> = item.data.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        told.list("data", &data, theme.text());
        told.commands(item);
        self.command = item.view.row.first_command;
        self.live = !item.view.row.status.is_final();
        self.lines = told.lines;
        self.mark();
    }
}

impl Told {
    fn standing(&mut self, item: &ItemDetail, zone: &TimeZone) {
        let (theme, row) = (self.theme, &item.view.row);
        let (sign, style) = theme.item(row.status);
        self.fact("status", &format!("{sign} {}", row.status.word()), style);
        self.fact("attempts", &row.attempt.to_string(), theme.text());
        if row.took.0 > 0 {
            self.fact("took", &text::took(row.took), theme.text());
        }
        if let Some(fraction) = row.progress.filter(|fraction| fraction.is_finite()) {
            self.progress(fraction.clamp(0.0, 1.0), style);
        }
        if let Some(again) = item.view.again {
            self.fact("next try", &time::clock(again, zone), theme.warn());
        }
        if let Some(reason) = &item.reason {
            self.fact("because", &text::one_line(reason), theme.bad());
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of twenty")]
    fn progress(&mut self, fraction: f32, style: Style) {
        let filled = ((fraction * 20.0).round() as usize).min(BAR);
        self.push(Line::from(vec![
            Span::styled(text::left("progress", 10), self.theme.dim()),
            Span::styled("━".repeat(filled), style),
            Span::styled("─".repeat(BAR - filled), self.theme.dim()),
            Span::raw(format!(" {:.0}%", fraction * 100.0)),
        ]));
    }

    /// What patterns found, with the places of the lines that tell it.
    fn findings(&mut self, found: &[Finding]) -> Vec<(usize, LineAnchor)> {
        let mut places = Vec::new();
        if found.is_empty() {
            return places;
        }
        self.heading("found in the output");
        if let Some(heading) = self.lines.last_mut() {
            heading.push_span(Span::styled(" · n selects, o goes there", self.theme.dim()));
        }
        let names = width_of(found.iter().map(|found| found.pattern.as_str()));
        for found in found {
            let Found::Error { severity } = found.what else { continue };
            let style = match severity {
                Severity::Note => self.theme.text(),
                Severity::Warn => self.theme.warn(),
                Severity::FailItem | Severity::FailSession => self.theme.bad(),
            };
            places.push((self.lines.len(), LineAnchor { stream: found.stream, offset: found.at }));
            self.push(Line::from(vec![
                Span::raw(NO_MARK),
                Span::styled(text::left(severity.word(), 8), style),
                Span::styled(format!("{}  ", text::left(&text::one_line(&found.pattern), names)), self.theme.dim()),
                Span::raw(text::one_line(&found.text).into_owned()),
            ]));
        }
        places
    }

    fn outputs(&mut self, item: &ItemDetail) {
        let result = &item.result;
        if result.files.is_empty() {
            self.list("outputs", &result.output_paths, self.theme.text());
            return;
        }
        self.heading("outputs");
        for file in &result.files {
            self.file(file);
        }
    }

    fn file(&mut self, file: &OutputFile) {
        let theme = self.theme;
        let (sign, style) = if file.problem.is_some() { ("✗", theme.bad()) } else { ("✓", theme.good()) };
        let path = file.path.to_string_lossy();
        let mut line =
            Line::from(vec![Span::styled(format!("  {sign} "), style), Span::raw(text::one_line(&path).into_owned())]);
        line.spans.extend(file.known().iter().map(|known| {
            let known = format!("  {}", text::one_line(known));
            Span::styled(known, theme.dim())
        }));
        self.push(line);
        if let Some(problem) = &file.problem {
            self.push(Line::styled(format!("    {}", text::one_line(problem)), style));
        }
    }

    fn values(&mut self, item: &ItemDetail) {
        if item.result.values.is_empty() {
            return;
        }
        self.heading("values");
        let names = width_of(item.result.values.keys().map(String::as_str));
        for (name, value) in &item.result.values {
            let value = Measure::told(item.measures.get(name).copied(), value);
            self.push(Line::from(vec![
                Span::styled(format!("  {}  ", text::left(&text::one_line(name), names)), self.theme.dim()),
                Span::raw(text::one_line(&value).into_owned()),
            ]));
        }
    }

    fn commands(&mut self, item: &ItemDetail) {
        for (at, command) in item.commands.iter().enumerate() {
            self.heading(&format!("command {} of {}", at + 1, item.commands.len()));
            if let (Some(ran), Some(heading)) = (item.ran.get(at), self.lines.last_mut()) {
                let (sign, style) = self.theme.command(ran.state);
                let took = if ran.took.0 > 0 { format!(" after {}", text::took(ran.took)) } else { String::new() };
                heading.push_span(Span::styled(format!(" · {sign} {}{took}", ran.state.word()), style));
            }
            self.source(command);
        }
    }
}

/// Cells of a column with these names in it.
fn width_of<'n>(names: impl Iterator<Item = &'n str>) -> usize {
    names.map(|name| text::width(&text::one_line(name))).max().unwrap_or_default().min(NAMES)
}
