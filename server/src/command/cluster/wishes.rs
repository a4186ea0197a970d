//! Changes of the cluster that commands ask for. They are decided elsewhere: a wish is handed over with a number, its ticket,
//! and the command waits until somebody says how it went.

use super::told::known;
use super::view::{Cluster, View};
use super::{Args, Ctx, Done, Fault, Outcome, REPLIED, Reply, Wait, view};
use crate::cluster::id::Id;
use crate::cluster::topology::Change;
use crate::command::shared::steady_ms;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What the cluster is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    Change(Change),
    /// A replica is to become the primary of its shard: `forced` even if it may lack writes, or the primary is not heard.
    FailOver {
        node: Id,
        forced: bool,
    },
}

/// Who is asked, and what has come of it.
#[derive(Default)]
pub struct Asking {
    asker: OnceLock<Asker>,
    open: Mutex<Open>,
}

type Asker = Box<dyn Fn(u64, Wish) + Send + Sync>;

/// The index of the log at which a wish came true, or why it did not: a text for people, which may begin with a code in
/// capitals by which clients know what to do, such as `TRYAGAIN`.
pub type Settled = Result<u64, String>;

#[derive(Default)]
struct Open {
    last: u64,
    tickets: BTreeMap<u64, Option<Settled>>,
}

/// Wishes that may be open at a time.
const TICKETS_MAX: usize = 256;

/// How long a command waits for its wish, and how often it looks.
const PATIENCE_MS: u64 = 5_000;
const LOOK_MS: u64 = 5;

const NO_LEADER: Fault = Fault::text("TRYAGAIN the cluster has no leader just now; try again");

/// The wish of a connection's command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub number: u64,
    until_ms: u64,
}

impl Cluster {
    /// Says who is asked. It is given the ticket and the wish, must not wait, and leads to one call of [`Cluster::settle`].
    /// Called once.
    pub fn set_asker(&self, asker: Asker) {
        // A second call is the same node's.
        let _ = self.asking.asker.set(asker);
    }

    /// Says how a wish went.
    pub fn settle(&self, ticket: u64, how: Settled) {
        // Whoever asked may have gone.
        if let Some(settled) = self.asking.open.lock().tickets.get_mut(&ticket) {
            *settled = Some(how);
        }
    }

    /// Asks for something; `None` if nobody can be asked.
    pub fn ask(&self, wish: Wish) -> Option<u64> {
        let asker = self.asking.asker.get()?;
        let number = {
            let mut open = self.asking.open.lock();
            if open.tickets.len() >= TICKETS_MAX {
                return None;
            }
            open.last += 1;
            let number = open.last;
            open.tickets.insert(number, None);
            number
        };
        asker(number, wish);
        Some(number)
    }

    /// How a wish went, if that is known; it is forgotten then.
    pub fn take_settled(&self, ticket: u64) -> Option<Settled> {
        let mut open = self.asking.open.lock();
        let settled = open.tickets.get_mut(&ticket)?.take();
        if settled.is_some() {
            open.tickets.remove(&ticket);
        }
        settled
    }

    /// Forgets a wish that nobody waits for any longer.
    pub fn forget(&self, ticket: u64) {
        self.asking.open.lock().tickets.remove(&ticket);
    }
}

/// Asks for something when the command is run first, and waits for what comes of it.
fn wish(
    cx: &mut Ctx<'_>,
    what: impl FnOnce(&View) -> Result<Wish, Fault>,
    reply: impl FnOnce(&mut Reply, u64),
) -> Outcome {
    let (view, now_ms) = (view(cx)?, steady_ms());
    if cx.session.in_transaction {
        return Err(Fault::text("ERR Command not allowed inside a transaction"));
    }
    let ticket = match cx.session.asked_cluster.take() {
        Some(ticket) => ticket,
        None => {
            let number = cx.node.cluster.ask(what(&view)?).ok_or(NO_LEADER)?;
            Ticket { number, until_ms: now_ms + PATIENCE_MS }
        }
    };
    match cx.node.cluster.take_settled(ticket.number) {
        Some(Ok(epoch)) => reply(cx.reply, epoch),
        Some(Err(why)) => return Err(unmade(why)),
        None if now_ms >= ticket.until_ms => {
            cx.node.cluster.forget(ticket.number);
            return Err(NO_LEADER);
        }
        None => {
            cx.session.asked_cluster = Some(ticket);
            return Ok(Done::Wait(Wait::Again(now_ms + LOOK_MS)));
        }
    }
    REPLIED
}

fn unmade(why: String) -> Fault {
    let code = why.split(' ').next().unwrap_or_default();
    let has_code = code.len() > 1 && code.bytes().all(|letter| letter.is_ascii_uppercase());
    Fault::owned(if has_code { why } else { format!("ERR {why}") })
}

/// `CLUSTER FORGET`: a node that has a part is to give it up first, and goes once it has.
pub fn forget(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let word = args.word()?;
    let what = |view: &View| {
        let (id, node) = known(view, word)?;
        if id == view.me {
            return Err(Fault::text("ERR I tried hard but I can't forget myself..."));
        }
        Ok(Wish::Change(match node.shard {
            Some(_) => Change::SetLeaving { node: id, is_leaving: true },
            None => Change::Forget { node: id, forced: false },
        }))
    };
    wish(cx, what, |reply, _| reply.ok())
}

/// `CLUSTER FAILOVER`: this node is to become the primary.
pub fn fail_over(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    view(cx)?;
    if args.len() > 1 {
        return Err(Fault::subcommand_syntax("CLUSTER", args.words().get(1)));
    }
    let forced = args.take("FORCE") || args.take("TAKEOVER");
    args.end()?;
    let what = |view: &View| {
        if view.is_primary || view.shard.is_none() {
            return Err(Fault::text("ERR You should send CLUSTER FAILOVER to a replica"));
        }
        Ok(Wish::FailOver { node: view.me, forced })
    };
    wish(cx, what, |reply, _| reply.ok())
}

/// Makes a rule for all nodes, or ends it; `CACHE.RULE` asks for it. `reply` is told whether that changes anything.
pub fn set_rule(cx: &mut Ctx<'_>, prefix: &[u8], fields: Option<String>, reply: fn(&mut Reply, bool)) -> Outcome {
    let prefix = std::str::from_utf8(prefix)
        .map_err(|_| Fault::text("ERR the prefix of a rule that all nodes are to have is text in UTF-8"))?;
    let is_so = view(cx)?.topology.rules().get(prefix) == fields.as_ref();
    if is_so && cx.session.asked_cluster.is_none() {
        reply(cx.reply, false);
        return REPLIED;
    }
    let prefix = prefix.to_owned();
    wish(cx, |_| Ok(Wish::Change(Change::SetRule { prefix, fields })), |out, _| reply(out, true))
}

/// `CLUSTER CHANGE`, by which `larder cluster` says what it wants.
pub fn change(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let mut args = args.clone();
    let what = |view: &View| wished(view, &mut args);
    wish(cx, what, |reply, epoch| reply.int(epoch as i64))
}

fn wished(view: &View, args: &mut Args<'_>) -> Result<Wish, Fault> {
    let node = |args: &mut Args<'_>| known(view, args.word()?).map(|(id, _)| id);
    let wish = if args.take("LEAVE") {
        Wish::Change(Change::SetLeaving { node: node(args)?, is_leaving: true })
    } else if args.take("STAY") {
        Wish::Change(Change::SetLeaving { node: node(args)?, is_leaving: false })
    } else if args.take("FORGET") {
        Wish::Change(Change::Forget { node: node(args)?, forced: args.take("FORCE") })
    } else if args.take("REPLICAS") {
        let count = u8::try_from(args.int()?).map_err(|_| Fault::text("ERR a shard has at the most 255 replicas"))?;
        Wish::Change(Change::WantReplicas(count))
    } else if args.take("FAILOVER") {
        Wish::FailOver { node: node(args)?, forced: args.take("FORCE") }
    } else {
        return Err(Fault::Syntax);
    };
    args.end()?;
    Ok(wish)
}
