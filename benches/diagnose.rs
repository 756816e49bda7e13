//! What it costs to find out why a child is stuck: stacks from outside, the child's stop for them, all of `why`, and the
//! sampler behind the hot pane.
//!
//! Machines are noisy, so nothing here is a time limit: each figure is printed beside its target, and stacks from outside
//! beside the barest read of the same child by the library that they are read with. Run with
//! `cargo bench --bench diagnose`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench prints, and stops when it cannot measure"
)]

#[path = "common/supervised.rs"]
mod supervised;
#[path = "common/table.rs"]
mod table;

use childminder::model::diagnosis::{Diagnosis, StackSource};
use childminder::model::proto::{Request, Response, Summary};
use childminder::model::{ChildState, StopMode};
use std::time::{Duration, Instant};
use supervised::{Session, interpreter_only};
use table::{median, row};

/// Questions asked of each child.
const QUESTIONS: usize = 40;
/// How long the sampler is looked at.
const SAMPLED: Duration = Duration::from_secs(10);

/// What a child can be busy with, and the command that makes it so.
const BUSY: [(&str, &str); 4] = [
    ("looping in Python", "def loop():\n    while True:\n        sum(range(100))\nloop()"),
    ("native code with the GIL held", "import ctypes; ctypes.PyDLL(None).usleep(10**9)"),
    ("sleeping", "import time; time.sleep(10**4)"),
    ("a dead-lock of two threads", DEADLOCK),
];

const DEADLOCK: &str = "
import threading
a, b, both = threading.Lock(), threading.Lock(), threading.Barrier(2)
def other():
    with b:
        both.wait()
        with a:
            pass
threading.Thread(target=other, daemon=True).start()
with a:
    both.wait()
    with b:
        pass
";

fn main() {
    // Given by `cargo test --benches`, which only wants to know that it runs.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    table::measure(&[("why", why), ("hot", hot)]);
}

/// A session whose child is busy with a command.
fn busy_with(command: &str) -> Session {
    let session = Session::start(tempfile::tempdir().expect("a folder"), interpreter_only());
    session.until_idle();
    session.ask(Request::Exec { source: command.into(), wait: false });
    let until = Instant::now() + Duration::from_secs(20);
    while summary(&session).running.is_none() {
        assert!(Instant::now() < until, "the command was not begun");
        std::thread::yield_now();
    }
    session
}

fn summary(session: &Session) -> Summary {
    let look = session.engine.handle.look(|inspect| inspect.summary());
    supervised::block_on(look).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn why() {
    for (what, command) in BUSY {
        let session = busy_with(command);
        let (mut whole, mut outside, mut paused, mut bare) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..QUESTIONS {
            let begun = Instant::now();
            let diagnosis = ask(&session);
            whole.push(begun.elapsed().as_secs_f64() * 1e3);
            let tried = diagnosis.stacks.tries.iter().find(|tried| tried.source == StackSource::Outside);
            let tried = tried.unwrap_or_else(|| panic!("not read from outside: {:?}", diagnosis.stacks.tries));
            outside.push(tried.took.seconds() * 1e3);
            paused.push(diagnosis.stacks.paused.seconds() * 1e3);
            bare.push(read_barely(&session));
        }
        let worst = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let (worst_outside, worst_pause, worst_whole) = (worst(&outside), worst(&paused), worst(&whole));
        let (outside, bare, paused, whole) = (median(outside), median(bare), median(paused), median(whole));
        row(
            &format!("stacks from outside, {what}"),
            &format!("{outside:.1} ms, worst {worst_outside:.1} ms"),
            &format!("one bare read by py-spy {bare:.1} ms"),
            &format!("{:.2} ×", outside / bare),
            "≤ 50 ms",
        );
        row(
            &format!("the child's stop for them, {what}"),
            &format!("{paused:.1} ms, worst {worst_pause:.1} ms"),
            "–",
            "–",
            "≤ 5 ms",
        );
        row(
            &format!("`why`, question to saved answer, {what}"),
            &format!("{whole:.0} ms, worst {worst_whole:.0} ms"),
            "–",
            "–",
            "≤ 300 ms",
        );
        session.stop(StopMode::Now);
    }
}

fn ask(session: &Session) -> Diagnosis {
    match session.ask(Request::Why) {
        Response::Diagnosis(diagnosis) => *diagnosis,
        other => panic!("{other:?}"),
    }
}

/// Milliseconds for one look at the child by the library alone.
fn read_barely(session: &Session) -> f64 {
    let ChildState::Connected { hello, .. } = summary(session).child else { panic!("no child") };
    let config = py_spy::Config { blocking: py_spy::config::LockingStrategy::NonBlocking, ..Default::default() };
    let begun = Instant::now();
    let pid = py_spy::Pid::try_from(hello.pid).expect("a pid");
    let mut spy = py_spy::PythonSpy::new(pid, &config).unwrap_or_else(|error| panic!("{error}"));
    // A look that was torn costs the same.
    let _ = spy.get_stack_traces();
    begun.elapsed().as_secs_f64() * 1e3
}

fn hot() {
    for (what, command) in &BUSY[..2] {
        let session = busy_with(command);
        let begun = Instant::now();
        let mut last = None;
        while begun.elapsed() < SAMPLED {
            last = Some(session.ask(Request::Hot { reset: false }));
            // As often as a window asks.
            std::thread::sleep(Duration::from_millis(250));
        }
        let Some(Response::Hot(tree)) = last else { panic!("{last:?}") };
        let paused = 100.0 * tree.paused.seconds() / tree.span.seconds();
        row(
            &format!("hot pane, {what}"),
            &format!("{:.1} samples/s, child stopped {paused:.2} % of the time", tree.rate),
            "–",
            "–",
            "≤ 1 %",
        );
        session.stop(StopMode::Now);
    }
}
