//! A wall clock that jumps under a running engine and its child.
//!
//! Only theirs: a library that is loaded before all others (`tests/children/wall_clock.c`) has the clock go wrong for
//! these processes, while the machine's is left alone.

use super::{Fifo, PHASES, children};
use crate::session::{child_file, job};
use crate::supervised::{Place, Supervised};
use childminder::model::proto::Request;
use childminder::model::{CommandOutcome, EventKind, ItemIndex, ItemStatus, Micros, WaitFor};
use childminder::store::clock;
use std::path::PathBuf;
use std::process::Command;

const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

/// An engine with a wall clock of its own.
struct Clock(PathBuf);

impl Clock {
    /// Needs what Rust needs for linking, and can only fail where there is another compiler in its place.
    #[allow(clippy::print_stderr, reason = "what was not run is told")]
    fn start(text: &str) -> Option<(Self, Supervised)> {
        let place = Place::new(job(text));
        let (library, file) = (place.home().join("wall_clock.so"), place.home().join("wall_clock"));
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(child_file("wall_clock.c"));
        if !compile.status().is_ok_and(|status| status.success()) {
            eprintln!("NOT RUN: a wall clock that jumps (cc did not compile the clock)");
            return None;
        }
        let clock = Self(file);
        std::fs::write(&clock.0, 0i64.to_ne_bytes()).expect("written");
        let mut engine = place.start_with(|engine| {
            engine.env("LD_PRELOAD", &library).env("WALL_CLOCK", &clock.0);
        });
        engine.must_get_ready();
        engine.until_agenda();
        Some((clock, engine))
    }

    /// Has it go wrong by so many seconds.
    fn jump(&self, seconds: i64) {
        use std::os::unix::fs::FileExt;
        let file = std::fs::File::options().write(true).open(&self.0).expect("there");
        file.write_all_at(&seconds.to_ne_bytes(), 0).expect("written");
    }
}

/// By how many seconds the last event's wall time is wrong.
fn wrong_by(engine: &Supervised) -> i64 {
    let seconds = |micros: Micros| i64::try_from(micros.0 / 1_000_000).expect("small");
    let last = engine.events().last().expect("events").wall;
    seconds(last) - seconds(clock::wall())
}

#[test]
fn no_time_out_passes_and_no_length_is_wrong_when_the_wall_clock_jumps() {
    let waits = "open('told').read()";
    let limits = "[timeouts]\nstartup = '30m'\ncommand = '30m'\nitem = '30m'\nsilence = '30m'\nteardown = '30m'";
    let Some((clock, engine)) = Clock::start(&format!(
        "hold = true\n{limits}\n[agenda]\nframes = '1-4'\n{PHASES}{}commands = [\"x = {waits}\"]\nteardown = [\"x = {waits}\"]",
        children()
    )) else {
        return;
    };
    let before = engine.holdings();
    let told = Fifo::new(&engine);
    for jump in [HOUR, -HOUR, 10 * YEAR, -10 * YEAR, 0] {
        engine.begin(&format!("x = {waits}"));
        clock.jump(jump);
        engine.ask(Request::Summary).expect("answered");
        told.tell();
        engine.until("the command's end", |state| state.running.is_none());
        assert!((wrong_by(&engine) - jump).abs() < HOUR / 2, "it did not jump\n{}", engine.tail());
        engine.must_hold(&before, "a jump in a command");
    }
    engine.ask(Request::Release).expect("released");
    for (done, jump) in (1..).zip([HOUR, -10 * YEAR, 10 * YEAR, -HOUR]) {
        engine.until("the item's command", |state| state.running.is_some_and(|running| running.started));
        clock.jump(jump);
        told.tell();
        engine.until("its end", |state| state.count(ItemStatus::Complete) == done);
    }
    engine.ask(Request::Stop { mode: childminder::model::StopMode::AfterItem }).expect("stopped");
    engine.until("teardown", |state| state.running.is_some_and(|running| running.started));
    clock.jump(-10 * YEAR);
    told.tell();
    let ended = engine.wait();
    assert_eq!(ended.code, 0, "{}", ended.tail());
    for event in ended.events() {
        match event.kind {
            EventKind::CommandEnded { took, outcome, .. } => {
                assert!(matches!(outcome, CommandOutcome::Finished { .. }), "{outcome:?}");
                assert!(took.seconds() < 600.0, "{took:?}\n{}", ended.tail());
            }
            EventKind::ItemEnded { took, .. } => assert!(took.seconds() < 600.0, "{took:?}\n{}", ended.tail()),
            EventKind::TimedOut { what, .. } => panic!("{what:?}\n{}", ended.tail()),
            _ => {}
        }
    }
}

#[test]
fn a_failed_item_is_tried_again_in_time_though_the_wall_clock_is_set_back() {
    let once = "import os; n = os.path.exists('again'); open('again', 'w').close(); 1 / n";
    let text = format!(
        "hold = true\n[retry]\ntimes = 1\ndelay = '2s'\n[phases]\ncommands = [\"{once}\"]\n[agenda]\nframes = '1'"
    );
    let Some((clock, engine)) = Clock::start(&text) else { return };
    engine.ask(Request::Release).expect("released");
    engine.until("the first failure", |state| state.count(ItemStatus::Retrying) == 1);
    clock.jump(-24 * HOUR);
    engine.until("the next try", |state| state.count(ItemStatus::Complete) == 1);
    assert_eq!(engine.stop().code, 0);
}

#[test]
fn an_items_time_out_passes_in_time_though_the_wall_clock_jumped_while_it_was_held() {
    let text = "hold = true\n[timeouts]\nitem = '3s'\n[phases]\ncommands = ['import time; time.sleep(600)']\n[agenda]\nframes = '1'";
    for jump in [10 * YEAR, -10 * YEAR] {
        let Some((clock, engine)) = Clock::start(text) else { return };
        engine.ask(Request::Release).expect("released");
        engine.until("the item", |state| state.running.is_some_and(|running| running.started));
        engine.ask(Request::Hold).expect("held");
        clock.jump(jump);
        engine.ask(Request::Release).expect("released");
        engine.until("the end of the item", |state| state.count(ItemStatus::Failed) == 1);
        let ended = engine.stop();
        let passed = |kind: &EventKind| matches!(kind, EventKind::TimedOut { what: WaitFor::Item, .. });
        assert!(ended.events().iter().any(|event| passed(&event.kind)), "{}", ended.tail());
        let took = ended.state().item(ItemIndex(0)).expect("an item").took;
        assert!((3.0..600.0).contains(&took.seconds()), "{took:?}\n{}", ended.tail());
    }
}
