//! Keys that Qube has and that mean nothing here, and keys that nobody has: each is told once, with its reason.

use super::lenient;
use crate::job::source::{At, quoted};
use crate::job::tree::{Fields, Walk, suggestion};
use std::collections::{BTreeMap, BTreeSet};

/// Why what a farm decides means nothing here.
pub(super) const FARM: &str = "which hosts run a job, when, and for whom, is the farm's to decide";
const RECORD: &str = "that is the farm's record of what has been";
const EVENTS: &str = "callbacks, checks before and after and mails are the farm's to do";

/// Keys, and why they mean nothing.
type Table = &'static [(&'static [&'static str], &'static str)];

const OF_JOB: Table = &[
    (
        &[
            "priority",
            "localorder",
            "cluster",
            "queue",
            "groups",
            "hosts",
            "hostorder",
            "omithosts",
            "omitgroups",
            "reservations",
            "requirements",
            "restrictions",
            "cpus",
            "max_cpus",
            "subjobs",
            "account",
            "user",
            "domain",
            "pgrp",
            "drivemap",
            "p_agenda_cpus",
            "p_agenda_priority",
            "preemptpolicy",
            "globalorder",
            "serverid",
            "processors",
            "prod_show",
            "prod_shot",
            "prod_seq",
            "prod_client",
            "prod_dept",
            "prod_custom1",
            "prod_custom2",
            "prod_custom3",
            "prod_custom4",
            "prod_custom5",
        ],
        FARM,
    ),
    (
        &[
            "pid",
            "pathmap",
            "reason",
            "lastupdate",
            "timesubmit",
            "timestart",
            "timecomplete",
            "timeexpiry",
            "timeelapsed",
            "cpustally",
            "subjobstatus",
            "subjobstally",
            "agendastatus",
            "agendatally",
            "todo",
            "todotally",
            "sourcehost",
            "retrycount",
            "cputime",
            "result",
            "resultpackage",
            "data",
            "path",
            "datasize",
            "notes",
            "label",
            "icon",
            "submitter",
        ],
        RECORD,
    ),
    (
        &[
            "callbacks",
            "callback",
            "dependency",
            "waitfor",
            "preflights",
            "postflights",
            "agenda_preflights",
            "agenda_postflights",
            "mailaddress",
            "mail",
            "validregex",
        ],
        EVENTS,
    ),
    (&["retrysubjob_delay"], "a child that was lost is started again at once"),
];

const OF_PACKAGE: Table = &[
    (&["smartAgenda"], "a child that is free takes the next item in any case"),
    (&["shell"], "the child is started without a shell"),
    (
        &["commandHandler", "cmdline", "cmdrange", "simpleCmdType"],
        "that is for job types that run programs; items here have commands of Python",
    ),
    (&["padding"], "commands of Python are complete, so that no frame number is filled in"),
];

const OF_ITEM: Table = &[
    (
        &[
            "id",
            "pid",
            "subid",
            "host",
            "address",
            "lastupdate",
            "timesubmit",
            "timestart",
            "timecomplete",
            "count",
            "timeelapsed",
            "notes",
        ],
        RECORD,
    ),
    (&["retry", "retrydelay"], "\"retrywork\" and \"retrywork_delay\" of the job say how often items are tried"),
];

/// What is gathered while keys are read; told at the end, one warning a reason.
pub(super) struct Unused {
    table: Table,
    what: &'static str,
    found: BTreeMap<&'static str, (At, BTreeSet<&'static str>)>,
    unknown: BTreeMap<String, (At, String)>,
}

/// The most unknown keys that are told by name.
const UNKNOWN: usize = 50;

impl Unused {
    pub(super) fn of_job() -> Self {
        Self::of(OF_JOB, "the job")
    }

    pub(super) fn of_package() -> Self {
        Self::of(OF_PACKAGE, "the package")
    }

    pub(super) fn of_items() -> Self {
        Self::of(OF_ITEM, "an item of the agenda")
    }

    fn of(table: Table, what: &'static str) -> Self {
        Self { table, what, found: BTreeMap::new(), unknown: BTreeMap::new() }
    }

    /// All keys that were not asked for. One whose value says nothing is not worth a word.
    pub(super) fn take(&mut self, fields: &mut Fields<'_>) {
        for entry in fields.rest() {
            let known =
                self.table.iter().find_map(|(keys, why)| Some((*keys.iter().find(|key| **key == entry.key)?, *why)));
            match known {
                Some((key, why)) if !lenient::is_off(&entry.value) => {
                    self.found.entry(why).or_insert((entry.at, BTreeSet::new())).1.insert(key);
                }
                Some(_) => {}
                None if self.unknown.contains_key(&entry.key) || self.unknown.len() >= UNKNOWN => {}
                None => {
                    let keys = self.table.iter().flat_map(|(keys, _)| keys.iter());
                    let hint = suggestion(&entry.key, fields.known().iter().chain(keys).copied());
                    let hint = hint.map_or_else(String::new, |hint| format!(": {hint}"));
                    self.unknown.insert(entry.key.clone(), (entry.at, hint));
                }
            }
        }
    }

    /// Tells them.
    pub(super) fn tell(self, walk: &mut Walk<'_>) {
        for (why, (at, keys)) in self.found {
            let keys: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
            walk.warn(at, format!("{} of {} without effect: {why}", keys.join(", "), self.what));
        }
        for (key, (at, hint)) in self.unknown {
            walk.warn(at, format!("unknown key {} in {}, without effect{hint}", quoted(&key), self.what));
        }
    }
}
