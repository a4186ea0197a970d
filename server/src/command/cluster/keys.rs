//! Slots and the keys in them on this node: `KEYSLOT`, `COUNTKEYSINSLOT`, `GETKEYSINSLOT` and `SLOT-STATS`.

use super::view::Serving;
use super::{Args, Ctx, Fault, Outcome, REPLIED, view};
use crate::base::number::parse_i64;
use larder_client::slot::{self, SLOTS, Slot};
use std::cmp::Reverse;

/// `CLUSTER KEYSLOT`.
pub fn key_slot(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    view(cx)?;
    cx.reply.int(slot::of(args.word()?).number().into());
    REPLIED
}

fn numbered(number: i64) -> Option<Slot> {
    u16::try_from(number).ok().and_then(Slot::new)
}

/// `CLUSTER COUNTKEYSINSLOT`.
pub fn count(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    view(cx)?;
    let slot = numbered(args.int()?).ok_or(Fault::text("ERR Invalid slot"))?;
    cx.reply.len(cx.node.store.keys_in_slot(slot.number()));
    REPLIED
}

/// `CLUSTER GETKEYSINSLOT`.
pub fn names(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    view(cx)?;
    let (slot, most) = (numbered(args.int()?), usize::try_from(args.int()?));
    let (Some(slot), Ok(most)) = (slot, most) else {
        return Err(Fault::text("ERR Invalid slot or number of keys"));
    };
    let names = cx.node.store.some_keys_in_slot(slot.number(), most, cx.store.moment());
    cx.reply.array(names.len());
    names.iter().for_each(|name| cx.reply.bulk(name));
    REPLIED
}

/// `CLUSTER SLOT-STATS`.
pub fn stats(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let view = view(cx)?;
    let is_here = |slot: &u16| matches!(view.serving(*slot), Serving::Here | Serving::Migrating);
    let counted = |slot: u16| (slot, cx.node.store.keys_in_slot(slot));
    let stats: Vec<(u16, usize)> = if args.len() == 3 && args.take("SLOTSRANGE") {
        let (first, last) = (edge(args)?, edge(args)?);
        if first > last {
            return Err(Fault::owned(format!("ERR Start slot number {first} is greater than end slot number {last}")));
        }
        (first.number()..=last.number()).filter(is_here).map(counted).collect()
    } else if args.len() >= 2 && args.take("ORDERBY") {
        let order = Order::take(args)?;
        let mut stats: Vec<_> = (0..SLOTS).filter(is_here).map(counted).collect();
        // Slots with as many keys stand in their own order.
        if order.is_ascending {
            stats.sort_by_key(|(_, keys)| *keys);
        } else {
            stats.sort_by_key(|(_, keys)| Reverse(*keys));
        }
        stats.truncate(order.limit);
        stats
    } else {
        return Err(Fault::subcommand_syntax("CLUSTER", args.words().get(1)));
    };
    cx.reply.array(stats.len());
    for (slot, keys) in stats {
        cx.reply.array(2);
        cx.reply.int(slot.into());
        cx.reply.map(1);
        cx.reply.text("key-count");
        cx.reply.len(keys);
    }
    REPLIED
}

fn edge(args: &mut Args<'_>) -> Result<Slot, Fault> {
    parse_i64(args.word()?).and_then(numbered).ok_or(Fault::text("ERR Invalid or out of range slot"))
}

/// How slots are to be ordered, and how many are asked for.
struct Order {
    limit: usize,
    is_ascending: bool,
}

impl Order {
    fn take(args: &mut Args<'_>) -> Result<Order, Fault> {
        if !args.take("KEY-COUNT") {
            return Err(Fault::text("ERR Unrecognized sort metric for ORDERBY."));
        }
        let (mut limit, mut is_ascending) = (None, None);
        while !args.is_empty() {
            let is_twice = if args.len() > 1 && args.take("LIMIT") {
                limit.replace(Order::limit(args.word()?)?).is_some()
            } else if args.take("ASC") {
                is_ascending.replace(true).is_some()
            } else if args.take("DESC") {
                is_ascending.replace(false).is_some()
            } else {
                return Err(Fault::Syntax);
            };
            if is_twice {
                return Err(Fault::text("ERR Multiple filters of the same type are disallowed."));
            }
        }
        Ok(Order { limit: limit.unwrap_or(SLOTS.into()), is_ascending: is_ascending.unwrap_or(false) })
    }

    fn limit(word: &[u8]) -> Result<usize, Fault> {
        let limit = parse_i64(word).and_then(|limit| usize::try_from(limit).ok());
        limit
            .filter(|limit| (1..=usize::from(SLOTS)).contains(limit))
            .ok_or(Fault::text("ERR Limit has to lie in between 1 and 16384 (maximum number of slots)."))
    }
}
