//! All of one command, item, exception or diagnosis, over the panes. What is told is made into lines once; only those seen are
//! wrapped.

use crate::api::words;
use crate::model::about::About;
use crate::model::proto::{CommandDetail, LineAnchor, OutputPage};
use crate::model::state::ExceptionGroup;
use crate::model::{CommandId, CommandOutcome, Diagnosis, Exception, Frame, Micros};
use crate::tui::scroll::{Lines as _, Place, View};
use crate::tui::theme::Theme;
use crate::tui::{ansi, text, time};
use jiff::tz::TimeZone;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

mod item;

/// The most lines that are kept of one thing.
const MOST: usize = 20_000;
/// Before the selected line of those that can be, and before the others.
const MARK: &str = "› ";
const NO_MARK: &str = "  ";
/// How deep causes and groups are followed.
const DEPTH: usize = 12;
/// Lines of a command's output that are asked for.
pub(in crate::tui) const OUTPUT: u32 = 1000;

/// What is looked at.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum What {
    /// A command.
    Command(CommandId),
    /// A group of exceptions, by its place.
    Exception(u32),
    /// An item, by its name.
    Item(String),
    /// What the child does now: a diagnosis that is made for this.
    Why,
    /// A saved diagnosis, by its place.
    Diagnosis(u32),
    /// What runs the session.
    About,
}

impl What {
    /// Whether it is about what the child did or does.
    pub(in crate::tui) fn is_why(&self) -> bool {
        matches!(self, Self::Why | Self::Diagnosis(_))
    }
}

/// The overlay.
#[derive(Debug, Clone)]
pub(in crate::tui) struct Detail {
    /// What is looked at.
    pub(in crate::tui) what: What,
    /// Its name.
    pub(in crate::tui) title: String,
    /// All of it.
    pub(in crate::tui) lines: Vec<Line<'static>>,
    /// The first row seen.
    pub(in crate::tui) place: Place,
    /// Whether long lines are wrapped.
    pub(in crate::tui) wrap: bool,
    /// First cell of lines that are not wrapped.
    pub(in crate::tui) left: usize,
    /// The command to which its output belongs.
    pub(in crate::tui) command: Option<CommandId>,
    /// Lines that tell of a place in the output, in order.
    pub(in crate::tui) places: Vec<(usize, LineAnchor)>,
    /// Which of them is selected.
    pub(in crate::tui) selected: Option<usize>,
    /// Whether it may change yet.
    pub(in crate::tui) live: bool,
    /// Whether it is to be asked for.
    pub(in crate::tui) stale: bool,
    /// Wall time since when a diagnosis is being made.
    pub(in crate::tui) looking: Option<Micros>,
    /// The place of the diagnosis that is shown, once known.
    pub(in crate::tui) saved: Option<u32>,
    /// What is shown, if it is one.
    pub(in crate::tui) diagnosis: Option<Box<Diagnosis>>,
    told: Option<Box<CommandDetail>>,
    output: Option<OutputPage>,
}

impl Detail {
    /// Nothing known of it yet.
    pub(in crate::tui) fn new(what: What) -> Self {
        let title = match &what {
            What::Command(id) => format!("command {id}"),
            What::Exception(place) => format!("exception {}", place + 1),
            What::Item(name) => format!("item {}", text::one_line(name)),
            What::Why => "why".into(),
            What::Diagnosis(place) => format!("why: diagnosis {}", place + 1),
            What::About => "what runs this".into(),
        };
        Self {
            live: !what.is_why() && what != What::About,
            saved: if let What::Diagnosis(place) = what { Some(place) } else { None },
            looking: None,
            diagnosis: None,
            command: if let What::Command(id) = what { Some(id) } else { None },
            what,
            title,
            lines: Vec::new(),
            places: Vec::new(),
            selected: None,
            place: Place::default(),
            wrap: true,
            left: 0,
            stale: true,
            told: None,
            output: None,
        }
    }

    /// How the lines are laid into a room of this size.
    pub(in crate::tui) fn view(&self, room: (u16, u16)) -> View {
        View {
            width: usize::from(room.0),
            height: usize::from(room.1),
            wrap: self.wrap,
            words: self.what.is_why() || self.what == What::About,
            left: self.left,
        }
    }

    /// Scrolls by rows: negative is up.
    pub(in crate::tui) fn scroll(&mut self, by: i64, room: (u16, u16)) {
        let view = self.view(room);
        let rows = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
        let lines = self.lines.as_slice();
        self.place = if by < 0 { view.up(lines, self.place, rows) } else { view.down(lines, self.place, rows) };
    }

    /// Selects the next place in the output that is told of, or the one before, and has it seen.
    pub(in crate::tui) fn select(&mut self, forward: bool, room: (u16, u16)) {
        let Some(last) = self.places.len().checked_sub(1) else { return };
        self.selected = Some(match (self.selected, forward) {
            (None, true) => 0,
            (None, false) => last,
            (Some(at), true) => {
                if at < last {
                    at + 1
                } else {
                    0
                }
            }
            (Some(at), false) => at.checked_sub(1).map_or(last, |before| before.min(last)),
        });
        self.mark();
        if let Some(line) = self.selected_line() {
            let view = self.view(room);
            let (top, lines) = (Place { line, row: 0 }, self.lines.as_slice());
            let bottom = view.up(lines, top, view.height.saturating_sub(view.rows(lines, line)));
            // Not further than it takes.
            self.place = self.place.clamp(bottom.min(top), top).min(view.last(lines));
        }
    }

    fn selected_line(&self) -> Option<usize> {
        self.places.get(self.selected?).map(|(line, _)| *line)
    }

    /// The selected place in the output.
    pub(in crate::tui) fn selected_place(&self) -> Option<LineAnchor> {
        self.places.get(self.selected?).map(|(_, anchor)| *anchor)
    }

    /// Marks the selected line, and no other.
    fn mark(&mut self) {
        let selected = self.selected_line();
        for (line, _) in &self.places {
            if let Some(sign) = self.lines.get_mut(*line).and_then(|line| line.spans.first_mut()) {
                sign.content = if selected == Some(*line) { MARK } else { NO_MARK }.into();
            }
        }
    }

    /// All of it as text.
    pub(in crate::tui) fn text(&self) -> String {
        let lines = (0..self.lines.as_slice().count()).map(|at| self.lines[at].to_string());
        lines.collect::<Vec<_>>().join("\n")
    }

    /// A command's answer came.
    pub(in crate::tui) fn take_command(&mut self, detail: Box<CommandDetail>, theme: Theme, zone: &TimeZone) {
        self.live = !detail.view.row.state.is_final();
        self.told = Some(detail);
        self.tell_command(theme, zone);
    }

    /// Its output came.
    pub(in crate::tui) fn take_output(&mut self, page: OutputPage, theme: Theme, zone: &TimeZone) {
        self.output = Some(page);
        self.tell_command(theme, zone);
    }

    /// An exception's answer came.
    pub(in crate::tui) fn take_exception(
        &mut self,
        group: &ExceptionGroup,
        exception: &Exception,
        theme: Theme,
        zone: &TimeZone,
    ) {
        let mut told = Told::new(theme);
        let times = format!(
            "{}, first at {}, last at {}",
            text::plural(group.count, "time"),
            time::clock(group.first, zone),
            time::clock(group.last, zone)
        );
        told.fact("raised", &times, theme.text());
        if let Some(command) = group.command {
            told.fact("last by", &format!("command {command}"), theme.text());
        }
        told.blank();
        told.exception(exception, 0);
        self.command = group.command;
        self.live = false;
        self.lines = told.lines;
    }

    /// What runs the session came.
    pub(in crate::tui) fn take_about(&mut self, about: &About, theme: Theme) {
        let mut told = Told::new(theme);
        for (at, (title, facts)) in words::about(about).into_iter().enumerate() {
            if at > 0 {
                told.blank();
            }
            told.push(Line::styled(title, theme.accent()));
            let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default() + 2;
            for (name, value) in facts {
                let name = Span::styled(text::left(&name, width), theme.dim());
                told.push(Line::from(vec![name, Span::styled(value, theme.text())]));
            }
        }
        self.lines = told.lines;
    }

    /// A diagnosis came.
    pub(in crate::tui) fn take_diagnosis(&mut self, diagnosis: Box<Diagnosis>) {
        self.looking = None;
        self.command = diagnosis.session.command;
        self.title = format!("why: {}", diagnosis.verdict.doing.word());
        self.place = Place::default();
        self.diagnosis = Some(diagnosis);
    }

    /// A diagnosis says how long ago it was made: time has passed.
    pub(in crate::tui) fn tell_diagnosis(&mut self, now: Micros, theme: Theme, zone: &TimeZone) {
        if let Some(diagnosis) = &self.diagnosis {
            self.lines = super::why::lines(diagnosis, now, theme, zone);
        }
    }

    fn tell_command(&mut self, theme: Theme, zone: &TimeZone) {
        let Some(detail) = &self.told else { return };
        let mut told = Told::new(theme);
        let row = &detail.view.row;
        let (sign, style) = theme.command(row.state);
        told.fact("state", &format!("{sign} {}", row.state.word()), style);
        let whose = match (&detail.view.item_name, &detail.view.by) {
            (Some(item), _) => format!("{} {}", row.phase.word(), item),
            (None, Some(by)) => format!("{}: {} with {} on {}", row.phase.word(), by.user, by.client, by.host),
            (None, None) => row.phase.word().to_owned(),
        };
        told.fact("for", &text::one_line(&whose), theme.text());
        told.fact("queued", &time::day_and_clock(row.queued, zone), theme.text());
        if row.took.0 > 0 {
            told.fact("took", &text::took(row.took), theme.text());
        }
        told.heading("source");
        told.source(&detail.source);
        if detail.cut {
            told.note("the rest of the text was left out");
        }
        match &detail.outcome {
            Some(CommandOutcome::Finished { value: Some(value), cut }) => {
                told.heading("value");
                told.text(value, theme.text());
                if let Some(whole) = cut {
                    told.note(&format!("cut; the whole has {whole} characters"));
                }
            }
            Some(CommandOutcome::Raised { exception, exit }) => {
                told.heading("exception");
                if let Some(code) = exit {
                    told.note(&format!("asked to exit with code {code}"));
                }
                told.exception(exception, 0);
            }
            Some(CommandOutcome::Lost { reason } | CommandOutcome::Skipped { reason }) => {
                told.heading("because");
                told.text(reason, theme.warn());
            }
            Some(CommandOutcome::Finished { value: None, .. }) | None => {}
        }
        if let Some(page) = &self.output {
            told.output(page);
        }
        self.lines = told.lines;
    }
}

/// Lines that are being made, with what they have in common.
pub(super) struct Told {
    pub(super) theme: Theme,
    pub(super) lines: Vec<Line<'static>>,
}

impl Told {
    pub(super) fn new(theme: Theme) -> Self {
        Self { theme, lines: Vec::new() }
    }

    fn push(&mut self, line: Line<'static>) {
        match self.lines.len() {
            0..MOST => self.lines.push(line),
            MOST => {
                self.lines.push(Line::styled("… there is more; `childminder log` has all of it", self.theme.warn()));
            }
            _ => {}
        }
    }

    fn blank(&mut self) {
        self.push(Line::default());
    }

    fn fact(&mut self, name: &str, value: &str, style: Style) {
        self.push(Line::from(vec![
            Span::styled(text::left(name, 10), self.theme.dim()),
            Span::styled(value.to_owned(), style),
        ]));
    }

    pub(super) fn heading(&mut self, name: &str) {
        self.blank();
        self.push(Line::styled(name.to_owned(), self.theme.accent()));
    }

    pub(super) fn note(&mut self, note: &str) {
        self.push(Line::styled(note.to_owned(), self.theme.dim()));
    }

    pub(super) fn text(&mut self, said: &str, style: Style) {
        for line in text::many_lines(said) {
            self.push(Line::styled(line, style));
        }
    }

    fn list(&mut self, name: &str, entries: &[String], style: Style) {
        if entries.is_empty() {
            return;
        }
        self.heading(name);
        for entry in entries {
            self.push(Line::styled(format!("  {}", text::one_line(entry)), style));
        }
    }

    fn source(&mut self, source: &str) {
        let lines = text::many_lines(source);
        let digits = lines.len().to_string().len();
        for (at, line) in lines.into_iter().enumerate() {
            self.push(Line::from(vec![
                Span::styled(format!("{:>digits$} ", at + 1), self.theme.dim()),
                Span::raw(line),
            ]));
        }
    }

    fn output(&mut self, page: &OutputPage) {
        self.heading("output");
        if page.lines.is_empty() {
            self.note("it printed nothing");
        }
        for line in &page.lines {
            self.push(ansi::styled(&line.text, self.theme.text(), self.theme.colour));
        }
        if !page.at_end {
            self.note("more follows; `o` shows it in the output pane");
        }
    }

    /// As Python tells it: what came first stands first.
    fn exception(&mut self, exception: &Exception, depth: usize) {
        if depth >= DEPTH {
            self.note("… more causes were left out");
            return;
        }
        if let Some(cause) = &exception.cause {
            self.exception(cause, depth + 1);
            self.link("was the direct cause of");
        } else if let Some(context) = &exception.context {
            self.exception(context, depth + 1);
            self.link("was being handled when this was raised");
        }
        for frame in &exception.frames {
            self.frame(frame);
        }
        let kind = text::one_line(&exception.kind).into_owned();
        let mut message = text::many_lines(&exception.message).into_iter();
        let mut headline = vec![Span::styled(kind, self.theme.bad().patch(self.theme.strong()))];
        if let Some(first) = message.next() {
            headline.push(Span::styled(format!(": {first}"), self.theme.bad()));
        }
        self.push(Line::from(headline));
        for line in message {
            self.push(Line::styled(line, self.theme.bad()));
        }
        for note in &exception.notes {
            self.text(note, self.theme.warn());
        }
        for (at, member) in exception.group.iter().enumerate() {
            self.heading(&format!("member {} of {}", at + 1, exception.group.len()));
            self.exception(member, depth + 1);
        }
        if exception.cut {
            self.note("the child left a part of it out");
        }
    }

    fn link(&mut self, how: &str) {
        self.blank();
        self.push(Line::styled(format!("↓ {how}"), self.theme.warn()));
        self.blank();
    }

    fn frame(&mut self, frame: &Frame) {
        let mut place = vec![
            Span::raw(text::one_line(&frame.file).into_owned()),
            Span::styled(format!(":{}", frame.line), self.theme.accent()),
        ];
        if !frame.function.is_empty() {
            place.push(Span::styled(format!("  in {}", text::one_line(&frame.function)), self.theme.dim()));
        }
        self.push(Line::from(place));
        if !frame.source.is_empty() {
            let source = format!("  │ {}", text::one_line(frame.source.trim()));
            self.push(Line::styled(source, self.theme.strong()));
        }
        for (name, value) in frame.locals.iter().flatten() {
            let local = format!("  · {} = {}", text::one_line(name), text::one_line(value));
            self.push(Line::styled(local, self.theme.dim()));
        }
    }
}
