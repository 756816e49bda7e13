//! What was asked of a recording and is not done yet. However often it is asked, this is all that is kept: of places the
//! last one wins, steps and speeds add up.

use super::playback::{Goal, Steer};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Wishes that came together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wished {
    /// Whether to play instead of pausing, or the other way round.
    pub(super) toggle: bool,
    /// The same for time in which nothing happens.
    pub(super) shorten: bool,
    /// How much faster.
    pub(super) faster: i32,
    /// Where to go first.
    pub(super) goal: Option<Goal>,
    /// Events to go on from there, or back.
    pub(super) steps: i64,
}

impl Wished {
    fn add(&mut self, steer: Steer) {
        match steer {
            Steer::Toggle => self.toggle = !self.toggle,
            Steer::Shorten => self.shorten = !self.shorten,
            Steer::Faster(faster) => self.faster = self.faster.saturating_add(if faster { 1 } else { -1 }),
            Steer::Step(on) => self.steps = self.steps.saturating_add(if on { 1 } else { -1 }),
            Steer::To(goal) => {
                self.goal = Some(goal);
                self.steps = 0;
            }
        }
    }
}

/// Wishes on their way from the windows to the player.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    wished: Mutex<Wished>,
    stirred: Notify,
}

impl Wishes {
    pub(super) fn add(&self, steer: Steer) {
        self.lock().add(steer);
        self.stirred.notify_one();
    }

    /// Waits for a wish.
    pub(super) async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// Whether there is a new place to go to.
    pub(super) fn has_place(&self) -> bool {
        let wished = self.lock();
        wished.goal.is_some() || wished.steps != 0
    }

    pub(super) fn take(&self) -> Wished {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Wished> {
        // Each wish is added in one step.
        self.wished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_place_wins_and_steps_add_up() {
        let wishes = Wishes::default();
        for steer in
            [Steer::Step(true), Steer::To(Goal::Start), Steer::Step(true), Steer::Step(true), Steer::Step(false)]
        {
            wishes.add(steer);
        }
        assert!(wishes.has_place());
        let wished = wishes.take();
        assert_eq!((wished.goal, wished.steps), (Some(Goal::Start), 1));
        assert_eq!(wishes.take(), Wished::default());
    }
}
