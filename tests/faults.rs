//! Bad input and bad luck, and what it gets: odd bytes, sizes beyond reason, time-outs, a child that is not there or does
//! not go, a full disk.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/disk.rs"]
mod disk;
#[path = "common/session.rs"]
mod session;

use childminder::model::proto::Request;
use childminder::model::{
    CommandId, CommandOutcome, CommandState, EventKind, Exception, ItemIndex, ItemStatus, Stream, WaitFor,
};
use disk::{SmallDisk, fill};
use session::{Ended, Session, block_on, job, quoted};
use std::net::{Ipv4Addr, TcpListener};

const IDLE: &str = "hold = true\n[agenda]\n[phases]\nsetup = ['import os, sys, time']";

fn idle() -> Session {
    let session = Session::start(job(IDLE));
    session.until_agenda();
    session
}

fn exception(outcome: CommandOutcome) -> Exception {
    match outcome {
        CommandOutcome::Raised { exception, .. } => *exception,
        other => panic!("{other:?}"),
    }
}

// ---- odd bytes --------------------------------------------------------------------------------------------------------

#[test]
fn nul_and_what_is_no_text_pass_through_or_raise() {
    let session = idle();
    let raised = exception(session.exec("a = 1\0"));
    assert!(["SyntaxError", "ValueError", "TypeError"].contains(&raised.kind.as_str()), "{raised:?}");
    assert_eq!(session.value(r"'\0\x1b[31m\ud800'"), r"'\x00\x1b[31m\ud800'");
    let raised = exception(session.exec(r"raise ValueError('\0 \x1b]0;x\x07 \udcff')"));
    assert_eq!(raised.message, "\0 \x1b]0;x\x07 \\udcff");
    session.exec("_ = os.write(1, bytes(range(256)))");
    session.exec("_ = os.write(2, bytes(range(255, -1, -1)))");
    session.exec(r"print('\udc80')");
    session.exec("import childminder; childminder.status('\\udc80 \\0')");
    assert_eq!(session.value("1 + 1"), "2");
    let ended = session.stop();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let all: Vec<u8> = (0..=255).collect();
    let backwards: Vec<u8> = (0..=255).rev().collect();
    assert_eq!(ended.output(Stream::Stdout), [all.as_slice(), b"\\udc80\n"].concat());
    assert_eq!(ended.output(Stream::Stderr), backwards);
}

// ---- sizes ------------------------------------------------------------------------------------------------------------

#[test]
fn a_command_of_ten_mebibytes_runs_and_one_that_no_frame_takes_is_refused() {
    let session = idle();
    let long = format!("text = '{}'\nlen(text)", "a".repeat(10 << 20));
    assert_eq!(session.value(&long), (10 << 20).to_string());
    let too_long = Request::Exec { source: "#".repeat(17 << 20), wait: true };
    let refused = session.ask(too_long).expect_err("too long");
    assert!(refused.message.contains("too long") && refused.message.contains("file"), "{refused:?}");
    assert_eq!(session.value("1 + 1"), "2");
    assert_eq!(session.stop().code, 0);
}

#[test]
fn a_value_and_an_exception_of_a_hundred_mebibytes_are_cut_and_told() {
    let session = idle();
    let outcome = session.exec("'x' * (100 << 20)");
    let CommandOutcome::Finished { value: Some(value), cut } = outcome else { panic!("no value") };
    assert!(value.len() <= 64 << 10 && value.starts_with("'xxx"), "{} bytes", value.len());
    assert_eq!(cut, Some((100 << 20) + 2));
    for raise in [
        "raise ValueError('x' * (100 << 20))",
        "def f(text):\n    raise ValueError(text) from KeyError(text)\nf('x' * (100 << 20))",
        "class Odd(Exception):\n    def __str__(self): return 'x' * (100 << 20)\nraise Odd",
    ] {
        let raised = exception(session.exec(raise));
        let size = serde_json::to_vec(&raised).expect("JSON").len();
        assert!(size <= 1 << 20, "{size} bytes");
        assert!(raised.message.starts_with("xxx") && raised.message.len() <= 64 << 10);
        assert!(raised.cut, "what was left out is told: {raise}");
    }
    assert_eq!(session.value("1 + 1"), "2");
    let ended = session.stop();
    assert_eq!(ended.code, 0);
    let journal = ended.folder.journal().metadata().expect("a journal").len();
    assert!(journal < 8 << 20, "{journal} bytes");
}

// ---- time-outs and children that do not go ----------------------------------------------------------------------------

#[test]
fn a_command_over_its_time_is_interrupted_and_the_next_item_runs() {
    let ended = Session::start(job(
        "[timeouts]\ncommand = '1s'\n[phases]\nsetup = ['import time']\n[agenda]\nitems = [{ name = 'long', commands = ['time.sleep(60)'] }, { name = 'short', commands = ['print(1)'] }]",
    ))
    .wait();
    assert_eq!(ended.code, 1, "{}", ended.tail());
    let state = ended.state();
    let statuses: Vec<_> = state.items.iter().map(|row| row.status).collect();
    assert_eq!(statuses, [ItemStatus::Failed, ItemStatus::Complete]);
    assert_eq!(exception(ended.outcome(2)).kind, "KeyboardInterrupt");
    let told = ended
        .events()
        .into_iter()
        .any(|event| matches!(event.kind, EventKind::TimedOut { what: WaitFor::Command, .. }));
    assert!(told, "{}", ended.tail());
    let why = ended.events().into_iter().find_map(|event| match event.kind {
        EventKind::ItemEnded { item: ItemIndex(0), reason, .. } => reason,
        _ => None,
    });
    assert_eq!(why.as_deref(), Some("the command ran longer than 1 s"));
}

const STUBBORN: &str = r#"
[timeouts]
command = "1s"
kill_grace = "500ms"
[phases]
setup = ["""
import signal, time
def never():
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""]
commands = [COMMANDS]
[agenda]
frames = "1"
"#;

fn signals(ended: &Ended) -> Vec<i32> {
    let events = ended.events().into_iter();
    events
        .filter_map(|event| if let EventKind::ChildSignalled { signal, .. } = event.kind { Some(signal) } else { None })
        .collect()
}

#[test]
fn a_command_that_swallows_the_interrupt_is_terminated_and_what_ignores_that_is_killed() {
    for (commands, sent) in [
        ("'never()'", vec![libc::SIGTERM]),
        ("'_ = signal.signal(signal.SIGTERM, signal.SIG_IGN)', 'never()'", vec![libc::SIGTERM, libc::SIGKILL]),
    ] {
        let ended = Session::start(job(&STUBBORN.replace("COMMANDS", commands))).wait();
        assert_eq!(ended.code, 70, "{}", ended.tail());
        assert_eq!(signals(&ended), sent, "{}", ended.tail());
        assert_eq!(ended.item_reason(), "the command ran longer than 1 s");
        let state = ended.state();
        assert_eq!(state.commands.iter().next_back().map(|row| row.state), Some(CommandState::Lost));
        assert_eq!(state.item(ItemIndex(0)).map(|row| row.status), Some(ItemStatus::Failed));
        ended.assert_nobody_left();
    }
}

#[test]
fn grandchildren_that_hold_the_pipes_do_not_hold_up_the_end() {
    let fork = "import os, time\\nif os.fork() == 0:\\n    os.setsid()\\n    time.sleep(1000)";
    for (last, code) in [("print('done')", 0), ("os._exit(7)", 70)] {
        let ended =
            Session::start(job(&format!("[phases]\ncommands = [\"{fork}\", \"{last}\"]\n[agenda]\nframes = '1'")))
                .wait();
        assert_eq!(ended.code, code, "{}", ended.tail());
        ended.assert_nobody_left();
    }
}

#[test]
fn a_child_that_closes_its_socket_and_lives_is_ended() {
    let close = r"
import os, time
for fd in os.listdir('/proc/self/fd'):
    try:
        if os.readlink('/proc/self/fd/' + fd).startswith('socket:'):
            os.close(int(fd))
    except OSError:
        pass
time.sleep(1000)
";
    let ended = Session::start(job(&format!(
        "[timeouts]\nkill_grace = '500ms'\n[phases]\ncommands = ['''{close}''']\n[agenda]\nframes = '1'"
    )))
    .wait();
    assert_eq!(ended.code, 70, "{}", ended.tail());
    let told = ended.child_failed().join("\n");
    assert!(told.contains("the child closed the back channel"), "{told}");
    ended.assert_nobody_left();
}

// ---- a child that cannot be started -----------------------------------------------------------------------------------

#[test]
fn a_missing_executable_is_told_with_every_place_that_was_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let recipe = folder.path().join("odd.toml");
    std::fs::write(
        &recipe,
        "name = 'odd'\nexecutables = ['no-such-python', '/no/such/python', '$NOT_SET_AT_ALL/python']\narguments = ['{bootstrapper}', '{port}']",
    )
    .expect("written");
    let ended = Session::start(job(&format!(
        "backend = {}\n[phases]\ncommands = ['1']\n[agenda]\nframes = '1'",
        quoted(&recipe)
    )))
    .wait();
    assert_eq!(ended.code, 69, "{}", ended.tail());
    let told = ended.child_failed().join("\n");
    for part in [
        "no-such-python: not in any folder of PATH (",
        "/no/such/python: no such file",
        "NOT_SET_AT_ALL is not set",
        "--set executable=",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert_eq!(ended.state().count(ItemStatus::Pending), 1);
}

#[test]
fn an_interpreter_that_ends_at_once_is_told_with_its_last_words() {
    let ended = Session::start(job(
        "[settings]\nextra_arguments = ['--no-such-option']\n[agenda]\nframes = '1'\n[phases]\ncommands = ['1']",
    ))
    .wait();
    assert_eq!(ended.code, 69, "{}", ended.tail());
    let told = ended.child_failed().join("\n");
    assert!(
        told.contains("before it said hello: exit code 2") && told.contains("unknown option --no-such-option"),
        "{told}"
    );
}

// ---- a full disk ------------------------------------------------------------------------------------------------------

fn waits_for_the_journal(session: &Session) -> bool {
    let waits = block_on(session.handle().look(|inspect| inspect.summary().waits));
    waits.expect("a running session").iter().any(|wait| wait.what == WaitFor::Journal)
}

/// A command that waits for the test, and then prints a mebibyte; an item whose event no last page of a journal takes.
const PRINTS: &str = r#"
[phases]
setup = ["import os, socket"]
[agenda]
items = [
    { name = "prints", commands = ["""
try:
    socket.create_connection(('127.0.0.1', GATE)).recv(1)
except OSError:
    pass
for n in range(16):
    data = b'x' * 65536
    while data:
        data = data[os.write(1, data):]
"""] },
    { name = "waits", commands = ["print('y' * 10) # LONG"] },
]
"#;
const PRINTED: u64 = 1 << 20;

#[test]
fn a_full_disk_loses_output_and_holds_back_work_until_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let gate = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = gate.local_addr().expect("an address").port().to_string();
    let text = PRINTS.replace("GATE", &port).replace("LONG", &"long ".repeat(2000));
    let data = tempfile::tempdir_in(disk.path()).expect("a folder");
    let ballast = disk.path().join("ballast");
    let session = Session::start_in(data, job(&text));
    session.until_started(2);
    fill(&ballast);
    drop(gate);
    session::until("a wait for the journal", session.folder(), || waits_for_the_journal(&session));
    // The child was not held up, nothing is begun, and people can still look and ask.
    let not_keeping = block_on(session.handle().look(|inspect| inspect.summary().not_keeping)).expect("a summary");
    assert!(not_keeping.is_some_and(|reason| reason.contains("disk")));
    let refused = session.ask(Request::Exec { source: "#".repeat(10_000), wait: false });
    assert!(refused.as_ref().is_err_and(|refusal| refusal.message.contains("journal")), "{refused:?}");
    assert_eq!(session.look(|state| state.count(ItemStatus::Pending)), 1);
    std::fs::remove_file(&ballast).expect("freed");
    let ended = session.wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    let state = ended.state();
    assert_eq!(state.count(ItemStatus::Complete), 2);
    let row = state.command(CommandId(2)).expect("a command");
    assert_eq!(row.to.stdout - row.from.stdout, PRINTED, "a slice says what was printed, kept or not");
    let kept = ended.output(Stream::Stdout).iter().map(|byte| u64::from(*byte == b'x')).sum::<u64>();
    assert_eq!(kept + state.lost_output, PRINTED, "every byte is accounted for\n{}", ended.tail());
    assert!(state.lost_output > PRINTED / 2, "{kept} bytes were kept on a full disk");
    assert_eq!(ended.slice(3, Stream::Stdout), b"yyyyyyyyyy\n", "what is printed once there is room is kept");
    ended.assert_nobody_left();
}
