//! Reading jobs: from TOML, from JSON, or from flags, into a checked and complete [`Job`].
//!
//! What must stay true: everything that is wrong is told at once, with file, line and column, before anything is
//! started; a job that was read can be run without the file; no value can become code (see [`template`]); all of a job
//! is hostile until checked, so every size is bounded and no text can break the reader.
//!
//! # The job file
//! ```toml
//! name = "shots"                      # else the file's name
//! backend = "blender"                 # a recipe's name, or the path of one; else "python"; or a back-end class in Python,
//!                                     # "my_backend.py:MyBackEnd", relative to the job file's folder
//! cwd = "."                           # relative to the job file's folder; else the engine's own
//! hold = false                        # init and setup run, the agenda waits for a person
//! hold_on_failure = false             # the agenda waits when an item has failed, with the child as it is
//! breakpoints = [{ item = "200" }, { command = "render" }]   # and before these: a regex for commands
//! restarts = 0                        # how often a dead child is started again
//! outputs_required = false            # an item without an output path fails
//! stderr_to_stdout = false            # one stream of both, in the order of writing
//!
//! [env]                               # for the child, over everything else
//! KEY = "value"
//!
//! [parameters]                        # {scene} in commands; the backend may know some of them too
//! scene = "/shots/a.blend"
//!
//! [settings]                          # the backend's own keys
//! executable = "/opt/blender/blender"
//! recipe = "maya"                     # with a class: how its application is to be treated
//! back_end_python = "python2.7"       # with a class: the interpreter that runs it; else python3 on PATH
//!
//! [timeouts]                          # "1h 2m", "500ms", 90 (seconds), or "none"
//! startup = "5m"                      # from start to connected
//! command = "none"
//! item = "none"
//! silence = "none"                    # no word and no output while a command runs
//! teardown = "60s"
//! kill_grace = "10s"                  # between asking and forcing
//! waiting = "5s"                      # until an agenda source that says "wait" is asked again ($QB_WAITING_TIMEOUT)
//!
//! [on_timeout]                        # "warn", "interrupt", "fail" or "restart", after the diagnosis
//! command = "fail"
//! item = "fail"
//! silence = "fail"
//!
//! [retry]                             # of a failed item
//! times = 1
//! delay = "5s"
//!
//! [outputs]                           # of every file that an item told of, before it is complete
//! exist = true                        # it is there; each of the other checks asks for that too
//! min_size = "10k"                    # bytes, or with k, M, G, T
//! max_size = "2G"
//! image = true                        # its header is that of an image, and its end is there
//! dimensions = [1920, 1080]           # or "1920x1080"
//! newer = true                        # it was written since the item's attempt began
//!
//! [patterns.saved]                    # what is looked for in the output, over the backend's: see [`patterns`]
//! finds = "output"
//! regex = "Wrote (.*)"
//!
//! [phases]                            # lists of Python commands
//! init = ["import bpy"]
//! setup = []
//! commands = ["bpy.context.scene.frame_set({frame})", "render('/out/%04d.png' % {frame})"]
//! teardown = []
//!
//! [agenda]
//! frames = "1-100x2,200,300--10x-10"
//! chunk = 1                           # frames an item
//!
//! [path_map]                          # what paths of other machines are called here; or [[path_map]] with from and to
//! 'Z:\show' = "/mnt/show"
//! ```
//! or, instead of frames, named items, with commands of their own if they like:
//! ```toml
//! [[agenda.items]]
//! name = "hero"
//! commands = ["build({name}, {item.size})"]
//! data = { size = 3 }
//! ```
//! In the commands of items `{frame}`, `{start}`, `{end}`, `{step}` and `{frames}` (a list) stand for frames, `{name}` for
//! the item's name, `{item.KEY}` for its data; parameters are known everywhere. JSON files say the same with the same
//! keys. A JSON file that has a `package` and an `agenda` that is a list is a job of Qube's ([`qube`]).

mod agenda;
mod check;
pub mod commands;
pub mod control;
pub mod demo;
pub(crate) mod duration;
mod file;
mod flags;
mod literal;
mod outputs;
pub mod paths;
pub mod patterns;
mod python;
mod qube;
pub mod ranges;
mod read_json;
mod read_toml;
pub mod record;
pub(crate) mod source;
pub mod template;
pub(crate) mod tree;

pub use flags::Flags;
pub use source::{JobError, JobErrors, Position};

pub(crate) use file::is_identifier;

use crate::model::{Job, PathRule};
use file::{Asked, Set};
use source::{At, Format, Sink, Source};
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tree::{Node, Walk};

/// The largest job file, in bytes.
const MOST_BYTES: u64 = 64 << 20;

/// What is said over a job file, on the command line.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--set KEY=VALUE`: backend settings if the backend has one of that name, else parameters.
    pub sets: Vec<(String, String)>,
    /// `--backend`, instead of the file's.
    pub backend: Option<String>,
    /// `--map FROM=TO`.
    pub maps: Vec<PathRule>,
    /// `--no-map`: no path is mapped, whoever says so.
    pub no_map: bool,
}

/// Reads and checks a job file. `sets` are `--set KEY=VALUE`, which win over the file.
pub fn read(path: &Path, sets: &[(String, String)]) -> Result<Job, JobErrors> {
    read_with(path, &Overrides { sets: sets.to_vec(), ..Overrides::default() })
}

/// Reads and checks a job file, with what wins over it.
pub fn read_with(path: &Path, overrides: &Overrides) -> Result<Job, JobErrors> {
    read_text(path, &text_of(path, MOST_BYTES)?, overrides)
}

/// Reads and checks what a file at this path says, or would say.
pub(crate) fn read_text(path: &Path, text: &str, overrides: &Overrides) -> Result<Job, JobErrors> {
    let shown = path.display().to_string();
    let whole = |what: String| JobErrors::whole(shown.clone(), what);
    let path = std::path::absolute(path).map_err(|error| whole(format!("cannot be found: {error}")))?;
    let base = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let source = Source::file(shown, text, format_of(&path, text));
    walk(source, overrides, base, &name, parse)
}

/// Makes and checks a job from flags alone.
pub fn from_flags(flags: &Flags) -> Result<Job, JobErrors> {
    let base = std::env::current_dir()
        .map_err(|error| JobErrors::whole("command line", format!("the current folder cannot be found: {error}")))?;
    let name = flags.backend.as_deref().unwrap_or("python");
    let mut source = Source::flags_alone();
    let tree = flags.tree(&mut source);
    walk(source, &flags.overrides(), &base, name, |_| Some(tree))
}

fn walk(
    mut source: Source<'_>,
    overrides: &Overrides,
    base: &Path,
    name: &str,
    tree: impl FnOnce(&mut Walk<'_>) -> Option<Node>,
) -> Result<Job, JobErrors> {
    let sets = overrides.sets.iter();
    let sets = sets.map(|(key, value)| Set { at: source.flag(format!("--set {key}")), key, value }).collect();
    let backend = overrides.backend.as_deref().map(|backend| (source.flag("--backend"), backend));
    let asked = Asked { sets, backend, maps: overrides.maps.clone(), mapped: !overrides.no_map };
    let mut walk = Walk { source: &source, sink: Sink::default() };
    let job = tree(&mut walk).and_then(|root| {
        let read = if qube::is_package(&root) { qube::job } else { file::job };
        read(&root, &asked, base, name, &mut walk)
    });
    let warnings = walk.sink.take_warnings();
    walk.sink.finish(|| job.map(|job| Job { warnings, ..job }))
}

/// The tree of a document; `None` when its syntax is wrong.
pub(crate) fn parse(walk: &mut Walk<'_>) -> Option<Node> {
    match walk.source.format() {
        Format::Toml => read_toml::read(walk),
        Format::Json => read_json::read(walk),
    }
}

fn format_of(path: &Path, text: &str) -> Format {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Format::Json,
        Some("toml") => Format::Toml,
        // No TOML document begins with a brace.
        _ if text.trim_start().starts_with('{') => Format::Json,
        _ => Format::Toml,
    }
}

/// The text of a file of at most so many bytes.
pub(crate) fn text_of(path: &Path, most: u64) -> Result<String, JobErrors> {
    let whole = |what: String| JobErrors::whole(path.display().to_string(), what);
    // Opening what is no file, such as a FIFO, could wait for ever, and reading it too.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = file.map_err(|error| whole(format!("cannot be opened: {error}")))?;
    if !file.metadata().map_err(|error| whole(format!("cannot be read: {error}")))?.is_file() {
        return Err(whole("is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| whole(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > most {
        return Err(whole(format!("is larger than {} MiB", most >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned() + "?";
        let source = Source::file(path.display().to_string(), &text, Format::Toml);
        let mut sink = Sink::default();
        sink.add(&source, At::byte(valid), "this byte is not UTF-8");
        sink.finish(|| None::<()>).err().unwrap_or_else(|| whole("is not UTF-8".into()))
    })
}

#[cfg(test)]
mod tests;
