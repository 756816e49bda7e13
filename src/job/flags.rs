//! A job from the command line alone. Its flags become the same tree as a file, and are walked by the same code.

use super::Overrides;
use super::source::{At, Source};
use super::tree::{Entry, Node, Tree};
use crate::model::PathRule;
use std::path::PathBuf;

/// What `run` was given instead of a job file. The default is an empty job on plain python.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flags {
    /// `--name`.
    pub name: Option<String>,
    /// `--backend`.
    pub backend: Option<String>,
    /// `--frames`: frame ranges.
    pub frames: Option<String>,
    /// `--chunk`: frames an item.
    pub chunk: Option<u32>,
    /// Each `--init`.
    pub init: Vec<String>,
    /// Each `--setup`.
    pub setup: Vec<String>,
    /// Each `--command`; every item runs them all.
    pub commands: Vec<String>,
    /// Each `--teardown`.
    pub teardown: Vec<String>,
    /// Each `--set KEY=VALUE`, split at the first `=`.
    pub set: Vec<(String, String)>,
    /// `--map`.
    pub maps: Vec<PathRule>,
    /// `--no-map`.
    pub no_map: bool,
    /// `--cwd`, relative to the current folder.
    pub cwd: Option<PathBuf>,
    /// `--hold`.
    pub hold: bool,
}

impl Flags {
    /// What of them is said over the tree.
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides { sets: self.set.clone(), backend: None, maps: self.maps.clone(), no_map: self.no_map }
    }

    /// The tree of a job file that says the same.
    pub(crate) fn tree(&self, source: &mut Source<'_>) -> Node {
        let mut job = Vec::new();
        let mut text = |source: &mut Source<'_>, key: &str, flag: &str, value: Option<String>| {
            if let Some(value) = value {
                let at = source.flag(flag);
                job.push(entry(key, at, Tree::Text(value)));
            }
        };
        text(source, "name", "--name", self.name.clone());
        text(source, "backend", "--backend", self.backend.clone());
        // The path's own bytes may be no text; then no such folder will be found, and it is said which.
        text(source, "cwd", "--cwd", self.cwd.as_ref().map(|path| path.to_string_lossy().into_owned()));
        job.push(entry("hold", At::default(), Tree::Bool(self.hold)));
        let phases = [
            ("init", "--init", &self.init),
            ("setup", "--setup", &self.setup),
            ("commands", "--command", &self.commands),
            ("teardown", "--teardown", &self.teardown),
        ];
        let phases = phases.into_iter().map(|(key, flag, commands)| texts(source, key, flag, commands)).collect();
        job.push(entry("phases", At::default(), Tree::Table(phases)));
        let agenda = self.agenda(source);
        if !agenda.is_empty() {
            job.push(entry("agenda", At::default(), Tree::Table(agenda)));
        }
        Node { at: At::default(), tree: Tree::Table(job) }
    }

    fn agenda(&self, source: &mut Source<'_>) -> Vec<Entry> {
        let mut agenda = Vec::new();
        if let Some(frames) = &self.frames {
            let at = source.flag("--frames");
            agenda.push(entry("frames", at, Tree::Text(frames.clone())));
        }
        if let Some(chunk) = self.chunk {
            let at = source.flag("--chunk");
            agenda.push(entry("chunk", at, Tree::Integer(chunk.into())));
        }
        agenda
    }
}

fn entry(key: &str, at: At, tree: Tree) -> Entry {
    Entry { at, key: key.into(), value: Node { at, tree } }
}

fn texts(source: &mut Source<'_>, key: &str, flag: &str, texts: &[String]) -> Entry {
    let nodes = texts.iter().map(|text| Node { at: source.flag(flag), tree: Tree::Text(text.clone()) }).collect();
    entry(key, At::default(), Tree::List(nodes))
}
