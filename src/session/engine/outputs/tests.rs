//! Real files against the checks.

use super::image::tests as pictures;
use super::judge::judge;
use super::*;
use crate::model::{Micros, OutputChecks, size};
use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// When the item began: the clock's now, in whole microseconds.
fn now() -> Micros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    Micros(u64::try_from(since.as_micros()).expect("not that late"))
}

fn problem(folder: &Path, name: &str, checks: OutputChecks, began: Micros) -> Option<String> {
    let wanted = Inspection { paths: Vec::new(), checks, began };
    judge(name, folder, &wanted).problem
}

const NONE: OutputChecks =
    OutputChecks { exist: true, min_size: None, max_size: None, image: false, dimensions: None, newer: false };

#[test]
fn files_that_are_not_what_they_should_be_are_told_with_what_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, bytes: &[u8]| std::fs::write(at(name), bytes).expect("written");
    write("empty.png", b"");
    write("small.png", &pictures::png(4, 4));
    write("text.png", b"this is no picture, whatever it is called\n");
    write("cut.png", &pictures::png(64, 48)[..60]);
    write("pic.jpg", &pictures::jpeg(320, 180));
    write("pic.exr", &pictures::exr(16, 8, true));
    write("begun.exr", &pictures::exr(16, 8, false));
    write("pic.tif", &pictures::tiff(30, 20));
    std::fs::create_dir(at("folder.png")).expect("a folder");
    nix::unistd::mkfifo(&at("fifo.png"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let _socket = std::os::unix::net::UnixListener::bind(at("socket.png")).expect("a socket");
    symlink("loop.png", at("loop.png")).expect("a link");
    symlink("nowhere", at("dangling.png")).expect("a link");
    symlink("small.png", at("link.png")).expect("a link");
    let image = OutputChecks { image: true, ..NONE };
    let least = |bytes| OutputChecks { min_size: Some(bytes), ..NONE };
    let most = |bytes| OutputChecks { max_size: Some(bytes), ..NONE };
    let large = |width, height| OutputChecks { dimensions: Some((width, height)), ..NONE };
    let cases: &[(&str, OutputChecks, Option<&str>)] = &[
        ("small.png", NONE, None),
        ("link.png", image, None),
        ("missing.png", NONE, Some("is not there")),
        ("frame.####.png", NONE, Some("is not there; nothing is filled in for # or %04d")),
        ("small.png/more", NONE, Some("cannot be looked at: Not a directory")),
        ("folder.png", NONE, Some("is a folder, not a file")),
        ("fifo.png", image, Some("is a FIFO, not a file")),
        ("socket.png", NONE, Some("is a socket, not a file")),
        ("/dev/zero", image, Some("is a device, not a file")),
        ("loop.png", NONE, Some("cannot be looked at: Too many levels of symbolic links")),
        ("dangling.png", NONE, Some("is a link to what is not there")),
        ("empty.png", least(1), Some("has 0 B, less than the 1 B that it must have")),
        ("empty.png", image, Some("is no image: it is empty")),
        ("small.png", least(10 << 10), Some("less than the 10.0 KiB that it must have")),
        ("small.png", most(20), Some("more than the 20 B that it may have")),
        ("text.png", image, Some("is no image: its first bytes are those of no format")),
        ("cut.png", image, Some("is no whole image (png): its last chunk (IEND) is missing")),
        ("pic.jpg", large(320, 180), None),
        ("pic.jpg", large(320, 181), Some("is 320×180 pixels large, not 320×181")),
        ("pic.exr", large(16, 8), None),
        ("begun.exr", image, Some("is no whole image (exr): it was not finished")),
        ("pic.tif", large(30, 20), None),
    ];
    for (name, checks, wanted) in cases {
        let found = problem(folder.path(), name, *checks, now());
        let as_wanted = match (&found, wanted) {
            (None, None) => true,
            (Some(found), Some(wanted)) => found.contains(wanted),
            _ => false,
        };
        assert!(as_wanted, "{name} {checks:?}: {found:?} instead of {wanted:?}");
    }
}

#[test]
fn everything_that_is_wrong_with_a_file_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.png"), "no").expect("written");
    let checks = OutputChecks { min_size: Some(3), image: true, ..NONE };
    let wanted = Inspection { checks, ..Inspection::default() };
    let file = judge("a.png", folder.path(), &wanted);
    let problem = file.problem.clone().expect("a problem");
    assert!(problem.starts_with("has 2 B, less than the 3 B that it must have; it is no image"), "{problem}");
    assert_eq!((file.bytes, file.path.as_path()), (Some(2), Path::new("a.png")));
    assert_eq!(file.complaint(), Some(format!("a.png {problem}")));
}

#[test]
fn a_file_that_was_there_before_the_item_is_old_and_coarse_clocks_are_forgiven() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.png");
    let file = File::create(&path).expect("a file");
    let checks = OutputChecks { newer: true, ..NONE };
    let began = now();
    assert_eq!(problem(folder.path(), "a.png", checks, began), None, "written within the kernel's clock tick");
    for (seconds, old) in [(1, false), (3, true), (7200, true)] {
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).expect("set");
        let found = problem(folder.path(), "a.png", checks, now());
        assert_eq!(found.is_some(), old, "{seconds} s before: {found:?}");
        let word = size::length(Micros(seconds * 1_000_000));
        let word = word.split('.').next().unwrap_or_default();
        assert!(found.is_none_or(|found| found.contains(word) && found.contains("before the item began")));
    }
    file.set_modified(SystemTime::now() + Duration::from_hours(1)).expect("set");
    assert_eq!(problem(folder.path(), "a.png", checks, now()), None, "a file server's clock may be fast");
}

#[test]
fn relative_paths_are_from_the_childs_folder_and_every_file_is_answered_for_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a"), "x").expect("written");
    let absolute = folder.path().join("a").display().to_string();
    let paths = vec!["a".to_owned(), "b".to_owned(), absolute];
    let inspection = Inspection { paths: paths.clone(), ..Inspection::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let found = runtime.block_on(Inspector::default().inspect(inspection, folder.path().to_owned()));
    let told: Vec<_> = found.iter().map(|file| file.path.display().to_string()).collect();
    assert_eq!(told, paths);
    let problems: Vec<_> = found.iter().map(|file| file.problem.as_deref()).collect();
    assert_eq!(problems, [None, Some("is not there"), None]);
}

#[test]
fn when_too_many_looks_hang_no_other_is_begun() {
    let inspector = Inspector::default();
    let hanging: Vec<_> = (0..STUCK).map(|_| Arc::clone(&inspector.looks)).collect();
    let inspection = Inspection { paths: vec!["a".into()], ..Inspection::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let look = |inspection| runtime.block_on(inspector.inspect(inspection, PathBuf::from("/")));
    let refused = look(inspection.clone()).remove(0).problem.expect("a problem");
    assert!(refused.contains("8 looks at files before it have not come back"), "{refused}");
    drop(hanging);
    assert_eq!(look(inspection).remove(0).problem.as_deref(), Some("is not there"));
}

#[test]
fn what_is_not_known_in_time_is_said_not_to_be_and_the_rest_is_kept() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let inspector = Inspector::default();
    let counted = Arc::clone(&inspector.looks);
    let paths = ["quick", "hangs", "never"].map(str::to_owned).to_vec();
    let look = Look { paths, found: Mutex::default(), _counted: counted };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let judge = move |path: &str| {
        if path == "hangs" {
            let _ = wait.lock().expect("sound").recv();
        }
        OutputFile { path: path.into(), bytes: Some(1), ..OutputFile::default() }
    };
    let found = runtime.block_on(look.within(Duration::from_secs(1), judge));
    let problems: Vec<_> = found.iter().map(|file| file.problem.as_deref()).collect();
    let late = Some("could not be looked at within 1 s");
    assert_eq!(problems, [None, late, late]);
    assert_eq!(Arc::strong_count(&inspector.looks), 2, "it is remembered as long as it hangs");
    drop(release);
}
