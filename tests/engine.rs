//! The engine on real children: what a session does from its first event to its exit code.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/session.rs"]
mod session;

use childminder::model::proto::{ItemVerb, Request, Response};
use childminder::model::{CommandOutcome, CommandState, EventKind, ItemIndex, ItemStatus, Job, StopMode, Stream};
use session::{Session, job};

#[test]
fn a_job_runs_to_its_end_and_leaves_readable_files() {
    let session = Session::start(job(r#"
        [phases]
        setup = ["import os, sys"]
        commands = ["print('frame', {frame})", "_ = sys.stderr.write('warn %d\\n' % {frame})"]
        teardown = ["print('bye')"]
        [agenda]
        frames = "1-3"
        "#));
    let ended = session.wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    assert_eq!(ended.output(Stream::Stdout), b"frame 1\nframe 2\nframe 3\nbye\n");
    assert_eq!(ended.output(Stream::Stderr), b"warn 1\nwarn 2\nwarn 3\n");
    assert_eq!(ended.state().count(ItemStatus::Complete), 3);
}

#[test]
fn an_injected_command_gives_its_value_and_an_exception_its_frames() {
    let session = Session::start(job("hold = true\n[agenda]\n[phases]\nsetup = ['answer = 42']"));
    session.until("the agenda", |state| state.phase == childminder::model::SessionPhase::Agenda);
    let value = session.ask(Request::Exec { source: "answer".into(), wait: true });
    let Ok(Response::Command(detail)) = value else { panic!("{value:?}") };
    assert_eq!(detail.outcome, Some(CommandOutcome::Finished { value: Some("42".into()), cut: None }));
    let raised = session.ask(Request::Exec { source: "def f(x):\n    return 1 / x\nf(0)".into(), wait: true });
    let Ok(Response::Command(detail)) = raised else { panic!("{raised:?}") };
    let Some(CommandOutcome::Raised { exception, exit: None }) = detail.outcome else { panic!("{detail:?}") };
    assert_eq!(exception.kind, "ZeroDivisionError");
    let innermost = exception.innermost().expect("a frame");
    assert_eq!((innermost.function.as_str(), innermost.line, innermost.source.as_str()), ("f", 2, "return 1 / x"));
    assert_eq!(innermost.locals.as_ref().and_then(|locals| locals.get("x")).map(String::as_str), Some("0"));
    session.ask(Request::Stop { mode: StopMode::AfterItem }).expect("stopped");
    assert_eq!(session.wait().code, 0);
}

#[test]
fn a_child_that_leaves_fails_its_item_and_the_session_also_with_exit_code_zero() {
    let session =
        Session::start(job("[phases]\ncommands = ['import os', 'os._exit(0)', 'never()']\n[agenda]\nframes = '1-2'"));
    let ended = session.wait();
    assert_eq!(ended.code, 70, "{}", ended.tail());
    let state = ended.state();
    assert_eq!(state.item(ItemIndex(0)).map(|row| row.status), Some(ItemStatus::Failed));
    assert_eq!(state.item(ItemIndex(1)).map(|row| row.status), Some(ItemStatus::Pending));
    let states: Vec<_> = state.commands.iter().map(|row| row.state).collect();
    assert_eq!(states, [CommandState::Finished, CommandState::Lost, CommandState::Skipped]);
}

#[test]
fn stopping_now_interrupts_what_runs_and_leaves_nobody_behind() {
    let session = Session::start(job(
        "[phases]\ncommands = ['import subprocess, time; subprocess.Popen([\"sleep\", \"1000\"], start_new_session=True)', 'time.sleep(1000)']\n[agenda]\nframes = '1'",
    ));
    session.until("the sleep", |state| state.running.is_some_and(|running| running.id.0 == 2 && running.started));
    let marker = session.folder().id().to_owned();
    session.ask(Request::Stop { mode: StopMode::Now }).expect("stopped");
    let ended = session.wait();
    assert_eq!(ended.code, 130, "{}", ended.tail());
    assert_eq!(ended.state().item(ItemIndex(0)).map(|row| row.status), Some(ItemStatus::Pending));
    assert_eq!(childminder::child::marked(&marker), []);
}

#[test]
fn a_stopped_session_is_resumed_with_what_is_left() {
    let session =
        Session::start(job("[phases]\ncommands = ['print({frame})']\n[agenda]\nframes = '1-3'\n[env]\nX = '1'"));
    session.ask(Request::Items { verb: ItemVerb::Block, names: vec!["2".into()] }).expect("blocked");
    let first = session.wait();
    assert_eq!(first.code, 1, "{}", first.tail());
    let again = Session::resume(&first);
    again.ask(Request::Items { verb: ItemVerb::Unblock, names: vec!["2".into()] }).expect("unblocked");
    let ended = again.wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    assert_eq!(ended.state().count(ItemStatus::Complete), 3);
    assert_eq!(ended.output(Stream::Stdout), b"1\n3\n2\n");
}

#[test]
fn both_streams_are_one_in_the_order_of_writing_where_the_job_wants_that() {
    let lines = "import sys\\nfor n in range(50):\\n    (sys.stderr if n % 2 else sys.stdout).write('%d\\\\n' % n)\\n    sys.stdout.flush()";
    let text = format!("stderr_to_stdout = true\n[phases]\ncommands = [\"{lines}\"]\n[agenda]\nframes = '1'\n");
    let ended = Session::start(job(&text)).wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let output = String::from_utf8_lossy(&ended.slice(1, Stream::Stdout)).into_owned();
    assert!(output.lines().map(str::parse).eq((0..50).map(Ok)), "{output}");
    assert_eq!(ended.output(Stream::Stderr), b"");
}

/// The pid of a session's guardian.
fn guardian(marker: &str) -> Option<u32> {
    std::fs::read_dir("/proc").expect("processes").flatten().find_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let words = std::fs::read(process.path().join("cmdline")).ok()?;
        let mut words = words.split(|byte| *byte == 0);
        (words.any(|word| word == b"__guardian") && words.any(|word| word == marker.as_bytes())).then_some(pid)
    })
}

#[test]
fn a_guardian_that_dies_is_replaced() {
    let session = Session::start(job("hold = true\n[agenda]\n[phases]\nsetup = ['answer = 42']"));
    session.until("the agenda", |state| state.phase == childminder::model::SessionPhase::Agenda);
    let marker = session.folder().id().to_owned();
    let first = guardian(&marker).expect("a guardian");
    let first = nix::unistd::Pid::from_raw(i32::try_from(first).expect("a pid"));
    nix::sys::signal::kill(first, nix::sys::signal::Signal::SIGKILL).expect("killed");
    let journal = session.folder().journal();
    session.until("a note of it", move |_| {
        std::fs::read_to_string(&journal).is_ok_and(|text| text.contains("another one was started"))
    });
    assert!(guardian(&marker).is_some_and(|second| i64::from(second) != i64::from(first.as_raw())));
    session.ask(Request::Stop { mode: StopMode::AfterItem }).expect("stopped");
    assert_eq!(session.wait().code, 0);
}

#[test]
fn an_items_files_are_looked_at_before_it_is_complete() {
    let out = tempfile::tempdir().expect("a folder");
    let files = job(r#"
        [outputs]
        min_size = 10
        max_size = "1k"
        newer = true
        [retry]
        times = 1
        [phases]
        setup = ["import childminder, os", "def write(path, size):\n    open(path, 'w').write('x' * size)\n    childminder.output(path)"]
        [[agenda.items]]
        name = "good"
        commands = ["write('good', 20)", "write(os.path.abspath('also'), 30)"]
        [[agenda.items]]
        name = "tells of nothing"
        commands = ["open('untold', 'w').close()"]
        [[agenda.items]]
        name = "bad"
        commands = [
            "write('small', 9)", "write('large', 1025)", "childminder.output('missing')",
            "write('old', 20); os.utime('old', (0, 1000000000))", "os.path.exists('fifo') or os.mkfifo('fifo'); childminder.output('fifo')",
        ]
        [[agenda.items]]
        name = "better the second time"
        commands = ["write('better', 20 if os.path.exists('better') else 0)"]
        "#);
    let session = Session::start(Job { cwd: Some(out.path().to_owned()), ..files });
    let ended = session.wait();
    assert_eq!(ended.code, 1, "{}", ended.tail());
    let statuses: Vec<_> = ended.state().items.iter().map(|row| (row.status, row.attempt)).collect();
    let (complete, failed) = (ItemStatus::Complete, ItemStatus::Failed);
    assert_eq!(statuses, [(complete, 1), (complete, 1), (failed, 2), (complete, 2)], "{}", ended.tail());
    let results = ended.events().into_iter().filter_map(|event| match event.kind {
        EventKind::ItemEnded { item, reason, result, .. } => Some((item.0, reason, result)),
        _ => None,
    });
    let results: Vec<_> = results.collect();
    let last = |item| results.iter().rfind(|(ended, ..)| *ended == item).expect("ended");
    let sizes = |item| last(item).2.files.iter().map(|file| file.bytes).collect::<Vec<_>>();
    assert_eq!(sizes(0), [Some(20), Some(30)]);
    assert_eq!(sizes(2), [Some(9), Some(1025), None, Some(20), None]);
    assert_eq!((last(3).2.errors.len(), sizes(3)), (0, vec![Some(20)]));
    let (_, reason, bad) = last(2);
    assert_eq!(reason.as_ref(), bad.errors.first());
    for (said, wanted) in bad.errors.iter().zip([
        "small has 9 B, less than the 10 B that it must have",
        "large has 1025 B, more than the 1024 B that it may have",
        "missing is not there",
        "old was last written ",
        "fifo is a FIFO, not a file",
    ]) {
        assert!(said.starts_with(wanted), "{said}");
    }
}
