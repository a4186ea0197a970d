//! The system's limit on open files and sockets, which `maxclients` needs to be below.

/// Descriptors that a node needs beside those of its clients: its log, its sockets, its runtimes, files it reads.
const OWN: u64 = 64;

/// What the system allows after [`raise`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Open files and sockets at once.
    pub descriptors: u64,
    /// Whether the limit had to be raised.
    pub is_raised: bool,
}

impl Allowed {
    /// How many clients that is enough for.
    pub fn clients(self) -> u64 {
        self.descriptors.saturating_sub(OWN)
    }
}

/// Raises the limit of open files so that so many clients can be connected, and logs what came of it.
///
/// Returns how many clients there can be.
pub fn make_room_for(clients: u64) -> u64 {
    let allowed = raise(clients.saturating_add(OWN));
    let (limit, possible) = (allowed.descriptors, allowed.clients());
    if possible < clients {
        tracing::warn!(
            limit,
            "the system allows {limit} open files: {possible} of maxclients' {clients} clients can connect. \
             Raise the limit (ulimit -Hn, or LimitNOFILE of the service), or lower maxclients"
        );
    } else if allowed.is_raised {
        tracing::info!(limit, "the limit of open files is raised for {clients} clients");
    }
    possible
}

/// Raises the soft limit of open files to at least `wanted`, as far as the hard limit goes.
#[cfg(unix)]
pub fn raise(wanted: u64) -> Allowed {
    let Some(limit) = limits() else {
        return Allowed { descriptors: u64::MAX, is_raised: false };
    };
    if limit.rlim_cur >= wanted {
        return Allowed { descriptors: limit.rlim_cur, is_raised: false };
    }
    let target = libc::rlimit { rlim_cur: wanted.min(limit.rlim_max), rlim_max: limit.rlim_max };
    // SAFETY: the pointer is to a local of the right type, which the call reads.
    let is_set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &target) } == 0;
    let descriptors = if is_set { target.rlim_cur } else { limit.rlim_cur };
    Allowed { descriptors, is_raised: descriptors > limit.rlim_cur }
}

#[cfg(unix)]
fn limits() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a local of the right type, which the call fills.
    (unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0).then_some(limit)
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub fn raise(_: u64) -> Allowed {
    Allowed { descriptors: u64::MAX, is_raised: false }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes_and_never_lowered() {
        let before = limits().expect("unix has this limit");
        assert_eq!(raise(1), Allowed { descriptors: before.rlim_cur, is_raised: false });
        let most = raise(u64::MAX);
        assert!(most.descriptors >= before.rlim_cur && most.descriptors <= before.rlim_max, "{most:?}");
        assert_eq!(raise(1).descriptors, most.descriptors);
    }

    #[test]
    fn a_node_keeps_some_for_itself() {
        assert_eq!(Allowed { descriptors: 1000, is_raised: false }.clients(), 1000 - OWN);
        assert_eq!(Allowed { descriptors: 10, is_raised: false }.clients(), 0);
    }
}
