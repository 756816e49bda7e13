//! Steering: where the agenda stops and how it goes on, pausing and restarting the child.

use super::perform::verb;
use super::{edit, ladder, timeouts, why};
use crate::model::control::BREAKPOINTS;
use crate::model::proto::{ItemView, Request};
use crate::model::{Breakpoint, HoldReason, ItemStatus, Step, Stops};
use crate::tui::actions::Action;
use crate::tui::layout::Pane;
use crate::tui::model::Model;
use crate::tui::msg::Effect;
use crate::tui::overlay::{Choice, Dialog, Overlay};
use crate::tui::panes::detail::What;
use crate::tui::steering::{before, breakpoint_before};
use crate::tui::text;

/// Breakpoints that a question lists.
const LISTED: usize = 8;

/// Why one of these actions cannot be done just now, beside what holds for all that write.
pub(super) fn enabled(model: &Model, action: Action) -> Result<(), &'static str> {
    let summary = model.summary.as_deref();
    let held = summary.and_then(|summary| summary.held.as_ref());
    match action {
        Action::WayOut | Action::Restart | Action::Pause | Action::Side if !model.has_child() => {
            Err("there is no child")
        }
        Action::Break if held.is_some_and(|hold| hold.commands) => Err("it waits already; . steps"),
        Action::StepCommand | Action::StepItem if held.is_none() => {
            Err("the agenda does not wait; B makes it wait before the next command")
        }
        Action::TryNow if held.is_none() => Err("the agenda does not wait; r in it puts the item back to be run again"),
        Action::TryNow | Action::Edit | Action::Breakpoint if model.finding => {
            Err("the search goes on; press it again when the row is found")
        }
        Action::TryNow if item_to_try(model).is_none() => Err("no item is meant; select one in the agenda"),
        Action::TryNow if runs(model) => Err("the item runs"),
        Action::Edit if item_to_edit(model).is_none() => Err("only an item has commands to edit; select one"),
        Action::Breakpoint if breakpoint_meant(model).is_none() => Err("nothing is selected"),
        Action::NoBreakpoints if summary.is_none_or(|summary| summary.stops.breakpoints.is_empty()) => {
            Err("there are no breakpoints")
        }
        _ => Ok(()),
    }
}

/// Does an action of steering or diagnosis; none when it is another's.
pub(super) fn perform(model: &mut Model, action: Action) -> Option<Vec<Effect>> {
    let effects = match action {
        Action::Why | Action::AskAgain | Action::Older | Action::Newer => why::perform(model, action),
        Action::WayOut => ladder::open(model),
        Action::Timeouts => timeouts::open(model),
        Action::Edit => item_to_edit(model).map_or_else(Vec::new, |name| edit::open(model, name)),
        Action::Restart => restart_dialog(model),
        Action::Pause => {
            let paused = model.summary.as_ref().is_some_and(|summary| summary.paused.is_some());
            vec![verb(if paused { Request::Continue } else { Request::Pause })]
        }
        Action::Break => vec![verb(Request::Break)],
        Action::StepCommand => vec![verb(Request::Step { step: Step::Command, item: None })],
        Action::StepItem => vec![verb(Request::Step { step: Step::Item, item: None })],
        Action::TryNow => {
            let item = item_to_try(model);
            vec![verb(Request::Step { step: Step::Item, item })]
        }
        Action::OnFailure => on_failure(model),
        Action::Breakpoint => toggle_breakpoint(model),
        Action::NoBreakpoints => drop_dialog(model),
        _ => return None,
    };
    Some(effects)
}

// ---- items ------------------------------------------------------------------------------------------------------------

fn looked_at(model: &Model) -> Option<&str> {
    match &model.overlay {
        Some(Overlay::Detail(detail)) => match &detail.what {
            What::Item(name) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

fn selected(model: &Model) -> Option<&ItemView> {
    model.agenda.selected_row().filter(|_| model.focus() == Pane::Agenda && model.overlay.is_none())
}

fn item_to_edit(model: &Model) -> Option<String> {
    let selected = || selected(model).map(|item| item.name.as_str());
    looked_at(model).or_else(selected).map(str::to_owned)
}

fn item_to_try(model: &Model) -> Option<String> {
    item_to_edit(model).or_else(|| match model.summary.as_ref()?.held.as_ref()?.why {
        HoldReason::Failure(item) => model.agenda.row(item.0).map(|item| item.name.clone()),
        _ => None,
    })
}

/// Whether the item that is meant runs.
fn runs(model: &Model) -> bool {
    let running = model.summary.as_ref().and_then(|summary| summary.item.as_ref());
    running
        .is_some_and(|item| item.row.status == ItemStatus::Running && Some(&item.name) == item_to_try(model).as_ref())
}

// ---- stops ------------------------------------------------------------------------------------------------------------

fn stops(model: &Model) -> Stops {
    model.summary.as_ref().map(|summary| summary.stops.clone()).unwrap_or_default()
}

fn on_failure(model: &Model) -> Vec<Effect> {
    let mut stops = stops(model);
    stops.on_failure = !stops.on_failure;
    let said = if stops.on_failure { "will wait whenever an item has failed" } else { "goes on after a failure" };
    vec![told(said, stops)]
}

fn told(said: &str, stops: Stops) -> Effect {
    let purpose = crate::tui::msg::Purpose::Verb(format!("the agenda {said}"));
    Effect::Ask(purpose, Request::SetStops { stops })
}

/// What a breakpoint of the selected row stands before.
fn breakpoint_meant(model: &Model) -> Option<Breakpoint> {
    match model.focus() {
        Pane::Agenda => model.agenda.selected_row().map(|item| Breakpoint::Item(item.name.clone())),
        Pane::Commands => model.commands.selected_row().map(|command| breakpoint_before(&command.head)),
        _ => None,
    }
}

fn toggle_breakpoint(model: &mut Model) -> Vec<Effect> {
    let Some(meant) = breakpoint_meant(model) else { return Vec::new() };
    if meant == Breakpoint::Command(String::new()) {
        model.complain("its first line is empty: every command would be meant");
        return Vec::new();
    }
    let mut stops = stops(model);
    let many = stops.breakpoints.len();
    stops.breakpoints.retain(|breakpoint| *breakpoint != meant);
    let said = before(&meant);
    if stops.breakpoints.len() < many {
        return vec![told(&format!("does not wait any more before {said}"), stops)];
    }
    if many >= BREAKPOINTS {
        model.complain(format!("there are {many} breakpoints already; Ctrl-D drops all"));
        return Vec::new();
    }
    stops.breakpoints.push(meant);
    vec![told(&format!("will wait before {said}"), stops)]
}

fn drop_dialog(model: &mut Model) -> Vec<Effect> {
    let stops = stops(model);
    let many = stops.breakpoints.len();
    let mut lines: Vec<String> = stops.breakpoints.iter().take(LISTED).map(before).collect();
    if many > LISTED {
        lines.push(format!("and {} more", many - LISTED));
    }
    let effect = told("waits at no breakpoint any more", Stops { breakpoints: Vec::new(), ..stops });
    let choices = vec![Choice { key: 'y', label: "drop", effect: Some(effect) }];
    let title = format!("Drop {}?", text::plural(many as u64, "breakpoint"));
    model.overlay = Some(Overlay::Dialog(Dialog::new(title, lines, choices)));
    Vec::new()
}

// ---- the child --------------------------------------------------------------------------------------------------------

/// Asks whether another child is to be launched.
pub(super) fn restart_dialog(model: &mut Model) -> Vec<Effect> {
    let running = model.summary.as_ref().and_then(|summary| summary.running.as_ref());
    let mut lines = vec!["What is loaded is lost; init and setup run again, then the agenda goes on.".into()];
    if let Some(running) = running {
        let since = text::elapsed(model.engine_now().since(running.since));
        let head = text::one_line(&running.head);
        lines.push(format!("Command {} runs for {since} and is lost: {}", running.id, text::fit(&head, 44)));
    }
    let effect = verb(Request::Restart { now: running.is_some() });
    let choices = vec![Choice { key: 'y', label: "restart", effect: Some(effect) }];
    model.overlay = Some(Overlay::Dialog(Dialog::new("Restart the child?", lines, choices)));
    Vec::new()
}
