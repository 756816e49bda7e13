//! Steering and diagnosis: what keys do, and how it looks.

use super::fake::at;
use super::harness::Window;
use super::looks::{SIZES, look};
use crate::api::Link;
use crate::api::replay::{Extent, Playback, Speed};
use crate::model::proto::Request;
use crate::model::state::Hold;
use crate::model::{
    Breakpoint, Change, ChildState, CommandId, Generation, HoldReason, ItemIndex, LadderView, Limit, LimitChange,
    Micros, Origin, Pause, Policy, Rung, Seq, Step, Stops, Wait, WaitFor,
};
use crate::tui::layout::Pane;
use crate::tui::msg::{Effect, Msg, Purpose};
use crate::tui::update::update;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use std::sync::Arc;

fn interrupt(from: Rung, to: Rung, restart: bool) -> Request {
    Request::Interrupt { command: Some(CommandId(14)), from, to, restart }
}

// ---- why --------------------------------------------------------------------------------------------------------------

#[test]
fn why_is_asked_shown_copied_and_asked_again() {
    let mut window = Window::open(80, 24);
    window.keys("w");
    assert_eq!(window.session.verbs(), [Request::Why]);
    window.sees("The child runs Python at /opt/demo/tracer.py:214 (render), look 1.");
    window.sees("→ If it should have ended by now, interrupt it: the scene stays.");
    window.sees("likely: one piece of evidence says so, and none says otherwise");
    window.sees("why: looping");
    window.sees("diagnosis 1 of 1");
    window.keys("y");
    let copied = window.driver.screen.copied[0].clone();
    for said in ["▸ /opt/demo/tracer.py:214 in render", "    while ray.alive:", "    bounces = 41", "missing"] {
        assert!(copied.contains(said), "{said}: {copied}");
    }
    assert!(!copied.contains('\u{1b}'), "{copied}");
    Window::later(70);
    window.settle(Vec::new());
    window.keys("R");
    window.sees("look 2.");
    window.keys("[");
    window.sees("look 1.");
    window.keys("[");
    window.sees("no diagnosis was made before this one");
    window.keys("] ]");
    window.sees("no diagnosis was made after this one");
    window.sees("look 2.");
    assert_eq!(window.session.verbs(), [Request::Why, Request::Why]);
    window.keys("I");
    window.sees("The way out of command 14");
}

#[test]
fn why_says_since_when_it_looks_and_is_not_asked_twice() {
    let mut window = Window::open(80, 24);
    // Below the loop, where an answer may be long in coming.
    let model = &mut window.driver.model;
    let mut press = |key| {
        let effects = update(model, Msg::Input(Event::Key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE))));
        let asks = effects.iter().filter(|effect| matches!(effect, Effect::Ask(Purpose::Why, Request::Why))).count();
        (asks, model.is_ticking())
    };
    assert_eq!([press('w'), press('R'), press('w')], [(1, true), (0, true), (0, true)]);
    Window::later(3);
    window.settle(Vec::new());
    window.session.beat();
    window.settle(Vec::new());
    window.sees("looking … 3.0s");
}

#[test]
fn where_nobody_can_be_asked_the_last_diagnosis_is_shown() {
    let mut window = Window::with(80, 24, true, true);
    window.keys("w");
    window.sees("this window only looks, and no diagnosis was saved");
    window.session.time_out();
    window.session.time_out();
    window.settle(Vec::new());
    window.keys("w");
    window.sees("look 2.");
    window.keys("[");
    window.sees("look 1.");
    window.keys("esc");
    window.session.end(1, "an item failed");
    window.settle(Vec::new());
    window.keys("w");
    window.sees("look 2.");
    window.keys("R");
    window.sees("this window only looks");
    assert!(window.session.verbs().is_empty());
}

#[test]
fn a_recording_shows_what_was_found_out_by_then_and_its_keys_step_through_time() {
    let mut window = Window::open(80, 24);
    window.session.time_out();
    let playback = Playback {
        summary: *window.session.summary(),
        extent: Extent { first: at(-60.0), last: at(90.0), seq: Seq(200) },
        playing: false,
        speed: Speed::default(),
        shortens: false,
        said: None,
        seeking: None,
        marks: Arc::default(),
        notes: Arc::from([]),
    };
    window.session.lose(Link::Recorded(Box::new(playback)));
    window.settle(Vec::new());
    window.sees("silence time-out:");
    window.keys(". > w");
    window.sees("look 1.");
    window.keys("R");
    window.sees("this is a recording: nothing can be changed in it");
    window.keys("esc I");
    window.sees("this is a recording: nothing can be changed in it");
    assert!(window.session.verbs().is_empty());
}

#[test]
fn a_time_out_says_why_until_somebody_has_looked() {
    let mut window = Window::open(160, 50);
    window.misses("looping?");
    window.session.time_out();
    window.settle(Vec::new());
    window.sees("silence time-out: The child runs Python at /opt/demo/tracer.py:214 (render)");
    window.sees("· w shows why");
    window.sees("looping?");
    window.keys("w");
    window.sees("look 2.");
    window.keys("esc");
    window.misses("w shows why");
    window.sees("looping?");
    window.session.change(|summary| summary.running = None);
    window.settle(Vec::new());
    window.misses("looping?");
}

#[test]
fn a_word_of_a_diagnosis_is_shown_only_while_it_may_still_be_so() {
    let mut window = Window::open(160, 50);
    window.session.time_out();
    window.settle(Vec::new());
    window.sees("looping?");
    window.keys("Z down Z up");
    window.misses("looping?");
    let mut window = Window::open(160, 50);
    window.session.time_out();
    window.session.change(|summary| {
        if let Some(head) = &mut summary.diagnosed {
            head.wall = Micros(summary.now.0.saturating_sub(60_000_000));
        }
    });
    window.settle(Vec::new());
    window.misses("looping?");
}

// ---- the way out ------------------------------------------------------------------------------------------------------

#[test]
fn a_rung_that_spares_the_child_is_tried_at_once() {
    let mut window = Window::open(80, 24);
    window.keys("I down enter");
    assert_eq!(window.session.verbs(), [interrupt(Rung::Async, Rung::Async, false)]);
    window.sees("async: 4s of 10s, then nothing more");
    window.keys("3");
    window.sees("cancel is skipped here: the backend knows no way of the host's own");
    assert_eq!(window.session.verbs().len(), 1);
}

#[test]
fn a_rung_that_costs_the_child_asks_what_comes_after_it() {
    let mut window = Window::open(80, 24);
    window.keys("I 5");
    window.sees("What is loaded is lost.");
    window.keys("enter");
    assert!(window.session.verbs().is_empty(), "the selected choice does nothing");
    window.keys("I 5 y I 4 e I a s");
    assert_eq!(
        window.session.verbs(),
        [
            interrupt(Rung::Kill, Rung::Kill, true),
            interrupt(Rung::Terminate, Rung::Terminate, false),
            interrupt(Rung::Interrupt, Rung::Cancel, false),
        ]
    );
    window.keys("I a y");
    assert_eq!(window.session.verbs()[3], interrupt(Rung::Interrupt, Rung::Kill, true));
}

fn climb(window: &mut Window, rung: Rung) {
    let ladder = LadderView { rung, to: Rung::Kill, since: at(59.0), until: at(69.0) };
    window.session.change(|summary| {
        summary.ladder = Some(ladder);
        summary.waits = vec![Wait { what: WaitFor::Rung(rung), since: at(59.0), until: Some(at(69.0)) }];
    });
    window.settle(Vec::new());
}

#[test]
fn the_ladder_tells_its_clock_and_what_was_in_vain() {
    let mut window = Window::open(160, 50);
    climb(&mut window, Rung::Interrupt);
    window.sees("interrupt: 4s of 10s, then async · I shows the way out");
    window.misses("interrupted, waiting for the command to end");
    assert!(window.driver.model.is_ticking());
    climb(&mut window, Rung::Async);
    window.sees("async: 4s of 10s, then terminate");
    window.keys("I");
    window.sees("✗ interrupt");
    window.sees("tried in vain");
    window.sees("›4   terminate");
    window.session.change(|summary| summary.running = None);
    window.settle(Vec::new());
    window.misses("✗ interrupt");
    window.keys("1");
    window.sees("no command runs; r restarts the child");
}

#[test]
fn what_became_of_the_ladder_is_said() {
    let mut window = Window::open(80, 24);
    climb(&mut window, Rung::Interrupt);
    window.session.change(|summary| summary.ladder = None);
    window.settle(Vec::new());
    window.sees("command 14 still runs; I shows what else can be tried");
    climb(&mut window, Rung::Async);
    window.session.change(|summary| {
        summary.ladder = None;
        summary.running = None;
    });
    window.settle(Vec::new());
    window.sees("command 14 has ended: what is loaded stays");
    let mut window = Window::open(80, 24);
    climb(&mut window, Rung::Kill);
    window.session.change(|summary| {
        summary.ladder = None;
        summary.running = None;
        summary.child = ChildState::Starting { generation: Generation(2), pid: None, since: at(62.0) };
    });
    window.settle(Vec::new());
    window.sees("command 14 has ended: what was loaded is lost");
}

#[test]
fn another_child_is_launched_only_after_a_question() {
    let mut window = Window::open(80, 24);
    window.keys("L enter L");
    window.sees("Command 14 runs for 1m 01s and is lost");
    window.keys("y I r y");
    assert_eq!(window.session.verbs(), [Request::Restart { now: true }, Request::Restart { now: true }]);
}

// ---- time-outs --------------------------------------------------------------------------------------------------------

#[test]
fn time_outs_are_typed_over_and_applied_at_once() {
    let mut window = Window::open(80, 24);
    window.keys("T down");
    window.types("10x");
    window.keys("enter");
    window.sees("is no duration");
    window.sees("10x");
    assert!(window.session.verbs().is_empty());
    window.keys("backspace m down down tab enter");
    let changes = vec![
        LimitChange { limit: Limit::Command, length: Change::To(Micros(600_000_000)), policy: None },
        LimitChange { limit: Limit::Silence, length: Change::Keep, policy: Some(Policy::Restart) },
    ];
    assert_eq!(window.session.verbs(), [Request::SetTimeouts { changes }]);
    window.sees("the time-outs are changed, for this session");
    window.sees("10m");
    window.sees("→ restart");
    window.keys("0");
    window.keys("enter");
    window.sees("a time-out of nothing leaves no time to work");
    window.keys("esc esc");
    window.misses("Time-outs, for this session");
}

#[test]
fn what_is_left_of_a_time_out_is_seen_by_those_who_only_look() {
    let mut window = Window::with(80, 24, true, true);
    window.session.change(|summary| {
        summary.waits = vec![Wait { what: WaitFor::Item, since: at(2.0), until: Some(at(602.0)) }];
    });
    window.settle(Vec::new());
    window.keys("T");
    window.sees("8m 59s left");
    window.keys("5");
    window.sees("this window only looks");
    window.keys("enter");
    window.misses("Time-outs, for this session");
}

// ---- where the agenda stops -------------------------------------------------------------------------------------------

#[test]
fn the_agenda_is_broken_into_and_stepped_through() {
    let mut window = Window::open(100, 30);
    window.keys(".");
    window.sees("the agenda does not wait; B makes it wait before the next command");
    window.keys("B");
    window.sees("held before the next command by ann since 21:01:00 · . steps, space goes on");
    window.keys("B . >");
    let step = |step| Request::Step { step, item: None };
    assert_eq!(window.session.verbs(), [Request::Break, step(Step::Command), step(Step::Item)]);
    window.session.change(|summary| {
        summary.held = Some(Hold { why: HoldReason::Stepped, ..Hold::default() });
    });
    window.settle(Vec::new());
    window.sees("stepping: held again afterwards · space goes on");
    window.session.change(|summary| summary.running = None);
    window.settle(Vec::new());
    window.sees("held after a step · . steps, > ends the item, space goes on");
}

fn fail(window: &mut Window) {
    window.session.change(|summary| {
        summary.running = None;
        summary.item = None;
        let why = HoldReason::Failure(ItemIndex(11));
        summary.held = Some(Hold { why, commands: true, ..Hold::default() });
    });
    window.settle(Vec::new());
}

#[test]
fn keys_are_not_what_is_cut_of_a_hold() {
    let mut window = Window::open(80, 24);
    window.session.change(|summary| {
        let by = Some(Origin { user: "a-user-of-a-long-name".into(), ..Origin::default() });
        summary.held = Some(Hold { by, commands: true, since: at(70.0), ..Hold::default() });
    });
    window.settle(Vec::new());
    window.sees("held before the next command by a-user-of-a-long-");
    window.sees("… · . steps, space goes on");
}

#[test]
fn a_failed_item_is_tried_again_from_anywhere() {
    let mut window = Window::open(100, 30);
    fail(&mut window);
    window.sees("held: frame 0012 failed · X tries it again, e edits it, space goes on");
    window.keys("3 X 1 down X");
    let step = |item: &str| Request::Step { step: Step::Item, item: Some(item.into()) };
    assert_eq!(window.session.verbs(), [step("frame 0012"), step("frame 0014")]);
}

#[test]
fn holding_on_failure_is_switched() {
    let mut window = Window::open(80, 24);
    window.keys("F");
    window.sees("the agenda will wait whenever an item has failed");
    window.sees("holds on failure · following");
    window.keys("F");
    let stops = |on_failure| Request::SetStops { stops: Stops { on_failure, ..Stops::default() } };
    assert_eq!(window.session.verbs(), [stops(true), stops(false)]);
}

#[test]
fn breakpoints_are_set_marked_and_dropped() {
    let mut window = Window::open(100, 30);
    window.keys("down D");
    window.sees("the agenda will wait before item frame 0014");
    window.sees("● frame 0014");
    window.keys("2 D");
    window.sees("● render(scene,");
    window.sees("─ ● 2 ╯");
    let item = Breakpoint::Item("frame 0014".into());
    let command = Breakpoint::Command("render\\(scene, 13\\)".into());
    let stops = |breakpoints| Request::SetStops { stops: Stops { breakpoints, on_failure: false } };
    assert_eq!(window.session.verbs(), [stops(vec![item.clone()]), stops(vec![item.clone(), command])]);
    window.keys("D ctrl-d");
    window.sees("Drop 1 breakpoint?");
    window.sees("item frame 0014");
    window.keys("y");
    assert_eq!(window.session.verbs()[2..], [stops(vec![item]), stops(Vec::new())]);
    window.keys("ctrl-d");
    window.sees("there are no breakpoints");
}

#[test]
fn an_items_commands_are_edited_for_this_session() {
    let mut window = Window::open(80, 24);
    window.keys("e");
    window.sees("edit frame 0013: 2 commands");
    window.sees("# ---");
    window.keys("esc e");
    window.types("import gc\n# ---\n");
    window.keys("esc");
    window.sees("not saved: Esc again drops the changes");
    window.keys("ctrl-s");
    let commands = vec!["import gc".to_owned(), "scene.frame = 12".into(), "render(scene)".into()];
    let edit = |commands| Request::Edit { name: "frame 0013".into(), commands };
    assert_eq!(window.session.verbs(), [edit(Some(commands.clone()))]);
    assert_eq!(window.session.edits()["frame 0013"], commands);
    window.sees("frame 0013 ✎");
    window.keys("enter e");
    window.sees("edited before");
    window.settle(vec![Event::Paste("x\r\n".into())]);
    window.keys("ctrl-r");
    assert_eq!(window.session.verbs()[1..], [edit(None)]);
    window.misses("frame 0013 ✎");
    assert_eq!(window.driver.model.focus(), Pane::Agenda);
}

#[test]
fn a_paused_child_is_told_loudly_and_goes_on() {
    for (width, height, said) in [(80, 24, "paused by ann since 21:01:00 · Z continues"), (40, 10, "paused")] {
        let mut window = Window::open(width, height);
        window.keys("Z");
        window.keys("down");
        window.sees(said);
        window.keys("Z");
        assert_eq!(window.session.verbs(), [Request::Pause, Request::Continue]);
        window.keys("up");
        window.misses("paused");
    }
}

// ---- beside the main thread -------------------------------------------------------------------------------------------

#[test]
fn what_runs_beside_the_main_thread_asks_first_where_that_is_not_known_to_be_safe() {
    let mut window = Window::open(80, 24);
    window.keys("i");
    window.types("6*7");
    window.keys("alt-s");
    window.sees("This runs in another thread while the host works;");
    window.keys("esc");
    assert!(window.session.verbs().is_empty());
    assert_eq!(window.driver.model.prompt.text(), "6*7");
    window.keys("f6 y");
    let side = |confirmed| Request::Side { source: "6*7".into(), confirmed };
    assert_eq!(window.session.verbs(), [side(true)]);
    window.sees("py> 6*7  = 42");
    assert!(window.driver.model.prompt.is_blank());
    window.session.change(|summary| summary.side_eval = true);
    window.settle(Vec::new());
    window.types("6*7");
    window.keys("f6");
    assert_eq!(window.session.verbs()[1], side(false));
    window.keys("esc 2 end");
    window.sees("side");
}

// ---- those who only look ----------------------------------------------------------------------------------------------

#[test]
fn nothing_that_steers_is_offered_to_those_who_only_look() {
    let mut window = Window::with(160, 50, true, true);
    fail(&mut window);
    window.sees("held: frame 0012 failed");
    window.misses("X tries it again");
    window.keys("?");
    for writes in ["breakpoint", "step one", "restart the child", "run beside", "pause or continue", "edit commands"] {
        window.types(writes);
        window.sees("nothing matches");
        window.keys(&["backspace"; 20].join(" "));
    }
    window.keys("esc I B . > X F D e Z L ctrl-d 6 f6");
    window.sees("this window only looks");
    assert!(window.session.verbs().is_empty());
}

#[test]
fn a_lost_link_refuses_what_was_typed_and_keeps_it() {
    let mut window = Window::open(80, 24);
    window.keys("e");
    window.types("x");
    window.session.lose(Link::Lost { reason: "gone".into(), since: at(60.0) });
    window.settle(Vec::new());
    window.keys("ctrl-s");
    window.sees("not connected to the engine");
    window.sees("xscene.frame = 12");
    assert!(window.session.verbs().is_empty());
}

// ---- looks ------------------------------------------------------------------------------------------------------------

#[test]
fn why_looks() {
    for (width, height) in SIZES {
        let mut window = Window::open(width, height);
        window.session.time_out();
        window.settle(Vec::new());
        look(&format!("timed_out_{width}x{height}"), &window);
        window.keys("w");
        look(&format!("why_{width}x{height}"), &window);
        window.keys("end");
        look(&format!("why_end_{width}x{height}"), &window);
    }
}

#[test]
fn the_way_out_looks() {
    for (width, height) in SIZES {
        let mut window = Window::open(width, height);
        climb(&mut window, Rung::Interrupt);
        climb(&mut window, Rung::Async);
        look(&format!("ladder_{width}x{height}"), &window);
        window.keys("I");
        look(&format!("way_out_{width}x{height}"), &window);
        window.keys("5");
        look(&format!("kill_{width}x{height}"), &window);
    }
}

#[test]
fn time_outs_and_edits_look() {
    for (width, height) in SIZES {
        let mut window = Window::open(width, height);
        window.session.change(|summary| {
            summary.waits = vec![Wait { what: WaitFor::Silence, since: at(40.0), until: Some(at(640.0)) }];
        });
        window.settle(Vec::new());
        window.keys("T down");
        window.types("10y");
        window.keys("tab enter");
        look(&format!("timeouts_{width}x{height}"), &window);
        window.keys("esc esc e");
        window.types("a");
        look(&format!("edit_{width}x{height}"), &window);
    }
}

#[test]
fn held_and_paused_look() {
    for (width, height) in SIZES {
        let mut window = Window::open(width, height);
        window.keys("D down D up");
        fail(&mut window);
        look(&format!("failed_{width}x{height}"), &window);
        window.session.change(|summary| {
            summary.held = None;
            summary.paused =
                Some(Pause { by: Some(Origin { user: "ann".into(), ..Origin::default() }), since: at(9.0) });
        });
        window.settle(Vec::new());
        window.keys("up");
        look(&format!("paused_{width}x{height}"), &window);
    }
}
