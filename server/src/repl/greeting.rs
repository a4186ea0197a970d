//! What a replica and its primary say to each other until the data or the stream begins, from the replica's side: bytes in,
//! bytes and wishes out.
//!
//! The replica says who it is, line by line, and then asks for the stream (`PSYNC`). The primary answers `+CONTINUE`, and the
//! stream goes on; or `+FULLRESYNC`, and a snapshot comes first: `$` and its length, or `$EOF:` and 40 bytes that stand behind
//! it. A Larder adds a word to both for one of its kind: the histories that its own has parted from, and where ([`Kin`]).

use super::history::{Kin, is_id};
use super::spell::push_command;

/// Bytes of a line that a primary may say.
const LINE_MAX: usize = 4096;

/// Bytes of the mark behind a snapshot whose length is not told.
pub const MARK_LEN: usize = 40;

/// The newest Valkey whose data a node reads. A Valkey is told so, as it sends data in an older form otherwise, and none at all
/// if that has no room for fields that expire.
const VALKEY: &str = "9.0.0";

/// What a replica says of itself.
#[derive(Clone, Debug, Default)]
pub struct Manners {
    pub user: String,
    pub password: String,
    pub listening_port: u16,
    /// The address to be told to others; nothing if it is the one it comes from.
    pub announced_ip: String,
    /// The history it has seen, and up to where.
    pub place: Option<(String, u64)>,
    /// Whether the other end, a replica so far, is to lead from here on.
    pub asks_to_lead: bool,
    /// The node's id in the cluster that both are of, and which start of it this is.
    pub node: Option<(String, u64)>,
}

/// What the greeting wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// These bytes are to be sent.
    Send(Vec<u8>),
    /// More bytes are to be read.
    Read,
    /// The stream goes on where the replica is; the primary may call it by another id from here on.
    Continue { id: Option<String>, kin: Kin },
    /// A snapshot comes, which is of this place in this history. What the replica has seen of its own history beyond where
    /// that has parted from this one is not in there.
    Full { id: String, offset: u64, kin: Kin, snapshot: Snapshot },
}

/// How the end of a snapshot is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Snapshot {
    Bytes(u64),
    Mark([u8; MARK_LEN]),
}

/// Why there will be no stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed(pub String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Ping,
    Auth,
    Port,
    Ip,
    Capabilities,
    Larder,
    Node,
    Valkey,
    Ask,
    /// `+FULLRESYNC` has come.
    Snapshot,
}

/// A greeting on its way.
#[derive(Debug)]
pub struct Greeting {
    manners: Manners,
    step: Step,
    /// Whether what the step says has been sent.
    is_said: bool,
    input: Vec<u8>,
    full: Option<(String, u64, Kin)>,
    refusal: Option<String>,
}

impl Greeting {
    pub fn new(manners: Manners) -> Greeting {
        Greeting { manners, step: Step::Ping, is_said: false, input: Vec::new(), full: None, refusal: None }
    }

    /// Takes bytes that were read.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// Whether the stream has been asked for.
    pub fn has_asked(&self) -> bool {
        self.step == Step::Ask && self.is_said || self.step == Step::Snapshot
    }

    /// The error that the primary has answered the question for the stream with.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Bytes that came behind the greeting.
    pub fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.input)
    }

    /// Goes on.
    ///
    /// # Errors
    ///
    /// [`Failed`], if the primary refuses or says what makes no sense.
    pub fn go_on(&mut self) -> Result<Next, Failed> {
        loop {
            if !self.is_said {
                self.is_said = true;
                if let Some(words) = self.words() {
                    let mut out = Vec::new();
                    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
                    push_command(&mut out, words.into_iter());
                    return Ok(Next::Send(out));
                }
                if self.step != Step::Snapshot {
                    self.advance();
                    continue;
                }
            }
            let Some(line) = self.take_line()? else { return Ok(Next::Read) };
            if let Some(next) = self.hear(&line)? {
                return Ok(next);
            }
        }
    }

    /// What is said at a step; nothing where there is nothing to say.
    fn words(&self) -> Option<Vec<String>> {
        let Manners { user, password, listening_port, announced_ip, place, asks_to_lead, .. } = &self.manners;
        let words: Vec<&str> = match self.step {
            Step::Ping => vec!["PING"],
            Step::Auth if password.is_empty() => return None,
            Step::Auth if user.is_empty() => vec!["AUTH", password],
            Step::Auth => vec!["AUTH", user, password],
            Step::Port => return Some(vec!["REPLCONF".into(), "listening-port".into(), listening_port.to_string()]),
            Step::Ip if announced_ip.is_empty() => return None,
            Step::Ip => vec!["REPLCONF", "ip-address", announced_ip],
            Step::Capabilities => vec!["REPLCONF", "capa", "eof", "capa", "psync2"],
            Step::Larder => vec!["REPLCONF", "capa", "larder"],
            Step::Node => {
                let (id, memory) = self.manners.node.as_ref()?;
                let memory = memory.to_string();
                return Some(["REPLCONF", "node-id", id, "memory", &memory].map(str::to_owned).to_vec());
            }
            Step::Valkey => vec!["REPLCONF", "version", VALKEY],
            Step::Ask => {
                // Replicas count the byte they want next, from 1 on.
                let (id, next) = match place {
                    Some((id, offset)) => (id.clone(), (offset + 1).to_string()),
                    None => ("?".to_owned(), "-1".to_owned()),
                };
                let mut words = vec!["PSYNC".to_owned(), id, next];
                words.extend(asks_to_lead.then(|| "FAILOVER".to_owned()));
                return Some(words);
            }
            Step::Snapshot => return None,
        };
        Some(words.into_iter().map(str::to_owned).collect())
    }

    fn advance(&mut self) {
        self.step = match self.step {
            Step::Ping => Step::Auth,
            Step::Auth => Step::Port,
            Step::Port => Step::Ip,
            Step::Ip => Step::Capabilities,
            Step::Capabilities => Step::Larder,
            Step::Larder => Step::Node,
            Step::Node => Step::Valkey,
            Step::Valkey => Step::Ask,
            Step::Ask | Step::Snapshot => Step::Snapshot,
        };
        self.is_said = false;
    }

    /// The next line without its end. Empty ones only say that the primary is alive.
    fn take_line(&mut self) -> Result<Option<String>, Failed> {
        loop {
            let Some(end) = self.input.iter().position(|&byte| byte == b'\n') else {
                if self.input.len() > LINE_MAX {
                    return Err(Failed(format!("said {} bytes without the end of a line", self.input.len())));
                }
                return Ok(None);
            };
            let line: Vec<u8> = self.input.drain(..=end).collect();
            let line = line.trim_ascii_end();
            if !line.is_empty() {
                return Ok(Some(String::from_utf8_lossy(line).into_owned()));
            }
        }
    }

    fn hear(&mut self, line: &str) -> Result<Option<Next>, Failed> {
        let refused = line.starts_with('-');
        match self.step {
            // What it says to PING if it wants a password.
            Step::Ping if line.starts_with("-NOAUTH") || line.starts_with("-NOPERM") => self.advance(),
            Step::Ping if line.starts_with("-ERR operation not permitted") => self.advance(),
            Step::Ping | Step::Auth if refused => {
                let asked = if self.step == Step::Ping { "PING" } else { "AUTH" };
                return Err(Failed(format!("answered {asked} with \"{}\"", &line[1..])));
            }
            // An older one may not know what it is told; that does no harm.
            Step::Ping | Step::Auth | Step::Port | Step::Ip => self.advance(),
            Step::Capabilities | Step::Larder | Step::Node | Step::Valkey => self.advance(),
            Step::Ask => return self.hear_answer(line),
            Step::Snapshot => {
                let (id, offset, kin) = self.full.clone().expect("the step begins with it");
                return Ok(Some(Next::Full { id, offset, kin, snapshot: snapshot_of(line)? }));
            }
        }
        Ok(None)
    }

    fn hear_answer(&mut self, line: &str) -> Result<Option<Next>, Failed> {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next(), words.next(), words.next()) {
            (Some("+CONTINUE"), id, kin, None, None) => {
                if let Some(id) = id
                    && !is_id(id)
                {
                    return Err(Failed(format!("goes on with \"{id}\", which is no id of 40 digits")));
                }
                if self.manners.place.is_none() {
                    return Err(Failed("goes on where nothing was begun".into()));
                }
                Ok(Some(Next::Continue { id: id.map(str::to_owned), kin: kin_of(line, kin, u64::MAX)? }))
            }
            (Some("+FULLRESYNC"), Some(id), Some(offset), kin, None) if is_id(id) => {
                let offset = offset.parse().map_err(|_| Failed(format!("said \"{line}\", and that is no offset")))?;
                self.full = Some((id.to_owned(), offset, kin_of(line, kin, offset)?));
                self.advance();
                Ok(None)
            }
            _ => {
                self.refusal = line.strip_prefix('-').map(str::to_owned);
                Err(Failed(format!("answered PSYNC with \"{}\"", line.trim_start_matches('-'))))
            }
        }
    }
}

/// The kin that a primary tells of in this word of a line, if it does.
fn kin_of(line: &str, word: Option<&str>, offset: u64) -> Result<Kin, Failed> {
    let kin = word.map(|word| Kin::of_word(word, offset)).transpose();
    kin.map(Option::unwrap_or_default).map_err(|why| Failed(format!("said \"{line}\", and {why}")))
}

fn snapshot_of(line: &str) -> Result<Snapshot, Failed> {
    let unknown = || Failed(format!("announced its data with \"{line}\""));
    let told = line.strip_prefix('$').ok_or_else(unknown)?;
    match told.strip_prefix("EOF:") {
        Some(mark) => mark.as_bytes().try_into().map(Snapshot::Mark).map_err(|_| unknown()),
        None => told.parse().map(Snapshot::Bytes).map_err(|_| unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789012345678901234567890123456789";

    /// Answers each command of a replica with the next line, and returns what it said and how it ended.
    fn talk(manners: Manners, answers: &[&str]) -> (Vec<String>, Result<Next, Failed>) {
        let mut greeting = Greeting::new(manners);
        let (mut said, mut answers) = (Vec::new(), answers.iter());
        loop {
            match greeting.go_on() {
                Ok(Next::Send(bytes)) => {
                    let words = String::from_utf8(bytes).unwrap();
                    let words: Vec<&str> = words.split("\r\n").skip(2).step_by(2).collect();
                    said.push(words.join(" "));
                }
                Ok(Next::Read) => match answers.next() {
                    // In two pieces, as it may come.
                    Some(answer) => {
                        greeting.feed(&answer.as_bytes()[..1]);
                        greeting.feed(&answer.as_bytes()[1..]);
                        greeting.feed(b"\r\n");
                    }
                    None => return (said, Ok(Next::Read)),
                },
                end => return (said, end),
            }
        }
    }

    #[test]
    fn a_new_replica_gets_everything() {
        let manners = Manners { listening_port: 7001, ..Manners::default() };
        let full = format!("+FULLRESYNC {ID} 17");
        let mark = format!("$EOF:{ID}");
        let (said, end) = talk(manners.clone(), &["+PONG", "+OK", "+OK", "+OK", "+OK", &full, &mark]);
        assert_eq!(
            said,
            [
                "PING",
                "REPLCONF listening-port 7001",
                "REPLCONF capa eof capa psync2",
                "REPLCONF capa larder",
                "REPLCONF version 9.0.0",
                "PSYNC ? -1"
            ]
        );
        let snapshot = Snapshot::Mark(ID.as_bytes().try_into().unwrap());
        assert_eq!(end, Ok(Next::Full { id: ID.into(), offset: 17, kin: Kin::default(), snapshot }));
        let (_, end) = talk(manners, &["+PONG", "+OK", "+OK", "-ERR no", "-ERR no", &full, "\n\n$1234"]);
        assert_eq!(
            end,
            Ok(Next::Full { id: ID.into(), offset: 17, kin: Kin::default(), snapshot: Snapshot::Bytes(1234) })
        );
    }

    #[test]
    fn one_that_comes_back_logs_in_and_goes_on() {
        let manners = Manners {
            user: "r".into(),
            password: "secret".into(),
            listening_port: 1,
            announced_ip: "10.0.0.1".into(),
            place: Some((ID.into(), 99)),
            asks_to_lead: false,
            node: Some((ID.into(), 5)),
        };
        let answers =
            ["-NOAUTH Authentication required.", "+OK", "+OK", "+OK", "+OK", "+OK", "+OK", "+OK", "+CONTINUE"];
        let (said, end) = talk(manners, &answers);
        assert_eq!(said[1], "AUTH r secret");
        assert_eq!(said[3], "REPLCONF ip-address 10.0.0.1");
        assert_eq!(said[6], format!("REPLCONF node-id {ID} memory 5"));
        assert_eq!(said[8], format!("PSYNC {ID} 100"));
        assert_eq!(end, Ok(Next::Continue { id: None, kin: Kin::default() }));
    }

    #[test]
    fn a_primary_may_tell_up_to_where_both_are_the_same() {
        let manners = Manners { place: Some((ID.into(), 99)), ..Manners::default() };
        let told = |words: &str| {
            let full = format!("+FULLRESYNC {ID} {words}");
            talk(manners.clone(), &["+PONG", "+OK", "+OK", "+OK", "+OK", &full, "$5"]).1
        };
        let shared = |end: Result<Next, Failed>| match end {
            Ok(Next::Full { offset: 900, kin, .. }) => kin.shared_with(ID),
            other => panic!("{other:?}"),
        };
        assert_eq!(shared(told("900")), None);
        let other = "f".repeat(40);
        assert_eq!(shared(told(&format!("900 {ID}:70"))), Some(70));
        assert_eq!(shared(told(&format!("900 {other}:70"))), None);
        assert_eq!(shared(told(&format!("900 {other}:70,{ID}:900"))), Some(900));
        let refused = |words: &str, why: &str| {
            assert_eq!(told(words), Err(Failed(format!("said \"+FULLRESYNC {ID} {words}\", and {why}"))));
        };
        refused("900 x", "\"x\" is no id with an offset");
        refused("900 x:1", "\"x:1\" is no id with an offset");
        refused(&format!("900 {ID}:-1"), "\"-1\" is no offset");
        refused(&format!("900 {ID}:901"), "it cannot share what is beyond its own end, which is 900");
        refused(&format!("900 {}", vec![format!("{ID}:1"); 17].join(",")), "these are more than 16");
        let more = format!("+FULLRESYNC {ID} 900 {ID}:70 1");
        assert_eq!(told(&more["+FULLRESYNC ".len() + 41..]), Err(Failed(format!("answered PSYNC with \"{more}\""))));
        let on = format!("+CONTINUE {other} {ID}:70");
        let end = talk(manners, &["+PONG", "+OK", "+OK", "+OK", "+OK", &on]).1;
        assert_eq!(end, Ok(Next::Continue { id: Some(other), kin: Kin::of_word(&format!("{ID}:70"), 70).unwrap() }));
    }

    #[test]
    fn a_primary_that_steps_down_asks_the_other_to_lead() {
        let manners = Manners { place: Some((ID.into(), 99)), asks_to_lead: true, ..Manners::default() };
        let mut greeting = Greeting::new(manners.clone());
        for _ in 0..5 {
            while greeting.go_on() != Ok(Next::Read) {}
            assert!(!greeting.has_asked());
            greeting.feed(b"+OK\r\n");
        }
        let Ok(Next::Send(question)) = greeting.go_on() else { panic!("the question is next") };
        assert!(question.ends_with(b"$3\r\n100\r\n$8\r\nFAILOVER\r\n"), "{}", question.escape_ascii());
        assert!(greeting.has_asked());
        greeting.feed(b"-ERR no\r\n");
        assert!(greeting.go_on().is_err());
        assert_eq!(greeting.refusal(), Some("ERR no"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_was_said() {
        let known = || Manners { place: Some((ID.into(), 99)), ..Manners::default() };
        let told = |manners, answers: &[&str]| talk(manners, answers).1.unwrap_err().0;
        assert_eq!(told(known(), &["-ERR go away"]), "answered PING with \"ERR go away\"");
        let with = |answer| ["+PONG", "+OK", "+OK", "+OK", "+OK", answer];
        assert_eq!(told(known(), &with("+CONTINUE xyz")), "goes on with \"xyz\", which is no id of 40 digits");
        assert_eq!(told(Manners::default(), &with("+CONTINUE")), "goes on where nothing was begun");
        assert_eq!(told(known(), &with("-LOADING wait")), "answered PSYNC with \"LOADING wait\"");
        let full = format!("+FULLRESYNC {ID} -1");
        assert_eq!(told(known(), &with(&full)), format!("said \"{full}\", and that is no offset"));
        let full = format!("+FULLRESYNC {ID} 1");
        let mut with_snapshot = with(&full).to_vec();
        with_snapshot.push("$EOF:short");
        assert_eq!(told(known(), &with_snapshot), "announced its data with \"$EOF:short\"");
        let long = "x".repeat(5000);
        let mut greeting = Greeting::new(known());
        greeting.go_on().unwrap();
        greeting.feed(long.as_bytes());
        assert_eq!(greeting.go_on(), Err(Failed("said 5000 bytes without the end of a line".into())));
    }
}
