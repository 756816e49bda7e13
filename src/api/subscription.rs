//! What a subscriber gets: pulses, and events if it wants them.
//!
//! Everything is pulled at the moment at which the client can take it: a pulse is made when there is room for it, events
//! are read from the ring with a cursor. A client that does not read is parked here and costs nothing.

use super::frames::encode;
use super::pages::{Journalled, Pages};
use super::server::stopped;
use crate::model::Seq;
use crate::model::proto::{FRAME_LIMIT, ServerFrame, Summary};
use crate::session::{Feed, FeedCursor, Handle};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// The least time between two pulses: 30 a second.
const PULSE: Duration = Duration::from_millis(33);
/// The least time between two looks at the ring, so that a burst of events is a few frames and not one each.
const BATCH: Duration = Duration::from_millis(5);
/// The most events of one frame, and about the most bytes.
const EVENTS: usize = 256;
const BYTES: usize = 1 << 20;

/// What the snapshot fixed: everything after it will be sent.
pub(super) struct Subscription {
    /// Where the pulses come from.
    pub(super) handle: Handle,
    /// Where older events come from.
    pub(super) pages: Arc<dyn Pages>,
    /// Woken by every change since before the snapshot.
    pub(super) changes: watch::Receiver<u64>,
    /// The snapshot's last event.
    pub(super) seq: Seq,
    /// The events wanted.
    pub(super) events: Option<Follow>,
}

/// Where a follower of events stands.
pub(super) struct Follow {
    cursor: FeedCursor,
    reading: Reading,
}

/// Where a follower reads.
enum Reading {
    /// In the journal, from where the last reading ended there.
    Journal(Option<u64>),
    /// In the ring.
    Ring,
}

impl Follow {
    /// A follower of what comes after the snapshot's last event, or after an earlier one.
    pub(super) fn new(seq: Seq, after: Option<Seq>) -> Self {
        let after = after.unwrap_or(seq).min(seq);
        Self {
            cursor: FeedCursor { next: after.next() },
            reading: if after < seq { Reading::Journal(None) } else { Reading::Ring },
        }
    }

    /// Up to where events must still be read from the journal; `None` when the ring has all that is left.
    fn only_journalled(&self, feed: &Feed, snapshot: Seq) -> Option<Seq> {
        let mut cursor = self.cursor;
        let gone = feed.pull(&mut cursor, 0).missed.map(|(_, last)| last);
        gone.max((self.cursor.next <= snapshot).then_some(snapshot))
    }
}

/// Ends a subscription: the session is over, or nobody takes what it sends.
struct Finished;

impl Subscription {
    /// Sends until the client or the session is gone. After `stop` it sends what there is and ends.
    pub(super) async fn run(mut self, out: mpsc::Sender<Bytes>, mut stop: watch::Receiver<bool>) {
        // The session's end, or nobody there any more: either way nothing is left to be done.
        let _ = self.pump(&out, &mut stop).await;
    }

    async fn pump(&mut self, out: &mpsc::Sender<Bytes>, stop: &mut watch::Receiver<bool>) -> Result<(), Finished> {
        // Older events wait for nothing.
        let (mut pulse, mut events) =
            (false, self.events.as_ref().is_some_and(|follow| matches!(follow.reading, Reading::Journal(_))));
        let (mut pulse_due, mut events_due) = (Instant::now(), Instant::now());
        loop {
            let idle = if self.events.is_some() { !events } else { !pulse };
            tokio::select! {
                () = stopped(stop) => {
                    self.send_events(out).await?;
                    return self.send_pulse(out).await;
                }
                changed = self.changes.changed(), if idle => {
                    changed.map_err(|_| Finished)?;
                    (pulse, events) = (true, self.events.is_some());
                }
                () = sleep_until(pulse_due), if pulse => {
                    pulse = false;
                    self.send_pulse(out).await?;
                    pulse_due = Instant::now() + PULSE;
                }
                () = sleep_until(events_due), if events => {
                    events = false;
                    self.send_events(out).await?;
                    events_due = Instant::now() + BATCH;
                }
            }
        }
    }

    async fn send_pulse(&mut self, out: &mpsc::Sender<Bytes>) -> Result<(), Finished> {
        // First room, then the look: what is sent is as new as the client is quick.
        let room = out.reserve().await.map_err(|_| Finished)?;
        if self.events.is_none() {
            self.changes.mark_unchanged();
        }
        let summary: Summary = self.handle.look(|inspect| inspect.summary()).await.map_err(|_| Finished)?;
        if let Ok(frame) = encode(&ServerFrame::Pulse { summary: Box::new(summary) }) {
            room.send(frame);
        }
        Ok(())
    }

    async fn send_events(&mut self, out: &mpsc::Sender<Bytes>) -> Result<(), Finished> {
        let Some(follow) = &mut self.events else { return Ok(()) };
        while let Reading::Journal(hint) = follow.reading {
            let feed = self.handle.feed();
            let Some(upto) = follow.only_journalled(feed, self.seq) else {
                follow.reading = Reading::Ring;
                break;
            };
            let (pages, after) = (self.pages.clone(), Seq(follow.cursor.next.0.saturating_sub(1)));
            let read = tokio::task::spawn_blocking(move || pages.events_after(after, hint, EVENTS)).await;
            let read = read.map_err(|_| Finished)?.unwrap_or_else(|refusal| {
                tracing::warn!("a client's older events cannot be read: {refusal}");
                Journalled::default()
            });
            // What the journal does not have is said to be missing, like everything that is left out.
            let first = read.events.first().map_or(upto.next(), |first| first.seq);
            if follow.cursor.next < first {
                gap(out, follow.cursor.next, Seq(first.0 - 1)).await?;
                follow.cursor.next = first;
            }
            send_all(out, read.events.iter()).await?;
            if let Some(last) = read.events.last() {
                follow.cursor.next = last.seq.next();
                follow.reading = Reading::Journal(Some(read.next));
            }
        }
        loop {
            // Room first: until there is some, the ring keeps the events.
            drop(out.reserve().await.map_err(|_| Finished)?);
            let batch = self.handle.feed().pull(&mut follow.cursor, EVENTS);
            if let Some((from, to)) = batch.missed {
                gap(out, from, to).await?;
            }
            if batch.events.is_empty() {
                return Ok(());
            }
            send_all(out, batch.events.iter().map(|event| &**event)).await?;
        }
    }
}

async fn gap(out: &mpsc::Sender<Bytes>, from: Seq, to: Seq) -> Result<(), Finished> {
    match encode(&ServerFrame::Gap { from, to }) {
        Ok(frame) => out.send(frame).await.map_err(|_| Finished),
        Err(_) => Ok(()),
    }
}

/// Sends events in frames that fit; one that fits into no frame is told as a gap.
async fn send_all<'a>(
    out: &mpsc::Sender<Bytes>,
    events: impl Iterator<Item = &'a crate::model::Event> + Send,
) -> Result<(), Finished> {
    let mut frame = EventsFrame::default();
    for event in events {
        let Ok(text) = serde_json::to_vec(event) else { continue };
        if text.len() > FRAME_LIMIT - 64 {
            frame.send(out).await?;
            gap(out, event.seq, event.seq).await?;
            continue;
        }
        if frame.events.len() + text.len() > BYTES {
            frame.send(out).await?;
        }
        frame.push(&text);
    }
    frame.send(out).await
}

/// A frame of events in the making. Each event is made JSON once, which tells its length too.
#[derive(Default)]
struct EventsFrame {
    events: Vec<u8>,
}

impl EventsFrame {
    const HEAD: &'static [u8] = br#"{"frame":"events","events":["#;
    const TAIL: &'static [u8] = b"]}";

    fn push(&mut self, event: &[u8]) {
        if !self.events.is_empty() {
            self.events.push(b',');
        }
        self.events.extend_from_slice(event);
    }

    async fn send(&mut self, out: &mpsc::Sender<Bytes>) -> Result<(), Finished> {
        if self.events.is_empty() {
            return Ok(());
        }
        let length = Self::HEAD.len() + self.events.len() + Self::TAIL.len();
        let prefix = u32::try_from(length).map_err(|_| Finished)?.to_be_bytes();
        let frame = [&prefix, Self::HEAD, &self.events, Self::TAIL].concat();
        self.events.clear();
        out.send(frame.into()).await.map_err(|_| Finished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Event, EventKind, Micros};

    #[test]
    fn a_frame_of_events_is_what_the_protocol_says() {
        let events: Vec<Event> = (1..=3)
            .map(|seq| Event {
                seq: Seq(seq),
                wall: Micros(seq),
                mono: Micros(seq),
                kind: EventKind::Note { text: "x".repeat(600_000) },
            })
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let frames: Vec<Bytes> = runtime.block_on(async {
            let (out, mut outbox) = mpsc::channel(8);
            assert!(send_all(&out, events.iter()).await.is_ok());
            drop(out);
            let mut frames = Vec::new();
            while let Some(frame) = outbox.recv().await {
                frames.push(frame);
            }
            frames
        });
        assert_eq!(frames.len(), 3, "each fills a frame by itself");
        let mut got = Vec::new();
        for frame in frames {
            let length = u32::from_be_bytes(frame[..4].try_into().expect("four bytes")) as usize;
            assert_eq!(length, frame.len() - 4);
            match serde_json::from_slice(&frame[4..]).expect("a frame") {
                ServerFrame::Events { events } => got.extend(events),
                other => panic!("not events: {other:?}"),
            }
        }
        assert_eq!(got, events);
    }
}
