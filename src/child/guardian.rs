//! The guardian: a process of ours that outlives a killed engine just long enough to end what the engine started.
//!
//! The kernel kills the child when the engine dies, but not the child's children. The guardian holds the other end of a
//! pipe: when it closes and nobody has said *bye*, the engine is gone, and the guardian kills the child's session and
//! everything that carries the marker and was started by that engine: another one may have taken the session up by then.
//!
//! What must stay true: the guardian is in a session of its own, unmarked, deaf to what ends a terminal's processes,
//! and holds none of the engine's files; it never kills before the pipe has closed.

use super::own::Role;
use super::proc::ProcessId;
use super::process::Leader;
use super::sys::{self, Fate};
use super::tree::{self, Family};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, BufRead, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

/// How long a guardian that was told to go may take, in milliseconds; it is left to init after that.
const FAREWELL_MS: u16 = 500;

/// How long it tries to end what a killed engine left behind.
const PATIENCE: Duration = Duration::from_secs(10);

/// For how long it must have found nobody before it believes that: a process that is just being forked, or becoming another
/// program, is not seen to carry anything, and its parent may be dead by then. On a busy machine that takes its time.
const CALM: Duration = Duration::from_millis(500);

/// The engine's end. Dropping it is the orderly end: the guardian goes and kills nobody.
#[derive(Debug)]
pub struct Guardian {
    leader: Leader,
    pipe: Option<ChildStdin>,
}

impl Guardian {
    /// Starts `program args… marker`, which must come to [`guardian_main`]. `/proc/self/exe` is the program that stays
    /// the same when the binary is replaced.
    pub fn start(program: &Path, args: &[&str], marker: &str) -> io::Result<Self> {
        sys::keep_exit_codes()?;
        let mut command = Command::new(program);
        command.args(args).arg(marker).env_clear().current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        sys::isolate(&mut command, Fate::OutlivesUs, None);
        let own = ProcessId::own().ok_or_else(|| io::Error::other("/proc/self/stat cannot be read"))?;
        let (leader, mut child) = Leader::spawn(&mut command, Role::Guardian)?;
        let pipe = child.stdin.take();
        if let Some(pipe) = &pipe {
            // A guardian that somebody has stopped must not stop the engine.
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        let mut guardian = Self { leader, pipe };
        guardian.tell(&Word::Engine(own))?;
        Ok(guardian)
    }

    /// Its number, to be recorded.
    pub fn pid(&self) -> u32 {
        self.leader.id().pid
    }

    /// Has it end this process's session too, should the engine die. Fails when the guardian is gone.
    pub fn watch(&mut self, pid: u32, start_time: u64) -> io::Result<()> {
        self.tell(&Word::Watch(ProcessId { pid, start_time }))
    }

    /// Has it forget the process: what follows under its pid is somebody else's. The marker still counts.
    pub fn unwatch(&mut self) {
        // A guardian that is gone has nothing to forget.
        let _ = self.tell(&Word::Unwatch);
    }

    /// Done when the guardian has ended. Fails outside of a runtime that does I/O.
    pub fn ended(&self) -> io::Result<impl Future<Output = ()> + Send + use<>> {
        let end = sys::await_end(self.leader.pidfd().try_clone()?)?;
        Ok(async move {
            // An error here means that nobody can tell; then it is taken for gone.
            let _ = end.readable().await;
        })
    }

    fn tell(&mut self, word: &Word) -> io::Result<()> {
        let pipe = self.pipe.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        // Shorter than PIPE_BUF, so it is written whole or not at all.
        pipe.write_all(word.line().as_bytes())
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        let _ = self.tell(&Word::Bye);
        self.pipe = None;
        let mut ended = [PollFd::new(self.leader.pidfd().as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut ended, PollTimeout::from(FAREWELL_MS));
    }
}

/// What the engine says to it, a line each.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Engine(ProcessId),
    Watch(ProcessId),
    Unwatch,
    Bye,
}

impl Word {
    fn line(&self) -> String {
        match self {
            Self::Engine(id) => format!("engine {} {}\n", id.pid, id.start_time),
            Self::Watch(id) => format!("watch {} {}\n", id.pid, id.start_time),
            Self::Unwatch => "unwatch\n".into(),
            Self::Bye => "bye\n".into(),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let id = |pid: &str, start_time: &str| {
            Some(ProcessId { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? })
        };
        match words.as_slice() {
            ["engine", pid, start_time] => Some(Self::Engine(id(pid, start_time)?)),
            ["watch", pid, start_time] => Some(Self::Watch(id(pid, start_time)?)),
            ["unwatch"] => Some(Self::Unwatch),
            ["bye"] => Some(Self::Bye),
            _ => None,
        }
    }
}

/// The guardian itself: what the hidden subcommand runs. Returns the exit code: 0 when nothing is left to be ended.
pub fn guardian_main(marker: &str) -> i32 {
    match listen(io::stdin().lock()) {
        Verdict::Bye => 0,
        Verdict::EngineDied { engine, child } => {
            let family = Family { marker, engine: Some(engine), child };
            i32::from(!tree::end_members(&family, PATIENCE, CALM).is_empty())
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Bye,
    EngineDied { engine: ProcessId, child: Option<ProcessId> },
}

fn listen(pipe: impl BufRead) -> Verdict {
    let (mut engine, mut child) = (None, None);
    // A line that cannot be read for another reason than the pipe's end is as good as that: there will be no other.
    for line in pipe.split(b'\n').map_while(Result::ok) {
        match std::str::from_utf8(&line).ok().and_then(Word::parse) {
            Some(Word::Engine(id)) => engine = Some(id),
            Some(Word::Watch(id)) => child = Some(id),
            Some(Word::Unwatch) => child = None,
            Some(Word::Bye) => return Verdict::Bye,
            // Only the engine can write here, and a word that it did not finish says nothing.
            None => {}
        }
    }
    // One that died before it had said who it is had started nobody.
    engine.map_or(Verdict::Bye, |engine| Verdict::EngineDied { engine, child })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str) -> Verdict {
        listen(text.as_bytes())
    }

    #[test]
    fn only_bye_lets_everybody_live() {
        let (engine, id) = (ProcessId { pid: 3, start_time: 66 }, ProcessId { pid: 5, start_time: 77 });
        let died = |child| Verdict::EngineDied { engine, child };
        assert_eq!(heard("engine 3 66\nwatch 5 77\nbye\n"), Verdict::Bye);
        assert_eq!(heard("engine 3 66\nwatch 5 77\n"), died(Some(id)));
        assert_eq!(heard("engine 3 66\nwatch 5 77\nunwatch\n"), died(None));
        assert_eq!(heard("engine 3 66\n"), died(None));
        assert_eq!(heard(""), Verdict::Bye, "nobody was started");
        assert_eq!(heard("engine 3 66\nwatch 5 77\nnonsense\n\u{0}\nwatch x y\n"), died(Some(id)));
        for word in [Word::Engine(engine), Word::Watch(id)] {
            assert_eq!(Word::parse(&word.line()), Some(word));
        }
    }
}
