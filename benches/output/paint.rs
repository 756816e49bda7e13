//! From a key to the frame that shows what it did, while the child floods a session of more than ten million lines; and
//! how often the window is drawn when nobody types.

use super::attach::is_painted;
use super::folder;
use super::session::Running;
use super::table::row;
use super::window::{Seen, Window};
use std::time::{Duration, Instant};

/// Prints whole blocks of lines as fast as they are taken, so many bytes in all, and then waits to be stopped.
const FLOOD: &str = r"
import os, time
block = ''.join('%06d  Mem:812.01M (Peak 900.12M) | Time:00:04.12 | Scene, ViewLayer | tile %d\n' % (n, n) for n in range(3200)).encode()
left = BYTES
while left > 0:
    left -= os.write(1, block)
time.sleep(600)
";
/// Bytes of the flood.
const BYTES: u64 = 6_000_000_000;
/// How long frames are counted.
const COUNTED: Duration = Duration::from_secs(3);
/// How long the frame after a key may take before it counts as never.
const PATIENCE: Duration = Duration::from_secs(2);
/// Keys that are timed at most.
const KEYS: usize = 400;
/// How far from the end, in screens, the keys go.
const SCREENS: i32 = 40;
const PAGE_UP: &str = "\x1b[5~";
const PAGE_DOWN: &str = "\x1b[6~";

/// Measures both.
pub(crate) fn measure() {
    let made = folder::made();
    let running = Running::resume(&made);
    let mut window = Window::open(&made.data, &["attach", made.folder.id()]);
    window.frame(PATIENCE, is_painted).expect("it shows the session");
    let mut exec = running.cli(&["exec", "--session", made.folder.id(), &FLOOD.replace("BYTES", &BYTES.to_string())]);
    window.press("3z");
    window.frame(PATIENCE, |seen| pane(seen).iter().all(|line| line.contains("Peak"))).expect("it follows the flood");
    let frames = window.seen().frames.len();
    std::thread::sleep(COUNTED);
    let frames = (window.seen().frames.len() - frames) as f64 / COUNTED.as_secs_f64();
    let mut times = keys(&mut window, &made.folder.output(childminder::model::Stream::Stdout), made.output + BYTES);
    times.sort_by(f64::total_cmp);
    let share = |share: usize| times.get((times.len() * share / 100).min(times.len() - 1)).copied().unwrap_or(f64::NAN);
    let what = format!("a flood onto {} million lines", made.output / 70 / 1_000_000);
    row(
        &format!("key → frame that shows it, {what}, {} keys", times.len()),
        &format!("p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms", share(50), share(99), share(100)),
        "–",
        "–",
        "p99 ≤ 16 ms",
    );
    row(&format!("frames a second while following {what}"), &format!("{frames:.1}"), "–", "–", "≤ 30");
    window.close();
    exec.kill().expect("killed");
    exec.wait().expect("ended");
    running.stop();
}

/// Milliseconds from each key to its frame, as long as the log grows.
fn keys(window: &mut Window, log: &std::path::Path, full: u64) -> Vec<f64> {
    for _ in 0..SCREENS / 2 {
        press(window, PAGE_UP);
    }
    let (mut times, mut screen, mut mixed) = (Vec::new(), SCREENS / 2, 1u32);
    while times.len() < KEYS && log.metadata().expect("a log").len() < full * 99 / 100 {
        mixed = mixed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        std::thread::sleep(Duration::from_micros(u64::from(mixed >> 17)));
        let (key, by) = match mixed >> 8 & 3 {
            0 if screen > 2 => (PAGE_DOWN, -1),
            1 if screen < SCREENS => (PAGE_UP, 1),
            2 => ("j", 0),
            _ => ("k", 0),
        };
        screen += by;
        times.push(press(window, key));
    }
    times
}

/// Presses a key that scrolls; milliseconds until the screen shows it.
fn press(window: &mut Window, key: &str) -> f64 {
    let before = pane(&window.seen());
    let pressed = Instant::now();
    window.press(key);
    let shown = window.frame(PATIENCE, |seen| pane(seen) != before);
    shown.map_or(PATIENCE.as_secs_f64() * 1e3, |shown| shown.duration_since(pressed).as_secs_f64() * 1e3)
}

/// What stands in the middle of the screen, where the output is.
fn pane(seen: &Seen) -> Vec<String> {
    seen.lines().drain(8..40).collect()
}
