//! What becomes of an item that a class reports, while the engine looks at its output and its files.

use super::*;
use crate::backend::class::bridge::Request as Asks;
use serde_json::{Value, json};

impl Stage {
    /// A session whose class has set up its child, and whose outside looks for an error.
    fn driven(job: Job) -> Self {
        let mut stage = Self::new(Job { driven: Some(Driven::default()), ..job });
        stage.actor.label.patterns = vec![OutputPattern::of_qube("error", "x", Finds::Highlight)];
        assert!(stage.actor.driver_starting(vec!["python".into()]));
        let back_end = serde_json::to_value(BackEnd::default()).unwrap();
        stage.drive("hello", &back_end);
        stage.drive("open", &json!({}));
        stage.actor.channel_opened(Ok((1, "/boot.py".into())));
        stage.drive("start", &json!({ "args": null }));
        stage.connect_as(&[]);
        stage.finish();
        stage
    }

    /// The driver asks for something; what it is told at once, if anything.
    fn drive(&mut self, op: &str, more: &Value) -> Option<Value> {
        let mut asked = more.as_object().cloned().unwrap_or_default();
        asked.insert("id".into(), 1.into());
        asked.insert("op".into(), op.into());
        let asked: Asks = serde_json::from_value(asked.into()).unwrap();
        self.actor.world().told.clear();
        self.actor.driver_asked(asked);
        self.told()
    }

    fn told(&mut self) -> Option<Value> {
        self.actor.world().told.iter().rev().find_map(|word| match word {
            Word::Done(_, fields) => Some(Value::Object(fields.clone())),
            Word::Refused(_, why) => Some(why.clone().into()),
            Word::Stop(..) => None,
        })
    }

    fn stops(&mut self) -> Vec<Option<String>> {
        let told = self.actor.world().told.iter();
        told.filter_map(|word| if let Word::Stop(_, failed) = word { Some(failed.clone()) } else { None }).collect()
    }

    /// Takes the next item and has one command of it begun.
    fn begins(&mut self, name: &str) {
        let took = self.drive("take", &json!({})).expect("work");
        assert_eq!(took["work"]["name"], name);
        assert_eq!(self.executes("item", Some(name)), None);
    }

    fn executes(&mut self, phase: &str, item: Option<&str>) -> Option<Value> {
        self.drive("execute", &json!({ "phase": phase, "item": item, "commands": ["render"] }))
    }

    fn reports(&mut self, name: &str, status: &str, result: &Value) -> Option<Value> {
        self.drive("report", &json!({ "work": { "name": name, "status": status, "resultpackage": result } }))
    }
}

#[test]
fn an_item_that_is_reported_complete_fails_by_its_output_once_that_is_matched() {
    let mut stage = Stage::driven(job(2));
    stage.actor.world().looks_for_something = true;
    stage.begins("1");
    let command = stage.actor.state().running.unwrap().id.0;
    stage.finish();
    assert_eq!(stage.told().unwrap()["code"], 0, "the command itself went well");
    assert_eq!(stage.reports("1", "complete", &json!({})), None, "its output is still being matched");
    assert_eq!(stage.status(0), ItemStatus::Running);
    stage.find(Some(command), Severity::FailItem);
    assert_eq!(stage.status(0), ItemStatus::Running);
    stage.actor.settled();
    assert_eq!(stage.told().unwrap(), json!({ "status": "failed" }));
    assert_eq!(stage.last_end().1.as_deref(), Some("black frame"));
    // The next one is none the worse for it.
    stage.begins("2");
    stage.finish();
    stage.actor.settled();
    assert_eq!(stage.reports("2", "complete", &json!({})).unwrap(), json!({ "status": "complete" }));
}

#[test]
fn commands_after_one_whose_output_fails_the_item_are_not_run() {
    let mut stage = Stage::driven(job(1));
    stage.actor.world().looks_for_something = true;
    stage.begins("1");
    let command = stage.actor.state().running.unwrap().id.0;
    stage.finish();
    assert_eq!(stage.executes("item", Some("1")), None, "it waits for what the one before it printed");
    stage.find(Some(command), Severity::FailItem);
    stage.actor.settled();
    let refused = stage.told().unwrap();
    assert_eq!((&refused["code"], &refused["ran"], &refused["error"]), (&json!(1), &json!(0), &json!("black frame")));
    assert_eq!(stage.executes("item", Some("1")).unwrap()["error"], "black frame");
}

#[test]
fn an_item_that_is_reported_complete_fails_by_its_files() {
    let mut stage = Stage::driven(Job { outputs: OutputChecks { exist: true, ..OutputChecks::default() }, ..job(2) });
    stage.begins("1");
    stage.finish();
    // What the class has found is no reason for not looking, since it calls the item complete.
    let result = json!({ "outputPaths": "/1.png", "errors": ["harmless"] });
    assert_eq!(stage.reports("1", "complete", &result), None, "somebody looks");
    assert_eq!(stage.actor.world().inspections.len(), 1);
    let missing = OutputFile { path: "/1.png".into(), problem: Some("is not there".into()), ..OutputFile::default() };
    stage.actor.outputs_inspected(vec![missing]);
    assert_eq!(stage.told().unwrap(), json!({ "status": "failed" }));
    let (_, reason, result) = stage.last_end();
    assert_eq!(reason.as_deref(), Some("/1.png is not there"));
    assert_eq!(result.errors, ["harmless", "/1.png is not there"]);
    stage.begins("2");
    stage.finish();
    let all_well = json!({ "errors": ["harmless"] });
    assert_eq!(stage.reports("2", "complete", &all_well).unwrap(), json!({ "status": "complete" }));
}

#[test]
fn paths_with_commas_and_the_reason_are_as_the_class_says() {
    let mut stage = Stage::driven(job(1));
    stage.begins("1");
    stage.raise();
    let work = json!({ "name": "1", "status": "failed", "resultpackage": { "outputPaths": "/a,b.png,/c.png" } });
    let report = json!({ "work": work, "output_paths": ["/a,b.png", "/c.png"], "reason": "the licence is gone" });
    stage.drive("report", &report);
    let (status, reason, result) = stage.last_end();
    assert_eq!((status, reason.as_deref()), (ItemStatus::Failed, Some("the licence is gone")));
    assert_eq!(result.output_paths, ["/a,b.png", "/c.png"]);
}

#[test]
fn a_session_that_fails_by_its_output_tells_the_driver_to_stop_and_why() {
    let mut stage = Stage::driven(Job { hold: true, ..job(1) });
    assert_eq!(stage.drive("take", &json!({})), None, "the agenda is held");
    stage.find(None, Severity::FailSession);
    let reason = "the output says (error): black frame";
    assert_eq!(stage.stops(), [Some(reason.to_owned())]);
    assert_eq!(stage.told().unwrap()["work"]["status"], "pending", "there is no more work");
    assert_eq!(stage.executes("setup", None).unwrap()["error"], reason);
    assert_eq!(stage.executes("teardown", None), None, "that is run all the same");
    assert_eq!(stage.running().as_deref(), Some("render"));
    stage.finish();
    stage.drive("job", &json!({ "status": "complete" }));
    stage.drive("close", &json!({ "code": 0 }));
    stage.exit(0);
    stage.actor.driver_ended(Exit::Code(0));
    let ended = stage.actor.state().ended.clone().expect("an end");
    assert_eq!((ended.code, ended.reason.as_str()), (1, reason));
    assert_eq!(stage.status(0), ItemStatus::Pending);
}
