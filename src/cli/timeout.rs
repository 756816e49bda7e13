//! `timeout`: the time-outs in force, and changes of them.

use super::exit::{Failure, OK, USAGE};
use super::out::{Cell, Out, Table, Tone, length};
use super::target;
use crate::job::{control, duration};
use crate::model::job::Timeouts;
use crate::model::proto::{Request, Response};
use crate::model::{Change, Limit, LimitChange, Micros, Policy};
use crate::store::{Folder, Purpose};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Show a session's time-outs, or change them for this session only.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "childminder timeout [SESSION] [--json]\n       \
                      childminder timeout [SESSION] KEY=[LENGTH][:POLICY]...",
    after_help = "Keys: startup, command, item, silence, teardown. A length is 90 (seconds), 10m, \"1h 2m\", 500ms or none. What a time-out
of a command, an item or of silence leads to, after the diagnosis:
  warn       nothing: the diagnosis is there to be read
  interrupt  the command is asked to end, by the ways that leave the child alive
  fail       the item fails: the command is ended, and the child with it if it must be
  restart    the item fails, and another child is started

Examples:
  childminder timeout
  childminder timeout shots silence=10m:warn command=none
  childminder timeout shots item=:interrupt      another policy, as long as before

With --json, one object: session, and timeouts: by key seconds (null for none) and, where there is one, policy."
)]
pub(super) struct Args {
    /// A session (an id, the beginning of one, a job's name, or a folder), and changes. Without a session: the only one
    /// that runs, else, to look at them, the newest.
    #[arg(value_name = "SESSION|KEY=LENGTH:POLICY")]
    words: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Told<'a> {
    session: &'a str,
    timeouts: BTreeMap<&'static str, InForce>,
}

/// One time-out as scripts read it.
#[derive(Serialize)]
struct InForce {
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<Policy>,
}

/// Runs it; the exit code.
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let (session, changes) = understand(&args.words)?;
    let mut out = Out::stdout();
    if changes.is_empty() {
        let folder = target::folder(session, Purpose::Read)?;
        show(&mut out, folder.id(), &in_force(&folder)?, args.json)?;
    } else {
        let folder = target::folder(session, Purpose::Write)?;
        let answer = target::block_on(async {
            let client = target::connect(&folder, "timeout", false).await?;
            Ok(client.ask(Request::SetTimeouts { changes }).await?)
        })?;
        match answer {
            Response::Done { said } if args.json => out.json(&serde_json::json!({ "done": said }))?,
            Response::Done { said } if !said.is_empty() => out.line(&said)?,
            Response::Done { .. } => out.line("the time-outs are changed, for this session only")?,
            _ => return Err(target::odd()),
        }
    }
    out.flush()?;
    Ok(OK)
}

/// A session may stand before the changes; no session's name is taken for one, as those have a `=`.
fn understand(words: &[String]) -> Result<(Option<&str>, Vec<LimitChange>), Failure> {
    let (session, rest) = match words.split_first() {
        Some((first, rest)) if !first.contains('=') => (Some(first.as_str()), rest),
        _ => (None, words),
    };
    let mut changes: Vec<LimitChange> = Vec::new();
    for word in rest {
        let change = change(word).map_err(|why| Failure::new(USAGE, format!("{word}: {why}")))?;
        if changes.iter().any(|known| known.limit == change.limit) {
            return Err(Failure::new(USAGE, format!("{word}: {} is there twice", change.limit.word())));
        }
        changes.push(change);
    }
    Ok((session, changes))
}

/// `silence=10m:warn`, `command=none`, `item=:interrupt`.
fn change(word: &str) -> Result<LimitChange, String> {
    let (key, value) = word.split_once('=').ok_or("a change is KEY=LENGTH, KEY=LENGTH:POLICY or KEY=:POLICY")?;
    let limit = Limit::ALL.into_iter().find(|limit| limit.word() == key).ok_or_else(|| {
        let known = Limit::ALL.map(Limit::word).join(", ");
        format!("there is no such time-out; there are {known}")
    })?;
    let (length, policy) = match value.split_once(':') {
        Some((length, policy)) => (length, Some(control::policy(policy)?)),
        None => (value, None),
    };
    if policy.is_some() && matches!(limit, Limit::Startup | Limit::Teardown) {
        return Err(format!("what the {key} time-out leads to cannot be chosen"));
    }
    let length = match length {
        "" if policy.is_none() => return Err("give a length, as 10m, or none for no time-out".to_owned()),
        "" => Change::Keep,
        "none" => Change::Never,
        length => match duration::parse(length)? {
            Duration::ZERO => return Err("nothing is done within 0 seconds: none is for no time-out".to_owned()),
            length => Change::To(Micros::from(length)),
        },
    };
    Ok(LimitChange { limit, length, policy })
}

fn in_force(folder: &Folder) -> Result<Timeouts, Failure> {
    if folder.is_running() {
        let answer = target::block_on(async {
            Ok(target::connect(folder, "timeout", true).await?.ask(Request::Summary).await?)
        })?;
        let Response::Summary(now) = answer else { return Err(target::odd()) };
        return Ok(now.timeouts);
    }
    let changed = target::recovered(folder)?.timeouts;
    changed.map_or_else(|| Ok(folder.read_session()?.job.timeouts), Ok)
}

fn of(timeouts: &Timeouts, limit: Limit) -> (Option<Duration>, Option<Policy>) {
    match limit {
        Limit::Startup => (timeouts.startup, None),
        Limit::Command => (timeouts.command, Some(timeouts.policies.command)),
        Limit::Item => (timeouts.item, Some(timeouts.policies.item)),
        Limit::Silence => (timeouts.silence, Some(timeouts.policies.silence)),
        Limit::Teardown => (timeouts.teardown, None),
    }
}

fn show(out: &mut Out, session: &str, timeouts: &Timeouts, json: bool) -> Result<(), Failure> {
    if json {
        let told = Limit::ALL.map(|limit| {
            let (length, policy) = of(timeouts, limit);
            (limit.word(), InForce { seconds: length.map(|length| length.as_secs_f64()), policy })
        });
        return Ok(out.json(&Told { session, timeouts: BTreeMap::from(told) })?);
    }
    let mut table = Table::new(&["TIME-OUT", ">LENGTH", "THEN"]);
    for limit in Limit::ALL {
        let (bound, policy) = of(timeouts, limit);
        let bound = match bound {
            Some(bound) => Cell::from(length(Micros::from(bound))),
            None => Cell::new("none", Tone::Quiet),
        };
        table.row(vec![Cell::from(limit.word()), bound, Cell::from(policy.map(Policy::word).unwrap_or_default())]);
    }
    Ok(out.table(&mut table)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<(Option<String>, Vec<LimitChange>), String> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let understood = understand(&words).map(|(session, changes)| (session.map(str::to_owned), changes));
        understood.map_err(|failure| failure.message)
    }

    #[test]
    fn changes_are_read_as_they_are_written() {
        let change = |limit, length, policy| LimitChange { limit, length, policy };
        let minutes = |minutes: u64| Change::To(Micros(minutes * 60_000_000));
        assert_eq!(words(""), Ok((None, Vec::new())));
        assert_eq!(words("shots"), Ok((Some("shots".into()), Vec::new())));
        let several = vec![
            change(Limit::Silence, minutes(10), Some(Policy::Warn)),
            change(Limit::Command, Change::Never, None),
            change(Limit::Item, Change::Keep, Some(Policy::Interrupt)),
        ];
        assert_eq!(words("shots silence=10m:warn command=none item=:interrupt"), Ok((Some("shots".into()), several)));
        assert_eq!(words("startup=90"), Ok((None, vec![change(Limit::Startup, Change::To(Micros(90_000_000)), None)])));
    }

    #[test]
    fn what_is_no_change_is_refused_with_what_would_be_one() {
        for (wrong, said) in [
            ("silense=10m", "there are startup, command"),
            ("silence=", "or none"),
            ("silence=soon", "no duration"),
            ("silence=0", "0 seconds"),
            ("silence=10m:explode", "known are warn"),
            ("silence=10m:wran", "did you mean \"warn\"?"),
            ("startup=10m:warn", "cannot be chosen"),
            ("silence=1 silence=2", "twice"),
            ("shots silence", "KEY=LENGTH"),
        ] {
            let told = words(wrong).expect_err(wrong);
            assert!(told.contains(said), "{wrong}: {told}");
        }
    }
}
