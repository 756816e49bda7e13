//! Moving through the time of a recording, and what that means for the panes.

use super::perform::selected_what;
use crate::api::replay::{Goal, Steer, When};
use crate::model::Marks;
use crate::model::proto::{OutputAt, Request, Response, Summary};
use crate::tui::actions::Action;
use crate::tui::keymap;
use crate::tui::model::Model;
use crate::tui::msg::{Effect, Purpose};
use crate::tui::overlay::Overlay;
use crate::tui::panes::detail::What;
use crate::tui::panes::output::At;
use crate::tui::view::time_bar;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Position;

/// Does what an action of recordings does.
pub(super) fn steer(model: &mut Model, action: Action) -> Vec<Effect> {
    let steer = match action {
        Action::Play => Steer::Toggle,
        Action::StepBack => Steer::Step(false),
        Action::StepOn => Steer::Step(true),
        Action::Slower => Steer::Faster(false),
        Action::Faster => Steer::Faster(true),
        Action::ItemBefore => Steer::To(Goal::AnyItem(false)),
        Action::ItemAfter => Steer::To(Goal::AnyItem(true)),
        Action::ExceptionBefore => Steer::To(Goal::Exception(false)),
        Action::ExceptionAfter => Steer::To(Goal::Exception(true)),
        Action::TimeStart => Steer::To(Goal::Start),
        Action::TimeEnd => Steer::To(Goal::End),
        Action::Shorten => Steer::Shorten,
        Action::GoToRow => match row_time(model) {
            Some(goal) => Steer::To(goal),
            None => return Vec::new(),
        },
        _ => {
            model.overlay = Some(Overlay::GoTo { text: String::new() });
            return Vec::new();
        }
    };
    vec![Effect::Steer(steer)]
}

/// When what is selected happened.
fn row_time(model: &Model) -> Option<Goal> {
    match selected_what(model)? {
        What::Item(_) => model.agenda.selected_row().map(|item| Goal::Item(item.item)),
        What::Command(_) => model.commands.selected_row().map(|command| Goal::Time(command.row.queued)),
        What::Exception(_) => model.exceptions.selected_row().map(|group| Goal::Time(group.last)),
        What::Why | What::Diagnosis(_) | What::About => None,
    }
}

/// A key while a place is being typed.
pub(super) fn go_to_key(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let Some(Overlay::GoTo { text }) = &mut model.overlay else { return Vec::new() };
    match key.code {
        KeyCode::Esc => model.overlay = None,
        KeyCode::Enter => {
            let text = std::mem::take(text);
            model.overlay = None;
            return go_to(model, &text);
        }
        KeyCode::Backspace => {
            text.pop();
        }
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => model.overlay = None,
        KeyCode::Char(c) if keymap::writes_text(key.code, key.modifiers) => {
            super::input::type_text(text, c.encode_utf8(&mut [0; 4]));
        }
        _ => {}
    }
    Vec::new()
}

fn go_to(model: &mut Model, text: &str) -> Vec<Effect> {
    let Some(playback) = model.playback() else { return Vec::new() };
    match When::parse(text, &playback.extent, playback.summary.now, &model.zone) {
        Ok(When::Goal(goal)) => vec![Effect::Steer(Steer::To(goal))],
        Ok(When::Item(name)) => vec![Effect::Ask(Purpose::GoTo, Request::Item { name })],
        Err(why) => {
            model.complain(why);
            Vec::new()
        }
    }
}

/// The item to whose beginning to go was looked for.
pub(super) fn found_item(model: &mut Model, answer: Result<Response, String>) -> Vec<Effect> {
    match answer {
        Ok(Response::Item(item)) => return vec![Effect::Steer(Steer::To(Goal::Item(item.view.item)))],
        Ok(_) => {}
        Err(why) => model.complain(format!("that is no time, and {why}")),
    }
    Vec::new()
}

/// A click on the time line.
pub(super) fn clicked(model: &Model, at: Position) -> Option<Vec<Effect>> {
    let playback = model.playback()?;
    let row = model.layout().time_line;
    if !row.contains(at) {
        return None;
    }
    let bar = time_bar(model, row);
    if !bar.contains(at) {
        return Some(vec![Effect::Steer(Steer::Toggle)]);
    }
    let place = u64::from(at.x - bar.x) * 1000 / u64::from(bar.width.saturating_sub(1).max(1));
    Some(vec![Effect::Steer(Steer::To(Goal::Time(playback.extent.after(place))))])
}

/// The recording was moved back: what the panes know may not have happened yet.
pub(super) fn moved(model: &mut Model, before: &Summary, now: &Summary) {
    if now.seq >= before.seq && now.now >= before.now {
        return;
    }
    if let Some(Overlay::Detail(detail)) = &mut model.overlay {
        // One that is not known yet is closed by the answer.
        detail.lines.clear();
        detail.stale = true;
    }
    if let At::Anchored { anchor, .. } = model.output.at {
        let Marks { stdout, stderr } = now.output;
        let end = if anchor.stream == crate::model::Stream::Stdout { stdout } else { stderr };
        if anchor.offset < end {
            model.output.go(OutputAt::Line(anchor));
        } else {
            model.output.follow();
        }
    }
}
