//! `regex_*` keys: one pattern a line, each an alternative.

use super::lenient;
use crate::job::source::{At, quoted};
use crate::job::tree::{Fields, Node, Tree, Walk};
use crate::model::{Finds, OutputPattern, ProgressReads, Severity};
use crate::patterns;

const PREFIX: &str = "regex";

/// The patterns of a package; checked, but not looked for, when the job is in development, as in Qube.
pub(super) fn read<'n>(
    package: &'n Node,
    fields: &mut Fields<'n>,
    dev: bool,
    walk: &mut Walk<'_>,
) -> Vec<OutputPattern> {
    let parser = fields.get("logParser").and_then(|node| parser(node, walk));
    let Tree::Table(entries) = &package.tree else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| entry.key.starts_with(PREFIX)) {
        fields.took(&entry.key);
        let node = &entry.value;
        let Tree::Text(text) = &node.tree else {
            if !lenient::is_empty(node) {
                walk.warn(entry.at, format!("{} is no string: Qube takes no notice of it", quoted(&entry.key)));
            }
            continue;
        };
        let name = entry.key.strip_prefix("regex_").unwrap_or(&entry.key);
        let regexes = alternatives(node.at, text, name, walk);
        let finds = match name {
            "errors" => Finds::Error { severity: Severity::FailItem },
            "highlights" => Finds::Highlight,
            "outputPaths" => Finds::Output,
            "progress" => match parser.unwrap_or(Parser::Plain) {
                Parser::Reads(reads) => Finds::Progress { reads },
                Parser::Plain if regexes.is_empty() => continue,
                Parser::Plain => {
                    let parser = "the parser \"LogParser\" makes no progress of what it finds";
                    walk.warn(entry.at, format!("{parser}: name \"ProgressPercentageLogParser\" under \"logParser\""));
                    continue;
                }
            },
            _ => Finds::Value,
        };
        if !regexes.is_empty() {
            let pattern = OutputPattern::of_qube(name, &regexes.join("\n"), finds);
            // Each of them may do, and all of them together be too large.
            if let Err((_, wrong)) = patterns::check(&pattern) {
                walk.add(entry.at, format!("{} cannot be looked for: {}", quoted(&entry.key), wrong.message));
            }
            found.push(pattern);
        }
    }
    if dev && !found.is_empty() {
        let what = "nothing is made of the output while it is set, as in Qube: patterns are not looked for";
        walk.warn(package.at, format!("the package has \"dev\": {what}"));
        found.clear();
    }
    found
}

#[derive(Clone, Copy)]
enum Parser {
    /// Makes nothing of progress.
    Plain,
    Reads(ProgressReads),
}

fn parser(node: &Node, walk: &mut Walk<'_>) -> Option<Parser> {
    if lenient::is_empty(node) {
        return None;
    }
    let mut fields = Fields::of(node, "\"logParser\"", walk);
    let class = fields.text("className", walk);
    fields.get("modulePath");
    fields.get("libPath");
    for entry in fields.rest() {
        walk.warn(entry.at, format!("unknown key {} in \"logParser\", without effect", quoted(&entry.key)));
    }
    let (at, class) = class?;
    match class {
        "" | "LogParser" => Some(Parser::Plain),
        "ProgressPercentageLogParser" => Some(Parser::Reads(ProgressReads::Percent)),
        "CmdRangeChunkLogParser" => Some(Parser::Reads(ProgressReads::Frame)),
        _ => {
            let what = "is a class of Python's, which is not run: patterns are looked for as \"LogParser\" does";
            walk.warn(at, format!("the parser {} {what}", quoted(class)));
            Some(Parser::Plain)
        }
    }
}

/// The lines of a key's text as patterns; what cannot be used is an error with its place.
fn alternatives(at: At, text: &str, name: &str, walk: &mut Walk<'_>) -> Vec<String> {
    let mut regexes = Vec::new();
    let mut offset = 0;
    for (nth, line) in text.split('\n').enumerate() {
        let start = offset + line.len() - line.trim_start().len();
        offset += line.len() + 1;
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let pattern = line.replace(r"\Z", r"\z");
        if let Err((_, wrong)) = patterns::check(&OutputPattern::of_qube(name, &pattern, Finds::Value)) {
            let what = format!("alternative {} of \"regex_{name}\" is no pattern that can be used", nth + 1);
            walk.sink.add_inside(walk.source, at, text, start + wrong.offset, format!("{what}: {}", wrong.message));
            continue;
        }
        let whole = matches!(name, "errors" | "highlights");
        if !whole && captures(&pattern) == 0 {
            let message =
                format!("alternative {} of \"regex_{name}\" has no group, so that nothing is kept of it", nth + 1);
            walk.warn(at, message);
        }
        regexes.push(pattern);
    }
    regexes
}

fn captures(pattern: &str) -> usize {
    let parsed = regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern);
    parsed.map_or(0, |hir| hir.properties().explicit_captures_len())
}
