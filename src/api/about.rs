//! What runs a session, put together from its `session.json`, its recipe and what its journal tells.

use crate::backend::{self, Recipe, RecipeBackEnd};
use crate::model::about::{About, BackendAbout, LaunchAbout, ValueAbout};
use crate::model::{ChildState, Event, EventKind, Job, Rung, State};
use crate::store::{Folder, JournalReader, SessionFile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whose value it is when no job gives one.
const RECIPES: &str = "the recipe's default";

/// What is read of a state; small, so that taking it costs the actor nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    child: ChildState,
    timeouts: Option<crate::model::job::Timeouts>,
    /// Where in the journal the last child's start is told.
    pub(crate) launched_at: Option<u64>,
}

impl Facts {
    /// Those of a state.
    pub(crate) fn of(state: &State) -> Self {
        let State { child, timeouts, launched_at, .. } = state;
        Self { child: child.clone(), timeouts: timeouts.clone(), launched_at: *launched_at }
    }
}

/// What runs a session, as its files tell.
pub fn of_folder(folder: &Folder, state: &State) -> Result<About, crate::store::StoreError> {
    let session = folder.read_session()?;
    let facts = Facts::of(state);
    let launch = match facts.launched_at {
        Some(at) => Some(JournalReader::open(&folder.journal())?.at(at)?),
        None => None,
    };
    Ok(about(session, Some(folder.path()), facts, launch))
}

/// What runs a session; `launch` is the event that tells of the last child's start.
pub(crate) fn about(session: SessionFile, folder: Option<&Path>, facts: Facts, launch: Option<Event>) -> About {
    let recipe = match &session.recipe_text {
        Some(text) => backend::kept(text, session.recipe_file.clone()).ok(),
        None => backend::of_job(&session.job).ok(),
    };
    let job = Arc::new(session.job);
    let launch = match launch.map(|event| event.kind) {
        Some(EventKind::ChildStarting { generation, argv, cwd }) => Some(LaunchAbout { generation, argv, cwd }),
        _ => None,
    };
    let hello = match facts.child {
        ChildState::Connected { hello, .. } => Some(hello),
        _ => None,
    };
    About {
        session: session.id,
        folder: folder.map(|folder| folder.display().to_string()),
        host: session.host,
        user: session.user,
        version: session.versions.childminder,
        job: job.name.clone(),
        launch,
        hello,
        settings: recipe.as_ref().map(|recipe| settings(&job, recipe)).unwrap_or_default(),
        parameters: parameters(&job),
        timeouts_changed: facts.timeouts.is_some(),
        timeouts: facts.timeouts.unwrap_or_else(|| job.timeouts.clone()),
        backend: recipe.map(|recipe| of_recipe(&job, recipe)).unwrap_or_default(),
    }
}

fn of_recipe(job: &Arc<Job>, recipe: Recipe) -> BackendAbout {
    let recipe = Arc::new(recipe);
    // Nothing is written into that folder: it only has a name.
    let pump = RecipeBackEnd::new(Arc::clone(job), Arc::clone(&recipe), PathBuf::new(), "").pump();
    BackendAbout {
        asked_for: job.backend.clone(),
        name: recipe.name.clone(),
        description: recipe.description.clone(),
        application: recipe.application.clone(),
        file: recipe.file.as_ref().map(|file| file.display().to_string()),
        not_run: recipe.not_run.clone(),
        bootstrapper: recipe.own_bootstrapper().map(|path| path.display().to_string()),
        passing: recipe.passing.word().to_owned(),
        pump: pump.word().to_owned(),
        prompt: recipe.prompt.clone(),
        rungs: recipe.rungs.iter().copied().map(|rung| Rung::word(rung).to_owned()).collect(),
        cancel: recipe.cancel.clone(),
    }
}

fn settings(job: &Job, recipe: &Recipe) -> Vec<ValueAbout> {
    let defaults = recipe.settings.iter().filter_map(|(key, declared)| Some((key, declared.default.as_ref()?)));
    let mut values: BTreeMap<_, _> = defaults.collect();
    values.extend(&job.backend_settings);
    values.into_iter().map(|(key, value)| of_value(job, "settings", key, value)).collect()
}

fn parameters(job: &Job) -> Vec<ValueAbout> {
    job.parameters.iter().map(|(key, value)| of_value(job, "parameters", key, value)).collect()
}

fn of_value(job: &Job, table: &str, key: &str, value: &serde_json::Value) -> ValueAbout {
    let from = job.origins.get(&format!("{table}.{key}")).cloned().unwrap_or_else(|| RECIPES.to_owned());
    ValueAbout { key: key.to_owned(), value: value.clone(), from }
}
