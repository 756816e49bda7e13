//! What is missing of a session's output, in sentences: a folder may have been copied in parts, cut, or left by a machine
//! that died.
//!
//! What must stay true: nothing is said of a folder in order; nothing but the ends of files is read.

use super::index::{Records, part};
use super::lines;
use super::pages::OutputReader;
use super::regular;
use crate::model::{Marks, Stream};

impl OutputReader {
    /// One sentence for each thing that is missing; none for a session in order. `reached` is how far the events say that
    /// the streams had come. Of a session that runs the index is always a little behind.
    pub fn missing(&self, reached: Marks, running: bool) -> Vec<String> {
        let lengths = self.lengths().unwrap_or_default();
        let mut notes = Vec::new();
        let index = self.folder().output_index();
        let records = regular::open(&index).ok().map(|index| Records::new(index, Marks::default));
        let told = records.as_ref().filter(|records| records.has_index());
        for stream in [Stream::Stdout, Stream::Stderr] {
            notes.extend(self.missing_log(stream, part(lengths, stream), part(reached, stream), told));
        }
        if lengths.stdout + lengths.stderr > 0 {
            let unknown = "when each line was read, and for which command, is not known";
            match (&records, told) {
                (None, _) => notes.push(format!("The index of the output (output.idx) is missing: {unknown}.")),
                (Some(_), None) => notes.push(format!(
                    "The index of the output (output.idx) is damaged, or another version wrote it: {unknown}."
                )),
                (_, Some(told)) if !running => notes.extend(missing_records(told.ends(), lengths)),
                _ => {}
            }
        }
        for stream in [Stream::Stdout, Stream::Stderr].into_iter().filter(|_| !running) {
            let log = self.folder().output(stream);
            let path = self.folder().line_index(stream);
            if regular::open(&log).is_ok_and(|log| !lines::is_enough(&path, &log, part(lengths, stream))) {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                notes.push(format!("The index of lines ({name}) is missing or damaged: the lines are counted anew."));
            }
        }
        notes
    }

    fn missing_log(&self, stream: Stream, length: u64, reached: u64, told: Option<&Records>) -> Option<String> {
        let end = told.map_or(0, |told| part(told.ends(), stream)).max(reached);
        let path = self.folder().output(stream);
        if end > 0 && !path.is_file() {
            let what = if path.exists() { "is not a file" } else { "is missing" };
            return Some(format!("{} {what}: the {end} bytes that were in it cannot be shown.", path.display()));
        }
        // What was lost at the end never was in the log.
        let lost = told.and_then(|told| told.lost_in(stream, length, end.max(length)));
        let lost = lost.is_some_and(|(from, to)| from <= length && to >= end);
        (end > length && !lost).then(|| {
            let missing = end - length;
            format!("{} is shorter than it was: its last {missing} bytes cannot be shown.", path.display())
        })
    }
}

fn missing_records(ends: Marks, lengths: Marks) -> Option<String> {
    let behind = lengths.stdout.saturating_sub(ends.stdout) + lengths.stderr.saturating_sub(ends.stderr);
    (behind > 0).then(|| {
        format!("The index of the output (output.idx) is short: when the last {behind} bytes were read is not known.")
    })
}
