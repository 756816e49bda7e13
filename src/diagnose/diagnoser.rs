//! Asks everybody at once, and waits for nobody for long.
//!
//! What must stay true: the asker's thread never blocks. Whatever may hang (a process whose memory is locked by the
//! kernel, a file on a dead server) runs on a thread of its own; while that hangs, no second one is started for the same
//! thing, and the diagnosis says so.

use super::evidence::{self, Look, MemoryMark};
use super::pause::Pauses;
use super::stacks::{self, Sources, outside, signal};
use super::verdict::{Facts, busy, judge};
use super::{ChildNow, Question};
use crate::child::ProcessId;
use crate::model::Micros;
use crate::model::diagnosis::{Diagnosis, MemoryEvidence, ProcessEvidence, StackSource, StackTry, Stacks, ThreadStack};
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;

/// Rates are counted over at least this long.
const WINDOW: Duration = Duration::from_millis(120);

/// How long the child's own answer is waited for. It comes within a millisecond, or the GIL is held.
const INSIDE_PATIENCE: Duration = Duration::from_millis(150);

/// How long the system is waited for, and reading from outside. Both take milliseconds, as a rule.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the answer to a signal is waited for.
const SIGNAL_PATIENCE: Duration = Duration::from_millis(700);

/// How long source files are waited for.
const SOURCE_PATIENCE: Duration = Duration::from_millis(200);

/// How long one waits for the turn to look at the system.
const TURN_PATIENCE: Duration = Duration::from_millis(150);

/// Makes diagnoses. One for an engine: it sees to it that nothing that hangs is begun twice.
#[derive(Debug, Clone, Default)]
pub struct Diagnoser {
    asking: Arc<Mutex<()>>,
    system: Lane,
    outside: Lane,
    signal: Lane,
    sources: Lane,
    pauses: Pauses,
}

impl Diagnoser {
    /// Who may stop the child, and when: to be told of an operator's pauses, and shared with a sampler of the same child.
    pub fn pauses(&self) -> Pauses {
        self.pauses.clone()
    }

    /// Finds out what the child is doing. Needs a runtime with a clock; nothing blocks it. Takes a fifth of a second as a
    /// rule, and two seconds at most.
    pub fn diagnose(&self, question: Question) -> impl Future<Output = Diagnosis> + Send + use<> {
        let diagnoser = self.clone();
        async move { diagnoser.answer(question).await }
    }

    async fn answer(&self, mut question: Question) -> Diagnosis {
        let begun = Instant::now();
        let mut missing = Vec::new();
        let child = question.child;
        let inside = question.inside.take();
        // Whoever asks at the same time waits for the first answer; if that hangs, what can be had without it is told.
        let turn = timeout(PATIENCE, self.asking.lock()).await;
        let earlier = question.earlier.take();
        let (system, inside, outside) = tokio::join!(
            self.look(child, earlier, question.memory.clone()),
            ask_inside(inside),
            self.read_outside(child, question.implementation.as_deref()),
        );
        let (processes, memory) = system.unwrap_or_else(|why| {
            missing.push(format!("The system's view of the child is missing: {why}."));
            Default::default()
        });
        let mut stacks = put_together(inside, outside, &mut missing);
        if let Some(interpreter) = processes.iter().find(|process| process.interpreter) {
            mark_active(&mut stacks.threads, interpreter);
        }
        if stacks.source.is_none()
            && let (Some(file), Some(interpreter)) = (question.stack_file.take(), child.interpreter())
        {
            self.signal(interpreter, file, &mut stacks).await;
        }
        if stacks.source.is_none() {
            missing.extend(what_it_takes(&question, &stacks));
        }
        self.fill_sources(question.sources, &mut stacks).await;
        drop(turn);
        let facts =
            Facts { child, stacks: &stacks, processes: &processes, memory: &memory, session: &question.session };
        Diagnosis {
            verdict: judge(&facts),
            trigger: question.trigger,
            stacks,
            processes,
            memory,
            session: question.session,
            missing,
            took: begun.elapsed().into(),
        }
    }

    async fn look(
        &self,
        child: ChildNow,
        earlier: Option<Look>,
        mark: MemoryMark,
    ) -> Result<(Vec<ProcessEvidence>, MemoryEvidence), String> {
        let pauses = self.pauses.clone();
        let ids = child.process().map(|process| (process.pid, child.interpreter().map(|process| process.pid)));
        self.system
            .run("childminder look", PATIENCE, move || {
                let Some((root, interpreter)) = ids else { return (Vec::new(), mark.evidence()) };
                let earlier = earlier.unwrap_or_else(|| look(root, interpreter, &pauses));
                std::thread::sleep(WINDOW.saturating_sub(earlier.age()));
                // Without the turn, a stop of our own would be taken for somebody's.
                let turn = pauses.turn(TURN_PATIENCE);
                let processes = evidence::since(&earlier, root, interpreter);
                drop(turn);
                (processes, mark.evidence())
            })
            .await
    }

    async fn read_outside(&self, child: ChildNow, implementation: Option<&str>) -> Option<Attempt<outside::Seen>> {
        let begun = Instant::now();
        let root = child.process()?;
        if implementation.is_some_and(|name| name != "CPython") {
            let failed =
                format!("{} cannot be read from outside, only CPython can", implementation.unwrap_or_default());
            return Some(Attempt { got: Err(failed), took: begun.elapsed() });
        }
        let interpreter = child.interpreter();
        let pauses = self.pauses.clone();
        let read = move || {
            let tree = if interpreter.is_some() { Vec::new() } else { outside::candidates(root) };
            outside::find(interpreter, &tree)?.see(&pauses)
        };
        let got = self.outside.run("childminder stacks", PATIENCE, read).await.flatten();
        Some(Attempt { got, took: begun.elapsed() })
    }

    async fn signal(&self, who: ProcessId, file: PathBuf, stacks: &mut Stacks) {
        let begun = Instant::now();
        let got =
            self.signal.run("childminder signal", SIGNAL_PATIENCE, move || signal::see(who, &file)).await.flatten();
        let failed = match got {
            Ok(threads) => {
                stacks.source = Some(StackSource::Signal);
                stacks.threads = threads;
                String::new()
            }
            Err(why) => why,
        };
        let took = begun.elapsed().into();
        stacks.tries.push(StackTry { source: StackSource::Signal, failed, took, paused: Micros::default() });
    }

    async fn fill_sources(&self, sources: Sources, stacks: &mut Stacks) {
        stacks::bound(&mut stacks.threads);
        let mut threads = stacks.threads.clone();
        let fill = move || {
            sources.fill(&mut threads);
            threads
        };
        // Without the sources a stack still says where it is.
        if let Ok(filled) = self.sources.run("childminder sources", SOURCE_PATIENCE, fill).await {
            stacks.threads = filled;
        }
    }
}

fn look(root: u32, interpreter: Option<u32>, pauses: &Pauses) -> Look {
    let _turn = pauses.turn(TURN_PATIENCE);
    Look::now(root, interpreter)
}

/// What became of a try.
struct Attempt<T> {
    got: Result<T, String>,
    took: Duration,
}

async fn ask_inside(answer: Option<oneshot::Receiver<Vec<ThreadStack>>>) -> Option<Attempt<Vec<ThreadStack>>> {
    let begun = Instant::now();
    let got = match timeout(INSIDE_PATIENCE, answer?).await {
        Ok(Ok(threads)) if threads.is_empty() => Err("it told of no threads".to_owned()),
        Ok(Ok(threads)) => Ok(threads),
        Ok(Err(_)) => Err("it cannot be asked now".to_owned()),
        Err(_) => Err(format!("it did not answer within {} ms", INSIDE_PATIENCE.as_millis())),
    };
    Some(Attempt { got, took: begun.elapsed() })
}

fn put_together(
    inside: Option<Attempt<Vec<ThreadStack>>>,
    outside: Option<Attempt<outside::Seen>>,
    missing: &mut Vec<String>,
) -> Stacks {
    let mut stacks = Stacks::default();
    if let Some(inside) = inside {
        let took = inside.took.into();
        let failed = inside.got.as_ref().err().cloned().unwrap_or_default();
        stacks.tries.push(StackTry { source: StackSource::Inside, failed, took, paused: Micros::default() });
        if let Ok(threads) = inside.got {
            stacks.source = Some(StackSource::Inside);
            stacks.threads = threads;
        }
    }
    if let Some(outside) = outside {
        let took = outside.took.into();
        let failed = outside.got.as_ref().err().cloned().unwrap_or_default();
        let paused = outside.got.as_ref().map(|seen| seen.paused).unwrap_or_default();
        stacks.tries.push(StackTry { source: StackSource::Outside, failed, took, paused });
        if let Ok(seen) = outside.got {
            stacks.moving = seen.threads.iter().find(|thread| thread.main).and_then(|main| main.moving);
            stacks.paused = paused;
            missing.extend(Some(seen.doubt).filter(|doubt| !doubt.is_empty()));
            stacks.threads = match stacks.source {
                Some(_) => stacks::merge(stacks.threads, &seen.threads),
                None => seen.threads,
            };
            stacks.source = stacks.source.or(Some(StackSource::Outside));
        }
    }
    stacks
}

/// A glance at a thread's state says little of a machine that is busy with other things: what it used and wanted does.
fn mark_active(threads: &mut [ThreadStack], interpreter: &ProcessEvidence) {
    for thread in threads {
        let tid = thread.tid.or_else(|| thread.main.then_some(interpreter.pid));
        if let Some(known) = interpreter.threads.iter().find(|known| Some(known.tid) == tid) {
            thread.active = Some(busy(known));
        }
    }
}

/// What would be needed to see stacks next time.
fn what_it_takes(question: &Question, stacks: &Stacks) -> Vec<String> {
    let mut missing = Vec::new();
    let Some(process) = question.child.interpreter().or(question.child.process()) else { return missing };
    let from_outside = stacks.tries.iter().find(|attempt| attempt.source == StackSource::Outside);
    if let Some(attempt) = from_outside {
        missing.push(format!("Its Python stacks could not be read from outside: {}.", attempt.failed));
        if question.implementation.as_deref().is_none_or(|name| name == "CPython") {
            missing.push(right_to_read(process.pid).to_owned());
        }
    }
    if question.stack_file.is_none() && matches!(question.child, ChildNow::Running { .. }) {
        missing.push("It has not registered SIGUSR1, so it cannot be made to write its stacks.".into());
    }
    missing
}

fn right_to_read(pid: u32) -> &'static str {
    if File::open(format!("/proc/{pid}/mem")).is_ok() {
        return "CPython 2.7 and 3.6 to 3.15 can be read; builds without a GIL and Pythons stripped of their symbols cannot.";
    }
    match fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").as_deref().map(str::trim) {
        Ok("2" | "3") => {
            "This machine forbids reading another process: it takes CAP_SYS_PTRACE, or kernel.yama.ptrace_scope 1 or 0."
        }
        _ => {
            "Reading it takes the same user or CAP_SYS_PTRACE; in a container, a seccomp profile that allows it \
             (--cap-add SYS_PTRACE)."
        }
    }
}

/// Runs one thing at a time on a thread of its own.
#[derive(Debug, Clone, Default)]
struct Lane(Arc<AtomicBool>);

/// Frees the lane when its thread ends, by whatever way.
struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Lane {
    async fn run<T: Send + 'static>(
        &self,
        name: &str,
        patience: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        if self.0.swap(true, Ordering::Acquire) {
            return Err("the last try is still under way".into());
        }
        let busy = Busy(Arc::clone(&self.0));
        let (tell, told) = oneshot::channel();
        let work = move || {
            let done = work();
            drop(busy);
            // Nobody listens any more when it took too long.
            let _ = tell.send(done);
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(work);
        thread.map_err(|e| format!("no thread could be started ({e})"))?;
        match timeout(patience, told).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err("it failed inside".into()),
            Err(_) => Err(format!("no answer within {} ms", patience.as_millis())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn what_hangs_is_not_begun_twice() {
        let lane = Lane::default();
        let (release, released) = mpsc::channel::<()>();
        let hung = lane.run("test", Duration::from_millis(1), move || released.recv().is_err()).await;
        assert_eq!(hung, Err("no answer within 1 ms".into()));
        assert_eq!(lane.run("test", PATIENCE, || 1).await, Err("the last try is still under way".into()));
        drop(release);
        while lane.0.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        assert_eq!(lane.run("test", PATIENCE, || 2).await, Ok(2));
    }
}
