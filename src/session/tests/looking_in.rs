//! Who asks what the child is doing, and what becomes of the answer.

use super::*;
use crate::model::diagnosis::{Confidence, Doing, MemoryEvidence, Stacks, ThreadStack, Trigger, Verdict};

/// An answer to whatever wants to know.
pub(super) fn found_out(inquiry: Inquiry) -> Box<Diagnosis> {
    Box::new(Diagnosis {
        verdict: Verdict {
            doing: Doing::Unresponsive,
            confidence: Confidence::Guess,
            sentence: "It does not answer.".into(),
            advice: String::new(),
        },
        trigger: inquiry.trigger,
        stacks: Stacks::default(),
        processes: Vec::new(),
        memory: MemoryEvidence::default(),
        session: inquiry.session,
        missing: Vec::new(),
        took: Micros(1),
    })
}

fn told(answer: &mut oneshot::Receiver<Answer>) -> Diagnosis {
    match answer.try_recv() {
        Ok(Ok(Response::Diagnosis(diagnosis))) => *diagnosis,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_who_ask_at_once_share_one_answer_which_is_saved() {
    let mut stage = Stage::new(job(1));
    stage.connect_as(&["stacks"]);
    stage.finish_until("one 1");
    let (mut first, mut second) = (stage.ask(Request::Why), stage.ask(Request::Why));
    let frame = stage.last_sent();
    assert_eq!((&frame["type"], &frame["locals"]), (&"stacks".into(), &true.into()));
    assert_eq!(stage.actor.world().inquiries.len(), 1);
    let id = frame["id"].as_u64().expect("a number");
    stage.actor.heard(FromChild::Stacks { id, threads: vec![ThreadStack { main: true, ..ThreadStack::default() }] });
    let mut inquiry = stage.actor.world().inquiries.remove(0);
    assert!(inquiry.inside.take().expect("it was asked").try_recv().expect("an answer")[0].main);
    assert_eq!((inquiry.session.item_name.as_str(), inquiry.session.head.as_str()), ("1", "one 1"));
    stage.actor.diagnosed(found_out(inquiry));
    assert_eq!(told(&mut first), told(&mut second));
    assert_eq!(stage.actor.state().diagnoses.len(), 1);
    let events = stage.actor.world().events.clone();
    let by = events.iter().find_map(|event| match &event.kind {
        EventKind::Diagnosed { by, .. } => by.clone(),
        _ => None,
    });
    assert_eq!(by.map(|by| by.user), Some("op".into()));
}

#[test]
fn a_time_out_s_question_wins_over_an_operator_s() {
    let timeouts = Timeouts { command: Some(Duration::from_mins(1)), ..Timeouts::default() };
    let mut stage = Stage::new(Job { timeouts, ..job(1) });
    stage.connect();
    stage.finish_until("one 1");
    stage.puzzled = true;
    stage.pass(58);
    let mut asked = stage.ask(Request::Why);
    stage.pass(2);
    stage.find_out();
    assert_eq!(told(&mut asked).trigger, Trigger::TimedOut(WaitFor::Command));
    assert_eq!(stage.last_sent()["type"], "interrupt");
}

#[test]
fn who_asks_is_answered_also_when_nothing_is_found_out_or_nobody_is_there() {
    let mut stage = Stage::new(job(1));
    stage.connect();
    stage.puzzled = true;
    let mut asked = stage.ask(Request::Why);
    stage.pass(3);
    assert_eq!(asked.try_recv().expect("an answer").expect_err("nothing").kind, RefusalKind::NotNow);
    stage.exit(3);
    assert_eq!(stage.ended(), Some(70));
    let seq = stage.actor.state().seq;
    let mut late = stage.ask(Request::Why);
    let diagnosis = told(&mut late);
    assert_eq!(diagnosis.verdict.doing, Doing::Exited { exit: Exit::Code(3) });
    assert_eq!(stage.actor.state().seq, seq, "nothing comes after the end");
}

#[test]
fn what_is_too_long_for_a_line_is_left_out_and_said_so() {
    let mut stage = Stage::new(job(1));
    stage.connect();
    stage.ask(Request::Why);
    let inquiry = stage.actor.world().inquiries.remove(0);
    let mut diagnosis = found_out(inquiry);
    let locals = Some([("x".to_owned(), "\u{1}".repeat(1 << 10))].into());
    let frame = Frame { file: "f".repeat(900), locals, ..Frame::default() };
    let thread = ThreadStack { frames: vec![frame; 500], ..ThreadStack::default() };
    diagnosis.stacks.threads = vec![thread; 10];
    stage.actor.diagnosed(diagnosis);
    let events = stage.actor.world().events.clone();
    let last = events.iter().rev().find(|event| matches!(event.kind, EventKind::Diagnosed { .. })).expect("saved");
    assert!(serde_json::to_string(&**last).expect("json").len() <= (2 << 20) + 4096);
    let EventKind::Diagnosed { diagnosis, .. } = &last.kind else { unreachable!() };
    assert!(!diagnosis.stacks.threads.is_empty() && diagnosis.missing.iter().any(|said| said.contains("too long")));
}

#[test]
fn whether_an_interrupt_is_possible_is_told_with_the_question() {
    let uninterruptible = |stage: &mut Stage| {
        stage.finish_until("one 1");
        stage.ask(Request::Why);
        stage.actor.world().inquiries.remove(0).session.barred.contains(&Rung::Interrupt)
    };
    let mut stage = Stage::new(job(1));
    stage.connect();
    assert!(!uninterruptible(&mut stage));
    let mut stage = Stage::new(job(1));
    stage.connect_as(&[crate::dispatcher::qube::FEATURE]);
    assert!(uninterruptible(&mut stage), "there is no way for it");
    let mut stage = Stage::new(job(1));
    stage.actor.label.manners.rungs = vec![Rung::Terminate];
    stage.connect();
    assert!(uninterruptible(&mut stage), "the recipe calls it unsafe");
}
