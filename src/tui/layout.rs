//! Where things stand, for every size of terminal. Plain arithmetic on rectangles.
//!
//! What must stay true: the parts tile the area exactly, whatever its size; the focused pane is always to be seen.

use ratatui::layout::{Margin, Rect};

/// The panes, in the order of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Pane {
    /// The items.
    Agenda,
    /// The commands.
    Commands,
    /// The child's output.
    Output,
    /// What was raised.
    Exceptions,
    /// Traces of the engine and of this window.
    Log,
    /// Where commands are typed.
    Prompt,
    /// Where the child's time goes.
    Hot,
    /// What the process tree uses.
    Usage,
}

/// How many panes there are.
pub(super) const PANES: usize = 8;

impl Pane {
    /// All of them, as they follow each other on the screen.
    pub(super) const ALL: [Self; PANES] =
        [Self::Agenda, Self::Commands, Self::Output, Self::Exceptions, Self::Log, Self::Hot, Self::Usage, Self::Prompt];

    /// Its number and name, for its title.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Agenda => "1 Agenda",
            Self::Commands => "2 Commands",
            Self::Output => "3 Output",
            Self::Exceptions => "4 Exceptions",
            Self::Log => "5 Log",
            Self::Prompt => "6 Prompt",
            Self::Hot => "7 Hot",
            Self::Usage => "8 Usage",
        }
    }
}

/// The fewest rows that leave one to a time line.
const TIMED: u16 = 7;

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Not even for one pane.
    TooSmall,
    /// The focused pane and a status row.
    Compact,
    /// One column, panes behind tabs.
    Narrow,
    /// Two columns.
    Wide,
}

/// What the layout depends on beside the area.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// The panes, the last focused first.
    pub(super) recent: [Pane; PANES],
    /// Whether the focused pane has all the room.
    pub(super) zoom: bool,
    /// Rows of warnings that are wanted.
    pub(super) alert_rows: u16,
    /// Whether there is a time line.
    pub(super) time_line: bool,
    /// Rows that the prompt would like, without its border.
    pub(super) prompt_rows: u16,
}

/// A box with one pane, or several behind tabs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    /// With its border.
    pub(super) area: Rect,
    /// The panes in it.
    pub(super) tabs: Vec<Pane>,
    /// The one that is seen.
    pub(super) shown: Pane,
}

/// The parts of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// How much room there is.
    pub(super) class: Class,
    /// Two rows (one when compact, everything when too small).
    pub(super) header: Rect,
    /// Rows of warnings: none, one or two.
    pub(super) alert: Rect,
    /// The panes.
    pub(super) slots: Vec<Slot>,
    /// One row, or none.
    pub(super) time_line: Rect,
    /// One row, or none.
    pub(super) keybar: Rect,
}

impl Slot {
    fn new(area: Rect, tabs: &[Pane], recent: [Pane; PANES]) -> Self {
        let shown = recent.iter().copied().find(|pane| tabs.contains(pane));
        let shown = shown.or_else(|| tabs.first().copied()).unwrap_or(Pane::Agenda);
        Self { area, tabs: tabs.to_vec(), shown }
    }

    /// Without its border.
    pub(super) fn inner(&self) -> Rect {
        self.area.inner(Margin::new(1, 1))
    }

    /// The tab at a column of the title row, as [`crate::tui::view`] draws the tabs: after the corner, each name between
    /// spaces, separated by one cell.
    pub(super) fn tab_at(&self, column: u16) -> Option<Pane> {
        let mut left = usize::from(self.area.x) + 1;
        for tab in &self.tabs {
            let right = left + tab.title().len() + 2;
            if (left..right).contains(&usize::from(column)) {
                return Some(*tab);
            }
            left = right + 1;
        }
        None
    }
}

impl Layout {
    /// Divides an area.
    pub(super) fn new(area: Rect, shape: Shape) -> Self {
        match class(area) {
            Class::TooSmall => Self {
                class: Class::TooSmall,
                header: area,
                alert: bottom(area, 0).1,
                slots: Vec::new(),
                time_line: bottom(area, 0).1,
                keybar: bottom(area, 0).1,
            },
            Class::Compact => {
                let (body, header) = bottom(area, 1);
                let (body, time_line) = bottom(body, u16::from(shape.time_line && area.height >= TIMED));
                let focus = shape.recent[0];
                Self {
                    class: Class::Compact,
                    header,
                    alert: bottom(area, 0).1,
                    slots: vec![Slot::new(body, &[focus], shape.recent)],
                    time_line,
                    keybar: bottom(area, 0).1,
                }
            }
            class => Self::roomy(area, class, shape),
        }
    }

    /// The slot in which a pane is seen.
    pub(super) fn slot_of(&self, pane: Pane) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.shown == pane)
    }

    /// The room inside a pane's border; none when it is not seen.
    pub(super) fn inner(&self, pane: Pane) -> Option<Rect> {
        self.slot_of(pane).map(Slot::inner)
    }

    fn roomy(area: Rect, class: Class, shape: Shape) -> Self {
        let (header, rest) = top(area, 2);
        let (alert, rest) = top(rest, shape.alert_rows);
        let (rest, keybar) = bottom(rest, 1);
        let (body, time_line) = bottom(rest, u16::from(shape.time_line));
        let slots = match (shape.zoom, class) {
            (true, _) => vec![Slot::new(body, &[shape.recent[0]], shape.recent)],
            (false, Class::Wide) => wide(body, shape),
            (false, _) => narrow(body, shape),
        };
        Self { class, header, alert, slots, time_line, keybar }
    }
}

fn class(area: Rect) -> Class {
    match (area.width, area.height) {
        (0..20, _) | (_, 0..5) => Class::TooSmall,
        (0..60, _) | (_, 0..15) => Class::Compact,
        (100.., 30..) => Class::Wide,
        _ => Class::Narrow,
    }
}

fn wide(body: Rect, shape: Shape) -> Vec<Slot> {
    let (panes, prompt) = bottom(body, (shape.prompt_rows + 2).clamp(4, body.height / 3));
    let (left, right) = split(panes, (panes.width * 2 / 5).clamp(42, 76));
    let (agenda, commands) = top(left, left.height * 11 / 20);
    let mut slots =
        vec![Slot::new(agenda, &[Pane::Agenda], shape.recent), Slot::new(commands, &[Pane::Commands], shape.recent)];
    if right.height >= 30 {
        let (output, below) = top(right, right.height * 2 / 3);
        slots.push(Slot::new(output, &[Pane::Output], shape.recent));
        slots.push(Slot::new(below, &[Pane::Exceptions, Pane::Log, Pane::Hot, Pane::Usage], shape.recent));
    } else {
        let tabs = [Pane::Output, Pane::Exceptions, Pane::Log, Pane::Hot, Pane::Usage];
        slots.push(Slot::new(right, &tabs, shape.recent));
    }
    slots.push(Slot::new(prompt, &[Pane::Prompt], shape.recent));
    slots
}

fn narrow(body: Rect, shape: Shape) -> Vec<Slot> {
    let (panes, prompt) = bottom(body, (shape.prompt_rows + 2).clamp(3, body.height / 3));
    let lists = [Pane::Agenda, Pane::Commands, Pane::Exceptions];
    // The half that is worked in gets the larger part.
    let on_lists = lists.contains(&shape.recent[0]);
    let height = if on_lists { panes.height * 11 / 20 } else { panes.height * 9 / 20 };
    // A border takes two rows, and something must be seen in it.
    let (upper, lower) = top(panes, height.max(3).min(panes.height.saturating_sub(3)));
    vec![
        Slot::new(upper, &lists, shape.recent),
        Slot::new(lower, &[Pane::Output, Pane::Log, Pane::Hot, Pane::Usage], shape.recent),
        Slot::new(prompt, &[Pane::Prompt], shape.recent),
    ]
}

fn top(area: Rect, rows: u16) -> (Rect, Rect) {
    let rows = rows.min(area.height);
    (Rect { height: rows, ..area }, Rect { y: area.y + rows, height: area.height - rows, ..area })
}

fn bottom(area: Rect, rows: u16) -> (Rect, Rect) {
    top(area, area.height - rows.min(area.height))
}

fn split(area: Rect, columns: u16) -> (Rect, Rect) {
    let columns = columns.min(area.width);
    (Rect { width: columns, ..area }, Rect { x: area.x + columns, width: area.width - columns, ..area })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recent(focus: usize) -> [Pane; PANES] {
        let mut panes = Pane::ALL;
        panes[..=focus].rotate_right(1);
        panes
    }

    #[test]
    fn classes_are_what_people_expect() {
        for (width, height, expected) in [
            (160, 50, Class::Wide),
            (100, 30, Class::Wide),
            (99, 50, Class::Narrow),
            (80, 24, Class::Narrow),
            (40, 10, Class::Compact),
            (20, 4, Class::TooSmall),
            (0, 0, Class::TooSmall),
        ] {
            assert_eq!(class(Rect::new(0, 0, width, height)), expected, "{width}×{height}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_parts_tile_the_area(
            width in 0u16..200, height in 0u16..80, focus in 0usize..PANES, zoom: bool, time_line: bool, alert_rows in 0u16..3, prompt_rows in 0u16..60,
        ) {
            let area = Rect::new(0, 0, width, height);
            let recent = recent(focus);
            let layout = Layout::new(area, Shape { recent, zoom, alert_rows, time_line, prompt_rows });
            let mut parts = vec![layout.header, layout.alert, layout.time_line, layout.keybar];
            parts.extend(layout.slots.iter().map(|slot| slot.area));
            let covered: u32 = parts.iter().map(|part| part.area()).sum();
            prop_assert_eq!(covered, area.area());
            for (at, part) in parts.iter().enumerate() {
                prop_assert_eq!(part.intersection(area), *part);
                for other in &parts[at + 1..] {
                    prop_assert!(part.intersection(*other).is_empty(), "{:?} {:?}", part, other);
                }
            }
            if layout.class != Class::TooSmall {
                prop_assert!(layout.slot_of(recent[0]).is_some());
                for slot in &layout.slots {
                    prop_assert!(slot.inner().width > 0 && slot.inner().height > 0, "{:?}", slot);
                }
            }
        }
    }
}
