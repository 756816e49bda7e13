//! Images made by hand, byte by byte, and files that only begin as one.

use super::*;
use proptest::prelude::*;

impl Bytes for Vec<u8> {
    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let read = rest.len().min(into.len());
        into[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }
}

fn look(bytes: &[u8]) -> Result<Image, NoImage> {
    let bytes = bytes.to_vec();
    read(&bytes, bytes.len() as u64)
}

fn chunk(kind: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    let sum = crc32(&[kind, body].concat()).to_be_bytes();
    [&length, kind, body, &sum].concat()
}

/// The textbook's, with a table, so that it is another one than that which is tested.
fn crc32(bytes: &[u8]) -> u32 {
    let table: Vec<u32> =
        (0..256u32).map(|n| (0..8).fold(n, |c, _| if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 })).collect();
    bytes.iter().fold(!0u32, |c, byte| table[usize::from(c.to_le_bytes()[0] ^ byte)] ^ (c >> 8)) ^ !0
}

pub(in crate::session::engine::outputs) fn png(width: u32, height: u32) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let header = chunk(b"IHDR", &[size.as_slice(), &[8, 2, 0, 0, 0]].concat());
    [b"\x89PNG\r\n\x1a\n".as_slice(), &header, &chunk(b"IDAT", &[7; 40]), &chunk(b"IEND", &[])].concat()
}

pub(in crate::session::engine::outputs) fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let size = [height.to_be_bytes(), width.to_be_bytes()].concat();
    let frame = [b"\xff\xc0\0\x11\x08".as_slice(), &size, &[3; 10]].concat();
    [b"\xff\xd8\xff\xe0\0\x06JFIF\xff\xff\xfe\0\x04hi".as_slice(), &frame, b"\xff\xda\0\x02", &[9; 50], b"\xff\xd9"]
        .concat()
}

/// One of scan lines, without compression; the table of its blocks is filled in or not.
pub(in crate::session::engine::outputs) fn exr(width: i32, height: i32, finished: bool) -> Vec<u8> {
    let window = |x: i32, y: i32| [x, y, x + width - 1, y + height - 1].map(i32::to_le_bytes).concat();
    let mut file = b"\x76\x2f\x31\x01\x02\0\0\0".to_vec();
    for (name, kind, value) in [
        ("channels", "chlist", vec![0]),
        ("compression", "compression", vec![0]),
        ("dataWindow", "box2i", window(0, 0)),
        ("displayWindow", "box2i", window(0, 0)),
    ] {
        let length = u32::try_from(value.len()).expect("short").to_le_bytes();
        file.extend([name.as_bytes(), b"\0", kind.as_bytes(), b"\0", &length, &value].concat());
    }
    file.push(0);
    let blocks = file.len() as u64 + 8 * u64::try_from(height).expect("positive");
    for line in 0..u64::try_from(height).expect("positive") {
        file.extend(if finished { (blocks + line * 10).to_le_bytes() } else { [0; 8] });
    }
    file.extend(vec![5; usize::try_from(height).expect("positive") * 10]);
    file
}

pub(in crate::session::engine::outputs) fn tiff(width: u16, height: u16) -> Vec<u8> {
    let entry = |tag: u16, kind: u16, value: u32| {
        [tag.to_le_bytes().as_slice(), &kind.to_le_bytes(), &1u32.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    let entries = [(256, 3, u32::from(width)), (257, 4, u32::from(height)), (273, 4, 62), (279, 4, 40)];
    let entries = entries.map(|(tag, kind, value)| entry(tag, kind, value)).concat();
    [b"II\x2a\0\x08\0\0\0\x04\0".as_slice(), &entries, &[0; 4], &[6; 40]].concat()
}

fn padded(head: &[u8], fields: &[(usize, &[u8])], length: usize) -> Vec<u8> {
    let mut file = head.to_vec();
    file.resize(length, 1);
    for (at, field) in fields {
        file[*at..at + field.len()].copy_from_slice(field);
    }
    file
}

/// One of every other format, 320 by 180, and how much of it may be cut off before that is seen; `None`: it is not seen.
fn others() -> Vec<(&'static str, Vec<u8>, Option<usize>)> {
    let (width, height) = (320u32.to_be_bytes(), 180u32.to_be_bytes());
    let little = [320u32.to_le_bytes(), 180u32.to_le_bytes()].concat();
    let short = [320u16.to_le_bytes(), 180u16.to_le_bytes()].concat();
    let big = [width, height].concat();
    let sgi = [320u16.to_be_bytes(), 180u16.to_be_bytes(), 3u16.to_be_bytes()].concat();
    let vp8 = [b"VP8 \x64\0\0\0\0\0\0\x9d\x01\x2a".as_slice(), &short].concat();
    let jp2 = [b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x0cftypjp2 \0\0\0\x2djp2h\0\0\0\x16ihdr".as_slice(), &height, &width];
    let bmp: &[(usize, &[u8])] =
        &[(10, &54u32.to_le_bytes()), (14, &40u32.to_le_bytes()), (18, &little), (28, &[24, 0]), (30, &[0; 4])];
    let dpx: &[(usize, &[u8])] = &[(4, &2048u32.to_be_bytes()), (16, &3000u32.to_be_bytes()), (772, &big)];
    let cineon: &[(usize, &[u8])] = &[(4, &1024u32.to_be_bytes()), (20, &2000u32.to_be_bytes()), (200, &big)];
    let iff = [b"FOR4\0\0\x01\0CIMGTBHD\0\0\0\x20".as_slice(), &big].concat();
    let tga = [[0, 0, 2].as_slice(), &[0; 9], &short, &[24, 0]].concat();
    let stream = [b"\xff\x4f\xff\x51\0\x2f\0\0".as_slice(), &width, &height, &[0; 8], &[1; 40], b"\xff\xd9"].concat();
    vec![
        ("gif", [b"GIF89a".as_slice(), &short, &[1; 40], b";"].concat(), Some(1)),
        ("webp", padded(b"RIFF\x64\0\0\0WEBP", &[(12, &vp8)], 108), Some(1)),
        ("bmp", padded(b"BM", bmp, 54 + 960 * 180), Some(1)),
        ("dpx", padded(b"SDPX\0", dpx, 3000), Some(1)),
        ("cineon", padded(b"\x80\x2a\x5f\xd7", cineon, 2000), Some(1)),
        ("jp2", [jp2.concat(), vec![1; 60], b"\xff\xd9".to_vec()].concat(), Some(1)),
        ("jp2", stream, Some(1)),
        ("iff", padded(&iff, &[], 264), Some(1)),
        ("sgi", padded(b"\x01\xda\0\x01\0\x03", &[(6, &sgi)], 512 + 320 * 180 * 3), Some(1)),
        ("tga", padded(&tga, &[], 18 + 320 * 180 * 3), Some(1)),
        ("hdr", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 180 +X 320\n....".to_vec(), None),
        ("psd", padded(b"8BPS\0\x01", &[(14, &height), (18, &width)], 100), None),
    ]
}

#[test]
fn formats_are_told_by_their_bytes_with_their_dimensions() {
    let image = |format, dimensions| Image { format, dimensions, unfinished: None };
    assert_eq!(look(&png(1920, 1080)).expect("read"), image("png", (1920, 1080)));
    assert_eq!(look(&jpeg(1920, 1080)).expect("read"), image("jpeg", (1920, 1080)));
    assert_eq!(look(&exr(1920, 1080, true)).expect("read"), image("exr", (1920, 1080)));
    assert_eq!(look(&tiff(1920, 1080)).expect("read"), image("tiff", (1920, 1080)));
    for (format, bytes, _) in others() {
        assert_eq!(look(&bytes).expect(format), image(format, (320, 180)));
    }
}

#[test]
fn what_is_cut_is_not_whole() {
    let whole = [png(64, 48), jpeg(64, 48), exr(64, 48, true), tiff(64, 48)];
    let others = others().into_iter().filter_map(|(_, bytes, seen)| Some((bytes, seen?)));
    for (bytes, less) in whole.into_iter().map(|bytes| (bytes, 1)).chain(others) {
        // The last block of an EXR is known by its beginning alone.
        let less = if bytes.starts_with(b"\x76\x2f") { 10 } else { less };
        let cut = look(&bytes[..bytes.len() - less]);
        assert!(matches!(cut, Ok(Image { unfinished: Some(_), .. })), "{cut:?}");
        for less in [10, bytes.len() / 2, bytes.len() - 14] {
            let cut = look(&bytes[..bytes.len() - less]);
            assert!(!matches!(cut, Ok(Image { unfinished: None, .. })), "{less} of {} less: {cut:?}", bytes.len());
        }
    }
}

#[test]
fn an_exr_says_how_large_the_picture_is_also_where_it_is_cropped() {
    let mut cropped = exr(100, 50, true);
    let name = b"displayWindow\0box2i\0";
    let at = memchr::memmem::find(&cropped, name).expect("a window") + name.len() + 4;
    cropped[at..at + 16].copy_from_slice(&[-10, -10, 1909, 1069].map(i32::to_le_bytes).concat());
    assert_eq!(look(&cropped).expect("read").dimensions, (1920, 1080));
}

#[test]
fn headers_that_lie_cost_nothing_and_pass_for_nothing() {
    let mut broken = png(64, 48);
    broken[18] = 1;
    assert!(matches!(look(&broken), Err(NoImage::Wrong("png", _))), "its sum does not fit");
    assert!(matches!(look(&png(0, 48)), Err(NoImage::Wrong("png", _))));
    let huge = look(&png(u32::MAX, u32::MAX)).expect("a header that can be read");
    assert_eq!(huge.dimensions, (u32::MAX, u32::MAX));
    // A table of blocks that would be 16 GiB long.
    let mut tall = exr(8, 8, true);
    for name in [b"displayWindow\0box2i\0".as_slice(), b"dataWindow\0box2i\0"] {
        let at = memchr::memmem::find(&tall, name).expect("a window") + name.len() + 4;
        tall[at..at + 16].copy_from_slice(&[0, 0, 7, i32::MAX - 1].map(i32::to_le_bytes).concat());
    }
    assert!(matches!(look(&tall), Ok(Image { unfinished: Some(_), .. })));
    // An attribute that claims to be longer than the file.
    let mut long = exr(8, 8, true);
    long[8 + 9 + 7..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(look(&long), Err(NoImage::Short("exr"))));
    for text in
        ["BM, the bitmap", "P3 12 13 is no picture", "II*\0", "GIF8 of the week", "RIFF of the week", "\0\0\u{2}"]
    {
        let found = look(text.as_bytes());
        assert!(found.is_err(), "{text}: {found:?}");
    }
}

proptest! {
    #[test]
    fn nothing_breaks_it(start in 0..20usize, rest in proptest::collection::vec(any::<u8>(), 0..600), cut in any::<u16>()) {
        let whole: Vec<Vec<u8>> = [png(9, 9), jpeg(9, 9), exr(9, 9, true), tiff(9, 9)]
            .into_iter()
            .chain(others().into_iter().map(|(_, bytes, _)| bytes.into_iter().take(900).collect()))
            .collect();
        let mut bytes = whole.get(start).cloned().unwrap_or_default();
        bytes.truncate(usize::from(cut) % (bytes.len() + 1));
        bytes.extend(rest);
        let _ = look(&bytes);
    }

    #[test]
    fn a_byte_of_another_value_breaks_nothing(start in 0..14usize, at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let whole = [png(9, 9), jpeg(9, 9), exr(9, 9, true), tiff(9, 9)].into_iter();
        let mut whole: Vec<Vec<u8>> = whole.chain(others().into_iter().map(|(_, bytes, _)| bytes)).collect();
        let bytes = &mut whole[start];
        let at = at.index(bytes.len().min(256));
        bytes[at] = value;
        let _ = look(bytes);
    }
}
