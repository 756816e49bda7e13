//! Where time goes: samples of Python stacks, folded into a tree of calls.
//!
//! What must stay true: the tree is bounded whatever is put into it; what does not fit is counted where it fits, as `…`,
//! so that the counts always add up to the samples.

use super::{Frame, Micros};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// A tree has no more nodes.
pub const NODES_MAX: usize = 4000;

/// And is no deeper; the frame of a thread's name counts.
pub const DEPTH_MAX: usize = 200;

/// So many threads have a branch of their own.
pub const THREADS_MAX: usize = 64;

/// A longer name is cut.
const NAME_MAX: usize = 256;

/// Stands for what did not fit.
const REST: &str = "…";

/// Samples, folded.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HotTree {
    /// How often the child was looked at.
    pub samples: u64,
    /// How often that failed, or may have mixed two moments.
    pub doubtful: u64,
    /// Over how long.
    pub span: Micros,
    /// How long the child was stopped for it, of that time.
    pub paused: Micros,
    /// Samples a second that are aimed at now; lower than usual when the child would be stopped for too long.
    pub rate: f64,
    /// Why sampling has ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// A parent comes before its children. Each thread begins a branch, as a node with its name.
    pub nodes: Vec<HotNode>,
}

/// A call, at a place among calls.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HotNode {
    /// Function, thread, or `…` for all that did not fit.
    pub function: String,
    /// File; empty for a thread.
    pub file: String,
    /// The line that it was at.
    pub line: u32,
    /// Who called; `None` for a thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// Whom it called.
    pub children: Vec<u32>,
    /// Samples in which it was the innermost.
    pub own: Counts,
    /// Samples in which it was on the stack.
    pub total: Counts,
}

/// What the thread did in so many samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// It ran with the GIL.
    pub gil: u64,
    /// It ran without: native code.
    pub native: u64,
    /// It waited.
    pub idle: u64,
}

/// What a thread did in one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Ran with the GIL.
    Gil,
    /// Ran without.
    Native,
    /// Waited.
    Idle,
}

impl Counts {
    /// All of them.
    pub fn all(self) -> u64 {
        self.gil + self.native + self.idle
    }

    /// Those in which it ran.
    pub fn active(self) -> u64 {
        self.gil + self.native
    }

    fn add(&mut self, mark: Mark) {
        match mark {
            Mark::Gil => self.gil += 1,
            Mark::Native => self.native += 1,
            Mark::Idle => self.idle += 1,
        }
    }
}

impl HotTree {
    /// Counts one thread's stack, outermost first.
    pub fn add(&mut self, thread: &str, frames: &[Frame], mark: Mark) {
        let Some(mut at) = self.branch(thread) else { return };
        self.nodes[at].total.add(mark);
        for (depth, frame) in frames.iter().enumerate() {
            let fits = depth + 2 < DEPTH_MAX && self.nodes.len() + 1 < NODES_MAX;
            let next = self.child(at, &frame.function, &frame.file, frame.line, fits);
            // Beyond the limits all goes into one node; where not even that fits, it is the caller's own.
            let Some(next) = next.or_else(|| self.child(at, REST, "", 0, self.nodes.len() < NODES_MAX)) else { break };
            at = next;
            self.nodes[at].total.add(mark);
            if self.nodes[at].function == REST {
                break;
            }
        }
        self.nodes[at].own.add(mark);
    }

    /// The threads' nodes.
    pub fn branches(&self) -> impl Iterator<Item = &HotNode> {
        self.nodes.iter().filter(|node| node.parent.is_none())
    }

    /// One line for each place at which a stack ended: `thread;outer (a.py:1);inner (b.py:2) 12`, as flame graph tools
    /// read them.
    pub fn folded(&self) -> String {
        let mut text = String::new();
        for node in self.nodes.iter().filter(|node| node.own.all() > 0) {
            let mut path: Vec<String> =
                std::iter::successors(Some(node), |node| self.parent(node)).take(DEPTH_MAX).map(label).collect();
            path.reverse();
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{} {}", path.join(";"), node.own.all());
        }
        text
    }

    fn parent(&self, node: &HotNode) -> Option<&HotNode> {
        self.nodes.get(node.parent? as usize)
    }

    fn branch(&mut self, thread: &str) -> Option<usize> {
        let find =
            |tree: &Self, name: &str| tree.nodes.iter().position(|node| node.parent.is_none() && node.function == name);
        let name = cut(thread);
        let fits = self.branches().count() + 1 < THREADS_MAX && self.nodes.len() + 1 < NODES_MAX;
        let name = if fits || find(self, &name).is_some() { name } else { REST.to_owned() };
        find(self, &name).or_else(|| self.push(HotNode { function: name, ..HotNode::default() }))
    }

    fn child(&mut self, parent: usize, function: &str, file: &str, line: u32, may_add: bool) -> Option<usize> {
        let (function, file) = (cut(function), cut(file));
        let known = self.nodes[parent].children.iter().map(|child| *child as usize).find(|child| {
            let node = &self.nodes[*child];
            node.line == line && node.function == function && node.file == file
        });
        if known.is_some() || !may_add {
            return known;
        }
        let parent = u32::try_from(parent).ok()?;
        self.push(HotNode { function, file, line, parent: Some(parent), ..HotNode::default() })
    }

    fn push(&mut self, node: HotNode) -> Option<usize> {
        let at = self.nodes.len();
        if at >= NODES_MAX {
            return None;
        }
        if let Some(parent) = node.parent {
            self.nodes[parent as usize].children.push(u32::try_from(at).ok()?);
        }
        self.nodes.push(node);
        Some(at)
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(NAME_MAX)].to_owned()
}

/// What separates frames and ends lines cannot be part of a name.
fn label(node: &HotNode) -> String {
    let name = match node.file.rsplit('/').next() {
        Some(file) if !file.is_empty() => format!("{} ({file}:{})", node.function, node.line),
        _ => node.function.clone(),
    };
    name.chars().map(|c| if c == ';' || c.is_control() { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(function: &str, line: u32) -> Frame {
        Frame { function: function.into(), file: "/x/a.py".into(), line, ..Frame::default() }
    }

    #[test]
    fn samples_are_folded_by_call() {
        let mut tree = HotTree::default();
        tree.add("MainThread", &[frame("f", 1), frame("g", 2)], Mark::Gil);
        tree.add("MainThread", &[frame("f", 1), frame("g", 2)], Mark::Idle);
        tree.add("MainThread", &[frame("f", 1)], Mark::Native);
        assert_eq!(tree.nodes.len(), 3);
        assert_eq!(tree.nodes[1].total, Counts { gil: 1, native: 1, idle: 1 });
        assert_eq!(tree.nodes[1].own, Counts { gil: 0, native: 1, idle: 0 });
        assert_eq!(tree.folded(), "MainThread;f (a.py:1) 1\nMainThread;f (a.py:1);g (a.py:2) 2\n");
    }

    #[test]
    fn a_name_cannot_forge_a_frame() {
        let mut tree = HotTree::default();
        tree.add("a;b\n", &[], Mark::Idle);
        assert_eq!(tree.folded(), "a_b_ 1\n");
    }

    #[test]
    fn what_is_too_deep_is_counted_all_the_same() {
        let mut tree = HotTree::default();
        let frames: Vec<Frame> = (0..1000).map(|line| frame("f", line)).collect();
        tree.add("t", &frames, Mark::Gil);
        assert_eq!(tree.nodes.len(), DEPTH_MAX);
        let last = tree.nodes.last().unwrap();
        assert_eq!((last.function.as_str(), last.own.all()), (REST, 1));
    }

    proptest! {
        #[test]
        fn counts_add_up_and_the_tree_is_bounded(
            stacks in prop::collection::vec((0u32..100, prop::collection::vec(0u32..400, 0..30)), 0..400),
        ) {
            let mut tree = HotTree::default();
            for (thread, lines) in &stacks {
                let frames: Vec<Frame> = lines.iter().map(|line| frame("f", *line)).collect();
                tree.add(&format!("thread {thread}"), &frames, Mark::Gil);
            }
            prop_assert!(tree.nodes.len() <= NODES_MAX && tree.branches().count() <= THREADS_MAX);
            prop_assert_eq!(tree.branches().map(|node| node.total.all()).sum::<u64>(), stacks.len() as u64);
            prop_assert_eq!(tree.nodes.iter().map(|node| node.own.all()).sum::<u64>(), stacks.len() as u64);
            for node in &tree.nodes {
                let below: u64 = node.children.iter().map(|child| tree.nodes[*child as usize].total.all()).sum();
                prop_assert_eq!(node.total.all(), node.own.all() + below);
            }
        }
    }
}
