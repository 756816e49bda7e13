//! Frames out of the bytes that a connection brings, in whatever pieces they come.
//!
//! This is the part that strangers feed. What must stay true: the same bytes give the same frames however they were
//! split, nothing panics, a frame that is too long is refused by its length, before there is room made for it, and of a
//! list there is never more kept than anybody looks at.

use super::channel::{ChannelError, FRAME_LIMIT, HEADER, KEPT, UNPROVEN_LIMIT};
use super::frames::FromChild;
use crate::model::diagnosis::ThreadStack;
use crate::model::proto::NameInfo;
use bytes::{Buf, BytesMut};
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

/// Room that each read is offered, in bytes.
const READ: usize = 16 << 10;

/// The most threads that are kept of an answer.
const THREADS: usize = 1000;
/// The most frames that are kept of a thread: the innermost ones.
const FRAMES: usize = 1000;
/// The most locks that are kept of a thread.
const LOCKS: usize = 100;
/// The most names that are kept of an answer.
const NAMES: usize = 1000;

/// Reads a list of which no more than so many are kept: a few bytes each could else ask for a gigabyte.
struct AtMost<T>(usize, PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for AtMost<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < self.0 {
            let Some(next) = list.next_element()? else { return Ok(kept) };
            kept.push(next);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(kept)
    }
}

/// The threads of an answer.
pub(super) fn threads<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ThreadStack>, D::Error> {
    let mut threads = deserializer.deserialize_seq(AtMost::<ThreadStack>(THREADS, PhantomData))?;
    for thread in &mut threads {
        thread.frames.drain(..thread.frames.len().saturating_sub(FRAMES));
        thread.holds.truncate(LOCKS);
    }
    Ok(threads)
}

/// The names of an answer.
pub(super) fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<NameInfo>, D::Error> {
    deserializer.deserialize_seq(AtMost::<NameInfo>(NAMES, PhantomData))
}

/// Bytes that have come and are not yet frames.
#[derive(Debug)]
pub(super) struct Incoming {
    bytes: BytesMut,
    limit: usize,
}

impl Default for Incoming {
    fn default() -> Self {
        Self { bytes: BytesMut::new(), limit: UNPROVEN_LIMIT }
    }
}

impl Incoming {
    /// Lifts the limit on frames: the other end has proven itself.
    pub(super) fn believe(&mut self) {
        self.limit = FRAME_LIMIT;
    }

    /// Where to append what is read next.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        self.bytes.reserve(READ);
        &mut self.bytes
    }

    /// Takes whole frames off the buffer until one is known; `None` when the next one is not all here.
    pub(super) fn parse(&mut self) -> Result<Option<FromChild>, ChannelError> {
        while self.bytes.len() >= HEADER {
            let length = self.bytes[..HEADER].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            if length > self.limit {
                return Err(ChannelError::TooLong { length, limit: self.limit });
            }
            let whole = HEADER + length;
            if self.bytes.len() < whole {
                self.bytes.reserve(whole - self.bytes.len());
                return Ok(None);
            }
            let frame = serde_json::from_slice(&self.bytes[HEADER..whole])
                .map_err(|error| ChannelError::Malformed(error.to_string()));
            self.bytes.advance(whole);
            if self.bytes.is_empty() && self.bytes.capacity() > KEPT {
                self.bytes = BytesMut::new();
            }
            match frame? {
                // A stranger gets no patience: whatever it says out of turn is the end of its trial.
                FromChild::Unknown if self.limit == FRAME_LIMIT => {}
                frame => return Ok(Some(frame)),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length, payload].concat()
    }

    fn nested(kind: &str, depth: usize) -> Vec<u8> {
        framed(format!(r#"{{"type":"{kind}","text":"","x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth)).as_bytes())
    }

    /// What is understood of these pieces: the frames, and the error that ended them.
    fn understood(pieces: &[&[u8]], believed: bool) -> (Vec<FromChild>, Option<String>) {
        let mut incoming = Incoming::default();
        if believed {
            incoming.believe();
        }
        let mut frames = Vec::new();
        for piece in pieces {
            incoming.room().extend_from_slice(piece);
            loop {
                match incoming.parse() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error.to_string())),
                }
            }
        }
        (frames, None)
    }

    fn said() -> impl Strategy<Value = Vec<u8>> {
        let lengths = prop_oneof![Just(UNPROVEN_LIMIT), Just(UNPROVEN_LIMIT + 1), Just(FRAME_LIMIT + 1), 0..20_usize];
        prop_oneof![
            8 => any::<u64>().prop_map(|id| framed(format!(r#"{{"type":"started","id":{id}}}"#).as_bytes())),
            4 => ".{0,300}".prop_map(|text| framed(serde_json::json!({"type": "status", "text": text}).to_string().as_bytes())),
            4 => "[a-z_]{1,12}".prop_map(|kind| framed(format!(r#"{{"type":"{kind}","nonce":"00"}}"#).as_bytes())),
            2 => (0..200_usize).prop_map(|depth| nested("status", depth)),
            1 => Just(framed(&[b' '; UNPROVEN_LIMIT])),
            1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| framed(&bytes)),
            1 => lengths.prop_map(|length| u32::try_from(length).unwrap().to_be_bytes().to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 0..40),
        ]
    }

    proptest! {
        #[test]
        fn any_pieces_of_the_same_bytes_say_the_same(
            said in proptest::collection::vec(said(), 0..12),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
            believed in any::<bool>(),
        ) {
            let bytes = said.concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let whole = understood(&[&bytes], believed);
            prop_assert_eq!(&understood(&pieces, believed), &whole);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&understood(&single, believed), &whole);
        }

        #[test]
        fn a_frame_over_the_limit_is_refused_by_its_length(over in 1..u32::MAX, believed in any::<bool>()) {
            let mut incoming = Incoming::default();
            if believed {
                incoming.believe();
            }
            let limit = u32::try_from(incoming.limit).unwrap();
            let length = limit.saturating_add(over);
            incoming.room().extend_from_slice(&length.to_be_bytes());
            let room = incoming.bytes.capacity();
            let refused = matches!(incoming.parse(), Err(ChannelError::TooLong { .. }));
            prop_assert!(refused, "a frame of {} bytes was taken", length);
            prop_assert!(incoming.bytes.capacity() <= room, "room was made for {} bytes", length);
        }
    }

    #[test]
    fn what_nests_too_deep_is_malformed_also_where_nobody_would_look() {
        for kind in ["status", "hello", "nobody knows this"] {
            let (frames, error) = understood(&[&nested(kind, 200)], true);
            assert_eq!(frames, [], "{kind}");
            assert!(error.is_some_and(|error| error.contains("recursion limit")), "{kind}");
        }
        assert_eq!(understood(&[&nested("status", 100)], true).0, [FromChild::Status { text: String::new() }]);
        let (frames, error) = understood(&[&nested("nobody knows this", 100), &nested("status", 1)], true);
        assert_eq!((frames.len(), error), (1, None), "one that is skipped ends nothing");
    }

    #[test]
    fn of_long_lists_only_so_much_is_kept() {
        let frames: Vec<_> = (0..FRAMES + 5).map(|line| serde_json::json!({"file": "f", "line": line})).collect();
        let mut threads = vec![serde_json::json!({"frames": frames, "holds": vec![serde_json::json!({}); LOCKS + 5]})];
        threads.resize(THREADS + 5, serde_json::json!({}));
        let stacks = framed(serde_json::json!({"type": "stacks", "id": 1, "threads": threads}).to_string().as_bytes());
        let name = serde_json::json!({"name": "n", "kind": "int"});
        let names = framed(
            serde_json::json!({"type": "names", "id": 2, "names": vec![name; NAMES + 5]}).to_string().as_bytes(),
        );
        let (heard, error) = understood(&[&stacks, &names], true);
        assert_eq!(error, None);
        let [FromChild::Stacks { threads, .. }, FromChild::Names { names, .. }] = heard.as_slice() else {
            panic!("{heard:?}")
        };
        assert_eq!((threads.len(), names.len()), (THREADS, NAMES));
        assert_eq!((threads[0].frames.len(), threads[0].holds.len()), (FRAMES, LOCKS));
        assert_eq!(threads[0].frames[0].line, 5, "the innermost frames are kept");
    }
}
