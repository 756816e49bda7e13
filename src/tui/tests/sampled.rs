//! The panes of what is sampled.

use super::fake::at;
use super::harness::Window;
use super::{looks, used};
use crate::model::UsagePoint;
use crate::model::proto::Request;
use crate::tui::layout::Pane;

#[test]
fn the_plot_at_every_size() {
    for (width, height) in looks::SIZES {
        let mut window = Window::open(width, height);
        window.keys("8");
        looks::look(&format!("usage_{width}x{height}"), &window);
    }
    let mut window = Window::open(160, 50);
    window.keys("8 z");
    looks::look("usage_zoomed_160x50", &window);
}

/// Questions for the plot so far.
fn plots(window: &Window) -> usize {
    window.session.all().iter().filter(|request| matches!(request, Request::Usage { most, .. } if *most > 60)).count()
}

#[test]
fn the_plot_asks_once_a_second_while_it_is_seen_only() {
    let mut window = Window::open(80, 24);
    let sample = |window: &mut Window, second: f64| {
        window.session.change(|summary| {
            summary.now = at(second);
            summary.usage = Some(UsagePoint { wall: at(second), ..used::newest() });
        });
        window.settle(Vec::new());
    };
    sample(&mut window, 64.0);
    assert_eq!(plots(&window), 0);
    window.keys("8");
    assert_eq!((window.driver.model.focus(), plots(&window)), (Pane::Usage, 1));
    for tenth in 0..5 {
        sample(&mut window, 64.1 + f64::from(tenth) / 10.0);
    }
    assert_eq!(plots(&window), 1, "not more often");
    Window::later(2);
    sample(&mut window, 66.0);
    assert_eq!(plots(&window), 2);
    window.keys("- -");
    window.sees("all of it");
    assert_eq!(plots(&window), 4);
    window.keys("3");
    Window::later(10);
    sample(&mut window, 75.0);
    assert_eq!(plots(&window), 4, "out of sight");
}

#[test]
fn the_cursor_tells_of_its_time_and_its_item() {
    let mut window = Window::open(160, 50);
    window.keys("8 z -");
    window.sees("item frame 0013 · 1 proc");
    window.keys("left left left");
    window.sees("item frame 0010 · 2 proc");
    window.keys("esc");
    window.sees("item frame 0013 · 1 proc");
}

#[test]
fn names_are_listed_filtered_and_typed_into_the_prompt() {
    for (width, height) in looks::SIZES {
        let mut window = Window::open(width, height);
        window.keys("M");
        looks::look(&format!("names_{width}x{height}"), &window);
    }
    let mut window = Window::open(80, 24);
    window.keys("M");
    window.types("scen");
    window.sees("tracer.Scene");
    window.misses("numpy.ndarray");
    window.keys("enter");
    assert_eq!((window.driver.model.focus(), window.driver.model.prompt.text().as_str()), (Pane::Prompt, "scene"));
}

#[test]
fn a_child_that_cannot_answer_is_told_of() {
    let mut window = Window::open(80, 24);
    window.session.refuse("the child has not answered: something in it keeps Python from running");
    window.keys("M");
    window.sees("something in it keeps Python from running");
    window.session.refuse("");
    window.keys("f5");
    window.sees("numpy.ndarray");
    window.misses("keeps Python");
    window.keys("esc");
    window.session.end(0, "done");
    window.settle(Vec::new());
    window.keys("M");
    window.sees("there is no child to ask");
}

#[test]
fn where_the_time_goes_at_every_size() {
    for (width, height) in looks::SIZES {
        let mut window = Window::open(width, height);
        window.keys("7");
        looks::look(&format!("hot_{width}x{height}"), &window);
        window.keys("v down down right");
        looks::look(&format!("flame_{width}x{height}"), &window);
    }
    let mut window = Window::with(80, 24, false, false);
    window.keys("7 v a down");
    looks::look("flame_mono_80x24", &window);
}

fn samplings(window: &Window) -> Vec<Request> {
    window.session.all().into_iter().filter(|request| matches!(request, Request::Hot { .. })).collect()
}

#[test]
fn a_child_is_sampled_only_while_that_is_seen() {
    let mut window = Window::open(80, 24);
    assert_eq!(samplings(&window), []);
    window.keys("7");
    assert_eq!(samplings(&window).len(), 1);
    window.keys("r");
    assert_eq!(samplings(&window).last(), Some(&Request::Hot { reset: true }));
    window.keys("3");
    let before = samplings(&window).len();
    Window::later(5);
    window.keys("4");
    assert_eq!(samplings(&window).len(), before);
    window.session.refuse("the child may not be looked at: no ptrace permission");
    window.keys("7 r");
    window.sees("no ptrace permission");
    window.session.end(0, "done");
    window.settle(Vec::new());
    window.keys("r");
    window.sees("there is no child to ask");
}

#[test]
fn folded_stacks_go_into_a_file_which_is_not_written_over_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stacks");
    let mut window = Window::open(80, 24);
    let save = |window: &mut Window| {
        window.keys("7 ctrl-s ctrl-u");
        window.types(path.to_str().unwrap());
        window.keys("enter");
    };
    save(&mut window);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("MainThread;<module> (<command 14>:1);render (tracer.py:214);trace (tracer.py:101) 40\n"),
        "{text}"
    );
    std::fs::write(&path, "mine").unwrap();
    save(&mut window);
    window.sees("Overwrite the file?");
    window.keys("esc");
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    save(&mut window);
    window.keys("o");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn marked_commands_are_added_to_a_python_file_or_to_a_phase() {
    let folder = tempfile::tempdir().unwrap();
    let (python, job) = (folder.path().join("kept.py"), folder.path().join("job.toml"));
    let mut window = Window::open(160, 50);
    let add = |window: &mut Window, keys: &str, path: &std::path::Path| {
        window.keys(&format!("2 ctrl-s {keys} ctrl-u"));
        window.types(path.to_str().unwrap());
        window.keys("enter");
    };
    window.keys("2 home m m");
    window.sees(" 1*✓ init");
    window.sees(" 2*✓ setup");
    window.keys("ctrl-s");
    window.sees("add 2 commands to (Tab: Python file): recorded.py");
    window.keys("esc");
    std::fs::write(&python, "import os\n").unwrap();
    add(&mut window, "esc ctrl-s", &python);
    window.sees("written to");
    let text = std::fs::read_to_string(&python).unwrap();
    assert!(text.starts_with("import os\n\n# command 1, "), "{text}");
    assert!(text.ends_with("\nscene = tracer.load('demo')\n"), "{text}");
    window.misses(" 1*✓");

    window.keys("home");
    std::fs::write(&job, "# mine\n[phases]\nsetup = ['print(1)']\n[agenda]\n").unwrap();
    add(&mut window, "tab", &job);
    let text = std::fs::read_to_string(&job).unwrap();
    assert!(text.starts_with("# mine\n") && text.contains("import tracer"), "{text}\n{}", window.text());
    add(&mut window, "tab", &python);
    window.sees("a .py file has no phases");
}
