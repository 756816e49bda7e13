//! Formats whose headers have their fields at fixed places.

use super::Order::{Big, Little};
use super::{Header, Source, Trouble};

fn header(width: u64, height: u64, unfinished: Option<&'static str>) -> Header {
    Header { width, height, unfinished }
}

// ---- PNG ----------------------------------------------------------------------------------------------------------------

pub(super) fn is_png(head: &[u8]) -> bool {
    head.starts_with(b"\x89PNG\r\n\x1a\n")
}

pub(super) fn png(source: &Source<'_>) -> Result<Header, Trouble> {
    let chunk: [u8; 25] = source.array(8)?;
    let (body, sum) = chunk[4..].split_at(17);
    if chunk[..8] != *b"\0\0\0\x0dIHDR" {
        return Err(Trouble::Wrong("its first chunk is no header"));
    }
    if crc(body).to_be_bytes() != sum {
        return Err(Trouble::Wrong("its header's check sum is wrong"));
    }
    let unfinished = source.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82", "its last chunk (IEND) is missing")?;
    Ok(header(source.u32(16, Big)?, source.u32(20, Big)?, unfinished))
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (if sum & 1 == 1 { 0xedb8_8320 } else { 0 }))
    })
}

// ---- film ---------------------------------------------------------------------------------------------------------------

pub(super) fn is_dpx(head: &[u8]) -> bool {
    head.starts_with(b"SDPX\0") || (head.starts_with(b"XPDS") && head.get(7) == Some(&0))
}

pub(super) fn dpx(source: &Source<'_>) -> Result<Header, Trouble> {
    let order = if source.byte(0)? == b'S' { Big } else { Little };
    film(source, order, source.u32(16, order)?, 772)
}

pub(super) fn is_cineon(head: &[u8]) -> bool {
    head.starts_with(b"\x80\x2a\x5f\xd7") || head.starts_with(b"\xd7\x5f\x2a\x80")
}

pub(super) fn cineon(source: &Source<'_>) -> Result<Header, Trouble> {
    let order = if source.byte(0)? == 0x80 { Big } else { Little };
    film(source, order, source.u32(20, order)?, 200)
}

/// Both say where the pixels begin, and, unless they leave it undefined, how long the file is.
fn film(source: &Source<'_>, order: super::Order, length: u64, at: u64) -> Result<Header, Trouble> {
    let pixels = source.u32(4, order)?;
    let end = if length == u64::from(u32::MAX) { pixels } else { length.max(pixels) };
    Ok(header(source.u32(at, order)?, source.u32(at + 4, order)?, source.reaches(end)))
}

// ---- the web ------------------------------------------------------------------------------------------------------------

pub(super) fn is_gif(head: &[u8]) -> bool {
    head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a")
}

pub(super) fn gif(source: &Source<'_>) -> Result<Header, Trouble> {
    let last = source.tail()?.into_iter().rfind(|byte| *byte != 0);
    let unfinished = (last != Some(b';')).then_some("its last mark is missing");
    Ok(header(source.u16(6, Little)?, source.u16(8, Little)?, unfinished))
}

pub(super) fn is_webp(head: &[u8]) -> bool {
    head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP")
}

pub(super) fn webp(source: &Source<'_>) -> Result<Header, Trouble> {
    let three = |at| Ok::<_, Trouble>(source.u32(at, Little)? & 0xff_ffff);
    let (width, height) = match &source.array(12)? {
        b"VP8 " if source.array(23)? == [0x9d, 0x01, 0x2a] => {
            (source.u16(26, Little)? & 0x3fff, source.u16(28, Little)? & 0x3fff)
        }
        b"VP8L" if source.byte(20)? == 0x2f => {
            let bits = source.u32(21, Little)?;
            ((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1)
        }
        b"VP8X" => (three(24)? + 1, three(27)? + 1),
        _ => return Err(Trouble::Wrong("no picture follows")),
    };
    Ok(header(width, height, source.reaches(source.u32(4, Little)? + 8)))
}

// ---- others -------------------------------------------------------------------------------------------------------------

pub(super) fn is_hdr(head: &[u8]) -> bool {
    head.starts_with(b"#?RADIANCE\n") || head.starts_with(b"#?RGBE\n")
}

/// Lines of text up to an empty one, then one such as `-Y 1080 +X 1920`. Nothing tells where the pixels end.
pub(super) fn hdr(source: &Source<'_>) -> Result<Header, Trouble> {
    let mut lines = source.head.split(|byte| *byte == b'\n').skip_while(|line| !line.is_empty()).skip(1);
    let line = lines.next().ok_or(Trouble::Short)?;
    let words: Vec<&str> = str::from_utf8(line).unwrap_or_default().split_whitespace().collect();
    let number = |text: &str| text.parse().map_err(|_| Trouble::Wrong("its size is no number"));
    match words.as_slice() {
        ["-Y" | "+Y", height, "-X" | "+X", width] | ["-X" | "+X", width, "-Y" | "+Y", height] => {
            Ok(header(number(width)?, number(height)?, None))
        }
        _ => Err(Trouble::Wrong("its header does not say how large it is")),
    }
}

pub(super) fn is_psd(head: &[u8]) -> bool {
    head.starts_with(b"8BPS\0\x01") || head.starts_with(b"8BPS\0\x02")
}

pub(super) fn psd(source: &Source<'_>) -> Result<Header, Trouble> {
    Ok(header(source.u32(18, Big)?, source.u32(14, Big)?, None))
}

/// Maya's.
pub(super) fn is_iff(head: &[u8]) -> bool {
    head.starts_with(b"FOR4") && head.get(8..16) == Some(b"CIMGTBHD")
}

pub(super) fn iff(source: &Source<'_>) -> Result<Header, Trouble> {
    Ok(header(source.u32(20, Big)?, source.u32(24, Big)?, source.reaches(source.u32(4, Big)? + 8)))
}

pub(super) fn is_sgi(head: &[u8]) -> bool {
    matches!(head, [0x01, 0xda, 0 | 1, 1 | 2, 0, 1..=3, ..])
}

/// Of one that is packed nothing tells where the pixels end.
pub(super) fn sgi(source: &Source<'_>) -> Result<Header, Trouble> {
    let [packed, depth] = source.array(2)?;
    let (width, height, planes) = (source.u16(6, Big)?, source.u16(8, Big)?, source.u16(10, Big)?);
    let end = 512 + if packed == 0 { width * height * planes * u64::from(depth) } else { 0 };
    Ok(header(width, height, source.reaches(end)))
}

pub(super) fn is_bmp(head: &[u8]) -> bool {
    let length = head.get(14..18).and_then(|length| length.try_into().ok()).map(u32::from_le_bytes);
    head.starts_with(b"BM") && matches!(length, Some(40 | 52 | 56 | 64 | 108 | 124))
}

pub(super) fn bmp(source: &Source<'_>) -> Result<Header, Trouble> {
    let (width, height) = (source.u32(18, Little)?, source.i32(22, Little)?.unsigned_abs());
    let row = (width.saturating_mul(source.u16(28, Little)?)).div_ceil(32).saturating_mul(4);
    let packed = source.u32(30, Little)? != 0;
    let pixels = if packed { source.u32(34, Little)? } else { row.saturating_mul(height) };
    Ok(header(width, height, source.reaches(source.u32(10, Little)?.saturating_add(pixels))))
}

/// A format without a mark: every field has to make sense.
pub(super) fn is_tga(head: &[u8]) -> bool {
    let Some(&[_, map, kind, m0, m1, m2, m3, m4, _, _, _, _, w0, w1, h0, h1, bits, flags]) = head.first_chunk::<18>()
    else {
        return false;
    };
    let mapped = matches!(kind, 1 | 9);
    let mapless = map == 0 && [m0, m1, m2, m3, m4] == [0; 5];
    let sound = matches!(kind, 1..=3 | 9..=11) && map == u8::from(mapped) && (mapped || mapless);
    sound && matches!(bits, 8 | 15 | 16 | 24 | 32) && flags & 0xd0 == 0 && [w0, w1] != [0; 2] && [h0, h1] != [0; 2]
}

/// Of one that is packed nothing tells where the pixels end.
pub(super) fn tga(source: &Source<'_>) -> Result<Header, Trouble> {
    let (width, height) = (source.u16(12, Little)?, source.u16(14, Little)?);
    let map = source.u16(5, Little)? * u64::from(source.byte(7)?).div_ceil(8);
    let pixels = width * height * u64::from(source.byte(16)?).div_ceil(8);
    let packed = source.byte(2)? > 3;
    let end = 18 + u64::from(source.byte(0)?) + map + if packed { 0 } else { pixels };
    Ok(header(width, height, source.reaches(end)))
}
