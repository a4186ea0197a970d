//! Filters against what they promise.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

fn hashes(number: u64) -> Hashes {
    Hashes::of(format!("item:{number}").as_bytes())
}

/// Adds an item as commands do. Returns whether it was new.
fn add(bloom: &mut Bloom, item: Hashes) -> bool {
    let is_new = !bloom.has(item);
    if is_new {
        bloom.add(item).expect("it grows");
    }
    is_new
}

/// How many of so many others are taken for members, as a share.
fn wrong_share(bloom: &Bloom, others: u64) -> f64 {
    let wrong = (0..others).filter(|number| bloom.has(Hashes::of(format!("other:{number}").as_bytes()))).count();
    wrong as f64 / others as f64
}

/// What chance may add to a rate that is measured by so many others: five standard deviations.
fn chance(rate: f64, others: u64) -> f64 {
    5.0 * (rate / others as f64).sqrt()
}

#[test]
fn shapes_are_those_of_redisbloom() {
    // As BF.DEBUG and BF.INFO of RedisBloom 2.6 tell them.
    let shape = Shape::of(100, 0.01 / 2.0).unwrap();
    assert_eq!((shape.bytes(), shape.bits, shape.hashes), (144, 1152, 8));
    let bloom = Bloom::new();
    assert_eq!((bloom.capacity(), bloom.error_rate(), bloom.expansion()), (100, 0.01, Some(2)));
    let fixed = Bloom::reserve(1000, 0.001, None).unwrap();
    assert_eq!((fixed.layers()[0].shape.hashes, fixed.expansion()), (10, None));
}

#[test]
fn what_cannot_be_a_filter_is_refused() {
    for (capacity, rate) in [(0, 0.1), (1, 0.0), (1, 1.0), (1, -0.5), (1, f64::NAN), (1, 1.5)] {
        assert_eq!(Bloom::reserve(capacity, rate, Some(2)).err(), Some(BloomError::Unsound), "{capacity} {rate}");
    }
    for (capacity, rate) in [(u64::MAX, 0.01), (1 << 40, 0.5), (300_000_000, 0.001), (1 << 31, f64::MIN_POSITIVE)] {
        assert_eq!(Bloom::reserve(capacity, rate, Some(2)).err(), Some(BloomError::TooLarge), "{capacity} {rate}");
    }
}

#[test]
fn a_large_filter_takes_memory_only_as_it_is_filled() {
    let mut bloom = Bloom::reserve(100_000_000, 0.01, Some(2)).unwrap();
    assert!(bloom.bit_bytes() > 130_000_000);
    assert!(bloom.bytes() < 200_000);
    assert!(add(&mut bloom, hashes(1)));
    assert!(bloom.bytes() < 400_000);
}

#[test]
fn the_rate_holds_at_capacity() {
    for (capacity, rate) in [(50, 0.1), (1000, 0.01), (1000, 0.3), (20_000, 0.001)] {
        for expansion in [None, Some(2)] {
            let mut bloom = Bloom::reserve(capacity, rate, expansion).unwrap();
            (0..capacity).for_each(|number| _ = add(&mut bloom, hashes(number)));
            assert!((0..capacity).all(|number| bloom.has(hashes(number))));
            assert_eq!(bloom.layers().len(), 1);
            let wrong = wrong_share(&bloom, 50_000);
            assert!(wrong <= rate + chance(rate, 50_000), "{capacity} {rate} {expansion:?}: {wrong}");
        }
    }
}

#[test]
fn it_grows_and_the_rate_holds() {
    for expansion in [1, 2, 4] {
        let rate = 0.02;
        let mut bloom = Bloom::reserve(300, rate, Some(expansion)).unwrap();
        (0..6000).for_each(|number| _ = add(&mut bloom, hashes(number)));
        assert!((0..6000).all(|number| bloom.has(hashes(number))));
        assert!(bloom.layers().len() > 2);
        assert!(bloom.layers().windows(2).all(|two| two[1].shape.error_rate == two[0].shape.error_rate / 2.0));
        let wrong = wrong_share(&bloom, 50_000);
        assert!(wrong <= rate + chance(rate, 50_000), "{expansion}: {wrong}");
    }
}

#[test]
fn one_that_is_not_to_grow_is_full_and_one_that_has_grown_enough_too() {
    let mut fixed = Bloom::reserve(2, 0.01, None).unwrap();
    (0..2).for_each(|number| assert_eq!(fixed.add(hashes(number)), Ok(())));
    assert!(!fixed.has_room());
    assert_eq!(fixed.add(hashes(2)), Err(BloomError::Full));
    assert_eq!(fixed.len(), 2);
    let mut slow = Bloom::reserve(1, 0.5, Some(1)).unwrap();
    let last = (0..1000).find_map(|number| slow.add(hashes(number)).err());
    assert_eq!((last, slow.layers().len()), (Some(BloomError::Grown), LAYERS_MAX));
    assert!(!slow.has_room());
}

#[test]
fn layers_that_were_read_are_checked() {
    let sound = Shape::of(100, 0.01).unwrap();
    let told = |shape: Shape| Bloom::without_layers(Some(2)).push_layer(shape, 3);
    assert_eq!(told(sound), Ok(()));
    for wrong in [
        Shape { capacity: 0, ..sound },
        Shape { error_rate: f64::NAN, ..sound },
        Shape { error_rate: 1.0, ..sound },
        Shape { bits: 0, ..sound },
        Shape { bits: 65, ..sound },
        Shape { hashes: 8, ..sound },
        Shape { hashes: u32::MAX, bits_per_item: f64::INFINITY, ..sound },
        Shape { hashes: 0, bits_per_item: 0.0, ..sound },
    ] {
        assert_eq!(told(wrong), Err(BloomError::Unsound), "{wrong:?}");
    }
    assert_eq!(told(Shape { bits: LAYER_BYTES_MAX * 8 + 64, ..sound }), Err(BloomError::TooLarge));
    let mut many = Bloom::without_layers(Some(2));
    let large = Shape { bits: LAYER_BYTES_MAX * 8, ..sound };
    let refused = (0..100).position(|_| many.push_layer(large, 0).is_err());
    assert_eq!(refused, Some((BYTES_MAX / LAYER_BYTES_MAX) as usize));
    assert!(many.bytes() < 8 << 20, "what is merely announced takes little: {}", many.bytes());
}

#[test]
fn bits_are_written_where_they_were_read() {
    let mut bloom = Bloom::reserve(20_000, 0.01, Some(2)).unwrap();
    (0..30_000).for_each(|number| _ = add(&mut bloom, hashes(number)));
    let mut copy = Bloom::without_layers(bloom.expansion());
    bloom.layers().iter().for_each(|layer| copy.push_layer(layer.shape, layer.items).unwrap());
    let mut at = 0;
    while let Some((layer, inner)) = bloom.layer_at(at) {
        let part = layer.bytes_from(inner).next().unwrap();
        let part = &part[..part.len().min(5000)];
        copy.write(at, part).unwrap();
        at += part.len() as u64;
    }
    assert_eq!(at, bloom.bit_bytes());
    assert!((0..30_000).all(|number| copy.has(hashes(number))));
    for (one, other) in bloom.layers().iter().zip(copy.layers()) {
        assert!(one.bytes_from(0).flatten().eq(other.bytes_from(0).flatten()));
    }
    assert_eq!(copy.write(at, b"x"), Err(BloomError::Unsound));
    assert_eq!(copy.write(at - 1, b"xy"), Err(BloomError::Unsound));
    assert_eq!(copy.write(u64::MAX, b"x"), Err(BloomError::Unsound));
}

proptest! {
    #[test]
    fn no_member_is_ever_denied_and_clones_stay_as_they_were(
        capacity in 1u64..400,
        rate in 0.0001f64..0.9,
        expansion in 1u32..5,
        items in prop::collection::vec(0u64..2000, 1..600),
        cut in 0usize..600,
    ) {
        let mut bloom = Bloom::reserve(capacity, rate, Some(expansion)).unwrap();
        let (mut members, mut clone) = (HashSet::new(), None);
        for (number, item) in items.iter().enumerate() {
            if number == cut {
                clone = Some((bloom.clone(), bloom.len()));
            }
            if !bloom.has(hashes(*item)) {
                // A filter of one item that barely grows may be full.
                if bloom.add(hashes(*item)).is_err() {
                    prop_assert_eq!(bloom.layers().len(), LAYERS_MAX);
                    continue;
                }
            }
            members.insert(*item);
        }
        prop_assert!(members.iter().all(|item| bloom.has(hashes(*item))));
        prop_assert!(bloom.len() <= members.len() as u64);
        if let Some((clone, len)) = clone {
            prop_assert_eq!(clone.len(), len);
            prop_assert!(items[..cut].iter().filter(|item| members.contains(item)).all(|item| clone.has(hashes(*item)) || clone.layers().len() == LAYERS_MAX));
        }
    }
}
