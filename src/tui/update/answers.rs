//! What came back from the session.

use super::{edit, hot, input, names, output, record, timeouts, travel, usage, why};
use crate::model::proto::{Completeness, ItemVerb, List, Page, Request, Response};
use crate::tui::layout::Pane;
use crate::tui::model::Model;
use crate::tui::msg::{Effect, Purpose, Search};
use crate::tui::overlay::Overlay;
use crate::tui::panes::detail::{Detail, What};
use crate::tui::panes::prompt::{self, Fate};

/// Takes an answer. One of another kind than was asked for counts as none.
pub(super) fn answered(model: &mut Model, purpose: Purpose, answer: Result<Response, String>) -> Vec<Effect> {
    match purpose {
        Purpose::Agenda(window) => {
            let right = |response| if let Response::Agenda(page) = response { Some(page) } else { None };
            model.agenda.take(window, page(answer, right));
        }
        Purpose::Commands(window) => {
            let right = |response| if let Response::Commands(page) = response { Some(page) } else { None };
            model.commands.take(window, page(answer, right));
        }
        Purpose::Exceptions(window) => {
            let right = |response| if let Response::Exceptions(page) = response { Some(page) } else { None };
            model.exceptions.take(window, page(answer, right));
        }
        Purpose::Output(query) => {
            let page = match answer {
                Ok(Response::Output(page)) => Some(page),
                _ => None,
            };
            let nothing = match model.output_in_sight() {
                Some((output, look)) => output.take(&query, page, look),
                None => false,
            };
            if nothing {
                let sifted = model.output.sieve.is_on();
                model.say(if sifted { "the filter leaves nothing there" } else { "it has printed nothing yet" });
            }
        }
        Purpose::Traces => match answer {
            Ok(Response::Traces(page)) => model.log.take(Some(&page)),
            _ => model.log.take(None),
        },
        Purpose::Usage(_) | Purpose::UsageBefore | Purpose::UsageItem(_) => usage::answered(model, &purpose, answer),
        Purpose::Hot => hot::answered(model, answer),
        Purpose::Record(id) => return record::answered(model, id, answer),
        Purpose::Names => names::answered(model, answer),
        Purpose::Find(search) => return found(model, search, answer),
        Purpose::Seek(query) => output::sought(model, &query, answer),
        Purpose::FilterItem(name) => output::item_known(model, &name, answer),
        Purpose::Transfer(query) => return output::transferred(model, &query, answer),
        Purpose::Check(source) => return checked(model, &source, answer),
        Purpose::GoTo => return travel::found_item(model, answer),
        Purpose::Exec(number) => injected(model, number, answer),
        Purpose::Complete(head) => completions(model, &head, answer),
        Purpose::Why => return why::answered(model, &What::Why, answer),
        Purpose::Diagnosis(place) => return why::answered(model, &What::Diagnosis(place), answer),
        Purpose::Diagnoses => why::placed(model, answer),
        Purpose::Edit(name) => edit::loaded(model, &name, answer),
        Purpose::Edited(name) => edit::saved(model, &name, answer),
        Purpose::Timeouts => timeouts::answered(model, answer),
        Purpose::Verb(done) => match answer {
            Ok(Response::Done { said }) if !said.is_empty() => model.say(said),
            Ok(_) => model.say(done),
            Err(why) => model.complain(why),
        },
        Purpose::Command(_) | Purpose::CommandOutput(_) | Purpose::Exception(_) | Purpose::Item(_) | Purpose::About => {
            detail(model, &purpose, answer);
        }
    }
    Vec::new()
}

/// The page of an answer, if it is of the right kind; rows that claim to lie past its own total are left out.
fn page<T>(answer: Result<Response, String>, right: impl Fn(Response) -> Option<Page<T>>) -> Option<Page<T>> {
    let mut page = answer.ok().and_then(right)?;
    page.rows.truncate(page.total.saturating_sub(page.from) as usize);
    Some(page)
}

fn detail(model: &mut Model, purpose: &Purpose, answer: Result<Response, String>) {
    let Some(Overlay::Detail(detail)) = &mut model.overlay else { return };
    let (theme, zone) = (model.theme, &model.zone);
    let asked = match purpose {
        Purpose::Command(id) | Purpose::CommandOutput(id) => What::Command(*id),
        Purpose::Exception(place) => What::Exception(*place),
        Purpose::Item(name) => What::Item(name.clone()),
        Purpose::About => What::About,
        _ => return,
    };
    if detail.what != asked {
        return;
    }
    match answer {
        Ok(Response::Command(command)) => detail.take_command(command, theme, zone),
        Ok(Response::Output(page)) => detail.take_output(page, theme, zone),
        Ok(Response::Exception { group, exception }) => detail.take_exception(&group, &exception, theme, zone),
        Ok(Response::Item(item)) => detail.take_item(&item, theme, zone),
        Ok(Response::About(about)) => detail.take_about(&about, theme),
        Err(why) if detail.lines.is_empty() => {
            model.overlay = None;
            model.complain(why);
        }
        Ok(_) | Err(_) => {}
    }
}

fn injected(model: &mut Model, number: u64, answer: Result<Response, String>) {
    let (command, fate) = match answer {
        Ok(Response::Command(detail)) => (Some(detail.view.id), prompt::fate(&detail)),
        Ok(_) => (None, Fate::Not("the engine's answer was not understood".into())),
        Err(why) => (None, Fate::Not(why)),
    };
    model.prompt.answered(number, command, fate);
}

fn completions(model: &mut Model, head: &str, answer: Result<Response, String>) {
    match answer {
        Ok(Response::Completions { start, matches }) => {
            if !model.prompt.offer(head, start, matches) {
                model.say("nothing completes it");
            }
        }
        Ok(_) => {}
        Err(why) => model.complain(why),
    }
}

fn checked(model: &mut Model, source: &str, answer: Result<Response, String>) -> Vec<Effect> {
    if model.prompt.checking.as_deref() != Some(source) {
        return Vec::new();
    }
    model.prompt.checking = None;
    let mut effects = Vec::new();
    match answer {
        Ok(Response::Checked { state: Completeness::Complete, .. }) => effects.extend(submit(model)),
        Ok(Response::Checked { state: Completeness::Incomplete, .. }) => model.prompt.newline(),
        Ok(Response::Checked { state: Completeness::Invalid, message }) => {
            model.complain(format!("not Python: {message} · F5 runs it as it is"));
        }
        Ok(_) => {}
        Err(why) => model.complain(format!("{why} · F5 runs it without asking")),
    }
    effects.extend(input::replay(model));
    effects
}

/// Injects what stands in the prompt.
pub(super) fn submit(model: &mut Model) -> Vec<Effect> {
    let source = model.prompt.text();
    inject(model, source, |source| Request::Exec { source, wait: true })
}

/// Has what was typed run, and keeps it.
pub(super) fn inject(model: &mut Model, source: String, request: impl FnOnce(String) -> Request) -> Vec<Effect> {
    model.prompt.clear();
    let request = request(source.clone());
    let number = model.prompt.injected(source.clone(), matches!(request, Request::Side { .. }));
    let mut effects = vec![Effect::Ask(Purpose::Exec(number), request)];
    if let Some(application) = model.prompt.application.clone() {
        effects.push(Effect::Remember { application, source });
    }
    effects
}

fn found(model: &mut Model, search: Search, answer: Result<Response, String>) -> Vec<Effect> {
    model.finding = false;
    let row = match answer {
        Ok(Response::Found { row }) => row,
        Ok(_) => None,
        Err(why) => {
            model.complain(why);
            return Vec::new();
        }
    };
    match row {
        Some(row) => {
            if search.wrapped {
                model.say(if search.forward { "began again at the top" } else { "began again at the bottom" });
            }
            select(model, search.list, row);
            Vec::new()
        }
        None if search.wrapped => {
            model.say(format!("no row contains “{}”", search.text));
            Vec::new()
        }
        None => {
            let from = if search.forward { 0 } else { u32::MAX };
            vec![find(model, Search { wrapped: true, ..search }, from)]
        }
    }
}

/// The question of a search.
pub(super) fn find(model: &mut Model, search: Search, from: u32) -> Effect {
    model.finding = true;
    let request = Request::Find { list: search.list, text: search.text.clone(), from, forward: search.forward };
    Effect::Ask(Purpose::Find(search), request)
}

fn select(model: &mut Model, list: List, row: u32) {
    let height = |pane| model.room(pane).map_or(1, |room| room.1);
    match list {
        List::Agenda => {
            let height = height(Pane::Agenda);
            model.agenda.follow = false;
            model.agenda.select(row, height);
        }
        List::Commands => {
            let height = height(Pane::Commands);
            model.commands.follow = false;
            model.commands.select(row, height);
        }
        List::Exceptions => {
            let height = height(Pane::Exceptions);
            model.exceptions.select(row, height);
        }
    }
}

/// What is said when a verb is done and the engine says nothing.
pub(super) fn done(request: &Request) -> &'static str {
    match request {
        Request::Hold => "the agenda is held",
        Request::Release => "the agenda goes on",
        Request::Interrupt { .. } => "on the way out",
        Request::Pause => "the child stands still",
        Request::Continue => "the child goes on",
        Request::Break => "the agenda will wait before the next command",
        Request::Step { item: Some(_), .. } => "it is tried again",
        Request::Step { .. } => "one step",
        Request::Restart { .. } => "another child is launched",
        Request::Stop { .. } => "the session will stop",
        Request::Items { verb, .. } => match verb {
            ItemVerb::Retry => "will be run again",
            ItemVerb::Block => "blocked",
            ItemVerb::Unblock => "unblocked",
            ItemVerb::Kill => "killed",
            ItemVerb::Complete => "marked complete",
        },
        _ => "done",
    }
}

/// Opens the details of something.
pub(super) fn open(model: &mut Model, what: What) {
    model.overlay = Some(Overlay::Detail(Box::new(Detail::new(what))));
}
