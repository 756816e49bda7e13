//! Commands of the history that are to be written into a file: which are marked, and those whose whole text has come.
//!
//! What must stay true: they are kept by their numbers, in the order in which they ran; one is asked for at a time, and no
//! more is held than [`BYTES`].

use crate::job::record::{Command, Slot};
use crate::model::CommandId;
use crate::model::proto::CommandDetail;
use std::collections::BTreeSet;

/// The most commands at once.
const MOST: usize = 1000;
/// The most bytes of them.
const BYTES: usize = 16 << 20;

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tui) struct Chosen {
    /// Which, in order.
    ids: Vec<CommandId>,
    /// Their texts, as far as they have come.
    pub(in crate::tui) commands: Vec<Command>,
    /// Into which list of a job file; none: a Python file.
    pub(in crate::tui) slot: Option<Slot>,
}

impl Chosen {
    /// How many.
    pub(in crate::tui) fn count(&self) -> usize {
        self.ids.len()
    }

    /// The one to be asked for next; none when all have come.
    pub(in crate::tui) fn next(&self) -> Option<CommandId> {
        self.ids.get(self.commands.len()).copied()
    }

    /// A Python file, or the next list of a job file.
    pub(in crate::tui) fn turn(&mut self) {
        self.slot = match self.slot {
            None => Some(Slot::Setup),
            Some(Slot::Setup) => Some(Slot::Commands),
            Some(Slot::Commands) => Some(Slot::Teardown),
            Some(Slot::Teardown) => Some(Slot::Init),
            Some(Slot::Init) => None,
        };
    }

    /// Takes the one that was asked for, or says why it cannot be recorded.
    pub(in crate::tui) fn take(&mut self, detail: CommandDetail) -> Result<(), String> {
        let id = detail.view.id;
        let held: usize = self.commands.iter().map(|command| command.source.len()).sum();
        if detail.cut {
            return Err(format!("command {id} is too long for the window; `childminder record` writes it"));
        }
        if held + detail.source.len() > BYTES {
            return Err("they are too much for the window; `childminder record` writes them".to_owned());
        }
        self.commands.push(Command { id, at: detail.view.row.queued, source: detail.source });
        Ok(())
    }
}

/// The marks, and what is on its way into a file.
#[derive(Debug, Default)]
pub(in crate::tui) struct Recording {
    marked: BTreeSet<CommandId>,
    /// What is asked for, and the file that it goes to, as it was typed.
    pub(in crate::tui) under_way: Option<(Chosen, String)>,
}

impl Recording {
    /// Marks a command, or takes its mark away; whether there was room for it.
    pub(in crate::tui) fn mark(&mut self, id: CommandId) -> bool {
        self.marked.remove(&id) || (self.marked.len() < MOST && self.marked.insert(id))
    }

    /// Whether a command is marked.
    pub(in crate::tui) fn is_marked(&self, id: CommandId) -> bool {
        self.marked.contains(&id)
    }

    /// The marked commands; without marks this one.
    pub(in crate::tui) fn choose(&self, selected: Option<CommandId>) -> Option<Chosen> {
        let mut ids: Vec<CommandId> = self.marked.iter().copied().collect();
        if ids.is_empty() {
            ids.extend(selected);
        }
        (!ids.is_empty()).then_some(Chosen { ids, commands: Vec::new(), slot: None })
    }

    /// They are written.
    pub(in crate::tui) fn forget(&mut self) {
        self.marked.clear();
    }
}
