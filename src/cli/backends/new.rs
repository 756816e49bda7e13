//! A recipe to begin from.

use super::super::exit::{FAILED, Failure, OK, USAGE};
use super::super::out::Out;
use crate::backend;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A recipe for plain Python that says what each key is for.
const TEXT: &str = include_str!("../../../assets/new-backend.toml");
/// What it is called there.
const NAME: &str = "\"mine\"";

/// Write a recipe to begin from: it has comments, and works with plain Python as it stands.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What it is called: then it is written where `--backend NAME` finds it. Or the path of a .toml file.
    name: String,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let (path, called) = place(&args.name)?;
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| trouble(folder, &error))?;
    }
    let hidden = !called.contains('/') && backend::names().contains_key(&called);
    let text = TEXT.replacen(NAME, &toml_string(&name), 1);
    let written = OpenOptions::new().write(true).create_new(true).open(&path);
    written.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| trouble(&path, &error))?;
    let mut out = Out::stdout();
    out.line(&format!("{} was written", path.display()))?;
    out.line(&format!(
        "`childminder backends check {called}` tries it, `childminder run --hold --backend {called}` uses it"
    ))?;
    if hidden {
        out.line(&format!("from now on {called} is this one: it hides the built-in backend of that name"))?;
    }
    out.flush()?;
    Ok(OK)
}

/// Where it is written, and how it is called from then on.
fn place(name: &str) -> Result<(PathBuf, String), Failure> {
    let wrong = |why: &str| Failure::new(USAGE, why);
    let path = Path::new(name);
    if name.contains('/') || path.extension().is_some() {
        if path.extension().is_none_or(|extension| extension != "toml") {
            return Err(wrong("a recipe's file is called NAME.toml"));
        }
        let called = if name.contains('/') { name.to_owned() } else { format!("./{name}") };
        return Ok((path.to_owned(), called));
    }
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
        return Err(wrong("a backend's name has letters, digits, _ and -"));
    }
    let folder = backend::own_folder().ok_or_else(|| wrong("no home folder is known: name a path instead"))?;
    Ok((folder.join(format!("{name}.toml")), name.to_owned()))
}

fn trouble(path: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::new(USAGE, format!("{} is there already, and is not written over", path.display()))
        }
        _ => Failure::new(FAILED, format!("{} cannot be written: {error}", path.display())),
    }
}

/// Strings of TOML and of Rust differ only in what no sensible name has in it.
fn toml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
