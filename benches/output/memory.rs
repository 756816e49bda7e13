//! What an engine that was resumed on a session with a million commands keeps in memory while it runs more of them, and
//! what a window on it and a replay of it do.

use super::attach::is_painted;
use super::folder;
use super::session::{Running, memory, until};
use super::table::row;
use super::window::{Seen, Window};
use childminder::store::{JournalReader, recover};
use std::time::Duration;

/// Items that are run while the engine is looked at.
const MORE: u32 = 3_000;
/// How long a window may take to show something.
const PATIENCE: Duration = Duration::from_mins(1);
/// Moves about in the output and the agenda: to the beginning, to the end, pages up and down.
const KEYS: [&str; 8] = ["3", "g", "\x1b[6~", "\x1b[6~", "1", "g", "\x1b[6~", "G"];

/// Moves through the time of a recording: to its middle, the next item, its beginning and its end.
const THROUGH_TIME: [&str; 4] = ["@50%\r", "}", "^", "$"];

/// Measures all three.
pub(crate) fn measure() {
    let made = folder::made();
    let before = JournalReader::open(&made.folder.journal()).and_then(|journal| journal.length()).expect("a journal");
    let running = Running::resume(&made);
    let mut window = Window::open(&made.data, &["attach", made.folder.id()]);
    move_about(&mut window);
    // An item is six events of about a hundred bytes.
    until("more items were run", || {
        let now = JournalReader::open(&made.folder.journal()).and_then(|journal| journal.length());
        now.expect("a journal") > before + u64::from(MORE) * 600
    });
    let (engine, client) = (running.pid(), window.pid());
    let size = format!("{} MB of output, {} commands and items", made.output / 1_000_000, made.commands);
    tell(&format!("memory of an engine resumed on {size}"), engine, "≤ 150 MB");
    tell(&format!("memory of a window on {size}"), client, "≤ 50 MB");
    row(
        "the same engine, from its start until clients can come",
        &format!("{:.0} ms", running.opened.as_secs_f64() * 1e3),
        "–",
        "–",
        "reported",
    );
    window.close();
    running.stop();
    let mut replay = Window::open(&made.data, &["replay", made.folder.id()]);
    replay.frame(PATIENCE, is_painted).expect("it shows the session");
    for key in THROUGH_TIME {
        let before = event(&replay.seen());
        replay.press(key);
        replay.frame(PATIENCE, |seen| event(seen).is_some_and(|now| Some(now) != before)).expect("it goes there");
    }
    move_about(&mut replay);
    tell(&format!("memory of a replay of {size}"), replay.pid(), "≤ 150 MB");
    replay.close();
    let state = recover(&made.folder).expect("it can be read").state;
    assert!(state.commands.len() as u64 > u64::from(made.commands) + u64::from(MORE) / 2, "items were run");
}

fn move_about(window: &mut Window) {
    window.frame(PATIENCE, is_painted).expect("it shows the session");
    for key in KEYS {
        let frames = window.seen().frames.len();
        window.press(key);
        window.frame(PATIENCE, |seen| seen.frames.len() > frames).expect("it goes on");
    }
}

/// The event at which a recording is looked at; none while it is on its way to another.
fn event(seen: &Seen) -> Option<String> {
    let lines = seen.lines();
    let line = lines.iter().find(|line| line.starts_with(" ⏸") && !line.contains("seeking"))?;
    Some(line.rsplit_once("event ")?.1.to_owned())
}

fn tell(what: &str, pid: u32, target: &str) {
    let [now, most] = ["VmRSS", "VmHWM"].map(|figure| memory(pid, figure) as f64 / 1e3);
    row(what, &format!("{now:.0} MB, at most {most:.0} MB"), "–", "–", target);
}
