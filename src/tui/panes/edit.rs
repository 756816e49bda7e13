//! An item's commands as one text: between two of them stands a line of its own.

use super::prompt;
use crate::tui::text;
use ratatui_textarea::{CursorMove, TextArea};

/// What stands between two commands.
pub(in crate::tui) const BETWEEN: &str = "# ---";

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Stage {
    /// Keys.
    Editing,
    /// Another Esc, over what is not saved.
    Leaving,
    /// The session's answer.
    Saving,
}

/// The overlay.
#[derive(Debug, Clone)]
pub(in crate::tui) struct EditPane {
    /// The item's name.
    pub(in crate::tui) name: String,
    /// The text, once it is there.
    pub(in crate::tui) editor: Option<TextArea<'static>>,
    /// Whether the commands differ from the job's already.
    pub(in crate::tui) edited: bool,
    /// What is waited for.
    pub(in crate::tui) stage: Stage,
    /// Whether characters were left out that no terminal can be shown.
    pub(in crate::tui) lossy: bool,
    before: String,
}

impl EditPane {
    /// Nothing known of it yet.
    pub(in crate::tui) fn new(name: String) -> Self {
        Self { name, editor: None, edited: false, stage: Stage::Editing, lossy: false, before: String::new() }
    }

    /// The commands came.
    pub(in crate::tui) fn load(&mut self, commands: &[String], edited: bool) {
        let text = commands.join(&format!("\n{BETWEEN}\n")).replace("\r\n", "\n");
        let shown = text::for_clipboard(&text);
        self.lossy = shown != text;
        let mut editor = prompt::editor(&shown);
        editor.move_cursor(CursorMove::Top);
        editor.move_cursor(CursorMove::Head);
        self.editor = Some(editor);
        self.edited = edited;
        self.before = shown;
    }

    /// Whether anything is not saved.
    pub(in crate::tui) fn is_changed(&self) -> bool {
        self.editor.as_ref().is_some_and(|editor| editor.lines().join("\n") != self.before)
    }

    /// The commands as they stand; those of nothing but space are left out.
    pub(in crate::tui) fn commands(&self) -> Vec<String> {
        let lines = self.editor.as_ref().map(TextArea::lines).unwrap_or_default();
        let commands = lines.split(|line| line.trim() == BETWEEN).map(|lines| lines.join("\n"));
        commands.filter(|command| !command.trim().is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_come_back_as_they_were() {
        let commands = vec!["a = 1".to_owned(), "for x in y:\n    pass".to_owned(), "b".to_owned()];
        let mut pane = EditPane::new("frame".into());
        pane.load(&commands, false);
        assert_eq!(pane.commands(), commands);
        assert!(!pane.is_changed() && !pane.lossy);
        if let Some(editor) = &mut pane.editor {
            editor.insert_str("# ---\n\n# ---\n");
        }
        assert_eq!(pane.commands(), commands, "what is empty is left out");
        assert!(pane.is_changed());
    }

    #[test]
    fn what_a_terminal_must_not_get_is_left_out_and_said() {
        let mut pane = EditPane::new("frame".into());
        pane.load(&["print('\u{1b}[2J')".into()], true);
        assert_eq!(pane.commands(), ["print('[2J')"]);
        assert!(pane.lossy && pane.edited);
    }
}
