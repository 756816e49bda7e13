//! Frames on the session's socket: a `u32` big-endian length, then one JSON object.

use crate::model::proto::FRAME_LIMIT;
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use tokio::io::AsyncRead;
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};

/// Frames as they are read.
pub(super) type FrameReader<R> = FramedRead<R, LengthDelimitedCodec>;

/// A value cannot be sent.
#[derive(Debug)]
pub(super) struct TooLong {
    /// Its length in bytes.
    pub(super) length: usize,
}

/// Reads frames of at most `limit` bytes; a longer one is an error before any of it is kept.
pub(super) fn reader<R: AsyncRead>(from: R, limit: usize) -> FrameReader<R> {
    FramedRead::new(from, LengthDelimitedCodec::builder().max_frame_length(limit).new_codec())
}

/// A value as a whole frame.
pub(super) fn encode(value: &impl Serialize) -> Result<Bytes, TooLong> {
    let mut frame = BytesMut::with_capacity(256);
    frame.put_u32(0);
    let mut writer = frame.writer();
    // Writing to memory does not fail, and no type of the protocol has keys that are not strings.
    if serde_json::to_writer(&mut writer, value).is_err() {
        return Err(TooLong { length: usize::MAX });
    }
    let mut frame = writer.into_inner();
    let length = frame.len() - 4;
    match u32::try_from(length) {
        Ok(prefix) if length <= FRAME_LIMIT => {
            frame[..4].copy_from_slice(&prefix.to_be_bytes());
            Ok(frame.freeze())
        }
        _ => Err(TooLong { length }),
    }
}

/// A frame's value; the error says what is wrong with it.
pub(super) fn decode<T: DeserializeOwned>(frame: &[u8]) -> io::Result<T> {
    serde_json::from_slice(frame).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_comes_back_however_it_is_cut(text in ".{0,300}", chunk in 1usize..50) {
            let frame = encode(&text).expect("short");
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
            let got: String = runtime.block_on(async {
                let (mut near, far) = tokio::io::duplex(chunk);
                let write = async {
                    tokio::io::AsyncWriteExt::write_all(&mut near, &frame).await.expect("written");
                };
                let mut frames = reader(far, FRAME_LIMIT);
                let ((), frame) = tokio::join!(write, frames.next());
                decode(&frame.expect("a frame").expect("sound")).expect("a string")
            });
            prop_assert_eq!(got, text);
        }
    }

    #[test]
    fn a_value_longer_than_a_frame_is_not_sent() {
        let long = "x".repeat(FRAME_LIMIT);
        assert_eq!(encode(&long).expect_err("two quotes too many").length, FRAME_LIMIT + 2);
    }
}
