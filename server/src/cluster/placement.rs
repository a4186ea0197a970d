//! Placement: which shard is to have which of the slots.
//!
//! [`place`] takes the map as it is and the shards that are to have slots, and returns the map as it should be:
//!
//! * **Exactly balanced.** Each shard has the floor or the ceil of its share by weight ([`quota`]).
//! * **With the fewest moves.** Only shards above their quota give, only shards below it receive, and slots that nobody
//!   has, or whose shard is not to have any, go to the latter as well.
//! * **By a ring.** Which slots go, and where, is decided by virtual nodes on a hash ring ([`ring`]): of all slots that may
//!   go and all shards with room, those that meet soonest in ring order are joined first. Blocks of slots lie on the ring, so
//!   that few runs are torn apart. The ring alone balances badly (20 % too much for the fullest of eight shards with 64
//!   virtual nodes each); what it is for is that clusters of the same shards tend to look alike, by whatever steps they came
//!   about.
//!
//! Both the quotas and the choice are such that **a plan holds while it is carried out**: after any part of its [`moves`],
//! in any order, the same plan comes out again. So nobody has to remember plans: whoever needs one makes it anew from the map
//! and the weights, on any machine, and it takes a few milliseconds.

pub mod balance;
pub mod moves;
pub mod quota;
pub mod ring;
pub mod slot_map;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::num::NonZeroU32;

use larder_client::slot::Slot;

pub use self::balance::Balance;
pub use self::moves::{Move, moves};
use self::quota::{Quota, quotas};
use self::ring::Point;
pub use self::slot_map::SlotMap;
use super::id::ShardId;

/// The shards that are to have slots. A shard of weight 3 has three times the slots of one of weight 1.
///
/// A shard that is to be emptied is simply not among them.
pub type Weights = BTreeMap<ShardId, NonZeroU32>;

/// The map towards which `current` is to be changed, so that the shards of `weights` have their quotas.
///
/// If there are no shards, nobody has a slot. A pure function: the same on every machine and in every version.
pub fn place(current: &SlotMap, weights: &Weights) -> SlotMap {
    let quotas = quotas(current, weights);
    if quotas.is_empty() {
        return SlotMap::default();
    }
    let mut target = current.clone();
    let mut shortages: Vec<usize> = quotas.iter().map(Quota::shortage).collect();
    let mut surpluses: Vec<usize> = quotas.iter().map(Quota::surplus).collect();
    let mut missing: usize = shortages.iter().sum();
    if missing == 0 {
        return target;
    }

    let row = |shard: ShardId| quotas.binary_search_by_key(&shard, |quota| quota.shard).ok();
    let donor = |slot: Slot| current.owner(slot).and_then(row);
    let may_go = |slot: Slot| donor(slot).is_none_or(|row| quotas[row].surplus() > 0);

    // The offers come in the order of their distances. One that finds its receiver full makes a new one, to the next receiver
    // that has room; its distance is greater, so the order holds.
    let (mut walk, offers) = Walk::new(&ring::order(weights), &shortages, row, may_go);
    let mut offers: BinaryHeap<Reverse<Offer>> = offers.into_iter().map(Reverse).collect();
    while missing > 0 {
        let Some(Reverse(offer)) = offers.pop() else { break };
        let donor = donor(offer.slot);
        if donor.is_some_and(|row| surpluses[row] == 0) {
            continue;
        }
        let receiver = walk.stops[offer.stop].row;
        if shortages[receiver] == 0 {
            offers.push(Reverse(walk.next_offer(offer, &shortages)));
            continue;
        }
        target.set(offer.slot, Some(quotas[receiver].shard));
        shortages[receiver] -= 1;
        missing -= 1;
        if let Some(row) = donor {
            surpluses[row] -= 1;
        }
    }
    debug_assert_eq!(missing, 0, "quotas add up to all slots, so who lacks some is matched by who may give");
    target
}

/// A slot that may go to the shard of a stop. Ordered by distance; of equal ones the slots decide.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Offer {
    /// The points of the ring from the slot's block to the stop.
    distance: usize,
    slot: Slot,
    stop: usize,
    /// Where in the ring its block is.
    place: usize,
}

/// The ring as slots see it that look for a shard with room.
struct Walk {
    /// The virtual nodes of those shards that had room at first.
    stops: Vec<Stop>,
    /// The points of the whole ring.
    points: usize,
}

struct Stop {
    /// Where in the ring it is.
    place: usize,
    /// Of the shard among the quotas.
    row: usize,
    /// The next stop that may have room: all between are full. It jumps further ahead each time somebody passes, since
    /// otherwise the last slots would step through the whole ring.
    next: usize,
}

impl Walk {
    /// The walk, and the first offer of each slot that may go.
    ///
    /// At least one shard must have room.
    fn new(
        order: &[Point],
        shortages: &[usize],
        row: impl Fn(ShardId) -> Option<usize>,
        may_go: impl Fn(Slot) -> bool,
    ) -> (Walk, Vec<Offer>) {
        let mut walk = Walk { stops: Vec::new(), points: order.len() };
        let mut offers = Vec::new();
        for (place, point) in order.iter().enumerate() {
            match *point {
                Point::Block(block) => {
                    let going = ring::slots_of(block).filter(|slot| may_go(*slot));
                    offers.extend(going.map(|slot| Offer { distance: 0, slot, stop: walk.stops.len(), place }));
                }
                Point::Shard(shard, _) => {
                    if let Some(row) = row(shard).filter(|&row| shortages[row] > 0) {
                        walk.stops.push(Stop { place, row, next: walk.stops.len() + 1 });
                    }
                }
            }
        }
        // Behind the last stop comes the first.
        if let Some(last) = walk.stops.last_mut() {
            last.next = 0;
        }
        for offer in &mut offers {
            offer.stop %= walk.stops.len();
            offer.distance = walk.distance(offer);
        }
        (walk, offers)
    }

    /// The offer of the same slot to the next shard that has room; there must be one.
    fn next_offer(&mut self, offer: Offer, shortages: &[usize]) -> Offer {
        let mut stop = offer.stop;
        while shortages[self.stops[stop].row] == 0 {
            let next = self.stops[stop].next;
            if shortages[self.stops[next].row] == 0 {
                self.stops[stop].next = self.stops[next].next;
            }
            stop = self.stops[stop].next;
        }
        let mut offer = Offer { stop, ..offer };
        offer.distance = self.distance(&offer);
        offer
    }

    fn distance(&self, offer: &Offer) -> usize {
        (self.stops[offer.stop].place + self.points - offer.place) % self.points
    }
}
