//! What patterns find, and what becomes of it.

use super::*;
use crate::patterns::{Findings, Hit, Reading};

impl Stage {
    /// One whose outside looks for two patterns: an error and a failure of the session.
    fn that_looks(job: Job) -> Self {
        let pattern = |name: &str| OutputPattern::of_qube(name, "x", Finds::Highlight);
        let mut stage = Self::new(job);
        stage.actor.label.patterns = vec![pattern("error"), pattern("over")];
        stage.actor.world().looks_for_something = true;
        stage
    }

    pub(super) fn find(&mut self, command: Option<u64>, severity: Severity) {
        let (stream, reading) = (Stream::Stdout, Reading::Error(severity));
        let hit = Hit { pattern: 0, stream, at: 7, text: "black frame".into(), reading, frame: None };
        let command = command.map(CommandId);
        self.actor.found(vec![Findings { command, hits: vec![hit], ..Findings::default() }]);
    }

    /// Ends the running command, and tells that all that it printed was matched.
    fn finish_and_settle(&mut self) {
        self.finish();
        self.actor.settled();
    }

    fn settle_until(&mut self, text: &str) {
        while self.running().as_deref() != Some(text) {
            self.finish_and_settle();
        }
    }
}

fn found(stage: &mut Stage) -> Vec<Option<ItemIndex>> {
    let found = stage.actor.world().events.iter().filter_map(|event| match event.kind {
        EventKind::Found { item, .. } => Some(item),
        _ => None,
    });
    found.collect()
}

#[test]
fn nothing_is_made_of_a_commands_end_before_what_it_printed_was_matched() {
    let mut stage = Stage::that_looks(job(1));
    stage.connect();
    stage.settle_until("two 1");
    stage.finish();
    assert_eq!((stage.running(), stage.status(0)), (None, ItemStatus::Running));
    let waits: Vec<_> = stage.actor.summary().waits.iter().map(|wait| wait.what).collect();
    assert!(waits.contains(&WaitFor::Output), "{waits:?}");
    stage.pass(20);
    assert_eq!(stage.status(0), ItemStatus::Running);
    stage.actor.settled();
    assert_eq!(stage.status(0), ItemStatus::Complete);
    let asked = stage.actor.world().settling.len();
    stage.actor.settled();
    assert_eq!(stage.actor.world().settling.len(), asked, "nobody waits for that");
}

#[test]
fn what_cannot_be_matched_in_time_does_not_pass_for_well() {
    let mut stage = Stage::that_looks(job(2));
    stage.connect();
    stage.settle_until("one 1");
    stage.finish();
    stage.pass(61);
    assert_eq!(stage.running().as_deref(), Some("two 1"));
    stage.finish_and_settle();
    assert_eq!(stage.status(0), ItemStatus::Failed);
    assert_eq!(stage.running().as_deref(), Some("one 2"));
}

#[test]
fn an_error_fails_the_item_of_the_command_that_printed_it() {
    let mut stage = Stage::that_looks(job(2));
    stage.connect();
    stage.settle_until("one 1");
    let first = stage.actor.state().running.expect("a command").id.0;
    stage.find(Some(first), Severity::Warn);
    stage.find(Some(first), Severity::FailItem);
    assert_eq!(stage.running().as_deref(), Some("one 1"), "it is not interrupted");
    stage.finish_and_settle();
    assert_eq!((stage.status(0), stage.running().as_deref()), (ItemStatus::Failed, Some("one 2")));
    // Told late, it is no other item's.
    stage.find(Some(first), Severity::FailItem);
    stage.settle_until("close");
    assert_eq!(stage.status(1), ItemStatus::Complete);
    assert_eq!(found(&mut stage), [Some(ItemIndex(0)), Some(ItemIndex(0)), None]);
}

#[test]
fn an_error_of_an_earlier_attempt_is_not_this_ones() {
    let retry = Retry { times: 1, delay: Duration::from_secs(1) };
    let mut stage = Stage::that_looks(Job { retry, ..job(1) });
    stage.connect();
    stage.settle_until("one 1");
    let first = stage.actor.state().running.expect("a command").id.0;
    stage.raise();
    stage.actor.settled();
    stage.pass(2);
    assert_eq!(stage.running().as_deref(), Some("one 1"));
    stage.find(Some(first), Severity::FailItem);
    stage.settle_until("close");
    assert_eq!(stage.status(0), ItemStatus::Complete);
}

#[test]
fn an_error_of_the_session_is_acted_on_when_nothing_runs() {
    let mut stage = Stage::that_looks(Job { hold: true, ..job(1) });
    stage.connect();
    stage.finish_and_settle();
    stage.finish_and_settle();
    assert_eq!(stage.running(), None, "the agenda waits");
    stage.find(None, Severity::FailItem);
    assert_eq!(stage.running(), None, "there is nothing that it could fail");
    stage.find(None, Severity::FailSession);
    assert_eq!(stage.running().as_deref(), Some("close"));
    stage.finish_and_settle();
    stage.exit(0);
    assert_eq!((stage.ended(), stage.status(0)), (Some(1), ItemStatus::Pending));
}

#[test]
fn a_child_that_dies_leaves_nothing_to_be_matched() {
    let mut stage = Stage::that_looks(Job { restarts: 1, ..job(1) });
    stage.connect();
    stage.settle_until("one 1");
    stage.finish();
    stage.exit(3);
    stage.connect();
    assert_eq!(stage.running().as_deref(), Some("init"));
}
