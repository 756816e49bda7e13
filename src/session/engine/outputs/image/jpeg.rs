//! JPEG and JPEG 2000: segments and boxes with lengths, and a mark at the end.

use super::Order::Big;
use super::{Header, Source, Trouble};

/// How many segments or boxes are skipped at most.
const PARTS: usize = 4096;
/// The mark with which both end.
const END: (&[u8], &str) = (b"\xff\xd9", "its last mark (FF D9) is missing");

pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(b"\xff\xd8\xff")
}

pub(super) fn read(source: &Source<'_>) -> Result<Header, Trouble> {
    let mut at = 2;
    for _ in 0..PARTS {
        let [lead, kind] = source.array(at)?;
        match (lead, kind) {
            (0xff, 0xff) => at += 1,
            (0xff, 0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf) => {
                let (height, width) = (source.u16(at + 5, Big)?, source.u16(at + 7, Big)?);
                return Ok(Header { width, height, unfinished: source.ends_with(END.0, END.1)? });
            }
            // Marks that stand alone.
            (0xff, 0x01 | 0xd0..=0xd7) => at += 2,
            (0xff, 0xd8..=0xda) => break,
            (0xff, _) => at += 2 + source.u16(at + 2, Big)?.max(2),
            _ => break,
        }
    }
    Err(Trouble::Wrong("its header does not say how large it is"))
}

pub(super) fn is_2000(head: &[u8]) -> bool {
    head.starts_with(b"\0\0\0\x0cjP  \r\n\x87\n") || is_stream(head)
}

fn is_stream(head: &[u8]) -> bool {
    head.starts_with(b"\xff\x4f\xff\x51")
}

pub(super) fn read_2000(source: &Source<'_>) -> Result<Header, Trouble> {
    let unfinished = source.ends_with(END.0, END.1)?;
    if is_stream(&source.head) {
        let side = |at| Ok::<_, Trouble>(source.u32(at, Big)?.saturating_sub(source.u32(at + 8, Big)?));
        return Ok(Header { width: side(8)?, height: side(12)?, unfinished });
    }
    let mut at = 12;
    for _ in 0..PARTS {
        match &source.array(at + 4)? {
            // The header's first box is the one with the size.
            b"jp2h" if source.array(at + 12)? == *b"ihdr" => {
                return Ok(Header { width: source.u32(at + 20, Big)?, height: source.u32(at + 16, Big)?, unfinished });
            }
            b"jp2h" => break,
            _ => at += source.u32(at, Big)?.max(8),
        }
    }
    Err(Trouble::Wrong("its header does not say how large it is"))
}
