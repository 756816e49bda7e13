//! The prompt: an editor whose text goes into the child, what was typed before, and what came back.

use crate::model::proto::CommandDetail;
use crate::model::{CommandId, CommandOutcome, Exception};
use crate::tui::text;
use crossterm::event::Event;
use ratatui_textarea::{CursorMove, TextArea};
use std::collections::VecDeque;

/// Entries of the transcript that are kept.
const TRANSCRIPT: usize = 200;
/// Entries of the history that are kept.
pub(in crate::tui) const HISTORY: usize = 1000;
/// Events kept while the child is asked whether a text is complete.
const DEFERRED: usize = 4096;
/// Rows that the editor asks for at most; the layout gives the prompt no more than a third of the screen.
const EDITOR_ROWS: usize = 30;

/// What became of an injected command.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Fate {
    /// Not known yet.
    Waiting,
    /// It ended; the value's repr.
    Value(Option<String>),
    /// It raised.
    Raised(String),
    /// It was not run, or nobody knows.
    Not(String),
}

/// A command injected from this window.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Injected {
    /// Its number in this window.
    pub(in crate::tui) number: u64,
    /// What was typed.
    pub(in crate::tui) source: String,
    /// Whether it is run beside the main thread.
    pub(in crate::tui) beside: bool,
    /// What became of it.
    pub(in crate::tui) fate: Fate,
    /// Its number in the session, once known.
    pub(in crate::tui) command: Option<CommandId>,
}

/// Matches for the word before the cursor.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Completion {
    /// Where the word begins, in characters of the line.
    pub(in crate::tui) start: usize,
    /// Whole words, made safe.
    pub(in crate::tui) matches: Vec<String>,
    /// The one that stands in the line.
    pub(in crate::tui) at: Option<usize>,
}

/// The pane.
pub(in crate::tui) struct PromptPane {
    /// The editor.
    pub(in crate::tui) editor: TextArea<'static>,
    /// What was injected from this window, oldest first.
    pub(in crate::tui) transcript: VecDeque<Injected>,
    /// The text of which the child was asked whether it is complete.
    pub(in crate::tui) checking: Option<String>,
    /// What is typed meanwhile; handled when the answer is there.
    pub(in crate::tui) deferred: VecDeque<Event>,
    /// Matches that are offered.
    pub(in crate::tui) completion: Option<Completion>,
    /// The application whose history is loaded.
    pub(in crate::tui) application: Option<String>,
    history: Vec<String>,
    /// The entry that stands in the editor.
    recalled: Option<usize>,
    draft: String,
    numbers: u64,
}

impl Default for PromptPane {
    fn default() -> Self {
        Self {
            editor: editor(""),
            transcript: VecDeque::new(),
            checking: None,
            deferred: VecDeque::new(),
            completion: None,
            application: None,
            history: Vec::new(),
            recalled: None,
            draft: String::new(),
            numbers: 0,
        }
    }
}

/// An editor of Python that holds this text, its cursor at the end.
pub(super) fn editor(content: &str) -> TextArea<'static> {
    let mut editor = TextArea::new(content.split('\n').map(str::to_owned).collect());
    editor.set_cursor_line_style(ratatui::style::Style::new());
    editor.set_tab_length(4);
    editor.move_cursor(CursorMove::Bottom);
    editor.move_cursor(CursorMove::End);
    editor
}

/// The line before the cursor.
fn line(editor: &TextArea<'_>) -> String {
    let cursor = editor.cursor();
    editor.lines().get(cursor.0).map(|line| line.chars().take(cursor.1).collect()).unwrap_or_default()
}

/// Begins a new line, indented like this one, and deeper after a colon.
pub(in crate::tui) fn newline(editor: &mut TextArea<'_>) {
    let line = line(editor);
    let mut indent: String = line.chars().take_while(|c| *c == ' ').collect();
    if line.trim_end().ends_with(':') {
        indent.push_str("    ");
    }
    editor.insert_newline();
    editor.insert_str(indent);
}

impl PromptPane {
    /// All of the text.
    pub(in crate::tui) fn text(&self) -> String {
        self.editor.lines().join("\n")
    }

    /// Whether there is nothing but space.
    pub(in crate::tui) fn is_blank(&self) -> bool {
        self.editor.lines().iter().all(|line| line.trim().is_empty())
    }

    /// Empties the editor.
    pub(in crate::tui) fn clear(&mut self) {
        self.editor = editor("");
        self.completion = None;
        self.recalled = None;
    }

    /// Inserts a text.
    pub(in crate::tui) fn insert(&mut self, pasted: &str) {
        self.editor.insert_str(text::for_pasting(pasted));
        self.completion = None;
    }

    /// Begins a new line.
    pub(in crate::tui) fn newline(&mut self) {
        newline(&mut self.editor);
    }

    /// The line before the cursor.
    pub(in crate::tui) fn line(&self) -> String {
        line(&self.editor)
    }

    /// Something happened while the child is asked: it waits its turn. Beyond a bound it is dropped.
    pub(in crate::tui) fn defer(&mut self, event: Event) {
        if self.deferred.len() < DEFERRED {
            self.deferred.push_back(event);
        }
    }

    /// Puts a command into the transcript, and the history; its number in this window.
    pub(in crate::tui) fn injected(&mut self, source: String, beside: bool) -> u64 {
        self.numbers += 1;
        if self.transcript.len() == TRANSCRIPT {
            self.transcript.pop_front();
        }
        self.learn(vec![source.clone()]);
        let entry = Injected { number: self.numbers, source, beside, fate: Fate::Waiting, command: None };
        self.transcript.push_back(entry);
        self.numbers
    }

    /// What became of a command of the transcript.
    pub(in crate::tui) fn answered(&mut self, number: u64, command: Option<CommandId>, fate: Fate) {
        if let Some(entry) = self.transcript.iter_mut().find(|entry| entry.number == number) {
            entry.fate = fate;
            entry.command = command;
        }
    }

    /// Whether something is being waited for.
    pub(in crate::tui) fn is_waiting(&self) -> bool {
        self.transcript.iter().any(|entry| entry.fate == Fate::Waiting)
    }

    /// Entries typed before; the newest last.
    pub(in crate::tui) fn learn(&mut self, entries: Vec<String>) {
        for entry in entries {
            if self.history.last() != Some(&entry) {
                self.history.push(entry);
            }
        }
        let surplus = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..surplus);
        self.recalled = None;
    }

    /// Entries of earlier windows: before those of this one.
    pub(in crate::tui) fn learn_earlier(&mut self, earlier: Vec<String>) {
        let own = std::mem::take(&mut self.history);
        self.learn(earlier);
        self.learn(own);
    }

    /// A line up, or an earlier entry.
    pub(in crate::tui) fn up(&mut self) {
        if self.editor.cursor().0 > 0 {
            self.editor.move_cursor(CursorMove::Up);
            return;
        }
        let at = self.recalled.unwrap_or(self.history.len());
        let Some(before) = at.checked_sub(1) else { return };
        if self.recalled.is_none() {
            self.draft = self.text();
        }
        self.recall(before);
    }

    /// A line down, or a later entry.
    pub(in crate::tui) fn down(&mut self) {
        if self.editor.cursor().0 + 1 < self.editor.lines().len() {
            self.editor.move_cursor(CursorMove::Down);
            return;
        }
        match self.recalled {
            Some(at) if at + 1 < self.history.len() => self.recall(at + 1),
            Some(_) => {
                self.editor = editor(&std::mem::take(&mut self.draft));
                self.recalled = None;
            }
            None => {}
        }
    }

    fn recall(&mut self, at: usize) {
        if let Some(entry) = self.history.get(at) {
            self.editor = editor(&text::for_clipboard(entry));
            self.recalled = Some(at);
        }
    }

    /// Matches came for this beginning of a line.
    pub(in crate::tui) fn offer(&mut self, head: &str, start: u32, matches: Vec<String>) -> bool {
        if self.line() != head {
            return true;
        }
        let matches: Vec<String> = matches.into_iter().filter(|word| !word.chars().any(text::is_hostile)).collect();
        let start = (start as usize).min(head.chars().count());
        let Some(first) = matches.first().cloned() else { return false };
        let one = matches.len() == 1;
        let common = matches.iter().fold(first, |common, word| common_start(&common, word));
        self.replace_from(start, &common);
        self.completion = (!one).then_some(Completion { start, matches, at: None });
        true
    }

    /// The next match instead of the one that stands in the line.
    pub(in crate::tui) fn next_match(&mut self) -> bool {
        let Some(mut completion) = self.completion.take() else { return false };
        let at = completion.at.map_or(0, |at| (at + 1) % completion.matches.len());
        self.replace_from(completion.start, &completion.matches[at].clone());
        completion.at = Some(at);
        self.completion = Some(completion);
        true
    }

    fn replace_from(&mut self, start: usize, word: &str) {
        let typed = self.editor.cursor().1.saturating_sub(start);
        let head: String = self.line().chars().skip(start).collect();
        if head == word {
            return;
        }
        for _ in 0..typed {
            self.editor.delete_char();
        }
        self.editor.insert_str(word);
    }

    /// Rows of the editor, up to its bound.
    pub(in crate::tui) fn editor_rows(&self) -> usize {
        self.editor.lines().len().clamp(1, EDITOR_ROWS)
    }

    /// Rows that the pane would like, without its border.
    pub(in crate::tui) fn wanted_rows(&self) -> usize {
        let last = self.transcript.back().map_or(0, |entry| match &entry.fate {
            Fate::Value(Some(value)) => value.lines().count().clamp(1, 4) + usize::from(value.contains('\n')),
            _ => 1,
        });
        self.editor_rows() + usize::from(self.completion.is_some()) + last
    }
}

/// What became of a command that was waited for.
pub(in crate::tui) fn fate(detail: &CommandDetail) -> Fate {
    match &detail.outcome {
        Some(CommandOutcome::Finished { value, .. }) => Fate::Value(value.clone()),
        Some(CommandOutcome::Raised { exception, .. }) => Fate::Raised(raised(exception)),
        Some(CommandOutcome::Lost { reason }) => Fate::Not(format!("lost: {reason}")),
        Some(CommandOutcome::Skipped { reason }) => Fate::Not(format!("not run: {reason}")),
        None => Fate::Waiting,
    }
}

fn raised(exception: &Exception) -> String {
    let headline = exception.headline(500);
    match exception.innermost() {
        Some(frame) if frame.line > 0 => format!("{headline}  ({}:{})", frame.file, frame.line),
        _ => headline,
    }
}

fn common_start(one: &str, other: &str) -> String {
    one.chars().zip(other.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_goes_up_and_comes_back_to_the_draft() {
        let mut prompt = PromptPane::default();
        prompt.learn(vec!["a = 1".into(), "for x in y:\n    pass".into()]);
        prompt.insert("draft");
        prompt.up();
        assert_eq!(prompt.text(), "for x in y:\n    pass");
        prompt.up();
        assert_eq!(prompt.text(), "for x in y:\n    pass", "first up to the first line");
        prompt.up();
        assert_eq!(prompt.text(), "a = 1");
        prompt.down();
        prompt.down();
        assert_eq!(prompt.text(), "draft");
    }

    #[test]
    fn a_new_line_is_indented() {
        let mut prompt = PromptPane::default();
        prompt.insert("if x:");
        prompt.newline();
        prompt.insert("y = 1");
        prompt.newline();
        assert_eq!(prompt.text(), "if x:\n    y = 1\n    ");
    }

    #[test]
    fn matches_extend_the_word_and_then_take_turns() {
        let mut prompt = PromptPane::default();
        prompt.insert("x = bpy.da");
        assert!(prompt.offer("x = bpy.da", 8, vec!["data".into(), "data_add".into()]));
        assert_eq!(prompt.text(), "x = bpy.data");
        assert!(prompt.next_match() && prompt.next_match());
        assert_eq!(prompt.text(), "x = bpy.data_add");
        assert!(!prompt.offer("x = bpy.data_add", 8, vec![]), "no match is said");
        assert!(prompt.offer("another line", 0, vec!["lost".into()]), "an answer that comes too late is not");
        assert_eq!(prompt.text(), "x = bpy.data_add");
    }
}
