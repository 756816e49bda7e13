//! Where the child's time goes: the questions for it while it is seen, their answers, and the keys of its pane.

use crate::model::proto::{Request, Response};
use crate::tui::actions::Action;
use crate::tui::layout::Pane;
use crate::tui::model::Model;
use crate::tui::msg::{Effect, Purpose};
use crate::tui::save_as::{SaveAs, Saving};
use crate::tui::{overlay::Overlay, text};

/// The file that is offered to be written.
const FILE: &str = "hot.folded";

/// What is to be asked.
pub(super) fn wanted(model: &mut Model) -> Option<Effect> {
    if !model.samples() {
        return None;
    }
    let reset = model.hot.wanted(model.clock)?;
    Some(Effect::Ask(Purpose::Hot, Request::Hot { reset }))
}

/// Takes the answer.
pub(super) fn answered(model: &mut Model, answer: Result<Response, String>) {
    model.hot.take(match answer {
        Ok(Response::Hot(tree)) => Ok(*tree),
        Ok(_) => Err("the engine's answer was not understood".to_owned()),
        Err(why) => Err(text::one_line(&why).into_owned()),
    });
}

/// Does what a key of the pane says.
pub(super) fn perform(model: &mut Model, action: Action) {
    let pane = &mut model.hot;
    match action {
        Action::Flame => pane.flame = !pane.flame,
        Action::Threads => pane.merge(),
        Action::OnlyActive => pane.only_active(),
        Action::Forget => pane.reset(),
        Action::Unfold if pane.flame => pane.widen(true),
        Action::Unfold => pane.turn(),
        Action::Out => pane.left(),
        Action::In => pane.right(),
        Action::Whole => pane.widen(false),
        _ if pane.all() == 0 => model.complain("there are no samples to write"),
        _ => {
            let saving = Saving::Stacks(pane.tree.folded());
            model.overlay = Some(Overlay::SaveAs(Box::new(SaveAs { text: FILE.into(), saving })));
        }
    }
}

/// Moves the selection by rows: negative is up.
pub(super) fn step(model: &mut Model, by: i64) {
    let height = model.room(Pane::Hot).map_or(1, |room| room.1);
    if model.hot.flame { model.hot.climb(by) } else { model.hot.step(by, height) }
}
