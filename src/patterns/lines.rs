//! Whole lines out of reads that end anywhere.
//!
//! A line ends at a newline or a carriage return, so that a line that is written again and again in its place (`\r10 %`)
//! is seen each time and not when it is over at last. One without an end is cut, and what follows is another line; where
//! it is cut does not depend on the reads.

/// The longest line, in bytes. In unit tests so short that most of what is made up there has longer ones.
pub(super) const LINE: usize = if cfg!(test) { 140 } else { 64 << 10 };

/// The end of one stream: a line whose end has not come yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    open: Vec<u8>,
    /// Where it begins in the stream.
    start: u64,
}

impl Lines {
    /// Takes bytes that stand at this place of the stream, and gives blocks of whole lines with their places. Neither is
    /// longer than the longest line.
    pub(super) fn add(&mut self, mut at: u64, mut bytes: &[u8], mut block: impl FnMut(u64, &[u8])) {
        if !self.open.is_empty() {
            let room = LINE - self.open.len();
            let (take, pass) = match memchr::memchr2(b'\n', b'\r', &bytes[..bytes.len().min(room)]) {
                Some(end) => (end, end + 1),
                None if bytes.len() >= room => (room, room),
                None => return self.open.extend_from_slice(bytes),
            };
            self.open.extend_from_slice(&bytes[..take]);
            block(self.start, &self.open);
            self.open.clear();
            at += pass as u64;
            bytes = &bytes[pass..];
        }
        while !bytes.is_empty() {
            let piece = &bytes[..bytes.len().min(LINE)];
            let (take, pass) = match memchr::memrchr2(b'\n', b'\r', piece) {
                Some(end) => (end, end + 1),
                None if piece.len() == LINE => (LINE, LINE),
                None => {
                    self.open.extend_from_slice(piece);
                    self.start = at;
                    return;
                }
            };
            if take > 0 {
                block(at, &piece[..take]);
            }
            at += pass as u64;
            bytes = &bytes[pass..];
        }
    }

    /// Where the line begins whose end has not come.
    pub(super) fn open_at(&self) -> Option<u64> {
        (!self.open.is_empty()).then_some(self.start)
    }

    /// There will be no end: gives it as it is.
    pub(super) fn end(&mut self, block: impl FnOnce(u64, &[u8])) {
        if !self.open.is_empty() {
            block(self.start, &self.open);
            self.open.clear();
        }
    }
}
