//! How much more than it must an edit moves. What must move: what changes hands if every share is exact.
//!
//! `cargo bench -p gateway-model --bench rings excess` measures more of the same.

use super::*;
use crate::plan::diff::count_moved;

/// The most, in parts of the ring, that may move beyond need.
const PROMISE: f64 = 0.005;

/// Slots that moved beyond those that had to, in parts of the ring.
fn excess(old: &Ring, new: &Ring, must: f64) -> f64 {
    count_moved(old, new) as f64 / new.slots.len() as f64 - must
}

/// Excess of one endpoint more for a route that has the ring for itself.
fn excess_of_one_more(size: u32, seed: u64, count: usize) -> f64 {
    let ring = |count| assign(size, seed, &[route("(1)", 1, 0..count)]);
    excess(&ring(count), &ring(count + 1), 1.0 / (count + 1) as f64)
}

/// Excess of a change of weights between two routes, in hundredths of a percent.
fn excess_of_weights(size: u32, seed: u64, endpoints: usize, from: u64, to: u64) -> f64 {
    let ring = |share: u64| {
        let old = route("(1.0.3)", 10_000 - share, 0..endpoints);
        assign(size, seed, &[old, route("(2.0.1)", share, 1_000..1_000 + endpoints)])
    };
    excess(&ring(from), &ring(to), from.abs_diff(to) as f64 / 10_000.0)
}

proptest! {
    #![proptest_config(crate::tests::cases(24))]

    #[test]
    fn one_endpoint_of_300_moves_at_most_half_a_percent_too_much_of_65536_slots(
        count in prop_oneof![1_usize..10, 10_usize..100, 100_usize..300], seed in any::<u64>(),
    ) {
        let excess = excess_of_one_more(65_536, seed, count);
        prop_assert!(excess <= PROMISE, "{excess}");
    }

    #[test]
    fn one_endpoint_of_1000_moves_at_most_six_tenths_of_a_percent_too_much_of_65536_slots(
        count in 300_usize..1_000, seed in any::<u64>(),
    ) {
        let excess = excess_of_one_more(65_536, seed, count);
        prop_assert!(excess <= 0.006, "{excess}");
    }

    #[test]
    fn a_weight_moves_at_most_half_a_percent_too_much_of_65536_slots(
        endpoints in 1_usize..=10, from in 1_u64..10_000, to in 1_u64..10_000, seed in any::<u64>(),
    ) {
        let excess = excess_of_weights(65_536, seed, endpoints, from, to);
        prop_assert!(excess <= PROMISE, "{excess}");
    }

    #[test]
    fn one_of_ten_routes_more_moves_at_most_one_percent_too_much_of_65536_slots(
        endpoints in 1_usize..=10, seed in any::<u64>(),
    ) {
        let all: Vec<RingRoute> = (0..11)
            .map(|index| route(&format!("({index})"), 1, index * 20..index * 20 + endpoints)).collect();
        let excess = excess(&assign(65_536, seed, &all[..10]), &assign(65_536, seed, &all), 1.0 / 11.0);
        prop_assert!(excess <= 0.01, "{excess}");
    }
}

proptest! {
    #![proptest_config(crate::tests::cases(100))]

    #[test]
    fn one_endpoint_moves_at_most_one_percent_too_much_of_16384_slots(
        count in 1_usize..=100, seed in any::<u64>(),
    ) {
        let excess = excess_of_one_more(16_384, seed, count);
        prop_assert!(excess <= 0.01, "{excess}");
    }

    #[test]
    fn one_endpoint_of_a_hundred_in_ten_routes_moves_at_most_seven_tenths_percent_too_much_of_4096_slots(
        seed in any::<u64>(),
    ) {
        let mut all: Vec<RingRoute> =
            (0..10).map(|index| route(&format!("({index})"), 1, index * 10..index * 10 + 10)).collect();
        let with = assign(4_096, seed, &all);
        all[0].endpoints.pop();
        let excess = excess(&with, &assign(4_096, seed, &all), 0.01);
        prop_assert!(excess <= 0.007, "{excess}");
    }
}

proptest! {
    #![proptest_config(crate::tests::cases(500))]

    #[test]
    fn one_endpoint_moves_at_most_two_and_a_half_percent_too_much_of_4096_slots(
        count in 1_usize..=100, seed in any::<u64>(),
    ) {
        let excess = excess_of_one_more(4_096, seed, count);
        prop_assert!(excess <= 0.025, "{excess}");
    }

    #[test]
    fn weights_of_two_routes_with_an_endpoint_each_move_what_they_must(
        bits in 8_u32..=12, from in 1_u64..10_000, to in 1_u64..10_000, seed in any::<u64>(),
    ) {
        let size = 1 << bits;
        let excess = excess_of_weights(size, seed, 1, from, to);
        prop_assert!(excess <= 1.0 / f64::from(size), "{excess}");
    }
}

#[test]
fn one_endpoint_moves_half_a_percent_too_much_of_4096_slots_on_average_up_to_ten() {
    for count in [1, 2, 3, 5, 10] {
        let mean = (0..100).map(|seed| excess_of_one_more(4_096, seed, count)).sum::<f64>() / 100.0;
        assert!(mean <= PROMISE, "{count}: {mean}");
        assert_eq!(size_for(count), 4_096);
    }
}
