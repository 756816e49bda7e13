//! The job's package: what is run before and after the items, what is looked for in the output, how the child is started.

use super::unused::Unused;
use super::{lenient, patterns};
use crate::backend::{EXECUTABLE, Recipe, VERSION};
use crate::job::file::{self, Asked};
use crate::job::source::quoted;
use crate::job::tree::{Fields, Node, Tree, Walk};
use crate::model::Job;
use serde_json::Value;
use std::path::Path;

pub(super) fn read(
    node: &Node,
    asked: &Asked<'_>,
    recipe: Option<&Recipe>,
    base: &Path,
    job: &mut Job,
    walk: &mut Walk<'_>,
) {
    let mut fields = Fields::of(node, "the package", walk);
    let dev = fields.get("dev").is_some_and(lenient::is_true);
    // They are read elsewhere.
    fields.get("kind");
    fields.get("range");
    job.stderr_to_stdout = fields.get("redirectStderrToStdout").is_some_and(lenient::is_true);
    judged(&mut fields, job, walk);
    job.phases.setup = fields.get("jobSetupCmds").map(|node| lenient::texts(node, walk)).unwrap_or_default();
    job.phases.teardown = fields.get("jobTeardownCmds").map(|node| lenient::texts(node, walk)).unwrap_or_default();
    if let Some(node) = fields.get("env_runTimeOS") {
        of_this_system(node, job, walk);
    }
    file::given(None, None, &asked.sets, recipe, base, job, walk);
    executable(fields.get("pyExecutable"), base, job, walk);
    let app_version = fields.get("appVersion");
    // A class may know what to do with it where the recipe does not.
    if job.driven.is_none() || recipe.is_some_and(|recipe| recipe.application != "python") {
        version(app_version, recipe, job, walk);
    }
    if job.driven.is_some() {
        // All of it is the class's, which may read what nobody else knows and looks for its own patterns.
        return;
    }
    job.patterns = patterns::read(node, &mut fields, dev, walk);
    let mut unused = Unused::of_package();
    unused.take(&mut fields);
    unused.tell(walk);
}

/// How the output is judged. A class does that itself, in methods that may be overridden.
fn judged(fields: &mut Fields<'_>, job: &mut Job, walk: &mut Walk<'_>) {
    let (required, size) = (fields.get("outputPaths_required"), fields.get("validate_fileMinSize"));
    if job.driven.is_none() {
        job.outputs_required = required.is_some_and(lenient::is_true);
        job.outputs.min_size = size.and_then(|node| lenient::bytes(node, walk));
    }
}

/// Whether the job is one of frames, so that its items' names say theirs.
pub(super) fn has_range(package: &Node) -> bool {
    let Tree::Table(entries) = &package.tree else { return false };
    entries.iter().any(|entry| entry.key == "range" && !lenient::is_empty(&entry.value))
}

/// The variables for this system, over the job's.
fn of_this_system(node: &Node, job: &mut Job, walk: &mut Walk<'_>) {
    if lenient::is_empty(node) {
        return;
    }
    for entry in node.table(walk).iter().filter(|entry| entry.key == "Linux") {
        job.env.extend(lenient::environment(&entry.value, walk));
    }
}

/// The interpreter. Qube's submission writes an empty one, which there fails the job; here it says nothing.
fn executable(node: Option<&Node>, base: &Path, job: &mut Job, walk: &mut Walk<'_>) {
    let Some(node) = node.filter(|node| !lenient::is_empty(node)) else { return };
    let Some(text) = node.text(walk) else { return };
    let text = job.path_map.map(text).unwrap_or_else(|| text.to_owned());
    let path = file::from_folder(Value::from(text), base);
    job.backend_settings.entry(EXECUTABLE.to_owned()).or_insert(path);
}

/// The application's version: numbers or words, of which Qube makes a tuple.
fn version(node: Option<&Node>, recipe: Option<&Recipe>, job: &mut Job, walk: &mut Walk<'_>) {
    let Some(node) = node.filter(|node| !lenient::is_empty(node)) else { return };
    let parts: Vec<String> = match &node.tree {
        Tree::List(parts) => parts.iter().filter_map(|part| lenient::text(part, walk)).collect(),
        _ => lenient::text(node, walk).into_iter().collect(),
    };
    let version = parts.join(".");
    // Plain Python is no application of that version.
    if recipe.is_some_and(|recipe| recipe.application != "python") {
        job.backend_settings.entry(VERSION.to_owned()).or_insert(Value::from(version));
        return;
    }
    let message = format!("the backend {} is no application that has a version, such as", quoted(&job.backend));
    walk.warn(node.at, format!("{message} {}; choose one with --set executable=PATH", quoted(&version)));
}
