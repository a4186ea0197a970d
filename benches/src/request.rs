//! The bytes of requests: a template per command, copied and patched, so that building one allocates nothing.

use crate::{
    keys::Keys,
    random::Random,
    reply::Protocol,
    workload::{Operation, Workload},
};

/// An endless sequence of requests of one workload.
pub struct Requests {
    main: Template,
    /// The SET of a mix, sent when 64 random bits fall below the threshold.
    other: Option<(Template, u64)>,
    keys: Keys,
    random: Random,
    values: Vec<u8>,
    value_length: usize,
}

/// A request with its keys at number zero, and where keys and values stand.
struct Template {
    bytes: Vec<u8>,
    /// One past the last digit of each key.
    key_ends: Vec<usize>,
    value_starts: Vec<usize>,
}

/// Values are cut from this many random bytes, each at another place.
const VALUE_PLACES: usize = 1 << 16;

impl Requests {
    /// The requests of a workload that passed [`Workload::check`]; the same for the same `seed`.
    pub fn new(workload: &Workload, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let keys = Keys::new(workload.key_count, workload.choice, random.bits());
        let values = printable(VALUE_PLACES + workload.value_length, &mut random);
        let (main, other) = match workload.operation {
            Operation::Mix { set_share } => {
                let threshold = (set_share * u64::MAX as f64) as u64;
                (template(workload, Operation::Get), Some((template(workload, Operation::Set), threshold)))
            }
            operation => (template(workload, operation), None),
        };
        Self { main, other, keys, random, values, value_length: workload.value_length }
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
    let mut template = Template { bytes: Vec::new(), key_ends: Vec::new(), value_starts: Vec::new() };
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
        Operation::Set | Operation::Mset { .. } | Operation::Mix { .. } => {
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
