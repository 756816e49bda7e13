//! The lines of the table for what is sampled, asked of the child while it works, and recorded.

use super::Context::{self, Anywhere, Usage};
use super::{Action, Info, info};

/// Focuses the tree of where time goes.
pub(super) const HOT: Info = info(Action::Hot, "hot", &[Anywhere], &["7"], "", "Focus where the child's time goes");
/// Focuses the plot.
pub(super) const USAGE: Info =
    info(Action::Usage, "usage", &[Anywhere], &["8"], "", "Focus the plot of CPU, memory and storage over the session");
/// Lists the names in the child.
pub(super) const NAMES: Info = info(
    Action::Names,
    "names",
    &[Anywhere],
    &["M"],
    "",
    "List the names in the child with their types and sizes, also while it is busy; type to filter",
);
/// More of the time in the plot.
pub(super) const LONGER: Info =
    info(Action::Longer, "longer", &[Usage], &["-"], "longer", "Show more of the time: 5 minutes, an hour, all of it");
/// Less of it.
pub(super) const SHORTER: Info =
    info(Action::Shorter, "shorter", &[Usage], &["+", "="], "shorter", "Show less of the time");
/// The plot's cursor goes back.
pub(super) const EARLIER: Info =
    info(Action::Earlier, "earlier", &[Usage], &["left"], "at a time", "Tell the values of an earlier time");
/// The plot's cursor goes on.
pub(super) const LATER: Info =
    info(Action::Later, "later", &[Usage], &["right"], "", "Tell the values of a later time");
/// The plot has no cursor any more.
pub(super) const NEWEST: Info =
    info(Action::Newest, "newest", &[Usage], &["esc", "end", "G"], "", "Tell the newest values again");
/// The tree becomes a flame graph.
pub(super) const FLAME: Info =
    info(Action::Flame, "flame graph", HOT_PANE, &["v"], "flame", "Show a flame graph, or the tree of calls again");
/// Threads become one.
pub(super) const THREADS: Info =
    info(Action::Threads, "threads", HOT_PANE, &["t"], "threads", "Merge all threads, or tell them apart");
/// Waiting does not count.
pub(super) const ONLY_ACTIVE: Info =
    info(Action::OnlyActive, "only what runs", HOT_PANE, &["a"], "waits", "Leave out time in which a thread waited");
/// Samples are forgotten.
pub(super) const FORGET: Info =
    info(Action::Forget, "forget samples", HOT_PANE, &["r"], "reset", "Forget the samples so far and begin anew");
/// Samples go into a file.
pub(super) const SAVE_STACKS: Info = info(
    Action::SaveStacks,
    "save stacks",
    HOT_PANE,
    &["ctrl-s"],
    "save",
    "Write the samples to a file as folded stacks, which flame graph tools read",
);
/// A call is folded or unfolded.
pub(super) const UNFOLD: Info = info(
    Action::Unfold,
    "fold or unfold",
    HOT_PANE,
    &["enter"],
    "open",
    "Fold or unfold the call; in the flame graph, give it all the width",
);
/// To the caller.
pub(super) const OUT: Info = info(
    Action::Out,
    "to the caller",
    HOT_PANE,
    &["left"],
    "",
    "Fold the call, or go to its caller; in the flame graph, to the neighbour on the left",
);
/// To the called.
pub(super) const IN: Info = info(
    Action::In,
    "to the called",
    HOT_PANE,
    &["right"],
    "",
    "Unfold the call, or go to what it called most; in the flame graph, to the neighbour on the right",
);
/// All of the flame graph.
pub(super) const WHOLE: Info =
    info(Action::Whole, "whole width", HOT_PANE, &["esc"], "", "Show all of the flame graph again");

/// A command is marked.
pub(super) const MARK: Info = info(
    Action::Mark,
    "mark",
    &[Context::Commands],
    &["m"],
    "mark",
    "Mark the command to be recorded, or take its mark away",
);
/// Commands go into a file.
pub(super) const RECORD: Info = info(
    Action::Record,
    "record",
    &[Context::Commands],
    &["ctrl-s"],
    "record",
    "Add the marked commands, or the selected one, to a Python file or to a phase of a job file",
);

const HOT_PANE: &[Context] = &[Context::Hot];
