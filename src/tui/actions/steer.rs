//! The lines of the table that ask why a child is stuck and steer the session: the ladder out, time-outs, where the agenda
//! stops, what runs beside the main thread.

use super::Context::{Agenda, Anywhere, Commands, Detail, Prompt, Why};
use super::{Action, Info, info, write};

pub(super) const WHY: Info = info(
    Action::Why,
    "why",
    &[Anywhere],
    &["w", "f2"],
    "why",
    "Find out what the child is doing and save that; where nobody can be asked, show what was found out last",
);

pub(super) const WAY_OUT: Info = write(
    Action::WayOut,
    "way out",
    &[Anywhere],
    &["I"],
    "interrupt",
    "End the running command: the ways out, the mildest first, and what each would cost",
);

pub(super) const PAUSE: Info = write(
    Action::Pause,
    "pause or continue",
    &[Anywhere],
    &["Z"],
    "",
    "Stop the child's processes where they are, and every clock with them, or let them go on",
);

pub(super) const BREAK: Info = write(
    Action::Break,
    "break",
    &[Anywhere],
    &["B"],
    "",
    "Make the agenda wait before the job's next command, even within an item",
);

pub(super) const STEP_COMMAND: Info = write(
    Action::StepCommand,
    "step one command",
    &[Anywhere],
    &["."],
    "",
    "While the agenda waits, let the job's next command run",
);

pub(super) const STEP_ITEM: Info = write(
    Action::StepItem,
    "step one item",
    &[Anywhere],
    &[">"],
    "",
    "While the agenda waits, let the rest of the running item run, or all of the next",
);

pub(super) const TRY_NOW: Info = write(
    Action::TryNow,
    "try it now",
    &[Anywhere],
    &["X"],
    "",
    "While the agenda waits, run the selected item at once; outside the agenda the one whose failure it waits for",
);

pub(super) const ON_FAILURE: Info = write(
    Action::OnFailure,
    "hold on failure",
    &[Anywhere],
    &["F"],
    "",
    "Make the agenda wait whenever an item has failed, or not any more",
);

pub(super) const BREAKPOINT: Info = write(
    Action::Breakpoint,
    "breakpoint",
    &[Agenda, Commands],
    &["D"],
    "",
    "Make the agenda wait before this item, or before any command with this one's first line, or not any more",
);

pub(super) const NO_BREAKPOINTS: Info = write(
    Action::NoBreakpoints,
    "drop breakpoints",
    &[Agenda, Commands],
    &["ctrl-d"],
    "",
    "Drop all breakpoints (lists them, asks first)",
);

pub(super) const EDIT: Info = write(
    Action::Edit,
    "edit commands",
    &[Agenda, Detail],
    &["e"],
    "",
    "Change the item's commands, for this session only",
);

pub(super) const TIMEOUTS: Info = info(
    Action::Timeouts,
    "time-outs",
    &[Anywhere],
    &["T"],
    "",
    "Look at the time-outs, what they lead to and how much of them is left; change them",
);

pub(super) const RESTART: Info = write(
    Action::Restart,
    "restart the child",
    &[Anywhere],
    &["L"],
    "",
    "Launch another child in this one's place: init and setup run again, the agenda goes on (asks first)",
);

pub(super) const SIDE: Info = write(
    Action::Side,
    "run beside",
    &[Prompt],
    &["alt-s", "f6"],
    "beside",
    "Run it now in another thread, while the main one works (asks first where that is not known to be safe)",
);

pub(super) const ASK_AGAIN: Info =
    write(Action::AskAgain, "ask again", &[Why], &["R"], "again", "Find out anew what the child is doing");

pub(super) const OLDER: Info = info(Action::Older, "older", &[Why], &["["], "older", "What was found out before");

pub(super) const NEWER: Info = info(Action::Newer, "newer", &[Why], &["]"], "newer", "What was found out after that");
