//! Commands that do what none should: the command ends, and the child, the channel and the engine go on.

use super::idle;
use crate::session::Ended;
use crate::supervised::{Holdings, Supervised};
use childminder::model::{CommandOutcome, EventKind, Exception, Stream};

/// A session whose child has to be the same from the beginning to the end.
struct Same {
    engine: Supervised,
    before: Holdings,
}

impl Same {
    fn start() -> Self {
        let engine = idle("");
        let before = engine.holdings();
        Self { engine, before }
    }

    /// What a command raises; the child works all the same.
    #[track_caller]
    fn raised(&self, source: &str) -> (Exception, Option<i64>) {
        match self.engine.exec(source) {
            CommandOutcome::Raised { exception, exit } => {
                self.engine.must_hold(&self.before, source);
                (*exception, exit)
            }
            other => panic!("{source}: {other:?}\n{}", self.engine.tail()),
        }
    }

    /// Runs a command that does not raise; the child works all the same.
    #[track_caller]
    fn runs(&self, source: &str) {
        let outcome = self.engine.exec(source);
        assert!(matches!(outcome, CommandOutcome::Finished { .. }), "{source}: {outcome:?}\n{}", self.engine.tail());
        self.engine.must_hold(&self.before, source);
    }

    #[track_caller]
    fn stop(self) -> Ended {
        let ended = self.engine.stop();
        assert_eq!(ended.code, 0, "{}", ended.tail());
        assert_eq!(ended.state().generation.0, 1, "it was not the same child\n{}", ended.tail());
        ended
    }
}

#[test]
fn exceptions_in_a_repr_in_a_thread_and_at_the_exit_are_told_and_cost_nothing() {
    let same = Same::start();
    for (body, told) in
        [("return 1 / 0", "ZeroDivisionError"), ("sys.exit(4)", "SystemExit"), ("return 1", "TypeError")]
    {
        let value = same.engine.value(&format!("class C:\n    def __repr__(self): {body}\nC()"));
        assert!(value.starts_with("<repr failed: ") && value.contains(told), "{body}: {value}");
        same.engine.must_hold(&same.before, body);
    }
    same.runs("import threading\ndef dies(): raise LookupError('in a thread')\nt = threading.Thread(target=dies); t.start(); t.join()");
    same.runs("import atexit\nleaves = atexit.register(lambda: 1 / 0) and None");
    let ended = same.stop();
    let told = ended.events().into_iter().find_map(|event| match event.kind {
        EventKind::ThreadException { exception, .. } => Some(exception),
        _ => None,
    });
    assert_eq!(told.map(|exception| exception.message).as_deref(), Some("in a thread"));
    assert!(text(&ended, Stream::Stderr).contains("ZeroDivisionError"), "what was raised at the exit is kept");
}

#[test]
fn exceptions_without_measure_are_cut_and_told() {
    let same = Same::start();
    assert_eq!(same.raised("def f(): f()\nf()").0.kind, "RecursionError");
    let (exception, _) = same.raised("raise ValueError('x' * (50 << 20))");
    assert!(exception.cut && exception.message.len() <= 64 << 10, "{} bytes", exception.message.len());
    let chain = "def chain():\n    last = None\n    for n in range(3000):\n        try:\n            raise KeyError(n) from last\n        except KeyError as error:\n            last = error\n    raise last\nchain()";
    let (exception, _) = same.raised(chain);
    assert_eq!((exception.kind.as_str(), exception.message.as_str(), exception.cut), ("KeyError", "2999", true));
    assert!(exception.cause.is_some_and(|cause| cause.message == "2998"));
    let endless = "a, b = ValueError('a'), ValueError('b')\na.__cause__, b.__cause__ = b, a\nraise a";
    assert_eq!(same.raised(endless).0.kind, "ValueError");
    groups(&same);
    same.stop();
}

#[allow(clippy::print_stderr, reason = "what was not run is told")]
fn groups(same: &Same) {
    if same.engine.value("sys.version_info >= (3, 11)") == "False" {
        return eprintln!("NOT RUN: groups of exceptions, which this python3 does not know");
    }
    let (exception, _) = same.raised("raise ExceptionGroup('many', [ValueError(n) for n in range(1000)])");
    assert!(exception.cut && exception.group.first().is_some_and(|first| first.message == "0"), "{exception:?}");
    let deep = "g = ValueError('deep')\nfor n in range(200): g = ExceptionGroup('level %d' % n, [g])\nraise g";
    assert_eq!(same.raised(deep).0.kind, "ExceptionGroup");
    let wide =
        "def tree(n): return ExceptionGroup('t', [tree(n - 1), tree(n - 1)]) if n else KeyError()\nraise tree(12)";
    assert!(same.raised(wide).0.cut);
}

#[test]
fn streams_that_are_replaced_or_closed_are_the_commands_own_loss() {
    let same = Same::start();
    for replaced in [
        "sys.stdout = None",
        "class Odd:\n    def write(self, text): raise OSError('odd')\n    def flush(self): raise KeyError('odd')\nsys.stdout = sys.stderr = Odd()",
        "sys.stdout = sys.__stdout__; sys.stderr = sys.__stderr__; print('back')",
        "sys.stdout.close()",
    ] {
        same.runs(replaced);
    }
    assert_eq!(text(&same.stop(), Stream::Stdout), "back\n");
}

#[test]
fn a_child_without_descriptors_works_on_and_ends_like_any_other() {
    let engine = idle("");
    let before = engine.holdings();
    for (generation, close) in [
        (2, "for fd in (0, 1, 2): os.close(fd)"),
        (3, "for fd in (0, 1, 2):\n    os.close(fd); os.open(os.devnull, os.O_RDWR)"),
        (4, "for fd in (2, 1, 0):\n    os.close(fd); os.dup(faults.channel())"),
    ] {
        let outcome = engine.exec(close);
        assert!(matches!(outcome, CommandOutcome::Finished { .. }), "{close}: {outcome:?}\n{}", engine.tail());
        assert_eq!(engine.value("6 * 7"), "42", "{close}");
        assert_eq!(engine.state().generation.0, generation - 1, "{close}: it was not the same child");
        engine.exec("os._exit(3)");
        engine.until_generation(generation);
        engine.must_hold(&before, close);
    }
    assert_eq!(engine.stop().code, 0);
}

#[test]
fn frames_forged_on_a_stream_are_output() {
    let same = Same::start();
    let forged = r#"{"type":"finished","id":4,"value":"'forged'","cut":null}"#;
    same.runs(&format!("x = os.write(1, faults.frame({forged:?}))"));
    same.runs(&format!("x = os.write(2, faults.frame({forged:?})); x = os.write(1, b'\\xff\\xff\\xff\\xff')"));
    let ended = same.stop();
    let mut written = u32::try_from(forged.len()).expect("short").to_be_bytes().to_vec();
    written.extend(forged.as_bytes());
    assert_eq!(ended.output(Stream::Stderr), written);
    assert!(!text(&ended, Stream::Stdout).is_empty());
    assert!(!ended.events().iter().any(|event| format!("{:?}", event.kind).contains("value: Some(\"'forged'\")")));
}

#[test]
fn frames_forged_on_the_channel_cost_the_child_and_no_copy_of_it_can_speak() {
    let engine = idle("");
    let before = engine.holdings();
    // A copy has no channel to speak on, also when it goes past Python.
    let copy = "pid = os.fork()\nif pid == 0:\n    try:\n        faults.channel()\n    except LookupError:\n        os._exit(5)\n    os._exit(6)\nos.waitpid(pid, 0)[1] >> 8";
    assert_eq!(engine.value(copy), "5");
    let forged = [
        (r#"{"type":"finished","id":4711,"value":null,"cut":null}"#, "it spoke of command 4711, which does not run"),
        (r#"{"type":"hello","pid":1}"#, "it introduced itself again"),
        ("no JSON", "malformed frame"),
    ];
    for (generation, (frame, reason)) in (2..).zip(forged) {
        let forge = format!("x = os.write(faults.channel(), faults.frame({frame:?})); time.sleep(600)");
        let outcome = engine.exec(&forge);
        assert!(matches!(outcome, CommandOutcome::Lost { .. }), "{frame}: {outcome:?}");
        engine.until_generation(generation);
        let told = engine.events().into_iter().filter_map(|event| match event.kind {
            EventKind::ChildFailed { reason } => Some(reason),
            _ => None,
        });
        let told: Vec<String> = told.collect();
        assert!(told.last().is_some_and(|told| told.contains(reason)), "{frame}: {told:?}");
        engine.must_hold(&before, frame);
    }
    assert_eq!(engine.stop().code, 0);
}

#[test]
fn a_child_that_closes_the_channel_and_lives_is_replaced() {
    let engine = idle("[timeouts]\nkill_grace = '300ms'");
    let before = engine.holdings();
    let outcome = engine.exec("os.close(faults.channel()); time.sleep(600)");
    assert!(matches!(outcome, CommandOutcome::Lost { .. }), "{outcome:?}");
    engine.until_generation(2);
    // The executor does not stay without it.
    let told = engine.events().into_iter().filter_map(|event| match event.kind {
        EventKind::ChildFailed { reason } => Some(reason),
        _ => None,
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        ["the child closed the back channel, and ended without it: exit code 70"],
        "{}",
        engine.tail()
    );
    engine.must_hold(&before, "a closed channel");
    assert_eq!(engine.stop().code, 0);
}

#[test]
fn nobody_waits_for_a_standard_input_that_says_nothing() {
    let same = Same::start();
    assert_eq!(same.raised("input('name? ')").0.kind, "EOFError");
    assert_eq!(same.engine.value("sys.stdin.read()"), "''");
    assert_eq!(same.engine.value("os.read(0, 1)"), "b''");
    assert_eq!(text(&same.stop(), Stream::Stdout), "name? ");
}

#[test]
fn leaving_moving_and_forking_in_a_command_are_the_commands_own() {
    let same = Same::start();
    for (leave, code) in [("sys.exit()", 0), ("sys.exit(3)", 3), ("sys.exit('a word')", 1), ("raise SystemExit(9)", 9)]
    {
        let (exception, exit) = same.raised(leave);
        assert_eq!((exception.kind.as_str(), exit), ("SystemExit", Some(code)), "{leave}");
    }
    same.runs("os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')");
    same.runs("os.chdir('/')");
    assert_eq!(same.engine.value("os.getcwd()"), "'/'");
    // Whoever forks and forgets has a copy that comes out of the command as well.
    same.runs("pid = os.fork()\nif pid: x = os.waitpid(pid, 0)");
    same.runs("pid = os.fork()\nif pid == 0: raise ValueError('in the copy')\nx = os.waitpid(pid, 0)");
    same.runs("pid = os.fork()\nif pid == 0: sys.exit(1)\nx = os.waitpid(pid, 0)");
    same.runs("for n in range(20):\n    if os.fork() == 0: os._exit(0)");
    same.stop();
}

fn text(ended: &Ended, stream: Stream) -> String {
    String::from_utf8_lossy(&ended.output(stream)).into_owned()
}
