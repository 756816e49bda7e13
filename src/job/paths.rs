//! Path maps: where their rules come from, and what of a job is mapped.
//!
//! What must stay true: the command line counts more than the job, and the job more than the user's own file; the longest
//! prefix wins all the same. What is mapped is a whole value that begins with a prefix: parameters, data of items, the
//! working directory, variables of the environment. A value that only has a path somewhere in it, such as a list of paths
//! with colons, is left as it is, and so is every command: what is in there is Python.

use super::JobErrors;
use super::file::Asked;
use super::source::{At, Format, Sink, Source};
use super::tree::{Fields, Node, Tree, Walk};
use crate::model::job::Agenda;
use crate::model::{Job, PathMap, PathRule};
use etcetera::BaseStrategy;
use serde_json::Value;
use std::path::PathBuf;

const KEY: &str = "path_map";
/// The largest file of one's own, in bytes.
const MOST_BYTES: u64 = 1 << 20;
/// The most rules: each is compared with each value.
const MOST_RULES: usize = 1000;

/// All rules that count for a job.
pub(super) fn read(fields: &mut Fields<'_>, asked: &Asked<'_>, walk: &mut Walk<'_>) -> PathMap {
    let of_job = fields.get(KEY).map(|node| rules(node, walk)).unwrap_or_default();
    let mut map = PathMap::default();
    if !asked.mapped {
        return map;
    }
    let own = own().unwrap_or_else(|errors| {
        walk.sink.take_in(At::default(), errors);
        Vec::new()
    });
    asked.maps.iter().cloned().chain(of_job).chain(own).for_each(|rule| map.add(rule));
    map
}

/// Where a user's own rules are.
pub fn own_file() -> Option<PathBuf> {
    let dirs = etcetera::base_strategy::Xdg::new().ok()?;
    Some(dirs.config_dir().join("childminder").join("path_map.toml"))
}

fn own() -> Result<Vec<PathRule>, JobErrors> {
    let Some(path) = own_file().filter(|path| path.exists()) else { return Ok(Vec::new()) };
    let text = super::text_of(&path, MOST_BYTES)?;
    let source = Source::file(path.display().to_string(), &text, Format::Toml);
    let mut walk = Walk { source: &source, sink: Sink::default() };
    let root = super::parse(&mut walk);
    let found = root.map(|root| {
        let mut fields = Fields::of(&root, "the path map", &mut walk);
        let found = fields.get(KEY).map(|node| rules(node, &mut walk)).unwrap_or_default();
        fields.finish(&mut walk);
        found
    });
    walk.sink.finish(|| found)
}

/// `{ "Z:\\show" = "/mnt/show" }`, or a list of `{ from = …, to = … }`.
fn rules(node: &Node, walk: &mut Walk<'_>) -> Vec<PathRule> {
    let mut found = Vec::new();
    let mut add = |at: At, from: &str, to: &str, walk: &mut Walk<'_>| match PathRule::new(from, to) {
        Ok(rule) => found.push(rule),
        Err(why) => walk.add(at, why),
    };
    match &node.tree {
        Tree::Table(entries) => {
            for entry in entries {
                if let Some(to) = entry.value.text(walk) {
                    add(entry.at, &entry.key, to, walk);
                }
            }
        }
        _ => {
            for node in node.list(walk, "tables with \"from\" and \"to\"") {
                let mut fields = Fields::of(node, "a path map", walk);
                let (from, to) = (fields.get("from"), fields.get("to"));
                fields.finish(walk);
                match (from, to) {
                    (Some(from), Some(to)) => {
                        if let (Some(text), Some(to)) = (from.text(walk), to.text(walk)) {
                            add(from.at, text, to, walk);
                        }
                    }
                    _ if matches!(node.tree, Tree::Table(_)) => {
                        walk.add(node.at, "a path map needs \"from\" and \"to\" (strings)");
                    }
                    _ => {}
                }
            }
        }
    }
    if found.len() > MOST_RULES {
        walk.add(node.at, format!("there are more than {MOST_RULES} path maps"));
        found.truncate(MOST_RULES);
    }
    found
}

/// Maps what of a job are values.
pub(super) fn apply(job: &mut Job) {
    let map = std::mem::take(&mut job.path_map);
    if !map.rules().is_empty() {
        job.parameters.values_mut().for_each(|value| map_value(value, &map));
        if let Agenda::Items(items) = &mut job.agenda {
            items.iter_mut().flat_map(|item| item.data.values_mut()).for_each(|value| map_value(value, &map));
        }
    }
    job.path_map = map;
    apply_to_env(job);
}

/// Maps the values of a job's environment.
pub(super) fn apply_to_env(job: &mut Job) {
    for value in job.env.values_mut() {
        if let Some(mapped) = job.path_map.map(value) {
            *value = mapped;
        }
    }
}

fn map_value(value: &mut Value, map: &PathMap) {
    match value {
        Value::String(text) => {
            if let Some(mapped) = map.map(text) {
                *text = mapped;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| map_value(value, map)),
        Value::Object(entries) => entries.values_mut().for_each(|value| map_value(value, map)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
