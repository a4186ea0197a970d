//! What a GET gets for a key that has a rule and is missing, or stale, or soon will be.

use super::{Await, Awaited, Ctx, Fault, Outcome, Reply, guard};
use crate::command::REPLIED;
use crate::command::forward::LEASED;
use crate::command::shared::{now_ms, steady_ms};
use crate::command::string;
use crate::rules::early::is_refreshed_early;
use crate::rules::{Rule, Terms, Verdict};
use crate::store::Key;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Answers the value of a key of a node that has rules.
pub fn get(cx: &mut Ctx<'_>, key: Key<'_>) -> Outcome {
    let now = cx.now_ms();
    let early = match string::read(&mut cx.store, key)? {
        Some(entry) if entry.keep().cost_ms() == 0 => {
            cx.reply.value(entry.value());
            return REPLIED;
        }
        Some(entry) => Some((entry.keep().cost_ms(), entry.expiry().unwrap_or(u64::MAX).saturating_sub(now))),
        None => None,
    };
    let rule = cx.node.rules.find(key.bytes);
    if let (None, Some(rule)) = (early, &rule)
        && guard::denies(cx, key, rule)
    {
        match &rule.policy.absent_value {
            Some(absent) => cx.reply.bulk(absent),
            None => nil(cx, key),
        }
        return REPLIED;
    }
    let rule = rule.filter(|rule| rule.policy.lease && may_be_sent(cx));
    let is_due = early.is_none_or(|(cost, left)| {
        let beta = rule.as_ref().map_or(0.0, |rule| rule.policy.early_refresh);
        beta > 0.0 && is_refreshed_early(left, cost, beta, random())
    });
    match rule {
        Some(rule) if is_due => ask(cx, key, &rule, early.is_some()),
        _ => {
            answer(cx, key, Which::Fresh);
            REPLIED
        }
    }
}

/// Whether the connection may be told nil in order to load a key, or wait: it is one of its own, and nothing depends on what it is told.
pub(super) fn may_be_sent(cx: &Ctx<'_>) -> bool {
    let session = &cx.session;
    !session.in_transaction && !session.is_primary && !session.is_subscriber() && !cx.node.store.follows()
}

/// What a rule makes of the wish for a key, and the number of the lease if that is granted. A value that `is_fresh` is to be loaded
/// anew before it expires.
pub(super) fn decide(cx: &mut Ctx<'_>, key: Key<'_>, rule: &Rule, is_fresh: bool, may_wait: bool) -> (Verdict, u64) {
    let (policy, counts, now) = (&rule.policy, &rule.counts, cx.now_ms());
    let stale_for = cx.store.stale(key).map(|entry| now.saturating_sub(entry.expiry().unwrap_or(now)));
    // The TTL that was given ends later than the value is fresh, and until then it is served whatever happens.
    let within = |span: Duration| {
        is_fresh || stale_for.is_some_and(|age| policy.soft_ttl.is_some() || u128::from(age) < span.as_millis())
    };
    let terms = Terms {
        token: TOKENS.fetch_add(1, Relaxed) + 1,
        lease_ms: policy.lease_time.as_millis() as u64,
        rest_ms: policy.back_off.as_millis() as u64,
        wait_ms: if may_wait { policy.lease_wait.as_millis() as u64 } else { 0 },
        has_stale: within(policy.stale_while_revalidate),
        has_stale_if_error: within(policy.stale_at_most()),
        is_shared: cx.session.is_forwarder,
    };
    let (stripe, db, who) = (key.place.stripe(), cx.store.db(), cx.session.client.id);
    let verdict = cx.node.audience.ask_lease(stripe, db, key.bytes, who, steady_ms(), &terms);
    let count = match verdict {
        Verdict::Granted => {
            cx.store.heed(key);
            cx.session.client.note_lease(stripe, db, key.bytes);
            if is_fresh {
                counts.early.fetch_add(1, Relaxed);
            }
            &counts.granted
        }
        Verdict::Stale if is_fresh => return (verdict, 0),
        Verdict::Stale => &counts.stale,
        // It asks again and again.
        Verdict::Wait(_) if cx.session.is_forwarder => return (verdict, 0),
        Verdict::Wait(_) => &counts.waits,
        Verdict::Nil => &counts.misses,
    };
    count.fetch_add(1, Relaxed);
    (verdict, terms.token)
}

/// Leases that the process has granted, by which each has a number. It begins with the time, so that no number comes again after a restart.
static TOKENS: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(now_ms() << 16));

/// The last lease that the process has granted.
pub fn last_token() -> u64 {
    TOKENS.load(Relaxed)
}

/// Asks for the lease of a key, and answers accordingly.
#[cold]
fn ask(cx: &mut Ctx<'_>, key: Key<'_>, rule: &Rule, is_fresh: bool) -> Outcome {
    // Another node knows itself whether its client may wait.
    let may_wait = cx.session.is_alone || cx.session.is_forwarder;
    match decide(cx, key, rule, is_fresh, may_wait).0 {
        Verdict::Stale if !is_fresh => answer(cx, key, Which::Stale),
        Verdict::Stale => answer(cx, key, Which::Fresh),
        Verdict::Wait(for_ms) if cx.session.is_forwarder => return Err(Fault::owned(format!("{LEASED} {for_ms}"))),
        Verdict::Wait(for_ms) => {
            let nothing = |reply: &mut Reply| reply.null();
            let (keys, what, for_ms, words) = (&[key][..], Awaited::Value, Some(for_ms), None);
            return cx.wait_for(Await { keys, what, for_ms, nothing, words });
        }
        Verdict::Granted | Verdict::Nil => nil(cx, key),
    }
    REPLIED
}

/// Which value of a key is meant.
enum Which {
    Fresh,
    /// One that has expired.
    Stale,
}

/// Answers a value of a key, or nil.
fn answer(cx: &mut Ctx<'_>, key: Key<'_>, which: Which) {
    let found = match which {
        Which::Fresh => cx.store.entry(key),
        Which::Stale => cx.store.stale(key),
    };
    match found {
        Some(entry) if entry.object().is_none() => cx.reply.value(entry.value()),
        _ => nil(cx, key),
    }
}

fn nil(cx: &mut Ctx<'_>, key: Key<'_>) {
    cx.missed(key);
    cx.reply.null();
}

/// A number between 0 and 1, and neither of them.
pub fn random() -> f64 {
    (crate::store::random() >> 11 | 1) as f64 / (1u64 << 53) as f64
}
