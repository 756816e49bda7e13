//! Escape sequences: cursor movements, colours, titles, links. They are not part of what a pattern sees.

/// The longest that is taken for one, in bytes; a title or a link may be long.
const LIMIT: usize = 4 << 10;

/// The length of the sequence that begins here with an ESC. It never goes beyond its line, and what has no end is no
/// more than its two first bytes, so that nothing a child prints can hide a line.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let rest = &bytes[..bytes.len().min(LIMIT)];
    match rest.get(1)? {
        b'[' => {
            let body = rest[2..].iter().position(|byte| !matches!(byte, 0x20..=0x3f));
            Some(match body {
                Some(end) if matches!(rest[2 + end], 0x40..=0x7e) => end + 3,
                _ => 2,
            })
        }
        b']' | b'P' | b'X' | b'^' | b'_' => Some(string(rest)),
        // A character set is chosen by one more byte.
        b' ' | b'#' | b'%' | b'('..=b'/' => Some(if matches!(rest.get(2), Some(0x30..=0x7e)) { 3 } else { 2 }),
        0x30..=0x7e => Some(2),
        _ => None,
    }
}

/// The length of a sequence that BEL or ESC \ ends.
fn string(bytes: &[u8]) -> usize {
    let end = bytes[2..].iter().position(|byte| matches!(byte, 0x07 | 0x1b | b'\n' | b'\r')).map(|end| end + 2);
    match end.map(|end| (end, &bytes[end..])) {
        Some((end, [0x07, ..])) => end + 1,
        Some((end, [0x1b, b'\\', ..])) => end + 2,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sgr::Plain;

    #[test]
    fn sequences_of_all_kinds_are_taken_out() {
        let plain = |text: &[u8]| {
            let mut plain = Plain::default();
            plain.fill_by(text, length);
            String::from_utf8_lossy(&plain.bytes).into_owned()
        };
        assert_eq!(plain(b"\x1b[32;1ma\x1b[0m\x1b[2Kb\x1b[?25l"), "ab");
        assert_eq!(plain(b"\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b\x1b]8;;\x1b\\"), "ab");
        assert_eq!(plain(b"\x1b(Ba\x1b7b\x1bM"), "ab");
        assert_eq!(plain(b"\x1b]0;no end\nError"), "0;no end\nError");
        assert_eq!(plain(b"\x1b[31\nError\x1b"), "31\nError\x1b");
        let long = [b"\x1b]0;".to_vec(), vec![b'x'; LIMIT], b"\x07Error".to_vec()].concat();
        assert!(plain(&long).ends_with("Error"));
    }
}
