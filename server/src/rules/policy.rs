//! What a rule says: its fields, one row for each.

use super::span;
use std::time::Duration;

/// What is done for the keys of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub lease: bool,
    pub lease_wait: Duration,
    pub lease_time: Duration,
    pub back_off: Duration,
    pub soft_ttl: Option<Duration>,
    pub stale_while_revalidate: Duration,
    pub stale_if_error: Duration,
    /// XFetch's beta; 0 for none.
    pub early_refresh: f64,
    /// In percent.
    pub ttl_jitter: u64,
    pub absent_value: Option<Box<[u8]>>,
    pub negative_ttl: Option<Duration>,
    /// The name of what knows which keys there are.
    pub guard: Option<Box<str>>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            lease: false,
            lease_wait: Duration::ZERO,
            lease_time: Duration::from_secs(10),
            back_off: Duration::from_secs(1),
            soft_ttl: None,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            early_refresh: 0.0,
            ttl_jitter: 0,
            absent_value: None,
            negative_ttl: None,
            guard: None,
        }
    }
}

/// A field of a rule: its name, what it says, and how it is read and shown.
pub struct Field {
    pub name: &'static str,
    pub doc: &'static str,
    take: fn(&mut Policy, &str) -> Result<(), String>,
    /// Nothing where it says what is so without it.
    show: fn(&Policy) -> Option<String>,
}

/// The longest `absent-value`, in bytes.
const ABSENT_MAX: usize = 1024;

/// The longest name of a guard, in bytes.
pub const GUARD_MAX: usize = 64;

/// The most that `early-refresh` may be: a value would be loaded anew all the time.
const BETA_MAX: f64 = 10.0;

pub const FIELDS: &[Field] = &[
    Field {
        name: "lease",
        doc: "on or off: of those that ask for a key which is missing, one is told nil and is expected to set it; the others wait, or get the old value.",
        take: |policy, text| switch(text).map(|on| policy.lease = on),
        show: |policy| policy.lease.then(|| "on".to_owned()),
    },
    Field {
        name: "lease-wait",
        doc: "How long a GET waits at most while another loads the key; without it, it is told nil at once.",
        take: |policy, text| span::parse(text).map(|span| policy.lease_wait = span),
        show: |policy| shown(policy.lease_wait, Duration::ZERO),
    },
    Field {
        name: "lease-time",
        doc: "How long a load may take before another is sent; 10s if it is not given.",
        take: |policy, text| span::parse(text).map(|span| policy.lease_time = span),
        show: |policy| shown(policy.lease_time, Policy::default().lease_time),
    },
    Field {
        name: "back-off",
        doc: "For how long nobody is sent after a load that came to nothing; twice as long each time, up to 32 times; 1s if it is not given.",
        take: |policy, text| span::parse(text).map(|span| policy.back_off = span),
        show: |policy| shown(policy.back_off, Policy::default().back_off),
    },
    Field {
        name: "soft-ttl",
        doc: "For how long a value is fresh at most. From then on until its TTL is over it is stale.",
        take: |policy, text| span::parse(text).map(|span| policy.soft_ttl = Some(span)),
        show: |policy| policy.soft_ttl.map(span::show),
    },
    Field {
        name: "stale-while-revalidate",
        doc: "For how long a value that is fresh no longer is still served to others while one loads it anew.",
        take: |policy, text| span::parse(text).map(|span| policy.stale_while_revalidate = span),
        show: |policy| shown(policy.stale_while_revalidate, Duration::ZERO),
    },
    Field {
        name: "stale-if-error",
        doc: "For how long a value that is fresh no longer is still served when loads come to nothing; as stale-while-revalidate if it is not given.",
        take: |policy, text| span::parse(text).map(|span| policy.stale_if_error = span),
        show: |policy| shown(policy.stale_if_error, Duration::ZERO),
    },
    Field {
        name: "early-refresh",
        doc: "Loads values anew before they expire, the likelier the nearer that is and the longer loads take; 1 is the usual weight, more is earlier.",
        take: |policy, text| beta(text).map(|beta| policy.early_refresh = beta),
        show: |policy| (policy.early_refresh > 0.0).then(|| policy.early_refresh.to_string()),
    },
    Field {
        name: "ttl-jitter",
        doc: "Shortens TTLs by a random share of up to so many percent, so that keys stored together do not expire together.",
        take: |policy, text| percent(text).map(|percent| policy.ttl_jitter = percent),
        show: |policy| (policy.ttl_jitter > 0).then(|| format!("{}%", policy.ttl_jitter)),
    },
    Field {
        name: "absent-value",
        doc: "What clients set for a key that the database does not have: it is kept for negative-ttl at most.",
        take: |policy, text| absent(text).map(|value| policy.absent_value = Some(value)),
        show: |policy| policy.absent_value.as_ref().map(|value| String::from_utf8_lossy(value).into_owned()),
    },
    Field {
        name: "negative-ttl",
        doc: "For how long an absent-value is kept at most.",
        take: |policy, text| span::parse(text).map(|span| policy.negative_ttl = Some(span)),
        show: |policy| policy.negative_ttl.map(span::show),
    },
    Field {
        name: "guard",
        doc: "The guard that knows which keys there are: any other is answered at once, with the absent-value if there is one. See CACHE.GUARD.",
        take: |policy, text| check_guard(text.as_bytes()).map(|()| policy.guard = Some(text.into())),
        show: |policy| policy.guard.as_ref().map(|name| name.to_string()),
    },
];

impl Policy {
    /// Reads fields with their values, and checks that they go together.
    ///
    /// # Errors
    ///
    /// What is wrong, and what would be right.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Policy, String> {
        let (mut policy, mut words) = (Policy::default(), words.into_iter());
        let mut seen: Vec<&str> = Vec::new();
        while let Some(name) = words.next() {
            let field = FIELDS.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            let field = field.ok_or_else(|| format!("a rule has no field '{name}'; there are: {}", names()))?;
            let value = words.next().ok_or_else(|| format!("{} has no value. {}", field.name, field.doc))?;
            if seen.contains(&field.name) {
                return Err(format!("{} is given twice", field.name));
            }
            seen.push(field.name);
            (field.take)(&mut policy, value).map_err(|wrong| format!("{}: {wrong}", field.name))?;
        }
        if seen.is_empty() {
            return Err(format!("a rule without fields says nothing; there are: {}", names()));
        }
        policy.check()?;
        Ok(policy)
    }

    /// Whether what the fields say goes together.
    fn check(&self) -> Result<(), String> {
        let needs_lease = [
            ("lease-wait", self.lease_wait > Duration::ZERO),
            ("soft-ttl", self.soft_ttl.is_some()),
            ("stale-while-revalidate", self.stale_while_revalidate > Duration::ZERO),
            ("stale-if-error", self.stale_if_error > Duration::ZERO),
            ("early-refresh", self.early_refresh > 0.0),
        ];
        if let Some((name, _)) = needs_lease.iter().find(|(_, is_given)| *is_given && !self.lease) {
            return Err(format!("{name} needs 'lease on': somebody has to be sent for the new value"));
        }
        if self.lease_time.is_zero() {
            return Err("lease-time 0 gives nobody the time to load: say how long loads take at most".to_owned());
        }
        if self.lease_wait > self.lease_time {
            return Err("lease-wait is longer than lease-time: after that another is sent anyway".to_owned());
        }
        if self.soft_ttl == Some(Duration::ZERO) {
            return Err("soft-ttl 0 would have no value be fresh".to_owned());
        }
        if !self.stale_if_error.is_zero() && self.stale_if_error < self.stale_while_revalidate {
            return Err(
                "stale-if-error is shorter than stale-while-revalidate: an old value that is served while one \
                        loads is served when that comes to nothing, too"
                    .to_owned(),
            );
        }
        match (&self.absent_value, self.negative_ttl) {
            (Some(_), None) => Err("absent-value needs negative-ttl: for how long the key counts as absent".to_owned()),
            (None, Some(_)) => Err("negative-ttl needs absent-value: what clients set for what is absent".to_owned()),
            _ => Ok(()),
        }
    }

    /// The fields that say something, with their values.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, String)> {
        FIELDS.iter().filter_map(|field| Some((field.name, (field.show)(self)?)))
    }

    /// As one would write it, or what says nothing if nothing is said.
    pub fn line(&self) -> String {
        let line = self.fields().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(" ");
        if line.is_empty() { "lease off".to_owned() } else { line }
    }

    /// For how long a value that is fresh no longer may be served when a load has come to nothing.
    pub fn stale_at_most(&self) -> Duration {
        self.stale_if_error.max(self.stale_while_revalidate)
    }

    /// What these fields mean, in sentences.
    pub fn explained(&self) -> Vec<String> {
        let mut told = Vec::new();
        if self.lease {
            let others = match self.lease_wait {
                Duration::ZERO => "others are told nil, too, without being counted on".to_owned(),
                wait => format!("others wait for up to {}", span::show(wait)),
            };
            let time = span::show(self.lease_time);
            told.push(format!("If it is missing, one GET is told nil and has {time} to set it; {others}."));
        }
        if let Some(soft) = self.soft_ttl {
            told.push(format!(
                "It is fresh for {} at most, and stale from then on until its TTL is over.",
                span::show(soft)
            ));
        }
        if self.stale_at_most() > Duration::ZERO {
            told.push(format!(
                "When it is fresh no longer, one GET is told nil, and others get the old value: for {} while that one loads, for {} if \
                 it does not set the key.",
                span::show(self.stale_while_revalidate),
                span::show(self.stale_at_most())
            ));
        }
        if self.early_refresh > 0.0 {
            let beta = self.early_refresh;
            told.push(format!("Before it expires one GET may be told nil to have it loaded in time (beta {beta})."));
        }
        if self.ttl_jitter > 0 {
            told.push(format!("A TTL is shortened at random by up to {} %.", self.ttl_jitter));
        }
        if let (Some(value), Some(ttl)) = (&self.absent_value, self.negative_ttl) {
            let value = String::from_utf8_lossy(value);
            told.push(format!(
                "The value '{value}' says that there is none, and is kept for {} at most.",
                span::show(ttl)
            ));
        }
        if let Some(guard) = &self.guard {
            let answer = self
                .absent_value
                .as_ref()
                .map_or("nil".into(), |value| format!("'{}'", String::from_utf8_lossy(value)));
            told.push(format!(
                "If the guard '{guard}' does not know it, a GET is told {answer} at once, and nobody is sent; what is set becomes known."
            ));
        }
        told
    }
}

/// Whether a guard may have this name. Braces would decide the slot of what lies under it.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_guard(name: &[u8]) -> Result<(), String> {
    let is_wrong = |byte: &u8| !byte.is_ascii_graphic() || matches!(byte, b'{' | b'}');
    match name.len() {
        1..=GUARD_MAX if !name.iter().any(is_wrong) => Ok(()),
        1..=GUARD_MAX => {
            Err("the name of a guard has neither blanks nor braces, and letters of ASCII alone".to_owned())
        }
        _ => Err(format!("the name of a guard has 1 to {GUARD_MAX} bytes")),
    }
}

/// The names of all fields.
pub fn names() -> String {
    FIELDS.iter().map(|field| field.name).collect::<Vec<_>>().join(", ")
}

fn shown(span: Duration, unless: Duration) -> Option<String> {
    (span != unless).then(|| span::show(span))
}

fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "yes" | "true" => Ok(true),
        "off" | "no" | "false" => Ok(false),
        _ => Err(format!("'{text}' is neither on nor off")),
    }
}

fn percent(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<u64>().ok();
    let number = number.ok_or_else(|| format!("'{text}' is no whole number of percent"))?;
    if number < 100 {
        Ok(number)
    } else {
        Err(format!("'{text}' would leave nothing of a TTL: it has to be below 100%"))
    }
}

fn beta(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=BETA_MAX).contains(number));
    number.ok_or_else(|| format!("'{text}' is no number from 0 to {BETA_MAX}"))
}

fn absent(text: &str) -> Result<Box<[u8]>, String> {
    match text.len() {
        0 => Err("an empty value cannot be told from one that was set".to_owned()),
        _ if text.contains(char::is_whitespace) => Err("it has blanks, which it must not".to_owned()),
        1..=ABSENT_MAX => Ok(text.as_bytes().into()),
        _ => Err(format!("it is longer than {ABSENT_MAX} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Policy, String> {
        Policy::parse(line.split(' ').filter(|word| !word.is_empty()))
    }

    #[test]
    fn fields_are_read_as_they_are_shown() {
        let line = "lease on lease-wait 500ms lease-time 5s back-off 2s soft-ttl 1m stale-while-revalidate 30s stale-if-error 1h \
                    early-refresh 1.5 ttl-jitter 20% absent-value (none) negative-ttl 10s guard products";
        let shown = |line: &str| {
            parsed(line).unwrap().fields().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>()
        };
        assert_eq!(shown(line).join(" "), line);
        assert_eq!(shown("LEASE yes ttl-jitter 5"), ["lease on", "ttl-jitter 5%"]);
        assert!(parsed("lease off").unwrap() == Policy::default());
        assert_eq!(FIELDS.len(), 12, "each has a place in the line above");
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (line, expected) in [
            ("", "a rule without fields says nothing"),
            ("least on", "a rule has no field 'least'; there are: lease, lease-wait"),
            ("lease", "lease has no value. on or off"),
            ("lease maybe", "lease: 'maybe' is neither on nor off"),
            ("lease on lease off", "lease is given twice"),
            ("lease-wait 1s", "lease-wait needs 'lease on'"),
            ("soft-ttl 1s", "soft-ttl needs 'lease on'"),
            ("early-refresh 1", "early-refresh needs 'lease on'"),
            ("early-refresh -1", "early-refresh: '-1' is no number from 0 to 10"),
            ("lease on lease-time 0s", "lease-time 0 gives nobody"),
            ("lease on lease-wait 20s", "lease-wait is longer than lease-time"),
            ("lease on soft-ttl 0s", "soft-ttl 0"),
            ("lease on stale-while-revalidate 10s stale-if-error 5s", "stale-if-error is shorter than"),
            ("ttl-jitter 100%", "ttl-jitter: '100%' would leave nothing of a TTL"),
            ("ttl-jitter much", "ttl-jitter: 'much' is no whole number of percent"),
            ("absent-value none", "absent-value needs negative-ttl"),
            ("absent-value \t negative-ttl 1s", "absent-value: it has blanks"),
            ("negative-ttl 1s", "negative-ttl needs absent-value"),
            ("guard a{b}", "guard: the name of a guard has neither blanks nor braces"),
            ("soft-ttl 5", "soft-ttl: '5' has no unit that is known"),
        ] {
            let told = parsed(line);
            assert!(told.as_ref().is_err_and(|told| told.starts_with(expected)), "{line}: {told:?}");
        }
    }
}
