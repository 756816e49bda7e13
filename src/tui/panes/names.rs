//! The names in the child's namespace, filtered by what is typed.

use crate::model::proto::NameInfo;
use crate::tui::text;

/// The overlay.
#[derive(Debug, Clone, Default)]
pub(in crate::tui) struct NamesPane {
    rows: Vec<NameInfo>,
    more: u32,
    /// Whether the child is being asked.
    pub(in crate::tui) asking: bool,
    /// Why there is no answer, made safe.
    pub(in crate::tui) refused: Option<String>,
    /// What was typed.
    pub(in crate::tui) filter: String,
    selected: usize,
}

impl NamesPane {
    /// One that waits for its first answer.
    pub(in crate::tui) fn new() -> Self {
        Self { asking: true, ..Self::default() }
    }

    /// The answer came, or why there is none; what was known before stays.
    pub(in crate::tui) fn take(&mut self, answer: Result<(Vec<NameInfo>, u32), String>) {
        self.asking = false;
        match answer {
            Ok((rows, more)) => (self.rows, self.more, self.refused) = (rows, more, None),
            Err(why) => self.refused = Some(text::one_line(&why).into_owned()),
        }
        self.step(0);
    }

    /// The names whose name or type contains what was typed, ignoring case.
    pub(in crate::tui) fn shown(&self) -> Vec<&NameInfo> {
        let wanted = self.filter.trim().to_lowercase();
        let fits = |text: &str| text.to_lowercase().contains(&wanted);
        self.rows.iter().filter(|row| fits(&row.name) || fits(&row.kind)).collect()
    }

    /// The selected row of those that are shown.
    pub(in crate::tui) fn selected(&self) -> usize {
        self.selected
    }

    /// The selection moves by so many rows.
    pub(in crate::tui) fn step(&mut self, by: isize) {
        let last = self.shown().len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(by).min(last);
    }

    /// Something else is typed.
    pub(in crate::tui) fn typed(&mut self) {
        self.selected = 0;
    }

    /// How many there are: `12 of 300`.
    pub(in crate::tui) fn position(&self) -> String {
        let all = self.rows.len() as u64 + u64::from(self.more);
        let cut = if self.more > 0 { format!(" ({} not told)", self.more) } else { String::new() };
        format!("{} of {all}{cut}", self.shown().len())
    }
}

/// How big it is: an array's shape, else how many elements, else nothing.
pub(in crate::tui) fn extent(name: &NameInfo) -> String {
    match (&name.shape, name.length) {
        (Some(shape), _) => text::one_line(shape).into_owned(),
        (None, Some(length)) => length.to_string(),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_name_and_type_and_stay_when_a_later_question_is_refused() {
        let name = |name: &str, kind: &str| NameInfo { name: name.into(), kind: kind.into(), ..NameInfo::default() };
        let mut pane = NamesPane::new();
        pane.take(Ok((vec![name("scene", "tracer.Scene"), name("width", "int"), name("height", "int")], 4)));
        assert_eq!((pane.shown().len(), pane.position().as_str()), (3, "3 of 7 (4 not told)"));
        pane.step(9);
        assert_eq!(pane.selected(), 2);
        pane.filter = "INT".into();
        pane.typed();
        assert_eq!((pane.shown().len(), pane.selected()), (2, 0));
        pane.take(Err("it has\nnot answered".into()));
        assert_eq!((pane.shown().len(), pane.refused.as_deref()), (2, Some("it has⏎not answered")));
    }
}
