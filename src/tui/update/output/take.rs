//! Lines that are taken out of the window: into the clipboard, into a file.

use crate::model::proto::{Request, Response};
use crate::tui::model::Model;
use crate::tui::msg::{Clip, Effect, Purpose};
use crate::tui::panes::output::transfer::{Extent, Step, Target, Transfer};
use crate::tui::save::SaveError;
use crate::tui::update::save_as::ask_to_overwrite;
use crate::tui::{clipboard, text};
use std::path::PathBuf;

/// Puts a text into the clipboard, made safe.
pub(in crate::tui::update) fn copy(model: &mut Model, copied: &str) -> Vec<Effect> {
    let text = text::for_clipboard(copied);
    if text.is_empty() {
        model.say("there is nothing to copy");
        return Vec::new();
    }
    clip(model, Clip { text, cut: false })
}

fn clip(model: &mut Model, clip: Clip) -> Vec<Effect> {
    if model.programs.is_empty() { osc_52(model, &clip) } else { vec![Effect::Give(model.programs.clone(), clip)] }
}

fn osc_52(model: &mut Model, clip: &Clip) -> Vec<Effect> {
    let (kept, cut) = text::cut_bytes(&clip.text, clipboard::OSC_52);
    say_copied(model, kept, "OSC 52", cut || clip.cut);
    vec![Effect::Osc52(kept.to_owned())]
}

fn say_copied(model: &mut Model, copied: &str, by: &str, cut: bool) {
    let lines = text::plural(copied.lines().count() as u64, "line");
    let rest = if cut { "; the rest is too long for it, Ctrl-S saves all" } else { "" };
    model.say(format!("{lines} copied by {by}{rest}"));
}

/// A program has taken the text, or none has.
pub(in crate::tui::update) fn given(model: &mut Model, by: Option<&'static str>, clip: &Clip) -> Vec<Effect> {
    match by {
        Some(by) => {
            say_copied(model, &clip.text, by, clip.cut);
            Vec::new()
        }
        None => osc_52(model, clip),
    }
}

/// Copies the selected lines, which may have to be asked for.
pub(super) fn copy_selection(model: &mut Model) -> Vec<Effect> {
    let Some(extent) = selected(model) else { return Vec::new() };
    if is_busy(model) {
        return Vec::new();
    }
    let transfer = transfer(model, extent, Target::Clipboard(String::new()));
    let effects = ask(&transfer);
    model.output.selection = None;
    model.output.transfer = Some(transfer);
    effects
}

/// Writes the selection, or everything, to a file.
pub(super) fn save(model: &mut Model, path: &str, raw: bool) -> Vec<Effect> {
    if is_busy(model) {
        return Vec::new();
    }
    let extent = selected(model).unwrap_or(Extent::All(model.output.reached()));
    let transfer = transfer(model, extent, Target::File { path: path.into(), raw });
    vec![Effect::Create { transfer: Box::new(transfer), path: path.into(), replace: false }]
}

fn selected(model: &Model) -> Option<Extent> {
    let (first, last) = model.output.selection?.ends(&model.output.page.lines);
    Some(Extent::Lines(first, last))
}

fn is_busy(model: &mut Model) -> bool {
    let busy = model.output.transfer.is_some();
    if busy {
        model.say("what was begun before is still going on; Esc stops it");
    }
    busy
}

fn transfer(model: &Model, extent: Extent, target: Target) -> Transfer {
    Transfer::new(extent, target, model.output.stream, model.output.sieve.filter().clone())
}

fn ask(transfer: &Transfer) -> Vec<Effect> {
    let query = transfer.query().clone();
    vec![Effect::Ask(Purpose::Transfer(query.clone()), Request::Output(Box::new(query)))]
}

/// The file is there, or is not.
pub(in crate::tui::update) fn created(
    model: &mut Model,
    mut transfer: Box<Transfer>,
    made: Result<PathBuf, SaveError>,
) -> Vec<Effect> {
    match made {
        Ok(path) => {
            transfer.call(path.to_string_lossy().into_owned());
            let effects = ask(&transfer);
            model.output.transfer = Some(*transfer);
            effects
        }
        Err(SaveError::Exists(whole)) => {
            let Target::File { path, .. } = transfer.target() else { return Vec::new() };
            let effect = Effect::Create { path: path.clone(), transfer, replace: true };
            ask_to_overwrite(model, &whole, effect);
            Vec::new()
        }
        Err(SaveError::Failed(why)) => {
            model.complain(why);
            Vec::new()
        }
    }
}

/// A page for what is being taken has come.
pub(in crate::tui::update) fn transferred(
    model: &mut Model,
    query: &crate::model::proto::OutputQuery,
    answer: Result<Response, String>,
) -> Vec<Effect> {
    let Some(transfer) = model.output.transfer.as_mut().filter(|transfer| transfer.query() == query) else {
        return Vec::new();
    };
    let step = match answer {
        Ok(Response::Output(page)) => transfer.take(&page),
        Ok(_) => return stop(model, "the engine's answer was not understood"),
        Err(why) => return stop(model, &why),
    };
    go_on(model, step)
}

/// A piece is written, or could not be.
pub(in crate::tui::update) fn written(model: &mut Model, written: Result<(), SaveError>) -> Vec<Effect> {
    let Some(transfer) = &model.output.transfer else { return Vec::new() };
    match written {
        Ok(()) => {
            let step = transfer.written();
            go_on(model, step)
        }
        Err(why) => stop(model, &why.to_string()),
    }
}

fn go_on(model: &mut Model, step: Step) -> Vec<Effect> {
    match step {
        Step::Ask => model.output.transfer.as_ref().map(ask).unwrap_or_default(),
        Step::Write(bytes) => vec![Effect::Append(bytes)],
        Step::Copy(text, cut) => {
            model.output.transfer = None;
            clip(model, Clip { text, cut })
        }
        Step::Done => {
            if let Some(transfer) = model.output.transfer.take() {
                model.say(saved(&transfer));
            }
            vec![Effect::Close]
        }
    }
}

fn saved(transfer: &Transfer) -> String {
    let Transfer { lines, bytes, cut, lost, .. } = transfer;
    let Target::File { path, raw } = transfer.target() else { return String::new() };
    let (lines, bytes) = (text::plural(*lines, "line"), text::bytes(*bytes));
    let more = if *raw { "" } else { " (raw has more of them)" };
    let cut = if *cut > 0 { format!("; {} cut{more}", text::plural(*cut, "long line")) } else { String::new() };
    let lost = if *lost > 0 { format!("; {} between them were lost", text::bytes(*lost)) } else { String::new() };
    format!("{lines}, {bytes} written to {path}{cut}{lost}")
}

/// What there is of lines that were not all taken.
pub(super) fn stopped(transfer: &Transfer) -> String {
    let lines = text::plural(transfer.lines, "line");
    match transfer.target() {
        Target::File { path, .. } => format!("stopped after {lines}, which are in {path}"),
        Target::Clipboard(_) => format!("stopped after {lines}; nothing was copied"),
    }
}

fn stop(model: &mut Model, why: &str) -> Vec<Effect> {
    if let Some(transfer) = model.output.transfer.take() {
        model.complain(format!("{}: {why}", stopped(&transfer)));
    }
    vec![Effect::Close]
}
