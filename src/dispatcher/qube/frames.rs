//! Commands as Qube's executor takes them from its stdin.
//!
//! What must stay true: no frame has more than [`LONGEST`] characters, since the executor's decoder is wrong for longer
//! ones and would take what is left for a length; every character is ASCII, since the executor reads text and a host may
//! decode it as it likes; no length has a byte that a host could read as the end of a line.

use crate::model::CommandId;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The longest frame that survives the decoder, in characters.
pub(super) const LONGEST: usize = 252;
/// What a chunk of a length says at most; one more means that another chunk follows.
const CHUNK: usize = 126;
/// A carriage return, which a host that translates line ends would make a newline of.
const RETURN: usize = 13;
/// Base64 that a piece holds: whole groups of four.
const PIECE: usize = 228;
/// Bytes of a path that a command holds, each written as four characters.
const PATH: usize = 50;

/// The bytes of a frame.
pub(super) fn frame(command: &str) -> Vec<u8> {
    debug_assert!(command.is_ascii() && command.len() <= LONGEST, "{command}");
    let padding = if command.len() % CHUNK == RETURN { " " } else { "" };
    let mut bytes = Vec::with_capacity(command.len() + 9);
    let mut left = command.len() + padding.len();
    while left > CHUNK {
        bytes.extend_from_slice(&be(CHUNK + 1));
        left -= CHUNK;
    }
    bytes.extend_from_slice(&be(left));
    bytes.extend_from_slice(command.as_bytes());
    bytes.extend_from_slice(padding.as_bytes());
    bytes
}

fn be(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes()
}

/// A command of any length and with any characters, as frames for the carrier; the last one runs it.
pub(super) fn carried(id: CommandId, source: &str) -> Vec<String> {
    if let Some(literal) = literal(source) {
        let whole = format!("_childminder.run({id},'{literal}')");
        if whole.len() <= LONGEST {
            return vec![whole];
        }
    }
    let mut frames = pieces(source.as_bytes());
    frames.push(format!("_childminder.run({id})"));
    frames
}

/// Has the carrier say hello: the folder comes first.
pub(super) fn hello(folder: &Path) -> Vec<String> {
    let mut frames = pieces(folder.as_os_str().as_bytes());
    frames.push("_childminder.hello()".to_owned());
    frames
}

/// Has the executor itself run the carrier's file. `sys` is known by then.
pub(super) fn carrier(file: &Path) -> Vec<String> {
    let mut frames = vec!["sys._cm=b''".to_owned()];
    for part in file.as_os_str().as_bytes().chunks(PATH) {
        let escaped = part.iter().fold(String::new(), |mut text, byte| {
            match byte {
                b'\'' | b'\\' | 0..=31 | 127.. => drop(write!(text, "\\x{byte:02x}")),
                _ => text.push(char::from(*byte)),
            }
            text
        });
        frames.push(format!("sys._cm+=b'{escaped}'"));
    }
    frames.push("exec(compile(open(sys._cm).read(),'<childminder>','exec'),{})".to_owned());
    frames
}

/// Has the executor end the child.
pub(super) fn exit(code: i32) -> String {
    format!("import sys; sys.exit({code})")
}

fn pieces(bytes: &[u8]) -> Vec<String> {
    let text = BASE64_STANDARD.encode(bytes);
    let parts = text.as_bytes().chunks(PIECE);
    parts.map(|part| format!("_childminder.add('{}')", String::from_utf8_lossy(part))).collect()
}

/// The inside of a Python literal in single quotes; none for what is not the same in Python 2 and 3.
fn literal(source: &str) -> Option<String> {
    let mut text = String::with_capacity(source.len());
    for c in source.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\'' | '\\' => text.extend(['\\', c]),
            ' '..='~' => text.push(c),
            _ => return None,
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The executor's decoder, with its mistake.
    fn decoded(bytes: &[u8]) -> (String, usize) {
        let int = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize;
        let (mut at, mut value) = (4, int(0));
        let mut total = value;
        while value > 126 {
            value = int(at) - 1;
            at += 4;
            total += value;
        }
        (String::from_utf8_lossy(&bytes[at..at + total]).into_owned(), at + total)
    }

    #[test]
    fn lengths_are_those_of_the_original() {
        let head = |length: usize| {
            let bytes = frame(&"x".repeat(length));
            bytes[..bytes.len() - length].to_vec()
        };
        assert_eq!(head(5), [0, 0, 0, 5]);
        assert_eq!(head(126), [0, 0, 0, 0x7e]);
        assert_eq!(head(127), [0, 0, 0, 0x7f, 0, 0, 0, 1]);
        assert_eq!(head(252), [0, 0, 0, 0x7f, 0, 0, 0, 0x7e]);
        // Padded, so that no byte is a carriage return.
        assert_eq!(&frame(&"x".repeat(13))[..4], [0, 0, 0, 14]);
        assert_eq!(&frame(&"x".repeat(139))[..8], [0, 0, 0, 0x7f, 0, 0, 0, 14]);
    }

    #[test]
    fn every_length_that_is_sent_survives_the_decoder() {
        for length in 0..=LONGEST {
            let text = "y".repeat(length);
            let bytes = frame(&text);
            let (got, used) = decoded(&bytes);
            assert_eq!((got.trim_end(), used), (text.as_str(), bytes.len()), "{length}");
            assert!(!bytes.contains(&13), "{length}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_carried_comes_in_frames_that_survive(source in "[ -~\n\t]{0,400}|.{0,80}|\\PC{0,2000}") {
            let frames = carried(CommandId(u64::MAX), &source);
            for text in &frames {
                prop_assert!(text.is_ascii() && text.len() <= LONGEST, "{}", text);
                let (got, _) = decoded(&frame(text));
                prop_assert_eq!(got.trim_end(), text.as_str());
            }
            let encoded: String = frames
                .iter()
                .filter_map(|text| text.strip_prefix("_childminder.add('")?.strip_suffix("')"))
                .collect();
            if frames.len() > 1 {
                prop_assert_eq!(BASE64_STANDARD.decode(encoded).expect("base64"), source.as_bytes());
            }
        }

        #[test]
        fn a_path_of_any_length_is_carried(path in "/[^\u{0}]{0,300}") {
            for text in carrier(Path::new(&path)).iter().chain(&hello(Path::new(&path))) {
                prop_assert!(text.is_ascii() && text.len() <= LONGEST, "{}", text);
            }
        }
    }
}
