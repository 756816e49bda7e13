//! The commands of a job, filled in: what the backend seam hands to the dispatcher.

use super::qube;
use super::template::{self, TemplateError, Values};
use crate::model::Phase;
use crate::model::job::{ItemSpec, Job};

/// A stored job has a command that cannot be filled in. A job that was read and checked has none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("command {number} of {} cannot be filled in: {error}", phase.word())]
pub struct CommandError {
    /// Of which phase.
    pub phase: Phase,
    /// Which of its commands, from 1.
    pub number: usize,
    /// What is wrong with it.
    pub error: TemplateError,
}

/// The job's commands of a phase that belongs to no item; none for the others.
pub fn of_phase(job: &Job, phase: Phase) -> Result<Vec<String>, CommandError> {
    let templates = match phase {
        Phase::Init => &job.phases.init,
        Phase::Setup => &job.phases.setup,
        Phase::Teardown => &job.phases.teardown,
        Phase::Item | Phase::Operator | Phase::Side => return Ok(Vec::new()),
    };
    expand(job, templates, phase, &Values::of([&job.parameters]))
}

/// The commands of an item: its own, else the job's.
pub fn of_item(job: &Job, item: &ItemSpec) -> Result<Vec<String>, CommandError> {
    let templates = item.commands.as_ref().unwrap_or(&job.phases.commands);
    expand(job, templates, Phase::Item, &Values::of([&job.parameters]).with_item(item))
}

/// One template, filled in for an item or for none.
pub(super) fn expand_one(job: &Job, item: Option<&ItemSpec>, template: &str) -> Result<String, TemplateError> {
    let values = Values::of([&job.parameters]);
    let values = match item {
        Some(item) => values.with_item(item),
        None => values,
    };
    template::expand(template, &values)
}

fn expand(job: &Job, templates: &[String], phase: Phase, values: &Values<'_>) -> Result<Vec<String>, CommandError> {
    let expand = |(place, template): (usize, &String)| {
        let expanded = match job.qube {
            // Its class converts them, by a way of its own if it likes.
            Some(_) if job.driven.is_some() => Ok(template.clone()),
            Some(_) => qube::convert(template, &job.path_map),
            None => template::expand(template, values),
        };
        expanded.map_err(|error| CommandError { phase, number: place + 1, error })
    };
    templates.iter().enumerate().map(expand).collect()
}
