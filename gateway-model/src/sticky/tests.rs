#![expect(clippy::cast_precision_loss, reason = "counts of a test are small")]

use proptest::prelude::*;

use super::*;
use crate::{
    condition::tests::Asked,
    key::GatewayKey,
    weight::{self, apportion},
};

fn weight(hundredths: u16) -> Weight {
    Weight::from_hundredths(hundredths).unwrap()
}

fn user(number: u64) -> UserKey {
    UserKey(hash::finish(number))
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("(1.{index}.0)")).collect()
}

fn choose(user: UserKey, names: &[String], weights: &[Weight]) -> Option<usize> {
    choose_route(user, names.iter().map(String::as_str).zip(weights.iter().copied()))
}

fn choose_parts(user: UserKey, names: &[String], parts: &[u64]) -> Option<usize> {
    choose_by_parts(user, names.iter().map(String::as_str).zip(parts.iter().copied()))
}

/// Weights that add up to 100 %, of as many routes as `count` says; some may be 0.
fn weights(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Weight>> {
    let parts = prop::collection::vec(prop_oneof![1 => Just(0_u64), 5 => 0_u64..1_000], count);
    parts
        .prop_filter("a share", |parts| parts.iter().any(|part| *part > 0))
        .prop_map(|parts| apportion(Weight::FULL, &parts))
}

/// Whether a count is within five standard deviations (and one) of what a binomial distribution has.
fn is_likely(count: u64, trials: u64, share: f64) -> bool {
    let trials = trials as f64;
    (count as f64 - trials * share).abs() <= 5.0 * (trials * share * (1.0 - share)).sqrt() + 1.0
}

fn endpoints(count: u32) -> Vec<SocketAddr> {
    (0..count)
        .map(|number| SocketAddr::new(std::net::Ipv4Addr::from(0x0a00_0000 + number).into(), 80))
        .collect()
}

proptest! {
    #![proptest_config(crate::tests::cases(2_000))]

    #[test]
    fn of_two_routes_raising_a_weight_moves_users_one_way(
        mut steps in prop::collection::vec(0_u16..=10_000, 2..12), first in any::<u64>(),
    ) {
        steps.sort_unstable();
        let names = names(2);
        for number in 0..30 {
            let user = user(first.wrapping_add(number));
            let mut raised = false;
            for step in &steps {
                let current = [weight(10_000), Weight::ZERO];
                let weights = weight::set(&current, &[None, Some(weight(*step))], true).unwrap();
                let takes = choose(user, &names, &weights) == Some(1);
                prop_assert!(takes || !raised, "left at {step}");
                raised = takes;
            }
            prop_assert!(raised || *steps.last().unwrap() < 10_000);
        }
    }

    #[test]
    fn from_one_base_raising_a_share_moves_users_to_that_route_and_nobody_else(
        base in weights(2..8), riser in 0_usize..8, mut steps in prop::collection::vec(0_u16..=10_000, 2..10), first in any::<u64>(),
    ) {
        steps.sort_unstable();
        let (names, riser) = (names(base.len()), riser % base.len());
        for number in 0..30 {
            let user = user(first.wrapping_add(number));
            let mut before = None;
            for step in &steps {
                let now = choose_parts(user, &names, &rising(&base, riser, weight(*step)));
                if let Some(before) = before {
                    prop_assert!(now == before || now == Some(riser), "{before:?} to {now:?} at {step}");
                }
                before = Some(now);
            }
        }
    }

    #[test]
    fn a_user_leaves_a_route_only_for_one_whose_weight_has_grown_against_it(
        before in weights(6..7), after in weights(6..7), first in any::<u64>(),
    ) {
        let names = names(6);
        for number in 0..100 {
            let user = user(first.wrapping_add(number));
            let (from, to) = (choose(user, &names, &before).unwrap(), choose(user, &names, &after).unwrap());
            // after[to] / after[from] > before[to] / before[from], multiplied out.
            let grown = u64::from(after[to].hundredths()) * u64::from(before[from].hundredths())
                > u64::from(before[to].hundredths()) * u64::from(after[from].hundredths());
            prop_assert!(from == to || grown, "from {from} to {to}");
        }
    }

    #[test]
    fn a_weight_rebalanced_in_exact_proportion_moves_nobody_else(
        parts in prop::collection::vec(1_u16..=20, 2..5), mut steps in prop::collection::vec(1_u16..=100, 2..8), first in any::<u64>(),
    ) {
        // The others have `part` in `sum` of what the riser leaves, which is a multiple of `sum`.
        let sum: u16 = parts.iter().sum();
        let names = names(parts.len() + 1);
        steps.sort_unstable_by(|a, b| b.cmp(a));
        for number in 0..30 {
            let user = user(first.wrapping_add(number));
            let mut current: Vec<Weight> = apportion(weight(100 * sum), &parts.iter().map(|part| u64::from(*part)).collect::<Vec<_>>());
            current.push(weight(10_000 - 100 * sum));
            let mut before = choose(user, &names, &current);
            for step in &steps {
                let share = weight(10_000 - step * sum);
                let mut changes = vec![None; parts.len()];
                changes.push(Some(share));
                current = weight::set(&current, &changes, true).unwrap();
                let now = choose(user, &names, &current);
                prop_assert!(now == before || now == Some(parts.len()));
                before = now;
            }
        }
    }

    #[test]
    fn edits_that_lead_back_to_the_start_give_every_user_his_route_again(
        start in weights(4..5),
        edits in prop::collection::vec((prop::collection::vec(prop::option::of(0_u16..=10_000), 4), any::<bool>()), 0..6),
        first in any::<u64>(),
    ) {
        let names = names(4);
        let choices = |weights: &[Weight]| (0..30).map(|number| choose(user(first.wrapping_add(number)), &names, weights)).collect::<Vec<_>>();
        let before = choices(&start);
        let mut current = start.clone();
        for (given, rebalance) in edits {
            let given: Vec<_> = given.into_iter().map(|one| one.map(weight)).collect();
            current = weight::set(&current, &given, rebalance).unwrap_or(current);
            choices(&current);
        }
        let back: Vec<_> = start.iter().map(|weight| Some(*weight)).collect();
        current = weight::set(&current, &back, false).unwrap();
        prop_assert_eq!(choices(&current), before);
    }

    #[test]
    fn the_order_of_routes_does_not_matter(weights in weights(1..9), turn in 0_usize..9, first in any::<u64>()) {
        let names = names(weights.len());
        let mut turned: Vec<(String, Weight)> = names.iter().cloned().zip(weights.iter().copied()).collect();
        turned.rotate_left(turn % weights.len());
        if turn % 2 == 0 {
            turned.reverse();
        }
        for number in 0..30 {
            let user = user(first.wrapping_add(number));
            let chosen = choose(user, &names, &weights).unwrap();
            let other = choose_route(user, turned.iter().map(|(name, weight)| (name.as_str(), *weight))).unwrap();
            prop_assert_eq!(&names[chosen], &turned[other].0);
        }
    }

    #[test]
    fn users_of_a_route_that_cannot_serve_are_lent_and_come_back(
        weights in weights(2..8), down in 0_usize..8, first in any::<u64>(),
    ) {
        let (names, down) = (names(weights.len()), down % weights.len());
        let mut lent = weights.clone();
        lent[down] = Weight::ZERO;
        for number in 0..30 {
            let user = user(first.wrapping_add(number));
            let own = choose(user, &names, &weights).unwrap();
            let meanwhile = choose(user, &names, &lent);
            if own != down {
                prop_assert_eq!(meanwhile, Some(own), "only users of the route that is down move");
            }
            prop_assert_ne!(meanwhile, Some(down));
            prop_assert_eq!(choose(user, &names, &weights), Some(own), "back");
        }
    }

    #[test]
    fn a_route_of_nothing_has_no_users(weights in weights(1..8), first in any::<u64>()) {
        let names = names(weights.len());
        for number in 0..30 {
            let chosen = choose(user(first.wrapping_add(number)), &names, &weights).unwrap();
            prop_assert!(!weights[chosen].is_zero());
        }
        prop_assert_eq!(choose(user(first), &names, &vec![Weight::ZERO; names.len()]), None);
    }

    #[test]
    fn removing_an_endpoint_moves_only_its_users(count in 1_u32..20, gone in 0_usize..20, turn in 0_usize..20, first in any::<u64>()) {
        let all = endpoints(count);
        let (gone, turn) = (gone % all.len(), turn % all.len());
        let mut fewer = all.clone();
        fewer.remove(gone);
        if !fewer.is_empty() {
            let turn = turn % fewer.len();
            fewer.rotate_left(turn);
        }
        for number in 0..30 {
            let user = user(first.wrapping_add(number));
            let before = all[choose_endpoint(user, &all).unwrap()];
            let after = choose_endpoint(user, &fewer).map(|index| fewer[index]);
            prop_assert_eq!(after.is_none(), fewer.is_empty());
            if before != all[gone] {
                prop_assert_eq!(after, Some(before));
            }
        }
    }

    #[test]
    fn raising_a_strength_lets_go_of_nobody(low in 0_u16..=10_000, high in 0_u16..=10_000, first in any::<u64>()) {
        let (low, high) = (low.min(high), low.max(high));
        for number in 0..100 {
            let user = user(first.wrapping_add(number));
            prop_assert!(captures(user, "Has Header a", weight(high)) || !captures(user, "Has Header a", weight(low)));
            prop_assert!(captures(user, "Has Header a", Weight::FULL));
            prop_assert!(!captures(user, "Has Header a", Weight::ZERO));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, rng_seed: proptest::test_runner::RngSeed::Fixed(4), ..ProptestConfig::default() })]

    #[test]
    fn shares_of_users_are_the_weights(weights in weights(1..12), first in any::<u64>()) {
        const USERS: u64 = 40_000;
        let names = names(weights.len());
        let mut counts = vec![0_u64; weights.len()];
        for number in 0..USERS {
            counts[choose(user(first.wrapping_add(number)), &names, &weights).unwrap()] += 1;
        }
        for (count, weight) in counts.iter().zip(&weights) {
            prop_assert!(is_likely(*count, USERS, weight.percent() / 100.0), "{counts:?} for {weights:?}");
        }
    }

    #[test]
    fn rebalancing_moves_hardly_anybody_between_the_others(weights in weights(3..8), riser in 0_usize..8, up in 1_u16..=2_000, first in any::<u64>()) {
        const USERS: u64 = 40_000;
        let (names, riser) = (names(weights.len()), riser % weights.len());
        let share = weight((weights[riser].hundredths() + up).min(9_900));
        let mut changes = vec![None; weights.len()];
        changes[riser] = Some(share);
        let Ok(after) = weight::set(&weights, &changes, true) else { return Ok(()) };
        if after[riser] < weights[riser] {
            return Ok(());
        }
        let mut strays = 0;
        for number in 0..USERS {
            let user = user(first.wrapping_add(number));
            let (from, to) = (choose(user, &names, &weights).unwrap(), choose(user, &names, &after).unwrap());
            strays += u64::from(from != to && to != riser);
        }
        // At most 0.01 % for each of the others.
        let bound = 0.0001 * (weights.len() - 1) as f64;
        let users = USERS as f64;
        prop_assert!(strays as f64 <= users * bound + 5.0 * (users * bound).sqrt() + 1.0, "{strays} of {USERS}");
    }

    #[test]
    fn a_condition_captures_its_strength_and_its_part_of_the_rest(weights in weights(2..6), route in 0_usize..6, strength in 0_u16..=10_000, first in any::<u64>()) {
        const USERS: u64 = 40_000;
        let (names, route) = (names(weights.len()), route % weights.len());
        let takes = |number: u64| {
            let user = user(first.wrapping_add(number));
            captures(user, "Has Cookie beta", weight(strength)) || choose(user, &names, &weights) == Some(route)
        };
        let count = (0..USERS).filter(|number| takes(*number)).count() as u64;
        let (s, w) = (f64::from(strength) / 10_000.0, weights[route].percent() / 100.0);
        prop_assert!(is_likely(count, USERS, s + (1.0 - s) * w), "{count} of {USERS}: {s} {w}");
    }
}

#[test]
fn endpoints_have_equal_parts_of_the_users_and_no_route_prefers_one() {
    const USERS: u64 = 100_000;
    for (count, port) in [(2, 80), (7, 80), (100, 8_080)] {
        let mut endpoints = endpoints(count);
        for endpoint in &mut endpoints {
            endpoint.set_port(port);
        }
        let mut counts = vec![[0_u64; 2]; count as usize];
        for number in 0..USERS {
            let user = user(number);
            let route = choose_route(user, [("(1)", weight(5_000)), ("(2)", weight(5_000))]).unwrap();
            counts[choose_endpoint(user, &endpoints).unwrap()][route] += 1;
        }
        for count_of_it in counts.iter().flatten() {
            assert!(is_likely(*count_of_it, USERS, 0.5 / f64::from(count)), "{counts:?}");
        }
    }
    assert_eq!(choose_endpoint(user(1), &[]), None);
}

#[test]
fn users_are_the_same_on_every_machine_and_in_every_release() {
    let weights = [weight(8_000), weight(1_500), weight(500)];
    let chosen: Vec<_> = (0..24).map(|number| choose(user(number), &names(3), &weights).unwrap()).collect();
    assert_eq!(chosen, PINNED_ROUTES);
    let chosen: Vec<_> =
        (0..24).map(|number| choose_endpoint(user(number), &endpoints(5)).unwrap()).collect();
    assert_eq!(chosen, PINNED_ENDPOINTS);
}

const PINNED_ROUTES: [usize; 24] = [0, 1, 0, 1, 0, 0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const PINNED_ENDPOINTS: [usize; 24] =
    [1, 4, 1, 4, 4, 2, 3, 2, 1, 3, 4, 4, 2, 1, 0, 0, 3, 2, 2, 2, 3, 0, 4, 2];

fn users(by: By) -> Users {
    Users::new(&GatewayKey::new("default", "foo"), by)
}

fn keys() -> Keys {
    Keys::new(&[1; 32], None).unwrap()
}

#[test]
fn a_user_is_known_by_what_the_gateway_says_and_by_nothing_else() {
    let client = |text: &str| Asked { client: text.parse().unwrap(), ..Asked::default() };
    let header = |value| Asked { headers: vec![("X-User", value)], ..Asked::default() };
    let find = |by: By, asked: &Asked| users(by).find(asked, Some(&keys()));
    assert_eq!(find(By::Client, &client("192.0.2.1")), find(By::Client, &client("::ffff:192.0.2.1")));
    assert_ne!(find(By::Client, &client("192.0.2.1")), find(By::Client, &client("192.0.2.2")));
    let by = || By::Header("x-user".to_owned());
    assert_eq!(find(by(), &header(" ann ")), Some(users(by()).key(b"ann")));
    assert_ne!(find(by(), &header("ann")), find(by(), &header("bob")));
    assert_eq!(find(by(), &header(" ")), None);
    assert_eq!(find(by(), &Asked::default()), None);
    let token = |value| Asked { headers: vec![("Authorization", value)], ..Asked::default() };
    let by = || By::Claim("sub".to_owned());
    // {"sub":"ann"} and {"sub":"bob"}.
    assert_eq!(find(by(), &token("Bearer e30.eyJzdWIiOiJhbm4ifQ.x")), Some(users(by()).key(b"ann")));
    assert_eq!(find(by(), &token("Bearer e30.eyJzdWIiOiJib2IifQ.x")), Some(users(by()).key(b"bob")));
    assert_eq!(find(by(), &token("Basic YW5uOmJvYg==")), None);
}

#[test]
fn a_user_without_a_good_cookie_is_unknown_until_he_gets_one() {
    let users = users(By::Cookie);
    let cookie = users.cookie().expect("they are known by it");
    let value = cookie.issue([9; ID_LENGTH], &keys());
    let ask = |value: &str| {
        let line: &'static str = format!("{}={value}", cookie.name()).leak();
        users.find(&Asked { headers: vec![("cookie", line)], ..Asked::default() }, Some(&keys()))
    };
    assert_eq!(ask(&value), Some(users.key(&[9; ID_LENGTH])), "as for the request that it was issued for");
    assert_eq!(ask("forged"), None);
    assert_eq!(users.find(&Asked::default(), None), None, "no keys, no cookies");
    assert_eq!(self::users(By::Client).cookie(), None);
}

#[test]
fn gateways_know_the_same_user_by_different_keys() {
    let other = Users::new(&GatewayKey::new("default", "bar"), By::Client);
    let split = [("(1)", weight(5_000)), ("(2)", weight(5_000))];
    let both = (0..10_000_u32).filter(|number| {
        let asked =
            Asked { client: std::net::Ipv4Addr::from(0x0a00_0000 + number).into(), ..Asked::default() };
        let route = |users: &Users| choose_route(users.find(&asked, Some(&keys())).unwrap(), split);
        route(&users(By::Client)) == route(&other)
    });
    assert!(is_likely(both.count() as u64, 10_000, 0.5));
}

#[test]
fn sticky_is_written_as_people_read_it() {
    for (sticky, text) in [
        (Sticky { keep: Keep::Route, by: By::Cookie }, r#"{"keep":"route","by":"cookie"}"#),
        (Sticky { keep: Keep::Instance, by: By::Client }, r#"{"keep":"instance","by":"client"}"#),
        (
            Sticky { keep: Keep::Route, by: By::Header("X-User".into()) },
            r#"{"keep":"route","by":{"header":"X-User"}}"#,
        ),
        (
            Sticky { keep: Keep::Route, by: By::Claim("sub".into()) },
            r#"{"keep":"route","by":{"claim":"sub"}}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&sticky).unwrap(), text);
        assert_eq!(serde_json::from_str::<Sticky>(text).unwrap(), sticky);
    }
    assert_eq!(serde_json::from_str::<Sticky>(r#"{"keep":"route"}"#).unwrap().by, By::Cookie);
    assert!(serde_json::from_str::<Sticky>(r#"{"keep":"pod"}"#).is_err());
}

#[test]
fn rising_parts_have_the_share_and_keep_the_others_in_proportion() {
    let base = [weight(5_000), weight(3_000), weight(2_000)];
    assert_eq!(rising(&base, 2, weight(1_000)), [5_000 * 9_000, 3_000 * 9_000, 1_000 * 8_000]);
    assert_eq!(rising(&base, 2, Weight::FULL), [0, 0, 10_000 * 8_000]);
    assert_eq!(rising(&base, 2, Weight::ZERO), [5_000 * 10_000, 3_000 * 10_000, 0]);
    assert_eq!(rising(&[weight(10_000)], 0, weight(100)), [100]);
}
