//! How much one answer may cost, and whether anybody still waits for it.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Bytes of output that one answer looks at: some times what is looked at of the longest line, so that looking at it twice
/// leaves room to get further. In unit tests so few that most take several.
const BYTES: u64 = if cfg!(test) { 4 << 20 } else { 256 << 20 };
/// Bytes that one answer looks at beyond what was asked, to tell whether there is more.
const BEYOND: u64 = 16 << 20;
/// How long one answer may take: a pattern can be made so that each byte costs thousands of steps.
const TIME: Duration = Duration::from_secs(1);

/// Whether a question's answer is still wanted. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Wish(Arc<AtomicBool>);

impl Wish {
    /// It is not: work for it ends soon, with what was found so far.
    pub fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The answer has cost what it may, or nobody waits for it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tired;

/// What one answer may still cost.
#[derive(Debug)]
pub(super) struct Work<'a> {
    left: Cell<u64>,
    until: Instant,
    /// Whether the same question, asked again, has less to do.
    further: Cell<bool>,
    wish: &'a Wish,
}

impl<'a> Work<'a> {
    pub(super) fn new(wish: &'a Wish) -> Self {
        Self { left: Cell::new(BYTES), until: Instant::now() + TIME, further: Cell::new(false), wish }
    }

    /// Asked before each chunk. Whatever the ones before it have cost, it may be looked at if nothing came of them that
    /// another answer can build upon: that one would begin with the same ones, and never get further.
    pub(super) fn go_on(&self) -> Result<(), Tired> {
        let spent = || self.left.get() == 0 || Instant::now() > self.until;
        if self.wish.has_ended() || (self.further.get() && spent()) {
            return Err(Tired);
        }
        Ok(())
    }

    /// A part of the answer begins that has to get further by itself.
    pub(super) fn begin(&self) {
        self.further.set(false);
    }

    /// The next answer has less to do: it begins farther on, or more is known.
    pub(super) fn got_further(&self) {
        self.further.set(true);
    }

    /// Asked within a chunk.
    pub(super) fn is_wanted(&self) -> Result<(), Tired> {
        if self.wish.has_ended() { Err(Tired) } else { Ok(()) }
    }

    pub(super) fn spend(&self, bytes: u64) {
        self.left.set(self.left.get().saturating_sub(bytes.max(1)));
    }

    /// What was asked for is there: from now on only a little is looked at.
    pub(super) fn nearly_done(&self) {
        self.left.set(self.left.get().min(BEYOND));
        self.got_further();
    }
}
