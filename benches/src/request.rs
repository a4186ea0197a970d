//! The bytes of requests: a template per command, copied and patched, so that building one allocates nothing.

use crate::{
    keys::Keys,
    random::Random,
    reply::Protocol,
    workload::{MEMBER_LENGTH, Operation, Score, Workload},
};

/// An endless sequence of requests of one workload.
pub struct Requests {
    main: Template,
    /// The SET of a mix, sent when 64 random bits fall below the threshold.
    other: Option<(Template, u64)>,
    keys: Keys,
    key_count: u64,
    random: Random,
    values: Vec<u8>,
    value_length: usize,
}

/// A request with its keys at number zero, and where keys and values stand.
#[derive(Default)]
struct Template {
    bytes: Vec<u8>,
    /// One past the last digit of each key.
    key_ends: Vec<usize>,
    /// The key of a collection.
    collection: Option<Collection>,
    value_starts: Vec<usize>,
    /// One past the last digit of a score.
    score_end: Option<usize>,
}

/// A collection's key and, if the command names one, its member: their ends. Both are drawn as one number.
#[derive(Clone, Copy)]
struct Collection {
    key_end: usize,
    member_end: Option<usize>,
}

/// A score has nine random digits.
const SCORES: u64 = 1_000_000_000;

/// Values are cut from this many random bytes, each at another place.
const VALUE_PLACES: usize = 1 << 16;

impl Requests {
    /// The requests of a workload that passed [`Workload::check`]; the same for the same `seed`.
    pub fn new(workload: &Workload, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let keys = Keys::new(workload.draws(), workload.choice, random.bits());
        let values = printable(VALUE_PLACES + workload.value_length, &mut random);
        let (main, other) = match workload.operation {
            Operation::Mix { set_share } => {
                let threshold = (set_share * u64::MAX as f64) as u64;
                (template(workload, Operation::Get), Some((template(workload, Operation::Set), threshold)))
            }
            operation => (template(workload, operation), None),
        };
        Self { main, other, keys, key_count: workload.key_count, random, values, value_length: workload.value_length }
    }

    /// Appends the next request.
    pub fn append(&mut self, out: &mut Vec<u8>) {
        let template = match &self.other {
            Some((other, threshold)) if self.random.bits() < *threshold => other,
            _ => &self.main,
        };
        let start = out.len();
        out.extend_from_slice(&template.bytes);
        let request = &mut out[start..];
        for &end in &template.key_ends {
            write_digits(&mut request[..end], self.keys.next());
        }
        if let Some(Collection { key_end, member_end }) = template.collection {
            let drawn = self.keys.next();
            write_digits(&mut request[..key_end], drawn % self.key_count);
            if let Some(end) = member_end {
                write_digits(&mut request[..end], drawn / self.key_count);
            }
        }
        if let Some(end) = template.score_end {
            write_digits(&mut request[..end], self.random.below(SCORES));
        }
        for &at in &template.value_starts {
            let from = self.random.below(VALUE_PLACES as u64) as usize;
            request[at..at + self.value_length].copy_from_slice(&self.values[from..from + self.value_length]);
        }
    }
}

/// Letters and digits: what no server stores as an integer, and what is easy on a person's eyes.
fn printable(length: usize, random: &mut Random) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..length).map(|_| ALPHABET[random.below(64) as usize]).collect()
}

/// Writes a number so that it ends where the slice ends; what stands before it are the zeros of the template.
fn write_digits(key: &mut [u8], mut number: u64) {
    let mut at = key.len();
    while number > 0 {
        at -= 1;
        key[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn template(workload: &Workload, operation: Operation) -> Template {
    let mut template = Template::default();
    match workload.protocol {
        Protocol::Resp => resp(&mut template, workload, operation),
        Protocol::Memcache => memcache(&mut template, workload, operation),
    }
    template
}

fn resp(template: &mut Template, workload: &Workload, operation: Operation) {
    let ttl = workload.ttl.map(|seconds| seconds.to_string());
    match operation {
        Operation::Get => template.head(2, "GET").bulk_key(workload),
        Operation::Incr => template.head(2, "INCR").bulk_key(workload),
        Operation::Mget { keys } => (0..keys).fold(template.head(1 + keys, "MGET"), |t, _| t.bulk_key(workload)),
        Operation::Mset { keys } => {
            (0..keys).fold(template.head(1 + 2 * keys, "MSET"), |t, _| t.bulk_key(workload).bulk_value(workload))
        }
        Operation::Lpush => template.head(3, "LPUSH").bulk_collection(workload).bulk_value(workload),
        Operation::Lrange { elements } => template.head(4, "LRANGE").bulk_collection(workload).bulk_first(elements),
        Operation::Sadd => template.head(3, "SADD").bulk_collection(workload).bulk_member(),
        Operation::Hset => template.head(4, "HSET").bulk_collection(workload).bulk_member().bulk_value(workload),
        Operation::Zadd { score } => template.head(4, "ZADD").bulk_collection(workload).bulk_score(score).bulk_member(),
        Operation::Zrange { elements } => template.head(4, "ZRANGE").bulk_collection(workload).bulk_first(elements),
        Operation::Xadd { trimmed } => {
            let named = template.head(if trimmed { 8 } else { 5 }, "XADD").bulk_collection(workload);
            let bounded = if trimmed { named.bulk("MAXLEN").bulk("~").bulk("100") } else { named };
            bounded.bulk("*").bulk("field").bulk_value(workload)
        }
        Operation::Exec { commands } => (0..commands)
            .fold(template.head(1, "MULTI"), |t, number| match number % 2 {
                0 => t.head(3, "SET").bulk_key(workload).bulk_value(workload),
                _ => t.head(2, "GET").bulk_key(workload),
            })
            .head(1, "EXEC"),
        Operation::Set | Operation::Mix { .. } => {
            let words = if ttl.is_some() { 5 } else { 3 };
            let set = template.head(words, "SET").bulk_key(workload).bulk_value(workload);
            match &ttl {
                Some(seconds) => set.bulk("EX").bulk(seconds),
                None => set,
            }
        }
    };
}

fn memcache(template: &mut Template, workload: &Workload, operation: Operation) {
    match operation {
        Operation::Get => template.text("get ").key(workload),
        Operation::Incr => template.text("incr ").key(workload).text(" 1"),
        Operation::Mget { keys } => (0..keys).fold(template.text("get"), |t, _| t.text(" ").key(workload)),
        _ => {
            let numbers = format!(" 0 {} {}\r\n", workload.ttl.unwrap_or(0), workload.value_length);
            template.text("set ").key(workload).text(&numbers).value(workload)
        }
    }
    .text("\r\n");
}

impl Template {
    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    fn head(&mut self, words: usize, name: &str) -> &mut Self {
        self.text(&format!("*{words}\r\n")).bulk(name)
    }

    fn bulk(&mut self, text: &str) -> &mut Self {
        self.text(&format!("${}\r\n{text}\r\n", text.len()))
    }

    fn key(&mut self, workload: &Workload) -> &mut Self {
        self.bytes.push(workload.prefix);
        self.bytes.resize(self.bytes.len() + workload.key_length - 1, b'0');
        self.key_ends.push(self.bytes.len());
        self
    }

    fn value(&mut self, workload: &Workload) -> &mut Self {
        self.value_starts.push(self.bytes.len());
        self.bytes.resize(self.bytes.len() + workload.value_length, b'x');
        self
    }

    fn bulk_key(&mut self, workload: &Workload) -> &mut Self {
        self.text(&format!("${}\r\n", workload.key_length)).key(workload).text("\r\n")
    }

    fn bulk_collection(&mut self, workload: &Workload) -> &mut Self {
        self.bulk_key(workload);
        // It is drawn together with the member, so not as other keys are.
        self.collection = self.key_ends.pop().map(|key_end| Collection { key_end, member_end: None });
        self
    }

    fn bulk_member(&mut self) -> &mut Self {
        self.bulk(&format!("m{:0width$}", 0, width = MEMBER_LENGTH - 1));
        let end = self.bytes.len() - "\r\n".len();
        self.collection = self.collection.map(|collection| Collection { member_end: Some(end), ..collection });
        self
    }

    fn bulk_score(&mut self, score: Score) -> &mut Self {
        self.bulk(match score {
            Score::Whole => "1000000000",
            Score::Fraction => "0.000000000",
        });
        self.score_end = Some(self.bytes.len() - "\r\n".len());
        self
    }

    /// The first and the last index of so many elements.
    fn bulk_first(&mut self, elements: usize) -> &mut Self {
        self.bulk("0").bulk(&(elements - 1).to_string())
    }

    fn bulk_value(&mut self, workload: &Workload) -> &mut Self {
        self.text(&format!("${}\r\n", workload.value_length)).value(workload).text("\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Choice;

    fn first(operation: Operation, change: impl FnOnce(&mut Workload)) -> String {
        let mut workload =
            Workload { key_length: 5, value_length: 3, key_count: 1000, ..Workload::standard(operation) };
        workload.choice = Choice::InTurn;
        change(&mut workload);
        let mut requests = Requests::new(&workload, 1);
        let mut out = Vec::new();
        // The twelfth request, so that keys have two digits.
        for _ in 0..12 {
            out.clear();
            requests.append(&mut out);
        }
        let mut text = String::from_utf8(out).unwrap();
        // Values are random: they become VVV.
        let places: Vec<usize> =
            template(&workload, operation).value_starts.into_iter().filter(|_| workload.value_length == 3).collect();
        for at in places {
            text.replace_range(at..at + 3, "VVV");
        }
        text
    }

    #[test]
    fn resp_requests_are_well_formed() {
        assert_eq!(first(Operation::Get, |_| ()), "*2\r\n$3\r\nGET\r\n$5\r\nk0011\r\n");
        assert_eq!(first(Operation::Incr, |_| ()), "*2\r\n$4\r\nINCR\r\n$5\r\nc0011\r\n");
        assert_eq!(first(Operation::Set, |_| ()), "*3\r\n$3\r\nSET\r\n$5\r\nk0011\r\n$3\r\nVVV\r\n");
        assert_eq!(
            first(Operation::Set, |w| w.ttl = Some(60)),
            "*5\r\n$3\r\nSET\r\n$5\r\nk0011\r\n$3\r\nVVV\r\n$2\r\nEX\r\n$2\r\n60\r\n"
        );
        assert_eq!(first(Operation::Mget { keys: 2 }, |_| ()), "*3\r\n$4\r\nMGET\r\n$5\r\nk0022\r\n$5\r\nk0023\r\n");
        assert_eq!(
            first(Operation::Mset { keys: 2 }, |_| ()),
            "*5\r\n$4\r\nMSET\r\n$5\r\nk0022\r\n$3\r\nVVV\r\n$5\r\nk0023\r\n$3\r\nVVV\r\n"
        );
    }

    #[test]
    fn a_collection_and_its_member_are_one_draw() {
        let collections = |workload: &mut Workload| workload.key_count = 4;
        assert_eq!(first(Operation::Sadd, collections), "*3\r\n$4\r\nSADD\r\n$5\r\ns0003\r\n$10\r\nm000000002\r\n");
        assert_eq!(
            first(Operation::Hset, collections),
            "*4\r\n$4\r\nHSET\r\n$5\r\nh0003\r\n$10\r\nm000000002\r\n$3\r\nVVV\r\n"
        );
        assert_eq!(first(Operation::Lpush, collections), "*3\r\n$5\r\nLPUSH\r\n$5\r\nl0003\r\n$3\r\nVVV\r\n");
        assert_eq!(
            first(Operation::Lrange { elements: 100 }, collections),
            "*4\r\n$6\r\nLRANGE\r\n$5\r\nl0003\r\n$1\r\n0\r\n$2\r\n99\r\n"
        );
        let scored = first(Operation::Zadd { score: Score::Fraction }, collections);
        assert!(scored.starts_with("*4\r\n$4\r\nZADD\r\n$5\r\nz0003\r\n$11\r\n0."), "{scored}");
        assert!(scored.ends_with("\r\n$10\r\nm000000002\r\n") && !scored.contains("0.000000000"), "{scored}");
    }

    #[test]
    fn a_transaction_is_one_request() {
        assert_eq!(
            first(Operation::Exec { commands: 2 }, |_| ()),
            "*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$5\r\nk0022\r\n$3\r\nVVV\r\n*2\r\n$3\r\nGET\r\n$5\r\nk0023\r\n*1\r\n$4\r\nEXEC\r\n"
        );
    }

    #[test]
    fn memcached_requests_are_well_formed() {
        let memcache = |workload: &mut Workload| workload.protocol = Protocol::Memcache;
        assert_eq!(first(Operation::Get, memcache), "get k0011\r\n");
        assert_eq!(first(Operation::Incr, memcache), "incr c0011 1\r\n");
        assert_eq!(first(Operation::Set, memcache), "set k0011 0 0 3\r\nVVV\r\n");
        assert_eq!(first(Operation::Mget { keys: 2 }, memcache), "get k0022 k0023\r\n");
    }

    #[test]
    fn a_mix_sends_both_commands_in_the_share_asked_for() {
        let mut requests = Requests::new(&Workload::standard(Operation::Mix { set_share: 0.1 }), 9);
        let mut out = Vec::new();
        let mut sets = 0;
        for _ in 0..20_000 {
            out.clear();
            requests.append(&mut out);
            sets += u32::from(out.starts_with(b"*3\r\n$3\r\nSET"));
        }
        assert!((1_850..2_150).contains(&sets), "{sets} of 20000");
    }

    #[test]
    fn the_extremes_of_a_mix_hold() {
        for (set_share, start) in [(0.0, "*2"), (1.0, "*3")] {
            let mut requests = Requests::new(&Workload::standard(Operation::Mix { set_share }), 9);
            for _ in 0..1000 {
                let mut out = Vec::new();
                requests.append(&mut out);
                assert!(out.starts_with(start.as_bytes()));
            }
        }
    }
}
