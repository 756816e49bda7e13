//! The source lines of frames.
//!
//! What must stay true: file names come from the child, so only regular files are read, so much of each, and never on a
//! thread that anybody has to wait for: a file server may be dead.

use crate::model::Frame;
use crate::model::diagnosis::ThreadStack;
use std::collections::HashMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// As much of a file is looked through.
const FILE_MAX: u64 = 8 << 20;

/// A longer line is cut.
const LINE_MAX: usize = 400;

/// The sources of what is no file, by name and line: `<command 3>`, as the caller knows them.
#[derive(Clone)]
pub struct Sources(Arc<Lookup>);

type Lookup = dyn Fn(&str, u32) -> Option<String> + Send + Sync;

impl Sources {
    /// By this function. It is asked on a thread of its own.
    pub fn new(lookup: impl Fn(&str, u32) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// Fills in the lines that are not there yet.
    pub(in crate::diagnose) fn fill(&self, threads: &mut [ThreadStack]) {
        let missing = |frame: &&mut Frame| frame.source.is_empty() && frame.line > 0;
        let mut by_file: HashMap<String, Vec<&mut Frame>> = HashMap::new();
        for frame in threads.iter_mut().flat_map(|thread| &mut thread.frames).filter(missing) {
            match (self.0)(&frame.file, frame.line) {
                Some(line) => frame.source = shown(&line),
                None => by_file.entry(frame.file.clone()).or_default().push(frame),
            }
        }
        for (file, frames) in by_file {
            let wanted = frames.iter().map(|frame| frame.line).max().unwrap_or(0);
            let lines = read(Path::new(&file), wanted);
            for frame in frames {
                if let Some(line) = lines.get(frame.line as usize - 1) {
                    frame.source.clone_from(line);
                }
            }
        }
    }
}

impl Default for Sources {
    /// Knows none.
    fn default() -> Self {
        Self::new(|_, _| None)
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

fn shown(line: &str) -> String {
    line.trim().chars().take(LINE_MAX).collect()
}

/// The first lines of a file; none when it is no regular one. A relative name is relative to a folder that nobody knows.
fn read(path: &Path, count: u32) -> Vec<String> {
    if !path.is_absolute() {
        return Vec::new();
    }
    let Ok(file) = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path) else { return Vec::new() };
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Vec::new();
    }
    let lines = BufReader::new(file.take(FILE_MAX)).split(b'\n').map_while(Result::ok);
    lines.take(count as usize).map(|line| shown(&String::from_utf8_lossy(&line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(file: &str, line: u32) -> Vec<ThreadStack> {
        let frame = Frame { file: file.into(), line, ..Frame::default() };
        vec![ThreadStack { frames: vec![frame], ..ThreadStack::default() }]
    }

    #[test]
    fn lines_come_from_the_caller_or_from_files() {
        let sources = Sources::new(|file, line| (file == "<command 3>").then(|| format!("  line {line}\n")));
        let mut command = stack("<command 3>", 2);
        sources.fill(&mut command);
        assert_eq!(command[0].frames[0].source, "line 2");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.py");
        std::fs::write(&path, "one\n    two()\n").unwrap();
        let mut file = stack(path.to_str().unwrap(), 2);
        sources.fill(&mut file);
        assert_eq!(file[0].frames[0].source, "two()");
        let mut beyond = stack(path.to_str().unwrap(), 9);
        sources.fill(&mut beyond);
        assert_eq!(beyond[0].frames[0].source, "");
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        for name in ["/dev/zero", "/proc", "relative.py", "<string>", ""] {
            let mut threads = stack(name, 1);
            Sources::default().fill(&mut threads);
            assert_eq!(threads[0].frames[0].source, "", "{name}");
        }
    }
}
