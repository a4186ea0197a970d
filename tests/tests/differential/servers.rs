//! Larder and the reference side by side: a script is run on both, and what they say is compared.

use crate::chance;
use crate::compare::{alike, is_same};
use crate::groups::Group;
use crate::intended::{is_of_other_length, is_parting};
use crate::keyspace;
use crate::script::{CLIENTS, Step, is};
use crate::side::{LISTENER, Side};
use crate::words::Words;
use larder::base::crc64::crc64;
use larder_client::resp::Reply;
use larder_tests::{Node, render};

/// Steps after which everything that is stored, and what was published, is compared.
const LOOK_EVERY: usize = 250;

/// Settings that both servers get, if both know them, so that values leave their small encodings more often.
const SETTINGS: &[(&str, &str)] = &[
    ("hash-max-listpack-entries", "24"),
    ("zset-max-listpack-entries", "24"),
    ("set-max-intset-entries", "32"),
    ("set-max-listpack-entries", "24"),
    ("list-max-listpack-size", "16"),
    ("stream-node-max-entries", "8"),
];

/// Two servers, and the same connections to both.
pub struct Servers {
    ours: Side,
    theirs: Side,
    /// Of each connection, the requests of the transaction that it is in.
    queues: Vec<Option<Vec<Words>>>,
    /// Which connections have subscribed to anything.
    subscribed: Vec<bool>,
    /// Whether keyspace events are compared.
    listens: bool,
}

/// A request that was answered differently.
pub struct Difference {
    /// The place of its step in the script.
    pub step: usize,
    pub gap: Gap,
}

/// What was asked, and two answers.
pub struct Gap {
    pub words: Words,
    pub ours: String,
    pub theirs: String,
}

impl Gap {
    pub fn new(words: &Words, ours: &Reply, theirs: &Reply) -> Self {
        Self { words: words.clone(), ours: render(ours), theirs: render(theirs) }
    }
}

impl Servers {
    /// Starts both; `None` if there is no reference on this machine.
    pub fn start() -> Option<Self> {
        let flags = [("--maxmemory-policy", "noeviction"), ("--maxmemory", "0")];
        let theirs = Side::new(Node::reference(&flags)?);
        let ours = Side::new(Node::start_with(&flags));
        let mut servers = Self { ours, theirs, queues: Vec::new(), subscribed: Vec::new(), listens: false };
        SETTINGS.iter().for_each(|(name, value)| servers.set(name, value));
        Some(servers)
    }

    /// Of the groups, those that our server can do; says which it cannot.
    pub fn known<'a>(&mut self, groups: &[&'a Group]) -> Vec<&'a Group> {
        let mut known = groups.to_vec();
        known.retain(|group| {
            let missing = self.missing(group);
            if !missing.is_empty() {
                eprintln!("left out: {}, as the server does not know {}", group.name, missing.join(", "));
            }
            missing.is_empty()
        });
        self.listens = known.iter().any(|group| group.name == "events");
        if self.listens {
            self.set("notify-keyspace-events", "KEA");
        }
        known
    }

    fn missing(&mut self, group: &Group) -> Vec<String> {
        // Nonsense is not known to either, and is part of the group.
        let knows = |side: &mut Side, name: &str| {
            let info = side.node().call_words(&["COMMAND", "INFO", name]);
            info.as_slice().is_some_and(|entries| entries[0] != Reply::Null)
        };
        let commands = group.commands().into_iter();
        let commands = commands.filter(|name| knows(&mut self.theirs, name) && !knows(&mut self.ours, name));
        let mut missing: Vec<String> = commands.collect();
        let settings = group.settings.iter().filter(|name| !has_setting(&mut self.ours, name));
        missing.extend(settings.map(|name| format!("the setting {name}")));
        missing
    }

    fn set(&mut self, name: &str, value: &str) {
        if has_setting(&mut self.ours, name) && has_setting(&mut self.theirs, name) {
            for side in [&mut self.ours, &mut self.theirs] {
                side.node().check(&format!("CONFIG SET {name} {value}"), "OK");
            }
        }
    }

    /// What the reference's DUMP returns for values of every encoding.
    pub fn payloads(&mut self, groups: &[&Group]) -> Vec<Vec<u8>> {
        keyspace::payloads(self.theirs.node(), groups)
    }

    /// Runs a script on servers without data, to its end, to the first difference, or to where they part on purpose.
    pub fn run(&mut self, script: &[Step]) -> Option<Difference> {
        self.ours.clear(self.listens);
        self.theirs.clear(self.listens);
        self.queues = vec![None; CLIENTS];
        self.subscribed = vec![false; CLIENTS];
        let (index, gap) = script.iter().enumerate().find_map(|(index, step)| {
            let is_time = (index + 1) % LOOK_EVERY == 0 || index + 1 == script.len();
            let gap = self.step(step).or_else(|| is_time.then(|| self.look()).flatten());
            gap.map(|gap| (index, gap))
        })?;
        (!is_parting(&gap.words, &gap.ours, &gap.theirs)).then_some(Difference { step: index, gap })
    }

    fn step(&mut self, step: &Step) -> Option<Gap> {
        match step {
            Step::Batch { client, requests } if requests.len() > 1 && requests.iter().any(is_on_its_own) => {
                requests.iter().find_map(|words| self.batch(*client, std::slice::from_ref(words)))
            }
            Step::Batch { client, requests } => self.batch(*client, requests),
            Step::Silent { client, requests } => self.silent(*client, requests),
            Step::Waiting(events) => self.waiting(events),
        }
    }

    /// Compares what both hold, and what subscribers were sent.
    fn look(&mut self) -> Option<Gap> {
        self.compare_messages().or_else(|| keyspace::compare(&mut self.ours.aside, &mut self.theirs.aside))
    }

    fn batch(&mut self, client: usize, requests: &[Words]) -> Option<Gap> {
        let is_alone = requests.len() == 1;
        if self.queues[client].is_some() && requests.iter().any(|words| self.is_never_queued(client, words)) {
            return None;
        }
        if is_alone && may_wait(&requests[0]) && self.queues[client].is_none() {
            return self.waiting(&[(client, requests[0].clone())]);
        }
        if is_alone && is_subscription(&requests[0]) {
            return self.subscription(client, &requests[0]);
        }
        self.ours.send(client, requests);
        self.theirs.send(client, requests);
        for words in requests {
            let (ours, theirs) = (self.ours.receive(client), self.theirs.receive(client));
            let (Some(ours), Some(theirs)) = (&ours, &theirs) else {
                let text = |reply: Option<Reply>| reply.map_or_else(|| "(no reply)".to_owned(), |reply| render(&reply));
                return Some(Gap { words: words.clone(), ours: text(ours), theirs: text(theirs) });
            };
            if let Some(gap) = self.compare(client, words, ours, theirs, is_alone) {
                return Some(gap);
            }
            self.follow(client, words, theirs);
        }
        if requests.iter().any(|words| is(words, "QUIT")) {
            self.ours.reopen(client);
            self.theirs.reopen(client);
            self.queues[client] = None;
            self.subscribed[client] = false;
        }
        None
    }

    fn silent(&mut self, client: usize, requests: &[Words]) -> Option<Gap> {
        // In these states more or fewer would be answered.
        if self.queues[client].is_some() || self.subscribed[client] || requests.iter().any(is_on_its_own) {
            return None;
        }
        self.ours.send(client, requests);
        self.theirs.send(client, requests);
        let words = requests.last()?;
        match (self.ours.receive(client), self.theirs.receive(client)) {
            (Some(ours), Some(theirs)) => (!is_same(words, &ours, &theirs)).then(|| Gap::new(words, &ours, &theirs)),
            _ => Some(Gap { words: words.clone(), ours: "(silence)".to_owned(), theirs: "(silence)".to_owned() }),
        }
    }

    /// Lets connections wait and others serve them; wakes whoever still waits in the end.
    fn waiting(&mut self, events: &[(usize, Words)]) -> Option<Gap> {
        let mut waiters: Vec<(usize, &Words)> = Vec::new();
        for (client, words) in events {
            if waiters.iter().any(|(waiter, _)| waiter == client) {
                continue;
            }
            if !may_wait(words) || self.queues[*client].is_some() {
                match self.batch(*client, std::slice::from_ref(words)) {
                    Some(gap) => return Some(gap),
                    None => continue,
                }
            }
            self.ours.send(*client, std::slice::from_ref(words));
            self.theirs.send(*client, std::slice::from_ref(words));
            match (self.ours.receive_or_wait(*client, words), self.theirs.receive_or_wait(*client, words)) {
                (Ok(None), Ok(None)) => waiters.push((*client, words)),
                (Ok(Some(ours)), Ok(Some(theirs))) if is_same(words, &ours, &theirs) => {}
                (ours, theirs) => {
                    let text = |outcome: Result<Option<Reply>, String>| match outcome {
                        Ok(reply) => reply.map_or_else(|| "(it waits)".to_owned(), |reply| render(&reply)),
                        Err(text) => text,
                    };
                    return Some(Gap { words: words.clone(), ours: text(ours), theirs: text(theirs) });
                }
            }
        }
        self.wake(&waiters)
    }

    fn wake(&mut self, waiters: &[(usize, &Words)]) -> Option<Gap> {
        let woken = waiters.iter().enumerate().find_map(|(index, (client, words))| {
            let how = if index % 2 == 0 { "TIMEOUT" } else { "ERROR" };
            let (ours, theirs) = (self.ours.wake(*client, how), self.theirs.wake(*client, how));
            let text = |reply: &Reply| if *reply == Reply::Int(1) { "(it waits still)" } else { "(it was served)" };
            (ours != theirs).then(|| Gap {
                words: (*words).clone(),
                ours: text(&ours).to_owned(),
                theirs: text(&theirs).to_owned(),
            })
        });
        woken.or_else(|| {
            waiters.iter().find_map(|(client, words)| {
                let (ours, theirs) = (self.ours.receive(*client)?, self.theirs.receive(*client)?);
                (!is_same(words, &ours, &theirs)).then(|| Gap::new(words, &ours, &theirs))
            })
        })
    }

    fn subscription(&mut self, client: usize, words: &Words) -> Option<Gap> {
        self.subscribed[client] = true;
        let ours = self.ours.call_open_ended(client, words);
        let theirs = self.theirs.call_open_ended(client, words);
        // Without names, channels are left in any order.
        let same = if words.len() == 1 { left(&ours) == left(&theirs) } else { ours == theirs };
        (!same).then(|| Gap::new(words, &Reply::Array(ours), &Reply::Array(theirs)))
    }

    fn compare_messages(&mut self) -> Option<Gap> {
        let subscribers = (0..CLIENTS).filter(|client| self.subscribed[*client] && self.queues[*client].is_none());
        let listeners = subscribers.chain(self.listens.then_some(LISTENER)).collect::<Vec<_>>();
        listeners.into_iter().find_map(|client| {
            let theirs = self.theirs.messages(client, 0);
            let ours = self.ours.messages(client, theirs.len());
            let [ours, theirs] = [ours, theirs].map(of_scripts);
            first_gap(client, &in_order(ours), &in_order(theirs))
        })
    }

    /// Whether a transaction would hide what must be seen at once, be one on one server alone, or have messages in the middle
    /// of its reply, as the reference does where a subscriber hears itself.
    fn is_never_queued(&self, client: usize, words: &Words) -> bool {
        let hears_itself = self.subscribed[client] && (is(words, "PUBLISH") || is(words, "SPUBLISH"));
        is_subscription(words) || is(words, "SPOP") || is_of_other_length(words) || hears_itself
    }

    /// Keeps track of what transactions will run.
    fn follow(&mut self, client: usize, words: &Words, theirs: &Reply) {
        let is_done = *theirs == Reply::Simple("OK".into());
        let is_refused = matches!(theirs, Reply::Error(text) if text.starts_with(b"ERR wrong number"));
        let queue = &mut self.queues[client];
        match queue {
            None if is(words, "MULTI") && is_done => *queue = Some(Vec::new()),
            Some(_) if (is(words, "EXEC") || is(words, "DISCARD")) && !is_refused => *queue = None,
            Some(_) if is(words, "RESET") && !is_refused => *queue = None,
            Some(requests) if *theirs == Reply::Simple("QUEUED".into()) => requests.push(words.clone()),
            _ => {}
        }
    }

    /// Compares two replies to one request. One that came alone may be followed by others to see what it has done.
    fn compare(&mut self, client: usize, words: &Words, ours: &Reply, theirs: &Reply, is_alone: bool) -> Option<Gap> {
        if let (Some(queue), true, Some(all), Some(others)) =
            (&self.queues[client], is(words, "EXEC"), ours.as_slice(), theirs.as_slice())
        {
            let mut parts = queue.iter().zip(all.iter().zip(others));
            let gap = parts.find(|(words, (ours, theirs))| !is_same(words, ours, theirs));
            return match gap {
                Some((words, (ours, theirs))) => Some(Gap::new(words, ours, theirs)),
                None => (all.len() != others.len()).then(|| Gap::new(words, ours, theirs)),
            };
        }
        if !is_alone || self.queues[client].is_some() {
            return (!is_same(words, ours, theirs)).then(|| Gap::new(words, ours, theirs));
        }
        if is_scan_reply(words, ours) && is_scan_reply(words, theirs) {
            return self.compare_scans(client, words, ours, theirs);
        }
        if is(words, "DUMP")
            && let (Reply::Bulk(ours), Reply::Bulk(theirs)) = (ours, theirs)
        {
            return self.compare_dumps(words, ours, theirs);
        }
        if !is_same(words, ours, theirs) {
            return Some(Gap::new(words, ours, theirs));
        }
        chance::settle(&mut self.ours, &mut self.theirs, client, words, ours, theirs)
    }

    fn compare_scans(&mut self, client: usize, words: &Words, ours: &Reply, theirs: &Reply) -> Option<Gap> {
        // Where a cursor other than 0 stands is a server's own affair.
        let cursor = if is(words, "SCAN") { 1 } else { 2 };
        if words[cursor] != b"0" {
            return None;
        }
        let ours = self.ours.scan(client, words, ours);
        let theirs = self.theirs.scan(client, words, theirs);
        let is_alike = ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(ours, theirs)| alike(ours, theirs));
        (!is_alike).then(|| Gap { words: words.clone(), ours: format!("{ours:?}"), theirs: format!("{theirs:?}") })
    }

    /// Payloads differ, but what they are restored to may not.
    fn compare_dumps(&mut self, words: &Words, ours: &[u8], theirs: &[u8]) -> Option<Gap> {
        let expected = keyspace::restored(&mut self.theirs.aside, theirs);
        let mut restored =
            vec![keyspace::restored(&mut self.ours.aside, ours), keyspace::restored(&mut self.ours.aside, theirs)];
        // Strings are written alike in both versions.
        if ours[0] == 0 {
            restored.push(keyspace::restored(&mut self.theirs.aside, &in_older_version(ours)));
        }
        let wrong = restored.into_iter().find(|value| !value.is_like(&expected));
        wrong.map(|value| Gap { words: words.clone(), ours: value.to_string(), theirs: expected.to_string() })
    }
}

fn has_setting(side: &mut Side, name: &str) -> bool {
    let reply = side.node().call(&format!("CONFIG GET {name}"));
    reply.as_slice().is_some_and(|pairs| !pairs.is_empty())
}

/// Whether a request may make its connection wait.
fn may_wait(words: &Words) -> bool {
    const NAMES: &[&str] = &["BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP"];
    let is_read = is(words, "XREAD") || is(words, "XREADGROUP");
    NAMES.iter().any(|name| is(words, name)) || is_read && words.iter().any(|word| word.eq_ignore_ascii_case(b"BLOCK"))
}

fn is_subscription(words: &Words) -> bool {
    const NAMES: &[&str] = &["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"];
    NAMES.iter().any(|name| is(words, name))
}

/// Whether nothing may be sent before the reply is seen: there may be several, members are drawn, it may wait, or must be
/// left out of a transaction.
fn is_on_its_own(words: &Words) -> bool {
    is_subscription(words) || is(words, "SPOP") || is_of_other_length(words) || may_wait(words)
}

fn is_scan_reply(words: &Words, reply: &Reply) -> bool {
    let is_scan = ["SCAN", "HSCAN", "SSCAN", "ZSCAN"].iter().any(|name| is(words, name));
    is_scan && matches!(reply.as_slice(), Some([Reply::Bulk(_), Reply::Array(_)]))
}

/// What was left, and how many are subscribed to after each, without saying in which order.
fn left(replies: &[Reply]) -> Vec<String> {
    let parts = replies.iter().flat_map(|reply| match reply {
        Reply::Array(parts) | Reply::Push(parts) => parts.iter().map(render).collect(),
        other => vec![render(other)],
    });
    let mut parts: Vec<String> = parts.collect();
    parts.sort();
    parts
}

/// What scripts have caused: events where dumped values are restored are no part of it, as the servers get different ones.
fn of_scripts(mut messages: Vec<Reply>) -> Vec<Reply> {
    messages.retain(|message| !render(message).contains("@9__:"));
    messages
}

/// Puts what one message brought to several patterns of a connection in one order.
fn in_order(messages: Vec<Reply>) -> Vec<String> {
    let texts: Vec<String> = messages.iter().map(render).collect();
    // The channel and the payload, which follow the kind and, of four parts, the pattern.
    let subject = |message: &Reply| message.as_slice().map(|parts| parts[parts.len() - 2..].to_vec());
    let mut ordered = Vec::new();
    let mut from = 0;
    while from < messages.len() {
        let same = messages[from..].iter().take_while(|message| subject(message) == subject(&messages[from])).count();
        let mut run = texts[from..from + same.max(1)].to_vec();
        run.sort();
        from += run.len();
        ordered.append(&mut run);
    }
    ordered
}

/// The first message that differs.
fn first_gap(client: usize, ours: &[String], theirs: &[String]) -> Option<Gap> {
    let at = (0..ours.len().max(theirs.len())).find(|at| ours.get(*at) != theirs.get(*at))?;
    let text = |messages: &[String]| messages.get(at).cloned().unwrap_or_else(|| "(nothing)".to_owned());
    let words = vec![format!("(message {} to client {client})", at + 1).into_bytes()];
    Some(Gap { words, ours: text(ours), theirs: text(theirs) })
}

/// A payload of DUMP with the version of the format that the reference writes.
fn in_older_version(payload: &[u8]) -> Vec<u8> {
    const VERSION: u16 = 10;
    let mut older = payload[..payload.len() - 10].to_vec();
    older.extend(VERSION.to_le_bytes());
    older.extend(crc64(0, &older).to_le_bytes());
    older
}
