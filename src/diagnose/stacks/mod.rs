//! The Python stacks of the child, by three means that fail at different times.
//!
//! What must stay true: each means says why it failed and what it cost; and what two of them tell of a thread is put
//! together by the thread's identifier, never by its place in a list.

pub(super) mod outside;
pub(super) mod signal;
mod source;

pub use source::Sources;

use crate::model::Frame;
use crate::model::diagnosis::ThreadStack;

/// What the child told of its threads, with what was seen from outside of the same ones. Threads that only one side
/// knows are kept: one may have begun or ended meanwhile, and the child may leave some out.
pub(super) fn merge(inside: Vec<ThreadStack>, outside: &[ThreadStack]) -> Vec<ThreadStack> {
    let known = |ident: Option<u64>, threads: &[ThreadStack]| {
        ident.is_some() && threads.iter().any(|thread| thread.ident == ident)
    };
    let mut rest: Vec<ThreadStack> =
        outside.iter().filter(|thread| !known(thread.ident, &inside) && !thread.main).cloned().collect();
    let mut merged: Vec<ThreadStack> = inside
        .into_iter()
        .map(|mut thread| {
            let same = |other: &&ThreadStack| thread.ident.is_some() && other.ident == thread.ident;
            if let Some(other) = outside.iter().find(same) {
                thread.gil = other.gil.or(thread.gil);
                thread.active = other.active.or(thread.active);
                thread.moving = other.moving.or(thread.moving);
                thread.tid = thread.tid.or(other.tid);
                thread.ours |= other.ours;
                if thread.name.is_empty() {
                    thread.name.clone_from(&other.name);
                }
            }
            thread
        })
        .collect();
    merged.append(&mut rest);
    merged.sort_by_key(|thread| !thread.main);
    merged
}

/// Whether a file is the bootstrapper's, under whatever name a host has run it.
pub(super) fn is_bootstrapper(file: &str) -> bool {
    file.ends_with("child_bootstrapper.py") || file == "<childminder>"
}

/// A stack, outermost first, without what lies below the command that it runs: the host's frames and the bootstrapper's
/// say nothing about it. All of it where no command runs. The child leaves them out as well.
pub(super) fn of_command(mut frames: Vec<Frame>) -> Vec<Frame> {
    let calls = |pair: &[Frame]| is_bootstrapper(&pair[0].file) && !is_bootstrapper(&pair[1].file);
    if let Some(caller) = frames.windows(2).rposition(calls) {
        frames.drain(..=caller);
    }
    frames
}

/// Bounds what somebody else told.
pub(super) fn bound(threads: &mut Vec<ThreadStack>) {
    const THREADS_MAX: usize = 256;
    const FRAMES_MAX: usize = 400;
    const TEXT_MAX: usize = 4096;
    threads.truncate(THREADS_MAX);
    for thread in threads {
        cut(&mut thread.name, TEXT_MAX);
        if thread.frames.len() > FRAMES_MAX {
            // The outermost say where it began, the innermost where it is.
            let left_out = thread.frames.len() - FRAMES_MAX;
            let middle = FRAMES_MAX / 2;
            let note = Frame { function: format!("… {left_out} more"), ..Frame::default() };
            thread.frames.splice(middle..middle + left_out, [note]);
        }
        for frame in &mut thread.frames {
            cut(&mut frame.file, TEXT_MAX);
            cut(&mut frame.function, TEXT_MAX);
            cut(&mut frame.source, TEXT_MAX);
        }
    }
}

fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(ident: u64, main: bool) -> ThreadStack {
        ThreadStack { ident: Some(ident), main, ..ThreadStack::default() }
    }

    #[test]
    fn threads_are_put_together_by_identifier() {
        let inside = vec![ThreadStack { name: "MainThread".into(), ..thread(1, true) }, thread(2, false)];
        let outside = [
            ThreadStack { gil: Some(false), tid: Some(12), ..thread(2, false) },
            ThreadStack { gil: Some(true), tid: Some(11), ..thread(1, true) },
            thread(3, false),
        ];
        let merged = merge(inside, &outside);
        let told: Vec<_> = merged.iter().map(|thread| (thread.ident, thread.gil, thread.tid)).collect();
        assert_eq!(told, [(Some(1), Some(true), Some(11)), (Some(2), Some(false), Some(12)), (Some(3), None, None)]);
        assert_eq!(merged[0].name, "MainThread");
    }

    #[test]
    fn what_lies_below_a_command_is_left_out() {
        let stack = |files: &[&str]| -> Vec<Frame> {
            files.iter().map(|file| Frame { file: (*file).into(), ..Frame::default() }).collect()
        };
        let ours = "/tmp/x.d/child_bootstrapper.py";
        assert_eq!(of_command(stack(&["host.py", ours, ours, "<command 1>", "a.py"])), stack(&["<command 1>", "a.py"]));
        // A handler of ours on top of it.
        assert_eq!(of_command(stack(&[ours, "<command 1>", ours])), stack(&["<command 1>", ours]));
        assert_eq!(of_command(stack(&[ours, ours])), stack(&[ours, ours]));
        assert_eq!(of_command(stack(&["a.py"])), stack(&["a.py"]));
        assert_eq!(of_command(Vec::new()), []);
    }

    #[test]
    fn a_deep_stack_keeps_both_ends() {
        let frame = |line| Frame { line, ..Frame::default() };
        let mut threads = vec![ThreadStack { frames: (1..=1000).map(frame).collect(), ..thread(1, true) }];
        bound(&mut threads);
        let frames = &threads[0].frames;
        assert_eq!((frames.len(), frames[0].line, frames[400].line), (401, 1, 1000));
        assert_eq!(frames[200].function, "… 600 more");
    }
}
