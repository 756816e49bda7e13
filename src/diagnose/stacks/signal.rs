//! Stacks by signal: Python's `faulthandler` writes them to a file of ours, whoever holds the GIL.
//!
//! What must stay true: SIGUSR1 kills a process that does not catch it, so it is sent only to exactly the process that
//! said it would catch it, and only while the kernel says so too.

use crate::child::proc::ProcessId;
use crate::child::sys;
use crate::model::Frame;
use crate::model::diagnosis::{Place, ThreadStack};
use nix::sys::signal::Signal;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long one waits for the stacks.
const PATIENCE: Duration = Duration::from_millis(300);

/// The file is looked at so often: it is written line by line, and nothing says which is the last.
const LOOK: Duration = Duration::from_millis(5);

/// When it has not grown for so many looks, all has been written.
const STILL: u32 = 4;

/// `faulthandler` writes at most a hundred threads of a hundred frames.
const DUMP_MAX: u64 = 4 << 20;

/// Has the process write its stacks, and reads them.
pub(in crate::diagnose) fn see(who: ProcessId, file: &Path) -> Result<Vec<ThreadStack>, String> {
    // Nothing but a file is opened in earnest: a pipe put in its place would hang us.
    let opened = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(file);
    let opened = opened.map_err(|e| format!("its file for stacks cannot be read ({e})"))?;
    let before = length(&opened).map_err(|e| format!("its file for stacks cannot be read ({e})"))?;
    ask(who)?;
    let begun = Instant::now();
    let (mut last, mut still) = (before, 0);
    while still < STILL {
        if begun.elapsed() > PATIENCE && last == before {
            return Err(format!("it wrote no stacks within {} ms", PATIENCE.as_millis()));
        }
        if begun.elapsed() > PATIENCE * 2 {
            break;
        }
        std::thread::sleep(LOOK);
        let now = length(&opened).map_err(|e| e.to_string())?;
        still = if now > before && now == last { still + 1 } else { 0 };
        last = now;
    }
    let mut bytes = vec![0; usize::try_from(last.saturating_sub(before).min(DUMP_MAX)).unwrap_or(0)];
    opened.read_exact_at(&mut bytes, before).map_err(|e| format!("its file for stacks cannot be read ({e})"))?;
    let threads = parse(&String::from_utf8_lossy(&bytes));
    if threads.is_empty() { Err("what it wrote holds no stacks".into()) } else { Ok(threads) }
}

fn length(file: &File) -> io::Result<u64> {
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok(metadata.len()) } else { Err(io::Error::other("it is no file")) }
}

fn ask(who: ProcessId) -> Result<(), String> {
    let pidfd = sys::pidfd_open(who.pid).map_err(|e| format!("process {} is gone ({e})", who.pid))?;
    if ProcessId::now(who.pid) != Some(who) {
        return Err(format!("process {} is gone", who.pid));
    }
    let status = fs::read_to_string(format!("/proc/{}/status", who.pid)).unwrap_or_default();
    if !catches(&status, Signal::SIGUSR1) {
        return Err("it does not catch SIGUSR1 any more, which would kill it".into());
    }
    sys::pidfd_signal(pidfd.as_fd(), Signal::SIGUSR1).map_err(|e| format!("it may not be signalled ({e})"))
}

fn catches(status: &str, signal: Signal) -> bool {
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    caught >> (signal as i32 - 1) & 1 == 1
}

/// The text that `faulthandler` writes, innermost frame first; the main thread is the one that began first, which it
/// writes last.
pub(in crate::diagnose) fn parse(text: &str) -> Vec<ThreadStack> {
    let mut threads: Vec<ThreadStack> = Vec::new();
    for line in text.lines() {
        if let Some(thread) = heading(line) {
            threads.push(thread);
        } else if let (Some(place), Some(thread)) = (place(line), threads.last_mut()) {
            thread.frames.push(Frame {
                file: place.file,
                line: place.line,
                function: place.function,
                ..Frame::default()
            });
        }
    }
    for thread in &mut threads {
        thread.frames.reverse();
        thread.frames = super::of_command(std::mem::take(&mut thread.frames));
        thread.ours = super::outside::is_ours(&thread.name);
    }
    if let Some(mut main) = threads.pop() {
        main.main = true;
        threads.insert(0, main);
    }
    threads
}

/// `Current thread 0x00007f8d7d868b80 [name] (most recent call first):`.
fn heading(line: &str) -> Option<ThreadStack> {
    let rest = line.strip_prefix("Current thread ").or_else(|| line.strip_prefix("Thread "))?;
    let (ident, rest) = rest.strip_prefix("0x")?.split_once(' ')?;
    let (name, _) = rest.rsplit_once("(most recent call first")?;
    let name = name.trim().strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or_default();
    let ident = u64::from_str_radix(ident, 16).ok();
    Some(ThreadStack { name: name.to_owned(), ident, ..ThreadStack::default() })
}

/// `  File "x", line N in func`.
fn place(line: &str) -> Option<Place> {
    let (file, rest) = line.strip_prefix("  File \"")?.rsplit_once("\", line ")?;
    let (line, function) = rest.split_once(" in ").unwrap_or((rest, ""));
    Some(Place { file: file.to_owned(), line: line.parse().ok()?, function: function.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_python_writes_is_read() {
        let text = "Thread 0x00007fb7ae4666c0 [my worker] (most recent call first):\n  File \"/a \\\"b.py\", line 864 in run\n  \
                    File \"/t.py\", line 1 in _bootstrap\n\nCurrent thread 0x7F75C58C9780 (most recent call first, approximate \
                    line numbers):\n  File \"<command 2>\", line 5 in <module>\n  ...\n";
        let threads = parse(text);
        assert_eq!(threads.len(), 2);
        let (main, worker) = (&threads[0], &threads[1]);
        assert!(main.main && !worker.main);
        assert_eq!(
            (main.ident, main.frames[0].file.as_str(), main.frames[0].line),
            (Some(0x7F75_C58C_9780), "<command 2>", 5)
        );
        assert_eq!(worker.name, "my worker");
        let places: Vec<(&str, u32)> =
            worker.frames.iter().map(|frame| (frame.function.as_str(), frame.line)).collect();
        assert_eq!(places, [("_bootstrap", 1), ("run", 864)]);
    }

    #[test]
    fn what_is_no_dump_holds_no_stacks() {
        assert_eq!(parse("  File \"x\", line 1 in f\nrubbish\nThread xyz\n"), []);
        assert_eq!(parse(""), []);
    }

    #[test]
    fn only_a_caught_signal_counts() {
        assert!(catches("SigCgt:\t0000000000000200\n", Signal::SIGUSR1));
        assert!(!catches("SigIgn:\t0000000000000200\nSigCgt:\t0000000000000002\n", Signal::SIGUSR1));
        assert!(!catches("", Signal::SIGUSR1));
    }
}
