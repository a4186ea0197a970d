//! Loading a value anew before it expires.

/// Whether a value is to be loaded anew though it is fresh for `left_ms` more: with a probability that rises the nearer its expiry is,
/// as measured by what it costs. `random` is between 0 and 1 and not 0. (XFetch: Vattani, Chierichetti and Lowenstein 2015, "Optimal
/// Probabilistic Cache Stampede Prevention", VLDB.)
pub fn is_refreshed_early(left_ms: u64, cost_ms: u64, beta: f64, random: f64) -> bool {
    cost_ms as f64 * beta * -random.ln() >= left_ms as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_the_expiry_the_likelier_is_a_refresh() {
        let share =
            |left_ms| (1..1000).filter(|n| is_refreshed_early(left_ms, 100, 1.0, f64::from(*n) / 1000.0)).count();
        // The share is exp(-left / cost).
        assert!((360..376).contains(&share(100)), "{}", share(100));
        assert!((130..140).contains(&share(200)), "{}", share(200));
        assert!(share(2_000) == 0 && share(0) == 999);
        assert!(!is_refreshed_early(1, 0, 1.0, 0.001), "what it costs is not known");
    }
}
