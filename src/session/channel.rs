//! The back channel: who was turned away from it, and what its end says of the child.
//!
//! What must stay true: a channel that ends without a wrong word says nothing by itself. It is mostly the first sign of a
//! child's death, and how it died is what people are told; so the process has a moment to end before it is said to live.

use super::Actor;
use super::ladder::Ladder;
use super::world::World;
use crate::dispatcher::ChannelError;
use crate::model::{EventKind, Exit, RefusedPeer};

/// Refusals at the back channel that are each recorded; after them only every hundredth is, with how many it stands for.
const REFUSALS_TOLD: u64 = 100;
/// With what the executor ends its process when it has no channel any more.
const EXECUTOR_ALONE: i32 = 70;

impl<W: World> Actor<W> {
    /// Somebody was turned away from the back channel.
    pub fn peer_refused(&mut self, peer: RefusedPeer) {
        if self.state.refused >= REFUSALS_TOLD && self.untold_refusals + 1 < REFUSALS_TOLD {
            self.untold_refusals += 1;
            return;
        }
        let before = std::mem::take(&mut self.untold_refusals);
        self.fact(EventKind::PeerRefused { peer, before });
    }

    /// The channel has ended: because the child closed it, or because nothing sensible comes from it.
    pub fn channel_ended(&mut self, why: &ChannelError) {
        if !matches!(why, ChannelError::Closed) {
            return self.channel_broken(&why.to_string());
        }
        self.world.hang_up();
        if self.asked || !self.alive {
            return;
        }
        self.hung_up = !self.ladder.as_ref().is_some_and(Ladder::costs_the_child);
        self.expect_end(&why.to_string());
    }

    /// The child broke the protocol: that ends it, and with it the item.
    pub(super) fn channel_broken(&mut self, reason: &str) {
        self.world.hang_up();
        if self.asked || !self.alive {
            return;
        }
        if self.ladder.as_ref().is_some_and(Ladder::costs_the_child) {
            // It does as it was told. Should it live on, it is of no use without the channel.
            return self.expect_end(reason);
        }
        self.fails_by_its_channel(reason.to_owned());
        self.expect_end(reason);
    }

    /// A child that closed the channel had its time to end, and is still there.
    pub(super) fn lives_without_channel(&mut self) {
        if std::mem::take(&mut self.hung_up) {
            self.fails_by_its_channel(format!("{}, but lives", ChannelError::Closed));
        }
    }

    /// The child has ended. Mostly that is why the channel had; the executor, though, ends when it has no channel any more.
    pub(super) fn ended_without_channel(&mut self, exit: Exit) {
        if std::mem::take(&mut self.hung_up) && exit == Exit::Code(EXECUTOR_ALONE) {
            self.fails_by_its_channel(format!("{}, and ended without it: {exit}", ChannelError::Closed));
        }
    }

    fn fails_by_its_channel(&mut self, reason: String) {
        self.fault.get_or_insert_with(|| format!("the child was lost: {reason}"));
        self.child_failed(reason);
    }
}
