//! Finding a tag among the ten of a table line. The fallback for CPUs without a file of their own.

/// A bit for each of the ten tags that equals `tag`.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub fn matches(tags: &[u16; 10], tag: u16) -> u32 {
    let mut bits = 0;
    for (index, &candidate) in tags.iter().enumerate() {
        bits |= u32::from(candidate == tag) << index;
    }
    bits
}

#[cfg(target_arch = "x86_64")]
pub use super::tags_x86_64::matches;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_found_alone_and_together() {
        for place in 0..10 {
            let mut tags = [7u16; 10];
            tags[place] = 0x8001;
            assert_eq!(matches(&tags, 0x8001), 1 << place);
            assert_eq!(matches(&tags, 7), 0x3FF & !(1 << place));
            assert_eq!(matches(&tags, 0), 0);
        }
    }
}
