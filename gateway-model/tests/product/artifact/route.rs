//! Section 1: the field `routes`, and what a route has.

use gateway_model::{gateway::Balance, rewrite, snapshot::External};

use super::super::*;

#[test]
fn routes_are_a_map_a_list_or_a_single_string() {
    let names = |routes: &str| -> Vec<String> {
        let text = format!("name: a\nport: 9000/tcp\nselector: label(v)((.*))\nroutes: {routes}\n");
        read(&text)[0].routes.iter().map(|route| route.name.to_string()).collect()
    };
    assert_eq!(names("{(1): {weight: 5%}, (2): {}}"), ["(1)", "(2)"]);
    assert_eq!(names("[(1), {name: (2), weight: 5%}, {(3): {}}]"), ["(1)", "(2)", "(3)"]);
    assert_eq!(names("(1)"), ["(1)"]);
}

#[test]
fn a_route_is_named_by_a_discovered_group() {
    let agent = Agent::of(&format!("{}{}", on("tcp"), routes("50%", "30%", "20%")), &three_pods());
    assert_eq!(agent.weights(), "(1) 50%, (2) 30%, (3) 20%");
}

#[test]
fn a_route_is_an_external_address() {
    let agent = Agent::of("name: db\nport: 5432/tcp\nroutes: '[198.51.100.7:5432]'\n", "[]");
    assert_eq!(agent.gateway().routes[0].endpoints[0].address, ([198, 51, 100, 7], 5_432).into());
}

#[test]
fn an_external_ipv6_address_has_brackets_of_its_own() {
    let text = |address: &str| format!("name: db\nport: 5432/tcp\nroutes: '{address}'\n");
    let agent = Agent::of(&text("[[2001:db8::7]:5432]"), "[]");
    let address = agent.gateway().routes[0].endpoints[0].address;
    assert_eq!(address, "[2001:db8::7]:5432".parse().expect("an address and port"));
    for address in ["[2001:db8::7:5432]", "[::7:80]", "[2001:db8::7]", "[::7]", "[a:b:80]"] {
        let findings = gateway::parse("g.yaml", &text(address), "default").findings;
        let refused = findings.iter().find(|finding| finding.code == "invalid-route-name");
        let refused = refused.unwrap_or_else(|| panic!("{address}: {findings:?}"));
        assert!(refused.message.contains("`[[2001:db8::7]:80]`"), "{refused}");
    }
}

#[test]
fn a_route_is_an_external_host_name() {
    let mut agent = Agent::new();
    let names = [("db.example.com".to_owned(), vec![[198, 51, 100, 7].into()])].into();
    agent.planner.set_node(Node { external: External { names, ..External::default() }, ..Node::default() });
    agent.declares("name: db\nport: 5432/tcp\nroutes: '[db.example.com:5432]'\n");
    assert_eq!(agent.gateway().routes[0].endpoints[0].address, ([198, 51, 100, 7], 5_432).into());
}

#[test]
fn a_policy_allows_addresses_that_are_otherwise_refused() {
    let mut agent = Agent::new();
    let allowed = vec!["127.0.0.0/8".parse().unwrap()];
    agent.planner.set_node(Node { external: External { allowed, ..External::default() }, ..Node::default() });
    agent.declares("name: db\nport: 5432/tcp\nroutes: '[127.0.0.1:5432]'\n");
    assert_eq!((agent.codes(), agent.gateway().routes[0].endpoints.len()), (vec![], 1));
}

#[test]
fn loopback_link_local_and_node_addresses_are_refused() {
    for address in ["127.0.0.1", "[::1]", "169.254.0.1", "[fe80::1]", "192.0.2.1"] {
        let agent = Agent::of(&format!("name: db\nport: 5432/tcp\nroutes: '[{address}:5432]'\n"), "[]");
        assert_eq!(agent.codes(), ["external-refused"], "{address}");
        assert!(agent.gateway().routes[0].endpoints.is_empty(), "{address}");
    }
}

#[test]
fn a_route_of_a_plain_name_has_its_own_selector() {
    let text = "name: a\nport: 9000/tcp\nroutes: {old: {selector: label(version)(1|2)}, new: {selector: label(version)(3)}}\n";
    let agent = Agent::of(text, &three_pods());
    assert_eq!((agent.route("old").endpoints.len(), agent.route("new").endpoints.len()), (2, 1));
}

#[test]
fn a_route_of_another_gateways_name_leads_to_that_gateway() {
    let text = format!("name: front\nport: 9001/tcp\nroutes: foo\n---\n{}", on("tcp"));
    let agent = Agent::of(&text, &three_pods());
    assert_eq!(agent.route("foo").chained.as_ref().map(|inner| &inner.key), Some(&key("foo")));
    assert_eq!(agent.slots(), [("foo".to_owned(), 1_024)].into());
    assert_eq!(agent.l4().ring4.endpoint(0).unwrap().1, ([10, 0, 0, 1], 8_080).into());
}

#[test]
fn gateways_that_chain_in_a_circle_are_rejected() {
    assert_eq!(Agent::of("name: a\nport: 9001/tcp\nroutes: a\n", "[]").codes(), ["gateway-cycle"]);
    let text = format!(
        "name: a\nport: 9001/tcp\nroutes: b\n---\nname: b\nport: 9002/tcp\nroutes: a\n---\n{}",
        on("tcp")
    );
    let agent = Agent::of(&text, &three_pods());
    assert_eq!(agent.codes(), ["gateway-cycle", "gateway-cycle"]);
    assert_eq!(agent.gateway().key, key("foo"), "and no other one");
}

// The fields of a route.

#[test]
fn a_weight_is_a_percentage_of_up_to_two_decimals() {
    let weight = |text: &str| text.parse::<Weight>().map(Weight::hundredths);
    assert_eq!((weight("5%"), weight("0.05%"), weight("100%")), (Ok(500), Ok(5), Ok(10_000)));
    for wrong in ["5", "0.005%", "101%", "-1%", "five%", ""] {
        assert!(weight(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_strength_is_everything_with_a_condition_given_inline_and_otherwise_nothing() {
    let text = format!("{}routes: {{(1): {{condition: Host is a}}, (2): {{}}}}\n", on("http"));
    let agent = Agent::of(&text, &three_pods());
    assert_eq!((agent.route("(1)").strength, agent.route("(2)").strength), (Weight::FULL, Weight::ZERO));
}

#[test]
fn a_rewrite_replaces_a_path_if_its_condition_holds() {
    let text = format!("{}routes: {{(1): {{rewrites: {{path: /new if Path is /old}}}}}}\n", on("http"));
    let rewrites = &read(&text)[0].routes[0].rewrites;
    let path = |path: &str| {
        let asked = Asked { path: path.to_owned(), ..request() };
        rewrite::apply(rewrites, &asked).path.map(|path| path.to_string())
    };
    assert_eq!((path("/old").as_deref(), path("/other")), (Some("/new"), None));
}

#[test]
fn a_rewrite_replaces_a_prefix_or_the_host() {
    let text =
        format!("{}routes: {{(1): {{rewrites: [{{prefix: /api to /v1}}, {{host: b.com}}]}}}}\n", on("http"));
    let rewrites = &read(&text)[0].routes[0].rewrites;
    let asked = Asked { path: "/api/items".to_owned(), ..request() };
    let rewritten = rewrite::apply(rewrites, &asked);
    assert_eq!((rewritten.path.unwrap().to_string().as_str(), rewritten.host), ("/v1/items", Some("b.com")));
}

#[test]
fn a_balance_is_one_of_five() {
    for (word, balance) in [
        ("roundrobin", Balance::RoundRobin),
        ("leastconn", Balance::LeastConn),
        ("random", Balance::Random),
        ("p2c", Balance::P2c),
        ("maglev", Balance::Maglev),
    ] {
        let text = format!("{}level: request\nroutes: {{(1): {{balance: {word}}}}}\n", on("http"));
        assert_eq!(Agent::of(&text, &three_pods()).route("(1)").balance, balance);
    }
    assert_eq!(codes(&format!("{}routes: {{(1): {{balance: fastest}}}}\n", on("http"))), ["wrong-type"]);
}

#[test]
fn a_balance_that_is_left_out_is_p2c_for_requests_and_maglev_in_the_kernel() {
    let agent = Agent::of(FOO_INGRESS, &three_pods());
    assert_eq!(agent.host("foo.bar.com").unwrap().routes[0].balance, Balance::P2c);
    let agent = Agent::of(&format!("{}routes: {{(1): {{balance: p2c}}}}\n", on("tcp")), &three_pods());
    assert_eq!(agent.codes(), ["balance-at-l4"], "the kernel only knows maglev");
}
