//! `[patterns.NAME]`: what is looked for in the output, in recipes, in jobs, and in files that try patterns.
//!
//! ```toml
//! [patterns.samples]
//! finds = "progress"                  # error, highlight, progress, output, value, time, memory
//! regex = 'Sample (\d+)/(\d+)$'
//! reads = "k_of_n"                    # of progress: fraction, percent, k_of_n, frame
//!
//! [patterns.no_memory]
//! finds = "error"
//! regex = "out of memory"
//! severity = "fail_item"              # of errors: note, warn, fail_item, fail_session
//! stream = "stderr"                   # else both
//! ```
//! A job's pattern takes the place of the backend's of the same name; `NAME = false` under `[patterns]` turns one off.

use super::source::{At, Sink, Source, quoted};
use super::tree::{Fields, Node, Tree, Walk, suggestion};
use super::{JobErrors, format_of, parse, text_of};
use crate::model::{Finds, OutputPattern, PatternOrigin, ProgressReads, Severity, Stream};
use crate::patterns;
use std::path::Path;

/// The most patterns of one table.
const PATTERNS: usize = 200;
/// The longest name of a pattern, in characters.
const NAME: usize = 64;
/// The largest file of patterns, in bytes.
const MOST_BYTES: u64 = 4 << 20;

/// A table of patterns.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// What is looked for.
    pub(crate) patterns: Vec<OutputPattern>,
    /// Names of patterns that are turned off, with their places.
    pub(crate) off: Vec<(At, String)>,
}

impl Table {
    /// Whether each pattern that is turned off is one of these.
    pub(crate) fn check_off(&self, known: &[OutputPattern], walk: &mut Walk<'_>) {
        for (at, name) in &self.off {
            if !known.iter().any(|pattern| pattern.name == *name) {
                let names = known.iter().map(|pattern| pattern.name.as_str());
                let hint = suggestion(name, names.clone()).unwrap_or_else(|| match known {
                    [] => "it has none".to_owned(),
                    _ => format!("it has {}", names.collect::<Vec<_>>().join(", ")),
                });
                walk.add(*at, format!("the backend has no pattern {} that could be turned off: {hint}", quoted(name)));
            }
        }
    }
}

/// The patterns of a file that tries them: any document with such tables, a recipe or a job too.
pub fn read_file(path: &Path) -> Result<Vec<OutputPattern>, JobErrors> {
    let text = text_of(path, MOST_BYTES)?;
    let shown = path.display().to_string();
    let source = Source::file(shown.clone(), &text, format_of(path, &text));
    let mut walk = Walk { source: &source, sink: Sink::default() };
    let table = parse(&mut walk).and_then(|root| {
        let tables = root.table(&mut walk).iter().find(|entry| entry.key == "patterns");
        tables.map(|entry| read(&entry.value, PatternOrigin::File, &mut walk).patterns)
    });
    if table.as_ref().is_none_or(Vec::is_empty) && walk.sink.is_empty() {
        return Err(JobErrors::whole(shown, "has no [patterns.NAME] table that says what to look for"));
    }
    walk.sink.finish(|| table)
}

/// Reads a table of patterns.
pub(crate) fn read(node: &Node, origin: PatternOrigin, walk: &mut Walk<'_>) -> Table {
    let entries = node.table(walk);
    if entries.len() > PATTERNS {
        walk.add(node.at, format!("there are {} patterns; {PATTERNS} are the most", entries.len()));
    }
    let mut table = Table::default();
    for entry in entries.iter().take(PATTERNS) {
        name(entry.at, &entry.key, walk);
        match &entry.value.tree {
            Tree::Bool(false) if origin != PatternOrigin::Backend => table.off.push((entry.at, entry.key.clone())),
            Tree::Table(_) => table.patterns.extend(pattern(&entry.key, &entry.value, origin, walk)),
            _ => {
                let off = if origin == PatternOrigin::Backend { "" } else { ", or false to turn the backend's off" };
                let what = format!("expected a table with \"finds\" and \"regex\"{off}, found {}", entry.value.kind());
                walk.add(entry.value.at, what);
            }
        }
    }
    table
}

fn name(at: At, name: &str, walk: &mut Walk<'_>) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > NAME || !name.bytes().all(plain) {
        walk.add(at, format!("{} cannot name a pattern: use up to {NAME} letters, digits, _ and -", quoted(name)));
    }
}

fn pattern(name: &str, node: &Node, origin: PatternOrigin, walk: &mut Walk<'_>) -> Option<OutputPattern> {
    let mut fields = Fields::of(node, format!("[patterns.{name}]"), walk);
    let finds = choice(&mut fields, "finds", &FINDS.map(|finds| (finds.word(), finds)), walk);
    let severity = choice(&mut fields, "severity", &Severity::ALL.map(|one| (one.key(), one)), walk);
    let reads = choice(&mut fields, "reads", READS, walk);
    let stream = choice(&mut fields, "stream", STREAMS, walk);
    let regex = fields.text("regex", walk);
    fields.finish(walk);
    let missing = [("finds", finds.is_none()), ("regex", regex.is_none())];
    for (key, _) in missing.into_iter().filter(|(key, missing)| *missing && !has(node, key)) {
        walk.add(node.at, format!("a pattern needs {key:?} (a string)"));
    }
    let finds = meaning(finds?.1, severity, reads, node, walk)?;
    let (at, text) = regex?;
    let stream = stream.map(|(_, stream)| stream);
    let pattern =
        OutputPattern { name: name.to_owned(), regexes: vec![text.to_owned()], finds, stream, qube: false, origin };
    match patterns::check(&pattern) {
        Ok(()) => Some(pattern),
        Err((_, wrong)) => {
            walk.sink.add_inside(walk.source, at, text, wrong.offset, format!("in this regex: {}", wrong.message));
            None
        }
    }
}

fn has(node: &Node, key: &str) -> bool {
    matches!(&node.tree, Tree::Table(entries) if entries.iter().any(|entry| entry.key == key))
}

/// What a match means, by what was said of it; what does not go together is told of.
fn meaning(
    finds: Finds,
    severity: Option<(At, Severity)>,
    reads: Option<(At, ProgressReads)>,
    node: &Node,
    walk: &mut Walk<'_>,
) -> Option<Finds> {
    if let Some((at, _)) = severity.filter(|_| !matches!(finds, Finds::Error { .. })) {
        walk.add(at, "only an error has a severity");
    }
    if let Some((at, _)) = reads.filter(|_| !matches!(finds, Finds::Progress { .. })) {
        walk.add(at, "only progress has something that is read");
    }
    match finds {
        Finds::Error { severity: usual } => {
            Some(Finds::Error { severity: severity.map_or(usual, |(_, severity)| severity) })
        }
        Finds::Progress { .. } => {
            if reads.is_none() && !has(node, "reads") {
                let known = READS.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(", ");
                walk.add(node.at, format!("progress needs \"reads\": one of {known}"));
            }
            reads.map(|(_, reads)| Finds::Progress { reads })
        }
        _ => Some(finds),
    }
}

/// What a pattern may find. An error fails its item unless it says otherwise, as in Qube.
const FINDS: [Finds; 7] = [
    Finds::Error { severity: Severity::FailItem },
    Finds::Highlight,
    Finds::Progress { reads: ProgressReads::Fraction },
    Finds::Output,
    Finds::Value,
    Finds::Time,
    Finds::Memory,
];
const READS: &[(&str, ProgressReads)] = &[
    ("fraction", ProgressReads::Fraction),
    ("percent", ProgressReads::Percent),
    ("k_of_n", ProgressReads::KOfN),
    ("frame", ProgressReads::Frame),
];
const STREAMS: &[(&str, Stream)] = &[("stdout", Stream::Stdout), ("stderr", Stream::Stderr)];

/// One of a key's words.
fn choice<T: Copy>(
    fields: &mut Fields<'_>,
    key: &'static str,
    words: &[(&str, T)],
    walk: &mut Walk<'_>,
) -> Option<(At, T)> {
    let (at, text) = fields.text(key, walk)?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| (at, *value));
    if found.is_none() {
        let known = words.iter().map(|(word, _)| *word);
        let hint = suggestion(text, known.clone())
            .unwrap_or_else(|| format!("known are {}", known.collect::<Vec<_>>().join(", ")));
        walk.add(at, format!("{key} cannot be {}: {hint}", quoted(text)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<OutputPattern>, JobErrors> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("p.toml");
        std::fs::write(&path, text).expect("written");
        read_file(&path)
    }

    fn errors(text: &str) -> Vec<String> {
        let errors = read_text(text).expect_err(text);
        errors.iter().map(|error| error.to_string().split_once("p.toml:").expect("its file").1.to_owned()).collect()
    }

    #[test]
    fn all_that_a_pattern_may_say_is_read() {
        let text = r#"
            name = "a recipe or a job, perhaps"
            [patterns.samples]
            finds = "progress"
            regex = 'Sample (\d+)/(\d+)$|(?:x)Rendering (\d+) / (\d+) samples$'
            reads = "k_of_n"
            [patterns.no_memory]
            finds = "error"
            regex = "out of memory"
            severity = "fail_session"
            stream = "stderr"
            [patterns.usual]
            finds = "error"
            regex = "x"
        "#;
        let mut read = read_text(text).expect("sound");
        read.sort_by(|one, other| one.name.cmp(&other.name));
        let pattern = |name: &str, regex: &str, finds, stream| OutputPattern {
            name: name.into(),
            regexes: vec![regex.into()],
            finds,
            stream,
            qube: false,
            origin: PatternOrigin::File,
        };
        let samples = r"Sample (\d+)/(\d+)$|(?:x)Rendering (\d+) / (\d+) samples$";
        let fail = |severity| Finds::Error { severity };
        let wanted = [
            pattern("no_memory", "out of memory", fail(Severity::FailSession), Some(Stream::Stderr)),
            pattern("samples", samples, Finds::Progress { reads: ProgressReads::KOfN }, None),
            pattern("usual", "x", fail(Severity::FailItem), None),
        ];
        assert_eq!(read, wanted);
    }

    #[test]
    fn what_is_wrong_is_told_at_its_place() {
        assert_eq!(errors("[patterns.a]\nfinds = 'error'\nregex = 'x(y'\n"), ["3:11: in this regex: unclosed group"]);
        let look = errors("[patterns.a]\nfinds = 'error'\nregex = \"\\tab(?=c)\"\n");
        assert!(look[0].starts_with("3:14: in this regex: look-around") && look[0].contains("as fast"), "{look:?}");
        let back = errors("[patterns.a]\nfinds = 'error'\nregex = '(a)\\1'\n");
        assert!(back[0].contains("backreferences are not supported: they can take time"), "{back:?}");
        let groups = errors("[patterns.a]\nfinds = 'progress'\nregex = '(\\d+)'\nreads = 'k_of_n'\n");
        assert!(groups[0].contains("k_of_n takes two groups") && groups[0].contains("here is 1"), "{groups:?}");
        let groups = errors("[patterns.a]\nfinds = 'progress'\nregex = '(a)(b)|(c)(d)(e)'\nreads = 'k_of_n'\n");
        assert!(groups[0].contains("here are 3"), "{groups:?}");
        assert!(errors("[patterns.a]\nfinds = 'value'\nregex = 'a*'\n")[0].contains("in every line"));
        assert!(errors("[patterns.a]\nfinds = 'value'\nregex = '(a{999}){999}'\n")[0].contains("KiB when compiled"));
        assert!(errors("[patterns.a]\nfinds = 'errors'\nregex = 'a'\n")[0].contains("did you mean \"error\"?"));
        assert!(
            errors("[patterns.a]\nfinds = 'output'\nregex = 'a'\nseverity = 'note'\n")[0].contains("only an error")
        );
        assert!(errors("[patterns.a]\nfinds = 'output'\nregex = 'a'\nreads = 'frame'\n")[0].contains("only progress"));
        assert!(errors("[patterns.a]\nfinds = 'progress'\nregex = 'a'\n")[0].contains("progress needs \"reads\""));
        assert!(errors("[patterns.a]\nregex = 'a'\nfind = 'output'\n").len() == 2);
        assert!(errors("[patterns]\n'a b' = { finds = 'output', regex = 'a' }\n")[0].contains("cannot name a pattern"));
        assert!(errors("[patterns]\na = true\n")[0].contains("or false"));
        let none = read_text("[agenda]\n").expect_err("nothing");
        assert!(none.to_string().contains("has no [patterns.NAME] table"), "{none}");
    }
}
