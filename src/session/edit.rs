//! An item's commands, changed for one session.

use super::Actor;
use super::requests::{Answer, disk_full, done, invalid};
use super::sending::fits;
use super::world::World;
use crate::model::proto::Refusal;
use crate::model::{EventKind, ItemIndex, ItemStatus, Origin};

/// How many commands an item may be given.
const COMMANDS: usize = 1000;
/// How long all edits of a session may be together, in bytes of JSON: the fold and every checkpoint hold them.
const BYTES: usize = 4 << 20;

impl<W: World> Actor<W> {
    /// Takes effect with the item's next attempt.
    pub(super) fn edit(&mut self, by: Origin, name: &str, commands: Option<Vec<String>>) -> Answer {
        self.refuse_if_over()?;
        let item = self.item_named(name)?;
        match &commands {
            Some(commands) => self.must_fit(item, commands)?,
            None if !self.state.edits.contains_key(&item) => return done(&format!("{name} has the job's commands")),
            None => {}
        }
        let what = match &commands {
            Some(commands) if commands.len() == 1 => "1 command of its own".to_owned(),
            Some(commands) => format!("{} commands of its own", commands.len()),
            None => "the job's commands again".to_owned(),
        };
        if !self.intend(vec![EventKind::ItemEdited { item, commands, by: Some(by) }]) {
            return Err(disk_full());
        }
        let when = match self.state.item(item).map(|row| row.status).unwrap_or_default() {
            ItemStatus::Running => " from its next attempt on; the one that runs is not changed",
            status if status.is_final() => " once it is tried again",
            ItemStatus::Blocked => " once it is unblocked",
            _ => "",
        };
        done(&format!("{name} has {what}{when}"))
    }

    fn must_fit(&self, item: ItemIndex, commands: &[String]) -> Result<(), Refusal> {
        if commands.len() > COMMANDS {
            return Err(invalid(&format!("an item may have {COMMANDS} commands, not {}", commands.len())));
        }
        for (place, command) in (1..).zip(commands) {
            fits(command).map_err(|why| invalid(&format!("command {place}: {why}")))?;
        }
        let others = self.state.edits.iter().filter(|(edited, _)| **edited != item);
        let all = others.map(|(_, commands)| length(commands)).sum::<usize>() + length(commands);
        if all > BYTES {
            let limit = BYTES >> 20;
            let why = format!("all edits together may have {limit} MiB; put the code into a file and run that");
            return Err(invalid(&why));
        }
        Ok(())
    }
}

/// As it stands in the journal.
fn length(commands: &[String]) -> usize {
    serde_json::to_vec(commands).map_or(usize::MAX / 2, |text| text.len())
}
