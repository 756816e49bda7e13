//! What the actions do, and why one cannot be done just now.

use super::answers::{done, find, open, submit};
use super::input::contexts;
use super::{hot, names, output, record, side, steer, travel, usage};
use crate::api::Link;
use crate::model::proto::{ItemVerb, ItemView, List, OutputAt, Request};
use crate::model::{ItemStatus, StopMode};
use crate::tui::actions::{self, Action, Context, Info, TABLE};
use crate::tui::layout::Pane;
use crate::tui::model::Model;
use crate::tui::msg::{Effect, Purpose, Search};
use crate::tui::overlay::{Choice, Dialog, Menu, Overlay};
use crate::tui::panes::detail::What;
use crate::tui::panes::output::At;
use crate::tui::{Ended, text};

/// Why an action cannot be done just now.
pub(in crate::tui) fn enabled(model: &Model, action: Action) -> Result<(), &'static str> {
    if actions::find(action).is_some_and(|info| info.writes)
        && let Some(why) = not_now(model)
    {
        return Err(why);
    }
    if let (Action::Newline | Action::CompleteWord, Some(why)) = (action, model.only_looks()) {
        return Err(why);
    }
    if matches!(action, Action::Names | Action::Forget)
        && let Some(why) = model.no_child()
    {
        return Err(why);
    }
    let item = model.agenda.selected_row();
    match action {
        Action::Retry | Action::Block | Action::Kill | Action::Complete | Action::Open if model.finding => {
            Err("the search goes on; press it again when the row is found")
        }
        Action::Retry | Action::Block | Action::Kill | Action::Complete if item.is_none() => Err("no item is selected"),
        Action::Block | Action::Complete if item.is_some_and(|item| item.row.status == ItemStatus::Running) => {
            Err("the item runs; hold the agenda or kill the item")
        }
        Action::Kill if item.is_some_and(|item| item.row.status.is_final()) => Err("the item has ended"),
        Action::SearchNext | Action::SearchPrevious if model.search.is_none() => {
            Err("nothing was searched for; / begins")
        }
        Action::NextMatch | Action::PreviousMatch if model.output.seek.sought().is_none() => {
            Err("nothing was searched for; / begins")
        }
        Action::Select | Action::SelectUp | Action::SelectDown if model.output.page.lines.is_empty() => {
            Err("there is no line to select")
        }
        // The lines on the screen are not those that are meant.
        Action::Select | Action::SelectUp | Action::SelectDown | Action::CopySelection | Action::Save
            if matches!(model.output.at, At::Going(_)) =>
        {
            Err("still on the way there; press it again when the lines are seen")
        }
        Action::ItemOutput if model.agenda.selected_row().is_none_or(|item| item.row.attempt == 0) => {
            Err("it has not run yet")
        }
        Action::Mark | Action::Record if model.commands.selected_row().is_none() => Err("no command is selected"),
        Action::Open | Action::GoToRow if selected_what(model).is_none() => Err("nothing is selected"),
        Action::NextFinding | Action::PreviousFinding if !tells_of_places(model) => {
            Err("this tells of no place in the output")
        }
        Action::Left | Action::Right if wraps(model) => Err("lines are wrapped; W cuts them"),
        _ => steer::enabled(model, action),
    }
}

/// Why nothing can be changed just now.
pub(super) fn not_now(model: &Model) -> Option<&'static str> {
    let cut_off = || (!matches!(model.link, Link::Live(_))).then_some("not connected to the engine");
    model.only_looks().or_else(cut_off)
}

/// Whether an action is listed at all: not where it can never be done as long as this window is what it is.
pub(in crate::tui) fn offered(model: &Model, info: &Info) -> bool {
    use Action::{CompleteWord, HistoryDown, HistoryUp, Newline, Prompt};
    let needs_a_listener = matches!(info.action, CompleteWord | HistoryDown | HistoryUp | Newline | Prompt);
    let for_recordings = info.contexts == [Context::Replay];
    let deaf = model.only_looks().is_some() && (info.writes || needs_a_listener);
    let childless = info.action == Action::Names && (model.is_over() || model.playback().is_some());
    !deaf && !childless && (!for_recordings || model.playback().is_some())
}

/// Whether it would change what lies beneath an overlay.
pub(in crate::tui) fn moves_focus(action: Action) -> bool {
    use Action::{Agenda, Commands, Exceptions, Hot, Log, NextPane, Output, PreviousPane, Prompt, Usage, Zoom};
    matches!(
        action,
        NextPane | PreviousPane | Agenda | Commands | Output | Exceptions | Log | Hot | Usage | Prompt | Zoom
    )
}

/// Does an action.
pub(super) fn perform(model: &mut Model, action: Action) -> Vec<Effect> {
    if let Err(why) = enabled(model, action) {
        model.complain(why);
        return Vec::new();
    }
    if let Some(effects) = steer::perform(model, action) {
        return effects;
    }
    match action {
        Action::Detach => return vec![Effect::Leave(leave(model))],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Redraw => return vec![Effect::Redraw],
        Action::Mouse => {
            model.mouse = !model.mouse;
            model.say(if model.mouse {
                "the mouse is ours"
            } else {
                "the mouse is the terminal's: select text with it"
            });
            return vec![Effect::Mouse(model.mouse)];
        }
        Action::Help | Action::Palette => {
            let palette = action == Action::Palette;
            let contexts = contexts(model);
            let actions = TABLE.iter().filter(|info| offered(model, info)).collect();
            model.overlay =
                Some(Overlay::Menu(Menu { palette, contexts, actions, filter: String::new(), selected: 0 }));
        }
        Action::About => open(model, What::About),
        Action::Close => model.overlay = None,
        Action::Hold => {
            let held = model.summary.as_ref().is_some_and(|summary| summary.held.is_some());
            return vec![verb(if held { Request::Release } else { Request::Hold })];
        }
        Action::Stop => stop_dialog(model),
        Action::Retry | Action::Block | Action::Kill | Action::Complete => return item_verb(model, action),
        Action::Copy => return copy(model),
        _ if moves_focus(action) => move_focus(model, action),
        Action::Search | Action::SearchNext | Action::SearchPrevious => return search(model, action),
        Action::Open => open_selected(model),
        Action::ShowOutput => show_output(model),
        Action::NextFinding | Action::PreviousFinding => select_finding(model, action == Action::NextFinding),
        Action::Up
        | Action::Down
        | Action::PageUp
        | Action::PageDown
        | Action::Home
        | Action::End
        | Action::Left
        | Action::Right => motion(model, action),
        Action::Flame
        | Action::Threads
        | Action::OnlyActive
        | Action::Forget
        | Action::Unfold
        | Action::Out
        | Action::In
        | Action::Whole
        | Action::SaveStacks => hot::perform(model, action),
        Action::Mark => record::mark(model),
        Action::Record => record::begin(model),
        Action::Names => return names::open(model),
        Action::Follow => follow(model),
        Action::Longer | Action::Shorter | Action::Earlier | Action::Later | Action::Newest => {
            usage::perform(model, action);
        }
        Action::Wrap | Action::Times | Action::Stream => output_look(model, action),
        _ if actions::find(action).is_some_and(|info| info.contexts == [Context::Replay]) => {
            return travel::steer(model, action);
        }
        Action::Submit
        | Action::SubmitAnyway
        | Action::Side
        | Action::Newline
        | Action::CompleteWord
        | Action::HistoryUp
        | Action::HistoryDown
        | Action::LeavePrompt
        | Action::InterruptOrClear => return prompt_action(model, action),
        _ => return output::perform(model, action),
    }
    Vec::new()
}

/// A request whose answer is a sentence.
pub(super) fn verb(request: Request) -> Effect {
    Effect::Ask(Purpose::Verb(done(&request).into()), request)
}

fn leave(model: &Model) -> Ended {
    let ended = model.summary.as_ref().and_then(|summary| summary.ended.as_ref());
    match (ended, &model.link) {
        (Some(ended), _) => Ended::SessionOver(ended.code),
        (None, Link::Over { reason, .. }) => Ended::EngineGone(text::one_line(reason).into_owned()),
        (None, _) => Ended::Detached,
    }
}

fn move_focus(model: &mut Model, action: Action) {
    let at = Pane::ALL.iter().position(|pane| *pane == model.focus()).unwrap_or(0);
    let panes = Pane::ALL.len();
    let to = match action {
        Action::NextPane => Pane::ALL[(at + 1) % panes],
        Action::PreviousPane => Pane::ALL[(at + panes - 1) % panes],
        Action::Agenda => Pane::Agenda,
        Action::Commands => Pane::Commands,
        Action::Output => Pane::Output,
        Action::Exceptions => Pane::Exceptions,
        Action::Log => Pane::Log,
        Action::Prompt => Pane::Prompt,
        Action::Hot => Pane::Hot,
        Action::Usage => Pane::Usage,
        _ => {
            model.zoom = !model.zoom;
            return;
        }
    };
    model.focus_on(to);
}

fn stop_dialog(model: &mut Model) {
    let choices = vec![
        Choice { key: 'i', label: "after this item", effect: Some(verb(Request::Stop { mode: StopMode::AfterItem })) },
        Choice { key: 'n', label: "now", effect: Some(verb(Request::Stop { mode: StopMode::Now })) },
    ];
    let lines = vec![
        "This ends the engine and the child, for everybody.".into(),
        "After this item: the running item ends, teardown runs.".into(),
        "Now: the command is interrupted, then killed, in steps.".into(),
        "To leave only this window, cancel and press d.".into(),
    ];
    model.overlay = Some(Overlay::Dialog(Dialog::new("Stop the session?", lines, choices)));
}

fn item_verb(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(ItemView { name, row, .. }) = model.agenda.selected_row() else { return Vec::new() };
    let ask = |verb| Request::Items { verb, names: vec![name.clone()] };
    let shown = text::fit(&text::one_line(name), 40).into_owned();
    let dialog = match action {
        Action::Retry => return vec![verb(ask(ItemVerb::Retry))],
        Action::Block if row.status == ItemStatus::Blocked => return vec![verb(ask(ItemVerb::Unblock))],
        Action::Block => return vec![verb(ask(ItemVerb::Block))],
        Action::Kill => Dialog::new(
            format!("Kill item {shown}?"),
            vec!["A running item is interrupted; it ends as killed.".into()],
            vec![Choice { key: 'y', label: "kill", effect: Some(verb(ask(ItemVerb::Kill))) }],
        ),
        _ => Dialog::new(
            format!("Mark item {shown} complete?"),
            vec!["It will not be run, and counts as done.".into()],
            vec![Choice { key: 'y', label: "mark", effect: Some(verb(ask(ItemVerb::Complete))) }],
        ),
    };
    model.overlay = Some(Overlay::Dialog(dialog));
    Vec::new()
}

fn list_of(pane: Pane) -> Option<List> {
    match pane {
        Pane::Agenda => Some(List::Agenda),
        Pane::Commands => Some(List::Commands),
        Pane::Exceptions => Some(List::Exceptions),
        Pane::Output | Pane::Log | Pane::Prompt | Pane::Hot | Pane::Usage => None,
    }
}

/// The selected row of a list.
pub(super) fn selected(model: &Model, list: List) -> u32 {
    match list {
        List::Agenda => model.agenda.selected,
        List::Commands => model.commands.selected,
        List::Exceptions => model.exceptions.selected,
    }
}

fn search(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(list) = list_of(model.focus()) else { return Vec::new() };
    if action == Action::Search {
        model.overlay = Some(Overlay::Search { list, text: String::new() });
        return Vec::new();
    }
    let Some(text) = model.search.as_ref().map(|search| search.text.clone()) else { return Vec::new() };
    let forward = action == Action::SearchNext;
    let at = selected(model, list);
    let from = if forward { at.checked_add(1) } else { at.checked_sub(1) };
    let search = Search { list, text, forward, wrapped: from.is_none() };
    vec![find(model, search, from.unwrap_or(if forward { 0 } else { u32::MAX }))]
}

pub(super) fn selected_what(model: &Model) -> Option<What> {
    match model.focus() {
        Pane::Agenda => model.agenda.selected_row().map(|item| What::Item(item.name.clone())),
        Pane::Commands => model.commands.selected_row().map(|command| What::Command(command.id)),
        Pane::Exceptions => model.exceptions.selected_row().map(|_| What::Exception(model.exceptions.selected)),
        Pane::Output | Pane::Log | Pane::Prompt | Pane::Hot | Pane::Usage => None,
    }
}

fn open_selected(model: &mut Model) {
    if let Some(what) = selected_what(model) {
        open(model, what);
    }
}

fn tells_of_places(model: &Model) -> bool {
    matches!(&model.overlay, Some(Overlay::Detail(detail)) if !detail.places.is_empty())
}

fn select_finding(model: &mut Model, forward: bool) {
    let room = super::super::view::detail_room(model);
    if let Some(Overlay::Detail(detail)) = &mut model.overlay {
        detail.select(forward, room);
    }
}

fn show_output(model: &mut Model) {
    let place = match &model.overlay {
        Some(Overlay::Detail(detail)) => detail.selected_place(),
        _ => None,
    };
    let command = match &model.overlay {
        Some(Overlay::Detail(detail)) => detail.command,
        _ => match model.focus() {
            Pane::Commands => model.commands.selected_row().map(|command| command.id),
            Pane::Exceptions => model.exceptions.selected_row().and_then(|group| group.command),
            _ => None,
        },
    };
    let to = match (command, model.focus()) {
        _ if place.is_some() => place.map_or(OutputAt::End, OutputAt::Line),
        (Some(command), _) => OutputAt::Command(command),
        (None, Pane::Agenda) => match model.agenda.selected_row() {
            Some(item) if item.row.attempt > 0 => OutputAt::Item(item.item),
            _ => return model.say("it has not run yet"),
        },
        (None, _) => return model.say("it belongs to no command"),
    };
    model.overlay = None;
    model.output.go(to);
    model.focus_on(Pane::Output);
}

fn wraps(model: &Model) -> bool {
    match &model.overlay {
        Some(Overlay::Detail(detail)) => detail.wrap,
        _ => model.output.wrap,
    }
}

fn motion(model: &mut Model, action: Action) {
    const EVERYTHING: i64 = i64::MAX / 2;
    let detail = matches!(model.overlay, Some(Overlay::Detail(_)));
    let focus = model.focus();
    let height =
        if detail { super::super::view::detail_room(model).1 } else { model.room(focus).map_or(1, |room| room.1) };
    let screen = i64::from(height.saturating_sub(1).max(1));
    let by = match action {
        Action::Up => -1,
        Action::Down => 1,
        Action::PageUp => -screen,
        Action::PageDown => screen,
        Action::Home => -EVERYTHING,
        Action::End => EVERYTHING,
        sideways => return scroll_sideways(model, sideways == Action::Right),
    };
    match (detail, focus, action) {
        (true, _, _) => scroll_detail(model, by),
        (false, Pane::Output, Action::Up | Action::Down | Action::PageUp | Action::PageDown)
            if model.output.selection.is_some() =>
        {
            output::extend(model, by);
        }
        (false, Pane::Output, Action::End) if model.output.selection.is_some() => model.output.go(OutputAt::End),
        (false, Pane::Output, Action::Home) => model.output.go(OutputAt::Start),
        (false, Pane::Output, Action::End) => model.output.follow(),
        (false, Pane::Log, Action::End) => model.log.follow(),
        (false, Pane::Log, _) => model.log.page(by < 0),
        (false, Pane::Hot, _) => hot::step(model, by),
        (false, pane, _) => scroll(model, pane, by),
    }
}

fn scroll_sideways(model: &mut Model, right: bool) {
    const STEP: usize = 8;
    let left = match &mut model.overlay {
        Some(Overlay::Detail(detail)) => &mut detail.left,
        _ => &mut model.output.left,
    };
    *left = if right { (*left + STEP).min(1 << 16) } else { left.saturating_sub(STEP) };
}

/// Scrolls the details.
pub(super) fn scroll_detail(model: &mut Model, by: i64) {
    let room = super::super::view::detail_room(model);
    if let Some(Overlay::Detail(detail)) = &mut model.overlay {
        detail.scroll(by, room);
    }
}

/// Scrolls a pane by rows: negative is up.
pub(super) fn scroll(model: &mut Model, pane: Pane, by: i64) {
    let Some(room) = model.room(pane) else { return };
    match pane {
        Pane::Agenda => model.agenda.step(by, room.1),
        Pane::Commands => {
            model.commands.step(by, room.1);
            model.commands.follow = by > 0 && model.commands.selected + 1 >= model.commands.total;
        }
        Pane::Exceptions => model.exceptions.step(by, room.1),
        Pane::Output => {
            if let Some((output, look)) = model.output_in_sight() {
                output.scroll(by, look);
            }
        }
        Pane::Log => model.log.page(by < 0),
        Pane::Hot => hot::step(model, by),
        Pane::Prompt | Pane::Usage => {}
    }
}

/// Selects the row at a place of a pane.
pub(super) fn select_row(model: &mut Model, pane: Pane, row: u32) {
    let Some((_, height)) = model.room(pane) else { return };
    match pane {
        Pane::Agenda if model.agenda.top + row < model.agenda.total => {
            model.agenda.follow = false;
            model.agenda.select(model.agenda.top + row, height);
        }
        Pane::Commands if model.commands.top + row < model.commands.total => {
            model.commands.follow = false;
            model.commands.select(model.commands.top + row, height);
        }
        Pane::Exceptions if model.exceptions.top + row < model.exceptions.total => {
            model.exceptions.select(model.exceptions.top + row, height);
        }
        Pane::Hot => model.hot.press(row, height),
        Pane::Output => {
            if let Some((output, look)) = model.output_in_sight() {
                output.press(usize::try_from(row).unwrap_or(usize::MAX), look);
            }
        }
        _ => {}
    }
}

fn follow(model: &mut Model) {
    match model.focus() {
        Pane::Agenda => model.agenda.follow = !model.agenda.follow,
        Pane::Commands => model.commands.follow = !model.commands.follow,
        Pane::Output if model.output.at == At::Follow => {
            if let Some((output, look)) = model.output_in_sight() {
                output.anchor(look);
            }
        }
        Pane::Output => model.output.follow(),
        Pane::Log => model.log.follow(),
        Pane::Exceptions | Pane::Prompt | Pane::Hot | Pane::Usage => {}
    }
    super::follow(model);
}

fn output_look(model: &mut Model, action: Action) {
    match (action, &mut model.overlay) {
        (Action::Wrap, Some(Overlay::Detail(detail))) => {
            detail.wrap = !detail.wrap;
            detail.left = 0;
            detail.place.row = 0;
        }
        (Action::Wrap, _) => {
            model.output.wrap = !model.output.wrap;
            model.output.left = 0;
        }
        (Action::Times, _) => model.output.times = !model.output.times,
        _ => model.output.next_stream(),
    }
}

fn copy(model: &mut Model) -> Vec<Effect> {
    let copied = match (&model.overlay, model.focus()) {
        (Some(Overlay::Detail(detail)), _) => Some(detail.text()),
        (_, Pane::Agenda) => model.agenda.selected_row().map(|item| item.name.clone()),
        (_, Pane::Commands) => model.commands.selected_row().map(|command| command.head.clone()),
        (_, Pane::Exceptions) => model
            .exceptions
            .selected_row()
            .map(|group| format!("{}: {} ({}:{})", group.kind, group.message, group.file, group.line)),
        (_, Pane::Output) => model.room(Pane::Output).map(|room| {
            let view = model.output.view(room.0, room.1);
            let lines = model.output.lines(model.theme, &model.zone);
            let place = model.output.place(view, &lines);
            let rows = view.seen(&lines, place);
            rows.iter().map(|row| row.to_string().trim_start().to_owned()).collect::<Vec<_>>().join("\n")
        }),
        _ => None,
    };
    output::copy(model, &copied.unwrap_or_default())
}

fn prompt_action(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Submit if !model.prompt.is_blank() => {
            let source = model.prompt.text();
            model.prompt.completion = None;
            model.prompt.checking = Some(source.clone());
            return vec![Effect::Ask(Purpose::Check(source.clone()), Request::Check { source })];
        }
        Action::SubmitAnyway if !model.prompt.is_blank() => return submit(model),
        Action::Side if !model.prompt.is_blank() => return side::run(model),
        Action::Newline => model.prompt.newline(),
        Action::CompleteWord => {
            if model.prompt.next_match() {
                return Vec::new();
            }
            let head = model.prompt.line();
            if head.trim().is_empty() {
                model.prompt.insert("    ");
                return Vec::new();
            }
            return vec![Effect::Ask(Purpose::Complete(head.clone()), Request::Complete { text: head })];
        }
        Action::HistoryUp => model.prompt.up(),
        Action::HistoryDown => model.prompt.down(),
        Action::LeavePrompt if model.prompt.completion.take().is_some() => {}
        Action::LeavePrompt => {
            let before = model.recent[1];
            model.focus_on(before);
        }
        Action::InterruptOrClear if !model.prompt.is_blank() => model.prompt.clear(),
        Action::InterruptOrClear => return perform(model, Action::WayOut),
        _ => {}
    }
    Vec::new()
}
