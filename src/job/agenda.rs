//! The walk over a job's agenda: frames, or named items.

use super::check::{Commands, OwnItem};
use super::file;
use super::ranges;
use super::source::{At, quoted};
use super::tree::{Fields, Node, Tree, Walk};
use crate::model::job::{Agenda, FrameRun, ItemSpec};
use std::collections::HashSet;

/// The most frames of one item: `{frames}` spells each of them out.
const MOST_CHUNK: u32 = 100_000;

/// The agenda, with the places of its commands noted for the check of templates.
pub(crate) fn read<'n>(node: &'n Node, commands: &mut Commands<'n>, walk: &mut Walk<'_>) -> Agenda {
    let mut fields = Fields::of(node, "[agenda]", walk);
    let (frames, chunk, items) = (fields.get("frames"), fields.get("chunk"), fields.get("items"));
    fields.finish(walk);
    if let (Some(chunk), None) = (chunk, frames) {
        walk.add(chunk.at, "a chunk is of frames, and there are none");
    }
    match (frames, items) {
        (Some(frames), None) => {
            let chunk = chunk.map_or(Some(1), |node| node.number(walk, 1, MOST_CHUNK)).unwrap_or(1);
            let runs = runs(frames, walk);
            if runs.is_empty() { Agenda::Empty } else { Agenda::Frames { runs, chunk } }
        }
        (None, Some(items)) => Agenda::Items(read_items(items, commands, walk)),
        (Some(_), Some(items)) => {
            walk.add(items.at, "an agenda has frames or items, not both");
            Agenda::Empty
        }
        (None, None) => Agenda::Empty,
    }
}

fn runs(node: &Node, walk: &mut Walk<'_>) -> Vec<FrameRun> {
    let number;
    let text = match &node.tree {
        Tree::Integer(frame) => {
            number = frame.to_string();
            &number
        }
        _ => match node.text(walk) {
            Some(text) => text,
            None => return Vec::new(),
        },
    };
    ranges::parse(text).unwrap_or_else(|errors| {
        for error in errors {
            walk.sink.add_inside(walk.source, node.at, text, error.offset, error.message);
        }
        Vec::new()
    })
}

fn read_items<'n>(node: &'n Node, commands: &mut Commands<'n>, walk: &mut Walk<'_>) -> Vec<ItemSpec> {
    let mut names = HashSet::new();
    let mut items = Vec::new();
    for node in node.list(walk, "items") {
        let mut fields = Fields::of(node, "an item", walk);
        let mut item = ItemSpec::default();
        match fields.text("name", walk) {
            Some((at, text)) => {
                item.name = file::name(at, text, walk);
                if !names.insert(text) {
                    walk.add(at, format!("the name {} is there twice; every item needs its own", quoted(text)));
                }
            }
            None => walk.add(node.at, "an item needs a name (a string)"),
        }
        let own: Option<Vec<(At, &str)>> = fields.get("commands").map(|node| node.texts(walk));
        item.commands = own.as_ref().map(|commands| commands.iter().map(|(_, text)| (*text).to_owned()).collect());
        for entry in fields.get("data").map(|node| node.table(walk)).unwrap_or_default() {
            if entry.key.is_empty()
                || !entry.key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
            {
                walk.add(entry.at, format!("{} cannot be a key: use letters, digits, _ and -", quoted(&entry.key)));
            }
            item.data.insert(entry.key.clone(), entry.value.value(walk));
        }
        fields.finish(walk);
        commands.items.push(OwnItem { at: node.at, commands: own });
        items.push(item);
    }
    items
}
