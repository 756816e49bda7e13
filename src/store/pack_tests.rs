//! Sessions packed and opened again, and archives that lie.

use super::*;
use crate::model::{EventKind, Job, Marks, Micros, Stream};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// A session that has recorded and printed something.
fn session(dir: &Path) -> Folder {
    let job = Job { name: "shot 010".into(), ..Job::default() };
    let folder = Folder::create(dir, &SessionFile::new(job, None)).unwrap();
    let mut journal = Journal::create(&folder.journal()).unwrap();
    let mut events = (0..100).map(|number| EventKind::Note { text: format!("note {number}") }).collect();
    journal.append(&mut events).unwrap();
    let mut output = Output::open(&folder, Marks::default(), 0).unwrap();
    for number in 0..2000_u64 {
        let line = format!("line {number}\n");
        let at = output.stdout.position();
        output.stdout.append(at, line.as_bytes(), None, Micros(number), Micros(number));
    }
    output.stderr.append(0, b"a part", None, Micros(1), Micros(1));
    folder
}

fn contents(folder: &Folder) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder.path()).unwrap().flatten();
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

fn open(archive: &Path, cache: &Path) -> Result<Unpacked, StoreError> {
    Unpacked::open(archive, cache, 0)
}

#[test]
fn what_is_packed_comes_out_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = session(dir.path());
    let (archive, cache) = (dir.path().join("shot.tar.zst"), dir.path().join("cache"));
    let packed = pack(&folder, &archive, false).unwrap();
    assert_eq!(packed.to, archive.metadata().unwrap().len());
    assert_eq!(archive.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let opened = open(&archive, &cache).unwrap();
    assert_eq!((opened.notes(), opened.folder().id()), (&[][..], folder.id()));
    assert_eq!(opened.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(contents(opened.folder()), contents(&folder));
    assert_eq!(recover(opened.folder()).unwrap().last, recover(&folder).unwrap().last);
    let path = opened.path().to_owned();
    drop(opened);
    assert!(!path.exists(), "its files are removed");
}

#[test]
fn no_file_is_overwritten_unless_that_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let folder = session(dir.path());
    let archive = dir.path().join("precious");
    fs::write(&archive, "x").unwrap();
    let said = pack(&folder, &archive, false).unwrap_err().to_string();
    assert!(said.contains("is there already") && said.contains("--force"), "{said}");
    assert_eq!(fs::read(&archive).unwrap(), b"x");
    pack(&folder, &archive, true).unwrap();
    drop(open(&archive, &dir.path().join("cache")).unwrap());
    assert!(matches!(pack(&folder, &dir.path().join("absent/file"), false), Err(StoreError::Io { .. })));
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names.len(), 3, "no draft is left: {names:?}");
}

#[test]
fn nothing_but_a_file_is_ever_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let folder = session(dir.path());
    let [pipe, link, file, inner] = ["pipe", "link", "file", "folder"].map(|name| dir.path().join(name));
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::write(&file, "x").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    fs::create_dir(&inner).unwrap();
    for path in [&pipe, &link, &inner] {
        let before = path.symlink_metadata().unwrap();
        let said = pack(&folder, path, true).unwrap_err().to_string();
        assert!(said.contains("cannot replace") && said.contains("it is not a file"), "{said}");
        let after = path.symlink_metadata().unwrap();
        assert_eq!((after.ino(), after.mode()), (before.ino(), before.mode()));
    }
    assert_eq!(fs::read(&file).unwrap(), b"x");
}

#[test]
fn a_line_that_is_being_written_is_not_packed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = session(dir.path());
    let whole = fs::read(folder.journal()).unwrap();
    let torn = [b"{\"seq\":".to_vec(), vec![b'1'; 200_000]].concat();
    File::options().append(true).open(folder.journal()).unwrap().write_all(&torn).unwrap();
    let archive = dir.path().join("shot.tar.zst");
    pack(&folder, &archive, false).unwrap();
    let opened = open(&archive, &dir.path().join("cache")).unwrap();
    assert_eq!(fs::read(opened.folder().journal()).unwrap(), whole);
    assert!(recover(opened.folder()).unwrap().notes.is_empty());
}

#[test]
fn holes_cost_nothing_on_either_side() {
    let dir = tempfile::tempdir().unwrap();
    let folder = session(dir.path());
    let log = File::options().write(true).open(folder.output(Stream::Stdout)).unwrap();
    log.write_all_at(b"after the hole\n", 256 << 20).unwrap();
    let archive = dir.path().join("shot.tar.zst");
    let packed = pack(&folder, &archive, false).unwrap();
    assert!(packed.from > 256 << 20 && packed.to < 1 << 20, "{packed:?}");
    let opened = open(&archive, &dir.path().join("cache")).unwrap();
    let log = opened.folder().output(Stream::Stdout).metadata().unwrap();
    assert_eq!(log.len(), (256 << 20) + 15);
    assert!(log.blocks() * 512 < 1 << 20, "{} blocks", log.blocks());
}

#[test]
fn an_archive_that_was_cut_off_is_opened_as_far_as_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let folder = session(dir.path());
    // Enough that does not compress for the archive to have blocks.
    let mut seed = 1_u64;
    let noise = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (seed >> 56) as u8
    });
    fs::write(folder.output(Stream::Stdout), noise.take(1 << 20).collect::<Vec<_>>()).unwrap();
    let (archive, cache) = (dir.path().join("shot.tar.zst"), dir.path().join("cache"));
    pack(&folder, &archive, false).unwrap();
    let (whole, known) = (fs::read(&archive).unwrap(), contents(&folder));
    let mut opened_in_part = 0;
    for part in 0..40 {
        let cut = dir.path().join("cut");
        fs::write(&cut, &whole[..whole.len() * part / 40]).unwrap();
        let Ok(opened) = open(&cut, &cache) else { continue };
        assert_eq!(opened.notes().len(), 1, "{:?}", opened.notes());
        assert!(opened.notes()[0].contains("cut off"), "{:?}", opened.notes());
        for (name, bytes) in contents(opened.folder()) {
            assert!(known[&name].starts_with(&bytes), "{name}");
        }
        opened_in_part += 1;
    }
    assert!(opened_in_part > 20, "{opened_in_part}");
}

/// An archive of these entries: type, path, content.
fn lie(path: &Path, entries: &[(tar::EntryType, &str, &[u8])]) {
    let mut tar = tar::Builder::new(zstd::Encoder::new(File::create(path).unwrap(), 1).unwrap());
    for (kind, name, content) in entries {
        let mut header = tar::Header::new_gnu();
        // Written past the crate, which refuses to make such names.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..11].copy_from_slice(b"/etc/passwd");
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o6777);
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}

#[test]
fn an_archive_that_lies_writes_nothing_but_a_sessions_files() {
    use tar::EntryType as Kind;
    let dir = tempfile::tempdir().unwrap();
    let json = fs::read(session(dir.path()).session_json()).unwrap();
    let archive = dir.path().join("lie");
    lie(
        &archive,
        &[
            (Kind::Regular, "a/session.json", &json),
            (Kind::Regular, "a/session.json", b"{}"),
            (Kind::Regular, "a/../../escaped", b"x"),
            (Kind::Regular, "/tmp/childminder-escaped", b"x"),
            (Kind::Regular, "../stdout.log", b"x"),
            (Kind::Regular, "b/stdout.log", b"x"),
            (Kind::Regular, "a/b/stdout.log", b"x"),
            (Kind::Regular, "a/run-me.sh", b"x"),
            (Kind::Regular, "a/lock", b"x"),
            (Kind::Symlink, "a/stdout.log", b""),
            (Kind::Link, "a/stderr.log", b""),
            (Kind::Char, "a/engine.log", b""),
            (Kind::Fifo, "a/events.jsonl", b""),
            (Kind::Directory, "a/output.idx", b""),
            (Kind::GNULongName, "././@LongLink", &[b'x'; 5000]),
            (Kind::XHeader, "x", b"30 path=../../../../escaped\n"),
            (Kind::Regular, "a/stderr.log", b"the only one"),
        ],
    );
    let cache = dir.path().join("cache");
    let opened = open(&archive, &cache).unwrap();
    let found = contents(opened.folder());
    assert_eq!(found.keys().collect::<Vec<_>>(), ["session.json", "stderr.log"]);
    assert_eq!((&found["session.json"], &found["stderr.log"][..]), (&json, &b"the only one"[..]));
    assert_eq!(opened.folder().output(Stream::Stderr).metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    assert!(opened.notes()[0].starts_with("15 entries"), "{:?}", opened.notes());
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
    assert!(!dir.path().join("escaped").exists() && !Path::new("/tmp/childminder-escaped").exists());
}

#[test]
fn what_is_no_sessions_is_passed_over_within_bounds_and_told() {
    use tar::EntryType::Regular;
    let dir = tempfile::tempdir().unwrap();
    let json = fs::read(session(dir.path()).session_json()).unwrap();
    let (archive, cache) = (dir.path().join("lie"), dir.path().join("cache"));
    let big = vec![0; usize::try_from(unpack::PASSED_OVER).unwrap()];
    for (entries, of, told) in [
        (unpack::ENTRIES - 2, &b""[..], None),
        (unpack::ENTRIES - 1, b"", Some("after 1000 entries")),
        (1, &big, None),
        (2, &big, Some("over 64 MiB")),
    ] {
        let mut lies = vec![(Regular, "a/session.json", &json[..])];
        lies.resize(entries + 1, (Regular, "a/other", of));
        lies.push((Regular, "a/stderr.log", b"the end"));
        lie(&archive, &lies);
        let opened = open(&archive, &cache).unwrap();
        let has_end = opened.folder().output(Stream::Stderr).exists();
        assert_eq!(has_end, told.is_none(), "{entries}");
        let notes = opened.notes();
        assert_eq!(notes.len(), 1 + usize::from(told.is_some()), "{notes:?}");
        assert!(told.is_none_or(|told| notes[0].contains(told)), "{notes:?}");
    }
}

#[test]
fn what_does_not_fit_or_is_no_archive_is_refused_in_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let (archive, cache) = (dir.path().join("shot.tar.zst"), dir.path().join("cache"));
    pack(&session(dir.path()), &archive, false).unwrap();
    let said = Unpacked::open(&archive, &cache, u64::MAX).unwrap_err().to_string();
    assert!(said.contains("do not fit on the disk"), "{said}");
    lie(&archive, &[(tar::EntryType::Regular, "a/stdout.log", b"x")]);
    assert!(open(&archive, &cache).unwrap_err().to_string().contains("no session.json"));
    for nonsense in [&b""[..], b"not an archive at all", &[0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0xff, 0xff, 0, 0]] {
        fs::write(&archive, nonsense).unwrap();
        let said = open(&archive, &cache).unwrap_err().to_string();
        assert!(said.contains("cannot") && said.contains("childminder export"), "{said}");
    }
    assert!(open(dir.path(), &cache).is_err());
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 0, "nothing is left");
}

#[test]
fn what_a_killed_process_left_is_removed_and_what_is_in_use_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (archive, cache) = (dir.path().join("shot.tar.zst"), dir.path().join("cache"));
    pack(&session(dir.path()), &archive, false).unwrap();
    let first = open(&archive, &cache).unwrap();
    let abandoned = cache.join("unpacked-20260101-000000-0001");
    fs::create_dir(&abandoned).unwrap();
    fs::write(abandoned.join("held"), "").unwrap();
    let _second = open(&archive, &cache).unwrap();
    assert!(first.folder().session_json().exists());
    assert!(!abandoned.exists());
}
