//! The kinds of settings: what each accepts, what it is when nobody says, and Redis's words for what it refuses.

use super::machine::Machine;
use super::memory;
use super::value::{BindAddress, Events, OutputLimit, OutputLimits, RuleLine, SavePoint, Value};
use crate::rules;

/// What a whole number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things, or nothing that has a name.
    Count,
    /// Percent.
    Percent,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Minutes.
    Minutes,
}

impl Unit {
    /// The unit's name for people; empty for a count.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Count => "",
            Unit::Percent => "%",
            Unit::Seconds => "seconds",
            Unit::Millis => "milliseconds",
            Unit::Micros => "microseconds",
            Unit::Minutes => "minutes",
        }
    }
}

/// The kind of a setting, with its default.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `yes` or `no`.
    Switch { default: bool },
    /// A whole number.
    Whole { default: i64, min: i64, max: i64, unit: Unit },
    /// A TCP port. 0, which in Redis means "none", is refused.
    Port { default: u16 },
    /// Worker threads; by default as many as there are cores.
    Workers { max: u16 },
    /// An amount of memory.
    Memory { default: u64, min: u64 },
    /// An amount of memory, or a percentage of the machine's; the default is a percentage. 0 is no limit.
    MemoryOfMachine { default_percent: u8 },
    /// An amount of memory, or a percentage of `maxmemory`; none by default.
    MemoryOrPercent,
    /// One of some names.
    Choice { default: &'static str, choices: &'static [&'static str] },
    /// Some of some names.
    Choices { default: &'static str, choices: &'static [&'static str] },
    /// Any text.
    Text { default: &'static str },
    /// Any text, of which blanks may be part without quotes.
    Line { default: &'static str },
    /// Addresses to listen on.
    Addresses { default: &'static [&'static str] },
    /// Output limits per class of clients.
    OutputLimits,
    /// Snapshot times.
    SavePoints,
    /// Classes of keyspace events; none by default.
    Events,
    /// Rules for keys with a prefix; none by default.
    Rules,
    /// Percentiles.
    Percentiles { default: &'static [f64] },
}

impl Kind {
    /// The value when nobody says otherwise.
    pub fn default(&self, machine: &Machine) -> Value {
        match *self {
            Kind::Switch { default } => Value::Switch(default),
            Kind::Whole { default, .. } => Value::Whole(default),
            Kind::Port { default } => Value::Whole(default.into()),
            Kind::Workers { max } => Value::Whole(machine.cores.min(max).into()),
            Kind::Memory { default, .. } => Value::Memory(default),
            Kind::MemoryOfMachine { default_percent } => Value::Memory(share(machine.memory, default_percent)),
            Kind::MemoryOrPercent => Value::Memory(0),
            Kind::Choice { default, .. } => Value::Choice(default),
            Kind::Choices { default, .. } => Value::Choices(vec![default]),
            Kind::Text { default } | Kind::Line { default } => Value::Text(default.to_owned()),
            Kind::Addresses { default } => {
                Value::Addresses(default.iter().filter_map(|word| BindAddress::parse(word)).collect())
            }
            Kind::OutputLimits => Value::OutputLimits(OutputLimits::DEFAULT),
            Kind::SavePoints => Value::SavePoints(SavePoint::DEFAULT.into()),
            Kind::Rules => Value::Rules(Vec::new()),
            Kind::Events => Value::Events(Events::default()),
            Kind::Percentiles { default } => Value::Percentiles(default.to_vec()),
        }
    }

    /// The default for documents, which are the same on every machine.
    pub fn default_text(&self) -> String {
        match self {
            Kind::Workers { .. } => "one per core".to_owned(),
            Kind::MemoryOfMachine { default_percent } => format!("{default_percent}% of the machine's memory"),
            other => other.default(&Machine { memory: 0, cores: 1 }).short_text(),
        }
    }

    /// Whether the setting takes more than one word.
    pub fn takes_words(&self) -> bool {
        use Kind::*;
        matches!(
            self,
            Line { .. } | Choices { .. } | Addresses { .. } | OutputLimits | SavePoints | Rules | Percentiles { .. }
        )
    }

    /// Whether a file in TOML may give it as tables, each of which is one of several values.
    pub fn is_of_tables(&self) -> bool {
        matches!(self, Kind::Rules)
    }

    /// What is allowed, as the end of a sentence.
    pub fn allowed(&self) -> String {
        const MEMORY: &str = "bytes, or a number with b, k (1000), kb (1024), m, mb, g or gb";
        match self {
            Kind::Switch { .. } => "yes or no".to_owned(),
            Kind::Whole { min, max, unit, .. } => whole_range(*min, *max, *unit),
            Kind::Port { .. } => "1 to 65535".to_owned(),
            Kind::Workers { max } => format!("1 to {max}"),
            Kind::Memory { min: 0, .. } => MEMORY.to_owned(),
            Kind::Memory { min, .. } => format!("{MEMORY}; at least {}", memory::shortest(*min)),
            Kind::MemoryOfMachine { .. } => format!("{MEMORY}, or 1% to 100% of the machine's memory; 0 is no limit"),
            Kind::MemoryOrPercent => format!("{MEMORY}, or 1% to 100% of maxmemory; 0 is no limit"),
            Kind::Choice { choices, .. } => format!("one of {}", choices.join(", ")),
            Kind::Choices { choices, .. } => format!("some of {}", choices.join(", ")),
            Kind::Text { .. } | Kind::Line { .. } => "text".to_owned(),
            Kind::Addresses { .. } => {
                "IP addresses, * (all IPv4), ::* (all IPv6), localhost; a leading - allows one to be missing".to_owned()
            }
            Kind::OutputLimits => {
                "groups of CLASS HARD SOFT SECONDS; classes are normal, replica and pubsub, 0 is no limit".to_owned()
            }
            Kind::SavePoints => "pairs of SECONDS CHANGES, or \"\" for none".to_owned(),
            Kind::Rules => format!("PREFIX FIELD VALUE [FIELD VALUE ...]; fields are {}", rules::policy::names()),
            Kind::Events => format!("letters of A{}", Events::LETTERS),
            Kind::Percentiles { .. } => "numbers from 0 to 100".to_owned(),
        }
    }

    /// Parts the one text that `CONFIG SET` gives a setting into words.
    pub fn parted<'a>(&self, text: &'a str) -> Vec<&'a str> {
        match self {
            _ if !self.takes_words() => vec![text],
            _ if text.is_empty() => Vec::new(),
            _ => text.split(' ').collect(),
        }
    }

    /// Checks what was given for the setting, in Redis's words where Redis knows the kind.
    ///
    /// `current` matters to kinds of which a part can be given; the rest of it is kept.
    pub fn check(&self, words: &[&str], current: &Value, machine: &Machine) -> Result<Value, String> {
        match *self {
            Kind::Line { .. } => Ok(Value::Text(words.join(" "))),
            Kind::Choices { choices, .. } => some_of(words, choices),
            Kind::Addresses { .. } => addresses(words),
            Kind::OutputLimits => output_limits(words, current),
            Kind::SavePoints => save_points(words),
            Kind::Rules => a_rule(words),
            Kind::Percentiles { .. } => percentiles(words),
            _ => match words {
                [word] => self.check_word(word, machine),
                _ => Err("wrong number of arguments".to_owned()),
            },
        }
    }

    fn check_word(&self, word: &str, machine: &Machine) -> Result<Value, String> {
        match *self {
            Kind::Switch { .. } => switch(word),
            Kind::Whole { min, max, .. } => whole(word, min, max),
            Kind::Port { .. } => port(word),
            Kind::Workers { max } => whole(word, 1, max.into()),
            Kind::Memory { min, .. } => amount(word, min),
            Kind::MemoryOfMachine { .. } => amount_of(word, machine.memory),
            Kind::MemoryOrPercent => amount_or_percent(word),
            Kind::Choice { choices, .. } => one_of(word, choices).map(Value::Choice),
            Kind::Events => events(word),
            _ => Ok(Value::Text(word.to_owned())),
        }
    }
}

/// `percent` of `bytes`, without overflow.
pub fn share(bytes: u64, percent: u8) -> u64 {
    bytes / 100 * u64::from(percent) + bytes % 100 * u64::from(percent) / 100
}

fn whole_range(min: i64, max: i64, unit: Unit) -> String {
    let unit = unit.name();
    let gap = if unit.is_empty() || unit == "%" { "" } else { " " };
    match max {
        i64::MAX => format!("{min} or more{gap}{unit}"),
        max => format!("{min} to {max}{gap}{unit}"),
    }
}

fn switch(word: &str) -> Result<Value, String> {
    match word.to_ascii_lowercase().as_str() {
        "yes" => Ok(Value::Switch(true)),
        "no" => Ok(Value::Switch(false)),
        _ => Err("argument must be 'yes' or 'no'".to_owned()),
    }
}

fn whole(word: &str, min: i64, max: i64) -> Result<Value, String> {
    let number = memory::parse_whole(word).ok_or("argument couldn't be parsed into an integer")?;
    match number {
        number if (min..=max).contains(&number) => Ok(Value::Whole(number)),
        _ => Err(format!("argument must be between {min} and {max} inclusive")),
    }
}

/// Redis takes port 0 as "no TCP at all", for those who use a Unix socket. A node without a port serves nobody.
fn port(word: &str) -> Result<Value, String> {
    match whole(word, 0, 65535)? {
        Value::Whole(0) => Err("port 0 would leave the node without a way in; give a port from 1 to 65535".to_owned()),
        port => Ok(port),
    }
}

/// Redis counts amounts in 63 bits wherever an amount has a minimum.
fn amount(word: &str, min: u64) -> Result<Value, String> {
    let bytes = memory::parse(word).ok_or("argument must be a memory value")?;
    match bytes {
        bytes if (min..=i64::MAX as u64).contains(&bytes) => Ok(Value::Memory(bytes)),
        _ => Err(format!("argument must be between {min} and {} inclusive", i64::MAX)),
    }
}

fn amount_of(word: &str, whole: u64) -> Result<Value, String> {
    match percentage(word)? {
        Some(percent) => Ok(Value::Memory(share(whole, percent))),
        None => Ok(Value::Memory(memory::parse(word).ok_or("argument must be a memory value")?)),
    }
}

fn amount_or_percent(word: &str) -> Result<Value, String> {
    match percentage(word)? {
        Some(0) => Ok(Value::Memory(0)),
        Some(percent) => Ok(Value::Percent(percent)),
        None => Ok(Value::Memory(memory::parse(word).ok_or("argument must be a memory or percent value")?)),
    }
}

fn percentage(word: &str) -> Result<Option<u8>, String> {
    match memory::parse_percent(word) {
        None => Ok(None),
        Some(percent) if percent <= 100 => Ok(Some(percent as u8)),
        Some(_) => Err("percentage argument must be less or equal to 100".to_owned()),
    }
}

fn one_of(word: &str, choices: &'static [&'static str]) -> Result<&'static str, String> {
    let found = choices.iter().find(|choice| choice.eq_ignore_ascii_case(word));
    found.copied().ok_or_else(|| format!("argument(s) must be one of the following: {}", choices.join(", ")))
}

/// The first choice is the one that says nothing (`default`), so that any other replaces it.
fn some_of(words: &[&str], choices: &'static [&'static str]) -> Result<Value, String> {
    let words = if words.is_empty() { &[""] } else { words };
    let mut chosen = words.iter().map(|word| one_of(word, choices)).collect::<Result<Vec<_>, _>>()?;
    if chosen.iter().any(|name| *name != choices[0]) {
        chosen.retain(|name| *name != choices[0]);
    }
    chosen.sort_by_key(|name| choices.iter().position(|choice| choice == name));
    chosen.dedup();
    Ok(Value::Choices(chosen))
}

fn addresses(words: &[&str]) -> Result<Value, String> {
    if words.iter().all(|word| word.is_empty()) {
        return Err("at least one address is needed".to_owned());
    }
    let read = |word: &&str| BindAddress::parse(word).ok_or_else(|| format!("'{word}' is not an address"));
    Ok(Value::Addresses(words.iter().map(read).collect::<Result<_, _>>()?))
}

fn output_limits(words: &[&str], current: &Value) -> Result<Value, String> {
    let mut limits = match current {
        Value::OutputLimits(limits) => *limits,
        _ => OutputLimits::DEFAULT,
    };
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
    }
    for group in words.chunks_exact(4) {
        let limit =
            limits.class_mut(group[0]).ok_or("Invalid client class specified in buffer limit configuration.")?;
        *limit = output_limit(&group[1..])
            .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
    }
    Ok(Value::OutputLimits(limits))
}

fn output_limit(words: &[&str]) -> Option<OutputLimit> {
    let soft_seconds = u32::try_from(memory::parse_whole(words[2])?).ok()?;
    Some(OutputLimit { hard: memory::parse(words[0])?, soft: memory::parse(words[1])?, soft_seconds })
}

fn save_points(words: &[&str]) -> Result<Value, String> {
    const INVALID: &str = "Invalid save parameters";
    if matches!(words, [""]) {
        return Ok(Value::SavePoints(Vec::new()));
    }
    if !words.len().is_multiple_of(2) {
        return Err(INVALID.to_owned());
    }
    let point = |pair: &[&str]| {
        let seconds = u64::try_from(memory::parse_whole(pair[0])?).ok().filter(|seconds| *seconds > 0)?;
        let changes = u32::try_from(memory::parse_whole(pair[1])?).ok()?;
        Some(SavePoint { seconds, changes })
    };
    let points: Option<Vec<SavePoint>> = words.chunks_exact(2).map(point).collect();
    Ok(Value::SavePoints(points.ok_or(INVALID)?))
}

/// One rule, or none at all.
fn a_rule(words: &[&str]) -> Result<Value, String> {
    match words {
        [] | [""] => Ok(Value::Rules(Vec::new())),
        [prefix, fields @ ..] => {
            rules::set::check_prefix(prefix.as_bytes())?;
            let policy = rules::Policy::parse(fields.iter().copied())?;
            Ok(Value::Rules(vec![RuleLine { prefix: (*prefix).to_owned(), policy }]))
        }
    }
}

fn events(word: &str) -> Result<Value, String> {
    let events = Events::parse(word).ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
    Ok(Value::Events(events))
}

fn percentiles(words: &[&str]) -> Result<Value, String> {
    const NAME: &str = "latency-tracking-info-percentiles";
    if matches!(words, [""]) {
        return Ok(Value::Percentiles(Vec::new()));
    }
    let read = |word: &&str| match word.parse::<f64>() {
        Ok(number) if (0.0..=100.0).contains(&number) => Ok(number),
        Ok(number) if !number.is_nan() => Err(format!("{NAME} parameters should sit between [0.0,100.0]")),
        _ => Err(format!("Invalid {NAME} parameters")),
    };
    Ok(Value::Percentiles(words.iter().map(read).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine { memory: 8 << 30, cores: 4 };

    fn check(kind: Kind, text: &str) -> Result<String, String> {
        let current = kind.default(&MACHINE);
        kind.check(&kind.parted(text), &current, &MACHINE).map(|value| value.text())
    }

    fn refused(kind: Kind, text: &str) -> String {
        check(kind, text).expect_err(text)
    }

    #[test]
    fn switches_say_what_they_take() {
        let kind = Kind::Switch { default: true };
        assert_eq!(check(kind, "YES"), Ok("yes".to_owned()));
        assert_eq!(refused(kind, "foo"), "argument must be 'yes' or 'no'");
        assert_eq!(refused(kind, ""), "argument must be 'yes' or 'no'");
    }

    #[test]
    fn whole_numbers_have_a_range() {
        let kind = Kind::Whole { default: 5, min: 1, max: 2147483647, unit: Unit::Count };
        assert_eq!(check(kind, "7"), Ok("7".to_owned()));
        assert_eq!(refused(kind, "0"), "argument must be between 1 and 2147483647 inclusive");
        assert_eq!(refused(kind, "99999999999"), "argument must be between 1 and 2147483647 inclusive");
        assert_eq!(refused(kind, "1.5"), "argument couldn't be parsed into an integer");
        assert_eq!(refused(kind, ""), "argument couldn't be parsed into an integer");
    }

    #[test]
    fn ports_are_not_zero() {
        let kind = Kind::Port { default: 6379 };
        assert_eq!(check(kind, "65535"), Ok("65535".to_owned()));
        assert_eq!(refused(kind, "70000"), "argument must be between 0 and 65535 inclusive");
        assert!(refused(kind, "0").starts_with("port 0 would leave the node without a way in"));
    }

    #[test]
    fn memory_has_units_and_a_minimum() {
        let kind = Kind::Memory { default: 1 << 30, min: 1 << 20 };
        assert_eq!(check(kind, "10mb"), Ok("10485760".to_owned()));
        assert_eq!(refused(kind, "1"), "argument must be between 1048576 and 9223372036854775807 inclusive");
        assert_eq!(refused(kind, "-1"), "argument must be a memory value");
    }

    #[test]
    fn memory_may_be_a_share_of_the_machine() {
        let kind = Kind::MemoryOfMachine { default_percent: 75 };
        assert_eq!(kind.default(&MACHINE), Value::Memory(6 << 30));
        assert_eq!(check(kind, "50%"), Ok((4u64 << 30).to_string()));
        assert_eq!(check(kind, "0"), Ok("0".to_owned()));
        assert_eq!(refused(kind, "101%"), "percentage argument must be less or equal to 100");
        assert_eq!(refused(kind, "abc"), "argument must be a memory value");
    }

    #[test]
    fn memory_may_be_a_share_of_maxmemory() {
        let kind = Kind::MemoryOrPercent;
        assert_eq!(check(kind, "5%"), Ok("5%".to_owned()));
        assert_eq!(check(kind, "0%"), Ok("0".to_owned()));
        assert_eq!(check(kind, "1gb"), Ok("1073741824".to_owned()));
        assert_eq!(refused(kind, "5%%"), "argument must be a memory or percent value");
        assert_eq!(refused(kind, "101%"), "percentage argument must be less or equal to 100");
    }

    #[test]
    fn choices_are_listed_when_missed() {
        let kind = Kind::Choice { default: "notice", choices: &["debug", "verbose", "notice", "warning"] };
        assert_eq!(check(kind, "NOTICE"), Ok("notice".to_owned()));
        let text = "argument(s) must be one of the following: debug, verbose, notice, warning";
        assert_eq!(refused(kind, "foo"), text);
    }

    #[test]
    fn several_choices_drop_the_empty_one() {
        let kind = Kind::Choices { default: "default", choices: &["default", "save", "nosave", "now", "force"] };
        assert_eq!(check(kind, "now save"), Ok("save now".to_owned()));
        assert_eq!(check(kind, "default save"), Ok("save".to_owned()));
        assert_eq!(check(kind, "default"), Ok("default".to_owned()));
        let text = "argument(s) must be one of the following: default, save, nosave, now, force";
        assert_eq!(refused(kind, ""), text);
        assert_eq!(refused(kind, "save foo"), text);
    }

    #[test]
    fn addresses_are_read_one_by_one() {
        let kind = Kind::Addresses { default: &["127.0.0.1", "-::1"] };
        assert_eq!(check(kind, "10.0.0.1 -::1"), Ok("10.0.0.1 -::1".to_owned()));
        assert_eq!(refused(kind, "10.0.0.1 nowhere"), "'nowhere' is not an address");
        assert_eq!(refused(kind, ""), "at least one address is needed");
    }

    #[test]
    fn output_limits_keep_the_classes_not_named() {
        let kind = Kind::OutputLimits;
        assert_eq!(
            check(kind, "normal 1kb 2kb 3 REPLICA 1 2 3").unwrap(),
            "normal 1024 2048 3 slave 1 2 3 pubsub 33554432 8388608 60"
        );
        assert_eq!(check(kind, "").unwrap(), Value::OutputLimits(OutputLimits::DEFAULT).text());
        assert_eq!(refused(kind, "normal 0 0"), "Wrong number of arguments in buffer limit configuration.");
        assert_eq!(refused(kind, "foo 0 0 0"), "Invalid client class specified in buffer limit configuration.");
        let text = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
        assert_eq!(refused(kind, "normal x 0 0"), text);
        assert_eq!(refused(kind, "normal 1 1 -1"), text);
    }

    #[test]
    fn save_points_are_pairs() {
        let kind = Kind::SavePoints;
        assert_eq!(check(kind, "900 1 300 10"), Ok("900 1 300 10".to_owned()));
        assert_eq!(check(kind, ""), Ok(String::new()));
        for text in ["900", "a 1", "0 1", "900 -1", "900 1  60 3"] {
            assert_eq!(refused(kind, text), "Invalid save parameters", "{text}");
        }
    }

    #[test]
    fn events_name_the_letters() {
        assert_eq!(check(Kind::Events, "KEA"), Ok("AKE".to_owned()));
        assert_eq!(refused(Kind::Events, "q"), "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    }

    #[test]
    fn percentiles_lie_within_a_hundred() {
        let kind = Kind::Percentiles { default: &[50.0] };
        assert_eq!(check(kind, "50 99.95 0"), Ok("50 99.95 0".to_owned()));
        assert_eq!(check(kind, ""), Ok(String::new()));
        let name = "latency-tracking-info-percentiles";
        assert_eq!(refused(kind, "50 101"), format!("{name} parameters should sit between [0.0,100.0]"));
        assert_eq!(refused(kind, "abc"), format!("Invalid {name} parameters"));
    }

    #[test]
    fn one_word_means_one() {
        let kind = Kind::Port { default: 1 };
        let found = kind.check(&["1", "2"], &Value::Whole(1), &MACHINE);
        assert_eq!(found, Err("wrong number of arguments".to_owned()));
    }
}
