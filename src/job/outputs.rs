//! `[outputs]`: how an item's output files are judged.

use super::source::quoted;
use super::tree::{Fields, Node, Tree, Walk};
use crate::model::{OutputChecks, size};

/// The checks that a job asks for.
pub(crate) fn read(node: &Node, walk: &mut Walk<'_>) -> OutputChecks {
    let mut fields = Fields::of(node, "[outputs]", walk);
    let mut checks = OutputChecks::default();
    for (key, check) in [("exist", &mut checks.exist), ("image", &mut checks.image), ("newer", &mut checks.newer)] {
        if let Some(node) = fields.get(key) {
            *check = node.boolean(walk).unwrap_or_default();
        }
    }
    checks.min_size = fields.get("min_size").and_then(|node| bytes(node, walk));
    let most = fields.get("max_size");
    checks.max_size = most.and_then(|node| bytes(node, walk));
    if let (Some(node), Some(least), Some(most)) = (most, checks.min_size, checks.max_size)
        && least > most
    {
        let (least, most) = (size::bytes(least), size::bytes(most));
        walk.add(node.at, format!("no file is both as large as min_size ({least}) and no larger than {most}"));
    }
    checks.dimensions = fields.get("dimensions").and_then(|node| dimensions(node, walk));
    fields.finish(walk);
    checks
}

fn bytes(node: &Node, walk: &mut Walk<'_>) -> Option<u64> {
    let (read, found) = match &node.tree {
        Tree::Integer(bytes) => (u64::try_from(*bytes).ok(), bytes.to_string()),
        Tree::Text(text) => (size::parse(text), quoted(text)),
        _ => (None, node.kind().to_owned()),
    };
    if read.is_none() {
        walk.add(node.at, format!("expected a size (\"10k\", \"2M\", or bytes), found {found}"));
    }
    read
}

/// Width and height: `[1920, 1080]` or `"1920x1080"`.
fn dimensions(node: &Node, walk: &mut Walk<'_>) -> Option<(u32, u32)> {
    match &node.tree {
        Tree::List(sides) if sides.len() == 2 => {
            let mut side = |node: &Node| node.number(walk, 1, u32::MAX);
            let (width, height) = (side(&sides[0]), side(&sides[1]));
            width.zip(height)
        }
        Tree::Text(text) => {
            let side = |text: &str| text.trim().parse().ok().filter(|side| *side > 0);
            let sides = text.split_once(['x', 'X', '×']).and_then(|(width, height)| side(width).zip(side(height)));
            if sides.is_none() {
                walk.add(node.at, format!("{} are no dimensions: write them like \"1920x1080\"", quoted(text)));
            }
            sides
        }
        _ => {
            let found = node.kind();
            walk.add(node.at, format!("expected dimensions ([1920, 1080] or \"1920x1080\"), found {found}"));
            None
        }
    }
}
