//! Adding to a list in a JSON document: text goes in at one place, so that all the rest stays as it was written.

use super::super::source::{Sink, Source};
use super::super::tree::{Entry, Node, Tree, Walk};
use super::super::{Format, read_json};
use super::{RecordError, Slot};
use std::path::Path;

/// How much deeper what is in something stands, where the document does not say.
const INDENT: &str = "  ";

pub(super) fn add(path: &Path, text: &str, slot: Slot, templates: &[String]) -> Result<String, RecordError> {
    let source = Source::file(path.display().to_string(), text, Format::Json);
    let mut walk = Walk { source: &source, sink: Sink::default() };
    let root = read_json::read(&mut walk);
    let root = walk.sink.finish(|| root).map_err(RecordError::Job)?;
    let commands: Vec<String> =
        templates.iter().map(|template| serde_json::Value::from(template.as_str()).to_string()).collect();
    let entry = |key: &str, open, inner: String, close| format!("\"{key}\": {open}{inner}{close}");
    let Some(phases) = member(&root, "phases") else {
        let list = entry(slot.word(), '[', commands.join(", "), ']');
        return Ok(insert(text, root.at.offset(), &[entry("phases", '{', list, '}')]));
    };
    if !matches!(phases.tree, Tree::Table(_)) {
        return Err(RecordError::File("the job file cannot be added to: its phases are no object".to_owned()));
    }
    match member(phases, slot.word()) {
        None => Ok(insert(text, phases.at.offset(), &[entry(slot.word(), '[', commands.join(", "), ']')])),
        Some(Node { at, tree: Tree::List(_) }) => Ok(insert(text, at.offset(), &commands)),
        Some(_) => {
            let why = format!("the job file cannot be added to: its phases.{} is no list", slot.word());
            Err(RecordError::File(why))
        }
    }
}

fn member<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Tree::Table(entries) = &node.tree else { return None };
    entries.iter().find(|entry| entry.key == key).map(|Entry { value, .. }| value)
}

/// Puts entries at the end of the object or list that opens here, laid out as those before them.
fn insert(text: &str, open: usize, entries: &[String]) -> String {
    let close = closing(text, open);
    let inner = &text[open + 1..close];
    let lead = &inner[..inner.len() - inner.trim_start().len()];
    let (at, before, between, after) = if inner.trim().is_empty() {
        let line = text[..open].rfind('\n').map_or(0, |newline| newline + 1);
        let indent: String = text[line..].chars().take_while(|c| *c == ' ' || *c == '\t').collect();
        let own = format!("\n{indent}{INDENT}");
        (open + 1, own.clone(), format!(",{own}"), format!("\n{indent}"))
    } else {
        let at = open + 1 + inner.trim_end().len();
        let between = if lead.contains('\n') { format!(",{lead}") } else { ", ".to_owned() };
        (at, between.clone(), between, text[at..close].to_owned())
    };
    [&text[..at], &before, &entries.join(&between), &after, &text[close..]].concat()
}

/// Where what opens here closes. The document was read, so brackets outside of strings match.
fn closing(text: &str, open: usize) -> usize {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate().skip(open) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    text.len()
}
