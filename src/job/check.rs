//! The check of every command template for every item, before anything is started.
//!
//! What passes here expands at run time without an error: [`super::commands`] fills in the same keys. A key counts as
//! known here if any item has it, so that an item which lacks it is found now and not when its turn comes.

use super::source::{At, quoted};
use super::template;
use super::tree::Walk;
use crate::backend::Recipe;
use crate::model::job::{Agenda, Job};
use std::collections::BTreeSet;

/// Command templates with their places.
#[derive(Default)]
pub(crate) struct Commands<'n> {
    /// Of init, setup and teardown.
    pub(crate) phases: Vec<(At, &'n str)>,
    /// Of every item that has none of its own.
    pub(crate) shared: Vec<(At, &'n str)>,
    /// The items of the agenda, in its order, when it has named ones.
    pub(crate) items: Vec<OwnItem<'n>>,
}

/// An item's place and its own commands.
pub(crate) struct OwnItem<'n> {
    pub(crate) at: At,
    pub(crate) commands: Option<Vec<(At, &'n str)>>,
}

/// Checks all of it.
pub(crate) fn all(job: &Job, commands: &Commands<'_>, agenda: At, recipe: Option<&Recipe>, walk: &mut Walk<'_>) {
    let declared: BTreeSet<&str> =
        recipe.iter().flat_map(|recipe| recipe.parameters.keys()).map(String::as_str).collect();
    let parameter = |key: &str| job.parameters.contains_key(key) || declared.contains(key);
    let absent = |key: &str| {
        (declared.contains(key) && !job.parameters.contains_key(key))
            .then(|| format!("{{{key}}} has no value: give it under [parameters], or with --set {key}=…"))
    };
    for command in &commands.phases {
        check(*command, &parameter, &absent, walk);
    }
    match &job.agenda {
        Agenda::Empty => {
            for command in &commands.shared {
                check(*command, &|key| parameter(key) || template::ITEM_KEYS.contains(&key), &absent, walk);
            }
        }
        Agenda::Frames { chunk, .. } => {
            let several = |key: &str| {
                (key == "frame" && *chunk > 1).then(|| {
                    format!("{{frame}} is one frame, but an item has up to {chunk}: use {{start}} and {{end}}, or {{frames}}")
                })
            };
            let known = |key: &str| parameter(key) || template::ITEM_KEYS.contains(&key);
            for command in &commands.shared {
                check(*command, &known, &|key| several(key).or_else(|| absent(key)), walk);
            }
            if commands.shared.is_empty() && job.driven.is_none() {
                walk.add(agenda, "the agenda has nothing to run: give commands under [phases], or with --command");
            }
        }
        Agenda::Items(_) => items(job, commands, &parameter, &absent, walk),
    }
}

type Known<'k> = &'k dyn Fn(&str) -> bool;
type Problem<'k> = &'k dyn Fn(&str) -> Option<String>;

fn items(job: &Job, commands: &Commands<'_>, parameter: Known<'_>, absent: Problem<'_>, walk: &mut Walk<'_>) {
    let Agenda::Items(specs) = &job.agenda else { return };
    let data: BTreeSet<&str> = specs.iter().flat_map(|item| item.data.keys()).map(String::as_str).collect();
    let known =
        |key: &str| key == "name" || parameter(key) || key.strip_prefix("item.").is_some_and(|key| data.contains(key));
    let mut used = BTreeSet::new();
    for command in &commands.shared {
        used.extend(check(*command, &known, absent, walk));
    }
    for (spec, item) in specs.iter().zip(&commands.items) {
        let lacks = |key: &str| key.strip_prefix("item.").is_some_and(|key| !spec.data.contains_key(key));
        let Some(own) = &item.commands else {
            // A class may know by itself what to do.
            if commands.shared.is_empty() && job.driven.is_none() {
                walk.add(item.at, format!("the item {} has nothing to run: give it commands", quoted(&spec.name)));
            }
            for key in used.iter().filter(|key| lacks(key)) {
                let message =
                    format!("the item {} has no data for {{{key}}}, which the commands use", quoted(&spec.name));
                walk.add(item.at, message);
            }
            continue;
        };
        if own.is_empty() {
            walk.add(item.at, format!("the item {} has an empty list of commands", quoted(&spec.name)));
        }
        for command in own {
            let problem = |key: &str| {
                let message = || format!("this item has no data for {{{key}}}");
                lacks(key).then(message).or_else(|| absent(key))
            };
            check(*command, &known, &problem, walk);
        }
    }
}

/// Checks one template; the keys that it uses.
fn check<'t>(command: (At, &'t str), known: Known<'_>, problem: Problem<'_>, walk: &mut Walk<'_>) -> Vec<&'t str> {
    let (at, text) = command;
    if text.trim().is_empty() {
        walk.add(at, "a command must not be empty");
    }
    let plan = template::plan(text, known);
    for error in plan.errors {
        walk.sink.add_inside(walk.source, at, text, error.offset, error.message);
    }
    for site in &plan.sites {
        if let Some(message) = problem(site.key) {
            walk.sink.add_inside(walk.source, at, text, site.offset, message);
        }
    }
    plan.sites.into_iter().map(|site| site.key).collect()
}
