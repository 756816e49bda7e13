//! The agenda: named items with commands of their own.

use super::unused::Unused;
use super::{convert, lenient};
use crate::job::file;
use crate::job::ranges;
use crate::job::source::quoted;
use crate::job::tree::{Fields, Node, Tree, Walk};
use crate::model::job::{Agenda, FrameRun, ItemSpec};
use crate::model::{ItemStatus, PathMap};
use std::collections::HashSet;

/// Reads the items; with `frames` an item's name says which frames it is of. When they are `driven`, a class may know by
/// itself what to do.
pub(super) fn read(node: &Node, (frames, driven): (bool, bool), walk: &mut Walk<'_>) -> Agenda {
    let nodes = node.list(walk, "items");
    let (mut names, mut items, mut unused) = (HashSet::new(), Vec::with_capacity(nodes.len()), Unused::of_items());
    let mut again = (0, None);
    for node in nodes {
        let mut fields = Fields::of(node, "an item of the agenda", walk);
        let name = fields.get("name").and_then(|node| Some((node.at, lenient::text(node, walk)?)));
        let mut item = ItemSpec::default();
        match name {
            Some((at, text)) => {
                item.name = file::name(at, &text, walk);
                if !names.insert(text) {
                    walk.add(at, format!("the name {} is there twice; every item needs its own", quoted(&item.name)));
                }
            }
            None => walk.add(node.at, "an item needs a \"name\" (a string)"),
        }
        if let Some(status) = fields.get("status") {
            item.status = read_status(status, &mut again, walk);
        }
        item.frames = frames.then(|| of_name(&item.name)).flatten();
        // What it yielded is still in the job that Qube's own classes are handed.
        fields.get("resultpackage");
        let package = fields.get("package");
        commands(node, package, driven, &mut item, walk);
        unused.take(&mut fields);
        items.push(item);
    }
    unused.tell(walk);
    if let (count, Some(at)) = again {
        walk.warn(at, format!("items that failed or were killed in Qube are run again: {count}"));
    }
    if items.is_empty() { Agenda::Empty } else { Agenda::Items(items) }
}

fn read_status(
    node: &Node,
    again: &mut (usize, Option<crate::job::source::At>),
    walk: &mut Walk<'_>,
) -> Option<ItemStatus> {
    match lenient::status(node) {
        Some("complete") => return Some(ItemStatus::Complete),
        Some("blocked" | "suspended") => return Some(ItemStatus::Blocked),
        Some("failed" | "killed") => {
            again.0 += 1;
            again.1.get_or_insert(node.at);
        }
        Some(_) => {}
        None => walk.warn(node.at, format!("the status {} is none of Qube's", quoted(&lenient::shown(node)))),
    }
    None
}

/// The frames of a name that is one frame or one range.
fn of_name(name: &str) -> Option<FrameRun> {
    match ranges::parse(name).ok()?.as_slice() {
        [run] => Some(*run),
        _ => None,
    }
}

fn commands(item: &Node, package: Option<&Node>, driven: bool, into: &mut ItemSpec, walk: &mut Walk<'_>) {
    let entries = package.map(|node| node.table(walk)).unwrap_or_default();
    let found = entries.iter().find(|entry| entry.key == "commands").map(|entry| &entry.value);
    let commands = found.map(|node| node.texts(walk)).unwrap_or_default();
    let done = into.status == Some(ItemStatus::Complete);
    let unread = found.is_some_and(|node| !matches!(&node.tree, Tree::List(nodes) if nodes.len() == commands.len()));
    if commands.is_empty() && !done && !unread && !driven {
        let message =
            format!("the item {} has nothing to run: it needs \"commands\" in its package", quoted(&into.name));
        walk.add(item.at, message);
    }
    for (at, text) in &commands {
        if let Err(error) = convert(text, &PathMap::default()) {
            walk.warn(*at, format!("the item {} will fail: {}", quoted(&into.name), error.message));
        }
    }
    into.commands = Some(commands.into_iter().map(|(_, text)| text.to_owned()).collect());
    for entry in entries.iter().filter(|entry| entry.key != "commands") {
        into.data.insert(entry.key.clone(), entry.value.value(walk));
    }
}
