//! The seam between the engine and an application, and the one implementation of it: a recipe with a job.

use super::arguments::{self, Lookup};
use super::class::ChildLaunch;
use super::environment::{self, Environment};
use super::executable::{self, Found, Looked, Wish};
use super::recipe::{EXECUTABLE, Guard, Passing, Protocol, Pump, Recipe, StdinMode, VERSION};
use super::{bootstrapper, version};
use crate::job::commands::{self, CommandError};
use crate::job::template::{self, TemplateError, Values};
use crate::model::Phase;
use crate::model::job::{ItemSpec, Job};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the executor is heard of while a command runs.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What the engine asks of a backend. The names are Qube's.
pub trait PythonChildBackEnd: Send {
    /// How to start the child, given the back channel's port; and the commands that come before all others: the
    /// backend's own, then the job's `init`.
    fn get_subprocess_args(&self, port: u16) -> Result<(ChildArgs, Vec<String>), BackendError>;
    /// Writes the file that runs in the child and says where it is: the bootstrapper, or what Qube's is made to run. To be
    /// called before the child is started.
    fn generate_child_bootstrapper(&self, port: u16) -> Result<PathBuf, BackendError>;
    /// What the dispatcher tells the executor when it welcomes it.
    fn init_py_cmd_dispatcher(&self) -> DispatcherSettings;
    /// The commands that load what the items need.
    fn job_setup(&self) -> Result<Vec<String>, BackendError>;
    /// The commands of an item.
    fn execute_work(&self, item: &ItemSpec) -> Result<Vec<String>, BackendError>;
    /// The commands before the child is asked to end.
    fn job_teardown(&self) -> Result<Vec<String>, BackendError>;
}

/// How to start a child.
#[derive(Clone, PartialEq, Eq)]
pub struct ChildArgs {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// All of its environment; nothing is inherited besides.
    pub env: Vec<(OsString, OsString)>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// Its stdin.
    pub stdin: StdinMode,
}

impl fmt::Debug for ChildArgs {
    /// Without the values of the environment: the secret is one of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&OsString> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("ChildArgs")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &names)
            .field("cwd", &self.cwd)
            .field("stdin", &self.stdin)
            .finish()
    }
}

/// What the executor is told in the welcome frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatcherSettings {
    /// Between two heartbeats while a command runs.
    pub heartbeat: Duration,
    /// Whether commands are repeated in stdout.
    pub echo: bool,
    /// How commands get their turn in the host.
    pub pump: Pump,
    /// What viewers draw before a command.
    pub prompt: String,
}

/// Why a child cannot be started, or a command not be made.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// None of the candidates is there.
    #[error(
        "no executable for the backend {recipe}; looked for\n{}\nSet the right one with --set executable=PATH, or under [settings] of the job",
        .looked.iter().map(|one| format!("  {one}")).collect::<Vec<_>>().join("\n")
    )]
    NoExecutable {
        /// The recipe's name.
        recipe: String,
        /// Every candidate, and why it is not the one.
        looked: Vec<Looked>,
    },
    /// The recipe is for another system.
    #[error("{0}")]
    OtherSystem(String),
    /// The recipe's own bootstrapper is not there.
    #[error("the backend {recipe} has a bootstrapper of its own, {}, which cannot be read: {error}", path.display())]
    OwnBootstrapper {
        /// The recipe's name.
        recipe: String,
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No interpreter for the back-end class.
    #[error(
        "no Python for the back-end class; looked for\n{}\nSet the right one with --set back_end_python=PATH, or under [settings] of the job",
        .looked.iter().map(|one| format!("  {one}")).collect::<Vec<_>>().join("\n")
    )]
    NoBackEndPython {
        /// Every candidate, and why it is not the one.
        looked: Vec<Looked>,
    },
    /// The class wants a child, and says nothing that could be started.
    #[error(
        "the back-end class gave an empty list of arguments for its child: getSubprocessArgs is to return a program first"
    )]
    NoArguments,
    /// The bootstrapper could not be written.
    #[error("the bootstrapper cannot be written into {}: {error}", folder.display())]
    Bootstrapper {
        /// The session's runtime folder.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The working directory is not there.
    #[error("the child cannot be started in {}: {error}", folder.display())]
    WorkingDirectory {
        /// The job's, or the engine's own.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// An init command of the recipe cannot be filled in.
    #[error("init command {number} of the backend {recipe} cannot be filled in: {error}")]
    Init {
        /// The recipe's name.
        recipe: String,
        /// From 1.
        number: usize,
        /// What is wrong with it.
        error: TemplateError,
    },
    /// A command of the job cannot be filled in.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// A recipe, a job, and one generation of a child.
pub struct RecipeBackEnd {
    job: Arc<Job>,
    recipe: Arc<Recipe>,
    folder: PathBuf,
    secret: String,
    engine: Environment,
    /// Settings with the recipe's defaults; parameters are complete in the job.
    settings: BTreeMap<String, Value>,
    /// A back-end class's own.
    bootstrapper: Option<PathBuf>,
}

impl fmt::Debug for RecipeBackEnd {
    /// Without the secret, and without the environment, in which there may be others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (job, recipe) = (&self.job.name, &self.recipe.name);
        f.debug_struct("RecipeBackEnd").field("job", job).field("recipe", recipe).finish_non_exhaustive()
    }
}

impl RecipeBackEnd {
    /// A backend for one child generation. `folder` is the session's private runtime folder; `secret` is that
    /// generation's, in hex. The environment is the engine's own as of now.
    pub fn new(job: Arc<Job>, recipe: Arc<Recipe>, folder: PathBuf, secret: &str) -> Self {
        let declared = recipe.settings.iter();
        let mut settings: BTreeMap<_, _> =
            declared.filter_map(|(key, declared)| Some((key.clone(), declared.default.clone()?))).collect();
        settings.extend(job.backend_settings.clone());
        let engine = std::env::vars_os().collect();
        Self { job, recipe, folder, secret: secret.to_owned(), engine, settings, bootstrapper: None }
    }

    /// The executable that is used: the one that was set, else the recipe's first that is there and of the version wanted;
    /// else where was looked.
    pub fn look_for_executable(&self) -> Result<Found, Vec<Looked>> {
        let text = |key| self.settings.get(key).and_then(Value::as_str);
        let chosen = text(EXECUTABLE).map(|path| vec![path.to_owned()]);
        let wish = Wish {
            candidates: chosen.as_ref().unwrap_or(&self.recipe.executables),
            // Who says which executable has said which version.
            version: text(VERSION).filter(|_| chosen.is_none()),
            version_arguments: &self.recipe.version_arguments,
        };
        executable::find(&wish, &self.engine)
    }

    fn program(&self) -> Result<PathBuf, BackendError> {
        match self.look_for_executable() {
            Ok(found) => Ok(found.path),
            Err(looked) => Err(BackendError::NoExecutable { recipe: self.recipe.name.clone(), looked }),
        }
    }

    /// What an executable says when it is asked for its version, as the recipe says that it can be.
    pub fn ask_version(&self, program: &std::path::Path) -> Option<String> {
        version::ask(program, &self.recipe.version_arguments, &self.engine)
    }

    /// How commands get their turn, with these settings.
    pub fn pump(&self) -> Pump {
        let applies = |guard: &Option<Guard>| guard.as_ref().is_none_or(|guard| self.holds(guard));
        self.recipe.pumps.iter().find(|choice| applies(&choice.guard)).map(|choice| choice.pump).unwrap_or_default()
    }

    fn holds(&self, guard: &Guard) -> bool {
        guard.holds(self.value(guard.key()).as_ref())
    }

    fn value(&self, key: &str) -> Option<Value> {
        self.job.parameters.get(key).or_else(|| self.settings.get(key)).cloned()
    }

    fn cwd(&self) -> Result<PathBuf, BackendError> {
        let folder = self.job.cwd.clone().unwrap_or_else(|| ".".into());
        let found = std::path::absolute(&folder).and_then(|path| path.metadata().map(|about| (path, about)));
        match found {
            Ok((path, about)) if about.is_dir() => Ok(path),
            Ok(_) => Err(BackendError::WorkingDirectory { folder, error: io::ErrorKind::NotADirectory.into() }),
            Err(error) => Err(BackendError::WorkingDirectory { folder, error }),
        }
    }

    fn env(&self, port: u16) -> Vec<(OsString, OsString)> {
        let changes = &self.recipe.environment;
        let mut env = environment::clean(&self.engine, changes);
        let launch = Launch { back_end: self, port };
        env.extend(changes.set.iter().map(|(name, value)| (name.into(), arguments::fill(value, &launch))));
        env.extend(self.job.env.iter().map(|(name, value)| (name.into(), value.into())));
        let mut own = |name: &str, value: &str| env.insert(name.into(), value.into());
        own("CHILDMINDER_APPLICATION", &self.recipe.application);
        own("CHILDMINDER_PROMPT", &self.recipe.prompt);
        if self.recipe.bootstrapper.is_some() {
            own("CHILDMINDER_BOOTSTRAPPER", &bootstrapper::path(&self.folder).to_string_lossy());
        }
        match self.recipe.passing {
            // Nobody there would take it out again.
            _ if self.recipe.protocol == Protocol::Qube => {}
            Passing::Argv => {
                own("CHILDMINDER_SECRET", &self.secret);
            }
            Passing::Environment => {
                own("CHILDMINDER_SECRET", &self.secret);
                own("CHILDMINDER_PORT", &port.to_string());
            }
            Passing::File => {}
        }
        env.into_iter().collect()
    }

    fn init(&self) -> Result<Vec<String>, BackendError> {
        let mut commands = self.recipe_init()?;
        commands.extend(commands::of_phase(&self.job, Phase::Init)?);
        Ok(commands)
    }

    fn recipe_init(&self) -> Result<Vec<String>, BackendError> {
        let values = Values::of([&self.job.parameters, &self.settings]);
        let mut commands = Vec::new();
        for (place, init) in self.recipe.init.iter().enumerate() {
            if init.guard.as_ref().is_none_or(|guard| self.holds(guard)) {
                let wrong = |error| BackendError::Init { recipe: self.recipe.name.clone(), number: place + 1, error };
                commands.push(template::expand(&init.command, &values).map_err(wrong)?);
            }
        }
        Ok(commands)
    }

    fn bootstrapper_path(&self) -> PathBuf {
        let own = self.bootstrapper.clone().or_else(|| self.recipe.own_bootstrapper());
        own.unwrap_or_else(|| bootstrapper::path(&self.folder))
    }

    /// Where [`PythonChildBackEnd::generate_child_bootstrapper`] writes its file.
    pub fn bootstrapper(&self) -> PathBuf {
        match self.recipe.protocol {
            Protocol::Native => bootstrapper::path(&self.folder),
            Protocol::Qube => bootstrapper::carrier_path(&self.folder),
        }
    }

    /// Whether the recipe can be launched here at all.
    fn check(&self) -> Result<(), BackendError> {
        if let Some(why) = self.recipe.not_launchable() {
            return Err(BackendError::OtherSystem(why));
        }
        let Some(path) = self.recipe.own_bootstrapper() else { return Ok(()) };
        let recipe = self.recipe.name.clone();
        std::fs::File::open(&path).map(drop).map_err(|error| BackendError::OwnBootstrapper { recipe, path, error })
    }

    /// How the child of a back-end class is started, and the init commands that the class does not know of: the recipe's,
    /// where that is what starts it.
    pub fn driven(mut self, launch: ChildLaunch, port: u16) -> Result<(ChildArgs, Vec<String>), BackendError> {
        self.bootstrapper = launch.bootstrapper;
        let Some(words) = launch.args else {
            self.check()?;
            let args = arguments::expand(&self.recipe.arguments, &Launch { back_end: &self, port });
            let init = self.recipe_init()?;
            return Ok((ChildArgs { env: self.driven_env(port), args, ..self.started(self.program()?)? }, init));
        };
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty()).ok_or(BackendError::NoArguments)?;
        let args = words.map(OsString::from).collect();
        Ok((ChildArgs { env: self.driven_env(port), args, ..self.started(program.into())? }, Vec::new()))
    }

    fn started(&self, program: PathBuf) -> Result<ChildArgs, BackendError> {
        Ok(ChildArgs { program, args: Vec::new(), env: Vec::new(), cwd: self.cwd()?, stdin: self.stdin() })
    }

    fn stdin(&self) -> StdinMode {
        match self.recipe.protocol {
            Protocol::Native => self.recipe.stdin,
            Protocol::Qube => StdinMode::Commands,
        }
    }

    /// A bootstrapper of the class's own may read either.
    fn driven_env(&self, port: u16) -> Vec<(OsString, OsString)> {
        let mut env = self.env(port);
        if self.recipe.protocol == Protocol::Native {
            let own = [("CHILDMINDER_SECRET", self.secret.clone()), ("CHILDMINDER_PORT", port.to_string())];
            env.retain(|(name, _)| own.iter().all(|(own, _)| name != own));
            env.extend(own.map(|(name, value)| (name.into(), value.into())));
        }
        env
    }
}

impl PythonChildBackEnd for RecipeBackEnd {
    fn get_subprocess_args(&self, port: u16) -> Result<(ChildArgs, Vec<String>), BackendError> {
        self.check()?;
        let args = arguments::expand(&self.recipe.arguments, &Launch { back_end: self, port });
        let (program, cwd) = (self.program()?, self.cwd()?);
        let args = ChildArgs { program, args, env: self.env(port), cwd, stdin: self.stdin() };
        Ok((args, self.init()?))
    }

    fn generate_child_bootstrapper(&self, port: u16) -> Result<PathBuf, BackendError> {
        let baked = (self.recipe.passing == Passing::File).then_some((port, self.secret.as_str()));
        let written = match self.recipe.protocol {
            Protocol::Native => bootstrapper::write(&self.folder, baked),
            Protocol::Qube => bootstrapper::write_carrier(&self.folder),
        };
        written.map_err(|error| BackendError::Bootstrapper { folder: self.folder.clone(), error })
    }

    fn init_py_cmd_dispatcher(&self) -> DispatcherSettings {
        let Recipe { echo, prompt, .. } = self.recipe.as_ref();
        DispatcherSettings { heartbeat: HEARTBEAT, echo: *echo, pump: self.pump(), prompt: prompt.clone() }
    }

    fn job_setup(&self) -> Result<Vec<String>, BackendError> {
        Ok(commands::of_phase(&self.job, Phase::Setup)?)
    }

    fn execute_work(&self, item: &ItemSpec) -> Result<Vec<String>, BackendError> {
        Ok(commands::of_item(&self.job, item)?)
    }

    fn job_teardown(&self) -> Result<Vec<String>, BackendError> {
        Ok(commands::of_phase(&self.job, Phase::Teardown)?)
    }
}

/// What placeholders of arguments stand for. Never the secret.
struct Launch<'b> {
    back_end: &'b RecipeBackEnd,
    port: u16,
}

impl Lookup for Launch<'_> {
    fn value(&self, key: &str) -> Option<Value> {
        self.back_end.value(key)
    }

    fn launch(&self, key: &str) -> Option<OsString> {
        match key {
            "bootstrapper" => Some(self.back_end.bootstrapper_path().into()),
            "port" => Some(OsStr::new(&self.port.to_string()).to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
