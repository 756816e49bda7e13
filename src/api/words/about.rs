//! What runs a session, in words.

use crate::model::about::{About, PatternAbout, ValueAbout};
use crate::model::back_end::{BackEnd, Override};
use crate::model::job::Timeouts;
use crate::model::size::length;
use crate::store::plain_safe;
use std::time::Duration;

/// The most characters of one line.
const MOST: usize = 2000;

/// Its parts: what stands over each, and facts by their names. Each is one line, and safe.
pub fn about(about: &About) -> Vec<(&'static str, Vec<(String, String)>)> {
    let mut parts = vec![
        ("session", session(about)),
        ("backend", backend(about)),
        ("class", about.class.as_deref().map(class).unwrap_or_default()),
        ("child", child(about)),
        ("settings", about.settings.iter().map(value).collect()),
        ("parameters", about.parameters.iter().map(value).collect()),
        ("patterns", about.patterns.iter().map(pattern).collect()),
        ("time-outs", timeouts(&about.timeouts, about.timeouts_changed)),
    ];
    parts.retain(|(_, facts)| !facts.is_empty());
    parts
}

fn fact(name: &str, value: impl AsRef<str>) -> (String, String) {
    (safe(name), safe(value.as_ref()))
}

/// One line, safe, and not too long.
fn safe(text: &str) -> String {
    plain_safe(text.as_bytes()).lines().collect::<Vec<_>>().join(" ").chars().take(MOST).collect()
}

/// A fact of which something is known.
fn known(name: &str, value: &str) -> Option<(String, String)> {
    (!value.trim().is_empty()).then(|| fact(name, value.trim()))
}

fn session(about: &About) -> Vec<(String, String)> {
    let whose = format!("{} on {}", about.user, about.host);
    let facts = [
        known("session", &about.session),
        known("job", &about.job),
        known("of", &whose),
        about.folder.as_deref().and_then(|folder| known("folder", folder)),
        known("made by", &format!("childminder {}", about.version)),
    ];
    facts.into_iter().flatten().collect()
}

fn backend(about: &About) -> Vec<(String, String)> {
    let backend = &about.backend;
    if backend.name.is_empty() {
        return vec![fact("backend", format!("{}, whose recipe cannot be read", backend.asked_for))];
    }
    let own = "childminder's own".to_owned();
    let facts = [
        known("backend", &backend.name),
        known("what", &backend.description),
        known("recipe", backend.file.as_deref().unwrap_or("built in")),
        backend.not_run.as_deref().and_then(|why| known("never run", &format!("by who wrote it: {why}"))),
        known("bootstrapper", backend.bootstrapper.as_ref().unwrap_or(&own)),
        known("passing", &backend.passing),
        known("pump", &backend.pump),
        known("prompt", &backend.prompt),
        known("ways out", &backend.rungs.join(", ")),
        backend.cancel.as_deref().and_then(|cancel| known("cancel", cancel)),
    ];
    facts.into_iter().flatten().collect()
}

/// Qube's `printClassInfo`.
fn class(class: &BackEnd) -> Vec<(String, String)> {
    let mut facts: Vec<_> = [
        known("class", &class.class),
        known("file", &class.file),
        known("run by", &format!("Python {} ({}), pid {}", class.python, class.executable, class.pid)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let places = class.overrides.iter().map(|found| {
        let Override { name, class, file, line } = found;
        fact(name, format!("overridden by {class}  ({file}:{line})"))
    });
    facts.extend(places);
    facts.extend(class.constants.iter().map(|(name, value)| fact(name, value.to_string())));
    facts
}

fn child(about: &About) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    if let Some(launch) = &about.launch {
        let (program, arguments) =
            launch.argv.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        facts.push(fact("child", launch.generation.to_string()));
        facts.extend(known("executable", program));
        facts.extend(known("arguments", &arguments.join(" ")));
        facts.extend(known("folder", &launch.cwd));
    }
    match &about.hello {
        Some(hello) => {
            let application = format!("{} {}", hello.application.name, hello.application.version);
            let python = format!("{} {}", hello.implementation, hello.python);
            facts.extend(known("application", &application));
            facts.extend(known("python", &python));
            facts.push(fact("pid", hello.pid.to_string()));
            facts.extend(known("features", &hello.features.join(", ")));
        }
        None => facts.push(fact("versions", "no child is connected")),
    }
    facts
}

fn value(about: &ValueAbout) -> (String, String) {
    fact(&about.key, format!("{}  ({})", about.value, about.from))
}

fn pattern(about: &PatternAbout) -> (String, String) {
    fact(&about.name, format!("{}: {}  ({})", about.finds, about.regexes.join(" | "), about.from))
}

fn timeouts(timeouts: &Timeouts, changed: bool) -> Vec<(String, String)> {
    let said = |limit: Option<Duration>| limit.map_or_else(|| "none".to_owned(), |limit| length(limit.into()));
    let policies = &timeouts.policies;
    let then = |limit: Option<Duration>, policy: &str| match limit {
        Some(_) => format!("{}, then {policy}", said(limit)),
        None => said(limit),
    };
    let mut facts = vec![
        fact("startup", said(timeouts.startup)),
        fact("command", then(timeouts.command, policies.command.word())),
        fact("item", then(timeouts.item, policies.item.word())),
        fact("silence", then(timeouts.silence, policies.silence.word())),
        fact("teardown", said(timeouts.teardown)),
        fact("kill grace", said(Some(timeouts.kill_grace))),
    ];
    if changed {
        facts.push(fact("changed", "by an operator, for this session"));
    }
    facts
}
