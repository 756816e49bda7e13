//! The time-outs, and what is being typed over them. Nothing is changed before all of it can be read.

use crate::job::duration;
use crate::model::job::Timeouts;
use crate::model::{Change, Limit, LimitChange, Micros, Policies, Policy, WaitFor};
use std::time::Duration;

/// The overlay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::tui) struct TimeoutsForm {
    /// The selected row: a place in [`Limit::ALL`].
    pub(in crate::tui) selected: usize,
    /// What is wrong, and with which row.
    pub(in crate::tui) wrong: Option<(usize, String)>,
    drafts: [Draft; 5],
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Draft {
    text: Option<String>,
    policy: Option<Policy>,
}

impl TimeoutsForm {
    /// The row's limit.
    pub(in crate::tui) fn limit(&self) -> Limit {
        Limit::ALL[self.selected.min(Limit::ALL.len() - 1)]
    }

    /// What is typed over a length, if anything is.
    pub(in crate::tui) fn typed(&self, row: usize) -> Option<&str> {
        self.drafts.get(row)?.text.as_deref()
    }

    /// What a limit would lead to, if that is changed.
    pub(in crate::tui) fn drafted(&self, row: usize) -> Option<Policy> {
        self.drafts.get(row)?.policy
    }

    /// Whether anything is not applied yet.
    pub(in crate::tui) fn is_changed(&self) -> bool {
        self.drafts.iter().any(|draft| *draft != Draft::default())
    }

    /// Forgets what was not applied.
    pub(in crate::tui) fn forget(&mut self) {
        self.drafts = <[Draft; 5]>::default();
        self.wrong = None;
    }

    /// The text of the selected row, to type in; begun with what stands there.
    pub(in crate::tui) fn text(&mut self, now: &Timeouts, anew: bool) -> &mut String {
        self.wrong = None;
        let limit = self.limit();
        let row = self.selected.min(self.drafts.len() - 1);
        self.drafts[row].text.get_or_insert_with(|| if anew { String::new() } else { shown(length(now, limit)) })
    }

    /// The next policy of the selected row; none where the limit has none.
    pub(in crate::tui) fn cycle(&mut self, now: &Timeouts) -> Option<Policy> {
        let of_now = policy(now.policies, self.limit())?;
        let row = self.selected.min(self.drafts.len() - 1);
        let at = Policy::ALL.iter().position(|policy| *policy == self.drafts[row].policy.unwrap_or(of_now));
        let next = Policy::ALL[at.map_or(0, |at| (at + 1) % Policy::ALL.len())];
        self.drafts[row].policy = (next != of_now).then_some(next);
        Some(next)
    }

    /// What is to be changed; the first row that cannot be read, and why.
    pub(in crate::tui) fn changes(&self) -> Result<Vec<LimitChange>, (usize, String)> {
        let mut changes = Vec::new();
        for (row, (limit, draft)) in Limit::ALL.into_iter().zip(&self.drafts).enumerate() {
            let length = match &draft.text {
                None => Change::Keep,
                Some(text) => read(text).map_err(|why| (row, why))?,
            };
            if length != Change::Keep || draft.policy.is_some() {
                changes.push(LimitChange { limit, length, policy: draft.policy });
            }
        }
        Ok(changes)
    }
}

fn read(text: &str) -> Result<Change, String> {
    match text.trim() {
        "" => Err("write a length like 10m, 1h 30m or 90s, or none".into()),
        "none" | "never" => Ok(Change::Never),
        text => duration::parse(text).map(|length| Change::To(Micros::from(length))),
    }
}

/// How long a limit is.
pub(in crate::tui) fn length(timeouts: &Timeouts, limit: Limit) -> Option<Duration> {
    match limit {
        Limit::Startup => timeouts.startup,
        Limit::Command => timeouts.command,
        Limit::Item => timeouts.item,
        Limit::Silence => timeouts.silence,
        Limit::Teardown => timeouts.teardown,
    }
}

/// What a limit leads to; start-up and teardown have no choice.
pub(in crate::tui) fn policy(policies: Policies, limit: Limit) -> Option<Policy> {
    match limit {
        Limit::Command => Some(policies.command),
        Limit::Item => Some(policies.item),
        Limit::Silence => Some(policies.silence),
        Limit::Startup | Limit::Teardown => None,
    }
}

/// The wait that a limit bounds.
pub(in crate::tui) fn wait(limit: Limit) -> WaitFor {
    match limit {
        Limit::Startup => WaitFor::Startup,
        Limit::Command => WaitFor::Command,
        Limit::Item => WaitFor::Item,
        Limit::Silence => WaitFor::Silence,
        Limit::Teardown => WaitFor::Teardown,
    }
}

/// As it is typed: `1h 30m`, `90ms`, `none`.
pub(in crate::tui) fn shown(length: Option<Duration>) -> String {
    let Some(length) = length else { return "none".into() };
    let (seconds, millis) = (length.as_secs(), length.subsec_millis());
    let parts = [
        (seconds / 86400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (u64::from(millis), "ms"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if parts.is_empty() { "0s".into() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_typed_again() {
        for millis in [0, 1, 999, 1000, 61_001, 5_400_000, 90_061_007] {
            let length = Duration::from_millis(millis);
            assert_eq!(read(&shown(Some(length))), Ok(Change::To(Micros::from(length))), "{}", shown(Some(length)));
        }
        assert_eq!(read(&shown(None)), Ok(Change::Never));
    }

    #[test]
    fn a_change_names_only_what_differs_and_a_wrong_one_its_row() {
        let now = Timeouts::default();
        let mut form = TimeoutsForm { selected: 3, ..TimeoutsForm::default() };
        form.text(&now, true).push_str("10m");
        assert_eq!(form.cycle(&now), Some(Policy::Restart));
        let changed = LimitChange {
            limit: Limit::Silence,
            length: Change::To(Micros(600_000_000)),
            policy: Some(Policy::Restart),
        };
        assert_eq!(form.changes(), Ok(vec![changed]));
        form.selected = 0;
        assert_eq!(form.cycle(&now), None, "start-up has no policy");
        form.text(&now, false).push('x');
        assert_eq!(form.typed(0), Some("5mx"));
        assert_eq!(form.changes().unwrap_err().0, 0);
    }
}
