//! Breakpoints, made ready once: a pattern is not compiled again for each command.

use crate::model::control::BREAKPOINTS;
use crate::model::job::Agenda;
use crate::model::{Breakpoint, Case, Grep, ItemIndex, Pattern, Stops};

/// How much of a command's text is looked at, in bytes: a hundred patterns over megabytes would keep everybody waiting.
const LOOKED_AT: usize = 64 << 10;

/// Where the agenda stops by itself.
#[derive(Debug, Default)]
pub(super) struct Breakpoints {
    items: Vec<ItemIndex>,
    commands: Vec<(String, Pattern)>,
}

impl Breakpoints {
    /// Those that can be used, and what is wrong with each of the others.
    pub(super) fn of(stops: &Stops, agenda: &Agenda) -> (Self, Vec<String>) {
        let (mut ready, mut wrong) = (Self::default(), Vec::new());
        for breakpoint in stops.breakpoints.iter().take(BREAKPOINTS) {
            match breakpoint {
                Breakpoint::Item(name) => match agenda.find(name) {
                    Some(item) => ready.items.push(item),
                    None => wrong.push(format!("breakpoint {name:?}: the agenda has no such item")),
                },
                Breakpoint::Command(text) => {
                    let grep = Grep { pattern: text.clone(), case: Case::Smart, invert: false };
                    match Pattern::new(&grep) {
                        Ok(pattern) => ready.commands.push((text.clone(), pattern)),
                        Err(error) => wrong.push(format!("breakpoint /{text}/: {error}")),
                    }
                }
            }
        }
        if stops.breakpoints.len() > BREAKPOINTS {
            wrong.push(format!("there are {} breakpoints; {BREAKPOINTS} may be set", stops.breakpoints.len()));
        }
        (ready, wrong)
    }

    /// Whether one is set on this item.
    pub(super) fn has_item(&self, item: ItemIndex) -> bool {
        self.items.contains(&item)
    }

    /// The first one that a line of this command's text matches.
    pub(super) fn of_command(&self, source: &str) -> Option<Breakpoint> {
        let text = &source.as_bytes()[..source.len().min(LOOKED_AT)];
        let matches = |pattern: &Pattern| text.split(|byte| *byte == b'\n').any(|line| pattern.wants(line));
        let met = self.commands.iter().find(|(_, pattern)| matches(pattern))?;
        Some(Breakpoint::Command(met.0.clone()))
    }
}
