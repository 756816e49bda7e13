//! Backends: how one application is launched and spoken to.
//!
//! A backend is data, a [`Recipe`]; [`RecipeBackEnd`] makes of it what the engine needs. The seam is Qube's, so that
//! whoever has written a `PythonChildBackEnd` finds its way:
//!
//! | Qube | here |
//! |---|---|
//! | `getSubprocessArgs(port)` → (args, init commands) | [`PythonChildBackEnd::get_subprocess_args`] |
//! | `generateChildBootstrapper(port)` → path | [`PythonChildBackEnd::generate_child_bootstrapper`] |
//! | `initPyCmdDispatcher()` | [`PythonChildBackEnd::init_py_cmd_dispatcher`]: its settings; the session starts it |
//! | `jobSetup()`, `executeWork()`, `jobTeardown()` | the same names: the commands; the session runs and judges them |
//! | `DEFAULT_PYTHON`, `pyExecutable` | the recipe `python`'s `executables`, the setting `executable` |
//!
//! What must stay true: the session's secret is in the environment or in a private generated file, never among the
//! arguments and never in anything that is printed; the child's environment is the engine's without what would mislead
//! another interpreter ([`environment`]); a recipe is checked as strictly as a job, all errors at once.

mod arguments;
mod bootstrapper;
pub mod child_back_end;
pub mod class;
pub mod environment;
pub mod executable;
mod find;
mod places;
pub mod recipe;
mod recipe_file;
pub mod schema;
mod version;

pub use child_back_end::{BackendError, ChildArgs, DispatcherSettings, PythonChildBackEnd, RecipeBackEnd};
pub use executable::{Found, Looked};
pub use find::{NoRecipe, find, kept, names, of_job, own_folder};
pub use recipe::{
    Declared, EXECUTABLE, LAUNCH_KEYS, Passing, Platform, Protocol, Pump, Recipe, StdinMode, VERSION, ValueKind,
};

pub(crate) use find::absolute;
