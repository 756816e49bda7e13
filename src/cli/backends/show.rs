//! All of one backend.

use super::super::exit::{Failure, OK, USAGE};
use super::super::out::{Out, Tone};
use crate::backend::recipe::{Argument, Guard};
use crate::backend::{self, Declared, Found, Looked, Recipe};
use crate::model::{Job, Rung};
use serde::Serialize;

/// Show all that a recipe says, where it comes from, and what there is of it on this machine.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A backend by its name, or the path of a recipe.
    backend: String,
    /// Print JSON: what the recipe says, and what there is of it on this machine.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown<'r> {
    #[serde(flatten)]
    recipe: &'r Recipe,
    found: Option<&'r Found>,
    looked: Option<&'r [Looked]>,
    not_launchable: Option<String>,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let recipe = backend::find(&args.backend).map_err(|error| Failure::new(USAGE, error.to_string()))?;
    let not_launchable = recipe.not_launchable();
    let found = super::executable(&recipe, Job::default());
    let mut out = Out::stdout();
    if args.json {
        let (found, looked) = (found.as_ref().ok(), found.as_ref().err().map(Vec::as_slice));
        out.json(&Shown { recipe: &recipe, found, looked, not_launchable })?;
    } else {
        out.toned_line(&recipe.name, Tone::Good)?;
        for (title, lines) in sections(&recipe, &found, not_launchable) {
            if !lines.is_empty() {
                out.toned_line(title, Tone::Busy)?;
                lines.iter().flat_map(|line| line.lines()).try_for_each(|line| out.line(&format!("  {line}")))?;
            }
        }
    }
    out.flush()?;
    Ok(OK)
}

type Section = (&'static str, Vec<String>);

fn sections(recipe: &Recipe, found: &Result<Found, Vec<Looked>>, not_launchable: Option<String>) -> Vec<Section> {
    let file = match &recipe.file {
        Some(file) => file.display().to_string(),
        None => "built in".to_owned(),
    };
    let mut about = vec![recipe.description.clone(), format!("from: {file}")];
    about.retain(|line| !line.is_empty());
    about.extend(recipe.not_run.as_ref().map(|why| format!("never run by who wrote it: {why}")));
    about.extend(not_launchable);
    let executable = match found {
        Ok(found) => {
            let version = found.version.as_deref().unwrap_or("unknown");
            vec![format!("{}, version {version}", found.path.display())]
        }
        Err(looked) => {
            let looked = looked.iter().map(ToString::to_string);
            std::iter::once("not found; looked for".to_owned()).chain(looked).collect()
        }
    };
    let exit_codes = recipe.exit_codes.iter().map(|(exit, meaning)| format!("{exit}: {meaning}")).collect();
    vec![
        ("about", about),
        ("executable", executable),
        ("arguments", recipe.arguments.iter().map(argument).collect()),
        ("launch", launch(recipe)),
        ("init commands", recipe.init.iter().map(|init| guarded(init.guard.as_ref(), &init.command)).collect()),
        ("environment", environment(recipe)),
        ("exit codes", exit_codes),
        ("parameters of jobs", recipe.parameters.iter().map(|(key, declared)| self::declared(key, declared)).collect()),
        ("settings", recipe.settings.iter().map(|(key, declared)| self::declared(key, declared)).collect()),
    ]
}

fn guarded(guard: Option<&Guard>, what: &str) -> String {
    match guard {
        None => what.to_owned(),
        Some(Guard::When(key)) => format!("{what}    (when {key} is set)"),
        Some(Guard::Unless(key)) => format!("{what}    (unless {key} is set)"),
    }
}

fn argument(argument: &Argument) -> String {
    guarded(argument.guard.as_ref(), &argument.words.join(" "))
}

fn launch(recipe: &Recipe) -> Vec<String> {
    let pumps = recipe.pumps.iter().map(|choice| guarded(choice.guard.as_ref(), choice.pump.word()));
    let pump = pumps.reduce(|all, one| format!("{all}, else {one}")).unwrap_or_else(|| "block".to_owned());
    let mut lines = vec![
        format!("port and secret by: {}", recipe.passing.word()),
        format!("stdin: {}", recipe.stdin.word()),
        format!("pump: {pump}"),
        format!("prompt: {}", recipe.prompt.trim_end()),
        format!(
            "ways out of a command: {}",
            recipe.rungs.iter().copied().map(Rung::word).collect::<Vec<_>>().join(", ")
        ),
    ];
    lines.extend(recipe.cancel.as_ref().map(|cancel| format!("cancel: {cancel}")));
    lines.extend(recipe.own_bootstrapper().map(|path| format!("bootstrapper: {}", path.display())));
    lines.extend(recipe.side_eval.then(|| "Python beside the main thread is safe".to_owned()));
    lines.extend(recipe.echo.then(|| "commands are repeated in stdout".to_owned()));
    lines
}

fn environment(recipe: &Recipe) -> Vec<String> {
    let changes = &recipe.environment;
    let set = changes.set.iter().map(|(name, value)| format!("{name}={value}"));
    let unset = changes.unset.iter().map(|name| format!("{name} is taken out"));
    let keep = changes.keep.iter().map(|name| format!("{name} is kept"));
    set.chain(unset).chain(keep).collect()
}

/// A parameter or setting in one line.
fn declared(key: &str, declared: &Declared) -> String {
    let default = match &declared.default {
        Some(value) => format!(", else {value}"),
        None if declared.required => ", required".to_owned(),
        None => String::new(),
    };
    format!("{key} ({}{default}): {}", declared.kind, declared.doc)
}
