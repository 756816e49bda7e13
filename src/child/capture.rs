//! Reading what the child writes: one blocking thread a pipe.
//!
//! What must stay true: the pipe is drained until its end or until we are told to stop; no lock is held while the sink
//! runs, so whoever sets a boundary never waits for a disk; and the slices are exact: what is in the pipe when a boundary
//! is set belongs to the command before it, every later byte to the next. With nothing to read, nothing wakes up.
//!
//! A child that writes little and often pays for waking the reader each time. So the reader, having seen a few such reads
//! in a row, lets the next ones gather for a quarter of a millisecond before it looks again.

use crate::model::{CommandId, Micros, Stream};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;

/// How much one read takes at most, in bytes: what was read is still in the processor's cache when it is written.
pub const READ_MAX: usize = 64 << 10;

/// How much the pipe should hold, in bytes: what the child can write while the sink is busy.
const PIPE_SIZE: libc::c_int = 1 << 20;

/// The reader's stack, in bytes; the buffer is not on it, and a sink only writes files.
const STACK: usize = 512 << 10;

/// How long small writes may gather. Short enough for the smallest pipe (64 KiB) to take 250 MB/s meanwhile.
const NAP: Duration = Duration::from_micros(250);

/// After so many reads in a row that were small and soon, they are let to gather.
const NAP_AFTER: u32 = 8;

/// Smaller than this is small, in bytes.
const SMALL: usize = 64 << 10;

/// A read within this time of the one before is soon.
const SOON: Micros = Micros(1000);

/// Bytes that were read, all of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Where they stand in the stream.
    pub offset: u64,
    /// They themselves; never empty.
    pub bytes: &'a [u8],
    /// The command that ran when they were written, if one did.
    pub command: Option<CommandId>,
    /// Wall time of the read.
    pub wall: Micros,
    /// Monotonic time of the read, from the same clock as an event's.
    pub mono: Micros,
}

/// A stream that is being read. Dropping it stops the reading.
#[derive(Debug)]
pub struct Capture {
    shared: Arc<Shared>,
    progress: watch::Receiver<Progress>,
}

/// How far the sink is.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    given: u64,
    ended: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told when a gathering should end early.
    hurried: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds it can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct State {
    /// Until the end of the reading.
    pipe: Option<Arc<OwnedFd>>,
    /// Bytes read, older ones of the log included.
    read: u64,
    /// Where to stop, once told to.
    until: Option<u64>,
    /// Boundaries not reached yet, ascending and no two alike. Each but the first lies between bytes that wait in the
    /// pipe, so there are never more of them than the pipe holds bytes.
    ahead: VecDeque<Boundary>,
    /// Somebody waits for what is in the pipe.
    hurry: bool,
    /// Closed to wake the reader.
    wake: Option<PipeWriter>,
}

#[derive(Debug, Clone, Copy)]
struct Boundary {
    at: u64,
    next: Option<CommandId>,
}

impl State {
    /// How many bytes the child has written so far: those read and those in the pipe.
    fn written(&self) -> u64 {
        let held = self.pipe.as_ref().and_then(|pipe| super::sys::held_by_pipe(pipe.as_fd()).ok());
        self.read + held.unwrap_or(0)
    }
}

/// Starts to read; `offset` is where the first byte will stand. The sink is called on the reading thread, with every
/// byte once and in order, and may block: then the pipe fills, and the child waits, but nobody else does.
pub fn start(
    stream: Stream,
    pipe: OwnedFd,
    offset: u64,
    sink: impl FnMut(Chunk<'_>) + Send + 'static,
) -> io::Result<Capture> {
    // A bigger pipe is a favour that the system may refuse.
    let _ = fcntl(&pipe, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
    // So that the lock is never held by somebody who waits.
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let (woken, wake) = io::pipe()?;
    let pipe = Arc::new(pipe);
    let state = State {
        pipe: Some(pipe.clone()),
        read: offset,
        until: None,
        ahead: VecDeque::new(),
        hurry: false,
        wake: Some(wake),
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), hurried: Condvar::new() });
    let (told, progress) = watch::channel(Progress { given: offset, ended: false });
    let end = End { shared: shared.clone(), told };
    let reader = Reader { pipe, woken, command: None, cuts: Vec::new(), pace: Pace::default(), sink, end };
    let name = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    thread::Builder::new().name(name.into()).stack_size(STACK).spawn(move || reader.run())?;
    Ok(Capture { shared, progress })
}

impl Capture {
    /// Closes the slice of the command before: every byte written from now on belongs to `next`. Returns where that
    /// is. Never waits for the sink.
    pub fn boundary(&self, next: Option<CommandId>) -> u64 {
        let mut state = self.shared.lock();
        let at = state.written();
        match state.ahead.back_mut() {
            // No byte lies between the two.
            Some(last) if last.at == at => last.next = next,
            _ => state.ahead.push_back(Boundary { at, next }),
        }
        at
    }

    /// Bytes read so far, those before `offset` included.
    pub fn read(&self) -> u64 {
        self.shared.lock().read
    }

    /// Waits until the pipe was read to its end (or to where it was told to stop) and the sink is done and dropped.
    pub async fn ended(&self) {
        self.wait(|progress| progress.ended).await;
    }

    /// Waits until the sink was given every byte below `upto`, or there will be no more. The wait goes on without the
    /// capture.
    pub fn drained(&self, upto: u64) -> impl Future<Output = ()> + Send + use<> {
        if self.progress.borrow().given < upto {
            self.shared.lock().hurry = true;
            self.shared.hurried.notify_one();
        }
        let mut progress = self.progress.clone();
        async move {
            // As below.
            let _ = progress.wait_for(|progress| progress.given >= upto || progress.ended).await;
        }
    }

    async fn wait(&self, reached: impl Fn(&Progress) -> bool) {
        // The only failure is that the thread is gone, and then all that can happen has happened.
        let _ = self.progress.clone().wait_for(|progress| reached(progress)).await;
    }

    /// Has the reading end once what is in the pipe now has been given to the sink, whoever else may hold the pipe.
    pub fn stop(&self) {
        let mut state = self.shared.lock();
        if state.until.is_none() {
            state.until = Some(state.written());
            state.hurry = true;
            state.wake = None;
            self.shared.hurried.notify_one();
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Reader<F> {
    pipe: Arc<OwnedFd>,
    woken: PipeReader,
    command: Option<CommandId>,
    /// The boundaries within what was read last; kept for its memory.
    cuts: Vec<Boundary>,
    pace: Pace,
    sink: F,
    /// The last field, so that the sink is dropped before the end is told.
    end: End,
}

/// How the bytes come.
#[derive(Debug, Default)]
struct Pace {
    /// When the last read was.
    last: Micros,
    /// Reads in a row that were small and soon.
    streak: u32,
    /// Whether the last thing done was to let bytes gather.
    napped: bool,
}

impl Pace {
    fn seen(&mut self, length: usize, at: Micros) {
        let soon = at.since(self.last) < SOON;
        self.streak = if soon && length < SMALL { self.streak.saturating_add(1) } else { 0 };
        self.last = at;
        self.napped = false;
    }

    /// Once only, so that a child that has gone quiet is waited for without waking up.
    fn may_nap(&mut self) -> bool {
        let may = self.streak >= NAP_AFTER && !self.napped;
        self.napped = may;
        may
    }
}

enum Step {
    /// From where, and how many.
    Read(u64, usize),
    Empty,
    Over,
}

impl<F: FnMut(Chunk<'_>)> Reader<F> {
    fn run(mut self) {
        let mut buffer = vec![0; READ_MAX];
        loop {
            match self.step(&mut buffer) {
                Step::Read(from, length) => self.give(from, buffer.get(..length).unwrap_or_default()),
                Step::Empty => self.wait(),
                Step::Over => return,
            }
        }
    }

    fn step(&mut self, buffer: &mut [u8]) -> Step {
        let mut state = self.end.shared.lock();
        let left = state.until.map_or(u64::MAX, |until| until.saturating_sub(state.read));
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Step::Over;
        }
        let length = match nix::unistd::read(&self.pipe, buffer.get_mut(..most).unwrap_or_default()) {
            Ok(0) => return Step::Over,
            Ok(length) => length,
            Err(Errno::EAGAIN) => return Step::Empty,
            Err(Errno::EINTR) => return Step::Read(state.read, 0),
            Err(error) => {
                tracing::error!(%error, "the child's output can no longer be read");
                return Step::Over;
            }
        };
        let from = state.read;
        state.read += length as u64;
        while let Some(boundary) = state.ahead.pop_front_if(|boundary| boundary.at < from + length as u64) {
            self.cuts.push(boundary);
        }
        Step::Read(from, length)
    }

    fn wait(&mut self) {
        if self.pace.may_nap() {
            let gathering =
                self.end.shared.hurried.wait_timeout_while(self.end.shared.lock(), NAP, |state| !state.hurry);
            gathering.unwrap_or_else(PoisonError::into_inner).0.hurry = false;
            return;
        }
        let mut either =
            [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN), PollFd::new(self.woken.as_fd(), PollFlags::POLLIN)];
        // An interrupted wait is like one that found something: the next read tells.
        let _ = poll(&mut either, PollTimeout::NONE);
    }

    /// Hands the bytes on, split where commands change.
    fn give(&mut self, from: u64, bytes: &[u8]) {
        let (wall, mono) = now();
        self.pace.seen(bytes.len(), mono);
        let mut offset = from;
        let mut rest = bytes;
        for cut in self.cuts.drain(..) {
            let length = usize::try_from(cut.at.saturating_sub(offset)).unwrap_or(usize::MAX).min(rest.len());
            let (before, after) = rest.split_at(length);
            if !before.is_empty() {
                (self.sink)(Chunk { offset, bytes: before, command: self.command, wall, mono });
            }
            offset += before.len() as u64;
            rest = after;
            self.command = cut.next;
        }
        if !rest.is_empty() {
            (self.sink)(Chunk { offset, bytes: rest, command: self.command, wall, mono });
        }
        self.end.told.send_modify(|progress| progress.given = from + bytes.len() as u64);
    }
}

/// Tells the end however the thread ends, by a panic of the sink too.
struct End {
    shared: Arc<Shared>,
    told: watch::Sender<Progress>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.shared.lock().pipe = None;
        self.told.send_modify(|progress| progress.ended = true);
    }
}

fn now() -> (Micros, Micros) {
    let read = |clock| clock_gettime(clock).map_or(Micros(0), |time| Micros::from(Duration::from(time)));
    (read(ClockId::CLOCK_REALTIME), read(ClockId::CLOCK_BOOTTIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    type Slices = Arc<Mutex<Vec<(Option<u64>, Vec<u8>)>>>;

    /// Collects what belongs together.
    fn collect(offset: u64) -> (Slices, impl FnMut(Chunk<'_>) + Send + 'static) {
        let slices = Slices::default();
        let (seen, mut expected) = (slices.clone(), offset);
        let sink = move |chunk: Chunk<'_>| {
            assert!(!chunk.bytes.is_empty());
            assert_eq!(chunk.offset, expected, "bytes came twice, or not at all");
            expected += chunk.bytes.len() as u64;
            let mut seen = seen.lock().unwrap();
            let command = chunk.command.map(|id| id.0);
            match seen.last_mut() {
                Some((last, bytes)) if *last == command => bytes.extend_from_slice(chunk.bytes),
                _ => seen.push((command, chunk.bytes.to_vec())),
            }
        };
        (slices, sink)
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    fn bounded(wait: impl Future<Output = ()>) {
        runtime().block_on(async { tokio::time::timeout(Duration::from_secs(30), wait).await }).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// What was written between two boundaries is in their slice: all of it, and nothing else.
        #[test]
        fn slices_are_what_was_written_between(
            offset in 0..1_u64 << 40,
            commands in prop::collection::vec(prop::collection::vec(0..3000_usize, 0..4), 0..40),
            wait in any::<bool>(),
        ) {
            let (reader, mut writer) = io::pipe().unwrap();
            let (slices, sink) = collect(offset);
            let capture = start(Stream::Stdout, reader.into(), offset, sink).unwrap();
            let mut expected = Vec::new();
            let mut position = offset;
            for (id, writes) in (1_u64..).zip(&commands) {
                prop_assert_eq!(capture.boundary(Some(CommandId(id))), position);
                let mut slice = Vec::new();
                for (nth, length) in writes.iter().enumerate() {
                    let byte = u8::try_from((id * 7 + nth as u64) % 251).unwrap();
                    let bytes = vec![byte; *length];
                    writer.write_all(&bytes).unwrap();
                    slice.extend(bytes);
                }
                position += slice.len() as u64;
                if wait {
                    bounded(capture.drained(position));
                    prop_assert_eq!(capture.read(), position);
                }
                if !slice.is_empty() {
                    expected.push((Some(id), slice));
                }
            }
            drop(writer);
            bounded(capture.ended());
            prop_assert_eq!(&*slices.lock().unwrap(), &expected);
            prop_assert!(capture.shared.lock().ahead.len() <= 1);
        }
    }

    #[test]
    fn boundaries_do_not_pile_up_without_output() {
        let (reader, _writer) = io::pipe().unwrap();
        let capture = start(Stream::Stderr, reader.into(), 5, |_| {}).unwrap();
        for id in 0..100 {
            assert_eq!(capture.boundary(Some(CommandId(id))), 5);
        }
        assert_eq!(capture.shared.lock().ahead.len(), 1);
    }

    #[test]
    fn a_stop_gives_what_is_there_and_ends() {
        let (reader, mut writer) = io::pipe().unwrap();
        let (slices, sink) = collect(0);
        let capture = start(Stream::Stdout, reader.into(), 0, sink).unwrap();
        writer.write_all(b"last words").unwrap();
        capture.stop();
        capture.stop();
        // The writer is still there.
        bounded(capture.ended());
        assert_eq!(*slices.lock().unwrap(), [(None, b"last words".to_vec())]);
        assert_eq!(writer.write_all(b"more").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(capture.boundary(None), 10);
    }

    #[test]
    fn dropping_it_ends_the_thread() {
        struct Gone(std::sync::mpsc::Sender<()>);
        impl Drop for Gone {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let (reader, _writer) = io::pipe().unwrap();
        let (told, gone) = std::sync::mpsc::channel();
        let sign = Gone(told);
        let capture = start(Stream::Stdout, reader.into(), 0, move |_| {
            let _ = &sign;
        })
        .unwrap();
        drop(capture);
        gone.recv_timeout(Duration::from_secs(30)).unwrap();
    }

    #[test]
    fn bytes_gather_once_and_only_when_they_trickle_fast() {
        let mut pace = Pace::default();
        for at in 1..=20 {
            pace.seen(40, Micros(at * 5000));
            assert!(!pace.may_nap(), "slow ones are told at once");
        }
        for at in 0..20 {
            pace.seen(READ_MAX, Micros(200_000 + at));
            assert!(!pace.may_nap(), "big ones have gathered already");
        }
        for at in 0..=u64::from(NAP_AFTER) {
            assert!(!pace.may_nap());
            pace.seen(40, Micros(300_000 + at));
        }
        assert!(pace.may_nap());
        assert!(!pace.may_nap(), "twice in a row, with nothing read");
        pace.seen(4000, Micros(300_300));
        assert!(pace.may_nap());
    }

    #[test]
    fn a_boundary_does_not_wait_for_a_sink_that_hangs() {
        let (reader, mut writer) = io::pipe().unwrap();
        let (release, hang) = std::sync::mpsc::channel::<()>();
        let (entered, inside) = std::sync::mpsc::channel();
        let capture = start(Stream::Stdout, reader.into(), 0, move |_| {
            entered.send(()).unwrap();
            let _ = hang.recv();
        })
        .unwrap();
        writer.write_all(b"one").unwrap();
        inside.recv_timeout(Duration::from_secs(30)).unwrap();
        writer.write_all(b"two").unwrap();
        assert_eq!(capture.boundary(Some(CommandId(2))), 6);
        assert_eq!(capture.read(), 3);
        drop((release, writer));
        bounded(capture.ended());
    }

    #[test]
    fn a_sink_that_panics_is_an_end_too() {
        let (reader, mut writer) = io::pipe().unwrap();
        let capture = start(Stream::Stdout, reader.into(), 0, |_| panic!("on purpose")).unwrap();
        writer.write_all(b"x").unwrap();
        bounded(capture.drained(1));
        bounded(capture.ended());
    }
}
