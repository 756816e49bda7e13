//! How the main states look: text and styles. `INSTA_UPDATE=always cargo test` writes the pictures anew.

use super::fake::at;
use super::harness::Window;
use crate::api::Link;
use crate::model::{Micros, StopMode, Wait, WaitFor};

pub(super) fn look(name: &str, window: &Window) {
    insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, window.picture());
    });
}

pub(super) const SIZES: [(u16, u16); 3] = [(40, 10), (80, 24), (160, 50)];

#[test]
fn running() {
    for (width, height) in SIZES {
        look(&format!("running_{width}x{height}"), &Window::open(width, height));
    }
}

#[test]
fn running_without_colour() {
    let window = Window::with(80, 24, false, false);
    look("running_mono_80x24", &window);
    let buffer = window.driver.screen.terminal.backend().buffer();
    let plain = |color| color == ratatui::style::Color::Reset;
    assert!(buffer.content.iter().all(|cell| plain(cell.fg) && plain(cell.bg)));
    assert!(buffer.content.iter().any(|cell| cell.modifier.contains(ratatui::style::Modifier::REVERSED)));
}

#[test]
fn prompt_with_a_value() {
    for (width, height) in SIZES {
        let mut window = Window::open(width, height);
        window.keys("i");
        window.types("6*7\nscene.na");
        look(&format!("prompt_{width}x{height}"), &window);
    }
}

#[test]
fn exception_detail() {
    for (width, height) in SIZES {
        let mut window = Window::open(width, height);
        window.keys("4 enter");
        look(&format!("exception_{width}x{height}"), &window);
    }
}

#[test]
fn what_runs_it() {
    for (width, height) in SIZES {
        let mut window = Window::open(width, height);
        window.keys("A");
        look(&format!("about_{width}x{height}"), &window);
        window.keys("G");
        window.sees("by an operator");
        window.keys("esc");
        window.misses("by an operator");
    }
}

#[test]
fn item_detail() {
    for (width, height) in SIZES {
        let mut window = Window::open(width, height);
        window.keys("1 up enter");
        look(&format!("item_{width}x{height}"), &window);
        window.keys("n n n");
        look(&format!("item_selected_{width}x{height}"), &window);
        window.keys("G");
        look(&format!("item_end_{width}x{height}"), &window);
    }
}

#[test]
fn held_stopping_and_waiting() {
    for (width, height) in SIZES {
        let mut window = Window::open(width, height);
        window.keys("space");
        window.session.change(|summary| {
            summary.stop = Some(StopMode::AfterItem);
            summary.lost_output = 3 << 20;
            summary.last_output = Some(at(-20.0));
            let until = Some(Micros(at(40.0).0 + 120_000_000));
            summary.waits = vec![Wait { what: WaitFor::Silence, since: at(40.0), until }];
        });
        window.settle(Vec::new());
        look(&format!("held_{width}x{height}"), &window);
    }
}

#[test]
fn ended() {
    for (width, height) in SIZES {
        let mut window = Window::open(width, height);
        window.session.end(0, "all items are complete");
        window.settle(Vec::new());
        look(&format!("ended_{width}x{height}"), &window);
    }
}

#[test]
fn deserted() {
    for (width, height) in SIZES {
        let mut window = Window::open(width, height);
        let last = Some(window.session.summary());
        window.session.lose(Link::Over { last, reason: "the engine is gone".into(), since: at(61.0) });
        window.settle(Vec::new());
        look(&format!("deserted_{width}x{height}"), &window);
    }
}

#[test]
fn help_and_questions() {
    let mut window = Window::open(80, 24);
    window.keys("?");
    window.types("item");
    look("help_80x24", &window);
    window.keys("esc S");
    look("stop_80x24", &window);
    let mut window = Window::open(40, 10);
    window.keys("S");
    look("stop_40x10", &window);
}

#[test]
fn too_small() {
    let mut window = Window::open(80, 24);
    window.resize(19, 4);
    look("too_small_19x4", &window);
    window.resize(80, 24);
    window.sees("1 Agenda");
}
