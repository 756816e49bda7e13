//! The demo: a job that needs nothing but a Python, for people who want to see before they read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const FILES: [(&str, &str); 2] = [
    ("job.toml", include_str!("../../assets/demo/job.toml")),
    ("raytracer.py", include_str!("../../assets/demo/raytracer.py")),
];

/// Writes the demo into a folder, which is made if it is missing; the path of its job file.
pub fn unpack(folder: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    for (name, text) in FILES {
        fs::write(folder.join(name), text)?;
    }
    Ok(folder.join(FILES[0].0))
}

#[cfg(test)]
mod tests {
    use super::super::{commands, read};
    use super::*;
    use crate::model::job::Job;
    use crate::model::{ItemIndex, Phase};
    use std::process::Command;

    /// Reads every picture as a decoder does and prints its name and size.
    const CHECK: &str = r"
import glob, struct, zlib
for path in sorted(glob.glob('frames/*')):
    data = open(path, 'rb').read()
    assert data[:8] == b'\x89PNG\r\n\x1a\n', path
    at, chunks = 8, []
    while at < len(data):
        length, kind = struct.unpack('>I4s', data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        crc, = struct.unpack('>I', data[at + 8 + length:at + 12 + length])
        assert zlib.crc32(kind + body) & 0xffffffff == crc, path
        chunks.append((kind, body))
        at += 12 + length
    assert [kind for kind, body in chunks] == [b'IHDR', b'IDAT', b'IEND'], path
    width, height = struct.unpack('>II', chunks[0][1][:8])
    assert len(zlib.decompress(chunks[1][1])) == height * (1 + 3 * width), path
    print('%s %dx%d' % (path, width, height))
";

    /// The job's commands as one script, each item's failure caught.
    fn script(job: &Job, places: &[u32]) -> String {
        let mut lines = vec!["failed = []".to_owned()];
        lines.extend(commands::of_phase(job, Phase::Init).unwrap());
        lines.extend(commands::of_phase(job, Phase::Setup).unwrap());
        for place in places {
            let item = job.agenda.item(ItemIndex(*place)).unwrap();
            let commands = commands::of_item(job, &item).unwrap();
            lines.push(format!("try:\n    {}", commands.join("\n    ")));
            lines.push(format!(
                "except raytracer.SceneError as e: failed.append(({:?}, type(e.__cause__).__name__))",
                item.name
            ));
        }
        lines.extend(commands::of_phase(job, Phase::Teardown).unwrap());
        lines.push("assert failed == [('frame_09', 'KeyError')], failed".into());
        lines.join("\n") + CHECK
    }

    fn run(python: &Path, folder: &Path, places: &[u32]) -> String {
        let sets = [("width", "16"), ("height", "8"), ("samples", "1"), ("dawdle", "0.3")];
        let sets: Vec<_> = sets.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let job = read(&unpack(folder).unwrap(), &sets).unwrap();
        assert_eq!(job.agenda.len(), 24);
        let done = Command::new(python).arg("-c").arg(script(&job, places)).current_dir(folder).output().unwrap();
        assert!(done.status.success(), "{python:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    #[test]
    fn all_frames_but_the_one_that_raises_are_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let said = run(Path::new("python3"), folder.path(), &(0..24).collect::<Vec<_>>());
        assert_eq!(said.matches(" 16x8\n").count(), 23, "{said}");
        assert!(said.contains("\u{1b}[32msaved") && said.contains("23 pictures are in "), "{said}");
    }

    #[test]
    fn the_oldest_python_does_it_too() {
        let old = PathBuf::from(std::env::var("HOME").unwrap_or_default()).join(".pyenv/versions/2.7.18/bin/python");
        if !old.exists() {
            println!("skipped: there is no Python 2.7");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let said = run(&old, folder.path(), &[0, 8, 15]);
        assert_eq!(said.matches(" 16x8\n").count(), 2, "{said}");
    }
}
