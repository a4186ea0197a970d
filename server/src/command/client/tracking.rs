//! `CLIENT TRACKING` and what belongs to it.

use super::OWN;
use crate::command::tracking::Tracking;
use crate::command::*;

pub const CACHING: Command = Command {
    name: "CACHING",
    run: caching,
    summary: "Says whether the keys of the next command are tracked.",
    since: "6.0.0",
    args: &[one_of("mode", &[token("yes", "YES"), token("no", "NO")])],
    ..OWN
};

fn caching(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let tracking = cx.session.tracking.as_mut().filter(|tracking| tracking.opt_in || tracking.opt_out);
    let Some(tracking) = tracking else {
        return Err(Fault::text(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    };
    let is_yes = args.take("YES");
    if !is_yes && !args.take("NO") {
        return Err(Fault::Syntax);
    }
    if is_yes && !tracking.opt_in {
        return Err(Fault::text("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."));
    }
    if !is_yes && !tracking.opt_out {
        return Err(Fault::text("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."));
    }
    tracking.caching = Some(is_yes);
    cx.reply.ok();
    REPLIED
}

pub const GETREDIR: Command = Command {
    name: "GETREDIR",
    run: getredir,
    summary: "Returns the id of the connection that is told of changes in this one's stead, -1 without tracking.",
    since: "6.0.0",
    ..OWN
};

fn getredir(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    cx.reply.int(redirect_of(cx));
    REPLIED
}

/// The connection that is told in this one's stead: -1 without tracking, 0 if it is told itself.
fn redirect_of(cx: &Ctx<'_>) -> i64 {
    let tracked = &cx.session.client.tracked;
    if tracked.is_on() { tracked.redirect() as i64 } else { -1 }
}

pub const TRACKING: Command = Command {
    name: "TRACKING",
    run: tracking,
    summary: "Says whether the connection is told when keys change that it has read.",
    complexity: "O(1). Some options may introduce additional complexity.",
    since: "6.0.0",
    args: &[
        one_of("status", super::ON_OFF),
        int("client-id").after("REDIRECT").optional(),
        text("prefix").after("PREFIX").many_tokens().optional(),
        token("bcast", "BCAST").optional(),
        token("optin", "OPTIN").optional(),
        token("optout", "OPTOUT").optional(),
        token("noloop", "NOLOOP").optional(),
    ],
    ..OWN
};

fn tracking(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let status = args.word()?;
    let wish = Wish::take(cx, args)?;
    if status.eq_ignore_ascii_case(b"ON") {
        wish.check(cx)?;
        turn_on(cx, wish);
    } else if status.eq_ignore_ascii_case(b"OFF") {
        cx.node.stop_tracking(&cx.session.client);
        cx.session.tracking = None;
    } else {
        return Err(Fault::Syntax);
    }
    cx.reply.ok();
    REPLIED
}

/// What was said behind `ON` or `OFF`.
#[derive(Default)]
struct Wish<'a> {
    redirect: u64,
    prefixes: Vec<&'a [u8]>,
    broadcast: bool,
    opt_in: bool,
    opt_out: bool,
    no_loop: bool,
}

impl<'a> Wish<'a> {
    fn take(cx: &Ctx<'_>, args: &mut Args<'a>) -> Result<Wish<'a>, Fault> {
        let mut wish = Wish::default();
        while !args.is_empty() {
            if args.len() > 1 && args.take("REDIRECT") {
                if wish.redirect != 0 {
                    return Err(Fault::text("ERR A client can only redirect to a single other client"));
                }
                let id = u64::try_from(args.int()?).unwrap_or(0);
                // That one may go later, but it must be there now: most likely it is a mistake otherwise.
                if cx.node.clients.get(id).is_none() {
                    return Err(Fault::text("ERR The client ID you want redirect to does not exist"));
                }
                wish.redirect = id;
            } else if args.len() > 1 && args.take("PREFIX") {
                wish.prefixes.push(args.word()?);
            } else if args.take("BCAST") {
                wish.broadcast = true;
            } else if args.take("OPTIN") {
                wish.opt_in = true;
            } else if args.take("OPTOUT") {
                wish.opt_out = true;
            } else if args.take("NOLOOP") {
                wish.no_loop = true;
            } else {
                return Err(Fault::Syntax);
            }
        }
        Ok(wish)
    }

    /// Whether what was said fits together, and with what was said before.
    fn check(&self, cx: &Ctx<'_>) -> Result<(), Fault> {
        if !self.broadcast && !self.prefixes.is_empty() {
            return Err(Fault::text("ERR PREFIX option requires BCAST mode to be enabled"));
        }
        if let Some(before) = &cx.session.tracking {
            if cx.session.client.tracked.is_broadcast() != self.broadcast {
                return Err(Fault::text(
                    "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then \
                     re-enabling it with a different mode.",
                ));
            }
            if (before.opt_in && self.opt_out) || (before.opt_out && self.opt_in) {
                return Err(Fault::text(
                    "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then \
                     re-enabling it with a different mode.",
                ));
            }
        }
        if self.broadcast && (self.opt_in || self.opt_out) {
            return Err(Fault::text("ERR OPTIN and OPTOUT are not compatible with BCAST"));
        }
        if self.opt_in && self.opt_out {
            return Err(Fault::text("ERR You can't specify both OPTIN mode and OPTOUT mode"));
        }
        self.check_prefixes(cx.session.tracking.as_ref().map_or(&[], |before| &before.prefixes))
    }

    /// A key that matched two prefixes of a connection would be told twice.
    fn check_prefixes(&self, before: &[Box<[u8]>]) -> Result<(), Fault> {
        let overlap = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
        for (index, prefix) in self.prefixes.iter().enumerate() {
            if let Some(other) = before.iter().find(|other| overlap(prefix, other) && ***other != **prefix) {
                return Err(overlapping(prefix, b"an existing prefix", other));
            }
            if let Some(other) = self.prefixes[index + 1..].iter().find(|other| overlap(prefix, other)) {
                return Err(overlapping(prefix, b"another provided prefix", other));
            }
        }
        Ok(())
    }
}

fn overlapping(one: &[u8], which: &[u8], other: &[u8]) -> Fault {
    let rest = b"'. Prefixes for a single client must not overlap.";
    Fault::Bytes([&b"ERR Prefix '"[..], one, b"' overlaps with ", which, b" '", other, rest].concat())
}

fn turn_on(cx: &mut Ctx<'_>, wish: Wish<'_>) {
    let id = cx.session.client.id;
    let tracking = cx.session.tracking.get_or_insert_with(Box::<Tracking>::default);
    tracking.opt_in = wish.opt_in;
    tracking.opt_out = wish.opt_out;
    let mut is_new = false;
    let all: [&[u8]; 1] = [b""];
    let prefixes = match wish.prefixes.as_slice() {
        [] if wish.broadcast && tracking.prefixes.is_empty() => &all[..],
        prefixes => prefixes,
    };
    for prefix in prefixes {
        if !tracking.prefixes.iter().any(|known| **known == **prefix) {
            tracking.prefixes.push((*prefix).into());
            cx.node.broadcasts.add(prefix, id);
            is_new = true;
        }
    }
    cx.session.client.tracked.turn_on(wish.broadcast, wish.no_loop, wish.redirect);
    if is_new {
        cx.node.heed();
    }
}

pub const TRACKINGINFO: Command = Command {
    name: "TRACKINGINFO",
    run: trackinginfo,
    summary: "Returns how the connection's keys are tracked.",
    since: "6.2.0",
    ..OWN
};

fn trackinginfo(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let tracked = &cx.session.client.tracked;
    let tracking = cx.session.tracking.as_deref().cloned().unwrap_or_default();
    let flags = [
        (!tracked.is_on(), "off"),
        (tracked.is_on(), "on"),
        (tracked.is_broadcast(), "bcast"),
        (tracking.opt_in, "optin"),
        (tracking.opt_in && tracking.caching == Some(true), "caching-yes"),
        (tracking.opt_out, "optout"),
        (tracking.opt_out && tracking.caching == Some(false), "caching-no"),
        (tracked.is_no_loop(), "noloop"),
        (tracked.is_broken(), "broken_redirect"),
    ];
    let flags: Vec<&str> = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name).collect();
    let redirect = redirect_of(cx);
    cx.reply.map(3);
    cx.reply.text("flags");
    cx.reply.set(flags.len());
    flags.iter().for_each(|flag| cx.reply.text(flag));
    cx.reply.text("redirect");
    cx.reply.int(redirect);
    cx.reply.text("prefixes");
    cx.reply.array(tracking.prefixes.len());
    tracking.prefixes.iter().for_each(|prefix| cx.reply.bulk(prefix));
    REPLIED
}
