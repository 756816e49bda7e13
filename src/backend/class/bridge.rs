//! The bridge: one JSON object a line, both ways, between the engine and the helper interpreter.
//!
//! Reading and writing never wait for each other, as on the child's channel. What waits to be written is bounded because
//! a request is taken only after the ones before it were answered or put down, and the actor puts down few.

use crate::model::{BackEnd, Phase, StopMode};
use bytes::{Buf, BufMut, BytesMut};
use serde::Deserialize;
use serde::ser::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// The longest line, in bytes.
pub const LINE_LIMIT: usize = 16 << 20;
/// Capacity that an empty buffer may keep.
const KEPT: usize = 256 << 10;
/// How much of a line that cannot be read is shown, in characters.
const SHOWN: usize = 80;

/// Why the bridge cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The helper closed it.
    #[error("the back end closed the bridge to the engine")]
    Closed,
    /// The operating system says no.
    #[error("the bridge to the back end failed: {0}")]
    Io(#[from] io::Error),
    /// A line without an end.
    #[error("the back end sent a line of more than {} MiB", LINE_LIMIT >> 20)]
    TooLong,
    /// A line that is no request.
    #[error("the back end sent a line that is no request ({why}): {line}")]
    Malformed {
        /// Its beginning.
        line: String,
        /// What is wrong with it.
        why: String,
    },
    /// The helper does not read.
    #[error("the back end does not read what the engine answers")]
    NotReading,
}

/// What the helper wants.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Request {
    /// Its number, by which it is answered.
    pub id: u64,
    /// What.
    #[serde(flatten)]
    pub ask: Ask,
}

/// What the helper may want.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Ask {
    /// The class was imported.
    Hello(Box<BackEnd>),
    /// Something went wrong in the helper itself.
    Failed {
        /// What.
        error: String,
    },
    /// A port for the child.
    Open,
    /// A child.
    Start(ChildStart),
    /// Commands in the child.
    Execute(Execute),
    /// The child's exit.
    Poll,
    /// The next work, of the session's own agenda.
    Take,
    /// Work of the supervisor's is to be begun.
    Begin {
        /// As the supervisor gave it.
        work: Map<String, Value>,
    },
    /// What work has yielded, or that it has ended.
    Report {
        /// Its name, status and result package.
        work: Map<String, Value>,
        /// Its files, where they are known one by one: a path may have a comma in it.
        #[serde(default)]
        output_paths: Option<Vec<String>>,
        /// Why it has failed, where only the class knows.
        #[serde(default)]
        reason: Option<String>,
    },
    /// How the job as a whole stands.
    Job {
        /// Qube's word for it.
        status: String,
        /// Why.
        #[serde(default)]
        reason: Option<String>,
    },
    /// The child is to end.
    Close {
        /// With this exit code.
        #[serde(default)]
        code: i32,
    },
    /// Something of another version.
    #[serde(other)]
    Unknown,
}

/// How the class wants its child started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct ChildStart {
    /// `[shell, "-c", command]`, or any program and its arguments; `None`: as the recipe says.
    pub args: Option<Vec<String>>,
    /// The bootstrapper, if it is another than ours.
    pub bootstrapper: Option<PathBuf>,
    /// Whether standard error goes where standard output goes.
    pub merge_stderr: bool,
}

/// Commands that are to be run one after the other, up to the first that fails.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Execute {
    /// Why.
    pub phase: Phase,
    /// The work that they belong to.
    #[serde(default)]
    pub item: Option<String>,
    /// Python.
    pub commands: Vec<String>,
}

/// What the engine says.
#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    /// A request was done.
    Done(u64, Map<String, Value>),
    /// A request was not done.
    Refused(u64, String),
    /// The session is to stop; if it fails thereby, why.
    Stop(StopMode, Option<String>),
}

impl Word {
    fn line(self) -> Value {
        match self {
            Self::Done(id, mut fields) => {
                fields.insert("id".into(), id.into());
                fields.insert("ok".into(), true.into());
                Value::Object(fields)
            }
            Self::Refused(id, error) => json!({ "id": id, "ok": false, "error": error }),
            Self::Stop(mode, None) => json!({ "event": "stop", "mode": mode }),
            Self::Stop(mode, Some(failed)) => json!({ "event": "stop", "mode": mode, "failed": failed }),
        }
    }
}

/// Our end.
#[derive(Debug)]
pub struct Bridge {
    stream: UnixStream,
    incoming: BytesMut,
    /// How much of `incoming` has no line's end in it.
    looked_at: usize,
    outgoing: BytesMut,
    deaf: bool,
}

impl Bridge {
    /// A bridge, and the helper's end of it. Must be called within a runtime that does I/O.
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let stream = UnixStream::from_std(ours)?;
        let bridge = Self { stream, incoming: BytesMut::new(), looked_at: 0, outgoing: BytesMut::new(), deaf: false };
        Ok((bridge, theirs.into()))
    }

    /// Says something; what the socket does not take at once is written by [`Bridge::next`].
    pub fn say(&mut self, word: Word) {
        if self.outgoing.len() > LINE_LIMIT {
            self.deaf = true;
            return;
        }
        let mut line = serde_json::Serializer::with_formatter((&mut self.outgoing).writer(), Ascii);
        // A value and a buffer in memory: neither can fail.
        let _ = word.line().serialize(&mut line);
        self.outgoing.put_u8(b'\n');
        // Reading will tell that it is gone.
        let _ = self.flush();
    }

    /// The next request. Can be dropped and called again without losing a byte.
    pub async fn next(&mut self) -> Result<Request, BridgeError> {
        loop {
            if let Some(request) = self.try_next()? {
                return Ok(request);
            }
            let interest =
                if self.outgoing.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
            let ready = self.stream.ready(interest).await?;
            if ready.is_writable() {
                self.flush()?;
            }
        }
    }

    /// The next request that is already here, if there is one.
    pub fn try_next(&mut self) -> Result<Option<Request>, BridgeError> {
        if self.deaf {
            return Err(BridgeError::NotReading);
        }
        loop {
            if let Some(request) = self.parse()? {
                return Ok(Some(request));
            }
            self.incoming.reserve(KEPT / 4);
            match self.stream.try_read_buf(&mut self.incoming) {
                Ok(0) => return Err(BridgeError::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(BridgeError::Closed),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn parse(&mut self) -> Result<Option<Request>, BridgeError> {
        let Some(end) = memchr::memchr(b'\n', &self.incoming[self.looked_at..]) else {
            self.looked_at = self.incoming.len();
            return if self.looked_at > LINE_LIMIT { Err(BridgeError::TooLong) } else { Ok(None) };
        };
        let line = self.incoming.split_to(self.looked_at + end + 1);
        self.looked_at = 0;
        if line.len() > LINE_LIMIT + 1 {
            return Err(BridgeError::TooLong);
        }
        if self.incoming.is_empty() && self.incoming.capacity() > KEPT {
            self.incoming = BytesMut::new();
        }
        serde_json::from_slice(&line).map(Some).map_err(|error| BridgeError::Malformed {
            line: String::from_utf8_lossy(&line)
                .trim_end()
                .chars()
                .take(SHOWN)
                .collect::<String>()
                .escape_debug()
                .to_string(),
            why: error.to_string(),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            match self.stream.try_write(&self.outgoing) {
                Ok(count) => self.outgoing.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // What it said before it closed can still be read; reading will tell that it is gone.
                Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
                    self.outgoing.clear();
                }
                Err(error) => return Err(error),
            }
        }
        if self.outgoing.capacity() > KEPT {
            self.outgoing = BytesMut::new();
        }
        Ok(())
    }
}

/// JSON in ASCII alone: Python 2 and a locale of any kind read it the same.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, to: &mut W, fragment: &str) -> io::Result<()> {
        if fragment.is_ascii() {
            return to.write_all(fragment.as_bytes());
        }
        for character in fragment.chars() {
            if character.is_ascii() {
                write!(to, "{character}")?;
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(to, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixStream as Socket;

    fn on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
    }

    fn pair() -> (Bridge, Socket) {
        let (bridge, theirs) = Bridge::new().expect("a pair");
        (bridge, theirs.into())
    }

    #[test]
    fn requests_come_whole_whatever_the_pieces_and_answers_are_ascii() {
        on(async {
            let (mut bridge, mut theirs) = pair();
            theirs.write_all(b"{\"id\": 1, \"op\": \"op").expect("written");
            assert_eq!(bridge.try_next().expect("no error"), None);
            theirs.write_all(b"en\", \"more\": 1}\n{\"id\":2,\"op\":\"sing\"}\n").expect("written");
            assert_eq!(bridge.next().await.expect("a request"), Request { id: 1, ask: Ask::Open });
            assert_eq!(bridge.next().await.expect("a request"), Request { id: 2, ask: Ask::Unknown });
            let fields = [("said".to_owned(), Value::from("é😀\n"))].into_iter().collect();
            bridge.say(Word::Done(1, fields));
            let mut line = String::new();
            BufReader::new(&theirs).read_line(&mut line).expect("a line");
            assert_eq!(line, "{\"id\":1,\"ok\":true,\"said\":\"\\u00e9\\ud83d\\ude00\\n\"}\n");
            drop(theirs);
            assert!(matches!(bridge.next().await, Err(BridgeError::Closed)));
        });
    }

    #[test]
    fn what_is_no_request_is_told_with_its_beginning() {
        on(async {
            let (mut bridge, mut theirs) = pair();
            theirs.write_all(b"\x1b[2Jhello\n").expect("written");
            let said = bridge.next().await.expect_err("no request").to_string();
            assert!(said.contains("hello") && !said.contains('\u{1b}'), "{said}");
        });
    }

    #[test]
    fn a_line_without_an_end_is_not_gathered_for_ever() {
        let (long, mut theirs) = on(async {
            let (mut bridge, theirs) = pair();
            let mut writer = theirs.try_clone().expect("a copy");
            let writing = std::thread::spawn(move || {
                let block = vec![b'x'; 1 << 20];
                // Fails once the reader has had enough.
                while writer.write_all(&block).is_ok() {}
            });
            let ended = bridge.next().await;
            drop(bridge);
            writing.join().expect("a thread");
            (ended, theirs)
        });
        assert!(matches!(long, Err(BridgeError::TooLong)), "{long:?}");
        assert!(theirs.write_all(b"x").is_err());
    }
}
