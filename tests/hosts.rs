//! The same work on every interpreter and application that this machine has.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]
#![allow(clippy::print_stderr, reason = "which hosts ran is told to whoever reads the test's output")]

#[path = "common/hosts.rs"]
mod hosts;
#[path = "hosts/launchers.rs"]
mod launchers;
#[path = "common/session.rs"]
mod session;
#[path = "hosts/windows.rs"]
mod windows;

use childminder::model::proto::Request;
use childminder::model::{
    CommandOutcome, CommandState, EventKind, Exception, Found, Hello, ItemIndex, ItemStatus, Phase, Rung, StopMode,
    Stream,
};
use session::{Ended, Session, child_file, job, quoted};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// This process adopts what a launcher leaves behind for a moment, and no session here could tell whose that is.
static ORPHANS: RwLock<()> = RwLock::new(());

/// For a test whose children leave nobody.
fn among_others() -> RwLockReadGuard<'static, ()> {
    ORPHANS.read().unwrap_or_else(PoisonError::into_inner)
}

/// For a test with a launcher.
fn alone() -> RwLockWriteGuard<'static, ()> {
    ORPHANS.write().unwrap_or_else(PoisonError::into_inner)
}

/// One item that prints, one that raises, one that is interrupted, one after that.
const JOB: &str = r#"
hold = true

[phases]
setup = [
    "import sys, time, childminder",
    "def boom(a):\n    b = a * 2\n    raise ValueError(u'f\\xfcnf %d' % b)",
    "print('set up')",
]
teardown = ["print('torn down')"]

[agenda]
items = [
    { name = "speaks", commands = [
        "print(u'gr\u00fc\u00dfe \u6f22\u5b57 \\U0001F600')",
        "_ = sys.stderr.write('careful\\n')",
        "childminder.progress(0.5); childminder.output('/out/1.png')",
    ] },
    { name = "raises", commands = ["boom(21)", "print('never')"] },
    { name = "sleeps", commands = ["time.sleep(30)"] },
    { name = "goes on", commands = ["print('alive')"] },
]
"#;
/// The number of the command that sleeps, when the backend has none of its own: three of setup, three of the first item,
/// two of the second, one injected.
const SLEEP: u64 = 10;

/// Runs it with a backend that has so many commands of its own, and more lines after the job's tables.
fn run(backend: &str, own: u64, tables: &str) -> (Hello, Ended) {
    let session = Session::start(job(&format!("backend = '{backend}'\n{JOB}\n{tables}")));
    session.until_agenda();
    let hello = session.hello();
    let version = session.value("'%d.%d' % sys.version_info[:2]");
    assert!(hello.python.starts_with(version.trim_matches('\'')), "{version} {hello:?}");
    session.ask(Request::Release).expect("released");
    session.until_started(own + SLEEP);
    session
        .ask(Request::Interrupt { command: None, from: Rung::Interrupt, to: Rung::Interrupt, restart: false })
        .expect("interrupted");
    session.until("the last item", |state| state.count(ItemStatus::Complete) == 2);
    (hello, session.stop())
}

fn check(ended: &Ended, own: u64) {
    check_saying(ended, own, "");
}

/// With what the application says at its end.
fn check_saying(ended: &Ended, own: u64, last_words: &str) {
    assert_eq!(ended.code, 1, "{}", ended.tail());
    let state = ended.state();
    let statuses: Vec<_> = state.items.iter().map(|row| row.status).collect();
    let [complete, failed] = [ItemStatus::Complete, ItemStatus::Failed];
    assert_eq!(statuses, [complete, failed, failed, complete], "{}", ended.tail());
    let stdout = String::from_utf8(ended.output(Stream::Stdout)).expect("UTF-8");
    assert_eq!(stdout, format!("set up\ngrüße 漢字 😀\nalive\ntorn down\n{last_words}"));
    assert_eq!(ended.output(Stream::Stderr), b"careful\n");
    assert_eq!(ended.slice(own + 5, Stream::Stdout), "grüße 漢字 \u{1F600}\n".as_bytes());
    assert_eq!(ended.slice(own + 6, Stream::Stderr), b"careful\n");
    check_exceptions(ended, own);
    let first = ended.events().into_iter().find_map(|event| match event.kind {
        EventKind::ItemEnded { item: ItemIndex(0), result, .. } => Some(result),
        _ => None,
    });
    let first = first.expect("a result");
    assert_eq!((first.progress, first.output_paths), (Some(0.5), vec!["/out/1.png".to_owned()]));
    ended.assert_nobody_left();
}

fn check_exceptions(ended: &Ended, own: u64) {
    let raised = exception(ended, own + 8);
    assert_eq!((raised.kind.as_str(), raised.message.as_str()), ("ValueError", "fünf 42"));
    let innermost = raised.innermost().expect("a frame");
    assert_eq!((innermost.function.as_str(), innermost.line), ("boom", 3));
    assert_eq!(innermost.source, r"raise ValueError(u'f\xfcnf %d' % b)");
    let locals = innermost.locals.as_ref().expect("locals");
    let locals: Vec<_> = locals.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(locals, [("a", "21"), ("b", "42")]);
    assert_eq!(exception(ended, own + SLEEP).kind, "KeyboardInterrupt");
    let state = ended.state();
    let slept = state.command(childminder::model::CommandId(own + SLEEP)).expect("a command");
    assert!(slept.took.seconds() < 25.0, "it slept to its end: {slept:?}");
    let skipped: Vec<_> = state.commands.iter().filter(|row| row.state == CommandState::Skipped).collect();
    assert_eq!(skipped.len(), 1, "what follows a raise in its item is not run");
}

fn exception(ended: &Ended, command: u64) -> Exception {
    match ended.outcome(command) {
        CommandOutcome::Raised { exception, .. } => *exception,
        other => panic!("command {command}: {other:?}"),
    }
}

#[test]
fn every_python_does_the_same() {
    let _others = among_others();
    let found = hosts::pythons();
    let missing = |family, major| !found.iter().any(|python| python.family == family && python.version.0 == major);
    if missing("python", 3) {
        hosts::not_run("python3");
    }
    if missing("pypy", 3) {
        hosts::not_run("pypy3");
    }
    for python in &found {
        let backend = if python.family == "pypy" { "pypy" } else { "python" };
        let (hello, ended) = run(backend, 0, &format!("[settings]\nexecutable = {}", quoted(&python.path)));
        check(&ended, 0);
        let implementation = if python.family == "pypy" { "PyPy" } else { "CPython" };
        assert_eq!(hello.implementation, implementation);
        assert!(hello.python.starts_with(&format!("{}.{}.", python.version.0, python.version.1)), "{hello:?}");
    }
    let ran: Vec<String> =
        found.iter().map(|python| format!("{} ({})", python.name(), python.path.display())).collect();
    eprintln!("RUN: {}", ran.join(", "));
}

#[test]
fn gdb_does_the_same_though_it_can_be_given_no_arguments() {
    let _others = among_others();
    if hosts::on_path("gdb").is_none() {
        return hosts::not_run("gdb");
    }
    let (hello, ended) = run("gdb", 1, "");
    check(&ended, 1);
    assert_eq!(hello.application.name, "gdb");
    assert_ne!(hello.application.version, "");
}

/// What is generated for gdb has port and secret in it: nobody else may read it, and it is gone when it was used.
#[test]
fn gdbs_bootstrapper_is_private_and_removes_itself() {
    let _others = among_others();
    if hosts::on_path("gdb").is_none() {
        return hosts::not_run("gdb");
    }
    let session = Session::start(job("backend = 'gdb'\nhold = true"));
    session.until_agenda();
    let argv = session.events().into_iter().find_map(|event| match event.kind {
        EventKind::ChildStarting { argv, .. } => Some(argv),
        _ => None,
    });
    let argv = argv.expect("it was started");
    let script = argv.iter().find(|word| word.ends_with("child_bootstrapper.py")).expect("a script");
    assert!(!Path::new(script).exists(), "{script} is still there");
    let folder = Path::new(script).parent().expect("a folder");
    let left: Vec<PathBuf> = folder.read_dir().expect("the folder").flatten().map(|file| file.path()).collect();
    assert!(!left.iter().any(|path| path.to_string_lossy().contains("bootstrapper")), "{left:?}");
    let environment = session.value("sorted(k for k in __import__('os').environ if k.startswith('CHILDMINDER'))");
    assert!(!environment.contains("SECRET") && !environment.contains("PORT"), "{environment}");
    assert_eq!(session.stop().code, 0);
}

/// The module runs in any Python that has it: the one that a variable names, else the first.
#[test]
fn the_bpy_module_renders_in_plain_python() {
    let _others = among_others();
    let named = std::env::var_os("CHILDMINDER_BPY").map(PathBuf::from);
    let has_it = |python: &PathBuf| {
        let code = "import importlib.util as u, sys; sys.exit(u.find_spec('bpy') is None)";
        Command::new(python).args(["-c", code]).status().is_ok_and(|status| status.success())
    };
    let mut pythons = named.clone().into_iter().chain(hosts::pythons().into_iter().map(|python| python.path));
    let Some(python) = pythons.find(has_it) else {
        // Half a gigabyte from PyPI, which not every machine can have.
        assert_eq!(named, None, "it has no bpy");
        return eprintln!("NOT RUN: bpy is in no Python that was found; CHILDMINDER_BPY may name one");
    };
    let out = tempfile::tempdir().expect("a folder");
    let text = format!(
        "backend = 'bpy'\n[settings]\nexecutable = {}\n[parameters]\nout = {}\nscript = {}\n{BLENDER}",
        quoted(&python),
        quoted(out.path()),
        quoted(child_file("render.py"))
    );
    let ended = Session::start(job(&text)).wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    assert_eq!(ended.state().count(ItemStatus::Complete), 3);
    for frame in 1..=3 {
        let bytes = std::fs::read(out.path().join(format!("{frame:04}.png"))).expect("a picture");
        assert_eq!(size_of_png(&bytes), Ok((320, 180)), "frame {frame}");
    }
    ended.assert_nobody_left();
}

#[test]
fn blender_renders_frames_that_are_whole_pictures() {
    let _others = among_others();
    if hosts::on_path("blender").is_none() {
        return hosts::not_run("blender");
    }
    let out = tempfile::tempdir().expect("a folder");
    let text = format!(
        "backend = 'blender'\n[parameters]\nout = {}\nscript = {}\n{BLENDER}",
        quoted(out.path()),
        quoted(child_file("render.py"))
    );
    let ended = Session::start(job(&text)).wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let state = ended.state();
    assert_eq!(state.count(ItemStatus::Complete), 3);
    assert_eq!(state.generation.0, 1, "all frames in one Blender");
    for (item, row) in (0..).map(ItemIndex).zip(state.items.iter()) {
        let frame = item.0 + 1;
        let picture = out.path().join(format!("{frame:04}.png"));
        let bytes = std::fs::read(&picture).expect("a picture");
        assert_eq!(size_of_png(&bytes), Ok((320, 180)), "frame {frame}");
        let command = row.first_command.expect("a command");
        let said = String::from_utf8_lossy(&ended.slice(command.0, Stream::Stdout)).into_owned();
        assert!(said.contains(&format!("Fra:{frame} Mem:")) && said.contains("Sample "), "{said}");
        assert!(said.contains(&format!("Saved: '{}'", picture.display())), "{said}");
        assert!(!said.contains(&format!("Fra:{} ", frame + 1)), "another frame's output: {said}");
        let result = ended.events().into_iter().find_map(|event| match event.kind {
            EventKind::ItemEnded { item: ended, result, .. } if ended == item => Some(result),
            _ => None,
        });
        let result = result.expect("a result");
        assert_eq!(result.output_paths, [picture.display().to_string()]);
        assert_eq!(result.progress, Some(1.0));
    }
    ended.assert_nobody_left();
}

/// Blender's word for a format, the codec of an EXR, and what it is taken for.
const FORMATS: [(&str, &str, &str); 21] = [
    ("PNG", "", "png"),
    ("JPEG", "", "jpeg"),
    ("OPEN_EXR", "NONE", "exr"),
    ("OPEN_EXR", "RLE", "exr"),
    ("OPEN_EXR", "ZIPS", "exr"),
    ("OPEN_EXR", "ZIP", "exr"),
    ("OPEN_EXR", "PIZ", "exr"),
    ("OPEN_EXR", "PXR24", "exr"),
    ("CINEON", "", "cineon"),
    ("OPEN_EXR", "DWAA", "exr"),
    ("OPEN_EXR", "DWAB", "exr"),
    ("OPEN_EXR_MULTILAYER", "ZIP", "exr"),
    ("TIFF", "", "tiff"),
    ("BMP", "", "bmp"),
    ("TARGA", "", "tga"),
    ("TARGA_RAW", "", "tga"),
    ("DPX", "", "dpx"),
    ("HDR", "", "hdr"),
    ("JPEG2000", "", "jp2"),
    ("IRIS", "", "sgi"),
    ("WEBP", "", "webp"),
];

#[test]
fn pictures_of_blender_are_taken_for_what_they_are_and_cut_ones_fail_their_items() {
    let _others = among_others();
    if hosts::on_path("blender").is_none() {
        return hosts::not_run("blender");
    }
    let out = tempfile::tempdir().expect("a folder");
    let path = |name: &str| quoted(out.path().join(name));
    let mut items = String::new();
    for (at, (kind, codec, _)) in FORMATS.iter().enumerate() {
        let path = path(&format!("{at}.picture"));
        let _ = writeln!(items, "{{ name = '{at}', commands = [\"\"\"write('{kind}', '{codec}', {path})\"\"\"] }},");
    }
    for (kind, keep) in [("PNG", "40"), ("OPEN_EXR", "-5000")] {
        let path = path(&format!("cut.{kind}"));
        let commands = format!("\"\"\"write('{kind}', 'NONE', {path})\"\"\", \"\"\"cut({path}, {keep})\"\"\"");
        let _ = writeln!(items, "{{ name = '{kind}', commands = [{commands}] }},");
    }
    let ended = Session::start(job(&format!(
        "backend = 'blender'\n[parameters]\nscript = {}\n[phases]\n\
         setup = [\"exec(compile(open({{script}}).read(), {{script}}, 'exec'))\", 'prepare(192, 108)']\n\
         [outputs]\nimage = true\ndimensions = '192x108'\nnewer = true\n[agenda]\nitems = [\n{items}]",
        quoted(child_file("pictures.py"))
    )))
    .wait();
    let results = ended.events().into_iter().filter_map(|event| match event.kind {
        EventKind::ItemEnded { status, reason, result, .. } => Some((status, reason, result)),
        _ => None,
    });
    let mut results: Vec<_> = results.collect();
    assert_eq!(results.len(), FORMATS.len() + 2, "{}", ended.tail());
    for cut in results.drain(FORMATS.len()..) {
        assert_eq!(cut.0, ItemStatus::Failed);
        assert!(cut.1.is_some_and(|why| why.contains("is no whole image")), "{:?}", cut.2);
    }
    for ((kind, codec, format), (status, reason, result)) in FORMATS.iter().zip(results) {
        let Some(file) = result.files.first() else {
            eprintln!("NOT RUN: this Blender does not write {kind} {codec}");
            continue;
        };
        assert_eq!((status, reason), (ItemStatus::Complete, None), "{kind} {codec}: {file:?}");
        assert_eq!((file.format.as_deref(), file.dimensions), (Some(*format), Some((192, 108))));
        assert_eq!(file.bytes, std::fs::metadata(&file.path).ok().map(|written| written.len()));
    }
}

#[test]
fn what_blender_prints_makes_the_result_of_an_item_whose_code_tells_nothing() {
    let _others = among_others();
    if hosts::on_path("blender").is_none() {
        return hosts::not_run("blender");
    }
    let out = tempfile::tempdir().expect("a folder");
    let text = format!(
        "backend = 'blender'\n[parameters]\nout = {}\nscript = {}\n{}",
        quoted(out.path()),
        quoted(child_file("render.py")),
        r#"
        outputs_required = true
        [phases]
        setup = [
            "exec(compile(open({script}).read(), {script}, 'exec')); prepare(64, 36, 4)",
            "childminder.output = childminder.progress = lambda told: None",
        ]
        commands = ["for frame in {frames}:\n    render(frame, {out})"]
        [agenda]
        frames = "1-4"
        chunk = 2
        "#
    );
    let ended = Session::start(job(&text)).wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    for item in 0..2 {
        let ended_with = |kind| match kind {
            EventKind::ItemEnded { item: ItemIndex(ended), result, .. } if ended == item => Some(result),
            _ => None,
        };
        let result = ended.events().into_iter().find_map(|event| ended_with(event.kind)).expect("a result");
        let pictures = [1, 2].map(|nth| out.path().join(format!("{:04}.png", item * 2 + nth)).display().to_string());
        assert_eq!(result.output_paths, pictures);
        assert_eq!(result.progress, Some(1.0), "both frames, and all samples of the last");
        let value = |name: &str| result.values.get(name).and_then(serde_json::Value::as_f64).expect(name);
        // A picture so small may take less than Blender's hundredth of a second.
        assert!((0.0..60.0).contains(&value("render_time")), "{result:?}");
        assert!((1e6..1e9).contains(&value("peak_memory")), "{result:?}");
        assert!(result.errors.is_empty(), "{result:?}");
    }
    let fractions = ended.events().into_iter().flat_map(|event| match event.kind {
        EventKind::Found { findings, .. } => findings,
        _ => Vec::new(),
    });
    let fractions = fractions.filter_map(|finding| match finding.what {
        Found::Progress { fraction } => Some(fraction),
        _ => None,
    });
    assert!(fractions.into_iter().all(|fraction| (0.0..=1.0).contains(&fraction)));
    ended.assert_nobody_left();
}

const BLENDER: &str = r#"
outputs_required = true
[phases]
setup = ["exec(compile(open({script}).read(), {script}, 'exec'))", "prepare(320, 180, 4)"]
commands = ["render({frame}, {out})"]
[agenda]
frames = "1-3"
"#;

#[test]
fn a_cycles_render_that_is_stopped_now_ends_within_its_grace() {
    let _others = among_others();
    if hosts::on_path("blender").is_none() {
        return hosts::not_run("blender");
    }
    let out = tempfile::tempdir().expect("a folder");
    let text = format!(
        "backend = 'blender'\n[timeouts]\nkill_grace = '500ms'\n[parameters]\nout = {}\nscript = {}\n{}",
        quoted(out.path()),
        quoted(child_file("render.py")),
        BLENDER.replace("320, 180, 4", "1920, 1080, 100000")
    );
    let session = Session::start(job(&text));
    session.until("a frame that renders", |state| {
        let running = state.running.filter(|running| running.started).and_then(|running| state.command(running.id));
        running.is_some_and(|row| row.phase == Phase::Item)
    });
    session.ask(Request::Stop { mode: StopMode::Now }).expect("stopped");
    let ended = session.wait();
    assert_eq!(ended.code, 130, "{}", ended.tail());
    assert_eq!(ended.state().count(ItemStatus::Pending), 3, "{}", ended.tail());
    ended.assert_nobody_left();
}

/// Width and height of a PNG that is whole: the signature, every chunk to the end of the file, the last of them `IEND`.
fn size_of_png(bytes: &[u8]) -> Result<(u32, u32), String> {
    let number = |at: usize| {
        let bytes: [u8; 4] = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).ok_or("it ends early")?;
        Ok::<u32, String>(u32::from_be_bytes(bytes))
    };
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") || bytes.get(12..16) != Some(b"IHDR") {
        return Err("it does not begin like a PNG".into());
    }
    let mut at = 8;
    loop {
        let length = number(at)?;
        let last = bytes.get(at + 4..at + 8) == Some(b"IEND");
        at += 12 + usize::try_from(length).map_err(|error| error.to_string())?;
        if last && at == bytes.len() {
            return Ok((number(16)?, number(20)?));
        }
        if last || at > bytes.len() {
            return Err(format!("its chunks end at {at}, the file at {}", bytes.len()));
        }
    }
}
