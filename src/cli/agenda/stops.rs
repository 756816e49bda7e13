//! Where the agenda stops by itself: shown, and changed one by one.

use super::super::exit::{Failure, USAGE};
use super::super::out::Out;
use super::super::target::{self, Way};
use crate::api::Client;
use crate::job::control;
use crate::model::proto::{Request, Response};
use crate::model::{Breakpoint, Stops};
use serde::Serialize;

/// A change of the stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    OnFailure(bool),
    Add(Vec<Breakpoint>),
    Remove(Vec<Breakpoint>),
    Clear,
}

#[derive(Serialize)]
struct Told<'a> {
    session: &'a str,
    #[serde(flatten)]
    stops: &'a Stops,
}

impl Change {
    /// What stands after `breakpoint`.
    pub(super) fn of_breakpoints(words: &[String]) -> Result<Self, Failure> {
        let usage = |message: &str| Failure::new(USAGE, message.to_owned());
        let Some((verb, rest)) = words.split_first() else {
            return Err(usage("breakpoint what? add, remove or clear; `childminder agenda stops` lists them"));
        };
        let all = || {
            let all: Result<Vec<_>, _> = rest.iter().map(|text| control::breakpoint(text)).collect();
            let all = all.map_err(|why| usage(&why))?;
            if all.is_empty() { Err(usage(&format!("{verb} what? Name an item, or a /PATTERN/"))) } else { Ok(all) }
        };
        match verb.as_str() {
            "add" => Ok(Self::Add(all()?)),
            "remove" => Ok(Self::Remove(all()?)),
            "clear" if rest.is_empty() => Ok(Self::Clear),
            "clear" => Err(usage("clear takes no names; remove does")),
            other => Err(usage(&format!("{other} is nothing that is done to breakpoints; add, remove and clear are"))),
        }
    }

    /// What stands after `hold-on-failure`.
    pub(super) fn of_failure(words: &[String]) -> Result<Self, Failure> {
        match words {
            [word] if word == "on" => Ok(Self::OnFailure(true)),
            [word] if word == "off" => Ok(Self::OnFailure(false)),
            _ => Err(Failure::new(USAGE, "hold-on-failure is on or off")),
        }
    }

    /// The stops with the change made to them, or why it cannot be.
    fn apply(self, mut stops: Stops) -> Result<Stops, Failure> {
        match self {
            Self::OnFailure(on) => stops.on_failure = on,
            Self::Add(new) => {
                for new in new {
                    if !stops.breakpoints.contains(&new) {
                        stops.breakpoints.push(new);
                    }
                }
            }
            Self::Remove(old) => {
                if let Some(unknown) = old.iter().find(|old| !stops.breakpoints.contains(old)) {
                    let message = format!("there is no breakpoint {}", written(unknown));
                    return Err(Failure::new(USAGE, message));
                }
                stops.breakpoints.retain(|known| !old.contains(known));
            }
            Self::Clear => stops.breakpoints.clear(),
        }
        Ok(stops)
    }
}

/// Changes them in the engine; what it says.
pub(super) async fn change(client: &Client, change: Change) -> Result<Response, Failure> {
    let Response::Summary(now) = client.ask(Request::Summary).await? else { return Err(target::odd()) };
    let stops = change.apply(now.stops)?;
    Ok(client.ask(Request::SetStops { stops }).await?)
}

/// Prints them.
pub(super) fn show(out: &mut Out, way: &Way, json: bool) -> Result<(), Failure> {
    let (session, stops) = match way {
        Way::Session(folder) if !folder.is_running() => {
            let changed = target::recovered(folder)?.stops;
            let stops = changed.map_or_else(|| Ok::<_, Failure>(folder.read_session()?.job.stops), Ok)?;
            (folder.id().to_owned(), stops)
        }
        way => target::block_on(async {
            let (client, welcome) = way.connect("agenda", true).await?;
            match client.ask(Request::Summary).await? {
                Response::Summary(now) => Ok((welcome.session, now.stops)),
                _ => Err(target::odd()),
            }
        })?,
    };
    if json {
        return Ok(out.json(&Told { session: &session, stops: &stops })?);
    }
    out.line(if stops.on_failure { "held when an item has failed" } else { "not held when an item has failed" })?;
    if stops.breakpoints.is_empty() {
        out.line("no breakpoints")?;
    }
    for breakpoint in &stops.breakpoints {
        let what = match breakpoint {
            Breakpoint::Item(_) => "before the item",
            Breakpoint::Command(_) => "before each command that matches",
        };
        out.line(&format!("{what} {}", written(breakpoint)))?;
    }
    Ok(())
}

/// As it is written on the command line.
fn written(breakpoint: &Breakpoint) -> String {
    match breakpoint {
        Breakpoint::Item(name) => name.clone(),
        Breakpoint::Command(pattern) => format!("/{pattern}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn breakpoints_are_added_once_and_removed_as_they_were_written() {
        let made = |stops, text: &str| Change::of_breakpoints(&words(text)).and_then(|change| change.apply(stops));
        let stops = made(Stops::default(), "add 12 /render/ 12").expect("added");
        let stops = made(stops, "add /render/").expect("there already");
        let shown: Vec<String> = stops.breakpoints.iter().map(written).collect();
        assert_eq!(shown, ["12", "/render/"]);
        assert_eq!(made(stops.clone(), "remove 13").expect_err("unknown").code, USAGE);
        let stops = made(stops, "remove 12").expect("removed");
        assert_eq!(stops.breakpoints, [Breakpoint::Command("render".into())]);
        assert_eq!(made(stops, "clear").expect("cleared"), Stops::default());
        for wrong in ["", "add", "remove", "clear 1", "juggle 1", "add /(/"] {
            assert_eq!(Change::of_breakpoints(&words(wrong)).expect_err(wrong).code, USAGE, "{wrong}");
        }
    }

    #[test]
    fn holding_on_failure_is_on_or_off() {
        let on = Change::of_failure(&words("on")).and_then(|change| change.apply(Stops::default()));
        assert!(on.is_ok_and(|stops| stops.on_failure));
        for wrong in ["", "yes", "on off"] {
            assert!(Change::of_failure(&words(wrong)).is_err(), "{wrong}");
        }
    }
}
