//! Section 4: routes, weights, strength.

use gateway_model::{
    plan::{diff::count_moved, l4::Target},
    resolve::Layer,
    ring::{RingRoute, assign},
    sticky::{UserKey, choose_route},
};

use super::*;

/// A gateway with the host of the requests, and routes with these fields.
fn by_host(one: &str, two: &str, three: &str) -> String {
    format!("{FOO_INGRESS}routes: {{(1): {{{one}}}, (2): {{{two}}}, (3): {{{three}}}}}\n")
}

/// Versions 1 and 2, of which the first has everything.
fn first_and_later() -> Agent {
    let mut agent = Agent::of(&on("tcp"), &pod("a", "1", "10.0.0.1"));
    agent.runs(&(pod("a", "1", "10.0.0.1") + &pod("b", "2", "10.0.0.2")));
    agent
}

// First bullet: weights.

#[test]
fn weights_are_shares_of_everything_over_all_routes_those_with_a_condition_included() {
    let text = by_host("weight: 90%", "weight: 10%, condition: Has Header x", "weight: 0%");
    let agent = Agent::of(&text, &three_pods());
    assert_eq!(agent.takes(&request()), [("(1)", 90), ("(2)", 10)].into());
}

#[test]
fn given_weights_add_up_to_at_most_100() {
    assert_eq!(codes(&format!("{}{}", on("tcp"), routes("60%", "30%", "10.01%"))), ["weights-over-100"]);
    assert_eq!(codes(&format!("{}{}", on("tcp"), routes("60%", "30%", "10%"))), [""; 0]);
}

#[test]
fn routes_that_are_given_none_share_the_rest() {
    let text = format!("{}routes: {{(1): {{weight: 70%}}, (2): {{}}, (3): {{}}}}\n", on("tcp"));
    assert_eq!(Agent::of(&text, &three_pods()).weights(), "(1) 70%, (2) 15%, (3) 15%");
}

#[test]
fn where_all_weights_are_0_only_conditions_route_and_what_is_unmatched_has_no_route() {
    let text = by_host("weight: 0%, condition: Has Header x", "weight: 0%", "weight: 0%");
    let agent = Agent::of(&text, &three_pods());
    assert_eq!(agent.takes(&with_header("x", "")), [("(1)", 100)].into());
    assert_eq!(agent.takes(&request()), BTreeMap::new());
}

#[test]
fn weights_of_all_listed_routes_add_up_to_100_or_to_0_with_a_selector_too() {
    assert_eq!(codes(&format!("{}{}", on("tcp"), routes("60%", "30%", "5%"))), ["weights-under-100"]);
    assert_eq!(codes(&format!("{}{}", on("tcp"), routes("0%", "0%", "0%"))), [""; 0]);
}

#[test]
fn routes_that_are_found_later_start_at_0_and_take_no_rest() {
    let text = format!("{}routes: {{(1): {{weight: 70%}}, (2): {{}}}}\n", on("tcp"));
    let mut agent = Agent::of(&text, &pod("a", "1", "10.0.0.1"));
    agent.runs(&three_pods());
    assert_eq!(agent.weights(), "(1) 70%, (2) 30%, (3) 0%");
}

#[test]
fn rounding_is_by_largest_remainder_and_adds_up_to_exactly_100() {
    let text = format!("{}routes: {{(1): {{}}, (2): {{}}, (3): {{}}}}\n", on("tcp"));
    assert_eq!(Agent::of(&text, &three_pods()).weights(), "(1) 33.34%, (2) 33.33%, (3) 33.33%");
    assert_eq!(weight::split(10_000, &[2, 2, 3]), [2_857, 2_857, 4_286], "2857.14…, 2857.14…, 4285.71…");
}

#[test]
fn shown_and_stored_weights_add_up_to_exactly_100_after_every_change() {
    let text = format!("{}{}", on("tcp"), routes("34%", "33%", "33%"));
    let mut agent = Agent::of(&text, &three_pods());
    for change in ["12.34%", "0.01%", "0%", "99.99%", "33.33%", "100%"] {
        // The agent asserts it of what is shown.
        agent.sets(&[("(2)", change)], true).unwrap();
        let kept = &agent.planner.resolved().kept.gateways[&key("foo")].routes;
        assert_eq!(weight::sum(kept.values().map(|route| route.weight)), 10_000, "{change}");
    }
}

// Second bullet: new versions.

#[test]
fn the_first_route_of_a_gateway_without_recorded_ones_has_everything() {
    assert_eq!(Agent::of(&on("tcp"), &pod("a", "1", "10.0.0.1")).weights(), "(1) 100%");
}

#[test]
fn the_next_first_route_has_everything_once_none_is_recorded_any_more() {
    let mut agent = Agent::of(&on("tcp"), &pod("a", "1", "10.0.0.1"));
    agent.runs("[]");
    agent.waits(3_600);
    agent.runs(&pod("b", "2", "10.0.0.2"));
    assert_eq!(agent.weights(), "(2) 100%");
}

#[test]
fn of_several_first_routes_the_oldest_has_everything() {
    let older = three_pods() + &pod("d", "3", "10.0.0.4").replace("100", "99");
    assert_eq!(Agent::of(&on("tcp"), &older).weights(), "(1) 0%, (2) 0%, (3) 100%");
}

#[test]
fn of_first_routes_of_one_age_the_lowest_by_semver_has_everything() {
    let both = pod("a", "1.10.0", "10.0.0.1") + &pod("b", "1.9.0", "10.0.0.2");
    assert_eq!(Agent::of(&on("tcp"), &both).weights(), "(1.9.0) 100%, (1.10.0) 0%");
}

#[test]
fn a_new_version_gets_a_route_at_once() {
    let agent = first_and_later();
    assert_eq!(agent.route("(2)").endpoints.len(), 1);
    assert!(
        agent.changes.iter().any(|change| matches!(change, Change::AddRoute(_, name) if name.0 == "(2)"))
    );
}

#[test]
fn every_later_route_has_0() {
    assert_eq!(first_and_later().weights(), "(1) 100%, (2) 0%");
}

#[test]
fn a_new_version_takes_traffic_when_someone_says_so() {
    let mut agent = first_and_later();
    agent.sets(&[("(2)", "5%")], true).unwrap();
    assert_eq!(agent.weights(), "(1) 95%, (2) 5%");
}

#[test]
fn in_the_kernel_0_percent_means_no_slot() {
    assert_eq!(first_and_later().slots(), [("(1)".to_owned(), 1_024)].into());
}

#[test]
fn in_the_proxy_0_percent_means_no_request() {
    let agent = Agent::of(&by_host("weight: 100%", "weight: 0%", "weight: 0%"), &three_pods());
    assert_eq!(agent.takes(&request()), [("(1)", 100)].into());
}

#[test]
fn for_sticky_users_0_percent_means_nobody() {
    let all = [("(1)", share("0.01%")), ("(2)", Weight::ZERO)];
    assert!((0..10_000).all(|user| choose_route(UserKey(user), all) == Some(0)));
    assert_eq!(choose_route(UserKey(1), [("(1)", Weight::ZERO)]), None);
}

#[test]
fn lending_does_not_turn_0_into_more() {
    let mut agent = first_and_later();
    agent.runs(&without("a", &(pod("a", "1", "10.0.0.1") + &pod("b", "2", "10.0.0.2"))));
    assert_eq!(agent.in_force(), "(1) 0%, (2) 0%");
}

#[test]
fn expiry_does_not_turn_0_into_more() {
    let mut agent = first_and_later();
    agent.runs(&pod("b", "2", "10.0.0.2"));
    agent.waits(3_600);
    assert_eq!(agent.weights(), "(2) 0%");
}

#[test]
fn scaling_does_not_turn_0_into_more() {
    let mut agent = first_and_later();
    agent.runs(&(pod("a", "1", "10.0.0.1") + &pod("b", "2", "10.0.0.2") + &pod("c", "2", "10.0.0.3")));
    assert_eq!((agent.weights().as_str(), agent.route("(2)").endpoints.len()), ("(1) 100%, (2) 0%", 2));
}

#[test]
fn a_restart_does_not_turn_0_into_more() {
    let mut agent = first_and_later();
    agent.restarts(&on("tcp"), &pod("b", "2", "10.0.0.2"));
    assert_eq!(agent.weights(), "(1) 100%, (2) 0%");
    assert_eq!(agent.in_force(), "(1) 0%, (2) 0%");
}

// Third bullet: the life of a route.

#[test]
fn a_route_stays_while_a_workload_of_it_exists_at_no_replica_too() {
    let mut agent = first_and_later();
    let scaled =
        pod("a", "1", "10.0.0.1") + "- {name: b, kind: deployment, labels: {app: foo, version: '2'}}\n";
    agent.sets(&[("(2)", "40%")], true).unwrap();
    agent.runs(&scaled);
    agent.waits(100_000);
    assert_eq!(
        (agent.weights().as_str(), agent.in_force().as_str()),
        ("(1) 60%, (2) 40%", "(1) 100%, (2) 0%")
    );
}

#[test]
fn weight_without_ready_endpoints_is_lent_in_proportion_and_given_back() {
    let mut agent = Agent::of(&format!("{}{}", on("tcp"), routes("50%", "30%", "20%")), &three_pods());
    agent.runs(&without("a", &three_pods()));
    assert_eq!(agent.in_force(), "(1) 0%, (2) 60%, (3) 40%");
    assert_eq!(agent.weights(), "(1) 50%, (2) 30%, (3) 20%", "lent, and not given away");
    agent.runs(&three_pods());
    assert_eq!(agent.in_force(), "(1) 50%, (2) 30%, (3) 20%");
}

#[test]
fn without_a_ready_endpoint_requests_have_no_route() {
    let pods = without("a", &without("b", &without("c", &three_pods())));
    assert_eq!(Agent::of(FOO_INGRESS, &pods).takes(&request()), BTreeMap::new());
}

#[test]
fn without_a_ready_endpoint_every_slot_refuses() {
    let pods = without("a", &without("b", &without("c", &three_pods())));
    for kind in ["tcp", "udp"] {
        assert_eq!(Agent::of(&on(kind), &pods).l4().ring4, Ring::nobody(1_024), "{kind}");
    }
}

#[test]
fn a_route_whose_workload_is_gone_keeps_its_settings_for_an_hour() {
    let text = format!("{}level: request\n", on("http"));
    let mut agent = Agent::of(&text, &three_pods());
    agent.sets(&[("(2)", "40%")], true).unwrap();
    agent.sets_condition("(2)", "Has Header x");
    agent.runs(&pod("a", "1", "10.0.0.1"));
    agent.waits(3_599);
    agent.runs(&three_pods());
    assert_eq!(agent.weights(), "(1) 60%, (2) 40%, (3) 0%");
    assert_eq!(agent.route("(2)").condition.as_ref().unwrap().source(), "Has Header x");
}

#[test]
fn then_a_route_goes_and_the_others_are_scaled_to_exactly_100() {
    let mut agent = Agent::of(&on("tcp"), &three_pods());
    agent.sets(&[("(1)", "50%"), ("(2)", "30%"), ("(3)", "20%")], false).unwrap();
    agent.runs(&(pod("b", "2", "10.0.0.2") + &pod("c", "3", "10.0.0.3")));
    assert_eq!(agent.planner.resolved().deadline, Some(1_000 + 3_600));
    agent.waits(3_600);
    assert_eq!(agent.weights(), "(2) 60%, (3) 40%");
}

#[test]
fn a_route_that_was_rolled_back_gets_weight_from_a_person_only() {
    let mut agent = Agent::of(&on("tcp"), &three_pods());
    agent.sets(&[("(1)", "50%"), ("(2)", "50%")], false).unwrap();
    agent.rolls_back("(2)");
    agent.runs(&without("a", &three_pods()));
    assert_eq!(
        (agent.weights().as_str(), agent.in_force().as_str()),
        ("(1) 100%, (2) 0%, (3) 0%", "(1) 0%, (2) 0%, (3) 0%")
    );
    agent.restarts(&format!("{}routes: {{(2): {{}}}}\n", on("tcp")), &three_pods());
    assert!(agent.route("(2)").rolled_back && agent.route("(2)").weight.is_zero(), "no rest either");
    agent.sets(&[("(2)", "10%")], true).unwrap();
    assert_eq!((agent.route("(2)").rolled_back, agent.route("(2)").weight), (false, share("10%")));
}

// Fourth bullet: requests.

#[test]
fn conditions_are_tried_by_priority_then_as_written() {
    let text =
        by_host("condition: Has Header a", "condition: Has Header b", "condition: Has Header c, priority: 5");
    let agent = Agent::of(&text, &three_pods());
    let gateway = agent.host("foo.bar.com").unwrap();
    let order: Vec<_> =
        gateway.conditions.iter().map(|one| gateway.routes[one.route].name.0.as_str()).collect();
    assert_eq!(order, ["(3)", "(1)", "(2)"]);
}

#[test]
fn the_first_condition_that_matches_takes_the_request_with_the_probability_of_its_strength() {
    let text =
        by_host("weight: 100%", "weight: 0%, condition: Has Header x, condition_strength: 30%", "weight: 0%");
    let agent = Agent::of(&text, &three_pods());
    assert_eq!(agent.takes(&with_header("x", "")), [("(1)", 70), ("(2)", 30)].into());
}

#[test]
fn otherwise_it_is_the_weighted_pick_over_all_routes_that_one_included() {
    let text =
        by_host("weight: 80%", "weight: 20%, condition: Has Header x, condition_strength: 50%", "weight: 0%");
    let agent = Agent::of(&text, &three_pods());
    assert_eq!(agent.takes(&with_header("x", "")), [("(1)", 40), ("(2)", 60)].into(), "0.5 + 0.5 · 0.2");
    assert_eq!(agent.shares(&with_header("x", "")), "(1) 40, (2) 60, (3) 0");
}

#[test]
fn no_later_condition_is_tried() {
    let text = by_host(
        "weight: 100%",
        "weight: 0%, condition: Has Header x, condition_strength: 10%",
        "weight: 0%, condition: Has Header x or Has Header y",
    );
    let agent = Agent::of(&text, &three_pods());
    assert_eq!(agent.takes(&with_header("x", "")), [("(1)", 90), ("(2)", 10)].into());
}

#[test]
fn without_a_match_it_is_the_weighted_pick_over_all_routes() {
    let text = by_host("weight: 50%", "weight: 30%, condition: Has Header x", "weight: 20%");
    let agent = Agent::of(&text, &three_pods());
    assert_eq!(agent.takes(&request()), [("(1)", 50), ("(2)", 30), ("(3)", 20)].into());
}

// Fifth bullet: ports.

#[test]
fn a_port_of_its_own_stays_in_the_kernel_while_nothing_asks_for_a_request() {
    for kind in ["tcp", "udp", "http"] {
        let agent = Agent::of(&on(kind), &three_pods());
        assert_eq!((agent.gateway().layer, agent.l4().target), (Layer::Kernel, Target::Ring), "{kind}");
    }
}

#[test]
fn what_asks_for_a_request_moves_the_port_to_the_proxy() {
    for asking in [
        "routes: {(1): {condition: Host is a}}",
        "sticky: route",
        "routes: {(1): {rewrites: {path: /a}}}",
        "tls: foo-tls\nvirtual_hosts: foo.bar.com",
        "level: request",
    ] {
        let text = format!("{}{asking}\n", on("http"));
        let agent = Agent::of(&text, &three_pods());
        assert_eq!((agent.gateway().layer, agent.l4().target), (Layer::Request, Target::Agent), "{asking}");
    }
}

#[test]
fn the_first_that_asks_moves_new_connections_and_no_live_one() {
    let mut agent = Agent::of(&on("http"), &three_pods());
    agent.sets_condition("(1)", "Host is a");
    assert!(agent.changes.contains(&Change::SetTarget(key("foo"), Target::Agent)), "new ones");
    let ends = |change: &Change| {
        matches!(
            change,
            Change::RemoveGateway(_)
                | Change::RemoveRoute(..)
                | Change::RemoveEndpoint(..)
                | Change::RemoveFrontend(..)
        )
    };
    assert!(!agent.changes.iter().any(ends), "endpoints of live ones are not dead: {:?}", agent.changes);
}

#[test]
fn the_shared_port_is_always_the_proxys() {
    let agent = Agent::of(FOO_INGRESS, &three_pods());
    assert_eq!(agent.gateway().layer, Layer::Kernel, "its own port");
    assert_eq!(agent.planner.plan().l4.gateways[&GatewayKey::shared()].target, Target::Agent);
}

#[test]
fn on_its_own_port_a_gateway_answers_every_host() {
    let text = format!("{FOO_INGRESS}port: 9000\nsticky: route\n");
    let agent = Agent::of(&text, &three_pods());
    assert!(matches!(agent.port(9_000), Some(Entry::Gateway(gateway)) if gateway.key == key("foo-ingress")));
    let asked = Asked { host: "other.com".to_owned(), port: 9_000, ..request() };
    assert_eq!(agent.explain(&asked, None).gateway.as_deref(), Some("foo-ingress"));
}

#[test]
fn an_unknown_host_is_answered_by_nobody_on_shared_ports_only() {
    let agent = Agent::of(&format!("{}level: request\n", on("http")), &three_pods());
    let asked = |port| Asked { host: "other.com".to_owned(), port, ..request() };
    assert_eq!(agent.explain(&asked(80), None).gateway, None);
    assert_eq!(agent.explain(&asked(9_000), None).gateway.as_deref(), Some("foo"));
}

// How rings keep what is promised of weights.

fn ring(weights: &[&str]) -> Ring {
    let routes = weights.iter().zip(1..).map(|(weight, number)| RingRoute {
        name: route(&format!("({number})")),
        weight: share(weight).hundredths().into(),
        endpoints: vec![([10, 0, 0, number], 80).into(), ([10, 0, 1, number], 80).into()],
    });
    assign(65_536, 1, &routes.collect::<Vec<_>>())
}

#[test]
fn an_edit_moves_hardly_more_slots_than_it_must() {
    let moved = count_moved(&ring(&["95%", "5%"]), &ring(&["85%", "15%"]));
    assert!((6_553..=6_553 + 328).contains(&moved), "{moved}");
}
