//! `CLIENT KILL`: ends connections, by address or by what they are.

use super::list::Kind;
use super::{OTHERS, naming};
use crate::command::clients::Client;
use crate::command::*;

pub const KILL: Command = Command {
    name: "KILL",
    run: kill,
    summary: "Closes the connections that match all filters, or the one of an address.",
    complexity: "O(N) for N connections",
    since: "2.4.0",
    args: &[one_of(
        "filter",
        &[
            text("old-format").shown_as("ip:port"),
            one_of(
                "new-format",
                &[
                    int("client-id").after("ID").optional().since("2.8.12"),
                    one_of("client-type", KINDS).after("TYPE").optional().since("2.8.12"),
                    text("username").after("USER").optional(),
                    text("addr").shown_as("ip:port").after("ADDR").optional(),
                    text("laddr").shown_as("ip:port").after("LADDR").optional().since("6.2.0"),
                    one_of("skipme", &[token("yes", "YES"), token("no", "NO")]).after("SKIPME").optional(),
                ],
            )
            .many(),
        ],
    )],
    ..OTHERS
};

/// The kinds of connection, with the old name of a replica.
const KINDS: &[Arg] = &[
    token("normal", "NORMAL"),
    token("master", "MASTER").since("3.2.0"),
    token("slave", "SLAVE"),
    token("replica", "REPLICA").since("5.0.0"),
    token("pubsub", "PUBSUB"),
];

/// Which connections are meant; what is `None` does not matter.
#[derive(Default)]
struct Filter<'a> {
    id: Option<u64>,
    kind: Option<Kind>,
    address: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    spares_self: bool,
}

impl Filter<'_> {
    fn takes(&self, client: &Client) -> bool {
        self.id.is_none_or(|id| client.id == id)
            && self.kind.is_none_or(|kind| kind == Kind::of(client))
            && self.address.is_none_or(|address| client.address.to_string().as_bytes() == address)
            && self.local.is_none_or(|local| client.local.to_string().as_bytes() == local)
    }
}

fn kill(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let old_form = args.len() == 1;
    let filter = if old_form {
        // Who names an address means it, be it the own one.
        Filter { address: Some(args.word()?), ..Filter::default() }
    } else {
        read_filter(args)?
    };
    let (killed, own) = kill_all(cx, &filter);
    match (old_form, killed) {
        (true, 0) => return Err(Fault::text("ERR No such client")),
        (true, _) => cx.reply.ok(),
        (false, _) => cx.reply.len(killed),
    }
    Ok(if own { Done::Close } else { Done::Replied })
}

/// Ends what the filter takes. Returns how many that are, and whether the own connection, which ends with its reply, is
/// among them.
fn kill_all(cx: &Ctx<'_>, filter: &Filter<'_>) -> (usize, bool) {
    let mut killed = 0;
    let mut own = false;
    for client in cx.node.clients.all() {
        let is_own = client.id == cx.session.client.id;
        if client.is_killed() || is_own && filter.spares_self || !filter.takes(&client) {
            continue;
        }
        killed += 1;
        if is_own {
            own = true;
        } else {
            client.kill();
        }
    }
    (killed, own)
}

fn read_filter<'a>(args: &mut Args<'a>) -> Result<Filter<'a>, Fault> {
    let mut filter = Filter { spares_self: true, ..Filter::default() };
    while !args.is_empty() {
        if args.len() < 2 {
            return Err(Fault::Syntax);
        }
        read_condition(args, &mut filter)?;
    }
    Ok(filter)
}

fn read_condition<'a>(args: &mut Args<'a>, filter: &mut Filter<'a>) -> Result<(), Fault> {
    if args.take("ID") {
        let id = args.int().ok().and_then(|id| u64::try_from(id).ok()).filter(|&id| id > 0);
        filter.id = Some(id.ok_or(Fault::text("ERR client-id should be greater than 0"))?);
    } else if args.take("TYPE") {
        filter.kind = Some(Kind::named(args.word()?)?);
    } else if args.take("ADDR") {
        filter.address = Some(args.word()?);
    } else if args.take("LADDR") {
        filter.local = Some(args.word()?);
    } else if args.take("USER") {
        let user = args.word()?;
        if user != b"default" {
            return Err(naming(b"ERR No such user '", user, b"'"));
        }
    } else if args.take("SKIPME") {
        filter.spares_self = yes_or_no(args)?;
    } else {
        return Err(Fault::Syntax);
    }
    Ok(())
}

fn yes_or_no(args: &mut Args<'_>) -> Result<bool, Fault> {
    if args.take("YES") {
        Ok(true)
    } else if args.take("NO") {
        Ok(false)
    } else {
        Err(Fault::Syntax)
    }
}
