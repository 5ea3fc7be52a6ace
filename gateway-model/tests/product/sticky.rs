//! Section 5: who gets which version.

use gateway_model::{
    condition::Condition,
    plan::l4::Target,
    ring::{RingRoute, assign},
    sticky::{self, By, Cookie, ID_LENGTH, Keys, UserKey, Users, choose_endpoint, choose_route},
};

use super::*;

fn keys() -> Keys {
    Keys::new(&[1; 32], None).expect("long enough")
}

/// The user that is known to the gateway `foo` by what the request says.
fn user(by: By, asked: &Asked) -> Option<UserKey> {
    Users::new(&key("foo"), by).find(asked, Some(&keys()))
}

/// The request with a cookie of the gateway `foo`.
fn with_cookie(value: &str) -> Asked {
    with_header("Cookie", &format!("a=b; {}={value}", Cookie::new(&key("foo")).name()))
}

/// The routes of a thousand users where version 2 has this weight, the others what is left.
fn chosen(two: &str) -> Vec<usize> {
    let rest = 10_000 - share(two).hundredths();
    let left = weight::apportion(Weight::from_hundredths(rest).expect("less than all"), &[1, 1]);
    let routes = [("(1)", left[0]), ("(2)", share(two)), ("(3)", left[1])];
    (0..1_000).map(|user| choose_route(UserKey(user), routes).expect("one has weight")).collect()
}

/// A gateway whose users keep their route, of two with the same weight.
fn halves(more: &str) -> String {
    format!("{}sticky: route\nroutes: {{(1): {{weight: 50%}}, (2): {{weight: 50%{more}}}}}\n", on("http"))
}

fn on_port() -> Asked {
    Asked { port: 9_000, ..request() }
}

// First bullet.

#[test]
fn in_the_kernel_it_is_one_choice_per_connection_over_a_ring() {
    let agent = Agent::of(&format!("{}{}", on("tcp"), routes("50%", "25%", "25%")), &three_pods());
    assert_eq!(agent.l4().target, Target::Ring);
    assert_eq!(
        agent.slots(),
        [("(1)", 512), ("(2)", 256), ("(3)", 256)].map(|(n, s)| (n.to_owned(), s)).into()
    );
}

#[test]
fn a_ring_is_exact_to_one_slot_of_65536() {
    let weights = [("(1)", 6_660_u32), ("(2)", 3_339), ("(3)", 1)];
    let routes = weights.map(|(name, hundredths)| RingRoute {
        name: route(name),
        weight: hundredths.into(),
        endpoints: vec![([10, 0, 0, 1], 80).into()],
    });
    let ring = assign(65_536, 1, &routes);
    let shares = ring.shares();
    for (name, hundredths) in weights {
        let exact = f64::from(hundredths) * 6.5536;
        let slots = f64::from(shares[&route(name)]);
        assert!((slots - exact).abs() < 1.0, "{name}: {slots} for {exact}");
    }
}

#[test]
fn in_the_proxy_it_is_one_choice_per_request() {
    let agent = Agent::of(&format!("{FOO_INGRESS}{}", routes("50%", "50%", "0%")), &three_pods());
    assert_eq!(agent.takes(&request()), [("(1)", 50), ("(2)", 50)].into());
}

#[test]
fn one_percent_of_a_hundred_requests_is_one() {
    let agent = Agent::of(&format!("{FOO_INGRESS}{}", routes("99%", "1%", "0%")), &three_pods());
    let gateway = agent.host("foo.bar.com").unwrap();
    for seed in 0..50 {
        let taken = take(gateway, &request(), &mut Picker::new(seed), 100);
        assert_eq!(taken, [("(1)", 99), ("(2)", 1)].into(), "{seed}");
    }
}

#[test]
fn the_sequence_starts_at_a_phase_of_its_own_per_node_and_gateway() {
    let other = FOO_INGRESS.replace("foo-ingress", "other").replace("foo.bar", "b");
    let agent =
        Agent::of(&format!("{FOO_INGRESS}{0}---\n{other}{0}", routes("50%", "50%", "0%")), &three_pods());
    let starts = |host: &str, nodes: std::ops::Range<u64>| -> Vec<Option<usize>> {
        let gateway = agent.host(host).unwrap();
        nodes.map(|node| gateway.decide(&request(), &mut Picker::new(node))).collect()
    };
    let one = starts("foo.bar.com", 0..40);
    assert!(one.contains(&Some(0)) && one.contains(&Some(1)), "nodes: {one:?}");
    assert_ne!(one, starts("b.com", 0..40), "gateways");
}

// Second bullet.

#[test]
fn the_user_keeps_his_version() {
    let agent = Agent::of(&halves(""), &three_pods());
    let routes = |user: u32| -> Vec<_> {
        (0..3).map(|_| agent.explain(&on_port(), Some(&user.to_string())).route.unwrap().0).collect()
    };
    for user in 0..100 {
        let routes = routes(user);
        assert!(routes.iter().all(|route| *route == routes[0]), "{user}: {routes:?}");
    }
}

#[test]
fn a_cookie_is_secure_under_tls_and_always_http_only_and_lax() {
    let cookie = Cookie::new(&key("foo"));
    let plain = cookie.set("value", false);
    assert!(
        plain.contains("; HttpOnly") && plain.contains("; SameSite=Lax") && !plain.contains("Secure"),
        "{plain}"
    );
    assert_eq!(cookie.set("value", true), format!("{plain}; Secure"));
}

#[test]
fn a_cookie_is_signed() {
    let cookie = Cookie::new(&key("foo"));
    let value = cookie.issue([7; ID_LENGTH], &keys());
    assert_eq!(cookie.read(&with_cookie(&value), &keys()), Some([7; ID_LENGTH]));
    let other = Keys::new(&[2; 32], None).unwrap();
    assert_eq!(cookie.read(&with_cookie(&value), &other), None, "by another key");
}

#[test]
fn cookies_of_the_previous_key_are_good_and_new_ones_are_signed_by_the_current_one() {
    let cookie = Cookie::new(&key("foo"));
    let rotated = Keys::new(&[2; 32], Some(&[1; 32])).unwrap();
    let old = cookie.issue([7; ID_LENGTH], &keys());
    assert_eq!(cookie.read(&with_cookie(&old), &rotated), Some([7; ID_LENGTH]));
    let new = cookie.issue([7; ID_LENGTH], &rotated);
    assert_eq!(cookie.read(&with_cookie(&new), &keys()), None);
}

#[test]
fn a_user_is_known_by_cookie_address_header_or_claim() {
    let cookie = Cookie::new(&key("foo")).issue([7; ID_LENGTH], &keys());
    // The payload is {"sub":"ann"}.
    let token = with_header("Authorization", "Bearer e30.eyJzdWIiOiJhbm4ifQ.x");
    for (field, asked) in [
        ("route", with_cookie(&cookie)),
        ("{keep: route, by: client}", request()),
        ("{keep: route, header: X-User}", with_header("x-user", "ann")),
        ("{keep: route, claim: sub}", token),
    ] {
        let foo = &read(&format!("{}sticky: {field}\n", on("http")))[0];
        let by = &foo.sticky.as_ref().unwrap().by;
        assert!(user(by.clone(), &asked).is_some(), "{field}");
        assert_eq!(user(by.clone(), &asked), user(by.clone(), &asked), "{field}");
    }
    let header = || By::Header("x-user".to_owned());
    assert_ne!(user(header(), &with_header("x-user", "ann")), user(header(), &with_header("x-user", "bob")));
}

#[test]
fn raising_a_weight_only_ever_moves_users_to_it() {
    let mut before = chosen("0%");
    for weight in ["1%", "5%", "20%", "60%", "99%", "100%"] {
        let after = chosen(weight);
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
        assert!(moved.clone().count() > 0 && moved.clone().all(|(_, after)| *after == 1), "{weight}");
        before = after;
    }
}

#[test]
fn users_never_move_back_and_forth() {
    let rising: Vec<Vec<usize>> = ["0%", "10%", "40%", "70%"].iter().map(|weight| chosen(weight)).collect();
    for user in 0..1_000 {
        let routes: Vec<usize> = rising.iter().map(|chosen| chosen[user]).collect();
        let changes = routes.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(changes <= 1, "{user}: {routes:?}");
    }
    assert_eq!(chosen("10%"), rising[1], "the same weights, the same users");
}

#[test]
fn a_user_has_the_same_route_on_every_node_without_shared_state() {
    let reversed = pod("c", "3", "10.0.0.3") + &pod("b", "2", "10.0.0.2") + &pod("a", "1", "10.0.0.1");
    let (one, mut other) = (Agent::of(&halves(""), &three_pods()), Agent::of(&halves(""), &reversed));
    other.sets(&[("(1)", "10%"), ("(2)", "90%")], false).unwrap();
    other.sets(&[("(1)", "50%"), ("(2)", "50%")], false).unwrap();
    for user in 0..200 {
        let user = user.to_string();
        let route = |agent: &Agent| agent.explain(&on_port(), Some(&user)).route;
        assert_eq!(route(&one), route(&other), "{user}");
    }
}

#[test]
fn instance_keeps_the_pod_as_well() {
    let pods: Vec<_> = (1..=5).map(|last| ([10, 0, 0, last], 80).into()).collect();
    let of = |user: u64, pods: &[_]| choose_endpoint(UserKey(user), pods).map(|index| pods[index]);
    for user in 0..200 {
        let mine = of(user, &pods).unwrap();
        assert_eq!(of(user, &pods), Some(mine));
        let fewer: Vec<_> = pods.iter().copied().filter(|pod| *pod != pods[0]).collect();
        assert!(mine == pods[0] || of(user, &fewer) == Some(mine), "only users of a pod that is gone move");
    }
}

#[test]
fn a_weight_set_to_0_releases_its_users() {
    let mut agent = Agent::of(&halves(""), &three_pods());
    let users: Vec<String> = (0..100).map(|user| user.to_string()).collect();
    let on_two = |agent: &Agent| {
        users.iter().filter(|user| agent.explain(&on_port(), Some(user)).route == Some(route("(2)"))).count()
    };
    assert!(on_two(&agent) > 20);
    agent.sets(&[("(1)", "100%"), ("(2)", "0%")], false).unwrap();
    assert_eq!(on_two(&agent), 0);
}

#[test]
fn a_condition_that_begins_to_match_takes_precedence_over_the_cookie() {
    let agent = Agent::of(&halves(", condition: Has Header x"), &three_pods());
    let matching = Asked { port: 9_000, ..with_header("x", "") };
    let users: Vec<String> = (0..100).map(|user| user.to_string()).collect();
    assert!(users.iter().any(|user| agent.explain(&on_port(), Some(user)).route == Some(route("(1)"))));
    assert!(users.iter().all(|user| agent.explain(&matching, Some(user)).route == Some(route("(2)"))));
}

#[test]
fn raising_the_strength_of_a_condition_lets_go_of_no_user() {
    let condition = Condition::parse("Has Header x").unwrap().to_string();
    let captured = |strength: &str| -> Vec<bool> {
        (0..1_000).map(|user| sticky::captures(UserKey(user), &condition, share(strength))).collect()
    };
    let (less, more) = (captured("20%"), captured("50%"));
    assert!(less.iter().zip(&more).all(|(less, more)| !less || *more));
    let count = more.iter().filter(|captured| **captured).count();
    assert!((430..570).contains(&count), "{count}");
}

#[test]
fn an_unknown_or_forged_cookie_is_ignored() {
    let cookie = Cookie::new(&key("foo"));
    let good = cookie.issue([7; ID_LENGTH], &keys());
    let forged = cookie.issue([7; ID_LENGTH], &Keys::new(&[9; 32], None).unwrap());
    let of_another_gateway = Cookie::new(&key("bar")).issue([7; ID_LENGTH], &keys());
    for value in ["", "1", "(2)", &forged, &of_another_gateway, &good[1..]] {
        assert_eq!(user(By::Cookie, &with_cookie(value)), None, "{value}");
    }
    assert_eq!(user(By::Cookie, &request()), None);
}
