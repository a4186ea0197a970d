//! What one use of a record counts for, found by letting two answers compete.
//!
//! How much a key that was asked for once deserves to stay depends on the load: where keys come back it should count
//! fully, in a scan hardly at all. Two [`Shadow`]s see the same sample of the keys and run with 1.0 and 0.1; the
//! real stripes follow the one whose hit ratio is ahead by more than 0.2 points, and use 0.5 when neither is. (A
//! share of the real stripes under each answer would be cheaper, but where hot keys happen to lie decides such a
//! comparison.)
//!
//! There is one duel in a node, behind a lock that a caller takes for sampled keys alone: it copies [`Duel::mask`]
//! to where it can be read without the lock, and tests it with [`sampled`].

use super::shadow::Shadow;

/// The two answers that compete.
const FIRSTS: [f32; 2] = [1.0, 0.1];
/// What is used when neither is ahead.
const FIRST_BETWEEN: f32 = 0.5;
/// How far one must be ahead.
const LEAD: f64 = 0.002;
/// Requests the hit ratios are averaged over.
const MEMORY: f64 = 5_000.0;
/// The largest sample is one key in two to this,
const SHIFT_MIN: u32 = 4;
/// and the smallest is one in two to this, enough for 2^31 keys.
const SHIFT_MAX: u32 = 16;
/// When a shadow holds more records, half of the sample is given up.
const RECORDS_MAX: usize = 60_000;

/// See the head of this file.
pub struct Duel {
    capacity: u64,
    shift: u32,
    shadows: [Shadow; 2],
    ratios: [f64; 2],
}

/// Whether a key belongs to the sample that `mask` stands for.
///
/// It looks at low bits of the hash, the shadows at the top 24.
#[inline]
pub fn sampled(mask: u64, hash: u64) -> bool {
    hash & mask == 0
}

impl Duel {
    /// A duel for a node that may hold `capacity` bytes of records.
    pub fn new(capacity: u64) -> Duel {
        Duel { capacity, shift: SHIFT_MIN, shadows: shadows(capacity >> SHIFT_MIN), ratios: [0.0; 2] }
    }

    /// Follows the node's limit.
    pub fn set_capacity(&mut self, capacity: u64) {
        // A smaller node may be better served by a larger share of its keys: begin again and find out.
        let larger_sample = capacity < self.capacity / 2 && self.shift > SHIFT_MIN;
        self.capacity = capacity;
        if larger_sample {
            self.sample(SHIFT_MIN);
        }
        let part = capacity >> self.shift;
        self.shadows.iter_mut().for_each(|shadow| shadow.set_capacity(part));
    }

    /// The mask of the sample, for [`sampled`]. It changes when the node grows: copy it anew after [`Duel::read`]
    /// and [`Duel::write`].
    pub fn mask(&self) -> u64 {
        (1 << self.shift) - 1
    }

    /// Whether the key belongs to the sample; no other may be told to the duel.
    pub fn sampled(&self, hash: u64) -> bool {
        sampled(self.mask(), hash)
    }

    /// A key was asked for; `found` is its footprint if the node had it.
    ///
    /// A shadow that lacks what the node had takes it up at once, for no write will follow.
    pub fn read(&mut self, hash: u64, found: Option<u32>) {
        for (shadow, ratio) in self.shadows.iter_mut().zip(&mut self.ratios) {
            let hit = shadow.read(hash);
            *ratio += (f64::from(u8::from(hit)) - *ratio) / MEMORY;
            if let Some(bytes) = found.filter(|_| !hit) {
                shadow.write(hash, bytes);
            }
        }
        self.bound();
    }

    /// A record of this footprint was stored.
    pub fn write(&mut self, hash: u64, bytes: u32) {
        self.shadows.iter_mut().for_each(|shadow| shadow.write(hash, bytes));
        self.bound();
    }

    /// A key was deleted or has expired.
    pub fn removed(&mut self, hash: u64) {
        self.shadows.iter_mut().for_each(|shadow| shadow.remove(hash));
    }

    /// What one use counts for now: 1.0, 0.5 or 0.1.
    pub fn first(&self) -> f32 {
        let lead = self.ratios[0] - self.ratios[1];
        if lead > LEAD {
            FIRSTS[0]
        } else if lead < -LEAD {
            FIRSTS[1]
        } else {
            FIRST_BETWEEN
        }
    }

    /// Forgets the keys, as after FLUSHALL. The answer stays.
    pub fn clear(&mut self) {
        self.sample(SHIFT_MIN);
    }

    /// Heap bytes held.
    pub fn bytes_used(&self) -> usize {
        self.shadows.iter().map(Shadow::bytes_used).sum()
    }

    fn bound(&mut self) {
        if self.shift < SHIFT_MAX && self.shadows.iter().any(|shadow| shadow.len() > RECORDS_MAX) {
            self.sample(self.shift + 1);
        }
    }

    /// Begins with an empty sample of another size. The ratios stay: what they forget, both forget alike.
    fn sample(&mut self, shift: u32) {
        self.shift = shift;
        self.shadows = shadows(self.capacity >> shift);
    }
}

fn shadows(capacity: u64) -> [Shadow; 2] {
    FIRSTS.map(|first| Shadow::new(first, capacity))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(i: u64) -> u64 {
        let x = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        // All of them sampled, down to the smallest share.
        x << SHIFT_MAX
    }

    fn ask(duel: &mut Duel, key: u64) {
        duel.read(hash(key), None);
        duel.write(hash(key), 100);
    }

    #[test]
    fn neither_leads_at_first_nor_when_all_fits() {
        let mut duel = Duel::new(16 << 20);
        assert_eq!(duel.first(), 0.5);
        (0..50_000).for_each(|i| ask(&mut duel, i % 1_000));
        assert_eq!(duel.first(), 0.5);
    }

    #[test]
    fn a_scan_beside_a_working_set_makes_single_uses_count_little() {
        // A working set that is asked for too seldom to outlast the scan between two of its uses, unless a single
        // use counts little.
        let mut duel = Duel::new(16 * 100_000);
        let mut scan = 1_000_000;
        for i in 0..400_000u64 {
            ask(&mut duel, (hash(i) >> 30) % 1_500);
            scan += 1;
            ask(&mut duel, scan);
        }
        assert_eq!(duel.first(), 0.1, "{:?}", duel.ratios);
    }

    #[test]
    fn keys_that_come_back_once_make_single_uses_count_fully() {
        // Each key is asked for twice, some 200 keys apart, then never again.
        let mut duel = Duel::new(16 * 100_000);
        for i in 0..200_000u64 {
            ask(&mut duel, i);
            if i >= 200 {
                ask(&mut duel, i - 200);
            }
        }
        assert_eq!(duel.first(), 1.0, "{:?}", duel.ratios);
    }

    #[test]
    fn the_sample_shrinks_as_the_node_grows_and_is_a_mask() {
        let mut duel = Duel::new(1 << 34);
        assert_eq!(duel.mask(), 15);
        assert!(duel.sampled(0x10) && !duel.sampled(0x18));
        (0..200_000).for_each(|i| ask(&mut duel, i));
        assert!(duel.mask() > 15 && duel.shadows.iter().all(|shadow| shadow.len() <= RECORDS_MAX + 1));
        assert!(duel.bytes_used() < 3 << 20, "{}", duel.bytes_used());
        duel.set_capacity(1 << 33);
        duel.clear();
        assert_eq!((duel.mask(), duel.bytes_used()), (15, 0));
    }

    #[test]
    fn a_shadow_takes_up_what_the_node_still_has() {
        let mut duel = Duel::new(1 << 20);
        duel.read(hash(1), Some(100));
        assert!(duel.shadows.iter().all(|shadow| shadow.len() == 1));
        duel.removed(hash(1));
        assert!(duel.shadows.iter().all(|shadow| shadow.len() == 0));
    }

    #[test]
    fn a_new_limit_is_kept_by_the_shadows() {
        let mut duel = Duel::new(16 * 100_000);
        (0..2_000).for_each(|i| ask(&mut duel, i));
        duel.set_capacity(16 * 10_000);
        ask(&mut duel, 5_000);
        assert!(duel.shadows.iter().all(|shadow| shadow.len() <= 100), "{}", duel.shadows[0].len());
    }
}
