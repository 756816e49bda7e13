//! Whether a file is an image: its format and dimensions, and whether its end is there. Pixels are not decoded.
//!
//! What must stay true: the file is the child's, and may be anything. However long it says that something is, the number
//! of reads and of bytes is bounded, and nothing is allocated for what a header only claims. A format is told by its own
//! bytes, never by the file's name, and by enough of them that no text passes for one.

mod exr;
mod jpeg;
mod simple;
mod tiff;

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How much of the beginning is read at once: most headers end long before.
const HEAD: usize = 16 << 10;
/// How much of the end is looked through for the mark with which a format ends.
const TAIL: u64 = 4096;
/// How often one file is read from at most.
const READS: u32 = 10_000;
/// How many places of blocks are read of a table at most, and at once.
const PLACES: (u64, u64) = (1 << 18, 1 << 13);

/// What can be known without decoding pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Image {
    /// `png`, `exr` ….
    pub(super) format: &'static str,
    /// Width and height in pixels.
    pub(super) dimensions: (u32, u32),
    /// Why its end is known to be missing, if it is.
    pub(super) unfinished: Option<&'static str>,
}

/// Why something is no image.
#[derive(Debug)]
pub(super) enum NoImage {
    /// There is nothing in it.
    Empty,
    /// Its first bytes are those of no format.
    Unknown,
    /// It ends within its header.
    Short(&'static str),
    /// It begins as an image, and what follows is none.
    Wrong(&'static str, &'static str),
    /// It cannot be read.
    Unreadable(io::Error),
}

/// Whatever has bytes at places.
pub(super) trait Bytes {
    /// Reads up to so many bytes from there; fewer only at the end.
    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<usize>;
}

impl Bytes for File {
    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while read < into.len() {
            match self.read_at(&mut into[read..], at + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }
}

/// A format: its name, how it begins, and how its header is read.
struct Format {
    name: &'static str,
    begins: fn(&[u8]) -> bool,
    read: fn(&Source<'_>) -> Result<Header, Trouble>,
}

/// What a header says.
struct Header {
    width: u64,
    height: u64,
    unfinished: Option<&'static str>,
}

/// Why a header could not be read.
#[derive(Debug)]
enum Trouble {
    Short,
    Wrong(&'static str),
    Io(io::Error),
}

/// The order matters where one format's mark says less than another's: the vaguest stands last.
const FORMATS: &[Format] = &[
    Format { name: "png", begins: simple::is_png, read: simple::png },
    Format { name: "exr", begins: exr::begins, read: exr::read },
    Format { name: "jpeg", begins: jpeg::begins, read: jpeg::read },
    Format { name: "tiff", begins: tiff::begins, read: tiff::read },
    Format { name: "dpx", begins: simple::is_dpx, read: simple::dpx },
    Format { name: "cineon", begins: simple::is_cineon, read: simple::cineon },
    Format { name: "webp", begins: simple::is_webp, read: simple::webp },
    Format { name: "gif", begins: simple::is_gif, read: simple::gif },
    Format { name: "hdr", begins: simple::is_hdr, read: simple::hdr },
    Format { name: "jp2", begins: jpeg::is_2000, read: jpeg::read_2000 },
    Format { name: "psd", begins: simple::is_psd, read: simple::psd },
    Format { name: "iff", begins: simple::is_iff, read: simple::iff },
    Format { name: "sgi", begins: simple::is_sgi, read: simple::sgi },
    Format { name: "bmp", begins: simple::is_bmp, read: simple::bmp },
    Format { name: "tga", begins: simple::is_tga, read: simple::tga },
];

/// What an open file of this length is.
pub(super) fn read(bytes: &dyn Bytes, length: u64) -> Result<Image, NoImage> {
    if length == 0 {
        return Err(NoImage::Empty);
    }
    let source = Source::new(bytes, length).map_err(NoImage::Unreadable)?;
    let format = FORMATS.iter().find(|format| (format.begins)(&source.head)).ok_or(NoImage::Unknown)?;
    let name = format.name;
    let header = (format.read)(&source).map_err(|trouble| match trouble {
        Trouble::Short => NoImage::Short(name),
        Trouble::Wrong(what) => NoImage::Wrong(name, what),
        Trouble::Io(error) => NoImage::Unreadable(error),
    })?;
    match (u32::try_from(header.width), u32::try_from(header.height)) {
        (Ok(width @ 1..), Ok(height @ 1..)) => {
            Ok(Image { format: name, dimensions: (width, height), unfinished: header.unfinished })
        }
        _ => Err(NoImage::Wrong(name, "its width or height is none that an image can have")),
    }
}

impl NoImage {
    /// What is wrong with the file, after its name.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Empty => "is no image: it is empty".to_owned(),
            Self::Unknown => {
                let known = FORMATS.iter().map(|format| format.name).collect::<Vec<_>>().join(", ");
                format!("is no image: its first bytes are those of no format that is known here ({known})")
            }
            Self::Short(format) => format!("is no whole image: it ends within the header of a {format}"),
            Self::Wrong(format, what) => format!("is no image: it begins as a {format}, but {what}"),
            Self::Unreadable(error) => format!("cannot be read: {error}"),
        }
    }
}

/// Which end of a number comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Big,
    Little,
}

/// A file, a bounded number of times.
struct Source<'f> {
    bytes: &'f dyn Bytes,
    length: u64,
    head: Vec<u8>,
    reads: Cell<u32>,
}

impl<'f> Source<'f> {
    fn new(bytes: &'f dyn Bytes, length: u64) -> io::Result<Self> {
        let mut head = vec![0; usize::try_from(length).unwrap_or(HEAD).min(HEAD)];
        let read = bytes.read(0, &mut head)?;
        head.truncate(read);
        Ok(Self { bytes, length, head, reads: Cell::new(READS) })
    }

    /// Fills a buffer with what stands there.
    fn fill(&self, at: u64, into: &mut [u8]) -> Result<(), Trouble> {
        let end = at.checked_add(into.len() as u64).filter(|end| *end <= self.length).ok_or(Trouble::Short)?;
        if end <= self.head.len() as u64
            && let (Ok(from), Ok(to)) = (usize::try_from(at), usize::try_from(end))
        {
            into.copy_from_slice(&self.head[from..to]);
            return Ok(());
        }
        let left = self.reads.get().checked_sub(1).ok_or(Trouble::Wrong("its header has no end"))?;
        self.reads.set(left);
        match self.bytes.read(at, into) {
            Ok(read) if read == into.len() => Ok(()),
            Ok(_) => Err(Trouble::Short),
            Err(error) => Err(Trouble::Io(error)),
        }
    }

    fn array<const N: usize>(&self, at: u64) -> Result<[u8; N], Trouble> {
        let mut bytes = [0; N];
        self.fill(at, &mut bytes)?;
        Ok(bytes)
    }

    fn byte(&self, at: u64) -> Result<u8, Trouble> {
        self.array(at).map(|[byte]| byte)
    }

    fn u16(&self, at: u64, order: Order) -> Result<u64, Trouble> {
        let bytes = self.array(at)?;
        Ok(u64::from(if order == Order::Big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }))
    }

    fn u32(&self, at: u64, order: Order) -> Result<u64, Trouble> {
        let bytes = self.array(at)?;
        Ok(u64::from(if order == Order::Big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }))
    }

    fn i32(&self, at: u64, order: Order) -> Result<i64, Trouble> {
        let bytes = self.array(at)?;
        Ok(i64::from(if order == Order::Big { i32::from_be_bytes(bytes) } else { i32::from_le_bytes(bytes) }))
    }

    fn u64(&self, at: u64, order: Order) -> Result<u64, Trouble> {
        let bytes = self.array(at)?;
        Ok(if order == Order::Big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// The last bytes, up to [`TAIL`].
    fn tail(&self) -> Result<Vec<u8>, Trouble> {
        let length = self.length.min(TAIL);
        let mut tail = vec![0; usize::try_from(length).unwrap_or_default()];
        self.fill(self.length - length, &mut tail)?;
        Ok(tail)
    }

    /// Says that the end is missing unless the mark stands near it.
    fn ends_with(&self, mark: &[u8], otherwise: &'static str) -> Result<Option<&'static str>, Trouble> {
        let found = memchr::memmem::rfind(&self.tail()?, mark).is_some();
        Ok((!found).then_some(otherwise))
    }

    /// Says that the end is missing unless the file is at least so long.
    fn reaches(&self, end: u64) -> Option<&'static str> {
        (end > self.length).then_some("it is shorter than its header says: its end is missing")
    }
}

#[cfg(test)]
pub(super) mod tests;
