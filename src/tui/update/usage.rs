//! What the process tree uses: the questions for it, their answers, and the keys of its pane.

use crate::model::proto::{Request, Response, Window};
use crate::tui::actions::Action;
use crate::tui::layout::Pane;
use crate::tui::model::Model;
use crate::tui::msg::{Effect, Purpose};
use crate::tui::view;

/// What is to be asked.
pub(super) fn wanted(model: &mut Model) -> Vec<Effect> {
    let mut effects = Vec::new();
    if let Some(request) = model.plot.wanted_recent() {
        effects.push(Effect::Ask(Purpose::UsageBefore, request));
    }
    let Some((width, _)) = model.room(Pane::Usage) else { return effects };
    let columns = view::plot_columns(width);
    let (now, then) = (model.clock, model.engine_now());
    // Nothing but a pulse brings the next question, and of these there are none when nothing goes on.
    let hurry = model.is_over() || model.playback().is_some_and(|playback| !playback.playing);
    if let Some((question, request)) = model.plot.wanted(columns, now, then, hurry) {
        effects.push(Effect::Ask(Purpose::Usage(question), request));
    }
    if let Some(item) = model.plot.wanted_name() {
        effects.push(Effect::Ask(Purpose::UsageItem(item), Request::Agenda(Window { from: item.0, limit: 1 })));
    }
    effects
}

/// Takes an answer.
pub(super) fn answered(model: &mut Model, purpose: &Purpose, answer: Result<Response, String>) {
    let history = |answer| if let Ok(Response::Usage(history)) = answer { Some(history) } else { None };
    match purpose {
        Purpose::UsageBefore => {
            if let Some(history) = history(answer) {
                model.plot.take_recent(&history.points);
            }
        }
        Purpose::UsageItem(item) => {
            let rows = if let Ok(Response::Agenda(page)) = answer { page.rows } else { Vec::new() };
            let row = rows.into_iter().find(|row| row.item == *item);
            model.plot.call(*item, row.map(|row| row.name));
        }
        Purpose::Usage(question) => model.plot.take(*question, history(answer)),
        _ => {}
    }
}

/// Does what a key of the pane says.
pub(super) fn perform(model: &mut Model, action: Action) {
    let columns = model.room(Pane::Usage).map_or(1, |room| view::plot_columns(room.0));
    match action {
        Action::Longer => model.plot.zoom(true),
        Action::Shorter => model.plot.zoom(false),
        Action::Earlier => model.plot.step(columns, false),
        Action::Later => model.plot.step(columns, true),
        _ => model.plot.cursor = None,
    }
}
