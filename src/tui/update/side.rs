//! Python beside the main thread: at once where that is known to be safe, else after somebody has read what it may cost.

use super::answers;
use crate::model::proto::Request;
use crate::tui::model::Model;
use crate::tui::msg::{Effect, Purpose};
use crate::tui::overlay::{Choice, Dialog, Overlay};

/// Runs what stands in the prompt, or asks first.
pub(super) fn run(model: &mut Model) -> Vec<Effect> {
    let source = model.prompt.text();
    if model.summary.as_ref().is_some_and(|summary| summary.side_eval) {
        return answers::inject(model, source, |source| Request::Side { source, confirmed: false });
    }
    let lines = vec![
        "This runs in another thread while the host works;".into(),
        "hosts whose API is not made for that can crash.".into(),
    ];
    // Only a command that is really run gets its number.
    let effect = Effect::Ask(Purpose::Exec(0), Request::Side { source, confirmed: true });
    let choices = vec![Choice { key: 'y', label: "run it beside", effect: Some(effect) }];
    model.overlay = Some(Overlay::Dialog(Dialog::new("Run beside the main thread?", lines, choices)));
    Vec::new()
}

/// What was chosen in a question; what is to be run beside the main thread is injected like any other command.
pub(super) fn chosen(model: &mut Model, effect: Effect) -> Vec<Effect> {
    match effect {
        Effect::Ask(Purpose::Exec(_), Request::Side { source, confirmed }) => {
            answers::inject(model, source, |source| Request::Side { source, confirmed })
        }
        other => vec![other],
    }
}
