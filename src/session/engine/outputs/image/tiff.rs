//! TIFF and `BigTIFF`: tags with values, or with the places of values, that may stand anywhere in the file.

use super::Order::{Big, Little};
use super::{Header, Order, PLACES, Source, Trouble};

const WIDTH: u64 = 256;
const HEIGHT: u64 = 257;
/// The places and lengths of strips, and of tiles.
const BLOCKS: [(u64, u64); 2] = [(273, 279), (324, 325)];
/// How many tags are read at most.
const TAGS: u64 = 4096;

pub(super) fn begins(head: &[u8]) -> bool {
    matches!(head, [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..])
}

/// A tag's values.
#[derive(Clone, Copy)]
struct Values {
    /// Bytes of one.
    size: u64,
    count: u64,
    at: u64,
}

pub(super) fn read(source: &Source<'_>) -> Result<Header, Trouble> {
    let order = if source.byte(0)? == b'M' { Big } else { Little };
    let big = source.u16(2, order)? == 43;
    let tags = if big { source.u64(8, order)? } else { source.u32(4, order)? };
    let (count, first) = if big { (source.u64(tags, order)?, 8) } else { (source.u16(tags, order)?, 2) };
    let (entry, inline) = if big { (20, 8) } else { (12, 4) };
    let mut found = Vec::new();
    for place in 0..count.min(TAGS) {
        let at = tags.checked_add(first + place * entry).ok_or(Trouble::Short)?;
        let tag = source.u16(at, order)?;
        let size = match source.u16(at + 2, order)? {
            3 => 2,
            4 | 13 => 4,
            16 | 18 => 8,
            _ => continue,
        };
        if ![WIDTH, HEIGHT].contains(&tag) && !BLOCKS.iter().any(|(places, lengths)| [*places, *lengths].contains(&tag))
        {
            continue;
        }
        let count = if big { source.u64(at + 4, order)? } else { source.u32(at + 4, order)? };
        let field = at + entry - inline;
        let at = match count.saturating_mul(size) {
            length if length <= inline => field,
            _ if big => source.u64(field, order)?,
            _ => source.u32(field, order)?,
        };
        found.push((tag, Values { size, count, at }));
    }
    let values = |wanted| found.iter().find(|(tag, _)| *tag == wanted).map(|(_, values)| *values);
    let (Some(width), Some(height)) = (values(WIDTH), values(HEIGHT)) else {
        return Err(Trouble::Wrong("its header does not say how large it is"));
    };
    let blocks = BLOCKS.iter().find_map(|(places, lengths)| values(*places).zip(values(*lengths)));
    let unfinished = match blocks {
        Some((places, lengths)) => missing(source, order, places, lengths)?,
        None => None,
    };
    Ok(Header { width: width.get(source, order, 0)?, height: height.get(source, order, 0)?, unfinished })
}

impl Values {
    fn get(self, source: &Source<'_>, order: Order, place: u64) -> Result<u64, Trouble> {
        let at = place.checked_mul(self.size).and_then(|offset| self.at.checked_add(offset)).ok_or(Trouble::Short)?;
        match self.size {
            2 => source.u16(at, order),
            4 => source.u32(at, order),
            _ => source.u64(at, order),
        }
    }

    /// Some of them, read at once.
    fn some(self, source: &Source<'_>, order: Order, from: u64, count: u64) -> Result<Vec<u64>, Trouble> {
        let at = from.checked_mul(self.size).and_then(|offset| self.at.checked_add(offset)).ok_or(Trouble::Short)?;
        let mut bytes = vec![0; usize::try_from(count * self.size).map_err(|_| Trouble::Short)?];
        source.fill(at, &mut bytes)?;
        let size = usize::try_from(self.size).map_err(|_| Trouble::Short)?;
        let number = |bytes: &[u8]| {
            let digit = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
            if order == Big { bytes.iter().fold(0, digit) } else { bytes.iter().rev().fold(0, digit) }
        };
        Ok(bytes.chunks_exact(size).map(number).collect())
    }
}

/// Why a block of pixels is known to be missing.
fn missing(
    source: &Source<'_>,
    order: Order,
    places: Values,
    lengths: Values,
) -> Result<Option<&'static str>, Trouble> {
    let most = places.count.min(lengths.count).min(PLACES.0);
    for from in (0..most).step_by(usize::try_from(PLACES.1).unwrap_or(1)) {
        let count = (most - from).min(PLACES.1);
        let some = |values: Values| match values.some(source, order, from, count) {
            Err(Trouble::Short) => Ok(None),
            read => read.map(Some),
        };
        let (Some(places), Some(lengths)) = (some(places)?, some(lengths)?) else {
            return Ok(Some("it ends before its table of blocks"));
        };
        if places.iter().zip(&lengths).any(|(at, length)| at.saturating_add(*length) > source.length) {
            return Ok(Some("it ends before its last block of pixels"));
        }
    }
    Ok(None)
}
