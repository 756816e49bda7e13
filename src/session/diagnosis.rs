//! Why is it stuck? Who asks, what the session knows, and what becomes of the answer.
//!
//! What must stay true: one diagnosis at a time is under way, and all who ask meanwhile share it; what was found out is in
//! the journal before anybody is told; a child that fills its stacks with megabytes gets a line that can be read again.

use super::Actor;
use super::clocks::after;
use super::requests::{Answer, Reply, not_now};
use super::summary::head;
use super::world::{Inquiry, Now, World};
use crate::dispatcher::ToChild;
use crate::model::diagnosis::{
    Confidence, Doing, MemoryEvidence, SessionEvidence, Stacks, ThreadStack, Trigger, Verdict,
};
use crate::model::proto::Response;
use crate::model::{ChildState, Diagnosis, EventKind, Exit, Micros, Origin, Rung, SessionPhase};
use std::io;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long those who ask wait.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a diagnosis' line in the journal may be, in bytes.
const LINE: usize = 2 << 20;
/// What is kept of a diagnosis that is longer: threads, and frames of each at both ends.
const CUTS: [(usize, usize); 3] = [(256, 200), (64, 40), (16, 10)];

/// A diagnosis that is being made.
#[derive(Debug)]
pub(super) struct Asking {
    trigger: Trigger,
    by: Option<Origin>,
    pub(super) since: Now,
    pub(super) until: Micros,
    /// Those who wait. Bounded by the calls that clients may have open.
    replies: Vec<Reply>,
}

impl<W: World> Actor<W> {
    /// Somebody asks what the child is doing.
    pub(super) fn why(&mut self, by: Origin, reply: Reply) {
        if self.state.phase == SessionPhase::Ended {
            // Whoever asked may have gone.
            let _ = reply.send(Ok(Response::Diagnosis(Box::new(self.nothing_left_to_look_at()))));
            return;
        }
        self.look_into(Trigger::Asked);
        if let Some(asking) = &mut self.asking {
            asking.by.get_or_insert(by);
            asking.replies.push(reply);
        }
    }

    /// Has it found out what the child is doing, unless that is under way.
    pub(super) fn look_into(&mut self, trigger: Trigger) {
        if let Some(asking) = &mut self.asking {
            if trigger != Trigger::Asked {
                asking.trigger = trigger;
            }
            return;
        }
        let since = self.world.now();
        let until = after(since, PATIENCE);
        self.asking = Some(Asking { trigger, by: None, since, until, replies: Vec::new() });
        let inside = self.ask_for_stacks();
        let inquiry = Inquiry {
            trigger,
            session: self.evidence(),
            hello: self.hello().cloned().map(Box::new),
            exit: self.last_exit(),
            inside,
            source: self.running_source.clone(),
        };
        self.world.diagnose(inquiry);
    }

    /// Asks the child itself; `None` when it cannot be asked.
    fn ask_for_stacks(&mut self) -> Option<oneshot::Receiver<Vec<ThreadStack>>> {
        self.hello().filter(|hello| hello.features.iter().any(|has| has == "stacks"))?;
        let (told, threads) = oneshot::channel();
        let id = self.desk.ask_for_stacks(told, self.world.now());
        if self.world.send(&ToChild::Stacks { id, locals: true }).is_err() {
            self.desk.forget(id);
        }
        Some(threads)
    }

    /// It was found out what the child is doing.
    pub fn diagnosed(&mut self, mut diagnosis: Box<Diagnosis>) {
        let asking = self.asking.take();
        if let Some(asking) = &asking {
            diagnosis.trigger = asking.trigger;
        }
        trim(&mut diagnosis, LINE);
        // After the end nothing is journalled any more.
        if self.state.phase != SessionPhase::Ended {
            let asked = asking.as_ref().filter(|asking| asking.trigger == Trigger::Asked);
            let by = asked.and_then(|asking| asking.by.clone());
            self.fact(EventKind::Diagnosed { diagnosis: diagnosis.clone(), by });
        }
        for reply in asking.into_iter().flat_map(|asking| asking.replies) {
            // Whoever asked may have gone.
            let _ = reply.send(Ok(Response::Diagnosis(diagnosis.clone())));
        }
        self.carry_out_policies();
        self.advance();
    }

    /// Nothing was found out in time.
    pub(super) fn diagnosis_overdue(&mut self, now: Now) {
        if let Some(asking) = self.asking.take_if(|asking| asking.until <= now.mono) {
            let seconds = PATIENCE.as_secs();
            self.note(&format!("what the child is doing could not be found out within {seconds} s"));
            for reply in asking.replies {
                // Whoever asked may have gone.
                let _ = reply.send(Err(not_now(&format!("the system has not told within {seconds} s; ask again"))));
            }
        }
        if self.overdue.iter().any(|overdue| overdue.until <= now.mono) {
            self.carry_out_policies();
        }
    }

    /// Where the child's time goes.
    pub(super) fn hot(&mut self, reset: bool) -> Answer {
        self.refuse_if_over()?;
        let Some(pid) = self.hello().map(|hello| hello.pid) else { return Err(not_now("no child is connected")) };
        let tree = self.world.hot(pid, reset).map_err(|why| not_now(&why))?;
        Ok(Response::Hot(Box::new(tree)))
    }

    /// What the session itself knows.
    fn evidence(&self) -> SessionEvidence {
        let running = self.state.running.filter(|running| self.is_running(running.id));
        let item = self.state.running_item.as_ref();
        SessionEvidence {
            at: self.world.now().wall,
            command: self.current.map(|running| running.id),
            head: head(&self.running_source),
            command_since: self.clocks.sent.map(|sent| sent.wall),
            started: running.is_some_and(|running| running.started),
            item: item.map(|running| running.item),
            item_name: item
                .and_then(|running| self.state.added.name(&self.job, running.item))
                .unwrap_or_default()
                .into_owned(),
            item_since: item.map(|running| running.since),
            typical: self.state.lengths.median(),
            last_output: self.world.telemetry().last_output.map(|at| at.wall),
            last_word: self.clocks.word.map(|at| at.wall),
            paused: self.state.paused.is_some(),
            cancel: self.why_skipped(Rung::Cancel).is_none(),
            barred: self.hello().map(|_| self.barred()).unwrap_or_default(),
            tried: self.tried.clone(),
        }
    }

    fn barred(&self) -> Vec<Rung> {
        Rung::ALL.into_iter().filter(|rung| self.why_skipped(*rung).is_some()).collect()
    }

    fn last_exit(&self) -> Exit {
        match self.state.child {
            ChildState::Exited { exit, .. } => exit,
            _ => Exit::Unknown,
        }
    }

    /// What can be said of a session that is over.
    fn nothing_left_to_look_at(&self) -> Diagnosis {
        let exit = self.last_exit();
        let sentence = match &self.state.child {
            ChildState::Exited { meaning, .. } => {
                let meaning = if meaning.is_empty() { String::new() } else { format!(", which means: {meaning}") };
                format!("The session is over, and its child has ended: {exit}{meaning}.")
            }
            _ => "The session is over, and no child was started.".to_owned(),
        };
        Diagnosis {
            verdict: Verdict {
                doing: Doing::Exited { exit },
                confidence: Confidence::Sure,
                sentence,
                advice: "The journal has what was found out while it lived.".into(),
            },
            trigger: Trigger::Asked,
            stacks: Stacks::default(),
            processes: Vec::new(),
            memory: MemoryEvidence::default(),
            session: self.evidence(),
            missing: vec!["There is no process to look at any more.".into()],
            took: Micros(0),
        }
    }
}

/// Leaves out what makes a diagnosis longer than so many bytes of JSON, and says so: locals first, then the middle of
/// stacks, then threads.
fn trim(diagnosis: &mut Diagnosis, limit: usize) {
    let fits = |diagnosis: &Diagnosis| serde_json::to_writer(Room(limit), diagnosis).is_ok();
    if fits(diagnosis) {
        return;
    }
    diagnosis.missing.push("The stacks were too long to be kept whole; locals and more were left out.".into());
    for frame in diagnosis.stacks.threads.iter_mut().flat_map(|thread| &mut thread.frames) {
        frame.locals = None;
    }
    for (threads, frames) in CUTS {
        if fits(diagnosis) {
            return;
        }
        diagnosis.stacks.threads.truncate(threads);
        for thread in &mut diagnosis.stacks.threads {
            thread.holds.truncate(frames);
            if thread.frames.len() > 2 * frames {
                thread.frames.drain(frames..thread.frames.len() - frames);
            }
        }
    }
    if !fits(diagnosis) {
        diagnosis.stacks.threads.clear();
        diagnosis.processes.truncate(1);
        diagnosis.missing.truncate(CUTS.len());
    }
}

/// So many bytes that may be written and are not kept.
struct Room(usize);

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
