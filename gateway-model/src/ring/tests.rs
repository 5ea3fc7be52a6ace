#![expect(clippy::cast_precision_loss, reason = "counts of a test are small")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::plan::diff::count_moved;

fn address(number: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, (number / 250) as u8, (number % 250) as u8 + 1], 8080))
}

fn route(name: &str, hundredths: u16, endpoints: std::ops::Range<usize>) -> RingRoute {
    RingRoute {
        name: RouteName(name.to_owned()),
        weight: Weight::from_hundredths(hundredths).unwrap(),
        endpoints: endpoints.map(address).collect(),
    }
}

/// Ring after every route and endpoint was counted against its exact share.
fn checked(size: u32, seed: u64, routes: &[RingRoute]) -> Ring {
    let ring = assign(size, seed, routes);
    let sum: f64 = routes
        .iter()
        .filter(|route| !route.endpoints.is_empty())
        .map(|route| f64::from(route.weight.hundredths()))
        .sum();
    let shares = ring.shares();
    let mut counts: BTreeMap<&(RouteName, SocketAddr), u32> = BTreeMap::new();
    for slot in 0..ring.slots.len() {
        *counts.entry(ring.endpoint(slot).expect("no slot refuses")).or_default() += 1;
    }
    for route in routes {
        let slots = shares.get(&route.name).copied().unwrap_or(0);
        if route.weight.is_zero() || route.endpoints.is_empty() {
            assert_eq!(slots, 0, "{} has nothing", route.name);
            continue;
        }
        let exact = f64::from(route.weight.hundredths()) / sum * f64::from(size);
        assert!((f64::from(slots) - exact).abs() < 1.0, "{}: {slots} slots of {exact}", route.name);
        let fair = f64::from(slots) / route.endpoints.len() as f64;
        for endpoint in &route.endpoints {
            let count = counts.get(&(route.name.clone(), *endpoint)).copied().unwrap_or(0);
            let off = (f64::from(count) - fair).abs();
            assert!(off <= (fair * 0.02).max(2.0), "{endpoint}: {count} slots of {fair}");
        }
    }
    ring
}

#[test]
fn the_smallest_weight_has_a_slot() {
    for hundredths in 1..=5 {
        let ring = checked(
            4_096,
            7,
            &[route("(1.0.3)", 10_000 - hundredths, 0..2), route("(2.0.1)", hundredths, 2..3)],
        );
        assert!(ring.shares().contains_key(&RouteName("(2.0.1)".to_owned())), "{hundredths}");
    }
}

/// Slots that moved beyond those that had to, in parts of the ring.
fn excess(old: &Ring, new: &Ring, must: f64) -> f64 {
    count_moved(old, new) as f64 / new.slots.len() as f64 - must
}

prop_compose! {
    fn routes()(parts in prop::collection::vec((0_u16..=3_000, 0_usize..12), 1..9)) -> Vec<RingRoute> {
        let mut first = 0;
        parts.into_iter().enumerate().map(|(index, (weight, endpoints))| {
            let range = first..first + endpoints;
            first += endpoints;
            route(&format!("({index}.0)"), weight, range)
        }).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn routes_are_exact_within_a_slot_and_endpoints_within_two_or_two_percent(
        routes in routes(), seed in any::<u64>(),
    ) {
        let serving = routes.iter().any(|route| !route.weight.is_zero() && !route.endpoints.is_empty());
        if serving {
            checked(4_096, seed, &routes);
        } else {
            prop_assert_eq!(assign(4_096, seed, &routes), Ring::nobody(4_096));
        }
    }

    #[test]
    fn order_of_routes_and_endpoints_does_not_matter(
        (routes, shuffled) in routes().prop_flat_map(|routes| (Just(routes.clone()), Just(routes).prop_shuffle())),
    ) {
        let mut shuffled = shuffled;
        for route in &mut shuffled {
            route.endpoints.reverse();
        }
        prop_assert_eq!(assign(1_024, 7, &routes), assign(1_024, 7, &shuffled));
    }

    #[test]
    fn a_weight_edit_moves_hardly_more_than_it_must(
        from in 1_u16..10_000, to in 1_u16..10_000, endpoints in 1_usize..12, seed in any::<u64>(),
    ) {
        let ring = |share: u16| checked(4_096, seed, &[
            route("(1.0.3)", 10_000 - share, 0..endpoints),
            route("(2.0.1)", share, 100..100 + endpoints),
        ]);
        let (old, new) = (ring(from), ring(to));
        let name = |ring: &Ring, slot| ring.endpoint(slot).unwrap().0.clone();
        let moved = (0..4_096).filter(|slot| name(&old, *slot) != name(&new, *slot)).count() as f64;
        let must = f64::from(from.abs_diff(to)) / 10_000.0 * 4_096.0;
        prop_assert!((moved - must).abs() <= 1.0, "{moved} slots change their route, {must} must");
        // Endpoints of a route that shrinks or grows are evened out as well.
        let excess = excess(&old, &new, must / 4_096.0);
        prop_assert!(excess <= 0.03, "{excess}");
    }

    #[test]
    fn adding_and_removing_an_endpoint_gives_the_same_ring(count in 1_usize..40, seed in any::<u64>()) {
        let ring = |count| assign(4_096, seed, &[route("(1)", 10_000, 0..count)]);
        let (before, with) = (ring(count), ring(count + 1));
        prop_assert_eq!(&before, &ring(count));
        let excess = excess(&before, &with, 1.0 / (count + 1) as f64);
        prop_assert!(excess <= 0.025, "{excess}");
    }
}

#[test]
fn one_endpoint_more_or_less_moves_hardly_more_than_it_must() {
    for (size, count) in [(65_536, 10), (65_536, 100), (65_536, 1_000)] {
        let ring = |range| checked(size, 3, &[route("(1)", 10_000, range)]);
        let without_first = excess(&ring(0..count), &ring(1..count), 1.0 / count as f64);
        println!("{size} slots, {count} endpoints: {:.3}% more than needed", without_first * 100.0);
        assert!(without_first <= 0.005, "{size}/{count}: {without_first}");
    }
}

#[test]
fn a_large_ring_takes_a_weight_edit_without_moving_half_a_percent_too_much() {
    let ring = |share: u16| {
        checked(65_536, 3, &[route("(1.0.3)", 10_000 - share, 0..10), route("(2.0.1)", share, 100..110)])
    };
    for (from, to) in [(500, 5_000), (1, 10), (5_000, 9_900)] {
        let must = f64::from(u16::abs_diff(from, to)) / 10_000.0;
        let excess = excess(&ring(from), &ring(to), must);
        println!("{from} to {to}: {:.3}% more than needed", excess * 100.0);
        assert!(excess <= 0.005, "{excess}");
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
        .map(|index| route(&format!("({index})"), 1 + index as u16, index * 3..index * 3 + 3))
        .collect();
    routes.push(route("(big)", 4_950, 900..910));
    checked(65_536, 5, &routes);
}

#[test]
fn a_ring_is_the_same_in_every_release() {
    let ring = assign(32, 0, &[route("(1)", 7_500, 0..2), route("(2)", 2_500, 2..4)]);
    let winners: Vec<u32> = ring.slots.to_vec();
    assert_eq!(
        winners,
        [1, 2, 1, 1, 0, 3, 0, 2, 1, 0, 1, 0, 2, 3, 1, 0, 0, 1, 2, 1, 3, 0, 0, 3, 1, 0, 0, 1, 1, 0, 0, 1]
    );
}
