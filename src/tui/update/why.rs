//! Why a child is stuck: a diagnosis is asked for, or a saved one is looked at.

use super::answers::open;
use crate::api::Link;
use crate::model::proto::{Request, Response, Window};
use crate::tui::actions::Action;
use crate::tui::model::Model;
use crate::tui::msg::{Effect, Purpose};
use crate::tui::overlay::Overlay;
use crate::tui::panes::detail::What;

/// How many of the last diagnoses are looked through for the one that was just made.
const LAST: u32 = 16;

/// Does what an action of diagnoses does.
pub(super) fn perform(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Older => step(model, false),
        Action::Newer => step(model, true),
        _ => look(model),
    }
    Vec::new()
}

/// Asks anew where somebody can be asked, else shows the last that was saved. The question itself is put where all
/// details are asked for.
fn look(model: &mut Model) {
    if matches!(&model.overlay, Some(Overlay::Detail(detail)) if detail.looking.is_some()) {
        return;
    }
    if matches!(model.link, Link::Connecting { .. } | Link::Lost { .. }) {
        return model.complain("not connected to the engine");
    }
    model.steering.looked();
    let Some(why) = model.only_looks() else {
        open(model, What::Why);
        if let Some(Overlay::Detail(detail)) = &mut model.overlay {
            detail.looking = Some(model.clock);
        }
        return;
    };
    match count(model).checked_sub(1) {
        Some(last) => open(model, What::Diagnosis(last)),
        None => model.complain(format!("{why}, and no diagnosis was saved")),
    }
}

fn count(model: &Model) -> u32 {
    model.summary.as_ref().map_or(0, |summary| summary.diagnoses)
}

fn step(model: &mut Model, newer: bool) {
    let many = count(model);
    let Some(Overlay::Detail(detail)) = &model.overlay else { return };
    let to = match detail.saved {
        // One that is still being made comes after all others.
        None if newer => None,
        None => many.checked_sub(1),
        Some(at) if newer => at.checked_add(1).filter(|to| *to < many),
        Some(at) => at.checked_sub(1),
    };
    match to {
        Some(to) => open(model, What::Diagnosis(to)),
        None if newer => model.say("no diagnosis was made after this one"),
        None => model.say("no diagnosis was made before this one"),
    }
}

/// A diagnosis came, or why there is none.
pub(super) fn answered(model: &mut Model, asked: &What, answer: Result<Response, String>) -> Vec<Effect> {
    let (now, theme, zone) = (model.engine_now(), model.theme, &model.zone);
    let awaited = match &mut model.overlay {
        Some(Overlay::Detail(detail)) if detail.what == *asked => Some(detail),
        _ => None,
    };
    match (answer, awaited) {
        (Ok(Response::Diagnosis(diagnosis)), Some(detail)) => {
            detail.take_diagnosis(diagnosis);
            detail.tell_diagnosis(now, theme, zone);
            model.steering.looked();
            if *asked == What::Why {
                // Its place is needed to go to the ones before it.
                let window = Window { from: u32::MAX, limit: LAST };
                return vec![Effect::Ask(Purpose::Diagnoses, Request::Diagnoses(window))];
            }
        }
        (Ok(Response::Diagnosis(diagnosis)), None) if *asked == What::Why => model.say(diagnosis.verdict.sentence),
        (Err(why), Some(_)) => {
            model.overlay = None;
            model.complain(why);
        }
        (Err(why), None) if *asked == What::Why => model.complain(why),
        (Ok(_), Some(_)) => {
            model.overlay = None;
            model.complain("the engine's answer was not understood");
        }
        (Ok(_) | Err(_), None) => {}
    }
    Vec::new()
}

/// The last diagnoses: the one that was just made is among them.
pub(super) fn placed(model: &mut Model, answer: Result<Response, String>) {
    let Ok(Response::Diagnoses(page)) = answer else { return };
    let Some(Overlay::Detail(detail)) = &mut model.overlay else { return };
    let (What::Why, Some(diagnosis)) = (&detail.what, &detail.diagnosis) else { return };
    let same = page.rows.iter().rposition(|head| head.sentence == diagnosis.verdict.sentence);
    let at = same.unwrap_or(page.rows.len().saturating_sub(1));
    let place = page.from.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
    detail.saved = (place < page.total).then_some(place);
}

/// Time has passed: how long ago it was is told anew.
pub(super) fn tick(model: &mut Model) {
    let (now, theme) = (model.engine_now(), model.theme);
    if let Some(Overlay::Detail(detail)) = &mut model.overlay {
        detail.tell_diagnosis(now, theme, &model.zone);
    }
}
