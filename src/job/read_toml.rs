//! TOML into the tree: parsing with recovery by the `toml` crate, so that every syntax error is told at once.

use super::source::{At, quoted};
use super::tree::{Entry, Node, Tree, Walk};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The document as a tree; `None` when its syntax is wrong, which the walk has been told.
pub(crate) fn read(walk: &mut Walk<'_>) -> Option<Node> {
    let (document, errors) = DeTable::parse_recoverable(walk.source.text());
    for error in &errors {
        let at = At::byte(error.span().map_or(0, |span| span.start));
        // Its messages may run over several lines.
        walk.add(at, error.message().split_whitespace().collect::<Vec<_>>().join(" "));
    }
    if !errors.is_empty() {
        return None;
    }
    Some(Node { at: At::byte(0), tree: table(document.get_ref(), walk) })
}

/// A single value, as given to `--set`: `None` if it is none, or one that a job cannot hold.
pub(crate) fn value(text: &str, at: At) -> Option<Node> {
    let source = super::source::Source::flags_alone();
    let mut walk = Walk { source: &source, sink: super::source::Sink::default() };
    let value = DeValue::parse(text).ok()?;
    let tree = tree(value.get_ref(), at, &mut walk);
    let mut node = Node { at, tree };
    place_all(&mut node, at);
    (walk.sink.is_empty() && !matches!(node.tree, Tree::Float(value) if !value.is_finite())).then_some(node)
}

fn place_all(node: &mut Node, at: At) {
    node.at = at;
    match &mut node.tree {
        Tree::List(nodes) => nodes.iter_mut().for_each(|node| place_all(node, at)),
        Tree::Table(entries) => entries.iter_mut().for_each(|entry| {
            entry.at = at;
            place_all(&mut entry.value, at);
        }),
        _ => {}
    }
}

fn table(table: &DeTable<'_>, walk: &mut Walk<'_>) -> Tree {
    Tree::Table(
        table
            .iter()
            .map(|(key, value)| Entry {
                at: At::byte(key.span().start),
                key: key.get_ref().to_string(),
                value: node(value, walk),
            })
            .collect(),
    )
}

fn node(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Node {
    let at = At::byte(value.span().start);
    Node { at, tree: tree(value.get_ref(), at, walk) }
}

fn tree(value: &DeValue<'_>, at: At, walk: &mut Walk<'_>) -> Tree {
    match value {
        DeValue::String(text) => Tree::Text(text.to_string()),
        DeValue::Integer(number) => {
            Tree::Integer(i64::from_str_radix(number.as_str(), number.radix()).unwrap_or_else(|_| {
                walk.add(at, format!("the integer {} does not fit into 64 bits", quoted(number.as_str())));
                0
            }))
        }
        DeValue::Float(number) => Tree::Float(number.as_str().parse().unwrap_or_else(|_| {
            walk.add(at, format!("{} is no float", quoted(number.as_str())));
            0.0
        })),
        DeValue::Boolean(value) => Tree::Bool(*value),
        DeValue::Datetime(date) => {
            walk.add(at, format!("a date cannot be a value: write it in quotes, \"{date}\""));
            Tree::Null
        }
        DeValue::Array(values) => Tree::List(values.iter().map(|value| node(value, walk)).collect()),
        DeValue::Table(entries) => table(entries, walk),
    }
}
