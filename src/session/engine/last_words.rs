//! The end of what the child printed: evidence for a child that died or never came.

use crate::model::{Marks, Stream};
use crate::store::{Folder, make_safe, regular};
use std::os::unix::fs::FileExt;

/// How much of each stream is looked at.
const TAIL: u64 = 4096;
/// How many lines of each are shown.
const LINES: usize = 12;

/// The last lines of both streams since the child was born, made safe, each stream under its name; nothing when nothing
/// was printed.
pub fn of(folder: &Folder, born: Marks) -> String {
    [(Stream::Stdout, "stdout", born.stdout), (Stream::Stderr, "stderr", born.stderr)]
        .into_iter()
        .filter_map(|(stream, name, from)| Some((name, tail(folder, stream, from)?)))
        .fold(String::new(), |mut all, (name, lines)| {
            all.push_str("; the end of its ");
            all.push_str(name);
            all.push_str(":\n");
            all.push_str(&lines);
            all
        })
}

fn tail(folder: &Folder, stream: Stream, from: u64) -> Option<String> {
    let file = regular::open(&folder.output(stream)).ok()?;
    let length = file.metadata().ok()?.len();
    let from = from.max(length.saturating_sub(TAIL));
    let mut bytes = vec![0; usize::try_from(length.checked_sub(from)?).ok()?];
    file.read_exact_at(&mut bytes, from).ok()?;
    let lines: Vec<String> = bytes.split(|byte| *byte == b'\n').map(make_safe).collect();
    let shown: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.trim().is_empty()).collect();
    (!shown.is_empty()).then(|| shown[shown.len().saturating_sub(LINES)..].join("\n"))
}
