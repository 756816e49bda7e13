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
const EMBEDDED: [(&str, &str); 3] = [
    ("blender", include_str!("../../assets/backends/blender.toml")),
    ("class", include_str!("../../assets/backends/class.toml")),
    ("python", include_str!("../../assets/backends/python.toml")),
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
    let known = names();
    let hint = suggestion(backend, known.keys().map(String::as_str))
        .unwrap_or_else(|| format!("there are {}", known.keys().cloned().collect::<Vec<_>>().join(", ")));
    let own = folder.map_or_else(String::new, |folder| format!("; your own ones belong into {}", folder.display()));
    Err(NoRecipe::Unknown(format!("there is no backend {}: {hint}{own}", quoted(backend))))
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
    Ok(Recipe::parse(&path.display().to_string(), &text)?)
}

fn own_folder() -> Option<PathBuf> {
    let dirs = etcetera::base_strategy::Xdg::new().ok()?;
    Some(dirs.config_dir().join("childminder").join("backends"))
}

fn is_path(backend: &str) -> bool {
    backend.contains('/') || Path::new(backend).extension().is_some_and(|extension| extension == "toml")
}

fn is_name(backend: &str) -> bool {
    !backend.is_empty() && backend.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}
