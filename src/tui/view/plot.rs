//! A line in braille: two dots by four in a cell.

/// A plot of so many cells.
#[derive(Debug, Clone)]
pub(super) struct Plot {
    columns: usize,
    rows: usize,
    dots: Vec<u8>,
}

impl Plot {
    /// An empty one.
    pub(super) fn new(columns: u16, rows: u16) -> Self {
        let (columns, rows) = (usize::from(columns), usize::from(rows));
        Self { columns, rows, dots: vec![0; columns * rows] }
    }

    /// Draws a line through points, which are shares of the width and of the height (0 is the bottom); from a point that
    /// is not joined to the one before it a new line begins.
    pub(super) fn trace(&mut self, points: impl Iterator<Item = (f64, f64, bool)>) {
        let mut before: Option<(usize, usize)> = None;
        for (x, y, joined) in points {
            let at = (place(x, self.columns * 2), place(y, self.rows * 4));
            match before.filter(|_| joined) {
                Some(before) => self.line(before, at),
                None => self.set(at.0, at.1),
            }
            before = Some(at);
        }
    }

    /// Steps along the longer side.
    fn line(&mut self, from: (usize, usize), to: (usize, usize)) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        let between = |from: usize, to: usize, step: usize| {
            if to >= from { from + (to - from) * step / steps } else { from - (from - to) * step / steps }
        };
        for step in 0..=steps {
            self.set(between(from.0, to.0, step), between(from.1, to.1, step));
        }
    }

    /// Sets a dot, counted from the left and from the bottom.
    fn set(&mut self, x: usize, y: usize) {
        /// The bits of a cell's dots, from the bottom.
        const BITS: [[u8; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];
        let Some(row) = self.rows.checked_sub(y / 4 + 1) else { return };
        if let Some(cell) = self.dots.get_mut(row * self.columns + x / 2) {
            *cell |= BITS[x % 2][y % 4];
        }
    }

    /// What stands in a cell, counted from the top left; nothing where there is no dot.
    pub(super) fn symbol(&self, column: u16, row: u16) -> Option<char> {
        let cell = self.dots.get(usize::from(row) * self.columns + usize::from(column))?;
        char::from_u32(0x2800 + u32::from(*cell)).filter(|_| *cell > 0)
    }
}

/// A share of so many places.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "of a screen, and not negative"
)]
fn place(share: f64, places: usize) -> usize {
    (share.clamp(0.0, 1.0) * places.saturating_sub(1) as f64).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(plot: &Plot) -> Vec<String> {
        let row = |row: usize| {
            (0..plot.columns)
                .map(|column| plot.symbol(u16::try_from(column).unwrap(), u16::try_from(row).unwrap()).unwrap_or(' '))
                .collect()
        };
        (0..plot.rows).map(row).collect()
    }

    #[test]
    fn lines_go_from_point_to_point_and_stop_where_nothing_is_known() {
        let mut plot = Plot::new(4, 2);
        plot.trace([(0.0, 0.0, false), (1.0, 1.0, true)].into_iter());
        assert_eq!(rows(&plot), ["  ⡠⠊", "⡠⠊  "]);
        let mut plot = Plot::new(4, 1);
        plot.trace([(0.0, 0.0, false), (0.2, 0.0, true), (0.9, 1.0, false), (7.0, f64::INFINITY, true)].into_iter());
        assert_eq!(rows(&plot), ["⣀  ⠉"]);
        Plot::new(0, 0).trace([(0.5, 0.5, false)].into_iter());
    }
}
