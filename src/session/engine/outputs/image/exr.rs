//! `OpenEXR`: attributes by name, then a table of where the blocks of pixels are, which is filled in last.
//!
//! The dimensions are those of the display window, which is the picture's; the data window may be smaller, where a render
//! was cropped, or larger. Of a file of several parts the first is told.

use super::Order::Little;
use super::{Header, PLACES, Source, Trouble};

/// How many attributes, and parts, are read at most.
const ATTRIBUTES: usize = 4096;
/// The longest name, with its end.
const NAME: usize = 256;

const SINGLE_TILED: u64 = 0x200;
const DEEP: u64 = 0x800;
const PARTS: u64 = 0x1000;

pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(b"\x76\x2f\x31\x01\x02")
}

/// A part's header, as far as it is needed.
#[derive(Default)]
struct Part {
    display: Option<Window>,
    data: Option<Window>,
    compression: Option<u8>,
    /// Their sizes, and whether there is one level of them.
    tiles: Option<(u64, u64, bool)>,
    chunks: Option<u64>,
}

type Window = (u64, u64);

pub(super) fn read(source: &Source<'_>) -> Result<Header, Trouble> {
    let flags = source.u32(4, Little)?;
    let mut at = 8;
    let mut first: Option<Part> = None;
    let mut tables = Some(0u64);
    while let Some(part) = part(source, &mut at)? {
        let chunks = part.chunks.or_else(|| part.counted(flags));
        tables = tables.zip(chunks).and_then(|(sum, chunks)| sum.checked_add(chunks));
        first.get_or_insert(part);
        if flags & PARTS == 0 {
            break;
        }
    }
    let window =
        first.and_then(|part| part.display).ok_or(Trouble::Wrong("its header does not say how large it is"))?;
    let unfinished = match tables {
        Some(chunks) => places(source, at, chunks)?,
        None => None,
    };
    Ok(Header { width: window.0, height: window.1, unfinished })
}

/// The next part's header; `None` after the last.
fn part(source: &Source<'_>, at: &mut u64) -> Result<Option<Part>, Trouble> {
    let mut part = Part::default();
    for seen in 0..ATTRIBUTES {
        let name = name(source, at)?;
        if name.is_empty() {
            return Ok((seen > 0).then_some(part));
        }
        let kind = self::name(source, at)?;
        let length = source.u32(*at, Little)?;
        let value = *at + 4;
        match (name.as_slice(), kind.as_slice()) {
            (b"displayWindow", b"box2i") => part.display = Some(window(source, value)?),
            (b"dataWindow", b"box2i") => part.data = Some(window(source, value)?),
            (b"compression", b"compression") => part.compression = Some(source.byte(value)?),
            (b"chunkCount", b"int") => part.chunks = Some(source.u32(value, Little)?),
            (b"tiles", b"tiledesc") => {
                let one_level = source.byte(value + 8)?.is_multiple_of(16);
                part.tiles = Some((source.u32(value, Little)?, source.u32(value + 4, Little)?, one_level));
            }
            _ => {}
        }
        *at = value + length;
    }
    Err(Trouble::Wrong("its header has no end"))
}

/// A text and the zero at its end.
fn name(source: &Source<'_>, at: &mut u64) -> Result<Vec<u8>, Trouble> {
    let left = source.length.saturating_sub(*at);
    let mut bytes = vec![0; usize::try_from(left).unwrap_or(NAME).min(NAME)];
    source.fill(*at, &mut bytes)?;
    let Some(end) = memchr::memchr(0, &bytes) else {
        return Err(if bytes.len() < NAME { Trouble::Short } else { Trouble::Wrong("its header is broken") });
    };
    bytes.truncate(end);
    *at += end as u64 + 1;
    Ok(bytes)
}

fn window(source: &Source<'_>, at: u64) -> Result<Window, Trouble> {
    let side = |low, high| Ok::<_, Trouble>(source.i32(high, Little)? - source.i32(low, Little)? + 1);
    let sides = (side(at, at + 8)?, side(at + 4, at + 12)?);
    let side =
        |side: i64| u64::try_from(side).map_err(|_| Trouble::Wrong("a window in its header ends before it begins"));
    Ok((side(sides.0)?, side(sides.1)?))
}

impl Part {
    /// How many blocks it has, where that follows from the rest: not for deep ones, nor for tiles of several levels.
    fn counted(&self, flags: u64) -> Option<u64> {
        let (width, height) = self.data?;
        match self.tiles {
            _ if flags & (DEEP | PARTS) != 0 => None,
            Some((wide, high, true)) if wide > 0 && high > 0 => width.div_ceil(wide).checked_mul(height.div_ceil(high)),
            Some(_) => None,
            None if flags & SINGLE_TILED != 0 => None,
            None => Some(height.div_ceil(lines(self.compression?)?)),
        }
    }
}

/// How many lines a block has.
fn lines(compression: u8) -> Option<u64> {
    Some(match compression {
        0..=2 => 1,
        3 | 5 => 16,
        4 | 6..=8 => 32,
        9 => 256,
        _ => return None,
    })
}

/// Why the table of blocks says that something is missing. It is written as zeros, and again when all blocks are there.
fn places(source: &Source<'_>, table: u64, chunks: u64) -> Result<Option<&'static str>, Trouble> {
    const MISSING: &str = "it ends before its last block of pixels";
    let end = chunks.checked_mul(8).and_then(|length| table.checked_add(length));
    if end.is_none_or(|end| end > source.length) {
        return Ok(Some(MISSING));
    }
    let most = chunks.min(PLACES.0);
    for from in (0..most).step_by(usize::try_from(PLACES.1).unwrap_or(1)) {
        let count = (most - from).min(PLACES.1);
        let mut places = vec![0; usize::try_from(count * 8).unwrap_or_default()];
        source.fill(table + from * 8, &mut places)?;
        for place in places.as_chunks::<8>().0 {
            match u64::from_le_bytes(*place) {
                0 => return Ok(Some("it was not finished: a block of pixels is missing")),
                at if at >= source.length => return Ok(Some(MISSING)),
                _ => {}
            }
        }
    }
    Ok(None)
}
