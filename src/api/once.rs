//! Writes are done once: one with an id seen before gets the first one's answer.
//!
//! A write goes on when its client has gone, since the client may come back and ask again. The memory is bounded in
//! entries and in bytes; what is forgotten is the oldest that was answered.

use super::pages::failed;
use crate::model::proto::{Refusal, RefusalKind, Request};
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How many answers are remembered.
const ANSWERS: usize = 1024;
/// How many bytes of them.
const BYTES: usize = 16 << 20;
/// How many writes may wait for their answers.
const WAITING: usize = 1024;
/// The shortest and the longest id of a write.
const ID: std::ops::RangeInclusive<usize> = 16..=128;

/// Whose write it is: ids are made by clients, and one user must not meet another's.
type Key = (u32, String);
type Answer = watch::Receiver<Option<Bytes>>;

/// The writes seen; clones share them.
#[derive(Clone, Default)]
pub(super) struct Once {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    writes: HashMap<Key, Write>,
    answered: VecDeque<(Key, usize)>,
    bytes: usize,
}

struct Write {
    request: u64,
    answer: Answer,
}

impl Once {
    /// The answer's frame; `work` is begun only when the id is new.
    pub(super) async fn answer<W>(
        &self,
        uid: u32,
        id: &str,
        request: &Request,
        work: impl FnOnce() -> W,
    ) -> Result<Bytes, Refusal>
    where
        W: Future<Output = Bytes> + Send + 'static,
    {
        if !ID.contains(&id.len()) {
            return Err(Refusal {
                kind: RefusalKind::Invalid,
                message: format!(
                    "the id of a write has {} to {} characters, so that it is not met twice; this one has {}",
                    ID.start(),
                    ID.end(),
                    id.len()
                ),
            });
        }
        let mut answer = self.enter((uid, id.to_owned()), fingerprint(request), work)?;
        let answered = answer.wait_for(Option::is_some).await.map_err(|_| failed("the session is over"))?;
        answered.clone().ok_or_else(|| failed("the answer is gone"))
    }

    fn enter<W>(&self, key: Key, request: u64, work: impl FnOnce() -> W) -> Result<Answer, Refusal>
    where
        W: Future<Output = Bytes> + Send + 'static,
    {
        let mut seen = self.lock();
        if let Some(write) = seen.writes.get(&key) {
            if write.request == request {
                return Ok(write.answer.clone());
            }
            let message = format!("the id {} was used for another request", key.1);
            return Err(Refusal { kind: RefusalKind::Invalid, message });
        }
        if seen.writes.len() - seen.answered.len() >= WAITING {
            let message = format!("{WAITING} requests wait for their answers already; wait for some of them");
            return Err(Refusal { kind: RefusalKind::NotNow, message });
        }
        let (sender, answer) = watch::channel(None);
        seen.writes.insert(key.clone(), Write { request, answer: answer.clone() });
        drop(seen);
        let (once, work) = (self.clone(), work());
        tokio::spawn(async move {
            let frame = work.await;
            once.remember(key, frame.len());
            sender.send_replace(Some(frame));
        });
        Ok(answer)
    }

    fn remember(&self, key: Key, size: usize) {
        let mut seen = self.lock();
        seen.bytes += size;
        seen.answered.push_back((key, size));
        while seen.answered.len() > ANSWERS || (seen.bytes > BYTES && seen.answered.len() > 1) {
            let Some((oldest, size)) = seen.answered.pop_front() else { break };
            seen.bytes -= size;
            seen.writes.remove(&oldest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Each step leaves it sound.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells requests apart without keeping them: they may be megabytes long.
fn fingerprint(request: &Request) -> u64 {
    let mut hasher = DefaultHasher::new();
    // Requests have no map with keys that are not strings, so this does not fail.
    serde_json::to_vec(request).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().build().expect("runtime").block_on(test);
    }

    fn numbered(number: usize) -> String {
        format!("{number:016}")
    }

    #[test]
    fn the_second_with_an_id_gets_the_first_ones_answer() {
        run(async {
            let once = Once::default();
            let say = |what: &'static [u8]| move || async move { Bytes::from_static(what) };
            let first = once.answer(1, &numbered(1), &Request::Hold, say(b"first")).await;
            let second = once.answer(1, &numbered(1), &Request::Hold, say(b"second")).await;
            assert_eq!(first.expect("answered"), second.expect("answered"));
            let other = once.answer(2, &numbered(1), &Request::Hold, say(b"other")).await;
            assert_eq!(other.expect("another user's"), Bytes::from_static(b"other"));
            let misused = once.answer(1, &numbered(1), &Request::Release, say(b"misused")).await;
            assert_eq!(misused.expect_err("another request").kind, RefusalKind::Invalid);
            let short = once.answer(1, "7", &Request::Hold, say(b"short")).await;
            assert_eq!(short.expect_err("too short").kind, RefusalKind::Invalid);
        });
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        run(async {
            let once = Once::default();
            for number in 0..100 {
                let frame = Bytes::from(vec![0; 1 << 20]);
                let answer = once.answer(1, &numbered(number), &Request::Hold, || async move { frame }).await;
                assert_eq!(answer.expect("answered").len(), 1 << 20);
            }
            let seen = once.lock();
            assert!(seen.bytes <= BYTES, "{} bytes", seen.bytes);
            assert_eq!(seen.writes.len(), seen.answered.len());
            assert!(seen.writes.contains_key(&(1, numbered(99))));
        });
    }
}
