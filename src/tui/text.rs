//! Text from outside, made fit for a cell grid.
//!
//! What must stay true: every name, message, path or line that somebody else wrote passes through here (or through
//! [`ansi`](super::ansi)) before it becomes a span or a clipboard's contents, so that it can neither drive the terminal
//! nor turn the direction of what stands beside it. Widths are in cells, never in bytes or characters.

use crate::model::Micros;
pub(super) use crate::model::size::bytes;
pub(super) use crate::store::is_hostile;
use std::borrow::Cow;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// What is shown instead of a hostile character: ASCII controls have pictures of their own.
pub(super) fn picture(c: char) -> char {
    match c {
        '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        _ => '\u{fffd}',
    }
}

/// One line: line ends become a sign, tabs a space, everything else hostile a picture.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().filter(|c| *c != '\r').map(|c| match c {
        '\n' => '⏎',
        '\t' => ' ',
        c if is_hostile(c) => picture(c),
        c => c,
    });
    Cow::Owned(shown.collect())
}

/// Several lines: line ends stay, tabs become four spaces, everything else hostile a picture.
pub(super) fn many_lines(text: &str) -> Vec<String> {
    text.lines().map(|line| one_line(&line.replace('\t', "    ")).into_owned()).collect()
}

/// For the clipboard: as it is, without what a terminal or a shell could be made to obey.
pub(super) fn for_clipboard(text: &str) -> String {
    text.chars().filter(|c| matches!(c, '\n' | '\t') || !is_hostile(*c)).collect()
}

/// Into an editor: line ends of any kind begin new lines, and nothing else that is not text comes in.
pub(super) fn for_pasting(text: &str) -> String {
    for_clipboard(&text.replace("\r\n", "\n").replace('\r', "\n").replace('\t', "    "))
}

/// At most so many bytes of the text, and whether that is less than all.
pub(super) fn cut_bytes(text: &str, most: usize) -> (&str, bool) {
    if text.len() <= most { (text, false) } else { (&text[..text.floor_char_boundary(most)], true) }
}

/// Cells that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most `cells` cells, its end replaced by `…` when it is longer.
pub(super) fn fit(text: &str, cells: usize) -> Cow<'_, str> {
    let text_is_short = text.len() <= cells || width(text) <= cells;
    if text_is_short {
        return Cow::Borrowed(text);
    }
    let mut left = cells.saturating_sub(1);
    let mut kept = String::new();
    for grapheme in text.graphemes(true) {
        let cells = width(grapheme);
        if cells > left {
            break;
        }
        left -= cells;
        kept.push_str(grapheme);
    }
    if cells > 0 {
        kept.push('…');
    }
    Cow::Owned(kept)
}

/// The end of the text in at most `cells` cells, as paths are best cut.
pub(super) fn fit_end(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let mut left = cells.saturating_sub(1);
    let mut kept: Vec<&str> = Vec::new();
    for grapheme in text.graphemes(true).rev() {
        let cells = width(grapheme);
        if cells > left {
            break;
        }
        left -= cells;
        kept.push(grapheme);
    }
    if cells > 0 {
        kept.push("…");
    }
    kept.into_iter().rev().collect()
}

/// The text in exactly `cells` cells, at the left.
pub(super) fn left(text: &str, cells: usize) -> String {
    let mut padded = fit(text, cells).into_owned();
    padded.extend(std::iter::repeat_n(' ', cells.saturating_sub(width(&padded))));
    padded
}

/// The text in exactly `cells` cells, at the right.
pub(super) fn right(text: &str, cells: usize) -> String {
    let text = fit(text, cells);
    let mut padded = " ".repeat(cells.saturating_sub(width(&text)));
    padded.push_str(&text);
    padded
}

/// A length of time in at most seven cells: `0.4s`, `12s`, `1m 03s`, `2h 05m`, `3d 04h`.
pub(super) fn length(of: Micros) -> String {
    let seconds = of.0 / 1_000_000;
    match seconds {
        0..10 => format!("{}.{}s", seconds, of.0 / 100_000 % 10),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// How long something took: `41ms` below a second.
pub(super) fn took(of: Micros) -> String {
    if of.0 < 1_000_000 { format!("{}ms", of.0.div_ceil(1000)) } else { length(of) }
}

/// Time that passes on the screen: whole seconds, so that it does not flicker.
pub(super) fn elapsed(of: Micros) -> String {
    let seconds = of.0 / 1_000_000;
    if seconds < 10 { format!("{seconds}s") } else { length(of) }
}

/// `count` things: `1 item`, `3 items`.
pub(super) fn plural(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// A number of cells as ratatui counts them.
pub(super) fn cells(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_read_well() {
        for (micros, said) in [
            (0, "0.0s"),
            (420_000, "0.4s"),
            (12_000_000, "12s"),
            (63_000_000, "1m 03s"),
            (7_500_000_000, "2h 05m"),
            (273_600_000_000, "3d 04h"),
        ] {
            assert_eq!(length(Micros(micros)), said);
        }
    }

    #[test]
    fn controls_and_bidi_become_pictures() {
        assert_eq!(one_line("a\u{1b}[31mb\u{202e}c\nd\r\n"), "a␛[31mb\u{fffd}c⏎d⏎");
        assert_eq!(for_clipboard("a\u{1b}]52;c;x\u{7}\tb\n\u{9b}c"), "a]52;c;x\tb\nc");
    }

    #[test]
    fn cutting_says_so() {
        assert_eq!(fit("hello world", 6), "hello…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit_end("/shows/a/shot.py", 8), "…shot.py");
        assert_eq!(fit("abc", 0), "");
    }

    proptest! {
        #[test]
        fn padded_text_takes_its_cells(text in "\\PC{0,40}", cells in 0usize..60) {
            let text = one_line(&text);
            prop_assert!(width(&fit(&text, cells)) <= cells);
            prop_assert_eq!(width(&left(&text, cells)), cells);
            prop_assert_eq!(width(&right(&text, cells)), cells);
        }
    }
}
