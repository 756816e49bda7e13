//! What the child's process tree uses, read from `/proc`.
//!
//! What must stay true: a sample costs a few file reads for each process of the tree, whatever else runs on the machine;
//! and what a process used is neither lost nor counted twice when it ends and its parent inherits that.

use super::proc::{self, Stat, Storage};
use super::tree::Adopted;
use crate::model::UsagePoint;
use std::collections::HashMap;
use std::time::Instant;

/// Looks at a process tree now and then.
#[derive(Debug)]
pub struct Sampler {
    ticks_per_second: f64,
    page: u64,
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    at: Instant,
    tree: HashMap<u32, Stat>,
    /// Of those processes that let it be read.
    storage: HashMap<u32, Storage>,
}

impl Default for Sampler {
    fn default() -> Self {
        Self::new()
    }
}

impl Sampler {
    /// One that has not looked yet.
    pub fn new() -> Self {
        Self { ticks_per_second: proc::ticks_per_second(), page: proc::page_size(), last: None }
    }

    /// What these processes, their descendants, and orphans of theirs that we adopted use now; CPU time and storage since
    /// the last sample, so none in the first. Memory that processes share is counted for each, what may not be read for
    /// nothing. `None` when nothing of it lives any more. The child itself is the first of `roots`; another is one that
    /// left its tree.
    pub fn sample(&mut self, roots: &[u32]) -> Option<UsagePoint> {
        let at = Instant::now();
        let tree = tree(roots);
        let living = || tree.values().filter(|stat| !stat.is_dead());
        let count = u32::try_from(living().count()).unwrap_or(u32::MAX);
        if count == 0 {
            self.last = None;
            return None;
        }
        let mut usage = UsagePoint {
            memory: living().map(|stat| stat.resident.saturating_mul(self.page)).fold(0, u64::saturating_add),
            processes: count,
            threads: living().map(|stat| stat.threads).fold(0, u32::saturating_add),
            ..UsagePoint::default()
        };
        let storage = tree.keys().filter_map(|pid| Some((*pid, Storage::read(*pid)?))).collect();
        let now = Last { at, tree, storage };
        if let Some(last) = self.last.as_ref().filter(|last| at > last.at) {
            let seconds = at.duration_since(last.at).as_secs_f64();
            usage.cpu = 100.0 * number(ticks_between(&last.tree, &now.tree)) / self.ticks_per_second / seconds;
            usage.read = number(stored_between(last, &now, |storage| storage.read)) / seconds;
            usage.written = number(stored_between(last, &now, |storage| storage.written)) / seconds;
        }
        self.last = Some(now);
        Some(usage)
    }
}

#[expect(clippy::cast_precision_loss, reason = "ticks of a million years, and petabytes, fit into f64 exactly")]
fn number(count: u64) -> f64 {
    count as f64
}

/// The living and just ended processes of the tree. The child itself is the first of `roots`.
pub(crate) fn tree(roots: &[u32]) -> HashMap<u32, Stat> {
    let adopted = Adopted::now(roots.first().copied().unwrap_or_default());
    let mut open: Vec<u32> = proc::children(std::process::id())
        .into_iter()
        .filter(|pid| Stat::read(*pid).is_some_and(|stat| adopted.has(&stat)))
        .collect();
    open.extend(roots);
    let mut tree = HashMap::new();
    while let Some(pid) = open.pop() {
        let Some(stat) = Stat::read(pid) else { continue };
        if tree.insert(pid, stat).is_none() {
            open.extend(proc::children(pid));
        }
    }
    tree
}

/// What the processes that are gone had used at the first look, by those that should have inherited it: of each the
/// nearest ancestor that is still there. It was counted then.
fn inherited(
    before: &HashMap<u32, Stat>,
    after: &HashMap<u32, Stat>,
    used: impl Fn(&Stat) -> u64,
) -> HashMap<u32, u64> {
    let survivor = |stat: &Stat| after.get(&stat.id.pid).is_some_and(|now| now.id == stat.id);
    let mut counted: HashMap<u32, u64> = HashMap::new();
    for gone in before.values().filter(|stat| !survivor(stat)) {
        // Bounded, since a pid may have been used again.
        let ancestors = std::iter::successors(before.get(&gone.parent), |stat| before.get(&stat.parent));
        if let Some(heir) = ancestors.take(before.len()).find(|stat| survivor(stat)) {
            *counted.entry(heir.id.pid).or_default() += used(gone);
        }
    }
    counted
}

/// The same process at the look before.
fn earlier<'a>(before: &'a HashMap<u32, Stat>, now: &Stat) -> Option<&'a Stat> {
    before.get(&now.id.pid).filter(|then| then.id == now.id)
}

/// Ticks that the tree used between two looks at it: each process's own time, and that of the children it has waited
/// for.
fn ticks_between(before: &HashMap<u32, Stat>, after: &HashMap<u32, Stat>) -> u64 {
    let counted = inherited(before, after, |gone| gone.own_time + gone.reaped_time);
    let gain = |now: &Stat| {
        let (own, reaped) = earlier(before, now).map_or((0, 0), |then| (then.own_time, then.reaped_time));
        let known = reaped + counted.get(&now.id.pid).copied().unwrap_or(0);
        now.own_time.saturating_sub(own) + now.reaped_time.saturating_sub(known)
    };
    after.values().map(gain).sum()
}

/// Bytes of storage that the tree used between two looks at it. The kernel adds up what a process used and what those
/// used that it has waited for, so that both are told apart here only by what is known of the latter.
fn stored_between(before: &Last, after: &Last, used: impl Fn(&Storage) -> u64) -> u64 {
    let then = |pid: u32| before.storage.get(&pid).map(&used);
    let counted = inherited(&before.tree, &after.tree, |gone| then(gone.id.pid).unwrap_or(0));
    let gain = |now: &Stat| {
        let pid = now.id.pid;
        let total = after.storage.get(&pid).map(&used)?;
        // Of one that could not be read before, nobody knows what is new.
        let known = if earlier(&before.tree, now).is_some() { then(pid)? } else { 0 };
        Some(total.saturating_sub(known + counted.get(&pid).copied().unwrap_or(0)))
    };
    after.tree.values().filter_map(gain).sum()
}

#[cfg(test)]
mod tests {
    use super::super::proc::ProcessId;
    use super::*;

    fn stat(pid: u32, parent: u32, own: u64, reaped: u64) -> (u32, Stat) {
        let text = format!("{pid} (x) S {parent} 1 1 0 -1 0 0 0 0 0 {own} 0 {reaped} 0 20 0 1 0 7 0 1");
        let stat = Stat::parse(pid, text.as_bytes()).unwrap();
        assert_eq!(stat.id, ProcessId { pid, start_time: 7 });
        (pid, stat)
    }

    fn used(before: &[(u32, Stat)], after: &[(u32, Stat)]) -> u64 {
        let map = |stats: &[(u32, Stat)]| stats.iter().copied().collect();
        ticks_between(&map(before), &map(after))
    }

    /// Processes that read `own` ticks' worth of bytes, those that they waited for included; zero: not to be read.
    fn looked(stats: &[(u32, Stat)]) -> Last {
        let readable = stats.iter().filter(|(_, stat)| stat.own_time > 0);
        let storage = readable.map(|(pid, stat)| (*pid, Storage { read: stat.own_time, written: 0 })).collect();
        Last { at: Instant::now(), tree: stats.iter().copied().collect(), storage }
    }

    fn stored(before: &[(u32, Stat)], after: &[(u32, Stat)]) -> u64 {
        stored_between(&looked(before), &looked(after), |storage| storage.read)
    }

    #[test]
    fn bytes_move_to_the_parent_once() {
        let before = [stat(10, 1, 100, 0), stat(11, 10, 50, 0)];
        assert_eq!(stored(&before, &[stat(10, 1, 110, 0), stat(11, 10, 60, 0)]), 20);
        // 11 used 5 more, ended, and 10, which used 10 more, has waited for it.
        assert_eq!(stored(&before, &[stat(10, 1, 165, 0)]), 15);
        // A new one counts from its start; one that could not be read before counts for nothing yet.
        assert_eq!(stored(&[stat(10, 1, 0, 0)], &[stat(10, 1, 900, 0), stat(11, 10, 3, 0)]), 3);
        assert_eq!(stored(&before, &[stat(10, 1, 0, 0), stat(11, 10, 50, 0)]), 0);
    }

    #[test]
    fn time_moves_to_the_parent_once() {
        let before = [stat(10, 1, 100, 0), stat(11, 10, 50, 0)];
        assert_eq!(used(&before, &[stat(10, 1, 110, 0), stat(11, 10, 60, 0)]), 20);
        // 11 used 5 more, ended, and 10 has waited for it.
        assert_eq!(used(&before, &[stat(10, 1, 110, 55)]), 15);
        // 11 ended and its time came to nobody.
        assert_eq!(used(&before, &[stat(10, 1, 110, 0)]), 10);
    }

    #[test]
    fn a_whole_branch_that_ended_is_counted_once() {
        let before = [stat(10, 1, 0, 0), stat(11, 10, 20, 0), stat(12, 11, 30, 0)];
        assert_eq!(used(&before, &[stat(10, 1, 0, 57)]), 7);
    }

    #[test]
    fn a_new_process_counts_from_its_start() {
        assert_eq!(used(&[stat(10, 1, 5, 0)], &[stat(10, 1, 5, 0), stat(11, 10, 3, 1)]), 4);
    }

    #[test]
    fn this_process_uses_something() {
        let mut sampler = Sampler::new();
        let usage = sampler.sample(&[std::process::id()]).unwrap();
        assert!(usage.memory > 0 && usage.threads > 0 && usage.processes > 0);
        assert_eq!(sampler.sample(&[u32::MAX]), None);
    }
}
