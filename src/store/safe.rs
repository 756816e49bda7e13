//! Makes the child's bytes harmless for a terminal: the one place where this is decided, for every window and pipe.
//!
//! What must stay true: of control characters only tab and the ESC of a well-formed SGR sequence come through;
//! everything else is shown as text, so that nothing a child prints is hidden and nothing it prints acts. What is safe
//! already is not changed.

use crate::model::sgr;
use std::borrow::Cow;
use std::fmt::Write;

/// Stands for what a carriage return has overwritten.
const OVERWRITTEN: char = '␍';

/// One line, made safe: valid UTF-8, colours kept, other controls shown. Of a line that carriage returns overwrite (a
/// progress bar) only what they leave is kept, after a `␍`. Newlines are shown: a line has none inside.
pub fn make_safe(bytes: &[u8]) -> String {
    render(bytes, true)
}

/// The same without colours.
pub fn plain_safe(bytes: &[u8]) -> String {
    render(bytes, false)
}

/// What is left of a line when its lone carriage returns have done their work, and whether they did any.
pub(super) fn last_overwrite(bytes: &[u8]) -> (&[u8], bool) {
    let end = bytes.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last + 1);
    match memchr::memrchr(b'\r', &bytes[..end]) {
        Some(place) => (&bytes[place + 1..end], true),
        None => (&bytes[..end], false),
    }
}

fn render(bytes: &[u8], colours: bool) -> String {
    let (bytes, overwritten) = last_overwrite(bytes);
    let mut text = String::with_capacity(bytes.len());
    if overwritten {
        text.push(OVERWRITTEN);
    }
    for chunk in bytes.utf8_chunks() {
        render_valid(chunk.valid(), colours, &mut text);
        chunk.invalid().iter().for_each(|byte| push_hex(*byte, &mut text));
    }
    text
}

fn push_hex(byte: u8, text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.push_str("\\x");
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}

fn render_valid(valid: &str, colours: bool, text: &mut String) {
    let mut rest = valid;
    while let Some(place) = rest.find(is_unsafe) {
        text.push_str(&rest[..place]);
        rest = &rest[place..];
        if let Some(length) = sgr::length(rest.as_bytes()) {
            if colours {
                text.push_str(&rest[..length]);
            }
            rest = &rest[length..];
        } else if let Some(character) = rest.chars().next() {
            push_shown(character, text);
            rest = &rest[character.len_utf8()..];
        }
    }
    text.push_str(rest);
}

/// Whether a character may change anything but its own cell, or takes none: controls, what changes the direction of
/// text, what some programs take for the end of a line, what is invisible. Only the two joiners (U+200C and U+200D) come
/// through of those: whole scripts and many emoji are spelt with them.
pub fn is_hostile(character: char) -> bool {
    match character {
        ' '..='~' => false,
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{feff}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e007f}' => true,
        other => other.is_control(),
    }
}

/// The same JSON with every hostile character in its strings escaped: what a JSON writer leaves as it is (DEL, C1, what
/// turns the direction of text) is obeyed by a terminal all the same.
pub fn escape_json(text: &[u8]) -> Cow<'_, [u8]> {
    if text.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            // JSON may be laid out with newlines; inside a string there is none.
            if character == '\n' || !is_hostile(character) {
                escaped.push(character);
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
        if !chunk.invalid().is_empty() {
            escaped.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Cow::Owned(escaped.into_bytes())
}

/// What is shown instead of itself: a tab only moves on.
fn is_unsafe(character: char) -> bool {
    character != '\t' && is_hostile(character)
}

fn push_shown(character: char, text: &mut String) {
    match character {
        '\0'..='\x1f' => text.extend(char::from_u32(0x2400 + u32::from(character))),
        '\x7f' => text.push('␡'),
        other => {
            // Writing to a string cannot fail.
            let _ = write!(text, "<U+{:04X}>", u32::from(other));
        }
    }
}

/// The same bytes without a UTF-8 sequence that was cut off at their end.
pub(super) fn without_cut_character(bytes: &[u8]) -> &[u8] {
    let begin = bytes.len().saturating_sub(3);
    let lead = bytes[begin..].iter().rposition(|byte| byte & 0xc0 != 0x80).map(|place| begin + place);
    match lead {
        Some(place) if str::from_utf8(&bytes[place..]).is_err_and(|error| error.error_len().is_none()) => {
            &bytes[..place]
        }
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colours_come_through_and_nothing_else() {
        assert_eq!(make_safe(b"a\x1b[1;38:5:9mred\x1b[m\tb"), "a\x1b[1;38:5:9mred\x1b[m\tb");
        assert_eq!(plain_safe(b"a\x1b[1;31mred\x1b[m"), "ared");
        assert_eq!(make_safe(b"\x1b[2J\x1b]52;c;AAAA\x07x"), "␛[2J␛]52;c;AAAA␇x");
        assert_eq!(make_safe(b"\x1bP1$q\x1b\\ \x1b_x \x1b^x \x1bXx"), "␛P1$q␛\\ ␛_x ␛^x ␛Xx");
        assert_eq!(
            make_safe("\u{9b}31m \u{202e}x\u{2066}\u{61c}\u{200f}".as_bytes()),
            "<U+009B>31m <U+202E>x<U+2066><U+061C><U+200F>"
        );
        assert_eq!(make_safe(b"\x9b31m caf\xe9 \x00\x7f"), "\\x9b31m caf\\xe9 ␀␡");
        assert_eq!(make_safe(format!("\x1b[{}m", "1;".repeat(40)).as_bytes()), format!("␛[{}m", "1;".repeat(40)));
        assert_eq!(make_safe(b"\x1b[31"), "␛[31");
        assert_eq!(make_safe(b"\x1b[?25lx"), "␛[?25lx");
    }

    #[test]
    fn a_carriage_return_leaves_what_a_terminal_would_show() {
        assert_eq!(make_safe(b" 10%\r 50%\r100%"), "␍100%");
        assert_eq!(make_safe(b" 10%\r 50%\r"), "␍ 50%");
        assert_eq!(make_safe(b"dos line\r"), "dos line");
        assert_eq!(make_safe(b"\r\r"), "");
    }

    #[test]
    fn a_character_cut_in_two_is_left_out() {
        let text = "aé€😀".as_bytes();
        for end in 0..=text.len() {
            assert!(str::from_utf8(without_cut_character(&text[..end])).is_ok(), "{end}");
        }
        assert_eq!(without_cut_character(b"a\xff"), b"a\xff");
        assert_eq!(without_cut_character(b"\x80\x80\x80\x80"), b"\x80\x80\x80\x80");
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        for hidden in ['\u{ad}', '\u{200b}', '\u{2060}', '\u{feff}', '\u{fff9}', '\u{e0041}', '\u{2067}', '\u{85}'] {
            assert_eq!(make_safe(hidden.to_string().as_bytes()), format!("<U+{:04X}>", u32::from(hidden)));
        }
        let spelt = "\u{645}\u{6cc}\u{200c}\u{62e} \u{1f469}\u{200d}\u{1f680}";
        assert_eq!(make_safe(spelt.as_bytes()), spelt);
    }

    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let pieces = prop_oneof![
            Just(b"\x1b[".to_vec()),
            Just(b"\x1b]52;c;".to_vec()),
            Just(b"m".to_vec()),
            Just(b"\r".to_vec()),
            Just("\u{202e}\u{9d}".as_bytes().to_vec()),
            proptest::collection::vec(any::<u8>(), 0..6),
            "[0-9;:m\\[\t ]{0,6}".prop_map(String::into_bytes),
        ];
        proptest::collection::vec(pieces, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn escaped_json_says_the_same_and_holds_nothing_hostile(text in "[\\PC\u{0}-\u{9f}\u{2028}-\u{202e}\u{e0041}]{0,40}") {
            let json = serde_json::to_vec(&text).unwrap();
            let escaped = String::from_utf8(escape_json(&json).into_owned()).unwrap();
            prop_assert!(!escaped.contains(is_hostile), "{:?}", escaped);
            prop_assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
        }

        #[test]
        fn nothing_acts_and_safe_stays_safe(bytes in hostile()) {
            let safe = make_safe(&bytes);
            let mut rest = safe.as_str();
            while let Some(place) = rest.find(is_unsafe) {
                rest = &rest[place..];
                let length = sgr::length(rest.as_bytes());
                prop_assert!(length.is_some(), "{:?}", safe);
                rest = &rest[length.unwrap_or_default()..];
            }
            prop_assert_eq!(&make_safe(safe.as_bytes()), &safe);
            let plain = plain_safe(&bytes);
            prop_assert!(!plain.contains(is_unsafe), "{:?}", plain);
            prop_assert_eq!(plain_safe(plain.as_bytes()), plain);
        }
    }
}
