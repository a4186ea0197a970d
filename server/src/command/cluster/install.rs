//! A new topology, and those who had to do with slots that are served elsewhere from then on: who waits for a key is sent
//! there, who watches one finds it changed, who has read one is to forget it, and who listens to a shard channel hears no more.

use super::gate::{Slots, Stand, Want};
use super::view::View;
use crate::base::number::push_integer;
use crate::command::session::Session;
use crate::command::shared::{Shared, now_ms};
use larder_client::slot;
use std::sync::atomic::Ordering::Relaxed;

impl Shared {
    /// Installs a topology, as [`Cluster::prepare`] has it: to look at all slots takes longer than workers are to stand still. The caller
    /// holds the barrier, and no stripe.
    ///
    /// Keys of slots that have left are not deleted: whoever has moved them does that once nobody needs them any more.
    ///
    /// [`Cluster::prepare`]: super::Cluster::prepare
    pub fn install_topology(&self, view: View) {
        let before = self.cluster.view();
        self.cluster.install(view);
        let view = self.cluster.view();
        self.turn_away(&view);
        self.tell_of_topology(&before, &view);
        if before.topology.rules() != view.topology.rules() {
            self.rules.agree(view.topology.rules());
        }
        let left = |slot: u16| before.is_of_own_shard(slot) && !view.is_of_own_shard(slot);
        if !(0..slot::SLOTS).any(left) {
            return;
        }
        let has_left = |key: &[u8]| left(slot::of(key).number());
        self.audience.break_watches(&has_left);
        self.audience.forget_keys(&has_left).iter().for_each(|forgotten| self.tell_forgotten(forgotten));
        if !self.broadcasts.is_empty() {
            // Nothing is remembered of what those have read: they are told of all that was here.
            let moment = self.store.moment(now_ms());
            for slot in (0..slot::SLOTS).filter(|slot| left(*slot)) {
                let keys = self.store.some_keys_in_slot(slot, usize::MAX, moment);
                keys.iter().for_each(|key| self.broadcast_change(key, 0));
            }
        }
        self.end_shard_channels(&has_left);
    }

    /// Answers who waits for keys that are not served here, as the command would be answered if it came now.
    fn turn_away(&self, view: &View) {
        // A lease that is late may come yet; a wait is not worth ending for that.
        let stand = Stand { view, leads: view.is_primary };
        for parked in self.audience.all_waiting() {
            let slots = Slots::of(parked.keys().map(|key| slot::of(key).number()));
            let takes_replica = parked.client().reads_replica.load(Relaxed);
            let want = Want::new(parked.flags(), takes_replica, false);
            if let Err(fault) = stand.admit(slots, want) {
                parked.refuse(self, &fault);
            }
        }
    }

    /// Ends the subscriptions to some shard channels, and tells the subscribers. What their sessions know of it is put right
    /// by [`Session::see_topology`].
    fn end_shard_channels(&self, has_left: &impl Fn(&[u8]) -> bool) {
        let output_max = self.tuning.pubsub_output().hard;
        for (name, receivers) in self.pubsub.shard_channels.take_out(has_left) {
            for client in receivers.iter() {
                let count = client.subscribed.shard_channels.load(Relaxed).saturating_sub(1);
                client.subscribed.shard_channels.store(count, Relaxed);
                self.cut_above(output_max, client, client.push(&ended(&name, count)));
            }
        }
    }
}

/// The message that confirms the end of a subscription to a shard channel, without its first byte.
fn ended(name: &[u8], count: u32) -> Vec<u8> {
    let mut message = b"3\r\n$12\r\nsunsubscribe\r\n$".to_vec();
    push_integer(&mut message, name.len());
    message.extend_from_slice(b"\r\n");
    message.extend_from_slice(name);
    message.extend_from_slice(b"\r\n:");
    push_integer(&mut message, u64::from(count));
    message.extend_from_slice(b"\r\n");
    message
}

impl Session {
    /// Forgets the shard channels that it was taken off when a topology was installed. Called with each view that a worker
    /// goes by, from inside the gate of the barrier.
    #[inline]
    pub fn see_topology(&mut self, view: &View, node: &Shared) {
        if self.topology_seen != view.version {
            self.topology_seen = view.version;
            self.judge(view);
            self.forget_ended_channels(node);
        }
    }
}
