//! What becomes of an item whose output files are asked for, or looked at.

use super::*;

fn checking(checks: OutputChecks) -> Job {
    Job { outputs: checks, ..job(2) }
}

fn file(path: &str, problem: Option<&str>) -> OutputFile {
    OutputFile { path: path.into(), problem: problem.map(str::to_owned), ..OutputFile::default() }
}

impl Stage {
    /// Runs the commands of an item, which tells of these files.
    fn tell_of(&mut self, item: u32, paths: &[&str]) {
        self.finish_until(&format!("one {item}"));
        for path in paths {
            self.actor.heard(FromChild::Output { path: (*path).to_owned() });
        }
        self.finish();
        self.finish();
    }

    /// How the last attempt ended.
    pub(super) fn last_end(&mut self) -> (ItemStatus, Option<String>, ResultPackage) {
        let ends = self.actor.world().events.iter().rev().find_map(|event| match &event.kind {
            EventKind::ItemEnded { status, reason, result, .. } => Some((*status, reason.clone(), result.clone())),
            _ => None,
        });
        ends.expect("an item ended")
    }

    fn is_looking(&self) -> bool {
        self.actor.summary().waits.iter().any(|wait| wait.what == WaitFor::Outputs)
    }
}

#[test]
fn user_code_and_a_missing_output_fail_an_item() {
    let mut stage = Stage::new(Job { outputs_required: true, ..job(3) });
    stage.connect();
    stage.finish_until("one 1");
    stage.actor.heard(FromChild::Fail { message: "black frame".into() });
    stage.finish_until("one 2");
    assert_eq!(stage.status(0), ItemStatus::Failed);
    stage.tell_of(2, &["/tmp/2.png"]);
    let inspections = std::mem::take(&mut stage.actor.world().inspections);
    assert_eq!(inspections.iter().map(|look| &look.paths[..]).collect::<Vec<_>>(), [["/tmp/2.png"]]);
    assert_eq!(stage.status(1), ItemStatus::Running, "nobody has looked yet");
    stage.actor.outputs_inspected(vec![file("/tmp/2.png", None)]);
    assert_eq!(stage.status(1), ItemStatus::Complete);
    stage.finish_until("close");
    assert_eq!(stage.status(2), ItemStatus::Failed);
}

#[test]
fn what_is_wrong_with_the_files_fails_the_item_and_all_of_it_is_told() {
    let checks = OutputChecks { min_size: Some(10), newer: true, ..OutputChecks::default() };
    let mut stage = Stage::new(checking(checks));
    stage.connect();
    let began = stage.actor.world().now.wall;
    stage.tell_of(1, &["1.png", "1.exr", "1.jpg"]);
    let look = stage.actor.world().inspections.pop().expect("a look");
    assert_eq!((look.checks, look.began), (checks, began));
    assert!(stage.is_looking(), "it can be seen what is being waited for");
    let files = vec![file("1.png", None), file("1.exr", Some("is not there")), file("1.jpg", Some("has 1 B"))];
    stage.actor.outputs_inspected(files.clone());
    let (status, reason, result) = stage.last_end();
    assert_eq!((status, reason.as_deref()), (ItemStatus::Failed, Some("1.exr is not there")));
    assert_eq!(result.errors, ["1.exr is not there", "1.jpg has 1 B"]);
    assert_eq!(result.files, files);
    assert!(!stage.is_looking());
    assert_eq!(stage.running().as_deref(), Some("one 2"), "the agenda goes on");
}

#[test]
fn a_retried_item_begins_with_nothing_and_is_looked_at_again() {
    let retry = Retry { times: 1, delay: Duration::ZERO };
    let checks = OutputChecks { exist: true, ..OutputChecks::default() };
    let mut stage = Stage::new(Job { retry, outputs: checks, ..job(1) });
    stage.connect();
    stage.tell_of(1, &["1.png"]);
    stage.actor.outputs_inspected(vec![file("1.png", Some("is not there"))]);
    assert_eq!(stage.status(0), ItemStatus::Retrying);
    stage.pass(1);
    let running = stage.actor.state().running_item.clone().expect("it runs");
    assert_eq!((running.attempt, running.result), (2, ResultPackage::default()));
    stage.tell_of(1, &["1.png"]);
    let looks = &stage.actor.world().inspections;
    assert_eq!(looks.len(), 2);
    assert!(looks[0].began < looks[1].began, "measured against its own beginning");
    stage.actor.outputs_inspected(vec![file("1.png", None)]);
    let (status, _, result) = stage.last_end();
    assert_eq!((status, result.errors.len(), result.files.len()), (ItemStatus::Complete, 0, 1));
}

#[test]
fn nobody_looks_where_it_would_change_nothing() {
    let exist = OutputChecks { exist: true, ..OutputChecks::default() };
    let mut stage = Stage::new(checking(exist));
    stage.connect();
    stage.tell_of(1, &[]);
    assert_eq!(stage.status(0), ItemStatus::Complete, "none is required");
    stage.finish_until("one 2");
    stage.actor.heard(FromChild::Output { path: "half.png".into() });
    stage.raise();
    assert_eq!(stage.status(1), ItemStatus::Failed);
    assert_eq!(stage.actor.world().inspections, []);
    let mut stage = Stage::new(job(1));
    stage.connect();
    stage.tell_of(1, &["1.png"]);
    assert_eq!(stage.status(0), ItemStatus::Complete, "nothing is to be checked");
    assert_eq!(stage.actor.world().inspections, []);
}

#[test]
fn a_look_that_comes_too_late_says_nothing_of_the_next_item() {
    let mut stage = Stage::new(checking(OutputChecks { exist: true, ..OutputChecks::default() }));
    stage.connect();
    stage.tell_of(1, &["1.png"]);
    stage.ask(Request::Items { verb: ItemVerb::Kill, names: vec!["1".into()] });
    assert_eq!(stage.status(0), ItemStatus::Killed, "nobody waits for a file server to kill an item");
    assert_eq!(stage.running().as_deref(), Some("one 2"));
    stage.actor.outputs_inspected(vec![file("1.png", Some("is not there"))]);
    stage.finish_until("close");
    assert_eq!(stage.status(1), ItemStatus::Complete);
}

#[test]
fn a_child_that_dies_while_its_files_are_looked_at_has_failed_its_item() {
    let mut stage = Stage::new(checking(OutputChecks { exist: true, ..OutputChecks::default() }));
    stage.connect();
    stage.tell_of(1, &["1.png"]);
    stage.exit(3);
    assert_eq!(stage.status(0), ItemStatus::Failed);
    assert_eq!(stage.ended(), Some(70));
}

#[test]
fn no_verdict_is_given_before_what_was_seen_is_journalled() {
    let mut stage = Stage::new(checking(OutputChecks { exist: true, ..OutputChecks::default() }));
    stage.connect();
    stage.tell_of(1, &["1.png"]);
    stage.actor.world().disk_full = true;
    stage.actor.outputs_inspected(vec![file("1.png", Some("is not there"))]);
    assert_eq!(stage.status(0), ItemStatus::Running);
    stage.actor.world().disk_full = false;
    stage.pass(1);
    assert_eq!(stage.status(0), ItemStatus::Failed);
}

#[test]
fn an_item_is_marked_by_what_its_last_attempts_output_warned_of() {
    let mut stage = Stage::new(Job { retry: Retry { times: 1, delay: Duration::ZERO }, ..job(1) });
    stage.connect();
    stage.finish_until("one 1");
    let found = |severity| EventKind::Found {
        item: Some(ItemIndex(0)),
        findings: vec![Finding {
            pattern: "texture".into(),
            stream: Stream::Stderr,
            at: 40,
            text: "it is scaled".into(),
            what: Found::Error { severity },
        }],
        left_out: 0,
    };
    let warned = |stage: &Stage| stage.actor.state().item(ItemIndex(0)).is_some_and(|row| row.warned);
    stage.actor.fact(found(Severity::Note));
    assert!(!warned(&stage), "a note is no warning");
    stage.actor.fact(found(Severity::Warn));
    assert!(warned(&stage));
    stage.raise();
    assert!(warned(&stage), "it stays when the attempt has ended");
    stage.pass(1);
    assert!(!warned(&stage), "another attempt");
}
