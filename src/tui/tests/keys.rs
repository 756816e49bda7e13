//! What keys do.

use super::fake::{NOON, at};
use super::harness::Window;
use crate::api::Link;
use crate::model::proto::{ItemVerb, LineAnchor, OutputAt, Request};
use crate::model::{CommandId, ItemStatus, Rung, StopMode, Stream, Wait, WaitFor};
use crate::tui::Ended;
use crate::tui::layout::Pane;
use crossterm::event::{Event, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

#[test]
fn keys_that_can_do_nothing_here_are_not_listed() {
    let mut window = Window::open(160, 50);
    window.keys("?");
    window.types("start of the recording");
    window.sees("nothing matches");
    window.keys("esc :");
    window.types("end the session");
    window.sees("End the session");
    let mut looks = Window::with(160, 50, true, true);
    looks.keys("? e n d");
    looks.misses("End the session");
    looks.sees("To the end");
}

#[test]
fn focus_goes_round_and_zoom_gives_all_the_room() {
    let mut window = Window::open(160, 50);
    assert_eq!(window.driver.model.focus(), Pane::Agenda);
    window.keys("tab tab");
    assert_eq!(window.driver.model.focus(), Pane::Output);
    window.keys("backtab 5");
    assert_eq!(window.driver.model.focus(), Pane::Log);
    window.keys("1 z");
    window.sees("1 Agenda");
    window.misses("3 Output");
    window.keys("z");
    window.sees("3 Output");
}

#[test]
fn the_selection_stays_in_sight_when_its_pane_gets_lower() {
    let mut window = Window::open(80, 24);
    window.sees("›► frame 0013");
    window.keys("3");
    window.sees("›► frame 0013");
}

#[test]
fn a_click_focuses_selects_and_chooses_tabs() {
    let mut window = Window::open(80, 24);
    let click = |column, row| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        vec![Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })]
    };
    window.settle(click(15, 2));
    assert_eq!(window.driver.model.focus(), Pane::Commands, "{}", window.text());
    window.settle(click(5, 2));
    window.settle(click(10, 4));
    assert_eq!(window.driver.model.agenda.selected, window.driver.model.agenda.top + 1);
    assert!(!window.driver.model.agenda.follow);
}

#[test]
fn help_is_searched_and_done() {
    let mut window = Window::open(100, 30);
    window.keys("?");
    window.sees("Put the item back to pending");
    window.types("suspend");
    window.misses("Put the item back to pending");
    window.sees("`fg` brings it back");
    window.keys("enter");
    assert_eq!(window.driver.screen.suspended, 1);
    window.misses("Help: all keys");
}

#[test]
fn the_palette_does_what_is_chosen() {
    let mut window = Window::open(100, 30);
    window.keys(":");
    window.types("zoom");
    window.keys("enter");
    assert!(window.driver.model.zoom);
}

#[test]
fn a_command_is_injected_and_its_value_is_seen() {
    let mut window = Window::open(80, 24);
    window.keys("i");
    window.types("6*7\n");
    assert_eq!(window.session.verbs(), [Request::Exec { source: "6*7".into(), wait: true }]);
    window.sees("py> 6*7  = 42");
    window.types("1/0\n");
    window.sees("✗ ValueError: the sun is below the horizon");
    window.keys("up up");
    assert_eq!(window.driver.model.prompt.text(), "6*7");
}

#[test]
fn what_is_typed_while_the_child_is_asked_comes_after_it() {
    let mut window = Window::open(80, 24);
    window.keys("i");
    window.types("a = 1\n6*7\nrest");
    let sources: Vec<_> = window.session.verbs();
    assert_eq!(
        sources,
        [Request::Exec { source: "a = 1".into(), wait: true }, Request::Exec { source: "6*7".into(), wait: true }]
    );
    assert_eq!(window.driver.model.prompt.text(), "rest");
}

#[test]
fn an_incomplete_text_goes_on_and_a_wrong_one_is_told() {
    let mut window = Window::open(80, 24);
    window.keys("i");
    window.types("for x in y:\nprint(x)\n");
    assert!(window.session.verbs().is_empty());
    assert_eq!(window.driver.model.prompt.text(), "for x in y:\n    print(x)\n    ");
    window.types("\n");
    assert_eq!(window.session.verbs().len(), 1);
    window.types("what!!\n");
    window.sees("not Python: invalid syntax (line 1)");
    assert_eq!(window.session.verbs().len(), 1);
    window.keys("f5");
    assert_eq!(window.session.verbs()[1], Request::Exec { source: "what!!".into(), wait: true });
}

#[test]
fn a_paste_never_executes() {
    let mut window = Window::open(80, 24);
    window.settle(vec![Event::Paste("d\nS\nq\n".into())]);
    window.sees("pasted text is taken in the prompt only");
    window.keys("i");
    window.settle(vec![Event::Paste("import os\r\nos.remove('x')\n\u{1b}[31m".into())]);
    assert!(window.session.verbs().is_empty());
    assert_eq!(window.driver.model.prompt.text(), "import os\nos.remove('x')\n[31m");
}

#[test]
fn a_word_is_completed() {
    let mut window = Window::open(80, 24);
    window.keys("i");
    window.types("bpy.da");
    window.keys("tab");
    assert_eq!(window.driver.model.prompt.text(), "bpy.data");
    window.sees("data_add");
    window.keys("tab tab");
    assert_eq!(window.driver.model.prompt.text(), "bpy.data_add");
    window.types("(");
    window.misses("data  data_add");
}

#[test]
fn hold_and_release_take_turns() {
    let mut window = Window::open(100, 30);
    window.keys("space");
    window.sees("held by ann since 21:01:00");
    window.keys("h");
    window.misses("held by ann");
    assert_eq!(window.session.verbs(), [Request::Hold, Request::Release]);
}

#[test]
fn items_are_retried_blocked_and_killed() {
    let mut window = Window::open(100, 30);
    window.keys("up r");
    window.sees("frame 0012 will be run again");
    window.keys("down K");
    window.sees("Kill item frame 0013?");
    window.keys("enter");
    assert_eq!(window.session.verbs().len(), 1, "the selected choice does nothing");
    window.keys("K y");
    window.keys("down b");
    let verbs: Vec<_> = window.session.verbs().into_iter().skip(1).collect();
    let items = |verb, name: &str| Request::Items { verb, names: vec![name.into()] };
    assert_eq!(verbs, [items(ItemVerb::Kill, "frame 0013"), items(ItemVerb::Block, "frame 0014")]);
}

#[test]
fn stopping_asks_how() {
    let mut window = Window::open(80, 24);
    window.keys("S");
    window.sees("Stop the session?");
    window.keys("esc S enter");
    assert!(window.session.verbs().is_empty());
    window.keys("S i");
    assert_eq!(window.session.verbs(), [Request::Stop { mode: StopMode::AfterItem }]);
    window.misses("Stop the session?");
}

#[test]
fn an_interrupt_names_the_command_that_was_seen() {
    let mut window = Window::open(80, 24);
    window.keys("i ctrl-c");
    window.sees("The way out of command 14");
    window.keys("enter");
    assert_eq!(
        window.session.verbs(),
        [Request::Interrupt {
            command: Some(CommandId(14)),
            from: Rung::Interrupt,
            to: Rung::Interrupt,
            restart: false,
        }]
    );
}

#[test]
fn detaching_is_not_stopping() {
    let mut window = Window::open(80, 24);
    assert_eq!(window.keys("d"), Some(Ended::Detached));
    assert!(window.session.verbs().is_empty());
    let mut window = Window::open(80, 24);
    window.session.end(1, "an item failed");
    window.settle(Vec::new());
    window.sees("the session is over (exit code 1): an item failed");
    assert_eq!(window.keys("q"), Some(Ended::SessionOver(1)));
}

#[test]
fn a_window_that_only_looks_asks_for_nothing() {
    let mut window = Window::with(100, 30, true, true);
    window.keys("space");
    window.sees("this window only looks");
    window.keys("r I i");
    window.types("6*7\n");
    window.keys("f5");
    assert!(window.session.verbs().is_empty());
}

#[test]
fn scrolling_back_lets_go_and_new_output_does_not_move_what_is_read() {
    let mut window = Window::open(80, 24);
    window.keys("3 pgup");
    window.sees("frozen · f follows");
    // What is new is only counted, in the pane's border.
    let read =
        |window: &Window| window.text().lines().filter(|row| !row.contains("f follows")).collect::<Vec<_>>().join("\n");
    let before = read(&window);
    let asked = window.session.asked();
    for at in 0..20 {
        window.session.print(&format!("new line {at}"));
        window.settle(Vec::new());
    }
    assert_eq!(read(&window), before);
    window.sees("↓ 3.9 KiB new · f follows");
    let questions = window.session.asked() - asked;
    assert!(questions <= 2 * 20, "{questions} questions: only the lists beside may ask");
    window.keys("G");
    window.sees("new line 19");
    window.session.print("and the last");
    window.settle(Vec::new());
    window.sees("and the last");
}

#[test]
fn every_page_down_shows_more_until_the_end_follows() {
    let mut window = Window::open(80, 24);
    // Without more output nothing but the keys moves the pane on.
    window.keys("3 g");
    window.sees("f follows");
    let mut pages = 0;
    while window.text().contains("f follows") {
        let before = window.text();
        window.keys("pgdn");
        assert_ne!(window.text(), before, "page {pages}");
        pages += 1;
    }
    assert!(pages > 10, "{pages}");
}

#[test]
fn output_is_shown_from_its_item_and_by_stream() {
    let mut window = Window::open(80, 24);
    window.keys("home o");
    assert_eq!(window.driver.model.focus(), Pane::Output);
    window.sees("frame 0001  loading");
    window.keys("s s");
    window.sees("stderr");
    window.misses("saved /tmp");
    window.keys("s t");
    window.sees("20:59:");
}

#[test]
fn lines_that_are_not_wrapped_are_scrolled_sideways() {
    let mut window = Window::open(80, 24);
    window.keys("3 W");
    window.misses("it is scaled");
    window.keys(&["right"; 8].join(" "));
    window.sees("it is scaled");
}

#[test]
fn a_search_goes_on_and_begins_again() {
    let mut window = Window::open(80, 24);
    window.keys("home /");
    window.types("003");
    window.keys("enter");
    assert_eq!(window.driver.model.agenda.selected, 2);
    window.keys("n");
    assert_eq!(window.driver.model.agenda.selected, 29);
    window.keys("N");
    assert_eq!(window.driver.model.agenda.selected, 2);
    window.keys("N");
    window.sees("began again at the bottom");
    window.keys("/");
    window.types("nowhere");
    window.keys("enter");
    window.sees("no row contains “nowhere”");
}

#[test]
fn details_are_opened_scrolled_and_copied() {
    let mut window = Window::open(80, 24);
    window.keys("4 enter");
    window.sees("KeyError: 'sun'");
    window.sees("· height = -3.5");
    window.keys("end y");
    window.sees("copied by OSC 52");
    assert!(window.driver.screen.copied[0].contains("the sun is below the horizon"));
    window.keys("esc 2 up enter");
    window.sees("command 13");
    window.keys("q 1 enter");
    window.sees("item frame 0013");
}

#[test]
fn nothing_hostile_reaches_the_screen_or_the_clipboard() {
    let mut window = Window::open(160, 50);
    window.session.change(|summary| {
        summary.name = "evil\u{1b}]0;pwn\u{7}\u{202e}".into();
        summary.said = "a\u{9b}31mb".into();
        summary.held = Some(crate::model::state::Hold {
            by: Some(crate::model::Origin { user: "x\u{1b}[2J".into(), ..Default::default() }),
            since: NOON,
            ..Default::default()
        });
    });
    window.session.print("\u{1b}[2J\u{1b}]52;c;eA==\u{7}\u{90}q\u{9c}\u{2066}x");
    window.settle(Vec::new());
    window.keys("4 down y");
    let seen = window.text() + &window.driver.screen.copied.join("");
    assert!(!seen.chars().any(|c| c != '\n' && crate::tui::text::is_hostile(c)), "{seen}");
}

#[test]
fn the_mouse_is_given_back_on_demand() {
    let mut window = Window::open(80, 24);
    window.keys("%");
    assert!(!window.driver.screen.mouse);
    window.keys("%");
    assert!(window.driver.screen.mouse);
}

#[test]
fn a_lost_link_is_told_and_what_was_known_stays() {
    let mut window = Window::open(100, 30);
    window.session.lose(Link::Lost { reason: "connection reset".into(), since: at(60.0) });
    window.settle(Vec::new());
    window.sees("connection lost 3s ago, reconnecting: connection reset");
    window.sees("frame 0013");
    window.keys("space");
    window.sees("not connected to the engine");
    window.session.lose(Link::Over { last: None, reason: "it was killed".into(), since: at(61.0) });
    window.settle(Vec::new());
    window.sees("it was killed; the session has not ended");
    window.keys("home");
    window.sees("frame 0001");
    assert_eq!(window.keys("q"), Some(Ended::EngineGone("it was killed".into())));
}

#[test]
fn a_dead_engine_leaves_nobody_to_ask_and_says_how_to_go_on() {
    let mut window = Window::open(80, 24);
    window.keys("i");
    window.types("draft");
    let last = window.session.summary();
    window.session.lose(Link::Over { last: Some(last), reason: "the engine is gone".into(), since: at(61.0) });
    window.settle(Vec::new());
    window.sees("? child unknown: the engine died");
    window.sees("the engine is gone; the session has not ended");
    window.sees("next: childminder run --resume 20261123-210000-demo-3f2a, or replay · q leaves");
    window.sees("inject → nobody (the engine died)");
    window.sees("draft");
    for gone in ["pid ", "cpu", "to go", "► item", "● ", "Enter run", "S stop"] {
        window.misses(gone);
    }
    window.types("x");
    window.sees("the engine died; Esc leaves the prompt");
    window.keys("enter f5 backtab 1 space r K S");
    assert!(window.session.verbs().is_empty());
    assert_eq!(window.driver.model.prompt.text(), "draft");
    window.misses("Stop the session?");
    assert_eq!(window.keys("q"), Some(Ended::EngineGone("the engine is gone".into())));
}

#[test]
fn what_is_over_says_what_can_be_done_next() {
    let mut window = Window::open(160, 50);
    window.session.end(1, "an item failed");
    window.settle(Vec::new());
    window.sees("`childminder run --resume 20261123-210000-demo-3f2a` goes on with the rest");
    window.sees("d leave");
    window.misses("cpu");
    window.session.change(|summary| summary.counts = [(ItemStatus::Complete, 40)].into());
    window.settle(Vec::new());
    window.sees("next: `childminder replay 20261123-210000-demo-3f2a` shows it again · q leaves");
}

#[test]
fn a_window_that_only_looks_offers_no_writes_and_takes_no_text() {
    let mut window = Window::with(100, 30, true, true);
    for offered in ["S stop", "space hold", "r retry", "i inject"] {
        window.misses(offered);
    }
    window.sees("6 read-only: nothing can be injected");
    window.keys("i");
    window.sees("read-only: this window only looks");
    window.misses("Enter run");
    window.settle(vec![Event::Paste("6*7\nx".into())]);
    window.types("6*7");
    assert!(window.driver.model.prompt.is_blank());
}

#[test]
fn a_long_paste_says_what_is_out_of_sight() {
    let mut window = Window::open(80, 24);
    let pasted: Vec<String> = (1..=20).map(|line| format!("line_{line}")).collect();
    window.keys("i");
    window.settle(vec![Event::Paste("one\ntwo\nthree".into())]);
    window.sees("one");
    window.sees(" 3 lines ");
    window.keys("ctrl-c");
    window.settle(vec![Event::Paste(pasted.join("\n"))]);
    window.sees("20 lines · ↑ 15 above");
    window.sees("line_16");
    window.misses("line_15");
    window.keys("up up up up up up");
    window.sees("20 lines · ↑ 13 above · ↓ 2 below");
}

#[test]
fn a_session_that_has_just_begun_is_shown() {
    let mut window = Window::open(80, 24);
    window.session.lose(Link::Live(Box::default()));
    window.settle(Vec::new());
    window.sees("no child yet");
    window.sees("no agenda");
}

#[test]
fn what_is_not_seen_asks_for_nothing() {
    let mut window = Window::open(40, 10);
    let before = window.session.asked();
    window.session.print("more");
    window.settle(Vec::new());
    assert_eq!(window.session.asked() - before, 1, "the agenda only");
}

#[test]
fn a_pulse_that_says_nothing_new_asks_for_nothing() {
    let mut window = Window::open(160, 50);
    let before = window.session.asked();
    for _ in 0..5 {
        window.session.beat();
        window.settle(Vec::new());
    }
    assert_eq!(window.session.asked(), before);
}

#[test]
fn a_window_on_an_idle_session_does_not_tick() {
    let mut window = Window::open(80, 24);
    assert!(window.driver.model.is_ticking());
    window.session.change(|summary| {
        summary.running = None;
        summary.item = None;
    });
    window.settle(Vec::new());
    window.sees("● idle");
    assert!(!window.driver.model.is_ticking());
}

#[test]
fn silence_is_told_however_narrow_it_is() {
    let mut window = Window::open(80, 24);
    window.session.change(|summary| {
        summary.last_output = Some(at(-20.0));
        summary.last_word = Some(at(-20.0));
    });
    window.settle(Vec::new());
    window.sees("► item frame 0013 1m 01s");
    window.sees("silent 1m 01s");
    window.sees("no heartbeat 1m 01s");
}

#[test]
fn a_bound_is_told_once_a_part_of_it_has_passed() {
    let mut window = Window::open(100, 30);
    let wait = |what, since: f64| Wait { what, since: at(since), until: Some(at(since + 100.0)) };
    window.session.change(|summary| summary.waits = vec![wait(WaitFor::Command, 60.0)]);
    window.settle(Vec::new());
    window.misses("command time-out");
    window.session.change(|summary| summary.waits = vec![wait(WaitFor::Command, 40.0), wait(WaitFor::Teardown, 62.0)]);
    window.settle(Vec::new());
    window.sees("command time-out 23s of 1m 40s");
    window.sees("tearing down 1s of 1m 40s");
}

#[test]
fn what_was_found_in_an_items_output_leads_to_its_line() {
    let mut window = Window::open(80, 24);
    let wanted = |place: u64| OutputAt::Line(LineAnchor { stream: Stream::Stderr, offset: place * 200 });
    let went_to = |window: &Window| {
        let asked = window.session.all();
        asked.iter().rev().find_map(|request| match request {
            Request::Output(query) => Some(query.at),
            _ => None,
        })
    };
    window.keys("1 up enter n n o");
    assert_eq!(went_to(&window), Some(wanted(43)));
    window.sees("3 Output");
    window.sees("texture grass.png is 8193 px wide");
    window.keys("1 enter N o");
    assert_eq!(went_to(&window), Some(wanted(61)));
    window.keys("1 enter n n n n o");
    assert_eq!(went_to(&window), Some(wanted(7)), "after the last comes the first");
    window.keys("2 enter n");
    window.sees("this tells of no place in the output");
}

#[test]
fn an_item_whose_output_warns_of_something_is_marked() {
    let mut window = Window::open(80, 24);
    window.misses("! frame 0011");
    window.session.warn_in(10);
    window.settle(Vec::new());
    window.sees("! frame 0011");
}
