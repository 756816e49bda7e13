//! One line of child output as a styled line: colours and attributes are kept, every other sequence is dropped.
//!
//! The engine has made the text safe already; this does not rely on it. It is run over the lines that are seen and no
//! others.

use super::text;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use std::ops::Range;
use unicode_width::UnicodeWidthChar;
use vte::{Params, Parser, Perform};

const TAB: usize = 8;

/// The line, over a base style. Without `colour` attributes are kept and colours are not.
pub fn styled(text: &str, base: Style, colour: bool) -> Line<'static> {
    marked(text, base, colour, std::iter::empty(), Style::new())
}

/// The same, with some bytes of the text (in order, apart from each other) in a style over their own.
pub(super) fn marked(
    text: &str,
    base: Style,
    colour: bool,
    places: impl Iterator<Item = Range<usize>>,
    mark: Style,
) -> Line<'static> {
    let mut pen = Pen { base, style: base, mark: None, colour, column: 0, run: String::new(), spans: Vec::new() };
    let mut parser = Parser::<1024>::new();
    let (bytes, mut done) = (text.as_bytes(), 0);
    for place in places {
        // A place may begin or end inside of a sequence or a character; the parser goes on where it stood.
        parser.advance(&mut pen, &bytes[done..place.start]);
        pen.cut();
        pen.mark = Some(mark);
        parser.advance(&mut pen, &bytes[place.clone()]);
        pen.cut();
        pen.mark = None;
        done = place.end;
    }
    parser.advance(&mut pen, &bytes[done..]);
    pen.cut();
    Line::from(pen.spans)
}

/// The text alone: no sequences, tabs as they are, every other control as a picture.
pub(super) fn plain(text: &str) -> String {
    let mut plain = Plain(String::with_capacity(text.len()));
    Parser::<1024>::new().advance(&mut plain, text.as_bytes());
    plain.0
}

struct Plain(String);

impl Perform for Plain {
    fn print(&mut self, c: char) {
        self.0.push(shown(c));
    }

    fn execute(&mut self, byte: u8) {
        if byte == b'\t' {
            self.0.push('\t');
        }
    }
}

fn shown(c: char) -> char {
    if text::is_hostile(c) { text::picture(c) } else { c }
}

struct Pen {
    base: Style,
    style: Style,
    /// Over `style`, where a place is marked.
    mark: Option<Style>,
    colour: bool,
    column: usize,
    run: String,
    spans: Vec<Span<'static>>,
}

impl Pen {
    fn cut(&mut self) {
        if !self.run.is_empty() {
            let style = self.mark.map_or(self.style, |mark| self.style.patch(mark));
            self.spans.push(Span::styled(std::mem::take(&mut self.run), style));
        }
    }

    fn graphics(&mut self, params: &Params) {
        let mut codes = params.iter().flat_map(|part| part.iter().copied());
        let mut any = false;
        while let Some(code) = codes.next() {
            any = true;
            self.graphic(code, &mut codes);
        }
        if !any {
            self.style = self.base;
        }
    }

    fn graphic(&mut self, code: u16, rest: &mut impl Iterator<Item = u16>) {
        let plain = self.style;
        self.style = match code {
            0 => self.base,
            1 => plain.add_modifier(Modifier::BOLD),
            2 => plain.add_modifier(Modifier::DIM),
            3 => plain.add_modifier(Modifier::ITALIC),
            4 => plain.add_modifier(Modifier::UNDERLINED),
            7 => plain.add_modifier(Modifier::REVERSED),
            9 => plain.add_modifier(Modifier::CROSSED_OUT),
            22 => plain.remove_modifier(Modifier::BOLD | Modifier::DIM),
            23 => plain.remove_modifier(Modifier::ITALIC),
            24 => plain.remove_modifier(Modifier::UNDERLINED),
            27 => plain.remove_modifier(Modifier::REVERSED),
            29 => plain.remove_modifier(Modifier::CROSSED_OUT),
            30..=37 => self.foreground(Some(named(code - 30))),
            38 => {
                let wanted = extended(rest);
                self.foreground(wanted)
            }
            39 => self.foreground(self.base.fg.or(Some(Color::Reset))),
            40..=47 => self.background(Some(named(code - 40))),
            48 => {
                let wanted = extended(rest);
                self.background(wanted)
            }
            49 => self.background(self.base.bg.or(Some(Color::Reset))),
            90..=97 => self.foreground(Some(named(code - 90 + 8))),
            100..=107 => self.background(Some(named(code - 100 + 8))),
            _ => plain,
        };
    }

    fn foreground(&self, wanted: Option<Color>) -> Style {
        match wanted {
            Some(wanted) if self.colour => self.style.fg(wanted),
            _ => self.style,
        }
    }

    fn background(&self, wanted: Option<Color>) -> Style {
        match wanted {
            Some(wanted) if self.colour => self.style.bg(wanted),
            _ => self.style,
        }
    }
}

impl Perform for Pen {
    fn print(&mut self, c: char) {
        let c = shown(c);
        self.column += c.width().unwrap_or(0);
        self.run.push(c);
    }

    fn execute(&mut self, byte: u8) {
        if byte == b'\t' {
            let spaces = TAB - self.column % TAB;
            self.run.extend(std::iter::repeat_n(' ', spaces));
            self.column += spaces;
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if action == 'm' && intermediates.is_empty() && !ignore {
            self.cut();
            self.graphics(params);
        }
    }
}

fn extended(rest: &mut impl Iterator<Item = u16>) -> Option<Color> {
    let mut byte = || rest.next().and_then(|code| u8::try_from(code).ok());
    match byte()? {
        5 => byte().map(Color::Indexed),
        2 => Some(Color::Rgb(byte()?, byte()?, byte()?)),
        _ => None,
    }
}

fn named(code: u16) -> Color {
    match code {
        0 => Color::Black,
        1 => Color::Red,
        2 => Color::Green,
        3 => Color::Yellow,
        4 => Color::Blue,
        5 => Color::Magenta,
        6 => Color::Cyan,
        7 => Color::Gray,
        8 => Color::DarkGray,
        9 => Color::LightRed,
        10 => Color::LightGreen,
        11 => Color::LightYellow,
        12 => Color::LightBlue,
        13 => Color::LightMagenta,
        14 => Color::LightCyan,
        _ => Color::White,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(line: &Line<'_>) -> String {
        line.spans.iter().map(|span| span.content.as_ref()).collect()
    }

    #[test]
    fn colours_are_kept_and_all_else_is_dropped() {
        let line = styled("a\x1b[1;31mb\x1b[0m\x1b]52;c;eA==\x07c\x1b[2Jd\te", Style::new(), true);
        assert_eq!(plain(&line), "abcd    e");
        assert_eq!(line.spans[1].style, Style::new().fg(Color::Red).add_modifier(Modifier::BOLD));
        assert_eq!(line.spans[2].style, Style::new());
    }

    #[test]
    fn long_colour_forms_are_read() {
        let line = styled("\x1b[38;5;208mx\x1b[48;2;1;2;3my\x1b[38;2;9mz", Style::new(), true);
        assert_eq!(line.spans[0].style.fg, Some(Color::Indexed(208)));
        assert_eq!(line.spans[1].style.bg, Some(Color::Rgb(1, 2, 3)));
        assert_eq!(plain(&line), "xyz");
    }

    #[test]
    fn without_colour_attributes_stay() {
        let line = styled("\x1b[1;31mb", Style::new(), false);
        assert_eq!(line.spans[0].style, Style::new().add_modifier(Modifier::BOLD));
    }

    #[test]
    fn marks_lie_over_what_the_child_chose() {
        let text = "a\x1b[31mbcd\x1b[0me";
        let mark = Style::new().add_modifier(Modifier::REVERSED);
        let line = marked(text, Style::new(), true, [0..7, 8..9].into_iter(), mark);
        assert_eq!(plain(&line), "abcde");
        let reversed = |span: &Span<'_>| span.style.add_modifier.contains(Modifier::REVERSED);
        let seen: Vec<(String, bool)> =
            line.spans.iter().map(|span| (span.content.to_string(), reversed(span))).collect();
        assert_eq!(
            seen,
            [("a", true), ("b", true), ("c", false), ("d", true), ("e", false)].map(|(t, r)| (t.to_owned(), r))
        );
    }

    proptest! {
        #[test]
        fn plain_text_is_what_is_seen(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = String::from_utf8_lossy(&bytes).replace('\t', "");
            let seen = plain(&styled(&text, Style::new(), true));
            prop_assert_eq!(super::plain(&text), seen);
        }

        #[test]
        fn nothing_hostile_comes_through(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let line = styled(&String::from_utf8_lossy(&bytes), Style::new(), true);
            prop_assert!(!plain(&line).chars().any(text::is_hostile));
        }
    }
}
