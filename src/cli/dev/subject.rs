//! What the loop is about: the job that a file, a back-end class or a backend's name means, and the files that it comes
//! from.
//!
//! A Python file is one init command that runs it under its own name, so that tracebacks show its lines and its
//! statements may be of any kind; its folder is put on `sys.path`, as Python itself does for a script.

use super::watch::Watched;
use crate::backend::{self, class};
use crate::cli::exit::{Failure, USAGE};
use crate::job::{self, Flags, template};
use crate::model::{Job, Stops};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The most bytes of a file that are looked through to find out what it is.
const MOST: u64 = 1 << 20;
/// Keeps Python from taking what it has compiled for what was saved in the same second.
const NO_COMPILED: &str = "PYTHONDONTWRITEBYTECODE";

/// What was given on the command line.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// A file, a class in one (`my_backend.py:MyBackEnd`), or a backend's name.
    pub(super) what: String,
    /// For a Python file: on which backend.
    pub(super) backend: Option<String>,
    /// `--set KEY=VALUE`.
    pub(super) set: Vec<(String, String)>,
    /// `--watch DIR`.
    pub(super) folders: Vec<PathBuf>,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Job,
    Recipe,
    Python,
    Class,
}

/// What the loop is about, read and right.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// What is run.
    pub(super) job: Job,
    /// Files that make it what it is: another one is wanted when they change.
    pub(super) own: BTreeSet<PathBuf>,
    /// Where modules of the user's are looked for.
    pub(super) roots: Vec<PathBuf>,
}

impl Asked {
    /// Reads it. What is wrong with it is told with its place.
    pub(super) fn read(&self) -> Result<Subject, Failure> {
        let file = self.file();
        let wrong = |errors: job::JobErrors| Failure::new(USAGE, errors.to_string());
        let class = class::parts(&self.what).map(|(_, class)| class);
        let kind = file.as_deref().map(|path| if class.is_some() { Kind::Class } else { kind_of(path) });
        if kind != Some(Kind::Python) && self.backend.is_some() {
            let what = &self.what;
            return Err(Failure::new(USAGE, format!("--backend is for a Python file; {what} says its own")));
        }
        let mut job = match (&file, kind) {
            (Some(path), Some(Kind::Job)) => job::read(path, &self.set).map_err(wrong)?,
            (Some(path), Some(Kind::Python)) => self.python(path)?,
            (Some(_), Some(Kind::Class)) => self.backend(self.what.clone(), class.unwrap_or_default().to_owned())?,
            (Some(path), _) => self.backend(path.to_string_lossy().into_owned(), stem(path))?,
            (None, _) => self.backend(self.what.clone(), self.what.clone())?,
        };
        job.hold = true;
        job.restarts = 0;
        // Nobody would let go on what is held in a start-up.
        job.stops = Stops::default();
        job.env.entry(NO_COMPILED.to_owned()).or_insert_with(|| "1".to_owned());
        let own = self.own(file.as_deref(), &job);
        let roots = self.roots(file.as_deref(), &job)?;
        Ok(Subject { job, own, roots })
    }

    /// The file that is meant, if it is one.
    fn file(&self) -> Option<PathBuf> {
        let class = class::parts(&self.what);
        let path = class.map_or(Path::new(&self.what), |(file, _)| file);
        let known = ["toml", "json", "py"].iter().any(|end| path.extension().is_some_and(|found| found == *end));
        let is_one = known || self.what.contains('/') || path.is_file();
        is_one.then(|| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
    }

    fn backend(&self, backend: String, name: String) -> Result<Job, Failure> {
        let flags = Flags { backend: Some(backend), name: Some(name), set: self.set.clone(), ..Flags::default() };
        job::from_flags(&flags).map_err(|errors| Failure::new(USAGE, errors.to_string()))
    }

    fn python(&self, path: &Path) -> Result<Job, Failure> {
        // Whether it is there and can be read is told by us, with its place; what is in it by the child.
        job::text_of(path, MOST).map_err(|errors| Failure::new(USAGE, errors.to_string()))?;
        let backend = self.backend.clone().unwrap_or_else(|| "python".to_owned());
        let mut job = self.backend(backend, stem(path))?;
        job.phases.init.push(runs_file(path)?);
        Ok(job)
    }

    /// The files that are watched even while what is asked for cannot be read.
    pub(super) fn own_files(&self) -> BTreeSet<PathBuf> {
        self.file().into_iter().collect()
    }

    fn own(&self, file: Option<&Path>, job: &Job) -> BTreeSet<PathBuf> {
        let mut own = self.own_files();
        own.extend(job.driven.as_ref().and_then(|driven| driven.file.clone()));
        if let Some(recipe) = backend::of_job(job).ok().and_then(|recipe| recipe.file) {
            own.extend(bootstrapper(&recipe));
            own.insert(recipe);
        }
        own.extend(file.map(Path::to_owned));
        own
    }

    fn roots(&self, file: Option<&Path>, job: &Job) -> Result<Vec<PathBuf>, Failure> {
        let cwd = match &job.cwd {
            Some(cwd) => cwd.clone(),
            None => std::env::current_dir()?,
        };
        let beside = file.and_then(Path::parent).map(Path::to_owned);
        let mut roots: Vec<_> = beside.into_iter().chain([cwd]).chain(self.folders.iter().cloned()).collect();
        for root in &mut roots {
            *root = std::path::absolute(&*root)?;
        }
        roots.sort();
        roots.dedup();
        Ok(roots)
    }
}

impl Subject {
    /// What is to be watched, with the modules that the child has; with `everything`, whatever is Python beside them.
    pub(super) fn watched(&self, modules: &BTreeSet<PathBuf>, everything: bool) -> Watched {
        let folders = if everything { self.roots.iter().cloned().collect() } else { BTreeSet::new() };
        Watched { files: self.own.union(modules).cloned().collect(), folders }
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn kind_of(path: &Path) -> Kind {
    if path.extension().is_some_and(|end| end == "py") {
        return Kind::Python;
    }
    // A recipe cannot do without this key, and a job has none of that name. Told by the text, since what is being
    // written is not always TOML.
    let is_key = |line: &str| line.strip_prefix("executables").is_some_and(|rest| rest.trim_start().starts_with('='));
    let text = job::text_of(path, MOST).unwrap_or_default();
    if text.lines().any(is_key) { Kind::Recipe } else { Kind::Job }
}

/// The bootstrapper that a recipe names, if it does.
fn bootstrapper(recipe: &Path) -> Option<PathBuf> {
    let text = job::text_of(recipe, MOST).ok()?;
    let table: toml::Table = text.parse().ok()?;
    let path = table.get("bootstrapper")?.as_str()?;
    Some(recipe.parent()?.join(path))
}

/// The init command that runs a file.
fn runs_file(path: &Path) -> Result<String, Failure> {
    const COMMAND: &str = "__import__('sys').path.insert(0, {folder})\n\
        exec(compile(__import__('io').open({file}, 'rb').read(), {file}, 'exec', 0, True), globals())";
    let folder = path.parent().unwrap_or(Path::new("/"));
    let text = |path: &Path| Value::from(path.to_string_lossy().into_owned());
    let values = BTreeMap::from([("file".to_owned(), text(path)), ("folder".to_owned(), text(folder))]);
    let command = template::expand(COMMAND, &template::Values::of([&values]));
    let command = command.map_err(|error| Failure::new(USAGE, error.message))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // What people see of the command first.
    Ok(if name.contains(char::is_control) { command } else { format!("# {name}\n{command}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn asked(what: &Path) -> Asked {
        let what = what.to_string_lossy().into_owned();
        Asked { what, backend: None, set: Vec::new(), folders: Vec::new() }
    }

    #[test]
    fn files_are_told_apart_and_all_that_makes_a_job_is_watched() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("written");
            path
        };
        let recipe =
            write("mine.toml", "name = 'mine'\nexecutables = ['x']\narguments = ['{bootstrapper}', '{port}']\n");
        let job = write("job.toml", "backend = './mine.toml'\nhold = false\n[phases]\ninit = ['1']\n");
        let file = write("init it's.py", "x = 1\n");
        let read = asked(&job).read().expect("a job");
        assert!(read.job.hold);
        assert_eq!(read.own, [job, recipe.clone()].into());
        assert_eq!(asked(&recipe).read().expect("a recipe").job.backend, recipe.to_string_lossy());
        let python = asked(&file).read().expect("a file");
        assert_eq!((python.job.backend.as_str(), python.job.name.as_str()), ("python", "init it's"));
        assert!(python.job.phases.init[0].contains("init it\\'s.py"), "{:?}", python.job.phases.init);
        assert_eq!(python.own, [file].into());
        assert!(python.roots.contains(&folder.path().to_owned()), "{:?}", python.roots);
        assert_eq!(asked(Path::new("python")).read().expect("a name").own, BTreeSet::new());
        let class = write("studio.py", "");
        let named = format!("{}:Mine", class.display());
        let of_class = asked(Path::new(&named)).read().expect("a class");
        assert_eq!((of_class.job.backend.as_str(), of_class.job.name.as_str()), (named.as_str(), "Mine"));
        assert_eq!(of_class.own, [class.clone()].into());
        let text = format!("backend = 'studio.py:Mine'\n[settings]\nrecipe = '{}'\n", recipe.display());
        let job = write("class.toml", &text);
        assert_eq!(asked(&job).read().expect("a job").own, [job, class, recipe].into());
        assert!(asked(&folder.path().join("none.py")).read().is_err());
    }

    #[test]
    fn a_bootstrapper_of_ones_own_is_watched() {
        let folder = tempfile::tempdir().expect("a folder");
        let recipe = folder.path().join("mine.toml");
        fs::write(&recipe, "bootstrapper = 'sub/my.py'\n").expect("written");
        assert_eq!(bootstrapper(&recipe), Some(folder.path().join("sub/my.py")));
        fs::write(&recipe, "name = 'x'\n").expect("written");
        assert_eq!(bootstrapper(&recipe), None);
    }
}
