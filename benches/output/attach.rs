//! From the start of a program until its window shows the agenda and the output of a session with a million commands, be
//! it live or replayed.

use super::folder::{self, Made};
use super::session::Running;
use super::table::{median, row};
use super::window::{Seen, Window};
use std::path::Path;
use std::time::Duration;

/// How often.
const ROUNDS: usize = 5;
/// How long a first paint may take before nobody believes in it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Attaches to an engine that was resumed on the big folder.
pub(crate) fn measure() {
    let made = folder::made();
    let running = Running::resume(&made);
    rounds(&made, "attach to", "attach");
    running.stop();
}

/// Replays the big folder.
pub(crate) fn measure_replay() {
    rounds(&folder::made(), "replay of", "replay");
}

fn rounds(made: &Made, what: &str, command: &str) {
    let times = (0..ROUNDS).map(|_| first_paint(&made.data, &[command, made.folder.id()])).collect();
    row(
        &format!("{what} a session of {} MB and {} commands, first paint", made.output / 1_000_000, made.commands),
        &format!("{:.0} ms", median(times)),
        "–",
        "–",
        "≤ 300 ms",
    );
}

/// Milliseconds from the start of `childminder ARGS` until all of its window is there.
pub(crate) fn first_paint(data: &Path, args: &[&str]) -> f64 {
    let window = Window::open(data, args);
    let whole = window.frame(PATIENCE, is_painted);
    let whole = whole.unwrap_or_else(|| panic!("nothing is shown:\n{}", window.seen().lines().join("\n")));
    let took = whole.duration_since(window.begun).as_secs_f64() * 1e3;
    window.close();
    took
}

/// Whether rows of the agenda and lines of output are shown.
pub(crate) fn is_painted(seen: &Seen) -> bool {
    let lines = seen.lines();
    let any = |texts: &[&str]| lines.iter().any(|line| texts.iter().any(|text| line.contains(text)));
    any(&["complete ", "pending "]) && any(&[" tile ", "| Sample "])
}
