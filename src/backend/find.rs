//! Where recipes come from: a path, the user's own folder, the ones in this binary; in that order.

use super::class;
use super::recipe::Recipe;
use crate::job::JobErrors;
use crate::job::source::quoted;
use crate::job::{text_of, tree::suggestion};
use crate::model::Job;
use etcetera::BaseStrategy;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest recipe, in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// The recipes in this binary.
const EMBEDDED: [(&str, &str); 13] = [
    ("3dsmaxbatch", include_str!("../../assets/backends/3dsmaxbatch.toml")),
    ("blender", include_str!("../../assets/backends/blender.toml")),
    ("bpy", include_str!("../../assets/backends/bpy.toml")),
    ("c4dpy", include_str!("../../assets/backends/c4dpy.toml")),
    ("class", include_str!("../../assets/backends/class.toml")),
    ("gdb", include_str!("../../assets/backends/gdb.toml")),
    ("hython", include_str!("../../assets/backends/hython.toml")),
    ("maya", include_str!("../../assets/backends/maya.toml")),
    ("mayapy", include_str!("../../assets/backends/mayapy.toml")),
    ("nuke", include_str!("../../assets/backends/nuke.toml")),
    ("pypy", include_str!("../../assets/backends/pypy.toml")),
    ("python", include_str!("../../assets/backends/python.toml")),
    ("unreal", include_str!("../../assets/backends/unreal.toml")),
];

/// Why there is no such recipe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRecipe {
    /// Nothing is called that; the text says what is, and where was looked.
    #[error("{0}")]
    Unknown(String),
    /// It is there, and wrong.
    #[error(transparent)]
    Wrong(#[from] JobErrors),
}

/// The recipe of a job. A class says itself how its child is started; how it is to be treated the recipe says that its
/// job names.
pub fn of_job(job: &Job) -> Result<Recipe, NoRecipe> {
    let named = || job.backend_settings.get("recipe").and_then(Value::as_str);
    match &job.driven {
        Some(_) => find(named().unwrap_or(class::RECIPE)),
        None => find(&job.backend),
    }
}

/// Reads a recipe by its name, or by a path (whatever has a `/` in it or ends in `.toml`).
pub fn find(backend: &str) -> Result<Recipe, NoRecipe> {
    if is_path(backend) {
        return read(Path::new(backend));
    }
    let folder = own_folder();
    if is_name(backend) {
        let own = folder.as_ref().map(|folder| folder.join(format!("{backend}.toml"))).filter(|path| path.exists());
        if let Some(path) = own {
            return read(&path);
        }
        if let Some((name, text)) = EMBEDDED.iter().find(|(name, _)| *name == backend) {
            return Ok(Recipe::parse(&format!("(built-in backend {name})"), text)?);
        }
    }
    if Path::new(backend).extension().is_some_and(|end| end == "py") {
        let named = quoted(&format!("{backend}:MyBackEnd"));
        let message = format!("there is no backend {}: a class is named with its file, as in {named}", quoted(backend));
        return Err(NoRecipe::Unknown(message));
    }
    let known = names();
    let hint = suggestion(backend, known.keys().map(String::as_str))
        .unwrap_or_else(|| format!("there are {}", known.keys().cloned().collect::<Vec<_>>().join(", ")));
    let own = folder.map_or_else(String::new, |folder| format!("; your own ones belong into {}", folder.display()));
    Err(NoRecipe::Unknown(format!("there is no backend {}: {hint}{own}", quoted(backend))))
}

/// A recipe as a session has kept it: its text, and the file that it was read from.
pub fn kept(text: &str, file: Option<PathBuf>) -> Result<Recipe, JobErrors> {
    Ok(Recipe { file, ..Recipe::parse("(the session's backend)", text)? })
}

/// Every recipe that has a name, and the file it is in; none for those in this binary.
pub fn names() -> BTreeMap<String, Option<PathBuf>> {
    let mut names: BTreeMap<_, _> = EMBEDDED.iter().map(|(name, _)| ((*name).to_owned(), None)).collect();
    let files = own_folder().and_then(|folder| folder.read_dir().ok()).into_iter().flatten().flatten();
    for path in files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|end| end == "toml")) {
        if let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).filter(|name| is_name(name)) {
            names.insert(name.to_owned(), Some(path));
        }
    }
    names
}

/// A backend as a job stores it: a path that no longer depends on a folder, or a name.
pub(crate) fn absolute(backend: &str, base: &Path) -> String {
    if is_path(backend) { base.join(backend).to_string_lossy().into_owned() } else { backend.to_owned() }
}

fn read(path: &Path) -> Result<Recipe, NoRecipe> {
    let text = text_of(path, MOST_BYTES)?;
    let recipe = Recipe::parse(&path.display().to_string(), &text)?;
    Ok(Recipe { file: std::path::absolute(path).ok(), ..recipe })
}

/// The user's own recipes are here.
pub fn own_folder() -> Option<PathBuf> {
    let dirs = etcetera::base_strategy::Xdg::new().ok()?;
    Some(dirs.config_dir().join("childminder").join("backends"))
}

fn is_path(backend: &str) -> bool {
    backend.contains('/') || Path::new(backend).extension().is_some_and(|extension| extension == "toml")
}

fn is_name(backend: &str) -> bool {
    !backend.is_empty() && backend.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}
