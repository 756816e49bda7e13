//! A diagnosis as lines: the words are the same for all who show it, what stands out of them is told here.

use super::detail::Told;
use crate::api::words::{self, Part, Section};
use crate::model::diagnosis::Place;
use crate::model::{Diagnosis, Doing, Micros};
use crate::tui::theme::Theme;
use jiff::tz::TimeZone;
use ratatui::style::Style;
use ratatui::text::Line;

/// All of it; `now` is what "ago" counts from.
pub(super) fn lines(diagnosis: &Diagnosis, now: Micros, theme: Theme, zone: &TimeZone) -> Vec<Line<'static>> {
    let mut told = Told::new(theme);
    for section in words::diagnosis(diagnosis, now, zone) {
        if section.part != Part::Verdict {
            told.heading(section.part.title());
        }
        match section.part {
            Part::Verdict => verdict(&mut told, &section),
            Part::Python => python(&mut told, &section, place(&diagnosis.verdict.doing)),
            Part::System | Part::Session => plain(&mut told, &section, theme.text()),
            Part::Missing => plain(&mut told, &section, theme.warn()),
        }
    }
    told.lines
}

fn plain(told: &mut Told, section: &Section, style: Style) {
    for line in &section.lines {
        told.text(line, style);
    }
}

/// The sentence, how far to believe it, and what can be done.
fn verdict(told: &mut Told, section: &Section) {
    let theme = told.theme;
    for (at, line) in section.lines.iter().enumerate() {
        match at {
            0 => told.text(line, theme.strong()),
            1 => told.note(line),
            _ => told.text(&format!("→ {line}"), theme.accent()),
        }
    }
}

/// The line of user code that a verdict is about.
fn place(doing: &Doing) -> Option<&Place> {
    match doing {
        Doing::Looping { at } | Doing::Lock { at, .. } | Doing::Sleeping { at } => Some(at),
        _ => None,
    }
}

/// Threads stand at the margin, their frames are indented, and what belongs to a frame more so.
fn python(told: &mut Told, section: &Section, at: Option<&Place>) {
    let theme = told.theme;
    let marked = marked(&section.lines, at);
    let mut locals = false;
    for (at, line) in section.lines.iter().enumerate() {
        locals = is_frame(line) && line.trim_start().starts_with("local variables") || (locals && is_deeper(line));
        if marked == Some(at) {
            told.text(&format!("▸{}", line.get(1..).unwrap_or_default()), theme.warn().patch(theme.strong()));
        } else if is_deeper(line) {
            let of_marked = marked.is_some_and(|marked| marked + 1 == at);
            told.text(line, if locals || of_marked { theme.text() } else { theme.dim() });
        } else if is_frame(line) {
            told.text(line, theme.text());
        } else {
            let thread = line.starts_with("main thread") || line.starts_with("thread ");
            told.text(line, if thread { theme.strong() } else { theme.dim() });
        }
    }
}

fn is_frame(line: &str) -> bool {
    line.starts_with("  ") && !is_deeper(line)
}

fn is_deeper(line: &str) -> bool {
    line.starts_with("    ")
}

/// The frame that matters most: the verdict's own line, else the main thread's innermost one.
fn marked(lines: &[String], at: Option<&Place>) -> Option<usize> {
    let said = at.map(|at| format!("  {at}"));
    let named = said.and_then(|said| {
        lines.iter().rposition(|line| {
            line.strip_prefix(&said).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    });
    named.or_else(|| {
        let main = lines.iter().position(|line| line.starts_with("main thread"))?;
        let frames = lines[main + 1..].iter().take_while(|line| line.starts_with("  "));
        let innermost = frames.enumerate().filter(|(_, line)| is_frame(line) && line.contains(':')).last();
        innermost.map(|(at, _)| main + 1 + at)
    })
}
