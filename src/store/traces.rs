//! Windows of `engine.log`, made safe: what the engine traces may hold what the child said.

use super::error::{StoreError, failed};
use super::view::read_full;
use super::{regular, safe};
use crate::model::proto::{PAGE_LIMIT, TracePage};
use std::path::Path;

/// Bytes of the log that one page looks at.
const WINDOW: u64 = 1 << 20;
/// Bytes of a line that are shown.
const LINE: usize = 8 << 10;

/// Whole lines from this byte on, or the last ones; at most `limit`, and at most 1 MiB of them. A log that became shorter
/// than `from` is read from its beginning, one that is not there is empty.
pub fn page(path: &Path, from: Option<u64>, limit: u32) -> Result<TracePage, StoreError> {
    let file = match regular::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(TracePage::default()),
        Err(error) => return Err(failed("read", path)(error)),
    };
    let length = file.metadata().map_err(failed("read", path))?.len();
    let begin = from.map_or(length.saturating_sub(WINDOW), |from| if from > length { 0 } else { from });
    let mut bytes = vec![0; usize::try_from(WINDOW.min(length - begin)).unwrap_or_default()];
    let got = read_full(&file, &mut bytes, begin);
    bytes.truncate(got);
    let limit = limit.min(PAGE_LIMIT) as usize;
    Ok(if from.is_some() { forward(&bytes, begin, limit) } else { last(&bytes, begin, limit) })
}

fn forward(bytes: &[u8], begin: u64, limit: usize) -> TracePage {
    let mut page = TracePage { lines: Vec::new(), next: begin };
    for line in bytes.split_inclusive(|byte| *byte == b'\n').take(limit) {
        // A line that fills the whole window is given in pieces; one that is being written, when it is whole.
        if line.ends_with(b"\n") || line.len() as u64 == WINDOW {
            page.lines.push(shown(line));
            page.next += line.len() as u64;
        }
    }
    page
}

fn last(bytes: &[u8], begin: u64, limit: usize) -> TracePage {
    let whole = memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1);
    let cut_first = usize::from(begin > 0);
    let lines = bytes[..whole].split_inclusive(|byte| *byte == b'\n').skip(cut_first).collect::<Vec<_>>();
    let skip = lines.len().saturating_sub(limit);
    TracePage { lines: lines[skip..].iter().map(|line| shown(line)).collect(), next: begin + whole as u64 }
}

fn shown(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    if line.len() <= LINE {
        return safe::make_safe(line);
    }
    format!("{} …", safe::make_safe(safe::without_cut_character(&line[..LINE])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_forwards_and_from_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine.log");
        assert_eq!(page(&path, None, 10).unwrap(), TracePage::default());
        std::fs::write(&path, b"one\ntwo\x1b[2J\nthree\nfour is being wri").unwrap();
        let all = page(&path, Some(0), 10).unwrap();
        assert_eq!((all.lines, all.next), (vec!["one".into(), "two␛[2J".into(), "three".into()], 18));
        let two = page(&path, Some(4), 1).unwrap();
        assert_eq!((two.lines, two.next), (vec!["two␛[2J".to_owned()], 12));
        let end = page(&path, None, 1).unwrap();
        assert_eq!((end.lines, end.next), (vec!["three".to_owned()], 18));
        assert_eq!(page(&path, Some(18), 10).unwrap(), TracePage { lines: vec![], next: 18 });
        assert_eq!(page(&path, Some(1000), 1).unwrap().lines, ["one"]);
        std::fs::write(&path, vec![b'x'; 3 << 20]).unwrap();
        let long = page(&path, Some(0), 10).unwrap();
        assert_eq!((long.lines.len(), long.next), (1, WINDOW));
        assert!(page(&path, None, 10).unwrap().lines.is_empty());
    }
}
