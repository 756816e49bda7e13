//! Where the child's time goes: samples of its stacks as a tree of calls, or as a flame graph.
//!
//! What must stay true: it asks some times a second while it is seen and there is a child, else never, since asking is
//! what has the child sampled; what is selected or folded is told by its calls, not by its place, which changes with
//! every answer; whatever the answer holds, the tree has an end.

use crate::model::Micros;
use crate::model::hot::{Counts, HotNode, HotTree};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Between two questions.
pub(in crate::tui) const EVERY: Micros = Micros(250_000);
/// After one that was refused.
const PAUSE: Micros = Micros(2_000_000);
/// Calls that were folded or unfolded by hand, at most.
const FOLDED: usize = 4000;
/// A call with less than this share of all is folded until somebody unfolds it.
const SMALL: f64 = 0.03;

/// A call by its callers, in whatever tree it stands.
pub(in crate::tui) type Key = u64;

/// A call.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Call {
    /// Function or thread; not made safe.
    pub(in crate::tui) function: String,
    /// File; empty for a thread. Not made safe.
    pub(in crate::tui) file: String,
    /// The line.
    pub(in crate::tui) line: u32,
    /// Its place among its callers.
    pub(in crate::tui) key: Key,
    /// Who called.
    pub(in crate::tui) parent: Option<usize>,
    /// Whom it called, the longest first.
    pub(in crate::tui) children: Vec<usize>,
    /// Samples in which it was the innermost.
    pub(in crate::tui) own: Counts,
    /// Samples in which it was on the stack.
    pub(in crate::tui) total: Counts,
    /// How many callers it has.
    pub(in crate::tui) depth: usize,
}

/// The pane.
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own, and no two exclude each other")]
#[derive(Debug, Default)]
pub(in crate::tui) struct HotPane {
    /// The last answer.
    pub(in crate::tui) tree: HotTree,
    /// Its calls, callers before those whom they called.
    calls: Vec<Call>,
    /// The samples that count, of all threads.
    all: u64,
    /// What is all of the time: of the thread that was seen most often, or of all threads where they are one.
    whole: u64,
    /// Whether an answer has come.
    pub(in crate::tui) loaded: bool,
    /// Why there is none, made safe.
    pub(in crate::tui) refused: Option<String>,
    /// Whether all threads are one.
    pub(in crate::tui) merged: bool,
    /// Whether it is drawn as a flame graph.
    pub(in crate::tui) flame: bool,
    /// Whether samples in which a thread waited are left out.
    pub(in crate::tui) active: bool,
    /// Whether what was sampled is to be forgotten.
    reset: bool,
    asking: bool,
    asked: Option<Micros>,
    /// Calls that are folded, or unfolded, against the rule.
    turned: HashSet<Key>,
    /// The selected call.
    selected: Option<Key>,
    /// The call that has all the width of the flame graph.
    root: Option<Key>,
    /// The first row that is seen.
    pub(in crate::tui) top: usize,
}

impl HotPane {
    /// Whether it is to be asked, and whether what was sampled is forgotten; to be called while the pane is seen.
    pub(in crate::tui) fn wanted(&mut self, now: Micros) -> Option<bool> {
        let every = if self.refused.is_some() && !self.reset { PAUSE } else { EVERY };
        let early = self.asked.is_some_and(|asked| now >= asked && now.since(asked) < every);
        if self.asking || (early && !self.reset) {
            return None;
        }
        self.asking = true;
        self.asked = Some(now);
        Some(std::mem::take(&mut self.reset))
    }

    /// The answer came, or why there is none; made safe.
    pub(in crate::tui) fn take(&mut self, answer: Result<HotTree, String>) {
        self.asking = false;
        match answer {
            Ok(tree) => {
                self.tree = tree;
                self.loaded = true;
                self.refused = None;
                self.fold();
            }
            Err(why) => self.refused = Some(why),
        }
    }

    /// Begins anew.
    pub(in crate::tui) fn reset(&mut self) {
        self.reset = true;
        self.take(Ok(HotTree::default()));
        self.loaded = false;
        // What is awaited is of before.
        self.asking = false;
    }

    /// Merges the threads, or tells them apart.
    pub(in crate::tui) fn merge(&mut self) {
        self.merged = !self.merged;
        (self.selected, self.root, self.top) = (None, None, 0);
        self.fold();
    }

    /// Leaves out what only waited, or counts it.
    pub(in crate::tui) fn only_active(&mut self) {
        self.active = !self.active;
        self.fold();
    }

    /// The samples that count.
    pub(in crate::tui) fn count(&self, counts: Counts) -> u64 {
        if self.active { counts.active() } else { counts.all() }
    }

    /// Makes the calls of the tree.
    fn fold(&mut self) {
        let mut calls: Vec<Call> = Vec::new();
        let mut known: HashMap<Key, usize> = HashMap::new();
        // For each node of the tree, its call.
        let mut places: Vec<Option<usize>> = Vec::with_capacity(self.tree.nodes.len());
        for node in &self.tree.nodes {
            // A parent comes before its children; a tree that says otherwise is not followed in circles.
            let parent = match node.parent {
                None => Ok(None),
                Some(parent) => places.get(parent as usize).copied().flatten().map(Some).ok_or(()),
            };
            let place = parent.ok().map(|parent| add(&mut calls, &mut known, node, parent, self.merged));
            places.push(place);
        }
        for at in 0..calls.len() {
            if let Some(parent) = calls[at].parent {
                calls[parent].children.push(at);
            }
        }
        let weights: Vec<u64> = calls.iter().map(|call| self.count(call.total)).collect();
        for call in &mut calls {
            call.children.retain(|child| weights[*child] > 0);
            call.children.sort_by_key(|child| std::cmp::Reverse(weights[*child]));
        }
        self.calls = calls;
        let roots = self.calls.iter().filter(|call| call.parent.is_none());
        let (all, most) = roots.fold((0_u64, 0), |(all, most), call| {
            (all.saturating_add(self.count(call.total)), most.max(call.total.all()))
        });
        (self.all, self.whole) = (all, if self.merged { all } else { most });
    }

    /// A call.
    pub(in crate::tui) fn call(&self, at: usize) -> Option<&Call> {
        self.calls.get(at)
    }

    /// The threads, the busiest first.
    pub(in crate::tui) fn roots(&self) -> Vec<usize> {
        let counts = |at: &usize| self.calls[*at].parent.is_none() && self.count(self.calls[*at].total) > 0;
        let mut roots: Vec<usize> = (0..self.calls.len()).filter(counts).collect();
        roots.sort_by_key(|at| std::cmp::Reverse(self.count(self.calls[*at].total)));
        roots
    }

    /// All samples that count.
    pub(in crate::tui) fn all(&self) -> u64 {
        self.all
    }

    /// A number of samples as a share of the time.
    #[expect(clippy::cast_precision_loss, reason = "for a picture")]
    pub(in crate::tui) fn share(&self, count: u64) -> f64 {
        count as f64 / (self.whole as f64).max(1.0)
    }

    /// Whether a call's calls are seen.
    pub(in crate::tui) fn is_open(&self, call: &Call) -> bool {
        let small = self.share(self.count(call.total)) < SMALL;
        !call.children.is_empty() && small == self.turned.contains(&call.key)
    }

    /// The rows of the tree: what is not folded away.
    pub(in crate::tui) fn rows(&self) -> Vec<usize> {
        let mut rows = Vec::new();
        let mut open: Vec<usize> = self.roots();
        open.reverse();
        while let Some(at) = open.pop() {
            rows.push(at);
            if self.is_open(&self.calls[at]) {
                open.extend(self.calls[at].children.iter().rev());
            }
        }
        rows
    }

    /// The selected row; the first when what was selected is not there.
    pub(in crate::tui) fn selected_row(&self, rows: &[usize]) -> usize {
        let Some(selected) = self.selected_call() else { return 0 };
        let mut chain = std::iter::successors(Some(selected), |at| self.calls[*at].parent);
        // What was folded away is selected by whoever hides it.
        chain.find_map(|at| rows.iter().position(|row| *row == at)).unwrap_or(0)
    }

    fn selected_call(&self) -> Option<usize> {
        let key = self.selected?;
        self.calls.iter().position(|call| call.key == key)
    }

    /// Selects the row so many rows away, and brings it into sight.
    pub(in crate::tui) fn step(&mut self, by: i64, height: u16) {
        let rows = self.rows();
        let last = rows.len().saturating_sub(1);
        let by = isize::try_from(by).unwrap_or(if by < 0 { isize::MIN } else { isize::MAX });
        let to = self.selected_row(&rows).saturating_add_signed(by).min(last);
        self.selected = rows.get(to).map(|at| self.calls[*at].key);
        self.show(to, rows.len(), height);
    }

    /// Selects the row at this place of the screen.
    pub(in crate::tui) fn press(&mut self, row: u32, height: u16) {
        let rows = self.rows();
        let to = self.top_of(&rows, height).saturating_add(row as usize);
        if let Some(at) = rows.get(to) {
            self.selected = Some(self.calls[*at].key);
        }
    }

    fn show(&mut self, row: usize, rows: usize, height: u16) {
        let height = usize::from(height.max(1));
        self.top = self.top.clamp((row + 1).saturating_sub(height), row).min(rows.saturating_sub(height));
    }

    /// The first row to draw: the selected one is in sight, also after rows came or went.
    pub(in crate::tui) fn top_of(&self, rows: &[usize], height: u16) -> usize {
        let height = usize::from(height.max(1));
        let selected = self.selected_row(rows);
        self.top.clamp((selected + 1).saturating_sub(height), selected).min(rows.len().saturating_sub(height))
    }

    /// Folds or unfolds the selected call.
    pub(in crate::tui) fn turn(&mut self) {
        let rows = self.rows();
        let Some(call) = rows.get(self.selected_row(&rows)).map(|at| &self.calls[*at]) else { return };
        let key = call.key;
        if call.children.is_empty() {
            return;
        }
        if self.turned.len() >= FOLDED {
            self.turned.clear();
        }
        if !self.turned.remove(&key) {
            self.turned.insert(key);
        }
    }

    /// To the caller, or folds the selected call; in a flame graph, to the neighbour on the left.
    pub(in crate::tui) fn left(&mut self) {
        let Some(at) = self.current() else { return };
        if self.flame {
            return self.neighbour(at, false);
        }
        match self.calls[at].parent {
            _ if self.is_open(&self.calls[at]) => self.turn(),
            Some(parent) => self.select(parent),
            None => {}
        }
    }

    /// Unfolds the selected call, or to whom it called most; in a flame graph, to the neighbour on the right.
    pub(in crate::tui) fn right(&mut self) {
        let Some(at) = self.current() else { return };
        if self.flame {
            return self.neighbour(at, true);
        }
        match self.calls[at].children.first() {
            Some(_) if !self.is_open(&self.calls[at]) => self.turn(),
            Some(child) => self.select(*child),
            None => {}
        }
    }

    /// In the flame graph: to the caller, or to whom it called most.
    pub(in crate::tui) fn climb(&mut self, by: i64) {
        for _ in 0..by.unsigned_abs().min(crate::model::hot::DEPTH_MAX as u64) {
            let Some(at) = self.current() else { return };
            let call = &self.calls[at];
            let next = if by < 0 {
                call.parent.filter(|_| Some(call.key) != self.root)
            } else {
                call.children.first().copied()
            };
            let Some(next) = next else { return };
            self.select(next);
        }
    }

    fn neighbour(&mut self, at: usize, right: bool) {
        // The next at the same depth, whoever called it.
        let level: Vec<usize> = self.level(self.calls[at].depth);
        let Some(place) = level.iter().position(|other| *other == at) else { return };
        let next = if right { place.checked_add(1) } else { place.checked_sub(1) };
        if let Some(next) = next.and_then(|next| level.get(next)) {
            self.select(*next);
        }
    }

    /// The calls of a depth, as they stand beside each other.
    fn level(&self, depth: usize) -> Vec<usize> {
        let mut level = self.flame_roots();
        while level.first().is_some_and(|at| self.calls[*at].depth < depth) {
            level = level.iter().flat_map(|at| self.calls[*at].children.iter().copied()).collect();
        }
        level
    }

    /// What has the flame graph's whole width.
    pub(in crate::tui) fn flame_roots(&self) -> Vec<usize> {
        let root = self.root.and_then(|root| self.calls.iter().position(|call| call.key == root));
        root.map_or_else(|| self.roots(), |root| vec![root])
    }

    /// The selected call, the first of all if there is none.
    pub(in crate::tui) fn current(&self) -> Option<usize> {
        let rows = if self.flame { self.flame_roots() } else { self.rows() };
        if self.flame {
            return self.selected_call().or(rows.first().copied());
        }
        rows.get(self.selected_row(&rows)).copied()
    }

    fn select(&mut self, at: usize) {
        self.selected = Some(self.calls[at].key);
    }

    /// Gives the selected call all the width of the flame graph, or takes it back.
    pub(in crate::tui) fn widen(&mut self, only: bool) {
        self.root = self.current().map(|at| self.calls[at].key).filter(|_| only);
    }
}

/// Adds a node of the tree to its call, which is made if it is the first.
fn add(
    calls: &mut Vec<Call>,
    known: &mut HashMap<Key, usize>,
    node: &HotNode,
    parent: Option<usize>,
    merged: bool,
) -> usize {
    let all = parent.is_none() && merged;
    let function = if all { "all threads" } else { &node.function };
    let mut hasher = DefaultHasher::new();
    (parent.map(|parent| calls[parent].key), function, &node.file, node.line).hash(&mut hasher);
    let key = hasher.finish();
    let at = *known.entry(key).or_insert_with(|| {
        calls.push(Call {
            function: function.to_owned(),
            file: node.file.clone(),
            line: node.line,
            key,
            parent,
            children: Vec::new(),
            own: Counts::default(),
            total: Counts::default(),
            depth: parent.map_or(0, |parent| calls[parent].depth + 1),
        });
        calls.len() - 1
    });
    calls[at].own = sum(calls[at].own, node.own);
    calls[at].total = sum(calls[at].total, node.total);
    at
}

fn sum(one: Counts, other: Counts) -> Counts {
    Counts {
        gil: one.gil.saturating_add(other.gil),
        native: one.native.saturating_add(other.native),
        idle: one.idle.saturating_add(other.idle),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Frame;
    use crate::model::hot::Mark;

    fn frame(function: &str, line: u32) -> Frame {
        Frame { function: function.into(), file: "/x/a.py".into(), line, ..Frame::default() }
    }

    fn pane() -> HotPane {
        let mut tree = HotTree::default();
        let render = [frame("main", 1), frame("render", 9)];
        (0..60).for_each(|_| tree.add("MainThread", &[&render[..], &[frame("trace", 3)]].concat(), Mark::Native));
        (0..38).for_each(|_| tree.add("MainThread", &render, Mark::Gil));
        (0..1).for_each(|_| tree.add("MainThread", &[frame("main", 2)], Mark::Gil));
        tree.add("MainThread", &[frame("main", 2), frame("rare", 1)], Mark::Gil);
        (0..100).for_each(|_| tree.add("worker", &[frame("main", 1), frame("wait", 7)], Mark::Idle));
        let mut pane = HotPane::default();
        pane.take(Ok(tree));
        pane
    }

    fn names(pane: &HotPane) -> Vec<String> {
        pane.rows().iter().map(|at| pane.calls[*at].function.clone()).collect()
    }

    #[test]
    fn threads_and_calls_stand_in_the_order_of_their_time() {
        let mut pane = pane();
        assert_eq!(names(&pane), ["MainThread", "main", "render", "trace", "main", "worker", "main", "wait"]);
        pane.only_active();
        assert_eq!((pane.all(), names(&pane)[0].as_str()), (100, "MainThread"));
        assert!(!names(&pane).contains(&"worker".to_owned()), "it only waits");
        pane.only_active();
        pane.merge();
        assert_eq!(names(&pane), ["all threads", "main", "wait", "render", "trace", "main"]);
        assert_eq!((pane.calls[0].total.all(), pane.share(100)), (200, 0.5));
    }

    #[test]
    fn what_is_selected_and_folded_stays_so_when_the_tree_grows() {
        let mut pane = pane();
        pane.step(2, 20);
        pane.turn();
        assert_eq!(names(&pane), ["MainThread", "main", "render", "main", "worker", "main", "wait"]);
        let mut tree = HotTree::default();
        tree.add("another", &[frame("new", 1)], Mark::Gil);
        let HotTree { nodes, .. } = &mut pane.tree.clone();
        // The same calls, but behind others.
        let offset = u32::try_from(tree.nodes.len()).expect("few");
        tree.nodes
            .extend(nodes.drain(..).map(|node| HotNode { parent: node.parent.map(|parent| parent + offset), ..node }));
        pane.take(Ok(tree));
        let rows = pane.rows();
        assert_eq!(pane.calls[rows[pane.selected_row(&rows)]].function, "render");
        assert!(!names(&pane).contains(&"trace".to_owned()));
        pane.right();
        assert!(names(&pane).contains(&"trace".to_owned()));
        pane.right();
        pane.left();
        pane.left();
        pane.left();
        assert_eq!(pane.current().map(|at| pane.calls[at].function.as_str()), Some("main"));
    }

    #[test]
    fn in_the_flame_graph_arrows_go_to_callers_called_and_neighbours() {
        let mut pane = pane();
        pane.flame = true;
        let at = |pane: &HotPane| pane.current().map(|at| (pane.calls[at].function.clone(), pane.calls[at].line));
        assert_eq!(at(&pane), Some(("MainThread".into(), 0)));
        pane.climb(1);
        assert_eq!(at(&pane), Some(("main".into(), 1)));
        pane.right();
        assert_eq!(at(&pane), Some(("main".into(), 2)));
        pane.right();
        assert_eq!(at(&pane), Some(("main".into(), 1)), "the other thread's");
        pane.left();
        pane.left();
        pane.climb(1);
        pane.widen(true);
        assert_eq!(pane.flame_roots().len(), 1);
        pane.climb(-5);
        assert_eq!(at(&pane), Some(("render".into(), 9)), "not above what has all the width");
        pane.widen(false);
        pane.climb(-5);
        assert_eq!(at(&pane), Some(("MainThread".into(), 0)));
    }

    #[test]
    fn it_asks_four_times_a_second_and_more_seldom_where_that_is_refused() {
        let mut pane = HotPane::default();
        let at = |tenths: u64| Micros(tenths * 100_000 + 1);
        assert_eq!(pane.wanted(at(0)), Some(false));
        assert_eq!(pane.wanted(at(9)), None, "one at a time");
        pane.take(Ok(HotTree::default()));
        assert_eq!((pane.wanted(at(2)), pane.wanted(at(3))), (None, Some(false)));
        pane.take(Err("no permission".into()));
        assert_eq!((pane.wanted(at(10)), pane.wanted(at(24))), (None, Some(false)));
        pane.reset();
        assert_eq!(pane.wanted(at(24)), Some(true), "a wish is asked at once");
    }

    #[test]
    fn a_tree_that_points_anywhere_has_an_end() {
        let node = |parent, children: &[u32]| HotNode { parent, children: children.to_vec(), ..HotNode::default() };
        let count = |node| HotNode { total: Counts { gil: 1, native: 0, idle: 4 }, ..node };
        let nodes = vec![
            count(node(Some(1), &[1])),
            count(node(Some(0), &[0, 900])),
            count(node(None, &[2])),
            count(node(Some(77), &[])),
        ];
        let mut pane = HotPane::default();
        pane.take(Ok(HotTree { nodes, ..HotTree::default() }));
        assert_eq!(pane.rows().len(), 1);
        pane.flame = true;
        pane.climb(9);
        pane.right();
        assert_eq!(pane.all(), 5);
    }
}
