//! The list of backends.

use super::super::exit::{Failure, OK};
use super::super::out::{Out, Tone};
use crate::backend::{self, Found, Looked, Recipe};
use crate::model::Job;
use serde::Serialize;
use std::path::PathBuf;

/// A backend, and what there is of it on this machine.
#[derive(Debug, Default, Serialize)]
struct Listed {
    name: String,
    description: Option<String>,
    application: Option<String>,
    file: Option<PathBuf>,
    executable: Option<PathBuf>,
    version: Option<String>,
    looked: Option<Vec<Looked>>,
    not_launchable: Option<String>,
    not_run: Option<String>,
    wrong: Option<String>,
}

/// Runs it; the exit code.
pub(super) fn run(json: bool) -> Result<u8, Failure> {
    let names = backend::names();
    // Some take a second to say their version.
    let listed: Vec<Listed> = std::thread::scope(|scope| {
        let looking: Vec<_> = names.into_iter().map(|(name, file)| scope.spawn(move || look(name, file))).collect();
        looking.into_iter().filter_map(|looking| looking.join().ok()).collect()
    });
    let mut out = Out::stdout();
    if json {
        out.json(&listed)?;
    } else {
        let width = listed.iter().map(|one| one.name.len()).max().unwrap_or_default();
        listed.iter().try_for_each(|one| print(&mut out, one, width))?;
    }
    out.flush()?;
    Ok(OK)
}

fn look(name: String, file: Option<PathBuf>) -> Listed {
    let found = match &file {
        Some(path) => backend::find(&path.to_string_lossy()),
        None => backend::find(&name),
    };
    match found {
        Ok(recipe) => of(name, file, &recipe),
        Err(error) => Listed { name, file, wrong: Some(error.to_string()), ..Listed::default() },
    }
}

fn of(name: String, file: Option<PathBuf>, recipe: &Recipe) -> Listed {
    let not_launchable = recipe.not_launchable();
    let looked = not_launchable.is_none().then(|| super::executable(recipe, Job::default()));
    let (found, looked) = match looked {
        Some(Ok(found)) => (Some(found), None),
        Some(Err(looked)) => (None, Some(looked)),
        None => (None, None),
    };
    let (executable, version) = found.map(|Found { path, version }| (path, version)).unzip();
    Listed {
        name,
        description: Some(recipe.description.clone()),
        application: Some(recipe.application.clone()),
        file,
        executable,
        version: version.flatten(),
        looked,
        not_launchable,
        not_run: recipe.not_run.clone(),
        wrong: None,
    }
}

fn print(out: &mut Out, one: &Listed, width: usize) -> std::io::Result<()> {
    let name = format!("{:width$}", one.name);
    match (&one.executable, &one.wrong, &one.not_launchable) {
        (Some(path), ..) => {
            let version = one.version.as_deref().unwrap_or("version unknown");
            out.toned_line(&format!("{name}  {version}  {}", path.display()), Tone::Good)?;
        }
        (None, Some(_), _) => out.toned_line(&format!("{name}  its file is wrong"), Tone::Bad)?,
        (None, None, Some(why)) => out.toned_line(&format!("{name}  {why}"), Tone::Quiet)?,
        (None, None, None) => {
            let places = one.looked.as_ref().map_or(0, Vec::len);
            let told =
                format!("{name}  not found in {places} places; `childminder backends show {}` lists them", one.name);
            out.toned_line(&told, Tone::Quiet)?;
        }
    }
    let notes = [
        one.description.clone().filter(|text| !text.is_empty()),
        one.not_run.as_ref().map(|why| format!("never run by who wrote it: {why}")),
        one.file.as_ref().map(|file| format!("from {}", file.display())),
        one.wrong.clone(),
    ];
    for note in notes.iter().flatten().flat_map(|note| note.lines()) {
        out.line(&format!("{:width$}  {note}", ""))?;
    }
    Ok(())
}
