//! The lines of the table that go through the details of something.

use super::Context::Detail;
use super::{Action, Info, info};

pub(super) const NEXT_FINDING: Info = info(
    Action::NextFinding,
    "next finding",
    &[Detail],
    &["n"],
    "",
    "Select the next error, warning or note that was found in the item's output; `o` goes there",
);

pub(super) const PREVIOUS_FINDING: Info =
    info(Action::PreviousFinding, "previous finding", &[Detail], &["N"], "", "Select the one before");
