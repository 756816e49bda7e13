//! Output for people: aligned, coloured only on a terminal, and safe whatever a child or a file said.

pub(super) use crate::model::size::length;
use crate::store::{escape_json, make_safe, plain_safe};
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use unicode_width::UnicodeWidthStr;

/// Standard output.
pub(super) struct Out {
    to: BufWriter<StdoutLock<'static>>,
    colour: bool,
}

/// A colour that says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it is.
    Plain,
    /// Well.
    Good,
    /// Wrong.
    Bad,
    /// Under way, or worth a look.
    Busy,
    /// Of less interest.
    Quiet,
}

impl Tone {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("32"),
            Self::Bad => Some("31"),
            Self::Busy => Some("33"),
            Self::Quiet => Some("2"),
        }
    }
}

impl Out {
    /// Standard output, with colours if it is a terminal and nobody minds.
    pub(super) fn stdout() -> Self {
        let stdout = io::stdout();
        let minded = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colour = stdout.is_terminal() && !minded("NO_COLOR") && !dumb;
        Self { to: BufWriter::new(stdout.lock()), colour }
    }

    /// A line that is ours, or several; made safe, since names of files and sessions may be anybody's.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        text.split('\n').try_for_each(|line| writeln!(self.to, "{}", plain_safe(line.as_bytes())))
    }

    /// The same in a tone.
    pub(super) fn toned_line(&mut self, text: &str, tone: Tone) -> io::Result<()> {
        let line = self.toned(&plain_safe(text.as_bytes()), tone);
        writeln!(self.to, "{line}")
    }

    /// The beginning of a line that somebody else ends; seen at once.
    pub(super) fn beginning(&mut self, text: &str) -> io::Result<()> {
        self.to.write_all(plain_safe(text.as_bytes()).as_bytes())?;
        self.to.flush()
    }

    /// A line of the child's, made safe; its colours are kept where ours are.
    pub(super) fn childs_line(&mut self, line: &[u8]) -> io::Result<()> {
        let safe = if self.colour { make_safe(line) } else { plain_safe(line) };
        // A colour that the line leaves on must not spill over.
        let reset = if safe.contains('\x1b') { "\x1b[0m" } else { "" };
        writeln!(self.to, "{safe}{reset}")
    }

    /// Bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes)
    }

    /// A value as JSON on one line, with nothing in its strings that a terminal would obey.
    pub(super) fn json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        self.json_part(value)?;
        self.to.write_all(b"\n")
    }

    /// The same without the end of the line, for what is printed piece by piece.
    pub(super) fn json_part(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let text = serde_json::to_vec(value)?;
        self.to.write_all(&escape_json(&text))
    }

    /// The rows that a table has, with its header the first time. They are taken out of it, so that more can follow;
    /// columns only grow wider.
    pub(super) fn table(&mut self, table: &mut Table) -> io::Result<()> {
        table.widen();
        for row in table.rows.drain(..) {
            let mut line = String::new();
            for (cell, (width, right)) in row.iter().zip(table.widths.iter().zip(&table.right)) {
                let pad = " ".repeat(width - cell.text.width());
                let text = self.toned(&cell.text, cell.tone);
                let [first, second] = if *right { [&pad, &text] } else { [&text, &pad] };
                line.extend([first, second, "  "]);
            }
            writeln!(self.to, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Writes what is left.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    fn toned(&self, text: &str, tone: Tone) -> String {
        match tone.code() {
            Some(code) if self.colour => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

/// Rows of cells.
pub(super) struct Table {
    right: Vec<bool>,
    widths: Vec<usize>,
    rows: Vec<Vec<Cell>>,
}

/// One cell: its text is safe.
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell in a tone; the text may come from anywhere.
    pub(super) fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: plain_safe(text.as_ref().as_bytes()), tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

impl Table {
    /// A table with these columns; a name that begins with `>` stands over numbers.
    pub(super) fn new(columns: &[&str]) -> Self {
        let right = columns.iter().map(|name| name.starts_with('>')).collect();
        let head = columns.iter().map(|name| Cell::new(name.trim_start_matches('>'), Tone::Quiet)).collect();
        Self { right, widths: vec![0; columns.len()], rows: vec![head] }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    fn widen(&mut self) {
        for row in &self.rows {
            for (cell, width) in row.iter().zip(&mut self.widths) {
                *width = cell.text.width().max(*width);
            }
        }
    }
}

/// Says something on standard error; if that is gone too, nobody is there to be told.
pub(super) fn complain(message: &str) {
    let mut to = io::stderr().lock();
    for line in message.lines() {
        if writeln!(to, "childminder: {}", plain_safe(line.as_bytes())).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_hold_nothing_that_drives_a_terminal() {
        let mut table = Table::new(&["NAME", ">SIZE"]);
        table.row(vec!["日本".into(), "7".into()]);
        table.row(vec!["\x1b[2J".into(), "1234".into()]);
        assert!(table.rows.iter().flatten().all(|cell| !cell.text.contains('\x1b')));
        table.widen();
        assert_eq!(table.widths[1], 4);
        assert!(table.widths[0] >= 4);
    }
}
