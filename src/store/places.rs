//! What pages of output need to know of the session's state.

use crate::model::proto::{OutputAt, OutputQuery};
use crate::model::state::State;
use crate::model::{CommandId, CommandRow, CommandState, ItemIndex, Marks};

/// Where a command's output lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Where it begins.
    pub from: Marks,
    /// Where it ends; `None` while the command runs.
    pub to: Option<Marks>,
}

impl Slice {
    /// The slice of the command with this row; `None` for one that was never sent.
    pub fn of(row: &CommandRow) -> Option<Self> {
        match row.state {
            CommandState::Queued | CommandState::Skipped => None,
            CommandState::Sent | CommandState::Started => Some(Self { from: row.from, to: None }),
            CommandState::Finished | CommandState::Raised | CommandState::Lost => {
                Some(Self { from: row.from, to: Some(row.to) })
            }
        }
    }
}

/// What pages need to know of the session's state. A page never asks for anything but what its query names, so
/// [`Places`] can be made where the state is, and the page where the files are.
pub trait Resolve {
    /// A command's slice; `None` for one that was never sent.
    fn slice(&self, command: CommandId) -> Option<Slice>;
    /// The first command of an item's last attempt.
    fn first_command(&self, item: ItemIndex) -> Option<CommandId>;
    /// The slices of the commands of an item's last attempt, in order: its own, and not what an operator ran in between.
    /// Those without a gap between them are one.
    fn item_slices(&self, item: ItemIndex) -> Vec<Slice>;
    /// Where the streams are to end, when it is an earlier time that is looked at: no byte after it is shown.
    fn until(&self) -> Option<Marks> {
        None
    }
}

impl Resolve for State {
    fn slice(&self, command: CommandId) -> Option<Slice> {
        self.command(command).and_then(|row| Slice::of(&row))
    }

    fn first_command(&self, item: ItemIndex) -> Option<CommandId> {
        self.item(item)?.first_command
    }

    fn item_slices(&self, item: ItemIndex) -> Vec<Slice> {
        let mut slices: Vec<Slice> = Vec::new();
        let Some((row, first)) = self.item(item).and_then(|row| Some((row, row.first_command?))) else { return slices };
        for command in self.commands_from(first) {
            match command.item {
                Some(whose) if whose == item => {}
                // An operator's; none of the item's is queued after its end.
                None if row.ended_at == 0 || command.queued_at < row.ended_at => continue,
                _ => break,
            }
            let Some(slice) = Slice::of(&command) else { continue };
            match slices.last_mut() {
                Some(last) if last.to == Some(slice.from) => last.to = slice.to,
                _ => slices.push(slice),
            }
        }
        slices
    }
}

/// The answers to all that one query asks of the state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    commands: [Option<(CommandId, Slice)>; 2],
    item: Option<(ItemIndex, CommandId)>,
    slices: Option<(ItemIndex, Vec<Slice>)>,
    until: Option<Marks>,
}

impl Places {
    /// Looks them up.
    pub fn of(state: &impl Resolve, query: &OutputQuery) -> Self {
        let item = match query.at {
            OutputAt::Item(item) => state.first_command(item).map(|command| (item, command)),
            _ => None,
        };
        let at = match query.at {
            OutputAt::Command(command) => Some(command),
            _ => item.map(|(_, command)| command),
        };
        let slice = |command: CommandId| state.slice(command).map(|slice| (command, slice));
        Self {
            commands: [query.command.and_then(slice), at.and_then(slice)],
            item,
            slices: query.filter.item.map(|item| (item, state.item_slices(item))),
            until: state.until(),
        }
    }

    /// The same, for the output as it was when the streams had come this far.
    #[must_use]
    pub fn upto(self, until: Option<Marks>) -> Self {
        Self { until, ..self }
    }
}

impl Resolve for Places {
    fn slice(&self, command: CommandId) -> Option<Slice> {
        self.commands.iter().flatten().find(|(id, _)| *id == command).map(|(_, slice)| *slice)
    }

    fn first_command(&self, item: ItemIndex) -> Option<CommandId> {
        self.item.filter(|(known, _)| *known == item).map(|(_, command)| command)
    }

    fn item_slices(&self, item: ItemIndex) -> Vec<Slice> {
        let known = self.slices.as_ref().filter(|(known, _)| *known == item);
        known.map(|(_, slices)| slices.clone()).unwrap_or_default()
    }

    fn until(&self) -> Option<Marks> {
        self.until
    }
}
