//! Commands of the history into a file: their marks, and their texts being gathered.

use crate::model::proto::{Request, Response};
use crate::tui::layout::Pane;
use crate::tui::model::Model;
use crate::tui::msg::{Effect, Purpose};
use crate::tui::overlay::Overlay;
use crate::tui::panes::record::Chosen;
use crate::tui::save_as::{SaveAs, Saving};

/// The file that is offered to be written.
const FILE: &str = "recorded.py";

/// Marks the selected command, and goes on to the next.
pub(super) fn mark(model: &mut Model) {
    let Some(id) = model.commands.selected_row().map(|command| command.id) else { return };
    if !model.recording.mark(id) {
        return model.complain("no more commands can be marked");
    }
    let height = model.room(Pane::Commands).map_or(1, |room| room.1);
    model.commands.step(1, height);
}

/// Asks for the file's name.
pub(super) fn begin(model: &mut Model) {
    let selected = model.commands.selected_row().map(|command| command.id);
    if let Some(chosen) = model.recording.choose(selected) {
        model.overlay = Some(Overlay::SaveAs(Box::new(SaveAs { text: FILE.into(), saving: Saving::Commands(chosen) })));
    }
}

/// Gathers the texts, and writes them when all have come.
pub(super) fn gather(model: &mut Model, chosen: Chosen, path: String) -> Vec<Effect> {
    let Some(id) = chosen.next() else {
        return vec![Effect::Write { saving: Saving::Commands(chosen), path, replace: false }];
    };
    model.recording.under_way = Some((chosen, path));
    vec![Effect::Ask(Purpose::Record(id), Request::Command { id })]
}

/// The text of one has come.
pub(super) fn answered(
    model: &mut Model,
    id: crate::model::CommandId,
    answer: Result<Response, String>,
) -> Vec<Effect> {
    let Some((mut chosen, path)) = model.recording.under_way.take_if(|(chosen, _)| chosen.next() == Some(id)) else {
        return Vec::new();
    };
    let taken = match answer {
        Ok(Response::Command(detail)) if detail.view.id == id => chosen.take(*detail),
        Ok(_) => Err("the engine's answer was not understood".to_owned()),
        Err(why) => Err(why),
    };
    match taken {
        Ok(()) => gather(model, chosen, path),
        Err(why) => {
            model.complain(format!("nothing was written: {why}"));
            Vec::new()
        }
    }
}
