#![expect(clippy::cast_precision_loss, reason = "counts of a test are small")]

use std::{net::SocketAddr, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{
    condition::{Condition, tests::Asked},
    gateway::Balance,
    key::{GatewayKey, RouteName},
    plan::l7::{L7Condition, L7Route},
    weight,
};

fn endpoint() -> Arc<[SocketAddr]> {
    Arc::from([SocketAddr::from(([10, 0, 0, 1], 80))])
}

fn route(name: &str, hundredths: u16, endpoints: Arc<[SocketAddr]>) -> L7Route {
    L7Route {
        name: RouteName(name.to_owned()),
        weight: Weight::from_hundredths(hundredths).unwrap(),
        balance: Balance::P2c,
        endpoints,
        chained: None,
    }
}

/// A gateway with these weights, and conditions {route, strength in percent, text}.
fn gateway(weights: &[u16], conditions: &[(usize, u16, &str)]) -> L7Gateway {
    let routes = weights
        .iter()
        .enumerate()
        .map(|(index, weight)| route(&format!("({index:03})"), *weight, endpoint()));
    let conditions = conditions.iter().map(|(route, strength, text)| L7Condition {
        route: *route,
        strength: Weight::from_hundredths(strength * 100).unwrap(),
        condition: Condition::parse(text).unwrap(),
    });
    L7Gateway::new(GatewayKey::new("default", "foo"), routes.collect(), conditions.collect())
}

fn weights() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(0_u64..1_000, 1..12).prop_map(|parts| {
        weight::apportion(Weight::FULL, &parts).into_iter().map(Weight::hundredths).collect()
    })
}

/// Asserts that after each of `picks` picks every route is within `bound` of its share.
fn assert_even(
    gateway: &L7Gateway,
    picker: &mut Picker,
    request: &Asked,
    picks: usize,
    shares: &[f64],
    bound: f64,
) -> Result<(), TestCaseError> {
    let mut counts = vec![0_u32; gateway.routes.len()];
    for n in 1..=picks {
        counts[gateway.decide(request, picker).expect("a route serves")] += 1;
        for (count, share) in counts.iter().zip(shares) {
            let off = (f64::from(*count) - n as f64 * share).abs();
            prop_assert!(off < bound, "after {} picks {} off: {:?} of {:?}", n, off, counts, shares);
        }
    }
    Ok(())
}

fn parts(weights: &[u16]) -> Vec<f64> {
    weights.iter().map(|weight| f64::from(*weight) / 10_000.0).collect()
}

proptest! {
    #![proptest_config(crate::tests::cases(2_000))]

    #[test]
    fn after_n_picks_every_route_is_within_two_of_its_share(weights in weights(), seed in any::<u64>()) {
        prop_assume!(weights.iter().any(|weight| *weight > 0));
        let (gateway, mut picker) = (gateway(&weights, &[]), Picker::new(seed));
        assert_even(&gateway, &mut picker, &Asked::default(), 1_000, &parts(&weights), 2.0)?;
    }

    #[test]
    fn a_changed_weight_holds_from_the_next_pick_on(
        changes in prop::collection::vec((prop::collection::vec(1_u64..1_000, 4), 1_usize..150), 1..8), seed in any::<u64>(),
    ) {
        let mut picker = Picker::new(seed);
        for (parts_of_it, picks) in changes {
            let weights: Vec<u16> = weight::apportion(Weight::FULL, &parts_of_it).into_iter().map(Weight::hundredths).collect();
            assert_even(&gateway(&weights, &[]), &mut picker, &Asked::default(), picks, &parts(&weights), 2.0)?;
        }
    }

    #[test]
    fn requests_of_each_condition_and_of_none_are_even_by_themselves_however_they_mix(
        changes in prop::collection::vec(weights(), 1..4), asked in prop::collection::vec(0_usize..3, 1..400), seed in any::<u64>(),
    ) {
        let mut picker = Picker::new(seed);
        for weights in changes.iter().filter(|weights| weights.iter().any(|weight| *weight > 0)) {
            let gateway = gateway(weights, &[(0, 0, "Has Header a"), (0, 0, "Has Header b")]);
            let mut counts = vec![[0_u32; 3]; weights.len()];
            let mut totals = [0_u32; 3];
            for which in &asked {
                let headers = [vec![("a", "")], vec![("b", "")], vec![]];
                let request = Asked { headers: headers[*which].clone(), ..Asked::default() };
                counts[gateway.decide(&request, &mut picker).expect("a route serves")][*which] += 1;
                totals[*which] += 1;
                for (count, share) in counts.iter().zip(parts(weights)) {
                    let off = (f64::from(count[*which]) - f64::from(totals[*which]) * share).abs();
                    prop_assert!(off < 2.0, "{counts:?} of {totals:?} for {weights:?}");
                }
            }
        }
    }

    #[test]
    fn a_condition_captures_its_strength_and_its_part_of_the_rest(
        weights in weights(), strength in 0_u16..=100, route in 0_usize..12, seed in any::<u64>(),
    ) {
        prop_assume!(weights.iter().any(|weight| *weight > 0));
        let route = route % weights.len();
        let gateway = gateway(&weights, &[(route, strength, "Has Header a")]);
        let request = Asked { headers: vec![("a", "1")], ..Asked::default() };
        let s = f64::from(strength) / 100.0;
        let mut shares: Vec<f64> = parts(&weights).into_iter().map(|w| (1.0 - s) * w).collect();
        shares[route] += s;
        // Two sequences one after the other, each within two.
        assert_even(&gateway, &mut Picker::new(seed), &request, 400, &shares, 4.0)?;
    }

    #[test]
    fn one_percent_of_a_hundred_requests_is_one(seed in any::<u64>()) {
        let (gateway, mut picker) = (gateway(&[9_900, 100], &[]), Picker::new(seed));
        for _ in 0..5 {
            let picked = (0..100).filter(|_| gateway.decide(&Asked::default(), &mut picker) == Some(1)).count();
            prop_assert_eq!(picked, 1);
        }
    }
}

#[test]
fn pickers_begin_at_points_of_their_own() {
    let gateway = gateway(&[9_000, 1_000], &[]);
    let first =
        (0..1_000).filter(|seed| gateway.decide(&Asked::default(), &mut Picker::new(*seed)) == Some(1));
    let first = first.count();
    assert!((60..=140).contains(&first), "{first} of 1000 pickers begin with the route of 10 %");
}

#[test]
fn the_first_requests_of_many_pickers_are_shared_out_by_weight() {
    // Rare routes included: each has its part of every request, not only of those after its first turn.
    let weights = [8_999, 900, 90, 10, 1];
    let (gateway, mut counts) = (gateway(&weights, &[]), [[0_u32; 5]; 3]);
    for seed in 0..100_000 {
        let mut picker = Picker::new(seed);
        for counts in &mut counts {
            counts[gateway.decide(&Asked::default(), &mut picker).expect("a route serves")] += 1;
        }
    }
    for (count, weight) in counts.iter().flat_map(|counts| counts.iter().zip(&weights)) {
        let mean = 10.0 * f64::from(*weight);
        let off = (f64::from(*count) - mean).abs();
        assert!(off <= 5.0 * (mean * (1.0 - mean / 100_000.0)).sqrt() + 1.0, "{counts:?}");
    }
}

#[test]
fn an_unrelated_change_does_not_disturb_the_sequence() {
    let (before, after) =
        (gateway(&[7_000, 3_000], &[]), gateway(&[7_000, 3_000], &[(1, 100, "Has Header a")]));
    let request = Asked::default();
    let (mut steady, mut changing) = (Picker::new(5), Picker::new(5));
    for step in 0..200 {
        let expected = before.decide(&request, &mut steady);
        let gateway = if step % 3 == 0 { &after } else { &before };
        assert_eq!(gateway.decide(&request, &mut changing), expected, "step {step}");
    }
}

#[test]
fn the_first_condition_that_matches_decides_and_no_later_one_is_tried() {
    let gateway = gateway(
        &[10_000, 0, 0],
        &[(1, 0, "Has Header a"), (2, 100, "Has Header a"), (2, 100, "Has Header b")],
    );
    let mut picker = Picker::new(1);
    let ask = |headers| Asked { headers, ..Asked::default() };
    for _ in 0..10 {
        assert_eq!(
            gateway.decide(&ask(vec![("a", "")]), &mut picker),
            Some(0),
            "strength 0: the weighted pick"
        );
        assert_eq!(gateway.decide(&ask(vec![("b", "")]), &mut picker), Some(2), "captured at weight 0");
        assert_eq!(gateway.decide(&ask(vec![]), &mut picker), Some(0));
    }
}

#[test]
fn a_route_without_endpoints_is_never_picked_and_lends_its_weight() {
    let none: Arc<[SocketAddr]> = Arc::from([]);
    let condition = L7Condition {
        route: 0,
        strength: Weight::FULL,
        condition: Condition::parse("Has Header a").unwrap(),
    };
    let routes =
        vec![route("(a)", 9_000, none.clone()), route("(b)", 1_000, endpoint()), route("(c)", 0, endpoint())];
    let gateway = L7Gateway::new(GatewayKey::new("default", "foo"), routes, vec![condition]);
    let request = Asked { headers: vec![("a", "1")], ..Asked::default() };
    let mut picker = Picker::new(9);
    for _ in 0..50 {
        assert_eq!(gateway.decide(&request, &mut picker), Some(1));
        assert_eq!(gateway.decide(&Asked::default(), &mut picker), Some(1));
    }
    let empty = L7Gateway::new(
        GatewayKey::new("default", "foo"),
        vec![route("(a)", 10_000, none), route("(c)", 0, endpoint())],
        vec![],
    );
    assert_eq!(
        empty.decide(&Asked::default(), &mut picker),
        None,
        "0 % takes nothing, even from a route that is gone"
    );
}
