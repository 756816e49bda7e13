//! Looks at the child's stacks many times a second while somebody wants to see where time goes.
//!
//! What must stay true: the child is stopped for less than a hundredth of the time, and the rate goes down where a look
//! takes long; and nobody has to end it: it ends with the child, and when nobody has asked for a while.

use super::evidence::running_threads;
use super::pause::Pauses;
use super::stacks::outside::Reader;
use crate::child::proc::{ProcessId, Stat};
use crate::model::Micros;
use crate::model::diagnosis::ThreadStack;
use crate::model::hot::{HotTree, Mark};
use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks, if they cost little.
const INTERVAL: Duration = Duration::from_millis(50);

/// For each unit of time that the child is stopped it then runs for so many.
const RUNS_FOR: u32 = 125;

/// It ends itself when nobody has asked for so long.
const LEASE: Duration = Duration::from_secs(3);

/// Samples where a child's time goes, on a thread of its own.
#[derive(Debug)]
pub struct HotSampler(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Debug)]
struct State {
    tree: HotTree,
    /// When the tree was empty.
    begun: Instant,
    asked: Instant,
    dropped: bool,
}

impl HotSampler {
    /// Begins to sample the process whose Python runs the commands. `pauses` are the child's own, those of its
    /// [`Diagnoser`](super::Diagnoser): two must not stop it at once.
    pub fn start(target: ProcessId, pauses: Pauses) -> Self {
        let now = Instant::now();
        let state = State { tree: HotTree::default(), begun: now, asked: now, dropped: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), woken: Condvar::new() });
        let sampler = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("childminder hot".into());
        if let Err(e) = thread.spawn(move || sampler.run(target, &pauses)) {
            shared.lock().tree.ended = Some(format!("no thread could be started ({e})"));
        }
        Self(shared)
    }

    /// What was seen until now. Asking keeps it going.
    pub fn snapshot(&self) -> HotTree {
        let mut state = self.0.lock();
        state.asked = Instant::now();
        if state.tree.ended.is_none() {
            state.tree.span = state.begun.elapsed().into();
        }
        state.tree.clone()
    }

    /// Begins to count anew.
    pub fn reset(&self) {
        let mut state = self.0.lock();
        let (rate, ended) = (state.tree.rate, state.tree.ended.take());
        state.tree = HotTree { rate, ended, ..HotTree::default() };
        state.begun = Instant::now();
        state.asked = state.begun;
    }

    /// Whether it still looks.
    pub fn is_running(&self) -> bool {
        self.0.lock().tree.ended.is_none()
    }
}

impl Drop for HotSampler {
    fn drop(&mut self) {
        self.0.lock().dropped = true;
        self.0.woken.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A count that is off by one after a panic is no reason to show nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, target: ProcessId, pauses: &Pauses) {
        let ended = match Reader::attach(target) {
            Ok(reader) => self.sample(reader, target, pauses),
            Err(why) => why,
        };
        let mut state = self.lock();
        state.tree.span = state.begun.elapsed().into();
        state.tree.ended = Some(ended);
    }

    /// Samples until there is a reason not to.
    fn sample(&self, mut reader: Reader, target: ProcessId, pauses: &Pauses) -> String {
        let mut last = Vec::new();
        // A new one each time would let the first samples, which cost most, set the pace.
        let mut interval = INTERVAL;
        loop {
            let begun = Instant::now();
            let sample = Sample::take(&mut reader, target, pauses, &last);
            if Stat::read(target.pid).is_none_or(|stat| stat.id != target || stat.is_dead()) {
                return "the child has ended".into();
            }
            interval = INTERVAL.max((interval + sample.paused * RUNS_FOR) / 2).max(sample.paused * RUNS_FOR);
            last.clone_from(&sample.threads);
            let mut state = self.lock();
            sample.count(&mut state.tree);
            state.tree.rate = 1.0 / interval.as_secs_f64();
            let rest = interval.saturating_sub(begun.elapsed());
            let waited = self.woken.wait_timeout_while(state, rest, |state| !state.dropped);
            let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if state.dropped || state.asked.elapsed() > LEASE {
                return "nobody asked for it any more".into();
            }
        }
    }
}

/// One look.
struct Sample {
    threads: Vec<ThreadStack>,
    running: HashSet<u32>,
    paused: Duration,
    doubtful: bool,
}

impl Sample {
    fn take(reader: &mut Reader, target: ProcessId, pauses: &Pauses, last: &[ThreadStack]) -> Self {
        // Looked at first: who is stopped does not run.
        let running = running_threads(target.pid);
        let glance = reader.look();
        // Whoever stands where it stood a twentieth of a second ago need not be stopped for being read.
        if let Ok(threads) = &glance
            && stands(threads, last)
        {
            return Self { threads: threads.clone(), running, paused: Duration::ZERO, doubtful: false };
        }
        match reader.look_still(pauses) {
            Ok((threads, paused)) => Self { threads, running, paused: paused.duration(), doubtful: false },
            Err(_) => Self { threads: glance.unwrap_or_default(), running, paused: Duration::ZERO, doubtful: true },
        }
    }

    fn count(self, tree: &mut HotTree) {
        tree.samples += 1;
        tree.doubtful += u64::from(self.doubtful);
        tree.paused = Micros(tree.paused.0 + Micros::from(self.paused).0);
        for thread in self.threads.iter().filter(|thread| !thread.ours) {
            // Where a thread's number is not known, whoever has the GIL is taken to run.
            let runs = thread.tid.map_or(thread.gil == Some(true), |tid| self.running.contains(&tid));
            let mark = match (runs, thread.gil) {
                (false, _) => Mark::Idle,
                (true, Some(false)) => Mark::Native,
                (true, _) => Mark::Gil,
            };
            let name = if thread.name.is_empty() { number(thread) } else { thread.name.clone() };
            tree.add(&name, &thread.frames, mark);
        }
    }
}

fn number(thread: &ThreadStack) -> String {
    if thread.main {
        return "main thread".into();
    }
    thread.tid.map(u64::from).or(thread.ident).map_or_else(|| "thread".to_owned(), |number| format!("thread {number}"))
}

fn stands(threads: &[ThreadStack], last: &[ThreadStack]) -> bool {
    let place = |thread: &&ThreadStack| !thread.ours;
    let now: Vec<&ThreadStack> = threads.iter().filter(place).collect();
    let then: Vec<&ThreadStack> = last.iter().filter(place).collect();
    now.len() == then.len()
        && now.iter().zip(then).all(|(now, then)| now.ident == then.ident && now.frames == then.frames)
}
