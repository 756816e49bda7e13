//! How the model changes: `update(model, msg)` gives what is to be done about it. No I/O, no clock, no waiting.
//!
//! After every message the panes that are seen say which windows of the session they need; what is not seen asks for
//! nothing.

mod answers;
mod edit;
mod hot;
mod input;
mod ladder;
mod names;
mod output;
mod perform;
mod record;
mod save_as;
mod side;
mod steer;
mod timeouts;
mod travel;
mod usage;
mod why;

use super::layout::Pane;
use super::model::Model;
use super::msg::{Effect, Msg, Purpose};
use super::overlay::Overlay;
use super::panes::detail::{self, What};
use crate::api::Link;
use crate::model::Filter;
use crate::model::proto::{OutputAt, OutputQuery, Request, Summary};

pub(super) use input::contexts;
pub(super) use perform::{enabled, moves_focus, offered};

/// Changes the model; what the loop is to do.
pub(super) fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let mut effects = match msg {
        Msg::Input(event) => input::input(model, event),
        Msg::Link(link) => linked(model, *link),
        Msg::Answer(purpose, answer) => answers::answered(model, purpose, *answer),
        Msg::History(earlier) => {
            model.prompt.learn_earlier(earlier);
            Vec::new()
        }
        Msg::Tick(now) => {
            model.clock = now;
            why::tick(model);
            Vec::new()
        }
        Msg::Given(by, clip) => output::given(model, by, &clip),
        Msg::Created(transfer, made) => output::created(model, transfer, made),
        Msg::Written(written) => output::written(model, written),
        Msg::Saved(saving, path, saved) => {
            save_as::saved(model, saving, path, saved);
            Vec::new()
        }
    };
    effects.extend(wanted(model));
    effects
}

fn linked(model: &mut Model, link: Link) -> Vec<Effect> {
    let mut effects = Vec::new();
    if let Some(summary) = link.summary() {
        let before = model.summary.take().filter(|_| matches!(model.link, Link::Live(_) | Link::Recorded(_)));
        stir(model, before.as_deref(), summary);
        if let Some(said) = model.steering.learn(before.as_deref(), summary) {
            model.say(said);
        }
        if let (Link::Recorded(_), Some(before)) = (&link, &before) {
            travel::moved(model, before, summary);
        }
        model.plot.heard(summary.usage);
        model.summary = Some(Box::new(summary.clone()));
        model.summary_at = model.clock;
        if model.prompt.application.as_deref() != Some(&summary.backend) && !summary.backend.is_empty() {
            model.prompt.application = Some(summary.backend.clone());
            effects.push(Effect::LoadHistory(summary.backend.clone()));
        }
    }
    let opened = matches!(model.link, Link::Connecting { .. });
    model.link = link;
    let note = model.playback().filter(|_| opened).and_then(|playback| playback.notes.first().cloned());
    // Where there is no row for warnings, it is said once.
    if let Some(note) = note.filter(|_| model.layout().alert.height == 0) {
        model.complain(note);
    }
    follow(model);
    effects
}

/// Marks what the engine may know more of: by what the pulse says has changed, or everything after a break.
fn stir(model: &mut Model, before: Option<&Summary>, now: &Summary) {
    let changed = |what: fn(&Summary) -> u64| before.is_none_or(|before| what(before) != what(now));
    if changed(|summary| summary.seq.0) {
        model.agenda.stir();
        model.commands.stir();
        if let Some(Overlay::Detail(detail)) = &mut model.overlay {
            detail.stale |= detail.live;
        }
    }
    if changed(|summary| summary.raised) || changed(|summary| u64::from(summary.exceptions)) {
        model.exceptions.stir();
    }
    if changed(|summary| summary.output.stdout) || changed(|summary| summary.output.stderr) {
        model.output.stir(now.output);
    }
    if changed(|summary| summary.now.0) {
        model.plot.stir();
    }
    model.log.stir();
}

/// Selections that follow go along: the agenda's with the running item, the commands' with the newest.
fn follow(model: &mut Model) {
    let Some((item, commands)) =
        model.summary.as_ref().map(|summary| (summary.item.as_ref().map(|item| item.item.0), summary.commands))
    else {
        return;
    };
    if let Some(item) = item.filter(|_| model.agenda.follow) {
        let height = model.room(Pane::Agenda).map_or(1, |room| room.1);
        model.agenda.select(item, height);
    }
    if model.commands.follow {
        let height = model.room(Pane::Commands).map_or(1, |room| room.1);
        model.commands.select(commands.saturating_sub(1), height);
    }
}

/// The windows that the panes need.
fn wanted(model: &mut Model) -> Vec<Effect> {
    let mut effects = Vec::new();
    // What is over may still be read where it was recorded; where not, the refusal is the answer.
    if !matches!(model.link, Link::Live(_) | Link::Recorded(_) | Link::Over { .. }) {
        return effects;
    }
    let layout = model.layout();
    let height = |pane| layout.inner(pane).map_or(0, |inner| inner.height);
    if let Some(window) = model.agenda.wanted(height(Pane::Agenda)) {
        effects.push(Effect::Ask(Purpose::Agenda(window), Request::Agenda(window)));
    }
    if let Some(window) = model.commands.wanted(height(Pane::Commands)) {
        effects.push(Effect::Ask(Purpose::Commands(window), Request::Commands(window)));
    }
    if let Some(window) = model.exceptions.wanted(height(Pane::Exceptions)) {
        effects.push(Effect::Ask(Purpose::Exceptions(window), Request::Exceptions(window)));
    }
    if let Some(query) = model.output.wanted(height(Pane::Output)) {
        effects.push(Effect::Ask(Purpose::Output(query.clone()), Request::Output(Box::new(query))));
    }
    if height(Pane::Output) > 0
        && let Some(query) = model.output.seek.wanted(model.clock).map(Box::new)
    {
        effects.push(Effect::Ask(Purpose::Seek(query.clone()), Request::Search(query)));
    }
    if height(Pane::Log) > 0
        && let Some(request) = model.log.wanted()
    {
        effects.push(Effect::Ask(Purpose::Traces, request));
    }
    effects.extend(usage::wanted(model));
    effects.extend(hot::wanted(model));
    if let Some(Overlay::Detail(detail)) = &mut model.overlay
        && std::mem::take(&mut detail.stale)
    {
        effects.extend(details(&detail.what));
    }
    effects
}

fn details(what: &What) -> Vec<Effect> {
    match what {
        What::Command(id) => {
            let output = OutputQuery {
                stream: None,
                at: OutputAt::Start,
                before: 0,
                after: detail::OUTPUT,
                command: Some(*id),
                filter: Filter::default(),
                raw: false,
            };
            vec![
                Effect::Ask(Purpose::Command(*id), Request::Command { id: *id }),
                Effect::Ask(Purpose::CommandOutput(*id), Request::Output(Box::new(output))),
            ]
        }
        What::Exception(place) => {
            vec![Effect::Ask(Purpose::Exception(*place), Request::Exception { place: *place })]
        }
        What::Item(name) => vec![Effect::Ask(Purpose::Item(name.clone()), Request::Item { name: name.clone() })],
        What::Why => vec![Effect::Ask(Purpose::Why, Request::Why)],
        What::About => vec![Effect::Ask(Purpose::About, Request::About)],
        What::Diagnosis(place) => {
            vec![Effect::Ask(Purpose::Diagnosis(*place), Request::Diagnosis { place: *place })]
        }
    }
}
