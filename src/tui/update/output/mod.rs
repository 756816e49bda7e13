//! What the keys of the output pane do, and what came back for it.

mod entry;
mod take;

pub(super) use entry::{key as entry_key, paste as entry_paste};
pub(super) use take::{copy, created, given, transferred, written};

use crate::model::proto::{OutputAt, Request, Response};
use crate::model::{ItemIndex, SearchQuery};
use crate::tui::actions::Action;
use crate::tui::model::Model;
use crate::tui::msg::{Effect, Purpose};
use crate::tui::overlay::Overlay;
use crate::tui::panes::output::entry::{Aim, Entry};
use crate::tui::panes::output::filter::{Sieve, Wish};
use crate::tui::panes::output::seek::{Found, Landmark};
use crate::tui::text;

/// The file that is offered to be written.
const FILE: &str = "output.txt";

/// Does an action of this pane.
pub(super) fn perform(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::SearchForward => begin_search(model, true),
        Action::SearchBackward => begin_search(model, false),
        Action::NextMatch => again(model, true),
        Action::PreviousMatch => again(model, false),
        Action::Filter => {
            let typed = model.output.sieve.text().to_owned();
            begin(model, Aim::Filter, typed);
        }
        Action::ItemOutput => item_output(model),
        Action::NextError => jump(model, Landmark::Error, true),
        Action::PreviousError => jump(model, Landmark::Error, false),
        Action::NextException => jump(model, Landmark::Exception, true),
        Action::PreviousException => jump(model, Landmark::Exception, false),
        Action::NextItem => jump(model, Landmark::Item, true),
        Action::PreviousItem => jump(model, Landmark::Item, false),
        Action::Select if model.output.selection.take().is_some() => {}
        Action::Select => select(model),
        Action::SelectUp => select_more(model, -1),
        Action::SelectDown => select_more(model, 1),
        Action::CopySelection => return take::copy_selection(model),
        Action::Save => begin(model, Aim::Save { raw: false }, FILE.into()),
        _ => return let_go(model),
    }
    Vec::new()
}

fn begin(model: &mut Model, aim: Aim, typed: String) {
    let before = model.output.before();
    model.overlay = Some(Overlay::Entry(Box::new(Entry { aim, text: typed, wrong: None, before })));
}

fn begin_search(model: &mut Model, forward: bool) {
    let Some((output, look)) = model.output_in_sight() else { return };
    let way = output.way(forward, look);
    begin(model, Aim::Search(way), String::new());
}

fn again(model: &mut Model, same_way: bool) {
    let forward = model.output.seek.is_forward() == same_way;
    let Some((output, look)) = model.output_in_sight() else { return };
    let way = output.way(forward, look);
    output.seek.again(way);
}

fn jump(model: &mut Model, to: Landmark, forward: bool) {
    let Some((output, look)) = model.output_in_sight() else { return };
    let (way, among) = (output.way(forward, look), output.among());
    output.seek.jump(to, way, among);
}

fn select(model: &mut Model) {
    if let Some((output, look)) = model.output_in_sight() {
        output.select(look);
    }
}

fn select_more(model: &mut Model, by: i64) {
    if model.output.selection.is_none() {
        select(model);
    }
    extend(model, by);
}

/// Moves the end of the selection by lines, or to the first or the last line.
pub(super) fn extend(model: &mut Model, by: i64) {
    let Some((output, look)) = model.output_in_sight() else { return };
    output.extend(by, look);
}

fn item_output(model: &mut Model) {
    let Some(item) = model.agenda.selected_row() else { return };
    let (wish, place) = (Wish::of_item(&item.name), item.item);
    model.output.sift(wish.sieve(Some(place)));
    model.focus_on(crate::tui::layout::Pane::Output);
}

/// The nearest thing that can be dropped is.
fn let_go(model: &mut Model) -> Vec<Effect> {
    let output = &mut model.output;
    if let Some(transfer) = output.transfer.take() {
        model.say(take::stopped(&transfer));
        return vec![Effect::Close];
    }
    if output.selection.take().is_some() {
        return Vec::new();
    }
    if output.seek.sought().is_some() || output.seek.current().is_some() || output.seek.jumping().is_some() {
        output.seek.forget();
    } else if output.sieve.is_on() {
        output.sift(Sieve::default());
    }
    Vec::new()
}

/// Puts a filter in force; what is to be asked for it.
fn wish(model: &mut Model, wish: Wish) -> Vec<Effect> {
    let name = model.output.wish(wish);
    name.map(|name| Effect::Ask(Purpose::FilterItem(name.clone()), Request::Item { name })).into_iter().collect()
}

/// The place of an item that a filter names has come.
pub(super) fn item_known(model: &mut Model, name: &str, answer: Result<Response, String>) {
    let (item, why): (Option<ItemIndex>, _) = match answer {
        Ok(Response::Item(detail)) => (Some(detail.view.item), None),
        Ok(_) => (None, Some("the engine's answer was not understood".to_owned())),
        Err(why) => (None, Some(why)),
    };
    if !model.output.learn_item(name, item) {
        return;
    }
    match (&mut model.overlay, why) {
        (Some(Overlay::Entry(entry)), why) => entry.wrong = why.map(|why| text::one_line(&why).into_owned()),
        (_, Some(why)) => model.complain(why),
        (_, None) => {}
    }
}

/// The answer to a search has come.
pub(super) fn sought(model: &mut Model, query: &SearchQuery, answer: Result<Response, String>) {
    let answer = match answer {
        Ok(Response::Searched(searched)) => Ok(searched),
        Ok(_) => Err("the engine's answer was not understood".to_owned()),
        Err(why) => Err(why),
    };
    match model.output.seek.take(query, answer) {
        Found::Nothing => {}
        Found::Line(line, wrapped) => {
            if wrapped {
                model.say(if query.forward { "began again at the top" } else { "began again at the bottom" });
            }
            match model.output_in_sight() {
                Some((output, look)) => output.go_to_line(line, look),
                None => model.output.go(OutputAt::Line(line)),
            }
        }
        Found::NoMatch => model.say("no line matches"),
        Found::NoLandmark(to, forward) => {
            model.say(format!("no {} {} here", to.name(), if forward { "after" } else { "before" }));
        }
        Found::Failed(why) => model.complain(why),
    }
}
