//! What a client says about its connection before and between its work: who it is, which protocol it speaks, which
//! database it means.

use super::words::lower;
use super::*;
use crate::base::number::parse_i64;
use crate::base::secret;
use crate::base::version::REDIS_VERSION;
use crate::store::DATABASES;
use session::Replies;
use std::sync::atomic::Ordering::Relaxed;

pub const COMMANDS: &[Command] = &[AUTH, ECHO, HELLO, PING, QUIT, RESET, SELECT];

const CONNECTION: Command = Command { group: Group::Connection, ..COMMAND };

/// What may be said before the connection has logged in.
const OPEN: Flags =
    Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE).and(Flags::FAST).and(Flags::NO_AUTH).and(Flags::ALLOW_BUSY);

/// The one user there is.
const USER: &[u8] = b"default";

const AUTH: Command = Command {
    name: "AUTH",
    run: auth,
    summary: "Logs the connection in.",
    complexity: "O(N) for a password of N bytes",
    args: &[text("username").optional().since("6.0.0"), text("password")],
    flags: OPEN,
    ..CONNECTION
};

fn auth(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    if args.len() > 2 {
        return Err(Fault::Syntax);
    }
    let user = if args.len() == 2 { Some(args.word()?) } else { None };
    let password = args.word()?;
    if user.is_none() && cx.node.password().is_none() {
        return Err(Fault::NoPassword);
    }
    log_in(cx, user.unwrap_or(USER), password)?;
    cx.reply.ok();
    REPLIED
}

/// Logs the connection in if the user is the one there is and the password is right, or none is needed.
fn log_in(cx: &mut Ctx<'_>, user: &[u8], password: &[u8]) -> Result<(), Fault> {
    let is_right = cx.node.password().is_none_or(|secret| secret::is_same(password, &secret));
    if user != USER || !is_right {
        return Err(Fault::WrongPass);
    }
    cx.session.authenticated = true;
    Ok(())
}

const ECHO: Command = Command {
    name: "ECHO",
    run: echo,
    summary: "Returns the message it is given.",
    args: &[text("message")],
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    ..CONNECTION
};

fn echo(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    cx.reply.bulk(args.word()?);
    REPLIED
}

const HELLO: Command = Command {
    name: "HELLO",
    run: hello,
    summary: "Greets the server: chooses the protocol, and logs in and names the connection if asked to.",
    since: "6.0.0",
    args: &[block(
        "arguments",
        &[
            int("protover"),
            block("auth", &[text("username"), text("password")]).after("AUTH").optional(),
            text("clientname").after("SETNAME").optional(),
        ],
    )
    .optional()],
    flags: OPEN,
    ..CONNECTION
};

/// What `HELLO` asks for.
#[derive(Default)]
struct Greeting<'a> {
    protocol: Option<u8>,
    login: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

fn hello(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let greeting = read_greeting(args)?;
    if let Some((user, password)) = greeting.login {
        log_in(cx, user, password)?;
    }
    if !cx.session.authenticated && cx.node.password().is_some() {
        return Err(Fault::text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
             <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the \
             same time",
        ));
    }
    if let Some(name) = greeting.name {
        cx.session.client.change_names(|names| names.name = name.to_vec());
    }
    if let Some(protocol) = greeting.protocol {
        speak(cx, protocol);
    }
    introduce(cx);
    REPLIED
}

fn read_greeting<'a>(args: &mut Args<'a>) -> Result<Greeting<'a>, Fault> {
    let mut greeting = Greeting::default();
    if args.is_empty() {
        return Ok(greeting);
    }
    greeting.protocol = match parse_i64(args.word()?) {
        Some(version @ 2..=3) => Some(version as u8),
        Some(_) => return Err(Fault::NoProto),
        None => return Err(Fault::text("ERR Protocol version is not an integer or out of range")),
    };
    while !args.is_empty() {
        if args.len() > 2 && args.take("AUTH") {
            greeting.login = Some((args.word()?, args.word()?));
        } else if args.len() > 1 && args.take("SETNAME") {
            greeting.name = Some(client::checked_name(args.word()?)?);
        } else {
            let mut fault = b"ERR Syntax error in HELLO option '".to_vec();
            fault.extend_from_slice(args.word()?);
            fault.push(b'\'');
            return Err(Fault::Bytes(fault));
        }
    }
    Ok(greeting)
}

fn speak(cx: &mut Ctx<'_>, protocol: u8) {
    if protocol != cx.reply.protocol()
        && let Some(messages) = cx.session.client.set_protocol(protocol)
    {
        cx.reply.put_before(&messages);
    }
    cx.reply.set_protocol(protocol);
}

/// Says who the server is, in the protocol that was just chosen.
fn introduce(cx: &mut Ctx<'_>) {
    let (protocol, id) = (cx.reply.protocol(), cx.session.client.id);
    let mode = cx.node.cluster.mode();
    let role = if cx.node.store.follows() { "replica" } else { "master" };
    let reply = &mut *cx.reply;
    reply.map(7);
    reply.text("server");
    reply.text("redis");
    reply.text("version");
    reply.text(REDIS_VERSION);
    reply.text("proto");
    reply.int(i64::from(protocol));
    reply.text("id");
    reply.int(id as i64);
    reply.text("mode");
    reply.text(mode);
    reply.text("role");
    reply.text(role);
    reply.text("modules");
    reply.array(0);
}

const PING: Command = Command {
    name: "PING",
    run: ping,
    summary: "Returns PONG, or the message it is given.",
    args: &[text("message").optional()],
    flags: Flags::FAST.and(Flags::WHILE_SUBSCRIBED),
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    ..CONNECTION
};

fn ping(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    match args.len() {
        0 | 1 if cx.session.is_subscriber() && cx.reply.protocol() == 2 => {
            cx.reply.array(2);
            cx.reply.text("pong");
            cx.reply.bulk(args.peek().unwrap_or(b""));
        }
        0 => cx.reply.simple("PONG"),
        1 => cx.reply.bulk(args.word()?),
        _ => return Err(Fault::Arity(lower(cx.command.name.as_bytes()).into())),
    }
    REPLIED
}

const QUIT: Command = Command {
    name: "QUIT",
    run: quit,
    summary: "Closes the connection once its replies are sent.",
    deprecated: Some(Deprecated { since: "7.2.0", instead: "just closing the connection" }),
    flags: OPEN.and(Flags::WHILE_SUBSCRIBED),
    ignores_rest: true,
    ..CONNECTION
};

fn quit(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    cx.reply.ok();
    Ok(Done::Close)
}

const RESET: Command = Command {
    name: "RESET",
    run: reset,
    summary: "Makes the connection what it was when it was opened.",
    since: "6.2.0",
    flags: OPEN.and(Flags::WHILE_SUBSCRIBED),
    ..CONNECTION
};

fn reset(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    transaction::end(cx.node, cx.session);
    cx.node.stop_tracking(&cx.session.client);
    cx.session.tracking = None;
    if cx.session.is_subscriber() {
        cx.session.leave_pubsub(cx.node);
        pubsub::take_messages(cx);
    }
    let client = &cx.session.client;
    if client.monitor.swap(false, Relaxed) {
        cx.node.monitors.fetch_sub(1, Relaxed);
    }
    client.no_evict.store(false, Relaxed);
    client.no_touch.store(false, Relaxed);
    client.reads_replica.store(false, Relaxed);
    client.maintenance.store(false, Relaxed);
    // What library it uses is no state of the connection, so that stays.
    client.change_names(|names| names.name.clear());
    speak(cx, 2);
    cx.session.select(0);
    cx.session.authenticated = cx.node.password().is_none();
    cx.session.replies = Replies::On;
    cx.session.knows_cluster = false;
    cx.reply.simple("RESET");
    REPLIED
}

const SELECT: Command = Command {
    name: "SELECT",
    run: select,
    summary: "Chooses the database that the connection's commands are about.",
    args: &[int("index")],
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    ..CONNECTION
};

fn select(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let index = args.int()?;
    if i32::try_from(index).is_err() {
        return Err(Fault::text("ERR value is out of range, value must between -2147483648 and 2147483647"));
    }
    if cx.node.cluster.is_on() && index != 0 {
        return Err(Fault::text("ERR SELECT is not allowed in cluster mode"));
    }
    let db = usize::try_from(index).ok().filter(|&db| db < DATABASES).ok_or(Fault::DbIndex)?;
    cx.session.select(db);
    cx.reply.ok();
    REPLIED
}

#[cfg(test)]
mod tests {
    use super::testing::Desk;

    const WRONG: &str = "-WRONGPASS invalid username-password pair or user is disabled.";

    fn locked() -> Desk {
        let desk = Desk::new();
        desk.node.set_password(b"secret");
        desk.again()
    }

    #[test]
    fn without_a_password_everybody_is_in() {
        let mut desk = Desk::new();
        desk.check(
            "AUTH x",
            "-ERR AUTH <password> called without any password configured for the default user. Are you sure your \
             configuration is correct?",
        );
        desk.check("AUTH default x", "+OK");
        desk.check("AUTH someone x", WRONG);
        desk.check("AUTH a b c", "-ERR syntax error");
        desk.check("AUTH", "-ERR wrong number of arguments for 'auth' command");
    }

    #[test]
    fn a_password_is_asked_for() {
        let mut desk = locked();
        desk.check("GET k", "-NOAUTH Authentication required.");
        desk.check("PING", "-NOAUTH Authentication required.");
        desk.check("AUTH wrong", WRONG);
        desk.check("AUTH Default secret", WRONG);
        desk.check("GET k", "-NOAUTH Authentication required.");
        desk.check("AUTH secret", "+OK");
        desk.check("GET k", "$-1");
        desk.check("AUTH wrong", WRONG);
        desk.check("GET k", "$-1");
        desk.check("RESET", "+RESET");
        desk.check("GET k", "-NOAUTH Authentication required.");
        desk.node.set_password(b"");
        desk.check("GET k", "$-1");
    }

    #[test]
    fn hello_logs_in_before_it_answers() {
        let mut desk = locked();
        desk.check(
            "HELLO 3",
            "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
             <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the \
             same time",
        );
        desk.check("HELLO 3 AUTH default no SETNAME a", WRONG);
        desk.check("CLIENT GETNAME", "-NOAUTH Authentication required.");
        assert!(desk.run("HELLO 3 AUTH default secret SETNAME a").starts_with("%7\r\n"));
        desk.check("CLIENT GETNAME", "$1 a");
    }

    #[test]
    fn hello_chooses_the_protocol() {
        let mut desk = Desk::new();
        let body = |proto: u8, id: u64| {
            format!(
                "$6 server $5 redis $7 version $5 7.2.5 $5 proto :{proto} $2 id :{id} $4 mode $10 standalone $4 role \
                 $6 master $7 modules *0"
            )
        };
        let id = desk.session.client.id;
        desk.check("HELLO", &format!("*14 {}", body(2, id)));
        desk.check("GET k", "$-1");
        desk.check("hello 3", &format!("%7 {}", body(3, id)));
        desk.check("GET k", "_");
        desk.check("HELLO", &format!("%7 {}", body(3, id)));
        desk.check("HELLO 2", &format!("*14 {}", body(2, id)));
    }

    #[test]
    fn hello_says_what_is_wrong() {
        let mut desk = Desk::new();
        for (line, expected) in [
            ("HELLO 4", "-NOPROTO unsupported protocol version"),
            ("HELLO 1", "-NOPROTO unsupported protocol version"),
            ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
            ("HELLO 3 foo", "-ERR Syntax error in HELLO option 'foo'"),
            ("HELLO 3 auth a", "-ERR Syntax error in HELLO option 'auth'"),
            ("HELLO 3 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'"),
            ("HELLO 3 SETNAME 'a b'", "-ERR Client names cannot contain spaces, newlines or special characters."),
            ("HELLO 3 AUTH someone x", WRONG),
        ] {
            desk.check(line, expected);
        }
        desk.check("GET k", "$-1");
    }

    #[test]
    fn words_are_sent_back() {
        let mut desk = Desk::new();
        desk.check("PING", "+PONG");
        desk.check("PING a", "$1 a");
        desk.check("PING a b", "-ERR wrong number of arguments for 'ping' command");
        desk.check("ECHO a", "$1 a");
        desk.check("ECHO", "-ERR wrong number of arguments for 'echo' command");
        desk.check("ECHO a b", "-ERR wrong number of arguments for 'echo' command");
    }

    #[test]
    fn quit_closes_after_its_reply() {
        let mut desk = locked();
        desk.check("QUIT now please", "+OK");
        assert_eq!(desk.ended, super::dispatch::Ended::Close);
    }

    #[test]
    fn databases_are_chosen_by_number() {
        let mut desk = Desk::new();
        desk.check("SELECT 15", "+OK");
        assert_eq!(desk.session.db, 15);
        desk.check("SELECT 16", "-ERR DB index is out of range");
        desk.check("SELECT -1", "-ERR DB index is out of range");
        desk.check("SELECT x", "-ERR value is not an integer or out of range");
        desk.check(
            "SELECT 99999999999999",
            "-ERR value is out of range, value must between -2147483648 and 2147483647",
        );
        assert_eq!(desk.session.db, 15);
    }

    #[test]
    fn reset_makes_the_connection_new() {
        let mut desk = Desk::new();
        desk.run("HELLO 3 SETNAME me");
        for line in ["SELECT 3", "CLIENT NO-EVICT ON", "CLIENT NO-TOUCH ON", "CLIENT SETINFO lib-name lib"] {
            desk.check(line, "+OK");
        }
        desk.check("RESET", "+RESET");
        desk.check("CLIENT GETNAME", "$-1");
        let info = desk.run("CLIENT INFO");
        assert!(info.contains(" flags=N db=0 ") && info.contains(" resp=2 lib-name=lib "), "{info}");
    }
}
