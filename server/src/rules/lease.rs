//! Who is sent to load a value that is missing or stale, and what the others get meanwhile.
//!
//! A plain client that is answered nil loads the value and sets it. So the first that asks is told nil, which is its *lease*; the others
//! get the old value, wait, or are told nil once they have waited long enough. (Nishtala and others 2013, "Scaling Memcache at Facebook",
//! section 3.2.1, have leases for clients that know of them.)

/// Loads in a row that came to nothing after which a key without an old value is left alone for a while: it may be that nobody ever sets it.
const VAIN_MAX: u8 = 3;

/// How much longer each rest after a vain load is than the one before, as a power of two, at most.
const REST_SHIFT_MAX: u8 = 5;

/// How the lease of a key stands. Times are in milliseconds of a clock that never jumps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The connection that has it; 0 if nobody has.
    holder: u64,
    /// Its number among all that were granted.
    token: u64,
    since_ms: u64,
    until_ms: u64,
    /// Loads in a row that came to nothing.
    vain: u8,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The holder is loading.
    Held,
    /// Nobody is sent for now: the last load came to nothing.
    Resting,
    /// Everybody is told nil for now: nobody sets this key.
    Exempt,
    /// The holder has left: whoever asks next has it.
    Free,
}

/// What a rule says of leases, and what may be done for who asks.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The number of the lease, if one is granted.
    pub token: u64,
    /// How long a load may take, and a rest after one that came to nothing.
    pub lease_ms: u64,
    pub rest_ms: u64,
    /// How long others may wait; 0 if who asks must not.
    pub wait_ms: u64,
    /// Whether there is an old value that may be served while somebody loads, and while nobody is sent to.
    pub has_stale: bool,
    pub has_stale_if_error: bool,
    /// Whether the connection speaks for many clients, of whom one may have the lease and another ask.
    pub is_shared: bool,
}

/// What who asks gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nil, and with it the lease.
    Granted,
    /// The old value.
    Stale,
    /// Nothing for now: it waits for so long at most.
    Wait(u64),
    /// Nil, without the lease.
    Nil,
}

impl Lease {
    /// The lease of the first who asks.
    pub fn granted(who: u64, now_ms: u64, terms: &Terms) -> Lease {
        let until_ms = now_ms + terms.lease_ms;
        Lease { holder: who, token: terms.token, since_ms: now_ms, until_ms, vain: 0, state: State::Held }
    }

    /// What a connection gets that asks now.
    pub fn ask(&mut self, who: u64, now_ms: u64, terms: &Terms) -> Verdict {
        if self.state == State::Held && now_ms >= self.until_ms {
            self.came_to_nothing(now_ms, terms);
        }
        match self.state {
            State::Held if self.holder == who && !terms.is_shared => Verdict::Nil,
            State::Held if terms.has_stale => Verdict::Stale,
            State::Held if terms.wait_ms > 0 => Verdict::Wait(terms.wait_ms.min(self.until_ms - now_ms)),
            State::Held => Verdict::Nil,
            State::Resting if now_ms < self.until_ms && terms.has_stale_if_error => Verdict::Stale,
            State::Exempt if now_ms < self.until_ms => Verdict::Nil,
            State::Resting | State::Exempt | State::Free => self.grant(who, now_ms, terms),
        }
    }

    fn grant(&mut self, who: u64, now_ms: u64, terms: &Terms) -> Verdict {
        *self = Lease { vain: self.vain, ..Lease::granted(who, now_ms, terms) };
        Verdict::Granted
    }

    /// The holder has not set the key in time.
    fn came_to_nothing(&mut self, now_ms: u64, terms: &Terms) {
        self.vain = self.vain.saturating_add(1);
        let rest_ms = terms.rest_ms << (self.vain - 1).min(REST_SHIFT_MAX);
        (self.state, self.until_ms) = match () {
            () if terms.has_stale_if_error => (State::Resting, now_ms + rest_ms),
            () if self.vain >= VAIN_MAX => (State::Exempt, now_ms + rest_ms),
            () => (State::Free, now_ms),
        };
    }

    /// The connection has gone. Returns whether the lease was its: the next who asks has it then.
    pub fn left(&mut self, who: u64) -> bool {
        let was_its = self.state == State::Held && self.holder == who;
        if was_its {
            (self.holder, self.state) = (0, State::Free);
        }
        was_its
    }

    /// Whether this is the lease of that number, and nobody else has been sent since.
    pub fn is(&self, token: u64) -> bool {
        self.state == State::Held && self.token == token
    }

    /// The key was set. Returns how long that took since the lease was granted, if somebody has it.
    pub fn took_ms(&self, now_ms: u64) -> Option<u64> {
        (self.state == State::Held).then(|| now_ms.saturating_sub(self.since_ms))
    }

    /// Whether its time is past, though what came of it may still count.
    pub fn is_past(&self, now_ms: u64) -> bool {
        now_ms >= self.until_ms
    }

    /// Whether it may be forgotten: nothing would be decided by it any more.
    pub fn is_over(&self, now_ms: u64) -> bool {
        // What came of earlier loads counts for a while longer.
        now_ms >= self.until_ms.saturating_add(60_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Granted, Nil, Stale, Wait};

    const BARE: Terms = Terms {
        token: 7,
        lease_ms: 1000,
        rest_ms: 200,
        wait_ms: 0,
        has_stale: false,
        has_stale_if_error: false,
        is_shared: false,
    };

    #[test]
    fn one_is_sent_and_others_wait_or_are_told_nil() {
        let mut lease = Lease::granted(1, 0, &BARE);
        assert_eq!(lease.ask(2, 10, &BARE), Nil);
        assert_eq!(lease.ask(1, 10, &BARE), Nil, "it has it already");
        let patient = Terms { wait_ms: 500, ..BARE };
        assert_eq!(lease.ask(2, 10, &patient), Wait(500));
        assert_eq!(lease.ask(2, 900, &patient), Wait(100), "the lease ends before");
        assert_eq!(lease.ask(2, 950, &Terms { has_stale: true, ..patient }), Stale);
        assert_eq!(lease.took_ms(120), Some(120));
    }

    #[test]
    fn a_number_is_that_of_one_lease() {
        let mut lease = Lease::granted(1, 0, &BARE);
        assert!(lease.is(7) && !lease.is(8));
        let next = Terms { token: 8, ..BARE };
        // It is late, but nobody was sent since.
        assert!(lease.is(7));
        assert_eq!(lease.ask(2, 1000, &next), Granted);
        assert!(lease.is(8) && !lease.is(7));
        lease.left(2);
        assert!(!lease.is(8));
    }

    #[test]
    fn who_leaves_hands_over_and_so_does_who_is_late() {
        let mut lease = Lease::granted(1, 0, &BARE);
        assert!(!lease.left(2) && lease.left(1) && !lease.left(1));
        assert_eq!(lease.took_ms(5), None);
        assert_eq!(lease.ask(2, 10, &BARE), Granted);
        assert_eq!(lease.ask(3, 1009, &BARE), Nil);
        assert_eq!(lease.ask(3, 1010, &BARE), Granted);
    }

    #[test]
    fn after_a_vain_load_the_old_value_is_served_for_a_rest_that_grows() {
        let terms = Terms { has_stale: true, has_stale_if_error: true, ..BARE };
        let mut lease = Lease::granted(1, 0, &terms);
        let mut now = 0;
        for rest in [200, 400, 800, 1600, 3200, 6400, 6400] {
            assert_eq!(lease.ask(2, now + 999, &terms), Stale);
            now += 1000;
            assert_eq!(lease.ask(2, now, &terms), Stale, "nobody is sent now");
            now += rest;
            assert_eq!(lease.ask(2, now - 1, &terms), Stale);
            assert_eq!(lease.ask(3, now, &terms), Granted);
        }
    }

    #[test]
    fn a_key_that_nobody_sets_is_left_alone() {
        let mut lease = Lease::granted(1, 0, &BARE);
        assert_eq!(lease.ask(1, 1000, &BARE), Granted);
        assert_eq!(lease.ask(1, 2000, &BARE), Granted);
        assert_eq!([lease.ask(1, 3000, &BARE), lease.ask(2, 3001, &BARE)], [Nil; 2]);
        assert_eq!(lease.ask(2, 3799, &BARE), Nil);
        assert_eq!(lease.ask(2, 3800, &BARE), Granted);
        assert!(!lease.is_over(60_000) && lease.is_over(64_800));
    }
}
