//! From the job type that a job names to the recipe that launches its application.

use super::lenient;
use crate::backend::{self, NoRecipe, Recipe, class};
use crate::job::file::{self, Asked};
use crate::job::source::{At, quoted};
use crate::job::tree::{Fields, Node, Tree, Walk};
use crate::model::Job;
use crate::model::job::Driven;
use std::path::Path;

/// What applications are called in job types (`pyMaya`, `qube-pyHoudinijt`) and kinds (`maya`), and their recipes.
const RECIPES: [(&str, &str); 12] = [
    ("maya", "mayapy"),
    ("nuke", "nuke"),
    ("houdini", "hython"),
    ("blender", "blender"),
    ("3dsmax", "3dsmaxbatch"),
    ("max", "3dsmaxbatch"),
    ("c4d", "c4dpy"),
    ("cinema4d", "c4dpy"),
    ("unreal", "unreal"),
    ("thon", "python"),
    ("python", "python"),
    ("generic", "python"),
];
/// The setting of a class's job that names its recipe.
const RECIPE: &str = class::SETTINGS[0];
/// Job types whose work is no Python.
const PROGRAMS: [&str; 4] = ["cmdline", "cmdrange", "mayabatch", "shell"];

/// Finds the recipe and has the job name it; what the command line says comes first.
pub(super) fn recipe(
    fields: &mut Fields<'_>,
    package: &Node,
    asked: &Asked<'_>,
    base: &Path,
    job: &mut Job,
    walk: &mut Walk<'_>,
) -> Option<Recipe> {
    let named = ["prototype", "jobtype"].map(|key| fields.get(key));
    let kinds = [fields.get("kind"), in_table(package, "kind")];
    if let Some((at, (file, class))) = asked.backend.and_then(|(at, backend)| Some((at, class::parts(backend)?))) {
        let own = of_jobtype(named.into_iter().flatten(), kinds.into_iter().flatten());
        return beside_class(file::back_end_class(at, file, class, base, walk), own, asked, job, walk);
    }
    if let Some((at, backend)) = asked.backend {
        return found(at, &backend::absolute(backend, base), "", job, walk);
    }
    let said = |node: &&Node| !lenient::is_empty(node);
    if let Some(node) = named.into_iter().flatten().find(said) {
        let text = node.text(walk)?;
        if PROGRAMS.contains(&text.to_lowercase().as_str()) {
            let message = format!("the job type {} runs programs, not Python in a child", quoted(text));
            walk.add(node.at, format!("{message}; --backend NAME runs its items' commands all the same"));
            return None;
        }
        let name = recipe_of(text).or_else(|| kinds.iter().flatten().find_map(|node| of_kind(node)));
        return named_recipe(node.at, text, name, job, walk);
    }
    if let Some((node, name)) = kinds.into_iter().flatten().find_map(|node| Some((node, of_kind(node)?))) {
        return named_recipe(node.at, &lenient::shown(node), Some(name), job, walk);
    }
    walk.warn(
        At::default(),
        "no \"prototype\" says which application runs this: it is run by plain Python; see --backend",
    );
    found(At::default(), "python", "", job, walk)
}

/// The recipe that the job's own type or kind leads to, if either is known here.
fn of_jobtype<'n>(
    mut named: impl Iterator<Item = &'n Node>,
    mut kinds: impl Iterator<Item = &'n Node>,
) -> Option<String> {
    let of_type = |node: &Node| match &node.tree {
        Tree::Text(text) if backend::names().contains_key(text) => Some(text.clone()),
        Tree::Text(text) => recipe_of(text).map(str::to_owned),
        _ => None,
    };
    named.find_map(of_type).or_else(|| kinds.find_map(of_kind).map(str::to_owned))
}

/// A class starts the application itself. How that is treated the setting `recipe` says, else the job's own type.
fn beside_class(
    class: Driven,
    own: Option<String>,
    asked: &Asked<'_>,
    job: &mut Job,
    walk: &mut Walk<'_>,
) -> Option<Recipe> {
    let (at, name) = match own {
        Some(own) if asked.sets.iter().all(|set| set.key != RECIPE) => (At::default(), own),
        _ => file::class_recipe(At::default(), (None, &asked.sets)),
    };
    let recipe = found(at, &name, "", job, walk);
    job.backend = class.text();
    job.driven = Some(class);
    job.backend_settings.insert(RECIPE.to_owned(), name.into());
    recipe
}

fn in_table<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Tree::Table(entries) = &node.tree else { return None };
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
}

fn named_recipe(at: At, text: &str, name: Option<&str>, job: &mut Job, walk: &mut Walk<'_>) -> Option<Recipe> {
    // A studio may have a recipe under the very name of its job type.
    if backend::names().contains_key(text) {
        return found(at, text, "", job, walk);
    }
    let Some(name) = name else {
        let known: Vec<&str> = RECIPES.iter().map(|(_, recipe)| *recipe).collect();
        let message = format!("no backend is known for the job type {}", quoted(text));
        walk.add(at, format!("{message}: choose one with --backend, such as {}", known[..6].join(", ")));
        return None;
    };
    let why = format!(" (for the job type {}; another is chosen with --backend)", quoted(text));
    found(at, name, &why, job, walk)
}

fn found(at: At, name: &str, why: &str, job: &mut Job, walk: &mut Walk<'_>) -> Option<Recipe> {
    name.clone_into(&mut job.backend);
    match backend::find(name) {
        Ok(recipe) => return Some(recipe),
        Err(NoRecipe::Unknown(message)) => walk.add(at, format!("{message}{why}")),
        Err(NoRecipe::Wrong(errors)) => walk.sink.take_in(at, errors),
    }
    None
}

/// `pyMaya`, `qube-pyMayajt`, `Maya (loadOnce)`.
fn recipe_of(jobtype: &str) -> Option<&'static str> {
    let word = jobtype.trim().to_lowercase();
    let word = word.split(['(', ' ']).next().unwrap_or_default();
    let word = word.strip_prefix("qube-").unwrap_or(word);
    let word = word.strip_suffix("jt").unwrap_or(word);
    by_word(word.strip_prefix("py").unwrap_or(word))
}

fn of_kind(node: &Node) -> Option<&'static str> {
    match &node.tree {
        Tree::Text(kind) => by_word(&kind.trim().to_lowercase()),
        _ => None,
    }
}

fn by_word(word: &str) -> Option<&'static str> {
    RECIPES.iter().find(|(known, _)| *known == word).map(|(_, recipe)| *recipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_types_of_either_spelling_lead_to_their_recipes() {
        for (jobtype, recipe) in [
            ("pyMaya", Some("mayapy")),
            ("qube-pyHoudinijt", Some("hython")),
            ("pyNuke", Some("nuke")),
            ("Houdini (loadOnce)", Some("hython")),
            ("python", Some("python")),
            ("pyblender", Some("blender")),
            ("aftereffects", None),
            ("", None),
        ] {
            assert_eq!(recipe_of(jobtype), recipe, "{jobtype}");
        }
    }
}
