//! The walk over a job's tree: what a job file may say, and what each key means.

use super::agenda;
use super::check::{self, Commands};
use super::control;
use super::outputs;
use super::paths;
use super::patterns;
use super::read_toml;
use super::source::{At, quoted};
use super::template::ITEM_KEYS;
use super::tree::{Fields, Node, TimeLimit, Tree, Walk, suggestion};
use crate::backend::{self, NoRecipe, Recipe, class};
use crate::model::job::{Driven, Job, Phases, Retry, Timeouts};
use crate::model::{PathRule, PatternOrigin};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest name of a job or an item, in characters.
const NAME: usize = 200;

/// A `--set KEY=VALUE`.
pub(crate) struct Set<'s> {
    pub(crate) at: At,
    pub(crate) key: &'s str,
    pub(crate) value: &'s str,
}

/// What the command line says over a job.
#[derive(Default)]
pub(crate) struct Asked<'s> {
    pub(crate) sets: Vec<Set<'s>>,
    /// The backend instead of the job's, as seen from the job's folder.
    pub(crate) backend: Option<(At, &'s str)>,
    pub(crate) maps: Vec<PathRule>,
    /// Whether paths are mapped at all.
    pub(crate) mapped: bool,
}

/// The job that a tree describes; `None`, or a job that must not be run, when the walk was told of an error.
pub(crate) fn job(root: &Node, asked: &Asked<'_>, base: &Path, name: &str, walk: &mut Walk<'_>) -> Option<Job> {
    let mut fields = Fields::of(root, "the job", walk);
    let mut job = Job { name: name.to_owned(), ..Job::default() };
    if let Some((at, text)) = fields.text("name", walk) {
        job.name = self::name(at, text, walk);
    }
    job.path_map = paths::read(&mut fields, asked, walk);
    let backend = fields.text("backend", walk);
    let (settings, parameters) = (fields.get("settings"), fields.get("parameters"));
    let recipe = recipe(asked.backend.or(backend), (settings, &asked.sets), base, &mut job, walk);
    let map = |text: &str| job.path_map.map(text).unwrap_or_else(|| text.to_owned());
    job.cwd = fields.text("cwd", walk).map(|(at, text)| folder(at, &map(text), base, walk));
    if let Some(node) = fields.get("hold") {
        job.hold = node.boolean(walk).unwrap_or_default();
    }
    if let Some(node) = fields.get("stderr_to_stdout") {
        job.stderr_to_stdout = node.boolean(walk).unwrap_or_default();
    }
    if let Some(node) = fields.get("restarts") {
        job.restarts = node.number(walk, 0, 1_000_000).unwrap_or_default();
    }
    if let Some(node) = fields.get("outputs_required") {
        job.outputs_required = node.boolean(walk).unwrap_or_default();
    }
    job.outputs = fields.get("outputs").map(|node| outputs::read(node, walk)).unwrap_or_default();
    job.env = fields.get("env").map(|node| environment(node, walk)).unwrap_or_default();
    given(settings, parameters, &asked.sets, recipe.as_ref(), base, &mut job, walk);
    job.timeouts = fields.get("timeouts").map_or_else(usual_timeouts, |node| timeouts(node, walk));
    if let Some(node) = fields.get("on_timeout") {
        job.timeouts.policies = control::policies(node, walk);
    }
    if let Some(node) = fields.get("patterns") {
        let table = patterns::read(node, PatternOrigin::Job, walk);
        if let Some(recipe) = &recipe {
            table.check_off(&recipe.patterns, walk);
        }
        job.patterns_off = table.off.into_iter().map(|(_, name)| name).collect();
        job.patterns = table.patterns;
    }
    job.retry = fields.get("retry").map(|node| retry(node, walk)).unwrap_or_default();
    let mut commands = Commands::default();
    job.phases = fields.get("phases").map(|node| phases(node, &mut commands, walk)).unwrap_or_default();
    let agenda = fields.get("agenda");
    job.agenda = agenda.map(|node| agenda::read(node, &mut commands, walk)).unwrap_or_default();
    job.stops = control::stops(&mut fields, &job.agenda, walk);
    fields.finish(walk);
    check::all(&job, &commands, agenda.map_or(root.at, |node| node.at), recipe.as_ref(), walk);
    paths::apply(&mut job);
    recipe.is_some().then_some(job)
}

/// A name that can be shown, typed and found again.
pub(crate) fn name(at: At, text: &str, walk: &mut Walk<'_>) -> String {
    if text.trim().is_empty() {
        walk.add(at, "a name must not be empty");
    } else if text.chars().count() > NAME {
        walk.add(at, format!("a name has at most {NAME} characters"));
    } else if text.contains(char::is_control) {
        walk.add(at, format!("the name {} has control characters in it", quoted(text)));
    }
    text.to_owned()
}

fn recipe(
    wanted: Option<(At, &str)>,
    settings: (Option<&Node>, &[Set<'_>]),
    base: &Path,
    job: &mut Job,
    walk: &mut Walk<'_>,
) -> Option<Recipe> {
    let (mut at, text) = wanted.unwrap_or((At::default(), "python"));
    job.backend = backend::absolute(text, base);
    let mut name = job.backend.clone();
    if let Some((file, class)) = class::parts(text) {
        let driven = back_end_class(at, file, class, base, walk);
        job.backend = driven.text();
        job.driven = Some(driven);
        (at, name) = class_recipe(at, settings);
    }
    match backend::find(&name) {
        Ok(recipe) => return Some(recipe),
        Err(NoRecipe::Unknown(message)) => walk.add(at, message),
        Err(NoRecipe::Wrong(errors)) => walk.sink.take_in(at, errors),
    }
    None
}

/// A back-end class, which must be there.
pub(super) fn back_end_class(at: At, file: &Path, class: &str, base: &Path, walk: &mut Walk<'_>) -> Driven {
    let path = base.join(file);
    if !path.is_file() {
        walk.add(
            at,
            format!("there is no file {}, in which the back-end class is to be", quoted(&path.to_string_lossy())),
        );
    }
    if !class::is_class_name(class) {
        walk.add(at, format!("{} cannot be the name of a class: write FILE.py:CLASS", quoted(class)));
    }
    Driven { file: Some(path), class: class.to_owned(), under_qube: false }
}

/// The recipe that says how the application of a class is to be treated: the setting `recipe`, or the usual one.
pub(super) fn class_recipe(at: At, (settings, sets): (Option<&Node>, &[Set<'_>])) -> (At, String) {
    let set = sets.iter().rev().find(|set| set.key == "recipe").map(|set| (set.at, set.value.to_owned()));
    let entry = || {
        let Tree::Table(entries) = &settings?.tree else { return None };
        let entry = entries.iter().find(|entry| entry.key == "recipe")?;
        let Tree::Text(text) = &entry.value.tree else { return None };
        Some((entry.value.at, text.clone()))
    };
    set.or_else(entry).unwrap_or_else(|| (at, class::RECIPE.to_owned()))
}

fn folder(at: At, text: &str, base: &Path, walk: &mut Walk<'_>) -> PathBuf {
    let path = base.join(text);
    if !path.is_dir() {
        walk.add(at, format!("there is no folder {}", quoted(&path.to_string_lossy())));
    }
    path
}

fn environment(node: &Node, walk: &mut Walk<'_>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for entry in node.table(walk) {
        let key = &entry.key;
        variable(entry.at, key, walk);
        if let Some(text) = entry.value.text(walk) {
            variable_value(entry.value.at, text, walk);
            env.insert(key.clone(), text.to_owned());
        }
    }
    env
}

/// Whether this can be the name of a variable of the child's environment.
pub(super) fn variable(at: At, key: &str, walk: &mut Walk<'_>) {
    if key.is_empty() || key.contains(['=', '\0']) {
        walk.add(at, format!("{} cannot be the name of an environment variable", quoted(key)));
    }
    if key.starts_with("CHILDMINDER_") {
        walk.add(at, format!("{} is childminder's own: a job cannot set it", quoted(key)));
    }
}

/// Whether this can be its value.
pub(super) fn variable_value(at: At, text: &str, walk: &mut Walk<'_>) {
    if text.contains('\0') {
        walk.add(at, "an environment variable cannot hold a NUL");
    }
}

/// The bounds of a job that sets none. Qube's users set `QB_WAITING_TIMEOUT`, in seconds, for a whole farm.
pub(super) fn usual_timeouts() -> Timeouts {
    let waiting = std::env::var("QB_WAITING_TIMEOUT").ok().and_then(|text| waiting_timeout(&text));
    let usual = Timeouts::default();
    Timeouts { waiting: waiting.unwrap_or(usual.waiting), ..usual }
}

/// `None` for what is no time to wait for, which Qube ignores too.
fn waiting_timeout(text: &str) -> Option<Duration> {
    let seconds = text.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().filter(|length| !length.is_zero())
}

fn timeouts(node: &Node, walk: &mut Walk<'_>) -> Timeouts {
    let mut fields = Fields::of(node, "[timeouts]", walk);
    let mut timeouts = usual_timeouts();
    for (key, timeout) in [
        ("startup", &mut timeouts.startup),
        ("command", &mut timeouts.command),
        ("item", &mut timeouts.item),
        ("silence", &mut timeouts.silence),
        ("teardown", &mut timeouts.teardown),
    ] {
        let Some(node) = fields.get(key) else { continue };
        match node.time_limit(walk) {
            Some(TimeLimit::Of(Duration::ZERO)) => {
                walk.add(node.at, "nothing is done within 0 seconds: write \"none\" for no time-out");
            }
            Some(TimeLimit::Of(length)) => *timeout = Some(length),
            Some(TimeLimit::None) => *timeout = None,
            None => {}
        }
    }
    for (key, timeout) in [("kill_grace", &mut timeouts.kill_grace), ("waiting", &mut timeouts.waiting)] {
        let Some(node) = fields.get(key) else { continue };
        if let Some(length) = node.duration(walk) {
            if key == "waiting" && length.is_zero() {
                walk.add(node.at, "asking again after 0 seconds would never rest");
            }
            *timeout = length;
        }
    }
    fields.finish(walk);
    timeouts
}

fn retry(node: &Node, walk: &mut Walk<'_>) -> Retry {
    let mut fields = Fields::of(node, "[retry]", walk);
    let times = fields.get("times").and_then(|node| node.number(walk, 0, 1_000_000)).unwrap_or_default();
    let delay = fields.get("delay").and_then(|node| node.duration(walk)).unwrap_or_default();
    fields.finish(walk);
    Retry { times, delay }
}

fn phases<'n>(node: &'n Node, commands: &mut Commands<'n>, walk: &mut Walk<'_>) -> Phases {
    let mut fields = Fields::of(node, "[phases]", walk);
    let mut read = |key, into: &mut Vec<(At, &'n str)>| {
        let texts = fields.get(key).map(|node| node.texts(walk)).unwrap_or_default();
        into.extend(&texts);
        texts.into_iter().map(|(_, text)| text.to_owned()).collect::<Vec<_>>()
    };
    let phases = Phases {
        init: read("init", &mut commands.phases),
        setup: read("setup", &mut commands.phases),
        commands: read("commands", &mut commands.shared),
        teardown: read("teardown", &mut commands.phases),
    };
    fields.finish(walk);
    phases
}

/// Values by their keys, with where they came from.
type Given = BTreeMap<String, (At, Value)>;

/// Settings and parameters: the file's, then those of `--set` over them, then the recipe's own parameters for the rest.
pub(super) fn given(
    settings: Option<&Node>,
    parameters: Option<&Node>,
    sets: &[Set<'_>],
    recipe: Option<&Recipe>,
    base: &Path,
    job: &mut Job,
    walk: &mut Walk<'_>,
) {
    let (mut settings, mut parameters) = (values(settings, walk), values(parameters, walk));
    for set in sets {
        let setting = recipe.and_then(|recipe| recipe.settings.get(set.key));
        let parameter = recipe.and_then(|recipe| recipe.parameters.get(set.key));
        let wants_text = setting.or(parameter).is_some_and(|declared| declared.kind == backend::ValueKind::Text);
        let value = set_value(set, wants_text, walk);
        let of_class = job.driven.is_some() && class::SETTINGS.contains(&set.key);
        let into = if setting.is_some() || of_class { &mut settings } else { &mut parameters };
        into.insert(set.key.to_owned(), (set.at, value));
    }
    for (table, given) in [("settings", &settings), ("parameters", &parameters)] {
        let places = given.iter().map(|(key, (at, _))| (format!("{table}.{key}"), walk.source.place(*at)));
        job.origins.extend(places);
    }
    job.parameters = checked_parameters(parameters, recipe, walk);
    job.backend_settings.extend(checked_settings(settings, (recipe, job.driven.is_some()), base, walk));
}

fn values(node: Option<&Node>, walk: &mut Walk<'_>) -> Given {
    let entries = node.map(|node| node.table(walk)).unwrap_or_default();
    entries.iter().map(|entry| (entry.key.clone(), (entry.at, entry.value.value(walk)))).collect()
}

fn checked_parameters(given: Given, recipe: Option<&Recipe>, walk: &mut Walk<'_>) -> BTreeMap<String, Value> {
    let mut parameters = BTreeMap::new();
    for (key, (at, value)) in given {
        if !is_identifier(&key) {
            walk.add(at, format!("{} cannot name a parameter: use letters, digits and _", quoted(&key)));
        } else if ITEM_KEYS.contains(&key.as_str()) || backend::LAUNCH_KEYS.contains(&key.as_str()) {
            walk.add(at, format!("{{{key}}} has a meaning of its own: call the parameter something else"));
        }
        fits(&key, at, &value, recipe.and_then(|recipe| recipe.parameters.get(&key)), walk);
        parameters.insert(key, value);
    }
    for (key, declared) in recipe.iter().flat_map(|recipe| &recipe.parameters) {
        if let Some(default) = &declared.default {
            parameters.entry(key.clone()).or_insert_with(|| default.clone());
        } else if declared.required && !parameters.contains_key(key) {
            walk.add(At::default(), format!("the backend needs the parameter {key:?}: {}", declared.doc));
        }
    }
    parameters
}

fn checked_settings(
    given: Given,
    (recipe, driven): (Option<&Recipe>, bool),
    base: &Path,
    walk: &mut Walk<'_>,
) -> BTreeMap<String, Value> {
    let mut settings = BTreeMap::new();
    for (key, (at, value)) in given {
        if driven && class::SETTINGS.contains(&key.as_str()) {
            if !value.is_string() {
                walk.add(at, format!("{key:?} must be a string"));
            }
            settings.insert(key, from_folder(value, base));
            continue;
        }
        if let Some(recipe) = recipe
            && !recipe.settings.contains_key(&key)
        {
            let known = recipe.settings.keys().map(String::as_str);
            let hint = suggestion(&key, known.clone())
                .unwrap_or_else(|| format!("known are {}", known.collect::<Vec<_>>().join(", ")));
            walk.add(at, format!("backend {:?} has no setting {}: {hint}", recipe.name, quoted(&key)));
        }
        fits(&key, at, &value, recipe.and_then(|recipe| recipe.settings.get(&key)), walk);
        settings.insert(key.clone(), if key == backend::EXECUTABLE { from_folder(value, base) } else { value });
    }
    for (key, declared) in recipe.iter().flat_map(|recipe| &recipe.settings) {
        if declared.required && declared.default.is_none() && !settings.contains_key(key) {
            walk.add(At::default(), format!("the backend needs the setting {key:?}: {}", declared.doc));
        }
    }
    settings
}

fn fits(key: &str, at: At, value: &Value, declared: Option<&backend::Declared>, walk: &mut Walk<'_>) {
    if let Some(declared) = declared.filter(|declared| !declared.kind.fits(value)) {
        walk.add(at, format!("{key:?} must be {}: {}", declared.kind, declared.doc));
    }
}

/// A path in a setting means what it would mean in a shell in the job's folder; a bare name is looked for on PATH.
pub(super) fn from_folder(value: Value, base: &Path) -> Value {
    match value.as_str() {
        Some(text) if text.contains('/') && !text.starts_with(['~', '$']) => {
            Value::from(base.join(text).to_string_lossy().into_owned())
        }
        _ => value,
    }
}

/// TOML or JSON if it is that, else the text itself.
fn set_value(set: &Set<'_>, wants_text: bool, walk: &mut Walk<'_>) -> Value {
    let toml = read_toml::value(set.value, set.at).map(|node| (matches!(node.tree, Tree::Text(_)), node.value(walk)));
    match toml {
        Some((is_text, value)) if is_text || !wants_text => value,
        None if !wants_text => serde_json::from_str(set.value).unwrap_or_else(|_| Value::from(set.value)),
        _ => Value::from(set.value),
    }
}

pub(crate) fn is_identifier(key: &str) -> bool {
    !key.starts_with(|c: char| c.is_ascii_digit())
        && !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qubes_waiting_timeout_is_a_number_of_seconds() {
        assert_eq!(waiting_timeout("2.5"), Some(Duration::from_millis(2500)));
        assert_eq!(waiting_timeout(" 30 "), Some(Duration::from_secs(30)));
        for wrong in ["", "soon", "0", "-1", "nan", "inf", "1e300"] {
            assert_eq!(waiting_timeout(wrong), None, "{wrong}");
        }
    }
}
