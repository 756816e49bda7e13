//! Qube's job dictionary, made of a job of ours: what the class is constructed with, and the work that it is given.

use crate::job::commands;
use crate::model::job::{ItemSpec, Job};
use crate::model::{ItemIndex, ItemStatus, Phase, State};
use serde_json::{Map, Value, json};

/// The most bytes of agenda that the dictionary carries; the work itself comes one by one.
const AGENDA: usize = 8 << 20;

/// The job's dictionary. A job that came from Qube has one of its own, `raw`, which keeps what it says.
pub fn dictionary(job: &Job, raw: Option<&Value>, state: &State, session: &str) -> Map<String, Value> {
    let mut all = raw.and_then(Value::as_object).cloned().unwrap_or_default();
    let mut set = |key: &str, value: Value| {
        all.entry(key).or_insert(value);
    };
    set("id", 0.into());
    set("name", job.name.clone().into());
    set("package", package(job));
    set("cwd", job.cwd.as_ref().map_or(Value::Null, |cwd| cwd.to_string_lossy().into()));
    set("env", json!(job.env));
    set("flags", 0.into());
    set("status", "running".into());
    // What is launched was looked for from the job's folder, or named on the command line.
    if let (Some(Value::Object(package)), Some(executable)) = (all.get_mut("package"), executable(job)) {
        package.insert("pyExecutable".into(), executable.clone());
    }
    all.insert("session".into(), session.into());
    all.insert("agenda".into(), agenda(job, raw, state));
    all
}

/// The keys that Qube's own classes read. Parameters are there too, under their own names.
fn package(job: &Job) -> Value {
    let of_phase = |phase| commands::of_phase(job, phase).unwrap_or_default();
    let mut package: Map<String, Value> = job.parameters.clone().into_iter().collect();
    // The back end's own init commands come before both.
    let setup = [of_phase(Phase::Init), of_phase(Phase::Setup)].concat();
    package.insert("jobSetupCmds".into(), json!(setup));
    package.insert("jobTeardownCmds".into(), json!(of_phase(Phase::Teardown)));
    package.insert("outputPaths_required".into(), job.outputs_required.into());
    Value::Object(package)
}

fn executable(job: &Job) -> Option<&Value> {
    job.backend_settings.get(super::super::EXECUTABLE)
}

fn agenda(job: &Job, raw: Option<&Value>, state: &State) -> Value {
    let mut left = AGENDA;
    let mut all = Vec::new();
    for (item, row) in (0..).map(ItemIndex).zip(state.items.iter()) {
        let Some(spec) = state.item_spec(job, item) else { break };
        let commands = expanded(job, state, item, &spec);
        let one =
            Value::Object(work(job, raw, item, &spec, &Given { commands, status: row.status, attempt: row.attempt }));
        let Some(rest) = left.checked_sub(one.to_string().len()) else { break };
        left = rest;
        all.push(one);
    }
    Value::Array(all)
}

fn expanded(job: &Job, state: &State, item: ItemIndex, spec: &ItemSpec) -> Vec<String> {
    let literal = state.edits.get(&item).or_else(|| state.added.item(item)?.commands.as_ref());
    literal.cloned().unwrap_or_else(|| commands::of_item(job, spec).unwrap_or_default())
}

/// What is known of work beside the job.
pub struct Given {
    /// Its commands, filled in.
    pub commands: Vec<String>,
    /// Where it stands.
    pub status: ItemStatus,
    /// For the how-many-eth time it is run.
    pub attempt: u32,
}

/// An item as Qube's `requestwork` gives it.
pub fn work(job: &Job, raw: Option<&Value>, item: ItemIndex, spec: &ItemSpec, given: &Given) -> Map<String, Value> {
    let place = item.as_usize();
    let of_qube = raw.and_then(|raw| raw.get("agenda")?.get(place)?.as_object().cloned());
    let mut all = of_qube.unwrap_or_default();
    let mut package = match all.remove("package") {
        Some(Value::Object(package)) => package,
        _ => spec.data.clone().into_iter().collect(),
    };
    // One of Qube's that has none may be all that its class needs.
    if raw.is_none() || !given.commands.is_empty() {
        package.insert("commands".into(), json!(given.commands));
    }
    if given.status == ItemStatus::Running {
        // What an earlier attempt has yielded says nothing of this one.
        all.remove("resultpackage");
    }
    all.insert("name".into(), spec.name.clone().into());
    all.entry("id").or_insert_with(|| item.0.into());
    all.insert("status".into(), qubes_word(given.status).into());
    all.insert("package".into(), Value::Object(package));
    all.insert("count".into(), given.attempt.into());
    all.insert("retry".into(), job.retry.times.into());
    all
}

/// The status as a supervisor calls it.
fn qubes_word(status: ItemStatus) -> &'static str {
    match status {
        ItemStatus::Retrying => ItemStatus::Pending.word(),
        status => status.word(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::job::{Agenda, Phases};
    use crate::model::{Event, EventKind, Micros, Seq};

    fn begun(job: &Job) -> State {
        let mut state = State::default();
        let kind = EventKind::EngineStarted {
            pid: 1,
            version: String::new(),
            name: job.name.clone(),
            backend: String::new(),
            items: u32::try_from(job.agenda.len()).unwrap(),
            held: false,
            resumed: false,
        };
        state.apply(&Event { seq: Seq(1), wall: Micros(0), mono: Micros(0), kind }, 0);
        state
    }

    fn job() -> Job {
        let item = ItemSpec { name: "hero".into(), data: [("size".into(), json!(3))].into(), ..ItemSpec::default() };
        Job {
            name: "shots".into(),
            parameters: [("scene".into(), json!("/a.blend"))].into(),
            phases: Phases {
                init: vec!["import os".into()],
                setup: vec!["load({scene})".into()],
                commands: vec!["build({name}, {item.size})".into()],
                teardown: vec!["close()".into()],
            },
            agenda: Agenda::Items(vec![item]),
            ..Job::default()
        }
    }

    #[test]
    fn a_job_of_ours_is_one_of_qubes() {
        let job = job();
        let all = dictionary(&job, None, &begun(&job), "s1");
        let package = &all["package"];
        assert_eq!(package["jobSetupCmds"], json!(["import os", "load('/a.blend')"]));
        assert_eq!((&package["jobTeardownCmds"], &package["scene"]), (&json!(["close()"]), &json!("/a.blend")));
        assert_eq!(package.get("pyExecutable"), None, "an empty one would fail Qube's check");
        let item = &all["agenda"][0];
        assert_eq!((&item["name"], &item["status"]), (&json!("hero"), &json!("pending")));
        assert_eq!(item["package"], json!({ "commands": ["build('hero', 3)"], "size": 3 }));
    }

    #[test]
    fn a_job_of_qubes_keeps_what_it_says() {
        let job = job();
        let commands = vec!["print('{x}', 'QB_CONVERT_PATH(/a)')".to_owned()];
        let item = ItemSpec { commands: Some(commands.clone()), ..ItemSpec::default() };
        let raw = json!({
            "id": 77, "package": { "jobSetupCmds": ["x"], "pyExecutable": "bin/python" },
            "agenda": [{ "name": "hero", "package": { "own": 1 }, "resultpackage": { "errors": ["old"] } }],
        });
        let (qube, driven) = (Some(raw.clone()), Some(crate::model::Driven::default()));
        let settings = [(super::super::super::EXECUTABLE.to_owned(), json!("/job/bin/python"))].into();
        let agenda = Agenda::Items(vec![item.clone()]);
        let job = Job { qube, driven, agenda, backend_settings: settings, ..job };
        let all = dictionary(&job, Some(&raw), &begun(&job), "s1");
        assert_eq!((&all["id"], &all["package"]["jobSetupCmds"]), (&json!(77), &json!(["x"])));
        assert_eq!(all["package"]["pyExecutable"], "/job/bin/python");
        assert_eq!(all["agenda"][0]["package"], json!({ "own": 1, "commands": commands }), "as they stand");
        assert_eq!(all["agenda"][0]["resultpackage"]["errors"], json!(["old"]));
        let given = Given { commands: Vec::new(), status: ItemStatus::Running, attempt: 2 };
        let handed = work(&job, Some(&raw), ItemIndex(0), &item, &given);
        assert_eq!((&handed["package"], handed.get("resultpackage")), (&json!({ "own": 1 }), None));
    }
}
