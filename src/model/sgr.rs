//! SGR sequences, by which a child colours its text: what they are, and text without them.

use std::ops::Range;

/// The first byte of every escape sequence.
pub(crate) const ESC: u8 = 0x1b;
/// The longest sequence that is taken for one, in bytes.
const LIMIT: usize = 64;

/// The length of the SGR sequence that begins here: `ESC [`, digits, `;` and `:`, `m`.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    let parameters = bytes.strip_prefix(b"\x1b[")?;
    let end = parameters.iter().take(LIMIT).position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':'))?;
    (parameters[end] == b'm' && end + 3 <= LIMIT).then_some(end + 3)
}

/// Bytes without their SGR sequences, and where those stood.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    /// What is left.
    pub(crate) bytes: Vec<u8>,
    /// For each sequence where in `bytes` it stood, and how many bytes were taken out up to there, it included.
    cuts: Vec<(usize, usize)>,
}

impl Plain {
    /// Of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut plain = Self::default();
        plain.fill(bytes);
        plain
    }

    /// Of other bytes, with the memory used before.
    pub(crate) fn fill(&mut self, bytes: &[u8]) {
        self.fill_by(bytes, length);
    }

    /// The same, without whatever sequences this says how long they are.
    pub(crate) fn fill_by(&mut self, bytes: &[u8], length: impl Fn(&[u8]) -> Option<usize>) {
        self.bytes.clear();
        self.cuts.clear();
        let (mut rest, mut kept) = (bytes, 0);
        let mut taken = 0;
        while let Some(place) = memchr::memchr(ESC, &rest[kept..]).map(|place| kept + place) {
            let Some(length) = length(&rest[place..]) else {
                kept = place + 1;
                continue;
            };
            self.bytes.extend_from_slice(&rest[..place]);
            taken += length;
            self.cuts.push((self.bytes.len(), taken));
            (rest, kept) = (&rest[place + length..], 0);
        }
        self.bytes.extend_from_slice(rest);
    }

    /// Where the line stood that is this one in `bytes`, without its newline.
    pub(crate) fn line(&self, line: Range<usize>) -> Range<usize> {
        // A sequence at the line's very beginning or end belongs to it.
        let before = self.cuts.partition_point(|cut| cut.0 < line.start);
        let within = self.cuts.partition_point(|cut| cut.0 <= line.end);
        line.start + self.taken(before)..line.end + self.taken(within)
    }

    /// Where these bytes, at least one, stood. A sequence at their very beginning or end does not belong to them, so that
    /// ranges that are apart stay so.
    pub(crate) fn range(&self, range: Range<usize>) -> Range<usize> {
        let before = self.cuts.partition_point(|cut| cut.0 <= range.start);
        let within = self.cuts.partition_point(|cut| cut.0 < range.end);
        range.start + self.taken(before)..range.end + self.taken(within)
    }

    /// How many bytes the first of the sequences have together.
    fn taken(&self, cuts: usize) -> usize {
        cuts.checked_sub(1).map_or(0, |last| self.cuts[last].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_taken_out_and_lines_found_where_they_stood() {
        let text = b"\x1b[1ma\x1b[m\n\x1b[31mERR\x1b[0mOR\x1b[2K\n\x1b[mz";
        let plain = Plain::of(text);
        assert_eq!(plain.bytes, b"a\nERROR\x1b[2K\nz");
        let lines = [0..1, 2..11, 12..13].map(|line| &text[plain.line(line)]);
        let wanted: [&[u8]; 3] = [b"\x1b[1ma\x1b[m", b"\x1b[31mERR\x1b[0mOR\x1b[2K", b"\x1b[mz"];
        assert_eq!(lines, wanted);
    }
}
