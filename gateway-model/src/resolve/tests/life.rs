//! Which routes there are, and for how long.

use super::*;

#[test]
fn the_first_route_gets_everything_and_later_ones_nothing() {
    let mut story = Story::new();
    assert_eq!(story.step(TCP, &two_pods()), weights(&[("(1.0.3)", "100%")]));
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    assert_eq!(story.step(TCP, &both), weights(&[("(1.0.3)", "100%"), ("(2.0.1)", "0%")]));
    let route = &story.resolved.gateways[0].routes[1];
    assert_eq!((route.origin, route.endpoints.len()), (Origin::Discovery, 1));
}

#[test]
fn of_several_first_routes_the_oldest_then_the_lowest_version_gets_everything() {
    let same_age = pod("a", "10.0.0", "10.0.0.1") + &pod("b", "9.0.0", "10.0.0.2");
    assert_eq!(
        Story::new().step(TCP, &same_age),
        weights(
            &[("(10.0.0)", "100%"), ("(9.0.0)", "0%")]
                .map(|(n, _)| (n, if n == "(9.0.0)" { "100%" } else { "0%" }))
        )
    );
    let older = same_age.replacen("created: 100", "created: 99", 1);
    assert_eq!(Story::new().step(TCP, &older), weights(&[("(10.0.0)", "100%"), ("(9.0.0)", "0%")]));
}

#[test]
fn a_route_whose_workloads_are_gone_keeps_its_settings_for_an_hour() {
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    let mut story = Story::new();
    story.step(TCP, &both);
    story.set(&[("(1.0.3)", "60%"), ("(2.0.1)", "40%")], false).unwrap();
    story.step(TCP, &two_pods());
    assert_eq!(story.weights(), weights(&[("(1.0.3)", "60%"), ("(2.0.1)", "40%")]));
    let lent: Vec<_> = story.resolved.gateways[0].routes.iter().map(|route| route.lent).collect();
    assert_eq!(lent, [Weight::FULL, Weight::ZERO], "lent, not given away");
    assert_eq!(story.resolved.deadline, Some(1_000 + 3_600));
    story.now = 4_599;
    assert_eq!(story.step(TCP, &both), weights(&[("(1.0.3)", "60%"), ("(2.0.1)", "40%")]), "back in time");
    assert_eq!(story.resolved.deadline, None);
    story.step(TCP, &two_pods());
    story.now += 3_600;
    assert_eq!(story.step(TCP, &two_pods()), weights(&[("(1.0.3)", "100%")]), "the others get exactly 100 %");
    assert_eq!(
        story.step(TCP, &both),
        weights(&[("(1.0.3)", "100%"), ("(2.0.1)", "0%")]),
        "new again: nothing"
    );
}

#[test]
fn expiry_never_gives_a_route_of_nothing_anything() {
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    let mut story = Story::new();
    story.step(TCP, &both);
    story.step(TCP, &pod("c", "2.0.1", "10.0.0.3"));
    assert!(
        plan(&story.resolved, None).l4.gateways.values().all(|gateway| gateway.ring4 == Ring::nobody(256)),
        "not lent to 0 %"
    );
    story.now += 3_600;
    assert_eq!(story.step(TCP, &pod("c", "2.0.1", "10.0.0.3")), weights(&[("(2.0.1)", "0%")]));
}

#[test]
fn readiness_scaling_and_zero_replicas_change_endpoints_and_no_weight() {
    let mut story = Story::new();
    story.step(TCP, &two_pods());
    let half = two_pods().replacen("created", "ready: false, created", 1);
    assert_eq!(story.step(TCP, &half), weights(&[("(1.0.3)", "100%")]));
    let made = plan(&story.resolved, None);
    let gateway = &made.l4.gateways[&GatewayKey::new("default", "foo-tcp")];
    assert_eq!(gateway.routes[&RouteName("(1.0.3)".to_owned())].endpoints.len(), 2, "not ready is not dead");
    assert_eq!(gateway.ring4.members.len(), 1);
    let none = "- {name: a, kind: deployment, labels: {app: foo, version: 1.0.3}}\n";
    assert_eq!(story.step(TCP, none), weights(&[("(1.0.3)", "100%")]));
    assert_eq!(story.resolved.deadline, None, "it exists, at zero replicas");
}

#[test]
fn a_route_of_a_plain_name_has_its_own_selector() {
    let file = "name: x\nport: 9000/tcp\nroutes:\n  stable: {selector: label(version)(1.*), weight: 90%}\n  next: {selector: label(version)(2.*)}\n";
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    let mut story = Story::new();
    assert_eq!(story.step(file, &both), weights(&[("next", "10%"), ("stable", "90%")]));
    let counts: Vec<usize> =
        story.resolved.gateways[0].routes.iter().map(|route| route.endpoints.len()).collect();
    assert_eq!(counts, [1, 2]);
    assert_eq!(
        story.step(
            &file.replace("  next: {selector: label(version)(2.*)}\n", "").replace("90%", "100%"),
            &both
        ),
        weights(&[("stable", "100%")])
    );
}

#[test]
fn the_next_first_route_gets_everything_once_no_other_is_recorded() {
    let mut story = Story::new();
    story.step(TCP, &two_pods());
    story.step(TCP, "[]");
    story.now += 3_600;
    assert_eq!(story.step(TCP, &pod("c", "2.0.1", "10.0.0.3")), weights(&[("(2.0.1)", "100%")]));
}

#[test]
fn routes_found_beside_listed_ones_start_at_nothing_and_take_no_rest() {
    let listed = format!("{TCP}routes: {{(1.0.3): {{weight: 90%}}, (3): {{}}}}\n");
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    let expected = weights(&[("(1.0.3)", "90%"), ("(2.0.1)", "0%"), ("(3)", "10%")]);
    assert_eq!(Story::new().step(&listed, &both), expected);
    let mut story = Story::new();
    story.step(&listed, &two_pods());
    assert_eq!(story.step(&listed, &both), expected);
}

#[test]
fn weights_are_lent_in_proportion_and_given_back() {
    let three = pod("a", "1", "10.0.0.1") + &pod("b", "2", "10.0.0.2") + &pod("c", "3", "10.0.0.3");
    let listed =
        format!("{TCP}routes: {{(1): {{weight: 50%}}, (2): {{weight: 30%}}, (3): {{weight: 20%}}}}\n");
    let mut story = Story::new();
    let lent = |story: &Story| {
        story.resolved.gateways[0].routes.iter().map(|route| route.lent.to_string()).collect::<Vec<_>>()
    };
    story.step(&listed, &three);
    assert_eq!(lent(&story), ["50%", "30%", "20%"]);
    story.step(&listed, &three.replacen("created", "ready: false, created", 1));
    assert_eq!(lent(&story), ["0%", "60%", "40%"]);
    story.step(&listed, &three.replace("created", "ready: false, created"));
    assert_eq!(lent(&story), ["0%", "0%", "0%"], "nobody serves: refused");
    story.step(&listed, &three);
    assert_eq!(lent(&story), ["50%", "30%", "20%"]);
}

#[test]
fn a_gateway_and_what_was_seen_are_forgotten_when_they_have_been_gone_for_an_hour() {
    let mut story = Story::new();
    let ageless = two_pods().replace(", created: 100", "");
    story.step(TCP, &ageless);
    assert_eq!((story.kept.gateways.len(), story.kept.workloads.len()), (1, 2));
    story.now += 10;
    story.step("", "[]");
    assert_eq!(story.resolved.deadline, Some(1_010 + 3_600));
    story.now += 3_599;
    story.step("", "[]");
    assert_eq!((story.kept.gateways.len(), story.kept.workloads.len()), (1, 2));
    story.now += 1;
    story.step("", "[]");
    assert_eq!(story.kept, Kept::default());
    assert_eq!(story.resolved.deadline, None);
}

#[test]
fn routes_of_a_gateway_that_is_gone_call_for_nobody() {
    let mut story = Story::new();
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    story.step(TCP, &both);
    story.step(TCP, &two_pods());
    story.now += 1_000;
    story.step("", &two_pods());
    assert_eq!(story.resolved.deadline, Some(2_000 + 3_600), "the gateway's own end, not its route's");
}

/// Lists two versions, 75 % and 25 %.
fn three_to_one() -> String {
    format!("{TCP}routes: {{(1.0.3): {{weight: 75%}}, (2.0.1): {{weight: 25%}}}}\n")
}

#[test]
fn a_listed_route_whose_workloads_have_been_gone_for_an_hour_has_nothing_any_more() {
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    let declared = weights(&[("(1.0.3)", "75%"), ("(2.0.1)", "25%")]);
    let alone = weights(&[("(1.0.3)", "100%"), ("(2.0.1)", "0%")]);
    let is_gone = |story: &Story| story.resolved.gateways[0].routes[1].is_gone;
    let mut story = Story::new();
    assert_eq!(story.step(&three_to_one(), &both), declared);
    assert_eq!(story.step(&three_to_one(), &two_pods()), declared);
    assert_eq!((story.resolved.deadline, is_gone(&story)), (Some(1_000 + 3_600), false));
    story.now = 4_599;
    assert_eq!(story.step(&three_to_one(), &both), declared, "back in time");
    story.step(&three_to_one(), &two_pods());
    story.now += 3_600;
    assert_eq!(story.step(&three_to_one(), &two_pods()), alone);
    assert_eq!((story.resolved.deadline, is_gone(&story)), (None, true));
    story.now += 100_000;
    assert_eq!(story.step(&three_to_one(), &two_pods()), alone);
    assert_eq!(story.step(&three_to_one(), &both), alone, "new again: nothing");
    assert!(!is_gone(&story));
    assert_eq!(story.step(&three_to_one().replace("75", "80").replace("25", "20"), &both)["(2.0.1)"], "20%");
}

#[test]
fn a_listed_route_that_never_had_a_workload_waits_for_its_first_with_its_weight() {
    let mut story = Story::new();
    story.step(&three_to_one(), &two_pods());
    story.now += 100_000;
    let declared = weights(&[("(1.0.3)", "75%"), ("(2.0.1)", "25%")]);
    assert_eq!(story.step(&three_to_one(), &two_pods()), declared);
    assert_eq!(story.resolved.deadline, None);
    assert_eq!(story.step(&three_to_one(), &(two_pods() + &pod("c", "2.0.1", "10.0.0.3"))), declared);
}

/// Three to one, and the one with the lesser part has been gone for an hour.
fn gone() -> Story {
    let mut story = Story::new();
    story.step(&three_to_one(), &(two_pods() + &pod("c", "2.0.1", "10.0.0.3")));
    story.step(&three_to_one(), &two_pods());
    story.now += 3_600;
    story.step(&three_to_one(), &two_pods());
    story
}

#[test]
fn a_listed_route_that_is_gone_leaves_with_its_listing() {
    assert_eq!(gone().step(TCP, &two_pods()), weights(&[("(1.0.3)", "100%")]));
}

#[test]
fn of_a_route_that_is_gone_only_what_is_said_anew_counts_and_that_for_an_hour() {
    let listed = three_to_one().replace("75%", "60%").replace("25%", "40%");
    let mut story = gone();
    let three = three_to_one().replace("75%", "50%").replace("}}\n", "}, (3): {weight: 25%}}\n");
    let there = two_pods() + &pod("d", "3", "10.0.0.4");
    assert_eq!(
        story.step(&three, &there),
        weights(&[("(1.0.3)", "66.67%"), ("(2.0.1)", "0%"), ("(3)", "33.33%")]),
        "nothing new is said of it"
    );
    assert_eq!(story.step(&listed, &two_pods())["(2.0.1)"], "40%");
    story.now += 3_599;
    assert_eq!(story.step(&listed, &two_pods())["(2.0.1)"], "40%");
    story.now += 1;
    assert_eq!(story.step(&listed, &two_pods())["(2.0.1)"], "0%");
    story.set(&[("(2.0.1)", "10%")], true).unwrap();
    assert_eq!(story.step(&listed, &two_pods())["(2.0.1)"], "10%", "by a person, too");
}

#[test]
fn the_only_listed_route_that_is_gone_leaves_its_weight_to_nobody() {
    let only = format!("{TCP}routes: {{(1.0.3): {{}}}}\n");
    let other = pod("c", "2.0.1", "10.0.0.3");
    let mut story = Story::new();
    story.step(&only, &two_pods());
    story.step(&only, &other);
    story.now += 3_600;
    let nobody = weights(&[("(1.0.3)", "0%"), ("(2.0.1)", "0%")]);
    assert_eq!(story.step(&only, &other), nobody, "0% stays 0%");
    assert_eq!(story.step(&only, &(two_pods() + &other)), nobody);
}

#[test]
fn a_listed_route_that_was_rolled_back_stays_so_however_long_it_is_gone() {
    let both = two_pods() + &pod("c", "2.0.1", "10.0.0.3");
    let mut story = Story::new();
    story.step(&three_to_one(), &both);
    story.roll_back("(2.0.1)");
    story.step(&three_to_one(), &two_pods());
    story.now += 10_000;
    story.step(&three_to_one(), &two_pods());
    let alone = weights(&[("(1.0.3)", "100%"), ("(2.0.1)", "0%")]);
    assert_eq!(story.step(&three_to_one(), &both), alone);
    assert!(story.resolved.gateways[0].routes[1].rolled_back);
}
