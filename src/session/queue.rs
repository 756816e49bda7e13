//! Commands that wait for their turn: the phase's own in order, and an operator's, which run next.

use crate::model::{CommandId, ItemIndex, Phase};
use std::collections::VecDeque;

/// How many commands operators may have waiting; more are refused.
pub(super) const OPERATORS: usize = 1000;

/// A command that has not been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Its number.
    pub(super) id: CommandId,
    /// Why it is run.
    pub(super) phase: Phase,
    /// The item it belongs to.
    pub(super) item: Option<ItemIndex>,
    /// Python.
    pub(super) source: String,
    /// Whether its value is wanted.
    pub(super) value: bool,
}

/// The two queues. The phase's is bounded by the job's own text, the operators' by [`OPERATORS`].
#[derive(Debug, Default)]
pub(super) struct CommandQueue {
    operators: VecDeque<Waiting>,
    planned: VecDeque<Waiting>,
}

impl CommandQueue {
    /// Adds a command behind those of its kind.
    pub(super) fn push(&mut self, command: Waiting) {
        match command.phase {
            Phase::Operator => self.operators.push_back(command),
            _ => self.planned.push_back(command),
        }
    }

    /// Adds commands in order.
    pub(super) fn extend(&mut self, commands: Vec<Waiting>) {
        for command in commands {
            self.push(command);
        }
    }

    /// The command whose turn it is.
    pub(super) fn front(&self) -> Option<&Waiting> {
        self.operators.front().or_else(|| self.planned.front())
    }

    /// Takes the command whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        self.operators.pop_front().or_else(|| self.planned.pop_front())
    }

    /// Whether commands of a phase wait.
    pub(super) fn has_planned(&self) -> bool {
        !self.planned.is_empty()
    }

    /// Whether operators may add another.
    pub(super) fn has_room(&self) -> bool {
        self.operators.len() < OPERATORS
    }

    /// The phase's commands that wait, in order; forgets them.
    pub(super) fn take_planned(&mut self) -> Vec<CommandId> {
        self.planned.drain(..).map(|command| command.id).collect()
    }

    /// All commands that wait; forgets them.
    pub(super) fn take_all(&mut self) -> Vec<CommandId> {
        self.operators.drain(..).chain(self.planned.drain(..)).map(|command| command.id).collect()
    }
}
