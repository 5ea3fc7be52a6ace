#![expect(clippy::cast_precision_loss, reason = "counts of a test are small")]

mod edits;
mod memory;
mod optimum;

use std::{collections::BTreeMap, ops::Range};

use proptest::prelude::*;

use super::*;
use crate::plan::l4::Slots;
pub(super) use optimum::assert_cheapest;

fn address(number: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, (number / 250) as u8, (number % 250) as u8 + 1], 8080))
}

fn route(name: &str, weight: u64, endpoints: Range<usize>) -> RingRoute {
    RingRoute { name: RouteName(name.to_owned()), weight, endpoints: endpoints.map(address).collect() }
}

/// Panics unless every route and endpoint has its exact share, as exactly as is promised.
fn check(ring: &Ring, routes: &[RingRoute]) {
    let serves = |route: &&RingRoute| route.weight > 0 && !route.endpoints.is_empty();
    let sum: f64 = routes.iter().filter(serves).map(|route| route.weight as f64).sum();
    let shares = ring.shares();
    let mut counts: BTreeMap<&(RouteName, SocketAddr), u32> = BTreeMap::new();
    for slot in 0..ring.slots.len() {
        *counts.entry(ring.endpoint(slot).expect("no slot refuses")).or_default() += 1;
    }
    for route in routes {
        let slots = shares.get(&route.name).copied().unwrap_or(0);
        if !serves(&route) {
            assert_eq!(slots, 0, "{} has nothing", route.name);
            continue;
        }
        let exact = route.weight as f64 / sum * ring.slots.len() as f64;
        assert!((f64::from(slots) - exact).abs() < 1.0, "{}: {slots} slots of {exact}", route.name);
        let fair = f64::from(slots) / route.endpoints.len() as f64;
        for endpoint in &route.endpoints {
            let count = counts.get(&(route.name.clone(), *endpoint)).copied().unwrap_or(0);
            let off = (f64::from(count) - fair).abs();
            assert!(off <= (fair * 0.02).max(2.0), "{endpoint}: {count} slots of {fair}");
        }
    }
}

/// The ring after [`check`].
fn checked(size: u32, seed: u64, routes: &[RingRoute]) -> Ring {
    let ring = assign(size, seed, routes);
    check(&ring, routes);
    ring
}

prop_compose! {
    fn routes(most: usize)(
        parts in prop::collection::vec((0_u64..=3_000, 0..most), 1..9),
    ) -> Vec<RingRoute> {
        let mut first = 0;
        parts.into_iter().enumerate().map(|(index, (weight, endpoints))| {
            let range = first..first + endpoints;
            first += endpoints;
            route(&format!("({index}.0)"), weight, range)
        }).collect()
    }
}

proptest! {
    #![proptest_config(crate::tests::cases(1_000))]

    #[test]
    fn routes_are_exact_within_a_slot_and_endpoints_within_two_or_two_percent(
        routes in routes(12), bits in 8_u32..=12, seed in any::<u64>(),
    ) {
        let size = 1 << bits;
        if routes.iter().any(|route| route.weight > 0 && !route.endpoints.is_empty()) {
            checked(size, seed, &routes);
        } else {
            prop_assert!(assign(size, seed, &routes) == Ring::nobody(size));
        }
    }

    #[test]
    fn order_of_routes_and_endpoints_does_not_matter(
        (routes, shuffled) in routes(40).prop_flat_map(|routes| (Just(routes.clone()), Just(routes).prop_shuffle())),
        seed in any::<u64>(),
    ) {
        let mut shuffled = shuffled;
        for route in &mut shuffled {
            route.endpoints.reverse();
            route.endpoints.extend_from_within(..route.endpoints.len() / 2);
        }
        prop_assert!(assign(1_024, seed, &routes) == assign(1_024, seed, &shuffled));
    }

    #[test]
    fn weights_are_shares_in_any_unit(
        routes in routes(6), unit in 1_u64..=u64::MAX / 3_000, seed in any::<u64>(),
    ) {
        let scaled: Vec<RingRoute> =
            routes.iter().map(|route| RingRoute { weight: route.weight * unit, ..route.clone() }).collect();
        prop_assert!(assign(512, seed, &routes) == assign(512, seed, &scaled));
    }

    #[test]
    fn a_weight_above_zero_has_a_slot(
        weights in prop::collection::vec(prop_oneof![1_u64..10, 1_u64..=1_000_000_000_000], 1..30),
        seed in any::<u64>(),
    ) {
        let routes: Vec<RingRoute> = weights.iter().enumerate()
            .map(|(index, weight)| route(&format!("({index})"), *weight, index..index + 1)).collect();
        prop_assert!(assign(256, seed, &routes).shares().len() == routes.len());
    }

    #[test]
    fn adding_and_removing_an_endpoint_gives_the_same_ring(count in 1_usize..60, seed in any::<u64>()) {
        let mut endpoints = route("(1)", 1, 0..count);
        let before = assign(512, seed, std::slice::from_ref(&endpoints));
        endpoints.endpoints.insert(count / 2, address(200));
        let mut memo = Memo::default();
        let with = memo.assign(512, seed, std::slice::from_ref(&endpoints));
        endpoints.endpoints.remove(count / 2);
        prop_assert!(before != with);
        prop_assert!(before == memo.assign(512, seed, &[endpoints]));
    }
}

proptest! {
    #![proptest_config(crate::tests::cases(40))]

    #[test]
    fn a_crowd_is_even_within_two_slots_or_two_percent(
        first in 1_usize..700, second in 0_usize..300, share in 1_u64..10_000, bits in 9_u32..=15,
        seed in any::<u64>(),
    ) {
        let routes = [route("(1)", share, 0..first), route("(2)", 10_000 - share, 1_000..1_000 + second)];
        checked(1 << bits, seed, &routes);
    }
}

#[test]
fn a_hundredth_of_a_percent_gets_its_slots_of_a_large_ring() {
    let ring = checked(65_536, 1, &[route("(1)", 9_999, 0..3), route("(2)", 1, 10..13)]);
    assert_eq!(ring.shares()[&RouteName("(2)".to_owned())], 7);
}

#[test]
fn many_routes_of_very_different_weights_are_exact() {
    let mut routes: Vec<RingRoute> = (0..100)
        .map(|index| route(&format!("({index})"), 1 + index as u64, index * 3..index * 3 + 3))
        .collect();
    routes.push(route("(big)", 4_950, 900..910));
    checked(16_384, 5, &routes);
}

#[test]
fn more_endpoints_than_slots_leave_some_without() {
    checked(16, 1, &[route("(1)", 1, 0..1_000)]);
}

#[test]
fn more_endpoints_than_a_ring_can_name_leave_some_without() {
    let mut memo = Memo::default();
    let routes = [route("a", 1, 0..40_000), route("b", 1, 40_000..80_000)];
    let ring = memo.assign(65_536, 1, &routes);
    assert!(ring.members.len() <= Ring::MEMBERS && ring.slots.iter().all(|slot| slot != Slots::NOBODY));
    let fewer = [route("a", 1, 0..39_999), route("b", 1, 40_000..80_000)];
    assert_eq!(memo.assign(65_536, 1, &fewer).shares().into_values().collect::<Vec<_>>(), [32_768; 2]);
}

#[test]
fn sizes_are_powers_of_two_up_to_the_largest() {
    let routes = [route("(1)", 1, 0..1)];
    for (asked, size) in [(0, 1), (1, 1), (3, 4), (65_536, 65_536), (u32::MAX, 65_536)] {
        assert_eq!(assign(asked, 0, &routes).slots.len(), size);
    }
}

#[test]
fn a_ring_is_the_same_in_every_release() {
    let ring = assign(32, 0, &[route("(1)", 3, 0..2), route("(2)", 1, 2..4)]);
    assert_eq!(
        ring.slots.iter().collect::<Vec<_>>(),
        [1, 2, 1, 1, 1, 3, 0, 2, 1, 0, 1, 0, 2, 3, 1, 0, 0, 1, 2, 1, 3, 0, 0, 3, 1, 0, 0, 1, 1, 0, 0, 1]
    );
    // A crowd takes another way.
    let ring = assign(4_096, 0, &[route("(1)", 1, 0..100)]);
    let sum = ring.slots.iter().fold(0, |sum, member| crate::hash::mix(sum, u64::from(member)));
    assert_eq!(sum, 12_283_033_443_451_410_727);
}
