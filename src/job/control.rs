//! How a job says that it is steered: where the agenda stops by itself, and what time-outs lead to.

use super::source::quoted;
use super::tree::{Fields, Node, Walk, suggestion};
use crate::model::control::BREAKPOINTS;
use crate::model::job::Agenda;
use crate::model::{Breakpoint, Case, Grep, ItemIndex, Job, Pattern, Policies, Policy, Stops};

/// The most names that are looked at for the one that was probably meant.
const NAMES: usize = 1000;

/// A breakpoint as it is written on a command line: an item's name, or `/PATTERN/` for commands.
pub fn breakpoint(text: &str) -> Result<Breakpoint, String> {
    let pattern = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).filter(|pattern| !pattern.is_empty());
    let breakpoint = match pattern {
        Some(pattern) => Breakpoint::Command(pattern.to_owned()),
        None if text.is_empty() => return Err("a breakpoint is an item's name, or /PATTERN/ for commands".to_owned()),
        None => Breakpoint::Item(text.to_owned()),
    };
    check_pattern(&breakpoint)?;
    Ok(breakpoint)
}

/// Adds breakpoints of the command line to a job that was read.
pub fn add(job: &mut Job, breakpoints: &[Breakpoint]) -> Result<(), String> {
    for breakpoint in breakpoints {
        check_item(breakpoint, &job.agenda)?;
        if !job.stops.breakpoints.contains(breakpoint) {
            job.stops.breakpoints.push(breakpoint.clone());
        }
    }
    if job.stops.breakpoints.len() > BREAKPOINTS { Err(too_many()) } else { Ok(()) }
}

/// Where the agenda stops by itself.
pub(crate) fn stops(fields: &mut Fields<'_>, agenda: &Agenda, walk: &mut Walk<'_>) -> Stops {
    let mut stops = Stops::default();
    if let Some(node) = fields.get("hold_on_failure") {
        stops.on_failure = node.boolean(walk).unwrap_or_default();
    }
    let Some(node) = fields.get("breakpoints") else { return stops };
    let nodes = node.list(walk, "breakpoints");
    if nodes.len() > BREAKPOINTS {
        walk.add(node.at, too_many());
    }
    for node in nodes.iter().take(BREAKPOINTS) {
        stops.breakpoints.extend(read_breakpoint(node, agenda, walk));
    }
    stops
}

fn read_breakpoint(node: &Node, agenda: &Agenda, walk: &mut Walk<'_>) -> Option<Breakpoint> {
    let mut fields = Fields::of(node, "a breakpoint", walk);
    let (item, command) = (fields.get("item"), fields.get("command"));
    fields.finish(walk);
    let (node, breakpoint) = match (item, command) {
        (Some(node), None) => (node, Breakpoint::Item(node.text(walk)?.to_owned())),
        (None, Some(node)) => (node, Breakpoint::Command(node.text(walk)?.to_owned())),
        (Some(_), Some(node)) => {
            walk.add(node.at, "a breakpoint is an item or a command, not both: write two");
            return None;
        }
        (None, None) => {
            walk.add(node.at, "a breakpoint needs an \"item\" (a name) or a \"command\" (a regex)");
            return None;
        }
    };
    match check_pattern(&breakpoint).and_then(|()| check_item(&breakpoint, agenda)) {
        Ok(()) => Some(breakpoint),
        Err(message) => {
            walk.add(node.at, message);
            None
        }
    }
}

/// What time-outs lead to.
pub(crate) fn policies(node: &Node, walk: &mut Walk<'_>) -> Policies {
    let mut fields = Fields::of(node, "[on_timeout]", walk);
    let mut policies = Policies::default();
    for (key, policy) in
        [("command", &mut policies.command), ("item", &mut policies.item), ("silence", &mut policies.silence)]
    {
        let Some((at, text)) = fields.text(key, walk) else { continue };
        match self::policy(text) {
            Ok(found) => *policy = found,
            Err(message) => walk.add(at, message),
        }
    }
    fields.finish(walk);
    policies
}

/// A policy by its word.
pub fn policy(text: &str) -> Result<Policy, String> {
    let words = Policy::ALL.map(Policy::word);
    Policy::ALL.into_iter().find(|policy| policy.word() == text).ok_or_else(|| {
        let hint = suggestion(text, words.into_iter()).unwrap_or_else(|| format!("known are {}", words.join(", ")));
        format!("{} is nothing that a time-out leads to: {hint}", quoted(text))
    })
}

fn too_many() -> String {
    format!("there are more than {BREAKPOINTS} breakpoints; one pattern can stand for many commands")
}

fn check_pattern(breakpoint: &Breakpoint) -> Result<(), String> {
    let Breakpoint::Command(pattern) = breakpoint else { return Ok(()) };
    if pattern.is_empty() {
        return Err("an empty pattern would stop at every command: `childminder agenda step` does that".to_owned());
    }
    let grep = Grep { pattern: pattern.clone(), case: Case::Smart, invert: false };
    Pattern::new(&grep).map(drop).map_err(|bad| format!("{} is no pattern: {bad}", quoted(pattern)))
}

fn check_item(breakpoint: &Breakpoint, agenda: &Agenda) -> Result<(), String> {
    let Breakpoint::Item(name) = breakpoint else { return Ok(()) };
    if agenda.find(name).is_some() {
        return Ok(());
    }
    let hint = match agenda {
        Agenda::Empty => Some("the agenda is empty".to_owned()),
        Agenda::Items(items) => suggestion(name, items.iter().take(NAMES).map(|item| item.name.as_str())),
        Agenda::Frames { .. } => {
            let first = agenda.name(ItemIndex(0));
            first.map(|first| format!("the first one is called {}", quoted(&first)))
        }
    };
    let hint = hint.map(|hint| format!(": {hint}")).unwrap_or_default();
    Err(format!("there is no item {}{hint}", quoted(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::job::FrameRun;

    #[test]
    fn slashes_make_a_pattern_of_a_breakpoint() {
        assert_eq!(breakpoint("frame_09"), Ok(Breakpoint::Item("frame_09".into())));
        assert_eq!(breakpoint("/render|save/"), Ok(Breakpoint::Command("render|save".into())));
        assert_eq!(breakpoint("a/b"), Ok(Breakpoint::Item("a/b".into())));
        assert_eq!(breakpoint("/"), Ok(Breakpoint::Item("/".into())));
        assert!(breakpoint("").is_err());
        assert!(breakpoint("/(/").is_err_and(|why| why.contains("unclosed group")));
    }

    #[test]
    fn breakpoints_of_the_command_line_are_of_the_jobs_items() {
        let run = FrameRun { first: 1, count: 9, step: 1 };
        let mut job = Job { agenda: Agenda::Frames { runs: vec![run], chunk: 1 }, ..Default::default() };
        let at = Breakpoint::Item("3".into());
        assert_eq!(add(&mut job, &[at.clone(), at.clone()]), Ok(()));
        assert_eq!(job.stops.breakpoints, [at]);
        let why = add(&mut job, &[Breakpoint::Item("10".into())]).expect_err("no such item");
        assert_eq!(why, "there is no item \"10\": the first one is called \"1\"");
        let many: Vec<_> = (0..=BREAKPOINTS).map(|n| Breakpoint::Command(format!("x{n}"))).collect();
        assert!(add(&mut job, &many).is_err_and(|why| why.contains("more than 100")));
    }
}
