//! What things look like: the sixteen colours of the terminal's own palette, so that dark and light both work.
//!
//! Without colour (`NO_COLOR`) only attributes are used: crossterm then never writes an empty colour sequence, which
//! would reset the attributes too and make the selection invisible. State is never told by colour alone.

use crate::model::{CommandState, ItemStatus};
use ratatui::style::{Color, Modifier, Style};

/// Styles by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Theme {
    /// Whether colours may be used, the child's too.
    pub(super) colour: bool,
}

impl Theme {
    fn tint(self, colour: Color, without: Modifier) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new().add_modifier(without) }
    }

    /// Ordinary text.
    #[expect(clippy::unused_self, reason = "asked like the other styles")]
    pub(super) fn text(self) -> Style {
        Style::new()
    }

    /// What is there to be found, not to be read.
    #[expect(clippy::unused_self, reason = "asked like the other styles")]
    pub(super) fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What stands out in a line.
    #[expect(clippy::unused_self, reason = "asked like the other styles")]
    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The focused pane's border, keys.
    pub(super) fn accent(self) -> Style {
        self.tint(Color::Cyan, Modifier::BOLD)
    }

    /// Other panes' borders.
    pub(super) fn border(self) -> Style {
        self.dim()
    }

    /// The prompt's border when typing goes into the child: unlike every other pane's.
    pub(super) fn inject(self) -> Style {
        self.tint(Color::Magenta, Modifier::BOLD).add_modifier(Modifier::BOLD)
    }

    /// Went well.
    pub(super) fn good(self) -> Style {
        self.tint(Color::Green, Modifier::empty())
    }

    /// Is going on.
    pub(super) fn busy(self) -> Style {
        self.tint(Color::Blue, Modifier::BOLD).add_modifier(Modifier::BOLD)
    }

    /// Needs a look.
    pub(super) fn warn(self) -> Style {
        self.tint(Color::Yellow, Modifier::BOLD)
    }

    /// Went wrong.
    pub(super) fn bad(self) -> Style {
        self.tint(Color::Red, Modifier::BOLD)
    }

    /// A whole row that must not be missed.
    pub(super) fn banner(self, good: bool) -> Style {
        let style = if good { self.good() } else { self.bad() };
        style.add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }

    /// What must not be missed though nothing went wrong.
    pub(super) fn loud(self) -> Style {
        self.warn().add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }

    /// The selected row: one calm bar, whatever colours its cells had.
    #[expect(clippy::unused_self, reason = "asked like the other styles")]
    pub(super) fn selected(self) -> Style {
        let bar = Style::new().add_modifier(Modifier::REVERSED).remove_modifier(Modifier::DIM);
        bar.fg(Color::Reset).bg(Color::Reset)
    }

    /// Text that was searched for.
    pub(super) fn matched(self) -> Style {
        self.tint(Color::Yellow, Modifier::empty()).add_modifier(Modifier::UNDERLINED)
    }

    /// The same in the line that a search or a jump has come to.
    pub(super) fn current_match(self) -> Style {
        self.tint(Color::Yellow, Modifier::empty()).add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }

    /// An item's sign and its style.
    pub(super) fn item(self, status: ItemStatus) -> (&'static str, Style) {
        match status {
            ItemStatus::Pending => ("·", self.dim()),
            ItemStatus::Running => ("►", self.busy()),
            ItemStatus::Complete => ("✓", self.good()),
            ItemStatus::Failed => ("✗", self.bad()),
            ItemStatus::Blocked => ("⊘", self.warn()),
            ItemStatus::Waiting => ("◌", self.warn()),
            ItemStatus::Retrying => ("↻", self.warn()),
            ItemStatus::Killed => ("⊗", self.bad()),
        }
    }

    /// A command's sign and its style.
    pub(super) fn command(self, state: CommandState) -> (&'static str, Style) {
        match state {
            CommandState::Queued => ("·", self.dim()),
            CommandState::Sent => ("→", self.busy()),
            CommandState::Started => ("►", self.busy()),
            CommandState::Finished => ("✓", self.good()),
            CommandState::Raised => ("✗", self.bad()),
            CommandState::Lost => ("?", self.warn()),
            CommandState::Skipped => ("↷", self.dim()),
        }
    }
}
