//! One file against the checks.

use super::image::{self, Image};
use crate::model::{Micros, OutputFile, size};
use crate::session::world::Inspection;
use crate::store::regular;
use std::fs::{FileType, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// How much earlier than the attempt a file may seem to have been written. The kernel stamps files with a clock of some
/// milliseconds, FAT of two seconds, and a file server with its own.
const EARLIER: Micros = Micros(2_000_000);

/// What the file is, and what is wrong with it.
pub(super) fn judge(told: &str, cwd: &Path, wanted: &Inspection) -> OutputFile {
    let path = cwd.join(told);
    let mut file = OutputFile { path: told.into(), ..OutputFile::default() };
    file.problem = match std::fs::metadata(&path) {
        Err(error) => Some(absent(told, &path, &error)),
        Ok(metadata) if !metadata.is_file() => Some(format!("is {}, not a file", kind(metadata.file_type()))),
        Ok(metadata) => {
            let problems = measure(&mut file, &path, &metadata, wanted);
            (!problems.is_empty()).then(|| problems.join("; it "))
        }
    };
    file
}

fn absent(told: &str, path: &Path, error: &io::Error) -> String {
    let link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    match error.kind() {
        ErrorKind::NotFound if link => "is a link to what is not there".to_owned(),
        ErrorKind::NotFound if told.contains('#') || told.contains("%0") => {
            "is not there; nothing is filled in for # or %04d: tell of each file by its own name".to_owned()
        }
        ErrorKind::NotFound => "is not there".to_owned(),
        _ => format!("cannot be looked at: {error}"),
    }
}

fn kind(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

/// Notes what is known of the file, and gives what is wrong with it.
fn measure(file: &mut OutputFile, path: &Path, metadata: &Metadata, wanted: &Inspection) -> Vec<String> {
    let (checks, length) = (wanted.checks, metadata.len());
    let written = wall(metadata);
    file.bytes = Some(length);
    file.written = Some(written);
    let mut problems = Vec::new();
    if checks.newer && Micros(written.0.saturating_add(EARLIER.0)) < wanted.began {
        let before = size::length(wanted.began.since(written));
        problems.push(format!("was last written {before} before the item began, by the clock of its file system"));
    }
    if let Some(least) = checks.min_size.filter(|least| length < *least) {
        let (length, least) = sizes(length, least);
        problems.push(format!("has {length}, less than the {least} that it must have"));
    }
    if let Some(most) = checks.max_size.filter(|most| length > *most) {
        let (length, most) = sizes(length, most);
        problems.push(format!("has {length}, more than the {most} that it may have"));
    }
    if checks.image || checks.dimensions.is_some() {
        problems.extend(picture(file, path, checks.dimensions));
    }
    problems
}

/// Both as people read them best, but not as the same when they are not.
fn sizes(one: u64, other: u64) -> (String, String) {
    let shown = (size::bytes(one), size::bytes(other));
    if shown.0 == shown.1 { (format!("{one} B"), format!("{other} B")) } else { shown }
}

fn picture(file: &mut OutputFile, path: &Path, wanted: Option<(u32, u32)>) -> Option<String> {
    // It may have become something else since it was looked at; a FIFO would be waited for.
    let opened = regular::open(path).and_then(|open| Ok((open.metadata()?.len(), open)));
    let (length, open) = match opened {
        Ok(opened) => opened,
        Err(error) => return Some(format!("cannot be read: {error}")),
    };
    let Image { format, dimensions, unfinished } = match image::read(&open, length) {
        Ok(image) => image,
        Err(none) => return Some(none.words()),
    };
    file.format = Some(format.to_owned());
    file.dimensions = Some(dimensions);
    let shown = |(width, height): (u32, u32)| format!("{width}×{height}");
    match (unfinished, wanted.filter(|wanted| *wanted != dimensions)) {
        (Some(why), _) => Some(format!("is no whole image ({format}): {why}")),
        (None, Some(wanted)) => Some(format!("is {} pixels large, not {}", shown(dimensions), shown(wanted))),
        (None, None) => None,
    }
}

/// When it was last written.
fn wall(metadata: &Metadata) -> Micros {
    let micros = metadata.mtime().checked_mul(1_000_000).and_then(|at| at.checked_add(metadata.mtime_nsec() / 1000));
    Micros(micros.and_then(|at| u64::try_from(at).ok()).unwrap_or_default())
}
