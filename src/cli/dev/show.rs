//! What the loop prints: lines for any terminal and any pipe.
//!
//! What must stay true: whatever a child said is made safe and bounded before it is printed; nothing is drawn over.

use super::difference::{Between, Change, all_steps, difference, groups, head, is_same, title};
use super::lane::Lane;
use super::outcome::{End, Fate, Outcome, Step};
use super::prompt::HELP;
use super::session::{Answer, Told};
use crate::cli::out::{Cell, Out, Table, Tone, length};
use crate::model::CommandOutcome;
use serde::Serialize;
use std::cell::RefCell;
use std::io;
use std::path::Path;

/// The most lines of a step's output, and of a traceback, that are shown; the last ones.
const SHOWN: usize = 20;
/// The most characters of a text in a step's line.
const TEXT: usize = 60;

/// Standard output, for the loop.
pub(super) struct Show {
    out: RefCell<Out>,
}

/// One interpreter's run, for `--json`.
#[derive(Serialize)]
struct ToldRun<'a> {
    name: &'a str,
    session: Option<&'a str>,
    code: u8,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

/// All of them.
#[derive(Serialize)]
struct ToldAll<'a> {
    what: &'a str,
    code: u8,
    runs: Vec<ToldRun<'a>>,
    groups: Vec<Vec<&'a str>>,
}

impl Told for Show {
    fn goes_on(&self, source: &str) {
        self.try_line(&format!("  …       {:<11} {}", "runs still", head(source)), Tone::Busy);
    }

    fn step(&self, step: &Step) {
        // A reader that has gone is noticed at the next line of ours.
        let _ = self.one_step(step);
        let _ = self.flush();
    }

    fn note(&self, note: &str) {
        self.try_line(&format!("  note    {}", note.lines().next().unwrap_or_default()), Tone::Busy);
    }
}

/// Tells nothing: of several runs at once only the ends are told.
pub(super) struct Silent;

impl Told for Silent {
    fn goes_on(&self, _: &str) {}
    fn step(&self, _: &Step) {}
    fn note(&self, _: &str) {}
}

impl Show {
    /// Standard output.
    pub(super) fn new() -> Self {
        Self { out: RefCell::new(Out::stdout()) }
    }

    /// Lines of ours, seen at once.
    pub(super) fn line(&self, text: &str) -> io::Result<()> {
        self.toned(text, Tone::Plain)
    }

    /// The same in a tone.
    pub(super) fn toned(&self, text: &str, tone: Tone) -> io::Result<()> {
        text.split('\n').try_for_each(|line| self.out.borrow_mut().toned_line(line, tone))?;
        self.flush()
    }

    /// The same of what must not stop what is told of.
    fn try_line(&self, text: &str, tone: Tone) {
        let _ = self.toned(text, tone);
    }

    /// The prompt; what stands there is typed after it.
    pub(super) fn prompt(&self, text: &str) -> io::Result<()> {
        self.out.borrow_mut().beginning(text)
    }

    fn flush(&self) -> io::Result<()> {
        self.out.borrow_mut().flush()
    }

    /// Prints with something else of this program's.
    pub(super) fn with(&self, print: impl FnOnce(&mut Out) -> io::Result<()>) -> io::Result<()> {
        print(&mut self.out.borrow_mut())?;
        self.flush()
    }

    // ---- start-ups ----------------------------------------------------------------------------------------------

    fn one_step(&self, step: &Step) -> io::Result<()> {
        let text: String = head(&step.text).chars().take(TEXT).collect();
        let took = step.took.map(length).unwrap_or_default();
        let line = format!("  {:<7} {:<11} {text:<46} {took:>7}", step.fate.word(), step.name());
        let tone = match step.fate {
            Fate::Ok => Tone::Plain,
            Fate::Failed => Tone::Bad,
            Fate::NotRun => Tone::Quiet,
        };
        self.out.borrow_mut().toned_line(line.trim_end(), tone)?;
        self.output(&step.output, step.more)?;
        if let Some(fault) = &step.fault {
            self.traceback(&fault.text)?;
        }
        Ok(())
    }

    fn output(&self, lines: &[String], more: bool) -> io::Result<()> {
        let left_out = lines.len().saturating_sub(SHOWN);
        let mut out = self.out.borrow_mut();
        if left_out > 0 || more {
            let at_least = if more { "more than " } else { "" };
            out.toned_line(&format!("          | … {at_least}{left_out} lines before"), Tone::Quiet)?;
        }
        lines[left_out..].iter().try_for_each(|line| out.line(&format!("          | {line}")))
    }

    fn traceback(&self, text: &str) -> io::Result<()> {
        let lines: Vec<_> = text.lines().collect();
        let left_out = lines.len().saturating_sub(2 * SHOWN);
        let mut out = self.out.borrow_mut();
        if left_out > 0 {
            out.toned_line(&format!("          … {left_out} lines before"), Tone::Quiet)?;
        }
        lines[left_out..].iter().try_for_each(|line| out.toned_line(&format!("          {line}"), Tone::Bad))
    }

    /// All of a start-up that was not told as it happened.
    pub(super) fn steps(&self, outcome: &Outcome) -> io::Result<()> {
        outcome.steps.iter().try_for_each(|step| self.one_step(step))?;
        outcome.notes.iter().for_each(|note| self.note(note));
        self.verdict(outcome)
    }

    /// The one line about it.
    pub(super) fn verdict(&self, outcome: &Outcome) -> io::Result<()> {
        let count = outcome.steps.iter().filter(|step| step.fate == Fate::Ok).count();
        let took = length(outcome.took());
        match &outcome.end {
            End::Ready => self.toned(&format!("ready: {count} steps in {took}"), Tone::Good),
            End::Over { code, reason } => {
                self.toned(&format!("not ready (exit code {code}): {}", first_line(reason)), Tone::Bad)
            }
        }
    }

    /// What is different from the run before.
    pub(super) fn changes(&self, before: &Outcome, now: &Outcome, whose: &str) -> io::Result<()> {
        let changes = difference(before, now, Between::Runs);
        if changes.is_empty() {
            return self.toned(&format!("{whose}as the last time"), Tone::Quiet);
        }
        self.toned(&format!("{whose}against the last time:"), Tone::Quiet)?;
        self.all_changes(&changes)
    }

    /// What is watched.
    pub(super) fn watched(&self, files: &[&Path]) -> io::Result<()> {
        const TOLD: usize = 8;
        let names = files.iter().take(TOLD).filter_map(|file| file.file_name()).map(|name| name.to_string_lossy());
        let mut names: Vec<_> = names.collect();
        if files.len() > TOLD {
            names.push(format!("{} more", files.len() - TOLD).into());
        }
        let names = if names.is_empty() { "nothing, there are no files".into() } else { names.join(", ") };
        self.toned(&format!("watched: {names}"), Tone::Quiet)
    }

    fn all_changes(&self, changes: &[Change]) -> io::Result<()> {
        changes.iter().try_for_each(|change| self.toned(&format!("  {}", change.text), change.tone))
    }

    /// Several start-ups side by side, and what is different between them.
    pub(super) fn several(&self, lanes: &[Lane]) -> io::Result<()> {
        let outcomes: Vec<&Outcome> = lanes.iter().filter_map(|lane| lane.last.as_ref()).collect();
        let names: Vec<&str> = ["STEP"].into_iter().chain(lanes.iter().map(|lane| lane.name.as_str())).collect();
        let mut table = Table::new(&names);
        for step in all_steps(&outcomes) {
            let cells = outcomes.iter().map(|outcome| {
                let found = outcome.steps.iter().find(|other| is_same(step, other));
                found.map_or_else(|| Cell::new("-", Tone::Quiet), cell)
            });
            table.row([Cell::from(title(step))].into_iter().chain(cells).collect());
        }
        let verdicts = outcomes.iter().map(|outcome| {
            let ready = Cell::new("ready", Tone::Good);
            if outcome.is_ready() { ready } else { Cell::new(format!("exit code {}", outcome.code()), Tone::Bad) }
        });
        table.row([Cell::from("outcome")].into_iter().chain(verdicts).collect());
        self.out.borrow_mut().table(&mut table)?;
        self.groups(lanes, &outcomes)
    }

    fn groups(&self, lanes: &[Lane], outcomes: &[&Outcome]) -> io::Result<()> {
        let mut groups = alike(outcomes);
        // What most of them say is what the others are compared with; of as many the first.
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        let names = |group: &[usize]| group.iter().map(|at| lanes[*at].name.as_str()).collect::<Vec<_>>().join(", ");
        let Some((first, others)) = groups.split_first() else { return Ok(()) };
        let Some(of_first) = first.first().map(|at| outcomes[*at]) else { return Ok(()) };
        self.line(&format!("same outcome: {}", names(first)))?;
        if !of_first.is_ready() {
            self.verdict(of_first)?;
        }
        self.faults(of_first)?;
        for group in others {
            self.line(&format!("other outcome: {}", names(group)))?;
            let Some(one) = group.first().map(|at| outcomes[*at]) else { continue };
            self.all_changes(&difference(of_first, one, Between::Interpreters))?;
            self.faults(one)?;
        }
        Ok(())
    }

    fn faults(&self, outcome: &Outcome) -> io::Result<()> {
        for step in &outcome.steps {
            // One line of it was told already.
            if let Some(fault) = step.fault.as_ref().filter(|fault| fault.text.lines().nth(1).is_some()) {
                self.toned(&format!("  {}", title(step)), Tone::Bad)?;
                self.traceback(&fault.text)?;
            }
        }
        Ok(())
    }

    /// As one JSON object.
    pub(super) fn json(&self, what: &str, lanes: &[Lane], code: u8) -> io::Result<()> {
        let with_outcome: Vec<(&Lane, &Outcome)> =
            lanes.iter().filter_map(|lane| Some((lane, lane.last.as_ref()?))).collect();
        let outcomes: Vec<&Outcome> = with_outcome.iter().map(|(_, outcome)| *outcome).collect();
        let name = |at: &usize| with_outcome[*at].0.name.as_str();
        let groups = alike(&outcomes).iter().map(|group| group.iter().map(name).collect()).collect();
        let runs = with_outcome.iter().map(|(lane, outcome)| ToldRun {
            name: &lane.name,
            session: lane.session_id(),
            code: outcome.code(),
            outcome,
        });
        let told = ToldAll { what, code, runs: runs.collect(), groups };
        self.out.borrow_mut().json(&told)?;
        self.flush()
    }

    // ---- the prompt ---------------------------------------------------------------------------------------------

    /// What a command came to.
    pub(super) fn answer(&self, answer: &Answer) -> io::Result<()> {
        let mut out = self.out.borrow_mut();
        if answer.more {
            out.toned_line("… lines before", Tone::Quiet)?;
        }
        answer.output.iter().try_for_each(|line| out.line(line))?;
        match &answer.outcome {
            CommandOutcome::Finished { value, cut } => {
                value.iter().flat_map(|value| value.lines()).try_for_each(|line| out.line(line))?;
                if let Some(whole) = cut {
                    out.toned_line(&format!("… the value has {whole} characters"), Tone::Quiet)?;
                }
            }
            CommandOutcome::Raised { exception, .. } => {
                let text = if exception.text.is_empty() { exception.headline(1000) } else { exception.text.clone() };
                text.lines().try_for_each(|line| out.toned_line(line, Tone::Bad))?;
            }
            CommandOutcome::Lost { reason } | CommandOutcome::Skipped { reason } => {
                out.toned_line(reason, Tone::Bad)?;
            }
        }
        out.flush()
    }

    /// What it came to in several interpreters: those of which the same is to be said together.
    pub(super) fn answers(&self, answers: &[(&str, Answer)]) -> io::Result<()> {
        let same = |a: &(&str, Answer), b: &(&str, Answer)| a.1.output == b.1.output && says_the_same(&a.1, &b.1);
        for group in groups(answers, same) {
            let names: Vec<_> = group.iter().map(|at| answers[*at].0).collect();
            self.toned(&format!("{}:", names.join(", ")), Tone::Busy)?;
            if let Some((_, answer)) = group.first().and_then(|at| answers.get(*at)) {
                self.answer(answer)?;
            }
        }
        Ok(())
    }

    /// What can be done at the prompt.
    pub(super) fn help(&self) -> io::Result<()> {
        HELP.iter().try_for_each(|(word, what)| self.line(&format!("  {word:<10} {what}")))?;
        self.line("  Ctrl-C     interrupt the running command; twice: end")?;
        self.line("All else is Python, run in the child; a file that is saved is heeded at once.")
    }
}

/// Of commands that raised the tracebacks differ between interpreters, and not what is meant.
fn says_the_same(a: &Answer, b: &Answer) -> bool {
    match (&a.outcome, &b.outcome) {
        (CommandOutcome::Raised { exception: a, .. }, CommandOutcome::Raised { exception: b, .. }) => {
            a.headline(usize::MAX) == b.headline(usize::MAX)
        }
        (a, b) => a == b,
    }
}

fn alike(outcomes: &[&Outcome]) -> Vec<Vec<usize>> {
    groups(outcomes, |a, b| difference(a, b, Between::Interpreters).is_empty() && a.code() == b.code())
}

fn cell(step: &Step) -> Cell {
    let took = step.took.map(|took| format!(" {}", length(took))).unwrap_or_default();
    match step.fate {
        Fate::Ok => Cell::new(format!("ok{took}"), Tone::Good),
        Fate::Failed => Cell::new(format!("failed{took}"), Tone::Bad),
        Fate::NotRun => Cell::new("not run", Tone::Quiet),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
