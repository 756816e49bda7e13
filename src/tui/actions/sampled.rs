//! The lines of the table for what is sampled and asked of the child while it works.

use super::Context::{Anywhere, Usage};
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
