//! What can stand over the panes: details, the menu (help and palette), a question, a search.

use super::actions::{Action, Context, Info};
use super::keymap;
use super::msg::Effect;
use super::panes::detail::Detail;
use super::panes::edit::EditPane;
use super::panes::names::NamesPane;
use super::panes::output::entry::Entry;
use super::panes::timeouts::TimeoutsForm;
use super::save_as::SaveAs;
use crate::model::proto::List;

/// What stands over the panes.
#[derive(Debug, Clone)]
pub(super) enum Overlay {
    /// All of one thing.
    Detail(Box<Detail>),
    /// Help or the palette.
    Menu(Menu),
    /// A question before something that cannot be undone.
    Dialog(Dialog),
    /// The text of a search.
    Search {
        /// In which list.
        list: List,
        /// What was typed.
        text: String,
    },
    /// The name of a file to be written.
    SaveAs(Box<SaveAs>),
    /// The names in the child.
    Names(Box<NamesPane>),
    /// What is typed below the output.
    Entry(Box<Entry>),
    /// The ways to end the running command.
    WayOut {
        /// The selected row.
        selected: usize,
    },
    /// The time-outs.
    Timeouts(Box<TimeoutsForm>),
    /// An item's commands, being edited.
    Edit(Box<EditPane>),
    /// The place of a recording to go to.
    GoTo {
        /// What was typed.
        text: String,
    },
}

/// The actions, as far as they match what is typed.
#[derive(Debug, Clone)]
pub(super) struct Menu {
    /// Whether it is the palette: only what can be done here.
    pub(super) palette: bool,
    /// Where it was called.
    pub(super) contexts: Vec<Context>,
    /// Those that are offered in this window.
    pub(super) actions: Vec<&'static Info>,
    /// What was typed.
    pub(super) filter: String,
    /// The selected row.
    pub(super) selected: usize,
}

impl Menu {
    /// The actions that match, best first.
    pub(super) fn rows(&self) -> Vec<&'static Info> {
        let here = |info: &Info| info.contexts.iter().any(|context| self.contexts.contains(context));
        let mut rows: Vec<(u8, &'static Info)> = self
            .actions
            .iter()
            .copied()
            .filter(|info| !self.palette || here(info))
            .filter_map(|info| Some((rank(info, &self.filter)?, info)))
            .collect();
        rows.sort_by_key(|(rank, info)| (*rank, !here(info)));
        rows.into_iter().map(|(_, info)| info).collect()
    }

    /// The action of the selected row, if it can be done here.
    pub(super) fn chosen(&self) -> Option<Action> {
        let info = self.rows().get(self.selected).copied()?;
        info.contexts.iter().any(|context| self.contexts.contains(context)).then_some(info.action)
    }
}

/// How well an action matches: a key, its name's beginning, its name, its words, its letters in order; or not.
fn rank(info: &Info, filter: &str) -> Option<u8> {
    let wanted = filter.trim().to_lowercase();
    let name = info.name.to_lowercase();
    let keys = info.keys.iter().any(|key| *key == filter.trim() || keymap::shown(key) == filter.trim());
    let checks = [
        wanted.is_empty() || keys,
        name.starts_with(&wanted),
        name.contains(&wanted),
        info.doc.to_lowercase().contains(&wanted) || info.bar.contains(&wanted),
        in_order(&name, &wanted),
    ];
    checks.iter().position(|matches| *matches).and_then(|at| u8::try_from(at).ok())
}

fn in_order(text: &str, letters: &str) -> bool {
    let mut text = text.chars();
    letters.chars().all(|letter| text.any(|c| c == letter))
}

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dialog {
    /// What it is about.
    pub(super) title: String,
    /// What will happen; made safe.
    pub(super) lines: Vec<String>,
    /// What can be chosen. The last is to do nothing.
    pub(super) choices: Vec<Choice>,
    /// The selected choice.
    pub(super) selected: usize,
}

/// One choice of a question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    /// Its key.
    pub(super) key: char,
    /// What it says.
    pub(super) label: &'static str,
    /// What is done; none to do nothing.
    pub(super) effect: Option<Effect>,
}

impl Dialog {
    /// A question whose selected choice is to do nothing.
    pub(super) fn new(title: impl Into<String>, lines: Vec<String>, mut choices: Vec<Choice>) -> Self {
        choices.push(Choice { key: 'c', label: "cancel", effect: None });
        Self { title: title.into(), lines, selected: choices.len() - 1, choices }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::actions::TABLE;

    fn menu(filter: &str) -> Menu {
        Menu {
            palette: false,
            contexts: vec![Context::Agenda, Context::List, Context::Anywhere],
            actions: TABLE.iter().collect(),
            filter: filter.into(),
            selected: 0,
        }
    }

    #[test]
    fn the_best_match_comes_first() {
        assert_eq!(menu("stop").chosen(), Some(Action::Stop));
        assert_eq!(menu("S").rows().first().map(|info| info.action), Some(Action::Stop));
        assert_eq!(menu("ctrl-z").chosen(), Some(Action::Suspend));
        assert_eq!(menu("").rows().len(), TABLE.len());
        assert!(menu("xyzzy").rows().is_empty());
    }

    #[test]
    fn the_palette_shows_only_what_can_be_done_here() {
        let palette = Menu { palette: true, ..menu("") };
        assert!(palette.rows().iter().all(|info| info.action != Action::Wrap));
    }
}
