//! What the session that is not there says to those who steer it, and what it finds out.

use super::{Fake, World, at, refused};
use crate::api::ApiError;
use crate::model::diagnosis::*;
use crate::model::proto::{Request, Response};
use crate::model::state::Hold;
use crate::model::*;
use std::collections::BTreeMap;

impl Fake {
    /// A time-out has passed, and what the child did was found out.
    pub(in crate::tui::tests) fn time_out(&self) {
        let mut world = self.world();
        diagnose(&mut world, Trigger::TimedOut(WaitFor::Silence));
        self.publish(&mut world);
    }

    /// What the last edit of an item said.
    pub(in crate::tui::tests) fn edits(&self) -> BTreeMap<String, Vec<String>> {
        self.world().edits.clone()
    }

    /// The answer to a request that steers; none to another.
    pub(super) fn steer(&self, world: &mut World, request: &Request) -> Option<Result<Response, ApiError>> {
        let by = Some(Origin { user: "ann".into(), ..Origin::default() });
        let since = at(60.0);
        match request {
            Request::Why => {
                let made = diagnose(world, Trigger::Asked);
                self.publish(world);
                return Some(Ok(Response::Diagnosis(Box::new(made))));
            }
            Request::Diagnosis { place } => {
                let known = world.diagnoses.get(*place as usize).map(|(_, diagnosis)| diagnosis.clone());
                return Some(match known {
                    Some(diagnosis) => Ok(Response::Diagnosis(Box::new(diagnosis))),
                    None => Err(refused("no such diagnosis")),
                });
            }
            Request::Diagnoses(window) => {
                let heads: Vec<DiagnosisHead> = world.diagnoses.iter().map(|(head, _)| head.clone()).collect();
                return Some(Ok(Response::Diagnoses(super::page(&heads, *window))));
            }
            Request::Pause => world.summary.paused = Some(Pause { by, since }),
            Request::Continue => world.summary.paused = None,
            Request::Break => world.summary.held = Some(Hold { by, since, why: HoldReason::Asked, commands: true }),
            Request::SetStops { stops } => world.summary.stops = stops.clone(),
            Request::SetTimeouts { changes } => {
                if changes.iter().any(|change| change.length == Change::To(Micros(0))) {
                    return Some(Err(refused("a time-out of nothing leaves no time to work")));
                }
                for change in changes {
                    set(&mut world.summary.timeouts, change);
                }
            }
            Request::Edit { name, commands } => {
                if let Some(item) = world.items.iter_mut().find(|item| item.name == *name) {
                    item.edited = commands.is_some();
                }
                match commands {
                    Some(commands) => drop(world.edits.insert(name.clone(), commands.clone())),
                    None => drop(world.edits.remove(name)),
                }
            }
            Request::Interrupt { from, to, .. } => {
                world.summary.ladder = Some(LadderView { rung: *from, to: *to, since: at(59.0), until: at(69.0) });
            }
            _ => return None,
        }
        self.publish(world);
        Some(Ok(Response::Done { said: String::new() }))
    }
}

fn set(timeouts: &mut job::Timeouts, change: &LimitChange) {
    let length = match change.limit {
        Limit::Startup => &mut timeouts.startup,
        Limit::Command => &mut timeouts.command,
        Limit::Item => &mut timeouts.item,
        Limit::Silence => &mut timeouts.silence,
        Limit::Teardown => &mut timeouts.teardown,
    };
    match change.length {
        Change::Keep => {}
        Change::Never => *length = None,
        Change::To(to) => *length = Some(std::time::Duration::from_micros(to.0)),
    }
    let policies = &mut timeouts.policies;
    if let Some(policy) = change.policy {
        *match change.limit {
            Limit::Command => &mut policies.command,
            Limit::Item => &mut policies.item,
            _ => &mut policies.silence,
        } = policy;
    }
}

fn diagnose(world: &mut World, trigger: Trigger) -> Diagnosis {
    let made = diagnosis(trigger, world.diagnoses.len() as u32);
    let head = DiagnosisHead {
        wall: at(62.0 + world.diagnoses.len() as f64),
        doing: made.verdict.doing.word().into(),
        confidence: made.verdict.confidence,
        sentence: made.verdict.sentence.clone(),
        trigger,
        command: made.session.command,
        at: 0,
    };
    world.summary.diagnosed = Some(head.clone());
    world.diagnoses.push((head, made.clone()));
    world.summary.diagnoses = world.diagnoses.len() as u32;
    made
}

/// A loop in Python, the more often looked at the longer.
fn diagnosis(trigger: Trigger, place: u32) -> Diagnosis {
    let at_line = Place { file: "/opt/demo/tracer.py".into(), line: 214, function: "render".into() };
    Diagnosis {
        verdict: Verdict {
            doing: Doing::Looping { at: at_line },
            confidence: Confidence::Likely,
            sentence: format!("The child runs Python at /opt/demo/tracer.py:214 (render), look {}.", place + 1),
            advice: "If it should have ended by now, interrupt it: the scene stays.".into(),
        },
        trigger,
        stacks: stacks(),
        processes: vec![process()],
        memory: MemoryEvidence {
            total: 64 << 30,
            available: 41 << 30,
            limit: Some(16 << 30),
            used: Some(3 << 30),
            ..MemoryEvidence::default()
        },
        session: SessionEvidence {
            at: at(62.0 + f64::from(place)),
            command: Some(CommandId(14)),
            head: "render(scene, 13)".into(),
            command_since: Some(at(2.0)),
            started: true,
            item: Some(ItemIndex(12)),
            item_name: "frame 0013".into(),
            item_since: Some(at(2.0)),
            typical: Some(Micros(5_000_000)),
            last_output: Some(at(30.0)),
            last_word: Some(at(61.5)),
            paused: false,
            cancel: false,
            barred: vec![],
            tried: vec![Rung::Interrupt],
        },
        missing: vec!["the kernel's own stacks: only root may read them".into()],
        took: Micros(41_000),
    }
}

fn stacks() -> Stacks {
    let frame = |file: &str, line, function: &str, source: &str| Frame {
        file: file.into(),
        line,
        function: function.into(),
        source: source.into(),
        locals: None,
    };
    let locals = BTreeMap::from([("bounces".into(), "41".into()), ("ray".into(), "<Ray \u{1b}[2J at 0x7f>".into())]);
    let main = ThreadStack {
        name: "MainThread".into(),
        main: true,
        ident: Some(1),
        gil: Some(true),
        active: Some(true),
        frames: vec![
            frame("<command 14>", 1, "<module>", "render(scene, 13)"),
            Frame { locals: Some(locals), ..frame("/opt/demo/tracer.py", 214, "render", "while ray.alive:") },
        ],
        ..ThreadStack::default()
    };
    let loader = ThreadStack {
        name: "loader".into(),
        ident: Some(2),
        daemon: true,
        active: Some(false),
        waits: Some(LockWait { lock: 7, kind: "Lock".into(), name: "scene.lock".into(), owner: Some(1) }),
        frames: vec![frame("/opt/demo/loader.py", 31, "load", "with scene.lock:")],
        ..ThreadStack::default()
    };
    Stacks {
        source: Some(StackSource::Outside),
        threads: vec![main, loader],
        moving: Some(true),
        paused: Micros(2_100),
        tries: vec![
            StackTry {
                source: StackSource::Inside,
                failed: "the child did not answer within 100ms".into(),
                took: Micros(100_000),
                paused: Micros(0),
            },
            StackTry {
                source: StackSource::Outside,
                failed: String::new(),
                took: Micros(9_000),
                paused: Micros(2_100),
            },
        ],
    }
}

fn process() -> ProcessEvidence {
    let target = FdTarget::Socket {
        protocol: "tcp".into(),
        local: "10.0.0.7:40112".into(),
        peer: "10.0.0.1:2049".into(),
        state: "ESTABLISHED".into(),
    };
    ProcessEvidence {
        pid: 4242,
        parent: 4200,
        name: "python3".into(),
        command: "/usr/bin/python3 /tmp/boot.py".into(),
        interpreter: true,
        state: "R".into(),
        cpu: 98.4,
        written: 4096.0,
        memory: 1_288_490_188,
        threads: vec![
            ThreadEvidence {
                tid: 4242,
                name: "python3".into(),
                state: "R".into(),
                cpu: 98.0,
                wanted: 98.0,
                ..ThreadEvidence::default()
            },
            ThreadEvidence {
                tid: 4250,
                name: "loader".into(),
                state: "S".into(),
                wait_channel: "sk_wait_data".into(),
                syscall: Some(Syscall { name: "recvfrom".into(), fd: Some(9), target: Some(target) }),
                ..ThreadEvidence::default()
            },
        ],
        thread_count: 3,
        over: Micros(2_000_000),
        ..ProcessEvidence::default()
    }
}
