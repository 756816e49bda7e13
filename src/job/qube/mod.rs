//! Qube's job dictionaries as JSON: `package` and `agenda`, with the attributes of the job beside them.
//!
//! What must stay true: Qube's rules are kept where they are lenient (what counts as true, numbers in strings); whatever
//! is wrong is told with its place, as in every job; no key is passed over in silence: what has no meaning here is
//! warned about, with the reason, and so is what nobody knows. Commands are Python as they stand: a brace is a brace.
//!
//! Qube's own bookkeeping has a meaning only where somebody would miss it: an item that is complete stays so, and one that
//! is blocked waits; all others are run, also those that have failed or were killed, since that is why a job is looked at
//! again. A blocked job is held.

mod convert;
mod items;
mod jobtype;
mod lenient;
mod package;
mod patterns;
mod unused;

pub(super) use convert::convert;

use super::file::{self, Asked};
use super::paths;
use super::source::quoted;
use super::tree::{Fields, Node, Tree, Walk};
use crate::model::job::{Job, Retry};
use crate::model::{Policies, Policy};
use std::path::{Path, PathBuf};
use std::time::Duration;
use unused::Unused;

/// What the original's back end runs before anything else.
const FIRST: [&str; 3] = ["import sys", "import os", "import time"];

/// Whether a document is a job of Qube's: none of ours has both of these.
pub(super) fn is_package(root: &Node) -> bool {
    let Tree::Table(entries) = &root.tree else { return false };
    let of = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value.tree);
    matches!(of("package"), Some(Tree::Table(_))) && matches!(of("agenda"), Some(Tree::List(_)))
}

/// The job that such a document describes; `None`, or a job that must not be run, when the walk was told of an error.
pub(super) fn job(root: &Node, asked: &Asked<'_>, base: &Path, name: &str, walk: &mut Walk<'_>) -> Option<Job> {
    let mut fields = Fields::of(root, "the job", walk);
    let mut unused = Unused::of_job();
    let mut job = Job { name: name.to_owned(), qube: Some(root.value(walk)), ..Job::default() };
    if let Some(node) = fields.get("name").filter(|node| !lenient::is_empty(node)) {
        let text = lenient::text(node, walk).unwrap_or_default();
        job.name = file::name(node.at, &text, walk);
    }
    job.path_map = paths::read(&mut fields, asked, walk);
    let package = fields.get("package")?;
    let recipe = jobtype::recipe(&mut fields, package, asked, base, &mut job, walk);
    job.cwd = fields.get("cwd").and_then(|node| cwd(node, base, &job, walk));
    environment(&mut fields, &mut job, walk);
    job.hold = fields.get("status").is_some_and(|node| status(node, walk));
    retry(&mut fields, &mut job, walk);
    timeouts(&mut fields, &mut job, walk);
    flags(fields.get("flags"), walk);
    job.phases.init = FIRST.map(str::to_owned).to_vec();
    package::read(package, asked, recipe.as_ref(), base, &mut job, walk);
    let frames = package::has_range(package);
    job.agenda =
        fields.get("agenda").map(|node| items::read(node, (frames, job.driven.is_some()), walk)).unwrap_or_default();
    unused.take(&mut fields);
    unused.tell(walk);
    paths::apply_to_env(&mut job);
    recipe.is_some().then_some(job)
}

/// The folder to work in, if it is there: the original takes no notice of one that is not.
fn cwd(node: &Node, base: &Path, job: &Job, walk: &mut Walk<'_>) -> Option<PathBuf> {
    if lenient::is_empty(node) {
        return None;
    }
    let text = node.text(walk)?;
    let path = base.join(job.path_map.map(text).as_deref().unwrap_or(text));
    if path.is_dir() {
        return Some(path);
    }
    walk.warn(
        node.at,
        format!("there is no folder {}: the job runs in the engine's own", quoted(&path.to_string_lossy())),
    );
    None
}

/// The job's variables, and those that a job of Qube's finds in its environment.
fn environment(fields: &mut Fields<'_>, job: &mut Job, walk: &mut Walk<'_>) {
    let id = fields.get("id").filter(|node| !lenient::is_empty(node));
    if let Some(id) = id.and_then(|node| lenient::text(node, walk)) {
        job.env.insert("QBJOBID".into(), id);
        job.env.insert("QBSUBID".into(), "0".into());
    }
    if let Some(node) = fields.get("env") {
        job.env.extend(lenient::environment(node, walk));
    }
}

/// Whether the job is to be held; where it stands otherwise means nothing here.
fn status(node: &Node, walk: &mut Walk<'_>) -> bool {
    let status = lenient::status(node);
    match status {
        Some("blocked" | "suspended") => return true,
        Some("complete" | "failed" | "killed" | "dying" | "exiting" | "badlogin") => {
            walk.warn(node.at, "the job has ended in Qube; it is run all the same, but for items that are complete");
        }
        Some(_) => {}
        None => walk.warn(node.at, format!("the status {} is none of Qube's", quoted(&lenient::shown(node)))),
    }
    false
}

fn retry(fields: &mut Fields<'_>, job: &mut Job, walk: &mut Walk<'_>) {
    let times =
        |node: Option<&Node>, walk: &mut Walk<'_>| node.and_then(|node| lenient::count(node, walk)).unwrap_or_default();
    let work = times(fields.get("retrywork"), walk);
    let delay = fields.get("retrywork_delay").and_then(|node| lenient::seconds(node, walk)).unwrap_or_default();
    job.retry = Retry { times: work, delay };
    job.restarts = times(fields.get("retrysubjob"), walk);
}

/// A time limit ends the item; a time-out is an event that somebody may act on, so that here it is only found out why.
fn timeouts(fields: &mut Fields<'_>, job: &mut Job, walk: &mut Walk<'_>) {
    let (limit, timeout) = (fields.get("agenda_timelimit"), fields.get("agenda_timeout"));
    let mut seconds = |node: Option<&Node>| -> Option<Duration> { node.and_then(|node| lenient::seconds(node, walk)) };
    let (limit, tells) = (seconds(limit), seconds(timeout));
    job.timeouts = file::usual_timeouts();
    job.timeouts.item = limit.or(tells);
    let item = if limit.is_none() && tells.is_some() { Policy::Warn } else { Policy::Fail };
    job.timeouts.policies = Policies { item, ..Policies::default() };
    if let (Some(node), Some(_), Some(_)) = (timeout, limit, tells) {
        walk.warn(
            node.at,
            "an item has one bound here: \"agenda_timelimit\", which ends it, and not \"agenda_timeout\"",
        );
    }
    for key in ["timelimit", "timeout"] {
        let Some(node) = fields.get(key) else { continue };
        if lenient::seconds(node, walk).is_some() {
            let what =
                "bounds a whole instance, and a session has no such bound here; \"agenda_timelimit\" bounds an item";
            walk.warn(node.at, format!("{key:?} {what}"));
        }
    }
}

/// Flags of jobs, and why they change nothing here.
const FLAGS: &[(&str, &str)] = &[
    ("convert_path", "only QB_CONVERT_PATH(...) is converted in commands of Python, as Qube's child back ends have it"),
    ("migrate_on_frame_retry", "there is no other host: an item that is tried again runs in the same child"),
    ("disable_auto_complete", "a session without items left ends; --hold keeps it"),
    ("auto_wrangling", unused::FARM),
    ("auto_mount", unused::FARM),
    ("disable_windows_job_object", "there are none on this system"),
];

fn flags(node: Option<&Node>, walk: &mut Walk<'_>) {
    let Some(node) = node.filter(|node| !lenient::is_empty(node)) else { return };
    let words: Vec<String> = match &node.tree {
        Tree::Text(text) => text.split([',', ' ']).map(str::to_owned).collect(),
        Tree::List(_) => node.texts(walk).into_iter().map(|(_, word)| word.to_owned()).collect(),
        Tree::Integer(bits) => {
            return walk.warn(
                node.at,
                format!("the flags are the number {bits}, which is not looked into: write their names"),
            );
        }
        _ => return walk.add(node.at, format!("expected flags by their names, found {}", node.kind())),
    };
    for word in words.iter().map(|word| word.trim()).filter(|word| !word.is_empty()) {
        match FLAGS.iter().find(|(flag, _)| *flag == word) {
            Some((_, why)) => walk.warn(node.at, format!("the flag {word} has no effect: {why}")),
            None => walk.warn(node.at, format!("the flag {} is not known, and has no effect", quoted(word))),
        }
    }
}

#[cfg(test)]
mod tests;
