//! Which slots move where, so that every shard has its share.

use super::View;
use crate::cluster::id::ShardId;
use crate::cluster::placement::{self, SlotMap, Weights, place};
use crate::cluster::ranges::Ranges;
use crate::cluster::topology::Change;
use larder_client::slot::Slot;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// The moves that are to begin or to end without effect, and who is to have slots that nobody has.
pub(super) fn decide(view: &View<'_>, plan: &mut Option<Plan>) -> Vec<Change> {
    let weights = weights(view);
    if weights.is_empty() {
        return Vec::new();
    }
    let topology = view.topology;
    // Slots on their way count as arrived: then the plan stays the same while it is carried out.
    let mut planned = topology.slots().clone();
    topology.moves().iter().for_each(|(slot, a)| planned.set(*slot, Some(a.to)));
    let plan = Plan::made_for(plan, &planned, weights);
    let target = &plan.target;
    if topology.moves().is_empty() && planned == *target {
        return Vec::new();
    }
    let mut changes = Vec::new();
    let needless: Ranges =
        topology.moves().iter().filter(|(slot, a)| target.owner(**slot) != Some(a.to)).map(|(slot, _)| *slot).collect();
    if !needless.is_empty() {
        changes.push(Change::CancelMove { slots: needless });
    }
    let homeless = topology.slots().iter().filter(|(_, owner)| owner.is_none());
    let homes = by_shard(homeless.filter_map(|(slot, _)| Some((target.owner(slot)?, slot))));
    changes.extend(homes.into_iter().map(|(shard, slots)| Change::Assign { shard, slots }));
    changes.extend(begin(view, &planned, plan));
    changes
}

/// Where slots are to be, which stays the same while they are brought there; to make a plan takes milliseconds.
#[derive(Debug)]
pub(super) struct Plan {
    weights: Weights,
    from: SlotMap,
    target: SlotMap,
    /// All moves of it, in their order.
    moves: Vec<placement::Move>,
}

impl Plan {
    /// The plan at hand if it is still right, or a new one.
    fn made_for<'a>(plan: &'a mut Option<Plan>, planned: &SlotMap, weights: Weights) -> &'a Plan {
        let is_right = plan.as_ref().is_some_and(|plan| plan.weights == weights && plan.includes(planned));
        if !is_right {
            let target = place(planned, &weights);
            let moves = placement::moves(planned, &target);
            *plan = Some(Plan { weights, from: planned.clone(), target, moves });
        }
        plan.as_ref().expect("made above")
    }

    /// Whether a map is one that this plan leads through: each slot is where it was or where it is to be.
    fn includes(&self, map: &SlotMap) -> bool {
        let owners = map.owners().iter().zip(self.from.owners()).zip(self.target.owners());
        owners.into_iter().all(|((now, from), to)| now == to || now == from)
    }
}

fn weights(view: &View<'_>) -> Weights {
    let weight = |id: ShardId| {
        let shard = view.topology.shard(id)?;
        Some((id, NonZeroU32::new(view.topology.weight(shard))?))
    };
    view.staying_shards().into_iter().filter_map(weight).collect()
}

/// As many moves as may be on their way at a time.
fn begin(view: &View<'_>, planned: &SlotMap, plan: &Plan) -> Vec<Change> {
    let mut busy: BTreeMap<ShardId, usize> = BTreeMap::new();
    for a in view.topology.moves().values() {
        *busy.entry(a.from).or_default() += 1;
        *busy.entry(a.to).or_default() += 1;
    }
    let mut begun = Vec::new();
    for step in plan.moves.iter().filter(|step| planned.owner(step.slot) == step.from) {
        let Some(from) = step.from else { continue };
        // What is on its way already would have to be called off first.
        if view.topology.moves().contains_key(&step.slot) || !is_led(view, from) || !is_led(view, step.to) {
            continue;
        }
        let is_free = |shard| busy.get(&shard).is_none_or(|moves| *moves < view.settings().moves_max);
        if is_free(from) && is_free(step.to) {
            *busy.entry(from).or_default() += 1;
            *busy.entry(step.to).or_default() += 1;
            begun.push((step.to, step.slot));
        }
    }
    by_shard(begun.into_iter()).into_iter().map(|(to, slots)| Change::BeginMove { slots, to }).collect()
}

/// Whether the shard has a primary that lives, so that moves can make headway.
fn is_led(view: &View<'_>, shard: ShardId) -> bool {
    view.topology.shard(shard).is_some_and(|shard| view.is_alive(shard.primary))
}

fn by_shard(slots: impl Iterator<Item = (ShardId, Slot)>) -> BTreeMap<ShardId, Ranges> {
    let mut grouped: BTreeMap<ShardId, Vec<Slot>> = BTreeMap::new();
    slots.for_each(|(shard, slot)| grouped.entry(shard).or_default().push(slot));
    grouped.into_iter().map(|(shard, slots)| (shard, slots.into_iter().collect())).collect()
}
