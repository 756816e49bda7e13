//! What the main thread waits for in the kernel.
//!
//! What must stay true: the system call and its descriptor say what is waited for, the stack says where; what only one of
//! them says is no more than likely.

use super::view::{View, place, user_frame};
use super::working::NATIVE_ADVICE;
use super::{Finding, locks, words};
use crate::model::diagnosis::{Confidence, Doing, FdTarget, Gil, Place, ProcessEvidence, Syscall, ThreadEvidence};

/// What is known of the thread that waits.
struct Waiting<'v, 'a> {
    view: &'v View<'a>,
    at: Place,
    /// ` at render.py:88`, or nothing.
    said: String,
    sure: Confidence,
}

/// A main thread in the kernel's own wait: a disk or a file server, and nothing can interrupt it.
pub(super) fn in_kernel(view: &View<'_>) -> Option<Finding> {
    let thread = view.main_system().filter(|thread| thread.state == "D" && !super::view::busy(thread))?;
    let waiting = Waiting::new(view);
    let file = thread.syscall.as_ref().and_then(|call| file_of(call.target.as_ref()));
    let mut found = waiting.disk(thread.syscall.as_ref(), file);
    found.advice = "Not even SIGKILL ends it before the disk or the file server has answered: look there.".into();
    Some(found)
}

/// What a main thread that uses no CPU waits for.
pub(super) fn waiting(view: &View<'_>) -> Option<Finding> {
    let waiting = Waiting::new(view);
    let found = match view.main_system().and_then(|thread| Some((thread, thread.syscall.as_ref()?))) {
        Some((thread, call)) => waiting.in_call(thread, call),
        None => waiting.by_stack(),
    };
    found.map(|found| with_gil(view, found)).or_else(|| waiting.for_child())
}

/// A thread that waits and keeps the GIL keeps all of Python waiting, which matters more than how it waits.
fn with_gil(view: &View<'_>, mut found: Finding) -> Finding {
    let holder = view.threads().find(|thread| thread.gil == Some(true));
    let held = view.facts.stacks.moving != Some(true) && !view.answered();
    let Some(holder) = holder.filter(|_| held) else { return found };
    let said = words::at(&place(holder));
    match found.doing {
        Doing::Looping { .. } => found,
        Doing::Sleeping { .. } | Doing::Lock { .. } => {
            let who = if holder.main { String::new() } else { format!(" by thread {}", super::view::name(holder)) };
            let sure = if view.was_silent() { Confidence::Sure } else { Confidence::Likely };
            let says = format!(
                "In native code called{who} at {said}, which waits and holds the GIL: no other Python thread can run"
            );
            Finding::new(Doing::Computing { gil: Gil::Held }, sure, says, view.interrupted(NATIVE_ADVICE))
        }
        _ => {
            found.says = format!("{}, holding the GIL", found.says);
            found
        }
    }
}

impl<'v, 'a> Waiting<'v, 'a> {
    fn new(view: &'v View<'a>) -> Self {
        let at = view.main.map(place).unwrap_or_default();
        let said = if at.file.is_empty() { String::new() } else { format!(" at {}", words::at(&at)) };
        let sure = if view.main.is_some() { Confidence::Sure } else { Confidence::Likely };
        Self { view, at, said, sure }
    }

    fn in_call(&self, thread: &ThreadEvidence, call: &Syscall) -> Option<Finding> {
        match call.name.as_str() {
            "futex" | "futex_waitv" | "semop" | "semtimedop" => locks::waiting(self.view),
            "wait4" | "waitid" => Some(self.subprocess(self.named_child(call)?, self.sure)),
            "nanosleep" | "clock_nanosleep" => Some(self.sleeping(self.sure)),
            "pause" | "rt_sigtimedwait" | "rt_sigsuspend" => {
                let mut found = self.sleeping(Confidence::Likely);
                found.says = format!("Waiting{} for a signal", self.said);
                Some(found)
            }
            "open" | "openat" if thread.wait_channel.contains("partner") => {
                let path = match &call.target {
                    // What is named relative to a folder may be anything, but for that it waits for a partner.
                    Some(FdTarget::File { path: name, .. } | FdTarget::Other { name }) => name.clone(),
                    _ => "a FIFO".to_owned(),
                };
                Some(self.input(path.clone(), &format!("for another process to open {path}"), ""))
            }
            "flock" | "fcntl" => Some(self.file_lock(file_of(call.target.as_ref()))),
            "fsync" | "fdatasync" | "msync" | "sync" | "syncfs" | "io_getevents" | "io_uring_enter" => {
                Some(self.disk(Some(call), file_of(call.target.as_ref())))
            }
            _ => match &call.target {
                Some(target) => Some(self.on(thread, call, target)),
                None if is_multiplexing(&call.name) => Some(self.sleeping(self.sure)),
                None => None,
            },
        }
    }

    /// A call on a descriptor or a path.
    fn on(&self, thread: &ThreadEvidence, call: &Syscall, target: &FdTarget) -> Finding {
        let writes = call.name.contains("write") || call.name.starts_with("send");
        match target {
            FdTarget::Socket { protocol, local, peer, state } => {
                let (peer, says) = match (peer.as_str(), state.as_str()) {
                    ("", "LISTEN") => (local.clone(), format!("for somebody to connect to {local}")),
                    ("", _) => (local.clone(), format!("for anybody to send to {local} ({protocol})")),
                    (peer, "SYN_SENT") => (peer.to_owned(), format!("for {peer} to accept a connection ({protocol})")),
                    (peer, _) => (peer.to_owned(), format!("for {peer} to answer ({protocol})")),
                };
                self.network(peer, &says)
            }
            // Through such a socket asyncio wakes itself up.
            FdTarget::UnixSocket { path }
                if path.is_empty() && is_multiplexing(&call.name) && self.view.main.is_some_and(in_event_loop) =>
            {
                self.event_loop()
            }
            FdTarget::UnixSocket { path } if path.is_empty() => {
                self.network("a process on this machine".into(), "for a process on this machine, by an unnamed socket")
            }
            FdTarget::UnixSocket { path } => {
                self.network(path.clone(), &format!("for a process on this machine, by {path}"))
            }
            FdTarget::Pipe { other } => self.pipe(call, other.as_deref(), writes),
            FdTarget::Terminal { path } if !writes => {
                let from = if call.fd == Some(0) { "stdin".to_owned() } else { format!("the terminal {path}") };
                self.input(from, "for somebody to type", &format!(" into {path}"))
            }
            FdTarget::Terminal { path } => {
                self.input(format!("the terminal {path}"), "for the terminal to show its output", "")
            }
            // The kernel names a FIFO by its path, as it does a file.
            FdTarget::File { path, .. }
                if thread.wait_channel.contains("pipe") || thread.wait_channel.contains("fifo") =>
            {
                let says = if writes { format!("for {path} to be read") } else { format!("for input from {path}") };
                self.input(path.clone(), &says, "")
            }
            FdTarget::File { .. } => self.disk(Some(call), file_of(Some(target))),
            FdTarget::Other { .. } if is_multiplexing(&call.name) => {
                let mut found = self.sleeping(Confidence::Likely);
                found.says = format!("Waiting{} for events in an event loop", self.said);
                found
            }
            FdTarget::Other { name } => {
                let says = format!("Waiting{} in {} for {name}", self.said, call.name);
                Finding::new(Doing::Input { from: name.clone() }, Confidence::Guess, says, "")
            }
        }
    }

    fn pipe(&self, call: &Syscall, other: Option<&str>, writes: bool) -> Finding {
        let process = other.and_then(|name| self.view.process_called(name));
        if let Some(child) = process.filter(|process| self.view.is_below_interpreter(process)) {
            let certain = self.view.main.is_some_and(in_subprocess_module);
            return self.subprocess(child, if certain { Confidence::Sure } else { Confidence::Likely });
        }
        let end = match (call.fd, other) {
            (Some(0), _) => "stdin".to_owned(),
            (Some(1), _) => "its stdout".to_owned(),
            (Some(2), _) => "its stderr".to_owned(),
            (_, Some(other)) => format!("a pipe that {other} has"),
            (Some(fd), None) => format!("the pipe of descriptor {fd}"),
            (None, None) => "a pipe".to_owned(),
        };
        if writes {
            return self.input(end.clone(), &format!("for {end} to be read"), ", which is full");
        }
        self.input(end.clone(), &format!("for input from {end}"), "")
    }

    fn input(&self, from: String, says: &str, more: &str) -> Finding {
        let advice = if from == "stdin" {
            "Nothing will come unless somebody types it: a farm job should not ask."
        } else {
            "See who should write or read the other end, and whether it still lives."
        };
        Finding::new(Doing::Input { from }, self.sure, format!("Waiting{} {says}{more}", self.said), advice)
    }

    fn network(&self, peer: String, says: &str) -> Finding {
        let interrupt = self.view.interrupted("An interrupt ends the wait and keeps what is loaded.");
        let advice = format!("See whether {peer} is there and works. {interrupt}");
        Finding::new(Doing::Network { peer }, self.sure, format!("Waiting{} {says}", self.said), advice)
    }

    fn disk(&self, call: Option<&Syscall>, file: Option<(String, bool)>) -> Finding {
        let doing = call.map_or(String::new(), |call| format!(" in {}", call.name));
        let (whom, advice) = match &file {
            Some((_, true)) => ("a file server", "See whether the file server answers."),
            _ => ("a disk", "See whether the disk works, and who else keeps it busy."),
        };
        let of = file.as_ref().map_or_else(String::new, |(path, _)| format!(" for {path}"));
        let says = format!("Waiting{} for {whom}{doing}{of}", self.said);
        let sure = if file.is_some() { self.sure } else { Confidence::Likely };
        Finding::new(Doing::Disk { file: file.map(|(path, _)| path) }, sure, says, advice)
    }

    fn file_lock(&self, file: Option<(String, bool)>) -> Finding {
        let of = file.map_or_else(|| "a file".to_owned(), |(path, _)| path);
        let says = format!("Waiting{} for another process to unlock {of}", self.said);
        let advice = "`lslocks` says who has it.";
        Finding::new(Doing::Lock { holder: None, at: self.at.clone() }, self.sure, says, advice)
    }

    fn sleeping(&self, confidence: Confidence) -> Finding {
        let says = format!("Sleeping{}, because the code there says so", self.said);
        let advice = self.view.interrupted("An interrupt ends the sleep and keeps what is loaded.");
        Finding::new(Doing::Sleeping { at: self.at.clone() }, confidence, says, advice)
    }

    fn event_loop(&self) -> Finding {
        let says = format!("Waiting{} in its event loop: none of its tasks can go on", self.said);
        let interrupt = self.view.interrupted("An interrupt ends the loop.");
        let advice = format!("See what its tasks and the other threads wait for. {interrupt}");
        Finding::new(Doing::Sleeping { at: self.at.clone() }, Confidence::Likely, says, advice)
    }

    fn subprocess(&self, child: &ProcessEvidence, confidence: Confidence) -> Finding {
        let (pid, name) = (child.pid, child.name.clone());
        let does = match child.state.as_str() {
            "T" | "t" => ", which is stopped".to_owned(),
            "D" => ", which waits for a disk".to_owned(),
            "Z" => ", which has ended".to_owned(),
            _ if child.cpu >= 1.0 => format!(", which uses {} of a core", words::percent(child.cpu)),
            _ => ", which uses no CPU".to_owned(),
        };
        let says = format!("Waiting{} for process {pid} ({name}){does}", self.said);
        let advice = format!("See what process {pid} does: `{}`.", child.command.chars().take(200).collect::<String>());
        Finding::new(Doing::Subprocess { pid, name }, confidence, says, advice)
    }

    /// The child that such a call names, else the one that it most probably waits for.
    fn named_child(&self, call: &Syscall) -> Option<&'a ProcessEvidence> {
        let named = match &call.target {
            Some(FdTarget::Other { name }) => self.view.process_called(name),
            _ => None,
        };
        named.or_else(|| self.view.likely_child())
    }

    /// Where the system call is not known: by what the innermost line says.
    fn by_stack(&self) -> Option<Finding> {
        let main = self.view.main?;
        let frame = main.frames.last()?;
        if in_subprocess_module(main) {
            return self.for_child();
        }
        if locks::is_lock_line(frame) || main.waits.is_some() {
            return locks::waiting(self.view);
        }
        user_frame(main).filter(|frame| frame.source.contains("sleep(")).map(|_| self.sleeping(Confidence::Likely))
    }

    /// The `subprocess` module is on the stack, and there is a child.
    fn for_child(&self) -> Option<Finding> {
        self.view.main.filter(|main| in_subprocess_module(main))?;
        Some(self.subprocess(self.view.likely_child()?, Confidence::Likely))
    }
}

/// Whether `asyncio` or another loop on `selectors` is on the stack; `multiprocessing` uses the latter to wait for others.
fn in_event_loop(thread: &crate::model::diagnosis::ThreadStack) -> bool {
    let has = |part: &str| thread.frames.iter().any(|frame| frame.file.contains(part));
    has("/asyncio/") || (has("/selectors.py") && !has("/multiprocessing/"))
}

fn in_subprocess_module(thread: &crate::model::diagnosis::ThreadStack) -> bool {
    thread.frames.iter().rev().take(8).any(|frame| frame.file.ends_with("/subprocess.py"))
}

fn is_multiplexing(name: &str) -> bool {
    ["poll", "select", "epoll"].iter().any(|kind| name.contains(kind))
}

fn file_of(target: Option<&FdTarget>) -> Option<(String, bool)> {
    match target {
        Some(FdTarget::File { path, remote }) => Some((path.clone(), *remote)),
        _ => None,
    }
}
