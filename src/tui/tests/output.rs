//! What the keys of the output pane do: searching, filtering, freezing, selecting, copying and saving.

use super::harness::Window;
use crossterm::event::{Event, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

/// The rows of the screen in which a text stands.
fn rows_with(window: &Window, text: &str) -> usize {
    window.text().lines().filter(|row| row.contains(text)).count()
}

#[test]
fn a_search_counts_and_goes_there_with_every_key() {
    let mut window = Window::open(80, 24);
    window.keys("3 g /");
    window.types("sav");
    window.sees(" 1/22 ");
    window.types("ed /tmp/demo/frame.0002");
    window.sees(" 1/1 ");
    window.sees("saved /tmp/demo/frame.0002.png");
    window.keys("enter");
    window.misses("regex;");
    window.sees("/saved /tmp/demo/frame.… 1/1 · frozen");
}

#[test]
fn a_search_goes_on_both_ways_and_begins_again_at_the_other_end() {
    let mut window = Window::open(80, 24);
    window.keys("3 g /");
    window.types("saved\n");
    window.keys("n n");
    window.sees("/saved 3/22");
    window.keys("N");
    window.sees("/saved 2/22");
    window.keys("N N");
    window.sees("/saved 22/22");
    window.sees("began again at the bottom");
    window.keys("\\");
    window.types("saved\n");
    window.sees("\\saved 21/22");
    window.keys("n");
    window.sees("\\saved 20/22");
    window.keys("N");
    window.sees("\\saved 21/22");
}

#[test]
fn a_search_that_was_given_up_leaves_everything_as_it_was() {
    let mut window = Window::open(80, 24);
    window.keys("3");
    let before = window.text();
    window.keys("/");
    window.types("frame 0003");
    window.sees("frame 0003");
    window.keys("esc");
    assert_eq!(window.text(), before);
}

#[test]
fn a_slow_search_is_asked_on_and_what_came_since_is_counted_later() {
    let mut window = Window::open(80, 24);
    window.session.search_slowly(30);
    window.keys("3 /");
    window.types("saved\n");
    window.sees("/22");
    assert!(window.session.searches() > 6, "{}", window.session.searches());
    window.session.print("saved once more");
    window.settle(Vec::new());
    window.sees("/22");
    Window::later(1);
    window.session.beat();
    window.settle(Vec::new());
    window.sees("/23");
}

#[test]
fn a_bad_pattern_says_why_and_leaves_the_former_in_force() {
    let mut window = Window::open(80, 24);
    window.keys("3 g &");
    window.types("saved\n");
    assert_eq!(rows_with(&window, "tile"), 0, "{}", window.text());
    window.keys("&");
    window.types("(");
    window.sees("unclosed group");
    window.sees("saved /tmp/demo/frame.0001.png");
    window.keys("enter");
    window.sees("unclosed group");
    assert_eq!(rows_with(&window, "tile"), 0, "{}", window.text());
    window.types("1)");
    window.misses("unclosed group");
    window.keys("esc");
    window.sees("& saved");
    window.keys("esc");
    window.sees("tile");
}

#[test]
fn a_filter_inverts_takes_an_item_and_shows_what_is_around() {
    let mut window = Window::open(80, 30);
    window.keys("3 g z &");
    window.types("!tile|saved\n");
    window.sees("warning");
    window.misses("tile ");
    window.misses("saved /tmp");
    window.keys("& ctrl-u");
    window.types("context:1 saved\n");
    window.sees("┄");
    window.sees("warning");
    window.sees("loading");
    window.misses("tile  3");
    window.keys("& ctrl-u");
    window.types("item:nobody saved\n");
    window.keys("esc");
    window.sees("loading");
}

#[test]
fn what_is_followed_is_followed_under_a_filter_too() {
    let mut window = Window::open(80, 24);
    window.keys("3 &");
    window.types("saved\n");
    window.sees("following");
    window.session.print("saved by hand");
    window.session.print("thrown away");
    window.settle(Vec::new());
    window.sees("saved by hand");
    window.misses("thrown away");
    window.sees("following");
}

#[test]
fn what_is_frozen_says_how_much_is_new() {
    let mut window = Window::open(80, 24);
    window.keys("3 f");
    window.sees("frozen · f follows");
    let before = window.text().lines().skip(8).take(5).collect::<Vec<_>>().join("\n");
    window.session.print("something new");
    window.settle(Vec::new());
    window.sees("new · f follows");
    window.misses("something new");
    assert!(window.text().contains(&before), "{}", window.text());
    window.keys("f");
    window.sees("something new");
    window.sees("following");
}

#[test]
fn jumps_go_from_one_to_the_next_and_say_when_there_is_none() {
    let mut window = Window::open(80, 24);
    window.session.print("RuntimeError: it rains");
    window.settle(Vec::new());
    window.keys("3 g e");
    window.sees("›RuntimeError: it rains");
    window.keys("e");
    window.sees("no error after");
    window.keys("g ]");
    let first = window.text();
    window.keys("]");
    assert_ne!(window.text(), first);
    window.keys("[");
    assert_eq!(window.text(), first);
    window.keys("P");
    window.sees("no exception before");
    window.keys("p");
    window.sees("frame 0021");
}

#[test]
fn a_selection_is_copied_whole_and_without_escapes() {
    let mut window = Window::open(80, 24);
    window.keys("3 g v down down down down down");
    window.sees("6 lines selected");
    window.keys("shift-down down down down y");
    window.sees("10 lines copied by OSC 52");
    let copied = window.driver.screen.copied.last().unwrap();
    assert_eq!(copied.lines().count(), 10, "{copied}");
    assert!(copied.starts_with("frame 0001  loading"), "{copied}");
    assert!(!copied.chars().any(|c| c.is_control() && c != '\n'), "{copied:?}");
    // All from there to the end, whatever the window holds.
    window.keys("g v G");
    window.keys("y");
    window.sees("200 lines copied");
}

#[test]
fn output_is_saved_and_no_file_is_written_over_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.txt");
    let typed = format!("{}\n", path.display());
    let mut window = Window::open(160, 50);
    window.keys("3 & s a v e d enter ctrl-s ctrl-u");
    window.types(&typed);
    window.sees("22 lines");
    let plain = std::fs::read_to_string(&path).unwrap();
    assert_eq!(plain.lines().count(), 22);
    assert!(plain.starts_with("saved /tmp/demo/frame.0001.png") && !plain.contains('\u{1b}'), "{plain:?}");
    window.keys("esc g v down ctrl-s tab ctrl-u");
    window.types(&typed);
    window.sees("Overwrite the file?");
    window.keys("esc");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), plain);
    window.keys("ctrl-s tab ctrl-u");
    window.types(&typed);
    window.keys("o");
    let raw = std::fs::read_to_string(&path).unwrap();
    assert_eq!(raw.lines().count(), 2, "{raw}");
    assert!(raw.starts_with("\u{1b}[1;36mframe 0001"), "{raw:?}");
}

#[test]
fn the_mouse_selects_while_its_button_is_down_and_only_where_it_went_down() {
    let mut window = Window::open(80, 24);
    let left = MouseButton::Left;
    let mut mouse = |done: &[(MouseEventKind, u16)]| {
        let event = |&(kind, row)| Event::Mouse(MouseEvent { kind, column: 10, row, modifiers: KeyModifiers::NONE });
        window.settle(done.iter().map(event).collect());
        window.text()
    };
    let seen =
        mouse(&[(MouseEventKind::Down(left), 14), (MouseEventKind::Drag(left), 16), (MouseEventKind::Up(left), 16)]);
    assert!(seen.contains("3 lines selected"), "{seen}");
    // A button that went down in another pane selects nothing here.
    let seen = mouse(&[(MouseEventKind::Down(left), 5), (MouseEventKind::Drag(left), 13)]);
    assert!(seen.contains("3 lines selected"), "{seen}");
    // Above the pane it scrolls.
    mouse(&[(MouseEventKind::Up(left), 13), (MouseEventKind::Down(left), 14)]);
    let seen =
        mouse(&[(MouseEventKind::Drag(left), 11), (MouseEventKind::Drag(left), 9), (MouseEventKind::Drag(left), 8)]);
    assert!(seen.contains("frozen") && seen.contains("lines selected"), "{seen}");
    window.keys("esc f");
    window.misses("selected");
    window.sees("following");
}
