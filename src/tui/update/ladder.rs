//! The way out: the ladder's rungs, one at a time or all the way.

use super::perform::verb;
use super::{steer, why};
use crate::model::proto::Request;
use crate::model::{CommandId, Rung, RungView};
use crate::tui::actions::Action;
use crate::tui::model::Model;
use crate::tui::msg::Effect;
use crate::tui::overlay::{Choice, Dialog, Overlay};
use crate::tui::steering::rungs;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Opens it; what is selected is what comes next by itself.
pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    let rungs = rungs(model);
    let waited = model.summary.as_ref().and_then(|summary| summary.ladder.as_ref()).map(|ladder| ladder.rung);
    let next =
        |view: &RungView| view.skipped.is_none() && Some(view.rung) > waited && !model.steering.was_in_vain(view.rung);
    let selected = rungs.iter().position(next).unwrap_or(0);
    model.overlay = Some(Overlay::WayOut { selected });
    Vec::new()
}

/// A key while it is open.
pub(super) fn key(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let rungs = rungs(model);
    let Some(Overlay::WayOut { selected }) = &mut model.overlay else { return Vec::new() };
    let last = rungs.len().saturating_sub(1);
    match key.code {
        KeyCode::Esc | KeyCode::Char('q') => model.overlay = None,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => model.overlay = None,
        KeyCode::Up | KeyCode::BackTab | KeyCode::Char('k') => *selected = selected.checked_sub(1).unwrap_or(last),
        KeyCode::Down | KeyCode::Tab | KeyCode::Char('j') => {
            *selected = if *selected >= last { 0 } else { *selected + 1 };
        }
        KeyCode::Enter => {
            let at = (*selected).min(last);
            return pick(model, &rungs, at);
        }
        KeyCode::Char(digit @ '1'..='9') => {
            let at = digit.to_digit(10).map_or(0, |digit| digit as usize - 1);
            if at <= last {
                *selected = at;
                return pick(model, &rungs, at);
            }
        }
        KeyCode::Char('a') => return climb(model, &rungs),
        KeyCode::Char('L' | 'r') => return restart(model),
        KeyCode::Char('w') => return why::perform(model, Action::Why),
        _ => {}
    }
    Vec::new()
}

/// The engine would refuse it, but by then nobody looks at what was chosen.
fn running(model: &mut Model) -> Option<CommandId> {
    if let Err(why) = super::enabled(model, Action::WayOut) {
        model.complain(why);
        return None;
    }
    let running = model.summary.as_ref().and_then(|summary| summary.running.as_ref()).map(|running| running.id);
    if running.is_none() {
        model.complain("no command runs; r restarts the child");
    }
    running
}

fn pick(model: &mut Model, rungs: &[RungView], at: usize) -> Vec<Effect> {
    let (Some(view), Some(command)) = (rungs.get(at), running(model)) else { return Vec::new() };
    if let Some(why) = &view.skipped {
        model.complain(format!("{} is skipped here: {why}", view.rung.word()));
        return Vec::new();
    }
    if view.rung.costs_the_child() {
        cost_dialog(model, command, view.rung, view.rung);
        return Vec::new();
    }
    vec![verb(interrupt(command, view.rung, view.rung, false))]
}

fn interrupt(command: CommandId, from: Rung, to: Rung, restart: bool) -> Request {
    Request::Interrupt { command: Some(command), from, to, restart }
}

fn climb(model: &mut Model, rungs: &[RungView]) -> Vec<Effect> {
    let Some(command) = running(model) else { return Vec::new() };
    let able = |view: &&RungView| view.skipped.is_none();
    let Some(hardest) = rungs.iter().rfind(able).map(|view| view.rung) else {
        model.complain("no way out is safe here");
        return Vec::new();
    };
    if hardest.costs_the_child() {
        cost_dialog(model, command, Rung::Interrupt, hardest);
        return Vec::new();
    }
    vec![verb(interrupt(command, Rung::Interrupt, hardest, false))]
}

/// Asks once more before what may cost the child, and what comes after it.
fn cost_dialog(model: &mut Model, command: CommandId, from: Rung, to: Rung) {
    let all_the_way = from < to;
    let lines = if all_the_way {
        vec![
            format!("Each rung is tried until command {command} has ended, the mildest first."),
            "From terminate on the child ends, and what is loaded is lost.".into(),
        ]
    } else {
        vec![
            format!("The child ends, and command {command} with it. What is loaded is lost."),
            "With another child, init and setup run again and the agenda goes on.".into(),
        ]
    };
    let climb = |from, to, restart| Some(verb(interrupt(command, from, to, restart)));
    let mut choices = vec![
        Choice { key: 'y', label: "then another child", effect: climb(from, to, true) },
        Choice { key: 'e', label: "then end the session", effect: climb(from, to, false) },
    ];
    if all_the_way {
        let spare = Choice { key: 's', label: "spare the child", effect: climb(from, Rung::Cancel, false) };
        choices.insert(0, spare);
    }
    let title = if all_the_way { "All the way?".to_owned() } else { format!("{}?", capital(to.word())) };
    model.overlay = Some(Overlay::Dialog(Dialog::new(title, lines, choices)));
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn restart(model: &mut Model) -> Vec<Effect> {
    if let Err(why) = super::enabled(model, Action::Restart) {
        model.complain(why);
        return Vec::new();
    }
    steer::restart_dialog(model)
}
