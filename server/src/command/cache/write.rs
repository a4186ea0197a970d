//! How long what is written is kept: TTLs are spread, values of absent keys go soon, and what a rule lets be served stale stays for
//! that long beyond its TTL.

use super::Ctx;
use crate::base::keep::Keep;
use crate::command::shared::steady_ms;
use crate::rules::{Policy, Rule};
use crate::store::Key;
use crate::store::record::EXPIRY_MAX;
use std::sync::atomic::Ordering::Relaxed;

/// What becomes of a value that is about to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// When it expires, in milliseconds since 1970, if ever.
    pub until: Option<u64>,
    /// What is kept beside that.
    pub keep: Keep,
}

impl Kept {
    fn plainly(until: Option<u64>) -> Kept {
        Kept { until, keep: Keep::default() }
    }

    /// Keeps beside the expiry of a key, which was just written, what there is to be kept.
    #[inline]
    pub fn apply(self, cx: &mut Ctx<'_>, key: Key<'_>) {
        if self.keep != Keep::default() {
            cx.store.keep_stale(key, self.keep);
        }
    }
}

/// How the time was said at which a value is to expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Not at all, or from now on: it may be shortened.
    Freely,
    /// As a time of the clock, or as it was before: it stays.
    Exactly,
    /// Under a condition, as locks are taken: no rule is applied to it.
    UnderCondition,
}

/// What the key's rule makes of a value that is to expire then. What a primary says it has made of it before.
#[inline]
pub fn kept(cx: &Ctx<'_>, key: Key<'_>, value: Option<&[u8]>, until: Option<u64>, said: Said) -> Kept {
    if cx.node.rules.are_any() { by_rule(cx, key, value, until, said) } else { Kept::plainly(until) }
}

/// Gives a key that is there an expiry, as its rule says. Returns the time that came of it.
pub fn set_expiry(cx: &mut Ctx<'_>, key: Key<'_>, until: u64, said: Said) -> u64 {
    let kept = kept(cx, key, None, Some(until), said);
    cx.store.set_expiry(key, kept.until);
    kept.apply(cx, key);
    kept.until.unwrap_or(until)
}

#[inline(never)]
fn by_rule(cx: &Ctx<'_>, key: Key<'_>, value: Option<&[u8]>, until: Option<u64>, said: Said) -> Kept {
    let kept = cx.node.rules.look(key.bytes, |rule| under(rule, cx, key, value, until, said));
    kept.unwrap_or(Kept::plainly(until))
}

fn under(rule: &Rule, cx: &Ctx<'_>, key: Key<'_>, value: Option<&[u8]>, until: Option<u64>, said: Said) -> Kept {
    let (policy, now, is_free) = (&rule.policy, cx.now_ms(), said == Said::Freely);
    if cx.session.is_primary {
        let is_absent = policy.absent_value.is_some() && value == policy.absent_value.as_deref();
        let keep = if is_absent { Keep::negative() } else { Keep::new(millis(policy.stale_at_most()), 0) };
        return Kept { until, keep: if until.is_some() { keep } else { Keep::default() } };
    }
    let took_ms = if value.is_some() { took_ms(cx, key) } else { None };
    if let Some(took) = took_ms {
        rule.counts.loaded.fetch_add(1, Relaxed);
        rule.counts.load_ms.fetch_add(took, Relaxed);
    }
    if said == Said::UnderCondition {
        return Kept::plainly(until);
    }
    let mut hard = until.map(|until| if is_free { spread(until, now, policy) } else { until });
    if hard != until {
        rule.counts.spread.fetch_add(1, Relaxed);
    }
    if let (Some(absent), Some(ttl)) = (&policy.absent_value, policy.negative_ttl)
        && value == Some(absent)
    {
        rule.counts.absent_set.fetch_add(1, Relaxed);
        let until = now + millis(ttl);
        // There is nothing that could be served stale.
        return Kept { until: Some(hard.map_or(until, |hard| hard.min(until))), keep: Keep::negative() };
    }
    let mut grace_ms = millis(policy.stale_at_most());
    if let Some(soft) = policy.soft_ttl.filter(|_| is_free) {
        let fresh = now + millis(soft);
        let left = hard.unwrap_or(EXPIRY_MAX).saturating_sub(fresh);
        if left > 0 {
            (hard, grace_ms) = (Some(fresh), grace_ms.max(left));
        }
    }
    let keep = if hard.is_some() { Keep::new(grace_ms, took_ms.unwrap_or(0)) } else { Keep::default() };
    Kept { until: hard, keep }
}

/// How long it took to load the key, if somebody was sent for it.
fn took_ms(cx: &Ctx<'_>, key: Key<'_>) -> Option<u64> {
    let is_heeded = cx.store.is_heeded(key);
    let took = || cx.node.audience.lease_took_ms(key.place.stripe(), cx.store.db(), key.bytes, steady_ms());
    is_heeded.then(took).flatten()
}

/// A time that is nearer by a random share of what is left of it.
fn spread(until: u64, now: u64, policy: &Policy) -> u64 {
    let most = until.saturating_sub(now) as f64 * policy.ttl_jitter as f64 / 100.0;
    until - (most * super::read::random()) as u64
}

fn millis(span: std::time::Duration) -> u64 {
    span.as_millis() as u64
}
